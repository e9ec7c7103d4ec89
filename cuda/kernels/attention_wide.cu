// out[q] = Σ softmax(scale · q · kᵀ + mask) · v for heads of 65 to 512 features in bf16. attention.cuh says how it goes.
//
// Shapes: packed [pictures · heads, tokens, padded] bf16, padded a multiple of 64; bias [heads, tokens²] singles; out
//   [pictures · own, heads · head] of each stream, rows `stride` apart.
// CPU reference: plain.rs `Run::attention`. Products of bf16 in tensor cores (mma.sync m16n8k16) with sums in f32; exponentials
//   to base 2 by the special function unit, rounded to bf16 for their product.
// Launch: grid.x = tiles of 64 queries, grid.y = heads of pictures; 256 threads.
//   Tiles of 16 keys. For the scores a warp has 16 queries and a part of the features, and the parts are added in shared memory;
//   for the answers a warp has all queries and 64 features, whose sums stay in its registers.
//   Shared memory: queries, a tile of keys, one of values, shares. The next keys come while values are used and the reverse.
// FLOPs: 4 · tokens² · head a head; bytes: q, out once, k and v once for each tile of queries, from L2. Bound by shared memory
//   and tensor cores. Fraction of roofline: not yet run on a GPU.
#include "attention.cuh"

namespace attention_wide {
[[maybe_unused]] constexpr u32 QUERIES = 64, KEYS = 16, THREADS = 256, WARPS = 8;
// Tiles of 16 queries, and into how many parts the features are cut for the scores.
[[maybe_unused]] constexpr u32 TILES = QUERIES / 16, PARTS = WARPS / TILES;
[[maybe_unused]] constexpr float LOG2_E = 1.44269504f;

// Piece `piece` of 16 bytes of row `row`. Pieces change places with the row, so that 8 rows of one piece lie in all banks.
FN u32 place(u32 padded, u32 row, u32 piece) { return row * padded + (piece ^ row % 8) * 8; }

// Rows `first` and on of `from`; those beyond `tokens` are zeros.
FN void fetch(bf16* to, const bf16* from, u32 rows, u32 first, u32 tokens, u32 padded) {
    u32 pieces = padded / 8;
    for (u32 i = threadIdx.x; i < rows * pieces; i += THREADS) {
        u32 row = i / pieces, piece = i % pieces;
        bool there = first + row < tokens;
        cp_async16(to + place(padded, row, piece), from + (there ? u64(first + row) * padded + piece * 8 : 0), there ? 16 : 0);
    }
}

FN void all(const MeetArgs& a) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
    __trap();  // launch/attention/meet.rs takes attention_f32.cu there
#else
    DYNAMIC_SHARED(bf16, shared);
    u32 padded = a.padded, first = blockIdx.x * QUERIES;
    bf16 *queries = shared, *k_tile = queries + QUERIES * padded, *v_tile = k_tile + KEYS * padded;
    bf16* shares = v_tile + KEYS * padded;
    float* shrinks = reinterpret_cast<float*>(shares + QUERIES * KEYS);
    // Sums of the parts but the first, where the keys were: 4 KiB, as much as keys of 128 features take.
    float* partial = reinterpret_cast<float*>(k_tile);
    if (!attention::asked(a, first, first + QUERIES)) return;
    const bf16 *keys = attention::packed<bf16>(a, 0), *values = attention::packed<bf16>(a, 1);
    u32 seen = attention::keys_of(a, a.mask, first + QUERIES);
    // Of this lane: row and column of its scores in a tile of 8, and of the rows that it addresses for ldmatrix.
    u32 g = lane() / 4, t = lane() % 4, matrix = lane() / 8, line = lane() % 8;
    // Of this warp: for the scores its tile of queries and its part; for the answers its features, if there are so many.
    u32 tile = warp() % TILES, part = warp() / TILES, features = warp() * 64;
    float scale = a.scale * LOG2_E;
    float o[TILES][8][4] = {}, most[2] = {-infinity(), -infinity()}, sum[2] = {};

    fetch(queries, attention::packed<bf16>(a, 2), QUERIES, first, a.tokens, padded);
    fetch(k_tile, keys, KEYS, 0, a.tokens, padded);
    cp_async_commit();
    fetch(v_tile, values, KEYS, 0, a.tokens, padded);
    cp_async_commit();
    for (u32 base = 0; base < seen; base += KEYS) {
        cp_async_wait<1>();
        __syncthreads();  // the keys are there
        float s[2][4] = {};
        for (u32 k = part; k < padded / 16; k += PARTS) {
            u32 q[4], b[4];
            ldmatrix_x4(q, queries + place(padded, tile * 16 + lane() % 16, k * 2 + lane() / 16));
            ldmatrix_x4(b, k_tile + place(padded, matrix / 2 * 8 + line, k * 2 + matrix % 2));
            mma_bf16(s[0], q, b[0], b[1]);
            mma_bf16(s[1], q, b[2], b[3]);
        }
        __syncthreads();  // nobody reads the keys any more
        if (part > 0) {
#pragma unroll
            for (u32 i = 0; i < 8; ++i) partial[(((part - 1) * TILES + tile) * 8 + i) * 32 + lane()] = s[i / 4][i % 4];
        }
        __syncthreads();  // the parts are there
        if (part == 0) {
#pragma unroll
            for (u32 i = 0; i < 8; ++i) {
                float score = s[i / 4][i % 4];
#pragma unroll
                for (u32 p = 0; p + 1 < PARTS; ++p) score += partial[((p * TILES + tile) * 8 + i) * 32 + lane()];
                u32 query = first + tile * 16 + g + i % 4 / 2 * 8, key = base + i / 4 * 8 + t * 2 + i % 2;
                bool sees = key < a.tokens && (a.mask != attention::CAUSAL || key <= query);
                score *= scale;
                if (a.mask == attention::BIAS && sees && query < a.tokens) {
                    score += attention::bias_of(a)[query * a.tokens + key] * LOG2_E;
                }
                s[i / 4][i % 4] = sees ? score : -infinity();
            }
            // A row of scores lies in the four lanes of one g.
#pragma unroll
            for (u32 half = 0; half < 2; ++half) {
                u32 row = tile * 16 + half * 8 + g, i = half * 2;
                float now = fmaxf(fmaxf(s[0][i], s[0][i + 1]), fmaxf(s[1][i], s[1][i + 1]));
                now = fmaxf(now, shfl_xor(now, 1));
                now = fmaxf(fmaxf(now, shfl_xor(now, 2)), most[half]);
                // Key 0 is seen by all, so `now` is a number from the first tile on.
                float shrink = exp2_fast(most[half] - now);
                most[half] = now;
                sum[half] *= shrink;
                if (t == 0) shrinks[row] = shrink;
#pragma unroll
                for (u32 n = 0; n < 2; ++n) {
                    float left = exp2_fast(s[n][i] - now), right = exp2_fast(s[n][i + 1] - now);
                    sum[half] += left + right;
                    *reinterpret_cast<u32*>(shares + row * KEYS + n * 8 + t * 2) = pack_bf16(left, right);
                }
            }
        }
        cp_async_wait<0>();
        __syncthreads();  // shares and values are there, and the parts are read
        if (base + KEYS < seen) fetch(k_tile, keys, KEYS, base + KEYS, a.tokens, padded);
        cp_async_commit();
        if (features < padded) {
            u32 b[4][4];
#pragma unroll
            for (u32 n = 0; n < 4; ++n) {
                ldmatrix_x4_trans(b[n], v_tile + place(padded, matrix % 2 * 8 + line, features / 8 + n * 2 + matrix / 2));
            }
#pragma unroll
            for (u32 m = 0; m < TILES; ++m) {
                u32 p[4];
                ldmatrix_x4(p, shares + (m * 16 + lane() % 16) * KEYS + lane() / 16 * 8);
                float upper = shrinks[m * 16 + g], lower = shrinks[m * 16 + g + 8];
#pragma unroll
                for (u32 n = 0; n < 8; ++n) {
                    o[m][n][0] *= upper, o[m][n][1] *= upper, o[m][n][2] *= lower, o[m][n][3] *= lower;
                    mma_bf16(o[m][n], p, b[n / 2][n % 2 * 2], b[n / 2][n % 2 * 2 + 1]);
                }
            }
        }
        __syncthreads();  // nobody reads values and shares any more
        if (base + KEYS < seen) fetch(v_tile, values, KEYS, base + KEYS, a.tokens, padded);
        cp_async_commit();
    }

    if (part == 0) {
#pragma unroll
        for (u32 half = 0; half < 2; ++half) {
            float all = sum[half];
            all += shfl_xor(all, 1);
            all += shfl_xor(all, 2);
            if (t == 0) shrinks[tile * 16 + half * 8 + g] = 1 / all;
        }
    }
    __syncthreads();
    if (features >= padded) return;
#pragma unroll
    for (u32 m = 0; m < TILES; ++m) {
#pragma unroll
        for (u32 half = 0; half < 2; ++half) {
            u32 row = m * 16 + half * 8 + g, query = first + row;
            bf16* out = query < a.tokens ? attention::out_of<bf16>(a, query) : nullptr;
            if (!out) continue;
            float by = shrinks[row];
#pragma unroll
            for (u32 n = 0; n < 8; ++n) {
                u32 col = features + n * 8 + t * 2;
                u32 pair = pack_bf16(o[m][n][half * 2] * by, o[m][n][half * 2 + 1] * by);
                if (a.wide) {
                    if (col < a.head) *reinterpret_cast<u32*>(out + col) = pair;
                } else {
                    if (col < a.head) out[col] = bf16{static_cast<u16>(pair)};
                    if (col + 1 < a.head) out[col + 1] = bf16{static_cast<u16>(pair >> 16)};
                }
            }
        }
    }
#endif
}
}  // namespace attention_wide

KERNEL(attention_wide_bf16, MeetArgs, 256, 1) { attention_wide::all(a); }
