//! What this machine's cards are good for, as values with sentences for people. Nothing is reserved to find out.

use std::fmt;

use crate::cubins::{self, CubinError};
use crate::driver::{self, Card, version_words};
use crate::error::CudaError;

/// What there is.
#[derive(Debug, Clone, PartialEq)]
pub enum Support {
    /// The driver's library is not here.
    NoDriver {
        /// What the loader says.
        reason: String,
    },
    /// The driver is too old, or refuses.
    Driver(CudaError),
    /// A driver that sees no card.
    NoCard,
    /// Cards, in the driver's order.
    Cards {
        /// As the driver has it: 12090 for CUDA 12.9.
        driver_version: u32,
        /// Each.
        cards: Vec<CardSupport>,
    },
}

/// A card, and what it is good for.
#[derive(Debug, Clone, PartialEq)]
pub struct CardSupport {
    /// It.
    pub card: Card,
    /// How good.
    pub degree: Degree,
}

/// How good a card is.
#[derive(Debug, Clone, PartialEq)]
pub enum Degree {
    /// It draws.
    Fine,
    /// It draws, without instructions for bf16.
    Slow,
    /// Its memory is less than the smallest model takes.
    Small {
        /// What that takes.
        needed_bytes: u64,
    },
    /// No kernels were compiled for it.
    Unknown(CubinError),
}

/// Compute capability from which tensor cores multiply bf16: Ampere.
const BF16: (u32, u32) = (8, 0);

impl Degree {
    /// That of a card, where the smallest model takes `needed_bytes`.
    pub fn of(card: &Card, needed_bytes: u64) -> Self {
        match cubins::card(card.capability) {
            Err(err) => Self::Unknown(err),
            Ok(_) if card.total_bytes < needed_bytes => Self::Small { needed_bytes },
            Ok(_) if card.capability < BF16 => Self::Slow,
            Ok(_) => Self::Fine,
        }
    }

    /// Whether pictures are drawn there.
    pub fn draws(&self) -> bool {
        matches!(self, Self::Fine | Self::Slow)
    }
}

impl Support {
    /// Looks at this machine, where the smallest model takes `needed_bytes`.
    pub fn look(needed_bytes: u64) -> Self {
        let found = driver::open().and_then(|driver| Ok((driver, driver.cards()?)));
        match found {
            Ok((driver, cards)) => {
                let one = |card: Card| CardSupport { degree: Degree::of(&card, needed_bytes), card };
                Self::Cards { driver_version: driver.version, cards: cards.into_iter().map(one).collect() }
            }
            Err(CudaError::NoDriver { reason }) => Self::NoDriver { reason },
            Err(CudaError::NoDevice) => Self::NoCard,
            Err(err) => Self::Driver(err),
        }
    }

    /// The cards that pictures are drawn on.
    pub fn usable(&self) -> impl Iterator<Item = &Card> {
        let cards = match self {
            Self::Cards { cards, .. } => cards.as_slice(),
            _ => &[],
        };
        cards.iter().filter(|card| card.degree.draws()).map(|card| &card.card)
    }
}

/// Bytes as people compare them with a box: GB of 1024³, as cards are sold.
fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / f64::from(1 << 30))
}

impl fmt::Display for Support {
    /// A line for the driver and one for each card.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDriver { reason } => write!(f, "no NVIDIA driver: {reason}; pictures are drawn on the processor"),
            Self::Driver(err) => write!(f, "the NVIDIA driver cannot be used: failed to {err}"),
            Self::NoCard => {
                f.write_str("an NVIDIA driver, but no card that it sees; pictures are drawn on the processor")
            }
            Self::Cards { driver_version, cards } => {
                write!(f, "an NVIDIA driver of CUDA {}", version_words(*driver_version))?;
                cards.iter().try_for_each(|card| write!(f, "\n{card}"))
            }
        }
    }
}

impl fmt::Display for CardSupport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Card { ordinal, name, capability: (major, minor), total_bytes, .. } = &self.card;
        write!(f, "GPU {ordinal}: {name}, {}, compute capability {major}.{minor}: ", gigabytes(*total_bytes))?;
        match &self.degree {
            Degree::Fine => f.write_str("draws"),
            Degree::Slow => f.write_str("draws, but slowly: its tensor cores have no bf16"),
            Degree::Small { needed_bytes } => {
                write!(f, "too small: the smallest model takes {}; draw on the processor", gigabytes(*needed_bytes))
            }
            Degree::Unknown(err) => write!(f, "does not draw: failed to {err}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(capability: (u32, u32), gigabytes: u64) -> Card {
        Card {
            ordinal: 1,
            name: "a card".to_owned(),
            capability,
            multiprocessors: 60,
            shared_bytes: 100 << 10,
            total_bytes: gigabytes << 30,
            uuid: [0; 16],
            pools: true,
        }
    }

    #[test]
    fn every_degree_has_a_sentence() {
        let check = |capability, gigabytes, draws: bool, expected: &str| {
            let card = card(capability, gigabytes);
            let support = CardSupport { degree: Degree::of(&card, 5 << 30), card };
            assert_eq!(support.degree.draws(), draws);
            let said = support.to_string();
            assert!(said.starts_with("GPU 1: a card, ") && said.contains(expected), "{said}");
        };
        check((9, 0), 80, true, "80.0 GB, compute capability 9.0: draws");
        check((8, 6), 8, true, "draws");
        check((7, 5), 16, true, "slowly");
        check((8, 9), 4, false, "too small: the smallest model takes 5.0 GB");
        check((6, 1), 8, false, "7.5 is the oldest");
        check((99, 0), 80, false, "update Thumbforge");
    }

    #[test]
    fn machines_without_cards_say_why() {
        let check = |support: Support, expected: &str| {
            assert!(support.to_string().contains(expected), "{support}");
            assert_eq!(support.usable().count(), 0);
        };
        check(Support::NoDriver { reason: "its library is not here".to_owned() }, "no NVIDIA driver: its library");
        check(Support::NoCard, "no card");
        let old = CudaError::OldDriver { found: version_words(11_080), needed: version_words(driver::VERSION_MIN) };
        check(Support::Driver(old), "it is of CUDA 11.8 and 12.0 is needed");
        let cards = vec![CardSupport { degree: Degree::Slow, card: card((7, 5), 16) }];
        let support = Support::Cards { driver_version: 12_090, cards };
        assert!(support.to_string().starts_with("an NVIDIA driver of CUDA 12.9\nGPU 1"), "{support}");
        assert_eq!(support.usable().count(), 1);
    }
}
