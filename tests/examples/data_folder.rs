//! Keeps a data folder of this release in `tests/fixtures`, for later releases to open; `make fixture` runs it.
//!
//! A real server writes it, told over HTTP alone. What is kept is a backup of its log, the state hash of every view,
//! and the policy that it was decided under. One that was kept is never made again.

use serde_json::{Value, json};
use std::{fs, path::Path};
use tests::{
    Client, binary,
    story::{SCHEME, Story, day, limit_order, moment},
    wait_until,
};

const ACCOUNT: &str = "/v1/accounts/ACC1";

/// What a stopped server leaves beside its log.
const SNAPSHOTS: &str = "snapshots.db";

fn main() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(env!("CARGO_PKG_VERSION"));
    assert!(!kept.exists(), "{} is kept already and is never edited", kept.display());
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "100000.00");
    shares(&story, &client);
    intraday(&story, &client);
    funds(&story, &client);
    history(&story);
    told_late(&story, &client);
    story.server.verify();
    // Written again from a snapshot, with which a later release opens the folder too.
    let story = story.restarted_with(&["--calendar", "always-open", "--snapshot-entries", "10"]);
    let client = story.server.client("client", &["ACC1"]);
    for _ in 0..40 {
        place(&client, limit_order("buy", 1, "85.00"));
    }
    fs::create_dir_all(&kept).expect("a folder can be made");
    keep(&story, &kept);
    let data = story.data().to_owned();
    assert!(story.server.stop().success(), "the server stops");
    fs::copy(Path::new(&data).join(SNAPSHOTS), kept.join(SNAPSHOTS)).expect("a file can be copied");
}

/// Delivery: bought and settled, sold in part, one order resting, one cancelled, one refused.
fn shares(story: &Story, client: &Client) {
    let bought = place(client, limit_order("buy", 10, "99.50"));
    report(story, &bought, "accepted");
    fill(story, &bought, "T1", 4, "99.00", 5);
    fill(story, &bought, "T2", 6, "99.50", 5);
    wait_until("settled shares", || {
        let holdings = client.get(&format!("{ACCOUNT}/holdings"));
        holdings.rows().iter().any(|row| row["settled"] == 10).then_some(())
    });
    let sold = place(client, limit_order("sell", 4, "101.00"));
    fill(story, &sold, "T3", 3, "101.00", 0);
    place(client, limit_order("buy", 2, "95.00"));
    let cancelled = place(client, limit_order("buy", 1, "90.00"));
    report(story, &cancelled, "accepted");
    let path = format!("{ACCOUNT}/orders/{cancelled}");
    client.ask("DELETE", &path, &[("Idempotency-Key", "cancel-1")], None).must_be(201);
    report(story, &cancelled, "cancelled");
    client.post(&format!("{ACCOUNT}/orders"), limit_order("buy", 5_000, "100.00")).must_be(422);
    let stop = json!({
        "instrument": "NSE:STORY", "side": "buy", "quantity": 1, "type": "SL", "price": "106.00",
        "trigger_price": "105.00", "product": "CNC", "validity": "DAY"
    });
    let stop = place(client, stop);
    report(story, &stop, "accepted");
    report(story, &stop, "triggered");
    for (last, price) in [("rejected", "89.00"), ("expired", "88.00")] {
        report(story, &place(client, limit_order("buy", 1, price)), last);
    }
    let changed = place(client, limit_order("buy", 3, "92.00"));
    report(story, &changed, "accepted");
    let path = format!("{ACCOUNT}/orders/{changed}");
    let change = json!({ "price": "93.00" }).to_string().into_bytes();
    client.ask("PATCH", &path, &[("Idempotency-Key", "change-1")], Some(change)).must_be(201);
    report(story, &changed, "modified");
    // A trade that the exchange takes back.
    fill(story, &changed, "T4", 1, "93.00", 0);
    let undone = json!({
        "account": "ACC1", "order_id": changed, "trade_id": "T4", "trade_date": day(0), "at": moment(0), "reason": "annulled"
    });
    story.venue.post("/v1/venue/trade-cancellations", undone).must_be(201);
}

/// An intraday position, opened and closed in part.
fn intraday(story: &Story, client: &Client) {
    let mis = |side: &str, quantity: i64, price: &str| {
        let mut order = limit_order(side, quantity, price);
        order["product"] = json!("MIS");
        order
    };
    fill(story, &place(client, mis("buy", 20, "100.00")), "M1", 20, "100.00", 0);
    fill(story, &place(client, mis("sell", 5, "100.50")), "M2", 5, "100.50", 0);
    let convert = json!({ "instrument": "NSE:STORY", "from": "MIS", "to": "CNC", "quantity": 5 });
    client.post(&format!("{ACCOUNT}/positions/convert"), convert).must_be(201);
}

/// A purchase that was allotted, one that was rejected, a redemption that was paid, and one that is under way.
fn funds(story: &Story, client: &Client) {
    let asked_for = |amount: &str| {
        let purchase = json!({ "scheme": SCHEME, "amount": amount, "folio": null });
        client.post(&format!("{ACCOUNT}/fund-purchases"), purchase).must_be(201).text_at("/fund_order_id").to_owned()
    };
    let redeemed = |units: &str| {
        let redemption = json!({ "scheme": SCHEME, "folio": "9876/54", "units": units });
        let asked = client.post(&format!("{ACCOUNT}/fund-redemptions"), redemption).must_be(201);
        asked.text_at("/fund_order_id").to_owned()
    };
    let is_sent = |id: &str| client.get(&format!("{ACCOUNT}/fund-orders")).row("fund_order_id", id)["status"] == "sent";
    let (id, rejected) = (asked_for("5000.00"), asked_for("700.00"));
    wait_until("the purchases to be sent", || (is_sent(&id) && is_sent(&rejected)).then_some(()));
    let rejected = json!({ "account": "ACC1", "fund_order_id": rejected, "rejected": "scheme closed" });
    story.venue.post("/v1/venue/allotments", rejected).must_be(201);
    let allotment = json!({
        "account": "ACC1", "fund_order_id": id, "folio": "9876/54", "nav_date": day(0), "nav": "50.0000",
        "units": "99.995", "stamp_duty": "0.25"
    });
    story.venue.post("/v1/venue/allotments", allotment).must_be(201);
    let (paid, under_way) = (redeemed("10"), redeemed("40"));
    wait_until("the redemptions to be sent", || (is_sent(&paid) && is_sent(&under_way)).then_some(()));
    let payout = json!({
        "account": "ACC1", "fund_order_id": paid, "folio": "9876/54", "nav_date": day(0), "nav": "50.0000",
        "units": "10", "amount": "500.00", "pays_on": day(0)
    });
    story.venue.post("/v1/venue/allotments", payout).must_be(201);
}

/// A trade of an order unknown, assigned to one that is; and cash that leaves.
fn told_late(story: &Story, client: &Client) {
    let order = place(client, limit_order("buy", 2, "94.00"));
    let stray = json!({
        "account": "ACC1", "order_id": "ACC1-9999", "trade_id": "U2", "quantity": 2, "price": "94.00",
        "executed_at": moment(0)
    });
    let seq = story.venue.post("/v1/venue/fills", stray).must_be(201).at("/seq").as_u64().expect("a number");
    let path = format!("/v1/venue/unmatched/ACC1/{seq}/assign");
    story.operator.post(&path, json!({ "order_id": order })).must_be(201);
    let withdrawn = json!({ "amount": "100.00" });
    story.operator.post(&format!("{ACCOUNT}/cash/withdrawals"), withdrawn).must_be(201);
}

/// A trade and units from before, and an account of which only a trade is known.
fn history(story: &Story) {
    let rows = json!({ "rows": [{
        "key": "NSE/2024-01-10/9001/buy", "instrument": "NSE:STORY", "kind": "purchase", "quantity": 7, "price": "80.00",
        "exchange": "NSE", "trade_id": "9001", "executed_at": "2024-01-10T10:15:30+05:30"
    }]});
    story
        .operator
        .ask("POST", &format!("{ACCOUNT}/imports/trades"), &[], Some(rows.to_string().into_bytes()))
        .must_be(200);
    let units = json!({ "rows": [{
        "key": "units-1", "scheme": SCHEME, "folio": "1/2", "kind": "purchase", "units": "10.000", "nav": "45.0000",
        "amount": "450.00", "trade_date": day(5)
    }]});
    story.operator.post(&format!("{ACCOUNT}/imports/units"), units).must_be(200);
    let unknown = json!({
        "account": "STRAY", "order_id": "STRAY-9", "trade_id": "U1", "quantity": 1, "price": "100.00", "executed_at": moment(0)
    });
    story.venue.post("/v1/venue/fills", unknown).must_be(201);
}

fn place(client: &Client, order: Value) -> String {
    client.post(&format!("{ACCOUNT}/orders"), order).must_be(201).text_at("/order_id").to_owned()
}

fn report(story: &Story, order: &str, report: &str) {
    let report = json!({ "account": "ACC1", "order_id": order, "report": report, "at": moment(0) });
    story.venue.post("/v1/venue/reports", report).must_be(201);
}

fn fill(story: &Story, order: &str, trade: &str, quantity: i64, price: &str, days_ago: i64) {
    let fill = json!({
        "account": "ACC1", "order_id": order, "trade_id": trade, "quantity": quantity, "price": price,
        "executed_at": moment(days_ago)
    });
    story.venue.post("/v1/venue/fills", fill).must_be(201);
}

/// The log, the hashes of its views and its policy.
fn keep(story: &Story, kept: &Path) {
    let log = kept.join("bahi.db");
    let path = log.to_str().expect("a UTF-8 path");
    binary::run(["backup", "--data", story.data(), "--out", path]).succeeded();
    let out = binary::run(["replay", "--data", path, "--json"]).succeeded();
    let replayed: Value = serde_json::from_str(out.trim()).expect("a line of JSON");
    let state = json!({ "position": replayed["position"], "entries": replayed["entries"], "views": replayed["views"] });
    let state = serde_json::to_string_pretty(&state).expect("a value can be written");
    fs::write(kept.join("state.json"), state + "\n").expect("a file can be written");
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../domain/data/policy.csv");
    fs::copy(policy, kept.join("policy.csv")).expect("a file can be copied");
}
