//! What Thumbforge promises in numbers, measured. Each line reads `bench: what: measured (goal)`.
//!
//! `cargo bench -p thumbforge-tests` runs all of them, in the release profile; words after `--` choose some.
//! A figure fails beyond its bound: the goal itself where it is met twice over on two slow cores, and twice the goal
//! where it is not, since other people's machines are noisy.

mod accept;
mod art;
mod channel;
mod planning;
mod serve;
mod text;

use std::time::Duration;

use thumbforge_tests::rig::Rig;

const BINARY: &str = env!("CARGO_BIN_EXE_sidecar");

/// Prints a figure and remembers whether it is within its bound.
#[derive(Default)]
struct Board {
    failed: Vec<String>,
}

impl Board {
    fn line(&mut self, name: &str, measured: &str, goal: &str, within: bool) {
        println!("bench: {name}: {measured} ({goal}){}", if within { "" } else { "  FAILED" });
        if !within {
            self.failed.push(name.to_owned());
        }
    }
}

/// A bench by its name.
type Bench = (&'static str, fn(&mut Board));

fn main() {
    // Cargo passes `--bench` and the like; words choose.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let all: [Bench; 9] = [
        ("accept", accept::durably_from_64),
        ("cached", serve::cached_over_http),
        ("idle", serve::memory_when_idle),
        ("planning", planning::a_hundred_thousand),
        ("art", art::builtin_512),
        ("text", art::words_512),
        ("channel", channel::against_http),
        ("words", text::verified),
        ("sample", second_run_of_the_sample),
    ];
    let mut board = Board::default();
    for (name, bench) in all {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            bench(&mut board);
        }
    }
    if !board.failed.is_empty() {
        eprintln!("bench: beyond their bounds: {}", board.failed.join(", "));
        std::process::exit(1);
    }
}

/// The middle one.
fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}

fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

/// The sample of the README, built twice.
fn second_run_of_the_sample(board: &mut Board) {
    let rig = Rig::new(BINARY);
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../unity-package/Samples~/LocaleVariants");
    for (path, bytes) in thumbforge_tests::rig::snapshot(std::path::Path::new(sample)) {
        if !path.ends_with(".png") && path != "thumbforge.lock" {
            rig.write(&path, bytes);
        }
    }
    let first = rig.run(&["batch", "--json"]).expect(0);
    let report = first.json();
    let second = median((0..5).map(|_| rig.run(&["batch"]).expect(0).says(&["nothing to do"]).took).collect());
    let name = format!("second run of the sample, {} images", report["planned"]);
    board.line(&name, &ms(second), "goal 300 ms", second <= Duration::from_millis(300));
    println!("bench: first run of the sample, {} images: {}", report["planned"], ms(first.took));
}
