//! Embeddings of prompts that were seen before. A batch of pictures shares one prompt, a run of batches one negative
//! prompt, and T5 is by far the slowest thing to run for a sentence.

use std::collections::HashMap;
use std::sync::Arc;

use super::tokenizer::Encoder;
use crate::device::DeviceClass;
use crate::dtype::Precision;

/// What the embedding of a text depends on. Token numbers stand for the prompt, its tokenizer and the most tokens
/// together: texts that an encoder reads alike share an entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Which encoder.
    pub encoder: Encoder,
    /// The hash of its weights.
    pub identity: [u8; 32],
    /// What it reads.
    pub ids: Vec<u32>,
    /// Of its activations.
    pub precision: Precision,
    /// Where it ran: other devices give other bits.
    pub class: DeviceClass,
}

/// What an encoder makes of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// `[tokens, features]`
    pub hidden: Vec<f32>,
    /// Features of the whole text; T5 has none.
    pub pooled: Vec<f32>,
}

/// Embeddings up to a number of bytes; the one that was not asked for the longest goes first.
#[derive(Debug)]
pub struct Cache {
    entries: HashMap<Key, Entry>,
    clock: u64,
    bytes: usize,
    bytes_max: usize,
    hits: u64,
    misses: u64,
}

#[derive(Debug)]
struct Entry {
    embedding: Arc<Embedding>,
    used: u64,
}

/// Bytes that an entry counts for: its numbers, and its key.
fn size(key: &Key, embedding: &Embedding) -> usize {
    size_of::<Key>() + 4 * (key.ids.len() + embedding.hidden.len() + embedding.pooled.len())
}

impl Cache {
    /// Enough for about fifty prompts of T5-XXL, which has 4 MiB for each.
    pub const BYTES: usize = 256 << 20;

    /// An empty one.
    pub fn new(bytes_max: usize) -> Self {
        Self { entries: HashMap::new(), clock: 0, bytes: 0, bytes_max, hits: 0, misses: 0 }
    }

    /// The embedding of `key`, if it is here.
    pub fn get(&mut self, key: &Key) -> Option<Arc<Embedding>> {
        self.clock += 1;
        match self.entries.get_mut(key) {
            Some(entry) => {
                self.hits += 1;
                entry.used = self.clock;
                Some(Arc::clone(&entry.embedding))
            }
            None => {
                self.misses += 1;
                None
            }
        }
    }

    /// Keeps `embedding`, unless it alone is larger than all that may be kept.
    pub fn put(&mut self, key: Key, embedding: Arc<Embedding>) {
        let size_new = size(&key, &embedding);
        if size_new > self.bytes_max {
            return;
        }
        self.remove(&key);
        while self.bytes + size_new > self.bytes_max {
            // There are hundreds at most, so looking at all of them costs nothing beside one embedding.
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            self.remove(&oldest);
        }
        self.clock += 1;
        self.bytes += size_new;
        self.entries.insert(key, Entry { embedding, used: self.clock });
    }

    fn remove(&mut self, key: &Key) {
        if let Some((key, entry)) = self.entries.remove_entry(key) {
            self.bytes -= size(&key, &entry.embedding);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How often an embedding was here, and how often not.
    pub fn hits_and_misses(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self::new(Self::BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u32) -> Key {
        let class = DeviceClass::Cpu { kernels: "plain" };
        Key { encoder: Encoder::T5, identity: [7; 32], ids: vec![id], precision: Precision::F32, class }
    }

    fn embedding(numbers: usize) -> Arc<Embedding> {
        Arc::new(Embedding { hidden: vec![1.0; numbers], pooled: vec![2.0] })
    }

    #[test]
    fn what_was_not_asked_for_the_longest_goes_first() {
        let one = size(&key(0), &embedding(100));
        let mut cache = Cache::new(3 * one);
        (0..3).for_each(|id| cache.put(key(id), embedding(100)));
        assert_eq!(cache.bytes(), 3 * one);
        assert!(cache.get(&key(0)).is_some());
        cache.put(key(3), embedding(100));
        let here: Vec<bool> = (0..4).map(|id| cache.get(&key(id)).is_some()).collect();
        assert_eq!(here, [true, false, true, true]);
        assert_eq!(cache.hits_and_misses(), (4, 1));
        assert_eq!(cache.bytes(), 3 * one);
    }

    #[test]
    fn bytes_are_bounded_and_counted_once() {
        let one = size(&key(0), &embedding(100));
        let mut cache = Cache::new(one);
        cache.put(key(0), embedding(100));
        cache.put(key(0), embedding(100));
        assert_eq!(cache.bytes(), one);
        cache.put(key(1), embedding(101));
        assert!(cache.get(&key(1)).is_none(), "it is larger than all that may be kept");
        assert!(cache.get(&key(0)).is_some());
        cache.clear();
        assert_eq!((cache.bytes(), cache.get(&key(0))), (0, None));
    }

    #[test]
    fn every_part_of_the_key_counts() {
        let mut cache = Cache::new(1 << 20);
        cache.put(key(0), embedding(1));
        for other in [
            Key { encoder: Encoder::ClipL, ..key(0) },
            Key { identity: [8; 32], ..key(0) },
            Key { precision: Precision::Bf16, ..key(0) },
            Key { class: DeviceClass::Cuda { capability: 90, library: None }, ..key(0) },
            Key { ids: vec![0, 0], ..key(0) },
        ] {
            assert!(cache.get(&other).is_none(), "{other:?}");
        }
    }
}
