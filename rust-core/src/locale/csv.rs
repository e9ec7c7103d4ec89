//! Unity Localization's CSV export: `Key,Id,Shared Comments,English(en),"Chinese (Simplified)(zh-Hans)"`, or a plain `key,en,de`.

use std::borrow::Cow;

use super::{Entry, is_locale, table_error};
use crate::manifest::ManifestErrors;

/// What a column holds.
enum Column<'a> {
    Key,
    Words(Cow<'a, str>),
    /// Ids and comments.
    Other,
}

/// Hands every cell that has words to `take`.
pub(super) fn read(label: &str, text: &str, take: &mut dyn FnMut(Entry<'_>)) -> Result<(), ManifestErrors> {
    let mut reader = Reader { text, at: 0, line: 1 };
    let mut fields = Vec::new();
    let header_line = reader.record(label, &mut fields)?;
    if header_line.is_none() {
        return Err(table_error(
            label,
            1,
            "",
            "the table is empty",
            "its first line names the columns: Key,English(en),…",
        )
        .into());
    }
    let columns: Vec<Column<'_>> = std::mem::take(&mut fields).into_iter().map(column).collect();
    if columns.iter().filter(|column| matches!(column, Column::Key)).count() != 1 {
        return Err(table_error(
            label,
            1,
            "",
            "one column must be called Key",
            "export it from Unity's String Table window, or write Key,en,de",
        )
        .into());
    }
    if !columns.iter().any(|column| matches!(column, Column::Words(_))) {
        return Err(table_error(label, 1, "", "no column names a locale", "write it as English(en) or as en").into());
    }
    for (at, column) in columns.iter().enumerate() {
        if let Column::Words(locale) = column
            && columns[..at]
                .iter()
                .any(|other| matches!(other, Column::Words(other) if super::same_locale(other, locale)))
        {
            return Err(table_error(
                label,
                1,
                "",
                &format!("two columns are of locale {locale:?}"),
                "keep one of them",
            )
            .into());
        }
    }
    while let Some(line) = reader.record(label, &mut fields)? {
        if fields.len() == 1 && fields[0].trim().is_empty() {
            continue;
        }
        if fields.len() > columns.len() {
            let message = format!("the line has {} fields and the header {}", fields.len(), columns.len());
            return Err(
                table_error(label, line, "", &message, "put a field that holds a comma in double quotes").into()
            );
        }
        let key = columns.iter().zip(&fields).find(|(column, _)| matches!(column, Column::Key));
        let Some(key) = key.map(|(_, key)| key.trim()).filter(|key| !key.is_empty()) else {
            if fields.iter().all(|field| field.trim().is_empty()) {
                continue;
            }
            return Err(table_error(label, line, "", "the line has words but no key", "fill in its Key column").into());
        };
        for (column, words) in columns.iter().zip(&fields) {
            if let Column::Words(locale) = column {
                take(Entry { key, locale, words, line, weak: false });
            }
        }
    }
    Ok(())
}

/// What a header names. `English(en) Comments` and unknown columns hold no words.
fn column(header: Cow<'_, str>) -> Column<'_> {
    let trimmed = header.trim();
    if trimmed.eq_ignore_ascii_case("key") {
        return Column::Key;
    }
    if let Some(inner) = trimmed.strip_suffix(')').and_then(|rest| rest.rsplit_once('(')) {
        let code = inner.1.trim();
        return if is_locale(code) { Column::Words(Cow::Owned(code.to_owned())) } else { Column::Other };
    }
    // `id` is a locale code too (Indonesian), but Unity's column of ids is written `Id`.
    if trimmed != "Id" && trimmed != "ID" && is_plain_code(trimmed) {
        return Column::Words(Cow::Owned(trimmed.to_owned()));
    }
    Column::Other
}

/// A header that is a locale code and no word: `en`, `zh-Hans`, `pt_BR`, but not `Notes`.
fn is_plain_code(text: &str) -> bool {
    let language = text.split(['-', '_']).next().unwrap_or_default();
    is_locale(text) && language.len() <= 3 && language.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// RFC 4180 with every kind of line break; remembers lines so that errors can name them.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Reader<'a> {
    /// The next record into `fields` and the line it begins on; nothing at the end.
    fn record(&mut self, label: &str, fields: &mut Vec<Cow<'a, str>>) -> Result<Option<usize>, ManifestErrors> {
        fields.clear();
        if self.at >= self.text.len() {
            return Ok(None);
        }
        let line = self.line;
        loop {
            let field = if self.peek() == Some(b'"') { self.quoted(label)? } else { self.bare() };
            fields.push(field);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'\r') if self.text.as_bytes().get(self.at + 1) == Some(&b'\n') => {
                    self.at += 2;
                    self.line += 1;
                    return Ok(Some(line));
                }
                Some(b'\r' | b'\n') => {
                    self.at += 1;
                    self.line += 1;
                    return Ok(Some(line));
                }
                Some(_) => {
                    return Err(table_error(
                        label,
                        self.line,
                        "",
                        "a quoted field goes on after its closing quote",
                        "double every quote inside a quoted field: \"\"",
                    )
                    .into());
                }
                None => return Ok(Some(line)),
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn bare(&mut self) -> Cow<'a, str> {
        let rest = &self.text[self.at..];
        let end = rest.find([',', '\n', '\r']).unwrap_or(rest.len());
        self.at += end;
        Cow::Borrowed(&rest[..end])
    }

    fn quoted(&mut self, label: &str) -> Result<Cow<'a, str>, ManifestErrors> {
        let opened = self.line;
        self.at += 1;
        let mut owned: Option<String> = None;
        loop {
            let rest = &self.text[self.at..];
            let Some(end) = rest.find('"') else {
                return Err(table_error(
                    label,
                    opened,
                    "",
                    "a quote is opened here and never closed",
                    "close it, or double it if it is meant",
                )
                .into());
            };
            let piece = &rest[..end];
            self.line += piece.bytes().filter(|byte| *byte == b'\n').count();
            self.at += end + 1;
            if self.peek() == Some(b'"') {
                self.at += 1;
                let owned = owned.get_or_insert_with(String::new);
                owned.push_str(piece);
                owned.push('"');
                continue;
            }
            return Ok(match owned {
                None => Cow::Borrowed(piece),
                Some(mut owned) => {
                    owned.push_str(piece);
                    Cow::Owned(owned)
                }
            });
        }
    }
}
