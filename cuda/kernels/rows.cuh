// What kernels share that work on rows: vectors of numbers, activations, and who takes which number.
#pragma once
#include "dev.cuh"

namespace rows {
// Numbers of T in a vector of 16 bytes.
template <class T> constexpr u32 VECTOR = 16 / sizeof(T);

// V numbers as they lie in memory: one, or a vector.
template <class T, u32 V> struct Raw;
template <class T> struct Raw<T, 1> {
    T number;
    FN void get(float (&x)[1]) const { x[0] = to_f32(number); }
    FN static Raw of(const float (&x)[1]) { return {of_f32<T>(x[0])}; }
};
template <> struct Raw<float, 4> {
    float4 v;
    FN void get(float (&x)[4]) const { x[0] = v.x, x[1] = v.y, x[2] = v.z, x[3] = v.w; }
    FN static Raw of(const float (&x)[4]) { return {make_float4(x[0], x[1], x[2], x[3])}; }
};
template <> struct Raw<bf16, 8> {
    uint4 v;
    FN void get(float (&x)[8]) const {
        x[0] = low_f32(v.x), x[1] = high_f32(v.x), x[2] = low_f32(v.y), x[3] = high_f32(v.y);
        x[4] = low_f32(v.z), x[5] = high_f32(v.z), x[6] = low_f32(v.w), x[7] = high_f32(v.w);
    }
    FN static Raw of(const float (&x)[8]) {
        return {make_uint4(pack_bf16(x[0], x[1]), pack_bf16(x[2], x[3]), pack_bf16(x[4], x[5]), pack_bf16(x[6], x[7]))};
    }
};

template <class T, u32 V> FN Raw<T, V> fetch(const T* at) { return *reinterpret_cast<const Raw<T, V>*>(at); }
template <class T, u32 V> FN void load(float (&x)[V], const T* at) { fetch<T, V>(at).get(x); }
template <class T, u32 V> FN void store(T* at, const float (&x)[V]) {
    *reinterpret_cast<Raw<T, V>*>(at) = Raw<T, V>::of(x);
}
// As many parameters in singles; `otherwise` where there are none.
template <u32 V> FN void params(float (&x)[V], const float* at, u32 from, float otherwise) {
    if (!at) {
#pragma unroll
        for (u32 j = 0; j < V; ++j) x[j] = otherwise;
    } else if constexpr (V == 1) {
        x[0] = at[from];
    } else {
#pragma unroll
        for (u32 j = 0; j < V; j += 4) {
            float4 v = *reinterpret_cast<const float4*>(at + from + j);
            x[j] = v.x, x[j + 1] = v.y, x[j + 2] = v.z, x[j + 3] = v.w;
        }
    }
}

// The first number of row `row`.
template <class T> FN T* row_of(const Mat& mat, u32 row) { return ptr<T>(mat.at) + u64(row) * mat.stride; }

// `ACTS`: 0 is none; then those of graph::Act. plain.rs `act`; in singles, with the accurate functions.
FN float act(u32 kind, float x) {
    switch (kind) {
        case 1: return x / (1 + expf(-x));
        case 2: return 0.5f * x * (1 + erff(x * 0.70710678f));
        case 3: return 0.5f * x * (1 + tanhf(0.7978846f * (x + 0.044715f * x * x * x)));
        case 4: return x / (1 + expf(-1.702f * x));
        default: return x;
    }
}

// Calls `what(row, column)` for every V-th number of a matrix of `rows` by `cols`. Neighbours in a block have neighbouring
// vectors; a thread goes on by as many as all blocks have threads.
template <u32 V, class What> FN void each(u32 rows, u32 cols, What what) {
    u32 vectors = cols / V;
    u64 items = u64(rows) * vectors, step = u64(gridDim.x) * blockDim.x;
    for (u64 i = u64(blockIdx.x) * blockDim.x + threadIdx.x; i < items; i += step) {
        // A division in 64 bits takes many times as long.
        u32 row = i >> 32 ? u32(i / vectors) : u32(i) / vectors;
        what(row, u32(i - u64(row) * vectors) * V);
    }
}
}  // namespace rows
