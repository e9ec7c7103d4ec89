//! Launches of products in eight bits.

use super::Declaration;

/// What its kernels take.
pub(super) const DECLARATIONS: &[Declaration] = &[];
