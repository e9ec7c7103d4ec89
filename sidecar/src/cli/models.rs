//! `thumbforge models`: which models can be named, by which spellings, and which of them this machine can draw with.

use thumbforge_core::model::{Catalogue, Family};

use super::{Context, exit, pretty, print_out};
use crate::build::BuildError;

#[derive(serde::Serialize)]
struct Row<'a> {
    id: &'a str,
    name: &'a str,
    family: Family,
    available: bool,
    aliases: &'a [String],
}

/// `thumbforge models`.
pub(super) fn models(context: &Context) -> Result<u8, BuildError> {
    let (catalogue, here) = (Catalogue::built_in(), crate::engine::cards_of_this_build());
    let rows: Vec<Row<'_>> = catalogue
        .rows()
        .iter()
        .map(|row| Row {
            id: row.id.as_str(),
            name: &row.name,
            family: row.family,
            available: crate::router::engine_of(row.family).is_some_and(|engine| here.contains_key(engine)),
            aliases: &row.aliases,
        })
        .collect();
    if context.json {
        print_out(&pretty(&rows));
        return Ok(exit::DONE);
    }
    for row in &rows {
        let mark = if row.available { "here" } else { "-" };
        print_out(&format!("{:<4}  {:<18}  {:<33} {}", mark, row.id, row.name, row.aliases.join(", ")));
    }
    Ok(exit::DONE)
}
