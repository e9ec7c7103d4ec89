// out[q] = Σ softmax(scale · q · kᵀ + mask) · v in singles, for heads of up to 64 features and of up to 512; and of bf16 where
// tensor cores do not know them (sm_75).
// attention.cuh says how it goes.
//
// Shapes: packed [pictures · heads, tokens, padded], padded a multiple of 64; bias [heads, tokens²]; out [pictures · own,
//   heads · head] of each stream, rows `stride` apart.
// CPU reference: plain.rs `Run::attention`. Products and sums in f32 by FFMA; the accurate exponential. The shares of 64 keys are
//   summed from zero before they are added to those before, since a long sum errs by the root of its length.
// Launch: grid.x = tiles of 64 queries, grid.y = heads of pictures; 256 threads; tiles of 64 keys, features in slices of 64.
//   A thread has 4 queries by 4 keys for the scores, and 4 queries by 4 features of each slice for the answers.
// FLOPs: 4 · tokens² · padded a head; bytes: q and k once for each tile, v too, from L2. Bound by FFMA and shared memory.
// Fraction of roofline: not yet run on a GPU.
#include "attention.cuh"

namespace attention_f32 {
// LINE: numbers from one row of shared memory to the next; 4 more than a row, so that rows lie in other banks.
constexpr u32 SIDE = 64, LINE = SIDE + 4, THREADS = 256;

FN float4 four(const float* at) { return *reinterpret_cast<const float4*>(at); }
FN float4 four(const bf16* at) {
    uint2 v = *reinterpret_cast<const uint2*>(at);
    return make_float4(low_f32(v.x), high_f32(v.x), low_f32(v.y), high_f32(v.y));
}

// A slice of 64 rows from `first` on, 64 features from `feature` on, as to[feature][row] or as to[row][feature]. Rows beyond
// `tokens` are zeros.
template <bool Turned, class T> FN void fetch(float* to, const T* from, u32 first, u32 feature, const MeetArgs& a) {
    for (u32 i = threadIdx.x; i < SIDE * SIDE / 4; i += THREADS) {
        // Turned, neighbours have neighbouring rows, so that what they write lies side by side.
        u32 row = Turned ? i % SIDE : i / (SIDE / 4), col = (Turned ? i / SIDE : i % (SIDE / 4)) * 4;
        float4 v = make_float4(0, 0, 0, 0);
        if (first + row < a.tokens) v = four(from + u64(first + row) * a.padded + feature + col);
        if (Turned) {
            to[col * LINE + row] = v.x, to[(col + 1) * LINE + row] = v.y;
            to[(col + 2) * LINE + row] = v.z, to[(col + 3) * LINE + row] = v.w;
        } else {
            *reinterpret_cast<float4*>(to + row * LINE + col) = v;
        }
    }
}

// sums[i][j] += left[k][own + i] · right[k][other + j] over 64 k.
FN void product(float (&sums)[4][4], const float* left, const float* right) {
#pragma unroll 4
    for (u32 k = 0; k < SIDE; ++k) {
        float4 l = *reinterpret_cast<const float4*>(left + k * LINE), r = *reinterpret_cast<const float4*>(right + k * LINE);
        float ls[4] = {l.x, l.y, l.z, l.w}, rs[4] = {r.x, r.y, r.z, r.w};
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
#pragma unroll
            for (u32 j = 0; j < 4; ++j) sums[i][j] += ls[i] * rs[j];
        }
    }
}

template <class T, u32 SLICES> FN void all(const MeetArgs& a) {
    DYNAMIC_SHARED(float, shared);
    float *left = shared, *right = left + SIDE * LINE, *shares = right + SIDE * LINE;
    u32 first = blockIdx.x * SIDE;
    if (!attention::asked(a, first, first + SIDE)) return;
    const T *keys = attention::packed<T>(a, 0), *values = attention::packed<T>(a, 1);
    const T* queries = attention::packed<T>(a, 2);
    u32 seen = attention::keys_of(a, a.mask, first + SIDE);
    // Of this thread: its first query, and its first key or feature. The 16 threads of a query are half a warp.
    u32 own = threadIdx.x / 16 * 4, other = threadIdx.x % 16 * 4;
    float o[SLICES][4][4] = {}, most[4], sum[4] = {};
#pragma unroll
    for (u32 i = 0; i < 4; ++i) most[i] = -infinity();
    if (SLICES == 1) fetch<true>(left, queries, first, 0, a);
    for (u32 base = 0; base < seen; base += SIDE) {
        float s[4][4] = {};
        for (u32 feature = 0; feature < a.padded; feature += SIDE) {
            if (SLICES > 1) fetch<true>(left, queries, first, feature, a);
            fetch<true>(right, keys, base, feature, a);
            __syncthreads();
            product(s, left + own, right + other);
            __syncthreads();
        }
        float shrink[4];
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            float now = most[i];
#pragma unroll
            for (u32 j = 0; j < 4; ++j) {
                u32 query = first + own + i, key = base + other + j;
                bool sees = key < a.tokens && (a.mask != attention::CAUSAL || key <= query);
                s[i][j] *= a.scale;
                if (a.mask == attention::BIAS && sees && query < a.tokens) {
                    s[i][j] += attention::bias_of(a)[query * a.tokens + key];
                }
                if (!sees) s[i][j] = -infinity();
                now = fmaxf(now, s[i][j]);
            }
#pragma unroll
            for (u32 mask = 1; mask < 16; mask *= 2) now = fmaxf(now, shfl_xor(now, mask));
            // Key 0 is seen by all, so `now` is a number from the first tile on.
            shrink[i] = expf(most[i] - now);
            most[i] = now;
            sum[i] *= shrink[i];
#pragma unroll
            for (u32 j = 0; j < 4; ++j) {
                s[i][j] = expf(s[i][j] - now);
                sum[i] += s[i][j];
            }
        }
#pragma unroll
        for (u32 j = 0; j < 4; ++j) {
            *reinterpret_cast<float4*>(shares + (other + j) * LINE + own) = make_float4(s[0][j], s[1][j], s[2][j], s[3][j]);
        }
#pragma unroll
        for (u32 slice = 0; slice < SLICES; ++slice) {
            if (slice * SIDE < a.padded) {
                fetch<false>(right, values, base, slice * SIDE, a);
                __syncthreads();
                float more[4][4] = {};
                product(more, shares + own, right + other);
#pragma unroll
                for (u32 i = 0; i < 4; ++i) {
#pragma unroll
                    for (u32 j = 0; j < 4; ++j) o[slice][i][j] = o[slice][i][j] * shrink[i] + more[i][j];
                }
                __syncthreads();
            }
        }
    }
#pragma unroll
    for (u32 i = 0; i < 4; ++i) {
        float all = sum[i];
#pragma unroll
        for (u32 mask = 1; mask < 16; mask *= 2) all += shfl_xor(all, mask);
        u32 query = first + own + i;
        T* out = query < a.tokens ? attention::out_of<T>(a, query) : nullptr;
        if (!out) continue;
#pragma unroll
        for (u32 slice = 0; slice < SLICES; ++slice) {
#pragma unroll
            for (u32 j = 0; j < 4; ++j) {
                u32 col = slice * SIDE + other + j;
                if (col < a.head) out[col] = of_f32<T>(o[slice][i][j] / all);
            }
        }
    }
}
}  // namespace attention_f32

KERNEL(attention_64_f32, MeetArgs, 256, 2) { attention_f32::all<float, 1>(a); }
KERNEL(attention_512_f32, MeetArgs, 256, 1) { attention_f32::all<float, 8>(a); }
KERNEL(attention_64_any_bf16, MeetArgs, 256, 2) { attention_f32::all<bf16, 1>(a); }
KERNEL(attention_512_any_bf16, MeetArgs, 256, 1) { attention_f32::all<bf16, 8>(a); }
