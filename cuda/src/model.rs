//! Parameters on the card: where each lies, and how it gets there.
//!
//! ```text
//! Params ─► Layout (a place for each, so the bytes are known before anything is read)
//!        └─► pieces of rows ─► threads convert them into a slot of pinned memory ─► the card copies ─► the next slot
//! ```
//! Matrices lie in the precision of the programs that read them, vectors (biases, weights of norms) as singles: they are
//! added to sums, which are singles. Matrices that are kept in eight bits lie as rows of e4m3, which begin at multiples of 16,
//! and their scales, a single a row, behind all parameters: they are known when the rows are converted. Convolutions lie as `[out, kernel, kernel, in]`, so that the channels of a tap stand
//! side by side as they do in pixels.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;
use thumbforge_diffusion::dtype::{DType, Precision, f32_to_bf16};
use thumbforge_diffusion::param::{Param, Params};
use thumbforge_diffusion::rows::{self, eights};

use crate::driver::Stream;
use crate::error::CudaError;
use crate::launch::Address;
use crate::pool::ALIGN;
use crate::staging::{SLOT_BYTES, Staging};

/// Bytes of the rows that a thread converts at once: long enough that handing it out costs nothing, and so many of them to a
/// slot that threads end together.
const UNIT_BYTES: usize = 1 << 20;

/// Threads that convert: reading and rounding is bound by the host's memory, which a few of them fill.
const THREADS_MAX: usize = 8;

/// Where a parameter lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    /// As the model asks for it.
    pub(crate) shape: Vec<usize>,
    /// From the beginning of the model.
    pub(crate) at: u64,
    /// Bytes of a number: 1 in eight bits, 2 or 4.
    pub(crate) number_bytes: usize,
    /// What more there is of rows in eight bits.
    pub(crate) eights: Option<Eights>,
    /// Where a vector lies once more, as bf16: cuBLASLt adds a bias of the outcome's type alone.
    pub(crate) rounded: Option<u64>,
}

/// How rows in eight bits lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Eights {
    /// Bytes from row to row.
    pub(crate) stride: usize,
    /// Which of all scales of the model is that of the first row.
    first: usize,
    /// Where that one lies, from the beginning of the model; a multiple of 16.
    pub(crate) scales_at: u64,
}

impl Eights {
    /// Rows begin at multiples of so many bytes, as [`crate::launch::fp8::Fp8Mat`] wants them.
    const ALIGN: usize = 16;
    /// Scales of a parameter begin at multiples of so many: 16 bytes, which the kernel and cuBLASLt read at once.
    const SCALES: usize = 4;
}

impl Placed {
    /// Rows of the first side.
    pub(crate) fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Numbers in a row.
    pub(crate) fn row_len(&self) -> usize {
        self.shape.get(1..).map_or(1, |rest| rest.iter().product())
    }

    /// Bytes from row to row.
    pub(crate) fn row_bytes(&self) -> usize {
        self.eights.map_or(self.row_len() * self.number_bytes, |eights| eights.stride)
    }
}

/// Places of all parameters of a model.
#[derive(Debug)]
pub(crate) struct Layout<'a> {
    /// By their names, in the order that they lie in.
    places: Vec<(&'a str, &'a Param, Placed)>,
    /// Of all of them.
    pub(crate) bytes: u64,
    /// Where scales lie, and how many.
    scales_at: u64,
    scales: usize,
}

impl<'a> Layout<'a> {
    /// Of `params` for programs of `precision`.
    pub(crate) fn of(params: &'a Params, precision: Precision) -> Self {
        let mut bytes = 0u64;
        let mut places: Vec<(&str, &Param, Placed)> = Vec::with_capacity(params.0.len());
        let mut scales = 0usize;
        let mut take = |numbers: u64, number_bytes: usize| {
            let at = bytes;
            // A model of more bytes than can be counted fits no card.
            let end = bytes.saturating_add(numbers.saturating_mul(number_bytes as u64));
            bytes = end.checked_next_multiple_of(ALIGN).unwrap_or(u64::MAX);
            at
        };
        for (name, param) in &params.0 {
            let (vector, rows) = (param.shape.len() <= 1, param.rows());
            let number_bytes = match (vector, param.eights) {
                (true, _) => 4,
                (false, true) => 1,
                (false, false) => precision.bytes(),
            };
            let eights = (number_bytes == 1).then(|| {
                let stride = param.row_len().checked_next_multiple_of(Eights::ALIGN).unwrap_or(usize::MAX);
                let first = scales;
                let count = rows.checked_next_multiple_of(Eights::SCALES).unwrap_or(usize::MAX);
                scales = scales.saturating_add(count);
                Eights { stride, first, scales_at: 0 }
            });
            let row_len = eights.map_or(param.row_len(), |eights| eights.stride);
            let numbers = rows.saturating_mul(row_len) as u64;
            let at = take(numbers, number_bytes);
            let rounded = (vector && precision == Precision::Bf16).then(|| take(numbers, 2));
            let shape = param.shape.clone();
            places.push((name.as_str(), param, Placed { shape, at, number_bytes, eights, rounded }));
        }
        let scales_at = take(scales as u64, 4);
        for eights in places.iter_mut().filter_map(|(_, _, placed)| placed.eights.as_mut()) {
            eights.scales_at = scales_at.saturating_add((eights.first as u64).saturating_mul(4));
        }
        Self { places, bytes, scales_at, scales }
    }

    /// Room for all scales, which are known when their rows were converted.
    fn room_for_scales(&self) -> Vec<AtomicU32> {
        (0..self.scales).map(|_| AtomicU32::new(0)).collect()
    }

    /// The places alone.
    pub(crate) fn places(&self) -> HashMap<String, Placed> {
        self.places.iter().map(|(name, _, placed)| ((*name).to_owned(), placed.clone())).collect()
    }

    /// Brings all of them to the card, to `to` and behind it.
    ///
    /// # Safety
    /// [`Layout::bytes`] of the card lie at `to`, in the order of `stream`.
    ///
    /// # Errors
    /// When a parameter is not what it says, or the driver fails.
    pub(crate) unsafe fn send(&self, stream: &Stream, staging: &mut Staging, to: Address) -> Result<(), CudaError> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        let mut units = Vec::new();
        for (name, param, placed) in &self.places {
            cut_all(name, param, placed, &mut units)?;
        }
        let scales = self.room_for_scales();
        let mut rest = units.as_slice();
        while let Some(first) = rest.first() {
            let fits = |unit: &&Unit<'_>| unit.bytes.end - first.bytes.start <= SLOT_BYTES as u64;
            let count = rest.iter().take_while(fits).count();
            let (piece, behind) = rest.split_at(count.max(1));
            let end = piece.last().map_or(first.bytes.end, |last| last.bytes.end);
            let bytes = usize::try_from(end - first.bytes.start).unwrap_or(usize::MAX);
            let fill = |room: &mut [u8]| {
                convert_all(piece, first.bytes.start, room, &scales, threads);
                Ok(())
            };
            // SAFETY: the caller says that all of the model has room there, and units lie in it.
            unsafe { staging.send(stream, to + first.bytes.start, bytes, fill) }?;
            rest = behind;
        }
        let mut at = to + self.scales_at;
        for piece in scales.chunks(SLOT_BYTES / 4) {
            let fill = |room: &mut [u8]| {
                write_scales(piece, room);
                Ok(())
            };
            // SAFETY: as above: scales are part of the layout, and pieces of them follow one another.
            unsafe { staging.send(stream, at, piece.len() * 4, fill) }?;
            at += piece.len() as u64 * 4;
        }
        Ok(())
    }
}

/// Rows of a parameter that are converted at once.
struct Unit<'a> {
    /// With rows short enough.
    param: std::borrow::Cow<'a, Param>,
    rows: Range<usize>,
    /// Side of a convolution's kernel, squared; 1 where nothing is turned.
    taps: usize,
    number_bytes: usize,
    /// Of rows in eight bits: bytes from row to row, and which scale is that of the first row here.
    eights: Option<(usize, usize)>,
    /// Where they lie in the model.
    bytes: Range<u64>,
}

/// Cuts a parameter into units, and once more where it lies once more.
fn cut_all<'a>(name: &str, param: &'a Param, placed: &Placed, units: &mut Vec<Unit<'a>>) -> Result<(), CudaError> {
    cut(name, param, placed, units)?;
    match placed.rounded {
        Some(at) => cut(name, param, &Placed { at, number_bytes: 2, ..placed.clone() }, units),
        None => Ok(()),
    }
}

/// Cuts a parameter into units.
fn cut<'a>(name: &str, param: &'a Param, placed: &Placed, units: &mut Vec<Unit<'a>>) -> Result<(), CudaError> {
    let stacked: usize = param.parts.iter().map(|part| part.rows.len()).sum();
    if stacked != param.rows() {
        return Err(CudaError::Fault(format!("load {name}: {stacked} rows where {:?} are wanted", param.shape)));
    }
    // A table of positions is one row of megabytes: its places are rows as well.
    let param = match param.shape.as_slice() {
        [1, _, features] => {
            param.with_rows_of(*features).map_or(std::borrow::Cow::Borrowed(param), std::borrow::Cow::Owned)
        }
        _ => std::borrow::Cow::Borrowed(param),
    };
    let taps = match param.shape.as_slice() {
        [_, _, height, width] => height * width,
        _ => 1,
    };
    let row_bytes = placed.eights.map_or(param.row_len() * placed.number_bytes, |eights| eights.stride);
    if row_bytes > SLOT_BYTES {
        return Err(CudaError::Fault(format!("load {name}: a row of {row_bytes} bytes is longer than {SLOT_BYTES}")));
    }
    let step = (UNIT_BYTES / row_bytes.max(1)).max(1);
    for first in (0..param.rows()).step_by(step) {
        let rows = first..param.rows().min(first + step);
        let at = |row: usize| placed.at + (row * row_bytes) as u64;
        let bytes = at(rows.start)..at(rows.end);
        let eights = placed.eights.map(|eights| (eights.stride, eights.first + first));
        units.push(Unit { param: param.clone(), rows, taps, number_bytes: placed.number_bytes, eights, bytes });
    }
    Ok(())
}

/// Converts units that follow one another into `room`, whose first byte is that of the place `from` of the model. Scales of
/// rows in eight bits go to their places among `scales`, those of the model.
fn convert_all(units: &[Unit<'_>], from: u64, room: &mut [u8], scales: &[AtomicU32], threads: usize) {
    let mut parts = Vec::with_capacity(units.len());
    let (mut rest, mut at) = (room, from);
    for unit in units {
        // Between parameters lie a few bytes that belong to none.
        let (_, behind) = std::mem::take(&mut rest).split_at_mut((unit.bytes.start - at) as usize);
        let (this, behind) = behind.split_at_mut((unit.bytes.end - unit.bytes.start) as usize);
        parts.push((unit, this));
        (rest, at) = (behind, unit.bytes.end);
    }
    let threads = threads.min(parts.len());
    // Threads take what comes next; which of them takes what changes no byte.
    let parts = Mutex::new(parts.into_iter());
    let work = || {
        let mut singles = Vec::new();
        loop {
            let Some((unit, room)) = parts.lock().next() else { break };
            convert(unit, room, scales, &mut singles);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
}

/// Scales as they lie on the card.
fn write_scales(scales: &[AtomicU32], room: &mut [u8]) {
    let (fours, _) = room.as_chunks_mut::<4>();
    // The threads that stored them have ended.
    fours.iter_mut().zip(scales).for_each(|(raw, scale)| *raw = scale.load(Ordering::Relaxed).to_le_bytes());
}

/// One unit. `singles` is room that is kept from unit to unit.
fn convert(unit: &Unit<'_>, room: &mut [u8], scales: &[AtomicU32], singles: &mut Vec<f32>) {
    if unit.eights.is_none() && unit.taps == 1 && copy_stored(unit, room) {
        return;
    }
    let row_len = unit.param.row_len();
    singles.clear();
    singles.resize(unit.rows.len() * row_len, 0.0);
    rows::read(&unit.param, unit.rows.clone(), singles);
    if let Some((stride, first)) = unit.eights {
        let lines = room.chunks_exact_mut(stride.max(1)).zip(singles.chunks_exact(row_len.max(1)));
        for ((line, row), scale) in lines.zip(scales.get(first..).unwrap_or_default()) {
            let (numbers, rest) = line.split_at_mut(row.len());
            scale.store(eights::round(row, numbers).to_bits(), Ordering::Relaxed);
            rest.fill(0);
        }
        return;
    }
    // Of a convolution's row, the tap `tap` of channel `channel` goes to place `tap · channels + channel`.
    let (taps, channels) = (unit.taps, row_len / unit.taps.max(1));
    let from = |place: usize| {
        let (row, place) = (place / row_len, place % row_len);
        singles[row * row_len + place % channels * taps + place / channels]
    };
    let number = |place: usize| if taps == 1 { singles[place] } else { from(place) };
    match unit.number_bytes {
        2 => {
            let (pairs, _) = room.as_chunks_mut::<2>();
            pairs.iter_mut().enumerate().for_each(|(at, raw)| *raw = f32_to_bf16(number(at)).to_le_bytes());
        }
        _ => {
            let (fours, _) = room.as_chunks_mut::<4>();
            fours.iter_mut().enumerate().for_each(|(at, raw)| *raw = number(at).to_le_bytes());
        }
    }
}

/// Copies rows that are stored as they are wanted. False where they are not, as rows in eight bits never are: files of e4m3
/// have one scale for all rows or none, and so other bytes.
fn copy_stored(unit: &Unit<'_>, room: &mut [u8]) -> bool {
    let wanted = if unit.number_bytes == 2 { DType::Bf16 } else { DType::F32 };
    let as_wanted = unit.param.parts.iter().all(|part| part.tensor.dtype() == wanted && part.scale == 1.0);
    if !as_wanted || !unit.param.adapters.is_empty() {
        return false;
    }
    let row_bytes = unit.param.row_len() * unit.number_bytes;
    let (mut first, mut rest) = (0, room);
    for part in &unit.param.parts {
        let last = first + part.rows.len();
        let (from, to) = (unit.rows.start.clamp(first, last), unit.rows.end.clamp(first, last));
        let (this, behind) = std::mem::take(&mut rest).split_at_mut((to - from) * row_bytes);
        let at = (part.rows.start + from - first) * row_bytes;
        match part.tensor.bytes().get(at..at + this.len()) {
            Some(stored) => this.copy_from_slice(stored),
            None => return false,
        }
        (first, rest) = (last, behind);
    }
    true
}

/// A number that no other model of this process has.
pub(crate) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use thumbforge_diffusion::dtype::bf16_to_f32;
    use thumbforge_diffusion::param::{LowRank, Part, Tensor};

    use super::*;

    /// All bytes of a model, as the card would have them.
    fn converted(params: &Params, precision: Precision, threads: usize) -> Vec<u8> {
        let layout = Layout::of(params, precision);
        let mut units = Vec::new();
        for (name, param, placed) in &layout.places {
            cut_all(name, param, placed, &mut units).expect("sound");
        }
        let (mut room, scales) = (vec![0xEE; layout.bytes as usize], layout.room_for_scales());
        convert_all(&units, 0, &mut room, &scales, threads);
        write_scales(&scales, &mut room[layout.scales_at as usize..][..layout.scales * 4]);
        room
    }

    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|at| (at as f32 * 0.37).sin()).collect()
    }

    fn params(list: &[(&str, Param)]) -> Params {
        Params(list.iter().map(|(name, param)| ((*name).to_owned(), param.clone())).collect())
    }

    fn singles(bytes: &[u8]) -> Vec<f32> {
        bytes.as_chunks::<4>().0.iter().map(|raw| f32::from_le_bytes(*raw)).collect()
    }

    fn halves(bytes: &[u8]) -> Vec<f32> {
        bytes.as_chunks::<2>().0.iter().map(|raw| bf16_to_f32(u16::from_le_bytes(*raw))).collect()
    }

    fn rounded(numbers: &[f32]) -> Vec<f32> {
        numbers.iter().map(|number| bf16_to_f32(f32_to_bf16(*number))).collect()
    }

    #[test]
    fn matrices_are_rounded_and_vectors_are_not() {
        let (matrix, vector) = (numbers(6 * 5), numbers(7));
        let params = params(&[
            ("a", Param::whole(Tensor::of_f32(vec![6, 5], &matrix))),
            ("b", Param::whole(Tensor::of_f32(vec![7], &vector))),
        ]);
        let bf16 = converted(&params, Precision::Bf16, 1);
        assert_eq!(bf16.len(), 768, "each begins at a place of its own");
        assert_eq!(halves(&bf16[512..526]), rounded(&vector));
        assert_eq!(halves(&bf16[..60]), rounded(&matrix));
        assert_eq!(singles(&bf16[256..284]), vector);
        let f32 = converted(&params, Precision::F32, 3);
        assert_eq!((singles(&f32[..120]), singles(&f32[256..284])), (matrix, vector));
    }

    #[test]
    fn kernels_have_the_channels_of_a_tap_side_by_side() {
        let stored = numbers(2 * 3 * 2 * 2);
        let params = params(&[("w", Param::whole(Tensor::of_f32(vec![2, 3, 2, 2], &stored)))]);
        let turned = singles(&converted(&params, Precision::F32, 1)[..96]);
        for (out, channel, tap) in (0..2).flat_map(|o| (0..3).flat_map(move |c| (0..4).map(move |t| (o, c, t)))) {
            assert_eq!(turned[(out * 4 + tap) * 3 + channel], stored[(out * 3 + channel) * 4 + tap]);
        }
    }

    #[test]
    fn stacked_parts_stored_as_wanted_are_copied() {
        let bytes: Vec<u8> = numbers(40).iter().flat_map(|number| f32_to_bf16(*number).to_le_bytes()).collect();
        let backing = Arc::new(bytes.clone());
        let tensor = |rows: Range<usize>| {
            let range = rows.start * 8..rows.end * 8;
            Tensor::new(DType::Bf16, vec![rows.len(), 4], backing.clone(), range).expect("sound")
        };
        let part = |tensor: Tensor, rows: Range<usize>| Part { tensor, rows, scale: 1.0 };
        // Rows 3 and 4 of the first, then all of the second.
        let parts = vec![part(tensor(0..6), 3..5), part(tensor(6..10), 0..4)];
        let stack = Param { shape: vec![6, 4], parts, adapters: Vec::new(), eights: false };
        let given = converted(&params(&[("w", stack.clone())]), Precision::Bf16, 2);
        assert_eq!(given[..48], [&bytes[24..40], &bytes[48..80]].concat());
        // With a scale they are not.
        let mut scaled = stack.clone();
        scaled.parts[0].scale = 2.0;
        let twice = converted(&params(&[("w", scaled)]), Precision::Bf16, 2);
        assert_eq!(halves(&twice[..8]), halves(&given[..8]).iter().map(|number| number * 2.0).collect::<Vec<_>>());
        assert_eq!(twice[16..48], given[16..48]);
        // Nor with an adapter.
        let mut adapted = stack;
        adapted.adapters.push(LowRank {
            down: Tensor::of_f32(vec![1, 4], &[1.0, 0.0, 0.0, 0.0]),
            up: Tensor::of_f32(vec![6, 1], &[64.0; 6]),
            scale: 1.0,
            rows: 0..6,
        });
        let more = halves(&converted(&params(&[("w", adapted)]), Precision::Bf16, 2)[..8]);
        assert!((more[0] - halves(&given[..2])[0] - 64.0).abs() <= 0.5 && more[1] == halves(&given[..8])[1]);
    }

    #[test]
    fn threads_change_no_byte_and_long_rows_are_cut() {
        // A table of positions is one row, longer than a unit.
        let table = Param::whole(Tensor::of_f32(vec![1, 1200, 300], &numbers(1200 * 300)));
        let matrix = Param::whole(Tensor::of_f32(vec![900, 700], &numbers(900 * 700)));
        let params = params(&[("t", table), ("w", matrix)]);
        let alone = converted(&params, Precision::Bf16, 1);
        assert!(alone == converted(&params, Precision::Bf16, 5));
        assert_eq!(halves(&alone[..1200 * 300 * 2]), rounded(&numbers(1200 * 300)));
    }

    #[test]
    fn rows_in_eight_bits_have_their_scales_behind_all() {
        let (first, second) = (numbers(5 * 33), numbers(3 * 16));
        let whole = |shape: &[usize], numbers: &[f32]| Param::whole(Tensor::of_f32(shape.to_vec(), numbers));
        let params = params(&[
            ("a.bias", whole(&[5], &numbers(5))),
            ("a.weight", whole(&[5, 33], &first)),
            ("b.weight", whole(&[3, 16], &second)),
            ("c.weight", whole(&[3, 16], &second)),
        ])
        .in_eights(&|name| ["a.weight", "b.weight"].contains(&name));
        let layout = Layout::of(&params, Precision::Bf16);
        // A vector of singles and of bf16, 5 x 48, 3 x 16, 3 x 16 x 2, and scales for 8 and 4 rows.
        assert_eq!((layout.bytes, layout.scales_at, layout.scales), (6 * 256, 5 * 256, 12));
        let given = converted(&params, Precision::Bf16, 2);
        let check = |name: &str, numbers: &[f32], cols: usize| {
            let placed = &layout.places()[name];
            let Eights { stride, scales_at, .. } = placed.eights.expect("in eight bits");
            assert!(
                placed.row_bytes() == stride && stride == cols.next_multiple_of(16) && scales_at.is_multiple_of(16)
            );
            for (at, row) in numbers.chunks(cols).enumerate() {
                let mut expected = vec![0; stride];
                let scale = eights::round(row, &mut expected);
                assert_eq!(given[placed.at as usize + at * stride..][..stride], expected, "row {at} of {name}");
                assert_eq!(given[scales_at as usize + at * 4..][..4], scale.to_le_bytes(), "the scale of row {at}");
            }
        };
        check("a.weight", &first, 33);
        check("b.weight", &second, 16);
        assert_eq!(halves(&given[4 * 256..][..96]), rounded(&second), "what stays in bf16");
        // Rows of several units.
        let long = params_of_long_rows();
        assert!(converted(&long, Precision::Bf16, 1) == converted(&long, Precision::Bf16, 5), "threads change no byte");
    }

    fn params_of_long_rows() -> Params {
        let matrix = Param::whole(Tensor::of_f32(vec![900, 3000], &numbers(900 * 3000)));
        params(&[("w", matrix)]).in_eights(&|_| true)
    }

    #[test]
    fn rows_that_are_not_there_are_refused() {
        let mut param = Param::whole(Tensor::of_f32(vec![4, 2], &numbers(8)));
        param.parts[0].rows = 0..3;
        let params = params(&[("w", param.clone())]);
        let layout = Layout::of(&params, Precision::F32);
        let err = cut("w", &param, &layout.places[0].2, &mut Vec::new()).expect_err("refused");
        assert!(err.to_string().contains("3 rows"), "{err}");
    }
}
