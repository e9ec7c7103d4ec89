//! Places are apart where lives meet, and a program computes the same whatever shares memory.

use proptest::prelude::*;

use super::*;
use crate::graph::{Act, Builder};

/// Every pair of scratch buffers that live at once lies apart, unless one took the other's place on purpose.
fn check_apart(program: &Program) {
    let ops = &program.ops;
    let life = |value: usize| {
        let touches = |op: &Op| op.reads().into_iter().chain(op.writes()).any(|view| view.value.0 as usize == value);
        let mut at = (0..ops.len()).filter(|at| touches(&ops[*at]));
        let first = at.next()?;
        Some((first, at.next_back().unwrap_or(first)))
    };
    for a in 0..program.buffers.len() {
        for b in 0..a {
            let (Place::Scratch(from_a), Place::Scratch(from_b)) = (program.buffers[a].place, program.buffers[b].place)
            else {
                continue;
            };
            let (Some(life_a), Some(life_b)) = (life(a), life(b)) else { continue };
            let size = |at: usize| {
                let buffer = &program.buffers[at];
                bytes(buffer.rows, buffer.cols, buffer.element, program.precision)
            };
            // The end of one at the beginning of the other is in place: allowed where the offsets are the same.
            let meet = life_a.0 < life_b.1 && life_b.0 < life_a.1
                || (life_a.0.max(life_b.0) == life_a.1.min(life_b.1) && from_a != from_b);
            let overlap = from_a < from_b + size(b) && from_b < from_a + size(a);
            assert!(!(meet && overlap), "{a} {life_a:?} and {b} {life_b:?} overlap");
            assert!(from_a + size(a) <= program.scratch_bytes);
        }
    }
}

#[test]
fn a_residual_stream_stays_in_one_place() {
    let mut b = Builder::new();
    let x = b.input("x", 64, 64, Element::Act);
    let mut y = b.linear(x, "in", 64, true);
    for at in 0..6 {
        let inner = b.norm(y, crate::graph::NormKind::Layer, 1e-6);
        let inner = b.linear(inner, &format!("{at}.a"), 256, true);
        let inner = b.activate(inner, Act::GeluTanh);
        let inner = b.linear(inner, &format!("{at}.b"), 64, true);
        y = b.add(y, inner);
    }
    b.output("y", y);
    let program = Program::new(b.finish(), Precision::F32);
    check_apart(&program);
    let row = 64 * 64 * 4;
    // The stream, its norm, and four times as much between the two layers.
    assert_eq!(program.scratch_bytes, row + row + 4 * row);
}

proptest! {
    #[test]
    fn random_programs_never_share_what_lives(steps in proptest::collection::vec((0usize..5, any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..60)) {
        let mut b = Builder::new();
        let mut views = vec![b.input("x", 8, 16, Element::Act)];
        for (at, (kind, first, second)) in steps.into_iter().enumerate() {
            let (x, y) = (*first.get(&views), *second.get(&views));
            views.push(match kind {
                0 => b.linear(x, &format!("{at}"), 16, true),
                1 => b.activate(x, Act::Silu),
                2 => b.add(x, y),
                3 => b.times(x, y),
                _ => b.norm(x, crate::graph::NormKind::Rms, 1e-5),
            });
        }
        if let Some(last) = views.get(1..).and_then(<[View]>::last) {
            b.output("y", *last);
        }
        check_apart(&Program::new(b.finish(), Precision::F32));
    }
}
