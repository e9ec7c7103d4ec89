//! The autoencoder against itself: cut at the middle, cut into tiles.

use super::tiles::{Canvas, Tile, Tiles};
use super::*;
use crate::device::Device;
use crate::dtype::Precision;
use crate::param::Params;
use crate::pipeline::stage::Stage;
use crate::plain::Plain;
use crate::plan::Program;
use crate::tiny::{self, Tiny};

fn run(graph: Graph, params: &Params, from: &str, numbers: &[f32], to: &str) -> Vec<f32> {
    let stage = Stage::new(graph, Precision::F32);
    let mut memory = Plain.reserve(stage.bytes()).expect("memory");
    stage.write(&Plain, &mut memory, from, numbers).expect("written");
    stage.run(&Plain, params, &mut memory, &|| false).expect("ran");
    stage.read(&Plain, &memory, to).expect("read")
}

fn numbers(count: usize) -> Vec<f32> {
    tiny::gauss(1, "numbers", count, 1.0)
}

fn most(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn halves_are_the_whole() {
    let tiny = Tiny::medium();
    let (config, params) = (&tiny.vae, tiny::params(tiny.vae_values()));
    let latents = numbers(4 * 6 * config.latent);
    let whole = run(decode(config, 1, 4, 6), &params, LATENTS, &latents, PICTURE);
    let features = run(decode_middle(config, 1, 4, 6), &params, LATENTS, &latents, FEATURES);
    assert_eq!(whole, run(decode_levels(config, 1, 4, 6), &params, FEATURES, &features, PICTURE));
    assert_eq!(whole.len(), 32 * 48 * 3);
    let moments = run(encode(config, 1, 4, 6), &params, PICTURE, &whole, MOMENTS);
    let features = run(encode_levels(config, 1, 4, 6), &params, PICTURE, &whole, FEATURES);
    assert_eq!(moments, run(encode_middle(config, 1, 4, 6), &params, FEATURES, &features, MOMENTS));
    assert_eq!(moments.len(), 4 * 6 * 2 * config.latent);
}

#[test]
fn pictures_of_a_batch_do_not_see_each_other() {
    let tiny = Tiny::medium();
    let (config, params) = (&tiny.vae, tiny::params(tiny.vae_values()));
    let latents = numbers(2 * 4 * 4 * config.latent);
    let both = run(decode(config, 2, 4, 4), &params, LATENTS, &latents, PICTURE);
    let second = run(decode(config, 1, 4, 4), &params, LATENTS, &latents[4 * 4 * config.latent..], PICTURE);
    assert_eq!(both[32 * 32 * 3..], second);
}

#[test]
fn latents_go_there_and_back() {
    let config = Tiny::medium().vae;
    let before = numbers(64);
    let mut latents = before.clone();
    scale(&config, &mut latents);
    assert!((latents[3] - (before[3] - 0.0609) * 1.5305).abs() < 1e-6);
    unscale(&config, &mut latents);
    assert!(most(&before, &latents) < 1e-6);
}

#[test]
fn a_sample_is_mean_and_noise() {
    let config = VaeConfig { latent: 2, ..Tiny::medium().vae };
    // Two pixels: means 1 2, variances e^0 e^2; means 3 4, variances beyond the bounds.
    let moments = [1.0, 2.0, 0.0, 2.0, 3.0, 4.0, 100.0, -100.0];
    let drawn = sample(&config, &moments, &[1.0, 1.0, 1.0, 1.0]);
    let expected = [2.0, 3.0 + 10f32.exp(), 2.0 + 1f32.exp(), 4.0 + (-15f32).exp()];
    assert!(most(&drawn, &expected) < 1e-2, "{drawn:?}");
    // Planes: the first two numbers of noise are the first channel's.
    assert_eq!(sample(&config, &moments, &[0.0, 0.0, 0.0, 0.0]), [1.0, 3.0, 2.0, 4.0]);
}

#[test]
fn tiles_cover_a_side() {
    let check = |side: usize, starts: &[usize], long: usize| {
        let tiles = Tiles { side: 16, overlap: 4 };
        assert_eq!(tiles.along(side), (starts.to_vec(), long), "{side}");
    };
    check(9, &[0], 9);
    check(16, &[0], 16);
    check(17, &[0, 1], 16);
    check(28, &[0, 12], 16);
    check(29, &[0, 6, 13], 16);
    check(40, &[0, 12, 24], 16);
    assert_eq!(
        Tiles { side: 16, overlap: 4 }.of(16, 28),
        [Tile { top: 0, left: 0, height: 16, width: 16 }, Tile { top: 0, left: 12, height: 16, width: 16 }]
    );
}

#[test]
fn tiles_that_are_all_overlap_are_refused() {
    assert!(Tiles { side: 16, overlap: 9 }.checked().is_err());
    assert!(Tiles { side: 4, overlap: 0 }.checked().is_err());
    assert!(Tiles::USUAL.checked().is_ok());
    assert!(Tiles { side: 16, overlap: 0 }.checked().is_ok());
}

#[test]
fn tiles_of_one_picture_give_that_picture() {
    for (tiles, times) in [(Tiles { side: 16, overlap: 4 }, 1), (Tiles { side: 8, overlap: 0 }, 2)] {
        let (height, width) = (37 * times, 23 * times);
        let picture = numbers(height * width * 3);
        let mut canvas = Canvas::new(height, width, 3);
        for tile in tiles.of(37, 23) {
            let tile = tile.times(times);
            canvas.lay(&tiles, times, tile, &tile.cut(&picture, width, 3));
        }
        assert!(most(&canvas.finish(), &picture) < 1e-5);
    }
}

#[test]
fn the_edge_of_a_tile_does_not_count() {
    let tiles = Tiles { side: 16, overlap: 8 };
    let mut canvas = Canvas::new(1, 24, 1);
    for (tile, value) in tiles.of(1, 24).into_iter().zip([0.0, 1.0]) {
        canvas.lay(&tiles, 1, tile, &vec![value; tile.width]);
    }
    let blended = canvas.finish();
    assert_eq!(blended[..10], [0.0; 10]);
    assert_eq!(blended[14..], [1.0; 10]);
    assert_eq!(blended[10..14], [0.125, 0.375, 0.625, 0.875]);
}

/// Largest difference between neighbours along a row.
fn jump(picture: &[f32], width: usize, column: usize) -> f32 {
    let rows = picture.chunks_exact(width * 3);
    rows.flat_map(|row| (0..3).map(move |channel| (row[column * 3 + channel] - row[(column - 1) * 3 + channel]).abs()))
        .fold(0.0, f32::max)
}

#[test]
fn tiles_show_no_seams() {
    let tiny = Tiny::medium();
    let (config, params) = (&tiny.vae, tiny::params(tiny.vae_values()));
    let (height, width) = (8, 24);
    let latents = numbers(height * width * config.latent);
    let features = run(decode_middle(config, 1, height, width), &params, LATENTS, &latents, FEATURES);
    let whole = run(decode_levels(config, 1, height, width), &params, FEATURES, &features, PICTURE);
    let tiles = Tiles { side: 16, overlap: 8 };
    let mut canvas = Canvas::new(height * 8, width * 8, 3);
    for tile in tiles.of(height, width) {
        let cut = tile.cut(&features, width, features.len() / (height * width));
        let drawn = run(decode_levels(config, 1, tile.height, tile.width), &params, FEATURES, &cut, PICTURE);
        canvas.lay(&tiles, 8, tile.times(8), &drawn);
    }
    let tiled = canvas.finish();
    let spread = whole.iter().fold(0.0f32, |most, number| most.max(number.abs()));
    let off = most(&whole, &tiled);
    println!("tiles differ by {off} of {spread}");
    assert!(off < 0.2 * spread, "tiles differ by {off} of {spread}");
    // Where tiles begin and end, and where their shares do.
    for column in [64, 80, 112, 128] {
        assert!(jump(&tiled, width * 8, column) <= 1.2 * jump(&whole, width * 8, column), "a seam at {column}");
    }
}

/// Activations at full size in bf16, against what was measured for other engines: 0.4 and 1.6 GB.
#[test]
fn memory_of_the_real_model() {
    let config = VaeConfig {
        channels: vec![128, 256, 512, 512],
        layers: 2,
        groups: 32,
        latent: 16,
        scaling: 1.5305,
        shift: 0.0609,
    };
    let bytes = |graph: Graph| Program::new(graph, Precision::Bf16).scratch_bytes;
    for (side, most) in [(64, 400_000_000), (128, 1_600_000_000)] {
        let (decode, encode) = (bytes(decode(&config, 1, side, side)), bytes(encode(&config, 1, side, side)));
        println!("{side}: decode {decode}, encode {encode}");
        assert!(decode < most && encode < most, "{side}: {decode}, {encode}");
    }
}
