//! `bahi replay`: folds the log cold and says what came out: a hash for each view, and how fast it went.
#![expect(clippy::float_arithmetic, reason = "seconds and rates are measurements, not amounts")]

use crate::{error::Error, out, product, progress::Progress, source::Source};
use domain::{ids::AccountId, time::Timestamp};
use projections::{Replay, Until};
use serde_json::json;
use std::time::Instant;

const EXAMPLES: &str = "\
Examples:
  bahi replay --data ./ledger
  bahi replay --data ./ledger --until 41                        up to and with that offset
  bahi replay --data ./ledger --until 2026-11-23T15:30:00+05:30  as recorded by then
  bahi replay --data ./ledger --account ACC1 --json

It reads beside a running server. Equal hashes mean equal rows, wherever they were folded.";

/// Fold the log from its beginning and print each view's state hash
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    source: Source,
    /// An offset, or a time with its offset from UTC; the end unless told
    #[arg(long, value_name = "OFFSET or TIME", value_parser = until)]
    until: Option<Until>,
    /// Only this account
    #[arg(long)]
    account: Option<AccountId>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

fn until(text: &str) -> Result<Until, String> {
    if !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit()) {
        return text.parse().map(Until::Offset).map_err(|_| "is too large for an offset".to_owned());
    }
    Timestamp::parse(text).map(Until::Time).map_err(|why| format!("must be an offset, or a time: {why}"))
}

/// Folds and prints.
///
/// # Errors
/// When the log cannot be read or contradicts itself, or a view cannot fold an entry.
pub fn run(args: Args) -> Result<(), Error> {
    let started = Instant::now();
    let replayed = product::runtime()?.block_on(async {
        let log = args.source.open().await?;
        let replay = Replay {
            until: args.until.unwrap_or_default(),
            accounts: args.account.map(|account| [account].into()),
            threads: None,
        };
        let mut bar = Progress::new(0, "records");
        let replayed = projections::replay(log.port(), replay, |done| bar.reach_of(done.records, done.of)).await?;
        bar.finish();
        Ok::<_, Error>(replayed)
    })?;
    let state = replayed.views.state_hashes();
    let (seconds, cpu_seconds) = (started.elapsed().as_secs_f64(), cpu_seconds());
    let entries = replayed.entries + replayed.facts;
    let (per_second, per_core) = (entries as f64 / seconds, entries as f64 / cpu_seconds);
    if args.json {
        let views: serde_json::Map<String, serde_json::Value> =
            state.hashes.iter().map(|(view, hash)| ((*view).to_owned(), hex(hash).into())).collect();
        let line = json!({
            "position": state.position.to_string(),
            "entries": entries, "claims": replayed.claims, "dead": replayed.dead, "bytes": replayed.bytes,
            "seconds": seconds, "cpu_seconds": cpu_seconds,
            "per_second": per_second, "per_second_and_core": per_core,
            "views": views,
        });
        out::say(&line.to_string())?;
    } else {
        for (view, hash) in &state.hashes {
            out::say(&format!("{view:<12} {}", hex(hash)))?;
        }
        out::say(&format!(
            "{entries} entries in {seconds:.2} s, {per_second:.0} per second, {per_core:.0} per second and core; {} claims, {} dead",
            replayed.claims, replayed.dead
        ))?;
    }
    // The end of the process gives all rows back at once.
    std::mem::forget(replayed);
    match state.stops.into_iter().next() {
        Some(stop) => Err(projections::Error::from(stop).into()),
        None => Ok(()),
    }
}

/// Processor time of this process so far.
pub fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Bytes as lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn until_is_an_offset_or_a_time() {
        assert_eq!(until("41"), Ok(Until::Offset(41)));
        let time = Timestamp::parse("2026-11-23T15:30:00+05:30").expect("a time");
        assert_eq!(until("2026-11-23T15:30:00+05:30"), Ok(Until::Time(time)));
        for wrong in ["", "-1", "yesterday", "99999999999999999999", "2026-11-23"] {
            assert!(until(wrong).is_err(), "{wrong}");
        }
    }
}
