//! Runs graphs of the engine on its devices.

use std::collections::BTreeMap;

use thumbforge_diffusion::cpu::{Cpu, Kernels};
use thumbforge_diffusion::device::{Bases, Device, Span};
use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::graph::{Element, Graph};
use thumbforge_diffusion::param::Params;
use thumbforge_diffusion::plan::Program;

/// Kept buffers by name.
pub(crate) type Kept = BTreeMap<String, Vec<f32>>;

/// Does the same on every device that must agree with diffusers: that of plain loops, and the processor with every set of
/// instructions that this machine has.
macro_rules! on_every_device {
    ($device:ident, $name:ident => $does:block) => {{
        {
            let ($device, $name) = (&thumbforge_diffusion::plain::Plain, "plain".to_owned());
            $does
        }
        for device in $crate::engine::processors() {
            let ($device, $name) = (&device, format!("{:?}", device.kernels()));
            $does
        }
    }};
}
pub(crate) use on_every_device;

/// The processor with every set of instructions that this machine has.
pub(crate) fn processors() -> Vec<Cpu> {
    let present = Kernels::ALL.into_iter().filter(|kernels| kernels.present());
    present.map(|kernels| Cpu::with(kernels, THREADS).expect("threads")).collect()
}

/// What runs across threads must be seen; more would only take turns on small machines.
const THREADS: usize = 2;

/// Runs `graph` on what is given; all kept buffers, given ones too.
pub(crate) fn run<D: Device>(device: &D, graph: Graph, precision: Precision, params: &Params, given: &Kept) -> Kept {
    let program = &Program::new(graph, precision);
    let model = device.load(params, precision).expect("a model");
    let (mut offsets, mut end) = (Vec::new(), program.scratch_bytes);
    for kept in &program.kept {
        offsets.push(end);
        end += kept.bytes;
    }
    let mut memory = device.reserve(end).expect("memory");
    let span = |index: usize| {
        let kept = &program.kept[index];
        let (offset, len) = (offsets[index], kept.rows * kept.cols);
        Span { offset, len, element: kept.element, precision: program.precision }
    };
    for (index, kept) in program.kept.iter().enumerate() {
        if let Some(numbers) = given.get(&kept.name) {
            assert_eq!(numbers.len(), kept.rows * kept.cols, "{}", kept.name);
            if kept.element == Element::U32 {
                let ids: Vec<u32> = numbers.iter().map(|number| *number as u32).collect();
                device.write_ids(&mut memory, span(index), &ids).expect("written");
            } else {
                device.write(&mut memory, span(index), numbers).expect("written");
            }
        }
    }
    let bases = Bases { scratch: 0, kept: &offsets };
    device.run(program, &model, &mut memory, bases, &|| false).expect("a run");
    let mut out = Kept::new();
    for (index, kept) in program.kept.iter().enumerate().filter(|(_, kept)| kept.element != Element::U32) {
        let mut numbers = vec![0.0; kept.rows * kept.cols];
        device.read(&memory, span(index), &mut numbers).expect("read");
        out.insert(kept.name.clone(), numbers);
    }
    out
}

/// `[batch, channels, pixels]` as rows of pixels.
pub(crate) fn to_rows(planes: &[f32], batch: usize, channels: usize) -> Vec<f32> {
    transpose(planes, batch, channels)
}

/// Rows of pixels as `[batch, channels, pixels]`.
pub(crate) fn to_planes(rows: &[f32], batch: usize, channels: usize) -> Vec<f32> {
    let pixels = rows.len() / batch / channels;
    transpose(rows, batch, pixels)
}

/// The two inner sides of `[batch, outer, …]` exchanged.
fn transpose(numbers: &[f32], batch: usize, outer: usize) -> Vec<f32> {
    let each = numbers.len() / batch;
    let inner = each / outer;
    let at = |place: usize| {
        let (picture, place) = (place / each, place % each);
        numbers[picture * each + place % outer * inner + place / outer]
    };
    (0..numbers.len()).map(at).collect()
}
