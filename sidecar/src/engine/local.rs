//! The local engine: models whose weights are on this machine, drawn by `thumbforge-diffusion`, on one thread a device.
//!
//! ```text
//! worker: draw ─► a seat of the key's class of device ─► its model thread ─► steps, picture ─► worker
//! router: card ─► shelf: which models are here, by the hash of their weights
//!                 machine: the class of device that is planned for
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};
use parking_lot::Mutex;
use thumbforge_art::text;
use thumbforge_core::error::chain;
use thumbforge_core::id::ContentHash;
use thumbforge_core::image::ImageBuf;
use thumbforge_core::recipe::{Dtype, Tier};
use thumbforge_core::terms::Terms;

use super::{Admitted, CardMemory, Control, Drawn, Engine, EngineError, Leave, Order, Saves};
use crate::output::png::{self, DecodeLimits};
use crate::router::{EngineCard, Field, LocalModel, LocalModels};
use crate::store::Store;
use asked::{Asked, Files, LOSSY, Lossy, Purpose, Shape, Weight, source};
use ladder::Unsound;
use seat::{Draws, Standing, Turn, choose};
use shelf::Shelf;
use thread::{Ask, Reply};

pub(crate) mod asked;
mod eights;
mod gpu;
mod hashes;
mod kept;
mod ladder;
mod losses;
pub(crate) mod machine;
pub(crate) mod painter;
mod queue;
pub(crate) mod room;
pub(crate) mod sd3;
mod seat;
pub(crate) mod shelf;
mod site;
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

/// The engine `local`.
pub(crate) struct Local {
    shelf: Arc<Shelf>,
    store: Store,
    /// Best first: cards, then the processor.
    seats: Vec<Box<dyn Draws>>,
    /// Held while one of them is chosen for a picture.
    choosing: Mutex<()>,
    /// Looks at the memory of cards, for gauges.
    gauges: Box<Gauges>,
    /// Looks at what eight bits would do to a model.
    unsound: Box<Unsound>,
}

/// Memory of every card, as its pools have it now.
pub(crate) type Gauges = dyn Fn() -> Vec<CardMemory> + Send + Sync;

/// What the router may know of the engine.
pub(crate) fn card(models: Arc<LocalModels>) -> EngineCard {
    EngineCard {
        version: format!("{VERSION}.{}", text::VERSION),
        device_class: models.class(models.dtype).to_owned(),
        honours: HONOURS,
        local: Some(models),
    }
}

impl Local {
    /// Draws on `seats`, of which those are asked whose class of device a picture's key names.
    fn new(
        shelf: Arc<Shelf>,
        store: Store,
        seats: Vec<Box<dyn Draws>>,
        gauges: Box<Gauges>,
        unsound: Box<Unsound>,
    ) -> Self {
        Self { shelf, store, seats, choosing: Mutex::new(()), gauges, unsound }
    }

    /// The devices that give the bytes of an order's key.
    fn seats(&self, order: &Order<'_>, dtype: Dtype) -> Result<Vec<&dyn Draws>, EngineError> {
        let class = order.realisation.device_class.as_str();
        let seats = self.seats.iter().map(Box::as_ref).filter(|seat| seat.class(dtype) == class && !seat.is_fallen());
        let seats: Vec<&dyn Draws> = seats.collect();
        if seats.is_empty() {
            // Another device would draw other bytes under the same key.
            return Err(EngineError::Lost(format!(
                "draw on {class}: this machine has no such device any more; it is planned anew"
            )));
        }
        Ok(seats)
    }

    /// Hands a picture to the device that it is drawn on.
    fn seat(&self, seats: &[&dyn Draws], ask: Ask) -> Result<Turn, EngineError> {
        let (asked, pictures) = (&ask.asked, ask.per_call);
        // Whether it fits is asked where there is a choice: a plan costs milliseconds.
        let fit = |seat: &&dyn Draws| seats.len() == 1 || seat.fits(&asked.files, asked, pictures).is_ok();
        let fits: Vec<bool> = seats.iter().map(fit).collect();
        // A batch comes all at once: whoever chooses counts those that chose a moment before.
        let _choosing = self.choosing.lock();
        let standing = |(seat, fits): (&&dyn Draws, bool)| {
            let (waiting, loaded) = seat.standing(&asked.files);
            Standing { fits, waiting, loaded }
        };
        let standing: Vec<Standing> = seats.iter().zip(fits).map(standing).collect();
        let chosen = choose(&standing).and_then(|at| seats.get(at).copied());
        chosen.ok_or_else(|| EngineError::Internal("a picture has no device".to_owned()))?.ask(ask)
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
            purpose: Purpose::of(recipe),
        })
    }
}

impl Engine for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    fn card(&self) -> EngineCard {
        card(self.shelf.models())
    }

    fn memory(&self) -> Vec<CardMemory> {
        (self.gauges)()
    }

    fn own_model(&self, terms: &Terms) -> Result<Option<LocalModel>, EngineError> {
        terms.weights.as_ref().map(|own| self.shelf.own(own).map(|(_, model)| model)).transpose()
    }

    fn admit(&self, order: &Order<'_>, leave: Leave<'_>) -> Result<Admitted, EngineError> {
        let asked = self.asked(order)?;
        let seats = self.seats(order, asked.shape.dtype)?;
        let pictures = order.terms.images_per_call.unwrap_or(1) as usize;
        let may = |word: &str| may_give(order, word);
        let (lossy, plan) = ladder::descend(&seats, &asked, pictures, &may, (&self.unsound, leave))?;
        // What is given up stands in the key; a picture that gives up nothing has the key that it would have anywhere.
        let settings = match lossy {
            Lossy::NONE => BTreeMap::new(),
            lossy => [(LOSSY.to_owned(), lossy.word().to_owned())].into(),
        };
        Ok(Admitted { settings, memory: plan.to_string() })
    }

    fn draw(&self, order: &Order<'_>, control: &Control<'_>) -> Result<Drawn, EngineError> {
        let asked = self.asked(order)?;
        let (reply, heard) = bounded(REPLIES_MAX);
        let per_call = order.terms.images_per_call.unwrap_or(1) as usize;
        let seats = self.seats(order, asked.shape.dtype)?;
        let ask = Ask { asked: asked.clone(), lane: order.lane, per_call, cancel: control.cancel().clone(), reply };
        let _turn = self.seat(&seats, ask)?;
        loop {
            match heard.recv_timeout(CANCEL_LOOK) {
                Ok(Reply::Step(done, of)) => control.step(done, of),
                Ok(Reply::Done(result)) => {
                    let painted = result.map_err(|err| advised(err, &seats, &asked, order))?;
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

/// A refusal with what else would save memory, which the thread that drew does not know.
fn advised(err: EngineError, seats: &[&dyn Draws], asked: &Asked, order: &Order<'_>) -> EngineError {
    match err {
        EngineError::OutOfMemory { needed_bytes, free_bytes, .. } => {
            let allow = ladder::allow(seats, asked, &|word| may_give(order, word));
            EngineError::OutOfMemory { needed_bytes, free_bytes, saves: Saves { allow, unsound: None } }
        }
        err => err,
    }
}

/// Whether pixels may give way to memory in this way: where somebody allowed it, and in drafts.
fn may_give(order: &Order<'_>, word: &str) -> bool {
    order.recipe.tier == Tier::Preview || order.terms.allow_lossy.iter().any(|allowed| allowed == word)
}
