//! How long folding, hashing and a portfolio's answer take, each alone on one core; no log on disk, no HTTP.

use domain::order::Side::Buy;
use event_log::{EventLog, Stored, Topic};
use projections::{
    Page, Replay, Until,
    testing::{Ledger, account, day_nav, day_price, folio, listing, scheme},
};
use std::{
    io::Write,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

const ACCOUNTS: usize = 1_000;
const ROUNDS: usize = 16;
const READS: u32 = 100_000;

fn main() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut out = std::io::stdout();
    let mut ledger = Ledger::new(1);
    for number in 0..ACCOUNTS {
        ledger.open(&account(number), "10000000.00");
    }
    for _ in 0..ROUNDS {
        for number in 0..ACCOUNTS {
            ledger.trade(&account(number), "ALFA", Buy, 1, "100.00");
        }
    }
    let rich = investor(&mut ledger);
    let log: Arc<dyn EventLog> = Arc::new(runtime.block_on(ledger.log()));
    let once = |until| Replay { until, threads: NonZeroUsize::new(1), ..Replay::default() };
    let start = Instant::now();
    let replayed = runtime.block_on(projections::replay(Arc::clone(&log), once(Until::End), |_| ()));
    let replayed = replayed.map_err(std::io::Error::other)?;
    each(&mut out, "decode and fold an entry", start.elapsed(), replayed.entries)?;

    let records: Vec<Arc<Stored>> =
        runtime.block_on(log.read(Topic::Ledger, 0, 0, 20_000)).map_err(std::io::Error::other)?;
    let start = Instant::now();
    let decoded: Vec<_> =
        records.iter().skip(1).filter_map(|stored| event_schemas::decode_entry(&stored.record.value).ok()).collect();
    each(&mut out, "decode an entry", start.elapsed(), decoded.len() as u64)?;
    let start = Instant::now();
    for stored in &records {
        std::hint::black_box(projections::journal::Journal::digest(&stored.record.value));
    }
    each(&mut out, "hash an entry's bytes", start.elapsed(), records.len() as u64)?;

    let start = Instant::now();
    std::hint::black_box(replayed.views.state_hashes());
    each(&mut out, "state hashes, per entry", start.elapsed(), replayed.entries)?;

    let mut buffer = Vec::with_capacity(16 * 1024);
    let start = Instant::now();
    for _ in 0..READS {
        buffer.clear();
        replayed.views.read(&rich, |reading| {
            if let Ok(portfolio) = reading.portfolio(&Page::default()) {
                portfolio.write_json(&mut buffer);
            }
        });
    }
    each(&mut out, "a portfolio of 20 holdings and 5 folios as JSON", start.elapsed(), u64::from(READS))?;
    writeln!(out, "{} bytes", buffer.len())
}

/// An account with 20 holdings and 5 folios.
fn investor(ledger: &mut Ledger) -> domain::ids::AccountId {
    let rich = account(ACCOUNTS);
    ledger.open(&rich, "10000000.00");
    for number in 0..20 {
        let symbol = format!("STOCK{number}");
        ledger.fact(listing(&symbol));
        ledger.fact(day_price(&symbol, "2026-11-19", "1234.50"));
        ledger.fact(day_price(&symbol, "2026-11-20", "1250.25"));
        ledger.trade(&rich, &symbol, Buy, 17, "1241.35");
    }
    ledger.at("2026-11-25T10:00:00+05:30").all_due(&rich);
    for number in 0..5 {
        ledger.fact(day_nav("100001", &format!("2026-11-{}", 10 + number), "10.1234"));
        let import = domain::history::ImportUnits {
            scheme: scheme("100001"),
            folio: folio(&format!("F-{number}")),
            kind: domain::history::Kind::Purchase,
            units: domain::money::Units::from_smallest(1_234_567),
            nav: None,
            amount: Some(domain::money::Money::from_smallest(123_456)),
            executed_at: ledger.now(),
        };
        ledger.command(&rich, import);
    }
    rich
}

fn each(out: &mut impl Write, what: &str, took: Duration, count: u64) -> std::io::Result<()> {
    let nanos = took.as_nanos() / u128::from(count.max(1));
    writeln!(out, "{what}: {nanos} ns, {} per second", 1_000_000_000 / nanos.max(1))
}
