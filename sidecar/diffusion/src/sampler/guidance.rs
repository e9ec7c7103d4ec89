//! How strongly the prompt pulls, and what models are asked for by default.

use serde::Deserialize;

use crate::weights::ModelKind;

const DEFAULTS: &str = include_str!("defaults.toml");

/// Classifier-free guidance, and skip-layer guidance on top of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Guidance {
    /// 1 and below: the model is asked with the prompt alone.
    pub scale: f32,
    /// `None`: no skip-layer guidance.
    pub skip: Option<SkipLayers>,
}

/// Skip-layer guidance: away from what the model sees with some of its blocks left out.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkipLayers {
    /// Blocks that are left out, from 0.
    pub layers: Vec<usize>,
    /// How strongly.
    pub scale: f32,
    /// It begins after this share of the steps,
    pub start: f64,
    /// and ends before this share.
    pub stop: f64,
}

impl Guidance {
    /// Whether the model is asked without the prompt too: then a batch has the pictures twice, without it first.
    pub fn doubles(&self) -> bool {
        self.scale > 1.0
    }

    /// The blocks to leave out in one more call of the model, with the prompt, at call `index` of a schedule of `steps`.
    /// Both ends of the window are outside it, and calls are counted, as diffusers does: so Heun's method, with two calls
    /// a step, leaves the window in half the steps. Without guidance there is none.
    pub fn skips(&self, index: usize, steps: usize) -> Option<&SkipLayers> {
        let (at, steps) = (index as f64, steps as f64);
        let inside = |skip: &&SkipLayers| at > steps * skip.start && at < steps * skip.stop;
        self.skip.as_ref().filter(|_| self.doubles()).filter(inside)
    }

    /// `without + scale · (with - without)` into `without`, and what `skipped` adds: `slg · (with - skipped)`.
    ///
    /// # Panics
    /// When they differ in length: a fault of the caller's code.
    pub fn combine(&self, without: &mut [f32], with: &[f32], skipped: Option<(&SkipLayers, &[f32])>) {
        assert_eq!(without.len(), with.len(), "with and without the prompt");
        for (to, with) in without.iter_mut().zip(with) {
            *to += self.scale * (with - *to);
        }
        if let Some((skip, skipped)) = skipped {
            assert_eq!(skipped.len(), with.len(), "with blocks left out");
            for ((to, with), skipped) in without.iter_mut().zip(with).zip(skipped) {
                *to += (with - skipped) * skip.scale;
            }
        }
    }
}

/// What a model's card says to use when nothing else was asked for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// The models that it is the card of, as the catalogue calls them.
    #[serde(default)]
    pub ids: Vec<String>,
    /// Steps.
    pub steps: usize,
    /// Guidance.
    pub guidance: f32,
    /// Shift of the schedule, where no configuration says another.
    pub shift: f64,
    /// What skip-layer guidance means where it is asked for without numbers.
    pub skip: Option<SkipLayers>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    medium: Defaults,
    large: Defaults,
    turbo: Defaults,
    other: Defaults,
}

impl Defaults {
    /// Those of a kind of model, from `defaults.toml`.
    pub fn of(kind: ModelKind) -> Self {
        let table = Table::read();
        match kind {
            ModelKind::Medium => table.medium,
            ModelKind::Large => table.large,
            ModelKind::Turbo => table.turbo,
            ModelKind::Other => table.other,
        }
    }

    /// Those of a model that the catalogue knows.
    pub fn of_id(id: &str) -> Option<Self> {
        let Table { medium, large, turbo, other } = Table::read();
        [medium, large, turbo, other].into_iter().find(|card| card.ids.iter().any(|known| known == id))
    }
}

impl Table {
    fn read() -> Self {
        #[expect(clippy::expect_used, reason = "the embedded table is read by a unit test")]
        toml::from_str(DEFAULTS).expect("the embedded table is read by a unit test")
    }
}
