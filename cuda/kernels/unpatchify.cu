// Tokens become pixels: pixel (i, j) of token (y, x) is numbers (i · patch + j) · channels and on of the token.
//
// Shapes: x [pictures · height · width, patch · patch · channels]; out [pictures · height · patch · width · patch, channels];
//   rows `stride` apart.
// CPU reference: plain.rs `Op::Unpatchify`. Numbers are moved as they are.
// Launch: 256 threads, a vector of 16 bytes or a number of the outcome each, at most 16384 blocks.
// Bytes: x and out once. Fraction of roofline: not yet run on a GPU.
#include "rows.cuh"

namespace unpatchify {
template <class T, u32 V> FN void all(const UnpatchifyArgs& a) {
    rows::each<V>(a.out.rows, a.out.cols, [&](u32 row, u32 col) {
        u32 across = a.width * a.patch, down = a.height * a.patch;
        u32 x = row % across, line = row / across, y = line % down, picture = line / down;
        u32 token = (picture * a.height + y / a.patch) * a.width + x / a.patch;
        u32 from = (y % a.patch * a.patch + x % a.patch) * a.out.cols + col;
        *reinterpret_cast<rows::Raw<T, V>*>(rows::row_of<T>(a.out, row) + col) =
            rows::fetch<T, V>(rows::row_of<T>(a.x, token) + from);
    });
}
}  // namespace unpatchify

KERNEL(unpatchify_bf16, UnpatchifyArgs, 256, 4) {
    if (a.wide) unpatchify::all<bf16, 8>(a);
    else unpatchify::all<bf16, 1>(a);
}
KERNEL(unpatchify_f32, UnpatchifyArgs, 256, 4) {
    if (a.wide) unpatchify::all<float, 4>(a);
    else unpatchify::all<float, 1>(a);
}
