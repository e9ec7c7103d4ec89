// out = act(x), number by number.
//
// Shapes: x, out [rows, cols], rows `stride` apart. out may lie on x.
// CPU reference: plain.rs `act`. In f32.
// Launch: 256 threads, a vector of 16 bytes or a number each, at most 16384 blocks.
// Bytes: x and out once; up to 40 FLOPs a number: bound by memory in bf16 and f32. Fraction of roofline: not yet run on a GPU.
#include "rows.cuh"

namespace activate {
template <class T, u32 V> FN void all(const ActivateArgs& a) {
    rows::each<V>(a.x.rows, a.x.cols, [&](u32 row, u32 col) {
        float y[V];
        rows::load<T, V>(y, rows::row_of<T>(a.x, row) + col);
#pragma unroll
        for (u32 j = 0; j < V; ++j) y[j] = rows::act(a.act, y[j]);
        rows::store<T, V>(rows::row_of<T>(a.out, row) + col, y);
    });
}
}  // namespace activate

KERNEL(activate_bf16, ActivateArgs, 256, 4) {
    if (a.wide) activate::all<bf16, 8>(a);
    else activate::all<bf16, 1>(a);
}
KERNEL(activate_f32, ActivateArgs, 256, 4) {
    if (a.wide) activate::all<float, 4>(a);
    else activate::all<float, 1>(a);
}
