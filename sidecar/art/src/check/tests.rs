//! Each check has a picture that trips it and one that does not.

use thumbforge_core::colour::Rgb;
use thumbforge_core::criteria::{Criteria, Level};
use thumbforge_core::image::{Extent, ImageBuf, PixelBox};
use thumbforge_core::text_layer::{Fill, Outline, Plate, TextLayer, TextMode, TextStyle, Weight};
use thumbforge_core::verdict::{Finding, FindingCode, Severity};

use super::{Checks, bounds, contrast, contrast_within};
use crate::text::{FontBook, SetLayer, set};

const SIDE: u32 = 256;

fn extent() -> Extent {
    Extent { width: SIDE, height: SIDE }
}

/// A picture whose pixel at x, y has the colour that `paint` says.
fn art(paint: impl Fn(u32, u32) -> [u8; 3]) -> ImageBuf {
    let pixels = (0..SIDE * SIDE).flat_map(|at| {
        let [r, g, b] = paint(at % SIDE, at / SIDE);
        [r, g, b, 255]
    });
    ImageBuf::from_rgba(extent(), pixels.collect()).expect("the right length")
}

/// Dark and busy enough to be no blank picture, with room for light text.
fn busy() -> ImageBuf {
    art(|x, y| [(x / 4) as u8, (y / 5) as u8, ((x ^ y) / 4) as u8])
}

fn layer(name: &str, text: &str, style: TextStyle) -> TextLayer {
    TextLayer {
        name: name.to_owned(),
        text: text.to_owned(),
        locale: "en".to_owned(),
        mode: TextMode::default(),
        style,
    }
}

fn plain() -> TextStyle {
    TextStyle { outline: None, shadow: None, area: [0.1, 0.1, 0.8, 0.3], ..TextStyle::default() }
}

/// Sets layers over `art` and runs the checks, changed as `change` says.
fn checked(art: &ImageBuf, layers: &[TextLayer], change: impl Fn(&mut Checks<'_>, &mut Vec<SetLayer>)) -> Vec<Finding> {
    let mut finished = art.clone();
    let mut set = set(&mut finished, layers, &FontBook::packaged()).expect("it fits");
    let none: Vec<SetLayer> = Vec::new();
    let nothing = Criteria::default();
    let mut checks = Checks {
        expected: extent(),
        art,
        finished: &finished,
        set: &none,
        safe_inset: bounds::SAFE_INSET,
        shown_width: SIDE,
        brand: &[],
        brand_set: &[],
        criteria: &nothing,
    };
    change(&mut checks, &mut set);
    Checks { set: &set, ..checks }.run()
}

fn found(art: &ImageBuf, layers: &[TextLayer]) -> Vec<Finding> {
    checked(art, layers, |_, _| ())
}

#[track_caller]
fn one(findings: &[Finding], code: FindingCode, severity: Severity, parts: &[&str]) {
    let [finding] = findings else { panic!("{findings:#?}") };
    assert_eq!((finding.code, finding.severity), (code, severity), "{}", finding.message);
    for part in parts {
        assert!(finding.message.contains(part), "{part:?} in {}", finding.message);
    }
}

#[test]
fn a_good_picture_has_no_findings() {
    let layers = [
        layer("title", "Dragon Harvest", TextStyle { area: [0.06, 0.06, 0.88, 0.3], ..TextStyle::default() }),
        layer("price", "$4.99", TextStyle { area: [0.5, 0.7, 0.4, 0.2], ..TextStyle::default() }),
    ];
    assert_eq!(found(&busy(), &layers), []);
}

#[test]
fn blank_pictures_are_found() {
    let blank = |art: ImageBuf| found(&art, &[]);
    one(&blank(art(|_, _| [20, 30, 40])), FindingCode::Blank, Severity::Error, &["100.0 %", "draw it again"]);
    // Noise of a decoder that failed softly.
    let dithered = art(|x, y| [128 + ((x * 7 + y * 13) % 3) as u8; 3]);
    one(&blank(dithered), FindingCode::Blank, Severity::Error, &["σ 0.8"]);
    let dot = art(|x, y| if x < 10 && y < 10 { [255; 3] } else { [10; 3] });
    one(&blank(dot), FindingCode::Blank, Severity::Error, &["99.8 %"]);
    let mark = art(|x, y| if x < 36 && y < 36 { [255; 3] } else { [10; 3] });
    one(&blank(mark), FindingCode::Blank, Severity::Warning, &["98.0 %", "look at it"]);
    one(&blank(ImageBuf::filled(extent(), [9, 9, 9, 0])), FindingCode::Blank, Severity::Error, &["transparent"]);
    let gradient = art(|x, _| [(x / 4) as u8, 40, 90]);
    assert_eq!(blank(gradient), []);
    let icon = art(|x, y| if x < 64 && y < 64 { [255; 3] } else { [10; 3] });
    assert_eq!(blank(icon), []);
}

#[test]
fn text_does_not_hide_that_nothing_was_drawn() {
    let findings = found(&art(|_, _| [20, 30, 40]), &[layer("title", "Sale", plain())]);
    one(&findings, FindingCode::Blank, Severity::Error, &[]);
}

#[test]
fn a_wrong_size_is_found_and_ends_the_checks() {
    let findings = checked(&busy(), &[layer("title", "Sale", plain())], |checks, _| {
        checks.expected = Extent { width: 512, height: 256 };
    });
    one(&findings, FindingCode::WrongSize, Severity::Error, &["256x256", "512x256"]);
}

#[test]
fn ink_outside_its_box_is_found() {
    let findings = checked(&busy(), &[layer("title", "Sale", plain())], |_, set| {
        let area = &mut set[0].area;
        *area = PixelBox { x: area.x + 90, w: 40, ..*area };
    });
    one(&findings, FindingCode::TextOutsideBox, Severity::Error, &["\"title\"", "px at the left", "smaller size"]);
}

#[test]
fn ink_outside_the_safe_area_is_found() {
    let rim = TextStyle { area: [0.0, 0.3, 1.0, 0.3], size: 0.5, lines_max: 1, ..plain() };
    let findings = found(&busy(), &[layer("title", "Dragons", rim.clone())]);
    one(&findings, FindingCode::TextOutsideSafeArea, Severity::Error, &["outer 3 %", "px at the left", "inwards"]);
    assert_eq!(checked(&busy(), &[layer("title", "Dragons", rim)], |checks, _| { checks.safe_inset = 0.0 }), []);
}

#[test]
fn layers_that_touch_are_found() {
    let low = TextStyle { area: [0.1, 0.15, 0.8, 0.3], ..plain() };
    let findings = found(&busy(), &[layer("title", "Sale", plain()), layer("subtitle", "Sale", low)]);
    assert!(findings.iter().any(|finding| finding.code == FindingCode::TextOverlap), "{findings:#?}");
    let badge = TextStyle {
        area: [0.3, 0.1, 0.4, 0.3],
        plate: Some(Plate { colour: Rgb([0; 3]), opacity: 1.0, radius: 0.5, padding: [0.3; 2] }),
        ..plain()
    };
    let findings = found(&busy(), &[layer("title", "Dragon Harvest", plain()), layer("price", "$5", badge)]);
    let overlap =
        findings.iter().find(|finding| finding.code == FindingCode::TextOverlap).expect("the plate hides letters");
    assert!(overlap.message.contains("\"title\" and \"price\""), "{}", overlap.message);
    let apart = TextStyle { area: [0.1, 0.6, 0.8, 0.3], ..plain() };
    assert_eq!(found(&busy(), &[layer("title", "Sale", plain()), layer("subtitle", "Sale", apart)]), []);
}

#[test]
fn letters_too_small_to_read_are_found() {
    let sized = |px: f64| TextStyle { size: px / f64::from(SIDE), size_min: px / f64::from(SIDE), ..plain() };
    let check = |px: f64, severity: Severity| {
        let findings = found(&busy(), &[layer("title", "Sale", sized(px))]);
        one(&findings, FindingCode::TextTooSmall, severity, &["small letters", "256 px wide", "size_min"]);
    };
    check(8.0, Severity::Error);
    check(10.5, Severity::Warning);
    assert_eq!(found(&busy(), &[layer("title", "Sale", sized(11.5))]), []);
    let shown = checked(&busy(), &[layer("title", "Sale", sized(20.0))], |checks, _| checks.shown_width = 96);
    one(&shown, FindingCode::TextTooSmall, Severity::Error, &["4.1 px", "96 px wide"]);
    let japanese = TextLayer { locale: "ja".to_owned(), ..layer("title", "限定", sized(12.0)) };
    one(&found(&busy(), &[japanese]), FindingCode::TextTooSmall, Severity::Warning, &["characters"]);
}

#[test]
fn contrast_is_that_of_wcag() {
    let check = |a: [u8; 3], b: [u8; 3], expected: f64| {
        let ratio = contrast::contrast(Rgb(a), Rgb(b));
        assert!((ratio - expected).abs() < 0.01, "{ratio} for {expected}");
    };
    check([0; 3], [255; 3], 21.0);
    check([255; 3], [255; 3], 1.0);
    // Known pairs: the lightest grey that passes on white, and pure red.
    check([118; 3], [255; 3], 4.54);
    check([255, 0, 0], [255; 3], 4.0);
}

#[test]
fn low_contrast_is_found() {
    let bright = art(|x, y| [200 + (x / 8) as u8, 200 + (y / 8) as u8, 190 + ((x ^ y) / 8) as u8]);
    let white = layer("title", "Sale", plain());
    one(
        &found(&bright, std::slice::from_ref(&white)),
        FindingCode::LowContrast,
        Severity::Error,
        &["\"title\"", "3:1", "add an outline"],
    );
    // The outline alone separates white letters from white.
    let outlined = TextStyle { outline: Some(Outline { colour: Rgb([20; 3]), width: 0.09 }), ..plain() };
    assert_eq!(found(&bright, &[layer("title", "Sale", outlined.clone())]), []);
    let thin = TextStyle { outline: Some(Outline { colour: Rgb([20; 3]), width: 0.01 }), ..plain() };
    one(
        &found(&bright, &[layer("title", "Sale", thin)]),
        FindingCode::LowContrast,
        Severity::Error,
        &["widen the outline"],
    );
    let plate = Some(Plate { colour: Rgb([30; 3]), opacity: 0.9, radius: 0.2, padding: [0.4; 2] });
    assert_eq!(found(&bright, &[layer("title", "Sale", TextStyle { plate, ..plain() })]), []);
    assert_eq!(found(&busy(), &[white]), []);
}

#[test]
fn the_worst_tenth_decides() {
    // White text across a picture whose right part is white: a strip as wide as the last letter.
    let strip = |from: u32| {
        art(move |x, y| if x >= from { [250, 250, 250 - (y / 20) as u8] } else { [(x / 4) as u8, (y / 4) as u8, 40] })
    };
    let wide = TextStyle { area: [0.1, 0.3, 0.8, 0.3], size: 0.4, lines_max: 1, ..plain() };
    let title = [layer("title", "HARVEST", wide)];
    one(&found(&strip(160), &title), FindingCode::LowContrast, Severity::Error, &["worst tenth"]);
    assert_eq!(found(&strip(228), &title), [], "less than a tenth");
}

#[test]
fn small_text_needs_more_contrast() {
    // 3.6:1 is enough for a large title and too little for a line of 14 pixels.
    let grey = Fill::Solid(Rgb([148; 3]));
    let dark = art(|x, y| [20 + ((x + y) % 24) as u8; 3]);
    let sized = |size: f64, weight| TextStyle { fill: grey, size, weight, ..plain() };
    assert_eq!(found(&dark, &[layer("title", "Sale", sized(0.2, Weight::Bold))]), []);
    let mid = art(|x, y| if y < 128 { [50 + ((x + y) % 12) as u8; 3] } else { [(x / 2) as u8; 3] });
    let small = found(&mid, &[layer("note", "Sale now", sized(0.056, Weight::Regular))]);
    one(&small, FindingCode::LowContrast, Severity::Error, &["4.5:1", "14 px"]);
}

/// As [`checked`], under criteria.
fn held_to(art: &ImageBuf, layers: &[TextLayer], criteria: &Criteria, brand: [&[Rgb]; 2]) -> Vec<Finding> {
    let mut finished = art.clone();
    let set = set(&mut finished, layers, &FontBook::packaged()).expect("it fits");
    let [brand, brand_set] = brand;
    Checks {
        expected: extent(),
        art,
        finished: &finished,
        set: &set,
        safe_inset: bounds::SAFE_INSET,
        shown_width: SIDE,
        brand,
        brand_set,
        criteria,
    }
    .run()
}

#[test]
fn criteria_say_how_bad_what_is() {
    let bright = art(|x, y| [200 + (x / 8) as u8, 200 + (y / 8) as u8, 190 + ((x ^ y) / 8) as u8]);
    let white = [layer("title", "Sale", plain())];
    let level = |contrast: Level| Criteria { contrast: Some(contrast), ..Criteria::default() };
    let under = |criteria: &Criteria| held_to(&bright, &white, criteria, [&[], &[]]);
    one(&under(&level(Level::Error)), FindingCode::LowContrast, Severity::Error, &[]);
    one(&under(&level(Level::Warning)), FindingCode::LowContrast, Severity::Warning, &[]);
    assert_eq!(under(&level(Level::Ignore)), []);
    assert_eq!(under(&Criteria { contrast_min: Some(1.0), ..Criteria::default() }), []);
    let strict = Criteria { contrast_min: Some(21.0), ..Criteria::default() };
    one(&held_to(&busy(), &white, &strict, [&[], &[]]), FindingCode::LowContrast, Severity::Error, &["21:1 is needed"]);
    let rim = TextStyle { area: [0.0, 0.3, 1.0, 0.3], size: 0.5, lines_max: 1, ..plain() };
    let rim = [layer("title", "Dragons", rim)];
    let safe = |safe_area: Level| Criteria { safe_area: Some(safe_area), ..Criteria::default() };
    let warned = held_to(&busy(), &rim, &safe(Level::Warning), [&[], &[]]);
    one(&warned, FindingCode::TextOutsideSafeArea, Severity::Warning, &[]);
    assert_eq!(held_to(&busy(), &rim, &safe(Level::Ignore), [&[], &[]]), []);
}

#[test]
fn the_least_height_of_letters_is_a_share_of_the_picture() {
    let title = [layer("title", "Sale", TextStyle { size: 0.1, ..plain() })];
    let least = |share: f64| Criteria { text_height: Some(share), ..Criteria::default() };
    assert_eq!(held_to(&busy(), &title, &least(0.04), [&[], &[]]), []);
    let found = held_to(&busy(), &title, &least(0.08), [&[], &[]]);
    one(&found, FindingCode::TextTooSmall, Severity::Error, &["8.0 % are asked for", "size_min"]);
}

#[test]
fn missing_brand_colours_are_found() {
    let blue = Rgb([11, 95, 255]);
    let share = |share: f64| Criteria { brand_share: Some(share), ..Criteria::default() };
    let marked = |side: u32| {
        art(move |x, y| if x < side && y < side { [14, 97, 250] } else { [(x / 2) as u8, 90, (y / 3) as u8] })
    };
    assert_eq!(held_to(&marked(26), &[], &Criteria::default(), [&[blue], &[]]), []);
    let lost = held_to(&marked(8), &[], &Criteria::default(), [&[blue], &[]]);
    one(&lost, FindingCode::BrandColour, Severity::Warning, &["#0b5fff covers 0.10 %", "0.50 % is asked for"]);
    assert_eq!(held_to(&marked(8), &[], &share(0.0005), [&[blue], &[]]), []);
    let strict = Criteria { brand: Some(Level::Error), ..share(0.05) };
    one(&held_to(&marked(26), &[], &strict, [&[blue], &[]]), FindingCode::BrandColour, Severity::Error, &["1.03 %"]);
    let near = Criteria { brand_delta_e: Some(0.1), ..Criteria::default() };
    one(&held_to(&marked(26), &[], &near, [&[blue], &[]]), FindingCode::BrandColour, Severity::Warning, &["0.00 %"]);
    // What the letters show counts where the letters are to show it, and only there.
    let letters = [layer("title", "Sale", TextStyle { fill: Fill::Solid(blue), ..plain() })];
    let lenient = Criteria { contrast: Some(Level::Ignore), ..Criteria::default() };
    assert_eq!(held_to(&marked(0), &letters, &lenient, [&[], &[blue]]), []);
    let by_art = held_to(&marked(0), &letters, &lenient, [&[blue], &[]]);
    one(&by_art, FindingCode::BrandColour, Severity::Warning, &[]);
}

#[test]
fn contrast_of_unknown_letters_is_that_of_their_colours() {
    let check = |letters: [u8; 3], behind: [u8; 3], expected: f64| {
        let drawn = art(|x, y| if (y / 6) % 3 == 0 && x > 20 { letters } else { behind });
        let place = PixelBox { x: 10, y: 10, w: 200, h: 100 };
        let found = contrast_within(&drawn, place).expect("two colours");
        assert!((found - expected).abs() < 0.2, "{found} for {expected}");
    };
    check([0; 3], [255; 3], 21.0);
    check([255; 3], [118; 3], 4.54);
    check([60; 3], [40; 3], contrast::contrast(Rgb([60; 3]), Rgb([40; 3])));
    let flat = art(|_, _| [40; 3]);
    assert_eq!(contrast_within(&flat, PixelBox { x: 0, y: 0, w: 10, h: 10 }), None);
    assert_eq!(contrast_within(&flat, PixelBox { x: -20, y: 0, w: 10, h: 10 }), None);
}
