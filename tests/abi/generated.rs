//! What is generated is what is committed, and the two headers agree.

use crate::{Standard, compiled, root};

#[test]
fn what_is_generated_is_fresh() {
    for generated in thumbforge_bindgen::generate().expect("the ABI's source") {
        let path = root().join(generated.path);
        let committed = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
        let old = committed != generated.text;
        assert!(!old, "{} is old: write it again with cargo run -p thumbforge-bindgen", generated.path);
    }
}

#[test]
fn both_headers_agree_in_c_and_in_cpp() {
    let folder = tempfile::tempdir().expect("a folder");
    for standard in [Standard::C11, Standard::Cpp17] {
        compiled("layout.c", standard, folder.path(), &["-c"]);
    }
}

#[test]
fn the_header_is_c99() {
    let folder = tempfile::tempdir().expect("a folder");
    for standard in [Standard::C99, Standard::Cpp17] {
        compiled("round_trip.c", standard, folder.path(), &["-c"]);
    }
}
