//! Who sells what, and how a project may lower what the user allows.

use super::*;

fn row(text: &str) -> ModelRow {
    let text = format!("[[model]]\nname = \"A\"\nfamily = \"hosted\"\n{text}");
    Catalogue::parse(&text).unwrap().rows()[0].clone()
}

fn account(provider: &str, protocols: &[Protocol], models: Option<&[&str]>) -> Account {
    let place = Url::parse("https://api.example.com").unwrap();
    Account {
        protocols: protocols.to_vec(),
        models: models.map(|models| models.iter().map(|model| (*model).to_owned()).collect()),
        ..Account::new("a", provider, Protocol::OpenAi, place)
    }
}

#[test]
fn an_account_sells_what_its_provider_has_in_a_protocol_that_it_speaks() {
    #[track_caller]
    fn check(account: &Account, row_text: &str, expected: Option<Protocol>) {
        assert_eq!(account.sells(&row(row_text)), expected, "{row_text}");
    }
    let google = account("google", &[Protocol::Gemini, Protocol::Imagen], None);
    check(&google, "id = \"m\"\nprovider = \"google\"", Some(Protocol::Gemini));
    check(&google, "id = \"m\"\nprovider = \"google\"\nprotocol = \"imagen\"", Some(Protocol::Imagen));
    check(&google, "id = \"m\"\nprovider = \"google\"\nprotocol = \"vertex\"", None);
    check(&google, "id = \"m\"\nprovider = \"openai\"", None);
    let reseller = account("openai-compatible", &[Protocol::OpenAiCompatible], Some(&["Other M", "wire-3"]));
    check(&reseller, "id = \"m\"\nprovider = \"openai\"\naliases = [\"other-m\"]", Some(Protocol::OpenAiCompatible));
    check(&reseller, "id = \"m\"\nprovider = \"google\"\nwire = \"wire-3\"", Some(Protocol::OpenAiCompatible));
    check(&reseller, "id = \"m\"\nprovider = \"openai-compatible\"\nwire = \"w\"", None);
    check(&reseller, "id = \"m\"\nprovider = \"openai-compatible\"", Some(Protocol::OpenAiCompatible));
    check(&reseller, "id = \"m\"\nprovider = \"openai\"", None);
}

#[test]
fn a_project_only_ever_lowers_limits() {
    #[track_caller]
    fn check(own: [u32; 3], project: [Option<u32>; 2], expected: [u32; 3]) {
        let of = |[flight, rate, burst]: [u32; 3]| Limits {
            images_in_flight: flight,
            images_per_minute: (rate > 0).then_some(rate),
            burst,
        };
        let [images_in_flight, images_per_minute] = project;
        assert_eq!(of(own).lowered(&AccountLimits { images_in_flight, images_per_minute }), of(expected));
    }
    check([4, 20, 8], [None, None], [4, 20, 8]);
    check([4, 20, 8], [Some(2), Some(10)], [2, 10, 8]);
    check([4, 20, 8], [Some(9), Some(30)], [4, 20, 8]);
    check([4, 0, 8], [None, Some(3)], [4, 3, 3]);
    check([4, 20, 8], [Some(0), Some(0)], [1, 1, 1]);
}

#[test]
fn the_built_in_market_has_models_and_nowhere_to_buy_them() {
    let market = Market::built_in();
    assert!(market.catalogue.resolve("builtin").is_ok());
    assert!(market.accounts.is_empty());
}
