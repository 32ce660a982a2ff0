//! Every reason to refuse a command, in order of precedence; codes are fixed for ever.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

macro_rules! rejections {
    ($($(#[doc = $doc:literal])* $variant:ident = $code:literal, $retry:ident;)*) => {
        /// Why a command was refused. When several apply, the one declared first is given.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Rejection { $($(#[doc = $doc])* #[serde(rename = $code)] $variant,)* }

        impl Rejection {
            /// All, in order of precedence.
            pub const ALL: &[Rejection] = &[$(Self::$variant,)*];
            /// The stable code that callers build on.
            pub const fn code(self) -> &'static str { match self { $(Self::$variant => $code,)* } }
            /// What it means, in one sentence.
            pub const fn detail(self) -> &'static str { match self { $(Self::$variant => concat!($($doc),*).trim_ascii(),)* } }
            /// Whether the same request, under a new key, may be accepted later without anything being changed in it.
            pub const fn is_retryable(self) -> bool { match self { $(Self::$variant => rejections!(@ $retry),)* } }
        }
    };
    (@ retryable) => { true };
    (@ final_) => { false };
}

rejections! {
    /// The command could not be read, or deciding it failed; the entry holds the hash of its bytes.
    Undecodable = "undecodable", final_;
    /// This key was used before for another command.
    IdempotencyKeyReused = "idempotency_key_reused", final_;
    /// The market facts asked for had not arrived in time.
    MarketBehind = "market_behind", retryable;
    /// The account is not open.
    UnknownAccount = "unknown_account", retryable;
    /// The account is open already.
    AccountExists = "account_exists", final_;
    /// The amount must be above zero.
    AmountNotPositive = "amount_not_positive", final_;
    /// The amount is larger than this ledger can hold.
    AmountTooLarge = "amount_too_large", final_;
    /// The quantity must be above zero.
    QuantityNotPositive = "quantity_not_positive", final_;
    /// The price must be above zero.
    PriceNotPositive = "price_not_positive", final_;
    /// There is no such order in this account.
    UnknownOrder = "unknown_order", retryable;
    /// There is no such fund order in this account.
    UnknownFundOrder = "unknown_fund_order", retryable;
    /// The order is filled, cancelled, rejected or expired.
    OrderClosed = "order_closed", final_;
    /// The back office placed the order to square off: it cannot be changed.
    SquareOffOrder = "square_off_order", final_;
    /// An earlier modification or cancellation waits for the venue.
    ModificationPending = "modification_pending", retryable;
    /// The order was modified 25 times already.
    TooManyModifications = "too_many_modifications", final_;
    /// The modification changes nothing.
    NothingToModify = "nothing_to_modify", final_;
    /// The quantity is below what is filled.
    QuantityBelowFilled = "quantity_below_filled", final_;
    /// There is no such instrument.
    UnknownInstrument = "unknown_instrument", retryable;
    /// The instrument has no tick size and takes no orders until it is listed with one.
    InstrumentNotTradable = "instrument_not_tradable", retryable;
    /// Limit and SL orders need a price.
    PriceRequired = "price_required", final_;
    /// An order at market takes no price.
    PriceNotAllowed = "price_not_allowed", final_;
    /// Only an order at market takes a market protection, above 0 and at most 100 percent.
    MarketProtectionNotAllowed = "market_protection_not_allowed", final_;
    /// SL and SL-M orders need a trigger price.
    TriggerPriceRequired = "trigger_price_required", final_;
    /// Only SL and SL-M orders take a trigger price.
    TriggerPriceNotAllowed = "trigger_price_not_allowed", final_;
    /// The order has been triggered: its trigger price can be changed no longer.
    OrderTriggered = "order_triggered", final_;
    /// The trigger price is beyond the limit: a purchase triggers at or below it, a sale at or above it.
    TriggerBeyondPrice = "trigger_beyond_price", final_;
    /// The disclosed quantity must be from a tenth of the quantity to all of it, and is for DAY orders.
    DisclosedQuantityNotAllowed = "disclosed_quantity_not_allowed", final_;
    /// The instrument's series is delivered share by share and takes no intraday order.
    ProductNotAllowed = "product_not_allowed", retryable;
    /// Only an intraday position can be converted, to delivery.
    ConversionNotAllowed = "conversion_not_allowed", final_;
    /// The price is not a whole number of ticks.
    PriceOffTick = "price_off_tick", final_;
    /// The price is outside the day's price band.
    PriceOutsideBand = "price_outside_band", retryable;
    /// The market has passed the trigger price already: a purchase triggers above the last price, a sale below it.
    TriggerWrongSide = "trigger_wrong_side", retryable;
    /// There is no price to block a market order at.
    NoPrice = "no_price", retryable;
    /// There is no session to place the order in.
    NoSession = "no_session", retryable;
    /// Intraday positions of the session have been squared off: there is no time left to close one.
    SquareOffPassed = "square_off_passed", retryable;
    /// More shares than are held, free and sellable.
    InsufficientShares = "insufficient_shares", retryable;
    /// There is no such scheme.
    UnknownScheme = "unknown_scheme", retryable;
    /// There is no such folio in this account.
    UnknownFolio = "unknown_folio", retryable;
    /// Give exactly one of units, amount and all.
    RedeemOneOf = "redeem_one_of", final_;
    /// A redemption's answer needs the amount paid out and the day it is paid.
    PayoutRequired = "payout_required", final_;
    /// More units than are held and free.
    InsufficientUnits = "insufficient_units", retryable;
    /// More cash than is available.
    InsufficientCash = "insufficient_cash", retryable;
    /// The trade is known with other content.
    FillContradicted = "fill_contradicted", final_;
    /// The day lies among those of the account's own trades that have left memory: this may be one of them.
    HistoryOverlaps = "history_overlaps", final_;
    /// The entry holds no unmatched trade that waits for assignment.
    UnknownUnmatchedFill = "unknown_unmatched_fill", final_;
    /// The trade's security or side is not the order's, or its quantity is more than the order's.
    FillDoesNotFit = "fill_does_not_fit", final_;
    /// Not due, or done already.
    NotDue = "not_due", retryable;
    /// The figures of the fact contradict each other, for instance a low above the high.
    FactInconsistent = "fact_inconsistent", final_;
    /// A day that is known already, with the same content.
    FactRepeated = "fact_repeated", final_;
    /// Contradicts an earlier fact and does not name it in `corrects`.
    FactContradicted = "fact_contradicted", final_;
    /// The fact it corrects does not exist or is not of the same kind.
    UnknownFact = "unknown_fact", final_;
}

/// A refusal with the figures that refused it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub code: Rejection,
    /// Figures by name, for instance `needed` and `available`.
    pub figures: BTreeMap<Box<str>, Box<str>>,
}

impl Refusal {
    /// With one more figure.
    #[must_use]
    pub fn with(mut self, name: &str, figure: impl ToString) -> Self {
        self.figures.insert(name.into(), figure.to_string().into());
        self
    }
}

impl From<Rejection> for Refusal {
    fn from(code: Rejection) -> Self {
        Self { code, figures: BTreeMap::new() }
    }
}

impl Rejection {
    /// A refusal with its first figure.
    pub fn with(self, name: &str, figure: impl ToString) -> Refusal {
        Refusal::from(self).with(name, figure)
    }
}

/// A command was refused; the only event of its entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandRefused {
    /// The stable code.
    pub code: Rejection,
    /// The figures that refused it, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<Box<str>, Box<str>>,
}

impl From<Refusal> for CommandRefused {
    fn from(refusal: Refusal) -> Self {
        Self { code: refusal.code, figures: refusal.figures }
    }
}
