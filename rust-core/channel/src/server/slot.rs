//! A texture slot from the room that is kept for it to the picture that is lent.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use thumbforge_core::wire::message::Lent;

use super::peer::Peer;
use crate::slots::{Class, Place};
use crate::sys::Mapping;

/// There is nobody left to draw for, or no slot is that large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// Room for one picture.
pub struct Reservation {
    peer: Arc<Peer>,
    class: Class,
    bytes: usize,
    used: bool,
}

impl Reservation {
    pub(super) async fn wait(peer: Arc<Peer>, bytes: usize) -> Result<Self, Gone> {
        let class = Class::of(bytes).ok_or(Gone)?;
        let number = peer.slots.lock().queue();
        let place = InLine { peer, number };
        poll_fn(|context| {
            if place.peer.gone.load(Ordering::Acquire) {
                return Poll::Ready(Err(Gone));
            }
            let reserved = place.peer.slots.lock().try_reserve(place.number, class, context.waker());
            // Looked at again, because whoever ends the connection wakes only those that are in line by then.
            match (reserved, place.peer.gone.load(Ordering::Acquire)) {
                (true, _) => Poll::Ready(Ok(())),
                (false, true) => Poll::Ready(Err(Gone)),
                (false, false) => Poll::Pending,
            }
        })
        .await?;
        Ok(Self { peer: place.peer.clone(), class, bytes, used: false })
    }

    /// Takes a slot, in a new segment if none is free. It may ask the system for memory and send a frame, which takes a
    /// moment: not for a task that others wait behind.
    ///
    /// # Errors
    /// When the system gives no memory, or the client is gone.
    pub fn open(mut self) -> io::Result<Slot> {
        let peer = self.peer.clone();
        let lend = || peer.slots.lock().lend(self.class);
        let found = match lend() {
            Some(found) => found,
            None => {
                let _growing = peer.growing.lock();
                match lend() {
                    Some(found) => found,
                    None => {
                        let number = peer.slots.lock().number();
                        let place = peer.announce(number, self.class)?;
                        let mut slots = peer.slots.lock();
                        slots.grow(number, self.class, place);
                        slots.lend(self.class).ok_or_else(|| io::Error::other("a new segment has no slot"))?
                    }
                }
            }
        };
        self.used = true;
        let (lent, place) = found;
        let room = match place {
            Place::Shared(mapping) => Room::Shared { offset: lent.slot as usize * self.class.slot_bytes(), mapping },
            Place::Private => Room::Private(vec![0; self.bytes]),
        };
        Ok(Slot { peer: self.peer.clone(), lent, room, bytes: self.bytes, kept: false })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.used {
            self.peer.slots.lock().unreserve(self.class);
        }
    }
}

/// Somebody in line; whoever stops waiting leaves it.
struct InLine {
    peer: Arc<Peer>,
    number: u64,
}

impl Drop for InLine {
    fn drop(&mut self) {
        self.peer.slots.lock().leave(self.number);
    }
}

/// A slot to draw into. Dropped without an answer it is free again.
pub struct Slot {
    peer: Arc<Peer>,
    lent: Lent,
    room: Room,
    bytes: usize,
    kept: bool,
}

enum Room {
    Shared { mapping: Arc<Mapping>, offset: usize },
    Private(Vec<u8>),
}

impl Slot {
    /// The bytes that were asked for, to be written. What they hold before is left over from earlier pictures.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.room {
            // SAFETY: offset and length lie within the segment: `offset` is a slot's start and `bytes` at most a slot's
            // size. No other process can write here: the memory was sealed against every later writable mapping before
            // anybody was told of it. In this process slots do not overlap, the books lend each once until it is given
            // back, and `&mut self` keeps this one to one borrower.
            Room::Shared { mapping, offset } => unsafe {
                std::slice::from_raw_parts_mut(mapping.ptr().add(*offset), self.bytes)
            },
            Room::Private(bytes) => bytes,
        }
    }

    pub(super) fn lent(&self) -> Lent {
        self.lent
    }

    pub(super) fn filled(&self) -> usize {
        self.bytes
    }

    /// From here on the client has it.
    pub(super) fn lend(mut self, send: impl FnOnce(Lent, &[u8])) {
        if let Room::Private(bytes) = &self.room {
            send(self.lent, bytes);
        }
        self.kept = true;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.kept {
            let (_, gone) = self.peer.slots.lock().give_back(self.lent);
            if self.peer.retire(&gone).is_err() {
                self.peer.stream.close();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use thumbforge_core::wire::PROTOCOL;
    use thumbforge_core::wire::hello::Hello;

    use super::super::Client;
    use super::*;
    use crate::sys::{Address, Listener, Stream};

    #[test]
    fn a_client_that_cannot_be_told_of_a_segment_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let address = Address::of(folder.path()).expect("an address");
        let listener = Listener::bind(&address).expect("a socket");
        let theirs = Stream::connect(&address).expect("a listener");
        let ours = Arc::new(listener.accept().expect("a client"));
        let (build, project) = ("0.1.0".to_owned(), "game".to_owned());
        let hello = Hello { protocol: PROTOCOL as u16, build, project, instance: [7; 16], pid: 1, shared: true };
        let (peer, _memory) = Peer::prepare(ours, &hello, true).expect("memory");
        let waiting = pin!(Reservation::wait(peer.clone(), 1000));
        let Poll::Ready(Ok(reservation)) = waiting.poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("there is room");
        };
        drop(theirs);
        assert!(reservation.open().is_err(), "nobody is there to be told");
        // Whatever is said of the picture from here on is not said to a client that still listens by chance.
        assert!(Client::of(&peer).is_gone());
    }
}
