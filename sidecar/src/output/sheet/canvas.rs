//! The few things that a sheet is drawn with: boxes, frames, and pictures scaled down.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{PixelType, ResizeOptions, Resizer};
use thumbforge_core::colour::Rgb;
use thumbforge_core::image::{Extent, ImageBuf, PixelBox};

/// Side of a square of the pattern behind transparent pictures.
const CHECK: i32 = 8;

pub(super) fn background(size: Extent, Rgb([r, g, b]): Rgb) -> ImageBuf {
    ImageBuf::filled(size, [r, g, b, 255])
}

/// The box without `by` pixels at each side.
pub(super) fn inset(area: PixelBox, by: u32) -> PixelBox {
    PixelBox {
        x: area.x + by as i32,
        y: area.y + by as i32,
        w: area.w.saturating_sub(2 * by),
        h: area.h.saturating_sub(2 * by),
    }
}

/// Mixes a colour into a box; what reaches outside the image is left out.
pub(super) fn fill(image: &mut ImageBuf, area: PixelBox, Rgb(colour): Rgb, alpha: u8) {
    let Some(area) = area.intersection(image.extent().bounds()) else { return };
    for y in area.y as u32..area.bottom() as u32 {
        let row = row_mut(image, area.x as u32, y, area.w);
        for pixel in row.chunks_exact_mut(4) {
            mix(pixel, colour, alpha);
        }
    }
}

/// A line of `width` pixels around a box, outside it.
pub(super) fn frame(image: &mut ImageBuf, area: PixelBox, colour: Rgb, width: u32) {
    let PixelBox { x, y, w, h } = area;
    let side = width as i32;
    let long = w + 2 * width;
    fill(image, PixelBox { x: x - side, y: y - side, w: long, h: width }, colour, 255);
    fill(image, PixelBox { x: x - side, y: y + h as i32, w: long, h: width }, colour, 255);
    fill(image, PixelBox { x: x - side, y, w: width, h }, colour, 255);
    fill(image, PixelBox { x: x + w as i32, y, w: width, h }, colour, 255);
}

/// The picture scaled down to fit `area`, and its place; never enlarged.
///
/// It stands at the bottom left, next to its caption.
pub(super) fn fitted(picture: &ImageBuf, area: PixelBox) -> Option<(ImageBuf, PixelBox)> {
    let Extent { width, height } = picture.extent();
    if width == 0 || height == 0 || area.w == 0 || area.h == 0 {
        return None;
    }
    let scale = (f64::from(area.w) / f64::from(width)).min(f64::from(area.h) / f64::from(height)).min(1.0);
    let side = |side: u32, most: u32| ((f64::from(side) * scale).round() as u32).clamp(1, most);
    let (w, h) = (side(width, area.w), side(height, area.h));
    let at = PixelBox { x: area.x, y: area.y + (area.h - h) as i32, w, h };
    if (w, h) == (width, height) {
        return Some((picture.clone(), at));
    }
    let source = ImageRef::new(width, height, picture.pixels(), PixelType::U8x4).ok()?;
    let mut scaled = Image::new(w, h, PixelType::U8x4);
    // Lanczos; alpha is multiplied in first, or the edges of icons would take on the colour of what is transparent.
    Resizer::new().resize(&source, &mut scaled, &ResizeOptions::new()).ok()?;
    ImageBuf::from_rgba(Extent { width: w, height: h }, scaled.into_vec()).map(|scaled| (scaled, at))
}

/// Puts a picture over a pattern that shows where it is transparent.
pub(super) fn place(image: &mut ImageBuf, picture: &ImageBuf, at: PixelBox, Rgb(ground): Rgb) {
    let Some(seen) = at.intersection(image.extent().bounds()) else { return };
    let lighter = ground.map(|channel| channel.saturating_add(14));
    for y in seen.y..seen.bottom() as i32 {
        for x in seen.x..seen.right() as i32 {
            let (u, v) = (x - at.x, y - at.y);
            let Some([r, g, b, alpha]) = picture.pixel(u as u32, v as u32) else { continue };
            let even = (u / CHECK + v / CHECK) % 2 == 0;
            let pixel = row_mut(image, x as u32, y as u32, 1);
            pixel[..3].copy_from_slice(if even { &ground } else { &lighter });
            mix(pixel, [r, g, b], alpha);
        }
    }
}

fn row_mut(image: &mut ImageBuf, x: u32, y: u32, width: u32) -> &mut [u8] {
    let start = (y as usize * image.extent().width as usize + x as usize) * 4;
    &mut image.pixels_mut()[start..start + width as usize * 4]
}

fn mix(pixel: &mut [u8], colour: [u8; 3], alpha: u8) {
    let alpha = u32::from(alpha);
    for (below, above) in pixel.iter_mut().zip(colour) {
        *below = ((u32::from(above) * alpha + u32::from(*below) * (255 - alpha) + 127) / 255) as u8;
    }
}
