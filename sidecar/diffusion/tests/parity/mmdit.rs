//! One call of the transformer.

use thumbforge_diffusion::device::Device;
use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::mmdit::{self, Shape};
use thumbforge_diffusion::tiny::params;

use crate::close::{assert_close, rms};
use crate::engine::{Kept, on_every_device, run, to_planes, to_rows};
use crate::fixture::{Case, REFERENCES, number, numbers, single};

/// In parts of the largest number of the velocity. 2e-4 is promised; singles added in another order differ by 1e-6 here.
const TOLERANCE: f64 = 2e-5;
/// Ours in bf16 may be as far from diffusers in singles as diffusers' own bf16 is. We add in singles where torch rounds
/// every outcome, so that ours is nearer by a tenth or more.
const BF16_MORE: f64 = 1.0;

fn forward<D: Device>(device: &D, case: &Case, precision: Precision) -> Vec<f32> {
    let model = case.model();
    let (config, asked) = (&model.mmdit, &case.asked);
    let (batch, text) = (number(&asked["batch"]), number(&asked["tokens"]));
    let latent = numbers(&asked["latent"]);
    let shape = Shape { batch, conditions: batch, height: latent[0], width: latent[1], text };
    let params = params(model.mmdit_values());

    let latents = case.input("latent", batch * config.in_channels * latent[0] * latent[1], 1.0);
    let mut given = Kept::from([
        ("text".to_owned(), case.input("context", batch * text * config.context, 1.0)),
        ("pooled".to_owned(), case.input("pooled", batch * config.pooled, 1.0)),
        ("times".to_owned(), vec![single(&asked["timestep"]); batch]),
    ]);
    given = run(device, mmdit::prepare(config, shape, 1).expect("a graph"), precision, &params, &given);
    given.insert("latents".to_owned(), to_rows(&latents, batch, config.in_channels));
    let skip = numbers(&asked["skip"]);
    let out = run(device, mmdit::step(config, shape, &skip).expect("a graph"), precision, &params, &given);
    to_planes(&out["velocity"], batch, config.out_channels)
}

#[test]
fn one_call_is_that_of_diffusers() {
    for case in REFERENCES.cases("mmdit") {
        let expected = case.singles("out");
        on_every_device!(device, name => {
            let got = forward(device, &case, Precision::F32);
            assert_close(&format!("{} on {}", case.name, name), &got, &expected, TOLERANCE);
        });
    }
}

#[test]
fn bf16_is_no_further_off_than_torch_is() {
    for case in REFERENCES.cases("mmdit") {
        let expected = case.singles("out");
        let torch = f64::from(single(&case.asked["bf16_rms"]));
        on_every_device!(device, name => {
            let ours = rms(&forward(device, &case, Precision::Bf16), &expected);
            println!("{} on {}: {ours:.2e}, torch {torch:.2e}", case.name, name);
            assert!(ours <= BF16_MORE * torch, "{} on {}: {ours} is more than {torch}", case.name, name);
            // Nobody computes in singles where bf16 is asked for.
            assert!(ours > 1e-3, "{} on {}: {ours} is too good for bf16", case.name, name);
        });
    }
}
