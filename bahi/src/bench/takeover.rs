//! `bahi bench takeover`: how long until partitions with millions of entries, of the ledger and of the market, are served
//! again, after a start of a writer and after one was killed. The log is made by a writer over requests, with snapshots, as
//! it is in a cluster.
#![expect(clippy::float_arithmetic, reason = "times are measurements, not amounts")]

use super::{
    Bench, bytes, disk,
    machine::Machine,
    making::by,
    place::Place,
    population,
    report::{Bytes, Measure, Report},
    server::{self, Server},
};
use crate::{
    clock::{self, SystemClock},
    error::Error,
    progress::Progress,
};
use commands::{Answer, By, Desk, FactSubmission, OutcomeResult, Submission};
use domain::{
    account,
    calendar::CalendarMode,
    cash,
    command::Command,
    ids::{AccountId, CommandId, InstrumentId},
    market::{Fact, Instrument, LastPrice},
    money::{Money, Price},
    time::Timestamp,
};
use event_log::{
    EventLog, Topic,
    kafka::Kafka,
    postgres::Database,
    snapshot::{self, SnapshotStore},
};
use futures::future::try_join_all;
use std::{
    ffi::OsStr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// Entries and accounts, in whole.
const ENTRIES: usize = 10_000_000;
const ACCOUNTS: usize = 100_000;
/// Instruments whose live prices the market holds, in whole.
const INSTRUMENTS: usize = 10_000;
/// Commands of one hand-over, and hand-overs under way at once.
const TOGETHER: usize = 1_000;
const HAND_OVERS: usize = 4;
/// Longest wait for any answer while the log is made, and for a writer to serve: far over any bar.
const WAIT: Duration = Duration::from_secs(120);
/// What is promised of ten million entries.
const SERVES_MAX: Duration = Duration::from_secs(10);
/// How often a writer is asked whether it serves, and a command is sent again.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// Connections to the database.
const CONNECTIONS: u32 = 16;

/// Measures.
///
/// # Errors
/// When brokers or database cannot be used, a command is refused, or nobody serves in time.
pub async fn run(bench: &Bench, scale: u32, market_entries: usize) -> Result<Report, Error> {
    let place = Place::of(bench)?;
    let folder = disk::folder(&bench.parent)?;
    let machine = Machine::look(folder.path())?;
    let path = folder.path().to_owned();
    let measured = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let size = Size::of(scale.max(1) as usize, market_entries);
        runtime.block_on(place.with(1, async |url| measure(&place, url, &path, &size).await))
    });
    let (results, told, bytes) = measured.await.map_err(|why| Error::Usage(format!("it ended badly: {why}")))??;
    told.iter().for_each(|line| bench.tell(line));
    Ok(Report { bytes: Some(bytes), ..Report::new("takeover", results, machine) })
}

/// How much there is of what.
struct Size {
    entries: usize,
    accounts: usize,
    market_entries: usize,
    instruments: usize,
}

impl Size {
    fn of(scale: usize, market_entries: usize) -> Self {
        let part = |whole: usize| (whole / scale).max(1);
        let (entries, accounts) = (ENTRIES / scale, part(ACCOUNTS));
        Self { entries, accounts, market_entries: market_entries / scale, instruments: part(INSTRUMENTS) }
    }
}

type Measured = (Vec<Measure>, Vec<String>, Bytes);

async fn measure(place: &Place, url: &str, data: &Path, size: &Size) -> Result<Measured, Error> {
    let began = Instant::now();
    let (made, made_of_market) = make(place, url, size).await?;
    let making = began.elapsed();
    let mut told = vec![format!(
        "{made} entries of {} accounts and {made_of_market} of the market made in {:.0} s",
        size.accounts,
        making.as_secs_f64()
    )];
    let mut results = vec![Measure {
        name: "made".to_owned(),
        per_second: made as f64 / making.as_secs_f64(),
        p50_ms: None,
        p99_ms: None,
    }];
    let mut longest = Duration::ZERO;
    let mut serves = |name: &str, entries: u64, took: Duration| {
        longest = longest.max(took);
        let per_second = entries as f64 / took.as_secs_f64();
        results.push(Measure {
            name: name.to_owned(),
            per_second,
            p50_ms: Some(took.as_secs_f64() * 1_000.0),
            p99_ms: None,
        });
    };

    let began = Instant::now();
    let first = Server::start_role("writer", data, place, url).await?;
    let kafka = Arc::new(Kafka::open(&place.brokers, &place.name).await?);
    let log: Arc<dyn EventLog> = Arc::clone(&kafka) as _;
    let remote =
        commands::remote::open(Arc::clone(&log), kafka.requests()?, config(&Store::open(url, &kafka).await?)).await?;
    let teller = Teller { desk: Arc::clone(&remote.desk), by: by() };
    teller.insist("after-start", began).await?;
    serves("after_start", made, began.elapsed());
    teller.insist_on_fact("fact-after-start", began).await?;
    serves("market_after_start", made_of_market, began.elapsed());
    let memory = |server: &Server| server.memory().unwrap_or(0) >> 20;
    told.push(format!("a writer that was started serves with {} MB", memory(&first)));

    // Whoever takes over stands by, let into the group: how long a start takes is measured above.
    let second = Server::start_role("writer", data, place, url).await?;
    second.ready(WAIT).await?;
    teller.insist("beside", Instant::now()).await?;
    let began = Instant::now();
    first.kill().await?;
    teller.insist("after-kill-1", began).await?;
    let one = began.elapsed();
    // The group had given the partition to one of the two: whichever had it was killed in one of the cases.
    let third = Server::start_role("writer", data, place, url).await?;
    third.ready(WAIT).await?;
    teller.insist("beside-again", Instant::now()).await?;
    let began = Instant::now();
    second.kill().await?;
    teller.insist("after-kill-2", began).await?;
    serves("after_kill", made, one.max(began.elapsed()));
    told.push(format!("the writer that took over serves with {} MB", memory(&third)));

    if longest > SERVES_MAX {
        return Err(Error::NotClean(format!("served after {:.1} s", longest.as_secs_f64())));
    }
    // The first key of all still has its first answer, long after it left every memory.
    let again = teller.open(0).await;
    if !matches!(&again, Answer::Answered(answered) if answered.replayed) {
        return Err(Error::NotClean(format!("the first key is answered anew: {again:?}")));
    }
    drop(remote);
    kafka.close();
    third.stop().await?;
    let words: Vec<&OsStr> = ["verify"].into_iter().chain(place.flags()).map(OsStr::new).collect();
    server::output_of(&words).await?;
    Ok((results, told, bytes::of_last(place).await?))
}

/// Snapshots in the database.
struct Store(Arc<dyn SnapshotStore>);

impl Store {
    async fn open(url: &str, kafka: &Kafka) -> Result<Store, Error> {
        let database = Database::open(url, CONNECTIONS).await?;
        Ok(Store(Arc::new(snapshot::postgres::Postgres::new(database, kafka.requests()?.id()))))
    }
}

fn config(store: &Store) -> commands::Config {
    let mut config = commands::Config::new(Arc::new(SystemClock));
    config.calendar = CalendarMode::AlwaysOpen;
    config.account_commands_per_second = None;
    config.wait = WAIT;
    config.snapshots = Some(Arc::clone(&store.0));
    config
}

/// Has a writer of this process answer so many prices and deposits, and leaves it as a crash would. Where both partitions end.
async fn make(place: &Place, url: &str, size: &Size) -> Result<(u64, u64), Error> {
    let kafka = Arc::new(Kafka::open(&place.brokers, &place.name).await?);
    let (log, store): (Arc<dyn EventLog>, _) = (Arc::clone(&kafka) as _, Store::open(url, &kafka).await?);
    let all = Topic::ALL.into_iter().map(|topic| (topic, 0)).collect();
    let (_given, given) = watch::channel(all);
    let writing = commands::write(Arc::clone(&log), kafka.requests()?, config(&store), given).await?;
    let remote = commands::remote::open(Arc::clone(&log), kafka.requests()?, config(&store)).await?;
    let teller = Teller { desk: Arc::clone(&remote.desk), by: by() };
    teller.insist("ready", Instant::now()).await?;
    let hand_overs = |entries: usize| (0..entries.div_ceil(TOGETHER)).collect::<Vec<_>>();
    let mut progress = Progress::new((size.market_entries + size.entries) as u64, "entries");
    for some in hand_overs(size.market_entries).chunks(HAND_OVERS) {
        // One after the other: an instrument is listed before it has a price.
        for number in some {
            teller.hand_over_facts(*number, size.instruments).await?;
        }
        progress.reach((some[0] * TOGETHER) as u64);
    }
    for some in hand_overs(size.entries).chunks(HAND_OVERS) {
        try_join_all(some.iter().map(|number| teller.hand_over(*number, size.accounts))).await?;
        progress.reach((size.market_entries + some[0] * TOGETHER) as u64);
    }
    progress.finish();
    let tails = (log.tail(Topic::Ledger, 0).await?, log.tail(Topic::Market, 0).await?);
    drop((writing, remote));
    kafka.close();
    Ok(tails)
}

struct Teller {
    desk: Arc<Desk>,
    by: Arc<By>,
}

impl Teller {
    fn submission(&self, id: String, account: usize, command: Command) -> Submission {
        Submission {
            account: AccountId::new(&population::account(account)).expect("a bench's account is an account"),
            id: CommandId::new(&id).expect("a bench's ids are short and visible"),
            by: Arc::clone(&self.by),
            command,
            request_id: None,
            min_market: None,
            min_position: None,
            issued_at: clock::now(),
            traceparent: None,
        }
    }

    /// Opens accounts first, and then deposits into each in turn.
    async fn hand_over(&self, number: usize, accounts: usize) -> Result<(), Error> {
        let submission = |at: usize| match at < accounts {
            true => self.submission(format!("open-{at}"), at, account::Open {}.into()),
            false => {
                let amount = Money::from_smallest(100);
                self.submission(format!("deposit-{at}"), at % accounts, cash::Deposit { amount }.into())
            }
        };
        let from = number * TOGETHER;
        let answers = self.desk.submit_all((from..from + TOGETHER).map(submission).collect()).await;
        answers.iter().try_for_each(accepted)
    }

    async fn open(&self, number: usize) -> Answer {
        self.desk.submit(self.submission(format!("open-{number}"), number, account::Open {}.into())).await
    }

    /// Lists instruments first, and then gives each a live price in turn.
    async fn hand_over_facts(&self, number: usize, instruments: usize) -> Result<(), Error> {
        let from = number * TOGETHER;
        let facts = (from..from + TOGETHER).map(|at| match at < instruments {
            true => self.fact(&format!("list-{at}"), listing(at)),
            false => self.fact(&format!("price-{at}"), price(at % instruments, at)),
        });
        self.desk.submit_facts(facts.collect()).await.iter().try_for_each(accepted)
    }

    fn fact(&self, id: &str, fact: Fact) -> FactSubmission {
        let id = CommandId::new(id).expect("a bench's ids are short and visible");
        FactSubmission {
            id,
            by: Arc::clone(&self.by),
            fact,
            request_id: None,
            issued_at: clock::now(),
            traceparent: None,
        }
    }

    /// Sends one live price, again and again under its key, until it is answered.
    async fn insist_on_fact(&self, id: &str, began: Instant) -> Result<(), Error> {
        let submission = self.fact(id, price(0, 1 << 49));
        while began.elapsed() < WAIT {
            match tokio::time::timeout(WAIT, self.desk.submit_fact(submission.clone())).await {
                Ok(Answer::Answered(_)) => return Ok(()),
                _ => tokio::time::sleep(ASK_EVERY).await,
            }
        }
        Err(Error::NotClean(format!("nobody wrote the market within {} s", WAIT.as_secs())))
    }

    /// Sends one command, again and again under its key, until it is answered.
    async fn insist(&self, id: &str, began: Instant) -> Result<(), Error> {
        let number = population::ACCOUNTS + ACCOUNTS;
        let submission = self.submission(id.to_owned(), number, account::Open {}.into());
        while began.elapsed() < WAIT {
            let asked = tokio::time::timeout(WAIT, self.desk.submit(submission.clone())).await;
            match asked {
                // It is opened once; whatever comes later about it is refused, which is an answer too.
                Ok(Answer::Answered(_)) => return Ok(()),
                _ => tokio::time::sleep(ASK_EVERY).await,
            }
        }
        Err(Error::NotClean(format!("nobody served within {} s", WAIT.as_secs())))
    }
}

fn instrument(number: usize) -> InstrumentId {
    InstrumentId::new(&format!("NSE:BENCH{number}")).expect("a bench's instrument is an instrument")
}

fn listing(number: usize) -> Fact {
    let (symbol, exchange, series) = ("BENCH", "NSE", "EQ");
    let listing = Instrument {
        instrument: instrument(number),
        isin: None,
        symbol: symbol.parse().expect("a symbol"),
        exchange: exchange.parse().expect("an exchange"),
        series: series.parse().expect("a series"),
        tick_size: Some(Price::from_smallest(5)),
        band_percent: None,
        from: None,
        corrects: None,
    };
    listing.into()
}

/// No two at one time.
fn price(number: usize, at: usize) -> Fact {
    let at = i64::try_from(at).expect("a bench is not that long");
    let last = Price::from_smallest(100 + at % 10_000);
    LastPrice { instrument: instrument(number), last, at: Timestamp::from_micros(at) }.into()
}

fn accepted(answer: &Answer) -> Result<(), Error> {
    match answer {
        Answer::Answered(answered) if matches!(answered.outcome.result, OutcomeResult::Accepted { .. }) => Ok(()),
        other => Err(Error::NotClean(format!("making the log: {other:?}"))),
    }
}
