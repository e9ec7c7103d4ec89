//! The same layer gives the same bytes on any machine and any number of threads.
//!
//! That no CPU extension matters was also proved by building anew for one that has them, as was `--release`:
//! `RUSTFLAGS="-C target-feature=+avx2,+fma" CARGO_TARGET_DIR=/tmp/fma cargo test -p thumbforge-art golden`.

use thumbforge_core::colour::Rgb;
use thumbforge_core::text_layer::{Fill, Guard, Place, Plate, TextStyle, Weight};

use super::*;

/// Locale, text, the first 16 digits of the pixel hash. A change here moves pixels of every recipe with text:
/// raise [`super::super::VERSION`] with it, or [`FontBook::VERSION`] if a font changed.
const GOLDEN: [(&str, &str, &str); 15] = [
    ("en", "SALE", "d7151eab69bc5fef"),
    ("de", "Ausverkauf – Größe", "6aba8f6f84c0958b"),
    ("tr", "İNDİRİM ığüşöç", "8b357879bb3b1680"),
    ("ja", "セール 限定", "2955458311f59caa"),
    ("ko", "판매 세일", "7796a8af1b639285"),
    ("zh-Hans", "特价 促销", "04142f6157b126fa"),
    ("ar", "تخفيضات كبيرة 50%", "f522061050883db4"),
    ("he", "מבצע חם", "bdc894574e24d5c8"),
    ("hi", "सेल शुरू हिन्दी", "475bcec5b4810a29"),
    ("th", "ลดราคา น้ำ", "c8988e75c74196d2"),
    ("vi", "Giảm giá lớn ưỡng", "a81d1744beafe59a"),
    ("uk", "Знижки їжак ґ", "1f0fd7c14f5e2ae6"),
    ("el", "Προσφορές ΐΰ", "e8d90e67517fc7bb"),
    ("de", "Drachen\u{ad}ernte\u{ad}schlacht", "bb7da2d7e2a5f00e"),
    ("ja", "CHRONICLE of 竜騎士", "e16e1d25786fee7a"),
];

fn style() -> TextStyle {
    let fill = Fill::Gradient([Rgb([255, 250, 214]), Rgb([255, 178, 40])]);
    TextStyle { area: [0.05, 0.1, 0.9, 0.6], fill, ..TextStyle::default() }
}

fn hash(locale: &str, text: &str, style: TextStyle) -> String {
    let mut image = picture(256);
    set(&mut image, &[layer(locale, text, style)], &FontBook::packaged()).expect("it fits");
    image.hash().to_string()[..16].to_owned()
}

#[test]
fn every_script_has_its_golden_pixels() {
    let drawn: Vec<_> = GOLDEN.iter().map(|&(locale, text, _)| (locale, text, hash(locale, text, style()))).collect();
    let expected: Vec<_> = GOLDEN.iter().map(|&(locale, text, hash)| (locale, text, hash.to_owned())).collect();
    assert_eq!(drawn, expected);
}

#[test]
fn a_plate_and_the_regular_weight_have_their_golden_pixels() {
    let plate = Some(Plate { colour: Rgb([255, 210, 60]), opacity: 0.9, radius: 0.5, padding: [0.4, 0.2] });
    let badge = TextStyle { plate, outline: None, shadow: None, weight: Weight::Regular, ..style() };
    assert_eq!(hash("en", "€ 4.99", badge), "c670ff4b4943eac4");
}

/// As [`GOLDEN`], of what later styles do: bent, bent on a plate, in the calmest place, guarded.
const STYLED: [(&str, &str, &str); 6] = [
    ("arc", "en", "625bb592cc94accf"),
    ("arc", "ar", "75564dfbe9a0c314"),
    ("arc", "hi", "ffc89b7cce700848"),
    ("plate", "ja", "6b81f2aa5c473b8e"),
    ("calm", "th", "49f2e461410a82b6"),
    ("guard", "de", "93b23600626911b4"),
];

#[test]
fn every_later_style_has_its_golden_pixels() {
    let draw = |what: &str, locale: &str| {
        let (_, text, _) = GOLDEN.iter().find(|(known, ..)| *known == locale).expect("a locale of the table");
        let plate = Some(Plate { colour: Rgb([150, 20, 40]), opacity: 0.9, radius: 0.2, padding: [0.5, 0.3] });
        let style = match what {
            "arc" => TextStyle { arc: 60.0, ..style() },
            "plate" => TextStyle { arc: -45.0, plate, ..style() },
            "calm" => TextStyle { area: [0.2, 0.4, 0.6, 0.2], place: Place::Calm, ..style() },
            _ => TextStyle { guard: Guard::Auto, outline: None, weight: Weight::Regular, size: 0.07, ..style() },
        };
        // Stripes that lie close together at the top.
        let mut image = picture(256);
        for (at, pixel) in image.pixels_mut().chunks_exact_mut(4).enumerate() {
            let (x, y) = (at / 4 % 64, at / 1024);
            if x * x % (y + 8) < 4 {
                pixel[..3].copy_from_slice(&[250, 240, 200]);
            }
        }
        set(&mut image, &[layer(locale, text, style)], &FontBook::packaged()).expect("it fits");
        image.hash().to_string()[..16].to_owned()
    };
    let drawn: Vec<_> = STYLED.iter().map(|&(what, locale, _)| (what, locale, draw(what, locale))).collect();
    let expected: Vec<_> = STYLED.iter().map(|&(what, locale, hash)| (what, locale, hash.to_owned())).collect();
    assert_eq!(drawn, expected);
}

#[test]
fn eight_threads_draw_the_same() {
    let fonts = FontBook::packaged();
    let layers: Vec<_> = GOLDEN.iter().map(|(locale, text, _)| layer(locale, text, style())).collect();
    let draw = || {
        let mut image = picture(128);
        set(&mut image, &layers, &fonts).expect("they fit");
        image.hash()
    };
    let alone = draw();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(draw)).collect();
        for thread in threads {
            assert_eq!(thread.join().expect("no panic"), alone);
        }
    });
}

#[test]
fn what_was_set_before_does_not_matter() {
    let fonts = FontBook::packaged();
    let draw = |at: usize| {
        let (locale, text, _) = GOLDEN[at];
        let mut image = picture(128);
        set(&mut image, &[layer(locale, text, style())], &fonts).expect("it fits");
        image.hash()
    };
    let forwards: Vec<_> = (0..GOLDEN.len()).map(draw).collect();
    let mut backwards: Vec<_> = (0..GOLDEN.len()).rev().map(draw).collect();
    backwards.reverse();
    assert_eq!(forwards, backwards);
}
