//! Commands of an editor against the real sidecar: a build that outlives it, one that is taken back, a preview.

use rustix::process::Signal;
use serde_json::{Value, json};
use thumbforge_channel::client::{Completion, Deliver, Outcome};
use thumbforge_core::job::JobState;
use thumbforge_tests::rig::editor::answer;
use thumbforge_tests::rig::{PATIENCE, Rig, journal, wait_for};

use crate::{BINARY, Editor, beside_others, end};

/// Pictures of the build: enough that a test meets it on its way.
const PICTURES: u32 = 60;

/// A project of [`PICTURES`] icons.
fn icons() -> Rig {
    let rig = Rig::new(BINARY);
    let assets: String = (0..PICTURES)
        .map(|at| format!("[assets.icon{at}]\ntemplate = \"icon\"\nvars = {{ subject = \"a sword, number {at}\" }}\n"))
        .collect();
    let templates = "[templates.icon]\nprompt = \"{{ subject }}\"\nsize = \"384x384\"\n";
    let output = "[output]\npath = \"Icons/{{ asset }}.png\"\n";
    rig.write(
        "thumbforge.toml",
        format!("project = \"com.example.icons\"\nplaceholder = true\n{output}{templates}{assets}"),
    );
    rig
}

fn batch(rig: &Rig) -> Vec<u8> {
    json!({ "verb": "batch", "manifest": rig.project(), "report": rig.path().join("report.json") }).to_string().into()
}

fn said(completion: &Completion) -> Value {
    serde_json::from_slice(&completion.detail).expect("JSON")
}

/// Waits until some of the build's pictures are made and others are not.
fn wait_until_under_way(editor: &Editor, number: u64) {
    let made = wait_for("some pictures", PATIENCE, || {
        let progress = editor.session.progress(number)?;
        (progress.state == JobState::Running && progress.step >= 5).then_some(progress)
    });
    assert!(made.step < PICTURES && made.steps == PICTURES, "{made:?}: too late to see anything");
}

/// A build whose sidecar is ended in the middle of it is finished by the next one.
fn outlived(signal: Signal) {
    let _machine = beside_others();
    let rig = icons();
    let editor = Editor::open(&rig, "icons");
    let number = editor.session.command(&batch(&rig), 7).expect("room");
    wait_until_under_way(&editor, number);
    end(editor.pid(), signal);
    let built = answer(&editor.session);
    assert_eq!((built.number, built.tag, built.outcome), (number, 7, Outcome::Done), "{}", said(&built));
    assert_eq!(said(&built)["answer"]["exit"], 0, "{}", said(&built));
    assert_eq!(editor.session.state().restarts, 1);
    assert_eq!(rig.snapshot().keys().filter(|path| path.ends_with(".png")).count(), PICTURES as usize);
    let figures = journal::figures(&rig.journal());
    assert_eq!((figures.rendered, figures.rendered_twice), (u64::from(PICTURES), 0), "{figures:?}");
    // The command line finds nothing to do.
    rig.run(&["batch", "--check"]).expect(0);
}

#[test]
fn a_build_goes_on_when_its_sidecar_is_killed_and_draws_nothing_twice() {
    outlived(Signal::KILL);
}

#[test]
fn a_build_goes_on_when_its_sidecar_is_stopped_and_draws_nothing_twice() {
    outlived(Signal::TERM);
}

#[test]
fn a_build_that_is_taken_back_leaves_what_is_made_and_the_next_one_goes_on() {
    let _machine = beside_others();
    let rig = icons();
    let editor = Editor::open(&rig, "icons");
    let number = editor.session.command(&batch(&rig), 1).expect("room");
    wait_until_under_way(&editor, number);
    editor.session.cancel(number).expect("it is open");
    let cancelled = answer(&editor.session);
    assert_eq!((cancelled.number, cancelled.outcome), (number, Outcome::Cancelled), "{}", said(&cancelled));
    let report = std::fs::read(rig.path().join("report.json")).expect("a report of a build that was taken back too");
    serde_json::from_slice::<Value>(&report).expect("JSON");
    let made = rig.snapshot().keys().filter(|path| path.ends_with(".png")).count();
    assert!((1..PICTURES as usize).contains(&made), "{made} pictures");
    let number = editor.session.command(&batch(&rig), 2).expect("room");
    let built = answer(&editor.session);
    assert_eq!((built.number, built.outcome), (number, Outcome::Done), "{}", said(&built));
    assert_eq!(said(&built)["answer"]["exit"], 0, "{}", said(&built));
    assert_eq!(journal::figures(&rig.journal()).rendered_twice, 0);
    rig.run(&["batch", "--check"]).expect(0);
}

#[test]
fn a_picture_of_the_project_is_shown() {
    let _machine = beside_others();
    let rig = icons();
    let editor = Editor::open(&rig, "icons");
    let order = json!({ "verb": "batch", "manifest": rig.project(), "assets": ["icon0"] }).to_string();
    editor.session.command(order.as_bytes(), 1).expect("room");
    assert_eq!(said(&answer(&editor.session))["answer"]["exit"], 0);
    let file = rig.project().join("Icons/icon0.png");
    let order = json!({ "verb": "preview", "file": file, "side_max": 96 }).to_string();
    editor.session.command(order.as_bytes(), 2).expect("room");
    let shown = answer(&editor.session);
    assert_eq!((shown.tag, shown.outcome), (2, Outcome::Done), "{}", said(&shown));
    let texture = shown.texture.as_ref().expect("a picture");
    assert_eq!((texture.size(), texture.format()), ((96, 96), Deliver::Pixels));
    assert_eq!(said(&shown)["answer"]["source_width"], 384);
}
