//! Edits under a mask: what the mask leaves alone is the user's own picture, bit for bit, whatever drew the rest.
//!
//! ```text
//! the user's picture ─► cut and scaled to the recipe's size ─┐
//! what an engine or a provider drew ─────────────────────────┴► each pixel by its share ─► post steps, words
//! ```
//! Models return all of a picture, and what they were to leave alone comes back a little changed. A pixel's share is its
//! mask, faded in from the edge of the mask inwards, so that no feather reaches beyond it. Values are sRGB in eight bits.

use thumbforge_core::error::{ErrorCode, Failure, chain};
use thumbforge_core::id::ContentHash;
use thumbforge_core::image::ImageBuf;
use thumbforge_core::recipe::{MaskMode, Operation, Recipe};
use thumbforge_diffusion::pipeline::{FEATHER_PX_MAX, mask_shares};

use crate::engine::cover;
use crate::output::png::{self, DecodeLimits};
use crate::store::Store;

/// How far whatever drew a picture went by its mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// The engine has softened the mask's edge itself; what lies outside is put back all the same.
    Drawn,
    /// Nobody knows; everything is laid over the user's picture here.
    Unknown,
}

/// Whether `recipe` changes a picture under a mask, and leaves the rest to be put back here.
pub fn applies(recipe: &Recipe) -> bool {
    let masked = |edit: &thumbforge_core::recipe::Edit| edit.mask.is_some() && edit.operation == Operation::Edit;
    recipe.edit.as_ref().is_some_and(masked) && recipe.settings.mask_mode != Some(MaskMode::Diffusers)
}

/// Lays what was drawn over the picture that was to be changed; any other recipe's picture stays as it is.
///
/// # Errors
/// When a picture is gone from the store, or cannot be scaled.
pub fn keep(drawn: ImageBuf, recipe: &Recipe, edge: Edge, store: &Store) -> Result<ImageBuf, Failure> {
    let Some((edit, mask)) = recipe.edit.as_ref().filter(|_| applies(recipe)).and_then(|edit| Some((edit, edit.mask?)))
    else {
        return Ok(drawn);
    };
    let picture = |hash: ContentHash| {
        let gone = || Failure::new(ErrorCode::InputFile, "failed to find a picture to change: send it again");
        let unusable = |err| Failure::new(ErrorCode::InputFile, format!("failed to use a picture to change: {err}"));
        let bytes = store.get(hash).ok_or_else(gone)?;
        let image = png::decode(&bytes, DecodeLimits::ART).map_err(|err| unusable(chain(&err)))?;
        cover(&image, recipe.size).map_err(unusable)
    };
    let Some(first) = edit.images.first() else { return Ok(drawn) };
    let (source, mask) = (picture(*first)?, picture(mask)?);
    let feather = recipe.settings.mask_feather.unwrap_or(0) as usize;
    lay(drawn, &source, &mask, feather, edge).ok_or_else(|| {
        let message = "failed to lay what was drawn over the picture: their sizes differ, a fault of Thumbforge";
        Failure::new(ErrorCode::Internal, message)
    })
}

/// What was drawn over `source`, by the share of each pixel; `None` where sizes differ.
fn lay(mut drawn: ImageBuf, source: &ImageBuf, mask: &ImageBuf, feather: usize, edge: Edge) -> Option<ImageBuf> {
    let extent = drawn.extent();
    if source.extent() != extent || mask.extent() != extent {
        return None;
    }
    // Grey, so every channel says the same.
    let mask: Vec<f32> = mask.pixels().as_chunks::<4>().0.iter().map(|pixel| f32::from(pixel[0]) / 255.0).collect();
    let shares = mask_shares(&mask, extent.width as usize, feather.min(FEATHER_PX_MAX));
    let pixels = drawn.pixels_mut().as_chunks_mut::<4>().0.iter_mut().zip(source.pixels().as_chunks::<4>().0);
    for ((drawn, source), share) in pixels.zip(shares) {
        match edge {
            _ if share <= 0.0 => *drawn = *source,
            _ if share >= 1.0 => {}
            Edge::Unknown => *drawn = mixed(*source, *drawn, share),
            // Models know no transparency: what they softened is opaque, and the picture perhaps is not.
            Edge::Drawn => drawn[3] = mixed_alpha(source[3], drawn[3], share),
        }
    }
    Some(drawn)
}

fn mixed_alpha(source: u8, drawn: u8, share: f32) -> u8 {
    (f32::from(source) + share * (f32::from(drawn) - f32::from(source)) + 0.5) as u8
}

/// Straight alpha, so that no colour bleeds out of clear pixels: colours count by how much of them is seen.
fn mixed(source: [u8; 4], drawn: [u8; 4], share: f32) -> [u8; 4] {
    let (below, above) = (f32::from(source[3]) * (1.0 - share), f32::from(drawn[3]) * share);
    let seen = below + above;
    if seen <= 0.0 {
        return source;
    }
    let colour = |at: usize| ((f32::from(source[at]) * below + f32::from(drawn[at]) * above) / seen + 0.5) as u8;
    [colour(0), colour(1), colour(2), (seen + 0.5) as u8]
}

#[cfg(test)]
mod tests {
    use thumbforge_core::image::Extent;
    use thumbforge_core::recipe::{Edit, Settings};

    use super::*;

    fn row(pixels: &[[u8; 4]]) -> ImageBuf {
        let size = Extent { width: pixels.len() as u32, height: 1 };
        ImageBuf::from_rgba(size, pixels.as_flattened().to_vec()).expect("a row")
    }

    fn grey(values: &[u8]) -> ImageBuf {
        row(&values.iter().map(|&value| [value, value, value, 255]).collect::<Vec<_>>())
    }

    const OLD: [u8; 4] = [10, 20, 30, 255];
    const CLEAR: [u8; 4] = [9, 9, 9, 0];
    const NEW: [u8; 4] = [210, 120, 30, 255];

    fn check(source: [u8; 4], mask: &[u8], feather: usize, edge: Edge, expected: &[[u8; 4]]) {
        let (source, drawn) = (row(&vec![source; mask.len()]), row(&vec![NEW; mask.len()]));
        let laid = lay(drawn, &source, &grey(mask), feather, edge).expect("one size");
        assert_eq!(laid.pixels().as_chunks::<4>().0, expected, "{mask:?} {feather} {edge:?}");
    }

    #[test]
    fn what_is_black_stays_and_what_is_white_is_drawn() {
        check(OLD, &[0, 255], 0, Edge::Unknown, &[OLD, NEW]);
        check(OLD, &[0, 255], 0, Edge::Drawn, &[OLD, NEW]);
        check(CLEAR, &[0, 255], 0, Edge::Unknown, &[CLEAR, NEW]);
        check(CLEAR, &[0, 255], 0, Edge::Drawn, &[CLEAR, NEW]);
        // Whatever the least grey is, it is not outside.
        check(OLD, &[1, 254], 0, Edge::Unknown, &[[11, 20, 30, 255], [209, 120, 30, 255]]);
    }

    #[test]
    fn edges_are_mixed_once() {
        let half = [110, 70, 30, 255];
        check(OLD, &[0, 255, 255], 1, Edge::Unknown, &[OLD, half, NEW]);
        check(OLD, &[0, 255, 255], 1, Edge::Drawn, &[OLD, NEW, NEW]);
        // Half of nothing is half of what is new, in its own colour.
        check(CLEAR, &[0, 255, 255], 1, Edge::Unknown, &[CLEAR, [210, 120, 30, 128], NEW]);
        check(CLEAR, &[0, 255, 255], 1, Edge::Drawn, &[CLEAR, [210, 120, 30, 128], NEW]);
    }

    #[test]
    fn pictures_of_other_sizes_are_not_laid_over_each_other() {
        assert!(lay(row(&[NEW; 2]), &row(&[OLD]), &grey(&[0, 0]), 0, Edge::Unknown).is_none());
        assert!(lay(row(&[NEW; 2]), &row(&[OLD; 2]), &grey(&[0]), 0, Edge::Unknown).is_none());
    }

    #[test]
    fn only_edits_under_a_mask_are_laid_over_anything() {
        let hash = ContentHash([1; 32]);
        let check = |operation, mask: bool, mask_mode, expected: bool| {
            let edit = Some(Edit { operation, images: vec![hash], mask: mask.then_some(hash) });
            let settings = Settings { mask_mode, ..Settings::default() };
            let size = Extent { width: 16, height: 16 };
            assert_eq!(applies(&Recipe { edit, settings, ..Recipe::from_prompt("a", size) }), expected);
        };
        check(Operation::Edit, true, None, true);
        check(Operation::Edit, true, Some(MaskMode::Keep), true);
        check(Operation::Edit, true, Some(MaskMode::Diffusers), false);
        check(Operation::Edit, false, None, false);
        check(Operation::Upscale, true, None, false);
    }
}
