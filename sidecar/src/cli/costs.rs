//! `thumbforge costs`: what hosted models cost so far, as a table, CSV or JSON. It only reads the journal.

use std::path::PathBuf;

use clap::Args;
use thumbforge_core::day::Day;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::money::Micros;

use super::{Context, exit, pretty, print_out};
use crate::build::BuildError;
use crate::journal;
use crate::journal::costs::{By, Cost, costs as read};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  thumbforge costs                                        by model, since the beginning
  thumbforge costs --by locale --since 2026-11-01         what each locale cost this month
  thumbforge costs --by day --csv costs.csv               for a spreadsheet
Days are those of UTC. docs/ledger.md has the tables behind it, for questions of your own.")]
pub(super) struct CostsArgs {
    /// What is summed up: model, locale, asset, provider, account, day, project or batch
    #[arg(long, value_name = "WHAT", default_value = "model", value_parser = by)]
    by: By,
    /// From this day on, as in 2026-11-21
    #[arg(long, value_name = "DAY")]
    since: Option<Day>,
    /// Up to this day, and with it
    #[arg(long, value_name = "DAY")]
    until: Option<Day>,
    /// Write the rows to a file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

fn by(word: &str) -> Result<By, String> {
    By::ALL.into_iter().find(|by| by.word() == word).ok_or_else(|| {
        let words: Vec<&str> = By::ALL.into_iter().map(By::word).collect();
        format!("write one of {}", words.join(", "))
    })
}

/// `thumbforge costs`.
pub(super) fn costs(context: &Context, args: &CostsArgs) -> Result<u8, BuildError> {
    let reader = journal::peek(&context.data_dir.join("journal.sqlite")).map_err(|err| err.failure())?;
    let rows = match &reader {
        Some(reader) => {
            let rows = reader.read(|connection| read(connection, args.by, args.since, args.until));
            rows.map_err(|err| err.failure())?
        }
        None => Vec::new(),
    };
    if let Some(path) = &args.csv {
        std::fs::write(path, csv(args.by, &rows)).map_err(|err| {
            Failure::new(ErrorCode::OutputFile, format!("failed to write the costs to {}: {err}", path.display()))
        })?;
    }
    if context.json {
        print_out(&json(args, &rows));
    } else if rows.is_empty() {
        eprintln!("nothing was bought{}", if reader.is_some() { " in these days" } else { " yet" });
    } else if args.csv.is_none() {
        print_out(&table(args.by, &rows));
    }
    Ok(exit::DONE)
}

fn total(rows: &[Cost]) -> Cost {
    Cost {
        name: "all".to_owned(),
        calls: rows.iter().map(|row| row.calls).sum(),
        pictures: rows.iter().map(|row| row.pictures).sum(),
        spent: rows.iter().map(|row| row.spent).sum(),
        assumed: rows.iter().map(|row| row.assumed).sum(),
        open: rows.iter().map(|row| row.open).sum(),
    }
}

fn json(args: &CostsArgs, rows: &[Cost]) -> String {
    #[derive(serde::Serialize)]
    struct Row<'a> {
        #[serde(flatten)]
        cost: &'a Cost,
        micros_usd_per_1000: Option<Micros>,
    }
    let row = |cost: &'_ Cost| serde_json::json!(Row { cost, micros_usd_per_1000: cost.per_1000() });
    pretty(&serde_json::json!({
        "by": args.by.word(),
        "since": args.since,
        "until": args.until,
        "rows": rows.iter().map(row).collect::<Vec<_>>(),
        "total": row(&total(rows)),
    }))
}

/// Amounts in dollars without a sign, so that spreadsheets see numbers; RFC 4180 otherwise.
fn csv(by: By, rows: &[Cost]) -> String {
    let dollars = |amount: Micros| amount.to_string().trim_start_matches('$').to_owned();
    let mut text = format!("{},calls,pictures,spent_usd,assumed_usd,open_usd,usd_per_1000\r\n", by.word());
    for row in rows {
        let per_1000 = row.per_1000().map(dollars).unwrap_or_default();
        let fields = [
            quoted(&row.name),
            row.calls.to_string(),
            row.pictures.to_string(),
            dollars(row.spent),
            dollars(row.assumed),
            dollars(row.open),
            per_1000,
        ];
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text
}

fn quoted(name: &str) -> String {
    if name.contains([',', '"', '\r', '\n']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}

fn table(by: By, rows: &[Cost]) -> String {
    let all = total(rows);
    let rows: Vec<&Cost> = rows.iter().chain((rows.len() > 1).then_some(&all)).collect();
    let name = |row: &Cost| if row.name.is_empty() { "-".to_owned() } else { row.name.clone() };
    let width = rows.iter().map(|row| name(row).chars().count()).chain([by.word().len()]).max().unwrap_or_default();
    // Columns that nobody needs are left out.
    let (assumed, open) = (all.assumed > Micros::ZERO, all.open > Micros::ZERO);
    let mut text =
        format!("{:<width$}  {:>8}  {:>8}  {:>12}  {:>12}", by.word(), "calls", "pictures", "spent", "per 1000");
    text.push_str(if assumed { "       assumed" } else { "" });
    text.push_str(if open { "          open" } else { "" });
    text.push('\n');
    for row in rows {
        let per_1000 = row.per_1000().map(|amount| amount.to_string()).unwrap_or_default();
        let (calls, pictures, spent) = (row.calls, row.pictures, row.spent.to_string());
        text.push_str(&format!("{:<width$}  {calls:>8}  {pictures:>8}  {spent:>12}  {per_1000:>12}", name(row)));
        for amount in [assumed.then_some(row.assumed), open.then_some(row.open)].into_iter().flatten() {
            text.push_str(&format!("  {:>12}", amount.to_string()));
        }
        text.push('\n');
    }
    if open {
        text.push_str("\nopen: set aside for calls that are under way or of which nobody knows the end; see `thumbforge jobs --state ambiguous`\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(name: &str, calls: u64, pictures: u64, spent: u64, open: u64) -> Cost {
        Cost { name: name.to_owned(), calls, pictures, spent: Micros(spent), assumed: Micros::ZERO, open: Micros(open) }
    }

    #[test]
    fn a_table_ends_with_the_sum_and_has_only_columns_that_are_needed() {
        let rows = [cost("gpt-image-2", 3, 2, 106_000, 0), cost("", 1, 0, 0, 0)];
        let table = table(By::Model, &rows);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "model           calls  pictures         spent      per 1000");
        assert_eq!(lines[1], "gpt-image-2         3         2        $0.106        $53.00");
        assert_eq!(lines[2], "-                   1         0         $0.00              ");
        assert_eq!(lines[3], "all                 4         2        $0.106        $53.00");
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn what_is_open_is_explained() {
        let table = table(By::Day, &[cost("2026-11-21", 1, 0, 0, 53_000)]);
        assert!(table.contains("$0.053") && table.contains("--state ambiguous"), "{table}");
    }

    #[test]
    fn a_spreadsheet_reads_what_is_written() {
        let rows = [cost("a \"b\", c", 3, 2, 106_000, 7), cost("d", 1, 0, 0, 0)];
        let expected = "asset,calls,pictures,spent_usd,assumed_usd,open_usd,usd_per_1000\r\n\
                        \"a \"\"b\"\", c\",3,2,0.106,0.00,0.000007,53.00\r\nd,1,0,0.00,0.00,0.00,\r\n";
        assert_eq!(csv(By::Asset, &rows), expected);
    }

    #[test]
    fn a_rate_needs_a_picture_and_does_not_overflow() {
        assert_eq!(cost("", 1, 0, 5, 0).per_1000(), None);
        assert_eq!(cost("", 1, 1, Micros::MAX.0, 0).per_1000(), Some(Micros::MAX));
        assert_eq!(cost("", 3, 3, 100, 0).per_1000(), Some(Micros(33_333)));
    }
}
