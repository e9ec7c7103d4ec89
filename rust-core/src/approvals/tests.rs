//! Decisions are the same bytes everywhere, hold for pixels alone, and survive whatever merges do to their file.

use proptest::prelude::*;

use super::*;

fn line(asset: &str, locale: &str, role: &str, decision: Decision, fill: u8, date: &str) -> Approval {
    Approval {
        asset: asset.to_owned(),
        locale: locale.to_owned(),
        role: role.to_owned(),
        decision,
        pixels: PixelHash([fill; 32]),
        person: "Kim".to_owned(),
        date: date.to_owned(),
        note: String::new(),
    }
}

/// This is in every team's repository: a change here is a new format version.
const GOLDEN: &str = "thumbforge.approvals 1\n\
    logo\t-\tart-director\trejected\t2222222222222222222222222222222222222222222222222222222222222222\tKim\t2026-11-20\ttoo dark, see the brief\n\
    sword\ten\tart-director\taccepted\t1111111111111111111111111111111111111111111111111111111111111111\tKim\t2026-11-21\t\n\
    sword\ten\tlocalisation\taccepted\t1111111111111111111111111111111111111111111111111111111111111111\tKim\t2026-11-19\t\n\
    剣\tja\tart-director\taccepted\t3333333333333333333333333333333333333333333333333333333333333333\tKim\t2026-11-21\t\n";

fn golden() -> Approvals {
    let mut approvals = Approvals::default();
    for line in [
        line("剣", "ja", "art-director", Decision::Accepted, 0x33, "2026-11-21"),
        line("sword", "en", "localisation", Decision::Accepted, 0x11, "2026-11-19"),
        line("sword", "en", "art-director", Decision::Rejected, 0x99, "2026-11-18"),
        line("sword", "en", "art-director", Decision::Accepted, 0x11, "2026-11-21"),
        Approval {
            note: "too dark, see the brief".into(),
            ..line("logo", "", "art-director", Decision::Rejected, 0x22, "2026-11-20")
        },
    ] {
        approvals.decide(line).expect("a line that can be written");
    }
    approvals
}

#[test]
fn version_1_is_these_bytes() {
    assert_eq!(golden().to_text(), GOLDEN);
    assert_eq!(Approvals::parse("thumbforge.approvals", GOLDEN.as_bytes()), Ok(golden()));
    assert_eq!(Approvals::default().to_text(), "thumbforge.approvals 1\n");
}

#[test]
fn what_git_and_editors_do_to_white_space_does_not_matter() {
    let crlf = format!("\u{feff}{}\r\n\r\n", GOLDEN.replace('\n', "\r\n"));
    let trimmed: String = GOLDEN.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    for text in [crlf, trimmed] {
        assert_eq!(Approvals::parse("a", text.as_bytes()), Ok(golden()));
    }
    for text in ["", "\n\n", "thumbforge.approvals 1"] {
        assert_eq!(Approvals::parse("a", text.as_bytes()), Ok(Approvals::default()));
    }
}

#[test]
fn a_union_merge_leaves_the_decision_of_the_later_day() {
    let mut lines: Vec<String> = GOLDEN.lines().map(str::to_owned).collect();
    lines.insert(1, lines[2].replace("accepted", "rejected").replace("2026-11-21", "2026-11-02"));
    lines.push(lines[3].clone());
    lines.swap(2, 4);
    assert_eq!(Approvals::parse("a", lines.join("\n").as_bytes()), Ok(golden()));
}

#[test]
fn damage_is_told_with_its_line_and_the_fix() {
    let lines: Vec<&str> = GOLDEN.lines().collect();
    let (header, first, second) = (lines[0], lines[1], lines[2]);
    let check = |text: String, code: ErrorCode, told: &[&str]| {
        let errors = Approvals::parse("thumbforge.approvals", text.as_bytes()).expect_err("damage");
        let message = errors.to_string();
        assert_eq!(errors.code(), code, "{message}");
        for part in told {
            assert!(message.contains(part), "{part:?} is not in:\n{message}");
        }
    };
    let damaged = |from: &str, to: &str| format!("{header}\n{}\n", first.replace(from, to));
    check(
        format!("{header}\n<<<<<<< HEAD\n{first}\n=======\n{second}\n>>>>>>> theirs\n"),
        ErrorCode::Corrupt,
        &["thumbforge.approvals:2: the file has an unresolved merge conflict; keep the lines of both sides"],
    );
    check(format!("<<<<<<< HEAD\n{header}\n"), ErrorCode::Corrupt, &["merge conflict"]);
    let twice = second.replace("accepted", "rejected");
    check(
        format!("{header}\n{second}\n{twice}\n"),
        ErrorCode::Corrupt,
        &["thumbforge.approvals:3:", "decided twice on \"sword\" on 2026-11-21, here and on line 2", "keep the line"],
    );
    check(format!("{header}\n{}\n", &first[..30]), ErrorCode::Corrupt, &[":2: the line has 5 fields of 8"]);
    check(format!("{header}\n{first}\textra\n"), ErrorCode::Corrupt, &["9 fields of 8"]);
    check(damaged("2222", "22g2"), ErrorCode::Corrupt, &["the pixel hash", "is no hash"]);
    check(damaged("rejected", "maybe"), ErrorCode::Corrupt, &["\"maybe\" is no decision"]);
    check(damaged("2026-11-20", "2026-13-20"), ErrorCode::Corrupt, &["the date \"2026-13-20\""]);
    check(damaged("2026-11-20", "20.11.2026"), ErrorCode::Corrupt, &["the date"]);
    check(damaged("\t-\t", "\t\t"), ErrorCode::Corrupt, &["the locale is empty"]);
    check(damaged("\t-\t", "\tnot a locale\t"), ErrorCode::Corrupt, &["the locale \"not a locale\""]);
    check(damaged("Kim", ""), ErrorCode::Corrupt, &["the person", "must not be empty"]);
    check(
        "thumbforge.approvals 2\nwhatever\n".into(),
        ErrorCode::VersionMismatch,
        &["thumbforge.approvals:1:", "format 2", "reads up to 1"],
    );
    check("thumbforge.lock 1\n".into(), ErrorCode::Corrupt, &["the first line is \"thumbforge.lock 1\""]);
}

#[test]
fn what_would_break_the_file_is_refused() {
    let good = || line("sword", "en", "art-director", Decision::Accepted, 1, "2026-11-21");
    for (bad, field) in [
        (Approval { asset: "a\tb".into(), ..good() }, "asset"),
        (Approval { asset: String::new(), ..good() }, "asset"),
        (Approval { locale: "-".into(), ..good() }, "locale"),
        (Approval { role: "art\ndirector".into(), ..good() }, "role"),
        (Approval { role: String::new(), ..good() }, "role"),
        (Approval { person: "Kim\r".into(), ..good() }, "person"),
        (Approval { person: " Kim".into(), ..good() }, "person"),
        (Approval { note: "one\ntwo".into(), ..good() }, "note"),
        (Approval { note: "x".repeat(2000), ..good() }, "note"),
        (Approval { date: "yesterday".into(), ..good() }, "date"),
    ] {
        let mut approvals = golden();
        assert_eq!(approvals.decide(bad).expect_err(field).field, field);
        assert_eq!(approvals, golden());
    }
}

#[test]
fn a_decision_holds_for_its_pixels_alone() {
    let approvals = golden();
    let standing = |asset: &str, locale: &str, fill: Option<u8>| {
        let found = approvals.standing(asset, locale, fill.map(|fill| PixelHash([fill; 32])));
        found.map(|(standing, line)| (standing, line.role.clone()))
    };
    let by = |standing, role: &str| Some((standing, role.to_owned()));
    assert_eq!(standing("sword", "en", Some(0x11)), by(Standing::Accepted, "art-director"));
    assert_eq!(standing("sword", "en", Some(0x12)), by(Standing::Void, "art-director"));
    assert_eq!(standing("sword", "en", None), by(Standing::Void, "art-director"));
    assert_eq!(standing("sword", "de", Some(0x11)), None);
    assert_eq!(standing("logo", "", Some(0x22)), by(Standing::Rejected, "art-director"));
    // One who rejects outweighs one who accepts, whoever came last.
    let mut disputed = approvals.clone();
    disputed.decide(line("sword", "en", "brand", Decision::Rejected, 0x11, "2026-01-01")).expect("a line");
    let (standing, by) = disputed.standing("sword", "en", Some(PixelHash([0x11; 32]))).expect("decisions");
    assert_eq!((standing, by.role.as_str()), (Standing::Rejected, "brand"));
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_writes_the_same(
        keys in prop::collection::vec(("[a-zé剣]{1,4}", "(|en|de|zh-Hans)", "[a-z]{1,3}", any::<bool>()), 0..20),
        note in "[^\\p{C}]{0,20}",
        fill: u8,
    ) {
        let mut approvals = Approvals::default();
        let mut lines = Vec::new();
        for (asset, locale, role, accepted) in keys {
            let decision = if accepted { Decision::Accepted } else { Decision::Rejected };
            let one = Approval {
                note: note.trim().to_owned(),
                ..line(&asset, &locale, &role, decision, fill, "2026-11-21")
            };
            lines.retain(|other: &Approval| other.key() != one.key());
            lines.push(one.clone());
            prop_assert_eq!(approvals.decide(one), Ok(()));
        }
        let text = approvals.to_text();
        prop_assert_eq!(Approvals::parse("a", text.as_bytes()), Ok(approvals.clone()));
        let mut again = Approvals::default();
        for one in lines.into_iter().rev() {
            prop_assert_eq!(again.decide(one), Ok(()));
        }
        prop_assert_eq!(again.to_text(), text);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..500_usize, at in 0..500_usize) {
        let _ = Approvals::parse("a", &bytes);
        let mut damaged = GOLDEN.as_bytes().to_vec();
        let at = at.min(damaged.len());
        damaged.splice(at..(at + cut).min(GOLDEN.len()), bytes);
        let _ = Approvals::parse("a", &damaged);
    }
}
