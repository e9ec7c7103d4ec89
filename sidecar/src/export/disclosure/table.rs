//! The list as CSV (RFC 4180), one line a picture, as spreadsheets open it.

use super::{Disclosure, Row};
use crate::output::provenance::Credit;

/// Excel takes a file without this mark for one of an old code page, and shows other words than were written.
const MARK: char = '\u{feff}';

const HEADS: [&str; 20] = [
    "asset",
    "locale",
    "file",
    "state",
    "made by AI",
    "kind",
    "digital source type",
    "model",
    "model name",
    "model licence",
    "provider",
    "engine",
    "engine version",
    "seed",
    "made",
    "made according to",
    "decision",
    "decided by",
    "decided on",
    "works of others",
];

pub(super) fn csv(disclosure: &Disclosure) -> String {
    let mut text = String::from(MARK);
    line(&mut text, &HEADS.map(str::to_owned));
    for row in &disclosure.pictures {
        line(&mut text, &cells(row));
    }
    text
}

fn cells(row: &Row) -> [String; 20] {
    let said = |value: &Option<String>| value.clone().unwrap_or_default();
    let by_ai = match row.kind {
        super::Kind::Model => "yes",
        super::Kind::Algorithm | super::Kind::Own => "no",
        super::Kind::Unknown => "unknown",
    };
    let (decision, person, date) = row.approval.as_ref().map_or_else(Default::default, |approval| {
        (approval.state.to_owned(), format!("{} ({})", approval.person, approval.role), approval.date.clone())
    });
    [
        row.asset.clone(),
        row.locale.clone(),
        row.path.clone(),
        row.state.to_owned(),
        by_ai.to_owned(),
        row.kind.word().to_owned(),
        row.source_type.unwrap_or_default().to_owned(),
        said(&row.model),
        said(&row.model_name),
        said(&row.model_licence),
        said(&row.provider),
        said(&row.engine),
        said(&row.engine_version),
        row.seed.map(|seed| seed.to_string()).unwrap_or_default(),
        said(&row.made),
        row.made_by.unwrap_or_default().to_owned(),
        decision,
        person,
        date,
        row.credits.iter().map(named).collect::<Vec<_>>().join("; "),
    ]
}

/// A work as its licence asks to be named.
pub(super) fn named(work: &Credit) -> String {
    format!("{} by {}, {}, {}", work.work, work.author, work.licence, work.source)
}

fn line(text: &mut String, cells: &[String]) {
    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
    text.push_str(&cells.join(","));
    text.push_str("\r\n");
}

/// A cell that begins as a formula does would be computed by whoever opens the list: an apostrophe makes it text.
fn quoted(cell: &str) -> String {
    let cell = match cell.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{cell}"),
        _ => cell.to_owned(),
    };
    if cell.contains([',', '"', '\r', '\n', ';']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_every_cell_is_one() {
        let check = |cell: &str, expected: &str| assert_eq!(quoted(cell), expected);
        check("sword", "sword");
        check("a, b", "\"a, b\"");
        check("say \"hi\"", "\"say \"\"hi\"\"\"");
        check("two\nlines", "\"two\nlines\"");
        check("=1+1", "'=1+1");
        check("@SUM(A1)", "'@SUM(A1)");
        check("-cmd|'/C calc'!A0", "'-cmd|'/C calc'!A0");
        check("", "");
    }
}
