//! Painting a fitted layer: plate, shadow, outline, letters, from the bottom up. Blending is in integers.

use thumbforge_core::colour::Rgb;
use thumbforge_core::image::{ImageBuf, PixelBox};
use thumbforge_core::text_layer::{Fill, Plate};
use tiny_skia::{LineCap, LineJoin, Path, PathBuilder, Stroke};

use super::SetLayer;
use super::fit::Fitted;
use super::mask::Coverage;
use super::shape::Ink;

/// Paints a layer and tells what was painted.
pub(super) fn paint(image: &mut ImageBuf, fitted: &Fitted) -> SetLayer {
    let style = &fitted.style;
    let place = place_of(fitted, image);
    let letters = match &fitted.letters {
        Some(path) => Coverage::of(path, place),
        None => Coverage::empty(place),
    };
    let outline = style.outline.filter(|_| fitted.outline_px > 0.0);
    let mut ink = letters.clone();
    if outline.is_some()
        && let Some(stroked) = fitted.letters.as_ref().and_then(|path| stroked(path, fitted.outline_px))
    {
        ink.join(&Coverage::of(&stroked, place));
    }
    let bounds = ink.bounds();
    let plate = style.plate.and_then(|plate| paint_plate(image, plate, bounds, fitted));
    if let Some(shadow) = style.shadow {
        let offset = shadow.offset.map(|offset| libm::round(offset * f64::from(fitted.size_px)) as i32);
        let blurred = ink.cropped(bounds).blurred(shadow.blur as f32 * fitted.size_px, offset);
        tint(image, &blurred, shadow.opacity, |_| shadow.colour);
    }
    if let Some(outline) = outline {
        tint(image, &ink, 1.0, |_| outline.colour);
    }
    let fill = match style.fill {
        Fill::Solid(colour) => [colour; 2],
        Fill::Gradient(colours) => colours,
    };
    let letters_box = letters.bounds();
    tint(image, &letters, 1.0, |y| gradient(fill, y, letters_box));
    SetLayer {
        coverage: ink.cropped(bounds),
        outline: outline.map(|outline| (outline.colour, fitted.outline_px)),
        fill,
        ink: bounds,
        name: fitted.name.clone(),
        lines: fitted.lines.clone(),
        locale: fitted.locale.clone(),
        area: fitted.area,
        size_px: fitted.size_px,
        letter: fitted.letter,
        weight: fitted.style.weight,
        plate,
        fonts: fitted.fonts.clone(),
    }
}

/// Pixels that letters and outline may touch.
fn place_of(fitted: &Fitted, image: &ImageBuf) -> PixelBox {
    let around = fitted.letters.as_ref().and_then(|path| outset(path.bounds(), fitted.outline_px + 1.0));
    let nowhere = PixelBox { w: 0, h: 0, ..fitted.area };
    around.and_then(|around| around.intersection(image.extent().bounds())).unwrap_or(nowhere)
}

fn outset(rect: tiny_skia::Rect, by: f32) -> Option<PixelBox> {
    let (x, y) = (libm::floorf(rect.left() - by), libm::floorf(rect.top() - by));
    let (w, h) = (libm::ceilf(rect.right() + by) - x, libm::ceilf(rect.bottom() + by) - y);
    (w > 0.0 && h > 0.0).then_some(PixelBox { x: x as i32, y: y as i32, w: w as u32, h: h as u32 })
}

/// The band of `reach` pixels on both sides of a path, with round joins.
fn stroked(path: &Path, reach: f32) -> Option<Path> {
    let stroke =
        Stroke { width: 2.0 * reach, line_join: LineJoin::Round, line_cap: LineCap::Round, ..Stroke::default() };
    path.stroke(&stroke, 1.0)
}

/// Paints the plate around `ink` and tells where it lies.
fn paint_plate(image: &mut ImageBuf, plate: Plate, ink: PixelBox, fitted: &Fitted) -> Option<PixelBox> {
    let path = match &fitted.plate {
        Some(bent) => bent.clone(),
        None => plate_path(plate, ink, fitted.size_px)?,
    };
    let place = outset(path.compute_tight_bounds()?, 0.0)?.intersection(image.extent().bounds())?;
    tint(image, &Coverage::of(&path, place), plate.opacity, |_| plate.colour);
    Some(place)
}

fn plate_path(plate: Plate, ink: PixelBox, size_px: f32) -> Option<Path> {
    let [across, along] = plate.padding.map(|padding| padding as f32 * size_px);
    let (left, top) = (ink.x as f32 - across, ink.y as f32 - along);
    let (right, bottom) = (ink.right() as f32 + across, ink.bottom() as f32 + along);
    rounded(Ink { left, top, right, bottom }, plate.radius as f32)
}

/// A box with rounded corners, `radius` a share of its height.
pub(super) fn rounded(Ink { left, top, right, bottom }: Ink, radius: f32) -> Option<Path> {
    let radius = (radius * (bottom - top)).min((right - left) * 0.5);
    // A quarter circle by one cubic: its handles reach this far from the corner.
    let handle = radius * (1.0 - 0.552_284_8);
    let mut path = PathBuilder::new();
    path.move_to(left + radius, top);
    path.line_to(right - radius, top);
    path.cubic_to(right - handle, top, right, top + handle, right, top + radius);
    path.line_to(right, bottom - radius);
    path.cubic_to(right, bottom - handle, right - handle, bottom, right - radius, bottom);
    path.line_to(left + radius, bottom);
    path.cubic_to(left + handle, bottom, left, bottom - handle, left, bottom - radius);
    path.line_to(left, top + radius);
    path.cubic_to(left, top + handle, left + handle, top, left + radius, top);
    path.close();
    path.finish()
}

/// Colour of the letters in row `y`.
pub(crate) fn gradient([from, to]: [Rgb; 2], y: i32, ink: PixelBox) -> Rgb {
    let last = i64::from(ink.h.max(2)) - 1;
    let at = (i64::from(y) - i64::from(ink.y)).clamp(0, last);
    let mix = |from: u8, to: u8| ((i64::from(from) * (last - at) + i64::from(to) * at + last / 2) / last) as u8;
    Rgb([mix(from.0[0], to.0[0]), mix(from.0[1], to.0[1]), mix(from.0[2], to.0[2])])
}

/// Paints the covered pixels in the colour of their row.
fn tint(image: &mut ImageBuf, coverage: &Coverage, opacity: f64, colour: impl Fn(i32) -> Rgb) {
    let bounds = image.extent().bounds();
    let opacity = libm::round(opacity * 256.0) as u32;
    let Some(visible) = coverage.place.intersection(bounds) else {
        return;
    };
    let skip = (visible.x - coverage.place.x) as usize;
    let width = bounds.w as usize;
    for (y, row) in coverage.rows() {
        if y < visible.y || i64::from(y) >= visible.bottom() {
            continue;
        }
        let colour = colour(y);
        let start = (y as usize * width + visible.x as usize) * 4;
        let pixels = image.pixels_mut().get_mut(start..start + visible.w as usize * 4).unwrap_or(&mut []);
        for (pixel, &alpha) in pixels.chunks_exact_mut(4).zip(row.iter().skip(skip)) {
            if alpha > 0 {
                blend(pixel, colour, (u32::from(alpha) * opacity + 128) >> 8);
            }
        }
    }
}

/// `colour` over a pixel of straight alpha, with `alpha` of 255.
fn blend(pixel: &mut [u8], colour: Rgb, alpha: u32) {
    let [below @ .., below_alpha] = pixel else {
        return;
    };
    let under = u32::from(*below_alpha) * (255 - alpha);
    let both = alpha * 255 + under;
    if both == 0 {
        return;
    }
    for (below, own) in below.iter_mut().zip(colour.0) {
        *below = ((u32::from(own) * alpha * 255 + u32::from(*below) * under + both / 2) / both) as u8;
    }
    *below_alpha = ((both + 127) / 255) as u8;
}
