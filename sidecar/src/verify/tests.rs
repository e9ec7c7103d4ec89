//! What the checks say of words, with readers that read what a test tells them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use thumbforge_art::text::{FontBook, set};
use thumbforge_core::criteria::{Criteria, Level};
use thumbforge_core::error::ErrorCode;
use thumbforge_core::image::{Extent, ImageBuf, PixelBox};
use thumbforge_core::job::Gate;
use thumbforge_core::limits::SIDE_MIN;
use thumbforge_core::text_layer::{TextLayer, TextMode, TextStyle};
use thumbforge_core::verdict::{Finding, FindingCode, Severity, Verdict};
use thumbforge_reader::{Ask, Found, ReadError, Reading, TextReader, Word};

use super::*;

const PLACE: PixelBox = PixelBox { x: 10, y: 20, w: 100, h: 30 };

/// Reads the same words in every picture.
struct Scripted {
    read: Option<&'static str>,
    presence: f64,
    legibility: f64,
    unexpected: Vec<&'static str>,
    missing: Option<&'static str>,
    /// The one locale whose data is missing.
    missing_locale: Option<&'static str>,
    /// Whether it gives up over every picture but the one by which it is asked whether it can read.
    gives_up: bool,
    reads: AtomicUsize,
}

impl Scripted {
    fn reading(read: &'static str, presence: f64, legibility: f64) -> Self {
        Self {
            read: Some(read),
            presence,
            legibility,
            unexpected: Vec::new(),
            missing: None,
            missing_locale: None,
            gives_up: false,
            reads: AtomicUsize::new(0),
        }
    }
}

impl TextReader for Scripted {
    fn read(&self, image: &ImageBuf, ask: &Ask) -> Result<Reading, ReadError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if self.gives_up && image.extent().width > SIDE_MIN {
            return Err(ReadError::Failed("it took too long".to_owned()));
        }
        let missing = |locale: &str| self.missing.or_else(|| self.missing_locale.filter(|missing| locale == *missing));
        let found = ask.expected.iter().map(|expected| match missing(&expected.locale) {
            Some(data) => Err(ReadError::Missing {
                locale: expected.locale.clone(),
                missing: format!("the language data {data}"),
                install: format!("install tesseract-ocr-{data}"),
            }),
            None => Ok(Found {
                legibility: self.legibility,
                presence: self.presence,
                read: self.read.unwrap_or_default().to_owned(),
                place: self.read.map(|_| PLACE),
            }),
        });
        let word = |text: &&str| Word { text: (*text).to_owned(), confidence: 90.0, place: PLACE };
        Ok(Reading {
            found: found.collect(),
            unexpected: if ask.unexpected { self.unexpected.iter().map(word).collect() } else { Vec::new() },
            readers: vec!["scripted 1".to_owned()],
            ..Reading::default()
        })
    }
}

fn art() -> ImageBuf {
    let extent = Extent { width: 256, height: 256 };
    let pixels = (0..extent.pixels()).flat_map(|at| [(at % 256 / 4) as u8, (at / 256 / 5) as u8, (at / 7) as u8, 255]);
    ImageBuf::from_rgba(extent, pixels.collect()).expect("the right length")
}

fn layer(words: &str, mode: TextMode) -> TextLayer {
    let style = TextStyle { area: [0.1, 0.1, 0.8, 0.3], ..TextStyle::default() };
    TextLayer { name: "title".to_owned(), text: words.to_owned(), locale: "en".to_owned(), mode, style }
}

struct Case {
    mode: TextMode,
    words: &'static str,
    read: bool,
    by_model: bool,
    gate: Gate,
    criteria: Criteria,
}

impl Default for Case {
    fn default() -> Self {
        let criteria = Criteria::default();
        Self { mode: TextMode::Model, words: "SALE", read: false, by_model: false, gate: Gate::Enforce, criteria }
    }
}

fn judged(case: &Case, eyes: &Eyes) -> Judged {
    let layers = match case.words {
        "" => Vec::new(),
        words => vec![layer(words, case.mode)],
    };
    let art = art();
    let mut finished = art.clone();
    let to_set: Vec<TextLayer> = layers.iter().filter(|layer| layer.mode.is_composite()).cloned().collect();
    let set = set(&mut finished, &to_set, &FontBook::packaged()).expect("it fits");
    let subject = Subject {
        art: &art,
        finished: &finished,
        size: art.extent(),
        layers: &layers,
        set: &set,
        brand: &[],
        safe_inset: 0.03,
        read: case.read,
        by_model: case.by_model,
        gate: case.gate,
        criteria: &case.criteria,
    };
    judge(&subject, eyes)
}

fn eyes(scripted: Scripted) -> Eyes {
    Eyes::of(Arc::new(scripted))
}

#[track_caller]
fn told(findings: &[Finding], expected: &[(FindingCode, Severity, &str)]) {
    let told: Vec<_> =
        findings.iter().map(|finding| (finding.code, finding.severity, finding.message.as_str())).collect();
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for ((code, severity, message), (wanted, bad, part)) in told.iter().zip(expected) {
        assert!(code == wanted && severity == bad && message.contains(part), "{told:#?}");
    }
}

#[test]
fn words_of_a_model_are_right_when_they_were_read() {
    use FindingCode::{TextIllegible, TextMismatch, TextUnverified};
    let check = |reader: Scripted, case: &Case, expected: &[(FindingCode, Severity, &str)]| {
        let judged = judged(case, &eyes(reader));
        told(&judged.drawn, expected);
        assert_eq!((judged.art.len(), judged.set.len()), (0, 0));
        assert_eq!(judged.readers, ["scripted 1"]);
    };
    let case = Case::default();
    check(Scripted::reading("SALE", 1.0, 1.0), &case, &[]);
    check(
        Scripted::reading("SALF", 0.75, 0.75),
        &case,
        &[(TextMismatch, Severity::Error, "expected 'SALE' not found; read 'SALF' at 10,20,100,30")],
    );
    check(
        Scripted { read: None, ..Scripted::reading("", 0.0, 0.0) },
        &case,
        &[(TextMismatch, Severity::Error, "expected 'SALE' not found; nothing like it was read")],
    );
    check(
        Scripted::reading("SALE", 1.0, 0.25),
        &case,
        &[(TextIllegible, Severity::Warning, "'SALE' is hard to read: a plain look makes out 25 %")],
    );
    let missing = || Scripted { missing: Some("eng"), ..Scripted::reading("", 0.0, 0.0) };
    let unverified =
        "expected 'SALE' is unverified: the language data eng is not on this machine; install tesseract-ocr-eng";
    check(missing(), &case, &[(TextUnverified, Severity::Error, unverified)]);
    let reported = Case { gate: Gate::Report, ..Case::default() };
    check(missing(), &reported, &[(TextUnverified, Severity::Warning, unverified)]);
    let lenient = Criteria { presence: Some(0.7), legibility: Some(0.7), ..Criteria::default() };
    check(Scripted::reading("SALF", 0.75, 0.75), &Case { criteria: lenient, ..Case::default() }, &[]);
    let warned = Criteria { text: Some(Level::Warning), ..Criteria::default() };
    check(
        Scripted::reading("SALF", 0.75, 0.75),
        &Case { criteria: warned, ..Case::default() },
        &[(TextMismatch, Severity::Warning, "expected 'SALE' not found")],
    );
    let blind = Criteria { text: Some(Level::Ignore), ..Criteria::default() };
    check(missing(), &Case { criteria: blind, ..Case::default() }, &[]);
}

#[test]
fn a_refusal_names_wrong_words_before_anything_else() {
    let finding = |code, severity, message: &str| Finding {
        code,
        severity,
        message: message.to_owned(),
        place: None,
        expected: None,
        read: None,
        score: None,
    };
    let check = |findings: &[Finding], expected: Option<(ErrorCode, &str)>| {
        let refusal = refusal(&Verdict::of(findings.to_vec()));
        assert_eq!(refusal.as_ref().map(|failure| (failure.code, failure.message.as_str())), expected);
        assert!(refusal.is_none_or(|failure| failure.findings == findings));
    };
    let contrast = finding(FindingCode::LowContrast, Severity::Error, "too pale");
    let wrong = finding(FindingCode::TextMismatch, Severity::Error, "expected 'SALE' not found; read 'SALF'");
    let warned = Finding { severity: Severity::Warning, ..wrong.clone() };
    check(&[], None);
    check(std::slice::from_ref(&warned), None);
    let said = "expected 'SALE' not found; read 'SALF'";
    check(&[contrast.clone(), wrong], Some((ErrorCode::RenderedTextMismatch, said)));
    check(&[contrast, warned], Some((ErrorCode::VerificationFailed, "failed to pass the checks: too pale")));
}

#[test]
fn without_a_reader_nothing_passes() {
    let judged = judged(&Case::default(), &Eyes::shut());
    told(&judged.drawn, &[(FindingCode::TextUnverified, Severity::Error, "a text reader is not on this machine")]);
    assert!(!judged.clone().verdict().passed);
    assert!(judged.readers.is_empty());
}

#[test]
fn words_in_true_type_are_right_by_construction_and_read_where_it_is_said() {
    let composite = Case { mode: TextMode::Composite, ..Case::default() };
    let wrong = || Scripted::reading("SXLF", 0.5, 0.25);
    let quiet = judged(&composite, &eyes(wrong()));
    assert_eq!((quiet.drawn.len(), quiet.set.len(), quiet.readers.len()), (0, 0, 0), "nobody asked to read it");
    let read = judged(&Case { read: true, ..composite }, &eyes(wrong()));
    told(&read.set, &[(FindingCode::TextIllegible, Severity::Warning, "'SALE' is hard to read")]);
    assert!(read.drawn.is_empty() && read.verdict().passed);
    let case = Case { mode: TextMode::Composite, read: true, ..Case::default() };
    let blind = judged(&case, &Eyes::shut());
    told(&blind.set, &[(FindingCode::TextUnverified, Severity::Warning, "expected 'SALE' is unverified")]);
    told(&blind.art, &[(FindingCode::TextUnverified, Severity::Warning, "nobody looked for words in the art")]);
    let strict = Criteria { illegible: Some(Level::Error), ..Criteria::default() };
    let strict = judged(&Case { criteria: strict, ..case }, &eyes(wrong()));
    told(&strict.set, &[(FindingCode::TextIllegible, Severity::Error, "'SALE' is hard to read")]);
}

#[test]
fn nobody_looking_is_as_bad_as_somebody_said_that_words_too_many_are() {
    let check = |eyes: &Eyes, case: &Case, expected: Option<(Severity, &str)>| {
        let judged = judged(case, eyes);
        let all = judged.art.iter().chain(&judged.drawn).chain(&judged.set);
        let told = all.filter(|finding| finding.message.starts_with("nobody looked for words in the art"));
        let told: Vec<_> = told.map(|finding| (finding.severity, finding.message.as_str())).collect();
        assert_eq!(told.len(), usize::from(expected.is_some()), "{told:#?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.0 == expected.0 && told.1.contains(expected.1), "{told:?}");
        }
        judged
    };
    let said = |level| Criteria { unexpected: Some(level), ..Criteria::default() };
    let bare = |criteria| Case { words: "", criteria, ..Case::default() };
    let none = "a text reader is not on this machine";
    let blind = check(&Eyes::shut(), &bare(said(Level::Error)), Some((Severity::Error, none)));
    assert!(!blind.verdict().passed, "who wants no words too many wants somebody to look");
    check(&Eyes::shut(), &bare(said(Level::Warning)), Some((Severity::Warning, none)));
    check(&Eyes::shut(), &bare(said(Level::Ignore)), None);
    check(&Eyes::shut(), &Case { read: true, ..bare(Criteria::default()) }, Some((Severity::Warning, none)));
    // Beside words that are unverified themselves it goes without saying, unless somebody said how bad it is.
    check(&Eyes::shut(), &Case::default(), None);
    let lenient = Criteria { text: Some(Level::Warning), ..said(Level::Error) };
    let lenient = check(&Eyes::shut(), &Case { criteria: lenient, ..Case::default() }, Some((Severity::Error, none)));
    assert!(!lenient.verdict().passed);
    // The required words can be read here, and those that nobody asked for cannot.
    let only_japanese = Scripted { missing_locale: Some("en"), ..Scripted::reading("祭", 1.0, 1.0) };
    let required = ["祭".to_owned()].to_vec();
    let sign = Criteria { required, required_locale: Some("ja".to_owned()), ..said(Level::Error) };
    check(&eyes(only_japanese), &bare(sign), Some((Severity::Error, "the language data en is not on this machine")));
    // It can read, and gives up over this picture.
    let gives_up = Scripted { gives_up: true, ..Scripted::reading("", 0.0, 0.0) };
    check(&eyes(gives_up), &bare(said(Level::Error)), Some((Severity::Error, "it took too long")));
}

#[test]
fn words_that_nobody_asked_for_are_found_where_somebody_looks() {
    let scrawl = || Scripted { unexpected: vec!["LOREM", "IPSVM"], ..Scripted::reading("SALE", 1.0, 1.0) };
    let expected = |severity| {
        [
            (FindingCode::TextUnexpected, severity, "nobody asked for 'LOREM' at 10,20,100,30"),
            (FindingCode::TextUnexpected, severity, "nobody asked for 'IPSVM'"),
        ]
    };
    told(&judged(&Case::default(), &eyes(scrawl())).drawn, &expected(Severity::Error));
    let plain = Case { words: "", ..Case::default() };
    assert_eq!(judged(&plain, &eyes(scrawl())), Judged::default(), "nobody asked to look");
    let said = |level| Criteria { unexpected: Some(level), ..Criteria::default() };
    let looked = judged(&Case { words: "", criteria: said(Level::Error), ..Case::default() }, &eyes(scrawl()));
    told(&looked.art, &expected(Severity::Error));
    let read = judged(&Case { words: "", read: true, ..Case::default() }, &eyes(scrawl()));
    told(&read.art, &expected(Severity::Warning));
    let ignored = judged(&Case { criteria: said(Level::Ignore), ..Case::default() }, &eyes(scrawl()));
    told(&ignored.drawn, &[]);
    let page = Scripted { unexpected: vec!["WORD"; 20], ..Scripted::reading("SALE", 1.0, 1.0) };
    let page = judged(&Case::default(), &eyes(page));
    assert_eq!(page.drawn.len(), 8);
    assert!(page.drawn[7].message.ends_with(", and 12 more"), "{}", page.drawn[7].message);
}

/// Nobody has to ask for it: what a model scrawls under words of ours is told, and refuses nothing.
#[test]
fn art_of_a_model_is_read_under_words_in_true_type() {
    use FindingCode::{TextUnexpected, TextUnverified};
    let scrawl =
        |words: &[&'static str]| eyes(Scripted { unexpected: words.to_vec(), ..Scripted::reading("SALE", 1.0, 1.0) });
    let case = || Case { mode: TextMode::Composite, by_model: true, ..Case::default() };
    let check = |eyes: &Eyes, case: &Case, expected: &[(FindingCode, Severity, &str)]| {
        let judged = judged(case, eyes);
        told(&judged.art, expected);
        assert_eq!((judged.drawn.len(), judged.set.len()), (0, 0), "{judged:#?}");
        judged
    };
    let lorem = |severity| [(TextUnexpected, severity, "nobody asked for 'LOREM' at 10,20,100,30")];
    let found = check(&scrawl(&["LOREM"]), &case(), &lorem(Severity::Warning));
    assert!(found.verdict().passed);
    check(&scrawl(&[]), &case(), &[]);
    // No noise where no model drew, where findings fail nothing, or where no words are promised.
    for quiet in [
        Case { by_model: false, ..case() },
        Case { gate: Gate::Report, ..case() },
        Case { words: "", ..case() },
        Case { criteria: Criteria { unexpected: Some(Level::Ignore), ..Criteria::default() }, ..case() },
    ] {
        assert_eq!(judged(&quiet, &scrawl(&["LOREM"])), Judged::default());
        assert_eq!(judged(&quiet, &Eyes::shut()), Judged::default());
    }
    // What a layer says explains itself, in any spelling of signs and case; beside it the rest is told.
    check(&scrawl(&["Sale!", "LOREM"]), &case(), &lorem(Severity::Warning));
    check(&scrawl(&["SALES"]), &case(), &[(TextUnexpected, Severity::Warning, "nobody asked for 'SALES'")]);
    // What may draw the art anew must be the same for every locale that shares it.
    let strict = || Criteria { unexpected: Some(Level::Error), ..Criteria::default() };
    let sale = [(TextUnexpected, Severity::Error, "nobody asked for 'SALE'")];
    check(&scrawl(&["SALE"]), &Case { criteria: strict(), ..case() }, &sale);
    // Without a reader it is worth knowing, once, and it passes; who asked for it is told louder.
    let none = |severity| {
        [(TextUnverified, severity, "nobody looked for words in the art: a text reader is not on this machine")]
    };
    let blind = check(&Eyes::shut(), &case(), &none(Severity::Info));
    assert!(blind.verdict().passed);
    check(&Eyes::shut(), &Case { criteria: strict(), ..case() }, &none(Severity::Error));
    // Words that a model drew are as before: what is doubled is no layer's.
    let doubled = Case { by_model: true, ..Case::default() };
    let doubled = judged(&doubled, &scrawl(&["SALE"]));
    told(&doubled.drawn, &[(TextUnexpected, Severity::Error, "nobody asked for 'SALE'")]);
}

#[test]
fn required_words_are_looked_for_in_the_art_unless_a_layer_has_them() {
    let required = Criteria { required: vec!["Sale".to_owned(), "ACME".to_owned()], ..Criteria::default() };
    let lost = || Scripted { read: None, ..Scripted::reading("", 0.0, 0.0) };
    let case = |mode, words| Case { mode, words, criteria: required.clone(), ..Case::default() };
    let alone = judged(&case(TextMode::Model, ""), &eyes(lost()));
    let not_found = |words| (FindingCode::TextMismatch, Severity::Error, words);
    told(&alone.drawn, &[not_found("expected 'Sale' not found"), not_found("expected 'ACME' not found")]);
    // The art is shared: what one locale's words lack must not draw it anew for that locale.
    let set = judged(&case(TextMode::Composite, "BIG SALE"), &eyes(lost()));
    told(&set.set, &[not_found("expected 'ACME' not found")]);
    assert!(set.drawn.is_empty());
    // Signs stand at words, and are no part of them; a longer word is another word.
    let both = judged(&case(TextMode::Composite, "SALE! ACME: now"), &eyes(lost()));
    told(&both.set, &[]);
    let longer = judged(&case(TextMode::Composite, "ACME Wholesale"), &eyes(lost()));
    told(&longer.set, &[not_found("expected 'Sale' not found")]);
}

#[test]
fn a_picture_is_read_once_for_the_same_question() {
    let reader = Arc::new(Scripted::reading("SALE", 1.0, 1.0));
    let eyes = Eyes::of(reader.clone());
    let said = Criteria { unexpected: Some(Level::Warning), ..Criteria::default() };
    for words in ["SALE", "AKTION", "セール"] {
        judged(&Case { mode: TextMode::Composite, words, criteria: said.clone(), ..Case::default() }, &eyes);
    }
    assert_eq!(reader.reads.load(Ordering::Relaxed), 2, "whether it can read, and the art that the locales share");
    judged(&Case::default(), &eyes);
    assert_eq!(reader.reads.load(Ordering::Relaxed), 3, "another question");
}

#[test]
fn what_is_missing_is_looked_for_again() {
    let opened = Arc::new(AtomicUsize::new(0));
    let count = opened.clone();
    let eyes = Eyes::lazy(move || match count.fetch_add(1, Ordering::Relaxed) {
        0 => Err(ReadError::Failed("not yet".to_owned())),
        _ => Ok(Arc::new(Scripted::reading("SALE", 1.0, 1.0)) as Arc<dyn TextReader>),
    });
    told(&judged(&Case::default(), &eyes).drawn, &[(FindingCode::TextUnverified, Severity::Error, "not yet")]);
    told(&judged(&Case::default(), &eyes).drawn, &[]);
    told(&judged(&Case::default(), &eyes).drawn, &[]);
    assert_eq!(opened.load(Ordering::Relaxed), 2);
    assert_eq!(eyes.can_read("en"), Ok(()));
}
