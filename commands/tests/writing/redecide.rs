//! Deciding again what was recorded: equal for whatever was written, and the first entry that was tampered with is named.

use crate::common::*;
use commands::{
    Config, Running, Submission,
    redecide::{Difference, Policies, Redecided, redecide},
};
use domain::{
    account as accounts,
    calendar::CalendarMode,
    command::Submitter,
    event::EventData,
    fund, history,
    market::{DayNav, Fact, MarketEventData},
    money::{Money, Nav, Price, Quantity},
    order::{Cancel, OrderType, Product},
    policy::Policy,
    rejection::Rejection,
    time::{Date, Timestamp},
};
use event_log::{EventLog, Record, Stored, Topic, memory::Memory};
use event_schemas::{
    Entry, MarketEntry, decode_entry, decode_market_entry, encode_entry, encode_market_entry, fact_body,
};
use std::{borrow::Cow, sync::Arc, time::Duration};

fn shipped() -> Policies {
    [Arc::new(Policy::default())].into_iter().collect()
}

async fn again(log: &Memory) -> Redecided {
    redecide(log, &shipped(), |_, _| {}).await.unwrap()
}

#[track_caller]
fn differing(redecided: Redecided) -> Difference {
    redecided.difference.expect("a difference is found")
}

/// Orders of all kinds, funds, imports, refusals, repeats and days that pass, with a simulated venue.
async fn busy(log: &Memory) {
    let clock = Driven::at(MORNING);
    let config = Config { simulated_venue: true, calendar: CalendarMode::Exchange, ..config(&clock) };
    let running = started(log, config.clone()).await;
    market(&running).await;
    for name in ["A", "B"] {
        insist(&running, client(name, "open", open())).await;
        insist(&running, client(name, "d", deposit("1000000.00"))).await;
        accepted(running.desk.submit(client(name, "buy", buy(10, "2550.00"))).await);
        let mis = domain::order::Place { product: Product::Mis, ..buy(20, "2550.00") };
        accepted(running.desk.submit(client(name, "mis", mis)).await);
        let stop = domain::order::Place {
            order_type: OrderType::Sl,
            trigger_price: Some(Price::parse("2600.00").unwrap()),
            ..buy(1, "2610.00")
        };
        let waiting = accepted(running.desk.submit(client(name, "stop", stop)).await).outcome.seq;
        let cancel = Cancel { order_id: format!("{name}-{waiting}").parse().unwrap(), due_to: None };
        await_entry(log, |entry| {
            entry.events.iter().any(|event| match &event.data {
                EventData::OrderAccepted(report) => report.order_id == cancel.order_id,
                _ => false,
            })
        })
        .await;
        accepted(running.desk.submit(client(name, "cancel", cancel)).await);
        assert_eq!(
            refused(running.desk.submit(client(name, "much", buy(9_999, "2500.00"))).await),
            Rejection::InsufficientCash
        );
        assert_eq!(refused(running.desk.submit(client(name, "again", open())).await), Rejection::AccountExists);
        let purchase =
            fund::Purchase { scheme: "119551".parse().unwrap(), amount: Money::parse("5000.00").unwrap(), folio: None };
        accepted(running.desk.submit(client(name, "fund", purchase)).await);
        let import = history::ImportTrade {
            instrument: "NSE:RELIANCE".parse().unwrap(),
            kind: history::Kind::Purchase,
            quantity: Quantity::new(3),
            price: Some(Price::parse("1000.00").unwrap()),
            exchange: Some("NSE".parse().unwrap()),
            trade_id: Some("T1".parse().unwrap()),
            executed_at: Timestamp::parse("2024-01-10T10:00:00+05:30").unwrap(),
        };
        accepted(running.desk.submit(submission(name, "import", Submitter::Import, import)).await);
    }
    // One hand-over: the second and the third meet the first before it is durable.
    let meeting = vec![
        client("A", "same", deposit("1.00")),
        client("A", "same", deposit("1.00")),
        client("A", "same", deposit("2.00")),
    ];
    running.desk.submit_all(meeting).await;
    running.stop().await;
    // A market that does not come in time.
    let impatient = Config { market_wait: Duration::from_millis(1), ..config.clone() };
    let running = started(log, impatient).await;
    let wanting = Submission { min_market: Some(vec![9_999]), ..client("A", "early", deposit("1.00")) };
    assert_eq!(refused(running.desk.submit(wanting).await), Rejection::MarketBehind);
    running.stop().await;
    // Orders expire, intraday positions are squared off, days are netted and settled.
    clock.set("2026-11-24T15:25:00+05:30");
    let running = started(log, config.clone()).await;
    await_entry(log, |entry| entry.command.kind == "square_off").await;
    running.stop().await;
    clock.set("2026-11-27T18:00:00+05:30");
    let running = started(log, config).await;
    for kind in ["settle", "report_allotment"] {
        await_entry(log, |entry| entry.command.kind == kind && entry.account.as_str() == "B").await;
    }
    running.stop().await;
}

async fn market(running: &Running) {
    let scheme = scheme();
    let nav = DayNav {
        scheme: scheme.scheme,
        date: Date::parse("2026-11-24").unwrap(),
        nav: Nav::parse("50.0000").unwrap(),
        corrects: None,
    };
    let facts = vec![
        fact("list", reliance()),
        fact("p1", last("2500.00", MORNING)),
        fact("p1", last("2500.00", MORNING)),
        fact("p1", last("2501.00", MORNING)),
        fact("listed-again", reliance()),
        fact("scheme", scheme),
        fact("nav", nav),
    ];
    running.desk.submit_facts(facts).await;
}

/// A copy of a log, each of its records as `change` leaves it.
async fn copied(log: &Memory, change: impl Fn(Topic, &Stored) -> Option<Record>) -> Memory {
    let copy = Memory::new(log.partitions(Topic::Ledger));
    for topic in Topic::ALL {
        for partition in 0..log.partitions(topic) {
            let mut from = 0;
            loop {
                let batch = log.read(topic, partition, from, 1_000).await.unwrap();
                if batch.is_empty() {
                    break;
                }
                from += batch.len() as u64;
                let records = batch.iter().map(|stored| change(topic, stored).unwrap_or_else(|| stored.record.clone()));
                copy.append(topic, partition, None, records.collect()).await.unwrap();
            }
        }
    }
    copy
}

/// A copy in which the first entry that fits is changed.
async fn with_entry(log: &Memory, fits: impl Fn(&Entry<'_>) -> bool, change: impl Fn(&mut Entry<'_>)) -> Memory {
    let changed = await_entry(log, fits).await;
    copied(log, |topic, stored| {
        let mut entry = decode_entry(&stored.record.value).ok().filter(|_| topic == Topic::Ledger)?;
        if entry.ce_id() != changed.ce_id() {
            return None;
        }
        change(&mut entry);
        let mut value = Vec::new();
        encode_entry(&entry, &mut value);
        Some(Record { value: value.into(), ..stored.record.clone() })
    })
    .await
}

/// A copy in which market entries are changed.
async fn with_facts(log: &Memory, change: impl Fn(&mut MarketEntry<'_>)) -> Memory {
    copied(log, |topic, stored| {
        let mut entry = decode_market_entry(&stored.record.value).ok().filter(|_| topic == Topic::Market)?;
        change(&mut entry);
        let mut value = Vec::new();
        encode_market_entry(&entry, &mut value);
        Some(Record { value: value.into(), ..stored.record.clone() })
    })
    .await
}

#[tokio::test]
async fn whatever_was_recorded_is_decided_again_with_equal_events() {
    for partitions in [1, 3] {
        let log = Memory::new(partitions);
        let clock = Driven::at(MORNING);
        if partitions == 1 {
            busy(&log).await;
        } else {
            let running = started(&log, config(&clock)).await;
            market(&running).await;
            for name in ["A", "B", "C", "D"] {
                insist(&running, client(name, "open", open())).await;
                insist(&running, client(name, "d", deposit("100000.00"))).await;
                accepted(running.desk.submit(client(name, "buy", buy(10, "2500.00"))).await);
            }
            running.stop().await;
        }
        let redecided = again(&log).await;
        assert_eq!(redecided.difference, None);
        assert!(redecided.entries >= 12 && redecided.facts >= 4, "{redecided:?}");
        assert_eq!(redecided.other_rules, 0);
        if partitions == 1 {
            let kinds: Vec<_> = live(&log).await.iter().map(|entry| entry.command.kind.to_string()).collect();
            for kind in ["square_off", "net_day", "settle", "report_allotment", "record_fill", "import_trade"] {
                assert!(kinds.iter().any(|seen| seen == kind), "no {kind} in {kinds:?}");
            }
            // Of accounts a repeat, a reused key and a market that was behind; of the market a repeat and a reused key.
            assert_eq!(redecided.not_decided, 5, "{redecided:?}");
        }
    }
}

#[tokio::test]
async fn an_entry_whose_events_were_changed_is_found_with_its_place_and_both_lists() {
    let log = Memory::new(1);
    busy(&log).await;
    let is_order = |entry: &Entry<'_>| matches!(entry.events.first(), Some(event) if matches!(event.data, EventData::OrderRequested(_)));
    let tampered = with_entry(&log, is_order, |entry| {
        if let Some(EventData::OrderRequested(order)) = entry.events.first_mut().map(|event| &mut event.data) {
            order.blocked = Some(Money::parse("1.00").unwrap());
        }
    })
    .await;
    let found = differing(again(&tampered).await);
    assert_eq!((found.topic, &*found.id), (Topic::Ledger, "A/3"));
    let said = found.to_string();
    for part in [
        "bahi.ledger/0 offset",
        "A/3",
        "recorded [",
        "\"blocked\":\"1.00\"",
        "decided again [",
        "\"blocked\":\"25500.00\"",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(said.len() < 1_500, "shortened: {said}");
}

#[tokio::test]
async fn an_entry_that_was_decided_under_other_market_facts_is_found() {
    let (log, clock) = (Memory::new(1), Driven::at(MORNING));
    let running = started(&log, config(&clock)).await;
    market(&running).await;
    insist(&running, client("A", "open", open())).await;
    insist(&running, client("A", "d", deposit("100000.00"))).await;
    accepted(running.desk.submit(client("A", "o", market_buy(1))).await);
    running.stop().await;
    assert_eq!(again(&log).await.difference, None);
    // The price and the fact that said so are both changed, and its repeat: those entries are well by themselves.
    let elsewhere = with_facts(&log, |entry| {
        if let (Ok(Fact::Last(mut fact)), true) = (entry.command.fact(), entry.events.is_empty()) {
            fact.last = Price::parse("2600.00").unwrap();
            entry.command.body = Cow::Owned(fact_body(&Fact::from(fact)));
        }
        for event in &mut entry.events {
            if let MarketEventData::Last(fact) = &mut event.data {
                fact.last = Price::parse("2600.00").unwrap();
                entry.command.body = Cow::Owned(fact_body(&Fact::from(fact.clone())));
            }
        }
    })
    .await;
    let found = differing(again(&elsewhere).await);
    assert_eq!((found.topic, &*found.id), (Topic::Ledger, "A/3"), "{found}");
    // The same by saying that less of the market was known.
    let earlier = with_entry(&log, |entry| entry.ce_id() == "A/1", |entry| entry.context.market = vec![0]).await;
    assert_eq!(again(&earlier).await.difference, None, "opening an account needs no market");
    let is_order = |entry: &Entry<'_>| entry.ce_id() == "A/3";
    let back = with_entry(&log, is_order, |entry| entry.context.market = vec![0]).await;
    let found = differing(again(&back).await);
    assert!(found.what.contains("one before it"), "{found}");
    let ahead = with_entry(&log, is_order, |entry| entry.context.market = vec![9_999]).await;
    let found = differing(again(&ahead).await);
    assert!(found.what.contains("which ends at"), "{found}");
}

#[tokio::test]
async fn a_fact_that_was_changed_is_found() {
    let log = Memory::new(1);
    busy(&log).await;
    let tampered = with_facts(&log, |entry| {
        for event in &mut entry.events {
            if let MarketEventData::Nav(fact) = &mut event.data {
                fact.nav = Nav::parse("49.0000").unwrap();
            }
        }
    })
    .await;
    let found = differing(again(&tampered).await);
    assert_eq!((found.topic, &*found.id), (Topic::Market, "119551/2"), "{found}");
}

#[tokio::test]
async fn what_was_answered_without_deciding_is_checked_by_its_key_its_offsets_or_its_hash() {
    let log = Memory::new(1);
    busy(&log).await;
    type Which = fn(&Entry<'_>) -> bool;
    type Change = fn(&mut Entry<'_>);
    let cases: [(Which, Change, &str); 4] = [
        (|entry| entry.first.is_some(), |entry| entry.first = Some(1), "it repeats no entry"),
        (
            |entry| refusal(entry) == Some(Rejection::IdempotencyKeyReused),
            |entry| entry.command.id = Cow::Borrowed("fresh"),
            "was not used before",
        ),
        (
            |entry| refusal(entry) == Some(Rejection::MarketBehind),
            |entry| {
                if let Some(EventData::CommandRefused(refused)) = entry.events.first_mut().map(|event| &mut event.data)
                {
                    refused.figures.insert("wanted".into(), "1".into());
                }
            },
            "says that it was not",
        ),
        (
            |entry| refusal(entry) == Some(Rejection::AccountExists),
            |entry| {
                if let Some(EventData::CommandRefused(refused)) = entry.events.first_mut().map(|event| &mut event.data)
                {
                    refused.code = Rejection::Undecodable;
                    refused.figures.insert("hash".into(), "0".repeat(32).into());
                }
            },
            "command's hash",
        ),
    ];
    for (fits, change, said) in cases {
        let found = differing(again(&with_entry(&log, fits, change).await).await);
        assert!(found.what.contains(said), "{said} in {found}");
    }
    let twice =
        with_entry(&log, |entry| entry.command.id == "d", |entry| entry.command.id = Cow::Borrowed("open")).await;
    assert!(differing(again(&twice).await).what.contains("its key was used before"));
}

fn refusal(entry: &Entry<'_>) -> Option<Rejection> {
    match &entry.events.first()?.data {
        EventData::CommandRefused(refused) => Some(refused.code),
        _ => None,
    }
}

#[tokio::test]
async fn a_policy_that_is_not_at_hand_is_named_and_other_rules_are_only_folded() {
    let log = Memory::new(1);
    busy(&log).await;
    let none: Policies = std::iter::empty().collect();
    let missing = redecide(&log, &none, |_, _| {}).await.unwrap_err();
    let said = missing.to_string();
    assert!(said.contains(Policy::default().version()) && said.contains("not at hand"), "{said}");
    let all = copied(&log, |topic, stored| {
        let mut entry = decode_entry(&stored.record.value).ok().filter(|_| topic == Topic::Ledger)?;
        entry.context.rules = 1;
        let mut value = Vec::new();
        encode_entry(&entry, &mut value);
        Some(Record { value: value.into(), ..stored.record.clone() })
    })
    .await;
    let redecided = redecide(&all, &none, |_, _| {}).await.unwrap();
    assert_eq!((redecided.entries, redecided.difference), (0, None));
    assert!(redecided.other_rules > 20);
}

#[tokio::test]
async fn progress_ends_with_all_records_done() {
    let (log, clock) = (Memory::new(2), Driven::at(MORNING));
    let running = started(&log, config(&clock)).await;
    insist(&running, client("A", "open", accounts::Open {})).await;
    insist(&running, client("B", "open", accounts::Open {})).await;
    running.stop().await;
    let mut seen = Vec::new();
    redecide(&log, &shipped(), |done, of| seen.push((done, of))).await.unwrap();
    assert!(seen.is_sorted() && seen.iter().all(|(done, of)| done <= of), "{seen:?}");
}
