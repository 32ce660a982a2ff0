//! `bahi export`: every event and every row, as the reads show them, alike in both formats.

use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fs, path::Path};
use tests::{
    Client, binary,
    story::{SCHEME, SHARE, Story, day, limit_order, moment},
    wait_until,
};

type Row = Map<String, Value>;

/// Two accounts, with a row in every view and a refusal.
fn busy() -> Story {
    let story = Story::with_a_market();
    let client = story.investor("ACC1", "100000.00");
    story.investor("ACC2", "12.34");
    let place =
        |order: Value| client.post("/v1/accounts/ACC1/orders", order).must_be(201).text_at("/order_id").to_owned();
    let fill = json!({
        "account": "ACC1", "order_id": place(limit_order("buy", 10, "99.50")), "trade_id": "T1", "quantity": 4,
        "price": "99.00", "executed_at": moment(0)
    });
    story.venue.post("/v1/venue/fills", fill).must_be(201);
    // A spreadsheet would take it for a formula.
    let mut tagged = limit_order("buy", 1, "90.00");
    tagged["tag"] = json!("=1+1");
    place(tagged);
    client.post("/v1/accounts/ACC1/orders", limit_order("buy", 5_000, "100.00")).must_be(422);
    let purchase = json!({ "scheme": SCHEME, "amount": "5000.00", "folio": null });
    client.post("/v1/accounts/ACC1/fund-purchases", purchase).must_be(201);
    let units = json!({ "rows": [{ "key": "1", "scheme": SCHEME, "folio": "1/2", "kind": "purchase", "units": "10.000",
        "nav": "45.0000", "amount": "450.00", "trade_date": day(5) }] });
    story.operator.post("/v1/accounts/ACC1/imports/units", units).must_be(200);
    wait_until("the purchase to be sent", || {
        (client.get("/v1/accounts/ACC1/fund-orders").rows()[0]["status"] == "sent").then_some(())
    });
    story
}

/// The rows of every file, by its name.
fn lines(folder: &Path) -> BTreeMap<String, Vec<Row>> {
    let read = |path: &Path| {
        let text = fs::read_to_string(path).expect("text");
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"))).collect()
    };
    files(folder, read)
}

fn files<T>(folder: &Path, read: impl Fn(&Path) -> T) -> BTreeMap<String, T> {
    let files = fs::read_dir(folder).expect("a folder").map(|file| file.expect("an entry").path());
    let named = |path: std::path::PathBuf| {
        let name = path.file_stem().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
        (name, read(&path))
    };
    files.map(named).collect()
}

/// All rows of a list, of the pages that it takes.
fn all(client: &Client, path: &str) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("{path}?limit=3{cursor}"));
        rows.extend(page.rows().iter().cloned());
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return rows,
        }
    }
}

/// Without the account, which a read has in its path.
fn without_account(mut row: Row) -> Value {
    row.remove("account");
    Value::Object(row)
}

fn exported(story: &Story, format: &str) -> tempfile::TempDir {
    let out = tempfile::tempdir().expect("a folder can be made");
    let folder = out.path().to_str().expect("UTF-8");
    let source = story.server.log();
    binary::run(["export", "--out", folder, "--format", format].into_iter().chain(source)).succeeded();
    out
}

#[test]
fn every_row_of_every_view_is_what_its_read_shows() {
    let story = busy();
    let files = lines(exported(&story, "jsonl").path());
    let of = |name: &str, account: &str| -> Vec<Value> {
        let rows = files[name].iter().filter(|row| row["account"] == account);
        rows.cloned().map(without_account).collect()
    };
    for account in ["ACC1", "ACC2"] {
        for (name, read) in [
            ("orders", "orders"),
            ("trades", "trades"),
            ("fund_orders", "fund-orders"),
            ("portfolio", "portfolio"),
            ("pnl", "pnl"),
        ] {
            let shown = all(&story.auditor, &format!("/v1/accounts/{account}/{read}"));
            assert_eq!(of(name, account), shown, "{name} of {account}");
            assert_eq!(shown.is_empty(), account == "ACC2", "{name} of {account}");
        }
        let cash = story.auditor.get(&format!("/v1/accounts/{account}/cash")).body;
        let shown = cash.as_object().cloned().expect("an object");
        assert_eq!(of("cash", account), [without_account(shown)]);
    }
    for (name, read) in [
        ("instruments", "/v1/instruments".to_owned()),
        ("schemes", "/v1/schemes".to_owned()),
        ("prices", format!("/v1/instruments/{SHARE}/prices")),
        ("navs", format!("/v1/schemes/{SCHEME}/navs")),
    ] {
        let shown = all(&story.auditor, &read);
        let rows: Vec<Value> = files[name].iter().cloned().map(Value::Object).collect();
        let known = |row: &Value| shown.iter().any(|shown| contains(row, shown));
        assert_eq!(rows.len(), shown.len(), "{name}");
        assert!(rows.iter().all(known), "{name}: {rows:?} are not {shown:?}");
    }
}

/// Whether a row has all that the other says.
fn contains(row: &Value, said: &Value) -> bool {
    said.as_object().is_some_and(|said| said.iter().all(|(name, value)| row[name] == *value))
}

#[test]
fn every_entry_and_every_event_is_what_the_read_of_events_shows() {
    let story = busy();
    let files = lines(exported(&story, "jsonl").path());
    let (mut entries, mut events) = (0, 0);
    for account in ["ACC1", "ACC2"] {
        let own = |name: &str| {
            let rows = files[name].iter().filter(|row| {
                row.get("entry").unwrap_or(&Value::Null)["account"] == account
                    || row.get("account").is_some_and(|own| own == account)
            });
            rows.cloned().collect::<Vec<Row>>()
        };
        let shown = all(&story.auditor, &format!("/v1/accounts/{account}/events"));
        let as_shown = |row: &Row| json!({ "offset": row["offset"], "entry": row["entry"] });
        assert_eq!(own("entries").iter().map(as_shown).collect::<Vec<_>>(), shown);
        let of_entry = |row: &Value| {
            let (offset, entry) = (row["offset"].clone(), row["entry"].clone());
            let events = entry["events"].as_array().cloned().expect("events");
            events.into_iter().map(move |event| {
                json!([
                    offset,
                    entry["seq"],
                    entry["command"]["id"],
                    entry["outcome"],
                    event["type"],
                    event["effective_at"],
                    event["data"]
                ])
            })
        };
        let listed: Vec<Value> = shown.iter().flat_map(of_entry).collect();
        let as_listed = |row: &Row| {
            json!([
                row["offset"],
                row["seq"],
                row["command"],
                row["outcome"],
                row["type"],
                row["effective_at"],
                row["data"]
            ])
        };
        assert_eq!(own("events").iter().map(as_listed).collect::<Vec<_>>(), listed);
        (entries, events) = (entries + shown.len(), events + listed.len());
    }
    assert_eq!((files["entries"].len(), files["events"].len()), (entries, events));
    assert!(files["events"].iter().any(|row| row["type"] == "command_refused"), "a refusal is an event too");
}

#[test]
fn rows_of_csv_say_what_lines_of_json_say() {
    let story = busy();
    let lines = lines(exported(&story, "jsonl").path());
    let tables = files(exported(&story, "csv").path(), |path| {
        let mut reader = csv::Reader::from_path(path).expect("a file");
        let head = reader.headers().expect("a head").clone();
        let rows = reader.into_records().map(|row| row.expect("a row"));
        let named = |row: csv::StringRecord| {
            head.iter().map(str::to_owned).zip(row.iter().map(str::to_owned)).collect::<BTreeMap<_, _>>()
        };
        rows.map(named).collect::<Vec<_>>()
    });
    assert!(tables.keys().eq(lines.keys()), "{:?} and {:?}", tables.keys(), lines.keys());
    for (name, rows) in &lines {
        assert_eq!(tables[name].len(), rows.len(), "{name}");
        for (line, cells) in rows.iter().zip(&tables[name]) {
            for (column, cell) in cells {
                // Rows of one file may have different fields: of shares, and of funds.
                let value = line.get(column).unwrap_or(&Value::Null);
                assert!(says(cell, value), "{name}, {column}: {cell}, not {value}");
            }
            let lost = line.keys().find(|field| !cells.contains_key(*field));
            assert_eq!(lost, None, "{name}");
        }
    }
    let orders = &lines["orders"];
    assert!(orders.iter().any(|order| order["tag"] == "=1+1"), "{orders:?}");
}

/// Whether a cell says a value: nothing for null, text that a spreadsheet would run behind a `'`, what is nested as JSON.
fn says(cell: &str, value: &Value) -> bool {
    match value {
        Value::Null => cell.is_empty(),
        Value::String(text) if text.starts_with('=') => cell.strip_prefix('\'') == Some(text),
        Value::String(text) => cell == text,
        other => serde_json::from_str::<Value>(cell).is_ok_and(|said| said == *other),
    }
}
