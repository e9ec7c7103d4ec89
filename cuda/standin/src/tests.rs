//! The stand-in is what it says: its instructions, and its cards.

mod driver;

use crate::{Control, Standin, StandinError, self_test};

#[test]
fn the_emulator_does_what_its_instructions_say() {
    match self_test() {
        Ok((output, well)) => assert!(well, "{output}"),
        Err(StandinError::NotHere { reason }) => eprintln!("NOT RUN: the emulator's own test: {reason}"),
        Err(err) => panic!("failed to {err}"),
    }
}

#[test]
fn what_tests_turn_is_known_to_the_library() {
    let _turn = driver::turn();
    let Some(standin) = Standin::of_test("controls") else { return };
    for control in [
        Control::Cards,
        Control::Capability,
        Control::Mib,
        Control::OthersMib,
        Control::Driver,
        Control::Pools,
        Control::Multiprocessors,
        Control::Seed,
        Control::Threads,
        Control::Late,
        Control::FailAllocation,
        Control::LoseLaunch,
        Control::LoseAgain,
        Control::LoseCard,
        Control::LoseForGood,
        Control::RefuseCard,
        Control::OtherCapability,
        Control::RefuseLibrary,
        Control::LibrarySays,
        Control::LibraryColumns,
    ] {
        let before = standin.control(control);
        standin.set(control, 3);
        assert_eq!(standin.control(control), 3, "{control:?}");
        standin.set(control, before);
    }
    for figure in crate::Figure::LIVE {
        assert_eq!(standin.get(figure), 0, "{figure:?}");
    }
}
