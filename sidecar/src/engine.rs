//! Engines: what turns a recipe into art. The built-in one and the team's own files draw behind this trait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use thiserror::Error;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::image::ImageBuf;
use thumbforge_core::recipe::Recipe;

use crate::output::provenance::Credit;
use crate::router::{EngineCard, EnginesHere};
use crate::store::Store;

mod builtin;
mod file;

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
}

/// Why there is no art.
#[derive(Debug, Error)]
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
    /// Somebody stopped it.
    #[error("draw: it was cancelled")]
    Cancelled,
}

impl EngineError {
    /// As it reaches people and machines.
    pub fn failure(&self) -> Failure {
        let code = match self {
            Self::Input { .. } => ErrorCode::InputFile,
            Self::Recipe(_) => ErrorCode::InvalidRequest,
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
    /// Draws the art of `recipe` with `seed`.
    ///
    /// # Errors
    /// [`EngineError`]; a panic ends only this attempt.
    fn draw(&self, recipe: &Recipe, seed: u64, control: &Control<'_>) -> Result<Drawn, EngineError>;
}

/// The engines of this machine.
#[derive(Clone)]
pub struct Engines {
    engines: Arc<[Box<dyn Engine>]>,
    here: Arc<EnginesHere>,
}

impl Engines {
    /// Every engine that this build has and this machine can run.
    pub fn discover(store: &Store) -> Self {
        Self::of(vec![Box::new(builtin::Builtin), Box::new(file::File::new(store.clone()))])
    }

    /// These engines; later ones of the same name win.
    pub fn of(engines: Vec<Box<dyn Engine>>) -> Self {
        let here = engines.iter().map(|engine| (engine.name().to_owned(), engine.card())).collect();
        Self { engines: engines.into(), here: Arc::new(here) }
    }

    /// What the router may choose from.
    pub fn here(&self) -> &EnginesHere {
        &self.here
    }

    /// The engine of a route.
    pub fn get(&self, name: &str) -> Option<&dyn Engine> {
        self.engines.iter().rev().find(|engine| engine.name() == name).map(Box::as_ref)
    }
}

/// The cards of the engines that need nothing but this build, for planning without opening a store.
pub fn cards_of_this_build() -> EnginesHere {
    [("builtin".to_owned(), builtin::card()), ("file".to_owned(), file::card())].into()
}
