//! The part of a picture that a finding is about, for people to look at.

use thumbforge_core::image::{Extent, ImageBuf, PixelBox};

/// Space around the box, as a share of its longer side: enough to see what the words stand on.
const MARGIN: f64 = 0.25;
/// Least such space in pixels.
const MARGIN_PX_MIN: u32 = 8;

/// The box with its margin, as far as the picture goes; `None` for a box outside the picture.
pub fn place(extent: Extent, place: PixelBox) -> Option<PixelBox> {
    let margin = ((f64::from(place.w.max(place.h)) * MARGIN) as u32).max(MARGIN_PX_MIN);
    place.intersection(extent.bounds())?;
    // Boxes of readers lie in pictures of at most 4096 pixels; whatever else one says, nothing here overflows.
    let wide = PixelBox {
        x: place.x.saturating_sub(margin as i32),
        y: place.y.saturating_sub(margin as i32),
        w: place.w.saturating_add(margin.saturating_mul(2)),
        h: place.h.saturating_add(margin.saturating_mul(2)),
    };
    wide.intersection(extent.bounds())
}

/// What of `image` is seen there.
pub fn crop(image: &ImageBuf, around: PixelBox) -> Option<ImageBuf> {
    let place = place(image.extent(), around)?;
    let row_bytes = image.extent().width as usize * 4;
    let (from, to) = (place.x as usize * 4, (place.x as usize + place.w as usize) * 4);
    let rows = image.pixels().chunks_exact(row_bytes).skip(place.y as usize).take(place.h as usize);
    let pixels: Vec<u8> = rows.filter_map(|row| row.get(from..to)).flatten().copied().collect();
    ImageBuf::from_rgba(Extent { width: place.w, height: place.h }, pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_have_a_margin_and_stay_in_the_picture() {
        let extent = Extent { width: 100, height: 50 };
        let check = |at: (i32, i32, u32, u32), expected: Option<(i32, i32, u32, u32)>| {
            let found = place(extent, PixelBox { x: at.0, y: at.1, w: at.2, h: at.3 });
            assert_eq!(found.map(|place| (place.x, place.y, place.w, place.h)), expected, "{at:?}");
        };
        check((40, 20, 10, 10), Some((32, 12, 26, 26)));
        check((20, 20, 60, 4), Some((5, 5, 90, 34)));
        check((0, 0, 10, 10), Some((0, 0, 18, 18)));
        check((95, 45, 50, 50), Some((83, 33, 17, 17)));
        check((100, 0, 5, 5), None);
        check((i32::MIN, 0, u32::MAX, 5), Some((0, 0, 100, 50)));
        check((0, 0, 0, 0), None);
    }

    #[test]
    fn a_crop_holds_the_pixels_of_its_place() {
        let extent = Extent { width: 40, height: 30 };
        let pixels = (0..extent.pixels()).flat_map(|at| [(at % 40) as u8, (at / 40) as u8, 7, 255]);
        let image = ImageBuf::from_rgba(extent, pixels.collect()).expect("the right length");
        let seen = crop(&image, PixelBox { x: 20, y: 15, w: 4, h: 2 }).expect("it lies in the picture");
        assert_eq!(seen.extent(), Extent { width: 20, height: 18 });
        assert_eq!(seen.pixel(0, 0), Some([12, 7, 7, 255]));
        assert_eq!(seen.pixel(19, 17), Some([31, 24, 7, 255]));
        assert_eq!(crop(&image, PixelBox { x: 99, y: 0, w: 1, h: 1 }), None);
    }
}
