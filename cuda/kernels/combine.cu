// out = y | that + y | that · y | that + gate · y: what `Then` does, apart from a product.
//
// Shapes: y, out [rows, cols]; that [rows, cols], or fewer rows that repeat where it is added; gate [rows / tokens, cols].
//   Rows lie `stride` apart. out may lie on y or on that.
// CPU reference: plain.rs `Run::finish`. In f32.
// Launch: 256 threads, a vector of 16 bytes or a number each, at most 16384 blocks.
// Bytes: y, that and out once, the gate from the cache; 2 FLOPs a number: bound by memory.
// Fraction of roofline: not yet run on a GPU.
#include "rows.cuh"

namespace combine {
// `Then::kind` (launch.rs).
enum Kind : u32 { STORE = 0, ADD = 1, TIMES = 2, GATE = 3 };

template <class T, u32 V> FN void all(const CombineArgs& a) {
    const Then& then = a.then;
    rows::each<V>(a.y.rows, a.y.cols, [&](u32 row, u32 col) {
        float y[V], that[V], gate[V];
        rows::load<T, V>(y, rows::row_of<T>(a.y, row) + col);
        if (then.kind != STORE) {
            rows::load<T, V>(that, rows::row_of<T>(then.that, then.kind == ADD ? row % then.that.rows : row) + col);
        }
        if (then.kind == GATE) rows::load<T, V>(gate, rows::row_of<T>(then.gate, row / then.tokens) + col);
#pragma unroll
        for (u32 j = 0; j < V; ++j) {
            if (then.kind == ADD) y[j] = that[j] + y[j];
            if (then.kind == TIMES) y[j] = that[j] * y[j];
            if (then.kind == GATE) y[j] = that[j] + gate[j] * y[j];
        }
        rows::store<T, V>(rows::row_of<T>(a.out, row) + col, y);
    });
}
}  // namespace combine

KERNEL(combine_bf16, CombineArgs, 256, 4) {
    if (a.wide) combine::all<bf16, 8>(a);
    else combine::all<bf16, 1>(a);
}
KERNEL(combine_f32, CombineArgs, 256, 4) {
    if (a.wide) combine::all<float, 4>(a);
    else combine::all<float, 1>(a);
}
