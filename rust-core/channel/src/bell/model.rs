//! The bell in loom's model, over a lock that promises no more than a lock does.

use loom::sync::Arc;
use loom::thread;

use super::*;

/// A way that is held by one: entered with acquire, left with release, and nothing said to whoever finds it busy.
struct Way {
    busy: AtomicU32,
    rung: AtomicU32,
}

struct On<'a>(&'a Way);

impl Drop for On<'_> {
    fn drop(&mut self) {
        self.0.busy.store(0, Ordering::Release);
    }
}

impl Way {
    fn enter(&self) -> Option<On<'_>> {
        self.busy.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).ok().map(|_| On(self))
    }

    fn send(&self) -> Result<(), ()> {
        self.rung.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

fn bell() -> Arc<(Bell, Way)> {
    Arc::new((Bell::new(), Way { busy: AtomicU32::new(0), rung: AtomicU32::new(0) }))
}

#[test]
fn a_bell_beside_a_frame_is_rung() {
    loom::model(|| {
        let shared = bell();
        let other = shared.clone();
        // A frame on its way.
        let sender = thread::spawn(move || {
            let (bell, way) = &*other;
            if let Some(on) = way.enter() {
                drop(on);
                bell.settle(|| way.enter(), || way.send()).expect("no error");
            }
        });
        let (bell, way) = &*shared;
        bell.ring(|| way.enter(), || way.send()).expect("no error");
        sender.join().expect("no panic");
        assert_eq!(way.rung.load(Ordering::Relaxed), 1, "somebody sleeps for ever");
    });
}

#[test]
fn every_bell_is_followed_by_a_byte() {
    loom::model(|| {
        let shared = bell();
        let ringers: Vec<_> = (0..2)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || {
                    let (bell, way) = &*shared;
                    bell.ring(|| way.enter(), || way.send()).expect("no error");
                })
            })
            .collect();
        for ringer in ringers {
            ringer.join().expect("no panic");
        }
        let (bell, way) = &*shared;
        assert!((1..=2).contains(&way.rung.load(Ordering::Relaxed)));
        assert_eq!(bell.owed.load(Ordering::Relaxed), 0, "a bell is still owed");
    });
}
