//! Jobs through the door: checked, journalled, synced to the disk, acknowledged.

use std::time::{Duration, Instant};

use thumbforge_core::image::Extent;
use thumbforge_core::job::{AssetRef, JobSpec, Lane};
use thumbforge_core::recipe::Recipe;
use thumbforge_sidecar::app::App;
use thumbforge_sidecar::config::{Config, UserFile};

use crate::Board;

const JOBS: usize = 10_000;
const SUBMITTERS: usize = 64;
const PER_SECOND_GOAL: f64 = 5_000.0;

/// 10,000 jobs from 64 submitters, each waiting for its acceptance before it sends the next.
pub(crate) fn durably_from_64(board: &mut Board) {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let took = runtime.block_on(async {
        let config =
            Config { workers: 1, drain: Duration::from_secs(5), ..Config::new(folder.path(), &UserFile::default()) };
        let app = App::start(config).await.expect("a sidecar");
        let began = Instant::now();
        let submitters: Vec<_> = (0..SUBMITTERS)
            .map(|submitter| {
                let intake = app.intake().clone();
                tokio::spawn(async move {
                    // Of the receipt only the acceptance is awaited; the pictures are drawn meanwhile or never.
                    for at in (submitter..JOBS).step_by(SUBMITTERS) {
                        drop(intake.submit(job(at)).await.expect("acceptance"));
                    }
                })
            })
            .collect();
        for submitter in submitters {
            submitter.await.expect("a submitter");
        }
        let took = began.elapsed();
        app.drain().await;
        took
    });
    let rate = JOBS as f64 / took.as_secs_f64();
    let measured = format!("{rate:.0}/s");
    // What a disk's sync costs differs tenfold between machines, so the bound is half the goal.
    let goal = format!("goal {PER_SECOND_GOAL:.0}/s, bound half of it");
    board.line("10,000 jobs accepted durably from 64 submitters", &measured, &goal, rate >= PER_SECOND_GOAL / 2.0);
}

fn job(at: usize) -> JobSpec {
    let size = Extent { width: 64, height: 64 };
    let recipe = Recipe::from_prompt(&format!("card {at} of a game"), size);
    let asset = AssetRef { name: format!("card{at}"), locale: "en".to_owned() };
    JobSpec { asset, ..JobSpec::new(recipe, Lane::Batch, format!("bench {}", at % SUBMITTERS)) }
}
