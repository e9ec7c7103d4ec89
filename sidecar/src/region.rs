//! The region of a picture that is drawn anew: from where words failed to a mask.

use thumbforge_core::image::{Extent, PixelBox};
use thumbforge_core::recipe::Recipe;
use thumbforge_core::text_layer::TextLayer;
use thumbforge_core::verdict::{Finding, FindingCode, Severity};

/// Most boxes of one mask; the rest stays as it is. Every box is looked at for every pixel near it.
const BOXES_MAX: usize = 32;
/// A box grows by this share of its height to every side: letters that were missed stand beside those that were read.
const GROWTH: f64 = 0.5;
/// The mask's soft edge, as a share of the picture's shorter side: a seam is softer than the letters are tall.
const FEATHER: f64 = 0.03;
/// A region of more than this share of the picture is the picture: to draw it anew keeps nothing worth keeping.
const SHARE_MAX: f64 = 0.75;

/// Where words failed: around where they were read, and all of the area that the template has for them, since right words
/// may break into other lines than wrong ones, and letters must not be cut.
pub fn boxes(findings: &[Finding], recipe: &Recipe) -> Vec<PixelBox> {
    use FindingCode::{TextIllegible, TextMismatch, TextUnexpected};
    let failed = |finding: &&Finding| {
        matches!(finding.code, TextMismatch | TextIllegible | TextUnexpected) && finding.severity >= Severity::Warning
    };
    let places = |finding: &Finding| {
        // Findings say words without the places where they may break.
        let words = |layer: &&TextLayer| finding.expected.as_deref() == Some(layer.text.replace('\u{ad}', "").as_str());
        let layer = recipe.text.iter().find(words).map(|layer| area(layer.style.area, recipe.size));
        finding.place.map(grown).into_iter().chain(layer)
    };
    findings.iter().filter(failed).flat_map(places).take(BOXES_MAX).collect()
}

/// A box with room for letters that were missed beside it.
fn grown(place: PixelBox) -> PixelBox {
    let by = (f64::from(place.h) * GROWTH).max(2.0) as u32;
    PixelBox {
        x: place.x.saturating_sub_unsigned(by),
        y: place.y.saturating_sub_unsigned(by),
        w: place.w.saturating_add(by.saturating_mul(2)),
        h: place.h.saturating_add(by.saturating_mul(2)),
    }
}

/// An area in fractions of the picture, in pixels.
fn area([x, y, w, h]: [f64; 4], size: Extent) -> PixelBox {
    let (width, height) = (f64::from(size.width), f64::from(size.height));
    let pixels = |fraction: f64, of: f64| (fraction * of).round().clamp(0.0, of) as u32;
    PixelBox { x: pixels(x, width) as i32, y: pixels(y, height) as i32, w: pixels(w, width), h: pixels(h, height) }
}

/// A mask of `size`, a byte a pixel: 255 in the boxes, falling to 0 over the soft edge around them. `None` where
/// there is nothing to draw anew, or nearly everything.
pub fn mask(boxes: &[PixelBox], size: Extent) -> Option<Vec<u8>> {
    let (width, height) = (size.width as usize, size.height as usize);
    let feather = (f64::from(size.width.min(size.height)) * FEATHER).max(2.0);
    let mut mask = vec![0_u8; width * height];
    for place in boxes.iter().take(BOXES_MAX).filter(|place| place.w > 0 && place.h > 0) {
        let (left, top) = (f64::from(place.x), f64::from(place.y));
        let (right, bottom) = (place.right() as f64, place.bottom() as f64);
        let within = |from: f64, to: f64, of: usize| {
            let of = of as f64;
            ((from - feather).clamp(0.0, of) as usize, (to + feather).ceil().clamp(0.0, of) as usize)
        };
        let ((x_from, x_to), (y_from, y_to)) = (within(left, right, width), within(top, bottom, height));
        for y in y_from..y_to {
            let dy = beyond(y as f64 + 0.5, top, bottom);
            for x in x_from..x_to {
                let dx = beyond(x as f64 + 0.5, left, right);
                let far = (dx * dx + dy * dy).sqrt();
                let value = (255.0 * (1.0 - far / feather)).round().clamp(0.0, 255.0) as u8;
                let pixel = &mut mask[y * width + x];
                *pixel = (*pixel).max(value);
            }
        }
    }
    let drawn = mask.iter().filter(|value| **value > 127).count() as f64;
    (drawn > 0.0 && drawn <= SHARE_MAX * mask.len() as f64).then_some(mask)
}

/// How far `at` lies outside of `from..to`.
fn beyond(at: f64, from: f64, to: f64) -> f64 {
    (from - at).max(at - to).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use thumbforge_core::text_layer::{TextMode, TextStyle};

    const SIZE: Extent = Extent { width: 100, height: 80 };

    fn place(x: i32, y: i32, width: u32, height: u32) -> PixelBox {
        PixelBox { x, y, w: width, h: height }
    }

    #[test]
    fn a_mask_is_white_where_words_failed_and_soft_around_it() {
        let mask = mask(&[place(40, 30, 20, 10)], SIZE).expect("a region");
        let at = |x: usize, y: usize| mask[y * 100 + x];
        assert_eq!((at(50, 35), at(40, 30), at(59, 39)), (255, 255, 255));
        assert_eq!((at(10, 35), at(50, 5), at(99, 79)), (0, 0, 0));
        assert!((1..255).contains(&at(60, 35)), "{}", at(60, 35));
    }

    #[test]
    fn nothing_and_everything_are_no_regions() {
        let check = |boxes: &[PixelBox], expected| assert_eq!(mask(boxes, SIZE).is_some(), expected, "{boxes:?}");
        check(&[], false);
        check(&[place(0, 0, 100, 80)], false);
        check(&[place(10, 10, 0, 10)], false);
        check(&[place(-50, -50, 10, 10)], false);
        check(&[place(i32::MAX, i32::MIN, u32::MAX, 1)], false);
        check(&[place(90, 70, 50, 5)], true);
        check(&[place(10, 10, 5, 5), place(80, 60, 5, 5)], true);
    }

    #[test]
    fn all_of_the_area_is_drawn_anew_and_what_stands_beside_it() {
        let style = TextStyle { area: [0.1, 0.5, 0.8, 0.25], ..TextStyle::default() };
        let (name, locale, mode) = ("title".to_owned(), "en".to_owned(), TextMode::Model);
        let layer = TextLayer { name, text: "SA\u{ad}LE".to_owned(), locale, mode, style };
        let recipe = Recipe { text: vec![layer], ..Recipe::from_prompt("a sword", SIZE) };
        let finding = |code, place, expected: Option<&str>| Finding {
            code,
            severity: Severity::Error,
            message: String::new(),
            place,
            expected: expected.map(str::to_owned),
            read: None,
            score: None,
        };
        let check = |finding: Finding, expected: &[PixelBox]| assert_eq!(boxes(&[finding], &recipe), expected);
        let (read, grown, area) = (place(5, 6, 7, 8), place(1, 2, 15, 16), place(10, 40, 80, 20));
        check(finding(FindingCode::TextMismatch, Some(read), Some("SALE")), &[grown, area]);
        check(finding(FindingCode::TextMismatch, None, Some("SALE")), &[area]);
        check(finding(FindingCode::TextUnexpected, Some(read), None), &[grown]);
        check(finding(FindingCode::TextMismatch, None, Some("AKTION")), &[]);
        check(finding(FindingCode::Blank, Some(read), None), &[]);
    }
}
