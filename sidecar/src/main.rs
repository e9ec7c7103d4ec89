//! The `thumbforge` binary: hand the arguments over, exit with the code that comes back.

use std::process::ExitCode;

fn main() -> ExitCode {
    thumbforge_sidecar::cli::run(std::env::args_os())
}
