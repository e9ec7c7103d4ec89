//! Ink stays in its box or there is an error that tells the mend.

use proptest::prelude::*;
use thumbforge_core::text_layer::{Align, Outline, TextStyle, VerticalAlign};

use super::*;

#[test]
fn words_shrink_until_they_fit() {
    let wide = set_one("en", "Dragon", TextStyle::default()).expect("it fits");
    let narrow =
        set_one("en", "Dragon", TextStyle { area: [0.1, 0.1, 0.3, 0.3], ..TextStyle::default() }).expect("it fits");
    assert!(narrow.size_px < wide.size_px);
    assert!(narrow.area.contains(narrow.ink));
}

#[test]
fn ink_touches_the_side_that_it_is_aligned_to() {
    let at = |locale: &str, text: &str, align, valign| {
        let style = TextStyle { area: [0.25, 0.25, 0.5, 0.5], align, valign, lines_max: 1, ..TextStyle::default() };
        set_one(locale, text, style).expect("it fits")
    };
    let start = at("en", "Ink", Align::Start, VerticalAlign::Top);
    assert_eq!((start.ink.x, start.ink.y), (64, 64));
    let end = at("en", "Ink", Align::End, VerticalAlign::Bottom);
    assert_eq!((end.ink.right(), end.ink.bottom()), (192, 192));
    assert_eq!(at("ar", "خصم", Align::Start, VerticalAlign::Top).ink.right(), 192);
    assert_eq!(at("he", "חם", Align::End, VerticalAlign::Top).ink.x, 64);
}

#[test]
fn ink_is_centred_to_a_pixel() {
    for (locale, text) in [("en", "jAy"), ("ar", "تخفيض"), ("th", "น้ำ"), ("ja", "「限定"), ("en", "– Ty.")]
    {
        let set =
            set_one(locale, text, TextStyle { area: [0.1, 0.1, 0.8, 0.8], ..TextStyle::default() }).expect("it fits");
        let left = i64::from(set.ink.x - set.area.x);
        let right = set.area.right() - set.ink.right();
        assert!((left - right).abs() <= 1, "{text}: {left} px left, {right} px right");
    }
}

#[test]
fn an_unbreakable_word_that_is_too_long_tells_the_mend() {
    let style = TextStyle { area: [0.3, 0.1, 0.3, 0.3], size_min: 0.1, ..TextStyle::default() };
    let error = set_one("de", "Drachenernteschlachtfeldmeisterschaft", style.clone()).expect_err("it is too long");
    let message = error.to_string();
    assert!(matches!(error, TextError::DoesNotFit { .. }), "{message}");
    for part in ["25.6 px", "px wide and has", "U+00AD", "size_min", "shorten"] {
        assert!(message.contains(part), "{part:?} in {message}");
    }
    let hyphens = "Drachen\u{ad}ernte\u{ad}schlacht\u{ad}feld\u{ad}meister\u{ad}schaft";
    let style = TextStyle { lines_max: 6, area: [0.3, 0.1, 0.4, 0.9], size_min: 0.06, ..style };
    let set = set_one("de", hyphens, style).expect("hyphens make it fit");
    assert_eq!(set.lines.concat().replace('-', ""), "Drachenernteschlachtfeldmeisterschaft");
    assert!(set.lines.iter().rev().skip(1).all(|line| line.ends_with('-')), "{:?}", set.lines);
}

#[test]
fn more_lines_than_allowed_are_refused() {
    let error = set_one("en", "a\nb\nc", TextStyle::default()).expect_err("three lines");
    assert!(error.to_string().contains("3 lines, of which 2 may be"), "{error}");
}

#[test]
fn styles_that_cannot_be_drawn_are_refused() {
    let refused = |style| set_one("en", "Sale", style).expect_err("a bad style").to_string();
    let style = TextStyle::default;
    assert!(refused(TextStyle { area: [0.5, 0.0, 0.6, 1.0], ..style() }).contains("area is"));
    assert!(refused(TextStyle { area: [f64::NAN, 0.0, 0.6, 1.0], ..style() }).contains("area is"));
    assert!(refused(TextStyle { size: 0.0, ..style() }).contains("size is"));
    assert!(refused(TextStyle { size_min: 0.5, ..style() }).contains("size_min is"));
    assert!(refused(TextStyle { line_height: 9.0, ..style() }).contains("line_height is"));
    assert!(set_one("en", " \u{ad}\n", style()).expect_err("no words").to_string().contains("no words"));
}

#[test]
fn nothing_is_painted_when_one_layer_fails() {
    let mut image = picture(256);
    let before = image.hash();
    let layers = [layer("en", "fine", TextStyle::default()), layer("en", "🐉", TextStyle::default())];
    assert!(set(&mut image, &layers, &FontBook::packaged()).is_err());
    assert_eq!(image.hash(), before);
}

fn words() -> impl Strategy<Value = (&'static str, String)> {
    let sample = |locale: &'static str, words: &'static [&'static str]| {
        prop::collection::vec(prop::sample::select(words), 1..5).prop_map(move |words| (locale, words.join(" ")))
    };
    prop_oneof![
        sample("en", &["Jaywalk", "of", "Quest", "fly", "W", "I", "gjpqy,"]),
        sample("vi", &["Huyền", "thoại", "Ặ", "ưỡng"]),
        sample("ja", &["限定セール", "「竜」", "ー", "ドラゴン、"]),
        sample("ar", &["تخفيضات", "كبيرة", "لِلّٰهِ", "50%", "KAI"]),
        sample("hi", &["हिन्दी", "क्षत्रिय", "शुरू"]),
        sample("th", &["น้ำ", "ผู้ยิ่งใหญ่", "ที่"]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]
    #[test]
    fn ink_lies_in_its_box_or_there_is_an_error(
        (locale, text) in words(),
        (x, y, w, h) in (0.0..0.5, 0.0..0.5, 0.1..0.5, 0.05..0.5),
        (size, outline, lines_max) in (0.02..0.4, 0.0..0.3, 1..4_u8),
        start in any::<bool>(),
    ) {
        let style = TextStyle {
            area: [x, y, w, h],
            size,
            size_min: 0.02,
            lines_max,
            align: if start { Align::Start } else { Align::Center },
            valign: if start { VerticalAlign::Bottom } else { VerticalAlign::Middle },
            outline: Some(Outline { colour: thumbforge_core::colour::Rgb([0; 3]), width: outline }),
            ..TextStyle::default()
        };
        match set_one(locale, &text, style) {
            Ok(set) => {
                prop_assert!(set.area.contains(set.ink), "{:?} in {:?}", set.ink, set.area);
                prop_assert!(set.ink.w > 0 && set.lines.len() <= usize::from(lines_max));
            }
            Err(error) => prop_assert!(matches!(error, TextError::DoesNotFit { .. }), "{}", error),
        }
    }
}
