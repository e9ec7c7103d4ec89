//! The committed images and their table, held without a compiler against the sources and against what cards have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;

use thumbforge_cuda::launch::{declarations, shared};

use crate::cards::{CARDS, PARAM_BYTES_MAX, REGISTERS, REGISTERS_THREAD_MAX, SHARED_BYTES_STATIC_MAX};
use crate::elf::{self, ElfError};
use crate::nvrtc::{Logged, OPTIONS, logged};
use crate::sources;
use crate::table::{self, Table};

/// What to do where something is old.
const ANEW: &str = "run `cuda/compile/nvrtc.sh && cargo run -p thumbforge-cuda-compile`";

fn committed() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| table::read(&sources::folder().join("cubins")).expect("it is committed"))
}

fn image(card: &str) -> Vec<u8> {
    table::image(&sources::folder().join("cubins"), card).expect("it is committed")
}

fn sources() -> Vec<sources::Source> {
    sources::read(&sources::folder().join("kernels")).expect("they are committed")
}

/// What stands in the source as `KERNEL(name, Args, threads, blocks)`: name, struct and threads.
fn declared() -> BTreeMap<String, (String, u32)> {
    let mut kernels = BTreeMap::new();
    for source in sources() {
        if !source.name.ends_with(".cu") {
            continue;
        }
        for part in source.text.split("\nKERNEL(").skip(1) {
            let inside = part.split(')').next().unwrap_or_default();
            let parts: Vec<&str> = inside.split(',').map(str::trim).collect();
            let [name, args, threads, ..] = parts[..] else { panic!("KERNEL({inside}) in {}", source.name) };
            let threads = threads.parse().unwrap_or_else(|_| panic!("KERNEL({inside}) in {}", source.name));
            assert!(kernels.insert(name.to_owned(), (args.to_owned(), threads)).is_none(), "{name} stands twice");
        }
    }
    kernels
}

#[test]
fn every_source_of_kernels_is_in_the_one_image() {
    let sources = sources();
    let all = &sources.iter().find(|source| source.name == sources::ALL).expect("it is there").text;
    for source in sources.iter().filter(|source| source.name.ends_with(".cu") && source.name != sources::ALL) {
        let line = format!("#include \"{}\"", source.name);
        assert!(all.lines().any(|of| of == line), "{} lacks {line}", sources::ALL);
    }
}

#[test]
fn committed_images_are_those_of_the_sources() {
    assert_eq!(committed().sources, sources::hash(&sources(), &OPTIONS), "the images are old: {ANEW}");
    let names: Vec<&str> = committed().cards.keys().map(String::as_str).collect();
    let mut expected: Vec<&str> = CARDS.iter().map(|card| card.name).collect();
    expected.sort_unstable();
    assert_eq!(names, expected, "{ANEW}");
}

#[test]
fn the_table_tells_of_the_committed_images() {
    for card in CARDS {
        let (image, told) = (image(card.name), &committed().cards[card.name]);
        assert_eq!(told.bytes, image.len() as u64, "sm_{}: {ANEW}", card.name);
        assert_eq!(told.blake3, blake3::hash(&image).to_hex().to_string(), "sm_{}: {ANEW}", card.name);
        let kernels = elf::kernels(&image).expect("it is an image");
        assert!(kernels.keys().eq(told.kernels.keys()), "sm_{}: {ANEW}", card.name);
        for (name, kernel) in kernels {
            let told = told.kernels[&name];
            assert_eq!(
                (kernel.registers, kernel.frame_bytes, kernel.shared_bytes, kernel.param_bytes, kernel.threads),
                (told.registers, told.frame_bytes, told.shared_bytes, told.param_bytes, told.threads),
                "{name} for sm_{}: {ANEW}",
                card.name
            );
        }
    }
}

#[test]
fn every_kernel_is_in_every_image_and_takes_what_its_struct_has() {
    let declared = declared();
    let bytes: BTreeMap<&str, usize> =
        declarations().into_iter().map(|struct_of| (struct_of.name, struct_of.bytes)).collect();
    for card in CARDS {
        let kernels = &committed().cards[card.name].kernels;
        assert!(kernels.keys().eq(declared.keys()), "sm_{} has {:?}", card.name, kernels.keys());
        for (name, takes) in kernels {
            let (args, threads) = &declared[name];
            let bytes =
                bytes.get(args.as_str()).unwrap_or_else(|| panic!("{name} takes {args}, which nobody declares"));
            assert_eq!(takes.param_bytes as usize, *bytes, "{name} for sm_{}", card.name);
            assert_eq!(takes.threads, *threads, "{name} for sm_{}", card.name);
        }
    }
}

/// Names of kernels in the sources of launches: what stands in quotes there and has an element or a format in its name.
fn launched() -> BTreeSet<String> {
    fn visit(folder: &Path, names: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("it is committed") {
            let path = entry.expect("it is committed").path();
            if path.is_dir() {
                visit(&path, names);
            } else if !path.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&path).expect("it is committed");
                let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
                let quoted = code.split('"').skip(1).step_by(2);
                let kernel = |name: &&str| {
                    let plain =
                        name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
                    plain && (["_f32", "_bf16"].iter().any(|part| name.contains(part)) || name.starts_with("fp8_"))
                };
                names.extend(quoted.filter(kernel).map(str::to_owned));
            }
        }
    }
    let mut names = BTreeSet::new();
    visit(&sources::folder().join("src/launch"), &mut names);
    names
}

#[test]
fn every_kernel_that_is_launched_is_in_every_image_and_no_other() {
    // It works on sums alone, so no element is in its name.
    const NEITHER: &str = "group_norm_stats";
    let launched = launched();
    assert!(launched.len() > 20, "launches name {launched:?}");
    for card in CARDS {
        let kernels: BTreeSet<&String> = committed().cards[card.name].kernels.keys().collect();
        let absent: Vec<&String> = launched.iter().filter(|name| !kernels.contains(name)).collect();
        assert!(absent.is_empty(), "sm_{} lacks {absent:?}: {ANEW}", card.name);
        let idle: Vec<&&String> =
            kernels.iter().filter(|name| !launched.contains(**name) && name.as_str() != NEITHER).collect();
        assert!(idle.is_empty(), "nobody launches {idle:?}: they belong into cuda/lab");
    }
}

#[test]
fn nothing_is_spilled_and_every_block_fits() {
    for card in CARDS {
        for (name, takes) in &committed().cards[card.name].kernels {
            let who = format!("{name} for sm_{}", card.name);
            assert_eq!(takes.spill_bytes, 0, "{who} spills registers");
            assert_eq!(takes.frame_bytes, 0, "{who} keeps locals in memory");
            assert!(takes.registers <= REGISTERS_THREAD_MAX, "{who}");
            assert!((1..=card.threads_max.min(1024)).contains(&takes.threads), "{who} has {} threads", takes.threads);
            // Registers are given to warps in steps of 8 for each thread.
            let registers = takes.registers.next_multiple_of(8) * takes.threads.next_multiple_of(32);
            assert!(registers <= REGISTERS, "{who} takes {registers} registers for a block");
            assert!(takes.shared_bytes <= SHARED_BYTES_STATIC_MAX.min(card.shared_bytes_max), "{who}");
            assert!(takes.param_bytes <= PARAM_BYTES_MAX, "{who}");
        }
    }
}

#[test]
fn every_launch_finds_its_shared_memory_on_every_card_that_it_is_made_for() {
    let asked = shared();
    for card in CARDS {
        let capability: u32 = card.name.trim_end_matches('a').parse().expect("a number");
        let kernels = &committed().cards[card.name].kernels;
        for of in asked.iter().filter(|of| of.capability <= capability) {
            let takes = kernels.get(of.kernel).unwrap_or_else(|| panic!("no kernel is called {}: {ANEW}", of.kernel));
            let bytes = takes.shared_bytes + of.bytes;
            assert!(bytes <= card.shared_bytes_max, "{} on sm_{}: {bytes} bytes", of.kernel, card.name);
        }
        // Kernels that work on tiles keep them there; none of them may be forgotten above.
        let on_tiles = |name: &&String| {
            let families =
                ["gemm_bf16", "gemm_f32", "conv_", "fp8_gemm", "attention_64", "attention_512", "attention_wide"];
            families.iter().any(|family| name.starts_with(family))
        };
        let forgotten: Vec<&String> =
            kernels.keys().filter(on_tiles).filter(|name| asked.iter().all(|of| of.kernel != name.as_str())).collect();
        assert!(forgotten.is_empty(), "what do launches of {forgotten:?} ask for?");
    }
    // The largest are as large as the smallest cards of their kind let them be, so the test could fail.
    let most =
        |capability: u32| asked.iter().filter(|of| of.capability <= capability).map(|of| of.bytes).max().expect("some");
    assert!(most(89) > 96 << 10 && most(75) > 48 << 10, "{} {}", most(89), most(75));
}

#[test]
fn a_damaged_image_is_an_error() {
    let image = image("90a");
    let whole = elf::kernels(&image).expect("it is an image");
    // However much is left of it: never a panic. What lies behind the headers of sections, nobody reads.
    for len in (0..image.len()).step_by(image.len() / 100).chain(0..100) {
        match elf::kernels(&image[..len]) {
            Ok(cut) => assert!(cut == whole && len > image.len() / 2, "{len} bytes were enough"),
            Err(err) => assert!(matches!(err, ElfError::Short { .. } | ElfError::Other(_)), "{err}"),
        }
    }
    // Any byte of the head, and many of the rest, pushed out of place: an answer.
    let mut refused = 0;
    for at in (0..64).chain((64..image.len()).step_by(image.len() / 100)) {
        let mut damaged = image.clone();
        damaged[at] ^= 0xFF;
        refused += usize::from(elf::kernels(&damaged).is_err());
    }
    assert!(refused > 10, "{refused} were refused");
}

#[test]
fn other_files_are_no_images() {
    let check = |bytes: &[u8], expected: &str| {
        assert_eq!(elf::kernels(bytes).expect_err("it is none").to_string(), expected);
    };
    check(b"", "read the head of an image of 0 bytes: it lies at 0");
    check(&[0; 64], "read an image: it is no ELF file of 64 bits");
    let mut other = b"\x7fELF\x02\x01".to_vec();
    other.resize(64, 0);
    other[18] = 62;
    check(&other, "read an image: it is for machine 62: CUDA's is 190");
    other[18] = 190;
    check(&other, "read an image: it has 0 sections with headers of 0 bytes");
    other[58] = 64;
    check(&other, "read an image: names are in section 0 of 0");
    other[60] = 1;
    other[40..48].copy_from_slice(&u64::MAX.to_le_bytes());
    let far = ElfError::Short { what: "a section's header", at: u64::MAX, bytes: 64 };
    assert_eq!(elf::kernels(&other), Err(far));
}

#[test]
fn the_compilers_log_is_read() {
    let log = "ptxas warning : Value of threads per SM for entry norm is out of range. .minnctapersm will be ignored\n\
        ptxas info    : 0 bytes gmem\n\
        ptxas info    : Compiling entry function 'norm' for 'sm_80'\n\
        ptxas info    : Function properties for norm\n\
        ptxas         .     296 bytes stack frame, 584 bytes spill stores, 632 bytes spill loads\n\
        ptxas info    : Used 32 registers, used 1 barriers, 296 bytes cumulative stack size, 256 bytes smem, 376 bytes cmem[0]\n\
        ptxas info    : Compiling entry function 'gemm' for 'sm_80'\n\
        ptxas info    : Function properties for gemm\n\
        ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n\
        ptxas info    : Used 255 registers, used 0 barriers\n";
    let norm = Logged { registers: 32, frame_bytes: 296, spill_bytes: 1216, shared_bytes: 256 };
    let gemm = Logged { registers: 255, frame_bytes: 0, spill_bytes: 0, shared_bytes: 0 };
    let expected = BTreeMap::from([("norm".to_owned(), norm), ("gemm".to_owned(), gemm)]);
    assert_eq!(logged(log).expect("it is a log"), expected);
    assert!(logged("ptxas . 1 bytes stack frame, many bytes spill stores").is_err());
}
