//! An editor as far as the channel knows one: it opens a session, submits, holds what it gets, and is killed.
//!
//! `editor DATA_DIR PROGRAM PROJECT JOBS [FIRST_SEED]`; it says `held N` for every picture, and ends when its input does.

use std::io::{Read, Write};
use std::time::Duration;

use thumbforge_channel::client::{Options, Session, Start};
use thumbforge_tests::rig::editor::job;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [data_dir, program, project, jobs, rest @ ..] = args.as_slice() else { panic!("what it takes: {args:?}") };
    let (jobs, first): (u64, u64) =
        (jobs.parse().expect("a number"), rest.first().map_or(0, |first| first.parse().expect("a number")));
    let start = Start::With { program: program.into(), args: Vec::new() };
    let session = Session::open(Options::new(data_dir, project, start)).expect("a session");
    let prompts: Vec<String> = (first..first + jobs).map(|seed| format!("a red sword, number {seed}")).collect();
    for (prompt, seed) in prompts.iter().zip(first..) {
        session.submit(&job(prompt, 64, seed)).expect("room");
    }
    // Its parent holds the other end; nothing comes but the end.
    let listener = std::thread::spawn(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let mut held = Vec::new();
    while !listener.is_finished() {
        session.wait(Duration::from_millis(50));
        while let Some(completion) = session.poll() {
            held.extend(completion.texture);
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "held {}", held.len());
            let _ = out.flush();
        }
    }
}
