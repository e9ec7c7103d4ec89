//! A test of this crate's own sources: nothing in them may give other bytes on another machine or in another run.

use std::path::{Path, PathBuf};

/// Functions of the standard library that are computed by the system's C library, or fused where the processor can.
const TRANSCENDENTAL: [&str; 24] = [
    "sin", "cos", "tan", "sin_cos", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "exp", "exp2", "exp_m1",
    "ln", "ln_1p", "log", "log2", "log10", "powf", "powi", "cbrt", "hypot", "mul_add",
];
/// What depends on the run: iteration order, clock, environment.
const OF_THE_RUN: [&str; 5] = ["HashMap", "HashSet", "std::time", "std::env", "thread_rng"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        let is_test = ["tests", "tests.rs", "portable.rs"].iter().any(|name| path.ends_with(name));
        if path.is_dir() && !is_test {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") && !is_test {
            found.push(path);
        }
    }
}

#[test]
fn nothing_depends_on_the_machine_or_the_run() {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 40, "only {} sources were found", found.len());
    let mut calls = Vec::new();
    for path in found {
        let source = std::fs::read_to_string(&path).expect("a source");
        for (number, line) in source.lines().enumerate() {
            let transcendental = TRANSCENDENTAL.iter().any(|name| {
                [format!(".{name}("), format!("f32::{name}"), format!("f64::{name}")]
                    .iter()
                    .any(|call| line.contains(call))
            });
            if transcendental || OF_THE_RUN.iter().any(|word| line.contains(word)) {
                calls.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(calls.is_empty(), "use libm and ordered collections: {calls:#?}");
}
