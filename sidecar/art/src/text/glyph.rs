//! Outlines of glyphs, unhinted, in font units with y upwards.

use std::collections::BTreeMap;

use skrifa::MetadataProvider;
use skrifa::instance::{LocationRef, NormalizedCoord, Size};
use skrifa::outline::{DrawSettings, OutlinePen};
use tiny_skia::{Path, PathBuilder, Rect};

use super::face::Face;

/// Outlines kept between layers: a screenful of every script, about half a megabyte.
const OUTLINES_MAX: usize = 512;

/// One glyph's outline.
pub(super) struct Outline {
    /// `None` for a blank glyph.
    pub(super) drawn: Option<(Path, Rect)>,
    /// Font units per em.
    pub(super) em: f32,
}

/// Outlines by face, variation and glyph.
#[derive(Default)]
pub(super) struct Outlines {
    known: BTreeMap<(u64, u32, i32), Outline>,
}

impl Outlines {
    /// The outline of a glyph at the given variation coordinates.
    pub(super) fn get(&mut self, face: &Face, glyph: u32, coords: &[NormalizedCoord]) -> &Outline {
        // Only the weight axis is ever varied, so the sum of the coordinates tells instances apart.
        let instance = coords.iter().map(|coord| i32::from(coord.to_bits())).sum();
        self.known.entry((face.id(), glyph, instance)).or_insert_with(|| draw(face, glyph, coords))
    }

    /// Forgets everything once there is too much; called between layers.
    pub(super) fn trim(&mut self) {
        if self.known.len() > OUTLINES_MAX {
            self.known.clear();
        }
    }
}

fn draw(face: &Face, glyph: u32, coords: &[NormalizedCoord]) -> Outline {
    let Some(font) = face.font() else {
        return Outline { drawn: None, em: 1000.0 };
    };
    let em = skrifa::raw::TableProvider::head(&font).map_or(1000.0, |head| f32::from(head.units_per_em()));
    let mut pen = Pen(PathBuilder::new());
    let settings = DrawSettings::unhinted(Size::unscaled(), LocationRef::new(coords));
    let drawn = font.outline_glyphs().get(glyph.into()).and_then(|outline| outline.draw(settings, &mut pen).ok());
    let path = drawn.and_then(|_| pen.0.finish());
    let drawn = path.and_then(|path| path.compute_tight_bounds().map(|bounds| (path, bounds)));
    Outline { drawn, em }
}

struct Pen(PathBuilder);

impl OutlinePen for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.0.move_to(x, y);
    }
    fn line_to(&mut self, x: f32, y: f32) {
        self.0.line_to(x, y);
    }
    fn quad_to(&mut self, cx: f32, cy: f32, x: f32, y: f32) {
        self.0.quad_to(cx, cy, x, y);
    }
    fn curve_to(&mut self, cx0: f32, cy0: f32, cx1: f32, cy1: f32, x: f32, y: f32) {
        self.0.cubic_to(cx0, cy0, cx1, cy1, x, y);
    }
    fn close(&mut self) {
        self.0.close();
    }
}
