//! Contrast of letters against what is really behind them.
//!
//! The background is measured in the finished picture, in a band just outside the ink, so that a shadow or a plate
//! counts for what it does. A pixel of that band is served by the letters or by their outline, whichever stands
//! out more: white letters on white are readable by a dark outline alone.

use std::sync::OnceLock;

use thumbforge_core::colour::Rgb;
use thumbforge_core::image::ImageBuf;
use thumbforge_core::text_layer::Weight;
use thumbforge_core::verdict::{Finding, FindingCode, Severity};

use super::{bounds, finding};
use crate::text::{Coverage, SetLayer};

/// Contrast of a layer as it was measured, and as it has to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) ratio: f64,
    pub(crate) least: f64,
}

impl Measured {
    pub(crate) fn is_enough(self) -> bool {
        // A hair, since 3:1 itself is enough and colours are whole numbers.
        self.ratio >= self.least - 0.005
    }
}

/// Measures a layer in a picture that it was set in; `None` where nothing surrounds its letters.
pub(crate) fn measured(finished: &ImageBuf, layer: &SetLayer) -> Option<Measured> {
    let large = match layer.weight {
        Weight::Bold => layer.size_px >= bounds::LARGE_BOLD_PX,
        Weight::Regular => layer.size_px >= bounds::LARGE_PX,
    };
    let least = if large { bounds::CONTRAST_LARGE_MIN } else { bounds::CONTRAST_SMALL_MIN };
    Some(Measured { ratio: worst(finished, layer)?, least })
}

/// Finds layers whose worst tenth falls short of WCAG.
pub(super) fn check(finished: &ImageBuf, layer: &SetLayer) -> Option<Finding> {
    let Measured { ratio, least } = measured(finished, layer).filter(|measured| !measured.is_enough())?;
    let mend = match layer.outline {
        Some((_, reach)) if reach < bounds::OUTLINE_PX_MIN => "widen the outline, which is too thin to be seen here",
        Some(_) => "give letters and outline colours further apart, add a plate, or move the area",
        None => "add an outline or a plate, choose another fill, or move the area",
    };
    let message = format!(
        "letters of layer {:?} have a contrast of {ratio:.1}:1 to the worst tenth of what is behind them, \
         and {least}:1 is needed at {:.0} px; {mend}",
        layer.name, layer.size_px
    );
    let found = finding(FindingCode::LowContrast, Severity::Error, message, Some(layer.ink), ratio);
    Some(Finding { expected: Some(layer.lines.join("\n")), ..found })
}

/// The contrast that all but the worst share of the surrounding pixels reach; `None` when nothing surrounds them.
fn worst(finished: &ImageBuf, layer: &SetLayer) -> Option<f64> {
    let outline =
        layer.outline.filter(|&(_, reach)| reach >= bounds::OUTLINE_PX_MIN).map(|(colour, _)| luminance(colour));
    let reach = ((layer.size_px * bounds::AROUND_SHARE) as u32).max(bounds::AROUND_PX_MIN);
    let mut ratios = Vec::new();
    for (y, row) in band(&layer.coverage, reach) {
        let letters = luminance(crate::text::gradient(layer.fill, y, layer.ink));
        for x in row {
            let Some([r, g, b, _]) =
                u32::try_from(x).ok().zip(u32::try_from(y).ok()).and_then(|(x, y)| finished.pixel(x, y))
            else {
                continue;
            };
            let behind = luminance(Rgb([r, g, b]));
            let by_outline = outline.map_or(1.0, |outline| ratio(outline, behind));
            ratios.push(ratio(letters, behind).max(by_outline));
        }
    }
    let last = ratios.len().checked_sub(1)?;
    let at = (last as f64 * bounds::WORST_SHARE) as usize;
    Some(*ratios.select_nth_unstable_by(at, f64::total_cmp).1)
}

/// Rows of pixels that nothing covers, within `reach` pixels of one that is covered.
fn band(coverage: &Coverage, reach: u32) -> Vec<(i32, Vec<i32>)> {
    let reach = reach as i32;
    let place = coverage.place;
    let columns = place.x - reach..place.x + place.w as i32 + reach;
    let rows = place.y - reach..place.y + place.h as i32 + reach;
    // For each column, the last row so far with a covered pixel within reach sideways; looking down, then up.
    let near = |y: i32| -> Vec<bool> {
        let mut near = vec![false; columns.len()];
        let mut left = i32::MIN / 2;
        for (at, x) in columns.clone().enumerate() {
            if coverage.at(x, y) > 0 {
                left = x;
            }
            near[at] = x - left <= reach;
        }
        let mut right = i32::MAX / 2;
        for (at, x) in columns.clone().enumerate().rev() {
            if coverage.at(x, y) > 0 {
                right = x;
            }
            near[at] |= right - x <= reach;
        }
        near
    };
    let mut counts = vec![0_i32; columns.len()];
    let add = |counts: &mut Vec<i32>, y: i32, by: i32| {
        if y >= place.y && i64::from(y) < place.bottom() {
            for (count, near) in counts.iter_mut().zip(near(y)) {
                *count += i32::from(near) * by;
            }
        }
    };
    let mut band = Vec::new();
    for y in rows.start - reach..rows.start + reach {
        add(&mut counts, y, 1);
    }
    for y in rows {
        add(&mut counts, y + reach, 1);
        let row = columns.clone().zip(&counts).filter(|&(x, &count)| count > 0 && coverage.at(x, y) == 0);
        band.push((y, row.map(|(x, _)| x).collect()));
        add(&mut counts, y - reach, -1);
    }
    band
}

/// Contrast ratio of two luminances, 1 to 21.
fn ratio(a: f64, b: f64) -> f64 {
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Relative luminance of WCAG 2.x.
fn luminance(Rgb([r, g, b]): Rgb) -> f64 {
    static LINEAR: OnceLock<[f64; 256]> = OnceLock::new();
    let linear = LINEAR.get_or_init(|| {
        std::array::from_fn(|value| {
            let value = value as f64 / 255.0;
            if value <= 0.04045 { value / 12.92 } else { libm::pow((value + 0.055) / 1.055, 2.4) }
        })
    });
    0.2126 * linear[usize::from(r)] + 0.7152 * linear[usize::from(g)] + 0.0722 * linear[usize::from(b)]
}

/// Contrast ratio of two colours.
pub(crate) fn contrast(a: Rgb, b: Rgb) -> f64 {
    ratio(luminance(a), luminance(b))
}
