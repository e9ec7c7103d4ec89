//! Where every buffer lies, and so how many bytes a program needs, before anything is loaded or reserved.
//!
//! A buffer lives from the operation that first writes it to the last that reads it. Buffers whose lives do not meet
//! share memory: the largest is placed first, each at the lowest offset that is free for all of its life. Where an
//! operation reads a buffer for the last time element by element as it writes, the outcome takes its place.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::dtype::Precision;
use crate::graph::{Element, Graph, Op, Value, View, WeightUse, fuse};

#[cfg(test)]
mod tests;

/// Buffers begin at multiples of this: a line of the cache, and what vector loads of 512 bits want.
pub const ALIGN: u64 = 64;

/// `bytes` up to the next place where a buffer may begin.
pub const fn aligned(bytes: u64) -> u64 {
    bytes.div_ceil(ALIGN) * ALIGN
}

/// Where a buffer lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At this offset of the scratch memory.
    Scratch(u64),
    /// Where the caller says; an index into [`Program::kept`].
    Kept(usize),
}

/// A buffer that the caller places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// Numbers.
    pub element: Element,
    /// Bytes, a multiple of [`ALIGN`].
    pub bytes: u64,
}

/// Which program of this process: devices remember by it what they recorded of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProgramId(u64);

impl ProgramId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Operations with places for all that they touch.
///
/// A copy is the same program and has its id; who changes one makes another with [`Program::renewed`], or a device may run
/// what it recorded before.
#[derive(Debug, Clone)]
pub struct Program {
    id: ProgramId,
    /// In the order that they run.
    pub ops: Vec<Op>,
    /// Rows, columns and numbers of every buffer, and where it lies.
    pub buffers: Vec<Buffer>,
    /// Parameters that it reads.
    pub weights: Vec<WeightUse>,
    /// Buffers that the caller places.
    pub kept: Vec<Kept>,
    /// Of all activations.
    pub precision: Precision,
    /// Bytes of scratch memory.
    pub scratch_bytes: u64,
    /// Whether it runs in company: its rows are those of however many pictures and prompts run at once, which layouts, queues
    /// and shortages of memory decide and no key names. What a device makes of one row must then hang on how many follow it
    /// in no way; elsewhere a device may choose by rows, as where it splits a sum to keep all of itself busy.
    pub in_company: bool,
}

/// A placed buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffer {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// Numbers.
    pub element: Element,
    /// Where it lies.
    pub place: Place,
}

impl Program {
    /// Fuses `graph` and places its buffers.
    pub fn new(graph: Graph, precision: Precision) -> Self {
        let graph = fuse::fuse(graph);
        let placed = place(&graph, precision);
        let mut kept = Vec::new();
        let buffers = graph.values.iter().zip(placed.offsets).map(|(info, offset)| {
            let place = match &info.kept {
                Some(name) => {
                    let bytes = aligned(bytes(info.rows, info.cols, info.element, precision));
                    kept.push(Kept {
                        name: name.clone(),
                        rows: info.rows,
                        cols: info.cols,
                        element: info.element,
                        bytes,
                    });
                    Place::Kept(kept.len() - 1)
                }
                None => Place::Scratch(offset),
            };
            Buffer { rows: info.rows, cols: info.cols, element: info.element, place }
        });
        let buffers = buffers.collect();
        let (id, scratch_bytes) = (ProgramId::next(), placed.bytes);
        let (ops, weights, in_company) = (graph.ops, graph.weights, false);
        Self { id, ops, buffers, weights, kept, precision, scratch_bytes, in_company }
    }

    /// Which one it is.
    pub fn id(&self) -> ProgramId {
        self.id
    }

    /// The same as another program, to be changed.
    #[must_use]
    pub fn renewed(self) -> Self {
        Self { id: ProgramId::next(), ..self }
    }

    /// The same for pictures in company ([`Program::in_company`]).
    #[must_use]
    pub fn in_company(self) -> Self {
        Self { in_company: true, ..self.renewed() }
    }

    /// The buffer of `value`.
    pub fn buffer(&self, value: Value) -> &Buffer {
        &self.buffers[value.0 as usize]
    }

    /// The kept buffer of this name.
    pub fn kept(&self, name: &str) -> Option<(usize, &Kept)> {
        self.kept.iter().enumerate().find(|(_, kept)| kept.name == name)
    }
}

/// Bytes of a matrix.
pub fn bytes(rows: usize, cols: usize, element: Element, precision: Precision) -> u64 {
    rows as u64 * cols as u64 * element.bytes(precision) as u64
}

struct Placed {
    offsets: Vec<u64>,
    bytes: u64,
}

/// From the first operation that touches a buffer to the last, both included.
#[derive(Debug, Clone, Copy)]
struct Life {
    from: usize,
    to: usize,
}

fn lives(graph: &Graph) -> Vec<Option<Life>> {
    let mut lives: Vec<Option<Life>> = vec![None; graph.values.len()];
    for (at, op) in graph.ops.iter().enumerate() {
        for view in op.reads().into_iter().chain(op.writes()) {
            let life = lives[view.value.0 as usize].get_or_insert(Life { from: at, to: at });
            life.to = at;
        }
    }
    lives
}

fn place(graph: &Graph, precision: Precision) -> Placed {
    let mut lives = lives(graph);
    // Which buffer another lies on; itself where it lies alone.
    let mut on: Vec<usize> = (0..graph.values.len()).collect();
    for (at, op) in graph.ops.iter().enumerate() {
        let written = op.writes();
        let (Some(under), [out]) = (op.in_place(), written.as_slice()) else { continue };
        if let Some(host) = host(graph, &lives, &on, op, at, under, *out) {
            let guest = out.value.0 as usize;
            on[guest] = host;
            if let (Some(life), Some(of_guest)) = (lives[host], lives[guest]) {
                lives[host] = Some(Life { to: life.to.max(of_guest.to), ..life });
            }
        }
    }
    let size = |index: usize| {
        let info = &graph.values[index];
        aligned(bytes(info.rows, info.cols, info.element, precision))
    };
    let alone = |index: &usize| on[*index] == *index && graph.values[*index].kept.is_none();
    let mut order: Vec<(usize, Life)> =
        (0..graph.values.len()).filter(alone).filter_map(|index| Some((index, lives[index]?))).collect();
    order.sort_by_key(|(index, life)| (std::cmp::Reverse(size(*index)), life.from));
    let mut offsets = vec![0; graph.values.len()];
    let mut placed: Vec<(u64, u64, Life)> = Vec::new();
    let mut bytes = 0;
    for (index, life) in order {
        let mut offset = 0;
        // Sorted by offset, so one pass finds the lowest gap.
        for (start, end, other) in &placed {
            if other.from <= life.to && life.from <= other.to && *start < offset + size(index) && offset < *end {
                offset = *end;
            }
        }
        offsets[index] = offset;
        let end = offset + size(index);
        bytes = bytes.max(end);
        let at = placed.partition_point(|(start, ..)| *start <= offset);
        placed.insert(at, (offset, end, life));
    }
    for index in 0..graph.values.len() {
        offsets[index] = offsets[on[index]];
    }
    Placed { offsets, bytes }
}

/// The buffer that `out` can lie on: that of `under`, if this operation is the last to read it and reads nothing else
/// of it.
fn host(
    graph: &Graph,
    lives: &[Option<Life>],
    on: &[usize],
    op: &Op,
    at: usize,
    under: View,
    out: View,
) -> Option<usize> {
    let (host, guest) = (on[under.value.0 as usize], out.value.0 as usize);
    let (below, above) = (graph.info(under.value), graph.info(out.value));
    let alike = (below.rows, below.cols, below.element) == (above.rows, above.cols, above.element);
    let free = graph.values[host].kept.is_none() && above.kept.is_none();
    let whole = graph.is_whole(under) && graph.is_whole(out);
    let last = lives[host].is_some_and(|life| life.to == at);
    let first = lives[guest].is_some_and(|life| life.from == at);
    let once = op.reads().iter().filter(|view| on[view.value.0 as usize] == host).count() == 1;
    (alike && free && whole && last && first && once).then_some(host)
}
