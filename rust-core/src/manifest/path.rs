//! Output paths that mean the same file on every platform and never leave the manifest's folder.
//!
//! This is the lexical half. Links are followed, and refused, by whoever writes the file.

use unicode_normalization::UnicodeNormalization;

use crate::limits;

/// Why a path is not taken as an output: what is wrong, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathFault {
    /// What is wrong.
    pub message: &'static str,
    /// What to do.
    pub fix: &'static str,
}

const fn fault(message: &'static str, fix: &'static str) -> PathFault {
    PathFault { message, fix }
}

/// Checks the path of an output.
///
/// # Errors
/// [`PathFault`], when the path could leave the folder, or could not be written on Windows, macOS and Linux alike.
pub fn check_output(path: &str) -> Result<(), PathFault> {
    check_form(path)?;
    for part in path.split('/') {
        check_part(part)?;
    }
    if !path.to_ascii_lowercase().ends_with(".png") {
        return Err(fault("does not end in .png", "outputs are PNG files: end the path in .png"));
    }
    Ok(())
}

/// Checks the path of an input file: relative to the manifest, but it may climb out of its folder (`../Localization/Shop.csv`).
///
/// # Errors
/// [`PathFault`], when it is absolute or could not be read on every platform.
pub fn check_input(path: &str) -> Result<(), PathFault> {
    check_form(path)?;
    let mut inside = false;
    for part in path.split('/') {
        match part {
            ".." if !inside => {}
            part => {
                inside = true;
                check_part(part)?;
            }
        }
    }
    if inside { Ok(()) } else { Err(fault("names no file", "write the path of a file")) }
}

fn check_form(path: &str) -> Result<(), PathFault> {
    if path.is_empty() {
        return Err(fault("is empty", "write a path relative to the manifest"));
    }
    if path.len() > limits::PATH_BYTES_MAX {
        return Err(fault("is too long", "keep paths within 400 bytes: longer ones cannot be opened on Windows"));
    }
    if path.contains('\\') {
        return Err(fault("has a backslash", "write forward slashes, on Windows too"));
    }
    if path.starts_with('/') {
        return Err(fault("is absolute", "write a path relative to the manifest"));
    }
    if path.as_bytes().get(1) == Some(&b':') {
        return Err(fault("has a drive letter", "write a path relative to the manifest"));
    }
    Ok(())
}

fn check_part(part: &str) -> Result<(), PathFault> {
    if part.is_empty() {
        return Err(fault("has an empty part", "write one slash between folders and none at the end"));
    }
    if part == "." || part == ".." {
        return Err(fault("leaves the manifest's folder or goes in circles", "write it without . and .."));
    }
    if part.len() > limits::PATH_PART_BYTES_MAX {
        return Err(fault("has a part of more than 200 bytes", "shorten it: file systems end at 255"));
    }
    if part.chars().any(|c| c.is_control() || is_invisible(c)) {
        return Err(fault("has a control or invisible character", "write visible characters only"));
    }
    if part.contains(['<', '>', ':', '"', '|', '?', '*']) {
        return Err(fault("has one of < > : \" | ? *", "Windows has no such file names: leave them out"));
    }
    if part.ends_with(['.', ' ']) || part.starts_with(' ') {
        return Err(fault(
            "has a part that begins with a space or ends in a dot or space",
            "Windows drops those: leave them out",
        ));
    }
    if part.eq_ignore_ascii_case(".git") {
        return Err(fault("lies in .git", "write outputs beside the project's files"));
    }
    let stem = part.split('.').next().unwrap_or(part).trim_end();
    if is_reserved(stem) {
        return Err(fault("has a name that Windows keeps for a device (CON, NUL, COM1 …)", "give it another name"));
    }
    Ok(())
}

/// Direction marks and the like: two paths that look the same must be the same.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn is_reserved(stem: &str) -> bool {
    let stem = stem.to_ascii_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let port = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    port.is_some_and(|port| matches!(port, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³"))
}

/// The path as Windows and macOS compare it: without case, composed.
pub(super) fn folded(path: &str) -> String {
    if path.is_ascii() {
        path.to_ascii_lowercase()
    } else {
        // Upper case first: it joins letters that lower case keeps apart (ß and ẞ, ς and σ).
        path.nfc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc().collect()
    }
}
