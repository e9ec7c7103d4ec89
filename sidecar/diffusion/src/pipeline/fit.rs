//! How a request is squeezed into the memory that is free: what costs nothing but time first, what changes pixels last
//! and only where it is allowed.
//!
//! ```text
//! all pictures at once ─► fewer at once ─► … ─► one, with and without the prompt in turn
//!   └─ then the same with text encoders that leave when the text is read
//!        └─ then both with a tiled autoencoder, if that is allowed
//!             └─ then all of it with weights of fewer bits, if there are any and that is allowed
//! ```

use crate::error::DiffusionError;
use crate::pipeline::estimate::Estimate;
use crate::pipeline::request::{Guided, Keep, Layout, Lossy};
use crate::vae::tiles::Tiles;

/// Which weights a request is drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Choice {
    /// Those that were asked for.
    Asked,
    /// The same of fewer bits.
    Quantised,
}

/// What may be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits<'a> {
    /// Bytes that may be held.
    pub free_bytes: u64,
    /// Pictures of the request.
    pub pictures: usize,
    /// Whether there is guidance, so that there is something to do in turn.
    pub guided: bool,
    /// Whether there are weights of fewer bits.
    pub quantised: bool,
    /// What may change pixels.
    pub allow: &'a [Lossy],
}

/// How a request fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// With which weights.
    pub choice: Choice,
    /// How it is drawn.
    pub layout: Layout,
    /// What that takes.
    pub estimate: Estimate,
    /// What of it changes pixels: a part of the realised recipe.
    pub lossy: Vec<Lossy>,
}

/// Of several estimates, the one that came closest, for the refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The least that any layout needs.
    pub needed_bytes: u64,
    /// What is free.
    pub free_bytes: u64,
    /// The parts of that least.
    pub estimate: Estimate,
    /// What would help and is not allowed, with the bytes that it would take the need down to.
    pub refused: Vec<(Lossy, u64)>,
}

impl Unfit {
    /// As a refusal.
    pub fn error(&self) -> DiffusionError {
        DiffusionError::OutOfMemory { needed_bytes: self.needed_bytes, free_bytes: self.free_bytes }
    }
}

/// The first layout on the way down that fits; `estimate` says what one takes.
///
/// # Errors
/// What `estimate` says, or that nothing fits.
pub fn fit(
    limits: &Limits<'_>,
    mut estimate: impl FnMut(Choice, &Layout) -> Result<Estimate, DiffusionError>,
) -> Result<Result<Fit, Unfit>, DiffusionError> {
    let mut least: Option<Estimate> = None;
    for lossy in ladder(limits).filter(|lossy| lossy.iter().all(|step| limits.allow.contains(step))) {
        let choice = choice(&lossy);
        for layout in layouts(limits, &lossy) {
            let estimate = estimate(choice, &layout)?;
            if estimate.peak_bytes <= limits.free_bytes {
                return Ok(Ok(Fit { choice, layout, estimate, lossy }));
            }
            least = Some(match least {
                Some(least) if least.peak_bytes <= estimate.peak_bytes => least,
                _ => estimate,
            });
        }
    }
    let mut refused = Vec::new();
    for step in [Lossy::TiledVae, Lossy::QuantisedWeights].into_iter().filter(|step| !limits.allow.contains(step)) {
        let lossy: Vec<Lossy> = [step].into_iter().collect();
        if let (true, Some(layout)) = (ladder(limits).any(|rung| rung == lossy), layouts(limits, &lossy).pop()) {
            let needed = estimate(choice(&lossy), &layout)?.peak_bytes;
            if least.as_ref().is_some_and(|least| needed < least.peak_bytes) {
                refused.push((step, needed));
            }
        }
    }
    let estimate = least.unwrap_or_else(|| Estimate::of(Vec::new()));
    Ok(Err(Unfit { needed_bytes: estimate.peak_bytes, free_bytes: limits.free_bytes, estimate, refused }))
}

fn choice(lossy: &[Lossy]) -> Choice {
    if lossy.contains(&Lossy::QuantisedWeights) { Choice::Quantised } else { Choice::Asked }
}

/// What may change pixels, from nothing to everything.
fn ladder(limits: &Limits<'_>) -> impl Iterator<Item = Vec<Lossy>> + use<> {
    use Lossy::{QuantisedWeights, TiledVae};
    let quantised = limits.quantised;
    let rungs = [vec![], vec![TiledVae], vec![QuantisedWeights], vec![TiledVae, QuantisedWeights]];
    rungs.into_iter().filter(move |rung| quantised || !rung.contains(&QuantisedWeights))
}

/// From the widest to the narrowest. At most some thirty: pictures are halved.
fn layouts(limits: &Limits<'_>, lossy: &[Lossy]) -> Vec<Layout> {
    let tiles = lossy.contains(&Lossy::TiledVae).then_some(Tiles::USUAL);
    let halves =
        std::iter::successors(Some(limits.pictures.max(1)), |pictures| (*pictures > 1).then(|| pictures.div_ceil(2)));
    let together = halves.map(|pictures| (pictures, Guided::Together));
    let widths: Vec<_> = together.chain(limits.guided.then_some((1, Guided::Apart))).collect();
    let of_text = |text: Keep| widths.iter().map(move |(pictures, guided)| (*pictures, *guided, text));
    let all = of_text(Keep::Stays).chain(of_text(Keep::Leaves));
    all.map(|(pictures, guided, text)| Layout { pictures, guided, text, tiles }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::estimate::{Phase, PhaseKind};

    /// A model of 10 GB, 4 of text encoders, 2 in fewer bits; 1 GB for each row; 6 GB for the autoencoder, 1 in tiles.
    fn model(choice: Choice, layout: &Layout) -> Result<Estimate, DiffusionError> {
        let text = if layout.text == Keep::Stays { 4 } else { 0 };
        let weights = text + if choice == Choice::Asked { 10 } else { 2 };
        let rows = layout.pictures as u64 * if layout.guided == Guided::Together { 2 } else { 1 };
        let arena = rows.max(if layout.tiles.is_some() { 1 } else { 6 });
        let phase = Phase {
            kind: PhaseKind::Denoise,
            weights_bytes: weights,
            arena_bytes: arena,
            workspace_bytes: 0,
            flops: 0,
        };
        Ok(Estimate::of(vec![phase]))
    }

    type Expected<'a> = (usize, Guided, Keep, &'a [Lossy]);

    #[track_caller]
    fn check(free_bytes: u64, allow: &[Lossy], expected: Option<Expected<'_>>) {
        let limits = Limits { free_bytes, pictures: 8, guided: true, quantised: true, allow };
        let fitted = fit(&limits, model).unwrap().ok();
        let got = fitted.as_ref().map(|fit| (fit.layout.pictures, fit.layout.guided, fit.layout.text, &fit.lossy[..]));
        assert_eq!(got, expected, "{free_bytes} with {allow:?}");
        if let Some(fit) = fitted {
            assert_eq!(fit.layout.tiles.is_some(), fit.lossy.contains(&Lossy::TiledVae));
            assert_eq!(fit.choice == Choice::Quantised, fit.lossy.contains(&Lossy::QuantisedWeights));
            assert!(fit.estimate.peak_bytes <= free_bytes);
        }
    }

    #[test]
    fn time_is_given_before_pixels() {
        use Guided::{Apart, Together};
        use Keep::{Leaves, Stays};
        use Lossy::{QuantisedWeights, TiledVae};
        let both = &[TiledVae, QuantisedWeights];
        check(30, both, Some((8, Together, Stays, &[])));
        check(29, both, Some((4, Together, Stays, &[])));
        check(20, both, Some((2, Together, Stays, &[])));
        check(19, both, Some((4, Together, Leaves, &[])));
        check(16, both, Some((2, Together, Leaves, &[])));
        check(15, both, Some((1, Apart, Stays, &[TiledVae])));
        check(14, both, Some((2, Together, Leaves, &[TiledVae])));
        check(11, both, Some((1, Apart, Leaves, &[TiledVae])));
        check(10, both, Some((4, Together, Leaves, &[QuantisedWeights])));
        check(10, &[QuantisedWeights], Some((4, Together, Leaves, &[QuantisedWeights])));
        check(3, both, Some((1, Apart, Leaves, both)));
        check(2, both, None);
    }

    #[test]
    fn pixels_are_not_changed_unasked() {
        check(15, &[], None);
        check(15, &[Lossy::QuantisedWeights], Some((4, Guided::Together, Keep::Stays, &[Lossy::QuantisedWeights])));
        check(10, &[Lossy::TiledVae], None);
    }

    #[test]
    fn a_refusal_says_what_is_lacking() {
        let limits = Limits { free_bytes: 15, pictures: 8, guided: true, quantised: true, allow: &[] };
        let unfit = fit(&limits, model).unwrap().unwrap_err();
        assert_eq!((unfit.needed_bytes, unfit.free_bytes), (16, 15));
        assert_eq!(unfit.refused, [(Lossy::TiledVae, 11), (Lossy::QuantisedWeights, 8)]);
        assert_eq!(unfit.error(), DiffusionError::OutOfMemory { needed_bytes: 16, free_bytes: 15 });
        let unfit = fit(&Limits { quantised: false, ..limits }, model).unwrap().unwrap_err();
        assert_eq!(unfit.refused, [(Lossy::TiledVae, 11)]);
    }

    #[test]
    fn nothing_is_done_in_turn_without_guidance() {
        let limits = Limits { free_bytes: 11, pictures: 1, guided: false, quantised: false, allow: &[Lossy::TiledVae] };
        let asked = |choice: Choice, layout: &Layout| {
            assert_eq!(layout.guided, Guided::Together);
            model(choice, layout)
        };
        assert!(fit(&limits, asked).unwrap().is_err());
    }
}
