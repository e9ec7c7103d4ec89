//! What a person sees while a build runs: bars on a terminal, plain lines elsewhere.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use parking_lot::Mutex;

use crate::build::{Item, ItemState, Progress};

/// A bar with a rate and an estimate of what is left.
#[derive(Default)]
pub(super) struct Bars {
    bar: Mutex<Option<ProgressBar>>,
}

impl Progress for Bars {
    fn begin(&self, items: &[&Item]) {
        let count = items.len();
        if count == 0 {
            return;
        }
        let bar = ProgressBar::new(count as u64);
        // The template is a literal that indicatif accepts; its default is a bar as well.
        if let Ok(style) = ProgressStyle::with_template("{bar:28} {pos}/{len}  {rate}  {eta} left  {msg}") {
            let rate = |state: &ProgressState, text: &mut dyn Write| {
                // Writing into a line cannot fail.
                let _ = write!(text, "{:.0}/s", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate).progress_chars("━╸─"));
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        *self.bar.lock() = Some(bar);
    }

    fn ended(&self, item: &Item) {
        if let Some(bar) = self.bar.lock().as_ref() {
            bar.set_message(item.path.clone());
            bar.inc(1);
        }
    }

    fn finished(&self) {
        if let Some(bar) = self.bar.lock().take() {
            bar.finish_and_clear();
        }
    }
}

/// One line an image, for logs.
pub(super) struct Lines;

impl Progress for Lines {
    fn begin(&self, items: &[&Item]) {
        let count = items.len();
        if count > 0 {
            eprintln!("making {count} image{}", if count == 1 { "" } else { "s" });
        }
    }

    fn ended(&self, item: &Item) {
        let word = match item.state {
            ItemState::Done if item.from_store => "copied",
            ItemState::Done => "drawn",
            ItemState::Cancelled => return,
            _ => "failed",
        };
        let engine = item.engine.as_deref().unwrap_or("-");
        let latency = item.latency_ms.map(|ms| format!("  {ms} ms")).unwrap_or_default();
        eprintln!("{word:>6}  {}  {engine}{latency}", item.path);
    }

    fn finished(&self) {}
}

/// Nothing.
pub(super) struct Silent;

impl Progress for Silent {
    fn begin(&self, _items: &[&Item]) {}
    fn ended(&self, _item: &Item) {}
    fn finished(&self) {}
}
