//! Routes, policies and budgets: what a manifest says of models that cost money, and what it may not say.

use std::sync::Arc;

use super::*;
use crate::model::{ModelId, parse_rows};
use crate::recipe::Intent;
use crate::routing::{Counts, Learned};
use crate::terms::{Period, Scope as Covers};

/// The model of the first image, or "auto: " and the first model that price and quality chose.
fn drawn_with(text: &str, overrides: &Overrides) -> String {
    let expansion = expanded(text, &shelf(), overrides).unwrap_or_else(|errors| panic!("{errors}"));
    let wanted = &expansion.wanted[0];
    match (&wanted.recipe.model, wanted.terms.models.first()) {
        (Some(model), None) => model.to_string(),
        (None, Some(chosen)) => format!("auto: {chosen}"),
        (None, None) => String::new(),
        (Some(_), Some(_)) => "both".to_owned(),
    }
}

#[test]
fn what_is_said_nearer_chooses_the_model() {
    let check = |head: &str, template: &str, asset: &str, expected: &str| {
        let text = format!(
            "{head}\n[templates.t]\nprompt='p'\nintent='typography'\n{template}\n[assets.a]\ntemplate='t'\n{asset}\n"
        );
        assert_eq!(drawn_with(&text, &Overrides::default()), expected, "{text}");
        let flag = Overrides { model: Some("gpt-image-2".into()), ..Overrides::default() };
        assert_eq!(drawn_with(&text, &flag), "gpt-image-2", "a flag wins over everything");
    };
    let tiers = "[tiers.production]\nmodel='sd3-large'\n";
    let routes = &format!("{tiers}[routes]\nproduction='nano-banana'\n");
    let by_intent =
        &format!("{routes}'production.typography'='ideogram-4.5'\n'preview.typography'='ideogram-v2a-turbo'\n");
    check("", "", "", "");
    check(tiers, "", "", "sd3.5-large");
    check(routes, "", "", "nano-banana-pro");
    check(by_intent, "", "", "ideogram-4.5");
    check(by_intent, "tier='preview'", "", "ideogram-v2a-turbo");
    check(by_intent, "model='Ideogram V2'", "", "ideogram-v2");
    check(by_intent, "model='Ideogram V2'", "model='sd3.5_turbo'", "sd3.5-large-turbo");
    // The case study's rule stands where a model would: over the tables, under a model that is named.
    check(by_intent, "requires_typography_precision=true\nconfidence=0.5", "", "imagen-4");
    check(by_intent, "requires_typography_precision=true\nconfidence=0.9", "fast_preview=true", "sd3.5-medium");
    check(by_intent, "fast_preview=true", "model='sd3-large'", "sd3.5-large");
    // Auto goes over what is said farther off, and under what is said nearer.
    check(&format!("route='auto'\n{by_intent}"), "", "", "auto: gpt-image-2.5-flare");
    check(&format!("route='auto'\n{by_intent}"), "model='Ideogram V2'", "", "ideogram-v2");
    check(&format!("route='auto'\n{by_intent}"), "", "route='pinned'", "ideogram-4.5");
    check(by_intent, "model='Ideogram V2'", "route='auto'", "auto: gpt-image-2.5-flare");
    check(by_intent, "route='auto'", "", "auto: gpt-image-2.5-flare");
    check(by_intent, "route='auto'", "model='sd3-large'", "sd3.5-large");
}

#[test]
fn auto_asks_for_the_tiers_share_and_time() {
    let check = |head: &str, asset: &str, expected: &str| {
        let text = format!("route='auto'\n{head}\n[assets.a]\nprompt='p'\n{asset}\n");
        assert_eq!(drawn_with(&text, &Overrides::default()), expected, "{text}");
    };
    check("", "tier='preview'", "auto: sd3.5-large");
    check("[tiers.preview]\nmax_latency_ms=800\n", "tier='preview'", "auto: sd3.5-large-turbo");
    check("[auto]\npass_rate={production=0.8}\n", "", "auto: nano-banana-pro");
    check("[policy]\nproviders=['google']\n", "", "auto: nano-banana-2.1");
    let none = expanded(
        "route='auto'\n[auto]\npass_rate={production=0.99}\n[assets.a]\nprompt='p'\n",
        &shelf(),
        &Overrides::default(),
    );
    let errors = none.expect_err("nothing is that good").to_string();
    assert!(
        errors.contains("assets.a: route = \"auto\" finds no model for photo (") && errors.contains("99 % must"),
        "{errors}"
    );
}

#[test]
fn what_was_learned_is_heeded() {
    let catalogue = Catalogue::built_in();
    let mut learned = Learned::default();
    let id = catalogue.resolve("sd3.5-medium").expect("a model").id.clone();
    learned.set(id, Intent::Photo, Counts { passed: 900, failed: 10, ..Counts::default() });
    let manifest = Manifest::parse("m", b"route='auto'\n[assets.a]\nprompt='p'\n").expect("a manifest");
    let known = Known { learned: &learned, ..Known::of(&catalogue, today()) };
    let strings = Strings::default();
    let expansion = expand(&manifest, &strings, &shelf(), known, &Overrides::default()).expect("an image");
    assert_eq!(expansion.wanted[0].terms.models[0].as_str(), "sd3.5-medium");
}

#[test]
fn terms_are_made_once_and_shared() {
    let text = format!("[budget]\ntotal='20'\n{SHOP}");
    let expansion = good(&text);
    assert!(Arc::ptr_eq(&expansion.wanted[0].terms, &expansion.wanted[1].terms));
    assert!(good(SHOP).wanted[0].terms.is_default());
}

#[test]
fn a_manifest_says_its_terms() {
    let text = "project='com.example.shop'\n\
        [policy]\nproviders=['openai','studio']\ncross_vendor_refusals=true\n[policy.licences]\ndeny=['stabilityai-community-2024']\n\
        [budget]\ntotal='20.00'\nday=2.5\nbatch='1'\nproduction=5\n\
        [accounts.studio]\nprovider='a1111'\nimages_in_flight=2\nday='1.00'\n\
        [assets.a]\nprompt='p'\nmodel='gpt-image-2'\npin=true\nallow_lossy=['seed','negative']\nfallback=['a1111']\n";
    let expansion = good(text);
    let terms = &expansion.wanted[0].terms;
    assert_eq!(terms.providers.as_deref(), Some(&["openai".to_owned(), "studio".to_owned()][..]));
    assert!(terms.cross_vendor_refusals && terms.pin);
    assert_eq!(terms.allow_lossy, ["seed", "negative"]);
    assert_eq!(terms.fallback.iter().map(ModelId::as_str).collect::<Vec<_>>(), ["a1111"]);
    assert_eq!(terms.limits["studio"].images_in_flight, Some(2));
    let budgets: Vec<String> = terms
        .budgets
        .iter()
        .map(|budget| {
            let period = match budget.period {
                Period::Ever => "",
                Period::Day => " a day",
                Period::Month => " a month",
            };
            format!("{}{period} {}", budget.scope, budget.micros)
        })
        .collect();
    assert_eq!(
        budgets,
        [
            "project:com.example.shop $20.00",
            "project:com.example.shop a day $2.50",
            "tier:production $5.00",
            "account:studio a day $1.00"
        ]
    );
    assert_eq!(expansion.batch_budget.map(|most| most.0), Some(1_000_000));
    assert!(!terms.budgets.iter().any(|budget| matches!(budget.scope, Covers::Batch(_))), "each build has its own");
}

#[test]
fn models_that_go_are_warned_of_once() {
    let check = |text: &str, expected: &[&str]| {
        let warnings: Vec<String> =
            good(text).warnings.iter().map(|warning| format!("{}: {}", warning.code, warning.message)).collect();
        assert_eq!(warnings, expected, "{text}");
    };
    check("[assets.a]\nprompt='p'\nmodel='gpt-image-2'\n", &[]);
    check(
        "[assets.a]\nprompt='p'\nmodel='imagen4_ultra'\n[assets.b]\nprompt='p'\nmodel='Imagen 4 Ultra'\n",
        &["model_retired: imagen-4-ultra was retired on 2026-08-17; nano-banana-pro takes its place"],
    );
    check(
        "[assets.a]\nprompt='p'\nmodel='gpt-image-1.5'\n[assets.b]\nprompt='p'\nmodel='gpt-image-1.5'\npin=true\n",
        &[
            "model_retires: gpt-image-1.5 retires on 2026-12-01, in 10 days; gpt-image-2 takes its place then",
            "model_retires: gpt-image-1.5 retires on 2026-12-01, in 10 days; gpt-image-2 would take its place, and the pin \
             keeps it from that",
        ],
    );
    check(
        "[assets.a]\nprompt='p'\nmodel='dalle3-hd'\nseed=1\nnegative='fog'\nallow_lossy=['seed','negative','steps']\n",
        &[
            "lossy: gpt-image-2 takes no negative; allow_lossy lets it be left out",
            "lossy: gpt-image-2 takes no seed; allow_lossy lets it be left out",
            "model_retired: dall-e-3-hd was retired on 2026-05-12; gpt-image-2 takes its place",
        ],
    );
    check(
        "[assets.a]\nprompt='p'\nmodel='gpt-image-2'\nfallback=['imagen-fast']\n",
        &["model_retired: imagen-4-fast was retired on 2026-08-17; gemini-3.1-flash-lite-image takes its place"],
    );
}

#[test]
fn what_is_not_allowed_is_refused_before_anything_is_sent() {
    let check = |text: &str, code: ErrorCode, expected: &str| {
        let errors = expanded(text, &shelf(), &Overrides::default()).map(|_| ()).expect_err(text);
        assert_eq!((errors.errors[0].code, errors.to_string().as_str()), (code, expected));
    };
    check(
        "[policy.licences]\ndeny=['stabilityai-community-2024']\n[tiers.production]\nmodel='sd3-large'\n[assets.a]\nprompt='p'\n[assets.b]\nprompt='q'\n",
        ErrorCode::LicenceDenied,
        "thumbforge.toml:4:1: tiers.production.model: policy.licences does not allow \"stabilityai-community-2024\", the \
         licence of sd3.5-large; name another model, or change the policy",
    );
    check(
        "[policy]\nproviders=['google']\n[routes]\nproduction='gpt-image-2'\n[assets.a]\nprompt='p'\n",
        ErrorCode::PolicyDenied,
        "thumbforge.toml:4:1: routes.production: policy.providers does not allow openai, which gpt-image-2 is asked of; \
         name another model, or change the policy",
    );
    check(
        "[policy]\nproviders=['openai']\n[assets.a]\nprompt='p'\nmodel='gpt-image-2'\nfallback=['imagen-fast']\n",
        ErrorCode::PolicyDenied,
        "thumbforge.toml:6:1: assets.a.fallback: policy.providers does not allow google, which gemini-3.1-flash-lite-image \
         is asked of (in place of imagen-4-fast); name another model, or change the policy",
    );
    check(
        "[policy.licences]\nallow=['apache-2.0']\n[templates.t]\nprompt='p'\nadapters=[{file='a.safetensors',licence='cc-by-nc-4.0'}]\n",
        ErrorCode::LicenceDenied,
        "thumbforge.toml:5:33: templates.t.adapters[0].licence: policy.licences does not allow \"cc-by-nc-4.0\", the \
         licence of \"a.safetensors\"; say its licence, take the adapter out, or change the policy",
    );
    // Whose account a name is stands in the user's settings, so a plan cannot refuse it; the router does.
    good("[policy]\nproviders=['studio']\n[assets.a]\nprompt='p'\nmodel='gpt-image-2'\n");
    // Built-in art is under nobody's licence and goes to nobody.
    good("[policy]\nproviders=[]\n[policy.licences]\nallow=[]\n[assets.a]\nprompt='p'\nmodel='builtin'\n");
}

#[test]
fn a_retired_model_that_is_pinned_is_refused_where_something_is_drawn_with_it() {
    let text = "[assets.a]\nprompt='p'\nmodel='dalle3-hd'\npin=true\n[assets.b]\nprompt='p'\nmodel='dalle3-hd'\n";
    let expansion = good(text);
    let words = "dall-e-3-hd was retired on 2026-05-12, and it is pinned";
    assert_eq!(expansion.warnings.iter().filter(|warning| warning.message == words).count(), 1);
    // What was drawn before stays, and its build goes on: a day of the calendar breaks nothing by itself.
    assert_eq!(expansion.check_drawn(expansion.wanted[1..].iter()), Ok(()));
    let errors = expansion.check_drawn(expansion.wanted.iter()).expect_err("a pinned model");
    assert_eq!(errors.code(), ErrorCode::ModelRetired);
    let expected = format!("thumbforge.toml:3:1: assets.a.model: {words}; name gpt-image-2, or take `pin` out");
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn a_manifest_binds_no_key() {
    for key in ["key='env:OPENAI_API_KEY'", "base_url='https://example.com'", "api_key='x'", "allow_private=true"] {
        let text = format!("[accounts.main]\n{key}\n[assets.a]\nprompt='p'\n");
        let errors = Manifest::parse("m", text.as_bytes()).expect_err(key).to_string();
        let word = key.split('=').next().expect("a key");
        let expected = format!(
            "m:2:1: accounts.main.{word}: a manifest cannot say the {word} of an account: it comes with every pull \
             request; put it under [accounts] of your own settings, or of the file that --config names"
        );
        assert_eq!(errors, expected);
        assert!(!errors.contains("OPENAI_API_KEY"));
    }
}

#[test]
fn wrong_words_are_told_with_their_place() {
    let check = |text: &str, expected: &str| {
        let errors = Manifest::parse("m", text.as_bytes()).map(|_| ()).expect_err(text).to_string();
        assert!(errors.starts_with(expected), "{errors}");
    };
    check("[budget]\ntotal='lots'", "m:2:1: budget.total: no amount: \"lots\"; write dollars");
    check("[budget]\nday=-1", "m:2:1: budget.day: no amount: \"-1\"; write dollars");
    check("[budget]\nweek=1", "m:2:1: budget.week: no such key");
    check("[accounts.a]\nday='1e9'", "m:2:1: accounts.a.day: no amount");
    check("[routes]\nproductoin='x'", "m:2:1: routes.productoin: no such route; write \"preview\"");
    check("[routes]\n'production.text'='x'", "m:2:1: routes.\"production.text\": no such route");
    check("[routes]\nproduction.typography='x'", "m:2:1: routes.production: expected string, found table");
    check("route='cheap'", "m:1:7: route: \"cheap\" is not known here; write one of: pinned, auto");
    check("[templates.t]\nallow_lossy=['mask']", "m:2:14: templates.t.allow_lossy[0]: \"mask\" is not known here");
    check("[templates.t]\nconfidence=1.5", "m:2:12: templates.t.confidence: 1.5 is out of range");
    check("[auto]\npass_rate={production=70}", "m:2:23: auto.pass_rate.production: 70 is out of range");
    let unknown =
        expanded("[routes]\nproduction='gpt-imag-2'\n[assets.a]\nprompt='p'\n", &shelf(), &Overrides::default());
    let unknown = unknown.map(|_| ()).expect_err("misspelt").to_string();
    assert!(unknown.contains("routes.production: no model \"gpt-imag-2\"; did you mean \"gpt-image-2\"?"), "{unknown}");
}

#[test]
fn rows_of_the_project_go_along_with_the_jobs_that_need_them() {
    let row = |id: &str| format!("[[model]]\nid='{id}'\nname='x'\nfamily='hosted'\nprovider='openai'\n");
    let own = parse_rows(&(row("studio") + &row("other"))).expect("rows");
    let catalogue = Catalogue::built_in().with_rows(own.clone()).expect("no clash");
    let manifest =
        Manifest::parse("m", b"[assets.a]\nprompt='p'\nmodel='studio'\n[assets.b]\nprompt='p'\nmodel='gpt-image-2'\n");
    let known = Known { own: &own, ..Known::of(&catalogue, today()) };
    let expansion = expand(&manifest.expect("a manifest"), &Strings::default(), &shelf(), known, &Overrides::default())
        .expect("two");
    let rows = |at: usize| expansion.wanted[at].terms.rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>();
    assert_eq!((rows(0), rows(1)), (vec!["studio"], vec![]));
}

#[test]
fn what_the_documentation_shows_is_read() {
    let text = include_str!("../../../../docs/models.md");
    let blocks: Vec<&str> = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 4);
    for block in blocks {
        if block.starts_with("[[model]]") {
            let own = parse_rows(block).expect("rows of a project");
            Catalogue::built_in().with_rows(own).expect("no spelling of two");
        } else if let Err(errors) = Manifest::parse("docs/models.md", block.as_bytes()) {
            panic!("{errors}\n{block}");
        }
    }
}
