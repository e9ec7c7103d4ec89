//! The conformance on cards of other kinds: old and new ones, small and large ones, which get other kernels.

mod support;

use std::collections::BTreeSet;

use support::{Cards, card};
use thumbforge_cuda_standin::Control;
use thumbforge_diffusion::conformance;
use thumbforge_diffusion::dtype::Precision;

/// Capability and multiprocessors. Few of these make launches choose the tiles that large pictures have on large cards.
const CARDS: [(u64, u64); 5] = [(75, 1), (75, 46), (86, 1), (89, 4), (120, 170)];

/// Kernels that no operation of the conformance starts; other tests hold them.
const ELSEWHERE: [&str; 5] = ["fp8_rows", "fp8_gemm_128x128", "fp8_gemm_64x64", "rgba8_bf16", "rgba8_f32"];

#[test]
fn every_kernel_is_held_on_some_card() {
    let Some(cards) = Cards::of_test("every_kernel_is_held_on_some_card") else { return };
    for (capability, multiprocessors) in CARDS.into_iter().chain([(90, 132)]) {
        cards.standin.set(Control::Capability, capability);
        cards.standin.set(Control::Multiprocessors, multiprocessors);
        for precision in [Precision::F32, Precision::Bf16] {
            if let Err(faults) = conformance::check(&card(false), precision) {
                panic!("sm_{capability} of {multiprocessors}:\n{faults}\n{}", cards.standin.fault());
            }
        }
    }
    let run: BTreeSet<String> = cards.standin.launches().into_iter().map(|(name, _)| name).collect();
    let never: Vec<String> = cards.standin.kernels().into_iter().filter(|name| !run.contains(name)).collect();
    let never: Vec<&str> = never.iter().map(String::as_str).filter(|name| !ELSEWHERE.contains(name)).collect();
    assert!(never.is_empty(), "no case starts {never:?}");
}
