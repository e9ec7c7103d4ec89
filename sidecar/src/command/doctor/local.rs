//! The doctor's look at cards and at models with weights on this machine: what is drawn on, which models are here, what a picture of each takes, and how long.

use std::path::Path;
use std::sync::Arc;

use super::Line;
use crate::engine::EngineError;
use crate::engine::local::machine::Machine;
use crate::engine::local::room::Bytes;
use crate::engine::local::sd3::{self, Measures};
use crate::engine::local::shelf::Shelf;
use crate::market::Market;
use crate::router::{Local, Span};

const WHAT: &str = "local model";

/// Looks at the weights store. Files that were never hashed are read whole; a small product is timed.
pub(super) fn look(data_dir: &Path, market: &Market) -> Vec<Line> {
    let both = sd3::machine(market).map(Arc::new).and_then(|machine| {
        let shelf = sd3::shelf_of(data_dir, market, machine.clone())?;
        Ok((machine, shelf))
    });
    let (machine, shelf) = match both {
        Ok(both) => both,
        Err(err) => return vec![Line::new(WHAT, false, format!("failed to {err}"))],
    };
    // Only where there is something to draw is a card opened for it; what turns out then is told of the cards too.
    let (device, rate) = match shelf.models() {
        models if models.models.is_empty() => (Ok(None), Ok(0.0)),
        _ => measured(&machine, &shelf),
    };
    let mut lines: Vec<Line> = machine.told().into_iter().map(|told| Line::new("GPU", told.ok, told.says)).collect();
    lines.extend(machine.told_of_library().into_iter().map(|told| Line::new("GPU library", told.ok, told.says)));
    let models = shelf.models();
    if models.models.is_empty() {
        let says = "none: no weights are registered; `thumbforge weights pull sd3.5-medium` gets some, `thumbforge weights \
                    add` takes those that lie here";
        lines.push(Line::new(WHAT, false, says));
        return lines;
    }
    for (id, here) in &models.models {
        let model = match here {
            Local::Ready(model) => model,
            Local::Lacking(why) => {
                lines.push(Line::new(WHAT, false, format!("{id}: {why}")));
                continue;
            }
        };
        let files = shelf.files(id.as_str()).map(|(files, _)| files);
        let told = match (&device, &rate, files) {
            (Ok(Some(device)), Ok(rate), Some(files)) => device.figures(&files, model, (models.dtype, *rate)),
            (Err(err), ..) | (_, Err(err), _) => Err(err.clone()),
            (Ok(None), ..) | (.., None) => Err(EngineError::Missing(format!("draw with {id}: it has just gone"))),
        };
        lines.push(match told {
            Ok(figures) => {
                let says = format!(
                    "{id}: {0}x{0} in {1} steps needs {2} of {3} free and takes about {4} on {5} (an estimate)",
                    figures.side,
                    figures.steps,
                    Bytes(figures.needed_bytes),
                    Bytes(figures.free_bytes),
                    Span(figures.expected_ms),
                    models.class(models.dtype),
                );
                Line { figures: Some(figures), ..Line::new(WHAT, true, says) }
            }
            Err(err) => Line::new(WHAT, false, format!("{id}: failed to {err}")),
        });
    }
    lines
}

/// A device, where there is something to measure, and how fast it is.
type Measured = (Result<Option<Box<dyn Measures>>, EngineError>, Result<f64, EngineError>);

/// What is drawn on, and its speed. A card that cannot be opened is given up, and what is left is measured: each turn gives one
/// up, so this ends.
fn measured(machine: &Arc<Machine>, shelf: &Shelf) -> Measured {
    loop {
        let device = sd3::measures(machine);
        let rate = device.as_ref().map_err(Clone::clone).and_then(|device| device.rate(shelf.models().dtype));
        if !matches!(rate, Err(EngineError::Unopened(_))) {
            return (device.map(Some), rate);
        }
    }
}
