//! The header that kernels include says what Rust says.

use super::*;

#[test]
fn the_header_is_fresh() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels/args.h");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, header()).expect("the header is written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == header(), "{} is stale: UPDATE=1 cargo test -p thumbforge-cuda header", path.display());
}
