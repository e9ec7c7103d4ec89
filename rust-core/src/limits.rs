//! Every bound of the system, each with its reason.
//!
//! A bound that two places need stands here once; the `const` asserts hold those that depend on each other.

/// Smallest side of an image in pixels: below it neither text nor a subject can be made out.
pub const SIDE_MIN: u32 = 16;
/// Largest side of an image in pixels: the largest texture that Unity imports on every platform it targets.
pub const SIDE_MAX: u32 = 4096;
/// Longest prompt in bytes: ten times what any text encoder reads, and small enough to journal 10,000 of.
pub const PROMPT_BYTES_MAX: usize = 16 * 1024;
/// Longest text of one layer in bytes: more than fits on a thumbnail at the smallest size.
pub const LAYER_TEXT_BYTES_MAX: usize = 2 * 1024;
/// Most text layers of one recipe: each is shaped and checked pairwise.
pub const LAYERS_MAX: usize = 16;
/// Largest seed: the largest integer that JSON readers in every language keep exactly, 2^53 - 1.
pub const SEED_MAX: u64 = (1 << 53) - 1;
/// Most adapters (LoRA files) of one recipe.
pub const ADAPTERS_MAX: usize = 8;

const _: () = assert!(SIDE_MIN < SIDE_MAX);
const _: () = assert!(LAYERS_MAX * LAYER_TEXT_BYTES_MAX < 1 << 20);
