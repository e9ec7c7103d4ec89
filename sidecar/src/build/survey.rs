//! What is there and what is to do: looks at every output and asks the planner.

use std::path::Path;
use std::time::SystemTime;

use thumbforge_core::day::Day;
use thumbforge_core::job::{JobSpec, Lane};
use thumbforge_core::manifest::Scope;
use thumbforge_core::plan::{
    Action, EnginesHere, Foreign, KeepReason, OutputState, Plan, PlanOptions, Seen, Stale, locked, plan,
};
use thumbforge_core::terms::Terms;

use super::{Item, ItemState, Project};
use crate::journal::{self, costs, ops};
use crate::market::Market;
use crate::output::fence::Fence;
use crate::output::observe::{Observed, observe_all};
use crate::output::png;
use crate::router::{self, Health};

/// A plan and where it writes.
pub struct Survey {
    /// What happens to each wanted image.
    pub plan: Plan,
    /// Outputs that lead out of the project, by index of the wanted image, with the reason.
    pub fenced: Vec<(usize, String)>,
}

/// Looks at the outputs of `project` and plans.
pub fn survey(
    project: &mut Project,
    cards: &router::EnginesHere,
    force: bool,
    upgrade: bool,
    now: SystemTime,
) -> Survey {
    let wanted = &project.expansion.wanted;
    let outputs: Vec<&str> = wanted.iter().map(|wanted| wanted.output.as_str()).collect();
    let observed = observe_all(&project.root, &outputs, &mut project.stat_cache, now);
    let lines = locked(wanted, &project.lock);
    let here = engines_here(cards);
    let options = PlanOptions {
        foreign: if force { Foreign::Replace } else { Foreign::Keep },
        stale: if upgrade { Stale::Render } else { Stale::Keep },
        scope: project.expansion.scope,
    };
    let output = |at: usize| match &observed[at] {
        Observed::Missing => OutputState::Missing,
        Observed::File { sha256 } => {
            // Only a file that the lock does not know is opened and asked what it is.
            let known = lines[at].is_some_and(|line| line.sha256 == *sha256);
            let seen = (!known).then(|| look(&project.root.join(outputs[at]))).flatten();
            OutputState::File { sha256: *sha256, seen }
        }
        Observed::LfsPointer { oid } => OutputState::LfsPointer { oid: *oid },
        Observed::NotAFile => OutputState::Unreadable("what lies there is no file".to_owned()),
        Observed::Unreadable(why) => OutputState::Unreadable(why.clone()),
    };
    let mut plan = plan(wanted, &project.lock, output, &here, options);
    let mut fenced = Vec::new();
    if let Ok(mut fence) = Fence::new(&project.root) {
        for item in &mut plan.items {
            if matches!(item.action, Action::Render(_))
                && let Err(err) = fence.path(outputs[item.wanted])
            {
                let why = thumbforge_core::error::chain(&err);
                fenced.push((item.wanted, why.clone()));
                item.action = Action::Keep(KeepReason::Unreadable(why));
            }
        }
    }
    if project.expansion.scope == Scope::Part {
        plan.orphans.clear();
    }
    Survey { plan, fenced }
}

/// The engines of this machine in the planner's words.
fn engines_here(cards: &router::EnginesHere) -> EnginesHere {
    let mut here = EnginesHere::default();
    for (name, card) in cards {
        let classes = here.device_classes.entry(name.clone()).or_default();
        classes.insert(card.device_class.clone());
        here.versions.insert(name.clone(), card.version.clone());
        let Some(local) = &card.local else { continue };
        // Each number format has a class of its own, and a recipe may name either.
        classes.extend([local.class_f32.clone(), local.class_bf16.clone()]);
        let ready = local.models.iter().filter(|(_, here)| matches!(here, router::Local::Ready(_)));
        here.models.extend(ready.map(|(id, _)| id.clone()));
    }
    here
}

/// Finds which of the images to be made are in the store already, and which can be drawn nowhere, so that a plan can say
/// so. It only reads.
pub fn mark_cached(items: &mut [Item], project: &Project, data_dir: &Path, market: &Market, today: Day) {
    // Without a journal nothing is in the store; where a picture would go is told all the same.
    let reader = journal::peek(&data_dir.join("journal.sqlite")).ok().flatten();
    let in_store = |key| {
        let found = reader.as_ref().map(|reader| reader.read(|connection| ops::find_render(connection, key)));
        found.is_some_and(|found| found.is_ok_and(|render| render.is_some()))
    };
    let here = crate::engine::cards(data_dir, market);
    for (item, wanted) in items.iter_mut().zip(&project.expansion.wanted) {
        if item.state != ItemState::Planned {
            continue;
        }
        let spec = JobSpec {
            terms: Terms::clone(&wanted.terms),
            placeholder: project.expansion.placeholder,
            ..JobSpec::new(wanted.recipe.clone(), Lane::Batch, project.client())
        };
        let choice = router::choose(&spec, market, &here, &|_, _| Health::Well, today);
        match choice.failure {
            Some(failure) => *item = item.clone().failed(failure),
            None if choice.routes.iter().any(|route| in_store(route.realisation.key(wanted.planned))) => {
                item.state = ItemState::Cached;
            }
            None => {}
        }
    }
}

/// Adds what the build `batch` paid for images that have no picture to tell it: calls that failed or were taken back, and
/// may be billed all the same.
pub fn add_costs(items: &mut [Item], batch: &str, began: SystemTime, data_dir: &Path) {
    let since_ms = began.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    // Without its figures a report says less, and nothing wrong: the ledger is the truth, and `costs` shows it.
    let Ok(Some(reader)) = journal::peek(&data_dir.join("journal.sqlite")) else { return };
    let Ok(costs) = reader.read(|connection| costs::of_batch(connection, batch, since_ms)) else { return };
    for item in items.iter_mut().filter(|item| item.cost_micros_usd == 0) {
        let cost = costs.get(&(item.asset.clone(), item.locale.clone()));
        item.cost_micros_usd = cost.map_or(0, |cost| cost.0);
    }
}

fn look(path: &Path) -> Option<Seen> {
    let bytes = std::fs::read(path).ok()?;
    let provenance = png::read_provenance(&bytes).ok().flatten();
    let pixels = png::decode(&bytes, png::DecodeLimits::ART).ok().map(|image| image.hash());
    Some(Seen { keys: provenance.map(|said| (said.planned_key, said.realised_key)), pixels })
}
