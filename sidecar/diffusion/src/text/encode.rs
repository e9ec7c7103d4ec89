//! The text encoders together: from prompts to what the transformer reads.
//!
//! Every text is run on its own, never several in one batch: what a prompt becomes must not depend on what else was asked
//! at the same time, or a picture could not be made again out of the cache. One encoder after the other, each for all
//! texts, so that its weights are brought to the device once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::cache::{Cache, Embedding, Key};
use super::clip::{self, Projection};
use super::t5;
use super::tokenizer::{Encoder, Tokenizer, Tokens, Truncated};
use crate::config::{ClipConfig, T5Config};
use crate::device::{Bases, Device, Span};
use crate::dtype::Precision;
use crate::error::DiffusionError;
use crate::param::Params;
use crate::plan::{Program, aligned, bytes};
use crate::weights::{Component, Weights};

#[cfg(test)]
mod tests;

/// Tokens of T5 unless the request says otherwise, as in diffusers.
pub const T5_TOKENS: usize = 256;
/// The most tokens of T5: it was trained with 512, and diffusers refuses more.
pub const T5_TOKENS_MAX: usize = 512;

/// An encoder as it lies on disk.
#[derive(Debug, Clone)]
pub struct Part<C> {
    /// What it is made of.
    pub config: C,
    /// Its weights.
    pub params: Params,
    /// The folder of its tokenizer.
    pub tokenizer: Option<PathBuf>,
}

/// What the encoders are made of.
#[derive(Debug, Clone)]
pub struct Parts {
    /// CLIP-L, which no SD3.5 does without.
    pub clip_l: Option<Part<ClipConfig>>,
    /// CLIP-G, which no SD3.5 does without.
    pub clip_g: Option<Part<ClipConfig>>,
    /// T5. Without it its rows are zeros, as in diffusers.
    pub t5: Option<Part<T5Config>>,
    /// The hash of the weights.
    pub identity: [u8; 32],
}

impl Parts {
    /// Those of `weights`, whose hash is `identity`.
    pub fn of(weights: &Weights, identity: [u8; 32]) -> Self {
        fn part<C: Clone>(component: Option<&Component<C>>, tokenizer: Option<&PathBuf>) -> Option<Part<C>> {
            let Component { config, params, .. } = component?;
            Some(Part { config: config.clone(), params: params.clone(), tokenizer: tokenizer.cloned() })
        }
        let folders = &weights.tokenizers;
        Self {
            clip_l: part(weights.clip_l.as_ref(), folders.clip_l.as_ref()),
            clip_g: part(weights.clip_g.as_ref(), folders.clip_g.as_ref()),
            t5: part(weights.t5.as_ref(), folders.t5.as_ref()),
            identity,
        }
    }
}

/// How texts are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Tokens of T5, 1 to [`T5_TOKENS_MAX`].
    pub t5_tokens: usize,
    /// Of the CLIPs.
    pub clip: Precision,
    /// Of T5. There is no f16 here: T5's activations overflow it.
    pub t5: Precision,
    /// Features of a row of the context, as the transformer reads it.
    pub context: usize,
    /// Features of the pooled text, as the transformer reads it.
    pub pooled: usize,
}

/// A prompt, with others for the second and third encoder. Those that are missing or empty are the first one, as in
/// diffusers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prompt<'a> {
    /// For CLIP-L.
    pub prompt: &'a str,
    /// For CLIP-G.
    pub prompt_2: Option<&'a str>,
    /// For T5.
    pub prompt_3: Option<&'a str>,
}

impl<'a> Prompt<'a> {
    /// The same for all.
    pub fn new(prompt: &'a str) -> Self {
        Self { prompt, ..Self::default() }
    }

    fn of(&self, encoder: Encoder) -> &'a str {
        let own = match encoder {
            Encoder::ClipL => None,
            Encoder::ClipG => self.prompt_2,
            Encoder::T5 => self.prompt_3,
        };
        own.filter(|text| !text.is_empty()).unwrap_or(self.prompt)
    }
}

/// What the transformer reads of a prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditioning {
    /// `[tokens, features]`: the CLIPs' rows side by side with zeros behind them, then T5's.
    pub context: Vec<f32>,
    /// Rows of the context.
    pub tokens: usize,
    /// CLIP-L's, then CLIP-G's.
    pub pooled: Vec<f32>,
}

/// Prompts as the transformer reads them.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// One for each prompt, in their order.
    pub conditionings: Vec<Conditioning>,
    /// What did not fit, each loss once.
    pub truncated: Vec<Truncated>,
}

/// Bytes that running an encoder takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// Which.
    pub encoder: Encoder,
    /// Of the memory that [`Work::memory`] is.
    pub memory_bytes: u64,
    /// What the device takes beside it while it runs.
    pub workspace_bytes: u64,
    /// Its weights on the device.
    pub model_bytes: u64,
}

/// Whether weights stay on the device when all texts are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stay {
    /// They stay for the next prompt.
    Stay,
    /// They go as soon as the encoder is done, so that one alone is ever there.
    Go,
}

/// Encoders that are on a device.
#[derive(Debug)]
pub struct Loaded<D: Device> {
    stay: Stay,
    /// For programs of a precision.
    models: BTreeMap<Encoder, (Precision, D::Model)>,
}

impl<D: Device> Loaded<D> {
    /// None yet.
    pub fn new(stay: Stay) -> Self {
        Self { stay, models: BTreeMap::new() }
    }

    /// Which are there.
    pub fn encoders(&self) -> Vec<Encoder> {
        self.models.keys().copied().collect()
    }

    /// Gives back the memory of those that are not wanted, by which they are and what they are loaded for.
    pub fn retain(&mut self, wanted: &dyn Fn(Encoder, Precision) -> bool) {
        self.models.retain(|encoder, (precision, _)| wanted(*encoder, *precision));
    }

    /// Gives all of their memory back.
    pub fn clear(&mut self) {
        self.models.clear();
    }
}

/// Where encoders run.
pub struct Work<'a, D: Device> {
    /// On what.
    pub device: &'a D,
    /// In which memory.
    pub memory: &'a mut D::Memory,
    /// From where on in it, a multiple of [`crate::plan::ALIGN`].
    pub at: u64,
    /// Weights on the device.
    pub loaded: &'a mut Loaded<D>,
    /// Embeddings from before.
    pub cache: &'a mut Cache,
    /// Whether somebody wants it to end.
    pub stop: &'a dyn Fn() -> bool,
}

/// An encoder ready to be run.
#[derive(Debug)]
struct One {
    encoder: Encoder,
    tokenizer: Tokenizer,
    params: Params,
    /// Tokens and features of what it gives.
    tokens: usize,
    features: usize,
    pooled: usize,
    program: Program,
    pool: Option<(ClipConfig, Program)>,
}

/// The text encoders of a model, with their programs planned.
#[derive(Debug)]
pub struct Encoders {
    ones: Vec<One>,
    reading: Reading,
    identity: [u8; 32],
}

impl Encoders {
    /// Opens the tokenizers and plans the programs.
    ///
    /// # Errors
    /// When an encoder or a tokenizer is missing or does not belong to the model.
    pub fn new(parts: Parts, reading: Reading) -> Result<Self, DiffusionError> {
        if !(1..=T5_TOKENS_MAX).contains(&reading.t5_tokens) {
            let asked = reading.t5_tokens;
            return Err(DiffusionError::Request(format!("read {asked} tokens with T5: 1 to {T5_TOKENS_MAX} can be")));
        }
        let mut ones = vec![
            clip_one(Encoder::ClipL, parts.clip_l, reading.clip)?,
            clip_one(Encoder::ClipG, parts.clip_g, reading.clip)?,
        ];
        if ones[0].tokens != ones[1].tokens {
            let [l, g] = [ones[0].tokens, ones[1].tokens];
            return Err(DiffusionError::Request(format!("use CLIP-L of {l} tokens beside CLIP-G of {g}")));
        }
        ones.extend(parts.t5.map(|part| t5_one(part, reading)).transpose()?);
        let wide: usize = ones[..2].iter().map(|one| one.features).sum();
        let pooled: usize = ones[..2].iter().map(|one| one.pooled).sum();
        let own = ones.get(2).map_or(reading.context, |t5| t5.features);
        if wide > reading.context || own != reading.context || pooled != reading.pooled {
            return Err(DiffusionError::Request(format!(
                "use these text encoders: the transformer reads {} features a token and {} of the whole text; the CLIPs \
                 give {wide} and {pooled}, T5 {own}: they are of another model",
                reading.context, reading.pooled
            )));
        }
        Ok(Self { ones, reading, identity: parts.identity })
    }

    /// Rows of every context.
    pub fn tokens(&self) -> usize {
        self.ones[0].tokens + self.reading.t5_tokens
    }

    /// Which encoders there are.
    pub fn encoders(&self) -> Vec<Encoder> {
        self.ones.iter().map(|one| one.encoder).collect()
    }

    /// What each of them takes on `device`.
    pub fn needs<D: Device>(&self, device: &D) -> Vec<Need> {
        let need = |one: &One| Need {
            encoder: one.encoder,
            memory_bytes: Layout::of(one).bytes,
            workspace_bytes: one.programs().map(|program| device.workspace_bytes(program)).max().unwrap_or(0),
            model_bytes: device.model_bytes(&one.params, one.program.precision),
        };
        self.ones.iter().map(need).collect()
    }

    /// The programs, for who wants to look into them.
    pub fn programs(&self) -> impl Iterator<Item = (Encoder, &Program)> {
        self.ones.iter().flat_map(|one| one.programs().map(|program| (one.encoder, program)))
    }

    /// Bytes of memory that running any of them takes.
    pub fn memory_bytes(&self) -> u64 {
        self.ones.iter().map(|one| Layout::of(one).bytes).max().unwrap_or(0)
    }

    /// What would be lost of `prompts`, without running anything.
    ///
    /// # Errors
    /// When a prompt cannot be read at all.
    pub fn truncated(&self, prompts: &[Prompt<'_>]) -> Result<Vec<Truncated>, DiffusionError> {
        let mut truncated = Vec::new();
        for one in &self.ones {
            for prompt in prompts {
                note(&mut truncated, one.read(prompt)?.truncated);
            }
        }
        Ok(truncated)
    }

    /// What the transformer reads of each of `prompts`.
    ///
    /// # Errors
    /// When a prompt cannot be read, the device fails, or somebody stopped it.
    pub fn encode<D: Device>(&self, work: &mut Work<'_, D>, prompts: &[Prompt<'_>]) -> Result<Encoded, DiffusionError> {
        let mut truncated = Vec::new();
        let mut embeddings: Vec<Vec<Arc<Embedding>>> = vec![Vec::new(); prompts.len()];
        for one in &self.ones {
            for (prompt, embeddings) in prompts.iter().zip(&mut embeddings) {
                let Tokens { ids, truncated: lost } = one.read(prompt)?;
                note(&mut truncated, lost);
                let key = Key {
                    encoder: one.encoder,
                    identity: self.identity,
                    ids,
                    precision: one.program.precision,
                    class: work.device.class(one.program.precision),
                };
                embeddings.push(match work.cache.get(&key) {
                    Some(embedding) => embedding,
                    None => {
                        let embedding = Arc::new(one.run(work, &key.ids)?);
                        work.cache.put(key, Arc::clone(&embedding));
                        embedding
                    }
                });
            }
            if work.loaded.stay == Stay::Go {
                work.loaded.clear();
            }
        }
        let conditionings = embeddings.iter().map(|embeddings| self.join(embeddings)).collect();
        Ok(Encoded { conditionings, truncated })
    }

    /// The CLIPs side by side, T5 below.
    fn join(&self, embeddings: &[Arc<Embedding>]) -> Conditioning {
        let (features, tokens) = (self.reading.context, self.tokens());
        let mut context = vec![0.0; tokens * features];
        let (mut row, mut col) = (0, 0);
        for (one, embedding) in self.ones.iter().zip(embeddings) {
            if one.encoder == Encoder::T5 {
                (row, col) = (self.ones[0].tokens, 0);
            }
            for (token, from) in embedding.hidden.chunks_exact(one.features).enumerate() {
                context[(row + token) * features + col..][..one.features].copy_from_slice(from);
            }
            col += one.features;
        }
        let pooled = embeddings.iter().flat_map(|embedding| embedding.pooled.iter().copied()).collect();
        Conditioning { context, tokens, pooled }
    }
}

/// A loss is told once, however many prompts have it.
fn note(truncated: &mut Vec<Truncated>, lost: Option<Truncated>) {
    truncated.extend(lost.filter(|lost| !truncated.contains(lost)));
}

/// Takes the tokenizer of `part`, or says by name what is missing.
fn opened<C>(encoder: Encoder, part: Option<Part<C>>) -> Result<(C, Params, Tokenizer), DiffusionError> {
    let Part { config, params, tokenizer } = part.ok_or_else(|| {
        DiffusionError::Missing(format!(
            "find the {encoder} text encoder: it is not among the weights; pass its file, or get it with \
             `thumbforge weights pull`"
        ))
    })?;
    let folder = tokenizer.ok_or_else(|| {
        DiffusionError::Missing(format!(
            "find the {encoder} tokenizer: it is not beside the weights; pass --tokenizers DIR, or get it with \
             `thumbforge weights pull`"
        ))
    })?;
    Ok((config, params, Tokenizer::open(encoder, &folder)?))
}

/// A tokenizer must not give numbers that the table of the encoder lacks.
fn belongs(tokenizer: &Tokenizer, encoder: Encoder, vocabulary: usize) -> Result<(), DiffusionError> {
    let highest = tokenizer.highest() as usize;
    if highest >= vocabulary {
        return Err(DiffusionError::Request(format!(
            "use the {encoder} tokenizer: it gives token {highest} and the encoder knows {vocabulary}; it is of another \
             model"
        )));
    }
    Ok(())
}

fn clip_one(encoder: Encoder, part: Option<Part<ClipConfig>>, precision: Precision) -> Result<One, DiffusionError> {
    let (config, params, tokenizer) = opened(encoder, part)?;
    belongs(&tokenizer, encoder, config.vocabulary)?;
    let projection = match params.has("text_projection.weight") {
        true => Projection::Linear,
        false => Projection::Identity,
    };
    let pooled = if projection == Projection::Linear { config.projection } else { config.hidden };
    if config.layers == 0 || config.heads == 0 || config.positions < 2 {
        return Err(DiffusionError::Request(format!("use {encoder}: it has no layers, heads or positions")));
    }
    let program = Program::new(clip::graph(&config, 1), precision);
    let pool = Program::new(clip::pool(&config, projection), precision);
    Ok(One {
        encoder,
        tokenizer,
        params,
        tokens: config.positions,
        features: config.hidden,
        pooled,
        program,
        pool: Some((config, pool)),
    })
}

fn t5_one(part: Part<T5Config>, reading: Reading) -> Result<One, DiffusionError> {
    let (config, params, tokenizer) = opened(Encoder::T5, Some(part))?;
    belongs(&tokenizer, Encoder::T5, config.vocabulary)?;
    let program = Program::new(t5::graph(&config, reading.t5_tokens, 1), reading.t5);
    Ok(One {
        encoder: Encoder::T5,
        tokenizer,
        params,
        tokens: reading.t5_tokens,
        features: config.hidden,
        pooled: 0,
        program,
        pool: None,
    })
}

/// Where an encoder's buffers lie, from the start of its memory.
struct Layout {
    kept: Vec<u64>,
    pooled: u64,
    scratch: u64,
    bytes: u64,
}

impl Layout {
    fn of(one: &One) -> Self {
        let mut bytes = 0;
        let mut next = |size: u64| {
            let at = bytes;
            bytes += aligned(size);
            at
        };
        let kept = one.program.kept.iter().map(|kept| next(kept.bytes)).collect();
        let of_pool = |(_, pool): &(_, Program)| pool.kept("pooled").map_or(0, |(_, kept)| kept.bytes);
        let pooled = next(one.pool.as_ref().map_or(0, of_pool));
        let scratch = next(one.programs().map(|program| program.scratch_bytes).max().unwrap_or(0));
        Self { kept, pooled, scratch, bytes }
    }
}

impl One {
    fn programs(&self) -> impl Iterator<Item = &Program> {
        std::iter::once(&self.program).chain(self.pool.as_ref().map(|(_, pool)| pool))
    }

    fn read(&self, prompt: &Prompt<'_>) -> Result<Tokens, DiffusionError> {
        self.tokenizer.encode(prompt.of(self.encoder), self.tokens)
    }

    /// What the encoder makes of `ids`.
    fn run<D: Device>(&self, work: &mut Work<'_, D>, ids: &[u32]) -> Result<Embedding, DiffusionError> {
        let Work { device, memory, at, loaded, stop, .. } = work;
        let precision = self.program.precision;
        // What was loaded for another precision makes room first.
        if loaded.models.get(&self.encoder).is_some_and(|(loaded, _)| *loaded != precision) {
            loaded.models.remove(&self.encoder);
        }
        let (_, model) = match loaded.models.entry(self.encoder) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert((precision, device.load(&self.params, precision)?))
            }
        };
        let layout = Layout::of(self);
        let kept: Vec<u64> = layout.kept.iter().map(|offset| *at + offset).collect();
        let (scratch, program) = (*at + layout.scratch, &self.program);
        let span = |program: &Program, name: &str, offset: u64| {
            let (_, kept) = program.kept(name).ok_or_else(|| broken(self.encoder, name))?;
            let len = kept.rows * kept.cols;
            Ok::<Span, DiffusionError>(Span { offset, len, element: kept.element, precision: program.precision })
        };
        let place = |name: &str| {
            let (index, _) = program.kept(name).ok_or_else(|| broken(self.encoder, name))?;
            Ok::<u64, DiffusionError>(kept[index])
        };
        device.write_ids(memory, span(program, "ids", place("ids")?)?, ids)?;
        device.run(program, model, memory, Bases { scratch, kept: &kept }, *stop)?;
        let name = if self.pool.is_some() { "penultimate" } else { "hidden" };
        let mut embedding = Embedding { hidden: vec![0.0; self.tokens * self.features], pooled: Vec::new() };
        device.read(memory, span(program, name, place(name)?)?, &mut embedding.hidden)?;
        if let Some((config, pool)) = &self.pool {
            let (_, last) = program.kept("last").ok_or_else(|| broken(self.encoder, "last"))?;
            let row = bytes(clip::end_place(config, ids), last.cols, last.element, program.precision);
            let (row, pooled) = (place("last")? + row, *at + layout.pooled);
            let kept: Vec<u64> = pool.kept.iter().map(|kept| if kept.name == "row" { row } else { pooled }).collect();
            device.run(pool, model, memory, Bases { scratch, kept: &kept }, *stop)?;
            embedding.pooled.resize(self.pooled, 0.0);
            device.read(memory, span(pool, "pooled", pooled)?, &mut embedding.pooled)?;
        }
        // Found here it names the encoder; found later it is a black picture.
        if embedding.hidden.iter().chain(&embedding.pooled).any(|number| !number.is_finite()) {
            let reason = format!("{} gave numbers that are not finite: its weights are damaged", self.encoder);
            return Err(DiffusionError::Device { device: device.class(program.precision).to_string(), reason });
        }
        Ok(embedding)
    }
}

fn broken(encoder: Encoder, name: &str) -> DiffusionError {
    DiffusionError::Request(format!("run {encoder}: its program has no {name}"))
}
