//! What only this adapter does: one file that outlives the process, space that ends, and two
//! processes where there should be one.

use std::{fs, io::Write};

use tempfile::TempDir;

use super::{
    keys::{SEGMENT_BITS, segment_of},
    *,
};
use crate::{
    Headers,
    contract::record,
    rule::{Dead, Reader, Verdict},
};

/// An injected loss of a commit's answer.
pub(super) enum Lost {
    /// Nothing landed.
    BeforeCommit,
    /// All landed.
    AfterCommit,
}

fn folder() -> TempDir {
    TempDir::new().expect("a folder can be made")
}

async fn open(folder: &TempDir, options: Options) -> Sqlite {
    Sqlite::open(folder.path(), options).await.expect("the log opens")
}

fn read_only() -> Options {
    Options { mode: Mode::ReadOnly, ..Options::default() }
}

async fn refusal(folder: &TempDir, options: Options) -> Error {
    match Sqlite::open(folder.path(), options).await {
        Ok(_) => panic!("a log was opened that must be refused"),
        Err(error) => error,
    }
}

fn records(numbers: std::ops::Range<i64>) -> Vec<Record> {
    numbers.map(|number| record("ACC1", number)).collect()
}

async fn append(log: &Sqlite, at: Option<u64>, records: Vec<Record>) -> Result<u64, Error> {
    log.append(Topic::Ledger, 0, at, records).await
}

async fn read_all(log: &Sqlite) -> Vec<Record> {
    let mut all: Vec<Record> = Vec::new();
    loop {
        let next = log.read(Topic::Ledger, 0, all.len() as u64, usize::MAX).await;
        let next = next.expect("a read succeeds");
        if next.is_empty() {
            return all;
        }
        all.extend(next.iter().map(|stored| stored.record.clone()));
    }
}

async fn made(records: Vec<Record>) -> TempDir {
    let folder = folder();
    let log = open(&folder, Options::default()).await;
    append(&log, None, records).await.expect("it lands");
    log.close().await;
    folder
}

#[tokio::test]
async fn what_was_appended_is_there_when_the_folder_is_opened_again() {
    let folder = folder();
    let log = open(&folder, Options { partitions: 2, ..Options::default() }).await;
    append(&log, None, records(0..5)).await.expect("it lands");
    let market = log.append(Topic::Market, 1, None, records(0..1)).await;
    market.expect("it lands");
    let commands_id = log.commands_id();
    log.close().await;
    let log = open(&folder, Options { partitions: 2, ..Options::default() }).await;
    assert_eq!(read_all(&log).await, records(0..5));
    assert_eq!(log.commands_id(), commands_id);
    assert_eq!(append(&log, Some(5), records(5..6)).await.expect("it lands"), 5);
    assert_eq!(log.tail(Topic::Market, 1).await.expect("there is a tail"), 1);
    let offsets = log.offsets_of(Topic::Ledger, 0, "ACC1", 0, 10).await;
    assert_eq!(offsets.expect("keys are found"), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn what_was_appended_outlives_a_process_that_never_closes() {
    let folder = folder();
    let log = open(&folder, Options::default()).await;
    append(&log, None, records(0..500)).await.expect("it lands");
    // What a killed process leaves: the files as they are now, the write-ahead log not moved.
    let left = TempDir::new().expect("a folder can be made");
    for name in ["bahi.db", "bahi.db-wal"] {
        fs::copy(folder.path().join(name), left.path().join(name)).expect("a file can be copied");
    }
    let log = open(&left, Options::default()).await;
    assert_eq!(read_all(&log).await, records(0..500));
}

#[tokio::test]
async fn a_write_ahead_log_cut_anywhere_leaves_whole_appends() {
    let folder = folder();
    let log = open(&folder, Options::default()).await;
    for first in (0..40).step_by(4) {
        append(&log, None, records(first..first + 4)).await.expect("it lands");
    }
    let wal = fs::read(folder.path().join("bahi.db-wal")).expect("the file can be read");
    for cut in (0..wal.len()).step_by(wal.len() / 23) {
        let left = TempDir::new().expect("a folder can be made");
        fs::copy(folder.path().join("bahi.db"), left.path().join("bahi.db")).expect("it is copied");
        fs::write(left.path().join("bahi.db-wal"), &wal[..cut]).expect("a file can be written");
        let log = open(&left, Options::default()).await;
        let all = read_all(&log).await;
        assert_eq!(all.len() % 4, 0, "an append is there as a whole or not at all");
        assert_eq!(all, records(0..all.len() as i64));
    }
}

#[tokio::test]
async fn keys_are_found_in_written_segments_after_opening_again_and_beside_the_writer() {
    let folder = folder();
    let log = open(&folder, Options::default()).await;
    let total = (3 << SEGMENT_BITS) as i64 / 2;
    let key = |number: i64| format!("ACC{}", number % 500);
    for first in (0..total).step_by(4096) {
        let some = (first..total.min(first + 4096)).map(|number| record(&key(number), number));
        append(&log, None, some.collect()).await.expect("it lands");
    }
    let beside = open(&folder, read_only()).await;
    let expected: Vec<u64> = (7..total as u64).step_by(500).collect();
    for log in [&log, &beside] {
        let offsets = log.offsets_of(Topic::Ledger, 0, "ACC7", 0, usize::MAX).await;
        assert_eq!(offsets.expect("keys are found"), expected);
    }
    append(&log, None, vec![record("ACC7", total)]).await.expect("it lands");
    let offsets = beside.offsets_of(Topic::Ledger, 0, "ACC7", total as u64 - 1, 9).await;
    assert_eq!(offsets.expect("keys are found"), [total as u64]);
    log.close().await;
    let log = open(&folder, Options::default()).await;
    let (lane, state) = log.shared.lane(Topic::Ledger, 0).expect("there is a partition");
    assert_eq!(state.keys.lock().first(), segment_of(total as u64), "full segments are written");
    assert_eq!(log.shared.end(lane), total as u64 + 1);
    let offsets = log.offsets_of(Topic::Ledger, 0, "ACC7", 0, expected.len()).await;
    assert_eq!(offsets.expect("keys are found"), expected);
}

#[tokio::test]
async fn a_reader_beside_the_writer_sees_and_follows_what_is_durable() {
    let folder = folder();
    let log = open(&folder, Options::default()).await;
    let beside = open(&folder, read_only()).await;
    let mut follow = beside.follow(Topic::Ledger, 0, 0);
    for number in 0..20 {
        append(&log, None, records(number..number + 1)).await.expect("it lands");
        let batch = follow.next().await.expect("a follower goes on");
        assert_eq!(batch.len(), 1);
        assert_eq!(batch[0].offset, number as u64);
        let tail = beside.tail(Topic::Ledger, 0).await.expect("there is a tail");
        assert_eq!(tail, number as u64 + 1);
    }
    assert!(matches!(append(&beside, None, records(0..1)).await, Err(Error::ReadOnly)));
}

#[tokio::test]
async fn the_file_alone_holds_everything_once_its_writer_is_closed_though_a_reader_is_not() {
    let (folder, copied) = (folder(), folder());
    let log = open(&folder, Options::default()).await;
    append(&log, Some(0), records(0..50)).await.expect("an append succeeds");
    let reader = open(&folder, read_only()).await;
    assert_eq!(read_all(&reader).await.len(), 50);
    log.close().await;
    fs::copy(folder.path().join("bahi.db"), copied.path().join("bahi.db")).expect("the file can be copied");
    let copy = open(&copied, read_only()).await;
    assert_eq!(read_all(&copy).await, read_all(&reader).await);
    reader.close().await;
    copy.close().await;
}

#[tokio::test]
async fn a_follower_is_told_when_the_log_is_closed() {
    let folder = folder();
    let log = open(&folder, Options::default()).await;
    let mut follow = log.follow(Topic::Ledger, 0, 0);
    append(&log, None, records(0..1)).await.expect("it lands");
    log.close().await;
    assert_eq!(follow.next().await.expect("what landed is given").len(), 1);
    assert!(matches!(follow.next().await, Err(Error::Closed)));
    assert!(matches!(append(&log, None, records(1..2)).await, Err(Error::Closed)));
}

#[tokio::test]
async fn a_second_writing_process_is_refused_until_the_first_has_closed() {
    let folder = folder();
    let log = open(&folder, Options::default()).await;
    assert!(matches!(refusal(&folder, Options::default()).await, Error::Locked { .. }));
    log.close().await;
    open(&folder, Options::default()).await;
}

#[tokio::test]
async fn another_number_of_partitions_is_refused() {
    let folder = made(records(0..1)).await;
    let error = refusal(&folder, Options { partitions: 2, ..Options::default() }).await;
    assert!(matches!(error, Error::Partitions { found: 1, configured: 2, .. }), "{error}");
    assert_eq!(open(&folder, read_only()).await.partitions(Topic::Ledger), 1);
}

#[tokio::test]
async fn no_log_is_made_by_one_who_only_reads() {
    let folder = folder();
    let error = refusal(&folder, read_only()).await;
    assert!(matches!(error, Error::Absent { .. }), "{error}");
    assert!(!folder.path().join("bahi.db").exists());
}

#[tokio::test]
async fn a_foreign_file_is_refused_and_left_alone() {
    let text = b"date,symbol,quantity\n2026-11-23,RELIANCE,10\n".repeat(10);
    let other = {
        let folder = folder();
        let path = folder.path().join("bahi.db");
        let options = file::writing(&path).create_if_missing(true);
        let mut connection = options.connect().await.expect("a database can be made");
        let table = "create table notes (note text)".to_owned();
        store::run(&mut connection, table).await.expect("a table can be made");
        sqlx::Connection::close(connection).await.expect("it closes");
        fs::read(path).expect("the file can be read")
    };
    for content in [text, other] {
        let folder = folder();
        let path = folder.path().join("bahi.db");
        fs::write(&path, &content).expect("a file can be written");
        for options in [Options::default(), read_only()] {
            let error = refusal(&folder, options).await;
            assert!(matches!(error, Error::Foreign { .. }), "{error}");
            assert!(error.to_string().contains("bahi.db"));
        }
        assert_eq!(fs::read(&path).expect("the file can be read"), content);
    }
}

#[tokio::test]
async fn a_newer_file_is_refused() {
    let folder = made(records(0..1)).await;
    let path = folder.path().join("bahi.db");
    let mut connection = file::writing(&path).connect().await.expect("the file opens");
    let stamp = "pragma user_version = 99".to_owned();
    store::run(&mut connection, stamp).await.expect("it can be stamped");
    sqlx::Connection::close(connection).await.expect("it closes");
    for options in [Options::default(), read_only()] {
        let error = refusal(&folder, options).await;
        assert!(matches!(error, Error::Newer { found: 99, .. }), "{error}");
    }
}

#[tokio::test]
async fn a_file_cut_anywhere_is_refused() {
    let folder = made(records(0..2000)).await;
    let path = folder.path().join("bahi.db");
    let whole = fs::read(&path).expect("the file can be read");
    for length in (0..whole.len()).step_by(whole.len() / 31) {
        fs::write(&path, &whole[..length]).expect("the file can be cut");
        for options in [Options::default(), read_only()] {
            let error = refusal(&folder, options).await;
            assert!(matches!(error, Error::Torn { .. }), "cut to {length}: {error}");
        }
    }
}

#[tokio::test]
async fn a_changed_byte_among_the_newest_records_is_refused_and_elsewhere_never_read() {
    let folder = made(records(0..2000)).await;
    let path = folder.path().join("bahi.db");
    let whole = fs::read(&path).expect("the file can be read");
    let text = b"\"seq\":1777}";
    let at = whole.windows(text.len()).position(|bytes| bytes == text).expect("the record is there");
    let mut changed = whole.clone();
    changed[at + 6] = b'9';
    fs::write(&path, &changed).expect("the file can be changed");
    let error = refusal(&folder, Options::default()).await;
    assert!(matches!(error, Error::Torn { .. }), "{error}");
    let beside = open(&folder, read_only()).await;
    let read = beside.read(Topic::Ledger, 0, 1777, 1).await;
    assert!(matches!(read, Err(Error::Torn { .. })), "{read:?}");
    assert_eq!(beside.read(Topic::Ledger, 0, 0, 9).await.expect("the rest is whole").len(), 9);
}

#[tokio::test]
async fn a_file_half_made_is_made_anew() {
    let folder = folder();
    for name in ["bahi.db.new", "bahi.db.new-wal"] {
        let mut half = fs::File::create(folder.path().join(name)).expect("a file can be made");
        half.write_all(b"SQLite format 3\0 and then power went").expect("it can be written");
    }
    let log = open(&folder, Options::default()).await;
    append(&log, Some(0), records(0..1)).await.expect("it lands");
}

#[tokio::test]
async fn a_full_disk_refuses_whole_appends_and_space_makes_it_work_again() {
    let folder = folder();
    let log = open(&folder, Options { max_bytes: Some(1 << 20), ..Options::default() }).await;
    let large = |number| vec![Record { value: vec![b'x'; 40_000].into(), ..record("ACC1", number) }; 3];
    let mut landed = Vec::new();
    let full = loop {
        match append(&log, None, large(landed.len() as i64)).await {
            Ok(first) => {
                assert_eq!(first, landed.len() as u64);
                landed.extend(large(landed.len() as i64));
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(full, Error::Full), "{full}");
    assert!(landed.len() > 3, "some appends fit");
    let again = append(&log, None, large(0)).await;
    assert!(matches!(again, Err(Error::Full)), "{again:?}");
    assert_eq!(read_all(&log).await, landed, "nothing is half applied");
    log.limit(None);
    let end = landed.len() as u64;
    landed.extend(large(7));
    assert_eq!(append(&log, Some(end), large(7)).await.expect("there is space"), end);
    assert_eq!(read_all(&log).await, landed);
    log.close().await;
    assert_eq!(read_all(&open(&folder, Options::default()).await).await, landed);
}

#[tokio::test]
async fn appends_of_more_rows_than_a_statement_takes_are_one_transaction() {
    let folder = folder();
    let log = open(&folder, Options { max_bytes: Some(8 << 20), ..Options::default() }).await;
    // Each of these is a block of its own: far more rows than one statement inserts.
    let many = |times| vec![Record { value: vec![b'x'; 70_000].into(), ..record("ACC1", 0) }; times];
    let full = append(&log, None, many(200)).await;
    assert!(matches!(full, Err(Error::Full)), "{full:?}");
    assert_eq!(log.tail(Topic::Ledger, 0).await.expect("there is a tail"), 0);
    log.limit(None);
    append(&log, Some(0), many(200)).await.expect("there is space");
    assert_eq!(read_all(&log).await, many(200));
}

#[tokio::test]
async fn a_backup_is_a_log_with_what_was_durable() {
    let folder = folder();
    let log = open(&folder, Options::default()).await;
    append(&log, None, records(0..300)).await.expect("it lands");
    let other = TempDir::new().expect("a folder can be made");
    let copy = other.path().join("bahi.db");
    open(&folder, read_only()).await.backup(&copy).await.expect("a copy can be made");
    append(&log, None, records(300..301)).await.expect("it lands");
    assert!(log.backup(&copy).await.is_err(), "a file is never overwritten");
    let as_it_is = Sqlite::open(&copy, read_only()).await.expect("a copy is read as it is");
    assert_eq!(read_all(&as_it_is).await, records(0..300));
    as_it_is.close().await;
    let to_write = Sqlite::open(&copy, Options::default()).await.err().expect("a file is no folder");
    assert!(to_write.to_string().contains("copy it to bahi.db"), "{to_write}");
    let restored = open(&other, Options::default()).await;
    assert_eq!(restored.commands_id(), log.commands_id());
    assert_eq!(read_all(&restored).await, records(0..300));
    append(&restored, Some(300), records(300..301)).await.expect("it lands");
}

#[tokio::test]
async fn sqlite_two_processes_with_broken_lock() {
    let folder = folder();
    let without_lock = Options { without_lock: true, ..Options::default() };
    let claim = |term, writer| Record {
        key: None,
        headers: Headers::claim(term, writer, "claim".into(), 0),
        value: Default::default(),
    };
    let entry = |term, writer, after, source| {
        let mut entry = record("ACC1", source);
        (entry.headers.term, entry.headers.writer) = (term, writer);
        (entry.headers.after, entry.headers.source) = (after, source);
        entry
    };
    let first = open(&folder, without_lock.clone()).await;
    let second = open(&folder, without_lock).await;
    append(&first, Some(0), vec![claim(1, 0xa)]).await.expect("it lands");
    append(&first, None, vec![entry(1, 0xa, -1, 0), entry(1, 0xa, 0, 1)]).await.expect("it lands");
    // The second still believes that nothing was written; the position it chooses is taken.
    let refused = append(&second, None, vec![claim(1, 0xb)]).await;
    assert!(matches!(refused, Err(Error::NotTheEnd { end: 3 })), "{refused:?}");
    append(&second, Some(3), vec![claim(2, 0xb), entry(2, 0xb, 1, 2)]).await.expect("it lands");
    let refused = append(&first, None, vec![entry(1, 0xa, 1, 2)]).await;
    assert!(matches!(refused, Err(Error::NotTheEnd { end: 5 })), "{refused:?}");
    append(&first, None, vec![entry(1, 0xa, 1, 2)]).await.expect("it lands, and is dead");
    // Both read one log without a gap, in which the rule counts one chain.
    let mut reader = Reader::default();
    let mut verdicts = Vec::new();
    for stored in first.read(Topic::Ledger, 0, 0, 99).await.expect("a read succeeds") {
        let verdict = reader.fold(stored.offset, &stored.record.headers);
        verdicts.push(verdict.expect("the log is not corrupt"));
    }
    let (claim, entry) = (Verdict::Claim, Verdict::Entry);
    assert_eq!(verdicts, [claim, entry, entry, claim, entry, Verdict::Dead(Dead::OtherTerm)]);
    assert_eq!(read_all(&first).await, read_all(&second).await);
    // Each finds the keys that the other wrote, once it has met them.
    let found = first.offsets_of(Topic::Ledger, 0, "ACC1", 0, 9).await;
    assert_eq!(found.expect("keys are found"), [1, 2, 4, 5]);
}

#[tokio::test]
async fn sqlite_unknown_commit_rereads() {
    let folder = folder();
    let log = open(&folder, Options::default()).await;
    append(&log, Some(0), records(0..2)).await.expect("it lands");
    let mut follow = log.follow(Topic::Ledger, 0, 2);

    *log.shared.lost.lock() = Some(Lost::AfterCommit);
    let unknown = append(&log, Some(2), records(2..4)).await;
    assert!(matches!(unknown, Err(Error::Unknown { .. })), "{unknown:?}");
    // It had landed: the end was read again, and followers are told without a further append.
    assert_eq!(log.tail(Topic::Ledger, 0).await.expect("there is a tail"), 4);
    assert_eq!(follow.next().await.expect("a follower goes on").len(), 2);
    let found = log.offsets_of(Topic::Ledger, 0, "ACC1", 0, 9).await;
    assert_eq!(found.expect("keys are found"), [0, 1, 2, 3]);

    *log.shared.lost.lock() = Some(Lost::BeforeCommit);
    let unknown = append(&log, Some(4), records(4..6)).await;
    assert!(matches!(unknown, Err(Error::Unknown { .. })), "{unknown:?}");
    // It had not: nothing repeats it, and the place is free for what is decided now.
    assert_eq!(log.tail(Topic::Ledger, 0).await.expect("there is a tail"), 4);
    assert_eq!(append(&log, Some(4), records(9..10)).await.expect("it lands"), 4);
    assert_eq!(follow.next().await.expect("a follower goes on")[0].record, record("ACC1", 9));
}

#[tokio::test]
async fn a_long_reader_elsewhere_does_not_stop_checkpoints_for_good() {
    let folder = folder();
    let log = open(&folder, Options::default()).await;
    append(&log, None, records(0..10)).await.expect("it lands");
    let mut other = file::reading(log.path()).connect().await.expect("the file opens");
    store::run(&mut other, "begin; select count(*) from blocks".to_owned()).await.expect("it reads");
    let large = || vec![Record { value: vec![b'x'; 1 << 20].into(), ..record("ACC1", 0) }; 16];
    let wal = || fs::metadata(folder.path().join("bahi.db-wal")).expect("there is one").len();
    for _ in 0..6 {
        append(&log, None, large()).await.expect("it lands");
    }
    assert!(wal() > 80 << 20, "a reader's snapshot keeps the write-ahead log");
    store::run(&mut other, "commit".to_owned()).await.expect("it ends");
    // Copying goes on beside the appends, which a slow disk lets be several more.
    for _ in 0..40 {
        let grown = wal();
        append(&log, None, large()).await.expect("it lands");
        if wal() <= grown {
            return;
        }
    }
    panic!("the write-ahead log is never used again from its start");
}
