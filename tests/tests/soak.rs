//! A soak in small: days of a ledger, a start from its snapshot, a key of the first day, more days, and a clean ledger.

use serde_json::Value;
use std::{process::Stdio, time::Duration};
use tests::binary;

/// One part in so many of the whole: some thousand entries.
const SCALE: &str = "2000";
/// Thirty days pass, each in well under a second, on a machine that does other things.
const LIMIT: Duration = Duration::from_secs(240);

#[test]
fn a_ledger_of_many_days_starts_from_its_snapshot_and_answers_a_key_of_the_first_day() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder can be made");
    let folder = folder.path().to_str().expect("its name is text");
    let mut soak = binary::command(["bench", "soak", "--scale", SCALE, "--json", "--dir", folder]);
    let ran = binary::finish_within(LIMIT, soak.stdout(Stdio::piped()).stderr(Stdio::piped())).succeeded();
    let line: Value = serde_json::from_str(&ran).expect("it is one line of JSON");
    assert_eq!((&line["bench"], &line["verify"]), (&"soak".into(), &"clean".into()));
    let samples = line["memory"]["samples"].as_array().expect("memory was looked at");
    assert_eq!(samples.last().expect("at the end at least")[1], 1_000);
    let bytes = |name: &str| line["memory"][name].as_u64().expect("a number");
    assert!(bytes("ready_bytes") > 0 && bytes("ready_bytes") <= bytes("ready_peak_bytes"), "{line}");
    assert!(bytes("ready_peak_bytes") <= bytes("peak_bytes"), "{line}");
}
