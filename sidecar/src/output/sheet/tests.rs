//! Every picture has a place of its own, within the sheet; the key changes with whatever can be seen.

use super::*;

fn tile(asset: &str, locale: &str) -> Tile {
    Tile {
        asset: asset.into(),
        locale: locale.into(),
        engine: "builtin".into(),
        standing: Standing::Good,
        size: Extent { width: 512, height: 512 },
        content: Some([1; 32]),
    }
}

fn matrix(assets: usize, locales: usize) -> Vec<Tile> {
    (0..assets * locales).map(|at| tile(&format!("asset {}", at / locales), &format!("l{}", at % locales))).collect()
}

fn single(count: usize) -> Vec<Tile> {
    (0..count).map(|at| tile(&format!("asset {at}"), "")).collect()
}

/// Nothing reaches outside the sheet or over anything else.
fn check(tiles: &[Tile]) -> Plan {
    let plan = Plan::of(tiles);
    let bounds = plan.size.bounds();
    assert!(plan.size.width <= SHEET_SIDE_MAX && plan.size.height <= SHEET_SIDE_MAX, "{:?}", plan.size);
    let mut boxes = vec![plan.title, plan.counts, plan.rule];
    boxes.extend(plan.columns.iter().chain(&plan.rows).map(|(area, _)| *area));
    for place in &plan.places {
        boxes.push(place.picture);
        boxes.extend(place.name.iter().chain(&place.note));
    }
    for (at, area) in boxes.iter().enumerate() {
        assert!(bounds.contains(*area), "{area:?} in {bounds:?}");
        let other = boxes[at + 1..].iter().find(|other| area.intersection(**other).is_some());
        assert_eq!(other, None, "{area:?}, {} tiles", tiles.len());
    }
    plan
}

#[test]
fn assets_and_locales_make_a_matrix() {
    let plan = check(&matrix(3, 5));
    assert_eq!((plan.rows.len(), plan.columns.len(), plan.places.len()), (3, 5, 15));
    assert_eq!(plan.places[7].picture.x, plan.places[2].picture.x, "a locale is a column");
    assert_eq!(plan.places[7].picture.y, plan.places[5].picture.y, "an asset is a row");
}

#[test]
fn a_missing_locale_leaves_its_cell_empty() {
    let mut tiles = matrix(3, 3);
    tiles.remove(4);
    let plan = check(&tiles);
    assert_eq!((plan.rows.len(), plan.places.len()), (3, 8));
}

#[test]
fn other_shapes_flow() {
    for tiles in [single(1), single(2), single(7), single(24), vec![tile("a", "en"); 5]] {
        let plan = check(&tiles);
        assert!(plan.rows.is_empty() && plan.columns.is_empty());
        assert_eq!(plan.places.len(), tiles.len());
    }
    check(&[]);
}

#[test]
fn cells_shrink_until_all_fit() {
    for tiles in [single(100), single(TILES_MAX), matrix(36, 11), matrix(12, 32), matrix(200, 2), matrix(30, 3)] {
        assert_eq!(check(&tiles).places.len(), tiles.len());
    }
}

#[test]
fn assets_that_flow_begin_in_line() {
    let plan = check(&matrix(39, 11)[..396]);
    assert!(plan.rows.is_empty(), "too many for a matrix");
    let lefts: std::collections::HashSet<i32> =
        plan.places.iter().filter(|place| place.tile % 11 == 0).map(|place| place.picture.x).collect();
    assert!(lefts.len() <= 3, "{lefts:?}");
}

#[test]
fn sizes_of_all_kinds_fit() {
    for (width, height) in [(4096, 16), (16, 4096), (16, 16), (1024, 576)] {
        let mut tiles = single(40);
        tiles.iter_mut().for_each(|tile| tile.size = Extent { width, height });
        assert!(!check(&tiles).places.is_empty());
    }
}

#[test]
fn what_is_too_many_is_told() {
    let mut lines = Vec::new();
    let mut lettering = |_: &mut ImageBuf, _: PixelBox, text: &str, _: Style| lines.push(text.to_owned());
    let mut tiles = single(TILES_MAX + 3);
    tiles[0].standing = Standing::Failing("text outside box".into());
    draw_sheet("Shop", &tiles, &mut |_| None, &mut lettering);
    assert_eq!(lines[0], "Shop");
    assert!(
        lines[1].starts_with("403 pictures") && lines[1].ends_with("and 3 more that are not shown"),
        "{}",
        lines[1]
    );
    assert!(lines[1].contains("1 failing"));
    assert_eq!(check(&matrix(100, 31)).places.len(), 372, "whole assets");
}

#[test]
fn pictures_stand_where_they_were_planned() {
    let mut tiles = matrix(2, 2);
    tiles[3].standing = Standing::Failing("low contrast".into());
    let colours = [[200, 0, 0, 255], [0, 200, 0, 255], [0, 0, 200, 255], [200, 200, 0, 255]];
    let mut load = |at: usize| (at != 2).then(|| ImageBuf::filled(tiles[at].size, colours[at]));
    let mut captions = Vec::new();
    let mut lettering =
        |_: &mut ImageBuf, area: PixelBox, text: &str, style: Style| captions.push((area, text.to_owned(), style));
    let sheet = draw_sheet("Shop", &tiles, &mut load, &mut lettering);
    for place in &check(&tiles).places {
        let PixelBox { x, y, w, h } = place.picture;
        let middle = sheet.pixel(x as u32 + w / 2, y as u32 + h / 2);
        let expected = if place.tile == 2 { None } else { Some(colours[place.tile]) };
        assert!(expected.is_none() || middle == expected, "{place:?}: {middle:?}");
    }
    let said = |text: &str| captions.iter().any(|(_, caption, _)| caption == text);
    assert!(said("FAIL low contrast") && said("no picture") && said("asset 1") && said("l0") && said("builtin"));
    assert!(sheet.pixels().chunks_exact(4).all(|pixel| pixel[3] == 255), "a sheet is opaque");
}

#[test]
fn the_key_changes_with_what_is_seen_and_with_nothing_else() {
    let key = |change: fn(&mut Vec<Tile>)| {
        let mut tiles = matrix(2, 2);
        change(&mut tiles);
        sheet_key("Shop", &tiles)
    };
    let same = key(|_| {});
    assert_eq!(same, key(|_| {}));
    assert_ne!(same, sheet_key("Other", &matrix(2, 2)));
    let changes: [fn(&mut Vec<Tile>); 9] = [
        |tiles| tiles[0].asset.push('s'),
        |tiles| tiles[0].locale.push('s'),
        |tiles| tiles[0].engine.push('s'),
        |tiles| tiles[0].standing = Standing::Placeholder,
        |tiles| tiles[0].standing = Standing::Failing("placeholder".into()),
        |tiles| tiles[0].size.width += 1,
        |tiles| tiles[0].content = Some([2; 32]),
        |tiles| tiles[0].content = None,
        |tiles| tiles.swap(0, 1),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        assert_ne!(same, key(change), "{at}");
    }
}

#[test]
fn a_sheet_holds_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sheet.png");
    assert_eq!(read_sheet_key(&path), None);
    let tiles = single(2);
    let sheet = draw_sheet("Shop", &tiles, &mut |_| None, &mut |_: &mut ImageBuf, _: PixelBox, _: &str, _: Style| {});
    let key = sheet_key("Shop", &tiles);
    std::fs::write(&path, encode_sheet(&sheet, key).expect("encodes")).expect("writes");
    assert_eq!(read_sheet_key(&path), Some(key));
    std::fs::write(&path, b"by hand").expect("writes");
    assert_eq!(read_sheet_key(&path), None);
}
