//! Dated rates and rules of the broker and the regulator, read from one data file; decides nothing.
//!
//! The file has one value a line, `name,from,value` or `name,from,until,value`, and `#` comments that
//! name the source; its version is the `version` line. A value holds from its date to `until`, that day
//! included, or without it to the day before the next line of its name. From a rule's first date on
//! there is exactly one value a day: a day without one is a gap and a day with two an overlap, and
//! either refuses the file. Before its first date a rule has its first value.

use crate::{
    money::{Money, Percent, Rounding},
    time::{Date, TimeOfDay},
};
use std::{collections::BTreeMap, fmt};

/// The policy that ships with the product.
pub const SHIPPED: &str = include_str!("../data/policy.csv");

/// India never settled later than 14 days after the trade (weekly settlement, until 2001).
const SETTLEMENT_MAX_DAYS: u32 = 14;

/// A regular session is six hours and a quarter; nothing is done longer before its end than half of it.
const MINUTES_MAX: u16 = 180;

/// What kind of thing is wrong with a policy file, as a stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A line is not `name,from,value` or `name,from,until,value`, or its dates do not read.
    Unreadable,
    /// No rule has this name.
    UnknownRule,
    /// The value does not read or is out of range.
    Value,
    /// Some day has two values.
    Overlap,
    /// Some day has no value.
    Gap,
    /// A rule has no line.
    MissingRule,
    /// There is no version, or more than one.
    Version,
}

impl Fault {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "policy_unreadable",
            Self::UnknownRule => "policy_unknown_rule",
            Self::Value => "policy_value",
            Self::Overlap => "policy_overlap",
            Self::Gap => "policy_gap",
            Self::MissingRule => "policy_missing_rule",
            Self::Version => "policy_version",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.code())
    }
}

/// What is wrong with a policy file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy line {line}: {fault}: {problem}")]
pub struct PolicyError {
    /// Counts from 1; 0 for the file as a whole.
    pub line: usize,
    /// Which kind.
    pub fault: Fault,
    /// In words.
    pub problem: String,
}

impl PolicyError {
    fn new(line: usize, fault: Fault, problem: impl Into<String>) -> Self {
        Self { line, fault, problem: problem.into() }
    }
}

/// A line of the file that is about a rule.
struct Line<'a> {
    number: usize,
    from: Date,
    until: Option<Date>,
    value: &'a str,
}

/// What a rule's value can be; reading says what it should have been.
trait Value: Copy {
    fn read(text: &str) -> Result<Self, String>;
}

impl Value for Percent {
    fn read(text: &str) -> Result<Self, String> {
        let value = Percent::parse(text).map_err(|e| format!("value {e}"))?;
        if value.is_negative() || value > Percent::whole(100) {
            return Err("must be between 0 and 100".into());
        }
        Ok(value)
    }
}

/// Days.
impl Value for u32 {
    fn read(text: &str) -> Result<Self, String> {
        let days = text.parse().ok().filter(|days| (1..=SETTLEMENT_MAX_DAYS).contains(days));
        days.ok_or_else(|| format!("must be a whole number of days from 1 to {SETTLEMENT_MAX_DAYS}"))
    }
}

/// A span within a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minutes(pub u16);

impl Value for Minutes {
    fn read(text: &str) -> Result<Self, String> {
        let minutes = text.parse().ok().filter(|minutes| (1..=MINUTES_MAX).contains(minutes));
        minutes.map(Self).ok_or_else(|| format!("must be a whole number of minutes from 1 to {MINUTES_MAX}"))
    }
}

impl Value for TimeOfDay {
    fn read(text: &str) -> Result<Self, String> {
        TimeOfDay::parse(text).map_err(|e| format!("value {e}"))
    }
}

/// A rule's values by the date from which they hold.
type Dated<T> = BTreeMap<Date, T>;

/// The values of one rule's lines; checks that from the first date on every day has exactly one.
fn dated<T: Value>(name: &str, lines: Option<&Vec<Line<'_>>>) -> Result<Dated<T>, PolicyError> {
    let missing = || PolicyError::new(0, Fault::MissingRule, format!("no value for '{name}'"));
    let lines = lines.ok_or_else(missing)?;
    let mut values = Dated::new();
    let mut before: Option<&Line<'_>> = None;
    for line in lines {
        let fail = |fault, problem| Err(PolicyError::new(line.number, fault, format!("'{name}' {problem}")));
        if line.until.is_some_and(|until| until < line.from) {
            return fail(Fault::Unreadable, "ends before it begins".to_owned());
        }
        if let Some(before) = before {
            let overlaps = line.from <= before.from || before.until.is_some_and(|until| line.from <= until);
            if overlaps {
                return fail(
                    Fault::Overlap,
                    format!("has two values on {}: line {} has one too", line.from, before.number),
                );
            }
            if let Some(until) = before.until.filter(|until| until.next() < line.from) {
                return fail(Fault::Gap, format!("has no value from {} to {}", until.next(), line.from.plus_days(-1)));
            }
        }
        match T::read(line.value) {
            Ok(value) => drop(values.insert(line.from, value)),
            Err(problem) => return fail(Fault::Value, problem),
        }
        before = Some(line);
    }
    match before.and_then(|last| Some((last.number, last.until?))) {
        Some((number, until)) => {
            Err(PolicyError::new(number, Fault::Gap, format!("'{name}' has no value after {until}")))
        }
        None => Ok(values),
    }
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])* $name:ident: $value:ty,)*) => {
        /// Dated rates.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Policy {
            version: Box<str>,
            $($name: Dated<$value>,)*
        }

        /// Every rule's name.
        const NAMES: &[&str] = &[$(stringify!($name),)*];

        impl Policy {
            fn of(version: Box<str>, lines: &BTreeMap<&str, Vec<Line<'_>>>) -> Result<Self, PolicyError> {
                Ok(Self { version, $($name: dated(stringify!($name), lines.get(stringify!($name)))?,)* })
            }
            $(
                $(#[doc = $doc])*
                pub fn $name(&self, date: Date) -> $value { at(&self.$name, date) }
            )*
        }
    };
}

rules! {
    /// The part of the sale of settled shares that new orders may use before it settles.
    usable_sale_settled: Percent,
    /// The part of the sale of T1 shares that new orders may use before it settles.
    usable_sale_t1: Percent,
    /// Added to the last price to block a market order that has neither protection nor band.
    market_order_margin: Percent,
    /// Cash blocked for an intraday order or position, of its value.
    intraday_margin: Percent,
    /// How long before its session ends an intraday position is squared off.
    intraday_square_off_minutes: Minutes,
    /// Added to the last NAV's units to block a redemption by amount.
    redemption_margin: Percent,
    /// Settlement days from trade to settlement.
    settlement_days: u32,
    /// Until when a purchase and its money get the day's NAV.
    fund_purchase_cut_off: TimeOfDay,
    /// Until when a purchase of a liquid or overnight scheme and its money get the NAV of the day before.
    fund_purchase_cut_off_liquid: TimeOfDay,
    /// Until when a redemption counts for the day.
    fund_redemption_cut_off: TimeOfDay,
    /// The same for overnight schemes.
    fund_redemption_cut_off_overnight: TimeOfDay,
    /// Settlement days from the NAV's to the payment of a redemption.
    fund_pays_days: u32,
    /// The same for equity schemes.
    fund_pays_days_equity: u32,
    /// The same for liquid and overnight schemes.
    fund_pays_days_liquid: u32,
    /// Stamp duty on a purchase, in percent of what is invested.
    fund_stamp_duty: Percent,
}

fn at<T: Copy>(dated: &Dated<T>, date: Date) -> T {
    let value = dated.range(..=date).next_back().or_else(|| dated.first_key_value());
    *value.expect("a rule without a value is refused").1
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// Names the line, the kind of fault and what is wrong: an unknown rule, a day with two values or none, a value out of range, a rule without a value, no version or two.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let mut version = None;
        let mut rules: BTreeMap<&str, Vec<Line<'_>>> = BTreeMap::new();
        for (at, line) in text.lines().enumerate() {
            let number = at + 1;
            let fail = |fault, problem: String| PolicyError::new(number, fault, problem);
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fields: Vec<&str> = line.split(',').collect();
            let (name, from, until, value) = match fields.as_slice() {
                ["version", value] => {
                    if version.replace(Box::from(*value)).is_some() {
                        return Err(fail(Fault::Version, "a second version".into()));
                    }
                    continue;
                }
                [name, from, value] => (*name, *from, None, *value),
                [name, from, until, value] => (*name, *from, Some(*until), *value),
                _ => return Err(fail(Fault::Unreadable, "must be name,from,value or name,from,until,value".into())),
            };
            if !NAMES.contains(&name) {
                let problem = format!("unknown rule '{name}'; known are {}", NAMES.join(", "));
                return Err(fail(Fault::UnknownRule, problem));
            }
            let from = Date::parse(from).map_err(|e| fail(Fault::Unreadable, format!("from {e}")))?;
            let until =
                until.map(Date::parse).transpose().map_err(|e| fail(Fault::Unreadable, format!("until {e}")))?;
            rules.entry(name).or_default().push(Line { number, from, until, value });
        }
        let version = version.ok_or_else(|| PolicyError::new(0, Fault::Version, "no version line"))?;
        Self::of(version, &rules)
    }
    /// Reads a policy file that is not the shipped one.
    ///
    /// # Errors
    /// As [`Policy::parse`], and when it has the shipped file's version and other rules: entries name the version alone.
    pub fn parse_own(text: &str) -> Result<Self, PolicyError> {
        let (own, shipped) = (Self::parse(text)?, Self::default());
        if own.version == shipped.version && own != shipped {
            let problem =
                format!("{} is the shipped file's, whose rules are others: give this one its own", own.version);
            return Err(PolicyError::new(0, Fault::Version, problem));
        }
        Ok(own)
    }
    /// The version of the file, recorded in every entry.
    pub fn version(&self) -> &str {
        &self.version
    }
    /// The stamp duty within the amount of a purchase, rounded half up: the amount includes the duty on what is invested.
    pub fn stamp_duty_within(&self, amount: Money, date: Date) -> Option<Money> {
        let duty = self.fund_stamp_duty(date).smallest();
        amount.share(duty, Percent::whole(100).smallest() + duty, Rounding::HalfUp)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::parse(SHIPPED).expect("the shipped policy is tested")
    }
}
