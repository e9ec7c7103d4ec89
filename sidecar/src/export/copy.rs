//! A picture's copy: its bytes with XMP in them, then a manifest of C2PA over all of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;
use thumbforge_core::error::{ErrorCode, Failure, chain};
use thumbforge_core::manifest::exporting::{DataMining, Export};
use thumbforge_core::model::ModelRow;

#[cfg(feature = "dist")]
use super::picture::is_changed_by_model;
use super::picture::{Picture, is_own, read};
use crate::build;
use crate::output::fence::Fence;
use crate::output::origin::SourceType;
use crate::output::provenance::Provenance;
use crate::output::write::{Patience, write_atomic};
use crate::output::{c2pa, png, xmp};

/// How copies are made.
pub struct Options {
    /// The folder that they come to lie in.
    pub out: PathBuf,
    /// What they say of whose they are.
    pub export: Export,
    /// Whether prompts, words and settings are left out of them.
    pub without_recipe: bool,
    /// Who signs them; nobody where it is absent.
    #[cfg(feature = "dist")]
    pub signer: Option<c2pa::Signer>,
}

/// A copy that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// Where it lies.
    pub file: String,
    /// Its length.
    pub file_bytes: u64,
    /// Who signed it, and that it holds; absent where nobody did.
    pub c2pa: Option<c2pa::Seal>,
}

/// Writes copies into a folder, which no path of a manifest leads out of.
pub struct Copier {
    options: Options,
    root: PathBuf,
    fence: Fence,
    /// What no copy may be written over.
    originals: BTreeSet<PathBuf>,
}

impl Copier {
    /// Makes the folder. `project` is where the originals lie, of which `outputs` are all, exported or not.
    ///
    /// # Errors
    /// That it is the project's own, or cannot be made.
    pub fn new<'a>(options: Options, project: &Path, outputs: impl Iterator<Item = &'a str>) -> Result<Self, Failure> {
        let unusable = |why: String| {
            let message = format!("failed to use the folder {}: {why}", options.out.display());
            Failure::new(ErrorCode::OutputFile, message)
        };
        std::fs::create_dir_all(&options.out).map_err(|err| unusable(err.to_string()))?;
        let root = options.out.canonicalize().map_err(|err| unusable(err.to_string()))?;
        if root == project {
            let message =
                "failed to use --out: it is the project's own folder, whose pictures stay as they are; name another";
            return Err(Failure::new(ErrorCode::InvalidRequest, message));
        }
        let fence = Fence::new(&root).map_err(|err| unusable(chain(&err)))?;
        let originals = outputs.filter_map(|output| project.join(output).canonicalize().ok()).collect();
        Ok(Self { options, root, fence, originals })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Writes the copy of a picture that has no fault.
    ///
    /// # Errors
    /// Why there is none.
    pub fn copy(&mut self, picture: &Picture, project: &Path) -> Result<Copied, Failure> {
        let failed = |code, why: String| Failure::new(code, format!("failed to export {}: {why}", picture.path));
        if let Some(fault) = &picture.fault {
            return Err(fault.failure.clone());
        }
        let original = project.join(&picture.path);
        let Some(provenance) = &picture.provenance else {
            return Err(failed(ErrorCode::InputFile, "it does not say how it came to be".to_owned()));
        };
        let bytes = read(&original).map_err(|err| failed(ErrorCode::InputFile, err.to_string()))?;
        if picture.line.as_ref().is_none_or(|line| line.sha256 != build::sha256(&bytes)) {
            return Err(failed(ErrorCode::InputFile, "it was changed while it was looked at; try again".to_owned()));
        }
        let packet = packet(provenance, picture.source_type, picture.model.as_ref(), &self.options.export).to_text();
        let without: &[&str] = if self.options.without_recipe { &[png::KEYWORD, png::PARAMETERS] } else { &[] };
        let bytes = png::with_text(&bytes, xmp::KEYWORD, &packet, without)
            .map_err(|err| failed(err.code(), format!("failed to {}", chain(&err))))?;
        let (bytes, seal) = self.sealed(bytes, picture, provenance).map_err(|why| failed(ErrorCode::InputFile, why))?;
        let file =
            self.fence.path(&picture.path).map_err(|err| failed(err.code(), format!("failed to {}", chain(&err))))?;
        if file.canonicalize().is_ok_and(|file| self.originals.contains(&file)) {
            let why = "its copy would lie over a picture of the project; export into another folder";
            return Err(failed(ErrorCode::OutputPath, why.to_owned()));
        }
        write_atomic(&file, &bytes, &Patience::usual())
            .map_err(|err| failed(err.code(), format!("failed to {}", chain(&err))))?;
        Ok(Copied { file: file.display().to_string(), file_bytes: bytes.len() as u64, c2pa: seal })
    }

    /// Signed, where somebody signs.
    #[cfg(feature = "dist")]
    fn sealed(
        &self,
        bytes: Vec<u8>,
        picture: &Picture,
        provenance: &Provenance,
    ) -> Result<(Vec<u8>, Option<c2pa::Seal>), String> {
        let Some(signer) = &self.options.signer else { return Ok((bytes, None)) };
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let title = name(Path::new(&picture.path));
        let source = match &picture.source {
            Some(path) => Some((name(path), read(path).map_err(|err| err.to_string())?)),
            None if is_own(provenance) || is_changed_by_model(provenance) => {
                let why =
                    "the picture that it was made from is not there as it was; build it anew with `thumbforge batch`";
                return Err(why.to_owned());
            }
            None => None,
        };
        let claim = c2pa::Claim {
            title: &title,
            provenance,
            source_type: picture.source_type,
            provider: picture.model.as_ref().and_then(|row| row.provider.as_deref()),
            model_licence: picture.model.as_ref().map(ModelRow::licence),
            source: source.as_ref().map(|(title, file)| c2pa::Source { title, file }),
        };
        let signed = signer.sign(&bytes, &claim).map_err(|err| format!("failed to {}", chain(&err)))?;
        let seal = c2pa::look(&signed, None)?;
        Ok((signed, seal))
    }

    /// Nobody signs in this build.
    #[cfg(not(feature = "dist"))]
    fn sealed(
        &self,
        bytes: Vec<u8>,
        _picture: &Picture,
        _provenance: &Provenance,
    ) -> Result<(Vec<u8>, Option<c2pa::Seal>), String> {
        Ok((bytes, None))
    }
}

/// What a copy says of itself to stores and search engines.
fn packet(
    provenance: &Provenance,
    source_type: Option<SourceType>,
    model: Option<&ModelRow>,
    export: &Export,
) -> xmp::Packet {
    let is_of_model = source_type.is_some_and(SourceType::is_of_model) && !is_own(provenance);
    let name = model.map_or_else(|| provenance.model.to_string(), |row| row.name.clone());
    let id = |kind: &str, key: &[u8; 32]| {
        // As long as a UUID, which readers of these fields expect.
        let digits: String = key.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("xmp.{kind}:{digits}")
    };
    xmp::Packet {
        source_type: source_type.map(SourceType::uri),
        creator_tool: format!("Thumbforge {}", env!("CARGO_PKG_VERSION")),
        ai_system: is_of_model.then(|| (name, provenance.realisation.wire_model.clone())),
        ids: Some((id("iid", &provenance.realised_key.0), id("did", &provenance.planned_key.0))),
        creator: export.creator.clone(),
        credit: export.credit.clone(),
        copyright: export.copyright.clone(),
        terms: export.terms.clone(),
        data_mining: export.data_mining.map(DataMining::uri).map(str::to_owned),
        works: provenance.credits.clone(),
    }
}
