//! Where jobs go: the tables, row by row, and what holds for every choice.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use thumbforge_core::id::ContentHash;
use thumbforge_core::image::Extent;
use thumbforge_core::job::Lane;
use thumbforge_core::money::Micros;
use thumbforge_core::recipe::{ArtFile, Dtype, Edit, Noise, Operation, Tier};
use thumbforge_core::terms::{Licences, Period};
use url::Url;

use super::*;

const ROWS: &str = r#"
    [[model]]
    id = "builtin"
    name = "Built-in"
    family = "builtin"

    [[model]]
    id = "small"
    name = "A model with weights"
    family = "local"
    licence = "community"

    [[model]]
    id = "hero"
    name = "Draws and edits, three qualities"
    family = "hosted"
    provider = "openai"
    wire = "hero-2026"
    licence = "openai-terms"
    latency_ms = 20000
    can = { qualities = ["low", "medium", "high"], edit = 16, mask = "transparent" }
    price = [
        { quality = "low", usd = "0.006000", as_of = "2026-11" },
        { quality = "medium", operation = "edit", usd = "0.060000", most = "0.090000", as_of = "2026-11" },
        { quality = "medium", usd = "0.053000", as_of = "2026-11" },
    ]

    [[model]]
    id = "words"
    name = "Draws words, and takes seeds and negative prompts"
    family = "hosted"
    provider = "ideogram"
    licence = "ideogram-terms"
    latency_ms = 9000
    can = { seed = "honoured", negative = true }
    price = [{ usd = "0.060000", as_of = "2026" }]

    [[model]]
    id = "old"
    name = "Gone"
    family = "hosted"
    provider = "google"
    retired_on = "2026-08-17"
    replacement = "less-old"

    [[model]]
    id = "less-old"
    name = "Gone too, from today on"
    family = "hosted"
    provider = "google"
    retired_on = "2026-11-21"
    replacement = "new"

    [[model]]
    id = "new"
    name = "Will go"
    family = "hosted"
    provider = "google"
    licence = "google-terms"
    latency_ms = 5000
    retired_on = "2026-12-01"
    replacement = "hero"
    can = { seed = "best-effort", edit = 14 }
    price = [{ usd = "0.134000", as_of = "2026-11" }]

    [[model]]
    id = "gone"
    name = "Gone for good"
    family = "hosted"
    provider = "google"
    retired_on = "2026-08-17"

    [[model]]
    id = "round"
    name = "Replaced in a circle"
    family = "hosted"
    provider = "google"
    retired_on = "2026-08-17"
    replacement = "about"

    [[model]]
    id = "about"
    name = "Replaced in a circle"
    family = "hosted"
    provider = "google"
    retired_on = "2026-08-17"
    replacement = "round"

    [[model]]
    id = "loaded"
    name = "Whatever a server has"
    family = "hosted"
    provider = "a1111"

    [[model]]
    id = "priceless"
    name = "Nobody knows what it costs"
    family = "hosted"
    provider = "openai"
    can = { qualities = ["medium"] }

    [[model]]
    id = "free"
    name = "A row that was not filled in"
    family = "hosted"
    provider = "openai"
    price = [{ usd = "0.000000", as_of = "2026-11" }]
"#;

/// Everything that a choice is made from, ready to be changed.
struct Case {
    spec: JobSpec,
    market: Market,
    here: EnginesHere,
    /// How accounts do; those that are not named are well.
    health: BTreeMap<&'static str, Health>,
}

/// A change of the usual case: engines `builtin` and `file`, and the accounts `o` (openai), `i` (ideogram), `g` (google).
type Change = Box<dyn Fn(&mut Case)>;

fn rows() -> &'static Catalogue {
    static ROWS_READ: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::parse(ROWS).expect("the rows above"));
    &ROWS_READ
}

fn id(name: &str) -> ModelId {
    rows().resolve(name).expect("a row above").id.clone()
}

fn ids(names: &[&str]) -> Vec<ModelId> {
    names.iter().map(|name| id(name)).collect()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn today() -> Day {
    "2026-11-21".parse().expect("a day")
}

fn account(name: &str, provider: &str, protocol: Protocol) -> Account {
    Account::new(name, provider, protocol, Url::parse("https://api.example.com").expect("an address"))
}

fn card(honours: &'static [Field]) -> EngineCard {
    EngineCard { version: "1".into(), device_class: "any".into(), honours, local: None }
}

impl Case {
    fn usual() -> Self {
        let recipe = Recipe::from_prompt("a sword", Extent { width: 1024, height: 1024 });
        let accounts = [
            account("o", "openai", Protocol::OpenAi),
            account("i", "ideogram", Protocol::Ideogram),
            account("g", "google", Protocol::Gemini),
        ];
        Self {
            spec: JobSpec::new(recipe, Lane::Batch, "test"),
            market: Market {
                catalogue: rows().clone(),
                accounts: accounts.map(|account| (account.name.clone(), account)).into(),
                ..Market::built_in()
            },
            here: [("builtin", card(&[Field::Seed])), ("file", card(&[Field::Negative]))]
                .map(|(name, card)| (name.to_owned(), card))
                .into(),
            health: BTreeMap::new(),
        }
    }

    fn edit(&mut self) {
        let (images, mask) = (vec![ContentHash([1; 32])], Some(ContentHash([2; 32])));
        self.spec.recipe.edit = Some(Edit { operation: Operation::Edit, images, mask });
    }

    fn choose(&self) -> Choice {
        let health = |account: &str, _: &ModelId| self.health.get(account).copied().unwrap_or(Health::Well);
        choose(&self.spec, &self.market, &self.here, &health, today())
    }
}

fn that(change: impl Fn(&mut Case) + 'static) -> Change {
    Box::new(change)
}

fn recipe(change: impl Fn(&mut Recipe) + 'static) -> Change {
    that(move |case| change(&mut case.spec.recipe))
}

fn terms(change: impl Fn(&mut Terms) + 'static) -> Change {
    that(move |case| change(&mut case.spec.terms))
}

fn named(model: &'static str) -> Change {
    recipe(move |recipe| recipe.model = Some(id(model)))
}

fn ranked(models: &'static [&str]) -> Change {
    terms(move |terms| terms.models = ids(models))
}

fn fallback(models: &'static [&str]) -> Change {
    terms(move |terms| terms.fallback = ids(models))
}

fn pinned() -> Change {
    terms(|terms| terms.pin = true)
}

fn placeholder() -> Change {
    that(|case| case.spec.placeholder = true)
}

fn lossy() -> Change {
    that(|case| case.spec.lossy = true)
}

fn may_drop(fields: &'static [&str]) -> Change {
    terms(move |terms| terms.allow_lossy = words(fields))
}

fn seed() -> Change {
    recipe(|recipe| recipe.seed = Some(7))
}

fn negative() -> Change {
    recipe(|recipe| recipe.negative = "blur".to_owned())
}

fn steps() -> Change {
    recipe(|recipe| recipe.settings.steps = Some(20))
}

fn quality(word: &'static str) -> Change {
    recipe(move |recipe| recipe.settings.quality = Some(word.to_owned()))
}

fn edit() -> Change {
    that(Case::edit)
}

fn art() -> Change {
    recipe(|recipe| recipe.art = Some(ArtFile { path: "a.png".into(), content: ContentHash([1; 32]) }))
}

fn weights() -> Change {
    that(|case| drop(case.here.insert("local".to_owned(), card(&Field::ALL))))
}

fn seller(name: &'static str, provider: &'static str, protocol: Protocol, models: &'static [&str]) -> Change {
    that(move |case| {
        let models = (!models.is_empty()).then(|| words(models));
        let account = Account { models, ..account(name, provider, protocol) };
        case.market.accounts.insert(name.to_owned(), account);
    })
}

fn second() -> Change {
    seller("second", "openai", Protocol::OpenAi, &[])
}

/// The account asks so much for every picture.
fn flat(name: &'static str, micros: u64) -> Change {
    that(move |case| {
        case.market.accounts.entry(name.to_owned()).and_modify(|account| account.price = Some(Micros(micros)));
    })
}

fn without(account: &'static str) -> Change {
    that(move |case| drop(case.market.accounts.remove(account)))
}

fn providers(allowed: &'static [&str]) -> Change {
    terms(move |terms| terms.providers = Some(words(allowed)))
}

fn licences(allow: Option<&'static [&str]>, deny: &'static [&str]) -> Change {
    terms(move |terms| terms.licences = Licences { allow: allow.map(words), deny: words(deny) })
}

fn budget(scope: Scope, dollars: &'static str) -> Change {
    let micros = dollars.parse().expect("an amount");
    terms(move |terms| terms.budgets.push(Budget { scope: scope.clone(), period: Period::Day, micros }))
}

fn users_budget(scope: Scope) -> Change {
    let budget = Budget { scope, period: Period::Month, micros: Micros(1) };
    that(move |case| case.market.budgets.push(budget.clone()))
}

fn health(account: &'static str, health: Health) -> Change {
    that(move |case| {
        case.health.insert(account, health);
    })
}

/// `expected` is the routes, as in "hero@o words@i", each with whom it stands in for behind a slash, what it replaces behind
/// an angle and what it drops behind a minus; or the code of the failure.
#[track_caller]
fn check<const N: usize>(changes: [Change; N], expected: &str) -> Choice {
    let mut case = Case::usual();
    changes.iter().for_each(|change| change(&mut case));
    let choice = case.choose();
    let told = match &choice.failure {
        Some(failure) => failure.code.word().to_owned(),
        None => choice.routes.iter().map(told).collect::<Vec<_>>().join(" "),
    };
    assert_eq!(told, expected, "{:#?}", choice.candidates);
    choice
}

/// The same where it fails, with the message.
#[track_caller]
fn refused<const N: usize>(changes: [Change; N], code: &str) -> String {
    check(changes, code).failure.map(|failure| failure.message).unwrap_or_default()
}

fn told(route: &Route) -> String {
    let place = route.purchase.as_ref().map_or(&route.engine, |purchase| &purchase.account);
    let dropped: String = route.realisation.dropped.iter().map(|field| format!("-{field}")).collect();
    let stands_in = route.placeholder_for.iter().map(|model| format!("/{model}")).collect::<String>();
    let replaces = route.replaces.iter().map(|model| format!("<{model}")).collect::<String>();
    format!("{}{stands_in}{replaces}@{place}{dropped}", route.model)
}

#[test]
fn what_nobody_named_a_model_for_is_never_bought() {
    check([], "builtin@builtin");
    check([recipe(|recipe| recipe.tier = Tier::Preview)], "builtin@builtin");
    check([weights()], "builtin@builtin");
    check([fallback(&["hero"])], "builtin@builtin");
    check([steps()], "unsupported_field");
    check([steps(), fallback(&["hero"])], "unsupported_field");
    check([named("hero"), art()], "builtin@file");
    check([named("hero"), art(), seed()], "builtin@file-seed");
}

#[test]
fn a_named_model_is_drawn_by_what_has_it() {
    let forge = || seller("forge", "a1111", Protocol::A1111, &["small"]);
    check([named("builtin")], "builtin@builtin");
    check([named("hero")], "hero@o");
    check([named("small")], "model_unavailable");
    check([named("small"), weights()], "small@local");
    check([named("small"), forge()], "unknown_price");
    check([named("small"), forge(), flat("forge", 0)], "small@forge");
    check([named("small"), forge(), flat("forge", 0), weights()], "small@local small@forge");
    check([named("hero"), without("o")], "model_unavailable");
    check([named("hero"), that(|case| case.market.catalogue = Catalogue::built_in())], "unknown_model");
}

#[test]
fn accounts_are_asked_in_order_of_their_names() {
    let more = [
        named("hero"),
        seller("z", "openai", Protocol::OpenAi, &[]),
        seller("a", "openai", Protocol::OpenAi, &[]),
        seller("b", "openai", Protocol::OpenAi, &["words"]),
    ];
    let choice = check(more, "hero@a hero@o hero@z");
    let sentences: Vec<String> = choice.candidates.iter().map(|one| one.reason.to_string()).collect();
    assert_eq!(sentences[0], "it is the model that is named");
    assert_eq!(sentences[2], "asked if the first 2 fail: it is the model that is named");
    let choice = check([named("hero"), fallback(&["old", "words"])], "hero@o new<old@g words@i");
    let sentences: Vec<String> = choice.candidates.iter().map(|one| one.reason.to_string()).collect();
    assert_eq!(sentences[1], "asked if the first fails: it takes the place of old, the first fallback");
    assert_eq!(sentences[2], "asked if the first 2 fail: it is fallback number 2");
}

#[test]
fn fallbacks_follow_in_their_order_and_none_twice() {
    let twice = || fallback(&["words", "new", "hero", "words"]);
    check([named("hero"), twice()], "hero@o words@i new@g");
    check([named("hero"), twice(), without("o")], "words@i new@g");
    check([named("old"), fallback(&["new", "hero"])], "new<old@g hero@o");
    check([named("priceless"), fallback(&["gone", "round", "hero"])], "hero@o");
}

#[test]
fn retired_models_are_replaced_openly_or_refused() {
    let choice = check([named("old")], "new<old@g");
    let warnings: Vec<String> = choice.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "old was retired on 2026-08-17; new takes its place, and `pin = true` refuses that",
            "new retires in 10 days (2026-12-01); hero will take its place",
        ]
    );
    let message = refused([named("old"), pinned(), fallback(&["hero"])], "model_retired");
    for part in ["failed to draw with old", "2026-08-17", "name less-old"] {
        assert!(message.contains(part), "{part:?} in {message:?}");
    }
    check([named("new"), pinned(), fallback(&["hero"])], "new@g hero@o");
    check([named("less-old")], "new<less-old@g");
    let message = refused([named("old"), without("g")], "model_unavailable");
    assert!(message.contains("draw with new (in place of old): there is no account for google"), "{message}");
    check([named("gone")], "model_retired");
    check([named("gone"), fallback(&["hero"])], "hero@o");
    check([named("round")], "model_retired");
    let unused = check([named("hero"), fallback(&["old"]), without("g")], "hero@o");
    assert!(unused.warnings.is_empty(), "nobody is warned of what is not drawn with");
}

#[test]
fn fields_that_a_model_lacks_are_refused_or_dropped_as_allowed() {
    check([named("words"), seed()], "words@i");
    check([named("words"), negative()], "words@i");
    let message = refused([named("hero"), seed()], "unsupported_field");
    assert!(message.contains("hero") && message.contains("allow_lossy = [\"seed\"]"), "{message}");
    check([named("new"), negative()], "unsupported_field");
    check([named("hero"), seed(), negative(), may_drop(&["seed"])], "unsupported_field");
    check([named("hero"), seed(), negative(), may_drop(&["seed", "negative"])], "hero@o-negative-seed");
    check([named("words"), seed(), negative(), may_drop(&["seed", "negative"])], "words@i");
    check([named("hero"), seed(), lossy()], "hero@o-seed");
    check([named("builtin"), steps()], "unsupported_field");
    check([named("builtin"), steps(), lossy()], "builtin@builtin-steps");
    check([named("builtin"), steps(), may_drop(&["steps"])], "builtin@builtin-steps");
    // A fallback that honours the field is better than a model that would drop it unasked.
    check([named("hero"), seed(), fallback(&["words"])], "words@i");
}

#[test]
fn an_edit_is_never_dropped() {
    let drop_all = || may_drop(&["edit", "mask"]);
    check([named("hero"), edit(), lossy(), drop_all()], "hero@o");
    check([named("words"), edit(), lossy(), drop_all()], "unsupported_field");
    check([named("new"), edit(), lossy(), drop_all()], "unsupported_field");
    check([named("builtin"), edit(), lossy(), drop_all()], "unsupported_field");
    check([named("small"), edit(), placeholder(), lossy()], "model_unavailable");
    check([art(), edit(), lossy()], "unsupported_field");
    check([edit(), lossy()], "unsupported_field");
}

#[test]
fn policies_refuse_before_anything_is_sent() {
    check([named("hero"), second(), providers(&["openai"])], "hero@o hero@second");
    check([named("hero"), second(), providers(&["second"])], "hero@second");
    check([named("hero"), second(), providers(&["ideogram"])], "policy_denied");
    check([named("hero"), providers(&[])], "policy_denied");
    check([named("builtin"), providers(&[])], "builtin@builtin");
    check([named("hero"), without("o"), providers(&["google"])], "policy_denied");
    check([named("hero"), fallback(&["words", "new"]), providers(&["openai"])], "hero@o");
    check([ranked(&["words", "hero"]), providers(&["openai"])], "hero@o");
    let choice = check([named("hero"), fallback(&["words"]), providers(&["ideogram"])], "policy_denied");
    assert_eq!(choice.candidates.last().expect("a candidate").reason.word(), "barred");
}

#[test]
fn licences_are_allowed_by_name() {
    check([named("small"), weights()], "small@local");
    let message = refused([named("small"), weights(), licences(None, &["community"])], "licence_denied");
    assert!(message.contains("small") && message.contains("community"), "{message}");
    check([named("hero"), licences(None, &["community"])], "hero@o");
    check([named("hero"), licences(Some(&["openai-terms"]), &[])], "hero@o");
    check([named("words"), licences(Some(&["openai-terms"]), &[])], "licence_denied");
    check([named("priceless"), licences(Some(&["openai-terms"]), &[])], "licence_denied");
    check([named("builtin"), licences(Some(&["openai-terms"]), &[])], "builtin@builtin");
    check([named("old"), licences(None, &["google-terms"])], "licence_denied");
    check([named("small"), licences(None, &["community"]), fallback(&["hero"]), placeholder()], "licence_denied");
    check([named("hero"), licences(None, &["ideogram-terms"]), fallback(&["words", "new"])], "hero@o new@g");
}

/// What the first route costs: expected, and at most.
#[track_caller]
fn costs<const N: usize>(changes: [Change; N], quoted: u64, reserve: u64) {
    let mut case = Case::usual();
    changes.iter().for_each(|change| change(&mut case));
    let choice = case.choose();
    let purchase = choice.routes.first().and_then(|route| route.purchase.as_ref());
    let told = purchase.map(|purchase| (purchase.quoted, purchase.reserve));
    assert_eq!(told, Some((Micros(quoted), Micros(reserve))), "{:#?}", choice.candidates);
}

#[test]
fn prices_are_those_of_the_catalogue_or_of_the_account() {
    costs([named("hero")], 53_000, 53_000);
    costs([named("hero"), quality("low")], 6000, 6000);
    costs([named("hero"), edit()], 60_000, 90_000);
    costs([named("hero"), flat("o", 7)], 7, 7);
    check([named("hero"), flat("o", 0)], "unknown_price");
    check([named("free")], "unknown_price");
    check([named("hero"), quality("high")], "unknown_price");
    let message = refused([named("priceless")], "unknown_price");
    assert!(message.contains("quality = \"medium\"") && message.contains("models.toml"), "{message}");
}

/// A row of the project's own: `hero`'s, changed.
fn own_row(change: impl Fn(&mut ModelRow) + 'static) -> Change {
    terms(move |terms| {
        let mut row = rows().get(&id("hero")).expect("a row above").clone();
        change(&mut row);
        terms.rows = vec![row];
    })
}

fn costs_so_much(micros: u64) -> impl Fn(&mut ModelRow) {
    move |row: &mut ModelRow| row.price.iter_mut().for_each(|price| price.micros = Micros(micros))
}

#[test]
fn a_projects_own_row_makes_nothing_cheaper_than_the_machine_knows_it() {
    let unknown_here = |row: &mut ModelRow| {
        (row.id, row.wire) = (id("priceless"), Some("new-2026".to_owned()));
        costs_so_much(7)(row);
    };
    costs([named("priceless"), own_row(unknown_here)], 7, 7);
    costs([named("hero"), own_row(costs_so_much(70_000))], 70_000, 70_000);
    costs([named("hero"), own_row(costs_so_much(7))], 53_000, 53_000);
    let same_on_the_wire = |row: &mut ModelRow| {
        row.id = id("priceless");
        costs_so_much(7)(row);
    };
    costs([named("priceless"), own_row(same_on_the_wire)], 53_000, 53_000);
    // What the user says of an account of theirs is the user's to say.
    costs([named("hero"), own_row(costs_so_much(7)), flat("o", 9)], 9, 9);
}

#[test]
fn what_can_never_fit_a_budget_is_known_before_it_is_asked_for() {
    let hero = |scope: Scope, dollars, expected| drop(check([named("hero"), budget(scope, dollars)], expected));
    hero(Scope::All, "0.053", "hero@o");
    hero(Scope::All, "0.052999", "over_budget");
    hero(Scope::Provider("openai".into()), "0.01", "over_budget");
    hero(Scope::Provider("google".into()), "0.01", "hero@o");
    hero(Scope::Account("o".into()), "0.01", "over_budget");
    hero(Scope::Account("i".into()), "0.01", "hero@o");
    hero(Scope::Project("game".into()), "0.01", "over_budget");
    hero(Scope::Batch("1".into()), "0.01", "over_budget");
    hero(Scope::Tier("production".into()), "0.01", "over_budget");
    hero(Scope::Tier("preview".into()), "0.01", "hero@o");
    check([named("hero"), users_budget(Scope::All)], "over_budget");
    check([named("hero"), users_budget(Scope::Project("another".into()))], "hero@o");
    check([named("new"), fallback(&["hero"]), budget(Scope::All, "0.10")], "hero@o");
    check([named("hero"), edit(), budget(Scope::All, "0.08")], "over_budget");
}

#[test]
fn an_unwell_account_is_asked_last_or_not_at_all() {
    let hero =
        |name, state, expected| check([named("hero"), second(), fallback(&["words"]), health(name, state)], expected);
    hero("nobody", Health::KeyRefused, "hero@o hero@second words@i");
    hero("o", Health::KeyRefused, "hero@second words@i");
    hero("o", Health::OutOfFunds { rest_ms: None }, "hero@second words@i");
    hero("o", Health::Gone, "hero@second words@i");
    let choice = hero("o", Health::Failing { rest_ms: 30_000 }, "hero@second words@i hero@o");
    assert_eq!(
        choice.candidates[2].reason.to_string(),
        "asked if the first 2 fail: it is the model that is named; its last calls failed, so it rests for another 30 s"
    );
    check([named("hero"), health("o", Health::Failing { rest_ms: 1 })], "hero@o");
    check([named("hero"), health("o", Health::KeyRefused)], "provider_auth");
    check([named("hero"), health("o", Health::OutOfFunds { rest_ms: Some(7_200_000) })], "out_of_funds");
    check([named("hero"), health("o", Health::Gone)], "model_retired");
    // A stand-in is for what is not there, not for what is not paid.
    check([named("hero"), health("o", Health::KeyRefused), placeholder()], "provider_auth");
    // What waiting does not mend is told first.
    check([named("priceless"), health("o", Health::KeyRefused)], "unknown_price");
}

#[test]
fn a_ranking_is_taken_in_its_order() {
    check([ranked(&["words", "hero"])], "words@i hero@o");
    check([ranked(&["hero", "words", "new"]), fallback(&["hero"])], "hero@o words@i new@g");
    check([ranked(&["small", "hero"]), weights()], "small@local hero@o");
    // What was measured when models were ranked may be quicker than the catalogue expects.
    check([ranked(&["hero"]), terms(|terms| terms.max_latency_ms = Some(100))], "hero@o");
    // Whoever names a model has it, whatever is ranked.
    check([named("hero"), ranked(&["words"])], "hero@o");
}

#[test]
fn built_in_art_stands_in_for_what_is_not_here_alone() {
    check([named("hero"), placeholder()], "hero@o");
    check([named("small"), placeholder()], "builtin/small@builtin");
    check([named("gone"), placeholder()], "builtin/gone@builtin");
    check([named("gone"), placeholder(), pinned()], "model_retired");
    check([named("priceless"), placeholder()], "unknown_price");
    check([named("old"), without("g"), steps(), placeholder()], "builtin/old@builtin-steps");
    check([named("small"), fallback(&["hero"]), placeholder()], "hero@o");
    check([ranked(&["hero", "words"]), without("o"), without("i"), placeholder()], "builtin/hero@builtin");
}

#[test]
fn a_route_says_what_the_buyer_needs() {
    let choice = check([named("hero")], "hero@o");
    let route = &choice.routes[0];
    let purchase = route.purchase.as_ref().expect("a purchase");
    assert_eq!((purchase.provider.as_str(), purchase.images, purchase.key_id.as_str()), ("openai", 1, ""));
    let realisation = &route.realisation;
    assert_eq!((route.engine.as_str(), realisation.engine.as_str()), ("openai", "openai"));
    assert_eq!((realisation.wire_model.as_str(), realisation.device_class.as_str()), ("hero-2026", "hosted"));
}

#[test]
fn a_server_of_ones_own_is_asked_for_what_its_account_says() {
    #[track_caller]
    fn check(models: &'static [&str], model: &'static str, wire: &str, server: Option<&str>) {
        let forge = seller("forge", "a1111", Protocol::A1111, models);
        let choice =
            super::tests::check([named(model), forge, flat("forge", 0), without("o")], &format!("{model}@forge"));
        let Realisation { wire_model, settings, .. } = &choice.routes[0].realisation;
        assert_eq!((wire_model.as_str(), settings.get("server").map(String::as_str)), (wire, server), "{models:?}");
    }
    // One that lists nothing draws with whatever it has loaded, which is another thing on another server.
    check(&[], "loaded", "", Some("forge"));
    check(&["flux-dev.safetensors"], "loaded", "flux-dev.safetensors", None);
    check(&["Small"], "small", "Small", None);
    check(&["flux", "SMALL"], "small", "SMALL", None);
    check(&["hero"], "hero", "hero-2026", None);
}

#[test]
fn every_reason_can_be_said_in_a_line() {
    let budget = Budget { scope: Scope::All, period: Period::Day, micros: Micros(1) };
    let lacks = vec![Lacks::new("seed", "the model takes none"), Lacks::new("mask", "")];
    for (reason, expected) in [
        (Reason::Unknown, "no row of the catalogue has it"),
        (Reason::NoAccount { provider: Some("google".into()) }, "there is no account for google"),
        (Reason::Unsupported(lacks), "it cannot honour seed (the model takes none), mask"),
        (
            Reason::OverBudget { most: Micros(53_000), budget },
            "one picture can cost $0.053, more than the whole budget $0.000001 (all)",
        ),
        (
            Reason::Unwell(Health::OutOfFunds { rest_ms: Some(7_200_000) }),
            "the account has no credit or quota left, for another 2 h",
        ),
    ] {
        assert_eq!(reason.to_string(), expected);
        let json = serde_json::to_value(&reason).expect("a reason in JSON");
        assert_eq!((json["won"].as_bool(), json["because"].as_str()), (Some(false), Some(expected)));
    }
}

#[test]
fn a_refusal_names_the_others_that_were_looked_at() {
    let fallbacks = fallback(&["gone", "small", "free", "round"]);
    let message = refused([named("priceless"), fallbacks], "unknown_price");
    for part in [
        "failed to draw with priceless by the account o: nobody",
        "nor with gone: retired on 2026-08-17",
        "nor with small: its weights",
        "nor with 1 more; add its price",
    ] {
        assert!(message.contains(part), "{part:?} in {message:?}");
    }
}

#[test]
fn without_accounts_this_machine_draws_what_it_has() {
    let (catalogue, here) = (Catalogue::built_in(), Case::usual().here);
    let drawn = |name: &str, placeholder: bool| {
        let model = catalogue.resolve(name).expect("a known model").id.clone();
        let recipe = Recipe { model: Some(model), ..Case::usual().spec.recipe };
        let drawn = route(&recipe, Allowed { placeholder, lossy: false }, &catalogue, &here);
        drawn.map(|route| told(&route)).map_err(|failure| failure.code)
    };
    assert_eq!(drawn("placeholder", false).as_deref(), Ok("builtin@builtin"));
    assert_eq!(drawn("dalle3-hd", false), Err(ErrorCode::ModelUnavailable));
    assert_eq!(drawn("dalle3-hd", true).as_deref(), Ok("builtin/dall-e-3-hd@builtin"));
    assert_eq!(drawn("local-sd3.5", true).as_deref(), Ok("builtin/sd3.5-medium@builtin"));
}

/// Models that are named, ranked and fallbacks; flags; and accounts: seller, model, price.
type Numbers = (Vec<usize>, Vec<usize>, Vec<usize>, u16, Vec<(usize, usize, u64)>);

/// Cases out of a few numbers: combinations of terms, accounts and health that nobody thought of.
fn cases() -> impl Strategy<Value = Numbers> {
    let model = 0..MODELS.len();
    let models = || proptest::collection::vec(model.clone(), 0..4);
    let accounts = proptest::collection::vec((0..SELLERS.len(), 0..5_usize, 0..3_u64), 0..6);
    (models(), models(), models(), any::<u16>(), accounts)
}

const MODELS: [&str; 11] =
    ["builtin", "small", "hero", "words", "old", "less-old", "new", "gone", "round", "priceless", "free"];
const SELLERS: [(&str, Protocol); 4] = [
    ("openai", Protocol::OpenAi),
    ("ideogram", Protocol::Ideogram),
    ("google", Protocol::Gemini),
    ("a1111", Protocol::A1111),
];
const FIELDS: [&str; 5] = ["seed", "negative", "steps", "edit", "mask"];

fn case_of((named, ranked, fallback, bits, accounts): &Numbers, backwards: bool) -> Case {
    let mut case = Case::usual();
    let bit = |at: u32| bits & (1 << at) != 0;
    case.spec.recipe.model = named.first().map(|at| id(MODELS[*at]));
    case.spec.terms.models = ranked.iter().map(|at| id(MODELS[*at])).collect();
    case.spec.terms.fallback = fallback.iter().map(|at| id(MODELS[*at])).collect();
    case.spec.terms.pin = bit(0);
    case.spec.placeholder = bit(1);
    case.spec.lossy = bit(2);
    case.spec.recipe.seed = bit(3).then_some(7);
    case.spec.recipe.negative = if bit(4) { "blur".to_owned() } else { String::new() };
    case.spec.recipe.settings.steps = bit(5).then_some(20);
    if bit(6) {
        case.edit();
    }
    case.spec.terms.allow_lossy =
        FIELDS.iter().enumerate().filter(|(at, _)| bit(7 + *at as u32)).map(|(_, word)| (*word).to_owned()).collect();
    case.spec.terms.providers = bit(12).then(|| words(&["openai", "google", "account-3"]));
    let mut made: Vec<Account> = accounts
        .iter()
        .enumerate()
        .map(|(at, (seller, models, price))| {
            let (provider, protocol) = SELLERS[*seller];
            Account {
                models: (*models > 2 || provider == "a1111").then(|| words(&[MODELS[*models], "hero"])),
                price: [None, Some(Micros::ZERO), Some(Micros(9))][*price as usize],
                ..account(&format!("account-{at}"), provider, protocol)
            }
        })
        .collect();
    if backwards {
        made.reverse();
    }
    case.market.accounts.clear();
    for one in made {
        case.market.accounts.insert(one.name.clone(), one);
    }
    let states =
        [Health::Well, Health::Failing { rest_ms: 5 }, Health::KeyRefused, Health::OutOfFunds { rest_ms: None }];
    for (name, at) in [("account-0", 13), ("account-1", 14)] {
        case.health.insert(name, states[usize::from(bits >> at) % 4]);
    }
    case
}

proptest! {
    #[test]
    fn every_choice_keeps_the_rules(numbers in cases()) {
        let case = case_of(&numbers, false);
        let choice = case.choose();
        // The order in which accounts were declared changes nothing, and neither does asking twice.
        prop_assert_eq!(&choice, &case_of(&numbers, true).choose());
        prop_assert_eq!(&choice, &case.choose());
        prop_assert_eq!(choice.routes.is_empty(), choice.failure.is_some());
        let won: Vec<&Candidate> = choice.candidates.iter().filter(|one| one.reason.won()).collect();
        prop_assert_eq!(won.len(), choice.routes.len());
        let (recipe, terms) = (&case.spec.recipe, &case.spec.terms);
        let named = recipe.model.is_some() || !terms.models.is_empty();
        for (route, candidate) in choice.routes.iter().zip(won) {
            prop_assert_eq!(&route.model, &candidate.model);
            for field in &route.realisation.dropped {
                let stands_in = route.placeholder_for.is_some();
                prop_assert!(stands_in || case.spec.lossy || terms.allow_lossy.contains(field), "drops {}", field);
                prop_assert!(field != "edit" && field != "mask");
            }
            let Some(purchase) = &route.purchase else { continue };
            prop_assert!(named, "bought though nobody named a model");
            prop_assert!(purchase.reserve >= purchase.quoted);
            prop_assert!(purchase.reserve > Micros::ZERO || purchase.provider == "a1111");
            let allowed = terms.providers.as_ref();
            prop_assert!(allowed.is_none_or(|allowed| allowed.contains(&purchase.provider) || allowed.contains(&purchase.account)));
            let health = case.health.get(purchase.account.as_str());
            let shut = matches!(health, Some(Health::KeyRefused | Health::OutOfFunds { .. }));
            prop_assert!(!shut, "{:?}", health);
            let row = case.market.catalogue.get(&route.model).expect("a row");
            prop_assert!(row.retired_on.is_none_or(|day| day > today()));
        }
    }
}

/// The local engine, with the model `small` as it is here.
fn local(here: Local) -> Change {
    that(move |case| {
        let models = LocalModels {
            models: [(id("small"), here.clone())].into(),
            dtype: Dtype::Bf16,
            class_f32: "cpu-f32".into(),
            class_bf16: "cpu-bf16".into(),
        };
        let card = EngineCard { local: Some(std::sync::Arc::new(models)), ..card(LOCAL_FIELDS) };
        case.here.insert("local".to_owned(), card);
    })
}

const LOCAL_FIELDS: &[Field] = &[
    Field::Seed,
    Field::Negative,
    Field::Steps,
    Field::Guidance,
    Field::Sampler,
    Field::Strength,
    Field::Edit,
    Field::Mask,
    Field::Noise,
    Field::Dtype,
    Field::Slg,
    Field::MaskFeather,
    Field::MaskMode,
];

fn ready() -> Local {
    let defaults = LocalDefaults { steps: 40, guidance_milli: 4500, shift_milli: 3000 };
    let model = LocalModel { weights: ContentHash([5; 32]), defaults, encoders: "clip_l+clip_g".into() };
    Local::Ready(model)
}

#[test]
fn what_a_local_model_is_asked_is_in_the_key() {
    let check = |change: Change, expected: &[(&str, &str)], class: &str| {
        let mut case = Case::usual();
        [named("small"), local(ready()), change].iter().for_each(|change| change(&mut case));
        let choice = case.choose();
        let realisation = &choice.routes.first().unwrap_or_else(|| panic!("{choice:?}")).realisation;
        assert_eq!(realisation.weights, Some(ContentHash([5; 32])));
        assert_eq!(realisation.device_class, class);
        for (name, value) in expected {
            assert_eq!(realisation.settings.get(*name).map(String::as_str), Some(*value), "{name}");
        }
    };
    let card = [
        ("steps", "40"),
        ("guidance", "4.5"),
        ("shift", "3"),
        ("sampler", "Euler (flow)"),
        ("dtype", "bf16"),
        ("noise", "philox"),
        ("encoders", "clip_l+clip_g"),
    ];
    check(that(|_| ()), &card, "cpu-bf16");
    check(steps(), &[("steps", "20")], "cpu-bf16");
    check(recipe(|r| r.settings.dtype = Some(Dtype::F32)), &[("dtype", "f32")], "cpu-f32");
    check(
        recipe(|r| r.settings.sampler = Some("euler_a".into())),
        &[("sampler", "Euler ancestral (flow)")],
        "cpu-bf16",
    );
    check(recipe(|r| r.settings.noise = Some(Noise::TorchCpu)), &[("noise", "torch-cpu")], "cpu-bf16");
    let slg = "7,8:2.8:0.01:0.2";
    check(recipe(move |r| r.settings.slg = slg.parse().ok()), &[("slg", slg)], "cpu-bf16");
    let edits =
        [("task", "edit"), ("strength", "0.6"), ("mask_mode", "keep"), ("mask_feather", "0"), ("mask_alpha", "kept")];
    check(edit(), &edits, "cpu-bf16");
    // Guidance beyond what the model is made for becomes the nearest; files of one's own take any.
    check(recipe(|r| r.settings.guidance = Some(20.0)), &[("guidance", "12")], "cpu-bf16");
}

#[test]
fn a_local_model_says_why_it_is_not_drawn_with() {
    let check = |here: Local, change: Change, code: ErrorCode, words: &[&str]| {
        let mut case = Case::usual();
        [named("small"), local(here), change].iter().for_each(|change| change(&mut case));
        let failure = case.choose().failure.expect("no route");
        assert_eq!(failure.code, code, "{failure:?}");
        words.iter().for_each(|word| assert!(failure.message.contains(word), "{}", failure.message));
    };
    let lacking = Local::Lacking("its text encoder clip_l has no tokenizer; get one".into());
    check(lacking, that(|_| ()), ErrorCode::ModelUnavailable, &["clip_l has no tokenizer; get one"]);
    let magic = recipe(|r| r.settings.sampler = Some("magic".into()));
    check(ready(), magic, ErrorCode::UnsupportedField, &["sampler (there are euler"]);
    check(
        ready(),
        recipe(|r| r.settings.strength = Some(0.5)),
        ErrorCode::UnsupportedField,
        &["strength (no picture is changed)"],
    );
    let feathered = recipe(|r| r.settings.mask_feather = Some(3));
    check(ready(), feathered, ErrorCode::UnsupportedField, &["mask_feather (there is no mask)"]);
    let two = that(|case| {
        case.edit();
        case.spec.recipe.edit.iter_mut().for_each(|edit| edit.images.push(ContentHash([3; 32])));
    });
    check(ready(), two, ErrorCode::UnsupportedField, &["looks at one picture"]);
    let mut case = Case::usual();
    named("small")(&mut case);
    let failure = case.choose().failure.expect("no route");
    assert!(failure.message.contains("thumbforge weights pull small"), "{}", failure.message);
}

#[test]
fn a_local_model_may_drop_what_it_is_allowed_to() {
    let mut case = Case::usual();
    let magic = recipe(|r| r.settings.sampler = Some("magic".into()));
    [named("small"), local(ready()), magic, may_drop(&["sampler"])].iter().for_each(|change| change(&mut case));
    let choice = case.choose();
    assert_eq!(choice.routes[0].realisation.dropped, ["sampler"]);
    assert_eq!(choice.routes[0].realisation.settings["sampler"], "Euler (flow)");
}
