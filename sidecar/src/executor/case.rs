//! A job as it stands: what was asked for, what was repaired so far, and what routers and engines are asked now.

use std::borrow::Cow;

use thumbforge_core::id::PlannedKey;
use thumbforge_core::job::{Gate, JobSpec, Render, Route};
use thumbforge_core::model::ModelId;
use thumbforge_core::money::Micros;
use thumbforge_core::recipe::{Enlarge, Realisation};
use thumbforge_core::repair::{self, Enlarger, Means, Mended, REPAIR_SETTING, Repair, Step};
use thumbforge_core::verdict::{Finding, FindingCode, Severity};

use super::MODEL_ENGINE;
use crate::journal::ways::Way;

/// A job as it stands.
pub(super) struct Case {
    /// What was asked for; it never changes.
    pub(super) spec: JobSpec,
    /// Its key.
    pub(super) planned: PlannedKey,
    /// Pictures that were refused, and what was done about each.
    pub(super) repairs: Vec<Mended>,
    /// The steps that its next picture comes from. One more than the repairs where words that nobody here can read are not
    /// asked of a model.
    pub(super) steps: Vec<Step>,
    /// What routers and engines are asked.
    pub(super) asked: Asked,
}

/// What routers and engines are asked for a job.
pub(super) struct Asked {
    /// With the effective recipe.
    pub(super) spec: JobSpec,
    /// Whether the seed is ours and not a person's: a model that takes none is no worse for it.
    pub(super) seed_is_ours: bool,
}

impl Asked {
    fn of(spec: &JobSpec, steps: &[Step]) -> Self {
        let recipe = repair::effective(&spec.recipe, steps).into_owned();
        let mut asked = JobSpec { recipe, ..spec.clone() };
        if asked.recipe.model != spec.recipe.model
            && let Some(model) = &asked.recipe.model
        {
            // What comes before it was tried and found wanting, and the job's own files are of another model.
            asked.terms.fallback = behind(&ladder(spec), model).to_vec();
            asked.terms.weights = None;
        }
        // A draft was drawn with the seed that was asked for; what enlarges it is given that where it takes one.
        let enlarges = matches!(steps.last(), Some(Step::Enlarge { by: Some(_) }));
        let seed_is_ours = spec.recipe.seed.is_none() || enlarges;
        if seed_is_ours && asked.recipe.seed.is_some() {
            asked.terms.allow_lossy.push("seed".to_owned());
        }
        Self { spec: asked, seed_is_ours }
    }
}

impl Case {
    /// `in_true_type` says that words which a model may draw are set in true type, whatever was repaired.
    pub(super) fn new(spec: JobSpec, planned: PlannedKey, repairs: Vec<Mended>, in_true_type: bool) -> Self {
        let mut steps: Vec<Step> = repairs.iter().map(|mended| mended.step.clone()).collect();
        if in_true_type && !steps.contains(&Step::Composite) {
            // A region that was drawn anew has a picture with words around it, so nothing of that stays.
            let drawn_over = steps.iter().any(|step| matches!(step, Step::Inpaint { .. }));
            steps.insert(if drawn_over { steps.len() } else { 0 }, Step::Composite);
        }
        let asked = Asked::of(&spec, &steps);
        Self { spec, planned, repairs, steps, asked }
    }

    /// Whether a way that somebody took is one that this job might take: its first picture is drawn by `first`, and every
    /// step is a means that is allowed here, by a model that is named here.
    pub(super) fn may_go(&self, way: &Way, first: &Route) -> bool {
        let is = |model: &ModelId| first.model == *model || first.replaces.as_ref() == Some(model);
        let begins = way.taken.first().is_some_and(|(model, _)| is(model));
        let policy = self.spec.terms.repair.as_ref().filter(|policy| policy.is_allowed());
        let allowed = |means: Means| {
            self.spec.gate == Gate::Enforce && policy.is_some_and(|policy| policy.means.contains(&means))
        };
        let may = |step: &Step| match step {
            Step::Escalate { model } => allowed(Means::Escalate) && ladder(&self.spec).contains(model),
            Step::Enlarge { by } => match &self.spec.recipe.draft {
                Some(draft) => by.is_none() || draft.enlarge != Enlarge::Lanczos,
                None => false,
            },
            step => step.means().is_some_and(allowed),
        };
        begins && way.taken.iter().all(|(_, step)| may(step)) && !self.may_do_better(way, first)
    }

    /// Whether a draft was resampled because no model had room or money for it, which one may have by now.
    fn may_do_better(&self, way: &Way, first: &Route) -> bool {
        let Some(draft) = self.spec.recipe.draft.as_ref().filter(|draft| draft.enlarge == Enlarge::Auto) else {
            return false;
        };
        let by_model = |(_, step): &(ModelId, Step)| matches!(step, Step::Enlarge { by: Some(_) });
        (draft.model.is_some() || first.engine == MODEL_ENGINE) && !way.taken.iter().any(by_model)
    }

    /// Whether a job like this may end with a picture that is not its first.
    pub(super) fn may_take_steps(&self) -> bool {
        let repairs = self.spec.terms.repair.as_ref().is_some_and(Repair::is_allowed);
        self.spec.recipe.draft.is_some() || (repairs && self.spec.gate == Gate::Enforce)
    }

    /// What is asked after one more step.
    pub(super) fn after(&self, step: &Step) -> Asked {
        let steps: Vec<Step> = self.steps.iter().chain([step]).cloned().collect();
        Asked::of(&self.spec, &steps)
    }

    /// Whether the picture that is asked now is a draft, which its final is yet to be made from.
    pub(super) fn is_draft(&self) -> bool {
        self.spec.recipe.draft.is_some() && self.enlarged().is_none()
    }

    /// What enlarged the draft: a model, or none.
    pub(super) fn enlarged(&self) -> Option<Option<&Enlarger>> {
        self.steps.iter().rev().find_map(|step| match step {
            Step::Enlarge { by } => Some(by.as_ref()),
            _ => None,
        })
    }

    /// What the picture that is asked now is judged by. A draft is judged by its art and by the words in it: those that are
    /// set in true type are set at the size of the final.
    pub(super) fn judged(&self) -> Cow<'_, JobSpec> {
        let draft = self.spec.recipe.as_draft().filter(|_| self.is_draft());
        let Some(mut recipe) = draft else { return Cow::Borrowed(&self.spec) };
        if recipe.text.iter().any(|layer| layer.mode.is_composite()) {
            // Words and plates may be what wears the brand's colours, and they come later.
            recipe.brand.clear();
        }
        recipe.text.retain(|layer| !layer.mode.is_composite() && self.draws_words());
        Cow::Owned(JobSpec { recipe, ..self.spec.clone() })
    }

    /// Whether a model draws words of the picture as it is asked now.
    pub(super) fn draws_words(&self) -> bool {
        self.spec.recipe.has_drawn_words() && !self.steps.contains(&Step::Composite)
    }

    /// Models that stand behind `model`, best first.
    pub(super) fn behind(&self, model: &ModelId) -> Vec<ModelId> {
        behind(&ladder(&self.spec), model).to_vec()
    }

    /// Writes the steps into what draws a picture, so that its key tells them.
    pub(super) fn mark(&self, realisation: &mut Realisation) {
        let words = repair::words(&self.steps);
        if !words.is_empty() {
            realisation.settings.insert(REPAIR_SETTING.to_owned(), words);
        }
    }

    /// Whether a finished picture may be the answer: it was judged by what this job holds it to, and passed where it must.
    /// Words that nobody could read are read again: somebody may be able to now.
    pub(super) fn takes(&self, render: &Render) -> bool {
        let passed = self.spec.gate == Gate::Report || (render.verdict.passed && !is_unread(render));
        passed && render.held_to == held_to(&self.spec)
    }

    /// Whether a finished picture is the answer where its art is gone: nothing fails the job, so nothing is drawn or bought
    /// only to be judged again.
    pub(super) fn makes_do_with(&self, render: &Render) -> bool {
        may_answer(&self.spec, render)
    }

    /// Whether the next picture may come along `route`: what goes on from a picture goes on with its model, and a draft is
    /// enlarged by what was chosen for it.
    pub(super) fn goes_along(&self, route: &Route) -> bool {
        let is = |model: &ModelId| route.model == *model || route.replaces.as_ref() == Some(model);
        let Some(last) = self.repairs.last() else { return true };
        match &last.step {
            Step::Inpaint { .. } | Step::Guidance { .. } => is(&last.model),
            Step::Enlarge { by: Some(by) } => is(&by.model),
            _ => true,
        }
    }

    /// Whether a purchase fits into what repairs may cost together with the pictures before it.
    pub(super) fn affords(&self, reserve: Micros) -> bool {
        let most = self.spec.terms.repair.as_ref().and_then(|policy| policy.cost_max);
        let is_repair = self.repairs.last().is_some_and(|last| last.step.means().is_some());
        let spent: Micros = self.repairs.iter().map(|mended| mended.cost).sum();
        !is_repair || most.is_none_or(|most| spent + reserve <= most)
    }
}

/// Whether somebody wanted words read that nobody could. What is only worth knowing is no reason to look again.
fn is_unread(render: &Render) -> bool {
    let unread = |finding: &Finding| finding.code == FindingCode::TextUnverified && finding.severity > Severity::Info;
    render.verdict.findings.iter().any(unread)
}

/// Whether a finished picture may answer a job without being judged again.
pub(crate) fn may_answer(spec: &JobSpec, render: &Render) -> bool {
    spec.gate == Gate::Report || (render.verdict.passed && render.held_to == held_to(spec))
}

/// What a job's pictures are judged by, as a short hash; empty for the checks' own figures. How bad unverified words are, and
/// whether art is read under words in true type, depends on the gate.
pub(super) fn held_to(spec: &JobSpec) -> String {
    let lenient = !spec.recipe.text.is_empty() && spec.gate == Gate::Report;
    if spec.terms.criteria.is_default() && !spec.read_back && spec.safe_inset.is_none() && !lenient {
        return String::new();
    }
    let said = serde_json::to_string(&(&spec.terms.criteria, spec.read_back, spec.safe_inset, lenient));
    blake3::hash(said.unwrap_or_default().as_bytes()).to_hex()[..16].to_owned()
}

/// The models that somebody named for a job, best first; none is asked that nobody named.
fn ladder(spec: &JobSpec) -> Vec<ModelId> {
    let mut ladder: Vec<ModelId> = match &spec.recipe.model {
        Some(named) => vec![named.clone()],
        None => spec.terms.models.clone(),
    };
    if !ladder.is_empty() {
        ladder.extend(spec.terms.fallback.iter().cloned());
    }
    let mut seen = std::collections::BTreeSet::new();
    ladder.retain(|model| seen.insert(model.clone()));
    ladder
}

fn behind<'a>(ladder: &'a [ModelId], model: &ModelId) -> &'a [ModelId] {
    let at = ladder.iter().position(|named| named == model);
    at.map_or(&[][..], |at| &ladder[at + 1..])
}

#[cfg(test)]
mod tests;
