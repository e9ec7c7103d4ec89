//! From a request of the channel to a job: a recipe in a few fields, or a whole one that nobody has checked.

use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::image::Extent;
use thumbforge_core::job::{AssetRef, JobSpec};
use thumbforge_core::model::{Catalogue, ModelId};
use thumbforge_core::recipe::{Recipe, Settings};
use thumbforge_core::terms::Terms;
use thumbforge_core::text_layer::{TextLayer, TextMode, TextStyle};
use thumbforge_core::wire::message::{Brief, RecipeForm, Request};

/// Locale of words that come without one.
const LOCALE_DEFAULT: &str = "en";

/// A request as a job of its project.
///
/// # Errors
/// `invalid_request` or `unknown_model`. What the door itself checks of every job is left to it.
pub(super) fn spec(catalogue: &Catalogue, project: &str, request: &Request<'_>) -> Result<JobSpec, Failure> {
    let terms = terms(request.terms)?;
    let recipe = match &request.recipe {
        RecipeForm::Brief(brief) => short(catalogue, brief, request.locale)?,
        RecipeForm::Json(json) => whole(catalogue, json, &terms)?,
    };
    Ok(JobSpec {
        terms,
        asset: AssetRef { name: request.asset.to_owned(), locale: request.locale.to_owned() },
        priority: request.priority,
        deadline_ms: request.deadline_ms,
        placeholder: request.placeholder,
        lossy: request.lossy,
        gate: request.gate,
        safe_inset: request.safe_inset,
        read_back: request.read_back,
        ..JobSpec::new(recipe, request.lane, project)
    })
}

/// What a client says of money and models. It can only narrow what the user's settings allow: budgets are one more each,
/// limits the lower of both, and rows name no address and no key.
fn terms(json: &[u8]) -> Result<Terms, Failure> {
    if json.is_empty() {
        return Ok(Terms::default());
    }
    let terms: Terms =
        serde_json::from_slice(json).map_err(|err| invalid(format!("read the terms of a job: {err}")))?;
    terms.check().map_err(invalid)?;
    Ok(terms)
}

fn whole(catalogue: &Catalogue, json: &[u8], terms: &Terms) -> Result<Recipe, Failure> {
    let mut recipe: Recipe = serde_json::from_slice(json).map_err(|err| invalid(format!("read the recipe: {err}")))?;
    if let Some(named) = recipe.model.take() {
        let is_own = terms.rows.iter().any(|row| row.id == named);
        recipe.model = Some(if is_own { named } else { resolve(catalogue, named.as_str())? });
    }
    Ok(recipe)
}

fn short(catalogue: &Catalogue, brief: &Brief<'_>, locale: &str) -> Result<Recipe, Failure> {
    let (width, height) = brief.size;
    let size = Extent::new(width.into(), height.into()).map_err(|err| invalid(err.to_string()))?;
    let model = match brief.model.trim() {
        "" | "auto" => None,
        name => Some(resolve(catalogue, name)?),
    };
    let words = (!brief.text.is_empty()).then(|| TextLayer {
        name: "text".to_owned(),
        text: brief.text.to_owned(),
        locale: if locale.is_empty() { LOCALE_DEFAULT } else { locale }.to_owned(),
        mode: TextMode::default(),
        style: TextStyle::default(),
    });
    Ok(Recipe {
        model,
        negative: brief.negative.to_owned(),
        tier: brief.tier,
        seed: brief.seed,
        settings: Settings { steps: brief.steps, guidance: brief.guidance, ..Settings::default() },
        text: words.into_iter().collect(),
        ..Recipe::from_prompt(brief.prompt, size)
    })
}

fn resolve(catalogue: &Catalogue, name: &str) -> Result<ModelId, Failure> {
    let row = catalogue.resolve(name);
    row.map(|row| row.id.clone()).map_err(|err| Failure::new(ErrorCode::UnknownModel, format!("failed to {err}")))
}

fn invalid(what: String) -> Failure {
    Failure::new(ErrorCode::InvalidRequest, format!("failed to {what}"))
}

#[cfg(test)]
mod tests {
    use thumbforge_core::job::{Gate, Lane};
    use thumbforge_core::wire::message::Deliver;

    use super::*;

    /// What the door makes of a recipe and its terms: the model, the budgets' count and the build, or what it says.
    fn asked(recipe: &str, terms: &str) -> Result<(String, usize, String), Failure> {
        let request = Request {
            asset: "",
            locale: "",
            lane: Lane::Batch,
            priority: 0,
            deadline_ms: None,
            placeholder: false,
            lossy: false,
            gate: Gate::Report,
            read_back: false,
            safe_inset: None,
            deliver: Deliver::Nothing,
            recipe: RecipeForm::Json(recipe.as_bytes()),
            terms: terms.as_bytes(),
        };
        let spec = spec(&Catalogue::built_in(), "shop", &request)?;
        let model = spec.recipe.model.map(|model| model.to_string()).unwrap_or_default();
        Ok((model, spec.terms.budgets.len(), spec.terms.batch))
    }

    fn recipe(model: &str) -> String {
        format!(
            r#"{{"prompt":"p","model":{model:?},"intent":"photo","tier":"production","size":{{"width":64,"height":64}}}}"#
        )
    }

    #[test]
    fn terms_come_with_the_request() {
        let check = |model: &str, terms: &str, expected: (&str, usize, &str)| {
            let (model, budgets, batch) = asked(&recipe(model), terms).unwrap();
            assert_eq!((model.as_str(), budgets, batch.as_str()), expected, "{terms}");
        };
        check("imagen4", "", ("imagen-4", 0, ""));
        let budget = r#"{"batch":"b-1","budgets":[{"scope":{"batch":"b-1"},"period":"ever","micros":1000000}]}"#;
        check("imagen4", budget, ("imagen-4", 1, "b-1"));
        let row = r#"{"rows":[{"id":"ours","name":"Ours","family":"hosted","provider":"openai"}]}"#;
        check("ours", row, ("ours", 0, ""));
    }

    #[test]
    fn terms_that_are_none_are_refused_before_anything_is_kept() {
        let check = |model: &str, terms: &str, code: ErrorCode, part: &str| {
            let failure = asked(&recipe(model), terms).expect_err(terms);
            assert!(failure.code == code && failure.message.contains(part), "{failure:?}");
        };
        check("ours", "", ErrorCode::UnknownModel, "ours");
        check("imagen4", "{", ErrorCode::InvalidRequest, "read the terms of a job");
        check("imagen4", r#"{"pin":"yes"}"#, ErrorCode::InvalidRequest, "read the terms of a job");
        let many = format!(r#"{{"models":[{}]}}"#, vec!["\"m\""; 17].join(","));
        check("imagen4", &many, ErrorCode::InvalidRequest, "failed to take 17 models of a job");
        let row = r#"{"rows":[{"id":"ours","name":"Ours","family":"hosted"}]}"#;
        check("ours", row, ErrorCode::InvalidRequest, "name the `provider`");
    }
}
