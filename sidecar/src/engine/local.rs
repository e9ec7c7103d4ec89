//! The local engine: models whose weights are on this machine, drawn by `thumbforge-diffusion` on one thread.
//!
//! ```text
//! worker: draw ─► ask ─► model thread ─► steps, picture ─► worker
//! router: card ─► shelf: which models are here, by the hash of their weights
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, TrySendError, bounded};
use parking_lot::Mutex;
use thumbforge_art::text;
use thumbforge_core::error::chain;
use thumbforge_core::id::ContentHash;
use thumbforge_core::image::ImageBuf;
use thumbforge_core::limits;
use thumbforge_core::recipe::Tier;
use thumbforge_core::terms::Terms;

use super::{Admitted, Control, Drawn, Engine, EngineError, Order};
use crate::output::png::{self, DecodeLimits};
use crate::router::{EngineCard, Field, LocalModel, LocalModels};
use crate::store::Store;
use asked::{Asked, Files, LOSSY, Shape, TILED_VAE, Weight, source};
use painter::Painter;
use shelf::Shelf;
use thread::{Ask, Model, Reply};

pub(crate) mod asked;
mod hashes;
pub(crate) mod painter;
mod queue;
pub(crate) mod room;
pub(crate) mod sd3;
pub(crate) mod shelf;
mod thread;

#[cfg(test)]
pub(super) mod tests;

/// Raised when a change of the sidecar or of `thumbforge-diffusion` changes a pixel: it is the only version in the key.
const VERSION: u32 = 1;
/// How long a model stays open that nobody draws with: a person who looks at a draft asks for the next within minutes.
pub(crate) const IDLE: Duration = Duration::from_secs(300);
/// Answers of one drawing that nobody has heard yet; steps beyond it are left out.
const REPLIES_MAX: usize = 64;
/// How soon a drawing that waits for its turn hears that it is cancelled.
const CANCEL_LOOK: Duration = Duration::from_millis(50);

/// Fields of a recipe that it honours. Brand colours are the prompt's to say, and composition is the built-in engine's.
const HONOURS: &[Field] = &[
    Field::Negative,
    Field::Seed,
    Field::Steps,
    Field::Guidance,
    Field::Sampler,
    Field::Strength,
    Field::Adapters,
    Field::Edit,
    Field::Mask,
    Field::Noise,
    Field::Dtype,
    Field::Slg,
    Field::MaskFeather,
    Field::MaskMode,
];

/// Says how pictures like one would fit into memory, without drawing: whoever plans asks, on any thread.
pub(crate) type Fits = dyn Fn(&Files, &Asked, usize) -> Result<room::Plan, EngineError> + Send + Sync;

/// Starts the painter on the model thread.
type Start<P> = Box<dyn Fn() -> P + Send + Sync>;

/// The engine `local`.
pub(crate) struct Local<P: Painter> {
    shelf: Arc<Shelf>,
    store: Store,
    start: Start<P>,
    fits: Box<Fits>,
    idle: Duration,
    thread: Mutex<Option<Sender<Ask>>>,
}

/// What the router may know of the engine.
pub(crate) fn card(models: Arc<LocalModels>) -> EngineCard {
    EngineCard {
        version: format!("{VERSION}.{}", text::VERSION),
        device_class: models.class(models.dtype).to_owned(),
        honours: HONOURS,
        local: Some(models),
    }
}

impl<P: Painter> Local<P> {
    /// Draws with `start`'s painter. The thread begins with the first picture.
    pub(crate) fn new(shelf: Arc<Shelf>, store: Store, start: Start<P>, fits: Box<Fits>, idle: Duration) -> Self {
        Self { shelf, store, start, fits, idle, thread: Mutex::new(None) }
    }

    /// The files of an order's model, which must be those that it was planned with.
    fn files(&self, order: &Order<'_>) -> Result<Arc<Files>, EngineError> {
        let model = order.realisation.wire_model.as_str();
        let (files, weights) = match &order.terms.weights {
            Some(own) => self.shelf.own(own).map(|(files, model)| (files, Some(model.weights)))?,
            None => self.shelf.files(model).ok_or_else(|| {
                EngineError::Missing(format!("draw with {model}: its weights are on this machine no more"))
            })?,
        };
        if weights != order.realisation.weights {
            let message =
                format!("draw with {model}: its weights changed since this was planned; run the same command again");
            return Err(EngineError::Missing(message));
        }
        if order.recipe.adapters.is_empty() {
            return Ok(files);
        }
        let loras = order.recipe.adapters.iter().map(|adapter| {
            let path = self.store.path(adapter.content);
            path.exists().then_some((path, Weight(adapter.weight as f32))).ok_or_else(|| EngineError::Input {
                path: adapter.content.to_string(),
                reason: "it is no longer in the store; run the same command again".to_owned(),
            })
        });
        Ok(Arc::new(Files { loras: loras.collect::<Result<_, _>>()?, ..Files::clone(&files) }))
    }

    fn picture(&self, content: ContentHash) -> Result<ImageBuf, EngineError> {
        let input = |reason: String| EngineError::Input { path: content.to_string(), reason };
        let gone = || input("it is no longer in the store; run the same command again".to_owned());
        let bytes = self.store.get(content).ok_or_else(gone)?;
        png::decode(&bytes, DecodeLimits::ART).map_err(|err| input(chain(&err)))
    }

    fn asked(&self, order: &Order<'_>) -> Result<Asked, EngineError> {
        let Order { recipe, realisation, .. } = order;
        Ok(Asked {
            files: self.files(order)?,
            shape: Shape::read(recipe, realisation)?,
            seed: realisation.seed,
            source: source(recipe, realisation, &|content| self.picture(content))?,
        })
    }

    /// Hands a picture to the model thread, which is begun where there is none.
    fn ask(&self, mut ask: Ask) -> Result<(), EngineError> {
        let mut thread = self.thread.lock();
        // A second turn only where the thread had ended, which a panic of its own could do.
        for _ in 0..2 {
            if thread.is_none() {
                let (asks, receiver) = bounded(limits::MODEL_SLOTS * 2);
                let (painter, idle) = ((self.start)(), self.idle);
                let began = std::thread::Builder::new().name("model".to_owned());
                began
                    .spawn(move || Model::new(painter, receiver, idle).run())
                    .map_err(|err| EngineError::Failed(format!("start the model thread: {err}")))?;
                *thread = Some(asks);
            }
            let Some(asks) = thread.as_ref() else { break };
            match asks.try_send(ask) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(_)) => {
                    return Err(EngineError::Failed(
                        "draw: the model has too many pictures waiting; try again".to_owned(),
                    ));
                }
                Err(TrySendError::Disconnected(back)) => {
                    ask = back;
                    *thread = None;
                }
            }
        }
        Err(EngineError::Failed("draw: the model thread does not stay".to_owned()))
    }
}

impl<P: Painter> Engine for Local<P> {
    fn name(&self) -> &'static str {
        "local"
    }

    fn card(&self) -> EngineCard {
        card(self.shelf.models())
    }

    fn own_model(&self, terms: &Terms) -> Result<Option<LocalModel>, EngineError> {
        terms.weights.as_ref().map(|own| self.shelf.own(own).map(|(_, model)| model)).transpose()
    }

    fn admit(&self, order: &Order<'_>) -> Result<Admitted, EngineError> {
        let asked = self.asked(order)?;
        let pictures = order.terms.images_per_call.unwrap_or(1) as usize;
        match (self.fits)(&asked.files, &asked, pictures) {
            Ok(plan) => Ok(Admitted { settings: BTreeMap::new(), memory: plan.to_string() }),
            Err(EngineError::OutOfMemory { .. }) if may_tile(order) => {
                let mut tiled = asked;
                tiled.shape.tiled_vae = true;
                let plan = (self.fits)(&tiled.files, &tiled, pictures)?;
                let settings = [(LOSSY.to_owned(), TILED_VAE.to_owned())].into();
                Ok(Admitted { settings, memory: plan.to_string() })
            }
            Err(err) => Err(err),
        }
    }

    fn draw(&self, order: &Order<'_>, control: &Control<'_>) -> Result<Drawn, EngineError> {
        let asked = self.asked(order)?;
        let (reply, heard) = bounded(REPLIES_MAX);
        let per_call = order.terms.images_per_call.unwrap_or(1) as usize;
        self.ask(Ask { asked, lane: order.lane, per_call, cancel: control.cancel().clone(), reply })?;
        loop {
            match heard.recv_timeout(CANCEL_LOOK) {
                Ok(Reply::Step(done, of)) => control.step(done, of),
                Ok(Reply::Done(result)) => {
                    let painted = result?;
                    return Ok(Drawn { image: painted.image, credits: Vec::new(), findings: painted.findings });
                }
                // The model thread finds it cancelled when its turn comes, or goes on with the others of its call.
                Err(RecvTimeoutError::Timeout) if control.is_cancelled() => return Err(EngineError::Cancelled),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(EngineError::Internal("the model thread ended".to_owned()));
                }
            }
        }
    }
}

/// Whether pixels may give way to memory: where somebody allowed it, and in drafts.
fn may_tile(order: &Order<'_>) -> bool {
    order.recipe.tier == Tier::Preview || order.terms.allow_lossy.iter().any(|word| word == TILED_VAE)
}
