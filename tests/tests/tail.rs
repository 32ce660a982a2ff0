//! `bahi tail`: entries in words, the last ones and those that come, beside a running server.

use event_log::partition_of;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};
use tests::{
    binary, cluster,
    story::{SCHEME, SHARE, Story, limit_order, moment},
    wait_until,
};

/// The longest wait for a line that must come.
const LINE_LIMIT: Duration = Duration::from_secs(30);

/// The words that read the log of a story.
fn tail_of<'a>(story: &'a Story, args: &[&'a str]) -> Vec<&'a str> {
    ["tail"].into_iter().chain(story.server.log()).chain(args.iter().copied()).collect()
}

fn tail(story: &Story, args: &[&str]) -> Vec<String> {
    binary::run(tail_of(story, args)).succeeded().lines().map(str::to_owned).collect()
}

/// A following tail and its lines as they come.
#[track_caller]
fn following(story: &Story, args: &[&str]) -> (Child, Receiver<String>) {
    let mut command = binary::command(tail_of(story, &[&["--follow"][..], args].concat()));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bahi can be started");
    let out = child.stdout.take().expect("it is piped");
    let (lines, seen) = channel();
    thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            // Who no longer listens has seen enough; then the pipe is closed here.
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    (child, seen)
}

#[track_caller]
fn line_with(seen: &Receiver<String>, words: &str) -> String {
    loop {
        let line = seen.recv_timeout(LINE_LIMIT).unwrap_or_else(|why| panic!("no line with {words}: {why}"));
        if line.contains(words) {
            return line;
        }
    }
}

#[track_caller]
fn ended(mut child: Child) -> Option<i32> {
    wait_until("tail to end", || child.try_wait().expect("a child can be asked")).code()
}

#[test]
fn the_last_entries_are_told_in_words_with_what_was_asked_and_what_came_of_it() {
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "100000.00");
    client.post("/v1/accounts/ACC1/orders", limit_order("buy", 10, "99.50")).must_be(201);
    client.post("/v1/accounts/ACC1/orders", limit_order("buy", 1001, "100.00")).must_be(422);
    let fill = json!({
        "account": "ACC1", "order_id": "ACC1-3", "trade_id": "T1", "quantity": 4, "price": "99.00", "executed_at": moment(0)
    });
    story.venue.post("/v1/venue/fills", fill).must_be(201);
    let purchase = json!({ "scheme": SCHEME, "amount": "5000.00", "folio": null });
    client.post("/v1/accounts/ACC1/fund-purchases", purchase).must_be(201);

    let lines = tail(&story, &["--account", "ACC1", "--last", "100"]);
    let said = lines.join("\n");
    for words in [
        "ACC1/1 open_account accepted: account opened",
        "ACC1/2 deposit_cash accepted: 100000.00 deposited",
        &format!("ACC1/3 place_order accepted: order ACC1-3 buy 10 {SHARE} limit 99.50 CNC, 995.00 blocked"),
        &format!(
            "ACC1/4 place_order buy 1001 {SHARE} limit 100.00 CNC refused: insufficient_cash (available 99005.00, needed 100100.00, short 1095.00)"
        ),
        &format!("order ACC1-3 bought 4 {SHARE} at 99.00 for 396.00 CNC, trade T1"),
        "6 pending",
        "fund order ACC1-6 purchase of 5000.00 in scheme 119551, a new folio, 5000.00 blocked",
    ] {
        assert!(said.contains(words), "{words:?} is not in:\n{said}");
    }
    let is_date = |line: &String| line.len() == 10 && line.matches('-').count() == 2;
    assert!(is_date(&lines[0]), "a date stands before the first line: {lines:#?}");
    let entries: Vec<&String> = lines.iter().filter(|line| !is_date(line)).collect();
    assert!(entries.iter().all(|line| line.as_bytes().get(2) == Some(&b':')), "each begins with its time: {lines:#?}");
    assert!(!said.contains("NSE:STORY/"), "an account's tail holds no market entries:\n{said}");
}

#[test]
fn without_an_account_facts_are_told_too_and_ten_entries_unless_asked() {
    let story = Story::with_a_market();
    story.investor("ACC1", "1.00");
    let some = tail(&story, &[]);
    assert_eq!(some.iter().filter(|line| line.contains(':')).count(), 10, "{some:#?}");
    let all = tail(&story, &["--last", "100000"]).join("\n");
    for words in
        ["NSE:STORY/1 list_instrument accepted: NSE:STORY listed in series EQ", "scheme 119551 NAV 50.0000", "ACC1/2"]
    {
        assert!(all.contains(words), "{words:?} is not in:\n{all}");
    }
    assert!(tail(&story, &["--last", "0"]).is_empty());
}

#[test]
fn json_lines_hold_the_entries_as_they_are_stored_from_an_offset_on() {
    let story = Story::begin();
    let client = story.investor("ACC1", "10.00");
    let stored = client.get("/v1/accounts/ACC1/events");
    let lines: Vec<Value> = tail(&story, &["--account", "ACC1", "--from", "0", "--json"])
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}")))
        .collect();
    assert_eq!(lines.len(), stored.rows().len());
    // A folder has one partition.
    let partitions = if cluster::is_wanted() { cluster::PARTITIONS as u32 } else { 1 };
    let own = u64::from(partition_of("ACC1", partitions));
    for (line, item) in lines.iter().zip(stored.rows()) {
        assert_eq!((&line["offset"], &line["entry"]), (&item["offset"], &item["entry"]));
        assert_eq!((line["topic"].as_str(), line["partition"].as_u64()), (Some("bahi.ledger"), Some(own)));
    }
    let second = stored.rows()[1]["offset"].to_string();
    assert_eq!(tail(&story, &["--account", "ACC1", "--from", &second, "--json"]).len(), 1);
    let nobody = binary::run(tail_of(&story, &["--account", "NOBODY"]));
    assert_eq!(nobody.failed(), "bahi: NOBODY: no such account in this ledger\n");
}

#[test]
fn a_follower_tells_what_comes_and_ends_well_when_it_is_interrupted() {
    let story = Story::begin();
    story.investor("ACC1", "10.00");
    let (child, seen) = following(&story, &["--account", "ACC1"]);
    line_with(&seen, "10.00 deposited");
    story.operator.post("/v1/accounts/ACC1/cash/deposits", json!({ "amount": "33.00" })).must_be(201);
    let line = line_with(&seen, "33.00 deposited");
    assert!(line.contains("ACC1/3 deposit_cash accepted"), "{line}");
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill can be started");
    assert!(sent.success());
    assert_eq!(ended(child), Some(0));
}

#[test]
fn a_follower_whose_reader_is_gone_ends_without_waiting_for_another_entry() {
    let story = Story::begin();
    story.investor("ACC1", "10.00");
    let mut command = binary::command(tail_of(&story, &["--follow"]));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bahi can be started");
    let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a line");
    drop(out);
    assert_eq!(ended(child), Some(0));
}
