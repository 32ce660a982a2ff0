//! `bahi bench`: named measurements in a folder on disk that is made and removed; decides no bar.

mod log;
mod orders;
mod query;
mod replay;
mod soak;

mod conditions;
mod disk;
mod http;
mod load;
mod population;
mod report;
mod server;
mod zipf;

use crate::{error::Error, out};
use std::{path::PathBuf, time::Duration};

/// A bench that has not ended by then has failed: every one is made to end within it.
const BENCH_S_MAX: u64 = 120;
/// A whole soak makes and folds millions of entries several times.
const SOAK_S_MAX: u64 = 3_600;

/// What there is to measure, and in which words.
const BENCHES: [(&str, &str); 5] = [
    ("log", "durable appends through the port: 256 writers, 600-byte values"),
    ("orders", "durable orders over HTTP: one by one (zipf, uniform, open loop), in batches of 100"),
    ("replay", "cold replay from process start, all views folded and hashed"),
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
  bahi bench soak --scale 100 a hundredth of the soak, which takes some 15 minutes in whole

The server and the load share this machine. Nothing is limited per account, tokens are
verified, each append is synced, only what succeeded counts, and the ledger is verified at the end.";

/// Measure: log, orders, replay, query or soak; without a name, list them
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
    /// Of `log`: append to these brokers, not to a folder
    #[arg(long, value_name = "HOST:PORT")]
    brokers: Option<String>,
    /// Of a soak, one part in so many
    #[arg(long, value_name = "N", default_value_t = 1)]
    scale: u32,
}

/// What a bench is told.
pub struct Bench {
    /// Where its folder is made.
    parent: PathBuf,
    json: bool,
    /// Brokers to append to in place of a folder.
    brokers: Option<String>,
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
        let rows: Vec<Vec<String>> = BENCHES.iter().map(|(name, what)| vec![format!("{name:<8}{what}")]).collect();
        return out::table(&["bahi bench NAME"], &rows);
    };
    if cfg!(debug_assertions) {
        out::complain("this is a debug build: its figures say nothing; build with --release");
    }
    if args.brokers.is_some() && name != "log" {
        return Err(Error::Usage("--brokers is for `bahi bench log`; the others measure a folder".to_owned()));
    }
    let bench = Bench { parent: args.dir, json: args.json, brokers: args.brokers };
    // One thread: the load must leave the processors to what is measured; `log` and `replay` make their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let limit_s = if name == "soak" { SOAK_S_MAX } else { BENCH_S_MAX };
    let report = runtime.block_on(async {
        let work = async {
            match name.as_str() {
                "log" => log::run(&bench).await,
                "orders" => orders::run(&bench).await,
                "replay" => replay::run(&bench).await,
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
