//! The autoencoder, both ways.

use thumbforge_diffusion::device::Device;
use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::tiny::params;
use thumbforge_diffusion::vae;

use crate::close::{assert_close, rms};
use crate::engine::{Kept, on_every_device, run, to_planes, to_rows};
use crate::fixture::{Case, REFERENCES, numbers, single};

/// In parts of the largest number that comes out; 1e-4 is promised.
const TOLERANCE: f64 = 2e-5;
/// As for the transformer.
const BF16_MORE: f64 = 1.0;

fn decode<D: Device>(device: &D, case: &Case, precision: Precision) -> Vec<f32> {
    let model = case.model();
    let (config, size) = (&model.vae, numbers(&case.asked["size"]));
    let latents = case.input("latent", config.latent * size[0] * size[1], 1.0);
    let given = Kept::from([(vae::LATENTS.to_owned(), to_rows(&latents, 1, config.latent))]);
    let graph = vae::decode(config, 1, size[0], size[1]);
    let out = run(device, graph, precision, &params(model.vae_values()), &given);
    to_planes(&out[vae::PICTURE], 1, 3)
}

#[test]
fn decoding_is_that_of_diffusers() {
    for case in REFERENCES.cases("vae_decode") {
        on_every_device!(device, name => {
            let got = decode(device, &case, Precision::F32);
            assert_close(&format!("{} on {}", case.name, name), &got, &case.singles("out"), TOLERANCE);
        });
    }
}

#[test]
fn bf16_is_no_further_off_than_torch_is() {
    let measured = |case: &Case| case.asked["bf16_rms"].is_number();
    for case in REFERENCES.cases("vae_decode").into_iter().filter(measured) {
        let torch = f64::from(single(&case.asked["bf16_rms"]));
        on_every_device!(device, name => {
            let ours = rms(&decode(device, &case, Precision::Bf16), &case.singles("out"));
            println!("{} on {}: {ours:.2e}, torch {torch:.2e}", case.name, name);
            assert!(ours <= BF16_MORE * torch, "{} on {}: {ours} is more than {torch}", case.name, name);
            assert!(ours > 1e-3, "{} on {}: {ours} is too good for bf16", case.name, name);
        });
    }
}

#[test]
fn encoding_is_that_of_diffusers() {
    for case in REFERENCES.cases("vae_encode") {
        let model = case.model();
        let (config, size) = (&model.vae, numbers(&case.asked["size"]));
        let mut picture = case.input("picture", 3 * size[0] * size[1], 0.5);
        picture.iter_mut().for_each(|value| *value = value.clamp(-1.0, 1.0));
        let given = Kept::from([(vae::PICTURE.to_owned(), to_rows(&picture, 1, 3))]);
        on_every_device!(device, name => {
            let graph = vae::encode(config, 1, size[0] / config.factor(), size[1] / config.factor());
            let out = run(device, graph, Precision::F32, &params(model.vae_values()), &given);
            let moments = to_planes(&out[vae::MOMENTS], 1, 2 * config.latent);
            let (mean, logvar) = moments.split_at(moments.len() / 2);
            let name = format!("{} on {name}", case.name);
            assert_close(&format!("{name}: mean"), mean, &case.singles("mean"), TOLERANCE);
            assert_close(&format!("{name}: logvar"), logvar, &case.singles("logvar"), TOLERANCE);
        });
    }
}
