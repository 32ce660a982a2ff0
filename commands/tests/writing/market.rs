//! Market facts: recorded once, decided with as soon as they are answered, and waited for where a command names them.

use crate::common::*;
use commands::{Answer, Config, Submission};
use domain::rejection::Rejection;
use event_log::memory::Memory;
use std::{sync::Arc, time::Duration};

#[tokio::test]
async fn a_fact_that_is_answered_is_decided_with_and_its_entry_says_so() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let running = started(&log, config(&clock)).await;
    let listed = accepted(running.desk.submit_fact(fact("list", reliance())).await);
    insist(&running, client("A", "open", open())).await;
    insist(&running, client("A", "d", deposit("10000.00"))).await;
    accepted(running.desk.submit(client("A", "o", buy(1, "100.00"))).await);
    assert_eq!(live(&log).await[2].context.market, [listed.offset + 1]);
    running.stop().await;
}

#[tokio::test]
async fn facts_of_one_hand_over_meet_each_other() {
    let (log, clock) = (Memory::new(2), Driven::at(MORNING));
    let running = started(&log, config(&clock)).await;
    let other = domain::market::Instrument { series: "BE".parse().unwrap(), ..reliance() };
    let facts = vec![fact("a", reliance()), fact("b", last("10.00", MORNING)), fact("c", reliance()), fact("d", other)];
    let [listed, price, repeat, contradiction] = running.desk.submit_facts(facts).await.try_into().unwrap();
    let (listed, price) = (accepted(listed), accepted(price));
    assert_eq!((listed.outcome.seq, price.outcome.seq), (1, 2));
    assert_eq!(refused(repeat), Rejection::FactRepeated);
    assert_eq!(refused(contradiction), Rejection::FactContradicted);
    let again = answered(running.desk.submit_fact(fact("a", reliance())).await);
    assert_eq!((again.outcome, again.replayed), (listed.outcome.clone(), true));
    let known = running.desk.fact_outcome(domain::command::Submitter::Operator, &id("a")).await.unwrap();
    assert_eq!(known.outcome, listed.outcome);
    running.stop().await;
}

#[tokio::test]
async fn a_command_waits_for_the_market_that_it_names_and_is_refused_without_it() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let running = started(&log, config(&clock)).await;
    insist(&running, client("A", "open", open())).await;
    let wanting =
        |key: &str, next: u64| Submission { min_market: Some(vec![next]), ..client("A", key, deposit("1.00")) };
    // The market's claim is there; the listing is not yet.
    accepted(running.desk.submit(wanting("now", 1)).await);
    let desk = Arc::clone(&running.desk);
    let later = tokio::spawn({
        let wanting = wanting("later", 2);
        async move { desk.submit(wanting).await }
    });
    accepted(running.desk.submit_fact(fact("list", reliance())).await);
    accepted(later.await.unwrap());
    running.stop().await;
    let impatient = Config { market_wait: Duration::from_millis(1), ..config(&clock) };
    let running = started(&log, impatient).await;
    assert_eq!(refused(running.desk.submit(wanting("never", 99)).await), Rejection::MarketBehind);
    assert!(matches!(running.desk.submit(wanting("never", 99)).await, Answer::Answered(again) if again.replayed));
    running.stop().await;
}
