//! Fund orders, and units as history.

use crate::{Either, check, either, refusal, support::*, unknown_folio, unknown_scheme, unopened};
use domain::{
    fund::{Purchase, Redemption},
    history::{ImportUnits, Kind},
    money::Units,
    rejection::Rejection,
    testing::given,
};

#[test]
pub fn of_a_fund_purchase() {
    check(
        &either(Purchase { folio: Some(folio()), ..purchase("5000.00") }),
        &[
            &[
                (Rejection::AmountNotPositive, |it: &mut Either<Purchase>| it.asked.amount = rupees("0.00")),
                (Rejection::InsufficientCash, |it| it.asked.amount = rupees("100000.01")),
            ],
            &[(Rejection::UnknownScheme, |it| it.asked.scheme = unknown_scheme())],
            &[(Rejection::UnknownFolio, |it| it.asked.folio = Some(unknown_folio()))],
            &[(Rejection::UnknownAccount, |it| it.is_other = true)],
        ],
        |it| {
            let right = funded().fact(known_scheme()).and(imported_units(Kind::Purchase, "100.000", None));
            it.refusal(&right, &unopened())
        },
    );
}

#[test]
pub fn of_a_redemption() {
    let world = |nav: bool| {
        let world = given().fact(known_scheme());
        let world = if nav { world.fact(nav_of("2026-11-20", "40.0000")) } else { world };
        world.and(open()).and(imported_units(Kind::Purchase, "100.000", None))
    };
    let worlds = [world(true), world(false)];
    let other_folio = |asked: &mut (Redemption, usize)| asked.0.folio = unknown_folio();
    check(
        &(redemption(None, Some("100.00"), None), 0usize),
        &[
            &[
                (Rejection::AmountNotPositive, |asked| asked.0.amount = Some(rupees("0.00"))),
                (Rejection::AmountTooLarge, |asked| asked.0.amount = Some(rupees("90000000000000000.00"))),
                (Rejection::InsufficientUnits, |asked| asked.0.amount = Some(rupees("4001.00"))),
            ],
            &[(Rejection::UnknownFolio, other_folio)],
            &[(Rejection::RedeemOneOf, |asked| asked.0.all = Some(true))],
        ],
        |(redemption, world)| refusal(&worlds[*world], redemption.clone()),
    );
    check(
        &(redemption(None, Some("100.00"), None), 0usize),
        &[
            &[
                (Rejection::NoPrice, |asked| asked.1 = 1),
                (Rejection::UnknownScheme, |asked: &mut (Redemption, usize)| asked.0.scheme = unknown_scheme()),
            ],
            &[(Rejection::UnknownFolio, other_folio)],
            &[(Rejection::RedeemOneOf, |asked| asked.0.units = Some(units("1.000")))],
        ],
        |(redemption, world)| refusal(&worlds[*world], redemption.clone()),
    );
}

#[test]
pub fn of_a_row_of_units() {
    check(
        &either(imported_units(Kind::Purchase, "1.000", Some("40.00"))),
        &[
            &[
                (Rejection::AmountNotPositive, |it: &mut Either<ImportUnits>| it.asked.units = Units::ZERO),
                (Rejection::AmountTooLarge, |it| it.asked.units = Units::from_smallest(i64::MAX)),
            ],
            &[(Rejection::AmountNotPositive, |it| it.asked.amount = Some(rupees("-0.01")))],
            &[(Rejection::UnknownAccount, |it| it.is_other = true)],
        ],
        |it| it.refusal(&funded().and(imported_units(Kind::Purchase, "100.000", None)), &unopened()),
    );
}
