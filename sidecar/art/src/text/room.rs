//! How large a block of lines can be in its box, and which of several ways to break it reads best.

use thumbforge_core::image::{Extent, PixelBox};
use thumbforge_core::text_layer::{Align, TextStyle};

use super::shape::{Ink, Line};
use super::wrap::{Breaking, Grade};

/// A second line is worth it when letters grow by more than a tenth: fewer lines read as one title.
const LINE_FACTOR: f32 = 0.9;
/// A break between words rather than after a mark is worth it when letters grow by a twentieth.
const WORD_FACTOR: f32 = 0.95;
/// Parting a name at its middle dot is worth it when they grow by a tenth.
const PART_FACTOR: f32 = 0.9;
/// A hyphen is worth it when letters grow by a quarter.
const HYPHEN_FACTOR: f32 = 0.8;
/// A break inside a word is worth it when letters grow by two fifths: it reads like a mistake.
const INSIDE_FACTOR: f32 = 0.7;
/// Room left at each side of the box: strokes follow their curve to within a fraction of a pixel only.
pub(super) const MARGIN_PX: f32 = 0.1;

/// Shaped lines at their places relative to each other, in ems.
pub(super) struct Block {
    /// Each with its x and its baseline.
    pub(super) lines: Vec<(Line, f32, f32)>,
    pub(super) ink: Ink,
    /// Ems that outline and plate take on each side of the ink.
    pub(super) around: [f32; 2],
}

impl Block {
    /// `None` when nothing is drawn.
    pub(super) fn new(lines: Vec<Line>, style: &TextStyle, rtl: bool, around: [f32; 2]) -> Option<Self> {
        let mut placed = Vec::new();
        let mut block: Option<Ink> = None;
        for (at, line) in lines.into_iter().enumerate() {
            let Some(ink) = line.ink else { continue };
            let x = match (style.align, rtl) {
                // By ink, not by advance: a side bearing or an overhang would stand off centre.
                (Align::Center, _) => -(ink.left + ink.right) * 0.5,
                (Align::Start, false) | (Align::End, true) => -ink.left,
                (Align::Start, true) | (Align::End, false) => -ink.right,
            };
            let baseline = at as f32 * style.line_height as f32;
            let moved = ink.moved(x, baseline);
            block = Some(block.map_or(moved, |block| block.union(moved)));
            placed.push((line, x, baseline));
        }
        block.map(|ink| Self { lines: placed, ink, around })
    }
}

/// What the box allows.
pub(super) struct Room {
    width: f32,
    height: f32,
    size_max: f32,
    pub(super) size_min: f32,
    /// Ems around the ink on each side: outline, or plate where it is larger.
    pub(super) around: [f32; 2],
    pub(super) outline: f32,
    line_height: f32,
    /// Size in pixels that the best breaking so far could have had, and which side stopped it.
    pub(super) best: (f32, String),
}

impl Room {
    pub(super) fn new(style: &TextStyle, area: PixelBox, extent: Extent) -> Self {
        let outline = style.outline.map_or(0.0, |outline| outline.width as f32);
        let padding = style.plate.map_or([0.0; 2], |plate| plate.padding.map(|padding| padding as f32));
        Self {
            width: (area.w as f32 - 2.0 * MARGIN_PX).max(0.0),
            height: (area.h as f32 - 2.0 * MARGIN_PX).max(0.0),
            size_max: style.size as f32 * extent.height as f32,
            size_min: style.size_min as f32 * extent.height as f32,
            around: padding.map(|padding| padding + outline),
            outline,
            line_height: style.line_height as f32,
            best: (0.0, "too large".to_owned()),
        }
    }

    /// How good a breaking looks before it is shaped: the size that it would get, less what it costs to read.
    pub(super) fn promise(&self, breaking: &Breaking) -> f32 {
        let more = (breaking.len() - 1) as f32;
        // Ink of a line without descenders and of one with them lie between 0.75 and 1.1 ems.
        let height = more * self.line_height + 0.95 + 2.0 * self.around[1];
        let width = breaking.width + 2.0 * self.around[0];
        let size = self.size_max.min(self.width / width).min(self.height / height);
        let torn = match breaking.grade {
            Grade::Clause => 1.0,
            Grade::Word => WORD_FACTOR,
            Grade::Part => PART_FACTOR,
            Grade::Hyphen => HYPHEN_FACTOR,
            Grade::Inside => INSIDE_FACTOR,
        };
        // Below the smallest size it cannot be used, so anything that can comes first.
        let usable = if size < self.size_min { 0.01 } else { 1.0 };
        size * torn * usable * (0..breaking.len() - 1).fold(1.0, |factor, _| factor * LINE_FACTOR)
    }

    /// The size of a shaped block, if it is large enough.
    pub(super) fn size(&mut self, block: &Block) -> Option<f32> {
        let width = block.ink.right - block.ink.left + 2.0 * block.around[0];
        let height = block.ink.bottom - block.ink.top + 2.0 * block.around[1];
        let (by_width, by_height) = (self.width / width, self.height / height);
        let size = self.size_max.min(by_width).min(by_height);
        if size >= self.size_min && size > 0.0 {
            return Some(size);
        }
        if size > self.best.0 || self.best.0 == 0.0 {
            let over = if by_width <= by_height {
                format!("{:.0} px wide and has {:.0}", width * self.size_min, self.width)
            } else {
                format!("{:.0} px high and has {:.0}", height * self.size_min, self.height)
            };
            self.best = (size, over);
        }
        None
    }
}
