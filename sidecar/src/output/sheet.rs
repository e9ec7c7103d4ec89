//! The contact sheet: all pictures of a run on one PNG, for a person to look over.
//!
//! ```text
//! tiles ─► plan (matrix of assets by locales, or a flowing grid; sizes that fit) ─► draw ─► encode with the key
//! ```
//! The sheet holds the key of what it shows, so a later run sees without drawing that it is still right.
//! Letters come from outside through [`Lettering`]; this file knows no fonts.
//! The sheet is for the eye and in no key of a render, so its scaling may use whatever instructions the machine has.

use std::path::Path;

use thumbforge_core::colour::Rgb;
use thumbforge_core::id::ContentHash;
use thumbforge_core::image::{Extent, ImageBuf, PixelBox};

use super::png::{PngError, TextChunk, encode_with_texts, find_text};
use plan::{Place, Plan};

mod canvas;
mod plan;

/// Keyword of the chunk that holds the [`sheet_key`].
const KEYWORD: &str = "thumbforge-sheet";
/// Version of the drawing; raised when the same tiles look different.
const VERSION: u32 = 1;
/// Longest side of a sheet: what every viewer opens, and the largest picture that we read.
pub const SHEET_SIDE_MAX: u32 = 4096;
/// Most tiles of a sheet: with more, a picture is too small to be judged. The header tells how many are missing.
pub const TILES_MAX: usize = 400;

/// One picture of a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Name in the manifest.
    pub asset: String,
    /// Tag of its locale; may be empty.
    pub locale: String,
    /// Engine or model that drew it, in few words.
    pub engine: String,
    /// How it stands. Nothing that differs between a run that drew it and a run that found it unchanged.
    pub standing: Standing,
    /// Its size.
    pub size: Extent,
    /// A hash that changes with the picture, always of the same kind; absent when there is none.
    pub content: Option<[u8; 32]>,
}

/// How a tile stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Passed, or nobody looked.
    Good,
    /// A stand-in for a model that was not there.
    Placeholder,
    /// The checks warn; in few words.
    Warning(String),
    /// The checks found an error; in few words ("text outside box").
    Failing(String),
    /// There is no picture; why, in few words ("failed: engine_failed").
    Absent(String),
}

impl Standing {
    fn colour(&self) -> Option<Rgb> {
        match self {
            Self::Good => None,
            Self::Placeholder => Some(palette::STAND_IN),
            Self::Warning(_) => Some(palette::WARNING),
            Self::Failing(_) | Self::Absent(_) => Some(palette::FAILING),
        }
    }

    /// The mark in front is read without colour.
    fn words(&self) -> Option<String> {
        match self {
            Self::Good => None,
            Self::Placeholder => Some("placeholder".to_owned()),
            Self::Warning(why) => Some(format!("! {why}")),
            Self::Failing(why) => Some(format!("FAIL {why}")),
            Self::Absent(why) => Some(why.clone()),
        }
    }

    fn number(&self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Placeholder => 1,
            Self::Warning(_) => 2,
            Self::Failing(_) => 3,
            Self::Absent(_) => 4,
        }
    }
}

/// Neutral and dark, so that it flatters no picture; the accents keep 4.5:1 on the background.
mod palette {
    use thumbforge_core::colour::Rgb;

    pub(super) const BACKGROUND: Rgb = Rgb([27, 28, 31]);
    pub(super) const PANEL: Rgb = Rgb([38, 39, 43]);
    pub(super) const LINE: Rgb = Rgb([58, 60, 66]);
    pub(super) const TITLE: Rgb = Rgb([240, 240, 242]);
    pub(super) const TEXT: Rgb = Rgb([208, 209, 214]);
    pub(super) const QUIET: Rgb = Rgb([146, 149, 158]);
    pub(super) const STAND_IN: Rgb = Rgb([125, 170, 245]);
    pub(super) const WARNING: Rgb = Rgb([238, 180, 70]);
    pub(super) const FAILING: Rgb = Rgb([248, 104, 96]);
}

/// How a line of letters looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Style {
    /// Font size in pixels.
    pub size_px: u32,
    /// Colour of the letters.
    pub colour: Rgb,
    /// Bold or regular.
    pub bold: bool,
    /// Where the line stands in its box.
    pub align: SheetAlign,
}

/// Where a line stands in its box from left to right; from top to bottom it is centred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SheetAlign {
    /// At the left, whatever the script: captions are labels.
    Left,
    /// In the middle.
    Center,
}

/// Whatever can set a line of text.
pub trait Lettering {
    /// Sets one line within `area`, shortened at its end if it is too long. Letters that are missing are left out.
    ///
    /// From top to bottom the font's line is centred, not the ink, so that neighbours stand on one base line.
    fn line(&mut self, image: &mut ImageBuf, area: PixelBox, text: &str, style: Style);
}

impl<F: FnMut(&mut ImageBuf, PixelBox, &str, Style)> Lettering for F {
    fn line(&mut self, image: &mut ImageBuf, area: PixelBox, text: &str, style: Style) {
        self(image, area, text, style);
    }
}

/// The key of a sheet: it changes with whatever can be seen on it.
pub fn sheet_key(title: &str, tiles: &[Tile]) -> ContentHash {
    let mut hasher = blake3::Hasher::new_derive_key("thumbforge 2026 contact sheet");
    let text = |hasher: &mut blake3::Hasher, text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    hasher.update(&VERSION.to_le_bytes());
    text(&mut hasher, title);
    for tile in tiles {
        let Tile { asset, locale, engine, standing, size, content } = tile;
        for word in [asset, locale, engine, &standing.words().unwrap_or_default()] {
            text(&mut hasher, word);
        }
        hasher.update(&[standing.number(), u8::from(content.is_some())]);
        hasher.update(&size.width.to_le_bytes());
        hasher.update(&size.height.to_le_bytes());
        hasher.update(&content.unwrap_or_default());
    }
    ContentHash(*hasher.finalize().as_bytes())
}

/// The key of the sheet that lies at `path`; `None` when there is none or it is no sheet of ours.
pub fn read_sheet_key(path: &Path) -> Option<ContentHash> {
    let file = std::fs::File::open(path).ok()?;
    find_text(std::io::BufReader::new(file), KEYWORD).ok()??.parse().ok()
}

/// A sheet as PNG bytes, with its key.
///
/// # Errors
/// [`PngError::Encode`], which is a fault of ours.
pub fn encode_sheet(sheet: &ImageBuf, key: ContentHash) -> Result<Vec<u8>, PngError> {
    encode_with_texts(sheet, &[(KEYWORD, &key.to_string(), TextChunk::Utf8)])
}

/// Draws a sheet. `load` gives the picture of the tile at an index, one at a time, so that they are never all in
/// memory; a picture that it does not give is drawn as absent.
pub fn draw_sheet(
    title: &str,
    tiles: &[Tile],
    load: &mut dyn FnMut(usize) -> Option<ImageBuf>,
    lettering: &mut dyn Lettering,
) -> ImageBuf {
    let plan = Plan::of(tiles);
    let mut sheet = canvas::background(plan.size, palette::BACKGROUND);
    header(&mut sheet, title, tiles, &plan, lettering);
    for (area, text) in &plan.columns {
        let style = Style { size_px: plan.text_px, colour: palette::TEXT, bold: true, align: SheetAlign::Left };
        caption(&mut sheet, *area, text, style, lettering);
    }
    for (area, text) in &plan.rows {
        let style = Style { size_px: plan.text_px, colour: palette::TEXT, bold: true, align: SheetAlign::Left };
        caption(&mut sheet, *area, text, style, lettering);
    }
    for place in &plan.places {
        draw_tile(&mut sheet, place, &tiles[place.tile], load(place.tile), &plan, lettering);
    }
    sheet
}

fn header(sheet: &mut ImageBuf, title: &str, tiles: &[Tile], plan: &Plan, lettering: &mut dyn Lettering) {
    let style = |size_px, colour, bold| Style { size_px, colour, bold, align: SheetAlign::Left };
    caption(sheet, plan.title, title, style(26, palette::TITLE, true), lettering);
    let count = |wanted: fn(&Standing) -> bool| tiles.iter().filter(|tile| wanted(&tile.standing)).count();
    let mut words = vec![match tiles.len() {
        1 => "1 picture".to_owned(),
        count => format!("{count} pictures"),
    }];
    for (count, what) in [
        (count(|standing| matches!(standing, Standing::Failing(_))), "failing"),
        (count(|standing| matches!(standing, Standing::Warning(_))), "with warnings"),
        (count(|standing| matches!(standing, Standing::Absent(_))), "missing"),
        (count(|standing| matches!(standing, Standing::Placeholder)), "placeholders"),
    ] {
        if count > 0 {
            words.push(format!("{count} {what}"));
        }
    }
    let more = tiles.len() - plan.places.len();
    if more > 0 {
        words.push(format!("and {more} more that are not shown"));
    }
    caption(sheet, plan.counts, &words.join("  ·  "), style(15, palette::QUIET, false), lettering);
    canvas::fill(sheet, plan.rule, palette::LINE, 255);
}

fn draw_tile(
    sheet: &mut ImageBuf,
    place: &Place,
    tile: &Tile,
    picture: Option<ImageBuf>,
    plan: &Plan,
    lettering: &mut dyn Lettering,
) {
    let accent = tile.standing.colour();
    let area = place.picture;
    match picture.and_then(|picture| canvas::fitted(&picture, area)) {
        Some((picture, at)) => {
            canvas::place(sheet, &picture, at, palette::PANEL);
            canvas::frame(sheet, at, accent.unwrap_or(palette::LINE), if accent.is_some() { 3 } else { 1 });
        }
        None => {
            canvas::fill(sheet, area, palette::PANEL, 255);
            canvas::frame(sheet, area, accent.unwrap_or(palette::LINE), if accent.is_some() { 3 } else { 1 });
            let style = Style { size_px: plan.text_px, colour: palette::QUIET, bold: false, align: SheetAlign::Center };
            caption(sheet, canvas::inset(area, 6), "no picture", style, lettering);
        }
    }
    let style = |colour, bold| Style { size_px: plan.text_px, colour, bold, align: SheetAlign::Left };
    if let Some(area) = place.name {
        let name = match (tile.asset.as_str(), tile.locale.as_str()) {
            (asset, "") => asset.to_owned(),
            ("", locale) => locale.to_owned(),
            (asset, locale) => format!("{asset}  {locale}"),
        };
        caption(sheet, area, &name, style(palette::TEXT, true), lettering);
    }
    if let Some(area) = place.note {
        match (tile.standing.words(), accent) {
            (Some(words), Some(accent)) => caption(sheet, area, &words, style(accent, true), lettering),
            _ => caption(sheet, area, &tile.engine, style(palette::QUIET, false), lettering),
        }
    }
}

/// The one place where letters get onto the sheet: nothing is set into a box too small to be read.
fn caption(sheet: &mut ImageBuf, area: PixelBox, text: &str, style: Style, lettering: &mut dyn Lettering) {
    let bounds = sheet.extent().bounds();
    if !text.trim().is_empty() && area.w >= style.size_px && area.h >= style.size_px && bounds.contains(area) {
        lettering.line(sheet, area, text, style);
    }
}

#[cfg(test)]
mod tests;
