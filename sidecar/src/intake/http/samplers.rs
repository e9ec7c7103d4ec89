//! Sampling settings between tools, as data: `samplers.toml` says what each name becomes and what each model takes.

use std::collections::BTreeMap;

use serde::Deserialize;
use thumbforge_core::model::{Family, ModelRow};
use thumbforge_core::recipe::Settings;

const BUILT_IN: &str = include_str!("samplers.toml");

/// A sampler by its names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sampler {
    name: String,
    aliases: Vec<String>,
    becomes: String,
    #[serde(default)]
    note: Option<String>,
}

/// Settings that a kind of model takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Takes {
    takes: Vec<Setting>,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Setting {
    Sampler,
    Steps,
    Guidance,
}

/// The whole table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    #[serde(rename = "sampler")]
    samplers: Vec<Sampler>,
    family: Families,
    model: BTreeMap<String, Takes>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Families {
    local: Takes,
    hosted: Takes,
    builtin: Takes,
}

impl Table {
    /// The table that ships with Thumbforge.
    pub(super) fn built_in() -> Self {
        #[expect(clippy::expect_used, reason = "the embedded file is read by a unit test")]
        toml::from_str(BUILT_IN).expect("the embedded table is read by a unit test")
    }

    /// The sampler of a spelling.
    pub(super) fn sampler(&self, name: &str) -> Option<&Sampler> {
        let folded = fold(name);
        self.samplers
            .iter()
            .find(|row| fold(&row.name) == folded || row.aliases.iter().any(|alias| fold(alias) == folded))
    }

    /// Canonical names.
    pub(super) fn names(&self) -> Vec<&str> {
        self.samplers.iter().map(|row| row.name.as_str()).collect()
    }

    /// What `row` would be given for `settings`, what of them it does not take, and what people should know.
    pub(super) fn translate(&self, row: &ModelRow, settings: &Settings) -> (Settings, Vec<String>, Vec<String>) {
        let takes = self.model.get(row.id.as_str()).unwrap_or(match row.family {
            Family::Local => &self.family.local,
            Family::Hosted => &self.family.hosted,
            Family::Builtin => &self.family.builtin,
        });
        let (mut given, mut dropped) = (settings.clone(), Vec::new());
        let mut notes: Vec<String> = takes.note.iter().cloned().collect();
        for (setting, word, named) in [
            (Setting::Guidance, "guidance", settings.guidance.is_some()),
            (Setting::Sampler, "sampler", settings.sampler.is_some()),
            (Setting::Steps, "steps", settings.steps.is_some()),
        ] {
            if !named || takes.takes.contains(&setting) {
                continue;
            }
            match setting {
                Setting::Guidance => given.guidance = None,
                Setting::Sampler => given.sampler = None,
                Setting::Steps => given.steps = None,
            }
            dropped.push(word.to_owned());
        }
        if let Some(sampler) = given.sampler.as_deref().and_then(|name| self.sampler(name)) {
            notes.extend(sampler.note.clone());
            given.sampler = Some(sampler.becomes.clone());
        }
        (given, dropped, notes)
    }
}

fn fold(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use thumbforge_core::model::Catalogue;

    use super::*;

    /// What `model` is given for the settings of the case study, in words.
    fn translated(model: &str, sampler: &str) -> String {
        let settings =
            Settings { sampler: Some(sampler.to_owned()), steps: Some(28), guidance: Some(7.5), ..Settings::default() };
        let catalogue = Catalogue::built_in();
        let (given, dropped, _) = Table::built_in().translate(catalogue.resolve(model).unwrap(), &settings);
        let Settings { sampler, steps, guidance, .. } = given;
        format!("{} {steps:?} {guidance:?} -{}", sampler.unwrap_or_default(), dropped.join(","))
    }

    #[test]
    fn local_models_take_all_three() {
        assert_eq!(translated("sd3.5-medium", "euler_a"), "Euler ancestral (flow) Some(28) Some(7.5) -");
        assert_eq!(translated("sd3.5-medium", "K-LMS"), "Euler (flow) Some(28) Some(7.5) -");
    }

    #[test]
    fn the_turbo_takes_no_guidance() {
        assert_eq!(translated("sd3.5-turbo", "ddim"), "Euler (flow) Some(28) None -guidance");
    }

    #[test]
    fn hosted_and_built_in_models_take_none() {
        assert_eq!(translated("dalle3-hd", "euler_a"), " None None -guidance,sampler,steps");
        assert_eq!(translated("builtin", "euler_a"), " None None -guidance,sampler,steps");
    }

    #[test]
    fn every_model_of_the_table_is_in_the_catalogue_and_no_spelling_names_two() {
        let (table, catalogue) = (Table::built_in(), Catalogue::built_in());
        for model in table.model.keys() {
            assert_eq!(catalogue.resolve(model).unwrap().id.as_str(), model);
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
