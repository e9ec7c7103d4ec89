//! Whose a process or a pipe is, and who may touch what is made here.

use std::fmt;
use std::io;
use std::os::windows::io::OwnedHandle;
use std::ptr;

use windows_sys::Win32::Foundation::{FALSE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1, SE_KERNEL_OBJECT,
};
use windows_sys::Win32::Security::{
    GetLengthSid, GetTokenInformation, OWNER_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID, SECURITY_ATTRIBUTES,
    TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, OpenProcess, OpenProcessToken, PROCESS_QUERY_LIMITED_INFORMATION,
};

use super::{owned, raw, wide};

/// A user, by what Windows calls a SID: a revision, the count of its numbers, an authority, the numbers.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct User(Vec<u8>);

impl User {
    /// The user of this process.
    pub(super) fn own() -> io::Result<Self> {
        // SAFETY: what it returns is no handle to be closed, and always valid.
        Self::of_token_of(unsafe { GetCurrentProcess() })
    }

    /// The user of a process that lets this one look.
    pub(super) fn of_process(pid: u32) -> io::Result<Self> {
        // SAFETY: the call takes numbers alone.
        let process = owned(unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid) })?;
        Self::of_token_of(raw(&process))
    }

    fn of_token_of(process: windows_sys::Win32::Foundation::HANDLE) -> io::Result<Self> {
        let mut token = ptr::null_mut();
        // SAFETY: both callers pass a process handle that stays open, and `token` is a live place for a handle.
        let opened = unsafe { OpenProcessToken(process, TOKEN_QUERY, &mut token) };
        if opened == 0 {
            return Err(io::Error::last_os_error());
        }
        let token = owned(token)?;
        // A `TOKEN_USER` and the SID it points to: 16 bytes and at most 68. Made of u64 to be aligned for it.
        let mut room = [0_u64; 16];
        let mut length = 0;
        // SAFETY: `room` is alive, writable and as long as is said.
        let told = unsafe {
            GetTokenInformation(
                raw(&token),
                TokenUser,
                room.as_mut_ptr().cast(),
                size_of_val(&room) as u32,
                &mut length,
            )
        };
        if told == 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has put a `TOKEN_USER` at the start of `room`, which is large enough and aligned for it.
        let user = unsafe { room.as_ptr().cast::<TOKEN_USER>().read() };
        // SAFETY: the SID lies in `room` too, which is still alive.
        Ok(unsafe { Self::copied(user.User.Sid) })
    }

    /// Who owns an open pipe: whoever made it, as only an administrator can say otherwise.
    pub(super) fn owner_of(pipe: &OwnedHandle) -> io::Result<Self> {
        let (mut owner, mut descriptor) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the handle is open, two pointers are to live places for pointers, and the others may be null.
        let code = unsafe {
            GetSecurityInfo(
                raw(pipe),
                SE_KERNEL_OBJECT,
                OWNER_SECURITY_INFORMATION,
                &mut owner,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                &mut descriptor,
            )
        };
        if code != 0 {
            return Err(io::Error::from_raw_os_error(code.cast_signed()));
        }
        // Frees the memory that `owner` points into, at the end of this function.
        let _descriptor = Descriptor(descriptor);
        if owner.is_null() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the pipe belongs to nobody"));
        }
        // SAFETY: the call has succeeded, so `owner` points to a SID within the descriptor, which is alive.
        Ok(unsafe { Self::copied(owner) })
    }

    /// # Safety
    /// `sid` must point to a SID.
    unsafe fn copied(sid: PSID) -> Self {
        // SAFETY: the caller's promise; a SID knows its length.
        let bytes = unsafe { std::slice::from_raw_parts(sid.cast::<u8>(), GetLengthSid(sid) as usize) };
        Self(bytes.to_vec())
    }
}

impl fmt::Display for User {
    /// As in `S-1-5-21-1-2-3-1001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let revision = self.0.first().copied().unwrap_or(0);
        let authority = self.0.iter().skip(2).take(6).fold(0_u64, |authority, byte| authority << 8 | u64::from(*byte));
        write!(f, "S-{revision}-{authority}")?;
        for number in self.0.get(8..).unwrap_or(&[]).chunks_exact(4) {
            write!(f, "-{}", number.iter().rev().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)))?;
        }
        Ok(())
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who owns a thing and who may do what with it.
pub(super) struct Descriptor(PSECURITY_DESCRIPTOR);

impl Descriptor {
    /// For a pipe: its owner may do everything and nobody else anything.
    pub(super) fn of_owner(user: &User) -> io::Result<Self> {
        Self::parse(&format!("O:{user}D:P(A;;GA;;;{user})"))
    }

    /// For memory: whoever has a handle has what that handle allows, and nobody can widen one, not even the owner
    /// (S-1-3-4 stands for the owner's own rights, which would else include handing out new ones).
    pub(super) fn of_nobody() -> io::Result<Self> {
        Self::parse("D:P(A;;RC;;;S-1-3-4)")
    }

    fn parse(text: &str) -> io::Result<Self> {
        let mut descriptor = ptr::null_mut();
        // SAFETY: the text ends with a zero and lives until the call returns; `descriptor` is a live place for a pointer,
        // and the length of what it points to is not asked for.
        let parsed = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                wide(text).as_ptr(),
                SDDL_REVISION_1,
                &mut descriptor,
                ptr::null_mut(),
            )
        };
        if parsed == 0 { Err(io::Error::last_os_error()) } else { Ok(Self(descriptor)) }
    }

    /// For a call that makes something; `self` must live as long. No child inherits the handle.
    pub(super) fn attributes(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
            lpSecurityDescriptor: self.0,
            bInheritHandle: FALSE,
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: both calls that make one say that it is to be freed so, and this value alone owns it.
        unsafe { LocalFree(self.0) };
    }
}
