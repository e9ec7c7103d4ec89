//! What is generated from the ABI: headers by safer-ffi and cbindgen, a C file that compares the two, and C#.
//!
//! ```text
//! ffi/src/abi.rs, exports.rs ─┬─ safer-ffi ─► ffi/include/thumbforge.h            what C programs include
//!                             ├─ cbindgen ──► ffi/include/thumbforge_layout.h ─┐  a second opinion on sizes and values
//!                             ├─ layout ────► tests/abi/c/layout.c ◄───────────┘  holds both against each other
//!                             └─ csharp ────► unity-package/Editor/Native/NativeMethods.g.cs
//! ```
//! The library itself depends on none of the generators. All files are committed; a test compares them.
//! So are the `.meta` files of the Unity package ([`meta`]), which follow from its paths.
//! [`pack`] makes the package's archive out of them and the built programs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

mod csharp;
mod header;
mod layout;
pub mod meta;
pub mod pack;
mod seen;
mod surface;

use seen::abi;

/// A generated file.
pub struct Generated {
    /// Where it lies, relative to the repository.
    pub path: String,
    /// What it holds.
    pub text: String,
}

/// The Unity package, relative to the repository.
pub const PACKAGE: &str = "unity-package";

/// The repository's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Everything that is generated.
///
/// # Errors
/// When the ABI's source cannot be read, or says what no generator knows.
pub fn generate() -> io::Result<Vec<Generated>> {
    let abi = root().join("ffi/src/abi.rs");
    let surface = surface::read(&fs::read_to_string(&abi)?, &fs::read_to_string(root().join("ffi/src/exports.rs"))?)?;
    let file = |path: &str, text: String| Generated { path: path.to_owned(), text };
    let mut files = vec![
        file("ffi/include/thumbforge.h", header::functions(&surface)?),
        file("ffi/include/thumbforge_layout.h", header::layout(&abi, &surface)?),
        file("tests/abi/c/layout.c", layout::assertions(&surface)),
        file("unity-package/Editor/Native/NativeMethods.g.cs", csharp::bindings(&surface)?),
    ];
    // After the bindings, which are among the files that have one.
    let metas = meta::metas(&root().join(PACKAGE))?.wanted;
    files.extend(metas.into_iter().map(|(path, text)| file(&format!("{PACKAGE}/{path}"), text)));
    Ok(files)
}

/// `.meta` files of the package that describe nothing, relative to the repository.
///
/// # Errors
/// When the package cannot be read.
pub fn orphans() -> io::Result<Vec<String>> {
    let orphans = meta::metas(&root().join(PACKAGE))?.orphans;
    Ok(orphans.into_iter().map(|path| format!("{PACKAGE}/{path}")).collect())
}
