//! `preview` and `show`: pictures of every kind, small enough to be shown, and what is no picture.

use super::*;

fn png(extent: Extent, colour: ::png::ColorType, depth: ::png::BitDepth, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut bytes, extent.width, extent.height);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(data).expect("pixels");
    writer.finish().expect("an end");
    bytes
}

async fn seen(place: &Place, file: &Path, side_max: u32) -> (ImageBuf, Value) {
    match place.ask(json!({"verb": "preview", "file": file, "side_max": side_max})).await {
        Ok(Answered::Picture(picture, said)) => (picture, said),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_of_every_depth_are_shown_small() {
    use ::png::{BitDepth, ColorType};
    let place = Place::new().await;
    let extent = Extent { width: 64, height: 32 };
    for (name, colour, depth, data) in [
        ("grey1", ColorType::Grayscale, BitDepth::One, vec![0xff; 8 * 32]),
        ("grey16", ColorType::Grayscale, BitDepth::Sixteen, vec![0xff; 64 * 32 * 2]),
        ("grey-alpha", ColorType::GrayscaleAlpha, BitDepth::Eight, vec![0xff; 64 * 32 * 2]),
        ("rgb", ColorType::Rgb, BitDepth::Eight, vec![0xff; 64 * 32 * 3]),
        ("rgba16", ColorType::Rgba, BitDepth::Sixteen, vec![0xff; 64 * 32 * 8]),
    ] {
        place.write(&format!("{name}.png"), png(extent, colour, depth, &data));
        let (picture, said) = seen(&place, &place.path(&format!("{name}.png")), 16).await;
        assert_eq!(picture.extent(), Extent { width: 16, height: 8 }, "{name}");
        assert!(picture.pixels().iter().all(|value| *value == 255), "{name}");
        assert_eq!(said, json!({"width": 16, "height": 8, "source_width": 64, "source_height": 32}));
        assert_eq!(seen(&place, &place.path(&format!("{name}.png")), 0).await.0.extent(), extent);
    }
    place.app.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_picture_is_named() {
    let place = Place::new().await;
    place.write("words.png", "no picture at all");
    place.write(
        "pointer.png",
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 9\n", "a".repeat(64)),
    );
    std::fs::create_dir(place.path("folder.png")).expect("a folder");
    // A header that claims more than is read, and nothing behind it.
    let mut large = png(Extent { width: 8, height: 8 }, ::png::ColorType::Rgb, ::png::BitDepth::Eight, &[0; 192]);
    large[16..20].copy_from_slice(&100_000_u32.to_be_bytes());
    let crc = crc(&large[12..29]);
    large[29..33].copy_from_slice(&crc.to_be_bytes());
    place.write("large.png", large);
    for (file, code) in [
        ("words.png", ErrorCode::InputFile),
        ("pointer.png", ErrorCode::InputFile),
        ("folder.png", ErrorCode::InputFile),
        ("gone.png", ErrorCode::NotFound),
        ("large.png", ErrorCode::TooLarge),
    ] {
        let failure = place.failure(json!({"verb": "preview", "file": place.path(file)})).await;
        assert_eq!(failure.code, code, "{failure}");
        assert!(failure.message.contains(file), "{failure}");
    }
    let failure = place.failure(json!({"verb": "show", "file": place.path("words.png")})).await;
    assert_eq!(failure.code, ErrorCode::InputFile);
    place.app.drain().await;
}

/// CRC-32 as a chunk of a PNG ends with.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_of_ours_says_where_it_comes_from() {
    let place = Place::new().await;
    place.value(json!({"verb": "batch", "manifest": place.path("")})).await;
    let shown = place.value(json!({"verb": "show", "file": place.path("Assets/sword.en.png")})).await;
    assert_eq!(shown["provenance"]["template"], json!({"name": "card", "version": 3}));
    assert_eq!(shown["keys_agree"], true);
    place.app.drain().await;
}
