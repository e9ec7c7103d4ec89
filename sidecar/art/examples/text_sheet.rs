//! Draws a sheet of text layers in every packaged script, for a person to look at.
//!
//! `cargo run -p thumbforge-art --example text_sheet -- /tmp/sheet.png`

use std::error::Error;
use std::time::Instant;

use thumbforge_art::text::{self, FontBook};
use thumbforge_core::colour::Rgb;
use thumbforge_core::image::{Extent, ImageBuf};
use thumbforge_core::text_layer::{
    Align, Fill, Outline, Plate, Shadow, TextLayer, TextMode, TextStyle, VerticalAlign, Weight,
};

/// Side of one picture in pixels.
const TILE: u32 = 512;
const COLUMNS: u32 = 4;

const SCRIPTS: [(&str, &str); 13] = [
    ("en", "SALE"),
    ("de", "Ausverkauf – Größe"),
    ("tr", "İNDİRİM ığüşöç"),
    ("ja", "セール 限定"),
    ("ko", "판매 세일"),
    ("zh-Hans", "特价 促销"),
    ("ar", "تخفيضات كبيرة"),
    ("he", "מבצע חם"),
    ("hi", "सेल शुरू हिन्दी"),
    ("th", "ลดราคา น้ำ"),
    ("vi", "Giảm giá lớn ưỡng"),
    ("uk", "Знижки їжак ґ"),
    ("el", "Προσφορές ΐΰ"),
];

const SHOP: [(&str, &str, &str, &str); 17] = [
    ("en", "Dragon Harvest Saga", "Double rewards until Sunday", "$4.99"),
    (
        "de",
        "Drachen\u{ad}ernte\u{ad}schlacht\u{ad}feld\u{ad}meister\u{ad}schaft",
        "Doppelte Belohnungen bis Sonntag",
        "4,99 €",
    ),
    ("fr", "La Moisson des Dragons", "Récompenses doublées jusqu’à dimanche !", "4,99 €"),
    ("tr", "Ejderha Hasadı Destanı", "Pazar gününe kadar çift ödül", "₺149"),
    ("ja", "ドラゴン・ハーベスト・サーガ 限定セール", "日曜日まで報酬が2倍、SSR装備を手に入れよう！", "¥600"),
    ("zh-Hans", "巨龙丰收传说：限时特惠直降", "周日之前奖励翻倍，“传说”装备等你来拿！", "¥30"),
    ("ko", "드래곤 하베스트 사가 한정 판매", "일요일까지 보상이 두 배로 지급됩니다", "₩5,900"),
    ("ar", "ملحمة حصاد التنين 2026", "مكافآت مضاعفة حتى الأحد مع Thumbforge بنسبة 50%", "‏4.99 ر.س"),
    ("he", "אגדת קציר הדרקון", "פרסים כפולים עד יום ראשון (50%)!", "₪19"),
    ("hi", "ड्रैगन फसल की गाथा", "रविवार तक दोगुने पुरस्कार और क्षत्रिय शक्ति", "₹399"),
    ("th", "ตำนานการเก็บเกี่ยวมังกรผู้ยิ่งใหญ่", "รับรางวัลสองเท่าจนถึงวันอาทิตย์นี้เท่านั้นสำหรับผู้เล่นทุกคน", "฿179"),
    ("vi", "Huyền thoại Mùa gặt Rồng", "Nhân đôi phần thưởng đến Chủ nhật", "119.000 ₫"),
    ("uk", "Сага про драконячі жнива", "Подвійні нагороди до неділі", "199 ₴"),
    ("el", "Το έπος της σοδειάς των δράκων", "Διπλές ανταμοιβές ως την Κυριακή", "4,99 €"),
    ("pl", "Żniwa smoków: źdźbło", "Podwójne nagrody do niedzieli", "19,99 zł"),
    ("ja", "CHRONICLE of 竜騎士II", "Ver.3.0 大型アップデート！「直」「骨」「刃」", "50%OFF"),
    ("ko", "신규 영웅 KAI 등장", "大中小 보스 레이드 2.0", "NEW"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name the file to write")?;
    let started = Instant::now();
    let fonts = FontBook::packaged();
    println!("book {:?}", started.elapsed());
    let mut tiles = vec![scripts(&fonts)?];
    for (at, row) in SHOP.iter().enumerate() {
        tiles.push(shop(&fonts, at as u32, row)?);
    }
    tiles.push(faces(&fonts)?);
    // Once more, warm.
    let started = Instant::now();
    scripts(&fonts)?;
    println!("scripts, warm, with art {:?}", started.elapsed());
    write(&path, &tiles)
}

fn scripts(fonts: &FontBook) -> Result<ImageBuf, Box<dyn Error>> {
    let mut image = art([[30, 20, 90], [230, 70, 90]]);
    let layers: Vec<TextLayer> = SCRIPTS
        .iter()
        .enumerate()
        .map(|(at, (locale, text))| {
            let style = TextStyle {
                area: [0.04, 0.015 + 0.0745 * at as f64, 0.92, 0.075],
                size: 0.062,
                size_min: 0.03,
                lines_max: 1,
                ..TextStyle::default()
            };
            layer("line", locale, text, style)
        })
        .collect();
    timed("scripts", &mut image, &layers, fonts)?;
    Ok(image)
}

fn shop(
    fonts: &FontBook,
    at: u32,
    (locale, title, subtitle, price): &(&str, &str, &str, &str),
) -> Result<ImageBuf, Box<dyn Error>> {
    let hue =
        |phase: u32| [40 + (at * 37 + phase) % 160, 40 + (at * 71 + 2 * phase) % 150, 60 + (at * 53 + phase) % 180];
    let mut image = art([hue(0).map(|v| v as u8), hue(90).map(|v| v as u8)]);
    let gradient = Fill::Gradient([Rgb([255, 250, 214]), Rgb([255, 178, 40])]);
    let layers = [
        layer(
            "title",
            locale,
            title,
            TextStyle { fill: gradient, lines_max: 3, uppercase: at % 3 == 2, ..TextStyle::default() },
        ),
        layer(
            "subtitle",
            locale,
            subtitle,
            TextStyle {
                area: [0.08, 0.36, 0.84, 0.16],
                size: 0.06,
                align: Align::Start,
                valign: VerticalAlign::Top,
                weight: Weight::Regular,
                outline: Some(Outline { colour: Rgb([16, 12, 28]), width: 0.05 }),
                shadow: Some(Shadow { colour: Rgb([0, 0, 0]), opacity: 0.6, blur: 0.2, offset: [0.0, 0.0] }),
                ..TextStyle::default()
            },
        ),
        layer(
            "price",
            locale,
            price,
            TextStyle {
                area: [0.5, 0.78, 0.44, 0.16],
                size: 0.09,
                lines_max: 1,
                align: Align::End,
                fill: Fill::Solid(Rgb([30, 20, 10])),
                outline: None,
                shadow: None,
                plate: Some(Plate { colour: Rgb([255, 210, 60]), opacity: 0.95, radius: 0.5, padding: [0.45, 0.25] }),
                ..TextStyle::default()
            },
        ),
    ];
    timed(locale, &mut image, &layers, fonts)?;
    Ok(image)
}

/// Large and small letters with thick and thin outlines, tracking and a stacked alignment.
fn faces(fonts: &FontBook) -> Result<ImageBuf, Box<dyn Error>> {
    let mut image = art([[200, 210, 220], [90, 140, 160]]);
    let thick = Some(Outline { colour: Rgb([20, 20, 80]), width: 0.16 });
    let layers = [
        layer(
            "thick",
            "en",
            "MAKWV&Zz",
            TextStyle { area: [0.03, 0.02, 0.94, 0.3], size: 0.3, outline: thick, ..TextStyle::default() },
        ),
        layer(
            "tracked",
            "en",
            "TRACKED OUT",
            TextStyle { area: [0.03, 0.34, 0.94, 0.1], tracking: 0.25, ..TextStyle::default() },
        ),
        layer(
            "tracked",
            "ar",
            "متصلة دائما",
            TextStyle { area: [0.03, 0.45, 0.94, 0.12], tracking: 0.25, ..TextStyle::default() },
        ),
        layer(
            "small",
            "en",
            "Eleven pixels tall: quick brown fox, ★ ♥ → • ™",
            TextStyle {
                area: [0.03, 0.6, 0.94, 0.05],
                size: 0.0215,
                size_min: 0.02,
                outline: None,
                weight: Weight::Regular,
                ..TextStyle::default()
            },
        ),
        layer(
            "small",
            "ja",
            "小さな文字でも読めること。「限定」",
            TextStyle {
                area: [0.03, 0.67, 0.94, 0.06],
                size: 0.03,
                size_min: 0.02,
                outline: None,
                shadow: None,
                fill: Fill::Solid(Rgb([0, 0, 0])),
                ..TextStyle::default()
            },
        ),
        layer(
            "end",
            "he",
            "שלום\nעולם",
            TextStyle { area: [0.03, 0.74, 0.45, 0.24], align: Align::Start, ..TextStyle::default() },
        ),
        layer(
            "end",
            "en",
            "Gypsy\njumps",
            TextStyle {
                area: [0.5, 0.74, 0.47, 0.24],
                align: Align::End,
                valign: VerticalAlign::Bottom,
                ..TextStyle::default()
            },
        ),
    ];
    timed("faces", &mut image, &layers, fonts)?;
    Ok(image)
}

fn layer(name: &str, locale: &str, text: &str, style: TextStyle) -> TextLayer {
    TextLayer {
        name: name.to_owned(),
        text: text.to_owned(),
        locale: locale.to_owned(),
        mode: TextMode::default(),
        style,
    }
}

fn timed(what: &str, image: &mut ImageBuf, layers: &[TextLayer], fonts: &FontBook) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let set = text::set(image, layers, fonts)?;
    println!("{what}: {:?}", started.elapsed());
    for layer in set {
        println!(
            "  {} {:.1} px {:?} ink {:?} area {:?} {:?}",
            layer.name, layer.size_px, layer.lines, layer.ink, layer.area, layer.fonts
        );
    }
    Ok(())
}

fn art([from, to]: [[u8; 3]; 2]) -> ImageBuf {
    let mut image = ImageBuf::filled(Extent { width: TILE, height: TILE }, [0, 0, 0, 255]);
    for (at, pixel) in image.pixels_mut().chunks_exact_mut(4).enumerate() {
        let (x, y) = (at as u32 % TILE, at as u32 / TILE);
        for (channel, out) in pixel.iter_mut().take(3).enumerate() {
            *out =
                ((u32::from(from[channel]) * (2 * TILE - x - y) + u32::from(to[channel]) * (x + y)) / (2 * TILE)) as u8;
        }
    }
    image
}

fn write(path: &str, tiles: &[ImageBuf]) -> Result<(), Box<dyn Error>> {
    let rows = (tiles.len() as u32).div_ceil(COLUMNS);
    let (width, height) = (COLUMNS * TILE, rows * TILE);
    let mut sheet = vec![0_u8; (width * height * 4) as usize];
    for (at, tile) in (0_u32..).zip(tiles) {
        let (left, top) = (at % COLUMNS * TILE, at / COLUMNS * TILE);
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
