//! The command line teaches, does what it prints, and refuses with one clear line.

use serde_json::json;
use std::{
    env, fs,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
};
use tempfile::TempDir;
use tests::{
    Client, Server,
    binary::{self, Ran},
    server::token,
    story::{State, Story, list_share},
    wait_until,
};

const SUBCOMMANDS: [&str; 19] = [
    "serve",
    "demo",
    "api",
    "writer",
    "projector",
    "venue",
    "migrate",
    "rebuild",
    "token",
    "show",
    "tail",
    "verify",
    "replay",
    "export",
    "import",
    "backup",
    "topics",
    "bench",
    "check-config",
];

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// A failure that says why in one line of its own, and what to do after it at most.
#[track_caller]
fn one_clear_line(ran: Ran, words: &str) {
    let said = ran.failed();
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("bahi:")).collect();
    assert_eq!(lines.len(), 1, "one line says why:\n{said}");
    assert!(lines[0].contains(words), "should say {words:?}:\n{said}");
}

#[test]
fn help_teaches_every_subcommand_with_an_example() {
    let all = binary::run(["--help"]).succeeded();
    for subcommand in SUBCOMMANDS {
        assert!(all.contains(subcommand), "--help does not name {subcommand}");
        let help = binary::run([subcommand, "--help"]).succeeded();
        assert!(help.contains(&format!("bahi {subcommand} ")), "no example in:\n{help}");
        let described = help.lines().next().unwrap_or_default();
        assert!(described.len() > 20, "does not open with what it does:\n{help}");
    }
    assert!(binary::run(["--version"]).succeeded().starts_with("bahi "));
}

#[test]
fn a_wrong_word_is_answered_with_what_would_be_right() {
    assert!(binary::run(["serv"]).failed().contains("serve"));
    assert!(binary::run(["token", "--role", "king", "--data", "x"]).failed().contains("auditor"));
    assert!(
        binary::run(["serve", "--data", text(folder().path()), "--calendar", "lunar"]).failed().contains("always-open")
    );
    assert!(binary::run(["serve"]).failed().contains("--data"));
}

#[test]
fn the_demo_prints_an_address_tokens_and_three_curl_lines_that_work_as_printed() {
    let folder = folder();
    let data = folder.path().join("demo");
    let mut command = binary::command(["demo", "--seed", "7", "--listen", "127.0.0.1:0", "--data"]);
    let server = Server::spawn(command.arg(&data), data.clone());
    let lines = wait_until("three curl lines", || {
        let printed = server.printed();
        let curls = curl_commands(&printed);
        (curls.len() >= 3).then_some((printed, curls))
    });
    let (printed, curls) = lines;
    for role in ["client", "operator", "auditor", "venue"] {
        assert!(printed.iter().any(|line| line.contains(role)), "no {role} token in:\n{}", printed.join("\n"));
    }
    assert_eq!(curls.len(), 3, "{curls:#?}");
    for curl in &curls {
        let script = format!("{} --silent --show-error --write-out '\\n%{{http_code}}'", curl);
        let mut shell = Command::new("bash");
        shell.args(["-c", &script]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let out = binary::finish(&mut shell).succeeded();
        let status = out.lines().last().unwrap_or_default();
        assert!(["200", "201"].contains(&status), "{curl}\nwas answered:\n{out}");
    }
    // There is something to see: accounts with holdings, and prices that move.
    let auditor = server.client("auditor", &[]);
    let prices = || auditor.get("/v1/instruments").text;
    let before = prices();
    wait_until("a price to move", || (prices() != before).then_some(()));
    let status = server.stop();
    assert!(status.success(), "{status}");
    binary::run(["verify", "--data", text(&data), "--redecide"]).succeeded();
}

/// The curl commands among the lines; one that ends in a backslash goes on in the next line.
fn curl_commands(lines: &[String]) -> Vec<String> {
    let joined = lines.join("\n").replace("\\\n", " ");
    joined.lines().map(str::trim).filter(|line| line.starts_with("curl ")).map(str::to_owned).collect()
}

#[test]
fn the_first_order_of_the_readme_works_as_written() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(readme).expect("the README can be read");
    let written = readme
        .split("```sh\n")
        .find_map(|block| block.split_once("```")?.0.contains("my-first-order").then_some(block));
    let script = written.and_then(|block| block.split("```").next()).expect("the README places a first order");
    // A free port instead of the usual one, which somebody may be using.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    assert!(script.contains("bahi serve --data ./ledger "));
    let script = script
        .replace("bahi serve ", &format!("bahi serve --listen {free} "))
        .replace("127.0.0.1:7070", &free.to_string());
    let folder = folder();
    let path = env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("bash");
    shell
        // Whatever happens, the server that the script starts ends with it.
        .args(["-c", &format!("set -eu; trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}wait\n")])
        .env("PATH", format!("{}:{path}", text(&binary::profile_folder())))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let ran = binary::finish(&mut shell);
    let said = format!("{}{}", ran.out, ran.err);
    assert_eq!(ran.code, Some(0), "{said}");
    for seen in ["\"order_id\":\"ACC1-3\"", "NSE:TEA", "order_filled", "clean"] {
        assert!(said.contains(seen), "the README's lines do not show {seen}:\n{said}");
    }
}

#[test]
fn the_demo_listens_on_this_machine_only() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7070"] {
        one_clear_line(
            binary::run(["demo", "--data", text(folder().path()), "--listen", address]),
            "this machine only",
        );
    }
}

#[test]
fn check_config_says_what_is_set_and_from_where_and_what_is_wrong() {
    let folder = folder();
    let file = folder.path().join("bahi.toml");
    fs::write(&file, "queue = 77\n").expect("a file can be written");
    let mut good = binary::command(["check-config", "--data", "ledger", "--config", text(&file)]);
    let said = binary::finish(good.env("BAHI_LISTEN", "127.0.0.1:1").stdout(Stdio::piped()).stderr(Stdio::piped()))
        .succeeded();
    for part in ["queue", "77", "bahi.toml", "BAHI_LISTEN", "127.0.0.1:1", "flag", "default"] {
        assert!(said.contains(part), "does not say {part}:\n{said}");
    }
    fs::write(&file, "queue = 0\ncolour = \"red\"\n").expect("a file can be written");
    let ran = binary::run(["check-config", "--data", "ledger", "--config", text(&file)]);
    assert_ne!(ran.code, Some(0));
    let said = ran.out + &ran.err;
    assert!(said.contains("queue") && said.contains("colour"), "every problem at once:\n{said}");
}

#[test]
fn a_second_server_on_the_same_folder_is_refused_and_the_first_goes_on() {
    let story = Story::begin();
    one_clear_line(binary::run(["serve", "--data", story.data(), "--listen", "127.0.0.1:0"]), "another process");
    story.operator.post("/v1/accounts", json!({ "account": "ACC1" })).must_be(201);
    let busy = story.server.address().to_string();
    one_clear_line(binary::run(["serve", "--data", text(folder().path()), "--listen", &busy]), "listen");
}

#[test]
fn a_folder_without_a_ledger_is_refused_by_what_only_reads() {
    let folder = folder();
    let empty = text(folder.path());
    for args in [
        vec!["verify", "--data", empty],
        vec!["replay", "--data", empty],
        vec!["tail", "--data", empty],
        vec!["show", "ACC1", "--data", empty],
        vec!["backup", "--data", empty, "--out", "backup.db"],
        vec!["verify", "--data", "no/such/folder"],
    ] {
        one_clear_line(binary::run(&args), "bahi serve");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0, "reading makes no files");
}

/// A stopped ledger with a few entries, in one file.
#[track_caller]
fn stopped_ledger() -> TempDir {
    let folder = folder();
    let server = Server::start(folder.path());
    let operator = server.operator();
    for account in 0..50 {
        operator.post("/v1/accounts", json!({ "account": format!("ACC{account}") })).must_be(201);
    }
    assert!(server.stop().success());
    folder
}

#[test]
fn a_foreign_a_newer_and_a_torn_file_are_each_refused_with_one_clear_line() {
    let refuse = |folder: &TempDir, words: &str| {
        let data = text(folder.path());
        one_clear_line(binary::run(["serve", "--data", data, "--listen", "127.0.0.1:0"]), words);
        one_clear_line(binary::run(["verify", "--data", data]), words);
    };
    let foreign = folder();
    fs::write(foreign.path().join("bahi.db"), "these are not the bytes of a ledger".repeat(100)).expect("written");
    refuse(&foreign, "not a Bahi log");

    let newer = stopped_ledger();
    let file = newer.path().join("bahi.db");
    let mut bytes = fs::read(&file).expect("a ledger");
    // SQLite keeps the user version, by which a later release is known, at byte 60 of its header.
    bytes[60..64].copy_from_slice(&999_i32.to_be_bytes());
    fs::write(&file, bytes).expect("written");
    refuse(&newer, "later release");

    let torn = stopped_ledger();
    let file = torn.path().join("bahi.db");
    let bytes = fs::read(&file).expect("a ledger");
    fs::write(&file, &bytes[..bytes.len() / 2]).expect("written");
    refuse(&torn, "damaged");
}

#[test]
fn verify_finds_an_entry_that_was_changed_in_the_file() {
    let ledger = stopped_ledger();
    let file = ledger.path().join("bahi.db");
    let mut bytes = fs::read(&file).expect("a ledger");
    let wanted = b"\"account\":\"ACC33\"";
    let places: Vec<usize> =
        bytes.windows(wanted.len()).enumerate().filter(|(_, seen)| seen == wanted).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "an entry names its account");
    for at in places {
        bytes[at + wanted.len() - 2] = b'4';
    }
    fs::write(&file, bytes).expect("written");
    binary::run(["verify", "--data", text(ledger.path())]).failed();
}

#[test]
fn corrupt_lines_of_a_tradebook_are_reported_by_number_and_the_rest_is_imported() {
    let story = Story::begin();
    list_share(&story.operator, "NSE:STORY");
    let client = story.investor("ACC1", "1.00");
    let file = story.server.data().join("tradebook.csv");
    fs::write(&file, CORRUPT).expect("a file can be written");
    let token = story.operator.token().expect("a token").to_owned();
    let ran = binary::run([
        "import",
        "tradebook",
        text(&file),
        "--account",
        "ACC1",
        "--url",
        &story.server.url(),
        "--token",
        &token,
    ]);
    let said = format!("{}{}", ran.out, ran.err);
    for (line, why) in
        [(3, "quantity"), (4, "quantity"), (5, "price"), (6, "trade_date"), (7, "too short"), (8, "trade_type")]
    {
        let reported = said.lines().any(|said| said.contains(&format!("line {line},")) && said.contains(why));
        assert!(reported, "line {line} is not reported with {why:?}:\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    let held = wait_until("the good rows", || {
        let holdings = client.get("/v1/accounts/ACC1/holdings");
        let held: i64 = holdings.rows().iter().filter_map(|row| row["quantity"].as_i64()).sum();
        (held > 0).then_some(held)
    });
    assert_eq!(held, 15, "the first and the last line");
}

const CORRUPT: &str = "\
symbol,isin,trade_date,exchange,segment,series,trade_type,auction,quantity,price,trade_id,order_id,order_execution_time
STORY,INE002A01018,2024-01-10,NSE,EQ,EQ,buy,false,10,80.00,6001,1,2024-01-10T10:15:30
STORY,INE002A01018,2024-01-11,NSE,EQ,EQ,buy,false,ten,80.00,6002,2,2024-01-11T10:15:30
STORY,INE002A01018,2024-01-12,NSE,EQ,EQ,buy,false,1.5,80.00,6003,3,2024-01-12T10:15:30
STORY,INE002A01018,2024-01-15,NSE,EQ,EQ,buy,false,1,1e2,6004,4,2024-01-15T10:15:30
STORY,INE002A01018,2024-13-45,NSE,EQ,EQ,buy,false,1,80.00,6005,5,2024-01-16T10:15:30
STORY,INE002A01018,2024-01-17
STORY,INE002A01018,2024-01-18,NSE,EQ,EQ,gift,false,1,80.00,6007,7,2024-01-18T10:15:30
STORY,INE002A01018,2024-01-19,NSE,EQ,EQ,buy,false,5,81.00,6008,8,2024-01-19T10:15:30
";

#[test]
fn a_token_is_the_last_line_and_the_key_is_nobody_elses_to_read() {
    let story = Story::begin();
    let made = token(story.data().as_ref(), "client", &["ACC1", "ACC2"], &["--ttl", "1h"]);
    assert_eq!(made.split('.').count(), 3, "{made}");
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(story.server.data().join("token.key")).expect("a key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let too_long = binary::run(["token", "--data", story.data(), "--role", "auditor", "--ttl", "13h"]);
    assert!(too_long.failed().contains("12"), "12 hours is the longest");
    let of_nobody = binary::run(["token", "--data", story.data(), "--role", "client"]);
    assert!(of_nobody.failed().contains("at least one account"));
}

#[test]
fn replay_can_stop_at_an_offset_and_tell_one_account() {
    let story = Story::begin();
    story.investor("ACC1", "10.00");
    story.investor("ACC2", "20.00");
    let state = |args: &[&str]| {
        let all: Vec<&str> = ["replay", "--data", story.data(), "--json"].iter().chain(args).copied().collect();
        let out = binary::run(all).succeeded();
        State::read(&serde_json::from_str(out.lines().last().unwrap_or_default()).expect("a line of JSON"))
    };
    assert_eq!(state(&[]), story.state());
    assert_ne!(state(&["--until", "1"]), story.state());
    let people = binary::run(["replay", "--data", story.data(), "--account", "ACC1"]).succeeded();
    assert!(people.contains("entries"), "{people}");
}

#[test]
fn bench_without_a_name_lists_what_there_is() {
    let list = binary::run(["bench"]);
    let said = list.out + &list.err;
    for name in ["log", "orders", "replay", "query", "soak"] {
        assert!(said.contains(name), "does not list {name}:\n{said}");
    }
}

#[test]
fn health_readiness_and_metrics_need_no_token() {
    let story = Story::begin();
    let anybody: Client = story.server.anybody();
    anybody.get("/healthz");
    anybody.get("/readyz");
    let metrics = anybody.get("/metrics").text;
    assert!(metrics.lines().any(|line| line.starts_with("# TYPE ")), "Prometheus text:\n{metrics}");
}
