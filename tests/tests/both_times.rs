//! Both times: what was known then, what is known now, and of when; alone and together, on every read of an account.

use serde_json::{Value, json};
use tests::{
    Client, Reply,
    story::{SHARE, Story, day, limit_order, moment},
    wait_until,
};

/// Ten shares bought four days ago; the trade is told only now.
struct Late {
    story: Story,
    client: Client,
    /// The last offset before the trade was told.
    before: u64,
}

impl Late {
    fn told() -> Late {
        let story = Story::with_a_market();
        let client = story.investor("ACC1", "10000.00");
        let placed = client.post("/v1/accounts/ACC1/orders", limit_order("buy", 10, "100.00")).must_be(201);
        let order = placed.text_at("/order_id").to_owned();
        let events = client.get("/v1/accounts/ACC1/events");
        let before = events.rows().last().and_then(|row| row["offset"].as_u64()).expect("an offset");
        let fill = json!({
            "account": "ACC1", "order_id": order, "trade_id": "T1", "quantity": 10, "price": "90.00",
            "executed_at": moment(4)
        });
        story.venue.post("/v1/venue/fills", fill).must_be(201);
        let late = Late { story, client, before };
        // Its settlement was due days ago: the back office settles it as soon as it sees that.
        wait_until("the late trade settled", || {
            (late.read("cash", &[]).text_at("/settled") == "9100.00").then_some(())
        });
        late
    }
    fn ask(&self, what: &str, query: &[(&str, &str)]) -> Reply {
        let query: Vec<String> =
            query.iter().map(|(name, value)| format!("{name}={}", value.replace('+', "%2B"))).collect();
        self.client.ask("GET", &format!("/v1/accounts/ACC1/{what}?{}", query.join("&")), &[], None)
    }
    #[track_caller]
    fn read(&self, what: &str, query: &[(&str, &str)]) -> Reply {
        self.ask(what, query).must_be(200)
    }
    /// Shares in every read that shows shares.
    #[track_caller]
    fn shares(&self, query: &[(&str, &str)]) -> Vec<i64> {
        ["positions", "holdings", "portfolio", "pnl"]
            .iter()
            .map(|what| {
                let reply = self.ask(what, query);
                if reply.status == 404 {
                    assert_eq!(reply.text_at("/code"), "unknown_account", "nothing had happened to it");
                    return 0;
                }
                let reply = reply.must_be(200);
                let mut rows = reply.rows().iter().filter(|row| row["instrument"] == SHARE);
                rows.next().and_then(|row| row["quantity"].as_i64()).unwrap_or(0)
            })
            .collect()
    }
}

#[test]
fn a_late_trade_is_there_when_it_happened_and_was_not_known_before_it_was_told() {
    let late = Late::told();
    let (then, earlier, before) = (moment(3), moment(5), late.before.to_string());
    assert_eq!(late.shares(&[("effective_at", &earlier)]), [0, 0, 0, 0]);
    // Bought today is no holding yet at the close of its day, settled two days after.
    assert_eq!(late.shares(&[("effective_at", &moment(0))]), [10, 10, 10, 10]);
    assert_eq!(late.shares(&[("effective_at", &then)])[0], 10);
    assert_eq!(late.shares(&[("effective_at", &then), ("as_of_offset", &before)]), [0, 0, 0, 0]);
    assert_eq!(late.shares(&[("as_of_offset", &before)]), [0, 0, 0, 0]);
    let recorded = late.client.get("/v1/accounts/ACC1/events");
    let recorded =
        recorded.rows()[late_row(&recorded, late.before)]["entry"]["recorded_at"].as_str().expect("a time").to_owned();
    assert_eq!(late.shares(&[("effective_at", &then), ("as_of", &recorded)]), [0, 0, 0, 0]);
}

/// The row with this offset.
fn late_row(events: &Reply, offset: u64) -> usize {
    events.rows().iter().position(|row| row["offset"] == offset).expect("the row")
}

#[test]
fn cash_of_a_day_is_what_had_moved_by_then() {
    let late = Late::told();
    assert_eq!(late.ask("cash", &[("effective_at", &moment(5))]).status, 404, "nothing had happened to the account");
    // The deposit came today: four days ago the trade alone had happened.
    let cash = late.read("cash", &[("effective_at", &moment(4))]);
    assert_eq!((cash.text_at("/settled"), cash.at("/payable/0/amount")), ("0.00", &json!("900.00")));
    let now = late.read("cash", &[("effective_at", &moment(-1))]);
    assert_eq!(now.text_at("/settled"), "9100.00");
    let known_then = late.read("cash", &[("effective_at", &moment(-1)), ("as_of_offset", &late.before.to_string())]);
    assert_eq!((known_then.text_at("/settled"), known_then.text_at("/blocked")), ("10000.00", "1000.00"));
}

#[test]
fn a_corrected_price_values_what_is_known_now_and_leaves_what_was_known_then() {
    let late = Late::told();
    let valued = |query: &[(&str, &str)]| late.read("portfolio", query).row("instrument", SHARE)["value"].clone();
    let before = valued(&[]);
    assert_eq!(before, json!("1000.00"));
    let events = late.client.get("/v1/accounts/ACC1/events");
    let known = events.rows().last().and_then(|row| row["offset"].as_u64()).expect("an offset").to_string();
    let bar = |close: &str, corrects: Value| {
        json!({
            "instrument": SHARE, "date": day(0), "open": close, "high": close, "low": close, "close": close,
            "corrects": corrects
        })
    };
    let first = late.story.operator.post("/v1/market/prices", bar("101.00", Value::Null)).must_be(201);
    let seq = first.at("/seq").as_u64().expect("a seq");
    let unnamed = late.story.operator.post("/v1/market/prices", bar("102.00", Value::Null)).must_be(422);
    assert_eq!(unnamed.text_at("/code"), "fact_contradicted");
    late.story.operator.post("/v1/market/prices", bar("102.00", json!(seq))).must_be(201);
    let last = json!({ "instrument": SHARE, "last": "102.00", "at": moment(0) });
    late.story.operator.post("/v1/market/prices", last).must_be(201);
    // A price is seen when its view has it; a read waits only for what its own account wrote.
    wait_until("the holding at the new price", || (valued(&[]) == json!("1020.00")).then_some(()));
    assert_eq!(valued(&[("as_of_offset", &known)]), json!("1000.00"), "as it was known then");
}

#[test]
fn a_time_that_is_none_is_refused_by_its_name() {
    let late = Late::told();
    for (name, value) in [("effective_at", "yesterday"), ("as_of", "2026-13-01T00:00:00Z"), ("as_of_offset", "-1")] {
        let reply = late.ask("positions", &[(name, value)]);
        assert_eq!(reply.status, 400, "{}", reply.text);
        assert_eq!(reply.text_at("/code"), "invalid_query");
        assert!(reply.text.contains(name), "{}", reply.text);
    }
}
