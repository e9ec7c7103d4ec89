// Products in eight bits: rows rounded to e4m3 with a scale each, and out = then(act(x_scale · weight_scale · (x · weightᵀ) + bias)).
//
// Shapes      fp8_rows: x [rows, k] bf16, out [rows, k] e4m3 whose rows begin at multiples of 16 bytes, scale [rows] singles.
//             fp8_gemm: x [m, k] and weight [n, k] e4m3 as fp8_rows makes them, out [m, n] bf16; bias and `then` as in gemm.cu.
// Formula     scale = max |x| / 448, q = e4m3(x / scale) to the nearest, ties to even; 448 is the largest e4m3. A row of zeros has
//             scale 0 and zeros. What is no number stays none.
// Reference   Op::Linear of sidecar/diffusion/src/plain.rs, with both sides rounded as above. Against bf16 a number of e4m3 is
//             off by up to 2^-4 of itself, so it is used only where a user allows it.
// Sums        f32 registers, along k from the front. Tensor cores add products of eight bits with fewer bits than singles have;
//             against the rounding of the numbers themselves that is little. Cards differ in it, and so do their bytes.
// Launch      fp8_rows: a block of 256 threads for every row. fp8_gemm: as gemm.cu, a step of 64 bytes being 64 numbers. From
//             sm_89 on; the launch refuses older cards, whose images hold a trap in its place.
//
//   kernel            tile      warps, each  stages  shared   blocks an SM
//   fp8_gemm_128x128  128×128   8 of 64×32   4       64 KiB   1
//   fp8_gemm_64x64    64×64     4 of 32×32   6       48 KiB   2 to 4
//
// Warps are not of 64×64 as in gemm.cu: for sm_90 and sm_100 the compiler takes 83 registers more than for sm_89 for the same
// products, which looks as if it unpacked e4m3 to halves, and the wide warps would spill.
//
// Bytes       fp8_rows: 3 a number, read twice of which the second time from the first cache. fp8_gemm: m·k + n·k + 2·m·n;
//             FLOPs 2·m·n·k. m = 8192, n = 6144, k = 1536: 123 MB, 155 GFLOP.
// Roofline    not yet run on a GPU. Products of eight bits are twice as fast as bf16 by mma.sync on sm_89 and sm_120; Hopper's
//             are by wgmma alone, so that there only the memory that weights take is won.
#include "tile.cuh"

constexpr float E4M3_MAX = 448;

// A block owns a row, a thread every 256th run of eight numbers: first for the largest magnitude, then to round.
KERNEL(fp8_rows, Fp8RowsArgs, 256, 4) {
    SHARED(float, largest, 8);
    u32 row = blockIdx.x, cols = a.x.cols;
    const bf16* x = ptr<const bf16>(a.x.at) + static_cast<u64>(row) * a.x.stride;
    u8* out = ptr<u8>(a.out.at) + static_cast<u64>(row) * a.out.stride;
    bool pieces = (a.flags & PIECES) != 0;

    // As bits, of which those of what is no number are the greatest: fmaxf would not see it.
    u32 most = 0;
    for (u32 col = threadIdx.x * 8; col < cols; col += blockDim.x * 8) {
        Eight<bf16> run = load8(x + col, pieces && col + 8 <= cols, cols - col);
#pragma unroll
        for (u32 i = 0; i < 8; ++i) most = max(most, __float_as_uint(number(run, i)) & 0x7fffffff);
    }
#pragma unroll
    for (u32 mask = 16; mask > 0; mask /= 2) most = max(most, shfl_xor(most, mask));
    if (lane() == 0) largest[warp()] = __uint_as_float(most);
    __syncthreads();
#pragma unroll
    for (u32 i = 0; i < 8; ++i) most = max(most, __float_as_uint(largest[i]));

    float scale = __uint_as_float(most) / E4M3_MAX;
    if (threadIdx.x == 0) ptr<float>(a.scale)[row] = scale;
    for (u32 col = threadIdx.x * 8; col < cols; col += blockDim.x * 8) {
        Eight<bf16> run = load8(x + col, pieces && col + 8 <= cols, cols - col);
        u32 words[2] = {};
#pragma unroll
        for (u32 i = 0; i < 8; i += 2) {
            float low = scale == 0 ? 0 : number(run, i) / scale, high = scale == 0 ? 0 : number(run, i + 1) / scale;
            words[i / 4] |= static_cast<u32>(e4m3x2_of(low, high)) << (i % 4 * 8);
        }
        // Rows of the outcome have room for whole sixteens.
        *reinterpret_cast<uint2*>(out + col) = make_uint2(words[0], words[1]);
    }
}

template <class Core> FN void fp8_gemm(const Fp8GemmArgs& a) {
#if !defined(__CUDACC__) || __CUDA_ARCH__ >= 890
    DYNAMIC_SHARED(u8, shared);
    Corner at = corner<Core::ROWS, Core::COLS>(a.out);
    u32 k = a.x.cols;
    Side<Core::ROWS, Core::THREADS, 1, true> left(a.x, at.row, 0, k);
    Side<Core::COLS, Core::THREADS, 1, true> right(a.weight, at.col, 0, k);
    Core core;
    core.run(left, right, shared, (k + STEP_BYTES - 1) / STEP_BYTES);
    core.each(at, [&](const auto& rows, const auto& cols, auto& y) {
#pragma unroll
        for (u32 run = 0; run < sizeof(rows) / sizeof(rows[0]); ++run) {
            if (rows[run] >= a.out.rows || cols[run] >= a.out.cols) continue;
            u32 count = a.out.cols - cols[run];
            bool whole = (a.flags & PIECES) != 0 && count >= 8;
            Eight<float> scales = load8(ptr<const float>(a.weight_scale) + cols[run], whole, count);
            float scale = ptr<const float>(a.x_scale)[rows[run]];
#pragma unroll
            for (u32 i = 0; i < 8; ++i) y[run][i] *= scale * number(scales, i);
        }
        finish<bf16>(a, rows, cols, y);
    });
#else
    __trap();
#endif
}

KERNEL(fp8_gemm_128x128, Fp8GemmArgs, 256, 1) { fp8_gemm<Cores<E4m3Product, 128, 128, 2, 4, 4>>(a); }
KERNEL(fp8_gemm_64x64, Fp8GemmArgs, 128, BESIDE) { fp8_gemm<Cores<E4m3Product, 64, 64, 2, 2, 6>>(a); }
