//! The door under pressure: it says busy at its bound, takes jobs again once there is room, and never waits for a lost job.

use thumbforge_core::error::ErrorCode;
use thumbforge_core::image::Extent;
use thumbforge_core::job::{Ending, JobSpec, JobState, Lane};
use thumbforge_core::recipe::Recipe;

use crate::app::App;
use crate::config::{Config, UserFile};
use crate::journal::{Journal, ops};

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
    for ticket in tickets {
        assert!(matches!(ticket.ending().await, Ending::Done { .. }));
    }
    // Whatever was left and whatever was asked has ended, so all places are free: four one after another at least.
    for at in 0..4 {
        let ticket = app.intake().submit(spec(&format!("later {at}"))).await.expect("there is room again");
        assert!(matches!(ticket.ending().await, Ending::Done { .. }));
    }
    let open = app.intake().jobs(Some(JobState::Queued), 10).expect("reads");
    assert!(open.is_empty(), "{open:?}");
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
