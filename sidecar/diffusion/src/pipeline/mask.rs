//! Where a picture may change: in latents while it is drawn, in pixels when it is done.

use crate::pipeline::request::{Mask, MaskMode, Picture};

/// How wide an edge may be: beyond it, finding distances would take longer than a step of the model.
pub const FEATHER_PX_MAX: usize = 256;

impl Mask {
    /// 1 for latent pixels that may change, else 0; `factor` picture pixels along a side of each.
    ///
    /// diffusers makes the mask 0 or 1 at a half and then takes the first pixel of every square. Where pixels are kept
    /// for sure, a square changes if any of its pixels may.
    pub(crate) fn latents(&self, width: usize, height: usize, factor: usize) -> Vec<f32> {
        let at = |y: usize, x: usize| self.pixels[y * width + x];
        let square = |y: usize, x: usize| match self.mode {
            MaskMode::Diffusers => at(y, x) >= 0.5,
            MaskMode::Keep { .. } => (0..factor * factor).any(|i| at(y + i / factor, x + i % factor) > 0.0),
        };
        let places = (0..height).step_by(factor).flat_map(|y| (0..width).step_by(factor).map(move |x| (y, x)));
        places.map(|(y, x)| if square(y, x) { 1.0 } else { 0.0 }).collect()
    }

    /// Whether [`Mask::lay`] changes anything.
    pub(crate) fn blends(&self) -> bool {
        matches!(self.mode, MaskMode::Keep { .. })
    }

    /// Lays what was drawn over the source. Where the mask is 0, pixels are the source's own.
    pub(crate) fn lay(&self, source: &Picture, drawn: &mut [f32]) {
        let MaskMode::Keep { feather_px } = self.mode else { return };
        let shares = shares(&self.pixels, source.width, feather_px.min(FEATHER_PX_MAX));
        let pixels = drawn.chunks_exact_mut(3).zip(source.pixels.chunks_exact(3));
        for (share, (drawn, source)) in shares.into_iter().zip(pixels) {
            for (drawn, source) in drawn.iter_mut().zip(source) {
                *drawn = match share {
                    0.0 => *source,
                    1.0 => *drawn,
                    share => source + share * (*drawn - source),
                };
            }
        }
    }
}

/// How much of every pixel is what was drawn: the mask itself, fading in over `feather` pixels from its edge inwards, so
/// that nothing outside of it is touched. The edge of the picture is none of the mask's.
///
/// `mask` has rows of `width` pixels from 0 (kept) to 1; `feather` is at most [`FEATHER_PX_MAX`].
pub fn shares(mask: &[f32], width: usize, feather: usize) -> Vec<f32> {
    if feather == 0 {
        return mask.to_vec();
    }
    let reach = feather + 1;
    let height = mask.len() / width.max(1);
    let far = (reach * reach) as u32;
    // Squares of distances to the nearest kept pixel of the same column, then of any: distances along both sides are
    // found one after the other, as squares add up.
    let mut down = vec![far; mask.len()];
    for x in 0..width {
        let mut walk = |rows: &mut dyn Iterator<Item = usize>| {
            let mut away = reach;
            for y in rows {
                let at = y * width + x;
                away = if mask[at] == 0.0 { 0 } else { (away + 1).min(reach) };
                down[at] = down[at].min((away * away) as u32);
            }
        };
        walk(&mut (0..height));
        walk(&mut (0..height).rev());
    }
    let share = |at: usize| {
        let (y, x) = (at / width, at % width);
        let near = x.saturating_sub(feather)..(x + feather + 1).min(width);
        let square = near.map(|other| down[y * width + other] + other.abs_diff(x).pow(2) as u32).min().unwrap_or(far);
        let way = (square as f32).sqrt() / reach as f32;
        let way = way.min(1.0);
        mask[at] * way * way * (3.0 - 2.0 * way)
    };
    (0..mask.len()).map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mask: &[&str], feather: usize, expected: &[&str]) {
        let digit = |of: char| of.to_digit(10).map_or(0.0, |digit| digit as f32 / 9.0);
        let pixels: Vec<f32> = mask.iter().flat_map(|row| row.chars()).map(digit).collect();
        let shares = shares(&pixels, mask[0].len(), feather);
        let shown: String = shares.iter().map(|share| (share * 9.0).round().to_string()).collect();
        assert_eq!(shown, expected.concat(), "{feather}");
    }

    #[test]
    fn edges_fade_inwards_from_what_is_kept() {
        check(&["0099", "5599"], 0, &["0099", "5599"]);
        // Half, and then all of the way. The edge of the picture is none.
        check(&["099999"], 1, &["059999"]);
        check(&["9", "9", "0"], 1, &["9", "5", "0"]);
        check(&["999990"], 1, &["999950"]);
        // A corner is the root of two away.
        check(&["0999", "9999", "9999"], 1, &["0599", "5799", "9999"]);
        // From both sides, and in the middle of the far reach of neither.
        check(&["0999990"], 3, &["0158510"]);
        // What is half masked is half of that.
        check(&["0699"], 1, &["0399"]);
    }

    #[test]
    fn what_is_half_masked_is_half_drawn() {
        let source = Picture { width: 2, height: 1, pixels: vec![0.1; 6] };
        let mask = Mask { pixels: vec![0.5, 1.0], mode: MaskMode::Keep { feather_px: 0 } };
        let mut drawn = vec![0.9; 6];
        mask.lay(&source, &mut drawn);
        assert!((drawn[0] - 0.5).abs() < 1e-6 && drawn[3] == 0.9, "{drawn:?}");
        Mask { mode: MaskMode::Diffusers, ..mask }.lay(&source, &mut drawn);
        assert_eq!(drawn[3], 0.9);
    }

    #[test]
    fn a_wide_edge_is_bounded() {
        let source = Picture { width: 600, height: 1, pixels: vec![0.0; 1800] };
        let pixels = (0..600).map(|x| if x == 0 { 0.0 } else { 1.0 }).collect();
        let mask = Mask { pixels, mode: MaskMode::Keep { feather_px: usize::MAX } };
        let mut drawn = vec![1.0; 1800];
        mask.lay(&source, &mut drawn);
        assert!(drawn[3 * FEATHER_PX_MAX] < 1.0 && drawn[3 * (FEATHER_PX_MAX + 1)] == 1.0);
    }
}
