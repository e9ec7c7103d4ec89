//! Choosing a model by what it is for: the rule of the case study, and the choice by price and measured quality.
//!
//! Everything here is a function of values: the catalogue, what was learned, what is asked. Two machines with the same
//! files choose alike, because what was learned is a file that is committed and not a private journal.

use std::cmp::Ordering;

use crate::day::Day;
use crate::model::{Catalogue, Family, ModelRow, PASS_WEIGHT, Standing};
use crate::money::Micros;
use crate::recipe::Intent;

mod beta;
mod learned;

pub use beta::lower_bound;
pub use learned::{Counts, Learned, LearnedError};

/// What the case study's router looks at.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Metadata {
    /// Whether the words in the picture must be right to the letter.
    pub requires_typography_precision: bool,
    /// How sure one is that a cheap model gets it right, 0 to 1.
    pub confidence: f64,
    /// Whether a quick draft is enough.
    pub fast_preview: bool,
}

/// The model that a picture goes to, by the rule of the case study: its names are aliases of the catalogue.
pub fn route_job(metadata: &Metadata) -> &'static str {
    if metadata.requires_typography_precision && metadata.confidence < 0.8 {
        return "remote-imagen-polish";
    }
    if metadata.fast_preview {
        return "local-sd_medium";
    }
    "remote-final"
}

/// The share of a model's pictures that must pass before `auto` takes it, where nobody says: a draft is looked at by a
/// person anyway, a final is not.
pub const PASS_RATE: [f64; 2] = [0.5, 0.7];

/// What `auto` is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ask {
    /// What the picture is for.
    pub intent: Intent,
    /// The share of pictures that must pass, 0 to 1.
    pub pass_rate: f64,
    /// The longest that one picture is expected to take, in milliseconds.
    pub max_latency_ms: Option<u64>,
    /// The day.
    pub today: Day,
}

/// Why a model is where it is in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It is good, fast and known to cost so much: the cheapest of these is first.
    Fits,
    /// It cannot be asked for this here.
    Unusable,
    /// Too few of its pictures are sure to pass.
    Weak,
    /// It takes too long, or nobody knows how long.
    Slow,
    /// Nobody knows what it costs.
    Unpriced,
}

/// A model as `auto` sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked<'a> {
    /// Which.
    pub row: &'a ModelRow,
    /// Whether it may be taken.
    pub fit: Fit,
    /// What one picture costs.
    pub price: Option<Micros>,
    /// The share of its pictures that pass, at least; see [`pass_least`].
    pub pass_least: f64,
    /// How long one picture takes, in milliseconds: measured, or else expected.
    pub latency_ms: Option<u64>,
    /// For people: why it won or lost.
    pub reason: String,
}

/// Every model of the catalogue, best first: the cheapest whose pictures pass often enough and come soon enough, then
/// what is dearer, then what does not fit. `price` says what one picture would cost on the accounts that there are, or
/// why the model cannot be asked.
pub fn auto<'a>(
    catalogue: &'a Catalogue,
    learned: &Learned,
    ask: &Ask,
    price: &dyn Fn(&ModelRow) -> Result<Option<Micros>, String>,
) -> Vec<Ranked<'a>> {
    let mut ranked: Vec<Ranked<'a>> = catalogue.rows().iter().map(|row| look(row, learned, ask, price)).collect();
    ranked.sort_by(|a, b| {
        let fits = |one: &Ranked<'_>| one.fit != Fit::Fits;
        let price = |one: &Ranked<'_>| one.price.unwrap_or(Micros::MAX);
        fits(a)
            .cmp(&fits(b))
            .then(price(a).cmp(&price(b)))
            .then(b.pass_least.partial_cmp(&a.pass_least).unwrap_or(Ordering::Equal))
            .then(a.latency_ms.cmp(&b.latency_ms))
            .then(a.row.id.cmp(&b.row.id))
    });
    let best = ranked.first().filter(|best| best.fit == Fit::Fits).map(|best| best.row.id.clone());
    for (at, one) in ranked.iter_mut().enumerate().filter(|(_, one)| one.fit == Fit::Fits) {
        let cost = one.price.unwrap_or(Micros::ZERO);
        let passes = percent(one.pass_least);
        one.reason = match &best {
            Some(best) if at > 0 => {
                format!("it would do, with {passes} sure to pass, and at {cost} comes after {best}")
            }
            _ => format!("the cheapest that does, at {cost} with {passes} sure to pass"),
        };
    }
    ranked
}

fn look<'a>(
    row: &'a ModelRow,
    learned: &Learned,
    ask: &Ask,
    price: &dyn Fn(&ModelRow) -> Result<Option<Micros>, String>,
) -> Ranked<'a> {
    let pass_least = pass_least(row, learned, ask.intent);
    let latency_ms = learned.latency_ms(&row.id, ask.intent).or(row.latency_ms);
    let offer = price(row);
    let (fit, reason) = if row.family == Family::Builtin {
        (Fit::Unusable, "built-in art stands in for pictures and is none that was asked for".to_owned())
    } else if row.can.generate == Some(false) && ask.intent != Intent::Edit {
        (Fit::Unusable, "it changes pictures and draws none".to_owned())
    } else if let Standing::Retired { since } = row.standing(ask.today) {
        (Fit::Unusable, format!("it was retired on {since}"))
    } else if let Standing::Retiring { days } = row.standing(ask.today) {
        // A choice that is another one in a month is none that a team can review.
        (Fit::Unusable, format!("it retires in {days} days"))
    } else if let Err(why) = &offer {
        (Fit::Unusable, why.clone())
    } else if pass_least < ask.pass_rate {
        let (sure, wanted) = (percent(pass_least), percent(ask.pass_rate));
        (Fit::Weak, format!("{sure} of its {} pictures are sure to pass, and {wanted} must", ask.intent.word()))
    } else if let Some(why) = slow(latency_ms, ask.max_latency_ms) {
        (Fit::Slow, why)
    } else if offer == Ok(None) {
        (Fit::Unpriced, "nobody knows what it costs: say so in thumbforge.models.toml".to_owned())
    } else {
        (Fit::Fits, String::new())
    };
    Ranked { row, fit, price: offer.ok().flatten(), pass_least, latency_ms, reason }
}

fn slow(latency_ms: Option<u64>, most_ms: Option<u64>) -> Option<String> {
    let most_ms = most_ms?;
    match latency_ms {
        Some(ms) if ms <= most_ms => None,
        Some(ms) => Some(format!("it takes about {ms} ms, and {most_ms} ms is the most")),
        None => Some(format!("nobody knows how long it takes, and {most_ms} ms is the most")),
    }
}

/// Whole percents, rounded down: what is not quite enough must not look enough.
fn percent(share: f64) -> String {
    format!("{:.0} %", (share * 100.0).floor())
}

/// The share of a model's pictures of an intent that pass, at least: with 95 % probability it is no smaller.
///
/// The catalogue's expectation counts as [`PASS_WEIGHT`] pictures (or as many as the row says) beside the learned ones;
/// where the catalogue expects nothing, every share is held equally likely.
pub fn pass_least(row: &ModelRow, learned: &Learned, intent: Intent) -> f64 {
    let (expected, weight) = match row.pass.get(&intent) {
        Some(share) => (share.clamp(0.01, 0.99), row.pass_weight.unwrap_or(PASS_WEIGHT)),
        None => (0.5, 2.0),
    };
    let (good, bad) = learned.get(&row.id, intent).map_or((0, 0), Counts::both);
    lower_bound(expected * weight + good as f64, (1.0 - expected) * weight + bad as f64)
}

#[cfg(test)]
mod tests;
