//! The loop, end to end: a provider that garbles words on purpose, the real reader, and the provider's own word for what is
//! right. Nothing here trusts our reader: a picture is right when it shows the pixels that right words would have.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use thumbforge_tests::not_run;
use thumbforge_tests::provider::lettering::draw;
use thumbforge_tests::provider::{Charge, Lettered, Lettering, Options, Provider, Reply, Rule};
use thumbforge_tests::rig::{Ran, Rig, journal};

use crate::fixture::{Pixels, with_account};

/// Sides of every picture.
const SIDE: u32 = 512;
/// What the provider gets wrong, out of a hundred drawings.
const WRONG: u64 = 40;
/// Words that a shop writes on pictures.
const FIRST: [&str; 20] = [
    "DRAGON", "Golden", "MEGA", "Frozen", "SUMMER", "Hidden", "EPIC", "Silver", "ROYAL", "Ancient", "NIGHT", "Pirate",
    "CRYSTAL", "Wild", "LUCKY", "Desert", "STORM", "Secret", "HEROIC", "Mystic",
];
const SECOND: [&str; 10] =
    ["SALE", "Quest", "HUNT", "Island", "CHEST", "Battle", "FESTIVAL", "Market", "BONUS", "Tower"];

/// Pictures of one build.
const BUILD: usize = 40;

/// Builds of a run: one, or in the full run as many as make 200 pictures.
fn builds() -> std::ops::Range<usize> {
    0..if std::env::var_os("THUMBFORGE_FULL").is_some() { 5 } else { 1 }
}

fn words(at: usize) -> String {
    // Each pair once: 20 and 10 words, stepping through both.
    format!("{} {}", FIRST[at % 20], SECOND[(at / 20 + at) % 10])
}

/// A shop of `pictures`, by number, with one layer of `mode`, bought from `provider`; `None`, said loudly, where this machine
/// cannot read English.
fn shop(test: &str, provider: &Provider, pictures: Range<usize>, mode: &str, more: &str) -> Option<Rig> {
    let rig = with_account(provider);
    let doctor = rig.run(&["doctor", "--json"]).expect(0).json();
    let reader = doctor.as_array().expect("lines").iter().find(|line| line["what"] == "text reader").expect("a line");
    let says = reader["says"].as_str().unwrap_or_default();
    if reader["ok"] != true || !says.contains(" reads en") {
        not_run(&format!("{test}: this machine cannot read words: {says}"));
        return None;
    }
    let mut manifest = format!(
        r#"project = "com.example.repair"
[locales]
list = ["en"]
strings = ["Shop.csv"]
[output]
path = "Out/{{{{ asset }}}}.png"
{more}
[templates.card]
prompt = "a poster of {{{{ subject }}}}"
model = "gpt-image-2"
fallback = ["gpt-image-2.5-flare"]
size = "{SIDE}x{SIDE}"
[[templates.card.text]]
name = "title"
string = "{{{{ asset }}}}.title"
area = [0.05, 0.3, 0.9, 0.4]
size = 0.16
mode = "{mode}"
"#
    );
    let mut table = "Key,en\n".to_owned();
    for at in pictures {
        manifest.push_str(&format!("[assets.a{at}]\ntemplate = \"card\"\nvars = {{ subject = \"shop {at}\" }}\n"));
        table.push_str(&format!("a{at}.title,{}\n", words(at)));
    }
    rig.write("thumbforge.toml", manifest);
    rig.write("Shop.csv", table);
    Some(rig)
}

/// A provider that gets one letter wrong in four of ten pictures.
fn garbling() -> Provider {
    lettering(Lettering { seed: 7, wrong: WRONG, wrong_edits: WRONG, flawless: None, blunt: false })
}

/// A provider that always writes other words, except where it changes a picture (`edits` says how often that is wrong) and
/// with the model that never does.
fn blunt(edits: u64, flawless: Option<&str>) -> Provider {
    let flawless = flawless.map(str::to_owned);
    lettering(Lettering { seed: 7, wrong: 100, wrong_edits: edits, flawless, blunt: true })
}

fn lettering(lettering: Lettering) -> Provider {
    Provider::with(Options { size: Some((SIDE, SIDE)), lettering: Some(lettering), ..Options::plain() })
}

/// A provider whose first picture is nearly blank, which the checks refuse whatever stands on it.
fn blank_at_first() -> Provider {
    let provider = Provider::with(Options { size: Some((SIDE, SIDE)), ..Options::plain() });
    let blank = Pixels::drawn(SIDE as usize, SIDE as usize, |_, _| [90, 90, 90, 255]).png();
    let blank = json!({"created": 1, "data": [{"b64_json": STANDARD.encode(blank)}]});
    provider.rule(Rule::reply(Reply::json(200, &blank)).path("/images/generations").times(1));
    provider
}

fn build(rig: &Rig) -> Ran {
    rig.run(&["batch", "--json"])
}

/// The items of a report by the number of their asset.
fn items(report: &Value) -> BTreeMap<usize, Value> {
    let number = |item: &Value| item["asset"].as_str().and_then(|name| name[1..].parse().ok()).expect("a number");
    report["items"].as_array().expect("items").iter().map(|item| (number(item), item.clone())).collect()
}

/// What the provider drew with words, by the words, in the order in which it was asked.
fn drawn(provider: &Provider) -> BTreeMap<String, Vec<(Charge, Lettered)>> {
    let mut drawn: BTreeMap<String, Vec<(Charge, Lettered)>> = BTreeMap::new();
    for charge in provider.book().charges {
        if let Some(lettered) = charge.lettered.clone() {
            drawn.entry(lettered.asked.clone()).or_default().push((charge, lettered));
        }
    }
    drawn
}

fn steps(item: &Value) -> Vec<&str> {
    item["repairs"].as_array().into_iter().flatten().filter_map(|step| step["means"].as_str()).collect()
}

/// Pixels that are not those of the picture with right words: a letter of this size has hundreds.
fn wrong_pixels(png: &[u8], prompt: &str, words: &str) -> usize {
    let right = draw((SIDE, SIDE), prompt, Some(words));
    let made = Pixels::of_png(png);
    let far = |(made, right): (&[u8; 4], &[u8])| made.iter().zip(right).any(|(one, two)| one.abs_diff(*two) > 64);
    made.rgba.iter().zip(right.pixels().chunks_exact(4)).filter(|pair| far(*pair)).count()
}

/// Whether a finished picture carries the right words, by the provider's own pixels or because they were set in true type.
fn is_right(rig: &Rig, item: &Value, drawn: &[(Charge, Lettered)]) -> bool {
    if steps(item).last() == Some(&"composite") {
        return true;
    }
    let (charge, lettered) = drawn.first().expect("a drawing");
    wrong_pixels(&rig.read(item["path"].as_str().expect("a path")), &charge.prompt, &lettered.asked) < 20
}

/// How a run went, for people and for docs/bench/text.md: what each step mended, and what refused pictures had cost.
#[derive(Default)]
struct Tally {
    pictures: usize,
    drawn: usize,
    cost_micros: u64,
    /// Of each step: how often it was taken, how often it was the last, and what the pictures before it had cost.
    steps: BTreeMap<String, (u64, u64, u64)>,
}

impl Tally {
    fn add(&mut self, report: &Value) {
        for item in report["items"].as_array().expect("items") {
            let taken = steps(item);
            self.pictures += 1;
            self.drawn += taken.len() + 1;
            for (at, step) in taken.iter().enumerate() {
                let row = self.steps.entry((*step).to_owned()).or_default();
                row.0 += 1;
                row.1 += u64::from(at + 1 == taken.len() && item["state"] == "done");
                row.2 += item["repairs"][at]["cost_micros_usd"].as_u64().unwrap_or_default();
            }
        }
        self.cost_micros += report["cost_micros_usd"].as_u64().unwrap_or_default();
    }

    fn table(&self) -> String {
        let cost = self.cost_micros as f64 / 1e6;
        let mut table = format!("{} pictures, {} drawn, {cost:.2} USD in all\n", self.pictures, self.drawn);
        table.push_str("| step | times | mended by it | refused art before it (USD) |\n| --- | ---: | ---: | ---: |\n");
        for (step, (times, mended, refused)) in &self.steps {
            table.push_str(&format!("| {step} | {times} | {mended} | {:.2} |\n", *refused as f64 / 1e6));
        }
        table
    }
}

/// Writes what each path of repair began and ended with where `THUMBFORGE_SHEETS` names a folder.
fn sheet(name: &str, rig: &Rig, provider: &Provider, report: &Value) {
    let Some(folder) = std::env::var_os("THUMBFORGE_SHEETS") else { return };
    let drawn = drawn(provider);
    let mut pairs = Vec::new();
    for (at, item) in items(report).into_iter().filter(|(_, item)| !steps(item).is_empty() && item["state"] == "done") {
        let (charge, lettered) = &drawn[&words(at)][0];
        let before = draw((SIDE, SIDE), &charge.prompt, Some(&lettered.drawn));
        let before = before.pixels().as_chunks::<4>().0.to_vec();
        pairs.push((before, Pixels::of_png(&rig.read(item["path"].as_str().expect("a path"))).rgba));
    }
    pairs.truncate(8);
    let side = SIDE as usize;
    let columns = 4.min(pairs.len().max(1));
    let rows = pairs.len().div_ceil(columns);
    // Before above, after below.
    let sheet = Pixels::drawn(columns * (side + 8), rows * (2 * side + 24), |x, y| {
        let (column, row) = (x / (side + 8), y / (2 * side + 24));
        let (x, y) = (x % (side + 8), y % (2 * side + 24));
        let Some((before, after)) = pairs.get(row * columns + column).filter(|_| x < side) else { return [255; 4] };
        match y {
            y if y < side => before[y * side + x],
            y if (side + 8..2 * side + 8).contains(&y) => after[(y - side - 8) * side + x],
            _ => [255; 4],
        }
    });
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), sheet.png()).expect("a sheet");
}

#[test]
fn after_the_loop_the_words_are_right() {
    let (mut tally, mut right, mut garbled) = (Tally::default(), 0, 0);
    for build_at in builds() {
        let provider = garbling();
        let pictures = build_at * BUILD..(build_at + 1) * BUILD;
        let Some(rig) = shop("after_the_loop", &provider, pictures, "auto", "") else { return };
        let report = build(&rig).expect(0).json();
        let drawn = drawn(&provider);
        for (at, item) in items(&report) {
            let is_right = is_right(&rig, &item, &drawn[&words(at)]);
            right += usize::from(is_right);
            if !is_right {
                if let Some(folder) = std::env::var_os("THUMBFORGE_SHEETS") {
                    let made = rig.read(item["path"].as_str().expect("a path"));
                    fs::write(std::path::Path::new(&folder).join(format!("wrong-{at}.png")), made).expect("a file");
                }
                println!("wrong at the end: {:?}", drawn[&words(at)].last().map(|(_, lettered)| lettered));
            }
        }
        garbled += drawn.values().filter(|drawn| !drawn[0].1.is_right()).count();
        tally.add(&report);
        if build_at == 0 {
            sheet("loop", &rig, &provider, &report);
            tells_what_it_did(&rig, &provider, &report);
        }
    }
    println!("{}{garbled} garbled at first, {right} of {} right in the end\n", tally.table(), tally.pictures);
    assert!(garbled * 100 >= tally.pictures * 25, "the provider garbled only {garbled} of {}", tally.pictures);
    // One in a hundred; of a short run one, since no part of a picture can be wrong.
    let wrong = tally.pictures - right;
    assert!(wrong <= (tally.pictures / 100).max(1), "{right} of {} carry the right words", tally.pictures);
}

/// Nothing was bought that the report does not have, a second build buys nothing, and whoever asks hears how it came about.
fn tells_what_it_did(rig: &Rig, provider: &Provider, report: &Value) {
    let charges = provider.book().charges.len();
    assert_eq!(build(rig).expect(0).json()["unchanged"], BUILD);
    assert_eq!(provider.book().charges.len(), charges);
    let (_, item) = items(report).into_iter().find(|(_, item)| !steps(item).is_empty()).expect("a repair");
    let jobs = rig.run(&["jobs", "--json", "--count", "1000"]).expect(0).json();
    let job = jobs.as_array().expect("jobs").iter().find(|job| job["asset"] == item["asset"]).expect("its job");
    let story = rig.run(&["jobs", &job["id"].to_string()]).expect(0).stdout;
    assert!(story.contains("1 drawn by gpt-image-2: expected '") && story.contains(": passed"), "{story}");
    assert!(item["attempts"].as_u64() > Some(1), "{item:#}");
}

#[test]
fn with_repair_forbidden_wrong_words_are_caught() {
    let (mut caught, mut missed, mut false_alarms, mut all) = (0, Vec::new(), Vec::new(), 0);
    for build_at in builds() {
        let provider = garbling();
        let pictures = build_at * BUILD..(build_at + 1) * BUILD;
        let policy = "[repair]\nallow = false\n";
        let Some(rig) = shop("with_repair_forbidden", &provider, pictures, "model", policy) else { return };
        let report = build(&rig).expect(3).json();
        let drawn = drawn(&provider);
        assert!(drawn.values().all(|drawn| drawn.len() == 1), "nothing is drawn again");
        for (at, item) in items(&report) {
            let lettered = &drawn[&words(at)][0].1;
            let refused = item["state"] == "failed";
            if refused {
                assert_eq!(item["error"]["code"], "rendered_text_mismatch", "{item:#}");
                let said = item["error"]["message"].as_str().expect("a message");
                assert!(said.contains(&format!("expected '{}' not found", lettered.asked)), "{said}");
            }
            all += 1;
            match (lettered.is_right(), refused) {
                (false, true) => caught += 1,
                (false, false) => missed.push(lettered.clone()),
                (true, true) => false_alarms.push(lettered.clone()),
                (true, false) => {}
            }
        }
    }
    println!("of {all}: {caught} caught, missed {missed:?}, false alarms {false_alarms:?}");
    // Every wrong one is caught, or stands above as missed; the reader's own suite says how well it reads.
    assert!(missed.len() <= ((caught + missed.len()) / 20).max(1), "{missed:?}");
    assert!(false_alarms.len() * 100 <= all * 2 + 99, "{false_alarms:?}");
}

#[test]
fn only_the_region_that_failed_is_drawn_anew() {
    let provider = blunt(0, None);
    let policy = "[repair]\nmeans = [\"inpaint\"]\n";
    let Some(rig) = shop("only_the_region", &provider, 0..6, "model", policy) else { return };
    let report = build(&rig).expect(0).json();
    let drawn = drawn(&provider);
    for (at, item) in items(&report) {
        assert_eq!(steps(&item), ["inpaint"], "{item:#}");
        assert!(is_right(&rig, &item, &drawn[&words(at)]), "{item:#}");
        assert!(drawn[&words(at)][1].1.edit, "the second picture changes the first");
        // Beyond the mask it is the first picture, bit for bit.
        let (charge, lettered) = &drawn[&words(at)][0];
        let first = draw((SIDE, SIDE), &charge.prompt, Some(&lettered.drawn));
        let first =
            Pixels { width: SIDE as usize, height: SIDE as usize, rgba: first.pixels().as_chunks::<4>().0.to_vec() };
        let made = Pixels::of_png(&rig.read(item["path"].as_str().expect("a path")));
        let beyond = |(x, y): &(usize, usize)| *y < 64 || *y > 448 || *x < 2 || *x > 510;
        let changed: Vec<_> = made.differences(&first).into_iter().filter(beyond).collect();
        assert_eq!(changed, [], "a{at}");
    }
    sheet("inpaint", &rig, &provider, &report);
}

#[test]
fn a_better_model_is_asked_when_one_cannot_letter() {
    let provider = blunt(100, Some("gpt-image-2.5-flare"));
    let policy = "[repair]\nmeans = [\"reseed\", \"escalate\"]\n";
    let Some(rig) = shop("a_better_model", &provider, 0..6, "model", policy) else { return };
    let report = build(&rig).expect(0).json();
    let drawn = drawn(&provider);
    for (at, item) in items(&report) {
        assert_eq!((steps(&item), &item["model"]), (vec!["reseed", "escalate"], &"gpt-image-2.5-flare".into()));
        let models: Vec<&str> = drawn[&words(at)].iter().map(|(_, lettered)| lettered.model.as_str()).collect();
        assert_eq!(models, ["gpt-image-2", "gpt-image-2", "gpt-image-2.5-flare"]);
        assert!(wrong_pixels(&rig.read(&format!("Out/a{at}.png")), &drawn[&words(at)][2].0.prompt, &words(at)) < 20);
    }
    sheet("escalate", &rig, &provider, &report);
}

#[test]
fn words_that_no_model_gets_right_are_set_in_true_type() {
    let provider = blunt(100, None);
    let count = 4;
    let Some(rig) = shop("words_that_no_model", &provider, 0..count, "auto", "[repair]\nattempts = 4\n") else {
        return;
    };
    // Four pictures are three steps: true type is the fifth means, and never reached.
    let refused = build(&rig).expect(3).json();
    for item in items(&refused).values() {
        assert_eq!(item["error"]["code"], "rendered_text_mismatch", "{item:#}");
        let said = item["error"]["message"].as_str().expect("a message");
        assert!(said.contains("tried: the region drawn anew, reseeded, drawn by gpt-image-2.5-flare"), "{said}");
        assert!(said.contains("4 pictures were drawn, which is the most"), "{said}");
    }
    let before = provider.book().charges.len();
    let manifest = String::from_utf8(rig.read("thumbforge.toml")).expect("text");
    rig.write("thumbforge.toml", manifest.replace("attempts = 4", "attempts = 6"));
    let report = build(&rig).expect(0).json();
    // What was drawn before is there: only art without words is bought, and each picture pays for its own.
    assert_eq!(provider.book().charges.len() - before, count);
    for (at, item) in items(&report) {
        assert_eq!(steps(&item), ["inpaint", "reseed", "escalate", "composite"], "{item:#}");
        let art = &provider.book().charges[before..];
        assert!(art.iter().all(|charge| charge.lettered.is_none()), "no words are asked for");
        assert!(item["verdict"]["passed"].as_bool().unwrap_or_default(), "a{at}: {item:#}");
    }
    sheet("composite", &rig, &provider, &report);
}

#[test]
fn a_budget_ends_the_loop() {
    let provider = blunt(100, None);
    // A picture comes to $0.0083, and $0.053 are set aside for it: there is room for one more, and not for two.
    let policy = "[repair]\nmeans = [\"reseed\", \"reseed\", \"reseed\"]\nbudget = \"0.065\"\n";
    let Some(rig) = shop("a_budget_ends", &provider, 0..1, "model", policy) else { return };
    let report = build(&rig).expect(3).json();
    let said = report["items"][0]["error"]["message"].as_str().expect("a message");
    assert!(said.contains("another picture may cost") && said.contains("$0.065 is the most"), "{said}");
    assert_eq!(provider.book().charges.len(), 2, "{said}");
}

#[test]
fn a_set_of_locales_keeps_one_style_when_its_art_is_replaced() {
    let provider = blank_at_first();
    let rig = with_account(&provider);
    rig.write("Shop.csv", "Key,en,de,fr,tr\nsword.title,Sword,Schwert,Épée,Kılıç\n");
    let manifest = |repair: &str| {
        format!(
            r#"project = "com.example.set"
[locales]
list = ["en", "de", "fr", "tr"]
strings = ["Shop.csv"]
[output]
path = "Out/{{{{ asset }}}}.{{{{ locale }}}}.png"
{repair}
[templates.card]
prompt = "a sword"
model = "gpt-image-2"
size = "{SIDE}x{SIDE}"
[[templates.card.text]]
name = "title"
string = "{{{{ asset }}}}.title"
area = [0.05, 0.05, 0.9, 0.2]
size = 0.12
[assets.sword]
template = "card"
"#
        )
    };
    // Nobody said that art may be drawn again: every locale is refused, for one picture that was paid.
    rig.write("thumbforge.toml", manifest(""));
    let refused = rig.run(&["batch", "--json"]).expect(3).json();
    assert_eq!((&refused["failed"], provider.count()), (&4.into(), 1));
    rig.write("thumbforge.toml", manifest("[repair]\nmeans = [\"reseed\"]\n"));
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    // One more picture, and all four have it.
    assert_eq!(provider.count(), 2, "{report:#}");
    let items = report["items"].as_array().expect("items");
    let seeds: std::collections::BTreeSet<u64> = items.iter().filter_map(|item| item["seed"].as_u64()).collect();
    assert!(items.iter().all(|item| steps(item) == ["reseed"]) && seeds.len() == 1, "{report:#}");
    let made = |locale: &str| Pixels::of_png(&rig.read(&format!("Out/sword.{locale}.png")));
    let en = made("en");
    for locale in ["de", "fr", "tr"] {
        let differ = en.differences(&made(locale));
        assert!(!differ.is_empty() && differ.iter().all(|(_, y)| *y < SIDE as usize * 3 / 10), "{locale}");
    }
}

/// What a full store gives up first is art that only led to a picture. The picture is found without it, here and by whoever
/// shares a folder of finished pictures, which has no art at all.
#[test]
fn a_repaired_picture_is_found_without_the_art_before_it() {
    let provider = blank_at_first();
    let share = tempfile::tempdir().expect("a folder");
    let manifest = |repair: &str| {
        format!(
            r#"project = "com.example.again"
[cache]
shared = {:?}
[output]
path = "Out/{{{{ asset }}}}.png"
{repair}
[assets.sword]
prompt = "a sword"
model = "gpt-image-2"
size = "{SIDE}x{SIDE}"
"#,
            share.path().display().to_string()
        )
    };
    let shop = || {
        let rig = with_account(&provider);
        rig.write("thumbforge.toml", manifest("[repair]\nmeans = [\"reseed\"]\n"));
        rig
    };
    let rig = shop();
    let first = build(&rig).expect(0).json()["items"][0].clone();
    assert_eq!((steps(&first), provider.count()), (vec!["reseed"], 2), "{first:#}");
    let made = rig.read("Out/sword.png");
    let ask_again = |rig: &Rig| {
        let _ = fs::remove_dir_all(rig.project().join("Out"));
        build(rig).expect(0).json()["items"][0].clone()
    };
    let forget_art = || {
        let journal = rusqlite::Connection::open(rig.journal()).expect("a journal");
        assert_eq!(journal.execute("DELETE FROM arts", []).expect("forgets"), 2);
    };
    forget_art();
    let colleague = shop();
    for rig in [&rig, &colleague] {
        let again = ask_again(rig);
        assert_eq!(provider.count(), 2, "nothing is bought: {again:#}");
        assert_eq!((&again["state"], &again["attempts"]), (&json!("done"), &json!(0)), "{again:#}");
        for said in ["repairs", "realised_key", "pixels", "seed", "verdict"] {
            assert_eq!(again[said], first[said], "{again:#}");
        }
        assert!(rig.read("Out/sword.png") == made, "the same bytes");
    }
    // Who forbids repair is not answered with a repaired picture.
    rig.write("thumbforge.toml", manifest("[repair]\nallow = false\n"));
    let plain = ask_again(&rig);
    assert_eq!((steps(&plain), provider.count()), (vec![], 3), "{plain:#}");
}

/// Who forbids repair and who allows it are other jobs, and their art is bought once.
#[test]
fn requests_that_are_held_to_something_else_share_what_was_bought() {
    // Long enough for both to be there before the picture is.
    let latency = std::time::Duration::from_secs(1);
    let provider = Provider::with(Options { size: Some((SIDE, SIDE)), latency, ..Options::plain() });
    let rig = with_account(&provider);
    let sidecar = rig.serve(&[]);
    std::thread::scope(|scope| {
        for more in [json!({}), json!({ "repair": false }), json!({ "repair": true })] {
            let mut body =
                json!({ "prompt": "a red potion", "model": "gpt-image-2", "size": "512x512", "text": "POTION" });
            body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            let mut client = sidecar.client();
            scope.spawn(move || client.post("/generate", &body).expect("an answer").expect(200));
        }
    });
    let count = |sql: &str| journal::open(&rig.journal()).query_row(sql, [], |row| row.get::<_, u64>(0)).expect(sql);
    assert_eq!(count("SELECT count(*) FROM jobs WHERE length(judged_by) = 32"), 2, "each kind has a job");
    assert_eq!((provider.count(), count("SELECT count(*) FROM arts")), (1, 1));
}

#[cfg(unix)]
#[test]
fn a_loop_that_is_killed_goes_on_where_it_was() {
    use thumbforge_tests::rig::{PATIENCE, Signal, wait_for};

    let provider = blunt(100, None);
    let Some(rig) = shop("a_loop_that_is_killed", &provider, 0..6, "auto", "") else { return };
    for steps in [3_u64, 9] {
        let mut killed = rig.start(&["batch", "--json"]);
        wait_for("steps", PATIENCE, || {
            let sql = "SELECT count(*) FROM repairs";
            let taken =
                rig.journal().exists().then(|| journal::open(&rig.journal()))?.query_row(sql, [], |row| row.get(0));
            (taken.unwrap_or(0_u64) >= steps).then_some(())
        });
        killed.signal(Signal::Kill);
        killed.ended();
    }
    let ran = build(&rig).json();
    let count = |sql: &str| journal::open(&rig.journal()).query_row(sql, [], |row| row.get::<_, u64>(0)).expect(sql);
    // What was on its way when a process ended may be billed and lost; a person is told of each, and nothing else is bought
    // twice: no art has two prices.
    let twice = count(
        "SELECT count(*) FROM (SELECT art FROM attempts WHERE outcome = 'rendered' AND account IS NOT NULL
           GROUP BY art HAVING count(*) > 1)",
    );
    assert_eq!(twice, 0, "{ran:#}");
    let unknown = count("SELECT count(*) FROM attempts WHERE outcome = 'ambiguous'");
    let settled = count("SELECT count(*) FROM attempts WHERE outcome = 'rendered' AND account IS NOT NULL");
    let billed = provider.book().charges.len() as u64;
    assert!((settled..=settled + unknown).contains(&billed), "{billed} billed, {settled} known, {unknown} unknown");
    for (_, item) in items(&ran).iter().filter(|(_, item)| item["state"] == "done") {
        assert_eq!(steps(item), ["inpaint", "reseed", "escalate", "composite"], "{item:#}");
    }
}
