//! Setting text layers over a picture: shaping, fitting, painting.
//!
//! ```text
//! layer ─► calm (its box) ─► locale (fonts, direction, capitals) ─► wrap (where lines may break)
//!       ─► fit (lines and size, by ink) ─► shape (glyphs) ─► arc (bent) ─► mask (coverage) ─► paint ─► guard (contrast)
//! ```
//!
//! Nothing here asks the machine for a font, a locale or a transcendental function, so the same
//! layer gives the same bytes everywhere; `tests` holds the hashes that prove it.
//! What the words are, and whether the outcome is good, is decided elsewhere (see [`crate::check`]).

mod arc;
mod book;
mod calm;
mod error;
mod face;
mod fit;
mod glyph;
mod guard;
mod locale;
mod mask;
mod paint;
mod raster;
mod room;
mod shape;
mod style;
mod wrap;

#[cfg(test)]
mod tests;

use thumbforge_core::colour::Rgb;
use thumbforge_core::image::{ImageBuf, PixelBox};
use thumbforge_core::text_layer::{TextLayer, Weight};

pub use book::FontBook;
pub use error::{FontError, TextError};
pub use mask::Coverage;
pub(crate) use paint::gradient;

/// Version of how layers are set: part of a recipe's key, raised whenever a change here moves pixels.
pub const VERSION: u32 = 1;

/// What one layer became: what the checks need to judge it.
#[derive(Debug, Clone)]
pub struct SetLayer {
    /// Name of the layer.
    pub name: String,
    /// The words as set: capitals applied, break points taken.
    pub lines: Vec<String>,
    /// Locale of the words.
    pub locale: String,
    /// The box that ink had to stay in.
    pub area: PixelBox,
    /// Bounds of letters and outline; the shadow and the plate are no ink.
    pub ink: PixelBox,
    /// Chosen font size in pixels.
    pub size_px: f32,
    /// Height of what a reader must make out.
    pub letter: LetterHeight,
    /// Weight of the letters.
    pub weight: Weight,
    /// Colours of the letters at the top and the bottom of the ink.
    pub fill: [Rgb; 2],
    /// Colour and reach in pixels of the outline.
    pub outline: Option<(Rgb, f32)>,
    /// Bounds of the plate, if there is one.
    pub plate: Option<PixelBox>,
    /// How much of each pixel within `ink` letters and outline cover.
    pub coverage: Coverage,
    /// Names of the fonts that gave glyphs, in order of first use.
    pub fonts: Vec<String>,
}

/// Height in pixels of what a reader must make out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LetterHeight {
    /// Of a small letter, such as x.
    Small(f32),
    /// Of a whole character, in Chinese, Japanese and Korean.
    Whole(f32),
}

/// Sets `layers` over `image`, the first one lowest.
///
/// # Errors
/// The first layer that cannot be set. `image` is unchanged then.
pub fn set(image: &mut ImageBuf, layers: &[TextLayer], fonts: &FontBook) -> Result<Vec<SetLayer>, TextError> {
    let extent = image.extent();
    layers.iter().try_for_each(style::check)?;
    let areas = calm::places(image, layers);
    fonts.with_bench(|bench| {
        let fitted = layers.iter().zip(&areas).map(|(layer, area)| fit::fit(layer, *area, extent, fonts, bench));
        let fitted = fitted.collect::<Result<Vec<_>, _>>()?;
        let layers = layers.iter().zip(areas).zip(fitted);
        Ok(layers.map(|((layer, area), fitted)| guard::paint(image, layer, area, fitted, fonts, bench)).collect())
    })
}
