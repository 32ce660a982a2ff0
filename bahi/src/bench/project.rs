//! `bahi bench project`: all views into PostgreSQL by one projector, from a log on brokers that the real writer made; then
//! the rebuild of `orders` beside them. Brokers, database and projector share the machine.
#![expect(clippy::float_arithmetic, reason = "rates are measurements, not amounts")]

use super::{
    Bench, bytes, disk,
    machine::Machine,
    making,
    place::Place,
    report::{Bytes, Measure, Report},
    server,
};
use crate::{clock, error::Error, replay::cpu_seconds, wire};
use event_log::{EventLog, kafka::Kafka, postgres::Database};
use projections::{
    Replay, View,
    postgres::{Postgres, Projector, Rebuild, RowsFrom},
};
use std::{
    ffi::OsStr,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

/// Rounds of one order and one allotment; six entries each.
const ROUNDS: usize = 100_000;
/// Partitions of the log: more than there are cores.
const PARTITIONS: u32 = 4;
/// Connections of the projector, as its setting is by default.
const CONNECTIONS: u32 = 16;
/// Longest until all is folded.
const FOLD_WAIT: Duration = Duration::from_secs(300);

/// Measures.
///
/// # Errors
/// When brokers or database cannot be used, what was folded is not what was recorded, or the ledger does not verify.
pub async fn run(bench: &Bench) -> Result<Report, Error> {
    let place = Place::of(bench)?;
    let folder = disk::folder(&bench.parent)?;
    let machine = Machine::look(folder.path())?;
    // The projector uses all processors, so it runs on a runtime of its own.
    let measured = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(place.with(PARTITIONS, async |url| measure_all(&place, url).await))
    });
    let (results, told, bytes) = measured.await.map_err(|why| Error::Usage(format!("it ended badly: {why}")))??;
    told.iter().for_each(|line| bench.tell(line));
    Ok(Report { bytes: Some(bytes), ..Report::new("project", results, machine) })
}

type Measured = (Vec<Measure>, Vec<String>, Bytes);

async fn measure_all(place: &Place, url: &str) -> Result<Measured, Error> {
    let open = async || Ok::<_, Error>(Arc::new(Kafka::open(&place.brokers, &place.name).await?));
    let writing = open().await?;
    let records = making::make(Arc::clone(&writing) as _, ROUNDS).await?;
    writing.close();
    let log: Arc<dyn EventLog> = open().await?;
    let views = Postgres::open(Database::open(url, CONNECTIONS).await?, &*log).await?;
    let (mut results, mut told) = (Vec::new(), vec![format!("{records} records made")]);

    let (started, cpu) = (Instant::now(), cpu_seconds());
    let projector = Projector::start(Arc::clone(&log), views.clone(), Arc::new(clock::now));
    let end = wire::end(&*log).await?;
    if !projector.wait_for(&end, FOLD_WAIT).await {
        return Err(Error::NotClean(format!("not folded within {} s", FOLD_WAIT.as_secs())));
    }
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let written = projector.written();
    let rows = written.rows.load(Ordering::Relaxed);
    results.push(measure("project_entries", records as f64 / seconds));
    results.push(measure("project_rows", rows as f64 / seconds));
    told.push(format!("the projector used {:.2} cores, brokers and database the rest", cpu / seconds));
    projector.stop().await;
    let replayed = projections::replay(Arc::clone(&log), Replay::default(), |_| ()).await?;
    if views.state_hashes().await? != replayed.views.state_hashes() {
        return Err(Error::NotClean("the rows in the database are not those of a cold fold".to_owned()));
    }

    let of_orders: u64 = end.ledger.iter().flatten().sum();
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let mut rebuild = Rebuild::begin(log, &views, View::Orders.name(), &[View::Orders], RowsFrom::LogAnew).await?;
    rebuild.fill(|_| ()).await?;
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    results.push(measure("rebuild_orders", of_orders as f64 / seconds));
    told.push(format!("the rebuild used {:.2} cores", cpu / seconds));
    let compared = Instant::now();
    if !rebuild.compare(|_| ()).await?.is_equal() {
        return Err(Error::NotClean("the rebuilt rows are not the live ones".to_owned()));
    }
    let compared = compared.elapsed().as_secs_f64();
    let pause = rebuild.switch().await?.pause.as_secs_f64() * 1_000.0;
    told.push(format!("compared in {compared:.1} s without holding anybody up, switched in {pause:.0} ms"));
    let words: Vec<&OsStr> = ["verify"].into_iter().chain(place.flags()).map(OsStr::new).collect();
    server::output_of(&words).await?;
    Ok((results, told, bytes::of_all(place).await?))
}

fn measure(name: &str, per_second: f64) -> Measure {
    Measure { name: name.to_owned(), per_second, p50_ms: None, p99_ms: None }
}
