//! Launches of attention.

use super::Declaration;

/// What its kernels take.
pub(super) const DECLARATIONS: &[Declaration] = &[];
