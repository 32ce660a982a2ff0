//! The document, the page that shows it, and what the process counts.

use crate::edge::{Edge, order};
use api::token::Role;
use axum::body::Body;
use serde_json::{Value, json};

fn document() -> Value {
    serde_json::to_value(api::openapi()).unwrap()
}

fn each(value: &Value, see: &mut impl FnMut(&Value)) {
    see(value);
    match value {
        Value::Object(fields) => fields.values().for_each(|value| each(value, see)),
        Value::Array(items) => items.iter().for_each(|value| each(value, see)),
        _ => {}
    }
}

fn schema_of(pointer: &str) -> Value {
    let document = document();
    let schema = document.pointer(pointer).unwrap_or_else(|| panic!("nothing at {pointer}")).clone();
    json!({"$ref": "#/components/schemas/it", "components": {"schemas": {"it": schema}}})
}

#[tokio::test]
async fn the_document_is_served_whole_and_every_reference_in_it_resolves() {
    let edge = Edge::start().await;
    let served = edge.send("GET", "/openapi.json", &[], Body::empty()).await.is(200);
    assert_eq!(served.header("content-type"), Some("application/json"));
    assert_eq!(served.body, document());
    assert!(served.body["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut seen = 0;
    each(&served.body, &mut |value| {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            seen += 1;
            assert!(served.body.pointer(&reference[1..]).is_some(), "{reference}");
        }
    });
    assert!(seen > 100, "{seen}");
}

#[test]
fn every_body_is_closed_and_every_operation_describes_what_it_may_answer() {
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let at = format!("{method} {path}");
            let responses = operation["responses"].as_object().unwrap();
            let codes: Vec<&str> = responses.keys().map(String::as_str).collect();
            let is_open = operation.get("security").is_none();
            assert_eq!(is_open, !path.starts_with("/v1/"), "{at}");
            for code in if is_open { vec!["200"] } else { vec!["400", "401", "403", "503"] } {
                assert!(codes.contains(&code), "{at} {code}: {codes:?}");
            }
            for (code, response) in responses {
                assert!(response["content"].as_object().is_some_and(|content| content.len() == 1), "{at} {code}");
                assert!(response["headers"]["X-Request-Id"].is_object(), "{at} {code}");
            }
            if method != "get" {
                let key = operation["parameters"].as_array().unwrap().iter().any(|p| p["name"] == "Idempotency-Key");
                assert_eq!(key, codes.contains(&"201"), "{at}");
            }
        }
    }
    let mut closed = 0;
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let schema = match schema["$ref"].as_str() {
                Some(reference) => document.pointer(&reference[1..]).unwrap(),
                None => schema,
            };
            each(schema, &mut |part| {
                if part["type"] == "object" && part["properties"].is_object() {
                    assert_eq!(part["additionalProperties"], json!(false), "{part}");
                    closed += 1;
                }
            });
        }
    }
    assert!(closed > 20, "{closed}");
}

#[test]
fn the_document_takes_what_the_edge_takes_and_refuses_what_it_refuses() {
    let schema = schema_of("/components/schemas/PlaceOrder");
    let validator = jsonschema::validator_for(&schema).unwrap();
    let with = |name: &str, value: Value| {
        let mut body = order(1, "100.00");
        body[name] = value;
        validator.is_valid(&body)
    };
    assert!(validator.is_valid(&order(1, "100.00")));
    assert!(with("price", Value::Null) && with("tag", json!("a b")) && with("price", json!("10000000")));
    assert!(with("type", json!("SL-M")) && with("product", json!("MIS")) && with("trigger_price", json!("1")));
    assert!(with("price", json!("0.0001")) && with("price", json!("1.50000")) && with("quantity", json!(100_000_000)));
    for (name, value) in [
        ("price", json!("0")),
        ("price", json!("0.0")),
        ("price", json!("0.00001")),
        ("price", json!("01")),
        ("price", json!(1)),
        ("price", json!("10000000.0001")),
        ("quantity", json!(0)),
        ("quantity", json!(1.5)),
        ("type", json!("stop")),
        ("product", json!("NRML")),
        ("trigger_price", json!(1)),
        ("disclosed_quantity", json!(0)),
        ("instrument", json!("NSE")),
        ("instrument", json!("ISIN:X")),
        ("colour", json!("red")),
    ] {
        assert!(!with(name, value.clone()), "{name} {value}");
    }
}

#[tokio::test]
async fn answers_are_as_the_document_describes_them() {
    let edge = Edge::start().await;
    edge.with_a_market().await;
    let placed = edge.post(Role::Client, "/v1/accounts/ACC1/orders", order(10, "99.00")).await.is(201);
    let id = placed.body["order_id"].as_str().unwrap().to_owned();
    let fill = json!({"account": "ACC1", "order_id": id, "trade_id": "T1", "quantity": 4, "price": "99.00",
        "executed_at": crate::edge::MORNING});
    let filled = edge.post(Role::Venue, "/v1/venue/fills", fill).await.is(201);
    let position = filled.header("bahi-position").unwrap();
    let refused = edge.post(Role::Client, "/v1/accounts/ACC1/orders", order(100_000, "99.00")).await.is(422);
    let document = document();
    let check = |schema: Value, body: &Value, at: &str| {
        let mut schema = schema;
        schema["components"] = document["components"].clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let wrong: Vec<String> =
            validator.iter_errors(body).map(|error| format!("{error} at {}", error.instance_path())).collect();
        assert!(wrong.is_empty(), "{at}: {wrong:?} in {body}");
    };
    check(json!({"$ref": "#/components/schemas/Accepted"}), &placed.body, "accepted");
    let answers = &document["paths"]["/v1/accounts/{account}/orders"]["post"]["responses"];
    let reused = [("idempotency-key", "key-0")];
    edge.post_with(Role::Client, "/v1/accounts/ACC1/orders", &reused, order(1, "98.00").to_string()).await.is(201);
    let reused = edge.post_with(Role::Client, "/v1/accounts/ACC1/orders", &reused, order(2, "98.00").to_string()).await;
    for refusal in [refused, reused.is(422)] {
        check(answers["422"]["content"]["application/problem+json"]["schema"].clone(), &refusal.body, "refused");
    }
    let malformed = edge.post(Role::Client, "/v1/accounts/ACC1/orders", json!({})).await.is(400);
    check(answers["400"]["content"]["application/problem+json"]["schema"].clone(), &malformed.body, "malformed");
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(operation) = item.get("get") else { continue };
        let schema = operation["responses"]["200"]["content"]["application/json"]["schema"].clone();
        let filled = path.replace("{account}", "ACC1").replace("{order}", &id).replace("{id}", "NSE:RELIANCE");
        let filled = filled.replace("{code}", "119551").replace("{key}", "key-0");
        if schema.is_null() || path.contains("/commands/") {
            continue;
        }
        let role = if path.contains("venue") { Role::Venue } else { Role::Auditor };
        let reply = edge.get_at(role, &filled, position).await.is(200);
        check(schema, &reply.body, path);
    }
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let edge = Edge::start().await;
    let page = edge.send("GET", "/docs/", &[], Body::empty()).await.is(200);
    assert!(page.text.contains("swagger-ui"), "{}", page.text);
    assert!(!page.text.contains("http://") && !page.text.contains("https://"), "{}", page.text);
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'self'"));
    let start = edge.send("GET", "/docs/swagger-initializer.js", &[], Body::empty()).await.is(200);
    assert!(start.text.contains("/openapi.json") && start.text.contains("none"), "{}", start.text);
}

#[tokio::test]
async fn the_process_says_that_it_lives_is_ready_and_what_it_counted() {
    let edge = Edge::start().await;
    assert_eq!(edge.send("GET", "/healthz", &[], Body::empty()).await.is(200).body["status"], "ok");
    assert_eq!(edge.send("GET", "/readyz", &[], Body::empty()).await.is(200).body["status"], "ready");
    edge.get(Role::Auditor, "/v1/calendar").await.is(200);
    let metrics = edge.send("GET", "/metrics", &[], Body::empty()).await.is(200);
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain"));
    let line = metrics
        .text
        .lines()
        .find(|line| line.starts_with("bahi_http_requests_total{route=\"/v1/calendar\",status=\"2xx\"}"));
    assert!(line.is_some_and(|line| !line.ends_with(" 0")), "{}", metrics.text);
    assert!(metrics.text.contains("bahi_http_request_seconds_bucket"), "{}", metrics.text);
    assert!(metrics.text.lines().any(|line| line == "bahi_ready 1"), "{}", metrics.text);
}

#[tokio::test]
async fn commands_are_counted_by_their_outcome() {
    let edge = Edge::start().await;
    let account = serde_json::json!({"account": "COUNTED"});
    edge.post(Role::Operator, "/v1/accounts", account.clone()).await.is(201);
    edge.post(Role::Operator, "/v1/accounts", account).await.is(422);
    let metrics = edge.send("GET", "/metrics", &[], Body::empty()).await.is(200).text;
    for outcome in ["accepted", "refused"] {
        let label = format!("outcome=\"{outcome}\"");
        let of_outcome = |line: &&str| line.starts_with("bahi_commands_total{") && line.contains(&label);
        assert!(metrics.lines().filter(of_outcome).any(|line| !line.ends_with(" 0")), "{metrics}");
    }
}
