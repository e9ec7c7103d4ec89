//! The file engine: the team's own picture, cut and scaled to the recipe's size.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use thumbforge_art::text;
use thumbforge_core::image::{Extent, ImageBuf};

use super::{Control, Drawn, Engine, EngineError, Order};
use crate::output::png::{self, DecodeLimits};
use crate::router::{EngineCard, Field};
use crate::store::Store;

/// Raised when cutting or scaling changes a pixel.
const VERSION: u32 = 1;

/// Reads art from the store, where intake put it.
pub(super) struct File {
    store: Store,
}

impl File {
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }
}

pub(super) fn card() -> EngineCard {
    EngineCard {
        version: format!("{VERSION}.{}", text::VERSION),
        device_class: "any".to_owned(),
        // The file decides the art: a seed or a brand colour has nothing to act on, and is listed as dropped.
        honours: &[Field::Negative],
        local: None,
    }
}

impl Engine for File {
    fn name(&self) -> &'static str {
        "file"
    }

    fn card(&self) -> EngineCard {
        card()
    }

    fn draw(&self, order: &Order<'_>, _control: &Control<'_>) -> Result<Drawn, EngineError> {
        let recipe = order.recipe;
        let Some(art) = &recipe.art else {
            return Err(EngineError::Recipe("draw from a file: the recipe names none".to_owned()));
        };
        let input = |reason: String| EngineError::Input { path: art.path.clone(), reason };
        let bytes = self
            .store
            .get(art.content)
            .ok_or_else(|| input("it is no longer in the store; run the same command again".to_owned()))?;
        let image = png::decode(&bytes, DecodeLimits::ART).map_err(|err| input(thumbforge_core::error::chain(&err)))?;
        let image = cover(&image, recipe.size).map_err(input)?;
        Ok(Drawn { image, credits: Vec::new(), findings: Vec::new() })
    }
}

/// Scales until the picture covers `size`, and cuts evenly what reaches beyond.
///
/// The resizer works on 8-bit channels in fixed point, so that every instruction set gives the same bytes;
/// alpha is multiplied in before and out after, so that no colour bleeds out of clear pixels.
pub(crate) fn cover(image: &ImageBuf, size: Extent) -> Result<ImageBuf, String> {
    if image.extent() == size {
        return Ok(image.clone());
    }
    let from = image.extent();
    let source =
        ImageRef::new(from.width, from.height, image.pixels(), PixelType::U8x4).map_err(|err| err.to_string())?;
    let mut target = Image::new(size.width, size.height, PixelType::U8x4);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .fit_into_destination(Some((0.5, 0.5)))
        .use_alpha(true);
    Resizer::new().resize(&source, &mut target, &options).map_err(|err| err.to_string())?;
    ImageBuf::from_rgba(size, target.into_vec()).ok_or_else(|| "the scaled picture has a wrong length".to_owned())
}

#[cfg(test)]
mod tests;
