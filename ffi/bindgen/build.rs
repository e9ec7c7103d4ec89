//! Copies the ABI's types with safer-ffi's attributes added, so that the library's own source needs none of them,
//! and its functions under other names: a program that is linked from both must find each name once.

use std::path::Path;
use std::{env, fs};

fn main() {
    let folder = env::var_os("OUT_DIR").expect("cargo names a folder");
    for (name, change) in [("abi.rs", annotated as fn(&str) -> String), ("exports.rs", renamed)] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src").join(name);
        println!("cargo::rerun-if-changed={}", source.display());
        let text = fs::read_to_string(&source).expect("the ABI lies beside this crate");
        // A file that is included has no opening comment of its own.
        let body: Vec<&str> = text.lines().filter(|line| !line.starts_with("//!")).collect();
        let copy = Path::new(&folder).join(name);
        fs::write(copy, change(&body.join("\n"))).expect("cargo's folder can be written to");
    }
}

/// Every function of `text` as a shape of itself; the header gets its name back.
fn renamed(text: &str) -> String {
    text.replace("fn tf_", "fn shape_of_tf_")
}

/// Every constant and struct of `text` as safer-ffi wants it.
fn annotated(text: &str) -> String {
    let mut annotated = String::new();
    for line in text.lines() {
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
