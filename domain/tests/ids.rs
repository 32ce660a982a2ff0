//! Ids: what they accept, refuse and keep apart.

use domain::{
    history::{ImportTrade, ImportUnits, Kind},
    ids::{
        AccountId, AlgoId, CommandId, Exchange, ExchangeOrderId, Folio, InstrumentId, Isin, OrderId, SchemeCode,
        Series, Symbol, Tag, TradeId,
    },
    money::{Nav, Price, Quantity, Units},
    order::Side,
    row_key::{RowKeys, row_key, trade_key, trade_row},
    time::{Date, Timestamp},
};
use proptest::prelude::*;

#[test]
fn an_account_is_1_to_32_plain_characters() {
    assert!(AccountId::new("ACC-1_x").is_ok());
    assert!(AccountId::new(&"A".repeat(32)).is_ok());
    let long = "A".repeat(33);
    for text in ["", long.as_str(), "A B", "A/B", "é", "A.1", "A\n"] {
        assert!(AccountId::new(text).is_err(), "{text:?}");
    }
}

#[test]
fn an_instrument_names_its_exchange_or_its_isin() {
    for text in ["NSE:RELIANCE", "BSE:500325", "NSE:M&M", "NSE:BAJAJ-AUTO", "NSE:IRFC-N1", "ISIN:INE002A01018"] {
        assert_eq!(InstrumentId::new(text).unwrap().as_str(), text);
    }
    for text in [
        "RELIANCE",
        ":RELIANCE",
        "NSE:",
        "nse:RELIANCE",
        "NSE:reliance",
        "NSE:A B",
        "EXCHNG:A",
        "ISIN:INE002",
        "ISIN:ine002a01018",
    ] {
        assert!(InstrumentId::new(text).is_err(), "{text:?}");
    }
    assert_eq!(InstrumentId::new("NSE:RELIANCE").unwrap().exchange(), Exchange::new("NSE").ok());
    assert_eq!(InstrumentId::new("ISIN:INE002A01018").unwrap().exchange(), None);
}

#[test]
fn schemes_series_symbols_and_isins_have_their_own_shapes() {
    assert!(SchemeCode::new("119551").is_ok());
    assert!(SchemeCode::new("ISIN:INF209KA12Z1").is_ok());
    assert!(SchemeCode::new("119551a").is_err());
    assert!(Series::new("EQ").is_ok());
    assert!(Series::new("eq").is_err());
    assert!(Series::new("LONGS").is_err());
    assert!(Symbol::new("20MICRONS").is_ok());
    assert!(Symbol::new("").is_err());
    assert!(Isin::new("INE002A01018").is_ok());
    assert!(Isin::new("-").is_err());
    assert!(Isin::new("INE002A0101").is_err());
}

#[test]
fn what_people_write_stays_printable_and_short() {
    assert!(Folio::new("12345678/90").is_ok());
    assert!(Folio::new(" 1").is_err(), "no blanks around it");
    assert!(Tag::new("swing trade").is_ok());
    assert!(Tag::new("a\tb").is_err());
    assert!(Tag::new(&"a".repeat(21)).is_err());
    assert!(TradeId::new("75001234").is_ok());
    assert!(TradeId::new("7500 1234").is_err());
    assert!(ExchangeOrderId::new("1100000012345678").is_ok());
    assert!(AlgoId::new("").is_err());
    assert!(CommandId::new(&"k".repeat(64)).is_ok());
    assert!(CommandId::new("clé").is_err());
}

#[test]
fn an_order_id_is_its_account_and_the_entry_that_requested_it() {
    let order = OrderId::new("ACC-1-41").unwrap();
    assert_eq!((order.account, order.seq), (AccountId::new("ACC-1").unwrap(), 41));
    assert_eq!(order.to_string(), "ACC-1-41");
    assert_eq!(order.text().as_str(), "ACC-1-41");
    for text in ["", "ACC", "ACC-", "-1", "ACC-01", "ACC-x", "ACC-+1", "ACC-18446744073709551616", "A C-1"] {
        assert!(OrderId::new(text).is_err(), "{text:?}");
    }
}

fn trade(price: &str, trade_id: Option<&str>) -> ImportTrade {
    ImportTrade {
        instrument: InstrumentId::new("NSE:RELIANCE").expect("a valid test value"),
        kind: Kind::Purchase,
        quantity: Quantity::new(10),
        price: Price::parse(price).ok(),
        exchange: Exchange::new("NSE").ok(),
        trade_id: trade_id.map(|id| TradeId::new(id).expect("a valid test value")),
        executed_at: Timestamp::parse("2023-06-15T09:31:02+05:30").expect("a valid test value"),
    }
}

#[test]
fn a_numbered_trade_is_known_by_exchange_date_number_and_side() {
    let day = Date::parse("2023-06-15").unwrap();
    let key = trade_key(Exchange::new("NSE").unwrap(), day, &TradeId::new("75001234").unwrap(), Side::Buy);
    assert_eq!(key.as_str(), "NSE/2023-06-15/75001234/buy");
    let mut keys = RowKeys::default();
    assert_eq!(keys.trade(&trade("2500", Some("75001234"))), key);
    assert_eq!(keys.trade(&trade("2501", Some("75001234"))), key, "other content is for the ledger to refuse");
    let longest = trade_key(Exchange::new("ABCDE").unwrap(), day, &TradeId::new(&"9".repeat(40)).unwrap(), Side::Sell);
    assert!(longest.as_str().len() <= 64, "as long as a client's key may be");
}

#[test]
fn a_row_without_a_number_is_known_by_its_content_and_its_ordinal_among_equals() {
    let (mut first, mut second) = (RowKeys::default(), RowKeys::default());
    let rows = [trade("2500", None), trade("2500.00", None), trade("2501", None)];
    let keys: Vec<_> = rows.iter().map(|row| first.trade(row)).collect();
    assert_ne!(keys[0], keys[1], "two equal rows are two trades");
    assert_ne!(keys[0], keys[2]);
    assert_eq!(
        keys,
        rows.iter().map(|row| second.trade(row)).collect::<Vec<_>>(),
        "the same file again is the same keys"
    );
    assert_eq!(keys[1], row_key(&trade_row(&rows[0]), 2));
    assert_eq!(keys[0].as_str().len(), 64);
}

#[test]
fn the_hash_of_a_row_never_changes() {
    // printf '1\na|b' | sha256sum
    assert_eq!(row_key("a|b", 1).as_str(), "580002c23d2b3fab3050cf873283de5aa07ffc2e9bdc0f04cf89bab96679a7e1");
}

#[test]
fn units_in_two_folios_have_two_keys() {
    let row = |folio: &str| ImportUnits {
        scheme: SchemeCode::new("ISIN:INF209KA12Z1").unwrap(),
        folio: Folio::new(folio).unwrap(),
        kind: Kind::Purchase,
        units: Units::parse("10").unwrap(),
        nav: Nav::parse("103.5311").ok(),
        amount: None,
        executed_at: Timestamp::parse("2023-06-15T00:00:00+05:30").unwrap(),
    };
    let mut keys = RowKeys::default();
    assert_ne!(keys.units(&row("1")), keys.units(&row("2")));
}

proptest! {
    #[test]
    fn no_text_makes_an_id_panic_and_what_is_accepted_prints_back(text in "\\PC{0,48}", word in "[A-Z0-9:&_-]{0,44}") {
        for text in [text, word] {
            macro_rules! keeps { ($($id:ident),*) => { $(
                if let Ok(id) = $id::new(&text) { prop_assert_eq!(id.to_string(), text.as_str()); }
            )* } }
            keeps!(AccountId, InstrumentId, Exchange, Series, Symbol, Isin, SchemeCode, Folio, TradeId, Tag, CommandId, OrderId);
        }
    }
}
