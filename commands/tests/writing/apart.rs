//! Writers apart from desks: commands travel through the log of requests, and any writer may die or be doubled.

use crate::{
    common::*,
    snapshots::Away,
    through::{Between, Through},
};
use commands::{Answer, Config, Partition, Remote, Writing, remote, write};
use domain::{
    command::Submitter,
    event::{Event, EventData},
    market::{MarketEvent, MarketEventData},
    rejection::Rejection,
    time::Date,
};
use event_log::{
    BoxFuture, Error, EventLog, Headers, Position, Record, RecordKind, Requests, Topic,
    memory::{Fault, Memory},
    rule::{Reader, Verdict},
    snapshot::memory::Memory as Snapshots,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

/// A log with its requests, as processes share them.
pub struct Apart {
    pub log: Memory,
    pub put: Memory,
    pub clock: Arc<Driven>,
}

/// A process of writers, and the partitions that it is given.
pub struct Process {
    pub writing: Writing,
    given: watch::Sender<BTreeSet<Partition>>,
    log: Arc<dyn EventLog>,
}

impl Process {
    /// Waits until it answers in these partitions.
    async fn serves(&self, partitions: &[Partition]) {
        let wanted: BTreeSet<_> = partitions.iter().copied().collect();
        let mut served = self.writing.served();
        let serves = served.wait_for(|served| wanted.is_subset(served));
        tokio::time::timeout(LIMIT, serves).await.expect("within the limit").expect("it is at work");
    }

    /// Lets what is under way land; what the log holds by then is decided again.
    pub async fn stop(self) {
        self.writing.stop().await;
        decided_again(&*self.log).await;
    }
}

const BOTH: [Partition; 2] = [(Topic::Ledger, 0), (Topic::Market, 0)];

impl Apart {
    pub fn new() -> Self {
        let log = Memory::new(1);
        Self { put: log.requests(), log, clock: Driven::at(MORNING) }
    }

    pub fn requests(&self) -> Requests {
        Requests::new(Arc::new(self.put.clone()))
    }

    async fn process_over(&self, log: Arc<dyn EventLog>, config: Config) -> Process {
        let (given, gives) = watch::channel(BOTH.into());
        let writing = write(Arc::clone(&log), self.requests(), config, gives).await.unwrap();
        Process { writing, given, log }
    }

    /// Its writers read these requests.
    pub async fn process_of(&self, requests: Requests) -> Process {
        let (given, gives) = watch::channel(BOTH.into());
        let log: Arc<dyn EventLog> = Arc::new(self.log.clone());
        let writing = write(Arc::clone(&log), requests, config(&self.clock), gives).await.unwrap();
        Process { writing, given, log }
    }

    pub async fn process(&self) -> Process {
        self.process_over(Arc::new(self.log.clone()), config(&self.clock)).await
    }

    pub async fn desk(&self) -> Remote {
        remote::open(Arc::new(self.log.clone()), self.requests(), config(&self.clock)).await.unwrap()
    }

    /// The request to open the first account.
    pub async fn asked_open(&self) -> Record {
        self.put.read(Topic::Ledger, 0, 0, 1).await.unwrap()[0].record.clone()
    }
}

#[tokio::test]
async fn commands_are_answered_in_the_ledger_each_by_one_entry_at_its_own_source() {
    let apart = Apart::new();
    let (process, remote) = (apart.process().await, apart.desk().await);
    accepted(remote.desk.submit(client("A", "open", open())).await);
    accepted(remote.desk.submit(client("A", "d", deposit("7.00"))).await);
    assert_eq!(refused(remote.desk.submit(client("A", "w", withdraw("9.00"))).await), Rejection::InsufficientCash);
    let batch = (0..100).map(|number| client("A", &format!("b{number}"), deposit("1.00"))).collect();
    let seqs: Vec<_> = remote.desk.submit_all(batch).await.into_iter().map(|a| accepted(a).outcome.seq).collect();
    assert_eq!(seqs, (4..104).collect::<Vec<_>>());
    process.stop().await;
    let entries = live(&apart.log).await;
    assert_eq!(entries.iter().map(|entry| entry.source).collect::<Vec<_>>(), (0..103).collect::<Vec<_>>());
    let asked = apart.put.read(Topic::Ledger, 0, 0, 1_000).await.unwrap();
    for (entry, asked) in entries.iter().zip(&asked) {
        let held = event_schemas::decode_command(&asked.record.value).unwrap();
        assert_eq!(entry.command, held, "an entry holds what it answers as it was asked");
    }
}

#[tokio::test]
async fn a_key_that_another_desk_used_has_its_first_outcome_and_an_entry_that_repeats() {
    let apart = Apart::new();
    let (process, one) = (apart.process().await, apart.desk().await);
    accepted(one.desk.submit(client("A", "open", open())).await);
    let first = accepted(one.desk.submit(client("A", "d", deposit("7.00"))).await);
    let refused_first = refused(one.desk.submit(client("A", "w", withdraw("9.00"))).await);
    let other = apart.desk().await;
    let again = answered(other.desk.submit(client("A", "d", deposit("7.00"))).await);
    assert_eq!((again.outcome, again.replayed), (first.outcome.clone(), true));
    assert_eq!(refused(other.desk.submit(client("A", "w", withdraw("9.00"))).await), refused_first);
    let conflict = other.desk.submit(client("A", "d", deposit("8.00"))).await;
    assert!(matches!(conflict, Answer::KeyReused { .. }), "{conflict:?}");
    // Asked by hand, so that no desk answers from what it knows.
    let asked = apart.put.read(Topic::Ledger, 0, 1, 1).await.unwrap();
    let other_content = client("A", "d", deposit("8.00"));
    let sources = apart.put.append(Topic::Ledger, 0, None, vec![asked[0].record.clone()]).await.unwrap();
    let repeat = await_entry(&apart.log, |entry| entry.source == i64::try_from(sources).unwrap()).await;
    assert_eq!((repeat.outcome, repeat.first), (event_schemas::Outcome::Repeat, Some(first.outcome.seq)));
    assert!(repeat.events.is_empty());
    // And other content under the key is refused in an entry of its own.
    let value = String::from_utf8(asked[0].record.value.to_vec()).unwrap().replace("7.00", "8.00");
    let changed = Record { value: value.into_bytes().into(), ..asked[0].record.clone() };
    let source = apart.put.append(Topic::Ledger, 0, None, vec![changed]).await.unwrap();
    let entry = await_entry(&apart.log, |entry| entry.source == i64::try_from(source).unwrap()).await;
    let [event] = entry.events.as_slice() else { panic!("{entry:?}") };
    let EventData::CommandRefused(refused) = &event.data else { panic!("{event:?}") };
    assert_eq!(refused.code, Rejection::IdempotencyKeyReused);
    let outcome = other.desk.outcome(&other_content.account, Submitter::Client, &other_content.id).await.unwrap();
    assert_eq!(outcome.outcome, first.outcome, "one key, one outcome");
    process.stop().await;
}

#[tokio::test]
async fn starts_at_last_plus_one_not_group_offset() {
    let apart = Apart::new();
    let remote = apart.desk().await;
    for round in 0..3 {
        // Asked while nobody answers.
        let desk = Arc::clone(&remote.desk);
        let waiting = tokio::spawn(async move { desk.submit(client("A", &format!("{round}"), deposit("1.00"))).await });
        apart.put.follow(Topic::Ledger, 0, round).next().await.unwrap();
        let process = apart.process().await;
        answered(waiting.await.unwrap());
        // A crash: nothing is said to anybody.
        drop(process);
    }
    decided_again(&apart.log).await;
    let sources: Vec<_> = live(&apart.log).await.iter().map(|entry| entry.source).collect();
    assert_eq!(sources, [0, 1, 2]);
}

#[tokio::test]
async fn command_log_start_beyond_last_halts() {
    let apart = Apart::new();
    let (process, remote) = (apart.process().await, apart.desk().await);
    accepted(remote.desk.submit(client("A", "open", open())).await);
    process.stop().await;
    // The same requests by name, with nothing in them.
    let lost = Apart { put: apart.log.requests(), log: apart.log.clone(), clock: Arc::clone(&apart.clock) };
    let process = lost.process().await;
    process.serves(&[(Topic::Market, 0)]).await;
    let asked = lost.put.append(Topic::Ledger, 0, None, vec![apart.asked_open().await]).await.unwrap();
    assert_eq!(asked, 0);
    assert!(!process.writing.served().borrow().contains(&(Topic::Ledger, 0)));
    process.stop().await;
    assert_eq!(live(&apart.log).await.len(), 1, "nothing was answered over what was lost");
}

/// Requests, of whose commands the first were deleted at the broker: it is said whenever their end is asked for.
struct Headless;

impl Between for Headless {
    fn hides_end(&self, topic: Topic, partition: u32) -> Option<Error> {
        let cut = Error::Cut { topic, partition, reason: "1 to 2 are left of it".into() };
        (topic == Topic::Ledger).then_some(cut)
    }
}

#[tokio::test(start_paused = true)]
async fn requests_whose_head_was_deleted_are_not_answered_and_facts_are() {
    let apart = Apart::new();
    let (process, remote) = (apart.process().await, apart.desk().await);
    accepted(remote.desk.submit(client("A", "open", open())).await);
    process.stop().await;
    let process = apart.process_of(Requests::new(Through::of(&apart.put, Headless))).await;
    process.serves(&[(Topic::Market, 0)]).await;
    apart.put.append(Topic::Ledger, 0, None, vec![apart.asked_open().await]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(*process.writing.served().borrow(), BTreeSet::from([(Topic::Market, 0)]));
    accepted(remote.desk.submit_fact(fact("list", reliance())).await);
    process.stop().await;
    assert_eq!(live(&apart.log).await.len(), 1, "nothing was answered over what was lost");
    assert_eq!(
        records(&apart.log).await.len(),
        3,
        "each process claimed once, and what is lost is not claimed for again"
    );
}

#[tokio::test]
async fn topic_id_change_halts() {
    let apart = Apart::new();
    let (process, remote) = (apart.process().await, apart.desk().await);
    accepted(remote.desk.submit(client("A", "open", open())).await);
    process.stop().await;
    // Other requests, as many of them.
    let other = Apart { put: Memory::new(1), log: apart.log.clone(), clock: Arc::clone(&apart.clock) };
    let asked = apart.asked_open().await;
    other.put.append(Topic::Ledger, 0, None, vec![asked.clone(), asked]).await.unwrap();
    let before = apart.log.tail(Topic::Ledger, 0).await.unwrap();
    let (given, gives) = watch::channel(BTreeSet::from([(Topic::Ledger, 0)]));
    let writing = write(Arc::new(apart.log.clone()), other.requests(), config(&apart.clock), gives).await.unwrap();
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(writing.served().borrow().is_empty());
    writing.stop().await;
    drop(given);
    decided_again(&apart.log).await;
    assert_eq!(apart.log.tail(Topic::Ledger, 0).await.unwrap(), before, "it does not even claim");
}

/// A request as a desk of another release could put it: an earlier one under another id, and changed.
fn changed(asked: &Record, id: &str, change: impl FnOnce(&mut Value)) -> Record {
    let mut value: Value = serde_json::from_slice(&asked.value).unwrap();
    value["id"] = id.into();
    change(&mut value);
    let headers = Headers { ce_id: id.into(), ..asked.headers.clone() };
    Record { headers, value: serde_json::to_vec(&value).unwrap().into(), ..asked.clone() }
}

/// A request as large as one may be, whose entry cannot hold it.
fn large(asked: &Record, filled_with: &str) -> Record {
    let empty = changed(asked, "large", |value| value["body"] = json!({ "text": "" }));
    let room = event_log::VALUE_BYTES_MAX - empty.value.len();
    changed(&empty, "large", |value| value["body"]["text"] = filled_with.repeat(room).into())
}

/// Requests that do not read, each for a reason of its own.
fn unread(asked: &Record) -> Vec<Record> {
    let large = large(asked, "x");
    vec![
        changed(asked, "kind", |value| value["kind"] = "place_bet".into()),
        changed(asked, "newer", |value| value["v"] = 9.into()),
        changed(asked, "shape", |value| value["body"] = json!([1, "two"])),
        large,
    ]
}

#[tokio::test]
async fn a_command_that_does_not_read_is_refused_and_those_behind_it_are_answered() {
    let apart = Apart::new();
    let (process, remote) = (apart.process().await, apart.desk().await);
    accepted(remote.desk.submit(client("A", "open", open())).await);
    let asked = apart.asked_open().await;
    let mut odd = unread(&asked);
    odd.push(changed(&asked, "position", |value| value["min_position"] = "no position".into()));
    let count = odd.len() as u64;
    let (again, other) = (odd[0].clone(), changed(&asked, "kind", |value| value["kind"] = "place_wager".into()));
    apart.put.append(Topic::Ledger, 0, None, odd).await.unwrap();
    apart.put.append(Topic::Ledger, 0, None, vec![again, other]).await.unwrap();
    accepted(remote.desk.submit(client("A", "d", deposit("7.00"))).await);
    process.stop().await;

    let entries = live(&apart.log).await;
    let refusal = |entry: &event_schemas::Entry<'_>| match entry.events.as_slice() {
        [Event { data: EventData::CommandRefused(refused), .. }] => Some(refused.code),
        _ => None,
    };
    let undecodable = [Some(Rejection::Undecodable)].repeat(count as usize);
    let wanted = [&[None][..], &undecodable, &[None, Some(Rejection::IdempotencyKeyReused), None]].concat();
    assert_eq!(entries.iter().map(refusal).collect::<Vec<_>>(), wanted);
    assert_eq!(entries.iter().map(|entry| entry.source).collect::<Vec<_>>(), (0..count as i64 + 4).collect::<Vec<_>>());
    assert_eq!((&*entries[1].command.kind, entries[1].command.body.get()), ("place_bet", "{}"), "it is kept as it was");
    assert_eq!(entries[4].command.body.get(), "null", "what is too large is known by its hash");
    assert_eq!(entries[1 + count as usize].first, Some(2), "asked again, it repeats its refusal");
    for entry in &entries {
        event_schemas::check_entry(entry, &entry.ce_id()).unwrap();
    }

    // The next writer knows their keys as it knows all others.
    let process = apart.process().await;
    apart.put.append(Topic::Ledger, 0, None, unread(&asked)).await.unwrap();
    apart.put.append(Topic::Ledger, 0, None, vec![large(&asked, "y")]).await.unwrap();
    accepted(remote.desk.submit(client("A", "e", deposit("7.00"))).await);
    process.stop().await;
    let later = &live(&apart.log).await[entries.len()..];
    assert_eq!(
        later.iter().map(|entry| entry.first).collect::<Vec<_>>(),
        [Some(2), Some(3), Some(4), Some(5), None, None]
    );
    assert_eq!(refusal(&later[4]), Some(Rejection::IdempotencyKeyReused), "other content of the same size");
    for entry in later {
        event_schemas::check_entry(entry, &entry.ce_id()).unwrap();
    }
}

#[tokio::test]
async fn a_fact_that_does_not_read_is_refused_and_those_behind_it_are_answered() {
    let apart = Apart::new();
    let (process, remote) = (apart.process().await, apart.desk().await);
    accepted(remote.desk.submit_fact(fact("list", reliance())).await);
    let asked = apart.put.read(Topic::Market, 0, 0, 1).await.unwrap()[0].record.clone();
    let odd = unread(&asked);
    let count = odd.len();
    apart.put.append(Topic::Market, 0, None, odd).await.unwrap();
    accepted(remote.desk.submit_fact(fact("price", closed(Date::parse("2026-11-23").unwrap(), "1500.00"))).await);
    process.stop().await;
    let stored = apart.log.read(Topic::Market, 0, 0, 100).await.unwrap();
    let mut refused = 0;
    for stored in stored.iter().filter(|stored| stored.record.headers.ce_type == RecordKind::Market) {
        let entry = event_schemas::entry::decode_market_entry(&stored.record.value).unwrap();
        event_schemas::check_market_entry(&entry, &entry.ce_id()).unwrap();
        if let [MarketEvent { data: MarketEventData::CommandRefused(why), .. }] = entry.events.as_slice() {
            assert_eq!(why.code, Rejection::Undecodable);
            refused += 1;
        }
    }
    assert_eq!(refused, count);
}

/// A request that is none of ours halts its partition, and nothing behind it is answered.
async fn halts(odd: impl FnOnce(&Record) -> Record) {
    let apart = Apart::new();
    let (process, remote) = (apart.process().await, apart.desk().await);
    accepted(remote.desk.submit(client("A", "open", open())).await);
    let asked = apart.asked_open().await;
    apart.put.append(Topic::Ledger, 0, None, vec![odd(&asked), asked]).await.unwrap();
    // It is not served any more, so its process is not ready; the market goes on.
    let mut served = process.writing.served();
    let halted = served.wait_for(|served| !served.contains(&(Topic::Ledger, 0)));
    tokio::time::timeout(LIMIT, halted).await.expect("within the limit").expect("it is at work");
    accepted(remote.desk.submit_fact(fact("list", reliance())).await);
    process.stop().await;
    assert_eq!(live(&apart.log).await.len(), 1);
}

#[tokio::test]
async fn a_request_that_is_no_command_halts_its_partition() {
    halts(|asked| {
        let headers = Headers::request(RecordKind::Command, "odd".into(), 0, None);
        Record { headers, value: b"{\"what\":1}"[..].into(), ..asked.clone() }
    })
    .await;
}

#[tokio::test]
async fn a_request_whose_envelope_is_endless_halts_its_partition() {
    halts(|asked| changed(asked, "endless", |value| value["kind"] = "x".repeat(100_000).into())).await;
}

#[tokio::test]
async fn another_process_takes_over_and_every_command_is_answered_once() {
    let apart = Apart::new();
    let remote = apart.desk().await;
    let mut keys = HashSet::new();
    for round in 0..5 {
        let process = apart.process().await;
        process.serves(&BOTH).await;
        let asked: Vec<_> = (0..50)
            .map(|number| {
                let desk = Arc::clone(&remote.desk);
                let key = format!("{round}/{number}");
                keys.insert(key.clone());
                tokio::spawn(async move { desk.submit(client("A", &key, deposit("1.00"))).await })
            })
            .collect();
        for _ in 0..round * 7 {
            tokio::task::yield_now().await;
        }
        // Killed in the middle of it; the next answers what is left.
        drop(process);
        let next = apart.process().await;
        for answer in asked {
            answered(answer.await.unwrap());
        }
        next.stop().await;
    }
    let entries = live(&apart.log).await;
    let first: Vec<_> = entries.iter().filter(|e| e.outcome != event_schemas::Outcome::Repeat).collect();
    assert_eq!(first.iter().map(|entry| entry.command.id.to_string()).collect::<HashSet<_>>(), keys);
    assert_eq!(first.len(), keys.len());
    assert_eq!(
        entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(),
        (1..=entries.len() as u64).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn kill9_storm_each_command_one_live_entry() {
    let apart = Apart::new();
    let remote = apart.desk().await;
    let unknown = || Error::Unknown { reason: "the answer was lost".into() };
    let mut asked = Vec::new();
    // One is always at work beside the one that is killed, so that either may own the partition.
    let mut standing = apart.process().await;
    for round in 0..20_usize {
        let next = apart.process().await;
        for number in 0..10 {
            let (desk, key) = (Arc::clone(&remote.desk), format!("{round}/{number}"));
            let told = tokio::spawn({
                let key = key.clone();
                async move { desk.submit(client("A", &key, deposit("1.00"))).await }
            });
            asked.push((key, told));
        }
        match round % 4 {
            0 => apart.log.inject(Fault::FailAfter(unknown())),
            1 => apart.log.inject(Fault::Cut(1, unknown())),
            2 => apart.log.inject(Fault::FailBefore(unknown())),
            _ => {}
        }
        for _ in 0..round * 5 {
            tokio::task::yield_now().await;
        }
        // It is killed wherever it stands, and says nothing to anybody.
        drop(std::mem::replace(&mut standing, next));
    }
    let mut told = Vec::new();
    for (key, answer) in asked {
        told.push((key, answered(answer.await.unwrap()).outcome));
    }
    standing.stop().await;
    let entries = live(&apart.log).await;
    for (key, outcome) in &told {
        let own: Vec<_> = entries.iter().filter(|entry| entry.command.id == key.as_str()).collect();
        let first: Vec<_> = own.iter().filter(|entry| entry.outcome != event_schemas::Outcome::Repeat).collect();
        assert_eq!(first.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [outcome.seq], "{key}");
    }
    assert_eq!(entries.len() as u64, apart.put.tail(Topic::Ledger, 0).await.unwrap(), "one entry for each request");
}

#[tokio::test]
async fn ledger_rebuilds_without_commands() {
    let apart = Apart::new();
    let (process, remote) = (apart.process().await, apart.desk().await);
    accepted(remote.desk.submit(client("A", "open", open())).await);
    let mut told = Vec::new();
    for number in 0..20 {
        let key = format!("{number}");
        let command = match number % 3 {
            2 => client("A", &key, withdraw("100.00")),
            _ => client("A", &key, deposit("1.00")),
        };
        told.push((command.id, answered(remote.desk.submit(command).await).outcome));
    }
    process.stop().await;
    let Apart { log, clock, put } = apart;
    // The commands are gone for good: the ledger holds them with what was decided.
    drop((remote, put));
    let entries = live(&log).await;
    assert!(entries.iter().all(|entry| !entry.command.body.get().is_empty()));
    let running = started(&log, config(&clock)).await;
    for (id, outcome) in told {
        let found = running.desk.outcome(&account("A"), Submitter::Client, &id).await.unwrap();
        assert_eq!(found.outcome, outcome);
    }
    let next = insist(&running, client("A", "next", withdraw("14.00"))).await;
    assert_eq!(next.outcome.seq, 22, "it goes on where it was, with all the cash that was there");
    assert!(matches!(next.outcome.result, commands::OutcomeResult::Accepted { .. }), "{next:?}");
    running.stop().await;
}

#[tokio::test]
async fn two_processes_forced_on_one_partition_answer_every_command_once() {
    let apart = Apart::new();
    let remote = apart.desk().await;
    let (one, other) = (apart.process().await, apart.process().await);
    for number in 0..40 {
        answered(remote.desk.submit(client("A", &format!("{number}"), deposit("1.00"))).await);
    }
    one.stop().await;
    other.stop().await;
    let entries = live(&apart.log).await;
    assert_eq!(entries.iter().map(|entry| entry.source).collect::<Vec<_>>(), (0..40).collect::<Vec<_>>());
}

/// A log whose appends are held back, as those of a process that was stopped; then they land blindly at the end.
struct Held(watch::Receiver<bool>);

impl Between for Held {
    fn appends(&self, _at: Option<u64>) -> BoxFuture<'_, Option<u64>> {
        let mut held = self.0.clone();
        Box::pin(async move {
            drop(held.wait_for(|held| !*held).await.map(drop));
            None
        })
    }
}

#[tokio::test]
async fn zombie_paused_across_failover_changes_nothing() {
    let apart = Apart::new();
    let remote = apart.desk().await;
    let (hold, held) = watch::channel(false);
    let zombie = apart.process_over(Through::of(&apart.log, Held(held)), config(&apart.clock)).await;
    zombie.serves(&BOTH).await;
    accepted(remote.desk.submit(client("A", "open", open())).await);
    hold.send_replace(true);
    // It decides this one, and is stopped before it is appended.
    let desk = Arc::clone(&remote.desk);
    let waiting = tokio::spawn(async move { desk.submit(client("A", "d", deposit("7.00"))).await });
    apart.put.follow(Topic::Ledger, 0, 1).next().await.unwrap();
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    let next = apart.process().await;
    accepted(waiting.await.unwrap());
    accepted(remote.desk.submit(client("A", "d2", deposit("8.00"))).await);
    let before = live(&apart.log).await.len();
    // It wakes, and what it had decided lands.
    let landed = apart.log.tail(Topic::Ledger, 0).await.unwrap();
    zombie.given.send_replace(BTreeSet::new());
    hold.send_replace(false);
    let batch = apart.log.follow(Topic::Ledger, 0, landed).next().await.unwrap();
    assert_eq!(batch[0].record.headers.ce_type, RecordKind::Entry);
    accepted(remote.desk.submit(client("A", "d3", deposit("9.00"))).await);
    zombie.stop().await;
    next.stop().await;
    assert!(dead(&apart.log).await >= 1, "what it appended is dead by the rule");
    let entries = live(&apart.log).await;
    assert_eq!(entries.len(), before + 1);
    assert_eq!(entries.iter().map(|entry| entry.source).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

async fn dead(log: &Memory) -> usize {
    let mut reader = Reader::default();
    let verdicts = records(log).await.into_iter().map(|stored| reader.fold(stored.offset, &stored.record.headers));
    verdicts.filter(|verdict| matches!(verdict, Ok(Verdict::Dead(_)))).count()
}

#[tokio::test]
async fn due_work_goes_through_the_requests_and_is_done_once() {
    let apart = Apart::new();
    let (process, remote) = (apart.process().await, apart.desk().await);
    accepted(remote.desk.submit_fact(fact("list", reliance())).await);
    accepted(remote.desk.submit(client("A", "open", open())).await);
    accepted(remote.desk.submit(client("A", "d", deposit("10000.00"))).await);
    let orders = (0..3).map(|n| submission("A", &format!("o{n}"), Submitter::Operator, buy(1, "100.00"))).collect();
    remote.desk.submit_all(orders).await.into_iter().for_each(|answer| drop(accepted(answer)));
    apart.clock.set("2026-11-24T15:31:00+05:30");
    let expired = await_entry(&apart.log, |entry| entry.command.id == "expire/A-5").await;
    assert_eq!(expired.command.by.role, Submitter::System);
    process.stop().await;
    apart.clock.advance_ms(60_000);
    let process = apart.process().await;
    process.serves(&BOTH).await;
    accepted(remote.desk.submit(client("A", "late", deposit("1.00"))).await);
    process.stop().await;
    let entries = live(&apart.log).await;
    assert_eq!(entries.iter().filter(|entry| entry.command.kind == "expire_order").count(), 3);
    assert_eq!(entries.len() as u64, apart.put.tail(Topic::Ledger, 0).await.unwrap(), "one entry for each request");
}

#[tokio::test]
async fn due_work_is_done_while_the_store_of_snapshots_is_away() {
    let (apart, store) = (Apart::new(), Away::default());
    let config = Config { snapshots: Some(Arc::new(store.clone())), snapshot_entries: 5, ..config(&apart.clock) };
    let process = apart.process_over(Arc::new(apart.log.clone()), config).await;
    let remote = apart.desk().await;
    // A writer that folds again turns away, for a while.
    let insist = async |submission: commands::Submission| {
        while let Answer::Busy { .. } = remote.desk.submit(submission.clone()).await {
            tokio::task::yield_now().await;
        }
    };
    accepted(remote.desk.submit_fact(fact("list", reliance())).await);
    insist(client("A", "open", open())).await;
    insist(client("A", "d", deposit("10000.00"))).await;
    insist(submission("A", "o", Submitter::Operator, buy(1, "100.00"))).await;
    let mut deposits = 0;
    let mut deposit_more = async || {
        deposits += 1;
        insist(client("A", &format!("d{deposits}"), deposit("1.00"))).await;
    };
    while store.saved.lock().expect("nobody panics here").is_empty() {
        deposit_more().await;
    }
    store.is_away.store(true, Ordering::SeqCst);
    deposit_more().await;
    apart.clock.set("2026-11-24T15:31:00+05:30");
    let expired = await_entry(&apart.log, |entry| entry.command.id == "expire/A-3");
    // What was not put is named again some time later.
    let time_goes_on = async {
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            apart.clock.advance_ms(1_000);
        }
    };
    tokio::select! { _ = expired => {}, () = time_goes_on => {} }
    store.is_away.store(false, Ordering::SeqCst);
    process.stop().await;
}

#[tokio::test]
async fn a_command_waits_for_the_market_facts_it_names_and_what_was_made_up_is_refused() {
    let apart = Apart::new();
    let (process, remote) = (apart.process().await, apart.desk().await);
    accepted(remote.desk.submit(client("A", "open", open())).await);
    accepted(remote.desk.submit(client("A", "d", deposit("10000.00"))).await);
    let listed = accepted(remote.desk.submit_fact(fact("list", reliance())).await);
    let after = |next: u64| {
        let position = event_log::Position::after(Topic::Market, 0, next - 1);
        (position.wanted_of_market(), Some(position.to_string().into()))
    };
    let (min_market, min_position) = after(listed.offset + 1);
    let order = commands::Submission { min_market, min_position, ..client("A", "o", buy(1, "100.00")) };
    accepted(remote.desk.submit(order).await);
    let (min_market, min_position) = after(9_999);
    let early = commands::Submission { min_market, min_position, ..client("A", "early", buy(1, "100.00")) };
    assert_eq!(refused(remote.desk.submit(early).await), Rejection::MarketBehind);
    process.stop().await;
}

/// Counts who asks where the market ends.
struct Counting(Arc<AtomicUsize>);

impl Between for Counting {
    fn hides_end(&self, topic: Topic, _partition: u32) -> Option<Error> {
        if topic == Topic::Market {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        None
    }
}

#[tokio::test]
async fn facts_that_many_commands_make_up_are_asked_for_once() {
    let (apart, asked) = (Apart::new(), Arc::new(AtomicUsize::new(0)));
    let log = Through::of(&apart.log, Counting(Arc::clone(&asked)));
    let (process, remote) = (apart.process_over(log, config(&apart.clock)).await, apart.desk().await);
    accepted(remote.desk.submit(client("A", "open", open())).await);
    let min_market = Position::after(Topic::Market, 0, 9_999).wanted_of_market();
    let min_position: Option<Box<str>> = Some(Position::after(Topic::Market, 0, 9_999).to_string().into());
    let made_up = |number| {
        let (min_market, min_position) = (min_market.clone(), min_position.clone());
        commands::Submission { min_market, min_position, ..client("A", &format!("m{number}"), deposit("1.00")) }
    };
    let before = asked.load(Ordering::SeqCst);
    for answer in remote.desk.submit_all((0..200).map(made_up).collect()).await {
        assert_eq!(refused(answer), Rejection::MarketBehind);
    }
    let asked = asked.load(Ordering::SeqCst) - before;
    assert!((1..=4).contains(&asked), "{asked} questions for 200 commands");
    process.stop().await;
}

#[tokio::test]
async fn the_venue_in_a_process_of_its_own_fills_orders() {
    let apart = Apart::new();
    let (process, remote) = (apart.process().await, apart.desk().await);
    let simulated = Config { simulated_venue: true, ..config(&apart.clock) };
    let venue = remote::open(Arc::new(apart.log.clone()), apart.requests(), simulated).await.unwrap();
    accepted(remote.desk.submit_fact(fact("list", reliance())).await);
    accepted(remote.desk.submit_fact(fact("p1", last("2500.00", MORNING))).await);
    accepted(remote.desk.submit(client("A", "open", open())).await);
    accepted(remote.desk.submit(client("A", "d", deposit("100000.00"))).await);
    accepted(remote.desk.submit(client("A", "o", buy(10, "2550.00"))).await);
    let filled = |entry: &event_schemas::Entry<'_>| entry.command.kind == "record_fill";
    assert_eq!(await_entry(&apart.log, filled).await.command.by.role, Submitter::Venue);
    drop(venue);
    process.stop().await;
}

#[tokio::test]
async fn a_snapshot_shortens_the_start_and_keys_before_it_keep_their_outcome() {
    let apart = Apart::new();
    let store = Arc::new(Snapshots::default());
    let with_store = || Config {
        snapshots: Some(Arc::clone(&store) as _),
        snapshot_entries: 20,
        books_max: 1,
        ..config(&apart.clock)
    };
    let log: Arc<dyn EventLog> = Arc::new(apart.log.clone());
    let process = apart.process_over(Arc::clone(&log), with_store()).await;
    let remote = remote::open(Arc::clone(&log), apart.requests(), with_store()).await.unwrap();
    for number in 0..30 {
        accepted(remote.desk.submit(client(&format!("A{number}"), "open", open())).await);
        accepted(remote.desk.submit(client(&format!("A{number}"), "d", deposit("1.00"))).await);
    }
    process.stop().await;
    let process = apart.process_over(Arc::clone(&log), with_store()).await;
    // A desk that starts now folds only what came since the snapshot; older keys are looked up there.
    let later = remote::open(Arc::clone(&log), apart.requests(), with_store()).await.unwrap();
    let first = later.desk.outcome(&account("A0"), Submitter::Client, &id("d")).await.unwrap();
    assert_eq!(first.outcome.seq, 2);
    for number in 0..30 {
        let again = answered(later.desk.submit(client(&format!("A{number}"), "d", deposit("1.00"))).await);
        assert!(again.replayed && again.outcome.seq == 2, "{again:?}");
    }
    let new = accepted(later.desk.submit(client("A7", "new", deposit("1.00"))).await);
    assert_eq!(new.outcome.seq, 4, "open, deposit, and the entry that repeats it came before");
    // While the store hangs, who asks for an old outcome waits alone.
    let hanging = Away::of(&store);
    let config = Config { snapshots: Some(Arc::new(hanging.clone())), ..with_store() };
    let later = remote::open(Arc::clone(&log), apart.requests(), config).await.unwrap();
    hanging.hangs.store(true, Ordering::SeqCst);
    let desk = Arc::clone(&later.desk);
    let waits = tokio::spawn(async move { desk.submit(client("A1", "d", deposit("1.00"))).await });
    await_entry(&apart.log, |entry| entry.seq == 4 && entry.account.as_str() == "A1").await;
    let new = tokio::time::timeout(LIMIT / 2, later.desk.submit(client("A9", "new", deposit("1.00")))).await;
    accepted(new.expect("nobody waits for the store of another's outcome"));
    assert!(!waits.is_finished());
    waits.abort();
    process.stop().await;
    let repeats = live(&apart.log).await.iter().filter(|e| e.outcome == event_schemas::Outcome::Repeat).count();
    assert_eq!(repeats, 31);
}
