//! Choosing lines and font size so that the ink of a layer lies within its box.
//!
//! Shaping is linear in the font size (nothing is hinted), so lines are measured once in ems
//! and the size follows by division; no search over sizes is needed.

use parley_engine::BaseDirection;
use thumbforge_core::image::{Extent, PixelBox};
use thumbforge_core::text_layer::{Align, TextLayer, TextStyle, VerticalAlign};
use tiny_skia::{Path, PathBuilder, Transform};

use super::LetterHeight;
use super::arc::Bend;
use super::book::FontBook;
use super::error::TextError;
use super::locale::{Choice, Locale, script, script_name};
use super::paint::rounded;
use super::room::{Block, MARGIN_PX, Room};
use super::shape::{Bench, Ink, Line, Missing, Setting};
use super::wrap::{Paragraph, breakings};

/// Height of a small letter in ems for fonts of every script here that has small letters or their like.
const SMALL_LETTER: f32 = 0.54;
/// Height of a whole character in ems in dense scripts.
const WHOLE_CHARACTER: f32 = 0.88;

/// A layer with its lines, size and place chosen, ready to paint.
#[derive(Clone)]
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
    /// The plate behind bent letters, in pixels of the image; behind straight ones it follows from their ink.
    pub(super) plate: Option<Path>,
    pub(super) fonts: Vec<String>,
}

/// Chooses lines, size and place of a layer within `area`. Its style can be drawn.
pub(super) fn fit(
    layer: &TextLayer,
    area: PixelBox,
    extent: Extent,
    fonts: &FontBook,
    bench: &mut Bench,
) -> Result<Fitted, TextError> {
    bench.outlines.trim();
    let style = &layer.style;
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
    // Lines of an arc would have to lie inside each other.
    let (lines_max, why) = if style.arc == 0.0 { (style.lines_max.max(1), "") } else { (1, ", since they are bent") };
    let mut options = breakings(&paragraphs, usize::from(lines_max), hyphen);
    if options.is_empty() {
        let over = format!("{} lines, of which {lines_max} may be{why}", paragraphs.len());
        return Err(does_not_fit(layer, room.size_min, over));
    }
    options.sort_by(|a, b| room.promise(b).total_cmp(&room.promise(a)));
    for breaking in &options {
        let lines = breaking.lines(&paragraphs).into_iter().map(|line| bench.line(line, &setting));
        let lines = lines.collect::<Result<Vec<_>, _>>().map_err(|missing| missing_glyph(layer, &missing))?;
        let rtl = setting.direction == BaseDirection::Rtl || locale.right_to_left();
        let Some(mut block) = Block::new(lines, style, rtl, room.around) else { continue };
        let bent = bent(&mut block, style, &room, &setting, bench);
        if let Some(size) = room.size(&block) {
            return Ok(placed(layer, area, &room, size, block, bent, &setting, bench));
        }
    }
    Err(does_not_fit(layer, room.size_min, room.best.1.clone()))
}

/// The layer's text without what cannot be drawn, in capitals if so styled.
fn clean(layer: &TextLayer, locale: Locale) -> String {
    let text: String = layer.text.replace("\r\n", "\n").replace('\t', " ");
    let text: String = text.chars().filter(|&c| c == '\n' || !c.is_control()).collect();
    if layer.style.uppercase { locale.uppercase(&text) } else { text }
}

/// The largest box of whole pixels within a box of fractions.
pub(super) fn area_px([x, y, w, h]: [f64; 4], extent: Extent) -> PixelBox {
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

/// A bent line and its plate, in ems.
struct Bent {
    letters: Path,
    plate: Option<Path>,
}

/// Bends the only line of a block, whose bounds are those of the outcome then.
fn bent(block: &mut Block, style: &TextStyle, room: &Room, setting: &Setting<'_>, bench: &mut Bench) -> Option<Bent> {
    let bend = Bend::new(style.arc, block.ink, room.around[1])?;
    let straight = outlines(&block.lines, 1.0, [0.0; 2], setting, bench)?;
    let letters = bend.path(&straight)?;
    let ink = ink_of(&letters)?;
    let Some(plate) = style.plate else {
        block.ink = ink;
        return Some(Bent { letters, plate: None });
    };
    let plate = rounded(block.ink.grown(room.around), plate.radius as f32).and_then(|plate| bend.path(&plate))?;
    block.ink = ink.grown([room.outline; 2]).union(ink_of(&plate)?);
    block.around = [0.0; 2];
    Some(Bent { letters, plate: Some(plate) })
}

fn ink_of(path: &Path) -> Option<Ink> {
    let bounds = path.compute_tight_bounds()?;
    Some(Ink { left: bounds.left(), top: bounds.top(), right: bounds.right(), bottom: bounds.bottom() })
}

/// Outlines of all glyphs of lines, at `size` pixels an em and from `x` and `y` on.
fn outlines(
    lines: &[(Line, f32, f32)],
    size: f32,
    [x, y]: [f32; 2],
    setting: &Setting<'_>,
    bench: &mut Bench,
) -> Option<Path> {
    let mut letters = PathBuilder::new();
    for (line, line_x, baseline) in lines {
        for glyph in &line.glyphs {
            let outline = bench.outlines.get(setting.choice.faces[glyph.face], glyph.id, &glyph.coords);
            let scale = size / outline.em;
            let (gx, gy) = (x + (line_x + glyph.x) * size, y + (baseline + glyph.y) * size);
            let at = Transform::from_row(scale, 0.0, 0.0, -scale, gx, gy);
            if let Some(path) = outline.drawn.as_ref().and_then(|(path, _)| path.clone().transform(at)) {
                letters.push_path(&path);
            }
        }
    }
    letters.finish()
}

#[expect(clippy::too_many_arguments, reason = "everything that was chosen comes together here, and nowhere else")]
fn placed(
    layer: &TextLayer,
    area: PixelBox,
    room: &Room,
    size: f32,
    block: Block,
    bent: Option<Bent>,
    setting: &Setting<'_>,
    bench: &mut Bench,
) -> Fitted {
    let locale = setting.locale;
    let rtl = setting.direction == BaseDirection::Rtl || locale.right_to_left();
    let ink = block.ink;
    let [around_x, around_y] = block.around.map(|around| around * size + MARGIN_PX);
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
    let mut fonts: Vec<String> = Vec::new();
    for glyph in block.lines.iter().flat_map(|(line, ..)| &line.glyphs) {
        let face = setting.choice.faces[glyph.face];
        if !fonts.contains(&face.name) {
            fonts.push(face.name.clone());
        }
    }
    let at = Transform::from_row(size, 0.0, 0.0, size, x, y);
    let (letters, plate) = match bent {
        Some(bent) => (bent.letters.transform(at), bent.plate.and_then(|plate| plate.transform(at))),
        None => (outlines(&block.lines, size, [x, y], setting, bench), None),
    };
    let lines = block.lines.into_iter().map(|(line, ..)| line.text).collect();
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
        letters,
        plate,
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
