//! What the command line says.

use std::path::PathBuf;

use thumbforge_cuda::Library;

/// A failure is a sentence that follows "failed to".
pub(crate) type Outcome<T> = Result<T, String>;

/// What computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// The GPU.
    Cuda,
    /// The stand-in for its driver.
    Standin,
    /// The processor in its stead, to try the check itself.
    Cpu,
}

impl Use {
    /// As the command line has it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Standin => "standin",
            Self::Cpu => "cpu",
        }
    }
}

/// What the command line says.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Which part is run.
    pub(crate) part: String,
    /// What follows it without a name.
    pub(crate) rest: Vec<String>,
    /// Where parts write their files.
    pub(crate) out: PathBuf,
    /// What computes.
    pub(crate) device: Use,
    /// Toy models at toy sizes, and a few runs instead of hundreds.
    pub(crate) tiny: bool,
    /// Models of full size, as `weights` wrote them.
    pub(crate) models: PathBuf,
    /// Tokenizers for all of them.
    pub(crate) tokenizers: PathBuf,
    /// The transformer's matrices in eight bits, where the device keeps such.
    pub(crate) eights: bool,
    /// Whether NVIDIA's library multiplies, as it does in the sidecar where it is found.
    pub(crate) library: Library,
    /// What is read once for a picture leaves the card again.
    pub(crate) lean: bool,
    /// A part begins nothing new after so many seconds.
    pub(crate) seconds: u64,
}

impl Options {
    /// # Errors
    /// When an argument is unknown or lacks its value.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Outcome<Self> {
        let part = arguments.next().ok_or("begin: name a part, see the head of cuda/examples/gpu_check/main.rs")?;
        let mut options = Self {
            part,
            rest: Vec::new(),
            out: PathBuf::from("target/gpu-check/out"),
            device: Use::Cuda,
            tiny: false,
            models: PathBuf::from("/tmp/thumbforge-models"),
            tokenizers: PathBuf::from("tests/diffusion/fixtures/tokenizers"),
            eights: false,
            library: Library::Find,
            lean: false,
            seconds: 540,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("read {argument}: its value is missing"));
            match argument.as_str() {
                "--out" => options.out = value()?.into(),
                "--models" => options.models = value()?.into(),
                "--tokenizers" => options.tokenizers = value()?.into(),
                "--seconds" => {
                    options.seconds = value()?.parse().map_err(|_| "read --seconds: it is no number".to_owned())?;
                }
                "--tiny" => options.tiny = true,
                "--eights" => options.eights = true,
                "--lean" => options.lean = true,
                "--library" => {
                    options.library = match value()?.as_str() {
                        "find" => Library::Find,
                        "never" => Library::Never,
                        other => return Err(format!("use the library {other}: write find or never")),
                    }
                }
                "--device" => {
                    options.device = match value()?.as_str() {
                        "cpu" => Use::Cpu,
                        "cuda" => Use::Cuda,
                        "standin" => Use::Standin,
                        other => return Err(format!("use {other}: write cuda, standin or cpu")),
                    }
                }
                other if other.starts_with("--") => return Err(format!("read {other}: there is no such option")),
                _ => options.rest.push(argument),
            }
        }
        Ok(options)
    }
}
