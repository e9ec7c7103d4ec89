//! Images as values: an extent, boxes in it, and RGBA8 pixels. No codecs.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::PixelHash;
use crate::limits;

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Extent {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

/// Why a size cannot be drawn.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExtentError {
    /// Not of the form `512x512`.
    #[error("read a size from {0:?}: write width and height in pixels, as in 512x512")]
    Form(String),
    /// A side outside [`limits::SIDE_MIN`]`..=`[`limits::SIDE_MAX`].
    #[error("draw at {width}x{height}: each side must be {} to {} pixels", limits::SIDE_MIN, limits::SIDE_MAX)]
    Side {
        /// Asked width in pixels.
        width: u64,
        /// Asked height in pixels.
        height: u64,
    },
}

impl Extent {
    /// A checked extent.
    ///
    /// # Errors
    /// [`ExtentError::Side`] when a side is outside the bounds.
    pub fn new(width: u64, height: u64) -> Result<Self, ExtentError> {
        let bounds = u64::from(limits::SIDE_MIN)..=u64::from(limits::SIDE_MAX);
        if !bounds.contains(&width) || !bounds.contains(&height) {
            return Err(ExtentError::Side { width, height });
        }
        Ok(Self { width: width as u32, height: height as u32 })
    }

    /// Number of pixels.
    pub fn pixels(self) -> usize {
        self.width as usize * self.height as usize
    }

    /// The whole area as a box.
    pub fn bounds(self) -> PixelBox {
        PixelBox { x: 0, y: 0, w: self.width, h: self.height }
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl FromStr for Extent {
    type Err = ExtentError;
    fn from_str(text: &str) -> Result<Self, ExtentError> {
        let form = || ExtentError::Form(text.chars().take(40).collect());
        let (width, height) = text.trim().split_once(['x', 'X', '×']).ok_or_else(form)?;
        let side = |side: &str| side.trim().parse::<u64>().map_err(|_| form());
        Self::new(side(width)?, side(height)?)
    }
}

/// A box in pixels from the top left corner of an image; it may reach outside the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PixelBox {
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width.
    pub w: u32,
    /// Height.
    pub h: u32,
}

impl PixelBox {
    /// One past the right edge.
    pub fn right(self) -> i64 {
        i64::from(self.x) + i64::from(self.w)
    }

    /// One past the bottom edge.
    pub fn bottom(self) -> i64 {
        i64::from(self.y) + i64::from(self.h)
    }

    /// Whether `inner` lies wholly within this box.
    pub fn contains(self, inner: PixelBox) -> bool {
        inner.x >= self.x && inner.y >= self.y && inner.right() <= self.right() && inner.bottom() <= self.bottom()
    }

    /// The common part of two boxes, if they overlap.
    pub fn intersection(self, other: PixelBox) -> Option<PixelBox> {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let w = self.right().min(other.right()) - i64::from(x);
        let h = self.bottom().min(other.bottom()) - i64::from(y);
        (w > 0 && h > 0).then_some(PixelBox { x, y, w: w as u32, h: h as u32 })
    }
}

/// Boxes travel as `[x, y, w, h]`.
impl Serialize for PixelBox {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.x, self.y, self.w, self.h).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PixelBox {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (x, y, w, h) = Deserialize::deserialize(deserializer)?;
        Ok(Self { x, y, w, h })
    }
}

/// Owned sRGB pixels: RGBA, 8 bits a channel, straight alpha, rows from the top, no padding.
#[derive(Clone, PartialEq, Eq)]
pub struct ImageBuf {
    extent: Extent,
    pixels: Vec<u8>,
}

impl ImageBuf {
    /// Takes `extent.pixels() * 4` bytes; `None` for any other length.
    pub fn from_rgba(extent: Extent, pixels: Vec<u8>) -> Option<Self> {
        (pixels.len() == extent.pixels() * 4).then_some(Self { extent, pixels })
    }

    /// An image of one colour.
    pub fn filled(extent: Extent, rgba: [u8; 4]) -> Self {
        Self { extent, pixels: rgba.repeat(extent.pixels()) }
    }

    /// Width and height.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// RGBA bytes, rows from the top.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// RGBA bytes, rows from the top.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// The pixel at column `x`, row `y`; `None` outside.
    pub fn pixel(&self, x: u32, y: u32) -> Option<[u8; 4]> {
        if x >= self.extent.width || y >= self.extent.height {
            return None;
        }
        let at = (y as usize * self.extent.width as usize + x as usize) * 4;
        self.pixels.get(at..at + 4)?.try_into().ok()
    }

    /// Hash of extent and pixels, the same for every file format that holds them.
    pub fn hash(&self) -> PixelHash {
        let mut hasher = blake3::Hasher::new_derive_key("thumbforge 2026 pixels rgba8");
        hasher.update(&self.extent.width.to_le_bytes());
        hasher.update(&self.extent.height.to_le_bytes());
        hasher.update(&self.pixels);
        PixelHash(*hasher.finalize().as_bytes())
    }
}

impl fmt::Debug for ImageBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImageBuf({})", self.extent)
    }
}
