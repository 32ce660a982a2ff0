//! Orders and fund orders of an account as they stand, until they have left; knows no shares and no cash beyond what an order blocks.
//!
//! What is closed leaves by [`leaves_on`]: an order by its session and the last of its settlement dates, a fund order by
//! the day of its answer and the day it pays.

use crate::{
    left::{Left, earlier, give_back},
    noted::Noted,
    older::Older,
    recent,
    row::Rows,
};
use domain::{
    event::{Event, EventData},
    fund::{self, Redeem},
    ids::{AccountId, Exchange, Folio, SchemeCode},
    money::{Money, Nav, Quantity, Units},
    order::{
        Order, OrderType, Product, Requested, Side, TradeCancelled, Validity, Waiting, leaves_on, order_of, reblocked,
    },
    time::{Date, Timestamp},
};
use event_schemas::entry::Happened;
use serde::{Deserialize, Serialize};
use std::ops::Deref;

/// An order as it stands, with what deciding need not remember.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderRow {
    /// The entry that requested it.
    pub seq: u64,
    /// The last entry about it.
    pub last_seq: u64,
    /// As the book has it.
    pub order: Order,
    /// What its trades were worth; over `filled` it is the average price.
    pub filled_value: Money,
    /// The part of the quantity that the market is shown at a time.
    pub disclosed_quantity: Option<Quantity>,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When something last happened to it.
    pub updated_at: Timestamp,
    /// The venue's number.
    pub exchange_order_id: Option<Box<str>>,
    /// The client's mark.
    pub tag: Option<Box<str>>,
    /// The algorithm that placed it.
    pub algo_id: Option<Box<str>>,
    /// Why the venue refused or cancelled it, or what was asked of it last.
    pub reason: Option<Box<str>>,
}

impl Deref for OrderRow {
    type Target = Order;
    fn deref(&self) -> &Order {
        &self.order
    }
}

impl OrderRow {
    /// From which day it is kept no longer, once it is closed.
    fn leaves_on(&self) -> Option<Date> {
        self.status.is_final().then(|| self.order.leaves_on())
    }

    fn fold(&mut self, data: &EventData) {
        match data {
            EventData::OrderAccepted(accepted) if accepted.applied => {
                self.exchange_order_id = accepted.exchange_order_id.map(|id| id.as_str().into());
            }
            EventData::OrderRejected(rejected) if rejected.applied => self.reason.clone_from(&rejected.reason),
            EventData::OrderModified(modified) if modified.applied => self.reason = None,
            EventData::OrderCancelled(cancelled) if cancelled.applied => self.reason.clone_from(&cancelled.reason),
            EventData::OrderFilled(filled) => self.filled_value += filled.value,
            EventData::FillAssigned(assigned) => self.filled_value += assigned.fill.value,
            EventData::TradeCancelled(TradeCancelled { undone: Some(undone), .. }) => self.filled_value -= undone.value,
            _ => {}
        }
        self.order.fold(data);
    }
}

/// A fund order as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FundOrderRow {
    /// The entry that requested it.
    pub seq: u64,
    /// The last entry about it.
    pub last_seq: u64,
    /// Which scheme.
    pub scheme: SchemeCode,
    /// Which folio; absent until the first allotment of a new one.
    pub folio: Option<Folio>,
    /// What was asked: rupees in, or units out.
    pub asked: FundAsked,
    /// Where it stands.
    pub status: fund::Status,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When something last happened to it.
    pub updated_at: Timestamp,
    /// When the registrar's answer was recorded.
    pub answered_on: Option<Date>,
    /// The registrar's answer.
    pub answer: Option<Box<FundAnswer>>,
    /// Why the registrar refused.
    pub reason: Option<Box<str>>,
}

impl FundOrderRow {
    /// From which day it is kept no longer, once it is answered.
    fn leaves_on(&self) -> Option<Date> {
        let pays_on = self.answer.as_ref().and_then(|answer| answer.pays_on);
        self.answered_on.map(|day| leaves_on(day, pays_on))
    }
}

/// What a fund order asks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum FundAsked {
    /// Rupees in.
    Purchase {
        /// How much.
        amount: Money,
    },
    /// Units out.
    Redemption {
        /// How much.
        redeem: Redeem,
        /// Units blocked until the registrar answers.
        blocked: Units,
    },
}

/// Units allotted or redeemed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FundAnswer {
    /// The NAV's date.
    pub nav_date: Date,
    /// The NAV.
    pub nav: Nav,
    /// The units.
    pub units: Units,
    /// Stamp duty within a purchase's amount.
    pub stamp_duty: Option<Money>,
    /// What a redemption pays.
    pub amount: Option<Money>,
    /// When it pays.
    pub pays_on: Option<Date>,
    /// Whether something in it is not as it should be.
    pub mismatch: bool,
}

/// The rows of one account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Orders {
    orders: Vec<OrderRow>,
    funds: Vec<FundOrderRow>,
    /// `seq` and place of orders that are not closed, so that the usual event finds its order at once.
    open: Vec<(u64, usize)>,
    left: Left,
    left_funds: Left,
    /// Before this day none leaves.
    next: Option<Date>,
    #[serde(skip)]
    changed: Noted,
}

impl Orders {
    /// Orders that have not left, by the entry that requested them, ascending.
    pub fn orders(&self) -> &[OrderRow] {
        &self.orders
    }
    /// Fund orders that have not left, by the entry that requested them, ascending.
    pub fn fund_orders(&self) -> &[FundOrderRow] {
        &self.funds
    }
    /// Orders that are not closed.
    pub fn open_orders(&self) -> impl Iterator<Item = &OrderRow> {
        self.open.iter().map(|(_, at)| &self.orders[*at])
    }
    /// Orders that have left.
    pub fn left(&self) -> &Left {
        &self.left
    }
    /// Fund orders that have left.
    pub fn left_funds(&self) -> &Left {
        &self.left_funds
    }
    /// The order that this entry requested, if it has not left.
    pub fn order(&self, seq: u64) -> Option<&OrderRow> {
        self.place(seq).map(|at| &self.orders[at])
    }
    /// The fund order that this entry requested, if it has not left.
    pub fn fund_order(&self, seq: u64) -> Option<&FundOrderRow> {
        recent::find(&self.funds, seq, |row| row.seq).map(|at| &self.funds[at])
    }

    /// All but its rows, for who keeps them apart.
    pub(crate) fn without_rows(&self) -> Self {
        Self {
            orders: Vec::new(),
            funds: Vec::new(),
            open: Vec::new(),
            left: self.left.clone(),
            left_funds: self.left_funds.clone(),
            next: self.next,
            changed: Noted::default(),
        }
    }
    /// The same with its rows again, ascending.
    pub(crate) fn with_rows(self, orders: Vec<OrderRow>, funds: Vec<FundOrderRow>) -> Self {
        let open = open_of(&orders);
        Self { orders, funds, open, ..self }
    }
    /// Which orders and fund orders change from now on, by their `seq`; some of them may have left since.
    pub(crate) fn changed(&mut self) -> &mut Noted {
        &mut self.changed
    }

    /// Folds one event of an entry.
    pub fn fold(&mut self, entry: &Happened, event: &Event) {
        let change = Change { seq: entry.seq, at: event.effective_at, recorded_on: entry.recorded_at.date() };
        match &event.data {
            EventData::OrderRequested(requested) => self.request(requested, &change),
            // A trade that fits no order, and one that was not there to cancel, say nothing of this one.
            EventData::FillUnmatched(_) | EventData::TradeCancelled(TradeCancelled { undone: None, .. }) => {}
            data => {
                match order_of(data) {
                    Some(order) => self.update(order.seq, &change, |row| row.fold(data)),
                    None => self.fold_fund(event, &change),
                }
                for reblocked in reblocked(data) {
                    if let Some(at) = self.place(reblocked.order_id.seq) {
                        self.orders[at].order.reblock(reblocked);
                        self.changed.note(reblocked.order_id.seq);
                    }
                }
            }
        }
    }

    fn fold_fund(&mut self, event: &Event, change: &Change) {
        match &event.data {
            EventData::FundPurchaseRequested(requested) => {
                let asked = FundAsked::Purchase { amount: requested.amount };
                self.request_fund(requested.scheme, requested.folio, asked, change);
            }
            EventData::FundRedemptionRequested(requested) => {
                let asked = FundAsked::Redemption { redeem: requested.redeem, blocked: requested.blocked };
                self.request_fund(requested.scheme, Some(requested.folio), asked, change);
            }
            EventData::FundOrderSent(sent) => {
                self.update_fund(sent.fund_order_id.seq, change, |row| row.status = fund::Status::Sent);
            }
            EventData::FundUnitsAllotted(allotted) if allotted.applied => {
                self.update_fund(allotted.fund_order_id.seq, change, |row| {
                    row.status = fund::Status::Allotted;
                    row.folio = Some(allotted.folio);
                    row.answer = Some(Box::new(FundAnswer {
                        nav_date: allotted.nav_date,
                        nav: allotted.nav,
                        units: allotted.units,
                        stamp_duty: allotted.stamp_duty,
                        amount: None,
                        pays_on: None,
                        mismatch: !allotted.mismatch.is_empty(),
                    }));
                });
            }
            EventData::FundUnitsRedeemed(redeemed) if redeemed.applied => {
                self.update_fund(redeemed.fund_order_id.seq, change, |row| {
                    row.status = fund::Status::Redeemed;
                    row.answer = Some(Box::new(FundAnswer {
                        nav_date: redeemed.nav_date,
                        nav: redeemed.nav,
                        units: redeemed.units,
                        stamp_duty: None,
                        amount: Some(redeemed.amount),
                        pays_on: Some(redeemed.pays_on),
                        mismatch: !redeemed.mismatch.is_empty(),
                    }));
                });
            }
            EventData::FundOrderRejected(rejected) if rejected.applied => {
                self.update_fund(rejected.fund_order_id.seq, change, |row| {
                    row.status = fund::Status::Rejected;
                    row.reason = Some(rejected.reason.clone());
                });
            }
            _ => {}
        }
    }

    fn request(&mut self, requested: &Requested, change: &Change) {
        let seq = requested.order_id.seq;
        self.changed.note(seq);
        self.open.push((seq, self.orders.len()));
        self.orders.push(OrderRow {
            seq,
            last_seq: seq,
            order: Order::requested(requested, change.at),
            filled_value: Money::ZERO,
            disclosed_quantity: requested.disclosed_quantity,
            requested_at: change.at,
            updated_at: change.at,
            exchange_order_id: None,
            tag: requested.tag.map(|tag| tag.as_str().into()),
            algo_id: requested.algo_id.map(|id| id.as_str().into()),
            reason: None,
        });
    }

    /// A report may name an order that the account does not have; it is recorded without effect.
    fn update(&mut self, seq: u64, change: &Change, apply: impl FnOnce(&mut OrderRow)) {
        let Some(at) = self.place(seq) else { return };
        self.changed.note(seq);
        let order = &mut self.orders[at];
        order.last_seq = change.seq;
        order.updated_at = order.updated_at.max(change.at);
        apply(order);
        self.next = earlier(self.next, order.leaves_on());
        if order.status.is_final()
            && let Some(at) = recent::find(&self.open, seq, |(open, _)| *open)
        {
            self.open.remove(at);
        }
    }

    fn place(&self, seq: u64) -> Option<usize> {
        match recent::find(&self.open, seq, |(open, _)| *open) {
            Some(at) => Some(self.open[at].1),
            None => recent::find(&self.orders, seq, |row| row.seq),
        }
    }

    fn request_fund(&mut self, scheme: SchemeCode, folio: Option<Folio>, asked: FundAsked, change: &Change) {
        self.changed.note(change.seq);
        self.funds.push(FundOrderRow {
            seq: change.seq,
            last_seq: change.seq,
            scheme,
            folio,
            asked,
            status: fund::Status::Requested,
            requested_at: change.at,
            updated_at: change.at,
            answered_on: None,
            answer: None,
            reason: None,
        });
    }

    fn update_fund(&mut self, seq: u64, change: &Change, apply: impl FnOnce(&mut FundOrderRow)) {
        if let Some(at) = recent::find(&self.funds, seq, |row| row.seq) {
            self.changed.note(seq);
            let row = &mut self.funds[at];
            row.last_seq = change.seq;
            row.updated_at = row.updated_at.max(change.at);
            apply(row);
            if row.status.is_final() {
                row.answered_on = Some(change.recorded_on);
            }
            self.next = earlier(self.next, row.leaves_on());
        }
    }

    /// Lets what is over leave, once an entry recorded on this day is folded.
    pub(crate) fn leave(&mut self, account: &AccountId, today: Date, mut older: Option<&mut Older>) {
        if self.next.is_none_or(|next| today < next) {
            return;
        }
        let leaves = |day: Option<Date>| day.is_some_and(|day| day <= today);
        let mut text = Rows::default();
        for order in self.orders.extract_if(.., |order| leaves(order.leaves_on())) {
            text.clear();
            write_order(account, &order, &mut text);
            self.left.add(order.seq, &text);
            if let Some(older) = &mut older {
                older.orders.push(order);
            }
        }
        for fund in self.funds.extract_if(.., |fund| leaves(fund.leaves_on())) {
            text.clear();
            write_fund_order(account, &fund, &mut text);
            self.left_funds.add(fund.seq, &text);
            if let Some(older) = &mut older {
                older.funds.push(fund);
            }
        }
        self.open = open_of(&self.orders);
        let days = self.orders.iter().map(OrderRow::leaves_on).chain(self.funds.iter().map(FundOrderRow::leaves_on));
        self.next = days.fold(None, earlier);
        give_back(&mut self.orders);
        give_back(&mut self.funds);
    }

    /// Writes the canonical rows.
    pub fn write(&self, account: &AccountId, rows: &mut Rows) {
        self.left.write("left_orders", account, rows);
        self.left_funds.write("left_funds", account, rows);
        for order in &self.orders {
            write_order(account, order, rows);
        }
        for fund in &self.funds {
            write_fund_order(account, fund, rows);
        }
    }
}

/// Those that are not closed, and their places.
fn open_of(orders: &[OrderRow]) -> Vec<(u64, usize)> {
    let rows = orders.iter().enumerate();
    rows.filter(|(_, order)| !order.status.is_final()).map(|(at, order)| (order.seq, at)).collect()
}

/// The entry that changes an order, when what it tells happened, and on which day it was recorded.
struct Change {
    seq: u64,
    at: Timestamp,
    recorded_on: Date,
}

fn write_order(account: &AccountId, order: &OrderRow, rows: &mut Rows) {
    let mut row = rows.row("order");
    row.id(account.as_str()).number(order.seq).number(order.last_seq).id(order.instrument.as_str());
    row.id(side(order.side)).id(order_type(order.order_type)).id(product(order.product)).id(validity(order.validity));
    row.id(order.status.name()).show(order.session_date).show(order.quantity).show(order.filled);
    row.show(order.filled_value).show_or_none(order.price).show_or_none(order.market_protection);
    row.show_or_none(order.trigger_price).number(order.triggered).show_or_none(order.disclosed_quantity);
    row.show(order.undone).number(order.squares_off);
    row.show(order.blocked).show(order.blocked_quantity).show(order.opening).number(order.modifications);
    match &order.waiting {
        None => row.id(""),
        Some(Waiting::Cancellation) => row.id("cancellation"),
        Some(Waiting::Modification {
            quantity,
            price,
            trigger_price,
            order_type: asked,
            validity: until,
            block_price,
        }) => {
            row.id("modification").show(quantity).show_or_none(*price).show_or_none(*trigger_price);
            row.id(order_type(*asked)).id(validity(*until)).show_or_none(*block_price)
        }
    };
    row.show(order.requested_at).show(order.updated_at).id_or_none(order.exchange_order_id.as_deref());
    row.text(order.tag.as_deref()).id_or_none(order.algo_id.as_deref()).text(order.reason.as_deref());
}

fn write_fund_order(account: &AccountId, fund: &FundOrderRow, rows: &mut Rows) {
    let mut row = rows.row("fund");
    row.id(account.as_str()).number(fund.seq).number(fund.last_seq).id(fund.scheme.as_str());
    row.id_or_none(fund.folio.as_ref().map(Folio::as_str)).id(fund.status.name());
    match fund.asked {
        FundAsked::Purchase { amount } => row.id("purchase").show(amount),
        FundAsked::Redemption { redeem, blocked } => {
            match redeem {
                Redeem::Units(units) => row.id("redeem_units").show(units),
                Redeem::Amount(amount) => row.id("redeem_amount").show(amount),
                Redeem::All(_) => row.id("redeem_all"),
            };
            row.show(blocked)
        }
    };
    row.show(fund.requested_at).show(fund.updated_at);
    if let Some(answer) = &fund.answer {
        row.show(answer.nav_date).show(answer.nav).show(answer.units).show_or_none(answer.stamp_duty);
        row.show_or_none(answer.amount).show_or_none(answer.pays_on).number(answer.mismatch);
    }
    row.text(fund.reason.as_deref());
}

/// The name of a side, as stored.
pub(crate) const fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

pub(crate) const fn order_type(order_type: OrderType) -> &'static str {
    match order_type {
        OrderType::Market => "market",
        OrderType::Limit => "limit",
        OrderType::Sl => "SL",
        OrderType::SlM => "SL-M",
    }
}

pub(crate) const fn product(product: Product) -> &'static str {
    match product {
        Product::Cnc => "CNC",
        Product::Mis => "MIS",
    }
}

pub(crate) const fn validity(validity: Validity) -> &'static str {
    match validity {
        Validity::Day => "DAY",
        Validity::Ioc => "IOC",
    }
}

/// The exchange of an instrument, as text.
pub(crate) fn exchange_text(exchange: Option<&Exchange>) -> Option<&str> {
    exchange.map(Exchange::as_str)
}
