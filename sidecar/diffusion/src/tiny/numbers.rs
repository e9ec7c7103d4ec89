//! Numbers from names: the same bits in Rust and in numpy.

/// Deviation of a sum of four evenly spread 16-bit numbers: 65536/√3.
const DEVIATION: f64 = 37_837.227_210_4;
/// The mean of that sum.
const MEAN: i32 = 131_070;

/// Pieces of the names of what is made faint.
const FAINT: [&str; 7] = ["pos_embed", "x_embedder", "context_embedder", ".qkv.", "shared", "_embedding.", "conv_in"];

/// The weights of a tensor. Which spread they have follows from its name and shape alone.
pub(super) fn weights(seed: u64, faint: f64, part: &str, name: &str, shape: &[usize]) -> Vec<f32> {
    let (mean, mut deviation) = spread(name, shape);
    if FAINT.iter().any(|piece| name.contains(piece)) {
        deviation *= faint;
    }
    let mut values = gauss(seed, &format!("{part}/{name}"), shape.iter().product(), deviation);
    if mean != 0.0 {
        for value in &mut values {
            *value += mean;
        }
    }
    values
}

/// `count` numbers around 0 that `seed` and `name` decide.
pub fn gauss(seed: u64, name: &str, count: usize, deviation: f64) -> Vec<f32> {
    // FNV-1a, 64 bits.
    let name = name
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3));
    let start = name ^ seed.wrapping_mul(0xD134_2543_DE82_EF95);
    let factor = (deviation / DEVIATION) as f32;
    (1..=count as u64)
        .map(|place| sum(start.wrapping_add(place.wrapping_mul(0x9E37_79B9_7F4A_7C15))) as f32 * factor)
        .collect()
}

/// The four quarters of splitmix64's output, summed, less their mean.
fn sum(state: u64) -> i32 {
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let mixed = mixed ^ (mixed >> 31);
    (0..4).map(|quarter| ((mixed >> (16 * quarter)) & 0xFFFF) as i32).sum::<i32>() - MEAN
}

/// Mean and deviation of a tensor's numbers.
pub(super) fn spread(name: &str, shape: &[usize]) -> (f32, f64) {
    if shape.len() == 1 {
        return if name.ends_with(".bias") { (0.0, 0.1) } else { (1.0, 0.2) };
    }
    // Tables are looked up, not multiplied with.
    if name == "pos_embed" || name == "shared.weight" || name.contains("_embedding.") {
        return (0.0, 0.5);
    }
    if name.contains("relative_attention_bias") {
        return (0.0, 1.0);
    }
    // T5 does not divide scores by the root of the head's size; trained q weights are that much smaller.
    let gain = if name.ends_with("SelfAttention.q.weight") {
        0.25
    } else if name == "decoder.conv_out.weight" {
        // Most of the picture stays within -1 and 1, so that little is hidden by clamping.
        0.5
    } else {
        1.0
    };
    (0.0, gain / (shape[1..].iter().product::<usize>() as f64).sqrt())
}
