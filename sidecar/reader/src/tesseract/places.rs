//! Where Tesseract and its language data lie on the systems that people have.

use std::path::PathBuf;

/// Paths of the library, the likeliest first, and on Linux names that the system's loader looks up.
///
/// The loaders of Windows and macOS look for a bare name in the current directory as well, which may be a project that
/// somebody else wrote. So all paths there are absolute.
pub(super) fn libraries() -> Vec<PathBuf> {
    if cfg!(windows) {
        // As UB Mannheim's installer and MSYS2 call it, and vcpkg.
        let names = ["libtesseract-5.dll", "tesseract55.dll", "tesseract54.dll", "tesseract53.dll"];
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = program_files().into_iter().chain(std::env::split_paths(&path));
        let absolute: Vec<PathBuf> = folders.filter(|folder| folder.is_absolute()).collect();
        absolute.iter().flat_map(|folder| names.map(|name| folder.join(name))).collect()
    } else if cfg!(target_os = "macos") {
        // Homebrew on Apple's and on Intel's processors, then MacPorts. Programs do not look there by themselves.
        [
            "/opt/homebrew/lib/libtesseract.5.dylib",
            "/usr/local/lib/libtesseract.5.dylib",
            "/opt/local/lib/libtesseract.5.dylib",
        ]
        .iter()
        .map(PathBuf::from)
        .collect()
    } else {
        ["libtesseract.so.5", "libtesseract.so.4", "/usr/local/lib/libtesseract.so.5"]
            .iter()
            .map(PathBuf::from)
            .collect()
    }
}

/// Folders of language data, the likeliest first, after those that the environment names.
pub(super) fn data() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    // Tesseract's own variable; before version 4 it named the folder above.
    if let Some(prefix) = std::env::var_os("TESSDATA_PREFIX").map(PathBuf::from) {
        folders.push(prefix.clone());
        folders.push(prefix.join("tessdata"));
    }
    if cfg!(windows) {
        folders.extend(program_files().into_iter().map(|folder| folder.join("tessdata")));
    } else {
        let known = [
            "/usr/share/tesseract-ocr/5/tessdata",
            "/usr/share/tesseract-ocr/4.00/tessdata",
            "/usr/share/tesseract/tessdata",
            "/usr/share/tessdata",
            "/opt/homebrew/share/tessdata",
            "/usr/local/share/tessdata",
            "/opt/local/share/tessdata",
        ];
        folders.extend(known.iter().map(PathBuf::from));
    }
    folders
}

/// Where Tesseract's installer for Windows puts it, for all users and for one.
fn program_files() -> Vec<PathBuf> {
    let under = |variable: &str, below: &str| {
        std::env::var_os(variable).map(|folder| PathBuf::from(folder).join(below).join("Tesseract-OCR"))
    };
    ["ProgramFiles", "ProgramW6432"]
        .iter()
        .filter_map(|variable| under(variable, ""))
        .chain(under("LOCALAPPDATA", "Programs"))
        .collect()
}
