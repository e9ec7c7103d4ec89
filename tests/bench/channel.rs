//! The channel against HTTP, as `thumbforge bench channel` measures it.

use std::process::Command;

use serde_json::Value;

use crate::{BINARY, Board};

/// What is to be reached, and what fails: other people's machines are noisy, and the ratios are of times in microseconds.
pub(super) fn against_http(board: &mut Board) {
    let full = std::env::var_os("THUMBFORGE_FULL").is_some();
    let mut args = vec!["bench", "channel", "--json"];
    if !full {
        args.push("--quick");
    }
    let output = Command::new(BINARY).args(&args).output().expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let figures: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let number = |pointer: &str| figures.pointer(pointer).and_then(Value::as_f64).expect(pointer);

    for (name, pointer) in [("submit, one of a hundred", "/submit_ns"), ("submit, sidecar asleep", "/submit_asleep_ns")]
    {
        let (p50, p99) = (number(&format!("{pointer}/p50")) / 1e3, number(&format!("{pointer}/p99")) / 1e3);
        let measured = format!("p50 {p50:.2} µs, p99 {p99:.2} µs");
        // What a bell costs is the system's: waking a processor that a hypervisor has put to sleep takes it long.
        let (bound, goal) =
            if pointer == "/submit_ns" { (5.0, "goal 2 µs, fails at 5") } else { (20.0, "goal 2 µs, fails at 20") };
        board.line(name, &measured, goal, p50 <= bound);
    }
    for (name, pointer, goal, bound) in [
        ("HTTP's time by ours, 1 MiB", "/http_ratio/1MiB", 5.0, 4.0),
        ("HTTP's time by ours, 16 MiB copied", "/http_ratio/16MiB", 7.5, 6.0),
        ("HTTP's time by ours, 16 MiB in place", "/http_ratio/16MiB_direct", 100.0, 50.0),
    ] {
        let ratio = number(pointer);
        board.line(name, &format!("{ratio:.1}×"), &format!("goal {goal}×, fails below {bound}"), ratio >= bound);
    }
    if let Some(cpu) = figures.pointer("/cpu_ratio/16MiB").and_then(Value::as_f64) {
        board.line("our processor time by HTTP's, 16 MiB", &format!("{cpu:.3}"), "goal 0.1, fails at 0.2", cpu <= 0.2);
    }
}
