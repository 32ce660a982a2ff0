//! Accounts that are asked about, read from Redis as long as they are what the database would answer; folds nothing.
//!
//! The database is asked how far the partition is while Redis is asked for the rows, and rows count only if they are as
//! of that very place. So an answer is never older than one that anybody was given before, from wherever, and a Redis
//! that is empty, slow, gone or behind changes nothing but the time that it takes.

use super::{Postgres, changes::Touched, checkpoint::Checkpoint, reading::AccountAt, untold::Untold};
use crate::{
    Error, Views,
    redis::{Place, Redis},
};
use domain::ids::AccountId;
use event_log::{Topic, partition_of};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

/// Where they are kept.
#[derive(Clone)]
pub(super) struct Cached {
    redis: Redis,
    /// Of which tables the rows were that the database told of last, of each partition.
    generations: Arc<Mutex<Arc<[Option<i64>]>>>,
    hits: metrics::Counter,
    misses: metrics::Counter,
    behind: metrics::Counter,
    away: metrics::Counter,
}

/// A batch that was committed; an empty one confirms how far its partition is.
#[derive(Clone, Copy)]
pub(super) struct Batch<'a> {
    /// Where it began.
    pub(super) from: u64,
    /// Its entries, and whose each is.
    pub(super) entries: &'a [(u64, AccountId)],
    /// Those accounts as they are after all of it.
    pub(super) accounts: &'a BTreeMap<AccountId, Touched>,
}

/// Why rows are read from the database.
enum Missed {
    /// There are none in Redis, but a blank that can be filled.
    Blank,
    /// Redis has no mark, or is away; or what it was asked for is of tables that are no longer read, or of a partition in
    /// which a view has stopped: rows say nothing of what they lack.
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
        let generation = self.generations.lock().get(partition as usize).copied().flatten().unwrap_or_default();
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
            if now.generations.get(partition as usize) != Some(&Some(generation)) {
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

    /// Takes over what a batch changed, once it is committed, and what was not told before it. Parts are begun for as long
    /// as one answer is waited for: then the partition goes on, and the next batch tells the rest.
    pub(super) async fn committed(&self, partition: u32, batch: Batch<'_>, to: &Checkpoint, untold: &mut Untold) {
        let place = Place { partition, generation: to.generation };
        if !to.stops.is_empty() {
            // Nobody reads it here any more; the mark ends by itself.
            *untold = Untold::default();
            return;
        }
        let next = to.reader.offset;
        untold.add((batch.from, next), batch.entries);
        let (began, mut blank) = (Instant::now(), BTreeSet::new());
        while let Some(part) = untold.first() {
            let touched: Vec<_> = part.touched.iter().copied().collect();
            let Some(here) = self.redis.advance(place, (part.from, part.next), &touched).await else { break };
            untold.confirmed();
            blank.extend(here);
            if began.elapsed() > self.redis.answer_wait() {
                break;
            }
        }
        let rows = blank.iter().filter_map(|id| Some((id, &batch.accounts.get(id)?.after)));
        self.redis.fill(place, next, &rows.collect::<Vec<_>>()).await;
    }
}
