//! One picture in twelve languages: art is made once, and only words differ.

use thumbforge_tests::provider::Provider;
use thumbforge_tests::rig::Rig;

use crate::fixture::{Pixels, counts, with_account};
use crate::local::registered;

/// Locales, and the words of a title and a badge in each.
const WORDS: [(&str, &str, &str); 12] = [
    ("en", "Dragon Harvest", "New"),
    ("de", "Drachenernte", "Neu"),
    ("fr", "Moisson des dragons", "Nouveau"),
    ("tr", "Ejderha Hasadı", "Yeni"),
    ("ru", "Жатва драконов", "Новое"),
    ("ja", "ドラゴンの収穫", "新登場"),
    ("ko", "드래곤 하베스트", "신규"),
    ("zh-Hans", "巨龙丰收", "新品"),
    ("ar", "حصاد التنين", "جديد"),
    ("he", "קציר הדרקון", "חדש"),
    ("hi", "ड्रैगन फसल", "नया"),
    ("th", "เก็บเกี่ยวมังกร", "ใหม่"),
];

/// Title and badge, `[x, y, width, height]` in pixels; ink, outline and shadow stay within this and the reach of a shadow.
const TITLE: [usize; 4] = [13, 13, 230, 64];
const BADGE: [usize; 4] = [128, 192, 115, 40];
/// How far a shadow reaches beyond its letters, at most: three sigmas of the blur and its offset, of letters of a fifth of
/// the picture.
const SHADOW: usize = 16;

fn table(change: Option<(&str, &str)>) -> String {
    let locales: Vec<&str> = WORDS.iter().map(|(locale, ..)| *locale).collect();
    let title = |(locale, title, _): &(&str, &str, &str)| {
        change.filter(|(changed, _)| changed == locale).map_or((*title).to_owned(), |(_, words)| words.to_owned())
    };
    let titles: Vec<String> = WORDS.iter().map(title).collect();
    let badges: Vec<&str> = WORDS.iter().map(|(_, _, badge)| *badge).collect();
    format!("Key,{}\ndragon.title,{}\ndragon.badge,{}\n", locales.join(","), titles.join(","), badges.join(","))
}

/// The manifest, drawn with `model`; `style` stands in both layers.
fn manifest(model: &str, style: &str) -> String {
    let locales: Vec<String> = WORDS.iter().map(|(locale, ..)| format!("{locale:?}")).collect();
    let area = |[x, y, w, h]: [usize; 4]| [x, y, w, h].map(|side| side as f64 / 256.0);
    format!(
        r#"project = "com.example.locales"
[locales]
list = [{}]
strings = ["Shop.csv"]
[output]
path = "Out/{{{{ asset }}}}.{{{{ locale }}}}.png"
[templates.card]
prompt = "{{{{ subject }}}} at night"
model = "{model}"
size = "256x256"
[[templates.card.text]]
name = "title"
string = "{{{{ asset }}}}.title"
area = {:?}
size = 0.13
{style}
[[templates.card.text]]
name = "badge"
string = "{{{{ asset }}}}.badge"
area = {:?}
size = 0.07
lines_max = 1
{style}
[assets.dragon]
template = "card"
vars = {{ subject = "a red dragon" }}
"#,
        locales.join(", "),
        area(TITLE),
        area(BADGE),
    )
}

fn made(rig: &Rig) -> Vec<Pixels> {
    let path = |locale: &str| format!("Out/dragon.{locale}.png");
    WORDS.iter().map(|(locale, ..)| Pixels::of_png(&rig.read(&path(locale)))).collect()
}

fn within(area: [usize; 4], (x, y): (usize, usize)) -> bool {
    let [left, top, width, height] = area;
    (left.saturating_sub(SHADOW)..left + width + SHADOW).contains(&x)
        && (top.saturating_sub(SHADOW)..top + height + SHADOW).contains(&y)
}

/// Pictures differ in their words and nowhere else.
#[track_caller]
fn share_their_art(pictures: &[Pixels]) {
    for (other, (locale, ..)) in pictures.iter().zip(WORDS).skip(1) {
        let differ = pictures[0].differences(other);
        assert!(!differ.is_empty(), "{locale} has the words of en");
        let elsewhere: Vec<_> =
            differ.into_iter().filter(|at| !within(TITLE, *at) && !within(BADGE, *at)).take(4).collect();
        assert!(elsewhere.is_empty(), "{locale} differs at {elsewhere:?}");
    }
}

fn build(rig: &Rig) -> [u64; 5] {
    counts(&rig.run(&["batch", "--json"]).expect(0).json())
}

#[test]
fn twelve_locales_cost_one_call_and_a_changed_word_costs_none() {
    let provider = Provider::start();
    let rig = with_account(&provider);
    rig.write("thumbforge.toml", manifest("gpt-image-2", ""));
    rig.write("Shop.csv", table(None));
    assert_eq!(build(&rig), [12, 0, 0, 12, 0]);
    assert_eq!(provider.book().charges.len(), 1, "one picture is bought");
    let before = made(&rig);
    share_their_art(&before);

    // One word of one locale: one texture, no call.
    rig.write("Shop.csv", table(Some(("ja", "ドラゴン大収穫"))));
    assert_eq!(build(&rig), [12, 11, 0, 1, 0]);
    assert_eq!(provider.count(), 1, "nothing was asked again");
    let after = made(&rig);
    for ((before, after), (locale, ..)) in before.iter().zip(&after).zip(WORDS) {
        let differ = before.differences(after);
        assert_eq!(!differ.is_empty(), locale == "ja", "{locale}");
        assert!(differ.iter().all(|at| within(TITLE, *at)), "{locale} differs beside its title");
    }
}

#[test]
fn calm_and_guarded_words_stand_at_one_place_in_all_locales() {
    let rig = Rig::new(crate::BINARY);
    let style = "guard = \"auto\"\nplace = \"calm\"\n";
    rig.write("thumbforge.toml", manifest("builtin", style));
    rig.write("Shop.csv", table(None));
    assert_eq!(build(&rig), [12, 0, 0, 12, 0]);
    let pictures = made(&rig);
    // Wherever they went: all that differs lies in two boxes of the areas' sizes, which are the same everywhere.
    let differ: std::collections::BTreeSet<_> =
        pictures[1..].iter().flat_map(|other| pictures[0].differences(other)).collect();
    let rows = |from: usize, to: usize| differ.iter().filter(|(_, y)| (from..to).contains(y)).count();
    assert!(!differ.is_empty());
    let touched = (0..256).filter(|y| rows(*y, y + 1) > 0).count();
    assert!(touched <= TITLE[3] + BADGE[3] + 4 * SHADOW, "words of {touched} rows differ");
}

#[test]
fn twelve_locales_of_a_local_model_are_drawn_once() {
    let rig = registered();
    // The toy's art is noise; words over it are what is looked at here, and not the art.
    let mut manifest = manifest("sd3.5-medium", "guard = \"auto\"");
    manifest = manifest.replace("prompt =", "settings = { steps = 2 }\nprompt =");
    rig.write("thumbforge.toml", &manifest);
    rig.write("Shop.csv", table(None));
    let build = |events: &str| {
        let report = rig.run(&["batch", "--json", "--events", events]).expect(0).json();
        let events = String::from_utf8(rig.read(events)).expect("text");
        let lines = events.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an event"));
        // Whoever takes another's art takes no steps.
        let drew: std::collections::BTreeSet<String> = lines
            .filter(|line| line["steps"].as_u64().is_some_and(|steps| steps > 0))
            .map(|line| line["path"].as_str().expect("a path").to_owned())
            .collect();
        (counts(&report), drew.len())
    };
    assert_eq!(build("first.ndjson"), ([12, 0, 0, 12, 0], 1));
    let before = made(&rig);
    share_their_art(&before);
    rig.write("Shop.csv", table(Some(("ja", "ドラゴン大収穫"))));
    assert_eq!(build("second.ndjson"), ([12, 11, 0, 1, 0], 0));
    let differ = |(before, after): (&Pixels, &Pixels)| !before.differences(after).is_empty();
    let changed: Vec<bool> = before.iter().zip(&made(&rig)).map(differ).collect();
    assert_eq!(changed.iter().filter(|changed| **changed).count(), 1);
}
