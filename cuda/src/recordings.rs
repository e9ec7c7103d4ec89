//! Runs that were recorded, by all that decides what they do: bounded, the one that was used least recently goes first.

use thumbforge_diffusion::plan::ProgramId;

use crate::launch::Address;

/// Most runs that are remembered. A queue draws a few sizes in turn; each has a program for its calls, one for its text
/// encoders, and some for the autoencoder.
pub(crate) const RECORDINGS_MAX: usize = 32;

/// All that decides what a run does: a recording has every address in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) program: ProgramId,
    pub(crate) model: u64,
    /// Where the memory begins, and its bytes.
    pub(crate) memory: (Address, u64),
    pub(crate) scratch: u64,
    pub(crate) kept: Vec<u64>,
    pub(crate) workspace: Address,
}

/// What is known of a run.
#[derive(Debug)]
pub(crate) enum Known<R> {
    /// It ran once, so that all that happens once has happened.
    Ran,
    /// It can run as one.
    Recorded(R),
    /// It could not be recorded, and is not tried again.
    Never,
}

/// Recordings of the type `R`.
#[derive(Debug)]
pub(crate) struct Recordings<R> {
    /// The one that was used last comes last.
    known: Vec<(Key, Known<R>)>,
}

impl<R> Recordings<R> {
    pub(crate) fn new() -> Self {
        Self { known: Vec::new() }
    }

    /// What is known of a run, which is used now.
    pub(crate) fn find(&mut self, key: &Key) -> Option<&mut Known<R>> {
        let at = self.known.iter().position(|(known, _)| known == key)?;
        let found = self.known.remove(at);
        self.known.push(found);
        self.known.last_mut().map(|(_, known)| known)
    }

    /// Remembers a run that is not known yet.
    pub(crate) fn ran(&mut self, key: Key) {
        if self.known.len() >= RECORDINGS_MAX {
            self.known.remove(0);
        }
        self.known.push((key, Known::Ran));
    }

    /// Forgets the runs of a model.
    pub(crate) fn forget_model(&mut self, model: u64) {
        self.known.retain(|(key, _)| key.model != model);
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.known.clear();
    }

    /// How many runs can run as one.
    pub(crate) fn recorded(&self) -> usize {
        self.known.iter().filter(|(_, known)| matches!(known, Known::Recorded(_))).count()
    }
}

#[cfg(test)]
mod tests {
    use thumbforge_diffusion::dtype::Precision;
    use thumbforge_diffusion::graph::Builder;
    use thumbforge_diffusion::plan::Program;

    use super::*;

    #[test]
    fn what_was_used_least_recently_goes_first_and_models_go_with_theirs() {
        let program = Program::new(Builder::new().finish(), Precision::F32).id();
        let key = |model: u64| Key { program, model, memory: (256, 512), scratch: 0, kept: vec![1], workspace: 0 };
        let mut recordings = Recordings::<u8>::new();
        for model in 0..RECORDINGS_MAX as u64 {
            assert!(recordings.find(&key(model)).is_none());
            recordings.ran(key(model));
        }
        *recordings.find(&key(0)).expect("it ran") = Known::Recorded(7);
        recordings.ran(key(99));
        assert!(recordings.find(&key(1)).is_none(), "the oldest");
        assert!(matches!(recordings.find(&key(0)), Some(Known::Recorded(7))));
        assert!(recordings.find(&Key { workspace: 1, ..key(0) }).is_none(), "at another place");
        assert!(recordings.find(&Key { kept: vec![2], ..key(0) }).is_none());
        recordings.forget_model(0);
        assert!(recordings.find(&key(0)).is_none());
        assert_eq!(recordings.recorded(), 0);
        recordings.clear();
        assert!(recordings.find(&key(99)).is_none());
    }
}
