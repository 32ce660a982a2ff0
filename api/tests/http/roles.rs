//! Who may call what: every route and every role, from the document that the product itself gives.

use crate::edge::{Edge, order};
use api::token::Role;
use axum::body::Body;
use serde_json::Value;

/// Every operation: method, path, and the roles that may call it; none for one that is open.
fn operations() -> Vec<(String, String, Option<Vec<String>>)> {
    let document = serde_json::to_value(api::openapi()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let roles = operation["security"].as_array().map(|security| {
                let roles = security[0]["token"].as_array().unwrap();
                roles.iter().map(|role| role.as_str().unwrap().to_owned()).collect()
            });
            operations.push((method.to_uppercase(), path.clone(), roles));
        }
    }
    operations
}

fn filled(path: &str, account: &str) -> String {
    let path = path.replace("{account}", account).replace("{order}", &format!("{account}-1")).replace("{seq}", "1");
    path.replace("{id}", "NSE:RELIANCE").replace("{code}", "119551").replace("{key}", "k1")
}

#[tokio::test]
async fn every_route_answers_the_roles_it_names_and_forbids_all_others() {
    let edge = Edge::start().await;
    edge.with_a_market().await;
    let operations = operations();
    assert!(operations.len() > 40, "{}", operations.len());
    for (method, path, roles) in &operations {
        for role in Role::ALL {
            let status = edge.write_with(method, role, &filled(path, "ACC1"), &[], Body::empty()).await.status;
            let may = roles.as_ref().is_none_or(|roles| roles.iter().any(|named| named == role.name()));
            assert_eq!(status != 403, may, "{method} {path} as {} is {status}", role.name());
            assert!(status < 500, "{method} {path} as {} is {status}", role.name());
        }
        let anyone = edge.send(method, &filled(path, "ACC1"), &[], Body::empty()).await.status;
        assert_eq!(anyone == 401, roles.is_some(), "{method} {path} without a token is {anyone}");
    }
}

#[tokio::test]
async fn an_auditor_reads_everything_and_changes_nothing() {
    for (method, path, roles) in operations() {
        let Some(roles) = roles else { continue };
        assert_eq!(roles.iter().any(|role| role == "auditor"), method == "GET", "{method} {path}");
        assert!(!roles.iter().any(|role| role == "regulator" || role == "admin"), "{method} {path}");
    }
}

#[tokio::test]
async fn another_account_is_forbidden_with_one_body_whether_it_exists_or_not() {
    let edge = Edge::start().await;
    edge.with_a_market().await;
    edge.post(Role::Operator, "/v1/accounts", serde_json::json!({"account": "OTHER"})).await.is(201);
    let mut bodies: Vec<Value> = Vec::new();
    for account in ["OTHER", "NOBODY", "ACC", "ACC11", "%41CC9", "no%20account"] {
        for (method, path, roles) in operations() {
            if !path.contains("{account}") || roles.is_none_or(|roles| !roles.iter().any(|role| role == "client")) {
                continue;
            }
            let headers = [("x-request-id", "same"), ("idempotency-key", "k1")];
            let body = order(1, "100.00").to_string();
            let mut reply =
                edge.write_with(&method, Role::Client, &filled(&path, account), &headers, body).await.is(403);
            assert_eq!(reply.header("bahi-position"), None);
            bodies.push(reply.body.take());
        }
    }
    assert!(bodies.len() > 100 && bodies.iter().all(|body| *body == bodies[0]), "{:?}", bodies[0]);
}

#[tokio::test]
async fn a_percent_encoded_address_is_the_account_it_decodes_to() {
    let edge = Edge::start().await;
    edge.with_a_market().await;
    edge.get(Role::Client, "/v1/accounts/%41%43C1/cash").await.is(200);
    edge.get(Role::Operator, "/v1/accounts/no%20account/cash").await.gives_problem(400, "invalid_path", &["#account"]);
    edge.get(Role::Operator, "/v1/accounts/%ff/cash").await.is(400);
    edge.get(Role::Client, "/v1/accounts/%ff/cash").await.is(403);
    edge.get(Role::Client, "/v1/instruments/NSE%3ARELIANCE").await.is(200);
}
