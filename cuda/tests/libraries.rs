//! cuBLASLt as it is found before a card is opened, and as it is when one is.

mod support;

use std::path::Path;

use support::{Cards, settings};
use thumbforge_cuda::libraries::{Found, Places, find};
use thumbforge_cuda::{Cuda, CudaError, Library, Settings};
use thumbforge_cuda_standin::{Control, Figure};
use thumbforge_diffusion::device::Device;
use thumbforge_diffusion::dtype::Precision;

/// As drivers have it.
const CUDA_12_9: u32 = 12_090;

fn found(path: &Path, driver: u32) -> Result<Option<Found>, CudaError> {
    find(&Places::at(path), driver)
}

fn open(path: &Path) -> Result<Cuda, CudaError> {
    Cuda::open(&Settings { library: Library::At(path.to_owned()), ..settings(true) })
}

#[test]
fn the_version_is_known_before_a_card_is_opened_and_is_that_of_the_open_card() {
    let Some(cards) = Cards::of_test("the version of a library") else { return };
    let path = &cards.standin.built().blaslt;
    let library = found(path, CUDA_12_9).expect("a library").expect("where it was built");
    assert_eq!(cards.standin.get(Figure::LiveContexts), 0, "no card was opened");
    assert_eq!((library.word.as_str(), &library.path), ("cublaslt12.9.0", path));
    assert_eq!(found(path.parent().expect("a folder"), CUDA_12_9), Ok(Some(library.clone())));
    let cuda = open(path).expect("a card");
    let class = |precision| cuda.class(precision).to_string();
    assert_eq!(class(Precision::Bf16), format!("cuda-sm90-{}x132", library.word));
    assert_eq!(class(Precision::F32), "cuda-sm90", "singles are our kernels'");
    drop(cuda);
    cards.standin.set(Control::Multiprocessors, 114);
    let other = open(path).expect("a card").class(Precision::Bf16).to_string();
    assert_eq!(other, format!("cuda-sm90-{}x114", library.word), "its bits may be others");
    cards.nothing_is_left();
}

#[test]
fn a_version_that_the_driver_does_not_run_is_refused_with_that_which_serves() {
    let Some(cards) = Cards::of_test("the version of a library") else { return };
    let says = found(&cards.standin.built().blaslt, 11_080).expect_err("a driver of CUDA 11").to_string();
    assert!(says.contains("it is of CUDA 12"), "{says}");
}

#[test]
fn the_newest_that_the_driver_runs_is_found_wherever_it_lies() {
    let Some(cards) = Cards::of_test("the newest library") else { return };
    let root = tempfile::tempdir().expect("a folder");
    let place = |name: &str, file: &str| {
        let folder = root.path().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::copy(&cards.standin.built().blaslt, folder.join(file)).expect("a copy");
        folder
    };
    let (old, new) = (place("cuda-12.4", "libcublasLt.so.12"), place("cuda-12.8", "libcublasLt.so.12"));
    let (same, next) = (place("cuda-12.8-too", "libcublasLt.so.12"), place("cuda-13.1", "libcublasLt.so.13"));
    let check = |folders: &[&std::path::PathBuf], driver: u32, word: &str, at: &Path| {
        let folders = folders.iter().map(|folder| (*folder).clone()).collect();
        let found = find(&Places { named: None, folders, loader: false }, driver).expect("nobody named one");
        let found = found.expect("there is one");
        assert_eq!((found.word.as_str(), found.path.parent()), (word, Some(at)), "a driver of {driver}");
    };
    check(&[&old], CUDA_12_9, "cublaslt12.4.0", &old);
    check(&[&old, &new, &same, &next], CUDA_12_9, "cublaslt12.8.0", &new);
    check(&[&same, &new, &old], CUDA_12_9, "cublaslt12.8.0", &same);
    check(&[&old, &new, &next], 13_000, "cublaslt13.1.0", &next);
    // What a person names is taken though others are newer.
    let places = Places { named: Some(old.clone()), folders: vec![new], loader: false };
    assert_eq!(find(&places, CUDA_12_9).expect("named").expect("there").word, "cublaslt12.4.0");
}

#[test]
fn what_was_said_of_a_file_holds_though_it_is_gone() {
    let Some(cards) = Cards::of_test("a library that vanishes") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("libcublasLt.so.12");
    std::fs::copy(&cards.standin.built().blaslt, &path).expect("a copy");
    let library = found(&path, CUDA_12_9).expect("a library").expect("it is there");
    std::fs::remove_file(&path).expect("it was there");
    let cuda = open(&path).expect("it is still open");
    assert_eq!(cuda.library(), Some((library.word.as_str(), path.as_path())));
    // A file that nobody opened before is none.
    let never = open(&folder.path().join("another.so"));
    assert!(never.is_err_and(|err| matches!(err, CudaError::NoLibrary { .. }) && err.is_of_library()));
}

#[test]
fn a_card_is_not_opened_without_the_library_that_was_named() {
    let Some(cards) = Cards::of_test("a library that refuses") else { return };
    let path = &cards.standin.built().blaslt;
    cards.standin.set(Control::RefuseLibrary, 1);
    let refused = open(path).expect_err("it refuses");
    assert!(refused.is_of_library() && refused.to_string().starts_with("cublasLtCreate: "), "{refused}");
    cards.nothing_is_left();
    Cuda::open(&settings(true)).expect("without it");
    cards.standin.set(Control::RefuseLibrary, 0);
    open(path).expect("with it");
}

#[test]
fn a_card_on_which_no_module_loads_is_no_shortage() {
    let Some(cards) = Cards::of_test("a card that refuses") else { return };
    cards.standin.set(Control::RefuseCard, 1);
    let refused = Cuda::open(&settings(true)).expect_err("it refuses");
    assert!(!refused.is_lost() && !refused.is_of_library(), "{refused}");
    assert!(matches!(&refused, CudaError::Driver { call: "cuModuleLoadData", .. }), "{refused}");
    cards.nothing_is_left();
}
