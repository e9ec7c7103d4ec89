//! From a request of the channel to a job: a recipe in a few fields, or a whole one that nobody has checked.

use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::image::Extent;
use thumbforge_core::job::{AssetRef, JobSpec};
use thumbforge_core::model::{Catalogue, ModelId};
use thumbforge_core::recipe::{Recipe, Settings};
use thumbforge_core::terms::Terms;
use thumbforge_core::text_layer::{TextLayer, TextStyle};
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
