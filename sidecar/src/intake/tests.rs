//! The door under pressure: it says busy at its bound, takes jobs again once there is room, and never waits for a lost job.

use std::sync::Arc;

use thumbforge_core::error::ErrorCode;
use thumbforge_core::id::{JobId, RealisedKey, RequestKey};
use thumbforge_core::image::Extent;
use thumbforge_core::job::{Ending, Gate, JobSpec, JobState, Lane, OnAmbiguous, Purchase, Route};
use thumbforge_core::limits;
use thumbforge_core::model::{Catalogue, ModelId, parse_rows};
use thumbforge_core::money::Micros;
use thumbforge_core::recipe::Recipe;
use thumbforge_core::terms::Terms;

use crate::app::App;
use crate::config::{Config, UserFile};
use crate::journal::{Journal, Record, ops};

fn spec(prompt: &str) -> JobSpec {
    let recipe = Recipe::from_prompt(prompt, Extent { width: 32, height: 32 });
    JobSpec::new(recipe, Lane::Batch, "test")
}

fn config(folder: &std::path::Path) -> Config {
    Config { workers: 1, open_jobs_max: 2, ..Config::new(folder, &UserFile::default()) }
}

async fn accept(journal: &Journal, spec: JobSpec) {
    let json = ops::spec_to_json(&spec);
    let planned = spec.recipe.planned_key();
    journal
        .write(move |connection| ops::accept(connection, None, &spec, &json, planned, 1))
        .durable()
        .await
        .expect("accepts");
}

#[tokio::test]
async fn a_project_that_may_connect_may_ask() {
    let folder = tempfile::tempdir().expect("a folder");
    let app = App::start(config(folder.path())).await.expect("starts");
    let of = |bytes| JobSpec { client: "p".repeat(bytes), ..spec("a sword") };
    app.intake().admit(of(limits::PROJECT_BYTES_MAX)).expect("the handshake lets it in");
    let failure = app.intake().admit(of(limits::PROJECT_BYTES_MAX + 1)).expect_err("it is beyond the bound");
    assert_eq!(failure.code, ErrorCode::InvalidRequest);
    app.drain().await;
}

/// Budgets are kept by what pictures are said to cost, and a manifest comes with every pull request.
#[tokio::test]
async fn a_project_cannot_call_a_model_cheaper_than_the_user_knows_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let app = App::start(config(folder.path())).await.expect("starts");
    let row = "[[model]]\nid='ours'\nname='x'\nfamily='hosted'\nprovider='openai'\nwire='gpt-image-2'\n\
        price=[{usd='0',as_of='2026'}]\n";
    let rows = parse_rows(row).expect("a row");
    let asked = JobSpec { terms: Terms { rows, ..Terms::default() }, ..spec("a sword") };
    let admitted = app.intake().admit(asked).expect("a job");
    let price = admitted.terms.rows[0].price_of("1024x1024", "high", "generate").expect("a price");
    assert_eq!(price.micros, Micros(211_000));
    let many = Terms { fallback: vec![ModelId::builtin(); limits::FALLBACKS_MAX + 1], ..Terms::default() };
    let failure = app.intake().admit(JobSpec { terms: many, ..spec("a sword") }).expect_err("beyond the bound");
    assert_eq!(failure.code, ErrorCode::InvalidRequest);
    app.drain().await;
}

#[tokio::test]
async fn a_full_queue_says_busy_and_has_room_again() {
    let folder = tempfile::tempdir().expect("a folder");
    // Two jobs that an earlier process left: they count while they are open, and no longer.
    let journal = Journal::open(&folder.path().join("journal.sqlite")).expect("opens");
    for left in ["left one", "left two"] {
        accept(&journal, spec(left)).await;
    }
    journal.close();
    drop(journal);
    let app = App::start(config(folder.path())).await.expect("starts");
    assert_eq!(app.recovered, 2);
    let (mut tickets, mut busy) = (Vec::new(), 0);
    // On one thread nothing is drawn to its end between these calls often enough to keep up with them.
    let asked = (0..64).map(|at| app.intake().submit(spec(&format!("picture {at}"))));
    for submitted in futures_util::future::join_all(asked).await {
        match submitted {
            Ok(ticket) => tickets.push(ticket),
            Err(failure) => {
                assert_eq!(failure.code, ErrorCode::QueueFull);
                busy += 1;
            }
        }
    }
    assert!(busy > 0, "64 at once do not fit into 2");
    for mut ticket in tickets {
        assert!(matches!(ticket.ending().await, Ending::Done { .. }));
    }
    // Whatever was left and whatever was asked has ended, so all places are free: four one after another at least.
    for at in 0..4 {
        let mut ticket = app.intake().submit(spec(&format!("later {at}"))).await.expect("there is room again");
        assert!(matches!(ticket.ending().await, Ending::Done { .. }));
    }
    let open = app.intake().jobs(Some(JobState::Queued), 10).expect("reads");
    assert!(open.is_empty(), "{open:?}");
    app.drain().await;
}

#[tokio::test]
async fn a_request_sent_again_is_told_of_its_job_and_draws_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let request = |number| RequestKey::new([1; 16], number);
    let mut refused = spec("by a model that is not here");
    refused.recipe.model = Some(Catalogue::built_in().resolve("sd3.5-large").expect("a model").id.clone());
    let app = App::start(config(folder.path())).await.expect("starts");
    let mut first = app.intake().submit_as(request(1), spec("a sword")).await.expect("accepts");
    let done = first.ending().await;
    assert!(matches!(done, Ending::Done { cached: false, attempts: 1, .. }), "{done:?}");
    let failed = app.intake().submit_as(request(2), refused.clone()).await.expect("accepts").ending().await;
    assert!(matches!(&failed, Ending::Failed(failure) if failure.code == ErrorCode::ModelUnavailable), "{failed:?}");
    // Nothing starts any more, so this one is open when the sidecar ends.
    app.intake().drain().await;
    let open = app.intake().submit_as(request(3), spec("a shield")).await.expect("accepts");
    app.drain().await;

    let app = App::start(config(folder.path())).await.expect("starts");
    // Whatever the door says to others, this one was let in before.
    app.intake().close();
    let again = async |number, spec| app.intake().submit_as(request(number), spec).await.expect("is known");
    assert_eq!(again(1, spec("a sword")).await.ending().await, done);
    assert_eq!(again(2, refused).await.ending().await, failed);
    let mut taken_up = again(3, spec("a shield")).await;
    assert_eq!(taken_up.id, open.id);
    assert!(matches!(taken_up.ending().await, Ending::Done { cached: false, attempts: 1, .. }));
    assert_eq!(app.intake().jobs(None, 10).expect("reads").len(), 3);
    let stranger = app.intake().submit_as(request(4), spec("a sword")).await.err().map(|failure| failure.code);
    assert_eq!(stranger, Some(ErrorCode::ShuttingDown));
    app.drain().await;
}

#[tokio::test]
async fn a_request_taken_back_leaves_the_job_to_the_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let app = App::start(config(folder.path())).await.expect("starts");
    let intake = app.intake();
    // Nothing starts any more, so the job stays open until it is cancelled.
    intake.drain().await;
    let ask =
        async |number| intake.submit_as(RequestKey::new([1; 16], number), spec("a sword")).await.expect("accepts");
    let (first, second, third) = (ask(1).await, ask(2).await, ask(3).await);
    let id = first.id;
    assert_eq!((second.id, third.id), (id, id));
    let state = || intake.job(id).expect("reads").state;
    assert_eq!(intake.withdraw(first).await.expect("leaves"), Ending::Cancelled);
    // Whoever hangs up wants nothing either, and cancels nothing.
    drop(second);
    assert_eq!(state(), JobState::Queued);
    assert_eq!(intake.withdraw(third).await.expect("leaves"), Ending::Cancelled);
    assert_eq!(state(), JobState::Cancelled);
    let (mut waits, other) = (ask(4).await, ask(5).await);
    assert_ne!(waits.id, id, "what was cancelled is asked for anew");
    intake.cancel(other.id).await.expect("cancels");
    assert_eq!(waits.ending().await, Ending::Cancelled, "a plain cancel asks nobody");
    app.drain().await;
}

/// Each of two jobs for the same picture is counted for itself: who takes one back takes nothing from the other.
#[tokio::test]
async fn a_request_that_is_held_to_more_is_taken_back_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let app = App::start(config(folder.path())).await.expect("starts");
    let intake = app.intake();
    // Nothing starts any more, so the jobs stay open until they are cancelled.
    intake.drain().await;
    let strict = JobSpec { gate: Gate::Enforce, ..spec("a sword") };
    let lenient = intake.submit(spec("a sword")).await.expect("accepts");
    let strict = intake.submit(strict).await.expect("accepts");
    assert_ne!(lenient.id, strict.id);
    let (state, id) = (|id| intake.job(id).expect("reads").state, lenient.id);
    assert_eq!(intake.withdraw(strict).await.expect("leaves"), Ending::Cancelled);
    assert_eq!(state(id), JobState::Queued);
    intake.cancel(id).await.expect("cancels");
    assert_eq!(state(id), JobState::Cancelled);
    app.drain().await;
}

#[tokio::test]
async fn a_job_that_the_dispatcher_does_not_hold_can_be_cancelled() {
    let folder = tempfile::tempdir().expect("a folder");
    let app = App::start(config(folder.path())).await.expect("starts");
    // As a failed write leaves one: open in the journal, and unknown to the dispatcher.
    let journal = Journal::open(&folder.path().join("journal.sqlite")).expect("opens beside");
    accept(&journal, spec("lost")).await;
    let lost = app.intake().jobs(None, 1).expect("reads").remove(0).id;
    let cancelled = app.intake().cancel(lost).await.expect("cancels");
    assert!(cancelled.state.is_final(), "{cancelled:?}");
    app.drain().await;
}

/// A job with a call of which the journal has no end: as after a full disk, when the dispatcher has let go of it.
async fn lost_call(folder: &std::path::Path) -> JobId {
    let journal = Journal::open(&folder.join("journal.sqlite")).expect("opens beside");
    let spec = spec("a sword");
    let (json, planned) = (ops::spec_to_json(&spec), spec.recipe.planned_key());
    let purchase = Purchase {
        account: "studio".into(),
        provider: "openai".into(),
        key_id: String::new(),
        quoted: Micros(8),
        reserve: Micros(10),
        images: 1,
        on_ambiguous: OnAmbiguous::Hold,
        nonce: String::new(),
        known_as: None,
    };
    let route = Box::new(Route { purchase: Some(purchase), ..crate::journal::tests::route(&spec) });
    let written = journal.write(move |connection| {
        let job = ops::accept(connection, None, &spec, &json, planned, 1)?.job();
        let (route, art, budgets) = (route.clone(), Some(RealisedKey([1; 32])), Arc::new([]));
        ops::apply(connection, &Record::Started { job, attempt: 1, route, art, budgets }, 1)?;
        Ok(job)
    });
    written.durable().await.expect("writes")
}

#[tokio::test]
async fn a_decision_reaches_a_job_that_the_dispatcher_let_go_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let app = App::start(config(folder.path())).await.expect("starts");
    let job = lost_call(folder.path()).await;
    app.intake().resend(job).await.expect("it waits for that");
    let mut ticket = app.intake().submit(spec("a sword")).await.expect("joins it, or finds it done");
    let Ending::Done { .. } = ticket.ending().await else { panic!("it is drawn") };
    let failure = app.intake().resend(job).await.expect_err("it has ended");
    assert_eq!(failure.code, ErrorCode::InvalidRequest);
    app.drain().await;
}

#[tokio::test]
async fn a_job_that_ended_while_somebody_looked_is_not_taken_up_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let app = App::start(config(folder.path())).await.expect("starts");
    let job = lost_call(folder.path()).await;
    let read = app.intake().inner.tools.journal.read(|connection| ops::open(connection, job)).expect("reads");
    let open = read.expect("it is open");
    assert!(open.held.is_some());
    app.intake().give_up(job).await.expect("it waits for that");
    // What was read before comes late.
    let (waiter, ending) = tokio::sync::oneshot::channel();
    app.intake().hand_over(open, waiter).await;
    assert_eq!(ending.await.expect("an answer"), Ending::Cancelled);
    assert!(!app.intake().inner.dispatcher.is_held(job).await);
    assert_eq!(app.intake().metrics().open(), 0);
    app.drain().await;
}
