//! Bad input: each gets a problem body that names the field, never a 500, and nothing is half applied.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
};
use tests::{
    Client, Reply, Server, client,
    server::token,
    story::{SCHEME, SHARE, Story, day, limit_order, moment},
    wait, wait_until,
};

/// The most bytes of a body that the product takes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Connections that send half a request and then nothing; the server keeps answering others.
const STALLED_CONNECTIONS: usize = 100;

/// An answer to bad input: a problem body (RFC 9457) with a stable code and the request's id, and it names the culprit.
#[track_caller]
fn refused(reply: &Reply, statuses: &[u16], names: &str) {
    let said = format!("{} was answered {}: {}", reply.asked, reply.status, reply.text);
    assert!(statuses.contains(&reply.status), "expected one of {statuses:?}; {said}");
    let media = reply.header("content-type").unwrap_or_default();
    assert!(media.starts_with("application/problem+json"), "{media}; {said}");
    assert_eq!(reply.body["status"], json!(reply.status), "{said}");
    for member in ["type", "title", "code", "request_id"] {
        assert!(reply.body[member].as_str().is_some_and(|text| !text.is_empty()), "no {member}; {said}");
    }
    assert_eq!(reply.header("x-request-id"), reply.body["request_id"].as_str(), "{said}");
    assert!(reply.text.contains(names), "does not name {names:?}; {said}");
}

/// A body's own text, sent as it is.
#[track_caller]
fn raw(client: &Client, path: &str, body: impl Into<Vec<u8>>) -> Reply {
    client.ask("POST", path, &[("Idempotency-Key", &client::key())], Some(body.into()))
}

/// A ledger with a share, a fund and an account with an order; and its state, to which bad input must do nothing.
struct Attacked {
    story: Story,
    client: Client,
    before: tests::story::State,
}

impl Attacked {
    #[track_caller]
    fn begin() -> Attacked {
        let story = Story::with_a_market();
        let client = story.investor("ACC1", "100000.00");
        client.post("/v1/accounts/ACC1/orders", limit_order("buy", 1, "100.00")).must_be(201);
        story.investor("ACC2", "5.00");
        let before = story.state();
        Attacked { story, client, before }
    }

    /// Nothing was half applied: every row is as before, refusals in the journal aside.
    #[track_caller]
    fn unharmed(self) {
        assert_eq!(self.story.state().but_the_journal(), self.before.but_the_journal());
        self.story.server.verify();
    }
}

#[test]
fn an_amount_that_is_no_exact_decimal_string_is_refused_by_its_field() {
    let attacked = Attacked::begin();
    let deposits = "/v1/accounts/ACC1/cash/deposits";
    for amount in [
        "1",
        "1.5",
        "1e3",
        "\"1e3\"",
        "\"1E3\"",
        "\"\"",
        "\" 1.00\"",
        "\"1.00 \"",
        "\"1,000.00\"",
        "\"+1.00\"",
        "\"0x10\"",
        "\"NaN\"",
        "\"1.001\"",
        "\"1.\"",
        "\".5\"",
        "\"₹5.00\"",
        "\"१\"",
        "null",
        "true",
        "[]",
        "{}",
        "\"99999999999999999999.00\"",
        "\"92233720368547758.08\"",
        "99999999999999999999999999999999",
    ] {
        let reply = raw(&attacked.story.operator, deposits, format!("{{\"amount\":{amount}}}"));
        refused(&reply, &[400], "/amount");
    }
    for amount in ["\"0\"", "\"0.00\"", "\"-1.00\"", "\"-0.01\""] {
        let reply = raw(&attacked.story.operator, deposits, format!("{{\"amount\":{amount}}}"));
        refused(&reply, &[400, 422], "amount");
    }
    refused(&raw(&attacked.story.operator, deposits, "{}"), &[400], "amount");
    attacked.unharmed();
}

#[test]
fn an_order_with_one_wrong_field_is_refused_by_that_field() {
    let attacked = Attacked::begin();
    let cases: Vec<(&str, Value, &[u16], &str)> = vec![
        ("quantity", json!(0), &[400, 422], "quantity"),
        ("quantity", json!(-1), &[400, 422], "quantity"),
        ("quantity", json!("10"), &[400], "/quantity"),
        ("quantity", json!(1.5), &[400], "/quantity"),
        ("quantity", json!(i64::MAX), &[400, 422], ""),
        ("quantity", json!(u64::MAX), &[400], "/quantity"),
        ("quantity", Value::Null, &[400], "/quantity"),
        ("price", json!(100), &[400], "/price"),
        ("price", json!("100.00001"), &[400], "/price"),
        ("price", json!("0"), &[400, 422], "price"),
        ("price", json!("-5.00"), &[400, 422], "price"),
        ("price", json!("100.03"), &[422], "price_off_tick"),
        ("price", json!("121.00"), &[422], "price_outside_band"),
        ("price", json!("79.00"), &[422], "price_outside_band"),
        ("price", json!("922337203685477.5805"), &[400, 422], "price"),
        ("price", Value::Null, &[400, 422], "price"),
        ("instrument", json!("NSE:NOSUCH"), &[422], "unknown_instrument"),
        ("instrument", json!("nonsense"), &[400], "/instrument"),
        ("instrument", json!(7), &[400], "/instrument"),
        ("side", json!("hold"), &[400], "/side"),
        ("type", json!("iceberg"), &[400], "/type"),
        ("type", json!("SL"), &[422], "trigger_price_required"),
        ("type", json!("SL-M"), &[422], "price_not_allowed"),
        ("product", json!("NRML"), &[400], "/product"),
        ("validity", json!("GTC"), &[400], "/validity"),
        ("trigger_price", json!("99.00"), &[422], "trigger_price_not_allowed"),
        ("trigger_price", json!(99), &[400], "/trigger_price"),
        ("disclosed_quantity", json!(0), &[400], "/disclosed_quantity"),
        ("disclosed_quantity", json!(2), &[422], "disclosed_quantity_not_allowed"),
        ("colour", json!("red"), &[400], "colour"),
        ("tag", json!("x".repeat(100)), &[400], "/tag"),
    ];
    for (field, wrong, statuses, names) in cases {
        let mut body = limit_order("buy", 1, "100.00");
        body[field] = wrong;
        refused(&attacked.client.post("/v1/accounts/ACC1/orders", body), statuses, names);
    }
    for missing in ["instrument", "side", "quantity", "type", "price", "product"] {
        let mut body = limit_order("buy", 1, "100.00");
        body.as_object_mut().expect("an object").remove(missing);
        refused(&attacked.client.post("/v1/accounts/ACC1/orders", body), &[400, 422], missing);
    }
    let costly = attacked.client.post("/v1/accounts/ACC1/orders", limit_order("buy", 1_000_000, "100.00"));
    refused(&costly, &[422], "insufficient_cash");
    attacked.unharmed();
}

#[test]
fn a_body_that_is_not_one_json_object_is_refused() {
    let attacked = Attacked::begin();
    let orders = "/v1/accounts/ACC1/orders";
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    for body in ["", "{", "[]", "null", "\"x\"", "7", "{}{}", "{\"quantity\":1,\"quantity\":2}", "\u{feff}{}", &deep] {
        refused(&raw(&attacked.client, orders, body), &[400], "");
    }
    refused(&raw(&attacked.client, orders, b"{\"tag\":\"\xff\xfe\"}".to_vec()), &[400], "UTF-8");
    refused(&raw(&attacked.client, orders, b"\x00\x00\x00".to_vec()), &[400], "");
    let huge = format!("{{\"tag\":\"{}\"}}", "x".repeat(BODY_BYTES_MAX));
    refused(&raw(&attacked.client, orders, huge), &[413], "");
    // Said to be too large, it is not even waited for.
    let mut stream = TcpStream::connect(attacked.story.server.address()).expect("a connection");
    stream.set_read_timeout(Some(wait::LIMIT)).expect("a limit");
    let token = attacked.client.token().expect("a token");
    let head = format!(
        "POST {orders} HTTP/1.1\r\nHost: bahi\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: huge\r\n\
         Content-Type: application/json\r\nContent-Length: 1099511627776\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("the head is taken");
    let mut status = [0; 12];
    stream.read_exact(&mut status).expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 413");
    let form = attacked.client.ask(
        "POST",
        orders,
        &[("Idempotency-Key", "form"), ("Content-Type", "application/x-www-form-urlencoded")],
        Some(b"quantity=1".to_vec()),
    );
    refused(&form, &[400, 415], "");
    attacked.unharmed();
}

#[test]
fn a_batch_of_1001_is_refused_whole_and_a_bad_item_alone() {
    let attacked = Attacked::begin();
    let path = "/v1/accounts/ACC1/orders/batch";
    let item = |key: &str, quantity: i64| {
        let mut order = limit_order("buy", quantity, "100.00");
        order["key"] = json!(key);
        order
    };
    let too_many: Vec<Value> = (0..1001).map(|n| item(&format!("many-{n}"), 1)).collect();
    let reply = raw(&attacked.client, path, json!({ "orders": too_many }).to_string());
    refused(&reply, &[400], "orders");
    refused(&raw(&attacked.client, path, json!({ "orders": [] }).to_string()), &[400], "orders");

    let mut unknown = item("b3", 1);
    unknown["colour"] = json!("red");
    let keyless = limit_order("buy", 1, "100.00");
    let orders = json!({ "orders": [item("b1", 0), unknown, keyless, item("b4", 1_000_000), { "key": "b5" }] });
    let reply = raw(&attacked.client, path, orders.to_string()).must_be(200);
    let statuses: Vec<i64> = reply.rows().iter().filter_map(|row| row["status"].as_i64()).collect();
    assert_eq!(statuses.len(), 5, "{}", reply.text);
    assert!([400, 422].contains(&statuses[0]), "{}", reply.text);
    assert_eq!(statuses[1..], [400, 400, 422, 400], "{}", reply.text);
    attacked.unharmed();
}

#[test]
fn keys_are_required_and_bounded_and_hold_one_content() {
    let attacked = Attacked::begin();
    let orders = "/v1/accounts/ACC1/orders";
    let body = || Some(limit_order("buy", 1, "1.00").to_string().into_bytes());
    refused(&attacked.client.ask("POST", orders, &[], body()), &[400], "Idempotency-Key");
    let long = "k".repeat(65);
    for key in ["", " ", "a b", "ключ", &long] {
        refused(&attacked.client.ask("POST", orders, &[("Idempotency-Key", key)], body()), &[400], "Idempotency-Key");
    }
    let first = attacked.client.post_as("once", orders, limit_order("buy", 1_000_000, "100.00"));
    refused(&first, &[422], "insufficient_cash");
    let other = attacked.client.post_as("once", orders, limit_order("buy", 1, "100.00"));
    refused(&other, &[422], "idempotency_key_reused");
    attacked.unharmed();
}

#[test]
fn a_token_that_is_expired_wrongly_signed_or_unsigned_is_refused() {
    let attacked = Attacked::begin();
    let server = &attacked.story.server;
    let good = token(server.data(), "operator", &[], &[]);
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("a token has three parts: {good}") };

    let other_folder = tempfile::tempdir().expect("a folder can be made");
    let strange = token(Server::start(other_folder.path()).data(), "operator", &[], &[]);
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let kid =
        serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(header).expect("base64")).expect("JSON")["kid"].clone();
    let none = part(json!({ "alg": "none", "typ": "at+jwt", "kid": kid }));
    let hs256 = part(json!({ "alg": "HS256", "typ": "at+jwt", "kid": kid }));
    let mut admin: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64")).expect("JSON");
    admin["role"] = json!("auditor");
    let flipped = format!("{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
    let forged = [
        "x".to_owned(),
        String::new(),
        "a.b.c".to_owned(),
        strange,
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!("{hs256}.{claims}.{signature}"),
        format!("{header}.{claims}.{flipped}"),
        format!("{header}.{claims}."),
        format!("{header}.{}.{signature}", part(admin)),
        "x".repeat(20_000),
    ];
    for forged in &forged {
        let reply = server.with_token(forged).ask("GET", "/v1/instruments", &[], None);
        // Some servers refuse a header line this long before anything reads it.
        if forged.len() > 10_000 && reply.status == 431 {
            continue;
        }
        refused(&reply, &[401], "");
        assert!(!reply.text.contains(signature), "an answer never repeats a token");
    }
    refused(&server.anybody().ask("GET", "/v1/instruments", &[], None), &[401], "");
    let short = server.with_token(&token(server.data(), "operator", &[], &["--ttl", "1s"]));
    let expired = wait_until("the token to expire", || {
        Some(short.ask("GET", "/v1/instruments", &[], None)).filter(|reply| reply.status != 200)
    });
    refused(&expired, &[401], "");
    server.with_token(&good).get("/v1/instruments");
    attacked.unharmed();
}

#[test]
fn anothers_account_is_the_same_403_whether_it_exists_or_not() {
    let attacked = Attacked::begin();
    let same = |there: Reply, not_there: Reply| {
        refused(&there, &[403], "");
        let plain = |reply: &Reply, account: &str| {
            let mut body = reply.body.clone();
            body.as_object_mut().expect("an object").remove("request_id");
            body.to_string().replace(account, "ACCOUNT")
        };
        assert_eq!(plain(&there, "ACC2"), plain(&not_there, "NOBODY"));
    };
    let client = &attacked.client;
    for read in
        ["", "/orders", "/cash", "/portfolio", "/events", "/orders/ACC2-1", "/commands/k", "/pnl?as_of_offset=0"]
    {
        let get = |account: &str| client.ask("GET", &format!("/v1/accounts/{account}{read}"), &[], None);
        same(get("ACC2"), get("NOBODY"));
    }
    let order = |account: &str| client.post(&format!("/v1/accounts/{account}/orders"), limit_order("buy", 1, "100.00"));
    same(order("ACC2"), order("NOBODY"));
    let cancel = |account: &str| {
        client.ask("DELETE", &format!("/v1/accounts/{account}/orders/{account}-3"), &[("Idempotency-Key", "d")], None)
    };
    same(cancel("ACC2"), cancel("NOBODY"));
    attacked.unharmed();
}

#[test]
fn a_role_that_may_not_is_refused() {
    let attacked = Attacked::begin();
    let Attacked { story, client, .. } = &attacked;
    let deposit = json!({ "amount": "5.00" });
    refused(&client.post("/v1/accounts/ACC1/cash/deposits", deposit.clone()), &[403], "");
    refused(&story.auditor.post("/v1/accounts/ACC1/cash/deposits", deposit.clone()), &[403], "");
    refused(&story.venue.post("/v1/accounts/ACC1/cash/deposits", deposit), &[403], "");
    refused(&story.auditor.post("/v1/accounts/ACC1/orders", limit_order("buy", 1, "100.00")), &[403], "");
    refused(&client.post("/v1/accounts", json!({ "account": "ACC9" })), &[403], "");
    let nav = json!({ "scheme": SCHEME, "date": day(0), "nav": "51.0000" });
    refused(&client.post("/v1/market/navs", nav), &[403], "");
    let fill = json!({
        "account": "ACC1", "order_id": "ACC1-3", "trade_id": "T", "quantity": 1, "price": "100.00", "executed_at": moment(0)
    });
    refused(&client.post("/v1/venue/fills", fill.clone()), &[403], "");
    refused(&story.operator.post("/v1/venue/fills", fill), &[403], "");
    refused(&client.ask("GET", "/v1/state", &[], None), &[403], "");
    attacked.unharmed();
}

#[test]
fn paths_queries_and_headers_that_do_not_read_are_refused() {
    let attacked = Attacked::begin();
    let long = "A".repeat(5000);
    for (path, statuses) in [
        ("/v1/nothing", &[404][..]),
        ("/v1/accounts/ACC9", &[404]),
        ("/v1/accounts/A%20B", &[400, 404]),
        ("/v1/accounts/%ff", &[400, 404]),
        ("/v1/accounts/%2e%2e/cash", &[400, 404]),
        ("/v1/accounts/ACC1/orders/ACC1-99", &[404]),
        ("/v1/accounts/ACC1/orders/nonsense", &[400, 404]),
        ("/v1/accounts/ACC1/orders/ACC2-1", &[400, 404]),
        ("/v1/accounts/ACC1/orders?limit=0", &[400]),
        ("/v1/accounts/ACC1/orders?limit=-1", &[400]),
        ("/v1/accounts/ACC1/orders?limit=100000000", &[400]),
        ("/v1/accounts/ACC1/orders?cursor=nonsense", &[400]),
        ("/v1/accounts/ACC1/orders?status=sleeping", &[400]),
        ("/v1/accounts/ACC1/orders?colour=red", &[400]),
        ("/v1/accounts/ACC1/cash?as_of_offset=-1", &[400]),
        ("/v1/accounts/ACC1/cash?as_of=yesterday", &[400]),
        ("/v1/accounts/ACC1/commands/never-used", &[404]),
        ("/v1/instruments/NSE:NOSUCH", &[404]),
        ("/v1/schemes/1", &[404]),
        (&format!("/v1/accounts/{long}"), &[400, 404, 414]),
    ] {
        refused(&attacked.story.operator.ask("GET", path, &[], None), statuses, "");
    }
    let behind = attacked.client.ask("GET", "/v1/accounts/ACC1/cash", &[("Bahi-Min-Position", "nonsense")], None);
    refused(&behind, &[400], "Bahi-Min-Position");
    refused(&attacked.story.operator.ask("PUT", "/v1/accounts", &[], None), &[405], "");
    let bad_report = json!({ "account": "ACC1", "order_id": "ACC1-3", "report": "eaten", "at": moment(0) });
    refused(&attacked.story.venue.post("/v1/venue/reports", bad_report), &[400], "/report");
    let bad_time =
        json!({ "account": "ACC1", "order_id": "ACC1-3", "report": "accepted", "at": "2026-13-01T00:00:00+05:30" });
    refused(&attacked.story.venue.post("/v1/venue/reports", bad_time), &[400], "/at");
    let below_high = json!({ "instrument": SHARE, "date": day(2), "open": "10.00", "high": "9.00", "low": "11.00", "close": "10.00" });
    refused(&attacked.story.operator.post("/v1/market/prices", below_high), &[422], "fact_inconsistent");
    attacked.unharmed();
}

#[test]
fn callers_that_stall_keep_nobody_else_waiting() {
    let attacked = Attacked::begin();
    let stalled: Vec<TcpStream> = (0..STALLED_CONNECTIONS)
        .map(|n| {
            let mut stream = TcpStream::connect(attacked.story.server.address()).expect("a connection");
            let head =
                "POST /v1/accounts HTTP/1.1\r\nHost: bahi\r\nContent-Type: application/json\r\nContent-Length: 100\r\n";
            let sent = if n % 2 == 0 { head.to_owned() } else { format!("{head}\r\n{{\"acc") };
            stream.write_all(sent.as_bytes()).expect("half a request is taken");
            stream
        })
        .collect();
    attacked.client.get("/v1/accounts/ACC1/cash");
    attacked.story.operator.get("/v1/instruments");
    drop(stalled);
    attacked.unharmed();
}
