// out = then(act(x · weightᵀ + bias)): every linear layer where cuBLASLt is not installed.
//
// Shapes      x [m, k], weight [n, k], out [m, n], row-major with any strides; bias [n] singles or none; `then` adds, multiplies
//             or gates with what lies as out does (launch.rs). Numbers are bf16 or f32 as the kernel's name says.
// Reference   Op::Linear of sidecar/diffusion/src/plain.rs.
// Sums        f32, along k from the front. bf16 is multiplied exactly; sums are rounded once, when they are stored.
// Launch      one block for every tile of the outcome, along x in groups of eight tiles down (tile.cuh: corner); along z the
//             parts that k is split into where few tiles would leave most of a card idle. Parts go to `partial`, and
//             gemm_finish adds them up in their order: the same bytes on every run.
//
//   kernel            tile      warps, each  stages  shared   blocks an SM   for
//   bf16_128x256      128×256   8 of 64×64   4       96 KiB   1              many rows and columns; not on sm_75 (64 KiB)
//   bf16_128x128      128×128   4 of 64×64   3       48 KiB   2              where the wide tile leaves SMs idle
//   bf16_64x64        64×64     4 of 32×32   6       48 KiB   2 to 4         few tiles: text, split k
//   bf16_16x64        16×64     4 of 16×16   8       40 KiB   2 to 5         up to 16 rows: what weighs is to read the weight
//   bf16_64x64_odd    as 64×64, two stages, copied number by number: rows that begin anywhere
//   f32_128x128       128×128   8 of 32×64   3       48 KiB   2              a lane has 8×8 numbers, and reads 16 pieces for 256
//   f32_64x64         64×64     4 of 16×64   3       24 KiB   4              multiply-adds; a lane has 4×8
//   f32_64x64_odd     as bf16_64x64_odd
//
// Why 64×64 a warp: for 16 numbers of k it reads 8 times 512 bytes by ldmatrix for 32 products, where 64×32 reads 6 times for
// 16. With what is copied in, a block of 128×128 then moves 24 KiB through shared memory, 192 cycles of 128 bytes, for 128
// products, which take an A100 256 cycles; with 64×32 it would be 256, all there is. 128 sums, 64 fragments that are read one
// half step ahead and addresses fit 255 registers, so 2 blocks of 128 threads or 1 of 256 live on an SM.
// The wide tile reads a quarter less out of the second cache: 12 KiB for 256 products against 16.
//
// Registers of sm_80: 253, 253, 122, 56, 122 for bf16 in the order above, 128, 96, 96 for singles, none spilled on any card.
// sm_75 has no products of bf16: lanes hand numbers to each other (dev.cuh), which only the small tiles have registers for;
// the large ones hold a trap there, and launches do not choose them.
//
// Bytes       (m·k + n·k + m·n) numbers at least; FLOPs 2·m·n·k. m = 8192, n = 6144, k = 1536 in bf16: 145 MB, 155 GFLOP.
// Roofline    not yet run on a GPU. mma.sync reaches the peak of sm_80 to sm_89; Hopper has about 60 % of its peak for it and
//             the rest for wgmma, which the emulator does not run and which is therefore left to cuBLASLt.
#include "tile.cuh"

template <class T, class Core, bool EVEN> FN void gemm(const GemmArgs& a) {
    DYNAMIC_SHARED(u8, shared);
    Corner at = corner<Core::ROWS, Core::COLS>(a.out);
    u32 from = blockIdx.z * a.part, to = min(a.x.cols, from + a.part);
    Side<Core::ROWS, Core::THREADS, sizeof(T), EVEN> left(a.x, at.row, from, to);
    Side<Core::COLS, Core::THREADS, sizeof(T), EVEN, typename Core::RightOrder> right(a.weight, at.col, from, to);
    Core core;
    core.run(left, right, shared, ((to - from) * sizeof(T) + STEP_BYTES - 1) / STEP_BYTES);
    core.each(at, [&](const auto& rows, const auto& cols, auto& y) {
        if (a.partial == 0) {
            finish<T>(a, rows, cols, y);
            return;
        }
        // All columns of rows lie side by side here.
        u32 n = a.out.cols;
#pragma unroll
        for (u32 run = 0; run < sizeof(rows) / sizeof(rows[0]); ++run) {
            if (rows[run] >= a.out.rows || cols[run] >= n) continue;
            u64 row = static_cast<u64>(blockIdx.z) * a.out.rows + rows[run];
            store8(ptr<float>(a.partial) + row * n + cols[run], y[run], n % 4 == 0 && cols[run] + 8 <= n, n - cols[run]);
        }
    });
}

KERNEL(gemm_bf16_128x256, GemmArgs, 256, 1) { gemm<bf16, Cores<Bf16Product, 128, 256, 2, 4, 4>, true>(a); }
KERNEL(gemm_bf16_128x128, GemmArgs, 128, 2) { gemm<bf16, Cores<Bf16Product, 128, 128, 2, 2, 3>, true>(a); }
KERNEL(gemm_bf16_64x64, GemmArgs, 128, BESIDE) { gemm<bf16, Cores<Bf16Product, 64, 64, 2, 2, 6>, true>(a); }
KERNEL(gemm_bf16_16x64, GemmArgs, 128, BESIDE) { gemm<bf16, Cores<Bf16Product, 16, 64, 1, 4, 8>, true>(a); }
KERNEL(gemm_bf16_64x64_odd, GemmArgs, 128, BESIDE) { gemm<bf16, Cores<Bf16Product, 64, 64, 2, 2, 2>, false>(a); }
KERNEL(gemm_f32_128x128, GemmArgs, 256, 2) { gemm<float, Singles<128, 128, 4, 2, 3>, true>(a); }
KERNEL(gemm_f32_64x64, GemmArgs, 128, BESIDE) { gemm<float, Singles<64, 64, 4, 1, 3>, true>(a); }
KERNEL(gemm_f32_64x64_odd, GemmArgs, 128, BESIDE) { gemm<float, Singles<64, 64, 4, 1, 2>, false>(a); }

// A thread owns eight columns of a row: it adds up their parts, in their order, and ends as a product in one part does.
template <class T> FN void gemm_finish(const GemmArgs& a) {
    u32 n = a.out.cols, runs = (n + 7) / 8;
    u64 run = static_cast<u64>(blockIdx.x) * blockDim.x + threadIdx.x;
    u32 rows[1] = {static_cast<u32>(min(run / runs, static_cast<u64>(a.out.rows)))}, cols[1] = {static_cast<u32>(run % runs) * 8};
    if (rows[0] >= a.out.rows) return;
    float y[1][8] = {};
    for (u32 part = 0; part < a.splits; ++part) {
        u64 row = static_cast<u64>(part) * a.out.rows + rows[0];
        bool whole = n % 4 == 0 && cols[0] + 8 <= n;
        Eight<float> more = load8(ptr<const float>(a.partial) + row * n + cols[0], whole, n - cols[0]);
#pragma unroll
        for (u32 i = 0; i < 8; ++i) y[0][i] += number(more, i);
    }
    finish<T>(a, rows, cols, y);
}

KERNEL(gemm_finish_bf16, GemmArgs, 256, 2) { gemm_finish<bf16>(a); }
KERNEL(gemm_finish_f32, GemmArgs, 256, 2) { gemm_finish<float>(a); }
