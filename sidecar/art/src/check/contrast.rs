//! Contrast of letters against what is really behind them.
//!
//! The background is measured in the finished picture, in a band just outside the ink, so that a shadow or a plate
//! counts for what it does. A pixel of that band is served by the letters or by their outline, whichever stands
//! out more: white letters on white are readable by a dark outline alone.

use thumbforge_core::colour::Rgb;
use thumbforge_core::criteria::Criteria;
use thumbforge_core::image::{ImageBuf, PixelBox};
use thumbforge_core::text_layer::Weight;
use thumbforge_core::verdict::{Finding, FindingCode};

use super::colour::{luminance, ratio};
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

/// Measures a layer in a picture that it was set in, against WCAG, or against `least` where somebody asks for another
/// contrast; `None` where nothing surrounds its letters.
pub(crate) fn measured(finished: &ImageBuf, layer: &SetLayer, least: Option<f64>) -> Option<Measured> {
    let large = match layer.weight {
        Weight::Bold => layer.size_px >= bounds::LARGE_BOLD_PX,
        Weight::Regular => layer.size_px >= bounds::LARGE_PX,
    };
    let usual = if large { bounds::CONTRAST_LARGE_MIN } else { bounds::CONTRAST_SMALL_MIN };
    Some(Measured { ratio: worst(finished, layer)?, least: least.unwrap_or(usual) })
}

/// Finds layers whose worst tenth falls short of WCAG, or of what the criteria ask in its place.
pub(super) fn check(finished: &ImageBuf, layer: &SetLayer, criteria: &Criteria) -> Option<Finding> {
    let severity = criteria.contrast_level().severity()?;
    let measured = measured(finished, layer, criteria.contrast_min).filter(|measured| !measured.is_enough())?;
    let Measured { ratio, least } = measured;
    let mend = match layer.outline {
        Some((_, reach)) if reach < bounds::OUTLINE_PX_MIN => "widen the outline, which is too thin to be seen here",
        Some(_) => {
            "give letters and outline colours further apart, add a plate, move the area, or set guard = \"auto\""
        }
        None => "add an outline or a plate, choose another fill, move the area, or set guard = \"auto\"",
    };
    let message = format!(
        "letters of layer {:?} have a contrast of {ratio:.1}:1 to the worst tenth of what is behind them, \
         and {least}:1 is needed at {:.0} px; {mend}",
        layer.name, layer.size_px
    );
    let found = finding(FindingCode::LowContrast, severity, message, Some(layer.ink), ratio);
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

/// The contrast within `place` of a picture whose letters nobody knows: between the middles of its dark and its light
/// pixels, parted where they differ most (Otsu). `None` where the place holds one colour, or nothing.
///
/// It is a guess about letters, and a good one where a box holds words and little else.
pub fn within(image: &ImageBuf, place: PixelBox) -> Option<f64> {
    let place = place.intersection(image.extent().bounds())?;
    let rows = place.y as u32..place.y as u32 + place.h;
    let columns = place.x as u32..place.x as u32 + place.w;
    // By lightness as the eye steps it, in 64 steps: luminance alone would crowd all dark colours into one.
    let mut counts = [0_u64; 64];
    let mut sums = [0.0_f64; 64];
    for (x, y) in rows.flat_map(|y| columns.clone().map(move |x| (x, y))) {
        let Some([r, g, b, _]) = image.pixel(x, y) else { continue };
        let light = luminance(Rgb([r, g, b]));
        let step = (libm::cbrt(light) * 63.0) as usize;
        counts[step.min(63)] += 1;
        sums[step.min(63)] += light;
    }
    let all: u64 = counts.iter().sum();
    let mean = |range: &[u64], offset: usize| {
        let count: u64 = range.iter().sum();
        let sum: f64 = range.iter().enumerate().map(|(at, count)| (at + offset) as f64 * *count as f64).sum();
        (count, sum / count.max(1) as f64)
    };
    let parted = (1..64).filter_map(|at| {
        let ((dark, low), (light, high)) = (mean(&counts[..at], 0), mean(&counts[at..], at));
        (dark > 0 && light > 0).then_some((at, (dark as f64 * light as f64) * (high - low) * (high - low)))
    });
    let (at, _) = parted.max_by(|one, other| one.1.total_cmp(&other.1))?;
    let dark: u64 = counts[..at].iter().sum();
    let (below, above): (f64, f64) = (sums[..at].iter().sum(), sums[at..].iter().sum());
    Some(ratio(below / dark as f64, above / (all - dark) as f64))
}

/// Contrast ratio of two colours.
pub(crate) fn contrast(a: Rgb, b: Rgb) -> f64 {
    ratio(luminance(a), luminance(b))
}
