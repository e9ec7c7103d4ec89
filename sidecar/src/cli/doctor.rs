//! `thumbforge doctor`: what works on this machine, what is missing, and what to do about it.

use super::{Context, exit, pretty, print_out};
use crate::build::BuildError;
use crate::command::doctor::look;
use crate::market::Shelf;

/// `thumbforge doctor`.
pub(super) fn doctor(context: &Context) -> Result<u8, BuildError> {
    // What is wrong with the settings is one of the things that it looks at.
    let shelf = context.shelf().map_err(|failure| failure.message);
    let market = shelf.as_ref().map(Shelf::now).map_err(String::as_str);
    let lines =
        look(&context.data_dir, market.as_deref().map_err(|problem| *problem), &context.user.ocr, context.today());
    if context.json {
        print_out(&pretty(&lines));
    } else {
        for line in &lines {
            print_out(&format!("{} {:<14} {}", if line.ok { "ok" } else { "--" }, line.what, line.says));
        }
    }
    Ok(exit::DONE)
}
