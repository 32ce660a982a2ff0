//! `bahi bench soak`: a ledger of many days and accounts is made, started again as its own process, and used for days
//! more, so that what is kept in memory shows.
//!
//! The days pass quickly: the log is made by the real desk under a clock that is moved by hand, and the server
//! measured runs by a hurried one, as what is closed leaves memory only with time.
#![expect(clippy::float_arithmetic, reason = "times and sizes are measurements, not amounts")]

use super::{
    Bench, disk,
    http::{self, Connection},
    machine::Machine,
    population::{INSTRUMENTS, PRICE, instrument},
    report::{Bytes, Measure, Memory, Report},
    server::{self, Server},
};
use crate::{
    client::Client,
    clock,
    error::Error,
    keys::{Minter, Role},
    progress::Progress,
    wire,
};
use commands::{Answer, By, Clock, Desk, FactSubmission, OutcomeResult, Submission};
use domain::{
    account,
    calendar::CalendarMode,
    cash,
    command::{Command, Submitter},
    ids::{AccountId, CommandId, OrderId},
    market::{Fact, Instrument, LastPrice},
    money::{Money, Price, Quantity},
    order::{Fill, OrderType, Place, Product, Side, Validity},
    time::Timestamp,
};
use event_log::{BoxFuture, Topic};
use futures::future::try_join_all;
use projections::{Position, Saving, Views};
use serde_json::json;
use std::{
    ffi::OsStr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// Accounts, entries made and orders placed afterwards, in whole.
const ACCOUNTS: usize = 100_000;
const ENTRIES: u64 = 5_000_000;
const ORDERS: u64 = 2_000_000;
/// Days over which the entries are made.
const DAYS: i32 = 30;
/// Entries of an order that is filled: placed, filled, its day netted, its date settled.
const ENTRIES_PER_ORDER: u64 = 4;
/// Commands of one hand-over, far below what the queue takes.
const TOGETHER: usize = 1_024;
/// Orders of one request.
const BATCH_ORDERS: usize = 100;
/// Requests under way at once.
const CONNECTIONS: usize = 16;
/// The server's seconds for one of ours: a day each second, so that as many orders come a day as when the log was made.
const CLOCK_SPEED: &str = "86400";
/// One account in so many trades on, every few days: what it had closed leaves as it goes on. What an account closed
/// last stays until its next entry, however long it rests.
const ACCOUNTS_TO_ACTIVE: usize = 50;
/// Longest wait until the server is ready, far over any bar.
const READY_S_MAX: u64 = 600;
/// How often memory is looked at.
const SAMPLE_MS: u64 = 1_000;
/// How long nothing may be due before a day's work counts as done.
const QUIET_MS: u64 = 100;

/// Measures.
///
/// # Errors
/// When the log cannot be made, the server fails or answers a key differently, or the ledger does not verify.
pub async fn run(bench: &Bench, scale: u32) -> Result<Report, Error> {
    let scale = scale.max(1);
    let folder = disk::folder(&bench.parent)?;
    let machine = Machine::look(folder.path())?;
    let path = folder.path().to_owned();
    let began = Instant::now();
    let made = tokio::task::spawn_blocking(move || make_log(&path, scale))
        .await
        .map_err(|why| Error::Usage(format!("making the log ended badly: {why}")))??;
    let making = began.elapsed();
    bench.tell(&format!(
        "{} entries of {} accounts made in {:.0} s",
        made.entries,
        made.accounts,
        making.as_secs_f64()
    ));

    let began = Instant::now();
    let server = Server::start_hurried(folder.path(), CLOCK_SPEED, Duration::from_secs(READY_S_MAX)).await?;
    server.ready(Duration::from_secs(READY_S_MAX)).await?;
    let ready_s = began.elapsed().as_secs_f64();
    let (ready_bytes, ready_peak_bytes) = (server.memory().unwrap_or(0), server.memory_peak().unwrap_or(0));
    let (now, peak) = (ready_bytes >> 20, ready_peak_bytes >> 20);
    bench.tell(&format!("ready after {ready_s:.2} s with {now} MB, at most {peak} MB until then"));

    let minter = Minter::open(folder.path(), None)?;
    first_answer(&server, &minter, &made).await?;
    bench.tell("a key of the first day got its first answer");

    let orders = (ORDERS / u64::from(scale)).max(1);
    let began = Instant::now();
    let samples = order_on(&server, &minter, made.accounts, orders).await?;
    let ordering = began.elapsed();
    let peak_bytes = server.memory_peak().unwrap_or(0);
    server.stop().await?;
    let words = [OsStr::new("verify"), OsStr::new("--redecide"), OsStr::new("--data"), folder.path().as_os_str()];
    server::output_of(&words).await?;

    let entries = entries_of(folder.path()).await?;
    let rate = |name: &str, count: u64, took: Duration| Measure {
        name: name.to_owned(),
        per_second: count as f64 / took.as_secs_f64(),
        p50_ms: None,
        p99_ms: None,
    };
    let results = vec![rate("made", made.entries, making), rate("orders", orders, ordering)];
    let bytes = Some(Bytes::on_disk(disk::bytes_of(folder.path())?, entries));
    let memory = Some(Memory { ready_s, ready_bytes, ready_peak_bytes, peak_bytes, samples });
    Ok(Report { bytes, memory, ..Report::new("soak", results, machine) })
}

/// A ledger that was made, and its first order.
struct Made {
    accounts: usize,
    entries: u64,
    first: OrderId,
}

/// A clock moved by hand.
struct Moved(watch::Sender<Timestamp>);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }
    fn reach(&self, at: Timestamp) -> BoxFuture<'_, ()> {
        let mut moves = self.0.subscribe();
        Box::pin(async move {
            // The sender is in `self`, so it is there.
            drop(moves.wait_for(|now| *now >= at).await.map(drop));
        })
    }
}

fn make_log(folder: &Path, scale: u32) -> Result<Made, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let today = clock::now().date();
        let clock = Arc::new(Moved(watch::Sender::new(today.plus_days(-DAYS).start())));
        let log = wire::open_to_write(folder, None, None).await?;
        let mut config = commands::Config::new(Arc::clone(&clock) as Arc<dyn Clock>);
        config.calendar = CalendarMode::AlwaysOpen;
        config.account_commands_per_second = None;
        config.wait = Duration::from_secs(READY_S_MAX);
        config.snapshots = wire::open_snapshots(folder, &*log).await;
        // As a server would: views follow and are saved.
        let port = log.port();
        let views = Views::new(port.partitions(Topic::Ledger), port.partitions(Topic::Market));
        let worker = match &config.snapshots {
            Some(store) => {
                let saving = Saving { store: Arc::clone(store), entries: config.snapshot_entries as u64 };
                projections::follow_saved(Arc::clone(&port), Arc::clone(&views), saving).await?
            }
            None => return Err(Error::Usage("the folder takes no snapshots".to_owned())),
        };
        let running = commands::start(port, config).await?;
        let accounts = (ACCOUNTS / scale as usize).max(1);
        let maker = Maker { desk: Arc::clone(&running.desk), by: by(), clock, accounts };
        maker.list_market().await?;
        maker.open_accounts().await?;
        let orders = (ENTRIES / u64::from(scale) / ENTRIES_PER_ORDER / DAYS.unsigned_abs() as u64).max(1);
        let mut first = None;
        let mut progress = Progress::new(DAYS.unsigned_abs().into(), "days");
        for day in 0..DAYS {
            maker.clock.0.send_replace(today.plus_days(day - DAYS).start().plus_micros(1));
            quiet(&*log).await?;
            let day_first = maker.day(day, usize::try_from(orders).unwrap_or(usize::MAX)).await?;
            first = first.or(day_first);
            progress.reach(day.unsigned_abs().into());
        }
        maker.clock.0.send_replace(clock::now());
        quiet(&*log).await?;
        progress.finish();
        drop(maker);
        running.stop().await;
        let tail = log.tail(Topic::Ledger, 0).await?;
        let reached = |position: &Position| position.next(Topic::Ledger, 0).is_some_and(|next| next >= tail);
        let mut position = views.watch();
        position.wait_for(reached).await.map_err(|_| Error::Server("the views stopped".to_owned()))?;
        drop(position);
        worker.stop().await;
        let entries = log.tail(Topic::Ledger, 0).await?;
        log.close().await;
        let first = first.ok_or_else(|| Error::NotClean("no order was made".to_owned()))?;
        Ok(Made { accounts, entries, first })
    })
}

/// Waits until what the clock made due is done: until the log grows no more.
async fn quiet(log: &dyn event_log::EventLog) -> Result<(), Error> {
    let mut before = u64::MAX;
    loop {
        let tail = log.tail(Topic::Ledger, 0).await?;
        if tail == before {
            return Ok(());
        }
        before = tail;
        tokio::time::sleep(Duration::from_millis(QUIET_MS)).await;
    }
}

/// A client, as whom the first key is sent again over HTTP.
fn by() -> Arc<By> {
    Arc::new(By { subject: "bench".into(), role: Submitter::Client, session: None, origin: None, algo_id: None })
}

fn name(number: usize) -> String {
    format!("S{number:06}")
}

fn id(text: &str) -> CommandId {
    CommandId::new(text).expect("a bench's ids are short and visible")
}

fn price() -> Price {
    Price::parse(PRICE).expect("a bench's price is one")
}

struct Maker {
    desk: Arc<Desk>,
    by: Arc<By>,
    clock: Arc<Moved>,
    accounts: usize,
}

impl Maker {
    async fn list_market(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let mut facts = Vec::new();
        for number in 0..INSTRUMENTS {
            let text = instrument(number);
            let instrument = text.parse().expect("a bench's instrument is one");
            facts.push(Fact::from(Instrument {
                instrument,
                isin: None,
                symbol: text[4..].parse().expect("its symbol"),
                exchange: "NSE".parse().expect("an exchange"),
                series: "EQ".parse().expect("a series"),
                tick_size: Some(Price::from_smallest(500)),
                band_percent: None,
                from: None,
                corrects: None,
            }));
            facts.push(Fact::from(LastPrice { instrument, last: price(), at: now }));
        }
        let submission = |(number, fact)| FactSubmission {
            id: id(&format!("fact-{number}")),
            by: Arc::clone(&self.by),
            fact,
            request_id: None,
            issued_at: now,
            traceparent: None,
        };
        let answers = self.desk.submit_facts(facts.into_iter().enumerate().map(submission).collect()).await;
        answers.iter().try_for_each(|answer| accepted(answer).map(drop))
    }

    async fn open_accounts(&self) -> Result<(), Error> {
        let all: Vec<usize> = (0..self.accounts).collect();
        for accounts in all.chunks(TOGETHER) {
            self.each(accounts, |_| "open".to_owned(), |_| account::Open {}.into()).await?;
            let amount = Money::from_smallest(10_000_000_000_000);
            self.each(accounts, |_| "deposit".to_owned(), |_| cash::Deposit { amount }.into()).await?;
        }
        Ok(())
    }

    /// One day's orders, each filled at once; gives the id of the first.
    async fn day(&self, day: i32, orders: usize) -> Result<Option<OrderId>, Error> {
        let start = day.unsigned_abs() as usize * orders;
        let numbers: Vec<usize> = (start..start + orders).collect();
        let mut first = None;
        for numbers in numbers.chunks(TOGETHER) {
            let accounts: Vec<usize> = numbers.iter().map(|number| number % self.accounts).collect();
            let now = self.clock.now();
            let placed = self.each(&accounts, |at| format!("place-{}", numbers[at]), |at| place(accounts[at])).await?;
            let ids: Vec<OrderId> = placed.iter().map(order_of).collect::<Result<_, _>>()?;
            let fill = |at: usize| {
                let trade_id = format!("T{}", numbers[at]).parse().expect("a trade id");
                let (order_id, quantity, price) = (ids[at], Quantity::new(10), price());
                Fill { order_id, trade_id, quantity, price, executed_at: now, instrument: None, side: None }.into()
            };
            self.each(&accounts, |at| format!("fill-{}", numbers[at]), fill).await?;
            first = first.or(ids.first().copied());
        }
        Ok(first)
    }

    /// One command for each of the accounts, handed over together.
    async fn each(
        &self,
        accounts: &[usize],
        key: impl Fn(usize) -> String,
        command: impl Fn(usize) -> Command,
    ) -> Result<Vec<Answer>, Error> {
        let issued_at = self.clock.now();
        let submission = |(at, number): (usize, &usize)| Submission {
            account: name(*number).parse::<AccountId>().expect("a bench's account is one"),
            id: id(&key(at)),
            by: Arc::clone(&self.by),
            command: command(at),
            request_id: None,
            min_market: None,
            min_position: None,
            issued_at,
            traceparent: None,
        };
        let answers = self.desk.submit_all(accounts.iter().enumerate().map(submission).collect()).await;
        answers.iter().try_for_each(|answer| accepted(answer).map(drop))?;
        Ok(answers)
    }
}

fn place(number: usize) -> Command {
    Place {
        instrument: instrument(number % INSTRUMENTS).parse().expect("a bench's instrument is one"),
        side: Side::Buy,
        quantity: Quantity::new(10),
        order_type: OrderType::Limit,
        price: Some(price()),
        product: Product::Cnc,
        validity: Validity::Day,
        market_protection: None,
        trigger_price: None,
        disclosed_quantity: None,
        tag: None,
        algo_id: None,
    }
    .into()
}

fn accepted(answer: &Answer) -> Result<&OutcomeResult, Error> {
    match answer {
        Answer::Answered(answered) if matches!(answered.outcome.result, OutcomeResult::Accepted { .. }) => {
            Ok(&answered.outcome.result)
        }
        other => Err(Error::NotClean(format!("making the log: {other:?}"))),
    }
}

fn order_of(answer: &Answer) -> Result<OrderId, Error> {
    match accepted(answer)? {
        OutcomeResult::Accepted { order_id: Some(order_id), .. } => Ok(*order_id),
        other => Err(Error::NotClean(format!("an order without an id: {other:?}"))),
    }
}

/// The first order again: the same answer, as a repeat.
async fn first_answer(server: &Server, minter: &Minter, made: &Made) -> Result<(), Error> {
    let token = minter.mint(Role::Client, &[made.first.account])?;
    let client = Client::new(&format!("http://{}", server.address), &token)?;
    let body = json!({
        "instrument": instrument(0), "side": "buy", "quantity": 10, "type": "limit", "price": PRICE,
        "product": "CNC", "validity": "DAY",
    });
    let path = format!("accounts/{}/orders", made.first.account);
    let answer = client.post(&path, Some("place-0"), &body).await?;
    if answer.replayed && answer.body["order_id"] == made.first.to_string() {
        return Ok(());
    }
    let Made { first, .. } = made;
    Err(Error::NotClean(format!("the key of {first} was answered {} {}", answer.status, answer.body)))
}

/// Places orders in batches while memory is looked at: each sample holds seconds, orders so far and bytes.
async fn order_on(
    server: &Server,
    minter: &Minter,
    accounts: usize,
    orders: u64,
) -> Result<Vec<(u64, u64, u64)>, Error> {
    let batches = orders.div_ceil(BATCH_ORDERS as u64);
    let next = std::cell::Cell::new(0);
    let (mut samples, began) = (Vec::new(), Instant::now());
    let ask = async || -> Result<(), Error> {
        let mut connection = Connection::open(server.address).await?;
        while next.get() < batches {
            let batch = next.replace(next.get() + 1);
            let active = (accounts / ACCOUNTS_TO_ACTIVE).max(1);
            let number = usize::try_from(batch).unwrap_or(0) % active;
            let token = minter.mint(Role::Client, &[name(number).parse().expect("a bench's account is an account")])?;
            let request = batch_request(batch, number, &token);
            let answer = connection.ask(&request).await?;
            let created = super::load::occurrences(answer.body, b"\"status\":201");
            if answer.status != 200 || created != BATCH_ORDERS {
                let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(400)]);
                return Err(Error::Server(format!("a batch was answered {} {body}", answer.status)));
            }
        }
        Ok(())
    };
    let asking = try_join_all((0..CONNECTIONS).map(|_| ask()));
    tokio::pin!(asking);
    let mut tick = tokio::time::interval(Duration::from_millis(SAMPLE_MS));
    loop {
        tokio::select! {
            asked = &mut asking => {
                asked?;
                break;
            }
            _ = tick.tick() => {
                let done = next.get() * BATCH_ORDERS as u64;
                samples.push((began.elapsed().as_secs(), done, server.memory().unwrap_or(0)));
            }
        }
    }
    samples.push((began.elapsed().as_secs(), orders, server.memory().unwrap_or(0)));
    Ok(samples)
}

fn batch_request(batch: u64, number: usize, token: &str) -> Vec<u8> {
    let order = |at: usize| {
        format!(
            r#"{{"key":"on-{batch}-{at}","instrument":"{}","side":"buy","quantity":1,"type":"limit","price":"{PRICE}","product":"CNC","validity":"DAY"}}"#,
            instrument(number % INSTRUMENTS)
        )
    };
    let orders: Vec<String> = (0..BATCH_ORDERS).map(order).collect();
    let body = format!(r#"{{"orders":[{}]}}"#, orders.join(","));
    http::post(&format!("/v1/accounts/{}/orders/batch", name(number)), token, &format!("batch-{batch}"), &body)
}

async fn entries_of(folder: &Path) -> Result<u64, Error> {
    let log = wire::open_to_read(folder).await?;
    let mut entries = 0;
    for topic in Topic::ALL {
        for partition in 0..log.partitions(topic) {
            entries += log.tail(topic, partition).await?;
        }
    }
    log.close().await;
    Ok(entries)
}
