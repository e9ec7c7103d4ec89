//! Checks a TOML tree against the JSON Schema of [`Body`](super::body::Body) and places every mistake.
//!
//! Serde stops at the first mistake and knows no key path. This walk finds them all,
//! and since editors complete from the same schema, they and we agree on what is right.
//! It knows the part of JSON Schema that our own types use, no more.

use std::str::FromStr;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::colour::Rgb;
use crate::error::ErrorCode;
use crate::manifest::error::{Gathered, ManifestError};
use crate::manifest::source::{did_you_mean, dotted, excerpt, nearest, position};

/// Everything in `tree` that the schema does not allow.
pub(super) fn check(schema: &Value, label: &str, text: &str, tree: &DeTable<'_>) -> Gathered {
    let mut walk = Walk { schema, path: Vec::new(), found: Vec::new() };
    walk.table(schema, tree, 0);
    let mut gathered = Gathered::default();
    walk.found.sort_by_key(|mistake| mistake.offset);
    for mistake in walk.found {
        if gathered.full() {
            gathered.count_only();
            continue;
        }
        let (line, column) = position(text, mistake.offset);
        gathered.push(ManifestError {
            code: ErrorCode::InvalidManifest,
            file: label.to_owned(),
            line: Some(line),
            column: Some(column),
            key: mistake.key,
            message: mistake.message,
            fix: mistake.fix,
        });
    }
    gathered
}

struct Mistake {
    offset: usize,
    key: String,
    message: String,
    fix: String,
}

struct Walk<'s> {
    schema: &'s Value,
    path: Vec<String>,
    found: Vec<Mistake>,
}

impl<'s> Walk<'s> {
    fn mistake(&mut self, offset: usize, message: String, fix: String) {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        self.found.push(Mistake { offset, key: dotted(&path), message, fix });
    }

    /// Follows `$ref`, also in the `allOf` of one that lets a description stand beside it in draft 7.
    fn resolve(&self, mut schema: &'s Value) -> &'s Value {
        loop {
            let one = schema.get("allOf").and_then(Value::as_array).filter(|all| all.len() == 1);
            let target = match (schema.get("$ref").and_then(Value::as_str), one) {
                (Some(name), _) => self.schema.pointer(name.trim_start_matches('#')),
                (None, Some(one)) => one.first(),
                (None, None) => None,
            };
            match target {
                Some(target) => schema = target,
                None => return schema,
            }
        }
    }

    fn table(&mut self, schema: &'s Value, table: &DeTable<'_>, offset: usize) {
        let none = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        let open = schema.get("additionalProperties");
        for (key, value) in table {
            let name: &str = key.get_ref();
            self.path.push(name.to_owned());
            match (properties.and_then(|properties| properties.get(name)), open) {
                (Some(property), _) => self.value(property, value),
                // Rows among keys, as in [criteria]: what is no table is a key with a mistake in its name.
                (None, Some(Value::Object(_)))
                    if properties.is_some() && !matches!(value.get_ref(), DeValue::Table(_)) =>
                {
                    let known = properties.unwrap_or(&none).keys().map(String::as_str);
                    self.mistake(key.span().start, "no such key".to_owned(), did_you_mean(name, known));
                }
                (None, Some(inner @ Value::Object(_))) => self.value(inner, value),
                (None, Some(Value::Bool(true))) => {}
                (None, _) => {
                    let known = properties.unwrap_or(&none).keys().map(String::as_str);
                    self.mistake(key.span().start, "no such key".to_owned(), did_you_mean(name, known));
                }
            }
            self.path.pop();
        }
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !table.iter().any(|(key, _)| key.get_ref() == name) {
                self.mistake(offset, format!("{name:?} is missing"), format!("add `{name} = …`"));
            }
        }
    }

    fn value(&mut self, schema: &'s Value, value: &Spanned<DeValue<'_>>) {
        let schema = self.resolve(schema);
        for several in ["oneOf", "anyOf"] {
            if let Some(branches) = schema.get(several).and_then(Value::as_array) {
                return self.branches(branches, value);
            }
        }
        let offset = value.span().start;
        if let Some(words) = schema.get("enum").and_then(Value::as_array) {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            return self.word(&words, value);
        }
        if let Some(word) = schema.get("const").and_then(Value::as_str) {
            return self.word(&[word], value);
        }
        let wanted = types(schema);
        let got = value.get_ref();
        if !wanted.is_empty() && !wanted.iter().any(|wanted| is_a(got, wanted)) {
            let message = format!(
                "expected {}, found {}",
                wanted
                    .iter()
                    .filter(|word| **word != "null")
                    .map(|word| if *word == "object" { "table" } else { word })
                    .collect::<Vec<_>>()
                    .join(" or "),
                word_of(got)
            );
            return self.mistake(offset, message, example(&wanted, got));
        }
        match got {
            DeValue::Table(table) => self.table(schema, table, offset),
            DeValue::Array(array) => {
                let (min, max) = (bound(schema, "minItems"), bound(schema, "maxItems"));
                let count = array.iter().count();
                if min.is_some_and(|min| count < min as usize) || max.is_some_and(|max| count > max as usize) {
                    let wanted = min.or(max).unwrap_or_default();
                    self.mistake(offset, format!("expected {wanted} items, found {count}"), String::new());
                    return;
                }
                if let Some(items) = schema.get("items") {
                    for (at, item) in array.iter().enumerate() {
                        self.path.push(at.to_string());
                        self.value(items, item);
                        self.path.pop();
                    }
                }
            }
            DeValue::String(text) => {
                // The one pattern that our types have is a colour's.
                if schema.get("pattern").is_some() && Rgb::from_str(text).is_err() {
                    let message = format!("{:?} is no colour", excerpt(text));
                    self.mistake(offset, message, "write it as #rrggbb, for example \"#ffcc00\"".to_owned());
                }
            }
            DeValue::Integer(_) | DeValue::Float(_) => self.number(schema, got, offset),
            DeValue::Boolean(_) | DeValue::Datetime(_) => {}
        }
    }

    fn number(&mut self, schema: &Value, got: &DeValue<'_>, offset: usize) {
        let Some(number) = number_of(got) else {
            return self.mistake(offset, "the number is too large to read".to_owned(), String::new());
        };
        // An integer type's own range stands in its format; JSON Schema has no number for most of them.
        let low = bound(schema, "minimum").or_else(|| match schema.get("format").and_then(Value::as_str) {
            Some("int32") => Some(f64::from(i32::MIN)),
            _ => None,
        });
        let high = bound(schema, "maximum").or_else(|| match schema.get("format").and_then(Value::as_str) {
            Some("uint8") => Some(f64::from(u8::MAX)),
            Some("uint32") => Some(f64::from(u32::MAX)),
            Some("int32") => Some(f64::from(i32::MAX)),
            _ => None,
        });
        if low.is_some_and(|low| number < low) || high.is_some_and(|high| number > high) {
            let range = match (low, high) {
                (Some(low), Some(high)) => format!("write a number from {low} to {high}"),
                (Some(low), None) => format!("write a number of at least {low}"),
                (None, Some(high)) => format!("write a number of at most {high}"),
                (None, None) => String::new(),
            };
            self.mistake(offset, format!("{number} is out of range"), range);
        }
    }

    /// One of several shapes: the first that fits; otherwise the mistakes of the one that was most likely meant.
    fn branches(&mut self, branches: &'s [Value], value: &Spanned<DeValue<'_>>) {
        let words: Vec<&str> = branches.iter().flat_map(|branch| self.words(branch)).collect();
        if matches!(value.get_ref(), DeValue::String(_)) && !words.is_empty() {
            return self.word(&words, value);
        }
        let before = std::mem::take(&mut self.found);
        let mut best: Option<(bool, Vec<Mistake>)> = None;
        for branch in branches {
            let branch = self.resolve(branch);
            if types(branch) == ["null"] {
                continue;
            }
            self.value(branch, value);
            let mistakes = std::mem::take(&mut self.found);
            let kin = types(branch).is_empty() || types(branch).iter().any(|wanted| is_a(value.get_ref(), wanted));
            let better = match &best {
                None => true,
                Some((best_kin, best)) => (kin, best.len()) > (*best_kin, mistakes.len()),
            };
            let fits = mistakes.is_empty();
            if better {
                best = Some((kin, mistakes));
            }
            if fits {
                best = None;
                break;
            }
        }
        self.found = before;
        if let Some((_, mistakes)) = best {
            self.found.extend(mistakes);
        }
    }

    /// The words that a branch consists of, if it consists of words.
    fn words(&self, branch: &'s Value) -> Vec<&'s str> {
        let branch = self.resolve(branch);
        match (branch.get("const"), branch.get("enum"), branch.get("oneOf")) {
            (Some(word), _, _) => word.as_str().into_iter().collect(),
            (_, Some(words), _) => words.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
            (_, _, Some(inner)) => {
                inner.as_array().into_iter().flatten().flat_map(|branch| self.words(branch)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn word(&mut self, words: &[&str], value: &Spanned<DeValue<'_>>) {
        let all = words.join(", ");
        match value.get_ref() {
            DeValue::String(text) if words.contains(&text.as_ref()) => {}
            DeValue::String(text) => {
                let fix = match nearest(text, words.iter().copied()) {
                    Some(near) => format!("did you mean {near:?}? (one of: {all})"),
                    None => format!("write one of: {all}"),
                };
                self.mistake(value.span().start, format!("{:?} is not known here", excerpt(text)), fix);
            }
            other => {
                let message = format!("expected one of the words {all}, found {}", word_of(other));
                self.mistake(value.span().start, message, String::new());
            }
        }
    }
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn bound(schema: &Value, name: &str) -> Option<f64> {
    schema.get(name).and_then(Value::as_f64)
}

fn is_a(value: &DeValue<'_>, wanted: &str) -> bool {
    matches!(
        (value, wanted),
        (DeValue::String(_), "string")
            | (DeValue::Integer(_), "integer" | "number")
            | (DeValue::Float(_), "number")
            | (DeValue::Boolean(_), "boolean")
            | (DeValue::Array(_), "array")
            | (DeValue::Table(_), "object")
    )
}

fn word_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
        DeValue::Datetime(_) => "date",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "table",
    }
}

fn example(wanted: &[&str], got: &DeValue<'_>) -> String {
    match (wanted.first(), got) {
        (Some(&"string"), DeValue::Integer(number)) => format!("put it in quotes: \"{}\"", number.as_str()),
        (Some(&"array"), DeValue::String(text)) => format!("put it in brackets: [{:?}]", excerpt(text)),
        (Some(&"integer" | &"number" | &"boolean"), DeValue::String(_)) => "write it without quotes".to_owned(),
        (Some(&"object"), _) => "write a table: { key = … }".to_owned(),
        _ => String::new(),
    }
}

fn number_of(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(integer) => {
            i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok().map(|number| number as f64)
        }
        DeValue::Float(float) => float.as_str().replace('_', "").parse().ok(),
        _ => None,
    }
}
