//! What happens next, drawn at random and aimed at what there is.

use crate::{
    model::{
        Model,
        orders::{Order, Waiting},
    },
    support::*,
};
use domain::{
    command::Command,
    history::Kind,
    ids::TradeId,
    money::{Money, Percent, Price, Quantity, Units},
    order::{Assign, CancelTrade, Fill, Modify, OrderType, Place, Product, Report, ReportKind, Side, Validity},
    time::{Date, Timestamp},
};
use proptest::prelude::*;

/// How time passes before a step.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    Minutes(i64),
    /// To the next such time of day, in minutes.
    Until(i64),
}

/// Named by place among those there are, so that most steps meet one.
#[derive(Clone, Debug)]
pub enum Step {
    Deposit(i64),
    /// Without an amount all that may leave.
    Withdraw(Option<i64>),
    /// The instrument trades elsewhere at so many ticks.
    Last(i64),
    Place(NewOrder),
    Modify {
        order: usize,
        change: Change,
    },
    Cancel {
        order: usize,
    },
    /// Without a kind what the order waits for.
    Report {
        order: usize,
        kind: Option<ReportKind>,
        quantity: Option<i64>,
        ticks: Option<i64>,
    },
    /// Without a quantity all that is pending.
    Fill {
        order: usize,
        trade: u8,
        quantity: Option<i64>,
        ticks: i64,
        hours_ago: i64,
        told: Told,
    },
    Assign {
        unmatched: usize,
        order: usize,
    },
    CancelTrade {
        trade: Option<usize>,
        order: usize,
    },
    /// Without a quantity all that is open.
    Convert {
        quantity: Option<i64>,
        back: bool,
    },
    Purchase(i64),
    Redeem {
        units: Option<i64>,
        amount: Option<i64>,
    },
    Allot {
        order: usize,
        units: i64,
        paise: i64,
    },
    RejectFund {
        order: usize,
    },
    Import {
        sale: bool,
        quantity: i64,
    },
    ImportUnits(i64),
}

/// Whether the instrument, and which side.
type Told = (bool, Option<Side>);

#[derive(Clone, Debug)]
pub struct NewOrder {
    side: Side,
    kind: OrderType,
    quantity: i64,
    ticks: i64,
    /// From the last price to the trigger, and from there to the limit.
    away: i64,
    beyond: i64,
    product: Product,
    validity: Validity,
    /// In 1/10,000 of a percent.
    protection: Option<i64>,
    disclosed: Option<i64>,
    /// Leaves out, adds or bends something: which.
    fault: Option<u8>,
}

#[derive(Clone, Debug)]
pub struct Change {
    quantity: Option<i64>,
    ticks: Option<i64>,
    trigger: Option<i64>,
    kind: Option<OrderType>,
    validity: Option<Validity>,
}

/// 79.00 to 121.00: now and then outside the band of 80.00 to 120.00.
fn ticks() -> impl Strategy<Value = i64> {
    prop_oneof![3 => 1_950i64..2_050, 1 => 1_580i64..2_421]
}
fn kinds() -> impl Strategy<Value = OrderType> {
    prop::sample::select(vec![OrderType::Limit, OrderType::Limit, OrderType::Market, OrderType::Sl, OrderType::SlM])
}
fn validities() -> impl Strategy<Value = Validity> {
    prop_oneof![5 => Just(Validity::Day), 1 => Just(Validity::Ioc)]
}
fn sides() -> impl Strategy<Value = Side> {
    prop::sample::select(vec![Side::Buy, Side::Sell])
}

fn new_orders() -> impl Strategy<Value = NewOrder> {
    let products = prop::sample::select(vec![Product::Cnc, Product::Mis]);
    (
        (sides(), kinds(), prop_oneof![1 => Just(0i64), 30 => 1i64..40], ticks(), -10i64..150, -5i64..40),
        (products, validities()),
        (prop::option::weighted(0.3, 1i64..300_000), prop::option::weighted(0.1, 1i64..30)),
        prop::option::weighted(0.06, 0u8..7),
    )
        .prop_map(
            |((side, kind, quantity, ticks, away, beyond), (product, validity), (protection, disclosed), fault)| {
                NewOrder { side, kind, quantity, ticks, away, beyond, product, validity, protection, disclosed, fault }
            },
        )
}

fn changes() -> impl Strategy<Value = Change> {
    let parts = (
        prop::option::weighted(0.4, 1i64..50),
        prop::option::weighted(0.4, ticks()),
        prop::option::weighted(0.15, ticks()),
        prop::option::weighted(0.15, kinds()),
        prop::option::weighted(0.1, validities()),
    );
    parts.prop_map(|(quantity, ticks, trigger, kind, validity)| Change { quantity, ticks, trigger, kind, validity })
}

fn step() -> impl Strategy<Value = Step> {
    let order = || 0usize..12;
    let kind = prop::sample::select(vec![
        ReportKind::Accepted,
        ReportKind::Modified,
        ReportKind::Triggered,
        ReportKind::Rejected,
        ReportKind::Cancelled,
        ReportKind::Expired,
    ]);
    let hours_ago = || prop_oneof![4 => Just(0i64), 1 => 0i64..60];
    let told = (prop::bool::weighted(0.1), prop::option::weighted(0.1, sides()));
    let fill = (order(), 0u8..20, prop::option::of(1i64..30), ticks(), hours_ago(), told);
    prop_oneof![
        3 => (1i64..1_500_000).prop_map(Step::Deposit),
        2 => prop::option::weighted(0.6, 1i64..400_000).prop_map(Step::Withdraw),
        2 => (1_700i64..2_300).prop_map(Step::Last),
        12 => new_orders().prop_map(Step::Place),
        6 => (order(), changes()).prop_map(|(order, change)| Step::Modify { order, change }),
        2 => order().prop_map(|order| Step::Cancel { order }),
        9 => (order(), prop::option::weighted(0.4, kind), prop::option::weighted(0.1, 1i64..60), prop::option::weighted(0.1, ticks()))
            .prop_map(|(order, kind, quantity, ticks)| Step::Report { order, kind, quantity, ticks }),
        11 => fill.prop_map(|(order, trade, quantity, ticks, hours_ago, told)| {
            Step::Fill { order, trade, quantity, ticks, hours_ago, told }
        }),
        2 => (0usize..4, order()).prop_map(|(unmatched, order)| Step::Assign { unmatched, order }),
        5 => (prop::option::weighted(0.9, 0usize..9), order())
            .prop_map(|(trade, order)| Step::CancelTrade { trade, order }),
        6 => (prop::option::weighted(0.7, prop_oneof![1 => Just(0i64), 20 => 1i64..8]), prop::bool::weighted(0.05))
            .prop_map(|(quantity, back)| Step::Convert { quantity, back }),
        1 => (1i64..300_000).prop_map(Step::Purchase),
        1 => (prop::option::of(1i64..900_000), 1i64..400_000)
            .prop_map(|(units, amount)| Step::Redeem { units, amount: units.is_none().then_some(amount) }),
        1 => Just(Step::Redeem { units: None, amount: None }),
        2 => (order(), 1i64..900_000, 1i64..400_000)
            .prop_map(|(order, units, paise)| Step::Allot { order, units, paise }),
        1 => order().prop_map(|order| Step::RejectFund { order }),
        2 => (prop::bool::weighted(0.15), 1i64..50).prop_map(|(sale, quantity)| Step::Import { sale, quantity }),
        1 => (1i64..900_000).prop_map(Step::ImportUnits),
    ]
}

/// Mostly minutes; sometimes to squaring off, over a close, a midnight or a weekend.
fn clock() -> impl Strategy<Value = Clock> {
    let at = |hour: i64, minute: i64| Just(Clock::Until(hour * 60 + minute));
    prop_oneof![
        70 => (0i64..4).prop_map(Clock::Minutes),
        2 => (0i64..600).prop_map(Clock::Minutes),
        1 => (0i64..6_000).prop_map(Clock::Minutes),
        1 => at(15, 19),
        1 => at(15, 20),
        1 => at(15, 26),
        1 => at(15, 30),
        2 => at(0, 0),
        2 => at(9, 30),
    ]
}

/// Most accounts begin with money and shares.
pub fn steps() -> impl Strategy<Value = Vec<(Clock, Step)>> {
    let money = prop::option::weighted(0.8, 1i64..3_000_000).prop_map(|paise| paise.map(Step::Deposit));
    let import = |quantity| Step::Import { sale: false, quantity };
    let shares = prop::option::weighted(0.6, 1i64..60).prop_map(move |quantity| quantity.map(import));
    (money, shares, proptest::collection::vec((clock(), step()), 1..140)).prop_map(|(money, shares, mut steps)| {
        steps.splice(0..0, money.into_iter().chain(shares).map(|step| (Clock::Minutes(0), step)));
        steps
    })
}

impl Clock {
    pub fn after(self, now: Timestamp) -> Timestamp {
        const MINUTE: i64 = 60_000_000;
        match self {
            Self::Minutes(minutes) => now.plus_micros(minutes * MINUTE),
            Self::Until(minutes) => {
                let at = now.date().start().plus_micros(minutes * MINUTE);
                if at > now { at } else { at.plus_micros(24 * 60 * MINUTE) }
            }
        }
    }
}

pub fn at_ticks(ticks: i64) -> Price {
    Price::from_smallest(ticks * 500)
}

impl NewOrder {
    fn command(&self, last: i64) -> Place {
        let away = if self.side == Side::Buy { 1 } else { -1 };
        let trigger = last / 500 + away * self.away;
        // Mostly a limit beyond the trigger, as it must be.
        let limit = if self.kind == OrderType::Sl { trigger + away * self.beyond } else { self.ticks };
        let mut place = Place {
            order_type: self.kind,
            price: self.kind.has_limit().then(|| at_ticks(limit)),
            trigger_price: self.kind.has_trigger().then(|| at_ticks(trigger)),
            disclosed_quantity: self.disclosed.map(Quantity::new),
            market_protection: self.protection.filter(|_| !self.kind.has_limit()).map(Percent::from_smallest),
            product: self.product,
            validity: self.validity,
            ..order(self.side, self.quantity, None)
        };
        match self.fault {
            Some(0) => place.price = None,
            Some(1) => place.price = Some(at_ticks(self.ticks)),
            Some(2) => place.trigger_price = None,
            Some(3) => place.trigger_price = Some(at_ticks(self.ticks)),
            Some(4) => place.price = place.price.map(|price| price + Price::from_smallest(100)),
            Some(5) => place.market_protection = Some(Percent::whole(5)),
            Some(_) => place.market_protection = Some(Percent::whole(101)),
            None => {}
        }
        place
    }
}

/// What a venue would say next.
fn awaited(order: &Order) -> ReportKind {
    match (order.waiting, order.status) {
        (_, "requested") => ReportKind::Accepted,
        (Waiting::Change(..), _) => ReportKind::Modified,
        (Waiting::Nothing, "trigger_pending") => ReportKind::Triggered,
        _ => ReportKind::Cancelled,
    }
}

/// The step as a command; names what is there, or an order that is not when there is none.
pub fn command(step: &Step, model: &Model, funds: &[u64], now: Timestamp) -> Command {
    // The latest that stand and the latest at all are met again and again; one place in twelve names none.
    let standing = model.orders.iter().rev().filter(|(_, order)| !order.is_over()).map(|(seq, _)| *seq).take(4);
    let latest: Vec<u64> = standing.chain(model.orders.keys().rev().take(2).copied()).collect();
    let named = |place: usize| match (place, latest.len()) {
        (0, _) | (_, 0) => 999,
        (place, count) => latest[(place - 1) % count],
    };
    let fund = |place: usize| funds.iter().rev().nth(place % 4).copied().unwrap_or(999);
    match step {
        Step::Deposit(paise) => domain::cash::Deposit { amount: Money::from_smallest(*paise) }.into(),
        Step::Withdraw(paise) => {
            let all = i64::try_from(model.withdrawable().max(1)).expect("an amount");
            domain::cash::Withdraw { amount: Money::from_smallest(paise.unwrap_or(all)) }.into()
        }
        Step::Last(_) => unreachable!("the market is told"),
        Step::Place(new) => new.command(i64::try_from(model.last).expect("a price")).into(),
        Step::Modify { order, change } => Modify {
            order_id: order_id(named(*order)),
            quantity: change.quantity.map(Quantity::new),
            price: change.ticks.map(at_ticks),
            trigger_price: change.trigger.map(at_ticks),
            order_type: change.kind,
            validity: change.validity,
        }
        .into(),
        Step::Cancel { order } => cancel(named(*order)).into(),
        Step::Report { order, kind, quantity, ticks } => {
            let seq = named(*order);
            let kind = kind.unwrap_or_else(|| model.orders.get(&seq).map_or(ReportKind::Accepted, awaited));
            let of_change = |told: &Option<i64>| told.filter(|_| kind == ReportKind::Modified);
            Report {
                quantity: of_change(quantity).map(Quantity::new),
                price: of_change(ticks).map(at_ticks),
                ..report(seq, kind)
            }
            .into()
        }
        Step::Fill { order, trade, quantity, ticks, hours_ago, told } => {
            let seq = named(*order);
            let pending = model.orders.get(&seq).map_or(0, |order| i64::try_from(order.pending()).expect("shares"));
            Fill {
                price: at_ticks(*ticks),
                executed_at: now.plus_micros(-hours_ago * 3_600_000_000),
                instrument: told.0.then(instrument),
                side: told.1,
                ..fill(seq, &format!("T{trade}"), quantity.unwrap_or(pending.max(1)), "1.00")
            }
            .into()
        }
        Step::Assign { unmatched, order } => {
            let seq = model.trades.unmatched().nth(*unmatched).unwrap_or(999);
            Assign { seq, order_id: order_id(named(*order)) }.into()
        }
        Step::CancelTrade { trade, order } => {
            let known = trade.and_then(|trade| model.trades.known.iter().rev().nth(trade));
            let of = |seq: u64, id: TradeId, day: Date| CancelTrade {
                order_id: order_id(seq),
                trade_id: id,
                trade_date: day,
                reason: None,
                at: now,
            };
            let id = |text: &str| TradeId::new(text).expect("a trade's id");
            known
                .map_or_else(
                    || of(named(*order), id("T3"), now.date()),
                    |known| {
                        let seq =
                            if order % 2 == 0 { known.named } else { known.order.map_or(known.named, |(seq, _)| seq) };
                        let today = i32::try_from(known.day).expect("a day");
                        of(seq, known.id, now.date().plus_days(today - now.date().days_since_epoch()))
                    },
                )
                .into()
        }
        Step::Convert { quantity, back } => {
            let open: i128 = model.intraday.values().map(|position| position.quantity.abs()).sum();
            let mut asked = convert(quantity.unwrap_or(i64::try_from(open).expect("shares")));
            if *back {
                (asked.from, asked.to) = (Product::Cnc, Product::Mis);
            }
            asked.into()
        }
        Step::Purchase(paise) => {
            domain::fund::Purchase { amount: Money::from_smallest(*paise), ..purchase("1.00") }.into()
        }
        Step::Redeem { units, amount } => {
            let all = (units.is_none() && amount.is_none()).then_some(true);
            let (units, amount) = (units.map(Units::from_smallest), amount.map(Money::from_smallest));
            domain::fund::Redemption { units, amount, all, ..redemption(None, None, None) }.into()
        }
        Step::Allot { order, units, paise } => {
            let (units, payout) = (Units::from_smallest(*units).to_string(), Money::from_smallest(*paise).to_string());
            allotment(fund(*order), "40.0000", &units, None, Some((&payout, "2026-11-27"))).into()
        }
        Step::RejectFund { order } => fund_rejection(fund(*order)).into(),
        Step::Import { sale, quantity } => {
            imported(if *sale { Kind::Sale } else { Kind::Purchase }, *quantity, None, "2025-01-15").into()
        }
        Step::ImportUnits(units) => {
            imported_units(Kind::Purchase, &Units::from_smallest(*units).to_string(), None).into()
        }
    }
}
