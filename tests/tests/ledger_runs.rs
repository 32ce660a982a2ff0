//! The ledger runs: from an empty folder to holdings and profit, seen over HTTP and the command line alone.

use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::{fs, path::Path};
use tests::{
    Client, Reply, binary,
    story::{SCHEME, SHARE, State, Story, day, limit_order, moment},
    wait_until,
};

/// The exact amount in a JSON string; a JSON number would be a fault of the product.
#[track_caller]
fn exact(value: &Value) -> Decimal {
    value.as_str().unwrap_or_else(|| panic!("not a decimal string: {value}")).parse().expect("a decimal")
}

#[track_caller]
fn assert_exact(reply: &Reply, pointer: &str, expected: &str) {
    assert_eq!(exact(reply.at(pointer)), exact(&json!(expected)), "{pointer} of {}: {}", reply.asked, reply.text);
}

/// Buys shares through the outside venue, in a trade of some days ago, so that settlement is due already.
#[track_caller]
fn buy(story: &Story, client: &Client, account: &str, quantity: i64, price: &str, days_ago: i64) -> String {
    let placed =
        client.post(&format!("/v1/accounts/{account}/orders"), limit_order("buy", quantity, price)).must_be(201);
    let order = placed.text_at("/order_id").to_owned();
    let report = json!({ "account": account, "order_id": order, "report": "accepted", "at": moment(0) });
    story.venue.post("/v1/venue/reports", report).must_be(201);
    let fill = json!({
        "account": account, "order_id": order, "trade_id": format!("T-{order}"), "quantity": quantity,
        "price": price, "executed_at": moment(days_ago)
    });
    story.venue.post("/v1/venue/fills", fill).must_be(201);
    order
}

/// Waits until the shares are settled in the holdings.
#[track_caller]
fn settled(client: &Client, account: &str, quantity: i64) {
    wait_until(&format!("{quantity} settled shares"), || {
        let holdings = client.get(&format!("/v1/accounts/{account}/holdings"));
        let mut rows = holdings.rows().iter().filter(|row| row["instrument"] == SHARE);
        rows.any(|row| row["quantity"] == quantity && row["settled"] == quantity).then_some(())
    });
}

#[test]
fn an_order_blocks_cash_is_filled_and_becomes_a_settled_holding_with_a_gain() {
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "100000.00");
    let cash = || client.get("/v1/accounts/ACC1/cash");
    assert_exact(&cash(), "/settled", "100000.00");

    let placed = client.post("/v1/accounts/ACC1/orders", limit_order("buy", 10, "99.50")).must_be(201);
    assert!(placed.header("bahi-position").is_some(), "an answer after hand-over has a position");
    let order = placed.text_at("/order_id").to_owned();
    assert_eq!(order, "ACC1-3", "the id is the account and the seq of the requesting entry");
    assert_exact(&cash(), "/blocked", "995.00");
    assert_exact(&cash(), "/available", "99005.00");

    let requests = story.venue.get("/v1/venue/requests");
    assert_eq!(requests.row("order_id", &order)["account"], "ACC1");

    let report = json!({ "account": "ACC1", "order_id": order, "report": "accepted", "exchange_order_id": "X1", "at": moment(0) });
    story.venue.post("/v1/venue/reports", report).must_be(201);
    let fill = |trade: &str, quantity: i64, price: &str| {
        json!({
            "account": "ACC1", "order_id": order, "trade_id": trade, "quantity": quantity, "price": price,
            "executed_at": moment(3)
        })
    };
    story.venue.post("/v1/venue/fills", fill("T1", 4, "99.00")).must_be(201);
    let partly = client.get(&format!("/v1/accounts/ACC1/orders/{order}"));
    assert_eq!(
        (partly.at("/filled"), partly.at("/pending"), partly.at("/cancelled")),
        (&json!(4), &json!(6), &json!(0))
    );
    story.venue.post("/v1/venue/fills", fill("T2", 6, "99.50")).must_be(201);
    let filled = client.get(&format!("/v1/accounts/ACC1/orders/{order}"));
    assert_eq!(filled.text_at("/status"), "filled");

    settled(&client, "ACC1", 10);
    // 100,000 less 4 at 99.00 and 6 at 99.50.
    assert_exact(&cash(), "/settled", "99007.00");
    assert_exact(&cash(), "/blocked", "0");
    assert_exact(&cash(), "/withdrawable", "99007.00");

    let pnl = client.get("/v1/accounts/ACC1/pnl");
    let row = pnl.row("instrument", SHARE);
    assert_eq!(exact(&row["unrealised"]), exact(&json!("7.00")), "10 at 100.00 cost 993.00: {row}");

    assert_eq!(client.get("/v1/accounts/ACC1/trades").rows().len(), 2);
    let history = client.get(&format!("/v1/accounts/ACC1/orders/{order}/history"));
    assert!(history.rows().len() >= 4, "requested, accepted and two fills: {}", history.text);
    story.server.verify();
}

#[test]
fn shares_sold_leave_the_holding_and_realise_a_gain_against_the_oldest_lots() {
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "100000.00");
    buy(&story, &client, "ACC1", 10, "90.00", 5);
    settled(&client, "ACC1", 10);
    let placed = client.post("/v1/accounts/ACC1/orders", limit_order("sell", 4, "110.00")).must_be(201);
    let order = placed.text_at("/order_id");
    let too_many = client.post("/v1/accounts/ACC1/orders", limit_order("sell", 7, "110.00")).must_be(422);
    assert_eq!(too_many.text_at("/code"), "insufficient_shares");
    let fill = json!({
        "account": "ACC1", "order_id": order, "trade_id": "S1", "quantity": 4, "price": "110.00", "executed_at": moment(2)
    });
    story.venue.post("/v1/venue/fills", fill).must_be(201);
    settled(&client, "ACC1", 6);
    // Provisional until the day of the sale is netted: 4 bought at 90.00 and sold at 110.00.
    wait_until("a realised gain of 80.00", || {
        let pnl = client.get("/v1/accounts/ACC1/pnl");
        (exact(&pnl.row("instrument", SHARE)["realised"]) == exact(&json!("80.00"))).then_some(())
    });
    wait_until("the sale's cash to be settled", || {
        let cash = client.get("/v1/accounts/ACC1/cash");
        (exact(cash.at("/settled")) == exact(&json!("99540.00"))).then_some(())
    });
}

#[test]
fn a_modified_and_a_cancelled_order_give_back_what_they_block() {
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "10000.00");
    let placed = client.post("/v1/accounts/ACC1/orders", limit_order("buy", 10, "100.00")).must_be(201);
    let order = placed.text_at("/order_id");
    let path = format!("/v1/accounts/ACC1/orders/{order}");
    let venue_says = |report: &str, more: Value| {
        let mut body = json!({ "account": "ACC1", "order_id": order, "report": report, "at": moment(0) });
        body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        story.venue.post("/v1/venue/reports", body).must_be(201)
    };
    venue_says("accepted", json!({}));

    let lower = json!({ "price": "95.00", "quantity": 5 }).to_string().into_bytes();
    client.ask("PATCH", &path, &[("Idempotency-Key", "m1")], Some(lower.clone())).must_be(201);
    let second = client.ask("PATCH", &path, &[("Idempotency-Key", "m2")], Some(lower)).must_be(422);
    assert_eq!(second.text_at("/code"), "modification_pending");
    venue_says("modified", json!({ "quantity": 5, "price": "95.00" }));
    assert_exact(&client.get("/v1/accounts/ACC1/cash"), "/blocked", "475.00");

    client.ask("DELETE", &path, &[("Idempotency-Key", "c1")], None).must_be(201);
    assert_exact(&client.get("/v1/accounts/ACC1/cash"), "/blocked", "475.00");
    venue_says("cancelled", json!({}));
    assert_exact(&client.get("/v1/accounts/ACC1/cash"), "/blocked", "0");
    let seen = client.get(&path);
    assert_eq!(seen.text_at("/status"), "cancelled");
    assert_eq!((seen.at("/quantity"), seen.at("/cancelled")), (&json!(5), &json!(5)));
}

#[test]
fn a_fund_purchase_is_sent_allotted_and_held_in_a_folio_and_then_redeemed() {
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "20000.00");
    let fund_order = |id: &str| client.get("/v1/accounts/ACC1/fund-orders").row("fund_order_id", id).clone();
    let sent =
        |id: &str| wait_until("the fund order to be sent", || (fund_order(id)["status"] == "sent").then_some(()));

    let purchase = json!({ "scheme": SCHEME, "amount": "5000.00", "folio": null });
    let asked = client.post("/v1/accounts/ACC1/fund-purchases", purchase).must_be(201);
    let id = asked.text_at("/fund_order_id").to_owned();
    sent(&id);
    assert_exact(&client.get("/v1/accounts/ACC1/cash"), "/settled", "15000.00");
    let allotment = json!({
        "account": "ACC1", "fund_order_id": id, "folio": "9876/54", "nav_date": day(0), "nav": "50.0000",
        "units": "99.995", "stamp_duty": "0.25"
    });
    story.venue.post("/v1/venue/allotments", allotment).must_be(201);
    let portfolio = client.get("/v1/accounts/ACC1/portfolio");
    let row = portfolio.row("folio", "9876/54");
    assert_eq!((&row["scheme"], exact(&row["units"])), (&json!(SCHEME), exact(&json!("99.995"))));

    let redemption = json!({ "scheme": SCHEME, "folio": "9876/54", "units": "40" });
    let asked = client.post("/v1/accounts/ACC1/fund-redemptions", redemption).must_be(201);
    let id = asked.text_at("/fund_order_id").to_owned();
    sent(&id);
    let paid = json!({
        "account": "ACC1", "fund_order_id": id, "folio": "9876/54", "nav_date": day(0), "nav": "50.0000",
        "units": "40", "amount": "2000.00", "pays_on": day(-2)
    });
    story.venue.post("/v1/venue/allotments", paid).must_be(201);
    let portfolio = client.get("/v1/accounts/ACC1/portfolio");
    assert_eq!(exact(&portfolio.row("folio", "9876/54")["units"]), exact(&json!("59.995")));
    let cash = client.get("/v1/accounts/ACC1/cash");
    assert_exact(&cash, "/settled", "15000.00");
    assert_exact(&cash, "/receivable/0/amount", "2000.00");
    assert_eq!(cash.text_at("/receivable/0/date"), day(-2));

    let rejected = client
        .post("/v1/accounts/ACC1/fund-purchases", json!({ "scheme": SCHEME, "amount": "1000.00", "folio": null }));
    let id = rejected.must_be(201).text_at("/fund_order_id").to_owned();
    sent(&id);
    let no = json!({ "account": "ACC1", "fund_order_id": id, "rejected": "KYC not registered" });
    story.venue.post("/v1/venue/allotments", no).must_be(201);
    assert_exact(&client.get("/v1/accounts/ACC1/cash"), "/settled", "15000.00");
    story.server.verify();
}

#[test]
fn every_rupee_is_found_again_after_a_restart_and_after_a_kill() {
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "100000.00");
    buy(&story, &client, "ACC1", 10, "90.00", 5);
    settled(&client, "ACC1", 10);
    client.post("/v1/accounts/ACC1/orders", limit_order("buy", 3, "95.00")).must_be(201);
    let reads = ["cash", "portfolio", "positions", "holdings", "orders", "trades", "pnl", "fund-orders"];
    let seen = |story: &Story| -> Vec<Value> {
        reads.iter().map(|read| story.auditor.get(&format!("/v1/accounts/ACC1/{read}")).body).collect()
    };
    let (state, rows) = (story.state(), seen(&story));

    let story = story.restarted();
    assert_eq!(story.state(), state);
    assert_eq!(seen(&story), rows);
    let story = story.killed_and_started_again();
    assert_eq!(story.state(), state);
    assert_eq!(seen(&story), rows);
    story.server.verify();
}

#[test]
fn a_cold_replay_has_the_state_hash_that_the_server_shows() {
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "50000.00");
    buy(&story, &client, "ACC1", 7, "98.05", 0);
    let log = story.server.log();
    let replayed = binary::run(["replay", "--json"].iter().chain(&log)).succeeded();
    let replayed: Value = serde_json::from_str(replayed.lines().last().unwrap_or_default()).expect("one line of JSON");
    assert_eq!(State::read(&replayed), story.state());
    assert!(story.server.verify().contains("clean"));
    let alone = binary::run(["verify"].iter().chain(&log)).succeeded();
    assert!(alone.contains("not compared"), "without --url it says that live rows were not compared: {alone}");
}

#[test]
fn an_account_can_be_seen_as_it_was_at_any_entry() {
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "1000.00");
    let deposit = |amount: &str| {
        let path = "/v1/accounts/ACC1/cash/deposits";
        story.operator.post(path, json!({ "amount": amount })).must_be(201);
    };
    deposit("10.00");
    deposit("5.00");
    // A client reads what an operator wrote once the view has it.
    wait_until("the last deposit", || {
        (exact(client.get("/v1/accounts/ACC1/cash").at("/settled")) == exact(&json!("1015.00"))).then_some(())
    });
    let events = client.get("/v1/accounts/ACC1/events");
    let settled_at: Vec<Decimal> = events
        .rows()
        .iter()
        .map(|row| client.get(&format!("/v1/accounts/ACC1/cash?as_of_offset={}", row["offset"])))
        .map(|cash| exact(cash.at("/settled")))
        .collect();
    let expected: Vec<Decimal> = ["0", "1000.00", "1010.00", "1015.00"].map(|text| exact(&json!(text))).into();
    assert_eq!(settled_at, expected);
}

#[test]
fn a_tradebook_imported_twice_changes_nothing_the_second_time() {
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "0.01");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("tradebook.csv");
    fs::write(&file, TRADEBOOK).expect("a file can be written");
    let import = |file: &Path| {
        let (file, url, token) =
            (file.to_str().expect("UTF-8"), story.server.url(), story.operator.token().expect("a token"));
        binary::run(["import", "tradebook", file, "--account", "ACC1", "--url", &url, "--token", token]).succeeded()
    };
    import(&file);
    let first = wait_until("the imported shares", || {
        let holdings = client.get("/v1/accounts/ACC1/holdings");
        (!holdings.rows().is_empty()).then(|| story.state())
    });
    assert_eq!(client.get("/v1/accounts/ACC1/trades").rows().len(), 4);
    import(&file);
    assert_eq!(story.state().but_the_journal(), first.but_the_journal());
    let holdings = client.get("/v1/accounts/ACC1/holdings");
    let held: i64 = holdings.rows().iter().filter_map(|row| row["quantity"].as_i64()).sum();
    assert_eq!(held, 22, "{}", holdings.text);
    story.server.verify();
}

/// As Zerodha's Console gives it.
const TRADEBOOK: &str = "\
symbol,isin,trade_date,exchange,segment,series,trade_type,auction,quantity,price,trade_id,order_id,order_execution_time
STORY,INE002A01018,2024-01-10,NSE,EQ,EQ,buy,false,20,80.000000,5001,1100000001,2024-01-10T10:15:30
STORY,INE002A01018,2024-02-12,NSE,EQ,EQ,sell,false,5,91.500000,5002,1100000002,2024-02-12T11:00:00
INFY,INE009A01021,2024-03-01,NSE,EQ,EQ,buy,false,4,1650.250000,5003,1100000003,2024-03-01T09:20:00
INFY,INE009A01021,2024-03-01,NSE,EQ,EQ,buy,false,3,1650.250000,5004,1100000004,2024-03-01T09:20:01
";
