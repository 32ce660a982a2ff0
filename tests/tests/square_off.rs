//! An intraday position that is left open: squared off through the venue in time, or delivered when its session is over.
//!
//! The server's clock is hurried once the position stands, so that the day ends within seconds.

use serde_json::{Value, json};
use std::{fs, time::Duration};
use tempfile::TempDir;
use tests::{
    Client, Reply, Server,
    story::{SHARE, limit_order, list_share, moment, seconds_of_today_left, until_midnight_is_far},
    wait::wait_at_most,
    wait_until,
};

const ORDERS: &str = "/v1/accounts/ACC1/orders";

/// The most a policy may say.
const SQUARE_OFF_MINUTES_MAX: u64 = 180;

/// What is left for opening the position before the back office closes it.
const OPENING_MINUTES: u64 = 4;

/// How long the rest of the day takes.
const DAY_S: u64 = 12;

/// A day with a square-off time of its own, in a folder that servers are started on one after another.
struct Day {
    folder: TempDir,
    policy: String,
    venue: &'static str,
    minutes: u64,
}

impl Day {
    fn with_venue(venue: &'static str) -> Day {
        until_midnight_is_far();
        let folder = tempfile::tempdir().expect("a folder can be made");
        let minutes = (seconds_of_today_left() / 60 - OPENING_MINUTES).min(SQUARE_OFF_MINUTES_MAX);
        let shipped = include_str!("../../domain/data/policy.csv");
        let own = shipped
            .replace("version,2026-04-01", "version,story")
            .replace("square_off_minutes,2010-01-01,10", &format!("square_off_minutes,2010-01-01,{minutes}"));
        let policy = folder.path().join("policy.csv");
        fs::write(&policy, own).expect("a file can be written");
        let policy = policy.to_str().expect("a UTF-8 path").to_owned();
        Day { folder, policy, venue, minutes }
    }

    #[track_caller]
    fn served(&self, speed: u64) -> Server {
        let args = ["--calendar", "always-open", "--venue", self.venue, "--policy", &self.policy];
        Server::start_with(self.folder.path(), &args, &[("BAHI_CLOCK_SPEED", &speed.to_string())])
    }

    /// A server on which the rest of the day takes seconds, and an account's client.
    #[track_caller]
    fn hurried(&self, server: Server) -> (Server, Client) {
        assert!(server.stop().success());
        let server = self.served(seconds_of_today_left() / DAY_S);
        let client = server.client("client", &["ACC1"]);
        (server, client)
    }
}

fn intraday(side: &str, quantity: i64, price: &str) -> Value {
    let mut order = limit_order(side, quantity, price);
    order["product"] = json!("MIS");
    order
}

#[track_caller]
fn placed(client: &Client, order: Value) -> String {
    client.post(ORDERS, order).must_be(201).text_at("/order_id").to_owned()
}

/// What was bought or sold short: shares by product.
fn positions(client: &Client) -> Vec<(Value, Value)> {
    let reply = client.get("/v1/accounts/ACC1/positions");
    reply.rows().iter().map(|row| (row["product"].clone(), row["quantity"].clone())).collect()
}

#[track_caller]
fn opened(server: &Server) -> Client {
    let operator = server.operator();
    list_share(&operator, SHARE);
    operator.post("/v1/accounts", json!({ "account": "ACC1" })).must_be(201);
    operator.post("/v1/accounts/ACC1/cash/deposits", json!({ "amount": "10000.00" })).must_be(201);
    server.client("client", &["ACC1"])
}

/// The entries of the account that hold an event of this type.
fn entries_with(client: &Client, event: &str) -> Vec<Value> {
    let reply: Reply = client.get("/v1/accounts/ACC1/events?limit=500");
    let holds = |entry: &&Value| {
        let events = entry["events"].as_array().expect("events");
        events.iter().any(|known| known["type"] == event)
    };
    let entries: Vec<Value> = reply.rows().iter().map(|row| row["entry"].clone()).collect();
    entries.iter().filter(holds).cloned().collect()
}

#[test]
fn what_is_left_open_is_squared_off_at_the_market_after_its_pending_orders_are_cancelled() {
    let day = Day::with_venue("simulated");
    let server = day.served(1);
    let client = opened(&server);
    let bought = placed(&client, intraday("buy", 10, "100.00"));
    let status = |client: &Client, order: &str| client.get(&format!("{ORDERS}/{order}")).text_at("/status").to_owned();
    wait_until("the purchase to be filled", || (status(&client, &bought) == "filled").then_some(()));
    let target = placed(&client, intraday("sell", 10, "115.00"));
    wait_until("the sale to rest", || (status(&client, &target) == "open").then_some(()));
    let (server, client) = day.hurried(server);
    wait_at_most(Duration::from_secs(2 * DAY_S + 10), "the position to be closed", || {
        positions(&client).is_empty().then_some(())
    });
    assert_eq!(status(&client, &target), "cancelled");
    let requests = entries_with(&client, "order_requested");
    let square_off = requests.last().expect("an order of the back office");
    let command = square_off["command"]["id"].as_str().expect("an id");
    let date = &square_off["recorded_at"].as_str().expect("a time")[..10];
    assert_eq!(command, format!("square-off/{date}/{SHARE}/MIS"));
    let asked = &square_off["events"][0]["data"];
    assert_eq!((&asked["side"], &asked["quantity"], &asked["type"]), (&json!("sell"), &json!(10), &json!("market")));
    let cancelled = entries_with(&client, "cancellation_requested");
    assert!(cancelled[0]["seq"].as_u64() < square_off["seq"].as_u64(), "{cancelled:?}, then {square_off}");
    // Not before its time.
    let time = |entry: &Value| entry["recorded_at"].as_str().expect("a time")[11..16].to_owned();
    let minute = 24 * 60 - day.minutes;
    let due = format!("{:02}:{:02}", minute / 60, minute % 60);
    assert!(time(&cancelled[0]) >= due, "cancelled at {}, due at {due}", time(&cancelled[0]));
    // Bought and sold at 100.00: nothing gained, nothing blocked.
    let cash = client.get("/v1/accounts/ACC1/cash");
    assert_eq!((cash.text_at("/available"), cash.text_at("/blocked")), ("10000.00", "0.00"));
    // What the back office placed, the client cannot change.
    let order = asked["order_id"].as_str().expect("an id");
    assert_eq!(status(&client, order), "filled");
    server.verify();
}

#[test]
fn what_the_venue_leaves_unfilled_is_delivered_when_the_session_is_over() {
    let day = Day::with_venue("none");
    let server = day.served(1);
    let client = opened(&server);
    let bought = placed(&client, intraday("buy", 10, "100.00"));
    let fill = json!({
        "account": "ACC1", "order_id": bought, "trade_id": "T1", "quantity": 10, "price": "100.00",
        "executed_at": moment(0)
    });
    server.venue().post("/v1/venue/fills", fill).must_be(201);
    assert_eq!(positions(&client), [(json!("MIS"), json!(10))]);
    let (server, client) = day.hurried(server);
    let square_off = wait_at_most(Duration::from_secs(2 * DAY_S + 10), "the venue to be asked to square off", || {
        let asked = server.venue().get("/v1/venue/requests");
        let orders: Vec<&str> = asked.rows().iter().filter_map(|row| row["order_id"].as_str()).collect();
        orders.into_iter().find(|order| *order != bought).map(str::to_owned)
    });
    let fill = json!({
        "account": "ACC1", "order_id": square_off, "trade_id": "T2", "quantity": 4, "price": "101.00",
        "executed_at": moment(0)
    });
    server.venue().post("/v1/venue/fills", fill).must_be(201);
    wait_at_most(Duration::from_secs(2 * DAY_S + 10), "the rest to be delivery", || {
        (positions(&client) == [(json!("CNC"), json!(6))]).then_some(())
    });
    let order = client.get(&format!("{ORDERS}/{square_off}"));
    assert_eq!(
        (order.text_at("/status"), order.at("/filled"), order.at("/cancelled")),
        ("expired", &json!(4), &json!(6))
    );
    let converted = entries_with(&client, "position_converted");
    assert_eq!(converted.len(), 1, "{converted:?}");
    let pnl = client.get("/v1/accounts/ACC1/pnl");
    assert_eq!(pnl.row("instrument", SHARE)["intraday"], "4.00");
    server.verify();
}
