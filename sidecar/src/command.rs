//! Commands: what the command line can do, asked for as JSON and answered with a value or a picture.
//!
//! `intake/channel` runs them for editors. So far there is one verb.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::image::ImageBuf;
use tokio_util::sync::CancellationToken;

use crate::maker::Maker;

/// What commands work with; clones share it.
#[derive(Clone)]
pub struct Services {
    /// Who makes pictures.
    pub maker: Maker,
    /// The data directory.
    pub data_dir: PathBuf,
}

/// Hears how far a command is.
pub trait Watch: Send + Sync {
    /// So many of all are done.
    fn step(&self, done: u32, all: u32);
}

/// What a command gives.
pub enum Answered {
    /// A value; large ones go into files instead.
    Value(Value),
    /// A picture, RGBA8 with rows from the top, and what is to be said of it.
    Picture(ImageBuf, Value),
}

/// A command; fields that no verb has are refused.
#[derive(Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
enum Command {
    /// What works on this machine.
    Doctor {},
}

/// Runs a command to its end. Raising `interrupted` asks it to end early.
///
/// # Errors
/// `invalid_request` for what is no command, or why it could not begin.
pub async fn run(
    json: &[u8],
    services: &Services,
    watch: Arc<dyn Watch>,
    interrupted: CancellationToken,
) -> Result<Answered, Failure> {
    let command: Command = serde_json::from_slice(json)
        .map_err(|err| Failure::new(ErrorCode::InvalidRequest, format!("failed to read a command: {err}")))?;
    if interrupted.is_cancelled() {
        return Err(Failure::new(ErrorCode::Cancelled, "failed to run a command: it was taken back"));
    }
    match command {
        Command::Doctor {} => {
            watch.step(1, 1);
            Ok(Answered::Value(json!({ "data_dir": services.data_dir })))
        }
    }
}
