//! NVIDIA's cards: all that the sidecar knows of `thumbforge-cuda`.

use std::sync::Arc;

use super::super::EngineError;
use super::Gauges;
use super::machine::{Machine, Seen};
use super::sd3::Measures;
use super::seat::Draws;
use crate::config::DeviceChoice;

/// What the driver says, asked for once a process; nobody is asked where the settings say the processor.
pub(super) fn seen(_: DeviceChoice) -> Seen {
    Seen::Nothing("this build knows no NVIDIA cards".to_owned())
}

/// A seat for every card that could be drawn on, and a look at their memory.
pub(super) fn seats(_: &Arc<Machine>) -> Result<(Vec<Box<dyn Draws>>, Box<Gauges>), EngineError> {
    Ok((Vec::new(), Box::new(Vec::new)))
}

/// The card that is drawn on first, if one is.
pub(super) fn measures(_: &Machine) -> Result<Option<Box<dyn Measures>>, EngineError> {
    Ok(None)
}
