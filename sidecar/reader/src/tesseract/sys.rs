//! Tesseract's C API, loaded at run time: the only unsafe code of this crate.
//!
//! What all of it stands on:
//! - The signatures below are those of `capi.h`, which Tesseract has kept since 4.0; [`Api::load`] refuses any other major version.
//! - A library is never unloaded: it may have left threads and destructors behind. So a function's address is good for ever,
//!   and [`Api`] is a `'static` reference.
//! - A [`Handle`] owns its C object from `Create` to `Delete`, and is moved between threads but never shared:
//!   it is `Send`, not `Sync`, and every method takes `&mut self`.
//! - Parameters that all handles share are written once, while a library is loaded and before a handle of ours reads.
//! - What a call returns is copied before the next call, and given back by the function that the header names for it.
#![expect(unsafe_code, reason = "a C library that is looked up at run time; every block argues for itself")]
#![warn(clippy::undocumented_unsafe_blocks)]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::sync::{Mutex, PoisonError};

use libloading::Library;

use crate::plane::Plane;

/// Symbols of one page that are looked at. A page of 4096² pixels in letters of 12 pixels has fewer than half as many.
const SYMBOLS_MAX: usize = 65_536;
/// Bytes of one symbol's text: the longest cluster of a script (a Hindi conjunct) has under 40.
const SYMBOL_BYTES_MAX: usize = 256;
/// Longest time for one pass, in milliseconds. The largest picture takes under ten seconds on a busy machine.
const PASS_MS_MAX: c_int = 60_000;
/// Pixels a side: Tesseract counts in 16 bits with a sign.
const SIDE_MAX: u32 = 32_000;
/// It fails on pictures of a few pixels; no letter is that small.
const SIDE_MIN: u32 = 8;
/// Its neural engine alone (`OEM_LSTM_ONLY`): the older one learns from page to page, so that readings would depend on their order.
const LSTM_ONLY: c_int = 1;
/// `RIL_TEXTLINE`, `RIL_WORD` and `RIL_SYMBOL`.
const LINE: c_int = 2;
const WORD: c_int = 3;
const SYMBOL: c_int = 4;

/// What a handle is made with, beside the language.
///
/// The dictionaries are off: they make words out of what is nearly one, and a letter that is wrong by design has to stay wrong.
/// Nor may a page teach the next one.
const PARAMETERS: [(&CStr, &CStr); 7] = [
    (c"load_system_dawg", c"0"),
    (c"load_freq_dawg", c"0"),
    (c"load_unambig_dawg", c"0"),
    (c"load_punc_dawg", c"0"),
    (c"load_number_dawg", c"0"),
    (c"load_bigram_dawg", c"0"),
    (c"tessedit_enable_doc_dict", c"0"),
];

/// The C object of one handle.
type Base = *mut c_void;
type Init4 = unsafe extern "C" fn(
    Base,
    *const c_char,
    *const c_char,
    c_int,
    *mut *mut c_char,
    c_int,
    *mut *mut c_char,
    *mut *mut c_char,
    usize,
    c_int,
) -> c_int;
type Init5 = unsafe extern "C" fn(
    Base,
    *const c_char,
    c_int,
    *const c_char,
    c_int,
    *mut *mut c_char,
    c_int,
    *mut *mut c_char,
    *mut *mut c_char,
    usize,
    c_int,
) -> c_int;

/// The functions of one loaded library.
pub(super) struct Api {
    version: String,
    create: unsafe extern "C" fn() -> Base,
    delete: unsafe extern "C" fn(Base),
    init4: Init4,
    /// From data in memory; since 5.0.
    init5: Option<Init5>,
    set_variable: unsafe extern "C" fn(Base, *const c_char, *const c_char) -> c_int,
    set_page_mode: unsafe extern "C" fn(Base, c_int),
    set_image: unsafe extern "C" fn(Base, *const u8, c_int, c_int, c_int, c_int),
    set_resolution: unsafe extern "C" fn(Base, c_int),
    recognize: unsafe extern "C" fn(Base, *mut c_void) -> c_int,
    iterator: unsafe extern "C" fn(Base) -> *mut c_void,
    clear: unsafe extern "C" fn(Base),
    delete_text: unsafe extern "C" fn(*const c_char),
    iterator_delete: unsafe extern "C" fn(*mut c_void),
    iterator_next: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
    iterator_text: unsafe extern "C" fn(*const c_void, c_int) -> *mut c_char,
    iterator_confidence: unsafe extern "C" fn(*const c_void, c_int) -> f32,
    iterator_page: unsafe extern "C" fn(*const c_void) -> *const c_void,
    page_begins: unsafe extern "C" fn(*const c_void, c_int) -> c_int,
    page_box: unsafe extern "C" fn(*const c_void, c_int, *mut c_int, *mut c_int, *mut c_int, *mut c_int) -> c_int,
    monitor_create: unsafe extern "C" fn() -> *mut c_void,
    monitor_delete: unsafe extern "C" fn(*mut c_void),
    monitor_deadline: unsafe extern "C" fn(*mut c_void, c_int),
    /// How loud the library beneath is on standard error.
    leptonica_severity: Option<unsafe extern "C" fn(c_int) -> c_int>,
    /// OpenMP's own switch, where the library was built with it.
    ///
    /// Tesseract asks for four threads wherever it runs in parallel, whatever `omp_set_num_threads` says, and four threads that
    /// spin for one another on two busy cores take many times the time of one. `OMP_THREAD_LIMIT=1` would stop them, but OpenMP
    /// reads it when it is loaded, and a process with threads cannot set its environment safely. With no active level allowed
    /// every parallel region is run by the thread that meets it; the setting belongs to the calling thread alone.
    omp_levels: Option<unsafe extern "C" fn(c_int)>,
}

/// Why a library cannot be used.
#[derive(Debug)]
pub(super) enum LoadError {
    /// The system does not find it, in its own words.
    Absent(String),
    /// It is there, and is not what it should be.
    Unusable(String),
}

/// Libraries that this process has loaded, by the names they were loaded by.
static LOADED: Mutex<BTreeMap<PathBuf, &'static Api>> = Mutex::new(BTreeMap::new());
/// One handle is made at a time.
static MAKING: Mutex<()> = Mutex::new(());

impl Api {
    /// Loads the library at `path`, or by that name from where the system looks. The second time it is already there.
    pub(super) fn load(path: &Path) -> Result<&'static Self, LoadError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(api) = loaded.get(path) {
            return Ok(api);
        }
        // SAFETY: loading runs the library's initialisers, so that the user answers for the file as for any program that they
        // run: it is the one their settings name (by hash where they pin it), or the one that the system's loader finds.
        let library = unsafe { open(path) }.map_err(|err| LoadError::Absent(err.to_string()))?;
        let api: &'static Self = Box::leak(Box::new(Self::of(Box::leak(Box::new(library)))?));
        api.quiet()?;
        loaded.insert(path.to_owned(), api);
        Ok(api)
    }

    fn of(library: &'static Library) -> Result<Self, LoadError> {
        // SAFETY: `TessVersion` has had this signature in every version, and gives text that is never freed.
        let version = unsafe {
            let version: extern "C" fn() -> *const c_char = find(library, c"TessVersion")?;
            let version = version();
            if version.is_null() { String::new() } else { CStr::from_ptr(version).to_string_lossy().into_owned() }
        };
        if !matches!(version.split('.').next(), Some("4" | "5")) {
            let says = if version.is_empty() { "nothing".to_owned() } else { version };
            return Err(LoadError::Unusable(format!("it says that its version is {says}; 4 and 5 are known")));
        }
        // SAFETY: each name is given the type that `capi.h` of versions 4 and 5 declares for it. C's `BOOL` is an `int` there.
        unsafe {
            Ok(Self {
                version,
                create: find(library, c"TessBaseAPICreate")?,
                delete: find(library, c"TessBaseAPIDelete")?,
                init4: find(library, c"TessBaseAPIInit4")?,
                init5: find(library, c"TessBaseAPIInit5").ok(),
                set_variable: find(library, c"TessBaseAPISetVariable")?,
                set_page_mode: find(library, c"TessBaseAPISetPageSegMode")?,
                set_image: find(library, c"TessBaseAPISetImage")?,
                set_resolution: find(library, c"TessBaseAPISetSourceResolution")?,
                recognize: find(library, c"TessBaseAPIRecognize")?,
                iterator: find(library, c"TessBaseAPIGetIterator")?,
                clear: find(library, c"TessBaseAPIClear")?,
                delete_text: find(library, c"TessDeleteText")?,
                iterator_delete: find(library, c"TessResultIteratorDelete")?,
                iterator_next: find(library, c"TessResultIteratorNext")?,
                iterator_text: find(library, c"TessResultIteratorGetUTF8Text")?,
                iterator_confidence: find(library, c"TessResultIteratorConfidence")?,
                iterator_page: find(library, c"TessResultIteratorGetPageIteratorConst")?,
                page_begins: find(library, c"TessPageIteratorIsAtBeginningOf")?,
                page_box: find(library, c"TessPageIteratorBoundingBox")?,
                monitor_create: find(library, c"TessMonitorCreate")?,
                monitor_delete: find(library, c"TessMonitorDelete")?,
                monitor_deadline: find(library, c"TessMonitorSetDeadlineMSecs")?,
                leptonica_severity: dependency(library, c"setMsgSeverity", &["liblept-5.dll", "libleptonica-6.dll"]),
                omp_levels: dependency(
                    library,
                    c"omp_set_max_active_levels",
                    &["libgomp-1.dll", "libomp.dll", "vcomp140.dll"],
                ),
            })
        }
    }

    /// What the library says of itself, as in "5.3.0".
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Sends its remarks ("Empty page!!") nowhere. All handles share this parameter, so it is set once, under the lock of
    /// [`LOADED`], before any handle of this library reads.
    fn quiet(&'static self) -> Result<(), LoadError> {
        let nowhere = if cfg!(windows) { c"nul" } else { c"/dev/null" };
        let handle = Handle::create(self).ok_or_else(|| LoadError::Unusable("it makes no handle".to_owned()))?;
        // SAFETY: the handle is alive, and both texts end in a zero and are copied by the call.
        unsafe { (self.set_variable)(handle.base.as_ptr(), c"debug_file".as_ptr(), nowhere.as_ptr()) };
        if let Some(severity) = self.leptonica_severity {
            // SAFETY: it takes any number, and sets below what nothing is said; 6 is nothing at all.
            unsafe { severity(6) };
        }
        Ok(())
    }
}

/// Loads a library, and what it depends on.
///
/// Windows looks for that in the current directory too unless it is told not to: it is to take the library's own folder, the
/// program's and the system's. It asks for an absolute path then.
///
/// # Safety
/// As for [`Library::new`].
unsafe fn open(path: &Path) -> Result<Library, libloading::Error> {
    #[cfg(windows)]
    {
        use libloading::os::windows::{
            LOAD_LIBRARY_SEARCH_DEFAULT_DIRS, LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR, Library as Dll,
        };
        // SAFETY: as the caller says.
        unsafe { Dll::load_with_flags(path, LOAD_LIBRARY_SEARCH_DEFAULT_DIRS | LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR) }
            .map(Library::from)
    }
    #[cfg(not(windows))]
    {
        // SAFETY: as the caller says.
        unsafe { Library::new(path) }
    }
}

/// A function of `library`.
///
/// # Safety
/// `T` is the type of a function pointer, and of the function that the library has under this name.
unsafe fn find<T: Copy>(library: &'static Library, name: &CStr) -> Result<T, LoadError> {
    // SAFETY: the caller vouches for the type.
    match unsafe { library.get::<T>(name.to_bytes_with_nul()) } {
        Ok(symbol) => Ok(*symbol),
        Err(_) => Err(LoadError::Unusable(format!("it has no function {}", name.to_string_lossy()))),
    }
}

/// A function of what `library` depends on, which on Windows is found by its file's name.
///
/// # Safety
/// As for [`find`].
unsafe fn dependency<T: Copy>(library: &'static Library, name: &CStr, dlls: &[&str]) -> Option<T> {
    #[cfg(windows)]
    {
        let _ = library;
        dlls.iter().find_map(|dll| {
            let loaded = libloading::os::windows::Library::open_already_loaded(*dll).ok()?;
            let loaded: &'static Library = Box::leak(Box::new(loaded.into()));
            // SAFETY: the caller vouches for the type.
            unsafe { find(loaded, name) }.ok()
        })
    }
    #[cfg(not(windows))]
    {
        // The lookup goes on into what the library itself depends on, so this is the function that it calls.
        let _ = dlls;
        // SAFETY: the caller vouches for the type.
        unsafe { find(library, name) }.ok()
    }
}

/// One symbol that was read: a letter with its marks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Symbol {
    /// As it was read.
    pub(crate) text: String,
    /// How sure the engine is of it, 0 to 100.
    pub(crate) confidence: f32,
    /// How sure it is of the whole word, 0 to 100; by far the better sign of letters that are none.
    pub(crate) word_confidence: f32,
    /// Left, top, right, bottom in pixels of the plane.
    pub(crate) place: [i32; 4],
    /// Whether a word begins here.
    pub(crate) starts_word: bool,
    /// Whether a line begins here.
    pub(crate) starts_line: bool,
}

/// One Tesseract with one language.
pub(super) struct Handle {
    api: &'static Api,
    base: NonNull<c_void>,
}

// SAFETY: Tesseract keeps what belongs to a handle in its object and uses nothing of the thread that made it; `&mut self` on
// every method means that one thread at a time has it.
unsafe impl Send for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: `base` came from `create` and is deleted here only.
        unsafe { (self.api.delete)(self.base.as_ptr()) };
    }
}

impl Handle {
    fn create(api: &'static Api) -> Option<Self> {
        // SAFETY: the function takes nothing and gives an object that is ours to delete.
        NonNull::new(unsafe { (api.create)() }).map(|base| Self { api, base })
    }

    /// A handle that reads `language` by `data`, the bytes of its file, which lies in `folder`.
    ///
    /// Version 5 reads the very bytes that were hashed; version 4 opens the file once more.
    pub(super) fn new(api: &'static Api, folder: &Path, language: &str, data: &[u8]) -> Result<Self, String> {
        let text = |text: &str| CString::new(text).map_err(|_| format!("{text:?} has a zero byte in it"));
        let language = text(language)?;
        let folder = text(folder.to_str().ok_or_else(|| format!("{} is no Unicode", folder.display()))?)?;
        let bytes = c_int::try_from(data.len()).map_err(|_| "the language data is over 2 GiB".to_owned())?;
        let mut names = PARAMETERS.map(|(name, _)| name.as_ptr().cast_mut());
        let mut values = PARAMETERS.map(|(_, value)| value.as_ptr().cast_mut());
        let (names, values) = (names.as_mut_ptr(), values.as_mut_ptr());
        let (count, none) = (PARAMETERS.len(), ptr::null_mut());
        let _one_at_a_time = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let handle = Self::create(api).ok_or("Tesseract makes no handle")?;
        let base = handle.base.as_ptr();
        // SAFETY: the handle is alive; texts end in zeros; `names` and `values` have `count` elements each, which are copied
        // and, though C says no `const`, not written to; `data` has `bytes` bytes, which are copied.
        let failed = unsafe {
            match api.init5 {
                Some(init) => {
                    let data = data.as_ptr().cast();
                    init(base, data, bytes, language.as_ptr(), LSTM_ONLY, none, 0, names, values, count, 0)
                }
                None => {
                    let (folder, language) = (folder.as_ptr(), language.as_ptr());
                    (api.init4)(base, folder, language, LSTM_ONLY, none, 0, names, values, count, 0)
                }
            }
        };
        if failed != 0 {
            return Err(
                "Tesseract does not take the language data: the file is damaged, or of another version".to_owned()
            );
        }
        Ok(handle)
    }

    /// Reads `plane` in the page mode `mode` (Tesseract's numbers). `ppi` is what its size is reckoned by, and `invert` says
    /// whether lines that read badly are read once more with black and white exchanged.
    pub(super) fn read(&mut self, plane: &Plane, mode: c_int, ppi: c_int, invert: bool) -> Result<Vec<Symbol>, String> {
        let [width, height] = [plane.width(), plane.height()];
        if width.min(height) < SIDE_MIN || width.max(height) > SIDE_MAX {
            return Ok(Vec::new());
        }
        let (api, base) = (self.api, self.base.as_ptr());
        if let Some(levels) = api.omp_levels {
            // SAFETY: it takes any number from 0 and changes a setting of this thread.
            unsafe { levels(0) };
        }
        // SAFETY: the handle is alive; a plane has exactly `width * height` bytes, one a pixel and `width` a row, which the call
        // copies; both fit into an int by the check above.
        unsafe {
            // Version 4 has the parameter, and so has 5.
            (api.set_variable)(base, c"tessedit_do_invert".as_ptr(), if invert { c"1" } else { c"0" }.as_ptr());
            (api.set_page_mode)(base, mode);
            (api.set_image)(base, plane.pixels().as_ptr(), width as c_int, height as c_int, 1, width as c_int);
            (api.set_resolution)(base, ppi);
        }
        // SAFETY: a monitor lives from here to its deletion below, and the handle keeps no pointer to it after the call.
        let failed = unsafe {
            let monitor = (api.monitor_create)();
            if monitor.is_null() {
                return Err("Tesseract makes no monitor".to_owned());
            }
            (api.monitor_deadline)(monitor, PASS_MS_MAX);
            let failed = (api.recognize)(base, monitor);
            (api.monitor_delete)(monitor);
            failed
        };
        let symbols = if failed == 0 { Ok(self.symbols()) } else { Err("Tesseract gave up on the picture".to_owned()) };
        // SAFETY: the handle is alive, and everything that was read of it has been copied.
        unsafe { (api.clear)(base) };
        symbols
    }

    /// Copies out what the last pass read.
    fn symbols(&mut self) -> Vec<Symbol> {
        let api = self.api;
        let mut symbols = Vec::new();
        // SAFETY: the handle is alive and has recognised its image; null means that there is nothing.
        let iterator = unsafe { (api.iterator)(self.base.as_ptr()) };
        if iterator.is_null() {
            return symbols;
        }
        for _ in 0..SYMBOLS_MAX {
            // SAFETY: the iterator is alive until it is deleted below, the page iterator is the same object by another type,
            // and no image is set meanwhile. The four ints outlive the call.
            let (begins, place) = unsafe {
                let page = (api.iterator_page)(iterator);
                let begins = [WORD, LINE].map(|level| (api.page_begins)(page, level) != 0);
                let mut place = [0; 4];
                let [l, t, r, b] = &mut place;
                ((api.page_box)(page, SYMBOL, l, t, r, b) != 0)
                    .then_some(place)
                    .map_or((begins, [0; 4]), |p| (begins, p))
            };
            // SAFETY: as above; the text is null or ends in a zero, is copied, and goes back to the library that made it.
            let text = unsafe {
                let text = (api.iterator_text)(iterator, SYMBOL);
                if text.is_null() {
                    String::new()
                } else {
                    let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
                    (api.delete_text)(text);
                    copy
                }
            };
            // SAFETY: as above.
            let sure = unsafe { [SYMBOL, WORD].map(|level| (api.iterator_confidence)(iterator, level)) };
            if !text.is_empty() && text.len() <= SYMBOL_BYTES_MAX {
                let [confidence, word_confidence] =
                    sure.map(|sure| if sure.is_finite() { sure.clamp(0.0, 100.0) } else { 0.0 });
                let [starts_word, starts_line] = begins;
                symbols.push(Symbol { text, confidence, word_confidence, place, starts_word, starts_line });
            }
            // SAFETY: as above; zero means that it stands behind the last symbol.
            if unsafe { (api.iterator_next)(iterator, SYMBOL) } == 0 {
                break;
            }
        }
        // SAFETY: the iterator is ours, and is not used again.
        unsafe { (api.iterator_delete)(iterator) };
        symbols
    }
}
