//! Where everything stands on a sheet: pure arithmetic over tiles.
//!
//! Assets as rows and locales as columns where the tiles have that shape; else a grid as wide as a screen is.
//! Cells start large and shrink until the sheet fits.

use std::collections::{HashMap, HashSet};

use thumbforge_core::image::{Extent, PixelBox};

use super::{SHEET_SIDE_MAX, TILES_MAX, Tile};

const MARGIN: u32 = 36;
const GAP: u32 = 16;
const HEADER_H: u32 = 84;
/// A quarter of a 1080p screen's height fits a picture in which text can be judged.
const CELL_MAX: u32 = 320;
/// Below it a picture tells nothing; [`TILES_MAX`] keeps cells well above.
const CELL_MIN: u32 = 48;
/// A matrix whose cells would be smaller flows instead, where pictures get more room.
const MATRIX_CELL_MIN: u32 = 96;
/// More rows for each column than this make a strip that no screen shows.
const STRIP_MAX: usize = 4;
/// Below this width a caption would be all dots.
const CAPTION_CELL_MIN: u32 = 88;
/// A sheet of fewer pixels has no room for its header.
const WIDTH_MIN: u32 = 560;
/// More columns than this make a matrix of slivers.
const COLUMNS_MAX: usize = 32;

/// Where one tile stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Index of the tile.
    pub(super) tile: usize,
    pub(super) picture: PixelBox,
    /// Absent where row and column say it.
    pub(super) name: Option<PixelBox>,
    pub(super) note: Option<PixelBox>,
}

/// Where everything stands.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) size: Extent,
    pub(super) title: PixelBox,
    pub(super) counts: PixelBox,
    pub(super) rule: PixelBox,
    pub(super) text_px: u32,
    /// Headings of columns, in a matrix.
    pub(super) columns: Vec<(PixelBox, String)>,
    /// Headings of rows, in a matrix.
    pub(super) rows: Vec<(PixelBox, String)>,
    pub(super) places: Vec<Place>,
}

/// Shape of the whole: which tile stands in which row and column.
struct Shape {
    matrix: Option<(Vec<String>, Vec<String>)>,
    columns: usize,
    rows: usize,
    /// Tile, row, column.
    cells: Vec<(usize, usize, usize)>,
}

/// Sizes that follow from the width of a cell.
#[derive(Clone, Copy)]
struct Measure {
    cell_w: u32,
    picture_h: u32,
    text_px: u32,
    name_h: u32,
    note_h: u32,
    /// Width of the headings at the left.
    left_w: u32,
    /// Height of the headings at the top.
    top_h: u32,
}

impl Measure {
    fn new(cell_w: u32, look: Look, shape: &Shape) -> Self {
        let text_px = (cell_w / 16).clamp(11, 16);
        let line_h = if cell_w >= CAPTION_CELL_MIN { text_px * 3 / 2 } else { 0 };
        let matrix = shape.matrix.as_ref();
        let longest = matrix.map_or(0, |(rows, _)| rows.iter().map(|row| row.chars().count()).max().unwrap_or(0));
        // Letters are about 0.6 of their size wide; bold ones a little more.
        let left_w = ((longest as u32 + 1) * text_px * 13 / 20).clamp(60, 260);
        Self {
            cell_w,
            picture_h: look.picture_h(cell_w),
            text_px,
            name_h: if look.named && matrix.is_none() { line_h } else { 0 },
            note_h: line_h,
            left_w: if matrix.is_some() { left_w } else { 0 },
            top_h: if matrix.is_some() { text_px * 2 } else { 0 },
        }
    }

    fn fits(&self, shape: &Shape) -> bool {
        let size = self.size(shape.columns, shape.rows);
        size.width <= SHEET_SIDE_MAX && size.height <= SHEET_SIDE_MAX
    }

    fn cell_h(&self) -> u32 {
        let lines = self.name_h + self.note_h;
        self.picture_h + if lines > 0 { lines + 4 } else { 0 }
    }

    fn size(&self, columns: usize, rows: usize) -> Extent {
        let across = |count: usize, side: u32| count as u32 * (side + GAP) - GAP;
        Extent {
            width: (2 * MARGIN + self.left_w + across(columns, self.cell_w)).max(WIDTH_MIN),
            height: 2 * MARGIN + HEADER_H + self.top_h + across(rows, self.cell_h()),
        }
    }
}

impl Plan {
    pub(super) fn of(tiles: &[Tile]) -> Self {
        let look = Look::of(tiles);
        // No picture is enlarged, but small icons still get room for their captions.
        let widest = tiles.iter().map(|tile| tile.size.width).max().unwrap_or(CELL_MAX);
        let start = widest.clamp(128, CELL_MAX);
        if let Some(shape) = Shape::matrix(tiles) {
            let measure = (MATRIX_CELL_MIN..=start)
                .rev()
                .map(|cell_w| Measure::new(cell_w, look, &shape))
                .find(|measure| measure.fits(&shape));
            if let Some(measure) = measure {
                return Self::laid(shape, measure);
            }
        }
        let mut cell_w = start;
        let (shape, measure) = loop {
            let shape = Shape::flow(tiles, cell_w, look);
            let measure = Measure::new(cell_w, look, &shape);
            if measure.fits(&shape) || cell_w <= CELL_MIN {
                break (shape, measure);
            }
            cell_w -= 1;
        };
        Self::laid(shape, measure)
    }

    fn laid(shape: Shape, measure: Measure) -> Self {
        let size = measure.size(shape.columns, shape.rows);
        let size = Extent { width: size.width.min(SHEET_SIDE_MAX), height: size.height.min(SHEET_SIDE_MAX) };
        let area = |x: u32, y: u32, w: u32, h: u32| PixelBox { x: x as i32, y: y as i32, w, h };
        let (left, top) = (MARGIN + measure.left_w, MARGIN + HEADER_H + measure.top_h);
        let column_x = |column: usize| left + column as u32 * (measure.cell_w + GAP);
        let row_y = |row: usize| top + row as u32 * (measure.cell_h() + GAP);
        let place = |(tile, row, column): &(usize, usize, usize)| {
            let (x, y) = (column_x(*column), row_y(*row));
            let name_y = y + measure.picture_h + 4;
            let line = |y: u32, h: u32| (h > 0).then(|| area(x, y, measure.cell_w, h));
            Place {
                tile: *tile,
                picture: area(x, y, measure.cell_w, measure.picture_h),
                name: line(name_y, measure.name_h),
                note: line(name_y + measure.name_h, measure.note_h),
            }
        };
        let bounds = size.bounds();
        // At the smallest cell a very long sheet is cut off; what is cut is counted as not shown.
        let places: Vec<Place> = shape.cells.iter().map(place).filter(|place| bounds.contains(place.picture)).collect();
        let (rows, columns) = shape.matrix.unwrap_or_default();
        let inner_w = size.width - 2 * MARGIN;
        Self {
            size,
            title: area(MARGIN, MARGIN - 8, inner_w, 40),
            counts: area(MARGIN, MARGIN + 32, inner_w, 24),
            rule: area(MARGIN, MARGIN + HEADER_H - 20, inner_w, 1),
            text_px: measure.text_px,
            columns: columns
                .into_iter()
                .enumerate()
                .map(|(at, text)| {
                    (area(column_x(at), top - measure.top_h - 4, measure.cell_w, measure.text_px * 3 / 2), text)
                })
                .collect(),
            rows: rows
                .into_iter()
                .enumerate()
                .map(|(at, text)| (area(MARGIN, row_y(at), measure.left_w - 12, measure.picture_h), text))
                .collect(),
            places,
        }
    }
}

impl Shape {
    /// Assets by locales, if each pair is there at most once and most are.
    fn matrix(tiles: &[Tile]) -> Option<Self> {
        let (mut rows, mut columns) = (Vec::new(), Vec::new());
        let (mut row_of, mut column_of) = (HashMap::new(), HashMap::new());
        let mut taken = HashSet::new();
        let mut cells = Vec::new();
        for (tile, Tile { asset, locale, .. }) in tiles.iter().enumerate() {
            let row = *row_of.entry(asset).or_insert_with(|| {
                rows.push(asset.clone());
                rows.len() - 1
            });
            let column = *column_of.entry(locale).or_insert_with(|| {
                columns.push(locale.clone());
                columns.len() - 1
            });
            if !taken.insert((row, column)) {
                return None;
            }
            cells.push((tile, row, column));
        }
        let mostly_full = cells.len() * 4 >= rows.len() * columns.len() * 3;
        let strip = rows.len() > columns.len() * STRIP_MAX;
        if columns.len() < 2 || columns.len() > COLUMNS_MAX || !mostly_full || strip {
            return None;
        }
        // Whole assets only, so that no row looks as if locales were missing.
        let rows_max = (TILES_MAX / columns.len()).max(1);
        rows.truncate(rows_max);
        cells.retain(|(_, row, _)| *row < rows_max);
        Some(Self { columns: columns.len(), rows: rows.len(), matrix: Some((rows, columns)), cells })
    }

    fn flow(tiles: &[Tile], cell_w: u32, look: Look) -> Self {
        let count = tiles.len().clamp(1, TILES_MAX);
        let cell_h = f64::from(look.picture_h(cell_w)) + 50.0;
        // As wide as a screen: 3 to 2.
        let columns = (count as f64 * cell_h / f64::from(cell_w + GAP) * 1.5).sqrt().round().max(1.0) as usize;
        let columns = whole_assets(tiles, columns).min(count);
        let cells = (0..tiles.len().min(TILES_MAX)).map(|tile| (tile, tile / columns, tile % columns)).collect();
        Self { matrix: None, columns, rows: count.div_ceil(columns), cells }
    }
}

/// The nearest number of columns that begins each asset at the left or at the same place in every row, where all
/// assets have equally many pictures.
fn whole_assets(tiles: &[Tile], columns: usize) -> usize {
    let mut runs = tiles.chunk_by(|one, next| one.asset == next.asset).map(<[Tile]>::len);
    match runs.next() {
        Some(run) if run <= columns && runs.all(|other| other == run) => (columns + run / 2) / run * run,
        _ => columns,
    }
}

/// What the pictures have in common.
#[derive(Clone, Copy)]
struct Look {
    /// Height by width of most tiles, so that one banner does not make all cells flat.
    aspect: f64,
    /// Height of the tallest: no picture is enlarged, so no cell needs more.
    tallest: u32,
    /// Whether any has a name.
    named: bool,
}

impl Look {
    fn of(tiles: &[Tile]) -> Self {
        let mut aspects: Vec<f64> =
            tiles.iter().map(|tile| f64::from(tile.size.height) / f64::from(tile.size.width.max(1))).collect();
        aspects.sort_by(f64::total_cmp);
        Self {
            aspect: aspects.get(aspects.len() / 2).copied().unwrap_or(1.0).clamp(0.3, 2.0),
            tallest: tiles.iter().map(|tile| tile.size.height).max().unwrap_or(CELL_MAX),
            named: tiles.iter().any(|tile| !tile.asset.is_empty() || !tile.locale.is_empty()),
        }
    }

    fn picture_h(self, cell_w: u32) -> u32 {
        ((f64::from(cell_w) * self.aspect).round() as u32).min(self.tallest).max(1)
    }
}
