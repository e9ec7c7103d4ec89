//! From art to the finished picture: post steps, then text layers. The same for every engine.

use thumbforge_art::text::{self, FontBook, SetLayer};
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::image::ImageBuf;
use thumbforge_core::recipe::{PostStep, Recipe};

pub mod masked;

/// A finished picture, and what the checks need to know of how it came about.
pub struct Composed {
    /// Art with text.
    pub image: ImageBuf,
    /// Art without text; the checks measure contrast against it.
    pub art: ImageBuf,
    /// Where each layer's ink lies.
    pub layers: Vec<SetLayer>,
}

/// Applies the recipe's post steps to `art` and sets its text.
///
/// # Errors
/// A [`Failure`] that names the layer and what to do.
pub fn compose(mut art: ImageBuf, recipe: &Recipe, fonts: &FontBook) -> Result<Composed, Failure> {
    for step in &recipe.post {
        match step {
            PostStep::Mirror => mirror(&mut art),
            PostStep::Grayscale => grayscale(&mut art),
            PostStep::Vignette { percent } => vignette(&mut art, *percent),
        }
    }
    let mut image = art.clone();
    let layers = text::set(&mut image, &recipe.text, fonts).map_err(|err| {
        let code = match &err {
            text::TextError::MissingGlyph { .. } => ErrorCode::MissingGlyph,
            text::TextError::DoesNotFit { .. } => ErrorCode::TextDoesNotFit,
            _ => ErrorCode::InputFile,
        };
        Failure::new(code, format!("failed to {err}"))
    })?;
    Ok(Composed { image, art, layers })
}

fn mirror(image: &mut ImageBuf) {
    let row_bytes = image.extent().width as usize * 4;
    for row in image.pixels_mut().chunks_exact_mut(row_bytes) {
        let (pixels, _) = row.as_chunks_mut::<4>();
        pixels.reverse();
    }
}

/// Rec. 709 luma in 16-bit fixed point: 0.2126, 0.7152, 0.0722.
fn grayscale(image: &mut ImageBuf) {
    for pixel in image.pixels_mut().chunks_exact_mut(4) {
        let luma =
            (u32::from(pixel[0]) * 13_933 + u32::from(pixel[1]) * 46_871 + u32::from(pixel[2]) * 4_732 + 32_768) >> 16;
        pixel[..3].fill(luma as u8);
    }
}

/// Darkens with the square of the distance from the middle; all in integers, for the same bytes everywhere.
fn vignette(image: &mut ImageBuf, percent: u8) {
    let (width, height) = (i64::from(image.extent().width), i64::from(image.extent().height));
    let corner = width * width + height * height;
    let percent = i64::from(percent.min(100));
    for (at, pixel) in image.pixels_mut().chunks_exact_mut(4).enumerate() {
        let (x, y) = (at as i64 % width, at as i64 / width);
        let (dx, dy) = (2 * x + 1 - width, 2 * y + 1 - height);
        let dark = percent * (dx * dx + dy * dy) * 655 / corner;
        for channel in &mut pixel[..3] {
            *channel = (i64::from(*channel) * (65_536 - dark).max(0) / 65_536) as u8;
        }
    }
}

#[cfg(test)]
mod tests;
