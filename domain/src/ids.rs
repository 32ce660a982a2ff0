//! Names of things: accounts, instruments, schemes, folios, orders, trades, keys; each its own type and checked once, here.

use arrayvec::ArrayString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// Why a text is not an id of the kind asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseIdError(&'static str);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, up to $max:literal, $check:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(ArrayString<$max>);

        impl $name {
            /// Checks the text.
            ///
            /// # Errors
            /// When the text breaks the rule, which the error states.
            pub fn new(text: &str) -> Result<Self, ParseIdError> {
                let check: fn(&str) -> bool = $check;
                match ArrayString::from(text) {
                    Ok(held) if !text.is_empty() && check(text) => Ok(Self(held)),
                    _ => Err(ParseIdError($rule)),
                }
            }
            /// The text.
            pub fn as_str(&self) -> &str { self.0.as_str() }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}({self})", stringify!($name)) }
        }
        impl std::str::FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> { Self::new(text) }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> { serializer.serialize_str(self.as_str()) }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str($rule) }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> { $name::new(text).map_err(E::custom) }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}
fn is_visible(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}
fn is_isin(text: &str) -> bool {
    text.len() == 12
        && text.bytes().take(2).all(|b| b.is_ascii_uppercase())
        && text.bytes().skip(2).all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}
fn is_instrument(text: &str) -> bool {
    match text.split_once(':') {
        Some(("ISIN", isin)) => is_isin(isin),
        Some((exchange, symbol)) => {
            !exchange.is_empty()
                && exchange.len() <= 5
                && exchange.bytes().all(|b| b.is_ascii_uppercase())
                && !symbol.is_empty()
                && symbol.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"&-_.*$@".contains(&b))
        }
        None => false,
    }
}
fn is_text(text: &str) -> bool {
    text.chars().all(|c| !c.is_control()) && text.trim() == text
}

id!(
    /// An account: opaque, nothing personal.
    AccountId, up to 32, is_word, "must be 1 to 32 characters of A-Za-z0-9_-"
);
id!(
    /// An instrument: `NSE:RELIANCE`, `BSE:500325`, or `ISIN:INE002A01018` for one known only by its ISIN.
    InstrumentId, up to 40, is_instrument, "must be EXCHANGE:SYMBOL such as NSE:RELIANCE, or ISIN: and an ISIN"
);
id!(
    /// An exchange: `NSE`, `BSE`.
    Exchange, up to 5, |t| t.bytes().all(|b| b.is_ascii_uppercase()), "must be an exchange such as NSE, 1 to 5 capitals"
);
id!(
    /// An exchange's series or group: `EQ`, `BE`, `BZ`.
    Series, up to 4, |t| t.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()), "must be a series such as EQ, 1 to 4 capitals or digits"
);

impl Series {
    /// Trade-to-trade series are delivered share by share: settled shares alone may be sold, and a day nets nothing
    /// (NSE series BE, BZ).
    pub fn delivers_gross(&self) -> bool {
        matches!(self.as_str(), "BE" | "BZ")
    }
}

id!(
    /// An exchange's trading symbol.
    Symbol, up to 32, |t| t.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"&-_.*$@".contains(&b)), "must be a trading symbol in capitals, up to 32 characters"
);
id!(
    /// An International Securities Identification Number (ISO 6166), by its form; the check digit is not verified, as old files hold wrong ones.
    Isin, up to 12, is_isin, "must be an ISIN: two capitals and ten capitals or digits"
);
id!(
    /// A fund scheme: AMFI's code, or `ISIN:...` for one known only by its ISIN.
    SchemeCode, up to 20, |t| t.bytes().all(|b| b.is_ascii_digit()) || t.strip_prefix("ISIN:").is_some_and(is_isin), "must be an AMFI scheme code in digits, or ISIN: and an ISIN"
);
id!(
    /// A folio: the number under which a registrar holds an investor's units.
    Folio, up to 32, |t| is_text(t) && t.is_ascii(), "must be a folio number of 1 to 32 ASCII characters"
);
id!(
    /// An exchange's number of a trade.
    TradeId, up to 40, is_visible, "must be a trade id of 1 to 40 visible ASCII characters"
);
id!(
    /// An exchange's number of an order.
    ExchangeOrderId, up to 40, is_visible, "must be an exchange order id of 1 to 40 visible ASCII characters"
);
id!(
    /// A client's own mark on an order.
    Tag, up to 20, |t| is_text(t) && t.is_ascii(), "must be 1 to 20 ASCII characters"
);
id!(
    /// The exchange's id of an algorithm (SEBI circular of 4 February 2025).
    AlgoId, up to 40, is_visible, "must be 1 to 40 visible ASCII characters"
);
id!(
    /// A command's id: the client's `Idempotency-Key`, or one made by the back office or an import.
    CommandId, up to 128, is_visible, "must be 1 to 64 visible ASCII characters"
);

impl InstrumentId {
    /// The exchange of an instrument that has one; `None` for `ISIN:...`.
    pub fn exchange(&self) -> Option<Exchange> {
        match self.as_str().split_once(':') {
            Some((exchange, _)) if exchange != "ISIN" => Exchange::new(exchange).ok(),
            _ => None,
        }
    }
}

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            /// Whose it is.
            pub account: AccountId,
            /// The account's entry that requested it.
            pub seq: u64,
        }
        impl $name {
            /// Reads `{account}-{seq}`.
            ///
            /// # Errors
            /// When the text has another shape.
            pub fn new(text: &str) -> Result<Self, ParseIdError> {
                const RULE: ParseIdError = ParseIdError("must be {account}-{seq}");
                let (account, seq) = text.rsplit_once('-').ok_or(RULE)?;
                if seq.is_empty() || !seq.bytes().all(|b| b.is_ascii_digit()) || (seq.len() > 1 && seq.starts_with('0')) {
                    return Err(RULE);
                }
                Ok(Self { account: AccountId::new(account).map_err(|_| RULE)?, seq: seq.parse().map_err(|_| RULE)? })
            }
            /// The text, built on the stack.
            pub fn text(&self) -> ArrayString<56> {
                let mut text = ArrayString::new();
                fmt::Write::write_fmt(&mut text, format_args!("{}-{}", self.account, self.seq)).expect("32 + 1 + 20 fit");
                text
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}-{}", self.account, self.seq) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}({self})", stringify!($name)) }
        }
        impl std::str::FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> { Self::new(text) }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> { serializer.serialize_str(&self.text()) }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str("{account}-{seq}") }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> { $name::new(text).map_err(E::custom) }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

numbered!(
    /// An order: `{account}-{seq}` of the entry that requested it.
    OrderId
);
numbered!(
    /// A fund purchase or redemption: `{account}-{seq}` of the entry that requested it.
    FundOrderId
);
