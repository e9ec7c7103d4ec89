//! Every set of instructions that this machine has is held against the plain device; threads change no bit.

use super::*;
use crate::conformance::{self, Case};

fn devices(threads: usize) -> Vec<Cpu> {
    let (present, absent): (Vec<_>, Vec<_>) = Kernels::ALL.into_iter().partition(|kernels| kernels.present());
    for kernels in absent {
        eprintln!("NOT TESTED: {kernels:?}, which this machine does not have");
    }
    present.into_iter().map(|kernels| Cpu::with(kernels, threads).expect("threads")).collect()
}

#[test]
fn every_set_of_instructions_computes_what_the_plain_device_does() {
    for device in devices(2) {
        for precision in [Precision::F32, Precision::Bf16] {
            if let Err(faults) = conformance::check(&device, precision) {
                panic!("{device:?}:\n{faults}");
            }
        }
    }
}

fn bits(device: &Cpu, case: &Case, precision: Precision) -> Vec<u32> {
    let outcome = conformance::outcome(device, case, precision, |_, x| x).expect(case.name);
    outcome.into_iter().flat_map(|(_, numbers)| numbers).map(f32::to_bits).collect()
}

#[test]
fn threads_and_repetition_change_no_bit() {
    let teams: Vec<Vec<Cpu>> = [1, 2, 3].map(devices).into_iter().collect();
    for case in conformance::cases() {
        for precision in [Precision::F32, Precision::Bf16] {
            for ((one, two), three) in teams[0].iter().zip(&teams[1]).zip(&teams[2]) {
                let alone = bits(one, &case, precision);
                for device in [one, two, three] {
                    assert!(bits(device, &case, precision) == alone, "{}: {device:?} {precision:?}", case.name);
                }
            }
        }
    }
}

#[test]
fn what_is_no_number_is_not_lost() {
    for device in devices(1) {
        for case in conformance::cases() {
            let poisoned = |at: usize, x: f32| if at == 0 { f32::NAN } else { x };
            let plain = conformance::outcome(&crate::plain::Plain, &case, Precision::F32, poisoned).expect(case.name);
            let ours = conformance::outcome(&device, &case, Precision::F32, poisoned).expect(case.name);
            for ((name, plain), (_, ours)) in plain.iter().zip(&ours) {
                let lost = plain.iter().zip(ours).filter(|(plain, ours)| plain.is_nan() && !ours.is_nan()).count();
                assert_eq!(lost, 0, "{}: {name} on {device:?}", case.name);
            }
        }
    }
}
