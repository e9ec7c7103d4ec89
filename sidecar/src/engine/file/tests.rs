//! Scaled art has the same bytes on every processor, whatever instructions it has.

use super::*;

/// A picture with edges, gradients and clear pixels, out of whole numbers.
fn pattern(width: u32, height: u32) -> ImageBuf {
    let pixels = (0..width * height).flat_map(|at| {
        let (x, y) = (at % width, at / width);
        let ring = ((x * x + y * y) / 97 % 256) as u8;
        [ring, (x * 7 % 256) as u8, (y * 5 % 256) as u8, if (x / 9 + y / 7) % 4 == 0 { 0 } else { 255 - ring / 2 }]
    });
    ImageBuf::from_rgba(Extent { width, height }, pixels.collect()).expect("four bytes a pixel")
}

/// The hashes were the same natively with AVX2 and under an emulated processor with nothing beyond SSE2:
/// `qemu-x86_64 -cpu qemu64 target/debug/deps/thumbforge_sidecar-… engine::file`. Raise `VERSION` when they change.
#[test]
fn every_processor_gives_these_bytes() {
    let cases = [
        ((300, 200), (128, 128), "7a202b83d5a0c4a757e61da1ddcbba29f04d92ad8a5922165857c7cb25c116b6"),
        ((64, 64), (200, 120), "756212ae1fcaa48b6302a3ed05b3ded2dbc76a460e2bbe0c59b9df05c7ba539f"),
        ((31, 97), (31, 97), "a0fef5d5ada98f75e9ba50936d351e046a0b035b281329857c14b36241f20bb1"),
    ];
    for ((width, height), (to_width, to_height), expected) in cases {
        let scaled = cover(&pattern(width, height), Extent { width: to_width, height: to_height }).expect("scales");
        assert_eq!(scaled.hash().to_string(), expected, "{width}x{height} to {to_width}x{to_height}");
    }
}

#[test]
fn art_covers_its_frame_without_being_stretched() {
    // Left third red, the rest blue: a square cut from the middle of a wide picture has no red.
    let mut wide = ImageBuf::filled(Extent { width: 300, height: 100 }, [0, 0, 255, 255]);
    for row in wide.pixels_mut().chunks_exact_mut(1200) {
        for pixel in row[..400].chunks_exact_mut(4) {
            pixel.copy_from_slice(&[255, 0, 0, 255]);
        }
    }
    let square = cover(&wide, Extent { width: 50, height: 50 }).expect("scales");
    assert_eq!(square.pixel(25, 25), Some([0, 0, 255, 255]));
    assert_eq!(square.pixel(40, 10), Some([0, 0, 255, 255]));
}
