//! Tables for terminals: columns as wide as what stands in them, two spaces apart, nothing behind the last.

/// The text of a table. `heads` are the columns' names; every row has as many cells.
pub(super) fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) -> String {
    let width = |text: &str| text.chars().count();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let rows = [["dall·e", "", "no"], ["x", "$0.04", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(table(["MODEL", "PRICE", "SEED"], &rows), "MODEL   PRICE  SEED\ndall·e         no\nx       $0.04\n");
    }
}
