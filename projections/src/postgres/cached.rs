//! Accounts that are asked about, read from Redis as long as they are what the database would answer; folds nothing.
//!
//! The database is asked how far the partition is while Redis is asked for the rows, and rows count only if they are as
//! of that very place. So an answer is never older than one that anybody was given before, from wherever, and a Redis
//! that is empty, slow, gone or behind changes nothing but the time that it takes.

use super::{Postgres, changes::Touched, checkpoint::Checkpoint, reading::AccountAt};
use crate::{
    Error, Views,
    redis::{Place, Redis},
};
use domain::ids::AccountId;
use event_log::{Topic, partition_of};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

/// The most accounts of batches that Redis is told of again: some seconds of them, and a few milliseconds of the server.
const UNTOLD_ACCOUNTS_MAX: usize = 8_192;

/// Where they are kept.
#[derive(Clone)]
pub(super) struct Cached {
    redis: Redis,
    /// Of which tables the rows were that the database told of last, of each partition.
    generations: Arc<Mutex<Arc<[i64]>>>,
    hits: metrics::Counter,
    misses: metrics::Counter,
    behind: metrics::Counter,
    away: metrics::Counter,
}

/// Why rows are read from the database.
enum Missed {
    /// There are none in Redis, but a blank that can be filled.
    Blank,
    /// Redis has no mark, or is away; or what it was asked for is of tables that are no longer read.
    Away,
    /// The database does not say how far it is, and would not say more.
    Failed(Error),
}

impl Cached {
    pub(super) fn new(redis: Redis) -> Self {
        let read = |outcome: &'static str| metrics::counter!("bahi_redis_reads_total", "outcome" => outcome);
        let [hits, misses, behind, away] = ["hit", "miss", "behind", "away"].map(read);
        Self { redis, generations: Arc::default(), hits, misses, behind, away }
    }

    /// An account as it stands, from Redis or else from the database.
    pub(super) async fn account_at(
        &self,
        views: &Postgres,
        market: &Views,
        id: &AccountId,
    ) -> Result<Option<AccountAt>, Error> {
        let partition = partition_of(id.as_str(), views.ledger_partitions);
        // It hardly ever changes, and whether it has is known before anything is answered.
        let generation = self.generations.lock().get(partition as usize).copied().unwrap_or_default();
        let place = Place { partition, generation };
        let kept = async {
            match self.redis.find(place, id).await {
                Some(found) if found.rows.is_some() => Ok(found),
                Some(_) => Err(Missed::Blank),
                None => Err(Missed::Away),
            }
        };
        // Whoever fails first ends the wait for the other.
        let asked = async {
            let now = views.position_now().await.map_err(Missed::Failed)?;
            let at = now.generations.get(partition as usize).copied().unwrap_or_default();
            if at != generation {
                *self.generations.lock() = Arc::clone(&now.generations);
                return Err(Missed::Away);
            }
            Ok(now.position)
        };
        let may_fill = match tokio::try_join!(kept, asked) {
            Ok((mut found, at)) => match found.rows.take() {
                Some(rows) if at.next(Topic::Ledger, partition) == Some(found.next) => {
                    self.hits.increment(1);
                    return Ok(Some(AccountAt::valued(id, *rows, found.next, market)));
                }
                _ => {
                    self.behind.increment(1);
                    true
                }
            },
            Err(Missed::Blank) => {
                self.misses.increment(1);
                true
            }
            Err(Missed::Away) => {
                self.away.increment(1);
                false
            }
            Err(Missed::Failed(error)) => return Err(error),
        };
        let stored = views.stored_at(id).await?;
        if let Some(at) = stored.as_ref().filter(|_| may_fill)
            && let Some(rows) = at.whole_rows()
        {
            self.redis.fill(place, at.next(), &[(id, rows)]).await;
        }
        Ok(stored)
    }

    /// Takes over what a batch changed, once it is committed, and what it was not told before; or confirms how far a
    /// partition is, for none.
    pub(super) async fn committed(
        &self,
        partition: u32,
        from: u64,
        to: &Checkpoint,
        accounts: &BTreeMap<AccountId, Touched>,
        untold: &mut Untold,
    ) {
        let place = Place { partition, generation: to.generation };
        if !to.stops.is_empty() {
            *untold = Untold::default();
            // Rows say nothing of what they lack; the database does.
            return self.redis.leave(place).await;
        }
        let next = to.reader.offset;
        let (from, touched) = mem::take(untold).with(from, accounts.keys());
        match self.redis.advance(place, (from, next), &touched).await {
            Some(blank) => {
                let rows = blank.iter().filter_map(|id| Some((id, &accounts.get(id)?.after)));
                self.redis.fill(place, next, &rows.collect::<Vec<_>>()).await;
            }
            None => *untold = Untold::of(from, touched),
        }
    }
}

/// The batches of a partition that Redis did not confirm in time. Told again with the next one, they cost nobody else's
/// rows there; too many are forgotten, which does.
#[derive(Default)]
pub(super) struct Untold {
    /// Where the first of them began, and the accounts that they touched.
    batches: Option<(u64, BTreeSet<AccountId>)>,
}

impl Untold {
    fn of(from: u64, touched: Vec<AccountId>) -> Self {
        let fits = touched.len() <= UNTOLD_ACCOUNTS_MAX;
        Self { batches: fits.then(|| (from, touched.into_iter().collect())) }
    }

    /// Where all of it began and what it touched, with a batch that began here.
    fn with<'a>(self, from: u64, touched: impl Iterator<Item = &'a AccountId>) -> (u64, Vec<AccountId>) {
        let (from, mut all) = self.batches.unwrap_or_else(|| (from, BTreeSet::new()));
        all.extend(touched);
        (from, all.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::account;

    #[test]
    fn what_was_not_told_is_told_from_where_it_began_unless_it_is_too_much() {
        let (one, other) = (account(1), account(2));
        let untold = Untold::of(5, vec![one]);
        assert_eq!(untold.with(7, [other].iter()), (5, vec![one, other]));
        assert_eq!(Untold::default().with(7, [other].iter()), (7, vec![other]));
        let many = (0..=UNTOLD_ACCOUNTS_MAX).map(account).collect();
        assert_eq!(Untold::of(5, many).with(7, [other].iter()), (7, vec![other]), "a batch was missed");
    }
}
