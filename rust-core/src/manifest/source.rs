//! A TOML text and where its keys stand, so that an error found late still names its line.

use std::sync::OnceLock;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::error::ErrorCode;
use crate::manifest::error::ManifestError;
use crate::model::edit_distance;

/// A file as it was read. Positions are looked up only when there is an error to place.
#[derive(Debug)]
pub(crate) struct Source {
    label: String,
    text: String,
    tree: OnceLock<Option<DeTable<'static>>>,
}

impl Source {
    pub(crate) fn new(label: &str, text: &str) -> Self {
        Self { label: label.to_owned(), text: text.to_owned(), tree: OnceLock::new() }
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// An error at a key path; a path that is not in the file is placed at the longest part of it that is.
    pub(crate) fn error(
        &self,
        code: ErrorCode,
        path: &[&str],
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> ManifestError {
        let place = self.tree().and_then(|tree| find(tree, path)).map(|offset| position(&self.text, offset));
        ManifestError {
            code,
            file: self.label.clone(),
            line: place.map(|place| place.0),
            column: place.map(|place| place.1),
            key: dotted(path),
            message: message.into(),
            fix: fix.into(),
        }
    }

    fn tree(&self) -> Option<&DeTable<'static>> {
        self.tree
            .get_or_init(|| {
                let table = DeTable::parse(&self.text).ok()?;
                Some(into_static(table.into_inner()))
            })
            .as_ref()
    }
}

/// The tree without what it borrows: keys and places. Only the place of a leaf matters here.
fn into_static(table: DeTable<'_>) -> DeTable<'static> {
    let entry = |(key, value): (Spanned<DeString<'_>>, Spanned<DeValue<'_>>)| {
        (Spanned::new(key.span(), key.into_inner().into_owned().into()), value_into_static(value))
    };
    table.into_iter().map(entry).collect()
}

fn value_into_static(value: Spanned<DeValue<'_>>) -> Spanned<DeValue<'static>> {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(into_static(table)),
        DeValue::Array(array) => DeValue::Array(array.into_iter().map(value_into_static).collect()),
        _ => DeValue::Boolean(true),
    };
    Spanned::new(span, value)
}

/// Byte offset of the deepest part of `path` that the tree has.
fn find(tree: &DeTable<'_>, path: &[&str]) -> Option<usize> {
    let (first, rest) = path.split_first()?;
    let (key, value) = tree.iter().find(|(key, _)| key.get_ref() == first)?;
    Some(find_in(value, rest).unwrap_or_else(|| key.span().start))
}

fn find_in(value: &Spanned<DeValue<'_>>, path: &[&str]) -> Option<usize> {
    let (first, rest) = path.split_first()?;
    match value.get_ref() {
        DeValue::Table(table) => find(table, path),
        DeValue::Array(array) => {
            let inner = array.get(first.parse::<usize>().ok()?)?;
            Some(find_in(inner, rest).unwrap_or_else(|| inner.span().start))
        }
        _ => None,
    }
}

/// Line and column, both from 1, the column in characters.
pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// A key path as it is written in TOML: `assets.sword.vars`, `templates.card.text[1]`, `assets."my sword"`.
pub(crate) fn dotted(path: &[&str]) -> String {
    let mut text = String::new();
    for part in path {
        if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            text.push('[');
            text.push_str(part);
            text.push(']');
            continue;
        }
        if !text.is_empty() {
            text.push('.');
        }
        if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            text.push_str(part);
        } else {
            text.push_str(&format!("{:?}", part.chars().take(80).collect::<String>()));
        }
    }
    text
}

/// `did you mean "x"?`, or all there is, or nothing when there is too much to list.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(name, known.clone()) {
        return format!("did you mean {near:?}?");
    }
    let all: Vec<&str> = known.take(13).collect();
    match all.len() {
        0 => "there is none yet".to_owned(),
        1..=12 => format!("known: {}", all.join(", ")),
        _ => String::new(),
    }
}

/// The nearest known word, when it is near enough to be what was meant.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > 64 {
        return None;
    }
    let folded = name.to_lowercase();
    let (distance, near) = known
        .filter(|word| word.len() <= 128)
        .map(|word| (edit_distance(&folded, &word.to_lowercase()), word))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= name.chars().count().max(4) / 3).then_some(near)
}

/// A text cut to what fits in a message.
pub(crate) fn excerpt(text: &str) -> String {
    let mut cut: String = text.chars().take(60).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}
