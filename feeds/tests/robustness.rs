//! No bytes make a parser panic, and a corrupt line costs only itself.

use feeds::{bhavcopy, navall, tradebook};
use proptest::prelude::*;

const LEGACY: &str = "SYMBOL,SERIES,OPEN,HIGH,LOW,CLOSE,LAST,PREVCLOSE,TOTTRDQTY,TOTTRDVAL,TIMESTAMP,TOTALTRADES,ISIN,";
const NAVALL: &str = "Scheme Code;ISIN Div Payout/ ISIN Growth;ISIN Div Reinvestment;Scheme Name;Net Asset Value;Date";
const TRADEBOOK: &str = "symbol,isin,trade_date,exchange,segment,series,trade_type,auction,quantity,price,trade_id,order_id,order_execution_time";

/// A header and ten rows of each format, as lines.
fn files() -> [Vec<String>; 3] {
    let of = |header: &str, row: &dyn Fn(usize) -> String| {
        std::iter::once(header.to_owned()).chain((1..=10).map(row)).collect()
    };
    [
        of(LEGACY, &|n| format!("S{n},EQ,{n},{n}.5,{n},{n}.25,{n},{n},{n},1,31-JAN-2018,1,INE000A01018,")),
        of(NAVALL, &|n| format!("{n};INF000A01018;-;Scheme {n};{n}.12345678;25-Feb-2025")),
        of(TRADEBOOK, &|n| {
            format!("S{n},INE000A01018,2023-06-15,NSE,EQ,EQ,buy,false,{n}.000000,{n}.05,{n},8,2023-06-15T09:31:{n:02}")
        }),
    ]
}

/// What the parsers make of bytes, by line: all that must not change for the lines around a corrupt one.
fn rows(which: usize, bytes: &[u8]) -> Vec<(usize, String)> {
    match which {
        0 => bhavcopy::parse(bytes).map(|p| p.rows.iter().map(|row| (row.line, format!("{row:?}"))).collect()),
        1 => navall::parse(bytes).map(|p| p.rows.iter().map(|row| (row.line, format!("{:?}", row.nav()))).collect()),
        _ => tradebook::parse(bytes).map(|p| p.rows.iter().map(|row| (row.line, format!("{row:?}"))).collect()),
    }
    .unwrap_or_default()
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for (which, file) in files().into_iter().enumerate() {
            rows(which, &bytes);
            // Past the header too.
            let mut after = format!("{}\n", file[0]).into_bytes();
            after.extend_from_slice(&bytes);
            rows(which, &after);
        }
    }

    #[test]
    fn no_field_makes_a_parser_panic(fields in proptest::collection::vec("\\PC{0,12}|[-+.eE0-9:TZ]{0,30}", 0..16)) {
        for (which, (file, delimiter)) in files().into_iter().zip([",", ";", ","]).enumerate() {
            rows(which, format!("{}\n{}\n", file[0], fields.join(delimiter)).as_bytes());
        }
    }

    #[test]
    fn a_corrupt_line_costs_only_itself(
        line in 1_usize..=10,
        at in any::<prop::sample::Index>(),
        removed in 0_usize..30,
        put in proptest::collection::vec(any::<u8>().prop_filter("stays one line", |byte| *byte != b'\n'), 0..8),
    ) {
        for (which, file) in files().into_iter().enumerate() {
            let mut bytes: Vec<Vec<u8>> = file.iter().map(|line| line.clone().into_bytes()).collect();
            let start = at.index(bytes[line].len());
            let end = (start + removed).min(bytes[line].len());
            bytes[line].splice(start..end, put.iter().copied());
            let others = |rows: Vec<(usize, String)>| {
                let mut rows: Vec<_> = rows.into_iter().filter(|(at, _)| *at != line + 1).collect();
                rows.sort();
                rows
            };
            let kept = others(rows(which, &bytes.join(&b'\n')));
            prop_assert_eq!(kept.len(), 9);
            prop_assert_eq!(kept, others(rows(which, file.join("\n").as_bytes())));
        }
    }
}
