//! An order can be followed from the request that brought it, through both topics, into the views.

use serde_json::json;
use std::process::{Command, Stdio};
use tests::{
    Server, binary,
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

/// A trace that is followed, and whose id every sampler of a part takes into it.
const LOWEST: &str = "00-00000000000000000000000000000001-b7ad6b7169203331-01";
/// As behind a gateway that says what is followed.
const TRUSTED: (&str, &str) = ("BAHI_TRUST_TRACEPARENT", "true");

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

/// What tells a process where the collector is, and more.
fn with<'a>(collector: &'a [(&'a str, String)], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    collector.iter().map(|(name, text)| (*name, &**text)).chain(more.iter().copied()).collect()
}

fn words(chain: &[Step]) -> Vec<(&str, &str)> {
    chain.iter().map(|step| (&*step.service, &*step.name)).collect()
}

#[test]
fn an_order_is_one_trace_from_its_request_through_both_topics_into_the_database() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (topics, collector) = (Topics::of(folder.path()), Collector::start());
    let variables = collector.variables();
    let variables = with(&variables, &[TRUSTED]);
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
    let variables = with(&variables, &[TRUSTED, ("OTEL_SERVICE_NAME", "our-ledger")]);
    let server = Server::serve(folder.path(), &[], &variables);
    open(&server, "T1", CALLER);
    let steps = chain(&collector, 3);
    let names = [("our-ledger", "POST /v1/accounts"), ("our-ledger", "decide and append")];
    assert_eq!(words(&steps), [&names[..], &[("our-ledger", "fold into memory")]].concat());
    let before = collector.all().len();
    server.operator().get("/v1/accounts/T1");
    wait_until("the step of a read", || (collector.all().len() > before).then_some(()));
    assert!(server.stop().success());
}

#[test]
fn a_caller_who_is_not_trusted_decides_nothing_and_is_only_linked() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let nearly_none = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.000000001")];
    let none = [("OTEL_TRACES_SAMPLER", "parentbased_always_off"), TRUSTED];
    let steps = |account: &str, traceparent: &str, more: &[(&str, &str)]| {
        let collector = Collector::start();
        let server = Server::serve(folder.path(), &[], &with(&collector.variables(), more));
        open(&server, account, traceparent);
        server.operator().get(&format!("/v1/accounts/{account}")).must_be(200);
        // What waits is sent before it ends.
        assert!(server.stop().success());
        collector.all()
    };
    assert_eq!(steps("T1", CALLER, &none[..1]), [], "a caller had its request followed by its flag");
    assert_eq!(steps("T2", LOWEST, &nearly_none), [], "a caller had its request followed by its id");
    let own = steps("T3", UNFOLLOWED, &[]);
    let request = own.iter().find(|step| step.links == [CALLERS_STEP]).unwrap_or_else(|| panic!("{own:#?}"));
    assert_eq!((&*request.name, &*request.after), ("POST /v1/accounts", ""), "{own:#?}");
    assert_eq!(own.iter().filter(|step| step.trace == request.trace).count(), 3, "{own:#?}");
    assert!(own.iter().all(|step| step.trace != UNFOLLOWED_TRACE), "{own:#?}");
    let of_nobody = |link: &String| link.chars().all(|digit| digit == '0');
    assert!(own.len() > 3 && !own.iter().flat_map(|step| &step.links).any(of_nobody), "{own:#?}");
    let callers = steps("T4", CALLER, &none);
    assert!(callers.len() == 3 && callers.iter().all(|step| step.trace == TRACE), "{callers:#?}");
}

#[test]
fn a_start_tells_no_step_of_what_was_recorded_before_it() {
    let (folder, collector) = (tempfile::tempdir().expect("a folder can be made"), Collector::start());
    let variables = collector.variables();
    let variables = with(&variables, &[TRUSTED]);
    let mut server = Server::serve(folder.path(), &[], &variables);
    open(&server, "T1", CALLER);
    let told = chain(&collector, 3);
    // Nothing is saved of what it has folded: the next one folds all of it again.
    server.kill_9();
    let server = Server::serve(folder.path(), &[], &variables);
    server.operator().get("/v1/accounts/T1").must_be(200);
    // What waits is sent before it ends.
    assert!(server.stop().success());
    assert_eq!(collector.of(TRACE).len(), told.len(), "{:#?}", collector.of(TRACE));
}

#[test]
fn what_the_database_refuses_is_a_step_that_failed_each_time_until_it_is_written() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (topics, collector) = (Topics::of(folder.path()), Collector::start());
    let variables = collector.variables();
    let variables = with(&variables, &[TRUSTED]);
    let [_writer, projector, api] =
        ["writer", "projector", "api"].map(|role| topics.role(role, folder.path(), &[], &variables));
    let sql = |sql: &str| {
        let mut psql = Command::new("psql");
        psql.args(["--quiet", "--dbname", topics.database(), "--command", sql]);
        binary::finish(psql.stdout(Stdio::piped()).stderr(Stdio::piped())).succeeded();
    };
    sql("alter table journal add constraint nobody check (account <> 'T1') not valid");
    open(&api, "T1", CALLER);
    let folded = || -> Vec<Step> {
        collector.of(TRACE).into_iter().filter(|step| step.name == "fold into PostgreSQL").collect()
    };
    wait_until("the step of a batch that was refused", || (folded().len() >= 2).then_some(()));
    assert!(folded().iter().all(|step| step.failed), "{:#?}", folded());
    sql("alter table journal drop constraint nobody");
    let good =
        wait_until("the step of the batch once it is written", || folded().into_iter().find(|step| !step.failed));
    assert!(projector.stop().success());
    let last = folded().into_iter().max_by_key(|step| step.times).expect("some steps");
    assert_eq!(last, good, "it is told once that it is written");
    assert!(api.stop().success());
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
