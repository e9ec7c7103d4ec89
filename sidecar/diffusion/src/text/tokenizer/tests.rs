//! Tokenizers against numbers that transformers 5.23 gave, and against files that somebody broke.

use std::path::PathBuf;

use super::*;

fn toy(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/diffusion/fixtures/tokenizers").join(name)
}

fn open(encoder: Encoder) -> Tokenizer {
    let name = match encoder {
        Encoder::ClipL => "tokenizer",
        Encoder::ClipG => "tokenizer_2",
        Encoder::T5 => "tokenizer_3",
    };
    Tokenizer::open(encoder, &toy(name)).expect("a tokenizer")
}

/// `expected` is what transformers gives without padding.
fn check(encoder: Encoder, text: &str, expected: &[u32]) {
    let tokens = open(encoder).encode(text, 77).expect("tokens");
    let pad = match encoder {
        Encoder::ClipL => 813,
        Encoder::ClipG | Encoder::T5 => 0,
    };
    let padded: Vec<u32> = expected.iter().copied().chain(std::iter::repeat(pad)).take(77).collect();
    assert_eq!((tokens.ids, tokens.truncated), (padded, None), "{encoder} {text:?}");
}

#[test]
fn clip_reads_as_transformers_does() {
    for (text, expected) in [
        ("", &[812, 813][..]),
        ("a lighthouse at dawn", &[812, 320, 769, 543, 67, 544, 333, 813]),
        ("A  LIGHTHOUSE\t\n at dawn ", &[812, 320, 769, 543, 67, 544, 333, 813]),
        ("don't we'll", &[812, 67, 571, 539, 86, 324, 6, 75, 331, 813]),
        ("DON'T", &[812, 67, 571, 539, 813]),
        ("\u{130}stanbul ığ", &[812, 328, 136, 485, 528, 523, 65, 84, 331, 128, 109, 128, 509, 813]),
        ("e\u{301} \u{e9}", &[812, 127, 358, 127, 358, 813]),
        ("漢字", &[812, 162, 120, 95, 161, 255, 501, 813]),
        ("🐟", &[812, 172, 253, 238, 509, 813]),
        ("“x”", &[812, 158, 222, 506, 343, 158, 222, 507, 813]),
        ("\0\u{1f}", &[812, 188, 475, 813]),
        ("<|endoftext|>", &[812, 813, 813]),
        ("<|STARTOFTEXT|>", &[812, 27, 347, 528, 631, 569, 83, 557, 339, 91, 285, 813]),
        ("35mm", &[812, 274, 276, 76, 332, 813]),
        ("x\u{a0}y\u{3000}z", &[812, 343, 344, 345, 813]),
        ("ﬁ Ａ", &[812, 171, 105, 479, 171, 121, 479, 813]),
        ("</s> <pad>", &[812, 27, 270, 338, 285, 283, 79, 64, 323, 285, 813]),
        ("\u{200d}\u{301}", &[812, 158, 222, 235, 136, 479, 813]),
    ] {
        check(Encoder::ClipL, text, expected);
        check(Encoder::ClipG, text, expected);
    }
}

#[test]
fn clip_g_takes_its_padding_out_of_the_text() {
    check(Encoder::ClipL, "wow!", &[812, 86, 78, 342, 256, 813]);
    check(Encoder::ClipG, "wow!", &[812, 86, 78, 342, 0, 813]);
}

#[test]
fn t5_reads_as_transformers_does() {
    for (text, expected) in [
        ("", &[1][..]),
        ("a lighthouse at dawn", &[7, 26, 102, 99, 3, 28, 23, 71, 1]),
        ("A  LIGHTHOUSE\t\n at dawn ", &[3, 2, 3, 2, 115, 2, 116, 2, 3, 28, 23, 71, 1]),
        ("don't we'll", &[23, 32, 25, 6, 3, 141, 9, 25, 135, 1]),
        ("wow!", &[3, 141, 93, 109, 1]),
        ("\u{130}stanbul ığ", &[3, 2, 5, 143, 11, 38, 44, 14, 3, 2, 1]),
        ("e\u{301} \u{e9}", &[3, 9, 2, 3, 2, 1]),
        ("漢字", &[3, 2, 1]),
        ("35mm", &[51, 50, 12, 12, 1]),
        ("x\u{a0}y\u{3000}z", &[3, 138, 3, 10, 3, 2, 1]),
        ("ﬁ Ａ", &[3, 120, 3, 2, 1]),
        ("</s> <pad>", &[1, 0, 1]),
    ] {
        check(Encoder::T5, text, expected);
    }
}

/// What is lost of `text` at `limit` tokens.
fn lost(encoder: Encoder, text: &str, limit: usize) -> Option<String> {
    let tokens = open(encoder).encode(text, limit).expect("tokens");
    assert_eq!(tokens.ids.len(), limit, "{text:?}");
    tokens.truncated.map(|truncated| {
        assert_eq!((truncated.encoder, truncated.limit), (encoder, limit));
        truncated.lost
    })
}

#[test]
fn what_does_not_fit_is_told() {
    let lighthouse = "a lighthouse at dawn";
    // Six tokens, two around them; "lighthouse", "at" and "dawn" are one, two and two.
    assert_eq!(lost(Encoder::ClipL, lighthouse, 8), None);
    assert_eq!(lost(Encoder::ClipL, lighthouse, 7).as_deref(), Some("dawn"), "half of it is none of it");
    assert_eq!(lost(Encoder::ClipL, lighthouse, 6).as_deref(), Some("dawn"));
    assert_eq!(lost(Encoder::ClipL, lighthouse, 2).as_deref(), Some(lighthouse));
    assert_eq!(lost(Encoder::T5, lighthouse, 9), None);
    assert_eq!(lost(Encoder::T5, lighthouse, 8).as_deref(), Some("dawn"));
    let long = format!("{}the end", "wow ".repeat(40));
    assert!(lost(Encoder::ClipL, &long, 77).is_some_and(|lost| lost.ends_with("wow the end")));
    // Elsewhere words are not told apart by spaces: what was read is not called lost.
    assert_eq!(lost(Encoder::ClipL, "漢字漢字", 8).as_deref(), Some("漢字"));
    // Two tokens a letter, whose end is lost with its start.
    assert_eq!(lost(Encoder::ClipL, "e\u{301}\u{e9}\u{e9}", 6).as_deref(), Some("\u{e9}"));
    assert_eq!(lost(Encoder::ClipL, "e\u{301}\u{e9}\u{e9}", 7).as_deref(), Some("\u{e9}"));
}

#[test]
fn what_did_fit_is_what_the_whole_begins_with() {
    for encoder in Encoder::ALL {
        let tokenizer = open(encoder);
        let text = "isometric icon of a treasure chest ﬁ “SALE” 漢字 don't 🐟 ".repeat(9);
        let whole = tokenizer.encode(&text, 512).expect("tokens").ids;
        let part = tokenizer.encode(&text, 77).expect("tokens").ids;
        assert_eq!(part[..76], whole[..76], "{encoder}");
        assert_eq!(part[76], tokenizer.end(), "{encoder}");
    }
}

#[test]
fn prompts_and_limits_are_bounded() {
    let tokenizer = open(Encoder::ClipL);
    assert!(tokenizer.encode(&"a".repeat(PROMPT_BYTES_MAX), 77).is_ok());
    assert!(tokenizer.encode(&"a".repeat(PROMPT_BYTES_MAX + 1), 77).is_err());
    assert!(tokenizer.encode("a", 1).is_err());
    assert!(open(Encoder::T5).encode("a", 0).is_err());
}

/// A folder with some of a toy's files, one of them changed.
fn folder(name: &str, files: &[(&str, &dyn Fn(String) -> String)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (file, change) in files {
        let text = std::fs::read_to_string(toy(name).join(file)).unwrap_or_default();
        std::fs::write(folder.path().join(file), change(text)).expect("written");
    }
    folder
}

fn same(text: String) -> String {
    text
}

#[test]
fn both_of_clips_layouts_are_read() {
    let (vocab, merges) = ("vocab.json", "merges.txt");
    let as_one = |pairs: bool| {
        let read = |file: &str| std::fs::read_to_string(toy("tokenizer").join(file)).expect("a file");
        let vocab: serde_json::Value = serde_json::from_str(&read(vocab)).expect("JSON");
        let merges: Vec<serde_json::Value> = read(merges)
            .lines()
            .skip(1)
            .map(|line| if pairs { line.split(' ').collect::<Vec<_>>().into() } else { line.into() })
            .collect();
        serde_json::json!({"model": {"vocab": vocab, "merges": merges}, "added_tokens": []}).to_string()
    };
    let text = "A lighthouse, don't 漢字 wow!";
    let expected = open(Encoder::ClipL).encode(text, 77).expect("tokens");
    for pairs in [false, true] {
        let folder = folder("tokenizer", &[("tokenizer.json", &|_| as_one(pairs))]);
        let tokenizer = Tokenizer::open(Encoder::ClipL, folder.path()).expect("a tokenizer");
        assert_eq!(tokenizer.encode(text, 77).expect("tokens"), expected);
    }
    // A folder that says nothing about special tokens: each CLIP pads in its way.
    let folder = folder("tokenizer", &[(vocab, &same), (merges, &same)]);
    for (encoder, pad) in [(Encoder::ClipL, 813), (Encoder::ClipG, 0)] {
        let tokenizer = Tokenizer::open(encoder, folder.path()).expect("a tokenizer");
        assert_eq!(tokenizer.encode("", 3).expect("tokens").ids, [812, 813, pad]);
    }
}

#[test]
fn special_tokens_come_from_either_file() {
    let config = r#"{"pad_token": "!", "added_tokens_decoder": {"0": {"content": "!", "special": true}}}"#;
    let map = r#"{"pad_token": {"content": "?", "normalized": false}, "bos_token": {"content": "<|startoftext|>", "normalized": true}}"#;
    let check = |files: &[(&str, &str)], text: &str, expected: &[u32]| {
        let folder = folder("tokenizer", &[("vocab.json", &same), ("merges.txt", &same)]);
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        let tokenizer = Tokenizer::open(Encoder::ClipL, folder.path()).expect("a tokenizer");
        assert_eq!(tokenizer.encode(text, expected.len()).expect("tokens").ids, expected, "{files:?}");
    };
    check(&[("special_tokens_map.json", map)], "", &[812, 813, 30]);
    // One that is sought in the text after it was made lower case.
    check(&[("special_tokens_map.json", map)], "<|STARTOFTEXT|>", &[812, 812, 813]);
    check(&[("tokenizer_config.json", config), ("special_tokens_map.json", map)], "", &[812, 813, 0]);
}

/// Opening fails, and says all of `words`.
fn refused(encoder: Encoder, folder: &tempfile::TempDir, words: &[&str]) {
    let err = Tokenizer::open(encoder, folder.path()).map(|_| ()).expect_err("a broken tokenizer").to_string();
    for word in words {
        assert!(err.contains(word), "{err:?} says nothing of {word:?}");
    }
}

#[test]
fn a_broken_tokenizer_says_what_is_wrong() {
    let nothing = tempfile::tempdir().expect("a folder");
    refused(Encoder::ClipG, &nothing, &["CLIP-G", "vocab.json", "tokenizer.json"]);
    refused(Encoder::T5, &nothing, &["T5", "spiece.model"]);
    let clip = |vocab: &dyn Fn(String) -> String, merges: &dyn Fn(String) -> String| {
        folder("tokenizer", &[("vocab.json", vocab), ("merges.txt", merges)])
    };
    refused(Encoder::ClipL, &clip(&|text| text[..500].to_owned(), &same), &["vocab.json", "no JSON"]);
    refused(Encoder::ClipL, &clip(&|_| "[]".to_owned(), &same), &["no table of tokens"]);
    refused(Encoder::ClipL, &clip(&|text| text.replacen(": 5", ": -5", 1), &same), &["-5"]);
    refused(Encoder::ClipL, &clip(&same, &|text| text + "a b c\n"), &["merges.txt", "a b c"]);
    refused(Encoder::ClipL, &clip(&same, &|text| text + "zebra zebra\n"), &["zebra"]);
    refused(Encoder::ClipL, &clip(&|text| text.replace("<|endoftext|>", "<end>"), &same), &["<|endoftext|>"]);
    let t5 = |change: &dyn Fn(String) -> String| folder("tokenizer_3", &[("tokenizer.json", change)]);
    refused(Encoder::T5, &t5(&|text| text.replacen("</s>", "<e>", 9)), &["</s>"]);
    refused(Encoder::T5, &t5(&|_| "{}".to_owned()), &["unigram"]);
    refused(Encoder::T5, &t5(&|_| r#"{"model": {"vocab": [["a", 0.0]]}}"#.to_owned()), &["no pieces"]);
    refused(Encoder::T5, &t5(&|text| text.replacen(":\"", ":\"A", 99)), &[]);
}

/// A field of a protocol buffer that holds bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut length = bytes.len();
    let mut field = vec![number << 3 | 2];
    while length >= 0x80 {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    [field, bytes.to_vec()].concat()
}

/// The toy T5 as a `spiece.model`.
fn spiece_model() -> Vec<u8> {
    let text = std::fs::read_to_string(toy("tokenizer_3").join("tokenizer.json")).expect("a file");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let mut model = Vec::new();
    for piece in json["model"]["vocab"].as_array().expect("pieces") {
        let score = (piece[1].as_f64().expect("a score") as f32).to_le_bytes();
        let text = field(1, piece[0].as_str().expect("a piece").as_bytes());
        // The kind of a piece, which nobody here needs, stands last.
        model.extend(field(1, &[text, vec![2 << 3 | 5], score.to_vec(), vec![3 << 3, 1]].concat()));
    }
    let map = charsmap::decode(json["normalizer"]["precompiled_charsmap"].as_str().expect("a map")).expect("base64");
    model.extend(field(2, &[3 << 3, 1]));
    model.extend(field(3, &field(2, &map)));
    model
}

#[test]
fn a_sentencepiece_model_gives_the_same_numbers() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("spiece.model"), spiece_model()).expect("written");
    let tokenizer = Tokenizer::open(Encoder::T5, folder.path()).expect("a tokenizer");
    let other = open(Encoder::T5);
    for text in ["", "a lighthouse at dawn, ﬁsh Ａ\u{3000}B", "isn't 42% 🐟", "</s> <pad><unk>"] {
        assert_eq!(tokenizer.encode(text, 77), other.encode(text, 77), "{text:?}");
    }
    // Its gap tokens stand behind the pieces, the last first.
    let pieces = other.highest() + 1;
    assert_eq!(tokenizer.highest(), pieces + 99);
    assert_eq!(tokenizer.encode("<extra_id_0>", 2).expect("tokens").ids, [pieces + 99, 1]);
}

#[test]
fn a_sentencepiece_model_of_another_kind_is_refused() {
    for (bytes, word) in [
        ([spiece_model(), field(2, &[3 << 3, 2])].concat(), "type 2"),
        (b"PK\x03\x04 an archive".to_vec(), "no sentencepiece model"),
        (vec![1 << 3 | 2, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1], "cut short"),
        (field(1, &field(1, &[0xFF])), "UTF-8"),
    ] {
        let err = spiece::parse(&bytes).map(|_| ()).expect_err("a broken model");
        assert!(err.contains(word), "{err:?} says nothing of {word:?}");
    }
    let model = spiece_model();
    let whole = (0..model.len()).filter(|length| spiece::parse(&model[..*length]).is_ok()).count();
    // Between two fields nothing says that more should follow.
    assert_eq!(whole, 144 + 2, "one for each piece, the beginning, and the training");
}

#[test]
fn no_map_of_characters_leads_outside_itself() {
    let map = {
        let text = std::fs::read_to_string(toy("tokenizer_3").join("tokenizer.json")).expect("a file");
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        charsmap::decode(json["normalizer"]["precompiled_charsmap"].as_str().expect("a map")).expect("base64")
    };
    assert_eq!(charsmap::check(&map), Ok(()));
    for length in [0, 3, 4, 7, 1000] {
        assert!(charsmap::check(&map[..length]).is_err(), "{length} bytes");
    }
    assert!(charsmap::check(&[0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]).is_err(), "a tree of 4 GiB");
    assert!(charsmap::check(&[0, 0, 0, 0]).is_err(), "no tree");
    // Whatever stands in it, following it stays inside or it is refused.
    let mut refused = 0;
    for place in 4..map.len() {
        let mut broken = map.clone();
        broken[place] ^= 0x55;
        if charsmap::check(&broken).is_err() {
            refused += 1;
            continue;
        }
        let map = spm(&broken);
        for text in ["ﬁ", "Ａ", "Ｂ", "\u{a0}", "\u{3000}", "\u{2044}", "\u{ad}", "a", "\u{10ffff}"] {
            let _ = map.normalize_string(text);
        }
    }
    assert!(refused > 50, "{refused}");
}

fn spm(map: &[u8]) -> tokenizers::normalizers::precompiled::Precompiled {
    tokenizers::normalizers::precompiled::Precompiled::from(map).expect("a map")
}

#[test]
fn base64_is_read() {
    for (text, expected) in [
        ("", Some(&b""[..])),
        ("Zg==", Some(b"f")),
        ("Zm8=", Some(b"fo")),
        ("Zm9v", Some(b"foo")),
        ("+/+/", Some(&[0xFB, 0xFF, 0xBF])),
        ("Zm9", None),
        ("Z===", None),
        ("Zm-_", None),
    ] {
        assert_eq!(charsmap::decode(text).as_deref(), expected, "{text:?}");
    }
}
