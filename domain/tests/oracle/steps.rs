//! What happens next, drawn at random.

use crate::stories::{limit_order, stories};
use domain::{
    order::{OrderType, Product, ReportKind, Side, Validity},
    time::Timestamp,
};
use proptest::prelude::*;

/// How time passes before a step.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// None, and the back office has not come yet.
    AtOnce,
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
    /// A trade that is known, in the words it came in or in fewer or more, mostly as it was.
    TellAgain {
        trade: usize,
        more: i64,
        told: Option<Told>,
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
    /// With what is paid out, and in how many days.
    Allot {
        order: usize,
        units: i64,
        payout: Option<(i64, i32)>,
    },
    RejectFund {
        order: usize,
    },
    /// A report or an answer, word for word.
    ReportAgain(usize),
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
    pub side: Side,
    pub kind: OrderType,
    pub quantity: i64,
    pub ticks: i64,
    /// From the last price to the trigger, and from there to the limit.
    pub away: i64,
    pub beyond: i64,
    pub product: Product,
    pub validity: Validity,
    /// In 1/10,000 of a percent.
    pub protection: Option<i64>,
    pub disclosed: Option<i64>,
    /// Leaves out, adds or bends something: which.
    pub fault: Option<u8>,
}

#[derive(Clone, Debug, Default)]
pub struct Change {
    pub quantity: Option<i64>,
    pub ticks: Option<i64>,
    pub trigger: Option<i64>,
    pub kind: Option<OrderType>,
    pub validity: Option<Validity>,
    /// The type, with just the prices it takes, each so far from the one before.
    pub fitting: Option<(OrderType, i64, i64)>,
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
pub fn sides() -> impl Strategy<Value = Side> {
    prop::sample::select(vec![Side::Buy, Side::Sell])
}

pub fn new_orders() -> impl Strategy<Value = NewOrder> {
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

/// Mostly of one thing.
fn changes() -> impl Strategy<Value = Change> {
    let one = prop_oneof![
        4 => (1i64..50).prop_map(|quantity| Change { quantity: Some(quantity), ..Change::default() }),
        4 => ticks().prop_map(|ticks| Change { ticks: Some(ticks), ..Change::default() }),
        2 => ticks().prop_map(|trigger| Change { trigger: Some(trigger), ..Change::default() }),
        3 => (kinds(), 1i64..60, 0i64..20).prop_map(|fitting| Change { fitting: Some(fitting), ..Change::default() }),
        1 => validities().prop_map(|validity| Change { validity: Some(validity), ..Change::default() }),
    ];
    let any = (
        prop::option::weighted(0.4, 1i64..50),
        prop::option::weighted(0.5, ticks()),
        prop::option::weighted(0.5, ticks()),
        prop::option::weighted(0.5, kinds()),
        prop::option::weighted(0.1, validities()),
    );
    let any = any.prop_map(|(quantity, ticks, trigger, kind, validity)| Change {
        quantity,
        ticks,
        trigger,
        kind,
        validity,
        fitting: None,
    });
    prop_oneof![8 => one, 3 => any, 1 => Just(Change::default())]
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
    let told = || (prop::bool::weighted(0.1), prop::option::weighted(0.1, sides()));
    let fill = (order(), 0u8..20, prop::option::of(1i64..30), ticks(), hours_ago(), told());
    prop_oneof![
        3 => (1i64..1_500_000).prop_map(Step::Deposit),
        2 => prop::option::weighted(0.6, 1i64..400_000).prop_map(Step::Withdraw),
        2 => (1_700i64..2_300).prop_map(Step::Last),
        12 => new_orders().prop_map(Step::Place),
        6 => (order(), changes()).prop_map(|(order, change)| Step::Modify { order, change }),
        2 => order().prop_map(|order| Step::Cancel { order }),
        9 => (order(), prop::option::weighted(0.4, kind), prop::option::weighted(0.2, 1i64..60), prop::option::weighted(0.2, ticks()))
            .prop_map(|(order, kind, quantity, ticks)| Step::Report { order, kind, quantity, ticks }),
        11 => fill.prop_map(|(order, trade, quantity, ticks, hours_ago, told)| {
            Step::Fill { order, trade, quantity, ticks, hours_ago, told }
        }),
        2 => (0usize..6, prop_oneof![4 => Just(0i64), 1 => 1i64..3], prop::option::of(told()))
            .prop_map(|(trade, more, told)| Step::TellAgain { trade, more, told }),
        2 => (0usize..4, order()).prop_map(|(unmatched, order)| Step::Assign { unmatched, order }),
        5 => (prop::option::weighted(0.9, 0usize..9), order())
            .prop_map(|(trade, order)| Step::CancelTrade { trade, order }),
        6 => (prop::option::weighted(0.7, prop_oneof![1 => Just(0i64), 20 => 1i64..8]), prop::bool::weighted(0.05))
            .prop_map(|(quantity, back)| Step::Convert { quantity, back }),
        1 => (1i64..300_000).prop_map(Step::Purchase),
        1 => (prop::option::of(1i64..900_000), 1i64..400_000)
            .prop_map(|(units, amount)| Step::Redeem { units, amount: units.is_none().then_some(amount) }),
        1 => Just(Step::Redeem { units: None, amount: None }),
        2 => (order(), 1i64..900_000, prop::option::weighted(0.8, (1i64..400_000, prop::sample::select(vec![-1, 1, 4]))))
            .prop_map(|(order, units, payout)| Step::Allot { order, units, payout }),
        1 => order().prop_map(|order| Step::RejectFund { order }),
        2 => (0usize..6).prop_map(Step::ReportAgain),
        2 => (prop::bool::weighted(0.15), 1i64..50).prop_map(|(sale, quantity)| Step::Import { sale, quantity }),
        1 => (1i64..900_000).prop_map(Step::ImportUnits),
    ]
}

/// Mostly minutes; sometimes to squaring off, over a close, a midnight or a weekend.
fn clock() -> impl Strategy<Value = Clock> {
    let at = |hour: i64, minute: i64| Just(Clock::Until(hour * 60 + minute));
    prop_oneof![
        20 => Just(Clock::AtOnce),
        200 => (0i64..4).prop_map(Clock::Minutes),
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

/// Now and then trade-to-trade.
pub fn series() -> impl Strategy<Value = &'static str> {
    prop_oneof![7 => Just("EQ"), 1 => Just("BE")]
}

/// A day that is netted is traded on again, and one of its trades cancelled, before the back office has come.
fn corrected_at_midnight() -> impl Strategy<Value = Vec<(Clock, Step)>> {
    let placed = (sides(), sides(), 1i64..10, prop::bool::ANY);
    (placed, (1usize..3, 1i64..10, 1usize..3), 0u8..18).prop_map(
        |((first, second, quantity, is_filled), (order, late, cancelled), trade)| {
            let filled = |trade, order, quantity, hours_ago| Step::Fill {
                order,
                trade,
                quantity: Some(quantity),
                ticks: 2_000,
                hours_ago,
                told: (false, None),
            };
            let mut on_its_day = vec![limit_order(first, Product::Cnc, 20, 2_000), filled(trade, 1, quantity, 0)];
            on_its_day.push(limit_order(second, Product::Cnc, 20, 2_000));
            on_its_day.extend(is_filled.then(|| filled(trade + 1, 1, 2, 0)));
            let mut steps = soon(on_its_day);
            steps.push((Clock::Until(0), filled(trade + 2, order, late, 1)));
            steps.push((Clock::AtOnce, Step::CancelTrade { trade: Some(cancelled), order: 0 }));
            steps
        },
    )
}

/// Asked for and answered before the back office has come.
fn answered_at_once() -> impl Strategy<Value = Vec<(Clock, Step)>> {
    let all = Step::Redeem { units: None, amount: None };
    let asked = prop_oneof![(1i64..100_000).prop_map(Step::Purchase), Just(all)];
    let payout = prop::option::weighted(0.9, (1i64..400_000, 1..4));
    let allotted = (1i64..900_000, payout).prop_map(|(units, payout)| Step::Allot { order: 0, units, payout });
    let answer = prop_oneof![2 => allotted, 1 => Just(Step::RejectFund { order: 0 })];
    (clock(), asked, answer).prop_map(|(clock, asked, answer)| vec![(clock, asked), (Clock::AtOnce, answer)])
}

fn soon(steps: Vec<Step>) -> Vec<(Clock, Step)> {
    steps.into_iter().map(|step| (Clock::Minutes(0), step)).collect()
}

/// Most accounts begin with money and shares.
pub fn steps() -> impl Strategy<Value = Vec<(Clock, Step)>> {
    let money = prop::option::weighted(0.8, 1i64..3_000_000).prop_map(|paise| paise.map(Step::Deposit));
    let import = |quantity| Step::Import { sale: false, quantity };
    let shares = prop::option::weighted(0.6, 1i64..60).prop_map(move |quantity| quantity.map(import));
    let next = prop_oneof![
        1_200 => (clock(), step()).prop_map(|step| vec![step]),
        10 => stories().prop_map(soon),
        8 => answered_at_once(),
        4 => corrected_at_midnight(),
    ];
    (money, shares, proptest::collection::vec(next, 1..240)).prop_map(|(money, shares, steps)| {
        soon(money.into_iter().chain(shares).collect()).into_iter().chain(steps.into_iter().flatten()).collect()
    })
}

impl Clock {
    pub fn after(self, now: Timestamp) -> Timestamp {
        const MINUTE: i64 = 60_000_000;
        match self {
            Self::AtOnce => now,
            Self::Minutes(minutes) => now.plus_micros(minutes * MINUTE),
            Self::Until(minutes) => {
                let at = now.date().start().plus_micros(minutes * MINUTE);
                if at > now { at } else { at.plus_micros(24 * 60 * MINUTE) }
            }
        }
    }
}
