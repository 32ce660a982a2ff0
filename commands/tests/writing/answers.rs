//! What callers are told: one outcome for each key, for ever, and nothing before it is durable.

use crate::common::*;
use commands::{Answer, Config};
use domain::{command::Submitter, rejection::Rejection};
use event_log::memory::Memory;

#[tokio::test]
async fn repeat_returns_original_outcome_including_refused() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let running = started(&log, config(&clock)).await;
    let opened = accepted(running.desk.submit(client("A", "open", open())).await);
    let refusal = running.desk.submit(client("A", "w", withdraw("5.00"))).await;
    let refusal = answered(refusal);
    accepted(running.desk.submit(client("A", "d", deposit("10.00"))).await);
    let mut running = running;
    for _ in 0..2 {
        let again = answered(running.desk.submit(client("A", "w", withdraw("5.00"))).await);
        assert!(again.replayed);
        assert_eq!((&again.outcome, again.offset), (&refusal.outcome, refusal.offset));
        let again = answered(running.desk.submit(client("A", "open", open())).await);
        assert_eq!((&again.outcome, again.offset), (&opened.outcome, opened.offset));
        running.stop().await;
        running = started(&log, config(&clock)).await;
    }
    running.stop().await;
    assert_eq!(live(&log).await.len(), 3, "repeats of known keys record nothing");
}

#[tokio::test]
async fn same_id_other_payload_is_conflict() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let running = started(&log, config(&clock)).await;
    accepted(running.desk.submit(client("A", "open", open())).await);
    let first = accepted(running.desk.submit(client("A", "k", deposit("10.00"))).await);
    let other = running.desk.submit(client("A", "k", deposit("11.00"))).await;
    assert_eq!(other, Answer::KeyReused { partition: 0, first_offset: first.offset });
    let by_operator = submission("A", "k", Submitter::Operator, deposit("11.00"));
    accepted(running.desk.submit(by_operator).await);
    running.stop().await;
}

#[tokio::test]
async fn a_repeat_in_flight_gets_an_entry_without_events_and_the_first_outcome() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let running = started(&log, config(&clock)).await;
    let batch = vec![
        client("A", "open", open()),
        client("A", "k", deposit("10.00")),
        client("A", "k", deposit("10.00")),
        client("A", "k", deposit("12.00")),
    ];
    let answers = running.desk.submit_all(batch).await;
    let [_, first, repeat, other] = answers.try_into().unwrap();
    let (first, repeat) = (accepted(first), accepted(repeat));
    assert_eq!((&first.outcome, first.offset), (&repeat.outcome, repeat.offset));
    assert!(!first.replayed && repeat.replayed);
    assert_eq!(refused(other), Rejection::IdempotencyKeyReused);
    let entries = live(&log).await;
    assert_eq!(entries[2].outcome, event_schemas::Outcome::Repeat);
    assert_eq!((entries[2].first, entries[2].events.len()), (Some(2), 0));
    let after = running.desk.submit(client("A", "k", deposit("10.00"))).await;
    assert_eq!(answered(after).outcome, first.outcome, "a reused key keeps its first outcome");
    running.stop().await;
}

#[tokio::test]
async fn an_account_is_held_to_its_rate_and_another_is_not() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let config = Config { account_commands_per_second: Some(2), ..config(&clock) };
    let running = started(&log, config).await;
    let batch = ["a", "b", "c"].map(|key| client("A", key, deposit("1.00")));
    let answers = running.desk.submit_all(batch.to_vec()).await;
    assert!(matches!(answers[1], Answer::Answered(_)));
    assert_eq!(answers[2], Answer::RateLimited { retry_after_s: 1, limit: 2 });
    assert!(matches!(running.desk.submit(client("B", "a", deposit("1.00"))).await, Answer::Answered(_)));
    clock.advance_ms(500);
    assert!(matches!(running.desk.submit(client("A", "c", deposit("1.00"))).await, Answer::Answered(_)));
    running.stop().await;
}
