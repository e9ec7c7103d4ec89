//! Peers that lie, scribble, stall and break off, at either end, over the real socket and the real memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::layout::RING_BYTES;
use crate::sys::Mapping;

#[path = "../tests/common/mod.rs"]
mod common;

mod client;
mod server;

/// No call of an honest side takes so long, however loaded the machine is.
const PROMPT: Duration = Duration::from_secs(5);

/// Fails for a call that takes long.
#[track_caller]
fn prompt<T>(what: &str, call: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let value = call();
    assert!(began.elapsed() < PROMPT, "{what} took {:?}", began.elapsed());
    value
}

/// Memory of a connection as somebody has it who keeps to nothing.
struct Scribbler(Mapping);

impl Scribbler {
    fn word(&self, at: usize) -> &AtomicU64 {
        // SAFETY: the mapping has `RING_BYTES` bytes, of which this is one of the first `RING_BYTES / 8` words; both
        // sides touch it through atomics alone.
        unsafe { AtomicU64::from_ptr(self.0.ptr().add(at % (RING_BYTES / 8) * 8).cast()) }
    }

    fn write(&self, at: usize, value: u64) {
        self.word(at).store(value, Ordering::Release);
    }

    /// Every `step`-th word from `from`.
    fn smear(&self, from: usize, step: usize, value: u64) {
        for at in (from..RING_BYTES / 8).step_by(step.max(1)) {
            self.write(at, value.wrapping_add(at as u64));
        }
    }
}

/// Words that mean something somewhere in a ring, and any others.
fn values() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), 0..2050_u64, Just(u64::MAX), Just(u64::MAX - 1), Just(1 << 32)]
}

/// Places that mean something: flags, and first cells of the rings; and any others.
fn places() -> impl Strategy<Value = usize> {
    let words = RING_BYTES / 8;
    prop_oneof![(0..4_usize).prop_map(|flag| flag * 8), 512..1024_usize, 0..words, words / 2..words / 2 + 9000]
}

fn payloads() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..200)
}

/// As many rounds as fit into some seconds; ten times as many in a full run.
fn rounds(few: u32) -> ProptestConfig {
    let cases = if std::env::var_os("THUMBFORGE_FULL").is_some() { few * 10 } else { few };
    // A case that fails says what it did; files of seeds beside the sources are nobody's.
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 64, ..ProptestConfig::default() }
}
