//! References as `tests/diffusion/reference/make.py` writes them: a manifest, and one file of outputs.

use std::path::PathBuf;
use std::sync::LazyLock;

use serde_json::Value;
use thumbforge_diffusion::config::{ClipAct, ClipConfig, MmditConfig, T5Config, VaeConfig};
use thumbforge_diffusion::tiny::{Tiny, gauss};

/// Names another folder of references than the one in the repository.
const FOLDER: &str = "THUMBFORGE_REFERENCES";

/// The references, read once.
pub(crate) static REFERENCES: LazyLock<References> = LazyLock::new(References::open);

pub(crate) struct References {
    pub(crate) folder: PathBuf,
    manifest: Value,
    header: Value,
    bytes: Vec<u8>,
}

/// One computation of diffusers: what was asked, and what came out.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) asked: Value,
    references: &'static References,
}

impl References {
    fn open() -> Self {
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/diffusion/fixtures");
        let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap_or_else(|| kept.into()));
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).unwrap_or_else(|err| panic!("read {}: {err}", path.display()))
        };
        let manifest = serde_json::from_slice(&read("manifest.json")).expect("a manifest");
        let mut bytes = read("references.safetensors");
        let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
        let header = serde_json::from_slice(&bytes[8..8 + length]).expect("a header");
        bytes.drain(..8 + length);
        Self { folder, manifest, header, bytes }
    }

    /// Every case of this kind. There must be one: a suite without cases proves nothing.
    pub(crate) fn cases(&'static self, kind: &str) -> Vec<Case> {
        let all = self.manifest["cases"].as_array().expect("cases");
        let found: Vec<Case> = all
            .iter()
            .filter(|case| case["kind"] == kind)
            .map(|case| Case { name: text(&case["name"]), asked: case.clone(), references: self })
            .collect();
        assert!(!found.is_empty(), "there is no case of {kind} in {}", self.folder.display());
        found
    }

    /// The toy model of this name.
    pub(crate) fn model(&self, name: &str) -> Tiny {
        let model = &self.manifest["models"][name];
        assert!(model.is_object(), "there is no model {name:?} in the manifest");
        let (mmdit, vae, t5) = (&model["mmdit"], &model["vae"], &model["t5"]);
        let clip = |config: &Value| ClipConfig {
            layers: number(&config["layers"]),
            hidden: number(&config["hidden"]),
            heads: number(&config["heads"]),
            inner: number(&config["inner"]),
            vocabulary: number(&config["vocabulary"]),
            positions: number(&config["positions"]),
            act: if config["act"] == "gelu" { ClipAct::Gelu } else { ClipAct::QuickGelu },
            projection: number(&config["projection"]),
            end: number(&config["end"]) as u32,
        };
        Tiny {
            seed: model["seed"].as_u64().expect("a seed"),
            mmdit: MmditConfig {
                depth: number(&mmdit["depth"]),
                hidden: number(&mmdit["hidden"]),
                heads: number(&mmdit["heads"]),
                dual: numbers(&mmdit["dual"]),
                qk_norm: mmdit["qk_norm"] == true,
                position_side: number(&mmdit["position_side"]),
                patch: number(&mmdit["patch"]),
                in_channels: number(&mmdit["in_channels"]),
                out_channels: number(&mmdit["out_channels"]),
                context: number(&mmdit["context"]),
                pooled: number(&mmdit["pooled"]),
            },
            vae: VaeConfig {
                channels: numbers(&vae["channels"]),
                layers: number(&vae["layers"]),
                groups: number(&vae["groups"]),
                latent: number(&vae["latent"]),
                scaling: single(&vae["scaling"]),
                shift: single(&vae["shift"]),
            },
            clip_l: clip(&model["clip_l"]),
            clip_l_identity: model["clip_l_identity"] == true,
            clip_g: clip(&model["clip_g"]),
            t5: T5Config {
                layers: number(&t5["layers"]),
                hidden: number(&t5["hidden"]),
                heads: number(&t5["heads"]),
                head: number(&t5["head"]),
                inner: number(&t5["inner"]),
                vocabulary: number(&t5["vocabulary"]),
                buckets: number(&t5["buckets"]),
                distance: number(&t5["distance"]),
                eps: single(&t5["eps"]),
            },
            shift: single(&model["shift"]),
            faint: model["faint"].as_f64().expect("a factor"),
        }
    }
}

impl Case {
    /// The toy model that it ran.
    pub(crate) fn model(&self) -> Tiny {
        self.references.model(&text(&self.asked["model"]))
    }

    /// An input, as the script drew it.
    pub(crate) fn input(&self, name: &str, count: usize, deviation: f64) -> Vec<f32> {
        gauss(0, &format!("{}/{name}", self.name), count, deviation)
    }

    /// Whether something of this name came out.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.references.header[format!("{}/{name}", self.name)].is_object()
    }

    /// The sides of what came out.
    pub(crate) fn shape(&self, name: &str) -> Vec<usize> {
        numbers(&self.entry(name)["shape"])
    }

    /// What came out, in singles.
    pub(crate) fn singles(&self, name: &str) -> Vec<f32> {
        self.raw(name, "F32").chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().expect("four"))).collect()
    }

    /// What came out, in integers.
    pub(crate) fn integers(&self, name: &str) -> Vec<i32> {
        self.raw(name, "I32").chunks_exact(4).map(|four| i32::from_le_bytes(four.try_into().expect("four"))).collect()
    }

    /// What came out, in bytes.
    pub(crate) fn bytes(&self, name: &str) -> &'static [u8] {
        self.raw(name, "U8")
    }

    fn entry(&self, name: &str) -> &'static Value {
        let entry = &self.references.header[format!("{}/{name}", self.name)];
        assert!(entry.is_object(), "{}/{name} is not in the references", self.name);
        entry
    }

    fn raw(&self, name: &str, dtype: &str) -> &'static [u8] {
        let entry = self.entry(name);
        assert_eq!(entry["dtype"], dtype, "{}/{name}", self.name);
        let range = numbers(&entry["data_offsets"]);
        &self.references.bytes[range[0]..range[1]]
    }
}

pub(crate) fn number(value: &Value) -> usize {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number")) as usize
}

pub(crate) fn single(value: &Value) -> f32 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number")) as f32
}

pub(crate) fn numbers(value: &Value) -> Vec<usize> {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list")).iter().map(number).collect()
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// A picture of 8 bits per channel as the script drew it: `[height, width, 3]`.
pub(crate) fn picture(seed: u64, height: usize, width: usize) -> Vec<u8> {
    let noise = gauss(seed, "picture", height * width * 3, 30.0);
    let slope = 128.0f64 / width as f64;
    let pixel = |(place, noise): (usize, f32)| {
        let column = (place / 3 % width) as f32;
        (noise + (column * slope as f32 + 64.0)).floor().clamp(0.0, 255.0) as u8
    };
    noise.into_iter().enumerate().map(pixel).collect()
}

/// 255 within `[left, top, right, bottom]`: `[height, width]`.
pub(crate) fn rectangle(mask: &[usize], height: usize, width: usize) -> Vec<u8> {
    let inside = |place: usize| {
        let (row, column) = (place / width, place % width);
        (mask[0]..mask[2]).contains(&column) && (mask[1]..mask[3]).contains(&row)
    };
    (0..height * width).map(|place| if inside(place) { 255 } else { 0 }).collect()
}
