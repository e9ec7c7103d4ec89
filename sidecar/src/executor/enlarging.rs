//! From an accepted draft to its final: who enlarges it, and what follows when that went wrong.

use thumbforge_core::error::{ErrorCode, Failure, chain};
use thumbforge_core::id::ContentHash;
use thumbforge_core::image::ImageBuf;
use thumbforge_core::job::Route;
use thumbforge_core::model::ModelId;
use thumbforge_core::money::Micros;
use thumbforge_core::recipe::Enlarge;
use thumbforge_core::repair::{Enlarger, Mended, Step};
use thumbforge_core::verdict::Verdict;

use super::case::Case;
use super::{MODEL_ENGINE, Tools};
use crate::journal::ledger::Art;
use crate::output::png;

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

impl Tools {
    /// How an accepted draft becomes its final.
    ///
    /// # Errors
    /// Why the model that was asked for cannot enlarge it, or the draft cannot be kept.
    pub(super) fn enlarge(
        &self,
        case: &Case,
        attempt: (u32, &Route),
        (draft, has_file, kept): (&ImageBuf, bool, Option<&Art>),
        verdict: Verdict,
    ) -> Result<Mended, Failure> {
        let route = attempt.1;
        let how = case.spec.recipe.draft.as_ref();
        let named = how.and_then(|draft| draft.model.clone());
        let model = match how.map(|draft| draft.enlarge) {
            None | Some(Enlarge::Lanczos) => None,
            Some(Enlarge::Auto | Enlarge::Model) if named.is_some() => named,
            Some(Enlarge::Auto) => (route.engine == MODEL_ENGINE).then(|| route.model.clone()),
            Some(Enlarge::Model) => Some(route.model.clone()),
        };
        let by = match model {
            None => None,
            Some(model) => {
                let image = match kept.filter(|_| has_file) {
                    Some(art) => art.blob,
                    None => self.keep_draft(draft)?,
                };
                let by = Enlarger { model, image };
                self.check_enlarger(case, &by)?;
                Some(by)
            }
        };
        Ok(step(case, attempt, kept, verdict, by))
    }

    /// Before the step is written down: a model that cannot do it fails the job with its reason, and nothing is bought.
    fn check_enlarger(&self, case: &Case, by: &Enlarger) -> Result<(), Failure> {
        let asked = case.after(&Step::Enlarge { by: Some(by.clone()) });
        let routes = self.routes(&asked, &self.shelf.now());
        let is = |model: &ModelId| *model == by.model;
        let found =
            routes.map(|routes| routes.iter().any(|route| is(&route.model) || route.replaces.as_ref().is_some_and(is)));
        let hint = "name another with `draft.model`, or resample with `draft.enlarge = \"lanczos\"`";
        match found {
            Ok(true) => Ok(()),
            Ok(false) => {
                let message = format!("failed to enlarge the draft by {}: it cannot; {hint}", by.model);
                Err(Failure::new(ErrorCode::ModelUnavailable, message))
            }
            Err(failure) => {
                let why = failure.message.strip_prefix("failed to ").unwrap_or(&failure.message).to_owned();
                Err(Failure { message: format!("failed to enlarge the draft: {why}; {hint}"), ..failure })
            }
        }
    }

    /// A draft that lies nowhere as a file of its size.
    fn keep_draft(&self, draft: &ImageBuf) -> Result<ContentHash, Failure> {
        let bytes = png::encode_with_texts(draft, &[])
            .map_err(|err| Failure::new(ErrorCode::Internal, format!("failed to {}", chain(&err))))?;
        let (blob, _pin) = self.store.put(&bytes).map_err(|err| err.failure())?;
        Ok(blob)
    }
}
