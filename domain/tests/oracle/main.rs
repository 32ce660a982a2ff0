//! The book against an oracle: any commands, reports, trades and passing of time, in any order, decided and folded by
//! the book and by a plain model written apart from it; after each step both must say the same.

mod model;
#[path = "../support/mod.rs"]
mod support;

use domain::{
    book::{self, Book, Context},
    calendar::CalendarMode,
    command::Command,
    event::EventData,
    history::Kind,
    ids::AccountId,
    market::{self, Fact, Market},
    money::{Money, Price, Units},
    order::{Assign, Fill, ReportKind, Side},
    policy::Policy,
    time::Timestamp,
};
use model::{Due, Model};
use proptest::prelude::*;
use std::collections::BTreeMap;
use support::*;

/// Days that may be due at once: netting, settling and expiring of all that a run can hold.
const DUE_MAX: usize = 1_000;

/// A Thursday: a weekend and the settlements after it follow.
const FIRST: &str = "2026-11-26T09:30:00+05:30";
/// Before the first order leaves the book, seven days after its session: leaving has tests of its own.
const LAST: &str = "2026-12-02T23:59:00+05:30";

/// What happens next; an order is named by its place among those there are, so that most steps meet one.
#[derive(Clone, Debug)]
enum Step {
    Deposit(i64),
    Withdraw(i64),
    Place { buys: bool, quantity: i64, ticks: Option<i64>, off_tick: bool },
    Modify { order: usize, quantity: Option<i64>, ticks: Option<i64> },
    Cancel { order: usize },
    Report { order: usize, kind: ReportKind },
    Fill { order: usize, trade: u8, quantity: i64, ticks: i64, hours_ago: i64 },
    Assign { unmatched: usize, order: usize },
    Purchase(i64),
    Redeem { units: Option<i64>, amount: Option<i64> },
    Allot { order: usize, units: i64, paise: i64 },
    RejectFund { order: usize },
    Import { sale: bool, quantity: i64 },
    ImportUnits(i64),
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let order = || 0usize..12;
    // 79.00 to 121.00: now and then outside the band of 80.00 to 120.00.
    let ticks = || 1_580i64..2_421;
    let kind = prop::sample::select(vec![
        ReportKind::Accepted,
        ReportKind::Accepted,
        ReportKind::Modified,
        ReportKind::Modified,
        ReportKind::Rejected,
        ReportKind::Cancelled,
        ReportKind::Expired,
    ]);
    let step = prop_oneof![
        3 => (1i64..800_000).prop_map(Step::Deposit),
        1 => (1i64..400_000).prop_map(Step::Withdraw),
        7 => (any::<bool>(), 1i64..40, prop::option::weighted(0.8, ticks()), prop::bool::weighted(0.03))
            .prop_map(|(buys, quantity, ticks, off_tick)| Step::Place { buys, quantity, ticks, off_tick }),
        4 => (order(), prop::option::of(1i64..60), prop::option::of(ticks()))
            .prop_map(|(order, quantity, ticks)| Step::Modify { order, quantity, ticks }),
        2 => order().prop_map(|order| Step::Cancel { order }),
        6 => (order(), kind).prop_map(|(order, kind)| Step::Report { order, kind }),
        9 => (order(), 0u8..20, 1i64..30, ticks(), prop_oneof![3 => Just(0i64), 1 => 0i64..60])
            .prop_map(|(order, trade, quantity, ticks, hours_ago)| Step::Fill { order, trade, quantity, ticks, hours_ago }),
        1 => (0usize..4, order()).prop_map(|(unmatched, order)| Step::Assign { unmatched, order }),
        2 => (1i64..300_000).prop_map(Step::Purchase),
        2 => (prop::option::of(1i64..900_000), 1i64..400_000)
            .prop_map(|(units, amount)| Step::Redeem { units, amount: units.is_none().then_some(amount) }),
        1 => Just(Step::Redeem { units: None, amount: None }),
        3 => (order(), 1i64..900_000, 1i64..400_000)
            .prop_map(|(order, units, paise)| Step::Allot { order, units, paise }),
        1 => order().prop_map(|order| Step::RejectFund { order }),
        2 => (prop::bool::weighted(0.2), 1i64..50).prop_map(|(sale, quantity)| Step::Import { sale, quantity }),
        1 => (1i64..900_000).prop_map(Step::ImportUnits),
    ];
    // Mostly minutes; sometimes over a close, a midnight or a weekend.
    let minutes = prop_oneof![8 => 0i64..30, 2 => 0i64..600, 1 => 0i64..6_000];
    proptest::collection::vec((minutes, step), 1..100)
}

fn price_of(ticks: i64, off_tick: bool) -> Price {
    Price::from_smallest(ticks * 500 + i64::from(off_tick) * 100)
}

/// The step as a command; names what is there, or an order that is not when there is none.
fn command(step: &Step, model: &Model, funds: &[u64], now: Timestamp) -> Command {
    // The latest few are met again and again; one place in twelve names none.
    let latest: Vec<u64> = model.orders.keys().rev().take(5).copied().collect();
    let named = |place: usize| match (place, latest.len()) {
        (0, _) | (_, 0) => 999,
        (place, count) => latest[(place - 1) % count],
    };
    let fund = |place: usize| funds.iter().rev().nth(place % 4).copied().unwrap_or(999);
    match *step {
        Step::Deposit(paise) => domain::cash::Deposit { amount: Money::from_smallest(paise) }.into(),
        Step::Withdraw(paise) => domain::cash::Withdraw { amount: Money::from_smallest(paise) }.into(),
        Step::Place { buys, quantity, ticks, off_tick } => {
            let mut place = order(if buys { Side::Buy } else { Side::Sell }, quantity, ticks.map(|_| "1.00"));
            place.price = ticks.map(|ticks| price_of(ticks, off_tick));
            place.into()
        }
        Step::Modify { order, quantity, ticks } => {
            let mut modify = change(named(order), quantity, None);
            modify.price = ticks.map(|ticks| price_of(ticks, false));
            modify.into()
        }
        Step::Cancel { order } => cancel(named(order)).into(),
        Step::Report { order, kind } => report(named(order), kind).into(),
        Step::Fill { order, trade, quantity, ticks, hours_ago } => Fill {
            price: price_of(ticks, false),
            executed_at: now.plus_micros(-hours_ago * 3_600_000_000),
            ..fill(named(order), &format!("T{trade}"), quantity, "1.00")
        }
        .into(),
        Step::Assign { unmatched, order } => {
            let seq = model.unmatched.keys().nth(unmatched).copied().unwrap_or(999);
            Assign { seq, order_id: order_id(named(order)) }.into()
        }
        Step::Purchase(paise) => {
            domain::fund::Purchase { amount: Money::from_smallest(paise), ..purchase("1.00") }.into()
        }
        Step::Redeem { units, amount } => {
            let all = (units.is_none() && amount.is_none()).then_some(true);
            let (units, amount) = (units.map(Units::from_smallest), amount.map(Money::from_smallest));
            domain::fund::Redemption { units, amount, all, ..redemption(None, None, None) }.into()
        }
        Step::Allot { order, units, paise } => {
            let (units, payout) = (Units::from_smallest(units).to_string(), Money::from_smallest(paise).to_string());
            let pays_on = domain::time::Date::from_ymd(2026, 11, 27).expect("a date").to_string();
            allotment(fund(order), "40.0000", &units, None, Some((&payout, &pays_on))).into()
        }
        Step::RejectFund { order } => fund_rejection(fund(order)).into(),
        Step::Import { sale, quantity } => {
            imported(if sale { Kind::Sale } else { Kind::Purchase }, quantity, None, "2025-01-15").into()
        }
        Step::ImportUnits(units) => {
            imported_units(Kind::Purchase, &Units::from_smallest(units).to_string(), None).into()
        }
    }
}

fn market() -> Market {
    let facts: [Fact; 4] = [
        listed("EQ", Some("0.05"), Some(20)).into(),
        closed("2026-11-20", "100.00").into(),
        known_scheme().into(),
        nav_of("2026-11-20", "40.0000").into(),
    ];
    facts.iter().fold(Market::default(), |market, fact| {
        let event = market::decide(&market, fact, time("2026-11-21T00:00:00+05:30"));
        market::evolve(market, &event)
    })
}

/// Everything compared, in one shape for both.
#[derive(Debug, PartialEq)]
struct Seen {
    settled: i128,
    available: i128,
    withdrawable: i128,
    blocked: i128,
    due: BTreeMap<i64, (i128, i128, i128)>,
    /// Bought today, T1, settled, blocked.
    shares: [i128; 4],
    t1: BTreeMap<i64, i128>,
    /// Quantity, filled, pending, cancelled; status; cash and shares blocked.
    orders: BTreeMap<u64, ([i128; 4], &'static str, i128, i128)>,
    /// Held and blocked.
    units: Option<(i128, i128)>,
    unmatched: Vec<u64>,
}

fn of_book(book: &Book) -> Seen {
    let position = book.positions.get(&instrument()).cloned().unwrap_or_default();
    let shares = position.shares;
    let due = book.cash.due.iter().map(|(date, due)| {
        let amounts = [due.receivable, due.usable, due.payable].map(|amount| i128::from(amount.smallest()));
        (i64::from(date.days_since_epoch()), (amounts[0], amounts[1], amounts[2]))
    });
    let orders = book.orders.iter().map(|(seq, order)| {
        let quantities = [order.quantity, order.filled, order.pending(), order.cancelled()];
        let blocked = (order.blocked.smallest().into(), order.blocked_quantity.shares().into());
        (*seq, (quantities.map(|shares| shares.shares().into()), order.status.name(), blocked.0, blocked.1))
    });
    let folio = book.folios.get(&(scheme(), folio()));
    Seen {
        settled: book.cash.settled.smallest().into(),
        available: book.cash.available().smallest().into(),
        withdrawable: book.cash.withdrawable().smallest().into(),
        blocked: book.cash.blocked.smallest().into(),
        due: due.filter(|(_, amounts)| *amounts != (0, 0, 0)).collect(),
        shares: [shares.bought_today, shares.t1, shares.settled, position.blocked].map(|shares| shares.shares().into()),
        t1: position.t1.iter().map(|(date, lot)| (date.days_since_epoch().into(), lot.shares().into())).collect(),
        orders: orders.collect(),
        units: folio.map(|folio| (folio.units.smallest().into(), folio.blocked.smallest().into())),
        unmatched: book.unmatched.keys().copied().collect(),
    }
}

fn of_model(model: &Model) -> Seen {
    let due =
        model.due.iter().map(|(date, Due { receivable, usable, payable })| (*date, (*receivable, *usable, *payable)));
    let orders = model.orders.iter().map(|(seq, order)| {
        let cancelled = if order.is_over() { order.quantity - order.filled } else { 0 };
        let quantities = [order.quantity, order.filled, order.pending(), cancelled];
        (*seq, (quantities, order.status, order.blocked, order.blocked_shares))
    });
    Seen {
        settled: model.settled,
        available: model.available(),
        withdrawable: model.withdrawable(),
        blocked: model.blocked(),
        due: due.filter(|(_, amounts)| *amounts != (0, 0, 0)).collect(),
        shares: [model.today, model.t1_shares(), model.settled_shares, model.blocked_shares()],
        t1: model.t1.iter().map(|(date, lot)| (*date, *lot)).collect(),
        orders: orders.collect(),
        units: model.units.map(|units| (units, model.blocked_units())),
        unmatched: model.unmatched.keys().copied().collect(),
    }
}

/// What the steps met, so that a run that meets nothing does not pass for one that agrees.
#[derive(Debug, Default)]
struct Met(BTreeMap<&'static str, usize>);

fn run(steps: &[(i64, Step)], met: &mut Met) {
    let (market, policy) = (market(), Policy::default());
    let mut book = Book::new(AccountId::new("ACC1").expect("id"));
    let mut model = Model::default();
    let mut funds: Vec<u64> = Vec::new();
    let mut now = time(FIRST);
    let step_of = |book: Book, command: &Command, now: Timestamp| {
        let context = Context { now, market: &market, calendar: CalendarMode::Exchange, policy: &policy };
        let events = book::decide(&book, command, &context);
        let refused = match events.as_slice() {
            [event] => match &event.data {
                EventData::CommandRefused(refused) => Some(refused.code.code()),
                _ => None,
            },
            _ => None,
        };
        let seq = book.seq + 1;
        (book::fold(book, seq, now, &events), refused)
    };
    let opened = open().into();
    model.take(&opened, now).expect("an account can be opened");
    book = step_of(book, &opened, now).0;
    for (minutes, step) in steps {
        now = now.plus_micros(minutes * 60_000_000).min(time(LAST));
        let mut done = 0;
        loop {
            let context = Context { now, market: &market, calendar: CalendarMode::Exchange, policy: &policy };
            let Some((id, due)) = book::due(&book, &context, 1).pop() else { break };
            let (after, refused) = step_of(book, &due, now);
            assert_eq!(refused, None, "{id} at {now}");
            book = after;
            done += 1;
            assert!(done < DUE_MAX, "work stays due at {now}: {id}");
        }
        assert_eq!(done, model.catch_up(now), "entries due at {now}");
        assert_eq!(of_book(&book), of_model(&model), "what is due at {now}");
        let command = command(step, &model, &funds, now);
        let (after, refused) = step_of(book, &command, now);
        book = after;
        let said = model.take(&command, now);
        assert_eq!(refused, said.err(), "{command:?} at {now}");
        assert_eq!(of_book(&book), of_model(&model), "after {command:?} at {now}");
        if refused.is_none() && matches!(step, Step::Purchase(_) | Step::Redeem { .. }) {
            funds.push(book.seq);
        }
        *met.0.entry(refused.unwrap_or("accepted")).or_default() += 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn the_book_says_what_the_plain_model_says(steps in steps()) {
        run(&steps, &mut Met::default());
    }
}

#[test]
fn the_steps_meet_every_refusal_that_the_model_knows() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut met = Met::default();
    for _ in 0..400 {
        let steps = steps().new_tree(&mut runner).expect("steps can be made").current();
        run(&steps, &mut met);
    }
    for code in [
        "accepted",
        "insufficient_cash",
        "insufficient_shares",
        "insufficient_units",
        "unknown_folio",
        "unknown_order",
        "order_closed",
        "modification_pending",
        "nothing_to_modify",
        "quantity_below_filled",
        "price_not_allowed",
        "price_off_tick",
        "price_outside_band",
        "fill_contradicted",
        "fill_does_not_fit",
        "unknown_unmatched_fill",
    ] {
        assert!(met.0.contains_key(code), "no step met {code}: {met:?}");
    }
}
