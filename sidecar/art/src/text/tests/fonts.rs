//! Which font draws what, what is missing, and that nothing comes from the machine.

use std::sync::Arc;

use thumbforge_core::id::ContentHash;
use thumbforge_core::text_layer::{FontFile, TextStyle, Weight};

use super::super::face::{Family, files, packaged};
use super::super::locale::{Locale, Writing};
use super::*;

fn fonts_of(locale: &str, text: &str) -> Vec<String> {
    set_one(locale, text, TextStyle { outline: None, ..TextStyle::default() }).expect("it fits").fonts
}

#[test]
fn the_book_has_exactly_the_packaged_fonts() {
    let names = FontBook::packaged().names();
    assert_eq!(names.len(), 16);
    assert!(names.iter().all(|name| name.starts_with("NotoSans")), "{names:?}");
    // The package says 10 MB; a subset that lost its glyphs, or a whole font by mistake, shows here.
    assert!((9_000_000..11_000_000).contains(&FontBook::packaged_bytes()), "{}", FontBook::packaged_bytes());
}

#[test]
fn the_packaged_files_are_those_of_this_version() {
    let mut hasher = blake3::Hasher::new();
    for (name, bytes) in files() {
        hasher.update(name.as_bytes());
        hasher.update(bytes);
    }
    let hash = hasher.finalize().to_hex().to_string();
    assert_eq!(
        (FontBook::VERSION, &hash[..16]),
        (1, "bb53b435d423f8ce"),
        "raise FontBook::VERSION when a font changes"
    );
}

#[test]
fn each_family_is_the_file_of_its_name() {
    let named = |family| packaged(family, Weight::Bold).name.as_str();
    assert_eq!(named(Family::Sans), "NotoSans Bold");
    assert_eq!(named(Family::Thai), "NotoSansThai Bold");
    assert_eq!(named(Family::Chinese), "NotoSansCJKsc Bold");
    assert_eq!(packaged(Family::Korean, Weight::Regular).name, "NotoSansCJKkr Regular");
}

#[test]
fn script_and_locale_choose_the_font() {
    let check = |locale: &str, text: &str, expected: &[&str]| {
        assert_eq!(fonts_of(locale, text), expected, "{locale} {text}");
    };
    check("en", "Sale", &["NotoSans Bold"]);
    check("ja", "直", &["NotoSansCJKjp Bold"]);
    check("zh-Hans", "直", &["NotoSansCJKsc Bold"]);
    check("zh-CN", "直", &["NotoSansCJKsc Bold"]);
    check("ko", "大中小 판매", &["NotoSansCJKkr Bold"]);
    check("ja", "セール SALE", &["NotoSansCJKjp Bold"]);
    check("ja", "한국", &["NotoSansCJKkr Bold"]);
    check("en", "Sale セール", &["NotoSans Bold", "NotoSansCJKjp Bold"]);
    check("th", "ลด 50%", &["NotoSansThai Bold", "NotoSans Bold"]);
    check("hi", "सेल ₹5", &["NotoSansDevanagari Bold"]);
    check("uk", "Знижки", &["NotoSans Bold"]);
    check("en", "★", &["NotoSansCJKjp Bold"]);
}

#[test]
fn one_code_point_has_the_shape_of_its_country() {
    let hash = |locale: &str, text: &str| {
        let mut image = picture(128);
        set(&mut image, &[layer(locale, text, TextStyle::default())], &FontBook::packaged()).expect("it fits");
        image.hash()
    };
    assert_ne!(hash("ja", "直"), hash("zh-Hans", "直"));
    assert_ne!(hash("ja", "骨"), hash("zh-Hans", "骨"));
    assert_ne!(hash("en", "Sale"), hash("ja", "Sale"));
}

#[test]
fn a_missing_glyph_names_script_characters_and_mend() {
    let check = |locale: &str, text: &str, script: &str, parts: &[&str]| {
        let error = set_one(locale, text, TextStyle::default()).expect_err("a missing glyph");
        let message = error.to_string();
        assert!(matches!(&error, TextError::MissingGlyph { script: found, .. } if found == script), "{message}");
        for part in parts {
            assert!(message.contains(part), "{part:?} in {message}");
        }
    };
    check("zh-Hant", "巨龍豐收", "Han", &["巨", "U+5DE8", "zh-Hant", "\"title\""]);
    check("ka", "თამაში", "Georgian", &["თ", "name a font file"]);
    check("en", "New 🐉", "emoji and symbols", &["U+1F409", "leave the emoji out"]);
    check("ja", "龘龘", "Han", &["“龘” (U+9F98) (Han)"]);
}

#[test]
fn what_the_package_promises_is_there() {
    let check = |family: Family, what: &str, characters: &str| {
        for weight in [Weight::Regular, Weight::Bold] {
            let font = packaged(family, weight).font().expect("a font");
            let charmap = skrifa::MetadataProvider::charmap(&font);
            let missing: String = characters.chars().filter(|&c| charmap.map(c).is_none()).collect();
            assert_eq!(missing, "", "{what}");
        }
    };
    let hangul: String = ('가'..='힣').collect();
    let font = packaged(Family::Korean, Weight::Bold).font().expect("a font");
    let charmap = skrifa::MetadataProvider::charmap(&font);
    assert_eq!(hangul.chars().filter(|&c| charmap.map(c).is_some()).count(), 2350, "KS X 1001");
    check(Family::Sans, "signs", "¥€₩₹₺₪₫₴£$%&@#©®™•…–—“”„«»¿¡");
    check(Family::Sans, "letters", "ßẞğışçñãőűžłøåæœđơưỷΐΰЇїЄєҐґ");
    check(Family::Japanese, "kana and marks", "ぁんァヶー「」『』【】、。・〜！？（）％￥");
    check(Family::Japanese, "symbols", "→←★☆♥♡♪○●◎①");
    check(Family::Chinese, "marks", "，。！？：；“”‘’《》【】、￥…—");
    check(Family::Korean, "marks", "，。「」！？₩");
    check(Family::Thai, "signs", "฿กขฮะาำิีุูเแโใไ็่้๊๋์๐๙");
    check(Family::Arabic, "letters", "ابتثجحخدذرزسشصضطظعغفقكلمنهويپچژگ،؛؟٠٩");
    check(Family::Devanagari, "letters", "अआइईउऊऋएऐओऔकखगघङ।॥०९₹");
    check(Family::Hebrew, "letters", "אבגדהוזחטיךכלםמןנסעףפץצקרשת₪");
}

#[test]
fn locales_are_told_apart() {
    let check = |tag: &str, writing: Writing| assert_eq!(Locale::parse(tag).writing, writing, "{tag}");
    check("en-US", Writing::Latin);
    check("ja-JP", Writing::Japanese);
    check("zh", Writing::ChineseSimplified);
    check("zh-CN", Writing::ChineseSimplified);
    check("zh-TW", Writing::ChineseTraditional);
    check("zh-Hant-HK", Writing::ChineseTraditional);
    check("zh-Hans-HK", Writing::ChineseSimplified);
    check("ko_KR", Writing::Korean);
    check("fa", Writing::Arabic);
    check("iw", Writing::Hebrew);
    check("mr", Writing::Devanagari);
    check("sr-Latn", Writing::Latin);
    check("", Writing::Latin);
    check("not a tag", Writing::Latin);
}

#[test]
fn a_manifest_font_is_used_and_falls_back() {
    let (_, bytes) = files().find(|(name, _)| *name == "NotoSansHebrew Bold").expect("the file");
    let content = ContentHash(*blake3::hash(bytes).as_bytes());
    let book = FontBook::packaged().with_font(content, Arc::from(bytes)).expect("a good font");
    let font = Some(FontFile { path: "fonts/brand.ttf".to_owned(), content: Some(content) });
    let style = TextStyle { font, ..TextStyle::default() };
    let layers = [layer("en", "Sale חם", style.clone())];
    let set_layers = set(&mut picture(256), &layers, &book).expect("it fits");
    assert_eq!(set_layers[0].fonts, ["NotoSans Bold", "Noto Sans Hebrew Bold"]);
    let absent = set(&mut picture(256), &layers, &FontBook::packaged()).expect_err("not loaded");
    assert!(absent.to_string().contains("fonts/brand.ttf was not loaded"), "{absent}");
}

#[test]
fn a_broken_font_file_says_so() {
    let (_, bytes) = files().next().expect("a file");
    let check = |bytes: &[u8]| {
        let error = FontBook::packaged().with_font(ContentHash([7; 32]), Arc::from(bytes)).expect_err("broken");
        assert!(error.to_string().contains("replace it"), "{error}");
    };
    check(b"");
    check(b"<html>404 not found</html>");
    check(&bytes[..200]);
    check(&[0; 4096]);
    // Cut in the middle: tables are named that are not there.
    check(&bytes[..bytes.len() / 8]);
}

#[test]
fn the_weight_is_asked_of_a_variable_font() {
    // One letter, three times as wide in bold; weight_axis.py draws it.
    let bytes: &[u8] = include_bytes!("weight_axis.ttf");
    let content = ContentHash(*blake3::hash(bytes).as_bytes());
    let book = FontBook::packaged().with_font(content, Arc::from(bytes)).expect("a good font");
    let width = |weight| {
        let font = Some(FontFile { path: "weight_axis.ttf".to_owned(), content: Some(content) });
        let style = TextStyle { font, weight, outline: None, shadow: None, size: 0.25, ..TextStyle::default() };
        set(&mut picture(256), &[layer("en", "I", style)], &book).expect("it fits")[0].ink.w
    };
    let (regular, bold) = (width(Weight::Regular), width(Weight::Bold));
    assert!((12..=14).contains(&regular) && (37..=40).contains(&bold), "{regular} and {bold}");
}
