//! Pipelines on toy models.

mod bytes;
mod held;

use std::cell::RefCell;
use std::sync::Mutex;

use super::*;
use crate::config::ClipConfig;
use crate::cpu::Cpu;
use crate::device::{Bases, Span};
use crate::dtype::Precision;
use crate::noise::{Noise, NoiseKind};
use crate::plain::Plain;
use crate::plan::Program;
use crate::sampler::{Guidance, Method, SkipLayers};
use crate::tiny::{self, Tiny};
use crate::vae::tiles::Tiles;

/// Text tokens behind those of CLIP: few, for plain loops are slow.
const T5_TOKENS: usize = 3;

fn tiny() -> Tiny {
    let mut tiny = Tiny::medium();
    (tiny.mmdit.depth, tiny.mmdit.dual) = (2, vec![0]);
    (tiny.mmdit.hidden, tiny.mmdit.heads) = (64, 1);
    (tiny.mmdit.context, tiny.mmdit.pooled) = (32, 16);
    tiny.vae.channels = vec![16, 16];
    tiny.vae.groups = 4;
    tiny
}

fn model() -> Model {
    let tiny = tiny();
    Model {
        mmdit: Component { params: tiny::params(tiny.mmdit_values()), config: tiny.mmdit.clone(), files: vec![] },
        vae: Component { params: tiny::params(tiny.vae_values()), config: tiny.vae.clone(), files: vec![] },
        text: Parts { clip_l: None, clip_g: None, t5: None, identity: [0; 32] },
        shift: 3.0,
    }
}

/// 24 by 16 pixels: the toy's latent pixel is two by two, and its patch four by four.
fn request(seeds: &[u64]) -> Request {
    Request {
        prompt: Prompts::all("a cat"),
        negative: Prompts::all("a dog"),
        width: 24,
        height: 16,
        steps: 3,
        guidance: Guidance { scale: 4.0, skip: None },
        method: Method::Euler,
        shift: None,
        seeds: Seeds::Each(seeds.to_vec()),
        noise: NoiseKind::Philox,
        source: None,
        t5: true,
        t5_tokens: T5_TOKENS,
        precision: Precision::F32,
        vae_precision: Precision::F32,
        tiled: None,
    }
}

fn text(name: &str) -> Conditioning {
    let tokens = 77 + T5_TOKENS;
    let of = |part: &str, count: usize| tiny::gauss(1, &format!("{name}/{part}"), count, 1.0);
    Conditioning { context: of("context", tokens * 32), tokens, pooled: of("pooled", 16) }
}

fn source(strength: f64, mask: Option<Mask>) -> Source {
    let pixels = tiny::gauss(1, "source", 24 * 16 * 3, 0.2).iter().map(|x| (x + 0.5).clamp(0.0, 1.0)).collect();
    Source { picture: Picture { width: 24, height: 16, pixels }, strength, mask }
}

/// The right half may change.
fn mask(mode: MaskMode) -> Mask {
    Mask { pixels: (0..24 * 16).map(|at| if at % 24 >= 12 { 1.0 } else { 0.0 }).collect(), mode }
}

fn draw_with<D: Device>(engine: &mut Engine<D>, request: &Request, layout: &Layout) -> Outcome {
    let (negative, positive) = (text("negative"), text("positive"));
    let both = [&negative, &positive];
    let texts = if request.guidance.doubles() { &both[..] } else { &both[1..] };
    engine.draw_texts(request, layout, texts, &Unwatched).expect("drawn")
}

fn draw(request: &Request) -> Vec<Picture> {
    let outcome = draw_with(&mut Engine::new(Plain, model()), request, &Layout::widest(8));
    outcome.pictures.into_iter().map(|drawn| drawn.picture).collect()
}

/// How far two pictures are apart at most.
fn apart(a: &Picture, b: &Picture) -> f32 {
    a.pixels.iter().zip(&b.pixels).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Counts what is asked of the device of plain loops.
#[derive(Debug, Default)]
struct Counting {
    seen: Mutex<Vec<Seen>>,
    /// What making the bytes of a pixel takes.
    rgba8_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Load,
    Reserve(u64),
    Run,
    Bytes,
}

impl Counting {
    fn note(&self, seen: Seen) {
        self.seen.lock().expect("one thread").push(seen);
    }

    fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().expect("one thread"))
    }
}

impl Device for Counting {
    type Model = Params;
    type Memory = Vec<u8>;

    fn class(&self, precision: Precision) -> DeviceClass {
        Plain.class(precision)
    }

    fn free_bytes(&self) -> u64 {
        Plain.free_bytes()
    }

    fn model_bytes(&self, params: &Params, precision: Precision) -> u64 {
        Plain.model_bytes(params, precision)
    }

    fn workspace_bytes(&self, program: &Program) -> u64 {
        program.ops.len() as u64
    }

    fn rgba8_workspace_bytes(&self, pixels: usize) -> u64 {
        self.rgba8_bytes * pixels as u64
    }

    fn read_rgba8(&self, memory: &Vec<u8>, at: Span, pixels: &mut [u8]) -> Result<(), DiffusionError> {
        self.note(Seen::Bytes);
        Plain.read_rgba8(memory, at, pixels)
    }

    fn load(&self, params: &Params, precision: Precision) -> Result<Params, DiffusionError> {
        self.note(Seen::Load);
        Plain.load(params, precision)
    }

    fn reserve(&self, bytes: u64) -> Result<Vec<u8>, DiffusionError> {
        self.note(Seen::Reserve(bytes));
        // What was there before must not show.
        Ok(vec![0xFF; bytes as usize])
    }

    fn write(&self, memory: &mut Vec<u8>, at: Span, numbers: &[f32]) -> Result<(), DiffusionError> {
        Plain.write(memory, at, numbers)
    }

    fn write_ids(&self, memory: &mut Vec<u8>, at: Span, ids: &[u32]) -> Result<(), DiffusionError> {
        Plain.write_ids(memory, at, ids)
    }

    fn read(&self, memory: &Vec<u8>, at: Span, numbers: &mut [f32]) -> Result<(), DiffusionError> {
        Plain.read(memory, at, numbers)
    }

    fn copy(&self, memory: &mut Vec<u8>, from: Span, to: Span) -> Result<(), DiffusionError> {
        Plain.copy(memory, from, to)
    }

    fn run(
        &self,
        program: &Program,
        model: &Params,
        memory: &mut Vec<u8>,
        bases: Bases<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), DiffusionError> {
        self.note(Seen::Run);
        Plain.run(program, model, memory, bases, stop)
    }
}

fn company<D: Device>(device: impl Fn() -> D, noise: NoiseKind, precision: Precision) {
    let skip = SkipLayers { layers: vec![1], scale: 2.0, start: 0.1, stop: 0.9 };
    let mut request = Request { noise, precision, vae_precision: precision, ..request(&[5, 6, 7]) };
    request.guidance.skip = Some(skip);
    // Each has its own of the latents that the source may stand for.
    request.source = (noise == NoiseKind::TorchCpu).then(|| source(0.9, None));
    let drawn = |request: &Request, layout: &Layout| {
        let outcome = draw_with(&mut Engine::new(device(), model()), request, layout);
        outcome.pictures
    };
    let alone: Vec<Drawn> = [5, 6, 7]
        .into_iter()
        .flat_map(|seed| drawn(&Request { seeds: Seeds::Each(vec![seed]), ..request.clone() }, &Layout::widest(1)))
        .collect();
    assert!(apart(&alone[0].picture, &alone[1].picture) > 0.01);
    for (pictures, guided) in
        [(3, Guided::Together), (2, Guided::Together), (1, Guided::Together), (3, Guided::Apart), (2, Guided::Apart)]
    {
        let layout = Layout { pictures, guided, ..Layout::widest(3) };
        assert!(drawn(&request, &layout) == alone, "{pictures} {guided:?} {noise:?} {precision:?}");
    }
}

#[test]
fn a_seed_gives_the_same_picture_in_any_company() {
    company(|| Plain, NoiseKind::Philox, Precision::F32);
    company(|| Plain, NoiseKind::TorchCpu, Precision::Bf16);
}

#[test]
fn a_seed_gives_the_same_picture_in_any_company_on_the_processor() {
    for precision in [Precision::F32, Precision::Bf16] {
        company(|| Cpu::new().expect("threads"), NoiseKind::Philox, precision);
    }
}

#[test]
fn one_generator_goes_on_from_picture_to_picture() {
    let mut request = request(&[]);
    request.noise = NoiseKind::TorchCpu;
    request.seeds = Seeds::One { seed: 5, pictures: 2 };
    let drawn = draw(&request);
    let alone = draw(&Request { seeds: Seeds::Each(vec![5]), ..request.clone() });
    assert_eq!(drawn[0], alone[0]);
    assert!(apart(&drawn[0], &drawn[1]) > 0.01);

    let mut random = Random::new(&request);
    let mut noise = Noise::new(NoiseKind::TorchCpu, 5);
    // The source is one for all, and drawn first.
    let mut expected = vec![0.0; 2 * 6];
    noise.fill(&mut expected);
    assert_eq!(random.source((2, 3), 2), [expected]);
    let mut expected = vec![0.0; 2 * 2 * 6];
    noise.fill(&mut expected);
    let rows = random.latents((2, 3), 2);
    // A source is one for all pictures.
    request.source = Some(source(0.9, None));
    let drawn = draw(&request);
    assert_eq!(drawn[0], draw(&Request { seeds: Seeds::Each(vec![5]), ..request.clone() })[0]);
    assert!(apart(&drawn[0], &drawn[1]) > 0.01);
    // Second picture, second channel, last pixel.
    assert_eq!(rows[2 * 6 + 5 * 2 + 1], expected[2 * 6 + 6 + 5]);
    assert_eq!(random::to_planes(&rows[12..], 2), expected[12..]);
}

#[test]
fn a_run_reserves_what_was_estimated_and_nothing_in_the_loop() {
    let mut engine = Engine::new(Counting::default(), model());
    for (strength, method, pictures) in [(None, Method::Euler, 2), (Some(0.9), Method::Heun, 1)] {
        let mut request = request(&[1, 2]);
        request.source = strength.map(|strength| source(strength, None));
        request.method = method;
        request.guidance.skip = Some(SkipLayers { layers: vec![1], scale: 2.0, start: 0.0, stop: 1.0 });
        let layout = Layout { pictures, ..Layout::widest(2) };
        let plan = Plan::new(&engine.model, &request, &layout).expect("a plan");
        let estimate = plan.estimate(&engine.device, &engine.model, (&[], 0), &layout);
        engine.device.take();
        draw_with(&mut engine, &request, &layout);
        let seen = engine.device.take();
        let reserved: Vec<u64> =
            seen.iter().filter_map(|seen| if let Seen::Reserve(bytes) = seen { Some(*bytes) } else { None }).collect();
        let phase = |kind: PhaseKind| *estimate.phase(kind).expect("a phase");
        assert_eq!(reserved, [phase(PhaseKind::Denoise).arena_bytes]);
        assert_eq!(estimate.phase(PhaseKind::Encode).is_some(), strength.is_some());
        let first_run = seen.iter().position(|seen| *seen == Seen::Run).expect("runs");
        assert!(seen[first_run..].iter().all(|seen| *seen == Seen::Run), "{seen:?}");

        // Nothing of the memory is spare: some phase needs all of it.
        let parts =
            [plan.denoiser.bytes(), plan.decoder.bytes(), plan.encoder.as_ref().map_or(0, |coder| coder.bytes())];
        assert_eq!(parts.into_iter().max(), Some(plan.bytes()));
        assert!(phase(PhaseKind::Denoise).workspace_bytes > 0);
        assert_eq!(estimate.peak_bytes, estimate.phases.iter().map(Phase::bytes).max().expect("phases"));
    }
}

#[test]
fn smaller_layouts_need_less() {
    let model = model();
    let bytes = |layout: Layout| {
        let request = request(&[1, 2, 3, 4]);
        let plan = Plan::new(&model, &request, &layout).expect("a plan");
        plan.denoiser.bytes()
    };
    let widest = Layout::widest(4);
    let two = Layout { pictures: 2, ..widest };
    let apart = Layout { guided: Guided::Apart, ..two };
    assert!(bytes(widest) > bytes(two) && bytes(two) > bytes(apart), "{widest:?}");
}

#[test]
fn weights_are_loaded_once_and_again_when_they_were_unloaded() {
    let mut engine = Engine::new(Counting::default(), model());
    let loads = |engine: &mut Engine<Counting>| {
        draw_with(engine, &request(&[1]), &Layout::widest(1));
        engine.device.take().into_iter().filter(|seen| *seen == Seen::Load).count()
    };
    assert_eq!([loads(&mut engine), loads(&mut engine)], [3, 0]);
    engine.unload();
    assert_eq!(loads(&mut engine), 3);
}

#[test]
fn plans_are_kept_and_bounded() {
    let mut engine = Engine::new(Plain, model());
    let first = engine.plan(&request(&[1]), &Layout::widest(1)).expect("a plan");
    let again = engine.plan(&request(&[2]), &Layout::widest(1)).expect("a plan");
    assert!(Arc::ptr_eq(&first, &again), "another seed is no other plan");
    for steps in 1..=2 * PLANS_MAX {
        engine.plan(&Request { steps, ..request(&[1]) }, &Layout::widest(1)).expect("a plan");
    }
    assert_eq!(engine.plans.len(), PLANS_MAX);
}

/// Notes what it is told, and stops when it was asked so often.
#[derive(Default)]
struct Noting {
    steps: RefCell<Vec<(usize, usize, bool)>>,
    asked: RefCell<usize>,
    stop_at: Option<usize>,
    previews: bool,
}

impl Watch for Noting {
    fn step(&self, done: usize, of: usize, preview: Option<&Preview>) {
        if let Some(preview) = preview {
            assert_eq!((preview.width, preview.height, preview.rgb8.len()), (12, 8, 12 * 8 * 3));
        }
        self.steps.borrow_mut().push((done, of, preview.is_some()));
    }

    fn previews(&self) -> bool {
        self.previews
    }

    fn cancelled(&self) -> bool {
        *self.asked.borrow_mut() += 1;
        self.stop_at.is_some_and(|at| *self.asked.borrow() >= at)
    }
}

fn watched(request: &Request, noting: &Noting) -> Result<Outcome, DiffusionError> {
    let (negative, positive) = (text("negative"), text("positive"));
    Engine::new(Plain, model()).draw_texts(request, &Layout::widest(1), &[&negative, &positive], noting)
}

#[test]
fn every_step_is_told() {
    let told = |method: Method, previews: bool| {
        let noting = Noting { previews, ..Noting::default() };
        watched(&Request { method, ..request(&[1]) }, &noting).expect("drawn");
        noting.steps.into_inner()
    };
    assert_eq!(told(Method::Euler, false), [(1, 3, false), (2, 3, false), (3, 3, false)]);
    assert_eq!(told(Method::Heun, true), [1, 2, 3, 4, 5].map(|done| (done, 5, true)));
}

#[test]
fn a_preview_is_what_the_model_sees_in_the_first_picture() {
    let request = request(&[1, 2]);
    let plan = Plan::new(&model(), &request, &Layout::widest(2)).expect("a plan");
    let pixels = 12 * 8;
    let (mut latents, mut velocity) = (vec![0.0; 2 * plan.each()], vec![0.0; 2 * plan.each()]);
    // Channel 5 of the third pixel, less half of its velocity; the second picture is something else.
    (latents[2 * 16 + 5], velocity[2 * 16 + 5]) = (5.0, 2.0);
    latents[plan.each()..].fill(3.0);
    let call = crate::sampler::Call { index: 0, row: 0, sigma: 0.5, time: 500.0 };
    let seen = plan.preview(&latents, &velocity, call).expect("a preview");
    let mut planes = vec![0.0; plan.each()];
    planes[5 * pixels + 2] = 4.0;
    assert_eq!(Some(seen.rgb8), crate::preview::rgb8(&planes, pixels));
    assert_eq!((seen.width, seen.height), (12, 8));
}

#[test]
fn it_can_be_stopped_within_a_step() {
    let request = request(&[1]);
    let noting = Noting::default();
    watched(&request, &noting).expect("drawn");
    let all = noting.asked.into_inner();
    assert!(all > 100, "asked {all} times");
    let mut steps_seen = Vec::new();
    for stop_at in [1, all / 4, all / 2, all] {
        let noting = Noting { stop_at: Some(stop_at), ..Noting::default() };
        assert_eq!(watched(&request, &noting), Err(DiffusionError::Cancelled), "stopped at {stop_at} of {all}");
        assert_eq!(*noting.asked.borrow(), stop_at, "it went on");
        steps_seen.push(noting.steps.into_inner().len());
    }
    assert!(steps_seen[0] == 0 && steps_seen[3] == 3, "{steps_seen:?}");
}

#[test]
fn what_a_mask_does_not_cover_is_kept_bit_for_bit() {
    let mut request = request(&[1]);
    for feather_px in [0, 3] {
        request.source = Some(source(1.0, Some(mask(MaskMode::Keep { feather_px }))));
        let drawn = &draw(&request)[0];
        let before = &source(1.0, None).picture;
        let changed = |x: usize| {
            let row = |y: usize| (y * 24 + x) * 3..(y * 24 + x) * 3 + 3;
            (0..16).any(|y| drawn.pixels[row(y)] != before.pixels[row(y)])
        };
        let columns: Vec<usize> = (0..24).filter(|x| changed(*x)).collect();
        assert_eq!(columns, (12..24).collect::<Vec<_>>(), "{feather_px}");
    }
}

#[test]
fn an_edge_fades_in() {
    let mut request = request(&[1]);
    let mut drawn = |feather_px: usize| {
        request.source = Some(source(1.0, Some(mask(MaskMode::Keep { feather_px }))));
        draw(&request).remove(0)
    };
    let (hard, soft) = (drawn(0), drawn(3));
    let before = source(1.0, None).picture;
    let share = |x: usize| {
        let at = (5 * 24 + x) * 3;
        (soft.pixels[at] - before.pixels[at]) / (hard.pixels[at] - before.pixels[at])
    };
    // A third of the way and so on, as 3w² - 2w³.
    for (x, expected) in [(12, 0.15625), (13, 0.5), (14, 0.84375), (15, 1.0), (20, 1.0)] {
        assert!((share(x) - expected).abs() < 1e-3, "{x}: {} and not {expected}", share(x));
    }
}

#[test]
fn diffusers_mask_keeps_latents_alone() {
    let mut request = request(&[1]);
    request.source = Some(source(1.0, Some(mask(MaskMode::Diffusers))));
    let drawn = &draw(&request)[0];
    let before = &source(1.0, None).picture;
    let off = |from: usize, to: usize| -> f32 {
        let columns = (0..16).flat_map(|y| (from..to).map(move |x| (y * 24 + x) * 3));
        columns.map(|at| (drawn.pixels[at] - before.pixels[at]).abs()).fold(0.0, f32::max)
    };
    assert!(off(0, 12) > 1e-4, "pixels went through the autoencoder");
    // What is kept does not depend on the prompt, but for what convolutions see beyond the edge.
    let other = Request { method: Method::Heun, ..request.clone() };
    let other = &draw(&other)[0];
    let at = |x: usize| (8 * 24 + x) * 3;
    assert!((drawn.pixels[at(20)] - other.pixels[at(20)]).abs() > 1e-4);
}

#[test]
fn masks_are_seen_by_latent_pixels() {
    let masked = |pixels: Vec<f32>, mode: MaskMode| Mask { pixels, mode }.latents(4, 2, 2);
    let keep = MaskMode::Keep { feather_px: 0 };
    assert_eq!(masked(vec![0.5, 0., 0., 1., 0., 0., 0., 0.], MaskMode::Diffusers), [1.0, 0.0]);
    assert_eq!(masked(vec![0.4, 0., 0., 1., 0., 0., 0., 0.], MaskMode::Diffusers), [0.0, 0.0]);
    assert_eq!(masked(vec![0.4, 0., 0., 1., 0., 0., 0., 0.], keep), [1.0, 1.0]);
    assert_eq!(masked(vec![0., 0., 0., 0., 0., 0.1, 0., 0.], keep), [1.0, 0.0]);
}

#[test]
fn strength_says_how_much_is_left() {
    let mut request = Request { steps: 8, ..request(&[1]) };
    let mut off = |strength: f64| {
        request.source = Some(source(strength, None));
        let drawn = draw(&request).remove(0);
        drawn.pixels.iter().zip(&source(1.0, None).picture.pixels).map(|(a, b)| (a - b).abs()).sum::<f32>()
    };
    let (little, half, all) = (off(0.125), off(0.5), off(1.0));
    assert!(little < half && half < all, "{little} {half} {all}");
    // All of it: the source has no part in it.
    request.source = Some(source(1.0, None));
    let first = draw(&request).remove(0);
    if let Some(source) = &mut request.source {
        source.picture.pixels.iter_mut().for_each(|number| *number = 1.0 - *number);
    }
    assert_eq!(first, draw(&request).remove(0));
}

#[test]
fn left_out_layers_change_the_picture() {
    let plain = request(&[1]);
    let mut skipping = plain.clone();
    skipping.guidance.skip = Some(SkipLayers { layers: vec![1], scale: 2.0, start: 0.0, stop: 1.0 });
    assert!(apart(&draw(&plain)[0], &draw(&skipping)[0]) > 1e-3);
    // Outside of its window it does nothing.
    skipping.guidance.skip = Some(SkipLayers { layers: vec![1], scale: 2.0, start: 1.0, stop: 1.0 });
    assert_eq!(draw(&plain), draw(&skipping));
}

#[test]
fn tiles_of_the_transformer_are_blended() {
    let plain = request(&[1]);
    let tiled = |side: usize, overlap: usize| draw(&Request { tiled: Some(Tiles { side, overlap }), ..plain.clone() });
    assert_eq!(tiled(12, 4), draw(&plain), "one tile is no tile");
    let (first, again) = (tiled(8, 4), tiled(8, 4));
    assert_eq!(first, again);
    assert!(apart(&first[0], &draw(&plain)[0]) > 1e-3);
    // Pictures of a request stay apart in tiles too.
    let both = Request { tiled: Some(Tiles { side: 8, overlap: 4 }), ..request(&[9, 1]) };
    assert_eq!(draw(&both)[1], first[0]);
}

#[test]
fn tiles_of_the_autoencoder_are_lossy_and_said() {
    let mut engine = Engine::new(Plain, model());
    let mut request = request(&[1]);
    request.source = Some(source(0.5, None));
    let mut drawn = |tiles: Option<Tiles>| {
        let outcome = draw_with(&mut engine, &request, &Layout { tiles, ..Layout::widest(1) });
        (outcome.pictures[0].picture.clone(), outcome.lossy)
    };
    let (whole, lossy) = drawn(None);
    assert_eq!(lossy, []);
    let (one, lossy) = drawn(Some(Tiles { side: 12, overlap: 4 }));
    assert!(one == whole && lossy.is_empty(), "a picture of one tile");
    let (tiled, lossy) = drawn(Some(Tiles { side: 8, overlap: 4 }));
    assert_eq!(lossy, [Lossy::TiledVae]);
    let off = apart(&tiled, &whole);
    assert!(off > 1e-4 && off < 0.2, "{off}");
}

#[test]
fn requests_that_cannot_be_are_refused() {
    let check = |change: &dyn Fn(&mut Request), expected: &str| {
        let mut request = request(&[1]);
        change(&mut request);
        match Plan::new(&model(), &request, &Layout::widest(1)) {
            Err(DiffusionError::Request(said)) => assert!(said.contains(expected), "{said}"),
            Err(other) => panic!("{other:?} for {expected}"),
            Ok(_) => panic!("nobody said {expected}"),
        }
    };
    check(&|request| request.width = 26, "ask for 28 x 16");
    check(&|request| request.height = 0, "ask for 24 x 4");
    check(&|request| request.width = 4 * 25, "another size");
    check(&|request| request.steps = 0, "0 steps");
    check(&|request| request.seeds = Seeds::Each(vec![]), "0 pictures");
    check(&|request| request.seeds = Seeds::One { seed: 1, pictures: 257 }, "257 pictures");
    check(&|request| request.guidance.scale = f32::NAN, "guide by NaN");
    check(&|request| request.shift = Some(0.0), "shift");
    let skip = |layers: &[usize], stop: f64| SkipLayers { layers: layers.to_vec(), scale: 2.0, start: 0.0, stop };
    check(&|request| request.guidance.skip = Some(skip(&[], 1.0)), "at least one layer");
    check(&|request| request.guidance.skip = Some(skip(&[1], 1.5)), "from 0 to 1");
    check(&|request| request.guidance.skip = Some(skip(&[2], 1.0)), "block 2");
    check(&|request| request.guidance = Guidance { scale: 1.0, skip: Some(skip(&[1], 1.0)) }, "guidance above 1");
    check(&|request| request.tiled = Some(Tiles { side: 8, overlap: 5 }), "overlap");
    check(&|request| request.tiled = Some(Tiles { side: 9, overlap: 1 }), "multiples of 2");
    check(&|request| request.source = Some(source(1.5, None)), "from 0 to 1");
    check(&|request| request.source = Some(source(0.0, None)), "no step is left");
    check(
        &|request| {
            request.source = Some(source(1.0, None));
            request.width = 28;
        },
        "resize it first",
    );
    let with_mask = |pixels: Vec<f32>| source(1.0, Some(Mask { pixels, mode: MaskMode::Diffusers }));
    check(&|request| request.source = Some(with_mask(vec![1.0; 7])), "a mask of 7");
    check(&|request| request.source = Some(with_mask(vec![0.0; 24 * 16])), "covers nothing");
    check(&|request| request.source = Some(with_mask(vec![2.0; 24 * 16])), "mask whose pixels");
    check(
        &|request| {
            request.source = Some(source(1.0, None));
            request.source.iter_mut().for_each(|source| source.picture.pixels[5] = f32::NAN);
        },
        "picture whose pixels",
    );
    let mut other = model();
    other.vae.config.latent = 8;
    assert!(Plan::new(&other, &request(&[1]), &Layout::widest(1)).is_err());
    let layout = Layout { tiles: Some(Tiles { side: 4, overlap: 0 }), ..Layout::widest(1) };
    assert!(Plan::new(&model(), &request(&[1]), &layout).is_err());
}

#[test]
fn texts_must_be_those_of_the_request() {
    let (negative, positive) = (text("negative"), text("positive"));
    let short = Conditioning { tokens: 7, ..positive.clone() };
    let mut engine = Engine::new(Plain, model());
    let mut refused = |texts: &[&Conditioning]| {
        engine.draw_texts(&request(&[1]), &Layout::widest(1), texts, &Unwatched).expect_err("refused").to_string()
    };
    assert!(refused(&[&positive]).contains("2 of 80 are wanted"));
    assert!(refused(&[&negative, &short]).contains("[80, 7]"));
    let request = Request { guidance: Guidance { scale: 1.0, skip: None }, ..request(&[1]) };
    assert!(engine.draw_texts(&request, &Layout::widest(1), &[&positive], &Unwatched).is_ok());
}

#[test]
fn a_model_without_text_encoders_says_so() {
    let mut engine = Engine::new(Plain, model());
    let said = engine.draw(&request(&[1]), &Layout::widest(1), &Unwatched).expect_err("refused").to_string();
    assert!(said.contains("CLIP-L"), "{said}");
    assert!(engine.estimate(&request(&[1]), &Layout::widest(1)).is_err());
}

#[test]
fn pictures_round_as_numpy_does() {
    let picture = |pixels: Vec<f32>| Picture { width: 1, height: pixels.len() / 3, pixels };
    assert_eq!(picture(vec![0.0, 0.5 / 255.0, 1.5 / 255.0, 1.0, -1.0, 2.0]).to_rgb8(), [0, 0, 2, 255, 0, 255]);
    let bytes: Vec<u8> = (0..=254).collect();
    let there = Picture::of_rgb8(5, 17, &bytes).expect("as many as the size says");
    assert_eq!(there.to_rgb8(), bytes);
    assert_eq!(Picture::of_rgb8(5, 16, &bytes), None);
    assert_eq!(Picture::of_rgb8(usize::MAX, 2, &bytes), None);
}

#[test]
fn products_are_counted() {
    let model = model();
    let request = request(&[1]);
    let plan = Plan::new(&model, &request, &Layout::widest(1)).expect("a plan");
    let estimate = plan.estimate(&Plain, &model, (&[], 0), &Layout::widest(1));
    let denoise = estimate.phase(PhaseKind::Denoise).expect("a phase").flops;
    let more = |change: &dyn Fn(&mut Request)| {
        let mut request = request.clone();
        change(&mut request);
        let plan = Plan::new(&model, &request, &Layout::widest(1)).expect("a plan");
        plan.estimate(&Plain, &model, (&[], 0), &Layout::widest(1)).phase(PhaseKind::Denoise).expect("a phase").flops
    };
    let ratio = |flops: u64| flops as f64 / denoise as f64;
    // What is prepared counts once for each step.
    assert!((1.9..=2.0).contains(&ratio(more(&|request| request.steps = 6))));
    assert!((1.9..=2.1).contains(&ratio(more(&|request| request.seeds = Seeds::Each(vec![1, 2])))));
    let skip = || Some(SkipLayers { layers: vec![1], scale: 1.0, start: 0.1, stop: 1.0 });
    // Two of three steps have a third call, with one block of two, of which nobody reads the many tokens of text.
    assert!((1.02..=1.2).contains(&ratio(more(&|request| request.guidance.skip = skip()))));
    assert!((0.4..=0.6).contains(&ratio(more(&|request| request.guidance.scale = 1.0))));
    assert_eq!(estimate.flops, estimate.phases.iter().map(|phase| phase.flops).sum::<u64>());
}

/// With the toy text encoders, whose tokenizers are among the fixtures.
fn with_text() -> (Model, Request) {
    let (tiny, mut model) = (Tiny::medium(), model());
    let folder = |name: &str| {
        Some(
            PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/diffusion/fixtures/tokenizers")).join(name),
        )
    };
    let part = |config: &ClipConfig, values: Vec<tiny::Values>, name: &str| encode::Part {
        config: config.clone(),
        params: tiny::params(values),
        tokenizer: folder(name),
    };
    let toy = super::tests::tiny();
    let mmdit = MmditConfig { context: tiny.mmdit.context, pooled: tiny.mmdit.pooled, ..toy.mmdit.clone() };
    let widened = Tiny { mmdit: mmdit.clone(), ..toy };
    model.mmdit = Component { params: tiny::params(widened.mmdit_values()), config: mmdit, files: vec![] };
    model.text = Parts {
        clip_l: Some(part(&tiny.clip_l, tiny.clip_l_values(), "tokenizer")),
        clip_g: Some(part(&tiny.clip_g, tiny.clip_g_values(), "tokenizer_2")),
        t5: Some(encode::Part {
            config: tiny.t5.clone(),
            params: tiny::params(tiny.t5_values()),
            tokenizer: folder("tokenizer_3"),
        }),
        identity: [1; 32],
    };
    (model, Request { steps: 1, ..request(&[1]) })
}

#[test]
fn a_text_is_read_once_and_what_it_takes_is_known() {
    let (model, request) = with_text();
    let of = |params: &Params| Plain.model_bytes(params, Precision::F32);
    let all_weights = of(&model.mmdit.params) + of(&model.vae.params);
    let mut engine = Engine::new(Counting::default(), model);
    let loads = |engine: &mut Engine<Counting>, request: &Request, layout: Layout| {
        let estimate = engine.estimate(request, &layout).expect("an estimate");
        let arena = |kind: PhaseKind| estimate.phase(kind).expect("a phase").arena_bytes;
        let outcome = engine.draw(request, &layout, &Unwatched).expect("drawn");
        let seen = engine.device.take();
        let reserved: Vec<u64> =
            seen.iter().filter_map(|seen| if let Seen::Reserve(bytes) = seen { Some(*bytes) } else { None }).collect();
        // In the memory of the text, if it is read, and that of the pixels.
        let expected = [arena(PhaseKind::Text), arena(PhaseKind::Decode)];
        assert_eq!(reserved, expected[2 - reserved.len()..]);
        let loaded = seen.into_iter().filter(|seen| *seen == Seen::Load).count();
        (loaded, reserved.len(), outcome)
    };
    let stays = Layout::widest(1);
    let leaves = Layout { text: Keep::Leaves, ..stays };
    let (loaded, reserved, first) = loads(&mut engine, &request, stays);
    assert_eq!((loaded, reserved), (6, 2));
    let (loaded, reserved, again) = loads(&mut engine, &request, stays);
    assert_eq!((loaded, reserved), (0, 1), "the text is known");
    assert_eq!(first, again);

    // Another prompt is read by encoders that are still there; where they leave, they are loaded and so are the others.
    let other = |text: &str| Request { prompt: Prompts::all(text), ..request.clone() };
    let (loaded, reserved, drawn) = loads(&mut engine, &other("a red castle"), stays);
    assert_eq!((loaded, reserved), (0, 2));
    assert_eq!(engine.texts.present(), 3);
    assert_eq!(loads(&mut engine, &request, leaves).0, 0);
    assert_eq!(engine.texts.present(), 0, "they leave though the text is known");
    assert!(apart(&drawn.pictures[0].picture, &first.pictures[0].picture) > 1e-3);
    assert_eq!(loads(&mut engine, &other("a blue castle"), leaves).0, 6);
    assert_eq!(loads(&mut engine, &other("a green castle"), leaves).0, 6);
    assert_eq!(loads(&mut engine, &other("a green castle"), leaves).0, 0);

    // What is prepared with leaves before what every call reads comes, and is loaded anew for the next picture.
    let parted = Layout { modulation: Keep::Leaves, ..stays };
    engine.unload();
    let (loaded, _, third) = loads(&mut engine, &request, parted);
    assert_eq!((loaded, &third), (3, &first));
    assert!(engine.loaded.once.is_none());
    assert_eq!(loads(&mut engine, &request, parted).0, 2, "the autoencoder stayed");
    let phases = |engine: &mut Engine<Counting>, layout: Layout| {
        let estimate = engine.estimate(&request, &layout).expect("an estimate");
        [PhaseKind::Prepare, PhaseKind::Denoise].map(|kind| estimate.phase(kind).expect("a phase").weights_bytes)
    };
    let (together, apart_from) = (phases(&mut engine, stays), phases(&mut engine, parted));
    assert!(together[0] == together[1] && apart_from[0] < together[0] && apart_from[1] < together[1]);
    let others = together[0] - engine.split.0.0.values().map(|param| param.stored_bytes() as u64).sum::<u64>();
    assert_eq!(apart_from[1], others);

    let weights = |engine: &mut Engine<Counting>, layout: Layout| {
        let estimate = engine.estimate(&request, &layout).expect("an estimate");
        [PhaseKind::Text, PhaseKind::Denoise].map(|kind| estimate.phase(kind).expect("a phase").weights_bytes)
    };
    let (kept, left) = (weights(&mut engine, stays), weights(&mut engine, leaves));
    assert!(kept[0] == kept[1] && kept[0] > all_weights);
    assert!(left[1] == all_weights && left[0] < kept[0] - all_weights);
    let estimate = engine.estimate(&request, &stays).expect("an estimate");
    let alone = Request { guidance: Guidance { scale: 1.0, skip: None }, ..request.clone() };
    let half = engine.estimate(&alone, &stays).expect("an estimate");
    let flops = |estimate: &Estimate| estimate.phase(PhaseKind::Text).expect("a phase").flops;
    assert!(flops(&estimate) > 0 && flops(&estimate) == 2 * flops(&half));
}

#[test]
fn every_part_of_a_text_counts() {
    let (model, request) = with_text();
    let mut engine = Engine::new(Plain, model);
    let mut drawn = |request: &Request| {
        let outcome = engine.draw(request, &Layout::widest(1), &Unwatched).expect("drawn");
        (outcome.pictures[0].picture.clone(), outcome.truncated)
    };
    let (first, truncated) = drawn(&request);
    assert_eq!(truncated.len(), 2, "T5 reads three tokens of either prompt: {truncated:?}");
    let prompts = |clip_l: &str, clip_g: &str, t5: &str| Prompts {
        clip_l: clip_l.to_owned(),
        clip_g: clip_g.to_owned(),
        t5: t5.to_owned(),
    };
    let mut differs = |change: &dyn Fn(&mut Request)| {
        let mut other = request.clone();
        change(&mut other);
        apart(&drawn(&other).0, &first) > 1e-4
    };
    assert!(!differs(&|request| request.prompt = prompts("a cat", "a cat", "a cat")));
    assert!(differs(&|request| request.prompt = prompts("a cat", "a dog", "")));
    assert!(differs(&|request| request.prompt = prompts("a cat", "", "the dog")));
    assert!(differs(&|request| request.negative = prompts("a cat", "", "")));
    assert!(differs(&|request| request.t5 = false));
    assert!(differs(&|request| request.t5_tokens = 4));
}

/// Arenas of the real transformers in bf16, against what other engines were measured with: for guided images, 1/2/8 of
/// them, at 1024 and at 512 pixels.
#[test]
fn memory_of_the_real_models() {
    let [medium, large] = [Tiny::full_medium().mmdit, Tiny::full_large().mmdit];
    for (name, config, side, expected_mb) in [
        ("medium", &medium, 1024, [245, 490, 1959]),
        ("large", &large, 1024, [259, 517, 2068]),
        ("medium", &medium, 512, [75, 150, 600]),
        ("large", &large, 512, [79, 158, 634]),
    ] {
        for (pictures, expected_mb) in [1, 2, 8].into_iter().zip(expected_mb) {
            let seeds: Vec<u64> = (0..pictures as u64).collect();
            let request = Request {
                width: side,
                height: side,
                steps: 28,
                t5_tokens: 256,
                precision: Precision::Bf16,
                ..request(&seeds)
            };
            let denoiser =
                denoise::Denoiser::new(config, 8, &request, &Layout::widest(pictures), 333, 28).expect("fits");
            // Of all steps, and the rows of the one that runs.
            let table = (28 + 1) * 2 * 2 * crate::mmdit::Table::of(config).columns() as u64;
            let bytes = denoiser.bytes();
            println!(
                "{name} {side} x{pictures}: {} MB, of which the table {} MB",
                bytes / 1_000_000,
                table / 1_000_000
            );
            // The table of all steps stands apart: it spares gigabytes of parameters. Large keeps its positions, some
            // tens of megabytes, where others add them anew.
            let most = expected_mb * 1_050_000;
            assert!(bytes - table <= most, "{name} {side} {pictures}: {bytes} and not {expected_mb} MB");
        }
    }
}
