//! Of several reasons to refuse a command the one declared first is given: every combination of faults, command by command.
mod cash;
mod changes;
mod funds;
mod intraday;
mod market;
mod orders;
#[path = "../support/mod.rs"]
mod support;
mod trades;
mod work;

use domain::{
    command::Command,
    event::EventData,
    ids::{Folio, InstrumentId, SchemeCode},
    rejection::Rejection,
    testing::{Given, given},
};
use std::{cell::RefCell, collections::BTreeSet};
use support::*;

/// Reasons that meet no other: those from before the book is asked, and those that are the only one of their command.
/// Cancelling a trade has but one too, that it is too large; a report on an order has none.
const ALONE: &[Rejection] = &[
    Rejection::Undecodable,
    Rejection::IdempotencyKeyReused,
    Rejection::MarketBehind,
    Rejection::AccountExists,
    Rejection::PayoutRequired,
];

thread_local! {
    /// Those that have met another.
    static MET: RefCell<BTreeSet<Rejection>> = const { RefCell::new(BTreeSet::new()) };
}

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
        if wrong.iter().min() != wrong.iter().max() {
            MET.with_borrow_mut(|met| met.extend(wrong));
        }
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
const CLOSE: &str = "2026-11-23T15:30:00+05:30";
/// As many as an order takes.
const CHANGES_MAX: u32 = 25;
/// A quantity whose worth at any price above 10.00 is more than the ledger holds.
const TOO_MANY: i64 = i64::MAX / 2;

fn unknown() -> InstrumentId {
    InstrumentId::new("NSE:NONE").expect("instrument")
}
fn unknown_scheme() -> SchemeCode {
    SchemeCode::new("100001").expect("scheme")
}
fn unknown_folio() -> Folio {
    Folio::new("OTHER").expect("folio")
}

/// Something asked for in one of two worlds: as it should be, or not.
#[derive(Clone)]
struct Either<A> {
    asked: A,
    is_other: bool,
}

fn either<A>(asked: A) -> Either<A> {
    Either { asked, is_other: false }
}

impl<A: Clone + Into<Command>> Either<A> {
    fn refusal(&self, right: &Given, other: &Given) -> Option<Rejection> {
        refusal(if self.is_other { other } else { right }, self.asked.clone())
    }
}

/// An account that nothing is known of; the market is.
fn unopened() -> Given {
    given().fact(listed("EQ", Some("0.05"), Some(20))).fact(known_scheme())
}

#[test]
fn every_reason_has_met_another_or_is_alone() {
    let commands = [
        orders::of_a_stop_loss_that_opens_a_position,
        orders::of_a_purchase_at_a_limit_or_at_market,
        orders::of_a_sale_of_what_is_held,
        changes::of_a_change,
        changes::of_a_change_of_a_stop_loss_that_was_triggered,
        changes::of_a_change_of_what_squares_off,
        changes::of_a_cancellation,
        intraday::of_a_conversion,
        intraday::of_what_is_left_open_becoming_delivery,
        funds::of_a_fund_purchase,
        funds::of_a_redemption,
        trades::of_a_row_of_history_and_of_a_trade,
        trades::of_a_row_of_history_that_may_have_been_forgotten,
        funds::of_a_row_of_units,
        trades::of_an_assignment,
        market::of_a_fact_about_the_market,
        work::of_work_that_is_not_due,
        cash::of_cash,
    ];
    commands.iter().for_each(|check| check());
    let met = MET.take();
    let alone: Vec<Rejection> = Rejection::ALL.iter().copied().filter(|code| !met.contains(code)).collect();
    assert_eq!(alone, ALONE);
}
