//! A book as lines of text: columns as wide as they need, texts to the left and figures to the right; reads JSON only.

use serde_json::Value;

/// How a column stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}
use Side::{Left, Right};

/// A head, the field it shows, and how.
type Column = (&'static str, &'static str, Side);

const ORDERS: &[Column] = &[
    ("order", "order_id", Left),
    ("status", "status", Left),
    ("side", "side", Left),
    ("instrument", "instrument", Left),
    ("quantity", "quantity", Right),
    ("filled", "filled", Right),
    ("type", "type", Left),
    ("price", "price", Right),
    ("trigger", "trigger_price", Right),
    ("average", "average_price", Right),
    ("product", "product", Left),
    ("session", "session_date", Left),
    ("blocked", "blocked", Right),
];
const POSITIONS: &[Column] = &[
    ("instrument", "instrument", Left),
    ("product", "product", Left),
    ("quantity", "quantity", Right),
    ("today", "bought_today", Right),
    ("T1", "t1", Right),
    ("settled", "settled", Right),
    ("blocked", "blocked", Right),
    ("last price", "last_price", Right),
];
const HOLDINGS: &[Column] = &[
    ("instrument", "instrument", Left),
    ("quantity", "quantity", Right),
    ("T1", "t1", Right),
    ("settled", "settled", Right),
    ("average", "average_price", Right),
    ("last price", "last_price", Right),
    ("value", "value", Right),
];
const FOLIOS: &[Column] = &[
    ("scheme", "scheme", Left),
    ("folio", "folio", Left),
    ("units", "units", Right),
    ("cost", "cost", Right),
    ("NAV", "nav", Right),
    ("of", "nav_date", Left),
    ("value", "value", Right),
];
const FUND_ORDERS: &[Column] = &[
    ("fund order", "fund_order_id", Left),
    ("status", "status", Left),
    ("kind", "kind", Left),
    ("scheme", "scheme", Left),
    ("folio", "folio", Left),
    ("amount", "amount", Right),
    ("asked units", "asked_units", Right),
    ("units", "units", Right),
    ("NAV", "nav", Right),
    ("of", "nav_date", Left),
    ("pays on", "pays_on", Left),
];

/// The whole book.
pub fn lines(book: &Value) -> Vec<String> {
    let mut lines = vec![title(&book["account"])];
    lines.push(String::new());
    lines.extend(cash(&book["cash"]));
    let portfolio = rows(&book["portfolio"]).into_iter();
    let folios: Vec<&Value> = portfolio.filter(|row| row.get("scheme").is_some()).collect();
    let parts = [
        ("Orders", ORDERS, rows(&book["orders"]), has_more(&book["orders"])),
        ("Positions", POSITIONS, rows(&book["positions"]), false),
        ("Holdings", HOLDINGS, rows(&book["holdings"]), false),
        ("Folios", FOLIOS, folios, false),
        ("Fund orders", FUND_ORDERS, rows(&book["fund_orders"]), has_more(&book["fund_orders"])),
    ];
    for (name, columns, rows, more) in parts {
        lines.push(String::new());
        if rows.is_empty() {
            lines.push(format!("{name}: none"));
            continue;
        }
        lines.push(name.to_owned());
        let cells = rows.iter().map(|row| columns.iter().map(|(_, field, _)| cell(&row[*field])).collect()).collect();
        lines.extend(table(columns, cells));
        if more {
            lines.push("  older ones are not shown: --orders N".to_owned());
        }
    }
    lines
}

fn title(account: &Value) -> String {
    let opened = match account["opened_at"].as_str() {
        Some(at) => format!("opened {}", at.get(..19).unwrap_or(at).replace('T', " ")),
        None => "never opened".to_owned(),
    };
    let (name, entries, open) = (cell(&account["account"]), cell(&account["entries"]), cell(&account["open_orders"]));
    format!("{name}: {opened}, {entries} entries, {open} open orders")
}

/// The parts of cash: what, how much, and when or for what.
fn cash(cash: &Value) -> Vec<String> {
    const COLUMNS: &[Column] = &[("Cash", "", Left), ("", "", Right), ("", "", Left)];
    let row = |what: &str, amount: &Value, more: String| vec![what.to_owned(), cell(amount), more];
    let mut parts = vec![row("settled", &cash["settled"], String::new())];
    for due in list(&cash["receivable"]) {
        let usable = cell(&due["usable"]);
        parts.push(row(
            "receivable",
            &due["amount"],
            format!("on {}, {usable} of it usable before", cell(&due["date"])),
        ));
    }
    for due in list(&cash["payable"]) {
        parts.push(row("payable", &due["amount"], format!("on {}", cell(&due["date"]))));
    }
    let blocked = &cash["blocked_for"];
    let what = ["orders", "positions", "funds"].map(|what| format!("{what} {}", cell(&blocked[what])));
    parts.push(row("blocked", &cash["blocked"], format!("for {}", what.join(", "))));
    parts.push(row("available", &cash["available"], String::new()));
    parts.push(row("withdrawable", &cash["withdrawable"], String::new()));
    let mut lines = table(COLUMNS, parts);
    // The head is the name of the section.
    if let Some(head) = lines.first_mut() {
        *head = "Cash".to_owned();
    }
    for short in list(&cash["shortfalls"]) {
        let refused: Vec<String> = list(&short["refused"]).iter().map(|what| cell(what).replace('_', " ")).collect();
        let refuses =
            if refused.is_empty() { String::new() } else { format!(": {} are refused", refused.join(" and ")) };
        lines.push(format!("  {} is {} below zero{refuses}", cell(&short["part"]), cell(&short["short"])));
    }
    lines
}

fn table(columns: &[Column], rows: Vec<Vec<String>>) -> Vec<String> {
    let head: Vec<String> = columns.iter().map(|(head, _, _)| (*head).to_owned()).collect();
    let all: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns.len()).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).zip(columns).map(|((cell, wide), (_, _, side))| match side {
            Left => format!("{cell:<wide$}"),
            Right => format!("{cell:>wide$}"),
        });
        format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
    };
    all.iter().map(line).collect()
}

fn rows(list_of: &Value) -> Vec<&Value> {
    list(&list_of["items"]).iter().collect()
}

fn has_more(list_of: &Value) -> bool {
    list_of["next_cursor"].is_string()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn empty() -> Value {
        let none = json!({ "items": [], "next_cursor": null });
        json!({
            "account": { "account": "ACC1", "opened_at": "2026-11-23T09:15:02.000000+05:30", "entries": 2, "open_orders": 0 },
            "cash": {
                "settled": "100.00", "receivable": [], "payable": [], "blocked": "0.00",
                "blocked_for": { "orders": "0.00", "positions": "0.00", "funds": "0.00" },
                "available": "100.00", "withdrawable": "100.00", "shortfalls": []
            },
            "orders": none, "positions": none, "holdings": none, "portfolio": none, "fund_orders": none
        })
    }

    #[test]
    fn an_empty_book_names_every_part() {
        let lines = lines(&empty());
        assert_eq!(lines[0], "ACC1: opened 2026-11-23 09:15:02, 2 entries, 0 open orders");
        for part in ["Orders: none", "Positions: none", "Holdings: none", "Folios: none", "Fund orders: none"] {
            assert!(lines.iter().any(|line| line == part), "{part} in {lines:#?}");
        }
    }

    #[test]
    fn figures_stand_under_each_other_to_the_right() {
        let mut book = empty();
        let row = |instrument: &str, quantity: i64, price: &str| {
            json!({ "instrument": instrument, "product": "CNC", "quantity": quantity, "bought_today": 0, "t1": 0,
                "settled": quantity, "blocked": 0, "last_price": price })
        };
        book["positions"]["items"] = json!([row("NSE:A", 5, "1.00"), row("NSE:LONGER", 1500, "2500.00")]);
        let lines = lines(&book);
        let at = lines.iter().position(|line| line == "Positions").unwrap();
        assert_eq!(
            lines[at + 1..at + 4],
            [
                "  instrument  product  quantity  today  T1  settled  blocked  last price",
                "  NSE:A       CNC             5      0   0        5        0        1.00",
                "  NSE:LONGER  CNC          1500      0   0     1500        0     2500.00",
            ]
        );
    }

    #[test]
    fn cash_says_what_comes_what_is_blocked_and_what_is_short() {
        let mut book = empty();
        book["cash"]["receivable"] = json!([{ "date": "2026-11-24", "amount": "50.00", "usable": "40.00" }]);
        book["cash"]["shortfalls"] =
            json!([{ "part": "available", "short": "5.00", "refused": ["purchases", "fund_purchases"] }]);
        let text = lines(&book).join("\n");
        assert!(text.contains("on 2026-11-24, 40.00 of it usable before"), "{text}");
        assert!(text.contains("for orders 0.00, positions 0.00, funds 0.00"), "{text}");
        assert!(text.contains("available is 5.00 below zero: purchases and fund purchases are refused"), "{text}");
    }
}
