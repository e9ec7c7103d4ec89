//! Where NVIDIA's libraries beside the driver lie. cuBLASLt has half a gigabyte and cannot be sent along; where somebody has
//! it, for PyTorch or with a toolkit, it is used.
//!
//! A library is loaded by its whole path; after that, who asks the system's loader for it by name alone, as cudarc does, gets
//! the one that is loaded.

use std::path::{Path, PathBuf};

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
}

/// File names of cuBLASLt, newest first, that a driver of CUDA `driver_major` runs.
fn names(driver_major: u32) -> Vec<String> {
    let fits = MAJORS.into_iter().filter(|major| *major <= driver_major);
    match cfg!(windows) {
        true => fits.map(|major| format!("cublasLt64_{major}.dll")).collect(),
        false => fits.map(|major| format!("libcublasLt.so.{major}")).collect(),
    }
}

/// Files to try in their order: what a person named alone, or what is found in folders, or names for the system's loader.
pub fn candidates(places: &Places, driver_major: u32) -> Vec<PathBuf> {
    let names = names(driver_major);
    let inside = |folder: &Path| names.iter().map(|name| folder.join(name)).collect::<Vec<_>>();
    if let Some(named) = &places.named {
        return if named.is_dir() { inside(named) } else { vec![named.clone()] };
    }
    let folders = places.folders.iter().take(FOLDERS_MAX).flat_map(|folder| inside(folder));
    // The system's own path last: it may hold an older one than somebody chose for PyTorch, and the loader does not say.
    let found = folders.filter(|file| file.is_file());
    found.chain(names.iter().map(PathBuf::from)).collect()
}

impl Places {
    /// Those of this machine, by its environment.
    pub fn here() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let mut folders = Vec::new();
        let mut toolkit = |root: PathBuf| {
            for part in ["lib64", "lib", "bin", "bin/x64", "targets/x86_64-linux/lib"] {
                folders.push(root.join(part));
            }
        };
        for name in ["CUDA_PATH", "CUDA_HOME"] {
            variable(name).map(PathBuf::from).into_iter().for_each(&mut toolkit);
        }
        listed(Path::new("/usr/local"), &|name| name.starts_with("cuda")).into_iter().for_each(&mut toolkit);
        let windows = Path::new("C:\\Program Files\\NVIDIA GPU Computing Toolkit\\CUDA");
        listed(windows, &|name| name.starts_with('v')).into_iter().for_each(&mut toolkit);
        let mut pythons: Vec<PathBuf> =
            ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(variable).map(PathBuf::from).collect();
        pythons.extend(variable("HOME").map(|home| PathBuf::from(home).join(".local")));
        pythons.extend(["/usr/local", "/usr", "/opt/conda", "/opt/venv"].map(PathBuf::from));
        for packages in pythons.iter().flat_map(|root| packages_of(root)) {
            for part in ["nvidia/cublas/lib", "nvidia/cublas/bin", "nvidia/cu13/lib", "torch/lib"] {
                folders.push(packages.join(part));
            }
        }
        folders.truncate(FOLDERS_MAX);
        Self { named: variable(VARIABLE).map(PathBuf::from), folders }
    }
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
        let named = |path: &Path| Places { named: Some(path.to_owned()), folders: vec![folder.path().to_owned()] };
        assert_eq!(candidates(&named(&file), 12), [file]);
        let [name] = names(12).try_into().expect("one");
        assert_eq!(candidates(&named(folder.path()), 12), [folder.path().join(name)]);
    }

    #[test]
    fn folders_come_before_the_system_s_loader_and_the_driver_bounds_the_version() {
        let folder = tempfile::tempdir().expect("a folder");
        let [new, old] = names(13).try_into().expect("two");
        let of_torch = touch(&folder.path().join("torch"), &old);
        let of_toolkit = touch(&folder.path().join("cuda"), &new);
        let folders = ["none", "torch", "cuda"].map(|part| folder.path().join(part)).to_vec();
        let places = Places { named: None, folders };
        assert_eq!(candidates(&places, 13), [of_torch.clone(), of_toolkit, PathBuf::from(&new), PathBuf::from(&old)]);
        assert_eq!(candidates(&places, 12), [of_torch, PathBuf::from(&old)]);
        assert!(candidates(&places, 11).is_empty());
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
