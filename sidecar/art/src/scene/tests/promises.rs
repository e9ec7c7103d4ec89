//! Sizes, text areas, brand colours, negative words, errors.

use proptest::prelude::*;
use thumbforge_core::colour::Rgb;

use super::*;
use crate::scene::{SceneError, compositions, icons};

/// Standard deviation of lightness after taking away a broad average, in levels of 255, inside a text area.
fn detail(scene: &Scene, zone: [f64; 4]) -> f64 {
    let extent = scene.image.extent();
    let (w, h) = (f64::from(extent.width), f64::from(extent.height));
    let (x0, y0) = ((zone[0] * w) as i64, (zone[1] * h) as i64);
    let (x1, y1) = (((zone[0] + zone[2]) * w) as i64, ((zone[1] + zone[3]) * h) as i64);
    let luma = |x: i64, y: i64| {
        let [r, g, b, _] = scene.image.pixel(x as u32, y as u32).expect("inside");
        f64::from(r) * 0.299 + f64::from(g) * 0.587 + f64::from(b) * 0.114
    };
    let reach = 6;
    let (mut sum, mut n) = (0.0, 0.0);
    for y in (y0 + reach..y1 - reach).step_by(2) {
        for x in (x0 + reach..x1 - reach).step_by(2) {
            let mut around = 0.0;
            for d in -reach..=reach {
                around += luma(x + d, y) + luma(x, y + d);
            }
            let off = luma(x, y) - around / (4 * reach + 2) as f64;
            sum += off * off;
            n += 1.0;
        }
    }
    (sum / f64::max(n, 1.0)).sqrt()
}

#[test]
fn text_areas_are_quiet_in_every_composition() {
    for name in compositions() {
        for (seed, zones) in
            [(1u64, vec![TITLE]), (2, vec![[0.06, 0.7, 0.88, 0.24]]), (3, vec![TITLE, [0.5, 0.78, 0.45, 0.16]])]
        {
            let scene = drawn(&SceneRequest {
                composition: Some(name),
                seed,
                keep_free: &zones,
                ..request("knight", 256, 256)
            });
            for zone in &zones {
                let found = detail(&scene, *zone);
                // Grain alone measures about 1; the edges of letters are 50 and more.
                assert!(found < 3.0, "{name}, seed {seed}: detail of {found:.2} levels in {zone:?}");
            }
        }
    }
}

#[test]
fn subjects_stay_out_of_text_areas() {
    for (seed, name) in compositions().iter().enumerate() {
        for zones in [vec![TITLE], vec![[0.05, 0.62, 0.9, 0.3]], vec![[0.05, 0.1, 0.4, 0.8]]] {
            let scene = drawn(&SceneRequest {
                composition: Some(name),
                seed: seed as u64,
                keep_free: &zones,
                ..request("dragon", 192, 192)
            });
            let Some([l, t, r, b]) = scene.subject_bounds else { panic!("{name}: no dragon beside {zones:?}") };
            for z in &zones {
                let z = z.map(|v| v as f32 * 192.0);
                let apart = r <= z[0] || l >= z[0] + z[2] || b <= z[1] || t >= z[1] + z[3];
                assert!(apart, "{name}: subject {:?} in {z:?}", [l, t, r, b]);
            }
        }
    }
}

#[test]
fn a_subject_without_room_is_left_out() {
    let scene = drawn(&SceneRequest { keep_free: &[[0.0, 0.0, 1.0, 1.0]], ..request("dragon", 128, 128) });
    assert_eq!((scene.subject, scene.credits.len()), (None, 0));
}

#[test]
fn every_composition_draws_at_odd_sizes() {
    for name in compositions() {
        for (w, h) in [(16, 16), (16, 128), (1024, 64), (300, 900)] {
            let scene = drawn(&SceneRequest { composition: Some(name), keep_free: &[TITLE], ..request("sword", w, h) });
            assert_eq!(scene.image.extent(), Extent { width: w, height: h });
            assert!(scene.image.pixels().chunks_exact(4).all(|p| p[3] == 255), "{name} is not opaque");
        }
    }
    assert_eq!(drawn(&request("a ship at sea", 4096, 256)).image.extent().width, 4096);
}

#[test]
fn pictures_are_neither_empty_nor_black() {
    for name in compositions() {
        let scene = drawn(&SceneRequest { composition: Some(name), ..request("", 96, 96) });
        let mut tones: Vec<u32> =
            scene.image.pixels().chunks_exact(4).map(|p| u32::from(p[0]) + u32::from(p[1]) + u32::from(p[2])).collect();
        tones.sort_unstable();
        let (dark, bright) = (tones[tones.len() / 10], tones[tones.len() * 9 / 10]);
        assert!(bright > 150 && bright - dark > 60, "{name}: tones {dark} to {bright}");
    }
}

fn share_near(scene: &Scene, colour: Rgb, within: i32) -> f64 {
    let near = scene
        .image
        .pixels()
        .chunks_exact(4)
        .filter(|p| (0..3).all(|i| (i32::from(p[i]) - i32::from(colour.0[i])).abs() <= within))
        .count();
    near as f64 / scene.image.extent().pixels() as f64
}

#[test]
fn brand_colours_are_in_the_picture() {
    let mut missing = Vec::new();
    for brand in [Rgb([0xe6, 0x00, 0x7e]), Rgb([0x00, 0x5b, 0xbb]), Rgb([0xff, 0xcc, 0x00]), Rgb([0x12, 0x8a, 0x4a])] {
        for name in compositions() {
            let scene = drawn(&SceneRequest {
                brand: &[brand, Rgb([0xff, 0xff, 0xff])],
                composition: Some(name),
                ..request("knight", 128, 128)
            });
            assert_eq!(scene.palette, "brand");
            let share = share_near(&scene, brand, 32);
            if share < 0.01 {
                missing.push(format!("{name}: {brand} on {:.2} %", share * 100.0));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn another_seed_is_another_picture() {
    let pictures: Vec<_> = (0..12).map(|seed| drawn(&SceneRequest { seed, ..request("dragon", 64, 64) })).collect();
    for (i, a) in pictures.iter().enumerate() {
        for b in &pictures[..i] {
            let (a, b) = (a.image.pixels(), b.image.pixels());
            let far = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>() as f64 / a.len() as f64;
            assert!(far > 4.0, "two seeds differ by {far:.1} levels only");
        }
    }
}

#[test]
fn unknown_names_are_refused_with_near_ones() {
    let err =
        draw(&SceneRequest { composition: Some("montains"), ..request("", 16, 16) }).expect_err("no such composition");
    assert!(matches!(&err, SceneError::Composition { nearest, .. } if nearest[0] == "mountains"), "{err}");
    let err = draw(&SceneRequest { subject: Some("dragn"), ..request("", 16, 16) }).expect_err("no such icon");
    assert!(matches!(&err, SceneError::Subject { nearest, .. } if !nearest.is_empty()), "{err}");
    assert_eq!(drawn(&SceneRequest { subject: Some("potion"), ..request("", 64, 64) }).subject, Some("potion-ball"));
}

#[test]
fn every_icon_has_an_outline_a_material_and_an_author() {
    const MATERIALS: &str =
        "metal gold wood stone gem leather plant fire glass creature bone cloth paper water ice energy food machine";
    for icon in icons::all() {
        let outline = icon.outline();
        let cover = outline.cover(512, 512, 0);
        let share = cover.a.iter().sum::<f32>() / (512.0 * 512.0);
        assert!((0.03..0.95).contains(&share), "{} covers {:.1} %", icon.name, share * 100.0);
        let [l, t, r, b] = outline.bounds().expect("points");
        assert!(l > -40.0 && t > -40.0 && r < 552.0 && b < 552.0, "{} leaves its box: {:?}", icon.name, [l, t, r, b]);
        assert!(MATERIALS.split(' ').any(|m| m == icon.material), "{} is made of {}", icon.name, icon.material);
        assert!(!icon.credit().author.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn nothing_asked_panics(
        prompt in "\\PC{0,60}", negative in "\\PC{0,20}", seed: u64, w in 16u32..72, h in 16u32..72,
        zones in proptest::collection::vec(proptest::array::uniform4(-0.5f64..1.5), 0..4), icon: bool,
    ) {
        let intent = if icon { SceneIntent::Icon } else { SceneIntent::Scene };
        let scene = draw(&SceneRequest { negative: &negative, seed, keep_free: &zones, intent, ..request(&prompt, w, h) });
        prop_assert!(scene.is_ok());
    }
}
