//! The library as it is on this machine. Where there is none, these tests say so and have not run, which fails a full run.

use std::io::Write as _;

use thumbforge_core::image::Extent;

use super::*;
use crate::Expected;

/// The reader of this machine, or nothing, loudly.
fn reader() -> Option<Tesseract> {
    Tesseract::open(&Settings::default())
        .and_then(|tesseract| tesseract.ready("en").map(|()| tesseract))
        .inspect_err(|err| {
            let line = format!("NOT RUN: nothing was read, because Thumbforge failed to {err}\n");
            assert!(std::env::var_os("THUMBFORGE_FULL").is_none(), "{line}");
            // Not `eprintln!`: the test harness would swallow it.
            let _ = std::io::stderr().write_all(line.as_bytes());
        })
        .ok()
}

fn blank() -> ImageBuf {
    ImageBuf::filled(Extent { width: 64, height: 64 }, [200, 200, 200, 255])
}

#[test]
fn a_library_that_is_not_there_is_missing_and_a_file_that_is_none_unusable() {
    let open = |path: &str| Tesseract::open(&Settings { library: Some(path.into()), ..Settings::default() });
    assert!(matches!(open("no/such/library.so"), Err(ReadError::Missing { .. })));
    assert!(matches!(open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")), Err(ReadError::Failed(_))));
}

#[test]
fn a_library_that_is_pinned_is_checked_before_it_is_loaded() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let pin = ContentHash::of(b"another");
    let settings = Settings { library: Some(file.into()), library_pin: Some(pin), ..Settings::default() };
    let err = Tesseract::open(&settings).expect_err("it is another");
    let ReadError::Pin { pinned, found, .. } = &err else { panic!("{err:?}") };
    assert_eq!((*pinned, *found), (pin, ContentHash::of(&std::fs::read(file).expect("it is there"))));
    let told = err.to_string();
    assert!(told.contains(&pinned.to_string()) && told.contains(&found.to_string()), "{told}");
    let unnamed = Settings { library_pin: Some(pin), ..Settings::default() };
    assert!(matches!(Tesseract::open(&unnamed), Err(ReadError::Failed(_))));
}

#[test]
fn data_that_is_not_there_says_what_to_install() {
    if reader().is_none() {
        return;
    }
    let settings = Settings { tessdata: Some("no/such/folder".into()), ..Settings::default() };
    let tesseract = Tesseract::open(&settings).expect("the library is there");
    let expected = Expected { text: "セール".to_owned(), locale: "ja".to_owned(), place: None };
    let ask = Ask { expected: vec![expected], ..Ask::default() };
    let reading = tesseract.read(&blank(), &ask).expect("the picture is fine");
    let [Err(ReadError::Missing { locale, missing, install })] = reading.found.as_slice() else {
        panic!("{reading:?}")
    };
    assert_eq!((locale.as_str(), missing.as_str()), ("ja", "the language data jpn"));
    assert!(!install.is_empty());
    let told = status(&settings, &["ja".to_owned()]);
    assert!(told.library.is_ok() && told.languages[0].ready.is_err() && told.languages[0].install.is_some());
}

#[test]
fn data_by_another_hash_than_the_pinned_one_is_not_read_by() {
    if reader().is_none() {
        return;
    }
    let pins = [("eng".to_owned(), ContentHash::of(b"another"))].into();
    let tesseract = Tesseract::open(&Settings { pins, ..Settings::default() }).expect("the library is there");
    assert!(matches!(tesseract.ready("en"), Err(ReadError::Pin { .. })));
}

#[test]
fn data_that_is_damaged_is_refused() {
    if reader().is_none() {
        return;
    }
    let real = std::fs::read(data_file(&Settings::default(), "eng").expect("it is there")).expect("it was read before");
    let mut garbled = real.clone();
    // The offset of the network: Tesseract itself would ask for all memory and end this process.
    garbled[4 + 17 * 8..][..8].copy_from_slice(&i64::MAX.to_le_bytes());
    let folder = std::env::temp_dir().join(format!("thumbforge-reader-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let settings = Settings { tessdata: Some(folder.clone()), ..Settings::default() };
    let tesseract = Tesseract::open(&settings).expect("the library is there");
    let ready = |data: &[u8]| {
        std::fs::write(folder.join("eng.traineddata"), data).expect("a file");
        tesseract.ready("en")
    };
    let damaged = [&b"no data"[..], b"", &real[..real.len() / 2], &real[..100], &garbled].map(ready);
    let whole = ready(&real);
    std::fs::remove_dir_all(&folder).expect("it was made here");
    assert!(damaged.iter().all(|ready| matches!(ready, Err(ReadError::Failed(_)))), "{damaged:?}");
    assert_eq!(whole, Ok(()));
}

#[test]
fn a_blank_picture_has_no_words_and_readings_name_their_reader() {
    let Some(tesseract) = reader() else { return };
    let expected = |text: &str| Expected { text: text.to_owned(), locale: "en".to_owned(), place: None };
    let ask = Ask { expected: vec![expected("SALE"), expected("?!")], unexpected: true, locales: Vec::new() };
    let reading = tesseract.read(&blank(), &ask).expect("the picture is fine");
    // Signs alone are not compared, and what is not compared is not there.
    let [Ok(sale), Err(ReadError::Nothing)] = reading.found.as_slice() else { panic!("{reading:?}") };
    assert_eq!((sale.presence, sale.legibility, sale.read.as_str(), sale.place), (0.0, 0.0, "", None));
    assert!(reading.unexpected.is_empty());
    let [library, data] = reading.readers.as_slice() else { panic!("{:?}", reading.readers) };
    assert_eq!(*library, format!("tesseract {}", tesseract.version()));
    assert!(data.starts_with("eng ") && data.len() == "eng ".len() + 64, "{data}");
}

#[test]
fn a_string_that_is_too_long_to_compare_is_an_error_and_no_verdict() {
    let Some(tesseract) = reader() else { return };
    let expected = |letters: usize| {
        let text = "é?".repeat(letters);
        Expected { text, locale: "fr".to_owned(), place: None }
    };
    let english = Expected { text: "SALE".to_owned(), locale: "en".to_owned(), place: None };
    let ask = Ask { expected: vec![expected(513), english], ..Ask::default() };
    let reading = tesseract.read(&blank(), &ask).expect("the picture is fine");
    let [Err(err), Ok(_)] = reading.found.as_slice() else { panic!("{reading:?}") };
    assert_eq!(*err, ReadError::TooLong { letters: 513, most: 512 });
    assert_eq!(reading.readers.len(), 2, "French was not needed: {:?}", reading.readers);
}

#[test]
fn words_that_nobody_could_look_for_are_told() {
    if reader().is_none() {
        return;
    }
    // French cannot be read by: it is another than the pinned one, or not there at all.
    let pins = [("fra".to_owned(), ContentHash::of(b"another"))].into();
    let tesseract = Tesseract::open(&Settings { pins, ..Settings::default() }).expect("the library is there");
    let check = |unexpected: bool, locales: &[&str], expected: Option<fn(&ReadError) -> bool>| {
        let locales: Vec<String> = locales.iter().map(|locale| (*locale).to_owned()).collect();
        let reading = tesseract.read(&blank(), &Ask { unexpected, locales, ..Ask::default() }).expect("it is fine");
        let right = match (&reading.unlooked, expected) {
            (Some(err), Some(like)) => like(err),
            (unlooked, expected) => unlooked.is_none() && expected.is_none(),
        };
        assert!(right, "{reading:?}");
    };
    let unreadable: fn(&ReadError) -> bool = |err| matches!(err, ReadError::Pin { .. } | ReadError::Missing { .. });
    check(true, &["en"], None);
    check(true, &["en", "fr"], Some(unreadable));
    check(false, &["en", "fr"], None);
    check(true, &[], Some(|err| matches!(err, ReadError::Failed(_))));
}

#[test]
fn pictures_of_every_size_are_read_without_harm() {
    let Some(tesseract) = reader() else { return };
    for (width, height) in [(1, 1), (2, 600), (600, 2), (7, 9), (33, 17)] {
        let image = ImageBuf::filled(Extent { width, height }, [0, 0, 0, 0]);
        let place = Some(thumbforge_core::image::PixelBox { x: -50, y: 0, w: 4000, h: u32::MAX });
        let expected = Expected { text: "SALE".to_owned(), locale: "en".to_owned(), place };
        let ask = Ask { expected: vec![expected], unexpected: true, locales: vec!["de".to_owned()] };
        let reading = tesseract.read(&image, &ask).expect("the picture is fine");
        assert!(matches!(reading.found.as_slice(), [Ok(found)] if found.presence == 0.0), "{width}x{height}");
    }
}
