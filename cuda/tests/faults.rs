//! Tests of the tests: every kernel with one line wrong must be found by a case of the conformance.
//!
//! Each line of the table is compiled as a library of its own, whose kernels take the place of the right ones. Where no case
//! that it names finds the change under two orders of warps, the conformance has a hole, and that is a failure here.

mod support;

use support::{Cards, card};
use thumbforge_cuda::Cuda;
use thumbforge_cuda_standin::{Control, Mutation, Standin, build_kernels};
use thumbforge_diffusion::DiffusionError;
use thumbforge_diffusion::conformance;
use thumbforge_diffusion::device::{Device, Span};
use thumbforge_diffusion::dtype::Precision::{self, Bf16, F32};
use thumbforge_diffusion::graph::Element;
use thumbforge_diffusion::plain::Plain;

/// A change, and where it is looked for: cases whose names begin so, in a precision.
struct Fault {
    mutation: Mutation,
    cases: &'static str,
    precision: Precision,
}

/// In the kernel's own file.
const fn own(
    unit: &'static str,
    cases: &'static str,
    precision: Precision,
    find: &'static str,
    replace: &'static str,
) -> Fault {
    Fault { mutation: Mutation { unit, file: unit, find, replace }, cases, precision }
}

/// In a header that the kernel includes.
const fn header(
    (unit, file): (&'static str, &'static str),
    cases: &'static str,
    precision: Precision,
    find: &'static str,
    replace: &'static str,
) -> Fault {
    Fault { mutation: Mutation { unit, file, find, replace }, cases, precision }
}

const ACTIVATE: (&str, &str) = ("activate.cu", "rows.cuh");
const COMBINE: (&str, &str) = ("combine.cu", "rows.cuh");
const NORM: (&str, &str) = ("norm.cu", "rows.cuh");
const GEMM: (&str, &str) = ("gemm.cu", "tile.cuh");
const CONV: (&str, &str) = ("conv.cu", "tile.cuh");
const FP8: (&str, &str) = ("fp8.cu", "tile.cuh");
const MEET: (&str, &str) = ("attention_64.cu", "attention.cuh");

const FAULTS: &[Fault] = &[
    own("activate.cu", "activate", F32, "rows::act(a.act, y[j])", "rows::act(1, y[j])"),
    header(ACTIVATE, "activate: gelu by tanh", F32, "0.044715f", "0.0447f"),
    header(ACTIVATE, "activate: quick", F32, "1.702f", "1.7f"),
    header(
        ACTIVATE,
        "activate: silu",
        Bf16,
        "u64 items = u64(rows) * vectors,",
        "u64 items = u64(rows) * vectors - 1,",
    ),
    header(COMBINE, "combine", F32, "x[2] = v.z, x[3] = v.w; }", "x[3] = v.z, x[2] = v.w; }"),
    header(
        COMBINE,
        "combine: whole",
        Bf16,
        "x[4] = low_f32(v.z), x[5] = high_f32(v.z)",
        "x[5] = low_f32(v.z), x[4] = high_f32(v.z)",
    ),
    own("combine.cu", "combine", F32, "row % then.that.rows", "row"),
    own("combine.cu", "combine", F32, "row / then.tokens", "0"),
    own("combine.cu", "combine", F32, "that[j] * y[j];\n            if", "y[j];\n            if"),
    own("embed.cu", "embed: with positions", F32, "row % a.positions.rows", "0"),
    own("embed.cu", "embed", Bf16, "rows::row_of<T>(a.table, id)", "rows::row_of<T>(a.table, row)"),
    own("group_norm.cu", "group norm", F32, "__syncthreads();\n    // A thread merges", "// A thread merges"),
    own("group_norm.cu", "group norm", F32, "box[warp()] = x;\n    __syncthreads();", "box[warp()] = x;"),
    own("group_norm.cu", "group norm", F32, "x = warp_sum(x);\n    __syncthreads();", "x = warp_sum(x);"),
    own(
        "group_norm.cu",
        "group norm",
        Bf16,
        "[blockIdx.z * a.groups + (channel + j) / size]",
        "[(channel + j) / size]",
    ),
    own("group_norm.cu", "group norm", Bf16, "a.groups + (channel + j) / size", "a.groups + channel / size"),
    own("group_norm.cu", "group norm", F32, "square += at(i).y + left * left * pixels(i);", "square += at(i).y;"),
    own("group_norm.cu", "group norm", F32, "shift[j] + sum[j] * by;", "shift[j];"),
    own("modulate.cu", "modulate", F32, "row / a.tokens", "0"),
    own("modulate.cu", "modulate", Bf16, "(1 + scale[j])", "scale[j]"),
    header(NORM, "norm: whole", Bf16, "x[j + 2] = v.z", "x[j + 2] = v.y"),
    own("norm.cu", "norm: layer", F32, "mean = warp_sum(mean) / cols;", "mean /= cols;"),
    own("norm.cu", "norm: modulated", F32, "u32 picture = at / a.tokens;", "u32 picture = 0;"),
    own(
        "norm.cu",
        "norm: root",
        F32,
        "square = warp_sum(square) / cols - rest * rest;",
        "square = warp_sum(square) / 64 - rest * rest;",
    ),
    own("norm.cu", "norm: layer", Bf16, "y[j] += bias[j];", "y[j] -= bias[j];"),
    own("positions.cu", "positions", F32, "a.left + row % a.width", "row % a.width"),
    own("relative_bias.cu", "relative", F32, "a.starts[i] <= away", "a.starts[i] < away"),
    own("relative_bias.cu", "relative", F32, "key > query ? a.half : 0", "key >= query ? a.half : 0"),
    own("timestep.cu", "timestep", F32, "-9.2103404f", "-9.2104f"),
    own("timestep.cu", "timestep", F32, "quarter == 1 || quarter == 2 ? -c : c", "quarter == 1 ? -c : c"),
    own("unpatchify.cu", "unpatchify", F32, "y % a.patch * a.patch", "y % a.patch"),
    own("upsample.cu", "upsample", F32, "a.width + x / 2", "a.width + (x + 1) / 2"),
    own("attention_pack.cu", "attention: two streams, normed", F32, "square / a.head", "square"),
    own("attention_pack.cu", "attention: two streams, normed", F32, "mask = a.lanes / 2;", "mask = a.lanes / 4;"),
    own("attention_pack.cu", "attention: two streams", F32, "before + row % count", "row % count"),
    own("attention_pack.cu", "attention: two streams, normed", F32, "blockIdx.z * 3 +", ""),
    own("attention_64.cu", "attention: causal over", Bf16, "cp_async_wait<0>();", ""),
    own(
        "attention_64.cu",
        "attention: causal over",
        Bf16,
        "__syncthreads();\n        if (base == 0)",
        "if (base == 0)",
    ),
    own("attention_64.cu", "attention: causal", Bf16, "key <= query", "key < query + 2"),
    own("attention_64.cu", "attention: with scores", Bf16, "bool sees = key < a.tokens &&", "bool sees ="),
    own("attention_64.cu", "attention: causal over", Bf16, "sum[m][half] *= shrink;", ""),
    own("attention_64.cu", "attention: causal over", Bf16, "o[m][n][i] *= shrink;", ""),
    own("attention_64.cu", "attention: causal over", Bf16, "stage ^= 1) {", "stage ^= 0) {"),
    own("attention_64.cu", "attention: causal over", Bf16, "now = fmaxf(now, shfl_xor(now, 2));", ""),
    own("attention_64.cu", "attention: causal", Bf16, "__syncwarp();", ""),
    own("attention_64.cu", "attention: with scores", Bf16, "with * LOG2_E", "with"),
    own("attention_64.cu", "attention: more keys", Bf16, "late = MASK == attention::BIAS ? 1 : scale", "late = 1"),
    own("attention_64.cu", "attention: two streams, normed", Bf16, "square / HEAD", "square"),
    own("attention_64.cu", "attention: two streams, normed", Bf16, "i / 2 * 8 + t * 2)", "t * 2)"),
    own("attention_64.cu", "attention: two streams, normed", Bf16, "attention::stream_of(a, first", "0 * (first"),
    own("attention_64.cu", "attention: more keys", Bf16, "a, a.values, KEYS, base + KEYS)", "a, a.values, KEYS, base)"),
    header(MEET, "attention: two streams", Bf16, "stream += token >= a.first[s]", "stream += token > a.first[s]"),
    header(MEET, "attention: one stream, a batch", Bf16, "blockIdx.y / a.heads * own +", ""),
    header(MEET, "attention: two streams", Bf16, "token - first)", "token)"),
    header(MEET, "attention: causal over", Bf16, "min(a.tokens, to)", "min(a.tokens, to - 64)"),
    own("attention_f32.cu", "attention: causal over", F32, "__syncthreads();\n            product(s,", "product(s,"),
    own(
        "attention_f32.cu",
        "attention: causal over",
        F32,
        "right + other);\n            __syncthreads();",
        "right + other);",
    ),
    own("attention_f32.cu", "attention: causal over", F32, "sum[i] *= shrink[i];", ""),
    own("attention_f32.cu", "attention: causal over", F32, "o[slice][i][j] * shrink[i]", "o[slice][i][j]"),
    own("attention_f32.cu", "attention: with scores", F32, "[query * a.tokens + key]", "[key * a.tokens + query]"),
    own("attention_wide.cu", "attention: one head", Bf16, "cp_async_wait<1>();", "cp_async_wait<2>();"),
    own(
        "attention_wide.cu",
        "attention: one head",
        Bf16,
        "__syncthreads();  // nobody reads the keys",
        "// nobody reads the keys",
    ),
    own("attention_wide.cu", "attention: one head", Bf16, "__syncthreads();  // the parts are there", ""),
    own(
        "attention_wide.cu",
        "attention: one head",
        Bf16,
        "__syncthreads();  // shares and values",
        "// shares and values",
    ),
    own(
        "attention_wide.cu",
        "attention: one head",
        Bf16,
        "__syncthreads();  // nobody reads values",
        "// nobody reads values",
    ),
    own("attention_wide.cu", "attention: one head", Bf16, "p + 1 < PARTS", "p + 2 < PARTS"),
    header(GEMM, "linear", Bf16, "max(0, min(left, static_cast<i32>(PIECE_BYTES)))", "static_cast<i32>(PIECE_BYTES)"),
    header(
        GEMM,
        "linear",
        Bf16,
        "cp_async_wait<STAGES - 2>();\n        __syncthreads();\n        Half",
        "__syncthreads();\n        Half",
    ),
    header(
        GEMM,
        "linear",
        Bf16,
        "cp_async_wait<STAGES - 2>();\n            __syncthreads();\n            // Behind",
        "__syncthreads();\n            // Behind",
    ),
    header(GEMM, "linear", Bf16, "__syncthreads();\n            // Behind", "// Behind"),
    header(GEMM, "linear", Bf16, "__syncthreads();\n        Half", "Half"),
    header(
        GEMM,
        "linear",
        F32,
        "cp_async_wait<STAGES - 2>();\n            __syncthreads();\n            // The slot",
        "__syncthreads();\n            // The slot",
    ),
    header(GEMM, "linear", F32, "__syncthreads();\n            // The slot", "// The slot"),
    header(GEMM, "linear", Bf16, "left_at ^ 32, right_at ^ 32", "left_at ^ 16, right_at ^ 32"),
    header(GEMM, "linear", Bf16, "shfl_xor(high ? low[i] : up[i], 2)", "shfl_xor(high ? low[i] : up[i], 1)"),
    header(GEMM, "linear: gated", Bf16, "rows[n] / a.then.tokens", "0"),
    header(GEMM, "linear: fewer rows", F32, "rows[n] % a.then.that.rows", "0"),
    header(GEMM, "linear: two multiplied", Bf16, "y[n][i] *= number(that[n], i)", "y[n][i] += number(that[n], i)"),
    header(GEMM, "linear", Bf16, "y[n][i] += number(bias, i)", "y[n][i] -= number(bias, i)"),
    header(GEMM, "activate: gelu by tanh", F32, "0.044715f", "0.0447f"),
    header(GEMM, "activate: silu", Bf16, "z * -1.4426950408889634f", "-z"),
    header(GEMM, "linear", Bf16, "if (i < count) to[i] = of_f32<T>(x[i]);", "to[i] = of_f32<T>(x[i]);"),
    own("gemm.cu", "linear", Bf16, "part < a.splits", "part + 1 < a.splits"),
    own("gemm.cu", "linear", F32, "u32 from = blockIdx.z * a.part,", "u32 from = 0,"),
    header(
        CONV,
        "conv",
        Bf16,
        "cp_async_wait<STAGES - 2>();\n            __syncthreads();\n            // Behind",
        "__syncthreads();\n            // Behind",
    ),
    own("conv.cu", "conv", F32, "__syncthreads();\n    Patches", "Patches"),
    own("conv.cu", "conv", Bf16, "__syncthreads();\n    Patches", "Patches"),
    own("conv.cu", "conv: 3 x 3", Bf16, "col >= a.width * a.upsample", "col > a.width * a.upsample"),
    own("conv.cu", "conv: 3 x 3", F32, "row >= a.height * a.upsample", "row > a.height * a.upsample"),
    own("conv.cu", "conv: over", F32, "row >>= halves, col >>= halves", "row >>= halves"),
    own("conv.cu", "conv: channels", Bf16, "if (++tap_x == a.side) tap_x = 0, ++tap_y;", "++tap_x;"),
    own("conv.cu", "conv: stride", F32, "within / a.out_width * a.step", "within / a.out_width"),
    own("conv.cu", "conv: 3 x 3", Bf16, "make_uint2(picture * a.height * a.width,", "make_uint2(0,"),
    own("rgba8.cu", PIXELS, F32, "rintf(fminf", "floorf(0.5f + fminf"),
    own("rgba8.cu", PIXELS, Bf16, "rintf(fminf", "floorf(fminf"),
    own("rgba8.cu", PIXELS, Bf16, "fmaxf(x * 0.5f + 0.5f, 0)", "fabsf(x * 0.5f + 0.5f)"),
    own("rgba8.cu", PIXELS, F32, "fminf(fmaxf(x * 0.5f + 0.5f, 0), 1)", "fmaxf(x * 0.5f + 0.5f, 0)"),
    own("rgba8.cu", PIXELS, Bf16, "x * 0.5f + 0.5f", "x"),
    own("rgba8.cu", PIXELS, F32, "0xff000000", "0xfe000000"),
    own("rgba8.cu", PIXELS, Bf16, "byte_of(red) | byte_of(green) << 8", "byte_of(green) | byte_of(red) << 8"),
    own("rgba8.cu", PIXELS, F32, "byte_of(blue) << 16", "byte_of(blue) << 8"),
    own("rgba8.cu", PIXELS, Bf16, "each<1>(a.x.rows, 1", "each<1>(a.x.rows - 1, 1"),
    own("rgba8.cu", PIXELS, F32, "ptr<u32>(a.out)[row] =", "ptr<u32>(a.out)[row / 2] ="),
    own("rgba8.cu", PIXELS, Bf16, "red != red", "false"),
    own("rgba8.cu", PIXELS, F32, "green != green", "false"),
    own("rgba8.cu", PIXELS, Bf16, "blue != blue", "false"),
    own("rgba8.cu", PIXELS, F32, "__uint_as_float(row + 1)", "__uint_as_float(row)"),
    // Rows in eight bits: the scale, whose it is, how is rounded, and where k ends.
    own("fp8.cu", "eights", Bf16, "*= scale * number(scales, i);", "*= scale;"),
    own("fp8.cu", "eights", Bf16, "*= scale * number(scales, i);", "*= number(scales, i);"),
    own("fp8.cu", "eights", Bf16, "ptr<const float>(a.x_scale)[rows[run]]", "ptr<const float>(a.x_scale)[0]"),
    own("fp8.cu", "eights", Bf16, "ptr<const float>(a.weight_scale) + cols[run]", "ptr<const float>(a.weight_scale)"),
    own("fp8.cu", "eights", Bf16, "ptr<float>(a.scale)[row] = scale;", "ptr<float>(a.scale)[row] = 1;"),
    own("fp8.cu", "eights: rows of zeros", Bf16, "scale == 0 ? 0 : number(run, i) / scale,", "number(run, i) / scale,"),
    own("fp8.cu", "eights", Bf16, "number(run, i) / scale, high", "number(run, i) / scale * 0.96875f, high"),
    own("fp8.cu", "eights", Bf16, "e4m3x2_of(low, high)", "e4m3x2_of(high, low)"),
    own("fp8.cu", "eights", Bf16, "E4M3_MAX = 448", "E4M3_MAX = 512"),
    own("fp8.cu", "eights", Bf16, "E4M3_MAX = 448", "E4M3_MAX = 416"),
    own("fp8.cu", "eights", Bf16, "most = max(most, shfl_xor(most, mask));", ""),
    own("fp8.cu", "eights: k of several", Bf16, "__syncthreads();\n#pragma unroll", "#pragma unroll"),
    own("fp8.cu", "eights: k of several", Bf16, "__float_as_uint(largest[i])", "__float_as_uint(largest[0])"),
    own("fp8.cu", "eights", Bf16, "(k + STEP_BYTES - 1) / STEP_BYTES", "k / STEP_BYTES"),
    header(FP8, "eights", Bf16, "max(0, min(left, static_cast<i32>(PIECE_BYTES)))", "static_cast<i32>(PIECE_BYTES)"),
    own("fp8.cu", "eights", Bf16, "right(a.weight, at.col, 0, k)", "right(a.weight, at.row, 0, k)"),
];

/// Where what makes bytes of pixels is looked at: no operation of a program does it.
const PIXELS: &str = "pixels";

/// Numbers of pixels: all of a picture's range and beyond, and those that fall between two bytes.
fn pixels() -> Vec<f32> {
    let between = (0..255).map(|byte| 2.0 * ((byte as f32 + 0.5) / 255.0) - 1.0);
    let ties = between.clone().filter(|x| ((x * 0.5 + 0.5) * 255.0).fract() == 0.5).count();
    assert!(ties > 20, "{ties} numbers are ties");
    (0..405).map(|at| (at as f32 * 0.37).sin() * 1.3).chain(between).collect()
}

/// Whether bytes of pixels are not those of plain loops, or a number that is none is not told.
fn pixels_are_wrong(device: &Cuda, precision: Precision) -> Result<bool, DiffusionError> {
    let given = pixels();
    let at = Span { offset: 64, len: given.len(), element: Element::Act, precision };
    let bytes = 4 * at.len as u64 + 64;
    let (mut plain, mut memory) = (Plain.reserve(bytes)?, device.reserve(bytes)?);
    let mut drawn = [vec![0; at.len / 3 * 4], vec![0; at.len / 3 * 4]];
    Plain.write(&mut plain, at, &given)?;
    Plain.read_rgba8(&plain, at, &mut drawn[0])?;
    device.write(&mut memory, at, &given)?;
    device.read_rgba8(&memory, at, &mut drawn[1])?;
    let mut wrong = drawn[0] != drawn[1];
    // Red, green and blue, of the first pixel, one between, and the last.
    for place in [0, 1, 2, 300, 301, 302, at.len - 3, at.len - 2, at.len - 1] {
        let mut poisoned = given.clone();
        poisoned[place] = f32::NAN;
        device.write(&mut memory, at, &poisoned)?;
        wrong |= device.read_rgba8(&memory, at, &mut drawn[1]).is_ok();
    }
    Ok(wrong)
}

/// Whether a case of a name that begins so differs, fails, or loses the card.
fn found(device: &Cuda, (cases, precision): (&str, Precision), standin: &Standin) -> bool {
    if cases == PIXELS {
        return pixels_are_wrong(device, precision).unwrap_or(true);
    }
    let all: Vec<_> = conformance::cases().into_iter().chain(conformance::cases_in_eights()).collect();
    let mut named = all.iter().filter(|case| case.name.starts_with(cases)).peekable();
    assert!(named.peek().is_some(), "no case begins with `{cases}`");
    named.any(|case| {
        [0, 1].into_iter().any(|seed| {
            standin.set(Control::Seed, seed);
            let far = conformance::differences(&Plain, device, case, precision);
            far.map_or(true, |far| far.iter().any(|far| far.within(case.tolerance(precision)).is_err()))
        })
    })
}

#[test]
fn a_kernel_with_one_line_wrong_is_found() {
    let Some(cards) = Cards::of_test("a_kernel_with_one_line_wrong_is_found") else { return };
    let mutations: Vec<Mutation> = FAULTS.iter().map(|fault| fault.mutation).collect();
    let libraries = build_kernels(&mutations).unwrap_or_else(|err| panic!("failed to {err}"));
    let (mut survived, mut right) = (Vec::new(), Vec::new());
    // What is wrong without a change would be found with any.
    for fault in FAULTS {
        let looked = (fault.cases, fault.precision);
        if !right.contains(&looked) {
            right.push(looked);
            assert!(!found(&card(false), looked, cards.standin), "cases of {looked:?} are wrong as they are");
        }
    }
    for (fault, library) in FAULTS.iter().zip(&libraries) {
        cards.standin.use_kernels(Some(library)).unwrap_or_else(|err| panic!("failed to {err}"));
        // A fault may have lost the card before.
        let device = card(false);
        if !found(&device, (fault.cases, fault.precision), cards.standin) {
            let Mutation { unit, find, replace, .. } = fault.mutation;
            survived.push(format!("{unit}, {}: `{find}` became `{replace}`", fault.precision.word()));
        }
    }
    cards.standin.set(Control::Seed, 0);
    cards.standin.use_kernels(None).unwrap_or_else(|err| panic!("failed to {err}"));
    assert!(
        survived.is_empty(),
        "no case of the conformance finds {} of {}:\n{}",
        survived.len(),
        FAULTS.len(),
        survived.join("\n")
    );
}
