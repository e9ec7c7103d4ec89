//! Which compiled image a card gets. Images are made by `cargo run -p thumbforge-cuda-compile` and lie in `cuda/cubins`.
//!
//! An image runs on cards of its own major version whose minor version is the same or higher ("Binary Compatibility" in
//! NVIDIA's CUDA C++ Programming Guide); one with a letter behind its version runs on that version alone. Nothing is
//! compiled on a user's machine, so a card between or behind these versions is told apart instead.

use thiserror::Error;

#[cfg(test)]
mod tests;

/// Bytes of an unpacked image: ours have a few million, and a damaged one must not take the memory.
const IMAGE_BYTES_MAX: usize = 64 << 20;

/// A compiled image.
struct Packed {
    /// The architecture as compilers have it, behind `sm_`.
    card: &'static str,
    /// Compute capability: major, minor.
    capability: (u32, u32),
    /// Runs on this version alone.
    alone: bool,
    /// Packed as zlib has it.
    bytes: &'static [u8],
}

macro_rules! packed {
    ($($card:literal $major:literal.$minor:literal $alone:literal),* $(,)?) => {
        /// By rising capability.
        const IMAGES: &[Packed] = &[$(Packed {
            card: $card,
            capability: ($major, $minor),
            alone: $alone,
            bytes: include_bytes!(concat!("../cubins/sm_", $card, ".z")),
        }),*];
    };
}
packed!(
    "75" 7 . 5 false,
    "80" 8 . 0 false,
    "86" 8 . 6 false,
    "89" 8 . 9 false,
    "90a" 9 . 0 true,
    "100" 10 . 0 false,
    "120" 12 . 0 false,
);

/// An image that a card takes.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    /// The architecture that it was compiled for, behind `sm_`.
    pub card: &'static str,
    /// As the driver takes it.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Image(sm_{}, {} bytes)", self.card, self.bytes.len())
    }
}

/// Why a card gets no image.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CubinError {
    /// It is older than all that are served.
    #[error(
        "draw on a card of compute capability {major}.{minor}: 7.5 is the oldest that is served (GeForce RTX 20 and GTX \
         16, Quadro RTX, T4); draw on the processor"
    )]
    CardTooOld {
        /// Of its compute capability.
        major: u32,
        /// Of its compute capability.
        minor: u32,
    },
    /// No image was compiled for its kind when this program was made.
    #[error(
        "draw on a card of compute capability {major}.{minor}: this version knows {known}; update Thumbforge, or draw on \
         the processor"
    )]
    CardTooNew {
        /// Of its compute capability.
        major: u32,
        /// Of its compute capability.
        minor: u32,
        /// What is served.
        known: String,
    },
    /// The program's own bytes are damaged.
    #[error("unpack the kernels for sm_{card}: {reason}; install Thumbforge again")]
    Damaged {
        /// The architecture.
        card: &'static str,
        /// What the unpacker says.
        reason: String,
    },
}

/// Which image a card of this compute capability takes.
fn find((major, minor): (u32, u32)) -> Result<&'static Packed, CubinError> {
    let oldest = IMAGES.first().map_or((0, 0), |image| image.capability);
    if (major, minor) < oldest {
        return Err(CubinError::CardTooOld { major, minor });
    }
    let takes = |image: &&Packed| match image.alone {
        true => image.capability == (major, minor),
        false => image.capability.0 == major && image.capability.1 <= minor,
    };
    let known = || {
        let one = |image: &Packed| {
            let (major, minor) = image.capability;
            format!("{major}.{minor}{}", if image.alone { "" } else { "+" })
        };
        IMAGES.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    IMAGES.iter().rev().find(takes).ok_or_else(|| CubinError::CardTooNew { major, minor, known: known() })
}

/// The architecture, behind `sm_`, whose image a card of this compute capability takes.
///
/// # Errors
/// [`CubinError::CardTooOld`] or [`CubinError::CardTooNew`].
pub fn card(capability: (u32, u32)) -> Result<&'static str, CubinError> {
    find(capability).map(|image| image.card)
}

/// The image with all kernels for a card of this compute capability.
///
/// # Errors
/// As [`card`], and [`CubinError::Damaged`].
pub fn image(capability: (u32, u32)) -> Result<Image, CubinError> {
    let Packed { card, bytes, .. } = find(capability)?;
    let bytes = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(bytes, IMAGE_BYTES_MAX)
        .map_err(|err| CubinError::Damaged { card, reason: err.to_string() })?;
    Ok(Image { card, bytes })
}
