//! Real files and the sixteen invented investors in a running server: what it shows agrees with plain sums made beside it.

use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path};
use tests::{
    Client, Server, binary,
    real_data::{self, Investor, Kind},
};

/// Rows of one request.
const ROWS: usize = 500;
/// Shares whose closes are looked at, among the most traded.
const SYMBOLS: [&str; 5] = ["RELIANCE", "INFY", "TCS", "SBIN", "ITC"];

/// What an import said of a file: imported, known before, refused.
fn import(server: &Server, what: &str, file: &Path) -> [usize; 3] {
    let operator = server.operator();
    let (file, token) = (file.to_str().expect("UTF-8"), operator.token().expect("an operator has a token"));
    let out = binary::run(["import", what, file, "--url", &server.url(), "--token", token]).succeeded();
    let counts = out.lines().find_map(|line| line.split_once(": ").filter(|(_, rest)| rest.contains(" imported, ")));
    let (_, counts) = counts.unwrap_or_else(|| panic!("{out}"));
    let mut numbers = counts.split(", ").filter_map(|part| part.split(' ').next()?.parse().ok());
    std::array::from_fn(|_| numbers.next().unwrap_or_else(|| panic!("{out}")))
}

/// Imports a file twice: all of it is taken, and the second time known.
fn import_twice(server: &Server, what: &str, file: &Path) -> usize {
    let [imported, known, refused] = import(server, what, file);
    assert!(imported > 1_000 && known == 0 && refused == 0, "{imported} imported, {known} known, {refused} refused");
    assert_eq!(import(server, what, file), [0, imported, 0], "a second import changes nothing");
    imported
}

fn decimal(text: &str) -> Decimal {
    text.trim().parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The close of a symbol's row in the EQ series, by the names that the file's header gives.
fn close(csv: &str, symbol: &str) -> Decimal {
    let mut lines = csv.lines().map(|line| line.split(',').map(str::trim).collect::<Vec<_>>());
    let header = lines.next().expect("a header");
    let at = |names: &[&str]| header.iter().position(|name| names.contains(name)).expect("a column");
    let (named, series, close) = (at(&["SYMBOL"]), at(&["SERIES"]), at(&["CLOSE", "CLOSE_PRICE"]));
    let row = lines.find(|row| row[named] == symbol && row[series] == "EQ");
    decimal(row.unwrap_or_else(|| panic!("no row of {symbol}"))[close])
}

#[test]
fn closes_of_nse_and_navs_of_amfi_are_imported_once_and_shown_as_published() {
    let Some(real) = real_data::folder() else { return };
    let folder = tempfile::tempdir().expect("a folder can be made");
    let server = Server::start_with(&folder.path().join("data"), &["--calendar", "always-open"], &[]);
    let operator = server.operator();
    let legacy = fs::read(real.join("nse/cm31JAN2018bhav.csv")).expect("a real file");
    let newest = "sec_bhavdata_full_21082026.csv";
    let archive = real.join("nse/nse-sec-bhavdata-full-2026-01_2026-08.tar.xz");
    let full = real_data::unpack(&archive, |path| path.ends_with(newest)).into_values().next().expect("a real file");
    for (name, bytes, day) in [("cm31JAN2018bhav.csv", legacy, "2018-01-31"), (newest, full, "2026-08-21")] {
        let file = folder.path().join(name);
        fs::write(&file, &bytes).expect("a file can be written");
        import_twice(&server, "bhavcopy", &file);
        let csv = String::from_utf8(bytes).expect("UTF-8");
        for symbol in SYMBOLS {
            let shown = operator.get(&format!("/v1/instruments/NSE:{symbol}/prices?from={day}&to={day}"));
            assert_eq!(decimal(shown.text_at("/items/0/close")), close(&csv, symbol), "{symbol}: {}", shown.text);
        }
    }
    // Known from a file alone, it has no tick size.
    operator.post("/v1/accounts", json!({ "account": "R1" })).must_be(201);
    let order = json!({ "instrument": "NSE:RELIANCE", "side": "buy", "quantity": 1, "type": "market",
        "product": "CNC", "validity": "DAY" });
    let refused = server.client("client", &["R1"]).post("/v1/accounts/R1/orders", order);
    assert_eq!(refused.must_be(422).text_at("/code"), "instrument_not_tradable");

    let navs = real_data::unpack_one(&real.join("amfi/NAVAll-2025-02-25.txt.xz"));
    let file = folder.path().join("NAVAll.txt");
    fs::write(&file, &navs).expect("a file can be written");
    let [imported, known, _] = import(&server, "navall", &file);
    assert!(imported > 10_000 && known == 0, "{imported} imported, {known} known");
    let [again, known, _] = import(&server, "navall", &file);
    assert_eq!((again, known), (0, imported), "a second import changes nothing");
    let text = String::from_utf8(navs).expect("UTF-8");
    let rows = text.lines().filter(|line| line.ends_with(";25-Feb-2025")).step_by(500);
    let mut looked = 0;
    for row in rows {
        let parts: Vec<&str> = row.split(';').collect();
        let (code, nav) = (parts[0], parts[parts.len() - 2]);
        let shown = operator.get(&format!("/v1/schemes/{code}/navs?from=2025-02-25&to=2025-02-25"));
        assert_eq!(decimal(shown.text_at("/items/0/nav")), decimal(nav), "{code}: {}", shown.text);
        looked += 1;
    }
    assert!(looked >= 10, "{looked} schemes were looked at");
    assert!(server.verify().contains("live rows equal a cold replay"));
}

/// Posts rows and gives their answers in order.
fn post(operator: &Client, path: &str, rows: &[Value]) -> Vec<Value> {
    let posted = rows.chunks(ROWS).map(|rows| operator.post(path, json!({ "rows": rows })).must_be(200));
    posted.flat_map(|reply| reply.body["results"].as_array().expect("results").clone()).collect()
}

fn sign(kind: Kind) -> Decimal {
    Decimal::from(if kind == Kind::Sale { -1 } else { 1 })
}

/// What the plain sum says is held, by instrument, or scheme and folio, without the rows at these places.
fn sums(investor: &Investor, out: &[String]) -> BTreeMap<String, Decimal> {
    let mut held: BTreeMap<String, Decimal> = BTreeMap::new();
    for row in investor.shares.iter().filter(|row| !out.contains(&format!("shares/{}", row.place))) {
        *held.entry(format!("ISIN:{}", row.isin)).or_default() += sign(row.kind) * decimal(&row.quantity);
    }
    for row in investor.units.iter().filter(|row| !out.contains(&format!("units/{}", row.place))) {
        *held.entry(format!("ISIN:{} {}", row.isin, row.folio)).or_default() += sign(row.kind) * decimal(&row.units);
    }
    held.retain(|_, quantity| !quantity.is_zero());
    held
}

/// The same as a portfolio shows it.
fn shown(portfolio: &Value) -> BTreeMap<String, Decimal> {
    let item = |item: &Value| {
        let text = |name: &str| item[name].as_str().map(str::to_owned);
        match text("scheme") {
            Some(scheme) => {
                let folio = text("folio").expect("a folio");
                (format!("{scheme} {folio}"), decimal(&text("units").expect("units")))
            }
            None => (text("instrument").expect("an instrument"), decimal(&item["quantity"].to_string())),
        }
    };
    portfolio["items"].as_array().expect("items").iter().map(item).collect()
}

#[test]
fn sixteen_investors_become_accounts_of_a_server_that_shows_what_a_plain_sum_says() {
    let Some(real) = real_data::folder() else { return };
    let folder = tempfile::tempdir().expect("a folder can be made");
    let server = Server::start_with(folder.path(), &["--calendar", "always-open"], &[]);
    let operator = server.operator();
    let (mut shares_out, mut units_out) = (0, 0);
    for investor in real_data::investors(&real) {
        let account = &investor.account;
        operator.post("/v1/accounts", json!({ "account": account })).must_be(201);
        let mut out = Vec::new();
        for (what, rows) in [("trades", investor.trades_json()), ("units", investor.units_json())] {
            if rows.is_empty() {
                continue;
            }
            let path = format!("/v1/accounts/{account}/imports/{what}");
            let answers = post(&operator, &path, &rows);
            assert_eq!(answers.len(), rows.len());
            for (at, (row, answer)) in rows.iter().zip(&answers).enumerate() {
                if answer["status"] == 201 {
                    continue;
                }
                assert_eq!(answer["status"], 400, "{row} was answered {answer}");
                let (field, count) = match what {
                    "trades" => ("quantity", &mut shares_out),
                    _ => ("amount", &mut units_out),
                };
                *count += 1;
                let wanted = format!("/rows/{}/{field}", at % ROWS);
                assert_eq!(answer["body"]["errors"][0]["pointer"], *wanted, "{answer}");
                out.push(row["key"].as_str().expect("a key").to_owned());
            }
            let again = post(&operator, &path, &rows);
            let same = |(first, again): (&Value, &Value)| first["status"] != 201 || again["replayed"] == true;
            assert!(answers.iter().zip(&again).all(same), "a second import changes nothing");
        }
        let portfolio = operator.get(&format!("/v1/accounts/{account}/portfolio?limit={ROWS}"));
        assert_eq!(shown(&portfolio.body), sums(&investor, &out), "{account}");
    }
    assert_eq!((shares_out, units_out), (5, 2), "rows that cannot be held exactly");
    assert!(server.verify().contains("live rows equal a cold replay"));
}
