//! What one pass read, in the order in which a person would read it.

use thumbforge_core::image::{Extent, PixelBox};

use crate::matching::Letter;
use crate::normalise::normalise;
use crate::plane::Plane;
use crate::tesseract::Symbol;

/// Symbols of one pass, with their letters.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// In reading order.
    pub(crate) symbols: Vec<Symbol>,
    /// Where each symbol is in the picture.
    pub(crate) places: Vec<PixelBox>,
    /// Letters as they are compared.
    pub(crate) letters: Vec<Letter>,
    /// The symbol of each letter.
    pub(crate) owners: Vec<usize>,
    /// Pixels of the plane that was read for each of the picture.
    scale: f64,
}

impl Page {
    /// Puts lines in order: sparse text comes as it was found.
    pub(crate) fn new(symbols: Vec<Symbol>, plane: &Plane, picture: Extent, locale: &str, leftward: bool) -> Self {
        let symbols = ordered(symbols, leftward);
        let places = symbols.iter().map(|symbol| plane.in_picture(symbol.place, picture)).collect();
        let (mut letters, mut owners) = (Vec::new(), Vec::new());
        let mut begins = false;
        for (at, symbol) in symbols.iter().enumerate() {
            begins |= symbol.starts_word;
            for c in normalise(&symbol.text, locale) {
                letters.push(Letter { c, starts_word: std::mem::take(&mut begins) });
                owners.push(at);
            }
        }
        Self { symbols, places, letters, owners, scale: plane.scale() }
    }

    /// The lines that these symbols stand in; nothing for no symbols.
    pub(crate) fn lines(&self, symbols: &[usize]) -> Option<Lines> {
        let mut lines: Vec<[i32; 2]> = Vec::new();
        for symbol in symbols.iter().filter_map(|&at| self.symbols.get(at)) {
            let [_, top, _, bottom] = symbol.place;
            match lines.last_mut() {
                Some(line) if !symbol.starts_line => *line = [line[0].min(top), line[1].max(bottom)],
                _ => lines.push([top, bottom]),
            }
        }
        let tallest = lines.iter().map(|[top, bottom]| bottom - top).max().filter(|px| *px > 0)?;
        Some(Lines { count: lines.len(), px: Some(f64::from(tallest) / self.scale) })
    }

    /// The text of the symbols `from..=to` as it was read, with its spaces.
    pub(crate) fn text(&self, symbols: &[usize]) -> String {
        let mut text = String::new();
        for (at, symbol) in symbols.iter().filter_map(|&at| self.symbols.get(at)).enumerate() {
            if symbol.starts_word && at > 0 {
                text.push(' ');
            }
            text.push_str(&symbol.text);
        }
        text
    }
}

/// How many lines there are, and how high.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Lines {
    /// Zero where nobody knows.
    pub(crate) count: usize,
    /// Height of the tallest from its highest to its lowest ink, in pixels of the picture.
    pub(crate) px: Option<f64>,
}

/// The box around boxes.
pub(crate) fn around(places: impl Iterator<Item = PixelBox>) -> Option<PixelBox> {
    places.filter(|place| place.w > 0 && place.h > 0).reduce(|a, b| {
        let (x, y) = (a.x.min(b.x), a.y.min(b.y));
        let (right, bottom) = (a.right().max(b.right()), a.bottom().max(b.bottom()));
        PixelBox { x, y, w: (right - i64::from(x)) as u32, h: (bottom - i64::from(y)) as u32 }
    })
}

/// Lines from the top; those that stand beside one another in the script's direction.
fn ordered(symbols: Vec<Symbol>, leftward: bool) -> Vec<Symbol> {
    let mut lines: Vec<Vec<Symbol>> = Vec::new();
    for symbol in symbols {
        match lines.last_mut() {
            Some(line) if !symbol.starts_line => line.push(symbol),
            _ => lines.push(vec![symbol]),
        }
    }
    let bounds = |line: &[Symbol]| {
        line.iter().fold([i32::MAX, i32::MAX, i32::MIN, i32::MIN], |[l, t, r, b], symbol| {
            let [sl, st, sr, sb] = symbol.place;
            [l.min(sl), t.min(st), r.max(sr), b.max(sb)]
        })
    };
    let mut lines: Vec<([i32; 4], Vec<Symbol>)> = lines.into_iter().map(|line| (bounds(&line), line)).collect();
    lines.sort_by_key(|([_, top, _, bottom], _)| i64::from(*top) + i64::from(*bottom));
    // Rows: a line belongs to the row above when its middle is within the first line of that row.
    let mut rows: Vec<Vec<([i32; 4], Vec<Symbol>)>> = Vec::new();
    for (place, line) in lines {
        let middle = (i64::from(place[1]) + i64::from(place[3])) / 2;
        let beside = rows
            .last()
            .and_then(|row| row.first())
            .is_some_and(|([_, top, _, bottom], _)| (i64::from(*top)..i64::from(*bottom)).contains(&middle));
        match rows.last_mut() {
            Some(row) if beside => row.push((place, line)),
            _ => rows.push(vec![(place, line)]),
        }
    }
    for row in &mut rows {
        row.sort_by_key(|([left, _, right, _], _)| if leftward { -i64::from(*right) } else { i64::from(*left) });
    }
    rows.into_iter().flatten().flat_map(|(_, line)| line).collect()
}
