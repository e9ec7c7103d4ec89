//! Every case under other orders of blocks, warps and lanes: a kernel that does not wait where it must gives other numbers.

mod support;

use support::{Cards, card};
use thumbforge_cuda_standin::Control;
use thumbforge_diffusion::conformance;
use thumbforge_diffusion::dtype::Precision;

fn check(test: &str, precision: Precision) {
    let Some(cards) = Cards::of_test(test) else { return };
    let device = card(false);
    let mut faults = Vec::new();
    for case in conformance::cases() {
        let bytes = |seed| {
            cards.standin.set(Control::Seed, seed);
            let outcome = conformance::outcome(&device, &case, precision, |_, x| x);
            // As bits: what is no number is not equal to itself.
            let bits = |numbers: Vec<f32>| numbers.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            outcome.map(|outcome| outcome.into_iter().map(|(_, numbers)| bits(numbers)).collect::<Vec<_>>())
        };
        match (bytes(0), bytes(1), bytes(987_654_321)) {
            (Ok(first), Ok(second), Ok(third)) if first == second && first == third => {}
            (Ok(_), Ok(_), Ok(_)) => faults.push(format!("{}: other bytes in another order", case.name)),
            (Err(err), ..) | (_, Err(err), _) | (.., Err(err)) => {
                faults.push(format!("{}: failed to {err}", case.name))
            }
        }
    }
    cards.standin.set(Control::Seed, 0);
    assert!(faults.is_empty(), "{}\n{}", faults.join("\n"), cards.standin.fault());
    drop(device);
    cards.nothing_is_left();
}

#[test]
fn singles_have_the_same_bytes_in_any_order() {
    check("singles_have_the_same_bytes_in_any_order", Precision::F32);
}

#[test]
fn bf16_has_the_same_bytes_in_any_order() {
    check("bf16_has_the_same_bytes_in_any_order", Precision::Bf16);
}
