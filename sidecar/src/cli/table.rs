//! Tables for terminals: columns as wide as what stands in them, two spaces apart, nothing behind the last.

/// The text of a table. `heads` are the columns' names; every row has as many cells.
pub(super) fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) -> String {
    let width = |text: &str| text.chars().map(columns).sum::<usize>();
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().map(|row| width(&row[column])).chain([width(heads[column])]).max().unwrap_or(0)
    });
    let mut text = String::new();
    for row in std::iter::once(&heads.map(str::to_owned)).chain(rows) {
        let mut line = String::new();
        for (cell, wide) in row.iter().zip(widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', wide - width(cell) + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How many columns a terminal gives a character: two to those of Chinese, Japanese and Korean (the wide ranges of Unicode's
/// East Asian Width, as far as words have them), none to marks that stand on others.
fn columns(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f
        | 0x0591..=0x05bd
        | 0x0610..=0x061a
        | 0x064b..=0x065f
        | 0x0e31
        | 0x0e34..=0x0e3a
        | 0x0e47..=0x0e4e => 0,
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 => 2,
        0xffe0..=0xffe6 | 0x1f300..=0x1f64f | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_columns() {
        let rows = [["大セール", "ja"], ["SALE", "en"], ["ลดราคา", "th"]].map(|row| row.map(str::to_owned));
        let lines = ["EXPECTED  LANG", "大セール  ja", "SALE      en", "ลดราคา    th", ""];
        assert_eq!(table(["EXPECTED", "LANG"], &rows), lines.join("\n"));
    }

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let rows = [["dall·e", "", "no"], ["x", "$0.04", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(table(["MODEL", "PRICE", "SEED"], &rows), "MODEL   PRICE  SEED\ndall·e         no\nx       $0.04\n");
    }
}
