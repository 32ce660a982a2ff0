//! Filling views anew beside those that are read, comparing both at one position, and putting them in their place in one
//! transaction; folds by the same code, and is read by nobody before that.
//!
//! ```text
//!             next_orders                    live                 before_orders
//!  begin      empty tables, own checkpoints  orders, fund_orders
//!  fill       folds up to the live ones      (read and written)
//!  compare    state hash at P      ═══       state hash at P
//!  switch     ────────────────────────────►  the new tables  ───► those before, for a way back
//! ```
//!
//! What is filled has checkpoints of its own in the same transactions, so that a run that died is gone on with. Filling
//! never passes the live checkpoints. Comparing holds nobody up: the live rows are read as of one moment, and the new
//! ones folded up to exactly that. Switching holds the live checkpoints, so that projectors wait for as long as the few
//! records since then take; readers wait only for the change of names. Projectors see by a generation beside their
//! checkpoints that the tables are others, and load again what they had in memory.

mod filling;
mod schemas;
mod switching;

use self::schemas::Schemas;
use super::{Failure, Postgres, partition::Partition};
use crate::{
    Error, Position, Progress, Replay, StateHashes, Until, replay,
    view::{Stop, View, ViewSet},
};
use event_log::{EventLog, Topic};
use sqlx::PgConnection;
use std::sync::Arc;

pub use switching::Switched;

/// Connections that fill: one for each partition that is folded at once, and one to look.
const CONNECTIONS: u32 = filling::AT_ONCE as u32 + 2;

/// Records between the filled tables and the live ones at which filling gives way to comparing.
const NEAR_RECORDS: u64 = 10_000;

/// Where the rows come from that are to be put in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsFrom {
    /// The log; what an earlier run of this release has filled is gone on with.
    Log,
    /// The log, from its first record on.
    LogAnew,
    /// The tables that were in place before the last switch, folded on from where they were left.
    Kept,
}

/// Views that are filled beside the live ones. While one of these lives, no other process makes one in this database.
pub struct Rebuild {
    log: Arc<dyn EventLog>,
    live: Postgres,
    next: Postgres,
    schemas: Schemas,
    partitions: Vec<Partition>,
    /// Records that were folded already when this began.
    pub resumed: u64,
    /// Holds the lock that keeps others away.
    alone: PgConnection,
}

/// The live rows and the new ones at one position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// As they are read now.
    pub live: StateHashes,
    /// As they would be.
    pub rebuilt: StateHashes,
}

impl Compared {
    /// Whether both hold the same rows, and both of every entry.
    pub fn is_equal(&self) -> bool {
        self.live.hashes == self.rebuilt.hashes && self.live.stops.is_empty() && self.rebuilt.stops.is_empty()
    }
}

impl Rebuild {
    /// Makes the tables, or takes those that an earlier run or the last switch left. `name` is that of the view, or any
    /// other for several.
    ///
    /// # Errors
    /// When another process rebuilds, there is nothing to take, or the database cannot be asked.
    pub async fn begin(
        log: Arc<dyn EventLog>,
        live: &Postgres,
        name: &str,
        views: &[View],
        from: RowsFrom,
    ) -> Result<Self, Error> {
        let folded: ViewSet = views.iter().copied().collect();
        let live = Postgres { folded, ..live.clone() };
        let mut alone = live.answer(async { Ok(live.database.pool().acquire().await?.detach()) }).await?;
        let schemas = live.answer(schemas::alone(&mut alone, name, from)).await?;
        let schemas = schemas.ok_or_else(|| refused("another process rebuilds views in this database: let it end"))?;
        let id = log.commands_id().to_string();
        if from == RowsFrom::Kept {
            live.answer(schemas.check_kept(&mut alone, &id)).await?.map_err(|reason| refused(&reason))?;
        } else {
            live.answer(schemas.make(&mut alone, &id, from == RowsFrom::LogAnew)).await?;
        }
        live.answer(live.begin_partitions()).await?;
        let database = live.database.beside(&schemas.next, CONNECTIONS);
        // What is filled is nobody's answer: it is neither kept elsewhere nor asked for together with the live tables.
        let next = Postgres { database, asked: Arc::default(), cached: None, ..live.clone() };
        let mut rebuild = Self { log, live, next, schemas, partitions: Vec::new(), resumed: 0, alone };
        for (topic, partition) in rebuild.live.folded_partitions() {
            rebuild.partitions.push(Partition::load(&rebuild.next, topic, partition).await?);
        }
        rebuild.resumed = rebuild.partitions.iter().map(Partition::next).sum();
        Ok(rebuild)
    }

    /// Folds until the live tables are near.
    ///
    /// # Errors
    /// When the log or the database cannot be read, or a view stops.
    pub async fn fill(&mut self, mut progress: impl FnMut(Progress)) -> Result<(), Error> {
        loop {
            let target = self.live.position().await?;
            self.fold_to(&target, &mut progress).await?;
            if self.far(&self.live.position().await?) <= NEAR_RECORDS {
                break;
            }
        }
        self.next.answer(self.next.analyze()).await
    }

    /// Compares the live rows with the new ones at one position, and holds nobody up meanwhile.
    ///
    /// # Errors
    /// As [`Rebuild::fill`], and when a row cannot be read.
    pub async fn compare(&mut self, mut progress: impl FnMut(Progress)) -> Result<Compared, Error> {
        let live = self.live.clone();
        let mut cut = live.named(live.cut(live.folded).await).await?;
        let position = live.answer(live.position_in(&mut cut)).await?;
        self.fold_to(&position, &mut progress).await?;
        let (old, new) = tokio::join!(live.hashes_in(&mut cut), self.next.state_hashes());
        let (mut old, mut new) = (live.named(old).await?, new?);
        for hashes in [&mut old, &mut new] {
            hashes.stops.retain(|stop| self.live.folded.contains(stop.view));
        }
        Ok(Compared { live: old, rebuilt: new })
    }

    /// What folding the log up to there in memory gives.
    ///
    /// # Errors
    /// As [`replay`].
    pub async fn cold(&self, position: &Position, progress: impl FnMut(Progress)) -> Result<StateHashes, Error> {
        let until = Until::Position(position.clone());
        let replayed = replay(Arc::clone(&self.log), Replay { until, ..Replay::default() }, progress).await?;
        let mut cold = replayed.views.state_hashes();
        let names: Vec<_> = self.live.folded.iter().map(View::name).collect();
        cold.hashes.retain(|(name, _)| names.contains(name));
        cold.stops.retain(|stop| self.live.folded.contains(stop.view));
        Ok(cold)
    }

    /// Records until this position.
    fn far(&self, position: &Position) -> u64 {
        let far = |of: &Partition| {
            let (topic, partition) = of.place();
            position.next(topic, partition).unwrap_or_default().saturating_sub(of.next())
        };
        self.partitions.iter().map(far).sum()
    }

    /// Where the new tables stopped, if they did.
    fn stop(&self) -> Option<Stop> {
        let stops = self.partitions.iter().flat_map(|partition| &partition.checkpoint().stops);
        stops.map(|stopped| &stopped.stop).find(|stop| self.live.folded.contains(stop.view)).cloned()
    }
}

impl Postgres {
    /// The partitions whose entries the views here are folded from.
    fn folded_partitions(&self) -> Vec<(Topic, u32)> {
        let topics = Topic::ALL.into_iter().filter(|topic| self.folded.iter().any(|view| view.topic() == *topic));
        topics.flat_map(|topic| (0..self.partitions(topic)).map(move |partition| (topic, partition))).collect()
    }

    /// Gives every partition a checkpoint, so that there is one to hold.
    async fn begin_partitions(&self) -> Result<(), Failure> {
        let mut connection = self.database.pool().acquire().await?;
        for place in self.folded_partitions() {
            super::checkpoint::begin(&mut connection, place).await?;
        }
        Ok(())
    }

    /// Tells the server what is in these tables, so that it does not plan as if they were empty when they are switched.
    async fn analyze(&self) -> Result<(), Failure> {
        let mut transaction = self.database.pool().begin().await?;
        let tables = self.folded.iter().flat_map(super::relations::tables).collect::<Vec<_>>().join(", ");
        let sql = format!("set local statement_timeout = 0; analyze {tables}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// Names what went wrong.
    async fn named<T>(&self, done: Result<T, Failure>) -> Result<T, Error> {
        match done {
            Ok(done) => Ok(done),
            Err(failure) => self.answer(async { Err(failure) }).await,
        }
    }
}

fn refused(reason: &str) -> Error {
    Error::Rebuild { reason: reason.into() }
}
