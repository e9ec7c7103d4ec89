//! What is done about a picture that the checks refuse: the routes are asked, the policy decides.

use std::sync::LazyLock;

use thumbforge_core::error::Failure;
use thumbforge_core::id::{ContentHash, JobId};
use thumbforge_core::image::ImageBuf;
use thumbforge_core::job::Route;
use thumbforge_core::model::ModelId;
use thumbforge_core::money::Micros;
use thumbforge_core::recipe::PostStep;
use thumbforge_core::repair::{self, Decision, Guided, Means, Mended, Offer, Step, Trouble};
use thumbforge_core::sampling::Table;
use thumbforge_core::verdict::Verdict;

use super::case::{Asked, Case};
use super::{Tools, budgets};
use crate::journal::ledger;
use crate::output::png;
use crate::region;

/// The ranges of guidance; read once, since every refused picture comes through here.
static SAMPLING: LazyLock<Table> = LazyLock::new(Table::built_in);

/// Guidance that a picture is taken to be drawn with where nobody says: between SD3.5's cards (3.5 to 4.5) and the web UIs' 7.
const GUIDANCE_USUAL: f64 = 5.0;
/// How far a region may be left that is drawn anew, where the model can be told: nearly all the way, for other letters are
/// wanted, in the same light.
const STRENGTH: f64 = 0.9;

/// A picture that the checks refuse.
pub(super) struct Refused<'a> {
    pub(super) job: JobId,
    pub(super) attempt: u32,
    pub(super) case: &'a Case,
    /// Where it was drawn.
    pub(super) route: &'a Route,
    pub(super) art: RefusedArt,
    pub(super) verdict: Verdict,
    /// What of that decides what is done.
    pub(super) trouble: Option<Trouble>,
}

/// Its art, before post steps and words.
pub(super) struct RefusedArt {
    /// Its file in the store, where it has the recipe's size.
    pub(super) file: Option<ContentHash>,
    /// Its pixels, where the store has no such file.
    pub(super) image: Option<ImageBuf>,
    /// What it cost, whoever paid.
    pub(super) cost: Micros,
    /// How long it took, in milliseconds.
    pub(super) latency_ms: u64,
}

impl Tools {
    /// What is done about a refused picture.
    ///
    /// # Errors
    /// The failure that the job ends with, where nothing is: `failure`, and what was tried.
    pub(super) fn mend(&self, refused: &Refused<'_>, failure: Failure) -> Result<Mended, Failure> {
        let Refused { attempt, case, route, art, verdict, trouble, .. } = refused;
        let (Some(policy), Some(trouble)) = (&case.spec.terms.repair, *trouble) else { return Err(failure) };
        if !policy.is_allowed() {
            return Err(failure);
        }
        let decision = repair::next(policy, trouble, &drawn(refused), |means| self.offer(refused, means));
        match decision {
            Decision::Do(step) => Ok(Mended {
                attempt: *attempt,
                model: route.model.clone(),
                verdict: verdict.clone(),
                cost: art.cost,
                latency_ms: art.latency_ms,
                step,
            }),
            Decision::GiveUp(why) => Err(given_up(failure, case, &why)),
        }
    }

    /// How a means would be carried out, and for how much at most.
    fn offer(&self, refused: &Refused<'_>, means: Means) -> Option<Offer> {
        let case = refused.case;
        let seed = repair::seed(&case.spec.recipe, case.repairs.len() + 1);
        match means {
            Means::Reseed => self.priced(refused, Step::Reseed { seed }),
            Means::Guidance => self.priced(refused, Step::Guidance { guidance: self.guidance(refused)? }),
            Means::Escalate => {
                let now = refused.route.replaces.as_ref().unwrap_or(&refused.route.model);
                let better = case.behind(now).into_iter();
                better.map(|model| Step::Escalate { model }).find_map(|step| self.priced(refused, step))
            }
            Means::Composite if case.draws_words() && repair::may_composite(&case.spec.recipe) => {
                self.priced(refused, Step::Composite)
            }
            Means::Composite => None,
            Means::Inpaint => {
                let (image, mask) = self.region(refused)?;
                let step = |strength| Step::Inpaint { image, mask, seed, strength };
                self.priced(refused, step(Some(STRENGTH))).or_else(|| self.priced(refused, step(None)))
            }
        }
    }

    /// The step with its price, where a route can carry it out: one whose price is known and that every budget has room for.
    fn priced(&self, refused: &Refused<'_>, step: Step) -> Option<Offer> {
        let asked = refused.case.after(&step);
        let market = self.shelf.now();
        let first = self.routes(&asked, &market).ok()?.into_iter().next()?;
        let is = |model: &ModelId| first.model == *model || first.replaces.as_ref() == Some(model);
        let right = match &step {
            Step::Escalate { model } => is(model),
            // Another model would draw another picture under the words.
            Step::Inpaint { .. } | Step::Guidance { .. } => is(&refused.route.model),
            Step::Reseed { .. } | Step::Composite | Step::Enlarge { .. } => true,
        };
        if !right || first.placeholder_for != refused.route.placeholder_for {
            return None;
        }
        let Some(purchase) = &first.purchase else { return Some(Offer { step, most: Micros::ZERO }) };
        let art = repair::art_of(&first.realisation, &asked.spec.recipe);
        let budgets = budgets(&asked.spec, &market);
        let now_ms = self.clock.now_ms();
        // Art that is there costs nothing, and whoever decided before this job did not know that: the price counts as ever.
        let affordable = self.journal.read(|connection| {
            Ok(ledger::find_art(connection, art)?.is_some()
                || ledger::has_room(connection, refused.job, purchase, &budgets, now_ms)?)
        });
        affordable.ok()?.then_some(Offer { step, most: purchase.reserve })
    }

    /// The guidance to try next, where the model takes any.
    fn guidance(&self, refused: &Refused<'_>) -> Option<f64> {
        let Asked { spec, .. } = &refused.case.asked;
        let market = self.shelf.now();
        let own = spec.terms.rows.iter().find(|row| row.id == refused.route.model);
        let row = own.or_else(|| market.catalogue.get(&refused.route.model))?;
        let (least, most) = SAMPLING.guidance(row)?;
        let drawn = refused.route.realisation.settings.get("guidance").and_then(|scale| scale.parse().ok());
        let now = drawn.or(spec.recipe.settings.guidance).unwrap_or(GUIDANCE_USUAL).clamp(least, most);
        let done = refused.case.steps.iter().filter(|step| step.means() == Some(Means::Guidance)).count();
        Guided { least, most, now }.next(done)
    }

    /// The art and the mask of what failed in it, in the store.
    fn region(&self, refused: &Refused<'_>) -> Option<(ContentHash, ContentHash)> {
        // Of the size that was drawn, with the words that a model was asked for.
        let judged = refused.case.judged();
        let recipe = &judged.recipe;
        // A picture that is mirrored after it was drawn has its words elsewhere; one that is an edit is begun from another.
        if recipe.post.contains(&PostStep::Mirror) || recipe.edit.is_some() {
            return None;
        }
        let mask = region::mask(&region::boxes(&refused.verdict.findings, recipe), recipe.size)?;
        let mask = png::encode_grey(recipe.size, &mask).ok()?;
        let (image, image_pin) = match refused.art.file {
            Some(file) => (file, self.store.pin(file)),
            None => {
                let image = refused.art.image.as_ref()?;
                self.store.put(&png::encode_with_texts(image, &[]).ok()?).ok()?
            }
        };
        let (mask, mask_pin) = self.store.put(&mask).ok()?;
        self.pins.lock().insert(refused.job, vec![image_pin, mask_pin]);
        Some((image, mask))
    }
}

/// The pictures of the job so far, the refused one last.
fn drawn(refused: &Refused<'_>) -> Vec<repair::Drawn> {
    let repairs = &refused.case.repairs;
    let steps = std::iter::once(None).chain(repairs.iter().map(|mended| Some(mended.step.clone())));
    let figures = repairs.iter().map(|mended| (mended.cost, mended.latency_ms));
    let figures = figures.chain([(refused.art.cost, refused.art.latency_ms)]);
    steps.zip(figures).map(|(step, (cost, latency_ms))| repair::Drawn { step, cost, latency_ms }).collect()
}

/// What a job ends with whose picture nothing mended.
fn given_up(failure: Failure, case: &Case, why: &str) -> Failure {
    let done: Vec<String> = case.repairs.iter().map(|mended| mended.step.said()).collect();
    let tried = if done.is_empty() { String::new() } else { format!("; tried: {}", done.join(", ")) };
    let message = format!("{}{tried}; {why}", failure.message);
    Failure { message, ..failure }
}
