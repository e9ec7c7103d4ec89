//! Folds operations into the ones before them where nobody else reads what lies between: an activation into its linear
//! layer, a residual into the product that it is added to, a modulation into its norm, an enlargement into its convolution.

use super::{Graph, Op, Then, Value, View};

/// The same outcome in fewer operations and buffers.
pub(crate) fn fuse(mut graph: Graph) -> Graph {
    modulate_norms(&mut graph);
    let mut at = 0;
    while at < graph.ops.len() {
        match fold(&graph, at) {
            Some((producer, op)) => {
                graph.ops[producer] = op;
                let moved = graph.ops.remove(producer);
                // It takes the place of the later one: what that one read beside must have been computed.
                graph.ops[at - 1] = moved;
            }
            None => at += 1,
        }
    }
    graph
}

/// Readers of a whole buffer; a kept one counts as read once more, by the caller.
fn uses(graph: &Graph, value: Value) -> usize {
    let kept = usize::from(graph.info(value).kept.is_some());
    kept + graph.ops.iter().flat_map(Op::reads).filter(|view| view.value == value).count()
}

/// The operation that makes all of `view`, if the operation at `at` alone reads it.
fn sole_producer(graph: &Graph, view: View, at: usize) -> Option<usize> {
    if !graph.is_whole(view) || uses(graph, view.value) != 1 {
        return None;
    }
    let makes = |op: &Op| op.writes().iter().any(|written| written.value == view.value);
    let mut makers = graph.ops[..at].iter().enumerate().filter(|(_, op)| makes(op)).map(|(index, _)| index);
    makers.next().filter(|_| makers.next().is_none())
}

/// What the operation at `at` and the one that feeds it become together.
fn fold(graph: &Graph, at: usize) -> Option<(usize, Op)> {
    match &graph.ops[at] {
        Op::Activate { x, act, out } => {
            let producer = sole_producer(graph, *x, at)?;
            let mut op = graph.ops[producer].clone();
            match &mut op {
                Op::Linear { act: slot @ None, then: Then::Store, out: written, .. }
                | Op::GroupNorm { act: slot @ None, out: written, .. } => {
                    *slot = Some(*act);
                    *written = *out;
                }
                _ => return None,
            }
            Some((producer, op))
        }
        Op::Combine { y, then, out } => {
            // A product of two linear layers: either may take the other in; the later one does.
            let (y, then) = match then {
                Then::Times(by) if sole_producer(graph, *y, at).is_none() => (*by, Then::Times(*y)),
                _ => (*y, *then),
            };
            let producer = sole_producer(graph, y, at)?;
            let mut op = graph.ops[producer].clone();
            match &mut op {
                Op::Linear { then: slot @ Then::Store, out: written, .. }
                | Op::Conv { then: slot @ Then::Store, out: written, .. } => {
                    *slot = then;
                    *written = *out;
                }
                _ => return None,
            }
            Some((producer, op))
        }
        Op::Conv { x, geometry, .. } if geometry.upsample == 1 => {
            let producer = sole_producer(graph, *x, at)?;
            let Op::Upsample { x: small, height, width, .. } = graph.ops[producer] else { return None };
            let mut op = graph.ops[at].clone();
            if let Op::Conv { x, geometry, .. } = &mut op {
                *x = small;
                (geometry.height, geometry.width, geometry.upsample) = (height, width, 2);
            }
            Some((producer, op))
        }
        _ => None,
    }
}

/// A norm that is only modulated becomes one norm for each modulation: reading the row again costs less than keeping
/// the normed one.
fn modulate_norms(graph: &mut Graph) {
    let plain = |op: &Op| match op {
        Op::Norm { modulate: None, out, .. } => Some(*out),
        _ => None,
    };
    for at in 0..graph.ops.len() {
        let Some(normed) = plain(&graph.ops[at]).filter(|out| graph.is_whole(*out)) else { continue };
        let readers: Vec<usize> = (at + 1..graph.ops.len())
            .filter(|reader| graph.ops[*reader].reads().iter().any(|view| view.value == normed.value))
            .collect();
        let modulations = |reader: &usize| matches!(&graph.ops[*reader], Op::Modulate { x, .. } if *x == normed);
        if graph.info(normed.value).kept.is_some() || !readers.iter().all(modulations) {
            continue;
        }
        for reader in readers {
            let Op::Modulate { by, out: modulated, .. } = graph.ops[reader] else { continue };
            let mut op = graph.ops[at].clone();
            if let Op::Norm { modulate, out, .. } = &mut op {
                (*modulate, *out) = (Some(by), modulated);
            }
            graph.ops[reader] = op;
        }
    }
    // What nobody reads any more.
    let dead = |graph: &Graph, op: &Op| plain(op).is_some_and(|out| uses(graph, out.value) == 0 && graph.is_whole(out));
    let keep: Vec<bool> = graph.ops.iter().map(|op| !dead(graph, op)).collect();
    let mut keep = keep.into_iter();
    graph.ops.retain(|_| keep.next().unwrap_or(true));
}
