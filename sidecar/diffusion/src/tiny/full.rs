//! Models of full size, for measurements: the sides of SD3.5's own configurations, and random numbers.
//!
//! They are written with [`Tiny::write_diffusers_blocks`], and never held in memory. Vocabularies are the real ones; the toy
//! tokenizers know fewer tokens, which changes nothing that is measured.

use super::Tiny;
use crate::config::{ClipAct, ClipConfig, MmditConfig, T5Config, VaeConfig};

/// SD3.5's text encoders and autoencoder, with `mmdit`.
fn full(seed: u64, mmdit: MmditConfig) -> Tiny {
    Tiny {
        seed,
        mmdit,
        vae: VaeConfig {
            channels: vec![128, 256, 512, 512],
            layers: 2,
            groups: 32,
            latent: 16,
            scaling: 1.5305,
            shift: 0.0609,
        },
        clip_l: ClipConfig {
            layers: 12,
            hidden: 768,
            heads: 12,
            inner: 3072,
            vocabulary: 49_408,
            positions: 77,
            act: ClipAct::QuickGelu,
            projection: 768,
            end: 2,
        },
        clip_l_identity: false,
        clip_g: ClipConfig {
            layers: 32,
            hidden: 1280,
            heads: 20,
            inner: 5120,
            vocabulary: 49_408,
            positions: 77,
            act: ClipAct::Gelu,
            projection: 1280,
            end: 2,
        },
        t5: T5Config {
            layers: 24,
            hidden: 4096,
            heads: 64,
            head: 64,
            inner: 10_240,
            vocabulary: 32_128,
            buckets: 32,
            distance: 128,
            eps: 1e-6,
        },
        shift: 3.0,
        faint: 1.0,
    }
}

impl Tiny {
    /// The sides of SD3.5 Medium: 2.5 billion parameters, and 5.6 billion of text encoders.
    pub fn full_medium() -> Self {
        let mmdit = MmditConfig {
            depth: 24,
            hidden: 1536,
            heads: 24,
            dual: (0..13).collect(),
            qk_norm: true,
            position_side: 384,
            patch: 2,
            in_channels: 16,
            out_channels: 16,
            context: 4096,
            pooled: 2048,
        };
        full(35, mmdit)
    }

    /// The sides of SD3.5 Large and of Large Turbo: 8.1 billion parameters.
    pub fn full_large() -> Self {
        let mmdit = MmditConfig {
            depth: 38,
            hidden: 2432,
            heads: 38,
            dual: Vec::new(),
            position_side: 192,
            ..Self::full_medium().mmdit
        };
        full(36, mmdit)
    }
}

#[cfg(test)]
mod tests {
    use super::super::shapes;
    use super::*;
    use crate::weights::{self, Sources};

    #[test]
    fn sides_are_those_of_the_published_models() {
        let count = |shapes: Vec<(String, Vec<usize>)>| -> usize {
            shapes.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
        };
        // Bytes of the published files at two a number, to the third place.
        let check = |count: usize, gigabytes: f64| {
            let ours = count as f64 * 2.0 / 1e9;
            assert!((ours - gigabytes).abs() < 0.006, "{ours} GB: {gigabytes} expected");
        };
        let (medium, large) = (Tiny::full_medium(), Tiny::full_large());
        check(count(shapes::mmdit(&medium.mmdit)), 4.94);
        check(count(shapes::mmdit(&large.mmdit)), 16.29);
        check(count(shapes::t5(&medium.t5)), 9.52);
        check(count(shapes::clip(&medium.clip_g)), 1.39);
        check(count(shapes::clip(&medium.clip_l)), 0.247);
        check(count(shapes::vae(&medium.vae)), 0.168);
    }

    #[test]
    fn a_model_of_blocks_opens_as_any_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let tiny = Tiny::medium();
        tiny.write_diffusers_blocks(folder.path()).expect("written");
        let opened = weights::open(&Sources { model: folder.path().to_owned(), ..Sources::default() }).expect("opened");
        assert_eq!((opened.mmdit.config, opened.t5.map(|t5| t5.config)), (tiny.mmdit, Some(tiny.t5)));
    }
}
