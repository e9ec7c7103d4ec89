//! Draws what styles do to words in every packaged script: arcs, calm places and guarded contrast.
//!
//! `cargo run --release -p thumbforge-art --example style_sheet -- SHEET.png [LOCALE…]`
//!
//! A row for each script: bent up; bent down on a plate; in the calmest place, its area in thin lines; guarded on noise,
//! on white and on stripes, with the same style that is unreadable without.

use std::error::Error;
use std::time::Instant;

use thumbforge_art::scene::{self, SceneIntent, SceneRequest};
use thumbforge_art::text::{self, FontBook, SetLayer};
use thumbforge_core::colour::Rgb;
use thumbforge_core::image::{Extent, ImageBuf};
use thumbforge_core::text_layer::{Fill, Guard, Outline, Place, Plate, Shadow, TextLayer, TextMode, TextStyle, Weight};

/// Side of one picture in pixels.
const TILE: u32 = 384;

const WORDS: [(&str, &str, &str); 13] = [
    ("en", "Dragon Harvest", "SALE"),
    ("de", "Größter Ausverkauf", "Jetzt sparen"),
    ("tr", "İNDİRİM ığüşöç", "Şimdi al"),
    ("ja", "限定セール開催中", "特価"),
    ("ko", "한정 판매 세일", "특가"),
    ("zh-Hans", "限时特价促销", "特价"),
    ("ar", "تخفيضات كبيرة", "خصم"),
    ("he", "מבצע חם היום", "חדש"),
    ("hi", "सेल शुरू हिन्दी", "नया"),
    ("th", "ลดราคาครั้งใหญ่ น้ำ", "ใหม่"),
    ("vi", "Giảm giá lớn ưỡng", "Mới"),
    ("uk", "Знижки їжак ґ", "Новинка"),
    ("el", "Προσφορές ΐΰ", "Νέο"),
];

const SCENES: [&str; 4] = [
    "a red dragon guarding a castle",
    "pirate ship on the ocean at sunset",
    "neon cyberpunk city, race car",
    "treasure chest in a dungeon",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("name the file to write")?;
    let asked: Vec<String> = args.collect();
    let fonts = FontBook::packaged();
    let rows = WORDS.iter().filter(|(locale, ..)| asked.is_empty() || asked.iter().any(|asked| asked == locale));
    let mut tiles = Vec::new();
    for (at, (locale, long, short)) in rows.enumerate() {
        let scene = |free: &[[f64; 4]]| drawn(SCENES[at % SCENES.len()], at as u64, free);
        tiles.push(arched(scene(&[[0.06, 0.05, 0.88, 0.4]])?, locale, long, short, &fonts)?);
        tiles.push(plated(scene(&[[0.06, 0.05, 0.88, 0.4]])?, locale, long, short, &fonts)?);
        tiles.push(calm(scene(&[])?, locale, long, short, &fonts)?);
        tiles.push(guarded(noise(at as u32), locale, long, short, &fonts)?);
        tiles.push(guarded(ImageBuf::filled(extent(), [250, 250, 246, 255]), locale, long, short, &fonts)?);
        tiles.push(guarded(stripes(), locale, long, short, &fonts)?);
    }
    write(&path, &tiles, 6)
}

fn extent() -> Extent {
    Extent { width: TILE, height: TILE }
}

fn gold() -> Fill {
    Fill::Gradient([Rgb([255, 250, 214]), Rgb([255, 178, 40])])
}

fn arched(
    mut image: ImageBuf,
    locale: &str,
    long: &str,
    short: &str,
    fonts: &FontBook,
) -> Result<ImageBuf, Box<dyn Error>> {
    let style =
        TextStyle { area: [0.05, 0.05, 0.9, 0.34], size: 0.16, fill: gold(), arc: 60.0, ..TextStyle::default() };
    let small = TextStyle { area: [0.25, 0.7, 0.5, 0.25], size: 0.14, arc: 120.0, ..TextStyle::default() };
    set(&mut image, &[layer(locale, long, style), layer(locale, short, small)], fonts)?;
    Ok(image)
}

fn plated(
    mut image: ImageBuf,
    locale: &str,
    long: &str,
    short: &str,
    fonts: &FontBook,
) -> Result<ImageBuf, Box<dyn Error>> {
    let plate = |colour, radius, padding| Some(Plate { colour: Rgb(colour), opacity: 0.94, radius, padding });
    let ribbon = TextStyle {
        area: [0.05, 0.05, 0.9, 0.34],
        size: 0.12,
        arc: -40.0,
        plate: plate([150, 20, 40], 0.12, [0.6, 0.3]),
        outline: Some(Outline { colour: Rgb([60, 0, 12]), width: 0.06 }),
        ..TextStyle::default()
    };
    let badge = TextStyle {
        area: [0.2, 0.68, 0.6, 0.28],
        size: 0.11,
        arc: 50.0,
        fill: Fill::Solid(Rgb([40, 26, 6])),
        outline: None,
        shadow: Some(Shadow { colour: Rgb([255, 255, 255]), opacity: 0.5, blur: 0.02, offset: [0.0, 0.03] }),
        plate: plate([255, 208, 70], 0.5, [0.5, 0.25]),
        ..TextStyle::default()
    };
    set(&mut image, &[layer(locale, long, ribbon), layer(locale, short, badge)], fonts)?;
    Ok(image)
}

fn calm(
    mut image: ImageBuf,
    locale: &str,
    long: &str,
    short: &str,
    fonts: &FontBook,
) -> Result<ImageBuf, Box<dyn Error>> {
    let title = TextStyle { area: [0.1, 0.4, 0.8, 0.2], place: Place::Calm, fill: gold(), ..TextStyle::default() };
    let price = TextStyle {
        area: [0.5, 0.5, 0.3, 0.12],
        place: Place::Calm,
        weight: Weight::Regular,
        guard: Guard::Auto,
        ..TextStyle::default()
    };
    let done = set(&mut image, &[layer(locale, long, title), layer(locale, short, price)], fonts)?;
    for layer in done {
        frame(&mut image, &layer);
    }
    Ok(image)
}

fn guarded(
    mut image: ImageBuf,
    locale: &str,
    long: &str,
    short: &str,
    fonts: &FontBook,
) -> Result<ImageBuf, Box<dyn Error>> {
    let bare = TextStyle { outline: None, shadow: None, ..TextStyle::default() };
    let of = |y: f64, guard, fill| TextStyle { area: [0.06, y, 0.88, 0.2], size: 0.1, guard, fill, ..bare.clone() };
    let white = Fill::Solid(Rgb([255, 255, 255]));
    let layers = [
        layer(locale, long, of(0.03, Guard::None, white)),
        layer(locale, long, of(0.27, Guard::Outline, gold())),
        layer(locale, long, of(0.51, Guard::Plate, Fill::Solid(Rgb([240, 90, 60])))),
        layer(locale, short, TextStyle { arc: 40.0, ..of(0.75, Guard::Auto, Fill::Solid(Rgb([120, 190, 120]))) }),
    ];
    set(&mut image, &layers, fonts)?;
    Ok(image)
}

fn layer(locale: &str, text: &str, style: TextStyle) -> TextLayer {
    TextLayer {
        name: "words".to_owned(),
        text: text.to_owned(),
        locale: locale.to_owned(),
        mode: TextMode::default(),
        style,
    }
}

fn set(image: &mut ImageBuf, layers: &[TextLayer], fonts: &FontBook) -> Result<Vec<SetLayer>, Box<dyn Error>> {
    let started = Instant::now();
    let set = text::set(image, layers, fonts)?;
    let took = started.elapsed();
    for layer in &set {
        println!("{} {:?} {:.1} px {:?} {:?}", layer.locale, layer.lines, layer.size_px, layer.outline, layer.plate);
    }
    println!("{took:?}");
    Ok(set)
}

fn drawn(prompt: &str, seed: u64, keep_free: &[[f64; 4]]) -> Result<ImageBuf, Box<dyn Error>> {
    let request = SceneRequest {
        prompt,
        negative: "",
        seed,
        extent: extent(),
        brand: &[],
        composition: None,
        subject: None,
        keep_free,
        intent: SceneIntent::Scene,
    };
    Ok(scene::draw(&request)?.image)
}

/// Noise of every colour, which nothing stands out from by itself.
fn noise(seed: u32) -> ImageBuf {
    let mut image = ImageBuf::filled(extent(), [0, 0, 0, 255]);
    let mut state = seed.wrapping_mul(747_796_405) | 1;
    for pixel in image.pixels_mut().chunks_exact_mut(4) {
        for channel in &mut pixel[..3] {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            *channel = (state >> 11) as u8;
        }
    }
    image
}

fn stripes() -> ImageBuf {
    let mut image = ImageBuf::filled(extent(), [245, 245, 250, 255]);
    for (at, pixel) in image.pixels_mut().chunks_exact_mut(4).enumerate() {
        let (x, y) = (at as u32 % TILE, at as u32 / TILE);
        if (x + y) / 24 % 2 == 0 {
            pixel[..3].copy_from_slice(&[30, 60, 140]);
        }
    }
    image
}

/// Thin lines around the area of a layer.
fn frame(image: &mut ImageBuf, layer: &SetLayer) {
    let area = layer.area;
    for (at, pixel) in image.pixels_mut().chunks_exact_mut(4).enumerate() {
        let (x, y) = ((at as u32 % TILE) as i64, (at as u32 / TILE) as i64);
        let (left, top, right, bottom) = (i64::from(area.x), i64::from(area.y), area.right() - 1, area.bottom() - 1);
        let inside = (left..=right).contains(&x) && (top..=bottom).contains(&y);
        if inside && (x == left || x == right || y == top || y == bottom) {
            pixel[..3].copy_from_slice(&[255, 255, 255]);
        }
    }
}

fn write(path: &str, tiles: &[ImageBuf], columns: u32) -> Result<(), Box<dyn Error>> {
    let rows = (tiles.len() as u32).div_ceil(columns);
    let (width, height) = (columns * TILE, rows * TILE);
    let mut sheet = vec![0_u8; (width * height * 4) as usize];
    for (at, tile) in (0_u32..).zip(tiles) {
        let (left, top) = (at % columns * TILE, at / columns * TILE);
        for (y, row) in (top..).zip(tile.pixels().chunks_exact(TILE as usize * 4)) {
            let start = ((y * width + left) * 4) as usize;
            sheet[start..start + row.len()].copy_from_slice(row);
        }
    }
    let mut encoder = png::Encoder::new(std::io::BufWriter::new(std::fs::File::create(path)?), width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&sheet)?;
    Ok(())
}
