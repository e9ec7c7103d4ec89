//! What tests on the stand-in share. It is one for the process, so tests take turns.

#![allow(dead_code, reason = "every test uses its own part of it")]

pub(crate) mod small;

use parking_lot::{Mutex, MutexGuard};
use thumbforge_cuda::{Cuda, Library, Model, Reserved, Settings};
use thumbforge_cuda_standin::{Control, Figure, Standin};
use thumbforge_diffusion::DiffusionError;
use thumbforge_diffusion::device::{Bases, Device, DeviceClass, Span};
use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::graph::Element;
use thumbforge_diffusion::param::Params;
use thumbforge_diffusion::plan::{Place, Program};

/// The cards of the stand-in, as long as a test has them.
pub(crate) struct Cards {
    pub(crate) standin: &'static Standin,
    _turn: MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::new(());

impl Cards {
    /// With controls as they are before anybody turns them; `None` where there is no stand-in, which was said loudly.
    pub(crate) fn of_test(test: &str) -> Option<Self> {
        let turn = TURN.lock();
        let standin = Standin::of_test(test)?;
        for (control, value) in [
            (Control::Capability, 90),
            (Control::Mib, 1024),
            (Control::OthersMib, 0),
            (Control::Driver, 12_090),
            (Control::Pools, 1),
            (Control::Multiprocessors, 132),
            (Control::Seed, 0),
            (Control::Late, 1),
            (Control::FailAllocation, 0),
            (Control::LoseLaunch, 0),
            (Control::RefuseCard, 0),
            (Control::RefuseLibrary, 0),
            (Control::LibrarySays, 0),
            (Control::LibraryColumns, 0),
        ] {
            standin.set(control, value);
        }
        standin.fail("", 0, 0);
        Some(Self { standin, _turn: turn })
    }

    /// Fails where something that was taken was not given back.
    pub(crate) fn nothing_is_left(&self) {
        let left: Vec<_> = Figure::LIVE.into_iter().filter(|figure| self.standin.get(*figure) > 0).collect();
        let counts: Vec<_> = left.iter().map(|figure| (figure, self.standin.get(*figure))).collect();
        assert!(counts.is_empty(), "left behind: {counts:?}");
    }
}

/// How tests open a card.
pub(crate) fn settings(record: bool) -> Settings {
    Settings { ordinal: 0, reserve_bytes: 0, record, library: Library::Never }
}

/// The first card.
pub(crate) fn card(record: bool) -> Cuda {
    Cuda::open(&settings(record)).unwrap_or_else(|err| panic!("failed to {err}"))
}

/// Runs every program several times: as it is, to be recorded, and as it was recorded. Before each, what it writes is made of
/// numbers that are none.
#[derive(Debug)]
pub(crate) struct Thrice(pub(crate) Cuda, pub(crate) usize);

impl Device for Thrice {
    type Model = Model;
    type Memory = Reserved;

    fn class(&self, precision: Precision) -> DeviceClass {
        self.0.class(precision)
    }

    fn keeps_eights(&self) -> bool {
        self.0.keeps_eights()
    }

    fn free_bytes(&self) -> u64 {
        self.0.free_bytes()
    }

    fn model_bytes(&self, params: &Params, precision: Precision) -> u64 {
        self.0.model_bytes(params, precision)
    }

    fn workspace_bytes(&self, program: &Program) -> u64 {
        self.0.workspace_bytes(program)
    }

    fn load(&self, params: &Params, precision: Precision) -> Result<Model, DiffusionError> {
        self.0.load(params, precision)
    }

    fn reserve(&self, bytes: u64) -> Result<Reserved, DiffusionError> {
        self.0.reserve(bytes)
    }

    fn write(&self, memory: &mut Reserved, at: Span, numbers: &[f32]) -> Result<(), DiffusionError> {
        self.0.write(memory, at, numbers)
    }

    fn write_ids(&self, memory: &mut Reserved, at: Span, ids: &[u32]) -> Result<(), DiffusionError> {
        self.0.write_ids(memory, at, ids)
    }

    fn read(&self, memory: &Reserved, at: Span, numbers: &mut [f32]) -> Result<(), DiffusionError> {
        self.0.read(memory, at, numbers)
    }

    fn rgba8_workspace_bytes(&self, pixels: usize) -> u64 {
        self.0.rgba8_workspace_bytes(pixels)
    }

    fn read_rgba8(&self, memory: &Reserved, at: Span, pixels: &mut [u8]) -> Result<(), DiffusionError> {
        self.0.read_rgba8(memory, at, pixels)
    }

    fn copy(&self, memory: &mut Reserved, from: Span, to: Span) -> Result<(), DiffusionError> {
        self.0.copy(memory, from, to)
    }

    fn run(
        &self,
        program: &Program,
        model: &Model,
        memory: &mut Reserved,
        bases: Bases<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), DiffusionError> {
        for _ in 0..self.1 {
            for view in program.ops.iter().flat_map(|op| op.writes()) {
                let buffer = program.buffer(view.value);
                if let (Place::Kept(index), true) = (buffer.place, buffer.element != Element::U32) {
                    let (offset, len) = (bases.kept[index], buffer.rows * buffer.cols);
                    let span = Span { offset, len, element: buffer.element, precision: program.precision };
                    self.0.write(memory, span, &vec![f32::NAN; len])?;
                }
            }
            self.0.run(program, model, memory, bases, stop)?;
        }
        Ok(())
    }
}
