//! Whatever a manifest says, outputs stay within the project.

use super::*;

fn check(relative: &str, expected: Result<&str, &str>) {
    let root = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(root.path().join("Assets/Art")).expect("a folder");
    std::fs::write(root.path().join("Assets/file"), b"").expect("a file");
    let found = inside(root.path(), relative);
    match (found, expected) {
        (Ok(path), Ok(expected)) => assert_eq!(path, root.path().join(expected), "{relative}"),
        (Err(err), Err(expected)) => assert!(err.to_string().contains(expected), "{relative}: {err}"),
        (found, expected) => panic!("{relative}: {found:?}, not {expected:?}"),
    }
}

#[test]
fn a_path_below_the_root_is_taken() {
    check("a.png", Ok("a.png"));
    check("Assets/Art/a.png", Ok("Assets/Art/a.png"));
    check("Assets/New/Deep/a.png", Ok("Assets/New/Deep/a.png"));
    check("./Assets//a.png", Ok("Assets/a.png"));
    check("Assets/../Other/a.png", Ok("Other/a.png"));
    check("Assets/..a.png", Ok("Assets/..a.png"));
}

#[test]
fn a_path_out_of_the_root_is_refused() {
    check("../a.png", Err("leads out of"));
    check("Assets/../../a.png", Err("leads out of"));
    check("/etc/passwd", Err("leads out of"));
    check("C:/a.png", Err("leads out of"));
    check("\\\\server\\a.png", Err("leads out of"));
}

#[test]
fn what_is_no_path_of_a_file_is_refused() {
    check("", Err("no path of a file"));
    check(".", Err("no path of a file"));
    check("Assets/", Err("no path of a file"));
    check("Assets\\a.png", Err("no path of a file"));
    check("a\0.png", Err("no path of a file"));
    check("Assets/file/a.png", Err("is a file, not a folder"));
}

#[cfg(unix)]
#[test]
fn links_are_followed_only_within_the_project() {
    use std::os::unix::fs::symlink;
    let root = tempfile::tempdir().expect("a folder");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let at = |name: &str| root.path().join(name);
    std::fs::create_dir(at("real")).expect("a folder");
    std::fs::write(at("real/a.png"), b"").expect("a file");
    symlink(elsewhere.path(), at("out")).expect("a link");
    symlink("real", at("within")).expect("a link");
    symlink("a.png", at("real/link.png")).expect("a link");
    symlink("nowhere", at("real/dangling.png")).expect("a link");

    let mut fence = Fence::new(root.path()).expect("a fence");
    assert_eq!(fence.path("within/a.png").expect("inside"), at("within/a.png"));
    let err = fence.path("out/deep/a.png").expect_err("outside");
    assert!(matches!(&err, FenceError::LinkOut { link, .. } if *link == at("out")), "{err}");
    assert_eq!(err.code(), ErrorCode::OutputPath);
    for name in ["real/link.png", "within/link.png", "real/dangling.png"] {
        assert!(matches!(fence.path(name), Err(FenceError::LinkedFile { .. })), "{name}");
    }
    assert!(elsewhere.path().read_dir().expect("reads").next().is_none());
}

#[cfg(unix)]
#[test]
fn a_root_that_is_a_link_itself_is_no_escape() {
    let real = tempfile::tempdir().expect("a folder");
    let other = tempfile::tempdir().expect("a folder");
    let link = other.path().join("project");
    std::fs::create_dir(real.path().join("Assets")).expect("a folder");
    std::os::unix::fs::symlink(real.path(), &link).expect("a link");
    assert_eq!(inside(&link, "Assets/a.png").expect("inside"), link.join("Assets/a.png"));
}

#[test]
fn a_folder_that_appears_later_is_looked_at_then() {
    let root = tempfile::tempdir().expect("a folder");
    let mut fence = Fence::new(root.path()).expect("a fence");
    assert!(fence.path("new/a.png").is_ok());
    std::fs::write(root.path().join("new"), b"").expect("a file");
    assert!(matches!(fence.path("new/a.png"), Err(FenceError::FileOnTheWay { .. })));
}
