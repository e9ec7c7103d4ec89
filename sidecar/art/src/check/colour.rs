//! Colours as people see them: relative luminance, CIELAB, and how far two colours are apart.

use std::sync::OnceLock;

use thumbforge_core::colour::Rgb;

/// Light of a channel's value, 0 to 1 (IEC 61966-2-1).
pub(super) fn linear(value: u8) -> f64 {
    static LINEAR: OnceLock<[f64; 256]> = OnceLock::new();
    let linear = LINEAR.get_or_init(|| {
        std::array::from_fn(|value| {
            let value = value as f64 / 255.0;
            if value <= 0.04045 { value / 12.92 } else { libm::pow((value + 0.055) / 1.055, 2.4) }
        })
    });
    linear[usize::from(value)]
}

/// Relative luminance of WCAG 2.x, 0 to 1.
pub(super) fn luminance(Rgb([r, g, b]): Rgb) -> f64 {
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}

/// Contrast ratio of two luminances, 1 to 21.
pub(super) fn ratio(a: f64, b: f64) -> f64 {
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// A colour of CIELAB under D65: L* from 0 to 100, a* and b* about ±128.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Lab {
    pub(super) l: f64,
    pub(super) a: f64,
    pub(super) b: f64,
}

impl From<Rgb> for Lab {
    fn from(Rgb([r, g, b]): Rgb) -> Self {
        let [r, g, b] = [r, g, b].map(linear);
        // The matrix of sRGB, each row divided by the white point of D65 (0.95047, 1, 1.08883).
        let x = (0.412_456_4 * r + 0.357_576_1 * g + 0.180_437_5 * b) / 0.950_47;
        let y = 0.212_672_9 * r + 0.715_152_2 * g + 0.072_175 * b;
        let z = (0.019_333_9 * r + 0.119_192 * g + 0.950_304_1 * b) / 1.088_83;
        let [x, y, z] = [x, y, z].map(|t| {
            // CIE 15: a cube root, and a straight line where it would be steep.
            if t > 216.0 / 24389.0 { libm::cbrt(t) } else { (24389.0 / 27.0 * t + 16.0) / 116.0 }
        });
        Self { l: 116.0 * y - 16.0, a: 500.0 * (x - y), b: 200.0 * (y - z) }
    }
}

/// CIEDE2000 with all weights 1 (CIE 142-2001), by the steps of Sharma, Wu and Dalal (2005).
pub(super) fn delta_e(one: Lab, other: Lab) -> f64 {
    let seventh = |chroma: f64| {
        let power = libm::pow(chroma, 7.0);
        libm::sqrt(power / (power + 6_103_515_625.0)) // 25^7
    };
    let mean_chroma = (libm::hypot(one.a, one.b) + libm::hypot(other.a, other.b)) / 2.0;
    let stretch = 1.0 + 0.5 * (1.0 - seventh(mean_chroma));
    let polar = |lab: Lab| {
        let a = stretch * lab.a;
        let hue = if a == 0.0 && lab.b == 0.0 { 0.0 } else { libm::atan2(lab.b, a).to_degrees() };
        (libm::hypot(a, lab.b), if hue < 0.0 { hue + 360.0 } else { hue })
    };
    let ((c1, h1), (c2, h2)) = (polar(one), polar(other));
    let grey = c1 * c2 == 0.0;
    let turn = match h2 - h1 {
        _ if grey => 0.0,
        by if by > 180.0 => by - 360.0,
        by if by < -180.0 => by + 360.0,
        by => by,
    };
    let (dl, dc) = (other.l - one.l, c2 - c1);
    let dh = 2.0 * libm::sqrt(c1 * c2) * libm::sin((turn / 2.0).to_radians());
    let (l, c) = ((one.l + other.l) / 2.0, (c1 + c2) / 2.0);
    let h = match h1 + h2 {
        sum if grey => sum,
        sum if (h1 - h2).abs() <= 180.0 => sum / 2.0,
        sum if sum < 360.0 => (sum + 360.0) / 2.0,
        sum => (sum - 360.0) / 2.0,
    };
    let cos = |degrees: f64| libm::cos(degrees.to_radians());
    let t = 1.0 - 0.17 * cos(h - 30.0) + 0.24 * cos(2.0 * h) + 0.32 * cos(3.0 * h + 6.0) - 0.20 * cos(4.0 * h - 63.0);
    let (from_50, from_blue) = ((l - 50.0) * (l - 50.0), (h - 275.0) / 25.0);
    let sl = 1.0 + 0.015 * from_50 / libm::sqrt(20.0 + from_50);
    let (sc, sh) = (1.0 + 0.045 * c, 1.0 + 0.015 * c * t);
    let turned = -libm::sin((60.0 * libm::exp(-from_blue * from_blue)).to_radians()) * 2.0 * seventh(c);
    let (dl, dc, dh) = (dl / sl, dc / sc, dh / sh);
    libm::sqrt((dl * dl + dc * dc + dh * dh + turned * dc * dh).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published test pairs, which were chosen so that every branch of the formula decides one.
    #[test]
    fn differences_are_those_of_the_published_pairs() {
        let check = |one: [f64; 3], other: [f64; 3], expected: f64| {
            let lab = |[l, a, b]: [f64; 3]| Lab { l, a, b };
            for (one, other) in [(one, other), (other, one)] {
                let found = delta_e(lab(one), lab(other));
                assert!((found - expected).abs() < 5e-5, "{one:?} {other:?}: {found} for {expected}");
            }
        };
        let blue = [50.0, 0.0, -82.7485];
        check([50.0, 2.6772, -79.7751], blue, 2.0425);
        check([50.0, 3.1571, -77.2803], blue, 2.8615);
        check([50.0, 2.8361, -74.0200], blue, 3.4412);
        check([50.0, -1.3802, -84.2814], blue, 1.0000);
        check([50.0, -1.1848, -84.8006], blue, 1.0000);
        check([50.0, -0.9009, -85.5211], blue, 1.0000);
        check([50.0, 0.0, 0.0], [50.0, -1.0, 2.0], 2.3669);
        check([50.0, 2.4900, -0.0010], [50.0, -2.4900, 0.0009], 7.1792);
        check([50.0, 2.4900, -0.0010], [50.0, -2.4900, 0.0010], 7.1792);
        check([50.0, 2.4900, -0.0010], [50.0, -2.4900, 0.0011], 7.2195);
        check([50.0, 2.4900, -0.0010], [50.0, -2.4900, 0.0012], 7.2195);
        check([50.0, -0.0010, 2.4900], [50.0, 0.0009, -2.4900], 4.8045);
        check([50.0, -0.0010, 2.4900], [50.0, 0.0010, -2.4900], 4.8045);
        check([50.0, -0.0010, 2.4900], [50.0, 0.0011, -2.4900], 4.7461);
        let red = [50.0, 2.5, 0.0];
        check(red, [50.0, 0.0, -2.5], 4.3065);
        check(red, [73.0, 25.0, -18.0], 27.1492);
        check(red, [61.0, -5.0, 29.0], 22.8977);
        check(red, [56.0, -27.0, -3.0], 31.9030);
        check(red, [58.0, 24.0, 15.0], 19.4535);
        check(red, [50.0, 3.1736, 0.5854], 1.0000);
        check(red, [50.0, 3.2972, 0.0], 1.0000);
        check(red, [50.0, 1.8634, 0.5757], 1.0000);
        check(red, [50.0, 3.2592, 0.3350], 1.0000);
        check([60.2574, -34.0099, 36.2677], [60.4626, -34.1751, 39.4387], 1.2644);
        check([63.0109, -31.0961, -5.8663], [62.8187, -29.7946, -4.0864], 1.2630);
        check([61.2901, 3.7196, -5.3901], [61.4292, 2.2480, -4.9620], 1.8731);
        check([35.0831, -44.1164, 3.7933], [35.0232, -40.0716, 1.5901], 1.8645);
        check([22.7233, 20.0904, -46.6940], [23.0331, 14.9730, -42.5619], 2.0373);
        check([36.4612, 47.8580, 18.3852], [36.2715, 50.5065, 21.2231], 1.4146);
        check([90.8027, -2.0831, 1.4410], [91.1528, -1.6435, 0.0447], 1.4441);
        check([90.9257, -0.5406, -0.9208], [88.6381, -0.8985, -0.7239], 1.5381);
        check([6.7747, -0.2908, -2.4247], [5.8714, -0.0985, -2.2286], 0.6377);
        check([2.0776, 0.0795, -1.1350], [0.9033, -0.0636, -0.5514], 0.9082);
    }

    #[test]
    fn colours_of_srgb_have_their_places() {
        let check = |rgb: [u8; 3], expected: [f64; 3]| {
            let Lab { l, a, b } = Rgb(rgb).into();
            for (found, expected) in [l, a, b].into_iter().zip(expected) {
                assert!((found - expected).abs() < 0.02, "{rgb:?}: {l} {a} {b}");
            }
        };
        check([0; 3], [0.0, 0.0, 0.0]);
        check([255; 3], [100.0, 0.0, 0.0]);
        check([255, 0, 0], [53.24, 80.09, 67.20]);
        check([0, 255, 0], [87.73, -86.18, 83.18]);
        check([0, 0, 255], [32.30, 79.19, -107.86]);
    }
}
