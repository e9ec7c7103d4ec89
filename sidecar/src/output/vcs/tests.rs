//! Whether outputs may be written is known before any job runs. A scripted tool stands in for Perforce.

use super::*;

fn words(line: &str, expected: &[&str]) {
    assert_eq!(command::words(line).expect("words"), expected, "{line}");
}

#[test]
fn a_command_is_split_as_a_shell_does() {
    words("svn lock", &["svn", "lock"]);
    words("  svn   lock\t--force ", &["svn", "lock", "--force"]);
    words("'my tool' \"and its\" plain", &["my tool", "and its", "plain"]);
    words(r#"tool --message="it's mine""#, &["tool", "--message=it's mine"]);
    words(r"C:\tools\lock.exe a\ b", &[r"C:\tools\lock.exe", "a b"]);
    words(r#"tool "" ''"#, &["tool", "", ""]);
    words("tool $(rm) ; && |", &["tool", "$(rm)", ";", "&&", "|"]);
    assert!(command::words("tool 'open").is_err());
    assert!(command::words("  ").is_err());
}

#[test]
fn paths_are_appended_or_filled_in() {
    let paths = [Path::new("/a b"), Path::new("/$(rm)")];
    let words = |line| command::words(line).expect("words");
    assert_eq!(command::calls(&words("lock -f"), &paths), [["lock", "-f", "/a b", "/$(rm)"]]);
    let each = command::calls(&words("lock --file={path} -f"), &paths);
    assert_eq!(each, [["lock", "--file=/a b", "-f"], ["lock", "--file=/$(rm)", "-f"]]);
}

#[test]
fn no_call_is_longer_than_a_system_takes() {
    let names: Vec<PathBuf> = (0..2000).map(|at| format!("/project/Assets/item_{at:050}.png").into()).collect();
    let paths: Vec<&Path> = names.iter().map(PathBuf::as_path).collect();
    let calls = command::calls(&["lock".to_owned()], &paths);
    assert!(calls.len() > 1);
    let taken: Vec<_> = calls.iter().flat_map(|call| &call[1..]).collect();
    assert_eq!(taken, names.iter().map(|name| name.as_os_str()).collect::<Vec<_>>());
    for call in &calls {
        assert!(call.iter().map(|word| word.len() + 4).sum::<usize>() <= 25 * 1024);
    }
}

#[test]
fn the_setting_is_read() {
    assert_eq!(Vcs::from("none"), Vcs::None);
    assert_eq!(Vcs::from("p4"), Vcs::P4);
    assert_eq!(Vcs::from("git lfs lock"), Vcs::Command("git lfs lock".into()));
}

fn set_read_only(path: &Path) {
    let mut permissions = path.metadata().expect("there").permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(path, permissions).expect("sets");
}

/// A project with outputs, and a place beside it for tools.
struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("project/Assets")).expect("makes");
        Self { folder }
    }

    fn output(&self, name: &str) -> PathBuf {
        self.folder.path().join("project/Assets").join(name)
    }

    fn writable(&self, name: &str) -> PathBuf {
        std::fs::write(self.output(name), name).expect("writes");
        self.output(name)
    }

    fn read_only(&self, name: &str) -> PathBuf {
        set_read_only(&self.writable(name));
        self.output(name)
    }

    fn tools(&self) -> Tools {
        Tools {
            p4: self.folder.path().join("p4"),
            folder: self.folder.path().join("project"),
            timeout: Duration::from_secs(60),
        }
    }

    /// A shell script as a tool; it logs its arguments and its input beside itself.
    #[cfg(unix)]
    fn script(&self, name: &str, body: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.folder.path().join(name);
        let log = self.folder.path().join("log");
        std::fs::write(&path, format!("#!/bin/sh\nLOG='{}'\necho \"$@\" >> \"$LOG\"\n{body}\n", log.display()))
            .expect("writes");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("sets");
        path
    }

    #[cfg(unix)]
    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

fn settled(outputs: &[PathBuf], vcs: &Vcs, tools: &Tools) -> Vec<Settled> {
    let settled = settle(outputs, vcs, tools).expect("settles");
    assert!(settled.iter().map(|(path, _)| path).eq(outputs), "in order");
    settled.into_iter().map(|(_, settled)| settled).collect()
}

fn reason(settled: &Settled) -> &str {
    match settled {
        Settled::Skipped { reason } => reason,
        other => panic!("{other:?} is not skipped"),
    }
}

#[test]
fn what_can_be_written_is_not_changed_by_looking() {
    let project = Project::new();
    let outputs = [project.writable("a.png"), project.output("new.png"), project.output("New/Deep/b.png")];
    let before = outputs[0].metadata().expect("there").modified().expect("a time");
    assert_eq!(settled(&outputs, &Vcs::None, &project.tools()), vec![Settled::Writable; 3]);
    assert_eq!(std::fs::read(&outputs[0]).expect("reads"), b"a.png");
    assert_eq!(outputs[0].metadata().expect("there").modified().expect("a time"), before);
    let names = project.output("").read_dir().expect("reads").count();
    assert_eq!(names, 1, "nothing is left by the probe");
}

#[test]
fn a_read_only_file_is_skipped_and_told_without_version_control() {
    let project = Project::new();
    let outputs = [project.read_only("a.png"), project.writable("b.png")];
    let settled = settled(&outputs, &Vcs::None, &project.tools());
    assert!(reason(&settled[0]).contains("read-only"), "{settled:?}");
    assert_eq!(settled[1], Settled::Writable);
}

#[test]
fn what_is_no_file_is_skipped() {
    let project = Project::new();
    std::fs::create_dir(project.output("folder.png")).expect("makes");
    project.writable("file");
    let outputs = [project.output("folder.png"), project.output("file/a.png")];
    let settled = settled(&outputs, &Vcs::P4, &project.tools());
    assert!(reason(&settled[0]).contains("a folder lies there"), "{settled:?}");
    assert!(!reason(&settled[1]).is_empty());
}

#[test]
fn a_missing_tool_is_an_error_that_says_so() {
    let project = Project::new();
    let outputs = [project.read_only("a.png")];
    for vcs in [Vcs::P4, Vcs::Command("no-such-tool-anywhere lock".into())] {
        let err = settle(&outputs, &vcs, &project.tools()).expect_err("is missing");
        assert!(matches!(err, VcsError::NoProgram { .. }), "{err:?}");
        assert_eq!(err.code(), ErrorCode::VersionControl);
        assert!(err.to_string().contains("there is no such program"), "{err}");
    }
    let err = settle(&outputs, &Vcs::Command("tool 'x".into()), &project.tools()).expect_err("is no command");
    assert!(matches!(err, VcsError::Words { .. }), "{err:?}");
}

#[test]
fn a_tool_is_not_called_when_nothing_is_read_only() {
    let project = Project::new();
    assert_eq!(settled(&[project.writable("a.png")], &Vcs::P4, &project.tools()), [Settled::Writable]);
}

/// Does what Perforce does, for names that it was given on standard input.
#[cfg(unix)]
const P4: &str = r#"
while IFS= read -r escaped; do
    echo "in: $escaped" >> "$LOG"
    path=$(printf '%s' "$escaped" | sed 's/%40/@/g; s/%23/#/g; s/%2A/*/g; s/%25/%/g')
    case "$path" in
        *unknown*) echo "$path - file(s) not on client." >&2 ;;
        *) chmod u+w "$path"; echo "$path#1 - opened for edit" ;;
    esac
done"#;

#[cfg(unix)]
#[test]
fn perforce_checks_out_all_files_in_one_call() {
    let project = Project::new();
    project.script("p4", P4);
    let outputs = [
        project.read_only("a.png"),
        project.writable("b.png"),
        project.read_only("shield@2x #1 50%.png"),
        project.read_only("unknown.png"),
        project.output("new.png"),
    ];
    let settled = settled(&outputs, &Vcs::P4, &project.tools());
    assert_eq!(settled[..3], [Settled::CheckedOut, Settled::Writable, Settled::CheckedOut]);
    assert!(reason(&settled[3]).contains("not on client"), "{settled:?}");
    assert_eq!(settled[4], Settled::Writable);
    let log = project.log();
    assert_eq!(log.lines().filter(|line| *line == "-x - edit").count(), 1, "{log}");
    assert!(log.contains("shield%402x %231 50%25.png"), "{log}");
    assert!(!log.contains("b.png"), "{log}");
}

#[cfg(unix)]
#[test]
fn perforce_takes_thousands_of_files() {
    let project = Project::new();
    project.script("p4", "grep -c . >> \"$LOG\"; yes warning | head -c 300000 >&2");
    let outputs: Vec<_> = (0..3000).map(|at| project.read_only(&format!("{at}_{}.png", "x".repeat(40)))).collect();
    let settled = settled(&outputs, &Vcs::P4, &project.tools());
    assert!(settled.iter().all(|settled| reason(settled).contains("warning")));
    assert!(project.log().contains("3000"), "{}", project.log());
}

#[cfg(unix)]
#[test]
fn new_files_are_added_as_they_are_named() {
    let project = Project::new();
    project.script("p4", "cat >> \"$LOG\"");
    let new = [project.writable("shield@2x.png"), project.writable("shield@2x.png.meta")];
    announce(&new, &Vcs::P4, &project.tools()).expect("adds");
    let expected = format!("-x - add -f\n{}\n{}\n", new[0].display(), new[1].display());
    assert_eq!(project.log(), expected);
    announce(&[], &Vcs::P4, &project.tools()).expect("has nothing to add");
    announce(&new, &Vcs::None, &project.tools()).expect("has nobody to tell");
    assert_eq!(project.log(), expected);

    project.script("p4", "echo 'Connect to server failed; check $P4PORT.' >&2; exit 1");
    let err = announce(&new, &Vcs::P4, &project.tools()).expect_err("fails");
    assert!(err.to_string().contains("Connect to server failed"), "{err}");
}

#[cfg(unix)]
#[test]
fn the_teams_command_runs_without_a_shell() {
    let project = Project::new();
    let tool =
        project.script("my tool", "shift; for path; do echo \"path: $path\" >> \"$LOG\"; chmod u+w \"$path\"; done");
    let outputs = [project.read_only("a b.png"), project.read_only("$(touch gone).png")];
    let vcs = Vcs::Command(format!("'{}' checkout", tool.display()));
    assert_eq!(settled(&outputs, &vcs, &project.tools()), [Settled::CheckedOut, Settled::CheckedOut]);
    let log = project.log();
    assert!(log.contains(&format!("path: {}\npath: {}\n", outputs[0].display(), outputs[1].display())), "{log}");

    let each = [project.read_only("c.png"), project.read_only("d.png")];
    let vcs = Vcs::Command(format!("'{}' --one {{path}}", tool.display()));
    assert_eq!(settled(&each, &vcs, &project.tools()), [Settled::CheckedOut, Settled::CheckedOut]);
    assert_eq!(project.log().lines().filter(|line| line.starts_with("--one")).count(), 2);
}

#[cfg(unix)]
#[test]
fn a_tool_that_does_not_end_is_ended() {
    let project = Project::new();
    // It waits for a pipe that nobody ever opens, so only the kill ends it.
    project.script("p4", "mkfifo \"$LOG.pipe\"; exec cat \"$LOG.pipe\"");
    let tools = Tools { timeout: Duration::from_millis(200), ..project.tools() };
    let err = settle(&[project.read_only("a.png")], &Vcs::P4, &tools).expect_err("does not end");
    assert!(matches!(err, VcsError::TimedOut { .. }), "{err:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_running_program_as_output_is_held() {
    let project = Project::new();
    // A program that runs cannot be opened for writing, as a file that Windows shares with nobody.
    let output = project.output("held.png");
    std::fs::copy("/bin/cat", &output).expect("copies");
    let mut child = std::process::Command::new(&output)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("runs");
    let settled = settled(&[output], &Vcs::None, &project.tools());
    drop(child.stdin.take());
    child.wait().expect("ends");
    assert!(reason(&settled[0]).contains("another program holds it"), "{settled:?}");
}
