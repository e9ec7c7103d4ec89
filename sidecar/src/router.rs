//! The router: where a job may go, best first, and why the rest may not. Pure.
//!
//! ```text
//! recipe, terms ─► models in order ─► rows (what is retired is replaced) ─► engines here, accounts ─► weighed ─► routes
//! ```
//! Nothing is bought and nothing leaves this machine unless somebody named a model: in the recipe, or as a ranking that
//! `route = "auto"` made. A model is drawn by what has it, or refused with the reason; only `placeholder` lets built-in art
//! stand in, and then the route says for whom. How long models take was looked at when they were ranked, by what was
//! measured: the catalogue's expectation decides nothing here. The same values give the same choice, whatever order they came in.

use std::collections::BTreeMap;

use thumbforge_core::day::Day;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::job::{JobSpec, Purchase, Route};
use thumbforge_core::model::{Catalogue, Family, ModelId, ModelRow, Standing};
use thumbforge_core::recipe::{Realisation, Recipe};
use thumbforge_core::terms::{Budget, Scope, Terms};
use thumbforge_hosted::Protocol;

use crate::market::{Account, Market};

mod asking;
mod candidate;
mod field;
mod local;
mod masked;
mod price;
mod rank;
mod rows;

use asking::Asking;
pub(crate) use candidate::Span;
pub use candidate::{Candidate, Health, Lacks, Reason, Role};
pub use field::{EngineCard, EnginesHere, Field};
use local::LocalAsking;
pub use local::{Local, LocalDefaults, LocalModel, LocalModels, OWN_MODEL, notes};
pub use price::Cost;
pub use rank::rank;
use rows::Rows;
pub use rows::Warning;

/// Most candidates that the message of a failure names; `route --explain` has them all.
const TOLD_MAX: usize = 4;

/// What the router says of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Where it may go, best first; empty exactly where `failure` says why.
    pub routes: Vec<Route>,
    /// Everything that was considered: first what won, in the order of `routes`, then the rest.
    pub candidates: Vec<Candidate>,
    /// What people should know though it works.
    pub warnings: Vec<Warning>,
    /// Why it can go nowhere.
    pub failure: Option<Failure>,
}

/// Where `spec` may go. `health` says how an account does for a model, as far as the caller knows.
pub fn choose(
    spec: &JobSpec,
    market: &Market,
    here: &EnginesHere,
    health: &dyn Fn(&str, &ModelId) -> Health,
    today: Day,
) -> Choice {
    let desk = Desk {
        recipe: &spec.recipe,
        terms: &spec.terms,
        allowed: Allowed { placeholder: spec.placeholder, lossy: spec.lossy },
        rows: Rows { own: &spec.terms.rows, catalogue: &market.catalogue },
        accounts: &market.accounts,
        budgets: &market.budgets,
        here,
        health,
        today,
    };
    desk.choose()
}

/// What a request allows the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// The built-in engine may stand in for a model that is not here.
    pub placeholder: bool,
    /// Fields that the route cannot honour may be dropped, and are then listed.
    pub lossy: bool,
}

/// Where `recipe` is drawn without buying anything.
///
/// # Errors
/// Why nothing of this machine draws it, and what to do.
pub fn route(recipe: &Recipe, allowed: Allowed, catalogue: &Catalogue, here: &EnginesHere) -> Result<Route, Failure> {
    let (terms, accounts) = (Terms::default(), BTreeMap::new());
    let desk = Desk {
        recipe,
        terms: &terms,
        allowed,
        rows: Rows { own: &[], catalogue },
        accounts: &accounts,
        budgets: &[],
        here,
        health: &|_, _| Health::Well,
        // What this machine draws is never retired, and what it does not draw is refused either way.
        today: Day::of_ms(0),
    };
    let Choice { mut routes, failure, .. } = desk.choose();
    match failure {
        Some(failure) => Err(failure),
        None => Ok(routes.swap_remove(0)),
    }
}

/// Everything that a choice is made from.
struct Desk<'a> {
    recipe: &'a Recipe,
    terms: &'a Terms,
    allowed: Allowed,
    rows: Rows<'a>,
    accounts: &'a BTreeMap<String, Account>,
    budgets: &'a [Budget],
    here: &'a EnginesHere,
    health: &'a dyn Fn(&str, &ModelId) -> Health,
    today: Day,
}

/// A candidate with its route, where it has one.
struct Weighed {
    candidate: Candidate,
    open: Option<Open>,
}

struct Open {
    route: Box<Route>,
    role: Role,
    resting: Option<Health>,
}

impl Weighed {
    fn lost(model: &ModelId, reason: Reason) -> Self {
        let candidate = Candidate {
            model: model.clone(),
            engine: String::new(),
            account: None,
            cost: None,
            latency_ms: None,
            dropped: Vec::new(),
            reason,
        };
        Self { candidate, open: None }
    }
}

impl Desk<'_> {
    fn choose(&self) -> Choice {
        if self.recipe.art.is_some() {
            // What decides the art is the file; a model named beside it (by the tier, say) has no part in it.
            return self.settled(vec![self.here("file", &ModelId::builtin(), Role::OwnFile)], Vec::new());
        }
        let asked = self.asked();
        let Some((first, _)) = asked.first() else {
            return self.settled(vec![self.here("builtin", &ModelId::builtin(), Role::Unnamed)], Vec::new());
        };
        let (mut weighed, mut warnings) = (Vec::new(), Vec::new());
        let mut barred = false;
        for (model, role) in &asked {
            if barred {
                weighed.push(Weighed::lost(model, Reason::Barred { named: (*first).clone() }));
                continue;
            }
            let of_this = self.consider(model, role, &weighed, &mut warnings);
            barred = *role == Role::Named && is_refused_for_good(&of_this);
            weighed.extend(of_this);
        }
        if self.allowed.placeholder && weighed.iter().all(Weighed::is_not_here) {
            weighed.push(self.here("builtin", &ModelId::builtin(), Role::StandsIn((*first).clone())));
        }
        self.settled(weighed, warnings)
    }

    /// The models to consider, best first, each with what it is considered as. Fallbacks go behind something named: where
    /// nothing is, they would be the only ones that cost money.
    fn asked(&self) -> Vec<(&ModelId, Role)> {
        let Terms { models, fallback, .. } = self.terms;
        let mut asked: Vec<(&ModelId, Role)> = match &self.recipe.model {
            Some(named) => vec![(named, Role::Named)],
            None => models.iter().enumerate().map(|(at, model)| (model, Role::Ranked(at + 1))).collect(),
        };
        if !asked.is_empty() {
            asked.extend(fallback.iter().enumerate().map(|(at, model)| (model, Role::Fallback(at + 1))));
        }
        asked
    }

    /// Every place that has `model`, or what takes its place; `before` is passed over.
    fn consider(&self, model: &ModelId, role: &Role, before: &[Weighed], warnings: &mut Vec<Warning>) -> Vec<Weighed> {
        let mut weighed = Vec::new();
        let mut lost = |model: &ModelId, reason| weighed.push(Weighed::lost(model, reason));
        let named = match self.rows.get(model) {
            Some(row) => row,
            None => {
                lost(model, Reason::Unknown);
                return weighed;
            }
        };
        let row = match named.standing(self.today) {
            Standing::Live | Standing::Retiring { .. } => named,
            Standing::Retired { since: on } if self.terms.pin => {
                lost(&named.id, Reason::Retired { on, by: named.replacement.clone(), pinned: true });
                return weighed;
            }
            Standing::Retired { since: on } => match self.rows.successor(named, self.today) {
                Some(row) => {
                    lost(&named.id, Reason::Replaced { on, by: row.id.clone() });
                    warnings.push(Warning::Replaced { named: named.id.clone(), on, by: row.id.clone() });
                    row
                }
                None => {
                    lost(&named.id, Reason::Retired { on, by: None, pinned: false });
                    return weighed;
                }
            },
        };
        if before.iter().any(|earlier| earlier.candidate.model == row.id) {
            return weighed;
        }
        warnings.extend(Warning::of_the_end(row, self.today));
        let replaces = (row.id != named.id).then(|| named.id.clone());
        weighed.extend(self.places(row, role, replaces.as_ref()));
        weighed
    }

    /// Every place that has the model of `row`, best first; or the one reason why there is none.
    fn places(&self, row: &ModelRow, role: &Role, replaces: Option<&ModelId>) -> Vec<Weighed> {
        if let Some(reason) = self.licence_refused(row) {
            return vec![Weighed::lost(&row.id, reason)];
        }
        let mut places = Vec::new();
        let engine = engine_of(row.family);
        if let Some(engine) = engine.filter(|engine| self.has(engine, &row.id)) {
            let mut weighed = match row.family {
                Family::Local => self.here_with_weights(engine, row, role.clone()),
                _ => self.here(engine, &row.id, role.clone()),
            };
            if let Some(open) = &mut weighed.open {
                open.route.replaces = replaces.cloned();
            }
            places.push(weighed);
        }
        let sellers = self.accounts.values().filter_map(|account| Some((account, account.sells(row)?)));
        places.extend(sellers.map(|(account, protocol)| self.sold(row, account, protocol, role, replaces)));
        if places.is_empty() {
            let denied = row.provider.as_deref().filter(|provider| !self.allows(&[provider]));
            let reason = match (row.family, denied) {
                (Family::Local, _) => Reason::NoWeights { model: row.id.clone(), lacks: String::new() },
                (Family::Builtin, _) => Reason::NoEngine,
                (Family::Hosted, Some(provider)) => Reason::Provider { provider: provider.to_owned(), account: None },
                (Family::Hosted, None) => Reason::NoAccount { provider: row.provider.clone() },
            };
            places.push(Weighed::lost(&row.id, reason));
        }
        places
    }

    fn licence_refused(&self, row: &ModelRow) -> Option<Reason> {
        // What Thumbforge draws itself comes with its own licence.
        let refused = row.family != Family::Builtin && !self.terms.licences.allows(row.licence());
        refused.then(|| Reason::Licence(row.licence().to_owned()))
    }

    fn allows(&self, words: &[&str]) -> bool {
        let allowed = self.terms.providers.as_ref();
        allowed.is_none_or(|allowed| allowed.iter().any(|word| words.contains(&word.as_str())))
    }

    fn may_drop(&self, field: &str) -> bool {
        !Field::is_the_task(field) && (self.allowed.lossy || self.terms.allow_lossy.iter().any(|word| word == field))
    }

    /// Whether an engine of this machine has a model, whole or not.
    fn has(&self, engine: &str, model: &ModelId) -> bool {
        let local = |card: &EngineCard| card.local.as_ref().is_none_or(|local| local.models.contains_key(model));
        self.here.get(engine).is_some_and(local)
    }

    /// The model of `row`, whose weights are on this machine.
    fn here_with_weights(&self, engine: &str, row: &ModelRow, role: Role) -> Weighed {
        let mut weighed = self.here(engine, &row.id, role);
        let Some(models) = self.here.get(engine).and_then(|card| card.local.as_ref()) else { return weighed };
        let model = match models.models.get(&row.id) {
            Some(Local::Ready(model)) => model,
            lacking => {
                let lacks = match lacking {
                    Some(Local::Lacking(lacks)) => lacks.clone(),
                    _ => String::new(),
                };
                return Weighed::lost(&row.id, Reason::NoWeights { model: row.id.clone(), lacks });
            }
        };
        let asking = LocalAsking::new(self.recipe, row, models, model);
        let refused: Vec<Lacks> = asking.lacks.iter().filter(|lacks| !self.may_drop(&lacks.field)).cloned().collect();
        if !refused.is_empty() {
            weighed.open = None;
            // What it never honours was found out before; both are told at once.
            let mut all = match weighed.candidate.reason {
                Reason::Unsupported(earlier) => earlier,
                _ => Vec::new(),
            };
            all.extend(refused);
            weighed.candidate.reason = Reason::Unsupported(all);
            return weighed;
        }
        if let Some(open) = &mut weighed.open {
            let realisation = &mut open.route.realisation;
            realisation.weights = Some(model.weights);
            models.class(asking.dtype).clone_into(&mut realisation.device_class);
            realisation.settings = asking.settings;
            realisation.dropped.extend(asking.lacks.into_iter().map(|lacks| lacks.field));
            realisation.dropped.sort_unstable();
            realisation.dropped.dedup();
            weighed.candidate.dropped.clone_from(&realisation.dropped);
        }
        weighed
    }

    /// `model` on an engine of this machine.
    fn here(&self, engine: &str, model: &ModelId, role: Role) -> Weighed {
        let Some(card) = self.here.get(engine) else { return Weighed::lost(model, Reason::NoEngine) };
        let lacks = |field: &Field| field.is_named(self.recipe) && !card.honours.contains(field);
        let lacking: Vec<&str> = Field::ALL.into_iter().filter(lacks).map(Field::word).collect();
        // A stand-in is a draft of what is to come: what the real model would honour cannot be refused here. And a file is
        // what it is. Neither makes another picture of one.
        let free = matches!(role, Role::StandsIn(_) | Role::OwnFile);
        let may_drop = |field: &str| self.may_drop(field) || (free && !Field::is_the_task(field));
        let mut weighed = Weighed::lost(model, Reason::NoEngine);
        weighed.candidate.engine = engine.to_owned();
        let refused: Vec<Lacks> =
            lacking.iter().filter(|field| !may_drop(field)).map(|field| Lacks::new(*field, "")).collect();
        if !refused.is_empty() {
            weighed.candidate.reason = Reason::Unsupported(refused);
            return weighed;
        }
        let mut dropped: Vec<String> = lacking.into_iter().map(str::to_owned).collect();
        dropped.sort_unstable();
        weighed.candidate.dropped.clone_from(&dropped);
        let realisation = Realisation {
            engine: engine.to_owned(),
            engine_version: card.version.clone(),
            wire_model: model.as_str().to_owned(),
            weights: None,
            device_class: card.device_class.clone(),
            seed: self.recipe.drawing_seed(),
            settings: BTreeMap::new(),
            dropped,
        };
        let placeholder_for = match &role {
            Role::StandsIn(model) => Some(model.clone()),
            _ => None,
        };
        let route = Box::new(Route::here(model.clone(), placeholder_for, realisation));
        Weighed { open: Some(Open { route, role, resting: None }), ..weighed }
    }

    /// The model of `row`, bought from `account`.
    fn sold(
        &self,
        row: &ModelRow,
        account: &Account,
        protocol: Protocol,
        role: &Role,
        replaces: Option<&ModelId>,
    ) -> Weighed {
        let mut candidate = Candidate {
            engine: account.provider.clone(),
            account: Some(account.name.clone()),
            latency_ms: row.latency_ms,
            ..Weighed::lost(&row.id, Reason::NoEngine).candidate
        };
        let open = self.bought(row, account, protocol, &mut candidate);
        let open = match open {
            Ok((mut route, resting)) => {
                route.replaces = replaces.cloned();
                Some(Open { route, role: role.clone(), resting })
            }
            Err(reason) => {
                candidate.reason = reason;
                None
            }
        };
        Weighed { candidate, open }
    }

    /// What lasts is looked at before what passes, so that the reason told is one that waiting does not mend.
    fn bought<'b>(
        &'b self,
        row: &'b ModelRow,
        account: &Account,
        protocol: Protocol,
        candidate: &mut Candidate,
    ) -> Result<(Box<Route>, Option<Health>), Reason> {
        if !self.allows(&[&account.provider, &account.name]) {
            let (provider, account) = (account.provider.clone(), Some(account.name.clone()));
            return Err(Reason::Provider { provider, account });
        }
        let seed = self.recipe.drawing_seed();
        let Some(asking) = Asking::new(self.recipe, row, protocol, seed) else { return Err(Reason::NoEngine) };
        let (mut dropped, mut refused) = (Vec::new(), Vec::new());
        for lacks in asking.lacks {
            if self.may_drop(&lacks.field) { dropped.push(lacks.field) } else { refused.push(lacks) }
        }
        dropped.sort_unstable();
        dropped.dedup();
        candidate.dropped.clone_from(&dropped);
        let asked = price::Asked::new(&asking.size, &asking.quality, asking.task);
        candidate.cost = price::cost(row, self.rows.behind(row), account, protocol, &asked);
        if !refused.is_empty() {
            return Err(Reason::Unsupported(refused));
        }
        let Some(Cost { quoted, reserve }) = candidate.cost else {
            return Err(Reason::UnknownPrice { asked: asked.as_toml() });
        };
        if let Some(budget) = self.budgets_of(account).find(|budget| reserve > budget.micros) {
            return Err(Reason::OverBudget { most: reserve, budget: budget.clone() });
        }
        let resting = match (self.health)(&account.name, &row.id) {
            Health::Well => None,
            failing @ Health::Failing { .. } => Some(failing),
            unwell => return Err(Reason::Unwell(unwell)),
        };
        let (wire_model, mut settings) = (account.wire_name(row).to_owned(), asking.settings);
        if wire_model.is_empty() {
            // Whatever the server has loaded drew it, and two servers have two things loaded.
            settings.insert("server".to_owned(), account.name.clone());
        }
        let realisation = Realisation {
            engine: account.provider.clone(),
            engine_version: asking.version,
            wire_model,
            weights: None,
            device_class: "hosted".to_owned(),
            seed,
            settings,
            dropped,
        };
        let purchase = Purchase {
            account: account.name.clone(),
            provider: account.provider.clone(),
            // Fetching a key reads files and keychains, which is the buyer's to do when it calls.
            key_id: String::new(),
            quoted,
            reserve,
            images: 1,
            on_ambiguous: account.ambiguous,
            nonce: String::new(),
            known_as: None,
        };
        let route = Route { purchase: Some(purchase), ..Route::here(row.id.clone(), None, realisation) };
        Ok((Box::new(route), resting))
    }

    /// Budgets that a purchase from `account` surely counts against. Whether they have room is the journal's to say; here
    /// is only seen what can never fit.
    fn budgets_of<'b>(&'b self, account: &'b Account) -> impl Iterator<Item = &'b Budget> {
        // A job brings the budgets of its own project and build; the user's may be those of others.
        let brought = self.terms.budgets.iter().map(|budget| (budget, true));
        let users = self.budgets.iter().map(|budget| (budget, false));
        let surely = |(budget, brought): (&'b Budget, bool)| {
            let covers = match &budget.scope {
                Scope::All => true,
                Scope::Provider(provider) => *provider == account.provider,
                Scope::Account(name) => *name == account.name,
                Scope::Tier(tier) => brought && tier.rsplit(':').next() == Some(self.recipe.tier.word()),
                Scope::Project(_) | Scope::Batch(_) => brought,
            };
            covers.then_some(budget)
        };
        brought.chain(users).filter_map(surely)
    }

    /// Puts what won in order, and what lost behind it.
    fn settled(&self, weighed: Vec<Weighed>, mut warnings: Vec<Warning>) -> Choice {
        let (open, lost): (Vec<_>, Vec<_>) = weighed.into_iter().partition(|weighed| weighed.open.is_some());
        let lost: Vec<Candidate> = lost.into_iter().map(|weighed| weighed.candidate).collect();
        let mut open: Vec<(Candidate, Open)> =
            open.into_iter().filter_map(|weighed| Some((weighed.candidate, weighed.open?))).collect();
        // Stable, so that each half keeps its order.
        open.sort_by_key(|(_, open)| open.resting.is_some());
        let (mut routes, mut candidates) = (Vec::new(), Vec::new());
        for (before, (candidate, Open { route, role, resting })) in open.into_iter().enumerate() {
            let replaces = route.replaces.clone();
            let reason = match before {
                0 => Reason::Won { role, replaces },
                before => Reason::Spare { role, replaces, before, resting },
            };
            candidates.push(Candidate { reason, ..candidate });
            routes.push(*route);
        }
        let failure = routes.is_empty().then(|| failure_of(&lost));
        candidates.extend(lost);
        warnings.retain(|warning| routes.iter().any(|route| route.model == *warning.model()));
        warnings.dedup();
        Choice { routes, candidates, warnings, failure }
    }
}

impl Weighed {
    /// Whether the model is missing on this machine, rather than refused or unwell.
    fn is_not_here(&self) -> bool {
        use Reason::{NoAccount, NoEngine, NoWeights, Replaced};
        let pinned = matches!(self.candidate.reason, Reason::Retired { pinned: true, .. });
        let missing = matches!(
            self.candidate.reason,
            NoAccount { .. } | NoEngine | NoWeights { .. } | Replaced { .. } | Reason::Retired { .. }
        );
        self.open.is_none() && missing && !pinned
    }
}

/// Whether a person has to decide before anything is drawn: the policy refuses the model, or the template pins it.
fn is_refused_for_good(weighed: &[Weighed]) -> bool {
    let mut lost = weighed.iter().map(|weighed| &weighed.candidate.reason);
    let refused = |reason: &Reason| {
        matches!(reason, Reason::Licence(_) | Reason::Provider { .. } | Reason::Retired { pinned: true, .. })
    };
    weighed.iter().all(|weighed| weighed.open.is_none())
        && lost.all(|reason| refused(reason) || matches!(reason, Reason::Replaced { .. }))
}

/// The failure of a job that can go nowhere: the first reason counts, the others are told.
fn failure_of(lost: &[Candidate]) -> Failure {
    let told = |candidate: &&Candidate| !matches!(candidate.reason, Reason::Replaced { .. } | Reason::Barred { .. });
    let mut telling = lost.iter().filter(told);
    let Some(first) = telling.next() else {
        return Failure::new(ErrorCode::Internal, "failed to find anything that draws, a fault of Thumbforge");
    };
    let by = |candidate: &Candidate| {
        let took_its_place =
            |other: &&Candidate| matches!(&other.reason, Reason::Replaced { by, .. } if *by == candidate.model);
        let named = lost.iter().find(took_its_place).map(|other| format!(" (in place of {})", other.model));
        let account = candidate.account.as_ref().map(|account| format!(" by the account {account}"));
        format!("{}{}{}", candidate.model, named.unwrap_or_default(), account.unwrap_or_default())
    };
    let mut message = format!("failed to draw with {}: {}", by(first), first.reason);
    let rest: Vec<&Candidate> = telling.collect();
    for candidate in rest.iter().take(TOLD_MAX - 1) {
        message.push_str(&format!("; nor with {}: {}", by(candidate), candidate.reason));
    }
    if rest.len() >= TOLD_MAX {
        message.push_str(&format!("; nor with {} more", rest.len() + 1 - TOLD_MAX));
    }
    let mend = first.reason.mend();
    if !mend.is_empty() {
        message.push_str("; ");
        message.push_str(&mend);
    }
    Failure::new(first.reason.code(), message)
}

/// Whether an engine of this machine can draw with a model now.
pub(crate) fn has(here: &EnginesHere, engine: &str, model: &ModelId) -> bool {
    let ready = |card: &EngineCard| match &card.local {
        None => true,
        Some(local) => matches!(local.models.get(model), Some(Local::Ready(_))),
    };
    here.get(engine).is_some_and(ready)
}

/// The engine of this machine that runs a family of models.
pub(crate) fn engine_of(family: Family) -> Option<&'static str> {
    match family {
        Family::Builtin => Some("builtin"),
        Family::Local => Some("local"),
        Family::Hosted => None,
    }
}

#[cfg(test)]
mod tests;
