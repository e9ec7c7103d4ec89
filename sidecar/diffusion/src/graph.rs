//! A model as a list of operations in its own words, built once for every device, size and precision.
//!
//! ```text
//! model ─► Builder ─► operations ─► fuse ─► plan (who lives when, and where) ─► Program ─► a Device
//! ```
//! Every buffer is a matrix, row-major. Tokens are rows: those of the first picture of the batch, then those of the
//! next. Pictures are rows too, a pixel each (NHWC), so that a convolution is a product of matrices like everything else.

use std::ops::Range;

use crate::dtype::Precision;

pub(crate) mod fuse;
#[cfg(test)]
mod tests;

/// A buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub u32);

/// A parameter that an operation reads; an index into [`Graph::weights`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Weight(pub u32);

/// What the numbers of a buffer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Element {
    /// Activations, in the precision of the program.
    Act,
    /// Singles whatever the precision: times, biases of attention.
    F32,
    /// Token numbers.
    U32,
}

impl Element {
    /// Bytes of one number.
    pub const fn bytes(self, precision: Precision) -> usize {
        match self {
            Self::Act => precision.bytes(),
            Self::F32 | Self::U32 => 4,
        }
    }
}

/// A rectangle of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct View {
    /// Which buffer.
    pub value: Value,
    /// First row.
    pub row: usize,
    /// Rows.
    pub rows: usize,
    /// First column.
    pub col: usize,
    /// Columns.
    pub cols: usize,
}

impl View {
    /// `cols` of its columns from `from` on.
    ///
    /// # Panics
    /// When they are not there: a fault of the model's code.
    #[must_use]
    pub fn columns(self, from: usize, cols: usize) -> Self {
        assert!(from + cols <= self.cols, "columns {from}+{cols} of {}", self.cols);
        Self { col: self.col + from, cols, ..self }
    }

    /// Part `index` of `of` equal parts of its columns.
    #[must_use]
    pub fn chunk(self, index: usize, of: usize) -> Self {
        let cols = self.cols / of;
        self.columns(index * cols, cols)
    }
}

/// What a buffer holds.
#[derive(Debug, Clone)]
pub struct ValueInfo {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// Numbers.
    pub element: Element,
    /// The name of one that the caller places and keeps; `None` for scratch.
    pub kept: Option<String>,
}

/// A parameter as the model asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightUse {
    /// Name in the original files.
    pub name: String,
    /// Shape of the whole parameter.
    pub shape: Vec<usize>,
    /// Rows of it that are read.
    pub rows: Range<usize>,
    /// Whether the model keeps it in eight bits, see [`crate::param::Param::eights`].
    pub eights: bool,
}

impl WeightUse {
    /// Numbers in a row.
    pub fn row_len(&self) -> usize {
        self.shape.get(1..).map_or(1, |rest| rest.iter().product())
    }
}

/// Activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// x · sigmoid(x)
    Silu,
    /// x · Φ(x), by the error function.
    Gelu,
    /// The same by tanh: 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))
    GeluTanh,
    /// x · sigmoid(1.702 x)
    QuickGelu,
}

/// What a norm divides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NormKind {
    /// Standard deviation, after the mean is taken away.
    Layer,
    /// Root of the mean square.
    Rms,
}

/// What is done with the outcome of a product before it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Then {
    /// Nothing.
    Store,
    /// `out = this + y`. `this` may have fewer rows, which then repeat.
    Add(View),
    /// `out = this · y`
    Times(View),
    /// `out = residual + gate · y`; the gate has a row for every picture of the batch.
    Gate {
        /// Is added to.
        residual: View,
        /// Row per picture.
        gate: View,
    },
}

/// Shift and scale, a row for every picture of the batch: `y (1 + scale) + shift`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Modulation {
    /// Is added.
    pub shift: View,
    /// Is multiplied with, plus one.
    pub scale: View,
}

/// One kind of tokens in an attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stream {
    /// What they ask and where the answer goes; `None` where nobody reads it.
    pub query: Option<Query>,
    /// `[batch · tokens, heads · head]`
    pub key: View,
    /// As the keys.
    pub value: View,
    /// Weights of the norm of every head's keys by their root mean square.
    pub key_norm: Option<Weight>,
}

/// Queries of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Query {
    /// As the keys.
    pub query: View,
    /// Weights of the norm of every head's queries.
    pub norm: Option<Weight>,
    /// `[batch · tokens, heads · head]`
    pub out: View,
}

/// Who may look at whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mask {
    /// All at all.
    Full,
    /// Each at itself and what came before.
    Causal,
    /// All at all, with `[heads, tokens²]` added to the scores, as singles.
    Bias(View),
}

/// softmax(scale · q kᵀ + mask) · v, for every picture and head, over the tokens of all streams together.
#[derive(Debug, Clone, PartialEq)]
pub struct Attention {
    /// Their tokens follow one another.
    pub streams: Vec<Stream>,
    /// Pictures.
    pub batch: usize,
    /// Heads.
    pub heads: usize,
    /// Features of a head.
    pub head: usize,
    /// What scores are multiplied with.
    pub scale: f32,
    /// Who looks at whom.
    pub mask: Mask,
    /// Epsilon of the norms of queries and keys.
    pub eps: f32,
}

impl Attention {
    /// Tokens of all streams for one picture.
    pub fn tokens(&self) -> usize {
        self.streams.iter().map(|stream| stream.key.rows / self.batch).sum()
    }
}

/// Where a convolution looks. Rows of its input are `batch · height · width` pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Pictures.
    pub batch: usize,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Pixels from one place to the next.
    pub stride: usize,
    /// Zeros before the first row and column.
    pub before: usize,
    /// Zeros after the last row and column.
    pub after: usize,
    /// Each input pixel is seen as a square of this side (nearest neighbour), before the padding.
    pub upsample: usize,
}

impl Geometry {
    /// A kernel that keeps the size.
    pub fn same(batch: usize, height: usize, width: usize, kernel: usize) -> Self {
        Self { batch, height, width, kernel, stride: 1, before: kernel / 2, after: kernel / 2, upsample: 1 }
    }

    /// Height and width of what comes out.
    pub fn out(&self) -> (usize, usize) {
        let side = |side: usize| (side * self.upsample + self.before + self.after - self.kernel) / self.stride + 1;
        (side(self.height), side(self.width))
    }
}

/// An operation. `out` never overlaps what is read, except where [`crate::plan`] says that it may lie on it.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// `out = then(act(x · weightᵀ + bias))`
    Linear {
        /// `[rows, in]`
        x: View,
        /// `[out, in]`
        weight: Weight,
        /// `[out]`
        bias: Option<Weight>,
        /// Before `then`.
        act: Option<Act>,
        /// Before storing.
        then: Then,
        /// `[rows, out]`
        out: View,
    },
    /// A convolution of pictures, `[out, in, kernel, kernel]`.
    Conv {
        /// `[batch · height · width, in]`
        x: View,
        /// The kernels.
        weight: Weight,
        /// `[out]`
        bias: Option<Weight>,
        /// Where it looks.
        geometry: Geometry,
        /// Before storing.
        then: Then,
        /// `[batch · height · width, out]`, of the outcome's size.
        out: View,
    },
    /// A norm of every row, with what follows it.
    Norm {
        /// `[rows, features]`
        x: View,
        /// What it divides by.
        kind: NormKind,
        /// Is added to the mean square before the root.
        eps: f32,
        /// `[features]`
        weight: Option<Weight>,
        /// `[features]`
        bias: Option<Weight>,
        /// Comes last.
        modulate: Option<Modulation>,
        /// As `x`.
        out: View,
    },
    /// A norm over the pixels of a picture and the channels of a group.
    GroupNorm {
        /// `[batch · pixels, channels]`
        x: View,
        /// Pictures.
        batch: usize,
        /// Groups of channels.
        groups: usize,
        /// Is added to the variance.
        eps: f32,
        /// `[channels]`
        weight: Weight,
        /// `[channels]`
        bias: Weight,
        /// Comes last.
        act: Option<Act>,
        /// As `x`.
        out: View,
    },
    /// See [`Attention`].
    Attention(Attention),
    /// `out = act(x)`
    Activate {
        /// Any.
        x: View,
        /// Which.
        act: Act,
        /// As `x`.
        out: View,
    },
    /// `out = x (1 + scale) + shift`
    Modulate {
        /// `[batch · tokens, features]`
        x: View,
        /// By what.
        by: Modulation,
        /// As `x`.
        out: View,
    },
    /// What [`Then`] does, apart from a product.
    Combine {
        /// The `y` of [`Then`].
        y: View,
        /// What is done with it.
        then: Then,
        /// As `y`.
        out: View,
    },
    /// Every pixel becomes a square of four.
    Upsample {
        /// `[batch · height · width, channels]`
        x: View,
        /// Pictures.
        batch: usize,
        /// Of the input.
        height: usize,
        /// Of the input.
        width: usize,
        /// Four times the rows.
        out: View,
    },
    /// `out[i] = table[ids[i]] + positions[i mod tokens]`
    Embed {
        /// `[batch · tokens, 1]` numbers of tokens; one that the table does not have is an error.
        ids: View,
        /// `[vocabulary, features]`
        table: Weight,
        /// `[tokens, features]`
        positions: Option<Weight>,
        /// `[batch · tokens, features]`
        out: View,
    },
    /// Cosines then sines of `t · 10000^(-i/half)`, as diffusers' `Timesteps` with `flip_sin_to_cos` and no shift.
    Timestep {
        /// `[rows, 1]` times from 0 to 1000, as singles.
        t: View,
        /// `[rows, 2 · half]`
        out: View,
    },
    /// The middle of a square table of positions.
    Positions {
        /// `[1, side · side, features]`
        table: Weight,
        /// Side of the table.
        side: usize,
        /// Patches from top to bottom.
        height: usize,
        /// Patches from left to right.
        width: usize,
        /// `[height · width, features]`
        out: View,
    },
    /// Scores by distance, `[heads, tokens²]`, as T5's encoder adds them: in both directions, buckets wide for far ones.
    RelativeBias {
        /// `[buckets, heads]`
        table: Weight,
        /// Tokens.
        tokens: usize,
        /// Distance of the last bucket.
        distance: usize,
        /// As singles.
        out: View,
    },
    /// Tokens of `patch · patch · channels` become pixels.
    Unpatchify {
        /// `[batch · height · width, patch · patch · channels]`
        x: View,
        /// Pictures.
        batch: usize,
        /// Tokens from top to bottom.
        height: usize,
        /// Tokens from left to right.
        width: usize,
        /// Side of a patch.
        patch: usize,
        /// `[batch · height · patch · width · patch, channels]`
        out: View,
    },
}

impl Op {
    /// Where the outcome goes.
    pub fn writes(&self) -> Vec<View> {
        match self {
            Self::Linear { out, .. }
            | Self::Conv { out, .. }
            | Self::Norm { out, .. }
            | Self::GroupNorm { out, .. }
            | Self::Activate { out, .. }
            | Self::Modulate { out, .. }
            | Self::Combine { out, .. }
            | Self::Upsample { out, .. }
            | Self::Embed { out, .. }
            | Self::Timestep { out, .. }
            | Self::Positions { out, .. }
            | Self::RelativeBias { out, .. }
            | Self::Unpatchify { out, .. } => vec![*out],
            Self::Attention(attention) => {
                attention.streams.iter().filter_map(|stream| Some(stream.query?.out)).collect()
            }
        }
    }

    /// What it looks at.
    pub fn reads(&self) -> Vec<View> {
        let then_reads = |then: &Then| match then {
            Then::Store => vec![],
            Then::Add(view) | Then::Times(view) => vec![*view],
            Then::Gate { residual, gate } => vec![*residual, *gate],
        };
        match self {
            Self::Linear { x, then, .. } | Self::Conv { x, then, .. } | Self::Combine { y: x, then, .. } => {
                [vec![*x], then_reads(then)].concat()
            }
            Self::Norm { x, modulate, .. } => {
                [vec![*x], modulate.map_or(vec![], |by| vec![by.shift, by.scale])].concat()
            }
            Self::Modulate { x, by, .. } => vec![*x, by.shift, by.scale],
            Self::GroupNorm { x, .. }
            | Self::Activate { x, .. }
            | Self::Upsample { x, .. }
            | Self::Unpatchify { x, .. } => vec![*x],
            Self::Embed { ids, .. } => vec![*ids],
            Self::Timestep { t, .. } => vec![*t],
            Self::Positions { .. } | Self::RelativeBias { .. } => vec![],
            Self::Attention(attention) => {
                let of = |stream: &Stream| {
                    [stream.query.map_or(vec![], |query| vec![query.query]), vec![stream.key, stream.value]].concat()
                };
                let mut views: Vec<View> = attention.streams.iter().flat_map(of).collect();
                if let Mask::Bias(bias) = attention.mask {
                    views.push(bias);
                }
                views
            }
        }
    }

    /// The one thing read that the outcome may take the place of: element by element it is read before it is written.
    pub(crate) fn in_place(&self) -> Option<View> {
        match self {
            Self::Linear { then, .. } | Self::Conv { then, .. } => match then {
                Then::Store => None,
                Then::Add(view) | Then::Times(view) | Then::Gate { residual: view, .. } => Some(*view),
            },
            Self::Combine { then: Then::Gate { residual: view, .. }, .. } => Some(*view),
            Self::Norm { x, .. } | Self::Activate { x, .. } | Self::Modulate { x, .. } | Self::Combine { y: x, .. } => {
                Some(*x)
            }
            _ => None,
        }
    }

    /// What it is called in reports of where the time goes.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Linear { .. } => "linear",
            Self::Conv { .. } => "conv",
            Self::Norm { .. } => "norm",
            Self::GroupNorm { .. } => "group norm",
            Self::Attention(_) => "attention",
            Self::Activate { .. } => "activate",
            Self::Modulate { .. } => "modulate",
            Self::Combine { .. } => "combine",
            Self::Upsample { .. } => "upsample",
            Self::Embed { .. } => "embed",
            Self::Timestep { .. } => "timestep",
            Self::Positions { .. } => "positions",
            Self::RelativeBias { .. } => "relative bias",
            Self::Unpatchify { .. } => "unpatchify",
        }
    }
}

/// Operations in order, with their buffers and parameters.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// In the order that they run.
    pub ops: Vec<Op>,
    /// Buffers.
    pub values: Vec<ValueInfo>,
    /// Parameters.
    pub weights: Vec<WeightUse>,
}

impl Graph {
    /// What a buffer holds.
    pub fn info(&self, value: Value) -> &ValueInfo {
        &self.values[value.0 as usize]
    }

    /// Says of all parameters with a wanted name that the model keeps them in eight bits.
    pub fn in_eights(&mut self, wanted: &dyn Fn(&str) -> bool) {
        self.weights.iter_mut().for_each(|weight| weight.eights |= wanted(&weight.name));
    }

    /// Whether `view` is all of its buffer.
    pub fn is_whole(&self, view: View) -> bool {
        let info = self.info(view.value);
        view.row == 0 && view.col == 0 && view.rows == info.rows && view.cols == info.cols
    }
}

/// Writes a model down. Shapes that do not fit are faults of the model's code and panic; configurations are checked
/// where they are read.
#[derive(Debug, Default)]
pub struct Builder {
    graph: Graph,
}

impl Builder {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    fn value(&mut self, rows: usize, cols: usize, element: Element, kept: Option<String>) -> View {
        let value = Value(self.graph.values.len() as u32);
        self.graph.values.push(ValueInfo { rows, cols, element, kept });
        View { value, row: 0, rows, col: 0, cols }
    }

    fn act(&mut self, rows: usize, cols: usize) -> View {
        self.value(rows, cols, Element::Act, None)
    }

    fn weight(&mut self, name: &str, shape: &[usize], rows: Range<usize>) -> Weight {
        let wanted = WeightUse { name: name.to_owned(), shape: shape.to_vec(), rows, eights: false };
        if let Some(at) = self.graph.weights.iter().position(|known| *known == wanted) {
            return Weight(at as u32);
        }
        self.graph.weights.push(wanted);
        Weight(self.graph.weights.len() as u32 - 1)
    }

    /// The parameter `name`, all of it.
    pub fn param(&mut self, name: &str, shape: &[usize]) -> Weight {
        self.weight(name, shape, 0..shape[0])
    }

    /// A buffer that the caller fills before the program runs.
    pub fn input(&mut self, name: &str, rows: usize, cols: usize, element: Element) -> View {
        self.value(rows, cols, element, Some(name.to_owned()))
    }

    /// Names the buffer of `view`, so that the caller places it and reads it when the program has run.
    ///
    /// # Panics
    /// When it is only part of a buffer, or already kept.
    pub fn output(&mut self, name: &str, view: View) {
        assert!(self.graph.is_whole(view), "{name} is part of a buffer");
        let info = &mut self.graph.values[view.value.0 as usize];
        assert!(info.kept.is_none(), "{name} is kept as {:?}", info.kept);
        info.kept = Some(name.to_owned());
    }

    /// `x · weightᵀ + bias`, with `name.weight` of `[features, x.cols]` and `name.bias`.
    pub fn linear(&mut self, x: View, name: &str, features: usize, bias: bool) -> View {
        self.linear_rows(x, name, features, 0..features, bias)
    }

    /// The same for some of the outcome's features.
    pub fn linear_rows(&mut self, x: View, name: &str, features: usize, rows: Range<usize>, bias: bool) -> View {
        let out = self.act(x.rows, rows.len());
        self.linear_into(x, name, features, rows, bias, out);
        out
    }

    /// The same into columns of a larger buffer.
    ///
    /// # Panics
    /// When `out` is not `[x.rows, rows.len()]`.
    pub fn linear_into(&mut self, x: View, name: &str, features: usize, rows: Range<usize>, bias: bool, out: View) {
        assert_eq!((out.rows, out.cols), (x.rows, rows.len()), "{name}");
        let weight = self.weight(&format!("{name}.weight"), &[features, x.cols], rows.clone());
        let bias = bias.then(|| self.weight(&format!("{name}.bias"), &[features], rows));
        self.graph.ops.push(Op::Linear { x, weight, bias, act: None, then: Then::Store, out });
    }

    /// A buffer to be filled by columns with [`Builder::linear_into`].
    pub fn wide(&mut self, rows: usize, cols: usize) -> View {
        self.act(rows, cols)
    }

    /// A convolution with `name.weight` of `[features, x.cols, kernel, kernel]` and `name.bias`.
    ///
    /// # Panics
    /// When `x` has not as many rows as `geometry` says.
    pub fn conv(&mut self, x: View, name: &str, features: usize, geometry: Geometry) -> View {
        assert_eq!(x.rows, geometry.batch * geometry.height * geometry.width, "{name}");
        let (height, width) = geometry.out();
        let weight = self.param(&format!("{name}.weight"), &[features, x.cols, geometry.kernel, geometry.kernel]);
        let bias = Some(self.param(&format!("{name}.bias"), &[features]));
        let out = self.act(geometry.batch * height * width, features);
        self.graph.ops.push(Op::Conv { x, weight, bias, geometry, then: Then::Store, out });
        out
    }

    /// A norm without parameters.
    pub fn norm(&mut self, x: View, kind: NormKind, eps: f32) -> View {
        let out = self.act(x.rows, x.cols);
        self.graph.ops.push(Op::Norm { x, kind, eps, weight: None, bias: None, modulate: None, out });
        out
    }

    /// A norm with `name.weight`, and `name.bias` if it is a layer norm.
    pub fn norm_affine(&mut self, x: View, kind: NormKind, eps: f32, name: &str) -> View {
        let weight = Some(self.param(&format!("{name}.weight"), &[x.cols]));
        let bias = (kind == NormKind::Layer).then(|| self.param(&format!("{name}.bias"), &[x.cols]));
        let out = self.act(x.rows, x.cols);
        self.graph.ops.push(Op::Norm { x, kind, eps, weight, bias, modulate: None, out });
        out
    }

    /// A group norm with `name.weight` and `name.bias`.
    pub fn group_norm(&mut self, x: View, name: &str, batch: usize, groups: usize, eps: f32) -> View {
        let weight = self.param(&format!("{name}.weight"), &[x.cols]);
        let bias = self.param(&format!("{name}.bias"), &[x.cols]);
        let out = self.act(x.rows, x.cols);
        self.graph.ops.push(Op::GroupNorm { x, batch, groups, eps, weight, bias, act: None, out });
        out
    }

    /// An attention; buffers for the answers are made for the streams that `asks` says, and returned in their order.
    pub fn attention(
        &mut self,
        streams: &[Tokens],
        batch: usize,
        heads: usize,
        scale: f32,
        eps: f32,
        mask: Mask,
    ) -> Vec<View> {
        let head = streams[0].key.cols / heads;
        let mut outs = Vec::new();
        let streams = streams.iter().map(|tokens| {
            let query = tokens.query.map(|query| {
                let out = self.act(query.rows, query.cols);
                outs.push(out);
                Query { query, norm: tokens.query_norm, out }
            });
            Stream { query, key: tokens.key, value: tokens.value, key_norm: tokens.key_norm }
        });
        let streams = streams.collect();
        self.graph.ops.push(Op::Attention(Attention { streams, batch, heads, head, scale, mask, eps }));
        outs
    }

    /// `act(x)`
    pub fn activate(&mut self, x: View, act: Act) -> View {
        let out = self.act(x.rows, x.cols);
        self.graph.ops.push(Op::Activate { x, act, out });
        out
    }

    /// `x (1 + scale) + shift`
    pub fn modulate(&mut self, x: View, shift: View, scale: View) -> View {
        let out = self.act(x.rows, x.cols);
        self.graph.ops.push(Op::Modulate { x, by: Modulation { shift, scale }, out });
        out
    }

    /// `residual + gate · y`
    pub fn gated(&mut self, residual: View, gate: View, y: View) -> View {
        let out = self.act(y.rows, y.cols);
        self.graph.ops.push(Op::Combine { y, then: Then::Gate { residual, gate }, out });
        out
    }

    /// `to + y`; the rows of `to` repeat if they are fewer.
    pub fn add(&mut self, to: View, y: View) -> View {
        let out = self.act(y.rows, y.cols);
        self.graph.ops.push(Op::Combine { y, then: Then::Add(to), out });
        out
    }

    /// `by · y`
    pub fn times(&mut self, by: View, y: View) -> View {
        let out = self.act(y.rows, y.cols);
        self.graph.ops.push(Op::Combine { y, then: Then::Times(by), out });
        out
    }

    /// Every pixel becomes a square of four.
    pub fn upsample(&mut self, x: View, batch: usize, height: usize, width: usize) -> View {
        let out = self.act(x.rows * 4, x.cols);
        self.graph.ops.push(Op::Upsample { x, batch, height, width, out });
        out
    }

    /// Rows of the table `name` of `[vocabulary, features]`, plus those of `positions` in turn.
    pub fn embed(
        &mut self,
        ids: View,
        name: &str,
        vocabulary: usize,
        features: usize,
        positions: Option<Weight>,
    ) -> View {
        let table = self.param(name, &[vocabulary, features]);
        let out = self.act(ids.rows, features);
        self.graph.ops.push(Op::Embed { ids, table, positions, out });
        out
    }

    /// See [`Op::Timestep`].
    pub fn timestep(&mut self, t: View, features: usize) -> View {
        let out = self.act(t.rows, features);
        self.graph.ops.push(Op::Timestep { t, out });
        out
    }

    /// See [`Op::Positions`].
    pub fn positions(&mut self, name: &str, side: usize, features: usize, height: usize, width: usize) -> View {
        let table = self.param(name, &[1, side * side, features]);
        let out = self.act(height * width, features);
        self.graph.ops.push(Op::Positions { table, side, height, width, out });
        out
    }

    /// See [`Op::RelativeBias`].
    pub fn relative_bias(&mut self, name: &str, buckets: usize, heads: usize, tokens: usize, distance: usize) -> View {
        let table = self.param(name, &[buckets, heads]);
        let out = self.value(heads, tokens * tokens, Element::F32, None);
        self.graph.ops.push(Op::RelativeBias { table, tokens, distance, out });
        out
    }

    /// See [`Op::Unpatchify`].
    pub fn unpatchify(&mut self, x: View, batch: usize, height: usize, width: usize, patch: usize) -> View {
        let out = self.act(x.rows * patch * patch, x.cols / (patch * patch));
        self.graph.ops.push(Op::Unpatchify { x, batch, height, width, patch, out });
        out
    }

    /// The operations as written.
    pub fn finish(self) -> Graph {
        self.graph
    }
}

/// Tokens that take part in an attention, for [`Builder::attention`].
#[derive(Debug, Clone, Copy)]
pub struct Tokens {
    /// `None` where nobody reads what they would learn.
    pub query: Option<View>,
    /// Keys.
    pub key: View,
    /// Values.
    pub value: View,
    /// Norm of the queries of a head.
    pub query_norm: Option<Weight>,
    /// Norm of the keys of a head.
    pub key_norm: Option<Weight>,
}

impl Tokens {
    /// Queries, keys and values side by side in one buffer.
    pub fn of(qkv: View) -> Self {
        let [query, key, value] = [0, 1, 2].map(|index| qkv.chunk(index, 3));
        Self { query: Some(query), key, value, query_norm: None, key_norm: None }
    }
}
