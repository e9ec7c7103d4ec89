//! A program that is quick to run and has what a host's side has to do with: parameters of both kinds, words, a workspace.

use thumbforge_diffusion::DiffusionError;
use thumbforge_diffusion::device::{Bases, Device, Span};
use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::graph::{Act, Builder, Element, NormKind};
use thumbforge_diffusion::param::{Param, Params, Tensor};
use thumbforge_diffusion::plain::Plain;
use thumbforge_diffusion::plan::Program;

pub(crate) const PIXELS: usize = 40;
pub(crate) const CHANNELS: usize = 32;
pub(crate) const TOKENS: usize = 5;
pub(crate) const VOCABULARY: usize = 9;

/// A small program with a workspace, parameters of both kinds, and words.
pub(crate) struct Small {
    pub(crate) program: Program,
    pub(crate) params: Params,
    pub(crate) kept: Vec<u64>,
    pub(crate) bytes: u64,
}

pub(crate) fn numbers(seed: usize, count: usize) -> Vec<f32> {
    (0..count).map(|at| ((at + 31 * seed) as f32 * 0.73).sin()).collect()
}

impl Small {
    pub(crate) fn new(precision: Precision) -> Self {
        let mut b = Builder::new();
        let x = b.input("x", PIXELS, CHANNELS, Element::Act);
        let y = b.group_norm(x, "group", 1, 4, 1e-5);
        let y = b.activate(y, Act::Silu);
        let y = b.norm_affine(y, NormKind::Layer, 1e-5, "norm");
        let y = b.add(x, y);
        b.output("y", y);
        let ids = b.input("ids", TOKENS, 1, Element::U32);
        let words = b.embed(ids, "table", VOCABULARY, CHANNELS, None);
        b.output("words", words);
        let program = Program::new(b.finish(), precision);
        let vector = |seed| Param::whole(Tensor::of_f32(vec![CHANNELS], &numbers(seed, CHANNELS)));
        let table = Tensor::of_f32(vec![VOCABULARY, CHANNELS], &numbers(9, VOCABULARY * CHANNELS));
        let list = [
            ("group.weight", vector(1)),
            ("group.bias", vector(2)),
            ("norm.weight", vector(3)),
            ("norm.bias", vector(4)),
            ("table", Param::whole(table)),
        ];
        let params = Params(list.into_iter().map(|(name, param)| (name.to_owned(), param)).collect());
        let mut bytes = 0;
        let mut place = |size: u64| {
            bytes += size;
            bytes - size
        };
        let kept = program.kept.iter().map(|kept| place(kept.bytes)).collect();
        Self { bytes: bytes + program.scratch_bytes, program, params, kept }
    }

    pub(crate) fn span(&self, name: &str) -> Span {
        let (index, kept) = self.program.kept(name).expect("kept");
        let (len, precision) = (kept.rows * kept.cols, self.program.precision);
        Span { offset: self.kept[index], len, element: kept.element, precision }
    }

    pub(crate) fn bases(&self) -> Bases<'_> {
        let scratch = self.bytes - self.program.scratch_bytes;
        Bases { scratch, kept: &self.kept }
    }

    pub(crate) fn given<D: Device>(&self, device: &D, ids: [u32; TOKENS]) -> Result<D::Memory, DiffusionError> {
        let mut memory = device.reserve(self.bytes)?;
        device.write(&mut memory, self.span("x"), &numbers(7, PIXELS * CHANNELS))?;
        device.write_ids(&mut memory, self.span("ids"), &ids)?;
        Ok(memory)
    }

    pub(crate) fn outcome<D: Device>(&self, device: &D, memory: &D::Memory) -> Result<Vec<f32>, DiffusionError> {
        let (y, words) = (self.span("y"), self.span("words"));
        let mut all = vec![0.0; y.len + words.len];
        let (of_y, of_words) = all.split_at_mut(y.len);
        device.read(memory, y, of_y)?;
        device.read(memory, words, of_words)?;
        Ok(all)
    }

    /// Loads, and runs as often as it takes to be recorded and replayed.
    pub(crate) fn run<D: Device>(&self, device: &D, times: usize) -> Result<Vec<f32>, DiffusionError> {
        let model = device.load(&self.params, self.program.precision)?;
        let mut memory = self.given(device, [0, 8, 3, 3, 1])?;
        for _ in 0..times {
            device.run(&self.program, &model, &mut memory, self.bases(), &|| false)?;
        }
        self.outcome(device, &memory)
    }

    pub(crate) fn expected(&self) -> Vec<f32> {
        self.run(&Plain, 1).expect("plain loops do not fail")
    }
}
