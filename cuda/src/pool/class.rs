//! Who holds memory, how much each may hold, and what is kept for others.

use std::fmt;

/// What memory is held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Parameters of models, whoever draws with them.
    Weights,
    /// Pictures that a person waits for.
    Drafts,
    /// Pictures of a build.
    Batch,
    /// Large pictures that are kept.
    Finals,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Weights, Self::Drafts, Self::Batch, Self::Finals];

    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::Drafts => "drafts",
            Self::Batch => "batch",
            Self::Finals => "finals",
        }
    }

    /// Its place in [`Class::ALL`].
    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How much a class may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Kept for it: no other class takes it, also while it is not held.
    pub floor_bytes: u64,
    /// The most that it holds.
    pub cap_bytes: u64,
}

/// What may be taken of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// By all classes together.
    pub budget_bytes: u64,
    /// In the order of [`Class::ALL`].
    shares: [Share; Class::ALL.len()],
}

/// The arena of a draft of 512 x 512 and the decoding of it, 0.15 and 0.4 GB by the plan: it always finds room.
const DRAFTS_FLOOR: u64 = 600 << 20;
/// On small cards a smaller part is kept, or models would not fit that do.
const DRAFTS_FLOOR_OF_BUDGET: u64 = 16;

impl Limits {
    /// For a card of `card_bytes` of which `reserve_bytes` are others'. Weights and finals may have all that nobody else
    /// has a right to; drafts half, since small pictures need no more; a build three quarters, so that a person's draft
    /// does not wait until it ends.
    pub fn of_card(card_bytes: u64, reserve_bytes: u64) -> Self {
        let budget_bytes = card_bytes.saturating_sub(reserve_bytes);
        let part = |numerator: u64, denominator: u64| budget_bytes / denominator * numerator;
        let drafts = Share {
            floor_bytes: DRAFTS_FLOOR.min(budget_bytes / DRAFTS_FLOOR_OF_BUDGET),
            cap_bytes: part(1, 2).max(DRAFTS_FLOOR.min(budget_bytes)),
        };
        let whole = Share { floor_bytes: 0, cap_bytes: budget_bytes };
        Self { budget_bytes, shares: [whole, drafts, Share { floor_bytes: 0, cap_bytes: part(3, 4) }, whole] }
    }

    /// With another share for a class. A floor above the cap is lowered to it.
    #[must_use]
    pub fn with(mut self, class: Class, share: Share) -> Self {
        let Share { floor_bytes, cap_bytes } = share;
        self.shares[class.index()] = Share { floor_bytes: floor_bytes.min(cap_bytes), cap_bytes };
        self
    }

    /// The share of a class.
    pub fn share(&self, class: Class) -> Share {
        self.shares[class.index()]
    }
}

/// What the card has free at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// As the driver says, for all programs, and what it keeps for these pools without a stretch of theirs in it.
    pub free_bytes: u64,
    /// What is left to others of it: the editor and the desktop draw on the same card.
    pub reserve_bytes: u64,
    /// What the driver takes of the card at a time for these pools, at least 1: the rest of a step serves nobody.
    pub step_bytes: u64,
}

impl Room {
    /// What pools that hold `ours` of it now may hold in all.
    pub fn whole_bytes(self, ours: u64) -> u64 {
        let bytes = self.free_bytes.saturating_add(ours).saturating_sub(self.reserve_bytes);
        bytes - bytes % self.step_bytes.max(1)
    }
}
