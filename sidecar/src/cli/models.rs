//! `thumbforge models`: which models can be named, what they cost, and whether this machine can have them drawn.

use std::path::PathBuf;

use clap::Args;
use thumbforge_core::day::Day;
use thumbforge_core::model::{Catalogue, Family, ModelId, ModelRow, SeedUse, Standing};
use thumbforge_core::money::Micros;

use super::table::table;
use super::{Context, exit, learn, pretty, print_out};
use crate::build::BuildError;
use crate::market::Market;
use crate::router::{self, EnginesHere, Span, engine_of};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  thumbforge models                    what can be named, for how much, and until when
  thumbforge models --json             everything that the catalogue says, with aliases and every price
  thumbforge models --learn            write thumbforge.quality.toml beside this folder's manifest")]
pub(super) struct ModelsArgs {
    /// Folder of the manifest whose quality file is written, or the manifest itself [default: this folder]
    #[arg(value_name = "MANIFEST-DIR", requires = "learn")]
    manifest: Option<PathBuf>,
    /// Count what came of pictures, in journals and approvals, into thumbforge.quality.toml beside the manifest
    #[arg(long)]
    learn: bool,
    /// Journals to learn from; of machines that share approvals, say [default: the journal of the data directory]
    #[arg(long, value_name = "FILE", requires = "learn")]
    journal: Vec<PathBuf>,
}

/// A model, as it stands on a day on this machine.
#[derive(Debug, serde::Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    row: &'a ModelRow,
    /// Whether it can be drawn with now.
    available: bool,
    /// `here`, `account`, `no_weights`, `no_account` or `retired`.
    state: &'static str,
    /// The accounts that sell it.
    accounts: Vec<&'a str>,
    /// How many days it will still be there, where its end is near.
    #[serde(skip_serializing_if = "Option::is_none")]
    days_left: Option<u64>,
    /// What is drawn with in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<&'a ModelId>,
    /// What one picture costs, at least and at most; absent where nothing is bought or nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    price_micros_usd: Option<[Micros; 2]>,
}

/// `thumbforge models`.
pub(super) fn models(context: &Context, args: &ModelsArgs) -> Result<u8, BuildError> {
    if args.learn {
        return learn::learn(context, args.manifest.as_deref(), &args.journal);
    }
    let market = context.shelf()?.now();
    let told = look(&market, &crate::engine::cards(&context.data_dir, &market), context.today());
    if context.json {
        print_out(&pretty(&told));
        return Ok(exit::DONE);
    }
    print_out(&text(&told));
    if !context.quiet {
        eprintln!("prices are of one picture, from small to large; --json has each, with aliases and capabilities");
    }
    market.problems.iter().for_each(|problem| eprintln!("note: {problem}"));
    Ok(exit::DONE)
}

fn look<'a>(market: &'a Market, here: &EnginesHere, today: Day) -> Vec<Told<'a>> {
    let rows = market.catalogue.rows().iter();
    rows.map(|row| told(row, market, here, today)).collect()
}

fn told<'a>(row: &'a ModelRow, market: &'a Market, here: &EnginesHere, today: Day) -> Told<'a> {
    let standing = row.standing(today);
    let retired = matches!(standing, Standing::Retired { .. });
    let drawn_here = engine_of(row.family).is_some_and(|engine| router::has(here, engine, &row.id));
    let accounts: Vec<&str> = market.sellers(row).map(|(account, _)| account.name.as_str()).collect();
    let state = match (retired, drawn_here, accounts.is_empty(), row.family) {
        (true, ..) => "retired",
        (_, true, ..) => "here",
        (_, _, false, _) => "account",
        (_, _, _, Family::Hosted) => "no_account",
        _ => "no_weights",
    };
    Told {
        row,
        available: !retired && (drawn_here || !accounts.is_empty()),
        state,
        days_left: match standing {
            Standing::Retiring { days } => Some(days),
            _ => None,
        },
        successor: retired.then(|| successor(&market.catalogue, row, today)).flatten(),
        price_micros_usd: price(row, market),
        accounts,
    }
}

fn successor<'a>(catalogue: &'a Catalogue, row: &'a ModelRow, today: Day) -> Option<&'a ModelId> {
    catalogue.successor(row, today).ok().map(|successor| &successor.row.id)
}

/// From the cheapest picture to the dearest, over sizes, qualities and accounts.
fn price(row: &ModelRow, market: &Market) -> Option<[Micros; 2]> {
    let flat: Vec<Option<Micros>> = market.sellers(row).map(|(account, _)| account.price).collect();
    let by_catalogue = flat.is_empty() || flat.iter().any(Option::is_none);
    let rows = row.price.iter().filter(|_| by_catalogue).flat_map(|price| [price.micros, price.most()]);
    let all: Vec<Micros> = rows.chain(flat.into_iter().flatten()).collect();
    Some([*all.iter().min()?, *all.iter().max()?])
}

fn text(told: &[Told<'_>]) -> String {
    let (retired, there): (Vec<_>, Vec<_>) = told.iter().partition(|one| one.state == "retired");
    let heads = ["MODEL", "STATE", "LEFT", "PRICE", "SEED", "EDITS", "TIME", "PROVIDER"];
    let rows: Vec<[String; 8]> = there
        .iter()
        .map(|one| {
            [
                one.row.id.to_string(),
                state(one),
                one.days_left
                    .map(|days| format!("{days} {}", if days == 1 { "day" } else { "days" }))
                    .unwrap_or_default(),
                cost(one),
                seed(one.row).to_owned(),
                edits(one.row),
                one.row.latency_ms.map(|ms| Span(ms).to_string()).unwrap_or_default(),
                one.row.provider.clone().unwrap_or_else(|| "this machine".to_owned()),
            ]
        })
        .collect();
    let mut text = table(heads, &rows);
    if !retired.is_empty() {
        let rows: Vec<[String; 3]> = retired.iter().map(|one| gone(one)).collect();
        text.push('\n');
        text.push_str(&table(["RETIRED MODEL", "SINCE", "DRAWN WITH INSTEAD"], &rows));
    }
    text
}

fn state(told: &Told<'_>) -> String {
    match (told.state, told.accounts.as_slice()) {
        ("here", []) => "here".to_owned(),
        ("here", [_, ..]) => "here, or bought".to_owned(),
        (_, [account]) => format!("account {account}"),
        (_, [first, rest @ ..]) => format!("account {first} +{}", rest.len()),
        ("no_weights", []) => "no weights".to_owned(),
        _ => "no account".to_owned(),
    }
}

fn cost(told: &Told<'_>) -> String {
    match told.price_micros_usd.map(|prices| prices.map(rounded)) {
        Some([least, most]) if least == most => least.to_string(),
        Some([least, most]) => format!("{least}–{}", most.to_string().trim_start_matches('$')),
        None if told.row.family == Family::Hosted => "unknown".to_owned(),
        None => "nothing".to_owned(),
    }
}

/// To a hundredth of a cent, upwards: enough to compare by, and no price looks smaller than it is.
fn rounded(price: Micros) -> Micros {
    Micros(price.0.div_ceil(100) * 100)
}

fn seed(row: &ModelRow) -> &'static str {
    match (row.family, row.can.seed) {
        (Family::Hosted, SeedUse::None) => "no",
        (Family::Hosted, SeedUse::BestEffort) => "hint",
        _ => "yes",
    }
}

fn edits(row: &ModelRow) -> String {
    let can = &row.can;
    let pictures = can.edit.filter(|most| *most > 0).map(|most| format!("{most}{}", can.mask.map_or("", |_| "+mask")));
    match (pictures, can.upscale) {
        (Some(pictures), true) => format!("{pictures}+upscale"),
        (Some(pictures), false) => pictures,
        (None, true) => "upscale".to_owned(),
        (None, false) => "no".to_owned(),
    }
}

fn gone(told: &Told<'_>) -> [String; 3] {
    let since = told.row.retired_on.map(|day| day.to_string()).unwrap_or_default();
    let successor = told.successor.map_or_else(|| "nothing: name another model".to_owned(), ToString::to_string);
    [told.row.id.to_string(), since, successor]
}

#[cfg(test)]
mod tests {
    use thumbforge_hosted::Protocol;
    use url::Url;

    use super::*;
    use crate::market::Account;

    const ROWS: &str = r#"
        [[model]]
        id = "weights"
        name = "w"
        family = "local"
        [[model]]
        id = "live"
        name = "l"
        family = "hosted"
        provider = "p"
        price = [
            { quality = "low", usd = "0.005", as_of = "2026" },
            { quality = "high", usd = "0.2", most = "0.377488", as_of = "2026" },
        ]
        can = { seed = "best-effort", edit = 4, mask = "white", upscale = true }
        [[model]]
        id = "ending"
        name = "e"
        family = "hosted"
        provider = "q"
        retired_on = "2026-12-01"
        replacement = "live"
        [[model]]
        id = "gone"
        name = "g"
        family = "hosted"
        provider = "p"
        retired_on = "2026-11-21"
        replacement = "live"
        [[model]]
        id = "gone-for-good"
        name = "f"
        family = "hosted"
        provider = "p"
        retired_on = "2025-01-01"
    "#;

    fn account(name: &str, provider: &str) -> Account {
        Account::new(name, provider, Protocol::OpenAi, Url::parse("https://example.com").expect("an address"))
    }

    #[track_caller]
    fn check(accounts: Vec<Account>, expected: &str) {
        let market = Market {
            catalogue: Catalogue::parse(ROWS).expect("the rows above"),
            accounts: accounts.into_iter().map(|account| (account.name.clone(), account)).collect(),
            ..Market::built_in()
        };
        let told = look(&market, &EnginesHere::new(), "2026-11-21".parse().expect("a day"));
        let found = text(&told);
        let (found, expected) = (found.lines(), expected.lines().map(str::trim).skip(1));
        assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_table_says_what_can_be_had_for_how_much_and_until_when() {
        check(
            Vec::new(),
            "
            MODEL    STATE       LEFT     PRICE          SEED  EDITS           TIME  PROVIDER
            weights  no weights           nothing        yes   no                    this machine
            live     no account           $0.005–0.3775  hint  4+mask+upscale        p
            ending   no account  10 days  unknown        no    no                    q

            RETIRED MODEL  SINCE       DRAWN WITH INSTEAD
            gone           2026-11-21  live
            gone-for-good  2025-01-01  nothing: name another model",
        );
    }

    #[test]
    fn accounts_and_their_own_prices_are_told() {
        let flat = |name: &str, micros| Account { price: Some(Micros(micros)), ..account(name, "p") };
        let listing = Account { models: Some(vec!["weights".to_owned()]), ..account("forge", "own") };
        let listing = Account { price: Some(Micros::ZERO), ..listing };
        check(
            vec![flat("one", 40_000), flat("two", 50_000), account("q-team", "q"), listing],
            "
            MODEL    STATE           LEFT     PRICE       SEED  EDITS           TIME  PROVIDER
            weights  account forge            $0.00       yes   no                    this machine
            live     account one +1           $0.04–0.05  hint  4+mask+upscale        p
            ending   account q-team  10 days  unknown     no    no                    q

            RETIRED MODEL  SINCE       DRAWN WITH INSTEAD
            gone           2026-11-21  live
            gone-for-good  2025-01-01  nothing: name another model",
        );
    }
}
