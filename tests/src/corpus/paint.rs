//! Words over backgrounds.

use thumbforge_art::scene::{self, SceneIntent, SceneRequest};
use thumbforge_art::text::{self, FontBook};
use thumbforge_core::colour::Rgb;
use thumbforge_core::image::{Extent, ImageBuf, PixelBox};
use thumbforge_core::text_layer::{Fill, Outline, TextLayer, TextMode, TextStyle, Weight};

use super::fault::Words;
use super::strings::Language;
use super::{Condition, Fault, SIDE};
use crate::seed::Seed;

const EXTENT: Extent = Extent { width: SIDE, height: SIDE };
/// Contrast of letters without an outline to what is behind them: what WCAG asks for small text.
const CONTRAST_MIN: f64 = 4.5;
/// What busy pictures show.
const PROMPTS: [&str; 8] = [
    "a castle on a hill at sunset",
    "a pirate ship on a stormy sea",
    "a dragon over a burning town",
    "a treasure chest in a dungeon",
    "a knight in a dark forest",
    "a robot in a neon city",
    "a space station over a planet",
    "a wizard in a snowy village",
];

/// A picture with `words` in it, the box that a template would name for them, and that of their ink.
pub(super) fn paint(
    language: &Language,
    condition: Condition,
    fault: Option<Fault>,
    words: &Words,
    fonts: &FontBook,
    seed: &mut Seed,
) -> (ImageBuf, [PixelBox; 2]) {
    let (mut image, style) = ground(condition, seed);
    let mut layer = ImageBuf::filled(EXTENT, [0; 4]);
    let set = |layer: &mut ImageBuf, text: &str, style: TextStyle| {
        let text = TextLayer {
            name: "words".to_owned(),
            text: text.to_owned(),
            locale: language.locale.to_owned(),
            mode: TextMode::Composite,
            style,
        };
        let set = text::set(layer, &[text], fonts).unwrap_or_else(|err| panic!("set {words:?}: {err}"));
        set.first().map_or([EXTENT.bounds(); 2], |set| [set.area, set.ink])
    };
    let mut places = set(&mut layer, &words.drawn, style.clone());
    if let Some(beside) = &words.beside {
        // The half of the picture where the words are not.
        let [_, y, _, h] = style.area;
        let top = if y + h / 2.0 < 0.5 { 0.72 } else { 0.06 };
        set(&mut layer, beside, TextStyle { area: [0.2, top, 0.6, 0.16], ..style });
    }
    let degrees = match condition {
        Condition::Turned8 => 8.0,
        Condition::Turned20 => 20.0,
        _ => 0.0,
    };
    if degrees != 0.0 {
        let degrees = if seed.chance(50) { degrees } else { -degrees };
        layer = turned(&layer, degrees);
        places = places.map(|place| around(place, degrees));
    }
    if fault == Some(Fault::Mirrored) {
        mirror(&mut layer);
        places.iter_mut().for_each(|place| place.x = SIDE as i32 - place.right() as i32);
    }
    over(&mut image, &layer);
    (image, places)
}

/// A background, and a style to be read on it.
fn ground(condition: Condition, seed: &mut Seed) -> (ImageBuf, TextStyle) {
    let y = [0.06, 0.36, 0.62][seed.below(3) as usize];
    let bold = if seed.chance(60) { Weight::Bold } else { Weight::Regular };
    let size = 0.075 + seed.below(50) as f64 / 1000.0;
    let base = TextStyle { area: [0.06, y, 0.88, 0.3], size, lines_max: 3, weight: bold, ..TextStyle::default() };
    let bare = TextStyle { outline: None, shadow: None, ..base.clone() };
    let uppercase = seed.chance(25);
    match condition {
        Condition::Clean => {
            let (behind, letters) = pair(seed);
            let style = TextStyle { fill: Fill::Solid(letters), uppercase, ..bare };
            (ImageBuf::filled(EXTENT, opaque(behind)), style)
        }
        Condition::Small => {
            let (behind, letters) = pair(seed);
            let size = (12 + seed.below(7)) as f64 / f64::from(SIDE);
            let style = TextStyle { fill: Fill::Solid(letters), size, size_min: size * 0.999, ..bare };
            (ImageBuf::filled(EXTENT, opaque(behind)), style)
        }
        Condition::Gradient => {
            let gradient = Fill::Gradient([Rgb([255, 250, 214]), Rgb([255, 178, 40])]);
            let fill = if seed.chance(50) { gradient } else { base.fill };
            let colours = [colour(seed, 40, 160), colour(seed, 40, 200)];
            (slope(colours, seed), TextStyle { fill, uppercase, ..base })
        }
        Condition::Turned8 | Condition::Turned20 => {
            let (behind, letters) = pair(seed);
            let area = [0.14, 0.34, 0.72, 0.32];
            let style = if seed.chance(50) {
                TextStyle { fill: Fill::Solid(letters), area, ..bare }
            } else {
                TextStyle { area, ..base }
            };
            (ImageBuf::filled(EXTENT, opaque(behind)), style)
        }
        Condition::Busy => {
            let prompt = PROMPTS[seed.below(PROMPTS.len() as u64) as usize];
            let request = SceneRequest {
                prompt,
                negative: "",
                seed: seed.draw(),
                extent: EXTENT,
                brand: &[],
                composition: None,
                subject: None,
                keep_free: &[],
                intent: SceneIntent::Scene,
            };
            let scene = scene::draw(&request).unwrap_or_else(|err| panic!("draw {prompt:?}: {err}"));
            (scene.image, TextStyle { uppercase, ..base })
        }
        Condition::Noise => {
            let mut image = ImageBuf::filled(EXTENT, [0, 0, 0, 255]);
            for pixel in image.pixels_mut().chunks_exact_mut(4) {
                let bytes = seed.draw().to_le_bytes();
                pixel[..3].copy_from_slice(&bytes[..3]);
            }
            let outline = Some(Outline { colour: Rgb([16, 12, 28]), width: 0.12 });
            (image, TextStyle { outline, ..base })
        }
    }
}

fn opaque(Rgb([r, g, b]): Rgb) -> [u8; 4] {
    [r, g, b, 255]
}

fn colour(seed: &mut Seed, from: u64, to: u64) -> Rgb {
    Rgb([0; 3].map(|_: u8| (from + seed.below(to - from)) as u8))
}

/// Two colours, one of which can be read on the other.
fn pair(seed: &mut Seed) -> (Rgb, Rgb) {
    let behind = colour(seed, 0, 256);
    let letters = [colour(seed, 0, 70), colour(seed, 190, 256), Rgb([0; 3]), Rgb([255; 3])];
    let first = seed.below(2) as usize;
    let by_turns = letters.into_iter().cycle().skip(first).take(4);
    let readable = by_turns.into_iter().find(|&letters| contrast(letters, behind) >= CONTRAST_MIN);
    // Black or white is 4.58 at least, on any colour.
    (behind, readable.unwrap_or(Rgb([0; 3])))
}

/// WCAG's contrast of two colours, 1 to 21.
fn contrast(a: Rgb, b: Rgb) -> f64 {
    let luminance = |Rgb(channels): Rgb| {
        let linear = |value: u8| match f64::from(value) / 255.0 {
            value if value <= 0.040_45 => value / 12.92,
            value => ((value + 0.055) / 1.055).powf(2.4),
        };
        let [r, g, b] = channels.map(linear);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Two colours that run into each other from a corner.
fn slope([from, to]: [Rgb; 2], seed: &mut Seed) -> ImageBuf {
    let mut image = ImageBuf::filled(EXTENT, [0, 0, 0, 255]);
    let across = seed.below(101) as i32;
    for (at, pixel) in image.pixels_mut().chunks_exact_mut(4).enumerate() {
        let (x, y) = ((at as u32 % SIDE) as i32, (at as u32 / SIDE) as i32);
        let part = (x * across + y * (100 - across)) / 100;
        for (channel, value) in pixel.iter_mut().take(3).enumerate() {
            let (from, to) = (i32::from(from.0[channel]), i32::from(to.0[channel]));
            *value = (from + (to - from) * part / SIDE as i32) as u8;
        }
    }
    image
}

/// The layer turned around the middle, with its transparency.
fn turned(layer: &ImageBuf, degrees: f64) -> ImageBuf {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let middle = f64::from(SIDE) / 2.0;
    let mut image = ImageBuf::filled(EXTENT, [0; 4]);
    for (at, pixel) in image.pixels_mut().chunks_exact_mut(4).enumerate() {
        let x = f64::from(at as u32 % SIDE) + 0.5 - middle;
        let y = f64::from(at as u32 / SIDE) + 0.5 - middle;
        let from = [x * cos - y * sin + middle - 0.5, x * sin + y * cos + middle - 0.5];
        pixel.copy_from_slice(&between(layer, from));
    }
    image
}

/// The colour between four pixels, weighted by their alpha.
fn between(layer: &ImageBuf, [x, y]: [f64; 2]) -> [u8; 4] {
    let (left, top) = (x.floor(), y.floor());
    let mut sum = [0.0; 4];
    for (dx, dy) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
        let weight = (1.0 - (x - left - dx).abs()) * (1.0 - (y - top - dy).abs());
        let (at_x, at_y) = (left + dx, top + dy);
        if at_x < 0.0 || at_y < 0.0 {
            continue;
        }
        let Some([r, g, b, a]) = layer.pixel(at_x as u32, at_y as u32) else { continue };
        let alpha = weight * f64::from(a);
        for (sum, value) in sum.iter_mut().zip([r, g, b]) {
            *sum += alpha * f64::from(value);
        }
        sum[3] += alpha;
    }
    let alpha = sum[3];
    if alpha < 0.5 {
        return [0; 4];
    }
    [sum[0] / alpha, sum[1] / alpha, sum[2] / alpha, alpha].map(|value| (value + 0.5) as u8)
}

/// The upright box around `place` after it was turned around the middle, within the picture.
fn around(place: PixelBox, degrees: f64) -> PixelBox {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let middle = f64::from(SIDE) / 2.0;
    let (x, y) = (
        f64::from(place.x) + f64::from(place.w) / 2.0 - middle,
        f64::from(place.y) + f64::from(place.h) / 2.0 - middle,
    );
    let (w, h) = (f64::from(place.w), f64::from(place.h));
    let (centre_x, centre_y) = (x * cos + y * sin + middle, y * cos - x * sin + middle);
    let (w, h) = (w * cos.abs() + h * sin.abs(), w * sin.abs() + h * cos.abs());
    let around = PixelBox { x: (centre_x - w / 2.0) as i32, y: (centre_y - h / 2.0) as i32, w: w as u32, h: h as u32 };
    around.intersection(EXTENT.bounds()).unwrap_or(EXTENT.bounds())
}

fn mirror(layer: &mut ImageBuf) {
    for row in layer.pixels_mut().chunks_exact_mut(SIDE as usize * 4) {
        let mirrored: Vec<u8> = row.chunks_exact(4).rev().flatten().copied().collect();
        row.copy_from_slice(&mirrored);
    }
}

/// `layer` over an opaque picture.
fn over(image: &mut ImageBuf, layer: &ImageBuf) {
    for (below, above) in image.pixels_mut().chunks_exact_mut(4).zip(layer.pixels().chunks_exact(4)) {
        let alpha = u32::from(above[3]);
        for (below, &above) in below.iter_mut().take(3).zip(above) {
            *below = ((u32::from(above) * alpha + u32::from(*below) * (255 - alpha) + 127) / 255) as u8;
        }
    }
}
