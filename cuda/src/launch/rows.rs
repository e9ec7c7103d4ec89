//! Launches of what works row by row.

use super::Declaration;

/// What its kernels take.
pub(super) const DECLARATIONS: &[Declaration] = &[];
