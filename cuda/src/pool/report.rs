//! What pools hold, for people and gauges.

use std::fmt;

use thiserror::Error;

use super::class::Class;

/// The pools of one card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What all classes may hold together.
    pub budget_bytes: u64,
    /// The most that all classes ever held together.
    pub reserved_peak_bytes: u64,
    /// By class.
    pub classes: [Figures; Class::ALL.len()],
}

/// The pool of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Whose.
    pub class: Class,
    /// The most that it may hold.
    pub cap_bytes: u64,
    /// Of the driver's memory, used or not.
    pub reserved_bytes: u64,
    /// Of blocks that are held.
    pub used_bytes: u64,
    /// Blocks that are held.
    pub blocks: usize,
    /// The most that was reserved.
    pub reserved_peak_bytes: u64,
    /// The most that was used.
    pub used_peak_bytes: u64,
    /// The longest gap: the largest block that fits without the driver.
    pub free_largest_bytes: u64,
    /// How often it was told that there is not as much.
    pub refused: u64,
}

impl Figures {
    /// The part of unused memory that does not lie in the longest gap, from 0 (one gap) towards 1 (crumbs).
    pub fn fragmentation(&self) -> f64 {
        let free = self.reserved_bytes - self.used_bytes;
        if free == 0 { 0.0 } else { 1.0 - self.free_largest_bytes as f64 / free as f64 }
    }
}

impl Report {
    /// Of all classes.
    pub fn reserved_bytes(&self) -> u64 {
        self.classes.iter().map(|figures| figures.reserved_bytes).sum()
    }

    /// Of all classes.
    pub fn used_bytes(&self) -> u64 {
        self.classes.iter().map(|figures| figures.used_bytes).sum()
    }

    /// What is still held, if anything is.
    pub fn leak(&self) -> Option<Leak> {
        let held = self.classes.iter().filter(|figures| figures.blocks > 0);
        let held: Vec<_> = held.map(|figures| (figures.class, figures.blocks, figures.used_bytes)).collect();
        (!held.is_empty()).then_some(Leak { held })
    }
}

/// Blocks that nobody gave back.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Leak {
    /// Class, blocks and their bytes.
    pub held: Vec<(Class, usize, u64)>,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("give GPU memory back, a fault of Thumbforge: ")?;
        for (index, (class, blocks, bytes)) in self.held.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{class} still has {bytes} bytes in {blocks} blocks")?;
        }
        Ok(())
    }
}
