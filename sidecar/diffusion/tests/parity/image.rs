//! Whole pictures: files, text, noise, schedule, transformer, autoencoder, and what is done with a picture or a mask.

use std::path::{Path, PathBuf};

use thumbforge_diffusion::cpu::Cpu;
use thumbforge_diffusion::device::Device;
use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::noise::NoiseKind;
use thumbforge_diffusion::pipeline::{
    Engine, Layout, Mask, MaskMode, Model, Picture, Prompts, Request, Seeds, Source, Unwatched,
};
use thumbforge_diffusion::plain::Plain;
use thumbforge_diffusion::sampler::{Guidance, Method, SkipLayers};
use thumbforge_diffusion::tiny::{Adapter, Encoders, Spelling, Tiny, safetensors};
use thumbforge_diffusion::weights::{Sources, open};

use crate::close::psnr;
use crate::fixture::{Case, REFERENCES, number, numbers, picture, rectangle, single, text};

/// Of 8 bits. What is rounded apart is one step and seldom: one number in two hundred would still be 71 dB.
const PSNR_LEAST: f64 = 60.0;
/// Steps of 1/255.
const STEPS_MOST: u8 = 1;

fn adapter(case: &Case) -> Option<(Adapter, f32)> {
    let asked = &case.asked["lora"];
    asked.is_object().then(|| {
        let seed = asked["seed"].as_u64().expect("a seed");
        let adapter = Adapter { seed, rank: number(&asked["rank"]), alpha: single(&asked["alpha"]) };
        (adapter, single(&asked["weight"]))
    })
}

/// The model of a case as files in `folder`. A single file says less than diffusers' folder, and so does for models alone
/// that are in all it does not say as SD3.5 is.
fn write(model: &Tiny, folder: &Path) -> PathBuf {
    let like = |name: &str| {
        let other = REFERENCES.model(name);
        (&model.vae, &model.clip_l, &model.clip_g, &model.t5) == (&other.vae, &other.clip_l, &other.clip_g, &other.t5)
            && (model.shift, model.clip_l_identity) == (other.shift, other.clip_l_identity)
    };
    if like("medium") {
        return model.write_single(folder, Encoders::Inside).expect("a file");
    }
    model.write_diffusers(folder, 1 << 20).expect("a folder");
    folder.to_owned()
}

fn request(case: &Case) -> Request {
    let (asked, size) = (&case.asked, numbers(&case.asked["size"]));
    let (height, width) = (size[0], size[1]);
    let share = |value: &serde_json::Value| value.as_f64().expect("a number");
    let slg = &asked["slg"];
    let skip = slg.is_object().then(|| SkipLayers {
        layers: numbers(&slg["layers"]),
        scale: single(&slg["scale"]),
        start: share(&slg["start"]),
        stop: share(&slg["stop"]),
    });
    let mask = asked["mask"].is_array().then(|| Mask {
        pixels: rectangle(&numbers(&asked["mask"]), height, width)
            .iter()
            .map(|byte| f32::from(*byte) / 255.0)
            .collect(),
        mode: MaskMode::Diffusers,
    });
    let source = asked["image"].as_u64().map(|seed| Source {
        picture: Picture::of_rgb8(width, height, &picture(seed, height, width)).expect("a picture"),
        strength: share(&asked["strength"]),
        mask,
    });
    Request {
        prompt: Prompts::all(&text(&asked["prompt"])),
        negative: Prompts::all(&text(&asked["negative"])),
        width,
        height,
        steps: number(&asked["steps"]),
        guidance: Guidance { scale: single(&asked["guidance"]), skip },
        method: Method::Euler,
        shift: None,
        seeds: Seeds::One {
            seed: asked["seed"].as_u64().expect("a seed"),
            pictures: asked["images"].as_u64().unwrap_or(1) as usize,
        },
        noise: NoiseKind::TorchCpu,
        source,
        t5: asked["t5"] != false,
        t5_tokens: 256,
        precision: Precision::F32,
        vae_precision: Precision::F32,
        tiled: None,
    }
}

fn check<D: Device>(name: &str, device: D, case: &Case, sources: &Sources) {
    let weights = open(sources).expect("weights");
    let model = Model::of(&weights, [0; 32]).expect("a model");
    let request = request(case);
    let layout = Layout::widest(request.seeds.pictures());
    let outcome = Engine::new(device, model).draw(&request, &layout, &Unwatched).expect("pictures");
    let got: Vec<u8> = outcome.pictures.iter().flat_map(|drawn| drawn.picture.to_rgb8()).collect();
    let expected = case.bytes("pixels");
    assert_eq!(case.shape("pixels"), [outcome.pictures.len(), request.height, request.width, 3], "{}", case.name);
    let most = got.iter().zip(expected).map(|(got, expected)| got.abs_diff(*expected)).max().unwrap_or(0);
    let ratio = psnr(&got, expected);
    println!("{} on {name}: {ratio:.1} dB, {most} of 255", case.name);
    assert!(ratio >= PSNR_LEAST && most <= STEPS_MOST, "{} on {name}: {ratio} dB, {most} of 255", case.name);
}

#[test]
fn pictures_are_those_of_diffusers() {
    for case in REFERENCES.cases("image") {
        let model = case.model();
        let folder = tempfile::tempdir().expect("a folder");
        let mut sources = Sources {
            model: write(&model, folder.path()),
            tokenizers: Some(REFERENCES.folder.join("tokenizers")),
            ..Sources::default()
        };
        let Some((adapter, weight)) = adapter(&case) else {
            check("plain", Plain, &case, &sources);
            check("the processor", Cpu::new().expect("threads"), &case, &sources);
            continue;
        };
        for spelling in [Spelling::Peft, Spelling::Kohya, Spelling::Original] {
            let path = folder.path().join(format!("{spelling:?}.lora.safetensors"));
            std::fs::write(&path, safetensors(&adapter.spelled(&model.mmdit, spelling))).expect("written");
            sources.loras = vec![(path, weight)];
            check(&format!("the processor, {spelling:?}"), Cpu::new().expect("threads"), &case, &sources);
        }
    }
}
