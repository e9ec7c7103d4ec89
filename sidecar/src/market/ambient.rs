//! Accounts that variables of the environment make, as the providers' own clients read them.

use std::collections::BTreeMap;

use thumbforge_hosted::Endpoint;

use super::account::address;
use super::keys::{Kept, Source};
use super::kind::{Kind, Variables};
use super::{Account, Ambient, TIMEOUT_DEFAULT};

/// A variable of the environment by its name; an empty one is none.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Ambient {
    /// What holds for this process: in CI nothing is bought with keys that lie around, unless `asked` says so.
    pub fn here(asked: bool) -> Self {
        Self::of(asked, std::env::var("CI").ok().as_deref())
    }

    fn of(asked: bool, ci: Option<&str>) -> Self {
        match ci {
            Some("true" | "1" | "True" | "TRUE") if !asked => Self::Ignored,
            _ => Self::Used,
        }
    }
}

/// The accounts that the environment makes, and what is wrong with it. `declared` are those of the settings: their
/// providers and names are taken.
pub(super) fn accounts(
    environment: Environment<'_>,
    declared: &BTreeMap<String, Account>,
) -> (Vec<Account>, Vec<String>) {
    let (mut made, mut problems) = (Vec::new(), Vec::new());
    for kind in Kind::all() {
        let Some(variables) = &kind.variables else { continue };
        let taken = declared.values().any(|account| account.provider == kind.pays) || declared.contains_key(&kind.word);
        if taken {
            continue;
        }
        match account(kind, variables, environment) {
            Some(Ok(account)) => made.push(account),
            Some(Err(problem)) => problems.push(problem),
            None => {}
        }
    }
    (made, problems)
}

fn account(kind: &Kind, variables: &Variables, environment: Environment<'_>) -> Option<Result<Account, String>> {
    let first = |names: &[String]| names.iter().find_map(|name| Some((name.clone(), environment(name)?)));
    let (key, _) = first(&variables.key)?;
    let base_url = match variables.base_url.as_ref().and_then(|name| Some((name, environment(name)?))) {
        Some((name, text)) => match address(&text) {
            Ok(url) if url.scheme() == "https" || super::account::stays_here(&url) => Some(url),
            Ok(_) => return Some(Err(format!("failed to use the variable {name}: the key would travel without TLS"))),
            Err(reason) => return Some(Err(format!("failed to use the variable {name}: {reason}"))),
        },
        None => kind.base_url(&BTreeMap::new()),
    };
    let options =
        variables.options.iter().filter_map(|(option, names)| Some((option.clone(), first(names)?.1))).collect();
    Some(Ok(Account {
        name: kind.word.clone(),
        provider: kind.pays.clone(),
        protocols: kind.protocols.clone(),
        place: Endpoint {
            account: kind.word.clone(),
            base_url: base_url?,
            key: None,
            options,
            allow_private: kind.private,
            timeout: TIMEOUT_DEFAULT,
        },
        key: Some(Source::Env(key)),
        kept: Kept::default(),
        limits: kind.limits,
        ambiguous: kind.ambiguous.0,
        price: kind.price_usd.map(|price| price.0),
        models: None,
        ambient: true,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(variables: &[(&str, &str)], declared: &[Account]) -> (Vec<Account>, Vec<String>) {
        let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
        let declared = declared.iter().map(|account| (account.name.clone(), account.clone())).collect();
        let environment = |name: &str| variables.get(name).map(|value| (*value).to_owned());
        accounts(&environment, &declared)
    }

    #[test]
    fn the_usual_variables_make_accounts() {
        #[track_caller]
        fn check(variables: &[(&str, &str)], expected: &[(&str, &str, &str)]) {
            let (accounts, problems) = made(variables, &[]);
            let accounts: Vec<(String, String, String)> = accounts
                .into_iter()
                .map(|account| {
                    assert!(account.ambient);
                    let key = account.key.as_ref().unwrap().to_string();
                    (account.provider, account.place.base_url.to_string(), key)
                })
                .collect();
            let accounts: Vec<_> = accounts.iter().map(|(one, two, three)| (&**one, &**two, &**three)).collect();
            assert_eq!(accounts, expected);
            assert_eq!(problems, Vec::<String>::new());
        }
        let openai = "https://api.openai.com/v1";
        check(&[], &[]);
        check(&[("OPENAI_API_KEY", "sk")], &[("openai", openai, "env:OPENAI_API_KEY")]);
        check(&[("OPENAI_BASE_URL", "https://proxy.example/v1")], &[]);
        let proxied = [("OPENAI_API_KEY", "sk"), ("OPENAI_BASE_URL", "https://proxy.example/v1")];
        check(&proxied, &[("openai", "https://proxy.example/v1", "env:OPENAI_API_KEY")]);
        let local = [("OPENAI_API_KEY", "sk"), ("OPENAI_BASE_URL", "http://127.0.0.1:4000/v1")];
        check(&local, &[("openai", "http://127.0.0.1:4000/v1", "env:OPENAI_API_KEY")]);
        let google = "https://generativelanguage.googleapis.com/";
        check(&[("GOOGLE_API_KEY", "k")], &[("google", google, "env:GOOGLE_API_KEY")]);
        let both = [("GOOGLE_API_KEY", "k"), ("GEMINI_API_KEY", "k")];
        check(&both, &[("google", google, "env:GEMINI_API_KEY")]);
        let two = [("IDEOGRAM_API_KEY", "k"), ("STABILITY_API_KEY", "k")];
        let ideogram = ("ideogram", "https://api.ideogram.ai/", "env:IDEOGRAM_API_KEY");
        check(&two, &[ideogram, ("stability", "https://api.stability.ai/", "env:STABILITY_API_KEY")]);
    }

    #[test]
    fn options_come_along() {
        let variables = [("OPENAI_API_KEY", "sk"), ("OPENAI_ORG_ID", "org-1"), ("OPENAI_PROJECT", "proj-1")];
        let (accounts, _) = made(&variables, &[]);
        let options = &accounts[0].place.options;
        assert_eq!((options["organization"].as_str(), options["project"].as_str()), ("org-1", "proj-1"));
    }

    #[test]
    fn a_declared_account_takes_the_place_of_an_ambient_one() {
        let declared = |name: &str, provider: &str| {
            let place = "https://host.example".parse().unwrap();
            Account::new(name, provider, thumbforge_hosted::Protocol::Vertex, place)
        };
        let variables = [("GEMINI_API_KEY", "k"), ("OPENAI_API_KEY", "sk")];
        let (accounts, _) = made(&variables, &[declared("mine", "google")]);
        assert_eq!(accounts.iter().map(|account| account.name.as_str()).collect::<Vec<_>>(), ["openai"]);
        let (accounts, _) = made(&variables, &[declared("openai", "openai-compatible")]);
        assert_eq!(accounts.iter().map(|account| account.name.as_str()).collect::<Vec<_>>(), ["google"]);
    }

    #[test]
    fn an_address_that_would_give_the_key_away_makes_no_account() {
        #[track_caller]
        fn check(address: &str, expected: &str) {
            let (accounts, problems) = made(&[("OPENAI_API_KEY", "sk-1"), ("OPENAI_BASE_URL", address)], &[]);
            assert!(accounts.is_empty());
            assert!(problems[0].contains(expected) && problems[0].contains("OPENAI_BASE_URL"), "{problems:?}");
        }
        check("http://proxy.example/v1", "without TLS");
        check("https://mia:secret@proxy.example/v1", "no name or password");
        check("nowhere", "no address");
    }

    #[test]
    fn in_ci_a_key_that_lies_around_is_no_permission() {
        #[track_caller]
        fn check(asked: bool, ci: Option<&str>, expected: Ambient) {
            assert_eq!(Ambient::of(asked, ci), expected, "{asked} {ci:?}");
        }
        check(false, None, Ambient::Used);
        check(false, Some("false"), Ambient::Used);
        check(false, Some("true"), Ambient::Ignored);
        check(false, Some("1"), Ambient::Ignored);
        check(true, Some("true"), Ambient::Used);
    }
}
