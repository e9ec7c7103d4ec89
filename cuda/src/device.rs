//! A card as a device that computes programs.

use std::sync::Arc;

use parking_lot::Mutex;
use thumbforge_diffusion::DiffusionError;
use thumbforge_diffusion::device::{self, Bases, Device, DeviceClass, Span, no_number};
use thumbforge_diffusion::dtype::{Precision, bf16_to_f32, f32_to_bf16};
use thumbforge_diffusion::graph::{self, Op};
use thumbforge_diffusion::param::Params;
use thumbforge_diffusion::plan::Program;
use thumbforge_diffusion::views::Views;

use crate::blaslt::{self, Answer, BlasLt};
use crate::card::{Gpu, Settings, Stretches, Work};
use crate::driver;
use crate::error::CudaError;
use crate::exec::{self, Fault, Parameters, Product, Run, Sink};
use crate::launch::rows::{Rgba8, VECTOR_BYTES};
use crate::launch::{Address, Launch, Mat, fp8, product};
use crate::libraries;
use crate::model::{Layout, Placed, next_id};
use crate::pool::{Block, Class, GRAIN, Pools, Report};
use crate::recordings::{Key, Known};
use crate::staging::SLOT_BYTES;

/// An NVIDIA card. A copy is the same card, for a class of jobs.
#[derive(Clone, Debug)]
pub struct Cuda {
    gpu: Arc<Gpu>,
    class: Class,
}

/// Parameters on a card.
#[derive(Debug)]
pub struct Model {
    gpu: Arc<Gpu>,
    /// Nobody else has it; recordings are known by it.
    id: u64,
    precision: Precision,
    block: Option<Block>,
    places: std::collections::HashMap<String, Placed>,
}

/// A stretch of a card's memory.
#[derive(Debug)]
pub struct Reserved {
    gpu: Arc<Gpu>,
    block: Option<Block>,
    bytes: u64,
}

impl Model {
    fn at(&self) -> Address {
        self.block.as_ref().map_or(0, Block::at)
    }
}

impl Parameters for Model {
    fn find(&self, name: &str) -> Option<(Address, &Placed)> {
        let placed = self.places.get(name)?;
        Some((self.at() + placed.at, placed))
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // What is recorded with it never runs again. Where somebody works meanwhile it goes later, by its age.
        if let Some(mut work) = self.gpu.work.try_lock() {
            work.recordings.forget_model(self.id);
        }
        if let Some(block) = self.block.take() {
            self.gpu.give(block);
        }
    }
}

impl Reserved {
    fn at(&self) -> Address {
        self.block.as_ref().map_or(0, Block::at)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            self.gpu.give(block);
        }
    }
}

/// While it lives, pools give nothing: a program runs.
struct Entered<'a>(&'a Mutex<Pools<Stretches>>);

impl<'a> Entered<'a> {
    fn new(pools: &'a Mutex<Pools<Stretches>>) -> Self {
        pools.lock().enter();
        Self(pools)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.lock().leave();
    }
}

impl Cuda {
    /// Opens a card, whose memory is taken for pictures that are kept until [`Cuda::of`] says otherwise.
    ///
    /// # Errors
    /// When there is no driver, no such card, no kernels for it, no memory, or not the library that is named.
    pub fn open(settings: &Settings) -> Result<Self, CudaError> {
        Ok(Self { gpu: Arc::new(Gpu::open(settings)?), class: Class::Finals })
    }

    /// The same card for jobs of a class: what is reserved is counted to it.
    #[must_use]
    pub fn of(&self, class: Class) -> Self {
        Self { gpu: self.gpu.clone(), class }
    }

    /// What the driver says of it.
    pub fn card(&self) -> &driver::Card {
        &self.gpu.card
    }

    /// As the driver has it: 12090 for CUDA 12.9.
    pub fn driver_version(&self) -> u32 {
        self.gpu.driver.version
    }

    /// Free bytes of the card, for all programs, and all of its bytes.
    ///
    /// # Errors
    /// When the context is lost.
    pub fn memory(&self) -> Result<(u64, u64), CudaError> {
        self.gpu.context.memory()
    }

    /// What a picture may take in all, weights included, once what is held now was given back or is its own.
    pub fn whole_bytes(&self) -> u64 {
        self.gpu.whole()
    }

    /// The most that a block of this class may have.
    pub fn share_bytes(&self) -> u64 {
        let cap_bytes = self.gpu.pools.lock().limits().share(self.class).cap_bytes;
        cap_bytes - cap_bytes % GRAIN
    }

    /// What its pools hold.
    pub fn report(&self) -> Report {
        self.gpu.report()
    }

    /// The library that multiplies in place of our kernels, and where it lies.
    pub fn library(&self) -> Option<(&str, &std::path::Path)> {
        self.gpu.library.as_ref().map(|(word, path)| (word.as_str(), path.as_path()))
    }

    /// Whether the context is gone with all that it held. Who drops all that is of this card may open it anew.
    pub fn is_lost(&self) -> bool {
        self.gpu.context.is_lost()
    }

    /// How many programs run as one.
    pub fn recorded(&self) -> usize {
        self.gpu.work.lock().recordings.recorded()
    }

    /// Gives what is only kept for speed back to others: recordings, workspace, and empty stretches of the pools.
    ///
    /// # Errors
    /// When the context is lost.
    pub fn trim(&self) -> Result<u64, CudaError> {
        let mut work = self.gpu.work.lock();
        self.gpu.spare(&mut work)?;
        Ok(self.gpu.pools.lock().trim())
    }

    /// Makes pixels of a span in the workspace; their address. A number that is none is told in the card's word.
    fn rgba8(&self, work: &mut Work, memory: &Reserved, at: Span, bytes: usize) -> Result<Address, CudaError> {
        let (from, _) = self.place(memory, at, at.len)?;
        let pixels = at.len / 3;
        if !at.len.is_multiple_of(3) || pixels.checked_mul(4) != Some(bytes) {
            return Err(CudaError::Fault(format!("read {} numbers of pixels into {bytes} bytes", at.len)));
        }
        let (to, _) = self.gpu.workspace(work, self.rgba8_workspace_bytes(pixels))?;
        let rows = u32::try_from(pixels).map_err(|_| CudaError::Fault(format!("read {pixels} pixels at once")))?;
        let precision = if at.element.bytes(at.precision) == 2 { Precision::Bf16 } else { Precision::F32 };
        let fault = self.gpu.fault();
        let launch = Rgba8::new(precision, Mat { at: from, rows, cols: 3, stride: 3, pad: 0 }, to, fault)?;
        let function = self.gpu.function(launch.kernel())?;
        // SAFETY: the word is the card's own.
        unsafe { self.gpu.stream.fill(fault, 0, 4) }?;
        // SAFETY: the numbers are a checked span of the memory, and the workspace has room for the bytes.
        unsafe { self.gpu.stream.launch(&function, &launch) }?;
        Ok(to)
    }

    /// The row that kernels told of in the card's word, which was 0 before them.
    fn fault_row(&self, work: &mut Work) -> Result<Option<u32>, CudaError> {
        let mut word = [0; 4];
        // SAFETY: the word is the card's own.
        unsafe { work.staging.fetch(&self.gpu.stream, self.gpu.fault(), 4, |_, bytes| word.copy_from_slice(bytes)) }?;
        Ok(u32::from_le_bytes(word).checked_sub(1))
    }

    fn told(&self, err: CudaError) -> DiffusionError {
        let free_bytes = if err.is_lost() { 0 } else { self.gpu.left(self.class) };
        err.told(&self.gpu.card.name, free_bytes)
    }

    fn fault(&self, fault: Fault) -> DiffusionError {
        match fault {
            Fault::Cuda(err) => self.told(err),
            other => other.told(&self.gpu.card.name, 0),
        }
    }

    /// Where a span of `count` numbers lies on the card, and its bytes.
    fn place(&self, memory: &Reserved, at: Span, count: usize) -> Result<(Address, u64), CudaError> {
        if !Arc::ptr_eq(&self.gpu, &memory.gpu) {
            return Err(CudaError::Fault("use memory of another card".to_owned()));
        }
        if count != at.len {
            return Err(CudaError::Fault(format!("{count} numbers for a span of {}", at.len)));
        }
        let size = at.element.bytes(at.precision) as u64;
        let bytes = at.bytes().filter(|bytes| bytes.end <= memory.bytes && bytes.start.is_multiple_of(size));
        let outside = || CudaError::Fault(format!("{count} numbers at {} of {} bytes", at.offset, memory.bytes));
        let bytes = bytes.ok_or_else(outside)?;
        Ok((memory.at() + bytes.start, bytes.end - bytes.start))
    }

    /// Sends numbers of `SIZE` bytes each.
    fn send<T: Copy, const SIZE: usize>(
        &self,
        to: Address,
        numbers: &[T],
        raw: impl Fn(T) -> [u8; SIZE],
    ) -> Result<(), CudaError> {
        let mut work = self.gpu.work.lock();
        let mut at = to;
        for piece in numbers.chunks(SLOT_BYTES / SIZE) {
            let bytes = piece.len() * SIZE;
            let fill = |room: &mut [u8]| {
                let (slots, _) = room.as_chunks_mut::<SIZE>();
                slots.iter_mut().zip(piece).for_each(|(slot, number)| *slot = raw(*number));
                Ok(())
            };
            // SAFETY: the caller's span was checked, and pieces of it follow one another.
            unsafe { work.staging.send(&self.gpu.stream, at, bytes, fill) }?;
            at += bytes as u64;
        }
        Ok(())
    }

    fn loaded(&self, params: &Params, precision: Precision) -> Result<Model, CudaError> {
        let layout = Layout::of(params, precision);
        let mut work = self.gpu.work.lock();
        let block = self.gpu.take(&mut work, Class::Weights, layout.bytes)?;
        let gpu = self.gpu.clone();
        let model = Model { gpu, id: next_id(), precision, block: Some(block), places: layout.places() };
        // SAFETY: the block is as long as the layout says, and was taken in the order of the stream.
        let sent = unsafe { layout.send(&self.gpu.stream, &mut work.staging, model.at()) };
        // What goes wrong on the way is told here, and not by the first program.
        let done = sent.and_then(|()| self.gpu.stream.wait());
        // Before the model, which wants it, if it goes.
        drop(work);
        done.map(|()| model)
    }

    fn runs(
        &self,
        program: &Program,
        model: &Model,
        memory: &Reserved,
        bases: Bases<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Fault> {
        let same = |gpu: &Arc<Gpu>| Arc::ptr_eq(&self.gpu, gpu);
        if !same(&model.gpu) || !same(&memory.gpu) {
            return Err(Fault::Shape("run with a model or memory of another card".to_owned()));
        }
        if model.precision != program.precision {
            let (has, wants) = (model.precision.word(), program.precision.word());
            return Err(Fault::Shape(format!("run a program of {wants} with a model that was loaded for {has}")));
        }
        check_bases(bases)?;
        if stop() {
            return Err(Fault::Stopped);
        }
        let gpu = &*self.gpu;
        let mut work = gpu.work.lock();
        let (workspace, workspace_bytes) = gpu.workspace(&mut work, self.workspace_of(program))?;
        let _entered = Entered::new(&gpu.pools);
        let views = Views::new(program, bases, memory.bytes)?;
        let (at, fault) = (memory.at(), gpu.fault());
        let run = Run { program, views, memory: at, model, workspace, workspace_bytes, fault };
        let embeds = program.ops.iter().any(|op| matches!(op, Op::Embed { .. }));
        if embeds {
            // SAFETY: the word is the card's own.
            unsafe { gpu.stream.fill(fault, 0, 4) }?;
        }
        let key = Key {
            program: program.id(),
            model: model.id,
            memory: (at, memory.bytes),
            scratch: bases.scratch,
            kept: bases.kept.to_vec(),
            workspace,
        };
        let ran = self.record_or_run(&run, key, &mut work, stop);
        let done = gpu.stream.wait();
        ran?;
        done?;
        if embeds && let Some(row) = self.fault_row(&mut work)? {
            return Err(Fault::Shape(format!("embed: the token of row {row} is not in the table")));
        }
        Ok(())
    }

    /// Runs a program as it was recorded, or one by one. It is recorded when it runs for the second time: by then all that
    /// happens once has happened, and what runs once is not recorded for nothing.
    fn record_or_run(
        &self,
        run: &Run<'_, Model>,
        key: Key,
        work: &mut Work,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Fault> {
        let gpu = &*self.gpu;
        let Work { recordings, library, .. } = work;
        let mut launches = Launches { gpu, library: library.as_mut() };
        let known = if gpu.settings.record { recordings.find(&key) } else { None };
        if let Some(known) = known {
            if matches!(known, Known::Ran) {
                *known = match record(run, &mut launches) {
                    Ok(recorded) => Known::Recorded(recorded),
                    Err(Fault::Cuda(lost)) if lost.is_lost() => return Err(Fault::Cuda(lost)),
                    // The driver cannot record it, or has no memory for that: it runs one by one, as it did before.
                    Err(_) => Known::Never,
                };
            }
            if let Known::Recorded(recorded) = known {
                // SAFETY: its key says that every address in it is what it was: the memory, the workspace and the model are
                // here, and all of its views were checked when it was recorded.
                return Ok(unsafe { gpu.stream.replay(recorded) }?);
            }
        }
        for op in &run.program.ops {
            if stop() {
                return Err(Fault::Stopped);
            }
            run.op(op, &mut launches)?;
        }
        if gpu.settings.record && recordings.find(&key).is_none() {
            recordings.ran(key);
        }
        Ok(())
    }

    fn workspace_of(&self, program: &Program) -> u64 {
        let takes = self.gpu.library.is_some() && program.precision == Precision::Bf16;
        let capability = self.gpu.shape.capability;
        // A library before 12.9 takes no rows in eight bits, and leaves what is counted for it here alone.
        let library = |[rows, cols, k]: [u32; 3], then: &graph::Then, eights: bool| match takes
            && (!eights || capability == blaslt::EIGHTS_CAPABILITY)
        {
            true => blaslt::workspace_bytes(rows, cols, k, then, program.in_company),
            false => 0,
        };
        exec::workspace_bytes(program, &library)
    }
}

/// Which kernel is taken, and in which order one adds, hangs on what can be read in vectors ([`VECTOR_BYTES`]). Pools and models
/// lay everything at multiples of [`crate::pool::ALIGN`], and so do programs with their scratch memory; where the bases are
/// multiples of a vector too, shapes alone decide that, and a picture is the same bytes wherever its memory lies. In singles the
/// norm of a head gives other bytes where its numbers are read one by one.
fn check_bases(bases: Bases<'_>) -> Result<(), Fault> {
    let odd = std::iter::once(&bases.scratch).chain(bases.kept).find(|base| !base.is_multiple_of(VECTOR_BYTES));
    match odd {
        None => Ok(()),
        Some(base) => {
            Err(Fault::Shape(format!("run with a buffer at {base}: buffers lie at multiples of {VECTOR_BYTES}")))
        }
    }
}

fn record(run: &Run<'_, Model>, launches: &mut Launches<'_>) -> Result<driver::Recorded, Fault> {
    let recording = launches.gpu.stream.record()?;
    for op in &run.program.ops {
        run.op(op, launches)?;
    }
    Ok(recording.finish()?)
}

/// Launches go to the card's stream.
struct Launches<'a> {
    gpu: &'a Gpu,
    library: Option<&'a mut BlasLt>,
}

impl Sink for Launches<'_> {
    fn card(&self) -> &product::Card {
        &self.gpu.shape
    }

    unsafe fn launch<L: Launch>(&mut self, launch: &L) -> Result<(), CudaError> {
        let function = self.gpu.function(launch.kernel())?;
        // SAFETY: the caller says so, and the function is of this name.
        unsafe { self.gpu.stream.launch(&function, launch) }
    }

    unsafe fn multiply(&mut self, product: &Product) -> Result<Answer, CudaError> {
        match &mut self.library {
            Some(_) if product.scales.is_some() && self.gpu.shape.capability != blaslt::EIGHTS_CAPABILITY => {
                Ok(Answer::No)
            }
            Some(library) => {
                self.gpu.context.enter()?;
                // SAFETY: the caller says so, and the context is this thread's.
                unsafe { library.multiply(&self.gpu.stream, product) }
            }
            None => Ok(Answer::No),
        }
    }
}

impl Device for Cuda {
    type Model = Model;
    type Memory = Reserved;

    fn class(&self, precision: Precision) -> DeviceClass {
        let library = self.gpu.library.as_ref().filter(|_| precision == Precision::Bf16);
        let library = library.map(|(word, _)| libraries::word_on(word, self.gpu.shape.multiprocessors));
        DeviceClass::Cuda { capability: self.gpu.shape.capability, library }
    }

    fn keeps_eights(&self) -> bool {
        self.gpu.shape.capability >= fp8::CAPABILITY_MIN
    }

    fn free_bytes(&self) -> u64 {
        self.gpu.left(self.class)
    }

    fn model_bytes(&self, params: &Params, precision: Precision) -> u64 {
        Layout::of(params, precision).bytes
    }

    fn workspace_bytes(&self, program: &Program) -> u64 {
        self.workspace_of(program)
    }

    fn rgba8_workspace_bytes(&self, pixels: usize) -> u64 {
        4 * pixels as u64
    }

    fn load(&self, params: &Params, precision: Precision) -> Result<Model, DiffusionError> {
        device::check_eights(params, precision)?;
        if !self.keeps_eights() {
            device::refuse_eights(params)?;
        }
        self.loaded(params, precision).map_err(|err| self.told(err))
    }

    fn reserve(&self, bytes: u64) -> Result<Reserved, DiffusionError> {
        let mut work = self.gpu.work.lock();
        let taken = self.gpu.take(&mut work, self.class, bytes);
        drop(work);
        match taken {
            Ok(block) => Ok(Reserved { gpu: self.gpu.clone(), block: Some(block), bytes }),
            Err(err) => Err(self.told(err)),
        }
    }

    fn write(&self, memory: &mut Reserved, at: Span, numbers: &[f32]) -> Result<(), DiffusionError> {
        let written = self.place(memory, at, numbers.len()).and_then(|(to, _)| match at.element.bytes(at.precision) {
            2 => self.send(to, numbers, |number| f32_to_bf16(number).to_le_bytes()),
            _ => self.send(to, numbers, f32::to_le_bytes),
        });
        written.map_err(|err| self.told(err))
    }

    fn write_ids(&self, memory: &mut Reserved, at: Span, ids: &[u32]) -> Result<(), DiffusionError> {
        let written = match at.element.bytes(at.precision) {
            4 => self.place(memory, at, ids.len()).and_then(|(to, _)| self.send(to, ids, u32::to_le_bytes)),
            size => Err(CudaError::Fault(format!("write numbers of tokens where numbers of {size} bytes are"))),
        };
        written.map_err(|err| self.told(err))
    }

    fn read(&self, memory: &Reserved, at: Span, numbers: &mut [f32]) -> Result<(), DiffusionError> {
        let size = at.element.bytes(at.precision);
        let read = self.place(memory, at, numbers.len()).and_then(|(from, bytes)| {
            let take = |place: u64, raw: &[u8]| {
                let here = numbers.iter_mut().skip(place as usize / size);
                match size {
                    2 => {
                        let (pairs, _) = raw.as_chunks::<2>();
                        here.zip(pairs).for_each(|(number, raw)| *number = bf16_to_f32(u16::from_le_bytes(*raw)));
                    }
                    _ => {
                        let (fours, _) = raw.as_chunks::<4>();
                        here.zip(fours).for_each(|(number, raw)| *number = f32::from_le_bytes(*raw));
                    }
                }
            };
            let mut work = self.gpu.work.lock();
            // SAFETY: the span was checked against the memory.
            unsafe { work.staging.fetch(&self.gpu.stream, from, bytes, take) }
        });
        read.map_err(|err| self.told(err))
    }

    fn read_rgba8(&self, memory: &Reserved, at: Span, pixels: &mut [u8]) -> Result<(), DiffusionError> {
        let mut work = self.gpu.work.lock();
        let made = self.rgba8(&mut work, memory, at, pixels.len());
        let read = made.and_then(|from| {
            let bytes = pixels.len() as u64;
            let take = |place: u64, raw: &[u8]| {
                if let Some(room) = pixels.get_mut(place as usize..place as usize + raw.len()) {
                    room.copy_from_slice(raw);
                }
            };
            // SAFETY: the workspace holds as many bytes.
            unsafe { work.staging.fetch(&self.gpu.stream, from, bytes, take) }?;
            self.fault_row(&mut work)
        });
        drop(work);
        match read {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(no_number(&self.class(at.precision))),
            Err(err) => Err(self.told(err)),
        }
    }

    fn copy(&self, memory: &mut Reserved, from: Span, to: Span) -> Result<(), DiffusionError> {
        let copied = self.place(memory, from, from.len).and_then(|(at, bytes)| {
            let (onto, _) = self.place(memory, to, to.len)?;
            if from.copied_to(&to, memory.bytes).is_none() {
                return Err(CudaError::Fault(format!("copy {from:?} to {to:?} of {} bytes", memory.bytes)));
            }
            let _work = self.gpu.work.lock();
            // SAFETY: both spans were checked, and lie apart.
            unsafe { self.gpu.stream.copy(onto, at, bytes) }
        });
        copied.map_err(|err| self.told(err))
    }

    fn run(
        &self,
        program: &Program,
        model: &Model,
        memory: &mut Reserved,
        bases: Bases<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), DiffusionError> {
        self.runs(program, model, memory, bases, stop).map_err(|fault| self.fault(fault))
    }
}
