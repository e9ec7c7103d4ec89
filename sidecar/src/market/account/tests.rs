//! Accounts as they are written: defaults, limits, and what no file may hold.

use thumbforge_core::money::Micros;
use thumbforge_hosted::Protocol;

use super::*;
use crate::config::UserFile;

fn read(text: &str) -> UserFile {
    UserFile::parse(text, Path::new("/home/mia/config.toml")).unwrap()
}

fn account(lines: &str) -> Account {
    read(&format!("[accounts.a]\n{lines}")).accounts["a"].clone()
}

#[test]
fn an_account_has_what_its_kind_has_where_it_says_nothing() {
    let account = account("provider = \"openai\"\nkey = \"env:K\"");
    assert_eq!((account.name.as_str(), account.provider.as_str()), ("a", "openai"));
    assert_eq!(account.protocols, [Protocol::OpenAi, Protocol::OpenAiCompatible]);
    assert_eq!(account.place.base_url.as_str(), "https://api.openai.com/v1");
    assert_eq!(account.place.timeout, TIMEOUT_DEFAULT);
    assert_eq!(account.limits, Kind::of("openai").unwrap().limits);
    assert_eq!(
        (account.ambiguous, account.price, account.models, account.ambient),
        (OnAmbiguous::Hold, None, None, false)
    );
}

#[test]
fn an_account_has_what_it_says() {
    let account = account(
        "provider = \"gemini\"\nkey = \"keyring:studio/mia\"\nbase_url = \"https://proxy.example/google\"\n\
         timeout_s = 30\nimages_in_flight = 2\nimages_per_minute = 30\nburst = 3\nambiguous = { resend = 2 }\n\
         price_usd = \"0.05\"\nmodels = [\"nano-banana\"]\nallow_private = true",
    );
    assert_eq!(account.provider, "google");
    assert_eq!(account.place.base_url.as_str(), "https://proxy.example/google");
    assert!(account.place.allow_private);
    assert_eq!(account.place.timeout, Duration::from_secs(30));
    assert_eq!(account.limits, Limits { images_in_flight: 2, images_per_minute: Some(30), burst: 3 });
    assert_eq!(account.ambiguous, OnAmbiguous::Resend { at_most: 2 });
    assert_eq!(account.price, Some(Micros(50_000)));
    assert_eq!(account.models.as_deref(), Some(&["nano-banana".to_owned()][..]));
    assert_eq!(account.key.unwrap().to_string(), "keyring:studio/mia");
}

#[test]
fn servers_of_ones_own_need_an_address_and_bill_nobody() {
    for kind in ["a1111", "comfyui", "sdcpp"] {
        let account = account(&format!("provider = \"{kind}\"\nbase_url = \"http://render.lan:7860\""));
        assert_eq!((account.price, account.key.is_none()), (Some(Micros::ZERO), true), "{kind}");
    }
    let compatible = account("provider = \"openai-compatible\"\nbase_url = \"http://localhost:4000/v1\"");
    assert_eq!(compatible.price, None, "nobody but the user knows what a reseller takes");
}

#[test]
fn a_smaller_rate_has_no_larger_burst() {
    let limits = |lines: &str| account(&format!("provider = \"openai\"\nkey = \"env:K\"\n{lines}")).limits;
    assert_eq!(limits("images_per_minute = 2").burst, 2);
    assert_eq!(limits("images_per_minute = 100").burst, 8);
    assert_eq!(limits("images_per_minute = 2\nburst = 5").burst, 5);
}

#[test]
fn a_keys_file_is_found_from_the_folder_of_the_settings() {
    #[track_caller]
    fn check(path: &str, expected: &Path) {
        let account = account(&format!("provider = \"openai\"\nkey = \"file:{path}\""));
        assert_eq!(account.key, Some(Source::File(expected.to_owned())));
    }
    check("keys/openai", Path::new("/home/mia/keys/openai"));
    check("/etc/keys/openai", Path::new("/etc/keys/openai"));
    if let Some(dirs) = directories::BaseDirs::new() {
        check("~/keys/openai", &dirs.home_dir().join("keys/openai"));
    }
}

#[test]
fn budgets_are_those_of_everything_of_providers_and_of_accounts() {
    let file = read(
        "[budget]\nday_usd = 20\nmonth_usd = \"200\"\n[budget.providers.vertex]\nday_usd = 5\n\
         [accounts.a]\nprovider = \"openai\"\nkey = \"env:K\"\ntotal_usd = \"2.50\"",
    );
    let budget = |scope, period, micros| Budget { scope, period, micros: Micros(micros) };
    let expected = [
        budget(Scope::All, Period::Day, 20_000_000),
        budget(Scope::All, Period::Month, 200_000_000),
        budget(Scope::Provider("google".to_owned()), Period::Day, 5_000_000),
        budget(Scope::Account("a".to_owned()), Period::Ever, 2_500_000),
    ];
    assert_eq!(file.budgets, expected);
}
