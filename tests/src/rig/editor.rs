//! What an editor asks for, and where its sidecar stands.

use thumbforge_channel::client::{Brief, Completion, Deliver, RecipeForm, Request, Session};
use thumbforge_core::job::{Gate, Lane};
use thumbforge_core::recipe::Tier;

use super::{PATIENCE, wait_for};

/// A picture of `side` pixels by the built-in engine, delivered as pixels; the seed is its tag too.
pub fn job(prompt: &str, side: u32, seed: u64) -> Request<'_> {
    Request {
        asset: "",
        locale: "",
        lane: Lane::Interactive,
        priority: 0,
        deadline_ms: None,
        placeholder: true,
        lossy: false,
        gate: Gate::Report,
        read_back: false,
        safe_inset: None,
        deliver: Deliver::Pixels,
        tag: seed,
        terms: b"",
        recipe: RecipeForm::Brief(Brief {
            prompt,
            negative: "",
            model: "builtin",
            text: "",
            size: (side, side),
            tier: Tier::Preview,
            seed: Some(seed),
            steps: None,
            guidance: None,
        }),
    }
}

/// The next answer.
///
/// # Panics
/// When none comes.
pub fn answer(session: &Session) -> Completion {
    wait_for("an answer", PATIENCE, || session.poll())
}

/// Descriptors that a process has open, where the system tells (Linux).
pub fn descriptors(process: u32) -> Option<usize> {
    Some(std::fs::read_dir(format!("/proc/{process}/fd")).ok()?.count())
}

/// Shared memory that a process has mapped for the channel, in mappings (Linux).
pub fn shared_mappings(process: u32) -> Option<usize> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).ok()?;
    Some(maps.lines().filter(|line| line.contains("memfd:thumbforge")).count())
}
