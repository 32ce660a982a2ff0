//! History from before this ledger, recorded as it is told: settled at once, cash against `external`, no order, calendar or cash check.

use super::{Book, fills::value_of};
use crate::{
    cash::{Posted, Reason as CashReason},
    event::{Event, EventData},
    fund::FolioChanged,
    history::{ImportTrade, ImportUnits, Kind, TradeImported, UnitsImported},
    ids::Exchange,
    money::{Money, Quantity, Units},
    order::{Flag, Product, Side},
    position::{Changed, Reason, Shares},
    rejection::{Refusal, Rejection},
    time::Timestamp,
};

pub(super) fn trade(book: &Book, import: &ImportTrade, now: Timestamp) -> Result<Vec<Event>, Refusal> {
    if !import.quantity.is_positive() {
        return Err(Rejection::QuantityNotPositive.with("quantity", import.quantity));
    }
    if import.price.is_some_and(|price| price.is_negative()) {
        return Err(Rejection::PriceNotPositive.into());
    }
    let value = import.price.map(|price| value_of(price, import.quantity)).transpose()?;
    let trade_date = import.executed_at.date();
    let exchange = import.exchange.or_else(|| import.instrument.exchange());
    if is_known(book, import, exchange)? {
        return Ok(Vec::new());
    }
    let before = book.positions.get(&import.instrument).map_or_else(Shares::default, |position| position.shares);
    let settled = if import.kind.is_sale() { -import.quantity } else { import.quantity };
    let moved = Shares { settled, ..Shares::default() };
    let mut events = vec![
        EventData::TradeImported(TradeImported {
            instrument: import.instrument,
            kind: import.kind,
            quantity: import.quantity,
            price: import.price,
            value,
            exchange,
            trade_id: import.trade_id,
            trade_date,
            beyond_holding: import.kind.is_sale() && import.quantity > before.settled.max(Quantity::ZERO),
            flag: Flag::of_time(import.executed_at, None, now),
        }),
        EventData::PositionChanged(Changed {
            instrument: import.instrument,
            product: Product::Cnc,
            reason: Reason::Import,
            moved,
            position: before.plus(moved),
        }),
    ];
    events.extend(cash_legs(import.kind, value.unwrap_or_default(), import.instrument.as_str()));
    Ok(events.into_iter().map(|data| Event { effective_at: import.executed_at, data }).collect())
}

/// Whether the trade is counted, or cancelled, already; one that waits for assignment is not counted anywhere.
///
/// A trade is compared with all that the book remembers. Those that a venue told leave it, and a trade of a day between
/// the first and the last that left may be one of them: it is refused, as its shares could be counted twice. A row
/// without a trade's number, and what no order brings (a bonus, a split), cannot be one that a venue told.
fn is_known(book: &Book, import: &ImportTrade, exchange: Option<Exchange>) -> Result<bool, Refusal> {
    let (Some(exchange), Some(trade_id)) = (exchange, import.trade_id) else { return Ok(false) };
    let trade_date = import.executed_at.date();
    let side = if import.kind.is_sale() { Side::Sell } else { Side::Buy };
    let key = (Some(exchange), trade_date, trade_id, Some(side), None);
    if let Some(known) = book.trades.get(&key) {
        let waits = || book.unmatched.values().any(|waiting| waiting.key() == key);
        return match known {
            known if known.is_only_cancelled() => Ok(true),
            known if !known.agrees(import.quantity, import.price) => {
                Err(Rejection::FillContradicted.with("trade_id", trade_id))
            }
            known => Ok(known.imported || !waits()),
        };
    }
    let is_trade = matches!(import.kind, Kind::Purchase | Kind::Sale);
    match book.forgotten.filter(|(first, last)| is_trade && (*first..=*last).contains(&trade_date)) {
        Some((first, last)) => {
            let figures = Rejection::HistoryOverlaps.with("trade_date", trade_date);
            Err(figures.with("first", first).with("last", last))
        }
        None => Ok(false),
    }
}

pub(super) fn units(book: &Book, import: &ImportUnits, now: Timestamp) -> Result<Vec<Event>, Refusal> {
    if !import.units.is_positive() {
        return Err(Rejection::AmountNotPositive.with("units", import.units));
    }
    if import.amount.is_some_and(Money::is_negative) {
        return Err(Rejection::AmountNotPositive.into());
    }
    let before = book.folios.get(&(import.scheme, import.folio)).map_or(Units::ZERO, |holding| holding.units);
    let moved = if import.kind.is_sale() { -import.units } else { import.units };
    let units = before.checked_add(moved).ok_or_else(|| Rejection::AmountTooLarge.with("units", import.units))?;
    let mut events = vec![
        EventData::UnitsImported(UnitsImported {
            scheme: import.scheme,
            folio: import.folio,
            kind: import.kind,
            units: import.units,
            nav: import.nav,
            amount: import.amount,
            trade_date: import.executed_at.date(),
            beyond_holding: units.is_negative(),
            flag: Flag::of_time(import.executed_at, None, now),
        }),
        EventData::FolioChanged(FolioChanged { scheme: import.scheme, folio: import.folio, moved, units }),
    ];
    events.extend(cash_legs(import.kind, import.amount.unwrap_or_default(), import.scheme.as_str()));
    Ok(events.into_iter().map(|data| Event { effective_at: import.executed_at, data }).collect())
}

/// The cash leg and its other side: the money moved outside this ledger, so the account's cash is unchanged.
fn cash_legs(kind: Kind, value: Money, reference: &str) -> Vec<EventData> {
    let amount = match kind {
        Kind::Purchase => -value,
        Kind::Sale => value,
        Kind::Bonus | Kind::Split => Money::ZERO,
    };
    if amount.is_zero() {
        return Vec::new();
    }
    let leg = |amount, reason| {
        EventData::CashPosted(Posted {
            amount,
            reason,
            reference: reference.into(),
            settlement_date: None,
            usable: None,
        })
    };
    vec![leg(amount, CashReason::Import), leg(-amount, CashReason::External)]
}
