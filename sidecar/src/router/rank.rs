//! The ranking that `route = "auto"` makes, for those who ask why it came out as it did.

use thumbforge_core::day::Day;
use thumbforge_core::job::JobSpec;
use thumbforge_core::model::{Catalogue, Family, ModelRow};
use thumbforge_core::money::Micros;
use thumbforge_core::routing::{Ask, Learned, Ranked, auto};

/// Every model of `catalogue` for the job, best first, each with its reason. Accounts have no part in it: a team's machines
/// rank alike, and each then takes the first that it has.
pub fn rank<'a>(
    spec: &JobSpec,
    catalogue: &'a Catalogue,
    learned: &Learned,
    pass_rate: f64,
    today: Day,
) -> Vec<Ranked<'a>> {
    let (recipe, terms) = (&spec.recipe, &spec.terms);
    let ask = Ask { intent: recipe.intent, pass_rate, max_latency_ms: terms.max_latency_ms, today };
    let price = |row: &ModelRow| {
        if !terms.licences.allows(row.licence()) {
            return Err(format!("the policy does not allow its licence, {}", row.licence()));
        }
        let denied = |provider: &&String| terms.providers.as_ref().is_some_and(|allowed| !allowed.contains(*provider));
        if let Some(provider) = row.provider.as_ref().filter(denied) {
            return Err(format!("the policy does not allow the provider {provider}"));
        }
        let nothing = (row.family == Family::Local).then_some(Micros::ZERO);
        Ok(nothing.or_else(|| row.likely_price(recipe.size, recipe.settings.quality.as_deref())))
    };
    auto(catalogue, learned, &ask, &price)
}
