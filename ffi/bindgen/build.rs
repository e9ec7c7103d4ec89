//! Copies the ABI's types with safer-ffi's attributes added, so that the library's own source needs none of them.

use std::path::Path;
use std::{env, fs};

fn main() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/abi.rs");
    println!("cargo::rerun-if-changed={}", source.display());
    let text = fs::read_to_string(&source).expect("the ABI's types lie beside this crate");
    let folder = env::var_os("OUT_DIR").expect("cargo names a folder");
    fs::write(Path::new(&folder).join("abi.rs"), annotated(&text)).expect("cargo's folder can be written to");
}

/// Every constant and struct of `text` as safer-ffi wants it.
fn annotated(text: &str) -> String {
    let mut annotated = String::new();
    // A file that is included has no opening comment of its own.
    for line in text.lines().filter(|line| !line.starts_with("//!")) {
        match line {
            "#[repr(C)]" => annotated.push_str("#[derive_ReprC]\n"),
            line if line.starts_with("pub const ") => annotated.push_str("#[ffi_export]\n"),
            _ => {}
        }
        annotated.push_str(&line.replace("core::ffi::c_char", "safer_ffi::c_char"));
        annotated.push('\n');
    }
    annotated
}
