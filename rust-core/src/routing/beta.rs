//! How sure one can be of a share after so many pictures: a quantile of the beta distribution.
//!
//! Pictures that pass and fail are coin tosses of an unknown coin; after `a` good and `b` bad ones (expected ones
//! included) the share of good ones is distributed as Beta(a, b), the conjugate posterior. Its lower 5 % quantile is the
//! share that it exceeds with 95 % probability.
//!
//! The distribution function is the regularised incomplete beta function, as a continued fraction (DLMF 8.17.22, 8.17.23)
//! on the side where that converges fast (DLMF 8.17.4 gives the other); the logarithm of gamma is Stirling's series
//! (DLMF 5.11.1) after the argument was raised by its recurrence.

/// One in twenty: how often the true share may be smaller than the bound.
const RISK: f64 = 0.05;
/// Beyond so many pictures more of them move the bound by less than it is rounded; the fraction's terms stay few.
const PICTURES_MAX: f64 = 100_000.0;
/// The fraction needs about the square root of [`PICTURES_MAX`] terms.
const TERMS_MAX: u32 = 2_000;

/// The share that Beta(`good`, `bad`) exceeds with 95 % probability, rounded down to a ten-thousandth, so that machines
/// whose logarithms differ in the last bit choose alike. 0 where either is not a positive number.
pub fn lower_bound(good: f64, bad: f64) -> f64 {
    if !(good > 0.0 && bad > 0.0 && good.is_finite() && bad.is_finite()) {
        return 0.0;
    }
    let scale = (PICTURES_MAX / (good + bad)).min(1.0);
    let (a, b) = (good * scale, bad * scale);
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if distribution(middle, a, b) < RISK { low = middle } else { high = middle }
    }
    // What rounding the last bits took from a bound that is exact is given back before it is rounded down.
    ((low * 1e4 + 1e-6).floor() / 1e4).clamp(0.0, 1.0)
}

/// The probability that a share of Beta(a, b) is at most `x`.
fn distribution(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - distribution_below_mean(1.0 - x, b, a);
    }
    distribution_below_mean(x, a, b)
}

fn distribution_below_mean(x: f64, a: f64, b: f64) -> f64 {
    let front = a * x.ln() + b * (-x).ln_1p() + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b);
    (front.exp() / a / fraction(x, a, b)).clamp(0.0, 1.0)
}

/// 1 + d₁/(1 + d₂/(1 + …)), from the front: the numerators and denominators are kept as ratios of neighbours, which
/// neither overflow nor lose digits.
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    let away_from_zero = |number: f64| if number.abs() < 1e-300 { 1e-300 } else { number };
    let (mut value, mut above, mut below) = (1.0, 1.0, 0.0);
    for term in 1..=TERMS_MAX {
        let m = f64::from(term / 2);
        let d = match term % 2 {
            0 => m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            _ => -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        };
        above = away_from_zero(1.0 + d / above);
        below = away_from_zero(1.0 + d * below).recip();
        let step = above * below;
        value *= step;
        if (step - 1.0).abs() < 1e-14 {
            break;
        }
    }
    value
}

fn ln_gamma(z: f64) -> f64 {
    let (mut z, mut raised) = (z, 0.0);
    while z < 12.0 {
        raised += z.ln();
        z += 1.0;
    }
    let inverse = z.recip();
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    (z - 0.5) * z.ln() - z + 0.5 * std::f64::consts::TAU.ln() + series - raised
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_logarithm_of_gamma_is_that_of_factorials() {
        let mut factorial = 1.0_f64;
        for n in 1..=30_u32 {
            let (found, exact) = (ln_gamma(f64::from(n)), factorial.ln());
            assert!((found - exact).abs() < 1e-11 * exact.max(1.0), "{n}: {found} {exact}");
            factorial *= f64::from(n);
        }
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-12);
    }

    /// Shares whose distribution has a closed form: x^a for (a, 1), 1 − (1 − x)^b for (1, b), 3x² − 2x³ for (2, 2).
    #[test]
    fn the_distribution_is_the_closed_form_where_there_is_one() {
        for at in 1..20 {
            let x = f64::from(at) / 20.0;
            for (a, b, exact) in [
                (1.0, 1.0, x),
                (3.0, 1.0, x.powi(3)),
                (50.0, 1.0, x.powi(50)),
                (1.0, 7.0, 1.0 - (1.0 - x).powi(7)),
                (2.0, 2.0, 3.0 * x * x - 2.0 * x.powi(3)),
                (0.5, 0.5, 2.0 / std::f64::consts::PI * x.sqrt().asin()),
            ] {
                let found = distribution(x, a, b);
                assert!((found - exact).abs() < 1e-11, "({a}, {b}) at {x}: {found} {exact}");
            }
        }
    }

    #[test]
    fn the_bound_is_the_known_quantile() {
        let check = |good: f64, bad: f64, expected: f64| {
            assert_eq!(lower_bound(good, bad), expected, "{good} good, {bad} bad");
        };
        // 0.05, and the fiftieth root of it.
        check(1.0, 1.0, 0.05);
        check(50.0, 1.0, 0.9418);
        // 1 − 0.95^(1/3).
        check(1.0, 3.0, 0.0169);
        // 0.13535…, where 3x² − 2x³ is 0.05.
        check(2.0, 2.0, 0.1353);
        // Far from either end it nears the normal distribution: 0.9 − 1.645 · √(0.9 · 0.1 / 100001).
        check(90_000.0, 10_000.0, 0.8984);
        check(9e9, 1e9, 0.8984);
    }

    #[test]
    fn what_is_no_count_is_bounded_by_nothing() {
        for (good, bad) in [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (f64::NAN, 1.0), (f64::INFINITY, 1.0)] {
            assert_eq!(lower_bound(good, bad), 0.0);
        }
    }

    proptest! {
        #[test]
        fn more_good_pictures_never_lower_it(good in 0.1_f64..5e3, bad in 0.1_f64..5e3) {
            let bound = lower_bound(good, bad);
            prop_assert!((0.0..1.0).contains(&bound));
            prop_assert!(lower_bound(good + 1.0, bad) >= bound);
            prop_assert!(lower_bound(good, bad + 1.0) <= bound);
        }
    }
}
