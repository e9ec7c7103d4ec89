//! Disks and data directories in trouble: full, read-only, damaged, taken.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use thumbforge_tests::rig::{Rig, Signal, journal, snapshot};

use crate::fixture::{TABLE, built, counts, manifest, shop};

/// A small file system in memory, gone when the test ends.
pub(crate) struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// Mounts one, or says aloud that the system does not let this user.
    pub(crate) fn mount(at: &'a Path, options: &str) -> Option<Self> {
        fs::create_dir_all(at).expect("a folder");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).output();
        match mount {
            Ok(mount) if mount.status.success() => Some(Self(at)),
            mount => {
                // Not `println!`: the test harness would swallow it.
                let line = format!("NOT RUN: a test of a small disk: this system lets us mount none ({mount:?})\n");
                let _ = std::io::stderr().write_all(line.as_bytes());
                None
            }
        }
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_under_the_outputs() {
    let rig = shop();
    let outputs = rig.project().join("Assets");
    // Room for one or two of the four pictures.
    let Some(disk) = SmallDisk::mount(&outputs, "size=64k") else { return };
    let ran = rig.run(&["batch", "--json"]).expect(3).says(&["error[disk_full]", "free some space"]);
    let failed = counts(&ran.json())[4];
    assert!(failed > 0, "{}", ran.stdout);
    for (path, bytes) in snapshot(&outputs) {
        assert!(path.ends_with(".png"), "a leftover: {path}");
        assert!(png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().is_ok(), "half a picture: {path}");
    }
    drop(disk);
    // With room again, the pictures come out of the store: none is drawn twice.
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    assert_eq!(counts(&report), [4, 0, 4, 0, 0], "{report:#}");
    assert_eq!(journal::figures(&rig.journal()).rendered, 4);
}

#[test]
fn a_full_disk_under_the_data_directory() {
    let rig = shop();
    let data = rig.data();
    let Some(disk) = SmallDisk::mount(&data, "size=256k") else { return };
    let ran = rig.run(&["batch"]).expect(3).says(&["error[disk_full]", "free some space"]);
    assert!(ran.stderr.contains("free some space"));
    // More room, same directory: everything is made.
    let grown = Command::new("mount").args(["-o", "remount,size=64m"]).arg(disk.0).status();
    assert!(grown.is_ok_and(|grown| grown.success()), "the small disk does not grow");
    rig.run(&["batch"]).expect(0);
    let figures = journal::figures(&rig.journal());
    assert_eq!((figures.rendered, figures.rendered_twice), (4, 0), "{figures:?}");
}

#[test]
fn a_read_only_file_system_under_the_outputs() {
    let rig = built();
    let before = rig.read("thumbforge.lock");
    let shop_folder = rig.project().join("Assets/Shop2");
    let Some(_disk) = SmallDisk::mount(&shop_folder, "size=64k,ro") else { return };
    rig.write("thumbforge.toml", manifest("").replace("Assets/Shop/", "Assets/Shop2/"));
    let ran = rig.run(&["batch"]).expect(3);
    assert!(ran.stderr.contains("error["), "{}", ran.stderr);
    assert_eq!(snapshot(&rig.project().join("Assets/Shop")).len(), 4);
    rig.write("thumbforge.toml", manifest(""));
    rig.run(&["batch", "--json"]).expect(0);
    assert_eq!(rig.read("thumbforge.lock"), before);
}

#[test]
fn an_output_that_is_marked_read_only() {
    let rig = built();
    let path = rig.project().join("Assets/Shop/sword.en.png");
    let before = fs::read(&path).expect("a picture");
    let mut permissions = path.metadata().expect("a file").permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).expect("permissions");
    rig.write("Shop.csv", TABLE.replace("Sword", "Blade"));
    let ran = rig.run(&["batch", "--json"]).expect(3);
    let ran = ran.says(&["error[version_control]", "Assets/Shop/sword.en.png", "read-only"]);
    assert_eq!(counts(&ran.json()), [4, 3, 0, 0, 1], "{}", ran.stdout);
    assert_eq!(fs::read(&path).expect("a picture"), before, "a read-only file was changed");
}

#[test]
fn a_lock_that_is_marked_read_only() {
    let rig = built();
    let path = rig.project().join("thumbforge.lock");
    let before = fs::read(&path).expect("a lock");
    let mut permissions = path.metadata().expect("a file").permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).expect("permissions");
    rig.run(&["batch"]).expect(0);
    rig.write("Shop.csv", TABLE.replace("Sword", "Blade"));
    let ran = rig.run(&["batch", "--json"]).expect(3);
    let ran = ran.says(&["error[version_control]", "thumbforge.lock", "read-only"]);
    assert_eq!(counts(&ran.json()), [4, 3, 0, 0, 1], "{}", ran.stdout);
    assert_eq!(fs::read(&path).expect("a lock"), before, "a read-only file was changed");
}

#[test]
fn a_folder_where_a_picture_should_be() {
    let rig = shop();
    rig.write("Assets/Shop/sword.en.png/inside.txt", "x");
    let ran = rig.run(&["batch", "--json"]).expect(3);
    assert_eq!(counts(&ran.json()), [4, 0, 0, 3, 1], "{}", ran.stdout);
    assert_eq!(rig.read("Assets/Shop/sword.en.png/inside.txt"), b"x");
}

#[test]
fn a_damaged_journal() {
    let rig = built();
    let path = rig.journal();
    // Fold the log in, so that the page is read from the database itself.
    let connection = rusqlite::Connection::open(&path).expect("a journal");
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("a checkpoint");
    drop(connection);
    let length = path.metadata().expect("a file").len();
    let mut file = fs::OpenOptions::new().write(true).open(&path).expect("a file");
    for page in 1..length / 4096 {
        file.seek(SeekFrom::Start(page * 4096)).expect("a place");
        file.write_all(&[0xa5; 4096]).expect("a page");
    }
    drop(file);
    let (damaged, project) = (fs::read(&path).expect("a file"), rig.snapshot());
    // What is as it should be needs no journal.
    rig.run(&["batch"]).expect(0);
    rig.write("Shop.csv", TABLE.replace("Sword", "Blade"));
    rig.run(&["batch"]).expect(3).says(&["error[corrupt]", "journal.sqlite", "damaged", "backup"]);
    rig.run(&["serve", "--port", "0"]).expect(3).says(&["error[corrupt]", "journal.sqlite"]);
    rig.write("Shop.csv", TABLE);
    assert!(project == rig.snapshot(), "the project changed");
    assert_eq!(fs::read(&path).expect("a file"), damaged, "the damaged journal was written to");
    // The mend that the message names works.
    for name in ["journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"] {
        let _ = fs::rename(rig.data().join(name), rig.path().join(name));
    }
    rig.write("Shop.csv", TABLE.replace("Sword", "Blade"));
    rig.run(&["batch"]).expect(0);
}

#[test]
fn a_journal_that_is_none() {
    let rig = shop();
    fs::create_dir(rig.data()).expect("a folder");
    fs::write(rig.journal(), "this is no database, and it is longer than the header of one is".repeat(100))
        .expect("a file");
    rig.run(&["batch"]).expect(3).says(&["error[corrupt]", "journal.sqlite"]);
    rig.run(&["jobs"]).expect(3).says(&["error[corrupt]"]);
}

#[test]
fn a_picture_of_the_store_that_was_damaged() {
    let rig = built();
    let before = rig.snapshot();
    for (path, _) in snapshot(&rig.data().join("store/b3")) {
        fs::write(rig.data().join("store/b3").join(path), "damaged").expect("a file");
    }
    fs::remove_dir_all(rig.project().join("Assets")).expect("a folder");
    rig.run(&["batch"]).expect(0);
    // Drawn again, to the same bytes.
    assert!(before == rig.snapshot(), "the pictures differ");
}

#[test]
fn a_data_directory_that_is_taken() {
    let rig = shop();
    let sidecar = rig.serve(&[]);
    let says = ["error[data_dir_in_use]", "another Thumbforge process", "--data-dir"];
    rig.run(&["batch", "--no-sidecar"]).expect(2).says(&says);
    rig.run(&["serve", "--port", "0"]).expect(2).says(&says);
    rig.run(&["generate", "a sword", "--no-sidecar"]).expect(2).says(&says);
    // Reading works beside it.
    rig.run(&["jobs"]).expect(0);
    rig.run(&["plan"]).expect(0);
    sidecar.end(Signal::Terminate).expect(0);
    rig.run(&["batch"]).expect(0);
}

#[test]
fn a_port_that_is_taken() {
    let rig = Rig::new(crate::BINARY);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    rig.run(&["serve", "--port", &port]).expect(2).says(&["error[port_taken]", &port, "--port"]);
    assert!(!rig.journal().exists(), "a sidecar without a port opened a journal");
}

#[test]
fn a_data_directory_that_cannot_be() {
    let rig = shop();
    rig.write("../data", "a file stands here");
    rig.run(&["batch"]).expect(3).says(&["error[storage]", "data"]);
    assert!(!rig.project().join("Assets").exists());
}
