// The emulator's own test: each instruction against the plain meaning of its words, and each fault is found.
// Prints a line for what is wrong, and ends with 1.
#include <cstdio>
#include <vector>

#include "../kernels/dev.cuh"
#include "run.h"

namespace {
struct In { u64 a, b, out; u32 n, pad; };

KERNEL(shuffles, In, 64, 1) {
    u32* out = ptr<u32>(a.out) + threadIdx.x * 4;
    out[0] = shfl_xor(threadIdx.x, 5);
    out[1] = shfl_down(threadIdx.x, 3);
    out[2] = shfl_idx(threadIdx.x, 7);
    out[3] = ballot(lane() % 3 == 0);
}
KERNEL(sums, In, 64, 1) {
    float x = ptr<float>(a.a)[threadIdx.x];
    ptr<float>(a.out)[threadIdx.x] = warp_sum(x);
    ptr<float>(a.out)[64 + threadIdx.x] = warp_max(x);
}
// Hands a number to the next thread of the block, across warps.
KERNEL(handed, In, 128, 1) {
    SHARED(u32, box, 128);
    box[threadIdx.x] = threadIdx.x + 1000 * blockIdx.x;
    __syncthreads();
    ptr<u32>(a.out)[blockIdx.x * 128 + threadIdx.x] = box[(threadIdx.x + a.n) % 128];
}
KERNEL(handed_unguarded, In, 128, 1) {
    SHARED(u32, box, 128);
    box[threadIdx.x] = threadIdx.x + 1000 * blockIdx.x;
    ptr<u32>(a.out)[blockIdx.x * 128 + threadIdx.x] = box[(threadIdx.x + a.n) % 128];
}
// out[16×8] = a[16×16] · b[16×8]: rows of a and columns of b lie together; both through shared memory.
template <bool Wait> void product(const In& a) {
    SHARED(u16, left, 256);
    SHARED(u16, right, 128);
    cp_async16(left + 8 * lane(), ptr<u16>(a.a) + 8 * lane(), 16);
    if (lane() < 16) cp_async16(right + 8 * lane(), ptr<u16>(a.b) + 8 * lane(), 16);
    cp_async_commit();
    if (Wait) cp_async_wait<0>();
    __syncthreads();
    u32 of_a[4], of_b[2];
    // Rows 0..8 and 8..16 of the left columns, then of the right ones.
    ldmatrix_x4(of_a, left + (lane() % 16) * 16 + (lane() / 16) * 8);
    ldmatrix_x2(of_b, right + (lane() % 8) * 16 + (lane() / 8 % 2) * 8);
    float d[4] = {};
    mma_bf16(d, of_a, of_b[0], of_b[1]);
    float* out = ptr<float>(a.out);
    u32 g = lane() / 4, t = lane() % 4;
    out[g * 8 + 2 * t] = d[0], out[g * 8 + 2 * t + 1] = d[1];
    out[(g + 8) * 8 + 2 * t] = d[2], out[(g + 8) * 8 + 2 * t + 1] = d[3];
}
KERNEL(product_bf16, In, 32, 1) { product<true>(a); }
KERNEL(product_unwaited, In, 32, 1) { product<false>(a); }
// The same where b lies by rows: its fragments come transposed.
KERNEL(product_trans, In, 32, 1) {
    SHARED(u16, right, 128);
    for (u32 i = lane(); i < 128; i += 32) right[i] = ptr<u16>(a.b)[i % 8 * 16 + i / 8];
    __syncwarp();
    u32 g = lane() / 4, t = lane() % 4;
    const u32* left = ptr<u32>(a.a);
    u32 of_a[4] = {left[g * 8 + t], left[(g + 8) * 8 + t], left[g * 8 + t + 4], left[(g + 8) * 8 + t + 4]}, of_b[2];
    ldmatrix_x2_trans(of_b, right + (lane() % 16) * 8);
    float d[4] = {};
    mma_bf16(d, of_a, of_b[0], of_b[1]);
    float* out = ptr<float>(a.out);
    out[g * 8 + 2 * t] = d[0], out[g * 8 + 2 * t + 1] = d[1];
    out[(g + 8) * 8 + 2 * t] = d[2], out[(g + 8) * 8 + 2 * t + 1] = d[3];
}
// out[16×8] = a[16×32] · b[32×8] of e4m3.
KERNEL(product_e4m3, In, 32, 1) {
    u32 g = lane() / 4, t = lane() % 4;
    const u32 *left = ptr<u32>(a.a), *right = ptr<u32>(a.b);
    u32 of_a[4] = {left[g * 8 + t], left[(g + 8) * 8 + t], left[g * 8 + t + 4], left[(g + 8) * 8 + t + 4]};
    float d[4] = {};
    mma_e4m3(d, of_a, right[g * 8 + t], right[g * 8 + t + 4]);
    float* out = ptr<float>(a.out);
    out[g * 8 + 2 * t] = d[0], out[g * 8 + 2 * t + 1] = d[1];
    out[(g + 8) * 8 + 2 * t] = d[2], out[(g + 8) * 8 + 2 * t + 1] = d[3];
}
KERNEL(greatest, In, 64, 1) { atomic_max_f32(ptr<float>(a.out), ptr<float>(a.a)[blockIdx.x * 64 + threadIdx.x]); }
KERNEL(elsewhere, In, 64, 1) {
    if (lane() < 16) __syncwarp();
    else ballot(true);
}
KERNEL(returned, In, 64, 1) {
    if (lane() < 16) return;
    __syncwarp();
}
KERNEL(too_far, In, 32, 1) { ptr<u32>(a.out)[a.n + lane()] = 1; }
KERNEL(nowhere, In, 32, 1) { *ptr<u32>(0) = 1; }
KERNEL(unaligned, In, 32, 1) { ptr<uint4>(a.out + 4)->x = 1; }
KERNEL(behind, In, 32, 1) {
    DYNAMIC_SHARED(u32, box);
    box[a.n + lane()] = 1;
}
KERNEL(divided, In, 32, 1) { ptr<u32>(a.out)[0] = 5 / (a.n * threadIdx.x); }
KERNEL(endless, In, 32, 1) {
    volatile char deep[200000];
    for (u32 i = 0; i < sizeof deep; i += 64) deep[sizeof deep - 1 - i] = 0;
}

u32 failures = 0;
void expect(bool good, const char* what, u32 seed) {
    if (good) return;
    printf("wrong under schedule %u: %s\n", seed, what);
    ++failures;
}
u32 capability = 89;
std::string go(const char* name, const In& in, u32 seed, u32 blocks = 1, u32 shared_bytes = 0) {
    const emulator::Kernel* kernel = emulator::find(name);
    return emulator::run({kernel, &in, {blocks, 1, 1}, kernel->threads, shared_bytes, {capability, 100 << 10}}, {seed, 2});
}
u64 at(const void* of) { return reinterpret_cast<u64>(of); }

void check(u32 seed) {
    std::vector<u32> words(4096);
    std::vector<float> in(4096), out(4096);
    for (u32 i = 0; i < 4096; ++i) in[i] = static_cast<float>((i * 7919) % 97) - 48;
    go("shuffles", {0, 0, at(words.data()), 0, 0}, seed);
    bool good = true;
    for (u32 t = 0; t < 64; ++t) {
        good = good && words[4 * t] == (t ^ 5) && words[4 * t + 1] == (t % 32 + 3 < 32 ? t + 3 : t);
        good = good && words[4 * t + 2] == t / 32 * 32 + 7 && words[4 * t + 3] == 0x49249249;
    }
    expect(good, "shuffles", seed);
    go("sums", {at(in.data()), 0, at(out.data()), 0, 0}, seed);
    float sum = 0, most = -1e9f;
    for (u32 t = 32; t < 64; ++t) sum += in[t], most = fmaxf(most, in[t]);
    expect(out[40] == sum && out[64 + 63] == most, "sums", seed);

    bool unguarded_right = true;
    for (u32 by : {1u, 127u}) {
        go("handed", {0, 0, at(words.data()), by, 0}, seed, 9);
        good = true;
        for (u32 i = 0; i < 9 * 128; ++i) good = good && words[i] == i / 128 * 1000 + (i % 128 + by) % 128;
        expect(good, "handed", seed);
        go("handed_unguarded", {0, 0, at(words.data()), by, 0}, seed, 9);
        for (u32 i = 0; i < 9 * 128; ++i) unguarded_right = unguarded_right && words[i] == i / 128 * 1000 + (i % 128 + by) % 128;
    }
    expect(!unguarded_right, "a missing barrier is not seen", seed);

    alignas(16) u16 a[256], b[128];
    float left[16][32], right[8][32];
    for (u32 i = 0; i < 256; ++i) a[i] = f32_to_bf16(left[i / 16][i % 16] = in[i] / 8);
    for (u32 i = 0; i < 128; ++i) b[i] = f32_to_bf16(right[i / 16][i % 16] = in[2000 + i] / 4);
    auto product = [&](u32 depth) {
        float furthest = 0;
        for (u32 i = 0; i < 128; ++i) {
            float want = 0;
            for (u32 k = 0; k < depth; ++k) want += left[i / 8][k] * right[i % 8][k];
            float off = fabsf(out[i] - want);
            furthest = off <= furthest ? furthest : off;
        }
        return furthest;
    };
    In of = {at(a), at(b), at(out.data()), 0, 0};
    expect(go("product_bf16", of, seed).empty() && product(16) < 1e-3f, "mma_bf16, ldmatrix and cp.async", seed);
    expect(go("product_trans", of, seed).empty() && product(16) < 1e-3f, "mma_bf16 and ldmatrix transposed", seed);
    for (u32 older : {75u, 89u}) {
        capability = older;
        expect(go("product_bf16", of, seed).empty() && product(16) < 1e-3f, "mma_bf16 of this card", seed);
    }
    go("product_unwaited", of, seed);
    expect(!(product(16) < 1e-3f), "a missing wait is not seen", seed);

    alignas(16) u8 a8[512], b8[256];
    for (u32 i = 0; i < 512; ++i) left[i / 32][i % 32] = e4m3_to_f32(a8[i] = static_cast<u8>(e4m3_of(in[i])));
    for (u32 i = 0; i < 256; ++i) right[i / 32][i % 32] = e4m3_to_f32(b8[i] = static_cast<u8>(e4m3_of(in[2000 + i] / 64)));
    expect(go("product_e4m3", {at(a8), at(b8), at(out.data()), 0, 0}, seed).empty() && product(32) < 1e-2f, "mma_e4m3", seed);

    capability = 86;
    expect(!go("product_e4m3", {at(a8), at(b8), at(out.data()), 0, 0}, seed).empty(), "mma_e4m3 where there is none", seed);
    capability = 89;

    out[0] = -1e9f;
    go("greatest", {at(in.data()), 0, at(out.data()), 0, 0}, seed, 64);
    float want = -1e9f;
    for (float x : in) want = fmaxf(want, x);
    expect(out[0] == want, "atomic_max_f32", seed);

    auto faults = [&](const char* name, const char* with, const In& in, u32 shared_bytes = 0) {
        std::string what = go(name, in, seed, 1, shared_bytes);
        if (what.find(with) == std::string::npos) printf("%s says \"%s\"\n", name, what.c_str());
        expect(what.find(with) != std::string::npos, name, seed);
    };
    faults("elsewhere", "are at", {});
    faults("returned", "16 lanes of warp", {});
    faults("too_far", "is not the card's memory", {0, 0, at(words.data()), 1u << 31, 0});
    faults("nowhere", "is not the card's memory", {});
    faults("unaligned", "not aligned", {0, 0, at(words.data()) / 16 * 16 + 16, 0, 0});
    faults("behind", "behind 128 bytes", {0, 0, 0, 1, 0}, 128);
    faults("behind", "more shared memory than", {}, 103 << 10);
    faults("divided", "divided by zero", {0, 0, at(words.data()), 3, 0});
    faults("endless", "is not the card's memory", {});
    expect(go("shuffles", {0, 0, at(words.data()), 0, 0}, seed).empty(), "a launch after a fault", seed);
}

void check_numbers() {
    auto near = [](float x) { return e4m3_to_f32(e4m3_of(x)); };
    expect(near(448) == 448 && near(1000) == 448 && near(-460) == -448 && near(0.3f) == 0.3125f, "e4m3", 0);
    expect(near(0.0009765625f) == 0 && near(0.001f) == 0.001953125f && near(17) == 16 && near(19) == 20, "e4m3 rounds", 0);
    for (u32 bits = 0; bits < 256; ++bits)
        if ((bits & 0x7f) != 0x7f) expect(e4m3_of(e4m3_to_f32(bits)) == bits, "an e4m3 there and back", bits);
    expect(e4m3_of(NAN) == 0x7f && f32_to_bf16(NAN) == 0x7fff, "no number", 0);
    expect(f32_to_bf16(1.00390625f) == 0x3f80 && f32_to_bf16(1.01171875f) == 0x3f82, "bf16 ties", 0);
    expect(pack_bf16(1, 2) == 0x40003f80u && e4m3x2_of(1, 2) == 0x4038, "pairs", 0);
    expect(to_f32(of_f32<bf16>(-2.5f)) == -2.5f && low_f32(0x40003f80) == 1 && high_f32(0x40003f80) == 2, "forms", 0);
}
}  // namespace

int main() {
    check_numbers();
    for (u32 seed : {0u, 1u, 12345u}) check(seed);
    if (failures == 0) printf("the emulator does what it says\n");
    return failures == 0 ? 0 : 1;
}
