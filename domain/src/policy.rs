//! Dated rates and rules of the broker and the regulator, read from one data file; decides nothing.
//!
//! The file has one rule a line, `name,from,value`, and `#` comments that name the source; its
//! version is the `version` line. A rule's value holds from its date until the next line of its name.

use crate::{money::Percent, time::Date};
use std::collections::BTreeMap;

/// The policy that ships with the product.
pub const SHIPPED: &str = include_str!("../data/policy.csv");

/// India never settled later than 14 days after the trade (weekly settlement, until 2001).
const SETTLEMENT_MAX_DAYS: i64 = 14;

/// What is wrong with a policy file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy line {line}: {problem}")]
pub struct PolicyError {
    /// Counts from 1; 0 for the file as a whole.
    pub line: usize,
    /// In words.
    pub problem: String,
}

/// A rule's values by the date from which they hold.
type Dated = BTreeMap<Date, Percent>;

/// Dated rates.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    version: Box<str>,
    usable_sale_settled: Dated,
    usable_sale_t1: Dated,
    market_order_margin: Dated,
    redemption_margin: Dated,
    settlement_days: Dated,
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// Names the line and what is wrong: an unknown rule, two values for one date, dates out of order, a value out of range, a rule without a value, no version or two.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let mut version = None;
        let mut rules: BTreeMap<&str, Dated> = BTreeMap::new();
        const NAMES: [&str; 5] =
            ["usable_sale_settled", "usable_sale_t1", "market_order_margin", "redemption_margin", "settlement_days"];
        for (at, line) in text.lines().enumerate() {
            let fail = |problem: String| PolicyError { line: at + 1, problem };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fields: Vec<&str> = line.split(',').collect();
            match fields.as_slice() {
                ["version", value] => {
                    if version.replace(Box::from(*value)).is_some() {
                        return Err(fail("a second version".into()));
                    }
                }
                [name, from, value] => {
                    let name = NAMES
                        .iter()
                        .find(|known| *known == name)
                        .ok_or_else(|| fail(format!("unknown rule '{name}'; known are {}", NAMES.join(", "))))?;
                    let from = Date::parse(from).map_err(|e| fail(format!("from {e}")))?;
                    let value = Percent::parse(value).map_err(|e| fail(format!("value {e}")))?;
                    let dated = rules.entry(name).or_default();
                    if dated.last_key_value().is_some_and(|(last, _)| *last >= from) {
                        return Err(fail(format!("'{name}' must have rising dates without overlap")));
                    }
                    if *name == "settlement_days"
                        && !(1..=SETTLEMENT_MAX_DAYS).any(|days| value == Percent::whole(days))
                    {
                        return Err(fail(format!(
                            "'{name}' must be a whole number of days from 1 to {SETTLEMENT_MAX_DAYS}"
                        )));
                    }
                    if value.is_negative() || value > Percent::whole(100) {
                        return Err(fail(format!("'{name}' must be between 0 and 100")));
                    }
                    dated.insert(from, value);
                }
                _ => return Err(fail("must be name,from,value".into())),
            }
        }
        let whole = |problem: String| PolicyError { line: 0, problem };
        let mut take = |name: &str| rules.remove(name).ok_or_else(|| whole(format!("no value for '{name}'")));
        Ok(Self {
            version: version.ok_or_else(|| whole("no version line".into()))?,
            usable_sale_settled: take("usable_sale_settled")?,
            usable_sale_t1: take("usable_sale_t1")?,
            market_order_margin: take("market_order_margin")?,
            redemption_margin: take("redemption_margin")?,
            settlement_days: take("settlement_days")?,
        })
    }
    /// The version of the file, recorded in every entry.
    pub fn version(&self) -> &str {
        &self.version
    }
    fn at(dated: &Dated, date: Date) -> Percent {
        // Before the first date the first value holds: a rule has no time without a value.
        dated.range(..=date).next_back().or_else(|| dated.first_key_value()).map_or(Percent::ZERO, |(_, value)| *value)
    }
    /// The part of the sale of settled shares that new orders may use before it settles.
    pub fn usable_sale_settled(&self, date: Date) -> Percent {
        Self::at(&self.usable_sale_settled, date)
    }
    /// The part of the sale of T1 shares that new orders may use before it settles.
    pub fn usable_sale_t1(&self, date: Date) -> Percent {
        Self::at(&self.usable_sale_t1, date)
    }
    /// Added to the last price to block a market order that has neither protection nor band.
    pub fn market_order_margin(&self, date: Date) -> Percent {
        Self::at(&self.market_order_margin, date)
    }
    /// Added to the last NAV's units to block a redemption by amount.
    pub fn redemption_margin(&self, date: Date) -> Percent {
        Self::at(&self.redemption_margin, date)
    }
    /// Settlement days from trade to settlement.
    pub fn settlement_days(&self, date: Date) -> u32 {
        u32::try_from(Self::at(&self.settlement_days, date).smallest() / 10_000).unwrap_or(1)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::parse(SHIPPED).expect("the shipped policy is tested")
    }
}
