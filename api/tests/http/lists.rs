//! Batches of orders, rows of imports, lists of facts: each item answered on its own.

use crate::edge::{Edge, order};
use api::token::Role;
use serde_json::{Value, json};

const BATCH: &str = "/v1/accounts/ACC1/orders/batch";
const TRADES: &str = "/v1/accounts/ACC1/imports/trades";
const UNITS: &str = "/v1/accounts/ACC1/imports/units";

fn keyed(key: &str, quantity: i64) -> Value {
    let mut body = order(quantity, "99.00");
    body["key"] = json!(key);
    body
}

fn statuses(body: &Value) -> Vec<u64> {
    body["results"].as_array().unwrap().iter().map(|item| item["status"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn each_order_of_a_batch_has_its_own_answer_and_a_bad_one_harms_no_other() {
    let edge = Edge::start().await;
    edge.with_a_market().await;
    let mut bad = keyed("k2", 0);
    bad["colour"] = json!("red");
    let orders =
        json!({"orders": [keyed("k1", 1), bad, keyed("k3", 100_000), keyed("k4", 2), "nonsense", keyed("", 1)]});
    let first = edge.post_with(Role::Client, BATCH, &[], orders.to_string()).await.is(200);
    assert_eq!(statuses(&first.body), [201, 400, 422, 201, 400, 400]);
    let results = &first.body["results"];
    assert_eq!(results[0]["body"]["order_id"], "ACC1-3");
    assert_eq!(results[1]["body"]["errors"][0]["pointer"], "/orders/1/quantity");
    assert_eq!(results[1]["body"]["errors"][1]["pointer"], "/orders/1/colour");
    assert_eq!(results[2]["body"]["code"], "insufficient_cash");
    assert_eq!(results[3]["body"]["order_id"], "ACC1-5");
    assert_eq!(results[5]["body"]["errors"][0]["pointer"], "/orders/5/key");
    assert!(first.header("bahi-position").is_some());
    let again = edge.post_with(Role::Client, BATCH, &[], orders.to_string()).await.is(200);
    assert_eq!(statuses(&again.body), statuses(&first.body));
    for item in [0, 2, 3] {
        assert_eq!(again.body["results"][item]["body"], results[item]["body"]);
        assert_eq!(again.body["results"][item]["replayed"], true);
    }
}

#[tokio::test]
async fn a_list_has_one_to_a_thousand_items_and_no_other_field() {
    let edge = Edge::start().await;
    let post = async |body: Value| edge.post_with(Role::Client, BATCH, &[], body.to_string()).await;
    post(json!({"orders": []})).await.gives_problem(400, "invalid_body", &["/orders"]);
    post(json!({"orders": vec![1; 1001]})).await.gives_problem(400, "invalid_body", &["/orders"]);
    assert_eq!(statuses(&post(json!({"orders": vec![1; 1000]})).await.is(200).body), [400; 1000]);
    post(json!({"orders": {}})).await.gives_problem(400, "invalid_body", &["/orders"]);
    post(json!({"orders": [1], "more": 1})).await.gives_problem(400, "invalid_body", &["/more"]);
    post(json!({})).await.gives_problem(400, "invalid_body", &["/orders"]);
    let facts = edge.post(Role::Operator, "/v1/market/navs", json!([])).await;
    facts.gives_problem(400, "invalid_body", &[""]);
    edge.post(Role::Operator, "/v1/market/navs", json!(vec![1; 1001])).await.gives_problem(400, "invalid_body", &[""]);
}

#[tokio::test]
async fn imported_rows_are_taken_in_date_order_and_known_by_their_keys() {
    let edge = Edge::start().await;
    edge.with_a_market().await;
    let row = |side: &str, quantity: Value, date: &str| json!({"isin": "INE009A01021", "side": side, "quantity": quantity, "price": "1500.00", "trade_date": date});
    let numbered = json!({"instrument": "NSE:RELIANCE", "kind": "purchase", "quantity": 5, "price": "90.00",
        "exchange": "NSE", "trade_id": "T9", "trade_date": "2024-01-03"});
    let rows = json!({"rows": [
        row("sell", json!(4), "2024-01-02"),
        row("buy", json!(10), "2024-01-01"),
        row("buy", json!(1.5), "2024-01-01"),
        row("buy", json!(10), "2024-01-01"),
        numbered,
        {"quantity": 1},
    ]});
    let first = edge.post_with(Role::Operator, TRADES, &[], rows.to_string()).await.is(200);
    assert_eq!(statuses(&first.body), [201, 201, 400, 201, 201, 400]);
    let results = &first.body["results"];
    let seq = |item: usize| results[item]["body"]["seq"].as_u64().unwrap();
    assert!(seq(1) < seq(3) && seq(3) < seq(0) && seq(0) < seq(4), "{}", first.text);
    assert_eq!(results[4]["body"]["command"], "NSE/2024-01-03/T9/buy");
    assert_eq!(results[2]["body"]["errors"][0]["pointer"], "/rows/2/quantity");
    let missing: Vec<&str> =
        results[5]["body"]["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    assert_eq!(missing, ["/rows/5/instrument", "/rows/5/kind", "/rows/5/trade_date"]);
    let again = edge.post_with(Role::Operator, TRADES, &[], rows.to_string()).await.is(200);
    assert!([0, 1, 3, 4].iter().all(|item| again.body["results"][item]["replayed"] == true), "{}", again.text);
    let position = first.header("bahi-position").unwrap();
    let held = edge.get_at(Role::Client, "/v1/accounts/ACC1/holdings", position).await.is(200);
    assert_eq!(held.body["items"][0]["instrument"], "ISIN:INE009A01021");
    assert_eq!(held.body["items"][0]["quantity"], 16);
}

#[tokio::test]
async fn imported_units_are_answered_row_by_row() {
    let edge = Edge::start().await;
    edge.with_a_market().await;
    let row = |amount: &str| {
        json!({"scheme": "119551", "folio": "1/2", "kind": "purchase", "units": "10.5000", "amount": amount,
            "executed_at": "2024-01-01T00:00:00+05:30"})
    };
    let rows = json!({"rows": [row("500.00"), row("500.001"), row("500.00")]});
    let reply = edge.post_with(Role::Operator, UNITS, &[], rows.to_string()).await.is(200);
    assert_eq!(statuses(&reply.body), [201, 400, 201]);
    let position = reply.header("bahi-position").unwrap();
    let held = edge.get_at(Role::Client, "/v1/accounts/ACC1/portfolio", position).await.is(200);
    assert_eq!(held.body["items"][0]["units"], "21.000", "{}", held.text);
}

#[tokio::test]
async fn facts_come_one_at_a_time_or_as_a_list_whose_items_have_keys_of_their_own() {
    let edge = Edge::start().await;
    edge.with_a_market().await;
    let nav = |date: &str, nav: &str| json!({"scheme": "119551", "date": date, "nav": nav});
    let key = [("idempotency-key", "navs")];
    let list =
        json!([nav("2026-11-20", "40.1234"), nav("today", "1"), nav("2026-11-21", "41"), nav("2026-11-20", "40.1234")]);
    let first = edge.post_with(Role::Operator, "/v1/market/navs", &key, list.to_string()).await.is(200);
    assert_eq!(statuses(&first.body), [201, 400, 201, 422]);
    assert_eq!(first.body["results"][2]["body"]["command"], "navs/2");
    assert_eq!(first.body["results"][1]["body"]["errors"][0]["pointer"], "/1/date");
    assert_eq!(first.body["results"][3]["body"]["code"], "fact_repeated");
    edge.get(Role::Operator, "/v1/market/commands/navs%2F2").await.is(200);
    let price = json!({"instrument": "NSE:RELIANCE", "date": "2026-11-20", "open": "99.00", "high": "101.00",
        "low": "98.00", "close": "100.00", "volume": 7});
    edge.post(
        Role::Operator,
        "/v1/market/prices",
        json!([price, {"instrument": "NSE:RELIANCE", "last": "101.00",
        "at": "2026-11-24T11:00:00+05:30"}]),
    )
    .await
    .is(200);
    edge.post(Role::Operator, "/v1/market/prices", json!({"instrument": "NSE:RELIANCE", "last": 1}))
        .await
        .gives_problem(400, "invalid_body", &["/last", "/at"]);
    edge.post(Role::Operator, "/v1/market/prices", json!({"instrument": "NSE:RELIANCE", "date": "2026-11-20"}))
        .await
        .gives_problem(400, "invalid_body", &["/open", "/high", "/low", "/close"]);
}
