//! Whether sizes and places are as asked: picture, box, safe area, overlaps, height of letters.

use thumbforge_core::image::{Extent, PixelBox};
use thumbforge_core::verdict::{Finding, FindingCode, Severity};

use super::{Checks, bounds, finding};
use crate::text::{LetterHeight, SetLayer};

pub(super) fn wrong_size(checks: &Checks<'_>) -> Option<Finding> {
    let (asked, real) = (checks.expected, checks.finished.extent());
    (asked != real).then(|| {
        let message = format!(
            "the picture is {real} and {asked} was asked for; ask the engine for a size that it draws, \
             or let the picture be resized"
        );
        finding(FindingCode::WrongSize, Severity::Error, message, None, f64::from(real.width) / f64::from(asked.width))
    })
}

/// Ink outside its box, else outside the safe area.
pub(super) fn outside(checks: &Checks<'_>, layer: &SetLayer) -> Option<Finding> {
    let name = &layer.name;
    if !layer.area.contains(layer.ink) {
        let message = format!(
            "the ink of layer {name:?} leaves its area{}; set it again with a smaller size or a wider area",
            overhang(layer.ink, layer.area)
        );
        return Some(about(layer, FindingCode::TextOutsideBox, message, spill(layer.ink, layer.area)));
    }
    let severity = checks.criteria.safe_area_level().severity()?;
    let safe = safe_area(checks.finished.extent(), checks.safe_inset);
    (!safe.contains(layer.ink)).then(|| {
        let message = format!(
            "layer {name:?} reaches into the outer {:.0} % that shops crop or cover{}; \
             move its area inwards",
            checks.safe_inset * 100.0,
            overhang(layer.ink, safe)
        );
        Finding { severity, ..about(layer, FindingCode::TextOutsideSafeArea, message, spill(layer.ink, safe)) }
    })
}

/// The part of a picture that text may use, rounded outwards by less than a pixel.
pub fn safe_area(extent: Extent, inset: f64) -> PixelBox {
    let side = |length: u32| libm::floor(f64::from(length) * inset.clamp(0.0, 0.49)) as u32;
    let (x, y) = (side(extent.width), side(extent.height));
    PixelBox { x: x as i32, y: y as i32, w: extent.width - 2 * x, h: extent.height - 2 * y }
}

/// How far `inner` reaches beyond `outer`, in pixels at the worst side.
fn spill(inner: PixelBox, outer: PixelBox) -> f64 {
    sides(inner, outer).into_iter().map(|(_, by)| by).max().unwrap_or(0) as f64
}

fn sides(inner: PixelBox, outer: PixelBox) -> [(&'static str, i64); 4] {
    [
        ("left", i64::from(outer.x) - i64::from(inner.x)),
        ("top", i64::from(outer.y) - i64::from(inner.y)),
        ("right", inner.right() - outer.right()),
        ("bottom", inner.bottom() - outer.bottom()),
    ]
}

/// " by 3 px at the left and 2 px at the top".
fn overhang(inner: PixelBox, outer: PixelBox) -> String {
    let over: Vec<String> = sides(inner, outer)
        .into_iter()
        .filter(|&(_, by)| by > 0)
        .map(|(side, by)| format!("{by} px at the {side}"))
        .collect();
    if over.is_empty() { String::new() } else { format!(" by {}", over.join(" and ")) }
}

pub(super) fn too_small(checks: &Checks<'_>, layer: &SetLayer) -> Option<Finding> {
    let scale = f64::from(checks.shown_width) / f64::from(checks.finished.extent().width.max(1));
    let (height, least, enough, what) = match layer.letter {
        LetterHeight::Small(px) => {
            (f64::from(px) * scale, bounds::SMALL_LETTER_PX_MIN, bounds::SMALL_LETTER_PX_WARN, "small letters")
        }
        LetterHeight::Whole(px) => {
            (f64::from(px) * scale, bounds::WHOLE_CHARACTER_PX_MIN, bounds::WHOLE_CHARACTER_PX_WARN, "characters")
        }
    };
    let tall = f64::from(checks.finished.extent().height.max(1)) * scale;
    if let Some(share) = checks.criteria.text_height.filter(|share| height < share * tall - 0.005) {
        let message = format!(
            "{what} of layer {:?} are {:.1} % of the picture high, and {:.1} % are asked for; shorten the text, raise \
             size_min or widen the area",
            layer.name,
            height / tall * 100.0,
            share * 100.0
        );
        return Some(about(layer, FindingCode::TextTooSmall, message, height / tall));
    }
    if height >= enough {
        return None;
    }
    let message = format!(
        "{what} of layer {:?} are {height:.1} px high where the picture is shown {} px wide, and {enough} are easy to read; \
         shorten the text, raise size_min or widen the area",
        layer.name, checks.shown_width
    );
    let severity = if height < least { Severity::Error } else { Severity::Warning };
    Some(Finding { severity, ..about(layer, FindingCode::TextTooSmall, message, height) })
}

/// Pairs of layers whose letters, or plates, lie on each other.
pub(super) fn overlaps(set: &[SetLayer]) -> Vec<Finding> {
    let pairs = set.iter().enumerate().flat_map(|(at, lower)| set[at + 1..].iter().map(move |upper| (lower, upper)));
    pairs
        .filter_map(|(lower, upper)| {
            let place = whole(lower).intersection(whole(upper))?;
            let touching = touching(lower, upper, place);
            (touching > bounds::OVERLAP_PIXELS_MAX).then(|| {
                let message = format!(
                    "layers {:?} and {:?} lie on each other in {touching} pixels; move one area, or make one smaller",
                    lower.name, upper.name
                );
                finding(FindingCode::TextOverlap, Severity::Error, message, Some(place), touching as f64)
            })
        })
        .collect()
}

/// Everything that a layer covers: its plate holds its ink.
fn whole(layer: &SetLayer) -> PixelBox {
    layer.plate.unwrap_or(layer.ink)
}

fn touching(lower: &SetLayer, upper: &SetLayer, place: PixelBox) -> usize {
    let solid = |layer: &SetLayer, x, y| layer.plate.is_some() || layer.coverage.at(x, y) >= bounds::SOLID;
    let rows = place.y..place.y + place.h as i32;
    rows.map(|y| (place.x..place.x + place.w as i32).filter(|&x| solid(lower, x, y) && solid(upper, x, y)).count())
        .sum()
}

fn about(layer: &SetLayer, code: FindingCode, message: String, score: f64) -> Finding {
    Finding {
        expected: Some(layer.lines.join("\n")),
        ..finding(code, Severity::Error, message, Some(layer.ink), score)
    }
}
