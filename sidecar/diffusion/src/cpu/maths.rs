//! Functions of one number, free of branches and calls, so that loops over them become vectors.
//!
//! They multiply and add in single precision without fusing the two: every set of instructions gives the same bits.

use crate::graph::Act;

/// eˣ with a relative error below 2e-7; 0 below -86.9, infinity above 88.7, NaN of NaN.
///
/// x = n ln 2 + r with |r| ≤ ln 2 / 2: 2ⁿ is put together from bits, eʳ is a polynomial (least maximal error over the
/// interval, of degree 6: 3.1e-9 before rounding).
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Written so that a NaN is neither smaller nor larger and passes.
    let held = if x < -86.9 { -86.9 } else { x };
    let held = if held > 88.8 { 88.8 } else { held };
    // Adding 1.5 · 2²³ leaves the nearest whole number in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = held * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two pieces, of which the first has few bits, so that its product with n is exact.
    let r = (held - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let mut p = 1.381_460_1e-3;
    p = p * r + 8.368_716e-3;
    p = p * r + 4.166_839e-2;
    p = p * r + 0.166_665_21;
    p = p * r + 0.499_999_94;
    p = p * (r * r) + r + 1.0;
    // 2ⁿ as 2ⁿ⁻¹ · 2, because 2¹²⁸ has no place in a single.
    let power = f32::from_bits((shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(126)) << 23);
    let y = p * power * 2.0;
    if x < -86.9 { 0.0 } else { y }
}

/// The error function with an absolute error below 5e-7.
///
/// erfc(x) = t P(t) e^(-x²) for x ≥ 0 with t = 1 / (1 + 0.4 x): the form of Abramowitz and Stegun 7.1.26, with a
/// polynomial of our own of degree 6 (least maximal error, 7.6e-9 before rounding).
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    let size = x.abs();
    let t = 1.0 / (1.0 + 0.4 * size);
    let mut p = 0.030_294_077;
    p = p * t - 0.349_839_48;
    p = p * t + 1.015_170_9;
    p = p * t - 0.702_886_2;
    p = p * t + 0.669_628_1;
    p = p * t + 0.097_097_67;
    p = p * t + 0.240_534_96;
    let y = 1.0 - p * t * exp(-(x * x));
    y.copysign(x)
}

/// An activation.
#[inline(always)]
pub(super) fn act(act: Act, x: f32) -> f32 {
    match act {
        Act::Silu => x / (1.0 + exp(-x)),
        Act::QuickGelu => x / (1.0 + exp(-1.702 * x)),
        Act::Gelu => 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2)),
        // (1 + tanh u) / 2 = 1 / (1 + e^(-2u))
        Act::GeluTanh => x / (1.0 + exp(-1.595_769 * (x + 0.044_715 * x * x * x))),
    }
}

/// Activates every number of `row`, with the choice outside of the loop.
#[inline(always)]
pub(super) fn act_row(kind: Act, row: &mut [f32]) {
    match kind {
        Act::Silu => row.iter_mut().for_each(|x| *x = act(Act::Silu, *x)),
        Act::Gelu => row.iter_mut().for_each(|x| *x = act(Act::Gelu, *x)),
        Act::GeluTanh => row.iter_mut().for_each(|x| *x = act(Act::GeluTanh, *x)),
        Act::QuickGelu => row.iter_mut().for_each(|x| *x = act(Act::QuickGelu, *x)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers over all that a function meets, close together.
    fn grid(from: f32, to: f32) -> impl Iterator<Item = f32> {
        (0..400_000).map(move |at| from + (to - from) * at as f32 / 399_999.0)
    }

    #[test]
    fn exp_is_as_close_as_it_says() {
        for x in grid(-86.8, 88.0) {
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) - exact).abs() <= 2e-7 * exact, "{x}: {} {exact}", exp(x));
        }
        for (x, y) in
            [(0.0, 1.0), (-100.0, 0.0), (f32::NEG_INFINITY, 0.0), (89.0, f32::INFINITY), (200.0, f32::INFINITY)]
        {
            assert_eq!(exp(x), y, "{x}");
        }
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn erf_is_as_close_as_it_says() {
        for x in grid(-6.0, 6.0) {
            let exact = libm::erf(f64::from(x));
            assert!((f64::from(erf(x)) - exact).abs() <= 5e-7, "{x}: {} {exact}", erf(x));
        }
        assert!(erf(f32::NAN).is_nan());
        assert_eq!((erf(f32::INFINITY), erf(f32::NEG_INFINITY)), (1.0, -1.0));
    }

    #[test]
    fn activations_are_those_of_the_plain_device() {
        for kind in [Act::Silu, Act::Gelu, Act::GeluTanh, Act::QuickGelu] {
            for x in grid(-20.0, 20.0) {
                let (ours, plain) = (act(kind, x), crate::plain::act(kind, x));
                assert!((ours - plain).abs() <= 1e-6 * (1.0 + x.abs()), "{kind:?} {x}: {ours} {plain}");
            }
            assert!(act(kind, f32::NAN).is_nan());
        }
    }
}
