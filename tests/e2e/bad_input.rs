//! Whatever a person writes by mistake: it is named with file, line and mend, and nothing that was there is lost.

use thumbforge_tests::rig::Rig;

use crate::fixture::{TABLE, built, manifest, shop};

/// A mistake in a file of a project that was built before, and what must be said of it.
struct Mistake<'a> {
    file: &'a str,
    content: Vec<u8>,
    exit: i32,
    code: &'a str,
    says: &'a [&'a str],
}

/// Makes the mistake in a built project; the build must fail as told and leave outputs, lock and journal alone.
#[track_caller]
fn check(file: &str, content: impl Into<Vec<u8>>, exit: i32, code: &str, says: &[&str]) {
    let mistake = Mistake { file, content: content.into(), exit, code, says };
    let rig = built();
    rig.write(mistake.file, &mistake.content);
    let journal = thumbforge_tests::rig::journal::figures(&rig.journal());
    let before = rig.snapshot();
    for verb in ["plan", "batch"] {
        let ran = rig.run(&[verb]).expect(mistake.exit);
        ran.says(&[&format!("error[{}]", mistake.code)]).says(mistake.says);
        let ran = rig.run(&[verb, "--json"]).expect(mistake.exit);
        assert_eq!(ran.json()["errors"][0]["code"], mistake.code, "{}", ran.stdout);
    }
    assert!(before == rig.snapshot(), "a failed build changed the project");
    assert_eq!(journal, thumbforge_tests::rig::journal::figures(&rig.journal()));
    // The mended file finds everything as it was.
    rig.write("thumbforge.toml", manifest(""));
    rig.write("Shop.csv", TABLE);
    rig.run(&["batch", "--check"]).expect(0);
}

/// The shop's manifest with one line in place of another.
fn changed(from: &str, to: &str) -> String {
    let text = manifest("");
    assert!(text.contains(from), "the fixture has no {from:?}");
    text.replacen(from, to, 1)
}

#[test]
fn toml_that_is_none() {
    check("thumbforge.toml", "[assets\nsword =", 2, "invalid_manifest", &["thumbforge.toml:1"]);
}

#[test]
fn a_key_that_is_misspelt() {
    let text = changed("prompt = ", "promt = ");
    check(
        "thumbforge.toml",
        text,
        2,
        "invalid_manifest",
        &["thumbforge.toml:8", "templates.card.promt", "did you mean"],
    );
}

#[test]
fn a_manifest_in_latin_1() {
    let text = changed("a steel sword", "une \u{1}p\u{1}e").replace('\u{1}', "#").into_bytes();
    let text: Vec<u8> = text.iter().map(|byte| if *byte == b'#' { 0xe9 } else { *byte }).collect();
    check(
        "thumbforge.toml",
        text,
        2,
        "invalid_manifest",
        &["thumbforge.toml:17", "not UTF-8", "save the file as UTF-8"],
    );
}

#[test]
fn a_manifest_in_utf_16() {
    let text: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(manifest("").encode_utf16().flat_map(u16::to_le_bytes)).collect();
    check("thumbforge.toml", text, 2, "invalid_manifest", &["UTF-16", "save it as UTF-8"]);
}

#[test]
fn a_table_with_an_open_quote() {
    check("Shop.csv", "Key,en,de\nsword.title,\"Sword,Schwert\n", 2, "invalid_manifest", &["Shop.csv:2"]);
}

#[test]
fn a_table_with_a_field_too_many() {
    let text = "Key,en,de\nsword.title,Sword, the sharp,Schwert\n";
    check("Shop.csv", text, 2, "invalid_manifest", &["Shop.csv:2", "4 fields", "double quotes"]);
}

#[test]
fn a_table_that_is_not_utf_8() {
    check("Shop.csv", *b"Key,en,de\nsword.title,Sw\xffrd,Schwert\n", 2, "invalid_manifest", &["Shop.csv:2", "UTF-8"]);
}

#[test]
fn a_table_that_is_not_there() {
    let text = changed("Shop.csv", "Shopp.csv");
    check("thumbforge.toml", text, 2, "input_file", &["locales.strings", "Shopp.csv", "not there"]);
}

#[test]
fn xliff_that_breaks_off() {
    let rig = built();
    rig.write("thumbforge.toml", changed("Shop.csv", "Shop.xlf"));
    rig.write("Shop.xlf", "<xliff version=\"1.2\">\n<file source-language=\"en\">\n<body>");
    rig.run(&["batch"]).expect(2).says(&["error[invalid_manifest]", "Shop.xlf:1", "never closed", "export it again"]);
}

#[test]
fn xliff_with_a_document_type() {
    let rig = built();
    rig.write("thumbforge.toml", changed("Shop.csv", "Shop.xlf"));
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>\n<xliff version=\"1.2\"/>";
    rig.write("Shop.xlf", bomb);
    rig.run(&["batch"]).expect(2).says(&["error[invalid_manifest]", "Shop.xlf:1", "remove its <!DOCTYPE"]);
}

#[test]
fn a_prompt_of_ten_megabytes_in_a_manifest() {
    let text = changed("a steel sword", &"sword ".repeat(10 << 20 >> 3));
    check("thumbforge.toml", text, 2, "invalid_manifest", &["thumbforge.toml:8", "16384"]);
}

#[test]
fn a_prompt_of_ten_megabytes_in_a_prompt_file() {
    let rig = Rig::new(crate::BINARY);
    rig.write("prompts.txt", format!("a sword\n{}\n", "x".repeat(10 << 20)));
    let args = ["batch", "--prompt-file", "prompts.txt", "--out", "Out"];
    rig.run(&args).expect(2).says(&["error[too_large]", "prompts.txt:2", "16384"]);
    assert!(!rig.project().join("Out").exists(), "a refused prompt file made a folder");
}

#[test]
fn a_prompt_too_long_on_the_command_line() {
    let rig = Rig::new(crate::BINARY);
    // The longest argument that Linux passes on is 128 KiB.
    let prompt = "x".repeat(100_000);
    rig.run(&["generate", &prompt]).expect(2).says(&["error[invalid_request]", "16384"]);
    assert!(!rig.journal().exists(), "a refused prompt reached a journal");
}

#[test]
fn sizes_out_of_bounds() {
    for size in ["0x0", "7x7", "100000x100000", "512x0", "-1x5", "512", "99999999999999999999x1"] {
        let rig = built();
        rig.write("thumbforge.toml", changed("192x192", size));
        rig.run(&["batch"]).expect(2).says(&[
            "error[invalid_request]",
            "thumbforge.toml:9",
            "templates.card.size",
            size,
        ]);
        rig.write("thumbforge.toml", manifest(""));
        rig.run(&["batch", &format!("--size={size}")]).expect(2).says(&["error[invalid_request]"]);
        rig.run(&["generate", "a sword", &format!("--size={size}")]).expect(2).says(&["error[invalid_request]"]);
        rig.run(&["batch", "--check"]).expect(0);
    }
}

#[test]
fn a_model_that_nobody_knows() {
    let text = changed("template = \"card\"", "template = \"card\"\nmodel = \"sd35-medum\"");
    check("thumbforge.toml", text, 2, "unknown_model", &["thumbforge.toml:17", "assets.sword.model", "sd35-medum"]);
    let rig = built();
    rig.run(&["batch", "--model", "sd35-medum"]).expect(2).says(&["error[unknown_model]", "sd35-medum"]);
    rig.run(&["generate", "x", "--model", "sd35-medum"]).expect(2).says(&["error[unknown_model]", "sd35-medum"]);
}

#[test]
fn a_variable_that_includes_itself() {
    let text = changed("a steel sword", "{{ subject }}");
    check("thumbforge.toml", text, 2, "invalid_manifest", &["assets.sword.vars.subject", "includes itself"]);
}

#[test]
fn a_template_that_never_ends() {
    let endless = "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}";
    check("thumbforge.toml", changed("a steel sword", endless), 2, "invalid_manifest", &["assets.sword"]);
}

#[test]
fn outputs_that_leave_the_project() {
    for (path, says) in [
        ("../{{ asset }}.{{ locale }}.png", "leaves the manifest's folder"),
        ("/tmp/{{ asset }}.{{ locale }}.png", "is absolute"),
        ("C:/{{ asset }}.{{ locale }}.png", "drive letter"),
        ("Assets\\\\{{ asset }}.{{ locale }}.png", "backslash"),
        ("Assets/../../{{ asset }}.{{ locale }}.png", "leaves the manifest's folder"),
        (".git/hooks/{{ asset }}.{{ locale }}.png", ".git"),
    ] {
        let text = changed("Assets/Shop/{{ asset }}.{{ locale }}.png", path);
        check("thumbforge.toml", text, 2, "output_path", &["thumbforge.toml:6", "output.path", says]);
    }
}

#[test]
fn two_images_with_one_output() {
    let text = changed("{{ asset }}.{{ locale }}.png", "card.{{ locale }}.png");
    check("thumbforge.toml", text, 2, "output_path", &["card.", "sword", "shield"]);
}

#[test]
fn outputs_that_differ_in_case_alone() {
    let rig = shop();
    let text = manifest("[assets.Sword]\ntemplate = \"card\"\nvars = { subject = \"another\" }\n");
    rig.write("thumbforge.toml", text);
    rig.write("Shop.csv", format!("{TABLE}Sword.title,Sword,Schwert\n"));
    rig.run(&["batch"]).expect(2).says(&["error[output_path]"]);
}

#[cfg(unix)]
#[test]
fn a_folder_that_links_out_of_the_project() {
    let rig = shop();
    let outside = rig.path().join("outside");
    std::fs::create_dir(&outside).expect("a folder");
    std::fs::create_dir(rig.project().join("Assets")).expect("a folder");
    std::os::unix::fs::symlink(&outside, rig.project().join("Assets/Shop")).expect("a link");
    rig.run(&["batch"]).expect(3).says(&["error[output_path]", "is a link to", "replace the link by a folder"]);
    assert_eq!(std::fs::read_dir(&outside).expect("a folder").count(), 0, "something was written outside the project");
}

#[cfg(unix)]
#[test]
fn an_output_that_is_a_link() {
    let rig = shop();
    let victim = rig.write("../victim.png", "precious");
    std::fs::create_dir_all(rig.project().join("Assets/Shop")).expect("folders");
    std::os::unix::fs::symlink(&victim, rig.project().join("Assets/Shop/sword.en.png")).expect("a link");
    for force in [&["batch"][..], &["batch", "--force"]] {
        rig.run(force).expect(3).says(&["error[output_path]", "Assets/Shop/sword.en.png"]);
        assert_eq!(std::fs::read(&victim).expect("the file"), b"precious");
    }
}

#[test]
fn a_string_that_a_locale_lacks() {
    let text = "Key,en,de\nsword.title,Sword,\nshield.title,Shield,Schild\n";
    check("Shop.csv", text, 2, "missing_string", &["sword.title", "de"]);
}

#[test]
fn a_lock_with_a_merge_conflict() {
    let rig = built();
    let lock = String::from_utf8(rig.read("thumbforge.lock")).expect("text");
    rig.write("thumbforge.lock", lock.replacen('\n', "\n<<<<<<< ours\n", 1));
    rig.run(&["batch"]).expect(3).says(&["error[corrupt]", "thumbforge.lock:2", "merge conflict", "keep one line"]);
}

#[test]
fn no_manifest_at_all() {
    let rig = Rig::new(crate::BINARY);
    rig.run(&["batch"]).expect(2).says(&["error[invalid_manifest]", "thumbforge.toml"]);
    rig.run(&["batch", "nowhere"]).expect(2).says(&["error[invalid_manifest]", "nowhere"]);
}

#[test]
fn a_project_that_requires_another_version() {
    let text = format!("requires = \">=99\"\n{}", manifest("")).replace("[output]", "[output]\nfrom_the_future = 1");
    let exit = 5;
    check("thumbforge.toml", text, exit, "version_mismatch", &["thumbforge.toml:1", "requires", "install a version"]);
}

#[test]
fn flags_that_nobody_knows() {
    let rig = shop();
    rig.run(&["batch", "--colour"]).expect(2).says(&["--colour"]);
    rig.run(&["batch", "--jobs", "many"]).expect(2).says(&["many"]);
    rig.run(&["batch", "--seed", "9007199254740993"]).expect(2).says(&["error[invalid_request]"]);
    rig.run(&["paint"]).expect(2).says(&["paint"]);
    assert!(!rig.project().join("thumbforge.lock").exists());
}

#[test]
fn locales_that_the_manifest_lacks() {
    built().run(&["batch", "--locale", "tlh"]).expect(2).says(&["tlh", "en"]);
}

#[test]
fn settings_that_cannot_be_read() {
    let rig = shop();
    rig.write("config.toml", "worker = 3\n");
    rig.run(&["batch", "--config", "config.toml"]).expect(2).says(&["config.toml", "worker"]);
    rig.run(&["batch", "--config", "nowhere.toml"]).expect(2).says(&["nowhere.toml"]);
}
