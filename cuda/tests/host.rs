//! The host's side of a card on the stand-in: shortages, lost contexts, leaks, recordings, and what is refused.

mod support;

use std::cell::Cell;

use support::small::{CHANNELS, PIXELS, Small, TOKENS, VOCABULARY, numbers};
use support::{Cards, card, settings};
use thumbforge_cuda::pool::Class;
use thumbforge_cuda::{Cuda, CudaError, Library, Model, Reserved, Settings};
use thumbforge_cuda_standin::{Control, Figure};
use thumbforge_diffusion::DiffusionError;
use thumbforge_diffusion::device::{Bases, Device, Span};
use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::graph::{Builder, Element, Geometry, Mask, NormKind, Tokens, View, WeightUse};
use thumbforge_diffusion::param::{Param, Params, Tensor};
use thumbforge_diffusion::plain::Plain;
use thumbforge_diffusion::plan::{Place, Program};

fn close(given: &[f32], expected: &[f32], most: f32) {
    assert_eq!(given.len(), expected.len());
    let worst = given.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= most && given.iter().all(|number| number.is_finite()), "{worst}");
}

/// Opens a card, runs the small program, and closes the card.
fn whole(small: &Small) -> Result<Vec<f32>, DiffusionError> {
    let cuda = Cuda::open(&settings(true)).map_err(|err| err.told("a card", 0))?;
    small.run(&cuda, 3)
}

/// Turns `control` to 1, 2, 3 and so on until a whole run does not reach it, and hands every failure to `check`.
fn fail_at_each(cards: &Cards, control: Control, check: &dyn Fn(u64, DiffusionError)) -> u64 {
    let small = Small::new(Precision::Bf16);
    let expected = small.expected();
    // The run reaches hundreds of neither.
    for at in 1..500 {
        cards.standin.set(control, at);
        let outcome = whole(&small);
        let reached = cards.standin.control(control) == 0;
        cards.standin.set(control, 0);
        cards.nothing_is_left();
        match outcome {
            Err(err) => check(at, err),
            // Recording is for speed alone: where it finds no memory the run goes on without.
            Ok(given) => {
                close(&given, &expected, 0.05);
                if !reached {
                    return at - 1;
                }
            }
        }
        close(&whole(&small).unwrap_or_else(|err| panic!("after {control:?} {at}: {err}")), &expected, 0.05);
    }
    panic!("{control:?} is reached again and again");
}

#[test]
fn memory_that_runs_out_anywhere_is_told_and_leaves_nothing_behind() {
    let Some(cards) = Cards::of_test("memory_that_runs_out_anywhere") else { return };
    for pools in [1, 0] {
        cards.standin.set(Control::Pools, pools);
        let places = fail_at_each(&cards, Control::FailAllocation, &|at, err| {
            assert!(matches!(err, DiffusionError::OutOfMemory { .. }), "allocation {at}: {err:?}");
        });
        println!("memory ran out in {places} places, pools {pools}");
        assert!(places >= 3, "{places}");
    }
}

#[test]
fn a_context_that_is_lost_at_any_launch_is_told_and_a_new_one_works() {
    let Some(cards) = Cards::of_test("a_context_that_is_lost_at_any_launch") else { return };
    let places = fail_at_each(&cards, Control::LoseLaunch, &|at, err| {
        assert!(matches!(err, DiffusionError::Lost { .. }), "launch {at}: {err:?}");
    });
    println!("the context was lost at {places} launches");
    assert!(places >= 12, "{places}: one by one, and of recordings");
}

#[test]
fn a_lost_card_says_so_until_it_is_opened_anew() {
    let Some(cards) = Cards::of_test("a_lost_card_says_so") else { return };
    let small = Small::new(Precision::F32);
    let cuda = card(true);
    let model = cuda.load(&small.params, Precision::F32).expect("loaded");
    let mut memory = small.given(&cuda, [0; TOKENS]).expect("given");
    cards.standin.set(Control::LoseLaunch, 2);
    let lost = cuda.run(&small.program, &model, &mut memory, small.bases(), &|| false).expect_err("lost");
    assert!(matches!(&lost, DiffusionError::Lost { reason, .. } if reason.contains("what was on the GPU is lost")));
    assert!(cuda.is_lost());
    let is_lost = |outcome: Result<(), DiffusionError>| assert!(matches!(outcome, Err(DiffusionError::Lost { .. })));
    is_lost(cuda.run(&small.program, &model, &mut memory, small.bases(), &|| false));
    is_lost(cuda.reserve(1 << 20).map(drop));
    is_lost(cuda.load(&small.params, Precision::F32).map(drop));
    is_lost(small.outcome(&cuda, &memory).map(drop));
    assert_eq!(cuda.free_bytes(), 0);
    drop((model, memory, cuda));
    cards.nothing_is_left();
    close(&small.run(&card(true), 3).expect("a new context"), &small.expected(), 1e-4);
}

#[test]
fn the_second_run_is_recorded_and_later_ones_are_one_launch() {
    let Some(cards) = Cards::of_test("the_second_run_is_recorded") else { return };
    let small = Small::new(Precision::F32);
    let expected = small.expected();
    let cuda = card(true);
    let model = cuda.load(&small.params, Precision::F32).expect("loaded");
    let mut memory = small.given(&cuda, [0, 8, 3, 3, 1]).expect("given");
    let replays = || cards.standin.get(Figure::Replays);
    let allocations = || cards.standin.get(Figure::Allocations);
    let first = replays();
    for (times, expected_replays) in [(1, 0), (2, 1), (3, 2), (4, 3)] {
        let before = allocations();
        cuda.run(&small.program, &model, &mut memory, small.bases(), &|| false).expect("a run");
        assert_eq!(replays() - first, expected_replays, "run {times}");
        assert!(times == 1 || allocations() == before, "run {times} reserved memory");
    }
    assert_eq!((cuda.recorded(), cards.standin.get(Figure::LiveExecutables)), (1, 1));
    close(&small.outcome(&cuda, &memory).expect("read"), &expected, 1e-4);

    // At another place, or with another model, it is another run.
    let mut wider = cuda.reserve(small.bytes + 4096).expect("reserved");
    let moved: Vec<u64> = small.kept.iter().map(|offset| offset + 4096).collect();
    let bases = Bases { scratch: small.bases().scratch + 4096, kept: &moved };
    for name in ["x", "ids"] {
        let span = small.span(name);
        let to = Span { offset: span.offset + 4096, ..span };
        if name == "x" {
            cuda.write(&mut wider, to, &numbers(7, span.len)).expect("written");
        } else {
            cuda.write_ids(&mut wider, to, &[0, 8, 3, 3, 1]).expect("written");
        }
    }
    cuda.run(&small.program, &model, &mut wider, bases, &|| false).expect("a run");
    assert_eq!(replays() - first, 3);

    // A program that was changed is not the one that was recorded.
    let mut changed = small.program.clone().renewed();
    changed.ops.truncate(1);
    cuda.run(&changed, &model, &mut memory, small.bases(), &|| false).expect("a run");
    assert_eq!(replays() - first, 3);

    drop(model);
    assert_eq!((cuda.recorded(), cards.standin.get(Figure::LiveExecutables)), (0, 0), "recordings go with their model");
    drop((memory, wider, cuda));
    cards.nothing_is_left();
}

#[test]
fn cards_that_cannot_record_run_one_by_one() {
    let Some(cards) = Cards::of_test("cards_that_cannot_record") else { return };
    let small = Small::new(Precision::F32);
    let replays = cards.standin.get(Figure::Replays);
    close(&small.run(&card(false), 4).expect("runs"), &small.expected(), 1e-4);
    assert_eq!(cards.standin.get(Figure::Replays), replays);
}

#[test]
fn a_run_that_is_stopped_ends_between_operations_and_leaves_the_card_well() {
    let Some(cards) = Cards::of_test("a_run_that_is_stopped") else { return };
    let small = Small::new(Precision::F32);
    let cuda = card(true);
    let model = cuda.load(&small.params, Precision::F32).expect("loaded");
    let mut memory = small.given(&cuda, [0, 8, 3, 3, 1]).expect("given");
    for stop_at in 1..=small.program.ops.len() {
        let asked = Cell::new(0);
        let stop = || {
            asked.set(asked.get() + 1);
            asked.get() >= stop_at
        };
        let stopped = cuda.run(&small.program, &model, &mut memory, small.bases(), &stop);
        assert_eq!(stopped, Err(DiffusionError::Cancelled));
        assert_eq!(asked.get(), stop_at);
    }
    cuda.run(&small.program, &model, &mut memory, small.bases(), &|| false).expect("a run");
    close(&small.outcome(&cuda, &memory).expect("read"), &small.expected(), 1e-4);
    drop((model, memory, cuda));
    cards.nothing_is_left();
}

#[test]
fn what_does_not_fit_is_refused_and_named() {
    let Some(_cards) = Cards::of_test("what_does_not_fit_is_refused") else { return };
    let (small, cuda) = (Small::new(Precision::Bf16), card(true));
    let model = cuda.load(&small.params, Precision::Bf16).expect("loaded");
    let mut memory = small.given(&cuda, [0, 8, 3, 3, 1]).expect("given");
    let said = |outcome: Result<(), DiffusionError>, expected: &str| {
        let said = outcome.expect_err("refused").to_string();
        assert!(said.contains(expected), "{said}");
    };
    let run = |program: &Program, model: &Model, memory: &mut Reserved, bases: Bases<'_>| {
        cuda.run(program, model, memory, bases, &|| false)
    };
    let singles = Small::new(Precision::F32);
    said(run(&singles.program, &model, &mut memory, small.bases()), "loaded for bf16");
    said(run(&small.program, &model, &mut memory, Bases { scratch: 0, kept: &[0] }), "was given 1");
    said(
        run(&small.program, &model, &mut memory, Bases { scratch: u64::MAX - 15, ..small.bases() }),
        "does not lie in",
    );
    let odd: Vec<u64> = small.kept.iter().map(|offset| offset + 1).collect();
    said(run(&small.program, &model, &mut memory, Bases { kept: &odd, ..small.bases() }), "multiples of 16");
    let odd = Bases { scratch: small.bases().scratch + 8, ..small.bases() };
    said(run(&small.program, &model, &mut memory, odd), "multiples of 16");
    let same = vec![0; small.kept.len()];
    said(run(&small.program, &model, &mut memory, Bases { kept: &same, ..small.bases() }), "is written where");
    let mut fewer = small.params.clone();
    fewer.0.remove("norm.bias");
    let lacking = cuda.load(&fewer, Precision::Bf16).expect("loaded");
    said(run(&small.program, &lacking, &mut memory, small.bases()), "find the tensor norm.bias");
    let mut wrong = small.params.clone();
    wrong.0.insert("norm.bias".to_owned(), Param::whole(Tensor::of_f32(vec![4], &[0.0; 4])));
    let other = cuda.load(&wrong, Precision::Bf16).expect("loaded");
    said(run(&small.program, &other, &mut memory, small.bases()), "of shape [32]");
    let x = small.span("x");
    said(cuda.write(&mut memory, x, &[1.0]), "1 numbers for a span of 1280");
    said(cuda.write(&mut memory, Span { offset: small.bytes, ..x }, &numbers(1, x.len)), "bytes");
    said(cuda.write(&mut memory, Span { offset: 1, ..x }, &numbers(1, x.len)), "1280 numbers at 1");
    said(cuda.write_ids(&mut memory, x, &[0; PIXELS * CHANNELS]), "2 bytes");
    said(cuda.read(&memory, Span { offset: u64::MAX, ..x }, &mut vec![0.0; x.len]), "bytes");
    said(cuda.copy(&mut memory, x, Span { offset: x.offset + 2, ..x }), "copy");

    let again = card(true);
    let of_another = again.load(&small.params, Precision::Bf16).expect("loaded");
    said(run(&small.program, &of_another, &mut memory, small.bases()), "another card");
    said(again.read(&memory, x, &mut vec![0.0; x.len]), "another card");
    // After all that it still draws.
    run(&small.program, &model, &mut memory, small.bases()).expect("a run");
}

/// A program in which much hangs on what can be read in vectors: attention in heads of 64, and sums along rows and groups.
fn of_vectors(precision: Precision, before: usize) -> Program {
    let mut b = Builder::new();
    let whole = b.input("x", PIXELS, before + 3 * 64, Element::Act);
    let qkv = View { col: before, cols: 3 * 64, ..whole };
    let y = b.attention(&[Tokens::of(qkv)], 2, 1, 0.125, 1e-6, Mask::Full)[0];
    let y = b.norm_affine(y, NormKind::Layer, 1e-5, "norm");
    let y = b.group_norm(y, "group", 2, 4, 1e-5);
    let y = b.linear(y, "linear", 64, true);
    b.output("y", y);
    Program::new(b.finish(), precision)
}

/// What [`of_vectors`] gives where its buffers begin `shift` bytes behind the beginning of a memory, as often as it takes to be
/// replayed.
fn given_at(cuda: &Cuda, program: &Program, shift: u64, before: usize) -> Result<Vec<u32>, DiffusionError> {
    let model = cuda.load(&of_program(program), program.precision)?;
    let mut bytes = shift;
    let kept: Vec<u64> = program.kept.iter().map(|kept| (bytes, bytes += kept.bytes).0).collect();
    let mut memory = cuda.reserve(bytes + program.scratch_bytes)?;
    let span = |name: &str| {
        let (index, buffer) = program.kept(name).expect("kept");
        let (len, element, precision) = (buffer.rows * buffer.cols, buffer.element, program.precision);
        Span { offset: kept[index], len, element, precision }
    };
    // The same numbers whatever stands before them.
    let rows = numbers(5, PIXELS * 3 * 64);
    let x: Vec<f32> =
        rows.chunks(3 * 64).flat_map(|row| std::iter::repeat_n(0.0, before).chain(row.iter().copied())).collect();
    cuda.write(&mut memory, span("x"), &x)?;
    for _ in 0..3 {
        cuda.run(program, &model, &mut memory, Bases { scratch: bytes, kept: &kept }, &|| false)?;
    }
    let mut y = vec![0.0; PIXELS * 64];
    cuda.read(&memory, span("y"), &mut y)?;
    Ok(y.into_iter().map(f32::to_bits).collect())
}

#[test]
fn the_same_bytes_come_wherever_memory_lies() {
    let Some(cards) = Cards::of_test("the_same_bytes_come_wherever_memory_lies") else { return };
    let launches =
        |name: &str| cards.standin.launches().into_iter().find(|(of, _)| of == name).map_or(0, |(_, count)| count);
    for precision in [Precision::F32, Precision::Bf16] {
        let cuda = card(true);
        // A column before them, and no row begins where a vector does.
        for before in [0, 1] {
            let program = of_vectors(precision, before);
            let joint = launches("attention_64_joint_bf16");
            let expected = given_at(&cuda, &program, 0, before).expect("a run");
            for shift in [16, 48, 64, 256, 4096 + 16] {
                let given = given_at(&cuda, &program, shift, before).expect("a run");
                assert!(given == expected, "{} {shift} {before}", precision.word());
            }
            let joint = launches("attention_64_joint_bf16") - joint;
            assert_eq!(
                joint > 0,
                precision == Precision::Bf16 && before == 0,
                "{joint} of {} {before}",
                precision.word()
            );
            let refused = given_at(&cuda, &program, 8, before).expect_err("no vector begins there").to_string();
            assert!(refused.contains("multiples of 16"), "{refused}");
        }
    }
}

#[test]
fn a_token_that_is_in_no_table_is_named_by_its_row() {
    let Some(_cards) = Cards::of_test("a_token_that_is_in_no_table") else { return };
    let (small, cuda) = (Small::new(Precision::Bf16), card(true));
    let model = cuda.load(&small.params, Precision::Bf16).expect("loaded");
    for (ids, expected) in [([0, 1, 2, 3, 4], None), ([0, 9, 1, 1, 1], Some("row 1")), ([0; TOKENS], None)] {
        let mut memory = small.given(&cuda, ids).expect("given");
        // The fault is told as it is seen, and by the recording too.
        for _ in 0..3 {
            let ran = cuda.run(&small.program, &model, &mut memory, small.bases(), &|| false);
            match (ran, expected) {
                (Ok(()), None) => {}
                (Err(err), Some(expected)) => assert!(err.to_string().contains(expected), "{err}"),
                (ran, _) => panic!("{ids:?}: {ran:?}"),
            }
        }
    }
}

#[test]
fn numbers_go_there_and_back_in_pieces() {
    let Some(_cards) = Cards::of_test("numbers_go_there_and_back") else { return };
    let cuda = card(true);
    // More than two slots of pinned memory, so that slots are used again while the card still copies.
    let len = 11 << 20;
    let mut memory = cuda.reserve(8 * len as u64 + 512).expect("reserved");
    let span = |offset: u64, precision: Precision| Span { offset, len, element: Element::Act, precision };
    let given: Vec<f32> = (0..len).map(|at| at as f32).collect();
    let at = span(256, Precision::F32);
    cuda.write(&mut memory, at, &given).expect("written");
    let onto = span(256 + 4 * len as u64, Precision::F32);
    cuda.copy(&mut memory, at, onto).expect("copied");
    cuda.write(&mut memory, at, &vec![0.0; len]).expect("written");
    let mut back = vec![0.0; len];
    cuda.read(&memory, onto, &mut back).expect("read");
    assert!(back == given);
    let halves = span(256, Precision::Bf16);
    let small: Vec<f32> = (0..len).map(|at| (at % 256) as f32).collect();
    cuda.write(&mut memory, halves, &small).expect("written");
    cuda.read(&memory, halves, &mut back).expect("read");
    assert!(back == small, "numbers below 256 are bf16's own");
}

#[test]
fn pixels_are_made_on_the_card_as_on_the_host() {
    let Some(cards) = Cards::of_test("pixels_are_made_on_the_card") else { return };
    let cuda = card(true);
    for precision in [Precision::F32, Precision::Bf16] {
        let pixels = 1000;
        let at = Span { offset: 64, len: 3 * pixels, element: Element::Act, precision };
        let given: Vec<f32> = (0..3 * pixels).map(|at| (at as f32 * 0.37).sin() * 1.2).collect();
        let mut plain = Plain.reserve(16 << 10).expect("reserved");
        Plain.write(&mut plain, at, &given).expect("written");
        let mut expected = vec![0; 4 * pixels];
        Plain.read_rgba8(&plain, at, &mut expected).expect("read");
        assert!(expected.contains(&0) && expected.contains(&255) && expected.contains(&100));

        let mut memory = cuda.reserve(16 << 10).expect("reserved");
        cuda.write(&mut memory, at, &given).expect("written");
        let mut read = vec![0; 4 * pixels];
        cuda.read_rgba8(&memory, at, &mut read).expect("read");
        assert!(read == expected, "{precision:?}");
        let mut short = vec![0; 4 * pixels - 4];
        assert!(cuda.read_rgba8(&memory, at, &mut short).is_err());
        assert!(Plain.read_rgba8(&plain, at, &mut short).is_err());
        // A number that is none is a picture that is none, wherever it stands, and is not told of the next.
        for place in [0, 1500, 3 * pixels - 1] {
            let poisoned: Vec<f32> =
                given.iter().enumerate().map(|(at, x)| if at == place { f32::NAN } else { *x }).collect();
            cuda.write(&mut memory, at, &poisoned).expect("written");
            let said = cuda.read_rgba8(&memory, at, &mut read).expect_err("poisoned").to_string();
            let reason = "numbers that are none";
            assert!(said.contains(reason) && said.contains("cuda-sm90"), "{said}");
            Plain.write(&mut plain, at, &poisoned).expect("written");
            let said = Plain.read_rgba8(&plain, at, &mut read).expect_err("poisoned").to_string();
            assert!(said.contains(reason) && said.contains("cpu-plain"), "{said}");
            cuda.write(&mut memory, at, &given).expect("written");
            cuda.read_rgba8(&memory, at, &mut read).expect("well again");
            assert!(read == expected, "{precision:?}");
        }
    }
    drop(cuda);
    cards.nothing_is_left();
}

#[test]
fn what_is_asked_beyond_the_card_is_refused_with_what_is_left() {
    let Some(cards) = Cards::of_test("what_is_asked_beyond_the_card") else { return };
    cards.standin.set(Control::Mib, 256);
    cards.standin.set(Control::OthersMib, 64);
    let cuda = Cuda::open(&Settings { reserve_bytes: 32 << 20, ..settings(true) }).expect("a card");
    let left = cuda.free_bytes();
    assert!(left > 64 << 20 && left <= 160 << 20, "{left}: 256 less what others hold and what is left to them");
    let refused = cuda.reserve(left + (4 << 20)).expect_err("too much");
    assert!(
        matches!(refused, DiffusionError::OutOfMemory { needed_bytes, free_bytes } if free_bytes == left && needed_bytes > left),
        "{refused:?}"
    );
    let held = cuda.reserve(left / 2).expect("reserved");
    assert!(cuda.free_bytes() < left);
    drop(held);
    assert!(cuda.of(Class::Drafts).free_bytes() <= left);
    assert!(cuda.trim().expect("trimmed") > 0);
    assert_eq!(cards.standin.get(Figure::LivePools), 1);
    drop(cuda);
    cards.nothing_is_left();
}

#[test]
fn what_a_plan_says_is_what_is_held() {
    let Some(_cards) = Cards::of_test("what_a_plan_says") else { return };
    let (small, cuda) = (Small::new(Precision::Bf16), card(false));
    assert_eq!(cuda.report().classes.iter().map(|class| class.used_bytes).sum::<u64>(), 0);
    let used = |class: Class| {
        let report = cuda.report();
        report.classes.iter().find(|figures| figures.class == class).map_or(0, |figures| figures.used_bytes)
    };
    let model = cuda.load(&small.params, Precision::Bf16).expect("loaded");
    assert_eq!(used(Class::Weights), cuda.model_bytes(&small.params, Precision::Bf16));
    let mut memory = small.given(&cuda.of(Class::Drafts), [0; TOKENS]).expect("given");
    assert_eq!(used(Class::Drafts), small.bytes.next_multiple_of(256));
    let workspace = cuda.workspace_bytes(&small.program);
    assert!(workspace > 0);
    let before = used(Class::Weights);
    cuda.run(&small.program, &model, &mut memory, small.bases(), &|| false).expect("a run");
    assert_eq!(used(Class::Weights) - before, workspace.next_multiple_of(256));
}

#[test]
fn machines_without_a_usable_card_say_why() {
    let Some(cards) = Cards::of_test("machines_without_a_usable_card") else { return };
    let open = |settings: &Settings| Cuda::open(settings).map(drop);
    let wanted = Settings { ordinal: 7, ..settings(true) };
    assert!(matches!(open(&wanted), Err(CudaError::NoSuchDevice { wanted: 7, .. })));
    cards.standin.set(Control::Driver, 11_080);
    let old = open(&settings(true)).expect_err("old");
    assert_eq!(old, CudaError::OldDriver { found: "11.8".to_owned(), needed: "12.0".to_owned() });
    cards.standin.set(Control::Driver, 12_000);
    open(&Settings { library: Library::Never, ..settings(true) }).expect("the oldest that serves");
    cards.standin.set(Control::Capability, 61);
    assert!(matches!(open(&settings(true)), Err(CudaError::Kernels(_))));
    cards.nothing_is_left();
}

/// Numbers that look random and are not (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % most.max(1) as u64) as usize
    }

    /// A number that is a little off, or far.
    fn off(&mut self, number: usize) -> usize {
        match self.below(6) {
            0 => number + 1,
            1 => number.saturating_sub(1),
            2 => number * 2,
            3 => 0,
            4 => usize::MAX / 2,
            _ => number + self.below(1 << 20),
        }
    }
}

/// A program with most kinds of operations.
fn many_kinds(precision: Precision) -> Program {
    let mut b = Builder::new();
    let x = b.input("x", PIXELS, CHANNELS, Element::Act);
    let qkv = b.linear(x, "qkv", 3 * CHANNELS, true);
    let y = b.attention(&[Tokens::of(qkv)], 2, 2, 0.25, 1e-6, Mask::Full)[0];
    let gate = b.input("gate", 2, CHANNELS, Element::Act);
    let y = b.gated(x, gate, y);
    let y = b.group_norm(y, "group", 2, 4, 1e-5);
    let y = b.conv(y, "conv", 48, Geometry::same(2, 4, 5, 3));
    let y = b.unpatchify(y, 2, 4, 5, 2);
    let y = b.upsample(y, 2, 8, 10);
    b.output("y", y);
    let ids = b.input("ids", TOKENS, 1, Element::U32);
    let words = b.embed(ids, "table", VOCABULARY, CHANNELS, None);
    let t = b.input("t", TOKENS, 1, Element::F32);
    let times = b.timestep(t, CHANNELS);
    let words = b.times(words, times);
    b.output("words", words);
    Program::new(b.finish(), precision)
}

/// Parameters of every shape that a program wants.
fn of_program(program: &Program) -> Params {
    let one = |(at, wanted): (usize, &WeightUse)| {
        let count = wanted.shape.iter().product();
        (wanted.name.clone(), Param::whole(Tensor::of_f32(wanted.shape.clone(), &numbers(at, count))))
    };
    Params(program.weights.iter().enumerate().map(one).collect())
}

#[test]
fn programs_that_are_wrong_touch_nothing_beside_their_memory() {
    let Some(cards) = Cards::of_test("programs_that_are_wrong") else { return };
    let cuda = card(false);
    let sound = many_kinds(Precision::Bf16);
    let model = cuda.load(&of_program(&sound), Precision::Bf16).expect("loaded");
    let mut bytes = 0;
    let kept: Vec<u64> = sound.kept.iter().map(|kept| (bytes, bytes += kept.bytes).0).collect();
    let scratch = bytes;
    let bytes = bytes + sound.scratch_bytes;
    // Neighbours on both sides: what lies in them must stay.
    let side = Span { offset: 0, len: 64 << 10, element: Element::F32, precision: Precision::F32 };
    let pattern = numbers(3, side.len);
    let neighbour = || {
        let mut memory = cuda.reserve(4 * side.len as u64).expect("reserved");
        cuda.write(&mut memory, side, &pattern).expect("written");
        memory
    };
    let before = neighbour();
    let mut memory = cuda.reserve(bytes).expect("reserved");
    let behind = neighbour();
    let (ids, _) = sound.kept("ids").expect("kept");
    let ids = Span { offset: kept[ids], len: TOKENS, element: Element::U32, precision: Precision::Bf16 };
    let given = |memory: &mut Reserved| cuda.write_ids(memory, ids, &[0, 8, 3, 3, 1]).expect("written");
    given(&mut memory);
    cuda.run(&sound, &model, &mut memory, Bases { scratch, kept: &kept }, &|| false).expect("nothing is wrong yet");
    let mut chance = Chance(1);
    let (mut ran, mut refused) = (0, 0);
    for round in 0..300 {
        given(&mut memory);
        let mut program = sound.clone().renewed();
        let (mut kept, mut scratch) = (kept.clone(), scratch);
        for _ in 0..=chance.below(2) {
            let (buffer, weight) = (chance.below(program.buffers.len()), chance.below(program.weights.len()));
            match chance.below(9) {
                0 => program.buffers[buffer].rows = chance.off(program.buffers[buffer].rows),
                1 => program.buffers[buffer].cols = chance.off(program.buffers[buffer].cols),
                2 => program.buffers[buffer].element = [Element::Act, Element::F32, Element::U32][chance.below(3)],
                3 => program.buffers[buffer].place = Place::Scratch(chance.off(bytes as usize / 2) as u64),
                4 => program.buffers[buffer].place = Place::Kept(chance.below(9)),
                5 => program.weights[weight].rows.end = chance.off(program.weights[weight].rows.end),
                6 => program.ops.swap(0, chance.below(3)),
                7 => {
                    let at = chance.below(kept.len());
                    // What lies elsewhere is refused before anything is looked at.
                    kept[at] = chance.off(kept[at] as usize) as u64 & !15;
                }
                _ => scratch = chance.off(scratch as usize) as u64 & !15,
            }
        }
        match cuda.run(&program, &model, &mut memory, Bases { scratch, kept: &kept }, &|| false) {
            Ok(()) => ran += 1,
            Err(DiffusionError::Lost { reason, .. }) => panic!("round {round}: {reason}; {}", cards.standin.fault()),
            Err(_) => refused += 1,
        }
        for memory in [&before, &behind] {
            let mut there = vec![0.0; side.len];
            cuda.read(memory, side, &mut there).expect("read");
            assert!(there == pattern, "round {round} wrote beside its memory");
        }
    }
    println!("{ran} ran, {refused} were refused");
    assert!(ran > 5 && refused > 150, "{ran} ran, {refused} were refused");
}
