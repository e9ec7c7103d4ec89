//! The standing check of a GPU: does it compute what the processor computes, does it live with little memory, how fast is it.
//!
//! ```text
//! gpu_check about | conformance | parity | same | oom | soak | ops   --out FOLDER [--device standin | cpu] [--library never] [--tiny] …
//! gpu_check weights KIND FOLDER       a model of full size with random weights, which other programs can read too
//! gpu_check serve KIND …              draws what it is asked on its input, so that others can be timed in turn with it
//! gpu_check ballast                   holds as many MB of the card's memory as its input says, until that ends
//! gpu_check report FOLDER CARD.json   all parts as one file, and as a table beside it
//! ```
//! `cuda/check.sh` calls it. Each part runs alone and writes its own file, so that a run that was cut short still tells
//! something. With `--device standin --tiny` it runs without a GPU: on the stand-in for the driver, which runs the kernels'
//! own source on the processor; with `--device cpu` on the processor's own device, to try the check itself.

mod bench;
mod conformance;
mod models;
mod oom;
mod ops;
mod options;
mod parity;
mod report;
mod same;
mod soak;
mod subject;

use std::process::ExitCode;

use crate::options::{Options, Outcome, Use};
use crate::subject::Subject;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(err) => {
            eprintln!("gpu_check: failed to {err}");
            ExitCode::from(2)
        }
    }
}

/// Whether all that was looked at is well.
fn run() -> Outcome<bool> {
    let options = Options::parse(std::env::args().skip(1))?;
    match options.part.as_str() {
        "weights" => models::write(&options).map(|()| true),
        "report" => report::report(&options).map(|()| true),
        _ => match options.device {
            Use::Cpu => part(&options, Subject::cpu()?),
            Use::Cuda => part(&options, Subject::cuda(options.library.clone())?),
            Use::Standin => part(&options, Subject::standin(&options.library)?),
        },
    }
}

fn part<D: thumbforge_diffusion::device::Device + 'static>(options: &Options, subject: Subject<D>) -> Outcome<bool> {
    match options.part.as_str() {
        "about" => report::write(options, "about", &subject.about).map(|()| true),
        "conformance" => conformance::run(options, &subject),
        "parity" => parity::run(options, &subject),
        "same" => same::run(options, &subject),
        "oom" => oom::run(options, &subject),
        "soak" => soak::run(options, &subject),
        "ops" => ops::run(options, &subject),
        "serve" => bench::serve(options, &subject),
        "ballast" => oom::ballast(&subject),
        other => Err(format!("run {other}: there is no such part")),
    }
}
