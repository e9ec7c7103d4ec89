// out = then(x ∗ weight + bias): convolutions of pictures, as products whose left side is gathered while it is read.
//
// Shapes      x [batch · height · width, channels], a pixel a row with any stride; weight [features, side · side · channels],
//             a feature a row, taps from the top left on, the channels of a tap side by side; out
//             [batch · out_height · out_width, features]; bias [features] singles or none; `then` as in gemm.cu.
//             Row m of the left side is the pixel (picture, y, x) of the outcome, column k = (tap_y · side + tap_x) · channels + c:
//             channel c of the input at y · step + tap_y - before, x · step + tap_x - before of the picture, which is first
//             enlarged `upsample` times, once or twofold (nearest neighbour); zero outside of it.
// Reference   Op::Conv of sidecar/diffusion/src/plain.rs.
// Sums        f32, along k from the front, as in gemm.cu; outcomes are rounded once.
// Launch      as gemm.cu, without parts of k: even the smallest decoder has thousands of pixels.
//
//   kernel            tile      warps, each  stages  shared        blocks an SM   for
//   bf16_128x128      128×128   4 of 64×64   3       48 + 1 KiB    2              most
//   bf16_64x64        64×64     4 of 32×32   6       48 + .5 KiB   2 to 4         small pictures
//   bf16_128x16       128×16    4 of 32×16   4       36 + 1 KiB    2 to 5         up to 16 features: a decoder's three colours
//   bf16_64x64_odd    as 64×64, two stages, gathered number by number: channels that fill no piece (an encoder's three colours)
//   f32_*             as gemm.cu
//
// Where a tile's pixels look is computed once, and lies in shared memory, 8 bytes a row: in registers it would take those that
// the sums need. 100 KiB of an SM of sm_86 hold two blocks of 48 + 1 KiB, and the 1 KiB that each takes beside.
//
// Bytes       the input once from memory and side² times from the second cache, the weight, the outcome; FLOPs
//             2 · pixels · features · side² · channels. 1024², 256 to 128 channels, 3 × 3: 537 MB in, 268 MB out, 618 GFLOP.
// Registers of sm_80: 252, 120, 78, 118 for bf16 in the order above; none spilled on any card. sm_75 as gemm.cu.
// Roofline    not yet run on a GPU.
#include "tile.cuh"

// Where pixel `row` of the outcome looks: the row of x that its picture begins with, and the place of its first tap, y in the
// upper half and x in the lower one. A row that is none looks below every picture: sides are less than 2^15 (launch/conv.rs).
FN uint2 looks(const ConvArgs& a, u32 row) {
    if (row >= a.out.rows) return make_uint2(0, 0x7fffu << 16);
    u32 picture = row / (a.out_height * a.out_width), within = row % (a.out_height * a.out_width);
    i32 y = static_cast<i32>(within / a.out_width * a.step) - static_cast<i32>(a.before);
    i32 x = static_cast<i32>(within % a.out_width * a.step) - static_cast<i32>(a.before);
    return make_uint2(picture * a.height * a.width, static_cast<u32>(y) << 16 | (static_cast<u32>(x) & 0xffff));
}

// The left side: as Side in tile.cuh, rows gathered from a picture.
template <u32 ROWS, u32 THREADS, class T, bool EVEN> struct Patches {
    static constexpr u32 APART = THREADS / 4, PASSES = (ROWS + APART - 1) / APART, NUMBERS = PIECE_BYTES / sizeof(T);
    const ConvArgs& a;
    const uint2* pixels;
    // Of the thread's piece of the next step.
    u32 channel, tap_x, tap_y;

    FN Patches(const ConvArgs& a, const uint2* pixels) : a(a), pixels(pixels), channel(0), tap_x(0), tap_y(0) {
        advance(threadIdx.x % 4 * NUMBERS, channel, tap_x, tap_y);
    }

    // Goes on by `numbers` of k, which is at most a step.
    FN void advance(u32 numbers, u32& channel, u32& tap_x, u32& tap_y) const {
        channel += numbers;
        while (channel >= a.x.cols) {
            channel -= a.x.cols;
            if (++tap_x == a.side) tap_x = 0, ++tap_y;
        }
    }

    // Where a number lies; null where it is zero.
    FN const T* at(uint2 pixel, u32 channel, u32 tap_x, u32 tap_y) const {
        i32 y = (static_cast<i32>(pixel.y) >> 16) + static_cast<i32>(tap_y);
        i32 x = (static_cast<i32>(pixel.y << 16) >> 16) + static_cast<i32>(tap_x);
        if (tap_y >= a.side || y < 0 || x < 0) return nullptr;
        u32 row = static_cast<u32>(y), col = static_cast<u32>(x);
        if (row >= a.height * a.upsample || col >= a.width * a.upsample) return nullptr;
        // Once or twofold: a division would take as long as the rest of this.
        u32 halves = a.upsample - 1;
        row >>= halves, col >>= halves;
        u64 from = pixel.x + row * a.width + col;
        return ptr<const T>(a.x.at) + from * a.x.stride + channel;
    }

    FN void load(u8* slab) {
        u32 row = threadIdx.x / 4, piece = threadIdx.x % 4;
        // Not unrolled where numbers are gathered one by one: that is long.
#pragma unroll(EVEN ? PASSES : 1)
        for (u32 pass = 0; pass < PASSES; ++pass) {
            if (ROWS % APART != 0 && pass * APART + row >= ROWS) continue;
            uint2 pixel = pixels[pass * APART + row];
            u8* to = slab + swizzled(pass * APART + row, piece);
            if (EVEN) {
                // Channels come in whole pieces, so a piece is of one tap.
                const T* from = at(pixel, channel, tap_x, tap_y);
                cp_async16(to, from ? from : ptr<const T>(a.x.at), from ? PIECE_BYTES : 0);
                continue;
            }
            u32 c = channel, x = tap_x, y = tap_y;
            u32 words[4] = {};
#pragma unroll
            for (u32 i = 0; i < NUMBERS; ++i) {
                const T* from = at(pixel, c, x, y);
                if (from && sizeof(T) == 4) words[i % 4] = *reinterpret_cast<const u32*>(from);
                if (from && sizeof(T) == 2) words[i / 2] |= static_cast<u32>(*reinterpret_cast<const u16*>(from)) << (i % 2 * 16);
                advance(1, c, x, y);
            }
            *reinterpret_cast<uint4*>(to) = make_uint4(words[0], words[1], words[2], words[3]);
        }
        advance(STEP_BYTES / sizeof(T), channel, tap_x, tap_y);
    }
};

template <class T, class Core, bool EVEN> FN void conv(const ConvArgs& a) {
    DYNAMIC_SHARED(u8, shared);
    SHARED(uint2, pixels, Core::ROWS);
    Corner at = corner<Core::ROWS, Core::COLS>(a.out);
    for (u32 row = threadIdx.x; row < Core::ROWS; row += Core::THREADS) pixels[row] = looks(a, at.row + row);
    __syncthreads();
    Patches<Core::ROWS, Core::THREADS, T, EVEN> left(a, pixels);
    Side<Core::COLS, Core::THREADS, sizeof(T), EVEN, typename Core::RightOrder> right(a.weight, at.col, 0, a.weight.cols);
    Core core;
    core.run(left, right, shared, (a.weight.cols * sizeof(T) + STEP_BYTES - 1) / STEP_BYTES);
    core.each(at, [&](const auto& rows, const auto& cols, auto& y) { finish<T>(a, rows, cols, y); });
}

KERNEL(conv_bf16_128x128, ConvArgs, 128, 2) { conv<bf16, Cores<Bf16Product, 128, 128, 2, 2, 3>, true>(a); }
KERNEL(conv_bf16_64x64, ConvArgs, 128, BESIDE) { conv<bf16, Cores<Bf16Product, 64, 64, 2, 2, 6>, true>(a); }
KERNEL(conv_bf16_128x16, ConvArgs, 128, BESIDE) { conv<bf16, Cores<Bf16Product, 128, 16, 4, 1, 4>, true>(a); }
KERNEL(conv_bf16_64x64_odd, ConvArgs, 128, BESIDE) { conv<bf16, Cores<Bf16Product, 64, 64, 2, 2, 2>, false>(a); }
KERNEL(conv_f32_128x128, ConvArgs, 256, 2) { conv<float, Singles<128, 128, 4, 2, 3>, true>(a); }
KERNEL(conv_f32_64x64, ConvArgs, 128, BESIDE) { conv<float, Singles<64, 64, 4, 1, 3>, true>(a); }
KERNEL(conv_f32_64x64_odd, ConvArgs, 128, BESIDE) { conv<float, Singles<64, 64, 4, 1, 2>, false>(a); }
