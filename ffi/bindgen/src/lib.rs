//! What is generated from the ABI: headers by safer-ffi and cbindgen, a C file that compares the two, and C#.
//!
//! ```text
//! ffi/src/abi.rs, exports.rs ─┬─ safer-ffi ─► ffi/include/thumbforge.h            what C programs include
//!                             ├─ cbindgen ──► ffi/include/thumbforge_layout.h ─┐  a second opinion on sizes and values
//!                             ├─ layout ────► tests/abi/c/layout.c ◄───────────┘  holds both against each other
//!                             └─ csharp ────► unity-package/Editor/Native/NativeMethods.g.cs
//! ```
//! The library itself depends on none of the generators. All files are committed; a test compares them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

mod csharp;
mod header;
mod layout;
mod seen;
mod surface;

use seen::abi;

/// A generated file.
pub struct Generated {
    /// Where it lies, relative to the repository.
    pub path: &'static str,
    /// What it holds.
    pub text: String,
}

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
    let file = |path, text: String| Generated { path, text };
    Ok(vec![
        file("ffi/include/thumbforge.h", header::functions(&surface)?),
        file("ffi/include/thumbforge_layout.h", header::layout(&abi, &surface)?),
        file("tests/abi/c/layout.c", layout::assertions(&surface)),
        file("unity-package/Editor/Native/NativeMethods.g.cs", csharp::bindings(&surface)?),
    ])
}
