// Pixels of three numbers of -1 to 1 become red, green, blue and an alpha of 255: round(255 · clamp(x / 2 + 1/2)), ties to even.
//
// Shapes: x [pixels, 3], rows `stride` apart; out 4 bytes a pixel, side by side. A pixel with a number that is none leaves the
//   greatest such row + 1 at `fault`.
// CPU reference: device.rs `Device::read_rgba8`, in the same order of roundings.
// Launch: 256 threads, a pixel each, at most 16384 blocks.
// Bytes: x once, 4 bytes a pixel. Fraction of roofline: not yet run on a GPU.
#include "rows.cuh"

namespace rgba8 {
// What is no number becomes 0, and is told apart from that.
FN u32 byte_of(float x) { return static_cast<u32>(rintf(fminf(fmaxf(x * 0.5f + 0.5f, 0), 1) * 255)); }

template <class T> FN void all(const Rgba8Args& a) {
    rows::each<1>(a.x.rows, 1, [&](u32 row, u32) {
        const T* x = rows::row_of<T>(a.x, row);
        float red = to_f32(x[0]), green = to_f32(x[1]), blue = to_f32(x[2]);
        // Positive floats are in the order of their bits, so this is the greatest row, whoever comes first.
        if (red != red || green != green || blue != blue) atomic_max_f32(ptr<float>(a.fault), __uint_as_float(row + 1));
        ptr<u32>(a.out)[row] = byte_of(red) | byte_of(green) << 8 | byte_of(blue) << 16 | 0xff000000;
    });
}
}  // namespace rgba8

KERNEL(rgba8_bf16, Rgba8Args, 256, 4) { rgba8::all<bf16>(a); }
KERNEL(rgba8_f32, Rgba8Args, 256, 4) { rgba8::all<float>(a); }
