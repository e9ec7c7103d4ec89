//! Whole pictures of toy models beside those of the processor.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use thumbforge_diffusion::cpu::Cpu;
use thumbforge_diffusion::device::Device;
use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::pipeline::{Engine, Layout, Outcome as Drawn, Request, Seeds, Unwatched};
use thumbforge_diffusion::sampler::SkipLayers;

use crate::models::{open, request, source};
use crate::options::{Options, Outcome};
use crate::report;
use crate::subject::Subject;

/// Peak signal to noise that a picture must reach. In singles both sides differ by rounding to 8 bits alone, seldom; in
/// bf16 each operation rounds its outcome, and sums that were added in another order fall to neighbours.
fn floor(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 60.0,
        Precision::Bf16 => 45.0,
    }
}

/// Draws on both and compares: with our kernels alone, and in bf16 once more with the library where there is one.
pub(crate) fn run<D: Device>(options: &Options, subject: &Subject<D>) -> Outcome<bool> {
    let mut rows = Vec::new();
    let libraries: Vec<_> = std::iter::once(None).chain(subject.about.library.clone().map(Some)).collect();
    for kind in ["tiny-medium", "tiny-large"] {
        let model = open(options, kind)?;
        let engine = |(library, device)| (library, Engine::new(device, model.clone()));
        let mut ours: Vec<_> = subject.ways()?.into_iter().map(engine).collect();
        // One toy and one picture of it show that both ways draw; a whole run draws all of them both ways.
        if options.tiny && kind == "tiny-large" {
            ours.truncate(1);
        }
        let mut alone: Vec<Option<Drawn>> = ours.iter().map(|_| None).collect();
        let mut theirs = Engine::new(Cpu::new().map_err(|err| err.to_string())?, model.clone());
        for precision in [Precision::F32, Precision::Bf16] {
            for (name, request) in requests(options.tiny, kind, precision) {
                let layout = Layout::widest(request.seeds.pictures());
                let expected = theirs.draw(&request, &layout, &Unwatched).map_err(|err| err.to_string())?;
                // A picture of one colour would agree with any other of it.
                let values: BTreeSet<u8> = expected.pictures.iter().flat_map(|drawn| drawn.picture.to_rgb8()).collect();
                if values.len() < 16 {
                    return Err(format!("compare pictures: the processor's has {} values, no picture", values.len()));
                }
                for ((library, ours), alone) in ours.iter_mut().zip(&mut alone) {
                    // Singles are never the library's.
                    if library.is_some() && (precision == Precision::F32 || options.tiny && name != FIRST) {
                        continue;
                    }
                    let drawn = ours.draw(&request, &layout, &Unwatched).map_err(|err| err.to_string());
                    let psnr_db = drawn.as_ref().map(|drawn| psnr(drawn, &expected)).map_err(Clone::clone);
                    if precision == Precision::Bf16 && name == FIRST {
                        *alone = drawn.ok();
                    }
                    let passed = psnr_db.as_ref().is_ok_and(|db| *db >= floor(precision));
                    let name = format!("{kind}: {name}");
                    rows.push(row(
                        &name,
                        precision.word(),
                        library.as_deref(),
                        psnr_db,
                        Some(floor(precision)),
                        passed,
                    ));
                }
            }
        }
        for ((library, ours), alone) in ours.iter_mut().zip(&alone) {
            // What could not be drawn has its line above.
            let Some(alone) = alone else { continue };
            let library = library.as_deref();
            let (name, request) = requests(options.tiny, kind, Precision::Bf16).swap_remove(0);
            let (psnr_db, passed) = bytes(ours, &request, alone);
            let is = format!("{kind}: {name}, as bytes beside its own numbers");
            rows.push(row(&is, "bf16", library, psnr_db, None, passed));
            if ours.device().keeps_eights() {
                let (psnr_db, passed) = eights(ours, &request, alone);
                rows.push(row(&format!("{kind}: {name}, beside bf16"), "fp8", library, psnr_db, None, passed));
            } else {
                println!("{kind}, fp8: this device keeps no matrices in eight bits, so none was drawn with");
            }
        }
    }
    let well = rows.iter().all(|row| row["passed"] == true);
    report::write(options, "parity", &json!({ "passed": well, "libraries": libraries, "cases": rows }))?;
    Ok(well)
}

/// A line of the report, said too.
fn row(
    name: &str,
    dtype: &str,
    library: Option<&str>,
    psnr_db: Result<f64, String>,
    floor_db: Option<f64>,
    passed: bool,
) -> Value {
    let equal = psnr_db.as_ref().is_ok_and(|db| db.is_infinite());
    // JSON has no infinity: of pictures that are equal it says so.
    let (db, fault) = psnr_db.map_or_else(|err| (None, Some(err)), |db| (Some(db).filter(|db| db.is_finite()), None));
    let row = json!({
        "name": name, "dtype": dtype, "library": library.unwrap_or("our kernels"), "psnr_db": db, "equal": equal,
        "floor_db": floor_db, "fault": fault, "passed": passed,
    });
    println!("parity: {row}");
    row
}

/// A picture that leaves the card as bytes beside the same one rounded here, which must be the same to the last bit.
fn bytes<D: Device>(ours: &mut Engine<D>, request: &Request, alone: &Drawn) -> (Result<f64, String>, bool) {
    let expected: Vec<u8> = alone.pictures.iter().flat_map(|drawn| drawn.picture.to_rgba8().pixels).collect();
    let drawn = ours.draw_rgba8(request, &Layout::widest(request.seeds.pictures()), &Unwatched);
    let psnr_db = drawn.map_err(|err| err.to_string()).map(|drawn| {
        let drawn: Vec<u8> = drawn.pictures.into_iter().flat_map(|drawn| drawn.picture.pixels).collect();
        apart(&drawn, &expected)
    });
    let passed = psnr_db.as_ref().is_ok_and(|db| db.is_infinite());
    (psnr_db, passed)
}

/// A picture drawn with matrices in eight bits beside the device's own in bf16. How far apart they may be is for real
/// weights to say, so it is told and has no floor; equal ones are a failure, for then nothing was in eight bits.
fn eights<D: Device>(ours: &mut Engine<D>, request: &Request, alone: &Drawn) -> (Result<f64, String>, bool) {
    let layout = Layout { eights: true, ..Layout::widest(request.seeds.pictures()) };
    let drawn = ours.draw(request, &layout, &Unwatched);
    let psnr_db = drawn.map(|drawn| psnr(&drawn, alone)).map_err(|err| err.to_string());
    let passed = psnr_db.as_ref().is_ok_and(|db| db.is_finite());
    (psnr_db, passed)
}

/// The picture that is drawn in eight bits and as bytes too.
const FIRST: &str = "from text";

fn requests(tiny: bool, kind: &str, precision: Precision) -> Vec<(&'static str, Request)> {
    let (side, steps) = if tiny { (64, 2) } else { (256, 12) };
    let plain = || {
        let mut request = request(side, steps, 4.0, precision);
        // Long texts change nothing that is not covered, and take the dry run's time.
        request.t5_tokens = if tiny { 16 } else { 256 };
        request
    };
    let mut requests = vec![(FIRST, plain())];
    let mut unguided = plain();
    unguided.guidance.scale = 1.0;
    requests.push(("without guidance", unguided));
    let mut inpainted = plain();
    inpainted.source = Some(source(side, 0.8, true));
    inpainted.seeds = Seeds::Each(vec![3, 4]);
    requests.push(("inpainted, two", inpainted));
    if !tiny {
        let mut batch = plain();
        batch.seeds = Seeds::Each((1..=5).collect());
        requests.push(("five at once", batch));
        let mut begun = plain();
        begun.source = Some(source(side, 0.6, false));
        requests.push(("from a picture", begun));
        let mut wide = plain();
        (wide.width, wide.height) = (320, 192);
        requests.push(("wide", wide));
    }
    if kind == "tiny-medium" {
        let mut skipped = plain();
        skipped.guidance.skip = Some(SkipLayers { layers: vec![1, 2], scale: 2.5, start: 0.01, stop: 0.8 });
        requests.push(("with layers left out", skipped));
    }
    requests
}

fn psnr(drawn: &Drawn, expected: &Drawn) -> f64 {
    let bytes =
        |drawn: &Drawn| -> Vec<u8> { drawn.pictures.iter().flat_map(|drawn| drawn.picture.to_rgb8()).collect() };
    apart(&bytes(drawn), &bytes(expected))
}

/// Peak signal to noise of bytes beside as many others. Where they are not as many it is that of nothing at all.
fn apart(drawn: &[u8], expected: &[u8]) -> f64 {
    if drawn.len() != expected.len() {
        return 0.0;
    }
    let square: f64 = drawn.iter().zip(expected).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    10.0 * (255.0f64 * 255.0 * expected.len() as f64 / square).log10()
}
