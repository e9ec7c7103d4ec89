//! A scene being painted: canvas, palette, room and light, which every composition shares.

use super::canvas::{Canvas, Colour};
use super::icons::Stance;
use super::layout::{Layout, Spot};
use super::noise::Rng;
use super::palette::Palette;

/// State of one drawing.
pub(super) struct Stage {
    pub(super) canvas: Canvas,
    pub(super) palette: Palette,
    pub(super) layout: Layout,
    pub(super) seed: u64,
    /// Where the subject will stand; compositions leave it room and set it off.
    pub(super) subject: Option<Spot>,
    pub(super) stance: Option<Stance>,
    /// Where light comes from, in pixels; may lie outside.
    pub(super) light: [f32; 2],
    /// Words of the prompt, for details ("rain", "fog"), and those that must not be drawn.
    pub(super) words: Vec<String>,
    pub(super) unwanted: Vec<String>,
}

impl Stage {
    /// Chance for one part of the picture.
    pub(super) fn rng(&self, topic: &str) -> Rng {
        Rng::new(self.seed, topic)
    }

    /// A texture seed for one part of the picture.
    pub(super) fn texture(&self, topic: &str) -> u32 {
        (Rng::new(self.seed, topic).next() >> 32) as u32
    }

    /// Whether a word of a list was asked for.
    pub(super) fn asked(&self, list: &[&str]) -> bool {
        list.iter().any(|w| self.words.iter().any(|p| p == w))
    }

    /// Whether none of these words is unwanted.
    pub(super) fn allowed(&self, list: &[&str]) -> bool {
        !list.iter().any(|w| self.unwanted.iter().any(|p| p == w))
    }

    pub(super) fn unit(&self) -> f32 {
        self.layout.unit
    }

    pub(super) fn w(&self) -> f32 {
        self.layout.w
    }

    pub(super) fn h(&self) -> f32 {
        self.layout.h
    }

    /// Height of the ground that the subject stands on, or where the near ground begins without one.
    pub(super) fn footing(&self) -> f32 {
        match (self.subject, self.stance) {
            (Some(s), Some(Stance::Ground)) => s.y + s.r * 0.9,
            (Some(s), Some(Stance::Item | Stance::Bust)) => s.y + s.r * 1.12,
            _ => self.layout.horizon + (self.h() - self.layout.horizon) * 0.5,
        }
        .clamp(self.h() * 0.45, self.h() * 0.97)
    }

    /// A colour between land and what lights it, at a depth: 0 far, 1 near.
    pub(super) fn land(&self, t: f32) -> Colour {
        self.palette.land(t)
    }
}
