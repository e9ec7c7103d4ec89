//! Who is being served, and since when nobody is: what an idle exit goes by.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Counts answers under way; clones share the count.
#[derive(Debug, Clone)]
pub struct Activity {
    count: Arc<Mutex<Count>>,
}

#[derive(Debug)]
struct Count {
    under_way: usize,
    last: Instant,
}

/// An answer under way, until dropped.
#[derive(Debug)]
pub struct UnderWay {
    count: Arc<Mutex<Count>>,
}

impl Default for Activity {
    fn default() -> Self {
        Self { count: Arc::new(Mutex::new(Count { under_way: 0, last: Instant::now() })) }
    }
}

impl Activity {
    /// Counts one answer, until the guard is dropped. Whatever else should keep the sidecar awake may hold one too.
    pub fn begin(&self) -> UnderWay {
        let mut count = self.count.lock();
        count.under_way += 1;
        count.last = Instant::now();
        UnderWay { count: self.count.clone() }
    }

    /// Answers under way, listeners of events among them.
    pub fn under_way(&self) -> usize {
        self.count.lock().under_way
    }

    /// How long nothing has been under way; `None` while something is.
    pub fn idle(&self) -> Option<Duration> {
        let count = self.count.lock();
        (count.under_way == 0).then(|| count.last.elapsed())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut count = self.count.lock();
        count.under_way -= 1;
        count.last = Instant::now();
    }
}
