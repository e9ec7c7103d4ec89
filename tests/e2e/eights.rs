//! Toy models on a stand-in card that has room for weights in eight bits and for no others.

use serde_json::Value;
use thumbforge_cuda_standin::Control;
use thumbforge_diffusion::config::MmditConfig;
use thumbforge_diffusion::tiny::Tiny;
use thumbforge_tests::rig::{Ran, Rig, journal};

use crate::cards::{ONE, drawn_by, machine};
use crate::local::registered_of;

/// Memory of the card.
const MIB: u64 = 1024;

/// A toy that is large enough for what eight bits save to be more than what the card's stretches of 2 MiB round up to.
fn toy() -> Tiny {
    let medium = Tiny::medium();
    Tiny { mmdit: MmditConfig { hidden: 384, heads: 6, ..medium.mmdit.clone() }, ..medium }
}

/// A machine with a toy's weights, on whose card others hold so much that a picture fits in eight bits alone: a little less
/// is free than it is said to need without.
fn short(test: &str, capability: u64) -> Option<Rig> {
    // Without the driver's own pools: room comes in their steps of 32 MiB, and eight bits save a toy less than one.
    let controls = [(Control::Mib, MIB), (Control::Capability, 90), (Control::Pools, 0)];
    let rig = registered_of(machine(test, &controls)?, &toy());
    let others = |rig: Rig, mib: u64| rig.with_variable(&Control::OthersMib.variable(), mib.to_string());
    // Nearly full: an eighth is left to others, and with it nearly all is held. 16 MiB go by, 2 for each block of a picture.
    let full = MIB * 7 / 8 - 20;
    let rig = others(rig, full);
    let (exact, free) = figures(&rig.run(&one(&[])).expect(3));
    let (eights, _) = figures(&rig.run(&one(&["--allow-lossy", "fp8"])).expect(3));
    assert!(eights + 8 * MB < exact, "eight bits take {eights}, others {exact}");
    let less = (exact - MB - free) >> 20;
    let rig = others(rig, full - less);
    Some(rig.with_variable(&Control::Capability.variable(), capability.to_string()))
}

const MB: u64 = 1_000_000;

/// What is needed and what is free, in bytes, of a refusal.
#[track_caller]
fn figures(refused: &Ran) -> (u64, u64) {
    let said = &refused.stderr;
    let figure = |before: &str| {
        let mut words = said.split_once(before).unwrap_or_else(|| panic!("{said}")).1.split(' ');
        let number: u64 = words.next().and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{said}"));
        number * if words.next().is_some_and(|unit| unit.starts_with("kB")) { 1000 } else { MB }
    };
    let needed = figure("it needs ");
    let unit = if said.contains(" kB and ") { " kB and " } else { " MB and " };
    (needed, figure(unit))
}

/// A picture of one step without guidance, which is all that these tests have the patience for.
fn one<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    let kept = ONE.iter().filter(|word| !matches!(**word, "--steps" | "2"));
    kept.chain(&["--steps", "1", "--guidance", "1"]).chain(rest).copied().collect()
}

fn allowing(what: &str) -> Vec<&str> {
    one(&["--allow-lossy", what])
}

fn item(ran: &Ran) -> Value {
    ran.json()["items"][0].clone()
}

#[test]
fn eight_bits_are_taken_where_nothing_else_fits_and_somebody_allows_it() {
    let Some(rig) = short("a card with room for eight bits alone", 90) else { return };
    rig.run(&one(&[])).expect(3).says(&["it needs", "are free", "(`allow_lossy = [\"tiled-vae\", \"fp8\"]`)"]);
    rig.run(&allowing("tiled-vae")).expect(3).says(&["(`allow_lossy = [\"fp8\"]`)"]);
    // Who asks for singles asks for exactness.
    let singles = rig.run(&one(&["--dtype", "f32", "--allow-lossy", "fp8"])).expect(3);
    singles.says(&["(`allow_lossy = [\"tiled-vae\"]`)"]);

    let ran = rig.run(&allowing("tiled-vae,fp8")).expect(0).says(&["gave up exactness to fit into memory (fp8)"]);
    let drawn = item(&ran);
    assert_eq!(drawn["lossy"], "fp8", "{drawn:#}");
    let shown = drawn_by(&rig);
    assert_eq!(shown["settings"]["lossy"], "fp8", "{shown:#}");
    assert_eq!(shown["settings"]["dtype"], "bf16", "{shown:#}");
    assert!(rig.run(&["show", "a.png"]).expect(0).stdout.contains("lossy fp8"));
    let memory: String = journal::open(&rig.journal())
        .query_row("SELECT json_extract(settings, '$.memory') FROM attempts WHERE settings IS NOT NULL", [], |row| {
            row.get(0)
        })
        .expect("how it was fitted into memory");
    assert!(memory.ends_with(", weights in eight bits"), "{memory}");
    // The same again is there already.
    let again = item(&rig.run(&allowing("fp8")).expect(0));
    assert_eq!((&again["realised_key"], &again["attempts"]), (&drawn["realised_key"], &0.into()), "{again:#}");
    // A draft needs no leave.
    rig.run(&one(&["--tier", "preview"])).expect(0);
    assert_eq!(drawn_by(&rig)["settings"]["lossy"], "fp8");
    // After a build one line tells, and its report does.
    rig.write("prompts.txt", "a blue castle\n");
    let build = ["batch", "--prompt-file", "prompts.txt", "--model", "sd3.5-medium", "--size", "32x32", "--steps", "1"];
    let build = [&build[..], &["--guidance", "1", "--tier", "preview", "--json"]].concat();
    let ran = rig.run(&build).expect(0).says(&["warning[lossy_memory]: 1 of 1 pictures gave up exactness", "(fp8 1)"]);
    let report = ran.json();
    assert_eq!((&report["warnings"][0]["code"], &report["items"][0]["lossy"]), (&"lossy_memory".into(), &"fp8".into()));

    // With room the same words give up nothing, and that is another picture.
    let rig = rig.with_variable(&Control::OthersMib.variable(), "0");
    let exact = item(&rig.run(&allowing("fp8")).expect(0));
    assert!(drawn_by(&rig)["settings"]["lossy"].is_null() && exact["lossy"].is_null());
    assert_ne!(exact["realised_key"], drawn["realised_key"]);
    assert_eq!(exact["planned_key"], drawn["planned_key"]);
}

#[test]
fn cards_that_multiply_no_eight_bits_offer_none() {
    let Some(rig) = short("a card before fp8", 80) else { return };
    rig.run(&one(&[])).expect(3).says(&["(`allow_lossy = [\"tiled-vae\"]`)"]);
    rig.run(&allowing("fp8")).expect(3).says(&["(`allow_lossy = [\"tiled-vae\"]`)"]);
    rig.run(&allowing("tiled-vae,fp8")).expect(3).says(&["fewer pictures at once, or name a fallback"]);
}

/// A copy of the toy's file, of which a number is too large for the rest of its row.
fn spoilt(rig: &Rig, tensor: &str) -> String {
    let mut bytes = std::fs::read(rig.path().join("model/sd3.5_tiny.safetensors")).expect("the toy");
    let header = u64::from_le_bytes(bytes[..8].try_into().expect("a length")) as usize;
    let table: Value = serde_json::from_slice(&bytes[8..8 + header]).expect("a table");
    let of_name = |name: &&String| name.ends_with(tensor);
    let name =
        table.as_object().expect("names").keys().find(of_name).unwrap_or_else(|| panic!("{tensor} is not in it"));
    assert_eq!(table[name]["dtype"], "F32");
    let at = 8 + header + table[name]["data_offsets"][0].as_u64().expect("a place") as usize;
    bytes[at..at + 4].copy_from_slice(&1e6f32.to_le_bytes());
    let path = rig.path().join("spoilt.safetensors");
    std::fs::write(&path, bytes).expect("written");
    path.display().to_string()
}

#[test]
fn a_model_that_would_not_survive_eight_bits_is_refused_by_its_matrix() {
    let Some(rig) = short("a model that would not survive eight bits", 90) else { return };
    let rig = rig.with_variable("THUMBFORGE_LOG", "info");
    let file = spoilt(&rig, "joint_blocks.2.x_block.mlp.fc1.weight");
    let own = |word| match word {
        "--model" => "--weights",
        "sd3.5-medium" => file.as_str(),
        word => word,
    };
    let args: Vec<&str> = allowing("fp8").into_iter().map(own).collect();
    let measured = "it was found that of eight bits";
    let why = "fp8 is out of the question since row 0 of joint_blocks.2.x_block.mlp.fc1.weight would lose";
    let first = rig.run(&args).expect(3);
    let first = first.says(&[why, "6.25 % is the most", "(`allow_lossy = [\"tiled-vae\"]`)", measured]);
    assert!(!first.stderr.contains("\"fp8\"]"), "nobody is told to allow what was allowed: {}", first.stderr);
    // The second time nothing is read.
    let second = rig.run(&args).expect(3).says(&[why]);
    assert!(!second.stderr.contains(measured), "{}", second.stderr);
}
