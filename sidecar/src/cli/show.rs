//! `thumbforge show FILE`: where a picture came from.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use thumbforge_core::error::{ErrorCode, Failure, chain};

use super::{Context, exit, pretty, print_out};
use crate::build::BuildError;
use crate::output::show::describe;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  thumbforge show Thumbnails/sword/sword.ja.png
  thumbforge show --json *.png
  thumbforge show Store/sword.png --trust roots.pem    who signed it, and whether these roots vouch for them
Exit 7 says that a signature does not hold: the file was changed after it was signed.")]
pub(super) struct ShowArgs {
    /// Pictures
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Certificates in PEM that are trusted to vouch for who signed, as C2PA's trust list is one
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
}

/// Longest list of trusted certificates that is read; C2PA's own has some 100 KB.
const TRUST_BYTES_MAX: u64 = 16 << 20;

fn anchors(path: &Path) -> Result<String, Failure> {
    let failed = |why: String| {
        Failure::new(ErrorCode::InputFile, format!("failed to read the trusted certificates {}: {why}", path.display()))
    };
    let file = std::fs::File::open(path).map_err(|err| failed(err.to_string()))?;
    let mut text = String::new();
    file.take(TRUST_BYTES_MAX + 1).read_to_string(&mut text).map_err(|err| failed(err.to_string()))?;
    match text.len() as u64 > TRUST_BYTES_MAX {
        true => Err(failed(format!("it has more than {TRUST_BYTES_MAX} bytes"))),
        false => Ok(text),
    }
}

/// `thumbforge show`. Every file is looked at, whatever another one says.
pub(super) fn show(context: &Context, args: &ShowArgs) -> Result<u8, BuildError> {
    let anchors = args.trust.as_deref().map(anchors).transpose()?;
    let (mut shown, mut code) = (Vec::new(), exit::DONE);
    for file in &args.files {
        match describe(file, anchors.as_deref()) {
            Ok(one) => {
                // What cannot be read at all is worse, and told by its own code.
                if one.is_broken() && code == exit::DONE {
                    code = exit::GATE;
                }
                shown.push(one);
            }
            Err(err) => {
                let failure = Failure::new(err.code(), format!("failed to {}", chain(&err)));
                eprintln!("error[{}]: {}", failure.code, failure.message);
                code = exit::of(failure.code);
            }
        }
    }
    if context.json {
        print_out(&pretty(&shown));
    } else {
        let texts: Vec<String> = shown.iter().map(ToString::to_string).collect();
        print_out(&texts.join("\n"));
    }
    Ok(code)
}
