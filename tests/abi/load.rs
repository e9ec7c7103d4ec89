//! The library comes and goes, and leaves nothing behind.

use crate::sidecar::Sidecar;
use crate::{Standard, compiled, library_folder, library_name, run};

#[test]
#[cfg(target_os = "linux")]
fn loaded_and_unloaded_two_hundred_times_nothing_grows() {
    let sidecar = Sidecar::start();
    let folder = tempfile::tempdir().expect("a folder");
    let program = compiled("load.c", Standard::C99, folder.path(), &["-ldl", "-pthread"]);
    let library = library_folder().join(library_name()).display().to_string();
    println!("{}", run(program, &[sidecar.data_dir().as_str(), &library, "200"]));
}
