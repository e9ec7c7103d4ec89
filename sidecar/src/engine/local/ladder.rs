//! The rungs of the memory's ladder that change pixels: which of them a picture takes, and what is said where none will do.
//!
//! Every rung is all of [`super::room`]'s ladder once more, with something given up. They are tried here, where a picture is
//! planned, since what it gives up stands in its realised key.

use super::super::{EngineError, Leave, Saves};
use super::asked::{Asked, Files, Lossy, Shape};
use super::room::Plan;
use super::seat::Draws;

/// Says why a model's weights would not survive eight bits, if they would not. It fits behind "since ". Where it has the leave
/// it may read all of them, so it is asked last.
pub(crate) type Unsound = dyn Fn(&Files, Leave<'_>) -> Result<Option<String>, EngineError> + Send + Sync;

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
    (unsound, leave): (&Unsound, Leave<'_>),
) -> Result<(Lossy, Plan), EngineError> {
    let mut short = match fits(seats, asked, pictures)? {
        Ok(plan) => return Ok((asked.shape.lossy, plan)),
        Err(short) => vec![(false, short)],
    };
    let mut keeping: Option<Vec<&dyn Draws>> = None;
    let mut why = None;
    for lossy in Lossy::RUNGS {
        // What was found unsound once is so on every rung.
        if !lossy.words().all(may) || (lossy.eights && why.is_some()) {
            continue;
        }
        // A device may have to be opened for it: nobody is asked before a rung needs it.
        let seats = match (lossy.eights, &mut keeping) {
            (false, _) => seats,
            (true, Some(keeping)) => keeping,
            (true, none) => none.insert(keeping_eights(seats, asked)?),
        };
        if seats.is_empty() {
            continue;
        }
        let asked = Asked { shape: Shape { lossy, ..asked.shape.clone() }, ..asked.clone() };
        match fits(seats, &asked, pictures)? {
            Err(more) => short.push((lossy.eights, more)),
            Ok(plan) if !lossy.eights => return Ok((lossy, plan)),
            Ok(plan) => match unsound(&asked.files, leave)? {
                None => return Ok((lossy, plan)),
                found => why = found,
            },
        }
    }
    // What eight bits would take is no figure to go by where they are out of the question.
    let least = short.iter().filter(|(eights, _)| !eights || why.is_none()).map(|(_, short)| *short);
    let (needed_bytes, free_bytes) = least.min().unwrap_or((u64::MAX, 0));
    Err(EngineError::OutOfMemory {
        needed_bytes,
        free_bytes,
        saves: Saves { allow: allow(seats, asked, may), unsound: why },
    })
}

/// The words of `allow_lossy` that would save memory on one of `seats`, and that neither stand in the picture's key nor are
/// allowed.
pub(super) fn allow(seats: &[&dyn Draws], asked: &Asked, may: &dyn Fn(&str) -> bool) -> Vec<&'static str> {
    let given_up: Vec<&str> = asked.shape.lossy.words().collect();
    // Nobody is refused for advice: where no device can say whether it keeps eight bits, they are not offered.
    let offered =
        |lossy: &Lossy| !lossy.eights || keeping_eights(seats, asked).is_ok_and(|keeping| !keeping.is_empty());
    let single = Lossy::RUNGS.into_iter().filter(|lossy| lossy.words().count() == 1);
    let wanted = single.filter(|lossy| !may(lossy.word()) && !given_up.contains(&lossy.word()));
    wanted.filter(offered).map(Lossy::word).collect()
}

/// The seats that keep weights in eight bits. One that cannot say keeps none: the others may.
///
/// # Errors
/// Why the first of them cannot be had, where none could say.
fn keeping_eights<'a>(seats: &[&'a dyn Draws], asked: &Asked) -> Result<Vec<&'a dyn Draws>, EngineError> {
    let (mut keeping, mut failed) = (Vec::with_capacity(seats.len()), None);
    let mut said = seats.is_empty();
    for seat in seats {
        match seat.keeps_eights(asked.shape.dtype) {
            Ok(keeps) => {
                said = true;
                keeping.extend(keeps.then_some(*seat));
            }
            Err(err) => _ = failed.get_or_insert(err),
        }
    }
    match failed {
        Some(err) if !said => Err(err),
        _ => Ok(keeping),
    }
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

    /// A device on which a picture takes 30 for its weights, 15 in eight bits, and 40 for decoding, 10 in tiles. `None` cannot
    /// say whether it keeps eight bits.
    struct Fake {
        free: u64,
        keeps: Option<bool>,
        asked: AtomicUsize,
    }

    fn fake(free: u64, keeps: Option<bool>) -> Fake {
        Fake { free, keeps, asked: AtomicUsize::new(0) }
    }

    impl Draws for Fake {
        fn class(&self, _: Dtype) -> String {
            "fake".to_owned()
        }

        fn fits(&self, _: &Files, asked: &Asked, pictures: usize) -> Result<Plan, EngineError> {
            let lossy = asked.shape.lossy;
            assert!(self.keeps == Some(true) || !lossy.eights, "asked of a device that cannot");
            room::fit(pictures, lossy, self.free, &|plan| {
                let weights = if plan.lossy.eights { 15 } else { 30 };
                Ok(weights + if plan.lossy.tiled_vae { 10 } else { 40 })
            })
        }

        fn keeps_eights(&self, dtype: Dtype) -> Result<bool, EngineError> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            Ok(self.keeps.ok_or_else(|| EngineError::Failed("open it".to_owned()))? && dtype == Dtype::Bf16)
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
        let (fake, looks) = (fake(free, Some(keeps)), Arc::new(AtomicUsize::new(0)));
        let mut asked = tests::asked("a", "p", 1);
        asked.shape.dtype = dtype;
        let (why, counted) = (unsound.map(str::to_owned), looks.clone());
        let look = move |_: &Files, _: Leave<'_>| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(why.clone())
        };
        let may = |word: &str| allowed.contains(&word);
        let said = match descend(&[&fake], &asked, 1, &may, (&look, Leave::Look)) {
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

    /// What is said where each of the seats has `free` and keeps eights, or does not, or cannot say, and how many were asked.
    fn among(free: u64, keeps: &[Option<bool>], allowed: &[&str]) -> (String, usize) {
        let fakes: Vec<Fake> = keeps.iter().map(|keeps| fake(free, *keeps)).collect();
        let seats: Vec<&dyn Draws> = fakes.iter().map(|fake| fake as &dyn Draws).collect();
        let mut asked = tests::asked("a", "p", 1);
        asked.shape.dtype = Dtype::Bf16;
        let may = |word: &str| allowed.contains(&word);
        let sound = |_: &Files, _: Leave<'_>| Ok(None);
        let said = match descend(&seats, &asked, 1, &may, (&sound, Leave::Look)) {
            Ok((lossy, _)) => lossy.word().to_owned(),
            Err(err) => err.to_string(),
        };
        (said, fakes.iter().map(|fake| fake.asked.load(Ordering::SeqCst)).sum())
    }

    #[test]
    fn a_device_that_cannot_say_spoils_no_picture_that_needs_no_eight_bits() {
        let check = |free: u64, keeps: &[Option<bool>], allowed: &[&str], expected: &str| {
            let (said, _) = among(free, keeps, allowed);
            assert!(said.contains(expected), "{said}");
        };
        // Nobody is asked before a rung needs it.
        assert_eq!(among(70, &[None], &BOTH), (String::new(), 0));
        assert_eq!(among(69, &[None], &BOTH), ("tiled-vae".to_owned(), 0));
        check(39, &[None], &["tiled-vae"], "with fewer pictures at once, or name a fallback");
        check(39, &[None], &[], "(`allow_lossy = [\"tiled-vae\"]`)");
        check(39, &[None, Some(true)], &["fp8"], "needs 1 kB");
        check(69, &[None, Some(true)], &["fp8"], "fp8");
        check(69, &[None, Some(false)], &["fp8"], "(`allow_lossy = [\"tiled-vae\"]`)");
        check(69, &[None, None], &["fp8"], "open it");
    }

    #[test]
    fn nobody_is_told_to_allow_what_the_picture_gives_up_already() {
        let fake = fake(1, Some(true));
        let check = |lossy: Lossy, allowed: &[&str], expected: &[&str]| {
            let mut asked = tests::asked("a", "p", 1);
            (asked.shape.dtype, asked.shape.lossy) = (Dtype::Bf16, lossy);
            assert_eq!(allow(&[&fake], &asked, &|word| allowed.contains(&word)), expected);
        };
        check(Lossy::NONE, &[], &BOTH);
        check(Lossy::NONE, &BOTH, &[]);
        check(Lossy::RUNGS[0], &[], &["fp8"]);
        check(Lossy::RUNGS[1], &["fp8"], &["tiled-vae"]);
        check(Lossy::RUNGS[2], &[], &[]);
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
