//! Forms and JSON with pictures in them.

use axum::http::HeaderValue;

use super::*;

const BOUNDARY: &str = "b0undary";

/// A picture of one colour, as a PNG.
fn picture(width: u32, height: u32, rgba: [u8; 4]) -> Vec<u8> {
    let size = Extent { width, height };
    let image = ImageBuf::from_rgba(size, rgba.repeat(size.pixels())).unwrap();
    png::encode_with_texts(&image, &[]).unwrap()
}

fn part(name: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
    [head.as_bytes(), bytes, b"\r\n"].concat()
}

fn of_form(parts: &[(&str, &[u8])]) -> Result<Brought, Refusal> {
    let mut body: Vec<u8> = parts.iter().flat_map(|(name, bytes)| part(name, bytes)).collect();
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    read_as(&format!("multipart/form-data; boundary={BOUNDARY}"), body)
}

fn of_json(json: &str) -> Result<Brought, Refusal> {
    read_as("application/json", json.as_bytes().to_vec())
}

fn read_as(kind: &str, body: Vec<u8>) -> Result<Brought, Refusal> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::try_from(kind).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(read(&headers, Body::from(body)))
}

/// Fields, number of pictures, and whether there is a mask.
fn told(brought: &Brought) -> String {
    let fields = serde_json::to_string(&brought.fields).unwrap();
    format!("{fields} {} {}", brought.images.len(), brought.mask.is_some())
}

#[track_caller]
fn refused(brought: Result<Brought, Refusal>, param: Option<&str>, said: &str) {
    let refusal = brought.expect_err(said);
    let (_, _, told, message) = refusal.told();
    assert!(told == param && message.starts_with("failed to ") && message.contains(said), "{told:?}: {message}");
}

#[test]
fn forms_of_every_client() {
    let read = |parts: &[(&str, &[u8])]| told(&of_form(parts).unwrap());
    assert_eq!(read(&[("image", b"1"), ("prompt", b"p")]), r#"{"prompt":"p"} 1 false"#);
    assert_eq!(read(&[("image[]", b"1"), ("image[]", b"2"), ("mask", b"3"), ("n", b"2")]), r#"{"n":"2"} 2 true"#);
    assert_eq!(
        read(&[("brand[]", b"#fff"), ("brand[]", b"#000"), ("image", b"1")]),
        r##"{"brand":["#fff","#000"]} 1 false"##
    );
}

#[test]
fn forms_that_cannot_be_read() {
    refused(of_form(&[("prompt", b"p")]), Some("image"), "there is none");
    refused(of_form(&[("image", b"1"), ("mask", b"2"), ("mask", b"3")]), Some("mask"), "there are two");
    refused(of_form(&[("prompt", b"p"), ("prompt", b"q"), ("image", b"1")]), Some("prompt"), "stands there twice");
    refused(of_form(&[("brand", b"p"), ("brand[]", b"q"), ("image", b"1")]), Some("brand"), "stands there twice");
    refused(of_form(&[("prompt", b"\xff"), ("image", b"1")]), Some("prompt"), "not UTF-8");
    refused(of_form(&[("image", b"1" as &[u8]); 17]), Some("image"), "at most 16");
    refused(of_form(&[("a[]", b"1" as &[u8]); PARTS_MAX + 1]), None, "at most 128 parts");
    refused(of_form(&[("prompt", &vec![b'x'; limits::TEXT_BODY_BYTES_MAX + 1])]), None, "at most 1048576 bytes");
    refused(read_as("multipart/form-data", Vec::new()), None, "boundary");
    refused(read_as("multipart/form-data; boundary=b", b"--b\r\nnonsense".to_vec()), None, "read the form");
    refused(read_as("multipart/form-data; boundary=b", part("image", b"1")), None, "read the form");
}

#[test]
fn json_of_every_client() {
    let read = |json: &str| told(&of_json(json).unwrap());
    assert_eq!(
        read(r#"{"prompt":"p","images":[{"image_url":"data:image/png;base64,MQ=="}]}"#),
        r#"{"prompt":"p"} 1 false"#
    );
    assert_eq!(read(r#"{"image":"data:;base64,MQ==","mask":{"image_url":"data:;base64,MQ=="}}"#), "{} 1 true");
    assert_eq!(read(r#"{"image":["data:;base64,MQ==","data:;base64,Mg=="],"mask":null}"#), "{} 2 false");
    assert_eq!(read(r#"{"images":[{"image_url":{"url":"data:;base64,MQ=="}}]}"#), "{} 1 false");
}

#[test]
fn json_that_cannot_be_read() {
    refused(of_json(r#"{"images":[]}"#), Some("image"), "there is none");
    refused(
        of_json(r#"{"images":[{"image_url":"https://example.com/cat.png"}]}"#),
        Some("images"),
        "nothing is fetched",
    );
    refused(of_json(r#"{"image":"file:///etc/passwd"}"#), Some("image"), "nothing is fetched");
    refused(of_json(r#"{"images":[{"file_id":"f"}]}"#), Some("images"), "image_url");
    refused(of_json(r#"{"image":"data:image/png,abc"}"#), Some("image"), "not in base64");
    refused(of_json(r#"{"image":"data:;base64,***"}"#), Some("image"), "as base64");
}

#[test]
fn a_mask_is_kept_in_the_form_of_recipes() {
    let clear = |alpha| {
        let mut pixels = [9, 9, 9, 255].repeat(32 * 16);
        pixels[3] = alpha;
        let image = ImageBuf::from_rgba(Extent { width: 32, height: 16 }, pixels).unwrap();
        png::encode_with_texts(&image, &[]).unwrap()
    };
    let made = make(&[picture(32, 16, [1, 2, 3, 255]).into()], Some(&clear(0))).unwrap();
    let mask = png::decode(&made.mask.unwrap(), DecodeLimits::ART).unwrap();
    assert_eq!(mask.extent(), Extent { width: 32, height: 16 });
    assert_eq!(
        mask.pixels()[..8],
        [255, 255, 255, 255, 0, 0, 0, 255],
        "white where the mask was clear, black elsewhere"
    );
    let half = make(&[picture(32, 16, [1, 2, 3, 255]).into()], Some(&clear(55))).unwrap().mask.unwrap();
    assert_eq!(png::decode(&half, DecodeLimits::ART).unwrap().pixels()[0], 200);

    let refused = |images: &[Bytes], mask: Option<&[u8]>, param: &str, said: &str| {
        let Err(refusal) = make(images, mask) else { panic!("{said} was taken") };
        let (status, _, told, message) = refusal.told();
        assert!((status, told) == (400, Some(param)) && message.contains(said), "{told:?}: {message}");
    };
    let image = [Bytes::from(picture(32, 16, [1, 2, 3, 255]))];
    refused(&image, Some(&clear(255)), "mask", "nothing in it is transparent");
    refused(&image, Some(&picture(16, 16, [0; 4])), "mask", "both the same size");
    refused(&image, Some(b"GIF89a"), "mask", "none of PNG");
    refused(&[Bytes::from_static(b"no picture")], None, "image", "none of PNG");
    refused(&[image[0].slice(..image[0].len() / 2)], None, "image", "damaged");
    refused(&[picture(8, 8, [0; 4]).into()], None, "image", "each side must be");
}

#[test]
fn pictures_become_png_and_png_stays_as_it_is() {
    let png = picture(16, 16, [200, 100, 50, 255]);
    let mut jpeg = Vec::new();
    let rgb = image::RgbImage::from_pixel(16, 16, image::Rgb([200, 100, 50]));
    rgb.write_to(&mut std::io::Cursor::new(&mut jpeg), image::ImageFormat::Jpeg).unwrap();
    let made = make(&[png.clone().into(), jpeg.into()], None).unwrap();
    assert_eq!(made.images[0], png);
    assert_eq!(image::guess_format(&made.images[1]).unwrap(), image::ImageFormat::Png);
    assert_eq!((made.size, made.mask), (Extent { width: 16, height: 16 }, None));
}

#[test]
fn the_boundary_of_a_form_is_no_part_of_what_it_says() {
    let hashes = |parts: &[(&str, &[u8])]| of_form(parts).unwrap().hashes();
    assert_eq!(hashes(&[("image", b"1")]), of_json(r#"{"image":"data:;base64,MQ=="}"#).unwrap().hashes());
    assert_ne!(hashes(&[("image[]", b"1"), ("image[]", b"2")]), hashes(&[("image", b"1"), ("mask", b"2")]));
}
