//! The doctor's look at hosted models: accounts, where their keys come from, limits, budgets, and how old prices are.

use thumbforge_core::day::Day;
use thumbforge_core::model::{Family, ModelRow, Standing};
use thumbforge_core::terms::Period;

use super::Line;
use crate::market::{Account, Market, OnAmbiguous, keys};

/// Prices that are older are said to be: providers changed theirs about twice a year so far.
const PRICE_DAYS_MAX: i64 = 270;

/// Looks at the market. It fetches every key, so a keychain may ask for its password; no line has one.
pub(super) fn look(market: &Market, today: Day) -> Vec<Line> {
    let mut lines = vec![overall(market, today)];
    lines.extend(market.accounts.values().map(account));
    lines.extend(market.unused_keys.iter().map(|name| Line {
        what: "account",
        ok: false,
        says: format!("{name} is set and not used: in CI that takes --ambient-keys, or an account of the settings"),
        figures: None,
    }));
    lines.extend(market.budgets.iter().map(|budget| {
        let period = match budget.period {
            Period::Ever => "ever",
            Period::Day => "a day (UTC)",
            Period::Month => "a month (UTC)",
        };
        Line { what: "budget", ok: true, says: format!("{}: {} {period}", budget.scope, budget.micros), figures: None }
    }));
    lines.extend(market.problems.iter().map(|problem| Line {
        what: "settings",
        ok: false,
        says: problem.clone(),
        figures: None,
    }));
    lines
}

fn overall(market: &Market, today: Day) -> Line {
    let hosted = market.catalogue.rows().iter().filter(|row| row.family == Family::Hosted);
    let living: Vec<&ModelRow> =
        hosted.filter(|row| !matches!(row.standing(today), Standing::Retired { .. })).collect();
    let sold: Vec<&ModelRow> = living.iter().copied().filter(|row| market.sellers(row).next().is_some()).collect();
    if sold.is_empty() {
        let says = "none: no account sells one; `thumbforge models` lists them, [accounts.NAME] in config.toml makes an account";
        return Line { what: "hosted models", ok: false, says: says.to_owned(), figures: None };
    }
    let says = format!("{} of {} can be bought", sold.len(), living.len());
    let dates = sold.iter().flat_map(|row| row.price.iter().map(|price| (price.as_of.as_str(), *row)));
    let oldest = dates.filter_map(|(as_of, row)| Some((last_day(as_of)?, row))).min_by_key(|(day, _)| *day);
    match oldest {
        Some((day, row)) if today.after(day) > PRICE_DAYS_MAX => Line {
            what: "hosted models",
            ok: false,
            says: format!(
                "{says}; prices of {} are from {day} and may have changed: rows in models.toml beside the settings go over them",
                row.id
            ),
            figures: None,
        },
        Some((day, _)) => Line {
            what: "hosted models",
            ok: true,
            says: format!("{says}, at prices from {day} or later"),
            figures: None,
        },
        None => Line { what: "hosted models", ok: true, says, figures: None },
    }
}

/// The last day that "2026-11-21", "2026-11" or "2026" may mean, within three days.
fn last_day(as_of: &str) -> Option<Day> {
    let day = match as_of.len() {
        4 => format!("{as_of}-12-31"),
        7 => format!("{as_of}-28"),
        _ => as_of.to_owned(),
    };
    day.parse().ok()
}

fn account(account: &Account) -> Line {
    let (ok, key) = match (&account.key, account.endpoint()) {
        (None, _) => (true, "no key".to_owned()),
        (Some(source), Ok(endpoint)) => {
            let id = endpoint.key.as_ref().map(keys::id).unwrap_or_default();
            (true, format!("key from {source} (id {id})"))
        }
        (Some(_), Err(failure)) => (false, failure.message),
    };
    let limits = account.limits;
    let rate = limits.images_per_minute.map(|rate| format!(", {rate} a minute")).unwrap_or_default();
    let unknown = match account.ambiguous {
        OnAmbiguous::Hold => "held for a person".to_owned(),
        OnAmbiguous::Poll => "asked after".to_owned(),
        OnAmbiguous::Resend { at_most } => format!("made again up to {at_most} times"),
    };
    let price = account.price.map(|price| format!("; {price} a picture")).unwrap_or_default();
    let models = account.models.as_ref().map(|models| format!("; models {}", models.join(", "))).unwrap_or_default();
    let whence = if account.ambient { "; made from the environment" } else { "" };
    let says = format!(
        "{} ({}) at {}: {key}; {} pictures at once{rate}; a call of unknown end is {unknown}{price}{models}{whence}",
        account.name, account.provider, account.place.base_url, limits.images_in_flight
    );
    Line { what: "account", ok, says, figures: None }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::UserFile;

    fn market(settings: &str) -> Market {
        let file = UserFile::parse(settings, Path::new("/home/mia/config.toml")).unwrap();
        Market { accounts: file.accounts, budgets: file.budgets, ..Market::built_in() }
    }

    /// The lines about `settings`, each with its mark.
    fn said(settings: &str, today: &str) -> Vec<String> {
        let lines = look(&market(settings), today.parse().unwrap());
        lines.iter().map(|line| format!("{} {} {}", if line.ok { "ok" } else { "--" }, line.what, line.says)).collect()
    }

    #[track_caller]
    fn check(settings: &str, expected: &[&str]) {
        let said = said(settings, "2026-11-21");
        for words in expected {
            assert!(said.iter().any(|line| line.contains(words)), "{said:#?}\nlacks {words}");
        }
    }

    #[test]
    fn accounts_say_what_they_are_and_never_their_key() {
        check("", &["-- hosted models none: no account sells one"]);
        let own = "[accounts.render]\nprovider = \"a1111\"\nbase_url = \"http://127.0.0.1:7860\"";
        check(
            own,
            &[
                "ok account render (a1111) at http://127.0.0.1:7860/: no key; 1 pictures at once",
                "made again up to 2 times; $0.00 a picture",
                "ok hosted models 1 of",
            ],
        );
        let missing = "[accounts.art]\nprovider = \"openai\"\nkey = \"env:THUMBFORGE_NO_SUCH_KEY\"\nday_usd = 5";
        check(
            missing,
            &[
                "-- account art (openai) at https://api.openai.com/v1: failed to fetch the key",
                "THUMBFORGE_NO_SUCH_KEY is not set",
                "8 pictures at once, 20 a minute; a call of unknown end is held for a person",
                "ok budget account:art: $5.00 a day (UTC)",
            ],
        );
    }

    #[test]
    fn keys_that_lie_around_in_ci_are_told() {
        let market = Market { unused_keys: vec!["OPENAI_API_KEY".to_owned()], ..Market::built_in() };
        let lines = look(&market, "2026-11-21".parse().unwrap());
        assert!(lines.iter().any(|line| !line.ok && line.says.contains("OPENAI_API_KEY is set and not used")));
    }

    #[test]
    fn old_prices_are_told() {
        let account = "[accounts.art]\nprovider = \"openai\"\nkey = \"env:THUMBFORGE_NO_SUCH_KEY\"";
        let fresh = &said(account, "2026-11-21")[0];
        assert!(fresh.starts_with("ok hosted models"), "{fresh}");
        let old = &said(account, "2027-12-01")[0];
        assert!(old.starts_with("-- hosted models") && old.contains("may have changed"), "{old}");
    }

    #[test]
    fn a_key_in_a_file_is_named_by_its_id() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "sk-MARK").unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let line = account(&Account {
            key: Some(keys::Source::File(path)),
            ..Account::new("a", "openai", thumbforge_hosted::Protocol::OpenAi, "https://a.example".parse().unwrap())
        });
        let id = keys::id(&thumbforge_hosted::Secret::new("sk-MARK"));
        assert!(line.ok && line.says.contains(&id) && !line.says.contains("MARK"), "{line:?}");
    }
}
