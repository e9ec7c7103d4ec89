//! The world's checks: which pictures they refuse, what is done about them, and that every job went the one way there is.

use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::{JobId, PlannedKey, RealisedKey};
use thumbforge_core::job::{Gate, JobSpec, Outcome, Render, Route};
use thumbforge_core::money::Micros;
use thumbforge_core::repair::{self, Decision, Drawn, Means, Mended, Offer, Repair, Step, Trouble};
use thumbforge_core::verdict::{Finding, FindingCode, Severity, Verdict};
use thumbforge_sidecar::dispatch::Event;
use thumbforge_sidecar::journal::ledger::{self, Art};
use thumbforge_sidecar::journal::{ops, repairs, ways};

use super::{World, render};

/// What became of pictures that their checks refuse.
#[derive(Debug, Default)]
pub(crate) struct Garbled {
    /// Pictures that were refused and mended.
    pub(crate) mended: u64,
    /// Jobs that ended with a mended picture.
    pub(crate) repaired: u64,
    /// Jobs that gave up.
    pub(crate) given_up: u64,
    /// Pictures whose art another job, or an earlier try, had drawn.
    pub(crate) shared: u64,
}

impl Garbled {
    pub(crate) fn add(&mut self, other: &Self) {
        self.mended += other.mended;
        self.repaired += other.repaired;
        self.given_up += other.given_up;
        self.shared += other.shared;
    }
}

/// Whether the checks refuse a picture: six in ten of those whose prompt says so, by their art.
fn garbles(prompt: &str, art: RealisedKey) -> bool {
    prompt.contains("garbled") && art.0[0] % 10 < 6
}

fn verdict(prompt: &str, art: RealisedKey) -> Verdict {
    let finding = Finding {
        code: FindingCode::TextMismatch,
        severity: Severity::Error,
        message: "expected 'SALE' not found".to_owned(),
        place: None,
        expected: None,
        read: None,
        score: None,
    };
    Verdict::of(garbles(prompt, art).then_some(finding).into_iter().collect())
}

/// What is done after `steps`. Everything it depends on outlives the process.
fn decide(spec: &JobSpec, steps: &[Step]) -> Decision {
    let Some(policy) = &spec.terms.repair else { return Decision::GiveUp("nobody asked".to_owned()) };
    let seed = repair::seed(&spec.recipe, steps.len() + 1);
    let first = Drawn { step: None, cost: Micros(10), latency_ms: 10 };
    let rest = steps.iter().map(|step| Drawn { step: Some(step.clone()), ..first.clone() });
    let drawn: Vec<Drawn> = std::iter::once(first.clone()).chain(rest).collect();
    repair::next(policy, Trouble::Words, &drawn, |means| {
        let step = match means {
            Means::Reseed => Step::Reseed { seed },
            Means::Guidance => Step::Guidance { guidance: steps.len() as f64 + 1.5 },
            _ => return None,
        };
        Some(Offer { step, most: Micros(10) })
    })
}

impl World {
    pub(super) fn some_repair(&mut self) -> Option<Repair> {
        let means = match self.seed.below(4) {
            0 => return None,
            1 => vec![Means::Reseed],
            2 => vec![Means::Inpaint, Means::Reseed, Means::Guidance, Means::Reseed],
            _ => vec![Means::Reseed; 6],
        };
        let cost_max = self.seed.chance(20).then_some(Micros(35));
        Some(Repair { means, attempts_max: 1 + self.seed.below(6) as u32, time_max_ms: None, cost_max })
    }

    pub(super) fn steps(&self, job: JobId) -> Vec<Step> {
        let repairs = repairs::of(&self.disk, job).expect("reads");
        repairs.into_iter().map(|mended| mended.step).collect()
    }

    /// A finished picture that may be a job's answer.
    pub(super) fn accepted(&self, spec: &JobSpec, key: RealisedKey) -> Option<Box<Render>> {
        let render = ops::find_render(&self.disk, key).expect("reads")?;
        (spec.gate == Gate::Report || render.verdict.passed).then(|| Box::new(render))
    }

    /// What a worker says of a picture.
    pub(super) fn judged(
        &mut self,
        spec: &JobSpec,
        (job, attempt): (JobId, u32),
        (planned, route): (PlannedKey, &Route),
    ) -> Event {
        let steps = self.steps(job);
        let prompt = &spec.recipe.prompt;
        let asked = repair::effective(&spec.recipe, &steps);
        let verdict = verdict(prompt, repair::art_of(&route.realisation, &asked));
        if verdict.passed || spec.gate == Gate::Report {
            let render = render(planned, route.realisation.key(planned), route, verdict);
            return Event::Drawn { job, attempt, result: Ok(Box::new(render)) };
        }
        match decide(spec, &steps) {
            Decision::Do(step) => {
                let model = route.model.clone();
                let mended = Mended { attempt, model, verdict, cost: Micros(10), latency_ms: 10, step };
                Event::Refused { job, number: steps.len() as u32 + 1, mended: Box::new(mended) }
            }
            Decision::GiveUp(why) => {
                let failure = Failure::new(ErrorCode::RenderedTextMismatch, format!("failed to draw the words: {why}"));
                Event::Drawn { job, attempt, result: Err((Outcome::Refused, failure)) }
            }
        }
    }

    /// The art that a model drew for a job is kept before the worker says anything.
    pub(super) fn keep_art(&mut self, job: JobId) {
        let Some(key) = self.at_model.remove(&job) else { return };
        let art = Art {
            blob: thumbforge_core::id::ContentHash(key.0),
            job,
            cost: Micros::ZERO,
            latency_ms: 10,
            findings: Vec::new(),
        };
        ops::keep_blob(&self.disk, art.blob, 1, self.now_ms).expect("a blob row");
        ledger::keep_art(&self.disk, key, &art, None, self.now_ms).expect("an art row");
    }

    /// Every job took the steps that follow from what was asked of it, in their order, however often the process died; it
    /// stopped where they end, and what it ended with passes.
    pub(super) fn check_repairs(&mut self) {
        for job in self.acknowledged.clone() {
            let row = ops::job(&self.disk, job).expect("reads").expect("is there");
            let (json, planned) = ops::spec(&self.disk, job).expect("reads").expect("a spec");
            let spec = ops::spec_from_json(&json).expect("its own spec");
            let taken = self.steps(job);
            let most =
                spec.terms.repair.as_ref().map_or(0, |policy| policy.means.len().min(policy.attempts_max as usize));
            assert!(taken.len() <= most, "job {job} took {} steps of {most}", taken.len());
            for at in 0..taken.len() {
                let expected = decide(&spec, &taken[..at]);
                assert_eq!(Decision::Do(taken[at].clone()), expected, "step {at} of job {job}");
            }
            self.tally.garbled.mended += taken.len() as u64;
            let code = row.error.map(|failure| failure.code);
            if code == Some(ErrorCode::RenderedTextMismatch) {
                assert!(matches!(decide(&spec, &taken), Decision::GiveUp(_)), "job {job} gave up before the end");
                self.tally.garbled.given_up += 1;
            }
            let Some(key) = row.realised_key else { continue };
            let render = ops::find_render(&self.disk, key).expect("reads").expect("a render");
            assert_eq!(render.planned_key, planned);
            self.check_way(&spec, planned, (&taken, key));
            if spec.gate == Gate::Enforce {
                assert!(render.verdict.passed, "job {job} ended with a refused picture");
                self.tally.garbled.repaired += u64::from(!taken.is_empty());
            }
        }
    }

    /// Whoever is sent straight to a repaired picture goes where every step of a fresh job would have led.
    fn check_way(&self, spec: &JobSpec, planned: PlannedKey, (taken, key): (&[Step], RealisedKey)) {
        if taken.is_empty() {
            return;
        }
        let way = ways::find(&self.disk, ways::Asked::of(spec, planned)).expect("reads");
        let way = way.expect("a job that took steps leaves its way");
        assert_eq!(way.realised, key);
        for (at, mended) in way.mended().into_iter().enumerate() {
            assert_eq!(Decision::Do(mended.step.clone()), decide(spec, &taken[..at]), "step {at} to {key}");
        }
        assert_eq!(way.taken.len(), taken.len(), "the way to {key}");
    }
}
