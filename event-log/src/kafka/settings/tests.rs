//! That the client takes the settings as they are said, and that its bounds hold what is sent.

use std::collections::BTreeSet;

use super::*;

fn all() -> [ClientConfig; 5] {
    [appending("b:1"), reading("b:1", "read"), reading_single("b:1"), grouping("b:1", "g"), administering("b:1")]
}

/// A bound of a producer, in the client's unit.
fn bound(name: &str) -> usize {
    let said = appending("b:1");
    let said = said.get(name).unwrap_or_else(|| panic!("{name} is left to the client"));
    said.parse().unwrap_or_else(|_| panic!("{name} is {said}"))
}

#[test]
fn the_client_knows_every_setting_and_has_it_as_it_is_said() {
    for config in all() {
        let taken = config.create_native_config().expect("the client knows all of them");
        for (name, said) in config.config_map() {
            let has = taken.get(name).expect("what was set can be asked for");
            let as_number = |text: &str| text.parse::<f64>().ok();
            let same = has == said || (as_number(said).is_some() && as_number(&has) == as_number(said));
            let has_two_names = [("all", "-1"), ("latest", "largest")].contains(&(said, &*has));
            assert!(same || has_two_names, "{name}: {has} for {said}");
        }
    }
}

#[test]
fn every_bound_of_a_producer_is_said() {
    let bounds = [
        "batch.num.messages",
        "batch.size",
        "linger.ms",
        "max.in.flight.requests.per.connection",
        "message.max.bytes",
        "message.send.max.retries",
        "message.timeout.ms",
        "queue.buffering.backpressure.threshold",
        "queue.buffering.max.kbytes",
        "queue.buffering.max.messages",
        "request.timeout.ms",
        "retry.backoff.max.ms",
        "retry.backoff.ms",
        "socket.timeout.ms",
    ];
    assert!(bounds.into_iter().all(|name| bound(name) > 0));
    // A name and its other name: the last one that was set would win, in silence.
    let others = ["queue.buffering.max.ms", "retries", "max.in.flight", "delivery.timeout.ms", "request.required.acks"];
    let said = appending("b:1");
    let said: BTreeSet<&str> = said.config_map().into_keys().collect();
    assert!(others.iter().all(|other| !said.contains(other)), "{said:?}");
}

#[test]
fn a_producer_has_room_for_a_flight_beside_the_one_before_it_and_for_little_more() {
    let (records, bytes) = (bound("queue.buffering.max.messages"), bound("queue.buffering.max.kbytes") << 10);
    assert_eq!(records / APPEND_RECORDS_MAX, FLIGHTS);
    assert_eq!(bytes / APPEND_BYTES_MAX, FLIGHTS);
    assert!(bound("batch.num.messages") >= APPEND_RECORDS_MAX, "a flight of small records is one batch");
    assert!(bound("batch.size") <= bound("message.max.bytes"));
}

#[test]
fn an_answer_is_asked_for_again_while_its_delivery_may_still_land() {
    let delivery_ms = bound("message.timeout.ms");
    assert!(bound("retry.backoff.ms") <= bound("retry.backoff.max.ms"));
    for shorter in ["linger.ms", "retry.backoff.max.ms"] {
        assert!(bound(shorter) * 5 <= delivery_ms, "{shorter} leaves no time for a second try");
    }
    for no_longer in ["request.timeout.ms", "socket.timeout.ms"] {
        assert!(bound(no_longer) <= delivery_ms, "{no_longer} outlasts who waits");
    }
}

#[test]
fn settings_are_what_the_decision_says() {
    let page = include_str!("../../../../docs/decisions/0005-log-on-kafka.md");
    for (config, said, name) in [
        (appending("b:1"), "`linger.ms` is ", "linger.ms"),
        (reading("b:1", "read"), "`auto.offset.reset=", "auto.offset.reset"),
    ] {
        let value = page.split(said).nth(1).and_then(|rest| rest.split([' ', '`']).next());
        assert_eq!(config.get(name), value, "{name}");
    }
}
