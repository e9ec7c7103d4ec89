//! The report as JUnit XML, which GitLab, Jenkins and GitHub's actions show beside the tests of a team.
//!
//! A suite is an asset and a case one of its images: `sword [de]` of `thumbforge.sword`. What was not made, and what a gate
//! turned away, has failed; what is somebody else's file, or lacks a string, is skipped; all else has passed.

use std::collections::BTreeMap;
use std::fmt::Write;

use thumbforge_core::error::Failure;
use thumbforge_core::manifest::Skipped;

use super::batch::Mode;
use crate::build::{Item, ItemState, Report};

/// How a case ended.
enum Fate<'a> {
    Passed,
    Failed { kind: String, message: String },
    Skipped(&'a str),
}

struct Case<'a> {
    asset: &'a str,
    locale: &'a str,
    path: &'a str,
    seconds: f64,
    fate: Fate<'a>,
    item: Option<&'a Item>,
}

/// The XML of a report. `refused` is what the gates said, by the index of the item; `left_out` are images without a string,
/// and `orphans` outputs that only the lock still knows.
pub(super) fn xml(
    report: &Report,
    mode: Mode,
    refused: &BTreeMap<usize, String>,
    left_out: &[Skipped],
    orphans: &[String],
) -> String {
    let made = report.items.iter().enumerate().map(|(at, item)| Case {
        asset: &item.asset,
        locale: &item.locale,
        path: &item.path,
        seconds: item.latency_ms.filter(|_| !item.from_store).unwrap_or(0) as f64 / 1000.0,
        fate: fate(item, mode, refused.get(&at)),
        item: Some(item),
    });
    let skipped = left_out.iter().map(|skipped| Case {
        asset: &skipped.asset.name,
        locale: &skipped.asset.locale,
        path: &skipped.output,
        seconds: 0.0,
        fate: Fate::Skipped("its locale has no such string"),
        item: None,
    });
    let mut suites: BTreeMap<&str, Vec<Case<'_>>> = BTreeMap::new();
    let forgotten = orphans.iter().filter(|_| mode == Mode::Check).map(|output| Case {
        asset: "thumbforge.lock",
        locale: output,
        path: output,
        seconds: 0.0,
        fate: Fate::Failed {
            kind: "out_of_date".to_owned(),
            message: format!("nothing wants {output} any more, and the lock still has it; build, and commit the lock"),
        },
        item: None,
    });
    for case in made.chain(skipped).chain(forgotten) {
        suites.entry(case.asset).or_default().push(case);
    }
    let all = suites.values().flatten();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let seconds = report.elapsed_ms as f64 / 1000.0;
    line(&mut text, format_args!("<testsuites name=\"thumbforge\" {}>", counts(all, seconds)));
    for (asset, cases) in &suites {
        suite(&mut text, asset, cases, &report.root);
    }
    if !report.warnings.is_empty() {
        let messages: Vec<&str> = report.warnings.iter().map(|warning| warning.message.as_str()).collect();
        line(&mut text, format_args!("  <testsuite name=\"warnings\" {}>", counts(std::iter::empty(), 0.0)));
        line(&mut text, format_args!("    <system-out>{}</system-out>", escaped(&messages.join("\n"))));
        line(&mut text, format_args!("  </testsuite>"));
    }
    text.push_str("</testsuites>\n");
    text
}

/// The XML of a build that could not begin: one case, which has failed.
pub(super) fn refusal(failures: &[Failure]) -> String {
    let kind = failures.first().map_or("failed", |failure| failure.code.word());
    let messages: Vec<&str> = failures.iter().map(|failure| failure.message.as_str()).collect();
    let message = escaped(&messages.join("\n"));
    let counts = "tests=\"1\" failures=\"1\" errors=\"0\" skipped=\"0\" time=\"0.000\"";
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    line(&mut text, format_args!("<testsuites name=\"thumbforge\" {counts}>"));
    line(&mut text, format_args!("  <testsuite name=\"thumbforge\" {counts}>"));
    line(&mut text, format_args!("    <testcase name=\"the build\" classname=\"thumbforge\" time=\"0.000\">"));
    line(&mut text, format_args!("      <failure type=\"{kind}\" message=\"{message}\">{message}</failure>"));
    line(&mut text, format_args!("    </testcase>\n  </testsuite>\n</testsuites>"));
    text
}

fn suite(text: &mut String, asset: &str, cases: &[Case<'_>], root: &str) {
    let seconds: f64 = cases.iter().map(|case| case.seconds).sum();
    line(text, format_args!("  <testsuite name=\"{}\" {}>", escaped(asset), counts(cases.iter(), seconds)));
    line(text, format_args!("    <properties>"));
    let first = cases.iter().find_map(|case| case.item);
    let of_item = |name, value: fn(&Item) -> Option<String>| (name, first.and_then(value));
    for (name, value) in [
        ("thumbforge.version", Some(env!("CARGO_PKG_VERSION").to_owned())),
        ("root", Some(root.to_owned())),
        of_item("template", |item| item.template.clone()),
        of_item("template_version", |item| item.template_version.map(|version| version.to_string())),
        of_item("tier", |item| Some(item.tier.clone())),
        of_item("model", |item| item.model.clone()),
    ] {
        if let Some(value) = value {
            line(text, format_args!("      <property name=\"{name}\" value=\"{}\"/>", escaped(&value)));
        }
    }
    line(text, format_args!("    </properties>"));
    for case in cases {
        let name = if case.locale.is_empty() { asset.to_owned() } else { format!("{asset} [{}]", case.locale) };
        let head = format!(
            "    <testcase name=\"{}\" classname=\"thumbforge.{}\" file=\"{}\" time=\"{:.3}\"",
            escaped(&name),
            escaped(asset),
            escaped(case.path),
            case.seconds
        );
        match &case.fate {
            Fate::Passed => line(text, format_args!("{head}/>")),
            Fate::Failed { kind, message } => {
                let (kind, message) = (escaped(kind), escaped(message));
                line(text, format_args!("{head}>"));
                // Some readers show the attribute alone, others the text alone.
                line(text, format_args!("      <failure type=\"{kind}\" message=\"{message}\">{message}</failure>"));
                line(text, format_args!("    </testcase>"));
            }
            Fate::Skipped(why) => {
                line(text, format_args!("{head}>"));
                line(text, format_args!("      <skipped message=\"{}\"/>", escaped(why)));
                line(text, format_args!("    </testcase>"));
            }
        }
    }
    line(text, format_args!("  </testsuite>"));
}

fn fate<'a>(item: &'a Item, mode: Mode, refused: Option<&String>) -> Fate<'a> {
    let failed = |kind: &str, message: &str| Fate::Failed { kind: kind.to_owned(), message: message.to_owned() };
    match (item.state, &item.error) {
        (_, Some(failure)) => return failed(failure.code.word(), &failure.message),
        (ItemState::Failed | ItemState::Ambiguous, None) => return failed("failed", "nobody knows what became of it"),
        (ItemState::Cancelled, None) => return failed("cancelled", "it was taken back before it was made"),
        _ => {}
    }
    if let Some(message) = refused {
        return failed("gate", message);
    }
    let note = item.note.as_deref();
    match (item.state, mode) {
        (ItemState::Planned | ItemState::Cached, Mode::Check) => failed("out_of_date", "the picture is not up to date"),
        (ItemState::Planned | ItemState::Cached, _) => Fate::Skipped("it would be made; nothing was, as asked"),
        (ItemState::Kept | ItemState::Skipped, _) => Fate::Skipped(note.unwrap_or("left alone")),
        _ => Fate::Passed,
    }
}

fn counts<'c, 'a: 'c>(cases: impl Iterator<Item = &'c Case<'a>>, seconds: f64) -> String {
    let (mut tests, mut failures, mut skipped) = (0, 0, 0);
    for case in cases {
        tests += 1;
        match case.fate {
            Fate::Passed => {}
            Fate::Failed { .. } => failures += 1,
            Fate::Skipped(_) => skipped += 1,
        }
    }
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"{seconds:.3}\"")
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(line);
    text.push('\n');
}

/// Text as it may stand in an attribute or an element. What XML 1.0 cannot hold at all is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // A bare one in an attribute is read as a space.
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\r' => out.push_str("&#13;"),
            c if c < ' ' || matches!(c, '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, xml: &str) {
        assert_eq!(escaped(text), xml);
    }

    #[test]
    fn what_xml_cannot_hold_is_escaped_or_left_out() {
        check("a <b> & \"c\" 'd'", "a &lt;b&gt; &amp; &quot;c&quot; &apos;d&apos;");
        check("one\ntwo\tthree\r", "one&#10;two&#9;three&#13;");
        check("bell\u{7} nul\0 esc\u{1b}[31m \u{fffe}\u{ffff}\u{85}.", "bell nul esc[31m .");
        check("日本語 \u{1f409} é", "日本語 \u{1f409} é");
    }
}
