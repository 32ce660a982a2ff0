//! Zerodha Console's tradebook: every trade once, exact, in order; the rest refused by name.

#![expect(clippy::unwrap_used, reason = "a helper that panics fails the test that called it")]

use domain::{
    history::Kind,
    money::{Price, Quantity},
    time::{Date, Timestamp},
};
use feeds::{Error, tradebook};

const HEADER: &str = "symbol,isin,trade_date,exchange,segment,series,trade_type,auction,quantity,price,trade_id,order_id,order_execution_time\n";

fn read(rows: &str) -> feeds::Parsed<tradebook::TradeRow> {
    tradebook::parse(format!("{HEADER}{rows}").as_bytes()).unwrap()
}

#[test]
fn a_row_becomes_a_trade_with_the_exchanges_key() {
    let parsed = read(
        "ALPHA,INE000A01018,2023-06-15,NSE,EQ,EQ,buy,false,10.000000,2500.050000,75001234,1100000012345678,2023-06-15T09:31:02\n",
    );
    let [row] = parsed.rows.as_slice() else { panic!("{parsed:?}") };
    assert_eq!((row.line, row.key.as_str()), (2, "NSE/2023-06-15/75001234/buy"));
    assert_eq!((row.trade.instrument.as_str(), row.trade.kind), ("NSE:ALPHA", Kind::Purchase));
    assert_eq!((row.trade.quantity, row.trade.price), (Quantity::new(10), Price::parse("2500.05").ok()));
    assert_eq!(row.trade.executed_at, Timestamp::parse("2023-06-15T09:31:02+05:30").unwrap());
    assert_eq!(row.isin.unwrap().as_str(), "INE000A01018");
}

#[test]
fn a_space_in_the_time_and_no_time_at_all_are_read() {
    let rows =
        read("A,,2023-06-15,BSE,EQ,A,sell,true,1,1,7,8,2023-06-15 15:29:59\nB,,2023-06-15,NSE,EQ,,BUY,,1,1,9,8,\n")
            .rows;
    assert_eq!(rows[0].trade.executed_at, Date::parse("2023-06-15").unwrap().start(), "a date alone is 00:00 IST");
    assert_eq!((rows[1].key.as_str(), rows[1].trade.instrument.as_str()), ("BSE/2023-06-15/7/sell", "BSE:A"));
}

#[test]
fn rows_come_in_order_of_execution() {
    let rows = read(
        "B,,2023-06-16,NSE,EQ,EQ,sell,,1,1,3,8,2023-06-16T10:00:00\nA,,2023-06-15,NSE,EQ,EQ,buy,,1,1,2,8,2023-06-15T10:00:00\nA,,2023-06-15,NSE,EQ,EQ,buy,,1,1,1,8,2023-06-15T10:00:00\n",
    )
    .rows;
    assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [3, 4, 2]);
}

#[test]
fn columns_are_found_by_name_and_quotes_are_taken_off() {
    let text = "\"trade_type\",\"price\",\"quantity\",\"segment\",\"exchange\",\"trade_date\",\"symbol\"\r\n\"buy\",\"1.50\",\"2\",\"EQ\",\"NSE\",\"2023-06-15\",\"A\"\r\n";
    let parsed = tradebook::parse(text.as_bytes()).unwrap();
    assert_eq!((parsed.rows.len(), parsed.refused.len()), (1, 0));
    assert_eq!(parsed.rows[0].key.as_str().len(), 64, "without a trade id the row is known by its content");
}

#[test]
fn equal_rows_without_a_trade_id_are_as_many_trades_and_the_same_ones_next_time() {
    let rows = "A,,2023-06-15,NSE,EQ,EQ,buy,,1,1,,,\nA,,2023-06-15,NSE,EQ,EQ,buy,,1.0,1.00,,,\n";
    let keys = |rows: &str| read(rows).rows.iter().map(|row| row.key).collect::<Vec<_>>();
    assert_ne!(keys(rows)[0], keys(rows)[1]);
    assert_eq!(keys(rows), keys(rows));
}

#[test]
fn what_cannot_be_held_is_refused_with_line_column_and_reason() {
    let parsed = read(
        "A,,2023-06-15,NSE,EQ,EQ,buy,,10.300000,1,1,8,\n\
         A,,2023-06-15,NSE,FO,EQ,buy,,1,1,2,8,\n\
         A,,2023-06-15,NSE,EQ,EQ,short,,1,1,3,8,\n\
         A,,2023-06-15,NSE,EQ,EQ,buy,,0,1,4,8,\n\
         A,,2023-06-15,NSE,EQ,EQ,buy,,-1,1,5,8,\n\
         A,,2023-06-15,NSE,EQ,EQ,buy,,1,1.00005,6,8,\n\
         A,,2023-06-15,NSE,EQ,EQ,buy,,1,-1,7,8,\n\
         A,,15-06-2023,NSE,EQ,EQ,buy,,1,1,8,8,\n\
         A,,2023-06-15,NSE,EQ,EQ,buy,,1,1,9,8,2023-06-16T00:00:00\n\
         A,,2023-06-15,NSE,EQ,EQ,buy,,1,1,10,8,later\n\
         A,,2023-06-15,NSE,EQ,EQ,buy,,99999999999999999999,1,11,8,\n\
         Z,,2023-06-15,NSE,EQ,EQ,buy,,1,1,12,8,\n",
    );
    assert_eq!(parsed.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [13]);
    let told: Vec<String> = parsed.refused.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "line 2, quantity: '10.300000' is not a whole number of shares",
            "line 3, segment: 'FO' is not imported; only EQ, the cash market, is",
            "line 4, trade_type: 'short' must be buy or sell",
            "line 5, quantity: '0' must be above zero",
            "line 6, quantity: '-1' must be a whole number",
            "line 7, price: '1.00005' has more than 4 decimals",
            "line 8, price: '-1' must not be negative",
            "line 9, trade_date: '15-06-2023' must be a date as YYYY-MM-DD",
            "line 10, order_execution_time: is not on the trade_date 2023-06-15",
            "line 11, order_execution_time: 'later' must be a time as 2023-06-15T09:31:02",
            "line 12, quantity: '99999999999999999999' is too large",
        ]
    );
}

#[test]
fn what_is_no_tradebook_is_refused_as_a_whole() {
    for text in ["", "A,B,C\n", "symbol,trade_type\n"] {
        assert!(matches!(tradebook::parse(text.as_bytes()), Err(Error::Header { kind: "tradebook", .. })), "{text}");
    }
}
