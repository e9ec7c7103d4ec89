//! The text of a request: read once, remembered while the next ones are the same.

use std::sync::Arc;

use crate::device::Device;
use crate::dtype::Precision;
use crate::error::DiffusionError;
use crate::pipeline::request::{Keep, Layout, Prompts, Request};
use crate::pipeline::{Model, Watch, estimate};
use crate::text::cache::Cache;
use crate::text::encode::{Encoded, Encoders, Loaded, Reading, Stay, Work};
use crate::text::tokenizer::Encoder;

/// Texts that are remembered whole: those of a queue that draws a few prompts in turn. Each is some ten megabytes.
const TEXTS_MAX: usize = 4;
/// Sets of encoders that are kept planned: with and without T5.
const ENCODERS_MAX: usize = 2;

/// How encoders read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Way {
    t5: bool,
    t5_tokens: usize,
    precision: Precision,
}

/// What is read.
#[derive(Debug, Clone, PartialEq)]
struct Key {
    /// The negative prompt first, where there is one.
    prompts: Vec<Prompts>,
    way: Way,
}

impl Way {
    fn of(request: &Request) -> Self {
        Self { t5: request.t5, t5_tokens: request.t5_tokens, precision: request.precision }
    }
}

impl Key {
    fn of(request: &Request) -> Self {
        let negative = request.guidance.doubles().then(|| request.negative.clone());
        Self { prompts: negative.into_iter().chain([request.prompt.clone()]).collect(), way: Way::of(request) }
    }
}

/// Text encoders of one model, and what they said last.
pub(crate) struct Texts<D: Device> {
    encoders: Vec<(Way, Arc<Encoders>)>,
    loaded: Loaded<D>,
    stay: Keep,
    cache: Cache,
    read: Vec<(Key, Arc<Encoded>)>,
}

impl<D: Device> Texts<D> {
    pub(crate) fn new() -> Self {
        Self {
            encoders: Vec::new(),
            loaded: Loaded::new(Stay::Stay),
            stay: Keep::Stays,
            cache: Cache::default(),
            read: Vec::new(),
        }
    }

    /// Gives weights back; what was read stays.
    pub(crate) fn unload(&mut self) {
        self.loaded.clear();
    }

    /// Gives back the encoders that the estimate of `request` in `layout` does not count.
    pub(crate) fn make_room(&mut self, request: &Request, layout: &Layout) {
        let way = Way::of(request);
        let counts = |encoder: Encoder| layout.text == Keep::Stays && (way.t5 || encoder != Encoder::T5);
        self.loaded.retain(&|encoder, precision| counts(encoder) && precision == way.precision);
    }

    /// How many encoders are loaded.
    #[cfg(test)]
    pub(crate) fn present(&self) -> usize {
        self.loaded.encoders().len()
    }

    /// The encoders of a request, planned.
    pub(crate) fn encoders(&mut self, model: &Model, request: &Request) -> Result<Arc<Encoders>, DiffusionError> {
        let way = Way::of(request);
        if let Some((_, encoders)) = self.encoders.iter().find(|(known, _)| *known == way) {
            return Ok(encoders.clone());
        }
        let made = Arc::new(encoders(model, request)?);
        remember(&mut self.encoders, ENCODERS_MAX, way, made.clone());
        Ok(made)
    }

    /// The text of a request, if it was read before.
    pub(crate) fn known(&self, request: &Request) -> Option<Arc<Encoded>> {
        let key = Key::of(request);
        self.read.iter().find(|(known, _)| *known == key).map(|(_, read)| read.clone())
    }

    /// Reads the text of a request in a memory of its own.
    pub(crate) fn read(
        &mut self,
        device: &D,
        model: &Model,
        request: &Request,
        layout: &Layout,
        watch: &dyn Watch,
    ) -> Result<Arc<Encoded>, DiffusionError> {
        let encoders = self.encoders(model, request)?;
        if self.stay != layout.text {
            let stay = if layout.text == Keep::Stays { Stay::Stay } else { Stay::Go };
            (self.stay, self.loaded) = (layout.text, Loaded::new(stay));
        }
        let mut memory = device.reserve(encoders.memory_bytes())?;
        let key = Key::of(request);
        let prompts: Vec<_> = key.prompts.iter().map(Prompts::for_encoders).collect();
        let mut work = Work {
            device,
            memory: &mut memory,
            at: 0,
            loaded: &mut self.loaded,
            cache: &mut self.cache,
            stop: &|| watch.cancelled(),
        };
        let read = Arc::new(encoders.encode(&mut work, &prompts)?);
        remember(&mut self.read, TEXTS_MAX, key, read.clone());
        Ok(read)
    }
}

/// Puts something behind the others and forgets the first where they are too many.
fn remember<K, V>(known: &mut Vec<(K, V)>, most: usize, key: K, value: V) {
    if known.len() == most {
        known.remove(0);
    }
    known.push((key, value));
}

/// The encoders of a request, planned.
pub(crate) fn encoders(model: &Model, request: &Request) -> Result<Encoders, DiffusionError> {
    let mut parts = model.text.clone();
    if !request.t5 {
        parts.t5 = None;
    }
    let reading = Reading {
        t5_tokens: request.t5_tokens,
        clip: request.precision,
        t5: request.precision,
        context: model.mmdit.config.context,
        pooled: model.mmdit.config.pooled,
    };
    Encoders::new(parts, reading)
}

/// Multiplications and additions of all encoders for one prompt.
pub(crate) fn flops(encoders: &Encoders) -> u64 {
    encoders.programs().map(|(_, program)| estimate::flops(program)).sum()
}
