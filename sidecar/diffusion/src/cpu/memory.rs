//! Memory of the processor that is reserved without being touched, and how much of it the machine can give.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use crate::error::DiffusionError;
use crate::plan::ALIGN;

/// One stretch of zeros that begins at a multiple of [`ALIGN`].
///
/// The system gives its pages when they are first written to, so what a plan reserves and never uses costs nothing.
#[derive(Debug)]
pub struct Memory {
    whole: NonNull<u8>,
    layout: Layout,
    lead: usize,
    len: usize,
}

// SAFETY: it owns its bytes, as a `Vec<u8>` does.
unsafe impl Send for Memory {}
// SAFETY: a shared reference only lets bytes be read.
unsafe impl Sync for Memory {}

impl Memory {
    /// `bytes` of zeros.
    pub(super) fn zeros(bytes: u64) -> Result<Self, DiffusionError> {
        let refused = || DiffusionError::OutOfMemory { needed_bytes: bytes, free_bytes: free_bytes() };
        // The system's own zeroed pages come with the alignment of its allocator; asking it for more makes Rust write the
        // zeros itself. So a line more is asked for, and skipped.
        let len = usize::try_from(bytes).map_err(|_| refused())?;
        let room = len.checked_add(ALIGN as usize).ok_or_else(refused)?;
        let layout = Layout::from_size_align(room, 16).map_err(|_| refused())?;
        // SAFETY: the layout is of `ALIGN` bytes or more, so not of zero.
        let whole = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(refused)?;
        let lead = whole.as_ptr().align_offset(ALIGN as usize);
        Ok(Self { whole, layout, lead, len })
    }

    /// Bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Where it begins, to write to.
    pub(super) fn start(&mut self) -> *mut u8 {
        // SAFETY: `lead` is less than `ALIGN`, by which the allocation is longer than `len`.
        unsafe { self.whole.as_ptr().add(self.lead) }
    }

    /// All of it.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: `lead + len` bytes are allocated and were zeroed, and nobody writes while `self` is shared.
        unsafe { std::slice::from_raw_parts(self.whole.as_ptr().add(self.lead), self.len) }
    }

    /// All of it.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as `bytes`, and `self` is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.whole.as_ptr().add(self.lead), self.len) }
    }

    /// All of it as singles; any bits are one.
    pub(super) fn singles(&mut self) -> &mut [f32] {
        // SAFETY: as `bytes_mut`; the start is a multiple of `ALIGN`, and every bit pattern is a single.
        unsafe { std::slice::from_raw_parts_mut(self.start().cast(), self.len / 4) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and not freed before.
        unsafe { dealloc(self.whole.as_ptr(), self.layout) }
    }
}

/// Bytes that the machine can give to this process now. Where it does not say, what is certainly there: nothing is
/// refused for want of a figure, because then `u64::MAX` stands for it.
pub(super) fn free_bytes() -> u64 {
    system::free_bytes().unwrap_or(u64::MAX)
}

#[cfg(target_os = "linux")]
mod system {
    //! Linux: what the kernel calls available, and less where a control group allows less.

    use std::path::{Path, PathBuf};

    pub(super) fn free_bytes() -> Option<u64> {
        let available = available(&std::fs::read_to_string("/proc/meminfo").ok()?)?;
        let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Some(groups.lines().flat_map(places).filter_map(|place| left(&place)).fold(available, u64::min))
    }

    /// `MemAvailable`, which counts the cache of files that can be dropped: mapped weights among it.
    pub(super) fn available(meminfo: &str) -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()?.checked_mul(1024)
    }

    /// Folders of the control groups over this process, from a line of `/proc/self/cgroup`: `0::/path` of version 2, or
    /// `4:memory:/path` of version 1. A container may see its own group at the root only.
    pub(super) fn places(line: &str) -> Vec<PathBuf> {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(kinds), Some(path)) = (fields.next(), fields.next(), fields.next()) else { return vec![] };
        let root = match kinds {
            "" => "/sys/fs/cgroup",
            kinds if kinds.split(',').any(|kind| kind == "memory") => "/sys/fs/cgroup/memory",
            _ => return vec![],
        };
        // At most as many as the path has parts; a limit above binds all below.
        let below = Path::new(path.trim_start_matches('/'));
        below.ancestors().map(|part| Path::new(root).join(part)).collect()
    }

    /// What a group may still take: its limit less what it uses, of which the cache of files can be dropped.
    fn left(place: &Path) -> Option<u64> {
        let number = |name: &str| std::fs::read_to_string(place.join(name)).ok()?.trim().parse::<u64>().ok();
        let limit = number("memory.max").or_else(|| number("memory.limit_in_bytes"))?;
        let used = number("memory.current").or_else(|| number("memory.usage_in_bytes"))?;
        let stat = std::fs::read_to_string(place.join("memory.stat")).unwrap_or_default();
        let cached = ["inactive_file ", "active_file "].iter().filter_map(|name| {
            stat.lines().find_map(|line| line.strip_prefix(name)).and_then(|value| value.trim().parse::<u64>().ok())
        });
        Some(limit.saturating_sub(used.saturating_sub(cached.sum())))
    }
}

#[cfg(windows)]
mod system {
    //! Windows: physical memory that is free now.

    /// `MEMORYSTATUSEX` of `sysinfoapi.h`.
    #[repr(C)]
    #[derive(Default)]
    struct Status {
        length: u32,
        load: u32,
        total_physical: u64,
        free_physical: u64,
        total_page_file: u64,
        free_page_file: u64,
        total_virtual: u64,
        free_virtual: u64,
        free_extended: u64,
    }

    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GlobalMemoryStatusEx(status: *mut Status) -> i32;
    }

    pub(super) fn free_bytes() -> Option<u64> {
        let mut status = Status { length: size_of::<Status>() as u32, ..Status::default() };
        // SAFETY: `status` is laid out as the call wants it and says its own length.
        let done = unsafe { GlobalMemoryStatusEx(&raw mut status) };
        (done != 0).then_some(status.free_physical.min(status.free_page_file))
    }
}

#[cfg(target_os = "macos")]
mod system {
    //! macOS: memory times the share of it that the kernel calls free, which counts what it can drop or squeeze.

    use std::ffi::{CStr, c_char, c_int, c_void};

    unsafe extern "C" {
        fn sysctlbyname(
            name: *const c_char,
            old: *mut c_void,
            len: *mut usize,
            new: *mut c_void,
            new_len: usize,
        ) -> c_int;
    }

    /// A number of at most eight bytes, little-endian.
    fn number(name: &CStr) -> Option<u64> {
        let (mut value, mut len) = (0u64, size_of::<u64>());
        // SAFETY: the name ends in zero, and `len` says how many bytes of `value` may be written.
        let failed =
            unsafe { sysctlbyname(name.as_ptr(), (&raw mut value).cast(), &raw mut len, std::ptr::null_mut(), 0) };
        (failed == 0).then_some(value)
    }

    pub(super) fn free_bytes() -> Option<u64> {
        Some(number(c"hw.memsize")? / 100 * number(c"kern.memorystatus_level")?.min(100))
    }
}

#[cfg(not(any(target_os = "linux", windows, target_os = "macos")))]
mod system {
    //! Elsewhere nobody is asked.

    pub(super) fn free_bytes() -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_begins_at_a_line_and_is_zero() {
        for bytes in [0, 1, 63, 64, 1 << 20] {
            let mut memory = Memory::zeros(bytes).expect("a little memory");
            assert_eq!(memory.start() as usize % ALIGN as usize, 0);
            assert_eq!(memory.len() as u64, bytes);
            assert!(memory.bytes().iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn what_nobody_has_is_refused_with_the_numbers() {
        let refused = Memory::zeros(u64::MAX - 100).expect_err("nobody has it");
        assert!(matches!(refused, DiffusionError::OutOfMemory { needed_bytes, .. } if needed_bytes == u64::MAX - 100));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_and_its_groups_are_understood() {
        assert_eq!(system::available("MemTotal: 8 kB\nMemAvailable:   24 kB\n"), Some(24 * 1024));
        assert_eq!(system::available("MemTotal: 8 kB\n"), None);
        let check = |line: &str, expected: &[&str]| {
            assert_eq!(
                system::places(line),
                expected.iter().map(std::path::PathBuf::from).collect::<Vec<_>>(),
                "{line}"
            );
        };
        check("0::/a/b", &["/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a", "/sys/fs/cgroup/"]);
        check("4:memory:/", &["/sys/fs/cgroup/memory/"]);
        check("3:cpu,cpuacct:/x", &[]);
        check("nonsense", &[]);
        let free = free_bytes();
        assert!(free > 1 << 20 && free < u64::MAX, "{free}");
    }
}
