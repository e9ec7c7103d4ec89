//! The door through the real channel: what is delivered is what was drawn, and nothing that a client sends goes unchecked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use thumbforge_channel::client::{Brief, Completion, Progress, RecipeForm, Request, Session, Start};
use thumbforge_core::job::{Gate, Lane};
use thumbforge_core::recipe::{ArtFile, Recipe, Tier};

use super::*;
use crate::app::App;
use crate::command::{Answered, Watch};
use crate::config::{Config, UserFile};
use crate::output::png::{DecodeLimits, decode};

const PATIENCE: Duration = Duration::from_secs(60);

struct Rig {
    folder: tempfile::TempDir,
    app: App,
    serving: Listening,
    stop: CancellationToken,
}

/// Verbs that do as a test needs it: the JSON is the verb.
#[derive(Default)]
struct Verbs {
    /// How many have begun.
    begun: AtomicUsize,
    /// How many came to their end.
    ended: AtomicUsize,
    /// Lets those that wait for it go on.
    go: CancellationToken,
}

impl Runs for Arc<Verbs> {
    fn run(
        &self,
        json: Vec<u8>,
        watch: Arc<dyn Watch>,
        interrupted: CancellationToken,
    ) -> BoxFuture<'static, Result<Answered, Failure>> {
        let verbs = self.clone();
        verbs.begun.fetch_add(1, Ordering::SeqCst);
        if json == b"panic" {
            panic!("a fault of a verb, as this test wants it");
        }
        Box::pin(async move {
            tokio::task::yield_now().await;
            let answered = match json.as_slice() {
                b"panic later" => panic!("a fault of a verb, as this test wants it"),
                b"fail" => Err(Failure::new(ErrorCode::InputFile, "failed to read, as this test wants it")),
                b"large" => Ok(Answered::Value(Value::from("x".repeat(limits::MESSAGE_BYTES_MAX)))),
                b"picture" => Ok(Answered::Picture(picture(64, 48), json!({ "width": 64 }))),
                b"wall" => Ok(Answered::Picture(picture(2048, 2048), Value::Null)),
                b"wait" => {
                    watch.step(3, 40);
                    tokio::select! {
                        () = verbs.go.cancelled() => Ok(Answered::Value(Value::from("done"))),
                        () = interrupted.cancelled() => Err(Failure::new(ErrorCode::Internal, "failed to go on")),
                    }
                }
                b"stubborn" => {
                    interrupted.cancelled().await;
                    watch.step(4, 40);
                    verbs.go.cancelled().await;
                    Ok(Answered::Value(Value::from("done all the same")))
                }
                _ => Ok(Answered::Value(Value::from("done"))),
            };
            verbs.ended.fetch_add(1, Ordering::SeqCst);
            answered
        })
    }
}

impl Verbs {
    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }
}

fn picture(width: u32, height: u32) -> ImageBuf {
    let extent = Extent { width, height };
    let pixels = (0..extent.pixels() * 4).map(|at| (at / 4 + at % 4) as u8).collect();
    ImageBuf::from_rgba(extent, pixels).expect("as many bytes")
}

/// Looks until `condition` holds.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let looked = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, looked).await.unwrap_or_else(|_| panic!("{what} did not come"));
}

impl Rig {
    async fn start() -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder")).await
    }

    async fn start_in(folder: tempfile::TempDir) -> Self {
        Self::start_as(folder, |data_dir, intake, stop| serve(data_dir, intake, stop).expect("listens")).await
    }

    /// With verbs of a test in place of the sidecar's own.
    async fn with(folder: tempfile::TempDir, verbs: &Arc<Verbs>) -> Self {
        let runs = Arc::new(verbs.clone());
        let open = |data_dir: &Path, intake, stop| listen(data_dir, &Door::new(intake, runs, stop)).expect("listens");
        Self::start_as(folder, open).await
    }

    async fn start_as(
        folder: tempfile::TempDir,
        open: impl FnOnce(&Path, Intake, CancellationToken) -> Listening,
    ) -> Self {
        let config = Config { workers: 1, ..Config::new(folder.path(), &UserFile::default()) };
        let app = App::start(config).await.expect("starts");
        let stop = CancellationToken::new();
        let serving = open(folder.path(), app.intake().clone(), stop.clone());
        Self { folder, app, serving, stop }
    }

    fn session(&self, project: &str) -> Session {
        let options = thumbforge_channel::client::Options::new(self.folder.path(), project, Start::Never);
        Session::open(options).expect("opens")
    }

    /// Ends without a word to anybody, and gives the folder back for the next.
    async fn end(self) -> tempfile::TempDir {
        let Self { folder, app, serving, .. } = self;
        let _owned = app.drain().await;
        tokio::task::spawn_blocking(move || drop(serving)).await.expect("closes");
        folder
    }
}

fn brief(prompt: &str, size: u32) -> Brief<'_> {
    let (width, height) = (size, size);
    Brief {
        prompt,
        negative: "",
        model: "",
        text: "",
        size: (width, height),
        tier: Tier::Production,
        seed: None,
        steps: None,
        guidance: None,
    }
}

fn request(recipe: RecipeForm<'_>, deliver: Deliver) -> Request<'_> {
    Request {
        asset: "",
        locale: "",
        lane: Lane::Interactive,
        priority: 0,
        deadline_ms: None,
        placeholder: false,
        lossy: false,
        gate: Gate::Report,
        read_back: false,
        safe_inset: None,
        deliver,
        tag: 0,
        recipe,
        terms: b"",
    }
}

fn asked<'a>(prompt: &'a str, deliver: Deliver) -> Request<'a> {
    request(RecipeForm::Brief(brief(prompt, 64)), deliver)
}

/// The next `count` completions by their numbers.
async fn answers(session: &Arc<Session>, count: usize) -> HashMap<u64, Completion> {
    let session = session.clone();
    let waited = tokio::task::spawn_blocking(move || {
        let mut answers = HashMap::new();
        while answers.len() < count {
            assert!(session.wait(PATIENCE), "no answer; {:?}", session.state());
            answers.extend(std::iter::from_fn(|| session.poll()).map(|completion| (completion.number, completion)));
        }
        answers
    });
    waited.await.expect("waits")
}

async fn answer(session: &Arc<Session>) -> Completion {
    answers(session, 1).await.into_values().next().expect("one")
}

fn detail(completion: &Completion) -> Value {
    serde_json::from_slice(&completion.detail).expect("JSON")
}

fn code(completion: &Completion) -> &'static str {
    let code = ErrorCode::ALL.iter().find(|code| code.number() == completion.code);
    code.map_or("none", |code| code.word())
}

#[tokio::test]
async fn a_picture_comes_as_it_is_wanted() {
    let rig = Rig::start().await;
    let session = Arc::new(rig.session("game"));
    session.submit(&asked("a golden sword", Deliver::Pixels)).expect("room");
    let drawn = answer(&session).await;
    assert_eq!((drawn.outcome, drawn.cached, drawn.attempts), (Outcome::Done, false, 1));
    session.submit(&asked("a golden sword", Deliver::Png)).expect("room");
    let stored = answer(&session).await;
    assert_eq!((stored.outcome, stored.cached, stored.key), (Outcome::Done, true, drawn.key));
    let png = stored.texture.expect("a file").to_vec();
    let told = detail(&drawn);
    let pixels = drawn.texture.expect("pixels");
    assert_eq!((pixels.size(), pixels.format()), ((64, 64), Deliver::Pixels));
    assert!(decode(&png, DecodeLimits::ART).expect("decodes").pixels() == pixels.to_vec());
    let render: Render = serde_json::from_value(told["render"].clone()).expect("a render");
    assert_eq!((render.realised_key.0, render.realisation.seed), (drawn.key, drawn.seed));
    session.submit(&asked("a golden sword", Deliver::Nothing)).expect("room");
    let told = answer(&session).await;
    assert_eq!((told.outcome, told.texture.is_none()), (Outcome::Done, true));
    rig.end().await;
}

#[tokio::test]
async fn nothing_that_a_client_sends_goes_unchecked() {
    let rig = Rig::start().await;
    let session = Arc::new(rig.session("game"));
    let recipe = Recipe::from_prompt("a sword", Extent { width: 64, height: 64 });
    let json = |change: &dyn Fn(&mut Value)| {
        let mut value = serde_json::to_value(&recipe).expect("JSON");
        change(&mut value);
        value.to_string()
    };
    let cases: [(&str, String); 7] = [
        ("invalid_request", "{}".to_owned()),
        ("invalid_request", "no JSON".to_owned()),
        ("invalid_request", json(&|value| value["size"]["width"] = Value::from(0))),
        ("invalid_request", json(&|value| value["size"]["height"] = Value::from(4_000_000_000_u32))),
        ("invalid_request", json(&|value| value["prompt"] = Value::from("  "))),
        ("invalid_request", json(&|value| value["seed"] = Value::from(u64::MAX))),
        ("unknown_model", json(&|value| value["model"] = Value::from("not a model"))),
    ];
    for (expected, json) in &cases {
        session.submit(&request(RecipeForm::Json(json.as_bytes()), Deliver::Pixels)).expect("room");
        let refused = answer(&session).await;
        assert_eq!((refused.outcome, code(&refused)), (Outcome::Failed, *expected), "{json}");
        assert_eq!(detail(&refused)["failure"]["code"], *expected);
    }
    let briefs = [
        ("invalid_request", Brief { size: (0, 64), ..brief("a sword", 64) }),
        ("invalid_request", Brief { guidance: Some(f64::NAN), ..brief("a sword", 64) }),
        ("unknown_model", Brief { model: "not a model", ..brief("a sword", 64) }),
        ("model_unavailable", Brief { model: "SD3.5 Large", ..brief("a sword", 64) }),
    ];
    for (expected, brief) in briefs {
        session.submit(&request(RecipeForm::Brief(brief), Deliver::Pixels)).expect("room");
        assert_eq!(code(&answer(&session).await), expected, "{brief:?}");
    }
    for inset in [f64::NAN, -0.1, 0.3, f64::INFINITY] {
        session.submit(&Request { safe_inset: Some(inset), ..asked("a sword", Deliver::Pixels) }).expect("room");
        assert_eq!(code(&answer(&session).await), "invalid_request", "{inset}");
    }
    session
        .submit(&request(RecipeForm::Brief(Brief { model: "auto", ..brief("a sword", 64) }), Deliver::Nothing))
        .expect("room");
    assert_eq!(answer(&session).await.outcome, Outcome::Done);
    rig.end().await;
}

#[tokio::test]
async fn a_project_named_by_the_longest_path_is_served() {
    let rig = Rig::start().await;
    let session = Arc::new(rig.session(&"p".repeat(limits::PROJECT_BYTES_MAX)));
    session.submit(&asked("a sword", Deliver::Nothing)).expect("room");
    assert_eq!(answer(&session).await.outcome, Outcome::Done);
    rig.end().await;
}

#[tokio::test]
async fn a_file_that_a_client_brings_is_drawn_from() {
    let rig = Rig::start().await;
    let session = Arc::new(rig.session("game"));
    let art = rig.folder.path().join("art.png");
    session.submit(&asked("a castle", Deliver::Png)).expect("room");
    std::fs::write(&art, answer(&session).await.texture.expect("a file").to_vec()).expect("writes");
    let missing = session.provide(&rig.folder.path().join("missing.png")).expect("room");
    let folder = session.provide(rig.folder.path()).expect("room");
    let brought = session.provide(&art).expect("room");
    let answers = answers(&session, 3).await;
    assert_eq!((code(&answers[&missing]), code(&answers[&folder])), ("input_file", "input_file"));
    let content: ContentHash = serde_json::from_value(detail(&answers[&brought])["content"].clone()).expect("a hash");
    let recipe = Recipe {
        art: Some(ArtFile { path: "art.png".to_owned(), content }),
        ..Recipe::from_prompt("", Extent { width: 32, height: 32 })
    };
    let json = serde_json::to_vec(&recipe).expect("JSON");
    session.submit(&request(RecipeForm::Json(&json), Deliver::Pixels)).expect("room");
    let drawn = answer(&session).await;
    assert_eq!(drawn.outcome, Outcome::Done, "{}", detail(&drawn));
    assert_eq!(drawn.texture.expect("pixels").size(), (32, 32));
    rig.end().await;
}

#[tokio::test]
async fn what_is_taken_back_is_answered_and_leaves_the_others_theirs() {
    let rig = Rig::start().await;
    let (one, other) = (Arc::new(rig.session("game")), Arc::new(rig.session("game")));
    // Nothing starts any more, so that what is asked stays open.
    rig.app.intake().drain().await;
    let mine = one.submit(&asked("a sword", Deliver::Pixels)).expect("room");
    let theirs = other.submit(&asked("a sword", Deliver::Pixels)).expect("room");
    let open = || rig.app.intake().jobs(Some(JobState::Queued), 10).expect("reads").len();
    // Nobody else waits for this one.
    let alone = one.submit(&asked("a shield", Deliver::Pixels)).expect("room");
    let journal = &rig.app.intake().inner.tools.journal;
    let asked = || {
        journal.read(|connection| connection.query_row("SELECT count(*) FROM requests", [], |row| row.get::<_, u64>(0)))
    };
    let joined = async {
        while asked().expect("reads") < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, joined).await.expect("all have come in");
    one.cancel(mine).expect("is open");
    assert_eq!(code(&answer(&one).await), "cancelled");
    one.cancel(alone).expect("is open");
    let cancelled = answer(&one).await;
    assert_eq!((cancelled.outcome, cancelled.number), (Outcome::Cancelled, alone));
    assert_eq!(open(), 1, "the other's is still wanted");
    other.cancel(theirs).expect("is open");
    assert_eq!(answer(&other).await.outcome, Outcome::Cancelled);
    assert_eq!(open(), 0);
    rig.end().await;
}

#[tokio::test]
async fn a_client_that_looks_at_nothing_can_still_take_its_pictures_back() {
    let rig = Rig::start().await;
    let (hoards, other) = (Arc::new(rig.session("hoards")), Arc::new(rig.session("other")));
    // More pictures of the largest kind than there is room for, all of them held.
    let count = limits::TEXTURE_BYTES_MAX / (2048 * 2048 * 4) + 2;
    let large = |seed| request(RecipeForm::Brief(Brief { seed: Some(seed), ..brief("a wall", 2048) }), Deliver::Pixels);
    let numbers: Vec<u64> = (0..count).map(|_| hoards.submit(&large(1)).expect("room")).collect();
    let mut held = answers(&hoards, 1).await;
    while held.len() < count {
        other.submit(&asked("a sword", Deliver::Pixels)).expect("room");
        assert_eq!(answer(&other).await.outcome, Outcome::Done, "one client holds up nobody else");
        held.extend(std::iter::from_fn(|| hoards.poll()).map(|completion| (completion.number, completion)));
        if let Some(left) = numbers.iter().find(|number| !held.contains_key(number)).filter(|_| held.len() > count / 2)
        {
            // One that has its picture by now is answered with it.
            let _ = hoards.cancel(*left);
            held.extend(answers(&hoards, 1).await);
        }
    }
    assert!(held.values().any(|completion| completion.outcome == Outcome::Cancelled), "{held:?}");
    rig.end().await;
}

#[tokio::test]
async fn what_one_sidecar_did_not_answer_the_next_one_does() {
    let rig = Rig::start().await;
    let session = Arc::new(rig.session("game"));
    session.submit(&asked("a golden sword", Deliver::Pixels)).expect("room");
    assert_eq!(answer(&session).await.outcome, Outcome::Done);
    rig.app.intake().drain().await;
    let open = session.submit(&asked("a shield", Deliver::Pixels)).expect("room");
    rig.app.intake().close();
    // Refused by a door that closes, it is not told so: the next one takes it in.
    let late = session.submit(&asked("late", Deliver::Pixels)).expect("room");
    let folder = rig.end().await;
    let rig = Rig::start_in(folder).await;
    let answers = answers(&session, 2).await;
    for number in [open, late] {
        assert_eq!((answers[&number].outcome, answers[&number].attempts), (Outcome::Done, 1));
    }
    assert_eq!(session.state().restarts, 1);
    assert_eq!(rig.app.intake().jobs(None, 10).expect("reads").len(), 3);
    assert!(!rig.stop.is_cancelled(), "nobody asked it to make room");
    rig.end().await;
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[tokio::test]
async fn what_is_no_command_is_refused() {
    let rig = Rig::start().await;
    let session = Arc::new(rig.session("game"));
    let longest = vec![b'['; limits::MESSAGE_BYTES_MAX - 13];
    for json in [&b""[..], b"no JSON", b"{}", br#"{"verb":"no such verb"}"#, b"[1]", b"\xff", &longest] {
        session.command(json, 1).expect("room");
        let refused = answer(&session).await;
        assert_eq!(refused.outcome, Outcome::Failed);
        assert!(["invalid_request", "unsupported_field"].contains(&code(&refused)), "{}", detail(&refused));
    }
    rig.end().await;
}

#[tokio::test]
async fn a_command_is_answered_with_a_value_or_with_a_picture() {
    let verbs = Arc::new(Verbs::default());
    let rig = Rig::with(folder(), &verbs).await;
    let session = Arc::new(rig.session("game"));
    session.command(b"quick", 7).expect("room");
    let told = answer(&session).await;
    assert_eq!((told.outcome, told.tag, detail(&told)), (Outcome::Done, 7, json!({ "answer": "done" })));
    assert!(told.texture.is_none());
    session.command(b"picture", 8).expect("room");
    let shown = answer(&session).await;
    assert_eq!((shown.outcome, detail(&shown)), (Outcome::Done, json!({ "answer": { "width": 64 } })));
    let texture = shown.texture.expect("a picture");
    assert_eq!((texture.size(), texture.format()), ((64, 48), Deliver::Pixels));
    assert!(texture.to_vec() == picture(64, 48).pixels());
    rig.end().await;
}

#[tokio::test]
async fn a_command_that_goes_wrong_is_an_answer() {
    let verbs = Arc::new(Verbs::default());
    let rig = Rig::with(folder(), &verbs).await;
    let session = Arc::new(rig.session("game"));
    for (verb, expected) in
        [("panic", "internal"), ("panic later", "internal"), ("fail", "input_file"), ("large", "too_large")]
    {
        session.command(verb.as_bytes(), 1).expect("room");
        let failed = answer(&session).await;
        assert_eq!((failed.outcome, code(&failed)), (Outcome::Failed, expected), "{verb}");
        assert_eq!(detail(&failed)["failure"]["code"], expected);
    }
    session.command(b"quick", 1).expect("room");
    assert_eq!(answer(&session).await.outcome, Outcome::Done, "the door stands");
    assert_eq!((session.state().restarts, rig.serving.commands()), (0, 0));
    rig.end().await;
}

#[tokio::test]
async fn a_command_is_followed_and_taken_back() {
    let verbs = Arc::new(Verbs::default());
    let rig = Rig::with(folder(), &verbs).await;
    let session = Arc::new(rig.session("game"));
    let at = |step| Some(Progress { state: JobState::Running, step, steps: 40 });
    let waits = session.command(b"wait", 1).expect("room");
    until("progress", || session.progress(waits) == at(3)).await;
    session.cancel(waits).expect("is open");
    let cancelled = answer(&session).await;
    assert_eq!((cancelled.outcome, code(&cancelled)), (Outcome::Cancelled, "cancelled"));
    // One that takes its time is answered when it has ended, not before; it was taken back, whatever it came to.
    let stubborn = session.command(b"stubborn", 2).expect("room");
    until("its beginning", || verbs.begun() == 2).await;
    session.cancel(stubborn).expect("is open");
    until("word that it has heard", || session.progress(stubborn) == at(4)).await;
    assert_eq!((verbs.ended(), session.poll().is_none()), (1, true));
    verbs.go.cancel();
    let cancelled = answer(&session).await;
    assert_eq!((cancelled.number, cancelled.outcome), (stubborn, Outcome::Cancelled));
    rig.end().await;
}

#[tokio::test]
async fn a_command_goes_on_without_its_client() {
    let verbs = Arc::new(Verbs::default());
    let rig = Rig::with(folder(), &verbs).await;
    let session = rig.session("game");
    session.command(b"wait", 1).expect("room");
    until("its beginning", || verbs.begun() == 1).await;
    session.close();
    until("notice", || rig.serving.clients() == 0).await;
    assert_eq!((rig.serving.commands(), verbs.ended()), (1, 0), "it keeps the sidecar awake");
    verbs.go.cancel();
    until("its end", || rig.serving.commands() == 0).await;
    assert_eq!(verbs.ended(), 1);
    rig.end().await;
}

#[tokio::test]
async fn a_command_that_is_asked_again_while_it_runs_is_joined() {
    let verbs = Arc::new(Verbs::default());
    let (data, app) = (folder(), tempfile::tempdir().expect("a folder"));
    let config = Config { workers: 1, ..Config::new(app.path(), &UserFile::default()) };
    let app = App::start(config).await.expect("starts");
    let door = Door::new(app.intake().clone(), Arc::new(verbs.clone()), CancellationToken::new());
    let listening = listen(data.path(), &door).expect("listens");
    let options = thumbforge_channel::client::Options::new(data.path(), "game", Start::Never);
    let session = Arc::new(Session::open(options).expect("opens"));
    let number = session.command(b"wait", 1).expect("room");
    until("its beginning", || verbs.begun() == 1).await;
    // The connection breaks, and the sidecar is the same.
    tokio::task::spawn_blocking(move || drop(listening)).await.expect("closes");
    let listening = listen(data.path(), &door).expect("listens");
    until("the client", || session.state().restarts == 1).await;
    // What is asked later is heard later, so the command has come again by now.
    session.command(b"quick", 2).expect("room");
    assert_eq!(answer(&session).await.tag, 2);
    let running = Some(Progress { state: JobState::Running, step: 3, steps: 40 });
    until("progress", || session.progress(number) == running).await;
    verbs.go.cancel();
    let told = answer(&session).await;
    assert_eq!((told.number, told.outcome, verbs.begun()), (number, Outcome::Done, 2));
    tokio::task::spawn_blocking(move || drop(listening)).await.expect("closes");
    drop(app.drain().await);
}

#[tokio::test]
async fn a_command_that_one_sidecar_did_not_answer_the_next_one_does() {
    let verbs = Arc::new(Verbs::default());
    let rig = Rig::with(folder(), &verbs).await;
    let session = Arc::new(rig.session("game"));
    let number = session.command(b"wait", 1).expect("room");
    until("its beginning", || verbs.begun() == 1).await;
    rig.app.intake().close();
    // Neither begun by a sidecar that stops, nor answered by it.
    let late = session.command(b"quick", 2).expect("room");
    rig.serving.settle().await;
    assert_eq!((rig.serving.commands(), verbs.begun(), verbs.ended()), (0, 1, 1), "it was interrupted");
    assert!(session.poll().is_none(), "what came of the interruption is told to nobody");
    let next = Arc::new(Verbs::default());
    next.go.cancel();
    let rig = Rig::with(rig.end().await, &next).await;
    let answers = answers(&session, 2).await;
    for number in [number, late] {
        assert_eq!(detail(&answers[&number]), json!({ "answer": "done" }));
    }
    assert_eq!((session.state().restarts, next.begun()), (1, 2));
    rig.end().await;
}

#[tokio::test]
async fn what_ends_while_the_sidecar_stops_is_asked_again() {
    let verbs = Arc::new(Verbs::default());
    let rig = Rig::with(folder(), &verbs).await;
    let session = Arc::new(rig.session("game"));
    session.command(b"wait", 1).expect("room");
    until("its beginning", || verbs.begun() == 1).await;
    rig.app.intake().close();
    verbs.go.cancel();
    until("its end", || rig.serving.commands() == 0).await;
    let rig = Rig::with(rig.end().await, &verbs).await;
    assert_eq!(answer(&session).await.outcome, Outcome::Done);
    assert_eq!(verbs.begun(), 2, "what a sidecar that stops makes of a command may be less than it would have been");
    rig.end().await;
}

#[tokio::test]
async fn commands_of_one_client_stand_in_line_and_hold_up_nobody_else() {
    let verbs = Arc::new(Verbs::default());
    let rig = Rig::with(folder(), &verbs).await;
    let (one, other) = (Arc::new(rig.session("one")), Arc::new(rig.session("other")));
    let numbers: Vec<u64> = (0..=commands::AT_ONCE).map(|_| one.command(b"wait", 1).expect("room")).collect();
    let queued = |number: &&u64| one.progress(**number).is_some_and(|at| at.state == JobState::Queued);
    until("all that may run", || numbers.iter().filter(queued).count() == 1).await;
    assert_eq!(verbs.begun(), commands::AT_ONCE);
    other.command(b"quick", 2).expect("room");
    assert_eq!(answer(&other).await.outcome, Outcome::Done);
    assert_eq!(verbs.begun(), commands::AT_ONCE + 1, "the last of the first client has not begun");
    // What stands in line is taken back at once.
    one.cancel(*numbers.iter().find(queued).expect("one waits")).expect("is open");
    assert_eq!(answer(&one).await.outcome, Outcome::Cancelled);
    assert_eq!(verbs.ended(), 1, "it never began");
    verbs.go.cancel();
    assert_eq!(answers(&one, commands::AT_ONCE).await.len(), commands::AT_ONCE);
    rig.end().await;
}

#[tokio::test]
async fn a_picture_that_finds_no_room_can_be_taken_back() {
    let verbs = Arc::new(Verbs::default());
    let rig = Rig::with(folder(), &verbs).await;
    let session = Arc::new(rig.session("hoards"));
    let room = limits::TEXTURE_BYTES_MAX / (2048 * 2048 * 4);
    let mut held = Vec::new();
    for _ in 0..room {
        session.command(b"wall", 1).expect("room");
        held.push(answer(&session).await.texture.expect("a picture"));
    }
    let more = session.command(b"wall", 2).expect("room");
    until("its end", || verbs.ended() == room + 1).await;
    session.cancel(more).expect("is open");
    assert_eq!(answer(&session).await.outcome, Outcome::Cancelled);
    held.pop();
    session.command(b"wall", 3).expect("room");
    assert_eq!(answer(&session).await.outcome, Outcome::Done);
    rig.end().await;
}

#[tokio::test(start_paused = true)]
async fn progress_is_told_at_the_pace_of_an_editors_frames() {
    let verbs = Arc::new(Verbs::default());
    let tasks = Tasks { runtime: Handle::current(), open: TaskTracker::new(), leaving: CancellationToken::new() };
    let all = Commands::new(Arc::new(verbs.clone()), tasks);
    let place = Arc::new(Semaphore::new(1)).acquire_owned().await.expect("a place");
    // It says nothing of itself until it is taken back.
    let running = all.begin(RequestKey::new([1; 16], 1), b"stubborn".to_vec(), place).expect("room");
    let mut follower = running.follow();
    let mut told = Vec::new();
    let began = tokio::time::Instant::now();
    for done in 10..13 {
        let Next::Step(steps) = follower.next().await else { panic!("it goes on") };
        told.push(steps.done);
        // Many between two frames; the last is what counts.
        (0..=done).for_each(|done| running.step(done, 40));
    }
    assert_eq!((told, began.elapsed()), (vec![0, 10, 11], Duration::from_millis(2 * 16)));
    verbs.go.cancel();
    running.take_back();
    let ended = async { while !matches!(follower.next().await, Next::Ended(Ended::Answered { .. })) {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("it ends");
}
