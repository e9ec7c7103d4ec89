//! A picture on its way, for people who watch: each latent pixel as one pixel, by a linear fit of the autoencoder.
//!
//! It costs 48 products a pixel where the autoencoder needs a billion, and shows composition and colours. What it is
//! given should be the picture that the model sees in the latents ([`crate::sampler::denoised`]), not the latents.

use serde::Deserialize;

const FACTORS: &str = include_str!("preview.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Factors {
    channels: Vec<[f32; 3]>,
}

/// Red, green and blue of every pixel, in sRGB, of the latents `[channels, pixels]` of one picture as the transformer
/// sees them. `None` where they are not of this many pixels and the 16 channels that the fit is for.
///
/// # Panics
/// Never in a build whose tests passed: the embedded file is read by one.
pub fn rgb8(latents: &[f32], pixels: usize) -> Option<Vec<u8>> {
    #[expect(clippy::expect_used, reason = "the embedded table is read by a unit test")]
    let factors: Factors = toml::from_str(FACTORS).expect("the embedded table is read by a unit test");
    if pixels == 0 || Some(latents.len()) != factors.channels.len().checked_mul(pixels) {
        return None;
    }
    let mut picture = vec![[0.0f32; 3]; pixels];
    for (channel, worth) in latents.chunks_exact(pixels).zip(&factors.channels) {
        for (pixel, x) in picture.iter_mut().zip(channel) {
            pixel.iter_mut().zip(worth).for_each(|(to, worth)| *to += x * worth);
        }
    }
    // A conversion to u8 saturates, and makes 0 of what is no number.
    Some(picture.as_flattened().iter().map(|colour| ((colour + 1.0) * 127.5).round() as u8).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two pixels, of which the second has `x` in one channel and is else nothing.
    #[track_caller]
    fn check(channel: usize, x: f32, expected: [u8; 3]) {
        let mut latents = vec![0.0; 16 * 2];
        latents[channel * 2 + 1] = x;
        let rgb = rgb8(&latents, 2).unwrap();
        assert_eq!(rgb[..3], [128; 3], "nothing is grey");
        assert_eq!(rgb[3..], expected);
    }

    #[test]
    fn channels_are_worth_their_colours() {
        check(0, 4.0, [95, 137, 181]);
        check(5, 4.0, [126, 189, 142]);
        check(15, 4.0, [55, 53, 63]);
        check(15, -4.0, [200, 202, 192]);
        check(15, 100.0, [0; 3]);
        check(15, -100.0, [255; 3]);
        check(2, f32::NAN, [0; 3]);
    }

    #[test]
    fn other_latents_have_no_preview() {
        assert_eq!(rgb8(&[0.0; 32], 0), None);
        assert_eq!(rgb8(&[0.0; 31], 2), None);
        assert_eq!(rgb8(&[0.0; 4 * 2], 2), None);
        assert_eq!(rgb8(&[], 0), None);
        assert_eq!(rgb8(&[0.0; 32], usize::MAX), None);
    }
}
