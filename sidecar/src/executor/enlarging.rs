//! From an accepted draft to its final: who enlarges it, and what follows when that went wrong.

use thumbforge_core::error::{ErrorCode, Failure, chain};
use thumbforge_core::id::{ContentHash, JobId};
use thumbforge_core::image::ImageBuf;
use thumbforge_core::job::Route;
use thumbforge_core::model::{Family, ModelId};
use thumbforge_core::money::Micros;
use thumbforge_core::recipe::{Enlarge, Recipe};
use thumbforge_core::repair::{self, Enlarger, Mended, REPAIR_SETTING, Step};
use thumbforge_core::verdict::Verdict;

use super::case::Case;
use super::{MODEL_ENGINE, Tools, budgets};
use crate::engine::{Cancel, EngineError, Leave};
use crate::journal::ledger::{self, Art};
use crate::output::png;
use crate::output::provenance::{Credit, Provenance};
use crate::store::Pin;

/// How a draft goes on.
fn step(case: &Case, attempt: (u32, &Route), kept: Option<&Art>, verdict: Verdict, by: Option<Enlarger>) -> Mended {
    let (attempt, route) = attempt;
    debug_assert!(case.spec.recipe.draft.is_some(), "only drafts are enlarged");
    Mended {
        attempt,
        model: route.model.clone(),
        verdict,
        cost: kept.map_or(Micros::ZERO, |art| art.cost),
        latency_ms: kept.map_or(0, |art| art.latency_ms),
        step: Step::Enlarge { by },
    }
}

/// What follows when an enlarged picture is refused: the draft was accepted, so where a model spoilt it and nobody insists
/// on a model, it is resampled. A resampled picture that is refused is the end.
pub(super) fn after_refusal(
    case: &Case,
    by: Option<&Enlarger>,
    attempt: (u32, &Route),
    kept: Option<&Art>,
    (verdict, failure): (Verdict, Failure),
) -> Result<Mended, Failure> {
    let how = case.spec.recipe.draft.as_ref().map(|draft| draft.enlarge);
    match by {
        Some(_) if how == Some(Enlarge::Auto) => Ok(step(case, attempt, kept, verdict, None)),
        _ => Err(failure),
    }
}

/// A draft that was accepted.
pub(super) struct Accepted<'a> {
    pub(super) job: JobId,
    pub(super) attempt: u32,
    pub(super) route: &'a Route,
    /// Its art, before words and post steps.
    pub(super) image: &'a ImageBuf,
    /// Whether the store has a file of just these pixels.
    pub(super) has_file: bool,
    pub(super) kept: Option<&'a Art>,
    pub(super) credits: &'a [Credit],
    pub(super) verdict: Verdict,
}

impl Tools {
    /// How an accepted draft becomes its final.
    ///
    /// # Errors
    /// Why the model that was asked for cannot enlarge it, or the draft cannot be kept.
    pub(super) fn enlarge(&self, case: &Case, draft: Accepted<'_>, stop: &Cancel) -> Result<Mended, Failure> {
        let route = draft.route;
        let how = case.spec.recipe.draft.as_ref();
        let named = how.and_then(|draft| draft.model.clone());
        let is_named = named.is_some();
        let model = match how.map(|draft| draft.enlarge) {
            None | Some(Enlarge::Lanczos) => None,
            Some(Enlarge::Auto | Enlarge::Model) if is_named => named,
            Some(Enlarge::Auto) => (route.engine == MODEL_ENGINE).then(|| route.model.clone()),
            Some(Enlarge::Model) => Some(route.model.clone()),
        };
        let by = match model {
            None => None,
            Some(model) => {
                let (image, pin) = match draft.kept.filter(|_| draft.has_file) {
                    Some(art) => (art.blob, self.store.pin(art.blob)),
                    None => self.keep_draft(case, &draft)?,
                };
                self.pins.lock().insert(draft.job, vec![pin]);
                let by = Enlarger { model, image };
                let is_free = how.is_some_and(|draft| draft.enlarge == Enlarge::Auto);
                match self.check_enlarger(draft.job, case, &by, stop) {
                    Ok(Room::Enough) => Some(by),
                    // `auto` says that resampling will do where a model has no room or no money.
                    Ok(Room::None(_)) if is_free => None,
                    Ok(Room::None(failure)) => return Err(failure),
                    Err(_) if is_free && !is_named => None,
                    Err(failure) => return Err(failure),
                }
            }
        };
        Ok(step(case, (draft.attempt, route), draft.kept, draft.verdict, by))
    }

    /// Before the step is written down: whether a model can do it, and has room or money for it.
    fn check_enlarger(&self, job: JobId, case: &Case, by: &Enlarger, stop: &Cancel) -> Result<Room, Failure> {
        let hint = "name another with `draft.model`, or resample with `draft.enlarge = \"lanczos\"`";
        let explained = |failure: Failure| {
            let why = failure.message.strip_prefix("failed to ").unwrap_or(&failure.message).to_owned();
            Failure { message: format!("failed to enlarge the draft: {why}; {hint}"), ..failure }
        };
        let asked = case.after(&Step::Enlarge { by: Some(by.clone()) });
        let market = self.shelf.now();
        let routes = self.routes(&asked, &market).map_err(explained)?;
        let is = |model: &ModelId| *model == by.model;
        let Some(route) = routes.iter().find(|route| is(&route.model) || route.replaces.as_ref().is_some_and(is))
        else {
            let message = format!("failed to enlarge the draft by {}: it cannot; {hint}", by.model);
            return Err(Failure::new(ErrorCode::ModelUnavailable, message));
        };
        let Some(purchase) = &route.purchase else {
            return match self.admitted(&asked.spec, route, Leave::Read(stop)) {
                Ok(_) => Ok(Room::Enough),
                Err(err @ EngineError::OutOfMemory { .. }) => Ok(Room::None(explained(err.failure()))),
                Err(err) => Err(explained(err.failure())),
            };
        };
        let (art, budgets) = (repair::art_of(&route.realisation, &asked.spec.recipe), budgets(&asked.spec, &market));
        let now_ms = self.clock.now_ms();
        let affordable = self.journal.read(|connection| {
            Ok(ledger::find_art(connection, art)?.is_some()
                || ledger::has_room(connection, job, purchase, &budgets, now_ms)?)
        });
        if affordable.map_err(|err| err.failure())? {
            return Ok(Room::Enough);
        }
        let message =
            format!("failed to enlarge the draft by {}: no budget has {} left; {hint}", by.model, purchase.reserve);
        Ok(Room::None(Failure::new(ErrorCode::OverBudget, message)))
    }

    /// A draft that lies nowhere as a file of its size, with the works of others that it shows.
    fn keep_draft(&self, case: &Case, draft: &Accepted<'_>) -> Result<(ContentHash, Pin), Failure> {
        let mut realisation = draft.route.realisation.clone();
        realisation.settings.remove(REPAIR_SETTING);
        // Other words over the same art are no other file: what enlarges it is asked once for all.
        let recipe = Recipe { text: Vec::new(), ..case.asked.spec.recipe.clone() };
        let provenance = Provenance::new(&recipe, realisation, draft.route.model.clone(), None, draft.credits.to_vec());
        let bytes = png::encode(draft.image, &provenance)
            .map_err(|err| Failure::new(ErrorCode::Internal, format!("failed to {}", chain(&err))))?;
        self.store.put(&bytes).map_err(|err| err.failure())
    }

    /// What a picture that a model enlarged owes to its draft: the works that stand in it, and the model that drew it.
    pub(super) fn credits_of_draft(&self, case: &Case, route: &Route) -> Vec<Credit> {
        let Some(Some(by)) = case.enlarged() else { return Vec::new() };
        let file = self.store.get(by.image);
        let said = file.and_then(|file| png::read_provenance(&file).ok().flatten());
        let mut credits = said.map(|said| said.credits).unwrap_or_default();
        let drew = case.repairs.iter().rev().find(|mended| matches!(mended.step, Step::Enlarge { by: Some(_) }));
        if let Some(model) = drew.map(|mended| &mended.model).filter(|model| **model != route.model) {
            let market = self.shelf.now();
            let own = case.spec.terms.rows.iter().find(|row| row.id == *model);
            if let Some(row) = own.or_else(|| market.catalogue.get(model)).filter(|row| row.family != Family::Builtin) {
                credits.push(Credit {
                    work: "the draft of this picture".to_owned(),
                    author: row.name.clone(),
                    licence: row.licence().to_owned(),
                    source: model.to_string(),
                });
            }
        }
        credits
    }
}

/// Whether a model that can enlarge a draft has room, or money, for it.
enum Room {
    Enough,
    None(Failure),
}
