//! Whether anything is drawn at all.

use thumbforge_core::image::ImageBuf;
use thumbforge_core::verdict::{Finding, FindingCode, Severity};

use super::{bounds, finding};

/// Finds pictures of one colour and pictures that are nearly so.
pub(super) fn check(art: &ImageBuf) -> Option<Finding> {
    let pixels = art.pixels().chunks_exact(4);
    let count = pixels.len() as f64;
    if pixels.clone().all(|pixel| pixel[3] == 0) {
        let message = "the picture is wholly transparent; draw it again".to_owned();
        return Some(finding(FindingCode::Blank, Severity::Error, message, None, 1.0));
    }
    let (mut sum, mut squares) = (0_u64, 0_u64);
    for pixel in pixels.clone() {
        // Transparent parts count as black, as a viewer without alpha shows them. Weights of Rec. 709 in 256ths.
        let [r, g, b] = [0, 1, 2].map(|channel| u64::from(pixel[channel]));
        let luma = (54 * r + 183 * g + 19 * b) * u64::from(pixel[3]) / (255 * 256);
        sum += luma;
        squares += luma * luma;
    }
    let mean = sum as f64 / count;
    let sigma = libm::sqrt((squares as f64 / count - mean * mean).max(0.0));
    let share = uniform_share(art);
    if share >= bounds::UNIFORM_SHARE_MAX || (sigma < bounds::SIGMA_MIN && share >= 0.5) {
        let message = format!(
            "the picture is blank: {:.1} % of it is nearly one colour and its brightness varies by σ {sigma:.1} of 255; \
             draw it again, with another seed or prompt",
            share * 100.0
        );
        return Some(finding(FindingCode::Blank, Severity::Error, message, None, share));
    }
    if share >= bounds::UNIFORM_SHARE_WARN || sigma < bounds::SIGMA_MIN {
        let message = format!(
            "the picture is nearly empty: {:.1} % of it is nearly one colour, brightness varies by σ {sigma:.1} of 255; \
             look at it, and draw it again if its subject is missing",
            share * 100.0
        );
        return Some(finding(FindingCode::Blank, Severity::Warning, message, None, share));
    }
    None
}

/// Share of pixels within 12 of 255 of the most common colour, in every channel.
fn uniform_share(art: &ImageBuf) -> f64 {
    let mut bins = vec![0_u32; 1 << 12];
    let mut sums = vec![[0_u64; 3]; 1 << 12];
    for pixel in art.pixels().chunks_exact(4) {
        let bin = [0, 1, 2].iter().fold(0, |bin, &channel| bin << 4 | usize::from(pixel[channel] >> 4));
        bins[bin] += 1;
        for channel in 0..3 {
            sums[bin][channel] += u64::from(pixel[channel]);
        }
    }
    let fullest = (0..bins.len()).max_by_key(|&bin| bins[bin]).unwrap_or(0);
    let middle = sums[fullest].map(|sum| (sum / u64::from(bins[fullest].max(1))) as i32);
    let near = |pixel: &[u8]| (0..3).all(|channel| (i32::from(pixel[channel]) - middle[channel]).abs() <= 12);
    art.pixels().chunks_exact(4).filter(|pixel| near(pixel)).count() as f64 / art.extent().pixels() as f64
}
