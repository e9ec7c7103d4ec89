//! Which models are here: what the weights store has registered, and files that a job brings, each by the hash of its weights.
//!
//! A look costs the reading of headers, and a whole reading of files that were never hashed. So it is looked again only when
//! the registry has changed, or times and lengths of the files that a model is read from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use thumbforge_core::id::ContentHash;
use thumbforge_core::model::{ModelId, ModelRow};
use thumbforge_core::recipe::Dtype;
use thumbforge_core::terms::LocalFiles;

use super::super::EngineError;
use super::asked::Files;
use crate::router::{Local, LocalModel, LocalModels};

/// How long a look at the registry holds: soon enough for a person who has just added a model.
const LOOK: Duration = Duration::from_secs(1);
/// Most models of jobs' own that are remembered.
const OWN_MAX: usize = 64;

/// What the engine computes with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Classes {
    /// The number format where nobody names one.
    pub(crate) dtype: Dtype,
    /// Class of device in 32-bit floating point.
    pub(crate) f32: String,
    /// Class of device in bfloat16.
    pub(crate) bf16: String,
}

/// What there is to know about models, behind which tests stand.
pub(crate) trait Registry: Send + Sync {
    /// What changes when what is registered does.
    fn stamp(&self) -> Stamp;
    /// Models of the catalogue with the places of their parts.
    fn models(&self) -> Vec<(String, Result<Files, EngineError>)>;
    /// What a model is; its files are read whole where nobody has before. `id` is the catalogue's, where it has one.
    /// The files come back with what was found besides.
    fn look(&self, id: Option<&str>, files: &Files) -> Result<(Files, LocalModel), EngineError>;
}

/// What tells one state of a file from the next; absent where there is no file.
pub(crate) type Stamp = Option<(SystemTime, u64)>;

/// Says what the engine computes with now: another device where one fell, or why there is none.
pub(crate) type Computes = dyn Fn() -> Result<Classes, String> + Send + Sync;

/// The models of this machine.
pub(crate) struct Shelf {
    registry: Box<dyn Registry>,
    computes: Box<Computes>,
    state: Mutex<State>,
    own: Mutex<Vec<Own>>,
}

struct State {
    /// `None` before the first look.
    seen: Option<(Instant, Stamp)>,
    /// Of the files of all models.
    stamps: Vec<(PathBuf, Stamp)>,
    models: Arc<LocalModels>,
    files: BTreeMap<ModelId, Arc<Files>>,
    /// What the models were told to be drawn with.
    classes: Result<Classes, String>,
}

/// A model of a job's own.
struct Own {
    named: LocalFiles,
    stamps: Vec<(PathBuf, Stamp)>,
    files: Arc<Files>,
    model: LocalModel,
}

impl Shelf {
    pub(crate) fn new(registry: Box<dyn Registry>, computes: Box<Computes>) -> Self {
        let classes = computes();
        let models = Arc::new(with(BTreeMap::new(), &classes));
        let state = State { seen: None, stamps: Vec::new(), models, files: BTreeMap::new(), classes };
        Self { registry, computes, state: Mutex::new(state), own: Mutex::new(Vec::new()) }
    }

    /// The models that are registered now.
    pub(crate) fn models(&self) -> Arc<LocalModels> {
        self.looked().models.clone()
    }

    /// Files and hash of a registered model that can be drawn with.
    pub(crate) fn files(&self, id: &str) -> Option<(Arc<Files>, Option<ContentHash>)> {
        let state = self.looked();
        let (id, files) = state.files.iter().find(|(known, _)| known.as_str() == id)?;
        match state.models.models.get(id)? {
            Local::Ready(model) => Some((files.clone(), Some(model.weights))),
            Local::Lacking(_) => None,
        }
    }

    fn looked(&self) -> parking_lot::MutexGuard<'_, State> {
        let mut state = self.state.lock();
        let now = Instant::now();
        let classes = (self.computes)();
        // A device that fell changes what every model is planned for, at once: whoever lost it plans anew now.
        let same = state.classes == classes;
        let young = state.seen.as_ref().is_some_and(|(looked, _)| now.saturating_duration_since(*looked) < LOOK);
        if same && young {
            return state;
        }
        state.classes = classes;
        let stamp = self.registry.stamp();
        if !same || state.seen.as_ref().is_none_or(|(_, seen)| *seen != stamp) || !hold(&state.stamps) {
            let (mut models, mut places, mut stamps) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
            for (name, files) in self.registry.models() {
                // What is said of it decides nothing but the id, which is the catalogue's.
                let id = ModelRow::bare(&name, thumbforge_core::model::Family::Local).id;
                // Before they are read: what changes meanwhile is seen the next time.
                if let Ok(files) = &files {
                    stamps.extend(stamps_of(files.places()));
                }
                match files.and_then(|files| self.registry.look(Some(&name), &files)) {
                    Ok((files, model)) => {
                        stamps.extend(stamps_of(files.tokenizers.iter()));
                        places.insert(id.clone(), Arc::new(Files { weights: Some(model.weights), ..files }));
                        models.insert(id, Local::Ready(model));
                    }
                    Err(err) => _ = models.insert(id, Local::Lacking(err.to_string())),
                }
            }
            state.models = Arc::new(with(models, &state.classes));
            state.files = places;
            state.stamps = stamps;
        }
        state.seen = Some((now, stamp));
        state
    }

    /// A model that a job brings, as it is now.
    ///
    /// # Errors
    /// What is wrong with its files.
    pub(crate) fn own(&self, named: &LocalFiles) -> Result<(Arc<Files>, LocalModel), EngineError> {
        // Held while it is read: the second of two jobs waits for the first instead of reading it too.
        let mut own = self.own.lock();
        if let Some(at) = own.iter().position(|own| own.named == *named) {
            if hold(&own[at].stamps) {
                return Ok((own[at].files.clone(), own[at].model.clone()));
            }
            own.remove(at);
        }
        let mut stamps = stamps_of(std::iter::once(&named.model).chain(&named.tokenizers));
        let files = Files { model: named.model.clone(), tokenizers: named.tokenizers.clone(), ..Files::default() };
        let (files, model) = self.registry.look(None, &files)?;
        stamps.extend(stamps_of(files.tokenizers.iter()));
        let files = Arc::new(Files { weights: Some(model.weights), ..files });
        if own.len() >= OWN_MAX {
            own.remove(0);
        }
        own.push(Own { named: named.clone(), stamps, files: files.clone(), model: model.clone() });
        Ok((files, model))
    }
}

/// The models with what they are drawn with. Where nothing draws, every one of them lacks that.
fn with(mut models: BTreeMap<ModelId, Local>, classes: &Result<Classes, String>) -> LocalModels {
    let nothing = Classes { dtype: Dtype::F32, f32: "none".to_owned(), bf16: "none".to_owned() };
    let Classes { dtype, f32, bf16 } = match classes {
        Ok(classes) => classes.clone(),
        Err(why) => {
            models.values_mut().for_each(|model| *model = Local::Lacking(format!("nothing can {why}")));
            nothing
        }
    };
    LocalModels { models, dtype, class_f32: f32, class_bf16: bf16 }
}

/// Most files of a model that are looked at: those of a sharded diffusers folder, twice over.
const FILES_MAX: usize = 256;

/// Whether all are as they were.
fn hold(stamps: &[(PathBuf, Stamp)]) -> bool {
    stamps.iter().all(|(path, seen)| stamp(path) == *seen)
}

/// Stamps of everything that is read of these places.
fn stamps_of<'a>(places: impl Iterator<Item = &'a PathBuf>) -> Vec<(PathBuf, Stamp)> {
    let mut stamps = Vec::new();
    let mut folders = Vec::new();
    for path in places {
        stamps.push((path.clone(), stamp(path)));
        match path.parent() {
            // What a file lacks is looked for beside it, and in folders there.
            Some(folder) if !path.is_dir() => folders.push((folder.to_path_buf(), 1)),
            _ => folders.push((path.clone(), 0)),
        }
    }
    while let Some((folder, depth)) = folders.pop() {
        stamps.push((folder.clone(), stamp(&folder)));
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if depth < 2 && path.is_dir() {
                folders.push((path.clone(), depth + 1));
            }
            stamps.push((path.clone(), stamp(&path)));
            if stamps.len() >= FILES_MAX {
                return stamps;
            }
        }
    }
    stamps
}

/// The state of a file.
pub(crate) fn stamp(path: &Path) -> Stamp {
    let meta = path.metadata().ok()?;
    Some((meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), meta.len()))
}
