//! The same rows, wherever they were folded: in PostgreSQL by a projector, in the memory of an api, and cold from the
//! topics, after a random workload. `BAHI_SEED` chooses it and `BAHI_EQUALITY` says how many commands and facts are sent;
//! `make equality` sends 100,000 in release.

use serde_json::{Value, json};
use std::{env, time::Duration};
use tests::{
    Server, binary,
    cluster::Topics,
    story::{SCHEME, SHARE, State, list_scheme, list_share, until_midnight_is_far},
    wait::wait_at_most,
    wander::{accounts, wander},
};

const SEED: u64 = 23;
/// What `make test` sends; enough that each kind of command comes hundreds of times.
const COMMANDS: u64 = 10_000;
/// The longest until all have seen all: a debug build folds some thousand entries a second.
const ALL_SEEN: Duration = Duration::from_secs(300);
/// The simulated venue fills and allots, so that there is more than requests.
const ARGS: [&str; 4] = ["--calendar", "always-open", "--venue", "simulated"];
const NO_LIMIT: [(&str, &str); 1] = [("BAHI_REQUESTS_PER_SECOND", "0")];

fn setting(name: &str, otherwise: u64) -> u64 {
    env::var(name).ok().map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// The position and the hashes of a server, or of a replay of its topics.
fn shown(body: &Value) -> (String, State) {
    (body["position"].as_str().expect("a position").to_owned(), State::read(body))
}

/// The sum of what a server has counted under names that begin like this.
fn counted(server: &Server, name: &str) -> u64 {
    let text = server.anybody().get("/metrics").text;
    let counts = text.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit_once(' '));
    counts.map(|(_, count)| count.parse::<u64>().expect("a count")).sum()
}

#[test]
fn rows_are_equal_in_the_database_in_memory_and_in_a_replay_after_a_random_workload() {
    until_midnight_is_far();
    let (seed, commands) = (setting("BAHI_SEED", SEED), setting("BAHI_EQUALITY", COMMANDS));
    eprintln!("BAHI_SEED={seed} BAHI_EQUALITY={commands}");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let topics = Topics::of(folder.path());
    let role = |role: &str| topics.role(role, folder.path(), &ARGS, &NO_LIMIT);
    let [writer, other_writer, projector, venue, api] = ["writer", "writer", "projector", "venue", "api"].map(role);
    let in_memory = topics.api_in_memory(folder.path(), &ARGS, &NO_LIMIT);
    let operator = api.operator();
    list_share(&operator, SHARE);
    list_scheme(&operator);
    for account in accounts() {
        operator.post("/v1/accounts", json!({ "account": account })).must_be(201);
        let path = format!("/v1/accounts/{account}/cash/deposits");
        operator.post(&path, json!({ "amount": "1000000.00" })).must_be(201);
    }
    let accounts = accounts();
    let client = api.client("client", &accounts.iter().map(String::as_str).collect::<Vec<_>>());
    let wandered = wander(&client, &operator, seed, commands);
    assert!(wandered.sent >= commands);
    assert!(wandered.refused > 0 && wandered.refused < wandered.sent / 2, "a workload of refusals: {wandered:?}");
    // Nothing new comes once the venue is gone and what it had said is answered.
    assert!(venue.stop().success());
    let state = |server: &Server| shown(&server.auditor().get("/v1/state").body);
    let mut replay = vec!["replay", "--json"];
    replay.extend(topics.flags());
    let (position, database, memory, cold) = wait_at_most(ALL_SEEN, "all to be at the end of the topics", || {
        let (at, database) = state(&api);
        let (memory_at, memory) = state(&in_memory);
        if memory_at != at {
            return None;
        }
        let cold: Value = serde_json::from_str(&binary::run(&replay).succeeded()).expect("JSON");
        let (cold_at, cold_state) = shown(&cold);
        (cold_at == at).then_some((at, database, memory, (cold, cold_state)))
    });
    let (cold, cold_state) = cold;
    assert_eq!(database, cold_state, "PostgreSQL and a cold replay at {position}");
    assert_eq!(memory, cold_state, "the memory of an api and a cold replay at {position}");
    eprintln!(
        "{} commands and facts were sent, {} refused; {} entries of {} views are equal in PostgreSQL, in memory and in a \
         replay of the topics at {position}",
        wandered.sent,
        wandered.refused,
        cold["entries"],
        cold_state.0.len()
    );
    let token = tests::server::token(folder.path(), "auditor", &[], &[]);
    let url = api.url();
    let verify = ["verify", "--redecide", "--url", &url, "--token", &token];
    let verified = binary::run(verify.into_iter().chain(topics.flags())).succeeded();
    assert!(verified.contains("live rows equal a cold replay"), "{verified}");
    // One that starts now takes the market from the tables, and answers as one that has read all of it.
    let restarted = role("api");
    let read = |server: &Server| counted(server, "bahi_view_records_total{topic=\"bahi.market\"");
    assert!(2 * read(&restarted) < read(&in_memory), "{} of {} are read", read(&restarted), read(&in_memory));
    let mut asked = vec!["/v1/instruments".into(), "/v1/schemes".into(), "/v1/calendar?from=2026-01-01".into()];
    asked.extend([format!("/v1/instruments/{SHARE}/prices"), format!("/v1/schemes/{SCHEME}/navs")]);
    for account in accounts.iter().step_by(10) {
        asked.push(format!("/v1/accounts/{account}/portfolio"));
        asked.extend([500, 2_000, 3_500].map(|at| format!("/v1/accounts/{account}/portfolio?as_of_offset={at}")));
    }
    let answers = |server: &Server| -> Vec<_> {
        let auditor = server.auditor();
        asked
            .iter()
            .map(|path| (path, auditor.get(path)))
            .map(|(path, reply)| (path, reply.status, reply.body))
            .collect()
    };
    let (from_tables, from_memory) = (answers(&restarted), answers(&in_memory));
    assert_eq!(from_tables, from_memory);
    let good = from_tables.iter().filter(|(_, status, _)| *status == 200).count();
    assert!(good > asked.len() / 2, "{good} of {} are answered", asked.len());
    for server in [restarted, api, in_memory, projector, writer, other_writer] {
        assert!(server.stop().success());
    }
}
