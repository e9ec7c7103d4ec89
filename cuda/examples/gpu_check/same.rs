//! One seed, again and again: the same bytes, whatever was drawn between.

use std::collections::BTreeSet;

use serde_json::json;
use thumbforge_diffusion::device::Device;
use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::pipeline::{Engine, Layout, Seeds, Unwatched};

use crate::models::{open, request};
use crate::options::{Options, Outcome};
use crate::report;
use crate::subject::Subject;

/// Draws one picture a hundred times.
pub(crate) fn run<D: Device>(options: &Options, subject: &Subject<D>) -> Outcome<bool> {
    let (draws, side, steps) = if options.tiny { (3, 64, 2) } else { (100, 256, 8) };
    let mut engine = Engine::new(subject.open(u64::MAX)?, open(options, "tiny-medium")?);
    let mut asked = request(side, steps, 4.0, Precision::Bf16);
    asked.t5_tokens = if options.tiny { 16 } else { 256 };
    let mut kinds = BTreeSet::new();
    for round in 0..draws {
        let mut draw = |request: &_, pictures| {
            engine.draw(request, &Layout::widest(pictures), &Unwatched).map_err(|err| err.to_string())
        };
        let drawn = draw(&asked, 1)?;
        let bits = |pixels: &[f32]| -> Vec<u8> { pixels.iter().flat_map(|pixel| pixel.to_le_bytes()).collect() };
        kinds.extend(drawn.pictures.iter().map(|drawn| bits(&drawn.picture.pixels)));
        // Another size and batch between, so that memory and recorded runs change hands.
        if round % 5 == 0 {
            let mut other = asked.clone();
            (other.width, other.seeds) = (side / 2, Seeds::Each(vec![1, 2]));
            draw(&other, 2)?;
        }
        // And everything loaded anew.
        if round % 25 == 24 || options.tiny && round == 1 {
            engine.unload();
        }
    }
    println!("same: {draws} draws gave {} kinds of bytes", kinds.len());
    report::write(options, "same", &json!({ "draws": draws, "kinds": kinds.len() }))?;
    Ok(kinds.len() == 1)
}
