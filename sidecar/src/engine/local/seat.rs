//! A device with its model thread, as the engine sees it: whether a picture fits there, how many wait, and the way in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, TrySendError, bounded};
use parking_lot::Mutex;
use thumbforge_core::limits;
use thumbforge_core::recipe::Dtype;

use super::super::EngineError;
use super::asked::{Asked, Files};
use super::losses::Ceiling;
use super::painter::Painter;
use super::room::Plan;
use super::shelf::Classes;
use super::thread::{Ask, Model};

/// Says how pictures like one would fit into memory, and into so many bytes of it, without drawing: whoever plans asks, on
/// any thread.
pub(crate) type Fits = dyn Fn(&Files, &Asked, usize, u64) -> Result<Plan, EngineError> + Send + Sync;

/// Says whether the device keeps weights in eight bits.
pub(crate) type KeepsEights = dyn Fn() -> Result<bool, EngineError> + Send + Sync;

/// Starts the painter on the model thread.
pub(crate) type Start<P> = Box<dyn Fn() -> P + Send + Sync>;

/// Says what class of device it is now.
pub(crate) type ClassesOf = Box<dyn Fn() -> Classes + Send + Sync>;

/// Hears that the device is given up, and why.
pub(crate) type Fell = Arc<dyn Fn(&str) + Send + Sync>;

/// Whatever draws, behind which devices of different kinds stand side by side.
pub(super) trait Draws: Send + Sync {
    /// The class of device, which may become another while pictures wait: a library that does not run is done without.
    fn class(&self, dtype: Dtype) -> String;
    /// How pictures would fit into its memory.
    ///
    /// # Errors
    /// [`EngineError::OutOfMemory`], or why they cannot be drawn at all.
    fn fits(&self, files: &Files, asked: &Asked, pictures: usize) -> Result<Plan, EngineError>;
    /// Whether it keeps weights in eight bits for pictures of this number format.
    ///
    /// # Errors
    /// Why the device cannot be had.
    fn keeps_eights(&self, dtype: Dtype) -> Result<bool, EngineError>;
    /// Whether it was given up: nothing is drawn on it any more.
    fn is_fallen(&self) -> bool;
    /// Pictures that are on their way there, and whether the last of them was of this model.
    fn standing(&self, files: &Arc<Files>) -> (usize, bool);
    /// Hands a picture over; what comes back is held until its answer was heard.
    ///
    /// # Errors
    /// When too many wait.
    fn ask(&self, ask: Ask) -> Result<Turn, EngineError>;
}

/// A device with its model thread. The thread begins when a picture is first planned or asked for.
pub(crate) struct Seat<P: Painter> {
    classes: ClassesOf,
    start: Start<P>,
    fits: Box<Fits>,
    keeps_eights: Box<KeepsEights>,
    idle: Duration,
    fell: Fell,
    fallen: Arc<AtomicBool>,
    ceiling: Arc<Ceiling>,
    thread: Mutex<Option<Sender<Ask>>>,
    waiting: Arc<AtomicUsize>,
    last: Mutex<Option<Arc<Files>>>,
}

impl<P: Painter> Seat<P> {
    /// A device of these classes, drawn on by `start`'s painter.
    pub(crate) fn new(
        classes: ClassesOf,
        start: Start<P>,
        (fits, keeps_eights): (Box<Fits>, Box<KeepsEights>),
        idle: Duration,
        fell: Fell,
    ) -> Self {
        Self {
            classes,
            start,
            fits,
            keeps_eights,
            idle,
            fell,
            fallen: Arc::default(),
            ceiling: Arc::default(),
            thread: Mutex::new(None),
            waiting: Arc::default(),
            last: Mutex::new(None),
        }
    }

    /// The way into the model thread, which is begun where there is none.
    fn begun<'a>(&self, thread: &'a mut Option<Sender<Ask>>) -> Result<&'a Sender<Ask>, EngineError> {
        if let Some(asks) = thread {
            return Ok(asks);
        }
        let (asks, receiver) = bounded(limits::MODEL_SLOTS * 2);
        let (painter, idle) = ((self.start)(), self.idle);
        let (ceiling, tell, fallen) = (self.ceiling.clone(), self.fell.clone(), self.fallen.clone());
        let fell = move |why: &str| {
            fallen.store(true, Ordering::Relaxed);
            tell(why);
        };
        let began = std::thread::Builder::new().name("model".to_owned());
        let model = move || Model::new(painter, receiver, idle, ceiling, Box::new(fell)).run();
        began.spawn(model).map_err(|err| EngineError::Failed(format!("start the model thread: {err}")))?;
        Ok(thread.insert(asks))
    }
}

impl<P: Painter> Seat<P> {
    /// What planning gave: where the device cannot be opened, whoever plans found out first. Those that wait hear it when their
    /// turn comes, since it is not open there either.
    fn heard<T>(&self, planned: Result<T, EngineError>) -> Result<T, EngineError> {
        if let Err(EngineError::Unopened(why)) = &planned {
            self.fallen.store(true, Ordering::Relaxed);
            (self.fell)(why);
        }
        planned
    }
}

/// A picture that is on its way, as long as somebody waits for it.
pub(super) struct Turn(Arc<AtomicUsize>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<P: Painter> Draws for Seat<P> {
    fn class(&self, dtype: Dtype) -> String {
        let Classes { f32, bf16, .. } = (self.classes)();
        match dtype {
            Dtype::F32 => f32,
            Dtype::Bf16 => bf16,
        }
    }

    fn fits(&self, files: &Files, asked: &Asked, pictures: usize) -> Result<Plan, EngineError> {
        // What is opened to plan with is closed by the thread when nobody asks for a while, also where nothing is drawn.
        self.begun(&mut self.thread.lock())?;
        self.heard((self.fits)(files, asked, pictures, self.ceiling.most(files, asked.purpose, Instant::now())))
    }

    fn keeps_eights(&self, dtype: Dtype) -> Result<bool, EngineError> {
        // Products of singles are there for who wants exactness.
        Ok(dtype == Dtype::Bf16 && self.heard((self.keeps_eights)())?)
    }

    fn is_fallen(&self) -> bool {
        self.fallen.load(Ordering::Relaxed)
    }

    fn standing(&self, files: &Arc<Files>) -> (usize, bool) {
        (self.waiting.load(Ordering::Relaxed), self.last.lock().as_ref() == Some(files))
    }

    fn ask(&self, mut ask: Ask) -> Result<Turn, EngineError> {
        let mut thread = self.thread.lock();
        let files = ask.asked.files.clone();
        // A second turn only where the thread had ended, which a panic of its own could do.
        for _ in 0..2 {
            match self.begun(&mut thread)?.try_send(ask) {
                Ok(()) => {
                    self.waiting.fetch_add(1, Ordering::Relaxed);
                    *self.last.lock() = Some(files);
                    return Ok(Turn(self.waiting.clone()));
                }
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

/// How a device stands to a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// Whether it fits there now.
    pub(crate) fits: bool,
    /// Pictures before it.
    pub(crate) waiting: usize,
    /// Whether its model is loaded there, as far as one can tell.
    pub(crate) loaded: bool,
}

/// So many pictures are drawn in the time that a model is loaded: gigabytes from a disk, against a picture in a second or two.
const LOADING_PICTURES: usize = 4;

/// The place of the device that is likely to be done first, among those where the picture fits; where it fits nowhere, the
/// first of those that may have room soonest. `None` where there is none.
pub(super) fn choose(all: &[Standing]) -> Option<usize> {
    let cost = |one: &Standing| (!one.fits, one.waiting + if one.loaded { 0 } else { LOADING_PICTURES });
    all.iter().enumerate().min_by_key(|(index, one)| (cost(one), *index)).map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_go_where_they_fit_and_are_done_first() {
        /// (fits, waiting, loaded) of every card.
        #[track_caller]
        fn check(cards: &[(bool, usize, bool)], expected: Option<usize>) {
            let of = |(fits, waiting, loaded): &(bool, usize, bool)| Standing {
                fits: *fits,
                waiting: *waiting,
                loaded: *loaded,
            };
            assert_eq!(choose(&cards.iter().map(of).collect::<Vec<_>>()), expected, "{cards:?}");
        }
        check(&[], None);
        check(&[(false, 0, false)], Some(0));
        check(&[(true, 0, false), (true, 0, false)], Some(0));
        check(&[(true, 2, false), (true, 1, false)], Some(1));
        // One with room and a queue before one without room.
        check(&[(false, 0, true), (true, 9, false)], Some(1));
        // A model that is there is worth some waiting, and not any.
        check(&[(true, 0, false), (true, 3, true)], Some(1));
        check(&[(true, 0, false), (true, 5, true)], Some(0));
    }
}
