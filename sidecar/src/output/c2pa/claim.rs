//! What a manifest says, as the JSON that C2PA's own tools take too. Pure: the same picture gives the same claim.

use serde_json::{Value, json};

use super::super::origin::{self, Ground, SourceType};
use super::super::provenance::Provenance;

/// The label of our own assertion; by the standard it begins with a domain's name, backwards.
const LABEL: &str = "com.thumbforge.provenance";
/// How actions name the picture that was opened.
pub(super) const SOURCE_LABEL: &str = "source";

/// What is claimed of a picture.
pub struct Claim<'a> {
    /// What the picture is called, as in "sword.en.png".
    pub title: &'a str,
    /// How it came to be.
    pub provenance: &'a Provenance,
    /// Its term, where there is one.
    pub source_type: Option<SourceType>,
    /// Who sells the model, where it is bought.
    pub provider: Option<&'a str>,
    /// The licence or terms of the model, as the catalogue has it.
    pub model_licence: Option<&'a str>,
    /// The team's own picture that it was made from.
    pub source: Option<Source<'a>>,
}

/// The team's own picture that another was made from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// Its file's name.
    pub title: &'a str,
    /// Its file; what it says of itself comes along, its pixels do not.
    pub file: &'a [u8],
}

impl Claim<'_> {
    /// The manifest's definition.
    pub(super) fn definition(&self) -> Value {
        let program = json!({ "name": "Thumbforge", "version": env!("CARGO_PKG_VERSION") });
        json!({
            "claim_generator_info": [program],
            "title": self.title,
            "format": "image/png",
            "assertions": [
                { "label": "c2pa.actions.v2", "data": { "actions": self.actions(&program) } },
                { "label": LABEL, "data": self.assertion() },
            ],
        })
    }

    /// What was done, the first of it by the standard `c2pa.created` or `c2pa.opened`.
    fn actions(&self, program: &Value) -> Vec<Value> {
        let Provenance { realisation, recipe, .. } = self.provenance;
        let uri = self.source_type.map(SourceType::uri);
        let act = |action: &str, words: String, with_type: bool| {
            let mut act = json!({ "action": action, "softwareAgent": program, "description": words });
            if let (Some(uri), true) = (&uri, with_type) {
                act["digitalSourceType"] = json!(uri);
            }
            act
        };
        let drawn_by = format!("{} with {} {}", self.provenance.model, realisation.engine, realisation.engine_version);
        let words = recipe.text.len();
        let set = || format!("{words} {} set in true type", if words == 1 { "text layer" } else { "text layers" });
        let mut actions = Vec::new();
        let ground = Ground::of(&realisation.engine, recipe);
        if self.source.is_some() {
            let mut opened = act("c2pa.opened", "the picture that it was made from".to_owned(), false);
            opened["parameters"] = json!({ "ingredientIds": [SOURCE_LABEL] });
            actions.push(opened);
            if ground == Ground::ModelOverPicture {
                actions.push(act("c2pa.edited", format!("changed by {drawn_by}"), true));
            }
        } else {
            actions.push(act("c2pa.created", format!("drawn by {drawn_by}"), true));
        }
        if !recipe.post.is_empty() {
            actions.push(act("c2pa.edited", "mirrored, shaded or drained of colour".to_owned(), false));
        }
        if words > 0 && origin::has_set_words(self.provenance) {
            actions.push(act("c2pa.edited", set(), ground == Ground::OwnPicture));
        }
        actions
    }

    /// The facts by which the picture is found again, without prompts and words.
    fn assertion(&self) -> Value {
        let Provenance { realisation, .. } = self.provenance;
        let facts = [
            ("engine", json!(realisation.engine)),
            ("engine_version", json!(realisation.engine_version)),
            ("model", json!(self.provenance.model)),
            ("wire_model", json!(realisation.wire_model)),
            ("model_licence", json!(self.model_licence)),
            ("provider", json!(self.provider)),
            ("weights", json!(realisation.weights.map(|weights| weights.to_string()))),
            // Seeds reach 2⁵³; as text no reader rounds them.
            ("seed", json!(realisation.seed.to_string())),
            ("planned_key", json!(self.provenance.planned_key.to_string())),
            ("realised_key", json!(self.provenance.realised_key.to_string())),
            ("placeholder_for", json!(self.provenance.placeholder_for)),
            ("credits", json!(self.provenance.credits)),
        ];
        let is_said = |value: &Value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty());
        facts.into_iter().filter(|(_, value)| is_said(value)).map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
