//! `bahi tail`: entries as lines that a person can read, the last ones and those that come; changes nothing.

mod lines;
mod sentences;

use crate::{error::Error, out, product, progress::Progress, source::Source};
use domain::{ids::AccountId, time::Date};
use event_log::{
    EventLog, Stored, Topic, partition_of,
    rule::{Reader, Verdict},
};
use event_schemas::{decode_entry, decode_market_entry};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::mpsc;

/// Records read at a time from each partition.
const READ_RECORDS: usize = 2048;
/// Batches that wait to be printed: a slow reader of the lines slows the reading down.
const WAITING_BATCHES_MAX: usize = 1;
/// Entries shown unless asked otherwise: they fit a screen.
const LAST_DEFAULT: &str = "10";
/// Most entries that can be asked for by `--last`, as all are held in memory; `--from` has no such limit.
const LAST_MAX: i64 = 1_000_000;

const EXAMPLES: &str = "\
Examples:
  bahi tail --data ./ledger                      the last 10 entries
  bahi tail --data ./ledger --follow             and those that come, until Ctrl-C
  bahi tail --data ./ledger --account ACC1 --last 50
  bahi tail --data ./ledger --from 0 --json | jq -c .entry.command

It reads beside a running server. Times are India's; a line with a date stands where the day changes.
--from counts in each partition of the ledger; market entries are shown from the same time on.
Entries that the ledger rule calls dead are never shown, so the log is read from its beginning.";

/// Show the last entries of the ledger in words, and follow those that come
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    source: Source,
    /// Only this account's, and none of the market
    #[arg(long)]
    account: Option<AccountId>,
    /// From this offset on
    #[arg(long, value_name = "OFFSET", conflicts_with = "last")]
    from: Option<u64>,
    /// How many of the last
    #[arg(long, value_name = "N", default_value = LAST_DEFAULT, value_parser = clap::value_parser!(u64).range(0..=LAST_MAX as u64))]
    last: u64,
    /// Go on with what is recorded from now on
    #[arg(long, short)]
    follow: bool,
    /// One line of JSON for each entry, as it is stored
    #[arg(long)]
    json: bool,
}

/// Prints, and follows if asked to.
///
/// # Errors
/// When the log cannot be read or contradicts itself.
pub fn run(args: Args) -> Result<(), Error> {
    product::runtime()?.block_on(async {
        let stop = product::stop_signal()?;
        let log = args.source.open().await?;
        tokio::select! {
            done = tail(&args, log.port()) => done,
            () = stop => Ok(()),
            () = out::gone() => Ok(()),
        }
    })
}

async fn tail(args: &Args, log: Arc<dyn EventLog>) -> Result<(), Error> {
    let mut lanes = Lane::all(args.account, &*log).await?;
    let mut printer = Printer { json: args.json, day: None };
    let first = First::new(args.from, &*log).await?;
    let last = usize::try_from(args.last).unwrap_or(usize::MAX);
    let (mut kept, mut bar) = (VecDeque::new(), Progress::new(0, "records"));
    let mut any = false;
    while let Some(seen) = next(&mut lanes, &*log).await? {
        any = true;
        match &first {
            Some(first) if first.is_before(&seen) => {}
            Some(_) => printer.print(&seen)?,
            None => {
                bar.reach_of(
                    lanes.iter().map(|lane| lane.reader.offset).sum(),
                    lanes.iter().map(|lane| lane.end).sum(),
                );
                kept.push_back(seen);
                if kept.len() > last {
                    kept.pop_front();
                }
            }
        }
    }
    bar.finish();
    kept.iter().try_for_each(|seen| printer.print(seen))?;
    match args.account {
        // One that is followed may come yet.
        Some(account) if !any && !args.follow => {
            Err(Error::Usage(format!("{account}: no such account in this ledger")))
        }
        _ if args.follow => follow(lanes, log, printer).await,
        _ => Ok(()),
    }
}

/// What is printed first, when an offset is named.
struct First {
    offset: u64,
    /// When that was recorded, in microseconds: from then on entries of the market are shown too.
    since: i64,
}

impl First {
    async fn new(from: Option<u64>, log: &dyn EventLog) -> Result<Option<First>, Error> {
        let Some(offset) = from else { return Ok(None) };
        let mut since = i64::MAX;
        for partition in 0..log.partitions(Topic::Ledger) {
            let found = log.read_at(Topic::Ledger, partition, vec![offset]).await?;
            since = found.first().map_or(since, |stored| since.min(stored.record.headers.ce_time));
        }
        // From the very beginning there is a market before the first entry of an account.
        Ok(Some(First { offset, since: if offset == 0 { i64::MIN } else { since } }))
    }

    fn is_before(&self, seen: &Seen) -> bool {
        match seen.topic {
            Topic::Ledger => seen.stored.offset < self.offset,
            Topic::Market => seen.stored.record.headers.ce_time < self.since,
        }
    }
}

/// A live entry as it was read.
struct Seen {
    topic: Topic,
    partition: u32,
    stored: Arc<Stored>,
}

/// One partition, read in order.
struct Lane {
    topic: Topic,
    partition: u32,
    account: Option<AccountId>,
    reader: Reader,
    /// Where it ended when reading began.
    end: u64,
    /// Live entries that are read and not given yet.
    ahead: VecDeque<Arc<Stored>>,
}

impl Lane {
    /// The partitions that are asked about.
    async fn all(account: Option<AccountId>, log: &dyn EventLog) -> Result<Vec<Lane>, Error> {
        let mut lanes = Vec::new();
        for topic in Topic::ALL {
            let partitions = log.partitions(topic);
            let asked = match (account, topic) {
                (None, _) => 0..partitions,
                (Some(account), Topic::Ledger) => {
                    let own = partition_of(account.as_str(), partitions);
                    own..own + 1
                }
                (Some(_), Topic::Market) => 0..0,
            };
            for partition in asked {
                let end = log.tail(topic, partition).await?;
                let (reader, ahead) = (Reader::default(), VecDeque::new());
                lanes.push(Lane { topic, partition, account, reader, end, ahead });
            }
        }
        Ok(lanes)
    }

    /// Reads until there is a live entry ahead, or the end.
    async fn fill(&mut self, log: &dyn EventLog) -> Result<(), Error> {
        while self.ahead.is_empty() && self.reader.offset < self.end {
            let batch = log.read(self.topic, self.partition, self.reader.offset, READ_RECORDS).await?;
            if batch.is_empty() {
                return Ok(());
            }
            let live = self.live(batch)?;
            self.ahead.extend(live);
        }
        Ok(())
    }

    /// The live entries of a batch that are asked for.
    fn live(&mut self, batch: Vec<Arc<Stored>>) -> Result<Vec<Arc<Stored>>, Error> {
        let (topic, partition) = (self.topic, self.partition);
        let mut live = Vec::with_capacity(batch.len());
        for stored in batch {
            let folded = self.reader.fold(stored.offset, &stored.record.headers);
            let verdict = folded.map_err(|corruption| projections::Error::Corrupt { topic, partition, corruption })?;
            let asked = self.account.is_none_or(|account| stored.record.key.as_deref() == Some(account.as_str()));
            if verdict == Verdict::Entry && asked {
                live.push(stored);
            }
        }
        Ok(live)
    }

    fn seen(&self, stored: Arc<Stored>) -> Seen {
        Seen { topic: self.topic, partition: self.partition, stored }
    }
}

/// The next entry by the time it was recorded; times never decrease within a partition.
async fn next(lanes: &mut [Lane], log: &dyn EventLog) -> Result<Option<Seen>, Error> {
    for lane in lanes.iter_mut() {
        lane.fill(log).await?;
    }
    // A fact comes before what was decided with it at the same time.
    let time =
        |lane: &Lane| lane.ahead.front().map(|stored| (stored.record.headers.ce_time, lane.topic == Topic::Ledger));
    let earliest = lanes.iter_mut().filter(|lane| !lane.ahead.is_empty()).min_by_key(|lane| time(lane));
    Ok(earliest.and_then(|lane| {
        let stored = lane.ahead.pop_front()?;
        Some(lane.seen(stored))
    }))
}

/// Prints what comes, for ever; the log says how each partition goes on.
async fn follow(lanes: Vec<Lane>, log: Arc<dyn EventLog>, mut printer: Printer) -> Result<(), Error> {
    let (batches, mut read) = mpsc::channel::<Result<Vec<Seen>, Error>>(WAITING_BATCHES_MAX);
    for mut lane in lanes {
        let mut records = log.follow(lane.topic, lane.partition, lane.reader.offset);
        let batches = batches.clone();
        tokio::spawn(async move {
            loop {
                let batch = match records.next().await {
                    Ok(batch) => lane.live(batch),
                    Err(error) => Err(error.into()),
                };
                let batch = batch.map(|live| live.into_iter().map(|stored| lane.seen(stored)).collect());
                let failed = batch.is_err();
                // Who prints has ended, or ends by what failed.
                if batches.send(batch).await.is_err() || failed {
                    return;
                }
            }
        });
    }
    drop(batches);
    while let Some(batch) = read.recv().await {
        batch?.iter().try_for_each(|seen| printer.print(seen))?;
    }
    Ok(())
}

/// How an entry is printed.
struct Printer {
    json: bool,
    day: Option<Date>,
}

/// An entry with its place, its bytes as they are stored.
#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    partition: u32,
    offset: u64,
    entry: &'a RawValue,
}

impl Printer {
    fn print(&mut self, seen: &Seen) -> Result<(), Error> {
        let Seen { topic, partition, stored } = seen;
        let (value, offset) = (&stored.record.value, stored.offset);
        let undecodable = |reason: String| projections::Error::Undecodable {
            topic: *topic,
            partition: *partition,
            offset,
            reason: reason.into(),
        };
        if self.json {
            let entry: &RawValue = serde_json::from_slice(value).map_err(|why| undecodable(why.to_string()))?;
            let line = Line { topic: &topic.to_string(), partition: *partition, offset, entry };
            return out::say(&serde_json::to_string(&line).map_err(|why| undecodable(why.to_string()))?);
        }
        let (at, line) = match topic {
            Topic::Ledger => {
                let entry = decode_entry(value).map_err(|why| undecodable(why.to_string()))?;
                (entry.recorded_at, lines::of_account_entry(&entry))
            }
            Topic::Market => {
                let entry = decode_market_entry(value).map_err(|why| undecodable(why.to_string()))?;
                (entry.recorded_at, lines::of_market_entry(&entry))
            }
        };
        if self.day.replace(at.date()) != Some(at.date()) {
            out::say(&at.date().to_string())?;
        }
        out::say(&line)
    }
}
