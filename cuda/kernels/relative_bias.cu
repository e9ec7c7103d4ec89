// out[h][q · tokens + k] = table[bucket(k - q)][h]: scores by distance, as T5's encoder adds them.
//
// Shapes: table [2 · half, heads], the second half for keys that come later; out [heads, tokens²] singles; rows `stride` apart.
// CPU reference: plain.rs `bucket`. A bucket begins at a distance that the launch gives: the logarithms are the host's.
// Launch: 256 threads, a pair of tokens each and all heads, at most 16384 blocks. Neighbours write neighbouring keys.
// Bytes: out once, the table from the cache. Fraction of roofline: not yet run on a GPU.
#include "rows.cuh"

namespace relative_bias {
template <class T> FN void all(const RelativeBiasArgs& a) {
    rows::each<1>(a.tokens, a.tokens, [&](u32 query, u32 key) {
        u32 away = key > query ? key - query : query - key, bucket = key > query ? a.half : 0;
        // Bucket 0 begins at 0, so one is counted less.
        for (u32 i = 1; i < a.half; ++i) bucket += a.starts[i] <= away;
        const T* scores = rows::row_of<T>(a.table, bucket);
        for (u32 head = 0; head < a.out.rows; ++head) {
            rows::row_of<float>(a.out, head)[query * a.tokens + key] = to_f32(scores[head]);
        }
    });
}
}  // namespace relative_bias

KERNEL(relative_bias_bf16, RelativeBiasArgs, 256, 2) { relative_bias::all<bf16>(a); }
KERNEL(relative_bias_f32, RelativeBiasArgs, 256, 2) { relative_bias::all<float>(a); }
