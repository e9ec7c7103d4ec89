//! The lock is the same bytes everywhere, and whatever a merge leaves in it is told by its line.

use proptest::prelude::*;

use super::*;

fn line(output: &str, fill: u8, engine: &str) -> LockLine {
    LockLine {
        output: output.to_owned(),
        planned: PlannedKey([fill; 32]),
        realised: RealisedKey([fill ^ 0x11; 32]),
        pixels: PixelHash([fill ^ 0x22; 32]),
        sha256: FileSha256([fill ^ 0x33; 32]),
        drawn_by: Arc::new(DrawnBy { engine: engine.into(), version: "3".into(), device_class: "cpu".into() }),
    }
}

/// This is in every team's repository: a change here is a new format version.
const GOLDEN: &str = "thumbforge.lock 1\n\
    Thumbnails/axt/axt.de.png\t1010101010101010101010101010101010101010101010101010101010101010\t0101010101010101010101010101010101010101010101010101010101010101\t3232323232323232323232323232323232323232323232323232323232323232\t2323232323232323232323232323232323232323232323232323232323232323\tlocal/3\tcpu\n\
    Thumbnails/剣/剣.ja.png\tabababababababababababababababababababababababababababababababab\tbabababababababababababababababababababababababababababababababa\t8989898989898989898989898989898989898989898989898989898989898989\t9898989898989898989898989898989898989898989898989898989898989898\tbuiltin/3\tcpu\n";

fn golden() -> Lock {
    Lock::new(vec![line("Thumbnails/剣/剣.ja.png", 0xab, "builtin"), line("Thumbnails/axt/axt.de.png", 0x10, "local")])
}

#[test]
fn version_1_is_these_bytes() {
    assert_eq!(golden().to_text(), GOLDEN);
    assert_eq!(Lock::parse("thumbforge.lock", GOLDEN.as_bytes()), Ok(golden()));
    assert_eq!(Lock::default().to_text(), "thumbforge.lock 1\n");
}

#[test]
fn what_git_and_editors_do_to_line_breaks_does_not_matter() {
    let crlf = format!("\u{feff}{}\r\n\r\n", GOLDEN.replace('\n', "\r\n"));
    assert_eq!(Lock::parse("l", crlf.as_bytes()), Ok(golden()));
    assert_eq!(Lock::parse("l", b""), Ok(Lock::default()));
    assert_eq!(Lock::parse("l", b"\n\n"), Ok(Lock::default()));
}

#[test]
fn lines_may_stand_in_any_order_and_twice_when_they_agree() {
    let lines: Vec<&str> = GOLDEN.lines().collect();
    let merged = [lines[0], lines[2], lines[1], lines[2]].join("\n");
    assert_eq!(Lock::parse("l", merged.as_bytes()), Ok(golden()));
}

#[test]
fn damage_is_told_with_its_line_and_the_fix() {
    let lines: Vec<&str> = GOLDEN.lines().collect();
    let check = |text: String, code: ErrorCode, told: &[&str]| {
        let errors = Lock::parse("thumbforge.lock", text.as_bytes()).expect_err("damage");
        let message = errors.to_string();
        assert_eq!(errors.code(), code, "{message}");
        for part in told {
            assert!(message.contains(part), "{part:?} is not in:\n{message}");
        }
    };
    let (header, first, second) = (lines[0], lines[1], lines[2]);
    let conflict = format!("{header}\n<<<<<<< HEAD\n{first}\n=======\n{second}\n>>>>>>> theirs\n");
    check(
        conflict,
        ErrorCode::Corrupt,
        &["thumbforge.lock:2: the file has an unresolved merge conflict; keep one line"],
    );
    check(format!("<<<<<<< HEAD\n{header}\n"), ErrorCode::Corrupt, &["merge conflict"]);
    check(
        format!("{header}\n{first}\n{}\n", first.replace("local/3", "local/4")),
        ErrorCode::Corrupt,
        &["thumbforge.lock:3:", "on line 2, and the two differ"],
    );
    check(
        format!("{header}\n{}\n", &first[..80]),
        ErrorCode::Corrupt,
        &["thumbforge.lock:2: the line has 2 fields of 7"],
    );
    check(format!("{header}\n{first}\textra\n"), ErrorCode::Corrupt, &["8 fields of 7"]);
    check(
        format!("{header}\n{}\n", first.replace("1010", "10g0")),
        ErrorCode::Corrupt,
        &["the planned key", "is no hash"],
    );
    check(
        format!("{header}\n{}\n", first.replace("local/3", "local")),
        ErrorCode::Corrupt,
        &["is no engine and device"],
    );
    check(
        format!("{header}\n{}\n", first.replace("Thumbnails", "..")),
        ErrorCode::Corrupt,
        &["leaves the manifest's folder"],
    );
    check(
        "thumbforge.lock 2\nwhatever\n".into(),
        ErrorCode::VersionMismatch,
        &["thumbforge.lock:1:", "format 2", "reads up to 1"],
    );
    check("{}".into(), ErrorCode::Corrupt, &["the first line is \"{}\""]);
    check("thumbforge.lock 0\n".into(), ErrorCode::Corrupt, &["the first line is"]);
}

#[test]
fn lines_are_found_replaced_and_dropped() {
    let mut lock = golden();
    assert_eq!(lock.get("Thumbnails/axt/axt.de.png").map(|line| line.drawn_by.engine.as_str()), Some("local"));
    assert_eq!(lock.get("nothing"), None);
    lock.upsert([line("b.png", 1, "file"), line("Thumbnails/axt/axt.de.png", 2, "builtin")]);
    assert_eq!(lock.lines().len(), 3);
    assert_eq!(lock.get("Thumbnails/axt/axt.de.png").map(|line| line.drawn_by.engine.as_str()), Some("builtin"));
    lock.retain(|line| line.output == "b.png");
    assert_eq!(lock.lines().len(), 1);
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_writes_the_same(outputs in prop::collection::btree_set("[a-zé剣]{1,4}(/[a-z 0-9]{0,3}[a-z])?\\.png", 0..20), fill: u8) {
        let lines = outputs.iter().map(|output| line(output, fill, if fill % 2 == 0 { "local" } else { "builtin" }));
        let lines: Vec<LockLine> = lines.filter(|line| path::check_output(&line.output).is_ok()).collect();
        let lock = Lock::new(lines.clone());
        let text = lock.to_text();
        prop_assert_eq!(Lock::parse("l", text.as_bytes()), Ok(lock.clone()));
        let mut shuffled = lines;
        shuffled.reverse();
        prop_assert_eq!(Lock::new(shuffled).to_text(), text);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..800_usize, at in 0..800_usize) {
        let _ = Lock::parse("l", &bytes);
        let mut damaged = GOLDEN.as_bytes().to_vec();
        let at = at.min(damaged.len());
        damaged.splice(at..(at + cut).min(GOLDEN.len()), bytes);
        let _ = Lock::parse("l", &damaged);
    }
}
