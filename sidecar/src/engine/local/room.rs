//! How pictures are fitted into memory: what is given up first, second, and last. Pure.
//!
//! ```text
//! all pictures at once ─► fewer at once ─► one at a time
//!     └─► text encoders leave after the text: all at once, fewer, one
//!             └─► modulation matrices leave before the steps: all at once, fewer, one
//!                     └─► with and without the prompt in turn ─► refused
//! and where it is allowed, the same again: with a tiled autoencoder ─► with weights in eight bits ─► with both
//! ```
//! Only the last three change pixels; they make another realised key, and are decided before the drawing begins.

use std::fmt;

use super::super::{EngineError, Saves};
use super::asked::Lossy;

/// How a call is fitted into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Plan {
    /// Pictures at once.
    pub pictures: usize,
    /// Whether text encoders are unloaded when the text is read.
    pub text_leaves: bool,
    /// Whether matrices that are read once a picture are unloaded before the steps.
    pub modulation_leaves: bool,
    /// Whether the calls with and without the prompt come in turn.
    pub apart: bool,
    /// What else gives way.
    pub lossy: Lossy,
    /// The most that is held at any time.
    pub needed_bytes: u64,
    /// What was free.
    pub free_bytes: u64,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "needs {} of {} free", Bytes(self.needed_bytes), Bytes(self.free_bytes))?;
        match self.pictures {
            1 => {}
            many => write!(f, ", {many} pictures at once")?,
        }
        for (said, words) in [
            (self.text_leaves, ", text encoders leave after the text"),
            (self.modulation_leaves, ", modulation matrices leave before the steps"),
            (self.apart, ", with and without the prompt in turn"),
            (self.lossy.tiled_vae, ", the autoencoder in tiles"),
            (self.lossy.eights, ", weights in eight bits"),
        ] {
            if said {
                f.write_str(words)?;
            }
        }
        Ok(())
    }
}

/// A number of bytes as people say it.
pub(crate) struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes @ ..1_000_000 => write!(f, "{} kB", bytes.div_ceil(1000)),
            bytes @ ..1_000_000_000 => write!(f, "{} MB", bytes.div_ceil(1_000_000)),
            bytes => write!(f, "{:.1} GB", bytes as f64 / 1e9),
        }
    }
}

/// What a plan would take.
pub(crate) type Needs<'a> = &'a dyn Fn(&Plan) -> Result<u64, EngineError>;

/// The first plan of the ladder that fits into `free_bytes`. `lossy` is what else gives way: a decision that has been made,
/// since it changes pixels.
///
/// # Errors
/// [`EngineError::OutOfMemory`] with what the smallest plan takes, or why `needs` cannot say.
pub(crate) fn fit(pictures: usize, lossy: Lossy, free_bytes: u64, needs: Needs<'_>) -> Result<Plan, EngineError> {
    let mut least = u64::MAX;
    // Fewer pictures first: the same work in more calls. Unloading costs a loading, and two calls cost time.
    let counts = || std::iter::successors(Some(pictures.max(1)), |count| (*count > 1).then_some(count / 2));
    let leaving = [(false, false), (true, false), (true, true)];
    let rungs = leaving.into_iter().flat_map(|(text, modulation)| counts().map(move |count| (count, text, modulation)));
    let rungs = rungs.map(|(pictures, text, modulation)| (pictures, text, modulation, false));
    for (pictures, text_leaves, modulation_leaves, apart) in rungs.chain([(1, true, true, true)]) {
        let plan = Plan { pictures, text_leaves, modulation_leaves, apart, lossy, needed_bytes: 0, free_bytes };
        let needed_bytes = needs(&plan)?;
        if needed_bytes <= free_bytes {
            return Ok(Plan { needed_bytes, ..plan });
        }
        least = least.min(needed_bytes);
    }
    Err(EngineError::OutOfMemory { needed_bytes: least, free_bytes, saves: Saves::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is chosen for four pictures, where each takes 10 (5 in turn), texts 20 while they stay, matrices that are read
    /// once 4 while they stay, those that are read often 16 or, in eight bits, 8, and decoding 40 or, in tiles, 8.
    #[track_caller]
    fn check(free: u64, lossy: &str, expected: &str) {
        let needs = |plan: &Plan| {
            let each = if plan.apart { 5 } else { 10 };
            let decode = if plan.lossy.tiled_vae { 8 } else { 40 };
            let often = if plan.lossy.eights { 8 } else { 16 };
            let (text, drawn) = (20, plan.pictures as u64 * each);
            let once = if plan.modulation_leaves { 0 } else { 4 };
            let pixels = once + often + drawn.max(decode);
            Ok(if plan.text_leaves { text.max(pixels) } else { text + pixels })
        };
        let lossy = if lossy.is_empty() { Lossy::NONE } else { lossy.parse().expect("a rung") };
        let said = match fit(4, lossy, free, &needs) {
            Ok(plan) => {
                let given_up =
                    [(plan.text_leaves, "text"), (plan.modulation_leaves, "modulation"), (plan.apart, "apart")];
                let given_up = given_up.iter().filter(|(given_up, _)| *given_up).map(|(_, word)| *word);
                let words: Vec<&str> = given_up.collect();
                format!("{} {} {}", plan.pictures, plan.needed_bytes, words.join("+"))
            }
            Err(EngineError::OutOfMemory { needed_bytes, free_bytes, .. }) => {
                format!("needs {needed_bytes} of {free_bytes}")
            }
            Err(other) => other.to_string(),
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn least_is_given_up_first() {
        check(80, "", "4 80 ");
        check(79, "", "4 60 text");
        check(59, "", "4 56 text+modulation");
        check(55, "", "needs 56 of 55");
        check(80, "tiled-vae", "4 80 ");
        check(79, "tiled-vae", "2 60 ");
        check(59, "tiled-vae", "1 50 ");
        check(49, "tiled-vae", "2 40 text");
        check(39, "tiled-vae", "1 30 text");
        check(29, "tiled-vae", "1 26 text+modulation");
        check(25, "tiled-vae", "1 24 text+modulation+apart");
        check(23, "tiled-vae", "needs 24 of 23");
        check(80, "fp8", "4 72 ");
        check(71, "fp8", "4 52 text");
        check(51, "fp8", "4 48 text+modulation");
        check(47, "fp8", "needs 48 of 47");
        check(80, "tiled-vae+fp8", "4 72 ");
        check(71, "tiled-vae+fp8", "2 52 ");
        check(21, "tiled-vae+fp8", "1 20 text+modulation");
        check(19, "tiled-vae+fp8", "needs 20 of 19");
    }

    #[test]
    fn a_plan_is_told_in_words() {
        let plan = Plan {
            pictures: 2,
            text_leaves: true,
            modulation_leaves: true,
            apart: true,
            lossy: Lossy { tiled_vae: true, eights: true },
            needed_bytes: 1_234_567_890,
            free_bytes: 999_999_999,
        };
        let words = "needs 1.2 GB of 1000 MB free, 2 pictures at once, text encoders leave after the text, modulation \
                     matrices leave before the steps, with and without the prompt in turn, the autoencoder in tiles, weights in eight bits";
        assert_eq!(plan.to_string(), words);
    }
}
