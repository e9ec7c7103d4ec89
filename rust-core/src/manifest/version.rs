//! `requires = ">=0.1, <2"`: which versions of Thumbforge may read a manifest.

/// Whether `version` is one that `requires` admits.
///
/// # Errors
/// What is wrong with the requirement.
pub(super) fn admits(requires: &str, version: &str) -> Result<bool, String> {
    let version = parts(version).ok_or_else(|| format!("{version:?} is no version"))?;
    let mut admitted = true;
    for one in requires.split(',') {
        let one = one.trim();
        let (operator, wanted) = match one.find(|c: char| c.is_ascii_digit()) {
            Some(at) => (one[..at].trim(), one[at..].trim()),
            None => return Err(format!("{one:?} names no version")),
        };
        let given = wanted.split('.').count();
        let wanted = parts(wanted).ok_or_else(|| format!("{wanted:?} is no version"))?;
        admitted &= match operator {
            ">=" => version >= wanted,
            ">" if given < 3 => version[..given] > wanted[..given],
            ">" => version > wanted,
            "<" => version < wanted,
            "<=" if given < 3 => version[..given] <= wanted[..given],
            "<=" => version <= wanted,
            "=" | "==" | "" => version[..given] == wanted[..given],
            other => return Err(format!("{other:?} compares nothing")),
        };
    }
    Ok(admitted)
}

/// `1`, `1.2` or `1.2.3`; what is left out is 0, and a suffix (`-dev`) is not compared.
fn parts(text: &str) -> Option<[u32; 3]> {
    let text = text.split(['-', '+']).next()?;
    let mut parts = [0; 3];
    for (at, part) in text.split('.').enumerate() {
        *parts.get_mut(at)? = part.trim().parse().ok()?;
    }
    Some(parts)
}
