//! NVIDIA's cuBLASLt, where it is installed: products of bf16 matrices with bias and GELU in one launch.
//!
//! Its functions are looked up in the very file that was found, and not by name as cudarc would: a machine may have several
//! versions, and which one multiplies decides bytes. Numbers and structs are those of `cublasLt.h`, which have kept their
//! values since CUDA 11.
//!
//! ```text
//! Product ─► takes? (shape, places, what follows) ─► Plan, one for each shape: descriptors, and the algorithm that its
//!        └─► our own kernel                          heuristics put first ─► launch (─► Combine, where the end is a gate)
//! ```
//! Matrices here are row-major and the library's are column-major, so it is asked for the transposed product: `outᵀ = weight
//! · xᵀ`, with a bias for every row of `outᵀ`.
//!
//! Rows in eight bits go to it on Hopper alone, from 12.9 on: there it has products with a scale for every row of both sides
//! (cuBLAS manual, "Outer Vector Scaling for FP8 Data Types", supported by compute capability 9.0), by instructions that our
//! own kernel does not use. The weight stands first and transposed, as the manual asks of fp8, and sides are multiples of 16.
//! What it says of ends is for one scale a matrix; of those only the bias, whose type it lists for all of fp8, and the sum
//! with another matrix, which stands in the formula of this mode, are asked for, and activations are ours.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;

use libloading::Library as File;
use parking_lot::Mutex;
use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::graph::{self, Act};

use crate::driver::Stream;
use crate::error::CudaError;
use crate::exec::{Product, Scales};
use crate::launch::{Address, Mat, Then};

/// What an algorithm may work in: NVIDIA recommends 32 MiB for Hopper, and others use less of it.
const WORKSPACE_BYTES: u64 = 32 << 20;

/// Rows below which our own kernels multiply: the library's advantage is in large tiles.
const ROWS_MIN: u32 = 64;

/// Columns and products below which our own kernels multiply.
const SIDE_MIN: u32 = 64;

/// Shapes that are remembered: a model has a dozen, and a queue draws a few sizes in turn.
const PLANS_MAX: usize = 512;

/// The one compute capability on which it takes rows in eight bits.
pub(crate) const EIGHTS_CAPABILITY: u32 = 90;

/// The first version that has a scale for every row: 12.9.
const EIGHTS_VERSION: usize = 120_900;

/// Sides of products in eight bits are multiples of this.
const EIGHTS_SIDE: u32 = 16;

/// Matrices begin, and rows follow, at multiples of so many bytes, which fast algorithms ask for.
const ALIGN: u64 = 16;

// cublasComputeType_t, cudaDataType, cublasOperation_t, cublasLtEpilogue_t, cublasLtMatmulDescAttributes_t,
// cublasLtMatmulPreferenceAttributes_t.
const COMPUTE_32F: u32 = 68;
const R_32F: u32 = 0;
const R_16BF: u32 = 14;
const R_8F_E4M3: u32 = 28;
const OP_T: u32 = 1;
const EPILOGUE_DEFAULT: u32 = 1;
const EPILOGUE_BIAS: u32 = 4;
const EPILOGUE_GELU: u32 = 32;
const DESC_TRANSA: u32 = 3;
const DESC_EPILOGUE: u32 = 7;
const DESC_BIAS_POINTER: u32 = 8;
const DESC_A_SCALE_POINTER: u32 = 17;
const DESC_B_SCALE_POINTER: u32 = 18;
const DESC_A_SCALE_MODE: u32 = 31;
const DESC_B_SCALE_MODE: u32 = 32;
/// Of `cublasLtMatmulMatrixScale_t`: a vector for rows of A, and one for columns of B.
const SCALE_OUTER_VEC_32F: i32 = 3;
const PREFERENCE_WORKSPACE: u32 = 1;
/// Of A, B, C and D.
const PREFERENCE_ALIGNMENTS: [u32; 4] = [5, 6, 7, 8];

type Status = c_int;
type Raw = *mut c_void;

/// `cublasLtMatmulHeuristicResult_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    algorithm: [u64; 8],
    workspace_bytes: usize,
    state: Status,
    waves: f32,
    reserved: [c_int; 4],
}

macro_rules! functions {
    ($($field:ident = $name:literal: fn($($of:ty),*) -> $gives:ty;)*) => {
        /// Functions of the library's file, which stays open as long as they are there.
        struct Functions {
            $($field: unsafe extern "C" fn($($of),*) -> $gives,)*
            path: PathBuf,
            _file: File,
        }

        impl Functions {
            /// Those of a file, or what the system's loader says: it is not there, or not this library.
            fn open(path: &Path) -> Result<Self, libloading::Error> {
                // SAFETY: it is NVIDIA's library by its name, or what a person named as such; its initialisers set it up.
                let file = unsafe { File::new(path) }?;
                $(
                    // SAFETY: the type is the one that cublasLt.h declares for this name.
                    let $field = *unsafe { file.get::<unsafe extern "C" fn($($of),*) -> $gives>($name.as_bytes()) }?;
                )*
                Ok(Self { $($field,)* path: path.to_owned(), _file: file })
            }
        }
    };
}
functions! {
    get_version = "cublasLtGetVersion": fn() -> usize;
    status_name = "cublasLtGetStatusName": fn(Status) -> *const c_char;
    create = "cublasLtCreate": fn(*mut Raw) -> Status;
    destroy = "cublasLtDestroy": fn(Raw) -> Status;
    desc_create = "cublasLtMatmulDescCreate": fn(*mut Raw, u32, u32) -> Status;
    desc_set = "cublasLtMatmulDescSetAttribute": fn(Raw, u32, *const c_void, usize) -> Status;
    desc_destroy = "cublasLtMatmulDescDestroy": fn(Raw) -> Status;
    layout_create = "cublasLtMatrixLayoutCreate": fn(*mut Raw, u32, u64, u64, i64) -> Status;
    layout_destroy = "cublasLtMatrixLayoutDestroy": fn(Raw) -> Status;
    preference_create = "cublasLtMatmulPreferenceCreate": fn(*mut Raw) -> Status;
    preference_set = "cublasLtMatmulPreferenceSetAttribute": fn(Raw, u32, *const c_void, usize) -> Status;
    preference_destroy = "cublasLtMatmulPreferenceDestroy": fn(Raw) -> Status;
    heuristic = "cublasLtMatmulAlgoGetHeuristic":
        fn(Raw, Raw, Raw, Raw, Raw, Raw, Raw, c_int, *mut Found, *mut c_int) -> Status;
    matmul = "cublasLtMatmul":
        fn(
            Raw, Raw, *const c_void, Address, Raw, Address, Raw, *const c_void, Address, Raw, Address, Raw,
            *const u64, Address, usize, Raw
        ) -> Status;
}

impl std::fmt::Debug for Functions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Functions({} of {})", self.version(), self.path.display())
    }
}

/// Files that this process has opened, which stay open until it ends: what was said of one holds though somebody replaces it,
/// and half a gigabyte is mapped once. As many as were ever named and are this library; in practice one.
static OPENED: Mutex<Vec<Arc<Functions>>> = Mutex::new(Vec::new());

/// The library of a file, opened once a process. No card and no driver are asked.
fn opened(path: &Path) -> Result<Arc<Functions>, CudaError> {
    let mut opened = OPENED.lock();
    if let Some(functions) = opened.iter().find(|functions| functions.path == path) {
        return Ok(functions.clone());
    }
    let functions = Functions::open(path)
        .map_err(|err| CudaError::NoLibrary { path: path.to_owned(), reason: crate::error::whole(&err) })?;
    let functions = Arc::new(functions);
    opened.push(functions.clone());
    Ok(functions)
}

/// The version of the library of a file: 120901 for 12.9.1.
///
/// # Errors
/// [`CudaError::NoLibrary`].
pub(crate) fn version(path: &Path) -> Result<usize, CudaError> {
    Ok(opened(path)?.version())
}

/// The word in the class of a device: "cublaslt12.9.1".
pub(crate) fn word(version: usize) -> String {
    format!("cublaslt{}.{}.{}", version / 10_000, version / 100 % 100, version % 100)
}

/// `CUBLAS_STATUS_ALLOC_FAILED`.
const ALLOC_FAILED: Status = 3;

impl Functions {
    /// 120901 for 12.9.1.
    fn version(&self) -> usize {
        // SAFETY: it takes nothing and gives a number.
        unsafe { (self.get_version)() }
    }

    fn told(&self, call: &'static str, status: Status) -> Result<(), CudaError> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: it takes any number, and gives a text of its own or nothing.
        let text = unsafe { (self.status_name)(status) };
        let status = match NonNull::new(text.cast_mut()) {
            // SAFETY: the library's own texts end in zero and stay.
            Some(text) => unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned(),
            None => format!("status {status}"),
        };
        Err(CudaError::Library { call, status })
    }
}

/// Something that the library made, and what takes it back.
#[derive(Debug)]
struct Made {
    raw: Raw,
    destroy: unsafe extern "C" fn(Raw) -> Status,
    /// The function is one of these.
    _functions: Arc<Functions>,
}

// SAFETY: descriptors are plain memory of the library, used by one thread at a time.
unsafe impl Send for Made {}

impl Drop for Made {
    fn drop(&mut self) {
        // SAFETY: it was made once, by the function that belongs to this one.
        let _ = unsafe { (self.destroy)(self.raw) };
    }
}

/// What is done besides the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum End {
    /// It is stored.
    Store,
    /// It is added to something of its shape.
    Add,
    /// It lies in the workspace, and a kernel of ours does the rest.
    Apart,
    /// It lies where it belongs, and a kernel of ours activates it there.
    InPlace,
}

/// All that decides an algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Shape {
    rows: u32,
    cols: u32,
    k: u32,
    /// Numbers from row to row: of `x`, weight, what is added, and the outcome.
    strides: [u32; 4],
    bias: bool,
    gelu: bool,
    add: bool,
    /// Both sides are e4m3.
    eights: bool,
}

/// How products of a shape are made.
#[derive(Debug)]
struct Plan {
    desc: Made,
    x: Made,
    weight: Made,
    that: Made,
    out: Made,
    found: Found,
}

/// The library, in use on a card.
#[derive(Debug)]
pub(crate) struct BlasLt {
    /// `None` for shapes that it does not take.
    plans: HashMap<Shape, Option<Plan>>,
    handle: Made,
    functions: Arc<Functions>,
}

/// What the library says to a product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Answer {
    /// It does not take it.
    No,
    /// It is done.
    Done,
    /// The product lies there; this activation, if any, and what is done with it remain.
    Then(Mat, Option<Act>),
}

impl BlasLt {
    /// The library of a file, for the card whose context is this thread's.
    ///
    /// # Errors
    /// [`CudaError::NoLibrary`], [`CudaError::OutOfMemory`], or [`CudaError::Library`] where it does not want to run here.
    pub(crate) fn at(path: &Path) -> Result<Self, CudaError> {
        let functions = opened(path)?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: it writes one handle. The card's context is this thread's.
        let created = unsafe { (functions.create)(&raw mut raw) };
        if created == ALLOC_FAILED {
            return Err(CudaError::OutOfMemory { call: "cublasLtCreate", bytes: 0 });
        }
        functions.told("cublasLtCreate", created)?;
        let handle = Made { raw, destroy: functions.destroy, _functions: functions.clone() };
        Ok(Self { plans: HashMap::new(), handle, functions })
    }

    /// The first of `files` that is the library and runs here.
    pub(crate) fn find(files: &[PathBuf]) -> Option<Self> {
        files.iter().find_map(|path| Self::at(path).ok())
    }

    /// The word in the class of a device: "cublaslt12.9.1".
    pub(crate) fn word(&self) -> String {
        word(self.functions.version())
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.functions.path
    }

    /// Does a product, or says that our own kernel should. That hangs on shapes and on where matrices begin in their buffers, so
    /// it is the same in every run.
    ///
    /// # Safety
    /// As [`Stream::launch`] for all matrices of `product`, and for its bias, of a bf16 number for every column. The context
    /// of `stream` is this thread's.
    ///
    /// # Errors
    /// What the library says.
    pub(crate) unsafe fn multiply(&mut self, stream: &Stream, product: &Product) -> Result<Answer, CudaError> {
        let Some((end, out)) = takes(product) else { return Ok(Answer::No) };
        let Product { x, weight, scales, bias, .. } = *product;
        if scales.is_some() && self.functions.version() < EIGHTS_VERSION {
            return Ok(Answer::No);
        }
        let that = if end == End::Add { product.end.then.that } else { out };
        let shape = Shape {
            rows: out.rows,
            cols: out.cols,
            k: x.cols,
            strides: [x.stride, weight.stride, that.stride, out.stride],
            bias: bias != 0,
            gelu: product.end.act.is_some() && scales.is_none(),
            add: end == End::Add,
            eights: scales.is_some(),
        };
        let functions = self.functions.clone();
        if !self.plans.contains_key(&shape) {
            if self.plans.len() >= PLANS_MAX {
                return Ok(Answer::No);
            }
            let plan = self.plan(&shape, scales).ok();
            self.plans.insert(shape, plan);
        }
        let Some(Some(plan)) = self.plans.get(&shape) else { return Ok(Answer::No) };
        if bias != 0 {
            set(&functions, functions.desc_set, &plan.desc, DESC_BIAS_POINTER, &bias)?;
        }
        if let Some(scales) = scales {
            set_scales(&functions, &plan.desc, scales)?;
        }
        let beta: f32 = if shape.add { 1.0 } else { 0.0 };
        let alpha: f32 = 1.0;
        let (workspace, workspace_bytes) = behind(product, end);
        if plan.found.workspace_bytes as u64 > workspace_bytes {
            return Ok(Answer::No);
        }
        // SAFETY: the caller says that the matrices lie there; layouts and algorithm were made for their shapes; factors lie on
        // the host and are read before the call returns.
        let done = unsafe {
            (functions.matmul)(
                self.handle.raw,
                plan.desc.raw,
                (&raw const alpha).cast(),
                weight.at,
                plan.weight.raw,
                x.at,
                plan.x.raw,
                (&raw const beta).cast(),
                that.at,
                plan.that.raw,
                out.at,
                plan.out.raw,
                plan.found.algorithm.as_ptr(),
                workspace,
                plan.found.workspace_bytes,
                stream.raw(),
            )
        };
        functions.told("cublasLtMatmul", done)?;
        Ok(match end {
            End::Store | End::Add => Answer::Done,
            // Besides rows in eight bits it activates by itself.
            End::Apart | End::InPlace => Answer::Then(out, product.end.act.filter(|_| shape.eights)),
        })
    }

    fn plan(&self, shape: &Shape, scales: Option<Scales>) -> Result<Plan, CudaError> {
        let functions = &self.functions;
        let make = |call, destroy, create: &dyn Fn(*mut Raw) -> Status| {
            let mut raw = std::ptr::null_mut();
            functions.told(call, create(&raw mut raw))?;
            Ok::<_, CudaError>(Made { raw, destroy, _functions: functions.clone() })
        };
        let layout = |number: u32, rows: u32, cols: u32, stride: u32| {
            make("cublasLtMatrixLayoutCreate", functions.layout_destroy, &|to| {
                // SAFETY: it writes one handle and takes numbers.
                unsafe { (functions.layout_create)(to, number, rows.into(), cols.into(), stride.into()) }
            })
        };
        let desc = make("cublasLtMatmulDescCreate", functions.desc_destroy, &|to| {
            // SAFETY: as above.
            unsafe { (functions.desc_create)(to, COMPUTE_32F, R_32F) }
        })?;
        set(functions, functions.desc_set, &desc, DESC_TRANSA, &OP_T)?;
        let bias = if shape.bias { EPILOGUE_BIAS } else { 0 };
        let epilogue = match bias | if shape.gelu { EPILOGUE_GELU } else { 0 } {
            0 => EPILOGUE_DEFAULT,
            some => some,
        };
        set(functions, functions.desc_set, &desc, DESC_EPILOGUE, &epilogue)?;
        let Shape { rows, cols, k, strides: [of_x, of_weight, of_that, of_out], .. } = *shape;
        let side = if shape.eights { R_8F_E4M3 } else { R_16BF };
        if let Some(scales) = scales {
            set(functions, functions.desc_set, &desc, DESC_A_SCALE_MODE, &SCALE_OUTER_VEC_32F)?;
            set(functions, functions.desc_set, &desc, DESC_B_SCALE_MODE, &SCALE_OUTER_VEC_32F)?;
            set_scales(functions, &desc, scales)?;
        }
        let (x, weight) = (layout(side, k, rows, of_x)?, layout(side, k, cols, of_weight)?);
        let (that, out) = (layout(R_16BF, cols, rows, of_that)?, layout(R_16BF, cols, rows, of_out)?);
        let preference = make("cublasLtMatmulPreferenceCreate", functions.preference_destroy, &|to| {
            // SAFETY: it writes one handle.
            unsafe { (functions.preference_create)(to) }
        })?;
        set(functions, functions.preference_set, &preference, PREFERENCE_WORKSPACE, &WORKSPACE_BYTES)?;
        for of in PREFERENCE_ALIGNMENTS {
            set(functions, functions.preference_set, &preference, of, &(ALIGN as u32))?;
        }
        let (mut found, mut count) = (Found::default(), 0);
        // SAFETY: all handles are held; it writes at most one outcome and a number.
        let asked = unsafe {
            (functions.heuristic)(
                self.handle.raw,
                desc.raw,
                weight.raw,
                x.raw,
                that.raw,
                out.raw,
                preference.raw,
                1,
                &raw mut found,
                &raw mut count,
            )
        };
        functions.told("cublasLtMatmulAlgoGetHeuristic", asked)?;
        functions.told("cublasLtMatmulAlgoGetHeuristic", found.state)?;
        if count != 1 || found.workspace_bytes as u64 > WORKSPACE_BYTES {
            let status = "it knows no algorithm".to_owned();
            return Err(CudaError::Library { call: "cublasLtMatmulAlgoGetHeuristic", status });
        }
        Ok(Plan { desc, x, weight, that, out, found })
    }
}

/// Says where scales lie: the weight stands first.
fn set_scales(functions: &Functions, desc: &Made, scales: Scales) -> Result<(), CudaError> {
    set(functions, functions.desc_set, desc, DESC_A_SCALE_POINTER, &scales.weight)?;
    set(functions, functions.desc_set, desc, DESC_B_SCALE_POINTER, &scales.x)
}

/// Sets an attribute of something that the library made.
fn set<T: Copy>(
    functions: &Functions,
    setter: unsafe extern "C" fn(Raw, u32, *const c_void, usize) -> Status,
    of: &Made,
    attribute: u32,
    value: &T,
) -> Result<(), CudaError> {
    // SAFETY: the handle is held; it reads as many bytes as it is told, from a value that is there.
    let done = unsafe { setter(of.raw, attribute, std::ptr::from_ref(value).cast(), size_of::<T>()) };
    functions.told("cublasLtSetAttribute", done)
}

/// Whether a shape is worth it, and what the library would take of the workspace: the product where it lies apart, then its
/// own.
pub(crate) fn workspace_bytes(rows: u32, cols: u32, k: u32, then: &graph::Then) -> u64 {
    if !large(rows, cols, k) {
        return 0;
    }
    let apart = match then {
        graph::Then::Store => 0,
        _ => apart_bytes(rows, cols),
    };
    apart + WORKSPACE_BYTES
}

fn large(rows: u32, cols: u32, k: u32) -> bool {
    rows >= ROWS_MIN && cols >= SIDE_MIN && k >= SIDE_MIN
}

/// Of a product that lies in the workspace.
fn apart_bytes(rows: u32, cols: u32) -> u64 {
    (u64::from(rows) * u64::from(cols) * 2).next_multiple_of(256)
}

/// The library's own part of the workspace.
fn behind(product: &Product, end: End) -> (Address, u64) {
    let apart = if end == End::Apart { apart_bytes(product.out.rows, product.out.cols) } else { 0 };
    (product.workspace + apart, product.workspace_bytes.saturating_sub(apart).min(WORKSPACE_BYTES))
}

/// How a product is ended, and where it goes; `None` where our own kernel multiplies.
fn takes(product: &Product) -> Option<(End, Mat)> {
    let Product { precision, x, weight, scales, end, out, workspace, workspace_bytes, bias, .. } = *product;
    let act = scales.is_some() || matches!(end.act, None | Some(Act::GeluTanh));
    let rounded = (bias != 0) == (end.bias != 0) && bias.is_multiple_of(ALIGN);
    if precision != Precision::Bf16 || !act || !rounded || !large(out.rows, out.cols, x.cols) {
        return None;
    }
    let lies_of =
        |mat: &Mat, bytes: u64| mat.at.is_multiple_of(ALIGN) && (u64::from(mat.stride) * bytes).is_multiple_of(ALIGN);
    let lies = |mat: &Mat| lies_of(mat, 2);
    let sides = match scales {
        None => lies(&x) && lies(&weight) && u64::from(out.cols * 2).is_multiple_of(ALIGN),
        Some(scales) => {
            let sixteens = [x.cols, out.cols].iter().all(|side| side.is_multiple_of(EIGHTS_SIDE));
            let scaled = [scales.x, scales.weight].iter().all(|at| at.is_multiple_of(ALIGN));
            lies_of(&x, 1) && lies_of(&weight, 1) && sixteens && scaled
        }
    };
    let fits = sides && lies(&out);
    let (end, out) = match end.then.kind {
        Then::STORE if scales.is_some() && end.act.is_some() => (End::InPlace, out),
        Then::STORE => (End::Store, out),
        // The library adds before it bends.
        Then::ADD if end.act.is_none() && end.then.that.rows == out.rows && lies(&end.then.that) => (End::Add, out),
        _ => (End::Apart, Mat { at: workspace, stride: out.cols, ..out }),
    };
    let apart = if end == End::Apart { apart_bytes(out.rows, out.cols) } else { 0 };
    (fits && workspace_bytes >= apart + WORKSPACE_BYTES).then_some((end, out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mat(at: Address, rows: u32, cols: u32, stride: u32) -> Mat {
        Mat { at, rows, cols, stride, pad: 0 }
    }

    fn product() -> Product {
        Product {
            precision: Precision::Bf16,
            x: mat(256, 128, 64, 64),
            weight: mat(4096, 192, 64, 64),
            scales: None,
            end: crate::launch::product::End::default(),
            out: mat(8192, 128, 192, 192),
            workspace: 1 << 20,
            workspace_bytes: 64 << 20,
            bias: 0,
            in_company: false,
        }
    }

    #[test]
    fn what_it_takes_hangs_on_shapes_and_places() {
        let check = |change: &dyn Fn(&mut Product), bias: Address, expected: Option<End>| {
            let mut product = product();
            change(&mut product);
            product.bias = bias;
            assert_eq!(takes(&product).map(|(end, _)| end), expected, "{product:?}");
        };
        let gate = Then { kind: Then::GATE, tokens: 64, ..Then::default() };
        let add = |rows: u32| Then { kind: Then::ADD, that: mat(512, rows, 192, 192), ..Then::default() };
        check(&|_| {}, 0, Some(End::Store));
        check(&|product| product.precision = Precision::F32, 0, None);
        check(&|product| product.end.act = Some(Act::GeluTanh), 0, Some(End::Store));
        check(&|product| product.end.act = Some(Act::Gelu), 0, None);
        check(&|product| product.end.then = gate, 0, Some(End::Apart));
        check(&|product| product.end.then = add(128), 0, Some(End::Add));
        check(&|product| product.end.then = add(64), 0, Some(End::Apart));
        check(&|product| (product.end.then, product.end.act) = (add(128), Some(Act::GeluTanh)), 0, Some(End::Apart));
        check(&|product| product.end.bias = 1024, 2048, Some(End::Store));
        check(&|product| product.end.bias = 1024, 0, None);
        check(&|product| product.end.bias = 1024, 2050, None);
        check(&|product| product.x.at = 258, 0, None);
        check(&|product| product.weight.stride = 65, 0, None);
        check(&|product| (product.x.rows, product.out.rows) = (63, 63), 0, None);
        check(&|product| product.workspace_bytes = 1 << 20, 0, None);
        check(&|product| (product.end.then, product.workspace_bytes) = (gate, WORKSPACE_BYTES), 0, None);
        let eights = |product: &mut Product| product.scales = Some(Scales { x: 1 << 16, weight: 1 << 17 });
        let act = |product: &mut Product| (product.scales, product.end.act) = (product.scales, Some(Act::GeluTanh));
        check(&eights, 0, Some(End::Store));
        check(&|product| (eights(product), act(product)).0, 0, Some(End::InPlace));
        check(&|product| (eights(product), product.end.then = add(128)).0, 0, Some(End::Add));
        check(&|product| (eights(product), act(product), product.end.then = add(128)).0, 0, Some(End::Apart));
        check(&|product| (eights(product), product.end.then = gate).0, 0, Some(End::Apart));
        check(&|product| (eights(product), product.x.cols = 72).0, 0, None);
        check(&|product| (eights(product), product.out.cols = 184).0, 0, None);
        check(&|product| product.scales = Some(Scales { x: 1 << 16, weight: 4 }), 0, None);
    }

    #[test]
    fn workspaces_have_room_for_what_lies_apart() {
        let (rows, cols) = (128, 192);
        assert_eq!(workspace_bytes(rows, cols, 64, &graph::Then::Store), WORKSPACE_BYTES);
        let then = graph::Then::Times(graph::View { value: graph::Value(0), row: 0, rows: 1, col: 0, cols: 1 });
        assert_eq!(workspace_bytes(rows, cols, 64, &then), WORKSPACE_BYTES + 2 * 128 * 192);
        assert_eq!(workspace_bytes(16, cols, 64, &then), 0);
        let mut apart = product();
        apart.workspace_bytes = workspace_bytes(rows, cols, 64, &then);
        let (at, bytes) = behind(&apart, End::Apart);
        assert_eq!((at, bytes), (apart.workspace + 2 * 128 * 192, WORKSPACE_BYTES));
    }

    #[test]
    fn a_file_that_is_no_library_is_passed_over() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert!(BlasLt::find(&[file.path().to_owned(), PathBuf::from("/nonexistent/libcublasLt.so.12")]).is_none());
        let said = version(file.path()).map_err(|err| err.to_string());
        assert!(said.as_ref().is_err_and(|said| said.starts_with("open cuBLASLt at /")), "{said:?}");
    }
}
