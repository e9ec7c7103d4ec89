//! Products on the stand-in, launched one by one: that tiles do not change bytes, and products of e4m3 byte by byte.

#![expect(unsafe_code, reason = "launches are the driver's, and who makes one says that it fits")]
#![warn(clippy::undocumented_unsafe_blocks)]

mod support;

use std::collections::BTreeMap;

use support::Cards;
use thumbforge_cuda::cubins;
use thumbforge_cuda::driver::{self, Context, Memory, Module, Pinned, Stream};
use thumbforge_cuda::launch::conv::Conv;
use thumbforge_cuda::launch::fp8::{Fp8Gemm, Fp8Mat, Fp8Rows};
use thumbforge_cuda::launch::gemm::{Gemm, Sums};
use thumbforge_cuda::launch::product::{Card, End};
use thumbforge_cuda::launch::{Launch, Mat, Then};
use thumbforge_cuda_standin::Control;
use thumbforge_diffusion::dtype::{Precision, bf16_to_f32, f32_to_bf16};
use thumbforge_diffusion::graph::{Act, Geometry};

/// Room for the largest case below, with its sums in parts.
const BYTES: usize = 8 << 20;

/// A card with a large stretch of memory, and what the host knows of it.
struct Table {
    stream: Stream,
    module: Module,
    memory: Memory,
    image: Pinned,
    used: usize,
}

impl Table {
    fn new() -> Self {
        let driver = driver::open().expect("the stand-in is there");
        let card = driver.cards().expect("cards").into_iter().next().expect("a card");
        let context = Context::of(driver, &card).expect("a context");
        let module = context.module(&cubins::image(card.capability).expect("kernels").bytes).expect("a module");
        let (stream, memory) = (context.stream().expect("a stream"), context.reserve(BYTES as u64).expect("memory"));
        Self { stream, module, memory, image: context.pinned(BYTES).expect("pinned memory"), used: 0 }
    }

    /// Lays bytes down, `off` bytes behind a place where anything may lie.
    fn put(&mut self, bytes: &[u8], off: usize) -> u64 {
        let at = self.used.next_multiple_of(256) + off;
        self.image.bytes_mut()[at..][..bytes.len()].copy_from_slice(bytes);
        self.used = at + bytes.len();
        self.memory.at() + at as u64
    }

    fn numbers(&mut self, precision: Precision, numbers: &[f32]) -> u64 {
        let bytes: Vec<u8> = match precision {
            Precision::F32 => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
            Precision::Bf16 => numbers.iter().flat_map(|number| f32_to_bf16(*number).to_le_bytes()).collect(),
        };
        self.put(&bytes, 0)
    }

    /// Sends all that was laid down.
    fn upload(&self) {
        // SAFETY: both are `BYTES` long, and nothing is laid down before `download` has waited.
        unsafe { self.stream.upload(self.memory.at(), self.image.bytes()) }.expect("it is sent");
    }

    fn launch<L: Launch>(&self, launch: &L) {
        let function = self.module.function(launch.kernel()).expect("the kernel");
        // SAFETY: the module is of this card; all that the tests below hand to launches was laid down in the memory.
        unsafe { self.stream.launch(&function, launch) }.expect("it runs");
    }

    /// Fetches everything.
    fn download(&mut self) {
        let bytes = self.image.bytes_mut().as_mut_ptr();
        // SAFETY: both are `BYTES` long, and the stream is waited for before anybody touches the host's.
        unsafe { self.stream.download(bytes, self.memory.at(), BYTES) }.expect("it is fetched");
        self.stream.wait().expect("all is done");
    }

    fn bytes(&self, at: u64, bytes: usize) -> &[u8] {
        &self.image.bytes()[(at - self.memory.at()) as usize..][..bytes]
    }
}

/// Numbers of -1 to 1 without a pattern that a tile could share.
fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let number = |at: usize| {
        let bits = (at as u32).wrapping_mul(0x9E37_79B1) ^ seed.wrapping_mul(0x85EB_CA6B);
        ((bits ^ bits >> 15).wrapping_mul(0x2C1B_3C6D) >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|at| bf16_to_f32(f32_to_bf16(number(at)))).collect()
}

fn mat(at: u64, rows: usize, cols: usize) -> Mat {
    Mat { at, rows: rows as u32, cols: cols as u32, stride: cols as u32, pad: 0 }
}

/// Cards on which launches take their largest tiles, those between, and their smallest.
const FEW: Card = Card { capability: 90, multiprocessors: 1, shared_bytes: 227 << 10 };
const SOME: Card = Card { multiprocessors: 12, ..FEW };
const MANY: Card = Card { multiprocessors: 1 << 16, ..FEW };

#[test]
fn tiles_do_not_change_bytes() {
    let Some(_cards) = Cards::of_test("tiles_do_not_change_bytes") else { return };
    let (rows, cols, k) = (380, 500, 136);
    let at = Geometry::same(1, 19, 20, 3);
    for precision in [Precision::F32, Precision::Bf16] {
        // By kernel, what it gave.
        let mut outcomes: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        for card in [FEW, SOME, MANY] {
            let mut table = Table::new();
            let x = mat(table.numbers(precision, &numbers(1, rows * k)), rows, k);
            let weight = mat(table.numbers(precision, &numbers(2, cols * k)), cols, k);
            let bias = table.numbers(Precision::F32, &numbers(3, cols));
            let that = mat(table.numbers(precision, &numbers(4, rows * cols)), rows, cols);
            let out = mat(table.numbers(precision, &numbers(5, rows * cols)), rows, cols);
            let then = Then { kind: Then::ADD, that, ..Then::default() };
            let end = End { bias, act: Some(Act::GeluTanh), then };
            let gemm = Gemm::new(&card, precision, x, weight, &end, out, Sums::Parts(0)).expect("it fits");

            let picture = mat(table.numbers(precision, &numbers(6, rows * 16)), rows, 16);
            let kernels = mat(table.numbers(precision, &numbers(7, cols * 9 * 16)), cols, 9 * 16);
            let seen = mat(table.numbers(precision, &numbers(8, rows * cols)), rows, cols);
            let end = End { bias, ..End::default() };
            let conv = Conv::new(&card, precision, picture, kernels, &at, &end, seen).expect("it fits");

            table.upload();
            table.launch(&gemm);
            table.launch(&conv);
            table.download();
            let bytes = rows * cols * precision.bytes();
            outcomes.insert(gemm.kernel(), table.bytes(out.at, bytes).to_vec());
            outcomes.insert(conv.kernel(), table.bytes(seen.at, bytes).to_vec());
        }
        for family in ["gemm", "conv"] {
            let given: Vec<_> = outcomes.iter().filter(|(kernel, _)| kernel.starts_with(family)).collect();
            assert!(given.len() > 1, "{family} took one kernel");
            for pair in given.windows(2) {
                assert!(pair[0].1 == pair[1].1, "{} and {} differ", pair[0].0, pair[1].0);
            }
        }
    }
}

#[test]
fn a_launch_beyond_a_block_s_shared_memory_is_refused_before_the_driver_is_asked() {
    let Some(cards) = Cards::of_test("a_launch_beyond_a_block_s_shared_memory") else { return };
    // A card of compute capability 7.5 has 64 KiB for a block, and the launch is made for one with more.
    cards.standin.set(Control::Capability, 75);
    let mut table = Table::new();
    let (rows, cols, k) = (256, 256, 64);
    let x = mat(table.numbers(Precision::Bf16, &numbers(1, rows * k)), rows, k);
    let weight = mat(table.numbers(Precision::Bf16, &numbers(2, cols * k)), cols, k);
    let out = mat(table.numbers(Precision::Bf16, &numbers(3, rows * cols)), rows, cols);
    let of = |card: &Card| {
        Gemm::new(card, Precision::Bf16, x, weight, &End::default(), out, Sums::Parts(0)).expect("it fits")
    };
    let calls = |name: &str| cards.standin.calls().into_iter().find(|(of, _)| of == name).map_or(0, |(_, count)| count);
    let asked = || ["cuFuncSetAttribute", "cuLaunchKernel"].map(calls);
    let gemm = of(&FEW);
    assert_eq!((gemm.kernel(), gemm.shared_bytes()), ("gemm_bf16_128x256", 96 << 10));
    let function = table.module.function(gemm.kernel()).expect("the kernel");
    let before = asked();
    // SAFETY: the module is of this card, and all matrices lie in the memory.
    let said = unsafe { table.stream.launch(&function, &gemm) }.expect_err("refused").to_string();
    assert_eq!(said, "launch gemm_bf16_128x256: its blocks take 98304 bytes of shared memory, and the card has 65536");
    assert_eq!(asked(), before);
    // The launch that is made for this card fits.
    table.upload();
    table.launch(&of(&Card { capability: 75, multiprocessors: 40, shared_bytes: 64 << 10 }));
    table.download();
}

/// What a byte of e4m3 says: sign, four bits of exponent with bias 7, three of mantissa.
fn e4m3(byte: u8) -> f64 {
    let (exponent, mantissa) = (i32::from(byte >> 3 & 15), f64::from(byte & 7));
    let size = if exponent == 0 { mantissa / 512.0 } else { (8.0 + mantissa) * 2f64.powi(exponent - 10) };
    if byte & 0x80 == 0 { size } else { -size }
}

#[test]
fn products_of_e4m3_are_those_of_rounded_rows() {
    let Some(_cards) = Cards::of_test("products_of_e4m3_are_those_of_rounded_rows") else { return };
    for (card, rows, cols, k) in
        [(FEW, 1, 1, 1), (FEW, 150, 264, 72), (MANY, 150, 264, 72), (MANY, 7, 5, 33), (FEW, 130, 129, 1300)]
    {
        let mut table = Table::new();
        let stride = Fp8Mat::stride(k as u32) as usize;
        let mut sides = Vec::new();
        for (seed, rows) in [(1, rows), (2, cols)] {
            let mut given = numbers(seed, rows * k);
            // A row of zeros has no largest number to divide by.
            if rows > 2 {
                given[k..2 * k].fill(0.0);
            }
            let from = mat(table.numbers(Precision::Bf16, &given), rows, k);
            let at = table.put(&vec![0xFF; rows * stride], 0);
            let rounded = Fp8Mat {
                mat: Mat { stride: stride as u32, ..mat(at, rows, k) },
                scale: table.numbers(Precision::F32, &vec![f32::NAN; rows]),
            };
            sides.push((given, rounded, Fp8Rows::new(from, rounded).expect("it fits")));
        }
        let bias = table.numbers(Precision::F32, &numbers(3, cols));
        let that = mat(table.numbers(Precision::Bf16, &numbers(4, rows * cols)), rows, cols);
        let then = Then { kind: Then::ADD, that, ..Then::default() };
        // It is written over what is added.
        let (end, out) = (End { bias, act: None, then }, that);
        let gemm = Fp8Gemm::new(&card, sides[0].1, sides[1].1, &end, out).expect("it fits");
        table.upload();
        sides.iter().for_each(|(_, _, rounding)| table.launch(rounding));
        table.launch(&gemm);
        table.download();

        let mut products = Vec::new();
        for (given, Fp8Mat { mat, scale }, _) in &sides {
            for row in 0..mat.rows as usize {
                let row_of = &given[row * k..][..k];
                let largest = row_of.iter().fold(0.0f32, |most, number| most.max(number.abs()));
                let raw = table.bytes(scale + 4 * row as u64, 4);
                let scale = f32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]]);
                assert_eq!(scale, largest / 448.0, "the scale of row {row}");
                let bytes = table.bytes(mat.at + (row * stride) as u64, k);
                for (number, byte) in row_of.iter().zip(bytes) {
                    let (number, near) = (f64::from(*number), e4m3(*byte) * f64::from(scale));
                    // Half a step: 2^-4 of the number, and below 2^-6 of the scale half of 2^-9.
                    let most = (number.abs() / 16.0).max(f64::from(scale) / 1024.0) * 1.000_001;
                    assert!((number - near).abs() <= most, "{number} became {near}");
                    products.push(near);
                }
            }
        }
        let (left, right) = products.split_at(rows * k);
        let (bias, that) = (numbers(3, cols), numbers(4, rows * cols));
        let given = table.bytes(out.at, rows * cols * 2);
        for row in 0..rows {
            for col in 0..cols {
                let pairs = left[row * k..][..k].iter().zip(&right[col * k..][..k]);
                let sum = pairs.map(|(left, right)| left * right).sum::<f64>();
                let expected = sum + f64::from(bias[col]) + f64::from(that[row * cols + col]);
                let at = (row * cols + col) * 2;
                let given = f64::from(bf16_to_f32(u16::from_le_bytes([given[at], given[at + 1]])));
                // The rounding to bf16, and sums of singles.
                let most = expected.abs() / 256.0 + 1e-4;
                assert!(
                    (given - expected).abs() <= most,
                    "{rows} x {cols} x {k}: {given} for {expected} at {row}, {col}"
                );
            }
        }
    }
}
