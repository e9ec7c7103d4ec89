//! The real binary under the tests' own name, so that suites get a process through `CARGO_BIN_EXE_sidecar`.

use std::process::ExitCode;

fn main() -> ExitCode {
    thumbforge_sidecar::cli::run(std::env::args_os())
}
