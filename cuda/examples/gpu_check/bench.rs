//! Draws what it is asked on its input, a line each, so that others can be timed in turn with it.

use std::io::{BufRead, Write};
use std::time::Instant;

use serde::Deserialize;
use serde_json::json;
use thumbforge_diffusion::device::Device;
use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::pipeline::{Engine, Keep, Layout, Prompts, Seeds, Unwatched};

use crate::models::{open, request};
use crate::options::{Options, Outcome};
use crate::subject::Subject;

/// A line of the input.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    prompt: String,
    negative: String,
    seed: u64,
    side: usize,
    steps: usize,
    guidance: f32,
}

/// `serve KIND`: says `{"ready_s", "able", "library"}` when the model's files are open, then for every line of the input what it took.
/// With `--eights` it is not able on devices that keep no matrices in eight bits, and draws nothing.
pub(crate) fn serve<D: Device>(options: &Options, subject: &Subject<D>) -> Outcome<bool> {
    let [kind] = &options.rest[..] else { return Err("serve: name a model".to_owned()) };
    let began = Instant::now();
    let device = subject.open(u64::MAX)?;
    let able = !options.eights || device.keeps_eights();
    let mut engine = Engine::new(device, open(options, kind)?);
    say(&json!({ "ready_s": began.elapsed().as_secs_f64(), "able": able, "library": subject.about.library }))?;
    if !able {
        return Ok(true);
    }
    let mut layout = Layout { eights: options.eights, ..Layout::widest(1) };
    if options.lean {
        layout = Layout { text: Keep::Leaves, modulation: Keep::Leaves, ..layout };
    }
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|err| format!("read what to draw: {err}"))?;
        let ask: Ask = serde_json::from_str(&line).map_err(|err| format!("read what to draw: {err}"))?;
        let mut asked = request(ask.side, ask.steps, ask.guidance, Precision::Bf16);
        asked.prompt = Prompts::all(&ask.prompt);
        asked.negative = Prompts::all(&ask.negative);
        asked.seeds = Seeds::Each(vec![ask.seed]);
        asked.t5_tokens = if options.tiny { 16 } else { 256 };
        engine.device().forget_peak();
        let began = Instant::now();
        // To bytes on the card, as the sidecar has it.
        let drawn = engine.draw_rgba8(&asked, &layout, &Unwatched).map_err(|err| err.to_string())?;
        let seconds = began.elapsed().as_secs_f64();
        let rgba: Vec<u8> = drawn.pictures.into_iter().flat_map(|drawn| drawn.picture.pixels).collect();
        let colours = rgba.iter().collect::<std::collections::BTreeSet<_>>().len();
        let peak_mb = engine.device().books().peak_bytes >> 20;
        say(&json!({ "seconds": seconds, "peak_mb": peak_mb, "bytes": rgba.len(), "colours": colours }))?;
    }
    Ok(true)
}

fn say(line: &serde_json::Value) -> Outcome<()> {
    println!("{line}");
    std::io::stdout().flush().map_err(|err| format!("answer: {err}"))
}
