//! Files of parts, and the report that is made of them.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::options::{Options, Outcome};

/// Parts behind `about`, in the order of the report, and their files.
const PARTS: [(&str, &str); 9] = [
    ("conformance", "conformance"),
    ("parity", "parity"),
    ("same", "same"),
    ("sanitize", "sanitize"),
    ("oom", "oom"),
    ("soak", "soak"),
    ("naive", "soak-naive"),
    ("ops", "ops"),
    ("bench", "bench"),
];

/// Writes the file of a part.
pub(crate) fn write(options: &Options, part: &str, what: &impl Serialize) -> Outcome<()> {
    let path = options.out.join(format!("{part}.json"));
    let text = serde_json::to_string_pretty(what).map_err(|err| format!("write {}: {err}", path.display()))?;
    std::fs::create_dir_all(&options.out).map_err(|err| format!("make {}: {err}", options.out.display()))?;
    std::fs::write(&path, text + "\n").map_err(|err| format!("write {}: {err}", path.display()))
}

fn read(folder: &Path, part: &str) -> Outcome<Option<Value>> {
    let path = folder.join(format!("{part}.json"));
    match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|err| format!("read {}: {err}", path.display())),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(format!("read {}: {err}", path.display())),
    }
}

/// All parts as one file, and a table beside it. What did not run is named, and never looks passed.
pub(crate) fn report(options: &Options) -> Outcome<()> {
    let [folder, path] = &options.rest[..] else {
        return Err("report: name the folder of parts, and a file".to_owned());
    };
    let (folder, path) = (Path::new(folder), Path::new(path));
    let Some(about) = read(folder, "about")? else {
        return Err(format!("report: {} has no about.json; run `gpu_check about` first", folder.display()));
    };
    let told = |name: &str| std::env::var(name).unwrap_or_else(|_| "unknown".to_owned());
    let mut whole = Map::new();
    for (name, value) in [
        ("card", about["card"].clone()),
        ("driver", about["driver"].clone()),
        ("library", about["library"].clone()),
        ("library_path", about["library_path"].clone()),
        ("date", json!(told("THUMBFORGE_CHECK_DATE"))),
        ("commit", json!(told("THUMBFORGE_CHECK_COMMIT"))),
    ] {
        whole.insert(name.to_owned(), value);
    }
    whole.insert("cases".to_owned(), json!([]));
    let mut absent = Vec::new();
    for (part, file) in PARTS {
        let Some(value) = read(folder, file)? else {
            absent.push(part.to_owned());
            continue;
        };
        absent.extend(left_out(part, &value));
        match (part, value) {
            ("bench", Value::Object(bench)) => whole.extend(bench),
            // The same jobs in a plain loop stand beside ours.
            ("naive", mut naive) => {
                let soak = whole.entry("soak").or_insert_with(|| json!({}));
                soak["naive"] = naive["caps"].take();
            }
            (part, value) => {
                whole.insert(part.to_owned(), value);
            }
        }
    }
    whole.insert("not_run".to_owned(), json!(absent));
    let whole = Value::Object(whole);
    let text = serde_json::to_string_pretty(&whole).map_err(|err| format!("report: {err}"))?;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|err| format!("make {}: {err}", parent.display()))?;
    }
    std::fs::write(path, text + "\n").map_err(|err| format!("write {}: {err}", path.display()))?;
    let page = path.with_extension("md");
    std::fs::write(&page, table(&whole)).map_err(|err| format!("write {}: {err}", page.display()))?;
    println!("{} and {}", path.display(), page.display());
    Ok(())
}

/// What a part that ran left out, because its time was over or something could not: it must not look as if it had run.
fn left_out(part: &str, value: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let list = |name: &str| value[name].as_array().cloned().unwrap_or_default();
    if let Some(count) = value["left_out"].as_u64().filter(|count| *count > 0) {
        lines.push(format!("{part}: {count} cases"));
    }
    // Both ways to multiply are the product's.
    let ways = value["ways"].as_array().or(value["libraries"].as_array());
    if ways.is_some_and(|ways| ways.len() < 2) {
        lines.push(format!("{part}: with cuBLASLt, which was not found"));
    }
    if value["ended"] == false {
        lines.push(format!("{part}: what follows its last line"));
    }
    for cap in list("caps") {
        let (jobs, of) = (cap["jobs"].as_u64().unwrap_or(0), cap["of"].as_u64().unwrap_or(0));
        if jobs < of {
            lines.push(format!("{part}: {} of {of} jobs under {} MB", of - jobs, cell(&cap["cap_mb"])));
        }
    }
    lines.extend(list("not_begun").iter().map(|case| format!("{part}: {}", cell(case))));
    lines.extend(list("not_able").iter().map(|case| format!("{part}: {}", cell(case))));
    for failed in list("failed") {
        lines.push(format!(
            "{part}: {}, {}: {}",
            cell(&failed["name"]),
            cell(&failed["rival"]),
            cell(&failed["error"])
        ));
    }
    lines
}

/// A number as tables have it; a dash where there is none.
fn cell(value: &Value) -> String {
    match value {
        Value::Number(number) if number.is_u64() => number.to_string(),
        Value::Bool(truth) => if *truth { "yes" } else { "no" }.to_owned(),
        Value::Number(number) => format!("{:.3}", number.as_f64().unwrap_or(f64::NAN)),
        // Cells have no bars and no ends of lines.
        Value::String(text) => text.replace('|', "/").replace(char::is_control, " "),
        _ => "–".to_owned(),
    }
}

/// A table with a row for every entry of `rows`, or one where it is no list, and the columns that `columns` name by pointer.
fn rows(page: &mut String, rows: &Value, columns: &[(&str, &str)]) {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let _ = writeln!(page, "| {} |\n|{}", names.join(" | "), "---|".repeat(names.len()));
    let one = std::slice::from_ref(rows);
    for row in rows.as_array().map_or(one, Vec::as_slice) {
        let cells: Vec<String> =
            columns.iter().map(|(_, at)| row.pointer(at).map_or_else(|| "–".to_owned(), cell)).collect();
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    }
    page.push('\n');
}

fn table(whole: &Value) -> String {
    let of = |name: &str| whole.get(name).map(cell).unwrap_or_default();
    let mut page = format!("# {}\n\n", of("card"));
    let _ =
        writeln!(page, "Driver {}, {}, commit {}. Made by `cuda/check.sh`.\n", of("driver"), of("date"), of("commit"));
    let _ = match whole["library"].is_string() {
        true => writeln!(page, "Large products are those of {}, from `{}`.\n", of("library"), of("library_path")),
        false => writeln!(page, "cuBLASLt was not found: all products are our kernels'.\n"),
    };
    for part in whole["not_run"].as_array().into_iter().flatten() {
        let _ = writeln!(page, "**Not run:** {}.\n", cell(part));
    }
    if let Some(conformance) = whole.get("conformance") {
        page.push_str("## Operations beside the processor's\n\n");
        rows(
            &mut page,
            &conformance["ways"],
            &[("products of", "/library"), ("agree", "/passed"), ("do not", "/failed"), ("not begun", "/left_out")],
        );
        if conformance["failed"] != 0 {
            rows(
                &mut page,
                &conformance["faults"],
                &[("operation", "/name"), ("numbers", "/dtype"), ("products of", "/library"), ("what", "/fault")],
            );
        }
    }
    if let Some(parity) = whole.get("parity") {
        page.push_str("## Pictures of toy models beside the processor's\n\n");
        rows(
            &mut page,
            &parity["cases"],
            &[
                ("picture", "/name"),
                ("numbers", "/dtype"),
                ("products of", "/library"),
                ("PSNR dB", "/psnr_db"),
                ("equal", "/equal"),
                ("at least", "/floor_db"),
                ("passed", "/passed"),
            ],
        );
    }
    if let Some(same) = whole.get("same") {
        page.push_str("## One seed, again and again, with our kernels alone\n\n");
        rows(&mut page, same, &[("draws", "/draws"), ("kinds of bytes", "/kinds")]);
    }
    if let Some(sanitize) = whole.get("sanitize") {
        page.push_str("## NVIDIA's checkers\n\n");
        rows(&mut page, &sanitize["tools"], &[("tool", "/tool"), ("outcome", "/outcome")]);
    }
    if let Some(oom) = whole.get("oom") {
        page.push_str("## With little memory, with our kernels alone\n\n");
        rows(
            &mut page,
            &oom["cases"],
            &[("what was free, MB", "/free_mb"), ("layout", "/rung"), ("outcome", "/outcome")],
        );
    }
    if let Some(soak) = whole.get("soak") {
        page.push_str("## Mixed jobs\n\n");
        rows(
            &mut page,
            &soak["caps"],
            &[
                ("cap, MB", "/cap_mb"),
                ("jobs", "/jobs"),
                ("drawn", "/drawn"),
                ("of them lossy", "/lossy"),
                ("fit no layout", "/elsewhere"),
                ("failed for memory", "/failed_memory"),
                ("failed otherwise", "/failed"),
                ("peak, MB", "/peak_mb"),
            ],
        );
        if soak.get("naive").is_some() {
            page.push_str("The same jobs in a plain loop of PyTorch:\n\n");
            rows(
                &mut page,
                &soak["naive"],
                &[
                    ("cap, MB", "/cap_mb"),
                    ("jobs", "/jobs"),
                    ("drawn", "/drawn"),
                    ("failed for memory", "/failed_memory"),
                    ("failed otherwise", "/failed"),
                ],
            );
        }
    }
    page.push_str("## Seconds from prompt to pixels\n\n");
    page.push_str("No p95 is told of fewer than 20 runs. ");
    page.push_str("Ours with little memory is timed alone, after the others; all else in turn with its rival.\n\n");
    rows(
        &mut page,
        &whole["cases"],
        &[
            ("picture", "/name"),
            ("ours", "/who"),
            ("numbers", "/dtype"),
            ("layout", "/layout"),
            ("runs", "/ours_s/n"),
            ("p50", "/ours_s/p50"),
            ("p95", "/ours_s/p95"),
            ("rival", "/rival"),
            ("its runs", "/rival_s/n"),
            ("its p50", "/rival_s/p50"),
            ("its p95", "/rival_s/p95"),
            ("ours ÷ rival", "/ratio"),
            ("peak MB", "/peak_mb_ours"),
            ("rival's peak MB", "/peak_mb_rival"),
        ],
    );
    if let Some(first) = whole.get("first") {
        page.push_str("## Seconds from start to the first picture\n\n");
        rows(
            &mut page,
            first,
            &[
                ("picture", "/name"),
                ("who", "/who"),
                ("load", "/load_s"),
                ("compile", "/compile_s"),
                ("first picture", "/first_s"),
                ("both", "/all_s"),
            ],
        );
    }
    if let Some(memory) = whole.get("memory") {
        page.push_str("## Memory at the most, MB\n\n");
        rows(
            &mut page,
            memory,
            &[
                ("picture", "/name"),
                ("who", "/who"),
                ("taken of the card", "/driver_mb"),
                ("asked for", "/asked_mb"),
                ("held by torch", "/reserved_mb"),
            ],
        );
    }
    if let Some(ops) = whole.get("ops") {
        page.push_str("## Where the time goes\n\n");
        rows(
            &mut page,
            &ops["kinds"],
            &[
                ("program", "/program"),
                ("kind", "/kind"),
                ("ms", "/ms"),
                ("share of all", "/share"),
                ("share of the roofline", "/roofline"),
            ],
        );
        let _ = writeln!(page, "Below, {}.\n", cell(&ops["note"]));
        rows(
            &mut page,
            &ops["rows"],
            &[
                ("program", "/program"),
                ("operation", "/op"),
                ("times", "/count"),
                ("ms, all", "/ms"),
                ("TFLOP/s", "/tflops"),
                ("GB/s", "/gbs"),
                ("share of the roofline", "/roofline"),
            ],
        );
    }
    page
}
