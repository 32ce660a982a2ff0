//! Intraday (MIS) positions: bought and sold within one session on margin; knows no order and no delivered share.
//!
//! What is open is held at what it was traded for. A trade that closes a part takes the same part of that, half to
//! even, and the last one takes the rest, so that gains and what is open always add up to the money that changed
//! hands. Only the gain or loss is posted: the cash of a position that is closed within its session never moves.

use crate::{
    ids::InstrumentId,
    money::{Money, Percent, Quantity, Rounding},
    order::{Product, Reblocked, Side},
    position::Shares,
    time::{Date, Timestamp},
};
use serde::{Deserialize, Serialize};

/// An open intraday position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intraday {
    /// Shares: bought and not sold above zero, sold and not bought below.
    pub quantity: Quantity,
    /// What they were traded for, never below zero.
    pub value: Money,
    /// Cash blocked for them.
    pub margin: Money,
}

/// What an intraday trade made of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntradayTrade {
    /// The session of the position: that of its order, whatever day the trade is reported for.
    pub session_date: Date,
    /// Shares that closed what was open.
    pub closed: Quantity,
    /// What they gained, or lost below zero.
    pub realised: Money,
    /// What is open after it.
    pub after: Intraday,
}

impl Intraday {
    /// The position of a session after a trade, without its margin; `None` when an amount does not fit.
    pub fn trade(self, session_date: Date, side: Side, quantity: Quantity, value: Money) -> Option<IntradayTrade> {
        let signed = match side {
            Side::Buy => quantity,
            Side::Sell => -quantity,
        };
        let closes =
            (self.quantity.is_positive() && side == Side::Sell) || (self.quantity.is_negative() && side == Side::Buy);
        let open = Quantity::new(self.quantity.shares().checked_abs()?);
        let closed = if closes { quantity.min(open) } else { Quantity::ZERO };
        let was = part(self.value, closed, open)?;
        let is = part(value, closed, quantity)?;
        let realised = match side {
            Side::Sell => is.checked_sub(was)?,
            Side::Buy => was.checked_sub(is)?,
        };
        let after = Self {
            quantity: self.quantity.checked_add(signed)?,
            value: self.value.checked_sub(was)?.checked_add(value.checked_sub(is)?)?,
            margin: Money::ZERO,
        };
        Some(IntradayTrade { session_date, closed, realised, after })
    }
    /// With its margin, rounded up.
    pub fn on_margin(self, margin: Percent) -> Option<Self> {
        Some(Self { margin: margin.of(self.value, Rounding::Up)?, ..self })
    }
    /// The side that would close it.
    pub fn closing_side(self) -> Side {
        if self.quantity.is_negative() { Side::Buy } else { Side::Sell }
    }
}

/// The part of an amount that goes with a part of its shares; the whole goes with all.
pub fn part(amount: Money, of: Quantity, whole: Quantity) -> Option<Money> {
    if of.is_zero() {
        return Some(Money::ZERO);
    }
    if of == whole { Some(amount) } else { amount.share(of.shares(), whole.shares(), Rounding::HalfEven) }
}

/// An intraday position as deciding must remember it, for one session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// What is open.
    pub position: Intraday,
    /// Whether an order of the back office that squares it off stands.
    pub squaring_off: bool,
    /// Orders that the back office has placed to square it off.
    pub square_offs: u32,
    /// Whether its session is over and it is short of shares that nobody has to deliver.
    pub is_short_delivery: bool,
    /// The account's last entry that changed it.
    pub last_seq: u64,
    /// When that was recorded.
    pub changed_at: Timestamp,
}

/// A position, or a part of it, became another product's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Converted {
    /// What.
    pub instrument: InstrumentId,
    /// The session it was traded in.
    pub trade_date: Date,
    /// What it was.
    pub from: Product,
    /// What it is.
    pub to: Product,
    /// Whether it had been bought or sold.
    pub side: Side,
    /// Shares; none once the session is over and nothing is held to deliver of what was sold, which stays open then.
    pub quantity: Quantity,
    /// What they were traded for.
    pub value: Money,
    /// When they settle.
    pub settlement_date: Date,
    /// For a sale: where the shares that are delivered come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<Shares>,
    /// For a sale: the part of the value that new orders may use before it settles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usable: Option<Money>,
    /// What stays open.
    pub after: Intraday,
    /// Intraday orders whose margin changes, as there is less to close.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reblocked: Vec<Reblocked>,
}

/// Asks to make delivery of an intraday position, or of a part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convert {
    /// What.
    pub instrument: InstrumentId,
    /// What it is.
    pub from: Product,
    /// What it shall be.
    pub to: Product,
    /// Shares.
    pub quantity: Quantity,
    /// Given by the back office alone: the session that is over with the position open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trade_date: Option<Date>,
}

/// Closes what is open in an instrument shortly before the session ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SquareOff {
    /// What.
    pub instrument: InstrumentId,
    /// The session.
    pub trade_date: Date,
    /// Intraday.
    pub product: Product,
}
