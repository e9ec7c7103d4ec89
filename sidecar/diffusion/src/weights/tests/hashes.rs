//! What is hashed, what is not hashed again, and numbers that are none.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::weights::hash::finite;

#[derive(Default)]
struct Kept(Mutex<Vec<(FileKey, Hash)>>, AtomicUsize);

impl HashCache for Kept {
    fn get(&self, key: &FileKey) -> Option<Hash> {
        let kept = self.0.lock().unwrap();
        kept.iter().find(|(old, _)| old == key).map(|(_, hash)| *hash)
    }
    fn put(&self, key: &FileKey, hash: Hash) {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.lock().unwrap().push((key.clone(), hash));
    }
}

#[test]
fn a_file_is_read_once_until_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = small();
    let path = tiny.write_single(folder.path(), Encoders::Apart).unwrap();
    let kept = Kept::default();
    let first = open(&sources(&path)).unwrap().hash(&kept).unwrap();
    assert_eq!(kept.1.load(Ordering::Relaxed), 4, "one for each file, though one of them has two parts");
    assert_eq!(kept.0.lock().unwrap()[0].1, *blake3::hash(&fs::read(&path).unwrap()).as_bytes());
    assert_eq!(open(&sources(&path)).unwrap().hash(&kept).unwrap(), first);
    assert_eq!(kept.1.load(Ordering::Relaxed), 4);

    // Another place is another key and the same hash; so is another name.
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    for name in ["clip_l", "clip_g", "t5xxl"] {
        fs::copy(folder.path().join(format!("{name}.safetensors")), other.join(format!("{name}.safetensors"))).unwrap();
    }
    fs::copy(&path, other.join("renamed.safetensors")).unwrap();
    let moved = open(&sources(&other)).unwrap();
    assert_eq!(moved.hash(&kept).unwrap(), first);
    assert_eq!(kept.1.load(Ordering::Relaxed), 8);

    // Another seed is another model, put in place by renaming as writers shall.
    let mut changed = small();
    changed.seed += 1;
    put(&other.join("new"), &changed.t5_values(), DType::F32);
    fs::rename(other.join("new"), other.join("t5xxl.safetensors")).unwrap();
    let second = open(&sources(&other)).unwrap().hash(&kept).unwrap();
    assert_ne!(second, first);
    assert_eq!(kept.1.load(Ordering::Relaxed), 9);
    assert_eq!(open(&sources(&other)).unwrap().hash(&NoCache).unwrap(), second);
}

#[test]
fn other_tokens_and_other_heads_are_another_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = small().write_single(folder.path(), Encoders::Apart).unwrap();
    let rules = folder.path().join("rules");
    fs::create_dir_all(rules.join("tokenizer")).unwrap();
    let merges = |text: &str| {
        fs::write(rules.join("tokenizer/vocab.json"), "{}").unwrap();
        fs::write(rules.join("tokenizer/merges.txt"), text).unwrap();
        let weights = open(&Sources { tokenizers: Some(rules.clone()), ..sources(&path) }).unwrap();
        (weights.tokenizers.clip_l.is_some(), weights.hash(&NoCache).unwrap())
    };
    let (found, first) = merges("a b");
    assert!(found, "the folder's tokenizer is the one of the model");
    assert_ne!(first, merges("a c").1);
    assert_eq!(first, merges("a b").1);

    let mut weights = open(&sources(&path)).unwrap();
    let one = weights.hash(&NoCache).unwrap();
    weights.clip_l.as_mut().unwrap().config.heads += 1;
    assert_ne!(weights.hash(&NoCache).unwrap(), one);
}

#[test]
fn the_same_file_as_another_part_is_another_model() {
    let folder = tempfile::tempdir().unwrap();
    let mut tiny = small();
    tiny.clip_g = ClipConfig { act: ClipAct::Gelu, ..tiny.clip_l.clone() };
    tiny.mmdit.pooled = 128;
    let model = folder.path().join("model.safetensors");
    put(&model, &tiny.mmdit_values(), DType::F32);
    let clips = folder.path().join("clips");
    fs::create_dir(&clips).unwrap();
    let (one, two) = (clips.join("one.safetensors"), clips.join("two.safetensors"));
    put(&one, &tiny.clip_l_values(), DType::F32);
    put(&two, &tiny.clip_g_values(), DType::F32);
    let hash = |clip_l: &Path, clip_g: &Path| {
        let given = Sources { clip_l: Some(clip_l.into()), clip_g: Some(clip_g.into()), ..sources(&model) };
        open(&given).unwrap().hash(&NoCache).unwrap()
    };
    assert_ne!(hash(&one, &two), hash(&two, &one));
}

#[test]
fn tokenizers_and_configurations_are_part_of_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = small().write_single(folder.path(), Encoders::Apart).unwrap();
    let hash = || open(&sources(&path)).unwrap().hash(&NoCache).unwrap();
    let bare = hash();
    let tokens = folder.path().join("tokenizer_2");
    fs::create_dir(&tokens).unwrap();
    fs::write(tokens.join("vocab.json"), "{}").unwrap();
    let one = hash();
    assert_ne!(one, bare);
    fs::write(tokens.join("vocab.json"), "{ }").unwrap();
    assert_ne!(hash(), one);
    fs::write(tokens.join("vocab.json"), "{}").unwrap();
    fs::write(tokens.join("README.md"), "nobody reads it").unwrap();
    assert_eq!(hash(), one);
}

#[test]
fn numbers_that_are_none_are_found_while_hashing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut tensors = small().mmdit_values();
        let tensor = tensors.iter_mut().find(|tensor| tensor.name == "y_embedder.mlp.2.weight").unwrap();
        *tensor.values.last_mut().unwrap() = odd;
        put(&path, &tensors, DType::Bf16);
        let kept = Kept::default();
        let reason = open(&sources(&path)).unwrap().hash(&kept).unwrap_err().to_string();
        assert!(reason.contains("\"y_embedder.mlp.2.weight\" has numbers that are none"), "{reason}");
        assert_eq!(kept.1.load(Ordering::Relaxed), 0, "what is damaged has no hash");
    }
}

#[test]
fn every_format_knows_its_odd_numbers() {
    for (dtype, good, odd) in [
        (DType::F32, f32::MAX.to_le_bytes().to_vec(), f32::INFINITY.to_le_bytes().to_vec()),
        (DType::F32, f32::MIN.to_le_bytes().to_vec(), f32::NAN.to_le_bytes().to_vec()),
        (DType::F16, vec![0xFF, 0x7B], vec![0x00, 0xFC]),
        (DType::Bf16, vec![0x7F, 0x7F], vec![0x80, 0xFF]),
        (DType::F8E4M3, vec![0x7E], vec![0xFF]),
        (DType::F8E5M2, vec![0x7B], vec![0x7C]),
    ] {
        for (bytes, expected) in [(&good, true), (&odd, false)] {
            assert_eq!(finite(dtype, bytes), expected, "{} {bytes:x?}", dtype.word());
            let many = [good.repeat(37), bytes.clone(), good.repeat(3)].concat();
            assert_eq!(finite(dtype, &many), expected, "{} {bytes:x?} among many", dtype.word());
        }
    }
    for (dtype, halves) in [
        (DType::Q4_0, &[0][..]),
        (DType::Q4_1, &[0, 2]),
        (DType::Q5_0, &[0]),
        (DType::Q5_1, &[0, 2]),
        (DType::Q8_0, &[0]),
        (DType::Q4K, &[0, 2]),
        (DType::Q5K, &[0, 2]),
        (DType::Q6K, &[208]),
    ] {
        // All bits set in the numbers themselves is no fault.
        let mut good = vec![0xFF; 3 * dtype.block_bytes()];
        for block in 0..3 {
            halves.iter().for_each(|at| good[block * dtype.block_bytes() + at..][..2].copy_from_slice(&[0xFF, 0x7B]));
        }
        assert!(finite(dtype, &good), "{}", dtype.word());
        for at in halves {
            let mut odd = good.clone();
            odd[2 * dtype.block_bytes() + at + 1] = 0x7C;
            assert!(!finite(dtype, &odd), "{} {at}", dtype.word());
        }
    }
}
