//! What handles to memory allow, and what numbers from a peer can do.

use windows_sys::Win32::Foundation::{DuplicateHandle, FALSE};
use windows_sys::Win32::System::Memory::FILE_MAP_WRITE;
use windows_sys::Win32::System::Threading::GetCurrentProcess;

use super::*;

fn duplicate(memory: &Memory, rights: u32) -> io::Result<Memory> {
    let mut made: HANDLE = ptr::null_mut();
    // SAFETY: the handles are open, and `made` is a live place for one.
    let done = unsafe {
        DuplicateHandle(GetCurrentProcess(), raw(&memory.handle), GetCurrentProcess(), &mut made, rights, FALSE, 0)
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(Memory { handle: owned(made)? }) }
}

#[test]
fn nobody_widens_a_handle_that_can_only_read() {
    let memory = Memory::create(4096).unwrap();
    let reading = duplicate(&memory, FILE_MAP_READ).unwrap();
    reading.map(4096, Access::Read).unwrap();
    assert!(reading.map(4096, Access::Write).is_err());
    // That the owner cannot give itself the right either (WRITE_DAC) is not asked: Wine does not know S-1-3-4.
    let widened = duplicate(&reading, FILE_MAP_READ | FILE_MAP_WRITE);
    assert_eq!(widened.map(|_| ()).map_err(|err| err.kind()), Err(ErrorKind::PermissionDenied));
}

#[test]
fn a_number_that_names_no_memory_is_refused_and_what_it_names_stays_open() {
    let event = super::super::Event::new().unwrap();
    for ticket in [0, u64::MAX, u64::MAX - 1, 0x7fff_fff0, event.ticket()] {
        assert_eq!(Memory::granted(ticket).map(|_| ()).map_err(|err| err.kind()), Err(ErrorKind::InvalidData));
    }
    event.set();
}
