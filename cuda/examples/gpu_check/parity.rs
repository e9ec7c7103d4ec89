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

/// Draws on both and compares.
pub(crate) fn run<D: Device>(options: &Options, subject: &Subject<D>) -> Outcome<bool> {
    let mut rows = Vec::new();
    let mut well = true;
    for kind in ["tiny-medium", "tiny-large"] {
        let model = open(options, kind)?;
        let mut ours = Engine::new(subject.open(u64::MAX)?, model.clone());
        let mut theirs = Engine::new(Cpu::new().map_err(|err| err.to_string())?, model);
        for precision in [Precision::F32, Precision::Bf16] {
            for (name, request) in requests(options.tiny, kind, precision) {
                let layout = Layout::widest(request.seeds.pictures());
                let drawn = ours.draw(&request, &layout, &Unwatched);
                let expected = theirs.draw(&request, &layout, &Unwatched).map_err(|err| err.to_string())?;
                // A picture of one colour would agree with any other of it.
                let values: BTreeSet<u8> = expected.pictures.iter().flat_map(|drawn| drawn.picture.to_rgb8()).collect();
                if values.len() < 16 {
                    return Err(format!("compare pictures: the processor's has {} values, no picture", values.len()));
                }
                let psnr_db = drawn.map_err(|err| err.to_string()).map(|drawn| psnr(&drawn, &expected));
                let passed = psnr_db.as_ref().is_ok_and(|db| *db >= floor(precision));
                well &= passed;
                let dtype = precision.word();
                println!("{kind}, {name}, {dtype}: {psnr_db:?} dB, at least {} wanted", floor(precision));
                // JSON has no infinity: pictures that are equal are 999 dB apart.
                let (db, fault) = psnr_db.map_or_else(|err| (None, Some(err)), |db| (Some(db.min(999.0)), None));
                rows.push(json!({
                    "name": format!("{kind}: {name}"), "dtype": dtype, "psnr_db": db, "fault": fault,
                    "floor_db": floor(precision), "passed": passed,
                }));
            }
        }
        if !ours.device().keeps_eights() {
            println!("{kind}, fp8: this device keeps no matrices in eight bits, so none was drawn with");
            continue;
        }
        let row = eights(&mut ours, options.tiny, kind)?;
        well &= row["passed"] == true;
        println!("parity: {row}");
        rows.push(row);
    }
    report::write(options, "parity", &json!({ "passed": well, "cases": rows }))?;
    Ok(well)
}

/// A picture drawn with matrices in eight bits beside the device's own in bf16. How far apart they may be is for real
/// weights to say, so it is told and has no floor; equal ones are a failure, for then nothing was in eight bits.
fn eights<D: Device>(ours: &mut Engine<D>, tiny: bool, kind: &str) -> Outcome<Value> {
    let (name, request) = requests(tiny, kind, Precision::Bf16).swap_remove(0);
    let widest = Layout::widest(request.seeds.pictures());
    let expected = ours.draw(&request, &widest, &Unwatched).map_err(|err| err.to_string())?;
    let drawn = ours.draw(&request, &Layout { eights: true, ..widest }, &Unwatched);
    let psnr_db = drawn.map_err(|err| err.to_string()).map(|drawn| psnr(&drawn, &expected));
    let passed = psnr_db.as_ref().is_ok_and(|db| db.is_finite());
    let (db, fault) = match psnr_db {
        Ok(db) if db.is_finite() => (Some(db), None),
        Ok(_) => (None, Some("the same bytes as in bf16".to_owned())),
        Err(err) => (None, Some(err)),
    };
    let name = format!("{kind}: {name}, beside bf16");
    Ok(json!({ "name": name, "dtype": "fp8", "psnr_db": db, "fault": fault, "floor_db": null, "passed": passed }))
}

fn requests(tiny: bool, kind: &str, precision: Precision) -> Vec<(&'static str, Request)> {
    let (side, steps) = if tiny { (64, 2) } else { (256, 12) };
    let plain = || {
        let mut request = request(side, steps, 4.0, precision);
        // Long texts change nothing that is not covered, and take the dry run's time.
        request.t5_tokens = if tiny { 16 } else { 256 };
        request
    };
    let mut requests = vec![("from text", plain())];
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
    let (drawn, expected) = (bytes(drawn), bytes(expected));
    let square: f64 = drawn.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    10.0 * (255.0f64 * 255.0 * expected.len() as f64 / square).log10()
}
