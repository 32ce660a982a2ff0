//! What a command's caller is told, the first time and every time.

use crate::edge::{Edge, MORNING, order};
use api::token::Role;
use axum::body::Body;
use event_log::memory::{Fault, Gate};
use serde_json::json;

const ORDERS: &str = "/v1/accounts/ACC1/orders";

#[tokio::test]
async fn an_order_is_answered_with_its_id_and_a_repeat_with_the_same_bytes() {
    let edge = Edge::start().await;
    edge.with_a_market().await;
    let (headers, body) = ([("idempotency-key", "first"), ("x-request-id", "r1")], order(10, "99.00").to_string());
    let first = edge.post_with(Role::Client, ORDERS, &headers, body.clone()).await.is(201);
    assert_eq!(first.body["outcome"], "accepted");
    assert_eq!(first.body["account"], "ACC1");
    assert_eq!(first.body["seq"], 3);
    assert_eq!(first.body["command"], "first");
    assert_eq!(first.body["order_id"], "ACC1-3");
    assert_eq!(first.body["status"], "requested");
    assert_eq!(first.body["events"], json!(["order_requested"]));
    assert_eq!(first.body["position"].as_str(), first.header("bahi-position"));
    assert_eq!(first.header("idempotency-replayed"), None);
    assert_eq!(first.header("cache-control"), Some("no-store"));
    // The same content, written otherwise: a key is about what was parsed.
    let spaced = serde_json::to_string_pretty(&order(10, "99.0")).unwrap();
    for body in [body, spaced] {
        let again = edge.post_with(Role::Client, ORDERS, &[("idempotency-key", "first")], body).await.is(201);
        assert_eq!(again.text, first.text);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.header("bahi-position"), first.header("bahi-position"));
    }
    let other =
        edge.post_with(Role::Client, ORDERS, &[("idempotency-key", "first")], order(11, "99.00").to_string()).await;
    other.gives_problem(422, "idempotency_key_reused", &[]);
}

#[tokio::test]
async fn a_refusal_is_a_recorded_problem_with_its_figures_and_repeats_word_for_word() {
    let edge = Edge::start().await;
    edge.with_a_market().await;
    let send = async |id| {
        let headers = [("idempotency-key", "dear"), ("x-request-id", id)];
        edge.post_with(Role::Client, ORDERS, &headers, order(100_000, "100.00").to_string()).await
    };
    let first = send("r1").await.gives_problem(422, "insufficient_cash", &[]);
    assert_eq!(first.body["outcome"], "refused");
    assert_eq!(first.body["command"], "dear");
    assert!(first.body["figures"].as_object().is_some_and(|figures| !figures.is_empty()), "{}", first.text);
    assert_eq!(first.body["position"].as_str(), first.header("bahi-position"));
    let again = send("r2").await.is(422);
    assert_eq!(again.text, first.text);
    assert_eq!(again.header("x-request-id"), Some("r2"));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
}

#[tokio::test]
async fn modifying_and_cancelling_are_requests_until_the_venue_answers() {
    let edge = Edge::start().await;
    edge.with_a_market().await;
    let placed = edge.post(Role::Client, ORDERS, order(10, "99.00")).await.is(201);
    let id = placed.body["order_id"].as_str().unwrap().to_owned();
    let report = |report: &str| json!({"account": "ACC1", "order_id": id, "report": report, "at": MORNING});
    edge.post(Role::Venue, "/v1/venue/reports", report("accepted")).await.is(201);
    let path = format!("{ORDERS}/{id}");
    let change = json!({"price": "98.00", "validity": null}).to_string();
    let modified =
        edge.write_with("PATCH", Role::Client, &path, &[("idempotency-key", "m1")], change.clone()).await.is(201);
    assert_eq!(modified.body["status"], "modification_requested");
    let pending = edge.write_with("DELETE", Role::Client, &path, &[("idempotency-key", "c1")], Body::empty()).await;
    pending.gives_problem(422, "modification_pending", &[]);
    edge.post(Role::Venue, "/v1/venue/reports", report("modified")).await.is(201);
    let cancelled =
        edge.write_with("DELETE", Role::Client, &path, &[("idempotency-key", "c2")], Body::empty()).await.is(201);
    assert_eq!(cancelled.body["status"], "cancellation_requested");
    edge.write_with("DELETE", Role::Client, &path, &[], Body::empty()).await.gives_problem(
        400,
        "idempotency_key_required",
        &["#Idempotency-Key"],
    );
    let unknown = format!("{ORDERS}/ACC1-999");
    edge.write_with("PATCH", Role::Client, &unknown, &[("idempotency-key", "m2")], change).await.gives_problem(
        422,
        "unknown_order",
        &[],
    );
    edge.write_with("DELETE", Role::Client, &format!("{ORDERS}/nonsense"), &[("idempotency-key", "c3")], Body::empty())
        .await
        .gives_problem(400, "invalid_path", &["#order"]);
}

#[tokio::test]
async fn a_command_can_be_asked_for_by_its_key_in_the_role_that_sent_it() {
    let edge = Edge::start().await;
    edge.with_a_market().await;
    let key = [("idempotency-key", "a/b?c")];
    let placed = edge.post_with(Role::Client, ORDERS, &key, order(1, "99.00").to_string()).await.is(201);
    let path = "/v1/accounts/ACC1/commands/a%2Fb%3Fc";
    assert_eq!(edge.get(Role::Client, path).await.is(200).text, placed.text);
    assert_eq!(edge.get(Role::Auditor, path).await.is(200).text, placed.text);
    edge.get(Role::Operator, path).await.gives_problem(404, "unknown_command", &[]);
    assert_eq!(edge.get(Role::Operator, &format!("{path}?role=client")).await.is(200).text, placed.text);
    edge.get(Role::Client, &format!("{path}?role=operator")).await.is(200);
    let facts = [("idempotency-key", "fact")];
    let day = json!({"exchange": "NSE", "date": "2026-12-25", "kind": "holiday"}).to_string();
    let told = edge.post_with(Role::Operator, "/v1/market/calendar", &facts, day).await.is(201);
    assert_eq!(told.body["key"], "calendar/NSE");
    assert_eq!(edge.get(Role::Auditor, "/v1/market/commands/fact").await.is(200).text, told.text);
}

#[tokio::test]
async fn a_caller_that_is_too_fast_is_told_its_limit_and_when_to_come_back() {
    let edge = Edge::with(|config| config.account_commands_per_second = Some(2)).await;
    edge.with_a_market().await;
    let mut last = None;
    for _ in 0..5 {
        last = Some(edge.post(Role::Client, ORDERS, order(1, "99.00")).await);
    }
    let last = last.unwrap().gives_problem(429, "rate_limited", &[]);
    assert_eq!(last.header("retry-after"), Some("1"));
    assert_eq!(last.header("ratelimit-limit"), Some("2"));
    assert_eq!(last.header("ratelimit-remaining"), Some("0"));
    let operator =
        edge.post(Role::Operator, "/v1/accounts/ACC1/cash/deposits", json!({"amount": "1.00"})).await.is(201);
    assert_eq!(operator.header("ratelimit-policy"), Some("\"account\";q=2;w=1"));
}

#[tokio::test]
async fn an_outcome_that_is_not_known_in_time_is_accepted_with_where_to_ask() {
    let edge = Edge::with(|config| config.wait = std::time::Duration::from_millis(50)).await;
    let gate = Gate::new();
    edge.memory.inject(Fault::Delay(gate.clone()));
    let open = async || {
        let key = [("idempotency-key", "a/b")];
        edge.post_with(Role::Operator, "/v1/accounts", &key, json!({"account": "ACC1"}).to_string()).await
    };
    let pending = open().await.is(202);
    assert_eq!(pending.header("location"), Some("/v1/accounts/ACC1/commands/a%2Fb"));
    assert_eq!(pending.header("retry-after"), Some("1"));
    assert_eq!(pending.body["outcome"], "pending");
    gate.open();
    let known = async {
        loop {
            let reply = open().await;
            if reply.status == 201 {
                break reply;
            }
            tokio::task::yield_now().await;
        }
    };
    let known = tokio::time::timeout(std::time::Duration::from_secs(10), known).await.unwrap();
    assert_eq!(known.body["seq"], 1);
    assert_eq!(edge.get(Role::Operator, "/v1/accounts/ACC1/commands/a%2Fb").await.is(200).text, known.text);
}

#[tokio::test]
async fn a_full_disk_is_busy_with_nothing_recorded_and_the_key_free() {
    let edge = Edge::start().await;
    edge.with_a_market().await;
    edge.memory.inject(Fault::FailBefore(event_log::Error::Full));
    let send = async || {
        let headers = [("idempotency-key", "k")];
        edge.post_with(Role::Client, ORDERS, &headers, order(1, "99.00").to_string()).await
    };
    let busy = send().await.gives_problem(503, "busy", &[]);
    assert!(busy.header("retry-after").is_some());
    let later = async {
        loop {
            let reply = send().await;
            if reply.status == 201 {
                break reply;
            }
            reply.is(503);
            tokio::task::yield_now().await;
        }
    };
    let later = tokio::time::timeout(std::time::Duration::from_secs(10), later).await.unwrap();
    assert_eq!(later.body["order_id"], "ACC1-3");
    assert_eq!(later.header("idempotency-replayed"), None);
}

#[tokio::test]
async fn fund_orders_and_registrar_answers_go_through() {
    let edge = Edge::start().await;
    edge.with_a_market().await;
    let purchase = json!({"scheme": "119551", "amount": "5000.00", "folio": null});
    let asked = edge.post(Role::Client, "/v1/accounts/ACC1/fund-purchases", purchase).await.is(201);
    let id = asked.body["fund_order_id"].as_str().unwrap();
    assert_eq!(asked.body["status"], "requested");
    let allotments = "/v1/venue/allotments";
    let units = json!({"account": "ACC1", "fund_order_id": id, "units": "100.000"});
    edge.post(Role::Venue, allotments, units).await.gives_problem(
        400,
        "invalid_body",
        &["/folio", "/nav_date", "/nav"],
    );
    let both = json!({"account": "ACC1", "fund_order_id": id, "rejected": "no", "nav": "50.0000"});
    edge.post(Role::Venue, allotments, both).await.gives_problem(400, "invalid_body", &["/nav"]);
    let rejected = json!({"account": "ACC1", "fund_order_id": id, "rejected": "bank closed"});
    let answer = edge.post(Role::Venue, allotments, rejected).await;
    assert!([201, 422].contains(&answer.status), "{}", answer.text);
    let redemption = json!({"scheme": "119551", "folio": "1/2", "all": false});
    let reply = edge.post(Role::Client, "/v1/accounts/ACC1/fund-redemptions", redemption).await;
    reply.gives_problem(400, "invalid_body", &["/all"]);
}

#[tokio::test]
async fn a_fill_that_fits_no_order_waits_for_an_operator() {
    let edge = Edge::start().await;
    edge.with_a_market().await;
    let placed = edge.post(Role::Client, ORDERS, order(10, "99.00")).await.is(201);
    let fill = json!({"account": "ACC1", "order_id": "ACC1-999", "trade_id": "T1", "quantity": 4, "price": "99.00",
        "executed_at": MORNING, "instrument": "NSE:RELIANCE", "side": "buy"});
    let unmatched = edge.post(Role::Venue, "/v1/venue/fills", fill).await.is(201);
    assert_eq!(unmatched.body["events"], json!(["fill_unmatched"]));
    let path = format!("/v1/venue/unmatched/ACC1/{}/assign", unmatched.body["seq"]);
    let assigned = edge.post(Role::Operator, &path, json!({"order_id": placed.body["order_id"]})).await.is(201);
    assert_eq!(assigned.body["events"][0], "fill_assigned");
}
