//! Plans 100,000 images with nothing to do and prints what each phase took.
//!
//! `cargo run --release -p thumbforge-core --example plan_bench [assets] [locales]`
//!
//! The files are in memory and their hashes are at hand, as with a warm stat cache, so this is the planner alone.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use thumbforge_core::id::{ContentHash, FileSha256, PixelHash, RealisedKey};
use thumbforge_core::lock::{DrawnBy, Lock, LockLine};
use thumbforge_core::manifest::{FileFault, Files, Manifest, Overrides, expand};
use thumbforge_core::model::Catalogue;
use thumbforge_core::plan::{Action, EnginesHere, Foreign, OutputState, PlanOptions, Stale, plan};

struct Table(Vec<u8>);

impl Files for Table {
    fn read(&self, _path: &str, _bytes_max: usize) -> Result<Vec<u8>, FileFault> {
        Ok(self.0.clone())
    }

    fn content(&self, _path: &str) -> Result<ContentHash, FileFault> {
        Err(FileFault::Missing)
    }
}

fn main() {
    let mut counts = std::env::args().skip(1).map(|count| count.parse().expect("a number"));
    let (assets, locales): (usize, usize) = (counts.next().unwrap_or(10_000), counts.next().unwrap_or(10));
    let (manifest_text, table) = project(assets, locales);
    println!(
        "{} images, manifest {} KiB, table {} KiB",
        assets * locales,
        manifest_text.len() >> 10,
        table.0.len() >> 10
    );
    let lock_text = lock_of(&manifest_text, &table);
    let before = peak_kib();

    // Twice: the second round has its memory and caches warm.
    for round in ["cold", "warm"] {
        let all = Instant::now();
        let mut mark = Instant::now();
        let mut took = |what: &str| {
            println!("{round} {what:<9} {:>7.1} ms", mark.elapsed().as_secs_f64() * 1e3);
            mark = Instant::now();
        };
        let manifest = Manifest::parse("thumbforge.toml", manifest_text.as_bytes()).expect("a good manifest");
        took("manifest");
        let strings = manifest.strings(&table).expect("a good table");
        took("strings");
        let lock = Lock::parse("thumbforge.lock", lock_text.as_bytes()).expect("a good lock");
        took("lock");
        let expansion = expand(&manifest, &strings, &table, &Catalogue::built_in(), &Overrides::default());
        let expansion = expansion.expect("good assets");
        took("expand");
        let outputs: Vec<OutputState> =
            lock.lines().iter().map(|line| OutputState::File { sha256: line.sha256, seen: None }).collect();
        let options = PlanOptions { foreign: Foreign::Keep, stale: Stale::Keep, scope: expansion.scope };
        let plan = plan(&expansion.wanted, &lock, |at| outputs[at].clone(), &EnginesHere::default(), options);
        took("plan");
        println!("{round} all       {:>7.1} ms", all.elapsed().as_secs_f64() * 1e3);
        assert!(plan.items.len() == assets * locales && plan.items.iter().all(|item| item.action == Action::Unchanged));
    }
    println!("peak {} MiB (of which {} MiB were there before planning)", peak_kib() >> 10, before >> 10);
}

/// A shop: one template with a prompt and two text layers, and assets that fill it in.
fn project(assets: usize, locales: usize) -> (String, Table) {
    let codes: Vec<String> = (0..locales).map(|at| format!("a{}", char::from(b'a' + at as u8))).collect();
    let mut manifest = format!("[locales]\nlist = {codes:?}\nstrings = [\"Shop.csv\"]\n");
    manifest.push_str(
        r##"
[output]
path = "Thumbnails/{{ asset }}/{{ asset }}.{{ locale }}.png"
[tiers.production]
model = "sd3.5-medium"
steps = 28
[templates.card]
prompt = "{{ style }}, {{ subject }} on a wooden table, {{ mood }}, centred, no text"
negative = "blurry, watermark"
vars = { style = "flat vector game icon", mood = "warm light" }
[[templates.card.text]]
name = "title"
string = "{{ asset }}.title"
area = [0.06, 0.04, 0.88, 0.2]
[[templates.card.text]]
name = "price"
string = "{{ asset }}.price"
area = [0.5, 0.82, 0.45, 0.14]
"##,
    );
    let mut table = format!("Key,{}\n", codes.join(","));
    for at in 0..assets {
        writeln!(manifest, "[assets.item{at:05}]\ntemplate = \"card\"\nvars = {{ subject = \"item {at} of steel\" }}")
            .expect("memory");
        for layer in ["title", "price"] {
            write!(table, "item{at:05}.{layer}").expect("memory");
            for code in &codes {
                write!(table, ",The {layer} of {at} in {code}").expect("memory");
            }
            table.push('\n');
        }
    }
    (manifest, Table(table.into_bytes()))
}

/// The lock of a project whose images are all drawn.
fn lock_of(manifest: &str, table: &Table) -> String {
    let manifest = Manifest::parse("thumbforge.toml", manifest.as_bytes()).expect("a good manifest");
    let strings = manifest.strings(table).expect("a good table");
    let expansion =
        expand(&manifest, &strings, table, &Catalogue::built_in(), &Overrides::default()).expect("good assets");
    let drawn_by = Arc::new(DrawnBy { engine: "local".into(), version: "3".into(), device_class: "cuda-sm90".into() });
    let lines = expansion.wanted.iter().map(|wanted| LockLine {
        output: wanted.output.clone(),
        planned: wanted.planned,
        realised: RealisedKey(*ContentHash::of(wanted.planned.as_bytes()).as_bytes()),
        pixels: PixelHash(wanted.planned.0),
        sha256: FileSha256(wanted.planned.0),
        drawn_by: drawn_by.clone(),
    });
    Lock::new(lines.collect()).to_text()
}

/// Most memory that the process ever had, where the system tells (Linux).
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}
