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

/// A linear layer from `x` to `y`, changed by `spoil`, and what running it says.
fn spoiled(spoil: impl Fn(&mut Program, &mut Params, &mut Vec<u64>)) -> String {
    use crate::graph::{Builder, Element};
    use crate::param::{Param, Tensor};
    let mut b = Builder::new();
    let x = b.input("x", 4, 8, Element::Act);
    let y = b.linear(x, "fc", 16, true);
    b.output("y", y);
    let mut program = Program::new(b.finish(), Precision::F32);
    let mut params = Params::default();
    params.0.insert("fc.weight".to_owned(), Param::whole(Tensor::of_f32(vec![16, 8], &[0.5; 128])));
    params.0.insert("fc.bias".to_owned(), Param::whole(Tensor::of_f32(vec![16], &[0.5; 16])));
    let mut kept = vec![0, 128];
    spoil(&mut program, &mut params, &mut kept);
    let device = Cpu::with(Kernels::best(), 1).expect("threads");
    let mut memory = device.reserve(128 + 256).expect("memory");
    let run = device.run(&program, &params, &mut memory, Bases { scratch: 0, kept: &kept }, &|| false);
    run.err().map_or("done".to_owned(), |err| err.to_string())
}

#[test]
fn faults_of_a_program_are_errors_and_not_reads_beyond_a_buffer() {
    let check = |spoil: &dyn Fn(&mut Program, &mut Params, &mut Vec<u64>), expected: &str| {
        let said = spoiled(spoil);
        assert!(said.contains(expected), "{said:?} lacks {expected:?}");
    };
    check(&|_, _, _| {}, "done");
    check(&|_, _, kept| kept[1] = 192, "does not lie in 384 bytes");
    check(&|_, _, kept| kept[1] = u64::MAX - 3, "does not lie");
    check(&|_, _, kept| kept[1] = 130, "does not lie");
    check(&|_, _, kept| kept[1] = 64, "is written where");
    check(&|_, _, kept| kept.truncate(1), "2 kept buffers was given 1");
    check(&|program, _, _| program.buffers[0].rows = 3, "does not lie");
    check(&|_, params, _| drop(params.0.remove("fc.bias")), "find the tensor fc.bias of shape [16]");
    check(&|program, _, _| program.weights[0].rows = 3..19, "rows 3..19 of 16 of fc.weight");
    check(&|program, _, _| program.weights[0].rows = 0..12, "4 x 16 from 4 x 8 and 12 rows");
    let narrow = |program: &mut Program, _: &mut Params, _: &mut Vec<u64>| {
        if let crate::graph::Op::Linear { x, .. } = &mut program.ops[0] {
            x.cols = 7;
        }
    };
    check(&narrow, "4 x 16 from 4 x 7");
    let beyond = |program: &mut Program, _: &mut Params, _: &mut Vec<u64>| {
        if let crate::graph::Op::Linear { x, .. } = &mut program.ops[0] {
            x.row = usize::MAX;
        }
    };
    check(&beyond, "does not lie");
}

#[test]
fn somebody_may_stop_it_between_operations() {
    let device = Cpu::with(Kernels::Portable, 1).expect("threads");
    let mut b = crate::graph::Builder::new();
    let x = b.input("x", 1, 1, crate::graph::Element::Act);
    let y = b.activate(x, crate::graph::Act::Silu);
    b.output("y", y);
    let program = Program::new(b.finish(), Precision::F32);
    let mut memory = device.reserve(128).expect("memory");
    let bases = Bases { scratch: 0, kept: &[0, 64] };
    let stopped = device.run(&program, &Params::default(), &mut memory, bases, &|| true);
    assert_eq!(stopped, Err(DiffusionError::Cancelled));
}

#[test]
fn spans_outside_of_a_memory_are_refused() {
    let device = Cpu::with(Kernels::Portable, 1).expect("threads");
    let mut memory = device.reserve(64).expect("memory");
    let span = |offset, len| Span { offset, len, element: crate::graph::Element::Act, precision: Precision::F32 };
    assert!(device.write(&mut memory, span(0, 16), &[1.0; 16]).is_ok());
    assert!(device.write(&mut memory, span(4, 16), &[1.0; 16]).is_err());
    assert!(device.write(&mut memory, span(u64::MAX, 1), &[1.0]).is_err());
    assert!(device.read(&memory, span(0, usize::MAX), &mut []).is_err());
    assert!(device.write_ids(&mut memory, span(0, 2), &[1]).is_err());
}

#[test]
fn working_memory_is_as_large_as_it_was_said_to_be() {
    // A room hands out no more than `workspace_bytes` says: every case would panic if a figure were too small, and runs
    // here on a device that has run nothing larger.
    for case in conformance::cases() {
        for device in devices(2) {
            conformance::outcome(&device, &case, Precision::Bf16, |_, x| x).expect(case.name);
        }
    }
}
