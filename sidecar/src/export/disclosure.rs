//! The disclosure: every picture of the project, those first in which a model had a part, for forms of stores and of law.
//!
//! A row says what is known and leaves blank what is not. What cannot be read is listed as such and counted apart, never
//! as a picture without a model.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::picture::{Made, Picture, is_own};
use crate::build::Approved;
use crate::output::provenance::Credit;

mod markdown;
mod table;

/// The list, with its sums.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Disclosure {
    /// Name of the project, as its manifest has it.
    pub project: String,
    /// The program that wrote the list.
    pub written_by: String,
    /// The sums.
    pub totals: Totals,
    /// The models that had a part, most pictures first.
    pub models: Vec<ModelUse>,
    /// Works of others within pictures.
    pub works: Vec<WorkUse>,
    /// Every picture: those of models first, each part in order of paths.
    pub pictures: Vec<Row>,
}

/// How many pictures are what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// All.
    pub pictures: usize,
    /// Those in which a model had a part.
    pub of_models: usize,
    /// Those of them that somebody has accepted as they are.
    pub of_models_accepted: usize,
    /// Those that the built-in engine drew.
    pub of_algorithms: usize,
    /// The team's own.
    pub own: usize,
    /// Those that are missing, changed or cannot be read: what is said of them is what the lock says.
    pub unread: usize,
}

/// A model and what it had a part in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ModelUse {
    /// Its id in the catalogue; blank where only the engine is known.
    pub model: String,
    /// Its name for people.
    pub name: String,
    /// Who sells it; blank for one of this machine.
    pub provider: String,
    /// The licence or terms that it comes under; "unknown" where nobody said.
    pub licence: String,
    /// Pictures that it had a part in.
    pub pictures: usize,
}

/// A work of somebody else and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkUse {
    /// The work.
    #[serde(flatten)]
    pub work: Credit,
    /// Pictures that it is in.
    pub pictures: usize,
}

/// What a picture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A model had a part in it.
    Model,
    /// The built-in engine drew it, which is no model.
    Algorithm,
    /// The team's own picture.
    Own,
    /// Nobody can tell.
    Unknown,
}

impl Kind {
    /// The word in tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Model => "AI model",
            Self::Algorithm => "algorithm, no AI",
            Self::Own => "the team's own",
            Self::Unknown => "unknown",
        }
    }
}

/// One picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Name of the asset.
    pub asset: String,
    /// BCP 47 tag; empty where it has none.
    pub locale: String,
    /// Where it lies, relative to the manifest.
    pub path: String,
    /// `built`; `stale` where the manifest wants something else by now; `missing`, `changed`, `unfetched` or `unreadable`.
    pub state: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The term of IPTC's Digital Source Type.
    pub source_type: Option<&'static str>,
    /// Engine by name: `builtin`, `file`, `local`, or a provider.
    pub engine: Option<String>,
    /// Its version.
    pub engine_version: Option<String>,
    /// Model of the catalogue.
    pub model: Option<String>,
    /// Its name for people.
    pub model_name: Option<String>,
    /// The licence or terms that it comes under.
    pub model_licence: Option<String>,
    /// Who sells it.
    pub provider: Option<String>,
    /// The seed that it was drawn with.
    pub seed: Option<u64>,
    /// Files of adapters (LoRA), by the BLAKE3 of each: their licences are the team's to know.
    pub adapters: Vec<String>,
    /// The day on which it was made, in UTC.
    pub made: Option<String>,
    /// Who says so: `journal`, or `file` for the file's time.
    pub made_by: Option<&'static str>,
    /// What was decided on it.
    pub approval: Option<Approved>,
    /// Works of others within it.
    pub credits: Vec<Credit>,
}

/// How the list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For spreadsheets.
    Csv,
    /// For programs.
    Json,
    /// For people, and for documents.
    Markdown,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Csv, Self::Json, Self::Markdown];

    /// The word on the command line, which also ends the file's name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Markdown => "md",
        }
    }
}

impl Disclosure {
    /// The list of these pictures.
    pub fn of(project: &str, pictures: &[Picture]) -> Self {
        let mut rows: Vec<Row> = pictures.iter().map(Row::of).collect();
        rows.sort_by(|a, b| (a.kind, &a.path).cmp(&(b.kind, &b.path)));
        let count = |of: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| of(row)).count();
        let totals = Totals {
            pictures: rows.len(),
            of_models: count(&|row| row.kind == Kind::Model),
            of_models_accepted: count(&|row| row.kind == Kind::Model && row.is_accepted()),
            of_algorithms: count(&|row| row.kind == Kind::Algorithm),
            own: count(&|row| row.kind == Kind::Own),
            unread: count(&|row| !matches!(row.state, "built" | "stale")),
        };
        Self {
            project: project.to_owned(),
            written_by: format!("Thumbforge {}", env!("CARGO_PKG_VERSION")),
            totals,
            models: models(&rows),
            works: works(&rows),
            pictures: rows,
        }
    }

    /// The list in a format.
    pub fn to_text(&self, format: Format) -> String {
        match format {
            Format::Csv => table::csv(self),
            Format::Json => serde_json::to_string_pretty(self).unwrap_or_default() + "\n",
            Format::Markdown => markdown::markdown(self),
        }
    }
}

impl Row {
    fn of(picture: &Picture) -> Self {
        let said = picture.provenance.as_ref();
        let drawn_by = picture.line.as_ref().map(|line| line.drawn_by.as_ref());
        let engine = said.map(|said| said.realisation.engine.clone());
        let engine = engine.or_else(|| drawn_by.map(|drawn_by| drawn_by.engine.clone()));
        let version = said.map(|said| said.realisation.engine_version.clone());
        let kind = match engine.as_deref() {
            _ if picture.of_model => Kind::Model,
            Some("builtin") => Kind::Algorithm,
            Some("file") => Kind::Own,
            _ => Kind::Unknown,
        };
        let model = picture.model.as_ref().filter(|_| kind == Kind::Model);
        // The team's own picture that says that a model made it names none that we know.
        let is_drawn = said.filter(|said| !is_own(said));
        let licence = || model.map_or_else(|| "unknown".to_owned(), |row| row.licence().to_owned());
        Self {
            asset: picture.asset.clone(),
            locale: picture.locale.clone(),
            path: picture.path.clone(),
            state: match &picture.fault {
                Some(fault) => fault.state,
                None if picture.stale => "stale",
                None => "built",
            },
            kind,
            source_type: picture.source_type.map(|term| term.word()),
            engine,
            engine_version: version.or_else(|| drawn_by.map(|drawn_by| drawn_by.version.clone())),
            model: is_drawn.filter(|_| kind == Kind::Model).map(|said| said.model.to_string()),
            model_name: model.map(|row| row.name.clone()),
            model_licence: (kind == Kind::Model).then(licence),
            provider: model.and_then(|row| row.provider.clone()),
            seed: is_drawn.map(|said| said.realisation.seed),
            adapters: is_drawn
                .map(|said| said.recipe.adapters.iter().map(|lora| lora.content.to_string()).collect())
                .unwrap_or_default(),
            made: picture.made.map(|Made { day, .. }| day.to_string()),
            made_by: picture.made.map(|made| made.by),
            approval: picture.approval.clone(),
            credits: said.map(|said| said.credits.clone()).unwrap_or_default(),
        }
    }

    fn is_accepted(&self) -> bool {
        self.approval.as_ref().is_some_and(|approval| approval.state == "accepted")
    }
}

fn models(rows: &[Row]) -> Vec<ModelUse> {
    let mut found: BTreeMap<(String, String), ModelUse> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.kind == Kind::Model) {
        let model = row.model.clone().unwrap_or_default();
        let engine = row.engine.clone().unwrap_or_default();
        let name = row.model_name.clone().unwrap_or_else(|| match (model.is_empty(), engine.as_str()) {
            (false, _) => model.clone(),
            (true, "file") => "named by the team's own picture".to_owned(),
            (true, engine) => format!("not known (engine {engine})"),
        });
        let one = found.entry((model.clone(), name.clone())).or_insert_with(|| ModelUse {
            model,
            name,
            provider: row.provider.clone().unwrap_or_default(),
            licence: row.model_licence.clone().unwrap_or_default(),
            pictures: 0,
        });
        one.pictures += 1;
    }
    let mut models: Vec<ModelUse> = found.into_values().collect();
    models.sort_by(|a, b| b.pictures.cmp(&a.pictures).then_with(|| a.cmp(b)));
    models
}

fn works(rows: &[Row]) -> Vec<WorkUse> {
    let works: BTreeSet<&Credit> = rows.iter().flat_map(|row| &row.credits).collect();
    let uses = |work: &Credit| rows.iter().filter(|row| row.credits.contains(work)).count();
    works.into_iter().map(|work| WorkUse { work: work.clone(), pictures: uses(work) }).collect()
}

#[cfg(test)]
mod tests;
