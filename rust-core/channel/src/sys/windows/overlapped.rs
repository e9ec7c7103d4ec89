//! One operation of a pipe from its start to its end, which may be given up on the way.

use std::io::{self, ErrorKind};
use std::os::windows::io::OwnedHandle;
use std::ptr;
use std::time::Instant;

use windows_sys::Win32::Foundation::{
    ERROR_IO_PENDING, ERROR_OPERATION_ABORTED, FALSE, HANDLE, TRUE, WAIT_OBJECT_0, WAIT_TIMEOUT,
};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Threading::{CreateEventW, INFINITE, SetEvent, WaitForMultipleObjects};

use super::{is, owned, raw};

/// Something that happens once and is then so.
#[derive(Debug)]
pub(super) struct Event(OwnedHandle);

impl Event {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: both pointers may be null: no attributes, no name. It has to be reset by hand, as operations do.
        owned(unsafe { CreateEventW(ptr::null(), TRUE, FALSE, ptr::null()) }).map(Self)
    }

    #[cfg(test)]
    pub(super) fn ticket(&self) -> u64 {
        raw(&self.0) as usize as u64
    }

    pub(super) fn set(&self) {
        // SAFETY: the handle is open as long as `self` is borrowed.
        unsafe { SetEvent(raw(&self.0)) };
    }
}

/// Starts an operation on `pipe` and waits for its end. At `deadline`, or once `closed` is set, it is called off; what
/// it has done by then counts.
///
/// # Safety
/// `start` must start no more than one operation, on `pipe` and with the record that it is handed, and the buffer of the
/// operation must stay where it is, untouched by others, until this returns. `done` must be used by nobody else meanwhile.
///
/// # Errors
/// `TimedOut` at the deadline, `ConnectionAborted` once closed, or what the system says.
pub(super) unsafe fn run(
    pipe: &OwnedHandle,
    done: &Event,
    closed: &Event,
    deadline: Option<Instant>,
    start: impl FnOnce(*mut OVERLAPPED) -> i32,
) -> io::Result<usize> {
    let mut record = OVERLAPPED { hEvent: raw(&done.0), ..OVERLAPPED::default() };
    // The system writes to it until the operation is over, so from here on it is reached through this pointer alone.
    let record = &raw mut record;
    if start(record) == 0 {
        let err = io::Error::last_os_error();
        if !is(&err, ERROR_IO_PENDING) {
            return Err(err);
        }
    }
    // There must be no way out between here and the operation's end.
    let given_up = wait(done, closed, deadline);
    if given_up.is_some() {
        // SAFETY: the handle is open and the record alive. It fails for an operation that was quicker.
        unsafe { CancelIoEx(raw(pipe), record) };
    }
    let mut moved = 0;
    // SAFETY: as above; it returns when the operation is over, called off or not.
    if unsafe { GetOverlappedResult(raw(pipe), record, &mut moved, TRUE) } != 0 {
        return Ok(moved as usize);
    }
    let err = io::Error::last_os_error();
    match given_up {
        Some(kind) if is(&err, ERROR_OPERATION_ABORTED) => Err(kind.into()),
        _ => Err(err),
    }
}

/// Waits for `done`; otherwise says why it did not come to that.
fn wait(done: &Event, closed: &Event, deadline: Option<Instant>) -> Option<ErrorKind> {
    let wait_ms = deadline.map_or(INFINITE, |deadline| {
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up, so that nobody wakes too early and finds nothing to do.
        u32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(INFINITE).min(INFINITE - 1)
    });
    let handles: [HANDLE; 2] = [raw(&done.0), raw(&closed.0)];
    // SAFETY: the two handles are open, and the array lives until the call returns.
    match unsafe { WaitForMultipleObjects(2, handles.as_ptr(), FALSE, wait_ms) } {
        WAIT_OBJECT_0 => None,
        WAIT_TIMEOUT => Some(ErrorKind::TimedOut),
        _ => Some(ErrorKind::ConnectionAborted),
    }
}
