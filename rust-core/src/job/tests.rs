//! The life of a job: words round-trip, final means final, and every state can reach an end.

use super::*;

#[test]
fn words_name_states_both_ways() {
    for state in JobState::ALL {
        assert_eq!(JobState::from_word(state.word()), Some(state));
    }
    assert_eq!(JobState::from_word("finished"), None);
}

#[test]
fn nothing_follows_a_final_state() {
    for from in JobState::ALL.into_iter().filter(|state| state.is_final()) {
        for to in JobState::ALL {
            assert!(!from.may_become(to), "{from:?} to {to:?}");
        }
    }
}

#[test]
fn every_open_state_can_be_cancelled_fail_and_reach_done() {
    for from in JobState::ALL.into_iter().filter(|state| !state.is_final()) {
        assert!(from.may_become(JobState::Cancelled) && from.may_become(JobState::Failed), "{from:?}");
        let mut reached = vec![from];
        let mut at = 0;
        while at < reached.len() {
            let here = reached[at];
            reached.extend(
                JobState::ALL
                    .into_iter()
                    .filter(|to| here.may_become(*to) && !reached.contains(to))
                    .collect::<Vec<_>>(),
            );
            at += 1;
        }
        assert!(reached.contains(&JobState::Done), "{from:?} never gets done");
    }
}

#[test]
fn an_illegal_edge_names_both_ends() {
    let error = JobState::Done.step(JobId(7), JobState::Running).expect_err("done is final");
    assert_eq!(error.to_string(), "take job 7 from Done to Running: no such edge");
}
