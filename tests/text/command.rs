//! Tesseract's command line on the same pictures: what a person would reach for first.

use std::io::Write;
use std::process::{Command, Stdio};

use thumbforge_reader::{compare, language};
use thumbforge_tests::corpus::Sample;

use crate::figures::Outcome;
use crate::png;

/// How it looks for lines.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PageMode {
    /// `--psm 3`, its default.
    Auto,
    /// `--psm 11`.
    Sparse,
}

/// What it makes of a picture, by the same normalisation; nothing where there is no such command.
pub(crate) fn read(sample: &Sample, mode: PageMode) -> Option<Outcome> {
    let code = language::of(sample.locale).code;
    let mode = match mode {
        PageMode::Auto => "3",
        PageMode::Sparse => "11",
    };
    let mut child = Command::new("tesseract")
        .args(["stdin", "stdout", "-l", code, "--psm", mode])
        .env("OMP_THREAD_LIMIT", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(&png(&sample.image)).ok()?;
    let output = child.wait_with_output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let presence = compare(&sample.asked, &text, sample.locale);
    Some(Outcome { mismatch: presence < 1.0, strange: false })
}
