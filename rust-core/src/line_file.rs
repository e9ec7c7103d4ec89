//! What the project's files of lines share (lock, approvals): a first line with name and version, and the marks of a merge
//! that was left open.

use crate::error::ErrorCode;
use crate::manifest::excerpt;

/// A kind of file whose lines branches merge.
pub(crate) struct LineFile {
    /// First word of the file, which is its name too.
    pub(crate) name: &'static str,
    /// How sentences call it, as in "the lock has".
    pub(crate) has: &'static str,
    /// Version of the format that is written.
    pub(crate) version: u32,
    /// What to do about a merge that was left open.
    pub(crate) after_merge: &'static str,
}

impl LineFile {
    /// Whether a file that begins so can be read; else what is wrong, and what to do.
    pub(crate) fn check_header(&self, header: &str) -> Result<(), (ErrorCode, String, String)> {
        if let Some((message, fix)) = self.conflict(header) {
            return Err((ErrorCode::Corrupt, message, fix.to_owned()));
        }
        let version = header.trim_ascii().strip_prefix(self.name).map(|rest| rest.trim_ascii().parse::<u32>());
        match version {
            Some(Ok(version)) if version == self.version => Ok(()),
            Some(Ok(newer)) if newer > self.version => Err((
                ErrorCode::VersionMismatch,
                format!("{} format {newer}, and this Thumbforge reads up to {}", self.has, self.version),
                "install the version of Thumbforge that your team uses".to_owned(),
            )),
            _ => Err((
                ErrorCode::Corrupt,
                format!("the first line is {:?}", excerpt(header)),
                format!("it must be `{} {}`: take the file from version control again", self.name, self.version),
            )),
        }
    }

    /// What is wrong with a line that a merge left, and what to do.
    pub(crate) fn conflict(&self, line: &str) -> Option<(String, &'static str)> {
        let is_marker = ["<<<<<<<", "=======", ">>>>>>>", "|||||||"].iter().any(|marker| line.starts_with(marker));
        is_marker.then(|| ("the file has an unresolved merge conflict".to_owned(), self.after_merge))
    }
}
