//! Contrast that is made where the art does not give it: an outline that is wider or of another colour, then a plate.
//!
//! Each step is set, painted and measured as the checks measure it; the first that is enough stays. The last step of a
//! plate is opaque, has no shadow, and an outline of the opposite shade, so whatever the letters' colours are, they stand
//! out by 4.5 at least and [`Guard::Auto`] never falls short.

use thumbforge_core::colour::Rgb;
use thumbforge_core::image::{ImageBuf, PixelBox};
use thumbforge_core::text_layer::{Fill, Guard, Outline, Plate, TextLayer, TextStyle};

use super::book::FontBook;
use super::fit::{self, Fitted};
use super::paint;
use super::shape::Bench;
use super::{SetLayer, TextError};
use crate::check::contrast;

const BLACK: Rgb = Rgb([0, 0, 0]);
const WHITE: Rgb = Rgb([255, 255, 255]);

/// Reach in ems of an outline that is plainly seen, and of the widest one that leaves letters their shapes.
const OUTLINE_WIDE: f64 = 0.1;
const OUTLINE_WIDEST: f64 = 0.15;
/// Contrast between letters and an outline or plate of the style's own colour, below which another colour is taken.
const OWN_COLOUR_MIN: f64 = 4.5;
/// The same for the shade that suits the letters less, which stands out where the art is of the better shade itself.
const OTHER_SHADE_MIN: f64 = 3.0;
/// Opacities of a plate, from one that lets art through to one that does not.
const OPACITIES: [f64; 3] = [0.72, 0.88, 1.0];
/// A plate that the style does not describe: room of a letter's stem around, corners softly rounded.
const PADDING: [f64; 2] = [0.34, 0.2];
const RADIUS: f64 = 0.22;

/// Paints a layer that was fitted, with what its guard allows added where contrast falls short.
pub(super) fn paint(
    image: &mut ImageBuf,
    layer: &TextLayer,
    area: PixelBox,
    fitted: Fitted,
    fonts: &FontBook,
    bench: &mut Bench,
) -> SetLayer {
    let guard = layer.style.guard;
    if guard == Guard::None {
        return paint::paint(image, &fitted);
    }
    let art = image.clone();
    let mut attempt = |fitted: &Fitted| {
        image.pixels_mut().copy_from_slice(art.pixels());
        let set = paint::paint(image, fitted);
        let measured = contrast::measured(image, &set, None);
        (set, measured)
    };
    let (set, measured) = attempt(&fitted);
    let Some(first) = measured.filter(|measured| !measured.is_enough()) else { return set };
    let mut best = (first.ratio, fitted.clone());
    for style in steps(&layer.style, guard) {
        let changed = TextLayer { style, ..layer.clone() };
        let fitted = match fit::fit(&changed, area, art.extent(), fonts, bench) {
            Ok(fitted) => fitted,
            // A plate may reach beyond the area where letters fill it; a wider outline may not.
            Err(TextError::DoesNotFit { .. }) if changed.style.plate.is_some() => {
                let outline = fitted.style.outline;
                Fitted { style: TextStyle { outline, ..changed.style }, ..fitted.clone() }
            }
            Err(_) => continue,
        };
        let (set, measured) = attempt(&fitted);
        let Some(measured) = measured else { return set };
        if measured.is_enough() {
            return set;
        }
        if measured.ratio > best.0 {
            best = (measured.ratio, fitted);
        }
    }
    attempt(&best.1).0
}

/// Styles that may be tried, mildest first.
fn steps(style: &TextStyle, guard: Guard) -> Vec<TextStyle> {
    let fill = match style.fill {
        Fill::Solid(colour) => [colour; 2],
        Fill::Gradient(colours) => colours,
    };
    let apart = |colour: Rgb| fill.iter().map(|fill| contrast::contrast(*fill, colour)).fold(f64::MAX, f64::min);
    let (shade, other) = if apart(BLACK) >= apart(WHITE) { (BLACK, WHITE) } else { (WHITE, BLACK) };
    let own = style.outline.map(|outline| outline.colour).filter(|colour| apart(*colour) >= OWN_COLOUR_MIN);
    let width = style.outline.map_or(0.0, |outline| outline.width);
    let mut steps = Vec::new();
    if matches!(guard, Guard::Outline | Guard::Auto) {
        for colour in own.into_iter().chain([shade]).chain((apart(other) >= OTHER_SHADE_MIN).then_some(other)) {
            for least in [OUTLINE_WIDE, OUTLINE_WIDEST] {
                let outline = Some(Outline { colour, width: width.max(least) });
                if outline != style.outline {
                    steps.push(TextStyle { outline, ..style.clone() });
                }
            }
        }
    }
    if matches!(guard, Guard::Plate | Guard::Auto) {
        let shape = style.plate.unwrap_or(Plate {
            colour: own.unwrap_or(shade),
            opacity: 0.0,
            radius: RADIUS,
            padding: PADDING,
        });
        let shape = Plate { padding: [shape.padding[0].max(PADDING[0]), shape.padding[1].max(PADDING[1])], ..shape };
        // A shadow on a plate is a smudge.
        let bare = TextStyle { shadow: None, ..style.clone() };
        let own = (apart(shape.colour) >= OWN_COLOUR_MIN).then_some(shape.colour);
        for colour in own.into_iter().chain(own.is_none().then_some(shade)) {
            for opacity in OPACITIES.into_iter().filter(|opacity| *opacity > shape.opacity || colour != shape.colour) {
                steps.push(TextStyle { plate: Some(Plate { colour, opacity, ..shape }), ..bare.clone() });
            }
        }
        // Letters of all shades between black and white need the outline too.
        let outline = Some(Outline { colour: other, width: width.max(OUTLINE_WIDE) });
        steps.push(TextStyle { plate: Some(Plate { colour: shade, opacity: 1.0, ..shape }), outline, ..bare });
    }
    steps
}
