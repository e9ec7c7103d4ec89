//! Measures how fast the outputs of a large project are looked at: makes 100,000 small files under a folder (once)
//! and looks at them with an empty and with a full cache.
//!
//! `cargo run --release -p thumbforge-sidecar --example observe_bench -- FOLDER [FILES]`

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use thumbforge_sidecar::output::observe::{Observed, observe_all};
use thumbforge_sidecar::output::stat_cache::StatCache;
use thumbforge_sidecar::output::write::Patience;

/// As many files a folder as an asset has locales and sizes.
const FOLDER_FILES: usize = 100;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let root = PathBuf::from(arguments.next().context("name a folder for the files")?);
    let count: usize =
        arguments.next().map_or(Ok(100_000), |count| count.parse()).context("read the number of files")?;
    let name = |at: usize| format!("Assets/Thumbnails/{:04}/item_{at:06}.png", at / FOLDER_FILES);
    let names: Vec<String> = (0..count).map(name).collect();
    let outputs: Vec<&str> = names.iter().map(String::as_str).collect();

    let start = Instant::now();
    for (at, output) in outputs.iter().enumerate() {
        let path = root.join(output);
        if at % FOLDER_FILES == 0 {
            std::fs::create_dir_all(path.parent().context("outputs have a folder")?)?;
        }
        if !path.exists() {
            std::fs::write(path, output.repeat(40))?;
        }
    }
    println!("made     {:>7.1} ms", ms(start));

    let cache_path = root.join("stat-cache");
    let mut cache = StatCache::empty();
    // An hour ahead, so that files made just now count as being at rest.
    let now = SystemTime::now() + Duration::from_secs(3600);
    let start = Instant::now();
    let cold = observe_all(&root, &outputs, &mut cache, now);
    println!("cold     {:>7.1} ms", ms(start));

    let start = Instant::now();
    cache.save(&cache_path, &Patience::usual())?;
    println!("saved    {:>7.1} ms, {} bytes", ms(start), cache_path.metadata()?.len());

    for _ in 0..3 {
        let start = Instant::now();
        let mut cache = StatCache::load(&cache_path);
        let loaded = ms(start);
        let start = Instant::now();
        let warm = observe_all(&root, &outputs, &mut cache, now);
        println!("loaded   {loaded:>7.1} ms, warm {:>7.1} ms", ms(start));
        anyhow::ensure!(warm == cold, "warm and cold differ");
    }
    let files = cold.iter().filter(|observed| matches!(observed, Observed::File { .. })).count();
    anyhow::ensure!(files == count, "{files} of {count} files were seen");
    Ok(())
}

fn ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1000.0
}
