// The instructions of a warp, done for all 32 lanes at once. Which lane holds what of a matrix is the PTX manual's
// (9.7.14, "Matrix fragments for mma.m16n8k16", "… m16n8k32" and "ldmatrix"), as dev.cuh tells it.
#include "instructions.h"

#include <array>

namespace emulator {
// Of dev.cuh, which this file does not include: it belongs to kernels.
static float e4m3(u8 bits) {
    u32 sign = (bits & 0x80u) << 24, exponent = (bits >> 3) & 15u, mantissa = bits & 7u;
    float size = exponent == 0 ? ldexpf(static_cast<float>(mantissa), -9)
                               : ldexpf(1 + static_cast<float>(mantissa) / 8, static_cast<int>(exponent) - 7);
    if ((bits & 0x7f) == 0x7f) size = NAN;
    return sign ? -size : size;
}

namespace {
// A row of the outcome of mma: eight sums, which the compiler puts into one register where there is one.
typedef float Row __attribute__((vector_size(32)));

template <class T> T& operand(void* const (&operands)[32], u32 lane) { return *static_cast<T*>(operands[lane]); }

void shuffle(void* const (&operands)[32]) {
    u32 values[32];
    for (u32 l = 0; l < 32; ++l) values[l] = operand<Shuffle>(operands, l).value;
    for (u32 l = 0; l < 32; ++l) {
        Shuffle& of = operand<Shuffle>(operands, l);
        of.value = values[of.from % 32];
    }
}

void ballot(void* const (&operands)[32]) {
    u32 all = 0;
    for (u32 l = 0; l < 32; ++l) all |= operand<Ballot>(operands, l).value << l;
    for (u32 l = 0; l < 32; ++l) operand<Ballot>(operands, l).value = all;
}

void ldmatrix(void* const (&operands)[32]) {
    const LdMatrix& first = operand<LdMatrix>(operands, 0);
    for (u32 l = 0; l < 32; ++l) {
        const LdMatrix& of = operand<LdMatrix>(operands, l);
        if (of.matrices != first.matrices || of.transposed != first.transposed) fault("lanes of a warp are at different ldmatrix");
        if (l < 8 * of.matrices) check_shared(of.row, "ldmatrix");
    }
    for (u32 m = 0; m < first.matrices; ++m) {
        u16 matrix[8][8];
        for (u32 row = 0; row < 8; ++row) memcpy(matrix[row], operand<LdMatrix>(operands, 8 * m + row).row, 16);
        for (u32 l = 0; l < 32; ++l) {
            u32 g = l / 4, t = l % 4;
            u32 low = first.transposed ? matrix[2 * t][g] : matrix[g][2 * t];
            u32 high = first.transposed ? matrix[2 * t + 1][g] : matrix[g][2 * t + 1];
            operand<LdMatrix>(operands, l).to[m] = low | high << 16;
        }
    }
}

// d += a · b, 16×K times K×8; `number(pair, i)` is the i-th number of a register, of which it holds `Held`.
template <u32 K, u32 Held, class Number> void mma(void* const (&operands)[32], Number number) {
    alignas(32) float a[16][K];
    Row b[K], d[16];
    for (u32 l = 0; l < 32; ++l) {
        const Mma& of = operand<Mma>(operands, l);
        u32 g = l / 4, t = l % 4;
        for (u32 i = 0; i < Held; ++i) {
            u32 low = Held * t + i, high = low + K / 2;
            a[g][low] = number(of.a[0], i), a[g + 8][low] = number(of.a[1], i);
            a[g][high] = number(of.a[2], i), a[g + 8][high] = number(of.a[3], i);
            b[low][g] = number(of.b0, i), b[high][g] = number(of.b1, i);
        }
        d[g][2 * t] = of.d[0], d[g][2 * t + 1] = of.d[1], d[g + 8][2 * t] = of.d[2], d[g + 8][2 * t + 1] = of.d[3];
    }
    for (u32 row = 0; row < 16; ++row) {
        Row sum = d[row];
        for (u32 k = 0; k < K; ++k) sum += a[row][k] * b[k];
        d[row] = sum;
    }
    for (u32 l = 0; l < 32; ++l) {
        const Mma& of = operand<Mma>(operands, l);
        u32 g = l / 4, t = l % 4;
        of.d[0] = d[g][2 * t], of.d[1] = d[g][2 * t + 1], of.d[2] = d[g + 8][2 * t], of.d[3] = d[g + 8][2 * t + 1];
    }
}
}  // namespace

void perform(Together what, void* const (&operands)[32]) {
    switch (what) {
        case Together::sync: return;
        case Together::shuffle: return shuffle(operands);
        case Together::ballot: return ballot(operands);
        case Together::ldmatrix: return ldmatrix(operands);
        case Together::mma_bf16:
            return mma<16, 2>(operands, [](u32 pair, u32 i) { return __uint_as_float(i == 0 ? pair << 16 : pair & 0xffff0000); });
        case Together::mma_e4m3: {
            if (capability() < 89) fault("mma_e4m3 on a card before sm_89");
            static const std::array<float, 256> numbers = [] {
                std::array<float, 256> all;
                for (u32 bits = 0; bits < 256; ++bits) all[bits] = e4m3(static_cast<u8>(bits));
                return all;
            }();
            return mma<32, 4>(operands, [](u32 four, u32 i) { return numbers[four >> (8 * i) & 0xff]; });
        }
    }
}
}  // namespace emulator
