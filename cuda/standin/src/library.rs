//! The stand-in as this process has opened it: what tests turn, and what they count.

use std::ffi::{CString, c_char, c_int};
use std::path::Path;
use std::sync::OnceLock;

use libloading::Library;

use crate::compile::{Built, build};
use crate::error::StandinError;

/// What tests turn. Each is read from the environment first: `THUMBFORGE_STANDIN_<NAME>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// How many cards there are; read when the driver is first used.
    Cards,
    /// Compute capability of the cards: 90 is `sm_90`.
    Capability,
    /// A card's memory in MiB.
    Mib,
    /// Of it, what other programs hold.
    OthersMib,
    /// The driver's version: 12090 is 12.9.
    Driver,
    /// Whether cards have memory pools.
    Pools,
    /// Multiprocessors of a card: into how many blocks launches are cut.
    Multiprocessors,
    /// In which order blocks, warps and lanes get their turn: 0 as numbered, 1 the reverse, else a permutation.
    Seed,
    /// Threads that emulate; 0 is one for each processor.
    Threads,
    /// 1: what is queued is done as late as a card may; 0: at once.
    Late,
    /// The n-th allocation from now on finds no memory; 0 for none.
    FailAllocation,
    /// And so many after it.
    FailMore,
    /// The context is lost at the n-th launch from now on; 0 for none.
    LoseLaunch,
    /// And again at the n-th launch after each loss; 0 for once.
    LoseAgain,
    /// Only launches on the n-th card count for that; 0 for all.
    LoseCard,
    /// 1: no module loads any more on a card that was lost.
    LoseForGood,
    /// No module loads on the n-th card; 0 for none.
    RefuseCard,
    /// Compute capability of all cards but the first; 0 for that of the first.
    OtherCapability,
    /// 1: cuBLASLt finds no card that it runs on.
    RefuseLibrary,
    /// A status that cuBLASLt's heuristics answer with; 0 for none.
    LibrarySays,
    /// Columns up to which cuBLASLt takes an algorithm that it is asked of; 0 for all.
    LibraryColumns,
}

impl Control {
    const fn name(self) -> &'static str {
        match self {
            Self::Cards => "cards",
            Self::Capability => "capability",
            Self::Mib => "mib",
            Self::OthersMib => "others_mib",
            Self::Driver => "driver",
            Self::Pools => "pools",
            Self::Multiprocessors => "multiprocessors",
            Self::Seed => "seed",
            Self::Threads => "threads",
            Self::Late => "late",
            Self::FailAllocation => "fail_allocation",
            Self::FailMore => "fail_more",
            Self::LoseLaunch => "lose_launch",
            Self::LoseAgain => "lose_again",
            Self::LoseCard => "lose_card",
            Self::LoseForGood => "lose_for_good",
            Self::RefuseCard => "refuse_card",
            Self::OtherCapability => "other_capability",
            Self::RefuseLibrary => "refuse_library",
            Self::LibrarySays => "library_says",
            Self::LibraryColumns => "library_columns",
        }
    }

    /// The variable that sets it before a process starts.
    pub fn variable(self) -> String {
        format!("THUMBFORGE_STANDIN_{}", self.name().to_uppercase())
    }
}

/// What tests count: what lives, and what was done since the library was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Allocations of cards' memory.
    LiveAllocations,
    /// Their bytes.
    LiveBytes,
    /// Memory pools that a program made.
    LivePools,
    /// Ranges of pinned memory.
    LivePinned,
    /// Streams.
    LiveStreams,
    /// Events.
    LiveEvents,
    /// Graphs.
    LiveGraphs,
    /// Graphs made ready.
    LiveExecutables,
    /// Modules.
    LiveModules,
    /// Times that contexts are held.
    LiveContexts,
    /// Allocations asked for.
    Allocations,
    /// Kernels run, of graphs too.
    Launches,
    /// Graphs launched.
    Replays,
    /// Copies done.
    Copies,
    /// What a context took along that worked when its last holder gave it back: things that nobody gave back before.
    Abandoned,
}

impl Figure {
    /// All that a program which gave everything back leaves at 0.
    pub const LIVE: [Self; 10] = [
        Self::LiveAllocations,
        Self::LiveBytes,
        Self::LivePools,
        Self::LivePinned,
        Self::LiveStreams,
        Self::LiveEvents,
        Self::LiveGraphs,
        Self::LiveExecutables,
        Self::LiveModules,
        Self::LiveContexts,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::LiveAllocations => "live_allocations",
            Self::LiveBytes => "live_bytes",
            Self::LivePools => "live_pools",
            Self::LivePinned => "live_pinned",
            Self::LiveStreams => "live_streams",
            Self::LiveEvents => "live_events",
            Self::LiveGraphs => "live_graphs",
            Self::LiveExecutables => "live_executables",
            Self::LiveModules => "live_modules",
            Self::LiveContexts => "live_contexts",
            Self::Allocations => "allocations",
            Self::Launches => "launches",
            Self::Replays => "replays",
            Self::Copies => "copies",
            Self::Abandoned => "abandoned",
        }
    }
}

/// The stand-in, opened in this process. It stays open: threads of it may run until the process ends.
#[derive(Debug)]
pub struct Standin {
    library: Library,
    built: Built,
}

static OPENED: OnceLock<Result<Standin, StandinError>> = OnceLock::new();

impl Standin {
    /// Compiles it where it is not compiled, and opens it, so that whoever looks for `libcuda.so.1` from now on finds it.
    pub fn load() -> Result<&'static Self, StandinError> {
        OPENED.get_or_init(Self::open).as_ref().map_err(Clone::clone)
    }

    /// The same for a test: where there is none, it says so loudly, and `None` lets the test end.
    ///
    /// Where `THUMBFORGE_STANDIN_REQUIRED` is set, as in CI, that is a failure.
    pub fn of_test(test: &str) -> Option<&'static Self> {
        let err = match Self::load() {
            Ok(standin) => return Some(standin),
            Err(err) => err,
        };
        let compiled = matches!(err, StandinError::NotHere { .. });
        assert!(compiled && std::env::var_os("THUMBFORGE_STANDIN_REQUIRED").is_none(), "failed to {err}");
        eprintln!("NOT RUN: {test}: failed to {err}");
        None
    }

    fn open() -> Result<Self, StandinError> {
        let built = build()?;
        let path = built.driver.clone();
        // SAFETY: the library was compiled from this repository's sources; what runs when it is loaded lists kernels' names.
        let library = unsafe { Library::new(&path) };
        let library = library.map_err(|err| StandinError::Open { path, reason: err.to_string() })?;
        Ok(Self { library, built })
    }

    /// Where its libraries lie.
    pub fn built(&self) -> &Built {
        &self.built
    }

    /// # Safety
    /// `T` is the type of the function of this name in `driver/`.
    pub(crate) unsafe fn function<T: Copy>(&self, name: &str) -> T {
        // SAFETY: the caller names the type.
        let found = unsafe { self.library.get::<T>(name.as_bytes()) };
        *found.unwrap_or_else(|err| panic!("the stand-in was compiled without {name}: {err}"))
    }

    /// Turns a control.
    pub fn set(&self, control: Control, value: u64) {
        let name = CString::new(control.name()).unwrap_or_default();
        // SAFETY: it is `int standin_set(const char*, uint64_t)`.
        let set = unsafe { self.function::<unsafe extern "C" fn(*const c_char, u64) -> c_int>("standin_set") };
        // SAFETY: the name ends in 0 and lives.
        let wrong = unsafe { set(name.as_ptr(), value) };
        assert!(wrong == 0, "the stand-in does not know the control {}", control.name());
    }

    fn number(&self, name: &str) -> u64 {
        let text = CString::new(name).unwrap_or_default();
        // SAFETY: it is `uint64_t standin_get(const char*)`.
        let get = unsafe { self.function::<unsafe extern "C" fn(*const c_char) -> u64>("standin_get") };
        // SAFETY: the name ends in 0 and lives.
        let value = unsafe { get(text.as_ptr()) };
        assert!(value != u64::MAX, "the stand-in does not know the figure {name}");
        value
    }

    /// How a control stands.
    pub fn control(&self, control: Control) -> u64 {
        self.number(control.name())
    }

    /// Reads a figure.
    pub fn get(&self, figure: Figure) -> u64 {
        self.number(figure.name())
    }

    fn text(&self, name: &str) -> String {
        // SAFETY: it is `size_t name(char*, size_t)`, for all names that are asked for.
        let read = unsafe { self.function::<unsafe extern "C" fn(*mut c_char, usize) -> usize>(name) };
        let mut bytes = vec![0_u8; 64 << 10];
        // SAFETY: at most so many bytes are written.
        let written = unsafe { read(bytes.as_mut_ptr().cast(), bytes.len()) };
        bytes.truncate(written);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The names of all kernels.
    pub fn kernels(&self) -> Vec<String> {
        self.text("standin_kernels").lines().map(str::to_owned).collect()
    }

    /// Kernels that were run, and how often.
    pub fn launches(&self) -> Vec<(String, u64)> {
        counts(&self.text("standin_launches"))
    }

    /// Functions of the driver that were called, and how often.
    pub fn calls(&self) -> Vec<(String, u64)> {
        counts(&self.text("standin_calls"))
    }

    /// The `call`-th call of a function of the driver from now on fails with `code`; with 0 none does. Functions that wait or give
    /// something back do so first, as those of a driver that tell of what went wrong before.
    pub fn fail(&self, function: &str, call: u64, code: u32) {
        let name = CString::new(function).unwrap_or_default();
        // SAFETY: it is `void standin_fail(const char*, uint64_t, uint32_t)`.
        let fail = unsafe { self.function::<unsafe extern "C" fn(*const c_char, u64, u32)>("standin_fail") };
        // SAFETY: the name ends in 0 and lives.
        unsafe { fail(name.as_ptr(), call, code) }
    }

    /// In how many calls the function of [`Standin::fail`] fails; 0 where it has failed.
    pub fn failing(&self) -> u64 {
        // SAFETY: it is `uint64_t standin_failing()`.
        let failing = unsafe { self.function::<unsafe extern "C" fn() -> u64>("standin_failing") };
        // SAFETY: it takes nothing.
        unsafe { failing() }
    }

    /// Why the last context was lost; empty where none was.
    pub fn fault(&self) -> String {
        self.text("standin_fault")
    }

    /// Kernels of this library take the place of those with their names; `None` brings those back.
    pub fn use_kernels(&self, library: Option<&Path>) -> Result<(), StandinError> {
        let path = library.and_then(|path| CString::new(path.to_str()?).ok());
        // SAFETY: it is `int standin_use_kernels(const char*)`.
        let swap = unsafe { self.function::<unsafe extern "C" fn(*const c_char) -> c_int>("standin_use_kernels") };
        // SAFETY: the path ends in 0 and lives, or is null.
        let wrong = unsafe { swap(path.as_ref().map_or(std::ptr::null(), |path| path.as_ptr())) };
        match (wrong, library) {
            (0, _) | (_, None) => Ok(()),
            (_, Some(path)) => {
                Err(StandinError::Open { path: path.to_path_buf(), reason: "see what it printed".to_owned() })
            }
        }
    }
}

/// Lines of a name and a number.
fn counts(text: &str) -> Vec<(String, u64)> {
    let of = |line: &str| line.split_once(' ').and_then(|(name, count)| Some((name.to_owned(), count.parse().ok()?)));
    text.lines().filter_map(of).collect()
}
