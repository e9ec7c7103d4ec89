//! Which fields each operation of Ideogram's second API takes for each model, as the vendor's description of 2026-10-07 has
//! them. What is not in here is never sent.

/// What an operation of a model takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fields {
    /// Whether it must be, and is, told what to draw.
    pub(super) prompt: bool,
    pub(super) negative: bool,
    /// Whether the prompt would be rewritten unless it is forbidden.
    pub(super) magic_prompt: bool,
    pub(super) seed: bool,
    pub(super) count: bool,
    /// Whether it may be asked to answer at once; those that always do have no such field.
    pub(super) asynchronous: bool,
    /// How its `aspect_ratio` is written.
    pub(super) ratio: Option<RatioForm>,
    /// The field for a size in pixels ("1024x1024").
    pub(super) pixels: Option<&'static str>,
    /// The field for a word of how large.
    pub(super) tier: Option<&'static str>,
    /// The field for how much work goes into it.
    pub(super) effort: Option<&'static str>,
    /// The field for denoising steps.
    pub(super) steps: Option<&'static str>,
    /// Whether it is told how closely the picture is followed.
    pub(super) weight: bool,
    pub(super) mask: Mask,
    pub(super) images: Images,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum RatioForm {
    /// "16x9"
    Cross,
    /// "16:9"
    Colon,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mask {
    None,
    May,
    Must,
}

/// Which pictures an operation takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Images {
    None,
    /// One, in `image`.
    One,
    /// One in `image`, and so many more in `reference_images`; one less with a mask.
    References(usize),
    /// Up to so many, in `images`.
    Many(usize),
}

/// An operation that takes a prompt and nothing else.
const PLAIN: Fields = Fields {
    prompt: true,
    negative: false,
    magic_prompt: false,
    seed: true,
    count: true,
    asynchronous: true,
    ratio: None,
    pixels: None,
    tier: None,
    effort: None,
    steps: None,
    weight: false,
    mask: Mask::None,
    images: Images::None,
};

/// Ideogram's own models before 4.
const SPEED: Fields = Fields { magic_prompt: true, effort: Some("rendering_speed"), ..PLAIN };

/// What `operation` of `model` takes. A model that is newer than this table is asked as ideogram-3 is: what it does not
/// take, it refuses before anything is billed.
pub(super) fn fields(operation: &str, model: &str) -> Option<Fields> {
    use Images::{Many, One, References};
    use RatioForm::{Colon, Cross};
    Some(match (operation, model) {
        ("generate", "ideogram-2") => Fields { ratio: Some(Cross), negative: true, ..SPEED },
        ("generate", "ideogram-2a") => Fields { ratio: Some(Cross), ..SPEED },
        ("generate", "ideogram-3-transparent") => {
            Fields { ratio: Some(Cross), negative: true, tier: Some("upscale_factor"), ..SPEED }
        }
        ("generate", "ideogram-4") => Fields { pixels: Some("resolution"), ..SPEED },
        ("generate", "ideogram-4-transparent") => {
            Fields { ratio: Some(Cross), tier: Some("output_resolution"), ..SPEED }
        }
        ("generate", "ideogram-4-5") => {
            Fields { pixels: Some("size"), effort: Some("quality"), images: Many(5), mask: Mask::May, ..SPEED }
        }
        ("generate", "auto") => Fields {
            ratio: Some(Cross),
            pixels: Some("resolution"),
            tier: Some("resolution_tier"),
            negative: true,
            effort: None,
            images: Many(10),
            ..SPEED
        },
        ("generate", "gpt-image-2") => Fields { pixels: Some("resolution"), images: Many(16), ..PLAIN },
        ("generate", model) if model.starts_with("gpt-image-") => {
            Fields { pixels: Some("resolution"), effort: Some("quality"), images: Many(16), mask: Mask::May, ..PLAIN }
        }
        ("generate", model) if model.starts_with("nano-banana-") => {
            Fields { ratio: Some(Colon), tier: Some("resolution_tier"), images: Many(10), ..PLAIN }
        }
        ("generate", "p-image-ideogram") => {
            Fields { ratio: Some(Cross), tier: Some("resolution"), effort: Some("quality"), ..SPEED }
        }
        ("generate", "z-image") => Fields { pixels: Some("resolution"), steps: Some("num_inference_steps"), ..PLAIN },
        ("generate", _) => Fields { ratio: Some(Cross), pixels: Some("resolution"), negative: true, ..SPEED },
        ("precise-edit", _) => Fields { effort: Some("quality"), mask: Mask::May, images: References(4), ..PLAIN },
        // Version 3 is repainted and remixed, version 4 remixed; those before it can neither.
        ("inpaint", "ideogram-2" | "ideogram-2a" | "ideogram-4" | "auto") => return None,
        ("remix", "ideogram-2" | "ideogram-2a") => return None,
        ("inpaint", _) => Fields { mask: Mask::Must, images: One, ..SPEED },
        ("remix", "ideogram-4") => {
            Fields { seed: false, magic_prompt: false, pixels: Some("resolution"), weight: true, images: One, ..SPEED }
        }
        ("remix", "auto") => Fields {
            ratio: Some(Cross),
            pixels: Some("resolution"),
            tier: Some("resolution_tier"),
            negative: true,
            effort: None,
            weight: true,
            images: One,
            ..SPEED
        },
        ("remix", _) => Fields {
            ratio: Some(Cross),
            pixels: Some("resolution"),
            negative: true,
            weight: true,
            images: One,
            ..SPEED
        },
        ("upscale", "nano-banana-pro") => Fields { count: false, tier: Some("resolution_tier"), images: One, ..PLAIN },
        ("upscale", model) => Fields {
            prompt: matches!(model, "topaz-bloom-2" | "topaz-redefine"),
            seed: model != "topaz-standard-2",
            count: false,
            tier: Some("upscale_factor"),
            images: One,
            ..PLAIN
        },
        ("reframe", "ideogram-3") => {
            Fields { prompt: false, magic_prompt: false, pixels: Some("resolution"), images: One, ..SPEED }
        }
        ("reframe", _) => Fields { prompt: false, asynchronous: false, ratio: Some(Colon), images: One, ..PLAIN },
        ("replace-background", model) => Fields {
            seed: false,
            asynchronous: false,
            effort: Some(if model.starts_with("gpt-image-") { "quality" } else { "rendering_speed" }),
            images: One,
            ..PLAIN
        },
        ("remove-background", _) => Fields { prompt: false, seed: false, count: false, images: One, ..PLAIN },
        ("remove-object", _) => {
            Fields { prompt: false, count: false, asynchronous: false, mask: Mask::Must, images: One, ..PLAIN }
        }
        _ => return None,
    })
}
