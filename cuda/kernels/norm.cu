// out[r][c] = (x[r][c] - mean) / √(square + eps) · weight[c] + bias[c], then · (1 + scale[p][c]) + shift[p][c]
//
// Shapes: x, out [rows, cols]; weight, bias [cols] singles or nothing; shift, scale [rows / tokens, cols] or nothing, p = r / tokens.
//   Rows lie `stride` apart. out may lie on x.
// mean is that of the row and square the mean square of what is left (layer), or 0 and the row's own (rms).
// CPU reference: plain.rs `norm`, `Run::modulate`. Sums in f32: the mean's own rounding is taken away in a second step.
// Launch: a warp per row, 4 rows a block, grid.x = rows / 4.
// Bytes: x and out once, shift and scale once a picture; 10 FLOPs a number: bound by memory.
// Fraction of roofline: not yet run on a GPU.
#include "rows.cuh"

namespace row_norm {
// Vectors of a row that a lane keeps: rows of up to 4096 bf16 are read once. Longer ones are read again, from the cache.
constexpr u32 HELD = 16;

// The vectors of a row that belong to a lane: every 32nd.
template <class T, u32 V, bool Held> struct Row {
    const T* x;
    u32 vectors;
    rows::Raw<T, V> held[Held ? HELD : 1];

    FN Row(const T* x, u32 vectors) : x(x), vectors(vectors) {
        if constexpr (Held) {
#pragma unroll
            for (u32 i = 0; i < HELD; ++i) {
                u32 at = lane() + 32 * i;
                if (at < vectors) held[i] = rows::fetch<T, V>(x + at * V);
            }
        }
    }
    // Calls `what(numbers, first column)` for each.
    template <class What> FN void each(What what) const {
        float numbers[V];
        if constexpr (Held) {
#pragma unroll
            for (u32 i = 0; i < HELD; ++i) {
                u32 at = lane() + 32 * i;
                if (at < vectors) {
                    held[i].get(numbers);
                    what(numbers, at * V);
                }
            }
        } else {
            for (u32 at = lane(); at < vectors; at += 32) {
                rows::load<T, V>(numbers, x + at * V);
                what(numbers, at * V);
            }
        }
    }
};

template <class T, u32 V, bool Held> FN void row(const NormArgs& a, u32 at) {
    u32 cols = a.x.cols;
    Row<T, V, Held> row(rows::row_of<T>(a.x, at), cols / V);
    float mean = 0, rest = 0, square = 0;
    if (a.layer) {
        row.each([&](const float (&x)[V], u32) {
#pragma unroll
            for (u32 j = 0; j < V; ++j) mean += x[j];
        });
        mean = warp_sum(mean) / cols;
    }
    row.each([&](const float (&x)[V], u32) {
#pragma unroll
        for (u32 j = 0; j < V; ++j) {
            float left = x[j] - mean;
            rest += left;
            square += left * left;
        }
    });
    // The mean of what is left is what rounding kept from the mean.
    rest = a.layer ? warp_sum(rest) / cols : 0;
    square = warp_sum(square) / cols - rest * rest;
    float by = 1 / sqrtf(square + a.eps);
    u32 picture = at / a.tokens;
    T* out = rows::row_of<T>(a.out, at);
    row.each([&](const float (&x)[V], u32 c) {
        float weight[V], y[V];
        rows::params<V>(weight, ptr<float>(a.weight), c, 1);
#pragma unroll
        for (u32 j = 0; j < V; ++j) y[j] = (x[j] - mean - rest) * by * weight[j];
        if (a.bias) {
            float bias[V];
            rows::params<V>(bias, ptr<float>(a.bias), c, 0);
#pragma unroll
            for (u32 j = 0; j < V; ++j) y[j] += bias[j];
        }
        if (a.shift.at) {
            float shift[V], scale[V];
            rows::load<T, V>(shift, rows::row_of<T>(a.shift, picture) + c);
            rows::load<T, V>(scale, rows::row_of<T>(a.scale, picture) + c);
#pragma unroll
            for (u32 j = 0; j < V; ++j) y[j] = y[j] * (1 + scale[j]) + shift[j];
        }
        rows::store<T, V>(out + c, y);
    });
}

template <class T, u32 V> FN void rows_of(const NormArgs& a) {
    u32 at = blockIdx.x * 4 + warp();
    if (at >= a.x.rows) return;
    if (a.x.cols <= 32 * HELD * V) row<T, V, true>(a, at);
    else row<T, V, false>(a, at);
}

template <class T> FN void all(const NormArgs& a) {
    if (a.wide) rows_of<T, rows::VECTOR<T>>(a);
    else rows_of<T, 1>(a);
}
}  // namespace row_norm

KERNEL(norm_bf16, NormArgs, 128, 4) { row_norm::all<bf16>(a); }
KERNEL(norm_f32, NormArgs, 128, 4) { row_norm::all<float>(a); }
