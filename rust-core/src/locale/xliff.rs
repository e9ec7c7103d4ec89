//! XLIFF 1.2 and 2.0 as translation tools write them; inline tags are flattened to their text.

use roxmltree::{Document, Node, NodeType, ParsingOptions};

use super::{Entry, is_locale, table_error};
use crate::limits;
use crate::manifest::{ManifestErrors, excerpt};

/// Hands every unit that has words to `take`.
pub(super) fn read(label: &str, text: &str, take: &mut dyn FnMut(Entry<'_>)) -> Result<(), ManifestErrors> {
    // No document type, so no entities of a file's own: nothing to expand and nothing to fetch.
    let options = ParsingOptions { allow_dtd: false, nodes_limit: limits::XML_NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|err| {
        let message = err.to_string();
        let message = message.rsplit_once(" at ").map_or(message.as_str(), |(message, _)| message);
        let fix = match err {
            roxmltree::Error::DtdDetected => "remove its <!DOCTYPE …>",
            _ => "export it again from the translation tool",
        };
        table_error(label, err.pos().row as usize, "", message, fix)
    })?;
    let root = document.root_element();
    let version = root.attribute("version").unwrap_or_default();
    let line = |node: Node<'_, '_>| document.text_pos_at(node.range().start).row as usize;
    if root.tag_name().name() != "xliff" {
        let message = format!("the root element is <{}>", excerpt(root.tag_name().name()));
        return Err(table_error(label, line(root), "", &message, "expected <xliff>: XLIFF 1.2 or 2.0").into());
    }
    let second = match version {
        version if version.starts_with("2.") => true,
        version if version.starts_with("1.") => false,
        other => {
            let message = format!("the version is {:?}", excerpt(other));
            return Err(table_error(label, line(root), "version", &message, "XLIFF 1.2 and 2.0 are read").into());
        }
    };
    let units = Units { label, second, lines: Lines::new(text) };
    for file in elements(root, "file") {
        let (source, target) = if second {
            (root.attribute("srcLang"), root.attribute("trgLang"))
        } else {
            (file.attribute("source-language"), file.attribute("target-language"))
        };
        for (name, language) in [("source", source), ("target", target)] {
            if language.is_some_and(|language| !is_locale(language)) {
                let message =
                    format!("the {name} language {:?} is no locale code", excerpt(language.unwrap_or_default()));
                return Err(
                    table_error(label, line(file), "", &message, "write a BCP 47 tag, as in en or zh-Hans").into()
                );
            }
        }
        units.read(file, source, target, take)?;
    }
    Ok(())
}

struct Units<'t> {
    label: &'t str,
    second: bool,
    lines: Lines,
}

impl Units<'_> {
    /// Every unit below `file`, however deep its groups are.
    fn read(
        &self,
        file: Node<'_, '_>,
        source: Option<&str>,
        target: Option<&str>,
        take: &mut dyn FnMut(Entry<'_>),
    ) -> Result<(), ManifestErrors> {
        let (unit_name, key_name) = if self.second { ("unit", "name") } else { ("trans-unit", "resname") };
        for unit in file.descendants().filter(|node| node.tag_name().name() == unit_name) {
            let line = self.lines.of(unit.range().start);
            let key = unit.attribute(key_name).or_else(|| unit.attribute("id")).unwrap_or_default();
            if key.is_empty() {
                let fix = format!("give the unit a {key_name} or an id");
                return Err(table_error(self.label, line, "", &format!("a <{unit_name}> has no key"), &fix).into());
            }
            let parts: Vec<Node<'_, '_>> = if self.second { elements(unit, "segment").collect() } else { vec![unit] };
            if let Some(locale) = source {
                let words = join(&parts, "source");
                take(Entry { key, locale, words: &words, line, weak: true });
            }
            let done = parts.iter().all(|part| translated(*part, self.second));
            if let Some(locale) = target.filter(|_| done) {
                let words = join(&parts, "target");
                take(Entry { key, locale, words: &words, line, weak: false });
            }
        }
        Ok(())
    }
}

/// Whether the state of a translation says that it may be used.
fn translated(part: Node<'_, '_>, second: bool) -> bool {
    let state = if second {
        part.attribute("state")
    } else {
        elements(part, "target").next().and_then(|target| target.attribute("state"))
    };
    // "initial" with words in the target is how many tools write a first draft of 2.0, so words decide there.
    !matches!(state, Some("new" | "needs-translation"))
}

/// The text of every `<source>` or `<target>` behind each other.
fn join(parts: &[Node<'_, '_>], name: &str) -> String {
    let mut words = String::new();
    for part in parts {
        for node in elements(*part, name) {
            for inner in node.descendants() {
                match inner.node_type() {
                    NodeType::Text => words.push_str(inner.text().unwrap_or_default()),
                    NodeType::Element if is_line_break(inner) => words.push('\n'),
                    _ => {}
                }
            }
        }
    }
    words
}

fn is_line_break(node: Node<'_, '_>) -> bool {
    matches!(node.tag_name().name(), "x" | "ph")
        && [node.attribute("ctype"), node.attribute("subType")]
            .iter()
            .flatten()
            .any(|kind| matches!(*kind, "lb" | "xlf:lb"))
}

fn elements<'a, 'i: 'a>(node: Node<'a, 'i>, name: &'a str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

/// Lines by byte offset; roxmltree counts from the start of the file for every look.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect())
    }

    fn of(&self, offset: usize) -> usize {
        self.0.partition_point(|at| *at < offset) + 1
    }
}
