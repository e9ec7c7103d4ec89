//! Every operation on a stand-in for the driver, whose launches run the kernels' own source on the processor: one by one, and
//! as they are recorded.

mod support;

use support::{Cards, Thrice, card, settings};
use thumbforge_cuda::{Cuda, Library, Settings};
use thumbforge_cuda_standin::{Control, Figure};
use thumbforge_diffusion::conformance::{self, Case, Tolerance};
use thumbforge_diffusion::device::Device;
use thumbforge_diffusion::dtype::{DType, Precision};
use thumbforge_diffusion::graph::{Act, Builder, Element};
use thumbforge_diffusion::plain::Plain;

fn check(test: &str, precision: Precision, record: bool) {
    let Some(cards) = Cards::of_test(test) else { return };
    let replays = cards.standin.get(Figure::Replays);
    let all = conformance::cases().len();
    let device = Thrice(card(record), if record { 3 } else { 1 });
    match conformance::check(&device, precision) {
        Ok(cases) => {
            println!("{test}: {cases} cases hold, {} of them in eight bits", cases - all);
            assert_eq!(cases > all, precision == Precision::Bf16, "this card keeps eights");
        }
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

/// Products that are large enough go to cuBLASLt, here a stand-in for it; the others to our kernels.
#[test]
fn bf16_with_a_library() {
    let Some(cards) = Cards::of_test("bf16_with_a_library") else { return };
    let library = Library::At(cards.standin.built().blaslt.clone());
    let cuda = Cuda::open(&Settings { library, ..settings(true) }).expect("a card");
    let (word, _) = cuda.library().expect("the library is where it was built");
    assert!(word.starts_with("cublaslt"), "{word}");
    let device = Thrice(cuda, 3);
    // The library adds biases of bf16: one more rounding of a number as large as the outcome's, on top of the outcome's own.
    let hold = |case: &Case| {
        let Tolerance { nmse, largest } = case.tolerance(Precision::Bf16);
        let tolerance = Tolerance { nmse: 2.0 * nmse, largest: 2.0 * largest };
        let far = conformance::differences(&Plain, &device, case, Precision::Bf16);
        let far = far.unwrap_or_else(|said| panic!("{}: {said}", case.name));
        far.iter().for_each(|far| far.within(tolerance).unwrap_or_else(|said| panic!("{}: {said}", case.name)));
    };
    conformance::cases().iter().for_each(hold);
    conformance::cases_in_eights().iter().for_each(hold);

    let products = || {
        let of_library = |(name, _): &(String, u64)| name.contains("cublasLt");
        cards.standin.launches().into_iter().filter(of_library).map(|(_, count)| count).sum::<u64>()
    };
    // On Hopper it takes rows in eight bits too, whose GELU is ours.
    for case in products_of_all_kinds().into_iter().chain(products_of_all_kinds().into_iter().map(Case::in_eights)) {
        let before = products();
        hold(&case);
        let sixteens = case.name != UNEVEN || !case.keeps_eights();
        assert_eq!(products() > before, sixteens, "{}: what the library takes", case.name);
    }
    let class = |precision| device.class(precision).to_string();
    assert_eq!(class(Precision::Bf16), format!("cuda-sm90-{}x132", device.0.library().expect("a library").0));
    assert_eq!(class(Precision::F32), "cuda-sm90", "singles are never the library's");
    drop(device);
    cards.nothing_is_left();
}

/// Columns of no whole sixteens, which the library wants of rows in eight bits.
const UNEVEN: &str = "a large product of an uneven side with bias and gelu";

/// Products as large as the library takes them, with every end.
fn products_of_all_kinds() -> Vec<Case> {
    let case = |name, build: fn(&mut Builder)| Case::new(name, DType::F32, build);
    vec![
        case("a large product", |b| {
            let x = b.input("x", 96, 64, Element::Act);
            let y = b.linear(x, "fc", 128, false);
            b.output("y", y);
        }),
        case(UNEVEN, |b| {
            let x = b.input("x", 70, 64, Element::Act);
            let y = b.linear(x, "fc", 72, true);
            let y = b.activate(y, Act::GeluTanh);
            b.output("y", y);
        }),
        case("a large product with bias and gelu", |b| {
            let x = b.input("x", 70, 80, Element::Act);
            let y = b.linear(x, "fc", 144, true);
            let y = b.activate(y, Act::GeluTanh);
            b.output("y", y);
        }),
        case("a large product with gelu that is added", |b| {
            let (x, to) = (b.input("x", 70, 64, Element::Act), b.input("to", 70, 80, Element::Act));
            let y = b.linear(x, "fc", 80, true);
            let y = b.activate(y, Act::GeluTanh);
            let y = b.add(to, y);
            b.output("y", y);
        }),
        case("a large product that is added", |b| {
            let (x, to) = (b.input("x", 64, 128, Element::Act), b.input("to", 64, 64, Element::Act));
            let y = b.linear(x, "fc", 64, true);
            let y = b.add(to, y);
            b.output("y", y);
        }),
        case("a large product that is added to rows in turn", |b| {
            let (x, to) = (b.input("x", 64, 64, Element::Act), b.input("to", 16, 64, Element::Act));
            let y = b.linear(x, "fc", 64, true);
            let y = b.add(to, y);
            b.output("y", y);
        }),
        case("a large product that is gated", |b| {
            let (x, gate) = (b.input("x", 128, 64, Element::Act), b.input("gate", 2, 64, Element::Act));
            let y = b.linear(x, "fc", 64, true);
            let y = b.gated(x, gate, y);
            b.output("y", y);
        }),
        case("a large product of some rows, multiplied", |b| {
            let (x, by) = (b.input("x", 64, 64, Element::Act), b.input("by", 64, 64, Element::Act));
            let y = b.linear_rows(x, "fc", 192, 64..128, true);
            let y = b.times(by, y);
            b.output("y", y);
        }),
    ]
}

/// Kernels that only some cards take, and warps that get their turn in other orders.
#[test]
fn other_cards_and_orders() {
    let Some(cards) = Cards::of_test("other_cards_and_orders") else { return };
    let all = conformance::cases().len();
    for (capability, seed) in [(75, 1), (80, 2), (89, 4), (120, 3)] {
        cards.standin.set(Control::Capability, capability);
        cards.standin.set(Control::Seed, seed);
        for precision in [Precision::F32, Precision::Bf16] {
            match conformance::check(&card(false), precision) {
                Ok(cases) => {
                    let eights = capability >= 89 && precision == Precision::Bf16;
                    assert_eq!(cases > all, eights, "sm_{capability} held {} cases in eight bits", cases - all);
                }
                Err(faults) => panic!("on sm_{capability}, in order {seed}: {faults}\n{}", cards.standin.fault()),
            }
        }
    }
}
