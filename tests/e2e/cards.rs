//! Toy models on NVIDIA cards, played by a driver that runs the kernels' own source on the processor: drawn, short of memory,
//! lost on the way. And a machine without a driver, which is this one where nothing plays it.

use serde_json::{Value, json};
use thumbforge_cuda_standin::{Control, StandinError, build};
use thumbforge_tests::rig::{Rig, journal};

use crate::BINARY;
use crate::fixture::counts;
use crate::local::{pixels, registered, registered_in};

/// A rig on a machine with a card, whose driver does as the controls say. Where no such driver can be made, `None`, and the
/// test says that it did not run.
pub(crate) fn machine(test: &str, controls: &[(Control, u64)]) -> Option<Rig> {
    let built = match build() {
        Ok(built) => built,
        Err(err) => {
            let absent = matches!(err, StandinError::NotHere { .. });
            let required = std::env::var_os("THUMBFORGE_STANDIN_REQUIRED").is_some();
            assert!(absent && !required, "failed to {err}");
            eprintln!("NOT RUN: {test}: failed to {err}");
            return None;
        }
    };
    let folder = built.driver.parent().expect("a folder");
    // A card that is too small for any real model, and is drawn on because somebody says so.
    let rig = Rig::new(BINARY).with_variable("LD_LIBRARY_PATH", folder).with_variable("THUMBFORGE_DEVICE", "cuda");
    let mut rig = rig.with_variable("THUMBFORGE_LOG", "warn");
    for (control, value) in
        [(Control::Cards, 1), (Control::Capability, 90), (Control::Mib, 1024)].iter().chain(controls)
    {
        rig = rig.with_variable(&control.variable(), value.to_string());
    }
    Some(rig)
}

/// The same with a toy's weights.
fn with_model(test: &str, controls: &[(Control, u64)]) -> Option<Rig> {
    machine(test, controls).map(registered_in)
}

pub(crate) const ONE: [&str; 13] = [
    "generate",
    "a red castle",
    "--out-file",
    "a.png",
    "--model",
    "sd3.5-medium",
    "--steps",
    "2",
    "--size",
    "32x32",
    "--seed",
    "7",
    "--json",
];

/// Where the stand-in's cuBLASLt lies, copied into the rig's folder.
fn library(rig: &Rig) -> std::path::PathBuf {
    let built = build().expect("what the rig is made of");
    let path = rig.path().join("libcublasLt.so.12");
    std::fs::copy(&built.blaslt, &path).expect("a copy");
    path
}

/// The same machine where the library is named.
fn with_library(rig: Rig) -> Rig {
    let path = library(&rig);
    rig.with_variable("THUMBFORGE_CUBLASLT", path)
}

/// Class of device and realised key of a picture that is drawn anew.
fn drawn_anew(rig: &Rig) -> (String, String) {
    rig.run(&ONE).expect(0);
    let by = drawn_by(rig);
    let word = |name: &str| by[name].as_str().unwrap_or_else(|| panic!("{name}: {by:#}")).to_owned();
    (word("device_class"), word("realised_key"))
}

pub(crate) fn drawn_by(rig: &Rig) -> Value {
    rig.run(&["show", "a.png", "--json"]).expect(0).json()[0]["provenance"].clone()
}

/// Lines of the doctor on one matter.
fn doctor(rig: &Rig, what: &str) -> Vec<Value> {
    let lines = rig.run(&["doctor", "--json"]).expect(0).json();
    lines.as_array().expect("lines").iter().filter(|line| line["what"] == what).cloned().collect()
}

#[test]
fn a_machine_without_a_driver_says_so_and_draws_on_the_processor() {
    if std::path::Path::new("/dev/nvidiactl").exists() {
        return eprintln!("NOT RUN: a machine without a driver: this one has a driver");
    }
    let rig = Rig::new(BINARY).with_variable("THUMBFORGE_DEVICE", "auto");
    let lines = doctor(&rig, "GPU");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["says"], "no NVIDIA driver: local models are drawn on the processor");
    assert_eq!(lines[0]["ok"], true);
    rig.run(&["doctor"]).expect(0);
    // Who asks for cards alone hears that there is none, and nothing is drawn on something else.
    let rig = registered_in(Rig::new(BINARY).with_variable("THUMBFORGE_DEVICE", "cuda"));
    assert_eq!(doctor(&rig, "GPU")[0]["ok"], false);
    rig.run(&ONE).expect(3).says(&["no NVIDIA driver"]);
    let rig = Rig::new(BINARY).with_variable("THUMBFORGE_DEVICE", "gpu");
    assert!(doctor(&rig, "local model")[0]["says"].as_str().expect("words").contains("THUMBFORGE_DEVICE"));
}

#[test]
fn a_picture_of_a_card_is_that_of_the_processor_within_rounding() {
    let Some(rig) = with_model("a picture of a card", &[]) else { return };
    let card = &doctor(&rig, "GPU")[0];
    assert_eq!(card["ok"], true, "{card:#}");
    assert!(card["says"].as_str().expect("words").contains("(cuda-sm90, 1.1 GB, driver for CUDA"), "{card:#}");
    let f32 = [&ONE[..], &["--dtype", "f32"]].concat();
    rig.run(&f32).expect(0);
    assert_eq!(drawn_by(&rig)["device_class"], "cuda-sm90");
    let card = pixels(&rig, "a.png");
    let processor = registered();
    processor.run(&f32).expect(0);
    assert!(drawn_by(&processor)["device_class"].as_str().is_some_and(|class| class.starts_with("cpu-")));
    let expected = pixels(&processor, "a.png");
    let squares = card.iter().zip(&expected).map(|(one, other)| f64::from(one.abs_diff(*other)).powi(2));
    let mse = squares.sum::<f64>() / expected.len() as f64;
    // Singles in another order: a number in a hundred rounds to the next colour.
    assert!(mse < 0.1, "{mse}");
    // Where nothing is said a card draws in bfloat16; the same again is taken from the store.
    rig.run(&ONE).expect(0);
    assert_eq!(drawn_by(&rig)["settings"]["dtype"], "bf16");
    let again = rig.run(&ONE).expect(0).json();
    assert_eq!(again["items"][0]["attempts"], 0, "{again:#}");
}

/// Six pictures of prompts of their own, in calls of two.
const MANY: [&str; 12] = [
    "batch",
    "--model",
    "sd3.5-medium",
    "--prompt-file",
    "prompts.txt",
    "--batch",
    "2",
    "--size",
    "32x32",
    "--steps",
    "1",
    "--json",
];

/// The same, each in a call of its own, of so many steps.
fn alone(steps: &'static str) -> [&'static str; 10] {
    ["batch", "--model", "sd3.5-medium", "--prompt-file", "prompts.txt", "--size", "32x32", "--json", "--steps", steps]
}

/// Classes of device of all that was drawn.
fn classes(rig: &Rig) -> Vec<String> {
    journal::open(&rig.journal())
        .prepare("SELECT DISTINCT json_extract(json, '$.realisation.device_class') FROM renders")
        .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
        .expect("classes")
}

fn six(rig: &Rig) {
    many(rig, 6);
}

fn many(rig: &Rig, count: usize) {
    let lines: Vec<String> = (0..count).map(|at| format!("castle number {at}, oak and steel")).collect();
    rig.write("prompts.txt", lines.join("\n"));
}

/// A toy takes memory at least for its constants, its weights and an arena.
const ALLOCATIONS_MIN: u64 = 3;
/// And no more often than this: for its constants, eight blocks of a picture, and a second arena that the text is read in.
const ALLOCATIONS_MAX: u64 = 10;

#[test]
fn every_allocation_may_fail_and_every_picture_is_drawn() {
    // Each in turn is refused for good, which shows that a picture needs it, then once. Beyond the last that is needed a
    // picture is drawn whatever is refused.
    for nth in 1..=ALLOCATIONS_MAX {
        let for_good = [(Control::FailAllocation, nth), (Control::FailMore, 1_000_000)];
        let Some(rig) = with_model("allocations that fail", &for_good) else { return };
        let refused = rig.run(&ONE);
        if nth > ALLOCATIONS_MIN && refused.code == 0 {
            return;
        }
        refused.expect(3).says(&["fit the picture into memory: it needs"]);
        let Some(rig) = with_model("allocations that fail", &[(Control::FailAllocation, nth)]) else { return };
        rig.run(&ONE).expect(0);
        assert_eq!(drawn_by(&rig)["device_class"], "cuda-sm90", "allocation {nth}");
    }
    panic!("a toy takes more than {ALLOCATIONS_MAX} stretches");
}

#[test]
fn where_the_driver_says_no_for_a_while_a_picture_is_drawn_with_less() {
    // Beyond those of the opening, and more than the pools ask again by themselves.
    let refusals = [(Control::FailAllocation, 3), (Control::FailMore, 6)];
    let Some(rig) = with_model("a driver that says no", &refusals) else { return };
    rig.run(&ONE).expect(0).says(&["memory ran out after all; it is drawn with less"]);
    assert_eq!(drawn_by(&rig)["device_class"], "cuda-sm90");
}

#[test]
fn a_context_that_is_lost_ends_no_picture_and_none_is_drawn_twice() {
    for nth in [1, 60] {
        let Some(rig) = with_model("a lost context", &[(Control::LoseLaunch, nth)]) else { return };
        six(&rig);
        let ran = rig.run(&MANY).expect(0).says(&["the device was lost and is begun anew"]);
        let report = ran.json();
        assert_eq!(counts(&report), [6, 0, 0, 6, 0], "{report:#}");
        let figures = journal::figures(&rig.journal());
        assert_eq!(figures.rendered_twice, 0, "{figures:?}");
    }
}

#[test]
fn pictures_of_a_card_that_is_lost_again_and_again_are_planned_anew_for_the_processor() {
    let again = [(Control::LoseLaunch, 30), (Control::LoseAgain, 30), (Control::Mib, 8192)];
    let Some(rig) = machine("a card that is given up", &again) else { return };
    let rig = registered_in(rig.with_variable("THUMBFORGE_DEVICE", "auto"));
    six(&rig);
    let report = rig.run(&MANY).json();
    // Two pictures were there twice when the card was lost and are taken to be what breaks it; the rest goes on.
    let counts = counts(&report);
    assert_eq!((counts[0], counts[3] + counts[4]), (6, 6), "{report:#}");
    assert!(counts[3] >= 4, "{report:#}");
    let log = report.to_string();
    assert!(log.contains("the device was lost 2 times while this was drawn"), "{log}");
    let classes = classes(&rig);
    assert!(classes.iter().all(|class| class.starts_with("cpu-")) && !classes.is_empty(), "{classes:?}");
    assert_eq!(journal::figures(&rig.journal()).rendered_twice, 0);
}

#[test]
fn a_card_that_others_fill_is_no_room_and_the_figures_are_told() {
    let Some(rig) = with_model("a full card", &[(Control::OthersMib, 890)]) else { return };
    let refused = rig.run(&ONE);
    refused.expect(3).says(&["fit the picture into memory: it needs", "are free"]);
}

#[test]
fn pools_of_a_card_are_told_to_gauges() {
    let Some(rig) = with_model("gauges of a card", &[(Control::Cards, 2)]) else { return };
    let sidecar = rig.serve(&[]);
    let mut client = sidecar.client();
    let body = json!({ "model": "sd3.5-medium", "prompt": "a castle", "steps": 2, "size": "32x32", "seed": 5 });
    client.post("/generate", &body).expect("an answer").expect(200);
    let metrics = client.get("/metrics").expect("an answer").expect(200).text();
    let of = |name: &str, class: &str| {
        let start = format!("thumbforge_gpu_pool_{name}{{card=\"0\",class=\"{class}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("{metrics}"));
        line.parse::<u64>().expect("a number")
    };
    assert!(of("used_bytes", "weights") > 0 && of("reserved_peak_bytes", "batch") > 0, "{metrics}");
    assert_eq!(of("used_bytes", "batch"), 0, "an arena goes back when its picture is done");
    assert!(of("cap_bytes", "drafts") < of("cap_bytes", "weights"), "{metrics}");
}

#[test]
fn the_library_that_multiplies_stands_in_the_key_before_a_card_is_opened() {
    let Some(rig) = with_model("the library of a card", &[]) else { return };
    let told = &doctor(&rig, "GPU library")[0];
    assert_eq!(
        (&told["ok"], told["says"].as_str()),
        (&json!(true), Some("our own kernels multiply: the settings say so (`cublaslt = \"never\"`)"))
    );
    let (class, ours) = drawn_anew(&rig);
    assert_eq!(class, "cuda-sm90");
    let rig = with_library(rig);
    let told = &doctor(&rig, "GPU library")[0];
    let says = told["says"].as_str().expect("words");
    assert!(says.starts_with("cublaslt12.9.0 at /") && says.contains("libcublasLt.so.12 multiplies"), "{told:#}");
    let (class, theirs) = drawn_anew(&rig);
    assert_eq!(class, "cuda-sm90-cublaslt12.9.0x132");
    assert_ne!(theirs, ours);
    // Singles are our kernels' with it and without it.
    rig.run(&[&ONE[..], &["--dtype", "f32"]].concat()).expect(0);
    assert_eq!(drawn_by(&rig)["device_class"], "cuda-sm90");
    // Settings name it as well.
    let path = rig.path().join("libcublasLt.so.12").display().to_string();
    std::fs::write(rig.data().join("config.toml"), format!("[local]\ncublaslt = \"{path}\"\n")).expect("settings");
    let rig = rig.with_variable("THUMBFORGE_CUBLASLT", "");
    assert_eq!(rig.run(&ONE).expect(0).json()["items"][0]["attempts"], 0);
    assert_eq!(drawn_by(&rig)["realised_key"], theirs.as_str());
    // It is gone: what was drawn with it is another picture, and somebody named it, so that is told.
    std::fs::remove_file(path).expect("it was there");
    let told = &doctor(&rig, "GPU library")[0];
    assert_eq!(told["ok"], false, "{told:#}");
    assert_eq!(drawn_anew(&rig), ("cuda-sm90".to_owned(), ours));
}

#[test]
fn a_file_that_is_no_library_is_told_and_our_own_kernels_multiply() {
    let Some(rig) = with_model("a file that is no library", &[]) else { return };
    let path = rig.path().join("liblies.so");
    std::fs::write(&path, "it is none").expect("a file");
    let rig = rig.with_variable("THUMBFORGE_CUBLASLT", &path);
    let told = &doctor(&rig, "GPU library")[0];
    let says = told["says"].as_str().expect("words");
    assert_eq!(told["ok"], false, "{told:#}");
    assert!(says.contains("failed to open cuBLASLt at ") && says.contains("THUMBFORGE_CUBLASLT"), "{says}");
    assert_eq!(drawn_anew(&rig).0, "cuda-sm90");
    let rig = rig.with_variable("THUMBFORGE_CUBLASLT", "somewhere");
    assert!(doctor(&rig, "local model")[0]["says"].as_str().expect("words").contains("THUMBFORGE_CUBLASLT"));
}

#[test]
fn a_library_that_vanishes_while_a_sidecar_runs_is_still_what_multiplies() {
    let Some(rig) = with_model("a library that vanishes", &[]) else { return };
    let rig = with_library(rig);
    let sidecar = rig.serve(&[]);
    std::fs::remove_file(rig.path().join("libcublasLt.so.12")).expect("it was there");
    rig.run(&ONE).expect(0);
    assert_eq!(drawn_by(&rig)["device_class"], "cuda-sm90-cublaslt12.9.0x132");
    drop(sidecar);
    // The next one finds none.
    assert_eq!(drawn_anew(&rig).0, "cuda-sm90");
}

#[test]
fn pictures_planned_for_a_library_that_does_not_run_are_planned_anew_without_it() {
    let refuses = [(Control::RefuseLibrary, 1)];
    let Some(rig) = with_model("a library that refuses", &refuses) else { return };
    let rig = with_library(rig);
    let told = &doctor(&rig, "GPU library")[0];
    assert_eq!(told["ok"], false, "{told:#}");
    assert!(told["says"].as_str().expect("words").contains("failed to cublasLtCreate"), "{told:#}");
    six(&rig);
    let report = rig.run(&MANY).expect(0).json();
    assert_eq!(counts(&report), [6, 0, 0, 6, 0], "{report:#}");
    assert_eq!(classes(&rig), ["cuda-sm90"]);
    assert_eq!(journal::figures(&rig.journal()).rendered_twice, 0);
}

#[test]
fn a_card_that_cannot_be_opened_is_given_up_for_the_processor() {
    let refuses = [(Control::RefuseCard, 1), (Control::Mib, 8192)];
    let Some(rig) = machine("a card that cannot be opened", &refuses) else { return };
    let rig = registered_in(rig.with_variable("THUMBFORGE_DEVICE", "auto"));
    let card = &doctor(&rig, "GPU")[0];
    assert_eq!(card["ok"], false, "{card:#}");
    let says = card["says"].as_str().expect("words");
    assert!(
        says.contains("was given up: failed to open GPU 0: cuModuleLoadData: CUDA_ERROR_NO_BINARY_FOR_GPU"),
        "{says}"
    );
    six(&rig);
    let report = rig.run(&MANY).expect(0).json();
    assert_eq!(counts(&report), [6, 0, 0, 6, 0], "{report:#}");
    assert!(classes(&rig).iter().all(|class| class.starts_with("cpu-")), "{:?}", classes(&rig));
    assert_eq!(journal::figures(&rig.journal()).rendered_twice, 0);
    // Where nothing else is to draw, that is the answer, with the reason.
    let Some(rig) = with_model("a card that cannot be opened", &[(Control::RefuseCard, 1)]) else { return };
    rig.run(&ONE).expect(3).says(&["cuModuleLoadData"]);
}

/// What the gauges of a running sidecar say of weights on a card, at the most.
fn weights_peak(metrics: &str, card: u32) -> u64 {
    let start = format!("thumbforge_gpu_pool_reserved_peak_bytes{{card=\"{card}\",class=\"weights\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&start)).map_or(0, |line| line.parse().expect("a number"))
}

/// Two cards of one kind.
const TWO: (Control, u64) = (Control::Cards, 2);

#[test]
fn two_cards_draw_one_batch() {
    let Some(rig) = with_model("two cards", &[TWO]) else { return };
    let told = doctor(&rig, "GPU");
    let of = |card: usize| told[card]["says"].as_str().expect("words");
    let draws = |card: usize| {
        of(card).contains(&format!("stand-in {card} (cuda-sm90")) && of(card).contains("draws local models")
    };
    assert!(told.len() == 2 && draws(0) && draws(1), "{told:?}");
    let sidecar = rig.serve(&[]);
    let mut client = sidecar.client();
    many(&rig, 8);
    // Longer than planning takes: loading a model on a second card is worth it once some wait for the first.
    let report = rig.run(&alone("4")).expect(0).json();
    assert_eq!(counts(&report), [8, 0, 0, 8, 0], "{report:#}");
    let metrics = client.get("/metrics").expect("an answer").expect(200).text();
    assert!(weights_peak(&metrics, 0) > 0 && weights_peak(&metrics, 1) > 0, "both draw: {metrics}");
    assert_eq!(classes(&rig), ["cuda-sm90"]);
    assert_eq!(journal::figures(&rig.journal()).rendered_twice, 0);
}

#[test]
fn what_waits_for_a_card_that_is_lost_for_good_is_drawn_on_the_other() {
    // In the middle of its second picture or so.
    let lost = [TWO, (Control::LoseCard, 1), (Control::LoseLaunch, 150), (Control::LoseForGood, 1)];
    let Some(rig) = with_model("a lost card of two", &lost) else { return };
    let sidecar = rig.serve(&[]);
    let mut client = sidecar.client();
    many(&rig, 12);
    let report = rig.run(&alone("1")).expect(0).json();
    assert_eq!(counts(&report), [12, 0, 0, 12, 0], "{report:#}");
    let metrics = client.get("/metrics").expect("an answer").expect(200).text();
    assert!(weights_peak(&metrics, 1) > 0, "the other draws: {metrics}");
    let began = journal::figures(&rig.journal());
    assert_eq!(began.rendered_twice, 0, "{began:?}");
    assert!(began.interrupted > 0, "some were begun on the card that was lost: {began:?}");
    assert_eq!(classes(&rig), ["cuda-sm90"]);
}

#[test]
fn a_card_of_two_that_cannot_be_opened_leaves_all_to_the_other() {
    let refuses = [TWO, (Control::RefuseCard, 1)];
    let Some(rig) = with_model("a card of two that cannot be opened", &refuses) else { return };
    let told = doctor(&rig, "GPU");
    assert_eq!((&told[0]["ok"], &told[1]["ok"]), (&json!(false), &json!(true)), "{told:?}");
    six(&rig);
    let report = rig.run(&alone("1")).expect(0).json();
    assert_eq!(counts(&report), [6, 0, 0, 6, 0], "{report:#}");
    assert_eq!(classes(&rig), ["cuda-sm90"]);
    assert_eq!(journal::figures(&rig.journal()).rendered_twice, 0);
}

#[test]
fn of_cards_of_two_classes_one_class_is_drawn_on_and_the_doctor_says_why() {
    let Some(rig) = with_model("cards of two classes", &[TWO, (Control::OtherCapability, 80)]) else { return };
    let told = doctor(&rig, "GPU");
    assert!(told.iter().all(|told| told["ok"] == true), "{told:?}");
    let of = |card: usize| told[card]["says"].as_str().expect("words");
    assert!(of(0).contains("(cuda-sm90, ") && of(0).contains("draws local models"), "{told:?}");
    assert!(of(1).contains("(cuda-sm80, ") && of(1).contains("pictures of cuda-sm90 are other pictures"), "{told:?}");
    assert_eq!(drawn_anew(&rig).0, "cuda-sm90");
}
