//! Handles kept warm: making one takes 14 to 290 ms, and one costs 10 to 80 MB.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

/// Things lent to one borrower at a time, by name; at most so many exist, and the one that was idle longest goes first.
pub(super) struct Pool<T> {
    max: usize,
    books: Mutex<Books<T>>,
    returned: Condvar,
}

struct Books<T> {
    /// The one that came back last stands last.
    idle: VecDeque<(&'static str, T)>,
    /// How many are lent, or being made.
    lent: usize,
}

impl<T> Pool<T> {
    /// A pool of at most `max` things.
    pub(super) fn new(max: usize) -> Self {
        let books = Books { idle: VecDeque::new(), lent: 0 };
        Self { max, books: Mutex::new(books), returned: Condvar::new() }
    }

    /// Gives `work` the thing `name`, which `make` makes when none is idle. Waits while as many are lent as may be.
    ///
    /// What `work` panics with is dropped, since nobody knows what state it is in.
    pub(super) fn with<R, E>(
        &self,
        name: &'static str,
        make: impl FnOnce() -> Result<T, E>,
        work: impl FnOnce(&mut T) -> R,
    ) -> Result<R, E> {
        let mut lease = Lease { pool: self, thing: None, name };
        lease.thing = self.take(name);
        let thing = match &mut lease.thing {
            Some(thing) => thing,
            // Outside the lock: others go on meanwhile.
            none => none.insert(make()?),
        };
        let outcome = work(thing);
        lease.keep();
        Ok(outcome)
    }

    fn take(&self, name: &str) -> Option<T> {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        while books.lent >= self.max {
            books = self.returned.wait(books).unwrap_or_else(PoisonError::into_inner);
        }
        books.lent += 1;
        if let Some(at) = books.idle.iter().rposition(|(known, _)| *known == name) {
            return books.idle.remove(at).map(|(_, thing)| thing);
        }
        let evicted = (books.lent + books.idle.len() > self.max).then(|| books.idle.pop_front()).flatten();
        drop(books);
        drop(evicted);
        None
    }
}

/// One thing that is lent, or the room for it.
struct Lease<'a, T> {
    pool: &'a Pool<T>,
    thing: Option<T>,
    name: &'static str,
}

impl<T> Lease<'_, T> {
    fn keep(mut self) {
        if let Some(thing) = self.thing.take() {
            let mut books = self.pool.books.lock().unwrap_or_else(PoisonError::into_inner);
            books.idle.push_back((self.name, thing));
        }
    }
}

impl<T> Drop for Lease<'_, T> {
    fn drop(&mut self) {
        let mut books = self.pool.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.lent -= 1;
        drop(books);
        self.pool.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lends "a" and the like in order, and says which had to be made.
    fn made(pool: &Pool<u32>, names: &[&'static str]) -> Vec<bool> {
        let one = |name| {
            let mut fresh = false;
            let make = || {
                fresh = true;
                Ok::<_, ()>(0)
            };
            pool.with(name, make, |count| *count += 1).expect("made");
            fresh
        };
        names.iter().map(|name| one(*name)).collect()
    }

    #[test]
    fn what_came_back_is_lent_again() {
        assert_eq!(made(&Pool::new(2), &["a", "a", "b", "a", "b"]), [true, false, true, false, false]);
    }

    #[test]
    fn the_one_idle_longest_makes_room() {
        assert_eq!(made(&Pool::new(2), &["a", "b", "a", "c", "a", "b"]), [true, true, false, true, false, true]);
    }

    #[test]
    fn what_cannot_be_made_leaves_its_room() {
        let pool: Pool<u32> = Pool::new(1);
        assert_eq!(pool.with("a", || Err("no"), |_| ()), Err("no"));
        assert_eq!(made(&pool, &["a"]), [true]);
    }

    #[test]
    fn a_panic_drops_what_was_lent_and_leaves_its_room() {
        let pool: Pool<u32> = Pool::new(1);
        let work = std::panic::AssertUnwindSafe(|| pool.with("a", || Ok::<_, ()>(0), |_| panic!("on purpose")));
        assert!(std::panic::catch_unwind(work).is_err());
        assert_eq!(made(&pool, &["a"]), [true]);
    }

    #[test]
    fn no_more_are_lent_than_may_be() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let (pool, lent, most) = (Pool::new(2), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for name in ["a", "b", "c", "d", "a", "b"] {
                let (pool, lent, most) = (&pool, &lent, &most);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let work = |(): &mut ()| {
                            most.fetch_max(lent.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                            std::thread::yield_now();
                            lent.fetch_sub(1, Ordering::SeqCst);
                        };
                        pool.with(name, || Ok::<_, ()>(()), work).expect("made");
                    }
                });
            }
        });
        assert!(most.into_inner() <= 2);
    }
}
