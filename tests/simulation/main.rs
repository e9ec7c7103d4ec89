//! Dispatcher and journal in a seeded world: crashes, failed writes, failed and slow drawings, duplicates,
//! requests sent again, refused and mended pictures, cancels and deadlines, thousands of schedules. The state machine and the SQL are the real ones.
//!
//! A schedule that breaks an invariant panics with its seed; `THUMBFORGE_SEED=n` runs that one alone.

mod replay;
mod world;

use world::World;

/// Schedules of one run: about 20 s in the test profile; `tests/run --full` runs ten times as many.
const SCHEDULES: u64 = 3000;

#[test]
fn no_schedule_loses_doubles_or_starves_a_job() {
    let only: Option<u64> = std::env::var("THUMBFORGE_SEED").ok().and_then(|seed| seed.parse().ok());
    let schedules = if std::env::var_os("THUMBFORGE_FULL").is_some() { SCHEDULES * 10 } else { SCHEDULES };
    let seeds = only.map_or(0..schedules, |seed| seed..seed + 1);
    let mut seen = world::Tally::default();
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| World::new(seed).run());
        match outcome {
            Ok(tally) => seen.add(&tally),
            Err(panic) => {
                eprintln!("schedule failed: run it alone with THUMBFORGE_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{seen:?}");
    if only.is_none() {
        // The world must really have been rough, or passing means little.
        assert!(seen.crashes > SCHEDULES && seen.unrecorded > SCHEDULES / 10 && seen.cancelled > SCHEDULES / 10);
        assert!(seen.resent_open > SCHEDULES && seen.resent_ended > SCHEDULES);
        assert!(seen.cached > SCHEDULES && seen.failed > SCHEDULES / 2 && seen.deadlines > SCHEDULES / 20);
        let garbled = &seen.garbled;
        assert!(garbled.mended > SCHEDULES && garbled.repaired > SCHEDULES / 4 && garbled.given_up > SCHEDULES / 5);
        assert!(garbled.shared > SCHEDULES / 20);
        let bought = &seen.bought;
        assert!(bought.billed > SCHEDULES && bought.unknown > SCHEDULES / 5 && bought.asked > SCHEDULES / 20);
        assert!(bought.held > SCHEDULES / 20 && bought.resent > SCHEDULES / 20 && bought.over_budget > SCHEDULES / 20);
    }
}

/// Ten thousand jobs in one world: what is spent stays within the budget, is counted once, and every job ends.
#[test]
fn ten_thousand_jobs_spend_what_they_may_and_no_more() {
    let seed = std::env::var("THUMBFORGE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let seen = World::new(seed).run_long(10_000, 7_200_000);
    println!("{seen:?}");
    assert!(seen.jobs > 9_000 && seen.bought.billed > 1_000 && seen.bought.over_budget > 10, "{seen:?}");
}
