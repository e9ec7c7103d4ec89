//! Compiles the kernels of `cuda/kernels` for every card that is served.
//!
//! `cargo run -p thumbforge-cuda-compile` writes `cuda/cubins`; with `--check` it compiles, writes nothing, and ends with 1
//! where the committed files are not what comes out. It ends with 69 where NVRTC is not installed.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use thumbforge_cuda_compile::nvrtc::Nvrtc;
use thumbforge_cuda_compile::{sources, table};

/// `EX_UNAVAILABLE` of sysexits.h: something that is needed is not here.
const ABSENT: u8 = 69;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let check = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--check"] => true,
        _ => {
            eprintln!("usage: thumbforge-cuda-compile [--check]");
            return ExitCode::from(2);
        }
    };
    let folder = sources::folder();
    let nvrtc = match Nvrtc::find(folder.parent().unwrap_or(Path::new("."))) {
        Ok(nvrtc) => nvrtc,
        Err(err) => {
            eprintln!("failed to {err:#}");
            return ExitCode::from(ABSENT);
        }
    };
    match run(&nvrtc, &folder, check) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(err) => {
            eprintln!("failed to {err:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all is well.
fn run(nvrtc: &Nvrtc, folder: &Path, check: bool) -> Result<bool> {
    let (kernels, cubins) = (folder.join("kernels"), folder.join("cubins"));
    let sources = sources::read(&kernels)?;
    let made = table::make(nvrtc, &sources)?;
    for line in &made.warnings {
        eprintln!("{line}");
    }
    if check {
        let lines = table::differences(&made, &cubins).context("compare with what is committed")?;
        for line in &lines {
            eprintln!("{line}");
        }
        if !lines.is_empty() {
            eprintln!("cuda/cubins is not what cuda/kernels compiles to: cargo run -p thumbforge-cuda-compile");
        }
        return Ok(lines.is_empty());
    }
    table::write(&made, &cubins)?;
    let bytes: u64 = made.table.cards.values().map(|card| card.bytes).sum();
    let count = made.table.cards.values().map(|card| card.kernels.len()).max().unwrap_or(0);
    println!("{count} kernels for {} cards, {bytes} bytes unpacked, by {}", made.images.len(), nvrtc.path.display());
    Ok(true)
}
