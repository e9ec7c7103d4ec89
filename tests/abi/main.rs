//! The C ABI as others see it: C99, C++17 and C# programs against the library's file, and the generated bindings.
//! And what ships it: the archive of the Unity package.

#[path = "../../ffi/src/tests/sidecar.rs"]
#[expect(dead_code, reason = "the library's own tests use more of it")]
mod sidecar;

mod generated;
mod load;
#[cfg(unix)]
mod package;
mod round_trip;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository").to_owned()
}

/// The folder of the library, which cargo puts beside the tests that depend on it.
fn library_folder() -> PathBuf {
    let folder = std::env::current_exe().expect("a path").parent().expect("a folder").to_owned();
    assert!(folder.join(library_name()).exists(), "no {} in {}", library_name(), folder.display());
    folder
}

/// What the library is called here.
fn library_name() -> String {
    format!("{}thumbforge{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

/// Runs a program to its end; what it printed.
#[track_caller]
fn run<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: &[S]) -> String {
    let mut command = Command::new(&program);
    command.args(args).env("LD_LIBRARY_PATH", library_folder());
    let output = command.output().unwrap_or_else(|err| panic!("{:?}: {err}", program.as_ref()));
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{printed}{said}", output.status);
    printed.into_owned()
}

/// How a file of C is taken.
#[derive(Clone, Copy)]
enum Standard {
    C99,
    C11,
    Cpp17,
}

/// Compiles a file of `tests/abi/c` into `folder`, with every warning an error; the program.
#[track_caller]
fn compiled(source: &str, standard: Standard, folder: &Path, more: &[&str]) -> PathBuf {
    let (compiler, language): (_, &[&str]) = match standard {
        Standard::C99 => ("cc", &["-std=c99"]),
        Standard::C11 => ("cc", &["-std=c11"]),
        Standard::Cpp17 => ("c++", &["-x", "c++", "-std=c++17"]),
    };
    let program = folder.join(source).with_extension("");
    let (root, library) = (root(), library_folder());
    let mut args: Vec<&OsStr> = language.iter().map(OsStr::new).collect();
    args.extend(["-Wall", "-Wextra", "-Werror", "-pedantic", "-O1", "-I"].map(OsStr::new));
    let (include, file) = (root.join("ffi/include"), root.join("tests/abi/c").join(source));
    args.extend([include.as_os_str(), file.as_os_str()]);
    args.extend(["-o".as_ref(), program.as_os_str(), "-L".as_ref(), library.as_os_str()]);
    args.extend(more.iter().map(OsStr::new));
    run(compiler, &args);
    program
}
