//! The tables of accounts' views and how a row becomes columns; knows neither when a row changes nor any connection.
//!
//! Names of columns are those of the field and of the API; what an amount's scale is, `migrations/postgres` says.

mod market;

use super::columns::{
    Columns,
    Kind::{Amount, Bytes, Day, Flag, Number, Text, Time},
    Table,
};
use crate::{
    account::Account,
    cash::CashRow,
    lots::{Gains, Lots},
    orders::{self, FundAsked, FundOrderRow, OrderRow},
    pnl::{FolioLots, Instrument as InstrumentLots},
    portfolio::Portfolio,
    trades::{Origin, TradeRow, flag_name, kind_name, unmatched_name},
};
use domain::{
    cash::Due,
    fund::Redeem,
    ids::{AccountId, Exchange, Folio, InstrumentId, SchemeCode},
    money::{Money, Quantity, Units},
    order::Waiting,
    position::Shares,
    time::{Date, Timestamp},
};

pub(super) use market::{
    CALENDAR, INSTRUMENTS, LIVE_PRICES, NAV_FACTS, PRICE_FACTS, SCHEMES, calendar_day, instrument, live_price,
    nav_fact, price_fact, scheme,
};

/// Every table, for tests that look into all of them.
#[cfg(test)]
pub(super) const ALL: [&Table; 23] = [
    &ACCOUNTS,
    &ORDER_LISTS,
    &TRADE_LISTS,
    &PORTFOLIOS,
    &ORDERS,
    &FUND_ORDERS,
    &TRADES,
    &POSITIONS,
    &FOLIOS,
    &INSTRUMENT_GAINS,
    &LOTS,
    &FOLIO_GAINS,
    &FOLIO_LOTS,
    &CASH,
    &CASH_DUE,
    &CASH_BLOCKS,
    &JOURNAL,
    &INSTRUMENTS,
    &CALENDAR,
    &PRICE_FACTS,
    &LIVE_PRICES,
    &SCHEMES,
    &NAV_FACTS,
];

pub(super) const ACCOUNTS: Table = Table {
    name: "accounts",
    key: &[("account", Text)],
    rest: &[
        ("partition", Number),
        ("entries", Number),
        ("journal_chain", Bytes),
        ("last_offset", Number),
        ("row", Bytes),
    ],
};

/// What the journal keeps once for an account.
pub(super) fn account(columns: &mut Columns, id: &AccountId, partition: u32, account: &Account) {
    let journal = &account.journal;
    let row = columns.row().text(id.as_str()).number(i64::from(partition));
    row.count(journal.count()).bytes(journal.chain());
    row.number(journal.last().map_or(-1, u64::cast_signed)).whole(journal);
}

pub(super) const ORDER_LISTS: Table = Table { name: "order_lists", key: &[("account", Text)], rest: &[("row", Bytes)] };

pub(super) const TRADE_LISTS: Table = Table { name: "trade_lists", key: &[("account", Text)], rest: &[("row", Bytes)] };

/// What is kept once for a list of an account, beside its rows.
pub(super) fn list(columns: &mut Columns, account: &AccountId, list: &impl serde::Serialize) {
    columns.row().text(account.as_str()).whole(list);
}

pub(super) const ORDERS: Table = Table {
    name: "orders",
    key: &[("account", Text), ("seq", Number)],
    rest: &[
        ("last_seq", Number),
        ("instrument", Text),
        ("side", Text),
        ("order_type", Text),
        ("product", Text),
        ("validity", Text),
        ("status", Text),
        ("session_date", Day),
        ("quantity", Number),
        ("filled", Number),
        ("filled_value", Amount),
        ("price", Amount),
        ("trigger_price", Amount),
        ("triggered", Flag),
        ("market_protection", Amount),
        ("disclosed_quantity", Number),
        ("blocked", Amount),
        ("blocked_quantity", Number),
        ("modifications", Number),
        ("waiting", Text),
        ("requested_at", Time),
        ("updated_at", Time),
        ("exchange_order_id", Text),
        ("tag", Text),
        ("algo_id", Text),
        ("reason", Text),
        ("has_left", Flag),
        ("row", Bytes),
    ],
};

pub(super) fn order(columns: &mut Columns, account: &AccountId, order: &OrderRow, has_left: bool) {
    let waiting = order.waiting.as_ref().map(|waiting| match waiting {
        Waiting::Modification { .. } => "modification",
        Waiting::Cancellation => "cancellation",
    });
    let row = columns.row().text(account.as_str()).count(order.seq).count(order.last_seq);
    row.text(order.instrument.as_str()).text(orders::side(order.side)).text(orders::order_type(order.order_type));
    row.text(orders::product(order.product)).text(orders::validity(order.validity)).text(order.status.name());
    row.day(order.session_date).number(order.quantity.shares()).number(order.filled.shares());
    row.amount(order.filled_value).amount_or_none(order.price).amount_or_none(order.trigger_price);
    row.flag(order.triggered).amount_or_none(order.market_protection);
    // The row's own: as it was asked for.
    row.number_or_none(order.disclosed_quantity.map(Quantity::shares));
    row.amount(order.blocked).number(order.blocked_quantity.shares()).number(i64::from(order.modifications));
    row.text_or_none(waiting).time(order.requested_at).time(order.updated_at);
    row.text_or_none(order.exchange_order_id.as_deref()).text_or_none(order.tag.as_deref());
    row.text_or_none(order.algo_id.as_deref()).text_or_none(order.reason.as_deref()).flag(has_left).whole(order);
}

pub(super) const FUND_ORDERS: Table = Table {
    name: "fund_orders",
    key: &[("account", Text), ("seq", Number)],
    rest: &[
        ("last_seq", Number),
        ("scheme", Text),
        ("folio", Text),
        ("kind", Text),
        ("amount", Amount),
        ("units", Amount),
        ("redeem_all", Flag),
        ("blocked_units", Amount),
        ("status", Text),
        ("requested_at", Time),
        ("updated_at", Time),
        ("answered_on", Day),
        ("nav_date", Day),
        ("nav", Amount),
        ("answered_units", Amount),
        ("stamp_duty", Amount),
        ("answered_amount", Amount),
        ("pays_on", Day),
        ("mismatch", Flag),
        ("reason", Text),
        ("has_left", Flag),
        ("row", Bytes),
    ],
};

pub(super) fn fund_order(columns: &mut Columns, account: &AccountId, fund: &FundOrderRow, has_left: bool) {
    let row = columns.row().text(account.as_str()).count(fund.seq).count(fund.last_seq).text(fund.scheme.as_str());
    row.text_or_none(fund.folio.as_ref().map(Folio::as_str));
    let (kind, amount, units, all, blocked) = match fund.asked {
        FundAsked::Purchase { amount } => ("purchase", Some(amount), None, false, None),
        FundAsked::Redemption { redeem, blocked } => match redeem {
            Redeem::Units(units) => ("redemption", None, Some(units), false, Some(blocked)),
            Redeem::Amount(amount) => ("redemption", Some(amount), None, false, Some(blocked)),
            Redeem::All(_) => ("redemption", None, None, true, Some(blocked)),
        },
    };
    row.text(kind).amount_or_none(amount).amount_or_none(units).flag(all).amount_or_none(blocked);
    row.text(fund.status.name()).time(fund.requested_at).time(fund.updated_at).day_or_none(fund.answered_on);
    let answer = fund.answer.as_deref();
    row.day_or_none(answer.map(|answer| answer.nav_date)).amount_or_none(answer.map(|answer| answer.nav));
    row.amount_or_none(answer.map(|answer| answer.units));
    row.amount_or_none(answer.and_then(|answer| answer.stamp_duty));
    row.amount_or_none(answer.and_then(|answer| answer.amount));
    row.day_or_none(answer.and_then(|answer| answer.pays_on)).flag_or_none(answer.map(|answer| answer.mismatch));
    row.text_or_none(fund.reason.as_deref()).flag(has_left).whole(fund);
}

pub(super) const TRADES: Table = Table {
    name: "trades",
    key: &[("account", Text), ("seq", Number)],
    rest: &[
        ("origin", Text),
        ("order_seq", Number),
        ("imported_kind", Text),
        ("unmatched_order", Text),
        ("unmatched_reason", Text),
        ("instrument", Text),
        ("side", Text),
        ("exchange", Text),
        ("trade_id", Text),
        ("quantity", Number),
        ("price", Amount),
        ("value", Amount),
        ("executed_at", Time),
        ("trade_date", Day),
        ("settlement_date", Day),
        ("product", Text),
        ("flag", Text),
        ("cancelled", Flag),
        ("has_left", Flag),
        ("row", Bytes),
    ],
};

pub(super) fn trade(columns: &mut Columns, account: &AccountId, trade: &TradeRow, has_left: bool) {
    let row = columns.row().text(account.as_str()).count(trade.seq);
    match &trade.origin {
        Origin::Order(seq) => {
            row.text("order").count(*seq).text_or_none(None).text_or_none(None).text_or_none(None);
        }
        Origin::Imported(kind) => {
            row.text("imported").number_or_none(None).text(kind_name(*kind)).text_or_none(None).text_or_none(None);
        }
        Origin::Unmatched(order, reason) => {
            row.text("unmatched").number_or_none(None).text_or_none(None).text(&order.text());
            row.text(unmatched_name(*reason));
        }
    }
    row.text_or_none(trade.instrument.as_ref().map(InstrumentId::as_str)).text_or_none(trade.side.map(orders::side));
    row.text_or_none(trade.exchange.as_ref().map(Exchange::as_str)).text_or_none(trade.trade_id.as_deref());
    row.number(trade.quantity.shares()).amount_or_none(trade.price).amount_or_none(trade.value);
    row.time(trade.executed_at).day(trade.trade_date).day_or_none(trade.settlement_date);
    row.text_or_none(trade.product.map(orders::product)).text_or_none(trade.flag.map(flag_name));
    row.flag(trade.cancelled).flag(has_left).whole(trade);
}

pub(super) const PORTFOLIOS: Table =
    Table { name: "portfolios", key: &[("account", Text)], rest: &[("opened_at", Time), ("row", Bytes)] };

pub(super) fn portfolio(columns: &mut Columns, account: &AccountId, of: &Portfolio) {
    columns.row().text(account.as_str()).time_or_none(of.opened_at).whole(of);
}

pub(super) const POSITIONS: Table = Table {
    name: "positions",
    key: &[("account", Text), ("instrument", Text)],
    rest: &[("bought_today", Number), ("t1", Number), ("settled", Number), ("intraday", Number)],
};

pub(super) fn position(
    columns: &mut Columns,
    account: &AccountId,
    instrument: &InstrumentId,
    (shares, intraday): &(Shares, Quantity),
) {
    let row = columns.row().text(account.as_str()).text(instrument.as_str()).number(shares.bought_today.shares());
    row.number(shares.t1.shares()).number(shares.settled.shares()).number(intraday.shares());
}

pub(super) const FOLIOS: Table =
    Table { name: "folios", key: &[("account", Text), ("scheme", Text), ("folio", Text)], rest: &[("units", Amount)] };

pub(super) fn folio(columns: &mut Columns, account: &AccountId, key: &(SchemeCode, Folio), units: &Units) {
    columns.row().text(account.as_str()).text(key.0.as_str()).text(key.1.as_str()).amount(*units);
}

pub(super) const INSTRUMENT_GAINS: Table = Table {
    name: "instrument_gains",
    key: &[("account", Text), ("instrument", Text)],
    rest: &[
        ("bought", Amount),
        ("sold", Amount),
        ("intraday_gain", Amount),
        ("realised_gain", Amount),
        ("unknown_cost_quantity", Number),
        ("unknown_cost_proceeds", Amount),
        ("unknown_price_quantity", Number),
        ("unknown_price_cost", Amount),
        ("quantity", Number),
        ("unknown_quantity", Number),
        ("cost", Amount),
        ("row", Bytes),
    ],
};

pub(super) fn instrument_gains(columns: &mut Columns, account: &AccountId, id: &InstrumentId, of: &InstrumentLots) {
    let Gains { realised, unknown_cost_quantity, unknown_cost_proceeds, unknown_price_quantity, unknown_price_cost } =
        of.gains;
    let row = columns.row().text(account.as_str()).text(id.as_str()).amount(of.bought).amount(of.sold);
    row.amount(of.intraday).amount(realised).number(unknown_cost_quantity).amount(unknown_cost_proceeds);
    row.number(unknown_price_quantity).amount(unknown_price_cost).number(of.lots.quantity());
    row.number(of.lots.unknown_quantity()).amount(of.lots.cost()).whole(of);
}

pub(super) const FOLIO_GAINS: Table = Table {
    name: "folio_gains",
    key: &[("account", Text), ("scheme", Text), ("folio", Text)],
    rest: &[
        ("bought", Amount),
        ("sold", Amount),
        ("realised_gain", Amount),
        ("unknown_cost_units", Amount),
        ("unknown_cost_proceeds", Amount),
        ("unknown_price_units", Amount),
        ("unknown_price_cost", Amount),
        ("units", Amount),
        ("unknown_units", Amount),
        ("cost", Amount),
        ("row", Bytes),
    ],
};

pub(super) fn folio_gains(columns: &mut Columns, account: &AccountId, key: &(SchemeCode, Folio), of: &FolioLots) {
    let Gains { realised, unknown_cost_quantity, unknown_cost_proceeds, unknown_price_quantity, unknown_price_cost } =
        of.gains;
    let row = columns.row().text(account.as_str()).text(key.0.as_str()).text(key.1.as_str());
    row.amount(of.bought).amount(of.sold).amount(realised).amount(Units::from_smallest(unknown_cost_quantity));
    row.amount(unknown_cost_proceeds).amount(Units::from_smallest(unknown_price_quantity)).amount(unknown_price_cost);
    row.amount(Units::from_smallest(of.lots.quantity())).amount(Units::from_smallest(of.lots.unknown_quantity()));
    row.amount(of.lots.cost()).whole(of);
}

/// A lot, or a sale that no lot covers: its kind, quantity and money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LotRow {
    kind: &'static str,
    quantity: i64,
    amount: Option<Money>,
}

/// Lots by day and, within it, by their place.
pub(super) fn lot_rows(lots: &Lots) -> std::collections::BTreeMap<(Date, i64), LotRow> {
    let held = lots.lots().map(|lot| (lot.acquired, LotRow { kind: "lot", quantity: lot.quantity, amount: lot.cost }));
    let shorts = lots.shorts();
    let shorts = shorts.map(|of| (of.sold, LotRow { kind: "short", quantity: of.quantity, amount: of.proceeds }));
    let mut rows = std::collections::BTreeMap::new();
    for (day, row) in held.chain(shorts) {
        let number = rows.range((day, 0)..=(day, i64::MAX)).next_back().map_or(0, |((_, last), _)| last + 1);
        rows.insert((day, number), row);
    }
    rows
}

pub(super) const LOTS: Table = Table {
    name: "lots",
    key: &[("account", Text), ("instrument", Text), ("acquired", Day), ("number", Number)],
    rest: &[("kind", Text), ("quantity", Number), ("amount", Amount)],
};

pub(super) fn lot_key<'a>(
    columns: &'a mut Columns,
    account: &AccountId,
    instrument: &InstrumentId,
    (day, number): &(Date, i64),
) -> &'a mut Columns {
    columns.row().text(account.as_str()).text(instrument.as_str()).day(*day).number(*number)
}

pub(super) fn lot(columns: &mut Columns, lot: &LotRow) {
    columns.text(lot.kind).number(lot.quantity).amount_or_none(lot.amount);
}

pub(super) const FOLIO_LOTS: Table = Table {
    name: "folio_lots",
    key: &[("account", Text), ("scheme", Text), ("folio", Text), ("acquired", Day), ("number", Number)],
    rest: &[("kind", Text), ("units", Amount), ("amount", Amount)],
};

pub(super) fn folio_lot_key<'a>(
    columns: &'a mut Columns,
    account: &AccountId,
    (scheme, folio): &(SchemeCode, Folio),
    (day, number): &(Date, i64),
) -> &'a mut Columns {
    columns.row().text(account.as_str()).text(scheme.as_str()).text(folio.as_str()).day(*day).number(*number)
}

pub(super) fn folio_lot(columns: &mut Columns, lot: &LotRow) {
    columns.text(lot.kind).amount(Units::from_smallest(lot.quantity)).amount_or_none(lot.amount);
}

pub(super) const CASH: Table = Table {
    name: "cash",
    key: &[("account", Text)],
    rest: &[
        ("settled", Amount),
        ("receivable", Amount),
        ("payable", Amount),
        ("blocked", Amount),
        ("blocked_for_fund_orders", Amount),
        ("blocked_for_positions", Amount),
        ("withdrawable", Amount),
        ("row", Bytes),
    ],
};

pub(super) fn cash(columns: &mut Columns, account: &AccountId, of: &CashRow) {
    let due = || of.cash.due.values();
    let (receivable, payable) = (sum(due().map(|due| due.receivable)), sum(due().map(|due| due.payable)));
    let withdrawable = sum([of.cash.settled, -payable, -of.cash.blocked].into_iter());
    let row = columns.row().text(account.as_str()).amount(of.cash.settled).amount(receivable).amount(payable);
    row.amount(of.cash.blocked).amount(of.for_funds).amount(of.for_positions()).amount(withdrawable);
    row.whole(&of.without_blocks());
}

/// A sum for people: where it does not fit, which no book lets happen, the nearest that does.
fn sum(amounts: impl Iterator<Item = Money>) -> Money {
    let sum: i128 = amounts.map(|amount| i128::from(amount.smallest())).sum();
    let clamped = sum.clamp(i64::MIN.into(), i64::MAX.into());
    Money::from_smallest(i64::try_from(clamped).expect("it was clamped"))
}

pub(super) const CASH_DUE: Table = Table {
    name: "cash_due",
    key: &[("account", Text), ("settlement_date", Day)],
    rest: &[("receivable", Amount), ("usable", Amount), ("payable", Amount)],
};

pub(super) fn cash_due(columns: &mut Columns, account: &AccountId, day: &Date, due: &Due) {
    columns.row().text(account.as_str()).day(*day).amount(due.receivable).amount(due.usable).amount(due.payable);
}

pub(super) const CASH_BLOCKS: Table =
    Table { name: "cash_blocks", key: &[("account", Text), ("seq", Number)], rest: &[("amount", Amount)] };

pub(super) fn cash_block(columns: &mut Columns, account: &AccountId, seq: u64, amount: Money) {
    columns.row().text(account.as_str()).count(seq).amount(amount);
}

pub(super) const JOURNAL: Table = Table {
    name: "journal",
    key: &[("account", Text), ("entry_offset", Number)],
    rest: &[
        ("seq", Number),
        ("partition", Number),
        ("recorded_at", Time),
        ("key_hash", Bytes),
        ("kinds", Text),
        ("value", Bytes),
    ],
};

/// An entry as the journal has it.
pub(super) struct JournalRow<'a> {
    pub(super) account: AccountId,
    pub(super) offset: u64,
    pub(super) seq: u64,
    pub(super) partition: u32,
    pub(super) recorded_at: Timestamp,
    pub(super) key_hash: Option<[u8; 16]>,
    pub(super) kinds: &'a str,
    pub(super) value: &'a [u8],
}

pub(super) fn journal(columns: &mut Columns, entry: &JournalRow<'_>) {
    let row = columns.row().text(entry.account.as_str()).count(entry.offset).count(entry.seq);
    row.number(i64::from(entry.partition)).time(entry.recorded_at);
    row.bytes_or_none(entry.key_hash.as_ref().map(|hash| &hash[..])).text(entry.kinds).bytes(entry.value);
}
