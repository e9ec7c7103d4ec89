//! Against diffusers: `tests/reference.py` made the numbers.

use serde::Deserialize;

use super::*;
use crate::error::DiffusionError;
use crate::weights::ModelKind;

#[derive(Deserialize)]
struct Reference {
    schedules: Vec<Expected>,
    walks: Vec<Walk>,
}

#[derive(Deserialize)]
struct Expected {
    method: String,
    steps: usize,
    shift: f64,
    sigmas: Vec<f32>,
    times: Vec<f32>,
}

#[derive(Deserialize)]
struct Walk {
    method: String,
    steps: usize,
    shift: f64,
    strength: f64,
    times: Vec<f32>,
    start: Option<Vec<f32>>,
    latents: Vec<Vec<f32>>,
}

fn reference() -> Reference {
    let text = match std::env::var_os("SAMPLER_REFERENCE") {
        Some(path) => std::fs::read_to_string(path).unwrap(),
        None => include_str!("tests/reference.json").to_owned(),
    };
    serde_json::from_str(&text).unwrap()
}

/// Every second entry of sigmas and times stands twice in Heun's lists, which count calls.
fn once(numbers: &[f32]) -> Vec<f32> {
    let mut numbers = numbers.to_vec();
    numbers.dedup();
    numbers
}

#[test]
fn schedules_are_those_of_diffusers_bit_for_bit() {
    for expected in reference().schedules {
        let method: Method = expected.method.parse().unwrap();
        let schedule = Schedule::new(method, expected.steps, expected.shift).unwrap();
        let (sigmas, times) = match method {
            Method::Heun => (once(&expected.sigmas), once(&expected.times)),
            _ => (expected.sigmas, expected.times),
        };
        let name = format!("{method:?} {} {}", expected.steps, expected.shift);
        assert_eq!(schedule.sigmas(), sigmas, "{name}");
        assert_eq!(schedule.times(), times, "{name}");
    }
}

#[test]
fn the_last_sigma_is_shifted_twice() {
    let schedule = Schedule::new(Method::Euler, 28, 3.0).unwrap();
    assert!((schedule.sigmas()[27] - 0.0089).abs() < 1e-4);
    assert_eq!(schedule.sigmas()[28], 0.0);
}

/// Walks as `reference.py` does, and gives the times that the model was told and the latents after each call.
fn walk(expected: &Walk) -> (Vec<f32>, Vec<Vec<f32>>) {
    let method: Method = expected.method.parse().unwrap();
    let schedule = Schedule::new(method, expected.steps, expected.shift).unwrap();
    let schedule = schedule.of_strength(expected.strength).unwrap();
    let index = |at: usize| at as f32;
    let mut x: Vec<f32> = (0..8).map(|at| (index(at) - 3.5) * 0.375).collect();
    if let Some(start) = &expected.start {
        let noise: Vec<f32> = (0..8).map(|at| index(at) * 0.25 - 1.0).collect();
        mix(&mut x, &noise, schedule.start());
        assert_eq!(&x, start, "{method:?} {}", expected.steps);
    }
    let mut sampler = Sampler::new(method, schedule);
    let (mut times, mut latents) = (Vec::new(), Vec::new());
    while let Some(call) = sampler.next() {
        assert_eq!(call.index, times.len());
        assert_eq!(call.time, sampler.schedule().times()[call.row]);
        assert_eq!(call.sigma, sampler.sigma());
        times.push(call.time);
        let v: Vec<f32> =
            x.iter().enumerate().map(|(at, x)| x * 0.5 + (call.time / 1024.0 + index(at) / 16.0)).collect();
        sampler.advance(&v, &mut x, &mut |fresh| {
            for (at, fresh) in fresh.iter_mut().enumerate() {
                *fresh = 0.75 - 0.25 * ((at + 5 * call.index) % 7) as f32;
            }
        });
        latents.push(x.clone());
    }
    assert_eq!(times.len(), sampler.calls());
    assert_eq!(sampler.sigma(), 0.0);
    (times, latents)
}

#[test]
fn samplers_walk_as_in_diffusers() {
    for expected in reference().walks {
        let (times, latents) = walk(&expected);
        let name = format!("{} {} {}", expected.method, expected.steps, expected.strength);
        assert_eq!(times, expected.times, "{name}");
        // Euler and Heun bit for bit. Coefficients of DPM++ are logarithms, taken in singles there and in doubles here:
        // 1e-5 is what the difference of two lambdas loses. Ancestral steps are expected in doubles.
        let within = match expected.method.as_str() {
            "Euler (flow)" | "Heun (flow)" => 0.0,
            _ => 1e-5,
        };
        for (call, (got, expected)) in latents.iter().zip(&expected.latents).enumerate() {
            for (got, expected) in got.iter().zip(expected) {
                assert!((got - expected).abs() <= within, "{name} call {call}: {got} for {expected}");
            }
        }
    }
}

#[test]
fn a_straight_flow_is_drawn_exactly() {
    // Where the velocity is the same everywhere, every method without noise ends in the same picture.
    for method in [Method::Euler, Method::Heun, Method::DpmPp2m] {
        let mut sampler = Sampler::new(method, Schedule::new(method, 12, 3.0).unwrap());
        let (picture, noise) = ([0.25f32, -1.5, 0.75], [1.0f32, 0.5, -2.0]);
        let velocity: Vec<f32> = noise.iter().zip(picture).map(|(noise, picture)| noise - picture).collect();
        let mut x = picture.to_vec();
        mix(&mut x, &noise, sampler.schedule().start());
        while sampler.next().is_some() {
            sampler.advance(&velocity, &mut x, &mut |_| panic!("{method:?} adds no noise"));
        }
        for (x, picture) in x.iter().zip(picture) {
            assert!((x - picture).abs() < 1e-6, "{method:?}: {x} for {picture}");
        }
    }
}

#[test]
fn methods_answer_to_the_names_that_samplers_are_translated_to() {
    let table: toml::Table = toml::from_str(include_str!("../../../../rust-core/samplers.toml")).unwrap();
    let rows = table["sampler"].as_array().unwrap();
    assert!(rows.len() > 5);
    for row in rows {
        let word = row["flow"].as_str().unwrap();
        assert_eq!(word.parse::<Method>().map(Method::word), Ok(word));
    }
    for method in Method::ALL {
        assert!(rows.iter().any(|row| row["flow"].as_str() == Some(method.word())), "{method:?}");
    }
    assert!("euler".parse::<Method>().unwrap_err().contains("Heun (flow)"));
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let refused = |result: Result<Schedule, DiffusionError>| matches!(result, Err(DiffusionError::Request(_)));
    for (steps, shift) in [(0, 3.0), (STEPS_MAX + 1, 3.0), (4, 0.0), (4, -1.0), (4, f64::NAN), (4, f64::INFINITY)] {
        assert!(refused(Schedule::new(Method::Euler, steps, shift)), "{steps} {shift}");
    }
    let schedule = || Schedule::new(Method::Euler, 4, 3.0).unwrap();
    for strength in [-0.1, 1.1, f64::NAN, 0.0, 0.24] {
        assert_eq!(refused(schedule().of_strength(strength)), strength != 0.24, "{strength}");
    }
    assert_eq!(schedule().of_strength(1.0), Ok(schedule()));
}

#[test]
fn guidance_pulls_as_in_diffusers() {
    let skip = SkipLayers { layers: vec![7], scale: 2.0, start: 0.01, stop: 0.2 };
    let guidance = Guidance { scale: 4.0, skip: Some(skip.clone()) };
    let mut to = vec![1.0, -2.0];
    guidance.combine(&mut to, &[2.0, 1.0], None);
    assert_eq!(to, [5.0, 10.0]);
    let mut to = vec![1.0, -2.0];
    guidance.combine(&mut to, &[2.0, 1.0], Some((&skip, &[1.5, 3.0])));
    assert_eq!(to, [6.0, 6.0]);

    // Of 40 calls those after 0.4 and before 8.
    let inside: Vec<usize> = (0..40).filter(|index| guidance.skips(*index, 40).is_some()).collect();
    assert_eq!(inside, (1..8).collect::<Vec<_>>());
    // Both ends are outside, where they are calls.
    let quarter = SkipLayers { start: 0.25, stop: 0.5, ..skip.clone() };
    let guidance = Guidance { scale: 4.0, skip: Some(quarter) };
    let inside: Vec<usize> = (0..8).filter(|index| guidance.skips(*index, 8).is_some()).collect();
    assert_eq!(inside, [3]);
    let none = |scale: f32, skip: Option<&SkipLayers>| {
        let guidance = Guidance { scale, skip: skip.cloned() };
        (0..40).all(|index| guidance.skips(index, 40).is_none())
    };
    assert!(none(1.0, Some(&skip)) && none(4.0, None));
    for (scale, doubles) in [(0.0, false), (1.0, false), (1.01, true)] {
        assert_eq!(Guidance { scale, skip: None }.doubles(), doubles, "{scale}");
    }
}

#[test]
fn every_kind_of_model_has_defaults() {
    for (kind, steps, guidance) in [
        (ModelKind::Medium, 40, 4.5),
        (ModelKind::Large, 28, 3.5),
        (ModelKind::Turbo, 4, 0.0),
        (ModelKind::Other, 28, 7.0),
    ] {
        let defaults = Defaults::of(kind);
        assert_eq!((defaults.steps, defaults.guidance, defaults.shift), (steps, guidance, 3.0), "{kind:?}");
        let skip = defaults.skip.map(|skip| (skip.layers, skip.scale, skip.start, skip.stop));
        assert_eq!(skip, (kind == ModelKind::Medium).then(|| (vec![7, 8, 9], 2.8, 0.01, 0.2)), "{kind:?}");
    }
}
