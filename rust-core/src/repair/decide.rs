//! What is done next about a picture.

use super::{Means, Repair, Step};
use crate::money::Micros;
use crate::verdict::{Finding, FindingCode, Severity};

/// What is wrong with a picture, as far as that decides what mends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Its art, whatever is said over it: another picture may be better.
    Art,
    /// Words that a model drew.
    Words,
    /// Words in the art, asked for or not, that nobody here can read: no other picture is any surer.
    Unread,
    /// Words as they were set: a matter of the template, which no art mends. A set of locales that shares its art would
    /// fall apart if one locale's words replaced it.
    Setting,
}

impl Trouble {
    /// What is wrong, by the errors among what was found of the art itself, of words in it that a model drew, and of words
    /// that were set over it; `None` where there are none.
    pub fn of(art: &[Finding], drawn: &[Finding], set: &[Finding]) -> Option<Self> {
        let is_error = |finding: &Finding| finding.severity == Severity::Error;
        let is_unread = |finding: &Finding| is_error(finding) && finding.code == FindingCode::TextUnverified;
        // Art comes before how words are set: it is the same for every locale, and so they all go the same way.
        let found = [
            (Self::Unread, drawn.iter().chain(art).any(is_unread)),
            (Self::Words, drawn.iter().any(is_error)),
            (Self::Art, art.iter().any(is_error)),
            (Self::Setting, set.iter().any(is_error)),
        ];
        found.into_iter().find(|(_, found)| *found).map(|(trouble, _)| trouble)
    }

    /// Whether `means` may mend it.
    const fn is_met_by(self, means: Means) -> bool {
        match (self, means) {
            (Self::Words, _) | (Self::Unread, Means::Composite) | (Self::Art, Means::Reseed | Means::Escalate) => true,
            (Self::Unread | Self::Art | Self::Setting, _) => false,
        }
    }
}

/// A picture of the job: the first one, or what a step gave. Cost and time are those of its art, whoever it was made for, so
/// that every job that comes the same way decides alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// What led to it; absent for the first.
    pub step: Option<Step>,
    /// What its art cost.
    pub cost: Micros,
    /// How long its art took, in milliseconds.
    pub latency_ms: u64,
}

/// A step that some route can carry out.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// The step.
    pub step: Step,
    /// The most that it can cost.
    pub most: Micros,
}

/// What is done.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// This, and the picture is judged again.
    Do(Step),
    /// Nothing more. Why, as a sentence without an end.
    GiveUp(String),
}

/// What is done about the last of `drawn`, in which `trouble` was found. `offer` says how a means would be carried out;
/// `None` where no route can, or none whose price is known and allowed.
///
/// Means are taken in the order of `repair`, and none is gone back to, so this ends after as many steps as there are means.
pub fn next(
    repair: &Repair,
    trouble: Trouble,
    drawn: &[Drawn],
    mut offer: impl FnMut(Means) -> Option<Offer>,
) -> Decision {
    let give_up = |why: String| Decision::GiveUp(why);
    if !repair.is_allowed() {
        return give_up("repair is forbidden".to_owned());
    }
    if drawn.len() >= repair.attempts_max as usize {
        return give_up(format!("{} pictures were drawn, which is the most", drawn.len()));
    }
    let took_ms: u64 = drawn.iter().fold(0, |sum, picture| sum.saturating_add(picture.latency_ms));
    if let Some(most) = repair.time_max_ms.filter(|most| took_ms >= *most) {
        return give_up(format!("they took {took_ms} ms, and {most} ms is the most"));
    }
    let cost: Micros = drawn.iter().map(|picture| picture.cost).sum();
    let mut dear = None;
    for means in &repair.means[gone(&repair.means, drawn)..] {
        if !trouble.is_met_by(*means) {
            continue;
        }
        let Some(Offer { step, most }) = offer(*means) else { continue };
        match repair.cost_max {
            Some(cost_max) if cost + most > cost_max => _ = dear.get_or_insert((most, cost_max)),
            _ => return Decision::Do(step),
        }
    }
    if let Some((most, cost_max)) = dear {
        return give_up(format!("{cost} were spent, another picture may cost {most}, and {cost_max} is the most"));
    }
    give_up(if trouble == Trouble::Setting { "no other art mends that" } else { "nothing is left to try" }.to_owned())
}

/// How many of the means are behind: those up to the last that was taken. Steps that do not follow from `means`, which no
/// version writes, leave none.
fn gone(means: &[Means], drawn: &[Drawn]) -> usize {
    let mut gone = 0;
    for taken in drawn.iter().filter_map(|picture| picture.step.as_ref()?.means()) {
        let at = means[gone..].iter().position(|means| *means == taken);
        gone = at.map_or(means.len(), |at| gone + at + 1);
    }
    gone
}
