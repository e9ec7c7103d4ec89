//! What is asked of a provider, in terms that it has; and what it gives.

use bytes::Bytes;
use thumbforge_core::image::Extent;

/// One request, after translation: every size, seed and word in it is one that the model takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// What is to be done.
    pub task: Task,
    /// The model's name on the wire; empty where the server has one model and is not told which.
    pub model: String,
    /// What the picture shows.
    pub prompt: String,
    /// What it does not show; empty for nothing.
    pub negative: String,
    /// How large it is.
    pub size: AskedSize,
    /// How much work goes into it, in the model's own word; empty where it has none.
    pub quality: String,
    /// How many pictures; 1 unless the model makes several in one call.
    pub count: u32,
    /// The seed, in the provider's range; absent where it takes none.
    pub seed: Option<u64>,
    /// Denoising steps.
    pub steps: Option<u32>,
    /// Guidance scale.
    pub guidance: Option<f64>,
    /// Sampler, in the backend's own word.
    pub sampler: Option<String>,
    /// How far an edit may leave the picture, 0 to 1.
    pub strength: Option<f64>,
    /// Pictures that are changed or looked at, each a PNG.
    pub images: Vec<Bytes>,
    /// What is drawn anew, in the form that the model wants.
    pub mask: Option<Bytes>,
    /// Our own name for this call, never used twice: a UUID in lower case. Providers that take one know the call by it.
    pub nonce: String,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// Draw from the prompt.
    Generate,
    /// Change the first picture, inside the mask where there is one.
    Edit,
    /// Make the picture larger.
    Upscale,
}

/// How large a picture is asked to be.
#[derive(Debug, Clone, PartialEq)]
pub enum AskedSize {
    /// In pixels.
    Pixels(Extent),
    /// By ratio ("16:9") and, where the model has such words, by resolution ("1K").
    Ratio {
        /// Width to height.
        ratio: String,
        /// Word for how large.
        resolution: Option<String>,
    },
    /// As the model likes, or as the picture that is changed.
    Free,
}

/// A picture that came back.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// PNG, JPEG or WebP, as its own first bytes say.
    pub bytes: Bytes,
    /// The seed that the provider says it drew with.
    pub seed: Option<u64>,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// At least one.
    pub pictures: Vec<Picture>,
    /// What the provider says that it used.
    pub usage: Usage,
    /// The provider's name for the call.
    pub provider_id: Option<String>,
}

/// What a provider says that a call used; what it does not say is absent, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Its own price, in millionths of a US dollar.
    pub micros: Option<u64>,
    /// Tokens of the prompt's words.
    pub text_tokens: Option<u64>,
    /// Tokens of pictures that were sent.
    pub image_tokens: Option<u64>,
    /// Tokens of what came back.
    pub output_tokens: Option<u64>,
    /// Thousandths of a credit.
    pub credits_milli: Option<u64>,
}
