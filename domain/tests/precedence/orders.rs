//! Orders that are asked for.

use crate::{Fault, NOON, SQUARE_OFF, TOO_MANY, check, refusal, support::*, unknown};
use domain::{
    history::Kind,
    money::{Percent, Price, Quantity},
    order::{Place, Side},
    rejection::Rejection,
    testing::given,
};

/// An order, and the world it is asked in.
#[derive(Clone)]
struct Asked {
    place: Place,
    tick: Option<&'static str>,
    series: &'static str,
    has_price: bool,
    has_session: bool,
    at: &'static str,
    cash: Option<&'static str>,
}

impl Asked {
    fn new(place: Place) -> Self {
        let (tick, series, cash) = (Some("0.05"), "EQ", Some("100000.00"));
        Self { place, tick, series, has_price: true, has_session: true, at: NOON, cash }
    }
    fn refusal(&self) -> Option<Rejection> {
        let mut world = given().at(self.at).fact(listed(self.series, self.tick, Some(20)));
        if self.has_price {
            world = world.fact(closed("2026-11-20", "100.00"));
        }
        let days = if self.has_session { 0 } else { 40 };
        for day in 0..days {
            world = world.fact(holiday(&date("2026-11-23").plus_days(day).to_string()));
        }
        world = world.and(open()).and(imported(Kind::Purchase, 10, None, "2025-01-15"));
        if let Some(cash) = self.cash {
            world = world.and(deposit(cash));
        }
        refusal(&world, self.place.clone())
    }
}

#[test]
pub fn of_a_stop_loss_that_opens_a_position() {
    let right =
        Asked::new(mis(Place { disclosed_quantity: Some(shares(5)), ..stop(Side::Buy, 10, "105.00", Some("106.00")) }));
    check(
        &right,
        &[
            &[
                (Rejection::AmountTooLarge, |asked| asked.place.quantity = shares(TOO_MANY)),
                (Rejection::QuantityNotPositive, |asked| asked.place.quantity = Quantity::ZERO),
            ],
            &[(Rejection::MarketProtectionNotAllowed, |asked| {
                asked.place.market_protection = Some(Percent::whole(5));
            })],
            &[
                (Rejection::PriceNotPositive, |asked| asked.place.trigger_price = Some(Price::ZERO)),
                (Rejection::TriggerPriceRequired, |asked| asked.place.trigger_price = None),
                (Rejection::TriggerBeyondPrice, |asked| asked.place.trigger_price = Some(price("107.00"))),
                (Rejection::PriceOffTick, |asked| asked.place.trigger_price = Some(price("105.01"))),
                (Rejection::TriggerWrongSide, |asked| asked.place.trigger_price = Some(price("99.00"))),
            ],
            &[
                (Rejection::UnknownInstrument, |asked| asked.place.instrument = unknown()),
                (Rejection::InstrumentNotTradable, |asked| asked.tick = None),
                (Rejection::ProductNotAllowed, |asked| asked.series = "BE"),
            ],
            &[(Rejection::DisclosedQuantityNotAllowed, |asked| asked.place.disclosed_quantity = Some(shares(0)))],
            &[
                (Rejection::NoSession, |asked| asked.has_session = false),
                (Rejection::SquareOffPassed, |asked| asked.at = SQUARE_OFF),
            ],
            &[(Rejection::InsufficientCash, |asked| asked.cash = Some("1.00"))],
        ],
        Asked::refusal,
    );
}

#[test]
pub fn of_a_purchase_at_a_limit_or_at_market() {
    let world: &[&[Fault<Asked>]] = &[
        &[
            (Rejection::UnknownInstrument, |asked| asked.place.instrument = unknown()),
            (Rejection::InstrumentNotTradable, |asked| asked.tick = None),
        ],
        &[(Rejection::TriggerPriceNotAllowed, |asked| asked.place.trigger_price = Some(price("101.00")))],
        &[(Rejection::DisclosedQuantityNotAllowed, |asked| asked.place.disclosed_quantity = Some(shares(0)))],
        &[(Rejection::NoSession, |asked| asked.has_session = false)],
        &[(Rejection::InsufficientCash, |asked| asked.cash = None)],
    ];
    let limit: &[&[Fault<Asked>]] = &[
        &[(Rejection::QuantityNotPositive, |asked| asked.place.quantity = shares(-1))],
        &[
            (Rejection::PriceNotPositive, |asked| asked.place.price = Some(price("-1.00"))),
            (Rejection::PriceRequired, |asked| asked.place.price = None),
            (Rejection::PriceOffTick, |asked| asked.place.price = Some(price("100.01"))),
            (Rejection::PriceOutsideBand, |asked| asked.place.price = Some(price("120.05"))),
        ],
    ];
    check(&Asked::new(buy(10, "100.00")), &[limit, world].concat(), Asked::refusal);
    let market: &[&[Fault<Asked>]] = &[
        &[
            (Rejection::AmountTooLarge, |asked| asked.place.quantity = shares(TOO_MANY)),
            (Rejection::PriceNotAllowed, |asked| asked.place.price = Some(price("100.00"))),
            (Rejection::NoPrice, |asked| asked.has_price = false),
        ],
        &[(Rejection::MarketProtectionNotAllowed, |asked| asked.place.market_protection = Some(Percent::whole(101)))],
    ];
    // What an unknown instrument would block is nothing that could be too large.
    let world: Vec<&[Fault<Asked>]> = market.iter().copied().chain(world[1..].iter().copied()).collect();
    check(&Asked::new(order(Side::Buy, 10, None)), &world, Asked::refusal);
}

#[test]
pub fn of_a_sale_of_what_is_held() {
    let too_many = |asked: &mut Asked| asked.place.quantity = shares(11);
    check(
        &Asked::new(sell(10, "100.00")),
        &[
            &[
                (Rejection::AmountTooLarge, |asked| asked.place.quantity = shares(TOO_MANY)),
                (Rejection::InsufficientShares, too_many),
            ],
            &[
                (Rejection::PriceOffTick, |asked| asked.place.price = Some(price("100.01"))),
                (Rejection::PriceOutsideBand, |asked| asked.place.price = Some(price("120.05"))),
            ],
            &[(Rejection::InstrumentNotTradable, |asked| asked.tick = None)],
            &[(Rejection::NoSession, |asked| asked.has_session = false)],
        ],
        Asked::refusal,
    );
}
