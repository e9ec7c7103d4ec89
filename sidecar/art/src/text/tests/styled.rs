//! Arcs keep words whole and in their box, calm places follow the art, and guarded letters stand out from anything.

use proptest::prelude::*;
use thumbforge_core::colour::Rgb;
use thumbforge_core::image::PixelBox;
use thumbforge_core::text_layer::{Fill, Guard, Outline, Place, Plate, Weight};
use thumbforge_core::verdict::FindingCode;

use super::*;
use crate::check::{Checks, bounds};
use crate::text::Coverage;

const BARE: fn() -> TextStyle = || TextStyle { outline: None, shadow: None, lines_max: 1, ..TextStyle::default() };

/// Patches of pixels that touch, as a reader sees separate strokes.
fn patches(coverage: &Coverage) -> usize {
    let place = coverage.place;
    let covered = |x: i32, y: i32| coverage.at(x, y) >= bounds::SOLID;
    let mut seen = std::collections::BTreeSet::new();
    let mut count = 0;
    for y in place.y..place.y + place.h as i32 {
        for x in place.x..place.x + place.w as i32 {
            if !covered(x, y) || !seen.insert((x, y)) {
                continue;
            }
            count += 1;
            let mut edge = vec![(x, y)];
            while let Some((x, y)) = edge.pop() {
                for (dx, dy) in (-1..=1).flat_map(|dx| (-1..=1).map(move |dy| (dx, dy))) {
                    if covered(x + dx, y + dy) && seen.insert((x + dx, y + dy)) {
                        edge.push((x + dx, y + dy));
                    }
                }
            }
        }
    }
    count
}

#[test]
fn joined_letters_stay_joined_on_an_arc() {
    for (locale, text) in [("ar", "تخفيضات"), ("ar", "محمد"), ("hi", "हिन्दी"), ("hi", "सेल शुरू"), ("en", "Harvest")]
    {
        let of = |arc| set_one(locale, text, TextStyle { arc, size: 0.25, area: [0.02, 0.02, 0.96, 0.96], ..BARE() });
        let straight = patches(&of(0.0).expect("it fits").coverage);
        for arc in [25.0, -25.0, 90.0, -90.0] {
            assert_eq!(patches(&of(arc).expect("it fits").coverage), straight, "{text} over {arc} degrees");
        }
    }
}

#[test]
fn the_middle_of_an_arc_stands_highest_and_that_of_a_bowl_lowest() {
    // Where the ink is highest in the first, middle and last fifth.
    let tops = |arc: f64| {
        let style = TextStyle { arc, area: [0.02, 0.02, 0.96, 0.96], ..BARE() };
        let set = set_one("en", "HHHHHHHHHH", style).expect("it fits");
        let ink = set.ink;
        let top = |from: u32, to: u32| {
            let columns = ink.x + (ink.w * from / 5) as i32..ink.x + (ink.w * to / 5) as i32;
            (ink.y..ink.y + ink.h as i32).find(|&y| columns.clone().any(|x| set.coverage.at(x, y) >= bounds::SOLID))
        };
        [top(0, 1), top(2, 3), top(4, 5)].map(|top| top.expect("ink") - ink.y)
    };
    let [left, middle, right] = tops(70.0);
    assert!(middle < left && (left - right).abs() <= 1, "{left} {middle} {right}");
    let [left, middle, right] = tops(-70.0);
    assert!(middle > left && (left - right).abs() <= 1, "{left} {middle} {right}");
}

#[test]
fn bent_words_stand_in_one_line() {
    let style = TextStyle { arc: 40.0, lines_max: 3, ..TextStyle::default() };
    assert_eq!(set_one("en", "Dragon Harvest Saga", style.clone()).expect("it fits").lines.len(), 1);
    let error = set_one("en", "Dragon\nHarvest", style.clone()).expect_err("two lines").to_string();
    assert!(error.contains("2 lines, of which 1 may be, since they are bent"), "{error}");
    let error = set_one("en", "Sale", TextStyle { arc: f64::NAN, ..style }).expect_err("no number").to_string();
    assert!(error.contains("arc is NaN"), "{error}");
}

#[test]
fn a_plate_is_bent_with_its_words_and_stays_in_the_area() {
    let plate = Some(Plate { colour: Rgb([150, 20, 40]), opacity: 1.0, radius: 0.2, padding: [0.5, 0.3] });
    for arc in [50.0, -50.0] {
        let style = TextStyle { arc, plate, area: [0.1, 0.1, 0.8, 0.4], ..BARE() };
        let set = set_one("en", "Dragon Harvest", style).expect("it fits");
        let plate = set.plate.expect("a plate");
        assert!(set.area.contains(plate) && plate.contains(set.ink), "{plate:?} {:?} {:?}", set.ink, set.area);
        // A straight plate would cover the corners of its bounds.
        assert!(plate.h > set.ink.h, "{plate:?} {:?}", set.ink);
    }
}

/// A picture whose pixels follow from where they are.
fn art(side: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> ImageBuf {
    let mut image = ImageBuf::filled(Extent { width: side, height: side }, [0, 0, 0, 255]);
    for (at, out) in image.pixels_mut().chunks_exact_mut(4).enumerate() {
        out[..3].copy_from_slice(&pixel(at as u32 % side, at as u32 / side));
    }
    image
}

/// Numbers without a pattern.
fn scattered(x: u32, y: u32, seed: u32) -> u32 {
    let mut state = x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77) ^ seed.wrapping_mul(0xC2B2_AE3D);
    state ^= state >> 15;
    state = state.wrapping_mul(0x2C1B_3C6D);
    state ^= state >> 12;
    state.wrapping_mul(0x297A_2D39) >> 8
}

fn noise(side: u32, seed: u32) -> ImageBuf {
    art(side, |x, y| {
        let [r, g, b, _] = scattered(x, y, seed).to_le_bytes();
        [r, g, b]
    })
}

fn calm(area: [f64; 4]) -> TextStyle {
    TextStyle { area, place: Place::Calm, size: 0.08, size_min: 0.01, ..BARE() }
}

/// Areas of layers with these styles over `image`.
fn areas(image: &ImageBuf, words: &str, styles: &[TextStyle]) -> Vec<PixelBox> {
    let layers: Vec<_> = styles.iter().map(|style| layer("en", words, style.clone())).collect();
    let set = set(&mut image.clone(), &layers, &FontBook::packaged()).expect("they fit");
    set.into_iter().map(|set| set.area).collect()
}

#[test]
fn words_go_where_the_art_is_calm() {
    let busy = |calm_part: fn(u32, u32) -> bool| {
        art(256, move |x, y| if calm_part(x, y) { [90, 110, 160] } else { [(scattered(x, y, 1) & 0xFF) as u8; 3] })
    };
    let check = |calm_part: fn(u32, u32) -> bool, wanted: [f64; 4]| {
        let place = areas(&busy(calm_part), "Sale", &[calm(wanted)])[0];
        let all = (0..place.h).flat_map(|y| (0..place.w).map(move |x| (x, y)));
        let outside = all.filter(|(x, y)| !calm_part(x + place.x as u32, y + place.y as u32)).count();
        assert!(outside * 20 < (place.w * place.h) as usize, "{outside} busy pixels in {place:?}");
        assert!(place.w as f64 >= wanted[2] * 256.0 - 2.0 && place.h as f64 >= wanted[3] * 256.0 - 2.0, "{place:?}");
    };
    check(|_, y| y < 80, [0.1, 0.7, 0.8, 0.2]);
    check(|_, y| y > 180, [0.1, 0.05, 0.8, 0.2]);
    check(|x, _| x < 100, [0.6, 0.4, 0.3, 0.2]);
    check(|x, y| x > 150 && y > 150, [0.05, 0.05, 0.3, 0.15]);
}

#[test]
fn where_all_is_alike_words_stay_and_the_middle_is_left_free() {
    let flat = ImageBuf::filled(Extent { width: 256, height: 256 }, [80, 80, 80, 255]);
    let at = |area| areas(&flat, "Sale", &[calm(area)])[0];
    let top = [0.1, 0.05, 0.8, 0.2];
    assert_eq!(at(top), areas(&flat, "Sale", &[TextStyle { place: Place::Area, ..calm(top) }])[0]);
    let middle = at([0.25, 0.4, 0.5, 0.2]);
    assert!(middle.bottom() <= 100 || middle.y >= 156, "{middle:?} lies on the subject");
    // Into the safe area, and no further.
    assert_eq!(at([0.0, 0.0, 0.5, 0.2]).x, 8);
}

#[test]
fn places_follow_from_the_art_and_never_from_the_words() {
    let image = noise(256, 3);
    let styles = [calm([0.1, 0.1, 0.8, 0.2]), calm([0.5, 0.5, 0.3, 0.1])];
    let first = areas(&image, "A", &styles);
    assert_eq!(first, areas(&image, "Quite other words", &styles));
    assert!(first[0].intersection(first[1]).is_none(), "{first:?}");
    // Layers that stay are kept clear of, whatever their order.
    let fixed = TextStyle { area: [0.0, 0.0, 1.0, 0.6], ..BARE() };
    for styles in [[fixed.clone(), calm([0.1, 0.1, 0.8, 0.2])], [calm([0.1, 0.1, 0.8, 0.2]), fixed.clone()]] {
        let places = areas(&image, "A", &styles);
        assert!(places[0].intersection(places[1]).is_none(), "{places:?}");
    }
    // Where there is no such place, the area is as good as any.
    let everywhere = TextStyle { area: [0.0, 0.0, 1.0, 1.0], ..BARE() };
    let places = areas(&image, "A", &[everywhere, calm([0.1, 0.1, 0.8, 0.2])]);
    assert_eq!((places[1].x, places[1].y), (26, 26));
}

#[test]
fn a_final_has_its_words_where_its_draft_has_them() {
    let draft = art(512, |x, y| {
        let busy = (x as i32 - 300).pow(2) + (y as i32 - 330).pow(2) < 30_000;
        if busy { [(scattered(x / 4, y / 4, 9) & 0xFF) as u8; 3] } else { [(x / 4) as u8, (y / 4) as u8, 120] }
    });
    let scaled = |times: u32| {
        art(512 * times, |x, y| {
            let [r, g, b, _] = draft.pixel(x / times, y / times).expect("a pixel");
            [r, g, b]
        })
    };
    for area in [[0.1, 0.6, 0.8, 0.2], [0.4, 0.5, 0.3, 0.1]] {
        let at = areas(&draft, "Sale", &[calm(area)])[0];
        for times in [2, 3] {
            let large = areas(&scaled(times), "Sale", &[calm(area)])[0];
            let away = |small: i32, large: i32| (small * times as i32 - large).abs();
            assert!(away(at.x, large.x).max(away(at.y, large.y)) <= 8 * times as i32, "{at:?} and {large:?}");
        }
    }
}

#[test]
fn pictures_of_one_pixel_and_of_odd_sides_have_places() {
    for (width, height) in [(1, 1), (3, 500), (500, 3), (65, 64), (129, 257)] {
        let image = ImageBuf::filled(Extent { width, height }, [1, 2, 3, 255]);
        let layers = [layer("en", "x", calm([0.2, 0.2, 0.5, 0.5]))];
        let place = crate::text::calm::places(&image, &layers)[0];
        assert!(place.x >= 0 && place.right() <= i64::from(width) && place.bottom() <= i64::from(height), "{place:?}");
    }
}

/// Findings of contrast in `image` with these words set over it.
fn low_contrast(image: &ImageBuf, style: TextStyle, text: &str) -> usize {
    let mut finished = image.clone();
    let set = set(&mut finished, &[layer("en", text, style)], &FontBook::packaged()).expect("it fits");
    let checks = Checks {
        expected: image.extent(),
        art: image,
        finished: &finished,
        set: &set,
        safe_inset: 0.0,
        shown_width: image.extent().width,
        brand: &[],
        brand_set: &[],
        criteria: &thumbforge_core::criteria::Criteria::default(),
    };
    checks.run().iter().filter(|finding| finding.code == FindingCode::LowContrast).count()
}

#[test]
fn a_guard_adds_what_is_needed_and_no_more() {
    let white = ImageBuf::filled(Extent { width: 256, height: 256 }, [255, 255, 255, 255]);
    let dark = ImageBuf::filled(Extent { width: 256, height: 256 }, [10, 10, 20, 255]);
    let set_on = |image: &ImageBuf, guard, style: TextStyle| {
        let mut image = image.clone();
        let layers = [layer("en", "Sale", TextStyle { guard, ..style })];
        set(&mut image, &layers, &FontBook::packaged()).expect("it fits").remove(0)
    };
    let check = |image: &ImageBuf, guard, outline: bool, plate: bool| {
        let set = set_on(image, guard, BARE());
        assert_eq!((set.outline.is_some(), set.plate.is_some()), (outline, plate), "{guard:?}");
    };
    check(&white, Guard::None, false, false);
    check(&white, Guard::Outline, true, false);
    check(&white, Guard::Plate, false, true);
    check(&white, Guard::Auto, true, false);
    for guard in [Guard::Outline, Guard::Plate, Guard::Auto] {
        check(&dark, guard, false, false);
    }
    // The style's own outline is widened before another colour is taken.
    let thin = Some(Outline { colour: Rgb([120, 0, 0]), width: 0.005 });
    let set = set_on(&white, Guard::Auto, TextStyle { outline: thin, ..BARE() });
    assert_eq!(set.outline.map(|(colour, _)| colour), Some(Rgb([120, 0, 0])));
    // Letters of every shade between black and white are outlined on a plate.
    let fill = Fill::Gradient([Rgb([255, 255, 255]), Rgb([0, 0, 0])]);
    let set = set_on(&noise(256, 5), Guard::Auto, TextStyle { fill, weight: Weight::Regular, size: 0.06, ..BARE() });
    assert!(set.outline.is_some() && set.plate.is_some());
}

fn colour() -> impl Strategy<Value = Rgb> {
    any::<[u8; 3]>().prop_map(Rgb)
}

fn background() -> impl Strategy<Value = ImageBuf> {
    let extent = Extent { width: 160, height: 160 };
    prop_oneof![
        colour().prop_map(move |Rgb([r, g, b])| ImageBuf::filled(extent, [r, g, b, 255])),
        any::<u32>().prop_map(|seed| noise(160, seed)),
        (colour(), colour(), 3..40_u32)
            .prop_map(|(a, b, wide)| art(160, move |x, y| { if (x + y) / wide % 2 == 0 { a.0 } else { b.0 } })),
        (colour(), colour()).prop_map(|(a, b)| art(160, move |x, _| {
            std::array::from_fn(|c| ((u32::from(a.0[c]) * (160 - x) + u32::from(b.0[c]) * x) / 160) as u8)
        })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]
    #[test]
    fn guarded_letters_stand_out_from_anything(
        image in background(),
        (top, bottom, gradient) in (colour(), colour(), any::<bool>()),
        (outline, shadow, plate, bold) in (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
        (own, size, arc) in (colour(), 0.06..0.2, prop_oneof![Just(0.0), Just(40.0)]),
        plate_only in any::<bool>(),
    ) {
        let default = TextStyle::default();
        let style = TextStyle {
            area: [0.1, 0.2, 0.8, 0.5],
            size,
            size_min: 0.03,
            arc,
            fill: if gradient { Fill::Gradient([top, bottom]) } else { Fill::Solid(top) },
            weight: if bold { Weight::Bold } else { Weight::Regular },
            outline: outline.then_some(Outline { colour: own, width: 0.05 }),
            shadow: default.shadow.filter(|_| shadow),
            plate: plate.then_some(Plate { colour: own, opacity: 0.4, radius: 0.3, padding: [0.2, 0.1] }),
            guard: if plate_only { Guard::Plate } else { Guard::Auto },
            ..default
        };
        prop_assert_eq!(low_contrast(&image, style, "Dragon Saga"), 0);
    }

    #[test]
    fn bent_ink_lies_in_its_box_or_there_is_an_error(
        (x, y, w, h) in (0.0..0.5, 0.0..0.5, 0.1..0.5, 0.05..0.5),
        (size, outline, arc) in (0.02..0.4, 0.0..0.3, prop_oneof![-180.0..-5.0, 5.0..180.0]),
        plate in any::<bool>(),
        word in prop::sample::select(vec![("en", "Jay"), ("en", "Dragon Harvest"), ("ar", "تخفيضات كبيرة"), ("hi", "क्षत्रिय"), ("th", "น้ำ"), ("ja", "「限定」")]),
    ) {
        let style = TextStyle {
            area: [x, y, w, h],
            size,
            size_min: 0.02,
            arc,
            outline: Some(Outline { colour: Rgb([0; 3]), width: outline }),
            plate: plate.then_some(Plate { colour: Rgb([9; 3]), opacity: 1.0, radius: 0.5, padding: [0.4, 0.2] }),
            ..TextStyle::default()
        };
        match set_one(word.0, word.1, style) {
            Ok(set) => {
                prop_assert!(set.area.contains(set.ink), "{:?} in {:?}", set.ink, set.area);
                prop_assert!(set.plate.is_none_or(|plate| set.area.contains(plate)), "{:?} in {:?}", set.plate, set.area);
            }
            Err(error) => prop_assert!(matches!(error, TextError::DoesNotFit { .. }), "{}", error),
        }
    }
}
