//! What an order asks, and what is wrong with it in itself and against the market; in the order of precedence.

use super::Refused;
use domain::order::{OrderType, Validity};
use std::ops::RangeInclusive;

const TICK: i128 = 500;
/// Of every session here: no day closes after the one before the first.
pub const BAND: RangeInclusive<i128> = 800_000..=1_200_000;

/// What can be changed about an order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    pub kind: OrderType,
    pub quantity: i128,
    pub limit: Option<i128>,
    pub trigger: Option<i128>,
    pub validity: Validity,
}

impl Terms {
    pub fn check_shape(&self) -> Result<(), Refused> {
        match (self.kind.has_limit(), self.limit) {
            (true, None) => Err("price_required"),
            (false, Some(_)) => Err("price_not_allowed"),
            _ => Ok(()),
        }
    }
    pub fn check_trigger(&self) -> Result<(), Refused> {
        match (self.kind.has_trigger(), self.trigger) {
            (true, None) => Err("trigger_price_required"),
            (false, Some(_)) => Err("trigger_price_not_allowed"),
            _ => Ok(()),
        }
    }
    pub fn check_beyond(&self, buys: bool) -> Result<(), Refused> {
        match (self.limit, self.trigger) {
            (Some(limit), Some(trigger)) if buys && trigger > limit || !buys && trigger < limit => {
                Err("trigger_beyond_price")
            }
            _ => Ok(()),
        }
    }
    pub fn check_disclosed(&self, disclosed: Option<i128>) -> Result<(), Refused> {
        let fits = |shown: i128| shown * 10 >= self.quantity && shown <= self.quantity;
        match disclosed {
            Some(shown) if !fits(shown) || self.validity == Validity::Ioc => Err("disclosed_quantity_not_allowed"),
            _ => Ok(()),
        }
    }
    pub fn check_prices(&self) -> Result<(), Refused> {
        let prices = || self.limit.into_iter().chain(self.trigger);
        if prices().any(|price| price % TICK != 0) {
            return Err("price_off_tick");
        }
        if prices().any(|price| !BAND.contains(&price)) { Err("price_outside_band") } else { Ok(()) }
    }
    pub fn check_side(&self, buys: bool, last: i128) -> Result<(), Refused> {
        match self.trigger {
            Some(trigger) if buys && trigger <= last || !buys && trigger >= last => Err("trigger_wrong_side"),
            _ => Ok(()),
        }
    }
}
