//! Where NVIDIA's libraries beside the driver lie. cuBLASLt has half a gigabyte and cannot be sent along; where somebody has
//! it, for PyTorch or with a toolkit, it is used.
//!
//! A library is loaded by its whole path; after that, who asks the system's loader for it by name alone, as cudarc does, gets
//! the one that is loaded.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::blaslt;
use crate::error::CudaError;

/// Names the file of cuBLASLt, or the folder that it lies in.
pub const VARIABLE: &str = "THUMBFORGE_CUBLASLT";

/// Versions of cuBLASLt whose functions we know, newest first. A driver of CUDA 12 does not run the library of 13.
const MAJORS: [u32; 2] = [13, 12];

/// Folders of one machine that are looked into at most: those of a search path or of Python's installations are dozens.
const FOLDERS_MAX: usize = 256;

/// What the system says.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// [`VARIABLE`].
    pub named: Option<PathBuf>,
    /// Folders that hold CUDA toolkits or Python's packages, most likely first.
    pub folders: Vec<PathBuf>,
    /// Whether the system's loader is asked by name, last.
    pub loader: bool,
}

/// cuBLASLt as it was found. Its file stays open as long as the process lives, so that what is said here holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its version as classes of devices name it: "cublaslt12.9.1".
    pub word: String,
    /// Its file, or its name alone where the system's loader knows where it lies.
    pub path: PathBuf,
}

/// The library that multiplies on cards of a driver (12090 for CUDA 12.9): the newest of those that there are and that the driver
/// runs, of equal ones the first. An old toolkit often lies beside a newer library of Python's packages, and products in eight
/// bits came late. Versions are read, for which no card is opened. `None` where there is none.
///
/// # Errors
/// [`CudaError::NoLibrary`] where a person named a place and nothing there serves: nobody else's library takes its place.
pub fn find(places: &Places, driver_version: u32) -> Result<Option<Found>, CudaError> {
    let files = candidates(places, driver_version);
    if places.named.is_none() {
        let newest = newest(&files, driver_version).cloned();
        return newest.map(|path| Ok(Found { word: serves(&path, driver_version)?, path })).transpose();
    }
    let mut refused = None;
    for path in files {
        match serves(&path, driver_version) {
            Ok(word) => return Ok(Some(Found { word, path })),
            Err(err) => _ = refused.get_or_insert(err),
        }
    }
    match (&places.named, refused) {
        (Some(_), Some(err)) => Err(err),
        (Some(named), None) => {
            let reason = format!("it is a folder without {}", names(driver_version).join(" or "));
            Err(CudaError::NoLibrary { path: named.clone(), reason })
        }
        (None, _) => Ok(None),
    }
}

/// The word in the class of a card of so many multiprocessors that a library multiplies on: "cublaslt12.9.1x132". Equal bits are
/// promised where architecture, multiprocessors and version are the same (cuBLAS manual, "Results Reproducibility").
pub fn word_on(word: &str, multiprocessors: u32) -> String {
    format!("{word}x{multiprocessors}")
}

/// The newest library that a driver runs of some files, of which all that are no library are passed over.
fn newest(files: &[PathBuf], driver_version: u32) -> Option<&PathBuf> {
    let mut seen = HashSet::new();
    let mut newest: Option<(usize, &PathBuf)> = None;
    for path in files {
        // Toolkits lie under several names. What the system's loader is asked for by name alone is no path.
        let real = if path.is_absolute() { path.canonicalize().ok() } else { None };
        if !seen.insert(real.unwrap_or_else(|| path.clone())) {
            continue;
        }
        let version = blaslt::glanced(path).ok().filter(|version| runs(*version, driver_version));
        if let Some(version) = version.filter(|version| newest.is_none_or(|(known, _)| *version > known)) {
            newest = Some((version, path));
        }
    }
    newest.map(|(_, path)| path)
}

/// Of a version as the library tells it: 12 for 120901.
fn major(version: usize) -> u32 {
    u32::try_from(version / 10_000).unwrap_or(u32::MAX)
}

fn runs(version: usize, driver_version: u32) -> bool {
    majors(driver_version).any(|serves| serves == major(version))
}

/// The word of a file that is a library of a version that we know and the driver runs.
fn serves(path: &Path, driver_version: u32) -> Result<String, CudaError> {
    let version = blaslt::version(path)?;
    if runs(version, driver_version) {
        return Ok(blaslt::word(version));
    }
    let major = major(version);
    let serve: Vec<String> = majors(driver_version).map(|major| major.to_string()).collect();
    let reason = format!("it is of CUDA {major}, and with this driver that of CUDA {} serves", serve.join(" or "));
    Err(CudaError::NoLibrary { path: path.to_owned(), reason })
}

/// Versions that a driver runs.
fn majors(driver_version: u32) -> impl Iterator<Item = u32> {
    MAJORS.into_iter().filter(move |major| *major <= driver_version / 1000)
}

/// File names of cuBLASLt, newest first, that a driver runs.
fn names(driver_version: u32) -> Vec<String> {
    let fits = majors(driver_version);
    match cfg!(windows) {
        true => fits.map(|major| format!("cublasLt64_{major}.dll")).collect(),
        false => fits.map(|major| format!("libcublasLt.so.{major}")).collect(),
    }
}

/// Files to try in their order: what a person named alone, or what is found in folders, or names for the system's loader.
pub fn candidates(places: &Places, driver_version: u32) -> Vec<PathBuf> {
    let names = names(driver_version);
    let inside = |folder: &Path| names.iter().map(|name| folder.join(name)).collect::<Vec<_>>();
    let there = |file: &PathBuf| file.is_file();
    if let Some(named) = &places.named {
        return if named.is_dir() { inside(named).into_iter().filter(there).collect() } else { vec![named.clone()] };
    }
    let folders = places.folders.iter().take(FOLDERS_MAX).flat_map(|folder| inside(folder));
    // The system's own path last: it may hold an older one than somebody chose for PyTorch, and the loader does not say.
    let loader = if places.loader { names.iter().map(PathBuf::from).collect() } else { Vec::new() };
    folders.filter(there).chain(loader).collect()
}

impl Places {
    /// Those of this machine, by the environment of this process first.
    pub fn here() -> Self {
        let variables = |names: &[&str]| -> Vec<PathBuf> { names.iter().filter_map(|name| variable(name)).collect() };
        let toolkits = variables(&["CUDA_PATH", "CUDA_HOME"]).into_iter().chain(toolkits());
        let pythons = variables(&["VIRTUAL_ENV", "CONDA_PREFIX"]).into_iter().chain(pythons());
        let named = variable(VARIABLE).filter(|named| named != Path::new("auto"));
        Self { named, folders: folders(toolkits, pythons), loader: true }
    }

    /// Those that all programs of a person find alike on this machine, whatever the shell says that they were begun in: no
    /// toolkit of a variable, no activated environment of Python, no search path of the loader. Two processes that plan for
    /// each other come to the same answer.
    pub fn of_machine() -> Self {
        Self { named: None, folders: folders(toolkits().into_iter(), pythons().into_iter()), loader: false }
    }

    /// What a person names, a file or a folder, and nothing else.
    pub fn at(named: &Path) -> Self {
        Self { named: Some(named.to_owned()), folders: Vec::new(), loader: false }
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Where toolkits are installed.
fn toolkits() -> Vec<PathBuf> {
    let mut roots = listed(Path::new("/usr/local"), &|name| name.starts_with("cuda"));
    let windows = Path::new("C:\\Program Files\\NVIDIA GPU Computing Toolkit\\CUDA");
    roots.extend(listed(windows, &|name| name.starts_with('v')));
    roots
}

/// Where Python is installed, a person's own first.
fn pythons() -> Vec<PathBuf> {
    let own = variable("HOME").map(|home| home.join(".local"));
    own.into_iter().chain(["/usr/local", "/usr", "/opt/conda", "/opt/venv"].map(PathBuf::from)).collect()
}

/// Folders to look into: of toolkits, of Python's packages, of the system's packages.
fn folders(toolkits: impl Iterator<Item = PathBuf>, pythons: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for root in toolkits {
        for part in ["lib64", "lib", "bin", "bin/x64", "targets/x86_64-linux/lib"] {
            folders.push(root.join(part));
        }
    }
    for packages in pythons.flat_map(|root| packages_of(&root)) {
        for part in ["nvidia/cublas/lib", "nvidia/cublas/bin", "nvidia/cu13/lib", "torch/lib"] {
            folders.push(packages.join(part));
        }
    }
    folders.extend(["/usr/lib/x86_64-linux-gnu", "/usr/lib64"].map(PathBuf::from));
    folders.truncate(FOLDERS_MAX);
    folders
}

/// Folders of Python's packages below an installation.
fn packages_of(root: &Path) -> Vec<PathBuf> {
    let mut folders = vec![root.join("Lib").join("site-packages")];
    for python in listed(&root.join("lib"), &|name| name.starts_with("python3")) {
        folders.push(python.join("site-packages"));
        folders.push(python.join("dist-packages"));
    }
    folders
}

/// Folders in `parent` whose names are wanted, the last first: versions rise with their names.
fn listed(parent: &Path, wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let of_name = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(wanted);
    let paths = entries.take(4 * FOLDERS_MAX).filter_map(|entry| Some(entry.ok()?.path()));
    let mut paths: Vec<PathBuf> = paths.filter(of_name).take(FOLDERS_MAX).collect();
    paths.sort();
    paths.reverse();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(folder: &Path, name: &str) -> PathBuf {
        std::fs::create_dir_all(folder).expect("a folder");
        std::fs::write(folder.join(name), b"").expect("a file");
        folder.join(name)
    }

    #[test]
    fn what_a_person_names_is_tried_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("mine.so");
        let others = vec![folder.path().to_owned()];
        let named = |path: &Path| Places { named: Some(path.to_owned()), folders: others.clone(), loader: true };
        assert_eq!(candidates(&named(&file), 12_090), std::slice::from_ref(&file));
        assert!(candidates(&named(folder.path()), 12_090).is_empty());
        let says = |path: &Path, expected: &str| {
            let said = find(&named(path), 12_090).map_err(|err| err.to_string());
            assert!(said.as_ref().is_err_and(|said| said.contains(expected)), "{said:?}");
        };
        let [name] = names(12_000).try_into().expect("one");
        says(folder.path(), &format!("it is a folder without {name}"));
        says(&file, "open cuBLASLt at");
        let inside = touch(folder.path(), &name);
        assert_eq!(candidates(&named(folder.path()), 12_000), [inside]);
        says(folder.path(), "open cuBLASLt at");
    }

    #[test]
    fn where_nobody_names_one_a_file_that_is_none_is_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let [name] = names(12_000).try_into().expect("one");
        touch(folder.path(), &name);
        let places = Places { named: None, folders: vec![folder.path().to_owned()], loader: false };
        assert_eq!(find(&places, 12_000), Ok(None));
    }

    #[test]
    fn the_machine_s_places_hang_on_no_shell() {
        let Places { named, loader, folders } = Places::of_machine();
        assert_eq!((named, loader), (None, false));
        assert!(folders.iter().all(|folder| folder.is_absolute() || cfg!(windows)), "{folders:?}");
    }

    #[test]
    fn folders_come_before_the_system_s_loader_and_the_driver_bounds_the_version() {
        let folder = tempfile::tempdir().expect("a folder");
        let [new, old] = names(13_000).try_into().expect("two");
        let of_torch = touch(&folder.path().join("torch"), &old);
        let of_toolkit = touch(&folder.path().join("cuda"), &new);
        let folders = ["none", "torch", "cuda"].map(|part| folder.path().join(part)).to_vec();
        let places = Places { named: None, folders, loader: true };
        let all = [of_torch.clone(), of_toolkit, PathBuf::from(&new), PathBuf::from(&old)];
        assert_eq!(candidates(&places, 13_000), all);
        assert_eq!(candidates(&places, 12_090), [of_torch.clone(), PathBuf::from(&old)]);
        assert!(candidates(&places, 11_080).is_empty());
        assert_eq!(candidates(&Places { loader: false, ..places }, 12_090), [of_torch]);
    }

    #[test]
    fn python_s_packages_are_found_by_version() {
        let root = tempfile::tempdir().expect("a folder");
        for version in ["python3.10", "python3.12", "ruby"] {
            std::fs::create_dir_all(root.path().join("lib").join(version)).expect("a folder");
        }
        let found = packages_of(root.path());
        let lib = root.path().join("lib");
        assert_eq!(found[1], lib.join("python3.12").join("site-packages"));
        assert_eq!(found.len(), 5);
    }
}
