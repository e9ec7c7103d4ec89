//! The device of plain loops: what every operation means, as readable as it can be, and slow.
//!
//! Other devices are held against it, operation by operation. It computes in singles and rounds what it stores to the
//! precision of the program, as every device does. Linear layers whose weights are kept in eight bits round both of their
//! sides first (`rows::eights`).

use std::ops::Range;

use crate::device::{self, Bases, Device, DeviceClass, Span};
use crate::dtype::{Precision, bf16_to_f32, f32_to_bf16};
use crate::error::DiffusionError;
use crate::graph::{Act, Attention, Geometry, Mask, Modulation, NormKind, Op, Then, View, Weight, WeightUse};
use crate::param::Params;
use crate::plan::{Place, Program};
use crate::rows;

/// Computes with plain loops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

impl Device for Plain {
    type Model = Params;
    type Memory = Vec<u8>;

    fn class(&self, _: Precision) -> DeviceClass {
        DeviceClass::Cpu { kernels: "plain" }
    }

    fn keeps_eights(&self) -> bool {
        true
    }

    fn free_bytes(&self) -> u64 {
        u64::MAX
    }

    fn model_bytes(&self, params: &Params, _: Precision) -> u64 {
        params.0.values().map(|param| param.stored_bytes() as u64).sum()
    }

    fn workspace_bytes(&self, _: &Program) -> u64 {
        0
    }

    fn load(&self, params: &Params, precision: Precision) -> Result<Params, DiffusionError> {
        device::check_eights(params, precision)?;
        Ok(params.clone())
    }

    fn reserve(&self, bytes: u64) -> Result<Vec<u8>, DiffusionError> {
        Ok(vec![0; bytes as usize])
    }

    fn write(&self, memory: &mut Vec<u8>, at: Span, numbers: &[f32]) -> Result<(), DiffusionError> {
        store(memory, at, numbers)
    }

    fn write_ids(&self, memory: &mut Vec<u8>, at: Span, ids: &[u32]) -> Result<(), DiffusionError> {
        let bytes = range(memory, at)?;
        for (slot, id) in memory[bytes].chunks_exact_mut(4).zip(ids) {
            slot.copy_from_slice(&id.to_le_bytes());
        }
        Ok(())
    }

    fn read(&self, memory: &Vec<u8>, at: Span, numbers: &mut [f32]) -> Result<(), DiffusionError> {
        load(memory, at, numbers)
    }

    fn copy(&self, memory: &mut Vec<u8>, from: Span, to: Span) -> Result<(), DiffusionError> {
        let bytes = from.copied_to(&to, memory.len() as u64);
        let (from, to) = bytes.ok_or_else(|| failed(format!("copy {from:?} to {to:?} of {} bytes", memory.len())))?;
        memory.copy_within(from.start as usize..from.end as usize, to.start as usize);
        Ok(())
    }

    fn run(
        &self,
        program: &Program,
        model: &Params,
        memory: &mut Vec<u8>,
        bases: Bases<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), DiffusionError> {
        let mut run = Run { program, model, memory, bases };
        for op in &program.ops {
            if stop() {
                return Err(DiffusionError::Cancelled);
            }
            run.op(op)?;
        }
        Ok(())
    }
}

fn failed(reason: impl Into<String>) -> DiffusionError {
    DiffusionError::Device { device: "the processor".to_owned(), reason: reason.into() }
}

fn range(memory: &[u8], at: Span) -> Result<Range<usize>, DiffusionError> {
    let end = at.offset + (at.len * at.element.bytes(at.precision)) as u64;
    if end > memory.len() as u64 {
        return Err(failed(format!("a buffer ends at {end} of {} bytes", memory.len())));
    }
    Ok(at.offset as usize..end as usize)
}

fn load(memory: &[u8], at: Span, numbers: &mut [f32]) -> Result<(), DiffusionError> {
    let bytes = &memory[range(memory, at)?];
    match at.element.bytes(at.precision) {
        2 => {
            for (number, raw) in numbers.iter_mut().zip(bytes.chunks_exact(2)) {
                *number = bf16_to_f32(u16::from_le_bytes([raw[0], raw[1]]));
            }
        }
        _ => {
            for (number, raw) in numbers.iter_mut().zip(bytes.chunks_exact(4)) {
                *number = f32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]);
            }
        }
    }
    Ok(())
}

fn store(memory: &mut [u8], at: Span, numbers: &[f32]) -> Result<(), DiffusionError> {
    let bytes = range(memory, at)?;
    let bytes = &mut memory[bytes];
    match at.element.bytes(at.precision) {
        2 => {
            for (number, raw) in numbers.iter().zip(bytes.chunks_exact_mut(2)) {
                raw.copy_from_slice(&f32_to_bf16(*number).to_le_bytes());
            }
        }
        _ => {
            for (number, raw) in numbers.iter().zip(bytes.chunks_exact_mut(4)) {
                raw.copy_from_slice(&number.to_le_bytes());
            }
        }
    }
    Ok(())
}

/// A matrix of singles, out of a buffer.
struct Matrix {
    cols: usize,
    numbers: Vec<f32>,
}

impl Matrix {
    fn zeros(rows: usize, cols: usize) -> Self {
        Self { cols, numbers: vec![0.0; rows * cols] }
    }

    fn rows(&self) -> usize {
        self.numbers.len() / self.cols.max(1)
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.numbers[row * self.cols..][..self.cols]
    }

    fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.numbers[row * self.cols..][..self.cols]
    }
}

/// Sums in doubles, so that what others are held against errs by no more than the rounding of what is stored. Eight side by
/// side, so that the compiler may add eight at once.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f64; 8];
    let (mut left, mut right) = (a.chunks_exact(8), b.chunks_exact(8));
    for (a, b) in left.by_ref().zip(right.by_ref()) {
        for lane in 0..8 {
            sums[lane] += f64::from(a[lane]) * f64::from(b[lane]);
        }
    }
    let rest = left.remainder().iter().zip(right.remainder());
    (sums.iter().sum::<f64>() + rest.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()) as f32
}

/// An activation of one number.
pub fn act(act: Act, x: f32) -> f32 {
    match act {
        Act::Silu => x / (1.0 + (-x).exp()),
        Act::QuickGelu => x / (1.0 + (-1.702 * x).exp()),
        Act::Gelu => 0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2)),
        Act::GeluTanh => {
            let inner = 0.797_884_6 * (x + 0.044_715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }
    }
}

struct Run<'a> {
    program: &'a Program,
    model: &'a Params,
    memory: &'a mut Vec<u8>,
    bases: Bases<'a>,
}

impl Run<'_> {
    fn op(&mut self, op: &Op) -> Result<(), DiffusionError> {
        match op {
            Op::Linear { x, weight, bias, act, then, out } => {
                let y = self.linear(*x, *weight, *bias)?;
                self.finish(y, *act, then, *out)
            }
            Op::Conv { x, weight, bias, geometry, then, out } => {
                let y = self.conv(*x, *weight, *bias, *geometry)?;
                self.finish(y, None, then, *out)
            }
            Op::Norm { x, kind, eps, weight, bias, modulate, out } => {
                let mut y = self.load(*x)?;
                let weight = weight.map(|weight| self.param(weight)).transpose()?;
                let bias = bias.map(|bias| self.param(bias)).transpose()?;
                for row in 0..y.rows() {
                    norm(y.row_mut(row), *kind, *eps, weight.as_deref(), bias.as_deref());
                }
                if let Some(by) = modulate {
                    self.modulate(&mut y, by)?;
                }
                self.store(*out, &y)
            }
            Op::GroupNorm { x, batch, groups, eps, weight, bias, act, out } => {
                let mut y = self.load(*x)?;
                let (weight, bias) = (self.param(*weight)?, self.param(*bias)?);
                group_norm(&mut y, *batch, *groups, *eps, &weight, &bias);
                self.finish(y, *act, &Then::Store, *out)
            }
            Op::Attention(attention) => self.attention(attention),
            Op::Activate { x, act, out } => {
                let y = self.load(*x)?;
                self.finish(y, Some(*act), &Then::Store, *out)
            }
            Op::Modulate { x, by, out } => {
                let mut y = self.load(*x)?;
                self.modulate(&mut y, by)?;
                self.store(*out, &y)
            }
            Op::Combine { y, then, out } => {
                let y = self.load(*y)?;
                self.finish(y, None, then, *out)
            }
            Op::Upsample { x, batch, height, width, out } => {
                let small = self.load(*x)?;
                let mut large = Matrix::zeros(out.rows, out.cols);
                for at in 0..out.rows {
                    let (picture, y, x) = pixel(at, *height * 2, *width * 2);
                    debug_assert!(picture < *batch);
                    large.row_mut(at).copy_from_slice(small.row((picture * height + y / 2) * width + x / 2));
                }
                self.store(*out, &large)
            }
            Op::Embed { ids, table, positions, out } => self.embed(*ids, *table, *positions, *out),
            Op::Timestep { t, out } => {
                let (times, half) = (self.load(*t)?, out.cols / 2);
                let mut y = Matrix::zeros(out.rows, out.cols);
                for row in 0..out.rows {
                    for i in 0..half {
                        let frequency = (-(10_000f32.ln()) * i as f32 / half as f32).exp();
                        let angle = times.row(row)[0] * frequency;
                        (y.row_mut(row)[i], y.row_mut(row)[half + i]) = (angle.cos(), angle.sin());
                    }
                }
                self.store(*out, &y)
            }
            Op::Positions { table, side, height, width, out } => {
                if height > side || width > side {
                    return Err(failed(format!("{height} x {width} patches need positions of {side} x {side}")));
                }
                let (top, left) = ((side - height) / 2, (side - width) / 2);
                let table = self.param(*table)?;
                let mut y = Matrix::zeros(out.rows, out.cols);
                for at in 0..out.rows {
                    let from = ((top + at / width) * side + left + at % width) * out.cols;
                    y.row_mut(at).copy_from_slice(&table[from..from + out.cols]);
                }
                self.store(*out, &y)
            }
            Op::RelativeBias { table, tokens, distance, out } => {
                let heads = out.rows;
                let table = self.param(*table)?;
                let buckets = table.len() / heads;
                let mut y = Matrix::zeros(heads, tokens * tokens);
                for at in 0..tokens * tokens {
                    let bucket = bucket(at % tokens, at / tokens, buckets, *distance);
                    for head in 0..heads {
                        y.row_mut(head)[at] = table[bucket * heads + head];
                    }
                }
                self.store(*out, &y)
            }
            Op::Unpatchify { x, batch, height, width, patch, out } => {
                let tokens = self.load(*x)?;
                let mut y = Matrix::zeros(out.rows, out.cols);
                for at in 0..out.rows {
                    let (picture, row, col) = pixel(at, height * patch, width * patch);
                    debug_assert!(picture < *batch);
                    let token = tokens.row((picture * height + row / patch) * width + col / patch);
                    let from = (row % patch * patch + col % patch) * out.cols;
                    y.row_mut(at).copy_from_slice(&token[from..from + out.cols]);
                }
                self.store(*out, &y)
            }
        }
    }

    fn span(&self, view: View, row: usize) -> Span {
        let buffer = self.program.buffer(view.value);
        let base = match buffer.place {
            Place::Scratch(offset) => self.bases.scratch + offset,
            Place::Kept(index) => self.bases.kept[index],
        };
        let at = (view.row + row) * buffer.cols + view.col;
        let offset = base + (at * buffer.element.bytes(self.program.precision)) as u64;
        Span { offset, len: view.cols, element: buffer.element, precision: self.program.precision }
    }

    fn load(&self, view: View) -> Result<Matrix, DiffusionError> {
        let mut matrix = Matrix::zeros(view.rows, view.cols);
        for row in 0..view.rows {
            load(self.memory, self.span(view, row), matrix.row_mut(row))?;
        }
        Ok(matrix)
    }

    fn store(&mut self, view: View, matrix: &Matrix) -> Result<(), DiffusionError> {
        for row in 0..view.rows {
            let span = self.span(view, row);
            store(self.memory, span, matrix.row(row))?;
        }
        Ok(())
    }

    fn param(&self, weight: Weight) -> Result<Vec<f32>, DiffusionError> {
        let wanted = &self.program.weights[weight.0 as usize];
        if wanted.eights {
            return Err(failed(format!("{} is kept in eight bits, which linear layers alone read", wanted.name)));
        }
        let mut numbers = self.stored(wanted)?;
        // Products round their weights as they round their other side.
        if self.program.precision == Precision::Bf16 && wanted.shape.len() > 1 {
            numbers.iter_mut().for_each(|number| *number = bf16_to_f32(f32_to_bf16(*number)));
        }
        Ok(numbers)
    }

    /// The wanted rows of a parameter that is kept as the program says.
    fn stored(&self, wanted: &WeightUse) -> Result<Vec<f32>, DiffusionError> {
        let param = self.model.get(&wanted.name).filter(|param| param.shape == wanted.shape).ok_or_else(|| {
            DiffusionError::Missing(format!("find the tensor {} of shape {:?}", wanted.name, wanted.shape))
        })?;
        if param.eights != wanted.eights {
            return Err(failed(device::eights_differ(&wanted.name, wanted.eights)));
        }
        let mut numbers = vec![0.0; wanted.rows.len() * wanted.row_len()];
        rows::read(param, wanted.rows.clone(), &mut numbers);
        Ok(numbers)
    }

    /// Activates, combines and stores.
    fn finish(&mut self, mut y: Matrix, activation: Option<Act>, then: &Then, out: View) -> Result<(), DiffusionError> {
        if let Some(kind) = activation {
            y.numbers.iter_mut().for_each(|number| *number = act(kind, *number));
        }
        match then {
            Then::Store => {}
            Then::Add(this) => {
                let this = self.load(*this)?;
                for row in 0..y.rows() {
                    let with = this.row(row % this.rows());
                    y.row_mut(row).iter_mut().zip(with).for_each(|(y, this)| *y += this);
                }
            }
            Then::Times(this) => {
                let this = self.load(*this)?;
                y.numbers.iter_mut().zip(&this.numbers).for_each(|(y, this)| *y *= this);
            }
            Then::Gate { residual, gate } => {
                let (residual, gate) = (self.load(*residual)?, self.load(*gate)?);
                let tokens = y.rows() / gate.rows();
                for row in 0..y.rows() {
                    let (gate, residual) = (gate.row(row / tokens), residual.row(row));
                    for ((y, gate), residual) in y.row_mut(row).iter_mut().zip(gate).zip(residual) {
                        *y = residual + gate * *y;
                    }
                }
            }
        }
        self.store(out, &y)
    }

    /// Both sides are rounded to eight bits, rows by themselves, and sums are multiplied with the scales of theirs.
    fn linear_in_eights(&self, x: View, weight: Weight, bias: Option<Weight>) -> Result<Matrix, DiffusionError> {
        if self.program.precision != Precision::Bf16 {
            return Err(failed("products in eight bits are part of bf16"));
        }
        let wanted = &self.program.weights[weight.0 as usize];
        let (mut x, mut weight) = (self.load(x)?, Matrix { cols: wanted.row_len(), numbers: self.stored(wanted)? });
        let bias = bias.map(|bias| self.param(bias)).transpose()?;
        let scales = |side: &mut Matrix| -> Vec<f32> {
            (0..side.rows()).map(|row| rows::eights::rounded(side.row_mut(row))).collect()
        };
        let (x_scales, weight_scales) = (scales(&mut x), scales(&mut weight));
        let mut y = Matrix::zeros(x.rows(), weight.rows());
        for row in 0..x.rows() {
            for feature in 0..weight.rows() {
                let sum = dot(x.row(row), weight.row(feature)) * (x_scales[row] * weight_scales[feature]);
                y.row_mut(row)[feature] = sum + bias.as_ref().map_or(0.0, |bias| bias[feature]);
            }
        }
        Ok(y)
    }

    fn linear(&self, x: View, weight: Weight, bias: Option<Weight>) -> Result<Matrix, DiffusionError> {
        if self.program.weights[weight.0 as usize].eights {
            return self.linear_in_eights(x, weight, bias);
        }
        let (x, weight) = (self.load(x)?, self.param(weight)?);
        let bias = bias.map(|bias| self.param(bias)).transpose()?;
        let features = weight.len() / x.cols;
        let mut y = Matrix::zeros(x.rows(), features);
        for row in 0..x.rows() {
            let from = x.row(row);
            for (feature, y) in y.row_mut(row).iter_mut().enumerate() {
                *y = dot(from, &weight[feature * x.cols..][..x.cols]) + bias.as_ref().map_or(0.0, |bias| bias[feature]);
            }
        }
        Ok(y)
    }

    fn conv(&self, x: View, weight: Weight, bias: Option<Weight>, at: Geometry) -> Result<Matrix, DiffusionError> {
        let (x, weight) = (self.load(x)?, self.param(weight)?);
        let bias = bias.map(|bias| self.param(bias)).transpose()?;
        let (area, (height, width)) = (at.kernel * at.kernel, at.out());
        let features = weight.len() / (x.cols * area);
        // `[out, kernel, kernel, in]`, so that channels lie side by side as they do in pixels.
        let mut turned = vec![0.0; weight.len()];
        for (index, number) in weight.iter().enumerate() {
            let (feature, channel, tap) = (index / (x.cols * area), index / area % x.cols, index % area);
            turned[(feature * area + tap) * x.cols + channel] = *number;
        }
        let mut y = Matrix::zeros(at.batch * height * width, features);
        for pixel_at in 0..y.rows() {
            let (picture, row, col) = pixel(pixel_at, height, width);
            for feature in 0..features {
                let mut sum = bias.as_ref().map_or(0.0, |bias| bias[feature]);
                for tap in 0..area {
                    let seen = |place: usize, tap: usize, side: usize| {
                        (place * at.stride + tap).checked_sub(at.before).filter(|place| *place < side * at.upsample)
                    };
                    let (Some(row), Some(col)) =
                        (seen(row, tap / at.kernel, at.height), seen(col, tap % at.kernel, at.width))
                    else {
                        continue;
                    };
                    let from = x.row((picture * at.height + row / at.upsample) * at.width + col / at.upsample);
                    sum += dot(from, &turned[(feature * area + tap) * x.cols..][..x.cols]);
                }
                y.row_mut(pixel_at)[feature] = sum;
            }
        }
        Ok(y)
    }

    fn modulate(&self, y: &mut Matrix, by: &Modulation) -> Result<(), DiffusionError> {
        let (shift, scale) = (self.load(by.shift)?, self.load(by.scale)?);
        let tokens = y.rows() / shift.rows();
        for row in 0..y.rows() {
            let (shift, scale) = (shift.row(row / tokens), scale.row(row / tokens));
            for ((y, shift), scale) in y.row_mut(row).iter_mut().zip(shift).zip(scale) {
                *y = *y * (1.0 + scale) + shift;
            }
        }
        Ok(())
    }

    fn embed(&mut self, ids: View, table: Weight, positions: Option<Weight>, out: View) -> Result<(), DiffusionError> {
        let table = self.param(table)?;
        let positions = positions.map(|positions| self.param(positions)).transpose()?;
        let mut y = Matrix::zeros(out.rows, out.cols);
        for row in 0..out.rows {
            let bytes = range(self.memory, self.span(View { rows: 1, cols: 1, ..ids }, row))?;
            let raw = &self.memory[bytes];
            let id = u32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]) as usize;
            let from = table.get(id * out.cols..(id + 1) * out.cols);
            let from = from.ok_or_else(|| failed(format!("token {id} is not in the table")))?;
            y.row_mut(row).copy_from_slice(from);
            if let Some(positions) = &positions {
                let at = row * out.cols % positions.len();
                y.row_mut(row).iter_mut().zip(&positions[at..]).for_each(|(y, position)| *y += position);
            }
        }
        self.store(out, &y)
    }

    fn attention(&mut self, attention: &Attention) -> Result<(), DiffusionError> {
        let Attention { streams, batch, heads, head, scale, mask, eps } = attention;
        let tokens = attention.tokens();
        let bias = match mask {
            Mask::Bias(bias) => Some(self.load(*bias)?),
            _ => None,
        };
        let (mut keys, mut values, mut queries) = (Vec::new(), Vec::new(), Vec::new());
        for stream in streams {
            let mut key = self.load(stream.key)?;
            self.head_norm(&mut key, stream.key_norm, *head, *eps)?;
            keys.push(key);
            values.push(self.load(stream.value)?);
            queries.push(match &stream.query {
                Some(query) => {
                    let mut rows = self.load(query.query)?;
                    self.head_norm(&mut rows, query.norm, *head, *eps)?;
                    Some((rows, query.out))
                }
                None => None,
            });
        }
        let mut before = 0;
        for (index, asked) in queries.iter().enumerate() {
            let own = streams[index].key.rows / batch;
            if let Some((rows, out)) = asked {
                let mut y = Matrix::zeros(out.rows, out.cols);
                for row in 0..rows.rows() {
                    let (picture, place) = (row / own, before + row % own);
                    for at in 0..*heads {
                        let features = at * head..(at + 1) * head;
                        let query = &rows.row(row)[features.clone()];
                        let mut scores = Vec::with_capacity(tokens);
                        for key in &keys {
                            let own = key.rows() / batch;
                            for token in 0..own {
                                scores.push(scale * dot(query, &key.row(picture * own + token)[features.clone()]));
                            }
                        }
                        match (mask, &bias) {
                            (Mask::Causal, _) => scores.truncate(place + 1),
                            (_, Some(bias)) => {
                                let with = &bias.row(at)[place * tokens..];
                                scores.iter_mut().zip(with).for_each(|(score, bias)| *score += bias);
                            }
                            _ => {}
                        }
                        softmax(&mut scores);
                        let seen = values.iter().flat_map(|value| {
                            let own = value.rows() / batch;
                            (0..own).map(move |token| value.row(picture * own + token))
                        });
                        let mut sums = vec![0.0f64; *head];
                        for (share, value) in scores.iter().zip(seen) {
                            let products =
                                value[features.clone()].iter().map(|value| f64::from(*share) * f64::from(*value));
                            sums.iter_mut().zip(products).for_each(|(sum, product)| *sum += product);
                        }
                        let to = &mut y.row_mut(row)[features.clone()];
                        to.iter_mut().zip(sums).for_each(|(to, sum)| *to = sum as f32);
                    }
                }
                self.store(*out, &y)?;
            }
            before += own;
        }
        Ok(())
    }

    fn head_norm(
        &self,
        rows: &mut Matrix,
        weight: Option<Weight>,
        head: usize,
        eps: f32,
    ) -> Result<(), DiffusionError> {
        let Some(weight) = weight else { return Ok(()) };
        let weight = self.param(weight)?;
        for features in rows.numbers.chunks_exact_mut(head) {
            norm(features, NormKind::Rms, eps, Some(&weight), None);
        }
        Ok(())
    }
}

/// Picture, row and column of a pixel.
fn pixel(at: usize, height: usize, width: usize) -> (usize, usize, usize) {
    (at / (height * width), at / width % height, at % width)
}

fn softmax(scores: &mut [f32]) {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|score| *score = (*score - most).exp());
    let sum = scores.iter().map(|score| f64::from(*score)).sum::<f64>() as f32;
    scores.iter_mut().for_each(|score| *score /= sum);
}

fn norm(row: &mut [f32], kind: NormKind, eps: f32, weight: Option<&[f32]>, bias: Option<&[f32]>) {
    let count = row.len() as f64;
    let mean = match kind {
        NormKind::Layer => row.iter().map(|x| f64::from(*x)).sum::<f64>() / count,
        NormKind::Rms => 0.0,
    };
    let square = row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count;
    let by = 1.0 / (square + f64::from(eps)).sqrt();
    for (index, x) in row.iter_mut().enumerate() {
        *x = ((f64::from(*x) - mean) * by) as f32;
        *x = *x * weight.map_or(1.0, |weight| weight[index]) + bias.map_or(0.0, |bias| bias[index]);
    }
}

fn group_norm(y: &mut Matrix, batch: usize, groups: usize, eps: f32, weight: &[f32], bias: &[f32]) {
    let (pixels, cols, size) = (y.rows() / batch, y.cols, y.cols / groups);
    for picture in 0..batch {
        for group in 0..groups {
            let places = || {
                let rows = picture * pixels..(picture + 1) * pixels;
                rows.flat_map(move |row| (group * size..(group + 1) * size).map(move |col| row * cols + col))
            };
            let count = (pixels * size) as f64;
            let mean = places().map(|at| f64::from(y.numbers[at])).sum::<f64>() / count;
            let square = places().map(|at| (f64::from(y.numbers[at]) - mean).powi(2)).sum::<f64>() / count;
            let by = 1.0 / (square + f64::from(eps)).sqrt();
            for at in places() {
                let normed = ((f64::from(y.numbers[at]) - mean) * by) as f32;
                y.numbers[at] = normed * weight[at % cols] + bias[at % cols];
            }
        }
    }
}

/// The bucket of a key at `key` for a query at `query`: half of them for either direction; of each half the first half
/// for the nearest distances, one each, and the rest for farther ones, ever wider (Raffel et al. 2020, as transformers'
/// `_relative_position_bucket` computes it in singles).
pub fn bucket(key: usize, query: usize, buckets: usize, distance: usize) -> usize {
    let half = buckets / 2;
    let (side, away) = if key > query { (half, key - query) } else { (0, query - key) };
    let exact = half / 2;
    if away < exact {
        return side + away;
    }
    let share = (away as f32 / exact as f32).ln() / (distance as f64 / exact as f64).ln() as f32;
    side + (exact + (share * (half - exact) as f32) as usize).min(half - 1)
}
