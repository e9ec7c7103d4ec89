//! What a compiled image says of its kernels.
//!
//! A cubin is an ELF file of 64 bits for machine 190. Each kernel has a section `.text.NAME`, `.nv.shared.NAME` for the
//! shared memory that it declares, and `.nv.info.NAME` with attributes; `.nv.info` has those that name a kernel by its
//! symbol. An attribute is a format, a code, and a value: in the two bytes that follow where the format is 1 to 3, and of
//! the length in these two bytes where it is 4. NVIDIA publishes no description; codes are those that `cuobjdump -elf` and
//! `readelf` print beside their names, held here against what the compiler's log says of the same kernel.

use std::collections::BTreeMap;

use thiserror::Error;

/// `e_machine` of CUDA's images.
const MACHINE: u16 = 190;
/// Sections of a file: an image has some five for each kernel.
const SECTIONS_MAX: u16 = 16_384;
/// Bytes of a name.
const NAME_BYTES_MAX: usize = 1024;

/// What the system takes of each block's shared memory from compute capability 8.0 on. Images from 9.0 on count it in with
/// every kernel's own, and have a section for it.
const RESERVED_BYTES: u64 = 1024;

/// Bytes of all parameters, as two bytes.
const PARAM_SIZE: u8 = 0x19;
/// Threads along x, y and z that the kernel was compiled for at most.
const MAX_THREADS: u8 = 0x05;
/// A symbol, and the bytes of its stack frame.
const FRAME_SIZE: u8 = 0x11;
/// A symbol, and its registers.
const REGISTERS: u8 = 0x2f;

/// Why a file is no image, in words that follow "failed to".
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ElfError {
    /// It ends early, or points behind its end.
    #[error("read {what} of an image of {bytes} bytes: it lies at {at}")]
    Short {
        /// What was looked for.
        what: &'static str,
        /// Where.
        at: u64,
        /// Of the file.
        bytes: usize,
    },
    /// It is something else.
    #[error("read an image: {0}")]
    Other(String),
}

/// What one kernel takes, by its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kernel {
    /// Of a thread.
    pub registers: u32,
    /// Of a thread, in its stack: locals that are indexed and registers that were spilled.
    pub frame_bytes: u32,
    /// That it declares.
    pub shared_bytes: u32,
    /// Of all parameters.
    pub param_bytes: u32,
    /// Of a block, at most; 0 where it says nothing.
    pub threads: u32,
    /// Of machine code.
    pub code_bytes: u32,
}

/// Reads numbers where they are, and never behind the end.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn part(self, what: &'static str, at: u64, len: u64) -> Result<&'a [u8], ElfError> {
        let short = || ElfError::Short { what, at, bytes: self.0.len() };
        let start = usize::try_from(at).map_err(|_| short())?;
        let len = usize::try_from(len).map_err(|_| short())?;
        let end = start.checked_add(len).ok_or_else(short)?;
        self.0.get(start..end).ok_or_else(short)
    }

    fn number<const N: usize>(self, what: &'static str, at: u64) -> Result<[u8; N], ElfError> {
        let part = self.part(what, at, N as u64)?;
        part.try_into().map_err(|_| ElfError::Short { what, at, bytes: self.0.len() })
    }

    fn u16(self, what: &'static str, at: u64) -> Result<u16, ElfError> {
        self.number(what, at).map(u16::from_le_bytes)
    }

    fn u32(self, what: &'static str, at: u64) -> Result<u32, ElfError> {
        self.number(what, at).map(u32::from_le_bytes)
    }

    fn u64(self, what: &'static str, at: u64) -> Result<u64, ElfError> {
        self.number(what, at).map(u64::from_le_bytes)
    }

    /// The text at `at` of the strings `table`, up to its zero.
    fn name(self, table: &Section, at: u32) -> Result<&'a str, ElfError> {
        let strings = self.part("names", table.offset, table.bytes)?;
        let rest = strings.get(at as usize..).unwrap_or_default();
        let end = rest.iter().take(NAME_BYTES_MAX).position(|byte| *byte == 0);
        let name = end.and_then(|end| rest.get(..end)).and_then(|name| std::str::from_utf8(name).ok());
        name.ok_or_else(|| ElfError::Other(format!("a name at {at} of its strings has no end or is no text")))
    }
}

/// A header of a section.
#[derive(Debug, Clone, Copy)]
struct Section {
    name: u32,
    kind: u32,
    offset: u64,
    bytes: u64,
    link: u32,
}

/// `SHT_SYMTAB`.
const SYMBOLS: u32 = 2;
/// `SHT_NOBITS`: it has a size and no bytes in the file.
const NOBITS: u32 = 8;

/// Every kernel of `image` by its name.
///
/// # Errors
/// When it is no cubin, ends early, or points behind its end.
pub fn kernels(image: &[u8]) -> Result<BTreeMap<String, Kernel>, ElfError> {
    let bytes = Bytes(image);
    let ident = bytes.part("the head", 0, 16)?;
    if !ident.starts_with(b"\x7fELF\x02\x01") {
        return Err(ElfError::Other("it is no ELF file of 64 bits".to_owned()));
    }
    let machine = bytes.u16("the machine", 18)?;
    if machine != MACHINE {
        return Err(ElfError::Other(format!("it is for machine {machine}: CUDA's is {MACHINE}")));
    }
    let sections = sections(bytes)?;
    let names = bytes.u16("the section of names", 62)?;
    let names = *sections
        .get(usize::from(names))
        .ok_or_else(|| ElfError::Other(format!("names are in section {names} of {}", sections.len())))?;

    let mut kernels: BTreeMap<String, Kernel> = BTreeMap::new();
    for section in &sections {
        if let Some(name) = bytes.name(&names, section.name)?.strip_prefix(".text.") {
            let code_bytes = small(section.bytes)?;
            kernels.insert(name.to_owned(), Kernel { code_bytes, ..Kernel::default() });
        }
    }
    let symbols = symbols(bytes, &sections)?;
    let mut reserved = 0;
    for section in &sections {
        if bytes.name(&names, section.name)? == ".nv.shared.reserved.0" {
            reserved = RESERVED_BYTES;
        }
    }
    for section in &sections {
        let name = bytes.name(&names, section.name)?;
        if let Some(kernel) = name.strip_prefix(".nv.shared.").and_then(|name| kernels.get_mut(name)) {
            let counted = section.kind == NOBITS && section.bytes >= reserved;
            kernel.shared_bytes = small(if counted { section.bytes - reserved } else { section.bytes })?;
        } else if let Some(kernel) = name.strip_prefix(".nv.info.").and_then(|name| kernels.get_mut(name)) {
            own(bytes, section, kernel)?;
        } else if name == ".nv.info" {
            named(bytes, section, &symbols, &mut kernels)?;
        }
    }
    Ok(kernels)
}

/// A size that a kernel can have.
fn small(bytes: u64) -> Result<u32, ElfError> {
    u32::try_from(bytes).map_err(|_| ElfError::Other(format!("a kernel of it has a part of {bytes} bytes")))
}

fn sections(bytes: Bytes<'_>) -> Result<Vec<Section>, ElfError> {
    let start = bytes.u64("the place of sections", 40)?;
    let count = bytes.u16("the count of sections", 60)?;
    let each = bytes.u16("the size of a section's header", 58)?;
    if each != 64 || count > SECTIONS_MAX {
        return Err(ElfError::Other(format!("it has {count} sections with headers of {each} bytes")));
    }
    (0..u64::from(count))
        .map(|index| {
            let at = start.saturating_add(64 * index);
            let section = Bytes(bytes.part("a section's header", at, 64)?);
            Ok(Section {
                name: section.u32("a section's name", 0)?,
                kind: section.u32("a section's kind", 4)?,
                offset: section.u64("a section's place", 24)?,
                bytes: section.u64("a section's size", 32)?,
                link: section.u32("a section's link", 40)?,
            })
        })
        .collect()
}

/// The names of all symbols, in their order; attributes name them by it.
fn symbols<'a>(bytes: Bytes<'a>, sections: &[Section]) -> Result<Vec<&'a str>, ElfError> {
    let none = || ElfError::Other("it has no symbols".to_owned());
    let table = sections.iter().find(|section| section.kind == SYMBOLS).ok_or_else(none)?;
    let names = sections.get(table.link as usize).ok_or_else(none)?;
    let all = Bytes(bytes.part("symbols", table.offset, table.bytes)?);
    // 24 bytes each, and all of them in the file, which bounds their number.
    (0..table.bytes / 24).map(|index| bytes.name(names, all.u32("a symbol's name", 24 * index)?)).collect()
}

/// Code and value of every attribute of a section.
fn attributes(bytes: Bytes<'_>, section: &Section) -> Result<Vec<(u8, Vec<u8>)>, ElfError> {
    let all = Bytes(bytes.part("attributes", section.offset, section.bytes)?);
    let (mut at, mut attributes) = (0, Vec::new());
    while at < section.bytes {
        let [format, code, low, high] = all.number("an attribute", at)?;
        at += 4;
        let value = match format {
            1..=3 => vec![low, high],
            4 => {
                let len = u64::from(u16::from_le_bytes([low, high]));
                let value = all.part("an attribute's value", at, len)?.to_vec();
                at += len;
                value
            }
            _ => return Err(ElfError::Other(format!("an attribute {code:#04x} has the format {format}"))),
        };
        attributes.push((code, value));
    }
    Ok(attributes)
}

/// What a kernel's own section says.
fn own(bytes: Bytes<'_>, section: &Section, kernel: &mut Kernel) -> Result<(), ElfError> {
    for (code, value) in attributes(bytes, section)? {
        let value = Bytes(&value);
        match code {
            PARAM_SIZE => kernel.param_bytes = u32::from(value.u16("the size of parameters", 0)?),
            MAX_THREADS => {
                let (x, y, z) = (value.u32("threads", 0)?, value.u32("threads", 4)?, value.u32("threads", 8)?);
                kernel.threads = x.saturating_mul(y).saturating_mul(z);
            }
            _ => {}
        }
    }
    Ok(())
}

/// What the section for all kernels says of each.
fn named(
    bytes: Bytes<'_>,
    section: &Section,
    symbols: &[&str],
    kernels: &mut BTreeMap<String, Kernel>,
) -> Result<(), ElfError> {
    for (code, value) in attributes(bytes, section)? {
        if !matches!(code, REGISTERS | FRAME_SIZE) {
            continue;
        }
        let value = Bytes(&value);
        let (symbol, number) = (value.u32("a symbol", 0)?, value.u32("a number", 4)?);
        let name = symbols.get(symbol as usize);
        let Some(kernel) = name.and_then(|name| kernels.get_mut(*name)) else { continue };
        match code {
            REGISTERS => kernel.registers = number,
            _ => kernel.frame_bytes = number,
        }
    }
    Ok(())
}
