//! What a person or a script sees while bytes come and are hashed: one bar on a terminal, lines in a log, events in JSON.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use serde_json::{Value, json};
use thumbforge_core::error::Failure;

use crate::weights::pull::{Event, Show, Size};

/// How often a script hears how far it is.
const EVENT_EVERY: Duration = Duration::from_millis(500);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// A bar, on a terminal.
    Bar,
    /// A line a file.
    Lines,
    /// Events, a line each, on stdout.
    Json,
    /// Nothing.
    Nothing,
}

/// An event, as one line.
pub(super) fn line(event: &Value) {
    let mut out = std::io::stdout().lock();
    // A reader that has gone away is no error.
    let _ = writeln!(out, "{event}").and_then(|()| out.flush());
}

/// A bar of bytes.
fn bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    // The template is a literal that indicatif accepts; its default is a bar as well.
    let template =
        "{bar:28} {decimal_bytes:>9} of {decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left  {wide_msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// What a pull is shown by.
pub(super) struct Meter(Arc<Mutex<Inner>>);

struct Inner {
    shown: Shown,
    bar: Option<ProgressBar>,
    /// Bytes of all files that are whole.
    whole: u64,
    total: u64,
    /// The item at work.
    item: String,
    /// The file at work: its name, its bytes, how many are there, how many are hashed.
    file: String,
    bytes: u64,
    done: u64,
    checked: u64,
    told: Option<Instant>,
}

impl Meter {
    /// A meter for `total` bytes.
    pub(super) fn new(shown: Shown, total: u64) -> Self {
        let bar = (shown == Shown::Bar).then(|| bar(total));
        let (item, file) = (String::new(), String::new());
        let inner = Inner { shown, bar, whole: 0, total, item, file, bytes: 0, done: 0, checked: 0, told: None };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// What a pull tells its events to.
    pub(super) fn show(&self) -> Show {
        let inner = self.0.clone();
        Arc::new(move |event| inner.lock().hear(&event))
    }

    /// The end.
    pub(super) fn finish(&self) {
        if let Some(bar) = self.0.lock().bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Inner {
    fn hear(&mut self, event: &Event<'_>) {
        match event {
            Event::Begins { item, file, bytes, done } => {
                (self.file, self.bytes, self.done, self.checked) = (format!("{item}/{file}"), *bytes, *done, 0);
                self.item = (*item).to_owned();
                if let Some(bar) = &self.bar {
                    bar.set_message(self.item.clone());
                    bar.set_position(self.whole + self.done);
                    // What was there before says nothing of how fast the rest comes.
                    bar.reset_eta();
                }
                if self.shown == Shown::Lines {
                    let there = if *done > 0 { format!(", {} are here", Size(*done)) } else { String::new() };
                    eprintln!("{:>8}  {}  {}{there}", "getting", self.file, Size(*bytes));
                }
                self.tell("begins", json!({ "file": self.file, "bytes": bytes, "done_bytes": done }));
            }
            Event::Came(bytes) => {
                self.done += bytes;
                if let Some(bar) = &self.bar {
                    bar.set_position(self.whole + self.done);
                }
                self.tell_sometimes();
            }
            Event::Checks => {
                self.checked = 0;
                if let Some(bar) = &self.bar {
                    bar.set_message(format!("checking {}", self.item));
                }
            }
            Event::Checked(bytes) => {
                self.checked += bytes;
                if let Some(bar) = &self.bar {
                    let percent = self.checked.saturating_mul(100) / self.bytes.max(1);
                    bar.set_message(format!("checking {}, {percent} %", self.item));
                }
            }
            Event::Again { file, why } => {
                self.say("again", &format!("{file}: {why}; it is begun anew"));
                self.tell("again", json!({ "file": file, "why": why }));
            }
            Event::Odd { item, why } => {
                self.say("note", &format!("{item} is what the hub has, and cannot be drawn with: {why}"));
                self.tell("odd", json!({ "item": item, "why": why }));
            }
            Event::Ended { item, file, bytes, blake3, proved } => {
                self.whole += bytes;
                if let Some(bar) = &self.bar {
                    bar.set_position(self.whole);
                }
                let proof = if *proved { "as the hub's hash says" } else { "the hub names no hash" };
                self.say("got", &format!("{item}/{file}  {}, {proof}", Size(*bytes)));
                let told = json!({ "item": item, "file": file, "bytes": bytes, "blake3": blake3, "proved": proved });
                self.tell("file", told);
            }
        }
    }

    /// A line for people, above the bar where there is one.
    fn say(&self, word: &str, words: &str) {
        let text = format!("{word:>8}  {words}");
        match (&self.bar, self.shown) {
            (Some(bar), _) => bar.println(text),
            (None, Shown::Lines) => eprintln!("{text}"),
            _ => {}
        }
    }

    fn tell(&mut self, name: &str, mut event: Value) {
        if self.shown != Shown::Json {
            return;
        }
        if let Some(fields) = event.as_object_mut() {
            fields.insert("event".to_owned(), name.into());
        }
        line(&event);
    }

    fn tell_sometimes(&mut self) {
        let due = self.told.is_none_or(|told| told.elapsed() >= EVENT_EVERY);
        if self.shown == Shown::Json && due {
            self.told = Some(Instant::now());
            let done = self.whole + self.done;
            self.tell("progress", json!({ "file": self.file, "done_bytes": done, "bytes": self.total }));
        }
    }
}

/// Hashing that can be seen and interrupted, on this thread.
pub(super) struct Hashing {
    shown: Shown,
    interrupted: Arc<std::sync::atomic::AtomicBool>,
}

impl Hashing {
    /// Hashing that is shown so.
    pub(super) fn new(shown: Shown) -> Self {
        Self { shown, interrupted: Arc::default() }
    }

    /// Runs `work`, which tells how many bytes there are and then of each piece.
    pub(super) fn run<T>(
        &self,
        work: impl FnOnce(&mut dyn FnMut(u64), &mut dyn FnMut(u64) -> bool) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        use std::sync::atomic::Ordering;
        // A runtime for the signal alone; without one, Ctrl+C ends the process, which harms nothing.
        let runtime = super::runtime().ok();
        if let Some(runtime) = &runtime {
            let raised = self.interrupted.clone();
            runtime.spawn(async move {
                super::super::terminated().await;
                raised.store(true, Ordering::Release);
            });
        }
        let shown = (self.shown == Shown::Bar).then(|| bar(0));
        let mut on_total = |bytes: u64| {
            if let Some(bar) = &shown {
                bar.set_length(bytes);
                bar.set_message("hashing");
            }
        };
        let mut on = |bytes: u64| {
            if let Some(bar) = &shown {
                bar.inc(bytes);
            }
            !self.interrupted.load(Ordering::Acquire)
        };
        let ended = work(&mut on_total, &mut on);
        if let Some(bar) = &shown {
            bar.finish_and_clear();
        }
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
        ended
    }
}
