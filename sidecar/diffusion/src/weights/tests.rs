//! Models in every layout that people have, opened and compared; and files that are none.

mod choices;
mod formats;
mod hashes;
mod hostile;
mod loras;

use std::collections::BTreeMap;
use std::fs;

use super::write::Head;
use super::*;
use crate::config::ClipAct;
use crate::dtype::DType;
use crate::rows;
use crate::tiny::{Encoders, Tiny, Values};

/// As small as every part can be.
fn small() -> Tiny {
    let mut tiny = Tiny::medium();
    tiny.mmdit = MmditConfig {
        depth: 2,
        hidden: 64,
        heads: 1,
        dual: vec![0],
        qk_norm: true,
        position_side: 4,
        patch: 2,
        in_channels: 16,
        out_channels: 16,
        context: 64,
        pooled: 192,
    };
    tiny.vae = VaeConfig { channels: vec![32, 64], layers: 1, groups: 32, latent: 16, scaling: 1.5305, shift: 0.0609 };
    let clip = |act, hidden| ClipConfig {
        layers: 1,
        hidden,
        heads: hidden / 64,
        inner: 64,
        vocabulary: 32,
        positions: 7,
        act,
        projection: hidden,
        end: 2,
    };
    tiny.clip_l = clip(ClipAct::QuickGelu, 64);
    tiny.clip_g = clip(ClipAct::Gelu, 128);
    tiny.t5 = T5Config {
        layers: 2,
        hidden: 64,
        heads: 2,
        head: 32,
        inner: 96,
        vocabulary: 32,
        buckets: 8,
        distance: 128,
        eps: 1e-6,
    };
    tiny
}

/// Tensors as a safetensors file in `dtype`, vectors as singles.
fn put(path: &Path, tensors: &[Values], dtype: DType) {
    let dtype = |tensor: &Values| if tensor.shape.len() < 2 { DType::F32 } else { dtype };
    let heads: Vec<Head> = tensors.iter().map(|tensor| Head::new(&tensor.name, dtype(tensor), &tensor.shape)).collect();
    let mut file = fs::File::create(path).unwrap();
    write::safetensors(&mut file, &heads, &BTreeMap::new(), |index, out| {
        out.write_all(&write::encode(heads[index].dtype, &tensors[index].values).unwrap())
    })
    .unwrap();
}

fn values(name: &str, shape: &[usize], values: Vec<f32>) -> Values {
    assert_eq!(values.len(), shape.iter().product::<usize>());
    Values { name: name.into(), shape: shape.to_vec(), values }
}

/// The reason for which a model is refused.
fn refusal(sources: &Sources) -> String {
    match open(sources) {
        Ok(_) => panic!("{} was opened", sources.model.display()),
        Err(err) => err.to_string(),
    }
}

/// A refusal says all of `pieces`.
fn check_refused(sources: &Sources, pieces: &[&str]) {
    let reason = refusal(sources);
    for piece in pieces {
        assert!(reason.contains(piece), "{reason:?} does not say {piece:?}");
    }
}

fn sources(model: &Path) -> Sources {
    Sources { model: model.to_path_buf(), ..Sources::default() }
}

fn numbers(param: &Param) -> Vec<f32> {
    let mut out = vec![0.0; param.rows() * param.row_len()];
    rows::read(param, 0..param.rows(), &mut out);
    out
}

/// Every parameter is there, under this name, with these sides and numbers, to the bit.
fn check_params(params: &Params, expected: &[Values]) {
    let names: Vec<&str> = params.0.keys().map(String::as_str).collect();
    let mut names_expected: Vec<&str> = expected.iter().map(|tensor| tensor.name.as_str()).collect();
    names_expected.sort_unstable();
    assert_eq!(names, names_expected);
    for tensor in expected {
        let param = params.get(&tensor.name).unwrap();
        assert_eq!(param.shape, tensor.shape, "{}", tensor.name);
        assert_eq!(numbers(param), tensor.values, "{}", tensor.name);
    }
}

fn check_all(weights: &Weights, tiny: &Tiny, projected: bool) {
    assert_eq!(weights.mmdit.config, tiny.mmdit);
    check_params(&weights.mmdit.params, &tiny.mmdit_values());
    let vae = weights.vae.as_ref().unwrap();
    assert_eq!(vae.config, tiny.vae);
    check_params(&vae.params, &tiny.vae_values());
    let clip_l = weights.clip_l.as_ref().unwrap();
    assert_eq!(clip_l.config, tiny.clip_l);
    let mut expected = tiny.clip_l_values();
    expected.retain(|tensor| projected || tensor.name != "text_projection.weight");
    check_params(&clip_l.params, &expected);
    let clip_g = weights.clip_g.as_ref().unwrap();
    assert_eq!(clip_g.config, tiny.clip_g);
    check_params(&clip_g.params, &tiny.clip_g_values());
    let t5 = weights.t5.as_ref().unwrap();
    assert_eq!(t5.config, tiny.t5);
    check_params(&t5.params, &tiny.t5_values());
    assert_eq!(weights.scheduler, Scheduler { shift: 3.0, train_steps: 1000 });
    assert_eq!(weights.encoders(), [Encoder::ClipL, Encoder::ClipG, Encoder::T5]);
}

#[test]
fn every_layout_gives_the_same_parameters() {
    for tiny in [small(), Tiny::large()] {
        let folder = tempfile::tempdir().unwrap();
        let (apart, inside) = (folder.path().join("apart"), folder.path().join("inside"));
        let (whole, shards) = (folder.path().join("whole"), folder.path().join("shards"));
        let file_apart = tiny.write_single(&apart, Encoders::Apart).unwrap();
        let file_inside = tiny.write_single(&inside, Encoders::Inside).unwrap();
        tiny.write_diffusers(&whole, usize::MAX).unwrap();
        tiny.write_diffusers(&shards, 100_000).unwrap();
        assert!(shards.join("transformer/diffusion_pytorch_model.safetensors.index.json").is_file());
        for path in [&file_apart, &apart, &file_inside, &inside] {
            check_all(&open(&sources(path)).unwrap(), &tiny, false);
        }
        for path in [&whole, &shards] {
            check_all(&open(&sources(path)).unwrap(), &tiny, true);
        }
    }
}
