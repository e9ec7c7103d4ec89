//! Colour arithmetic as the eye has it: OKLCh, for making palettes (a dozen colours, never per pixel).
//!
//! All transcendental functions come from `libm`, since those of the standard library differ between systems.

use thumbforge_core::colour::Rgb;

use super::canvas::Colour;

/// Lightness 0..1, chroma 0..0.35, hue in degrees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lch {
    pub(super) l: f32,
    pub(super) c: f32,
    pub(super) h: f32,
}

/// A colour written as `0xrrggbb`.
pub(super) const fn hex(v: u32) -> Colour {
    [(v >> 16 & 255) as f32 / 255.0, (v >> 8 & 255) as f32 / 255.0, (v & 255) as f32 / 255.0, 0.0]
}

/// A brand colour as paint.
pub(super) fn paint(rgb: Rgb) -> Colour {
    let [r, g, b] = rgb.0;
    [f32::from(r) / 255.0, f32::from(g) / 255.0, f32::from(b) / 255.0, 0.0]
}

fn linear(v: f32) -> f32 {
    if v <= 0.040_45 { v / 12.92 } else { libm::powf((v + 0.055) / 1.055, 2.4) }
}

fn encoded(v: f32) -> f32 {
    let v = v.clamp(0.0, 1.0);
    if v <= 0.003_130_8 { v * 12.92 } else { 1.055 * libm::powf(v, 1.0 / 2.4) - 0.055 }
}

impl Lch {
    pub(super) fn of(colour: Colour) -> Self {
        let [r, g, b] = [linear(colour[0]), linear(colour[1]), linear(colour[2])];
        let l = libm::cbrtf(0.412_221_46 * r + 0.536_332_55 * g + 0.051_445_995 * b);
        let m = libm::cbrtf(0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b);
        let s = libm::cbrtf(0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b);
        let light = 0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s;
        let a = 1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s;
        let b = 0.025_904_037 * l + 0.782_771_77 * m - 0.808_675_77 * s;
        Self { l: light, c: (a * a + b * b).sqrt(), h: libm::atan2f(b, a) * (180.0 / core::f32::consts::PI) }
    }

    pub(super) fn colour(self) -> Colour {
        let turn = self.h * (core::f32::consts::PI / 180.0);
        // Chroma gives way until the colour exists on a screen; lightness and hue stay.
        let mut c = self.c;
        for _ in 0..12 {
            let rgb = self.linear_rgb(c * libm::cosf(turn), c * libm::sinf(turn));
            if rgb.iter().all(|v| (-0.002..=1.002).contains(v)) {
                break;
            }
            c *= 0.9;
        }
        let [r, g, b] = self.linear_rgb(c * libm::cosf(turn), c * libm::sinf(turn));
        [encoded(r), encoded(g), encoded(b), 0.0]
    }

    fn linear_rgb(self, a: f32, b: f32) -> [f32; 3] {
        let cube = |v: f32| v * v * v;
        let l = cube(self.l + 0.396_337_78 * a + 0.215_803_76 * b);
        let m = cube(self.l - 0.105_561_346 * a - 0.063_854_17 * b);
        let s = cube(self.l - 0.089_484_18 * a - 1.291_485_5 * b);
        [
            4.076_741_7 * l - 3.307_711_6 * m + 0.230_969_94 * s,
            -1.268_438 * l + 2.609_757_4 * m - 0.341_319_4 * s,
            -0.004_196_086_3 * l - 0.703_418_6 * m + 1.707_614_7 * s,
        ]
    }
}

/// The colour with its lightness, chroma and hue changed.
pub(super) fn shift(colour: Colour, light: f32, chroma: f32, hue: f32) -> Colour {
    let lch = Lch::of(colour);
    Lch { l: (lch.l + light).clamp(0.02, 0.99), c: lch.c * chroma, h: lch.h + hue }.colour()
}

/// The colour at a lightness.
pub(super) fn at_light(colour: Colour, l: f32) -> Colour {
    Lch { l, ..Lch::of(colour) }.colour()
}
