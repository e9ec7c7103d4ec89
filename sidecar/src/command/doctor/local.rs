//! The doctor's look at models with weights on this machine: which are here, what a picture of each takes, and how long.

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
    let shelf = match sd3::shelf(data_dir, market) {
        Ok(shelf) => shelf,
        Err(err) => return vec![Line::new(WHAT, false, err.to_string())],
    };
    let models = shelf.models();
    if models.models.is_empty() {
        let says = "none: no weights are registered; `thumbforge weights pull sd3.5-medium` gets some, `thumbforge weights \
                    add` takes those that lie here";
        return vec![Line::new(WHAT, false, says)];
    }
    let rate = sd3::rate(models.dtype);
    let mut lines = Vec::new();
    for (id, here) in &models.models {
        let model = match here {
            Local::Ready(model) => model,
            Local::Lacking(why) => {
                lines.push(Line::new(WHAT, false, format!("{id}: {why}")));
                continue;
            }
        };
        let files = shelf.files(id.as_str()).map(|(files, _)| files);
        let told = match (&rate, files) {
            (Ok(rate), Some(files)) => sd3::figures(&files, model, models.dtype, *rate),
            (Err(err), _) => Err(err.clone()),
            (_, None) => Err(EngineError::Missing(format!("draw with {id}: it has just gone"))),
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
