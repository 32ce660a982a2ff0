//! A full disk: new commands are refused with 503 and nothing of them is applied, reads go on, and space makes it go on.

use serde_json::json;
use std::{fs, path::Path, process::Command};
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

/// Deposits of a rupee until one is answered 503: how many were taken, and that answer with its key.
fn fill(operator: &Client) -> (u64, String, Reply) {
    for n in 0..DEPOSITS_MAX {
        let key = format!("fill-{n}");
        let reply = deposit(operator, &key);
        match reply.status {
            201 => {}
            503 => return (n as u64, key, reply),
            status => panic!("answered {status}: {}", reply.text),
        }
    }
    panic!("{DEPOSITS_MAX} deposits fit where they should not");
}

/// A disk of a size that can be changed while a server uses it; gone when it is dropped.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// `None` where this user may not mount one.
    fn of(bytes: u64) -> Option<Disk> {
        let folder = tempfile::tempdir().expect("a folder can be made");
        mount(folder.path(), &format!("size={bytes}")).then_some(Disk { folder })
    }
    fn resize(&self, bytes: u64) {
        assert!(mount(self.folder.path(), &format!("remount,size={bytes}")), "the disk cannot be resized");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "the disk cannot be taken away");
    }
}

fn mount(folder: &Path, options: &str) -> bool {
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder).output();
    mounted.is_ok_and(|output| output.status.success())
}

#[test]
fn a_running_server_on_a_full_disk_goes_on_by_itself_once_there_is_space() {
    const SMALL_BYTES: u64 = 2 << 20;
    const LARGE_BYTES: u64 = 64 << 20;
    let Some(disk) = Disk::of(SMALL_BYTES) else {
        eprintln!("skipped: this user may not mount a small disk");
        return;
    };
    let server = Server::start(disk.folder.path());
    let operator = server.operator();
    operator.post("/v1/accounts", json!({ "account": "ACC1" })).must_be(201);
    let (rupees, key, _) = fill(&operator);
    assert_eq!(deposit(&operator, &key).status, 503, "full stays full");
    let auditor = server.auditor();
    let settled = || auditor.get("/v1/accounts/ACC1/cash").text_at("/settled").to_owned();
    assert_eq!(settled(), format!("{rupees}.00"), "reads go on, and hold what was acknowledged");

    disk.resize(LARGE_BYTES);
    let again = wait_until("the refused deposit to be taken", || {
        let reply = deposit(&operator, &key);
        (reply.status != 503).then_some(reply)
    });
    assert_eq!(again.must_be(201).header("idempotency-replayed"), None, "nothing of it was kept before");
    let expected = format!("{}.00", rupees + 1);
    wait_until("the deposit in the account", || (settled() == expected).then_some(()));
    server.verify();
    assert!(server.stop().success());
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

    let (filled, key, reply) = fill(&operator);
    let rupees = filled + 1;
    let wait: u64 = reply.header("retry-after").expect("Retry-After").parse().expect("whole seconds");
    assert!(wait >= 1, "{wait}");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    assert!(reply.body["code"].is_string(), "{}", reply.text);

    let auditor = server.auditor();
    let cash = || auditor.get("/v1/accounts/ACC1/cash").text_at("/settled").to_owned();
    assert_eq!(cash(), format!("{rupees}.00"), "reads go on, and hold what was acknowledged");
    assert_eq!(deposit(&operator, &key).status, 503, "full stays full");
    let state = State::of(&auditor.get("/v1/state"));
    server.verify();
    server.kill_9();

    let mut server = Server::start_with(folder.path(), &["--calendar", "always-open"], &[(LIMIT, &limit)]);
    assert_eq!(State::of(&server.auditor().get("/v1/state")), state, "a ledger on a full disk can be read again");
    assert_eq!(deposit(&server.operator(), &key).status, 503);
    server.kill_9();

    let server = Server::start_with(folder.path(), &["--calendar", "always-open"], &[]);
    assert_eq!(State::of(&server.auditor().get("/v1/state")), state, "nothing of the refused commands was kept");
    let operator = server.operator();
    let again = deposit(&operator, &key).must_be(201);
    assert_eq!(again.header("idempotency-replayed"), None, "the key of a command that was not taken is free");
    let auditor = server.auditor();
    let expected = format!("{}.00", rupees + 1);
    wait_until("the deposit that was refused before", || {
        (auditor.get("/v1/accounts/ACC1/cash").text_at("/settled") == expected).then_some(())
    });
    server.verify();
}
