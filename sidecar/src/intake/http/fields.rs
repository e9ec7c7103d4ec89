//! Values as scripts in many languages write them: numbers in quotes, whole numbers with a point, null for "not named".

use serde_json::Value;
use thumbforge_core::limits;

use super::body::Fields;
use super::refusal::{Refusal, shown};

/// Takes the one value that stands under any of these names, and says under which.
/// Each is taken out, so that what remains was understood by nobody.
pub(super) fn take(fields: &mut Fields, names: &[&'static str]) -> Result<Option<(&'static str, Value)>, Refusal> {
    let mut taken: Option<(&'static str, Value)> = None;
    for name in names {
        let Some(value) = fields.remove(*name).filter(|value| !value.is_null()) else { continue };
        match &taken {
            Some((first, earlier)) if *earlier != value => {
                return Err(Refusal::field(
                    name,
                    format!("read {name}: {first} says something else; name one of them"),
                ));
            }
            Some(_) => {}
            None => taken = Some((name, value)),
        }
    }
    Ok(taken)
}

/// A text.
pub(super) fn text(fields: &mut Fields, names: &[&'static str]) -> Result<Option<String>, Refusal> {
    typed(fields, names, "a text in quotes", |value| value.as_str().map(str::to_owned))
}

/// Yes or no.
pub(super) fn truth(fields: &mut Fields, names: &[&'static str]) -> Result<Option<bool>, Refusal> {
    typed(fields, names, "true or false", |value| match value.as_str() {
        // Forms have texts alone.
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => value.as_bool(),
    })
}

/// A number.
pub(super) fn number(fields: &mut Fields, names: &[&'static str]) -> Result<Option<f64>, Refusal> {
    typed(fields, names, "a number", as_number)
}

/// A whole number, 0 or above.
pub(super) fn count(fields: &mut Fields, names: &[&'static str]) -> Result<Option<u64>, Refusal> {
    typed(fields, names, "a whole number, 0 or above", |value| as_integer(value)?.try_into().ok())
}

/// A whole number.
pub(super) fn integer(fields: &mut Fields, names: &[&'static str]) -> Result<Option<i64>, Refusal> {
    typed(fields, names, "a whole number", as_integer)
}

/// A word of a list, as serde spells it.
pub(super) fn word<T: serde::de::DeserializeOwned>(
    fields: &mut Fields,
    name: &'static str,
    words: &'static str,
) -> Result<Option<T>, Refusal> {
    typed(fields, &[name], words, |value| serde_json::from_value(value.clone()).ok())
}

fn typed<T>(
    fields: &mut Fields,
    names: &[&'static str],
    form: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Result<Option<T>, Refusal> {
    let Some((name, value)) = take(fields, names)? else { return Ok(None) };
    match read(&value) {
        Some(read) => Ok(Some(read)),
        None => Err(Refusal::field(name, format!("read {name} from {}: write {form}", shown(&value.to_string())))),
    }
}

fn as_integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A float that is a whole number and is held exactly.
fn whole(value: f64) -> Option<i64> {
    (value.fract() == 0.0 && value.abs() <= limits::SEED_MAX as f64).then_some(value as i64)
}

fn as_number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}
