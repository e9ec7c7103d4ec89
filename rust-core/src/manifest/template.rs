//! Templates: minijinja, with a short cut for the nine in ten that only fill in names.
//!
//! Nothing can be included or called (those parts of minijinja are not compiled in), work is limited by fuel,
//! and what comes out is limited as it is written. An unknown name is an error, never an empty space in a prompt.

use std::collections::BTreeMap;
use std::io::Write;

use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};

use crate::limits;
use crate::manifest::source::did_you_mean;

/// Instructions that one rendering may take: a loop over a hundred items many times over, and a few milliseconds.
const FUEL: u64 = 50_000;

/// Names and their values while an image is described.
pub(super) type Scope<'a> = BTreeMap<&'a str, Value>;

/// minijinja as it is used here.
pub(super) fn environment<'source>() -> Environment<'source> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    // The one way to grow a value in a loop, which fuel does not limit.
    environment.remove_global("namespace");
    environment
}

/// What is wrong with a template, without its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TemplateFault {
    pub(super) message: String,
    pub(super) fix: String,
}

/// A template ready to fill in.
pub(super) enum Compiled<'e, 'source> {
    /// Literal text and names only.
    Names(Vec<Part<'source>>),
    /// Anything else.
    Full { template: Box<minijinja::Template<'e, 'source>>, mentions: Vec<String> },
}

/// A piece of a [`Compiled::Names`].
pub(super) enum Part<'source> {
    Literal(&'source str),
    Name(&'source str),
}

/// Reads a template.
pub(super) fn compile<'e, 'source>(
    environment: &'e Environment<'source>,
    text: &'source str,
) -> Result<Compiled<'e, 'source>, TemplateFault> {
    if text.len() > limits::PROMPT_BYTES_MAX {
        return Err(TemplateFault {
            message: format!("the template has {} bytes", text.len()),
            fix: format!("at most {} are read", limits::PROMPT_BYTES_MAX),
        });
    }
    if let Some(parts) = names_only(text) {
        return Ok(Compiled::Names(parts));
    }
    let template = environment.template_from_str(text).map_err(|err| fault(&err, &Scope::new()))?;
    let mentions = template.undeclared_variables(false).into_iter().collect();
    Ok(Compiled::Full { template: Box::new(template), mentions })
}

impl Compiled<'_, '_> {
    /// Every name that it may look up.
    pub(super) fn mentions(&self) -> Vec<&str> {
        match self {
            Self::Names(parts) => parts
                .iter()
                .filter_map(|part| match part {
                    Part::Name(name) => Some(*name),
                    Part::Literal(_) => None,
                })
                .collect(),
            Self::Full { mentions, .. } => mentions.iter().map(String::as_str).collect(),
        }
    }

    /// The text with every name filled in.
    pub(super) fn render(&self, scope: &Scope<'_>) -> Result<String, TemplateFault> {
        match self {
            Self::Names(parts) => {
                let mut text = String::with_capacity(64);
                for part in parts {
                    match part {
                        Part::Literal(literal) => text.push_str(literal),
                        Part::Name(name) => {
                            let value = scope.get(name).ok_or_else(|| unknown(name, scope))?;
                            match value.as_str() {
                                Some(value) => text.push_str(value),
                                None => text.push_str(&value.to_string()),
                            }
                            if text.len() > limits::PROMPT_BYTES_MAX {
                                return Err(too_long());
                            }
                        }
                    }
                }
                Ok(text)
            }
            Self::Full { template, mentions } => {
                let mut bounded = Bounded(Vec::new());
                let context: Value = scope
                    .iter()
                    .map(|(name, value)| (name.to_string(), value.clone()))
                    .collect::<BTreeMap<_, _>>()
                    .into();
                match template.render_captured_to(context, &mut bounded) {
                    Ok(_) => Ok(String::from_utf8_lossy(&bounded.0).into_owned()),
                    Err(err) if err.kind() == ErrorKind::WriteFailure => Err(too_long()),
                    Err(err) if err.kind() == ErrorKind::UndefinedError => {
                        let name = mentions.iter().find(|name| {
                            !scope.contains_key(name.as_str()) && !BUILT_IN_NAMES.contains(&name.as_str())
                        });
                        Err(name.map_or_else(|| fault(&err, scope), |name| unknown(name, scope)))
                    }
                    Err(err) => Err(fault(&err, scope)),
                }
            }
        }
    }
}

/// Functions that a template may call by name.
const BUILT_IN_NAMES: [&str; 4] = ["range", "dict", "namespace", "debug"];

/// `text` as literals and names, if it holds nothing else.
fn names_only(text: &str) -> Option<Vec<Part<'_>>> {
    if text.contains("{%") || text.contains("{#") {
        return None;
    }
    // minijinja drops one line break at the end.
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        let close = open + rest[open..].find("}}")?;
        let name = rest[open + 2..close].trim_matches(' ');
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let is_name = starts_well && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name || KEYWORDS.contains(&name) {
            return None;
        }
        if open > 0 {
            parts.push(Part::Literal(&rest[..open]));
        }
        parts.push(Part::Name(name));
        rest = &rest[close + 2..];
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest));
    }
    Some(parts)
}

/// Words that are names in no expression.
const KEYWORDS: [&str; 17] = [
    "true", "True", "false", "False", "none", "None", "not", "and", "or", "in", "is", "if", "else", "loop", "self",
    "super", "caller",
];

fn unknown(name: &str, scope: &Scope<'_>) -> TemplateFault {
    let fix = did_you_mean(name, scope.keys().copied());
    TemplateFault {
        message: format!("the template names {name:?}, which has no value"),
        fix: format!("add it under vars ({fix})"),
    }
}

fn too_long() -> TemplateFault {
    TemplateFault {
        message: "the filled in template is too long".to_owned(),
        fix: format!("at most {} bytes fit", limits::PROMPT_BYTES_MAX),
    }
}

fn fault(err: &minijinja::Error, scope: &Scope<'_>) -> TemplateFault {
    let detail = err.detail().map_or_else(|| err.kind().to_string(), str::to_owned);
    let line = match err.line() {
        Some(line) if line > 1 => format!(" (line {line} of it)"),
        _ => String::new(),
    };
    let fix = match err.kind() {
        ErrorKind::OutOfFuel => "make its loops smaller".to_owned(),
        ErrorKind::UndefinedError => format!("known names: {}", scope.keys().copied().collect::<Vec<_>>().join(", ")),
        _ if detail.contains("unknown statement") => {
            "templates cannot include, extend or call each other: put shared words into vars".to_owned()
        }
        _ => "see minijinja's syntax: {{ name }}, {% if name %}…{% endif %}".to_owned(),
    };
    TemplateFault { message: format!("the template cannot be filled in{line}: {detail}"), fix }
}

/// A writer that ends where a prompt must.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > limits::PROMPT_BYTES_MAX {
            return Err(std::io::Error::other("too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
