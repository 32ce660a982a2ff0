//! Every order type and every path of an order's life, as clients and venues see them over HTTP.

use serde_json::{Value, json};
use tests::{
    Client, Reply, Server,
    story::{SHARE, Story, day, limit_order, list_share, moment, until_midnight_is_far},
    wait_until,
};

const ORDERS: &str = "/v1/accounts/ACC1/orders";

/// An order for the share; what is absent from a limit order is null, which is the same as absent.
fn order(side: &str, quantity: i64, more: Value) -> Value {
    let mut order = limit_order(side, quantity, "100.00");
    order.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    order
}
fn stop_loss(side: &str, quantity: i64, trigger: &str, limit: &str) -> Value {
    order(side, quantity, json!({ "type": "SL", "price": limit, "trigger_price": trigger }))
}
fn intraday(side: &str, quantity: i64, price: &str) -> Value {
    order(side, quantity, json!({ "product": "MIS", "price": price }))
}

/// A ledger with a client of one account.
struct Life {
    story: Story,
    client: Client,
}

impl Life {
    fn begin(rupees: &str) -> Life {
        until_midnight_is_far();
        let story = Story::with_a_market();
        let client = story.investor("ACC1", rupees);
        Life { story, client }
    }
    #[track_caller]
    fn placed(&self, order: Value) -> String {
        self.client.post(ORDERS, order).must_be(201).text_at("/order_id").to_owned()
    }
    #[track_caller]
    fn refused(&self, order: Value, code: &str) -> Reply {
        let refused = self.client.post(ORDERS, order).must_be(422);
        assert_eq!(refused.text_at("/code"), code, "{}", refused.text);
        refused
    }
    #[track_caller]
    fn told(&self, order: &str, report: &str) -> Reply {
        let body = json!({ "account": "ACC1", "order_id": order, "report": report, "at": moment(0) });
        self.story.venue.post("/v1/venue/reports", body).must_be(201)
    }
    #[track_caller]
    fn filled(&self, order: &str, trade: &str, quantity: i64, price: &str) -> Reply {
        let body = json!({
            "account": "ACC1", "order_id": order, "trade_id": trade, "quantity": quantity, "price": price,
            "executed_at": moment(0)
        });
        self.story.venue.post("/v1/venue/fills", body).must_be(201)
    }
    #[track_caller]
    fn undone(&self, order: &str, trade: &str) -> Reply {
        let body = json!({
            "account": "ACC1", "order_id": order, "trade_id": trade, "trade_date": day(0), "at": moment(0),
            "reason": "annulled"
        });
        self.story.venue.post("/v1/venue/trade-cancellations", body).must_be(201)
    }
    #[track_caller]
    fn changed(&self, order: &str, change: Value) -> Reply {
        let body = change.to_string().into_bytes();
        let key = tests::key();
        self.client.ask("PATCH", &format!("{ORDERS}/{order}"), &[("Idempotency-Key", &key)], Some(body))
    }
    #[track_caller]
    fn seen(&self, order: &str) -> Reply {
        self.client.get(&format!("{ORDERS}/{order}"))
    }
    #[track_caller]
    fn stands(&self, order: &str, status: &str) {
        let seen = self.seen(order);
        assert_eq!(seen.text_at("/status"), status, "{}", seen.text);
        let count = |name: &str| seen.at(name).as_i64().expect("a count");
        assert_eq!(count("/filled") + count("/pending") + count("/cancelled"), count("/quantity"), "{}", seen.text);
    }
    /// The account's last entry.
    #[track_caller]
    fn last_entry(&self) -> Value {
        let events = self.client.get("/v1/accounts/ACC1/events?limit=500");
        events.rows().last().expect("an entry")["entry"].clone()
    }
    fn cash(&self) -> Reply {
        self.client.get("/v1/accounts/ACC1/cash")
    }
    fn blocked(&self) -> String {
        self.cash().text_at("/blocked").to_owned()
    }
}

#[test]
fn a_stop_loss_sleeps_until_the_market_reaches_its_trigger() {
    let life = Life::begin("10000.00");
    let order = life.placed(stop_loss("buy", 10, "105.00", "106.00"));
    life.stands(&order, "requested");
    assert_eq!(life.blocked(), "1060.00");
    let asked = life.story.venue.get("/v1/venue/requests");
    let request = asked.row("order_id", &order);
    assert_eq!((&request["type"], &request["trigger_price"]), (&json!("SL"), &json!("105.00")));
    life.told(&order, "accepted");
    life.stands(&order, "trigger_pending");
    let waiting = life.client.get(&format!("{ORDERS}?status=trigger_pending"));
    assert_eq!(waiting.rows().len(), 1);
    assert_eq!(life.told(&order, "triggered").text_at("/status"), "open");
    life.stands(&order, "open");
    life.filled(&order, "T1", 10, "105.50");
    life.stands(&order, "filled");
    assert_eq!(life.blocked(), "0.00");
    let history = life.client.get(&format!("{ORDERS}/{order}/history"));
    let types: Vec<&str> = history.rows().iter().filter_map(|row| row["type"].as_str()).collect();
    assert_eq!(types, ["order_requested", "order_accepted", "order_triggered", "order_filled"]);
    life.story.server.verify();
}

#[test]
fn a_simulated_venue_triggers_stop_losses_as_prices_move() {
    until_midnight_is_far();
    let folder = tempfile::tempdir().expect("a folder can be made");
    let server = Server::start_with(folder.path(), &["--calendar", "always-open", "--venue", "simulated"], &[]);
    let operator = server.operator();
    list_share(&operator, SHARE);
    operator.post("/v1/accounts", json!({ "account": "ACC1" })).must_be(201);
    operator.post("/v1/accounts/ACC1/cash/deposits", json!({ "amount": "10000.00" })).must_be(201);
    let client = server.client("client", &["ACC1"]);
    let place = |order: Value| client.post(ORDERS, order).must_be(201).text_at("/order_id").to_owned();
    let at_market = place(order("buy", 5, json!({ "type": "SL-M", "price": null, "trigger_price": "104.00" })));
    let limited = place(stop_loss("buy", 5, "103.00", "103.50"));
    let status = |order: &str| client.get(&format!("{ORDERS}/{order}")).text_at("/status").to_owned();
    for order in [&at_market, &limited] {
        wait_until("the order to wait for its trigger", || (status(order) == "trigger_pending").then_some(()));
    }
    operator.post("/v1/market/prices", json!({ "instrument": SHARE, "last": "104.00", "at": moment(0) })).must_be(201);
    wait_until("the order at market to be filled", || (status(&at_market) == "filled").then_some(()));
    // Triggered, but the market has passed its limit.
    wait_until("the limited order to stand", || (status(&limited) == "open").then_some(()));
    operator.post("/v1/market/prices", json!({ "instrument": SHARE, "last": "103.25", "at": moment(0) })).must_be(201);
    wait_until("the limited order to be filled", || (status(&limited) == "filled").then_some(()));
    let seen = client.get(&format!("{ORDERS}/{limited}"));
    assert_eq!(seen.text_at("/average_price"), "103.25");
    server.verify();
}

#[test]
fn a_trigger_on_the_wrong_side_is_refused_with_both_prices() {
    let life = Life::begin("10000.00");
    let refused = life.refused(stop_loss("buy", 1, "99.00", "106.00"), "trigger_wrong_side");
    assert_eq!(refused.at("/figures"), &json!({ "trigger_price": "99.00", "last_price": "100.00" }));
    life.refused(stop_loss("buy", 1, "106.00", "105.00"), "trigger_beyond_price");
    life.refused(order("buy", 1, json!({ "type": "SL", "price": "106.00" })), "trigger_price_required");
    life.refused(order("buy", 1, json!({ "trigger_price": "106.00" })), "trigger_price_not_allowed");
    life.refused(order("buy", 100, json!({ "disclosed_quantity": 9 })), "disclosed_quantity_not_allowed");
}

#[test]
fn a_twenty_sixth_modification_is_refused() {
    let life = Life::begin("10000.00");
    let order = life.placed(limit_order("buy", 10, "90.00"));
    life.told(&order, "accepted");
    for number in 1..=25 {
        life.changed(&order, json!({ "price": format!("9{}.00", number % 2 + 1) })).must_be(201);
        life.told(&order, "modified");
    }
    let refused = life.changed(&order, json!({ "price": "95.00" })).must_be(422);
    assert_eq!(refused.text_at("/code"), "too_many_modifications");
    assert_eq!(life.seen(&order).at("/modifications"), &json!(25));
}

#[test]
fn a_change_stays_requested_and_its_blocks_stay_until_the_venue_answers() {
    let life = Life::begin("10000.00");
    let order = life.placed(limit_order("buy", 10, "90.00"));
    life.told(&order, "accepted");
    life.changed(&order, json!({ "price": "95.00" })).must_be(201);
    assert_eq!(life.seen(&order).text_at("/waiting/request"), "modification");
    assert_eq!(life.blocked(), "950.00");
    life.told(&order, "rejected");
    assert_eq!((life.blocked(), life.seen(&order).at("/waiting")), ("900.00".to_owned(), &Value::Null));
    life.changed(&order, json!({ "price": "85.00" })).must_be(201);
    assert_eq!(life.blocked(), "900.00");
    life.told(&order, "modified");
    assert_eq!(life.blocked(), "850.00");
}

#[test]
fn a_venue_may_change_an_order_to_another_quantity_and_price_than_was_asked() {
    let life = Life::begin("10000.00");
    let order = life.placed(limit_order("buy", 10, "90.00"));
    life.told(&order, "accepted");
    let modified = |quantity: i64, price: &str| {
        let body = json!({
            "account": "ACC1", "order_id": order, "report": "modified", "quantity": quantity, "price": price,
            "at": moment(0)
        });
        life.story.venue.post("/v1/venue/reports", body)
    };
    life.changed(&order, json!({ "quantity": 20, "price": "95.00" })).must_be(201);
    assert_eq!(life.blocked(), "1900.00");
    modified(15, "94.00").must_be(201);
    let seen = life.seen(&order);
    assert_eq!(
        (seen.at("/quantity"), seen.text_at("/price"), seen.at("/waiting")),
        (&json!(15), "94.00", &Value::Null)
    );
    assert_eq!(life.blocked(), "1410.00");
    // Asked by nobody, it is recorded and changes nothing.
    modified(12, "93.00").must_be(201);
    assert_eq!(life.last_entry()["events"][0]["data"]["applied"], false);
    assert_eq!((life.seen(&order).at("/quantity"), life.blocked()), (&json!(15), "1410.00".to_owned()));
    assert_eq!(modified(0, "94.00").must_be(400).text_at("/errors/0/pointer"), "/quantity");
    life.filled(&order, "T1", 15, "94.00");
    life.stands(&order, "filled");
    assert_eq!(life.blocked(), "0.00");
    life.story.server.verify();
}

#[test]
fn reports_out_of_order_late_and_repeated_leave_one_true_order() {
    let life = Life::begin("10000.00");
    let order = life.placed(limit_order("buy", 10, "100.00"));
    life.filled(&order, "T1", 4, "100.00");
    life.told(&order, "accepted");
    life.stands(&order, "partly_filled");
    life.filled(&order, "T1", 4, "100.00");
    assert_eq!(life.seen(&order).at("/filled"), &json!(4));
    life.told(&order, "cancelled");
    life.told(&order, "cancelled");
    life.stands(&order, "cancelled");
    // A trade that crossed the cancellation counts.
    life.filled(&order, "T2", 3, "100.00");
    life.stands(&order, "cancelled");
    assert_eq!(life.seen(&order).at("/filled"), &json!(7));
    let contradicted = json!({
        "account": "ACC1", "order_id": order, "trade_id": "T2", "quantity": 2, "price": "100.00",
        "executed_at": moment(0)
    });
    let refused = life.story.venue.post("/v1/venue/fills", contradicted).must_be(422);
    assert_eq!(refused.text_at("/code"), "fill_contradicted");
    life.told("ACC1-77", "accepted");
    let last = life.last_entry();
    assert_eq!(last["events"][0]["data"]["flag"], "unknown_order", "{last}");
    assert_eq!(last["events"][0]["data"]["applied"], false, "{last}");
    life.stands(&order, "cancelled");
    life.story.server.verify();
}

#[test]
fn a_trade_of_no_order_waits_for_an_operator_who_assigns_it() {
    let life = Life::begin("10000.00");
    let order = life.placed(limit_order("buy", 10, "100.00"));
    life.filled("ACC1-77", "T1", 10, "99.00");
    let unmatched = life.client.get("/v1/accounts/ACC1/trades?status=unmatched");
    let seq = unmatched.rows()[0]["seq"].as_u64().expect("a seq");
    life.stands(&order, "requested");
    let path = format!("/v1/venue/unmatched/ACC1/{seq}/assign");
    life.story.operator.post(&path, json!({ "order_id": order })).must_be(201);
    life.stands(&order, "filled");
    assert!(life.client.get("/v1/accounts/ACC1/trades?status=unmatched").rows().is_empty());
}

#[test]
fn a_fill_outside_the_band_counts_and_is_flagged() {
    let life = Life::begin("10000.00");
    let order = life.placed(limit_order("buy", 10, "100.00"));
    life.filled(&order, "T1", 5, "150.00");
    life.filled(&order, "T2", 5, "100.00");
    let trades = life.client.get("/v1/accounts/ACC1/trades");
    assert_eq!(trades.row("trade_id", "T1")["flag"], "outside_band");
    assert_eq!(trades.row("trade_id", "T2")["flag"], Value::Null);
    life.stands(&order, "filled");
}

#[test]
fn a_trade_that_the_exchange_cancels_moves_everything_back() {
    let life = Life::begin("10000.00");
    let order = life.placed(limit_order("buy", 10, "100.00"));
    life.filled(&order, "T1", 10, "100.00");
    let before = life.cash();
    assert_eq!(before.text_at("/available"), "9000.00");
    life.undone(&order, "T1");
    life.stands(&order, "cancelled");
    assert_eq!(life.cash().text_at("/available"), "10000.00");
    assert!(life.client.get("/v1/accounts/ACC1/positions").rows().is_empty());
    assert_eq!(life.client.get("/v1/accounts/ACC1/trades").row("trade_id", "T1")["cancelled"], true);
    let pnl = life.client.get("/v1/accounts/ACC1/pnl");
    assert_eq!((pnl.text_at("/realised"), pnl.text_at("/unrealised")), ("0.00", "0.00"));
    // Told of nothing: recorded without effect.
    life.undone(&order, "T9");
    life.stands(&order, "cancelled");
    let client =
        life.client.ask("POST", "/v1/venue/trade-cancellations", &[("Idempotency-Key", "x")], Some(b"{}".to_vec()));
    assert_eq!(client.status, 403, "{}", client.text);
    life.story.server.verify();
}

#[test]
fn an_intraday_purchase_blocks_a_fifth_and_gains_when_it_is_sold() {
    let life = Life::begin("1000.00");
    let bought = life.placed(intraday("buy", 40, "100.00"));
    assert_eq!(life.blocked(), "800.00");
    life.filled(&bought, "T1", 40, "100.00");
    let cash = life.cash();
    assert_eq!(cash.at("/blocked_for"), &json!({ "orders": "0.00", "positions": "800.00", "funds": "0.00" }));
    let positions = life.client.get("/v1/accounts/ACC1/positions");
    let position = positions.row("instrument", SHARE);
    assert_eq!((&position["product"], &position["quantity"]), (&json!("MIS"), &json!(40)));
    let refused = life.refused(intraday("buy", 11, "100.00"), "insufficient_cash");
    assert_eq!(refused.at("/figures/short"), &json!("20.00"));
    // What closes needs no margin.
    let sold = life.placed(intraday("sell", 40, "101.00"));
    assert_eq!(life.blocked(), "800.00");
    life.filled(&sold, "T2", 40, "101.00");
    let cash = life.cash();
    assert_eq!((cash.text_at("/blocked"), cash.text_at("/available")), ("0.00", "1000.00"));
    assert_eq!((cash.at("/receivable/0/amount"), cash.at("/receivable/0/usable")), (&json!("40.00"), &json!("0.00")));
    let pnl = life.client.get("/v1/accounts/ACC1/pnl");
    assert_eq!(pnl.row("instrument", SHARE)["intraday"], "40.00");
    life.story.server.verify();
}

#[test]
fn a_short_sale_needs_no_shares_and_loses_at_once_when_the_market_rises() {
    let life = Life::begin("1000.00");
    let sold = life.placed(intraday("sell", 10, "100.00"));
    life.filled(&sold, "T1", 10, "100.00");
    let positions = life.client.get("/v1/accounts/ACC1/positions");
    assert_eq!(positions.row("instrument", SHARE)["quantity"], -10);
    life.story
        .operator
        .post("/v1/market/prices", json!({ "instrument": SHARE, "last": "104.00", "at": moment(0) }))
        .must_be(201);
    // A price is seen when its view has it; a read waits only for what its own account wrote.
    wait_until("the position at the new price", || {
        let portfolio = life.client.get("/v1/accounts/ACC1/portfolio");
        let row = portfolio.row("instrument", SHARE);
        assert_eq!(row["product"], "MIS");
        (row["unrealised"] == "-40.00").then_some(())
    });
    let bought = life.placed(intraday("buy", 10, "104.00"));
    life.filled(&bought, "T2", 10, "104.00");
    assert_eq!(life.cash().text_at("/available"), "960.00");
    assert!(life.client.get("/v1/accounts/ACC1/positions").rows().is_empty());
}

#[test]
fn an_intraday_position_becomes_delivery_when_asked_and_paid_in_full() {
    let life = Life::begin("1000.00");
    let bought = life.placed(intraday("buy", 20, "100.00"));
    life.filled(&bought, "T1", 20, "100.00");
    let convert = |from: &str, to: &str, quantity: i64| {
        let body = json!({ "instrument": SHARE, "from": from, "to": to, "quantity": quantity });
        life.client.post("/v1/accounts/ACC1/positions/convert", body)
    };
    let all = convert("MIS", "CNC", 20).must_be(422);
    assert_eq!(all.text_at("/code"), "insufficient_cash");
    assert_eq!(convert("MIS", "CNC", 21).must_be(422).text_at("/code"), "insufficient_shares");
    assert_eq!(convert("CNC", "MIS", 1).must_be(422).text_at("/code"), "conversion_not_allowed");
    convert("MIS", "CNC", 0).must_be(400);
    convert("MIS", "CNC", 5).must_be(201);
    let positions = life.client.get("/v1/accounts/ACC1/positions");
    let held: Vec<_> = positions.rows().iter().map(|row| (row["product"].clone(), row["quantity"].clone())).collect();
    assert_eq!(held, [(json!("CNC"), json!(5)), (json!("MIS"), json!(15))]);
    // 500.00 to pay, and a fifth of 1500.00 blocked.
    assert_eq!(life.cash().text_at("/available"), "200.00");
    life.story.server.verify();
}

#[test]
fn an_intraday_position_survives_a_restart_with_its_margin() {
    let life = Life::begin("10000.00");
    let bought = life.placed(intraday("buy", 10, "100.00"));
    life.filled(&bought, "T1", 10, "100.00");
    let stop = json!({ "product": "MIS", "type": "SL-M", "price": null, "trigger_price": "95.00" });
    let stop = life.placed(order("sell", 10, stop));
    life.told(&stop, "accepted");
    let before = (life.story.state(), life.cash().body);
    let Life { story, .. } = life;
    let story = story.restarted();
    let client = story.server.client("client", &["ACC1"]);
    assert_eq!((story.state(), client.get("/v1/accounts/ACC1/cash").body), before);
    assert_eq!(client.get(&format!("{ORDERS}/{stop}")).text_at("/status"), "trigger_pending");
    story.server.verify();
}

#[test]
fn a_time_beyond_the_years_that_are_kept_is_refused_by_its_field() {
    let life = Life::begin("10000.00");
    let order = life.placed(limit_order("buy", 10, "100.00"));
    let fill = json!({
        "account": "ACC1", "order_id": order, "trade_id": "T1", "quantity": 1, "price": "100.00",
        "executed_at": "2200-12-31T12:00:00+05:30"
    });
    let refused = life.story.venue.post("/v1/venue/fills", fill).must_be(400);
    assert_eq!(refused.text_at("/errors/0/pointer"), "/executed_at");
}

#[test]
fn a_market_order_is_filled_at_what_it_gets_and_keeps_nothing_blocked() {
    let life = Life::begin("10000.00");
    let order = life.placed(order("buy", 10, json!({ "type": "market", "price": null })));
    let asked = life.story.venue.get("/v1/venue/requests");
    assert_eq!(asked.row("order_id", &order)["type"], "market");
    assert_ne!(life.blocked(), "0.00", "what it may cost at most");
    life.told(&order, "accepted");
    life.filled(&order, "T1", 10, "101.50");
    life.stands(&order, "filled");
    assert_eq!((life.blocked(), life.seen(&order).text_at("/average_price")), ("0.00".to_owned(), "101.50"));
    life.story.server.verify();
}

#[test]
fn what_an_immediate_order_does_not_get_at_once_is_cancelled() {
    let life = Life::begin("10000.00");
    let order = life.placed(order("buy", 10, json!({ "validity": "IOC" })));
    life.told(&order, "accepted");
    life.filled(&order, "T1", 4, "100.00");
    life.told(&order, "cancelled");
    life.stands(&order, "cancelled");
    let seen = life.seen(&order);
    assert_eq!((seen.at("/filled"), seen.at("/cancelled")), (&json!(4), &json!(6)));
    assert_eq!(life.blocked(), "0.00");
    life.story.server.verify();
}

#[test]
fn an_order_that_the_venue_rejects_or_that_ends_with_its_session_gives_back_what_it_blocked() {
    let life = Life::begin("10000.00");
    for (report, filled) in [("rejected", 0), ("expired", 0), ("expired", 3)] {
        let order = life.placed(limit_order("buy", 10, "100.00"));
        assert_eq!(life.blocked(), "1000.00");
        if report == "expired" {
            life.told(&order, "accepted");
        }
        if filled > 0 {
            life.filled(&order, &format!("T-{order}"), filled, "100.00");
        }
        life.told(&order, report);
        life.stands(&order, report);
        assert_eq!(life.seen(&order).at("/filled"), &json!(filled));
        assert_eq!(life.blocked(), "0.00");
    }
    life.story.server.verify();
}

#[test]
fn a_cancellation_that_the_venue_refuses_leaves_the_order_as_it_was() {
    let life = Life::begin("10000.00");
    let order = life.placed(limit_order("buy", 10, "100.00"));
    life.told(&order, "accepted");
    let key = tests::key();
    life.client.ask("DELETE", &format!("{ORDERS}/{order}"), &[("Idempotency-Key", &key)], None).must_be(201);
    assert_eq!(life.seen(&order).text_at("/waiting/request"), "cancellation");
    life.told(&order, "rejected");
    life.stands(&order, "open");
    assert_eq!((life.blocked(), life.seen(&order).at("/waiting")), ("1000.00".to_owned(), &Value::Null));
    life.filled(&order, "T1", 10, "100.00");
    life.stands(&order, "filled");
    life.story.server.verify();
}

#[test]
fn a_disclosed_quantity_and_the_id_of_an_algorithm_go_with_the_order() {
    let life = Life::begin("10000.00");
    let order = life.placed(order("buy", 20, json!({ "disclosed_quantity": 5, "algo_id": "ALG1" })));
    let entry = life.last_entry();
    assert_eq!(entry["command"]["by"]["algo_id"], "ALG1", "{entry}");
    let asked = life.story.venue.get("/v1/venue/requests");
    assert_eq!(asked.row("order_id", &order)["disclosed_quantity"], 5);
    life.told(&order, "accepted");
    let seen = life.seen(&order);
    assert_eq!((seen.at("/disclosed_quantity"), seen.text_at("/algo_id")), (&json!(5), "ALG1"));
    life.story.server.verify();
}
