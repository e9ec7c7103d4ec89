// The middle of a square table: out[y][x] = table[top + y][left + x], all features.
//
// Shapes: table [side · side, features]; out [height · width, features]; rows `stride` apart.
// CPU reference: plain.rs `Op::Positions`. Numbers are moved as they are.
// Launch: 256 threads, a vector of 16 bytes or a number each, at most 16384 blocks.
// Bytes: the taken part of the table and out once. Fraction of roofline: not yet run on a GPU.
#include "rows.cuh"

namespace positions {
template <class T, u32 V> FN void all(const PositionsArgs& a) {
    rows::each<V>(a.out.rows, a.out.cols, [&](u32 row, u32 col) {
        u32 from = (a.top + row / a.width) * a.side + a.left + row % a.width;
        *reinterpret_cast<rows::Raw<T, V>*>(rows::row_of<T>(a.out, row) + col) =
            rows::fetch<T, V>(rows::row_of<T>(a.table, from) + col);
    });
}
}  // namespace positions

KERNEL(positions_bf16, PositionsArgs, 256, 4) {
    if (a.wide) positions::all<bf16, 8>(a);
    else positions::all<bf16, 1>(a);
}
KERNEL(positions_f32, PositionsArgs, 256, 4) {
    if (a.wide) positions::all<float, 4>(a);
    else positions::all<float, 1>(a);
}
