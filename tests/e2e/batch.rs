//! Manifest to files: what is drawn, what is left alone, and what a report says of it.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use thumbforge_tests::rig::{Rig, journal, snapshot};

use crate::BINARY;
use crate::fixture::{TABLE, built, counts, manifest, shop, states};

#[test]
fn a_second_run_does_nothing() {
    let rig = built();
    let (before, log) = (rig.snapshot(), journal::figures(&rig.journal()));
    // Without its journal in reach: nothing to do needs none.
    fs::rename(rig.journal(), rig.path().join("aside")).expect("a journal");
    let ran = rig.run(&["batch", "--json"]).expect(0).says(&["nothing to do", "4 unchanged"]);
    assert!(!rig.journal().exists(), "a build without work opened a journal");
    // A process that starts, reads and ends: far below a second even on a slow machine.
    assert!(ran.took < Duration::from_secs(1), "{:?}", ran.took);
    assert_eq!(counts(&ran.json()), [4, 4, 0, 0, 0]);
    fs::rename(rig.path().join("aside"), rig.journal()).expect("a journal");
    assert!(before == rig.snapshot());
    assert_eq!(log, journal::figures(&rig.journal()));
}

#[test]
fn a_changed_word_draws_its_picture_alone() {
    let rig = built();
    let before = rig.snapshot();
    rig.write("Shop.csv", TABLE.replace("Schwert", "Klinge"));
    rig.run(&["batch", "--check"]).expect(7).says(&["draw  Assets/Shop/sword.de.png"]);
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    assert_eq!(counts(&report), [4, 3, 0, 1, 0]);
    let after = rig.snapshot();
    let changed: Vec<&String> = after.keys().filter(|path| before.get(*path) != after.get(*path)).collect();
    assert_eq!(changed, ["Assets/Shop/sword.de.png", "Shop.csv", "thumbforge.lock"]);
    // And back: out of the store, to the bytes that were there before.
    rig.write("Shop.csv", TABLE);
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    assert_eq!(counts(&report), [4, 3, 1, 0, 0]);
    assert!(before == rig.snapshot());
}

#[test]
fn a_check_changes_nothing() {
    let rig = shop();
    let before = rig.snapshot();
    rig.run(&["batch", "--check"]).expect(7);
    rig.run(&["batch", "--dry-run"]).expect(0).says(&["4 to draw"]);
    rig.run(&["plan"]).expect(0).says(&["4 to draw"]);
    assert!(before == rig.snapshot());
    assert!(!rig.journal().exists());
}

#[test]
fn a_picture_that_was_changed_by_hand_is_kept() {
    let rig = built();
    let path = "Assets/Shop/sword.en.png";
    let drawn = rig.read(path);
    for provenance in [true, false] {
        let edited = with_a_red_corner(&drawn, provenance);
        rig.write(path, &edited);
        for table in [TABLE.to_owned(), TABLE.replace("Sword", "Blade")] {
            rig.write("Shop.csv", table);
            let ran = rig.run(&["batch", "--json"]).expect(0).says(&["kept", path, "--force"]);
            assert!(states(&ran.json()).contains(&format!("{path} kept")), "{}", ran.stdout);
            assert_eq!(rig.read(path), edited);
        }
        rig.write("Shop.csv", TABLE);
        rig.run(&["batch", "--force"]).expect(0);
        assert_eq!(rig.read(path), drawn);
        rig.run(&["batch", "--check"]).expect(0);
    }
}

/// What an image editor makes of a picture; some keep the chunk that says where it came from.
fn with_a_red_corner(drawn: &[u8], provenance: bool) -> Vec<u8> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(drawn)).read_info().expect("a picture");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    reader.next_frame(&mut pixels).expect("pixels");
    reader.finish().expect("the chunks after the pixels");
    pixels[..3].copy_from_slice(&[255, 0, 0]);
    let info = reader.info();
    let mut edited = Vec::new();
    let mut encoder = png::Encoder::new(&mut edited, info.width, info.height);
    encoder.set_color(info.color_type);
    let said = info.utf8_text.iter().find(|chunk| chunk.keyword == "thumbforge").expect("its provenance");
    if provenance {
        encoder.add_itxt_chunk("thumbforge".to_owned(), said.get_text().expect("text")).expect("a chunk");
    }
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&pixels).expect("pixels");
    writer.finish().expect("an end");
    edited
}

#[test]
fn a_picture_that_another_tool_packed_tighter_is_ours() {
    let rig = built();
    let path = "Assets/Shop/sword.en.png";
    let packed = [&rig.read(path)[..], b"the same pixels in other bytes"].concat();
    rig.write(path, &packed);
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    assert_eq!(counts(&report), [4, 4, 0, 0, 0]);
    assert_eq!(rig.read(path), packed);
    rig.run(&["batch", "--check"]).expect(0);
}

#[test]
fn a_picture_whose_text_was_stripped_is_ours_by_its_pixels() {
    let rig = built();
    let path = "Assets/Shop/sword.en.png";
    // As an optimiser that drops every text chunk leaves it.
    let decoder = png::Decoder::new(std::io::Cursor::new(rig.read(path)));
    let mut reader = decoder.read_info().expect("a header");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut pixels).expect("pixels");
    let mut stripped = Vec::new();
    let mut encoder = png::Encoder::new(&mut stripped, info.width, info.height);
    encoder.set_color(info.color_type);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&pixels[..info.buffer_size()]).expect("pixels");
    writer.finish().expect("an end");
    rig.write(path, &stripped);
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    assert_eq!(counts(&report), [4, 4, 0, 0, 0]);
    assert_eq!(rig.read(path), stripped);
    rig.run(&["batch", "--check"]).expect(0);
}

#[test]
fn a_picture_that_is_not_ours_is_kept() {
    let rig = shop();
    rig.write("Assets/Shop/sword.en.png", "somebody else's");
    let ran = rig.run(&["batch", "--json"]).expect(0).says(&["kept", "--force"]);
    assert_eq!(ran.json()["kept"], 1);
    assert_eq!(rig.read("Assets/Shop/sword.en.png"), b"somebody else's");
}

#[test]
fn a_git_lfs_pointer_stands_for_its_picture() {
    let rig = built();
    let path = "Assets/Shop/sword.en.png";
    let picture = rig.read(path);
    let oid: String = Sha256::digest(&picture).iter().map(|byte| format!("{byte:02x}")).collect();
    let pointer =
        |oid: &str| format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {}\n", picture.len());
    rig.write(path, pointer(&oid));
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    assert_eq!(counts(&report), [4, 4, 0, 0, 0]);
    assert_eq!(rig.read(path), pointer(&oid).as_bytes());
    // A pointer to something else is somebody's work.
    let other = oid.replace(|c: char| c.is_ascii_digit(), "0");
    rig.write(path, pointer(&other));
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    assert_eq!(report["kept"], 1, "{report:#}");
    assert_eq!(rig.read(path), pointer(&other).as_bytes());
}

#[test]
fn a_picture_that_was_deleted_comes_back_out_of_the_store() {
    let rig = built();
    let before = rig.snapshot();
    fs::remove_file(rig.project().join("Assets/Shop/sword.en.png")).expect("a picture");
    let plan = rig.run(&["plan", "--json"]).expect(0).json();
    assert_eq!(counts(&plan), [4, 3, 1, 0, 0], "{plan:#}");
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    assert_eq!(counts(&report), [4, 3, 1, 0, 0], "{report:#}");
    assert!(before == rig.snapshot());
    assert_eq!(journal::figures(&rig.journal()).rendered, 4);
}

#[test]
fn a_colleague_finds_everything_unchanged() {
    let (mine, theirs) = (built(), Rig::new(BINARY));
    for (path, bytes) in mine.snapshot() {
        theirs.write(&path, bytes);
    }
    let report = theirs.run(&["batch", "--json"]).expect(0).json();
    assert_eq!(counts(&report), [4, 4, 0, 0, 0]);
    assert!(!theirs.journal().exists());
    assert!(mine.snapshot() == theirs.snapshot());
}

#[test]
fn two_machines_draw_the_same_bytes() {
    let (mine, theirs) = (built(), built());
    assert!(mine.snapshot() == theirs.snapshot());
}

#[test]
fn a_lost_lock_is_written_again_from_the_pictures() {
    let rig = built();
    let before = rig.snapshot();
    fs::remove_file(rig.project().join("thumbforge.lock")).expect("a lock");
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    assert_eq!(counts(&report), [4, 4, 0, 0, 0]);
    assert!(before == rig.snapshot());
}

#[test]
fn a_missing_string_skips_or_falls_back_as_the_manifest_says() {
    let table = TABLE.replace("Sword,Schwert", "Sword,");
    let rig = shop();
    rig.write("Shop.csv", &table);
    rig.write("thumbforge.toml", format!("missing_string = \"skip\"\n{}", manifest("")));
    let report = rig.run(&["batch", "--json"]).expect(0).says(&["skip", "sword.de.png"]).json();
    assert_eq!(counts(&report), [3, 0, 0, 3, 0], "{report:#}");

    let rig = shop();
    rig.write("Shop.csv", &table);
    let text =
        format!("missing_string = \"fallback\"\n{}", manifest("")).replace("strings =", "fallback = \"en\"\nstrings =");
    rig.write("thumbforge.toml", text);
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    // The words that stand in make the same picture, which is drawn once.
    assert_eq!(counts(&report), [4, 0, 1, 3, 0], "{report:#}");
}

#[test]
fn one_locale_alone_leaves_the_others() {
    let rig = shop();
    let report = rig.run(&["batch", "--locale", "de", "--json"]).expect(0).json();
    assert_eq!(counts(&report), [2, 0, 0, 2, 0]);
    assert_eq!(rig.snapshot().keys().filter(|path| path.ends_with(".png")).count(), 2);
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    assert_eq!(counts(&report), [4, 2, 0, 2, 0]);
    // A part does not forget the lines of the rest.
    rig.run(&["batch", "--locale", "de"]).expect(0);
    rig.run(&["batch", "--check"]).expect(0);
}

#[test]
fn an_asset_that_is_dropped_leaves_its_file() {
    let rig = built();
    let text = manifest("");
    let shield = text.find("[assets.shield]").expect("an asset");
    rig.write("thumbforge.toml", &text[..shield]);
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    assert_eq!((counts(&report), &report["orphans"]), ([2, 2, 0, 0, 0], &json!(2)));
    assert!(rig.project().join("Assets/Shop/shield.en.png").exists());
    assert!(!String::from_utf8(rig.read("thumbforge.lock")).expect("text").contains("shield"));
}

/// A PNG of 256 by 256 pixels, each as `colour` says.
fn own_art(colour: impl Fn(u32) -> [u8; 3]) -> Vec<u8> {
    let mut art = Vec::new();
    let mut encoder = png::Encoder::new(&mut art, 256, 256);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().expect("a header");
    let pixels: Vec<u8> = (0..256 * 256).flat_map(colour).collect();
    writer.write_image_data(&pixels).expect("pixels");
    writer.finish().expect("an end");
    art
}

#[test]
fn words_that_cannot_be_read_fail_their_picture_with_its_verdict() {
    let rig = shop();
    // White words without an outline over art that is nearly white.
    rig.write("Art/sword.png", own_art(|at| [250, 250, 245 + (at % 7) as u8]));
    let bare = "name = \"title\"\nfill = \"#ffffff\"\noutline = false\nshadow = false\n";
    let text = manifest("").replace("[assets.sword]\n", "[assets.sword]\nart = \"Art/sword.png\"\n");
    rig.write("thumbforge.toml", text.replacen("name = \"title\"\n", bare, 1));
    let report = rig.run(&["batch", "--json"]).expect(3).says(&["error[verification_failed]"]).json();
    let items = report["items"].as_array().expect("items");
    let item = items.iter().find(|item| item["asset"] == "sword").expect("the sword");
    assert_eq!((&item["state"], &item["attempts"]), (&"failed".into(), &1.into()), "{item:#}");
    assert_eq!(item["verdict"]["passed"], false);
    let codes: Vec<&Value> =
        item["verdict"]["findings"].as_array().expect("findings").iter().map(|finding| &finding["code"]).collect();
    assert!(codes.contains(&&"low_contrast".into()), "{codes:?}");
    assert!(
        !rig.project().join(item["path"].as_str().expect("a path")).exists(),
        "a picture that failed is not written"
    );
}

#[test]
fn the_teams_own_art_takes_the_words() {
    let rig = shop();
    let mut art = own_art(|at| [(at / 512) as u8, 40, (at % 256 / 2) as u8]);
    rig.write("Art/sword.png", &art);
    let text = manifest("").replace("[assets.sword]\n", "[assets.sword]\nart = \"Art/sword.png\"\n");
    rig.write("thumbforge.toml", &text);
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    let engines: Vec<&Value> = report["items"].as_array().expect("items").iter().map(|item| &item["engine"]).collect();
    assert_eq!(engines, ["builtin", "builtin", "file", "file"], "{report:#}");
    rig.run(&["batch", "--check"]).expect(0);
    // Another picture under the same name is another recipe.
    let last = art.len() - 30;
    art.truncate(last);
    rig.write("Art/sword.png", &art);
    let ran = rig.run(&["batch", "--json"]).expect(3).says(&["error[input_file]", "Art/sword.png"]);
    assert_eq!(counts(&ran.json()), [4, 2, 0, 0, 2], "{}", ran.stdout);
    fs::remove_file(rig.project().join("Art/sword.png")).expect("the art");
    rig.run(&["batch"]).expect(2).says(&["error[input_file]", "assets.sword.art", "Art/sword.png"]);
}

#[test]
fn a_prompt_file_gives_a_picture_a_line() {
    let rig = Rig::new(BINARY);
    rig.write("prompts.txt", "# weapons\na steel sword\n\nan oak shield\n");
    let args = ["batch", "--prompt-file", "prompts.txt", "--out", "Out", "--size", "128x128", "--json"];
    let report = rig.run(&args).expect(0).json();
    assert_eq!(counts(&report), [2, 0, 0, 2, 0]);
    let files: Vec<String> = snapshot(&rig.project().join("Out")).into_keys().collect();
    assert_eq!(files, ["0001-a-steel-sword.png", "0002-an-oak-shield.png"], "--out ends with pictures only");
    let report = rig.run(&args).expect(0).json();
    assert_eq!(counts(&report), [2, 2, 0, 0, 0]);
}

#[test]
fn the_batch_of_the_case_study() {
    let rig = Rig::new(BINARY);
    rig.write("prompts.txt", "a steel sword\nan oak shield\n");
    let args =
        ["batch", "--model", "local-sd3.5", "--prompt-file", "prompts.txt", "--batch", "50", "--size", "128x128"];
    rig.run(&args).expect(3).says(&["error[model_unavailable]", "sd3.5-medium", "--placeholder"]);
    let report = rig.run(&[&args[..], &["--placeholder", "--json"]].concat()).expect(0).json();
    assert_eq!(counts(&report), [2, 0, 0, 2, 0]);
    assert_eq!(report["items"][0]["placeholder_for"], "sd3.5-medium");
}

#[test]
fn a_model_that_is_not_here_fails_unless_stood_in_for() {
    let rig = shop();
    rig.write(
        "thumbforge.toml",
        manifest("").replace("size = \"192x192\"", "size = \"192x192\"\nmodel = \"sd3.5-medium\""),
    );
    let ran = rig
        .run(&["batch", "--json"])
        .expect(3)
        .says(&["error[model_unavailable]", "its weights are not on this machine"]);
    let report = ran.json();
    assert_eq!(counts(&report), [4, 0, 0, 0, 4]);
    assert_eq!(report["items"][0]["error"]["code"], "model_unavailable");
    assert!(!rig.project().join("Assets").exists());
    let report = rig.run(&["batch", "--placeholder", "--json"]).expect(0).json();
    assert_eq!(counts(&report), [4, 0, 0, 4, 0], "{report:#}");
    for item in report["items"].as_array().expect("items") {
        assert_eq!((&item["state"], &item["engine"]), (&json!("done"), &json!("builtin")));
        assert_eq!(item["placeholder_for"], "sd3.5-medium");
    }
    // The same in the manifest, so that CI needs no flag.
    rig.run(&["batch", "--deny", "builtin"]).expect(7).says(&["denied", "Assets/Shop/sword.en.png"]);
    rig.run(&["batch", "--deny", "production"]).expect(7);
    rig.run(&["batch", "--deny", "hosted,preview"]).expect(0);
}

#[test]
fn a_report_has_every_field_of_its_contract() {
    let rig = shop();
    let ran = rig.run(&["batch", "--json", "--report", "report.json"]).expect(0);
    let (report, file) = (ran.json(), rig.read("report.json"));
    assert_eq!(serde_json::from_slice::<Value>(&file).expect("JSON"), report);
    let keys = |value: &Value| -> Vec<String> { value.as_object().expect("an object").keys().cloned().collect() };
    let has = |value: &Value, wanted: &[&str]| {
        for name in wanted {
            assert!(keys(value).iter().any(|key| key == name), "no {name} in {value:#}");
        }
    };
    let top = [
        "planned",
        "unchanged",
        "stale",
        "cached",
        "rendered",
        "failed",
        "ambiguous",
        "cancelled",
        "cost_micros_usd",
        "elapsed_ms",
        "items",
    ];
    has(&report, &top);
    let item = &report["items"][0];
    let fields = [
        "asset",
        "locale",
        "path",
        "state",
        "planned_key",
        "realised_key",
        "engine",
        "model",
        "placeholder_for",
        "seed",
        "tier",
        "attempts",
        "cost_micros_usd",
        "latency_ms",
        "verdict",
        "error",
    ];
    has(item, &fields);
    assert_eq!(item["asset"], "shield");
    assert_eq!(item["locale"], "de");
    assert_eq!(item["path"], "Assets/Shop/shield.de.png");
    assert_eq!(item["state"], "done");
    assert_eq!(item["planned_key"].as_str().map(str::len), Some(64));
    assert_eq!(item["realised_key"].as_str().map(str::len), Some(64));
    assert_eq!((&item["engine"], &item["model"]), (&json!("builtin"), &json!("builtin")));
    assert!(item["seed"].as_u64().is_some_and(|seed| seed < 1 << 53));
    assert_eq!((&item["tier"], &item["attempts"]), (&json!("production"), &json!(1)));
    assert_eq!((&item["cost_micros_usd"], &item["error"]), (&json!(0), &Value::Null));
    assert_eq!(item["verdict"]["passed"], true);
    assert!(item["verdict"]["findings"].is_array());
    has(&rig.run(&["plan", "--json"]).expect(0).json(), &top);
    has(&rig.run(&["generate", "a sword", "--size", "64x64", "--json"]).expect(0).json()["items"][0], &fields);
}

#[test]
fn a_unity_project_gets_metas_that_never_change() {
    let rig = shop();
    fs::create_dir(rig.project().join("ProjectSettings")).expect("a folder");
    fs::create_dir(rig.project().join("Assets")).expect("a folder");
    rig.write(
        "Assets/Shop/shield.de.png.meta",
        "fileFormatVersion: 2\nguid: 0123456789abcdef0123456789abcdef\nTextureImporter:\n",
    );
    rig.run(&["batch"]).expect(0);
    let meta = |name: &str| String::from_utf8(rig.read(&format!("Assets/Shop/{name}.png.meta"))).expect("text");
    assert!(meta("shield.de").contains("0123456789abcdef0123456789abcdef"), "a .meta of the team was touched");
    let first = meta("sword.en");
    let guid = first.lines().find_map(|line| line.strip_prefix("guid: ")).expect("a GUID");
    assert!(guid.len() == 32 && guid.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    assert_ne!(first, meta("sword.de"));
    // Unity adds its settings; a new picture leaves them.
    rig.write("Assets/Shop/sword.en.png.meta", format!("{first}TextureImporter:\n  maxTextureSize: 512\n"));
    rig.write("Shop.csv", TABLE.replace("Sword", "Blade"));
    rig.run(&["batch"]).expect(0);
    assert!(meta("sword.en").ends_with("maxTextureSize: 512\n"));
    // Another machine makes the same GUID.
    let other = shop();
    fs::create_dir(other.project().join("ProjectSettings")).expect("a folder");
    fs::create_dir(other.project().join("Assets")).expect("a folder");
    other.run(&["batch"]).expect(0);
    assert_eq!(String::from_utf8(other.read("Assets/Shop/sword.en.png.meta")).expect("text"), first);
}

#[cfg(unix)]
#[test]
fn a_command_of_version_control_opens_read_only_files() {
    use std::os::unix::fs::PermissionsExt;
    let rig = built();
    let script = rig.write("checkout.sh", "#!/bin/sh\necho \"$1\" >> checked-out.txt\nchmod u+w \"$1\"\n");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("permissions");
    for path in ["sword.en", "sword.de", "shield.en", "shield.de"] {
        let path = rig.project().join(format!("Assets/Shop/{path}.png"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o444)).expect("permissions");
    }
    let text = manifest("").replace("[output]\n", "[output]\nvcs = { command = \"./checkout.sh {path}\" }\n");
    rig.write("thumbforge.toml", text);
    rig.write("Shop.csv", TABLE.replace("Sword", "Blade"));
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    assert_eq!(counts(&report), [4, 3, 0, 1, 0], "{report:#}");
    let opened = String::from_utf8(rig.read("checked-out.txt")).expect("text");
    assert_eq!(opened.lines().count(), 1, "only what is written is checked out: {opened}");
    assert!(opened.contains("sword.en.png"), "{opened}");
}

#[test]
fn generate_writes_one_picture_and_shows_it() {
    let rig = Rig::new(BINARY);
    let args =
        ["generate", "a golden sword", "--size", "256x256", "--seed", "7", "--out-file", "a/sword.png", "--json"];
    let report = rig.run(&args).expect(0).json();
    let item = &report["items"][0];
    assert_eq!((&item["seed"], &item["state"]), (&json!(7), &json!("done")), "{report:#}");
    let picture = rig.read("a/sword.png");
    let report = rig.run(&args).expect(0).json();
    assert_eq!(counts(&report), [1, 0, 1, 0, 0], "the same words draw nothing anew");
    assert_eq!(rig.read("a/sword.png"), picture);
    let shown = rig.run(&["show", "a/sword.png"]).expect(0).stdout;
    for word in ["a golden sword", "builtin", "7"] {
        assert!(shown.contains(word), "{word:?} is not in {shown}");
    }
    let shown = rig.run(&["show", "a/sword.png", "--json"]).expect(0).json();
    assert!(shown.to_string().contains(item["realised_key"].as_str().expect("a key")), "{shown:#}");
    rig.write("plain.png", "no picture");
    rig.run(&["show", "plain.png"]).expect(2);
    rig.run(&["show", "nowhere.png"]).expect(2);
}

#[test]
fn words_that_do_not_fit_fail_their_picture_alone() {
    let rig = shop();
    rig.write("Shop.csv", TABLE.replace("Sword", &"Swordfish ".repeat(60)));
    let ran = rig.run(&["batch", "--json"]).expect(3).says(&[
        "error[text_does_not_fit]",
        "Assets/Shop/sword.en.png",
        "title",
    ]);
    assert_eq!(counts(&ran.json()), [4, 0, 0, 3, 1], "{}", ran.stdout);
    assert!(!rig.project().join("Assets/Shop/sword.en.png").exists());
}

#[test]
fn a_character_that_no_font_has_is_named() {
    let rig = shop();
    rig.write("Shop.csv", TABLE.replace("Sword", "\u{12000}"));
    rig.run(&["batch"]).expect(3).says(&["error[missing_glyph]", "U+12000", "title"]);
}

#[test]
fn a_contact_sheet_shows_every_picture() {
    let rig = shop();
    rig.run(&["batch", "--sheet", "sheet.png"]).expect(0).says(&["sheet.png"]);
    let sheet = rig.read("sheet.png");
    let decoder = png::Decoder::new(std::io::Cursor::new(&sheet)).read_info().expect("a picture");
    assert!(decoder.info().width >= 2 * 96, "{:?}", decoder.info());
    rig.run(&["batch", "--sheet", "sheet.png"]).expect(0);
    assert_eq!(rig.read("sheet.png"), sheet, "the same pictures make the same sheet");
    rig.run(&["batch", "--check"]).expect(0);
}

#[test]
fn jobs_lists_what_the_journal_has() {
    let rig = shop();
    rig.run(&["jobs"]).expect(0).says(&["no journal yet"]);
    rig.run(&["batch"]).expect(0);
    let jobs = rig.run(&["jobs", "--json"]).expect(0).json();
    let jobs = jobs.as_array().expect("a list");
    assert_eq!(jobs.len(), 4);
    assert!(jobs.iter().all(|job| job["state"] == "done"), "{jobs:?}");
    let one = rig.run(&["jobs", "1", "--json"]).expect(0).json();
    assert_eq!(one[0]["id"], 1);
    rig.run(&["jobs", "99"]).expect(2).says(&["error[not_found]"]);
    rig.run(&["jobs", "--state", "sleeping"]).expect(2).says(&["sleeping", "queued"]);
}

#[test]
fn the_tier_file_of_the_case_study_is_read_as_it_is() {
    let rig = shop();
    rig.write(
        "tiers.json",
        r#"{"tiers":{"preview":{"model":"sd3.5_turbo","max_latency_ms":800},"production":{"model":"imagen4_ultra","max_latency_ms":2200}},"verify_ocr":true}"#,
    );
    rig.write("thumbforge.toml", format!("tier_file = \"tiers.json\"\n{}", manifest("")));
    let report = rig.run(&["batch", "--placeholder", "--json"]).expect(0).json();
    assert_eq!(report["items"][0]["placeholder_for"], "imagen-4-ultra");
    let report = rig.run(&["batch", "--tier", "preview", "--placeholder", "--json"]).expect(0).json();
    assert_eq!(report["items"][0]["placeholder_for"], "sd3.5-large-turbo");
    assert_eq!(report["items"][0]["tier"], "preview");
}

#[test]
fn doctor_and_schema_need_nothing() {
    let rig = Rig::new(BINARY);
    let doctor = rig.run(&["doctor", "--json"]).expect(0).json();
    assert!(
        doctor
            .as_array()
            .is_some_and(|lines| lines.iter().any(|line| line["what"] == "data directory" && line["ok"] == true))
    );
    let schema = rig.run(&["schema"]).expect(0).json();
    assert!(schema["properties"]["assets"].is_object());
    assert!(rig.run(&["completions", "bash"]).expect(0).stdout.contains("thumbforge"));
    assert!(rig.run(&["--version"]).expect(0).stdout.contains(env!("CARGO_PKG_VERSION")));
}
