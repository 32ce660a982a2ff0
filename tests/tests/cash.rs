//! Cash as an account's holder and its broker see it: every part, what is below zero, what that refuses; and the policy file.

use serde_json::{Value, json};
use std::fs;
use tests::{
    Client, binary,
    story::{SCHEME, Story, limit_order, moment},
};

/// What the venue says of a trade just now.
fn trade(order: &str, quantity: i64, price: &str) -> Value {
    json!({
        "account": "ACC1", "order_id": order, "trade_id": format!("T-{order}"), "quantity": quantity, "price": price,
        "executed_at": moment(0)
    })
}

fn placed(client: &Client, order: Value) -> String {
    client.post("/v1/accounts/ACC1/orders", order).must_be(201).text_at("/order_id").to_owned()
}

#[test]
fn a_trade_above_what_was_blocked_refuses_purchases_and_withdrawals_and_lets_sales_and_cancellations_be() {
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "1000.00");
    let cash = || client.get("/v1/accounts/ACC1/cash");
    let first = placed(&client, limit_order("buy", 5, "100.00"));
    let second = placed(&client, limit_order("buy", 4, "100.00"));
    let blocked = cash();
    assert_eq!(blocked.at("/blocked_for"), &json!({ "orders": "900.00", "positions": "0.00", "funds": "0.00" }));
    assert_eq!(blocked.at("/shortfalls"), &json!([]));

    // 5 at 130.00: 650.00 where 500.00 was blocked, and 400.00 stay blocked for the second order.
    story.venue.post("/v1/venue/fills", trade(&first, 5, "130.00")).must_be(201);
    let short = cash();
    assert_eq!(short.text_at("/available"), "-50.00");
    assert_eq!(
        short.at("/shortfalls"),
        &json!([
            { "part": "available", "short": "50.00", "refused": ["purchases", "fund_purchases"] },
            { "part": "withdrawable", "short": "50.00", "refused": ["withdrawals"] },
        ])
    );
    let refused = client.post("/v1/accounts/ACC1/orders", limit_order("buy", 1, "100.00")).must_be(422);
    assert_eq!(refused.text_at("/code"), "insufficient_cash");
    assert_eq!(refused.at("/figures"), &json!({ "needed": "100.00", "available": "-50.00", "short": "150.00" }));
    let fund = json!({ "scheme": SCHEME, "amount": "10.00" });
    let refused = client.post("/v1/accounts/ACC1/fund-purchases", fund).must_be(422);
    assert_eq!(refused.at("/figures/short"), &json!("60.00"));
    let refused = client.post("/v1/accounts/ACC1/cash/withdrawals", json!({ "amount": "1.00" })).must_be(422);
    assert_eq!(refused.at("/figures"), &json!({ "needed": "1.00", "withdrawable": "-50.00", "short": "51.00" }));

    placed(&client, limit_order("sell", 5, "100.00"));
    let path = format!("/v1/accounts/ACC1/orders/{second}");
    client.ask("DELETE", &path, &[("idempotency-key", "cancel")], None).must_be(201);
    let report = json!({ "account": "ACC1", "order_id": second, "report": "cancelled", "at": moment(0) });
    story.venue.post("/v1/venue/reports", report).must_be(201);
    let freed = cash();
    assert_eq!((freed.text_at("/available"), freed.at("/shortfalls")), ("350.00", &json!([])));
    story.server.verify();
}

#[test]
fn a_policy_file_with_a_gap_or_an_overlap_is_refused_at_start_with_line_and_code() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let data = folder.path().join("ledger");
    let policy = folder.path().join("policy.csv");
    let shipped = include_str!("../../domain/data/policy.csv");
    let own = |lines: &str| {
        let others =
            shipped.lines().filter(|line| !line.starts_with("redemption_margin") && !line.starts_with("version"));
        let others: String = others.flat_map(|line| [line, "\n"]).collect();
        fs::write(&policy, format!("version,own-1\n{lines}\n{others}")).expect("a file can be written");
    };
    let (data, policy_path) = (data.to_str().expect("UTF-8"), policy.to_str().expect("UTF-8"));
    for (lines, said) in [
        ("redemption_margin,2020-01-01,2020-12-31,5\nredemption_margin,2021-01-02,5", "policy line 3: policy_gap: "),
        (
            "redemption_margin,2020-01-01,2020-12-31,5\nredemption_margin,2020-12-31,5",
            "policy line 3: policy_overlap: ",
        ),
    ] {
        own(lines);
        for subcommand in ["check-config", "serve"] {
            let ran = binary::run([subcommand, "--data", data, "--policy", policy_path]);
            assert_ne!(ran.code, Some(0), "{subcommand} took it");
            assert!(ran.err.contains(said), "{subcommand}: {}{}", ran.out, ran.err);
        }
    }
    // The version is all that an entry names: two policies cannot share one.
    fs::write(&policy, shipped.replace("intraday_margin,2010-01-01,20", "intraday_margin,2010-01-01,90"))
        .expect("a file");
    let ran = binary::run(["serve", "--data", data, "--policy", policy_path]);
    assert!(ran.code != Some(0) && ran.err.contains("policy_version"), "{}{}", ran.out, ran.err);
    fs::write(&policy, shipped).expect("a file can be written");
    binary::run(["check-config", "--data", data, "--policy", policy_path]).succeeded();
    own("redemption_margin,2020-01-01,5");
    binary::run(["check-config", "--data", data, "--policy", policy_path]).succeeded();
    let server = tests::Server::start_with(folder.path(), &["--policy", policy_path], &[]);
    server.operator().post("/v1/accounts", json!({ "account": "ACC1" })).must_be(201);
    let entry = server.operator().get("/v1/accounts/ACC1/events");
    assert_eq!(entry.at("/items/0/entry/context/policy"), "own-1");
    let verify = |more: &[&str]| binary::run(["verify", "--redecide"].iter().chain(more).chain(&server.log()));
    let unnamed = verify(&[]).failed();
    assert!(unnamed.contains("policy own-1") && unnamed.contains("--policy"), "{unnamed}");
    let named = verify(&["--policy", policy_path]).succeeded();
    assert!(named.contains("decided again: 1 entries"), "{named}");
}

#[test]
fn a_scheme_that_a_later_file_describes_anew_is_corrected_alike_in_a_folder_and_over_http() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = |name: &str, scheme: &str, nav: &str, day: &str| {
        let path = folder.path().join(name);
        let header = "Scheme Code;ISIN Div Payout/ ISIN Growth;ISIN Div Reinvestment;Scheme Name;Net Asset Value;Date";
        let text = format!(
            "{header}\n\nOpen Ended Schemes(Equity Scheme - Flexi Cap Fund)\n\nStory Mutual Fund\n\n119551;INF209KB17B5;-;{scheme};{nav};{day}\n"
        );
        fs::write(&path, text).expect("a file can be written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (old, new) = (
        file("old.txt", "Story Fund", "40.0000", "20-Nov-2026"),
        file("new.txt", "Renamed Fund", "41.0000", "23-Nov-2026"),
    );
    let is_renamed = |server: &tests::Server| {
        let operator = server.operator();
        tests::wait_until("the scheme by its new name", || {
            let scheme = operator.try_get("/v1/schemes/119551").filter(|reply| reply.status == 200)?;
            (scheme.text_at("/name") == "Renamed Fund").then_some(())
        });
    };
    let renamed = |out: &str| assert!(out.contains("1 imported, 0 already known, 0 refused"), "{out}");

    let remote = folder.path().join("remote");
    let server = tests::Server::start(&remote);
    let token = server.operator();
    let token = token.token().expect("an operator has a token");
    for path in [&old, &new] {
        renamed(&binary::run(["import", "navall", path, "--url", &server.url(), "--token", token]).succeeded());
    }
    is_renamed(&server);
    let again = binary::run(["import", "navall", &new, "--url", &server.url(), "--token", token]).succeeded();
    assert!(again.contains("0 imported, 1 already known, 0 refused"), "{again}");

    let local = folder.path().join("local");
    let data = local.to_str().expect("UTF-8");
    for path in [&old, &new] {
        renamed(&binary::run(["import", "navall", path, "--data", data]).succeeded());
    }
    let again = binary::run(["import", "navall", &new, "--data", data]).succeeded();
    assert!(again.contains("0 imported, 1 already known, 0 refused"), "{again}");
    is_renamed(&tests::Server::serve(&local, &[], &[]));
}
