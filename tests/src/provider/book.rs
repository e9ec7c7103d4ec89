//! What a provider made, and therefore billed. Tests hold their own ledger against it.

use std::collections::BTreeMap;

use super::Lettered;

/// Pictures that were made for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Whose words.
    pub prompt: String,
    /// By which model.
    pub model: String,
    /// In which dialect.
    pub dialect: &'static str,
    /// How many.
    pub pictures: u32,
    /// Number of the request that asked for them.
    pub request: u64,
    /// What the picture says, where the provider letters.
    pub lettered: Option<Lettered>,
}

/// Every charge, in order.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// The charges.
    pub charges: Vec<Charge>,
    /// Pictures at work now.
    pub in_flight: u32,
    /// Most pictures that were at work at once.
    pub in_flight_max: u32,
    /// Tries that each prompt had, where the provider letters.
    turns: BTreeMap<String, u64>,
}

/// Charges that are kept; a benchmark makes more, and reads none.
const CHARGES_MAX: usize = 200_000;

impl Book {
    /// Writes a charge down.
    pub(super) fn charge(&mut self, charge: Charge) {
        if self.charges.len() < CHARGES_MAX {
            self.charges.push(charge);
        }
    }

    /// The number of the next try of a prompt.
    pub(super) fn turn(&mut self, prompt: &str) -> u64 {
        let turn = self.turns.entry(prompt.to_owned()).or_default();
        *turn += 1;
        *turn
    }

    /// Pictures billed.
    pub fn pictures(&self) -> u32 {
        self.charges.iter().map(|charge| charge.pictures).sum()
    }

    /// Charges by prompt.
    pub fn by_prompt(&self) -> BTreeMap<&str, u32> {
        let mut prompts = BTreeMap::new();
        for charge in &self.charges {
            *prompts.entry(charge.prompt.as_str()).or_default() += 1;
        }
        prompts
    }

    /// Prompts that were billed more than once, with how often.
    pub fn billed_twice(&self) -> Vec<(&str, u32)> {
        self.by_prompt().into_iter().filter(|(_, times)| *times > 1).collect()
    }
}
