//! NVIDIA's driver: what it gives, each thing owned by something that gives it back. The one place that knows cudarc.
//!
//! The library is looked up when the program runs. cudarc ends the thread in a panic where a library or a function is
//! missing, so [`open`] looks for the library and for every function that is used here before anything is called.
//!
//! ```text
//! open ─► cards ─► Context ─► Stream, Event, Module ─► Function, Memory, Pool, Pinned, Recorded
//!                     ▲ every one of them holds it, so it goes last
//! ```
//! Addresses of the card are numbers here: a function that has the card read or write at one is `unsafe`, and whoever calls
//! it says why something lies there. Errors that end a context stick to it: [`Context::is_lost`], and what is dropped after
//! that is given up without asking the driver.

use std::ffi::{CStr, CString, c_char, c_uint, c_void};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cudarc::driver::sys::{self, CUdevice_attribute as Attribute, CUresult};
use parking_lot::Mutex;

use crate::error::CudaError;
use crate::launch::{Address, Args, Launch, Misfit};

/// The oldest driver that is used: CUDA 12.0. Kernels compiled with 12.9 run on all drivers of 12 ("minor version
/// compatibility" in NVIDIA's CUDA Compatibility), and none of 11.
pub const VERSION_MIN: u32 = 12_000;

/// Pools of the driver take a largest size from CUDA 12.2 on (`CUmemPoolProps::maxSize`).
const VERSION_POOL_CAPS: u32 = 12_020;

/// Every function that is called here. A driver of [`VERSION_MIN`] has them all.
const FUNCTIONS: &[&str] = &[
    "cuInit",
    "cuDriverGetVersion",
    "cuGetErrorName",
    "cuGetErrorString",
    "cuDeviceGet",
    "cuDeviceGetCount",
    "cuDeviceGetName",
    "cuDeviceGetUuid_v2",
    "cuDeviceTotalMem_v2",
    "cuDeviceGetAttribute",
    "cuDevicePrimaryCtxRetain",
    "cuDevicePrimaryCtxRelease_v2",
    "cuDevicePrimaryCtxReset_v2",
    "cuCtxSetCurrent",
    "cuMemGetInfo_v2",
    "cuMemAlloc_v2",
    "cuMemFree_v2",
    "cuMemHostAlloc",
    "cuMemFreeHost",
    "cuMemcpyHtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyDtoDAsync_v2",
    "cuMemsetD8Async",
    "cuStreamCreate",
    "cuStreamDestroy_v2",
    "cuStreamSynchronize",
    "cuStreamBeginCapture_v2",
    "cuStreamEndCapture",
    "cuEventCreate",
    "cuEventRecord",
    "cuEventSynchronize",
    "cuEventDestroy_v2",
    "cuModuleLoadData",
    "cuModuleUnload",
    "cuModuleGetFunction",
    "cuFuncSetAttribute",
    "cuFuncGetAttribute",
    "cuLaunchKernel",
    "cuGraphInstantiateWithFlags",
    "cuGraphLaunch",
    "cuGraphExecDestroy",
    "cuGraphDestroy",
];

/// Functions of memory pools, which are used where a card supports them.
const POOL_FUNCTIONS: &[&str] = &[
    "cuMemPoolCreate",
    "cuMemPoolDestroy",
    "cuMemPoolTrimTo",
    "cuMemPoolGetAttribute",
    "cuMemAllocFromPoolAsync",
    "cuMemFreeAsync",
];

/// Says how threads wait; used where it is there.
const WAITING: &str = "cuDevicePrimaryCtxSetFlags_v2";

/// A version as the driver has it (12090) in people's words.
pub fn version_words(version: u32) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}

/// A card, as the driver describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Its number, from 0.
    pub ordinal: u32,
    /// As its maker calls it.
    pub name: String,
    /// Compute capability: major, minor.
    pub capability: (u32, u32),
    /// Multiprocessors.
    pub multiprocessors: u32,
    /// Bytes of shared memory that a block may ask for.
    pub shared_bytes: u32,
    /// All of its memory.
    pub total_bytes: u64,
    /// The same wherever the card is put.
    pub uuid: [u8; 16],
    /// Whether the driver has memory pools with a largest size for it.
    pub pools: bool,
}

/// The driver, started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Driver {
    /// As the driver has it: 12090 for CUDA 12.9.
    pub version: u32,
}

/// Starts the driver.
///
/// # Errors
/// [`CudaError::NoDriver`], [`CudaError::OldDriver`], or what the driver says.
pub fn open() -> Result<Driver, CudaError> {
    // SAFETY: it loads and unloads the driver's library by its usual names, whose initialisers are NVIDIA's.
    if !unsafe { sys::is_culib_present() } {
        let reason = "its library (libcuda.so.1 or nvcuda.dll) is not on this machine";
        return Err(CudaError::NoDriver { reason: reason.to_owned() });
    }
    let lacking = FUNCTIONS.iter().find(|name| !has(name));
    if !has("cuDriverGetVersion") || !has("cuInit") || !has("cuGetErrorName") || !has("cuGetErrorString") {
        return Err(CudaError::NoDriver { reason: "its library is damaged: functions are missing".to_owned() });
    }
    // SAFETY: it takes a number, and may be called any number of times from any thread.
    let started = unsafe { sys::cuInit(0) };
    if started == CUresult::CUDA_ERROR_NO_DEVICE {
        return Err(CudaError::NoDevice);
    }
    told("cuInit", started, 0)?;
    let mut version = 0;
    // SAFETY: it writes one number.
    told("cuDriverGetVersion", unsafe { sys::cuDriverGetVersion(&raw mut version) }, 0)?;
    let version = u32::try_from(version).unwrap_or(0);
    let old = |needed: String| CudaError::OldDriver { found: version_words(version), needed };
    if version < VERSION_MIN {
        return Err(old(version_words(VERSION_MIN)));
    }
    match lacking {
        Some(name) => Err(old(format!("a driver with {name}"))),
        None => Ok(Driver { version }),
    }
}

/// Whether the driver's library has a function. It is loaded when this is called.
fn has(name: &str) -> bool {
    // SAFETY: the library is there, see `open`, and stays loaded.
    let library = unsafe { sys::culib() };
    // SAFETY: the symbol is looked for and not called, so its type does not matter.
    unsafe { library.get::<unsafe extern "C" fn()>(name.as_bytes()) }.is_ok()
}

impl Driver {
    /// All cards that it sees.
    ///
    /// # Errors
    /// [`CudaError::NoDevice`], or what the driver says.
    pub fn cards(self) -> Result<Vec<Card>, CudaError> {
        let mut count = 0;
        // SAFETY: it writes one number.
        told("cuDeviceGetCount", unsafe { sys::cuDeviceGetCount(&raw mut count) }, 0)?;
        let count = u32::try_from(count).unwrap_or(0);
        if count == 0 {
            return Err(CudaError::NoDevice);
        }
        (0..count).map(|ordinal| self.card(ordinal)).collect()
    }

    fn card(self, ordinal: u32) -> Result<Card, CudaError> {
        let device = device(ordinal)?;
        let mut name = [0u8; 128];
        // SAFETY: it writes at most as many bytes as it is told, a zero among them.
        let named = unsafe { sys::cuDeviceGetName(name.as_mut_ptr().cast::<c_char>(), 127, device) };
        told("cuDeviceGetName", named, 0)?;
        let name = CStr::from_bytes_until_nul(&name).map(|name| name.to_string_lossy().into_owned());
        let mut uuid = sys::CUuuid { bytes: [0; 16] };
        // SAFETY: it writes sixteen bytes.
        told("cuDeviceGetUuid", unsafe { sys::cuDeviceGetUuid_v2(&raw mut uuid, device) }, 0)?;
        let mut total = 0usize;
        // SAFETY: it writes one number.
        told("cuDeviceTotalMem", unsafe { sys::cuDeviceTotalMem_v2(&raw mut total, device) }, 0)?;
        let pools = attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED)? != 0;
        Ok(Card {
            ordinal,
            name: name.unwrap_or_else(|_| format!("GPU {ordinal}")),
            capability: (
                attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
                attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
            ),
            multiprocessors: attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
            shared_bytes: attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?,
            total_bytes: total as u64,
            uuid: uuid.bytes.map(|byte| byte as u8),
            pools: pools && self.version >= VERSION_POOL_CAPS && POOL_FUNCTIONS.iter().all(|name| has(name)),
        })
    }
}

fn device(ordinal: u32) -> Result<sys::CUdevice, CudaError> {
    let mut device = 0;
    let number = i32::try_from(ordinal).unwrap_or(i32::MAX);
    // SAFETY: it writes one number.
    told("cuDeviceGet", unsafe { sys::cuDeviceGet(&raw mut device, number) }, 0)?;
    Ok(device)
}

fn attribute(device: sys::CUdevice, attribute: Attribute) -> Result<u32, CudaError> {
    let mut value = 0;
    // SAFETY: it writes one number.
    told("cuDeviceGetAttribute", unsafe { sys::cuDeviceGetAttribute(&raw mut value, attribute, device) }, 0)?;
    Ok(u32::try_from(value).unwrap_or(0))
}

/// Whether an error ends the context: the card stopped in the middle of something, or is gone. The driver gives the same
/// answer to all that comes after ("sticky errors").
fn ends_context(code: CUresult) -> bool {
    matches!(
        code,
        CUresult::CUDA_ERROR_DEINITIALIZED
            | CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE
            | CUresult::CUDA_ERROR_ECC_UNCORRECTABLE
            | CUresult::CUDA_ERROR_NVLINK_UNCORRECTABLE
            | CUresult::CUDA_ERROR_CONTAINED
            | CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
            | CUresult::CUDA_ERROR_LAUNCH_TIMEOUT
            | CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED
            | CUresult::CUDA_ERROR_ASSERT
            | CUresult::CUDA_ERROR_HARDWARE_STACK_ERROR
            | CUresult::CUDA_ERROR_ILLEGAL_INSTRUCTION
            | CUresult::CUDA_ERROR_MISALIGNED_ADDRESS
            | CUresult::CUDA_ERROR_INVALID_ADDRESS_SPACE
            | CUresult::CUDA_ERROR_INVALID_PC
            | CUresult::CUDA_ERROR_LAUNCH_FAILED
            | CUresult::CUDA_ERROR_EXTERNAL_DEVICE
            | CUresult::CUDA_ERROR_UNKNOWN
    )
}

/// What the driver says of an error, by one of its two functions that do.
fn words(code: CUresult, ask: unsafe fn(CUresult, *mut *const c_char) -> CUresult) -> Option<String> {
    let mut text = std::ptr::null();
    // SAFETY: it writes one pointer, and takes any number for a code.
    let found = unsafe { ask(code, &raw mut text) };
    if found != CUresult::CUDA_SUCCESS || text.is_null() {
        return None;
    }
    // SAFETY: the driver gave a text of its own, which ends in zero and stays.
    Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// An answer of the driver as one of ours. `bytes` is what a call for memory asked for.
fn told(call: &'static str, code: CUresult, bytes: u64) -> Result<(), CudaError> {
    if code == CUresult::CUDA_SUCCESS {
        return Ok(());
    }
    if code == CUresult::CUDA_ERROR_OUT_OF_MEMORY {
        return Err(CudaError::OutOfMemory { call, bytes });
    }
    let name = words(code, sys::cuGetErrorName).unwrap_or_else(|| format!("error {}", code as u32));
    let text = words(code, sys::cuGetErrorString).unwrap_or_else(|| "the driver does not say what it is".to_owned());
    match ends_context(code) {
        true => Err(CudaError::Lost { call, name, text }),
        false => Err(CudaError::Driver { call, name, text }),
    }
}

/// A card's context: all that is on the card belongs to it. A copy is the same one.
#[derive(Clone, Debug)]
pub struct Context(Arc<Held>);

#[derive(Debug)]
struct Held {
    device: sys::CUdevice,
    raw: sys::CUcontext,
    /// [`Card::shared_bytes`].
    shared_bytes: u32,
    /// The first error that ended it, if one did.
    lost: Mutex<Option<CudaError>>,
    is_lost: AtomicBool,
}

// SAFETY: a context may be made current and used by any number of threads; the driver locks what it must.
unsafe impl Send for Held {}
// SAFETY: as above.
unsafe impl Sync for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        if self.is_lost.load(Ordering::Acquire) {
            // An ended context answers nothing but its error, also to who takes it up again. A reset makes the next one a new
            // one. What else of this process uses the card loses nothing by it: its context is this one.
            // SAFETY: everything that was on the context holds it, so all of that is gone.
            let _ = unsafe { sys::cuDevicePrimaryCtxReset_v2(self.device) };
        }
        // SAFETY: it was retained once, and all that is on it is gone. Nobody can be told of a failure.
        let _ = unsafe { sys::cuDevicePrimaryCtxRelease_v2(self.device) };
    }
}

impl Context {
    /// The context of a card that all parts of a process share.
    ///
    /// # Errors
    /// What the driver says.
    pub fn of(_: Driver, card: &Card) -> Result<Self, CudaError> {
        let device = device(card.ordinal)?;
        if has(WAITING) {
            let sleeps = sys::CUctx_flags::CU_CTX_SCHED_BLOCKING_SYNC as c_uint;
            // A thread that waits sleeps: an editor wants the processor. Where it cannot be set, it spins.
            // SAFETY: it takes numbers.
            let _ = unsafe { sys::cuDevicePrimaryCtxSetFlags_v2(device, sleeps) };
        }
        let mut raw = std::ptr::null_mut();
        // SAFETY: it writes one handle.
        told("cuDevicePrimaryCtxRetain", unsafe { sys::cuDevicePrimaryCtxRetain(&raw mut raw, device) }, 0)?;
        let context = Self(Arc::new(Held {
            device,
            raw,
            shared_bytes: card.shared_bytes,
            lost: Mutex::new(None),
            is_lost: AtomicBool::new(false),
        }));
        context.enter()?;
        Ok(context)
    }

    /// Whether an error has ended it.
    pub fn is_lost(&self) -> bool {
        self.0.is_lost.load(Ordering::Acquire)
    }

    /// Makes it this thread's.
    pub(crate) fn enter(&self) -> Result<(), CudaError> {
        if self.is_lost()
            && let Some(lost) = self.0.lost.lock().clone()
        {
            return Err(lost);
        }
        // SAFETY: the context is held.
        self.told("cuCtxSetCurrent", unsafe { sys::cuCtxSetCurrent(self.0.raw) }, 0)
    }

    /// As [`told`], and remembers an error that ends it.
    fn told(&self, call: &'static str, code: CUresult, bytes: u64) -> Result<(), CudaError> {
        let outcome = told(call, code, bytes);
        if let Err(err @ CudaError::Lost { .. }) = &outcome {
            self.0.lost.lock().get_or_insert_with(|| err.clone());
            self.0.is_lost.store(true, Ordering::Release);
        }
        outcome
    }

    /// Gives something back when its owner goes: nobody is left to be told of a failure, but an ended context is seen.
    fn give_back(&self, call: &'static str, give: impl FnOnce() -> CUresult) {
        if self.enter().is_ok() {
            let _ = self.told(call, give(), 0);
        }
    }

    /// Free bytes of the card, for all programs, and all of its bytes.
    ///
    /// # Errors
    /// What the driver says.
    pub fn memory(&self) -> Result<(u64, u64), CudaError> {
        self.enter()?;
        let (mut free, mut total) = (0usize, 0usize);
        // SAFETY: it writes two numbers.
        self.told("cuMemGetInfo", unsafe { sys::cuMemGetInfo_v2(&raw mut free, &raw mut total) }, 0)?;
        Ok((free as u64, total as u64))
    }

    /// A stream whose work does not wait for that of others.
    ///
    /// # Errors
    /// What the driver says.
    pub fn stream(&self) -> Result<Stream, CudaError> {
        self.enter()?;
        let mut raw = std::ptr::null_mut();
        let flags = sys::CUstream_flags::CU_STREAM_NON_BLOCKING as c_uint;
        // SAFETY: it writes one handle.
        self.told("cuStreamCreate", unsafe { sys::cuStreamCreate(&raw mut raw, flags) }, 0)?;
        Ok(Stream { context: self.clone(), raw })
    }

    /// A mark that streams pass.
    ///
    /// # Errors
    /// What the driver says.
    pub fn event(&self) -> Result<Event, CudaError> {
        self.enter()?;
        let mut raw = std::ptr::null_mut();
        // Who waits for it sleeps.
        let flags = sys::CUevent_flags::CU_EVENT_DISABLE_TIMING as c_uint
            | sys::CUevent_flags::CU_EVENT_BLOCKING_SYNC as c_uint;
        // SAFETY: it writes one handle.
        self.told("cuEventCreate", unsafe { sys::cuEventCreate(&raw mut raw, flags) }, 0)?;
        Ok(Event { context: self.clone(), raw })
    }

    /// Bytes of the card.
    ///
    /// # Errors
    /// [`CudaError::OutOfMemory`], or what the driver says.
    pub fn reserve(&self, bytes: u64) -> Result<Memory, CudaError> {
        self.enter()?;
        let mut at = 0;
        let size = usize::try_from(bytes).unwrap_or(usize::MAX);
        // SAFETY: it writes one address.
        self.told("cuMemAlloc", unsafe { sys::cuMemAlloc_v2(&raw mut at, size) }, bytes)?;
        Ok(Memory { context: self.clone(), at, bytes, of: Of::Card })
    }

    /// Bytes of the host that the card reads and writes by itself.
    ///
    /// # Errors
    /// [`CudaError::OutOfMemory`], or what the driver says.
    pub fn pinned(&self, bytes: usize) -> Result<Pinned, CudaError> {
        self.enter()?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: it writes one pointer.
        self.told("cuMemHostAlloc", unsafe { sys::cuMemHostAlloc(&raw mut raw, bytes, 0) }, bytes as u64)?;
        let no_memory = CudaError::OutOfMemory { call: "cuMemHostAlloc", bytes: bytes as u64 };
        let at = NonNull::new(raw.cast::<u8>()).ok_or(no_memory)?;
        // SAFETY: so many bytes were allocated. Zeros, so that they are initialised for Rust.
        unsafe { at.as_ptr().write_bytes(0, bytes) };
        Ok(Pinned { context: self.clone(), at, bytes })
    }

    /// Kernels.
    ///
    /// # Errors
    /// What the driver says: an image of another card, or a damaged one.
    pub fn module(&self, image: &[u8]) -> Result<Module, CudaError> {
        self.enter()?;
        // The driver reads the length of an image in the image, so it must not be one that ends before.
        if image.len() < 64 {
            return Err(CudaError::Fault(format!("load kernels of {} bytes", image.len())));
        }
        let mut raw = std::ptr::null_mut();
        // SAFETY: it reads an image that its maker wrote whole, and writes one handle.
        let code = unsafe { sys::cuModuleLoadData(&raw mut raw, image.as_ptr().cast::<c_void>()) };
        self.told("cuModuleLoadData", code, 0)?;
        Ok(Module(Arc::new(HeldModule { context: self.clone(), raw })))
    }
}

/// Work of the card in order.
#[derive(Debug)]
pub struct Stream {
    context: Context,
    raw: sys::CUstream,
}

// SAFETY: a stream may be used by any thread whose context is its own, which every function here sees to.
unsafe impl Send for Stream {}
// SAFETY: as above; the driver locks what it must.
unsafe impl Sync for Stream {}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: it was made once; work that is under way is finished by the driver before it goes.
        self.context.give_back("cuStreamDestroy", || unsafe { sys::cuStreamDestroy_v2(self.raw) });
    }
}

impl Stream {
    /// The context that it is of.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The handle, for cuBLASLt.
    pub(crate) fn raw(&self) -> *mut c_void {
        self.raw.cast()
    }

    /// Waits until all is done.
    ///
    /// # Errors
    /// What went wrong on the card since the last time, or what the driver says.
    pub fn wait(&self) -> Result<(), CudaError> {
        self.context.enter()?;
        // SAFETY: the stream is held.
        self.context.told("cuStreamSynchronize", unsafe { sys::cuStreamSynchronize(self.raw) }, 0)
    }

    /// Has the card copy bytes of the host to `to`, later.
    ///
    /// # Safety
    /// As many bytes lie at `to`. The host's are pinned, and nobody writes or frees them until the stream has passed an
    /// [`Event`] that comes after.
    ///
    /// # Errors
    /// What the driver says.
    pub unsafe fn upload(&self, to: Address, from: &[u8]) -> Result<(), CudaError> {
        self.context.enter()?;
        // SAFETY: the caller says so; the length is the slice's.
        let code = unsafe { sys::cuMemcpyHtoDAsync_v2(to, from.as_ptr().cast::<c_void>(), from.len(), self.raw) };
        self.context.told("cuMemcpyHtoDAsync", code, 0)
    }

    /// Has the card copy bytes at `from` to the host, later.
    ///
    /// # Safety
    /// As many bytes lie at `from`. The host's at `to` are pinned, `bytes` of them, and nobody reads, writes or frees them
    /// until the stream has passed an [`Event`] that comes after.
    ///
    /// # Errors
    /// What the driver says.
    pub unsafe fn download(&self, to: *mut u8, from: Address, bytes: usize) -> Result<(), CudaError> {
        self.context.enter()?;
        // SAFETY: the caller says so.
        let code = unsafe { sys::cuMemcpyDtoHAsync_v2(to.cast::<c_void>(), from, bytes, self.raw) };
        self.context.told("cuMemcpyDtoHAsync", code, 0)
    }

    /// Has the card copy bytes from one place to another, later.
    ///
    /// # Safety
    /// As many bytes lie at both, apart from each other.
    ///
    /// # Errors
    /// What the driver says.
    pub unsafe fn copy(&self, to: Address, from: Address, bytes: u64) -> Result<(), CudaError> {
        self.context.enter()?;
        // SAFETY: the caller says so.
        let code = unsafe { sys::cuMemcpyDtoDAsync_v2(to, from, bytes as usize, self.raw) };
        self.context.told("cuMemcpyDtoDAsync", code, 0)
    }

    /// Has the card fill bytes, later.
    ///
    /// # Safety
    /// As many bytes lie at `at`.
    ///
    /// # Errors
    /// What the driver says.
    pub unsafe fn fill(&self, at: Address, byte: u8, bytes: u64) -> Result<(), CudaError> {
        self.context.enter()?;
        // SAFETY: the caller says so.
        let code = unsafe { sys::cuMemsetD8Async(at, byte, bytes as usize, self.raw) };
        self.context.told("cuMemsetD8Async", code, 0)
    }

    /// Runs a kernel, later.
    ///
    /// # Safety
    /// `function` is [`Launch::kernel`] of a module made for this card from the source that `launch` describes, and at every
    /// address among its arguments lies as much as its shapes say, until the stream has passed it.
    ///
    /// # Errors
    /// What the driver says.
    pub unsafe fn launch<L: Launch>(&self, function: &Function, launch: &L) -> Result<(), CudaError> {
        self.context.enter()?;
        function.allow_shared(launch.kernel(), launch.shared_bytes())?;
        let [x, y, z] = launch.grid();
        let args: *const L::Args = launch.args();
        // One parameter: the struct, which the driver copies before it returns.
        let mut parameters = [args.cast_mut().cast::<c_void>()];
        debug_assert!(launch.args().bytes().len() == size_of::<L::Args>());
        // SAFETY: the caller says that the kernel takes this struct and may touch what it names; the array and the struct
        // live until the call returns.
        let code = unsafe {
            sys::cuLaunchKernel(
                function.raw,
                x,
                y,
                z,
                launch.threads(),
                1,
                1,
                launch.shared_bytes(),
                self.raw,
                parameters.as_mut_ptr(),
                std::ptr::null_mut(),
            )
        };
        self.context.told("cuLaunchKernel", code, 0).map_err(|err| match err {
            CudaError::Driver { call, name, text } => {
                let kernel = launch.kernel();
                CudaError::Driver { call, name, text: format!("{text}; {kernel} in {x} x {y} x {z} blocks") }
            }
            other => other,
        })
    }

    /// From here on work of this thread on the stream is recorded and not done.
    ///
    /// # Errors
    /// What the driver says.
    pub fn record(&self) -> Result<Recording<'_>, CudaError> {
        self.context.enter()?;
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream is held and no recording of it is under way: one borrows it until it ends.
        self.context.told("cuStreamBeginCapture", unsafe { sys::cuStreamBeginCapture_v2(self.raw, mode) }, 0)?;
        Ok(Recording { stream: self, open: true })
    }

    /// Does again what was recorded.
    ///
    /// # Safety
    /// As [`Stream::launch`] for every launch that was recorded, at the addresses that it was recorded with.
    ///
    /// # Errors
    /// What the driver says.
    pub unsafe fn replay(&self, recorded: &Recorded) -> Result<(), CudaError> {
        self.context.enter()?;
        // SAFETY: both are held; the caller says that what is recorded may run.
        self.context.told("cuGraphLaunch", unsafe { sys::cuGraphLaunch(recorded.raw, self.raw) }, 0)
    }
}

/// A recording under way. One that is dropped is given up.
pub struct Recording<'a> {
    stream: &'a Stream,
    open: bool,
}

impl std::fmt::Debug for Recording<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recording({:?})", self.stream.raw)
    }
}

impl Recording<'_> {
    fn end(&mut self) -> Result<Option<NonNull<sys::CUgraph_st>>, CudaError> {
        self.open = false;
        let mut graph = std::ptr::null_mut();
        // SAFETY: a recording of this stream is under way, see `Stream::record`; it writes one handle.
        let code = unsafe { sys::cuStreamEndCapture(self.stream.raw, &raw mut graph) };
        self.stream.context.told("cuStreamEndCapture", code, 0)?;
        Ok(NonNull::new(graph))
    }

    /// What was recorded, ready to run.
    ///
    /// # Errors
    /// What the driver says: something was done that cannot be recorded, or there is no memory for it.
    pub fn finish(mut self) -> Result<Recorded, CudaError> {
        let context = self.stream.context.clone();
        context.enter()?;
        let Some(graph) = self.end()? else {
            return Err(CudaError::Fault("record a program: nothing came of it".to_owned()));
        };
        let mut raw = std::ptr::null_mut();
        // SAFETY: the recording gave the graph; it writes one handle.
        let code = unsafe { sys::cuGraphInstantiateWithFlags(&raw mut raw, graph.as_ptr(), 0) };
        let made = context.told("cuGraphInstantiate", code, 0);
        // SAFETY: the graph is ours, and what was made of it does not need it.
        context.give_back("cuGraphDestroy", || unsafe { sys::cuGraphDestroy(graph.as_ptr()) });
        made?;
        Ok(Recorded { context, raw })
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        if !self.open || self.stream.context.enter().is_err() {
            return;
        }
        if let Ok(Some(graph)) = self.end() {
            // SAFETY: the recording gave it, and nobody else has it.
            self.stream.context.give_back("cuGraphDestroy", || unsafe { sys::cuGraphDestroy(graph.as_ptr()) });
        }
    }
}

/// Work that runs again as it was recorded, at the same addresses.
#[derive(Debug)]
pub struct Recorded {
    context: Context,
    raw: sys::CUgraphExec,
}

// SAFETY: it is used by one thread at a time, which may be any.
unsafe impl Send for Recorded {}

impl Drop for Recorded {
    fn drop(&mut self) {
        // SAFETY: it was made once. The driver keeps what still runs of it until it is done.
        self.context.give_back("cuGraphExecDestroy", || unsafe { sys::cuGraphExecDestroy(self.raw) });
    }
}

/// A mark that a stream passes.
#[derive(Debug)]
pub struct Event {
    context: Context,
    raw: sys::CUevent,
}

// SAFETY: an event may be used by any thread; the driver locks what it must.
unsafe impl Send for Event {}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: it was made once.
        self.context.give_back("cuEventDestroy", || unsafe { sys::cuEventDestroy_v2(self.raw) });
    }
}

impl Event {
    /// Stands behind all that `stream` was given so far.
    ///
    /// # Errors
    /// What the driver says.
    pub fn mark(&self, stream: &Stream) -> Result<(), CudaError> {
        self.context.enter()?;
        // SAFETY: both are held.
        self.context.told("cuEventRecord", unsafe { sys::cuEventRecord(self.raw, stream.raw) }, 0)
    }

    /// Waits until the stream has passed where it was last marked; at once where it never was.
    ///
    /// # Errors
    /// What went wrong on the card before, or what the driver says.
    pub fn wait(&self) -> Result<(), CudaError> {
        self.context.enter()?;
        // SAFETY: it is held.
        self.context.told("cuEventSynchronize", unsafe { sys::cuEventSynchronize(self.raw) }, 0)
    }
}

/// Bytes of the card.
#[derive(Debug)]
pub struct Memory {
    context: Context,
    at: Address,
    bytes: u64,
    of: Of,
}

/// What memory was taken from.
#[derive(Debug)]
enum Of {
    Card,
    Pool(Arc<HeldPool>),
}

// SAFETY: it owns an address; nothing is read or written through it.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Where it begins.
    pub fn at(&self) -> Address {
        self.at
    }

    /// How long it is.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        match &self.of {
            // SAFETY: it was allocated once. The driver waits for work that uses it.
            Of::Card => self.context.give_back("cuMemFree", || unsafe { sys::cuMemFree_v2(self.at) }),
            Of::Pool(pool) => {
                // SAFETY: it was taken from a pool once; it goes back when the pool's stream has come here.
                self.context.give_back("cuMemFreeAsync", || unsafe { sys::cuMemFreeAsync(self.at, pool.stream.raw) });
            }
        }
    }
}

/// Memory of the card up to a size, as the driver holds it together. A copy is the same one.
#[derive(Clone, Debug)]
pub struct Pool(Arc<HeldPool>);

#[derive(Debug)]
struct HeldPool {
    raw: sys::CUmemoryPool,
    /// In whose order memory is taken and given back. Dropped behind the pool.
    stream: Arc<Stream>,
}

// SAFETY: the driver locks a pool.
unsafe impl Send for HeldPool {}
// SAFETY: as above.
unsafe impl Sync for HeldPool {}

impl Drop for HeldPool {
    fn drop(&mut self) {
        // SAFETY: it was made once, and all memory of it holds it.
        self.stream.context.give_back("cuMemPoolDestroy", || unsafe { sys::cuMemPoolDestroy(self.raw) });
    }
}

impl Pool {
    /// What a pool takes of the card at a time. No attribute tells it; drivers that people have looked at take 32 MiB.
    pub const STEP_BYTES: u64 = 32 << 20;

    /// Of the card of `stream`, in whose order memory comes and goes; the driver itself gives no more than `most_bytes`.
    ///
    /// # Errors
    /// What the driver says.
    pub fn new(stream: &Arc<Stream>, card: &Card, most_bytes: u64) -> Result<Self, CudaError> {
        stream.context.enter()?;
        let ordinal = i32::try_from(card.ordinal).unwrap_or(i32::MAX);
        let props = sys::CUmemPoolProps {
            allocType: sys::CUmemAllocationType::CU_MEM_ALLOCATION_TYPE_PINNED,
            handleTypes: sys::CUmemAllocationHandleType::CU_MEM_HANDLE_TYPE_NONE,
            location: sys::CUmemLocation { type_: sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE, id: ordinal },
            win32SecurityAttributes: std::ptr::null_mut(),
            maxSize: usize::try_from(most_bytes).unwrap_or(usize::MAX),
            usage: 0,
            reserved: [0; 54],
        };
        let mut raw = std::ptr::null_mut();
        // SAFETY: it reads the properties and writes one handle.
        stream.context.told("cuMemPoolCreate", unsafe { sys::cuMemPoolCreate(&raw mut raw, &raw const props) }, 0)?;
        Ok(Self(Arc::new(HeldPool { raw, stream: stream.clone() })))
    }

    /// Bytes of the card. What its stream does from now on may use them.
    ///
    /// # Errors
    /// [`CudaError::OutOfMemory`], or what the driver says.
    pub fn reserve(&self, bytes: u64) -> Result<Memory, CudaError> {
        let HeldPool { raw, stream } = &*self.0;
        stream.context.enter()?;
        let mut at = 0;
        let size = usize::try_from(bytes).unwrap_or(usize::MAX);
        // SAFETY: pool and stream are held; it writes one address.
        let code = unsafe { sys::cuMemAllocFromPoolAsync(&raw mut at, size, *raw, stream.raw) };
        stream.context.told("cuMemAllocFromPoolAsync", code, bytes)?;
        Ok(Memory { context: stream.context.clone(), at, bytes, of: Of::Pool(self.0.clone()) })
    }

    /// Bytes that it has of the card and nobody holds: the card's free memory, as the driver tells it, is without them.
    ///
    /// # Errors
    /// What the driver says.
    pub fn unused_bytes(&self) -> Result<u64, CudaError> {
        use sys::CUmemPool_attribute::{CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, CU_MEMPOOL_ATTR_USED_MEM_CURRENT};
        let reserved_bytes = self.figure(CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT)?;
        Ok(reserved_bytes.saturating_sub(self.figure(CU_MEMPOOL_ATTR_USED_MEM_CURRENT)?))
    }

    /// An attribute that is a number of 64 bits.
    fn figure(&self, attribute: sys::CUmemPool_attribute) -> Result<u64, CudaError> {
        let HeldPool { raw, stream } = &*self.0;
        stream.context.enter()?;
        let mut value = 0_u64;
        // SAFETY: the pool is held; it writes one number of 64 bits, as all that is asked here are.
        let code = unsafe { sys::cuMemPoolGetAttribute(*raw, attribute, (&raw mut value).cast::<c_void>()) };
        stream.context.told("cuMemPoolGetAttribute", code, 0)?;
        Ok(value)
    }

    /// Gives what nobody holds back to the card, when the stream has come here.
    ///
    /// # Errors
    /// What the driver says.
    pub fn trim(&self) -> Result<(), CudaError> {
        self.0.stream.wait()?;
        // SAFETY: it is held.
        self.0.stream.context.told("cuMemPoolTrimTo", unsafe { sys::cuMemPoolTrimTo(self.0.raw, 0) }, 0)
    }
}

/// Bytes of the host that the card reads and writes by itself.
#[derive(Debug)]
pub struct Pinned {
    context: Context,
    at: NonNull<u8>,
    bytes: usize,
}

// SAFETY: it owns its bytes, as a `Vec<u8>` does.
unsafe impl Send for Pinned {}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: it was allocated once, and whoever had the card use it has waited: see `Stream::upload` and `download`.
        self.context.give_back("cuMemFreeHost", || unsafe { sys::cuMemFreeHost(self.at.as_ptr().cast::<c_void>()) });
    }
}

impl Pinned {
    /// All of it. Who lets the card write to it reads it when the card is done.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: so many bytes were allocated and written; they are ours.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.bytes) }
    }

    /// All of it. Who lets the card read or write it touches it when the card is done.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as `bytes`, and it is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.at.as_ptr(), self.bytes) }
    }
}

/// Kernels on the card. A copy is the same module.
#[derive(Clone, Debug)]
pub struct Module(Arc<HeldModule>);

#[derive(Debug)]
struct HeldModule {
    context: Context,
    raw: sys::CUmodule,
}

// SAFETY: the driver locks a module.
unsafe impl Send for HeldModule {}
// SAFETY: as above.
unsafe impl Sync for HeldModule {}

impl Drop for HeldModule {
    fn drop(&mut self) {
        // SAFETY: it was loaded once, and all functions of it hold it.
        self.context.give_back("cuModuleUnload", || unsafe { sys::cuModuleUnload(self.raw) });
    }
}

impl Module {
    /// A kernel by its name.
    ///
    /// # Errors
    /// What the driver says: there is none of this name.
    pub fn function(&self, name: &str) -> Result<Function, CudaError> {
        self.0.context.enter()?;
        let text = CString::new(name).map_err(|_| CudaError::Fault(format!("find the kernel {name:?}")))?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: the module is held, the name ends in zero; it writes one handle.
        let code = unsafe { sys::cuModuleGetFunction(&raw mut raw, self.0.raw, text.as_ptr()) };
        self.0.context.told("cuModuleGetFunction", code, 0).map_err(|err| match err {
            CudaError::Driver { call, name: error, text } => {
                CudaError::Driver { call, name: error, text: format!("{text}: {name}") }
            }
            other => other,
        })?;
        let mut declared = 0;
        let declares = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES;
        // SAFETY: the module is held; it writes one number.
        let code = unsafe { sys::cuFuncGetAttribute(&raw mut declared, declares, raw) };
        self.0.context.told("cuFuncGetAttribute", code, 0)?;
        let declared = u32::try_from(declared).unwrap_or(0);
        Ok(Function { module: self.clone(), raw, declared, shared: Mutex::new(SHARED_USUAL.saturating_sub(declared)) })
    }
}

/// Bytes of shared memory that a block gets without asking, what its kernel declares among them.
const SHARED_USUAL: u32 = 48 << 10;

/// A kernel.
#[derive(Debug)]
pub struct Function {
    module: Module,
    raw: sys::CUfunction,
    /// Bytes of shared memory that it declares.
    declared: u32,
    /// The most dynamic shared memory that it may be launched with so far.
    shared: Mutex<u32>,
}

// SAFETY: the driver locks a function.
unsafe impl Send for Function {}
// SAFETY: as above.
unsafe impl Sync for Function {}

impl Function {
    /// Lets it be launched with so much dynamic shared memory; a block that the card has not as much for is refused here.
    fn allow_shared(&self, kernel: &'static str, bytes: u32) -> Result<(), CudaError> {
        let (whole, most) = (self.declared.saturating_add(bytes), self.module.0.context.0.shared_bytes);
        if whole > most {
            let reason = format!("its blocks take {whole} bytes of shared memory, and the card has {most}");
            return Err(CudaError::Launch(Misfit { what: kernel, reason }));
        }
        let mut shared = self.shared.lock();
        if bytes > *shared {
            let most = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            let value = i32::try_from(bytes).unwrap_or(i32::MAX);
            // SAFETY: its module is held.
            let code = unsafe { sys::cuFuncSetAttribute(self.raw, most, value) };
            self.module.0.context.told("cuFuncSetAttribute", code, 0)?;
            *shared = bytes;
        }
        Ok(())
    }
}
