//! The two C headers, each by a generator that reads the ABI in its own way.

use std::io;
use std::path::Path;

use safer_ffi::headers::Language;

use crate::surface::Surface;

/// What C programs are told before the first line.
const BANNER: &str = "\
/* Thumbforge: the C ABI of the library that an editor loads.
 *
 * Written by `cargo run -p thumbforge-bindgen` from ffi/src/abi.rs and ffi/src/exports.rs; do not edit it.
 *
 * Threads    Any function may be called from any thread; nothing calls back. Only tf_wait waits for what is to happen;
 *            tf_close, and a tf_open that adopts, wait until calls of other threads on that session have left it.
 * Handles    64-bit numbers; 0 is none. One that was released, closed or never given out is TF_STALE_HANDLE.
 * Statuses   Every function that returns uint32_t returns one, TF_OK on success; tf_last_error says why it failed.
 *            Only tf_abi_version returns a number of its own.
 * Structs    Set struct_size before the call, in an output too. Fields are only ever appended: an older caller's struct
 *            is filled up with zeroes, a newer caller's must be 0 where this library ends.
 * Text       UTF-8 by pointer and length, without a terminator.
 * Memory     What you pass stays yours and is not kept. What a completion lends is yours until tf_release.
 * Unloading  Possible once every session is closed and the threads that made calls have ended; until then the C library
 *            keeps the library where it is. Editors never unload it.
 */
";

/// `thumbforge.h`, by safer-ffi, in the order of the source.
///
/// # Errors
/// When the header does not hold what the source does.
pub(crate) fn functions(surface: &Surface) -> io::Result<String> {
    let mut header = Vec::new();
    safer_ffi::headers::builder()
        .with_language(Language::C)
        .with_guard("THUMBFORGE_H")
        .with_banner(BANNER)
        .to_writer(&mut header)
        .generate()?;
    let header = String::from_utf8(header).map_err(io::Error::other)?;
    // Names of the build script's, which no program may export beside the library's.
    arranged(&header.replace("shape_of_tf_", "tf_"), surface)
}

/// How every item begins.
const ITEM: &str = "\n/** \\brief\n";

/// safer-ffi sorts by name; a person reads constants, structs and functions in the order of a session's life.
fn arranged(header: &str, surface: &Surface) -> io::Result<String> {
    let (head, rest) = header.split_once(ITEM).ok_or_else(|| io::Error::other("a header without items"))?;
    // Its epilogue has a quotation mark too many in a comment.
    let (items, _) =
        rest.split_once("\n\n#ifdef __cplusplus\n}").ok_or_else(|| io::Error::other("a header without end"))?;
    let mut items: Vec<&str> = items.split(ITEM).collect();
    let mut text = head.to_owned();
    let constants = surface.constants.iter().map(|constant| format!("#define {} ", constant.name));
    let structs = surface.structs.iter().map(|shape| format!("}} {}_t;", shape.name));
    let functions = surface.functions.iter().map(|function| format!("\n{} (", function.name));
    for mark in constants.chain(structs).chain(functions) {
        let at = items.iter().position(|item| item.contains(&mark));
        let at = at.ok_or_else(|| io::Error::other(format!("no {mark:?} in safer-ffi's header")))?;
        text.push_str(&ITEM.replace("\\brief", ""));
        text.push_str(items.remove(at).trim_end());
        text.push('\n');
    }
    if !items.is_empty() {
        return Err(io::Error::other(format!("safer-ffi's header has more than the source: {items:?}")));
    }
    text.push_str("\n#ifdef __cplusplus\n} /* extern \"C\" */\n#endif\n\n#endif /* THUMBFORGE_H */\n");
    Ok(text.replace("/** \\brief\n", "/**\n").replace("/** \n", "/**\n").replace("\n\n\n", "\n\n"))
}

/// `thumbforge_layout.h`, by cbindgen: the same types and constants under other names.
///
/// # Errors
/// When cbindgen cannot read the source.
pub(crate) fn layout(abi: &Path, surface: &Surface) -> io::Result<String> {
    let config = cbindgen::Config {
        language: cbindgen::Language::C,
        header: Some(
            "/* A second opinion on sizes, offsets and values, for tests/abi/c/layout.c; programs include thumbforge.h.\n \
             *\n * Written by `cargo run -p thumbforge-bindgen`; do not edit it. */"
                .to_owned(),
        ),
        include_guard: Some("THUMBFORGE_LAYOUT_H".to_owned()),
        documentation: false,
        no_includes: true,
        sys_includes: vec!["stdint.h".to_owned()],
        cpp_compat: true,
        export: cbindgen::ExportConfig {
            prefix: Some("Layout".to_owned()),
            // No function that cbindgen sees uses them.
            include: surface.structs.iter().map(|shape| shape.name.clone()).collect(),
            ..Default::default()
        },
        ..Default::default()
    };
    let builder = cbindgen::Builder::new().with_config(config).with_src(abi);
    let mut header = Vec::new();
    builder.generate().map_err(|err| io::Error::other(err.to_string()))?.write(&mut header);
    String::from_utf8(header).map_err(io::Error::other)
}
