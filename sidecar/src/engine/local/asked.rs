//! A picture as the model thread is asked for it: read from what its realised key was made of, so that nothing is drawn
//! that the key does not say.

use std::path::PathBuf;
use std::sync::Arc;

use thumbforge_core::id::ContentHash;
use thumbforge_core::image::{Extent, ImageBuf};
use thumbforge_core::recipe::{Dtype, MaskMode, Noise, Operation, Realisation, Recipe, SkipLayers, Tier};

use super::super::EngineError;

/// Where a model's parts lie. Two of the same value are the same model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Files {
    /// A file, or a folder in the layout of diffusers or of single files.
    pub model: PathBuf,
    /// Folder of tokenizers.
    pub tokenizers: Option<PathBuf>,
    /// Text encoder CLIP-L, where it lies apart.
    pub clip_l: Option<PathBuf>,
    /// Text encoder CLIP-G.
    pub clip_g: Option<PathBuf>,
    /// Text encoder T5.
    pub t5: Option<PathBuf>,
    /// The autoencoder.
    pub vae: Option<PathBuf>,
    /// Adapters and their weights, in the order they apply.
    pub loras: Vec<(PathBuf, Weight)>,
    /// What they hold, once somebody has looked: a model whose files were replaced is another one, and opened anew.
    pub weights: Option<ContentHash>,
}

impl Files {
    /// Every place, adapters aside.
    pub(crate) fn places(&self) -> impl Iterator<Item = &PathBuf> {
        let Self { model, tokenizers, clip_l, clip_g, t5, vae, loras: _, weights: _ } = self;
        std::iter::once(model).chain(tokenizers).chain(clip_l).chain(clip_g).chain(t5).chain(vae)
    }
}

/// The weight of an adapter, compared by its bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weight(pub f32);

impl PartialEq for Weight {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Weight {}

impl std::hash::Hash for Weight {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// A picture to draw.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The model.
    pub files: Arc<Files>,
    /// What pictures of one call have in common.
    pub shape: Shape,
    /// Its seed.
    pub seed: u64,
    /// What is changed.
    pub source: Option<Source>,
    /// What it is for: whose share of a card's memory it takes.
    pub purpose: Purpose,
}

/// What a picture is for. It decides nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// To be looked at.
    Draft,
    /// One of a build's.
    Batch,
    /// To be kept, and larger than the model's own size.
    Final,
}

impl Purpose {
    /// Of a recipe.
    pub(crate) fn of(recipe: &Recipe) -> Self {
        match recipe.tier {
            Tier::Preview => Self::Draft,
            Tier::Production if recipe.size.pixels() > LARGE_PIXELS => Self::Final,
            Tier::Production => Self::Batch,
        }
    }
}

/// What SD3.5 was made for; beyond it a picture takes gigabytes to decode.
const LARGE_PIXELS: usize = 1024 * 1024;

/// What pictures of one call have in common.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shape {
    /// What the picture shows.
    pub prompt: String,
    /// What it does not show.
    pub negative: String,
    /// Its size.
    pub size: Extent,
    /// Denoising steps.
    pub steps: u32,
    /// Guidance scale.
    pub guidance: f64,
    /// Shift of the noise schedule.
    pub shift: f64,
    /// Sampler, by the word of the engine.
    pub sampler: String,
    /// Number format.
    pub dtype: Dtype,
    /// The class of device that the key names: another draws other bytes.
    pub class: String,
    /// Where noise comes from.
    pub noise: Noise,
    /// Skip-layer guidance.
    pub slg: Option<SkipLayers>,
    /// What of it gives way to memory.
    pub lossy: Lossy,
}

/// A picture that is changed.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// What is done.
    pub operation: Operation,
    /// It, of the size that is drawn.
    pub picture: Arc<ImageBuf>,
    /// How far it may be left.
    pub strength: f64,
    /// Where it may change.
    pub mask: Option<Mask>,
}

/// Where a picture may change.
#[derive(Debug, Clone)]
pub(crate) struct Mask {
    /// 0 (keep) to 255 (draw anew), of the picture's size.
    pub pixels: Arc<Vec<u8>>,
    /// What becomes of the rest.
    pub mode: MaskMode,
    /// Softened edge in pixels.
    pub feather_px: u32,
}

impl Asked {
    /// Whether `other` may be drawn in the same call: the same model and the same shape, and nothing that is changed.
    pub(crate) fn joins(&self, other: &Self) -> bool {
        self.source.is_none() && other.source.is_none() && self.files == other.files && self.shape == other.shape
    }
}

/// The setting of `name` in the realisation.
fn setting<T: std::str::FromStr>(realisation: &Realisation, name: &str) -> Result<T, EngineError> {
    let said = realisation.settings.get(name).and_then(|value| value.parse().ok());
    said.ok_or_else(|| {
        EngineError::Recipe(format!("draw with weights: the route has no sound {name:?}; plan it again"))
    })
}

impl Shape {
    /// What the realisation says of `recipe`.
    ///
    /// # Errors
    /// When another version of the router wrote it.
    pub(crate) fn read(recipe: &Recipe, realisation: &Realisation) -> Result<Self, EngineError> {
        let slg = realisation.settings.contains_key("slg").then(|| setting(realisation, "slg")).transpose()?;
        Ok(Self {
            prompt: recipe.prompt.clone(),
            negative: recipe.negative.clone(),
            size: recipe.size,
            steps: setting(realisation, "steps")?,
            guidance: setting(realisation, "guidance")?,
            shift: setting(realisation, "shift")?,
            sampler: setting(realisation, "sampler")?,
            dtype: setting(realisation, "dtype")?,
            class: realisation.device_class.clone(),
            noise: setting(realisation, "noise")?,
            slg,
            lossy: match realisation.settings.contains_key(LOSSY) {
                true => setting(realisation, LOSSY)?,
                false => Lossy::NONE,
            },
        })
    }
}

/// The setting that names what changed pixels to save memory. A picture that gives up nothing has none.
pub(crate) const LOSSY: &str = "lossy";

/// What of a picture gives way to memory: decided before it is drawn, and part of its realised key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Lossy {
    /// The autoencoder sees tiles.
    pub tiled_vae: bool,
    /// The matrices of the transformer's blocks are kept and multiplied in eight bits.
    pub eights: bool,
}

impl Lossy {
    /// Every pixel stays what it is.
    pub(crate) const NONE: Self = Self { tiled_vae: false, eights: false };

    /// What is given up, least first: tiles change the pixels around their seams, eight bits change all of them.
    pub(crate) const RUNGS: [Self; 3] = [
        Self { tiled_vae: true, eights: false },
        Self { tiled_vae: false, eights: true },
        Self { tiled_vae: true, eights: true },
    ];

    /// How it stands in settings: the words of `allow_lossy`, in the order of the ladder.
    pub(crate) const fn word(self) -> &'static str {
        match (self.tiled_vae, self.eights) {
            (false, false) => "",
            (true, false) => "tiled-vae",
            (false, true) => "fp8",
            (true, true) => "tiled-vae+fp8",
        }
    }

    /// The words of `allow_lossy` for what it gives up.
    pub(crate) fn words(self) -> impl Iterator<Item = &'static str> {
        self.word().split('+').filter(|word| !word.is_empty())
    }
}

impl std::str::FromStr for Lossy {
    type Err = ();

    /// One of [`Lossy::RUNGS`], spelled as it is written: another spelling would be another key of the same bytes.
    fn from_str(word: &str) -> Result<Self, ()> {
        Self::RUNGS.into_iter().find(|rung| rung.word() == word).ok_or(())
    }
}

/// What is changed, of pictures out of the store.
///
/// # Errors
/// When a picture is gone from the store, or none.
pub(crate) fn source(
    recipe: &Recipe,
    realisation: &Realisation,
    read: &dyn Fn(ContentHash) -> Result<ImageBuf, EngineError>,
) -> Result<Option<Source>, EngineError> {
    let Some(edit) = &recipe.edit else { return Ok(None) };
    let fit = |image: ImageBuf| super::super::cover(&image, recipe.size).map_err(EngineError::Failed);
    let Some(first) = edit.images.first() else {
        return Err(EngineError::Recipe("change a picture: the recipe names none".to_owned()));
    };
    let picture = fit(read(*first)?)?;
    let mask = match edit.mask {
        None => None,
        Some(mask) => {
            let mask = fit(read(mask)?)?;
            // Grey, so every channel says the same.
            let pixels = mask.pixels().chunks_exact(4).map(|pixel| pixel[0]).collect();
            Some(Mask {
                pixels: Arc::new(pixels),
                mode: setting(realisation, "mask_mode")?,
                feather_px: setting(realisation, "mask_feather")?,
            })
        }
    };
    Ok(Some(Source {
        operation: edit.operation,
        picture: Arc::new(picture),
        strength: setting(realisation, "strength")?,
        mask,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::provenance::tests::{realisation, recipe};

    #[test]
    fn what_is_given_up_is_read_as_it_is_written_and_no_other_way() {
        let rungs = Lossy::RUNGS.map(Lossy::word);
        assert_eq!(rungs, ["tiled-vae", "fp8", "tiled-vae+fp8"]);
        rungs.iter().zip(Lossy::RUNGS).for_each(|(word, rung)| assert_eq!(word.parse(), Ok(rung)));
        let check = |word: &str| assert_eq!(word.parse::<Lossy>(), Err(()), "{word}");
        ["", "fp8+tiled-vae", "tiled-vae+", "tiled-vae,fp8", "FP8", "fp4"].iter().for_each(|word| check(word));
        assert_eq!(Lossy::NONE.words().count(), 0);
        assert_eq!(Lossy::RUNGS[2].words().collect::<Vec<_>>(), ["tiled-vae", "fp8"]);
    }

    #[test]
    fn a_route_with_an_unknown_word_is_planned_again() {
        let settings = ["steps=4", "guidance=1", "shift=3", "sampler=Euler", "dtype=bf16", "noise=philox"];
        let read = |lossy: Option<&str>| {
            let settings = settings.iter().filter_map(|setting| setting.split_once('='));
            let settings = settings.chain(lossy.map(|word| (LOSSY, word)));
            let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            Shape::read(&recipe(), &Realisation { settings, ..realisation() })
        };
        assert_eq!(read(None).map(|shape| shape.lossy), Ok(Lossy::NONE));
        assert_eq!(read(Some("fp8")).map(|shape| shape.lossy), Ok(Lossy::RUNGS[1]));
        for word in ["", "fp4"] {
            let said = read(Some(word)).map(|shape| shape.lossy).expect_err("no rung").to_string();
            assert!(said.contains("no sound \"lossy\"; plan it again"), "{said}");
        }
    }
}
