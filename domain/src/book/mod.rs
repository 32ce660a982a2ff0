//! One account's book: cash, orders, positions, fund orders and folios, decided and folded together.
//!
//! A command gives one list of events, so that a fill, the shares it moves and the cash it costs can
//! never disagree. Requests may be refused; facts (fills, reports, allotments, imports) are recorded
//! whatever the state. Knows no clock, no log, no other account.

mod days;
mod due;
mod evolve;
mod fills;
mod funds;
mod imports;
mod intraday;
mod leaving;
mod orders;
mod trade_cancellations;

use crate::{
    account,
    calendar::CalendarMode,
    cash::{self, Cash},
    command::Command,
    event::{Event, EventData},
    fund::{FundOrder, Holding},
    ids::{AccountId, Exchange, Folio, InstrumentId, OrderId, SchemeCode, TradeId},
    intraday::Standing,
    market::Market,
    money::{Money, Price, Quantity},
    order::{Order, Side},
    policy::Policy,
    position::Position,
    rejection::{Refusal, Rejection},
    time::{Date, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub use due::{due, next_due};
pub use evolve::fold;

/// Rises when `decide` may answer a command differently than before; recorded with every entry.
pub const RULES: u32 = 7;

/// Rises when the shape of [`Book`] changes: a snapshot of another shape is not read.
pub const SHAPE: u32 = 6;

/// What makes a trade known: exchange, trade date, trade id, side. Of a report that leaves out the exchange or the side,
/// the order it names stands for them: the number alone may be another trade's.
pub type TradeKey = (Option<Exchange>, Date, TradeId, Option<Side>, Option<u64>);

fn trade_key(exchange: Option<Exchange>, date: Date, trade_id: TradeId, side: Option<Side>, order: u64) -> TradeKey {
    let is_bare = exchange.is_none() || side.is_none();
    (exchange, date, trade_id, side, is_bare.then_some(order))
}

/// What a known trade said; a report with other content is a contradiction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TradeContent {
    /// The order it named; absent for an imported trade.
    pub order: Option<u64>,
    /// Shares.
    pub quantity: Quantity,
    /// Price, where known.
    pub price: Option<Price>,
    /// When it traded; not compared, as two reports of one trade may round it differently.
    pub executed_at: Timestamp,
    /// When it settles, as it was recorded; for trades of orders.
    pub settlement_date: Option<Date>,
    /// Of a trade that an operator assigned, the other order it is known by: the one it had named, or belongs to.
    pub assigned: Option<u64>,
    /// Whether the exchange has cancelled it since.
    pub cancelled: bool,
    /// Whether it was imported as history: its shares are counted, and never again as an order's.
    pub imported: bool,
    /// The entry that told it or, once it is an order's, counted it.
    pub seq: u64,
}

impl TradeContent {
    /// Whether it is known by this order.
    fn is_of(&self, order: u64) -> bool {
        self.order == Some(order) || self.assigned == Some(order)
    }
    /// Whether only its cancellation has been told, and nothing of the trade itself.
    fn is_only_cancelled(&self) -> bool {
        self.cancelled && self.quantity.is_zero()
    }
    /// Whether it is of so many shares, at the same price where both know one.
    fn agrees(&self, quantity: Quantity, price: Option<Price>) -> bool {
        self.quantity == quantity && (self.price == price || self.price.is_none() || price.is_none())
    }
    /// Whether a report says the same.
    fn says(&self, order: u64, quantity: Quantity, price: Price) -> bool {
        self.is_of(order) && (self.is_only_cancelled() || (self.quantity, self.price) == (quantity, Some(price)))
    }
}

/// A trade that waits for an operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnmatchedFill {
    /// The order it named.
    pub order: u64,
    /// The trade's id.
    pub trade_id: TradeId,
    /// Shares.
    pub quantity: Quantity,
    /// Price.
    pub price: Price,
    /// When it traded.
    pub executed_at: Timestamp,
    /// What traded, where known.
    pub instrument: Option<InstrumentId>,
    /// Side, where known.
    pub side: Option<Side>,
}

impl UnmatchedFill {
    /// What makes it known.
    fn key(&self) -> TradeKey {
        let exchange = self.instrument.and_then(|instrument| instrument.exchange());
        trade_key(exchange, self.executed_at.date(), self.trade_id, self.side, self.order)
    }
}

/// An account's state, folded from its entries in log order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Book {
    /// Whose.
    pub account: AccountId,
    /// Entries so far.
    pub seq: u64,
    /// Whether the account is open; facts may come before.
    pub opened: bool,
    /// Rupees.
    pub cash: Cash,
    /// Orders by the `seq` that requested them.
    pub orders: BTreeMap<u64, Order>,
    /// Shares by instrument.
    pub positions: BTreeMap<InstrumentId, Position>,
    /// Intraday positions by session and instrument.
    pub intraday: BTreeMap<(Date, InstrumentId), Standing>,
    /// Fund orders by the `seq` that requested them.
    pub fund_orders: BTreeMap<u64, FundOrder>,
    /// Units by scheme and folio.
    pub folios: BTreeMap<(SchemeCode, Folio), Holding>,
    /// Trades known.
    pub trades: HashMap<TradeKey, TradeContent>,
    /// The first and the last trade date of those that a venue told and that have left: a trade of a day between them may
    /// be one of them.
    pub forgotten: Option<(Date, Date)>,
    /// Trades that wait for assignment, by the `seq` that recorded them.
    pub unmatched: BTreeMap<u64, UnmatchedFill>,
    /// Pending orders by session.
    sessions: BTreeSet<(Date, u64)>,
    /// The intraday ones among them.
    intraday_orders: BTreeSet<(Date, u64)>,
    /// Days not netted, by trade date.
    nettings: BTreeSet<(Date, InstrumentId, Exchange)>,
    /// Settlement dates with something to settle, and the last entry that added to each.
    settlements: BTreeMap<Date, u64>,
    /// Fund orders not sent yet.
    to_send: BTreeSet<u64>,
    /// What is closed and will be forgotten.
    leaving: leaving::Leaving,
}

impl Book {
    /// The book of an account nothing is known of.
    pub fn new(account: AccountId) -> Self {
        Self {
            account,
            seq: 0,
            opened: false,
            cash: Cash::default(),
            orders: BTreeMap::new(),
            positions: BTreeMap::new(),
            intraday: BTreeMap::new(),
            fund_orders: BTreeMap::new(),
            folios: BTreeMap::new(),
            trades: HashMap::new(),
            forgotten: None,
            unmatched: BTreeMap::new(),
            sessions: BTreeSet::new(),
            intraday_orders: BTreeSet::new(),
            nettings: BTreeSet::new(),
            settlements: BTreeMap::new(),
            to_send: BTreeSet::new(),
            leaving: leaving::Leaving::default(),
        }
    }
    /// The order, when it is this account's and known.
    fn order(&self, id: &OrderId) -> Option<&Order> {
        if id.account == self.account { self.orders.get(&id.seq) } else { None }
    }
}

/// What deciding is told: it asks nobody else.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The time of the decision.
    pub now: Timestamp,
    /// The market facts folded so far.
    pub market: &'a Market,
    /// Which calendar this process runs by.
    pub calendar: CalendarMode,
    /// Dated rates.
    pub policy: &'a Policy,
}

/// The events of the account's next entry, whose `seq` is `book.seq + 1`.
///
/// A refusal is exactly one `command_refused`. An empty list is an accepted repeat of a fact that is known already.
pub fn decide(book: &Book, command: &Command, context: &Context<'_>) -> Vec<Event> {
    check(book, command, context).unwrap_or_else(|refusal| refuse(refusal, context.now))
}

/// A refusal as the events of an entry.
pub fn refuse(refusal: Refusal, now: Timestamp) -> Vec<Event> {
    vec![Event { effective_at: now, data: EventData::CommandRefused(refusal.into()) }]
}

fn check(book: &Book, command: &Command, context: &Context<'_>) -> Result<Vec<Event>, Refusal> {
    // Facts come first: they are recorded even for an account that was never opened.
    match command {
        Command::ReportOrder(report) => return Ok(orders::report(book, report, context.now)),
        Command::RecordFill(fill) => return fills::record(book, fill, context),
        Command::CancelTrade(cancel) => return trade_cancellations::record(book, cancel, context),
        Command::ReportAllotment(report) => return funds::report(book, report, context),
        _ => {}
    }
    match command {
        Command::OpenAccount(account::Open {}) if book.opened => return Err(Rejection::AccountExists.into()),
        Command::OpenAccount(account::Open {}) => {
            return Ok(vec![now(context, EventData::AccountOpened(account::Opened {}))]);
        }
        _ if !book.opened => return Err(Rejection::UnknownAccount.into()),
        _ => {}
    }
    match command {
        Command::DepositCash(cash::Deposit { amount }) => {
            positive(*amount)?;
            book.cash
                .settled
                .checked_add(*amount)
                .filter(|sum| *sum <= LARGEST_BALANCE)
                .ok_or_else(|| Rejection::AmountTooLarge.with("amount", amount))?;
            Ok(vec![now(context, EventData::CashDeposited(cash::Deposited { amount: *amount }))])
        }
        Command::WithdrawCash(cash::Withdraw { amount }) => {
            positive(*amount)?;
            let withdrawable = book.cash.withdrawable();
            if *amount > withdrawable {
                let figures = Rejection::InsufficientCash.with("needed", amount).with("withdrawable", withdrawable);
                return Err(figures.with("short", *amount - withdrawable));
            }
            Ok(vec![now(context, EventData::CashWithdrawn(cash::Withdrawn { amount: *amount }))])
        }
        Command::PlaceOrder(place) => orders::place(book, place, context),
        Command::ModifyOrder(modify) => orders::modify(book, modify, context),
        Command::CancelOrder(cancel) => orders::cancel(book, cancel, context),
        Command::AssignFill(assign) => fills::assign(book, assign, context),
        Command::ExpireOrder(expire) => days::expire(book, expire, context),
        Command::SquareOff(square_off) => intraday::square_off(book, square_off, context),
        Command::ConvertPosition(convert) => intraday::convert(book, convert, context),
        Command::NetDay(net) => days::net(book, net, context),
        Command::Settle(settle) => days::settle(book, settle, context),
        Command::RequestFundPurchase(purchase) => funds::purchase(book, purchase, context),
        Command::RequestFundRedemption(redemption) => funds::redemption(book, redemption, context),
        Command::SendFundOrder(send) => funds::send(book, send, context),
        Command::ImportTrade(import) => imports::trade(book, import, context.now),
        Command::ImportUnits(import) => imports::units(book, import, context.now),
        Command::OpenAccount(_)
        | Command::ReportOrder(_)
        | Command::RecordFill(_)
        | Command::CancelTrade(_)
        | Command::ReportAllotment(_) => unreachable!("answered above"),
    }
}

/// A balance above this (ten trillion rupees) is an error of input; sums of balances below it always fit.
const LARGEST_BALANCE: Money = Money::from_smallest(1_000_000_000_000_000);

fn positive(amount: Money) -> Result<(), Refusal> {
    if amount.is_positive() { Ok(()) } else { Err(Rejection::AmountNotPositive.with("amount", amount)) }
}

fn now(context: &Context<'_>, data: EventData) -> Event {
    Event { effective_at: context.now, data }
}

/// Whether available cash covers what a request adds to the blocks; one that adds nothing needs none, however negative cash is.
fn cover(book: &Book, needed: Money) -> Result<(), Refusal> {
    let available = book.cash.available();
    if needed > available && needed.is_positive() {
        let figures = Rejection::InsufficientCash.with("needed", needed).with("available", available);
        return Err(figures.with("short", needed - available));
    }
    Ok(())
}
