//! The ring in loom's model: every order in which producers and the consumer can meet, and every old value that a
//! processor may still see.
//!
//! Rings here are as small as they can be, because the number of orders grows with every access: two cells are a lap
//! after two messages, four hold messages of two cells that start at either place.

use loom::sync::Arc;
use loom::thread;

use super::*;

/// A ring whose words are the model's.
struct Model {
    cells: u64,
    payload_words: usize,
    words: Vec<AtomicU64>,
}

impl Cells for Arc<Model> {
    fn cells(&self) -> u64 {
        self.cells
    }

    fn payload_words(&self) -> usize {
        self.payload_words
    }

    fn word(&self, cell: u64, word: usize) -> &AtomicU64 {
        &self.words[cell as usize * (self.payload_words + 1) + word]
    }
}

fn ring(cells: u64, payload_words: usize) -> (Producer<Arc<Model>>, Consumer<Arc<Model>>) {
    let words = (0..cells as usize * (payload_words + 1)).map(|_| AtomicU64::new(0)).collect();
    let model = Arc::new(Model { cells, payload_words, words });
    prepare(&model);
    (Producer::new(model.clone()), Consumer::new(model))
}

/// A model that gives up after so many changes of thread against their will; finding a fault needs two or three.
fn bounded(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}

/// What lies in the ring now, by first bytes.
fn drained(consumer: &mut Consumer<Arc<Model>>) -> Vec<u8> {
    let (mut into, mut seen) = (Vec::new(), Vec::new());
    while consumer.pop(64, &mut into) == Ok(Popped::Message) {
        assert!(into.iter().all(|byte| *byte == into[0]), "torn: {into:?}");
        seen.push(into[0]);
    }
    seen
}

#[test]
fn two_producers_lose_and_double_nothing() {
    loom::model(|| {
        let (producer, mut consumer) = ring(2, 2);
        let producer = Arc::new(producer);
        let threads: Vec<_> = (1..=2_u8)
            .map(|mark| {
                let producer = producer.clone();
                thread::spawn(move || producer.push(&[mark]).is_ok())
            })
            .collect();
        let mut seen = drained(&mut consumer);
        let pushed = threads.into_iter().map(|thread| thread.join().expect("no panic")).filter(|ok| *ok).count();
        seen.extend(drained(&mut consumer));
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), pushed);
    });
}

/// One producer, five messages through two cells: the sequence numbers of the third lap are those of neither before.
#[test]
fn laps_follow_each_other() {
    bounded(3, || {
        let (producer, mut consumer) = ring(2, 2);
        let sender =
            thread::spawn(move || (1..=5_u8).filter(|mark| producer.push(&[*mark]).is_ok()).collect::<Vec<u8>>());
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.extend(drained(&mut consumer));
            thread::yield_now();
        }
        let pushed = sender.join().expect("no panic");
        seen.extend(drained(&mut consumer));
        assert_eq!(seen, pushed, "in order, each once");
    });
}

/// Two producers around the end of the ring, while the consumer takes: a place that is freed is taken by one of them.
#[test]
fn two_producers_share_what_the_consumer_frees() {
    bounded(2, || {
        let (producer, mut consumer) = ring(2, 2);
        producer.push(&[9]).expect("room");
        producer.push(&[9]).expect("room");
        let producer = Arc::new(producer);
        let threads: Vec<_> = (1..=2_u8)
            .map(|mark| {
                let producer = producer.clone();
                thread::spawn(move || (0..2).filter(|_| producer.push(&[mark]).is_ok()).count())
            })
            .collect();
        let mut seen = Vec::new();
        for _ in 0..2 {
            seen.extend(drained(&mut consumer));
            thread::yield_now();
        }
        let pushed: usize = threads.into_iter().map(|thread| thread.join().expect("no panic")).sum();
        seen.extend(drained(&mut consumer));
        assert_eq!(seen.len(), pushed + 2);
    });
}

/// Messages of two cells beside messages of one: whoever sees the first cell sees the second, and no message tears.
#[test]
fn messages_of_several_cells_come_whole() {
    bounded(2, || {
        let (producer, mut consumer) = ring(4, 2);
        let producer = Arc::new(producer);
        let long = producer.clone();
        let first = thread::spawn(move || long.push(&[1; 24]).is_ok());
        let short = producer.clone();
        let second = thread::spawn(move || (0..2).filter(|_| short.push(&[2; 8]).is_ok()).count());
        let mut seen = Vec::new();
        for _ in 0..2 {
            seen.extend(drained(&mut consumer));
            thread::yield_now();
        }
        let pushed = usize::from(first.join().expect("no panic")) + second.join().expect("no panic");
        seen.extend(drained(&mut consumer));
        // A lap later they start in the middle.
        producer.push(&[3; 24]).expect("room");
        seen.extend(drained(&mut consumer));
        assert_eq!(seen.len(), pushed + 1);
    });
}

#[test]
fn whoever_falls_asleep_is_rung_for() {
    loom::model(|| {
        let (producer, mut consumer) = ring(2, 2);
        let flag = Arc::new(AtomicU32::new(0));
        let asleep = flag.clone();
        let sender = thread::spawn(move || {
            producer.push(&[1]).expect("room");
            must_ring(&asleep)
        });
        fall_asleep(&flag);
        let saw = consumer.is_ready();
        let rung = sender.join().expect("no panic");
        assert!(saw || rung, "a message lies there, its receiver sleeps, and nobody rings");
        assert_eq!(consumer.pop(8, &mut Vec::new()), Ok(Popped::Message));
    });
}

/// Of two senders one rings, and at most one.
#[test]
fn of_two_senders_one_rings() {
    bounded(3, || {
        let (producer, consumer) = ring(2, 2);
        let (producer, flag) = (Arc::new(producer), Arc::new(AtomicU32::new(0)));
        let senders: Vec<_> = (1..=2_u8)
            .map(|mark| {
                let (producer, flag) = (producer.clone(), flag.clone());
                thread::spawn(move || {
                    producer.push(&[mark]).expect("room");
                    must_ring(&flag)
                })
            })
            .collect();
        fall_asleep(&flag);
        let saw = consumer.is_ready();
        let rung = senders.into_iter().map(|sender| sender.join().expect("no panic")).filter(|rung| *rung).count();
        assert!(rung <= 1 && (saw || rung == 1), "saw {saw}, rung {rung}");
    });
}

/// The other way round: whoever found the ring full says so, looks once more, and is rung for when there is room.
#[test]
fn whoever_wants_room_is_rung_for() {
    bounded(3, || {
        let (producer, mut consumer) = ring(2, 2);
        producer.push(&[1]).expect("room");
        producer.push(&[2]).expect("room");
        let flag = Arc::new(AtomicU32::new(0));
        let wanting = flag.clone();
        let receiver = thread::spawn(move || {
            let mut into = Vec::new();
            let taken = (0..2).filter(|_| consumer.pop(8, &mut into) == Ok(Popped::Message)).count();
            (taken, must_ring(&wanting))
        });
        let mut sent = producer.push(&[3]).is_ok();
        if !sent {
            fall_asleep(&flag);
            sent = producer.push(&[3]).is_ok();
        }
        let (taken, rung) = receiver.join().expect("no panic");
        assert_eq!(taken, 2);
        assert!(sent || rung, "there is room, its sender waits for it, and nobody rings");
    });
}
