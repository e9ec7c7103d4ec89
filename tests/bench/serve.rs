//! A sidecar as a process: what a cached picture costs over HTTP, and what it holds when nobody asks.

use std::time::{Duration, Instant};

use serde_json::json;
use thumbforge_tests::rig::{Rig, Signal};

use crate::{BINARY, Board, median, ms};

const CACHED_GOAL: Duration = Duration::from_millis(3);
const IDLE_MIB_GOAL: u64 = 60;

/// From the request to the last byte of the PNG, on one connection.
pub(crate) fn cached_over_http(board: &mut Board) {
    let rig = Rig::new(BINARY);
    let sidecar = rig.serve(&[]);
    let mut client = sidecar.client();
    let body = json!({ "prompt": "a golden sword on a table", "size": "512x512" });
    let first = client.post("/api/generate", &body).expect("an answer").expect(200);
    let samples = if std::env::var_os("THUMBFORGE_FULL").is_some() { 5_000 } else { 500 };
    let samples = (0..samples).map(|_| {
        let began = Instant::now();
        let answer = client.post("/api/generate", &body).expect("an answer");
        let took = began.elapsed();
        assert!(answer.header("x-thumbforge-cached") == Some("true") && answer.body == first.body);
        took
    });
    let middle = median(samples.collect());
    let measured = format!("{} p50, {} KiB", ms(middle), first.body.len() >> 10);
    board.line("cached picture over HTTP, 512x512", &measured, "goal 3 ms", middle <= CACHED_GOAL);
    sidecar.end(Signal::Terminate).expect(0);
}

/// Memory of a sidecar that has answered its first `/healthz` and nothing else.
pub(crate) fn memory_when_idle(board: &mut Board) {
    let rig = Rig::new(BINARY);
    let mut sidecar = rig.serve(&[]);
    let Some(kib) = sidecar.resident_kib() else {
        println!("bench: NOT MEASURED: memory of an idle sidecar: this system does not tell it");
        return;
    };
    let measured = format!("{} MiB, first answer after {}", kib >> 10, ms(sidecar.ready));
    board.line("memory of an idle sidecar", &measured, "goal 60 MiB", kib >> 10 <= IDLE_MIB_GOAL);
    sidecar.end(Signal::Terminate).expect(0);
}
