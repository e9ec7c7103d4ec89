//! What fusing keeps and what it folds.

use super::*;

fn words(graph: &Graph) -> Vec<&'static str> {
    graph.ops.iter().map(Op::word).collect()
}

fn check(build: impl Fn(&mut Builder), expected: &[&str]) {
    let mut builder = Builder::new();
    build(&mut builder);
    assert_eq!(words(&fuse::fuse(builder.finish())), expected);
}

#[test]
fn what_is_read_once_is_folded() {
    check(
        |b| {
            let x = b.input("x", 4, 8, Element::Act);
            let y = b.linear(x, "fc1", 16, true);
            let y = b.activate(y, Act::Silu);
            let y = b.linear(y, "fc2", 8, true);
            let y = b.add(x, y);
            b.output("y", y);
        },
        &["linear", "linear"],
    );
    check(
        |b| {
            let x = b.input("x", 4, 8, Element::Act);
            let gate = b.input("gate", 1, 8, Element::Act);
            let y = b.norm(x, NormKind::Layer, 1e-6);
            let first = b.modulate(y, gate, gate);
            let second = b.modulate(y, gate, gate);
            let first = b.linear(first, "a", 8, false);
            let second = b.linear(second, "b", 8, false);
            let y = b.gated(first, gate, second);
            b.output("y", y);
        },
        &["norm", "norm", "linear", "linear"],
    );
    check(
        |b| {
            let x = b.input("x", 4, 8, Element::Act);
            let y = b.upsample(x, 1, 2, 2);
            let y = b.conv(y, "c", 8, Geometry::same(1, 4, 4, 3));
            b.output("y", y);
        },
        &["conv"],
    );
}

#[test]
fn what_is_read_twice_stays() {
    check(
        |b| {
            let x = b.input("x", 4, 8, Element::Act);
            let y = b.linear(x, "fc1", 8, true);
            let z = b.activate(y, Act::Silu);
            let y = b.add(y, z);
            b.output("y", y);
        },
        &["linear", "activate", "combine"],
    );
    check(
        |b| {
            let x = b.input("x", 4, 8, Element::Act);
            let y = b.linear(x, "fc1", 8, true);
            let z = b.activate(y, Act::Silu);
            b.output("y", y);
            b.output("z", z);
        },
        &["linear", "activate"],
    );
}
