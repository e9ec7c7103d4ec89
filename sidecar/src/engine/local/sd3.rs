//! Stable Diffusion 3.5 behind the local engine: the weights store's models, drawn by `thumbforge-diffusion` on this
//! machine's cards or processor.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use thumbforge_core::id::ContentHash;
use thumbforge_core::image::{Extent, ImageBuf};
use thumbforge_core::recipe::{Dtype, MaskMode, Noise, Operation};
use thumbforge_core::verdict::{Finding, FindingCode, Severity};
use thumbforge_diffusion::cpu::Kernels;
use thumbforge_diffusion::device::{Bases, Device, DeviceClass, Span};
use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::graph::{Builder, Element};
use thumbforge_diffusion::noise::NoiseKind;
use thumbforge_diffusion::param::{Param, Params, Tensor};
use thumbforge_diffusion::pipeline::{self, Guided, Keep, Layout, Model, Prompts, Request, Rgba8, Seeds};
use thumbforge_diffusion::plan::{Program, aligned, bytes};
use thumbforge_diffusion::sampler::{Defaults, Guidance, Method, SkipLayers};
use thumbforge_diffusion::text::encode::T5_TOKENS;
use thumbforge_diffusion::text::tokenizer::Truncated;
use thumbforge_diffusion::vae::tiles::Tiles;
use thumbforge_diffusion::weights::{self as files, Sources, Weights};
use thumbforge_diffusion::{DiffusionError, pipeline::Engine as Pipeline};

use super::super::{EngineError, Leave, Saves};
use super::asked::{Asked, Files, Lossy, Purpose, Shape, Source, Weight};
use super::eights::Eights;
use super::hashes::Hashes;
use super::machine::Machine;
use super::painter::{Painted, Painter, Watch};
use super::room::{self, Plan};
use super::seat::{ClassesOf, Fell, Seat};
use super::shelf::{Classes, Registry, Shelf, Stamp, stamp};
use super::site::{Processor, Room, Site};
use super::{IDLE, Local, gpu};
use crate::market::Market;
use crate::router::{LocalDefaults, LocalModel};
use crate::store::Store;
use crate::weights::{self, Part};

/// Side of an upscale's tile in latent pixels: 1024 pixels of the picture, which SD3.5 was trained with.
const TILE: usize = 128;
/// Overlap of such tiles.
const TILE_OVERLAP: usize = 32;

/// The engine of this machine.
///
/// # Errors
/// Why there is none.
pub(crate) fn engine(store: &Store, data_dir: &Path, market: &Market) -> Result<Local, EngineError> {
    let machine = Arc::new(machine(market)?);
    let shelf = Arc::new(shelf_of(data_dir, market, machine.clone())?);
    let (mut seats, gauges) = gpu::seats(&machine);
    if machine.has_processor() {
        let classes = processor();
        seats.push(Box::new(seat(Processor, Box::new(move || classes.clone()), Arc::new(|_: &str| {}))));
    }
    let eights = Eights::new(data_dir);
    let unsound = Box::new(move |files: &Files, leave: Leave<'_>| eights.unsound(files, leave));
    Ok(Local::new(shelf, store.clone(), seats, gauges, unsound))
}

/// A site with its model thread.
pub(super) fn seat<S: Site>(site: S, classes: ClassesOf, fell: Fell) -> Seat<Sd3<S>> {
    let held = Arc::new(AtomicU64::new(0));
    let planner = Arc::new(Mutex::new(None));
    let painter = (site.clone(), held.clone(), planner.clone());
    let place = (site.clone(), planner.clone());
    let start = Box::new(move || {
        let (site, held, planner) = painter.clone();
        Sd3 { site, held, planner }
    });
    // Whoever plans asks on its own thread, without waiting for a drawing; what that one holds will be free again.
    let fits = Box::new(move |files: &Files, asked: &Asked, pictures: usize, most: u64| {
        let mut planner: parking_lot::MutexGuard<'_, Option<Planner<S>>> = planner.lock();
        // Read before it is opened: one that is begun anew meanwhile is opened once more the next time.
        let round = site.round();
        if planner.as_ref().is_none_or(|planner| planner.files != *files || planner.round != round) {
            *planner = None;
            let pipeline = open(&site, files)?;
            *planner = Some(Planner { files: files.clone(), round, pipeline, used: Instant::now() });
        }
        match planner.as_mut() {
            Some(Planner { pipeline, used, .. }) => {
                *used = Instant::now();
                site.purpose(pipeline.device_mut(), asked.purpose);
                let room = site.room(pipeline, held.load(Ordering::Relaxed));
                fit(pipeline, asked, pictures, Room { total_bytes: room.total_bytes.min(most), ..room })
            }
            None => Err(EngineError::Internal("a planner has no model".to_owned())),
        }
    });
    let keeps_eights = Box::new(move || match place.1.lock().as_ref() {
        Some(planner) => Ok(planner.pipeline.device().keeps_eights()),
        None => Ok(place.0.device()?.keeps_eights()),
    });
    Seat::new(classes, start, (fits, keeps_eights), IDLE, fell)
}

/// What this machine draws with, as the driver was found when the process first asked.
///
/// # Errors
/// When a variable of the environment is wrong.
pub(crate) fn machine(market: &Market) -> Result<Machine, EngineError> {
    let file = market.local.with(&|name| std::env::var(name).ok()).map_err(EngineError::Failed)?;
    let seen = gpu::seen(&file);
    Ok(Machine::new(file, seen, processor()))
}

/// The classes of this machine's processor.
fn processor() -> Classes {
    let class = |precision| DeviceClass::Cpu { kernels: Kernels::best().word(precision) }.to_string();
    Classes {
        // Without its instructions bfloat16 saves memory alone and costs exactness.
        dtype: if Kernels::best() == Kernels::Avx512Bf16 { Dtype::Bf16 } else { Dtype::F32 },
        f32: class(Precision::F32),
        bf16: class(Precision::Bf16),
    }
}

/// The models of this machine.
///
/// # Errors
/// When the weights store cannot be found, or a variable of the environment is wrong.
pub(crate) fn shelf(data_dir: &Path, market: &Market) -> Result<Shelf, EngineError> {
    shelf_of(data_dir, market, Arc::new(machine(market)?))
}

/// The models of a machine.
///
/// # Errors
/// When the weights store cannot be found, or a variable of the environment is wrong.
pub(crate) fn shelf_of(data_dir: &Path, market: &Market, machine: Arc<Machine>) -> Result<Shelf, EngineError> {
    let variable = |name: &str| std::env::var(name).ok();
    let store = weights::Store::new(weights::dir(data_dir, market.weights_dir.as_deref(), &variable));
    let here = Here { store, hashes: Hashes::new(data_dir) };
    Ok(Shelf::new(Box::new(here), Box::new(move || machine.classes())))
}

/// The weights store, read as models.
struct Here {
    store: weights::Store,
    hashes: Hashes,
}

impl Registry for Here {
    fn stamp(&self) -> Stamp {
        stamp(&self.store.dir().join("registry.json"))
    }

    fn models(&self) -> Vec<(String, Result<Files, EngineError>)> {
        let registry = match self.store.registry() {
            Ok(registry) => registry,
            Err(failure) => {
                tracing::warn!("{}", failure.message);
                return Vec::new();
            }
        };
        let models = registry.items.values().filter(|item| item.part == Part::Model);
        let names: BTreeSet<&str> = models.filter_map(|item| item.model.as_deref()).collect();
        let set = |name: &str| match self.store.find(name) {
            Ok(Some(set)) => Ok(Files {
                model: set.model,
                tokenizers: set.tokenizers,
                clip_l: set.clip_l,
                clip_g: set.clip_g,
                t5: set.t5,
                vae: set.vae,
                loras: Vec::new(),
                weights: None,
            }),
            Ok(None) => Err(EngineError::Missing(
                "files of its weights are gone or changed; `thumbforge weights list` says which".to_owned(),
            )),
            Err(failure) => Err(EngineError::Missing(failure.message)),
        };
        names.into_iter().map(|name| (name.to_owned(), set(name))).collect()
    }

    fn look(&self, id: Option<&str>, files: &Files) -> Result<(Files, LocalModel), EngineError> {
        let mut files = files.clone();
        let mut weights = open_weights(&files)?;
        if files.tokenizers.is_none() && lacking_tokenizer(&weights).is_some() {
            // Single files carry none; those of the store fit every model of the family.
            files.tokenizers = self.tokenizers();
            if files.tokenizers.is_some() {
                weights = open_weights(&files)?;
            }
        }
        if let Some(encoder) = lacking_tokenizer(&weights) {
            return Err(EngineError::Missing(format!(
                "its text encoder {encoder} has no tokenizer; get them with `thumbforge weights pull sd3.5-tokenizers`, or \
                 name their folder (--tokenizers)"
            )));
        }
        for (there, part, item) in [
            (weights.vae.is_some(), "autoencoder", "vae"),
            (weights.clip_l.is_some(), "text encoder clip_l", "clip-l"),
            (weights.clip_g.is_some(), "text encoder clip_g", "clip-g"),
        ] {
            if !there {
                let message = format!(
                    "its {part} is not here; get it with `thumbforge weights pull {item}`, or put its file beside the model"
                );
                return Err(EngineError::Missing(message));
            }
        }
        let hash = weights.hash(&self.hashes).map_err(told)?;
        let encoders = if weights.t5.is_some() { "clip_l+clip_g+t5" } else { "clip_l+clip_g" };
        let defaults = defaults(id, &weights);
        Ok((files, LocalModel { weights: ContentHash(hash), defaults, encoders: encoders.to_owned() }))
    }
}

impl Here {
    /// The store's tokenizers, the usual ones first.
    fn tokenizers(&self) -> Option<std::path::PathBuf> {
        let registry = self.store.registry().ok()?;
        let items = registry.items.values().filter(|item| item.part == Part::Tokenizers);
        items.max_by_key(|item| item.name == "sd3.5-tokenizers").map(|item| self.store.root(item))
    }
}

/// What a model's card says: by its id in the catalogue, or by what its tensors look like.
fn defaults(id: Option<&str>, weights: &Weights) -> LocalDefaults {
    let shift_milli = (weights.scheduler.shift * 1e3).round() as u32;
    let card = id.and_then(Defaults::of_id).unwrap_or_else(|| Defaults::of(weights.kind));
    LocalDefaults {
        steps: u32::try_from(card.steps).unwrap_or(u32::MAX),
        guidance_milli: (f64::from(card.guidance) * 1e3).round() as u32,
        shift_milli,
    }
}

/// The first encoder that has weights and no tokenizer.
fn lacking_tokenizer(weights: &Weights) -> Option<&'static str> {
    let paths = &weights.tokenizers;
    let encoders = [
        ("clip_l", weights.clip_l.is_some(), paths.clip_l.is_some()),
        ("clip_g", weights.clip_g.is_some(), paths.clip_g.is_some()),
        ("t5", weights.t5.is_some(), paths.t5.is_some()),
    ];
    encoders.into_iter().find(|(_, weights, tokenizer)| *weights && !tokenizer).map(|(name, ..)| name)
}

pub(super) fn open_weights(from: &Files) -> Result<Weights, EngineError> {
    let Files { model, tokenizers, clip_l, clip_g, t5, vae, loras, weights: _ } = from.clone();
    let loras = loras.into_iter().map(|(path, Weight(weight))| (path, weight)).collect();
    files::open(&Sources { model, tokenizers, clip_l, clip_g, t5, vae, loras }).map_err(told)
}

fn open<S: Site>(site: &S, files: &Files) -> Result<Pipeline<S::Device>, EngineError> {
    let weights = open_weights(files)?;
    // The model's own files were read whole when they were looked at, and adapters by nobody: numbers that are none would
    // draw a black picture.
    weights.lora_hashes(&files::NoCache).map_err(told)?;
    // Embeddings are remembered by it within this pipeline, which has one model: any value will do.
    let model = Model::of(&weights, [0; 32]).map_err(told)?;
    Ok(Pipeline::new(site.device()?, model))
}

/// Draws on a device.
pub(crate) struct Sd3<S: Site> {
    site: S,
    /// Bytes that the drawing under way holds and will give back.
    held: Arc<AtomicU64>,
    /// What others plan with, which holds the device too.
    planner: Arc<Mutex<Option<Planner<S>>>>,
}

/// A model that is open to be planned with.
struct Planner<S: Site> {
    files: Files,
    /// The round of the site in which it was opened.
    round: u64,
    pipeline: Pipeline<S::Device>,
    /// When somebody last planned with it.
    used: Instant,
}

impl<S: Site> Sd3<S> {
    /// The error of a drawing; whatever a lost device says, it says because it is lost.
    fn told(&self, device: &S::Device, err: EngineError) -> EngineError {
        match err {
            lost @ EngineError::Lost(_) => lost,
            err if self.site.is_lost(device) => EngineError::Lost(err.to_string()),
            err => err,
        }
    }
}

impl<S: Site> Painter for Sd3<S> {
    type Model = Pipeline<S::Device>;

    fn open(&self, files: &Files) -> Result<Self::Model, EngineError> {
        open(&self.site, files)
    }

    fn fit(&self, model: &mut Self::Model, asked: &Asked, pictures: usize, most: u64) -> Result<Plan, EngineError> {
        if self.site.is_lost(model.device()) {
            return Err(EngineError::Lost("fit a picture into memory: the device is lost".to_owned()));
        }
        self.site.purpose(model.device_mut(), asked.purpose);
        let room = self.site.room(model, 0);
        fit(model, asked, pictures, Room { total_bytes: room.total_bytes.min(most), ..room })
    }

    fn restart(&self) -> Result<(), EngineError> {
        // Held meanwhile, so that nobody opens what is dead.
        let mut planner = self.planner.lock();
        *planner = None;
        self.site.restart()
    }

    fn rest(&self, idle: Duration) {
        let mut planner = self.planner.lock();
        if planner.as_ref().is_some_and(|planner| planner.used.elapsed() < idle) {
            return;
        }
        *planner = None;
        self.site.rest();
    }

    fn draw(
        &self,
        model: &mut Self::Model,
        asked: &[&Asked],
        plan: &Plan,
        watch: &dyn Watch,
    ) -> Result<Vec<Painted>, EngineError> {
        let Some(first) = asked.first() else { return Ok(Vec::new()) };
        let seeds = asked.iter().map(|asked| asked.seed).collect();
        let request = request(model.model(), first, seeds)?;
        // Between the plan and the turn the device may have become another: without its library, or begun anew.
        still(&model.device().class(request.precision), &first.shape.class)?;
        self.site.purpose(model.device_mut(), first.purpose);
        self.held.store(plan.needed_bytes.saturating_sub(self.site.counted_free(model)), Ordering::Relaxed);
        // Given back also where it panics, or everything after would be thought to have room that it has not.
        let _held = Held(&self.held);
        let outcome = model.draw_rgba8(&request, &layout(plan), &Watched(watch)).map_err(told);
        let outcome = outcome.map_err(|err| self.told(model.device(), err))?;
        let lost: Vec<Finding> = outcome.truncated.iter().map(truncated).collect();
        let pictures = outcome.pictures.into_iter().map(|drawn| {
            let mut findings = lost.clone();
            let image = cut(drawn.picture, first.shape.size, &mut findings)?;
            Ok(Painted { image, findings })
        });
        pictures.collect()
    }
}

struct Held<'a>(&'a AtomicU64);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Whether a device draws the bytes of a key that was planned for `planned`.
fn still(class: &DeviceClass, planned: &str) -> Result<(), EngineError> {
    let class = class.to_string();
    if class == planned {
        return Ok(());
    }
    Err(EngineError::Changed(format!("draw on {planned}: the device is {class} by now; it is planned anew")))
}

/// How pictures like one fit into the room that there is.
fn fit<D: Device>(model: &mut Pipeline<D>, asked: &Asked, pictures: usize, room: Room) -> Result<Plan, EngineError> {
    let seeds: Vec<u64> = (0..pictures.max(1) as u64).collect();
    let request = request(model.model(), asked, seeds)?;
    let model = Mutex::new(model);
    room::fit(pictures, asked.shape.lossy, room.total_bytes, &|plan| {
        let estimate = model.lock().estimate(&request, &layout(plan)).map_err(told)?;
        let arena_bytes = estimate.phases.iter().map(|phase| phase.arena_bytes).max().unwrap_or(0);
        // What is beyond the share is beyond what is free, however much of that there is.
        let beyond = arena_bytes.saturating_sub(room.arena_bytes);
        let short = if beyond > 0 { room.total_bytes.saturating_add(beyond) } else { 0 };
        Ok(estimate.peak_bytes.max(short))
    })
}

/// What a picture of a model takes on this machine.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Figures {
    /// Pixels of its sides.
    pub(crate) side: u32,
    /// Steps, as the model's card says.
    pub(crate) steps: u32,
    /// The most that is held at any time, weights included.
    pub(crate) needed_bytes: u64,
    /// What is free.
    pub(crate) free_bytes: u64,
    /// How long it is expected to take, in milliseconds: its products at the speed of a small one.
    pub(crate) expected_ms: u64,
}

/// What a picture of a model takes, as large as the model likes it and as its card says, at `rate` multiplications and
/// additions a second.
///
/// # Errors
/// [`EngineError::OutOfMemory`], or what is wrong with the model's files.
fn figures<S: Site>(
    site: &S,
    files: &Arc<Files>,
    model: &LocalModel,
    (dtype, rate): (Dtype, f64),
) -> Result<Figures, EngineError> {
    let mut pipeline = open(site, files)?;
    let side = u32::try_from(pipeline.model().side_max()).unwrap_or(SIDE_USUAL).min(SIDE_USUAL);
    let shape = Shape {
        prompt: "a picture".to_owned(),
        negative: String::new(),
        size: Extent { width: side, height: side },
        steps: model.defaults.steps,
        guidance: model.defaults.guidance(),
        shift: model.defaults.shift(),
        sampler: Method::Euler.word().to_owned(),
        dtype,
        class: pipeline.device().class(precision(dtype)).to_string(),
        noise: Noise::Philox,
        slg: None,
        lossy: Lossy::NONE,
    };
    let asked = Asked { files: files.clone(), shape, seed: 0, source: None, purpose: Purpose::Batch };
    site.purpose(pipeline.device_mut(), asked.purpose);
    let room = site.room(&pipeline, 0);
    let plan = fit(&mut pipeline, &asked, 1, room)?;
    let request = request(pipeline.model(), &asked, vec![0])?;
    let flops = pipeline.estimate(&request, &layout(&plan)).map_err(told)?.flops;
    let Plan { needed_bytes, free_bytes, .. } = plan;
    let expected_ms = (flops as f64 / rate * 1e3) as u64;
    Ok(Figures { side, steps: model.defaults.steps, needed_bytes, free_bytes, expected_ms })
}

/// What pictures take on the device that this machine draws with.
pub(crate) trait Measures {
    /// How many multiplications and additions a second it does.
    ///
    /// # Errors
    /// When the device fails.
    fn rate(&self, dtype: Dtype) -> Result<f64, EngineError>;

    /// What a picture of a model takes, as large as the model likes it and as its card says, at `rate`.
    ///
    /// # Errors
    /// [`EngineError::OutOfMemory`], or what is wrong with the model's files.
    fn figures(
        &self,
        files: &Arc<Files>,
        model: &LocalModel,
        dtype_and_rate: (Dtype, f64),
    ) -> Result<Figures, EngineError>;
}

impl<S: Site> Measures for S {
    fn rate(&self, dtype: Dtype) -> Result<f64, EngineError> {
        rate(self, dtype)
    }

    fn figures(
        &self,
        files: &Arc<Files>,
        model: &LocalModel,
        dtype_and_rate: (Dtype, f64),
    ) -> Result<Figures, EngineError> {
        figures(self, files, model, dtype_and_rate)
    }
}

/// The device that this machine draws with first.
///
/// # Errors
/// Why none can be had.
pub(crate) fn measures(machine: &Arc<Machine>) -> Result<Box<dyn Measures>, EngineError> {
    match gpu::measures(machine) {
        Some(card) => Ok(card),
        None if machine.has_processor() => Ok(Box::new(Processor)),
        None => Err(EngineError::Missing(machine.classes().err().unwrap_or_default())),
    }
}

/// Sides of the pictures that SD3.5 was made for.
const SIDE_USUAL: u32 = 1024;

/// How many multiplications and additions a second this machine does, by a product of matrices that takes milliseconds.
///
/// # Errors
/// When the device fails.
fn rate<S: Site>(site: &S, dtype: Dtype) -> Result<f64, EngineError> {
    const ROWS: usize = 256;
    const COLS: usize = 1024;
    const TRIES: usize = 5;
    let precision = precision(dtype);
    let device = site.device()?;
    let mut builder = Builder::new();
    let x = builder.input("x", ROWS, COLS, Element::Act);
    let y = builder.linear(x, "w", COLS, false);
    builder.output("y", y);
    let program = Program::new(builder.finish(), precision);
    let weight = Param::whole(Tensor::of_f32(vec![COLS, COLS], &vec![0.5; COLS * COLS]));
    let model = device.load(&Params([("w.weight".to_owned(), weight)].into()), precision).map_err(told)?;
    // The two kept buffers stand one after the other, then what the program works in.
    let each = aligned(bytes(ROWS, COLS, Element::Act, precision));
    let mut memory = device.reserve(2 * each + program.scratch_bytes).map_err(told)?;
    let bases = Bases { scratch: 2 * each, kept: &[0, each] };
    let span = Span { offset: 0, len: ROWS * COLS, element: Element::Act, precision };
    device.write(&mut memory, span, &vec![0.5; ROWS * COLS]).map_err(told)?;
    let mut best = f64::INFINITY;
    for _ in 0..TRIES {
        let began = Instant::now();
        device.run(&program, &model, &mut memory, bases, &|| false).map_err(told)?;
        best = best.min(began.elapsed().as_secs_f64());
    }
    Ok(pipeline::flops(&program) as f64 / best.max(1e-9))
}

fn layout(plan: &Plan) -> Layout {
    Layout {
        pictures: plan.pictures,
        guided: if plan.apart { Guided::Apart } else { Guided::Together },
        text: if plan.text_leaves { Keep::Leaves } else { Keep::Stays },
        modulation: if plan.modulation_leaves { Keep::Leaves } else { Keep::Stays },
        tiles: plan.lossy.tiled_vae.then_some(Tiles::USUAL),
        eights: plan.lossy.eights,
    }
}

fn precision(dtype: Dtype) -> Precision {
    match dtype {
        Dtype::F32 => Precision::F32,
        Dtype::Bf16 => Precision::Bf16,
    }
}

/// Pictures of one shape in the model's terms.
fn request(model: &Model, asked: &Asked, seeds: Vec<u64>) -> Result<Request, EngineError> {
    let shape = &asked.shape;
    let multiple = model.multiple().max(1);
    let larger = |side: u32| (side as usize).div_ceil(multiple).max(1) * multiple;
    let (width, height) = (larger(shape.size.width), larger(shape.size.height));
    let precision = precision(shape.dtype);
    let skip = shape.slg.as_ref().map(|slg| SkipLayers {
        layers: slg.layers.iter().map(|layer| *layer as usize).collect(),
        scale: slg.scale as f32,
        start: slg.start,
        stop: slg.stop,
    });
    let method: Method = shape.sampler.parse().map_err(EngineError::Recipe)?;
    let upscale = asked.source.as_ref().is_some_and(|source| source.operation == Operation::Upscale);
    let factor = model.vae.config.factor().max(1);
    let tile = TILE.min(model.mmdit.config.position_side * model.mmdit.config.patch);
    let tiled = (upscale && width.max(height) / factor > tile)
        .then_some(Tiles { side: tile, overlap: TILE_OVERLAP.min(tile / 4) });
    Ok(Request {
        prompt: Prompts::all(&shape.prompt),
        negative: Prompts::all(&shape.negative),
        width,
        height,
        steps: shape.steps as usize,
        guidance: Guidance { scale: shape.guidance as f32, skip },
        method,
        shift: Some(shape.shift),
        seeds: Seeds::Each(seeds),
        noise: match shape.noise {
            Noise::Philox => NoiseKind::Philox,
            Noise::TorchCpu => NoiseKind::TorchCpu,
        },
        source: asked.source.as_ref().map(|source| given(source, width, height)).transpose()?,
        t5: true,
        t5_tokens: T5_TOKENS,
        precision,
        vae_precision: precision,
        tiled,
    })
}

/// The edges of a picture, drawn out evenly to all sides, so that its middle can be cut out again unchanged.
fn padded<T: Copy>(pixels: &[T], from: Extent, width: usize, height: usize) -> Vec<T> {
    let (w, h) = (from.width as usize, from.height as usize);
    let (left, top) = ((width - w) / 2, (height - h) / 2);
    let mut out = Vec::with_capacity(width * height);
    for y in 0..height {
        let row = &pixels[y.saturating_sub(top).min(h - 1) * w..][..w];
        out.extend((0..width).map(|x| row[x.saturating_sub(left).min(w - 1)]));
    }
    out
}

fn given(source: &Source, width: usize, height: usize) -> Result<pipeline::Source, EngineError> {
    let extent = source.picture.extent();
    let pixels: Vec<[u8; 3]> = source.picture.pixels().chunks_exact(4).map(|p| [p[0], p[1], p[2]]).collect();
    let pixels = padded(&pixels, extent, width, height);
    let picture = pipeline::Picture::of_rgb8(width, height, pixels.as_flattened())
        .ok_or_else(|| EngineError::Internal("a picture has a wrong length".to_owned()))?;
    let mask = source.mask.as_ref().map(|mask| pipeline::Mask {
        pixels: padded(&mask.pixels, extent, width, height).iter().map(|grey| f32::from(*grey) / 255.0).collect(),
        mode: match mask.mode {
            MaskMode::Keep => pipeline::MaskMode::Keep { feather_px: mask.feather_px as usize },
            MaskMode::Diffusers => pipeline::MaskMode::Diffusers,
        },
    });
    Ok(pipeline::Source { picture, strength: source.strength, mask })
}

/// The middle of a drawn picture, of the size that was asked.
fn cut(picture: Rgba8, size: Extent, findings: &mut Vec<Finding>) -> Result<ImageBuf, EngineError> {
    let (width, height) = (size.width as usize, size.height as usize);
    let wrong = || EngineError::Internal("a drawn picture is smaller than it was asked for".to_owned());
    let left = picture.width.checked_sub(width).ok_or_else(wrong)? / 2;
    let top = picture.height.checked_sub(height).ok_or_else(wrong)? / 2;
    if (picture.width, picture.height) == (width, height) {
        return ImageBuf::from_rgba(size, picture.pixels).ok_or_else(wrong);
    }
    let mut rgba = Vec::with_capacity(width * height * 4);
    for row in picture.pixels.chunks_exact(picture.width * 4).skip(top).take(height) {
        rgba.extend_from_slice(row.get(left * 4..(left + width) * 4).ok_or_else(wrong)?);
    }
    let message =
        format!("the model draws no {size}: {} x {} was drawn and its middle cut out", picture.width, picture.height);
    findings.push(note(FindingCode::Cropped, Severity::Info, message));
    ImageBuf::from_rgba(size, rgba).ok_or_else(wrong)
}

fn truncated(lost: &Truncated) -> Finding {
    let message = format!(
        "the text encoder {} reads {} tokens; of the prompt it did not read {:?}",
        lost.encoder.word(),
        lost.limit,
        lost.lost
    );
    note(FindingCode::PromptTruncated, Severity::Warning, message)
}

fn note(code: FindingCode, severity: Severity, message: String) -> Finding {
    Finding { code, severity, message, place: None, expected: None, read: None, score: None }
}

/// The engine's error for one of the model's.
pub(super) fn told(err: DiffusionError) -> EngineError {
    match err {
        DiffusionError::OutOfMemory { needed_bytes, free_bytes } => {
            EngineError::OutOfMemory { needed_bytes, free_bytes, saves: Saves::default() }
        }
        DiffusionError::File { .. } => EngineError::Weights(err.to_string()),
        DiffusionError::Missing(message) => EngineError::Missing(message),
        DiffusionError::Request(message) => EngineError::Recipe(message),
        DiffusionError::Cancelled => EngineError::Cancelled,
        DiffusionError::Lost { .. } => EngineError::Lost(err.to_string()),
        DiffusionError::Device { .. } => EngineError::Failed(err.to_string()),
    }
}

/// Hands steps on.
struct Watched<'a>(&'a dyn Watch);

impl pipeline::Watch for Watched<'_> {
    fn step(&self, done: usize, of: usize, _: Option<&pipeline::Preview>) {
        self.0.step(u32::try_from(done).unwrap_or(u32::MAX), u32::try_from(of).unwrap_or(u32::MAX));
    }

    fn cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

#[cfg(test)]
mod tests {
    use thumbforge_core::model::{Catalogue, Family};

    use super::*;

    #[test]
    fn edges_are_drawn_out_and_cut_off_again() {
        let size = Extent { width: 3, height: 2 };
        let pixels = [1, 2, 3, 4, 5, 6];
        let out = padded(&pixels, size, 6, 4);
        assert_eq!(out[..6], [1, 1, 2, 3, 3, 3]);
        assert_eq!(out[6..12], [1, 1, 2, 3, 3, 3]);
        assert_eq!(out[12..18], [4, 4, 5, 6, 6, 6]);
        let bytes: Vec<u8> = out.iter().flat_map(|grey| [*grey; 3]).collect();
        let picture = pipeline::Picture::of_rgb8(6, 4, &bytes).expect("a picture").to_rgba8();
        let mut findings = Vec::new();
        let whole = cut(picture.clone(), Extent { width: 6, height: 4 }, &mut findings).expect("as it is");
        assert_eq!((whole.pixels(), findings.len()), (&picture.pixels[..], 0));
        assert!(cut(picture.clone(), Extent { width: 7, height: 4 }, &mut findings).is_err());
        let image = cut(picture, size, &mut findings).expect("a smaller one");
        let greys: Vec<u8> = image.pixels().chunks_exact(4).map(|pixel| pixel[0]).collect();
        assert_eq!(greys, pixels);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].message.contains("6 x 4"));
    }

    #[test]
    fn a_device_that_is_another_by_now_draws_nothing() {
        let library = |library: Option<&str>| DeviceClass::Cuda { capability: 90, library: library.map(str::to_owned) };
        let check = |class: DeviceClass, planned: &str, draws: bool| {
            let said = still(&class, planned);
            assert_eq!(said.is_ok(), draws, "{class} for {planned}");
            assert!(draws || said.is_err_and(|err| err.displaces()));
        };
        check(library(None), "cuda-sm90", true);
        check(library(None), "cuda-sm90-cublaslt12.9.1", false);
        check(library(Some("cublaslt12.9.1")), "cuda-sm90-cublaslt12.9.1", true);
        check(library(Some("cublaslt12.9.2")), "cuda-sm90-cublaslt12.9.1", false);
        check(library(Some("cublaslt12.9.1")), "cuda-sm90", false);
    }

    #[test]
    fn every_sampler_of_the_table_is_one_that_the_model_has() {
        use thumbforge_core::recipe::Settings;
        use thumbforge_core::sampling::Table;
        let (table, catalogue) = (Table::built_in(), Catalogue::built_in());
        let row = catalogue.rows().iter().find(|row| row.family == Family::Local).expect("a local model");
        for name in table.names() {
            let settings = Settings { sampler: Some(name.to_owned()), ..Settings::default() };
            let given = table.translate(row, &settings).given.sampler.expect("every name has a flow sampler");
            assert!(given.parse::<Method>().is_ok(), "{name} is {given}");
        }
    }

    #[test]
    fn cards_are_found_by_the_catalogue_s_ids() {
        let catalogue = Catalogue::built_in();
        for row in catalogue.rows().iter().filter(|row| row.family == Family::Local) {
            assert!(Defaults::of_id(row.id.as_str()).is_some(), "{}", row.id);
        }
    }
}
