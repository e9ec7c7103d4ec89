//! What differs between systems: the control socket, shared memory, and starting a process of one's own.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{Address, Listener, Mapping, Memory, Stream, close_inherited, detached};
#[cfg(windows)]
pub(crate) use windows::{Address, Listener, Mapping, Memory, Stream, close_inherited, detached};

/// How long a frame may take on its way into the socket. A peer that reads nothing for so long is as good as gone;
/// its jobs are kept.
pub(crate) const SEND_TIME_MAX: Duration = Duration::from_secs(2);

/// What a mapping is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Looking.
    Read,
    /// Changing.
    Write,
}

/// The data directory's one name, whichever way it is spelled.
fn canonical(data_dir: &Path) -> io::Result<PathBuf> {
    data_dir.canonicalize()
}

#[cfg(test)]
mod tests;
