//! Schedules, and some numbers through the whole of each with a made-up model.

use thumbforge_diffusion::sampler::{Method, Sampler, Schedule, mix};

use crate::close::assert_close;
use crate::fixture::{Case, REFERENCES, number};

/// In parts of the largest number: some singles are added in each of up to 56 steps.
const TOLERANCE: f64 = 2e-6;
/// Numbers that are walked.
const COUNT: usize = 24;

/// The answer of the script's `velocity`: not linear in the sample, and different at every time.
fn velocity(sample: f32, sigma: f32) -> f32 {
    0.8 * sample - 0.3 * sigma * sample * sample / (1.0 + sample * sample) - 0.5 + sigma
}

fn check(case: &Case) {
    let method = match case.asked["sampler"].as_str() {
        Some("euler") => Method::Euler,
        Some("heun") => Method::Heun,
        Some("dpmpp_2m") => Method::DpmPp2m,
        Some("euler_ancestral") => Method::EulerAncestral,
        other => panic!("no such sampler: {other:?}"),
    };
    let (steps, shift) = (number(&case.asked["steps"]), case.asked["shift"].as_f64().expect("a shift"));
    let strength = case.asked["strength"].as_f64().expect("a strength");
    let mut latents = case.input("noise", COUNT, 1.0);
    let mut schedule = Schedule::new(method, steps, shift).expect("a schedule");
    if strength < 1.0 {
        schedule = schedule.of_strength(strength).expect("some steps");
        let mut picture = case.input("latent", COUNT, 1.0);
        mix(&mut picture, &latents, schedule.start());
        latents = picture;
    }
    assert_eq!(latents, case.singles("start"), "{}: start", case.name);

    let draws = case.input("draws", steps * COUNT, 1.0);
    let (mut sampler, mut drawn) = (Sampler::new(method, schedule), 0);
    let (mut sigmas, mut times) = (Vec::new(), Vec::new());
    while let Some(call) = sampler.next() {
        sigmas.push(call.sigma);
        times.push(call.time);
        assert!(sigmas.len() <= 2 * steps, "{}: it does not end", case.name);
        let answer: Vec<f32> = latents.iter().map(|x| velocity(*x, call.time / 1000.0)).collect();
        sampler.advance(&answer, &mut latents, &mut |noise| {
            noise.copy_from_slice(&draws[drawn * COUNT..][..noise.len()]);
            drawn += 1;
        });
    }
    assert_eq!(times, case.singles("timesteps"), "{}: times", case.name);
    if method != Method::Heun {
        // diffusers' Heun lists the sigma where a step began twice, ours the one where the model is asked.
        sigmas.push(sampler.sigma());
        assert_eq!(sigmas, case.singles("sigmas"), "{}: sigmas", case.name);
    }
    assert_close(&case.name, &latents, &case.singles("end"), TOLERANCE);
}

#[test]
fn samplers_walk_as_those_of_diffusers() {
    for case in REFERENCES.cases("sampler") {
        check(&case);
    }
}
