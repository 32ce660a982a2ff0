//! Trades as a venue tells them, as an operator assigns them, and as history.

use crate::{TOO_MANY, check, refusal, support::*};
use domain::{
    history::{ImportTrade, Kind},
    ids::TradeId,
    money::Price,
    order::{Assign, Fill},
    rejection::Rejection,
};

#[test]
pub fn of_a_row_of_history_and_of_a_trade() {
    let number = |row: ImportTrade| ImportTrade { trade_id: TradeId::new("T1").ok(), ..row };
    let world = funded().and(number(imported(Kind::Purchase, 10, Some("100.00"), "2025-01-15")));
    let other: fn(&mut ImportTrade) = |row| row.trade_id = TradeId::new("T1").ok();
    check(
        &imported(Kind::Purchase, 11, Some("100.00"), "2025-01-15"),
        &[
            &[
                (Rejection::AmountTooLarge, |row| row.quantity = shares(TOO_MANY)),
                (Rejection::QuantityNotPositive, |row| row.quantity = shares(0)),
            ],
            &[(Rejection::FillContradicted, other)],
        ],
        |row| refusal(&world, row.clone()),
    );
    let filled = funded().and(buy(20, "100.00")).and(fill(3, "T1", 10, "100.00"));
    let again: fn(&mut Fill) = |fill| fill.trade_id = TradeId::new("T1").expect("a trade id");
    check(
        &fill(3, "T2", 9, "100.00"),
        &[
            &[(Rejection::QuantityNotPositive, |fill: &mut Fill| fill.quantity = shares(0))],
            &[(Rejection::PriceNotPositive, |fill| fill.price = Price::ZERO)],
            &[(Rejection::FillContradicted, again)],
        ],
        |fill| refusal(&filled, fill.clone()),
    );
    let large = Fill { quantity: shares(TOO_MANY), ..fill(3, "T1", 9, "100.00") };
    assert_eq!(refusal(&filled, large), Some(Rejection::AmountTooLarge));
}

#[test]
pub fn of_a_row_of_history_that_may_have_been_forgotten() {
    // Order 3 leaves with its trade; what was imported of its day meanwhile is known for some days yet.
    let row = |trade: &str, quantity, day| ImportTrade {
        trade_id: TradeId::new(trade).ok(),
        ..imported(Kind::Purchase, quantity, Some("100.00"), day)
    };
    let filled = funded().and(buy(10, "100.00")).and(fill(3, "T1", 10, "100.00"));
    let known = filled.at("2026-11-30T10:00:00+05:30").and_all_due().and(row("T5", 10, "2026-11-23"));
    let left = known.at("2026-12-01T10:00:00+05:30").and(deposit("1.00"));
    check(
        &row("T5", 11, "2026-11-20"),
        &[
            &[
                (Rejection::AmountTooLarge, |row: &mut ImportTrade| row.quantity = shares(TOO_MANY)),
                (Rejection::QuantityNotPositive, |row| row.quantity = shares(0)),
                (Rejection::PriceNotPositive, |row| row.price = Some(price("-1.00"))),
            ],
            // The day of both has been forgotten: what is known of it is compared all the same.
            &[
                (Rejection::FillContradicted, |row| row.executed_at = date("2026-11-23").start()),
                (Rejection::HistoryOverlaps, |row| {
                    (row.executed_at, row.trade_id) = (date("2026-11-23").start(), TradeId::new("T6").ok());
                }),
            ],
        ],
        |row| refusal(&left, row.clone()),
    );
}

#[test]
pub fn of_an_assignment() {
    // Eight wait as entry 4; ten of order 5's twelve are filled; T1 of that side is order 5's already.
    let world = funded().and(fill(77, "T8", 8, "100.00")).and(fill(78, "T1", 8, "100.00"));
    let world = world.and(buy(12, "100.00")).and(fill(5, "T1", 10, "100.00")).and(buy(12, "100.00"));
    check(
        &Assign { seq: 3, order_id: order_id(7) },
        &[
            &[
                (Rejection::FillContradicted, |assign| assign.seq = 4),
                (Rejection::UnknownUnmatchedFill, |assign| assign.seq = 6),
            ],
            &[
                (Rejection::UnknownOrder, |assign| assign.order_id = order_id(99)),
                (Rejection::FillDoesNotFit, |assign| assign.order_id = order_id(5)),
            ],
        ],
        |assign| refusal(&world, assign.clone()),
    );
}
