//! Little memory on purpose: what fits is drawn, with the same bytes; what does not is an answer, and nothing breaks.

use std::io::{BufRead, Write};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use thumbforge_diffusion::device::Device;
use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::error::DiffusionError;
use thumbforge_diffusion::pipeline::{Engine, Guided, Keep, Layout, Request, Seeds, Unwatched};
use thumbforge_diffusion::vae::tiles::Tiles;

use crate::models::{open, request};
use crate::options::{Options, Outcome, Use};
use crate::report;
use crate::subject::{Counted, Subject};

/// Layouts from the widest to the narrowest, for so many pictures; the last changes pixels.
pub(crate) fn rungs(pictures: usize) -> Vec<(&'static str, Layout)> {
    let widest = Layout::widest(pictures);
    let leaves = Layout { text: Keep::Leaves, ..widest };
    let few = Layout { pictures: pictures.div_ceil(2), ..leaves };
    let one = Layout { pictures: 1, ..leaves };
    let apart = Layout { guided: Guided::Apart, ..one };
    let modulation = Layout { modulation: Keep::Leaves, ..apart };
    vec![
        ("all at once", widest),
        ("text encoders leave", leaves),
        ("half as many at once", few),
        ("one at once", one),
        ("guidance apart", apart),
        ("modulation leaves", modulation),
        ("tiled", Layout { tiles: Some(Tiles::USUAL), ..modulation }),
    ]
}

/// The first rung that `request` fits on in `free_bytes`.
pub(crate) fn choose<D: Device>(
    engine: &mut Engine<D>,
    request: &Request,
    free_bytes: u64,
) -> Outcome<Option<(&'static str, Layout)>> {
    for (name, layout) in rungs(request.seeds.pictures()) {
        if engine.estimate(request, &layout).map_err(|err| err.to_string())?.peak_bytes <= free_bytes {
            return Ok(Some((name, layout)));
        }
    }
    Ok(None)
}

/// What a picture is, bit for bit.
fn bits<D: Device>(engine: &mut Engine<D>, request: &Request, layout: &Layout) -> Result<Vec<u32>, DiffusionError> {
    let drawn = engine.draw(request, layout, &Unwatched)?;
    Ok(drawn.pictures.iter().flat_map(|drawn| drawn.picture.pixels.iter().map(|pixel| pixel.to_bits())).collect())
}

/// Takes memory away: on a card another process does, elsewhere the books.
enum Ballast {
    Process(Child),
    Books,
}

impl Ballast {
    fn take<D>(options: &Options, device: &Counted<D>, leave_bytes: u64, free_bytes: u64) -> Outcome<Self> {
        if options.device != Use::Cuda || options.tiny {
            device.cap(leave_bytes);
            return Ok(Self::Books);
        }
        let taken_mb = free_bytes.saturating_sub(leave_bytes) >> 20;
        let program = std::env::current_exe().map_err(|err| format!("find this program: {err}"))?;
        let mut child = Command::new(program)
            .args(["ballast", &taken_mb.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|err| format!("start the ballast: {err}"))?;
        let mut line = String::new();
        if let Some(output) = child.stdout.as_mut() {
            let read = std::io::BufReader::new(output).read_line(&mut line);
            read.map_err(|err| format!("wait for the ballast: {err}"))?;
        }
        let ballast = Self::Process(child);
        if line.trim() == "held" { Ok(ballast) } else { Err(format!("hold {taken_mb} MB: the ballast said {line:?}")) }
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        if let Self::Process(child) = self {
            // It ends with its input.
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

/// `ballast MB`: holds so much until the input ends.
pub(crate) fn ballast<D: Device>(options: &Options, subject: &Subject<D>) -> Outcome<bool> {
    let megabytes: u64 =
        options.rest.first().and_then(|text| text.parse().ok()).ok_or("hold memory: say how many MB")?;
    let device = subject.open(u64::MAX)?;
    let held = device.reserve(megabytes << 20).map_err(|err| err.to_string())?;
    println!("held");
    std::io::stdout().flush().map_err(|err| format!("say so: {err}"))?;
    let mut nothing = String::new();
    std::io::stdin().read_line(&mut nothing).map_err(|err| format!("wait: {err}"))?;
    drop(held);
    Ok(true)
}

/// Draws on every rung with just the memory that it needs, and asks for more than there is.
pub(crate) fn run<D: Device>(options: &Options, subject: &Subject<D>) -> Outcome<bool> {
    let (kind, side, steps, pictures) =
        if options.tiny { ("tiny-medium", 64, 2, 4) } else { ("medium", 1024, 2, 8u64) };
    let (device, model) = (subject.open(u64::MAX)?, open(options, kind)?);
    // A new engine each time: what one has read of a text, it never reads again.
    let engine = || Engine::new(device.clone(), model.clone());
    let mut asked = request(side, steps, 4.0, Precision::Bf16);
    asked.seeds = Seeds::Each((1..=pictures).collect());
    asked.t5_tokens = if options.tiny { 16 } else { 256 };
    let widest = Layout::widest(asked.seeds.pictures());
    let estimated = |layout: &Layout| engine().estimate(&asked, layout).map_err(|err| err.to_string());
    let widest_bytes = estimated(&widest)?.peak_bytes;
    let expected = bits(&mut engine(), &asked, &widest).map_err(|err| err.to_string())?;
    let (mut rows, mut well) = (Vec::<Value>::new(), true);
    let mut seen_bytes = u64::MAX;
    for (name, layout) in rungs(asked.seeds.pictures()) {
        let needs = estimated(&layout)?.peak_bytes;
        // A rung that saves nothing here is never chosen.
        if needs >= seen_bytes {
            continue;
        }
        seen_bytes = needs;
        // A fiftieth of headroom: a driver takes whole pages.
        let leave_bytes = needs + needs / 50;
        let ballast = Ballast::take(options, &device, leave_bytes, device.free_bytes())?;
        let free_bytes = device.free_bytes();
        let mut narrow = engine();
        let outcome = match choose(&mut narrow, &asked, free_bytes)? {
            None => Err("no layout fits".to_owned()),
            Some((rung, layout)) => match bits(&mut narrow, &asked, &layout) {
                Err(err) => Err(format!("{rung}: failed to {err}")),
                Ok(drawn) if drawn == expected => Ok(format!("{rung}: the same bytes")),
                Ok(_) if layout.tiles.is_some() => Ok(format!("{rung}: other bytes, as it says")),
                Ok(_) => Err(format!("{rung}: other bytes")),
            },
        };
        drop(narrow);
        well &= outcome.is_ok();
        let outcome = outcome.unwrap_or_else(|err| format!("FAILED: {err}"));
        println!("oom: {} MB free, {name}: {outcome}", free_bytes >> 20);
        rows.push(json!({ "free_mb": free_bytes >> 20, "rung": name, "outcome": outcome }));

        // More than there is, without asking first: an answer.
        if widest_bytes > free_bytes {
            let answer = match bits(&mut engine(), &asked, &widest) {
                Err(DiffusionError::OutOfMemory { .. }) => Ok("refused for memory".to_owned()),
                Err(err) => Err(format!("failed to {err}")),
                Ok(_) => Err("it was drawn, with more memory than was left".to_owned()),
            };
            well &= answer.is_ok();
            let answer = answer.unwrap_or_else(|err| format!("FAILED: {err}"));
            println!("oom: {} MB free, all at once, forced: {answer}", free_bytes >> 20);
            rows.push(json!({ "free_mb": free_bytes >> 20, "rung": "all at once, forced", "outcome": answer }));
        }
        drop(ballast);
        device.cap(u64::MAX);
    }
    let again = bits(&mut engine(), &asked, &widest).map_err(|err| err.to_string())?;
    well &= again == expected;
    let outcome = if again == expected { "the same bytes as at first" } else { "FAILED: other bytes than at first" };
    rows.push(json!({ "free_mb": device.free_bytes() >> 20, "rung": "all memory back", "outcome": outcome }));
    let left_bytes = device.books().used_bytes;
    well &= left_bytes == 0;
    report::write(options, "oom", &json!({ "passed": well, "leaked_bytes": left_bytes, "cases": rows }))?;
    Ok(well)
}
