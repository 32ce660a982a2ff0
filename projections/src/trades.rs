//! Trades of an account in the order they were recorded, until they have left: of orders, imported, and unmatched until
//! assigned; knows no order's state.
//!
//! A trade leaves by [`leaves_on`], its trade date and its settlement date; an unmatched one stays until it is assigned.

use crate::{
    left::{Left, earlier, give_back},
    noted::Noted,
    older::Older,
    orders,
    row::Rows,
};
use domain::{
    event::{Event, EventData},
    history::Kind,
    ids::{AccountId, Exchange, InstrumentId, OrderId},
    money::{Money, Price, Quantity},
    order::{Filled, Flag, Product, Side, TradeCancelled, Unmatched, leaves_on},
    time::{Date, Timestamp},
};
use event_schemas::entry::Happened;
use serde::{Deserialize, Serialize};

/// Where a trade comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Origin {
    /// It filled the order that this entry requested.
    Order(u64),
    /// From before this ledger.
    Imported(Kind),
    /// It fits no order yet; it names one all the same.
    Unmatched(Box<OrderId>, Unmatched),
}

/// A trade.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TradeRow {
    /// The entry that recorded it.
    pub seq: u64,
    /// Where it comes from.
    pub origin: Origin,
    /// What traded, where known.
    pub instrument: Option<InstrumentId>,
    /// Bought or sold, where known.
    pub side: Option<Side>,
    /// Where it traded, where known.
    pub exchange: Option<Exchange>,
    /// The exchange's number, where known.
    pub trade_id: Option<Box<str>>,
    /// Shares.
    pub quantity: Quantity,
    /// At what price, where known.
    pub price: Option<Price>,
    /// Price times quantity, rounded half up to the paisa.
    pub value: Option<Money>,
    /// When it was executed.
    pub executed_at: Timestamp,
    /// The IST date of that.
    pub trade_date: Date,
    /// When it settles; absent for imported and unmatched trades.
    pub settlement_date: Option<Date>,
    /// Delivery or intraday; absent for unmatched trades.
    pub product: Option<Product>,
    /// What is odd about it.
    pub flag: Option<Flag>,
    /// Whether the exchange has cancelled it since.
    pub cancelled: bool,
}

impl TradeRow {
    /// From which day it is kept no longer.
    fn leaves_on(&self) -> Option<Date> {
        match self.origin {
            Origin::Unmatched(..) if !self.cancelled => None,
            Origin::Unmatched(..) | Origin::Order(_) | Origin::Imported(_) => {
                Some(leaves_on(self.trade_date, self.settlement_date))
            }
        }
    }
}

/// The rows of one account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trades {
    trades: Vec<TradeRow>,
    left: Left,
    /// Before this day none leaves.
    next: Option<Date>,
    #[serde(skip)]
    changed: Noted,
}

impl Trades {
    /// Trades that have left.
    pub fn left(&self) -> &Left {
        &self.left
    }

    /// Trades that have not left, by the entry that recorded them, ascending.
    pub fn trades(&self) -> &[TradeRow] {
        &self.trades
    }

    /// All but its rows, for who keeps them apart.
    pub(crate) fn without_rows(&self) -> Self {
        Self { trades: Vec::new(), left: self.left.clone(), next: self.next, changed: Noted::default() }
    }

    /// The same with its rows again, ascending.
    pub(crate) fn with_rows(self, trades: Vec<TradeRow>) -> Self {
        Self { trades, ..self }
    }

    /// Which trades change from now on, by their `seq`; some of them may be gone or have left since.
    pub(crate) fn changed(&mut self) -> &mut Noted {
        &mut self.changed
    }

    /// Folds one event of an entry.
    pub fn fold(&mut self, entry: &Happened, event: &Event) {
        let (seq, executed_at) = (entry.seq, event.effective_at);
        match &event.data {
            EventData::OrderFilled(filled) => self.push(of_order(seq, executed_at, filled)),
            EventData::FillAssigned(assigned) => {
                self.trades.retain(|row| row.seq != assigned.seq);
                self.changed.note(assigned.seq);
                self.push(of_order(seq, executed_at, &assigned.fill));
            }
            EventData::FillUnmatched(unmatched) => self.push(TradeRow {
                seq,
                origin: Origin::Unmatched(Box::new(unmatched.order_id), unmatched.reason),
                instrument: unmatched.instrument,
                side: unmatched.side,
                exchange: unmatched.instrument.and_then(|instrument| instrument.exchange()),
                trade_id: Some(unmatched.trade_id.as_str().into()),
                quantity: unmatched.quantity,
                price: Some(unmatched.price),
                value: None,
                executed_at,
                trade_date: executed_at.date(),
                settlement_date: None,
                product: None,
                flag: unmatched.flag,
                cancelled: false,
            }),
            EventData::TradeCancelled(cancelled) => self.cancel(cancelled),
            EventData::TradeImported(imported) => self.push(TradeRow {
                seq,
                origin: Origin::Imported(imported.kind),
                instrument: Some(imported.instrument),
                side: Some(if imported.kind.is_sale() { Side::Sell } else { Side::Buy }),
                exchange: imported.exchange,
                trade_id: imported.trade_id.map(|id| id.as_str().into()),
                quantity: imported.quantity,
                price: imported.price,
                value: imported.value,
                executed_at,
                trade_date: imported.trade_date,
                settlement_date: None,
                product: Some(Product::Cnc),
                flag: None,
                cancelled: false,
            }),
            _ => {}
        }
    }

    fn cancel(&mut self, cancelled: &TradeCancelled) {
        let is_it = |row: &TradeRow| match (&row.origin, &cancelled.undone) {
            (Origin::Unmatched(..), _) => Some(row.seq) == cancelled.unmatched,
            (Origin::Order(order), Some(_)) => {
                *order == cancelled.order_id.seq
                    && row.trade_date == cancelled.trade_date
                    && row.trade_id.as_deref() == Some(cancelled.trade_id.as_str())
            }
            _ => false,
        };
        if let Some(row) = self.trades.iter_mut().find(|row| is_it(row)) {
            row.cancelled = true;
            self.changed.note(row.seq);
            self.next = earlier(self.next, row.leaves_on());
        }
    }

    fn push(&mut self, trade: TradeRow) {
        self.next = earlier(self.next, trade.leaves_on());
        self.changed.note(trade.seq);
        self.trades.push(trade);
    }

    /// Lets what is over leave, once an entry recorded on this day is folded.
    pub(crate) fn leave(&mut self, account: &AccountId, today: Date, mut older: Option<&mut Older>) {
        if self.next.is_none_or(|next| today < next) {
            return;
        }
        let mut text = Rows::default();
        for trade in self.trades.extract_if(.., |trade| trade.leaves_on().is_some_and(|day| day <= today)) {
            text.clear();
            write_trade(account, &trade, &mut text);
            self.left.add(trade.seq, &text);
            if let Some(older) = &mut older {
                older.trades.push(trade);
            }
        }
        self.next = self.trades.iter().map(TradeRow::leaves_on).fold(None, earlier);
        give_back(&mut self.trades);
    }

    /// Writes the canonical rows.
    pub fn write(&self, account: &AccountId, rows: &mut Rows) {
        self.left.write("left_trades", account, rows);
        for trade in &self.trades {
            write_trade(account, trade, rows);
        }
    }
}

fn write_trade(account: &AccountId, trade: &TradeRow, rows: &mut Rows) {
    let mut row = rows.row("trade");
    row.id(account.as_str()).number(trade.seq);
    match &trade.origin {
        Origin::Order(seq) => row.id("order").number(*seq),
        Origin::Imported(kind) => row.id("imported").id(kind_name(*kind)),
        Origin::Unmatched(order, reason) => row.id("unmatched").id(&order.text()).id(unmatched_name(*reason)),
    };
    row.id_or_none(trade.instrument.as_ref().map(InstrumentId::as_str));
    row.id_or_none(trade.side.map(orders::side)).id_or_none(orders::exchange_text(trade.exchange.as_ref()));
    row.id_or_none(trade.trade_id.as_deref()).show(trade.quantity).show_or_none(trade.price);
    row.show_or_none(trade.value).show(trade.executed_at).show(trade.trade_date);
    row.show_or_none(trade.settlement_date).id_or_none(trade.product.map(orders::product));
    row.id_or_none(trade.flag.map(flag_name)).number(trade.cancelled);
}

fn of_order(seq: u64, executed_at: Timestamp, filled: &Filled) -> TradeRow {
    TradeRow {
        seq,
        origin: Origin::Order(filled.order_id.seq),
        instrument: Some(filled.instrument),
        side: Some(filled.side),
        exchange: Some(filled.exchange),
        trade_id: Some(filled.trade_id.as_str().into()),
        quantity: filled.quantity,
        price: Some(filled.price),
        value: Some(filled.value),
        executed_at,
        trade_date: filled.trade_date,
        settlement_date: Some(filled.settlement_date),
        product: Some(filled.product),
        flag: filled.flag,
        cancelled: false,
    }
}

/// The stored name of what is odd about a trade.
pub(crate) const fn flag_name(flag: Flag) -> &'static str {
    match flag {
        Flag::OutsideBand => "outside_band",
        Flag::InFuture => "in_future",
        Flag::BeforeRequest => "before_request",
        Flag::UnknownOrder => "unknown_order",
    }
}

/// The stored name of an imported row's kind.
pub(crate) const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Purchase => "purchase",
        Kind::Sale => "sale",
        Kind::Bonus => "bonus",
        Kind::Split => "split",
    }
}

/// The stored name of why a trade fits no order.
pub(crate) const fn unmatched_name(reason: Unmatched) -> &'static str {
    match reason {
        Unmatched::UnknownAccount => "unknown_account",
        Unmatched::UnknownOrder => "unknown_order",
        Unmatched::BeyondQuantity => "beyond_quantity",
        Unmatched::OtherSecurity => "other_security",
        Unmatched::Imported => "imported",
        Unmatched::Cancelled => "cancelled",
    }
}
