//! `bahi show`: a book as tables and as JSON, alike from the folder and from its server.

use serde_json::{Value, json};
use tests::{
    binary,
    story::{SCHEME, SHARE, Story, day, limit_order, moment},
    wait_until,
};

/// An account with cash, orders, delivery and intraday positions, and units.
#[track_caller]
fn busy() -> Story {
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "100000.00");
    let place =
        |body: Value| client.post("/v1/accounts/ACC1/orders", body).must_be(201).text_at("/order_id").to_owned();
    let fill = |order: &str, quantity: i64, days_ago: i64| {
        let fill = json!({
            "account": "ACC1", "order_id": order, "trade_id": format!("T-{order}"), "quantity": quantity,
            "price": "99.00", "executed_at": moment(days_ago)
        });
        story.venue.post("/v1/venue/fills", fill).must_be(201);
    };
    fill(&place(limit_order("buy", 10, "99.50")), 10, 5);
    wait_until("settled shares", || {
        let holdings = client.get("/v1/accounts/ACC1/holdings");
        holdings.rows().iter().any(|row| row["settled"] == 10).then_some(())
    });
    let mut intraday = limit_order("sell", 5, "99.00");
    intraday["product"] = json!("MIS");
    fill(&place(intraday), 5, 0);
    place(limit_order("buy", 3, "98.00"));
    let purchase = json!({ "scheme": SCHEME, "amount": "5000.00", "folio": null });
    let asked = client.post("/v1/accounts/ACC1/fund-purchases", purchase).must_be(201);
    let id = asked.text_at("/fund_order_id").to_owned();
    wait_until("the fund order to be sent", || {
        (client.get("/v1/accounts/ACC1/fund-orders").row("fund_order_id", &id)["status"] == "sent").then_some(())
    });
    let allotment = json!({
        "account": "ACC1", "fund_order_id": id, "folio": "9876/54", "nav_date": day(0), "nav": "50.0000",
        "units": "99.995", "stamp_duty": "0.25"
    });
    story.venue.post("/v1/venue/allotments", allotment).must_be(201);
    story
}

fn show(story: &Story, args: &[&str]) -> binary::Ran {
    binary::run(["show", "ACC1", "--data", story.data()].iter().chain(args))
}

fn read(out: &str) -> Value {
    serde_json::from_str(out).unwrap_or_else(|why| panic!("{why}: {out}"))
}

#[test]
fn a_book_has_the_bodies_of_the_routes_as_its_parts_from_folder_and_server_alike() {
    let story = busy();
    let folder = read(&show(&story, &["--json"]).succeeded());
    let token = story.auditor.token().expect("a token").to_owned();
    let server = binary::run(["show", "ACC1", "--json", "--url", &story.server.url(), "--token", &token]);
    assert_eq!(read(&server.succeeded()), folder);
    for (part, route) in [
        ("account", ""),
        ("cash", "/cash"),
        ("orders", "/orders"),
        ("positions", "/positions"),
        ("holdings", "/holdings"),
        ("portfolio", "/portfolio"),
        ("fund_orders", "/fund-orders"),
    ] {
        assert_eq!(folder[part], story.auditor.get(&format!("/v1/accounts/ACC1{route}")).body, "{part}");
    }
    assert_eq!(folder.as_object().map(|book| book.len()), Some(7));
}

#[test]
fn the_tables_show_cash_orders_positions_holdings_and_funds() {
    let story = busy();
    let said = show(&story, &[]).succeeded();
    let row = |words: &[&str]| said.lines().any(|line| words.iter().all(|word| line.contains(word)));
    for words in [
        &["ACC1: opened ", "1 open orders"][..],
        &["settled", "94010.00"],
        &["blocked", "for orders 294.00, positions 99.00, funds 0.00"],
        &["withdrawable"],
        &["ACC1-3", "filled", "buy", SHARE, "limit", "99.50", "CNC"],
        &["requested", "98.00", "294.00"],
        &[SHARE, "MIS", "-5"],
        &[SHARE, "CNC", "10"],
        &[SCHEME, "9876/54", "99.995"],
        &["allotted", "purchase", "5000.00"],
    ] {
        assert!(row(words), "no line with {words:?} in:\n{said}");
    }
    for part in ["Cash", "Orders", "Positions", "Holdings", "Folios", "Fund orders"] {
        assert!(said.lines().any(|line| line == part), "no {part} in:\n{said}");
    }
    let fewer = show(&story, &["--orders", "1"]).succeeded();
    assert!(fewer.contains("older ones are not shown") && !fewer.contains("ACC1-3 "), "{fewer}");
}

#[test]
fn a_book_as_of_an_offset_is_what_it_was() {
    let story = busy();
    let events = story.auditor.get("/v1/accounts/ACC1/events");
    let offset = events.rows()[1]["offset"].to_string();
    let book = read(&show(&story, &["--json", "--as-of-offset", &offset]).succeeded());
    assert_eq!(book["account"]["entries"], 2);
    assert_eq!((&book["cash"]["settled"], &book["orders"]["items"]), (&json!("100000.00"), &json!([])));
    let route = |part: &str| story.auditor.get(&format!("/v1/accounts/ACC1/{part}?as_of_offset={offset}")).body;
    assert_eq!((&book["cash"], &book["positions"]), (&route("cash"), &route("positions")));
    let token = story.auditor.token().expect("a token").to_owned();
    let url = story.server.url();
    let asked = ["show", "ACC1", "--json", "--url", &url, "--token", &token, "--as-of-offset", &offset];
    assert_eq!(read(&binary::run(asked).succeeded()), book);
    assert!(show(&story, &["--as-of-offset", "999999"]).failed().contains("999999"));
}

#[test]
fn an_account_that_is_not_there_is_one_clear_line() {
    let story = Story::begin();
    let token = story.auditor.token().expect("a token").to_owned();
    let url = story.server.url();
    let folder = ["show", "NOBODY", "--data", story.data()];
    for args in [&folder[..], &["show", "NOBODY", "--url", &url, "--token", &token]] {
        let ran = binary::run(args);
        assert_eq!(ran.code, Some(1));
        assert_eq!(ran.failed(), "bahi: NOBODY: no such account in this ledger\n");
    }
}
