//! Snapshots: a start from one is the same as one from the first entry, and none holds what is not in the log.

use crate::common::*;
use bytes::Bytes;
use commands::{Answer, Config};
use domain::{
    book::{self, Book},
    command::Submitter,
    rejection::Rejection,
};
use event_log::{
    BoxFuture, Error, EventLog, RecordKind, Stored, Topic,
    memory::{Fault, Memory},
    rule::Reader,
    snapshot::{Due, Item, Known, Place, Save, SnapshotStore, State, memory::Memory as Snapshots},
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

const BOOKS: Place = Place { reader: "books", topic: Topic::Ledger, partition: 0 };

/// So few entries and books that nearly everything is cold and old.
fn small(clock: &Arc<Driven>, store: &Snapshots) -> Config {
    Config { snapshots: Some(Arc::new(store.clone())), snapshot_entries: 5, books_max: 2, ..config(clock) }
}

fn name(number: usize) -> String {
    format!("A{}", number % 7)
}

/// Books by a plain fold of the log up to an offset.
async fn folded(log: &Memory, end: u64) -> (HashMap<String, Book>, Reader) {
    let mut books = HashMap::new();
    let mut reader = Reader::default();
    for stored in records(log).await.into_iter().take_while(|stored| stored.offset < end) {
        if reader.fold(stored.offset, &stored.record.headers).unwrap() != event_log::rule::Verdict::Entry {
            continue;
        }
        let entry = event_schemas::decode_entry(&stored.record.value).unwrap();
        let before = books.remove(entry.account.as_str()).unwrap_or_else(|| Book::new(entry.account));
        let after = book::fold(before, entry.seq, entry.recorded_at, &entry.events);
        books.insert(entry.account.to_string(), after);
    }
    (books, reader)
}

/// What the store holds is what the log says up to the snapshot's end, no more and no less.
async fn check(log: &Memory, store: &Snapshots) -> u64 {
    let state = store.state(BOOKS).await.unwrap().expect("a snapshot was saved");
    let (books, reader) = folded(log, state.reader.offset).await;
    assert_eq!(state.reader, reader);
    let items = store.page(BOOKS, None, 1_000).await.unwrap();
    let kept: HashMap<String, Book> =
        items.iter().map(|item| (item.key.to_string(), postcard::from_bytes(&item.blob).unwrap())).collect();
    assert_eq!(kept, books);
    state.reader.offset
}

#[tokio::test]
async fn a_key_from_the_first_day_gets_its_first_answer_from_a_cold_book() {
    let (log, clock, store) = (Memory::new(1), Driven::at(MORNING), Snapshots::new());
    let mut first = Vec::new();
    for start in 0..4 {
        let running = started(&log, small(&clock, &store)).await;
        if start == 0 {
            accepted(running.desk.submit_fact(fact("list", reliance())).await);
        }
        for number in 0..20 {
            let (account, key) = (name(number), format!("{start}/{number}"));
            if start == 0 && number < 7 {
                first.push((account.clone(), answered(running.desk.submit(client(&account, &key, open())).await)));
            } else {
                accepted(running.desk.submit(client(&account, &key, deposit("10.00"))).await);
            }
        }
        let tail = log.tail(Topic::Ledger, 0).await.unwrap();
        for (number, (account, answer)) in first.iter().enumerate() {
            let key = format!("0/{number}");
            let again = answered(running.desk.submit(client(account, &key, open())).await);
            assert!(again.replayed);
            assert_eq!((&again.outcome, again.offset), (&answer.outcome, answer.offset));
            let other = running.desk.submit(client(account, &key, deposit("1.00"))).await;
            assert!(
                matches!(other, Answer::KeyReused { first_offset, .. } if first_offset == answer.offset),
                "{other:?}"
            );
            let account = crate::common::account(account);
            let found = running.desk.outcome(&account, Submitter::Client, &id(&key)).await.expect("it has an outcome");
            assert_eq!(found.offset, answer.offset);
        }
        assert_eq!(log.tail(Topic::Ledger, 0).await.unwrap(), tail, "a repeat adds nothing");
        running.stop().await;
        assert_eq!(check(&log, &store).await, log.tail(Topic::Ledger, 0).await.unwrap(), "the stop left one of all");
    }
    let (books, _) = folded(&log, u64::MAX).await;
    assert_eq!(books.values().map(|book| book.cash.settled.smallest()).sum::<i64>(), 73 * 1_000);
}

#[tokio::test]
async fn a_snapshot_never_holds_what_failed_to_land() {
    let (log, clock, store) = (Memory::new(1), Driven::at(MORNING), Snapshots::new());
    let running = started(&log, small(&clock, &store)).await;
    for number in 0..60 {
        if number % 7 == 3 {
            let lost = event_log::Error::Unknown { reason: "the answer was lost".into() };
            log.inject(if number % 2 == 0 {
                Fault::FailAfter(lost)
            } else {
                Fault::FailBefore(event_log::Error::Full)
            });
        }
        insist(&running, client(&name(number), &format!("open-{}", number % 7), open())).await;
        insist(&running, client(&name(number), &format!("d{number}"), deposit("10.00"))).await;
        if number % 10 == 9 {
            check(&log, &store).await;
        }
    }
    running.stop().await;
    check(&log, &store).await;
    let (books, _) = folded(&log, u64::MAX).await;
    assert_eq!(books.values().map(|book| book.cash.settled.smallest()).sum::<i64>(), 60 * 1_000);
}

#[tokio::test]
async fn work_falls_due_for_cold_books_too() {
    let (log, clock, store) = (Memory::new(1), Driven::at(MORNING), Snapshots::new());
    let running = started(&log, small(&clock, &store)).await;
    accepted(running.desk.submit_fact(fact("list", reliance())).await);
    for number in 0..7 {
        accepted(running.desk.submit(client(&name(number), "open", open())).await);
        accepted(running.desk.submit(client(&name(number), "d", deposit("1000.00"))).await);
        accepted(running.desk.submit(client(&name(number), "o", buy(1, "100.00"))).await);
    }
    running.stop().await;
    let running = started(&log, small(&clock, &store)).await;
    clock.set("2026-11-24T15:31:00+05:30");
    for number in 0..7 {
        let expire = format!("expire/{}-3", name(number));
        await_entry(&log, |entry| entry.command.id == expire).await;
    }
    running.stop().await;
    let entries = live(&log).await;
    assert_eq!(entries.iter().filter(|entry| entry.command.kind == "expire_order").count(), 7);
    check(&log, &store).await;
}

#[tokio::test]
async fn what_cannot_be_read_is_forgotten_and_the_log_is_folded_again() {
    let (log, clock, store) = (Memory::new(1), Driven::at(MORNING), Snapshots::new());
    let running = started(&log, small(&clock, &store)).await;
    for number in 0..7 {
        accepted(running.desk.submit(client(&name(number), "open", open())).await);
    }
    running.stop().await;
    // A state that fits and books that do not: found only when one is needed.
    let state = store.state(BOOKS).await.unwrap().expect("a snapshot was saved");
    let items = store.page(BOOKS, None, 100).await.unwrap();
    let spoiled = items.into_iter().map(|mut item| {
        item.blob = item.blob.slice(..item.blob.len() / 2);
        item
    });
    let (onto, items) = (state.reader.offset, spoiled.collect());
    store.save(BOOKS, Save { onto, state, items, removed: Vec::new(), known: Vec::new() }).await.unwrap();
    let running = started(&log, small(&clock, &store)).await;
    for number in 0..7 {
        insist(&running, client(&name(number), "d", deposit("10.00"))).await;
        let again = insist(&running, client(&name(number), "again", open())).await;
        assert!(
            matches!(again.outcome.result, commands::OutcomeResult::Refused { code: Rejection::AccountExists, .. }),
            "{again:?}"
        );
    }
    running.stop().await;
    check(&log, &store).await;
}

#[tokio::test]
async fn without_a_store_and_with_one_the_log_is_the_same() {
    let mut logs = Vec::new();
    for with_store in [false, true] {
        let (log, clock, store) = (Memory::new(1), Driven::at(MORNING), Snapshots::new());
        let config = |clock| if with_store { small(clock, &store) } else { config(clock) };
        for start in 0..3 {
            let running = started(&log, config(&clock)).await;
            for number in 0..30 {
                let command = client(&name(number), &format!("{start}/{number}"), deposit("1.00"));
                answered(running.desk.submit(command).await);
            }
            running.stop().await;
        }
        logs.push(
            live(&log).await.into_iter().map(|entry| (entry.account, entry.seq, entry.events)).collect::<Vec<_>>(),
        );
    }
    assert_eq!(logs[0], logs[1]);
}

/// A store that cannot be asked while it is away.
#[derive(Clone, Default)]
pub struct Away {
    kept: Snapshots,
    pub is_away: Arc<AtomicBool>,
    /// Whether it answers no look-ups, and all else; and how many it did not.
    is_mute: Arc<AtomicBool>,
    unanswered: Arc<AtomicUsize>,
    /// Whether who looks something up waits for ever, as where the server hangs.
    pub hangs: Arc<AtomicBool>,
    /// Whether only its state can be asked, as where another of its tables is locked.
    is_away_in_part: Arc<AtomicBool>,
    /// How many items each save held.
    pub saved: Arc<Mutex<Vec<usize>>>,
}

impl Away {
    /// In front of a store that others use, too.
    pub fn of(kept: &Snapshots) -> Self {
        Self { kept: kept.clone(), ..Self::default() }
    }

    fn ask<'a, T>(&'a self, ask: BoxFuture<'a, Result<T, Error>>) -> BoxFuture<'a, Result<T, Error>> {
        match self.is_away.load(Ordering::SeqCst) || self.is_away_in_part.load(Ordering::SeqCst) {
            true => Box::pin(async { Err(Error::Database { at: "nowhere".into(), reason: "it is away".into() }) }),
            false => ask,
        }
    }

    fn look_up<'a, T: 'a>(&'a self, ask: BoxFuture<'a, Result<T, Error>>) -> BoxFuture<'a, Result<T, Error>> {
        if self.hangs.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        if !self.is_mute.load(Ordering::SeqCst) {
            return self.ask(ask);
        }
        self.unanswered.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Err(Error::Database { at: "nowhere".into(), reason: "it looks up nothing".into() }) })
    }
}

impl SnapshotStore for Away {
    fn is_shared(&self) -> bool {
        true
    }
    fn state(&self, place: Place) -> BoxFuture<'_, Result<Option<State>, Error>> {
        match self.is_away_in_part.load(Ordering::SeqCst) {
            true => self.kept.state(place),
            false => self.ask(self.kept.state(place)),
        }
    }
    fn save(&self, place: Place, save: Save) -> BoxFuture<'_, Result<(), Error>> {
        self.saved.lock().expect("nobody panics here").push(save.items.len());
        self.ask(self.kept.save(place, save))
    }
    fn items(&self, place: Place, keys: Vec<Box<str>>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, Error>> {
        self.look_up(self.kept.items(place, keys))
    }
    fn page(&self, place: Place, after: Option<Box<str>>, max: usize) -> BoxFuture<'_, Result<Vec<Item>, Error>> {
        self.ask(self.kept.page(place, after, max))
    }
    fn due(&self, place: Place, after: Option<Due>, max: usize) -> BoxFuture<'_, Result<Vec<Due>, Error>> {
        self.ask(self.kept.due(place, after, max))
    }
    fn known(&self, place: Place, keys: Vec<[u8; 16]>) -> BoxFuture<'_, Result<Vec<Option<Known>>, Error>> {
        self.look_up(self.kept.known(place, keys))
    }
    fn keys(&self, place: Place, first: u8) -> BoxFuture<'_, Result<Vec<[u8; 16]>, Error>> {
        self.ask(self.kept.keys(place, first))
    }
    fn forget(&self, place: Place) -> BoxFuture<'_, Result<(), Error>> {
        self.ask(self.kept.forget(place))
    }
}

#[tokio::test]
async fn a_snapshot_adds_only_the_books_that_changed_since_the_one_before() {
    let (log, clock, store) = (Memory::new(1), Driven::at(MORNING), Away::default());
    let config = || Config { snapshots: Some(Arc::new(store.clone())), ..small(&clock, &store.kept) };
    let running = started(&log, config()).await;
    opened(&running).await;
    running.stop().await;
    check(&log, &store.kept).await;
    store.saved.lock().expect("nobody panics here").clear();
    let running = started(&log, config()).await;
    for number in 0..20 {
        insist(&running, client("A3", &format!("d{number}"), deposit("1.00"))).await;
    }
    running.stop().await;
    check(&log, &store.kept).await;
    let saved = store.saved.lock().expect("nobody panics here").clone();
    assert!(saved.len() > 1 && saved.iter().all(|items| *items == 1), "{saved:?}");
}

/// Submits until the writer serves. Time stands still while anybody has something to do, so whoever is turned away waits.
async fn done(running: &Started, submission: commands::Submission) {
    let insisting = async {
        while let Answer::Busy { .. } = running.desk.submit(submission.clone()).await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LIMIT, insisting).await.expect("the writer serves again within the limit");
}

/// Seven accounts.
async fn opened(running: &Started) {
    for number in 0..7 {
        done(running, client(&name(number), "open", open())).await;
    }
}

/// So many deposits of ten rupees, each with a key of its round.
async fn deposited(running: &Started, many: usize, round: usize) {
    for number in 0..many {
        done(running, client(&name(number), &format!("{round}/{number}"), deposit("10.00"))).await;
    }
}

/// Waits for a save, which is beside all else, and says where it ends.
async fn saved_past(log: &Memory, store: &Away, offset: u64) -> u64 {
    let saving = async {
        loop {
            let state = store.kept.state(BOOKS).await.unwrap();
            match state.map(|state| state.reader.offset).filter(|end| *end > offset) {
                Some(_) => break check(log, &store.kept).await,
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    tokio::time::timeout(LIMIT, saving).await.expect("it is saved to within the limit")
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_finds_another_snapshot_when_it_saves_reads_again_and_saves_anew() {
    let (log, clock, store) = (Memory::new(1), Driven::at(MORNING), Away::default());
    let config = Config { snapshots: Some(Arc::new(store.clone())), snapshot_entries: 5, ..config(&clock) };
    let running = started(&log, config).await;
    let claims = async || {
        let is_claim = |stored: &Arc<Stored>| stored.record.headers.ce_type == RecordKind::Claim;
        records(&log).await.iter().filter(|stored| is_claim(stored)).count()
    };
    done(&running, client("A", "open", open())).await;
    // What is in memory is not looked up, so only a save can find out.
    for round in 0..3 {
        for number in 0..10 {
            done(&running, client("A", &format!("{round}/{number}"), deposit("10.00"))).await;
        }
        // It may save on the way, before it claims.
        let claimed = async {
            while claims().await < 1 + round {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(LIMIT, claimed).await.expect("claimed anew, as what was stored was gone");
        saved_past(&log, &store, 0).await;
        assert_eq!(claims().await, 1 + round, "each time what was stored was gone, the partition was claimed once");
        store.kept.forget(BOOKS).await.unwrap();
    }
    running.stop().await;
    assert_eq!(live(&log).await.len(), 31);
}

#[tokio::test(start_paused = true)]
async fn after_five_look_ups_without_an_answer_a_store_is_asked_no_more_until_it_answers() {
    let (log, clock, store) = (Memory::new(1), Driven::at(MORNING), Away::default());
    let config = Config { snapshots: Some(Arc::new(store.clone())), ..small(&clock, &store.kept) };
    let running = started(&log, config).await;
    let deposits = async |round| deposited(&running, 14, round).await;
    opened(&running).await;
    deposits(0).await;
    // All but the last few are saved, so some of the books are cold.
    let end = log.tail(Topic::Ledger, 0).await.unwrap();
    saved_past(&log, &store, end - 5).await;
    store.is_mute.store(true, Ordering::SeqCst);
    deposits(1).await;
    assert_eq!(store.unanswered.load(Ordering::SeqCst), 5, "then all is kept in memory");
    store.is_mute.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    deposits(2).await;
    let tail = log.tail(Topic::Ledger, 0).await.unwrap();
    saved_past(&log, &store, tail - 5).await;
    for round in 0..3 {
        deposits(round).await;
    }
    assert_eq!(log.tail(Topic::Ledger, 0).await.unwrap(), tail, "a repeat adds nothing");
    running.stop().await;
    let (books, _) = folded(&log, u64::MAX).await;
    assert_eq!(books.values().map(|book| book.cash.settled.smallest()).sum::<i64>(), 42 * 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_away_is_taken_up_again_and_nothing_is_done_twice() {
    let (log, clock, store) = (Memory::new(1), Driven::at(MORNING), Away::default());
    let config = Config { snapshots: Some(Arc::new(store.clone())), ..small(&clock, &store.kept) };
    let running = started(&log, config).await;
    let deposits = async |round| deposited(&running, 20, round).await;
    opened(&running).await;
    deposits(0).await;
    let before = saved_past(&log, &store, 0).await;
    store.is_away.store(true, Ordering::SeqCst);
    deposits(1).await;
    let while_away = store.kept.state(BOOKS).await.unwrap().map_or(0, |state| state.reader.offset);
    assert!(while_away < log.tail(Topic::Ledger, 0).await.unwrap() - 15, "nothing is saved while it is away");
    // Keys of before are known without it.
    deposits(0).await;
    store.is_away.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    deposits(2).await;
    saved_past(&log, &store, before).await;
    for round in 0..3 {
        let tail = log.tail(Topic::Ledger, 0).await.unwrap();
        deposits(round).await;
        assert_eq!(log.tail(Topic::Ledger, 0).await.unwrap(), tail, "a repeat adds nothing");
    }
    running.stop().await;
    assert_eq!(check(&log, &store.kept).await, log.tail(Topic::Ledger, 0).await.unwrap(), "the stop left one of all");
    let (books, _) = folded(&log, u64::MAX).await;
    assert_eq!(books.values().map(|book| book.cash.settled.smallest()).sum::<i64>(), 60 * 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_answers_in_part_is_not_taken_up_until_it_answers_all() {
    let (log, clock, store) = (Memory::new(1), Driven::at(MORNING), Away::default());
    let config = || Config { snapshots: Some(Arc::new(store.clone())), ..small(&clock, &store.kept) };
    let running = started(&log, config()).await;
    opened(&running).await;
    running.stop().await;
    store.is_away_in_part.store(true, Ordering::SeqCst);
    let running = started(&log, config()).await;
    insist(&running, client("A1", "d", deposit("10.00"))).await;
    let (tail, saved) = (log.tail(Topic::Ledger, 0).await.unwrap(), check(&log, &store.kept).await);
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(log.tail(Topic::Ledger, 0).await.unwrap(), tail, "nothing is folded and claimed again meanwhile");
    assert_eq!(check(&log, &store.kept).await, saved);
    store.is_away_in_part.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let is_repeat = insist(&running, client("A1", "d", deposit("10.00"))).await.replayed;
    assert!(is_repeat && log.tail(Topic::Ledger, 0).await.unwrap() > tail, "it is taken up");
    running.stop().await;
    assert_eq!(check(&log, &store.kept).await, log.tail(Topic::Ledger, 0).await.unwrap());
}
