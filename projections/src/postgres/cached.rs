//! Accounts that are asked about, read from Redis as long as they are what the database would answer; folds nothing.
//!
//! The database is asked how far the partition is while Redis is asked for the rows, and rows count only if they are as
//! of that very place. So an answer is never older than one that anybody was given before, from wherever, and a Redis
//! that is empty, slow, gone or behind changes nothing but the time that it takes.

use super::{Postgres, changes::Touched, checkpoint::Checkpoint, reading::AccountAt};
use crate::{Error, Views, redis::Redis};
use domain::ids::AccountId;
use event_log::{Topic, partition_of};
use std::collections::BTreeMap;

/// Where they are kept.
#[derive(Clone)]
pub(super) struct Cached {
    redis: Redis,
    hits: metrics::Counter,
    misses: metrics::Counter,
    behind: metrics::Counter,
    away: metrics::Counter,
}

/// Why rows are read from the database.
enum Missed {
    /// There are none in Redis, but a blank that can be filled.
    Blank,
    /// Redis has no mark, or is away.
    Away,
    /// The database does not say how far it is, and would not say more.
    Failed(Error),
}

impl Cached {
    pub(super) fn new(redis: Redis) -> Self {
        let read = |outcome: &'static str| metrics::counter!("bahi_redis_reads_total", "outcome" => outcome);
        let [hits, misses, behind, away] = ["hit", "miss", "behind", "away"].map(read);
        Self { redis, hits, misses, behind, away }
    }

    /// An account as it stands, from Redis or else from the database.
    pub(super) async fn account_at(
        &self,
        views: &Postgres,
        market: &Views,
        id: &AccountId,
    ) -> Result<Option<AccountAt>, Error> {
        let partition = partition_of(id.as_str(), views.ledger_partitions);
        let kept = async {
            match self.redis.find(partition, id).await {
                Some(found) if found.rows.is_some() => Ok(found),
                Some(_) => Err(Missed::Blank),
                None => Err(Missed::Away),
            }
        };
        // Whoever fails first ends the wait for the other.
        let asked = async { views.position_now().await.map_err(Missed::Failed) };
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
            self.redis.fill(partition, at.next(), &[(id, rows)]).await;
        }
        Ok(stored)
    }

    /// Takes over what a batch changed, once it is committed; or confirms how far a partition is, for none.
    pub(super) async fn committed(
        &self,
        partition: u32,
        from: u64,
        to: &Checkpoint,
        accounts: &BTreeMap<AccountId, Touched>,
    ) {
        if !to.stops.is_empty() {
            // Rows say nothing of what they lack; the database does.
            return self.redis.leave(partition).await;
        }
        let next = to.reader.offset;
        let touched: Vec<AccountId> = accounts.keys().copied().collect();
        let blank = self.redis.advance(partition, (from, next), &touched).await;
        let rows = blank.iter().filter_map(|id| Some((id, &accounts.get(id)?.after)));
        self.redis.fill(partition, next, &rows.collect::<Vec<_>>()).await;
    }
}
