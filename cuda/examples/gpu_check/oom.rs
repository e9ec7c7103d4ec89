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

/// Layouts from the widest to the narrowest, for so many pictures; the last one changes pixels, and so does the one behind it
/// that devices have which keep `eights`.
pub(crate) fn rungs(pictures: usize, eights: bool) -> Vec<(&'static str, Layout)> {
    let widest = Layout::widest(pictures);
    let leaves = Layout { text: Keep::Leaves, ..widest };
    let few = Layout { pictures: pictures.div_ceil(2), ..leaves };
    let one = Layout { pictures: 1, ..leaves };
    let apart = Layout { guided: Guided::Apart, ..one };
    let modulation = Layout { modulation: Keep::Leaves, ..apart };
    let tiled = Layout { tiles: Some(Tiles::USUAL), ..modulation };
    let mut rungs = vec![
        ("all at once", widest),
        ("text encoders leave", leaves),
        ("half as many at once", few),
        ("one at once", one),
        ("guidance apart", apart),
        ("modulation leaves", modulation),
        ("tiled", tiled),
    ];
    if eights {
        rungs.push(("tiled, in eight bits", Layout { eights, ..tiled }));
    }
    rungs
}

/// The first rung that `request` fits on in `free_bytes`.
pub(crate) fn choose<D: Device>(
    engine: &mut Engine<D>,
    request: &Request,
    free_bytes: u64,
) -> Outcome<Option<(&'static str, Layout)>> {
    let eights = engine.device().keeps_eights();
    for (name, layout) in rungs(request.seeds.pictures(), eights) {
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

/// Another process that takes memory of the card away. Elsewhere it takes a little of its own, so that it runs there too,
/// and the books say that what it leaves is all there is.
struct Ballast(Child);

impl Ballast {
    /// Leaves `leave_bytes` of the card free: what its context takes is counted first, then it is told the rest.
    fn take<D: Device>(options: &Options, device: &Counted<D>, leave_bytes: u64) -> Outcome<Self> {
        let program = std::env::current_exe().map_err(|err| format!("find this program: {err}"))?;
        let child = Command::new(program)
            .args(["ballast", "--device", options.device.word()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|err| format!("start the ballast: {err}"))?;
        let mut ballast = Self(child);
        let output = ballast.0.stdout.take().ok_or("hear the ballast: it has no output")?;
        let mut lines = std::io::BufReader::new(output).lines();
        let mut held = || match lines.next() {
            Some(Ok(line)) if line == "held" => Ok(()),
            other => Err(format!("wait for the ballast: it said {other:?}")),
        };
        held()?;
        let shared = options.device == Use::Cuda && !options.tiny;
        let taken_mb = if shared { device.free_bytes().saturating_sub(leave_bytes) >> 20 } else { 1 };
        let input = ballast.0.stdin.as_mut().ok_or("tell the ballast: it has no input")?;
        writeln!(input, "{taken_mb}").map_err(|err| format!("tell the ballast: {err}"))?;
        held()?;
        if !shared {
            device.cap(leave_bytes);
        }
        Ok(ballast)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// `ballast`: says `held` once it has the card, and again after each line of its input that says how many MB more.
pub(crate) fn ballast<D: Device>(subject: &Subject<D>) -> Outcome<bool> {
    let device = subject.open(u64::MAX)?;
    let mut held = Vec::new();
    let say = || {
        println!("held");
        std::io::stdout().flush().map_err(|err| format!("say so: {err}"))
    };
    say()?;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|err| format!("wait: {err}"))?;
        let megabytes: u64 = line.parse().map_err(|_| format!("hold {line:?}: say how many MB"))?;
        held.push(device.reserve(megabytes << 20).map_err(|err| err.to_string())?);
        say()?;
    }
    Ok(true)
}

/// Draws on every rung with just the memory that it needs, and asks for more than there is.
pub(crate) fn run<D: Device>(options: &Options, subject: &Subject<D>) -> Outcome<bool> {
    let (kind, side, steps, pictures) =
        if options.tiny { ("tiny-medium", 64, 1, 2) } else { ("medium", 1024, 2, 8u64) };
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
    for (name, layout) in rungs(asked.seeds.pictures(), device.keeps_eights()) {
        let needs = estimated(&layout)?.peak_bytes;
        // A rung that saves nothing here is never chosen.
        if needs >= seen_bytes {
            continue;
        }
        seen_bytes = needs;
        // A fiftieth of headroom: a driver takes whole pages.
        let leave_bytes = needs + needs / 50;
        let ballast = Ballast::take(options, &device, leave_bytes)?;
        let free_bytes = device.free_bytes();
        let mut narrow = engine();
        let outcome = match choose(&mut narrow, &asked, free_bytes)? {
            None => Err("no layout fits".to_owned()),
            Some((rung, layout)) => match bits(&mut narrow, &asked, &layout) {
                Err(err) => Err(format!("{rung}: failed to {err}")),
                Ok(drawn) if drawn == expected => Ok(format!("{rung}: the same bytes")),
                Ok(_) if layout.tiles.is_some() || layout.eights => Ok(format!("{rung}: other bytes, as it says")),
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
        // What is known so far, should the time end here; it has passed only with its last line.
        report::write(options, "oom", &json!({ "passed": false, "ended": false, "cases": rows }))?;
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
