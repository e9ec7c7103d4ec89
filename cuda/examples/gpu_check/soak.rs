//! Hundreds of mixed jobs under a cap: none may fail for memory.

use std::time::Instant;

use serde::Serialize;
use serde_json::{Value, json};
use thumbforge_diffusion::cpu::Cpu;
use thumbforge_diffusion::device::Device;
use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::error::DiffusionError;
use thumbforge_diffusion::pipeline::{Engine, Layout, Model, PhaseKind, Prompts, Request, Seeds, Unwatched};
use thumbforge_diffusion::text::cache::Cache;
use thumbforge_diffusion::text::encode::{Conditioning, Encoders, Loaded, Prompt, Reading, Stay, Work};

use crate::models::{open, request, source};
use crate::oom::rungs;
use crate::options::{Options, Outcome};
use crate::report;
use crate::subject::{Counted, Subject};

/// A job. The list is written out, so that others can be given the same.
#[derive(Debug, Clone, Serialize)]
struct Job {
    turbo: bool,
    side: usize,
    pictures: usize,
    inpaint: bool,
    prompt: usize,
    seed: u64,
}

/// Prompts that jobs take in turn.
const PROMPTS: [&str; 4] = ["a red fox in snow", "a teapot", "a harbour at night, watercolour", "a stone bridge"];

/// Jobs by chance, always the same ones: splitmix64 over their number.
fn jobs(count: usize, sides: [usize; 2], pictures_max: usize) -> Vec<Job> {
    let mix = |seed: u64| {
        let z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    // Four at a time are of one model, as a queue sorts them; loading gigabytes for every picture is not what is tried.
    let job = |at: usize| {
        let bits = mix(at as u64 + 1);
        Job {
            turbo: mix(at as u64 / 4 + 77).is_multiple_of(2),
            side: sides[usize::from(bits.is_multiple_of(3))],
            pictures: 1 + (bits >> 8) as usize % pictures_max,
            inpaint: (bits >> 16).is_multiple_of(5),
            prompt: (bits >> 24) as usize % PROMPTS.len(),
            seed: bits >> 40,
        }
    };
    (0..count).map(job).collect()
}

impl Job {
    fn request(&self, tiny: bool) -> Request {
        // Few steps: memory is what is tried, and every step takes the same.
        let mut request = request(self.side, 2, if self.turbo { 1.0 } else { 4.0 }, Precision::Bf16);
        request.prompt = Prompts::all(PROMPTS[self.prompt]);
        request.seeds = Seeds::Each((0..self.pictures as u64).map(|at| self.seed + at).collect());
        request.source = self.inpaint.then(|| source(self.side, 0.8, true));
        request.t5_tokens = if tiny { 16 } else { 256 };
        request
    }
}

/// How a job fits.
struct Fit {
    layout: Layout,
    /// The processor reads the text.
    apart: bool,
}

/// The first layout that fits in `free_bytes`, at last with the text read by the processor.
fn fit<D: Device>(engine: &mut Engine<D>, request: &Request, free_bytes: u64) -> Outcome<Option<Fit>> {
    let eights = engine.device().keeps_eights();
    for apart in [false, true] {
        for (_, layout) in rungs(request.seeds.pictures(), eights) {
            let estimate = engine.estimate(request, &layout).map_err(|err| err.to_string())?;
            let counted = estimate.phases.iter().filter(|phase| !(apart && phase.kind == PhaseKind::Text));
            let peak_bytes = counted.map(|phase| phase.bytes()).max().unwrap_or(0);
            // Where encoders stay, phases behind the text count them too.
            if peak_bytes <= free_bytes {
                return Ok(Some(Fit { layout, apart }));
            }
        }
    }
    Ok(None)
}

/// Texts as the processor reads them, each once.
struct Reader {
    device: Cpu,
    cache: Cache,
}

impl Reader {
    fn read(&mut self, model: &Model, request: &Request) -> Outcome<Vec<Conditioning>> {
        let told = |err: DiffusionError| err.to_string();
        let reading = Reading {
            t5_tokens: request.t5_tokens,
            clip: Precision::F32,
            t5: request.precision,
            context: model.mmdit.config.context,
            pooled: model.mmdit.config.pooled,
        };
        let encoders = Encoders::new(model.text.clone(), reading).map_err(told)?;
        let mut memory = self.device.reserve(encoders.memory_bytes()).map_err(told)?;
        let mut work = Work {
            device: &self.device,
            memory: &mut memory,
            at: 0,
            loaded: &mut Loaded::new(Stay::Go),
            cache: &mut self.cache,
            stop: &|| false,
        };
        let negative = request.guidance.doubles().then_some(&request.negative);
        let prompt = |prompts: &'_ Prompts| prompts.clip_l.clone();
        let texts: Vec<String> = negative.into_iter().chain([&request.prompt]).map(prompt).collect();
        let prompts: Vec<Prompt<'_>> = texts.iter().map(|text| Prompt::new(text)).collect();
        Ok(encoders.encode(&mut work, &prompts).map_err(told)?.conditionings)
    }
}

/// Two models on one device: the one that is not drawn with has left.
struct Pair<D: Device> {
    medium: Engine<Counted<D>>,
    turbo: Engine<Counted<D>>,
    device: Counted<D>,
    was_turbo: bool,
}

/// Every job under each cap.
pub(crate) fn run<D: Device>(options: &Options, subject: &Subject<D>) -> Outcome<bool> {
    let jobs = if options.tiny { jobs(8, [32, 48], 3) } else { jobs(500, [512, 1024], 8) };
    report::write(options, "soak-jobs", &jobs)?;
    let [medium, turbo] =
        if options.tiny { ["tiny-medium", "tiny-large"] } else { ["medium", "large"] }.map(|kind| open(options, kind));
    let (medium, turbo) = (medium?, turbo?);
    let device = subject.open(u64::MAX)?;
    let mut pair = Pair {
        medium: Engine::new(device.clone(), medium),
        turbo: Engine::new(device.clone(), turbo),
        device,
        was_turbo: false,
    };
    let mut reader = Reader { device: Cpu::new().map_err(|err| err.to_string())?, cache: Cache::default() };
    let caps = if options.tiny { toy_caps(&mut pair, &jobs)? } else { [11_000_000_000, 8_000_000_000] };
    let (mut rows, mut well) = (Vec::<Value>::new(), true);
    // Its clock begins anew for each.
    let share = options.seconds / caps.len() as u64;
    for cap_bytes in caps {
        let row = pair.soak(options.tiny, &jobs, cap_bytes, &mut reader, share)?;
        well &= row["failed_memory"] == 0 && row["failed"] == 0 && row["leaked_bytes"] == 0;
        println!("soak: {row}");
        rows.push(row);
        // Should the time end before the last cap, it has not passed.
        let ended = rows.len() == caps.len();
        report::write(options, "soak", &json!({ "passed": well && ended, "ended": ended, "caps": rows }))?;
    }
    Ok(well)
}

/// For toys: half of what the largest job likes, and just what the largest job needs at least.
fn toy_caps<D: Device>(pair: &mut Pair<D>, jobs: &[Job]) -> Outcome<[u64; 2]> {
    let (mut widest, mut least) = (0, 0);
    for job in jobs {
        let request = job.request(true);
        let engine = if job.turbo { &mut pair.turbo } else { &mut pair.medium };
        let mut peaks = Vec::new();
        for (_, layout) in rungs(job.pictures, false).into_iter().filter(|(_, layout)| layout.tiles.is_none()) {
            peaks.push(engine.estimate(&request, &layout).map_err(|err| err.to_string())?.peak_bytes);
        }
        widest = peaks.first().copied().unwrap_or(0).max(widest);
        least = peaks.last().copied().unwrap_or(0).max(least);
    }
    Ok([widest / 2 + least / 2, least])
}

impl<D: Device> Pair<D> {
    fn soak(&mut self, tiny: bool, jobs: &[Job], cap_bytes: u64, reader: &mut Reader, seconds: u64) -> Outcome<Value> {
        self.device.cap(cap_bytes);
        self.device.forget_peak();
        let (mut drawn, mut lossy, mut elsewhere, mut failed_memory, mut done) = (0, 0, 0, 0, 0);
        let mut faults = Vec::new();
        let began = Instant::now();
        for job in jobs {
            if began.elapsed().as_secs() > seconds {
                break;
            }
            done += 1;
            let request = job.request(tiny);
            let (engine, other) = match job.turbo {
                true => (&mut self.turbo, &mut self.medium),
                false => (&mut self.medium, &mut self.turbo),
            };
            if job.turbo != self.was_turbo {
                other.unload();
                self.was_turbo = job.turbo;
            }
            let Some(fit) =
                fit(engine, &request, cap_bytes.min(self.device.free_bytes() + self.device.books().used_bytes))?
            else {
                elsewhere += 1;
                continue;
            };
            let outcome = if fit.apart {
                let texts = reader.read(engine.model(), &request)?;
                let texts: Vec<&Conditioning> = texts.iter().collect();
                engine.draw_texts(&request, &fit.layout, &texts, &Unwatched)
            } else {
                engine.draw(&request, &fit.layout, &Unwatched)
            };
            match outcome {
                Ok(outcome) => {
                    drawn += 1;
                    lossy += u64::from(!outcome.lossy.is_empty());
                }
                Err(DiffusionError::OutOfMemory { needed_bytes, free_bytes }) => {
                    failed_memory += 1;
                    faults.push(format!("{job:?}: {needed_bytes} bytes wanted, {free_bytes} free, {:?}", fit.layout));
                }
                Err(err) => faults.push(format!("{job:?}: failed to {err}")),
            }
        }
        let peak_mb = self.device.books().peak_bytes >> 20;
        self.medium.unload();
        self.turbo.unload();
        let failed = faults.len() - failed_memory;
        // A few tell enough.
        faults.truncate(8);
        Ok(json!({
            "cap_mb": cap_bytes >> 20, "jobs": done, "of": jobs.len(), "drawn": drawn, "lossy": lossy,
            "elsewhere": elsewhere, "failed_memory": failed_memory, "failed": failed, "faults": faults,
            "peak_mb": peak_mb, "leaked_bytes": self.device.books().used_bytes, "seconds": began.elapsed().as_secs(),
        }))
    }
}
