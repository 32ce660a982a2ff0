//! What a field of a body or query may hold: one table checks it, explains it and describes it in OpenAPI.
//!
//! Bodies are read straight into typed values; these tables are walked only when that failed, to name
//! every bad field. It knows no route and no field's meaning.

use crate::problem::Fault;
use domain::{
    ids,
    money::{Money, Nav, Percent, Price, Units},
    time,
};
use serde_json::Value;
use std::{borrow::Cow, fmt::Display, str::FromStr};
use utoipa::openapi::{
    ArrayBuilder, KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat,
    schema::{AdditionalProperties, SchemaType, Type},
};

/// Shares in one order, trade or row: no listed company's daily volume is near it.
pub const QUANTITY_MAX: i64 = 100_000_000;
/// Rupees a share: sixty times the dearest share ever listed.
pub const PRICE_RUPEES_MAX: i64 = 10_000_000;
/// Rupees in one movement: ten lakh crore, far above any broker's day.
pub const AMOUNT_RUPEES_MAX: i64 = 10_000_000_000_000;
/// Rupees a unit.
pub const NAV_RUPEES_MAX: i64 = 100_000_000;
/// Fund units in one movement.
pub const UNITS_MAX: i64 = 10_000_000_000;
/// Characters of a venue's or registrar's words, and of a name.
pub const TEXT_CHARS_MAX: usize = 200;
/// The largest `seq` taken: what a JSON number holds exactly everywhere.
pub const SEQ_MAX: i64 = 9_007_199_254_740_991;

/// The last year of an instant: one less than what can be written.
pub const YEAR_MAX: i32 = 2199;

/// A field of a body, or a query parameter.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it may hold.
    pub kind: Kind,
    /// Whether it must be there.
    pub needed: bool,
    /// What it means, in a phrase.
    pub about: &'static str,
}

/// The fields of a body.
#[derive(Debug)]
pub struct Shape {
    /// Its name in OpenAPI.
    pub name: &'static str,
    /// What it is, in a phrase.
    pub about: &'static str,
    /// All fields; others are refused.
    pub fields: &'static [Field],
}

/// What a field may hold.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A JSON string that a check accepts.
    Text(&'static Text),
    /// A JSON string of amounts, where a JSON number is the common mistake.
    Decimal(&'static Text),
    /// A JSON integer between two bounds.
    Whole(i64, i64),
    /// `true` or `false`.
    Flag,
    /// Only `true`.
    Yes,
    /// One of these names.
    Name(&'static [&'static str]),
    /// Only in answers: an object.
    Part(&'static Shape),
    /// Only in answers: a list of objects.
    Rows(&'static Shape),
    /// Only in answers: an object of another specification, such as an entry's.
    Free,
}

/// A string's rule.
#[derive(Debug)]
pub struct Text {
    /// Says what is wrong.
    pub check: fn(&str) -> Result<(), Cow<'static, str>>,
    /// The same rule as a regular expression.
    pub pattern: &'static str,
    /// A value that passes.
    pub example: &'static str,
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, Cow<'static, str>> {
    text.parse().map_err(|error: T::Err| Cow::Owned(error.to_string()))
}

fn instant(text: &str) -> Result<(), Cow<'static, str>> {
    let instant = parsed(text)?;
    if instant_fits(instant) { Ok(()) } else { Err(format!("must be at most in the year {YEAR_MAX}").into()) }
}

/// A day of the Gregorian calendar between 1900 and 2199.
macro_rules! day {
    () => {
        "((19|20|21)[0-9]{2}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|(19(0[48]|[2468][048]|[13579][26])|20([02468][048]|[13579][26])|21(0[48]|[2468][048]|[13579][26]))-02-29)"
    };
}
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $check:expr, $pattern:expr, $example:literal;)*) => {
        $($(#[$doc])* pub const $name: &Text = &Text { check: $check, pattern: $pattern, example: $example };)*
    };
}
macro_rules! is {
    ($type:ty) => {
        |text| parsed::<$type>(text).map(|_| ())
    };
}

texts! {
    /// An account's id.
    ACCOUNT = is!(ids::AccountId), "^[A-Za-z0-9_-]{1,32}$", "ACC1";
    /// An instrument's id.
    INSTRUMENT = is!(ids::InstrumentId), "^(ISIN:[A-Z]{2}[A-Z0-9]{10}|([A-Z]{1,3}|[A-Z]{5}|[A-HJ-Z][A-Z]{3}|I[A-RT-Z][A-Z]{2}|IS[A-HJ-Z][A-Z]|ISI[A-MO-Z]):[A-Z0-9&_.*$@-]{1,34})$", "NSE:RELIANCE";
    /// A scheme's code.
    SCHEME = is!(ids::SchemeCode), "^([0-9]{1,20}|ISIN:[A-Z]{2}[A-Z0-9]{10})$", "119551";
    /// An ISIN.
    ISIN = is!(ids::Isin), "^[A-Z]{2}[A-Z0-9]{10}$", "INE002A01018";
    /// An exchange.
    EXCHANGE = is!(ids::Exchange), "^[A-Z]{1,5}$", "NSE";
    /// A series.
    SERIES = is!(ids::Series), "^[A-Z0-9]{1,4}$", "EQ";
    /// A trading symbol.
    SYMBOL = is!(ids::Symbol), "^[A-Z0-9&_.*$@-]{1,32}$", "RELIANCE";
    /// A folio.
    FOLIO = is!(ids::Folio), "^[!-~]([ -~]{0,30}[!-~])?$", "1234567/89";
    /// An order's id.
    ORDER = is!(ids::OrderId), "^[A-Za-z0-9_-]{1,32}-(0|[1-9][0-9]{0,18})$", "ACC1-41";
    /// A fund order's id.
    FUND_ORDER = is!(ids::FundOrderId), "^[A-Za-z0-9_-]{1,32}-(0|[1-9][0-9]{0,18})$", "ACC1-42";
    /// An exchange's number of a trade.
    TRADE = is!(ids::TradeId), "^[!-~]{1,40}$", "75001234";
    /// An exchange's number of an order.
    EXCHANGE_ORDER = is!(ids::ExchangeOrderId), "^[!-~]{1,40}$", "1100000000012345";
    /// A client's mark.
    TAG = is!(ids::Tag), "^[!-~]([ -~]{0,18}[!-~])?$", "rebalance";
    /// An algorithm's id.
    ALGO = is!(ids::AlgoId), "^[!-~]{1,40}$", "ALGO7";
    /// A key.
    KEY = |text| if is_key(text) { Ok(()) } else { Err(KEY_RULE.into()) }, "^[!-~]{1,64}$", "k1";
    /// A day.
    DATE = is!(time::Date), concat!("^", day!(), "$"), "2026-11-23";
    /// An instant.
    INSTANT = instant, concat!("^", day!(), "T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"), "2026-11-23T09:31:02+05:30";
    /// A time of day.
    TIME_OF_DAY = is!(time::TimeOfDay), "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", "09:15";
    /// Words.
    WORDS = |text| if is_words(text) { Ok(()) } else { Err("must be 1 to 200 characters without control characters, not blank at either end".into()) }, "^[^\\s\\u0000-\\u001f\\u007f-\\u009f]([^\\u0000-\\u001f\\u007f-\\u009f]{0,198}[^\\s\\u0000-\\u001f\\u007f-\\u009f])?$", "price outside the band";
    /// Rupees above zero.
    AMOUNT = |text| within(parsed::<Money>(text)?.smallest(), 100, AMOUNT_RUPEES_MAX, "rupees"), "^(([1-9][0-9]{0,12}(\\.[0-9]{1,2}0*)?)|(10000000000000(\\.0+)?)|(0\\.([1-9][0-9]?|0[1-9])0*))$", "5000.00";
    /// Rupees from zero.
    AMOUNT_OR_ZERO = |text| from_zero(parsed::<Money>(text)?.smallest(), 100, AMOUNT_RUPEES_MAX, "rupees"), "^((0|[1-9][0-9]{0,12})(\\.[0-9]{1,2}0*)?|10000000000000(\\.0+)?)$", "0.25";
    /// Rupees a share above zero.
    PRICE = |text| within(parsed::<Price>(text)?.smallest(), 10_000, PRICE_RUPEES_MAX, "rupees"), "^(([1-9][0-9]{0,6}(\\.[0-9]{1,4}0*)?)|(10000000(\\.0+)?)|(0\\.([1-9][0-9]{0,3}|0[1-9][0-9]{0,2}|00[1-9][0-9]?|000[1-9])0*))$", "2500.00";
    /// Rupees a share from zero.
    PRICE_OR_ZERO = |text| from_zero(parsed::<Price>(text)?.smallest(), 10_000, PRICE_RUPEES_MAX, "rupees"), "^((0|[1-9][0-9]{0,6})(\\.[0-9]{1,4}0*)?|10000000(\\.0+)?)$", "2498.10";
    /// Rupees a unit from zero.
    NAV = |text| from_zero(parsed::<Nav>(text)?.smallest(), 100_000_000, NAV_RUPEES_MAX, "rupees"), "^((0|[1-9][0-9]{0,7})(\\.[0-9]{1,8}0*)?|100000000(\\.0+)?)$", "47.1234";
    /// Units above zero.
    UNITS = |text| within(parsed::<Units>(text)?.smallest(), 10_000, UNITS_MAX, "units"), "^(([1-9][0-9]{0,9}(\\.[0-9]{1,4}0*)?)|(10000000000(\\.0+)?)|(0\\.([1-9][0-9]{0,3}|0[1-9][0-9]{0,2}|00[1-9][0-9]?|000[1-9])0*))$", "106.1070";
    /// Percent above zero, at most 100.
    PERCENT = |text| within(parsed::<Percent>(text)?.smallest(), 10_000, 100, "percent"), "^(([1-9][0-9]?(\\.[0-9]{1,4}0*)?)|(100(\\.0+)?)|(0\\.([1-9][0-9]{0,3}|0[1-9][0-9]{0,2}|00[1-9][0-9]?|000[1-9])0*))$", "20";
    /// An amount of any sign.
    SIGNED = |_| Ok(()), "^-?[0-9]+(\\.[0-9]+)?$", "1250.50";
    /// Any text.
    ANY = |_| Ok(()), "", "text";
    /// A command's key, of a list's item or of the back office too.
    LONG_KEY = is!(ids::CommandId), "^[!-~]{1,128}$", "k1";
    /// The beginning of an instrument's id or symbol, or a part of a name.
    SEARCH = |text| if is_words(text) { Ok(()) } else { Err("must be 1 to 200 characters without control characters, not blank at either end".into()) }, "^[!-~]([ -~]{0,198}[!-~])?$", "REL";
    /// An opaque position.
    POSITION = |text| if is_opaque(text) { Ok(()) } else { Err("must be a Bahi-Position as it was given".into()) }, "^[!-~]{1,2048}$", "bDE";
    /// An opaque cursor.
    CURSOR = |text| if is_opaque(text) { Ok(()) } else { Err("must be a cursor as it was given".into()) }, "^[!-~]{1,2048}$", "bDE";
}

/// What a key must be.
pub const KEY_RULE: &str = "must be 1 to 64 visible ASCII characters";
const OPAQUE_BYTES_MAX: usize = 2_048;

/// 1 to 64 visible ASCII characters.
pub fn is_key(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
fn is_opaque(text: &str) -> bool {
    (1..=OPAQUE_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
/// 1 to 200 characters, none a control character, trimmed.
pub fn is_words(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 4 * TEXT_CHARS_MAX
        && text.chars().count() <= TEXT_CHARS_MAX
        && text.trim() == text
        && !text.chars().any(char::is_control)
}

/// Whether an instant is within the years that are taken: what follows from it, such as a settlement date, is later.
pub fn instant_fits(instant: time::Timestamp) -> bool {
    instant.date().ymd().0 <= YEAR_MAX
}

fn within(smallest: i64, per_whole: i64, most: i64, of: &str) -> Result<(), Cow<'static, str>> {
    if smallest <= 0 { Err("must be above zero".into()) } else { from_zero(smallest, per_whole, most, of) }
}
fn from_zero(smallest: i64, per_whole: i64, most: i64, of: &str) -> Result<(), Cow<'static, str>> {
    if smallest < 0 {
        return Err("must not be below zero".into());
    }
    if smallest > most.saturating_mul(per_whole) {
        return Err(format!("must be at most {most} {of}").into());
    }
    Ok(())
}

/// Whether a JSON value is what a field may hold; if not, why.
///
/// # Errors
/// The reason.
pub fn check(kind: Kind, value: &Value) -> Result<(), Cow<'static, str>> {
    match (kind, value) {
        (Kind::Text(text) | Kind::Decimal(text), Value::String(given)) => (text.check)(given),
        (Kind::Decimal(text), Value::Number(_)) => {
            Err(format!("must be a decimal string such as \"{}\", not a JSON number", text.example).into())
        }
        (Kind::Text(_) | Kind::Decimal(_), _) => Err("must be a string".into()),
        (Kind::Whole(least, most), Value::Number(number)) => match number.as_i64() {
            Some(whole) if (least..=most).contains(&whole) => Ok(()),
            Some(whole) if whole < least && least == 1 => Err("must be above zero".into()),
            Some(whole) if whole < least => Err(format!("must be at least {least}").into()),
            Some(_) => Err(format!("must be at most {most}").into()),
            None if number.is_u64() => Err(format!("must be at most {most}").into()),
            None => Err("must be a whole number: a fraction or an exponent is not taken".into()),
        },
        (Kind::Whole(..), _) => Err("must be a JSON integer".into()),
        (Kind::Flag, Value::Bool(_)) | (Kind::Yes, Value::Bool(true)) => Ok(()),
        (Kind::Flag, _) => Err("must be true or false".into()),
        (Kind::Yes, _) => Err("must be true, or left out".into()),
        (Kind::Name(names), Value::String(given)) if names.contains(&given.as_str()) => Ok(()),
        (Kind::Part(_) | Kind::Rows(_) | Kind::Free, _) => Err("is not taken in a request".into()),
        (Kind::Name(names), _) => Err(format!("must be one of {}", names.join(", ")).into()),
    }
}

/// All faults of an object, under a pointer.
pub fn faults(shape: &Shape, value: &Value, under: &str) -> Vec<Fault> {
    let Value::Object(object) = value else {
        return vec![Fault { pointer: under.into(), detail: "must be a JSON object".into() }];
    };
    let mut faults = Vec::new();
    let pointer = |name: &str| format!("{under}/{}", name.replace('~', "~0").replace('/', "~1"));
    for field in shape.fields {
        match object.get(field.name) {
            None if field.needed => {
                faults.push(Fault { pointer: pointer(field.name), detail: "is missing".into() });
            }
            None => {}
            // `null` is the same as absent.
            Some(Value::Null) if !field.needed => {}
            Some(value) => {
                if let Err(detail) = check(field.kind, value) {
                    faults.push(Fault { pointer: pointer(field.name), detail });
                }
            }
        }
    }
    for name in object.keys().filter(|name| shape.fields.iter().all(|field| field.name != name.as_str())) {
        let shown: String = name.chars().take(64).collect();
        faults.push(Fault { pointer: pointer(&shown), detail: "is not a field of this body".into() });
    }
    faults
}

impl Kind {
    /// In OpenAPI's words.
    pub fn schema(self) -> RefOr<Schema> {
        let string = || ObjectBuilder::new().schema_type(Type::String);
        let object = match self {
            Kind::Text(text) | Kind::Decimal(text) => string()
                .pattern(Some(text.pattern).filter(|pattern| !pattern.is_empty()))
                .examples([Value::from(text.example)]),
            Kind::Whole(least, most) => ObjectBuilder::new()
                .schema_type(Type::Integer)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
                .minimum(Some(least))
                .maximum(Some(most)),
            Kind::Flag => ObjectBuilder::new().schema_type(Type::Boolean),
            Kind::Yes => ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true])),
            Kind::Name(names) => string().enum_values(Some(names.iter().copied())),
            Kind::Free => ObjectBuilder::new().schema_type(Type::Object),
            Kind::Part(shape) => return shape.answer_schema(),
            Kind::Rows(shape) => return ArrayBuilder::new().items(shape.answer_schema()).into(),
        };
        object.into()
    }
}

/// `null` is the same as absent.
fn or_null(object: &mut utoipa::openapi::Object) {
    if let SchemaType::Type(only) = &object.schema_type {
        object.schema_type = SchemaType::Array(vec![only.clone(), Type::Null]);
    }
    if let Some(names) = &mut object.enum_values {
        names.push(Value::Null);
    }
}

impl Shape {
    /// As a closed object, for a body.
    pub fn schema(&self) -> RefOr<Schema> {
        self.described().additional_properties(Some(AdditionalProperties::FreeForm(false))).into()
    }

    /// As an object that may gain fields, for an answer.
    pub fn answer_schema(&self) -> RefOr<Schema> {
        self.described().into()
    }

    fn described(&self) -> ObjectBuilder {
        let mut object = ObjectBuilder::new().schema_type(Type::Object).description(Some(self.about));
        for field in self.fields {
            let mut schema = field.kind.schema();
            if let RefOr::T(Schema::Object(object)) = &mut schema {
                object.description = Some(field.about.into());
                if !field.needed {
                    or_null(object);
                }
            }
            object = object.property(field.name, schema);
            if field.needed {
                object = object.required(field.name);
            }
        }
        object
    }
}

impl Field {
    /// A field that must be there.
    pub const fn needed(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, needed: true, about }
    }
    /// A field that may be there.
    pub const fn may(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, needed: false, about }
    }
}

/// Whether a quantity of shares is within its limits.
pub fn quantity_fits(quantity: domain::money::Quantity) -> bool {
    (1..=QUANTITY_MAX).contains(&quantity.shares())
}
/// Whether a price is above zero and within its limit.
pub fn price_fits(price: Price) -> bool {
    within(price.smallest(), 10_000, PRICE_RUPEES_MAX, "").is_ok()
}
/// Whether a price is at least zero and within its limit.
pub fn price_or_zero_fits(price: Price) -> bool {
    from_zero(price.smallest(), 10_000, PRICE_RUPEES_MAX, "").is_ok()
}
/// Whether an amount is above zero and within its limit.
pub fn amount_fits(amount: Money) -> bool {
    within(amount.smallest(), 100, AMOUNT_RUPEES_MAX, "").is_ok()
}
/// Whether an amount is at least zero and within its limit.
pub fn amount_or_zero_fits(amount: Money) -> bool {
    from_zero(amount.smallest(), 100, AMOUNT_RUPEES_MAX, "").is_ok()
}
/// Whether a NAV is at least zero and within its limit.
pub fn nav_fits(nav: Nav) -> bool {
    from_zero(nav.smallest(), 100_000_000, NAV_RUPEES_MAX, "").is_ok()
}
/// Whether units are above zero and within their limit.
pub fn units_fit(units: Units) -> bool {
    within(units.smallest(), 10_000, UNITS_MAX, "").is_ok()
}
/// Whether a percentage is above zero and at most 100.
pub fn percent_fits(percent: Percent) -> bool {
    within(percent.smallest(), 10_000, 100, "").is_ok()
}
/// Whether a fact's number may be named in `corrects`.
pub fn seq_fits(seq: u64) -> bool {
    (1..=SEQ_MAX.unsigned_abs()).contains(&seq)
}
