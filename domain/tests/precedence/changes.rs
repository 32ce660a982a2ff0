//! Changes and cancellations of orders, and of those that square off.

use crate::{CHANGES_MAX, Fault, NOON, SQUARE_OFF, TOO_MANY, check, refusal, support::*, unopened};
use domain::{
    command::Command,
    intraday::SquareOff,
    market::Instrument,
    money::Price,
    order::{Modify, OrderType, Place, Product, ReportKind, Side},
    rejection::Rejection,
    testing::{Given, given},
};

/// A change of order 3, intraday, of which five are filled.
#[derive(Clone)]
struct Changed {
    place: Place,
    modify: Modify,
    is_closed: bool,
    waits: bool,
    changes: u32,
    has_tick: bool,
    at: &'static str,
    cash: &'static str,
}

impl Changed {
    fn new(place: Place, modify: Modify) -> Self {
        let place = mis(Place { disclosed_quantity: Some(shares(4)), ..place });
        let (is_closed, waits, changes, has_tick) = (false, false, 0, true);
        Self { place, modify, is_closed, waits, changes, has_tick, at: NOON, cash: "100000.00" }
    }
    fn refusal(&self) -> Option<Rejection> {
        let market = given().fact(listed("EQ", Some("0.05"), Some(20))).fact(closed("2026-11-20", "100.00"));
        let mut world = market.and(open()).and(deposit("500.00")).and(self.place.clone());
        world = world.and(report(3, ReportKind::Accepted)).and(fill(3, "T1", 5, "100.00"));
        for at in 0..self.changes {
            let limit = if at % 2 == 0 { "99.00" } else { "100.00" };
            world = world.and(change(3, None, Some(limit))).and(report(3, ReportKind::Modified));
        }
        if self.waits {
            world = world.and(cancel(3));
        }
        if self.is_closed {
            world = world.and(report(3, ReportKind::Cancelled));
        }
        if !self.has_tick {
            world = world.fact(Instrument { corrects: Some(1), ..listed("EQ", None, Some(20)) });
        }
        refusal(&world.and(deposit(self.cash)).at(self.at), self.modify.clone())
    }
}

/// What may be wrong with any change.
const ANY_CHANGE: &[&[Fault<Changed>]] = &[
    &[
        (Rejection::UnknownOrder, |asked| asked.modify.order_id = order_id(77)),
        (Rejection::OrderClosed, |asked| asked.is_closed = true),
    ],
    &[(Rejection::ModificationPending, |asked| asked.waits = true)],
    &[(Rejection::TooManyModifications, |asked| asked.changes = CHANGES_MAX)],
    &[(Rejection::InstrumentNotTradable, |asked| asked.has_tick = false)],
    &[(Rejection::SquareOffPassed, |asked| asked.at = SQUARE_OFF)],
    &[(Rejection::InsufficientCash, |asked| asked.cash = "1.00")],
];
const ITS_QUANTITY: &[Fault<Changed>] = &[
    (Rejection::QuantityNotPositive, |asked| asked.modify.quantity = Some(shares(-1))),
    (Rejection::QuantityBelowFilled, |asked| asked.modify.quantity = Some(shares(4))),
    (Rejection::DisclosedQuantityNotAllowed, |asked| asked.modify.quantity = Some(shares(41))),
];

#[test]
pub fn of_a_change() {
    let right = Changed::new(buy(20, "100.00"), change(3, Some(30), Some("101.00")));
    let its_price: &[Fault<Changed>] = &[
        (Rejection::PriceNotPositive, |asked| asked.modify.price = Some(Price::ZERO)),
        (Rejection::PriceNotAllowed, |asked| asked.modify.order_type = Some(OrderType::Market)),
        (Rejection::TriggerPriceRequired, |asked| asked.modify.order_type = Some(OrderType::Sl)),
        (Rejection::TriggerPriceNotAllowed, |asked| asked.modify.trigger_price = Some(price("101.00"))),
        (Rejection::PriceOffTick, |asked| asked.modify.price = Some(price("101.01"))),
        (Rejection::PriceOutsideBand, |asked| asked.modify.price = Some(price("120.05"))),
    ];
    check(&right, &[&[ITS_QUANTITY, its_price], ANY_CHANGE].concat(), Changed::refusal);
    let nothing: &[Fault<Changed>] = &[
        (Rejection::NothingToModify, |asked| asked.modify = change(3, Some(20), None)),
        (Rejection::NothingToModify, |asked| asked.modify = change(3, None, Some("100.00"))),
    ];
    check(&right, &[&[nothing], ANY_CHANGE].concat(), Changed::refusal);
    let large = |wrong: fn(&mut Changed)| {
        let mut asked = right.clone();
        asked.modify.quantity = Some(shares(TOO_MANY));
        wrong(&mut asked);
        asked.refusal()
    };
    for wrong in [
        |_: &mut Changed| {},
        |asked: &mut Changed| asked.is_closed = true,
        |asked: &mut Changed| asked.waits = true,
        |asked: &mut Changed| asked.modify.price = Some(price("101.01")),
        |asked: &mut Changed| asked.modify.trigger_price = Some(Price::ZERO),
    ] {
        assert_eq!(large(wrong), Some(Rejection::AmountTooLarge));
    }
}

#[test]
pub fn of_a_change_of_a_stop_loss_that_was_triggered() {
    let its_price: &[Fault<Changed>] = &[
        (Rejection::PriceNotPositive, |asked| asked.modify.price = Some(price("-1.00"))),
        (Rejection::PriceOffTick, |asked| asked.modify.price = Some(price("102.01"))),
        (Rejection::PriceOutsideBand, |asked| asked.modify.price = Some(price("120.05"))),
    ];
    let its_trigger: &[Fault<Changed>] = &[
        (Rejection::PriceNotPositive, |asked| asked.modify.trigger_price = Some(Price::ZERO)),
        (Rejection::PriceNotAllowed, |asked| asked.modify.order_type = Some(OrderType::SlM)),
        (Rejection::TriggerPriceNotAllowed, |asked| {
            asked.modify = Modify { order_type: Some(OrderType::Limit), ..asked.modify };
            asked.modify.trigger_price = Some(price("101.50"));
        }),
        (Rejection::OrderTriggered, |asked| asked.modify.trigger_price = Some(price("101.50"))),
        (Rejection::OrderTriggered, |asked| asked.modify.trigger_price = Some(price("119.00"))),
    ];
    check(
        &Changed::new(stop(Side::Buy, 20, "100.50", Some("101.00")), change(3, Some(30), Some("102.00"))),
        &[&[ITS_QUANTITY, its_price, its_trigger], ANY_CHANGE].concat(),
        Changed::refusal,
    );
    let stop_at_market = Changed::new(stop(Side::Buy, 20, "100.50", None), change(3, Some(30), None));
    let its_trigger: &[Fault<Changed>] =
        &[(Rejection::OrderTriggered, |asked| asked.modify.trigger_price = Some(price("101.50")))];
    let its_type: &[Fault<Changed>] =
        &[(Rejection::PriceRequired, |asked| asked.modify.order_type = Some(OrderType::Sl))];
    let its_world = &ANY_CHANGE[..2];
    check(&stop_at_market, &[&[ITS_QUANTITY, its_trigger, its_type], its_world].concat(), Changed::refusal);
}

/// Something asked of order 5, delivery, or of order 6, which squares off; of each two of ten are filled.
#[derive(Clone)]
struct Standing<A> {
    asked: A,
    is_opened: bool,
    is_closed: bool,
    waits: bool,
}

impl<A: Clone + Into<Command>> Standing<A> {
    fn new(asked: A) -> Self {
        Self { asked, is_opened: true, is_closed: false, waits: false }
    }
    fn refusal(&self) -> Option<Rejection> {
        let mut world = if self.is_opened { squaring_off() } else { unopened() };
        if self.waits && self.is_opened {
            world = world.and(cancel(5));
        }
        if self.is_closed {
            world = world.and(report(5, ReportKind::Cancelled)).and(report(6, ReportKind::Cancelled));
        }
        refusal(&world, self.asked.clone())
    }
}

fn squaring_off() -> Given {
    let bought = funded().and(mis(buy(10, "100.00"))).and(fill(3, "T1", 10, "100.00")).and(buy(10, "100.00"));
    let asked = SquareOff { instrument: instrument(), trade_date: date("2026-11-23"), product: Product::Mis };
    bought.at(SQUARE_OFF).and(asked).and(fill(5, "T2", 2, "100.00")).and(fill(6, "T3", 2, "100.00"))
}

#[test]
pub fn of_a_cancellation() {
    check(
        &Standing::new(cancel(5)),
        &[
            &[
                (Rejection::UnknownOrder, |it| it.asked.order_id = order_id(77)),
                (Rejection::SquareOffOrder, |it| it.asked.order_id = order_id(6)),
                (Rejection::ModificationPending, |it| it.waits = true),
            ],
            &[(Rejection::OrderClosed, |it| it.is_closed = true)],
            &[(Rejection::UnknownAccount, |it| it.is_opened = false)],
        ],
        Standing::refusal,
    );
}

#[test]
pub fn of_a_change_of_what_squares_off() {
    let figures: &[&[Fault<Standing<Modify>>]] = &[
        &[
            (Rejection::AmountTooLarge, |it| it.asked.quantity = Some(shares(TOO_MANY))),
            (Rejection::QuantityNotPositive, |it| it.asked.quantity = Some(shares(0))),
            (Rejection::QuantityBelowFilled, |it| it.asked.quantity = Some(shares(1))),
        ],
        &[
            (Rejection::PriceNotPositive, |it| it.asked.trigger_price = Some(Price::ZERO)),
            (Rejection::TriggerPriceNotAllowed, |it| it.asked.trigger_price = Some(price("101.00"))),
        ],
    ];
    let nothing: &[&[Fault<Standing<Modify>>]] =
        &[&[(Rejection::NothingToModify, |it| it.asked.quantity = Some(shares(10)))]];
    let state: &[&[Fault<Standing<Modify>>]] = &[
        &[
            (Rejection::SquareOffOrder, |it| it.asked.order_id = order_id(6)),
            (Rejection::ModificationPending, |it| it.waits = true),
        ],
        &[(Rejection::OrderClosed, |it| it.is_closed = true)],
    ];
    for wrong in [figures, nothing] {
        check(&Standing::new(change(5, Some(12), None)), &[wrong, state].concat(), Standing::refusal);
    }
}
