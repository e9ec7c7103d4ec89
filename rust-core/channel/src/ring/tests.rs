//! The ring over private memory, with a peer that scribbles too.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

/// A ring in private memory.
struct Heap {
    cells: u64,
    payload_words: usize,
    words: Vec<AtomicU64>,
}

impl Heap {
    fn prepared(cells: u64, payload_words: usize) -> Arc<Self> {
        let words = (0..cells as usize * (payload_words + 1)).map(|_| AtomicU64::new(0)).collect();
        let heap = Arc::new(Self { cells, payload_words, words });
        prepare(&heap);
        heap
    }
}

impl Cells for Arc<Heap> {
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

fn ring(cells: u64, payload_words: usize) -> (Producer<Arc<Heap>>, Consumer<Arc<Heap>>, Arc<Heap>) {
    let heap = Heap::prepared(cells, payload_words);
    (Producer::new(heap.clone()), Consumer::new(heap.clone()), heap)
}

fn message(seed: u64, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (seed as usize * 31 + at) as u8).collect()
}

#[test]
fn messages_of_every_length_come_out_as_they_went_in() {
    let (producer, mut consumer, _) = ring(16, 7);
    let mut into = Vec::new();
    for bytes in 0..=producer.bytes_max() {
        producer.push(&message(3, bytes)).expect("room");
        assert_eq!(consumer.pop(4096, &mut into), Ok(Popped::Message));
        assert_eq!(into, message(3, bytes), "{bytes} bytes");
    }
    assert_eq!(consumer.pop(4096, &mut into), Ok(Popped::Empty));
}

#[test]
fn a_full_ring_says_so_and_goes_on_when_there_is_room() {
    let (producer, mut consumer, _) = ring(8, 7);
    let mut into = Vec::new();
    for at in 0..8 {
        producer.push(&message(at, 40)).expect("room");
    }
    assert_eq!(producer.push(b"one more"), Err(Full));
    assert_eq!(consumer.pop(4096, &mut into), Ok(Popped::Message));
    producer.push(b"one more").expect("room");
    assert_eq!(producer.push(b"and one"), Err(Full));
    assert_eq!(producer.push(&message(0, producer.bytes_max() + 1)), Err(Full));
}

#[test]
fn eight_threads_lose_and_double_nothing() {
    let (producer, mut consumer, _) = ring(64, 7);
    let per_thread: u64 = if cfg!(miri) { 50 } else { 20_000 };
    let mut next = [0_u64; 8];
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let producer = &producer;
            scope.spawn(move || {
                for at in 0..per_thread {
                    let mut body = thread.to_le_bytes().to_vec();
                    body.extend(at.to_le_bytes());
                    body.extend(message(at, (at % 150) as usize));
                    while producer.push(&body).is_err() {
                        std::thread::yield_now();
                    }
                }
            });
        }
        let (mut into, mut left) = (Vec::new(), per_thread * 8);
        while left > 0 {
            if consumer.pop(4096, &mut into) != Ok(Popped::Message) {
                std::thread::yield_now();
                continue;
            }
            let (head, body) = into.split_at(16);
            let thread = u64::from_le_bytes(head[..8].try_into().expect("eight bytes")) as usize;
            let at = u64::from_le_bytes(head[8..].try_into().expect("eight bytes"));
            assert_eq!(at, next[thread], "thread {thread} came out of order");
            assert_eq!(body, message(at, (at % 150) as usize));
            next[thread] += 1;
            left -= 1;
        }
    });
    assert_eq!(next, [per_thread; 8]);
}

#[derive(Debug, Clone)]
enum Step {
    Push(usize),
    Pop,
    Scribble { word: usize, value: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let value = prop_oneof![any::<u64>(), 0..40_u64, Just(u64::MAX), Just(u64::MAX - 1)];
    let step = prop_oneof![
        3 => (0..250_usize).prop_map(Step::Push),
        3 => Just(Step::Pop),
        2 => (0..8 * 8_usize, value).prop_map(|(word, value)| Step::Scribble { word, value }),
    ];
    proptest::collection::vec(step, 1..200)
}

proptest! {
    /// Whatever is written over the shared words, both ends come back from every call, and no message is longer than
    /// its bound.
    #[test]
    fn a_peer_that_scribbles_brings_no_end_down(steps in steps()) {
        let (producer, mut consumer, heap) = ring(8, 7);
        let mut into = Vec::new();
        for step in steps {
            match step {
                Step::Push(bytes) => { let _ = producer.push(&message(1, bytes)); }
                Step::Pop => if consumer.pop(200, &mut into) == Ok(Popped::Message) {
                    prop_assert!(into.len() <= 200);
                },
                Step::Scribble { word, value } => heap.words[word].store(value, Ordering::Relaxed),
            }
        }
    }
}
