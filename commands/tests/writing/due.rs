//! The back office: what time makes due is done once, in the order of time, without keeping clients out.

use crate::common::*;
use domain::{command::Submitter, event::EventData};
use event_log::memory::Memory;

const AFTER_CLOSE: &str = "2026-11-24T15:31:00+05:30";

async fn with_orders(log: &Memory, clock: &std::sync::Arc<Driven>, orders: usize) -> Started {
    let running = started(log, config(clock)).await;
    accepted(running.desk.submit_fact(fact("list", reliance())).await);
    insist(&running, client("A", "open", open())).await;
    insist(&running, client("A", "d", deposit("10000000.00"))).await;
    let batch: Vec<_> = (0..orders)
        .map(|number| submission("A", &format!("o{number}"), Submitter::Operator, buy(1, "100.00")))
        .collect();
    for answer in running.desk.submit_all(batch).await {
        accepted(answer);
    }
    running
}

#[tokio::test]
async fn a_day_order_expires_with_its_session_once_also_across_restarts() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let running = with_orders(&log, &clock, 1).await;
    clock.set(AFTER_CLOSE);
    let expired = await_entry(&log, |entry| entry.command.kind == "expire_order").await;
    assert!(matches!(expired.events[0].data, EventData::OrderExpired(_)), "{:?}", expired.events);
    assert_eq!(expired.command.by.role, Submitter::System);
    running.stop().await;
    for _ in 0..2 {
        let running = started(&log, config(&clock)).await;
        clock.advance_ms(60_000);
        insist(&running, client("B", &format!("{:?}", clock_text(&clock)), open())).await;
        running.stop().await;
    }
    let expiries = live(&log).await.iter().filter(|entry| entry.command.kind == "expire_order").count();
    assert_eq!(expiries, 1);
}

fn clock_text(clock: &Driven) -> i64 {
    commands::Clock::now(clock).micros()
}

#[tokio::test]
async fn what_fell_due_while_nothing_ran_is_done_at_the_start() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    with_orders(&log, &clock, 2).await.stop().await;
    clock.set("2026-11-26T11:00:00+05:30");
    let running = started(&log, config(&clock)).await;
    await_entry(&log, |entry| entry.command.id == "expire/A-4").await;
    running.stop().await;
}

#[tokio::test]
async fn a_days_end_does_not_starve_clients() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let running = with_orders(&log, &clock, 2_000).await;
    clock.set(AFTER_CLOSE);
    insist(&running, client("B", "open", open())).await;
    await_entry(&log, |entry| entry.command.id == "expire/A-2002").await;
    running.stop().await;
    let entries = live(&log).await;
    let at = |id: &str| entries.iter().position(|entry| entry.command.id == id).unwrap();
    assert_eq!(entries.iter().filter(|entry| entry.command.kind == "expire_order").count(), 2_000);
    assert!(entries.len() > 2_000 && entries.iter().filter(|entry| entry.account.as_str() == "B").count() == 1);
    assert!(at("expire/A-2002") > at("expire/A-3"));
}
