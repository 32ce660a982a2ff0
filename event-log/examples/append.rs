//! Measures the log in a file: durable appends through the port, and the layouts that it was chosen
//! from. `cargo run --release -p event-log --example append -- [port | batches | read | layouts] [DIR]`

#![allow(clippy::float_arithmetic, clippy::print_stdout, reason = "it measures and prints")]

use std::{
    collections::BTreeMap,
    env, fs,
    io::{Seek, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use event_log::{
    EventLog, Headers, Record, RecordKind, Topic,
    sqlite::{Options, Sqlite},
};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

const ACCOUNTS: u32 = 10_000;
const VALUE_BYTES: usize = 600;
const TIME: Duration = Duration::from_secs(8);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let what = env::args().nth(1).unwrap_or_else(|| "port".to_owned());
    let dir = env::args().nth(2).map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load average {}", load.trim());
    println!("fdatasync {:.3} ms", fdatasync_ms(&dir));
    match what.as_str() {
        "port" => {
            for callers in [1, 16, 256, 1024] {
                port(&dir, callers, 1).await;
            }
        }
        "batches" => {
            for callers in [1, 16] {
                port(&dir, callers, 100).await;
            }
        }
        "read" => read(&dir).await,
        "layouts" => {
            for accounts in [10_000, 1_000_000] {
                for layout in [Layout::RowsAndTree, Layout::Rows, Layout::Blocks] {
                    layouts(&dir, layout, accounts).await;
                }
            }
        }
        other => println!("unknown: {other}"),
    }
}

fn fdatasync_ms(dir: &Path) -> f64 {
    let mut file = tempfile::tempfile_in(dir).expect("a file can be made");
    let started = Instant::now();
    for _ in 0..200 {
        file.rewind().expect("the start is found");
        file.write_all(&[1; 4096]).expect("it is written");
        file.sync_data().expect("it is synced");
    }
    started.elapsed().as_secs_f64() * 1000.0 / 200.0
}

/// What this process has used of the processors, in seconds; Linux counts in hundredths.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.split(' ').skip(13).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

fn record(random: &mut SmallRng, number: i64) -> Record {
    let account = random.random_range(0..ACCOUNTS);
    let headers = Headers {
        ce_type: RecordKind::Entry,
        ce_id: format!("ACC{account}/{number}").into(),
        ce_time: 1_795_406_462_123_456 + number,
        term: 3,
        writer: 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef,
        after: number - 1,
        source: number,
        kinds: "order_requested".into(),
        traceparent: None,
    };
    Record { key: Some(format!("ACC{account}").into()), headers, value: vec![b'x'; VALUE_BYTES].into() }
}

/// Callers that each append `size` records, wait until they are durable, and go on.
async fn port(dir: &Path, callers: u64, size: usize) {
    let folder = tempfile::tempdir_in(dir).expect("a folder can be made");
    let log = Sqlite::open(folder.path(), Options::default()).await.expect("a log can be made");
    let log = Arc::new(log);
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut random = SmallRng::seed_from_u64(caller);
                let mut waits = Vec::new();
                while started.elapsed() < TIME {
                    let records = (0..size).map(|at| record(&mut random, at as i64)).collect::<Vec<_>>();
                    let asked = Instant::now();
                    log.append(Topic::Ledger, 0, None, records).await.expect("an append lands");
                    waits.push(asked.elapsed());
                }
                waits
            })
        })
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await.expect("a caller ends well"));
    }
    let (took, cpu) = (started.elapsed(), cpu_seconds() - cpu);
    waits.sort_unstable();
    let at = |part: f64| waits[((waits.len() - 1) as f64 * part) as usize].as_secs_f64() * 1000.0;
    let records = waits.len() * size;
    log.close().await;
    let bytes = fs::metadata(log.path()).expect("there is a file").len();
    println!(
        "{callers:>5} callers of {size:>3}: {:>8.0} records/s; p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, \
         most {:.1} ms; {:.1} us of a core and {:.0} bytes each",
        records as f64 / took.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
        cpu * 1e6 / records as f64,
        bytes as f64 / records as f64
    );
}

/// Opening, reading everything, and one account's records.
async fn read(dir: &Path) {
    const TOTAL: i64 = 2_000_000;
    let folder = tempfile::tempdir_in(dir).expect("a folder can be made");
    let log = Sqlite::open(folder.path(), Options::default()).await.expect("a log can be made");
    let mut random = SmallRng::seed_from_u64(1);
    for first in (0..TOTAL).step_by(1000) {
        let records = (first..first + 1000).map(|number| record(&mut random, number)).collect();
        log.append(Topic::Ledger, 0, None, records).await.expect("an append lands");
    }
    log.close().await;
    let started = Instant::now();
    let log = Sqlite::open(folder.path(), Options::default()).await.expect("the log opens");
    println!("opened in {:?}", started.elapsed());
    let started = Instant::now();
    let mut follow = log.follow(Topic::Ledger, 0, 0);
    let mut count = 0;
    while count < TOTAL {
        count += follow.next().await.expect("a follower goes on").len() as i64;
    }
    println!("followed {:.0} records/s", TOTAL as f64 / started.elapsed().as_secs_f64());
    let (mut offsets, mut records) = (Duration::ZERO, Duration::ZERO);
    let mut found = 0;
    for account in 0..100 {
        let started = Instant::now();
        let of = log.offsets_of(Topic::Ledger, 0, &format!("ACC{account}"), 0, 100_000).await;
        let of = of.expect("keys are found");
        offsets += started.elapsed();
        found += of.len();
        let started = Instant::now();
        log.read_at(Topic::Ledger, 0, of).await.expect("a read succeeds");
        records += started.elapsed();
    }
    println!(
        "{} records of an account: offsets in {:.2} ms, records in {:.2} ms",
        found / 100,
        offsets.as_secs_f64() * 10.0,
        records.as_secs_f64() * 10.0
    );
}

#[derive(Debug, Clone, Copy)]
enum Layout {
    /// A row a record, and a B-tree on (key, offset).
    RowsAndTree,
    /// A row a record, no index.
    Rows,
    /// A row for 64 records, no index in the file: what the port writes beside its segments.
    Blocks,
}

/// One connection, groups of 256 records of one transaction each; no port, no callers.
async fn layouts(dir: &Path, layout: Layout, accounts: u32) {
    const GROUP: i64 = 256;
    const BLOCK: i64 = 64;
    const TOTAL: i64 = 1_500_000;
    let folder = tempfile::tempdir_in(dir).expect("a folder can be made");
    let path = folder.path().join("layout.db");
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .page_size(8192)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "4096")
        .pragma("cache_size", "-8192")
        .disable_statement_logging();
    let mut connection = options.connect().await.expect("the file opens");
    let rows = "create table records (position integer primary key, key_id integer, headers blob, value blob)";
    for sql in [rows, "create table blocks (position integer primary key, records blob)"] {
        connection.execute(sql).await.expect("a table is made");
    }
    if matches!(layout, Layout::RowsAndTree) {
        let tree = "create index by_key on records (key_id, position)";
        connection.execute(tree).await.expect("an index is made");
    }
    let mut random = SmallRng::seed_from_u64(9);
    let mut tenths = BTreeMap::new();
    let (mut started, begun, cpu) = (Instant::now(), Instant::now(), cpu_seconds());
    for first in (0..TOTAL).step_by(GROUP as usize) {
        match layout {
            Layout::Blocks => {
                let blob = vec![b'x'; (VALUE_BYTES + 40) * BLOCK as usize];
                let rows = (first..first + GROUP).step_by(BLOCK as usize);
                let sql = insert("blocks (position, records)", "(?,?)", GROUP / BLOCK);
                let mut query = sqlx::query(AssertSqlSafe(sql));
                for position in rows {
                    query = query.bind(position).bind(blob.clone());
                }
                query.execute(&mut connection).await.expect("it lands");
            }
            Layout::Rows | Layout::RowsAndTree => {
                let columns = "records (position, key_id, headers, value)";
                let mut query = sqlx::query(AssertSqlSafe(insert(columns, "(?,?,?,?)", GROUP)));
                for position in first..first + GROUP {
                    let key = random.random_range(0..accounts);
                    query = query.bind(position).bind(i64::from(key)).bind(vec![b'h'; 40]);
                    query = query.bind(vec![b'x'; VALUE_BYTES]);
                }
                query.execute(&mut connection).await.expect("it lands");
            }
        }
        let tenth = (first + GROUP) * 10 / TOTAL;
        tenths.entry(tenth).or_insert_with(|| {
            let rate = TOTAL as f64 / 10.0 / started.elapsed().as_secs_f64();
            started = Instant::now();
            rate
        });
    }
    let rate = TOTAL as f64 / begun.elapsed().as_secs_f64();
    let cpu = (cpu_seconds() - cpu) * 1e6 / TOTAL as f64;
    let last = tenths.values().next_back().copied().unwrap_or_default();
    close(connection).await;
    let bytes = fs::metadata(&path).expect("there is a file").len();
    println!(
        "{layout:?}, {accounts} accounts: {rate:>8.0} records/s, last tenth {last:>8.0}; {cpu:.1} us of a core and {:.0} bytes each",
        bytes as f64 / TOTAL as f64
    );
}

fn insert(table: &str, row: &str, rows: i64) -> String {
    let rows = vec![row; rows as usize];
    format!("insert into {table} values {}", rows.join(","))
}

async fn close(connection: SqliteConnection) {
    connection.close().await.expect("it closes");
}
