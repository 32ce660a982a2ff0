//! One key, one outcome: sent again, at once, across a restart and a kill, with other content, and when it comes late.

use serde_json::{Value, json};
use std::thread;
use tests::{
    Reply, Server, cluster,
    story::{Story, limit_order},
    wait_until,
};

/// How many callers send the same command at once.
const CALLERS: usize = 16;

/// The part of an answer that every repeat has too.
fn content(reply: &Reply) -> (u16, String) {
    (reply.status, reply.text.clone())
}

#[track_caller]
fn is_a_repeat(reply: &Reply, of: &Reply) {
    assert_eq!(content(reply), content(of));
    assert_eq!(reply.header("idempotency-replayed"), Some("true"), "{:?}", reply.headers);
}

#[test]
fn the_same_command_again_has_the_first_answer_and_one_effect_across_restarts() {
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "1000.00");
    let order = || limit_order("buy", 1, "100.00");
    let first = client.post_as("again", "/v1/accounts/ACC1/orders", order()).must_be(201);
    assert_eq!(first.header("idempotency-replayed"), None);
    is_a_repeat(&client.post_as("again", "/v1/accounts/ACC1/orders", order()), &first);

    let story = story.restarted();
    let client = story.server.client("client", &["ACC1"]);
    is_a_repeat(&client.post_as("again", "/v1/accounts/ACC1/orders", order()), &first);
    let story = story.killed_and_started_again();
    let client = story.server.client("client", &["ACC1"]);
    is_a_repeat(&client.post_as("again", "/v1/accounts/ACC1/orders", order()), &first);

    assert_eq!(client.get("/v1/accounts/ACC1/orders").rows().len(), 1);
    let remembered = client.get("/v1/accounts/ACC1/commands/again");
    assert!(remembered.text.contains("ACC1-3"), "{}", remembered.text);
    story.server.verify();
}

#[test]
fn a_refusal_is_an_outcome_too_and_stays_when_its_reason_is_gone() {
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "1.00");
    let order = || limit_order("buy", 1, "100.00");
    let first = client.post_as("poor", "/v1/accounts/ACC1/orders", order()).must_be(422);
    story.operator.post("/v1/accounts/ACC1/cash/deposits", json!({ "amount": "1000.00" })).must_be(201);
    let again = client.post_as("poor", "/v1/accounts/ACC1/orders", order());
    assert_eq!(again.status, first.status);
    assert_eq!(again.at("/code"), first.at("/code"));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    client.post_as("rich", "/v1/accounts/ACC1/orders", order()).must_be(201);
}

#[test]
fn a_key_used_for_other_content_is_refused_and_the_first_stands() {
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "1000.00");
    let first = client.post_as("one", "/v1/accounts/ACC1/orders", limit_order("buy", 1, "100.00")).must_be(201);
    let other = client.post_as("one", "/v1/accounts/ACC1/orders", limit_order("buy", 2, "100.00")).must_be(422);
    assert_eq!(other.text_at("/code"), "idempotency_key_reused");
    let another_kind =
        client.post_as("one", "/v1/accounts/ACC1/cash/withdrawals", json!({ "amount": "1.00" })).must_be(422);
    assert_eq!(another_kind.text_at("/code"), "idempotency_key_reused");
    is_a_repeat(&client.post_as("one", "/v1/accounts/ACC1/orders", limit_order("buy", 1, "100.00")), &first);
    assert_eq!(client.get("/v1/accounts/ACC1/orders").rows().len(), 1);
}

#[test]
fn content_is_what_was_meant_not_how_it_was_written() {
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "1000.00");
    let path = "/v1/accounts/ACC1/orders";
    let first = client.post_as("same", path, limit_order("buy", 1, "100.00")).must_be(201);
    let spaced = br#"{ "validity": "DAY", "product": "CNC", "price": "100.0000", "type": "limit",
        "quantity": 1, "side": "buy", "instrument": "NSE:STORY" }"#;
    let again = client.ask("POST", path, &[("Idempotency-Key", "same")], Some(spaced.to_vec()));
    is_a_repeat(&again, &first);
}

#[test]
fn two_accounts_and_two_roles_may_use_the_same_key() {
    let story = Story::with_a_market();
    story.investor("ACC1", "1000.00");
    story.investor("ACC2", "1000.00");
    let both = story.server.client("client", &["ACC1", "ACC2"]);
    for account in ["ACC1", "ACC2"] {
        let path = format!("/v1/accounts/{account}/cash/withdrawals");
        let reply = both.post_as("shared", &path, json!({ "amount": "1.00" })).must_be(201);
        assert_eq!(reply.header("idempotency-replayed"), None);
        let path = format!("/v1/accounts/{account}/cash/deposits");
        story.operator.post_as("shared", &path, json!({ "amount": "1.00" })).must_be(201);
    }
}

#[test]
fn the_same_command_from_many_callers_at_once_has_one_effect_and_one_answer() {
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "100000.00");
    let answers: Vec<Reply> = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                scope.spawn(|| client.post_as("race", "/v1/accounts/ACC1/orders", limit_order("buy", 1, "100.00")))
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().expect("a caller does not panic")).collect()
    });
    let first = answers[0].clone().must_be(201);
    assert!(answers.iter().all(|answer| content(answer) == content(&first)), "{answers:?}");
    let fresh = answers.iter().filter(|answer| answer.header("idempotency-replayed").is_none()).count();
    assert_eq!(fresh, 1, "one answer is the first");
    assert_eq!(client.get("/v1/accounts/ACC1/orders").rows().len(), 1);
    story.server.verify();
}

#[test]
fn of_many_contents_under_one_key_at_once_exactly_one_wins() {
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "100000.00");
    let statuses: Vec<u16> = thread::scope(|scope| {
        let callers: Vec<_> = (1..=CALLERS as i64)
            .map(|quantity| {
                let client = &client;
                let order = limit_order("buy", quantity, "100.00");
                scope.spawn(move || client.post_as("duel", "/v1/accounts/ACC1/orders", order).status)
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().expect("a caller does not panic")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [201, 422].contains(status)), "{statuses:?}");
    assert_eq!(client.get("/v1/accounts/ACC1/orders").rows().len(), 1);
}

#[test]
fn a_repeated_item_of_a_batch_is_answered_as_before() {
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "1000.00");
    let batch = || {
        let item = |key: &str| {
            let mut order = limit_order("buy", 1, "100.00");
            order["key"] = json!(key);
            order
        };
        client.ask(
            "POST",
            "/v1/accounts/ACC1/orders/batch",
            &[],
            Some(json!({ "orders": [item("i1"), item("i2")] }).to_string().into()),
        )
    };
    let first = batch().must_be(200);
    let again = batch().must_be(200);
    let bodies =
        |reply: &Reply| reply.rows().iter().map(|row| (row["status"].clone(), row["body"].clone())).collect::<Vec<_>>();
    assert_eq!(bodies(&first), bodies(&again));
    assert_eq!(client.get("/v1/accounts/ACC1/orders").rows().len(), 2);
}

/// A writer is stopped while its api goes on, so this is told of processes alone.
#[test]
fn an_outcome_that_comes_too_late_for_its_answer_is_found_where_that_said_and_stays_the_only_one() {
    if !cluster::is_wanted() {
        eprintln!("skipped: one process has no writer apart: `make test-cluster` tells it");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut server = Server::start_with(folder.path(), &["--calendar", "always-open"], &[("BAHI_WAIT_MS", "300")]);
    let operator = server.operator();
    // A busy machine, too, may be slower than the api waits.
    let opened = wait_until("the account to be opened", || {
        let reply = operator.post_as("open", "/v1/accounts", json!({ "account": "ACC1" }));
        Some(reply).filter(|reply| reply.status != 202)
    });
    opened.must_be(201);
    let sent = [("deposits", "100.00"), ("withdrawals", "1000.00")];
    let send = |(what, amount): (&str, &str)| {
        let body: Value = json!({ "amount": amount });
        operator.post_as(&format!("late-{what}"), &format!("/v1/accounts/ACC1/cash/{what}"), body)
    };
    let ask = |place: &str| operator.ask("GET", place, &[], None);
    let writer = &server.beside()[0];
    writer.signal("STOP");
    let places = sent.map(|sent| {
        let pending = send(sent).must_be(202);
        let place = pending.header("location").expect("it says where to ask").to_owned();
        assert_eq!(pending.text_at("/location"), place);
        assert_eq!(ask(&place).must_be(404).text_at("/code"), "unknown_command");
        place
    });
    writer.signal("CONT");
    for (sent, (place, status)) in sent.into_iter().zip(places.iter().zip([201, 422])) {
        let found = wait_until("the outcome to be where the answer said", || {
            Some(ask(place)).filter(|reply| reply.status != 404)
        });
        let found = found.must_be(200);
        let again = send(sent).must_be(status);
        assert_eq!(again.text, found.text, "of {place}");
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{:?}", again.headers);
    }
    assert_eq!(operator.get("/v1/accounts/ACC1/cash").text_at("/settled"), "100.00", "each had one effect");
    server.verify();
}
