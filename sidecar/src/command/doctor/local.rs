//! The doctor's look at cards and at models with weights on this machine: what is drawn on, which models are here, what a picture of each takes, and how long.

use std::path::Path;

use super::Line;
use crate::engine::EngineError;
use crate::engine::local::room::Bytes;
use crate::engine::local::sd3;
use crate::market::Market;
use crate::router::{Local, Span};

const WHAT: &str = "local model";

/// Looks at the weights store. Files that were never hashed are read whole; a small product is timed.
pub(super) fn look(data_dir: &Path, market: &Market) -> Vec<Line> {
    let (machine, shelf) = match sd3::machine(market).and_then(|machine| Ok((machine, sd3::shelf(data_dir, market)?))) {
        Ok(both) => both,
        Err(err) => return vec![Line::new(WHAT, false, format!("failed to {err}"))],
    };
    let mut lines: Vec<Line> = machine.told().into_iter().map(|told| Line::new("GPU", told.ok, told.says)).collect();
    let models = shelf.models();
    if models.models.is_empty() {
        let says = "none: no weights are registered; `thumbforge weights pull sd3.5-medium` gets some, `thumbforge weights \
                    add` takes those that lie here";
        lines.push(Line::new(WHAT, false, says));
        return lines;
    }
    let device = sd3::measures(&machine);
    let rate = device.as_ref().map_err(Clone::clone).and_then(|device| device.rate(models.dtype));
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
            (Ok(device), Ok(rate), Some(files)) => device.figures(&files, model, (models.dtype, *rate)),
            (Err(err), ..) | (_, Err(err), _) => Err(err.clone()),
            (.., None) => Err(EngineError::Missing(format!("draw with {id}: it has just gone"))),
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
