//! What `/openapi.json` promises is what a live server does: schemathesis makes requests from it, wild ones too.
//!
//! schemathesis is installed by `make test` into `venv/` of the target folder, in the version that
//! `tests/requirements.txt` names; without it these tests fail and say so.

use serde_json::json;
use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};
use tests::{
    binary,
    story::{Story, limit_order},
};

/// Cases a route in each phase; with four roles it is some thousand requests in all.
const EXAMPLES_MAX: &str = "12";

/// The longest one role may take; a minute is usual.
const RUN_LIMIT: Duration = Duration::from_secs(600);

/// Unless `BAHI_SEED` says another.
const SEED: &str = "9";

/// What schemathesis checks of each answer: no server error, and no status, media type, header or body that is not described.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance";

/// Where `make test` installs it, unless `BAHI_SCHEMATHESIS` names another.
fn schemathesis() -> PathBuf {
    let installed = binary::profile_folder()
        .parent()
        .expect("a profile's folder is in the target folder")
        .join("venv/bin/schemathesis");
    let path = env::var_os("BAHI_SCHEMATHESIS").map_or(installed, PathBuf::from);
    assert!(
        path.is_file(),
        "schemathesis is missing at {}: run `make test`, or `.ci/schemathesis` to install it",
        path.display()
    );
    path
}

/// Runs schemathesis as this role over every route that is described.
#[track_caller]
fn keeps_its_promises(role: &str) {
    let program = schemathesis();
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "100000.00");
    client.post("/v1/accounts/ACC1/orders", limit_order("buy", 1, "100.00")).must_be(201);
    client
        .post("/v1/accounts/ACC1/fund-purchases", json!({ "scheme": "119551", "amount": "500.00", "folio": null }))
        .must_be(201);
    let caller = story.server.client(role, if role == "client" { &["ACC1"] } else { &[] });
    let seed = env::var("BAHI_SEED").unwrap_or_else(|_| SEED.to_owned());
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut command = Command::new(program);
    command
        .arg("run")
        .arg(format!("{}/openapi.json", story.server.url()))
        .args(["--header", &format!("Authorization: Bearer {}", caller.token().expect("a token"))])
        .args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES_MAX])
        .args(["--seed", &seed, "--generation-database", "none", "--no-shrink"])
        // One: CPython 3.11 can fail to build an AST on two threads at once, which would be reported as an error of ours.
        .args(["--workers", "1", "--request-timeout", "20", "--warnings", "off", "--no-color", "--continue-on-failure"])
        .args(["--suppress-health-check", "all"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let ran = binary::finish_within(RUN_LIMIT, &mut command);
    assert_eq!(ran.code, Some(0), "as {role}, BAHI_SEED={seed}:\n{}{}", ran.out, ran.err);
    assert!(ran.out.contains("Test cases:"), "schemathesis tested nothing:\n{}", ran.out);
    story.server.verify();
}

#[test]
fn every_answer_to_an_operator_is_described() {
    keeps_its_promises("operator");
}

#[test]
fn every_answer_to_a_client_is_described() {
    keeps_its_promises("client");
}

#[test]
fn every_answer_to_a_venue_is_described() {
    keeps_its_promises("venue");
}

#[test]
fn every_answer_to_an_auditor_is_described() {
    keeps_its_promises("auditor");
}

#[test]
fn the_description_names_every_route_of_the_product() {
    let story = Story::begin();
    let described = story.server.anybody().get("/openapi.json");
    assert!(described.text_at("/openapi").starts_with("3.1"), "OpenAPI 3.1");
    let paths = described.at("/paths").as_object().expect("paths");
    for (method, path) in ROUTES {
        let found = paths.iter().any(|(described, methods)| {
            let same = described.split('/').count() == path.split('/').count()
                && described
                    .split('/')
                    .zip(path.split('/'))
                    .all(|(one, two)| one == two || one.starts_with('{') && two.starts_with('{'));
            same && methods.get(method).is_some()
        });
        assert!(found, "{method} {path} is not described");
    }
    let page = story.server.anybody().ask("GET", "/docs/", &[], None).must_be(200);
    assert!(!page.text.contains("https://"), "the page loads nothing from elsewhere: {}", page.text);
}

/// Every route of the product.
const ROUTES: &[(&str, &str)] = &[
    ("post", "/v1/accounts"),
    ("get", "/v1/accounts/{account}"),
    ("post", "/v1/accounts/{account}/cash/deposits"),
    ("post", "/v1/accounts/{account}/cash/withdrawals"),
    ("post", "/v1/accounts/{account}/orders"),
    ("get", "/v1/accounts/{account}/orders"),
    ("post", "/v1/accounts/{account}/orders/batch"),
    ("get", "/v1/accounts/{account}/orders/{order}"),
    ("patch", "/v1/accounts/{account}/orders/{order}"),
    ("delete", "/v1/accounts/{account}/orders/{order}"),
    ("get", "/v1/accounts/{account}/orders/{order}/history"),
    ("post", "/v1/accounts/{account}/fund-purchases"),
    ("post", "/v1/accounts/{account}/fund-redemptions"),
    ("get", "/v1/accounts/{account}/fund-orders"),
    ("get", "/v1/accounts/{account}/trades"),
    ("get", "/v1/accounts/{account}/positions"),
    ("get", "/v1/accounts/{account}/holdings"),
    ("get", "/v1/accounts/{account}/portfolio"),
    ("get", "/v1/accounts/{account}/pnl"),
    ("get", "/v1/accounts/{account}/cash"),
    ("get", "/v1/accounts/{account}/events"),
    ("get", "/v1/accounts/{account}/commands/{key}"),
    ("post", "/v1/accounts/{account}/imports/trades"),
    ("post", "/v1/accounts/{account}/imports/units"),
    ("post", "/v1/venue/reports"),
    ("post", "/v1/venue/fills"),
    ("post", "/v1/venue/allotments"),
    ("post", "/v1/venue/trade-cancellations"),
    ("post", "/v1/accounts/{account}/positions/convert"),
    ("post", "/v1/venue/unmatched/{account}/{seq}/assign"),
    ("get", "/v1/venue/requests"),
    ("post", "/v1/market/instruments"),
    ("post", "/v1/market/prices"),
    ("post", "/v1/market/navs"),
    ("post", "/v1/market/schemes"),
    ("post", "/v1/market/calendar"),
    ("get", "/v1/instruments"),
    ("get", "/v1/instruments/{instrument}"),
    ("get", "/v1/instruments/{instrument}/prices"),
    ("get", "/v1/schemes"),
    ("get", "/v1/schemes/{scheme}"),
    ("get", "/v1/schemes/{scheme}/navs"),
    ("get", "/v1/calendar"),
    ("get", "/v1/state"),
];
