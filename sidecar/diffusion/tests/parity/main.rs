//! The engine against diffusers, on toy models.
//!
//! What diffusers computed lies in `tests/diffusion/fixtures`; weights and inputs are made again from seeds and names. With
//! `THUMBFORGE_REFERENCES` the references of another folder are compared with.

mod close;
mod engine;
mod fixture;
mod image;
mod mmdit;
mod noise;
mod sampler;
mod text;
mod vae;

use fixture::REFERENCES;
use thumbforge_diffusion::tiny::Tiny;

/// The toys that other tests use are those that diffusers' answers are known of.
#[test]
fn toys_are_the_same_in_python() {
    assert_eq!(REFERENCES.model("medium"), Tiny::medium());
    assert_eq!(REFERENCES.model("large"), Tiny::large());
}
