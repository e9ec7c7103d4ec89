//! Memory without a name, which lives as long as a handle or a mapping of it.

use std::ffi::c_void;
use std::io::{self, ErrorKind};
use std::os::windows::io::{FromRawHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP_READ, FILE_MAP_WRITE, MEM_COMMIT, MEMORY_BASIC_INFORMATION,
    MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFile, PAGE_READWRITE, UnmapViewOfFile, VirtualQuery,
};

use super::user::Descriptor;
use super::{owned, raw};
use crate::sys::Access;

/// Memory without a name.
#[derive(Debug)]
pub(crate) struct Memory {
    handle: OwnedHandle,
}

/// What a handle must allow.
pub(super) fn rights(access: Access) -> u32 {
    match access {
        Access::Read => FILE_MAP_READ,
        Access::Write => FILE_MAP_READ | FILE_MAP_WRITE,
    }
}

impl Memory {
    /// Fresh zeroed memory whose size nobody can change.
    pub(crate) fn create(bytes: usize) -> io::Result<Self> {
        let descriptor = Descriptor::of_nobody()?;
        let attributes = descriptor.attributes();
        let bytes = bytes as u64;
        // SAFETY: the attributes and what they point to live until the call returns, and there is no name.
        let handle = unsafe {
            CreateFileMappingW(
                INVALID_HANDLE_VALUE,
                &attributes,
                PAGE_READWRITE,
                (bytes >> 32) as u32,
                bytes as u32,
                ptr::null(),
            )
        };
        Ok(Self { handle: owned(handle)? })
    }

    /// Lets nobody map it for writing any more; mappings that exist stay. Here that is so from the start: readers get
    /// handles that can read and that nobody can widen.
    pub(crate) fn seal(&self, _for_readers: bool) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn handle(&self) -> &OwnedHandle {
        &self.handle
    }

    /// The memory behind a handle that a peer says it has put into this process.
    pub(super) fn granted(ticket: u64) -> io::Result<Self> {
        let none = || io::Error::new(ErrorKind::InvalidData, "no memory came with it");
        let handle = usize::try_from(ticket).map_err(|_| none())? as HANDLE;
        // A number that names no memory is a broken peer's: what it names may be something of ours, and must not be
        // closed in the end.
        drop(View::of(handle, FILE_MAP_READ, 0).map_err(|_| none())?);
        // SAFETY: the handle is open, as it could be mapped. It is ours to close by the peer's word; a peer that may
        // put handles into this process may also close those that are in it, so it is trusted with no more than that.
        Ok(Self { handle: unsafe { OwnedHandle::from_raw_handle(handle) } })
    }

    /// Maps its first `bytes`.
    ///
    /// # Errors
    /// `InvalidData` for memory that is smaller than that, or that is not all there.
    pub(crate) fn map(&self, bytes: usize, access: Access) -> io::Result<Mapping> {
        if bytes == 0 {
            return Err(io::Error::new(ErrorKind::InvalidData, "no bytes to map"));
        }
        let view = View::of(raw(&self.handle), rights(access), bytes)?;
        let there = view.committed();
        if there < bytes {
            return Err(io::Error::new(ErrorKind::InvalidData, format!("the memory has {there} bytes, not {bytes}")));
        }
        Ok(Mapping { view, bytes })
    }
}

/// Where memory is mapped.
#[derive(Debug)]
struct View(*mut c_void);

impl View {
    /// Maps `bytes` from the start, or all for 0.
    fn of(handle: HANDLE, rights: u32, bytes: usize) -> io::Result<Self> {
        // SAFETY: the system checks that the handle is one of memory, and of as many bytes; it chooses the address, so
        // the mapping overlaps nothing of ours.
        let address = unsafe { MapViewOfFile(handle, rights, 0, 0, bytes) }.Value;
        if address.is_null() { Err(io::Error::last_os_error()) } else { Ok(Self(address)) }
    }

    /// How many bytes from its start can be touched: memory can be set aside without being there.
    fn committed(&self) -> usize {
        let mut region = MEMORY_BASIC_INFORMATION::default();
        // SAFETY: `region` is a live place of the size that is said; the address is only asked about.
        let told = unsafe { VirtualQuery(self.0, &mut region, size_of::<MEMORY_BASIC_INFORMATION>()) };
        if told != 0 && region.State == MEM_COMMIT { region.RegionSize } else { 0 }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: the address is of a mapping that this value alone owns; whoever holds a pointer into it also holds
        // the value.
        unsafe { UnmapViewOfFile(MEMORY_MAPPED_VIEW_ADDRESS { Value: self.0 }) };
    }
}

/// Memory that two processes see. Only atomics and raw pointers touch it, except where its maker is the only writer.
#[derive(Debug)]
pub(crate) struct Mapping {
    view: View,
    bytes: usize,
}

// SAFETY: the mapping belongs to no thread, and what threads do with its pointer is argued where they do it.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(crate) fn ptr(&self) -> *mut u8 {
        self.view.0.cast()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests;
