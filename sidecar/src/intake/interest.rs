//! Who still wants a job: several requests may be joined to one, and one of them taken back must not take it from the rest.
//!
//! ```text
//! enter ─► [count] ─┬─ dropped: nobody waits there any more, the job goes on
//!                   └─ leave: the last one dooms the job ─► cancelled ─► the doom is lifted
//! ```
//! Requests are joined by what makes them the same to the journal, so somebody can be counted before the journal is asked:
//! there is no moment in which a request has joined a job and a cancel does not know of it.
//! Whoever asks for what is just being cancelled waits until that is over and gets a job of its own.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use thumbforge_core::id::PlannedKey;
use thumbforge_core::job::JobSpec;
use tokio::sync::watch;

use crate::journal::{JobRow, ops};

/// What makes two requests the same while a job for one of them is open, as the journal's index `jobs_open` has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Wish {
    planned: PlannedKey,
    client: String,
    asset: String,
    locale: String,
    judged_by: Vec<u8>,
}

impl Wish {
    pub(super) fn of_spec(spec: &JobSpec) -> Self {
        Self {
            planned: spec.recipe.planned_key(),
            client: spec.client.clone(),
            asset: spec.asset.name.clone(),
            locale: spec.asset.locale.clone(),
            judged_by: ops::judged_by(spec).to_vec(),
        }
    }

    /// `judged_by` as the journal has it for the job.
    pub(super) fn of_row(row: &JobRow, judged_by: Vec<u8>) -> Self {
        Self {
            planned: row.planned_key,
            client: row.client.clone(),
            asset: row.asset.asset.clone(),
            locale: row.asset.locale.clone(),
            judged_by,
        }
    }
}

#[derive(Debug, Default)]
struct Entry {
    count: usize,
    doom: Weak<watch::Sender<()>>,
}

/// Counts interests; clones share the counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Interests(Arc<Mutex<HashMap<Wish, Entry>>>);

/// One request that waits, until it is dropped or leaves.
#[derive(Debug)]
pub(super) struct Interest {
    interests: Interests,
    wish: Wish,
    /// Whether the count still holds it.
    counted: bool,
}

/// A job is being cancelled, while this lives.
#[derive(Debug)]
pub(super) struct Doom {
    interests: Interests,
    wish: Wish,
    /// Whoever waits for its end holds a receiver of it; nothing is ever sent.
    ended: Option<Arc<watch::Sender<()>>>,
}

impl Interests {
    /// Counts a request in, once no job for the same is being cancelled.
    pub(super) async fn enter(&self, wish: Wish) -> Interest {
        loop {
            let mut doom = {
                let mut entries = self.0.lock();
                let entry = entries.entry(wish.clone()).or_default();
                match entry.doom.upgrade() {
                    Some(doom) => doom.subscribe(),
                    None => {
                        entry.count += 1;
                        return Interest { interests: self.clone(), wish, counted: true };
                    }
                }
            };
            // An error is what is waited for: the sender is gone.
            while doom.changed().await.is_ok() {}
        }
    }

    /// Counts a request in that is bound to its job whatever becomes of that.
    pub(super) fn enter_bound(&self, wish: Wish) -> Interest {
        self.0.lock().entry(wish.clone()).or_default().count += 1;
        Interest { interests: self.clone(), wish, counted: true }
    }

    /// Marks the job as being cancelled, whoever waits for it.
    pub(super) fn doom(&self, wish: Wish) -> Doom {
        let ended = self.0.lock().entry(wish.clone()).or_default().doom();
        Doom { interests: self.clone(), wish, ended: Some(ended) }
    }

    fn tidy(&self, wish: &Wish) {
        let mut entries = self.0.lock();
        if entries.get(wish).is_some_and(|entry| entry.count == 0 && entry.doom.strong_count() == 0) {
            entries.remove(wish);
        }
    }
}

impl Entry {
    fn doom(&mut self) -> Arc<watch::Sender<()>> {
        self.doom.upgrade().unwrap_or_else(|| {
            let ended = Arc::new(watch::Sender::new(()));
            self.doom = Arc::downgrade(&ended);
            ended
        })
    }
}

impl Interest {
    /// Takes the request back. Whoever was the last gets the job's doom, and has to cancel it.
    pub(super) fn leave(mut self) -> Option<Doom> {
        let mut entries = self.interests.0.lock();
        let entry = entries.get_mut(&self.wish)?;
        entry.count -= 1;
        self.counted = false;
        let ended = (entry.count == 0).then(|| entry.doom())?;
        drop(entries);
        Some(Doom { interests: self.interests.clone(), wish: self.wish.clone(), ended: Some(ended) })
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        if self.counted
            && let Some(entry) = self.interests.0.lock().get_mut(&self.wish)
        {
            entry.count -= 1;
        }
        self.interests.tidy(&self.wish);
    }
}

impl Drop for Doom {
    fn drop(&mut self) {
        drop(self.ended.take());
        self.interests.tidy(&self.wish);
    }
}

#[cfg(test)]
mod tests {
    use thumbforge_core::image::Extent;
    use thumbforge_core::job::Lane;
    use thumbforge_core::recipe::Recipe;

    use super::*;

    fn wish() -> Wish {
        Wish::of_spec(&JobSpec::new(
            Recipe::from_prompt("a sword", Extent { width: 32, height: 32 }),
            Lane::Batch,
            "test",
        ))
    }

    #[tokio::test]
    async fn only_the_last_one_dooms_a_job() {
        let interests = Interests::default();
        let (first, second) = (interests.enter(wish()).await, interests.enter(wish()).await);
        let third = interests.enter(wish()).await;
        assert!(first.leave().is_none(), "two more wait");
        drop(third);
        let doom = second.leave().expect("nobody else waits");
        drop(doom);
        assert!(interests.0.lock().is_empty(), "nothing is left behind");
    }

    #[tokio::test]
    async fn whoever_asks_for_what_is_being_cancelled_waits_until_that_is_over() {
        let interests = Interests::default();
        let doom = interests.enter(wish()).await.leave().expect("the only one");
        let also = interests.doom(wish());
        let mut asks = Box::pin(interests.enter(wish()));
        assert!(futures_util::poll!(&mut asks).is_pending());
        drop(doom);
        assert!(futures_util::poll!(&mut asks).is_pending(), "somebody else cancels it still");
        drop(also);
        let interest = asks.await;
        assert!(interest.leave().is_some());
        assert!(interests.0.lock().is_empty());
    }
}
