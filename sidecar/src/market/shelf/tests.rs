//! The shelf: what changed is read anew, what is broken changes nothing.

use std::fs;

use thumbforge_core::money::Micros;

use super::*;

const ONE: &str = "[accounts.own]\nprovider = \"a1111\"\nbase_url = \"http://127.0.0.1:7860\"\nprice_usd = \"0.01\"\n";

struct Rig {
    folder: tempfile::TempDir,
    shelf: Shelf,
    now: Instant,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.toml"), ONE).unwrap();
        let shelf = Shelf::open(folder.path(), None, Ambient::Ignored).unwrap();
        let now = shelf.state.lock().looked;
        Self { folder, shelf, now }
    }

    /// Writes a file as editors do: beside it, then in its place.
    fn write(&self, name: &str, text: &str) {
        let beside = self.folder.path().join("new");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.folder.path().join(name)).unwrap();
    }

    fn after(&mut self, time: Duration) -> Arc<Market> {
        self.now += time;
        self.shelf.at(self.now)
    }
}

fn price(market: &Market) -> Option<Micros> {
    market.accounts["own"].price
}

#[test]
fn a_snapshot_stays_as_it_is_while_the_file_changes() {
    let mut rig = Rig::new();
    let held = rig.after(Duration::ZERO);
    rig.write("config.toml", &ONE.replace("0.01", "0.02").replace("price", "images_in_flight = 3\nprice"));
    let next = rig.after(LOOK);
    assert_eq!((price(&held), held.accounts["own"].limits.images_in_flight), (Some(Micros(10_000)), 1));
    assert_eq!((price(&next), next.accounts["own"].limits.images_in_flight), (Some(Micros(20_000)), 3));
    assert_eq!((held.revision, next.revision), (1, 2));
    rig.write("config.toml", "");
    assert!(rig.after(LOOK).accounts.is_empty(), "an account that is gone is gone for new work");
    assert_eq!(price(&held), Some(Micros(10_000)));
}

#[test]
fn files_are_looked_at_once_a_second_and_read_when_they_changed() {
    let mut rig = Rig::new();
    let first = rig.after(Duration::ZERO);
    rig.write("config.toml", &ONE.replace("0.01", "0.02"));
    assert!(Arc::ptr_eq(&first, &rig.after(Duration::from_millis(999))), "looked at too early");
    let second = rig.after(Duration::from_millis(1));
    assert_eq!(price(&second), Some(Micros(20_000)));
    assert!(Arc::ptr_eq(&second, &rig.after(LOOK * 100)), "read though nothing changed");
}

#[test]
fn a_broken_file_changes_nothing_but_is_told() {
    let mut rig = Rig::new();
    rig.write("config.toml", "[accounts.own]\nprovider = ");
    let broken = rig.after(LOOK);
    assert_eq!((price(&broken), broken.revision), (Some(Micros(10_000)), 1));
    assert!(broken.problems[0].contains("config.toml, line 2"), "{:?}", broken.problems);
    assert!(Arc::ptr_eq(&broken, &rig.after(LOOK)), "a broken file is told once");
    rig.write("config.toml", &ONE.replace("0.01", "0.03"));
    let mended = rig.after(LOOK);
    assert_eq!((price(&mended), mended.revision, mended.problems.len()), (Some(Micros(30_000)), 2, 0));
}

#[test]
fn rows_of_the_users_own_go_over_those_that_ship() {
    let mut rig = Rig::new();
    let shipped = rig.after(Duration::ZERO).catalogue.rows().len();
    rig.write("models.toml", "[[model]]\nid = \"mine\"\nname = \"Mine\"\nfamily = \"hosted\"\nprovider = \"a1111\"\n");
    let market = rig.after(LOOK);
    assert_eq!(market.catalogue.rows().len(), shipped + 1);
    assert_eq!(market.catalogue.resolve("mine").unwrap().provider.as_deref(), Some("a1111"));
    rig.write("models.toml", "[[model]]\nid = \"mine\"\n");
    let broken = rig.after(LOOK);
    assert!(broken.catalogue.resolve("mine").is_ok() && broken.problems[0].contains("models.toml"));
}

#[test]
fn a_market_that_is_fixed_reads_nothing() {
    let shelf = Shelf::fixed(Market::built_in());
    let first = shelf.now();
    assert!(Arc::ptr_eq(&first, &shelf.at(Instant::now() + LOOK * 9)));
}

#[test]
fn at_the_start_a_broken_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("models.toml"), "[[model]]\nid = 3").unwrap();
    let err = Shelf::open(folder.path(), None, Ambient::Ignored).err().unwrap();
    assert!(err.to_string().contains("models.toml"), "{err}");
}
