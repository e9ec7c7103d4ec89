//! Every operation on a stand-in for the driver, whose launches run the kernels' own source on the processor: one by one, and
//! as they are recorded.

mod support;

use support::{Cards, Thrice, card};
use thumbforge_cuda_standin::{Control, Figure};
use thumbforge_diffusion::conformance;
use thumbforge_diffusion::dtype::Precision;

fn check(test: &str, precision: Precision, record: bool) {
    let Some(cards) = Cards::of_test(test) else { return };
    let replays = cards.standin.get(Figure::Replays);
    let device = Thrice(card(record));
    match conformance::check(&device, precision) {
        Ok(cases) => println!("{test}: {cases} cases hold"),
        Err(faults) => panic!("{faults}\n{}", cards.standin.fault()),
    }
    let replayed = cards.standin.get(Figure::Replays) - replays;
    assert_eq!(replayed > 0, record, "{replayed} runs were replayed");
    drop(device);
    cards.nothing_is_left();
}

#[test]
fn singles_one_by_one() {
    check("singles_one_by_one", Precision::F32, false);
}

#[test]
fn singles_recorded() {
    check("singles_recorded", Precision::F32, true);
}

#[test]
fn bf16_one_by_one() {
    check("bf16_one_by_one", Precision::Bf16, false);
}

#[test]
fn bf16_recorded() {
    check("bf16_recorded", Precision::Bf16, true);
}

/// Kernels that only some cards take, and warps that get their turn in other orders.
#[test]
fn other_cards_and_orders() {
    let Some(cards) = Cards::of_test("other_cards_and_orders") else { return };
    for (capability, seed) in [(75, 1), (80, 2), (120, 3)] {
        cards.standin.set(Control::Capability, capability);
        cards.standin.set(Control::Seed, seed);
        for precision in [Precision::F32, Precision::Bf16] {
            if let Err(faults) = conformance::check(&card(false), precision) {
                panic!("on sm_{capability}, in order {seed}: {faults}\n{}", cards.standin.fault());
            }
        }
    }
}
