// out[q] = Σ softmax(scale · q · kᵀ + mask) · v for heads of up to 64 features in bf16. attention.cuh says how it goes.
//
// Shapes: packed [pictures · heads, tokens, 64] bf16, or for `joint` keys alone, and values and queries of each stream as out,
//   queries normed here (attention_pack.cu has the formula); bias [heads, tokens²] singles; out [pictures · own,
//   heads · head] of each stream, rows `stride` apart.
// CPU reference: plain.rs `Run::attention`. Products of bf16 in tensor cores (mma.sync m16n8k16) with sums in f32; exponentials
//   to base 2 by the special function unit, whose scale lies in the scores' factor; they are rounded to bf16 for their product.
// Launch: grid.x = tiles of 128 queries (64 with a bias, whose addresses take registers), grid.y = heads of pictures; 128
//   threads, of which a warp has 32 (16) queries, whose fragments stay in registers; tiles of 64 keys and values come by
//   cp.async into two stages, the next while one is used.
//   48 KiB of shared memory, at most 255 registers: two blocks a multiprocessor.
// FLOPs: 4 · tokens² · 64 a head, bytes: q, k, v, out once from memory (keys and values of a head stay in L2). Bound by tensor
//   cores. wgmma, which sm_90a needs for its full rate, is left out: it cannot be proved without such a card.
// Fraction of roofline: not yet run on a GPU.
#include "attention.cuh"

namespace attention_64 {
[[maybe_unused]] constexpr u32 KEYS = 64, HEAD = 64, THREADS = 128, STAGE = 2 * KEYS * HEAD;
[[maybe_unused]] constexpr float LOG2_E = 1.44269504f;

// Piece `piece` of 16 bytes of row `row`. Pieces change places with the row, so that 8 rows of one piece lie in all banks.
FN u32 place(u32 row, u32 piece) { return row * HEAD + (piece ^ row % 8) * 8; }

// Rows `first` and on of `from`; those beyond `tokens` are zeros.
FN void fetch(bf16* to, const bf16* from, u32 rows, u32 first, u32 tokens) {
    for (u32 i = threadIdx.x; i < rows * 8; i += THREADS) {
        u32 row = i / 8, piece = i % 8;
        bool there = first + row < tokens;
        cp_async16(to + place(row, piece), from + (there ? u64(first + row) * HEAD + piece * 8 : 0), there ? 16 : 0);
    }
}

// The same of rows that lie in the matrices of their streams.
FN void fetch_joint(bf16* to, const MeetArgs& a, const Mat (&mats)[attention::STREAMS], u32 rows, u32 first) {
    for (u32 i = threadIdx.x; i < rows * 8; i += THREADS) {
        u32 row = i / 8, piece = i % 8;
        const bf16* from = first + row < a.tokens ? attention::row_in<bf16>(a, mats, first + row) : nullptr;
        cp_async16(to + place(row, piece), from ? from + piece * 8 : ptr<bf16>(a.packed[0]), from ? 16 : 0);
    }
}

// Norms 16 queries of a warp, which lie as the left side of products does: attention_pack.cu's formula, rounded once.
FN void norm(u32 (&q)[4][4], const MeetArgs& a, u32 first) {
    u32 g = lane() / 4, t = lane() % 4;
#pragma unroll
    for (u32 half = 0; half < 2; ++half) {
        float square = 0;
#pragma unroll
        for (u32 k = 0; k < 4; ++k) {
#pragma unroll
            for (u32 i = half; i < 4; i += 2) {
                square += low_f32(q[k][i]) * low_f32(q[k][i]) + high_f32(q[k][i]) * high_f32(q[k][i]);
            }
        }
        square += shfl_xor(square, 1);
        square += shfl_xor(square, 2);
        float by = 1 / sqrtf(square / HEAD + a.eps);
        const float* weights = ptr<float>(a.query_norms[attention::stream_of(a, first + g + half * 8)]);
        if (!weights) continue;
#pragma unroll
        for (u32 k = 0; k < 4; ++k) {
#pragma unroll
            for (u32 i = half; i < 4; i += 2) {
                float2 weight = *reinterpret_cast<const float2*>(weights + k * 16 + i / 2 * 8 + t * 2);
                q[k][i] = pack_bf16(low_f32(q[k][i]) * by * weight.x, high_f32(q[k][i]) * by * weight.y);
            }
        }
    }
}

// A warp has M tiles of 16 queries. JOINT: queries and values are read where they lie, and queries are normed here.
template <u32 MASK, u32 M, bool JOINT = false> FN void all(const MeetArgs& a) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
    __trap();  // launch/attention/meet.rs takes attention_f32.cu there
#else
    constexpr u32 QUERIES = M * 64;
    DYNAMIC_SHARED(bf16, shared);
    bf16 *queries = shared, *stages = shared + QUERIES * HEAD;
    u32 first = blockIdx.x * QUERIES;
    if (!attention::asked(a, first, first + QUERIES)) return;
    const bf16 *keys = attention::packed<bf16>(a, 0), *values = attention::packed<bf16>(a, 1);
    u32 seen = attention::keys_of(a, MASK, first + QUERIES);
    // Of this lane: row and column of its scores in a tile of 8, and of the rows that it addresses for ldmatrix.
    u32 g = lane() / 4, t = lane() % 4, matrix = lane() / 8, line = lane() % 8, own = warp() * (M * 16);
    // With what is added, scores are whole before their maximum is known; else the factor comes with the exponential.
    float scale = a.scale * LOG2_E, late = MASK == attention::BIAS ? 1 : scale;
    u32 q[M][4][4];
    float o[M][8][4] = {}, most[M][2], sum[M][2] = {};
#pragma unroll
    for (u32 m = 0; m < M; ++m) most[m][0] = most[m][1] = -infinity();

    if (JOINT) fetch_joint(queries, a, a.queries, QUERIES, first);
    else fetch(queries, attention::packed<bf16>(a, 2), QUERIES, first, a.tokens);
    fetch(stages, keys, KEYS, 0, a.tokens);
    if (JOINT) fetch_joint(stages + KEYS * HEAD, a, a.values, KEYS, 0);
    else fetch(stages + KEYS * HEAD, values, KEYS, 0, a.tokens);
    cp_async_commit();
    for (u32 base = 0, stage = 0; base < seen; base += KEYS, stage ^= 1) {
        cp_async_wait<0>();
        // This tile is there, and all warps are done with the one before, whose stage is filled next.
        __syncthreads();
        if (base == 0) {
#pragma unroll
            for (u32 m = 0; m < M; ++m) {
#pragma unroll
                for (u32 k = 0; k < 4; ++k) {
                    ldmatrix_x4(q[m][k], queries + place(own + m * 16 + lane() % 16, k * 2 + lane() / 16));
                }
                if (JOINT) norm(q[m], a, first + own + m * 16);
            }
        }
        if (base + KEYS < seen) {
            bf16* next = stages + (stage ^ 1) * STAGE;
            fetch(next, keys, KEYS, base + KEYS, a.tokens);
            if (JOINT) fetch_joint(next + KEYS * HEAD, a, a.values, KEYS, base + KEYS);
            else fetch(next + KEYS * HEAD, values, KEYS, base + KEYS, a.tokens);
            cp_async_commit();
        }
        const bf16 *k_tile = stages + stage * STAGE, *v_tile = k_tile + KEYS * HEAD;

        // Scores of the warp's queries and 64 keys.
        float s[M][8][4] = {};
#pragma unroll
        for (u32 k = 0; k < 4; ++k) {
#pragma unroll
            for (u32 n = 0; n < 4; ++n) {
                u32 b[4];
                ldmatrix_x4(b, k_tile + place(n * 16 + matrix / 2 * 8 + line, k * 2 + matrix % 2));
#pragma unroll
                for (u32 m = 0; m < M; ++m) {
                    mma_bf16(s[m][2 * n], q[m][k], b[0], b[1]);
                    mma_bf16(s[m][2 * n + 1], q[m][k], b[2], b[3]);
                }
            }
        }
        if (MASK == attention::BIAS || base + KEYS > seen || (MASK == attention::CAUSAL && base + KEYS > first + own)) {
            const float* bias = MASK == attention::BIAS ? attention::bias_of(a) : nullptr;
#pragma unroll
            for (u32 m = 0; m < M; ++m) {
#pragma unroll
                for (u32 n = 0; n < 8; ++n) {
#pragma unroll
                    for (u32 i = 0; i < 4; ++i) {
                        u32 query = first + own + m * 16 + g + i / 2 * 8, key = base + n * 8 + t * 2 + i % 2;
                        bool sees = key < a.tokens && (MASK != attention::CAUSAL || key <= query);
                        if (MASK == attention::BIAS) {
                            float with = sees && query < a.tokens ? bias[query * a.tokens + key] : 0;
                            s[m][n][i] = s[m][n][i] * scale + with * LOG2_E;
                        }
                        if (!sees) s[m][n][i] = -infinity();
                    }
                }
            }
        }

        // A row of scores lies in the four lanes of one g.
#pragma unroll
        for (u32 m = 0; m < M; ++m) {
#pragma unroll
            for (u32 half = 0; half < 2; ++half) {
                float now = most[m][half];
#pragma unroll
                for (u32 n = 0; n < 8; ++n) now = fmaxf(now, fmaxf(s[m][n][half * 2], s[m][n][half * 2 + 1]));
                now = fmaxf(now, shfl_xor(now, 1));
                now = fmaxf(now, shfl_xor(now, 2));
                // Key 0 is seen by all, so `now` is a number from the first tile on.
                float shrink = exp2_fast((most[m][half] - now) * late), off = now * late;
                most[m][half] = now;
                sum[m][half] *= shrink;
#pragma unroll
                for (u32 n = 0; n < 8; ++n) {
#pragma unroll
                    for (u32 i = half * 2; i < half * 2 + 2; ++i) {
                        o[m][n][i] *= shrink;
                        s[m][n][i] = exp2_fast(s[m][n][i] * late - off);
                        sum[m][half] += s[m][n][i];
                    }
                }
            }
        }

        // Scores of two tiles of 8 keys lie as the left side of a product over 16 keys wants them.
#pragma unroll
        for (u32 k = 0; k < 4; ++k) {
            u32 p[M][4];
#pragma unroll
            for (u32 m = 0; m < M; ++m) {
#pragma unroll
                for (u32 i = 0; i < 4; ++i) p[m][i] = pack_bf16(s[m][2 * k + i / 2][i % 2 * 2], s[m][2 * k + i / 2][i % 2 * 2 + 1]);
            }
#pragma unroll
            for (u32 n = 0; n < 4; ++n) {
                u32 b[4];
                ldmatrix_x4_trans(b, v_tile + place(k * 16 + matrix % 2 * 8 + line, n * 2 + matrix / 2));
#pragma unroll
                for (u32 m = 0; m < M; ++m) {
                    mma_bf16(o[m][2 * n], p[m], b[0], b[1]);
                    mma_bf16(o[m][2 * n + 1], p[m], b[2], b[3]);
                }
            }
        }
    }

    // The warp's rows go through its own part of the queries' memory, so that whole rows are written.
    bf16* rows = queries + own * HEAD;
#pragma unroll
    for (u32 m = 0; m < M; ++m) {
#pragma unroll
        for (u32 half = 0; half < 2; ++half) {
            float all = sum[m][half];
            all += shfl_xor(all, 1);
            all += shfl_xor(all, 2);
            float by = 1 / all;
#pragma unroll
            for (u32 n = 0; n < 8; ++n) {
                u32 pair = pack_bf16(o[m][n][half * 2] * by, o[m][n][half * 2 + 1] * by);
                *reinterpret_cast<u32*>(rows + place(m * 16 + half * 8 + g, n) + t * 2) = pair;
            }
        }
    }
    __syncwarp();
    for (u32 i = 0; i < M * 4; ++i) {
        u32 row = i * 4 + lane() / 8, piece = lane() % 8, query = first + own + row;
        bf16* out = query < a.tokens ? attention::out_of<bf16>(a, query) : nullptr;
        if (!out) continue;
        const bf16* from = rows + place(row, piece);
        if (a.wide) {
            if (piece * 8 < a.head) *reinterpret_cast<uint4*>(out + piece * 8) = *reinterpret_cast<const uint4*>(from);
        } else {
            for (u32 j = 0; j < 8 && piece * 8 + j < a.head; ++j) out[piece * 8 + j] = from[j];
        }
    }
#endif
}
}  // namespace attention_64

KERNEL(attention_64_joint_bf16, MeetArgs, 128, 2) { attention_64::all<attention::FULL, 2, true>(a); }
KERNEL(attention_64_full_bf16, MeetArgs, 128, 2) { attention_64::all<attention::FULL, 2>(a); }
KERNEL(attention_64_causal_bf16, MeetArgs, 128, 2) { attention_64::all<attention::CAUSAL, 2>(a); }
KERNEL(attention_64_bias_bf16, MeetArgs, 128, 2) { attention_64::all<attention::BIAS, 1>(a); }
