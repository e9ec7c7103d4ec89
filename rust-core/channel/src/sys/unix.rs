//! Linux and macOS: a unix domain socket, and memory without a name.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::sync::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    Shutdown, recvmsg, sendmsg, shutdown,
};

use super::{Access, SEND_TIME_MAX, canonical};
use crate::bell::Bell;

/// Longest path of a socket in bytes, with room to spare on every system (Linux has 108, macOS 104).
const SOCKET_PATH_MAX: usize = 100;
/// Descriptors that wait to be taken; a peer that sends more is up to no good.
const TAKEN_MAX: usize = 4;

/// Where the sidecar of a data directory listens; both sides find it from the directory alone, whatever their environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    path: PathBuf,
    /// A folder that must be ours alone, when the socket cannot lie in the data directory.
    folder: Option<PathBuf>,
}

impl Address {
    pub(crate) fn of(data_dir: &Path) -> io::Result<Self> {
        let data_dir = canonical(data_dir)?;
        let path = data_dir.join("sidecar.sock");
        if path.as_os_str().len() <= SOCKET_PATH_MAX {
            return Ok(Self { path, folder: None });
        }
        let folder = PathBuf::from(format!("/tmp/thumbforge-{}", user()));
        let hash = blake3::hash(data_dir.as_os_str().as_encoded_bytes()).to_hex();
        Ok(Self { path: folder.join(format!("{}.sock", &hash[..32])), folder: Some(folder) })
    }

    /// A folder that anybody may write to could hold somebody else's trap.
    fn check_folder(&self) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let meta = fs::symlink_metadata(folder)?;
        if !meta.is_dir() || meta.uid() != user() || meta.permissions().mode() & 0o077 != 0 {
            let message = format!("{} is not a folder of this user alone; remove it", folder.display());
            return Err(io::Error::new(ErrorKind::PermissionDenied, message));
        }
        Ok(())
    }
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The user at the other end.
#[cfg(target_os = "linux")]
fn peer_of(stream: &UnixStream) -> io::Result<u32> {
    Ok(rustix::net::sockopt::socket_peercred(stream)?.uid.as_raw())
}

/// The user at the other end.
#[cfg(not(target_os = "linux"))]
fn peer_of(stream: &UnixStream) -> io::Result<u32> {
    use std::os::fd::AsRawFd;
    unsafe extern "C" {
        fn getpeereid(socket: std::ffi::c_int, user: *mut u32, group: *mut u32) -> std::ffi::c_int;
    }
    let (mut user, mut group) = (u32::MAX, u32::MAX);
    // SAFETY: the descriptor is open for as long as `stream` is borrowed, and both pointers are to live integers of
    // the 32 bits that uid_t and gid_t have on macOS and the BSDs.
    match unsafe { getpeereid(stream.as_raw_fd(), &mut user, &mut group) } {
        0 => Ok(user),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Connects at once or not at all: a listener that accepts nobody (stopped, with a queue that is full) would hold whoever
/// connects for ever.
#[cfg(target_os = "linux")]
fn connect(path: &Path) -> io::Result<UnixStream> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &SocketAddrUnix::new(path)?) {
        Ok(()) => Ok(socket.into()),
        Err(rustix::io::Errno::AGAIN) => {
            Err(io::Error::new(ErrorKind::TimedOut, "it accepts nobody, and others wait before its door"))
        }
        Err(err) => Err(err.into()),
    }
}

/// Connects; where the queue is full these systems say so at once.
#[cfg(not(target_os = "linux"))]
fn connect(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(path)
}

/// Waits for clients.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: UnixListener,
    address: Address,
    /// Closing writes to one end; whoever waits for clients watches the other.
    closing: (UnixStream, UnixStream),
}

impl Listener {
    /// Takes the address. The caller holds the data directory's lock, so a socket that lies there is a dead sidecar's.
    pub(crate) fn bind(address: &Address) -> io::Result<Self> {
        if let Some(folder) = &address.folder {
            match fs::DirBuilder::new().create(folder) {
                Ok(()) => fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?,
                Err(err) if err.kind() == ErrorKind::AlreadyExists => {}
                Err(err) => return Err(err),
            }
            address.check_folder()?;
        }
        match fs::remove_file(&address.path) {
            Err(err) if err.kind() != ErrorKind::NotFound => return Err(err),
            _ => {}
        }
        // The folder is the user's alone (the data directory is made so at every start), so nobody gets in between.
        let listener = UnixListener::bind(&address.path)?;
        fs::set_permissions(&address.path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, address: address.clone(), closing: UnixStream::pair()? })
    }

    /// Waits for the next client of this user.
    ///
    /// # Errors
    /// `PermissionDenied` for another user's process (go on), `ConnectionAborted` once closed.
    pub(crate) fn accept(&self) -> io::Result<Stream> {
        loop {
            let mut watched = [PollFd::new(&self.listener, PollFlags::IN), PollFd::new(&self.closing.1, PollFlags::IN)];
            match poll(&mut watched, None) {
                Err(rustix::io::Errno::INTR) => continue,
                polled => polled?,
            };
            if !watched[1].revents().is_empty() {
                return Err(ErrorKind::ConnectionAborted.into());
            }
            match self.listener.accept() {
                Ok((stream, _)) => return Stream::of(stream),
                // Whoever knocked went away again.
                Err(err) if err.kind() == ErrorKind::WouldBlock => {}
                Err(err) => return Err(err),
            }
        }
    }

    /// Ends a waiting [`Self::accept`] and takes the socket away.
    pub(crate) fn close(&self) {
        let _ = (&self.closing.0).write(&[1]);
        let _ = fs::remove_file(&self.address.path);
    }
}

/// One end of a connection. Any thread may send while another receives.
#[derive(Debug)]
pub(crate) struct Stream {
    stream: UnixStream,
    sending: Mutex<()>,
    bell: Bell,
    taken: Mutex<VecDeque<OwnedFd>>,
}

impl Stream {
    /// Connects to the sidecar of this user.
    pub(crate) fn connect(address: &Address) -> io::Result<Self> {
        address.check_folder()?;
        Self::of(connect(&address.path)?)
    }

    fn of(stream: UnixStream) -> io::Result<Self> {
        let peer_user = peer_of(&stream)?;
        if peer_user != user() {
            let message = format!("the process at the other end belongs to user {peer_user}, not to {}", user());
            return Err(io::Error::new(ErrorKind::PermissionDenied, message));
        }
        stream.set_nonblocking(true)?;
        Ok(Self { stream, sending: Mutex::new(()), bell: Bell::new(), taken: Mutex::new(VecDeque::new()) })
    }

    /// Whether memory can be handed over.
    pub(crate) fn takes_memory(&self) -> bool {
        true
    }

    /// Names memory for the peer; here the descriptor travels with [`Self::send`].
    pub(crate) fn grant(&self, _memory: &Memory, _access: Access) -> io::Result<u64> {
        Ok(0)
    }

    /// Sends all of `bytes`, with `memory` attached.
    ///
    /// # Errors
    /// `TimedOut` after [`SEND_TIME_MAX`]; the stream is of no more use after any error.
    pub(crate) fn send(&self, bytes: &[u8], memory: Option<(&Memory, Access)>) -> io::Result<()> {
        let deadline = Instant::now() + SEND_TIME_MAX;
        {
            let _sending = self.sending.lock();
            self.send_all(bytes, memory.map(|(memory, access)| memory.descriptor(access)), deadline)?;
        }
        self.bell.settle(|| self.sending.try_lock(), || self.send_bell())
    }

    fn send_all(&self, mut bytes: &[u8], mut attached: Option<BorrowedFd<'_>>, deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            let descriptors = attached.as_slice();
            if !descriptors.is_empty() {
                control.push(SendAncillaryMessage::ScmRights(descriptors));
            }
            match sendmsg(&self.stream, &[IoSlice::new(bytes)], &mut control, SEND_FLAGS) {
                Ok(sent) => {
                    bytes = &bytes[sent..];
                    attached = None;
                }
                Err(rustix::io::Errno::AGAIN) => self.wait(PollFlags::OUT, Some(deadline))?,
                Err(rustix::io::Errno::INTR) => {}
                Err(err) => return Err(err.into()),
            }
        }
        Ok(())
    }

    /// Wakes the peer. Never waits: where the socket is full the peer has bytes to wake up by, and where a frame is on
    /// its way its sender rings afterwards.
    pub(crate) fn bell(&self) -> io::Result<()> {
        self.bell.ring(|| self.sending.try_lock(), || self.send_bell())
    }

    fn send_bell(&self) -> io::Result<()> {
        match sendmsg(&self.stream, &[IoSlice::new(&[0])], &mut SendAncillaryBuffer::default(), SEND_FLAGS) {
            Ok(_) | Err(rustix::io::Errno::AGAIN) => Ok(()),
            Err(err) => Err(err.into()),
        }
    }

    /// Receives some bytes; 0 when the peer is gone.
    ///
    /// # Errors
    /// `TimedOut` after `timeout`.
    pub(crate) fn recv(&self, into: &mut [u8], timeout: Option<Duration>) -> io::Result<usize> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(TAKEN_MAX))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            match recvmsg(&self.stream, &mut [IoSliceMut::new(into)], &mut control, RECV_FLAGS) {
                Ok(received) => {
                    let mut taken = self.taken.lock();
                    for message in control.drain() {
                        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                            taken.extend(descriptors);
                        }
                    }
                    taken.truncate(TAKEN_MAX);
                    return Ok(received.bytes);
                }
                Err(rustix::io::Errno::AGAIN) => self.wait(PollFlags::IN, deadline)?,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::CONNRESET) => return Ok(0),
                Err(err) => return Err(err.into()),
            }
        }
    }

    /// The memory that came with the oldest frame that had some.
    pub(crate) fn take(&self, _ticket: u64) -> io::Result<Memory> {
        let descriptor = self.taken.lock().pop_front();
        let descriptor = descriptor.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "no memory came with it"))?;
        Ok(Memory::received(descriptor))
    }

    /// Ends the connection for both sides and wakes whoever waits on it.
    pub(crate) fn close(&self) {
        // An error says that the peer was quicker.
        let _ = shutdown(&self.stream, Shutdown::Both);
    }

    fn wait(&self, what: PollFlags, deadline: Option<Instant>) -> io::Result<()> {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let timeout =
                left.map(|left| Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() });
            match poll(&mut [PollFd::new(&self.stream, what)], timeout.as_ref()) {
                Ok(0) => return Err(ErrorKind::TimedOut.into()),
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(err) => return Err(err.into()),
            }
        }
    }
}

#[cfg(target_os = "linux")]
const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL;
// A closed peer raises SIGPIPE here unless the socket says otherwise, which `std` sets on every socket it makes.
#[cfg(not(target_os = "linux"))]
const SEND_FLAGS: SendFlags = SendFlags::empty();
#[cfg(target_os = "linux")]
const RECV_FLAGS: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(not(target_os = "linux"))]
const RECV_FLAGS: RecvFlags = RecvFlags::empty();

/// Memory without a name.
#[derive(Debug)]
pub(crate) struct Memory {
    descriptor: OwnedFd,
    /// A second descriptor that cannot write, where seals do not exist.
    #[cfg(not(target_os = "linux"))]
    reading: Option<OwnedFd>,
}

#[cfg(target_os = "linux")]
impl Memory {
    /// Fresh zeroed memory whose size nobody can change.
    pub(crate) fn create(bytes: usize) -> io::Result<Self> {
        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
        let descriptor = memfd_create("thumbforge", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&descriptor, bytes as u64)?;
        // Whoever maps it must not be killed by somebody who cuts it short.
        fcntl_add_seals(&descriptor, SealFlags::SHRINK | SealFlags::GROW)?;
        Ok(Self { descriptor })
    }

    /// Lets nobody map it for writing any more; mappings that exist stay. No seal can be changed after.
    pub(crate) fn seal(&self, for_readers: bool) -> io::Result<()> {
        use rustix::fs::{SealFlags, fcntl_add_seals};
        let future = if for_readers { SealFlags::FUTURE_WRITE } else { SealFlags::empty() };
        Ok(fcntl_add_seals(&self.descriptor, future | SealFlags::SEAL)?)
    }

    pub(crate) fn received(descriptor: OwnedFd) -> Self {
        Self { descriptor }
    }

    fn descriptor(&self, _access: Access) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    fn check_fixed(&self) -> io::Result<()> {
        use rustix::fs::{SealFlags, fcntl_get_seals};
        if fcntl_get_seals(&self.descriptor)?.contains(SealFlags::SHRINK | SealFlags::GROW) {
            return Ok(());
        }
        Err(io::Error::new(ErrorKind::InvalidData, "the memory can be cut short"))
    }
}

#[cfg(not(target_os = "linux"))]
impl Memory {
    /// Fresh zeroed memory; its size can be set only once on this system.
    pub(crate) fn create(bytes: usize) -> io::Result<Self> {
        use rustix::fs::{Mode, ftruncate};
        use rustix::shm;
        let mut random = [0_u8; 12];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        // macOS takes names of up to 30 bytes.
        let hash = blake3::hash(&random).to_hex();
        let name = format!("/tf{}", &hash[..24]);
        let made = shm::open(
            name.as_str(),
            shm::OFlags::CREATE | shm::OFlags::EXCL | shm::OFlags::RDWR,
            Mode::RUSR | Mode::WUSR,
        )?;
        let reading = shm::open(name.as_str(), shm::OFlags::RDONLY, Mode::empty());
        // The name goes at once; descriptors and mappings keep the memory.
        shm::unlink(name.as_str())?;
        ftruncate(&made, bytes as u64)?;
        Ok(Self { descriptor: made, reading: Some(reading?) })
    }

    /// Readers are handed a descriptor that cannot write, so there is nothing to seal.
    pub(crate) fn seal(&self, _for_readers: bool) -> io::Result<()> {
        Ok(())
    }

    fn received(descriptor: OwnedFd) -> Self {
        // No flag of `recvmsg` does it here; a child between these two calls is the editor's own.
        let _ = rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::CLOEXEC);
        Self { descriptor, reading: None }
    }

    fn descriptor(&self, access: Access) -> BorrowedFd<'_> {
        match (&self.reading, access) {
            (Some(reading), Access::Read) => reading.as_fd(),
            _ => self.descriptor.as_fd(),
        }
    }

    fn check_fixed(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Memory {
    /// Maps its first `bytes`.
    ///
    /// # Errors
    /// `InvalidData` for memory that is smaller than that or that somebody could cut short under the mapping.
    pub(crate) fn map(&self, bytes: usize, access: Access) -> io::Result<Mapping> {
        self.check_fixed()?;
        let size = rustix::fs::fstat(&self.descriptor)?.st_size;
        if bytes == 0 || u64::try_from(size).unwrap_or(0) < bytes as u64 {
            return Err(io::Error::new(ErrorKind::InvalidData, format!("the memory has {size} bytes, not {bytes}")));
        }
        let allowed = match access {
            Access::Read => ProtFlags::READ,
            Access::Write => ProtFlags::READ | ProtFlags::WRITE,
        };
        // SAFETY: a fresh mapping at an address of the system's choice overlaps nothing of ours; its size was checked
        // and cannot change, and it is unmapped once, when the `Mapping` goes.
        let ptr = unsafe { mmap(std::ptr::null_mut(), bytes, allowed, MapFlags::SHARED, &self.descriptor, 0) }?;
        Ok(Mapping { ptr: ptr.cast(), bytes })
    }
}

/// Memory that two processes see. Only atomics and raw pointers touch it, except where its maker is the only writer.
#[derive(Debug)]
pub(crate) struct Mapping {
    ptr: *mut u8,
    bytes: usize,
}

// SAFETY: the mapping belongs to no thread, and what threads do with its pointer is argued where they do it.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(crate) fn ptr(&self) -> *mut u8 {
        self.ptr
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: pointer and size are those of a mapping that this value alone owns; whoever holds a pointer into it
        // also holds the value.
        let _ = unsafe { munmap(self.ptr.cast(), self.bytes) };
    }
}

/// Closes every descriptor but the standard three.
pub(crate) fn close_inherited() {
    let folder = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
    let Ok(entries) = fs::read_dir(folder) else { return };
    let open: Vec<i32> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // SAFETY: it is only asked whether it is open, which the folder that was listed is not any more.
        let is_open = rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(descriptor) }).is_ok();
        if is_open {
            // SAFETY: the caller has opened nothing yet, so no value of this process owns the descriptor.
            unsafe { rustix::io::close(descriptor) };
        }
    }
}

/// Makes a command outlive this process and its terminal.
pub(crate) fn detached(command: &mut Command) {
    command.process_group(0);
}
