//! An order can be followed from the request that brought it, through both topics, into the views.

use serde_json::json;
use tests::{
    Server,
    cluster::Topics,
    collector::{Collector, Step},
    key, story, wait_until,
};

/// As a caller says that a request is of a trace of its own, and that it is followed.
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLERS_STEP: &str = "b7ad6b7169203331";
/// The same of another, which is not followed.
const UNFOLLOWED: &str = "00-1bf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
const UNFOLLOWED_TRACE: &str = "1bf7651916cd43dd8448eb211c80319c";

/// Opens an account with this `traceparent`.
fn open(api: &Server, account: &str, traceparent: &str) {
    let body = json!({ "account": account }).to_string().into_bytes();
    let headers = [("idempotency-key", &*key()), ("traceparent", traceparent)];
    api.operator().ask("POST", "/v1/accounts", &headers, Some(body)).must_be(201);
}

/// Places an order for an account, of the caller's trace.
fn order(api: &Server, account: &str) {
    let body = story::limit_order("buy", 1, "100.00").to_string().into_bytes();
    let headers = [("idempotency-key", &*key()), ("traceparent", CALLER)];
    let path = format!("/v1/accounts/{account}/orders");
    api.client("client", &[account]).ask("POST", &path, &headers, Some(body)).must_be(201);
}

/// The steps of the caller's trace, once there are so many: in the order in which each follows the one before.
fn chain(collector: &Collector, steps: usize) -> Vec<Step> {
    let steps = wait_until("every step of the trace to come", || {
        let came = collector.of(TRACE);
        (came.len() >= steps).then_some(came)
    });
    let mut chain: Vec<Step> = Vec::new();
    let mut after = CALLERS_STEP.to_owned();
    while chain.len() < steps.len() {
        let next: Vec<&Step> = steps.iter().filter(|step| step.after == after).collect();
        let [next] = next[..] else { panic!("{} steps follow {after}: {steps:#?}", next.len()) };
        after = next.id.clone();
        chain.push(next.clone());
    }
    for pair in chain.windows(2) {
        assert!(pair[0].times.0 <= pair[1].times.0, "what follows began before: {pair:#?}");
    }
    chain
}

fn words(chain: &[Step]) -> Vec<(&str, &str)> {
    chain.iter().map(|step| (&*step.service, &*step.name)).collect()
}

#[test]
fn an_order_is_one_trace_from_its_request_through_both_topics_into_the_database() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (topics, collector) = (Topics::of(folder.path()), Collector::start());
    let variables = collector.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, text)| (*name, &**text)).collect();
    let args = ["--calendar", "always-open"];
    let role = |role: &str| topics.role(role, folder.path(), &args, &variables);
    let [writer, projector, api] = ["writer", "projector", "api"].map(role);
    open(&api, "T1", UNFOLLOWED);
    let operator = api.operator();
    story::list_share(&operator, story::SHARE);
    operator.post("/v1/accounts/T1/cash/deposits", json!({ "amount": "1000.00" })).must_be(201);
    order(&api, "T1");
    let chain = chain(&collector, 4);
    assert_eq!(
        words(&chain),
        [
            ("bahi-api", "POST /v1/accounts/{account}/orders"),
            ("bahi-api", "send request"),
            ("bahi-writer", "decide and append"),
            ("bahi-projector", "fold into PostgreSQL"),
        ]
    );
    // The projector's commit is the last; who asked was answered before or after it.
    assert!(chain[2].times.1 <= chain[3].times.1, "{chain:#?}");
    for server in [api, projector, writer] {
        assert!(server.stop().success());
    }
    assert!(collector.of(UNFOLLOWED_TRACE).is_empty());
}

#[test]
fn one_process_tells_its_steps_too_and_a_request_of_no_trace_begins_one() {
    let (folder, collector) = (tempfile::tempdir().expect("a folder can be made"), Collector::start());
    let variables = collector.variables();
    let mut variables: Vec<(&str, &str)> = variables.iter().map(|(name, text)| (*name, &**text)).collect();
    variables.push(("OTEL_SERVICE_NAME", "our-ledger"));
    let server = Server::serve(folder.path(), &[], &variables);
    open(&server, "T1", CALLER);
    let steps = chain(&collector, 3);
    let names = [("our-ledger", "POST /v1/accounts"), ("our-ledger", "decide and append")];
    assert_eq!(words(&steps), [&names[..], &[("our-ledger", "fold into memory")]].concat());
    let before = collector.count();
    server.operator().get("/v1/accounts/T1");
    wait_until("the step of a read", || (collector.count() > before).then_some(()));
    assert!(server.stop().success());
}

#[test]
fn without_a_collector_nothing_is_followed_and_a_collector_that_is_away_holds_nobody_up() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let nowhere = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    for (account, variables) in [("T1", &[][..]), ("T2", &nowhere[..])] {
        let server = Server::serve(folder.path(), &[], variables);
        open(&server, account, CALLER);
        server.operator().get(&format!("/v1/accounts/{account}"));
        assert!(server.stop().success());
    }
    let refused = tests::binary::finish(
        tests::binary::command(["serve", "--data", &folder.path().display().to_string()])
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318")
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped()),
    );
    assert!(refused.failed().contains("without TLS"));
    let out = tests::binary::run(["tail", "--json", "--data", &folder.path().display().to_string()]).succeeded();
    assert!(out.contains("T2"), "{out}");
}
