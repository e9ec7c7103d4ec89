//! The model thread with a painter that does as it is told.

use std::path::PathBuf;
use std::sync::Arc;

use thumbforge_core::image::Extent;
use thumbforge_core::recipe::{Dtype, Noise};

use super::asked::{Asked, Files, Shape};

/// A picture of a model by its name.
pub(in crate::engine) fn asked(model: &str, prompt: &str, seed: u64) -> Asked {
    let shape = Shape {
        prompt: prompt.to_owned(),
        negative: String::new(),
        size: Extent { width: 16, height: 16 },
        steps: 4,
        guidance: 4.5,
        shift: 3.0,
        sampler: "Euler (flow)".to_owned(),
        dtype: Dtype::F32,
        noise: Noise::Philox,
        slg: None,
        tiled_vae: false,
    };
    let files = Files { model: PathBuf::from(model), ..Files::default() };
    Asked { files: Arc::new(files), shape, seed, source: None }
}
