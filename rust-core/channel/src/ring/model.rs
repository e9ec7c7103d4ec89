//! The ring in loom's model: every order in which two producers and the consumer can meet.

use loom::sync::Arc;
use loom::thread;

use super::*;

/// A ring whose words are the model's.
struct Model {
    words: Vec<AtomicU64>,
}

const CELLS: u64 = 2;
const PAYLOAD_WORDS: usize = 2;

impl Cells for Arc<Model> {
    fn cells(&self) -> u64 {
        CELLS
    }

    fn payload_words(&self) -> usize {
        PAYLOAD_WORDS
    }

    fn word(&self, cell: u64, word: usize) -> &AtomicU64 {
        &self.words[cell as usize * (PAYLOAD_WORDS + 1) + word]
    }
}

fn ring() -> (Producer<Arc<Model>>, Consumer<Arc<Model>>) {
    let words = (0..CELLS as usize * (PAYLOAD_WORDS + 1)).map(|_| AtomicU64::new(0)).collect();
    let model = Arc::new(Model { words });
    prepare(&model);
    (Producer::new(model.clone()), Consumer::new(model))
}

#[test]
fn two_producers_lose_and_double_nothing() {
    loom::model(|| {
        let (producer, mut consumer) = ring();
        let producer = Arc::new(producer);
        let threads: Vec<_> = (1..=2_u8)
            .map(|mark| {
                let producer = producer.clone();
                thread::spawn(move || producer.push(&[mark]).is_ok())
            })
            .collect();
        let (mut into, mut seen) = (Vec::new(), Vec::new());
        if consumer.pop(8, &mut into) == Ok(Popped::Message) {
            seen.push(into[0]);
        }
        let pushed =
            threads.into_iter().filter(|_| true).map(|thread| thread.join().expect("no panic")).filter(|ok| *ok);
        let pushed = pushed.count();
        while consumer.pop(8, &mut into) == Ok(Popped::Message) {
            seen.push(into[0]);
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), pushed);
    });
}

#[test]
fn whoever_falls_asleep_is_rung_for() {
    loom::model(|| {
        let (producer, mut consumer) = ring();
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
