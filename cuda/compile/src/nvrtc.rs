//! NVIDIA's run-time compiler, which needs no GPU: found, loaded, asked.
//!
//! It is version 12.9: the last of CUDA 12, whose images drivers of 12.9 and 13 take, and the first that knows all cards
//! that are served. `nvrtc.sh` beside `src` installs it from PyPI.

#![expect(unsafe_code, reason = "NVRTC's functions are C; every block argues for itself")]
#![warn(clippy::undocumented_unsafe_blocks)]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr;

use anyhow::{Context, Result, anyhow, bail, ensure};
use libloading::Library;

use crate::cards::Card;
use crate::sources::{ALL, Source};

/// What the compiler is told beside the card. It prints what each kernel takes; C++17 has `if constexpr`; and functions
/// without a name, which cannot be marked in the emulator's C++, are the card's.
pub const OPTIONS: [&str; 4] =
    ["--std=c++17", "--device-as-default-execution-space", "--ptxas-options=-v", "--ptxas-options=-O3"];

/// Bytes of an image or a log: more is a mistake.
const OUTPUT_BYTES_MAX: usize = 256 << 20;

type Program = *mut c_void;

/// NVRTC, loaded.
pub struct Nvrtc {
    /// Where it was found.
    pub path: PathBuf,
    library: Library,
}

/// What the compiler gave.
pub struct Compiled {
    /// The image.
    pub cubin: Vec<u8>,
    /// What it printed: warnings, and what each kernel takes.
    pub log: String,
}

/// Where NVRTC may be, the likeliest first.
fn places(root: &Path) -> Vec<PathBuf> {
    const NAME: &str = "libnvrtc.so.12";
    let mut places: Vec<PathBuf> = std::env::var_os("THUMBFORGE_NVRTC").into_iter().map(PathBuf::from).collect();
    if places.is_empty() {
        places.push(root.join("target/tools/nvrtc/nvidia/cuda_nvrtc/lib").join(NAME));
        let toolkit = std::env::var_os("CUDA_HOME").or_else(|| std::env::var_os("CUDA_PATH"));
        places.extend(toolkit.map(|toolkit| Path::new(&toolkit).join("lib64").join(NAME)));
        places.push(Path::new("/usr/local/cuda-12.9/lib64").join(NAME));
        places.push(Path::new("/usr/local/cuda/lib64").join(NAME));
    }
    places
}

impl Nvrtc {
    /// Finds and loads it: what `THUMBFORGE_NVRTC` names alone, else `target/tools` of the repository at `root`, then
    /// toolkits.
    ///
    /// # Errors
    /// When there is none, it does not load, or it is another version.
    pub fn find(root: &Path) -> Result<Self> {
        let places = places(root);
        let Some(path) = places.iter().find(|path| path.is_file()) else {
            let list: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
            bail!("find NVRTC 12.9 ({}): run cuda/compile/nvrtc.sh, which installs it", list.join(", "));
        };
        // SAFETY: what NVRTC does when it is loaded is to set up its own tables.
        let library = unsafe { Library::new(path) }.with_context(|| format!("load {}", path.display()))?;
        let nvrtc = Self { path: path.clone(), library };
        let version = nvrtc.version()?;
        ensure!(version == (12, 9), "use NVRTC {}.{} of {}: 12.9 is wanted", version.0, version.1, path.display());
        Ok(nvrtc)
    }

    fn version(&self) -> Result<(c_int, c_int)> {
        let (mut major, mut minor) = (0, 0);
        // SAFETY: the type is that of nvrtc.h.
        let version =
            unsafe { self.library.get::<unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int>(b"nvrtcVersion\0") }?;
        // SAFETY: both places outlive the call.
        let code = unsafe { version(&mut major, &mut minor) };
        self.check(code, "ask for its version")?;
        Ok((major, minor))
    }

    fn check(&self, code: c_int, what: &str) -> Result<()> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: the type is that of nvrtc.h.
        let text =
            unsafe { self.library.get::<unsafe extern "C" fn(c_int) -> *const c_char>(b"nvrtcGetErrorString\0") }?;
        // SAFETY: it takes any number.
        let text = unsafe { text(code) };
        // SAFETY: it gives a string that lasts as long as the library, which `self` holds.
        let text = if text.is_null() { "" } else { unsafe { CStr::from_ptr(text) }.to_str().unwrap_or("") };
        Err(anyhow!("have NVRTC {what}: {text} ({code})"))
    }

    /// Compiles all sources for `card`, as one image.
    ///
    /// # Errors
    /// With the compiler's messages where it refuses.
    pub fn compile(&self, sources: &[Source], card: Card) -> Result<Compiled> {
        let all = sources.iter().find(|source| source.name == ALL).with_context(|| format!("find {ALL}"))?;
        let text = |text: &str| CString::new(text).context("a source has a zero byte in it");
        let (all, name) = (text(&all.text)?, text(ALL)?);
        let mut parts = Vec::new();
        for source in sources.iter().filter(|source| source.name != ALL) {
            parts.push((text(&source.name)?, text(&source.text.replace("\r\n", "\n"))?));
        }
        let names: Vec<*const c_char> = parts.iter().map(|(name, _)| name.as_ptr()).collect();
        let texts: Vec<*const c_char> = parts.iter().map(|(_, text)| text.as_ptr()).collect();

        let mut program: Program = ptr::null_mut();
        type Create = unsafe extern "C" fn(
            *mut Program,
            *const c_char,
            *const c_char,
            c_int,
            *const *const c_char,
            *const *const c_char,
        ) -> c_int;
        // SAFETY: the type is that of nvrtc.h.
        let create = unsafe { self.library.get::<Create>(b"nvrtcCreateProgram\0") }?;
        // SAFETY: all strings end with a zero and outlive the call; both lists have as many entries as are named.
        let code = unsafe {
            create(&mut program, all.as_ptr(), name.as_ptr(), parts.len() as c_int, texts.as_ptr(), names.as_ptr())
        };
        self.check(code, "take the sources")?;
        let compiled = self.run(program, card);
        // SAFETY: the type is that of nvrtc.h.
        let destroy =
            unsafe { self.library.get::<unsafe extern "C" fn(*mut Program) -> c_int>(b"nvrtcDestroyProgram\0") }?;
        // SAFETY: the program was created above and is not used any more.
        unsafe { destroy(&mut program) };
        compiled
    }

    fn run(&self, program: Program, card: Card) -> Result<Compiled> {
        let mut options = vec![CString::new(format!("--gpu-architecture=sm_{}", card.name))?];
        for option in OPTIONS {
            options.push(CString::new(option)?);
        }
        let list: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        type Compile = unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int;
        // SAFETY: the type is that of nvrtc.h.
        let compile = unsafe { self.library.get::<Compile>(b"nvrtcCompileProgram\0") }?;
        // SAFETY: the program is alive, and the list has as many strings as are named, which outlive the call.
        let code = unsafe { compile(program, list.len() as c_int, list.as_ptr()) };
        let log = self.output(program, b"nvrtcGetProgramLogSize\0", b"nvrtcGetProgramLog\0")?;
        let log = String::from_utf8_lossy(log.strip_suffix(&[0]).unwrap_or(&log)).into_owned();
        self.check(code, &format!("compile for sm_{}", card.name)).map_err(|err| anyhow!("{err}\n{log}"))?;
        let cubin = self.output(program, b"nvrtcGetCUBINSize\0", b"nvrtcGetCUBIN\0")?;
        Ok(Compiled { cubin, log })
    }

    /// Bytes that the two functions `size` and `get` tell of.
    fn output(&self, program: Program, size: &[u8], get: &[u8]) -> Result<Vec<u8>> {
        // SAFETY: the type is that of nvrtc.h for both functions that are asked for here.
        let size = unsafe { self.library.get::<unsafe extern "C" fn(Program, *mut usize) -> c_int>(size) }?;
        let mut bytes = 0;
        // SAFETY: the program is alive, and the place outlives the call.
        let code = unsafe { size(program, &mut bytes) };
        self.check(code, "tell a size")?;
        ensure!(bytes <= OUTPUT_BYTES_MAX, "take {bytes} bytes of NVRTC: at most {OUTPUT_BYTES_MAX} are sane");
        let mut output = vec![0u8; bytes];
        // SAFETY: the type is that of nvrtc.h for both functions that are asked for here.
        let get = unsafe { self.library.get::<unsafe extern "C" fn(Program, *mut c_char) -> c_int>(get) }?;
        // SAFETY: the program is alive, and the buffer has the size that was just told.
        let code = unsafe { get(program, output.as_mut_ptr().cast()) };
        self.check(code, "give its output")?;
        Ok(output)
    }
}

/// What the log says of one kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Logged {
    /// Of a thread.
    pub registers: u32,
    /// Of a thread.
    pub frame_bytes: u32,
    /// Stored and loaded because registers did not suffice.
    pub spill_bytes: u32,
    /// That it declares.
    pub shared_bytes: u32,
}

/// What `log` says of every kernel. Spills are told here alone: in an image they are part of the stack frame.
///
/// # Errors
/// When a kernel's lines are not as NVRTC 12.9 writes them.
pub fn logged(log: &str) -> Result<BTreeMap<String, Logged>> {
    // The number before `word` in `line`.
    fn before(line: &str, word: &str) -> Option<u32> {
        line.split_once(word)?.0.trim_end().rsplit([' ', ',', ':']).next()?.parse().ok()
    }
    let mut kernels: BTreeMap<String, Logged> = BTreeMap::new();
    let mut name = String::new();
    for line in log.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            name = rest.split('\'').next().unwrap_or_default().to_owned();
        } else if let Some(frame_bytes) = before(line, "bytes stack frame") {
            let stores = before(line, "bytes spill stores").with_context(|| format!("read the log's line: {line}"))?;
            let loads = before(line, "bytes spill loads").with_context(|| format!("read the log's line: {line}"))?;
            let kernel = kernels.entry(name.clone()).or_default();
            (kernel.frame_bytes, kernel.spill_bytes) = (frame_bytes, stores + loads);
        } else if line.contains(": Used ") {
            let kernel = kernels.entry(name.clone()).or_default();
            kernel.registers = before(line, "registers").with_context(|| format!("read the log's line: {line}"))?;
            kernel.shared_bytes = before(line, "bytes smem").unwrap_or(0);
        }
    }
    Ok(kernels)
}
