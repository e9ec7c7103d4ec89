// Every pixel becomes a square of four: out[n][y][x] = x[n][y / 2][x / 2], all channels.
//
// Shapes: x [pictures · height · width, channels]; out four times the rows; rows `stride` apart.
// CPU reference: plain.rs `Op::Upsample`. Numbers are moved as they are.
// Launch: 256 threads, a vector of 16 bytes or a number of the outcome each, at most 16384 blocks.
// Bytes: x once from memory, out once. Fraction of roofline: not yet run on a GPU.
#include "rows.cuh"

namespace upsample {
template <class T, u32 V> FN void all(const UpsampleArgs& a) {
    rows::each<V>(a.out.rows, a.out.cols, [&](u32 row, u32 col) {
        u32 x = row % (2 * a.width), line = row / (2 * a.width), y = line % (2 * a.height), picture = line / (2 * a.height);
        u32 from = (picture * a.height + y / 2) * a.width + x / 2;
        *reinterpret_cast<rows::Raw<T, V>*>(rows::row_of<T>(a.out, row) + col) =
            rows::fetch<T, V>(rows::row_of<T>(a.x, from) + col);
    });
}
}  // namespace upsample

KERNEL(upsample_bf16, UpsampleArgs, 256, 4) {
    if (a.wide) upsample::all<bf16, 8>(a);
    else upsample::all<bf16, 1>(a);
}
KERNEL(upsample_f32, UpsampleArgs, 256, 4) {
    if (a.wide) upsample::all<float, 4>(a);
    else upsample::all<float, 1>(a);
}
