//! Choosing lines and font size so that the ink of a layer lies within its box.
//!
//! Shaping is linear in the font size (nothing is hinted), so lines are measured once in ems
//! and the size follows by division; no search over sizes is needed.

use parley_engine::BaseDirection;
use thumbforge_core::image::{Extent, PixelBox};
use thumbforge_core::text_layer::{Align, TextLayer, TextStyle, VerticalAlign};
use tiny_skia::{Path, PathBuilder, Transform};

use super::LetterHeight;
use super::book::FontBook;
use super::error::TextError;
use super::locale::{Choice, Locale, script, script_name};
use super::shape::{Bench, Ink, Line, Missing, Setting};
use super::wrap::{Breaking, Grade, Paragraph, breakings};

/// A second line is worth it when letters grow by more than a tenth: fewer lines read as one title.
const LINE_FACTOR: f32 = 0.9;
/// A break between words rather than after a mark is worth it when letters grow by a twentieth.
const WORD_FACTOR: f32 = 0.95;
/// A hyphen, or a break inside a word, is worth it when letters grow by a quarter.
const TORN_FACTOR: f32 = 0.8;
/// Room left at each side of the box: strokes follow their curve to within a fraction of a pixel only.
const MARGIN_PX: f32 = 0.1;
/// Height of a small letter in ems for fonts of every script here that has small letters or their like.
const SMALL_LETTER: f32 = 0.54;
/// Height of a whole character in ems in dense scripts.
const WHOLE_CHARACTER: f32 = 0.88;

/// A layer with its lines, size and place chosen, ready to paint.
pub(super) struct Fitted {
    pub(super) name: String,
    pub(super) style: TextStyle,
    pub(super) locale: String,
    pub(super) lines: Vec<String>,
    pub(super) area: PixelBox,
    pub(super) size_px: f32,
    pub(super) letter: LetterHeight,
    /// How far the outline reaches, 0 without one.
    pub(super) outline_px: f32,
    /// Outlines of all letters in pixels of the image.
    pub(super) letters: Option<Path>,
    pub(super) fonts: Vec<String>,
}

/// Chooses lines, size and place of a layer.
pub(super) fn fit(layer: &TextLayer, extent: Extent, fonts: &FontBook, bench: &mut Bench) -> Result<Fitted, TextError> {
    bench.outlines.trim();
    check_style(layer)?;
    let style = &layer.style;
    let area = area_px(style.area, extent);
    let locale = Locale::parse(&layer.locale);
    let text = clean(layer, locale);
    if text.chars().all(|c| c.is_whitespace() || super::shape::ignorable(c)) {
        return Err(TextError::NoWords { layer: layer.name.clone(), locale: layer.locale.clone() });
    }
    let own = match &style.font {
        None => None,
        Some(file) => Some(
            file.content
                .as_ref()
                .and_then(|content| fonts.added(content))
                .ok_or_else(|| TextError::FontAbsent { layer: layer.name.clone(), path: file.path.clone() })?,
        ),
    };
    let setting = Setting {
        choice: Choice::new(locale, style.weight, own),
        locale,
        direction: direction(&text, locale),
        tracking: style.tracking as f32,
        variations: own.and_then(|face| face.variation(style.weight)).into_iter().collect(),
    };
    let paragraphs = paragraphs(&text, &setting, bench);
    let hyphen = if text.contains('\u{ad}') { 0.33 } else { 0.0 };
    let mut room = Room::new(style, area, extent);
    let mut options = breakings(&paragraphs, usize::from(style.lines_max.max(1)), hyphen);
    if options.is_empty() {
        let over = format!("{} lines, of which {} may be", paragraphs.len(), style.lines_max.max(1));
        return Err(does_not_fit(layer, room.size_min, over));
    }
    options.sort_by(|a, b| room.promise(b).total_cmp(&room.promise(a)));
    for breaking in &options {
        let lines = breaking.lines(&paragraphs).into_iter().map(|line| bench.line(line, &setting));
        let lines = lines.collect::<Result<Vec<_>, _>>().map_err(|missing| missing_glyph(layer, &missing))?;
        if let Some(block) = Block::new(lines, style, setting.direction == BaseDirection::Rtl || locale.right_to_left())
            && let Some(size) = room.size(&block)
        {
            return Ok(placed(layer, locale, area, &room, size, block, &setting, bench));
        }
    }
    Err(does_not_fit(layer, room.size_min, room.over()))
}

/// The layer's text without what cannot be drawn, in capitals if so styled.
fn clean(layer: &TextLayer, locale: Locale) -> String {
    let text: String = layer.text.replace("\r\n", "\n").replace('\t', " ");
    let text: String = text.chars().filter(|&c| c == '\n' || !c.is_control()).collect();
    if layer.style.uppercase { locale.uppercase(&text) } else { text }
}

fn check_style(layer: &TextLayer) -> Result<(), TextError> {
    let style = &layer.style;
    let bad = |field, value: String, mend| Err(TextError::Style { layer: layer.name.clone(), field, value, mend });
    let [x, y, w, h] = style.area;
    // A hair beyond 1 is what fractions such as 0.06 + 0.94 add up to.
    let inside = x >= 0.0 && y >= 0.0 && w > 0.0 && h > 0.0 && x + w <= 1.0 + 1e-6 && y + h <= 1.0 + 1e-6;
    if !inside {
        return bad("area", format!("{:?}", style.area), "give [x, y, width, height] within 0 to 1");
    }
    if !(style.size > 0.0 && style.size <= 1.0) {
        return bad("size", style.size.to_string(), "give a fraction of the image height above 0 and up to 1");
    }
    if !(style.size_min > 0.0 && style.size_min <= style.size) {
        return bad("size_min", style.size_min.to_string(), "give a fraction above 0 and up to size");
    }
    if !(0.5..=4.0).contains(&style.line_height) {
        return bad("line_height", style.line_height.to_string(), "give a multiple of the font size from 0.5 to 4");
    }
    if !(-0.2..=2.0).contains(&style.tracking) {
        return bad("tracking", style.tracking.to_string(), "give a fraction of the font size from -0.2 to 2");
    }
    if let Some(outline) = style.outline
        && !(0.0..=0.5).contains(&outline.width)
    {
        return bad("outline.width", outline.width.to_string(), "give a fraction of the font size from 0 to 0.5");
    }
    if let Some(shadow) = style.shadow {
        let offset = shadow.offset.iter().all(|offset| (-4.0..=4.0).contains(offset));
        if !(offset && (0.0..=1.0).contains(&shadow.opacity) && (0.0..=2.0).contains(&shadow.blur)) {
            return bad(
                "shadow",
                format!("{shadow:?}"),
                "give an opacity of 0 to 1, a blur of 0 to 2, offsets within ±4",
            );
        }
    }
    if let Some(plate) = style.plate {
        let padding = plate.padding.iter().all(|padding| (0.0..=4.0).contains(padding));
        if !(padding && (0.0..=1.0).contains(&plate.opacity) && (0.0..=0.5).contains(&plate.radius)) {
            return bad(
                "plate",
                format!("{plate:?}"),
                "give an opacity of 0 to 1, a radius of 0 to 0.5, padding of 0 to 4",
            );
        }
    }
    Ok(())
}

/// The largest box of whole pixels within a box of fractions.
fn area_px([x, y, w, h]: [f64; 4], extent: Extent) -> PixelBox {
    let (width, height) = (f64::from(extent.width), f64::from(extent.height));
    // The hair forgives 0.06 * 100 = 6.000000000000001.
    let (left, top) = (libm::ceil(x * width - 1e-6), libm::ceil(y * height - 1e-6));
    let right = libm::floor((x + w) * width + 1e-6).min(width);
    let bottom = libm::floor((y + h) * height + 1e-6).min(height);
    PixelBox { x: left as i32, y: top as i32, w: (right - left).max(0.0) as u32, h: (bottom - top).max(0.0) as u32 }
}

/// Direction by content, by locale where the content does not tell.
fn direction(text: &str, locale: Locale) -> BaseDirection {
    use icu_properties::props::Script;
    let rtl =
        |c: char| matches!(script(c), Script::Arabic | Script::Hebrew | Script::Syriac | Script::Thaana | Script::Nko);
    let strong = |c: char| c.is_alphabetic() && !matches!(script(c), Script::Common | Script::Inherited);
    match text.chars().find(|&c| strong(c)) {
        Some(first) if rtl(first) => BaseDirection::Rtl,
        // An Arabic sentence may begin with a Latin brand; it is Arabic all the same.
        Some(_) if locale.right_to_left() && text.chars().any(rtl) => BaseDirection::Rtl,
        Some(_) => BaseDirection::Ltr,
        None if locale.right_to_left() => BaseDirection::Rtl,
        None => BaseDirection::Ltr,
    }
}

fn paragraphs(text: &str, setting: &Setting<'_>, bench: &mut Bench) -> Vec<Paragraph> {
    let mut paragraphs = Vec::new();
    for part in text.split('\n').map(str::trim).filter(|part| !part.is_empty()) {
        bench.analyse(part, setting.direction);
        let advances = bench.advances(part, setting);
        paragraphs.push(Paragraph::new(part.to_owned(), &bench.analysis, &advances));
    }
    paragraphs
}

/// Shaped lines at their places relative to each other, in ems.
struct Block {
    /// Each with its x and its baseline.
    lines: Vec<(Line, f32, f32)>,
    ink: Ink,
}

impl Block {
    /// `None` when nothing is drawn.
    fn new(lines: Vec<Line>, style: &TextStyle, rtl: bool) -> Option<Self> {
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
        block.map(|ink| Self { lines: placed, ink })
    }
}

/// What the box allows.
struct Room {
    width: f32,
    height: f32,
    size_max: f32,
    size_min: f32,
    /// Ems around the ink on each side: outline, or plate where it is larger.
    around: [f32; 2],
    outline: f32,
    line_height: f32,
    /// Size in pixels that the best breaking so far could have had, and which side stopped it.
    best: (f32, String),
}

impl Room {
    fn new(style: &TextStyle, area: PixelBox, extent: Extent) -> Self {
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
    fn promise(&self, breaking: &Breaking) -> f32 {
        let more = (breaking.len() - 1) as f32;
        // Ink of a line without descenders and of one with them lie between 0.75 and 1.1 ems.
        let height = more * self.line_height + 0.95 + 2.0 * self.around[1];
        let width = breaking.width + 2.0 * self.around[0];
        let size = self.size_max.min(self.width / width).min(self.height / height);
        let torn = match breaking.grade {
            Grade::Clause => 1.0,
            Grade::Word => WORD_FACTOR,
            Grade::Hyphen | Grade::Inside => TORN_FACTOR,
        };
        // Below the smallest size it cannot be used, so anything that can comes first.
        let usable = if size < self.size_min { 0.01 } else { 1.0 };
        size * torn * usable * (0..breaking.len() - 1).fold(1.0, |factor, _| factor * LINE_FACTOR)
    }

    /// The size of a shaped block, if it is large enough.
    fn size(&mut self, block: &Block) -> Option<f32> {
        let width = block.ink.right - block.ink.left + 2.0 * self.around[0];
        let height = block.ink.bottom - block.ink.top + 2.0 * self.around[1];
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

    fn over(&self) -> String {
        self.best.1.clone()
    }
}

#[expect(clippy::too_many_arguments, reason = "one call site; the values have nothing else in common")]
fn placed(
    layer: &TextLayer,
    locale: Locale,
    area: PixelBox,
    room: &Room,
    size: f32,
    block: Block,
    setting: &Setting<'_>,
    bench: &mut Bench,
) -> Fitted {
    let rtl = setting.direction == BaseDirection::Rtl || locale.right_to_left();
    let ink = block.ink;
    let [around_x, around_y] = room.around.map(|around| around * size + MARGIN_PX);
    let (left, right) = (area.x as f32 + around_x, area.right() as f32 - around_x);
    let (top, bottom) = (area.y as f32 + around_y, area.bottom() as f32 - around_y);
    let x = match (layer.style.align, rtl) {
        (Align::Center, _) => (left + right) * 0.5 - (ink.left + ink.right) * 0.5 * size,
        (Align::Start, false) | (Align::End, true) => left - ink.left * size,
        (Align::Start, true) | (Align::End, false) => right - ink.right * size,
    };
    let y = match layer.style.valign {
        VerticalAlign::Top => top - ink.top * size,
        VerticalAlign::Middle => (top + bottom) * 0.5 - (ink.top + ink.bottom) * 0.5 * size,
        VerticalAlign::Bottom => bottom - ink.bottom * size,
    };
    let mut letters = PathBuilder::new();
    let mut fonts: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    for (line, line_x, baseline) in block.lines {
        for glyph in &line.glyphs {
            let face = setting.choice.faces[glyph.face];
            if !fonts.contains(&face.name) {
                fonts.push(face.name.clone());
            }
            let outline = bench.outlines.get(face, glyph.id, &glyph.coords);
            let scale = size / outline.em;
            let (gx, gy) = (x + (line_x + glyph.x) * size, y + (baseline + glyph.y) * size);
            let at = Transform::from_row(scale, 0.0, 0.0, -scale, gx, gy);
            if let Some(path) = outline.drawn.as_ref().and_then(|(path, _)| path.clone().transform(at)) {
                letters.push_path(&path);
            }
        }
        lines.push(line.text);
    }
    Fitted {
        name: layer.name.clone(),
        style: layer.style.clone(),
        locale: layer.locale.clone(),
        lines,
        area,
        size_px: size,
        letter: if locale.dense() {
            LetterHeight::Whole(size * WHOLE_CHARACTER)
        } else {
            LetterHeight::Small(size * SMALL_LETTER)
        },
        outline_px: room.outline * size,
        letters: letters.finish(),
        fonts,
    }
}

fn does_not_fit(layer: &TextLayer, size_min_px: f32, over: String) -> TextError {
    TextError::DoesNotFit { layer: layer.name.clone(), text: layer.text.clone(), size_min_px, over }
}

fn missing_glyph(layer: &TextLayer, Missing(missing): &Missing) -> TextError {
    let quoted: Vec<String> = missing.iter().take(8).map(|&c| format!("“{c}” (U+{:04X})", c as u32)).collect();
    let more = missing.len().saturating_sub(8);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let script = missing.first().map_or_else(String::new, |&c| script_name(c));
    let mend = match script.as_str() {
        "emoji and symbols" => {
            "leave the emoji out, draw it into the picture, or name a font file that has it".to_owned()
        }
        _ => "name a font file that has it in the style's font, reword the text, or check the locale".to_owned(),
    };
    TextError::MissingGlyph {
        layer: layer.name.clone(),
        locale: layer.locale.clone(),
        script,
        characters: quoted.join(", ") + &more,
        mend,
    }
}
