//! The case study's rule word for word; what `auto` takes, and why the others lost.

use super::*;

fn day() -> Day {
    "2026-11-21".parse().unwrap()
}

#[test]
fn the_case_studys_rule_is_kept_word_for_word() {
    let check = |typography: bool, confidence: f64, fast: bool, expected: &str| {
        let metadata = Metadata { requires_typography_precision: typography, confidence, fast_preview: fast };
        assert_eq!(route_job(&metadata), expected, "{metadata:?}");
        Catalogue::built_in().resolve(expected).unwrap();
    };
    check(true, 0.79, false, "remote-imagen-polish");
    check(true, 0.79, true, "remote-imagen-polish");
    check(true, 0.8, true, "local-sd_medium");
    check(true, 0.8, false, "remote-final");
    check(false, 0.1, true, "local-sd_medium");
    check(false, 0.1, false, "remote-final");
    // A confidence that is no number is below nothing, as in the original.
    check(true, f64::NAN, false, "remote-final");
}

const CATALOGUE: &str = "
[[model]]
id = 'cheap'
name = 'c'
family = 'hosted'
provider = 'p'
latency_ms = 500
pass = { photo = 0.6, typography = 0.2 }
[[model]]
id = 'good'
name = 'g'
family = 'hosted'
provider = 'p'
latency_ms = 5000
pass = { photo = 0.95, typography = 0.95 }
[[model]]
id = 'better'
name = 'b'
family = 'hosted'
provider = 'p'
latency_ms = 9000
pass = { photo = 0.98, typography = 0.98 }
[[model]]
id = 'gone'
name = 'x'
family = 'hosted'
provider = 'p'
retired_on = '2026-01-01'
pass = { photo = 0.99 }
[[model]]
id = 'going'
name = 'x'
family = 'hosted'
provider = 'p'
retired_on = '2026-12-01'
pass = { photo = 0.99 }
[[model]]
id = 'untimed'
name = 'u'
family = 'local'
pass = { photo = 0.9 }
[[model]]
id = 'enlarger'
name = 'e'
family = 'hosted'
provider = 'p'
can = { generate = false, upscale = true }
[[model]]
id = 'builtin'
name = 'drawn'
family = 'builtin'
";

fn price(row: &ModelRow) -> Result<Option<Micros>, String> {
    match row.id.as_str() {
        "cheap" => Ok(Some(Micros(10_000))),
        "good" => Ok(Some(Micros(40_000))),
        "better" => Ok(Some(Micros(90_000))),
        "untimed" => Ok(Some(Micros::ZERO)),
        _ => Ok(None),
    }
}

/// The list in words: what fits, best first, then the others with why not.
fn ranked(learned: &Learned, intent: Intent, pass_rate: f64, max_latency_ms: Option<u64>) -> (String, String) {
    let catalogue = Catalogue::parse(CATALOGUE).unwrap();
    let ask = Ask { intent, pass_rate, max_latency_ms, today: day() };
    let list = auto(&catalogue, learned, &ask, &price);
    assert!(list.iter().all(|one| !one.reason.is_empty()));
    let words = |fits: bool| {
        let chosen = list.iter().filter(|one| (one.fit == Fit::Fits) == fits);
        let mut words: Vec<String> = chosen
            .map(|one| if fits { one.row.id.to_string() } else { format!("{}:{:?}", one.row.id, one.fit) })
            .collect();
        if !fits {
            words.sort();
        }
        words.join(" ")
    };
    (words(true), words(false))
}

#[test]
fn the_cheapest_that_does_is_taken() {
    let check = |intent, pass_rate, most_ms, fits: &str, not: &str| {
        let (found, others) = ranked(&Learned::default(), intent, pass_rate, most_ms);
        assert_eq!((found.as_str(), others.as_str()), (fits, not));
    };
    let never = "builtin:Unusable enlarger:Unusable going:Unusable gone:Unusable";
    check(Intent::Photo, 0.3, None, "untimed cheap good better", never);
    check(Intent::Photo, 0.3, Some(800), "cheap", &format!("better:Slow {} good:Slow untimed:Slow", never));
    check(
        Intent::Typography,
        0.7,
        None,
        "good better",
        "builtin:Unusable cheap:Weak enlarger:Unusable going:Unusable gone:Unusable untimed:Weak",
    );
    check(
        Intent::Photo,
        0.999,
        None,
        "",
        "better:Weak builtin:Unusable cheap:Weak enlarger:Unusable going:Unusable gone:Unusable good:Weak untimed:Weak",
    );
}

#[test]
fn what_was_learned_outweighs_what_was_expected() {
    let catalogue = Catalogue::parse(CATALOGUE).unwrap();
    let cheap = catalogue.resolve("cheap").unwrap();
    let mut learned = Learned::default();
    let before = pass_least(cheap, &learned, Intent::Typography);
    learned.set(
        cheap.id.clone(),
        Intent::Typography,
        Counts { passed: 400, accepted: 50, failed: 5, ..Counts::default() },
    );
    let after = pass_least(cheap, &learned, Intent::Typography);
    assert!(before < 0.2 && after > 0.9, "{before} {after}");
    assert_eq!(ranked(&learned, Intent::Typography, 0.7, None).0, "cheap good better");
    let mut slow = Learned::default();
    slow.set(cheap.id.clone(), Intent::Hero, Counts { latency_p50_ms: Some(3000), ..Counts::default() });
    assert_eq!(
        ranked(&slow, Intent::Photo, 0.3, Some(800)).0,
        "",
        "a time of another intent is the best that is known"
    );
}

#[test]
fn every_candidate_says_why() {
    let catalogue = Catalogue::parse(CATALOGUE).unwrap();
    let ask = Ask { intent: Intent::Photo, pass_rate: 0.7, max_latency_ms: Some(6000), today: day() };
    let list = auto(&catalogue, &Learned::default(), &ask, &price);
    let why = |id: &str| list.iter().find(|one| one.row.id.as_str() == id).unwrap().reason.clone();
    assert_eq!(why("good"), "the cheapest that does, at $0.04 with 85 % sure to pass");
    assert_eq!(why("cheap"), "41 % of its photo pictures are sure to pass, and 70 % must");
    assert_eq!(why("better"), "it takes about 9000 ms, and 6000 ms is the most");
    assert_eq!(why("untimed"), "nobody knows how long it takes, and 6000 ms is the most");
    assert_eq!(why("gone"), "it was retired on 2026-01-01");
    assert_eq!(why("going"), "it retires in 10 days");
    let unpriced = auto(&catalogue, &Learned::default(), &ask, &|_| Ok(None));
    assert!(unpriced.iter().all(|one| one.fit != Fit::Fits));
    let closed = auto(&catalogue, &Learned::default(), &ask, &|_| Err("no account of p".to_owned()));
    assert_eq!(closed.iter().find(|one| one.row.id.as_str() == "good").unwrap().reason, "no account of p");
}

#[test]
fn the_quality_file_is_stable_text() {
    let catalogue = Catalogue::built_in();
    let id = |name: &str| catalogue.resolve(name).unwrap().id.clone();
    let mut learned = Learned::default();
    let good = Counts { passed: 41, failed: 3, accepted: 12, rejected: 2, latency_p50_ms: Some(8123) };
    learned.set(id("ideogram-4.5"), Intent::Typography, good);
    learned.set(id("gpt-image-2"), Intent::Photo, Counts { passed: 5, ..Counts::default() });
    let text = learned.to_text();
    let tables = text.split_once("version = 1\n").unwrap().1;
    assert_eq!(
        tables,
        "\n[[learned]]\nmodel = \"gpt-image-2\"\nintent = \"photo\"\npassed = 5\n\
         \n[[learned]]\nmodel = \"ideogram-4.5\"\nintent = \"typography\"\npassed = 41\nfailed = 3\naccepted = 12\nrejected = 2\n\
         latency_p50_ms = 8123\n"
    );
    assert_eq!(Learned::parse(&text).unwrap(), learned);
    assert_eq!(learned.get(&id("ideogram-4.5"), Intent::Typography).unwrap().both(), (53, 5));
    assert_eq!(Learned::parse("version = 1").unwrap(), Learned::default());
}

#[test]
fn a_quality_file_that_is_none_says_so() {
    let check = |text: &str, part: &str| {
        let error = Learned::parse(text).expect_err(text).to_string();
        assert!(error.contains(part), "{error}");
    };
    check("", "missing field `version`");
    check("version = 2\nnew = 1", "it has version 2, and this Thumbforge knows 1");
    check("version = 1\nnew = 1", "unknown field `new`");
    check("version = 1\n[[learned]]\nmodel='m'\nintent='poetry'", "unknown variant `poetry`");
    check("version = 1\n[[learned]]\nmodel='m'\nintent='photo'\npassed=-1", "invalid value");
    let row = "[[learned]]\nmodel='m'\nintent='photo'\n";
    check(&format!("version = 1\n{row}{row}"), "m has two rows for photo");
}
