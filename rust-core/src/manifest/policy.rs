//! What pictures are held to, as files say it: `[criteria]` of a manifest, and policy files for pictures that no manifest made.

use std::collections::BTreeMap;

use super::body::Body;
use super::error::Gathered;
use super::expand::route_of;
use super::source::Source;
use super::{Manifest, ManifestErrors, schema_of, shape, syntax_errors, text_of, unreadable};
use crate::colour::Rgb;
use crate::criteria::{Criteria, CriteriaTable};
use crate::error::ErrorCode;
use crate::limits;
use crate::recipe::{Intent, Recipe, Tier};

/// What to write in place of a row's name that is none.
pub(super) const ROW: &str =
    "write \"preview\", \"production\", or a tier and an intent in quotes: \"production.typography\"";

impl CriteriaTable {
    /// What pictures of a tier and an intent are held to: what holds for all, under the tier's row, under the row of both.
    pub fn of(&self, tier: Tier, intent: Intent) -> Criteria {
        let row = |intent| self.rows.iter().find(|(key, _)| route_of(key) == Some((tier, intent))).map(|(_, row)| row);
        [row(None), row(Some(intent))].into_iter().flatten().fold(self.all.clone(), |all, row| all.overlaid(row))
    }
}

/// Criteria that the schema takes and no picture can be held to.
pub(super) fn check(source: &Source, path: &[&str], criteria: &Criteria, gathered: &mut Gathered) {
    if let Err(message) = criteria.check() {
        let (message, fix) = message.split_once(": ").unwrap_or((&message, ""));
        gathered.push(source.error(ErrorCode::InvalidManifest, path, format!("cannot {message}"), fix));
    }
}

/// The same of a table, and rows for no tier.
pub(super) fn check_table(source: &Source, path: &[&str], table: &CriteriaTable, gathered: &mut Gathered) {
    check(source, path, &table.all, gathered);
    for (key, row) in &table.rows {
        let path: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
        if route_of(key).is_none() {
            let message = "criteria for no tier or intent that there is";
            gathered.push(source.error(ErrorCode::InvalidManifest, &path, message, ROW));
        }
        check(source, &path, row, gathered);
    }
}

/// What pictures on a disk are held to: a file with the keys of `[criteria]`, or a manifest, whose criteria are taken.
#[derive(Debug, Clone, Default)]
pub struct PolicyFile {
    table: CriteriaTable,
    templates: BTreeMap<String, Criteria>,
    /// Margin that words keep from the edge, where a manifest names one.
    pub safe_area: Option<f64>,
    /// Brand colours of a manifest, for pictures that do not say theirs.
    pub brand: Vec<Rgb>,
}

impl PolicyFile {
    /// Reads a policy. `label` is how errors call the file.
    ///
    /// # Errors
    /// Everything that is wrong, as [`Manifest::parse`] has it.
    pub fn parse(label: &str, bytes: &[u8]) -> Result<Self, ManifestErrors> {
        let text = text_of(label, bytes, limits::MANIFEST_BYTES_MAX)?;
        let (tree, mistakes) = toml::de::DeTable::parse_recoverable(text);
        let (own, manifest) = (schema_of::<CriteriaTable>(), schema_of::<Body>());
        let knows = |schema: &serde_json::Value, key: &str| schema["properties"].get(key).is_some();
        // Rows of a policy are named like no table of a manifest.
        if tree.get_ref().keys().any(|key| knows(&manifest, key.get_ref()) && !knows(&own, key.get_ref())) {
            let Body { criteria, templates, output, brand, .. } = Manifest::parse(label, bytes)?.body;
            let templates = templates.into_iter().map(|(name, template)| (name, template.criteria)).collect();
            return Ok(Self { table: criteria, templates, safe_area: output.safe_area, brand });
        }
        if !mistakes.is_empty() {
            return Err(syntax_errors(label, text, &mistakes));
        }
        let source = Source::new(label, text);
        shape::check(&own, label, text, tree.get_ref()).or(())?;
        let table: CriteriaTable = serde::Deserialize::deserialize(toml::de::Deserializer::from(tree))
            .map_err(|err| unreadable(label, text, &err))?;
        let mut gathered = Gathered::default();
        check_table(&source, &[], &table, &mut gathered);
        gathered.or(Self { table, ..Self::default() })
    }

    /// What a picture is held to; the rows count where it says for what it was made.
    pub fn criteria(&self, recipe: Option<&Recipe>) -> Criteria {
        let Some(recipe) = recipe else { return self.table.all.clone() };
        let of_template = recipe.template.as_ref().and_then(|template| self.templates.get(&template.name));
        let criteria = self.table.of(recipe.tier, recipe.intent);
        of_template.map_or(criteria.clone(), |over| criteria.overlaid(over))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Extent;

    #[track_caller]
    fn policy(text: &str) -> PolicyFile {
        PolicyFile::parse("policy.toml", text.as_bytes()).unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn a_policy_has_the_keys_of_the_table_or_is_a_manifest() {
        let recipe = Recipe { tier: Tier::Preview, ..Recipe::from_prompt("a", Extent { width: 64, height: 64 }) };
        let plain = policy("presence = 0.9\n[preview]\nlegibility = 0.2\n");
        assert_eq!(plain.criteria(None), Criteria { presence: Some(0.9), ..Criteria::default() });
        assert_eq!(plain.criteria(Some(&recipe)).legibility, Some(0.2));
        let manifest = policy(
            "brand = ['#0b5fff']\n[output]\nsafe_area = 0.1\n[criteria]\npresence = 0.9\n\
             [templates.card]\nprompt = 'a'\ncriteria = { presence = 0.7 }\n",
        );
        assert_eq!(manifest.criteria(Some(&recipe)).presence, Some(0.9));
        assert_eq!((manifest.safe_area, manifest.brand.len()), (Some(0.1), 1));
        let template = Some(crate::recipe::TemplateRef { name: "card".to_owned(), version: 1 });
        assert_eq!(manifest.criteria(Some(&Recipe { template, ..recipe })).presence, Some(0.7));
        assert_eq!(policy("").criteria(None), Criteria::default());
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let check = |text: &str, parts: &[&str]| {
            let errors = PolicyFile::parse("policy.toml", text.as_bytes()).expect_err("a mistake").to_string();
            for part in parts {
                assert!(errors.contains(part), "{part:?} in {errors}");
            }
        };
        check("presense = 1\n", &["policy.toml:1:1: presense: no such key", "did you mean \"presence\"?"]);
        check("presence = 'all'\n", &["presence: expected number, found string"]);
        check("[produktion]\npresence = 1\n", &["produktion: criteria for no tier", "\"production.typography\""]);
        check("[criteria]\npresense = 1\n", &["policy.toml:2:1: criteria.presense: no such key"]);
        check("presence = \n", &["policy.toml:1:"]);
    }
}
