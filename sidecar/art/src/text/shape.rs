//! From words to positioned glyphs, in ems. One line at a time, so that a broken line is shaped as it is drawn.

use std::collections::BTreeSet;
use std::rc::Rc;

use icu_properties::props::Script;
use parlance::{FontFeature, FontVariation, Tag};
use parley_engine::itemize::{Item, Segment};
use parley_engine::shape::CharCluster;
use parley_engine::{
    Analysis, AnalysisOptions, Analyzer, BaseDirection, FontInstanceRef, FontSelector, ShapeOptions, ShapedText, Shaper,
};
use skrifa::instance::NormalizedCoord;

use super::glyph::{Outline, Outlines};
use super::locale::{Choice, Locale, script};

/// Scratch space and caches of one thread.
#[derive(Default)]
pub(super) struct Bench {
    analyzer: Analyzer,
    pub(super) analysis: Analysis,
    shaper: Shaper,
    shaped: ShapedText,
    pub(super) outlines: Outlines,
}

/// How every line of a layer is shaped.
pub(super) struct Setting<'a> {
    pub(super) choice: Choice<'a>,
    pub(super) locale: Locale,
    pub(super) direction: BaseDirection,
    /// Extra space between letters in ems.
    pub(super) tracking: f32,
    pub(super) variations: Vec<FontVariation>,
}

/// A glyph at its place; x from the line's start, y downwards from the baseline, both in ems.
#[derive(Debug, Clone)]
pub(super) struct Glyph {
    /// Index into [`Choice::faces`].
    pub(super) face: usize,
    pub(super) id: u32,
    pub(super) x: f32,
    pub(super) y: f32,
    /// Instance of a variable font.
    pub(super) coords: Rc<[NormalizedCoord]>,
}

/// Bounds of drawn outlines in ems, y downwards from the baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ink {
    pub(super) left: f32,
    pub(super) top: f32,
    pub(super) right: f32,
    pub(super) bottom: f32,
}

impl Ink {
    pub(super) fn union(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    /// Grown by ems at both sides and at top and bottom.
    pub(super) fn grown(self, [across, along]: [f32; 2]) -> Self {
        Self {
            left: self.left - across,
            top: self.top - along,
            right: self.right + across,
            bottom: self.bottom + along,
        }
    }

    pub(super) fn moved(self, x: f32, y: f32) -> Self {
        Self { left: self.left + x, top: self.top + y, right: self.right + x, bottom: self.bottom + y }
    }
}

/// One shaped line.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) text: String,
    /// From left to right.
    pub(super) glyphs: Vec<Glyph>,
    /// `None` when nothing is drawn.
    pub(super) ink: Option<Ink>,
}

/// Characters without a glyph, each once, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing(pub(super) Vec<char>);

impl Bench {
    /// Analyses `text`: scripts, directions and places where a line may break.
    pub(super) fn analyse(&mut self, text: &str, direction: BaseDirection) {
        let options = AnalysisOptions { base_direction: direction, ..AnalysisOptions::default() };
        self.analyzer.analyze(text, &options, &mut self.analysis);
    }

    /// Advance of every character of the text analysed last, in ems, tracking included.
    pub(super) fn advances(&mut self, text: &str, setting: &Setting<'_>) -> Vec<f32> {
        self.shape(text, setting);
        let mut advances = vec![0.0; self.analysis.char_info().len()];
        for cluster in self.shaped.shaped_clusters() {
            let at = cluster.chars_range().start as usize;
            if let Some(advance) = advances.get_mut(at) {
                *advance += cluster.advance;
            }
        }
        if setting.tracking != 0.0 {
            for ((advance, info), c) in advances.iter_mut().zip(self.analysis.char_info()).zip(text.chars()) {
                if info.is_grapheme_start() && !joined(c) {
                    *advance += setting.tracking;
                }
            }
        }
        advances
    }

    fn shape(&mut self, text: &str, setting: &Setting<'_>) {
        let count = self.analysis.char_info().len();
        let styles = vec![0; count];
        // Spaced letters may not be drawn as one, as CSS has it.
        let apart = [FontFeature::new(Tag::new(b"liga"), 0), FontFeature::new(Tag::new(b"clig"), 0)];
        let options = ShapeOptions {
            font_size: 1.0,
            language: setting.locale.language,
            features: if setting.tracking == 0.0 { &[] } else { &apart },
            variations: &setting.variations,
        };
        let items = (count > 0).then_some(Item { char_end: count as u32, options });
        let selector = Selector(&setting.choice);
        self.shaper.shape_text(text, &self.analysis, &styles, items, selector, &mut self.shaped);
    }

    /// Shapes one line.
    pub(super) fn line(&mut self, text: String, setting: &Setting<'_>) -> Result<Line, Missing> {
        self.analyse(&text, setting.direction);
        self.shape(&text, setting);
        let characters: Vec<char> = text.chars().collect();
        let mut draft = Draft::default();
        for run in visual_order(&self.shaped) {
            draft.run(&self.shaped, run, &characters, setting, &mut self.outlines);
        }
        if draft.missing.is_empty() {
            return Ok(Line { text, glyphs: draft.glyphs, ink: draft.ink });
        }
        let mut seen = BTreeSet::new();
        draft.missing.retain(|&c| seen.insert(c));
        Err(Missing(draft.missing))
    }
}

/// A line as its runs are laid from left to right.
#[derive(Default)]
struct Draft {
    glyphs: Vec<Glyph>,
    ink: Option<Ink>,
    missing: Vec<char>,
    x: f32,
}

impl Draft {
    fn run(
        &mut self,
        shaped: &ShapedText,
        run_at: usize,
        characters: &[char],
        setting: &Setting<'_>,
        outlines: &mut Outlines,
    ) {
        let run = &shaped.runs()[run_at];
        let rtl = run.bidi_level.is_rtl();
        let face_id = shaped.fonts()[run.font_index].font.data.id();
        let face = setting.choice.faces.iter().position(|face| face.id() == face_id).unwrap_or(0);
        let coords = &shaped.normalized_coords()[run.normalized_coords_range.clone()];
        let coords: Rc<[NormalizedCoord]> =
            coords.iter().map(|coord| NormalizedCoord::from_bits(coord.to_bits())).collect();
        let slice = shaped.run_slice(run_at as u32);
        let clusters = slice.shaped_clusters_range();
        for step in 0..clusters.len() as u32 {
            let at = if rtl { clusters.end - 1 - step } else { clusters.start + step };
            let cluster = shaped.shaped_clusters()[at as usize];
            let range = cluster.chars_range();
            let characters = characters.get(range.start as usize..range.end as usize).unwrap_or(&[]);
            let tracked = setting.tracking != 0.0
                && cluster.is_grapheme_start()
                && characters.first().is_some_and(|&c| !joined(c));
            // A grapheme's marks follow its base, to the right or, drawn from the right, to the left.
            if tracked && !rtl && self.x > 0.0 {
                self.x += setting.tracking;
            }
            for glyph in slice.shaped_cluster_glyphs(at) {
                if glyph.id == 0 {
                    self.missing.extend(characters.iter().copied().filter(|&c| !ignorable(c)));
                }
                let placed = Glyph { face, id: glyph.id, x: self.x + glyph.x, y: glyph.y, coords: Rc::clone(&coords) };
                self.glyph(placed, outlines.get(setting.choice.faces[face], glyph.id, &coords));
                self.x += glyph.advance;
            }
            if tracked && rtl {
                self.x += setting.tracking;
            }
        }
    }

    fn glyph(&mut self, glyph: Glyph, outline: &Outline) {
        let Some((_, bounds)) = &outline.drawn else { return };
        // The outline's y grows upwards: its bottom is our top.
        let ink = Ink {
            left: glyph.x + bounds.left() / outline.em,
            top: glyph.y - bounds.bottom() / outline.em,
            right: glyph.x + bounds.right() / outline.em,
            bottom: glyph.y - bounds.top() / outline.em,
        };
        self.ink = Some(self.ink.map_or(ink, |line| line.union(ink)));
        self.glyphs.push(glyph);
    }
}

/// Runs from left to right: rule L2 of the bidirectional algorithm, reversing from the highest level down.
fn visual_order(shaped: &ShapedText) -> Vec<usize> {
    let levels: Vec<u8> = shaped.runs().iter().map(|run| run.bidi_level.to_u8()).collect();
    let mut order: Vec<usize> = (0..levels.len()).collect();
    for level in (1..=levels.iter().copied().max().unwrap_or(0)).rev() {
        let mut start = 0;
        while start < order.len() {
            let end = start + order[start..].iter().take_while(|&&run| levels[run] >= level).count();
            order[start..end].reverse();
            start = end.max(start + 1);
        }
    }
    order
}

/// Scripts whose letters are drawn joined, by strokes or by a head line: space between them would tear them.
fn joined(c: char) -> bool {
    matches!(
        script(c),
        Script::Arabic
            | Script::Syriac
            | Script::Nko
            | Script::Mongolian
            | Script::Devanagari
            | Script::Bengali
            | Script::Gurmukhi
    )
}

/// Characters that steer shaping and draw nothing, so that no font need have them.
pub(super) fn ignorable(c: char) -> bool {
    matches!(c as u32, 0xAD | 0x34F | 0x61C | 0x180B..=0x180F | 0x200B..=0x200F | 0x202A..=0x202E
        | 0x2060..=0x206F | 0xFE00..=0xFE0F | 0xFEFF | 0xE0100..=0xE01EF)
}

struct Selector<'a, 'b>(&'b Choice<'a>);

impl FontSelector for Selector<'_, '_> {
    fn begin_segment(&mut self, _: &Segment, _: &ShapeOptions<'_>) {}

    fn select_font(
        &mut self,
        _: &Segment,
        _: &ShapeOptions<'_>,
        cluster: &mut CharCluster,
    ) -> Option<FontInstanceRef<'_>> {
        let characters = cluster.chars().iter().map(|c| c.ch).filter(|&c| !ignorable(c));
        let at = self.0.face_for(characters);
        self.0.faces.get(at).map(|face| face.instance())
    }
}
