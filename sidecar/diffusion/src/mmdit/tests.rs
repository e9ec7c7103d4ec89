//! What the two programs share, what a step costs, and what is refused. That they compute what diffusers computes is
//! proved in `tests/parity`.

mod run;

use self::run::{Given, velocity};
use super::*;
use crate::dtype::Precision;
use crate::graph::Op;
use crate::pipeline::flops;
use crate::plan::Program;
use crate::tiny::{Tiny, gauss, params};

/// SD3.5 Medium.
fn medium() -> MmditConfig {
    MmditConfig { depth: 24, hidden: 1536, heads: 24, dual: (0..13).collect(), position_side: 384, ..of_shape() }
}

/// SD3.5 Large.
fn large() -> MmditConfig {
    MmditConfig { depth: 38, hidden: 2432, heads: 38, dual: vec![], position_side: 192, ..of_shape() }
}

/// What both have in common.
fn of_shape() -> MmditConfig {
    let mut config = Tiny::medium().mmdit;
    (config.context, config.pooled) = (4096, 2048);
    config
}

/// A picture of so many pixels a side, guided.
fn guided(pixels: usize, pictures: usize) -> Shape {
    Shape { batch: 2 * pictures, conditions: 2, height: pixels / 8, width: pixels / 8, text: 77 + 256 }
}

#[test]
fn parameters_are_read_by_one_program_of_the_two() {
    for tiny in [crate::tiny::Tiny::medium(), crate::tiny::Tiny::large()] {
        let shape = Shape { batch: 2, conditions: 2, height: 4, width: 6, text: 5 };
        for wanted in &prepare(&tiny.mmdit, shape, 3).expect("a graph").weights {
            assert!(prepares(&wanted.name), "{}", wanted.name);
        }
        for wanted in &step(&tiny.mmdit, shape, &[]).expect("a graph").weights {
            assert!(!prepares(&wanted.name), "{}", wanted.name);
        }
    }
}

#[test]
fn the_arena_is_within_what_was_reckoned() {
    // MB of activations in bf16 of a guided step, reckoned by hand before anything was written: residuals, a norm, and
    // the widest moment of a block. The plan is below, for the context is narrow again when the image is at its widest.
    for (config, pixels, pictures, reckoned) in [
        (medium(), 512, 1, 75),
        (medium(), 512, 2, 150),
        (medium(), 512, 8, 600),
        (medium(), 1024, 1, 245),
        (medium(), 1024, 2, 490),
        (medium(), 1024, 8, 1959),
        (large(), 512, 1, 79),
        (large(), 512, 2, 158),
        (large(), 512, 8, 634),
        (large(), 1024, 1, 259),
        (large(), 1024, 2, 517),
        (large(), 1024, 8, 2068),
    ] {
        let shape = guided(pixels, pictures);
        let program = Program::new(step(&config, shape, &[]).unwrap(), Precision::Bf16);
        let name = format!("{} {pixels} {pictures}", config.hidden);
        assert!(program.scratch_bytes <= reckoned * 1_000_000, "{name}: {} bytes", program.scratch_bytes);
        // No block can do with less than its tokens, their queries, keys and values, and what they learn.
        let tokens = (shape.batch * (shape.tokens(&config) + shape.text) * config.hidden * 2) as u64;
        assert!(program.scratch_bytes >= 5 * tokens - shape.batch as u64 * 333 * config.hidden as u64 * 2, "{name}");
        // Left-out blocks need no more.
        let skipping = Program::new(step(&config, shape, &[7, 8, 9]).unwrap(), Precision::Bf16);
        assert!(skipping.scratch_bytes <= program.scratch_bytes, "{name}");
        println!("{name}: {:.1} MB of {reckoned}", program.scratch_bytes as f64 / 1e6);
    }
}

#[test]
fn a_step_computes_what_was_reckoned() {
    // TFLOP of one picture's call, linear layers and attention together.
    for (config, pixels, reckoned) in [
        (medium(), 512, 2.09 + 0.36),
        (medium(), 1024, 7.02 + 4.23),
        (large(), 512, 7.29 + 0.68),
        (large(), 1024, 23.9 + 7.25),
    ] {
        let shape = Shape { batch: 1, conditions: 1, ..guided(pixels, 1) };
        let tera = flops(&Program::new(step(&config, shape, &[]).unwrap(), Precision::F32)) as f64 / 1e12;
        assert!((tera / reckoned - 1.0).abs() < 0.02, "{} {pixels}: {tera} for {reckoned}", config.hidden);
    }
}

#[test]
fn a_step_is_made_of_fused_operations() {
    let config = Tiny::medium().mmdit;
    let program = Program::new(step(&config, given(&config).shape, &[]).unwrap(), Precision::F32);
    let count = |word: &str| program.ops.iter().filter(|op| op.word() == word).count();
    // Ten linear layers in a dual block, eight in another, five in the last, and the final one; norms likewise.
    let counts = [("conv", 1), ("linear", 10 + 10 + 8 + 5 + 1), ("norm", 5 + 5 + 4 + 3 + 1), ("attention", 4 + 2)];
    for (word, expected) in counts.into_iter().chain([("unpatchify", 1)]) {
        assert_eq!(count(word), expected, "{word}");
    }
    assert_eq!(program.ops.len(), 1 + 34 + 18 + 6 + 1);
    // Positions, gates and modulations are where they are computed.
    let program = Program::new(prepare(&config, given(&config).shape, 2).unwrap(), Precision::F32);
    let others = program.ops.iter().filter(|op| !matches!(op.word(), "linear" | "timestep" | "positions"));
    assert_eq!(others.map(Op::word).collect::<Vec<_>>(), ["activate"], "the sum of time and text, read by all blocks");
}

#[test]
fn the_table_has_a_column_for_every_output_of_every_modulation() {
    for config in [medium(), large(), Tiny::medium().mmdit, Tiny::large().mmdit] {
        let table = Table::of(&config);
        let mut at = 0;
        for block in 0..config.depth {
            let image = if config.dual.contains(&block) { 9 } else { 6 };
            let context = if block + 1 == config.depth { 2 } else { 6 };
            assert_eq!(table.image(block), at..at + image * config.hidden);
            at += image * config.hidden;
            assert_eq!(table.context(block), at..at + context * config.hidden);
            at += context * config.hidden;
        }
        assert_eq!(table.last(), at..at + 2 * config.hidden);
        assert_eq!(table.columns(), at + 2 * config.hidden);
    }
}

/// A toy and what it is given: two steps, two conditions with two pictures each.
fn given(config: &MmditConfig) -> Given {
    let shape = Shape { batch: 4, conditions: 2, height: 6, width: 10, text: 9 };
    let numbers = |name: &str, count: usize| gauss(3, name, count, 1.0);
    Given {
        shape,
        times: vec![900.0, 900.0, 120.5, 120.5],
        text: numbers("text", 4 * 9 * config.context),
        pooled: numbers("pooled", 2 * config.pooled),
        latents: numbers("latents", 4 * 6 * 10 * config.in_channels),
    }
}

#[test]
fn a_step_reads_its_own_rows_of_the_table() {
    let tiny = Tiny::medium();
    let (config, params) = (&tiny.mmdit, params(tiny.mmdit_values()));
    let both = given(config);
    let of = |given: &Given, at: usize| velocity(config, &params, given, Precision::F32, at, &[]);
    let second = Given { times: both.times[2..].to_vec(), ..given(config) };
    assert_eq!(of(&both, 1), of(&second, 0));
    assert_ne!(of(&both, 0), of(&both, 1));
}

#[test]
fn pictures_of_a_batch_know_nothing_of_each_other() {
    let tiny = Tiny::medium();
    let (config, params) = (&tiny.mmdit, params(tiny.mmdit_values()));
    for skip in [vec![], vec![0, 3]] {
        let all = given(config);
        let together = velocity(config, &params, &all, Precision::F32, 1, &skip);
        for picture in 0..4 {
            let share = |numbers: &[f32], of: usize, at: usize| {
                let each = numbers.len() / of;
                numbers[at * each..(at + 1) * each].to_vec()
            };
            let condition = picture / 2;
            let one = Given {
                shape: Shape { batch: 1, conditions: 1, ..all.shape },
                times: vec![all.times[condition], all.times[2 + condition]],
                text: share(&all.text, 4, picture),
                pooled: share(&all.pooled, 2, condition),
                latents: share(&all.latents, 4, picture),
            };
            let alone = velocity(config, &params, &one, Precision::F32, 1, &skip);
            assert_eq!(alone, share(&together, 4, picture), "picture {picture} without {skip:?}");
        }
    }
}

#[test]
fn nothing_is_computed_that_nobody_reads() {
    let config = Tiny::medium().mmdit;
    let shape = given(&config).shape;
    let names = |skip: &[usize]| {
        let graph = step(&config, shape, skip).unwrap();
        let of = |op: &Op| match op {
            Op::Linear { weight, .. } => Some(graph.weights[weight.0 as usize].clone()),
            _ => None,
        };
        graph.ops.iter().filter_map(of).collect::<Vec<_>>()
    };
    // The last block reads keys and values of the context alone, and so does the one before where the last is left out.
    for (skip, last) in [(vec![], 3), (vec![3], 2), (vec![2, 3], 1)] {
        let names = names(&skip);
        let of =
            |part: &str| names.iter().find(|weight| weight.name == format!("joint_blocks.{last}.context_block.{part}"));
        assert_eq!(of("attn.qkv.weight").map(|weight| weight.rows.clone()), Some(config.hidden..3 * config.hidden));
        assert!(of("attn.proj.weight").is_none() && of("mlp.fc1.weight").is_none(), "{skip:?}");
        assert!(
            skip.iter().all(|skip| !names.iter().any(|weight| weight.name.contains(&format!("joint_blocks.{skip}."))))
        );
    }
    // Nor do steps read what the timestep decides.
    assert!(names(&[]).iter().all(|weight| !weight.name.contains("adaLN") && !weight.name.contains("embedder.mlp")));
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let config = Tiny::medium().mmdit;
    let refused = |shape: Shape| {
        let refused = |result| matches!(result, Err(DiffusionError::Request(_)));
        let (first, second) = (refused(prepare(&config, shape, 4)), refused(step(&config, shape, &[])));
        assert_eq!(first, second, "{shape:?}");
        first
    };
    let shape = given(&config).shape;
    let most = config.position_side * config.patch;
    assert!(!refused(shape));
    assert!(!refused(Shape { height: most, width: 2, ..shape }));
    assert!(refused(Shape { height: most + 2, ..shape }));
    assert!(refused(Shape { width: most + 2, ..shape }));
    assert!(refused(Shape { height: 7, ..shape }));
    assert!(refused(Shape { width: 7, ..shape }));
    assert!(refused(Shape { height: 0, ..shape }));
    assert!(refused(Shape { width: 0, ..shape }));
    assert!(refused(Shape { batch: 0, ..shape }));
    assert!(refused(Shape { conditions: 0, ..shape }));
    assert!(refused(Shape { conditions: 3, ..shape }));
    assert!(refused(Shape { text: 0, ..shape }));
    assert!(step(&config, shape, &[3]).is_ok());
    let message = step(&config, shape, &[4]).unwrap_err().to_string();
    assert!(message.contains("block 4") && message.contains('4'), "{message}");
}
