//! Files that are damaged, that are something else, or that somebody made to do harm.

use proptest::prelude::*;

use super::*;
use crate::weights::file::table;

/// A safetensors file with this header, and so many bytes behind it.
fn with_header(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn check(bytes: &[u8], pieces: &[&str]) {
    let reason = match table(bytes) {
        Ok(table) => panic!("accepted, instead of {pieces:?}: {table:?}"),
        Err(reason) => reason,
    };
    for piece in pieces {
        assert!(reason.contains(piece), "{reason:?} does not say {piece:?}");
    }
}

#[test]
fn what_is_no_file_of_weights_says_what_it_is() {
    let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 5107103872\n";
    check(b"", &["empty"]);
    check(b"PK\x03\x04rest of it", &["torch.save", "zip"]);
    check(b"\x80\x02}q\x00(X\x0a\x00\x00\x00state_dict", &["pickle"]);
    check(b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00}", &["pickle"]);
    check(b"\x1f\x8b\x08\x00", &["gzip"]);
    check(b"\x89PNG\r\n\x1a\n", &["picture"]);
    check(lfs.as_bytes(), &["git-lfs", "5107103872 bytes", "git lfs pull"]);
    check(b"<!DOCTYPE html><html>", &["page of the web"]);
    check(b"\n  <html>Sign in</html>", &["page of the web"]);
    check(b"<?xml version='1.0'?><Error>", &["page of the web"]);
    check(b"{\"error\": \"Repository not found\"}", &["JSON"]);
    check(b"1234567", &["7 bytes"]);
}

#[test]
fn safetensors_that_lie() {
    let one = |entry: &str| format!("{{\"a\":{entry}}}");
    let a = "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}";
    let case = |header: &str, data: usize, pieces: &[&str]| check(&with_header(header, data), pieces);
    assert!(table(&with_header(&one(a), 8)).is_ok());

    check(&[&u64::MAX.to_le_bytes()[..], &[0; 64]].concat(), &["more than the format's 100000000"]);
    check(&[&100_000_001u64.to_le_bytes()[..], &[0; 64]].concat(), &["more than the format's"]);
    check(&[&1000u64.to_le_bytes()[..], &[0; 64]].concat(), &["truncated", "1000 bytes", "64 follow"]);
    check(&[&64u64.to_be_bytes()[..], &[0; 64]].concat(), &["big-endian"]);
    case("[]", 0, &["no JSON of tensors"]);
    case("{\"a\":1}", 0, &["no JSON of tensors"]);
    case(&"[".repeat(100_000), 0, &["no JSON of tensors"]);
    case(&one(&"{\"x\":".repeat(100_000)), 0, &["no JSON of tensors"]);
    case(&one(a), 7, &["truncated", "file has"]);
    case(&one(a), 9, &["1 bytes follow the last tensor"]);
    case(&one("{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}"), 8, &["\"a\"", "do not agree"]);
    case(&one("{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}"), 8, &["ends before it starts"]);
    case(&one("{\"dtype\":\"F99\",\"shape\":[2],\"data_offsets\":[0,8]}"), 8, &["unknown dtype", "F99"]);
    case(&one("{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}"), 8, &["no JSON of tensors"]);
    case(&one("{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,18446744073709551615]}"), 8, &["\"a\""]);
    case(
        &one("{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,4294967296],\"data_offsets\":[0,8]}"),
        8,
        &["do not agree"],
    );
    case(&format!("{{\"a\":{a},\"a\":{a}}}"), 8, &["two tensors are called \"a\""]);
    case(&format!("{{\"a\":{a},\"b\":{a}}}"), 8, &["overlaps"]);
    let b = "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[12,16]}";
    case(&format!("{{\"a\":{a},\"b\":{b}}}"), 16, &["\"b\"", "gap"]);
    let sides = format!("{{\"dtype\":\"F32\",\"shape\":{:?},\"data_offsets\":[0,8]}}", [1; 100]);
    case(&one(&sides), 8, &["100 sides"]);
}

/// A GGUF file with these counts and bytes behind them.
fn gguf(version: u32, tensors: u64, pairs: u64, rest: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(version.to_le_bytes());
    bytes.extend(tensors.to_le_bytes());
    bytes.extend(pairs.to_le_bytes());
    bytes.extend(rest.concat());
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

/// A tensor of the table: sides as the format has them, the fastest first.
fn entry(name: &str, sides: &[u64], kind: u32, offset: u64) -> Vec<u8> {
    let mut bytes = text(name);
    bytes.extend((sides.len() as u32).to_le_bytes());
    bytes.extend(sides.iter().flat_map(|side| side.to_le_bytes()));
    bytes.extend(kind.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes
}

#[test]
fn gguf_that_lies() {
    let pad = &[0u8; 256][..];
    let array = |kind: u32, count: u64| {
        [&text("key")[..], &9u32.to_le_bytes(), &kind.to_le_bytes(), &count.to_le_bytes()].concat()
    };
    let good = gguf(3, 1, 0, &[&entry("a", &[32, 2], 8, 0), pad]);
    assert_eq!(table(&good).unwrap().entries["a"].shape, [2, 32]);

    check(b"GGUF", &["truncated"]);
    check(&gguf(1, 0, 0, &[]), &["version 1"]);
    check(&gguf(9, 0, 0, &[]), &["version 9", "expected 2 or 3"]);
    check(&gguf(3u32.swap_bytes(), 0, 0, &[]), &["big-endian"]);
    check(&gguf(3, u64::MAX, 0, &[pad]), &["18446744073709551615 tensors"]);
    check(&gguf(3, 0, u64::MAX, &[pad]), &["18446744073709551615 values"]);
    check(&gguf(3, 0, 1, &[&u64::MAX.to_le_bytes(), pad]), &["a key would have 18446744073709551615 bytes"]);
    check(&gguf(3, 0, 1, &[&array(8, 1 << 40), pad]), &["an array would have 1099511627776 values"]);
    check(&gguf(3, 0, 1, &[&array(12, 200), pad]), &["truncated", "an array would take 1600 bytes"]);
    check(&gguf(3, 0, 1, &[&array(99, 2), pad]), &["unknown type 99"]);
    let nested = [&9u32.to_le_bytes()[..], &1u64.to_le_bytes()].concat();
    check(&gguf(3, 0, 1, &[&array(9, 1), &nested, &nested, pad]), &["nested too deep"]);
    check(&gguf(3, 0, 1, &[&text("k"), &77u32.to_le_bytes(), pad]), &["unknown type 77"]);
    let name = [&2u64.to_le_bytes()[..], &[0xFF, 0xFE], pad].concat();
    check(&gguf(3, 1, 0, &[&name]), &["not UTF-8"]);
    check(&gguf(3, 1, 0, &[&entry("a", &[1; 9], 0, 0), pad]), &["\"a\" has 9 sides"]);
    check(&gguf(3, 1, 0, &[&entry("a", &[33], 8, 0), pad]), &["33 numbers", "blocks of 32"]);
    check(&gguf(3, 1, 0, &[&entry("a", &[4], 99, 0), pad]), &["unknown type 99"]);
    check(&gguf(3, 1, 0, &[&entry("a", &[4], 0, 8), pad]), &["no multiple of 32"]);
    check(&gguf(3, 1, 0, &[&entry("a", &[1000], 0, 0), pad]), &["truncated", "\"a\""]);
    check(&gguf(3, 1, 0, &[&entry("a", &[u64::MAX, u64::MAX], 0, 0), pad]), &["larger than any memory"]);
    check(&gguf(3, 1, 0, &[&entry("a", &[1], 0, u64::MAX - 31), pad]), &["larger than any memory"]);
    let twice = [entry("a", &[8], 0, 0), entry("a", &[8], 0, 32)].concat();
    check(&gguf(3, 2, 0, &[&twice, pad]), &["two tensors are called \"a\""]);
    let over = [entry("a", &[9], 0, 0), entry("b", &[8], 0, 32)].concat();
    check(&gguf(3, 2, 0, &[&over, pad]), &["\"b\" overlaps"]);
    for alignment in [0u32, 3, 4, 1 << 30] {
        let pair = [&text("general.alignment")[..], &4u32.to_le_bytes(), &alignment.to_le_bytes()].concat();
        check(&gguf(3, 0, 1, &[&pair, pad]), &["alignment"]);
    }
}

/// Small files of both formats with several tensors.
fn seeds() -> [Vec<u8>; 2] {
    let heads = [
        Head::new("joint_blocks.0.x_block.attn.qkv.weight", DType::F16, &[3, 2]),
        Head::new("x_embedder.proj.weight", DType::Bf16, &[1, 2, 1, 1]),
        Head::new("lora_unet_a.lora_down.weight", DType::F32, &[1, 2]),
    ];
    let zeros = |index: usize, out: &mut dyn std::io::Write| out.write_all(&vec![0; heads[index].bytes().unwrap()]);
    let (mut one, mut other) = (Vec::new(), Vec::new());
    write::safetensors(&mut one, &heads, &BTreeMap::from([("format".into(), "pt".into())]), zeros).unwrap();
    let values = [
        ("general.name".to_owned(), write::Value::Text("toy".into())),
        ("general.alignment".to_owned(), write::Value::U32(32)),
        ("tokens".to_owned(), write::Value::Texts(vec!["a".into(), "b".into()])),
    ];
    write::gguf(&mut other, &heads, &values, zeros).unwrap();
    [one, other]
}

#[test]
fn every_truncation_is_refused() {
    for seed in seeds() {
        assert!(table(&seed).is_ok());
        // GGUF pads the end, which nobody misses.
        let least = if seed.starts_with(b"GGUF") { seed.len() - 31 } else { seed.len() };
        for length in 0..least {
            let refused = table(&seed[..length]).is_err();
            assert!(refused || length >= least - 32 && seed.starts_with(b"GGUF"), "{length} of {}", seed.len());
        }
    }
}

proptest! {
    #[test]
    fn changed_bytes_do_no_harm(changes in proptest::collection::vec((0usize..4096, any::<u8>()), 1..6), cut in 0usize..64) {
        for mut seed in seeds() {
            let length = seed.len();
            changes.iter().for_each(|(place, byte)| seed[place % length] = *byte);
            seed.truncate(length - cut);
            probe(&seed);
        }
    }
}

#[test]
fn indexes_reach_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = small();
    let model = folder.path().join("model");
    tiny.write_diffusers(&model, 50_000).unwrap();
    let index = model.join("transformer/diffusion_pytorch_model.safetensors.index.json");
    let text = fs::read_to_string(&index).unwrap();
    let shard = "diffusion_pytorch_model-00001-of-";
    let start = text.find(shard).unwrap();
    let name = &text[start..start + text[start..].find('"').unwrap()];
    let original = text.clone();
    let case = |with: &str, pieces: &[&str]| {
        fs::write(&index, original.replace(name, with)).unwrap();
        check_refused(&sources(&model), pieces);
    };
    for trick in [
        "../vae/diffusion_pytorch_model.safetensors",
        "/etc/passwd",
        "..",
        "C:\\\\x.safetensors",
        "a/b.safetensors",
        "....safetensors/..",
        "x\\u0000.safetensors",
        "",
        ".safetensors",
        "nul\\n.safetensors",
        "\\u202e.safetensors",
    ] {
        case(trick, &["it names the shard", "expected a .safetensors file beside it"]);
    }
    case("gone.safetensors", &["gone.safetensors"]);
    // A shard that has what the index does not say, and the other way round.
    fs::write(
        &index,
        text.replacen("\"x_embedder", "\"y_embedder", 1).replacen("pos_embed.proj.bias", "pos_embed.other", 1),
    )
    .unwrap();
    check_refused(&sources(&model), &["which the index does not say"]);
    let extra = text.replacen("{\"pos_embed", &format!("{{\"not.there\": \"{name}\", \"pos_embed"), 1);
    assert_ne!(extra, text);
    fs::write(&index, extra).unwrap();
    check_refused(&sources(&model), &["lacks the tensor \"not.there\""]);
    fs::write(&index, vec![b' '; (16 << 20) + 1]).unwrap();
    check_refused(&sources(&model), &["more than 16777216 bytes"]);
    fs::write(&index, "{").unwrap();
    check_refused(&sources(&model), &["index.json", "EOF"]);
}

#[test]
fn wrong_tensors_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let tiny = small();
    let case = |change: &dyn Fn(&mut Vec<Values>), pieces: &[&str]| {
        let mut tensors = tiny.mmdit_values();
        change(&mut tensors);
        put(&path, &tensors, DType::F32);
        check_refused(&sources(&path), pieces);
    };
    let at = |tensors: &mut Vec<Values>, name: &str| tensors.iter().position(|tensor| tensor.name == name).unwrap();
    case(
        &|tensors| {
            let place = at(tensors, "joint_blocks.1.x_block.mlp.fc1.bias");
            tensors.remove(place);
        },
        &["the transformer", "it lacks \"joint_blocks.1.x_block.mlp.fc1.bias\""],
    );
    case(&|tensors| tensors.retain(|tensor| !tensor.name.contains("context_block.mlp")), &["it lacks", "and 1 more"]);
    case(
        &|tensors| {
            let place = at(tensors, "t_embedder.mlp.0.weight");
            tensors[place] = values("t_embedder.mlp.0.weight", &[256, 64], vec![0.0; 256 * 64]);
        },
        &["\"t_embedder.mlp.0.weight\" is f32[256, 64]: expected [64, 256]"],
    );
    case(
        &|tensors| tensors.push(values("joint_blocks.1.x_block.attn3.qkv.weight", &[1], vec![0.0])),
        &["it has \"joint_blocks.1.x_block.attn3.qkv.weight\", which no model of this configuration has"],
    );
    case(
        &|tensors| {
            let place = at(tensors, "pos_embed");
            tensors[place] = values("pos_embed", &[1, 15, 64], vec![0.0; 15 * 64]);
        },
        &["\"pos_embed\" is f32[1, 15, 64]"],
    );
}

#[test]
fn models_of_other_kinds_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let case = |names: &[&str], pieces: &[&str]| {
        let tensors: Vec<Values> = names.iter().map(|name| values(name, &[1], vec![0.0])).collect();
        put(&path, &tensors, DType::F32);
        check_refused(&sources(&path), pieces);
    };
    let clip = "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight";
    case(&[clip, "model.diffusion_model.input_blocks.0.0.weight"], &["an SDXL checkpoint"]);
    case(&["cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"], &["Stable Diffusion 1 or 2"]);
    case(&["transformer.a.lora_A.weight", "transformer.a.lora_B.weight"], &["a LoRA", "--lora"]);
    case(&["double_blocks.0.img_attn.qkv.weight"], &["a Flux model"]);
    case(&["transformer_blocks.0.attn.add_q_proj.weight", "single_transformer_blocks.0.x"], &["a Flux model"]);
    case(&["controlnet_blocks.0.weight"], &["a ControlNet"]);
    case(&["transformer.resblocks.0.attn.in_proj_weight"], &["OpenCLIP"]);
    case(&["input_blocks.0.0.weight"], &["a U-Net"]);
    case(&["model.layers.0.self_attn.q_proj.weight"], &["a language model"]);
    case(&["joint_blocks.0.other.weight"], &["an MMDiT of another make"]);
    case(&["w"], &["no model that is known here", "\"w\""]);
    case(&[], &["no tensor at all"]);
    case(&["text_model.embeddings.token_embedding.weight"], &["CLIP text encoder alone", "transformer"]);
    check_refused(&sources(&folder.path().join("gone")), &["gone"]);
}
