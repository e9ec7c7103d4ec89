//! What the reader overlooks and what it calls wrong without reason, on pictures whose truth is known, beside Tesseract's own
//! command line on the same pictures. `docs/bench/text.md` says what was measured and how.
//!
//! The whole corpus (`THUMBFORGE_FULL=1`) is 4928 pictures, each read without a box, with the box of a template and with that of
//! the ink; the ordinary run takes a tenth of them, with bounds as wide as so few pictures need.

mod beside;
mod command;
mod figures;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use thumbforge_art::text::FontBook;
use thumbforge_core::image::{ImageBuf, PixelBox};
use thumbforge_reader::{Ask, Expected, Settings, Tesseract, TextReader};
use thumbforge_tests::corpus::{self, Plan, Sample, languages};
use thumbforge_tests::not_run;

use command::PageMode;
use figures::{Figures, Outcome, Series};

/// One picture in so many is read in an ordinary run, and by the command line in a full one.
const SHARE: u64 = 10;

fn full() -> bool {
    std::env::var_os("THUMBFORGE_FULL").is_some()
}

/// The reader, or nothing where this machine has none; that is said loudly, since no other test would notice.
fn reader() -> Option<Tesseract> {
    let unready = |err| {
        not_run(&format!("words were not read, because Thumbforge failed to {err}"));
        None
    };
    let tesseract = Tesseract::open(&Settings::default()).map_or_else(unready, Some)?;
    for language in languages() {
        if let Err(err) = tesseract.ready(language.locale) {
            return unready(err);
        }
    }
    Some(tesseract)
}

#[test]
fn wrong_words_are_caught_and_right_ones_pass() {
    let Some(tesseract) = reader() else { return };
    let plans = corpus::plans(if full() { 1 } else { SHARE });
    let fonts = FontBook::packaged();
    let figures: Mutex<Figures> = Mutex::default();
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(8);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(plan) = plans.get(at) else { break };
                    measure(&tesseract, &fonts, plan, at as u64, &figures);
                }
            });
        }
    });
    let figures = figures.into_inner().expect("no thread panicked");
    println!("{}", figures.tables());
    let missed = figures.beyond(full());
    assert!(missed.is_empty(), "beyond their bounds:\n{}", missed.join("\n"));
}

/// Reads one picture in every way.
fn measure(tesseract: &Tesseract, fonts: &FontBook, plan: &Plan, at: u64, figures: &Mutex<Figures>) {
    let sample = plan.draw(fonts);
    let mut outcomes = vec![
        (Series::Anywhere, read(tesseract, &sample, plan, None)),
        (Series::Boxed, read(tesseract, &sample, plan, Some(sample.place))),
        (Series::Inked, read(tesseract, &sample, plan, Some(sample.ink))),
    ];
    // A process takes long; the same pictures for both modes, and no fewer in a full run than in all of an ordinary one.
    if at.is_multiple_of(SHARE) {
        for (series, mode) in [(Series::CommandAuto, PageMode::Auto), (Series::CommandSparse, PageMode::Sparse)] {
            outcomes.extend(command::read(&sample, mode).map(|outcome| (series, outcome)));
        }
    }
    if let Some(folder) = std::env::var_os("THUMBFORGE_TEXT_MISSES").map(PathBuf::from)
        && outcomes.iter().take(3).any(|(_, outcome)| outcome.surprising(plan.fault))
    {
        keep(&folder, plan, &sample);
    }
    let mut figures = figures.lock().expect("no thread panicked");
    for (series, outcome) in outcomes {
        figures.count(series, plan, outcome);
    }
}

fn read(tesseract: &Tesseract, sample: &Sample, plan: &Plan, place: Option<PixelBox>) -> Outcome {
    let expected = Expected { text: sample.asked.clone(), locale: sample.locale.to_owned(), place };
    let ask = Ask { expected: vec![expected], unexpected: true, locales: Vec::new() };
    let reading = tesseract.read(&sample.image, &ask).unwrap_or_else(|err| panic!("failed to {err}"));
    let [Ok(found)] = reading.found.as_slice() else { panic!("{:?}", reading.found) };
    let outcome = Outcome { mismatch: found.presence < 1.0, strange: !reading.unexpected.is_empty() };
    if std::env::var_os("THUMBFORGE_TEXT_MISSES").is_some() && outcome.surprising(plan.fault) {
        let name = name(plan);
        println!(
            "{name}{}: asked {:?}, drawn {:?}, read {:?}, presence {:.3}, unexpected {:?}",
            match place {
                None => "",
                Some(place) if place == sample.ink => " boxed by ink",
                Some(_) => " boxed",
            },
            sample.asked,
            sample.drawn,
            found.read,
            found.presence,
            reading.unexpected.iter().map(|word| word.text.as_str()).collect::<Vec<_>>()
        );
    }
    outcome
}

fn name(plan: &Plan) -> String {
    let fault = plan.fault.map_or("right".to_owned(), |fault| format!("{fault:?}").to_lowercase());
    let condition = plan.condition.name().replace([' ', '°'], "");
    format!("{}-{condition}-{fault}-{}", plan.language.locale, plan.number)
}

/// Writes a picture that was judged wrongly, for a person to look at.
fn keep(folder: &std::path::Path, plan: &Plan, sample: &Sample) {
    std::fs::create_dir_all(folder).expect("a folder");
    std::fs::write(folder.join(format!("{}.png", name(plan))), png(&sample.image)).expect("a file");
}

/// A picture as a file.
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
