//! `bahi backup`: a copy from a running server is a whole ledger of one moment, and can be checked, read and served.

use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};
use tempfile::TempDir;
use tests::{
    Server, binary,
    story::{State, Story, limit_order},
    wait_until,
};

/// More orders than are placed while a copy of a small ledger is made.
const ORDERS_MAX: u64 = 20_000;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

#[track_caller]
fn replayed(data: &str, args: &[&str]) -> State {
    let out = binary::run(["replay", "--data", data, "--json"].iter().chain(args)).succeeded();
    State::read(&serde_json::from_str(out.trim()).expect("a line of JSON"))
}

/// The offset of the last entry in a ledger.
#[track_caller]
fn last_offset(data: &str) -> u64 {
    let out = binary::run(["tail", "--data", data, "--account", "ACC1", "--last", "1", "--json"]).succeeded();
    let line: Value = serde_json::from_str(out.trim()).expect("a line of JSON");
    line["offset"].as_u64().expect("an offset")
}

#[test]
fn a_copy_made_while_entries_are_written_is_the_ledger_of_one_moment_and_goes_on_from_there() {
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "10000000.00");
    let (written, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let kept = folder();
    let copy = kept.path().join("ledger.db");
    thread::scope(|scope| {
        scope.spawn(|| {
            // Bounded, so that a failure beside it ends the test.
            while !stop.load(Ordering::Relaxed) && written.load(Ordering::Relaxed) < ORDERS_MAX {
                client.post("/v1/accounts/ACC1/orders", limit_order("buy", 1, "99.00")).must_be(201);
                written.fetch_add(1, Ordering::Relaxed);
            }
        });
        let reach = |count: u64| wait_until("orders", || (written.load(Ordering::Relaxed) >= count).then_some(()));
        reach(100);
        let said = binary::run(["backup", "--data", story.data(), "--out", text(&copy)]);
        // Whatever became of the copy, the writing ends.
        let after = written.load(Ordering::Relaxed);
        if said.code == Some(0) {
            reach(after + 20);
        }
        stop.store(true, Ordering::Relaxed);
        assert!(said.succeeded().contains("bytes"));
    });
    assert_eq!(fs::read_dir(kept.path()).expect("a folder").count(), 1, "nothing but the copy is left");

    // The file is read as it is.
    binary::run(["verify", "--data", text(&copy), "--redecide"]).succeeded();
    let offset = last_offset(text(&copy));
    assert!(offset > 100 && offset < last_offset(story.data()), "a moment within the writing: {offset}");

    // And restored by putting it into a folder.
    let restored = folder();
    fs::copy(&copy, restored.path().join("bahi.db")).expect("a file can be copied");
    let restored_data = text(restored.path());
    binary::run(["verify", "--data", restored_data, "--redecide"]).succeeded();
    let until = ["--until", &offset.to_string()];
    assert_eq!(replayed(restored_data, &[]), replayed(story.data(), &until));
    assert_eq!(replayed(restored_data, &until), replayed(story.data(), &until));
    let server = Server::start(restored.path());
    let client = server.client("client", &["ACC1"]);
    client.post("/v1/accounts/ACC1/orders", limit_order("buy", 1, "99.00")).must_be(201);
    assert!(last_offset(restored_data) > offset);
    assert!(server.verify().contains("clean"));
    assert!(server.stop().success());
    story.server.verify();
}

#[test]
fn a_copy_takes_no_others_place_and_leaves_nothing_when_it_fails() {
    let story = Story::begin();
    let kept = folder();
    let copy = kept.path().join("ledger.db");
    fs::write(&copy, "what was there before").expect("a file can be written");
    let said = binary::run(["backup", "--data", story.data(), "--out", text(&copy)]).failed();
    assert!(said.contains("there is such a file already"), "{said}");
    assert_eq!(fs::read_to_string(&copy).expect("it is still there"), "what was there before");
    let nowhere = kept.path().join("no/such/folder/ledger.db");
    binary::run(["backup", "--data", story.data(), "--out", text(&nowhere)]).failed();
    binary::run(["backup", "--data", text(kept.path()), "--out", text(&kept.path().join("b.db"))]).failed();
    assert_eq!(fs::read_dir(kept.path()).expect("a folder").count(), 1, "nothing is left behind");
}

#[test]
fn a_copy_is_served_from_a_folder_only_and_that_is_said() {
    let story = Story::begin();
    story.operator.post("/v1/accounts", json!({ "account": "ACC1" })).must_be(201);
    let kept = folder();
    let copy = kept.path().join("ledger.db");
    binary::run(["backup", "--data", story.data(), "--out", text(&copy)]).succeeded();
    let said = binary::run(["serve", "--data", text(&copy), "--listen", "127.0.0.1:0"]).failed();
    assert!(said.contains("copy it to bahi.db"), "{said}");
    let again = kept.path().join("again.db");
    binary::run(["backup", "--data", text(&copy), "--out", text(&again)]).succeeded();
    assert_eq!(replayed(text(&again), &[]), story.state());
}
