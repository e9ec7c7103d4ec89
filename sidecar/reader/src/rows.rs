//! Rows of letters among the patches that were cut out: which patches stand as letters of a word do, and where the lines are.

use std::cmp::Reverse;

/// A patch's box: left, top, right, bottom; the latter two one past the end.
type Box = [u32; 4];

/// Least height of a letter that is looked for, in pixels: the x-height of letters of 12 pixels.
const HEIGHT_MIN: u32 = 5;
/// How many times as high as its neighbour a letter may be: a capital with marks beside a small letter.
const HEIGHTS: u32 = 3;
/// Rows that are less than this part of the highest one are marks and specks, in percent.
const ROW_MIN: u32 = 40;
/// Least height in pixels, and how many times as wide as high, of one patch that may be a word whose letters run into each
/// other: those of a title do where they glow.
const GLOWING: [u32; 2] = [12, 3];
/// Patches whose neighbours are looked for, the largest; a page of noise has more, and they are small.
const PATCHES_MAX: usize = 4096;

fn high([_, t, _, b]: Box) -> u32 {
    b.saturating_sub(t)
}

fn wide([l, _, r, _]: Box) -> u32 {
    r.saturating_sub(l)
}

/// Which patches are letters of a word, by how they stand: on one level with another of about their height. Where letters are
/// `joined`, a word may be a single patch that is wider than high; elsewhere one that is as wide as three letters.
pub(crate) fn in_words(patches: &[Box], joined: bool) -> Vec<bool> {
    let mut order: Vec<usize> = (0..patches.len()).filter(|&at| high(patches[at]) >= HEIGHT_MIN).collect();
    if order.len() > PATCHES_MAX {
        order.sort_by_key(|&at| (Reverse(area(&[patches[at]])), at));
        order.truncate(PATCHES_MAX);
    }
    order.sort_by_key(|&at| (patches[at][0], at));
    let mut found = vec![false; patches.len()];
    for (nth, &at) in order.iter().enumerate() {
        let one = patches[at];
        let [least, times] = GLOWING;
        found[at] |= joined && wide(one) > high(one) || high(one) >= least && wide(one) >= high(one) * times;
        let reach = one[2].saturating_add(high(one) * HEIGHTS);
        for &other_at in order[nth + 1..].iter().take_while(|&&other| patches[other][0] <= reach) {
            let other = patches[other_at];
            let (low, tall) = (high(one).min(high(other)), high(one).max(high(other)));
            let level = one[3].min(other[3]).saturating_sub(one[1].max(other[1]));
            let gap = other[0].saturating_sub(one[2]);
            if level * 2 >= low && tall <= low * HEIGHTS && gap * 2 <= tall * 3 {
                found[at] = true;
                found[other_at] = true;
            }
        }
    }
    found
}

/// Top and bottom of each row that these patches stand in.
pub(crate) fn rows(patches: &[Box]) -> Vec<[u32; 2]> {
    let mut spans: Vec<[u32; 2]> = patches.iter().map(|&[_, t, _, b]| [t, b]).collect();
    spans.sort_unstable();
    let mut rows: Vec<[u32; 2]> = Vec::new();
    for [top, bottom] in spans {
        match rows.last_mut() {
            Some(row) if top < row[1] => row[1] = row[1].max(bottom),
            _ => rows.push([top, bottom]),
        }
    }
    let highest = rows.iter().map(|[top, bottom]| bottom - top).max().unwrap_or(0);
    rows.retain(|[top, bottom]| (bottom - top) * 100 >= highest * ROW_MIN);
    rows
}

/// Rows with the marks and dots above and below them: patches in no row whose middle is less than half a row's height away.
pub(crate) fn with_marks(rows: &[[u32; 2]], patches: &[Box]) -> Vec<[u32; 2]> {
    let middle = |&[_, t, _, b]: &Box| (t + b) / 2;
    let open = |patch: &&Box| !rows.iter().any(|[top, bottom]| (*top..*bottom).contains(&middle(patch)));
    let marks: Vec<&Box> = patches.iter().filter(open).collect();
    let near = |&[top, bottom]: &[u32; 2]| {
        let room = (bottom - top) / 2;
        let around = top.saturating_sub(room)..bottom + room;
        let marks = marks.iter().filter(|mark| high(***mark) <= bottom - top && around.contains(&middle(mark)));
        marks.fold([top, bottom], |[top, bottom], &&[_, t, _, b]| [top.min(t), bottom.max(b)])
    };
    rows.iter().map(near).collect()
}

/// The sum of the patches' boxes, in pixels.
pub(crate) fn area(patches: &[Box]) -> u64 {
    patches.iter().map(|&patch| u64::from(wide(patch)) * u64::from(high(patch))).sum()
}

/// The height that half of the patches' area is at least as high as; 0 for none.
pub(crate) fn height(patches: &[Box]) -> u32 {
    let mut heights: Vec<(u32, u64)> = patches.iter().map(|&patch| (high(patch), area(&[patch]))).collect();
    heights.sort_unstable();
    let half = area(patches) / 2;
    let mut sum = 0;
    for (height, area) in heights {
        sum += area;
        if sum >= half {
            return height;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letters of 10 by 20 pixels, 4 apart, on a line whose top is `top`.
    fn line(top: u32, letters: u32) -> Vec<Box> {
        (0..letters).map(|at| [at * 14, top, at * 14 + 10, top + 20]).collect()
    }

    fn check(patches: &[Box], joined: bool, expected: &[bool]) {
        assert_eq!(in_words(patches, joined), expected, "{patches:?}, joined: {joined}");
    }

    #[test]
    fn letters_of_a_word_stand_on_one_level_and_near() {
        let one = [0, 0, 10, 20];
        check(&[], false, &[]);
        check(&[one], false, &[false]);
        check(&[one, [14, 0, 24, 20]], false, &[true, true]);
        check(&[[14, 0, 24, 20], one], false, &[true, true]);
        // A small letter beside a capital, and a dot beside it.
        check(&[one, [14, 8, 24, 20]], false, &[true, true]);
        check(&[one, [14, 16, 18, 20]], false, &[false, false]);
        // Too far away, too far down, too high.
        check(&[one, [41, 0, 51, 20]], false, &[false, false]);
        check(&[one, [14, 11, 24, 31]], false, &[false, false]);
        check(&[one, [14, 0, 24, 61]], false, &[false, false]);
        // Between them stands a mark that is none of their height.
        check(&[one, [11, 0, 13, 4], [14, 0, 24, 20]], false, &[true, false, true]);
    }

    #[test]
    fn a_word_of_joined_letters_may_be_one_patch() {
        check(&[[0, 0, 50, 20]], true, &[true]);
        check(&[[0, 0, 50, 20]], false, &[false]);
        check(&[[0, 0, 15, 20]], true, &[false]);
        // So may one whose letters glow, if it is as wide as three and as high as a letter of a title.
        check(&[[0, 0, 59, 20]], false, &[false]);
        check(&[[0, 0, 60, 20]], false, &[true]);
        check(&[[0, 0, 60, 11]], false, &[false]);
    }

    #[test]
    fn words_below_many_specks_are_found() {
        let speck = |at: u32| [at % 64 * 20, at / 64 * 20, at % 64 * 20 + 2, at / 64 * 20 + 6];
        let specks: Vec<Box> = (0..2 * PATCHES_MAX as u32).map(speck).collect();
        let found = in_words(&[specks, line(4000, 3)].concat(), false);
        assert_eq!(found.iter().filter(|found| **found).count(), 3);
        assert!(found.ends_with(&[true; 3]));
        // Of patches as large as one another the first are looked at.
        let found = in_words(&vec![[0, 0, 10, 20]; PATCHES_MAX + 1], false);
        assert_eq!(found.iter().position(|found| !found), Some(PATCHES_MAX));
    }

    #[test]
    fn rows_are_told_apart_and_specks_are_none() {
        let two: Vec<Box> = [line(10, 3), line(40, 2), vec![[0, 80, 9, 87]]].concat();
        assert_eq!(rows(&two), [[10, 30], [40, 60]]);
        assert_eq!(rows(&[]), Vec::<[u32; 2]>::new());
    }

    #[test]
    fn marks_belong_to_the_row_that_they_are_near() {
        let check = |mark: Box, expected: &[[u32; 2]]| {
            let rows = [[20, 40], [60, 80]];
            assert_eq!(with_marks(&rows, &[line(20, 2), line(60, 2), vec![mark]].concat()), expected, "{mark:?}");
        };
        check([0, 13, 5, 17], &[[13, 40], [60, 80]]);
        check([0, 42, 5, 46], &[[20, 46], [60, 80]]);
        check([0, 52, 5, 56], &[[20, 40], [52, 80]]);
        check([0, 0, 5, 4], &[[20, 40], [60, 80]]);
        // Higher than a row: scenery.
        check([0, 0, 5, 25], &[[20, 40], [60, 80]]);
    }

    #[test]
    fn heights_are_weighed_by_area() {
        assert_eq!(height(&[]), 0);
        assert_eq!(height(&[line(0, 5), vec![[0, 0, 2, 3]; 8]].concat()), 20);
        assert_eq!(area(&line(0, 3)), 600);
    }
}
