//! Intraday positions that become delivery.

use crate::{CLOSE, Either, SQUARE_OFF, check, either, refusal, support::*, unknown};
use domain::{intraday::Convert, order::Product, rejection::Rejection, testing::given};

#[test]
pub fn of_a_conversion() {
    let world = |cash: &str| {
        let market = given().fact(listed("EQ", Some("0.05"), Some(20))).fact(closed("2026-11-20", "100.00"));
        market.and(open()).and(deposit(cash)).and(mis(buy(10, "100.00"))).and(fill(3, "T1", 10, "100.00"))
    };
    let worlds = [world("100000.00"), world("300.00")];
    check(
        &(convert(10), 0usize),
        &[
            &[
                (Rejection::QuantityNotPositive, |asked: &mut (Convert, usize)| asked.0.quantity = shares(0)),
                (Rejection::InsufficientShares, |asked| asked.0.quantity = shares(11)),
            ],
            &[(Rejection::UnknownInstrument, |asked| asked.0.instrument = unknown())],
            &[(Rejection::ConversionNotAllowed, |asked| asked.0.from = Product::Cnc)],
            &[(Rejection::InsufficientCash, |asked| asked.1 = 1)],
        ],
        |(convert, world)| refusal(&worlds[*world], convert.clone()),
    );
}

#[test]
pub fn of_what_is_left_open_becoming_delivery() {
    let open = funded().and(mis(buy(10, "100.00"))).and(fill(3, "T1", 10, "100.00"));
    let asked = Convert { trade_date: Some(date("2026-11-23")), ..convert(10) };
    check(
        &either(asked),
        &[
            &[
                (Rejection::QuantityNotPositive, |it: &mut Either<Convert>| it.asked.quantity = shares(0)),
                (Rejection::NotDue, |it| it.asked.quantity = shares(11)),
            ],
            &[(Rejection::UnknownInstrument, |it| it.asked.instrument = unknown())],
            &[(Rejection::ConversionNotAllowed, |it| it.asked.to = Product::Mis)],
            &[(Rejection::NotDue, |it| it.is_other = true)],
        ],
        |it| it.refusal(&open.clone().at(CLOSE), &open.clone().at(SQUARE_OFF)),
    );
}
