//! What is seen, when, and by whom it can be waited for.

use crate::edge::{Edge, MORNING, order};
use api::token::Role;
use serde_json::json;

/// ACC1 holds ten shares bought at 99.00; the position after that.
async fn with_a_holding(edge: &Edge) -> String {
    edge.with_a_market().await;
    let placed = edge.post(Role::Client, "/v1/accounts/ACC1/orders", order(10, "99.00")).await.is(201);
    let id = placed.body["order_id"].as_str().unwrap();
    let fill = json!({"account": "ACC1", "order_id": id, "trade_id": "T1", "quantity": 10, "price": "99.00",
        "executed_at": MORNING});
    edge.post(Role::Venue, "/v1/venue/fills", fill).await.is(201).header("bahi-position").unwrap().to_owned()
}

#[tokio::test]
async fn a_caller_reads_its_own_writes_by_the_position_it_was_given() {
    let edge = Edge::start().await;
    let position = with_a_holding(&edge).await;
    let get = async |what: &str| {
        edge.get_at(Role::Client, format!("/v1/accounts/ACC1/{what}").trim_end_matches('/'), &position).await.is(200)
    };
    let order = get("orders/ACC1-3").await;
    assert_eq!(order.body["status"], "filled");
    assert!(order.header("bahi-position").is_some());
    assert_eq!(get("orders?status=filled").await.body["items"][0]["order_id"], "ACC1-3");
    assert_eq!(get("orders?status=open").await.body["items"], json!([]));
    assert_eq!(get("orders?instrument=NSE:OTHER").await.body["items"], json!([]));
    assert_eq!(get("trades").await.body["items"][0]["trade_id"], "T1");
    assert_eq!(get("trades?status=unmatched").await.body["items"], json!([]));
    assert_eq!(get("positions").await.body["items"][0]["bought_today"], 10);
    assert_eq!(get("portfolio").await.body["items"][0]["value"], "1000.00");
    assert_eq!(get("orders/ACC1-3/history").await.body["items"].as_array().unwrap().len(), 2);
    let cash = get("cash").await.body;
    assert_eq!(cash["settled"], "100000.00");
    assert_eq!(cash["payable"][0]["amount"], "990.00");
    assert_eq!(cash["withdrawable"], "99010.00");
    for what in ["", "holdings", "fund-orders", "pnl", "events"] {
        get(what).await;
    }
}

#[tokio::test]
async fn a_position_that_does_not_come_is_waited_for_within_a_limit() {
    let edge = Edge::start().await;
    edge.with_a_market().await;
    let far = projections::Position { ledger: vec![Some(9_999), Some(9_999)], market: Vec::new() };
    let reply = edge.get_at(Role::Client, "/v1/accounts/ACC1/cash", &far.to_string()).await;
    let reply = reply.gives_problem(503, "position_not_reached", &[]);
    assert_eq!(reply.header("retry-after"), Some("1"));
    let headers = [("idempotency-key", "k"), ("bahi-min-position", &*far.to_string())];
    edge.post_with(Role::Client, "/v1/accounts/ACC1/orders", &headers, order(1, "99.00").to_string()).await.is(201);
}

#[tokio::test]
async fn the_past_is_seen_as_of_an_offset_or_a_recorded_time() {
    let edge = Edge::start().await;
    let position = with_a_holding(&edge).await;
    let events = edge.get_at(Role::Auditor, "/v1/accounts/ACC1/events", &position).await.is(200);
    let offsets: Vec<u64> =
        events.body["items"].as_array().unwrap().iter().map(|item| item["offset"].as_u64().unwrap()).collect();
    assert_eq!(offsets.len(), 4, "{}", events.text);
    let at = async |offset: u64| {
        let path = format!("/v1/accounts/ACC1/cash?as_of_offset={offset}");
        edge.get_at(Role::Client, &path, &position).await.is(200).body["available"].clone()
    };
    assert_eq!(at(offsets[0]).await, "0.00");
    assert_eq!(at(offsets[1]).await, "100000.00");
    assert_eq!(at(offsets[2]).await, "99010.00");
    let early = "/v1/accounts/ACC1/cash?as_of=2026-11-24T09:00:00%2B05:30";
    edge.get_at(Role::Client, early, &position).await.gives_problem(404, "unknown_account", &[]);
    let now = "/v1/accounts/ACC1/events?limit=2&as_of=2026-11-24T11:00:00%2B05:30";
    let page = edge.get_at(Role::Client, now, &position).await.is(200);
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let rest = edge.get_at(Role::Client, &format!("{now}&cursor={cursor}"), &position).await.is(200);
    assert_eq!(rest.body["items"].as_array().unwrap().len(), 2);
    assert_eq!(rest.body["next_cursor"], json!(null));
    let first = format!("/v1/accounts/ACC1/orders/ACC1-3/history?as_of_offset={}", offsets[2]);
    assert_eq!(edge.get_at(Role::Client, &first, &position).await.is(200).body["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn entries_are_shown_byte_for_byte() {
    let edge = Edge::start().await;
    let position = with_a_holding(&edge).await;
    let events = edge.get_at(Role::Auditor, "/v1/accounts/ACC1/events?limit=1", &position).await.is(200);
    // Fields in the stored order, which a value that was read and written again would not keep.
    assert!(events.text.contains(r#""entry":{"v":1,"account":"ACC1","seq":1,"source":"#), "{}", events.text);
    assert!(events.text.contains(r#""request_id":""#), "{}", events.text);
}

#[tokio::test]
async fn what_is_not_there_is_not_found_by_name() {
    let edge = Edge::start().await;
    edge.with_a_market().await;
    for (path, code) in [
        ("/v1/accounts/NOBODY", "unknown_account"),
        ("/v1/accounts/NOBODY/events", "unknown_account"),
        ("/v1/accounts/ACC1/orders/ACC1-99", "unknown_order"),
        ("/v1/accounts/ACC1/orders/OTHER-1", "unknown_order"),
        ("/v1/accounts/ACC1/orders/ACC1-99/history", "unknown_order"),
        ("/v1/accounts/ACC1/commands/none", "unknown_command"),
        ("/v1/instruments/NSE:NOSUCH", "unknown_instrument"),
        ("/v1/instruments/NSE:NOSUCH/prices", "unknown_instrument"),
        ("/v1/schemes/1", "unknown_scheme"),
        ("/v1/schemes/1/navs", "unknown_scheme"),
    ] {
        edge.get(Role::Auditor, path).await.gives_problem(404, code, &[]);
    }
    edge.get(Role::Auditor, "/v1/instruments/nonsense").await.gives_problem(400, "invalid_path", &["#id"]);
}

#[tokio::test]
async fn the_market_is_seen_by_everyone_who_reads() {
    let edge = Edge::start().await;
    let day = json!({"exchange": "NSE", "date": "2026-12-25", "kind": "session", "open": "18:00", "close": "19:00"});
    edge.with_a_market().await;
    let told = edge.post(Role::Operator, "/v1/market/calendar", day).await.is(201);
    let position = told.header("bahi-position").unwrap();
    let get = async |path: &str| edge.get_at(Role::Client, path, position).await.is(200).body;
    assert_eq!(get("/v1/calendar?exchange=NSE").await["items"][0]["open"], "18:00");
    assert_eq!(get("/v1/instruments?prefix=REL").await["items"][0]["tick_size"], "0.05");
    assert_eq!(get("/v1/instruments/NSE:RELIANCE").await["last_price"], "100.00");
    assert_eq!(get("/v1/schemes?name=SCHEME").await["items"][0]["scheme"], "119551");
    assert_eq!(get("/v1/schemes/119551/navs").await["items"], json!([]));
}

#[tokio::test]
async fn a_venue_follows_requests_by_its_cursor() {
    let edge = Edge::start().await;
    with_a_holding(&edge).await;
    let page = edge.get(Role::Venue, "/v1/venue/requests").await.is(200);
    assert_eq!(page.body["items"][0]["request"], "new", "{}", page.text);
    let cursor = page.body["next_cursor"].as_str().unwrap().to_owned();
    let next = format!("/v1/venue/requests?cursor={cursor}");
    assert_eq!(edge.get(Role::Venue, &next).await.is(200).body["items"], json!([]));
    edge.post(Role::Client, "/v1/accounts/ACC1/orders", order(1, "99.00")).await.is(201);
    assert_eq!(edge.get(Role::Venue, &next).await.is(200).body["items"][0]["quantity"], 1);
    edge.get(Role::Venue, "/v1/venue/requests?cursor=AAAA").await.gives_problem(400, "invalid_query", &["#cursor"]);
}

#[tokio::test]
async fn the_state_is_a_hash_for_each_view_at_a_position() {
    let edge = Edge::start().await;
    let position = with_a_holding(&edge).await;
    let state = edge.get_at(Role::Auditor, "/v1/state", &position).await.is(200);
    let views = state.body["views"].as_object().unwrap();
    assert_eq!(views.len(), 9);
    assert!(views.values().all(|hash| hash.as_str().unwrap().len() == 64));
    assert_eq!(state.body["position"].as_str(), state.header("bahi-position"));
}
