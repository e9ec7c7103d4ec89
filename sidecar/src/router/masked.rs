//! What a mask asks of whoever draws: the same everywhere, since what it leaves alone is put back here.

use thumbforge_core::recipe::{MaskMode, Recipe};
use thumbforge_diffusion::pipeline::FEATHER_PX_MAX;

use super::Lacks;

/// The mask's part of a realisation, and what cannot be honoured of it.
pub(super) fn masked(recipe: &Recipe) -> (Vec<(&'static str, String)>, Vec<Lacks>) {
    let named = &recipe.settings;
    let mut lacks = Vec::new();
    if recipe.edit.as_ref().is_none_or(|edit| edit.mask.is_none()) {
        for (field, named) in [("mask_feather", named.mask_feather.is_some()), ("mask_mode", named.mask_mode.is_some())]
        {
            if named {
                lacks.push(Lacks::new(field, "there is no mask"));
            }
        }
        return (Vec::new(), lacks);
    }
    if let Some(feather) = named.mask_feather.filter(|feather| *feather as usize > FEATHER_PX_MAX) {
        lacks.push(Lacks::new("mask_feather", format!("it softens {FEATHER_PX_MAX} pixels at most, not {feather}")));
    }
    let settings = vec![
        ("mask_mode", named.mask_mode.unwrap_or(MaskMode::Keep).word().to_owned()),
        ("mask_feather", named.mask_feather.unwrap_or(0).to_string()),
        // Pictures from before it was kept have other bytes, so this has a key of its own.
        ("mask_alpha", "kept".to_owned()),
    ];
    (settings, lacks)
}
