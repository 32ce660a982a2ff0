//! `bahi import` into a folder: once whatever it is told twice, with each bad line by its number, and a bar to watch.

use serde_json::Value;
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;
use tests::binary;

struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().expect("a folder can be made"))
    }
    fn ledger(&self) -> PathBuf {
        self.0.path().join("ledger")
    }
    #[track_caller]
    fn write(&self, name: &str, content: &str) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, content).expect("a file can be written");
        text(&path).to_owned()
    }
    /// What an import says, which succeeds.
    #[track_caller]
    fn import(&self, kind: &str, file: &str, more: &[&str]) -> String {
        let ledger = self.ledger();
        let words = ["import", kind, file, "--data", text(&ledger)].into_iter();
        binary::run(words.chain(more.iter().copied())).succeeded()
    }
    /// The state, and how many entries there are.
    #[track_caller]
    fn state(&self) -> Value {
        let ledger = self.ledger();
        binary::run(["verify", "--redecide", "--data", text(&ledger)]).succeeded();
        let out = binary::run(["replay", "--data", text(&ledger), "--json"]).succeeded();
        let mut state: Value = serde_json::from_str(out.trim()).expect("a line of JSON");
        let fields = state.as_object_mut().expect("an object");
        fields.retain(|name, _| ["entries", "views"].contains(&name.as_str()));
        state
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Imports a file twice: what is right counts once, what is wrong is named both times by its line.
#[track_caller]
fn twice(kind: &str, content: &str, more: &[&str], good: usize, bad: &[(usize, &str)]) -> (Files, Value) {
    let files = Files::new();
    let file = files.write("file", content);
    let first = files.import(kind, &file, more);
    assert!(first.contains(&format!(": {good} imported, 0 already known, {} refused", bad.len())), "{first}");
    let state = files.state();
    let second = files.import(kind, &file, more);
    assert!(second.contains(&format!(": 0 imported, {good} already known, {} refused", bad.len())), "{second}");
    for said in [&first, &second] {
        let refused: Vec<&str> = said.lines().filter(|line| line.contains("refused: ")).collect();
        assert_eq!(refused.len(), bad.len(), "{said}");
        for ((line, field), refused) in bad.iter().zip(refused) {
            assert!(refused.contains(&format!("line {line}, {field}: ")), "line {line}, {field}, not {refused}");
        }
    }
    assert_eq!(files.state()["views"], state["views"], "the same file again changes nothing");
    (files, state)
}

#[test]
fn a_tradebook_counts_once() {
    let content = "\
symbol,isin,trade_date,exchange,segment,series,trade_type,auction,quantity,price,trade_id,order_id,order_execution_time
STORY,INE002A01018,2024-01-10,NSE,EQ,EQ,buy,false,10,80.00,6001,1,2024-01-10T10:15:30
STORY,INE002A01018,2024-01-11,NSE,EQ,EQ,buy,false,ten,80.00,6002,2,2024-01-11T10:15:30
STORY,INE002A01018,2024-01-19,NSE,EQ,EQ,sell,false,4,81.00,6008,8,2024-01-19T10:15:30
";
    let (files, _) = twice("tradebook", content, &["--account", "ACC1"], 2, &[(3, "quantity")]);
    let ledger = files.ledger();
    let shown = binary::run(["show", "ACC1", "--json", "--data", text(&ledger)]).succeeded();
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["portfolio"]["items"][0]["quantity"], 6, "{shown}");
}

#[test]
fn a_bhavcopy_counts_once() {
    let row = |symbol: &str, open: &str, close: &str, day: &str| {
        format!("{symbol},EQ,{open},53.1,52,{close},52.85,52.25,75086,3958037.05,{day},687,INE144J01027,\n")
    };
    let head = "SYMBOL,SERIES,OPEN,HIGH,LOW,CLOSE,LAST,PREVCLOSE,TOTTRDQTY,TOTTRDVAL,TIMESTAMP,TOTALTRADES,ISIN,\n";
    let content = [
        head,
        &row("TEA", "52.25", "52.75", "31-JAN-2018"),
        &row("TEB", "abc", "52.75", "31-JAN-2018"),
        "TEC,EQ,52.25,53.1\n",
        &row("TED", "52.25", "1e2", "31-JAN-2018"),
        &row("TEE", "52.25", "52.75", "31-FEB-2018"),
        &row("TEF", "52.25", "52.75", "31-JAN-2018"),
    ];
    let bad = [(3, "OPEN"), (4, "TIMESTAMP"), (5, "CLOSE"), (6, "TIMESTAMP")];
    twice("bhavcopy", &content.concat(), &[], 2, &bad);
}

#[test]
fn navs_count_once() {
    let content = "\
Scheme Code;ISIN Div Payout/ ISIN Growth;ISIN Div Reinvestment;Scheme Name;Net Asset Value;Date

Open Ended Schemes(Equity Scheme - Flexi Cap Fund)

Story Mutual Fund

119551;INF209KA12Z1;INF209KA13Z9;Story Fund;50.1234;25-Feb-2025
119552;INF209KA12Z2;;Story Two;fifty;25-Feb-2025
119553;;;Story Three;1.5;31-Feb-2025
119554;x
119555;;;Story Five;12.5;25-Feb-2025
";
    let bad = [(8, "Net Asset Value"), (9, "Date"), (10, "Net Asset Value")];
    twice("navall", content, &[], 2, &bad);
}

#[test]
fn a_file_that_is_none_of_the_kind_is_refused_and_makes_no_entry() {
    let files = Files::new();
    let ledger = files.ledger();
    for kind in ["tradebook", "bhavcopy", "navall"] {
        let file = files.write(kind, "these,are\nnot,the columns\n");
        let mut words = vec!["import", kind, &file, "--data", text(&ledger)];
        words.extend((kind == "tradebook").then_some(["--account", "ACC1"]).into_iter().flatten());
        let said = binary::run(words).failed();
        assert!(said.contains(&file), "the file is not named: {said}");
    }
}

/// Rows enough to take more than a second.
const ROWS: usize = 100_000;

/// A terminal, for who looks at it; the words of an import of many rows.
#[track_caller]
fn long_import(on_a_terminal: bool) -> String {
    let files = Files::new();
    let mut content =
        "Scheme Code;ISIN Div Payout/ ISIN Growth;ISIN Div Reinvestment;Scheme Name;Net Asset Value;Date\n\n\
        Open Ended Schemes(Equity Scheme - Flexi Cap Fund)\n\nStory Mutual Fund\n\n"
            .to_owned();
    for scheme in 100_000..100_000 + ROWS {
        writeln!(content, "{scheme};;;Story {scheme};50.1234;25-Feb-2025").expect("a string takes it");
    }
    let (file, ledger) = (files.write("navs", &content), files.ledger());
    let words = ["import", "navall", &file, "--data", text(&ledger)];
    let mut command = if on_a_terminal {
        let program = binary::path();
        let quoted: Vec<String> = [text(&program)].iter().chain(&words).map(|word| format!("'{word}'")).collect();
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &quoted.join(" "), "/dev/null"]);
        script
    } else {
        binary::command(words)
    };
    let ran = binary::finish(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    ran.out + &ran.err
}

#[test]
fn a_long_import_shows_a_bar_with_the_time_to_go_on_a_terminal_and_none_in_a_pipe() {
    let seen = long_import(true);
    // Each row is a scheme and its NAV.
    assert!(seen.contains(" of 200,000 facts, ") && seen.contains(" left"), "{seen}");
    let piped = long_import(false);
    assert!(!piped.contains(" left") && !piped.contains('\r'), "{piped}");
    assert!(piped.contains(&format!("{ROWS} imported")), "{piped}");
}
