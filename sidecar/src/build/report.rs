//! The report of a build, plan or generation: the JSON that scripts read, and the counts that people read.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use thumbforge_core::approvals::Approvals;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::PixelHash;
use thumbforge_core::job::{AssetRef, Ending, Render};
use thumbforge_core::lock::LockLine;
use thumbforge_core::manifest::{Wanted, Warning};
use thumbforge_core::model::ModelId;
use thumbforge_core::plan::{Action, KeepReason};
use thumbforge_core::repair::Repaired;
use thumbforge_core::verdict::Verdict;

use crate::engine::local::asked::LOSSY;

/// What became, or would become, of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// As it should be.
    Unchanged,
    /// As it should be, though it would be drawn differently now.
    Stale,
    /// To be made (a plan).
    Planned,
    /// To be taken from the store (a plan).
    Cached,
    /// Made.
    Done,
    /// Not made.
    Failed,
    /// Somebody else's file is in its place.
    Kept,
    /// Left out, because version control or a missing string forbids it.
    Skipped,
    /// A call went out and nobody knows what became of it.
    Ambiguous,
    /// Taken back before it was made.
    Cancelled,
}

/// What was decided on an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Approved {
    /// `accepted`, `rejected`, or `void` when its pixels are not those that were looked at.
    pub state: &'static str,
    /// Who decided.
    pub person: String,
    /// As what.
    pub role: String,
    /// On which day.
    pub date: String,
    /// Why.
    pub note: String,
}

impl Approved {
    /// What the decisions on an image are worth for `pixels`.
    pub fn of(approvals: &Approvals, asset: &AssetRef, pixels: Option<PixelHash>) -> Option<Self> {
        let (standing, line) = approvals.standing(&asset.name, &asset.locale, pixels)?;
        Some(Self {
            state: standing.word(),
            person: line.person.clone(),
            role: line.role.clone(),
            date: line.date.clone(),
            note: line.note.clone(),
        })
    }
}

/// One image of a report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// Name in the manifest.
    pub asset: String,
    /// BCP 47 tag.
    pub locale: String,
    /// Where it is, relative to the manifest.
    pub path: String,
    /// The picture itself, from the root of the file system on; absent where there is none.
    pub file: Option<String>,
    /// What became of it.
    pub state: ItemState,
    /// Template by name.
    pub template: Option<String>,
    /// Its version.
    pub template_version: Option<u32>,
    /// What was decided.
    pub planned_key: String,
    /// What drew it.
    pub realised_key: Option<String>,
    /// Hash of the pixels that lie in its place, as far as anybody had to know them.
    pub pixels: Option<String>,
    /// Engine by name.
    pub engine: Option<String>,
    /// Model of the catalogue.
    pub model: Option<String>,
    /// The model that it stands in for.
    pub placeholder_for: Option<String>,
    /// The retired model that was asked for and that its model replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// What it gave up of its pixels to fit into memory: words of `allow_lossy`, joined by `+`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lossy: Option<String>,
    /// The seed that it was drawn with.
    pub seed: Option<u64>,
    /// Draft or final.
    pub tier: String,
    /// Tries it took.
    pub attempts: u32,
    /// Its cost in millionths of a US dollar.
    pub cost_micros_usd: u64,
    /// Wall time of the attempt that drew it.
    pub latency_ms: Option<u64>,
    /// Pictures that the checks refused on the way to it, and what was done about each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<Repaired>,
    /// What was decided on it; absent when nobody has.
    pub approval: Option<Approved>,
    /// What the checks found.
    pub verdict: Option<Verdict>,
    /// Why there is none.
    pub error: Option<Failure>,
    /// In words, why it is stale, kept or skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Whether the picture came out of the store.
    #[serde(skip)]
    pub from_store: bool,
}

impl Item {
    /// A wanted image of which nothing is known yet.
    pub fn new(wanted: &Wanted, state: ItemState) -> Self {
        Self {
            asset: wanted.asset.name.clone(),
            locale: wanted.asset.locale.clone(),
            path: wanted.output.clone(),
            file: None,
            state,
            template: wanted.recipe.template.as_ref().map(|template| template.name.clone()),
            template_version: wanted.recipe.template.as_ref().map(|template| template.version),
            planned_key: wanted.planned.to_string(),
            realised_key: None,
            pixels: None,
            engine: None,
            model: wanted.recipe.model.as_ref().map(ToString::to_string),
            placeholder_for: None,
            replaces: None,
            lossy: None,
            seed: wanted.recipe.seed,
            tier: wanted.recipe.tier.word().to_owned(),
            attempts: 0,
            cost_micros_usd: 0,
            latency_ms: None,
            repairs: Vec::new(),
            approval: None,
            verdict: None,
            error: None,
            note: None,
            from_store: false,
        }
    }

    /// What the planner says of an image.
    pub fn planned(wanted: &Wanted, action: &Action) -> Self {
        let state = match action {
            Action::Unchanged | Action::Adopt => ItemState::Unchanged,
            Action::Stale(_) => ItemState::Stale,
            Action::Render(_) => ItemState::Planned,
            Action::Keep(_) => ItemState::Kept,
        };
        let mut item = Self::new(wanted, state);
        match action {
            Action::Stale(reason) => item.note = Some(reason.to_string()),
            Action::Keep(reason) => {
                let (code, message) = match reason {
                    KeepReason::HandEdited => (
                        ErrorCode::OutputFile,
                        "the file was changed by hand and is kept; --force replaces it".to_owned(),
                    ),
                    KeepReason::Foreign => (
                        ErrorCode::OutputFile,
                        "a file that Thumbforge did not write is there and is kept; --force replaces it".to_owned(),
                    ),
                    KeepReason::Unreadable(why) => (ErrorCode::OutputPath, why.clone()),
                };
                item.note = Some(message.clone());
                if matches!(reason, KeepReason::Unreadable(_)) {
                    item.state = ItemState::Failed;
                    item.error = Some(Failure::new(code, message));
                }
            }
            _ => {}
        }
        item
    }

    /// Adds what the lock says of an image that is there.
    pub fn with_line(mut self, line: &LockLine, wanted: &Wanted) -> Self {
        self.realised_key = Some(line.realised.to_string());
        self.pixels = Some(line.pixels.to_string());
        self.engine = Some(line.drawn_by.engine.clone());
        let named = wanted.recipe.model.as_ref().filter(|model| **model != ModelId::builtin());
        if line.drawn_by.engine == ModelId::builtin().as_str() {
            self.placeholder_for = named.map(ToString::to_string);
            self.model = Some(ModelId::builtin().to_string());
        }
        self
    }

    /// Adds what a render says.
    pub fn with_render(mut self, render: &Render, cached: bool, attempts: u32) -> Self {
        self.realised_key = Some(render.realised_key.to_string());
        self.pixels = Some(render.pixels.to_string());
        self.engine = Some(render.realisation.engine.clone());
        self.model = Some(render.model.to_string());
        self.placeholder_for = render.placeholder_for.as_ref().map(ToString::to_string);
        self.replaces = render.replaces.as_ref().map(ToString::to_string);
        self.lossy = render.realisation.settings.get(LOSSY).cloned();
        self.seed = Some(render.realisation.seed);
        self.attempts = attempts;
        self.cost_micros_usd = if cached { 0 } else { render.cost_micros_usd };
        self.latency_ms = Some(render.latency_ms);
        self.repairs.clone_from(&render.repairs);
        self.verdict = Some(render.verdict.clone());
        self.from_store = cached;
        self.state = ItemState::Done;
        self
    }

    /// Adds how its job ended.
    pub fn with_ending(mut self, ending: &Ending) -> Self {
        match ending {
            Ending::Done { render, cached, attempts } => self.with_render(render, *cached, *attempts),
            Ending::Failed(failure) => self.failed(failure.clone()),
            Ending::Cancelled => {
                self.state = ItemState::Cancelled;
                self
            }
        }
    }

    /// Says where the picture is.
    pub fn with_file(mut self, file: &Path) -> Self {
        self.file = Some(plain(file));
        self
    }

    /// Says why there is none.
    pub fn failed(mut self, failure: Failure) -> Self {
        // An unknown outcome is no failure: the picture may be there, and paid for.
        let is_ambiguous = failure.code == ErrorCode::Ambiguous;
        self.state = if is_ambiguous { ItemState::Ambiguous } else { ItemState::Failed };
        if !failure.findings.is_empty() {
            self.verdict = Some(Verdict::of(failure.findings.clone()));
        }
        // The findings stand in the verdict, where every item has them.
        self.error = Some(Failure { findings: Vec::new(), ..failure });
        self
    }
}

/// A path as people and other programs write it: without the prefix that Windows puts before a resolved one.
pub fn plain(path: &Path) -> String {
    let text = path.display().to_string();
    match text.strip_prefix(r"\\?\") {
        Some(rest) => rest.strip_prefix(r"UNC\").map_or_else(|| rest.to_owned(), |share| format!(r"\\{share}")),
        None => text,
    }
}

/// What a build, plan or generation came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// The folder that the items' paths are relative to, from the root of the file system on.
    pub root: String,
    /// Images that are wanted.
    pub planned: usize,
    /// As they should be.
    pub unchanged: usize,
    /// As they should be, though they would be drawn differently now.
    pub stale: usize,
    /// Taken from the store.
    pub cached: usize,
    /// Drawn; in a plan, to be drawn.
    pub rendered: usize,
    /// Not made.
    pub failed: usize,
    /// Nobody knows.
    pub ambiguous: usize,
    /// Taken back.
    pub cancelled: usize,
    /// Somebody else's files in the place of outputs.
    pub kept: usize,
    /// Left out.
    pub skipped: usize,
    /// Lock lines that nothing wants any more.
    pub orphans: usize,
    /// What it cost, in millionths of a US dollar.
    pub cost_micros_usd: u64,
    /// Wall time.
    pub elapsed_ms: u64,
    /// What people should know though nothing is wrong: models that are gone or will be, fields that are left out.
    pub warnings: Vec<Warning>,
    /// Every image, in the order of outputs.
    pub items: Vec<Item>,
}

impl Report {
    /// Counts `items`, whose paths are relative to `root`.
    pub fn of(root: &Path, items: Vec<Item>, orphans: usize, elapsed_ms: u64) -> Self {
        let mut report = Self { root: plain(root), planned: items.len(), orphans, elapsed_ms, ..Self::default() };
        for item in &items {
            report.cost_micros_usd += item.cost_micros_usd;
            match item.state {
                ItemState::Unchanged => report.unchanged += 1,
                ItemState::Stale => report.stale += 1,
                ItemState::Cached => report.cached += 1,
                ItemState::Done if item.from_store => report.cached += 1,
                ItemState::Done | ItemState::Planned => report.rendered += 1,
                ItemState::Failed => report.failed += 1,
                ItemState::Kept => report.kept += 1,
                ItemState::Skipped => report.skipped += 1,
                ItemState::Ambiguous => report.ambiguous += 1,
                ItemState::Cancelled => report.cancelled += 1,
            }
        }
        report.items = items;
        report
    }

    /// What people should know of pictures that are there now and gave up pixels to fit into memory: one line for all.
    pub fn lossy(&self) -> Option<Warning> {
        let mut words: BTreeMap<&str, usize> = BTreeMap::new();
        let made = self.items.iter().filter(|item| item.state == ItemState::Done);
        made.filter_map(|item| item.lossy.as_deref()).for_each(|word| *words.entry(word).or_default() += 1);
        let all: usize = words.values().sum();
        let counts: Vec<String> = words.iter().map(|(word, count)| format!("{word} {count}")).collect();
        let message = format!(
            "{all} of {} pictures gave up exactness to fit into memory ({}); `lossy` of each in the report says what, as does \
             `thumbforge show`",
            self.planned,
            counts.join(", ")
        );
        (all > 0).then_some(Warning { code: "lossy_memory", message })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::output::provenance::tests::recipe;

    #[track_caller]
    fn check(path: &str, said: &str) {
        assert_eq!(plain(Path::new(path)), said);
    }

    /// What a report says whose pictures are in these states and gave up these words.
    #[track_caller]
    fn told(pictures: &[(ItemState, &str)], expected: Option<&str>) {
        let recipe = recipe();
        let wanted = Wanted {
            asset: AssetRef { name: "a".to_owned(), locale: "en".to_owned() },
            output: "a.png".to_owned(),
            profile: None,
            planned: recipe.planned_key(),
            recipe,
            priority: 0,
            terms: Arc::default(),
        };
        let item = |(state, lossy): &(ItemState, &str)| Item {
            lossy: (!lossy.is_empty()).then(|| (*lossy).to_owned()),
            ..Item::new(&wanted, *state)
        };
        let report = Report::of(Path::new("/games"), pictures.iter().map(item).collect(), 0, 0);
        let said = report.lossy();
        assert!(said.iter().all(|warning| warning.code == "lossy_memory"));
        let starts = |expected: &str| said.as_ref().is_some_and(|said| said.message.starts_with(expected));
        assert!(expected.map_or(said.is_none(), starts), "{said:?}");
    }

    #[test]
    fn one_line_says_how_many_pictures_gave_up_what() {
        use ItemState::{Done, Failed};
        told(&[], None);
        told(&[(Done, ""), (Failed, "fp8")], None);
        told(&[(Done, "fp8"), (Done, "")], Some("1 of 2 pictures gave up exactness to fit into memory (fp8 1); "));
        let mixed = [(Done, "tiled-vae"), (Done, "fp8"), (Done, ""), (Done, "fp8"), (Failed, "")];
        told(&mixed, Some("3 of 5 pictures gave up exactness to fit into memory (fp8 2, tiled-vae 1); "));
    }

    #[test]
    fn paths_are_as_people_write_them() {
        check("/games/shop/Assets/a.png", "/games/shop/Assets/a.png");
        check(r"\\?\C:\games\shop", r"C:\games\shop");
        check(r"\\?\UNC\server\share\shop", r"\\server\share\shop");
    }
}
