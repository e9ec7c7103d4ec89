//! What scripts write, and which job it becomes.

use super::super::body;
use super::*;

const NOW_MS: u64 = 1_000_000;

fn read_with(json: &str, change: impl FnOnce(&mut Terms<'_>)) -> Result<Asked, Refusal> {
    let catalogue = Catalogue::built_in();
    let mut terms = Terms {
        catalogue: &catalogue,
        client: "http:test".to_owned(),
        now_ms: NOW_MS,
        size: Extent { width: 512, height: 512 },
        model: None,
        edit: None,
        placeholder: false,
        lossy: true,
    };
    change(&mut terms);
    read(body::parse(json.as_bytes())?, terms)
}

/// The job in words: only what differs from a bare prompt of 512x512.
fn told(asked: &Asked) -> String {
    let (spec, recipe) = (&asked.spec, &asked.spec.recipe);
    let mut words = vec![recipe.prompt.clone(), recipe.size.to_string()];
    let mut say = |name: &str, value: Option<String>| words.extend(value.map(|value| format!("{name}={value}")));
    say("negative", Some(recipe.negative.clone()).filter(|text| !text.is_empty()));
    say("model", recipe.model.as_ref().map(ToString::to_string));
    say("seed", recipe.seed.map(|seed| seed.to_string()));
    say("steps", recipe.settings.steps.map(|steps| steps.to_string()));
    say("guidance", recipe.settings.guidance.map(|guidance| guidance.to_string()));
    say("sampler", recipe.settings.sampler.clone());
    say("intent", Some(recipe.intent.word().to_owned()).filter(|word| word != "photo"));
    say("tier", Some(recipe.tier.word().to_owned()).filter(|word| word != "production"));
    let layer = |layer: &TextLayer| format!("{:?} in {} by {}", layer.text, layer.locale, layer.mode.word());
    say("text", recipe.text.first().map(layer));
    say("gate", (spec.gate == Gate::Enforce).then(|| "enforce".to_owned()));
    say("repair", spec.terms.repair.as_ref().map(|repair| repair.means.len().to_string()));
    say("brand", recipe.brand.first().map(ToString::to_string));
    say("priority", Some(spec.priority.to_string()).filter(|word| word != "0"));
    say("until", spec.deadline_ms.map(|at| at.to_string()));
    say("placeholder", spec.placeholder.then(|| "yes".to_owned()));
    say("dropped", (!asked.dropped.is_empty()).then(|| asked.dropped.join(",")));
    words.join(" ")
}

#[track_caller]
fn check(json: &str, expected: &str) {
    match read_with(json, |_| {}) {
        Ok(asked) => assert_eq!(told(&asked), expected, "{json}"),
        Err(refusal) => panic!("{json} was refused: {refusal:?}"),
    }
}

#[track_caller]
fn refused(json: &str, param: &str, said: &str) {
    let refusal = read_with(json, |_| {}).expect_err(json);
    let (status, _, told, message) = refusal.told();
    assert_eq!((status, told), (400, Some(param)), "{json}: {message}");
    assert!(message.starts_with("failed to ") && message.contains(said), "{json}: {message}");
}

#[test]
fn the_case_studies() {
    check(
        r#"{"prompt":"studio photo of sword on table, cinematic lighting","width":512,"height":512}"#,
        "studio photo of sword on table, cinematic lighting 512x512",
    );
    check(r#"{"prompt": "p", "w":512,"h":512}"#, "p 512x512");
    check(
        r#"{"prompt":"p","model":"dalle3-hd","seed":42,"guidance":7.5,"size":"1024x1024"}"#,
        "p 1024x1024 model=dall-e-3-hd seed=42 guidance=7.5",
    );
    check(r#"{"model":"sd3.5-medium","prompt":"p","steps":20}"#, "p 512x512 model=sd3.5-medium steps=20");
    check(r#"{"model":"nano-banana","prompt":"test"}"#, "test 512x512 model=nano-banana-pro");
    check(r#"{"prompt":"p","width":1024,"height":1536}"#, "p 1024x1536");
    check(r#"{"prompt":"p","seed":1234,"size":"768x512"}"#, "p 768x512 seed=1234");
}

#[test]
fn words_are_a_promise() {
    check(r#"{"prompt":"p","text":"SALE"}"#, "p 512x512 text=\"SALE\" in en by composite gate=enforce");
    check(
        r#"{"prompt":"p","text":"セール","lang":"ja","text_mode":"auto"}"#,
        "p 512x512 text=\"セール\" in ja by auto gate=enforce repair=5",
    );
    check(
        r#"{"prompt":"p","text":"SALE","locale":"de","text_mode":"model"}"#,
        "p 512x512 text=\"SALE\" in de by model gate=enforce",
    );
    check(
        r#"{"prompt":"p","text":"SALE","text_mode":"auto","repair":false}"#,
        "p 512x512 text=\"SALE\" in en by auto gate=enforce",
    );
    // Whoever wants a picture repaired wants one that passes.
    check(r#"{"prompt":"p","text":" ","repair":true}"#, "p 512x512 gate=enforce repair=5");
    refused(r#"{"prompt":"p","text_mode":"model"}"#, "text_mode", "there is no text");
    refused(r#"{"prompt":"p","text":"SALE","text_mode":"paint"}"#, "text_mode", "write composite, model or auto");
    refused(r#"{"prompt":"p","text":"SALE","lang":"english!"}"#, "lang", "write it as en, pt-BR or zh-Hans");
    refused(r#"{"prompt":"p","text":"SALE","lang":"de","locale":"en"}"#, "locale", "lang says something else");
}

#[test]
fn metadata_names_a_model_where_nothing_else_does() {
    let check = |metadata: &str, expected: &str| check(&format!("{{\"prompt\":\"p\",{metadata}}}"), expected);
    let polish = "p 512x512 model=imagen-4";
    check(r#""requires_typography_precision":true,"confidence":0.5,"fast_preview":true"#, polish);
    check(r#""requires_typography_precision":true"#, polish);
    check(
        r#""requires_typography_precision":true,"confidence":0.9,"fast_preview":true"#,
        "p 512x512 model=sd3.5-medium",
    );
    check(r#""fast_preview":"true""#, "p 512x512 model=sd3.5-medium");
    check(r#""confidence":0.1,"fast_preview":true,"model":"builtin""#, "p 512x512 model=builtin");
    assert!(read_with(r#"{"prompt":"p","confidence":0.1}"#, |_| {}).unwrap().spec.recipe.model.is_some());
    refused(r#"{"prompt":"p","confidence":1.5}"#, "confidence", "from 0 to 1");
}

#[test]
fn spellings_of_other_tools() {
    check(r#"{"prompt":" a \n b "}"#, "a b 512x512");
    check(r#"{"prompt":"p","width":"640","height":480.0}"#, "p 640x480");
    check(r#"{"prompt":"p","size":" 640 X 480 ","width":640,"height":480}"#, "p 640x480");
    check(r#"{"prompt":"p","size":"auto","model":"auto","seed":-1}"#, "p 512x512");
    check(r#"{"prompt":"p","size":null,"model":null,"seed":null,"mask":null}"#, "p 512x512");
    check(
        r#"{"prompt":"p","seed":"7","cfg_scale":"7","num_inference_steps":9}"#,
        "p 512x512 seed=7 steps=9 guidance=7",
    );
    check(r#"{"prompt":"p","negative_prompt":"blur","sampler_name":"k_lms"}"#, "p 512x512 negative=blur sampler=k_lms");
    check(
        r##"{"prompt":"p","tier":"draft","intent":"brand-colour","brand":["#fc0"]}"##,
        "p 512x512 intent=brand-colour tier=preview brand=#ffcc00",
    );
    check(r#"{"prompt":"p","seed":9007199254740991}"#, "p 512x512 seed=9007199254740991");
    check("\u{feff}{\"prompt\":\"p\"}", "p 512x512");
}

#[test]
fn conditions() {
    check(r#"{"prompt":"p","timeout":2.5,"priority":-3}"#, "p 512x512 priority=-3 until=1002500");
    check(r#"{"prompt":"p","timeout_ms":10,"deadline_ms":1000005}"#, "p 512x512 until=1000005");
    check(r#"{"prompt":"p","placeholder":true}"#, "p 512x512 placeholder=yes");
}

#[test]
fn what_nobody_knows_is_dropped_and_told() {
    check(r#"{"prompt":"p","mask":"AAAA","cheese":1}"#, "p 512x512 dropped=cheese,mask");
    refused(r#"{"prompt":"p","mask":"AAAA","lossy":false}"#, "mask", "\"lossy\": true");
    let many: String = (0..200).map(|n| format!(",\"field {n}\":1")).collect();
    let asked = read_with(&format!("{{\"prompt\":\"p\"{many}}}"), |_| {}).unwrap();
    assert_eq!(asked.dropped.len(), TOLD_MAX);
}

#[test]
fn refusals_name_the_field() {
    refused("{}", "prompt", "there is none");
    refused(r#"{"prompt":"  "}"#, "prompt", "empty prompt");
    refused(r#"{"prompt":["p"]}"#, "prompt", "a text in quotes");
    refused(r#"{"prompt":"p","width":0,"height":512}"#, "width", "16 to 4096");
    refused(r#"{"prompt":"p","w":512,"h":7}"#, "height", "16 to 4096");
    refused(r#"{"prompt":"p","w":512,"h":100000}"#, "height", "512x100000");
    refused(r#"{"prompt":"p","w":-5,"h":512}"#, "width", "16 to 4096");
    refused(r#"{"prompt":"p","width":512}"#, "height", "no height");
    refused(r#"{"prompt":"p","width":512,"w":256,"height":512}"#, "w", "width says something else");
    refused(r#"{"prompt":"p","size":"512x512","w":256,"h":256}"#, "size", "name one");
    refused(r#"{"prompt":"p","size":"big"}"#, "size", "512x512");
    refused(r#"{"prompt":"p","width":1.5,"height":512}"#, "width", "a whole number");
    refused(r#"{"prompt":"p","seed":-2}"#, "seed", "-1 means any");
    refused(r#"{"prompt":"p","seed":9007199254740992}"#, "seed", "9007199254740991");
    refused(r#"{"prompt":"p","seed":1e300}"#, "seed", "a whole number");
    refused(r#"{"prompt":"p","steps":0}"#, "steps", "1 to 1000");
    refused(r#"{"prompt":"p","steps":99999999999}"#, "steps", "1 to 1000");
    refused(r#"{"prompt":"p","guidance":"NaN"}"#, "guidance", "a number");
    refused(r#"{"prompt":"p","model":"sd3.5-medum"}"#, "model", "did you mean");
    refused(r#"{"prompt":"p","tier":"best"}"#, "tier", "preview");
    refused(r#"{"prompt":"p","intent":"meme"}"#, "intent", "photo");
    refused(r##"{"prompt":"p","brand":["red"]}"##, "brand", "#ffcc00");
    refused(r#"{"prompt":"p","placeholder":"yes"}"#, "placeholder", "true or false");
    refused(r#"{"prompt":"p","timeout":0}"#, "timeout", "above 0");
    refused(r#"{"prompt":"p","timeout_ms":1e18}"#, "timeout_ms", "a week");
    refused(r#"{"prompt":"p","deadline_ms":800}"#, "deadline_ms", "timeout_ms");
    refused(&format!(r#"{{"prompt":"p","sampler":"{}"}}"#, "x".repeat(300)), "sampler", "at most 200");
    refused(&format!(r#"{{"prompt":"{}"}}"#, "x".repeat(20_000)), "prompt", "20000 bytes");
}

#[test]
fn bodies_that_are_no_object() {
    for (body, said) in [("", "empty"), (" \n", "empty"), ("[1]", "not an object"), ("{\"prompt\":", "as JSON")] {
        let refusal = body::parse(body.as_bytes()).expect_err(body);
        assert!(refusal.told().3.contains(said), "{body:?}: {refusal:?}");
    }
    let deep = format!("{{\"prompt\":{}", "[".repeat(100_000));
    assert!(body::parse(deep.as_bytes()).is_err());
}

#[test]
fn the_model_of_the_path_and_of_the_body_agree_or_are_refused() {
    let named = |name: &str| Some(Catalogue::built_in().resolve(name).unwrap().id.clone());
    let path = |terms: &mut Terms<'_>| terms.model = named("dalle-ultra");
    let model = |json| read_with(json, path).map(|asked| asked.spec.recipe.model);
    assert_eq!(model(r#"{"prompt":"p"}"#).unwrap(), named("dall-e-3-hd"));
    assert_eq!(model(r#"{"prompt":"p","model":"dalle3-hd"}"#).unwrap(), named("dall-e-3-hd"));
    assert_eq!(model(r#"{"prompt":"p","model":"imagen-4"}"#).expect_err("two models").told().2, Some("model"));
}

#[test]
fn the_body_overrules_what_the_operator_said_of_placeholders() {
    let placeholder = |json| read_with(json, |terms| terms.placeholder = true).unwrap().spec.placeholder;
    assert!(placeholder(r#"{"prompt":"p"}"#));
    assert!(!placeholder(r#"{"prompt":"p","placeholder":false}"#));
}
