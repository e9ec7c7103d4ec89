//! The transformer in its memory: what is prepared once, and what runs for every call.
//!
//! ```text
//! 0                                       kept                                         bytes
//! │ context │ modulation │ positions │ text │ pooled │ times │ scratch of `prepare`      │
//! │         │            │           │ latents │ modulation │ velocity │ scratch of a call │
//! ```
//! The modulations of all steps are one table. Those of a step are copied to where its program looks: a device that
//! records a run finds everything at the same place in every step.
//!
//! Context rows are those of the negative prompt for every picture of a call, then those of the prompt. So a call for
//! fewer pictures reads the middle of them, and a call with one of the two prompts one half.

use crate::config::MmditConfig;
use crate::device::{Bases, Device, Span};
use crate::dtype::Precision;
use crate::error::DiffusionError;
use crate::graph::{Element, Graph};
use crate::mmdit::{self, Shape, Table};
use crate::pipeline::estimate::flops;
use crate::pipeline::request::{Guided, Layout, Request};
use crate::pipeline::stage::fits;
use crate::plan::{Program, aligned, bytes};
use crate::sampler::{Call, Guidance, SkipLayers};
use crate::text::encode::Conditioning;
use crate::vae::tiles::{Canvas, Tile, Tiles};

/// What a program draws at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    pictures: usize,
    prompts: usize,
    skip: bool,
}

/// Programs and places of the transformer for one request.
#[derive(Debug)]
pub(crate) struct Denoiser {
    config: MmditConfig,
    precision: Precision,
    /// Of the whole latents.
    size: (usize, usize),
    tiles: Tiles,
    text: usize,
    prompts: usize,
    pictures: usize,
    at_once: usize,
    guided: Guided,
    prepare: Program,
    calls: Vec<(Kind, Program)>,
    context: u64,
    modulation: u64,
    positions: u64,
    /// Where what only one program needs begins.
    rest: u64,
    bytes: u64,
}

impl Denoiser {
    /// For `request`, whose text has `text` tokens and whose schedule `steps` steps.
    pub(crate) fn new(
        config: &MmditConfig,
        factor: usize,
        request: &Request,
        layout: &Layout,
        text: usize,
        steps: usize,
    ) -> Result<Self, DiffusionError> {
        let size = (request.height / factor, request.width / factor);
        // Without tiles there is one, of the whole size.
        let tiles = request.tiled.unwrap_or(Tiles { side: size.0.max(size.1), overlap: 0 });
        let (height, width) = (tiles.along(size.0).1, tiles.along(size.1).1);
        let prompts = if request.guidance.doubles() { 2 } else { 1 };
        let pictures = request.seeds.pictures();
        let at_once = layout.pictures.clamp(1, pictures);
        let precision = request.precision;
        let shape = |pictures: usize, prompts: usize| Shape {
            batch: pictures * prompts,
            conditions: prompts,
            height,
            width,
            text,
        };
        // Its texts are copied for every picture that is drawn at once.
        let prepare = Program::new(mmdit::prepare(config, shape(at_once, prompts), steps)?, precision).in_company();

        let together = if layout.guided == Guided::Together { prompts } else { 1 };
        let mut kinds = Vec::new();
        for pictures in [at_once, pictures % at_once].into_iter().filter(|pictures| *pictures > 0) {
            kinds.push(Kind { pictures, prompts: together, skip: false });
            if request.guidance.skip.is_some() {
                kinds.push(Kind { pictures, prompts: 1, skip: true });
            }
        }
        let of_kind = |kind: Kind| -> Result<(Kind, Program), DiffusionError> {
            let skip = match &request.guidance.skip {
                Some(skip) if kind.skip => skip.layers.as_slice(),
                _ => &[],
            };
            let mut graph: Graph = mmdit::step(config, shape(kind.pictures, kind.prompts), skip)?;
            if layout.eights {
                graph.in_eights(&mmdit::in_eights);
            }
            Ok((kind, Program::new(graph, precision).in_company()))
        };
        let calls = kinds.into_iter().map(of_kind).collect::<Result<Vec<_>, _>>()?;

        let of = |name: &str| prepare.kept(name).map_or(0, |(_, kept)| kept.bytes);
        let context = 0;
        let modulation = context + of("context");
        let positions = modulation + of("modulation");
        let rest = positions + of("positions");
        let preparing = of("text") + of("pooled") + of("times") + prepare.scratch_bytes;
        let calling = calls.iter().map(|(_, program)| own(program, false) + program.scratch_bytes).max().unwrap_or(0);
        let bytes = rest + preparing.max(calling);
        Ok(Self {
            config: config.clone(),
            precision,
            size,
            tiles,
            text,
            prompts,
            pictures,
            at_once,
            guided: layout.guided,
            prepare,
            calls,
            context,
            modulation,
            positions,
            rest,
            bytes,
        })
    }

    /// Bytes of memory that it needs.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Tokens of a text.
    pub(crate) fn text(&self) -> usize {
        self.text
    }

    /// Texts: that of the prompt, and the negative one where there is guidance.
    pub(crate) fn prompts(&self) -> usize {
        self.prompts
    }

    /// What the device takes beside it.
    pub(crate) fn workspace_bytes<D: Device>(&self, device: &D) -> u64 {
        let calls = self.calls.iter().map(|(_, program)| program);
        calls.map(|program| device.workspace_bytes(program)).max().unwrap_or(0)
    }

    /// Multiplications and additions for a walk of `calls` calls, of which `skipped` are made once more with layers left
    /// out.
    pub(crate) fn flops(&self, calls: usize, skipped: usize) -> u64 {
        let tiles = self.tiles.of(self.size.0, self.size.1).len() as u64;
        let once = |skip: bool| -> u64 {
            let chunk = |pictures: usize| {
                let found = self.calls.iter().find(|(kind, _)| kind.pictures == pictures && kind.skip == skip);
                let times = if skip { 1 } else { self.prompts / found.map_or(1, |(kind, _)| kind.prompts) };
                found.map_or(0, |(_, program)| flops(program)) * times as u64
            };
            self.chunks().map(|(_, pictures)| chunk(pictures)).sum::<u64>() * tiles
        };
        calls as u64 * once(false) + skipped as u64 * once(true)
    }

    /// What the device takes beside it while it prepares.
    pub(crate) fn prepare_workspace_bytes<D: Device>(&self, device: &D) -> u64 {
        device.workspace_bytes(&self.prepare)
    }

    /// Multiplications and additions of what is prepared.
    pub(crate) fn prepare_flops(&self) -> u64 {
        flops(&self.prepare)
    }

    /// First picture and how many, for every chunk of pictures that are drawn at once.
    fn chunks(&self) -> impl Iterator<Item = (usize, usize)> {
        let (pictures, at_once) = (self.pictures, self.at_once);
        (0..pictures).step_by(at_once).map(move |first| (first, at_once.min(pictures - first)))
    }

    /// Embeds the texts, negative first where there are two, and computes the modulations of all `times`.
    pub(crate) fn prepare<D: Device>(
        &self,
        running: &mut Running<'_, D>,
        texts: &[&Conditioning],
        times: &[f32],
    ) -> Result<(), DiffusionError> {
        let Running { device, model, memory, stop } = running;
        let program = &self.prepare;
        let kept = self.places(program, true);
        let mut write = |name: &str, numbers: &[f32]| self.write(*device, memory, program, &kept, name, numbers);
        let copies = |of: fn(&Conditioning) -> &Vec<f32>, count: usize| -> Vec<f32> {
            texts.iter().flat_map(|text| std::iter::repeat_n(of(text), count)).flatten().copied().collect()
        };
        write("text", &copies(|text| &text.context, self.at_once))?;
        write("pooled", &copies(|text| &text.pooled, 1))?;
        let times: Vec<f32> = times.iter().flat_map(|time| std::iter::repeat_n(*time, self.prompts)).collect();
        write("times", &times)?;
        let scratch = self.rest + own(program, true);
        device.run(program, model, memory, Bases { scratch, kept: &kept }, *stop)
    }

    /// The velocity of all pictures' latents, guided.
    pub(crate) fn velocity<D: Device>(
        &self,
        running: &mut Running<'_, D>,
        latents: &[f32],
        call: Call,
        guidance: &Guidance,
        steps: usize,
    ) -> Result<Vec<f32>, DiffusionError> {
        let (height, width) = self.size;
        let channels = self.config.in_channels;
        let each = height * width * channels;
        let tiles = self.tiles.of(height, width);
        let skip = guidance.skips(call.index, steps);
        let mut velocity = Vec::with_capacity(latents.len());
        for (first, pictures) in self.chunks() {
            let latents = &latents[first * each..][..pictures * each];
            if let [_] = tiles.as_slice() {
                velocity.extend(self.guided(running, latents, pictures, call.row, guidance, skip)?);
                continue;
            }
            let mut canvases = vec![Canvas::new(height, width, channels); pictures];
            for tile in &tiles {
                let cut = |picture: &[f32]| tile.cut(picture, width, channels);
                let seen: Vec<f32> = latents.chunks_exact(each).flat_map(cut).collect();
                let answer = self.guided(running, &seen, pictures, call.row, guidance, skip)?;
                self.lay(&mut canvases, *tile, &answer);
            }
            velocity.extend(canvases.into_iter().flat_map(Canvas::finish));
        }
        Ok(velocity)
    }

    fn lay(&self, canvases: &mut [Canvas], tile: Tile, answer: &[f32]) {
        let each = tile.height * tile.width * self.config.out_channels;
        for (canvas, answer) in canvases.iter_mut().zip(answer.chunks_exact(each)) {
            canvas.lay(&self.tiles, 1, tile, answer);
        }
    }

    /// The velocity of some pictures, of the size that programs have.
    fn guided<D: Device>(
        &self,
        running: &mut Running<'_, D>,
        latents: &[f32],
        pictures: usize,
        row: usize,
        guidance: &Guidance,
        skip: Option<&SkipLayers>,
    ) -> Result<Vec<f32>, DiffusionError> {
        let plain = |prompts: usize| Kind { pictures, prompts, skip: false };
        if self.prompts == 1 {
            return self.call(running, plain(1), 0, row, latents);
        }
        let (mut without, with) = match self.guided {
            Guided::Together => {
                let mut both = self.call(running, plain(2), 0, row, latents)?;
                let with = both.split_off(both.len() / 2);
                (both, with)
            }
            Guided::Apart => {
                let without = self.call(running, plain(1), 0, row, latents)?;
                (without, self.call(running, plain(1), 1, row, latents)?)
            }
        };
        let skipped = match skip {
            Some(skip) => {
                let kind = Kind { pictures, prompts: 1, skip: true };
                Some((skip, self.call(running, kind, 1, row, latents)?))
            }
            None => None,
        };
        guidance.combine(&mut without, &with, skipped.as_ref().map(|(skip, velocity)| (*skip, velocity.as_slice())));
        Ok(without)
    }

    /// One call of the transformer, for the prompts from `first` on.
    fn call<D: Device>(
        &self,
        running: &mut Running<'_, D>,
        kind: Kind,
        first: usize,
        row: usize,
        latents: &[f32],
    ) -> Result<Vec<f32>, DiffusionError> {
        let missing = || DiffusionError::Missing(format!("find the program for {} pictures", kind.pictures));
        let (_, program) = self.calls.iter().find(|(known, _)| *known == kind).ok_or_else(missing)?;
        let mut kept = self.places(program, false);
        let mut move_to = |name: &str, offset: u64| {
            if let Some((index, _)) = program.kept(name) {
                kept[index] = offset;
            }
        };
        // Of two prompts, the last rows of the first and the first rows of the second follow one another.
        let before = if kind.prompts == 2 { self.at_once - kind.pictures } else { first * self.at_once };
        let context = bytes(before * self.text, self.config.hidden, Element::Act, self.precision);
        move_to("context", self.context + context);

        let Running { device, model, memory, stop } = running;
        let columns = Table::of(&self.config).columns();
        let rows = row * self.prompts + first;
        let here = self.span(program, &kept, "modulation")?;
        let offset = self.modulation + bytes(rows, columns, Element::Act, self.precision);
        device.copy(memory, Span { offset, ..here }, here)?;
        let copies: Vec<f32> = latents.repeat(kind.prompts);
        self.write(*device, memory, program, &kept, "latents", &copies)?;
        let scratch = self.rest + own(program, false);
        device.run(program, model, memory, Bases { scratch, kept: &kept }, *stop)?;
        let mut velocity = vec![0.0; latents.len() / self.config.in_channels * self.config.out_channels * kind.prompts];
        let at = self.span(program, &kept, "velocity")?;
        fits("velocity", at, velocity.len())?;
        device.read(memory, at, &mut velocity)?;
        Ok(velocity)
    }

    /// Where the kept buffers of a program lie: shared ones in their places, its own from `rest` on. The modulations of
    /// `prepare` are the table; a call has a place for its rows of it.
    fn places(&self, program: &Program, prepares: bool) -> Vec<u64> {
        let mut end = self.rest;
        let place = |kept: &crate::plan::Kept| match kept.name.as_str() {
            "context" => self.context,
            "modulation" if prepares => self.modulation,
            "positions" => self.positions,
            _ => {
                let from = end;
                end += aligned(kept.bytes);
                from
            }
        };
        program.kept.iter().map(place).collect()
    }

    fn span(&self, program: &Program, kept: &[u64], name: &str) -> Result<Span, DiffusionError> {
        let missing = || DiffusionError::Missing(format!("find the buffer {name} of a program"));
        let (index, buffer) = program.kept(name).ok_or_else(missing)?;
        let (element, precision) = (buffer.element, self.precision);
        Ok(Span { offset: kept[index], len: buffer.rows * buffer.cols, element, precision })
    }

    fn write<D: Device>(
        &self,
        device: &D,
        memory: &mut D::Memory,
        program: &Program,
        kept: &[u64],
        name: &str,
        numbers: &[f32],
    ) -> Result<(), DiffusionError> {
        let span = self.span(program, kept, name)?;
        fits(name, span, numbers.len())?;
        device.write(memory, span, numbers)
    }
}

/// Bytes of what a program keeps and shares with no other.
fn own(program: &Program, prepares: bool) -> u64 {
    let shared = |name: &str| matches!(name, "context" | "positions") || (prepares && name == "modulation");
    program.kept.iter().filter(|kept| !shared(&kept.name)).map(|kept| aligned(kept.bytes)).sum()
}

/// What a run of programs needs.
pub(crate) struct Running<'a, D: Device> {
    pub(crate) device: &'a D,
    pub(crate) model: &'a D::Model,
    pub(crate) memory: &'a mut D::Memory,
    pub(crate) stop: &'a dyn Fn() -> bool,
}
