//! A plain executable model of an account's rules: whole paise and shares in ordinary maps, written from the design alone.
//!
//! It shares nothing with the book that it checks but the commands it is given. It knows one market: NSE:BAHI, in
//! series EQ or, trade-to-trade, BE, tick 0.05, closed at 100.00 on 2026-11-20 with a band of 20%, and whatever it last traded at since; one scheme with a NAV
//! of 40.0000; Monday to Friday; and the rates of November 2026: T+1, sales of settled shares usable in full, of T1
//! shares not at all, intraday gains not before they settle, a margin of a fifth, squaring off ten minutes before the end.

pub mod cash;
mod clock;
mod delivery;
pub mod funds;
mod intraday;
pub mod orders;
pub mod terms;
pub mod trades;

use cash::Cash;
use clock::{Day, has_passed_close};
use delivery::Delivery;
use domain::{
    command::Command,
    history::Kind,
    order::{Product, Side},
    time::Timestamp,
};
use funds::Funds;
use intraday::Position;
use orders::{Order, Waiting};
use std::collections::{BTreeMap, BTreeSet};
use trades::Trades;

pub use clock::day_of;

/// A refusal's code.
pub type Refused = &'static str;

/// Prices are in 1/10,000 of a rupee.
const CLOSED_AT: i128 = 1_000_000;

fn half_up(amount: i128, by: i128) -> i128 {
    (2 * amount + by).div_euclid(2 * by)
}
fn up(amount: i128, by: i128) -> i128 {
    (amount + by - 1).div_euclid(by)
}
fn side_of(is_purchase: bool) -> Side {
    if is_purchase { Side::Buy } else { Side::Sell }
}
/// What a trade is worth, in paise.
fn value_of(price: i128, shares: i128) -> i128 {
    half_up(price * shares, 100)
}

/// What time has made due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    SendFund(u64),
    /// Asks the venue to cancel an intraday order before squaring off.
    Cancel(u64),
    /// Asks the venue to close what is open intraday.
    SquareOff,
    Expire(u64),
    /// Makes delivery of what a session left open.
    Deliver(Day),
    Net(Day),
    Settle(Day),
}

impl Work {
    /// A command of the back office in these words.
    pub fn of(command: &Command) -> Self {
        let day = |date: domain::time::Date| i64::from(date.days_since_epoch());
        match command {
            Command::SendFundOrder(send) => Self::SendFund(send.fund_order_id.seq),
            Command::CancelOrder(cancel) => Self::Cancel(cancel.order_id.seq),
            Command::SquareOff(_) => Self::SquareOff,
            Command::ExpireOrder(expire) => Self::Expire(expire.order_id.seq),
            Command::ConvertPosition(convert) => {
                Self::Deliver(day(convert.trade_date.expect("a session that is over")))
            }
            Command::NetDay(net) => Self::Net(day(net.trade_date)),
            Command::Settle(settle) => Self::Settle(day(settle.settlement_date)),
            other => unreachable!("nothing makes {other:?} due"),
        }
    }
}

/// An account.
#[derive(Clone, Debug)]
pub struct Model {
    seq: u64,
    /// Whether its series is trade-to-trade: settled shares alone are sold, never intraday, and a day nets nothing.
    pub is_gross: bool,
    /// What the instrument last traded at.
    pub last: i128,
    pub cash: Cash,
    pub orders: BTreeMap<u64, Order>,
    pub delivery: Delivery,
    /// Intraday positions by the session that they belong to.
    pub intraday: BTreeMap<Day, Position>,
    /// How often a session's position was asked to be squared off.
    pub square_offs: BTreeMap<Day, u32>,
    pub funds: Funds,
    pub trades: Trades,
}

impl Model {
    pub fn new(is_gross: bool) -> Self {
        Self {
            seq: 0,
            is_gross,
            last: CLOSED_AT,
            cash: Cash::default(),
            orders: BTreeMap::new(),
            delivery: Delivery::default(),
            intraday: BTreeMap::new(),
            square_offs: BTreeMap::new(),
            funds: Funds::default(),
            trades: Trades::default(),
        }
    }

    pub fn blocked(&self) -> i128 {
        let orders: i128 = self.orders.values().map(|order| order.blocked).sum();
        let positions: i128 = self.intraday.values().map(Position::margin).sum();
        orders + positions + self.funds.blocked_cash()
    }
    /// Payables are as good as gone.
    pub fn withdrawable(&self) -> i128 {
        self.cash.settled - self.cash.payable() - self.blocked()
    }
    pub fn available(&self) -> i128 {
        self.withdrawable() + self.cash.usable()
    }
    pub fn blocked_shares(&self) -> i128 {
        self.orders.values().map(|order| order.blocked_shares).sum()
    }

    /// Counts the entry of a command and does what it asks, or says why not.
    pub fn take(&mut self, command: &Command, now: Timestamp) -> Result<(), Refused> {
        self.seq += 1;
        match command {
            Command::OpenAccount(_) => Ok(()),
            Command::DepositCash(deposit) => {
                self.cash.settled += i128::from(deposit.amount.smallest());
                Ok(())
            }
            Command::WithdrawCash(withdraw) => {
                let amount = i128::from(withdraw.amount.smallest());
                if amount > self.withdrawable() {
                    return Err("insufficient_cash");
                }
                self.cash.settled -= amount;
                Ok(())
            }
            Command::PlaceOrder(place) => self.place(place, now),
            Command::ModifyOrder(modify) => self.modify(modify, now),
            Command::CancelOrder(cancel) => {
                self.changeable(cancel.order_id.seq)?.waiting = Waiting::Cancellation;
                Ok(())
            }
            Command::ConvertPosition(convert) => {
                let is_to_delivery = (convert.from, convert.to) == (Product::Mis, Product::Cnc);
                self.convert(convert.quantity.shares().into(), is_to_delivery, now)
            }
            Command::ReportOrder(report) => {
                self.report(report);
                Ok(())
            }
            Command::RecordFill(fill) => self.fill(fill),
            Command::AssignFill(assign) => self.assign(assign.seq, assign.order_id.seq),
            Command::CancelTrade(cancel) => {
                self.cancel_trade(cancel);
                Ok(())
            }
            Command::RequestFundPurchase(purchase) => self.ask_purchase(purchase),
            Command::RequestFundRedemption(redemption) => self.ask_redemption(redemption),
            Command::ReportAllotment(report) => self.answered(report),
            Command::ImportTrade(import) => {
                let shares = i128::from(import.quantity.shares());
                self.delivery.settled += if import.kind == Kind::Sale { -shares } else { shares };
                Ok(())
            }
            Command::ImportUnits(import) => {
                let units = i128::from(import.units.smallest());
                *self.funds.units.get_or_insert(0) += if import.kind == Kind::Sale { -units } else { units };
                Ok(())
            }
            other => unreachable!("the model is not asked {other:?}"),
        }
    }

    fn cover(&self, needed: i128) -> Result<(), Refused> {
        if needed > 0 && needed > self.available() { Err("insufficient_cash") } else { Ok(()) }
    }
    fn cover_shares(&self, needed: i128) -> Result<(), Refused> {
        let held = if self.is_gross { self.delivery.settled } else { self.delivery.held() };
        let free = held - self.blocked_shares();
        if needed > 0 && needed > free { Err("insufficient_shares") } else { Ok(()) }
    }

    /// All that time has made due and nobody has done.
    pub fn due(&self, now: Timestamp) -> BTreeSet<Work> {
        let mut due: BTreeSet<Work> = self.funds.unsent().map(Work::SendFund).collect();
        let is_over = |order: &Order| !order.is_over() && has_passed_close(order.session, now);
        due.extend(self.orders.iter().filter(|(_, order)| is_over(order)).map(|(seq, _)| Work::Expire(*seq)));
        due.extend(self.due_before_the_close(now));
        due.extend(self.undelivered(now).into_iter().map(Work::Deliver));
        let traded = self.delivery.days.iter().filter(|(day, traded)| **day < day_of(now) && !traded.is_empty());
        due.extend(traded.map(|(day, _)| Work::Net(*day)));
        let moves = self.cash.due.iter().filter(|(_, due)| **due != cash::Due::default()).map(|(date, _)| date);
        let dates = moves.chain(self.delivery.t1.keys()).filter(|date| has_passed_close(**date, now));
        due.extend(dates.copied().map(Work::Settle));
        due
    }

    /// Does what the back office did; false if it was not due.
    #[must_use]
    pub fn was_due(&mut self, work: Work, now: Timestamp) -> bool {
        self.seq += 1;
        // A day or a date of which nothing is left may be netted or settled all the same.
        let is_idle = match work {
            Work::Net(day) => day < day_of(now),
            Work::Settle(date) => has_passed_close(date, now),
            _ => false,
        };
        if !self.due(now).contains(&work) && !is_idle {
            return false;
        }
        match work {
            Work::SendFund(seq) => {
                self.cash.settled -= self.funds.send(seq);
            }
            Work::Cancel(seq) => {
                let order = self.orders.get_mut(&seq).expect("due");
                (order.waiting, order.is_asked_to_leave) = (Waiting::Cancellation, true);
            }
            Work::SquareOff => self.square_off(day_of(now)),
            Work::Expire(seq) => self.orders.get_mut(&seq).expect("due").end_unless_traded("expired"),
            Work::Deliver(session) => self.deliver_rest(session),
            Work::Net(day) => self.net(day),
            Work::Settle(date) => {
                self.cash.settle(date);
                self.delivery.settle(date);
            }
        }
        true
    }
}
