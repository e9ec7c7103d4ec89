//! `thumbforge show FILE`: where a picture came from.

use std::path::PathBuf;

use clap::Args;
use thumbforge_core::error::{Failure, chain};

use super::{Context, exit, pretty, print_out};
use crate::build::BuildError;
use crate::output::show::describe;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  thumbforge show Thumbnails/sword/sword.ja.png
  thumbforge show --json *.png")]
pub(super) struct ShowArgs {
    /// Pictures
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// `thumbforge show`. Every file is looked at, whatever another one says.
pub(super) fn show(context: &Context, args: &ShowArgs) -> Result<u8, BuildError> {
    let (mut shown, mut code) = (Vec::new(), exit::DONE);
    for file in &args.files {
        match describe(file) {
            Ok(one) => shown.push(one),
            Err(err) => {
                let failure = Failure::new(err.code(), format!("failed to {}", chain(&err)));
                eprintln!("error[{}]: {}", failure.code, failure.message);
                code = exit::of(failure.code);
            }
        }
    }
    if context.json {
        print_out(&pretty(&shown));
    } else {
        let texts: Vec<String> = shown.iter().map(ToString::to_string).collect();
        print_out(&texts.join("\n"));
    }
    Ok(code)
}
