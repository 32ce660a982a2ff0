//! History from before this ledger, recorded as it is told: settled at once, cash against `external`, no order, calendar or cash check.

use super::Book;
use crate::{
    cash::{Posted, Reason as CashReason},
    event::{Event, EventData},
    fund::FolioChanged,
    history::{ImportTrade, ImportUnits, Kind, TradeImported, UnitsImported},
    money::{Money, Quantity, Rounding, Units},
    order::{Product, Side},
    position::{Changed, Reason, Shares},
    rejection::{Refusal, Rejection},
};

pub(super) fn trade(book: &Book, import: &ImportTrade) -> Result<Vec<Event>, Refusal> {
    if !import.quantity.is_positive() {
        return Err(Rejection::QuantityNotPositive.with("quantity", import.quantity));
    }
    if import.price.is_some_and(|price| price.is_negative()) {
        return Err(Rejection::PriceNotPositive.into());
    }
    let trade_date = import.executed_at.date();
    let side = if import.kind.is_sale() { Side::Sell } else { Side::Buy };
    let exchange = import.exchange.or_else(|| import.instrument.exchange());
    if let (Some(exchange), Some(trade_id)) = (exchange, import.trade_id)
        && let Some(known) = book.trades.get(&(Some(exchange), trade_date, trade_id, Some(side), None))
    {
        let same = (import.quantity, import.price);
        return if (known.quantity, known.price) == same {
            Ok(Vec::new())
        } else {
            Err(Rejection::FillContradicted.with("trade_id", trade_id))
        };
    }
    let value = match import.price {
        Some(price) => {
            let value = price.times(import.quantity, Rounding::HalfUp);
            Some(
                value
                    .ok_or_else(|| Rejection::AmountTooLarge.with("quantity", import.quantity).with("price", price))?,
            )
        }
        None => None,
    };
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

pub(super) fn units(book: &Book, import: &ImportUnits) -> Result<Vec<Event>, Refusal> {
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
