//! What a picture of an account costs. An unknown price is none; it is never 0.

use serde::Serialize;
use thumbforge_core::model::ModelRow;
use thumbforge_core::money::Micros;
use thumbforge_hosted::Protocol;
use thumbforge_hosted::call::{AskedSize, Task};

use crate::market::Account;

/// What a picture costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// What is expected, in millionths of a US dollar.
    #[serde(rename = "micros")]
    pub quoted: Micros,
    /// The most that it can be; this much is set aside before the call.
    #[serde(rename = "micros_at_most")]
    pub reserve: Micros,
}

/// What is asked for, in the words of price rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked<'a> {
    /// In pixels, or the word of a resolution; empty for what the model chooses.
    size: String,
    quality: &'a str,
    operation: &'static str,
}

impl<'a> Asked<'a> {
    pub(super) fn new(size: &AskedSize, quality: &'a str, task: Task) -> Self {
        let size = match size {
            AskedSize::Pixels(extent) => extent.to_string(),
            AskedSize::Ratio { resolution, .. } => resolution.clone().unwrap_or_default(),
            AskedSize::Free => String::new(),
        };
        let operation = match task {
            Task::Generate => "generate",
            Task::Edit => "edit",
            Task::Upscale => "upscale",
        };
        Self { size, quality, operation }
    }

    /// The price that a catalogue would need, as it stands in TOML.
    pub(super) fn as_toml(&self) -> String {
        let named =
            |name: &str, word: &str| if word.is_empty() { String::new() } else { format!("{name} = {word:?}, ") };
        let (size, quality) = (named("size", &self.size), named("quality", self.quality));
        format!("{{ {size}{quality}operation = {:?}, usd = \"…\", as_of = \"…\" }}", self.operation)
    }
}

/// What `asked` costs at `account`; `None` where nobody knows. A project's row comes with a pull request, and the user's
/// budgets are counted by what it says: where `behind` it the machine's own rows say more, they are believed.
pub(super) fn cost<'a>(
    row: &ModelRow,
    behind: impl Iterator<Item = &'a ModelRow>,
    account: &Account,
    protocol: Protocol,
    asked: &Asked<'_>,
) -> Option<Cost> {
    let of = |row: &ModelRow| {
        let price = row.price_of(&asked.size, asked.quality, asked.operation)?;
        Some(Cost { quoted: price.micros, reserve: price.most() })
    };
    let cost = match account.price {
        Some(flat) => Cost { quoted: flat, reserve: flat },
        None => behind.filter_map(of).fold(of(row)?, |one, other| Cost {
            quoted: one.quoted.max(other.quoted),
            reserve: one.reserve.max(other.reserve),
        }),
    };
    // Nobody gives pictures away: a row that says so is a row that was not filled in. One's own server does.
    (cost.reserve > Micros::ZERO || is_own(protocol)).then_some(cost)
}

/// Whether servers of this protocol stand in people's own rooms.
fn is_own(protocol: Protocol) -> bool {
    use Protocol::{A1111, ComfyUi, OpenAiCompatible, Post, SdCpp};
    matches!(protocol, A1111 | ComfyUi | SdCpp | Post | OpenAiCompatible)
}
