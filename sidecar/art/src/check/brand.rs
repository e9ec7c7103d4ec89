//! Whether the brand's colours are in a picture.
//!
//! Every pixel is asked, since a palette made of a picture loses a logo of 2 % of its area.
//! A pixel goes by its cell of a cube of 32³ cells: most cells are wholly near the colour or wholly far from it, and
//! only pixels of those in between are measured one by one.

use thumbforge_core::colour::Rgb;
use thumbforge_core::criteria::Criteria;
use thumbforge_core::image::ImageBuf;
use thumbforge_core::verdict::{Finding, FindingCode};

use super::colour::{Lab, delta_e};
use super::{bounds, finding};

/// Finds colours that cover less of `image` than they should.
pub(super) fn check(image: &ImageBuf, colours: &[Rgb], criteria: &Criteria) -> Vec<Finding> {
    let Some(severity) = criteria.brand_level().severity() else { return Vec::new() };
    let (least, near) = (criteria.brand_share_min(), criteria.brand_delta_e_max());
    let missing = colours.iter().filter_map(|colour| {
        let share = share(image, *colour, near);
        (share < least).then(|| {
            let message = format!(
                "the brand colour {colour} covers {:.2} % of the picture (ΔE₀₀ up to {near}), and {:.2} % is asked for; \
                 name the colour in the prompt, set words or a plate in it, or lower brand_share",
                share * 100.0,
                least * 100.0
            );
            finding(FindingCode::BrandColour, severity, message, None, share)
        })
    });
    missing.collect()
}

/// Whether two colours are the same to the brand.
pub fn alike(one: Rgb, other: Rgb, near: f64) -> bool {
    delta_e(one.into(), other.into()) <= near
}

/// Where the pixels of a cell stand.
#[derive(Clone, Copy, PartialEq)]
enum Cell {
    Unknown,
    Near,
    Far,
    Between,
}

/// Share of pixels within `near` of `colour`. Transparent pixels show nothing.
pub(super) fn share(image: &ImageBuf, colour: Rgb, near: f64) -> f64 {
    let colour = Lab::from(colour);
    let mut cells = vec![Cell::Unknown; 1 << 15];
    // The same colour again and again is what flat areas are.
    let mut last = ([0_u8; 3], delta_e(Rgb([0; 3]).into(), colour) <= near);
    let extent = image.extent();
    let step = (1..).find(|step| extent.pixels() / (step * step) <= bounds::BRAND_PIXELS_MAX).unwrap_or(1);
    let width = extent.width as usize * 4;
    let (mut shown, mut hits) = (0_u64, 0_u64);
    for row in image.pixels().chunks_exact(width).step_by(step) {
        for pixel in row.chunks_exact(4).step_by(step) {
            shown += 1;
            if pixel[3] < 128 {
                continue;
            }
            let rgb = [pixel[0], pixel[1], pixel[2]];
            let at = rgb.iter().fold(0, |at, &value| at << 5 | usize::from(value >> 3));
            if cells[at] == Cell::Unknown {
                cells[at] = cell(rgb, colour, near);
            }
            hits += u64::from(match cells[at] {
                Cell::Near => true,
                Cell::Far => false,
                Cell::Unknown | Cell::Between => {
                    if last.0 != rgb {
                        last = (rgb, delta_e(Rgb(rgb).into(), colour) <= near);
                    }
                    last.1
                }
            });
        }
    }
    hits as f64 / shown.max(1) as f64
}

/// Where the cell of `rgb` stands: its middle tells, and its corners tell how far its pixels are from the middle.
fn cell(rgb: [u8; 3], colour: Lab, near: f64) -> Cell {
    let low = rgb.map(|value| value & !7);
    let middle = Lab::from(Rgb(low.map(|value| value + 4)));
    let apart = delta_e(middle, colour);
    if apart > near + bounds::CELL_REACH {
        return Cell::Far;
    }
    let corners = (0..8).map(|corner| {
        let side = |axis: usize| low[axis] + if corner >> axis & 1 == 1 { 7 } else { 0 };
        delta_e(middle, Rgb([side(0), side(1), side(2)]).into())
    });
    // CIEDE2000 keeps the triangle inequality only nearly; a tenth more is more than it ever lacks within a cell.
    let reach = corners.fold(0.0, f64::max) * 1.1;
    if apart + reach <= near {
        Cell::Near
    } else if apart - reach > near {
        Cell::Far
    } else {
        Cell::Between
    }
}

#[cfg(test)]
mod tests {
    use thumbforge_core::image::Extent;

    use super::*;

    fn noise(at: u32) -> [u8; 4] {
        let mixed = at.wrapping_mul(2_654_435_761).rotate_left(13).wrapping_mul(2_246_822_519);
        let [r, g, b, _] = (mixed ^ mixed >> 15).to_le_bytes();
        [r, g, b, 255]
    }

    /// The table is a short cut and no other answer.
    #[test]
    fn cells_count_as_single_pixels_do() {
        let extent = Extent { width: 256, height: 256 };
        let check = |colour: [u8; 3], near: f64, spread: u8| {
            let pixels = (0..extent.pixels() as u32).flat_map(|at| {
                let [r, g, b, a] = noise(at);
                // Around the colour, so that many pixels are neither clearly near nor clearly far.
                let around = |value: u8, noise: u8| value.saturating_add(noise % spread).saturating_sub(spread / 2);
                [around(colour[0], r), around(colour[1], g), around(colour[2], b), a]
            });
            let image = ImageBuf::from_rgba(extent, pixels.collect()).expect("the right length");
            let one_by_one = image
                .pixels()
                .chunks_exact(4)
                .filter(|pixel| delta_e(Rgb([pixel[0], pixel[1], pixel[2]]).into(), Rgb(colour).into()) <= near);
            let expected = one_by_one.count() as f64 / extent.pixels() as f64;
            assert_eq!(share(&image, Rgb(colour), near), expected, "{colour:?} {near} {spread}");
        };
        for colour in [[11, 95, 255], [255, 204, 0], [0, 0, 0], [255, 255, 255], [120, 20, 60], [3, 200, 90]] {
            for near in [0.5, 2.0, 5.0, 12.0] {
                check(colour, near, 16);
                check(colour, near, 90);
            }
        }
    }

    #[test]
    fn no_cell_reaches_farther_than_is_said() {
        let mut farthest = 0.0_f64;
        for cell in 0..1_u32 << 15 {
            let low = [cell >> 10, cell >> 5 & 31, cell & 31].map(|at| at as u8 * 8);
            let middle = Lab::from(Rgb(low.map(|value| value + 4)));
            for corner in 0..8 {
                let side = |axis: usize| low[axis] + if corner >> axis & 1 == 1 { 7 } else { 0 };
                farthest = farthest.max(delta_e(middle, Rgb([side(0), side(1), side(2)]).into()));
            }
        }
        assert!(farthest * 1.1 < bounds::CELL_REACH, "{farthest}");
    }

    #[test]
    fn transparent_pixels_show_nothing_and_large_pictures_are_sampled() {
        let small = Extent { width: 16, height: 16 };
        assert_eq!(share(&ImageBuf::filled(small, [255, 0, 0, 255]), Rgb([255, 0, 0]), 5.0), 1.0);
        assert_eq!(share(&ImageBuf::filled(small, [255, 0, 0, 0]), Rgb([255, 0, 0]), 5.0), 0.0);
        let large = Extent { width: 2048, height: 1024 };
        let pixels = (0..large.pixels()).flat_map(|at| if at % 2048 < 512 { [255, 0, 0, 255] } else { [0, 0, 0, 255] });
        let image = ImageBuf::from_rgba(large, pixels.collect()).expect("the right length");
        assert_eq!(share(&image, Rgb([255, 0, 0]), 5.0), 0.25);
    }
}
