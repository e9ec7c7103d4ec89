//! What a process that an editor starts does not keep of it.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::windows::fs::OpenOptionsExt;
use std::process::Stdio;

use windows_sys::Win32::Foundation::SetHandleInformation;

use super::*;

/// What the next test runs in a process of its own.
#[test]
#[ignore = "a part of another test"]
fn part_of_a_process_that_inherits() {
    println!("\nstarted");
    let mut line = String::new();
    io::stdin().read_line(&mut line).unwrap();
    close_inherited();
    println!("\nclosed");
    io::stdin().read_line(&mut line).unwrap();
}

#[test]
fn a_file_that_an_editor_left_open_is_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept");
    // Shared with nobody: as long as anybody has it open, nobody else can open it.
    let file = OpenOptions::new().write(true).create(true).truncate(true).share_mode(0).open(&path).unwrap();
    // SAFETY: the handle is open.
    unsafe { SetHandleInformation(file.as_raw_handle(), HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT) };
    let name = format!("{}::part_of_a_process_that_inherits", module_path!().split_once("::").unwrap().1);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", "--nocapture", &name]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(file);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut stdin = child.stdin.take().unwrap();
    assert!(lines.any(|line| line == "started"));
    assert!(File::open(&path).is_err(), "nothing was inherited");
    stdin.write_all(b"close\n").unwrap();
    assert!(lines.any(|line| line == "closed"));
    // A process that another test started at the same time may have inherited it too.
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(err) = File::open(&path) {
        assert!(Instant::now() < deadline, "{err}");
        std::thread::yield_now();
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}
