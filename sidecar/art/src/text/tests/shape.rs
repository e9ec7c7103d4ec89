//! Direction, capitals and the places of marks.

use parley_engine::BaseDirection;
use thumbforge_core::text_layer::{TextStyle, Weight};

use super::super::locale::{Choice, Locale};
use super::super::shape::{Line, Setting};
use super::*;

fn line(locale: &str, text: &str, direction: BaseDirection, tracking: f32) -> Line {
    let locale = Locale::parse(locale);
    let choice = Choice::new(locale, Weight::Bold, None);
    let setting = Setting { choice, locale, direction, tracking, variations: Vec::new() };
    FontBook::packaged().with_bench(|bench| bench.line(text.to_owned(), &setting)).expect("every glyph is there")
}

/// Places of glyphs from left to right, as ids of the same glyphs set alone.
fn ids(line: &Line) -> Vec<u32> {
    line.glyphs.iter().map(|glyph| glyph.id).collect()
}

#[test]
fn hebrew_runs_from_the_right_and_its_numbers_from_the_left() {
    let one = |text: &str| ids(&line("he", text, BaseDirection::Rtl, 0.0))[0];
    let set = ids(&line("he", "אב 12", BaseDirection::Rtl, 0.0));
    assert_eq!(set, [one("1"), one("2"), one("ב"), one("א")]);
    // A Latin word keeps its own direction and stands where the base direction puts it.
    let rtl = ids(&line("he", "אב k", BaseDirection::Rtl, 0.0));
    let ltr = ids(&line("he", "אב k", BaseDirection::Ltr, 0.0));
    assert_eq!(rtl, [one("k"), one("ב"), one("א")]);
    assert_eq!(ltr, [one("ב"), one("א"), one("k")]);
}

#[test]
fn brackets_are_mirrored_from_the_right() {
    let rtl = ids(&line("he", "(א)", BaseDirection::Rtl, 0.0));
    let ltr = ids(&line("en", "(", BaseDirection::Ltr, 0.0));
    assert_eq!(rtl.len(), 3);
    assert_eq!(rtl[0], ltr[0], "the leftmost bracket opens to the right");
}

#[test]
fn arabic_letters_join() {
    let joined = ids(&line("ar", "ببب", BaseDirection::Rtl, 0.0));
    assert_eq!(joined.len(), 3);
    assert!(joined[0] != joined[1] && joined[1] != joined[2], "three forms of one letter: {joined:?}");
}

#[test]
fn tracking_spreads_latin_and_leaves_arabic_joined() {
    let width = |locale: &str, text: &str, tracking| {
        let ink = line(locale, text, BaseDirection::Auto, tracking).ink.expect("ink");
        ink.right - ink.left
    };
    let spread = width("en", "SALE", 0.2) - width("en", "SALE", 0.0);
    assert!((0.5..0.7).contains(&spread), "three gaps of 0.2: {spread}");
    assert_eq!(width("ar", "تخفيض", 0.2), width("ar", "تخفيض", 0.0));
    assert_eq!(width("hi", "हिन्दी", 0.2), width("hi", "हिन्दी", 0.0));
    let hebrew = width("he", "חם", 0.2) - width("he", "חם", 0.0);
    assert!((0.15..0.25).contains(&hebrew), "{hebrew}");
}

#[test]
fn thai_marks_stack_above_their_letter() {
    let base = line("th", "น", BaseDirection::Ltr, 0.0).ink.expect("ink");
    let marked = line("th", "นี้", BaseDirection::Ltr, 0.0).ink.expect("ink");
    assert!(marked.top < base.top - 0.3, "{marked:?} above {base:?}");
    assert!((marked.bottom - base.bottom).abs() < 0.02);
}

#[test]
fn conjuncts_and_matras_are_formed() {
    // The short i is drawn before its letter, and k + virama + sh is one glyph.
    let i = ids(&line("hi", "कि", BaseDirection::Ltr, 0.0));
    assert_eq!(i.last(), ids(&line("hi", "क", BaseDirection::Ltr, 0.0)).last());
    assert_eq!(line("hi", "क्ष", BaseDirection::Ltr, 0.0).glyphs.len(), 1);
}

#[test]
fn capitals_follow_the_language() {
    let check = |locale: &str, text: &str, expected: &str| {
        assert_eq!(Locale::parse(locale).uppercase(text), expected, "{locale}");
    };
    check("en", "istanbul", "ISTANBUL");
    check("tr", "istanbul ılık", "İSTANBUL ILIK");
    check("az", "indi", "İNDİ");
    check("de", "Straße", "STRASSE");
    check("el", "Προσφορές άι", "ΠΡΟΣΦΟΡΕΣ ΑΪ");
    check("fr", "été à", "ÉTÉ À");
    check("vi", "giảm giá", "GIẢM GIÁ");
    check("uk", "їжак ґанок", "ЇЖАК ҐАНОК");
    check("ja", "sale セール", "SALE セール");
    check("ar", "خصم kai", "خصم KAI");
}

#[test]
fn uppercase_style_sets_capitals() {
    let set = set_one("tr", "indirim", TextStyle { uppercase: true, ..TextStyle::default() }).expect("it fits");
    assert_eq!(set.lines, ["İNDİRİM"]);
}
