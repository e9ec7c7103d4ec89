//! Launches of kernels: what each is given, in one struct that Rust and the kernel's source share.
//!
//! A kernel takes one struct by value. It is written down here once; `cuda/kernels/args.h` is made of it and holds the same
//! fields at the same places, so a launch cannot disagree with its kernel. Addresses are those of the card.

pub mod attention;
pub mod conv;
pub mod fp8;
pub mod gemm;
pub mod product;
pub mod rows;

#[cfg(test)]
mod tests;

/// An address in the card's memory; 0 where there is nothing.
pub type Address = u64;

/// A matrix in the card's memory, row-major. What its numbers are, the kernel's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Mat {
    /// Of its first number.
    pub at: Address,
    /// Rows.
    pub rows: u32,
    /// Columns.
    pub cols: u32,
    /// Numbers from one row to the next.
    pub stride: u32,
    /// Nothing: the struct has no hidden bytes.
    pub pad: u32,
}

/// What is done with the outcome of a product before it is stored; see `graph::Then`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Then {
    /// One of [`Then::STORE`], [`Then::ADD`], [`Then::TIMES`], [`Then::GATE`].
    pub kind: u32,
    /// Rows of the outcome for each row of the gate.
    pub tokens: u32,
    /// What is added to (rows repeat where there are fewer), multiplied with, or the residual.
    pub that: Mat,
    /// A row for every picture.
    pub gate: Mat,
}

impl Then {
    /// `out = y`
    pub const STORE: u32 = 0;
    /// `out = that + y`
    pub const ADD: u32 = 1;
    /// `out = that · y`
    pub const TIMES: u32 = 2;
    /// `out = that + gate · y`
    pub const GATE: u32 = 3;
}

/// Activations as kernels know them: 0 is none; then those of `graph::Act` in their order.
pub const ACTS: [&str; 5] = ["none", "silu", "gelu", "gelu_tanh", "quick_gelu"];

/// Why a launch cannot be made: a shape that is not the operation's, or an address that is nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("launch {what}: {reason}")]
pub struct Misfit {
    /// The operation.
    pub what: &'static str,
    /// What does not fit.
    pub reason: String,
}

/// A struct that a kernel takes.
///
/// # Safety
/// It is `repr(C)`, has no padding bytes, and `DECLARATION` names all of its fields, at their places.
pub unsafe trait Args: Copy + 'static {
    /// How C has it.
    const DECLARATION: Declaration;

    /// Its bytes.
    fn bytes(&self) -> &[u8] {
        // SAFETY: whoever implements this says that it has no padding, so all of its bytes are initialised.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).cast(), size_of::<Self>()) }
    }
}

/// How C has a struct.
#[derive(Debug, Clone, Copy)]
pub struct Declaration {
    /// Its name.
    pub name: &'static str,
    /// Bytes.
    pub bytes: usize,
    /// In their order.
    pub fields: &'static [Field],
}

/// A field of a struct.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its C type.
    pub of: &'static str,
    /// How many of them; 1 where it is no array.
    pub count: usize,
    /// Bytes before it.
    pub offset: usize,
}

/// A type that kernels know.
pub trait Plain {
    /// Its name in C.
    const C: &'static str;
    /// How many stand in a row.
    const COUNT: usize = 1;
}

macro_rules! plain {
    ($($rust:ty = $c:literal),* $(,)?) => { $(impl Plain for $rust { const C: &'static str = $c; })* };
}
plain!(u32 = "u32", i32 = "i32", u64 = "u64", f32 = "float", Mat = "Mat", Then = "Then");

impl<T: Plain, const N: usize> Plain for [T; N] {
    const C: &'static str = T::C;
    const COUNT: usize = N;
}

/// Declares a struct that kernels take. A hidden byte between its fields or behind them is an error of the compiler.
macro_rules! args {
    ($(#[$meta:meta])* $name:ident { $($(#[$about:meta])* $field:ident: $of:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq)]
        #[repr(C)]
        pub struct $name { $($(#[$about])* pub $field: $of),* }

        const _: () = assert!(size_of::<$name>() == 0 $(+ size_of::<$of>())*, "pad it with fields");

        // SAFETY: `repr(C)`, without padding by the assertion above, and all fields are listed by the macro.
        unsafe impl $crate::launch::Args for $name {
            const DECLARATION: $crate::launch::Declaration = $crate::launch::Declaration {
                name: stringify!($name),
                bytes: size_of::<$name>(),
                fields: &[$($crate::launch::Field {
                    name: stringify!($field),
                    of: <$of as $crate::launch::Plain>::C,
                    count: <$of as $crate::launch::Plain>::COUNT,
                    offset: std::mem::offset_of!($name, $field),
                }),*],
            };
        }
    };
}
pub(crate) use args;

/// What a launch of one kernel needs. Shapes are checked when it is made.
pub trait Launch {
    /// What the kernel takes.
    type Args: Args;

    /// Its name in the module.
    fn kernel(&self) -> &'static str;

    /// Blocks along x, y and z.
    fn grid(&self) -> [u32; 3];

    /// Threads of a block, all along x.
    fn threads(&self) -> u32;

    /// Bytes of shared memory beside what the kernel declares.
    fn shared_bytes(&self) -> u32 {
        0
    }

    /// What it is given.
    fn args(&self) -> &Self::Args;
}

/// What a kernel asks of a block's shared memory when it is launched, beside what it declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared {
    /// Its name.
    pub kernel: &'static str,
    /// Bytes.
    pub bytes: u32,
    /// The first cards that it is launched on: major times ten plus minor, 0 for all.
    pub capability: u32,
}

/// Every kernel that asks for any, with the most that it asks for on each kind of card.
pub fn shared() -> Vec<Shared> {
    let tiles = [gemm::TILES, conv::TILES, fp8::TILES].concat();
    let of = |(tile, capability): (product::Tile, u32)| Shared { kernel: tile.kernel, bytes: tile.shared, capability };
    let mut most: std::collections::BTreeMap<(&str, u32), Shared> = std::collections::BTreeMap::new();
    for shared in tiles.into_iter().map(of).chain(attention::shared()) {
        let known = most.entry((shared.kernel, shared.capability)).or_insert(shared);
        known.bytes = known.bytes.max(shared.bytes);
    }
    most.into_values().collect()
}

/// All structs that kernels take, in the order of `args.h`.
pub fn declarations() -> Vec<Declaration> {
    [gemm::DECLARATIONS, conv::DECLARATIONS, fp8::DECLARATIONS, attention::DECLARATIONS, rows::DECLARATIONS].concat()
}

/// The text of `cuda/kernels/args.h`.
pub fn header() -> String {
    let mut text = String::from(
        "// Made from cuda/src/launch.rs and its parts; `UPDATE=1 cargo test -p thumbforge-cuda header` makes it anew.\n\
         #pragma once\n\n\
         struct Mat { u64 at; u32 rows, cols, stride, pad; };\n\
         struct Then { u32 kind, tokens; Mat that, gate; };\n",
    );
    let text_of = |field: &Field| match field.count {
        1 => format!("    {} {};\n", field.of, field.name),
        many => format!("    {} {}[{many}];\n", field.of, field.name),
    };
    for declaration in declarations() {
        let fields: String = declaration.fields.iter().map(text_of).collect();
        text += &format!("\nstruct {} {{\n{fields}}};\n", declaration.name);
        text += &format!("static_assert(sizeof({0}) == {1}, \"{0}\");\n", declaration.name, declaration.bytes);
        // NVRTC does not know the offset of a field; the C++ compiler of the emulator reads the same text.
        text += "#ifndef __CUDACC_RTC__\n";
        for field in declaration.fields {
            text += &format!(
                "static_assert(__builtin_offsetof({0}, {1}) == {2}, \"{0}.{1}\");\n",
                declaration.name, field.name, field.offset
            );
        }
        text += "#endif\n";
    }
    text
}
