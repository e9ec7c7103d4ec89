// to[w][n][h][before + i] = norm(from[s][w][n · count + i][h · head ..]) for w of keys, values, queries of each stream s, whose
// tokens come after those of the streams before:
// norm(x) = x / √(mean of x² + eps) · weight where there is a weight, else x.
//
// Shapes: from [pictures · count, heads · head], rows `stride` apart; to [pictures, heads, tokens, padded], where the features
//   from head to padded are zeros, so that kernels may multiply whole tiles.
// CPU reference: plain.rs `Run::head_norm` and the order of its tokens. Sums in f32, rounded once when stored.
// Launch: 256 threads; `lanes` threads share a head of a token, each with every lanes-th vector; grid.x = heads of tokens,
//   grid.y = w, keys alone where nothing else is packed; grid.z = s. Queries of a stream that does not ask are left out.
// Bytes: each of from and to once; 4 FLOPs a number: bound by memory. Fraction of roofline: not yet run on a GPU.
#include "rows.cuh"

namespace attention_pack {
// Features of a head at most (launch/attention.rs `HEAD_MAX`).
constexpr u32 HEAD_MAX = 512;

template <class T, u32 V> FN void all(const PackArgs& a) {
    constexpr u32 EACH = HEAD_MAX / V / 32;
    u32 which = blockIdx.z * 3 + blockIdx.y, before = a.first[blockIdx.z], count = a.first[blockIdx.z + 1] - before;
    const Mat& from = a.from[which];
    if (!from.at) return;
    u32 item = (blockIdx.x * 256 + threadIdx.x) / a.lanes, own = lane() % a.lanes, vectors = a.head / V;
    bool mine = item < from.rows * a.heads;
    u32 row = mine ? item / a.heads : 0, head = mine ? item % a.heads : 0;
    const T* x = rows::row_of<T>(from, row) + head * a.head;
    float numbers[EACH][V], square = 0;
#pragma unroll
    for (u32 i = 0; i < EACH; ++i) {
        u32 at = own + i * a.lanes;
        if (mine && at < vectors) {
            rows::load<T, V>(numbers[i], x + at * V);
        } else {
#pragma unroll
            for (u32 j = 0; j < V; ++j) numbers[i][j] = 0;
        }
#pragma unroll
        for (u32 j = 0; j < V; ++j) square += numbers[i][j] * numbers[i][j];
    }
    if (const float* weights = ptr<float>(a.norms[which])) {
        for (u32 mask = a.lanes / 2; mask > 0; mask /= 2) square += shfl_xor(square, mask);
        float by = 1 / sqrtf(square / a.head + a.eps);
#pragma unroll
        for (u32 i = 0; i < EACH; ++i) {
            u32 at = own + i * a.lanes;
            if (at >= vectors) continue;
            float weight[V];
            rows::params<V>(weight, weights, at * V, 1);
#pragma unroll
            for (u32 j = 0; j < V; ++j) numbers[i][j] = numbers[i][j] * by * weight[j];
        }
    }
    u64 to = (u64(row / count) * a.heads + head) * a.tokens + before + row % count;
#pragma unroll
    for (u32 i = 0; i < EACH; ++i) {
        u32 at = own + i * a.lanes;
        if (mine && at < a.padded / V) rows::store<T, V>(ptr<T>(a.to[blockIdx.y]) + to * a.padded + at * V, numbers[i]);
    }
}
}  // namespace attention_pack

KERNEL(attention_pack_bf16, PackArgs, 256, 4) {
    if (a.wide) attention_pack::all<bf16, 8>(a);
    else attention_pack::all<bf16, 1>(a);
}
KERNEL(attention_pack_f32, PackArgs, 256, 4) {
    if (a.wide) attention_pack::all<float, 4>(a);
    else attention_pack::all<float, 1>(a);
}
