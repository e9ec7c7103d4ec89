//! Spellings of the case studies find their rows; the built-in file says nothing that contradicts itself.

use super::*;

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

#[test]
fn the_case_studies_spellings_resolve() {
    let catalogue = Catalogue::built_in();
    let cases = [
        ("SD3.5 Medium", "sd3.5-medium"),
        ("sd3.5-medium", "sd3.5-medium"),
        ("sd3.5_medium", "sd3.5-medium"),
        ("sd3.5_local", "sd3.5-medium"),
        ("local-sd_medium", "sd3.5-medium"),
        ("local-sd3.5", "sd3.5-medium"),
        ("SD3.5 Turbo", "sd3.5-large-turbo"),
        ("sd3.5_turbo", "sd3.5-large-turbo"),
        ("SD3.5 Large", "sd3.5-large"),
        ("sd3-large", "sd3.5-large"),
        ("Imagen 4 Generate", "imagen-4"),
        ("imagen4_remote", "imagen-4"),
        ("Imagen 4 Fast Generate", "imagen-4-fast"),
        ("imagen-fast", "imagen-4-fast"),
        ("Imagen 4 Ultra", "imagen-4-ultra"),
        ("imagen4_ultra", "imagen-4-ultra"),
        ("remote-imagen-polish", "imagen-4"),
        ("remote-final", "imagen-4"),
        ("DALL·E 3 HD", "dall-e-3-hd"),
        ("dalle3-hd", "dall-e-3-hd"),
        ("dalle-ultra", "dall-e-3-hd"),
        ("DALL·E 3 Standard", "dall-e-3-standard"),
        ("dalle3-std", "dall-e-3-standard"),
        ("nano-banana", "nano-banana-pro"),
        ("Nano Banana PRO", "nano-banana-pro"),
        ("Nano Banana PRONew", "nano-banana-pro"),
        ("Ideogram V1", "ideogram-v1"),
        ("Ideogram V2", "ideogram-v2"),
        ("Ideogram V2A Turbo", "ideogram-v2a-turbo"),
        ("BUILTIN", "builtin"),
        ("gpt-image-2", "gpt-image-2"),
        ("gemini-3-pro-image", "nano-banana-pro"),
        ("gemini-nano-banana-2.1", "nano-banana-2.1"),
        ("ideogram-4-5", "ideogram-4.5"),
        ("dall-e-3", "dall-e-3-standard"),
    ];
    for (spelling, id) in cases {
        assert_eq!(catalogue.resolve(spelling).map(|row| row.id.as_str()), Ok(id), "{spelling}");
    }
}

#[test]
fn an_unknown_model_is_named_with_its_neighbour() {
    let error = Catalogue::built_in().resolve("sd3.5-meduim").expect_err("a misspelling");
    assert!(error.to_string().contains("did you mean \"sd3.5-medium\""), "{error}");
    let error = Catalogue::built_in().resolve("photoshop").expect_err("no such model");
    assert!(!error.to_string().contains("did you mean"), "{error}");
}

#[test]
fn two_rows_may_not_share_a_spelling() {
    let text = "[[model]]\nid='a'\nname='A'\nfamily='local'\naliases=['X']\n[[model]]\nid='b'\nname='B'\nfamily='local'\naliases=['x']\n";
    assert!(matches!(Catalogue::parse(text), Err(CatalogueError::Ambiguous { .. })));
}

#[test]
fn every_row_of_the_built_in_file_says_what_its_kind_must() {
    let catalogue = Catalogue::built_in();
    let read = day("2026-11-21");
    for row in catalogue.rows() {
        let id = &row.id;
        let own = matches!(row.provider.as_deref(), Some("a1111" | "comfyui" | "sdcpp" | "openai-compatible" | "post"));
        let changes_alone = row.can.generate == Some(false);
        assert!(row.licence.is_some() || own, "{id}: a licence");
        assert!(changes_alone || own || !row.intents.is_empty(), "{id}: what it is good for");
        for intent in &row.intents {
            assert!(
                row.family == Family::Builtin || row.pass.contains_key(intent),
                "{id}: how often {}",
                intent.word()
            );
        }
        if row.family == Family::Hosted && !own {
            assert!(row.wire.is_some() && row.latency_ms.is_some(), "{id}: name on the wire, latency");
            assert!(!row.price.is_empty() || row.tokens.is_some(), "{id}: a price");
        }
        for (quality, size) in row.price.iter().map(|price| (&price.quality, &price.size)) {
            assert!(quality.as_ref().is_none_or(|word| row.can.qualities.contains(word)), "{id}: {quality:?}");
            let has = |word: &String| {
                row.can.resolutions.iter().any(|there| there.word == *word)
                    || row.can.sizes.iter().any(|size| size.to_string() == *word)
            };
            assert!(size.as_ref().is_none_or(has), "{id}: {size:?}");
        }
        let dates = row.price.iter().map(|price| &price.as_of).chain(row.tokens.iter().map(|tokens| &tokens.as_of));
        for as_of in dates {
            let padded = format!("{as_of}{}", &"-01-01"[..10 - as_of.len().max(4)]);
            let dated: Result<Day, _> = padded.parse();
            assert!(dated.is_ok_and(|dated| dated <= read), "{id}: {as_of}");
        }
        assert_eq!(row.retired_on.is_some(), row.replacement.is_some(), "{id}: what follows it, and when");
    }
}

#[test]
fn what_is_retired_is_replaced_by_what_lives_and_has_a_price() {
    let catalogue = Catalogue::built_in();
    let far = day("2026-12-31");
    for row in catalogue.rows().iter().filter(|row| row.retired_on.is_some()) {
        let successor = catalogue.successor(row, far).unwrap();
        let next = successor.row;
        assert!(next.retired_on.is_none() && !successor.replaced.is_empty(), "{}", row.id);
        let size = match (next.can.sizes.first(), next.can.resolutions.first()) {
            (Some(size), _) => size.to_string(),
            (None, Some(resolution)) => resolution.word.clone(),
            (None, None) => String::new(),
        };
        assert!(next.price_of(&size, next.default_quality(), "generate").is_some(), "{} costs", next.id);
    }
}

#[test]
fn a_model_stands_by_the_day() {
    let catalogue = Catalogue::built_in();
    let check = |id: &str, today: &str, expected: Standing| {
        let row = catalogue.resolve(id).unwrap();
        assert_eq!(row.standing(day(today)), expected, "{id} on {today}");
    };
    check("gpt-image-2", "2026-11-21", Standing::Live);
    check("gpt-image-1.5", "2026-10-31", Standing::Live);
    check("gpt-image-1.5", "2026-11-01", Standing::Retiring { days: 30 });
    check("gpt-image-1.5", "2026-11-21", Standing::Retiring { days: 10 });
    check("gpt-image-1.5", "2026-11-30", Standing::Retiring { days: 1 });
    check("gpt-image-1.5", "2026-12-01", Standing::Retired { since: day("2026-12-01") });
    check("dalle3-hd", "2026-11-21", Standing::Retired { since: day("2026-05-12") });
}

#[test]
fn a_retired_model_names_its_replacement_and_the_day() {
    let catalogue = Catalogue::built_in();
    let check = |id: &str, expected: &str, warning: Option<&str>| {
        let successor = catalogue.successor(catalogue.resolve(id).unwrap(), day("2026-11-21")).unwrap();
        assert_eq!((successor.row.id.as_str(), successor.warning().as_deref()), (expected, warning), "{id}");
    };
    check("sd3.5-medium", "sd3.5-medium", None);
    check("gpt-image-1.5", "gpt-image-1.5", None);
    check(
        "imagen4_ultra",
        "nano-banana-pro",
        Some("imagen-4-ultra was retired on 2026-08-17; nano-banana-pro takes its place"),
    );
    check(
        "imagen-fast",
        "gemini-3.1-flash-lite-image",
        Some("imagen-4-fast was retired on 2026-08-17; gemini-3.1-flash-lite-image takes its place"),
    );
}

#[test]
fn chains_end_and_circles_are_refused() {
    let row = |id: &str, next: &str| {
        format!("[[model]]\nid='{id}'\nname='x'\nfamily='local'\nretired_on='2026-01-01'\nreplacement='{next}'\n")
    };
    let check = |text: String, expected: Option<&str>| {
        let catalogue = Catalogue::parse(&text).unwrap();
        let found = catalogue.successor(&catalogue.rows()[0], day("2026-11-21"));
        match (found, expected) {
            (Ok(successor), Some(id)) => assert_eq!(successor.row.id.as_str(), id),
            (Err(failure), None) => assert_eq!(failure.code, ErrorCode::ModelRetired),
            (found, expected) => panic!("{found:?} {expected:?}"),
        }
    };
    let live = "[[model]]\nid='live'\nname='x'\nfamily='local'\n";
    check(row("a", "b") + &row("b", "live") + live, Some("live"));
    check(row("a", "b") + &row("b", "a"), None);
    check(row("a", "gone"), None);
}

#[test]
fn prices_are_those_of_size_and_quality() {
    let catalogue = Catalogue::built_in();
    let check = |id: &str, size: &str, quality: &str, operation: &str, micros: Option<u64>| {
        let price = catalogue.resolve(id).unwrap().price_of(size, quality, operation);
        assert_eq!(price.map(|price| price.micros.0), micros, "{id} {size} {quality} {operation}");
    };
    check("gpt-image-2", "1024x1024", "low", "generate", Some(6_000));
    check("gpt-image-2", "1536x1024", "high", "generate", Some(165_000));
    check("gpt-image-2", "1536x864", "medium", "generate", Some(53_000));
    check("gpt-image-2", "2560x1440", "medium", "generate", Some(120_000));
    check("gpt-image-2", "3840x2160", "medium", "generate", None);
    check("gpt-image-2", "1024x1024", "medium", "edit", Some(87_000));
    check("gpt-image-2", "1024x1024", "medium", "upscale", None);
    check("gpt-image-2.6-sunburst", "1024x1024", "medium", "generate", None);
    check("nano-banana-pro", "2K", "", "generate", Some(134_000));
    check("nano-banana-pro", "4K", "", "edit", Some(240_000));
    check("ideogram-4.5", "", "medium", "edit", Some(60_000));
    check("ideogram-4.5", "", "high", "edit", Some(220_000));
    check("ideogram-v2a-turbo", "", "turbo", "generate", Some(25_000));
    check("stability-upscale-creative", "", "", "upscale", Some(600_000));
    check("stability-upscale-creative", "", "", "generate", None);
    check("sd3.5-medium", "", "", "generate", None);
}

#[test]
fn a_quality_is_always_sent_where_there_is_one() {
    let catalogue = Catalogue::built_in();
    for (id, quality) in [
        ("gpt-image-2", "medium"),
        ("gpt-image-2.5-flare", "medium"),
        ("ideogram-4", "default"),
        ("ideogram-v2", "default"),
        ("ideogram-v2-turbo", "turbo"),
        ("dall-e-3-hd", "hd"),
        ("nano-banana-pro", ""),
    ] {
        assert_eq!(catalogue.resolve(id).unwrap().default_quality(), quality, "{id}");
    }
}

#[test]
fn tokens_are_settled_to_the_last_millionth_and_rounded_up() {
    let catalogue = Catalogue::built_in();
    let tokens = catalogue.resolve("gpt-image-2").unwrap().tokens.clone().unwrap();
    assert_eq!(tokens.cost(14, 0, 210), Micros(14 * 5 + 210 * 30));
    assert_eq!(tokens.cost(0, 1000, 0), Micros(8_000));
    assert_eq!(tokens.cost(u64::MAX, u64::MAX, u64::MAX), Micros::MAX);
    let google = catalogue.resolve("nano-banana-2.1").unwrap().tokens.clone().unwrap();
    assert_eq!(google.cost(9, 0, 1120), Micros(33_614), "9 tokens at 1.5 are 13.5");
    assert_eq!(google.cost(0, 2, 0), Micros(3), "pictures cost what words cost where nothing else is said");
}

#[test]
fn rows_of_ones_own_take_the_place_of_those_with_their_id() {
    let built_in = Catalogue::built_in();
    let own = |text: &str| parse_rows(text).and_then(|rows| built_in.with_rows(rows));
    let row = "name='x'\nfamily='hosted'\nprovider='openai'\n";
    let catalogue =
        own(&format!("[[model]]\nid='gpt-image-2'\n{row}price=[{{usd='0.07',as_of='2026-11'}}]\n")).unwrap();
    assert_eq!(catalogue.rows().len(), built_in.rows().len());
    let price = catalogue.resolve("gpt-image-2").unwrap().price_of("3840x2160", "high", "edit").unwrap();
    assert_eq!(price.micros, Micros(70_000));
    let catalogue = own(&format!("[[model]]\nid='studio-model'\naliases=['ours']\n{row}")).unwrap();
    assert_eq!(catalogue.resolve("OURS").unwrap().id.as_str(), "studio-model");
    // A spelling that the built-in rows have already would name two.
    let error = own(&format!("[[model]]\nid='studio-model'\naliases=['imagen4']\n{row}"));
    assert!(matches!(error, Err(CatalogueError::Ambiguous { .. })), "{error:?}");
}

#[test]
fn what_a_project_calls_cheap_costs_what_it_costs() {
    let catalogue = Catalogue::built_in();
    let check = |lines: &str, asked: [&str; 3], usd: &str| {
        let text = format!("[[model]]\nname='x'\nfamily='hosted'\nprovider='openai'\n{lines}");
        let mut row = parse_rows(&text).unwrap().remove(0);
        catalogue.raise(&mut row);
        let price = row.price_of(asked[0], asked[1], asked[2]).map(|price| price.micros);
        assert_eq!(price, usd.parse().ok(), "{lines} {asked:?}");
        row
    };
    let (square, cheap) = (["1024x1024", "high", "generate"], "price=[{usd='0.0001',as_of='2026'}]");
    check(&format!("id='gpt-image-2'\n{cheap}"), square, "0.211");
    check(&format!("id='ours'\nwire='gpt-image-2'\n{cheap}"), square, "0.211");
    check(&format!("id='ours'\nwire='gpt-image-2-2026-04-21'\n{cheap}"), square, "0.211");
    check("id='gpt-image-2'\nprice=[{usd='0.5',as_of='2026'}]", square, "0.5");
    check("id='imagen-4'\nprice=[{quality='high',usd='0.5',as_of='2026'},{usd='0.01',as_of='2026'}]", square, "0.5");
    check("id='imagen-4'\nprice=[{quality='high',usd='0.5',as_of='2026'}]", ["1K", "", "generate"], "0.04");
    // What nobody here knows, the project may say.
    check(&format!("id='gpt-image-2'\n{cheap}"), ["3840x2160", "high", "generate"], "0.0001");
    check(&format!("id='gpt-image-2.6-flare'\n{cheap}"), square, "0.0001");
    check(&format!("id='ours'\nwire='unheard-of'\n{cheap}"), square, "0.0001");
    let tokens = "[model.tokens]\ntext_in='0'\nimage_out='0.01'\nas_of='2026'";
    let row = check(&format!("id='gpt-image-2'\n{cheap}\n{tokens}"), square, "0.211");
    assert_eq!(row.tokens.unwrap().cost(1, 1, 1), Micros(5 + 8 + 30));
}

#[test]
fn rows_that_mean_nothing_are_refused_with_the_reason() {
    let check = |lines: &str, part: &str| {
        let text = format!("[[model]]\nid='m'\nname='M'\nfamily='local'\n{lines}");
        let error = parse_rows(&text).expect_err(lines).to_string();
        assert!(error.contains(part), "{error}");
    };
    check("colour='red'", "unknown field");
    check("pass={photo=1.5}", "pass.photo is a share from 0 to 1");
    check("pass={photo=nan}", "pass.photo is a share from 0 to 1");
    check("pass_weight=0", "pass_weight counts pictures");
    check("replacement='m'", "cannot take its own place");
    check("retired_on='soon'", "2026-11-21");
    check("price=[{usd='free',as_of='2026'}]", "write dollars");
    check("price=[{usd='1'}]", "as_of");
    check("[model.can]\nratios=['16x9']", "write the ratio \"16x9\"");
    check("[model.can]\nsizes=['big']", "as in 512x512");
    check("[model.can]\nquality='best'", "none of its qualities");
    check("[model.can]\nfree_size={multiple=0,edge_max=1,ratio_max=1.0,pixels=[1,2]}", "free_size fits no size");
    let hosted = parse_rows("[[model]]\nid='m'\nname='M'\nfamily='hosted'\n").expect_err("no provider").to_string();
    assert!(hosted.contains("name the `provider`"), "{hosted}");
}

#[test]
fn rows_survive_the_journey_with_a_job() {
    for row in Catalogue::built_in().rows() {
        let text = serde_json::to_string(row).unwrap();
        assert_eq!(serde_json::from_str::<ModelRow>(&text).unwrap(), *row);
    }
}
