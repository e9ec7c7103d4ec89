//! The events file: what a build does, one JSON object a line, for whoever follows it while it runs.
//!
//! ```text
//! {"event":"begin","items":[{"asset":"sword","locale":"en","path":"Assets/sword.en.png","tier":"production"}]}
//! {"event":"state","path":"Assets/sword.en.png","state":"running","step":0,"steps":0}
//! {"event":"ended","item":{…as in the report…}}
//! {"event":"finished","exit":0}
//! ```
//! Each line is in the file before the next thing happens, so a reader that remembers how far it came never misses one.
//! A file that cannot be written any more loses its readers and nothing else: the report says the same at the end.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde_json::{Value, json};
use thumbforge_core::error::{ErrorCode, Failure};

use crate::build::Item;

/// An events file that is being written; clones write to the same.
pub struct Events {
    path: PathBuf,
    /// Gone after a failed write: half a line stands at its end, and another one would be part of it.
    file: Mutex<Option<File>>,
}

impl Events {
    /// Begins the file anew.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let failed = |err: std::io::Error| {
            let message = format!("failed to write the events file {}: {err}", path.display());
            Failure::new(ErrorCode::OutputFile, message)
        };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let file = File::create(path).map_err(failed)?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(Some(file)) })
    }

    /// These images are about to be made.
    pub fn begin(&self, items: &[&Item]) {
        let brief =
            |item: &&Item| json!({ "asset": item.asset, "locale": item.locale, "path": item.path, "tier": item.tier });
        self.write(&json!({ "event": "begin", "items": items.iter().map(brief).collect::<Vec<_>>() }));
    }

    /// One of them goes through a state that is not its last.
    pub fn state(&self, path: &str, state: &str, step: u32, steps: u32) {
        self.write(&json!({ "event": "state", "path": path, "state": state, "step": step, "steps": steps }));
    }

    /// One of them has ended.
    pub fn ended(&self, item: &Item) {
        self.write(&json!({ "event": "ended", "item": item }));
    }

    /// Nothing more will come.
    pub fn finished(&self, exit: u8) {
        self.write(&json!({ "event": "finished", "exit": exit }));
    }

    fn write(&self, event: &Value) {
        let mut file = self.file.lock();
        let Some(open) = file.as_mut() else { return };
        // One call a line: a reader sees whole lines, and a killed build leaves them.
        if let Err(err) = open.write_all(format!("{event}\n").as_bytes()) {
            tracing::warn!("no more events are written to {}: {err}", self.path.display());
            *file = None;
        }
    }
}
