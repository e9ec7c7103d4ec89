//! How many thumbnails a second have their words verified, beside Tesseract's command line on the same pictures.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use thumbforge_art::text::FontBook;
use thumbforge_core::image::ImageBuf;
use thumbforge_reader::{Ask, Expected, Settings, Tesseract, TextReader, language};
use thumbforge_tests::corpus::{Condition, Plan, Sample, languages};

use super::Board;

/// Threads that read at once.
const THREADS: usize = 2;
/// Thumbnails a second, by the goal.
const GOAL: f64 = 12.0;
/// How many times as fast as the command line, by the goal.
const GOAL_TIMES: f64 = 4.0;

/// Verifies right thumbnails of 512² with known boxes in all eleven languages, words that nobody expected included.
pub(crate) fn verified(board: &mut Board) {
    let tesseract = match Tesseract::open(&Settings::default()) {
        Ok(tesseract) => tesseract,
        Err(err) => return println!("bench: thumbnails verified: NOT RUN, because Thumbforge failed to {err}"),
    };
    let fonts = FontBook::packaged();
    let conditions = [Condition::Clean, Condition::Gradient, Condition::Busy];
    let samples: Vec<Sample> = languages()
        .iter()
        .flat_map(|language| conditions.map(|condition| Plan { language, condition, fault: None, number: 1 }))
        .map(|plan| plan.draw(&fonts))
        .collect();
    let verify = |sample: &Sample| {
        let (text, locale, place) = (sample.asked.clone(), sample.locale.to_owned(), Some(sample.place));
        let ask = Ask { expected: vec![Expected { text, locale, place }], unexpected: true, locales: Vec::new() };
        if let Err(err) = tesseract.read(&sample.image, &ask) {
            println!("bench: thumbnails verified: failed to {err}");
        }
    };
    // Once, so that handles are warm.
    timed(&samples, verify);
    let ours = timed(&samples, verify);
    let per_second = samples.len() as f64 / ours.as_secs_f64();
    let within = per_second >= GOAL / 2.0;
    let figure = format!("{per_second:.1} a second on {THREADS} threads");
    board.line("thumbnails of 512² verified", &figure, &format!("goal {GOAL}"), within);
    let pictures: Vec<(Vec<u8>, &str)> =
        samples.iter().map(|sample| (png(&sample.image), language::of(sample.locale).code)).collect();
    if !command(&pictures[0], "3", None) {
        return println!("bench: tesseract's command line: NOT RUN, because there is no such command");
    }
    for (mode, limit) in [("3", None), ("11", None), ("3", Some("1")), ("11", Some("1"))] {
        let theirs = timed(&pictures, |picture| {
            command(picture, mode, limit);
        });
        let times = theirs.as_secs_f64() / ours.as_secs_f64();
        let name = format!("verified, beside tesseract --psm {mode}{}", limit.map_or("", |_| " with one thread"));
        let rate = pictures.len() as f64 / theirs.as_secs_f64();
        let goal = format!("it reads {rate:.1} a second; goal {GOAL_TIMES} times");
        board.line(&name, &format!("{times:.1} times as fast"), &goal, times >= 1.0);
    }
}

/// How long `work` takes for all of them, on [`THREADS`] threads.
fn timed<T: Sync>(all: &[T], work: impl Fn(&T) + Sync) -> Duration {
    let (next, started) = (AtomicUsize::new(0), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(one);
                }
            });
        }
    });
    started.elapsed()
}

/// Reads a picture once with a process of its own; false where that is not possible.
fn command((picture, code): &(Vec<u8>, &str), mode: &str, limit: Option<&str>) -> bool {
    let mut command = Command::new("tesseract");
    command.args(["stdin", "stdout", "-l", code, "--psm", mode]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(limit) = limit {
        command.env("OMP_THREAD_LIMIT", limit);
    }
    let Ok(mut child) = command.spawn() else { return false };
    let fed = child.stdin.take().is_some_and(|mut stdin| stdin.write_all(picture).is_ok());
    fed && child.wait_with_output().is_ok_and(|output| output.status.success())
}

fn png(image: &ImageBuf) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, image.extent().width, image.extent().height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(image.pixels()).expect("pixels");
    drop(writer);
    bytes
}
