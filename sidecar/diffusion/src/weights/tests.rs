//! Models in every layout that people have, opened and compared; and files that are none.

use super::*;
use crate::rows;
use crate::tiny::{Encoders, Tiny, Values};

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
    for tiny in [Tiny::medium(), Tiny::large()] {
        let folder = tempfile::tempdir().unwrap();
        let (apart, inside) = (folder.path().join("apart"), folder.path().join("inside"));
        let (whole, shards) = (folder.path().join("whole"), folder.path().join("shards"));
        let file_apart = tiny.write_single(&apart, Encoders::Apart).unwrap();
        let file_inside = tiny.write_single(&inside, Encoders::Inside).unwrap();
        tiny.write_diffusers(&whole, usize::MAX).unwrap();
        tiny.write_diffusers(&shards, 1 << 20).unwrap();
        assert!(shards.join("transformer/diffusion_pytorch_model.safetensors.index.json").is_file());
        for path in [&file_apart, &apart, &file_inside, &inside] {
            check_all(&open(&sources(path)).unwrap(), &tiny, false);
        }
        for path in [&whole, &shards] {
            check_all(&open(&sources(path)).unwrap(), &tiny, true);
        }
    }
}
