//! The operations of a program as launches: every view and shape is checked, then filled into the launches' structs.
//!
//! Views are checked as on the processor ([`thumbforge_diffusion::views`]); shapes are checked by the launches themselves, and
//! here where an operation says more than its launch is told. So nothing that safe code hands in has the card touch what is
//! not its own.

use thumbforge_diffusion::DiffusionError;
use thumbforge_diffusion::device::eights_differ;
use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::graph::{self, Element, Op, View, Weight};
use thumbforge_diffusion::plan::Program;
use thumbforge_diffusion::views::{Views, check_geometry, divides, product_is};

use crate::blaslt::Answer;
use crate::error::CudaError;
use crate::launch::attention::{Attention, Mask, Shape, Stream};
use crate::launch::conv::Conv;
use crate::launch::fp8::{Fp8Gemm, Fp8Mat, Fp8Rows};
use crate::launch::gemm::{Gemm, Sums};
use crate::launch::product::End;
use crate::launch::rows::{
    Activate, Combine, Embed, GroupNorm, GroupShape, Modulate, Norm, NormShape, Positions, RelativeBias, Timestep,
    Unpatchify, Upsample,
};
use crate::launch::{Address, Launch, Mat, Then};
use crate::model::Placed;

/// Where launches go: to a stream, or to a list.
pub(crate) trait Sink {
    /// What launches are told of the card.
    fn card(&self) -> &crate::launch::product::Card;

    /// Takes a launch, to be run behind those before it.
    ///
    /// # Safety
    /// As [`crate::driver::Stream::launch`].
    unsafe fn launch<L: Launch>(&mut self, launch: &L) -> Result<(), CudaError>;

    /// Has a library multiply in place of our kernel, where it does and takes this shape.
    ///
    /// # Safety
    /// As [`Sink::launch`], of all matrices of `product` and its bias.
    unsafe fn multiply(&mut self, product: &Product) -> Result<Answer, CudaError>;
}

/// A linear layer, for a library: `out = x · weightᵀ + bias`, and what comes behind it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Product {
    pub(crate) precision: Precision,
    pub(crate) x: Mat,
    pub(crate) weight: Mat,
    /// Of rows in eight bits, where both sides are.
    pub(crate) scales: Option<Scales>,
    pub(crate) end: End,
    pub(crate) out: Mat,
    pub(crate) workspace: Address,
    pub(crate) workspace_bytes: u64,
    /// The bias as bf16; 0 where there is none.
    pub(crate) bias: Address,
    /// Of a program in company ([`Program::in_company`]).
    pub(crate) in_company: bool,
}

/// Singles that rows of e4m3 are multiplied with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scales {
    /// One for every row of `x`.
    pub(crate) x: Address,
    /// One for every row of the weight.
    pub(crate) weight: Address,
}

/// Parameters by name, and where they begin on the card.
pub(crate) trait Parameters {
    /// Where a parameter lies; its place is an address.
    fn find(&self, name: &str) -> Option<(Address, &Placed)>;
}

/// A program in a memory.
pub(crate) struct Run<'a, P> {
    pub(crate) program: &'a Program,
    pub(crate) views: Views<'a>,
    /// Where the memory begins.
    pub(crate) memory: Address,
    pub(crate) model: &'a P,
    /// As many bytes as [`workspace_bytes`] says, at a multiple of 256.
    pub(crate) workspace: Address,
    pub(crate) workspace_bytes: u64,
    /// A word that says which token was not in its table.
    pub(crate) fault: Address,
}

/// What a library takes for a linear layer of so many rows, columns and products, in eight bits or not.
pub(crate) type LibraryBytes<'a> = &'a dyn Fn([u32; 3], &graph::Then, bool) -> u64;

/// What `program` works in beside its buffers.
pub(crate) fn workspace_bytes(program: &Program, library: LibraryBytes<'_>) -> u64 {
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let of = |op: &Op| match op {
        Op::Linear { x, weight, then, out, .. } => {
            let sides @ [rows, cols, k] = [small(out.rows), small(out.cols), small(x.cols)];
            match program.weights.get(weight.0 as usize).is_some_and(|weight| weight.eights) {
                true => Rounded::bytes(rows, k).saturating_add(library(sides, then, true)),
                false if program.in_company => library(sides, then, false),
                false => Gemm::workspace_bytes(rows, cols, k).max(library(sides, then, false)),
            }
        }
        Op::GroupNorm { x, batch, groups, .. } => {
            GroupNorm::workspace_bytes(*batch, x.rows / (*batch).max(1), x.cols, *groups)
        }
        Op::Attention(attention) if attention.batch > 0 => Attention::workspace_bytes(attention, program.precision),
        _ => 0,
    };
    program.ops.iter().map(of).max().unwrap_or(0)
}

/// Rows of x in eight bits and their scales, at the beginning of the workspace.
struct Rounded;

impl Rounded {
    /// Both parts begin at multiples of this, as the workspace itself.
    const ALIGN: u64 = 256;

    fn row_bytes(rows: u32, cols: u32) -> u64 {
        (u64::from(rows) * u64::from(Fp8Mat::stride(cols))).next_multiple_of(Self::ALIGN)
    }

    /// What both take of it.
    fn bytes(rows: u32, cols: u32) -> u64 {
        Self::row_bytes(rows, cols) + (u64::from(rows) * 4).next_multiple_of(Self::ALIGN)
    }

    /// Where they lie in a workspace at `at`.
    fn of(at: Address, rows: u32, cols: u32) -> Fp8Mat {
        let mat = Mat { at, rows, cols, stride: Fp8Mat::stride(cols), pad: 0 };
        Fp8Mat { mat, scale: at + Self::row_bytes(rows, cols) }
    }
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(Fault::Shape(what())) }
}

/// Why an operation is not run.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Views or shapes that do not fit.
    Shape(String),
    /// The model lacks a parameter, in the model's words.
    Missing(String),
    /// A launch or the driver.
    Cuda(CudaError),
    /// Somebody stopped it.
    Stopped,
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Shape(reason)
    }
}

impl From<crate::launch::Misfit> for Fault {
    fn from(misfit: crate::launch::Misfit) -> Self {
        Self::Cuda(CudaError::Launch(misfit))
    }
}

impl From<CudaError> for Fault {
    fn from(err: CudaError) -> Self {
        Self::Cuda(err)
    }
}

impl Fault {
    /// As the device `device` tells it.
    pub(crate) fn told(self, device: &str, free_bytes: u64) -> DiffusionError {
        match self {
            Self::Shape(reason) => DiffusionError::Device { device: device.to_owned(), reason },
            Self::Missing(reason) => DiffusionError::Missing(reason),
            Self::Cuda(err) => err.told(device, free_bytes),
            Self::Stopped => DiffusionError::Cancelled,
        }
    }
}

impl<'a, P: Parameters> Run<'a, P> {
    /// Gives the launches of one operation to `sink`.
    pub(crate) fn op(&self, op: &Op, sink: &mut impl Sink) -> Result<(), Fault> {
        let named = |fault: Fault| match fault {
            Fault::Shape(reason) => Fault::Shape(format!("{}: {reason}", op.word())),
            other => other,
        };
        self.views.check_apart(op).map_err(Fault::Shape).and_then(|()| self.dispatch(op, sink)).map_err(named)
    }

    fn dispatch(&self, op: &Op, sink: &mut impl Sink) -> Result<(), Fault> {
        let precision = self.program.precision;
        match op {
            Op::Linear { x, weight, bias, act, then, out } => {
                let (x, out) = (self.act(*x)?, self.act(*out)?);
                let end = End { bias: self.bias(*bias, out.cols)?, act: *act, then: self.then(then, out)? };
                let bias = bias.map_or(Ok(0), |bias| self.rounded(bias))?;
                let (workspace, workspace_bytes) = (self.workspace, self.workspace_bytes);
                let product = |weight: Mat| {
                    let (scales, in_company) = (None, self.program.in_company);
                    Product { precision, x, weight, scales, end, out, workspace, workspace_bytes, bias, in_company }
                };
                match self.views.wanted(*weight)?.eights {
                    true => {
                        let weight = self.eights(*weight)?;
                        self.linear_in_eights(product(weight.mat), weight, sink)
                    }
                    false => self.linear(&product(self.matrix(*weight)?), sink),
                }
            }
            Op::Conv { x, weight, bias, geometry, then, out } => {
                check_geometry(geometry, x.rows)?;
                let (x, out) = (self.act(*x)?, self.act(*out)?);
                let weight = self.matrix(*weight)?;
                let end = End { bias: self.bias(*bias, out.cols)?, act: None, then: self.then(then, out)? };
                let conv = Conv::new(sink.card(), precision, x, weight, geometry, &end, out)?;
                // SAFETY: all matrices are checked views of the memory or parameters of the model; `Conv::new` found that their
                // shapes fit.
                Ok(unsafe { sink.launch(&conv) }?)
            }
            Op::Norm { x, kind, eps, weight, bias, modulate, out } => {
                let (x, out) = (self.act(*x)?, self.act(*out)?);
                let weight = weight.map_or(Ok(0), |weight| self.vector(weight, x.cols))?;
                let bias = bias.map_or(Ok(0), |bias| self.vector(bias, x.cols))?;
                let modulate = modulate.map(|by| self.modulation(by)).transpose()?;
                let norm = Norm::new(precision, x, out, &NormShape { kind: *kind, eps: *eps, weight, bias, modulate })?;
                // SAFETY: as above; vectors have a number for every column.
                Ok(unsafe { sink.launch(&norm) }?)
            }
            Op::GroupNorm { x, batch, groups, eps, weight, bias, act, out } => {
                let (x, out) = (self.act(*x)?, self.act(*out)?);
                let (weight, bias) = (self.vector(*weight, x.cols)?, self.vector(*bias, x.cols)?);
                let (batch, groups) = (count(*batch)?, count(*groups)?);
                let shape = GroupShape { batch, groups, eps: *eps, weight, bias, act: *act };
                let norm = GroupNorm::new(precision, x, out, &shape, self.workspace)?;
                // SAFETY: as above; the workspace is as long as `workspace_bytes` found for this operation.
                unsafe { sink.launch(&norm.sums) }?;
                // SAFETY: as above.
                unsafe { sink.launch(&norm.stats) }?;
                // SAFETY: as above.
                Ok(unsafe { sink.launch(&norm.apply) }?)
            }
            Op::Attention(attention) => self.attention(attention, sink),
            Op::Activate { x, act, out } => {
                let activate = Activate::new(precision, self.act(*x)?, *act, self.act(*out)?)?;
                // SAFETY: as above.
                Ok(unsafe { sink.launch(&activate) }?)
            }
            Op::Modulate { x, by, out } => {
                let (shift, scale) = self.modulation(*by)?;
                let modulate = Modulate::new(precision, self.act(*x)?, shift, scale, self.act(*out)?)?;
                // SAFETY: as above.
                Ok(unsafe { sink.launch(&modulate) }?)
            }
            Op::Combine { y, then, out } => {
                let (y, out) = (self.act(*y)?, self.act(*out)?);
                let combine = Combine::new(precision, y, self.then(then, out)?, out)?;
                // SAFETY: as above.
                Ok(unsafe { sink.launch(&combine) }?)
            }
            Op::Upsample { x, batch, height, width, out } => {
                let sides = [count(*batch)?, count(*height)?, count(*width)?];
                let upsample = Upsample::new(precision, self.act(*x)?, sides, self.act(*out)?)?;
                // SAFETY: as above.
                Ok(unsafe { sink.launch(&upsample) }?)
            }
            Op::Unpatchify { x, batch, height, width, patch, out } => {
                let sides = [count(*batch)?, count(*height)?, count(*width)?];
                let launch = Unpatchify::new(precision, self.act(*x)?, sides, count(*patch)?, self.act(*out)?)?;
                // SAFETY: as above.
                Ok(unsafe { sink.launch(&launch) }?)
            }
            Op::Embed { ids, table, positions, out } => {
                let ids = self.mat(*ids, Element::U32)?;
                let table = self.matrix(*table)?;
                let positions = positions.map(|positions| self.matrix(positions)).transpose()?;
                let embed = Embed::new(precision, ids, table, positions, self.act(*out)?, self.fault)?;
                // SAFETY: as above; numbers that the table does not have are told in `fault` and read nothing.
                Ok(unsafe { sink.launch(&embed) }?)
            }
            Op::Timestep { t, out } => {
                let timestep = Timestep::new(precision, self.mat(*t, Element::F32)?, self.act(*out)?)?;
                // SAFETY: as above.
                Ok(unsafe { sink.launch(&timestep) }?)
            }
            Op::Positions { table, side, height, width, out } => {
                let out = self.act(*out)?;
                let wanted = self.views.wanted(*table)?;
                let whole = wanted.shape == [1, side.saturating_mul(*side), out.cols as usize];
                ensure(whole && wanted.rows == (0..1), || {
                    format!("places of {} features from a table of {:?}", out.cols, wanted.shape)
                })?;
                let (at, _) = self.param(*table)?;
                let places = count(side * side)?;
                let table = Mat { at, rows: places, cols: out.cols, stride: out.cols, pad: 0 };
                let sides = [count(*height)?, count(*width)?];
                let positions = Positions::new(precision, table, count(*side)?, sides, out)?;
                // SAFETY: as above; the table has a row for each of its places.
                Ok(unsafe { sink.launch(&positions) }?)
            }
            Op::RelativeBias { table, tokens, distance, out } => {
                let out = self.mat(*out, Element::F32)?;
                ensure(product_is([*tokens, *tokens, 1], out.cols as usize), || {
                    format!("{} scores for {tokens} tokens", out.cols)
                })?;
                let table = self.matrix(*table)?;
                let bias = RelativeBias::new(precision, table, count(*tokens)?, count(*distance)?, out)?;
                // SAFETY: as above.
                Ok(unsafe { sink.launch(&bias) }?)
            }
        }
    }

    fn linear(&self, product: &Product, sink: &mut impl Sink) -> Result<(), Fault> {
        let Product { precision, x, weight, end, out, workspace, in_company, .. } = *product;
        let sums = if in_company { Sums::Whole } else { Sums::Parts(workspace) };
        let gemm = Gemm::new(sink.card(), precision, x, weight, &end, out, sums)?;
        // SAFETY: all matrices are checked views of the memory or parameters of the model; `Gemm::new` found that their
        // shapes fit; the workspace is as long as it says.
        if unsafe { multiplied(product, sink) }? {
            return Ok(());
        }
        // SAFETY: as above; the workspace is as long as `workspace_bytes` found for this operation.
        unsafe { sink.launch(&gemm) }?;
        if let Some(finish) = gemm.finish() {
            // SAFETY: as above.
            unsafe { sink.launch(&finish) }?;
        }
        Ok(())
    }

    /// Rounds x into the workspace and multiplies behind it, `product` with the weight's own numbers. Nothing remembers what
    /// was rounded: in the blocks of a transformer no two linear layers in a row read the same x.
    fn linear_in_eights(&self, product: Product, weight: Fp8Mat, sink: &mut impl Sink) -> Result<(), Fault> {
        let Product { precision, x, end, out, workspace, workspace_bytes, .. } = product;
        ensure(precision == Precision::Bf16, || {
            format!("products in eight bits in a program of {}", precision.word())
        })?;
        let took = Rounded::bytes(x.rows, x.cols);
        let left = workspace_bytes.checked_sub(took).filter(|_| workspace != 0);
        let workspace_bytes =
            left.ok_or_else(|| Fault::Shape(format!("{took} bytes of a workspace of {workspace_bytes}")))?;
        let rounded = Rounded::of(workspace, x.rows, x.cols);
        let rounding = Fp8Rows::new(x, rounded)?;
        let gemm = Fp8Gemm::new(sink.card(), rounded, weight, &end, out)?;
        // SAFETY: x is a checked view of the memory, and the workspace has room for as many rows and scales.
        unsafe { sink.launch(&rounding) }?;
        let scales = Some(Scales { x: rounded.scale, weight: weight.scale });
        let product = Product { x: rounded.mat, scales, workspace: workspace + took, workspace_bytes, ..product };
        // SAFETY: as above; what is multiplied was rounded before, parameters are the model's; `Fp8Gemm::new` found that
        // shapes fit.
        if unsafe { multiplied(&product, sink) }? {
            return Ok(());
        }
        // SAFETY: as above.
        Ok(unsafe { sink.launch(&gemm) }?)
    }

    fn attention(&self, op: &graph::Attention, sink: &mut impl Sink) -> Result<(), Fault> {
        let graph::Attention { batch, heads, head, scale, eps, .. } = *op;
        ensure(batch > 0 && heads > 0 && head > 0, || "an attention of nothing".to_owned())?;
        let norm = |weight: Option<Weight>| weight.map_or(Ok(0), |weight| self.vector(weight, count(head)?));
        let mut streams = Vec::with_capacity(op.streams.len());
        for stream in &op.streams {
            ensure(divides(batch, stream.key.rows), || format!("{} keys of {batch} pictures", stream.key.rows))?;
            let query = match stream.query {
                Some(query) => Some((self.act(query.query)?, self.act(query.out)?)),
                None => None,
            };
            streams.push(Stream {
                query,
                query_norm: norm(stream.query.and_then(|query| query.norm))?,
                key: self.act(stream.key)?,
                value: self.act(stream.value)?,
                key_norm: norm(stream.key_norm)?,
            });
        }
        let mask = match op.mask {
            graph::Mask::Full => Mask::Full,
            graph::Mask::Causal => Mask::Causal,
            graph::Mask::Bias(bias) => Mask::Bias(self.mat(bias, Element::F32)?),
        };
        let shape = Shape { batch: count(batch)?, heads: count(heads)?, head: count(head)?, scale, eps, mask };
        let attention = Attention::new(sink.card(), self.program.precision, &streams, &shape, self.workspace)?;
        // SAFETY: all matrices are checked views of the memory, norms have a number for every feature of a head;
        // `Attention::new` found that the shapes fit; the workspace is as long as `workspace_bytes` found.
        unsafe { sink.launch(&attention.pack) }?;
        // SAFETY: as above.
        Ok(unsafe { sink.launch(&attention.meet) }?)
    }

    fn then(&self, then: &graph::Then, out: Mat) -> Result<Then, Fault> {
        let store = Then { kind: Then::STORE, ..Then::default() };
        Ok(match then {
            graph::Then::Store => store,
            graph::Then::Add(that) => Then { kind: Then::ADD, that: self.act(*that)?, ..store },
            graph::Then::Times(that) => Then { kind: Then::TIMES, that: self.act(*that)?, ..store },
            graph::Then::Gate { residual, gate } => {
                let (that, gate) = (self.act(*residual)?, self.act(*gate)?);
                ensure(divides(gate.rows as usize, out.rows as usize), || {
                    format!("a gate of {} rows for {}", gate.rows, out.rows)
                })?;
                Then { kind: Then::GATE, tokens: out.rows / gate.rows, that, gate }
            }
        })
    }

    fn modulation(&self, by: graph::Modulation) -> Result<(Mat, Mat), Fault> {
        Ok((self.act(by.shift)?, self.act(by.scale)?))
    }

    /// A view of activations.
    fn act(&self, view: View) -> Result<Mat, Fault> {
        self.mat(view, Element::Act)
    }

    /// A view as an address, whose numbers are of the kind `element`.
    fn mat(&self, view: View, element: Element) -> Result<Mat, Fault> {
        let bytes = self.views.bytes_of(view)?;
        let buffer = self.program.buffer(view.value);
        ensure(buffer.element == element, || format!("{:?} where {element:?} is wanted", buffer.element))?;
        let (rows, cols, stride) = (count(view.rows)?, count(view.cols)?, count(buffer.cols)?);
        Ok(Mat { at: self.memory + bytes.start, rows, cols, stride, pad: 0 })
    }

    /// A parameter, if the model has it in the shape that the program wants it.
    fn param(&self, weight: Weight) -> Result<(Address, &'a Placed), Fault> {
        let wanted = self.views.wanted(weight)?;
        let found = self.model.find(&wanted.name).filter(|(_, placed)| placed.shape == wanted.shape);
        let (at, placed) = found
            .ok_or_else(|| Fault::Missing(format!("find the tensor {} of shape {:?}", wanted.name, wanted.shape)))?;
        ensure(wanted.rows.start < wanted.rows.end && wanted.rows.end <= placed.rows(), || {
            format!("rows {:?} of {} of {}", wanted.rows, placed.rows(), wanted.name)
        })?;
        ensure(placed.eights.is_some() == wanted.eights, || eights_differ(&wanted.name, wanted.eights))?;
        Ok((at + (wanted.rows.start * placed.row_bytes()) as u64, placed))
    }

    /// The wanted rows of a parameter of several sides, as a matrix in the program's precision.
    fn matrix(&self, weight: Weight) -> Result<Mat, Fault> {
        let (at, placed) = self.param(weight)?;
        let wanted = self.views.wanted(weight)?;
        ensure(placed.number_bytes == self.program.precision.bytes() && placed.shape.len() > 1, || {
            format!("{} of {:?} is no matrix of {}", wanted.name, wanted.shape, self.program.precision.word())
        })?;
        let cols = count(placed.row_len())?;
        Ok(Mat { at, rows: count(wanted.rows.len())?, cols, stride: cols, pad: 0 })
    }

    /// The wanted rows of a parameter that is kept in eight bits.
    fn eights(&self, weight: Weight) -> Result<Fp8Mat, Fault> {
        let (at, placed) = self.param(weight)?;
        let wanted = self.views.wanted(weight)?;
        let eights = placed.eights.ok_or_else(|| Fault::Shape(eights_differ(&wanted.name, true)))?;
        let (rows, cols, stride) = (count(wanted.rows.len())?, count(placed.row_len())?, count(eights.stride)?);
        let model = at - (wanted.rows.start * eights.stride) as u64 - placed.at;
        let scale = model + eights.scales_at + wanted.rows.start as u64 * 4;
        Ok(Fp8Mat { mat: Mat { at, rows, cols, stride, pad: 0 }, scale })
    }

    /// The wanted rows of a vector of `len` singles.
    fn vector(&self, weight: Weight, len: u32) -> Result<Address, Fault> {
        let (at, placed) = self.param(weight)?;
        let wanted = self.views.wanted(weight)?;
        let fits = placed.shape.len() == 1 && placed.number_bytes == 4 && wanted.rows.len() == len as usize;
        ensure(fits, || format!("{} of {:?} where {len} singles are wanted", wanted.name, wanted.shape))?;
        Ok(at)
    }

    /// The wanted rows of a vector, as bf16; 0 where the model has none.
    fn rounded(&self, weight: Weight) -> Result<Address, Fault> {
        let (at, placed) = self.param(weight)?;
        let wanted = self.views.wanted(weight)?;
        let whole = at - (wanted.rows.start * placed.row_bytes()) as u64 - placed.at;
        Ok(placed.rounded.map_or(0, |rounded| whole + rounded + wanted.rows.start as u64 * 2))
    }

    fn bias(&self, bias: Option<Weight>, len: u32) -> Result<Address, Fault> {
        bias.map_or(Ok(0), |bias| self.vector(bias, len))
    }
}

/// Whether a library did a product, and with kernels of ours what it left of its end.
///
/// # Safety
/// As [`Sink::multiply`].
unsafe fn multiplied(product: &Product, sink: &mut impl Sink) -> Result<bool, Fault> {
    let Product { precision, end, out, .. } = *product;
    // SAFETY: the caller says so.
    let (y, act) = match unsafe { sink.multiply(product) }? {
        Answer::No => return Ok(false),
        Answer::Done => return Ok(true),
        Answer::Then(y, act) => (y, act),
    };
    if let Some(act) = act {
        let activate = Activate::new(precision, y, act, y)?;
        // SAFETY: as above; the product lies in the outcome or in the workspace, and every number is read before it is written.
        unsafe { sink.launch(&activate) }?;
    }
    if end.then.kind != Then::STORE {
        let combine = Combine::new(precision, y, end.then, out)?;
        // SAFETY: as above.
        unsafe { sink.launch(&combine) }?;
    }
    Ok(true)
}

/// A number of rows or columns as kernels count them.
fn count(number: usize) -> Result<u32, Fault> {
    u32::try_from(number).map_err(|_| Fault::Shape(format!("{number} rows or columns are more than a card counts")))
}
