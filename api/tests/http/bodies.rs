//! Bad requests are refused by the name of what is bad, before anything is handed over.

use crate::edge::{Edge, order};
use api::token::Role;
use axum::body::Body;
use serde_json::{Value, json};

const ORDERS: &str = "/v1/accounts/ACC1/orders";
const DEPOSITS: &str = "/v1/accounts/ACC1/cash/deposits";

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let edge = Edge::start().await;
    let body = json!({"instrument": "nonsense", "side": "hold", "quantity": 0, "type": "limit", "price": 100,
        "product": "CNC", "validity": "DAY", "colour": "red", "a/b~c": 1});
    let pointers = ["/instrument", "/side", "/quantity", "/price", "/a~1b~0c", "/colour"];
    edge.post(Role::Client, ORDERS, body).await.gives_problem(400, "invalid_body", &pointers);
    let missing = ["/instrument", "/side", "/quantity", "/type", "/product", "/validity"];
    edge.post(Role::Client, ORDERS, json!({})).await.gives_problem(400, "invalid_body", &missing);
    edge.post(Role::Client, ORDERS, json!([])).await.gives_problem(400, "invalid_body", &[""]);
}

#[tokio::test]
async fn money_is_a_plain_decimal_string_above_zero_within_its_limit() {
    let edge = Edge::start().await;
    edge.with_a_market().await;
    for amount in [
        "1",
        "1.5",
        "1e3",
        "\"1e3\"",
        "\"\"",
        "\" 1.00\"",
        "\"1,000.00\"",
        "\"+1.00\"",
        "\"1.001\"",
        "\"1.\"",
        "\".5\"",
        "\"१\"",
        "null",
        "true",
        "[]",
        "\"0\"",
        "\"0.00\"",
        "\"-1.00\"",
        "\"10000000000000.01\"",
        "\"99999999999999999999.00\"",
        "99999999999999999999999999999999",
    ] {
        let (key, body) = (amount.len().to_string(), format!("{{\"amount\":{amount}}}"));
        let reply = edge.post_with(Role::Operator, DEPOSITS, &[("idempotency-key", &key)], body).await;
        reply.gives_problem(400, "invalid_body", &["/amount"]);
    }
    // Within the edge's limit; the account's own is the book's to judge.
    edge.post(Role::Operator, DEPOSITS, json!({"amount": "10000000000000"})).await.gives_problem(
        422,
        "amount_too_large",
        &[],
    );
    edge.post(Role::Operator, DEPOSITS, json!({"amount": "0.0100"})).await.is(201);
}

#[tokio::test]
async fn quantities_and_prices_have_named_limits() {
    let edge = Edge::start().await;
    let with = |name: &str, value: Value| {
        let mut body = order(1, "100.00");
        body[name] = value;
        body
    };
    for (name, value) in [
        ("quantity", json!(0)),
        ("quantity", json!(-1)),
        ("quantity", json!(1.5)),
        ("quantity", json!("1")),
        ("quantity", json!(100_000_001)),
        ("quantity", json!(u64::MAX)),
        ("price", json!("0")),
        ("price", json!("-1.00")),
        ("price", json!("100.00001")),
        ("price", json!("10000000.0001")),
        ("price", json!(100)),
        ("market_protection", json!("100.1")),
        ("tag", json!("x".repeat(21))),
        ("algo_id", json!("")),
    ] {
        let pointer = format!("/{name}");
        edge.post(Role::Client, ORDERS, with(name, value)).await.gives_problem(400, "invalid_body", &[&pointer]);
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_of_this_type_is_refused_by_what_is_wrong_with_it() {
    let edge = Edge::start().await;
    let key = [("idempotency-key", "k")];
    let post = async |body: Vec<u8>| edge.post_with(Role::Operator, DEPOSITS, &key, body).await;
    for (body, said) in [
        (b"".to_vec(), "empty"),
        (b"  ".to_vec(), "empty"),
        (b"{\"amount\":\"\xff\"}".to_vec(), "UTF-8"),
        (b"{\"amount\":\"1.00\"".to_vec(), "JSON"),
        (b"{\"amount\":\"1.00\"} x".to_vec(), "JSON"),
        (b"{\"amount\":\"1.00\",\"amount\":\"2.00\"}".to_vec(), "duplicate"),
        (vec![b'['; 100_000], "JSON"),
    ] {
        let reply = post(body).await.gives_problem(400, "invalid_body", &[""]);
        assert!(reply.text.contains(said), "{said}: {}", reply.text);
    }
    for media in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
        let headers = [("idempotency-key", "k"), ("content-type", media)];
        let reply = edge.post_with(Role::Operator, DEPOSITS, &headers, "{\"amount\":\"1.00\"}").await;
        reply.gives_problem(415, "unsupported_media_type", &[]);
    }
    let headers = [("idempotency-key", "k"), ("content-type", "Application/JSON; charset=utf-8")];
    edge.post_with(Role::Operator, DEPOSITS, &headers, "{}").await.is(400);
}

#[tokio::test]
async fn a_body_over_its_limit_is_refused_announced_or_not() {
    let edge = Edge::start().await;
    let key = ("idempotency-key", "k");
    let large = vec![b' '; (1 << 20) + 1];
    edge.post_with(Role::Operator, DEPOSITS, &[key], large.clone()).await.gives_problem(413, "body_too_large", &[]);
    let announced = [key, ("content-length", "9999999999")];
    edge.post_with(Role::Operator, DEPOSITS, &announced, "{}").await.gives_problem(413, "body_too_large", &[]);
    let batch = "/v1/accounts/ACC1/orders/batch";
    edge.post_with(Role::Client, batch, &[], large).await.gives_problem(400, "invalid_body", &[""]);
    let larger = vec![b' '; (2 << 20) + 1];
    edge.post_with(Role::Client, batch, &[], larger.clone()).await.gives_problem(413, "body_too_large", &[]);
    let unannounced = Body::from_stream(futures::stream::iter([Ok::<_, std::io::Error>(larger)]));
    edge.post_with(Role::Client, batch, &[], unannounced).await.gives_problem(413, "body_too_large", &[]);
}

#[tokio::test]
async fn a_key_is_needed_once_and_is_visible_ascii() {
    let edge = Edge::start().await;
    let body = || order(1, "100.00").to_string();
    edge.post_with(Role::Client, ORDERS, &[], body()).await.gives_problem(
        400,
        "idempotency_key_required",
        &["#Idempotency-Key"],
    );
    let twice = [("idempotency-key", "a"), ("idempotency-key", "b")];
    edge.post_with(Role::Client, ORDERS, &twice, body()).await.gives_problem(
        400,
        "idempotency_key_required",
        &["#Idempotency-Key"],
    );
    for key in ["", " ", "a b", "é", &"x".repeat(65)] {
        let reply = edge.post_with(Role::Client, ORDERS, &[("idempotency-key", key)], body()).await;
        reply.gives_problem(400, "invalid_header", &["#Idempotency-Key"]);
    }
    let headers = [("idempotency-key", "k"), ("bahi-min-position", "!")];
    edge.post_with(Role::Client, ORDERS, &headers, body()).await.gives_problem(
        400,
        "invalid_header",
        &["#Bahi-Min-Position"],
    );
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_problems_too() {
    let edge = Edge::start().await;
    for path in ["/", "/v1", "/v2/accounts", "/v1/accounts/ACC1/nothing", "/docs/nothing.js"] {
        let reply = edge.get(Role::Auditor, path).await.is(404);
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{path}");
    }
    for (method, path) in
        [("PUT", "/v1/accounts"), ("GET", "/v1/venue/fills"), ("TRACE", "/v1/state"), ("DELETE", "/healthz")]
    {
        let reply = edge.send(method, path, &[], Body::empty()).await.gives_problem(405, "method_not_allowed", &[]);
        assert!(reply.header("allow").is_some_and(|allow| !allow.is_empty()), "{method} {path}");
    }
}

#[tokio::test]
async fn a_request_id_is_echoed_when_it_is_one_and_made_when_it_is_not() {
    let edge = Edge::start().await;
    let with = async |id: &str| edge.send("GET", "/healthz", &[("x-request-id", id)], Body::empty()).await;
    assert_eq!(with("mine-1").await.header("x-request-id"), Some("mine-1"));
    let mut made = Vec::new();
    for id in ["", "a b", &"x".repeat(65)] {
        made.push(with(id).await.header("x-request-id").unwrap().to_owned());
    }
    made.dedup();
    assert_eq!(made.len(), 3, "{made:?}");
    assert!(made.iter().all(|id| id.len() == 36 && id.as_bytes()[14] == b'7'), "{made:?}");
}

#[tokio::test]
async fn unknown_and_broken_parameters_are_named() {
    let edge = Edge::start().await;
    edge.with_a_market().await;
    let orders = async |query: &str| edge.get(Role::Client, &format!("{ORDERS}?{query}")).await;
    orders("limit=0&colour=red&from=today").await.gives_problem(400, "invalid_query", &["#limit", "#colour", "#from"]);
    orders("limit=1001").await.gives_problem(400, "invalid_query", &["#limit"]);
    orders("limit=1&limit=2").await.gives_problem(400, "invalid_query", &["#limit"]);
    orders("cursor=nonsense").await.gives_problem(400, "invalid_query", &["#cursor"]);
    orders("as_of_offset=1&as_of=2026-11-24T10:00:00%2B05:30").await.gives_problem(400, "invalid_query", &["#as_of"]);
    orders("as_of_offset=999999").await.gives_problem(400, "invalid_query", &["#as_of_offset"]);
    orders("tag=%ff").await.is(400);
}

#[tokio::test]
async fn a_handler_that_panics_is_a_problem_and_counted_and_the_next_request_is_answered() {
    let edge = Edge::start().await;
    let (token, panics) = (format!("Bearer {}", edge.token(Role::Auditor)), "bahi_http_panics_total");
    let get = async || edge.send("GET", "/v1/calendar", &[("authorization", &token)], Body::empty()).await;
    // The edge asks for the time first, the handler second.
    edge.clock.panic_at(2);
    get().await.gives_problem(500, "internal", &[]);
    get().await.is(200);
    let metrics = edge.send("GET", "/metrics", &[], Body::empty()).await.is(200);
    let counted = metrics.text.lines().find_map(|line| line.strip_prefix(panics)?.trim().parse::<u64>().ok());
    assert!(counted.is_some_and(|counted| counted > 0), "{}", metrics.text);
}
