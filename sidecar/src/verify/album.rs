//! Pictures that the checks refused, kept to be looked at. They are delivered nowhere, and whoever reads of one wants to see
//! it: the whole picture, and what each error is about.
//!
//! ```text
//! DATA-DIR/refused/00000042-1.png                    attempt 1 of job 42
//! DATA-DIR/refused/00000042-1-1-text_mismatch.png    what its first error is about
//! ```
//! They are for the eye: nothing reads them, and losing one loses nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thumbforge_core::id::JobId;
use thumbforge_core::image::ImageBuf;
use thumbforge_core::verdict::{Finding, Severity};

use super::crop;
use crate::output::png;

/// Files that are kept, the newest: about 100 pictures with their crops, in some 100 MB.
const FILES_MAX: usize = 300;
/// Errors of one picture that are shown.
const CROPS_MAX: usize = 4;

/// Where refused pictures are kept.
#[derive(Debug)]
pub struct Album {
    folder: PathBuf,
}

impl Album {
    /// The album of a data directory. Nothing is made before there is something to keep.
    pub fn of(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("refused") }
    }

    /// Keeps a picture, and says where; `None`, with a line in the log, where that cannot be done.
    pub fn keep(&self, job: JobId, attempt: u32, image: &ImageBuf, findings: &[Finding]) -> Option<PathBuf> {
        // Names in the order of time, so that the oldest are known by their names.
        let name = format!("{:08}-{attempt}", job.0);
        match self.write(&name, image, findings) {
            Ok(path) => Some(path),
            Err(err) => {
                tracing::warn!(%job, %err, "a refused picture could not be kept to be looked at");
                None
            }
        }
    }

    fn write(&self, name: &str, image: &ImageBuf, findings: &[Finding]) -> io::Result<PathBuf> {
        fs::create_dir_all(&self.folder)?;
        self.make_room()?;
        let encode = |image: &ImageBuf| png::encode_with_texts(image, &[]).map_err(io::Error::other);
        let path = self.folder.join(format!("{name}.png"));
        fs::write(&path, encode(image)?)?;
        let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
        let places = errors.filter_map(|finding| Some((finding.code, crop::crop(image, finding.place?)?)));
        for (at, (code, crop)) in places.take(CROPS_MAX).enumerate() {
            let path = self.folder.join(format!("{name}-{}-{}.png", at + 1, code.word()));
            fs::write(path, encode(&crop)?)?;
        }
        Ok(path)
    }

    /// Takes out the oldest until a picture and its crops fit.
    fn make_room(&self) -> io::Result<()> {
        let mut files: Vec<PathBuf> = fs::read_dir(&self.folder)?.flatten().map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|kind| kind == "png"));
        files.sort();
        let room = FILES_MAX - CROPS_MAX - 1;
        for path in files.iter().take(files.len().saturating_sub(room)) {
            match fs::remove_file(path) {
                // Another picture made room at the same time.
                Err(err) if err.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use thumbforge_core::image::{Extent, PixelBox};
    use thumbforge_core::verdict::FindingCode;

    use super::*;

    fn finding(severity: Severity, place: Option<PixelBox>) -> Finding {
        Finding {
            code: FindingCode::TextMismatch,
            severity,
            message: String::new(),
            place,
            expected: None,
            read: None,
            score: None,
        }
    }

    #[test]
    fn the_newest_are_kept_with_what_their_errors_are_about() {
        let folder = tempfile::tempdir().unwrap();
        let album = Album::of(folder.path());
        let image = ImageBuf::filled(Extent { width: 64, height: 64 }, [9, 9, 9, 255]);
        let place = Some(PixelBox { x: 10, y: 10, w: 8, h: 8 });
        let outside = Some(PixelBox { x: 90, y: 10, w: 8, h: 8 });
        let findings = [
            finding(Severity::Error, place),
            finding(Severity::Warning, place),
            finding(Severity::Error, None),
            finding(Severity::Error, outside),
        ];
        for job in 1..=200 {
            let path = album.keep(JobId(job), 1, &image, &findings).unwrap();
            assert!(path.is_file());
        }
        let mut names: Vec<String> = fs::read_dir(folder.path().join("refused"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert!(names.len() <= FILES_MAX && names.len() > FILES_MAX - 2 * (CROPS_MAX + 1), "{}", names.len());
        assert_eq!(names[names.len() - 2..], ["00000200-1-1-text_mismatch.png", "00000200-1.png"]);
    }

    #[test]
    fn a_folder_that_cannot_be_written_fails_nothing() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("refused"), "a file").unwrap();
        let image = ImageBuf::filled(Extent { width: 64, height: 64 }, [9, 9, 9, 255]);
        assert_eq!(Album::of(folder.path()).keep(JobId(1), 1, &image, &[]), None);
    }
}
