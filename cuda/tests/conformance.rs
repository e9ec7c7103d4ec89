//! The CUDA device against the plain one, in every case, with kernels that run on the processor.
//!
//! Each case runs on cards whose blocks, warps and lanes get their turn in another order: a kernel that does not wait where
//! it must gives other numbers, and all orders must give the same bytes.

use thumbforge_cuda::{Cuda, Library, Settings};
use thumbforge_cuda_standin::{Control, Figure, Standin};
use thumbforge_diffusion::conformance;
use thumbforge_diffusion::dtype::Precision;

fn settings() -> Settings {
    Settings { ordinal: 0, reserve_bytes: 0, record: true, library: Library::Never }
}

fn open() -> Cuda {
    Cuda::open(&settings()).unwrap_or_else(|err| panic!("failed to {err}"))
}

/// One test: the controls are the process's.
#[test]
fn a_card_computes_what_the_plain_device_does_in_any_order() {
    let Some(standin) = Standin::of_test("conformance of the CUDA device") else { return };
    let card = open();
    for precision in [Precision::F32, Precision::Bf16] {
        match conformance::check(&card, precision) {
            Ok(cases) => println!("{cases} cases in {}", precision.word()),
            Err(faults) => panic!("{faults}\n{}", standin.fault()),
        }
        for case in conformance::cases() {
            let bytes = |seed| {
                standin.set(Control::Seed, seed);
                let outcome = conformance::outcome(&card, &case, precision, |_, x| x);
                outcome.unwrap_or_else(|err| panic!("{}: failed to {err}", case.name))
            };
            let of = bytes(0);
            for seed in [1, 987_654_321] {
                assert!(bytes(seed) == of, "{} in {} differs under schedule {seed}", case.name, precision.word());
            }
        }
        standin.set(Control::Seed, 0);
    }
    drop(card);
    for figure in Figure::LIVE {
        assert_eq!(standin.get(figure), 0, "{figure:?} after the card was closed");
    }
}
