//! `thumbforge doctor`: what works on this machine, what is missing, and what to do about it.

use super::{Context, exit, pretty, print_out};
use crate::build::BuildError;
use crate::command::doctor::look;

/// `thumbforge doctor`.
pub(super) fn doctor(context: &Context) -> Result<u8, BuildError> {
    let lines = look(&context.data_dir);
    if context.json {
        print_out(&pretty(&lines));
    } else {
        for line in &lines {
            print_out(&format!("{} {:<14} {}", if line.ok { "ok" } else { "--" }, line.what, line.says));
        }
    }
    Ok(exit::DONE)
}
