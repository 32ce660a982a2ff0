//! The data folder of each release is opened by this one: clean, with the same state, and written on.

use domain::event::EventData;
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::PathBuf};
use tempfile::TempDir;
use tests::{
    Server, binary,
    story::{State, limit_order},
};

/// A release's folder: its version, a copy of its log in a data folder, and what is kept beside it.
struct Kept {
    version: String,
    copy: TempDir,
    state: Value,
    policy: PathBuf,
}

impl Kept {
    fn data(&self) -> &str {
        self.copy.path().to_str().expect("a UTF-8 path")
    }
}

#[track_caller]
fn kept() -> Vec<Kept> {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let entries = fs::read_dir(fixtures).expect("there is a folder of fixtures");
    let folders = entries.map(|entry| entry.expect("an entry can be read").path()).filter(|path| path.is_dir());
    let kept: Vec<Kept> = folders
        .map(|folder| {
            let copy = tempfile::tempdir().expect("a folder can be made");
            for file in ["bahi.db", "snapshots.db"] {
                fs::copy(folder.join(file), copy.path().join(file)).expect("a log and its snapshots are kept");
            }
            let state = fs::read_to_string(folder.join("state.json")).expect("its state is kept");
            let version = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let state = serde_json::from_str(&state).expect("JSON");
            Kept { version, copy, state, policy: folder.join("policy.csv") }
        })
        .collect();
    assert!(!kept.is_empty(), "a folder is kept");
    kept
}

#[test]
fn the_folder_of_every_release_is_clean_and_every_decision_can_be_made_again() {
    for kept in kept() {
        let policy = kept.policy.to_str().expect("a UTF-8 path");
        let said = binary::run(["verify", "--data", kept.data(), "--redecide", "--policy", policy]).succeeded();
        assert!(said.contains("clean"), "{}: {said}", kept.version);
    }
}

#[test]
fn the_folder_of_every_release_is_folded_to_the_state_it_had() {
    for kept in kept() {
        let out = binary::run(["replay", "--data", kept.data(), "--json"]).succeeded();
        let replayed: Value = serde_json::from_str(out.trim()).expect("a line of JSON");
        assert_eq!(replayed["entries"], kept.state["entries"], "{}", kept.version);
        assert_eq!(State::read(&replayed), State::read(&kept.state), "{}", kept.version);
    }
}

#[test]
fn the_folder_of_this_release_holds_every_event_that_can_be_recorded() {
    let mut kept = kept();
    kept.retain(|kept| kept.version == env!("CARGO_PKG_VERSION"));
    let lines = binary::run(["tail", "--data", kept[0].data(), "--from", "0", "--json"]).succeeded();
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let events = rows.iter().filter_map(|row| row["entry"]["events"].as_array()).flatten();
    let held: BTreeSet<&str> = events.filter_map(|event| event["type"].as_str()).collect();
    let absent: Vec<&str> =
        EventData::TYPES.iter().map(|(name, _)| *name).filter(|name| !held.contains(name)).collect();
    assert_eq!(absent, [""; 0], "`make fixture` records no such event");
}

#[test]
fn the_folder_of_every_release_is_served_and_written_on() {
    for kept in kept() {
        let server = Server::start(kept.copy.path());
        let client = server.client("client", &["ACC1"]);
        let before = client.get("/v1/accounts/ACC1/orders").rows().len();
        client.post("/v1/accounts/ACC1/orders", limit_order("buy", 1, "100.00")).must_be(201);
        assert_eq!(client.get("/v1/accounts/ACC1/orders").rows().len(), before + 1, "{}", kept.version);
        assert!(server.stop().success());
        binary::run(["verify", "--data", kept.data()]).succeeded();
    }
}
