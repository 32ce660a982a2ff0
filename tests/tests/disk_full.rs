//! A full disk: new commands are refused with 503 and nothing of them is applied, reads go on, and space makes it go on.

use serde_json::json;
use std::fs;
use tests::{Client, Reply, Server, story::State, wait_until};

/// Free space above what an empty ledger has: room for some tens of entries.
const ROOM_BYTES: u64 = 256 * 1024;

/// The most deposits that may be needed to fill that room.
const DEPOSITS_MAX: usize = 20_000;

/// The variable that limits the log, as a disk of that size would.
const LIMIT: &str = "BAHI_LOG_MAX_BYTES";

fn deposit(operator: &Client, key: &str) -> Reply {
    operator.post_as(key, "/v1/accounts/ACC1/cash/deposits", json!({ "amount": "1.00" }))
}

#[test]
fn a_full_disk_is_a_503_that_leaves_nothing_behind_and_space_makes_it_go_on() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let server = Server::start(folder.path());
    let operator = server.operator();
    operator.post("/v1/accounts", json!({ "account": "ACC1" })).must_be(201);
    deposit(&operator, "first").must_be(201);
    assert!(server.stop().success());
    let files = fs::read_dir(folder.path()).expect("a folder can be listed");
    let used: u64 = files.map(|file| file.expect("an entry").metadata().expect("a size").len()).sum();
    let limit = (used + ROOM_BYTES).to_string();
    let mut server = Server::start_with(folder.path(), &["--calendar", "always-open"], &[(LIMIT, &limit)]);
    let operator = server.operator();

    let (mut rupees, mut refused) = (1_u64, None);
    for n in 0..DEPOSITS_MAX {
        let reply = deposit(&operator, &format!("fill-{n}"));
        match reply.status {
            201 => rupees += 1,
            503 => {
                refused = Some((n, reply));
                break;
            }
            status => panic!("answered {status}: {}", reply.text),
        }
    }
    let (n, reply) = refused.expect("the log fills up within the limit");
    let wait: u64 = reply.header("retry-after").expect("Retry-After").parse().expect("whole seconds");
    assert!(wait >= 1, "{wait}");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    assert!(reply.body["code"].is_string(), "{}", reply.text);

    let auditor = server.auditor();
    let cash = || auditor.get("/v1/accounts/ACC1/cash").text_at("/settled").to_owned();
    assert_eq!(cash(), format!("{rupees}.00"), "reads go on, and hold what was acknowledged");
    assert_eq!(deposit(&operator, &format!("fill-{n}")).status, 503, "full stays full");
    let state = State::of(&auditor.get("/v1/state"));
    server.verify();
    server.kill_9();

    let mut server = Server::start_with(folder.path(), &["--calendar", "always-open"], &[(LIMIT, &limit)]);
    assert_eq!(State::of(&server.auditor().get("/v1/state")), state, "a ledger on a full disk can be read again");
    assert_eq!(deposit(&server.operator(), &format!("fill-{n}")).status, 503);
    server.kill_9();

    let server = Server::start_with(folder.path(), &["--calendar", "always-open"], &[]);
    assert_eq!(State::of(&server.auditor().get("/v1/state")), state, "nothing of the refused commands was kept");
    let operator = server.operator();
    let again = deposit(&operator, &format!("fill-{n}")).must_be(201);
    assert_eq!(again.header("idempotency-replayed"), None, "the key of a command that was not taken is free");
    let auditor = server.auditor();
    let expected = format!("{}.00", rupees + 1);
    wait_until("the deposit that was refused before", || {
        (auditor.get("/v1/accounts/ACC1/cash").text_at("/settled") == expected).then_some(())
    });
    server.verify();
}
