//! `bahi bench`: named measurements in a folder on disk that is made and removed; decides no bar.

mod cluster;
mod log;
mod orders;
mod project;
mod query;
mod replay;
mod soak;
mod takeover;

mod bytes;
mod conditions;
mod disk;
mod http;
mod load;
mod machine;
mod making;
mod place;
mod population;
mod reader;
mod report;
mod server;
mod zipf;

use crate::{error::Error, out};
use std::{path::PathBuf, time::Duration};

/// A bench that has not ended by then has failed: every one is made to end within it.
const BENCH_S_MAX: u64 = 120;
/// Making a log on brokers, folding it twice and comparing takes longer, on the same two cores.
const PROJECT_S_MAX: u64 = 600;
/// Making ten million entries on brokers takes longer still.
const TAKEOVER_S_MAX: u64 = 2_400;
/// Entries of the market before a takeover, in whole.
const MARKET_ENTRIES: usize = 2_000_000;
/// A whole soak makes and folds millions of entries several times.
const SOAK_S_MAX: u64 = 3_600;

/// What there is to measure, and in which words.
const BENCHES: [(&str, &str); 8] = [
    ("log", "durable appends through the port: 256 writers, 600-byte values"),
    ("orders", "durable orders over HTTP: one by one (zipf, uniform, open loop), in batches of 100"),
    ("replay", "cold replay from process start, all views folded and hashed"),
    ("project", "all views into PostgreSQL by one projector, from brokers; then the rebuild of `orders`"),
    (
        "cluster",
        "durable orders over HTTP through api, brokers, writer and projector as processes, accounts read meanwhile",
    ),
    (
        "takeover",
        "how long until a writer serves 10,000,000 entries in one partition, after 2,000,000 of the market: started, killed",
    ),
    ("query", "portfolio reads over HTTP: 20 holdings, 5 folios, prices moving 100 times a second"),
    ("soak", "5,000,000 entries of 100,000 accounts over 30 days: time to ready, memory over 2,000,000 further orders"),
];

const EXAMPLES: &str = "\
Examples:
  bahi bench                  what there is to measure
  bahi bench orders           a table
  bahi bench replay --json    one line
  bahi bench log --dir /srv   on that disk
  bahi bench log --brokers 127.0.0.1:29092   on a broker, in topics of its own, which stay
  bahi bench project --brokers 127.0.0.1:29092 --postgres-url postgres://bahi@127.0.0.1:25432/bahi
                              in topics and a database of its own, which are removed; so do `cluster` and `takeover`
  bahi bench soak --scale 100 a hundredth of the soak, which takes some 15 minutes in whole

The server and the load share this machine. Nothing is limited per account, tokens are
verified, only what succeeded counts, and the ledger is verified at the end. In a folder each
append is synced to the disk; on brokers each record has one copy, and whether a broker waits
for its disk is its own setting: Kafka's default is not to.";

/// Measure: log, orders, project, cluster, takeover, replay, query or soak; without a name, list them
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to measure
    name: Option<String>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
    /// On which disk: a folder for the bench's own folder, which is removed
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Of `log`: append to these brokers, not to a folder; of `project`, `cluster` and `takeover`: those that hold the log
    #[arg(long, value_name = "HOST:PORT")]
    brokers: Option<String>,
    /// Of `project`, `cluster` and `takeover`: a server, whose role may make databases
    #[arg(long, value_name = "URL", env = "BAHI_POSTGRES_URL", hide_env_values = true)]
    postgres_url: Option<String>,
    /// Of `cluster`: a Redis that accounts are kept in as well
    #[arg(long, value_name = "URL", env = "BAHI_REDIS_URL", hide_env_values = true)]
    redis_url: Option<String>,
    /// Of a soak or a takeover, one part in so many
    #[arg(long, value_name = "N", default_value_t = 1)]
    scale: u32,
    /// Of `takeover`: entries of the market, nearly all of them live prices
    #[arg(long, value_name = "N", default_value_t = MARKET_ENTRIES)]
    market_entries: usize,
}

/// What a bench is told.
pub struct Bench {
    /// Where its folder is made.
    parent: PathBuf,
    json: bool,
    /// Brokers to append to in place of a folder.
    brokers: Option<String>,
    /// A server for a database of its own.
    postgres_url: Option<String>,
    /// A Redis for what it keeps of accounts.
    redis_url: Option<String>,
}

impl Bench {
    fn talks(&self) -> bool {
        !self.json
    }
    /// Says something to a person; nothing where a program reads.
    fn tell(&self, line: &str) {
        if self.talks() {
            out::complain(line);
        }
    }
}

/// Runs the bench named, or lists them.
///
/// # Errors
/// When there is none of that name, or it fails.
pub fn run(args: Args) -> Result<(), Error> {
    let Some(name) = args.name else {
        let rows: Vec<Vec<String>> = BENCHES.iter().map(|(name, what)| vec![format!("{name:<10}{what}")]).collect();
        return out::table(&["bahi bench NAME"], &rows);
    };
    if cfg!(debug_assertions) {
        out::complain("this is a debug build: its figures say nothing; build with --release");
    }
    if args.brokers.is_some() && !["log", "project", "cluster", "takeover"].contains(&name.as_str()) {
        let rule =
            "--brokers is for `bahi bench log`, `project`, `cluster` and `takeover`; the others measure a folder";
        return Err(Error::Usage(rule.to_owned()));
    }
    let Args { dir: parent, json, brokers, postgres_url, redis_url, .. } = args;
    let bench = Bench { parent, json, brokers, postgres_url, redis_url };
    // One thread: the load must leave the processors to what is measured; `log` and `replay` make their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let limit_s = match name.as_str() {
        "soak" => SOAK_S_MAX,
        "project" | "cluster" => PROJECT_S_MAX,
        "takeover" => TAKEOVER_S_MAX,
        _ => BENCH_S_MAX,
    };
    let report = runtime.block_on(async {
        let work = async {
            match name.as_str() {
                "log" => log::run(&bench).await,
                "orders" => orders::run(&bench).await,
                "project" => project::run(&bench).await,
                "cluster" => cluster::run(&bench).await,
                "replay" => replay::run(&bench).await,
                "takeover" => takeover::run(&bench, args.scale, args.market_entries).await,
                "query" => query::run(&bench).await,
                "soak" => soak::run(&bench, args.scale).await,
                other => Err(Error::Usage(format!("no bench is named '{other}'; `bahi bench` lists them"))),
            }
        };
        tokio::select! {
            report = tokio::time::timeout(Duration::from_secs(limit_s), work) => report
                .unwrap_or_else(|_| Err(Error::Usage(format!("{name} did not end within {limit_s} seconds")))),
            _ = tokio::signal::ctrl_c() => Err(Error::Usage("interrupted; the bench's folder is removed".to_owned())),
        }
    })?;
    report.print(bench.json)
}
