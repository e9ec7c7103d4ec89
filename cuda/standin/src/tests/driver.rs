//! What a program does wrong with a card, the stand-in's driver tells; and what it does right goes as late as it may.

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Control, Figure, Standin};

type Address = u64;
type Handle = *mut c_void;

const OK: u32 = 0;
const INVALID: u32 = 1;
const NO_MEMORY: u32 = 2;
const NOT_READY: u32 = 600;
const LOST: u32 = 700;
const UNSUPPORTED: u32 = 900;
const SPOILED: u32 = 901;
const GONE: u32 = 400;

static TURN: Mutex<()> = Mutex::new(());

/// There is one driver for the process.
pub(super) fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls a function of the driver, all of whose arguments are numbers or addresses of things that live.
macro_rules! call {
    ($card:expr, $name:ident($($value:expr => $of:ty),*)) => {{
        // SAFETY: cuda.h has the function with these types.
        let function = unsafe { $card.standin.function::<unsafe extern "C" fn($($of),*) -> u32>(stringify!($name)) };
        // SAFETY: what is passed lives in the test that calls, and is as large as it says.
        unsafe { function($($value),*) }
    }};
}

/// A card with a context that is current, and a stream.
struct Card {
    standin: &'static Standin,
    stream: Handle,
    _turn: MutexGuard<'static, ()>,
}

impl Card {
    fn of_test(test: &str) -> Option<Self> {
        let _turn = turn();
        let standin = Standin::of_test(test)?;
        standin.set(Control::Mib, 64);
        let mut card = Self { standin, stream: null_mut(), _turn };
        let mut context: Handle = null_mut();
        assert_eq!(call!(card, cuInit(0 => u32)), OK);
        assert_eq!(call!(card, cuDevicePrimaryCtxRetain(&raw mut context => *mut Handle, 0 => c_int)), OK);
        assert_eq!(call!(card, cuCtxSetCurrent(context => Handle)), OK);
        let mut stream: Handle = null_mut();
        assert_eq!(call!(card, cuStreamCreate(&raw mut stream => *mut Handle, 1 => u32)), OK);
        card.stream = stream;
        Some(card)
    }

    fn allocate(&self, bytes: usize) -> Result<Address, u32> {
        let mut at = 0;
        match call!(self, cuMemAlloc_v2(&raw mut at => *mut Address, bytes => usize)) {
            OK => Ok(at),
            code => Err(code),
        }
    }

    fn free(&self, at: Address) -> u32 {
        call!(self, cuMemFree_v2(at => Address))
    }

    fn set(&self, at: Address, value: u8, bytes: usize) -> u32 {
        call!(self, cuMemsetD8Async(at => Address, value => u8, bytes => usize, self.stream => Handle))
    }

    /// Without a wait for other work.
    fn read(&self, at: Address, to: &mut [u8]) -> u32 {
        call!(self, cuMemcpyDtoH_v2(to.as_mut_ptr() => *mut u8, at => Address, to.len() => usize))
    }

    fn wait(&self) -> u32 {
        call!(self, cuStreamSynchronize(self.stream => Handle))
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        // A context that was lost is a new one after that.
        call!(self, cuDevicePrimaryCtxReset_v2(0 => c_int));
        call!(self, cuDevicePrimaryCtxRelease_v2(0 => c_int));
        self.standin.set(Control::Mib, 8192);
    }
}

#[test]
fn memory_is_as_much_as_the_card_has_and_is_no_number_at_first() {
    let Some(card) = Card::of_test("memory") else { return };
    let at = card.allocate(1000).expect("room");
    assert_eq!(at % 256, 0);
    let mut bytes = [0; 1000];
    assert_eq!(card.read(at, &mut bytes), OK);
    assert!(bytes.iter().all(|byte| *byte == 0xFF));
    assert_eq!(card.allocate(64 << 20), Err(NO_MEMORY));
    card.standin.set(Control::OthersMib, 60);
    assert_eq!(card.allocate(8 << 20), Err(NO_MEMORY));
    card.standin.set(Control::OthersMib, 0);
    card.standin.set(Control::FailAllocation, 2);
    let more = card.allocate(8 << 20).expect("room");
    assert_eq!(card.allocate(8 << 20), Err(NO_MEMORY));
    assert_eq!((card.free(more), card.free(at), card.free(at)), (OK, OK, INVALID));
    assert_eq!(card.standin.get(Figure::LiveAllocations), 0);
}

#[test]
fn a_call_that_shall_fail_does_and_what_nobody_gave_back_is_counted() {
    let Some(card) = Card::of_test("failing calls") else { return };
    let at = card.allocate(16).expect("room");
    card.standin.fail("cuMemsetD8Async", 2, UNSUPPORTED);
    assert_eq!((card.set(at, 1, 16), card.standin.failing()), (OK, 1));
    assert_eq!((card.set(at, 2, 16), card.standin.failing()), (UNSUPPORTED, 0));
    // Whoever waits has waited, and what is given back is gone.
    card.standin.fail("cuStreamSynchronize", 1, LOST);
    assert_eq!((card.wait(), card.wait()), (LOST, OK));
    let mut bytes = [0; 16];
    assert_eq!((card.read(at, &mut bytes), bytes), (OK, [1; 16]), "what failed was not done");
    card.standin.fail("cuMemFree_v2", 1, UNSUPPORTED);
    assert_eq!((card.free(at), card.free(at)), (UNSUPPORTED, INVALID));
    let calls = card.standin.calls().into_iter().find(|(name, _)| name == "cuMemFree_v2");
    assert!(calls.is_some_and(|(_, count)| count >= 2));

    card.allocate(16).expect("room");
    let abandoned = card.standin.get(Figure::Abandoned);
    assert_eq!(call!(card, cuDevicePrimaryCtxRelease_v2(0 => c_int)), OK);
    assert_eq!(card.standin.get(Figure::Abandoned) - abandoned, 2, "memory and a stream");
    let mut context: Handle = null_mut();
    assert_eq!(call!(card, cuDevicePrimaryCtxRetain(&raw mut context => *mut Handle, 0 => c_int)), OK);
    drop(card);
    let standin = Standin::load().expect("it is open");
    assert_eq!(
        standin.get(Figure::Abandoned) - abandoned,
        2,
        "a context that is reset leaves what its holder wants gone"
    );
}

#[test]
fn copies_beyond_an_allocation_are_refused() {
    let Some(card) = Card::of_test("copies") else { return };
    let at = card.allocate(1000).expect("room");
    assert_eq!(card.read(at, &mut [0; 1001]), INVALID);
    assert_eq!(card.read(at + 990, &mut [0; 11]), INVALID);
    assert_eq!(card.read(at + 990, &mut [0; 10]), OK);
    assert_eq!(card.set(at, 1, 1001), INVALID);
    assert_eq!(card.free(at), OK);
    assert_eq!(card.read(at, &mut [0; 4]), INVALID);
}

#[test]
fn work_is_done_when_somebody_waits() {
    let Some(card) = Card::of_test("late work") else { return };
    let at = card.allocate(16).expect("room");
    let mut bytes = [0; 16];
    assert_eq!((card.set(at, 7, 16), card.read(at, &mut bytes)), (OK, OK));
    assert_eq!(bytes, [0xFF; 16], "the stream was not waited for");
    assert_eq!(call!(card, cuStreamQuery(card.stream => Handle)), NOT_READY);
    assert_eq!(call!(card, cuStreamQuery(card.stream => Handle)), OK);
    assert_eq!(card.read(at, &mut bytes), OK);
    assert_eq!(bytes, [7; 16]);
    card.standin.set(Control::Late, 0);
    assert_eq!((card.set(at, 8, 16), card.read(at, &mut bytes)), (OK, OK));
    card.standin.set(Control::Late, 1);
    assert_eq!(bytes, [8; 16]);
}

#[test]
fn pinned_memory_that_goes_before_its_copy_loses_the_card() {
    let Some(card) = Card::of_test("pinned memory") else { return };
    let at = card.allocate(16).expect("room");
    let mut pinned: *mut u8 = null_mut();
    assert_eq!(call!(card, cuMemHostAlloc(&raw mut pinned => *mut *mut u8, 16 => usize, 0 => u32)), OK);
    let copy =
        call!(card, cuMemcpyHtoDAsync_v2(at => Address, pinned => *const u8, 16 => usize, card.stream => Handle));
    assert_eq!(copy, OK);
    assert_eq!(call!(card, cuMemFreeHost(pinned => *mut u8)), OK);
    assert_eq!(card.wait(), LOST);
    assert_eq!(card.allocate(16), Err(LOST), "the error sticks");
    assert!(card.standin.fault().contains("before its copy was done"), "{}", card.standin.fault());
}

#[test]
fn a_stream_waits_for_what_another_one_did_before_its_event() {
    let Some(card) = Card::of_test("events") else { return };
    let (mut other, mut event): (Handle, Handle) = (null_mut(), null_mut());
    assert_eq!(call!(card, cuStreamCreate(&raw mut other => *mut Handle, 1 => u32)), OK);
    assert_eq!(call!(card, cuEventCreate(&raw mut event => *mut Handle, 2 => u32)), OK);
    let (from, to) = (card.allocate(16).expect("room"), card.allocate(16).expect("room"));
    assert_eq!(card.set(from, 7, 16), OK);
    assert_eq!(call!(card, cuEventRecord(event => Handle, card.stream => Handle)), OK);
    assert_eq!(card.set(from, 9, 16), OK);
    assert_eq!(call!(card, cuStreamWaitEvent(other => Handle, event => Handle, 0 => u32)), OK);
    assert_eq!(call!(card, cuMemcpyDtoDAsync_v2(to => Address, from => Address, 16 => usize, other => Handle)), OK);
    assert_eq!(call!(card, cuStreamSynchronize(other => Handle)), OK);
    let mut bytes = [0; 16];
    assert_eq!(card.read(to, &mut bytes), OK);
    assert_eq!(bytes, [7; 16], "what came after the event was not done yet");
    assert_eq!(call!(card, cuEventDestroy_v2(event => Handle)), OK);
    assert_eq!(call!(card, cuEventQuery(event => Handle)), GONE);
}

#[test]
fn what_is_recorded_is_done_as_often_as_it_is_launched() {
    let Some(card) = Card::of_test("graphs") else { return };
    let at = card.allocate(16).expect("room");
    let (mut graph, mut ready): (Handle, Handle) = (null_mut(), null_mut());
    let begin = || call!(card, cuStreamBeginCapture_v2(card.stream => Handle, 0 => c_int));
    assert_eq!(begin(), OK);
    assert_eq!(card.set(at, 7, 16), OK);
    assert_eq!(call!(card, cuStreamEndCapture(card.stream => Handle, &raw mut graph => *mut Handle)), OK);
    let made = call!(card, cuGraphInstantiateWithFlags(&raw mut ready => *mut Handle, graph => Handle, 0 => u64));
    assert_eq!(made, OK);
    assert_eq!(call!(card, cuGraphDestroy(graph => Handle)), OK);
    let mut bytes = [0; 16];
    assert_eq!((card.wait(), card.read(at, &mut bytes)), (OK, OK));
    assert_eq!(bytes, [0xFF; 16], "recording does nothing");
    for _ in 0..2 {
        assert_eq!((card.set(at, 1, 16), call!(card, cuGraphLaunch(ready => Handle, card.stream => Handle))), (OK, OK));
        assert_eq!((card.wait(), card.read(at, &mut bytes)), (OK, OK));
        assert_eq!(bytes, [7; 16]);
    }
    assert_eq!(begin(), OK);
    assert_eq!(card.allocate(16), Err(UNSUPPORTED), "nothing is allocated while a stream is recorded");
    assert_eq!(call!(card, cuStreamEndCapture(card.stream => Handle, &raw mut graph => *mut Handle)), SPOILED);
    assert_eq!(call!(card, cuGraphExecDestroy(ready => Handle)), OK);
    assert_eq!(call!(card, cuGraphLaunch(ready => Handle, card.stream => Handle)), GONE);
}
