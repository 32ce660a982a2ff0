//! Exact amounts: rupees, prices, NAVs, fund units, shares and percentages; knows no float and no currency but the rupee.
//!
//! | left | operation | right | gives |
//! | --- | --- | --- | --- |
//! | `Money` | `+` `-` | `Money` | `Money` |
//! | `Units` | `+` `-` | `Units` | `Units` |
//! | `Quantity` | `+` `-` | `Quantity` | `Quantity` |
//! | `Price` | `times(_, Rounding)` | `Quantity` | `Money` |
//! | `Units` | `worth(_, Rounding)` | `Nav` | `Money` |
//! | `Money` | `units_at(_, Rounding)` | `Nav` | `Units` |
//! | `Money` | `per_share(_, Rounding)` | `Quantity` | `Price` |
//! | `Money` | `share(_, _, Rounding)` | `i64` of `i64` | `Money` |
//! | `Percent` | `of(_, Rounding)` | `Money`, `Price` | the same |
//!
//! What is not in the table does not compile. `+` and `-` panic on overflow (the writer answers a
//! command that panics with a refusal); `checked_add` and `checked_sub` return `None` instead.
//! Every product and quotient is computed in i128 and names its rounding.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// How a figure that does not fit its scale is brought to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Toward zero.
    Down,
    /// Away from zero.
    Up,
    /// To the nearest; a tie goes to the even neighbour.
    HalfEven,
    /// To the nearest; a tie goes away from zero, as contract notes do.
    HalfUp,
}

/// Why a text is not an amount of the kind asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseAmountError {
    /// Not `-?digits(.digits)?` without leading zeros.
    #[error("must be a plain decimal such as \"1250.50\", without exponent, sign '+', spaces or separators")]
    Shape,
    /// More decimals than the kind of amount holds.
    #[error("has more than {0} decimals")]
    Scale(u32),
    /// Beyond what the type can hold.
    #[error("is too large")]
    Range,
}

/// Divides exactly as named; `None` for a zero divisor or a quotient beyond i64.
fn divide(numerator: i128, divisor: i128, rounding: Rounding) -> Option<i64> {
    let (quotient, rest) = (numerator.checked_div(divisor)?, numerator.checked_rem(divisor)?);
    let away = if (numerator < 0) == (divisor < 0) { 1 } else { -1 };
    let twice = rest.unsigned_abs().checked_mul(2)?;
    let up = match rounding {
        _ if rest == 0 => false,
        Rounding::Down => false,
        Rounding::Up => true,
        Rounding::HalfUp => twice >= divisor.unsigned_abs(),
        Rounding::HalfEven => twice > divisor.unsigned_abs() || (twice == divisor.unsigned_abs() && quotient % 2 != 0),
    };
    i64::try_from(if up { quotient + away } else { quotient }).ok()
}

fn parse_scaled(text: &str, scale: u32) -> Result<i64, ParseAmountError> {
    let bytes = text.as_bytes();
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let point = digits.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&digits[..at], &digits[at + 1..]),
        None => (digits, &digits[..0]),
    };
    let plain = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    if whole.is_empty()
        || (point.is_some() && fraction.is_empty())
        || !plain(whole)
        || !plain(fraction)
        || (whole.len() > 1 && whole[0] == b'0')
    {
        return Err(ParseAmountError::Shape);
    }
    // "12.3400" fits two decimals: trailing zeros say nothing.
    let kept = fraction.iter().rposition(|digit| *digit != b'0').map_or(0, |at| at + 1);
    if kept > scale as usize {
        return Err(ParseAmountError::Scale(scale));
    }
    let padding = std::iter::repeat_n(&b'0', scale as usize - kept);
    let mut value: i64 = 0;
    for digit in whole.iter().chain(&fraction[..kept]).chain(padding) {
        let digit = i64::from(digit - b'0');
        // Downward for a negative, so that the least i64 reads back too.
        let add = |v: i64| if negative { v.checked_sub(digit) } else { v.checked_add(digit) };
        value = value.checked_mul(10).and_then(add).ok_or(ParseAmountError::Range)?;
    }
    Ok(value)
}

/// Writes the canonical text into `buffer` and returns it: at least `least` decimals, no more than
/// needed beyond that, so that one amount has one text.
fn print_scaled(value: i64, scale: u32, least: u32, buffer: &mut [u8; 32]) -> &str {
    let mut magnitude = value.unsigned_abs();
    let mut at = buffer.len();
    let mut decimals = scale;
    while decimals > least && magnitude.is_multiple_of(10) {
        magnitude /= 10;
        decimals -= 1;
    }
    let mut written = 0;
    while magnitude > 0 || written <= decimals {
        if written == decimals && decimals > 0 {
            at -= 1;
            buffer[at] = b'.';
        }
        at -= 1;
        buffer[at] = b'0' + u8::try_from(magnitude % 10).expect("a digit");
        magnitude /= 10;
        written += 1;
    }
    if value < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    std::str::from_utf8(&buffer[at..]).expect("digits are ASCII")
}

macro_rules! amount {
    ($(#[$doc:meta])* $name:ident, scale $scale:literal, printed with at least $least:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);
            /// Decimals held.
            pub const SCALE: u32 = $scale;
            /// From a count of the smallest unit.
            pub const fn from_smallest(count: i64) -> Self { Self(count) }
            /// As a count of the smallest unit.
            pub const fn smallest(self) -> i64 { self.0 }
            /// Reads a plain decimal.
            ///
            /// # Errors
            /// When the text is not a plain decimal, has too many decimals or is too large.
            pub fn parse(text: &str) -> Result<Self, ParseAmountError> {
                parse_scaled(text, $scale).map(Self)
            }
            /// The canonical text, written into `buffer`.
            pub fn print(self, buffer: &mut [u8; 32]) -> &str {
                print_scaled(self.0, $scale, $least, buffer)
            }
            /// Above zero.
            pub const fn is_positive(self) -> bool { self.0 > 0 }
            /// Below zero.
            pub const fn is_negative(self) -> bool { self.0 < 0 }
            /// Exactly zero.
            pub const fn is_zero(self) -> bool { self.0 == 0 }
            /// Without its sign.
            pub const fn abs(self) -> Self { Self(self.0.abs()) }
            /// Sum, or `None` when it does not fit.
            pub fn checked_add(self, other: Self) -> Option<Self> { self.0.checked_add(other.0).map(Self) }
            /// Difference, or `None` when it does not fit.
            pub fn checked_sub(self, other: Self) -> Option<Self> { self.0.checked_sub(other.0).map(Self) }
        }

        impl std::ops::Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self { self.checked_add(other).expect("sum fits") }
        }
        impl std::ops::Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self { self.checked_sub(other).expect("difference fits") }
        }
        impl std::ops::Neg for $name {
            type Output = Self;
            fn neg(self) -> Self { Self(self.0.checked_neg().expect("negation fits")) }
        }
        impl std::ops::AddAssign for $name {
            fn add_assign(&mut self, other: Self) { *self = *self + other; }
        }
        impl std::ops::SubAssign for $name {
            fn sub_assign(&mut self, other: Self) { *self = *self - other; }
        }
        impl std::iter::Sum for $name {
            fn sum<I: Iterator<Item = Self>>(items: I) -> Self { items.fold(Self::ZERO, |a, b| a + b) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.print(&mut [0; 32])) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}({self})", stringify!($name)) }
        }
        impl std::str::FromStr for $name {
            type Err = ParseAmountError;
            fn from_str(text: &str) -> Result<Self, Self::Err> { Self::parse(text) }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.serialize_str(self.print(&mut [0; 32]))
                } else {
                    serializer.serialize_i64(self.0)
                }
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("a decimal string with at most ", $scale, " decimals"))
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::parse(text).map_err(E::custom)
                    }
                }
                if !deserializer.is_human_readable() {
                    return i64::deserialize(deserializer).map(Self);
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

amount!(
    /// Rupees, held in paise.
    Money, scale 2, printed with at least 2
);
amount!(
    /// Rupees for one share, held in 1/10,000 rupee.
    Price, scale 4, printed with at least 2
);
amount!(
    /// Rupees for one fund unit, held in 1/10^8 rupee (AMFI publishes up to 8 decimals).
    Nav, scale 8, printed with at least 4
);
amount!(
    /// Fund units, held in 1/10,000 unit (most schemes allot 3 decimals, some 4).
    Units, scale 4, printed with at least 3
);
amount!(
    /// A percentage, held in 1/10,000 of a percent: `20` is one fifth.
    Percent, scale 4, printed with at least 0
);

/// Whole shares; a JSON integer on the wire.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quantity(i64);

impl Quantity {
    /// No share.
    pub const ZERO: Self = Self(0);
    /// So many shares.
    pub const fn new(shares: i64) -> Self {
        Self(shares)
    }
    /// The count of shares.
    pub const fn shares(self) -> i64 {
        self.0
    }
    /// Above zero.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }
    /// Below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }
    /// Exactly zero.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
    /// Sum, or `None` when it does not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
    /// Difference, or `None` when it does not fit.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

impl std::ops::Add for Quantity {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.checked_add(other).expect("sum fits")
    }
}
impl std::ops::Sub for Quantity {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.checked_sub(other).expect("difference fits")
    }
}
impl std::ops::Neg for Quantity {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.checked_neg().expect("negation fits"))
    }
}
impl std::ops::AddAssign for Quantity {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
impl std::ops::SubAssign for Quantity {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}
impl std::iter::Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
        items.fold(Self::ZERO, |a, b| a + b)
    }
}
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const PRICE_PER_PAISA: i128 = 100; // 1/10,000 rupee in a paisa
const UNITS_TIMES_NAV_PER_PAISA: i128 = 10_i128.pow(10); // 10^-12 rupee in a paisa
const WHOLE: i128 = 1_000_000; // 100 percent, in 1/10,000 of a percent

impl Price {
    /// What so many shares cost at this price; `None` when it does not fit.
    pub fn times(self, quantity: Quantity, rounding: Rounding) -> Option<Money> {
        divide(i128::from(self.0) * i128::from(quantity.0), PRICE_PER_PAISA, rounding).map(Money)
    }
    /// Whether the price is a whole number of ticks.
    pub fn is_on_tick(self, tick: Price) -> bool {
        tick.0 > 0 && self.0 % tick.0 == 0
    }
    /// The nearest price that is a whole number of ticks, in the direction named.
    pub fn to_tick(self, tick: Price, rounding: Rounding) -> Price {
        if tick.0 <= 0 {
            return self;
        }
        divide(i128::from(self.0), i128::from(tick.0), rounding)
            .and_then(|ticks| ticks.checked_mul(tick.0))
            .map_or(self, Price)
    }
}

impl Units {
    /// What so many units are worth at this NAV; `None` when it does not fit.
    pub fn worth(self, nav: Nav, rounding: Rounding) -> Option<Money> {
        divide(i128::from(self.0) * i128::from(nav.0), UNITS_TIMES_NAV_PER_PAISA, rounding).map(Money)
    }
}

impl Units {
    /// Whether so many units at this NAV are worth less than, exactly or more than an amount, without rounding.
    pub fn compare_worth(self, nav: Nav, amount: Money) -> std::cmp::Ordering {
        (i128::from(self.0) * i128::from(nav.0)).cmp(&(i128::from(amount.0) * UNITS_TIMES_NAV_PER_PAISA))
    }
}

impl Money {
    /// How many units this buys at this NAV; `None` for a NAV of zero or when it does not fit.
    pub fn units_at(self, nav: Nav, rounding: Rounding) -> Option<Units> {
        divide(i128::from(self.0) * UNITS_TIMES_NAV_PER_PAISA, i128::from(nav.0), rounding).map(Units)
    }
    /// The average price of so many shares; `None` for no shares.
    pub fn per_share(self, quantity: Quantity, rounding: Rounding) -> Option<Price> {
        divide(i128::from(self.0) * PRICE_PER_PAISA, i128::from(quantity.0), rounding).map(Price)
    }
    /// The average NAV of so many units; `None` for no units.
    pub fn per_unit(self, units: Units, rounding: Rounding) -> Option<Nav> {
        divide(i128::from(self.0) * UNITS_TIMES_NAV_PER_PAISA, i128::from(units.0), rounding).map(Nav)
    }
    /// `part` of `whole` of this amount, for instance the cost of 3 of 10 shares.
    pub fn share(self, part: i64, whole: i64, rounding: Rounding) -> Option<Money> {
        divide(i128::from(self.0) * i128::from(part), i128::from(whole), rounding).map(Money)
    }
}

impl Percent {
    /// So many whole percent.
    pub const fn whole(percent: i64) -> Self {
        Self(percent * 10_000)
    }
    /// This percentage of an amount; `None` when it does not fit.
    pub fn of(self, amount: Money, rounding: Rounding) -> Option<Money> {
        divide(i128::from(amount.0) * i128::from(self.0), WHOLE, rounding).map(Money)
    }
    /// This percentage of a price; `None` when it does not fit.
    pub fn of_price(self, price: Price, rounding: Rounding) -> Option<Price> {
        divide(i128::from(price.0) * i128::from(self.0), WHOLE, rounding).map(Price)
    }
}
