//! Windows: a named pipe that this user alone may open, and memory without a name.
//!
//! Pipes are overlapped throughout: on a pipe that is not, a read that waits keeps every write waiting too.

use std::io::{self, ErrorKind};
use std::mem;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::os::windows::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{
    CloseHandle, DuplicateHandle, ERROR_ACCESS_DENIED, ERROR_BROKEN_PIPE, ERROR_NO_DATA, ERROR_PIPE_BUSY,
    ERROR_PIPE_CONNECTED, ERROR_PIPE_NOT_CONNECTED, FALSE, GENERIC_READ, GENERIC_WRITE, GetHandleInformation, HANDLE,
    HANDLE_FLAG_INHERIT, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, FILE_TYPE_DISK, FILE_TYPE_PIPE, GetFileType,
    OPEN_EXISTING, PIPE_ACCESS_DUPLEX, ReadFile, SECURITY_IDENTIFICATION, SECURITY_SQOS_PRESENT, WriteFile,
};
use windows_sys::Win32::System::Console::{GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE};
use windows_sys::Win32::System::Pipes::{
    ConnectNamedPipe, CreateNamedPipeW, DisconnectNamedPipe, GetNamedPipeClientProcessId, GetNamedPipeServerProcessId,
    PIPE_READMODE_BYTE, PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_BYTE, PIPE_UNLIMITED_INSTANCES, PIPE_WAIT,
    WaitNamedPipeW,
};
use windows_sys::Win32::System::Threading::{
    CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW, GetCurrentProcess, OpenProcess, PROCESS_DUP_HANDLE,
};

use super::{Access, SEND_TIME_MAX, canonical};
use crate::bell::Bell;
use crate::sync::Mutex;
use overlapped::Event;
use user::{Descriptor, User};

pub(crate) use memory::{Mapping, Memory};

mod memory;
mod overlapped;
mod user;

/// What the system keeps for the reader of a pipe; it is also the most that one write hands over, because a larger
/// one would lie in the kernel's memory as a whole until it is read.
const PIPE_BYTES: u32 = 64 << 10;
/// How long a client waits for a place in front of the listener. A listener that lives makes one in microseconds; a
/// pipe without any is what a dead sidecar leaves behind while another client still holds its end.
const BUSY_MAX: Duration = Duration::from_millis(500);

/// Up to which handles of the parent are looked for; they are multiples of four, given out from below. An editor has some
/// thousands.
const HANDLE_MAX: usize = 1 << 18;

/// Where the sidecar of a data directory listens; both sides find it from the directory alone, whatever their environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// UTF-16 and a zero, as the system takes it.
    name: Vec<u16>,
    user: User,
}

impl Address {
    pub(crate) fn of(data_dir: &Path) -> io::Result<Self> {
        let data_dir = canonical(data_dir)?;
        let user = User::own()?;
        // Pipes of all users share one folder, so the user is part of the name.
        let mut hash = blake3::Hasher::new();
        hash.update(user.to_string().as_bytes());
        hash.update(b"\0");
        hash.update(data_dir.as_os_str().as_encoded_bytes());
        let name = format!(r"\\.\pipe\thumbforge-{}", &hash.finalize().to_hex()[..32]);
        Ok(Self { name: wide(&name), user })
    }
}

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

fn raw(handle: &OwnedHandle) -> HANDLE {
    handle.as_raw_handle()
}

/// Waits for clients.
#[derive(Debug)]
pub(crate) struct Listener {
    address: Address,
    /// The place that the next client takes; nothing once closed.
    place: Mutex<Option<OwnedHandle>>,
    connected: Event,
    closed: Event,
}

impl Listener {
    /// Takes the address. The caller holds the data directory's lock, so no other sidecar of this user listens there.
    pub(crate) fn bind(address: &Address) -> io::Result<Self> {
        let place = match make_place(address, FILE_FLAG_FIRST_PIPE_INSTANCE) {
            // The name is taken: by a dead sidecar of ours, as long as a client holds its end of it, or by somebody
            // else, who is waiting for what clients will say. Only its owner tells; nobody can name another as owner.
            Err(err) if err.raw_os_error() == Some(ERROR_ACCESS_DENIED.cast_signed()) => {
                let place = make_place(address, 0)?;
                check_owner(&place, &address.user)?;
                place
            }
            made => made?,
        };
        Ok(Self {
            address: address.clone(),
            place: Mutex::new(Some(place)),
            connected: Event::new()?,
            closed: Event::new()?,
        })
    }

    /// Waits for the next client of this user.
    ///
    /// # Errors
    /// `PermissionDenied` for another user's process (go on), `ConnectionAborted` once closed.
    pub(crate) fn accept(&self) -> io::Result<Stream> {
        let mut place = self.place.lock();
        let Some(pipe) = place.as_ref() else { return Err(ErrorKind::ConnectionAborted.into()) };
        while !self.connect(pipe)? {}
        let next = match make_place(&self.address, 0) {
            Ok(next) => next,
            Err(err) => {
                disconnect(pipe);
                return Err(err);
            }
        };
        let Some(pipe) = place.replace(next) else { return Err(ErrorKind::ConnectionAborted.into()) };
        drop(place);
        let peer_pid = peer_pid(&pipe, GetNamedPipeClientProcessId);
        // The pipe's access list has let nobody else in. A process that runs elevated keeps its user to itself.
        match User::of_process(peer_pid) {
            Ok(user) if user != self.address.user => Err(another_user(&user, &self.address.user)),
            Ok(_) | Err(_) => Stream::of(pipe, peer_pid),
        }
    }

    /// Waits for a client in front of `pipe`; false for one that came and went.
    fn connect(&self, pipe: &OwnedHandle) -> io::Result<bool> {
        // SAFETY: the one operation started is on `pipe`, with the record it is handed, and it has no buffer.
        let connected = unsafe {
            overlapped::run(pipe, &self.connected, &self.closed, None, |record| ConnectNamedPipe(raw(pipe), record))
        };
        match connected {
            Ok(_) => Ok(true),
            Err(err) if is(&err, ERROR_PIPE_CONNECTED) => Ok(true),
            Err(err) if is(&err, ERROR_NO_DATA) => {
                disconnect(pipe);
                Ok(false)
            }
            Err(err) => Err(err),
        }
    }

    /// Ends a waiting [`Self::accept`] and takes the pipe away.
    pub(crate) fn close(&self) {
        self.closed.set();
        drop(self.place.lock().take());
    }
}

/// Makes a place for a client, which only this user can take, from this machine.
fn make_place(address: &Address, first: u32) -> io::Result<OwnedHandle> {
    let descriptor = Descriptor::of_owner(&address.user)?;
    let attributes = descriptor.attributes();
    // SAFETY: the name ends with a zero, and the attributes and what they point to live until the call returns.
    let handle = unsafe {
        CreateNamedPipeW(
            address.name.as_ptr(),
            PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | first,
            PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS,
            PIPE_UNLIMITED_INSTANCES,
            PIPE_BYTES,
            PIPE_BYTES,
            0,
            &attributes,
        )
    };
    owned_file(handle)
}

/// Takes a handle that a call has just made, where the call says failure by an invalid handle.
fn owned_file(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller has it from a call that made it for the caller alone, and it is valid.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Takes a handle that a call has just made, where the call says failure by null.
fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

fn disconnect(pipe: &OwnedHandle) {
    // SAFETY: the handle is open as long as `pipe` is borrowed. A failure shows when the next client is waited for.
    unsafe { DisconnectNamedPipe(raw(pipe)) };
}

fn peer_pid(pipe: &OwnedHandle, ask: unsafe extern "system" fn(HANDLE, *mut u32) -> i32) -> u32 {
    let mut pid = 0;
    // SAFETY: both functions that are passed here take an open pipe and a place for a number. For a peer that has gone
    // already they fail and the number stays 0.
    unsafe { ask(raw(pipe), &mut pid) };
    pid
}

/// Fails for a pipe that another user has made.
fn check_owner(pipe: &OwnedHandle, user: &User) -> io::Result<()> {
    let owner = User::owner_of(pipe)?;
    if owner == *user { Ok(()) } else { Err(another_user(&owner, user)) }
}

fn another_user(other: &User, user: &User) -> io::Error {
    let message = format!("the process at the other end belongs to user {other}, not to {user}");
    io::Error::new(ErrorKind::PermissionDenied, message)
}

fn is(err: &io::Error, code: u32) -> bool {
    err.raw_os_error() == Some(code.cast_signed())
}

/// One end of a connection. Any thread may send while another receives.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Nothing once closed. A call that is under way keeps its own hold, so the handle closes with the last of them.
    pipe: Mutex<Option<Arc<OwnedHandle>>>,
    closed: Event,
    /// The process at the other end, if it lets handles be put into it. Held from the start, so that its number is not
    /// given to another process meanwhile.
    peer: Option<OwnedHandle>,
    received: Mutex<Event>,
    sending: Mutex<()>,
    /// Of whoever holds `sending`.
    sent: Event,
    bell: Bell,
}

impl Stream {
    /// Connects to the sidecar of this user.
    pub(crate) fn connect(address: &Address) -> io::Result<Self> {
        let pipe = open(address)?;
        // Whoever made the pipe owns it, and nobody can name another as owner. The process itself is not looked at: one
        // that runs elevated does not let others see whose it is.
        check_owner(&pipe, &address.user)?;
        let peer_pid = peer_pid(&pipe, GetNamedPipeServerProcessId);
        Self::of(pipe, peer_pid)
    }

    fn of(pipe: OwnedHandle, peer_pid: u32) -> io::Result<Self> {
        // SAFETY: the call takes numbers alone.
        let peer = owned(unsafe { OpenProcess(PROCESS_DUP_HANDLE, FALSE, peer_pid) }).ok();
        Ok(Self {
            pipe: Mutex::new(Some(Arc::new(pipe))),
            closed: Event::new()?,
            peer,
            received: Mutex::new(Event::new()?),
            sending: Mutex::new(()),
            sent: Event::new()?,
            bell: Bell::new(),
        })
    }

    fn pipe(&self) -> Option<Arc<OwnedHandle>> {
        self.pipe.lock().clone()
    }

    /// Whether memory can be handed over: not to a process that runs elevated where this one does not.
    pub(crate) fn takes_memory(&self) -> bool {
        self.peer.is_some()
    }

    /// Puts a handle to the memory into the peer and returns its number there.
    pub(crate) fn grant(&self, memory: &Memory, access: Access) -> io::Result<u64> {
        let Some(peer) = &self.peer else { return Err(ErrorKind::PermissionDenied.into()) };
        let mut granted: HANDLE = ptr::null_mut();
        // SAFETY: all three handles are open for the length of the call, and `granted` is a live place for one. The new
        // handle is the peer's, so it is not owned here.
        let made = unsafe {
            DuplicateHandle(
                GetCurrentProcess(),
                raw(memory.handle()),
                raw(peer),
                &mut granted,
                memory::rights(access),
                FALSE,
                0,
            )
        };
        if made == 0 { Err(io::Error::last_os_error()) } else { Ok(granted as usize as u64) }
    }

    /// Sends all of `bytes`; memory goes by [`Self::grant`] here.
    ///
    /// # Errors
    /// `TimedOut` after [`SEND_TIME_MAX`]; the stream is of no more use after any error.
    pub(crate) fn send(&self, mut bytes: &[u8], _memory: Option<(&Memory, Access)>) -> io::Result<()> {
        let deadline = Instant::now() + SEND_TIME_MAX;
        {
            let _sending = self.sending.lock();
            while !bytes.is_empty() {
                let part = &bytes[..bytes.len().min(PIPE_BYTES as usize)];
                bytes = &bytes[self.write(part, deadline)?..];
            }
        }
        self.bell.settle(|| self.sending.try_lock(), || self.send_bell())
    }

    /// Sends some bytes; the caller holds `sending`.
    fn write(&self, bytes: &[u8], deadline: Instant) -> io::Result<usize> {
        let pipe = self.pipe().ok_or(ErrorKind::BrokenPipe)?;
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        // SAFETY: the one operation started is on `pipe`, with the record it is handed, and reads at most `length` bytes
        // of `bytes`, which is borrowed until `run` returns, when the operation is over. The event is ours alone: every
        // caller holds `sending`.
        let written = unsafe {
            overlapped::run(&pipe, &self.sent, &self.closed, Some(deadline), |record| {
                WriteFile(raw(&pipe), bytes.as_ptr(), length, ptr::null_mut(), record)
            })
        };
        match written {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            Err(err) if is_gone(&err) => Err(ErrorKind::BrokenPipe.into()),
            written => written,
        }
    }

    /// Wakes the peer. Never waits: where the pipe is full the peer has bytes to wake up by, and where a frame is on
    /// its way its sender rings afterwards.
    pub(crate) fn bell(&self) -> io::Result<()> {
        self.bell.ring(|| self.sending.try_lock(), || self.send_bell())
    }

    fn send_bell(&self) -> io::Result<()> {
        match self.write(&[0], Instant::now()) {
            Err(err) if err.kind() != ErrorKind::TimedOut => Err(err),
            _ => Ok(()),
        }
    }

    /// Receives some bytes; 0 when the peer is gone.
    ///
    /// # Errors
    /// `TimedOut` after `timeout`.
    pub(crate) fn recv(&self, into: &mut [u8], timeout: Option<Duration>) -> io::Result<usize> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let received = self.received.lock();
        let Some(pipe) = self.pipe() else { return Ok(0) };
        let length = u32::try_from(into.len()).unwrap_or(u32::MAX);
        // SAFETY: the one operation started is on `pipe`, with the record it is handed, and fills at most `length` bytes
        // of `into`, which is borrowed alone until `run` returns, when the operation is over.
        let read = unsafe {
            overlapped::run(&pipe, &received, &self.closed, deadline, |record| {
                ReadFile(raw(&pipe), into.as_mut_ptr(), length, ptr::null_mut(), record)
            })
        };
        match read {
            Err(err) if is_gone(&err) => Ok(0),
            read => read,
        }
    }

    /// The memory that a frame has named.
    ///
    /// # Errors
    /// `InvalidData` for a number that names none.
    pub(crate) fn take(&self, ticket: u64) -> io::Result<Memory> {
        Memory::granted(ticket)
    }

    /// Ends the connection for both sides and wakes whoever waits on it. What was sent before can still be received.
    pub(crate) fn close(&self) {
        // Not by `DisconnectNamedPipe`, which throws away what the peer has not read yet.
        drop(mem::take(&mut *self.pipe.lock()));
        self.closed.set();
    }
}

/// What a call on a pipe says when the other end has gone, or this end was closed meanwhile.
fn is_gone(err: &io::Error) -> bool {
    err.kind() == ErrorKind::ConnectionAborted
        || [ERROR_BROKEN_PIPE, ERROR_NO_DATA, ERROR_PIPE_NOT_CONNECTED].iter().any(|code| is(err, *code))
}

fn open(address: &Address) -> io::Result<OwnedHandle> {
    let deadline = Instant::now() + BUSY_MAX;
    loop {
        // SAFETY: the name ends with a zero and lives until the call returns; the two null pointers may be null. Whoever
        // is at the other end may ask who this is and no more.
        let handle = unsafe {
            CreateFileW(
                address.name.as_ptr(),
                GENERIC_READ | GENERIC_WRITE,
                0,
                ptr::null(),
                OPEN_EXISTING,
                FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION,
                ptr::null_mut(),
            )
        };
        let left = deadline.saturating_duration_since(Instant::now());
        match owned_file(handle) {
            Err(err) if is(&err, ERROR_PIPE_BUSY) && !left.is_zero() => {
                let wait_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1);
                // SAFETY: as above. What came of it shows at the next try.
                unsafe { WaitNamedPipeW(address.name.as_ptr(), wait_ms) };
            }
            // As a socket says it on which nobody listens.
            Err(err) if is(&err, ERROR_PIPE_BUSY) => return Err(io::Error::new(ErrorKind::ConnectionRefused, err)),
            opened => return opened,
        }
    }
}

/// Makes a command outlive this process, in no window.
pub(crate) fn detached(command: &mut Command) {
    command.creation_flags(CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP);
}

/// Closes the files, pipes and sockets that were inherited. Such a handle says of itself that it can be inherited, which
/// none that this process opens does; what is no file (and the console, which is one of a kind) is left alone.
pub(crate) fn close_inherited() {
    // SAFETY: the calls take numbers alone.
    let standard = [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE].map(|which| unsafe { GetStdHandle(which) });
    for number in (4..=HANDLE_MAX).step_by(4) {
        let handle = number as HANDLE;
        let mut flags = 0;
        // SAFETY: `flags` is a live place for a number; a number that is no handle is an answer.
        let is_inherited = unsafe { GetHandleInformation(handle, &mut flags) } != 0 && flags & HANDLE_FLAG_INHERIT != 0;
        if !is_inherited || standard.contains(&handle) {
            continue;
        }
        // SAFETY: the handle is open, and nobody in this process knows of it: it was not opened here, and is none of
        // the standard ones.
        unsafe {
            if matches!(GetFileType(handle), FILE_TYPE_DISK | FILE_TYPE_PIPE) {
                CloseHandle(handle);
            }
        }
    }
}

#[cfg(test)]
mod tests;
