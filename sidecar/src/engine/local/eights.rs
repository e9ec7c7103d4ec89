//! Whether models survive eight bits: measured once for what they hold, the first time that they would be kept so.

use std::path::Path;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use thumbforge_diffusion::eights::{self, Worst};
use thumbforge_diffusion::mmdit;

use super::super::{EngineError, Leave};
use super::asked::{Files, Weight};
use super::kept::Kept;
use super::sd3;

/// How soon whoever waits for a model that somebody else measures hears that it is stopped.
const STOP_LOOK: Duration = Duration::from_millis(50);

/// The row that loses most. Its share is in millionths, for JSON has no infinity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    matrix: String,
    row: usize,
    error_ppm: u64,
}

/// What eight bits do to the models of this machine.
pub(crate) struct Eights {
    kept: Kept<String, Known>,
    /// Held while a model is measured: who asks for the same meanwhile waits instead of reading it too.
    measuring: Mutex<()>,
}

impl Eights {
    /// Of a data directory.
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self { kept: Kept::new(data_dir, "weights-eights.json"), measuring: Mutex::new(()) }
    }

    /// Why a model's matrices are not kept in eight bits, where they would not survive it; it fits behind "since ". The
    /// first time all of them are read: gigabytes, which takes a processor seconds and a slow disk minutes.
    ///
    /// # Errors
    /// When its files cannot be opened, when somebody stops it, or when it is not known and may not be read.
    pub(crate) fn unsound(&self, files: &Files, leave: Leave<'_>) -> Result<Option<String>, EngineError> {
        // Every model is hashed before it is planned for. Without its name it would be read for each picture.
        let name = name(files).ok_or_else(|| {
            EngineError::Internal("a model is to be measured for eight bits, and nobody has hashed it".to_owned())
        })?;
        if let Some(known) = self.kept.get(&name) {
            return Ok(known.unsound());
        }
        let Leave::Read(stop) = leave else {
            return Err(EngineError::Failed(
                "say what eight bits would do to the model: it is not measured yet, and a look-up does not".to_owned(),
            ));
        };
        let _measuring = loop {
            match self.measuring.try_lock_for(STOP_LOOK) {
                Some(measuring) => break measuring,
                None if stop.is_raised() => return Err(EngineError::Cancelled),
                None => {}
            }
        };
        if let Some(known) = self.kept.get(&name) {
            return Ok(known.unsound());
        }
        let (weights, began) = (sd3::open_weights(files)?, Instant::now());
        let model = files.model.display();
        tracing::info!(%model, "its matrices are read whole, once, to find out what eight bits would take from them");
        let worst = eights::worst(&weights.mmdit.params, &mmdit::in_eights, &|| stop.is_raised());
        let Some(worst) = worst.map_err(sd3::told)? else { return Ok(None) };
        tracing::info!(%model, "in {} ms it was found that of eight bits {worst}", began.elapsed().as_millis());
        let known = Known::of(worst);
        self.kept.put(name, known.clone());
        Ok(known.unsound())
    }
}

impl Known {
    fn of(worst: Worst) -> Self {
        // Rounded up, so that what is beyond the bound stays so; what is infinite becomes the largest.
        Self { matrix: worst.name, row: worst.row, error_ppm: (worst.error * 1e6).ceil() as u64 }
    }

    fn unsound(&self) -> Option<String> {
        let Self { matrix, row, error_ppm } = self.clone();
        let worst = Worst { name: matrix, row, error: error_ppm as f64 / 1e6 };
        (!worst.is_sound()).then(|| worst.to_string())
    }
}

/// What a model's matrices are, adapters included, and what was measured of them. `None` where nobody has hashed them.
fn name(files: &Files) -> Option<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&files.weights?.0);
    for (path, Weight(weight)) in &files.loras {
        // Out of the store, where the content names the file.
        let path = path.as_os_str().as_encoded_bytes();
        hasher.update(&(path.len() as u64).to_le_bytes()).update(path).update(&weight.to_bits().to_le_bytes());
    }
    Some(format!("{}-{}", eights::VERSION, hasher.finalize().to_hex()))
}

#[cfg(test)]
mod tests {
    use thumbforge_core::id::ContentHash;

    use super::super::super::Cancel;
    use super::*;

    #[test]
    fn models_are_known_by_what_they_hold_and_what_is_added() {
        let files = |weights: u8, loras: &[(&str, f32)]| Files {
            weights: Some(ContentHash([weights; 32])),
            loras: loras.iter().map(|(path, weight)| (path.into(), Weight(*weight))).collect(),
            ..Files::default()
        };
        let of = |weights: u8, loras: &[(&str, f32)]| name(&files(weights, loras)).expect("it was hashed");
        let all =
            [of(1, &[]), of(2, &[]), of(1, &[("a", 1.0)]), of(1, &[("a", 0.5)]), of(1, &[("a", 1.0), ("b", 1.0)])];
        (0..all.len()).for_each(|at| assert!(!all[..at].contains(&all[at]), "{at}"));
        assert_eq!(name(&Files { model: "elsewhere".into(), ..files(1, &[]) }), Some(all[0].clone()));
        assert_eq!(name(&Files::default()), None);
    }

    #[test]
    fn a_look_up_measures_nothing_and_whoever_waits_can_be_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let (eights, stop) = (Eights::new(folder.path()), Cancel::default());
        let files = Files { weights: Some(ContentHash([1; 32])), model: "nowhere".into(), ..Files::default() };
        let said = |files: &Files, leave| eights.unsound(files, leave).expect_err("it is not known").to_string();
        assert!(said(&files, Leave::Look).contains("it is not measured yet"));
        // Who may read it opens it.
        assert!(said(&files, Leave::Read(&stop)).contains("nowhere"));
        assert!(said(&Files::default(), Leave::Read(&stop)).contains("nobody has hashed it"));
        let measuring = eights.measuring.lock();
        stop.raise();
        assert_eq!(eights.unsound(&files, Leave::Read(&stop)), Err(EngineError::Cancelled));
        drop(measuring);
        let known = Known::of(Worst { name: "w.weight".to_owned(), row: 3, error: 0.5 });
        eights.kept.put(name(&files).expect("it was hashed"), known);
        assert!(eights.unsound(&files, Leave::Look).is_ok_and(|said| said.is_some()), "what is known costs nothing");
    }

    #[test]
    fn what_was_measured_is_kept_as_it_was() {
        let check = |error: f64, expected: Option<&str>| {
            let folder = tempfile::tempdir().unwrap();
            let known = Known::of(Worst { name: "w.weight".to_owned(), row: 3, error });
            Eights::new(folder.path()).kept.put("1-a".to_owned(), known.clone());
            let kept = Eights::new(folder.path()).kept.get(&"1-a".to_owned()).expect("it was kept");
            assert_eq!(kept, known);
            let said = kept.unsound();
            let holds = |expected: &str| said.as_ref().is_some_and(|said| said.contains(expected));
            assert!(expected.map_or(said.is_none(), holds), "{said:?}");
        };
        check(0.026, None);
        check(eights::ERROR_MAX, None);
        check(eights::ERROR_MAX.next_up(), Some("row 3 of w.weight would lose 6.25 %"));
        check(0.5, Some("lose 50.00 %"));
        check(f64::INFINITY, Some("row 3 of w.weight would lose"));
    }
}
