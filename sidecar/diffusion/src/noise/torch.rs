//! The noise of PyTorch's CPU generator, bit for bit.

use std::f64::consts::TAU;

/// `torch.randn(n, generator=torch.Generator("cpu").manual_seed(seed), dtype=torch.float32)`, and what the same generator
/// gives when it is asked again. diffusers draws latents so, and ComfyUI too, so a seed is worth something across tools.
///
/// Even numbers come from MT19937 (Matsumoto and Nishimura 1998); of a seed it takes the low 32 bits. What is made of
/// them depends on how many are asked for, as in `aten/src/ATen/native/cpu/DistributionTemplates.h`:
///
/// * 16 and more: a word for each number, of which 24 bits are used; then every 16 become Gaussian, 8 radii with 8 angles.
///   Where 16 does not divide the count, the last 16 are drawn and made anew, over what was there.
/// * Fewer: pairs in doubles of four words each, of which the second waits for the next such draw.
///
/// PyTorch has two ways for the former: with AVX2, and so on every x86 of the last ten years (there is none with AVX-512),
/// it has its own logarithm, sine and cosine in singles, made after the Cephes library; elsewhere it asks the C library.
/// This is the former, with the products and sums that the compiler of PyTorch's Linux builds fuses: it agrees to the last
/// bit with 2.11 there. Words and angles are the same for the others, so theirs differ by roundings.
#[derive(Debug, Clone)]
pub struct TorchCpu {
    twister: Twister,
    waiting: Option<f64>,
}

/// How many numbers are made together.
const BLOCK: usize = 16;

impl TorchCpu {
    /// After `manual_seed`.
    pub fn new(seed: u64) -> Self {
        Self { twister: Twister::new(seed as u32), waiting: None }
    }

    /// The next draw.
    pub fn fill(&mut self, to: &mut [f32]) {
        if to.len() < BLOCK {
            to.iter_mut().for_each(|number| *number = self.one() as f32);
            return;
        }
        to.iter_mut().for_each(|number| *number = self.even());
        to.as_chunks_mut::<BLOCK>().0.iter_mut().for_each(gaussian);
        let ragged = !to.len().is_multiple_of(BLOCK);
        if let (true, Some(last)) = (ragged, to.last_chunk_mut::<BLOCK>()) {
            last.iter_mut().for_each(|number| *number = self.even());
            gaussian(last);
        }
    }

    /// In [0, 1), a multiple of 2⁻²⁴.
    fn even(&mut self) -> f32 {
        (self.twister.word() & 0xFF_FFFF) as f32 / 16_777_216.0
    }

    /// In [0, 1), a multiple of 2⁻⁵³.
    fn even_double(&mut self) -> f64 {
        let (high, low) = (self.twister.word(), self.twister.word());
        let bits = (u64::from(high) << 32 | u64::from(low)) & ((1 << 53) - 1);
        bits as f64 / 9_007_199_254_740_992.0
    }

    /// A Gaussian number of a small draw.
    fn one(&mut self) -> f64 {
        if let Some(waiting) = self.waiting.take() {
            return waiting;
        }
        let (angle, radius) = (TAU * self.even_double(), self.even_double());
        let radius = libm::sqrt(-2.0 * libm::log1p(-radius));
        self.waiting = Some(radius * libm::sin(angle));
        radius * libm::cos(angle)
    }
}

/// 16 even numbers become Gaussian: the first eight are radii, the others angles.
fn gaussian(numbers: &mut [f32; BLOCK]) {
    for at in 0..BLOCK / 2 {
        let radius = (-2.0 * log(1.0 - numbers[at])).sqrt();
        let (sin, cos) = sin_cos(std::f32::consts::TAU * numbers[at + BLOCK / 2]);
        // Torch adds the mean here, and so makes positive zeros of negative ones.
        numbers[at] = radius * cos + 0.0;
        numbers[at + BLOCK / 2] = radius * sin + 0.0;
    }
}

/// A polynomial by Horner's rule, the highest power first, with one rounding a power.
fn polynomial<const N: usize>(x: f32, of: [f32; N]) -> f32 {
    of.into_iter().reduce(|sum, term| sum.mul_add(x, term)).unwrap_or_default()
}

/// ln x for x in (0, 1], as Cephes' `logf`: x = 2^e (1 + t) with 1 + t in [√½, √2), and the logarithm of 1 + t is
/// t - t²/2 + t³ P(t). ln 2 has two parts, of which the larger is exact in few bits.
fn log(x: f32) -> f32 {
    const P: [f32; 9] = [
        7.037_683_6e-2,
        -1.151_461e-1,
        0.116_769_984,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        0.200_007_14,
        -2.499_999_4e-1,
        0.333_333_3,
    ];
    let exponent = (x.to_bits() >> 23) as f32 - 126.0;
    let mantissa = f32::from_bits(x.to_bits() & 0x007F_FFFF | 0x3F00_0000);
    let (e, t) = match mantissa < std::f32::consts::FRAC_1_SQRT_2 {
        true => (exponent - 1.0, mantissa - 1.0 + mantissa),
        false => (exponent, mantissa - 1.0),
    };
    let square = t * t;
    let y = (polynomial(t, P) * t).mul_add(square, e * -2.121_944_4e-4);
    let y = (-0.5f32).mul_add(square, y);
    e.mul_add(355.0 / 512.0, t + y)
}

/// Sine and cosine for x in [0, 2π], as Cephes' `sinf` and `cosf`: the eighth of the circle says which polynomial and
/// which sign, and π/4 has three parts.
fn sin_cos(x: f32) -> (f32, f32) {
    let octant = ((x * 1.273_239_5) as i32 + 1) & !1;
    let turns = octant as f32;
    let x = turns.mul_add(-0.785_156_25, x);
    let x = turns.mul_add(-2.418_756_5e-4, x);
    let x = turns.mul_add(-3.774_895e-8, x);
    let square = x * x;
    let cos = polynomial(square, [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2]) * square;
    let cos = cos.mul_add(square, -(square * 0.5)) + 1.0;
    let sin = polynomial(square, [-1.951_529_6e-4, 8.332_161e-3, -1.666_665_5e-1]) * square;
    let sin = sin.mul_add(x, x);
    let (sin, cos) = if octant & 2 == 0 { (sin, cos) } else { (cos, sin) };
    let signed = |number: f32, negative: bool| if negative { -number } else { number };
    (signed(sin, octant & 4 != 0), signed(cos, (octant - 2) & 4 == 0))
}

/// MT19937.
#[derive(Debug, Clone)]
struct Twister {
    state: [u32; Self::WORDS],
    next: usize,
}

impl Twister {
    const WORDS: usize = 624;
    const AHEAD: usize = 397;

    fn new(seed: u32) -> Self {
        let mut state = [seed; Self::WORDS];
        for at in 1..Self::WORDS {
            let before = state[at - 1] ^ (state[at - 1] >> 30);
            state[at] = before.wrapping_mul(1_812_433_253).wrapping_add(at as u32);
        }
        Self { state, next: Self::WORDS }
    }

    fn word(&mut self) -> u32 {
        if self.next == Self::WORDS {
            self.twist();
        }
        let word = self.state[self.next];
        self.next += 1;
        let word = word ^ (word >> 11);
        let word = word ^ (word << 7 & 0x9D2C_5680);
        let word = word ^ (word << 15 & 0xEFC6_0000);
        word ^ (word >> 18)
    }

    fn twist(&mut self) {
        for at in 0..Self::WORDS {
            let (upper, lower) = (self.state[at] & 0x8000_0000, self.state[(at + 1) % Self::WORDS] & 0x7FFF_FFFF);
            let mixed = upper | lower;
            let twisted = (mixed >> 1) ^ if mixed & 1 == 0 { 0 } else { 0x9908_B0DF };
            self.state[at] = self.state[(at + Self::AHEAD) % Self::WORDS] ^ twisted;
        }
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_zero_is_negative() {
        // A radius of none, which one draw in 16 million has, is a negative zero before the mean is added.
        let mut numbers = [0.0; BLOCK];
        numbers[BLOCK - 4] = 0.75;
        gaussian(&mut numbers);
        assert_eq!(numbers.map(f32::to_bits), [0; BLOCK]);
    }
}
