//! What failing, lost, late and foreign appends leave behind: one entry for each command, and somebody who serves.

use crate::common::*;
use commands::{Answer, Config};
use domain::{command::Submitter, order, order::ReportKind, rejection::Rejection};
use event_log::{
    Error, EventLog, Headers, Record, RecordKind, Topic,
    memory::{Fault, Gate, Memory},
    sqlite::{Options, Sqlite},
};
use event_schemas::{Claim, encode_claim};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

fn lost() -> Error {
    Error::Unknown { reason: "the answer was lost".into() }
}

/// A gate for the next append but so many.
fn delay_after(log: &Memory, others: usize) -> Gate {
    let gate = Gate::new();
    (0..others).for_each(|_| log.inject(Fault::None));
    log.inject(Fault::Delay(gate.clone()));
    gate
}

#[tokio::test]
async fn no_entry_before_own_claim_seen() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let gate = delay_after(&log, 1);
    let starting = tokio::spawn(Started::over(Arc::new(log.clone()), config(&clock)));
    // The market is claimed first; then the ledger's claim is held.
    log.follow(Topic::Market, 0, 0).next().await.unwrap();
    assert!(!starting.is_finished());
    gate.open();
    let running = starting.await.unwrap();
    accepted(running.desk.submit(client("A", "open", open())).await);
    running.stop().await;
    let kinds: Vec<_> = records(&log).await.iter().map(|stored| stored.record.headers.ce_type).collect();
    assert_eq!(kinds, [RecordKind::Claim, RecordKind::Entry]);
}

#[tokio::test]
async fn a_claim_whose_answer_is_lost_counts_if_it_landed() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    log.inject(Fault::None);
    log.inject(Fault::FailAfter(lost()));
    let running = started(&log, config(&clock)).await;
    accepted(running.desk.submit(client("A", "open", open())).await);
    running.stop().await;
    assert_eq!(records(&log).await.len(), 2);
}

#[tokio::test]
async fn restart_never_reuses_writer_id() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    for _ in 0..3 {
        started(&log, config(&clock)).await.stop().await;
    }
    let claims = records(&log).await;
    let writers: HashSet<_> = claims.iter().map(|stored| stored.record.headers.writer).collect();
    assert_eq!(writers.len(), 3);
    let terms: Vec<_> = claims.iter().map(|stored| stored.record.headers.term).collect();
    assert_eq!(terms, [1, 2, 3]);
}

#[tokio::test]
async fn same_term_never_redecides() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let running = started(&log, config(&clock)).await;
    insist(&running, client("A", "open", open())).await;
    for (number, fault) in [
        Fault::FailBefore(lost()),
        Fault::FailAfter(lost()),
        Fault::Cut(1, lost()),
        Fault::FailBefore(Error::Full),
        Fault::FailAfter(lost()),
    ]
    .into_iter()
    .enumerate()
    {
        log.inject(fault);
        clock.advance_ms(1);
        let batch = (0..3).map(|item| client("A", &format!("{number}/{item}"), deposit("1.00"))).collect();
        running.desk.submit_all(batch).await;
        for item in 0..3 {
            clock.advance_ms(1);
            insist(&running, client("A", &format!("{number}/{item}"), deposit("1.00"))).await;
        }
    }
    running.stop().await;
    let mut decided: HashMap<(u64, u128, i64), Vec<u8>> = HashMap::new();
    for stored in records(&log).await {
        let headers = &stored.record.headers;
        if headers.ce_type == RecordKind::Entry {
            let key = (headers.term, headers.writer, headers.source);
            let value = stored.record.value.to_vec();
            assert_eq!(*decided.entry(key).or_insert_with(|| value.clone()), value);
        }
    }
    let keys: Vec<_> = live(&log).await.iter().map(|entry| entry.command.id.to_string()).collect();
    assert_eq!((keys.len(), keys.iter().collect::<HashSet<_>>().len()), (16, 16), "one live entry each: {keys:?}");
}

#[tokio::test]
async fn failed_append_that_landed_answers_once() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let running = started(&log, config(&clock)).await;
    accepted(running.desk.submit(client("A", "open", open())).await);
    log.inject(Fault::FailAfter(lost()));
    let first = accepted(running.desk.submit(client("A", "d", deposit("7.00"))).await);
    assert!(!first.replayed, "it is the first answer that its caller gets");
    let again = insist(&running, client("A", "d", deposit("7.00"))).await;
    assert_eq!((again.outcome, again.replayed), (first.outcome, true));
    running.stop().await;
    assert_eq!(live(&log).await.len(), 2);
}

#[tokio::test]
async fn a_lost_append_leaves_the_key_free_and_the_writer_recovers() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let running = started(&log, config(&clock)).await;
    accepted(running.desk.submit(client("A", "open", open())).await);
    for (number, error) in [lost(), Error::Busy].into_iter().enumerate() {
        insist(&running, client("B", &format!("{number}"), open())).await;
        log.inject(Fault::FailBefore(error));
        let answer = running.desk.submit(client("A", "d", deposit("7.00"))).await;
        assert!(matches!(answer, Answer::Busy { .. }), "{answer:?}");
    }
    let done = insist(&running, client("A", "d", deposit("8.00"))).await;
    assert_eq!((done.outcome.seq, done.replayed), (2, false));
    running.stop().await;
    assert_eq!(live(&log).await.len(), 4);
}

#[tokio::test]
async fn query_never_sees_speculation() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let running = started(&log, config(&clock)).await;
    accepted(running.desk.submit(client("A", "open", open())).await);
    let gate = delay_after(&log, 0);
    let desk = Arc::clone(&running.desk);
    let first = tokio::spawn(async move { desk.submit(client("A", "d", deposit("7.00"))).await });
    // The repeat is decided on what the first left in memory, and answered no sooner.
    let desk = Arc::clone(&running.desk);
    let repeat = tokio::spawn(async move { desk.submit(client("A", "d", deposit("7.00"))).await });
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(!first.is_finished() && !repeat.is_finished());
    assert_eq!(running.desk.outcome(&account("A"), Submitter::Client, &id("d")).await, None);
    gate.open();
    let (first, repeat) = (answered(first.await.unwrap()), answered(repeat.await.unwrap()));
    assert_eq!(first.outcome, repeat.outcome);
    let known = running.desk.outcome(&account("A"), Submitter::Client, &id("d")).await.unwrap();
    assert_eq!(known.outcome, first.outcome);
    running.stop().await;
}

#[tokio::test]
async fn poison_and_oversize_yield_refusal() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let running = started(&log, config(&clock)).await;
    accepted(running.desk.submit(client("A", "open", open())).await);
    let endless = order::Report {
        order_id: "A-1".parse().unwrap(),
        report: ReportKind::Cancelled,
        exchange_order_id: None,
        reason: Some("x".repeat(event_log::VALUE_BYTES_MAX).into()),
        quantity: None,
        price: None,
        at: domain::time::Timestamp::parse(MORNING).unwrap(),
    };
    let oversize = submission("A", "large", Submitter::Venue, endless);
    assert_eq!(refused(running.desk.submit(oversize.clone()).await), Rejection::Undecodable);
    let import = |key: &str| {
        let import = domain::history::ImportTrade {
            instrument: "NSE:RELIANCE".parse().unwrap(),
            kind: domain::history::Kind::Purchase,
            quantity: domain::money::Quantity::new(i64::MAX),
            price: None,
            exchange: None,
            trade_id: None,
            executed_at: domain::time::Timestamp::parse(MORNING).unwrap(),
        };
        submission("A", key, Submitter::Import, import)
    };
    accepted(running.desk.submit(import("most")).await);
    assert_eq!(refused(running.desk.submit(import("more")).await), Rejection::Undecodable);
    insist(&running, client("A", "d", deposit("7.00"))).await;
    running.stop().await;
    let running = started(&log, config(&clock)).await;
    let again = answered(running.desk.submit(oversize).await);
    assert!(again.replayed, "the key of what could not be kept is known by its hash");
    running.stop().await;
}

#[tokio::test]
async fn two_owners_progress_with_backoff() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let one = started(&log, config(&clock)).await;
    let other = started(&log, config(&clock)).await;
    insist(&one, client("A", "open", open())).await;
    for number in 0..4 {
        insist(&one, client("A", &format!("one/{number}"), deposit("1.00"))).await;
        insist(&other, client("A", &format!("other/{number}"), deposit("1.00"))).await;
    }
    one.stop().await;
    other.stop().await;
    let sequence: Vec<_> = live(&log).await.iter().map(|entry| entry.seq).collect();
    assert_eq!(sequence, (1..=9).collect::<Vec<_>>());
}

fn foreign_claim(term: u64) -> Record {
    let recorded_at = domain::time::Timestamp::parse(MORNING).unwrap();
    let mut value = Vec::new();
    encode_claim(&Claim { term, writer: 0xdead, commands: "gone".into(), recorded_at }, &mut value);
    let headers = Headers::claim(term, 0xdead, format!("claim/{term}").into(), recorded_at.micros());
    Record { key: None, headers, value: value.into() }
}

#[tokio::test]
async fn late_claim_of_dead_writer_does_not_stall() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let running = started(&log, config(&clock)).await;
    insist(&running, client("A", "open", open())).await;
    // Dead, as its term is held already; then live, and nobody is behind it.
    for (number, term) in [1, 9].into_iter().enumerate() {
        log.append(Topic::Ledger, 0, None, vec![foreign_claim(term)]).await.unwrap();
        insist(&running, client("A", &format!("d{number}"), deposit("1.00"))).await;
    }
    running.stop().await;
    assert_eq!(live(&log).await.len(), 3);
}

#[tokio::test]
async fn nothing_is_half_applied_while_the_disk_is_full_and_it_goes_on_when_space_returns() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Driven::at(MORNING));
    let log = Arc::new(Sqlite::open(folder.path(), Options::default()).await.unwrap());
    let running = Started::over(Arc::clone(&log) as Arc<dyn EventLog>, config(&clock)).await;
    insist(&running, client("A", "open", open())).await;
    log.limit(Some(1));
    let mut turned_away = 0;
    let mut kept = Vec::new();
    for number in 0..200 {
        let key = format!("full/{number}");
        match running.desk.submit(client("A", &key, deposit("1.00"))).await {
            Answer::Busy { .. } => turned_away += 1,
            answer => kept.push(accepted(answer).outcome.command_id),
        }
    }
    assert!(turned_away > 0, "the limit was reached");
    log.limit(None);
    insist(&running, client("A", "after", deposit("1.00"))).await;
    for number in 0..200 {
        insist(&running, client("A", &format!("full/{number}"), deposit("1.00"))).await;
    }
    running.stop().await;
    let entries = live(&*log).await;
    assert_eq!(entries.len(), 202);
    assert!(kept.iter().all(|key| entries.iter().any(|entry| *entry.command.id == **key)));
    log.close().await;
}

#[tokio::test]
async fn recorded_times_never_decrease_even_over_restarts() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let running = started(&log, config(&clock)).await;
    insist(&running, client("A", "open", open())).await;
    running.stop().await;
    clock.set("2026-11-24T09:00:00+05:30");
    let running = started(&log, config(&clock)).await;
    insist(&running, client("A", "d", deposit("1.00"))).await;
    running.stop().await;
    let entries = live(&log).await;
    assert!(entries[0].recorded_at <= entries[1].recorded_at);
    assert_eq!(entries.iter().map(|entry| entry.source).collect::<Vec<_>>(), [0, 1]);
}

#[tokio::test]
async fn a_full_queue_turns_away_and_records_nothing() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let running = started(&log, Config { queue: 2, batch: 1, ..config(&clock) }).await;
    insist(&running, client("A", "open", open())).await;
    let gate = delay_after(&log, 0);
    let submitted: Vec<_> = (0..10)
        .map(|number| {
            let desk = Arc::clone(&running.desk);
            tokio::spawn(async move { desk.submit(client("A", &format!("{number}"), deposit("1.00"))).await })
        })
        .collect();
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    gate.open();
    let mut busy = 0;
    for answer in submitted {
        busy += usize::from(matches!(answer.await.unwrap(), Answer::Busy { .. }));
    }
    running.stop().await;
    let recorded = live(&log).await.len() - 1;
    assert!(busy > 0 && recorded > 0, "{busy} were turned away, {recorded} recorded");
    assert_eq!(busy + recorded, 10);
}
