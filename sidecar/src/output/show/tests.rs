//! `show` tells what stands in the file, and nothing that a file holds steers the terminal.

use thumbforge_core::image::ImageBuf;

use super::super::png::{TextChunk, encode, encode_with_texts};
use super::super::provenance::tests::provenance;
use super::*;

fn small() -> ImageBuf {
    ImageBuf::filled(Extent { width: 64, height: 32 }, [1, 2, 3, 255])
}

fn shown(bytes: &[u8]) -> Result<Shown, ShowError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.png");
    std::fs::write(&path, bytes).expect("writes");
    describe(&path, None).map(|shown| Shown { path: "a.png".into(), ..shown })
}

#[test]
fn a_picture_of_ours_tells_everything() {
    let shown = shown(&encode(&small(), &provenance()).expect("encodes")).expect("is ours");
    assert_eq!(shown.provenance, Some(provenance()));
    assert_eq!((shown.size, shown.keys_agree), (Extent { width: 64, height: 32 }, Some(true)));
    let text = shown.to_string();
    let expected = format!(
        "\
file            a.png
size            64x32, {bytes} bytes
prompt          a sword on a table
negative        blurry, fog
text            大セール 50 % (ja)
template        card version 3
model           builtin
engine          builtin 1
device          cpu
seed            9007199254740991
tier            production
intent          photo
steps           20
guidance        7.5
sampler         euler_a
dropped         guidance
planned key     {planned}
realised key    {realised}
credit          anvil by Lorc, CC-BY-3.0, https://game-icons.net
credit          broadsword by Lorc, CC-BY-3.0, https://game-icons.net
",
        bytes = shown.file_bytes,
        planned = provenance().planned_key,
        realised = provenance().realised_key,
    );
    assert_eq!(text, expected);
    let json = serde_json::to_value(&shown).expect("json");
    assert_eq!(json["provenance"]["seed"], 9_007_199_254_740_991_u64);
    assert_eq!(json["size"]["width"], 64);
}

#[test]
fn an_edited_text_is_told() {
    let mut edited = provenance();
    edited.recipe.prompt = "an axe".into();
    let shown = shown(&encode(&small(), &edited).expect("encodes")).expect("reads");
    assert_eq!(shown.keys_agree, Some(false));
    assert!(shown.to_string().contains("do not agree"));
}

#[test]
fn a_picture_of_others_tells_what_it_can() {
    let bytes = encode_with_texts(&small(), &[]).expect("encodes");
    assert!(shown(&bytes).expect("reads").to_string().contains("Thumbforge did not make this file"));
    let parameters = "a knight\nSteps: 20, Seed: 7";
    let bytes = encode_with_texts(&small(), &[(PARAMETERS, parameters, TextChunk::Latin1)]).expect("encodes");
    let shown = shown(&bytes).expect("reads");
    assert_eq!(shown.parameters.as_deref(), Some(parameters));
    assert!(shown.to_string().contains("parameters      a knight\n                Steps: 20"), "{shown}");
}

#[test]
fn nothing_in_a_file_steers_the_terminal() {
    let parameters = "red \u{1b}[31m\u{202e}back\u{7}";
    let bytes = encode_with_texts(&small(), &[(PARAMETERS, parameters, TextChunk::Utf8)]).expect("encodes");
    let text = shown(&bytes).expect("reads").to_string();
    assert!(text.contains(r"red \u{1b}[31m\u{202e}back\u{7}"), "{text}");
}

#[test]
fn what_is_no_picture_is_told() {
    let check = |bytes: &[u8], words: &str| {
        let err = shown(bytes).expect_err("is none");
        assert!(thumbforge_core::error::chain(&err).contains(words), "{err:?}");
    };
    check(b"hello", "no PNG");
    check(b"", "no PNG");
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 1\n", "ab".repeat(32));
    check(pointer.as_bytes(), "git lfs pull");
    let whole = encode(&small(), &provenance()).expect("encodes");
    check(&whole[..60], "cut short");
    assert_eq!(describe(Path::new("/no/such/file.png"), None).expect_err("missing").code(), ErrorCode::NotFound);
}
