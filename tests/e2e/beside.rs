//! Commands beside a sidecar: they go through it, and what they write and report is what they would have made themselves.

#![cfg(unix)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::{fs, io};

use serde_json::Value;
use thumbforge_core::error::ErrorCode;
use thumbforge_core::wire::frame::{self, Kind};
use thumbforge_core::wire::hello::Refused;
use thumbforge_tests::rig::{PATIENCE, Rig, Signal, journal, snapshot, wait_for};

use crate::BINARY;
use crate::fixture::{TABLE, counts, manifest, shop};

/// A report without what differs from run to run.
fn settled(mut report: Value) -> Value {
    (report["elapsed_ms"], report["root"]) = (Value::Null, Value::Null);
    for item in report["items"].as_array_mut().expect("items") {
        (item["latency_ms"], item["file"]) = (Value::Null, Value::Null);
        // Where a refused picture is kept to be looked at is a matter of the data directory.
        if let Some(message) = item["error"]["message"].as_str() {
            let said = message.split_once("; see ").map_or(message, |(said, _)| said);
            item["error"]["message"] = said.to_owned().into();
        }
    }
    report
}

#[test]
fn a_build_through_a_sidecar_is_the_build_that_it_would_have_been() {
    let (alone, beside) = (shop(), shop());
    let sidecar = beside.serve(&[]);
    for args in [vec!["batch", "--json"], vec!["batch", "--json"], vec!["batch", "--json", "--force", "--seed", "9"]] {
        let ours = settled(alone.run(&args).expect(0).json());
        let theirs = settled(beside.run(&args).expect(0).json());
        assert_eq!(ours, theirs, "{args:?}");
        assert!(alone.snapshot() == beside.snapshot(), "{args:?}: other files");
    }
    let figures = journal::figures(&beside.journal());
    assert_eq!((figures.rendered, figures.rendered_twice), (8, 0), "{figures:?}");
    // The words of one picture do not fit: the same failure either way.
    for rig in [&alone, &beside] {
        rig.write("Shop.csv", TABLE.replace("Schwert", &"Donaudampfschifffahrt".repeat(12)));
    }
    let (ours, theirs) = (alone.run(&["batch", "--json"]).expect(3), beside.run(&["batch", "--json"]).expect(3));
    assert_eq!(settled(ours.json()), settled(theirs.json()));
    assert_eq!(counts(&theirs.json())[4], 1);
    sidecar.end(Signal::Terminate).expect(0);
}

#[test]
fn a_single_picture_through_a_sidecar_is_the_picture_that_it_would_have_been() {
    let (alone, beside) = (Rig::new(BINARY), Rig::new(BINARY));
    let sidecar = beside.serve(&[]);
    let args =
        ["generate", "a red dragon", "--text", "SALE", "--size", "320x200", "--json", "--out-file", "dragon.png"];
    let (ours, theirs) = (alone.run(&args).expect(0), beside.run(&args).expect(0));
    assert_eq!(settled(ours.json()), settled(theirs.json()));
    assert!(alone.read("dragon.png") == beside.read("dragon.png"));
    let again = beside.run(&args).expect(0).says(&["from the store"]);
    assert_eq!(again.json()["cached"], 1);
    // A model that is not there is refused in the same words.
    let args = ["generate", "a red dragon", "--model", "sd3.5-medium"];
    let (ours, theirs) = (alone.run(&args), beside.run(&args));
    assert_eq!((ours.code, ours.stderr), (theirs.code, theirs.stderr));
    sidecar.end(Signal::Terminate).expect(0);
}

#[test]
fn the_teams_own_files_go_through_a_sidecar() {
    let (alone, beside) = (shop(), shop());
    let sidecar = beside.serve(&[]);
    let art = alone.run(&["generate", "a blue shield", "--size", "192x192", "--out-file", "own.png"]).expect(0);
    drop(art);
    let bytes = alone.read("own.png");
    fs::remove_file(alone.project().join("own.png")).expect("a file");
    for rig in [&alone, &beside] {
        rig.write("Art/own.png", &bytes);
        rig.write("thumbforge.toml", manifest("[assets.own]\nart = \"Art/own.png\"\nsize = \"192x192\"\n"));
    }
    // Both locales show the same picture; which of them is drawn and which is found is up to the turns.
    let report = |rig: &Rig| {
        let mut report = settled(rig.run(&["batch", "--json"]).expect(0).json());
        for item in report["items"].as_array_mut().expect("items") {
            item["attempts"] = Value::Null;
        }
        report
    };
    assert_eq!(report(&alone), report(&beside));
    assert!(alone.snapshot() == beside.snapshot());
    sidecar.end(Signal::Terminate).expect(0);
}

#[test]
fn the_teams_shared_cache_is_used_beside_a_sidecar_too() {
    let (first, second) = (shop(), shop());
    let share = first.path().join("share");
    fs::create_dir(&share).expect("a folder");
    for rig in [&first, &second] {
        rig.write("thumbforge.toml", manifest(&format!("[cache]\nshared = {:?}\n", share.display().to_string())));
    }
    let (one, other) = (first.serve(&[]), second.serve(&[]));
    assert_eq!(counts(&first.run(&["batch", "--json"]).expect(0).json()), [4, 0, 0, 4, 0]);
    assert_eq!(snapshot(&share).keys().filter(|name| name.ends_with(".png")).count(), 4);
    assert_eq!(counts(&second.run(&["batch", "--json"]).expect(0).json()), [4, 0, 4, 0, 0]);
    assert_eq!(journal::figures(&second.journal()).rendered, 0);
    one.end(Signal::Terminate).expect(0);
    other.end(Signal::Terminate).expect(0);
}

/// Cards enough to be met half-way.
fn gallery(rig: &Rig) -> u64 {
    const COUNT: u64 = 120;
    let mut text = String::from("[output]\npath = \"Gallery/{{ asset }}.png\"\n");
    for at in 0..COUNT {
        write!(text, "[assets.card{at:03}]\nprompt = \"card {at} of oak\"\nsize = \"256x256\"\n").expect("memory");
    }
    rig.write("thumbforge.toml", text);
    COUNT
}

fn written(rig: &Rig) -> usize {
    snapshot(&rig.project().join("Gallery")).keys().filter(|name| name.ends_with(".png")).count()
}

#[test]
fn ctrl_c_takes_a_builds_jobs_back_and_leaves_the_sidecar_alone() {
    let rig = Rig::new(BINARY);
    let count = gallery(&rig);
    let mut sidecar = rig.serve(&[]);
    let mut build = rig.start(&["batch", "--json"]);
    wait_for("a few pictures", PATIENCE, || (written(&rig) >= 10).then_some(()));
    build.signal(Signal::Interrupt);
    let report = build.ended().expect(130).json();
    let cancelled = report["cancelled"].as_u64().expect("a number");
    assert!(cancelled > 0 && counts(&report)[3] + cancelled == count, "{}", report["cancelled"]);
    assert!(!sidecar.process().has_ended());
    let figures = journal::figures(&rig.journal());
    assert!(figures.of("queued") + figures.of("running") == 0, "{figures:?}");
    rig.run(&["batch"]).expect(0);
    assert_eq!(written(&rig) as u64, count);
    sidecar.end(Signal::Terminate).expect(0);
}

#[test]
fn a_build_whose_sidecar_is_killed_goes_over_to_the_next_one() {
    let rig = Rig::new(BINARY);
    let count = gallery(&rig);
    let sidecar = rig.serve(&[]);
    let build = rig.start(&["batch", "--json"]);
    wait_for("a few pictures", PATIENCE, || (written(&rig) >= 10).then_some(()));
    sidecar.end(Signal::Kill);
    let next = rig.serve(&[]);
    let report = build.ended().expect(0).json();
    assert_eq!(counts(&report)[4], 0, "{report:#}");
    assert_eq!(written(&rig) as u64, count);
    let figures = journal::figures(&rig.journal());
    assert_eq!((figures.rendered_twice, figures.of("done")), (0, count), "{figures:?}");
    next.end(Signal::Terminate).expect(0);
}

#[test]
fn a_build_whose_sidecar_is_gone_for_good_says_so_and_keeps_what_is_done() {
    let rig = Rig::new(BINARY);
    let count = gallery(&rig);
    let sidecar = rig.serve(&[]);
    let build = rig.start(&["batch", "--json"]);
    wait_for("a few pictures", PATIENCE, || (written(&rig) >= 10).then_some(()));
    sidecar.end(Signal::Kill);
    let ran = build.ended().expect(3).says(&["error[no_sidecar]", "run the same command again"]);
    assert!(counts(&ran.json())[4] > 0);
    rig.run(&["batch"]).expect(0);
    assert_eq!(written(&rig) as u64, count);
    assert_eq!(journal::figures(&rig.journal()).rendered_twice, 0);
}

/// Stands where a sidecar of another version would, and says what that says.
fn stranger(rig: &Rig) -> io::Result<()> {
    fs::create_dir_all(rig.data())?;
    let listener = UnixListener::bind(rig.data().join("sidecar.sock"))?;
    std::thread::spawn(move || {
        let refused = Refused {
            code: ErrorCode::VersionMismatch.number(),
            message: "failed to talk to Thumbforge: this sidecar (9.0.0) speaks 9; restart the older of the two".into(),
            protocol: 9,
            build: "9.0.0".into(),
        };
        for mut stream in listener.incoming().map_while(Result::ok) {
            // A client that has heard enough hangs up.
            let _ = stream.write_all(&frame::encode(Kind::Refused, &refused.encode()));
            let _ = io::copy(&mut stream, &mut io::sink());
        }
    });
    Ok(())
}

#[test]
fn a_sidecar_of_another_protocol_is_told_apart_from_none() {
    let rig = shop();
    stranger(&rig).expect("a socket");
    for args in [&["batch"][..], &["generate", "a sword"]] {
        rig.run(args).expect(5).says(&["error[version_mismatch]", "restart the older"]);
    }
    assert!(!rig.journal().exists());
    // It has no lock on the directory, so whoever wants none of it may draw alone.
    rig.run(&["batch", "--no-sidecar"]).expect(0);
}

#[test]
fn ctrl_c_ends_a_build_whose_sidecar_has_been_stopped() {
    let rig = Rig::new(BINARY);
    let count = gallery(&rig);
    let mut sidecar = rig.serve(&[]);
    let mut build = rig.start(&["batch", "--json"]);
    wait_for("a few pictures", PATIENCE, || (written(&rig) >= 10).then_some(()));
    sidecar.process().signal(Signal::Stop);
    build.signal(Signal::Interrupt);
    let report = build.ended().expect(130).json();
    assert!(report["cancelled"].as_u64().is_some_and(|cancelled| cancelled > 0), "{report:#}");
    sidecar.process().signal(Signal::Continue);
    rig.run(&["batch"]).expect(0);
    assert_eq!((written(&rig) as u64, journal::figures(&rig.journal()).rendered_twice), (count, 0));
}

/// All that can become of a picture at once: drawn with words, out of a file, in a font of the team's own, refused for its
/// model, and failed by the checks.
fn everything(rig: &Rig) {
    rig.write(
        "thumbforge.toml",
        manifest(
            r#"[assets.elsewhere]
prompt = "by a model that is not here"
model = "sd3.5-large"
[templates.crowded]
prompt = "a plain wall"
size = "64x64"
[[templates.crowded.text]]
name = "title"
string = "sword.title"
area = [0.1, 0.1, 0.8, 0.3]
size = 0.05
size_min = 0.05
[assets.tiny]
template = "crowded"
[templates.ours]
prompt = "a letter"
size = "128x128"
[[templates.ours.text]]
name = "title"
string = "sword.title"
area = [0.05, 0.05, 0.9, 0.3]
font = { path = "Fonts/Ours.ttf" }
[assets.letter]
template = "ours"
"#,
        ),
    );
    let font = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sidecar/art/fonts/NotoSans-Bold.ttf");
    rig.write("Fonts/Ours.ttf", fs::read(font).expect("a font"));
}

#[test]
fn whatever_becomes_of_a_picture_is_told_the_same() {
    let (alone, beside) = (shop(), shop());
    let _sidecar = beside.serve(&[]);
    let steps: [(&[&str], i32, u64); 4] = [
        (&["batch", "--json"], 3, 4),
        (&["batch", "--json", "--sheet", "sheet.png"], 3, 4),
        // One locale first: of two same pictures that are asked for at once, which is drawn is up to their turns.
        (&["batch", "--json", "--placeholder", "--locale", "en"], 3, 1),
        (&["batch", "--json", "--placeholder", "--force", "--deny", "builtin"], 3, 2),
    ];
    for rig in [&alone, &beside] {
        everything(rig);
    }
    for (args, code, failed) in steps {
        let (ours, theirs) = (alone.run(args).expect(code), beside.run(args).expect(code));
        assert_eq!(settled(ours.json()), settled(theirs.json()), "{args:?}");
        assert_eq!(counts(&ours.json())[4], failed, "{:#}", ours.json());
        assert!(alone.snapshot() == beside.snapshot(), "{args:?}: other files");
    }
}
