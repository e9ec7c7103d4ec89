//! Noise by counting.

use std::f64::consts::TAU;

/// Philox4x32 with ten rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") and Box–Muller.
///
/// A number is a function of seed, draw and place alone, so any part of a draw can be had without the rest. For number
/// `i` of draw `d`, both from 0, the four words `w` are Philox of
///
/// ```text
/// counter = (low half of i/4, high half of i/4, low half of d, high half of d)
/// key     = (low half of the seed, high half of the seed)
/// ```
/// and the four numbers of this counter are, in doubles rounded to singles at the end, with `j` 0 and 2,
///
/// ```text
/// r = √(-2 ln((w[j] + 1) / 2³²))     θ = 2π w[j+1] / 2³²
/// number j = r cos θ                 number j + 1 = r sin θ
/// ```
/// Logarithm, sine and cosine are those of the `libm` crate, not of the system, so machines agree to the bit.
#[derive(Debug, Clone)]
pub struct Philox {
    seed: u64,
    draw: u64,
}

impl Philox {
    /// Before its first draw.
    pub fn new(seed: u64) -> Self {
        Self { seed, draw: 0 }
    }

    /// The next draw.
    pub fn fill(&mut self, to: &mut [f32]) {
        for (block, to) in to.chunks_mut(4).enumerate() {
            to.copy_from_slice(&self.four(block as u64)[..to.len()]);
        }
        self.draw += 1;
    }

    /// Numbers `4 · block` and on of this draw.
    fn four(&self, block: u64) -> [f32; 4] {
        let halves = |number: u64| [number as u32, (number >> 32) as u32];
        let ([a, b], [c, d]) = (halves(block), halves(self.draw));
        let words = philox([a, b, c, d], halves(self.seed));
        let [first, second] = pair(words[0], words[1]);
        let [third, fourth] = pair(words[2], words[3]);
        [first, second, third, fourth]
    }
}

/// Two Gaussian numbers of two even ones (Box and Muller 1958).
fn pair(radius: u32, angle: u32) -> [f32; 2] {
    const ALL: f64 = 4_294_967_296.0;
    let radius = libm::sqrt(-2.0 * libm::log((f64::from(radius) + 1.0) / ALL));
    let angle = TAU * (f64::from(angle) / ALL);
    [(radius * libm::cos(angle)) as f32, (radius * libm::sin(angle)) as f32]
}

pub(super) fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    const ROUNDS: usize = 10;
    let product = |a: u32, b: u32| {
        let wide = u64::from(a) * u64::from(b);
        ((wide >> 32) as u32, wide as u32)
    };
    for _ in 0..ROUNDS {
        let (high_a, low_a) = product(0xD251_1F53, counter[0]);
        let (high_b, low_b) = product(0xCD9E_8D57, counter[2]);
        counter = [high_b ^ counter[1] ^ key[0], low_b, high_a ^ counter[3] ^ key[1], low_a];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}
