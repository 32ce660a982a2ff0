//! NSE's daily prices in both formats, with everything a real folder of them holds.

#![expect(clippy::unwrap_used, reason = "a helper that panics fails the test that called it")]

use domain::{
    market::{DayPrice, Fact, Instrument},
    money::Price,
    time::Date,
};
use feeds::{Error, bhavcopy, fact_key::fact_key, listing::Known};

const LEGACY: &str =
    "SYMBOL,SERIES,OPEN,HIGH,LOW,CLOSE,LAST,PREVCLOSE,TOTTRDQTY,TOTTRDVAL,TIMESTAMP,TOTALTRADES,ISIN,\n";
const FULL: &str = "SYMBOL, SERIES, DATE1, PREV_CLOSE, OPEN_PRICE, HIGH_PRICE, LOW_PRICE, LAST_PRICE, CLOSE_PRICE, AVG_PRICE, TTL_TRD_QNTY, TURNOVER_LACS, NO_OF_TRADES, DELIV_QTY, DELIV_PER\n";

fn price(text: &str) -> Price {
    Price::parse(text).unwrap()
}

fn read(text: &str) -> feeds::Parsed<bhavcopy::BhavRow> {
    bhavcopy::parse(text.as_bytes()).unwrap()
}

#[test]
fn the_older_format_gives_prices_volume_and_isin() {
    let parsed = read(&format!(
        "{LEGACY}ALPHA,EQ,52.25,53.1,52,52.75,52.85,52.3,75086,3958037.05,31-JAN-2018,687,INE000A01018,\n"
    ));
    let [row] = parsed.rows.as_slice() else { panic!("{parsed:?}") };
    assert_eq!((row.line, row.instrument.as_str(), row.date), (2, "NSE:ALPHA", Date::parse("2018-01-31").unwrap()));
    assert_eq!((row.open, row.high, row.low, row.close), (price("52.25"), price("53.1"), price("52"), price("52.75")));
    assert_eq!((row.previous_close, row.volume), (Some(price("52.3")), Some(75086)));
    assert_eq!(row.isin.unwrap().as_str(), "INE000A01018");
    assert_eq!((parsed.refused, parsed.skipped), (vec![], vec![]));
}

#[test]
fn the_full_format_has_spaces_dashes_and_no_isin() {
    let parsed = read(&format!(
        "{FULL}ALPHA, EQ, 01-Jan-2026, 212.77, 214.47, 215, 208.41, 213.50, 212.08, 211.57, 163949, 346.87, 6475, -, -\n"
    ));
    let [row] = parsed.rows.as_slice() else { panic!("{parsed:?}") };
    assert_eq!((row.date, row.close, row.isin), (Date::parse("2026-01-01").unwrap(), price("212.08"), None));
    assert_eq!((row.previous_close, row.volume), (Some(price("212.77")), Some(163949)));
}

#[test]
fn shares_keep_one_id_through_their_series_and_other_securities_of_the_symbol_have_their_own() {
    let row = |series: &str| format!("ALPHA,{series},1,1,1,1,1,1,1,1,31-JAN-2018,1,INE000A01018,\n");
    let text: String = ["EQ", "BE", "BZ", "SM", "ST", "SZ", "N1", "E1", "GS", "T0"].map(row).concat();
    let ids: Vec<String> = read(&format!("{LEGACY}{text}")).rows.iter().map(|row| row.instrument.to_string()).collect();
    assert!(ids[..6].iter().all(|id| id == "NSE:ALPHA"), "{ids:?}");
    assert_eq!(ids[6..], ["NSE:ALPHA-N1", "NSE:ALPHA-E1", "NSE:ALPHA-GS", "NSE:ALPHA-T0"]);
}

#[test]
fn marks_line_ends_latin_1_and_blank_lines_do_no_harm() {
    let row = "ALPHA,EQ,1,1,1,1,1,1,1,1,31-JAN-2018,1,INE000A01018,";
    let plain = format!("{LEGACY}{row}\n");
    let other = format!("\u{feff}{}\r\n\r\n , ,\r\n{row}\r\n,,,,\r\n", LEGACY.trim_end());
    let (plain, other) = (read(&plain), read(&other));
    assert_eq!(other.refused, []);
    assert_eq!((plain.rows[0].line, other.rows[0].line), (2, 4));
    assert_eq!(plain.rows[0].price(), other.rows[0].price());
    let mut latin = format!("{LEGACY}{row}\n").into_bytes();
    latin.extend(b"CAF\xC9,EQ,1,1,1,1,1,1,1,1,31-JAN-2018,1,INE000A01018,\nBETA,EQ,1,1,1,1,1,1,1,1,31-JAN-2018,1,INE000B01016,\n");
    let parsed = bhavcopy::parse(&latin).unwrap();
    assert_eq!(parsed.rows.len(), 2);
    assert_eq!(
        parsed.refused[0].to_string(),
        "line 3, SYMBOL: 'CAFÉ' must be a trading symbol in capitals, up to 32 characters"
    );
}

#[test]
fn a_corrupt_line_is_named_and_the_rest_is_kept() {
    let good = |symbol: &str| format!("{symbol},EQ,1,1,1,1,1,1,1,1,31-JAN-2018,1,INE000A01018,\n");
    let text = [
        LEGACY.to_owned(),
        good("A"),
        "B,EQ,1,1\n".into(),
        "C,EQ,1,1,1,one,1,1,1,1,31-JAN-2018,1,INE000A01018,\n".into(),
        "D,EQ,1,1,1,1,1,1,1,1,31-FEB-2018,1,INE000A01018,\n".into(),
        "E,EQ,1,1,1,1,1,1,1.5,1,31-JAN-2018,1,INE000A01018,\n".into(),
        "F,EQ,1e2,1,1,1,1,1,1,1,31-JAN-2018,1,INE000A01018,\n".into(),
        "G,EQ,1,1,1,1,1,1,1,1,31-JAN-2018,1,INE000,\n".into(),
        "\"H,EQ,1,1,1,1,1,1,1,1,31-JAN-2018,1,INE000A01018,\n".into(),
        good("Z"),
    ]
    .concat();
    let parsed = read(&text);
    assert_eq!(parsed.rows.iter().map(|row| row.symbol.as_str()).collect::<Vec<_>>(), ["A", "Z"]);
    let told: Vec<(usize, Option<&str>)> = parsed.refused.iter().map(|error| (error.line, error.column)).collect();
    let (date, volume, isin) = (Some("TIMESTAMP"), Some("TOTTRDQTY"), Some("ISIN"));
    assert_eq!(
        told,
        [(3, date), (4, Some("CLOSE")), (5, date), (6, volume), (7, Some("OPEN")), (8, isin), (9, Some("SYMBOL"))]
    );
    assert_eq!(
        parsed.refused[1].problem,
        "'one' must be a plain decimal such as \"1250.50\", without exponent, sign '+', spaces or separators"
    );
}

#[test]
fn files_put_together_are_read_by_the_header_above_each_row() {
    let text = format!(
        "{LEGACY}A,EQ,1,1,1,1,1,1,1,1,31-JAN-2018,1,INE000A01018,\n{FULL}A, EQ, 01-Jan-2026, 1, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1\n"
    );
    let rows = read(&text).rows;
    assert_eq!(rows.iter().map(|row| row.open).collect::<Vec<_>>(), [price("1"), price("2")]);
}

#[test]
fn what_is_no_bhavcopy_is_refused_as_a_whole() {
    for (text, problem) in [
        ("", "the file is empty"),
        ("A,EQ,1\n", "line 1 comes before it"),
        ("SYMBOL,SERIES,OPEN\n", "line 1 has no column TIMESTAMP or DATE1"),
        ("<html>404</html>", "line 1 comes before it"),
    ] {
        let Err(Error::Header { problem: told, .. }) = bhavcopy::parse(text.as_bytes()) else { panic!("{text}") };
        assert_eq!(told, problem);
    }
    assert!(matches!(bhavcopy::parse(&vec![b' '; feeds::FILE_MAX_BYTES + 1]), Err(Error::TooLarge { .. })));
}

#[test]
fn a_row_lists_its_instrument_once_and_again_when_series_or_isin_change() {
    let row = |series: &str, isin: &str, day: &str| format!("ALPHA,{series},1,1,1,1,1,1,1,1,{day},1,{isin},\n");
    let text = [
        LEGACY.to_owned(),
        row("EQ", "INE000A01018", "29-JAN-2018"),
        row("EQ", "INE000A01018", "30-JAN-2018"),
        row("BE", "INE000A01018", "31-JAN-2018"),
        row("BE", "INE000A01026", "01-FEB-2018"),
        row("BE", "-", "02-FEB-2018"),
    ]
    .concat();
    let mut known = Known::default();
    let facts: Vec<Fact> = read(&text).rows.iter().flat_map(|row| row.facts(&mut known).collect::<Vec<_>>()).collect();
    let listings: Vec<&Instrument> = facts
        .iter()
        .filter_map(|fact| if let Fact::Instrument(listing) = fact { Some(listing) } else { None })
        .collect();
    let told: Vec<String> = listings.iter().map(|l| format!("{} {}", l.from.unwrap(), l.series)).collect();
    assert_eq!(told, ["2018-01-29 EQ", "2018-01-31 BE", "2018-02-01 BE"]);
    assert!(listings.iter().all(|listing| listing.tick_size.is_none() && listing.band_percent.is_none()));
    let prices: Vec<&DayPrice> =
        facts.iter().filter_map(|fact| if let Fact::Price(price) = fact { Some(price) } else { None }).collect();
    assert_eq!(prices.len(), 5);
    assert!(matches!(facts[0], Fact::Instrument(_)), "the listing comes before its prices");
}

#[test]
fn the_same_fact_from_two_files_has_one_key_and_another_close_has_another() {
    let legacy = read(&format!("{LEGACY}A,EQ,1,2,1,1.50,1,1,9,1,31-JAN-2018,1,INE000A01018,\n")).rows.remove(0);
    let full = read(&format!("{FULL}A, EQ, 31-Jan-2018, 1.00, 1, 2, 1, 1, 1.5, 1, 9, 1, 1, 1, 1\n")).rows.remove(0);
    let other = read(&format!("{FULL}A, EQ, 31-Jan-2018, 1.00, 1, 2, 1, 1, 1.6, 1, 9, 1, 1, 1, 1\n")).rows.remove(0);
    let key = |row: &bhavcopy::BhavRow| fact_key(&Fact::from(row.price()));
    assert_eq!(key(&legacy), key(&full));
    assert_ne!(key(&legacy), key(&other));
}
