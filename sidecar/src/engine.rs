//! Engines: what turns a recipe into art. The built-in one and the team's own files draw behind this trait.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use thiserror::Error;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::image::ImageBuf;
use thumbforge_core::job::{JobSpec, Lane, Route};
use thumbforge_core::recipe::{Realisation, Recipe};
use thumbforge_core::terms::Terms;
use thumbforge_core::verdict::Finding;

use crate::market::Market;
use crate::output::provenance::Credit;
use crate::router::{EngineCard, EnginesHere, LocalModel};
use crate::store::Store;
use local::room::Bytes;

mod builtin;
mod file;
pub(crate) mod local;

pub(crate) use file::cover;

/// A flag that somebody raises to stop a drawing.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the drawing to stop.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it should stop.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a drawing hears from those who wait for it, and what it tells them.
pub struct Control<'a> {
    cancel: &'a Cancel,
    step: &'a dyn Fn(u32, u32),
}

impl<'a> Control<'a> {
    /// `step` is told how many steps are done, and of how many.
    pub fn new(cancel: &'a Cancel, step: &'a dyn Fn(u32, u32)) -> Self {
        Self { cancel, step }
    }

    /// Whether the drawing should stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_raised()
    }

    /// The flag itself, for whoever draws on another thread.
    pub fn cancel(&self) -> &Cancel {
        self.cancel
    }

    /// `done` of `steps` are done. An engine that draws in one go says nothing.
    pub fn step(&self, done: u32, steps: u32) {
        (self.step)(done, steps);
    }
}

/// Art before text and post steps.
#[derive(Debug)]
pub struct Drawn {
    /// Of the size that the recipe asks.
    pub image: ImageBuf,
    /// Works of others that stand in it.
    pub credits: Vec<Credit>,
    /// What people should know of it, besides what the checks find.
    pub findings: Vec<Finding>,
}

/// A picture that is to be drawn, as it was routed.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// What was decided.
    pub recipe: &'a Recipe,
    /// What draws it: nothing but this and the recipe may decide a pixel.
    pub realisation: &'a Realisation,
    /// Under which terms.
    pub terms: &'a Terms,
    /// Who waits.
    pub lane: Lane,
}

impl<'a> Order<'a> {
    /// Of a job on its route.
    pub fn new(spec: &'a JobSpec, route: &'a Route) -> Self {
        Self { recipe: &spec.recipe, realisation: &route.realisation, terms: &spec.terms, lane: spec.lane }
    }
}

/// What is held of one graphics card's memory for one purpose.
#[derive(Debug, Clone, PartialEq)]
pub struct CardMemory {
    /// The card's number.
    pub card: u32,
    /// "weights", "drafts", "batch", "finals".
    pub class: &'static str,
    /// The most that may be held.
    pub cap_bytes: u64,
    /// Of the driver's memory, used or not.
    pub reserved_bytes: u64,
    /// What is used.
    pub used_bytes: u64,
    /// The most that was reserved.
    pub peak_bytes: u64,
    /// How much of what lies unused does not lie in one piece, from 0 to 1.
    pub fragmentation: f64,
    /// How often there was not as much as was asked.
    pub refused: u64,
}

/// What it may cost to find out how a picture is let in.
#[derive(Debug, Clone, Copy)]
pub enum Leave<'a> {
    /// Nothing beyond opening a model: somebody looks whether a picture is there.
    Look,
    /// A model may be read whole, which takes seconds to minutes, until somebody stops it.
    Read(&'a Cancel),
}

/// How a picture is let in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admitted {
    /// What changes pixels to save memory: part of what draws it.
    pub settings: BTreeMap<String, String>,
    /// How it is fitted into memory, in words for the journal; empty where nothing is to say.
    pub memory: String,
}

/// What saves memory and changes pixels, where a picture does not fit without it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saves {
    /// Words of `allow_lossy` that this device could save by, and nobody allowed; none where nobody knows.
    pub allow: Vec<&'static str>,
    /// Why weights are not kept in eight bits although they may be. It fits behind "since ".
    pub unsound: Option<String>,
}

impl Saves {
    /// What is out of the question, behind the figures.
    fn unsound(&self) -> String {
        self.unsound.as_ref().map(|why| format!(", and fp8 is out of the question since {why}")).unwrap_or_default()
    }

    /// What to allow, between other things to do.
    fn allow(&self) -> String {
        if self.allow.is_empty() {
            return String::new();
        }
        let words: Vec<String> = self.allow.iter().map(|word| format!("\"{word}\"")).collect();
        format!("allow what saves memory (`allow_lossy = [{}]`), ", words.join(", "))
    }
}

/// Why there is no art.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum EngineError {
    /// A file of the team's own cannot be used.
    #[error("use the art file {path}: {reason}")]
    Input {
        /// As the manifest names it.
        path: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The recipe asks for something that the engine does not have.
    #[error("{0}")]
    Recipe(String),
    /// A file of weights cannot be used. It fits behind "failed to".
    #[error("{0}")]
    Weights(String),
    /// A model is not here, not whole, or not the one that was planned with. It fits behind "failed to".
    #[error("{0}")]
    Missing(String),
    /// It needs more memory than there is.
    #[error(
        "fit the picture into memory: it needs {} and {} are free{}; draw it smaller, with fewer pictures at once, {}or name \
         a fallback that is bought",
        Bytes(*needed_bytes), Bytes(*free_bytes), saves.unsound(), saves.allow()
    )]
    OutOfMemory {
        /// What the smallest way to draw it takes.
        needed_bytes: u64,
        /// What there is.
        free_bytes: u64,
        /// What else would save some.
        saves: Saves,
    },
    /// The engine failed. It fits behind "failed to".
    #[error("{0}")]
    Failed(String),
    /// What it was to be drawn on is lost; nothing came of it, and it may be drawn elsewhere. It fits behind "failed to".
    #[error("{0}")]
    Lost(String),
    /// What it was to be drawn on cannot be opened, and is given up; it may be drawn elsewhere. It fits behind "failed to".
    #[error("{0}")]
    Unopened(String),
    /// What it was to be drawn on draws other bytes than its key says by now; it is planned anew. It fits behind "failed to".
    #[error("{0}")]
    Changed(String),
    /// It has a fault of its own.
    #[error("finish a drawing, a fault of Thumbforge: {0}")]
    Internal(String),
    /// Somebody stopped it.
    #[error("draw: it was cancelled")]
    Cancelled,
}

impl EngineError {
    /// Whether the picture may be planned anew: nothing came of it for a reason that lies not in it, and another device, a
    /// smaller way to draw it, or an account may serve it.
    pub fn displaces(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Unopened(_) | Self::Changed(_) | Self::OutOfMemory { .. })
    }

    /// As it reaches people and machines.
    pub fn failure(&self) -> Failure {
        let code = match self {
            Self::Input { .. } | Self::Weights(_) => ErrorCode::InputFile,
            Self::Recipe(_) => ErrorCode::InvalidRequest,
            Self::Missing(_) | Self::Lost(_) | Self::Unopened(_) | Self::Changed(_) => ErrorCode::ModelUnavailable,
            Self::OutOfMemory { .. } => ErrorCode::OutOfMemory,
            Self::Failed(_) => ErrorCode::EngineFailed,
            Self::Internal(_) => ErrorCode::Internal,
            Self::Cancelled => ErrorCode::Cancelled,
        };
        Failure::new(code, format!("failed to {self}"))
    }
}

/// Draws recipes. Implementations are called from worker threads, several at once.
pub trait Engine: Send + Sync {
    /// The name that routes go by.
    fn name(&self) -> &'static str;
    /// What it says of itself.
    fn card(&self) -> EngineCard;
    /// The model of files that the terms bring, where the engine draws with such; read whole where nobody has before.
    ///
    /// # Errors
    /// What is wrong with them.
    fn own_model(&self, terms: &Terms) -> Result<Option<LocalModel>, EngineError> {
        let _ = terms;
        Ok(None)
    }

    /// Whether there is room for a picture, before it is begun.
    ///
    /// # Errors
    /// [`EngineError::OutOfMemory`], why it cannot be drawn at all, or that more would have to be read than may be.
    fn admit(&self, order: &Order<'_>, leave: Leave<'_>) -> Result<Admitted, EngineError> {
        let _ = (order, leave);
        Ok(Admitted::default())
    }

    /// The memory of graphics cards that it holds.
    fn memory(&self) -> Vec<CardMemory> {
        Vec::new()
    }

    /// Draws the art of an order.
    ///
    /// # Errors
    /// [`EngineError`]; a panic ends only this attempt.
    fn draw(&self, order: &Order<'_>, control: &Control<'_>) -> Result<Drawn, EngineError>;
}

/// The engines of this machine.
#[derive(Clone)]
pub struct Engines {
    engines: Arc<[Box<dyn Engine>]>,
    here: Arc<Mutex<Arc<EnginesHere>>>,
}

impl Engines {
    /// Every engine that this build has and this machine can run.
    pub fn discover(store: &Store, data_dir: &Path, market: &Market) -> Self {
        let mut engines: Vec<Box<dyn Engine>> =
            vec![Box::new(builtin::Builtin), Box::new(file::File::new(store.clone()))];
        match local::sd3::engine(store, data_dir, market) {
            Ok(local) => engines.push(Box::new(local)),
            Err(err) => tracing::warn!("there are no local models: {err}"),
        }
        Self::of(engines)
    }

    /// These engines; later ones of the same name win.
    pub fn of(engines: Vec<Box<dyn Engine>>) -> Self {
        Self { engines: engines.into(), here: Arc::default() }
    }

    /// What the router may choose from now.
    pub fn here(&self) -> Arc<EnginesHere> {
        let cards = self.engines.iter().map(|engine| (engine.name(), engine.card()));
        let cards: BTreeMap<&str, EngineCard> = cards.collect();
        let mut here = self.here.lock();
        // Made anew only when something changed: every job of a build asks.
        let same = here.len() == cards.len()
            && here.iter().zip(&cards).all(|((known, before), (name, now))| known == name && before.is(now));
        if !same {
            *here = Arc::new(cards.into_iter().map(|(name, card)| (name.to_owned(), card)).collect());
        }
        here.clone()
    }

    /// What the router may choose from for one job, which may bring a model of its own.
    ///
    /// # Errors
    /// What is wrong with the model's files.
    pub fn here_for(&self, spec: &JobSpec) -> Result<Arc<EnginesHere>, EngineError> {
        let here = self.here();
        let (Some(_), Some(id)) = (&spec.terms.weights, &spec.recipe.model) else { return Ok(here) };
        let mut own = EnginesHere::clone(&here);
        for engine in self.engines.iter() {
            if let Some(model) = engine.own_model(&spec.terms)?
                && let Some(card) = own.get_mut(engine.name())
                && let Some(local) = &mut card.local
            {
                Arc::make_mut(local).models.insert(id.clone(), crate::router::Local::Ready(model));
            }
        }
        Ok(Arc::new(own))
    }

    /// The memory of graphics cards that is held now.
    pub fn memory(&self) -> Vec<CardMemory> {
        self.engines.iter().flat_map(|engine| engine.memory()).collect()
    }

    /// The engine of a route.
    pub fn get(&self, name: &str) -> Option<&dyn Engine> {
        self.engines.iter().rev().find(|engine| engine.name() == name).map(Box::as_ref)
    }
}

/// The cards of everything that could draw on this machine, for planning without opening the journal or the store.
pub fn cards(data_dir: &Path, market: &Market) -> EnginesHere {
    let mut cards = cards_of_this_build();
    if let Ok(shelf) = local::sd3::shelf(data_dir, market) {
        cards.insert("local".to_owned(), local::card(shelf.models()));
    }
    cards
}

/// The cards of the engines that need nothing but this build.
pub fn cards_of_this_build() -> EnginesHere {
    [("builtin".to_owned(), builtin::card()), ("file".to_owned(), file::card())].into()
}
