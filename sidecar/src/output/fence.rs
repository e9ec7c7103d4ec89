//! The fence: no output is written outside the project, whatever the manifest says and wherever links lead.
//!
//! It guards against mistakes and against a manifest from somebody else, not against a program that swaps folders
//! for links while we write: who can do that can write to the project anyway.

use std::collections::HashSet;
use std::io;
use std::path::{Component, Path, PathBuf};

use thiserror::Error;
use thumbforge_core::error::ErrorCode;

/// Why an output may not be written where it says.
#[derive(Debug, Error)]
pub enum FenceError {
    /// Absolute, or more `..` than folders before them.
    #[error("write {relative:?}: it leads out of {root}; outputs stay within the project", root = root.display())]
    Leaves {
        /// As it was written.
        relative: String,
        /// The project.
        root: PathBuf,
    },
    /// Empty, or with a character that no path has.
    #[error("write {relative:?}: that is no path of a file; write it relative to the project, with forward slashes")]
    Form {
        /// As it was written.
        relative: String,
    },
    /// A folder on the way is a link to somewhere outside.
    #[error(
        "write {relative:?}: {link} is a link to {target}, outside the project; replace the link by a folder",
        link = link.display(),
        target = target.display()
    )]
    LinkOut {
        /// As it was written.
        relative: String,
        /// The folder that is a link.
        link: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// The output itself is a link.
    #[error("write {path}: it is a link, and writing would replace it; remove it", path = path.display())]
    LinkedFile {
        /// The output.
        path: PathBuf,
    },
    /// A file stands where a folder should be.
    #[error("write {relative:?}: {file} is a file, not a folder; move it away", file = file.display())]
    FileOnTheWay {
        /// As it was written.
        relative: String,
        /// What stands in the way.
        file: PathBuf,
    },
    /// The file system failed.
    #[error("look at {path}", path = path.display())]
    Io {
        /// What was looked at.
        path: PathBuf,
        /// Why.
        #[source]
        err: io::Error,
    },
}

impl FenceError {
    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Io { .. } => ErrorCode::OutputFile,
            _ => ErrorCode::OutputPath,
        }
    }
}

/// The folder that outputs stay within; remembers the folders it has looked at.
#[derive(Debug)]
pub struct Fence {
    root: PathBuf,
    /// `root` with all links resolved.
    real_root: PathBuf,
    /// Folders below the root that are there and lead nowhere else.
    folders: HashSet<PathBuf>,
}

impl Fence {
    /// A fence around an existing folder.
    ///
    /// # Errors
    /// [`FenceError::Io`] when the folder is not there.
    pub fn new(root: &Path) -> Result<Self, FenceError> {
        let io = |err| FenceError::Io { path: root.to_owned(), err };
        let real_root = root.canonicalize().map_err(io)?;
        let root = std::path::absolute(root).map_err(io)?;
        Ok(Self { root, real_root, folders: HashSet::new() })
    }

    /// The path of an output that may be written: below the root, on no link that leads outside, itself no link.
    ///
    /// `relative` may hold `..` as long as it stays below the root; what is not there yet need not be.
    ///
    /// # Errors
    /// [`FenceError`], naming the folder that is wrong.
    pub fn path(&mut self, relative: &str) -> Result<PathBuf, FenceError> {
        let steps = self.steps(relative)?;
        let Some((name, folders)) = steps.split_last() else {
            return Err(FenceError::Form { relative: relative.to_owned() });
        };
        let mut folder = self.root.clone();
        for step in folders {
            folder.push(step);
            if !self.enter(relative, &folder)? {
                // Nothing is below a folder that is not there.
                let rest: PathBuf = steps.iter().collect();
                return Ok(self.root.join(rest));
            }
        }
        let path = folder.join(name);
        match path.symlink_metadata() {
            Ok(metadata) if metadata.file_type().is_symlink() => Err(FenceError::LinkedFile { path }),
            Ok(_) => Ok(path),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(path),
            Err(err) => Err(FenceError::Io { path, err }),
        }
    }

    /// The steps from the root down, with `.` and `..` resolved by their spelling.
    fn steps<'a>(&self, relative: &'a str) -> Result<Vec<&'a std::ffi::OsStr>, FenceError> {
        let leaves = || FenceError::Leaves { relative: relative.to_owned(), root: self.root.clone() };
        // Absolute in either spelling: a manifest is written on one system and read on another.
        let drive = relative.as_bytes().get(1) == Some(&b':');
        if relative.starts_with(['/', '\\']) || drive {
            return Err(leaves());
        }
        if relative.is_empty() || relative.ends_with('/') || relative.contains(['\0', '\\']) {
            return Err(FenceError::Form { relative: relative.to_owned() });
        }
        let mut steps = Vec::new();
        for component in Path::new(relative).components() {
            match component {
                Component::Normal(step) => steps.push(step),
                Component::CurDir => {}
                Component::ParentDir => {
                    steps.pop().ok_or_else(leaves)?;
                }
                Component::RootDir | Component::Prefix(_) => return Err(leaves()),
            }
        }
        Ok(steps)
    }

    /// Whether the folder is there; an error when it is no folder or leads outside.
    fn enter(&mut self, relative: &str, folder: &Path) -> Result<bool, FenceError> {
        if self.folders.contains(folder) {
            return Ok(true);
        }
        let io = |err| FenceError::Io { path: folder.to_owned(), err };
        match folder.symlink_metadata() {
            // It may be made before the next look, by us, so this is not remembered.
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(err) => return Err(io(err)),
            Ok(metadata) if metadata.is_dir() => {}
            Ok(metadata) if metadata.file_type().is_symlink() => {
                let target = folder.canonicalize().map_err(io)?;
                if !target.starts_with(&self.real_root) {
                    return Err(FenceError::LinkOut { relative: relative.to_owned(), link: folder.to_owned(), target });
                }
                if !target.is_dir() {
                    return Err(FenceError::FileOnTheWay { relative: relative.to_owned(), file: folder.to_owned() });
                }
            }
            Ok(_) => {
                return Err(FenceError::FileOnTheWay { relative: relative.to_owned(), file: folder.to_owned() });
            }
        }
        self.folders.insert(folder.to_owned());
        Ok(true)
    }
}

/// One output behind a fence of its own; for many, keep a [`Fence`].
///
/// # Errors
/// As [`Fence::path`].
pub fn inside(root: &Path, relative: &str) -> Result<PathBuf, FenceError> {
    Fence::new(root)?.path(relative)
}

#[cfg(test)]
mod tests;
