//! Sampling settings between tools, as data: `samplers.toml` says what each name becomes where, and in which range each
//! kind of model likes its numbers.
//!
//! People bring settings from the tool that they had before. One vocabulary is kept in recipes; it is translated on the
//! way to a backend, and whoever translates records what came of it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::{Family, ModelRow};
use crate::recipe::Settings;

const BUILT_IN: &str = include_str!("../samplers.toml");

/// What `row` is asked for settings that a person named in other terms.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Translation {
    /// The settings in the backend's own words and range; what is no sampling setting is left as it was.
    pub given: Settings,
    /// What it does not take: `guidance`, `sampler` or `steps`, in this order.
    pub dropped: Vec<String>,
    /// What people should know: what became something else, and why.
    pub notes: Vec<String>,
}

/// A sampler by its names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampler {
    name: String,
    aliases: Vec<String>,
    flow: String,
    #[serde(default)]
    a1111: Option<String>,
    #[serde(default)]
    comfyui: Option<String>,
    #[serde(default)]
    sdcpp: Option<String>,
    #[serde(default)]
    note: Option<String>,
}

impl Sampler {
    /// The canonical name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name on a backend; `None` where the backend has none.
    fn on(&self, backend: Backend) -> Option<&str> {
        match backend {
            Backend::Flow => Some(&self.flow),
            Backend::A1111 => self.a1111.as_deref(),
            Backend::ComfyUi => self.comfyui.as_deref(),
            Backend::SdCpp => self.sdcpp.as_deref(),
        }
    }
}

/// What samples, where samplers have names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backend {
    /// A rectified-flow model on this machine.
    Flow,
    A1111,
    ComfyUi,
    SdCpp,
}

impl Backend {
    fn of(row: &ModelRow) -> Option<Self> {
        match (row.family, row.provider.as_deref()) {
            (Family::Local, _) => Some(Self::Flow),
            (Family::Hosted, Some("a1111")) => Some(Self::A1111),
            (Family::Hosted, Some("comfyui")) => Some(Self::ComfyUi),
            (Family::Hosted, Some("sdcpp")) => Some(Self::SdCpp),
            _ => None,
        }
    }
}

/// The numbers that a kind of model, or one model, likes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Likes {
    steps: Option<Range>,
    guidance: Option<Range>,
    note: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    least: f64,
    most: f64,
    #[serde(default)]
    usual: Option<f64>,
}

impl Range {
    fn fit(self, number: f64) -> f64 {
        match self.usual {
            _ if (self.least..=self.most).contains(&number) => number,
            Some(usual) => usual,
            None => number.clamp(self.least, self.most),
        }
    }
}

/// The whole table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    #[serde(rename = "sampler")]
    samplers: Vec<Sampler>,
    kind: BTreeMap<String, Likes>,
    model: BTreeMap<String, Likes>,
}

impl Table {
    /// The table that ships with Thumbforge.
    ///
    /// # Panics
    /// Never in a build whose tests passed: the embedded file is read by one.
    pub fn built_in() -> Self {
        #[expect(clippy::expect_used, reason = "the embedded file is read by a unit test")]
        toml::from_str(BUILT_IN).expect("the embedded table is read by a unit test")
    }

    /// The sampler of a spelling.
    pub fn sampler(&self, name: &str) -> Option<&Sampler> {
        let folded = fold(name);
        self.samplers
            .iter()
            .find(|row| fold(&row.name) == folded || row.aliases.iter().any(|alias| fold(alias) == folded))
    }

    /// Canonical names.
    pub fn names(&self) -> Vec<&str> {
        self.samplers.iter().map(|row| row.name.as_str()).collect()
    }

    /// What `row` is given for `settings`, what of them it does not take, and what people should know.
    pub fn translate(&self, row: &ModelRow, settings: &Settings) -> Translation {
        let kind = self.kind(row);
        let own = self.model.get(row.id.as_str());
        let mut to = Translation { given: settings.clone(), ..Translation::default() };
        let (samples, guides) = match row.family {
            Family::Local => (true, true),
            Family::Hosted => (row.can.sampling, row.can.guidance),
            Family::Builtin => (false, false),
        };

        let range = |of: fn(&Likes) -> Option<Range>| own.and_then(of).or_else(|| kind.and_then(of));
        if let Some(guidance) = settings.guidance {
            to.given.guidance = guides.then(|| to.fitted("guidance", guidance, range(|likes| likes.guidance)));
        }
        if let Some(name) = &settings.sampler {
            let backend = Backend::of(row).filter(|_| samples);
            to.given.sampler = backend.and_then(|backend| to.sampler(self, backend, name));
        }
        if let Some(steps) = settings.steps {
            let fitted = samples.then(|| to.fitted("steps", f64::from(steps), range(|likes| likes.steps)));
            // Ranges of steps are whole numbers within those of recipes.
            to.given.steps = fitted.map(|steps| steps as u32);
        }

        for (word, named, given) in [
            ("guidance", settings.guidance.is_some(), to.given.guidance.is_some()),
            ("sampler", settings.sampler.is_some(), to.given.sampler.is_some()),
            ("steps", settings.steps.is_some(), to.given.steps.is_some()),
        ] {
            if named && !given {
                to.dropped.push(word.to_owned());
            }
        }
        let changed = to.given.steps != settings.steps || to.given.guidance != settings.guidance;
        let why = own.and_then(|own| own.note.as_ref()).filter(|_| changed);
        let not_taken = kind.and_then(|kind| kind.note.as_ref()).filter(|_| !to.dropped.is_empty());
        to.notes.extend(why.or(not_taken).cloned());
        to
    }

    /// The least and the most guidance that `row` takes, both finite; `None` where it takes none.
    pub fn guidance(&self, row: &ModelRow) -> Option<(f64, f64)> {
        let guides = match row.family {
            Family::Local => true,
            Family::Hosted => row.can.guidance,
            Family::Builtin => false,
        };
        let own = self.model.get(row.id.as_str()).and_then(|likes| likes.guidance);
        let range = own.or_else(|| self.kind(row)?.guidance);
        guides.then(|| range.map_or((0.0, 100.0), |range| (range.least, range.most)))
    }

    fn kind(&self, row: &ModelRow) -> Option<&Likes> {
        let word = match row.family {
            Family::Local => "flow",
            Family::Builtin => "builtin",
            Family::Hosted => row.provider.as_deref().filter(|word| self.kind.contains_key(*word)).unwrap_or("hosted"),
        };
        self.kind.get(word)
    }
}

impl Translation {
    fn fitted(&mut self, word: &str, number: f64, range: Option<Range>) -> f64 {
        let fitted = range.map_or(number, |range| range.fit(number));
        if fitted != number {
            self.notes.push(format!("{word} {number} became {fitted}, which this model is made for"));
        }
        fitted
    }

    /// The backend's own name of a sampler; `None` where it is none that we know and the backend is ours.
    fn sampler(&mut self, table: &Table, backend: Backend, name: &str) -> Option<String> {
        let Some(sampler) = table.sampler(name) else {
            if backend == Backend::Flow {
                self.notes.push(format!("there is no sampler {name:?}; there are {}", table.names().join(", ")));
                return None;
            }
            // Such servers have samplers of their own, and refuse what they do not know before they draw.
            self.notes.push(format!("the sampler {name:?} is passed on as it is"));
            return Some(name.to_owned());
        };
        if backend == Backend::Flow {
            self.notes.extend(sampler.note.clone());
        }
        let there = sampler.on(backend).or_else(|| {
            self.notes.push(format!("there is no {} there; Euler is the nearest", sampler.name));
            table.sampler("euler").and_then(|euler| euler.on(backend))
        });
        there.map(str::to_owned)
    }
}

/// Samplers are compared without case, spaces, underscores and hyphens.
fn fold(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Catalogue;

    /// What `model` is given for the settings of the case study, in words.
    #[track_caller]
    fn check(model: &str, sampler: &str, expected: &str) {
        let settings =
            Settings { sampler: Some(sampler.to_owned()), steps: Some(28), guidance: Some(7.5), ..Settings::default() };
        let catalogue = Catalogue::built_in();
        let Translation { given, dropped, .. } =
            Table::built_in().translate(catalogue.resolve(model).unwrap(), &settings);
        let number = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let (steps, guidance) = (number(given.steps.map(f64::from)), number(given.guidance));
        let said = format!("{} {steps} {guidance} -{}", given.sampler.unwrap_or_default(), dropped.join(","));
        assert_eq!(said, expected, "{model} {sampler}");
    }

    #[test]
    fn each_backend_is_asked_in_its_own_words() {
        check("sd3.5-medium", "euler_a", "Euler ancestral (flow) 28 7.5 -");
        check("sd3.5-medium", "K-LMS", "Euler (flow) 28 7.5 -");
        check("sd3.5-medium", "DPM++ 2M", "DPM++ 2M (flow) 28 7.5 -");
        check("sd3.5-medium", "ddim", "Euler (flow) 28 7.5 -");
        check("sd3.5-medium", "magic", " 28 7.5 -sampler");
        check("a1111", "euler_a", "Euler a 28 7.5 -");
        check("a1111", "k_lms", "LMS 28 7.5 -");
        check("a1111", "ddpm", "Euler 28 7.5 -");
        check("a1111", "Restart", "Restart 28 7.5 -");
        check("comfyui", "euler_a", "euler_ancestral 28 7.5 -");
        check("comfyui", "dpmpp_2m", "dpmpp_2m 28 7.5 -");
        check("comfyui", "heun", "heun 28 7.5 -");
        check("sdcpp", "dpmpp_2m", "dpm++2m 28 7.5 -");
        check("sdcpp", "ddim", "ddim_trailing 28 7.5 -");
        check("sdcpp", "k_lms", "euler 28 7.5 -");
    }

    #[test]
    fn distilled_models_keep_to_their_few_steps() {
        check("sd3.5-turbo", "ddim", "Euler (flow) 4 1 -");
        check("stability-sd3.5-turbo", "ddim", " - 1 -sampler,steps");
        check("stability-sd3.5-medium", "ddim", " - 7.5 -sampler,steps");
    }

    #[test]
    fn hosted_and_built_in_models_take_none() {
        check("dalle3-hd", "euler_a", " - - -guidance,sampler,steps");
        check("builtin", "euler_a", " - - -guidance,sampler,steps");
    }

    #[test]
    fn what_changed_is_told() {
        let catalogue = Catalogue::built_in();
        let table = Table::built_in();
        let notes = |model: &str, settings: Settings| {
            table.translate(catalogue.resolve(model).unwrap(), &settings).notes.join("; ")
        };
        let turbo = notes("sd3.5-turbo", Settings { steps: Some(28), guidance: Some(7.5), ..Settings::default() });
        assert_eq!(
            turbo,
            "guidance 7.5 became 1, which this model is made for; steps 28 became 4, which this model is made for; \
             distilled to draw in 4 steps without guidance"
        );
        assert_eq!(notes("sd3.5-turbo", Settings { steps: Some(8), ..Settings::default() }), "");
        assert_eq!(notes("sd3.5-medium", Settings { guidance: Some(7.5), ..Settings::default() }), "");
        let ddim = Settings { sampler: Some("ddim".into()), ..Settings::default() };
        assert_eq!(notes("sd3.5-medium", ddim.clone()), "without its noise schedule DDIM is Euler's method");
        assert_eq!(notes("dalle3-hd", ddim), "the provider decides how it samples");
    }

    #[test]
    fn what_is_no_sampling_setting_is_left_alone() {
        let catalogue = Catalogue::built_in();
        let settings = Settings { quality: Some("high".into()), strength: Some(0.4), ..Settings::default() };
        let translation = Table::built_in().translate(catalogue.resolve("builtin").unwrap(), &settings);
        assert_eq!(translation, Translation { given: settings, ..Translation::default() });
    }

    #[test]
    fn the_table_agrees_with_the_catalogue_and_no_spelling_names_two() {
        let (table, catalogue) = (Table::built_in(), Catalogue::built_in());
        for model in table.model.keys() {
            assert_eq!(catalogue.resolve(model).unwrap().id.as_str(), model);
        }
        for kind in ["flow", "builtin", "hosted", "a1111", "comfyui", "sdcpp"] {
            assert!(table.kind.contains_key(kind), "{kind}");
        }
        for likes in table.kind.values().chain(table.model.values()) {
            for range in [likes.steps, likes.guidance].into_iter().flatten() {
                assert!(range.least <= range.most && range.usual.is_none_or(|usual| range.fit(usual) == usual));
            }
        }
        let mut spellings: Vec<String> = table
            .samplers
            .iter()
            .flat_map(|row| row.aliases.iter().chain([&row.name]))
            .map(|name| fold(name))
            .collect();
        let count = spellings.len();
        spellings.sort();
        spellings.dedup();
        assert_eq!(spellings.len(), count);
    }
}
