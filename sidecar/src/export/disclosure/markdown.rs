//! The list as Markdown: what a person pastes into a form, or hands to a lawyer.

use std::fmt::Write as _;

use super::table::named;
use super::{Disclosure, Kind, Row};

pub(super) fn markdown(disclosure: &Disclosure) -> String {
    let mut text = String::from("# Pictures made with generative models\n\n");
    let project = if disclosure.project.is_empty() { "This project" } else { &disclosure.project };
    let _ = writeln!(text, "{}; written by {}.\n", cell(project), disclosure.written_by);
    summary(&mut text, disclosure);
    if !disclosure.models.is_empty() {
        text.push_str("\n## Models\n\n");
        let rows = disclosure.models.iter().map(|model| {
            let provider = if model.provider.is_empty() { "run by the team" } else { &model.provider };
            [
                model.name.clone(),
                model.model.clone(),
                provider.to_owned(),
                model.licence.clone(),
                model.pictures.to_string(),
            ]
        });
        table(&mut text, ["model", "id", "provider", "licence or terms", "pictures"], rows);
    }
    let of = |kind: Kind| disclosure.pictures.iter().filter(move |row| row.kind == kind);
    if disclosure.totals.of_models > 0 {
        text.push_str("\n## Pictures in which a model had a part\n\n");
        let rows = of(Kind::Model).map(|row| {
            let model = row.model_name.clone().or_else(|| row.model.clone()).unwrap_or_else(|| "not known".to_owned());
            let source_type = row.source_type.unwrap_or("not known").to_owned();
            let seed = row.seed.map(|seed| seed.to_string()).unwrap_or_default();
            [row.asset.clone(), row.locale.clone(), place(row), model, source_type, made(row), seed, decided(row)]
        });
        let heads = ["asset", "locale", "file", "model", "digital source type", "made", "seed", "human decision"];
        table(&mut text, heads, rows);
    }
    let others = || of(Kind::Algorithm).chain(of(Kind::Own)).chain(of(Kind::Unknown));
    if others().next().is_some() {
        text.push_str("\n## Other pictures\n\n");
        let rows = others().map(|row| {
            [row.asset.clone(), row.locale.clone(), place(row), row.kind.word().to_owned(), made(row), decided(row)]
        });
        table(&mut text, ["asset", "locale", "file", "what it is", "made", "human decision"], rows);
    }
    if !disclosure.works.is_empty() {
        text.push_str("\n## Works of others within pictures\n\n");
        let rows = disclosure.works.iter().map(|work| [named(&work.work), work.pictures.to_string()]);
        table(&mut text, ["work", "pictures"], rows);
    }
    text
}

/// The sentences that forms ask for.
fn summary(text: &mut String, disclosure: &Disclosure) {
    let totals = disclosure.totals;
    let pictures = |count: usize| if count == 1 { "1 picture".to_owned() } else { format!("{count} pictures") };
    let _ = writeln!(
        text,
        "- **A generative model made or changed {} of {}.** A person has accepted {} of them.",
        totals.of_models,
        pictures(totals.pictures),
        totals.of_models_accepted,
    );
    let _ = writeln!(
        text,
        "- An algorithm without a trained model drew {}; {} {} the team's own, with words over {}.",
        totals.of_algorithms,
        totals.own,
        if totals.own == 1 { "is" } else { "are" },
        if totals.own == 1 { "it" } else { "them" },
    );
    if totals.unread > 0 {
        let _ = writeln!(
            text,
            "- **{} could not be looked at** (missing, changed or not fetched): the list says of them what the lock says.",
            pictures(totals.unread),
        );
    }
    text.push_str(
        "- All of them were made before release. This list says nothing of what a game generates while it runs.\n",
    );
    if disclosure.pictures.iter().any(|row| row.made_by == Some("file")) {
        text.push_str(
            "- Days marked with * are times of files, which a checkout sets anew; the others are of this machine's journal.\n",
        );
    }
}

fn place(row: &Row) -> String {
    match row.state {
        "built" => row.path.clone(),
        state => format!("{} ({state})", row.path),
    }
}

fn made(row: &Row) -> String {
    let mark = if row.made_by == Some("file") { "*" } else { "" };
    row.made.as_ref().map(|day| format!("{day}{mark}")).unwrap_or_default()
}

fn decided(row: &Row) -> String {
    let approval = row.approval.as_ref();
    approval.map(|one| format!("{} by {} ({}), {}", one.state, one.person, one.role, one.date)).unwrap_or_default()
}

fn table<const N: usize>(text: &mut String, heads: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    let _ = writeln!(text, "| {} |\n|{}", heads.join(" | "), "---|".repeat(N));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.map(|value| cell(&value)).join(" | "));
    }
}

/// Words of people in a table: what would end the cell or begin something of Markdown's or HTML's own is escaped. A line
/// below within a name, as in `gem_chest`, means nothing to Markdown and stays readable.
fn cell(words: &str) -> String {
    let mut text = String::with_capacity(words.len());
    let mut before = ' ';
    let mut rest = words.chars().peekable();
    while let Some(c) = rest.next() {
        let within = before.is_alphanumeric() && rest.peek().is_some_and(|next| next.is_alphanumeric());
        match c {
            '\n' | '\r' | '\t' => text.push(' '),
            '_' if within => text.push('_'),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' => text.extend(['\\', c]),
            '<' => text.push_str("&lt;"),
            '&' => text.push_str("&amp;"),
            c => text.push(c),
        }
        before = c;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn words_stay_words() {
        let check = |words: &str, expected: &str| assert_eq!(cell(words), expected);
        check("gem_chest", "gem_chest");
        check("_a_ *b* `c`", "\\_a\\_ \\*b\\* \\`c\\`");
        check("a|b\nc", "a\\|b c");
        check("<script>&", "&lt;script>&amp;");
        check("[x](y) \\", "\\[x\\](y) \\\\");
    }
}
