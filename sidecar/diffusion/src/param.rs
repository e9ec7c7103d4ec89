//! A parameter of a model as it lies in files: no copy, whatever the layout.
//!
//! The model asks for names and shapes of the original SD3.5 files (`joint_blocks.3.x_block.attn.qkv.weight`). Another
//! layout stores the same rows elsewhere: diffusers keeps q, k and v apart, and swaps scale and shift in two places. So a
//! parameter is a stack of row ranges of stored tensors. Devices convert while they read.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::dtype::DType;

/// Memory that tensors lie in: a mapped file, or bytes of a test.
pub trait Backing: Send + Sync {
    /// All of it.
    fn bytes(&self) -> &[u8];
}

impl Backing for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// A stored tensor, row-major.
#[derive(Clone)]
pub struct Tensor {
    dtype: DType,
    shape: Vec<usize>,
    backing: Arc<dyn Backing>,
    range: Range<usize>,
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:?}", self.dtype.word(), self.shape)
    }
}

impl Tensor {
    /// `range` of `backing` as numbers; `None` unless the range lies inside and is as long as dtype and shape say.
    /// Numbers of whole blocks stand in each row.
    pub fn new(dtype: DType, shape: Vec<usize>, backing: Arc<dyn Backing>, range: Range<usize>) -> Option<Self> {
        let row = shape.last().copied().unwrap_or(1);
        let rows =
            shape[..shape.len().saturating_sub(1)].iter().try_fold(1usize, |rows, side| rows.checked_mul(*side))?;
        let bytes = dtype.bytes(row)?.checked_mul(rows)?;
        let fits = range.start <= range.end && range.end <= backing.bytes().len() && range.len() == bytes;
        fits.then_some(Self { dtype, shape, backing, range })
    }

    /// A tensor of singles, for tests and what is made at run time.
    ///
    /// # Panics
    /// When `values` are not as many as `shape` says.
    pub fn of_f32(shape: Vec<usize>, values: &[f32]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let range = 0..bytes.len();
        match Self::new(DType::F32, shape, Arc::new(bytes), range) {
            Some(tensor) => tensor,
            None => panic!("{} values do not fill the shape", values.len()),
        }
    }

    /// How its numbers are stored.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Sides, the last varies fastest.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers as stored, little-endian.
    pub fn bytes(&self) -> &[u8] {
        &self.backing.bytes()[self.range.clone()]
    }

    /// How many numbers.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Some of its rows as a tensor of the same memory; `None` where it does not have them all.
    pub fn slice(&self, rows: Range<usize>) -> Option<Self> {
        let bytes_of_row = self.range.len().checked_div(self.rows())?;
        if rows.start > rows.end || rows.end > self.rows() {
            return None;
        }
        let mut shape = self.shape.clone();
        *shape.first_mut()? = rows.len();
        let from = self.range.start + rows.start * bytes_of_row;
        Self::new(self.dtype, shape, self.backing.clone(), from..from + rows.len() * bytes_of_row)
    }

    /// As rows for a linear layer: the first side, and everything behind it.
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }
}

/// Rows of a stored tensor.
#[derive(Debug, Clone)]
pub struct Part {
    /// Where they lie. A vector has as many rows as numbers; anything else has rows of its first side.
    pub tensor: Tensor,
    /// Which of them, each as long as a row of the parameter. (GGUF files may store rows of another length one behind the
    /// other: the numbers and their order are the same.)
    pub rows: Range<usize>,
    /// What stored numbers are multiplied with: 1, or the scale of an fp8 tensor.
    pub scale: f32,
}

/// Low-rank weights that are added to a parameter: `weight += scale · up · down` (LoRA).
#[derive(Debug, Clone)]
pub struct LowRank {
    /// `[rank, in]`, with convolutions unrolled as the parameter's own rows are.
    pub down: Tensor,
    /// `[rows.len(), rank]`.
    pub up: Tensor,
    /// The adapter's weight times `alpha / rank`.
    pub scale: f32,
    /// Rows of the parameter that it is added to.
    pub rows: Range<usize>,
}

/// A parameter as a stack of parts.
#[derive(Debug, Clone)]
pub struct Param {
    /// The shape that the model asked for.
    pub shape: Vec<usize>,
    /// Its rows from the first to the last; together as many as `shape[0]`.
    pub parts: Vec<Part>,
    /// What is added to it, in order.
    pub adapters: Vec<LowRank>,
    /// Whether a device keeps it in eight bits: rows of e4m3 with a scale each. Said of matrices that linear layers alone
    /// read, and only to a device that [can](crate::device::Device::keeps_eights).
    pub eights: bool,
}

impl Param {
    /// One whole tensor.
    pub fn whole(tensor: Tensor) -> Self {
        let rows = tensor.rows();
        Self {
            shape: tensor.shape().to_vec(),
            parts: vec![Part { tensor, rows: 0..rows, scale: 1.0 }],
            adapters: Vec::new(),
            eights: false,
        }
    }

    /// Rows: the first side.
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Numbers in a row.
    pub fn row_len(&self) -> usize {
        self.shape.get(1..).map_or(1, |rest| rest.iter().product())
    }

    /// The same numbers as rows of `len`, which divides the rows that there are: a table of `[1, places, features]` by its
    /// places. `None` where it does not, or blocks or adapters stand across.
    pub fn with_rows_of(&self, len: usize) -> Option<Self> {
        let factor = self.row_len().checked_div(len)?;
        if factor * len != self.row_len() || !self.adapters.is_empty() {
            return None;
        }
        let parts = self.parts.iter().map(|part| {
            let Tensor { dtype, backing, range, .. } = &part.tensor;
            let shape = vec![part.tensor.len() / len, len];
            let tensor = Tensor::new(*dtype, shape, Arc::clone(backing), range.clone())?;
            Some(Part { tensor, rows: part.rows.start * factor..part.rows.end * factor, scale: part.scale })
        });
        Some(Self {
            shape: vec![self.rows() * factor, len],
            parts: parts.collect::<Option<_>>()?,
            adapters: Vec::new(),
            eights: false,
        })
    }

    /// Bytes as they lie in files.
    pub fn stored_bytes(&self) -> usize {
        let of = |part: &Part| part.tensor.dtype().bytes(part.rows.len() * self.row_len()).unwrap_or(0);
        self.parts.iter().map(of).sum()
    }
}

/// The parameters of one part of a model, by their names in the original files, without prefix.
#[derive(Debug, Clone, Default)]
pub struct Params(pub BTreeMap<String, Param>);

impl Params {
    /// The parameter of this name.
    pub fn get(&self, name: &str) -> Option<&Param> {
        self.0.get(name)
    }

    /// The same numbers, of which those with a wanted name are to be kept in eight bits.
    #[must_use]
    pub fn in_eights(&self, wanted: &dyn Fn(&str) -> bool) -> Self {
        let marked = |(name, param): (&String, &Param)| {
            (name.clone(), Param { eights: param.eights || wanted(name), ..param.clone() })
        };
        Self(self.0.iter().map(marked).collect())
    }

    /// The first that is to be kept in eight bits.
    pub fn first_in_eights(&self) -> Option<&str> {
        self.0.iter().find(|(_, param)| param.eights).map(|(name, _)| name.as_str())
    }

    /// Whether there is one of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}
