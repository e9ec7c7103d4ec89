//! Runs both programs as a pipeline does: kept buffers one after another in one memory, `modulation` bound to the rows
//! of the step.

use std::collections::BTreeMap;

use crate::config::MmditConfig;
use crate::device::{Bases, Device, Span};
use crate::dtype::Precision;
use crate::mmdit::{Shape, prepare, step};
use crate::param::Params;
use crate::plain::Plain;
use crate::plan::{Kept, Program};

/// What a call of the model is given; rows as the programs want them.
pub(super) struct Given {
    pub(super) shape: Shape,
    /// `[steps · conditions]`
    pub(super) times: Vec<f32>,
    pub(super) text: Vec<f32>,
    pub(super) pooled: Vec<f32>,
    /// `[batch, channels, height, width]`, as other tools order them.
    pub(super) latents: Vec<f32>,
}

impl Given {
    fn steps(&self) -> usize {
        self.times.len() / self.shape.conditions
    }
}

/// The velocity of step `at`, `[batch, channels, height, width]`.
pub(super) fn velocity(
    config: &MmditConfig,
    params: &Params,
    given: &Given,
    precision: Precision,
    at: usize,
    skip: &[usize],
) -> Vec<f32> {
    let first = Program::new(prepare(config, given.shape, given.steps()).unwrap(), precision);
    let second = Program::new(step(config, given.shape, skip).unwrap(), precision);
    // Buffers that both know are one.
    let mut places: BTreeMap<&str, (u64, &Kept)> = BTreeMap::new();
    let mut end = 0;
    for kept in first.kept.iter().chain(&second.kept) {
        places.entry(&kept.name).or_insert_with(|| {
            let place = (end, kept);
            end += kept.bytes;
            place
        });
    }
    let mut memory = Plain.reserve(end + first.scratch_bytes.max(second.scratch_bytes)).unwrap();
    let span = |name: &str| {
        let (offset, kept) = places[name];
        Span { offset, len: kept.rows * kept.cols, element: kept.element, precision }
    };
    let latents = turned(&given.latents, given.shape.batch, config.in_channels);
    for (name, numbers) in
        [("text", &given.text), ("pooled", &given.pooled), ("times", &given.times), ("latents", &latents)]
    {
        assert_eq!(span(name).len, numbers.len(), "{name}");
        Plain.write(&mut memory, span(name), numbers).unwrap();
    }
    for program in [&first, &second] {
        let of_step = |kept: &Kept| {
            let conditions = given.shape.conditions;
            let rows = if kept.name == "modulation" && kept.rows == conditions { at * conditions } else { 0 };
            places[kept.name.as_str()].0 + (rows * kept.cols * kept.element.bytes(precision)) as u64
        };
        let kept: Vec<u64> = program.kept.iter().map(of_step).collect();
        Plain.run(program, params, &mut memory, Bases { scratch: end, kept: &kept }, &|| false).unwrap();
    }
    let mut rows = vec![0.0; span("velocity").len];
    Plain.read(&memory, span("velocity"), &mut rows).unwrap();
    let pixels = given.shape.height * given.shape.width;
    let mut velocity = vec![0.0; rows.len()];
    for (index, number) in rows.iter().enumerate() {
        let (channel, pixel) = (index % config.out_channels, index / config.out_channels);
        velocity[(pixel / pixels * config.out_channels + channel) * pixels + pixel % pixels] = *number;
    }
    velocity
}

/// `[batch, channels, pixels]` as `[batch · pixels, channels]`.
fn turned(numbers: &[f32], batch: usize, channels: usize) -> Vec<f32> {
    let pixels = numbers.len() / (batch * channels);
    (0..numbers.len())
        .map(|index| {
            let (channel, pixel) = (index % channels, index / channels);
            numbers[(pixel / pixels * channels + channel) * pixels + pixel % pixels]
        })
        .collect()
}
