//! A program in company: a row has the same bytes however many are computed with it.

mod support;

use support::{Cards, card};
use thumbforge_cuda::Cuda;
use thumbforge_diffusion::device::{Bases, Device, Span};
use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::graph::{Act, Builder, Element};
use thumbforge_diffusion::param::{Param, Params, Tensor};
use thumbforge_diffusion::plan::Program;

/// Rows, columns and products of a linear layer that is computed alone and in company.
#[derive(Debug, Clone, Copy)]
struct Sides {
    rows: usize,
    cols: usize,
    k: usize,
}

/// What is split in two parts or more, and in other parts with twice the rows; two tiles of few rows; rows of which the library
/// would take those of two and not those of one.
const SIDES: [Sides; 3] = [
    Sides { rows: 72, cols: 576, k: 1536 },
    Sides { rows: 9, cols: 64, k: 1536 },
    Sides { rows: 40, cols: 128, k: 64 },
];

fn numbers(seed: usize, count: usize) -> Vec<f32> {
    (0..count).map(|at| ((at + 31 * seed) as f32 * 0.73).sin() * 0.2).collect()
}

/// `y = p + fc2(gelu(fc1(x)))`, p added to the rows of each picture, for as many pictures.
fn program(sides: Sides, pictures: usize, precision: Precision, eights: bool) -> Program {
    let Sides { rows, cols, k } = sides;
    let mut b = Builder::new();
    let x = b.input("x", pictures * rows, k, Element::Act);
    let positions = b.input("p", rows, cols, Element::Act);
    let inner = b.linear(x, "fc1", 64, true);
    let inner = b.activate(inner, Act::GeluTanh);
    let apart = b.linear(inner, "fc2", cols, true);
    let wide = b.linear(x, "wide", cols, false);
    let y = b.add(positions, wide);
    let y = b.add(apart, y);
    b.output("y", y);
    let mut graph = b.finish();
    if eights {
        graph.in_eights(&matrices);
    }
    Program::new(graph, precision).in_company()
}

fn matrices(name: &str) -> bool {
    name.ends_with(".weight")
}

fn params(Sides { cols, k, .. }: Sides) -> Params {
    let of = |name: &str, shape: &[usize], seed| {
        let count = shape.iter().product();
        (name.to_owned(), Param::whole(Tensor::of_f32(shape.to_vec(), &numbers(seed, count))))
    };
    Params(
        [
            of("fc1.weight", &[64, k], 1),
            of("fc1.bias", &[64], 2),
            of("fc2.weight", &[cols, 64], 3),
            of("fc2.bias", &[cols], 4),
            of("wide.weight", &[cols, k], 5),
        ]
        .into(),
    )
}

/// The outcome's first rows, those of one picture.
fn first(cuda: &Cuda, sides: Sides, pictures: usize, precision: Precision, eights: bool) -> Vec<f32> {
    let program = program(sides, pictures, precision, eights);
    let Sides { rows, cols, k } = sides;
    let mut params = params(sides);
    if eights {
        params = params.in_eights(&matrices);
    }
    let model = cuda.load(&params, precision).expect("loaded");
    let mut kept = Vec::new();
    let mut end = 0;
    for of in &program.kept {
        kept.push(end);
        end += of.bytes;
    }
    let mut memory = cuda.reserve(end + program.scratch_bytes).expect("reserved");
    let span = |name: &str, len: usize| {
        let (index, _) = program.kept(name).expect("kept");
        Span { offset: kept[index], len, element: Element::Act, precision }
    };
    // What follows the first picture's rows is not what they are.
    cuda.write(&mut memory, span("x", pictures * rows * k), &numbers(6, pictures * rows * k)).expect("written");
    cuda.write(&mut memory, span("p", rows * cols), &numbers(7, rows * cols)).expect("written");
    let bases = Bases { scratch: end, kept: &kept };
    cuda.run(&program, &model, &mut memory, bases, &|| false).unwrap_or_else(|err| panic!("failed to {err}"));
    let mut y = vec![0.0; rows * cols];
    cuda.read(&memory, span("y", rows * cols), &mut y).expect("read");
    y
}

fn check(cuda: &Cuda, precision: Precision, eights: bool) {
    for sides in SIDES {
        let alone = first(cuda, sides, 1, precision, eights);
        for pictures in [2, 4] {
            let among = first(cuda, sides, pictures, precision, eights);
            let other = alone.iter().zip(&among).filter(|(alone, among)| alone.to_bits() != among.to_bits()).count();
            assert_eq!(other, 0, "{sides:?} among {pictures}, in {}, eights {eights}", precision.word());
        }
    }
}

#[test]
fn our_kernels() {
    let Some(cards) = Cards::of_test("company: our_kernels") else { return };
    let cuda = card(false);
    check(&cuda, Precision::F32, false);
    check(&cuda, Precision::Bf16, false);
    check(&cuda, Precision::Bf16, true);
    drop(cuda);
    cards.nothing_is_left();
}
