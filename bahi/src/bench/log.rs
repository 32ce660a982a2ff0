//! `bahi bench log`: durable appends through the port by many writers at once; every record is read back. In a folder,
//! or on a broker, where topics are made for it and left.
#![expect(clippy::float_arithmetic, reason = "rates and latencies are measurements, not amounts")]

use super::{
    Bench, disk,
    load::{LATENCY_DIGITS, LATENCY_US_MAX},
    machine::Machine,
    report::{Bytes, Measure, Report},
};
use crate::{clock, error::Error, wire};
use event_log::{
    EventLog, Headers, Record, RecordKind, Topic,
    kafka::{Kafka, Layout, Topics},
};
use hdrhistogram::Histogram;
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// Writers at once, each waiting for its own append.
const WRITERS: u64 = 256;
/// Bytes of each value.
const VALUE_BYTES: usize = 600;
/// How long they write before it counts.
const WARM_UP_S: u64 = 2;
/// How long is measured.
const MEASURED_S: u64 = 15;
/// Records read at a time when all is read back.
const READ_RECORDS: usize = 4096;
/// Accounts whose records they are.
const ACCOUNTS: u64 = 10_000;

/// Measures.
///
/// # Errors
/// When the folder is not on a disk, an append fails, or what is read back is not what was appended.
pub async fn run(bench: &Bench) -> Result<Report, Error> {
    let folder = disk::folder(&bench.parent)?;
    let machine = Machine::look(folder.path())?;
    let (path, brokers) = (folder.path().to_owned(), bench.brokers.clone());
    // The writers use all processors, so they run on a runtime of their own.
    let (result, bytes) = tokio::task::spawn_blocking(move || measured(&path, brokers.as_deref()))
        .await
        .map_err(|why| Error::Usage(format!("the writers ended badly: {why}")))??;
    Ok(Report { bytes, ..Report::new("log", vec![result], machine) })
}

fn measured(folder: &Path, brokers: Option<&str>) -> Result<(Measure, Option<Bytes>), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match brokers {
            Some(brokers) => Ok((appends("kafka_append_256", on_broker(brokers).await?).await?.0, None)),
            None => {
                let log = wire::open_to_write(folder, None, None).await?;
                let (measure, appended) = appends("append_256", log.port()).await?;
                log.close().await;
                Ok((measure, Some(Bytes::on_disk(disk::bytes_of(folder)?, appended))))
            }
        }
    })
}

/// A log of its own on one broker, one copy of each record.
async fn on_broker(brokers: &str) -> Result<Arc<dyn EventLog>, Error> {
    let prefix = format!("bench-{}", clock::now().micros());
    Topics::new(brokers, &prefix)?.apply(Layout { partitions: 1, replication: 1, min_in_sync: 1 }).await?;
    Ok(Arc::new(Kafka::open(brokers, &prefix).await?))
}

/// What was measured, and how many records there are.
async fn appends(name: &str, log: Arc<dyn EventLog>) -> Result<(Measure, u64), Error> {
    let started = Instant::now();
    let (counts_from, ends) =
        (started + Duration::from_secs(WARM_UP_S), started + Duration::from_secs(WARM_UP_S + MEASURED_S));
    let writers: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(write(Arc::clone(&log), writer, counts_from, ends))).collect();
    let mut latencies = histogram();
    let (mut counted, mut appended) = (0, 0);
    for writer in writers {
        let mine = writer.await.map_err(|why| Error::Usage(format!("a writer ended badly: {why}")))??;
        latencies.add(&mine.latencies).map_err(|why| Error::Usage(why.to_string()))?;
        counted += mine.counted;
        appended += mine.appended;
    }
    read_back(&*log, appended).await?;
    let ms = |quantile| Some(latencies.value_at_quantile(quantile) as f64 / 1000.0);
    let per_second = counted as f64 / MEASURED_S as f64;
    Ok((Measure { name: name.to_owned(), per_second, p50_ms: ms(0.5), p99_ms: ms(0.99) }, appended))
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, LATENCY_DIGITS).expect("the bounds are in order")
}

struct Written {
    latencies: Histogram<u64>,
    counted: u64,
    appended: u64,
}

async fn write(log: Arc<dyn EventLog>, writer: u64, counts_from: Instant, ends: Instant) -> Result<Written, Error> {
    let mut written = Written { latencies: histogram(), counted: 0, appended: 0 };
    loop {
        let began = Instant::now();
        if began >= ends {
            return Ok(written);
        }
        let record = record(writer, written.appended);
        log.append(Topic::Ledger, 0, None, vec![record]).await?;
        let now = Instant::now();
        written.appended += 1;
        if now >= counts_from && now < ends {
            written.counted += 1;
            let micros = u64::try_from((now - began).as_micros()).unwrap_or(u64::MAX);
            written.latencies.saturating_record(micros.max(1));
        }
    }
}

/// A record as an order's entry has it, its value told by writer and number.
fn record(writer: u64, number: u64) -> Record {
    let account = (writer + number * WRITERS) % ACCOUNTS;
    let headers = Headers {
        ce_type: RecordKind::Entry,
        ce_id: format!("B{account:05}/{number}").into(),
        ce_time: clock::now().micros(),
        term: 1,
        writer: 1,
        after: -1,
        source: 0,
        kinds: "order_requested".into(),
        traceparent: None,
    };
    Record { key: Some(format!("B{account:05}").into()), headers, value: value(writer, number).into() }
}

fn value(writer: u64, number: u64) -> Vec<u8> {
    let mut value = format!(r#"{{"writer":{writer},"number":{number},"fill":""#).into_bytes();
    value.resize(VALUE_BYTES - 2, b'x');
    value.extend_from_slice(b"\"}");
    value
}

/// Every writer's records are there, each once, in its order, byte for byte.
async fn read_back(log: &dyn EventLog, appended: u64) -> Result<(), Error> {
    let unlike = |what: String| Err(Error::NotClean(format!("read back: {what}")));
    let mut next = vec![0; WRITERS as usize];
    let mut offset = 0;
    loop {
        let records = log.read(Topic::Ledger, 0, offset, READ_RECORDS).await?;
        if records.is_empty() {
            break;
        }
        for stored in records {
            let text = String::from_utf8_lossy(&stored.record.value);
            let writer = text.strip_prefix(r#"{"writer":"#).and_then(|rest| rest.split(',').next()?.parse().ok());
            let expected = writer.and_then(|writer: usize| next.get_mut(writer).map(|number| (writer as u64, number)));
            match expected {
                Some((writer, number)) if stored.offset == offset && *stored.record.value == value(writer, *number) => {
                    *number += 1;
                }
                _ => return unlike(format!("offset {offset} is not the next record of its writer")),
            }
            offset += 1;
        }
    }
    if offset == appended { Ok(()) } else { unlike(format!("{offset} records, {appended} were appended")) }
}
