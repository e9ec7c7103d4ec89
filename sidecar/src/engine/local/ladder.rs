//! The rungs of the memory's ladder that change pixels: which of them a picture takes, and what is said where none will do.
//!
//! Every rung is all of [`super::room`]'s ladder once more, with something given up. They are tried here, where a picture is
//! planned, since what it gives up stands in its realised key.

use super::super::{EngineError, Saves};
use super::asked::{Asked, Files, Lossy, Shape};
use super::room::Plan;
use super::seat::Draws;

/// Says why a model's weights would not survive eight bits, if they would not. It fits behind "since ". It may read all of
/// them, so it is asked last.
pub(crate) type Unsound = dyn Fn(&Files) -> Result<Option<String>, EngineError> + Send + Sync;

/// How pictures fit on one of `seats`, and what they give up for it, of what `may` allows by its words.
///
/// # Errors
/// [`EngineError::OutOfMemory`] with the least that they would take, and what else would save memory; or why they cannot be
/// drawn at all.
pub(super) fn descend(
    seats: &[&dyn Draws],
    asked: &Asked,
    pictures: usize,
    may: &dyn Fn(&str) -> bool,
    unsound: &Unsound,
) -> Result<(Lossy, Plan), EngineError> {
    let mut short = match fits(seats, asked, pictures)? {
        Ok(plan) => return Ok((asked.shape.lossy, plan)),
        Err(short) => vec![(false, short)],
    };
    let keeping: Vec<&dyn Draws> = keeping_eights(seats, asked)?;
    let mut why = None;
    for lossy in Lossy::RUNGS {
        let seats = if lossy.eights { &keeping } else { seats };
        // What was found unsound once is so on every rung.
        if !lossy.words().all(may) || seats.is_empty() || (lossy.eights && why.is_some()) {
            continue;
        }
        let asked = Asked { shape: Shape { lossy, ..asked.shape.clone() }, ..asked.clone() };
        match fits(seats, &asked, pictures)? {
            Err(more) => short.push((lossy.eights, more)),
            Ok(plan) if !lossy.eights => return Ok((lossy, plan)),
            Ok(plan) => match unsound(&asked.files)? {
                None => return Ok((lossy, plan)),
                found => why = found,
            },
        }
    }
    // What eight bits would take is no figure to go by where they are out of the question.
    let least = short.iter().filter(|(eights, _)| !eights || why.is_none()).map(|(_, short)| *short);
    let (needed_bytes, free_bytes) = least.min().unwrap_or((u64::MAX, 0));
    let offered = |lossy: &Lossy| !lossy.eights || !keeping.is_empty();
    let words =
        Lossy::RUNGS.iter().filter(|lossy| offered(lossy) && lossy.words().count() == 1).map(|lossy| lossy.word());
    let allow = words.filter(|word| !may(word)).collect();
    Err(EngineError::OutOfMemory { needed_bytes, free_bytes, saves: Saves { allow, unsound: why } })
}

/// The seats that keep weights in eight bits.
fn keeping_eights<'a>(seats: &[&'a dyn Draws], asked: &Asked) -> Result<Vec<&'a dyn Draws>, EngineError> {
    let mut keeping = Vec::with_capacity(seats.len());
    for seat in seats {
        if seat.keeps_eights(asked.shape.dtype)? {
            keeping.push(*seat);
        }
    }
    Ok(keeping)
}

/// How pictures fit where they fit best: on the first of `seats` that has room; else what is needed and what is free on the
/// first of them.
fn fits(seats: &[&dyn Draws], asked: &Asked, pictures: usize) -> Result<Result<Plan, (u64, u64)>, EngineError> {
    let mut refused = None;
    for seat in seats {
        match seat.fits(&asked.files, asked, pictures) {
            Ok(plan) => return Ok(Ok(plan)),
            Err(err) => _ = refused.get_or_insert(err),
        }
    }
    match refused {
        Some(EngineError::OutOfMemory { needed_bytes, free_bytes, .. }) => Ok(Err((needed_bytes, free_bytes))),
        Some(err) => Err(err),
        None => Err(EngineError::Internal("a picture has no device".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use thumbforge_core::recipe::Dtype;

    use super::super::seat::Turn;
    use super::super::thread::Ask;
    use super::super::{room, tests};
    use super::*;

    /// A device on which a picture takes 30 for its weights, 15 in eight bits, and 40 for decoding, 10 in tiles.
    struct Fake {
        free: u64,
        keeps: bool,
    }

    impl Draws for Fake {
        fn class(&self, _: Dtype) -> String {
            "fake".to_owned()
        }

        fn fits(&self, _: &Files, asked: &Asked, pictures: usize) -> Result<Plan, EngineError> {
            let lossy = asked.shape.lossy;
            assert!(self.keeps || !lossy.eights, "asked of a device that cannot");
            room::fit(pictures, lossy, self.free, &|plan| {
                let weights = if plan.lossy.eights { 15 } else { 30 };
                Ok(weights + if plan.lossy.tiled_vae { 10 } else { 40 })
            })
        }

        fn keeps_eights(&self, dtype: Dtype) -> Result<bool, EngineError> {
            Ok(self.keeps && dtype == Dtype::Bf16)
        }

        fn is_fallen(&self) -> bool {
            false
        }

        fn standing(&self, _: &Arc<Files>) -> (usize, bool) {
            (0, false)
        }

        fn ask(&self, _: Ask) -> Result<Turn, EngineError> {
            Err(EngineError::Cancelled)
        }
    }

    /// What a picture gives up on `free` of a device that keeps eights or does not, where `allowed` is; or what is said.
    /// Models of which eight bits are asked are sound, unless `unsound` says why not.
    fn said(free: u64, keeps: bool, allowed: &[&str], dtype: Dtype, unsound: Option<&str>) -> (String, usize) {
        let (fake, looks) = (Fake { free, keeps }, Arc::new(AtomicUsize::new(0)));
        let mut asked = tests::asked("a", "p", 1);
        asked.shape.dtype = dtype;
        let (why, counted) = (unsound.map(str::to_owned), looks.clone());
        let look = move |_: &Files| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(why.clone())
        };
        let may = |word: &str| allowed.contains(&word);
        let said = match descend(&[&fake], &asked, 1, &may, &look) {
            Ok((lossy, plan)) => {
                assert_eq!(plan.lossy, lossy);
                format!("{} {}", lossy.word(), plan.needed_bytes)
            }
            Err(err) => err.to_string(),
        };
        (said, looks.load(Ordering::SeqCst))
    }

    #[track_caller]
    fn check(free: u64, keeps: bool, allowed: &[&str], expected: &str) {
        let (said, looks) = said(free, keeps, allowed, Dtype::Bf16, None);
        assert!(said.contains(expected), "{said}");
        let eights = expected.contains("fp8 ");
        assert_eq!(
            looks,
            usize::from(eights),
            "weights are looked at where eight bits are used, and nowhere else: {said}"
        );
    }

    const BOTH: [&str; 2] = ["tiled-vae", "fp8"];

    #[test]
    fn exactness_first_then_least_is_given_up_of_what_is_allowed() {
        check(70, true, &BOTH, " 70");
        check(69, true, &BOTH, "tiled-vae 40");
        check(69, true, &["tiled-vae"], "tiled-vae 40");
        check(69, true, &["fp8"], "fp8 55");
        check(
            54,
            true,
            &["fp8"],
            "needs 1 kB and 1 kB are free; draw it smaller, with fewer pictures at once, allow what \
                                   saves memory (`allow_lossy = [\"tiled-vae\"]`), or name",
        );
        check(39, true, &BOTH, "tiled-vae+fp8 25");
        check(39, true, &["tiled-vae"], "(`allow_lossy = [\"fp8\"]`)");
        check(39, true, &[], "(`allow_lossy = [\"tiled-vae\", \"fp8\"]`)");
        check(24, true, &BOTH, "with fewer pictures at once, or name a fallback");
    }

    #[test]
    fn eight_bits_are_offered_by_devices_that_can_alone() {
        check(69, false, &["fp8"], "(`allow_lossy = [\"tiled-vae\"]`)");
        check(39, false, &BOTH, "with fewer pictures at once, or name a fallback");
        check(39, false, &[], "(`allow_lossy = [\"tiled-vae\"]`)");
        let (said, looks) = said(69, true, &["fp8"], Dtype::F32, None);
        assert!(said.contains("(`allow_lossy = [\"tiled-vae\"]`)") && looks == 0, "{said}");
    }

    #[test]
    fn what_eight_bits_would_spoil_is_kept_as_it_is_and_the_refusal_says_why() {
        let why = Some("w.weight would err by 38.1 %");
        let (first, looks) = said(69, true, &["fp8"], Dtype::Bf16, why);
        let expected = "are free, and fp8 is out of the question since w.weight would err by 38.1 %; draw it smaller";
        assert!(first.contains(expected) && looks == 1, "{first}");
        // Looked at once, whatever rungs are left; what eight bits take is no figure to go by.
        let (both, looks) = said(39, true, &BOTH, Dtype::Bf16, why);
        assert!(both.contains(expected) && looks == 1, "{both}");
        // A rung before it is taken all the same.
        assert_eq!(said(69, true, &BOTH, Dtype::Bf16, why), ("tiled-vae 40".to_owned(), 0));
    }
}
