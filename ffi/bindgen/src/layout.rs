//! A C file that compiles only if the two headers agree on every size, offset and value.

use std::fmt::Write;

use crate::surface::Surface;

/// `layout.c`.
pub(crate) fn assertions(surface: &Surface) -> String {
    let mut text = String::from(
        "/* Compiles only if both headers agree; compiling it is the test.\n *\n * Written by `cargo run -p \
         thumbforge-bindgen`; do not edit it. */\n#include \"thumbforge.h\"\n#include \"thumbforge_layout.h\"\n\n\
         #ifdef __cplusplus\n#define SAME(what, one, other) static_assert((one) == (other), what)\n#else\n#define \
         SAME(what, one, other) _Static_assert((one) == (other), what)\n#endif\n",
    );
    for shape in &surface.structs {
        let name = &shape.name;
        let _ = writeln!(text, "\nSAME(\"{name}\", sizeof({name}_t), sizeof(Layout{name}));");
        for field in &shape.fields {
            let field = &field.name;
            let _ = writeln!(
                text,
                "SAME(\"{name}.{field}\", offsetof({name}_t, {field}), offsetof(Layout{name}, {field}));\n\
                 SAME(\"{name}.{field}\", sizeof((({name}_t *)0)->{field}), sizeof(((Layout{name} *)0)->{field}));"
            );
        }
    }
    text.push('\n');
    for constant in &surface.constants {
        let name = &constant.name;
        let _ = writeln!(text, "SAME(\"{name}\", {name}, Layout{name});");
    }
    text
}
