//! Writes everything that is generated: `cargo run -p thumbforge-bindgen`.
//! Packs the Unity package: `cargo run -p thumbforge-bindgen -- pack`.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use thumbforge_bindgen::{generate, orphans, pack, root};

const USAGE: &str =
    "usage: thumbforge-bindgen                                                           write what is generated
       thumbforge-bindgen pack [--linux DIR] [--windows DIR] [--out DIR] [--plain]  pack the Unity package

  --linux DIR    a folder with libthumbforge.so and thumbforge     (default: the release build, if it has them)
  --windows DIR  a folder with thumbforge.dll and thumbforge.exe   (default: the release build, if it has them)
  --out DIR      where the archive is written                      (default: target/package)
  --plain        take programs that were built without C2PA (cargo feature dist) too";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let ended = match args.split_first() {
        None => write(),
        Some((verb, rest)) if verb == "pack" => match options(rest) {
            Ok(options) => pack::pack(&options).map(|packed| println!("{packed}")),
            Err(wrong) => return usage(&wrong),
        },
        Some((verb, _)) if verb == "--help" || verb == "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        Some((verb, _)) => return usage(&format!("there is no {verb:?}")),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("thumbforge-bindgen: {err}");
            ExitCode::FAILURE
        }
    }
}

fn usage(wrong: &str) -> ExitCode {
    eprintln!("thumbforge-bindgen: {wrong}\n{USAGE}");
    ExitCode::from(2)
}

/// What `pack` was told; what it was not told lies in cargo's folder.
fn options(args: &[String]) -> Result<pack::Options, String> {
    let (mut linux, mut windows, mut out) = (None, None, None);
    let mut plain = false;
    let mut args = args.iter();
    while let Some(flag) = args.next() {
        let place = match flag.as_str() {
            "--linux" => &mut linux,
            "--windows" => &mut windows,
            "--out" => &mut out,
            "--plain" => {
                plain = true;
                continue;
            }
            _ => return Err(format!("pack knows no {flag:?}")),
        };
        let folder = args.next().ok_or_else(|| format!("{flag} is followed by a folder"))?;
        if place.replace(PathBuf::from(folder)).is_some() {
            return Err(format!("{flag} is there twice"));
        }
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let release = |system: pack::System| {
        let folders = [target.join("release"), target.join(system.triple()).join("release")];
        folders.into_iter().find(|folder| system.is_complete(folder))
    };
    Ok(pack::Options {
        root: root(),
        linux: linux.or_else(|| release(pack::System::Linux)),
        windows: windows.or_else(|| release(pack::System::Windows)),
        out: out.unwrap_or_else(|| target.join("package")),
        plain,
    })
}

/// Writes what is generated, and removes a `.meta` whose file is gone.
fn write() -> io::Result<()> {
    for orphan in orphans()? {
        fs::remove_file(root().join(&orphan))?;
        println!("removed {orphan}");
    }
    for generated in generate()? {
        let path = root().join(&generated.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // A file that is as it should be keeps its time, so that nothing is built anew.
        if fs::read_to_string(&path).ok().as_deref() != Some(&generated.text) {
            fs::write(&path, generated.text)?;
            println!("wrote {}", generated.path);
        }
    }
    Ok(())
}
