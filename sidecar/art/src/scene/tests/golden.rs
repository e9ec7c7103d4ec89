//! The same bytes on any machine, thread count and instruction set.
//!
//! The hashes hold with other instructions too; to see it, run
//! `RUSTFLAGS="-C target-feature=+avx2,+fma" cargo test -p thumbforge-art golden` on a machine that has them.

use super::*;

/// prompt, seed, width, height, hash. Written by the failure message of the test below.
const GOLDEN: &[(&str, u64, u32, u32, &str)] = &[
    ("a red dragon guarding a castle", 1, 256, 256, "422ca465d60cb0b51c5cc365111cbe7bbd718b813a2ff207488407f3e345099c"),
    ("misty forest with a wolf", 2, 256, 256, "ab9c5b2cdeeb41b6df5df1a29a090f303b21a5e21ade42727f6be4a633367620"),
    ("neon city, race car", 3, 256, 256, "f3d5b4af456af196f6c9081703dcfeb77a5848e3a82c76bf3e1e217bbb5870fe"),
    ("pirate ship at sunset", 4, 256, 256, "be16bdb1134729c9d4796da84388d759c13f51f43a39302af92cd94ae2be0515"),
    ("deep space, rocket", 5, 256, 256, "07dac8aca463b53a412a3028b8984aada2c2b6c7580001ce987670ccc94b946d"),
    ("desert canyon, cowboy", 6, 256, 256, "90b7c61950c6ee70ce8619293acc0426152a0f6f6f655ab557c992820c6b5045"),
    ("snowy mountains, aurora", 7, 512, 512, "535d7a321a14fb2c47b3aa41e39d9d08aaa96d2c380c764c521d2ea64749bfff"),
    ("volcano forge, anvil", 8, 256, 256, "b44c8b0aba440fdd3438f940719738c948ef220b931aab67c184df6511525587"),
    ("crystal cavern", 9, 256, 256, "9a3fe96b9a1c85d0777f48bd57345d80f09ccd45b3de80799904211dd8fbf59f"),
    ("underwater shark", 10, 256, 256, "7302d87fbd890744f6ab082907902cb12d2b2b6356057e3aa4c2e8666d560463"),
    ("floating islands, airship", 11, 256, 256, "214ea5b98058e84565a9380c5257f5d2084146f07228c68168a6f45672b2e2b2"),
    ("dungeon with a skeleton", 12, 256, 256, "276a199e9c9ffcfc357fc8333c44f467d5824288c4ab0f9166ae46c51551f5e5"),
    ("healing potion on a table", 13, 256, 256, "faedea9d5f78de857505e18cef3a33feae1c70b1fdea498916cf9ba2e5505727"),
    ("haunted graveyard, ghost", 14, 256, 384, "4961515eb63b870e224d8151edb19c91a36eea2e0086a87763ea8f7102495e94"),
    ("retrowave grid", 15, 384, 128, "59e14626d4ba64cf1d2d9013ba0ea2118d9613bb29e023c62d726237a5942ca6"),
    ("jungle temple, storm", 16, 256, 256, "09b16f70b75f335250aa6b9aaaa9f39a41ea66968fb73f7173ee1e1521b38a0a"),
    ("farm with a tractor", 17, 256, 256, "ee9f5b1b203b02ef40ecec206f81908db341ac60b34c7e291b65b595109523d7"),
    ("trophy, soccer stadium", 18, 256, 256, "3ee9f61ef66f30a5578ad29071ad809620721af2e191629fe1a717bcbb1e6795"),
    ("vault of gold, crown", 19, 256, 256, "d846f751b61487fcc668f854e7fc85660b540b6dfd9a50d5961bdb8d13a98471"),
    ("legendary gem, radial burst", 20, 512, 512, "6eea21f54fee5850f02c2ee294a3c5cd653a7f822ee5f1de0ca14a86e6280388"),
];

fn hash(prompt: &str, seed: u64, width: u32, height: u32) -> String {
    let scene = drawn(&SceneRequest { seed, keep_free: &[TITLE], ..request(prompt, width, height) });
    scene.image.hash().to_string()
}

#[test]
fn golden_pixels() {
    let now: Vec<_> = CASES.iter().map(|(p, s, w, h)| (*p, *s, *w, *h, hash(p, *s, *w, *h))).collect();
    let same = now.len() == GOLDEN.len() && now.iter().zip(GOLDEN).all(|(a, b)| a.4 == b.4);
    let table: String =
        now.iter().map(|(p, s, w, h, hash)| format!("    ({p:?}, {s}, {w}, {h}, \"{hash}\"),\n")).collect();
    assert!(same, "pixels changed. If that was meant, raise scene::VERSION and set GOLDEN to:\n{table}");
}

#[test]
fn golden_pixels_on_eight_threads_at_once() {
    let expected = hash("a red dragon guarding a castle", 3, 256, 256);
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| hash("a red dragon guarding a castle", 3, 256, 256))).collect();
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
