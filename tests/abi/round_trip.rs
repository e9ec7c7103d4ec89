//! Programs in C, C++ and C# that do everything once: against a sidecar that draws by script, and against the real one.

use std::path::Path;

use thumbforge::abi;
use thumbforge_tests::rig::Rig;

use crate::sidecar::Sidecar;
use crate::{Standard, compiled, library_folder, library_name, root, run};

/// The sidecar's binary.
const BINARY: &str = env!("CARGO_BIN_EXE_sidecar");

/// Compiles the program and runs it on a data directory.
fn c(standard: Standard, data_dir: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let program = compiled("round_trip.c", standard, folder.path(), &["-lthumbforge"]);
    assert_eq!(run(program, &[data_dir]), "all of it\n");
}

/// Compiles the program with the bindings and runs it on a data directory.
fn csharp(data_dir: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("RoundTrip.exe");
    let source = |path: &str| root().join(path).display().to_string();
    run(
        "mcs",
        &[
            "-unsafe".to_owned(),
            "-langversion:7.2".to_owned(),
            "-warn:4".to_owned(),
            "-warnaserror+".to_owned(),
            format!("-out:{}", program.display()),
            source("unity-package/Editor/Native/NativeMethods.g.cs"),
            source("tests/abi/csharp/RoundTrip.cs"),
        ],
    );
    // Mono looks beside the program.
    let library = folder.path().join(library_name());
    std::fs::copy(library_folder().join(library_name()), library).expect("a copy of the library");
    let printed = run("mono", &[Path::new(&program), Path::new(data_dir)]);
    let sizes = [
        ("TfText", size_of::<abi::TfText>()),
        ("TfOptions", size_of::<abi::TfOptions>()),
        ("TfRequest", size_of::<abi::TfRequest>()),
        ("TfCompletion", size_of::<abi::TfCompletion>()),
        ("TfJob", size_of::<abi::TfJob>()),
        ("TfProgress", size_of::<abi::TfProgress>()),
        ("TfTexture", size_of::<abi::TfTexture>()),
        ("TfSessionState", size_of::<abi::TfSessionState>()),
    ];
    let expected: String = sizes.iter().map(|(name, bytes)| format!("{name} {bytes}\n")).collect();
    assert_eq!(printed, expected + "all of it\n");
}

#[test]
fn c99_by_script() {
    c(Standard::C99, &Sidecar::start().data_dir());
}

#[test]
fn cpp17_by_script() {
    c(Standard::Cpp17, &Sidecar::start().data_dir());
}

#[test]
fn csharp_by_script() {
    csharp(&Sidecar::start().data_dir());
}

/// The real sidecar, on a data directory of its own.
fn real() -> (Rig, thumbforge_tests::rig::Sidecar) {
    let rig = Rig::new(BINARY);
    let sidecar = rig.serve(&[]);
    (rig, sidecar)
}

/// The program that the README shows, word for word; it starts its sidecar itself.
#[test]
fn the_readmes_program() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the README");
    let source = readme.split("```c\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a program in C");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("readme.c");
    std::fs::write(&file, source).expect("a file");
    let program = compiled(&file.display().to_string(), Standard::C99, folder.path(), &["-lthumbforge"]);
    let rig = Rig::new(BINARY);
    let printed = run(program, &[rig.data().as_path(), Path::new(BINARY)]);
    assert!(printed.starts_with("256 x 256 pixels at 0x"), "{printed}");
    let journal = thumbforge_tests::rig::journal::figures(&rig.journal());
    assert_eq!(journal.rendered, 1, "{journal:?}");
    stop_sidecar_of(&rig);
}

#[test]
fn c99_by_the_real_sidecar() {
    let (rig, _sidecar) = real();
    c(Standard::C99, &rig.data().display().to_string());
}

#[test]
fn c99_starts_the_real_sidecar() {
    let (rig, folder) = (Rig::new(BINARY), tempfile::tempdir().expect("a folder"));
    let program = compiled("round_trip.c", Standard::C99, folder.path(), &["-lthumbforge"]);
    assert_eq!(run(program, &[rig.data().as_path(), Path::new(BINARY)]), "all of it\n");
    stop_sidecar_of(&rig);
}

#[test]
fn cpp17_by_the_real_sidecar() {
    let (rig, _sidecar) = real();
    c(Standard::Cpp17, &rig.data().display().to_string());
}

#[test]
fn csharp_by_the_real_sidecar() {
    let (rig, _sidecar) = real();
    csharp(&rig.data().display().to_string());
}

/// A sidecar that a program started and left running ends when a newer one asks it to.
fn stop_sidecar_of(rig: &Rig) {
    use thumbforge_channel::client::{Link, Options, Session, Start};
    let newer = Options {
        build: "99.0.0".to_owned(),
        ..Options::new(rig.data(), "the end", Start::With { program: "/bin/false".into(), args: Vec::new() })
    };
    let session = Session::open(newer).expect("a session");
    thumbforge_tests::rig::wait_for("its end", thumbforge_tests::rig::PATIENCE, || {
        (session.state().link == Link::Down).then_some(())
    });
}
