//! The door through the real channel: what is delivered is what was drawn, and nothing that a client sends goes unchecked.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use thumbforge_channel::client::{Brief, Completion, RecipeForm, Request, Session, Start};
use thumbforge_core::image::Extent;
use thumbforge_core::job::{Gate, Lane};
use thumbforge_core::recipe::{ArtFile, Recipe, Tier};

use super::*;
use crate::app::App;
use crate::config::{Config, UserFile};
use crate::output::png::{DecodeLimits, decode};

const PATIENCE: Duration = Duration::from_secs(60);

struct Rig {
    folder: tempfile::TempDir,
    app: App,
    serving: Listening,
    stop: CancellationToken,
}

impl Rig {
    async fn start() -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder")).await
    }

    async fn start_in(folder: tempfile::TempDir) -> Self {
        let config = Config { workers: 1, ..Config::new(folder.path(), &UserFile::default()) };
        let app = App::start(config).await.expect("starts");
        let stop = CancellationToken::new();
        let serving = serve(folder.path(), app.intake().clone(), stop.clone()).expect("listens");
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
