//! How fast one account may send: a token bucket each, told the time; knows no roles and no queue.

use domain::{ids::AccountId, time::Timestamp};
use parking_lot::Mutex;
use std::collections::HashMap;

/// Locks the buckets are spread over.
const SHARDS: usize = 16;
/// Buckets of one shard above which full ones are dropped: a full bucket says no more than none.
const SHARD_BUCKETS: usize = 8_192;
const MICROS_PER_SECOND: i64 = 1_000_000;

/// A token bucket for each account that sent lately; each holds one second's tokens.
pub(crate) struct Rates {
    per_second: u32,
    /// When each account's bucket will be full again, in microseconds.
    shards: Box<[Mutex<HashMap<AccountId, i64>>]>,
}

impl Rates {
    /// At most `per_second` tokens a second, at least one.
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second: per_second.max(1), shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    pub(crate) fn limit(&self) -> u32 {
        self.per_second
    }

    fn micros_per_token(&self) -> i64 {
        MICROS_PER_SECOND / i64::from(self.per_second)
    }

    /// Takes up to `wanted` tokens and says how many it took.
    pub(crate) fn take(&self, account: &AccountId, wanted: usize, now: Timestamp) -> usize {
        let micros_per_token = self.micros_per_token().max(1);
        let now = now.micros();
        let mut buckets = self.shard(account).lock();
        if buckets.len() >= SHARD_BUCKETS {
            buckets.retain(|_, full_at| *full_at > now);
        }
        let full_at = buckets.entry(*account).or_insert(now);
        // A clock that stepped back leaves at most an empty bucket behind.
        *full_at = (*full_at).clamp(now, now + MICROS_PER_SECOND);
        let left = (now + MICROS_PER_SECOND - *full_at) / micros_per_token;
        let taken = wanted.min(usize::try_from(left).unwrap_or(0));
        *full_at += micros_per_token * i64::try_from(taken).unwrap_or(0);
        taken
    }

    fn shard(&self, account: &AccountId) -> &Mutex<HashMap<AccountId, i64>> {
        let sum = account.as_str().bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        &self.shards[sum % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_one_second_and_refills_with_time() {
        let rates = Rates::new(10);
        let account = AccountId::new("ACC1").unwrap();
        let at = Timestamp::from_micros(1_000_000);
        assert_eq!(rates.take(&account, 7, at), 7);
        assert_eq!(rates.take(&account, 7, at), 3);
        assert_eq!(rates.take(&account, 1, at), 0);
        assert_eq!(rates.take(&AccountId::new("ACC2").unwrap(), 1, at), 1);
        assert_eq!(rates.take(&account, 5, at.plus_micros(200_000)), 2);
        assert_eq!(rates.take(&account, 50, at.plus_micros(9_000_000)), 10);
    }
}
