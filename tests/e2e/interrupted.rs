//! A build that is stopped half-way, politely or not: what is written is whole, and the same command makes the rest.

#![cfg(unix)]

use std::fmt::Write as _;

use thumbforge_tests::rig::{PATIENCE, Process, Rig, Signal, journal, snapshot, wait_for};

use crate::BINARY;
use crate::fixture::counts;

/// Prompts enough to be met half-way, each a picture of its own.
const COUNT: u64 = 150;

fn gallery() -> Rig {
    let rig = Rig::new(BINARY);
    let mut text = String::from("[output]\npath = \"Gallery/{{ asset }}.png\"\n");
    for at in 0..COUNT {
        write!(text, "[assets.card{at:03}]\nprompt = \"card {at} of a game, oak and steel\"\nsize = \"256x256\"\n")
            .expect("memory");
    }
    rig.write("thumbforge.toml", text);
    rig
}

fn written(rig: &Rig) -> usize {
    snapshot(&rig.project().join("Gallery")).keys().filter(|name| name.ends_with(".png")).count()
}

/// Starts the build and waits until it is well under way.
fn half_way(rig: &Rig) -> Process {
    let mut process = rig.start(&["batch", "--json"]);
    wait_for("a few pictures", PATIENCE, || {
        assert!(!process.has_ended(), "it ended before it could be stopped: {}", process.said());
        (written(rig) >= 10).then_some(())
    });
    process
}

/// Every file below the gallery is a whole picture.
fn whole(rig: &Rig) {
    for (name, bytes) in snapshot(&rig.project().join("Gallery")) {
        assert!(name.ends_with(".png"), "a leftover: {name}");
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().expect(&name);
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
        reader.next_frame(&mut pixels).expect(&name);
    }
}

#[test]
fn ctrl_c_leaves_whole_pictures_and_a_lock_that_knows_them() {
    for signal in [Signal::Interrupt, Signal::Terminate] {
        let rig = gallery();
        let mut process = half_way(&rig);
        process.signal(signal);
        let ran = process.ended().expect(130).says(&["the same command again makes the rest"]);
        let report = ran.json();
        let made = counts(&report)[3];
        assert!(made < COUNT && report["cancelled"].as_u64() == Some(COUNT - made), "{}", ran.stderr);
        whole(&rig);
        let lock = String::from_utf8(rig.read("thumbforge.lock")).expect("text");
        assert_eq!((lock.lines().count() - 1) as u64, made);
        assert_eq!(written(&rig) as u64, made);

        let report = rig.run(&["batch", "--json"]).expect(0).json();
        let [planned, unchanged, cached, rendered, failed] = counts(&report);
        assert_eq!((planned, unchanged, failed), (COUNT, made, 0));
        assert_eq!(cached + rendered, COUNT - made);
        let figures = journal::figures(&rig.journal());
        assert_eq!((figures.rendered, figures.rendered_twice), (COUNT, 0), "{figures:?}");
        whole(&rig);
    }
}

#[test]
fn a_killed_build_is_finished_by_the_next_without_drawing_twice() {
    let rig = gallery();
    let mut process = half_way(&rig);
    process.signal(Signal::Kill);
    process.ended().expect(-1);
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    let [planned, unchanged, cached, rendered, failed] = counts(&report);
    assert_eq!((planned, unchanged + cached + rendered, failed), (COUNT, COUNT, 0));
    assert!(unchanged + cached >= 10, "what was drawn before the end is drawn again");
    let figures = journal::figures(&rig.journal());
    assert_eq!((figures.rendered, figures.rendered_twice), (COUNT, 0), "{figures:?}");
    assert_eq!((figures.attempts_open, figures.of("done")), (0, figures.jobs.values().sum()), "{figures:?}");
    whole(&rig);
    rig.run(&["batch", "--check"]).expect(0);
}
