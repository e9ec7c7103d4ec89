//! `thumbforge verify FILE…`: whether the right words are in pictures, and whether people can read them.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use serde::Serialize;
use thumbforge_art::check::bounds;
use thumbforge_core::criteria::{Criteria, Level};
use thumbforge_core::error::{ErrorCode, Failure, chain};
use thumbforge_core::image::{ImageBuf, PixelBox};
use thumbforge_core::limits;
use thumbforge_core::locale::is_locale;
use thumbforge_core::manifest::PolicyFile;
use thumbforge_core::verdict::{Finding, Severity};
use thumbforge_reader::Expected;

use super::{Context, exit, print_out};
use crate::build::BuildError;
use crate::output::png;
use crate::output::write::{Patience, write_atomic};
use crate::verify::eyes::Eyes;
use crate::verify::file::{self, Asked, Checked, Picture};
use crate::verify::{self, crop};

/// Locale of words where nobody names one.
const LOCALE: &str = "en";
/// Pictures that are looked at together: each takes one core and up to 64 MiB.
const TOGETHER_MAX: usize = 8;

#[derive(Debug, Args)]
#[command(after_help = "Without --expect, a picture that Thumbforge made is held to the words of its own recipe.
Without --policy, wrong, missing and unverified words fail; everything else that is found is a warning.
Exit code 0: all is well; 7: words are wrong, missing or unverified, or the policy is not kept; 2: a file cannot be read.

Examples:
  thumbforge verify banner.png --expect SALE
  thumbforge verify Thumbnails/*/*.png --policy thumbforge.toml --json
  thumbforge verify shop.jpg --expect SALE --lang en --expect セール --lang ja
  thumbforge verify banner.png --expect SALE --box 40,20,400,90 --crops looked-at/")]
pub(super) struct VerifyArgs {
    /// Pictures: PNG, JPEG, WebP, TGA or BMP
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Words that must be there; may be said several times
    #[arg(long, value_name = "TEXT")]
    expect: Vec<String>,
    /// Language of the words as a BCP 47 tag: one for all, or one for each --expect in the same order [default: en]
    #[arg(long, value_name = "L")]
    lang: Vec<String>,
    /// Where the words are, in pixels from the top left: one for each --expect in the same order
    #[arg(long = "box", value_name = "X,Y,W,H", requires = "expect")]
    boxes: Vec<Place>,
    /// What pictures are held to: a file with the keys of [criteria], or a manifest
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Write the part of the picture that each finding is about, as PNG, into this folder
    #[arg(long, value_name = "DIR")]
    crops: Option<PathBuf>,
}

/// A box as people write it.
#[derive(Debug, Clone, Copy)]
struct Place(PixelBox);

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "write it as X,Y,W,H in pixels from the top left, as in 40,20,400,90".to_owned();
        let parts: Vec<u32> =
            text.split(',').map(|part| part.trim().parse().map_err(|_| form())).collect::<Result<_, _>>()?;
        let [x, y, w, h] = parts[..] else { return Err(form()) };
        let side_max = limits::SIDE_MAX;
        if w == 0 || h == 0 || [x, y, w, h].iter().any(|side| *side > side_max) {
            return Err(format!("its sides go from 1 to {side_max} pixels"));
        }
        Ok(Self(PixelBox { x: x as i32, y: y as i32, w, h }))
    }
}

/// A file and what came of it, one line of JSON.
#[derive(Debug, Serialize)]
struct Report<'a> {
    file: String,
    #[serde(flatten)]
    checked: Option<&'a Checked>,
    /// The findings again, with the crops that were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<Vec<Shown<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Failure>,
}

/// A finding, and the file that shows what it is about.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    #[serde(skip_serializing_if = "Option::is_none")]
    crop: Option<String>,
}

/// `thumbforge verify`. Every file is looked at, whatever another one says.
pub(super) fn verify(context: &Context, args: &VerifyArgs) -> Result<u8, BuildError> {
    let policy = match &args.policy {
        Some(path) => Some(policy(path)?),
        None => None,
    };
    let expected = expected(args)?;
    if let Some(folder) = &args.crops {
        std::fs::create_dir_all(folder).map_err(|err| {
            let message = format!("failed to write crops to {}: {err}", folder.display());
            Failure::new(ErrorCode::OutputPath, message)
        })?;
    }
    let eyes = Eyes::new(&context.user.ocr);
    let run = Run { args, policy, expected, eyes };
    let together = std::thread::available_parallelism().map_or(1, usize::from).min(TOGETHER_MAX);
    let mut tally = Tally::default();
    let mut crops = Crops { folder: args.crops.as_deref(), count: 0 };
    for files in args.files.chunks(together) {
        let seen: Vec<Result<(ImageBuf, Checked), Failure>> = std::thread::scope(|scope| {
            let looks: Vec<_> = files.iter().map(|file| scope.spawn(|| run.look(file))).collect();
            let lost = || Failure::new(ErrorCode::Internal, "failed to verify a picture, a fault of Thumbforge");
            looks.into_iter().map(|look| look.join().unwrap_or_else(|_| Err(lost()))).collect()
        });
        for (file, seen) in files.iter().zip(&seen) {
            tally.count(seen);
            say(context, file, seen, &mut crops)?;
        }
    }
    if !context.quiet && !context.json && args.files.len() > 1 {
        eprintln!("{}", tally.words(args.files.len()));
    }
    Ok(tally.code())
}

/// What every picture is asked.
struct Run<'a> {
    args: &'a VerifyArgs,
    policy: Option<PolicyFile>,
    expected: Option<Vec<Expected>>,
    eyes: Eyes,
}

impl Run<'_> {
    fn look(&self, file: &Path) -> Result<(ImageBuf, Checked), Failure> {
        let picture = Picture::read(file)?;
        let extent = picture.image.extent();
        if let Some(Place(place)) = self.args.boxes.iter().find(|place| !extent.bounds().contains(place.0)) {
            let message = format!(
                "failed to verify {}: the box {} does not lie in the picture, which is {extent}",
                file.display(),
                verify::at(*place)
            );
            return Err(Failure::new(ErrorCode::InvalidRequest, message));
        }
        let recipe = picture.recipe.as_deref();
        let lang = self.args.lang.first().map_or(LOCALE, String::as_str);
        let asked = Asked {
            expected: self.expected.clone(),
            locales: vec![lang.to_owned()],
            criteria: self.policy.as_ref().map_or_else(lenient, |policy| policy.criteria(recipe)),
            words_alone: self.policy.is_none(),
            safe_inset: self.policy.as_ref().and_then(|policy| policy.safe_area).unwrap_or(bounds::SAFE_INSET),
            brand: self.policy.as_ref().map(|policy| policy.brand.clone()).unwrap_or_default(),
        };
        let checked = file::check(&picture, &asked, &self.eyes);
        Ok((picture.image, checked))
    }
}

/// Without a policy the expected words alone can fail a picture.
fn lenient() -> Criteria {
    Criteria { unexpected: Some(Level::Warning), ..Criteria::default() }
}

fn policy(path: &Path) -> Result<PolicyFile, BuildError> {
    let label = path.display().to_string();
    let failed = |why: String| Failure::new(ErrorCode::InputFile, format!("failed to read the policy {label}: {why}"));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|err| failed(err.to_string()))?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, limits::MANIFEST_BYTES_MAX as u64 + 1), &mut bytes)
        .map_err(|err| failed(err.to_string()))?;
    Ok(PolicyFile::parse(&label, &bytes)?)
}

/// The words that the flags name, each with its language and its place; `None` for those of the pictures' recipes.
fn expected(args: &VerifyArgs) -> Result<Option<Vec<Expected>>, Failure> {
    let invalid = |message: String| Failure::new(ErrorCode::InvalidRequest, format!("failed to {message}"));
    if let Some(lang) = args.lang.iter().find(|lang| !is_locale(lang)) {
        return Err(invalid(format!("read words in {lang:?}: write the language as en, pt-BR or zh-Hans")));
    }
    let count = args.expect.len();
    if count == 0 {
        return match args.lang.len() {
            0 | 1 => Ok(None),
            more => Err(invalid(format!("read by {more} languages: name the words of each with --expect"))),
        };
    }
    if count > limits::LAYERS_MAX || args.expect.iter().any(|words| words.len() > limits::LAYER_TEXT_BYTES_MAX) {
        let (most, bytes) = (limits::LAYERS_MAX, limits::LAYER_TEXT_BYTES_MAX);
        return Err(invalid(format!("look for so many words: at most {most} texts of at most {bytes} bytes are")));
    }
    if args.expect.iter().any(|words| !words.chars().any(char::is_alphanumeric)) {
        return Err(invalid("look for a text without a letter or a digit: name words with --expect".to_owned()));
    }
    if ![0, 1, count].contains(&args.lang.len()) {
        let langs = args.lang.len();
        return Err(invalid(format!(
            "read {count} texts by {langs} languages: name one --lang for all, or one for each"
        )));
    }
    if ![0, count].contains(&args.boxes.len()) {
        let boxes = args.boxes.len();
        return Err(invalid(format!("look for {count} texts in {boxes} boxes: name one --box for each, or none")));
    }
    let words = args.expect.iter().enumerate().map(|(at, words)| Expected {
        text: words.clone(),
        locale: args.lang.get(at).or(args.lang.first()).map_or(LOCALE, String::as_str).to_owned(),
        place: args.boxes.get(at).map(|place| place.0),
    });
    Ok(Some(words.collect()))
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failing: usize,
    unreadable: usize,
}

impl Tally {
    fn count(&mut self, seen: &Result<(ImageBuf, Checked), Failure>) {
        match seen {
            Ok((_, checked)) if checked.passed => self.passed += 1,
            Ok(_) => self.failing += 1,
            Err(_) => self.unreadable += 1,
        }
    }

    /// A file that cannot be read is a mistake of the command, whatever the others hold.
    fn code(&self) -> u8 {
        match self {
            Self { unreadable: 1.., .. } => exit::INPUT,
            Self { failing: 1.., .. } => exit::GATE,
            _ => exit::DONE,
        }
    }

    fn words(&self, files: usize) -> String {
        let Self { passed, failing, unreadable } = self;
        let unreadable = if *unreadable > 0 { format!(", {unreadable} unreadable") } else { String::new() };
        format!("{files} pictures: {passed} passed, {failing} failing{unreadable}")
    }
}

/// Where crops go.
struct Crops<'a> {
    folder: Option<&'a Path>,
    count: usize,
}

impl Crops<'_> {
    /// Writes what `finding` is about, and says where.
    fn write(&mut self, file: &Path, image: &ImageBuf, finding: &Finding) -> Result<Option<String>, Failure> {
        let (Some(folder), Some(place)) = (self.folder, finding.place) else { return Ok(None) };
        let Some(crop) = crop::crop(image, place) else { return Ok(None) };
        self.count += 1;
        let stem: String = file.file_stem().unwrap_or_default().to_string_lossy().chars().take(80).collect();
        // Numbered, since two files of one run may have the same name.
        let path = folder.join(format!("{:03}-{stem}-{}.png", self.count, finding.code.word()));
        let failed = |code, why: String| Failure::new(code, format!("failed to {why}"));
        let bytes = png::encode_with_texts(&crop, &[]).map_err(|err| failed(err.code(), chain(&err)))?;
        write_atomic(&path, &bytes, &Patience::usual()).map_err(|err| failed(err.code(), chain(&err)))?;
        Ok(Some(path.display().to_string()))
    }
}

fn say(
    context: &Context,
    file: &Path,
    seen: &Result<(ImageBuf, Checked), Failure>,
    crops: &mut Crops<'_>,
) -> Result<(), Failure> {
    let (image, checked) = match seen {
        Ok(seen) => seen,
        Err(failure) => {
            eprintln!("error[{}]: {}", failure.code, failure.message);
            if context.json {
                line(&Report { file: file.display().to_string(), checked: None, findings: None, error: Some(failure) });
            }
            return Ok(());
        }
    };
    let mut shown = Vec::new();
    for finding in &checked.findings {
        shown.push(Shown { finding, crop: crops.write(file, image, finding)? });
    }
    if context.json {
        line(&Report { file: file.display().to_string(), checked: Some(checked), findings: Some(shown), error: None });
    } else if !context.quiet {
        print_out(&text(file, checked, &shown));
    }
    Ok(())
}

fn line(report: &Report<'_>) {
    print_out(&serde_json::to_string(report).unwrap_or_default());
}

/// What a person reads: the file, a row for every text, and a line for every finding.
fn text(file: &Path, checked: &Checked, findings: &[Shown<'_>]) -> String {
    let verdict = if checked.passed { "ok  " } else { "FAIL" };
    let mut text = format!("{verdict}  {}  {}\n", file.display(), checked.size);
    let rows: Vec<[String; 6]> = checked.words.iter().map(row).collect();
    if !rows.is_empty() {
        let table = super::table::table(["EXPECTED", "LANG", "PRESENCE", "LEGIBILITY", "READ", "BOX"], &rows);
        table.lines().for_each(|line| text.push_str(&format!("      {line}\n")));
    }
    for Shown { finding, crop } in findings {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "note",
        };
        text.push_str(&format!("      {severity}: {}\n", finding.message));
        if let Some(crop) = crop {
            text.push_str(&format!("             see {crop}\n"));
        }
    }
    text
}

fn row(word: &file::ExpectedWord) -> [String; 6] {
    let figure = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.2}"));
    [
        verify::shown(&word.expected),
        word.locale.clone(),
        figure(word.presence),
        figure(word.legibility),
        word.read.as_deref().map_or_else(|| "-".to_owned(), verify::shown),
        word.place.map_or_else(|| "-".to_owned(), verify::at),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_four_numbers() {
        let check = |text: &str, expected: &str| {
            let said = match text.parse::<Place>() {
                Ok(Place(place)) => format!("{place:?}"),
                Err(why) => why,
            };
            assert!(said.contains(expected), "{text}: {said}");
        };
        check("40,20,400,90", "x: 40, y: 20, w: 400, h: 90");
        check(" 0, 0, 1, 1", "x: 0, y: 0, w: 1, h: 1");
        check("40,20,400", "write it as X,Y,W,H");
        check("40,20,400,90,1", "write it as X,Y,W,H");
        check("-1,0,4,4", "write it as X,Y,W,H");
        check("0,0,0,4", "its sides go from 1 to 4096");
        check("0,0,5000,4", "its sides go from 1 to 4096");
    }
}
