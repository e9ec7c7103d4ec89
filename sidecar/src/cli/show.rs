//! `thumbforge show FILE`: where a picture came from.

use std::path::PathBuf;

use clap::Args;

use super::{Context, exit};
use crate::build::BuildError;

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Pictures that Thumbforge wrote
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// `thumbforge show`.
pub(super) fn show(_context: &Context, args: &ShowArgs) -> Result<u8, BuildError> {
    let _ = &args.files;
    Ok(exit::DONE)
}
