//! `thumbforge serve`: the sidecar as a process.

use clap::Args;

use super::{Context, exit};
use crate::build::BuildError;

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Port on this machine
    #[arg(long, value_name = "N")]
    port: Option<u16>,
}

/// `thumbforge serve`.
pub(super) fn serve(_context: &Context, args: &ServeArgs) -> Result<u8, BuildError> {
    let _ = args.port;
    Ok(exit::DONE)
}
