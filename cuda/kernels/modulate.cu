// out[r][c] = x[r][c] · (1 + scale[p][c]) + shift[p][c], p = r / tokens
//
// Shapes: x, out [pictures · tokens, cols]; shift, scale [pictures, cols]; rows `stride` apart. out may lie on x.
// CPU reference: plain.rs `Run::modulate`. In f32.
// Launch: 256 threads, a vector of 16 bytes or a number each, at most 16384 blocks.
// Bytes: x and out once, shift and scale from the cache; 3 FLOPs a number: bound by memory.
// Fraction of roofline: not yet run on a GPU.
#include "rows.cuh"

namespace modulate {
template <class T, u32 V> FN void all(const ModulateArgs& a) {
    rows::each<V>(a.x.rows, a.x.cols, [&](u32 row, u32 col) {
        u32 picture = row / a.tokens;
        float y[V], shift[V], scale[V];
        rows::load<T, V>(y, rows::row_of<T>(a.x, row) + col);
        rows::load<T, V>(shift, rows::row_of<T>(a.shift, picture) + col);
        rows::load<T, V>(scale, rows::row_of<T>(a.scale, picture) + col);
#pragma unroll
        for (u32 j = 0; j < V; ++j) y[j] = y[j] * (1 + scale[j]) + shift[j];
        rows::store<T, V>(rows::row_of<T>(a.out, row) + col, y);
    });
}
}  // namespace modulate

KERNEL(modulate_bf16, ModulateArgs, 256, 4) {
    if (a.wide) modulate::all<bf16, 8>(a);
    else modulate::all<bf16, 1>(a);
}
KERNEL(modulate_f32, ModulateArgs, 256, 4) {
    if (a.wide) modulate::all<float, 4>(a);
    else modulate::all<float, 1>(a);
}
