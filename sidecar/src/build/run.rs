//! Carrying a plan out: jobs to the sidecar, pictures to the project, lines to the lock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use thumbforge_core::approvals::Approvals;
use thumbforge_core::error::{ErrorCode, Failure, chain};
use thumbforge_core::id::{ContentHash, FileSha256};
use thumbforge_core::job::{AssetRef, Ending, Gate, JobSpec, Lane, Render};
use thumbforge_core::lock::{DrawnBy, LockLine};
use thumbforge_core::manifest::{Scope, Wanted};
use thumbforge_core::money::Micros;
use thumbforge_core::plan::{Action, locked};
use thumbforge_core::recipe::Realisation;
use thumbforge_core::terms::{self, Budget, Period, Terms};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Approved, BuildError, Item, ItemState, LockFile, Project, Survey};
use crate::maker::{Heard, Kept, Made, Maker};
use crate::output::fence::Fence;
use crate::output::meta::{Meta, UnityProjects, meta_path};
use crate::output::png;
use crate::output::profiles::{self, Said};
use crate::output::vcs;
use crate::output::write::{Patience, sweep, write_atomic};
use crate::publish;

/// The lock is written while a build runs, so that a killed one has little to find out again; at most this often.
const LOCK_EVERY: Duration = Duration::from_secs(2);

/// Who watches a build.
pub trait Progress: Send + Sync {
    /// These images are about to be made.
    fn begin(&self, items: &[&Item]);
    /// Whether it wants to hear what images go through before they end, which costs a look at each.
    fn listens(&self) -> bool {
        false
    }
    /// One of them stands elsewhere, or has come further.
    fn heard(&self, _item: &Item, _progress: publish::Progress) {}
    /// One of them has ended.
    fn ended(&self, item: &Item);
    /// No more will come, whether all were made or not.
    fn finished(&self);
}

/// The images that a build has not ended yet, each of which can be taken back alone.
#[derive(Debug, Default)]
pub struct Singles {
    tokens: Mutex<HashMap<(String, String), CancellationToken>>,
}

impl Singles {
    /// Takes one image back; says whether it had not ended yet.
    pub fn take_back(&self, asset: &str, locale: &str) -> bool {
        let token = self.tokens.lock().get(&(asset.to_owned(), locale.to_owned())).cloned();
        token.inspect(CancellationToken::cancel).is_some()
    }

    fn enter(&self, asset: &AssetRef, all: &CancellationToken) {
        let key = (asset.name.clone(), asset.locale.clone());
        self.tokens.lock().insert(key, all.child_token());
    }

    fn of(&self, asset: &AssetRef) -> Option<CancellationToken> {
        self.tokens.lock().get(&(asset.name.clone(), asset.locale.clone())).cloned()
    }

    fn leave(&self, asset: &AssetRef) {
        self.tokens.lock().remove(&(asset.name.clone(), asset.locale.clone()));
    }
}

/// What a run is asked.
pub struct Run<'a> {
    /// Who makes the pictures.
    pub maker: &'a Maker,
    /// Most jobs on their way at once.
    pub jobs_max: usize,
    /// Most pictures of one call of a local model.
    pub images_per_call: u32,
    /// The name of this build, which no other has.
    pub batch: String,
    /// The most that this build may spend, besides what the manifest says.
    pub budget: Option<Micros>,
    /// Who watches.
    pub progress: Arc<dyn Progress>,
    /// Outputs that must not be written, though the system would let us: somebody else's version control says so.
    pub except: &'a BTreeSet<String>,
    /// Where single images are taken back.
    pub singles: Arc<Singles>,
    /// Raised when somebody interrupts: what runs ends, what waits is taken back.
    pub interrupted: CancellationToken,
}

/// What the plan says of every image, with what the lock says of those that are there.
pub fn planned_items(project: &Project, survey: &Survey) -> Vec<Item> {
    let wanted = &project.expansion.wanted;
    let lines = locked(wanted, &project.lock);
    let items = survey.plan.items.iter().zip(lines).map(|(planned, line)| {
        let item = Item::planned(&wanted[planned.wanted], &planned.action);
        let file = project.root.join(&item.path);
        // Of what is to be made, there may be an older picture, or none.
        let there = match item.state {
            ItemState::Unchanged | ItemState::Stale | ItemState::Kept => true,
            _ => file.is_file(),
        };
        let item = if there { item.with_file(&file) } else { item };
        let item = match (&planned.action, line) {
            (Action::Unchanged | Action::Stale(_), Some(line)) => item.with_line(line, &wanted[planned.wanted]),
            _ => item,
        };
        // A draft is promoted with its seed. Of a hundred thousand finals nobody asks, and each costs a hash.
        let seed = if project.drafts && there { Some(wanted[planned.wanted].recipe.drawing_seed()) } else { item.seed };
        let item = Item { seed, ..item };
        // Of a picture that is not the locked one, its own pixels count; most projects have few, and fewer with decisions.
        let asset = &wanted[planned.wanted].asset;
        let pixels = || match item.state {
            ItemState::Kept => std::fs::read(&file)
                .ok()
                .and_then(|bytes| png::decode(&bytes, png::DecodeLimits::ART).ok())
                .map(|picture| picture.hash()),
            _ if there => line.map(|line| line.pixels),
            _ => None,
        };
        let decided = !project.approvals.of(&asset.name, &asset.locale).is_empty();
        if !decided {
            return item;
        }
        let pixels = pixels();
        let said = item.pixels.clone().or_else(|| pixels.map(|pixels| pixels.to_string()));
        Item { approval: project.approval(asset, pixels), pixels: said, ..item }
    });
    items.collect()
}

/// Brings the lock up to date when nothing is to be made.
///
/// # Errors
/// Why the lock cannot be written.
pub fn settle(project: &mut Project, survey: &Survey) -> Result<Vec<Item>, BuildError> {
    let mut items = planned_items(project, survey);
    let adopted = adopt(project, survey, &mut items);
    let orphans = &survey.plan.orphans;
    if !adopted.is_empty() || !orphans.is_empty() {
        project.update_lock(|lock| {
            lock.upsert(adopted);
            lock.retain(|line| orphans.binary_search(&line.output).is_err());
        })?;
    }
    Ok(items)
}

/// Makes what `survey` says is to be made, and brings the lock up to date.
///
/// # Errors
/// Only what concerns the whole build, such as a lock that cannot be written; an image that fails is an item that says so.
pub async fn run(project: &mut Project, survey: &Survey, asked: Run<'_>) -> Result<Vec<Item>, BuildError> {
    let mut items = settle(project, survey)?;
    let new = make(project, survey, &mut items, asked).await?;
    if !new.is_empty() {
        project.update_lock(|lock| lock.upsert(new))?;
    }
    Ok(items)
}

/// Lines for files that are as wanted and that only the lock does not know.
fn adopt(project: &Project, survey: &Survey, items: &mut [Item]) -> Vec<LockLine> {
    let wanted = &project.expansion.wanted;
    let lines = locked(wanted, &project.lock);
    let adopted = survey.plan.items.iter().filter(|item| item.action == Action::Adopt);
    adopted
        .filter_map(|planned| {
            let (wanted, line) = (&wanted[planned.wanted], lines[planned.wanted]);
            let bytes = std::fs::read(project.root.join(&wanted.output)).ok()?;
            let pixels = png::decode(&bytes, png::DecodeLimits::ART).ok()?.hash();
            let (realised, drawn_by) = match png::read_provenance(&bytes).ok().flatten() {
                Some(said) => {
                    let Realisation { engine, engine_version, device_class, .. } = said.realisation;
                    (said.realised_key, Arc::new(DrawnBy { engine, version: engine_version, device_class }))
                }
                // A tool stripped the text and left the locked pixels: what the lock says of them is still true.
                None => line.filter(|line| line.pixels == pixels).map(|line| (line.realised, line.drawn_by.clone()))?,
            };
            items[planned.wanted].realised_key = Some(realised.to_string());
            items[planned.wanted].pixels = Some(pixels.to_string());
            items[planned.wanted].approval = project.approval(&wanted.asset, Some(pixels));
            Some(LockLine {
                output: wanted.output.clone(),
                planned: wanted.planned,
                realised,
                pixels,
                sha256: sha256(&bytes),
                drawn_by,
            })
        })
        .collect()
}

/// Makes pictures; gives the lines that are new since the lock was last written.
async fn make(
    project: &Project,
    survey: &Survey,
    items: &mut [Item],
    asked: Run<'_>,
) -> Result<Vec<LockLine>, Failure> {
    let wanted = &project.expansion.wanted;
    let mut to_make: Vec<usize> = survey
        .plan
        .items
        .iter()
        .filter(|item| matches!(item.action, Action::Render(_)))
        .map(|item| item.wanted)
        .collect();
    to_make.sort_by_key(|at| std::cmp::Reverse(wanted[*at].priority));
    // Before anybody hears of them: who does may take one back at once.
    to_make.iter().for_each(|at| asked.singles.enter(&wanted[*at].asset, &asked.interrupted));
    asked.progress.begin(&to_make.iter().map(|at| &items[*at]).collect::<Vec<_>>());
    sweep_leavings(project, wanted, &to_make);
    let all = to_make.clone();
    except(asked.except, items, &mut to_make);
    settle_writability(project, wanted, items, &mut to_make);
    let pins = provide(project, wanted, &to_make, items, &asked).await;
    to_make.retain(|at| items[*at].error.is_none());
    all.iter().map(|at| &items[*at]).filter(|item| item.error.is_some()).for_each(|item| asked.progress.ended(item));

    let writer = Arc::new(Writer {
        root: project.root.clone(),
        project: project.name.clone(),
        drafts: project.drafts,
        approvals: project.approvals.clone(),
        lock_file: project.lock_file.clone(),
        state: Mutex::new(Written {
            new: Vec::new(),
            created: Vec::new(),
            last: Instant::now(),
            unity: UnityProjects::new(),
        }),
    });
    let room = Arc::new(Semaphore::new(asked.jobs_max.max(1)));
    let mut tasks = JoinSet::new();
    for at in to_make {
        let spec = spec(project, &wanted[at], &asked);
        let (maker, writer, room) = (asked.maker.clone(), writer.clone(), room.clone());
        let (singles, progress) = (asked.singles.clone(), asked.progress.clone());
        let interrupted = singles.of(&wanted[at].asset).unwrap_or_else(|| asked.interrupted.clone());
        let (image, item) = (wanted[at].clone(), items[at].clone());
        tasks.spawn(async move {
            let asset = image.asset.clone();
            let item = one(&maker, &writer, &room, &interrupted, progress.as_ref(), spec, image, item).await;
            singles.leave(&asset);
            progress.ended(&item);
            (at, item)
        });
    }
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok((at, item)) => items[at] = item,
            Err(err) => return Err(Failure::new(ErrorCode::Internal, format!("failed to finish a task: {err}"))),
        }
    }
    asked.progress.finished();
    drop(pins);
    let mut state = writer.state.lock();
    announce(project, &state.created);
    Ok(std::mem::take(&mut state.new))
}

/// One image from its job to its file.
#[expect(clippy::too_many_arguments, reason = "what all images share stands beside what one has")]
async fn one(
    maker: &Maker,
    writer: &Arc<Writer>,
    room: &Semaphore,
    interrupted: &CancellationToken,
    progress: &dyn Progress,
    spec: JobSpec,
    wanted: Wanted,
    item: Item,
) -> Item {
    let _room = tokio::select! {
        // What was taken back before its turn is not even asked for.
        biased;
        () = interrupted.cancelled() => return item.with_ending(&Ending::Cancelled),
        room = room.acquire() => room,
    };
    let tell = |heard| progress.heard(&item, heard);
    let heard: Heard<'_> = if progress.listens() { Some(&tell) } else { None };
    let Made { ending, attempts, png } = match maker.make_heard(spec, interrupted, heard).await {
        Ok(made) => made,
        Err(failure) => return item.failed(failure),
    };
    let Ending::Done { render, .. } = &ending else {
        return Item { attempts, ..item.with_ending(&ending) };
    };
    let Some(bytes) = png else {
        return item.failed(Failure::new(ErrorCode::Storage, "failed to get the finished picture from the store"));
    };
    let approval = Approved::of(&writer.approvals, &wanted.asset, Some(render.pixels));
    let (writer, render) = (writer.clone(), render.clone());
    let written = tokio::task::spawn_blocking(move || writer.write(&wanted, &render, &bytes)).await;
    match written {
        Ok(Ok(file)) => Item { approval, ..item.with_ending(&ending).with_file(&file) },
        Ok(Err(failure)) => item.with_ending(&ending).failed(failure),
        Err(err) => item.failed(Failure::new(ErrorCode::Internal, format!("failed to write: {err}"))),
    }
}

/// Removes what a killed run left half written beside the outputs.
fn sweep_leavings(project: &Project, wanted: &[Wanted], to_make: &[usize]) {
    let folders: BTreeSet<PathBuf> = to_make
        .iter()
        .filter_map(|at| project.root.join(&wanted[*at].output).parent().map(Path::to_owned))
        .chain(project.lock_file.path().parent().map(Path::to_owned))
        .collect();
    for path in sweep(folders.iter().map(PathBuf::as_path)) {
        tracing::info!(path = %path.display(), "removed what a killed run left");
    }
}

/// Outputs that whoever asks cannot let be written are failed before anything is drawn for them.
fn except(except: &BTreeSet<String>, items: &mut [Item], to_make: &mut Vec<usize>) {
    to_make.retain(|at| {
        let excepted = except.contains(&items[*at].path);
        if excepted {
            let reason = "version control has not made it writable; check it out in the editor and build again";
            let item = items[*at].clone().failed(Failure::new(ErrorCode::VersionControl, reason));
            items[*at] = Item { note: Some(reason.to_owned()), ..item };
        }
        !excepted
    });
}

/// Makes a file that is about to be written writable, as the manifest's version control does.
///
/// # Errors
/// Why it cannot be written.
pub fn make_writable(project: &Project, path: &Path) -> Result<(), Failure> {
    let paths = [path.to_owned()];
    let settled = vcs::settle(&paths, &vcs_of(project), &vcs::Tools::of(&project.folder))
        .map_err(|err| Failure::new(err.code(), format!("failed to {}", chain(&err))))?;
    match settled.into_iter().next() {
        Some((path, vcs::Settled::Skipped { reason })) => {
            Err(Failure::new(ErrorCode::VersionControl, format!("failed to write {}: {reason}", path.display())))
        }
        _ => Ok(()),
    }
}

/// Leaves the import profiles of the outputs to Unity, before it meets a new texture.
///
/// # Errors
/// Why they cannot be written.
pub fn leave_profiles(project: &Project) -> Result<(), Failure> {
    let Some(manifest) = project.manifest.as_deref().filter(|_| !project.drafts) else { return Ok(()) };
    let wanted = &project.expansion.wanted;
    // Most manifests have no profile; the first output says where one of an earlier build would be.
    let told = wanted.iter().enumerate().filter(|(at, wanted)| *at == 0 || wanted.profile.is_some());
    let outputs = told.map(|(_, wanted)| {
        (project.root.join(&wanted.output), wanted.profile.as_ref().map(|profile| &profile.profile))
    });
    let said = match project.expansion.scope {
        Scope::Whole => Said::All,
        Scope::Part => Said::Some,
    };
    for (root, outputs) in profiles::by_project(outputs) {
        let _turn = project.take_turn(&root);
        profiles::write(&root, manifest, &outputs, said)
            .map_err(|err| Failure::new(err.code(), format!("failed to {}", chain(&err))))?;
    }
    Ok(())
}

/// Puts a finished picture into its place, as a build does: version control, `.meta`, file, lock line.
///
/// # Errors
/// Why it cannot be written.
pub fn place(project: &mut Project, wanted: &Wanted, bytes: &[u8], line: LockLine) -> Result<PathBuf, BuildError> {
    let failed = |code, err: &dyn std::error::Error| Failure::new(code, format!("failed to {}", chain(err)));
    let fenced = Fence::new(&project.root).and_then(|mut fence| fence.path(&wanted.output));
    let path = fenced.map_err(|err| failed(err.code(), &err))?;
    make_writable(project, &path)?;
    let existed = path.exists();
    let mut created = Vec::new();
    if !project.drafts {
        let meta = UnityProjects::new()
            .write_meta(&path, &project.name, &wanted.asset.name, &wanted.asset.locale)
            .map_err(|err| failed(err.code(), &err))?;
        created.extend((meta == Meta::Written).then(|| meta_path(&path)));
    }
    write_atomic(&path, bytes, &Patience::usual()).map_err(|err| failed(err.code(), &err))?;
    created.extend((!existed).then(|| path.clone()));
    announce(project, &created);
    project.update_lock(|lock| lock.upsert([line]))?;
    Ok(path)
}

/// Before any job runs: outputs that cannot be written are skipped and named, or checked out.
fn settle_writability(project: &Project, wanted: &[Wanted], items: &mut [Item], to_make: &mut Vec<usize>) {
    // A picture that the lock cannot tell of would be drawn, and paid for, by every build.
    if !to_make.is_empty()
        && project.lock_file.path().exists()
        && let Err(failure) = make_writable(project, project.lock_file.path())
    {
        for at in to_make.drain(..) {
            items[at] = items[at].clone().failed(failure.clone());
        }
        return;
    }
    let vcs = vcs_of(project);
    let paths: Vec<PathBuf> = to_make.iter().map(|at| project.root.join(&wanted[*at].output)).collect();
    let settled = match vcs::settle(&paths, &vcs, &vcs::Tools::of(&project.root)) {
        Ok(settled) => settled,
        Err(err) => {
            // Without its tool nothing is known of any file, so none is written.
            let failure = Failure::new(err.code(), format!("failed to {}", chain(&err)));
            for at in to_make.drain(..) {
                items[at] = items[at].clone().failed(failure.clone());
            }
            return;
        }
    };
    let mut kept = Vec::with_capacity(to_make.len());
    for (at, (_, settled)) in to_make.iter().zip(settled) {
        match settled {
            vcs::Settled::Skipped { reason } => {
                let failure = Failure::new(ErrorCode::VersionControl, reason.clone());
                let item = &mut items[*at];
                item.state = ItemState::Failed;
                item.note = Some(reason);
                item.error = Some(failure);
            }
            _ => kept.push(*at),
        }
    }
    *to_make = kept;
}

fn vcs_of(project: &Project) -> vcs::Vcs {
    use thumbforge_core::manifest::body::Vcs;
    match &project.vcs {
        Vcs::None => vcs::Vcs::None,
        Vcs::P4 => vcs::Vcs::P4,
        Vcs::Command(command) => vcs::Vcs::Command(command.clone()),
    }
}

/// Tells version control of files that are new to it.
pub fn announce(project: &Project, paths: &[PathBuf]) {
    if let Err(err) = vcs::announce(paths, &vcs_of(project), &vcs::Tools::of(&project.root)) {
        tracing::warn!("the new files stand, but failed to {}", chain(&err));
    }
}

/// Puts the team's files that recipes name into the store, once each.
async fn provide(
    project: &Project,
    wanted: &[Wanted],
    to_make: &[usize],
    items: &mut [Item],
    asked: &Run<'_>,
) -> BTreeMap<ContentHash, Kept> {
    let mut pins = BTreeMap::new();
    for at in to_make {
        let recipe = &wanted[*at].recipe;
        let art = recipe.art.iter().map(|art| (art.path.clone(), art.content));
        let fonts = recipe.text.iter().filter_map(|layer| {
            let font = layer.style.font.as_ref()?;
            Some((font.path.clone(), font.content?))
        });
        for (path, content) in art.chain(fonts).collect::<Vec<_>>() {
            if pins.contains_key(&content) {
                continue;
            }
            let provided = asked.maker.keep(&project.folder.join(&path), || project.input(&path)).await;
            match provided {
                Ok((found, pin)) if found == content => drop(pins.insert(content, pin)),
                Ok(_) => {
                    let message = format!("failed to use {path}: it changed while the build was planned; run it again");
                    items[*at] = items[*at].clone().failed(Failure::new(ErrorCode::InputFile, message));
                }
                Err(failure) => items[*at] = items[*at].clone().failed(failure),
            }
        }
    }
    pins
}

fn spec(project: &Project, wanted: &Wanted, asked: &Run<'_>) -> JobSpec {
    let gate = Gate::of(&wanted.recipe, &wanted.terms);
    let mut terms = Terms {
        batch: asked.batch.clone(),
        images_per_call: (asked.images_per_call > 1).then_some(asked.images_per_call),
        ..Terms::clone(&wanted.terms)
    };
    for micros in [project.expansion.batch_budget, asked.budget].into_iter().flatten() {
        terms.budgets.push(Budget { scope: terms::Scope::Batch(asked.batch.clone()), period: Period::Ever, micros });
    }
    JobSpec {
        terms,
        asset: wanted.asset.clone(),
        priority: wanted.priority,
        placeholder: project.expansion.placeholder,
        gate,
        safe_inset: project.safe_inset,
        read_back: project.expansion.verify_ocr.unwrap_or(false),
        ..JobSpec::new(wanted.recipe.clone(), Lane::Batch, project.client())
    }
}

/// Writes pictures and gathers their lock lines.
struct Writer {
    root: PathBuf,
    project: String,
    /// What goes beside the project is no asset of it.
    drafts: bool,
    approvals: Approvals,
    lock_file: LockFile,
    state: Mutex<Written>,
}

struct Written {
    new: Vec<LockLine>,
    /// Files that were not there before.
    created: Vec<PathBuf>,
    last: Instant,
    unity: UnityProjects,
}

impl Writer {
    fn write(&self, wanted: &Wanted, render: &Render, bytes: &[u8]) -> Result<PathBuf, Failure> {
        let path = Fence::new(&self.root)
            .and_then(|mut fence| fence.path(&wanted.output))
            .map_err(|err| Failure::new(err.code(), format!("failed to {}", chain(&err))))?;
        let (patience, existed) = (Patience::usual(), path.exists());
        // The GUID comes first: Unity gives one of its own to whatever it meets without.
        let meta = match self.drafts {
            true => Meta::NotAnAsset,
            false => self
                .state
                .lock()
                .unity
                .write_meta(&path, &self.project, &wanted.asset.name, &wanted.asset.locale)
                .map_err(|err| Failure::new(err.code(), format!("failed to {}", chain(&err))))?,
        };
        write_atomic(&path, bytes, &patience)
            .map_err(|err| Failure::new(err.code(), format!("failed to {}", chain(&err))))?;
        let mut state = self.state.lock();
        if meta == Meta::Written {
            state.created.push(meta_path(&path));
        }
        if !existed {
            state.created.push(path.clone());
        }
        state.new.push(LockLine {
            output: wanted.output.clone(),
            planned: render.planned_key,
            realised: render.realised_key,
            pixels: render.pixels,
            sha256: sha256(bytes),
            drawn_by: Arc::new(DrawnBy {
                engine: render.realisation.engine.clone(),
                version: render.realisation.engine_version.clone(),
                device_class: render.realisation.device_class.clone(),
            }),
        });
        if state.last.elapsed() >= LOCK_EVERY {
            // The lines stay until they are written: a lock that cannot be changed just now can at the end.
            let lines = state.new.clone();
            self.lock_file.update(|lock| lock.upsert(lines)).map_err(|error| error.failure())?;
            state.new.clear();
            state.last = Instant::now();
        }
        Ok(path)
    }
}

/// The digest that the lock keeps of a file.
pub fn sha256(bytes: &[u8]) -> FileSha256 {
    use sha2::Digest;
    FileSha256(sha2::Sha256::digest(bytes).into())
}
