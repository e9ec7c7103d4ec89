//! The sidecar as a process of its own: without a port, with a log that tells afterwards what happened.

#![cfg(unix)]

use std::fs;

use thumbforge_tests::rig::{Rig, Signal};

use crate::BINARY;

#[test]
fn a_sidecar_without_a_port_says_in_its_log_what_became_of_it() {
    let rig = Rig::new(BINARY);
    let (log, other) = (rig.path().join("sidecar.log"), rig.path().join("other.log"));
    let log_args = |path: &std::path::Path| ["--log".to_owned(), path.display().to_string()];
    let serve = ["serve", "--no-http"].map(str::to_owned);
    let mut sidecar = rig.start(&[serve.as_slice(), &log_args(&log)].concat());
    sidecar.line("ready, without HTTP");
    // One that finds the place taken, started by somebody who does not read what it says.
    rig.run(&[serve.as_slice(), &log_args(&other), &["-q".to_owned()]].concat()).expect(2).says(&["data_dir_in_use"]);
    sidecar.signal(Signal::Terminate);
    sidecar.ended().expect(0).says(&["stopped"]);
    let read = |path| fs::read_to_string(path).expect("a log");
    for words in ["INFO ready, without HTTP", "INFO stopped"] {
        assert!(read(&log).contains(words), "{words:?} is not in: {}", read(&log));
    }
    assert!(read(&other).contains("ERROR") && read(&other).contains("data_dir_in_use"), "{}", read(&other));
    // The next one adds to it.
    let idle = ["--idle-exit", "1"].map(str::to_owned);
    rig.run(&[serve.as_slice(), &log_args(&log), &idle].concat()).expect(0);
    assert_eq!(read(&log).matches("INFO ready").count(), 2);
    assert!(read(&log).contains("INFO idle for 1s"), "{}", read(&log));
}

#[test]
fn flags_of_http_and_none_of_it_do_not_go_together() {
    let rig = Rig::new(BINARY);
    rig.run(&["serve", "--no-http", "--port", "0"]).expect(2).says(&["--no-http", "--port"]);
    let nowhere = rig.path().join("no/such/folder.log").display().to_string();
    rig.run(&["serve", "--no-http", "--log", &nowhere]).expect(3).says(&["error[output_file]", "folder.log"]);
}
