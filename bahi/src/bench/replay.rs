//! `bahi bench replay`: a cold replay as its own process, over a log that the real writer made.
#![expect(clippy::float_arithmetic, reason = "rates are measurements, not amounts")]

use super::{
    Bench, disk,
    machine::Machine,
    making,
    report::{Bytes, Measure, Report},
    server,
};
use crate::{error::Error, wire};
use serde::Deserialize;
use std::{ffi::OsStr, path::Path, time::Instant};

/// Rounds of one order and one allotment; six entries each.
const ROUNDS: usize = 200_000;

/// What `bahi replay --json` says of itself.
#[derive(Deserialize)]
struct Replayed {
    entries: u64,
    claims: u64,
    dead: u64,
    cpu_seconds: f64,
}

/// Measures.
///
/// # Errors
/// When the folder is not on a disk, the log cannot be made, or it does not verify.
pub async fn run(bench: &Bench) -> Result<Report, Error> {
    let folder = disk::folder(&bench.parent)?;
    let machine = Machine::look(folder.path())?;
    let path = folder.path().to_owned();
    let entries = tokio::task::spawn_blocking(move || make_log(&path))
        .await
        .map_err(|why| Error::Usage(format!("making the log ended badly: {why}")))??;
    bench.tell(&format!("{entries} entries made"));
    let bytes = Some(Bytes::on_disk(disk::bytes_of(folder.path())?, entries));
    let data = [OsStr::new("--data"), folder.path().as_os_str()];
    let started = Instant::now();
    let text = server::output_of(&[OsStr::new("replay"), data[0], data[1], OsStr::new("--json")]).await?;
    let wall = started.elapsed();
    let replayed: Replayed = serde_json::from_str(text.trim())
        .map_err(|why| Error::Server(format!("bahi replay --json printed something else: {why}")))?;
    let records = replayed.entries + replayed.claims + replayed.dead;
    if records != entries {
        return Err(Error::NotClean(format!("{records} records replayed, {entries} were made")));
    }
    server::output_of(&[OsStr::new("verify"), OsStr::new("--redecide"), data[0], data[1]]).await?;
    let measure = |name: &str, seconds: f64| Measure {
        name: name.to_owned(),
        per_second: entries as f64 / seconds,
        p50_ms: None,
        p99_ms: None,
    };
    let results =
        vec![measure("cold_replay", wall.as_secs_f64()), measure("cold_replay_per_core", replayed.cpu_seconds)];
    Ok(Report { bytes, ..Report::new("replay", results, machine) })
}

/// Makes the log and gives the number of its records.
fn make_log(folder: &Path) -> Result<u64, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let log = wire::open_to_write(folder, None, None).await?;
        making::make(log.port(), ROUNDS).await
    })
}
