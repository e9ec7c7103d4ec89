//! Pixels that touch, and the least value near each pixel: what letters are cut out by.

/// How far from a letter's middle its line may be, in pixels: half the stem of the boldest title at 512 pixels.
const REACH: usize = 8;

/// The least value within [`REACH`] pixels across and down.
///
/// Windows are doubled: the least of 2, 4, 8 and 16 neighbours, and of two such windows that overlap.
pub(crate) fn least(grey: &[u8], width: usize, height: usize) -> Vec<u8> {
    const { assert!(REACH == 8) };
    let lower =
        |out: &mut [u8], other: &[u8]| out.iter_mut().zip(other).for_each(|(out, &value)| *out = (*out).min(value));
    // Room on both sides, so that no window ends.
    let padded = width + 2 * REACH;
    let mut row = vec![255u8; padded];
    let mut ahead = row.clone();
    let mut across = vec![255u8; width * (height + 2 * REACH)];
    let inner = across.get_mut(REACH * width..).unwrap_or_default();
    for (values, out) in grey.chunks_exact(width).zip(inner.chunks_exact_mut(width)) {
        row.fill(255);
        row[REACH..REACH + width].copy_from_slice(values);
        for step in [1, 2, 4, 8] {
            ahead.copy_from_slice(&row);
            lower(&mut row, &ahead[step..]);
        }
        out.copy_from_slice(&row[..width]);
        lower(out, &row[1..]);
    }
    for step in [1, 2, 4, 8] {
        // Rows below are still as they were when those above take them in.
        for at in 0..(height + 2 * REACH).saturating_sub(step) {
            let (above, below) = across.split_at_mut((at + step) * width);
            lower(&mut above[at * width..(at + 1) * width], &below[..width]);
        }
    }
    let mut both = across[..width * height].to_vec();
    lower(&mut both, &across[width..]);
    both
}

/// Numbers the patches of pixels that touch, corners included, from 1; 0 is no patch. Runs of a row join those above that
/// they touch.
pub(crate) fn label(high: &[bool], width: usize) -> (Vec<u32>, usize) {
    /// A part of a row, and the number of a run that it belongs to; its own where it is the first of a patch.
    struct Run {
        from: usize,
        to: usize,
        root: usize,
    }
    fn root(runs: &mut [Run], mut at: usize) -> usize {
        while runs[at].root != at {
            runs[at].root = runs[runs[at].root].root;
            at = runs[at].root;
        }
        at
    }
    let mut runs: Vec<Run> = Vec::new();
    let (mut above, mut row_start) = (0, 0);
    for (y, row) in high.chunks_exact(width).enumerate() {
        let mut x = 0;
        while let Some(from) = row[x..].iter().position(|high| *high).map(|ahead| x + ahead) {
            let to = row[from..].iter().position(|high| !*high).map_or(width, |ahead| from + ahead);
            let (own, mut joined) = (runs.len(), runs.len());
            let (start, end) = (y * width + from, y * width + to);
            // Runs of the row above that end left of this one touch none that follow either.
            while above < row_start && runs[above].to + width < start {
                above += 1;
            }
            runs.push(Run { from: start, to: end, root: own });
            let mut touched = above;
            while touched < row_start && runs[touched].from + width <= end {
                let other = root(&mut runs, touched);
                let (first, last) = (joined.min(other), joined.max(other));
                runs[last].root = first;
                joined = first;
                touched += 1;
            }
            x = to;
        }
        (above, row_start) = (row_start, runs.len());
    }
    let mut labels = vec![0u32; high.len()];
    let (mut numbers, mut count) = (vec![0u32; runs.len()], 0u32);
    for at in 0..runs.len() {
        let first = root(&mut runs, at);
        if numbers[first] == 0 {
            count += 1;
            numbers[first] = count;
        }
        labels[runs[at].from..runs[at].to].fill(numbers[first]);
    }
    (labels, count as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Patches of `#`, each pixel by its patch.
    fn labels(rows: &[&str], expected: &[&str]) {
        let high: Vec<bool> = rows.iter().flat_map(|row| row.bytes()).map(|c| c == b'#').collect();
        let (labels, count) = label(&high, rows[0].len());
        let found: String = labels.iter().map(|&at| if at == 0 { '.' } else { (b'0' + at as u8) as char }).collect();
        assert_eq!(found, expected.concat());
        assert_eq!(count, labels.iter().max().map_or(0, |&most| most as usize));
    }

    #[test]
    fn pixels_that_touch_are_one_patch() {
        labels(&["...."], &["...."]);
        labels(&["##.#"], &["11.2"]);
        labels(&["#..", ".#.", "..#"], &["1..", ".1.", "..1"]);
        labels(&["#.#", "#.#", "###"], &["1.1", "1.1", "111"]);
        labels(&["#.#.#", "#.###", "#....", "###.."], &["1.2.2", "1.222", "1....", "111.."]);
        // The end of a row and the start of the next do not touch.
        labels(&["..#", "#..", "..#"], &["..1", "2..", "..3"]);
        labels(&["#.#.#", ".#.#."], &["1.1.1", ".1.1."]);
    }

    #[test]
    fn the_least_value_is_found_as_far_as_it_reaches() {
        let (width, height) = (40, 30);
        let mut grey = vec![200u8; width * height];
        grey[12 * width + 20] = 7;
        for (at, low) in least(&grey, width, height).into_iter().enumerate() {
            let (x, y) = (at % width, at / width);
            let near = x.abs_diff(20) <= REACH && y.abs_diff(12) <= REACH;
            assert_eq!(low, if near { 7 } else { 200 }, "{x}, {y}");
        }
        assert_eq!(least(&[9, 3], 1, 2), [3, 3]);
    }
}
