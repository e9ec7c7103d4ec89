//! What a manifest says of models that cost money, before any of them is asked.

use crate::fixture::{built, manifest, shop};

/// The shop, drawn with `model` and with `head` above its tables.
fn drawn_with(model: &str, head: &str) -> String {
    let size = "size = \"192x192\"\n[[";
    let text = manifest("").replacen("[locales]", &format!("{head}\n[locales]"), 1);
    text.replacen(size, &size.replace("\n[[", &format!("\nmodel = \"{model}\"\n[[")), 1)
}

#[test]
fn a_model_that_is_gone_is_told_once_wherever_people_look() {
    let rig = shop();
    rig.write("thumbforge.toml", drawn_with("imagen4_ultra", "placeholder = true"));
    let ran = rig.run(&["batch", "--json", "--junit", "junit.xml"]).expect(0);
    let report = ran.json();
    assert_eq!(report["warnings"].as_array().map(Vec::len), Some(1), "{report:#}");
    assert_eq!(report["warnings"][0]["code"], "model_retired");
    let words = "imagen-4-ultra was retired on 2026-08-17; nano-banana-pro takes its place";
    assert_eq!(report["warnings"][0]["message"], words);
    assert_eq!(ran.stderr.matches(&format!("warning[model_retired]: {words}")).count(), 1, "{}", ran.stderr);
    let xml = String::from_utf8(rig.read("junit.xml")).expect("UTF-8");
    assert!(xml.contains(&format!("<system-out>{words}</system-out>")), "{xml}");
    let quiet = rig.run(&["batch", "-q"]).expect(0);
    assert!(!quiet.stderr.contains("warning"), "{}", quiet.stderr);
}

#[test]
fn what_the_policy_denies_fails_the_plan_and_changes_nothing() {
    let rig = built();
    let before = rig.snapshot();
    let check = |text: String, code: &str, says: &[&str]| {
        rig.write("thumbforge.toml", text);
        for verb in ["plan", "batch"] {
            rig.run(&[verb]).expect(2).says(&[&format!("error[{code}]")]).says(says);
        }
    };
    check(
        drawn_with("sd3.5-medium", "placeholder = true\n[policy.licences]\ndeny = [\"stabilityai-community-2024\"]"),
        "licence_denied",
        &["thumbforge.toml:13", "templates.card.model", "\"stabilityai-community-2024\"", "sd3.5-medium"],
    );
    check(
        drawn_with("gpt-image-2", "placeholder = true\n[policy]\nproviders = [\"google\"]"),
        "policy_denied",
        &["templates.card.model", "openai", "gpt-image-2"],
    );
    check(
        drawn_with("dalle3-hd", "placeholder = true").replace("model = ", "pin = true\nmodel = "),
        "model_retired",
        &["templates.card.model", "dall-e-3-hd was retired on 2026-05-12", "name gpt-image-2"],
    );
    check(
        drawn_with("gpt-image-2", "placeholder = true\n[accounts.ci]\nkey = \"env:OPENAI_API_KEY\""),
        "invalid_manifest",
        &["accounts.ci.key", "every pull request"],
    );
    rig.write("thumbforge.toml", manifest(""));
    assert!(before == rig.snapshot(), "a refused build changed the project");
}

#[test]
fn a_retired_model_that_is_pinned_leaves_what_it_drew_alone() {
    let rig = shop();
    // Drawn by a stand-in while nothing was pinned; the pin decides no pixel, so the plan finds nothing to do.
    rig.write("thumbforge.toml", drawn_with("dalle3-hd", "placeholder = true"));
    rig.run(&["batch"]).expect(0);
    let pinned = drawn_with("dalle3-hd", "placeholder = true").replace("model = ", "pin = true\nmodel = ");
    rig.write("thumbforge.toml", pinned);
    rig.run(&["batch", "--check"]).expect(0).says(&["warning[model_retired]", "it is pinned"]);
}

#[test]
fn rows_of_the_projects_own_lie_beside_its_manifest() {
    let rig = shop();
    rig.write("thumbforge.toml", drawn_with("our-model", "placeholder = true"));
    rig.run(&["plan"]).expect(2).says(&["error[unknown_model]", "our-model"]);
    let row = "[[model]]\nid = \"studio-1\"\nname = \"Ours\"\nfamily = \"hosted\"\nprovider = \"openai\"\n";
    rig.write("thumbforge.models.toml", format!("{row}aliases = [\"our-model\"]\n"));
    let report = rig.run(&["plan", "--json"]).expect(0).json();
    assert_eq!(report["items"][0]["model"], "studio-1", "{report:#}");
    rig.write("thumbforge.models.toml", format!("{row}colour = \"red\"\n"));
    rig.run(&["plan"]).expect(2).says(&["thumbforge.models.toml", "unknown field `colour`"]);
    rig.write("thumbforge.models.toml", format!("{row}aliases = [\"imagen4\"]\n"));
    rig.run(&["plan"]).expect(2).says(&["thumbforge.models.toml", "names both imagen-4 and studio-1"]);
}

#[test]
fn a_quality_file_that_is_none_fails_the_plan() {
    let rig = shop();
    rig.write("thumbforge.quality.toml", "version = 9\n");
    rig.run(&["plan"]).expect(2).says(&["thumbforge.quality.toml", "version 9"]);
}

#[test]
fn a_budget_is_dollars() {
    let rig = shop();
    rig.run(&["batch", "--budget", "2.50"]).expect(0);
    rig.run(&["batch", "--budget", "lots"]).expect(2).says(&["--budget", "write dollars"]);
    rig.run(&["generate", "a sword", "--budget", "0.10", "--size", "64x64"]).expect(0);
    rig.write("thumbforge.toml", manifest("[budget]\ntotal = \"a lot\"\n"));
    rig.run(&["plan"]).expect(2).says(&["budget.total", "\"a lot\"", "write dollars"]);
}
