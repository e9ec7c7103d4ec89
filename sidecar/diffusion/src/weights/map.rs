//! A file as memory: pages are read when somebody looks at them, and the system may take them back, so a model that is
//! loaded costs no second copy.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::error::DiffusionError;
use crate::param::Backing;
use crate::weights::refuse;

/// A file, mapped for reading.
///
/// Somebody who shortens the file while it is mapped makes later reads of the lost pages end this process with a bus
/// error, on every system. Nothing here can prevent that without a copy of gigabytes, so it is a rule for those who write
/// such files instead: put a new file in place by renaming, never write into an old one. (Hubs' clients, browsers and our
/// own store do it so.) Somebody who writes other numbers into the file changes what is drawn, and the pinned hash no
/// longer tells the truth until the file's time of change is looked at again.
pub(crate) struct Mapping(Option<Mmap>);

impl Mapping {
    /// All of the file at `path`.
    pub(crate) fn of(path: &Path) -> Result<Self, DiffusionError> {
        let fail = |err: std::io::Error| refuse(path, err.to_string());
        let file = File::open(path).map_err(fail)?;
        let about = file.metadata().map_err(fail)?;
        if !about.is_file() {
            return Err(refuse(path, "it is no regular file: expected .safetensors or .gguf"));
        }
        // No system maps nothing.
        if about.len() == 0 {
            return Ok(Self(None));
        }
        // SAFETY: the mapping is private to this value and only ever lent as `&[u8]`, of which every bit pattern is valid.
        // That nobody shortens or rewrites the file meanwhile is the rule in this type's documentation: the compiler's
        // view of unchanging bytes holds as far as that rule is kept, and readers check ranges against the length that
        // was mapped, never against what the file's bytes say on a second look.
        #[expect(unsafe_code, reason = "the one mapping of weights")]
        let map = unsafe { Mmap::map(&file) };
        map.map(|map| Self(Some(map))).map_err(fail)
    }
}

impl Backing for Mapping {
    fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}
