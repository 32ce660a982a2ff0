//! `bahi export`: every entry as stored and every view as rows, in files for other programs; changes nothing.

mod rows;

use crate::{
    error::Error,
    out,
    pages::{pages, value},
    product,
    progress::Progress,
    source::Source,
};
use domain::{event::Event, ids::AccountId};
use event_log::{
    EventLog, Stored, Topic,
    rule::{Reader, Verdict},
};
use event_schemas::entry::{Entry, decode_entry};
use projections::{Replay, Views};
use rows::{Format, Rows};
use serde_json::{Value, json, value::RawValue};
use std::{path::PathBuf, sync::Arc};

/// Records read at a time.
const READ_RECORDS: usize = 4096;

const EXAMPLES: &str = "\
Examples:
  bahi export --data ./ledger --out ./export --format jsonl
  bahi export --data ./ledger --out ./export --format csv

It reads beside a running server. entries and market hold every entry as it is stored; events one
row for each event; the other files are the views, folded cold. In CSV a text that a spreadsheet
would take for a formula has a ' before it.";

/// Write entries, events and views as JSON Lines or CSV
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    source: Source,
    /// The folder to write to; made if there is none, files in it are replaced
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How
    #[arg(long)]
    format: Format,
}

const ENTRY_COLUMNS: &[&str] = &["partition", "offset", "entry"];
const EVENT_COLUMNS: &[&str] = &[
    "partition",
    "offset",
    "account",
    "seq",
    "recorded_at",
    "command",
    "kind",
    "outcome",
    "type",
    "effective_at",
    "data",
];
const ORDER_COLUMNS: &[&str] = &[
    "account",
    "order_id",
    "status",
    "instrument",
    "side",
    "quantity",
    "filled",
    "pending",
    "cancelled",
    "type",
    "price",
    "trigger_price",
    "market_protection",
    "average_price",
    "product",
    "validity",
    "session_date",
    "disclosed_quantity",
    "blocked",
    "blocked_quantity",
    "modifications",
    "waiting",
    "exchange_order_id",
    "tag",
    "algo_id",
    "reason",
    "requested_at",
    "updated_at",
];
const FUND_ORDER_COLUMNS: &[&str] = &[
    "account",
    "fund_order_id",
    "status",
    "kind",
    "scheme",
    "folio",
    "amount",
    "asked_units",
    "all",
    "blocked_units",
    "units",
    "nav",
    "nav_date",
    "stamp_duty",
    "payout",
    "pays_on",
    "mismatch",
    "reason",
    "requested_at",
    "updated_at",
];
const TRADE_COLUMNS: &[&str] = &[
    "account",
    "seq",
    "trade_id",
    "order_id",
    "origin",
    "detail",
    "instrument",
    "exchange",
    "side",
    "product",
    "quantity",
    "price",
    "value",
    "trade_date",
    "settlement_date",
    "executed_at",
    "flag",
    "cancelled",
];
const PORTFOLIO_COLUMNS: &[&str] = &[
    "account",
    "instrument",
    "product",
    "scheme",
    "folio",
    "quantity",
    "bought_today",
    "t1",
    "settled",
    "units",
    "cost",
    "average_price",
    "average_nav",
    "last_price",
    "nav",
    "nav_date",
    "value",
    "unrealised",
    "day_change",
    "unknown_cost_quantity",
    "unknown_cost_units",
    "provisional",
];
const PNL_COLUMNS: &[&str] = &[
    "account",
    "instrument",
    "scheme",
    "folio",
    "quantity",
    "units",
    "bought",
    "sold",
    "realised",
    "intraday",
    "delivery",
    "provisional",
    "is_provisional",
    "cost",
    "unrealised",
    "unknown_cost_proceeds",
    "unknown_price_cost",
];
const CASH_COLUMNS: &[&str] = &[
    "account",
    "settled",
    "receivable",
    "payable",
    "blocked",
    "blocked_for",
    "available",
    "withdrawable",
    "shortfalls",
];
const INSTRUMENT_COLUMNS: &[&str] = &[
    "instrument",
    "isin",
    "symbol",
    "exchange",
    "series",
    "tick_size",
    "band_percent",
    "last_price",
    "last_at",
    "previous_close",
];
const SCHEME_COLUMNS: &[&str] =
    &["scheme", "name", "isin_growth", "isin_reinvestment", "amc", "category", "plan", "option", "nav", "nav_date"];
const PRICE_COLUMNS: &[&str] = &["instrument", "date", "open", "high", "low", "close", "previous_close", "volume"];
const NAV_COLUMNS: &[&str] = &["scheme", "date", "nav"];

/// Writes all files.
///
/// # Errors
/// When the log cannot be read, an entry does not decode, or a file cannot be written.
pub fn run(args: Args) -> Result<(), Error> {
    product::runtime()?.block_on(async {
        std::fs::create_dir_all(&args.out).map_err(Error::file(&args.out))?;
        let log = args.source.open().await?;
        let mut bar = Progress::new(0, "records");
        let replay = projections::replay(log.port(), Replay::default(), |done| bar.reach_of(done.records, done.of));
        let replayed = replay.await?;
        let mut files = Files { args: &args, bar, done: 0 };
        files.entries(&*log).await?;
        files.accounts(&*log, &replayed.views).await?;
        files.market(&replayed.views)?;
        files.bar.finish();
        out::say(&format!(
            "{} entries and {} market entries exported to {}",
            replayed.entries,
            replayed.facts,
            args.out.display()
        ))
    })
}

struct Files<'a> {
    args: &'a Args,
    bar: Progress,
    done: u64,
}

impl Files<'_> {
    fn rows(&self, name: &str, columns: &'static [&'static str]) -> Result<Rows, Error> {
        Rows::create(&self.args.out, name, self.args.format, columns)
    }

    /// Live entries, exactly as stored, and the events of those of accounts.
    async fn entries(&mut self, log: &dyn EventLog) -> Result<(), Error> {
        let mut events = self.rows("events", EVENT_COLUMNS)?;
        for (topic, name) in [(Topic::Ledger, "entries"), (Topic::Market, "market")] {
            let mut entries = self.rows(name, ENTRY_COLUMNS)?;
            for partition in 0..log.partitions(topic) {
                let mut reader = Reader::default();
                loop {
                    let records = log.read(topic, partition, reader.offset, READ_RECORDS).await?;
                    if records.is_empty() {
                        break;
                    }
                    for stored in records {
                        self.done += 1;
                        let folded = reader.fold(stored.offset, &stored.record.headers);
                        let verdict =
                            folded.map_err(|corruption| projections::Error::Corrupt { topic, partition, corruption });
                        if verdict? == Verdict::Entry {
                            one_entry(topic, partition, &stored, &mut entries, &mut events)?;
                        }
                    }
                }
            }
            entries.finish()?;
        }
        events.finish()
    }

    async fn accounts(&mut self, log: &dyn EventLog, views: &Arc<Views>) -> Result<(), Error> {
        let mut orders = self.rows("orders", ORDER_COLUMNS)?;
        let mut fund_orders = self.rows("fund_orders", FUND_ORDER_COLUMNS)?;
        let mut trades = self.rows("trades", TRADE_COLUMNS)?;
        let mut portfolio = self.rows("portfolio", PORTFOLIO_COLUMNS)?;
        let mut pnl = self.rows("pnl", PNL_COLUMNS)?;
        let mut cash = self.rows("cash", CASH_COLUMNS)?;
        for account in views.accounts() {
            let older = projections::all_older(log, views, &account).await?;
            let read = views.read(&account, |reading| -> Result<(), Error> {
                let reading = reading.with(&older);
                pages(|page| value(reading.orders(&Default::default(), page)?), |row| orders.write(of(&account, row)))?;
                pages(
                    |page| value(reading.fund_orders(&Default::default(), page)?),
                    |row| fund_orders.write(of(&account, row)),
                )?;
                pages(|page| value(reading.trades(&Default::default(), page)?), |row| trades.write(of(&account, row)))?;
                pages(|page| value(reading.portfolio(page)?), |row| portfolio.write(of(&account, row)))?;
                pages(|page| value(reading.pnl(page)?), |row| pnl.write(of(&account, row)))?;
                cash.write(value(reading.cash()?)?)
            });
            read.transpose()?;
        }
        for rows in [orders, fund_orders, trades, portfolio, pnl, cash] {
            rows.finish()?;
        }
        Ok(())
    }

    fn market(&mut self, views: &Arc<Views>) -> Result<(), Error> {
        let market = views.market();
        let mut instruments = self.rows("instruments", INSTRUMENT_COLUMNS)?;
        let mut prices = self.rows("prices", PRICE_COLUMNS)?;
        let mut schemes = self.rows("schemes", SCHEME_COLUMNS)?;
        let mut navs = self.rows("navs", NAV_COLUMNS)?;
        let days = Default::default();
        pages(
            |page| value(market.instruments(&Default::default(), page)?),
            |row| {
                let id = row["instrument"].clone();
                let read = id.as_str().and_then(|id| id.parse().ok()).expect("a listed instrument has an id");
                pages(
                    |page| value(market.prices(&read, &days, page)?),
                    |row| prices.write(with("instrument", id.clone(), row)),
                )?;
                instruments.write(row)
            },
        )?;
        pages(
            |page| value(market.schemes(&Default::default(), page)?),
            |row| {
                let code = row["scheme"].clone();
                let read = code.as_str().and_then(|code| code.parse().ok()).expect("a listed scheme has a code");
                pages(
                    |page| value(market.navs(&read, &days, page)?),
                    |row| navs.write(with("scheme", code.clone(), row)),
                )?;
                schemes.write(row)
            },
        )?;
        for rows in [instruments, prices, schemes, navs] {
            rows.finish()?;
        }
        Ok(())
    }
}

fn one_entry(
    topic: Topic,
    partition: u32,
    stored: &Stored,
    entries: &mut Rows,
    events: &mut Rows,
) -> Result<(), Error> {
    let undecodable = |reason: String| projections::Error::Undecodable {
        topic,
        partition,
        offset: stored.offset,
        reason: reason.into(),
    };
    let raw: &RawValue = serde_json::from_slice(&stored.record.value).map_err(|why| undecodable(why.to_string()))?;
    entries.write_raw(partition, stored.offset, raw)?;
    if topic == Topic::Ledger {
        let entry = decode_entry(&stored.record.value).map_err(|why| undecodable(why.to_string()))?;
        for event in &entry.events {
            events.write(one_event(partition, stored.offset, &entry, event))?;
        }
    }
    Ok(())
}

fn one_event(partition: u32, offset: u64, entry: &Entry<'_>, event: &Event) -> Value {
    let data = event.data.serialize_payload(serde_json::value::Serializer).expect("an event is JSON");
    json!({
        "partition": partition, "offset": offset, "account": entry.account, "seq": entry.seq,
        "recorded_at": entry.recorded_at, "command": entry.command.id, "kind": entry.command.kind,
        "outcome": entry.outcome.name(), "type": event.data.type_name(), "effective_at": event.effective_at,
        "data": data,
    })
}

fn of(account: &AccountId, row: Value) -> Value {
    with("account", account.as_str().into(), row)
}

fn with(name: &str, what: Value, mut row: Value) -> Value {
    row[name] = what;
    row
}
