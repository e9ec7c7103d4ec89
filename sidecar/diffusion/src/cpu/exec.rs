//! Runs the operations of a program: checks every view ([`crate::views`]) and shape once, then hands addresses to the loops.

use crate::device::Bases;
use crate::dtype::{Precision, bf16_to_f32, f32_to_bf16};
use crate::error::DiffusionError;
use crate::graph::{self, Element, Op, View, Weight};
use crate::param::{Param, Params};
use crate::plan::Program;
use crate::rows;
use crate::views::{Views, check_geometry, divides, product_is};

use super::attention::{self, Attention};
use super::mat::{Finish, Mat, Then};
use super::memory::Memory;
use super::product::{self, Product, Rows};
use super::rowwise::{self, GroupNorm, Modulation, Norm};
use super::team::{Need, Room, Team, lines};
use super::tile::Tile;
use super::{Kernels, failed};

/// What `program` works in beside its buffers.
pub(super) fn need(program: &Program, kernels: Kernels, threads: usize) -> Need {
    let tile = Tile::of(kernels, program.precision);
    program.ops.iter().fold(Need::default(), |need, op| need.max(need_of(program, op, &tile, threads)))
}

fn need_of(program: &Program, op: &Op, tile: &Tile, threads: usize) -> Need {
    let numbers = |weight: &Weight| {
        program.weights.get(weight.0 as usize).map_or(0, |wanted| lines(wanted.rows.len() * wanted.row_len()))
    };
    let vectors = |weights: &[Option<Weight>]| weights.iter().flatten().map(numbers).sum::<usize>();
    let (own, shared) = match op {
        Op::Linear { x, bias, out, .. } => {
            (product::need(tile, x.rows, out.cols, x.cols, threads, false), vectors(&[*bias]))
        }
        Op::Conv { x, bias, geometry, out, .. } => {
            let k = x.cols * geometry.kernel * geometry.kernel;
            (product::need(tile, out.rows, out.cols, k, threads, true), vectors(&[*bias]))
        }
        Op::Norm { weight, bias, .. } => (Need::default(), vectors(&[*weight, *bias])),
        Op::GroupNorm { x, batch, groups, weight, bias, .. } => {
            (rowwise::group_norm_need(x.cols, *groups, *batch), vectors(&[Some(*weight), Some(*bias)]))
        }
        Op::Attention(attention) => {
            let batch = attention.batch.max(1);
            let asked = attention.streams.iter().filter(|stream| stream.query.is_some());
            let asked = asked.map(|stream| stream.key.rows / batch).sum();
            let tokens = attention.streams.iter().map(|stream| stream.key.rows / batch).sum();
            let norms = attention
                .streams
                .iter()
                .map(|stream| vectors(&[stream.key_norm, stream.query.and_then(|query| query.norm)]));
            (attention::need(tile, attention.head.max(1), asked, tokens), norms.sum())
        }
        Op::Embed { out, .. } | Op::Positions { out, .. } => (rowwise::embed_need(out.cols), 0),
        Op::RelativeBias { table, tokens, out, .. } => {
            (rowwise::relative_bias_need(numbers(table), out.rows, *tokens), numbers(table))
        }
        Op::Activate { .. }
        | Op::Modulate { .. }
        | Op::Combine { .. }
        | Op::Upsample { .. }
        | Op::Timestep { .. }
        | Op::Unpatchify { .. } => (Need::default(), 0),
    };
    Need { shared: own.shared + shared, ..own }
}

/// A program, where its buffers lie, and who computes.
pub(super) struct Run<'a> {
    program: &'a Program,
    model: &'a Params,
    views: Views<'a>,
    start: *mut u8,
    team: Team<'a>,
}

/// Fails unless `holds`.
fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), DiffusionError> {
    if holds { Ok(()) } else { Err(failed(what())) }
}

impl<'a> Run<'a> {
    /// Of `memory`, which is borrowed as long as the run lasts.
    pub(super) fn new(
        program: &'a Program,
        model: &'a Params,
        memory: &'a mut Memory,
        bases: Bases<'a>,
        team: Team<'a>,
    ) -> Result<Self, DiffusionError> {
        let views = Views::new(program, bases, memory.len() as u64).map_err(failed)?;
        Ok(Self { program, model, views, start: memory.start(), team })
    }

    /// Runs one operation. `shared` is as large as [`need`] says.
    pub(super) fn op(&self, op: &Op, shared: &mut Room<'_>) -> Result<(), DiffusionError> {
        let apart = self.views.check_apart(op).map_err(failed);
        apart.and_then(|()| self.dispatch(op, shared)).map_err(|err| match err {
            DiffusionError::Device { device, reason } => {
                DiffusionError::Device { device, reason: format!("{}: {reason}", op.word()) }
            }
            other => other,
        })
    }

    fn dispatch(&self, op: &Op, shared: &mut Room<'_>) -> Result<(), DiffusionError> {
        match op {
            Op::Linear { x, weight, bias, act, then, out } => {
                let (x, out) = (self.mat(*x)?, self.mat(*out)?);
                let finish = self.finish_of(*bias, *act, then, out, shared)?;
                self.product(Rows::Stored(x), x.rows, x.cols, *weight, finish)
            }
            Op::Conv { x, weight, bias, geometry, then, out } => {
                let (x, out) = (self.mat(*x)?, self.mat(*out)?);
                check_geometry(geometry, x.rows).map_err(failed)?;
                let (height, width) = geometry.out();
                let finish = self.finish_of(*bias, None, then, out, shared)?;
                let k = x.cols * geometry.kernel * geometry.kernel;
                self.product(Rows::Pixels(x, *geometry), geometry.batch * height * width, k, *weight, finish)
            }
            Op::Norm { x, kind, eps, weight, bias, modulate, out } => {
                let (x, out) = (self.mat(*x)?, self.mat(*out)?);
                same_sides(x, out)?;
                let weight = weight.map(|weight| self.vector(weight, x.cols, shared)).transpose()?;
                let bias = bias.map(|bias| self.vector(bias, x.cols, shared)).transpose()?;
                let modulate = modulate.map(|by| self.modulation(by, x)).transpose()?;
                let norm = Norm { x, kind: Some(*kind), eps: *eps, weight, bias, modulate, out };
                rowwise::norm(&self.team, &norm);
                Ok(())
            }
            Op::Modulate { x, by, out } => {
                let (x, out) = (self.mat(*x)?, self.mat(*out)?);
                same_sides(x, out)?;
                let modulate = Some(self.modulation(*by, x)?);
                rowwise::norm(&self.team, &Norm { x, kind: None, eps: 0.0, weight: None, bias: None, modulate, out });
                Ok(())
            }
            Op::GroupNorm { x, batch, groups, eps, weight, bias, act, out } => {
                let (x, out) = (self.mat(*x)?, self.mat(*out)?);
                same_sides(x, out)?;
                ensure(divides(*batch, x.rows) && divides(*groups, x.cols), || {
                    format!("{} pixels of {} channels in {batch} pictures and {groups} groups", x.rows, x.cols)
                })?;
                let (batch, groups) = (*batch, *groups);
                let (weight, bias) = (self.vector(*weight, x.cols, shared)?, self.vector(*bias, x.cols, shared)?);
                let norm = GroupNorm { x, batch, groups, eps: *eps, weight, bias, act: *act, out };
                rowwise::group_norm(&self.team, &norm, shared);
                Ok(())
            }
            Op::Attention(attention) => self.attention(attention, shared),
            Op::Activate { x, act, out } => {
                let (x, out) = (self.mat(*x)?, self.mat(*out)?);
                same_sides(x, out)?;
                rowwise::finish(&self.team, x, &Finish { bias: None, act: Some(*act), then: Then::Store, out });
                Ok(())
            }
            Op::Combine { y, then, out } => {
                let (y, out) = (self.mat(*y)?, self.mat(*out)?);
                same_sides(y, out)?;
                let finish = self.finish_of(None, None, then, out, shared)?;
                rowwise::finish(&self.team, y, &finish);
                Ok(())
            }
            Op::Upsample { x, batch, height, width, out } => {
                let (x, out) = (self.mat(*x)?, self.mat(*out)?);
                let (batch, height, width) = (*batch, *height, *width);
                ensure(product_is([batch, height, width], x.rows) && product_is([x.rows, 4, 1], out.rows), || {
                    format!("{} rows from {batch} pictures of {height} x {width}", out.rows)
                })?;
                ensure(x.cols == out.cols, || format!("{} channels from {}", out.cols, x.cols))?;
                rowwise::copy(&self.team, x, out, |at| {
                    let (picture, y, x) =
                        (at / (4 * height * width), at / (2 * width) % (2 * height), at % (2 * width));
                    ((picture * height + y / 2) * width + x / 2, 0)
                });
                Ok(())
            }
            Op::Unpatchify { x, batch, height, width, patch, out } => {
                let (x, out) = (self.mat(*x)?, self.mat(*out)?);
                let (batch, height, width, patch) = (*batch, *height, *width, *patch);
                let fits = product_is([batch, height, width], x.rows)
                    && product_is([x.rows, patch, patch], out.rows)
                    && product_is([patch, patch, out.cols], x.cols);
                ensure(fits, || format!("{} pixels from {} tokens of {height} x {width}", out.rows, x.rows))?;
                rowwise::copy(&self.team, x, out, |at| {
                    let (high, wide) = (height * patch, width * patch);
                    let (picture, row, col) = (at / (high * wide), at / wide % high, at % wide);
                    let token = (picture * height + row / patch) * width + col / patch;
                    (token, (row % patch * patch + col % patch) * out.cols)
                });
                Ok(())
            }
            Op::Embed { ids, table, positions, out } => self.embed(*ids, *table, *positions, *out),
            Op::Timestep { t, out } => {
                let (t, out) = (self.mat(*t)?, self.mat(*out)?);
                ensure(t.rows == out.rows && t.cols > 0 && out.cols % 2 == 0, || {
                    format!("{} rows of {} features from {} times", out.rows, out.cols, t.rows)
                })?;
                rowwise::timestep(t, out)
            }
            Op::Positions { table, side, height, width, out } => {
                ensure(height <= side && width <= side, || {
                    format!("{height} x {width} patches need positions of {side} x {side}")
                })?;
                let out = self.mat(*out)?;
                let (param, wanted) = self.param(*table)?;
                ensure(
                    product_is([*height, *width, 1], out.rows) && wanted.shape == [1, side * side, out.cols],
                    || format!("{} places of {} features from a table of {:?}", out.rows, out.cols, wanted.shape),
                )?;
                let rows = param.with_rows_of(out.cols).ok_or_else(|| {
                    DiffusionError::Missing(format!("read the tensor {} place by place", wanted.name))
                })?;
                let (top, left, side, width) = ((side - height) / 2, (side - width) / 2, *side, *width);
                let row_of = |at: usize| (top + at / width) * side + left + at % width;
                rowwise::embed(&self.team, &rows, row_of, None, self.program.precision == Precision::Bf16, out);
                Ok(())
            }
            Op::RelativeBias { table, tokens, distance, out } => {
                let out = self.mat(*out)?;
                ensure(product_is([*tokens, *tokens, 1], out.cols) && out.rows > 0, || {
                    format!("{} scores for {tokens} tokens", out.cols)
                })?;
                let wanted = self.wanted(*table)?;
                // Four buckets are the least that have near and far ones in both directions.
                ensure(wanted.shape.len() == 2 && wanted.shape[1] == out.rows && wanted.rows.len() >= 4, || {
                    format!("{} heads from a table of {:?}", out.rows, wanted.shape)
                })?;
                let table = self.numbers(*table, shared)?;
                rowwise::relative_bias(&self.team, table, *tokens, *distance, shared, out);
                Ok(())
            }
        }
    }

    fn product(
        &self,
        rows: Rows,
        m: usize,
        k: usize,
        weight: Weight,
        finish: Finish<'_>,
    ) -> Result<(), DiffusionError> {
        let (param, wanted) = self.param(weight)?;
        let out = finish.out;
        ensure(out.rows == m && wanted.rows.len() == out.cols && wanted.row_len() == k, || {
            let (rows, cols) = (out.rows, out.cols);
            format!(
                "{rows} x {cols} from {m} x {k} and {} rows of {:?} of {}",
                wanted.rows.len(),
                wanted.shape,
                wanted.name
            )
        })?;
        let (wanted, precision) = (wanted.rows.clone(), self.program.precision);
        product::run(&self.team, &Product { rows, m, n: out.cols, k, param, wanted, precision, finish });
        Ok(())
    }

    fn attention(&self, op: &graph::Attention, shared: &mut Room<'_>) -> Result<(), DiffusionError> {
        let graph::Attention { batch, heads, head, scale, eps, .. } = *op;
        let cols = heads * head;
        ensure(batch > 0 && cols > 0 && !op.streams.is_empty(), || "an attention of nothing".to_owned())?;
        let of = |view: View| {
            let mat = self.mat(view)?;
            ensure(mat.cols == cols && divides(batch, mat.rows), || {
                format!("{} rows of {} features for {batch} pictures and {heads} heads of {head}", mat.rows, mat.cols)
            })?;
            Ok(mat)
        };
        let mut streams = Vec::with_capacity(op.streams.len());
        for stream in &op.streams {
            let (key, value) = (of(stream.key)?, of(stream.value)?);
            let key_norm = stream.key_norm.map(|weight| self.vector(weight, head, shared)).transpose()?;
            let query = match stream.query {
                None => None,
                Some(query) => {
                    let (from, out) = (of(query.query)?, of(query.out)?);
                    ensure(from.rows == key.rows && out.rows == key.rows, || {
                        format!("{} queries for {} keys of a stream", from.rows, key.rows)
                    })?;
                    let norm = query.norm.map(|weight| self.vector(weight, head, shared)).transpose()?;
                    Some(attention::Query { query: from, norm, out })
                }
            };
            ensure(value.rows == key.rows, || format!("{} values for {} keys", value.rows, key.rows))?;
            streams.push(attention::Stream { query, key, value, key_norm, tokens: key.rows / batch });
        }
        let tokens: usize = streams.iter().map(|stream| stream.tokens).sum();
        let mask = match op.mask {
            graph::Mask::Full => attention::Mask::Full,
            graph::Mask::Causal => attention::Mask::Causal,
            graph::Mask::Bias(bias) => {
                let bias = self.mat(bias)?;
                ensure(bias.rows == heads && product_is([tokens, tokens, 1], bias.cols), || {
                    format!("a bias of {} x {} for {heads} heads and {tokens} tokens", bias.rows, bias.cols)
                })?;
                attention::Mask::Bias(bias)
            }
        };
        let precision = self.program.precision;
        attention::run(&self.team, &Attention { streams: &streams, batch, heads, head, scale, mask, eps, precision });
        Ok(())
    }

    fn embed(&self, ids: View, table: Weight, positions: Option<Weight>, out: View) -> Result<(), DiffusionError> {
        ensure(self.program.buffers.get(ids.value.0 as usize).is_some_and(|at| at.element == Element::U32), || {
            "numbers of tokens are not whole numbers".to_owned()
        })?;
        let (ids, out) = (self.mat(ids)?, self.mat(out)?);
        let (table, wanted) = self.param(table)?;
        ensure(ids.rows == out.rows && ids.cols > 0 && wanted.row_len() == out.cols, || {
            format!("{} rows of {} features from {} of {:?}", out.rows, out.cols, ids.rows, wanted.shape)
        })?;
        let positions = positions.map(|positions| self.param(positions)).transpose()?;
        if let Some((param, wanted)) = positions {
            ensure(wanted.row_len() == out.cols && param.rows() > 0, || {
                format!("positions of {:?} for {} features", wanted.shape, out.cols)
            })?;
        }
        // SAFETY: a row of the checked view, at a multiple of four.
        let id = |row: usize| unsafe { ids.place(row, 0).cast::<u32>().read() } as usize;
        if let Some(unknown) = (0..ids.rows).map(id).find(|id| *id >= wanted.rows.len()) {
            return Err(failed(format!("token {unknown} is not in the table of {}", wanted.rows.len())));
        }
        let ids = Ids(ids);
        let first = wanted.rows.start;
        let round = self.program.precision == Precision::Bf16;
        rowwise::embed(&self.team, table, |row| first + ids.at(row), positions.map(|(param, _)| param), round, out);
        Ok(())
    }

    fn finish_of<'b>(
        &self,
        bias: Option<Weight>,
        act: Option<graph::Act>,
        then: &graph::Then,
        out: Mat,
        shared: &mut Room<'b>,
    ) -> Result<Finish<'b>, DiffusionError> {
        let bias = bias.map(|bias| self.vector(bias, out.cols, shared)).transpose()?;
        let then = match then {
            graph::Then::Store => Then::Store,
            graph::Then::Add(this) => {
                let this = self.mat(*this)?;
                ensure(this.cols == out.cols && this.rows > 0, || {
                    format!("{} columns added to {}", this.cols, out.cols)
                })?;
                Then::Add(this)
            }
            graph::Then::Times(this) => {
                let this = self.mat(*this)?;
                same_sides(this, out)?;
                Then::Times(this)
            }
            graph::Then::Gate { residual, gate } => {
                let (residual, gate) = (self.mat(*residual)?, self.mat(*gate)?);
                same_sides(residual, out)?;
                ensure(gate.cols == out.cols && divides(gate.rows, out.rows), || {
                    format!("a gate of {} x {} for {} x {}", gate.rows, gate.cols, out.rows, out.cols)
                })?;
                Then::Gate { residual, gate }
            }
        };
        Ok(Finish { bias, act, then, out })
    }

    fn modulation(&self, by: graph::Modulation, x: Mat) -> Result<Modulation, DiffusionError> {
        let (shift, scale) = (self.mat(by.shift)?, self.mat(by.scale)?);
        same_sides(shift, scale)?;
        ensure(shift.cols == x.cols && divides(shift.rows, x.rows), || {
            format!("a modulation of {} x {} for {} x {}", shift.rows, shift.cols, x.rows, x.cols)
        })?;
        Ok(Modulation { shift, scale })
    }

    fn wanted(&self, weight: Weight) -> Result<&graph::WeightUse, DiffusionError> {
        self.views.wanted(weight).map_err(failed)
    }

    /// A parameter, if the model has it in the shape that the program wants.
    fn param(&self, weight: Weight) -> Result<(&'a Param, &graph::WeightUse), DiffusionError> {
        let wanted = self.wanted(weight)?;
        let param = self.model.get(&wanted.name).filter(|param| param.shape == wanted.shape).ok_or_else(|| {
            DiffusionError::Missing(format!("find the tensor {} of shape {:?}", wanted.name, wanted.shape))
        })?;
        let stacked: usize = param.parts.iter().map(|part| part.rows.len()).sum();
        ensure(stacked == param.rows() && wanted.rows.start <= wanted.rows.end && wanted.rows.end <= stacked, || {
            format!("rows {:?} of {} of {}", wanted.rows, stacked, wanted.name)
        })?;
        Ok((param, wanted))
    }

    /// The numbers of a small parameter, in memory of the operation.
    fn numbers<'b>(&self, weight: Weight, shared: &mut Room<'b>) -> Result<&'b [f32], DiffusionError> {
        let (param, wanted) = self.param(weight)?;
        let numbers = shared.take(wanted.rows.len() * wanted.row_len());
        rows::read(param, wanted.rows.clone(), numbers);
        if self.program.precision == Precision::Bf16 && wanted.shape.len() > 1 {
            numbers.iter_mut().for_each(|number| *number = bf16_to_f32(f32_to_bf16(*number)));
        }
        Ok(numbers)
    }

    /// The same for one that must have `len` numbers.
    fn vector<'b>(&self, weight: Weight, len: usize, shared: &mut Room<'b>) -> Result<&'b [f32], DiffusionError> {
        let numbers = self.numbers(weight, shared)?;
        ensure(numbers.len() == len, || format!("{} numbers where {len} are wanted", numbers.len()))?;
        Ok(numbers)
    }

    /// A view as addresses.
    fn mat(&self, view: View) -> Result<Mat, DiffusionError> {
        let bytes = self.views.bytes_of(view).map_err(failed)?;
        let buffer = self.program.buffer(view.value);
        let size = buffer.element.bytes(self.program.precision);
        // SAFETY: `Views::bytes_of` found it inside of the memory, which is borrowed for the run.
        let at = unsafe { self.start.add(bytes.start as usize) };
        Ok(Mat { at, rows: view.rows, cols: view.cols, stride: buffer.cols, size })
    }
}

/// Numbers of tokens, for threads.
struct Ids(Mat);

impl Ids {
    fn at(&self, row: usize) -> usize {
        // SAFETY: made of a checked view of whole numbers, of which `row` is one; nobody writes to it.
        unsafe { self.0.place(row, 0).cast::<u32>().read() as usize }
    }
}

fn same_sides(a: Mat, b: Mat) -> Result<(), DiffusionError> {
    ensure((a.rows, a.cols) == (b.rows, b.cols), || format!("{} x {} and {} x {}", a.rows, a.cols, b.rows, b.cols))
}
