//! Of several reasons to refuse a command the one declared first is given: every combination of faults, command by command.
mod support;

use domain::{
    command::Command,
    event::EventData,
    fund::Redemption,
    history::{ImportTrade, Kind},
    ids::{FundOrderId, InstrumentId, SchemeCode, TradeId},
    intraday::Convert,
    market::{DayPrice, Fact},
    money::{Percent, Price, Quantity},
    order::{Assign, Fill, Modify, OrderType, Place, Product, ReportKind, Side},
    rejection::Rejection,
    testing::{Given, given},
};
use support::*;

/// What is wrong with what is asked, and why it is refused if nothing else is.
type Fault<A> = (Rejection, fn(&mut A));

/// Asks with every combination of faults, at most one of each group; groups keep apart what cannot be wrong at once.
/// Each combination must be refused for the reason declared first, and what has no fault be accepted.
fn check<A: Clone>(right: &A, groups: &[&[Fault<A>]], refused: impl Fn(&A) -> Option<Rejection>) {
    let combinations: usize = groups.iter().map(|group| group.len() + 1).product();
    for number in 0..combinations {
        let (mut asked, mut rest, mut wrong) = (right.clone(), number, Vec::new());
        for group in groups {
            let place = rest % (group.len() + 1);
            rest /= group.len() + 1;
            if let Some((code, break_it)) = place.checked_sub(1).map(|place| group[place]) {
                break_it(&mut asked);
                wrong.push(code);
            }
        }
        assert_eq!(refused(&asked), wrong.iter().min().copied(), "of {wrong:?}");
    }
}

fn refusal(given: &Given, command: impl Into<Command>) -> Option<Rejection> {
    match given.clone().when(command).events() {
        [event] => match &event.data {
            EventData::CommandRefused(refused) => Some(refused.code),
            _ => None,
        },
        _ => None,
    }
}

const NOON: &str = "2026-11-23T12:00:00+05:30";
const SQUARE_OFF: &str = "2026-11-23T15:20:00+05:30";
/// As many as an order takes.
const CHANGES_MAX: u32 = 25;
/// A quantity whose worth at any price above 10.00 is more than the ledger holds.
const TOO_MANY: i64 = i64::MAX / 2;

fn unknown() -> InstrumentId {
    InstrumentId::new("NSE:NONE").expect("instrument")
}

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
fn of_a_stop_loss_that_opens_a_position() {
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
fn of_a_purchase_at_a_limit_or_at_market() {
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
fn of_a_sale_of_what_is_held() {
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

/// A change of order 3, which bought twenty intraday at 100.00 and of which five are filled.
#[derive(Clone)]
struct Changed {
    modify: Modify,
    is_closed: bool,
    waits: bool,
    changes: u32,
    at: &'static str,
    cash: &'static str,
}

impl Changed {
    fn refusal(&self) -> Option<Rejection> {
        let market = given().fact(listed("EQ", Some("0.05"), Some(20))).fact(closed("2026-11-20", "100.00"));
        let place = Place { disclosed_quantity: Some(shares(4)), ..mis(buy(20, "100.00")) };
        let mut world = market.and(open()).and(deposit("500.00")).and(place);
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
        refusal(&world.and(deposit(self.cash)).at(self.at), self.modify.clone())
    }
}

#[test]
fn of_a_change() {
    let right = Changed {
        modify: change(3, Some(30), Some("101.00")),
        is_closed: false,
        waits: false,
        changes: 0,
        at: NOON,
        cash: "100000.00",
    };
    check(
        &right,
        &[
            &[
                (Rejection::QuantityNotPositive, |asked| asked.modify.quantity = Some(shares(-1))),
                (Rejection::QuantityBelowFilled, |asked| asked.modify.quantity = Some(shares(4))),
                (Rejection::DisclosedQuantityNotAllowed, |asked| asked.modify.quantity = Some(shares(41))),
            ],
            &[
                (Rejection::PriceNotPositive, |asked| asked.modify.price = Some(Price::ZERO)),
                (Rejection::PriceNotAllowed, |asked| asked.modify.order_type = Some(OrderType::Market)),
                (Rejection::TriggerPriceRequired, |asked| asked.modify.order_type = Some(OrderType::Sl)),
                (Rejection::PriceOffTick, |asked| asked.modify.price = Some(price("101.01"))),
                (Rejection::PriceOutsideBand, |asked| asked.modify.price = Some(price("120.05"))),
            ],
            &[
                (Rejection::UnknownOrder, |asked| asked.modify.order_id = order_id(77)),
                (Rejection::OrderClosed, |asked| asked.is_closed = true),
            ],
            &[(Rejection::ModificationPending, |asked| asked.waits = true)],
            &[(Rejection::TooManyModifications, |asked| asked.changes = CHANGES_MAX)],
            &[(Rejection::SquareOffPassed, |asked| asked.at = SQUARE_OFF)],
            &[(Rejection::InsufficientCash, |asked| asked.cash = "1.00")],
        ],
        Changed::refusal,
    );
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
    let nothing = Changed { modify: change(3, Some(20), None), at: SQUARE_OFF, ..right };
    assert_eq!(nothing.refusal(), Some(Rejection::NothingToModify));
}

#[test]
fn of_a_conversion() {
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
fn of_a_redemption() {
    let world = |nav: bool| {
        let world = given().fact(known_scheme());
        let world = if nav { world.fact(nav_of("2026-11-20", "40.0000")) } else { world };
        world.and(open()).and(imported_units(Kind::Purchase, "100.000", None))
    };
    let worlds = [world(true), world(false)];
    let other_folio = |asked: &mut (Redemption, usize)| {
        asked.0.folio = domain::ids::Folio::new("OTHER").expect("folio");
    };
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
                (Rejection::UnknownScheme, |asked: &mut (Redemption, usize)| {
                    asked.0.scheme = SchemeCode::new("100001").expect("scheme");
                }),
            ],
            &[(Rejection::UnknownFolio, other_folio)],
            &[(Rejection::RedeemOneOf, |asked| asked.0.units = Some(units("1.000")))],
        ],
        |(redemption, world)| refusal(&worlds[*world], redemption.clone()),
    );
}

#[test]
fn of_a_row_of_history_and_of_a_trade() {
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
fn of_an_assignment() {
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

#[test]
fn of_a_fact_about_the_market() {
    let market = |prices: &[DayPrice]| {
        let facts = [listed("EQ", Some("0.05"), None).into()];
        let facts = facts.into_iter().chain(prices.iter().cloned().map(Fact::from));
        facts.fold(domain::market::Market::default(), |market, fact| {
            let event = domain::market::decide(&market, &fact, time(NOON));
            domain::market::evolve(market, &event)
        })
    };
    let known = market(&[closed("2026-11-20", "100.00")]);
    check(
        &closed("2026-11-19", "101.00"),
        &[
            &[(Rejection::UnknownInstrument, |day: &mut DayPrice| day.instrument = unknown())],
            &[(Rejection::FactContradicted, |day| day.date = date("2026-11-20"))],
            &[(Rejection::FactInconsistent, |day| day.low = price("102.00"))],
        ],
        |day| match domain::market::decide(&known, &day.clone().into(), time(NOON)).data {
            domain::market::MarketEventData::CommandRefused(refused) => Some(refused.code),
            _ => None,
        },
    );
}

#[test]
fn of_work_that_is_not_due_for_what_is_not_there() {
    let send = |seq| domain::fund::Send { fund_order_id: FundOrderId { account: order_id(0).account, seq } };
    assert_eq!(refusal(&funded(), send(9)), Some(Rejection::UnknownFundOrder));
    let expire = |seq| domain::order::Expire { order_id: order_id(seq) };
    assert_eq!(refusal(&funded(), expire(9)), Some(Rejection::UnknownOrder));
    let over = funded().and(buy(1, "100.00")).and(report(3, ReportKind::Rejected));
    assert_eq!(refusal(&over, expire(3)), Some(Rejection::OrderClosed));
    assert_eq!(refusal(&given(), withdraw("-1.00")), Some(Rejection::UnknownAccount));
    assert_eq!(refusal(&funded(), withdraw("-1.00")), Some(Rejection::AmountNotPositive));
}
