//! The one thread that writes: it gathers what is waiting into one transaction, commits, then answers all.

use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use rusqlite::Connection;
use thumbforge_core::limits;
use tokio::sync::oneshot;

use super::JournalError;

/// An operation of any type on its way to the writer.
trait Op: Send {
    /// Does the work inside the group's transaction.
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    /// Tells the one who waits; called after the commit.
    fn answer(self: Box<Self>, failed: Option<JournalError>);
}

struct Typed<T, F> {
    op: F,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, JournalError>>,
}

impl<T, F> Op for Typed<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> rusqlite::Result<T> + Send,
{
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.value = Some((self.op)(connection)?);
        Ok(())
    }

    fn answer(self: Box<Self>, failed: Option<JournalError>) {
        let result = match (failed, self.value) {
            (None, Some(value)) => Ok(value),
            (Some(err), _) => Err(err),
            (None, None) => Err(JournalError::Closed),
        };
        // Nobody waiting is fine: the write stands all the same.
        let _ = self.reply.send(result);
    }
}

/// An answer that comes once the write is durable.
pub struct Pending<T>(oneshot::Receiver<Result<T, JournalError>>);

impl<T> Pending<T> {
    /// Waits in a task.
    ///
    /// # Errors
    /// Why the write did not happen.
    pub async fn durable(self) -> Result<T, JournalError> {
        self.0.await.unwrap_or(Err(JournalError::Closed))
    }

    /// Waits in a thread.
    ///
    /// # Errors
    /// Why the write did not happen.
    pub fn durable_blocking(self) -> Result<T, JournalError> {
        self.0.blocking_recv().unwrap_or(Err(JournalError::Closed))
    }
}

#[derive(Clone)]
pub(super) struct Writer {
    shared: Arc<Shared>,
}

struct Shared {
    sender: Mutex<Option<Sender<Box<dyn Op>>>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, path: Arc<Path>) -> Self {
        let (sender, receiver) = bounded(limits::JOURNAL_QUEUE_MAX);
        let thread =
            std::thread::Builder::new().name("journal".into()).spawn(move || run(connection, &path, &receiver)).ok();
        let sender = thread.is_some().then_some(sender);
        Self { shared: Arc::new(Shared { sender: Mutex::new(sender), thread: Mutex::new(thread) }) }
    }

    pub(super) fn send<T, F>(&self, op: F) -> Pending<T>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let sender = self.shared.sender.lock().clone();
        if let Some(sender) = sender {
            // A closed channel drops the reply, which the waiter reads as `Closed`.
            let _ = sender.send(Box::new(Typed { op, value: None, reply }));
        }
        Pending(answer)
    }

    pub(super) fn close(&self) {
        drop(self.shared.sender.lock().take());
        if let Some(thread) = self.shared.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

fn run(connection: Connection, path: &Path, receiver: &Receiver<Box<dyn Op>>) {
    while let Ok(first) = receiver.recv() {
        let mut group = vec![first];
        while group.len() < limits::GROUP_COMMIT_MAX
            && let Ok(next) = receiver.try_recv()
        {
            group.push(next);
        }
        commit(&connection, path, group);
    }
    // Best effort: what is in the log is durable already.
    let _ = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);");
}

/// Commits a group at once; if any of it fails, each alone, so that one bad write costs no other.
fn commit(connection: &Connection, path: &Path, mut group: Vec<Box<dyn Op>>) {
    let whole = transaction(connection, || group.iter_mut().try_for_each(|op| op.run(connection)));
    if whole.is_ok() || group.len() == 1 {
        let failed = whole.err().map(|err| JournalError::from_sqlite(path, &err));
        group.into_iter().for_each(|op| op.answer(failed.clone()));
        return;
    }
    for mut op in group {
        let alone = transaction(connection, || op.run(connection));
        op.answer(alone.err().map(|err| JournalError::from_sqlite(path, &err)));
    }
}

fn transaction(connection: &Connection, body: impl FnOnce() -> rusqlite::Result<()>) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    match body().and_then(|()| connection.execute_batch("COMMIT")) {
        Ok(()) => Ok(()),
        Err(err) => {
            // SQLite may have rolled back by itself (disk full); then this says so and nothing is lost.
            let _ = connection.execute_batch("ROLLBACK");
            Err(err)
        }
    }
}
