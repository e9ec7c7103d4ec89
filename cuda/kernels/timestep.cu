// out[r][i] = cos(t[r] · f(i)), out[r][half + i] = sin(t[r] · f(i)), f(i) = 10000^(-i / half)
//
// Shapes: t [rows, 1] singles; out [rows, 2 · half]; rows `stride` apart.
// CPU reference: plain.rs `Op::Timestep`: logarithm, exponent, f and angle are singles, each rounded as there. An ulp of f
//   moves an angle of 1000 by 6e-5, so exponential, cosine and sine are taken in doubles: right to the single's last bit.
// Launch: 256 threads, a frequency of a row each. A few thousand numbers: bound by the launch.
// Fraction of roofline: not yet run on a GPU.
#include "rows.cuh"

namespace timestep {
// Cosine and sine of x, |x| up to 2^20: x less a multiple of π/2, in two parts so that no digit is lost, by the series.
FN void waves(double x, float& cosine, float& sine) {
    double turns = rint(x * 0.63661977236758134);
    double r = (x - turns * 1.5707963267341256) - turns * 6.0771005065061922e-11;
    double s = r * r;
    double sin_r = r * (1 + s * (-1.0 / 6 + s * (1.0 / 120 + s * (-1.0 / 5040 + s * (1.0 / 362880 + s * (-1.0 / 39916800))))));
    double cos_r = 1 + s * (-0.5 + s * (1.0 / 24 + s * (-1.0 / 720 + s * (1.0 / 40320 + s * (-1.0 / 3628800 + s / 479001600)))));
    u32 quarter = static_cast<u32>(static_cast<i32>(turns)) % 4;
    double c = quarter % 2 ? sin_r : cos_r, d = quarter % 2 ? cos_r : sin_r;
    cosine = static_cast<float>(quarter == 1 || quarter == 2 ? -c : c);
    sine = static_cast<float>(quarter >= 2 ? -d : d);
}

template <class T> FN void all(const TimestepArgs& a) {
    u32 half = a.out.cols / 2;
    rows::each<1>(a.out.rows, half, [&](u32 row, u32 i) {
        float power = -9.2103404f * float(i) / float(half);
        float frequency = static_cast<float>(exp(static_cast<double>(power)));
        float angle = *rows::row_of<float>(a.t, row) * frequency;
        float cosine, sine;
        waves(angle, cosine, sine);
        T* out = rows::row_of<T>(a.out, row);
        out[i] = of_f32<T>(cosine);
        out[half + i] = of_f32<T>(sine);
    });
}
}  // namespace timestep

KERNEL(timestep_bf16, TimestepArgs, 256, 1) { timestep::all<bf16>(a); }
KERNEL(timestep_f32, TimestepArgs, 256, 1) { timestep::all<float>(a); }
