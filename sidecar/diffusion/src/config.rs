//! What a model of the SD3.5 shape is made of: read from diffusers' JSON, or inferred from the tensors of a single file.

/// The transformer, MMDiT-X.
#[derive(Debug, Clone, PartialEq)]
pub struct MmditConfig {
    /// Joint blocks.
    pub depth: usize,
    /// Features of a token: heads times their size.
    pub hidden: usize,
    /// Attention heads.
    pub heads: usize,
    /// Which blocks attend to the image a second time (SD3.5 Medium: the first 13).
    pub dual: Vec<usize>,
    /// Whether q and k are normed by their root mean square (all of SD3.5).
    pub qk_norm: bool,
    /// Side of the square table of positions.
    pub position_side: usize,
    /// Side of a patch in latent pixels.
    pub patch: usize,
    /// Channels of the latents that go in.
    pub in_channels: usize,
    /// Channels of the velocity that comes out.
    pub out_channels: usize,
    /// Features of the text tokens that go in.
    pub context: usize,
    /// Features of the pooled text that goes in.
    pub pooled: usize,
}

/// The autoencoder.
#[derive(Debug, Clone, PartialEq)]
pub struct VaeConfig {
    /// Channels of each level, the picture's own first.
    pub channels: Vec<usize>,
    /// Residual blocks of a level on the way in; the way out has one more.
    pub layers: usize,
    /// Groups of the group norms.
    pub groups: usize,
    /// Channels of the latents.
    pub latent: usize,
    /// Latents are multiplied with this after the shift.
    pub scaling: f32,
    /// It is taken from the latents first.
    pub shift: f32,
}

impl VaeConfig {
    /// Picture pixels along a side of one latent pixel.
    pub fn factor(&self) -> usize {
        1 << (self.channels.len().saturating_sub(1))
    }
}

/// A CLIP text encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipConfig {
    /// Layers.
    pub layers: usize,
    /// Features of a token.
    pub hidden: usize,
    /// Attention heads.
    pub heads: usize,
    /// Features between the two linear layers of a block.
    pub inner: usize,
    /// Tokens that it knows.
    pub vocabulary: usize,
    /// Tokens of a text, 77.
    pub positions: usize,
    /// Its activation.
    pub act: ClipAct,
    /// Features of the pooled text.
    pub projection: usize,
    /// The token whose features are the pooled text, at its first place. Configurations that say 2 are older than the
    /// rule: there it is the token with the highest number.
    pub end: u32,
}

/// Activations of CLIP text encoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClipAct {
    /// x · sigmoid(1.702 x): CLIP-L.
    QuickGelu,
    /// The exact GELU: CLIP-G.
    Gelu,
}

/// The T5 v1.1 encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct T5Config {
    /// Layers.
    pub layers: usize,
    /// Features of a token.
    pub hidden: usize,
    /// Attention heads.
    pub heads: usize,
    /// Features of a head.
    pub head: usize,
    /// Features between the gated linear layers of a block.
    pub inner: usize,
    /// Tokens that it knows.
    pub vocabulary: usize,
    /// Buckets of relative positions.
    pub buckets: usize,
    /// The distance from which on all positions share the last bucket.
    pub distance: usize,
    /// Epsilon of the norms.
    pub eps: f32,
}
