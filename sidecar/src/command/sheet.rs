//! The contact sheet of a build: which tiles it has, and the letters on it.

use std::path::Path;

use thumbforge_art::text::{self, FontBook};
use thumbforge_core::error::{Failure, chain};
use thumbforge_core::image::{ImageBuf, PixelBox};
use thumbforge_core::text_layer::{Align, Fill, TextLayer, TextMode, TextStyle, VerticalAlign, Weight};
use thumbforge_core::verdict::Severity;

use crate::build::{Item, ItemState, Project, Report};
use crate::output::png::{self, DecodeLimits};
use crate::output::sheet::{self, SheetAlign, Standing, Style, Tile};
use crate::output::write::{Patience, write_atomic};

/// Draws the sheet at `path` if it is missing or shows something else, and says what it did.
pub(crate) fn write(path: &Path, project: &Project, report: &Report) -> Result<String, Failure> {
    let tiles: Vec<Tile> = report.items.iter().map(|item| tile(item, project)).collect();
    let title = if project.name.is_empty() { "Thumbforge".to_owned() } else { project.name.clone() };
    let key = sheet::sheet_key(&title, &tiles);
    if sheet::read_sheet_key(path) == Some(key) {
        return Ok(format!("{}: unchanged", path.display()));
    }
    let mut load = |at: usize| {
        let bytes = std::fs::read(project.root.join(&report.items[at].path)).ok()?;
        png::decode(&bytes, DecodeLimits::ART).ok()
    };
    let fonts = FontBook::packaged();
    let mut letters = |image: &mut ImageBuf, area: PixelBox, text: &str, style: Style| {
        line(image, area, text, style, &fonts);
    };
    let drawn = sheet::draw_sheet(&title, &tiles, &mut load, &mut letters);
    let failed = |code, err: &dyn std::error::Error| Failure::new(code, format!("failed to {}", chain(err)));
    let bytes = sheet::encode_sheet(&drawn, key).map_err(|err| failed(err.code(), &err))?;
    write_atomic(path, &bytes, &Patience::usual()).map_err(|err| failed(err.code(), &err))?;
    Ok(format!("{}: drawn", path.display()))
}

fn tile(item: &Item, project: &Project) -> Tile {
    let line = project.lock.get(&item.path);
    let verdict = item.verdict.as_ref();
    let worst = verdict.and_then(|verdict| verdict.findings.iter().max_by_key(|finding| finding.severity));
    let engine = line.map(|line| line.drawn_by.engine.clone()).unwrap_or_default();
    let standing = match (&item.error, worst) {
        (Some(failure), _) => Standing::Absent(failure.code.word().to_owned()),
        (None, Some(finding)) if finding.severity == Severity::Error => Standing::Failing(finding.message.clone()),
        _ if line.is_none() && item.state != ItemState::Kept => Standing::Absent("not made".to_owned()),
        // The same in the run that drew it and in the one that found it: the lock knows the engine, the manifest the model.
        _ if engine == "builtin" && project.names_a_model(&item.path) => Standing::Placeholder,
        _ => Standing::Good,
    };
    Tile {
        asset: item.asset.clone(),
        locale: item.locale.clone(),
        engine,
        standing,
        size: project.size_of(&item.path),
        content: line.map(|line| line.pixels.0),
    }
}

/// One line of letters, shortened until it fits. A caption is a label: what cannot be set is left out.
fn line(image: &mut ImageBuf, area: PixelBox, words: &str, style: Style, fonts: &FontBook) {
    let (width, height) = (f64::from(image.extent().width), f64::from(image.extent().height));
    let size = f64::from(style.size_px) / height;
    let layer = |text: String| TextLayer {
        name: "caption".to_owned(),
        text,
        locale: "en".to_owned(),
        mode: TextMode::Composite,
        style: TextStyle {
            area: [
                f64::from(area.x) / width,
                f64::from(area.y) / height,
                f64::from(area.w) / width,
                f64::from(area.h) / height,
            ],
            align: if style.align == SheetAlign::Left { Align::Start } else { Align::Center },
            valign: VerticalAlign::Middle,
            size,
            size_min: size * 0.85,
            lines_max: 1,
            weight: if style.bold { Weight::Bold } else { Weight::Regular },
            fill: Fill::Solid(style.colour),
            outline: None,
            shadow: None,
            ..TextStyle::default()
        },
    };
    let mut kept: Vec<char> = words.chars().collect();
    while !kept.is_empty() {
        let whole = kept.len() == words.chars().count();
        let text: String = kept.iter().collect();
        let text = if whole { text } else { format!("{}…", text.trim_end()) };
        match text::set(image, &[layer(text)], fonts) {
            Err(text::TextError::DoesNotFit { .. }) => {
                kept.truncate(kept.len() * 9 / 10);
            }
            _ => return,
        }
    }
}
