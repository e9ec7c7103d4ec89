//! The scripted provider as a process, for benchmarks and for clients in other languages.
//!
//! It prints `listening on http://127.0.0.1:PORT`, and ends when its standard input does, so that whoever started it
//! cannot leave it behind.

use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

use thumbforge_tests::provider::{Options, Provider};

const USAGE: &str = "usage: provider [--port N] [--port-file PATH] [--key KEY] [--size WxH] [--picture-bytes N]
                [--latency-ms N] [--polls N] [--urls] [--no-record]";

fn main() -> ExitCode {
    match options(std::env::args().skip(1)) {
        Ok((options, port_file)) => serve(options, port_file),
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn serve(options: Options, port_file: Option<String>) -> ExitCode {
    let provider = Provider::with(options);
    if let Some(path) = port_file
        && let Err(problem) = std::fs::write(&path, provider.port().to_string())
    {
        eprintln!("failed to write {path}: {problem}");
        return ExitCode::FAILURE;
    }
    println!("listening on {}", provider.origin());
    // Whatever ends the input ends the provider.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    ExitCode::SUCCESS
}

fn options(mut args: impl Iterator<Item = String>) -> Result<(Options, Option<String>), String> {
    let (mut options, mut port_file) = (Options::plain(), None);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("{text:?} is no number"));
        match arg.as_str() {
            "--port" => options.port = u16::try_from(number(value()?)?).map_err(|_| "a port has 16 bits".to_owned())?,
            "--port-file" => port_file = Some(value()?),
            "--key" => options.key = Some(value()?),
            "--size" => {
                let text = value()?;
                let sides = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
                options.size = Some(sides.ok_or_else(|| format!("{text:?} is no size"))?);
            }
            "--picture-bytes" => options.picture_bytes = number(value()?)?.min(64 << 20) as usize,
            "--latency-ms" => options.latency = Duration::from_millis(number(value()?)?),
            "--polls" => options.polls = number(value()?)?.min(1_000_000) as u32,
            "--urls" => options.urls = true,
            "--no-record" => options.record = false,
            _ => return Err(format!("{arg:?} is no option")),
        }
    }
    Ok((options, port_file))
}
