//! Locks: the standard library's, without poison.
//!
//! parking_lot keeps data for every thread that ever waited, with a destructor that keeps a library mapped until the
//! thread ends and a kilobyte that stays behind it; an editor loads this crate into itself.
//! Every change under these locks is one insertion, removal or assignment, so what a panic leaves is whole.

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// A lock that nobody has to handle errors of.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

/// The lock, held.
pub(crate) struct Guard<'a, T> {
    // Taken out only while a condition is waited for.
    held: Option<std::sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> Guard<'_, T> {
        watched::entered(Guard { held: Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)) })
    }

    /// The lock, unless somebody has it.
    pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
        match self.0.try_lock() {
            Ok(held) => Some(watched::entered(Guard { held: Some(held) })),
            Err(std::sync::TryLockError::Poisoned(held)) => {
                Some(watched::entered(Guard { held: Some(held.into_inner()) }))
            }
            Err(std::sync::TryLockError::WouldBlock) => None,
        }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        match &self.held {
            Some(held) => held,
            None => unreachable!("a guard is whole outside of `Condvar`"),
        }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.held {
            Some(held) => held,
            None => unreachable!("a guard is whole outside of `Condvar`"),
        }
    }
}

/// Waits for what somebody changes under a [`Mutex`].
#[derive(Debug, Default)]
pub(crate) struct Condvar(std::sync::Condvar);

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self(std::sync::Condvar::new())
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    /// Lets go of the lock until somebody notifies or the time is up; true when it is.
    pub(crate) fn wait_for<T>(&self, guard: &mut Guard<'_, T>, time: Duration) -> bool {
        watched::left(guard);
        let Some(held) = guard.held.take() else { return true };
        let (held, ended) = self.0.wait_timeout(held, time).unwrap_or_else(PoisonError::into_inner);
        guard.held = Some(held);
        watched::acquire(guard);
        ended.timed_out()
    }

    /// As [`Self::wait_for`], with the moment at which the time is up.
    pub(crate) fn wait_until<T>(&self, guard: &mut Guard<'_, T>, deadline: Instant) -> bool {
        self.wait_for(guard, deadline.saturating_duration_since(Instant::now()))
    }
}

/// Tells ThreadSanitizer of locks, whose slow paths lie in a standard library that it does not see into.
#[cfg(not(thumbforge_watched))]
mod watched {
    use super::Guard;

    pub(super) fn entered<T>(guard: Guard<'_, T>) -> Guard<'_, T> {
        guard
    }

    pub(super) fn acquire<T>(_guard: &Guard<'_, T>) {}

    pub(super) fn left<T>(_guard: &Guard<'_, T>) {}
}

/// Tells ThreadSanitizer of locks, whose slow paths lie in a standard library that it does not see into.
#[cfg(thumbforge_watched)]
mod watched {
    use std::ffi::c_void;

    use super::Guard;

    unsafe extern "C" {
        fn __tsan_acquire(address: *mut c_void);
        fn __tsan_release(address: *mut c_void);
    }

    fn address<T>(guard: &Guard<'_, T>) -> *mut c_void {
        (&raw const **guard).cast_mut().cast()
    }

    pub(super) fn entered<T>(guard: Guard<'_, T>) -> Guard<'_, T> {
        acquire(&guard);
        guard
    }

    pub(super) fn acquire<T>(guard: &Guard<'_, T>) {
        // SAFETY: the address of what a live guard holds; it is a name for the lock, and nothing is read there.
        unsafe { __tsan_acquire(address(guard)) }
    }

    pub(super) fn left<T>(guard: &Guard<'_, T>) {
        // SAFETY: as above.
        unsafe { __tsan_release(address(guard)) }
    }

    impl<T> Drop for Guard<'_, T> {
        fn drop(&mut self) {
            left(self);
        }
    }
}
