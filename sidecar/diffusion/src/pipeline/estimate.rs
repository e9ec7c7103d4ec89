//! What a request takes, before anything is loaded or reserved.

use crate::graph::Op;
use crate::plan::Program;

/// What a request takes in one layout. A run reserves exactly this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimate {
    /// In the order that they run.
    pub phases: Vec<Phase>,
    /// The most that is held at any time.
    pub peak_bytes: u64,
    /// Multiplications and additions of all that runs.
    pub flops: u64,
}

/// A part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// What it does.
    pub kind: PhaseKind,
    /// Of weights that are loaded while it runs, its own and others that stay.
    pub weights_bytes: u64,
    /// Of the memory that is reserved while it runs.
    pub arena_bytes: u64,
    /// Of what the device takes beside it.
    pub workspace_bytes: u64,
    /// Multiplications and additions.
    pub flops: u64,
}

impl Phase {
    /// All that is held while it runs.
    pub fn bytes(&self) -> u64 {
        self.weights_bytes + self.arena_bytes + self.workspace_bytes
    }
}

/// Parts of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PhaseKind {
    /// Prompts to features.
    Text,
    /// Source to latents.
    Encode,
    /// What does not change from step to step.
    Prepare,
    /// Noise to latents.
    Denoise,
    /// Latents to pictures.
    Decode,
}

impl PhaseKind {
    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Encode => "encode",
            Self::Prepare => "prepare",
            Self::Denoise => "denoise",
            Self::Decode => "decode",
        }
    }
}

impl Estimate {
    pub(crate) fn of(phases: Vec<Phase>) -> Self {
        let peak_bytes = phases.iter().map(Phase::bytes).max().unwrap_or(0);
        let flops = phases.iter().map(|phase| phase.flops).sum();
        Self { phases, peak_bytes, flops }
    }

    /// The phase of this kind, if the request has one.
    pub fn phase(&self, kind: PhaseKind) -> Option<&Phase> {
        self.phases.iter().find(|phase| phase.kind == kind)
    }
}

/// Multiplications and additions of the products of a program, two for each pair of numbers; what else it does is little.
pub fn flops(program: &Program) -> u64 {
    let one = |op: &Op| match op {
        Op::Linear { x, out, .. } => 2 * (x.rows * x.cols) as u64 * out.cols as u64,
        Op::Conv { x, geometry, out, .. } => {
            2 * (out.rows * out.cols) as u64 * (x.cols * geometry.kernel * geometry.kernel) as u64
        }
        Op::Attention(attention) => {
            let asked: usize = attention.streams.iter().filter_map(|stream| Some(stream.query?.query.rows)).sum();
            4 * (asked * attention.heads * attention.head) as u64 * attention.tokens() as u64
        }
        _ => 0,
    };
    program.ops.iter().map(one).sum()
}
