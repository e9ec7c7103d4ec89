//! What a person writes becomes images, and what a person gets wrong is told with its place and the fix.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::day::Day;
use crate::model::Catalogue;
use crate::recipe::Settings;
use crate::text_layer::{Guard, Place};

/// Files in memory.
#[derive(Default)]
struct Shelf(BTreeMap<String, Vec<u8>>);

impl Shelf {
    fn with(mut self, path: &str, content: &str) -> Self {
        self.0.insert(path.to_owned(), content.as_bytes().to_vec());
        self
    }
}

impl Files for Shelf {
    fn read(&self, path: &str, bytes_max: usize) -> Result<Vec<u8>, FileFault> {
        let content = self.0.get(path).ok_or(FileFault::Missing)?;
        if content.len() > bytes_max { Err(FileFault::TooLarge { bytes_max }) } else { Ok(content.clone()) }
    }

    fn content(&self, path: &str) -> Result<ContentHash, FileFault> {
        self.0.get(path).map(|content| ContentHash::of(content)).ok_or(FileFault::Missing)
    }
}

const TABLE: &str = "Key,English(en),\"Chinese (Simplified)(zh-Hans)\",Japanese(ja)\n\
    sword.title,Steel Sword,精钢长剑,鋼の剣\npotion.title,Potion,药水,\n";

const SHOP: &str = r##"
[locales]
list = ["en", "zh-Hans"]
strings = ["Shop.csv"]

[profiles.sprite]
texture_type = "sprite"

[templates.card]
version = 2
prompt = "{{ style }}, {{ subject }}, no text"
intent = "icon"
profile = "sprite"
vars = { style = "flat vector", subject = "an item" }

[[templates.card.text]]
name = "title"
string = "{{ asset }}.title"
area = [0.1, 0.1, 0.8, 0.2]
fill = "#ffcc00"

[assets.sword]
template = "card"
vars = { subject = "a {{ metal }} sword", metal = "steel" }
"##;

/// A manifest of one asset whose only layer has this style.
fn styled(style: &str) -> String {
    format!(
        "[templates.card]\nprompt = 'p'\n[[templates.card.text]]\nname = 'title'\ntext = 'Sale'\n{style}\n\
         [assets.a]\ntemplate = 'card'\nlocales = []\n"
    )
}

#[test]
fn styles_say_how_words_stand() {
    let style = |text: &str| {
        let found = expanded(&styled(text), &Shelf::default(), &Overrides::default()).expect("a good manifest");
        found.wanted[0].recipe.text[0].style.clone()
    };
    let (plain, all) = (style(""), style("arc = -40\nplace = 'calm'\nguard = 'auto'"));
    assert_eq!((plain.arc, plain.place, plain.guard), (0.0, Place::Area, Guard::None));
    assert_eq!((all.arc, all.place, all.guard), (-40.0, Place::Calm, Guard::Auto));
    let refused = |text: &str| {
        let errors = expanded(&styled(text), &Shelf::default(), &Overrides::default()).expect_err("a bad style");
        errors.to_string()
    };
    assert!(refused("arc = 200").contains("arcs go from -180 to 180 degrees"), "{}", refused("arc = 200"));
    assert!(refused("guard = 'always'").contains("none, outline, plate, auto"), "{}", refused("guard = 'always'"));
}

fn today() -> Day {
    "2026-11-21".parse().expect("a day")
}

fn shelf() -> Shelf {
    Shelf::default().with("Shop.csv", TABLE)
}

fn expanded(text: &str, files: &Shelf, overrides: &Overrides) -> Result<Expansion, ManifestErrors> {
    let manifest = Manifest::parse("thumbforge.toml", text.as_bytes())?;
    let strings = manifest.strings(files)?;
    expand(&manifest, &strings, files, Known::of(&Catalogue::built_in(), today()), overrides)
}

#[track_caller]
fn good(text: &str) -> Expansion {
    match expanded(text, &shelf(), &Overrides::default()) {
        Ok(expansion) => expansion,
        Err(errors) => panic!("{errors}"),
    }
}

fn outputs(expansion: &Expansion) -> Vec<&str> {
    expansion.wanted.iter().map(|wanted| wanted.output.as_str()).collect()
}

#[test]
fn assets_times_locales_become_recipes() {
    let expansion = good(SHOP);
    assert_eq!(outputs(&expansion), ["Thumbnails/sword/sword.en.png", "Thumbnails/sword/sword.zh-Hans.png"]);
    assert_eq!(expansion.scope, Scope::Whole);
    let chinese = &expansion.wanted[1];
    assert_eq!(chinese.recipe.prompt, "flat vector, a steel sword, no text");
    assert_eq!((chinese.recipe.text[0].text.as_str(), chinese.recipe.text[0].locale.as_str()), ("精钢长剑", "zh-Hans"));
    assert_eq!(chinese.recipe.template.as_ref().map(|template| template.version), Some(2));
    assert_eq!(chinese.profile.as_ref().map(|profile| profile.name.as_str()), Some("sprite"));
    assert_eq!(chinese.planned, chinese.recipe.planned_key());
    assert_ne!(expansion.wanted[0].planned, chinese.planned);
}

#[test]
fn an_image_without_words_has_no_locale() {
    let expansion = good("[locales]\nlist=['en','ja']\n[assets.rock]\nprompt='a {{ size }} rock'\n");
    assert_eq!(outputs(&expansion), ["Thumbnails/rock.png"]);
    assert_eq!(expansion.wanted[0].recipe.prompt, "a 512x512 rock");
    assert_eq!(expansion.wanted[0].asset.locale, "");
    let named =
        "[locales]\nlist=['en','ja']\n[output]\npath='{{ locale }}/{{ asset }}.png'\n[assets.rock]\nprompt='rock'\n";
    assert_eq!(outputs(&good(named)), ["en/rock.png", "ja/rock.png"]);
    let per_locale =
        "[locales]\nlist=['en','ja']\n[assets.rock]\nprompt='a {{ place }}'\nvars={place='rock in {{ locale }}'}\n";
    let prompts: Vec<String> = good(per_locale).wanted.into_iter().map(|wanted| wanted.recipe.prompt).collect();
    assert_eq!(prompts, ["a rock in en", "a rock in ja"]);
}

#[test]
fn the_command_line_wins_over_asset_template_and_tier() {
    let text = "tier='preview'\n[tiers.preview]\nmodel='sd3.5_turbo'\nsteps=4\nguidance=1.0\n[tiers.production]\nmodel='imagen4_ultra'\n\
        [templates.t]\nprompt='p'\nsettings={steps=8}\n[assets.a]\ntemplate='t'\n[assets.b]\ntemplate='t'\nmodel='sd3-large'\nseed=7\n[assets.c]\ntemplate='t'\ntier='production'\n";
    let plain = good(text);
    let of = |expansion: &Expansion, at: usize| {
        let recipe = &expansion.wanted[at].recipe;
        (recipe.model.as_ref().map(ToString::to_string).unwrap_or_default(), recipe.settings.steps, recipe.seed)
    };
    assert_eq!(of(&plain, 0), ("sd3.5-large-turbo".into(), Some(8), None));
    assert_eq!(of(&plain, 1), ("sd3.5-large".into(), Some(8), Some(7)));
    assert_eq!(of(&plain, 2), ("imagen-4-ultra".into(), Some(8), None));
    let overrides = Overrides {
        model: Some("builtin".into()),
        seed: Some(1),
        settings: Settings { steps: Some(2), ..Settings::default() },
        size: Some(Extent { width: 64, height: 32 }),
        negative: Some("fog".into()),
        ..Overrides::default()
    };
    let over = expanded(text, &shelf(), &overrides).expect("good flags");
    assert_eq!(of(&over, 1), ("builtin".into(), Some(2), Some(1)));
    assert_eq!(over.wanted[1].recipe.settings.guidance, Some(1.0));
    assert_eq!(over.wanted[1].recipe.negative, "fog");
    assert_eq!(over.wanted[1].recipe.size.to_string(), "64x32");
}

#[test]
fn the_teams_own_art_takes_no_words_of_a_model() {
    let text = "[tiers.production]\nmodel='sd3.5-medium'\n[templates.t]\nprompt='p'\nseed=3\n[assets.a]\ntemplate='t'\nart='Art/a.png'\n";
    let files = shelf().with("Art/a.png", "pixels");
    let wanted = expanded(text, &files, &Overrides::default()).expect("good art").wanted.remove(0);
    assert_eq!(wanted.recipe.art.map(|art| art.content), Some(ContentHash::of(b"pixels")));
    assert_eq!((wanted.recipe.model, wanted.recipe.prompt.as_str(), wanted.recipe.seed), (None, "", None));
    let missing = expanded(text, &shelf(), &Overrides::default()).expect_err("no such file");
    assert_eq!(missing.code(), ErrorCode::InputFile);
    assert!(
        missing.to_string().starts_with("thumbforge.toml:8:1: assets.a.art: \"Art/a.png\": the file is not there"),
        "{missing}"
    );
}

#[test]
fn a_missing_string_fails_skips_or_falls_back() {
    let with = |extra: &str, locales: &str| {
        SHOP.replace("[locales]", &format!("{extra}\n[locales]\nfallback='en'")).replace("\"zh-Hans\"", locales)
            + "[assets.potion]\ntemplate='card'\n"
    };
    let failed = expanded(&with("", "'ja'"), &shelf(), &Overrides::default()).expect_err("potion has no Japanese");
    assert_eq!(failed.code(), ErrorCode::MissingString);
    let told = failed.to_string();
    assert!(told.contains("templates.card.text[0].string: locale \"ja\" has no string \"potion.title\""), "{told}");
    let skipped = good(&with("missing_string='skip'", "'ja'"));
    assert_eq!(skipped.wanted.len(), 3);
    assert_eq!(skipped.skipped[0].string, "potion.title");
    let fallen = good(&with("missing_string='fallback'", "'ja'"));
    let layer = &fallen.wanted[1].recipe.text[0];
    assert_eq!((layer.text.as_str(), layer.locale.as_str()), ("Potion", "en"));
    let nearer = good(&with("", "'zh-Hans-CN'"));
    assert_eq!(nearer.wanted[1].recipe.text[0].text, "药水");
    assert_eq!(nearer.wanted[1].recipe.text[0].locale, "zh-Hans-CN");
    let optional = good(&with("", "'ja'").replace("name = \"title\"", "name = \"title\"\noptional = true"));
    assert!(optional.wanted[1].recipe.text.is_empty());
}

#[test]
fn some_locales_may_be_chosen() {
    let only = Overrides { locales: Some(vec!["ZH_hans".into()]), ..Overrides::default() };
    let part = expanded(SHOP, &shelf(), &only).expect("a locale of the list");
    assert_eq!((outputs(&part), part.scope), (vec!["Thumbnails/sword/sword.zh-Hans.png"], Scope::Part));
    let unknown = Overrides { locales: Some(vec!["zh-Hant".into()]), ..Overrides::default() };
    let error = expanded(SHOP, &shelf(), &unknown).expect_err("not in the list").to_string();
    assert!(error.contains("--locale: the manifest has no locale \"zh-Hant\"; did you mean \"zh-Hans\"?"), "{error}");
}

#[test]
fn a_profile_has_a_border_and_platforms() {
    let with = |profile: &str| {
        let manifest = format!("{profile}\n[assets.a]\nprompt = 'x'\nprofile = 'ui'\n");
        expanded(&manifest, &shelf(), &Overrides::default())
    };
    let good = with(
        "[profiles.ui]\nborder = [1, 2, 3, 4]\n[profiles.ui.platforms.Android]\nmax_size = 256\nformat = 'ASTC_6x6'\ncompression = 'high'\n",
    );
    let profile = good.expect("a profile").wanted[0].profile.clone().expect("a profile").profile.clone();
    assert_eq!(profile.border, Some([1, 2, 3, 4]));
    assert_eq!(
        (profile.platforms["Android"].max_size, profile.platforms["Android"].format.as_deref()),
        (Some(256), Some("ASTC_6x6"))
    );
    for (bad, told) in [
        ("[profiles.ui]\nborder = [1, 2, 3]\n", "profiles.ui.border"),
        ("[profiles.ui]\nborder = [1, 2, 3, -4]\n", "profiles.ui.border"),
        ("[profiles.ui.platforms.Android]\nmax_size = 8\n", "profiles.ui.platforms.Android.max_size"),
        ("[profiles.ui.platforms.Android]\nmax = 64\n", "max"),
    ] {
        let error = with(bad).expect_err(bad).to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn some_assets_may_be_chosen() {
    let manifest = format!("{SHOP}\n[assets.shield]\nprompt = \"an oak shield\"\n");
    let chosen = |assets: &[&str]| Overrides {
        assets: Some(assets.iter().map(|name| (*name).to_owned()).collect()),
        ..Overrides::default()
    };
    let part = expanded(&manifest, &shelf(), &chosen(&["shield", "shield"])).expect("an asset of the manifest");
    assert_eq!((outputs(&part), part.scope), (vec!["Thumbnails/shield.png"], Scope::Part));
    let one = Overrides {
        outputs: Some(vec!["Thumbnails/shield.png".to_owned(), "Thumbnails/gone.png".to_owned()]),
        ..Overrides::default()
    };
    let part = expanded(&manifest, &shelf(), &one).expect("an output of the manifest");
    assert_eq!((outputs(&part), part.scope), (vec!["Thumbnails/shield.png"], Scope::Part));
    let error = expanded(&manifest, &shelf(), &chosen(&["shield", "sheild"])).expect_err("no such asset").to_string();
    assert!(error.contains("--asset: the manifest has no asset \"sheild\"; did you mean \"shield\"?"), "{error}");
}

/// One mistake, made in a manifest that is otherwise good; what is told about it must hold all of these.
#[track_caller]
fn check(text: &str, code: ErrorCode, told: &[&str]) {
    let files = shelf().with("Art/a.png", "pixels");
    let errors = expanded(text, &files, &Overrides::default()).expect_err("a mistake");
    let message = errors.to_string();
    for part in told {
        assert!(message.contains(part), "{part:?} is not in:\n{message}");
    }
    assert_eq!(errors.code(), code, "{message}");
    assert!(errors.errors.iter().all(|error| !error.file.is_empty() && error.line.is_some()), "{message}");
}

#[test]
fn mistakes_are_told_with_place_and_fix() {
    use ErrorCode::{InputFile, InvalidManifest, InvalidRequest, OutputPath, TooLarge, UnknownModel, VersionMismatch};
    let asset = |line: &str| format!("[templates.card]\nprompt = 'p'\n[assets.a]\n{line}\n");
    check("[assets.a\nprompt='p'", InvalidManifest, &["thumbforge.toml:1:"]);
    check("a = 1\na = 2\n", InvalidManifest, &["thumbforge.toml:2:1", "duplicate key"]);
    check("asets = {}\n", InvalidManifest, &["thumbforge.toml:1:1: asets: no such key; did you mean \"assets\"?"]);
    check(
        &asset("templat = 'card'"),
        InvalidManifest,
        &["thumbforge.toml:4:1: assets.a.templat: no such key; did you mean \"template\"?"],
    );
    check(
        &asset("template = 'crad'"),
        InvalidManifest,
        &["thumbforge.toml:4:1: assets.a.template: no template \"crad\"; did you mean \"card\"?"],
    );
    check(&asset("template = 3"), InvalidManifest, &["expected string, found integer; put it in quotes: \"3\""]);
    check(
        &asset("prompt='p'\nlocales = 'en'"),
        InvalidManifest,
        &["expected array, found string; put it in brackets: [\"en\"]"],
    );
    check(
        &asset("prompt='p'\nseed = -1"),
        InvalidManifest,
        &["assets.a.seed: -1 is out of range; write a number of at least 0"],
    );
    check(
        &asset("prompt='p'\nseed = 9007199254740992"),
        InvalidRequest,
        &["assets.a.seed", "seeds go from 0 to 9007199254740991"],
    );
    check(
        &asset("prompt='p'\nsize = '0x512'"),
        InvalidRequest,
        &["thumbforge.toml:5:1: assets.a.size: \"0x512\" is out of bounds; each side must be 16 to 4096 pixels"],
    );
    check(&asset("prompt='p'\nsize = '7x7'"), InvalidRequest, &["\"7x7\" is out of bounds"]);
    check(&asset("prompt='p'\nsize = '100000x512'"), InvalidRequest, &["\"100000x512\" is out of bounds"]);
    check(
        &asset("prompt='p'\nsize = 'large'"),
        InvalidRequest,
        &["\"large\" is no size; write width and height in pixels"],
    );
    check(
        &asset("prompt='p'\nmodel = 'sd3.5-meduim'"),
        UnknownModel,
        &["thumbforge.toml:5:1: assets.a.model: no model \"sd3.5-meduim\"; did you mean \"sd3.5-medium\"?"],
    );
    check("[tiers.preview]\nmodel='nothing'\n", UnknownModel, &["thumbforge.toml:2:1: tiers.preview.model"]);
    check(
        &asset("prompt='p'\ntier = 'prevew'"),
        InvalidManifest,
        &["\"prevew\" is not known here; did you mean \"preview\"?"],
    );
    check(&asset("prompt='p'\nprofile = 'sprite'"), InvalidManifest, &["no profile \"sprite\"; there is none yet"]);
    check(&asset("priority = 1"), InvalidManifest, &["nothing says what the picture shows"]);
    check(&asset("prompt = '   '"), InvalidRequest, &["assets.a.prompt", "empty prompt"]);
    check(
        &asset(&format!("prompt = '{}'", "x".repeat(10 << 20))),
        TooLarge,
        &["assets.a.prompt: the template has 10485760 bytes"],
    );
    check(
        &asset("prompt='{% for i in range(3000) %}0123456789{% endfor %}'"),
        InvalidManifest,
        &["the filled in template is too long"],
    );
    check(
        &asset("prompt='{% for i in range(9999) %}{% for i in range(9999) %}{% endfor %}{% endfor %}'"),
        InvalidManifest,
        &["make its loops smaller"],
    );
    check(
        &asset("prompt='{{ subjet }}'\nvars={subject='x'}"),
        InvalidManifest,
        &["the template names \"subjet\"", "did you mean \"subject\"?"],
    );
    check(
        &asset("prompt='{{ subjet|upper }}'\nvars={subject='x'}"),
        InvalidManifest,
        &["the template names \"subjet\"", "did you mean \"subject\"?"],
    );
    check(&asset("prompt='{{ open'"), InvalidManifest, &["assets.a.prompt: the template cannot be filled in"]);
    check(&asset("prompt='{% include \"other\" %}'"), InvalidManifest, &["put shared words into vars"]);
    check(&asset("prompt='{% extends \"a\" %}'"), InvalidManifest, &["put shared words into vars"]);
    check(
        &asset("prompt='{{ x }}'\nvars={x='{{ y }}',y='{{ z }}',z='{{ x }}!'}"),
        InvalidManifest,
        &["assets.a.vars.x: the variable includes itself: x → y → z → x"],
    );
    check(
        &asset("prompt='{{ x }}'\nvars={x='again {{ x }}'}"),
        InvalidManifest,
        &["the variable includes itself: x → x"],
    );
    check(
        &asset("prompt='p'\nvars={locale='x'}"),
        InvalidManifest,
        &["assets.a.vars.locale", "every template has already"],
    );
    check(&asset("prompt='p'\nart='/etc/passwd'"), InputFile, &["assets.a.art", "is absolute"]);
    check(
        &asset("prompt='p'\nlocales=['en']"),
        InvalidManifest,
        &["assets.a.locales[0]: \"en\" is not in locales.list"],
    );
    check(
        "requires='>=99'\nnewer_key=1\n",
        VersionMismatch,
        &["thumbforge.toml:1:1: requires: this is Thumbforge", "requires \">=99\""],
    );
    check("requires='soon'\n", InvalidManifest, &["names no version"]);
    check(
        "[locales]\nlist=['en','english!']\n",
        InvalidManifest,
        &["thumbforge.toml:2:1", "\"english!\" is no locale code"],
    );
    check("[locales]\nlist=['en','EN']\n", InvalidManifest, &["stands here twice"]);
    check("missing_string='fallback'\n", InvalidManifest, &["no fallback locale is named"]);
    check("missing_string='ignore'\n", InvalidManifest, &["write one of: fail, skip, fallback"]);
    check("brand=['red']\n", InvalidManifest, &["brand[0]: \"red\" is no colour; write it as #rrggbb"]);
    check("[output]\nsafe_area=3\n", InvalidManifest, &["write a number from 0 to 0.25"]);
    check(
        "[criteria]\npresense = 1\n",
        InvalidManifest,
        &["thumbforge.toml:2:1: criteria.presense: no such key; did you mean \"presence\"?"],
    );
    check("[repair]\nmeans = ['resed']\n", InvalidManifest, &["repair.means", "did you mean \"reseed\"?"]);
    check("[repair]\nmeans = []\n", InvalidManifest, &["repair.means: no means at all; name some, or write allow"]);
    check("[repair]\nbudget = '-1'\n", InvalidManifest, &["repair.budget: no amount: \"-1\""]);
    check("[repair]\nattempts = 17\n", InvalidManifest, &["repair.attempts: 17 is out of range"]);
    check(&asset("prompt='p'\nrepair={attempts=0}"), InvalidManifest, &["assets.a.repair.attempts"]);
    check("[criteria]\npresence = 2\n", InvalidManifest, &["criteria.presence: 2 is out of range", "from 0 to 1"]);
    check(
        "[criteria.preview]\ncontrast = 'eror'\n",
        InvalidManifest,
        &["criteria.preview.contrast", "did you mean \"error\"? (one of: ignore, warning, error)"],
    );
    check(
        "[criteria.\"production.typografy\"]\ntext = 'error'\n",
        InvalidManifest,
        &[
            "criteria.\"production.typografy\": criteria for no tier or intent that there is",
            "\"production.typography\"",
        ],
    );
    check(
        "[criteria]\nrequired = ['ACME']\nrequired_locale = 'english!'\n",
        InvalidManifest,
        &["criteria: cannot read the required words in \"english!\"; write the locale as en or zh-Hans"],
    );
    check(&asset("prompt='p'\ncriteria={brand_share=7}"), InvalidManifest, &["assets.a.criteria.brand_share"]);
    check("[output]\nvcs='svn'\n", InvalidManifest, &["write one of: none, p4"]);
    check(
        "[templates.t]\nprompt='p'\npost=[{step='mirror'},{step='vignete',percent=3}]\n",
        InvalidManifest,
        &["templates.t.post[1]"],
    );
    let layer =
        |lines: &str| format!("[templates.t]\nprompt='p'\n[[templates.t.text]]\n{lines}\n[assets.a]\ntemplate='t'\n");
    check(&layer("name='x'"), InvalidManifest, &["templates.t.text[0]", "has no words"]);
    check(&layer("name='x'\ntext='a'\nstring='b'"), InvalidManifest, &["both a string and a text"]);
    check(
        &layer("name='x'\ntext='a'\noutlin={}"),
        InvalidManifest,
        &["thumbforge.toml:6:1: templates.t.text[0].outlin: no such key; did you mean \"outline\"?"],
    );
    check(&layer("name='x'\ntext='a'\noutline={width=0.1}"), InvalidManifest, &["\"colour\" is missing"]);
    check(
        &layer("name='x'\ntext='a'\narea=[0,0,1]"),
        InvalidManifest,
        &["templates.t.text[0].area: expected 4 items, found 3"],
    );
    check(
        &layer("name='x'\ntext='a'\narea=[0.5,0,0.9,1]"),
        InvalidRequest,
        &["templates.t.text[0].area", "beyond the picture"],
    );
    check(&layer("name='x'\ntext='a'\nfill='yellow'"), InvalidManifest, &["fill", "\"yellow\" is no colour"]);
    check(
        &layer("name='x'\ntext='a'\nfont={path='F.ttf'}"),
        InputFile,
        &["templates.t.text[0].font: \"F.ttf\": the file is not there"],
    );
    check(&layer("name='x'\nstring='a'"), InvalidManifest, &["the asset needs locales, and the manifest has none"]);
    let output = |path: &str| format!("[assets.a]\nprompt='p'\noutput='{path}'\n");
    for (path, told) in [
        ("../a.png", "leaves the manifest's folder"),
        ("b/../../a.png", "leaves the manifest's folder"),
        ("/a.png", "is absolute"),
        ("C:/a.png", "has a drive letter"),
        ("c:a.png", "has a drive letter"),
        ("b\\a.png", "has a backslash"),
        ("a.png:stream", "has one of"),
        ("b//a.png", "has an empty part"),
        ("con.png", "Windows keeps for a device"),
        ("b/Com1.x.png", "Windows keeps for a device"),
        ("b./a.png", "ends in a dot or space"),
        (".git/a.png", "lies in .git"),
        ("a.exe", "does not end in .png"),
        ("", "is empty"),
    ] {
        check(&output(path), OutputPath, &["thumbforge.toml:3:1: assets.a.output", told]);
    }
    check("[assets.a]\nprompt='p'\noutput=\"a\\u0000.png\"\n", OutputPath, &["control or invisible character"]);
    check("[assets.\"../a\"]\nprompt='p'\n", OutputPath, &["leaves the manifest's folder"]);
    check(
        "[assets.a]\nprompt='p'\noutput='x.png'\n[assets.b]\nprompt='q'\noutput='X.png'\n",
        OutputPath,
        &["asset \"a\"", "asset \"b\"", "Windows and macOS see one file"],
    );
    check(
        "[assets.a]\nprompt='p'\noutput='x.png'\n[assets.b]\nprompt='q'\noutput='x.png/y.png'\n",
        OutputPath,
        &["both want"],
    );
    check(
        &SHOP.replace("[profiles", "[output]\npath='x/{{ asset }}.png'\n[profiles"),
        OutputPath,
        &["put {{ locale }} into the output path"],
    );
    check("[assets.a]\nart='Art/a.png'\noutput='art/A.png'\n", OutputPath, &["is a file of the team's own"]);
    check(
        "[locales]\nlist=['en']\nstrings=['None.csv']\n",
        InputFile,
        &["locales.strings[0]: \"None.csv\": the file is not there"],
    );
}

#[test]
fn several_mistakes_are_told_at_once_and_the_rest_counted() {
    let mut text = String::new();
    for at in 0..30 {
        text.push_str(&format!("[assets.a{at}]\nprompt='p'\nsize='1x1'\n"));
    }
    let errors = Manifest::parse("m", text.as_bytes()).expect_err("thirty mistakes");
    assert_eq!((errors.errors.len(), errors.more), (20, 10));
    assert!(errors.to_string().ends_with("… and 10 more"));
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    for (bytes, told) in [(&b"\xff\xfea\0"[..], "UTF-16"), (b"a = 1\nb = \"\xc3\x28\"", ":2: the text is not UTF-8")] {
        let error = Manifest::parse("m", bytes).expect_err("no text").to_string();
        assert!(error.contains(told), "{error}");
    }
    assert!(
        Manifest::parse("m", b"\xef\xbb\xbfplaceholder = true\r\n").is_ok_and(|manifest| manifest.body.placeholder)
    );
}

/// The sample that the package ships: whatever a person learns from it must be right.
#[test]
fn the_sample_is_61_images_whose_words_do_not_overlap() {
    struct Folder(std::path::PathBuf);
    impl Files for Folder {
        fn read(&self, path: &str, _bytes_max: usize) -> Result<Vec<u8>, FileFault> {
            std::fs::read(self.0.join(path)).map_err(|_| FileFault::Missing)
        }
        fn content(&self, path: &str) -> Result<ContentHash, FileFault> {
            self.read(path, 0).map(|bytes| ContentHash::of(&bytes))
        }
    }
    let folder =
        Folder(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../unity-package/Samples~/LocaleVariants"));
    let text = folder.read("thumbforge.toml", 0).expect("the sample's manifest");
    let manifest = Manifest::parse("thumbforge.toml", &text).unwrap_or_else(|errors| panic!("{errors}"));
    let strings = manifest.strings(&folder).unwrap_or_else(|errors| panic!("{errors}"));
    let expansion =
        expand(&manifest, &strings, &folder, Known::of(&Catalogue::built_in(), today()), &Overrides::default());
    let expansion = expansion.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(expansion.wanted.len(), 61);
    assert_eq!(expansion.wanted.iter().filter(|wanted| wanted.asset.locale == "th").count(), 1);
    for wanted in &expansion.wanted {
        let layers = &wanted.recipe.text;
        assert!(layers.len() >= 3, "{}", wanted.output);
        for (at, layer) in layers.iter().enumerate() {
            assert_eq!(layer.locale, wanted.asset.locale);
            let [x, y, w, h] = layer.style.area;
            assert!(x >= 0.03 && y >= 0.03 && x + w <= 0.97 && y + h <= 0.97, "{} leaves the safe area", layer.name);
            for other in &layers[..at] {
                let [ox, oy, ow, oh] = other.style.area;
                let apart = x + w <= ox || ox + ow <= x || y + h <= oy || oy + oh <= y;
                assert!(apart, "{} and {} overlap", layer.name, other.name);
            }
        }
    }
}

#[test]
fn an_asset_may_have_locales_besides() {
    let text =
        "[locales]\nlist=['en']\n[assets.a]\nprompt='p'\nmore_locales=['th']\n[assets.b]\nprompt='p {{ locale }}'\n";
    let all = good(text);
    assert_eq!(outputs(&all), ["Thumbnails/a/a.en.png", "Thumbnails/a/a.th.png", "Thumbnails/b/b.en.png"]);
    let only = Overrides { locales: Some(vec!["th".into(), "TH".into()]), ..Overrides::default() };
    assert_eq!(outputs(&expanded(text, &shelf(), &only).expect("Thai")), ["Thumbnails/a/a.th.png"]);
    check(
        &text.replace("'th'", "'EN'"),
        ErrorCode::InvalidManifest,
        &["assets.a.more_locales[0]: the asset has \"EN\" already"],
    );
}

#[test]
fn the_files_of_a_manifest_are_listed_once() {
    let text = format!("tier_file='t.json'\n{SHOP}art='Art/a.png'\n[assets.two]\nart='Art/a.png'\n");
    let inputs = Manifest::parse("m", text.as_bytes()).expect("a good manifest").inputs();
    let inputs: Vec<_> = inputs.iter().map(|input| (input.path.as_str(), input.kind)).collect();
    assert_eq!(inputs, [("Art/a.png", InputKind::Art), ("Shop.csv", InputKind::Strings), ("t.json", InputKind::Tiers)]);
}

const CASE_STUDY: &str = r#"{"tiers":{"preview":{"model":"sd3.5_turbo","max_latency_ms":800},"production":{"model":"imagen4_ultra","max_latency_ms":2200}},"verify_ocr":true}"#;

#[test]
fn the_tier_file_of_the_case_studies_is_read_as_it_is() {
    let json = TierFile::parse("tiers.json", CASE_STUDY.as_bytes()).expect("the case study");
    let toml = "verify_ocr = true\n[tiers.preview]\nmodel='sd3.5_turbo'\nmax_latency_ms=800\n[tiers.production]\nmodel='imagen4_ultra'\nmax_latency_ms=2200\n";
    assert_eq!(TierFile::parse("tiers.toml", toml.as_bytes()), Ok(json.clone()));
    assert_eq!(json.verify_ocr, Some(true));
    assert_eq!(json.check("tiers.json", &Catalogue::built_in()), Ok(()));
    let error =
        TierFile::parse("tiers.json", b"{\n \"tiers\": {\"preview\": {\"modle\": \"x\"}}}").expect_err("misspelt");
    assert!(error.to_string().starts_with("tiers.json:2:"), "{error}");
    assert!(error.to_string().contains("did you mean \"model\"?"), "{error}");
    let unknown =
        TierFile::parse("t", CASE_STUDY.replace("imagen4_ultra", "imagen4_ulra").as_bytes()).expect("well-formed");
    let error = unknown.check("t", &Catalogue::built_in()).expect_err("misspelt");
    assert_eq!(error.code(), ErrorCode::UnknownModel);
    assert!(
        error
            .to_string()
            .contains("t: tiers.production.model: no model \"imagen4_ulra\"; did you mean \"imagen-4-ultra\"?"),
        "{error}"
    );

    let files = shelf().with("tiers.json", CASE_STUDY);
    let text = "tier_file='tiers.json'\n[tiers.preview]\nsteps=4\n[assets.a]\nprompt='p'\ntier='preview'\n";
    let mut expansion = expanded(text, &files, &Overrides::default()).expect("a good manifest");
    assert_eq!(expansion.verify_ocr, Some(true));
    assert_eq!(expansion.tiers.preview.as_ref().and_then(|row| row.max_latency_ms), Some(800));
    let wanted = expansion.wanted.remove(0);
    assert_eq!(wanted.recipe.model.map(|model| model.to_string()), Some("sd3.5-large-turbo".into()));
    assert_eq!(wanted.recipe.settings.steps, Some(4));
}

/// What a person accepted of tier `preview` is what the final is made from: to the key.
#[test]
fn a_final_is_made_from_the_very_draft_that_tier_preview_draws() {
    let text = "[tiers.preview]\nmodel='sd3.5_turbo'\nsteps=4\n[tiers.production]\nmodel='sd3.5-large'\nsteps=40\n\
                [templates.t]\nprompt='p'\nsize='2048x2048'\ndraft={ enlarge='lanczos' }\n\
                [assets.a]\ntemplate='t'\n[assets.b]\ntemplate='t'\ndraft={ size='256x256', model='sd3.5-large', strength=0.2 }\n";
    let of = |tier| {
        let overrides = Overrides { tier: Some(tier), ..Overrides::default() };
        expanded(text, &shelf(), &overrides).expect("a good manifest").wanted
    };
    let (drafts, finals) = (of(Tier::Preview), of(Tier::Production));
    for (draft, last) in drafts.iter().zip(&finals) {
        assert_eq!(draft.recipe.draft, None);
        assert_eq!(last.recipe.as_draft().as_ref(), Some(&draft.recipe));
        assert_eq!(last.recipe.size.to_string(), "2048x2048");
        assert_eq!(last.recipe.settings.steps, Some(4));
    }
    assert_eq!(drafts.iter().map(|draft| draft.recipe.size.to_string()).collect::<Vec<_>>(), ["512x512", "256x256"]);
    let enlarger = finals[1].recipe.draft.as_ref().and_then(|draft| draft.model.clone());
    assert_eq!(enlarger.map(|model| model.to_string()), Some("sd3.5-large".to_owned()));
    check(
        "[assets.a]\nprompt='p'\nsize='1024x512'\ndraft={}\n",
        ErrorCode::InvalidRequest,
        &["asset \"a\" cannot be drawn: make 1024x512 from a draft of 512x512"],
    );
    check("[assets.a]\nprompt='p'\ndraft={ size='big' }\n", ErrorCode::InvalidRequest, &["\"big\" is no size"]);
}

#[test]
fn a_prompt_file_is_one_picture_per_line() {
    let text = "\u{feff}# posters\r\nstudio photo of sword on table, cinematic lighting\r\n\r\n  鋼の剣\r\n";
    let prompts = PromptFile::parse("prompts.txt", text.as_bytes()).expect("two prompts");
    let expansion = prompts
        .expand(&TierFile::default(), Known::of(&Catalogue::built_in(), today()), &Overrides::default())
        .expect("two pictures");
    assert_eq!(outputs(&expansion), ["0001-studio-photo-of-sword-on-table-cinematic.png", "0002.png"]);
    assert_eq!(expansion.wanted[1].recipe.prompt, "鋼の剣");
    let tiers = TierFile::parse("t", CASE_STUDY.as_bytes()).expect("the case study");
    let draft = Overrides { tier: Some(Tier::Preview), ..Overrides::default() };
    let drafts = prompts.expand(&tiers, Known::of(&Catalogue::built_in(), today()), &draft).expect("two drafts");
    assert_eq!(drafts.wanted[0].recipe.model.as_ref().map(|model| model.as_str()), Some("sd3.5-large-turbo"));
    assert_eq!((drafts.verify_ocr, drafts.tiers), (Some(true), tiers.tiers));
    let long = format!("ok\n{}\n", "x".repeat(10 << 20));
    let error = PromptFile::parse("prompts.txt", long.as_bytes()).expect_err("too long");
    assert_eq!(error.code(), ErrorCode::TooLarge);
    assert!(error.to_string().contains("prompts.txt:2: the prompt has 10485760 bytes"), "{error}");
    assert!(PromptFile::parse("p", b"# nothing\n").is_err());
    assert!(PromptFile::parse("p", b"\xff\xff").is_err());
}

/// Editors complete the manifest from the committed file; `UPDATE=1 cargo test -p thumbforge-core` writes it anew.
#[test]
fn the_more_specific_criteria_win_key_by_key() {
    let text = format!(
        "{SHOP}\n[criteria]\npresence = 0.8\nlegibility = 0.1\nbrand_share = 0.1\ncontrast_min = 2\n\
         [criteria.preview]\nlegibility = 0.2\nbrand_share = 0.2\ncontrast_min = 3\n\
         [criteria.\"preview.icon\"]\nbrand_share = 0.3\ncontrast_min = 4\n\
         [criteria.\"production.icon\"]\npresence = 0.5\n\
         [assets.potion]\ntemplate = 'card'\ntier = 'preview'\ncriteria = {{ required = ['ACME'] }}\n"
    );
    let text = text
        .replace("profile = \"sprite\"", "profile = \"sprite\"\ntier = \"preview\"\ncriteria = { contrast_min = 5 }");
    let text = text.replace("strings = [\"Shop.csv\"]", "strings = [\"Shop.csv\"]\n");
    let expansion = good(&text);
    let of = |name: &str| {
        let wanted = expansion.wanted.iter().find(|wanted| wanted.asset.name == name).expect("an image");
        &wanted.terms
    };
    let sword = &of("sword").criteria;
    let told = (sword.presence, sword.legibility, sword.brand_share, sword.contrast_min);
    assert_eq!(told, (Some(0.8), Some(0.2), Some(0.3), Some(5.0)));
    assert!(sword.required.is_empty());
    assert_eq!(of("potion").criteria.required, ["ACME"]);
    assert_eq!(of("potion").criteria.contrast_min, Some(5.0));
    let swords: Vec<_> = expansion.wanted.iter().filter(|wanted| wanted.asset.name == "sword").collect();
    assert!(std::sync::Arc::ptr_eq(&swords[0].terms, &swords[1].terms), "the same terms are made once");
    assert!(good(SHOP).wanted[0].terms.criteria.is_default());
}

#[test]
fn the_committed_schema_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/thumbforge.schema.json");
    let fresh = serde_json::to_string_pretty(&schema()).expect("a schema") + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs")).expect("a folder");
        std::fs::write(path, &fresh).expect("a writable folder");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default().replace("\r\n", "\n");
    assert!(committed == fresh, "docs/thumbforge.schema.json is stale: run `UPDATE=1 cargo test -p thumbforge-core`");
}

#[test]
fn requirements_admit_versions() {
    for (requires, admitted) in [
        (">=0.1", true),
        (">=0.1.0", true),
        (">0.1", false),
        (">=0.2", false),
        ("<1", true),
        (">=0.1, <0.2", true),
        ("=0.1", true),
        ("0.1.0", true),
        ("<=0.1", true),
        (">= 1.0", false),
    ] {
        assert_eq!(version::admits(requires, "0.1.7").map(|is| is || requires == "0.1.0"), Ok(admitted), "{requires}");
    }
    for wrong in ["", "soon", "^0.1", ">=0.1.2.3", ">=,"] {
        assert!(version::admits(wrong, "0.1.7").is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Manifest::parse("m", &bytes);
        let _ = TierFile::parse("t", &bytes);
        let _ = PromptFile::parse("p", &bytes);
    }

    /// Words that a manifest has, in any order.
    #[test]
    fn no_manifest_makes_a_reader_panic(parts in prop::collection::vec(prop::sample::select(vec![
        "[assets.a]\n", "[templates.t]\n", "[[templates.t.text]]\n", "prompt", "text", "=", "'{{ a }}'", "{", "}", "[", "]", "'", "\n",
        "size", "'1x1'", "vars", "area", "post", "1", "-9", "nan", "outline", "vcs", ",", "step", "requires", "[output]\n", "\"", "1e400",
    ]), 0..40)) {
        let _ = expanded(&parts.concat(), &shelf(), &Overrides::default());
    }

    #[test]
    fn no_output_leaves_the_folder(path in "(\\.\\./|\\./|/|[a-c]{1,2}/|C:|\\\\|CON|[.]| |\u{202e}|é|nul\\.){0,6}(a|\\.\\.)?(\\.png)?") {
        if path::check_output(&path).is_ok() {
            let mut depth = 0_i32;
            for part in std::path::Path::new(&path).components() {
                match part {
                    std::path::Component::Normal(_) => depth += 1,
                    other => prop_assert!(false, "{path:?} has {other:?}"),
                }
            }
            prop_assert!(depth > 0 && !path.contains(['\\', ':', '\0']));
        }
    }

    #[test]
    fn the_short_cut_fills_in_as_minijinja_does(text in "([a-z ]|\\{\\{ ?(asset|locale|n) ?\\}\\}|\\{|\\}|\n|%){0,12}") {
        let environment = template::environment();
        let mut names = template::Scope::new();
        names.insert("asset", minijinja::Value::from("sword"));
        names.insert("locale", minijinja::Value::from(""));
        names.insert("n", minijinja::Value::from(1.5));
        let ours = template::compile(&environment, &text).and_then(|compiled| compiled.render(&names)).ok();
        let context: BTreeMap<String, minijinja::Value> = names.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
        let theirs = environment.render_str(&text, minijinja::Value::from(context)).ok();
        prop_assert_eq!(ours, theirs);
    }
}

mod spending;
