//! What a file or folder of weights is, by the names that stand in its head; its tensors are not read.
//!
//! This is a guess to propose a part with, and to refuse what nothing here can draw with. Whether a model is complete and
//! sound, its own reader says: [`confirm`].

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use thumbforge_diffusion::DiffusionError;
use thumbforge_diffusion::weights::{ModelKind, Sources, open};

use super::offer::Part;

/// Largest head of a safetensors file in bytes, as the format has it.
const HEAD_BYTES_MAX: u64 = 100_000_000;

/// What something looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What it is for.
    pub part: Part,
    /// What it has inside besides.
    pub holds: Vec<Part>,
    /// The model that it draws.
    pub model: Option<&'static str>,
}

impl Seen {
    fn plain(part: Part) -> Self {
        Self { part, holds: Vec::new(), model: None }
    }
}

/// A tensor of a safetensors head; the rest of its entry is its reader's.
#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    shape: Vec<u64>,
}

/// Looks at a file or folder.
///
/// # Errors
/// What it is instead of weights, and what to do.
pub fn look(path: &Path) -> Result<Seen, String> {
    let meta = std::fs::metadata(path).map_err(|err| err.to_string())?;
    if meta.is_dir() {
        return Ok(look_at_folder(path));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let mut file = File::open(path).map_err(|err| err.to_string())?;
    let mut head = [0; 8];
    let read = read_up_to(&mut file, &mut head).map_err(|err| err.to_string())?;
    let head = &head[..read];
    if head.starts_with(b"GGUF") {
        return Ok(Seen { model: model_of_name(&name), ..Seen::plain(Part::Model) });
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(&[0x80, 2]) || head.starts_with(&[0x80, 4]) {
        let why =
            "it is a pickle, which runs whatever somebody wrote into it; take the .safetensors or .gguf of the model";
        return Err(why.to_owned());
    }
    if head.starts_with(b"version ") {
        return Err("it is a pointer of Git LFS, not the file; run `git lfs pull` there".to_owned());
    }
    if head.trim_ascii_start().starts_with(b"<") {
        return Err("it is a page of HTML; download the file itself".to_owned());
    }
    if name.ends_with(".json") || name.ends_with(".txt") || name.ends_with(".model") {
        return Ok(Seen::plain(Part::Other));
    }
    let length = head.try_into().map(u64::from_le_bytes).map_err(|_| "it is too short for weights".to_owned())?;
    if length > HEAD_BYTES_MAX || length > meta.len().saturating_sub(8) {
        return Err("it is neither safetensors nor GGUF, or it is cut off; download it again".to_owned());
    }
    let mut text = Vec::new();
    file.take(length).read_to_end(&mut text).map_err(|err| err.to_string())?;
    let entries: BTreeMap<String, Entry> = serde_json::from_slice(&text)
        .map_err(|_| "its head is no head of safetensors; download it again".to_owned())?;
    look_at_tensors(&entries, &name)
}

/// What the reader of models says of one: every name and shape is checked, no tensor is read.
///
/// # Errors
/// Why it is no model that can be drawn with.
pub fn confirm(path: &Path) -> Result<Seen, String> {
    let weights = open(&Sources { model: path.to_owned(), ..Sources::default() }).map_err(|err| match err {
        DiffusionError::File { path: at, reason } if at == path => reason,
        other => other.to_string(),
    })?;
    // Encoders that lie beside a file are not inside it.
    let inside = |files: &[std::path::PathBuf]| !files.is_empty() && files.iter().all(|file| file.starts_with(path));
    let parts = [
        (Part::ClipL, weights.clip_l.as_ref().map(|part| &part.files)),
        (Part::ClipG, weights.clip_g.as_ref().map(|part| &part.files)),
        (Part::T5, weights.t5.as_ref().map(|part| &part.files)),
        (Part::Vae, weights.vae.as_ref().map(|part| &part.files)),
    ];
    let mut holds: Vec<Part> =
        parts.into_iter().filter(|(_, files)| files.is_some_and(|files| inside(files))).map(|(part, _)| part).collect();
    let tokenizers = [&weights.tokenizers.clip_l, &weights.tokenizers.clip_g];
    if tokenizers.iter().all(|folder| folder.as_ref().is_some_and(|folder| folder.starts_with(path))) {
        holds.push(Part::Tokenizers);
    }
    let model = match weights.kind {
        ModelKind::Medium => Some("sd3.5-medium"),
        ModelKind::Large => Some("sd3.5-large"),
        ModelKind::Turbo => Some("sd3.5-large-turbo"),
        ModelKind::Other => None,
    };
    Ok(Seen { part: Part::Model, holds, model })
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read(&mut buffer[read..])? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

fn look_at_folder(path: &Path) -> Seen {
    let has = |name: &str| path.join(name).is_dir();
    if path.join("model_index.json").is_file() {
        let inside = [
            ("text_encoder", Part::ClipL),
            ("text_encoder_2", Part::ClipG),
            ("text_encoder_3", Part::T5),
            ("vae", Part::Vae),
            ("tokenizer", Part::Tokenizers),
        ];
        let holds = inside.into_iter().filter(|(name, _)| has(name)).map(|(_, part)| part).collect();
        return Seen { part: Part::Model, holds, model: model_of_config(&path.join("transformer/config.json")) };
    }
    let tokenizer = has("tokenizer") || has("tokenizer_2") || has("tokenizer_3");
    Seen::plain(if tokenizer { Part::Tokenizers } else { Part::Other })
}

fn look_at_tensors(entries: &BTreeMap<String, Entry>, name: &str) -> Result<Seen, String> {
    let any = |words: &str| entries.keys().any(|key| key.contains(words));
    if any("lora_A") || any("lora_B") || any("lora_up") || any("lora_down") {
        return Ok(Seen::plain(Part::Lora));
    }
    let block = ["joint_blocks.", "transformer_blocks."].into_iter().find(|block| any(block));
    if let Some(block) = block {
        let inside = [
            ("text_encoders.clip_l.", Part::ClipL),
            ("text_encoders.clip_g.", Part::ClipG),
            ("text_encoders.t5xxl.", Part::T5),
            ("first_stage_model.", Part::Vae),
        ];
        let holds = inside.into_iter().filter(|(prefix, _)| any(prefix)).map(|(_, part)| part).collect();
        let numbers = entries.keys().filter_map(|key| {
            let (_, rest) = key.split_once(block)?;
            rest.split('.').next()?.parse::<u32>().ok()
        });
        let model = match numbers.max() {
            Some(23) => Some("sd3.5-medium"),
            Some(37) => Some(if name.contains("turbo") { "sd3.5-large-turbo" } else { "sd3.5-large" }),
            _ => None,
        };
        return Ok(Seen { part: Part::Model, holds, model });
    }
    if any("block.0.layer.0.SelfAttention.q.weight") {
        return Ok(Seen::plain(Part::T5));
    }
    if any("text_model.encoder.layers.0.") {
        let width = entries
            .iter()
            .find(|(key, _)| key.ends_with("token_embedding.weight"))
            .and_then(|(_, entry)| entry.shape.last().copied());
        return Ok(Seen::plain(if width == Some(1280) { Part::ClipG } else { Part::ClipL }));
    }
    if any("decoder.conv_in.weight") {
        return Ok(Seen::plain(Part::Vae));
    }
    let first = entries.keys().find(|key| *key != "__metadata__").map_or("nothing", String::as_str);
    Err(format!(
        "it is safetensors, of something that Stable Diffusion 3.5 has no use for: its first tensor is {:?}",
        super::names::shown(first)
    ))
}

/// The model of a diffusers transformer, by its depth.
fn model_of_config(path: &Path) -> Option<&'static str> {
    let text =
        std::fs::metadata(path).ok().filter(|meta| meta.len() < 1 << 20).and_then(|_| std::fs::read(path).ok())?;
    let config: serde_json::Value = serde_json::from_slice(&text).ok()?;
    match config["num_layers"].as_u64() {
        Some(24) => Some("sd3.5-medium"),
        Some(38) => Some("sd3.5-large"),
        _ => None,
    }
}

/// The model that a file's name spells; a GGUF file says no more than its reader can see.
fn model_of_name(name: &str) -> Option<&'static str> {
    let name = name.replace(['_', ' '], "-");
    match (name.contains("turbo"), name.contains("large"), name.contains("medium")) {
        (true, true, _) => Some("sd3.5-large-turbo"),
        (false, true, _) => Some("sd3.5-large"),
        (_, _, true) => Some("sd3.5-medium"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};
    use thumbforge_diffusion::tiny::{Encoders, Tiny};

    use super::*;

    fn safetensors(names: &[&str]) -> Vec<u8> {
        let entries: Map<String, Value> = names
            .iter()
            .map(|name| {
                let (name, width) = name.split_once('|').unwrap_or((name, "8"));
                let width: u64 = width.parse().unwrap();
                (name.to_owned(), json!({ "dtype": "F16", "shape": [4, width], "data_offsets": [0, 0] }))
            })
            .collect();
        let head = serde_json::to_vec(&entries).unwrap();
        [&(head.len() as u64).to_le_bytes()[..], &head].concat()
    }

    fn seen(name: &str, bytes: &[u8]) -> Result<Seen, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        look(&path)
    }

    #[test]
    fn files_are_known_by_their_tensors() {
        #[track_caller]
        fn check(name: &str, tensors: &[&str], part: Part, holds: &[Part], model: Option<&str>) {
            let seen = seen(name, &safetensors(tensors)).unwrap();
            assert_eq!((seen.part, seen.holds.as_slice(), seen.model), (part, holds, model));
        }
        let medium = ["model.diffusion_model.joint_blocks.23.x_block.attn.qkv.weight", "first_stage_model.encoder.x"];
        check("m.safetensors", &medium, Part::Model, &[Part::Vae], Some("sd3.5-medium"));
        check("m", &["joint_blocks.37.x"], Part::Model, &[], Some("sd3.5-large"));
        check("sd3.5_large_turbo.safetensors", &["joint_blocks.37.x"], Part::Model, &[], Some("sd3.5-large-turbo"));
        check("m", &["transformer_blocks.1.attn.to_q.weight"], Part::Model, &[], None);
        let all =
            ["joint_blocks.1.x", "text_encoders.clip_l.t.x", "text_encoders.clip_g.t.x", "text_encoders.t5xxl.t.x"];
        check("m", &all, Part::Model, &[Part::ClipL, Part::ClipG, Part::T5], None);
        check("m", &["encoder.block.0.layer.0.SelfAttention.q.weight"], Part::T5, &[], None);
        let clip = |width: u64| format!("text_model.embeddings.token_embedding.weight|{width}");
        let layer = "text_model.encoder.layers.0.mlp.fc1.weight";
        check("m", &[layer, &clip(768)], Part::ClipL, &[], None);
        check("m", &[layer, &clip(1280)], Part::ClipG, &[], None);
        check("m", &["decoder.conv_in.weight"], Part::Vae, &[], None);
        check("m", &["transformer_blocks.1.attn.to_q.lora_A.weight"], Part::Lora, &[], None);
    }

    #[test]
    fn what_is_no_weights_is_told_apart() {
        #[track_caller]
        fn check(bytes: &[u8], expected: &str) {
            let why = seen("m.safetensors", bytes).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
        check(b"", "too short");
        check(b"PK\x03\x04rest of it", "pickle");
        check(&[0x80, 2, b'}', b'q', 0, 0, 0, 0, 0], "pickle");
        check(b"version https://git-lfs.github.com/spec/v1", "git lfs pull");
        check(b"<!doctype html>", "HTML");
        check(&u64::MAX.to_le_bytes(), "cut off");
        check(&[&99_u64.to_le_bytes()[..], b"{}"].concat(), "cut off");
        check(&[&3_u64.to_le_bytes()[..], b"{x}"].concat(), "no head");
        check(&safetensors(&["unet.conv_in.weight"]), "unet.conv_in.weight");
        assert_eq!(seen("sd3.5_large-Q8_0.gguf", b"GGUF\x03\0\0\0").unwrap().model, Some("sd3.5-large"));
    }

    #[test]
    fn a_model_is_confirmed_by_its_own_reader() {
        let folder = tempfile::tempdir().unwrap();
        let tiny = Tiny::medium();
        let path = tiny.write_single(folder.path(), Encoders::Inside).unwrap();
        let seen = confirm(&path).unwrap();
        assert_eq!((seen.holds.as_slice(), seen.model), (&[Part::ClipL, Part::ClipG, Part::T5, Part::Vae][..], None));
        // Beside is not inside.
        let folder = tempfile::tempdir().unwrap();
        let path = tiny.write_single(folder.path(), Encoders::Apart).unwrap();
        assert_eq!(confirm(&path).unwrap().holds, [Part::Vae]);
        // What looks like one from afar and is none.
        let cut = folder.path().join("cut.safetensors");
        std::fs::write(&cut, safetensors(&["joint_blocks.23.x"])).unwrap();
        assert_eq!(look(&cut).unwrap().part, Part::Model);
        assert!(confirm(&cut).is_err());
    }

    #[test]
    fn folders_are_known_by_what_lies_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        assert_eq!(look(at).unwrap(), Seen::plain(Part::Other));
        std::fs::create_dir_all(at.join("tokenizer_2")).unwrap();
        assert_eq!(look(at).unwrap(), Seen::plain(Part::Tokenizers));
        std::fs::write(at.join("model_index.json"), "{}").unwrap();
        std::fs::create_dir_all(at.join("transformer")).unwrap();
        std::fs::create_dir_all(at.join("vae")).unwrap();
        std::fs::write(at.join("transformer/config.json"), r#"{"num_layers": 24}"#).unwrap();
        let expected = Seen { part: Part::Model, holds: vec![Part::Vae], model: Some("sd3.5-medium") };
        assert_eq!(look(at).unwrap(), expected);
    }
}
