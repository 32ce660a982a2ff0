//! The views in PostgreSQL, folded by the same code as those in memory; knows no HTTP and decides nothing about rows.
//!
//! A batch of records of one partition is folded in memory: the accounts it touches are loaded (those in use are kept),
//! folded entry by entry, and compared with what they were. What changed is written in one transaction with the
//! checkpoint {offset, term, writer, last}, which moves only from where the batch began: a batch that another projector
//! was faster with changes nothing, a record below the checkpoint is passed over, and so each record has its effect once.
//!
//! ```text
//! log ──► projector ──► partition: fold a batch ──► changes ──► one transaction ──► tables ──► api, people
//!                            ▲                                                        │
//!                            └──────────── accounts that are not in use ◄─────────────┘
//! ```

mod asked;
mod cached;
mod changes;
mod checkpoint;
mod columns;
mod hash;
mod hot;
mod indexed;
mod journal;
mod kept;
mod loading;
mod market;
mod market_rows;
mod partition;
mod projector;
mod reading;
mod rebuild;
mod relations;
mod rows;
mod untold;
mod waiting;

use self::{
    asked::{Asked, Now},
    cached::Cached,
    waiting::Seen,
};
use crate::{
    Error, Position, Views,
    account::Account,
    redis::Redis,
    saved::SHAPE,
    view::{Stop, View, ViewSet},
};
use domain::ids::AccountId;
use event_log::{EventLog, Topic, partition_of, postgres::Database};
use sqlx::{PgConnection, Row};
use std::sync::Arc;

pub use indexed::Indexed;
pub use journal::JournalEntry;
pub use projector::{Behind, Clock, Given, Projector, Written, project};
pub use reading::AccountAt;
pub use rebuild::{Compared, Rebuild, RowsFrom, Switched};

/// All views of one log, in a database. Clones share it.
#[derive(Clone)]
pub struct Postgres {
    database: Database,
    ledger_partitions: u32,
    market_partitions: u32,
    /// Which views are folded into its tables: all, but for those that are filled beside others.
    folded: ViewSet,
    seen: Arc<Seen>,
    asked: Arc<Asked>,
    /// Where accounts are kept that are asked about, if anywhere.
    cached: Option<Cached>,
    /// By whose market accounts are valued, if not by the database's.
    market: Option<Arc<Views>>,
}

/// What stops a piece of work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server, or the way there.
    Sql(sqlx::Error),
    /// A row cannot be read, in words.
    Row(Box<str>),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl Postgres {
    /// The views of this log, empty at first.
    ///
    /// # Errors
    /// When the database cannot be asked, or holds the views of another log or another release.
    pub async fn open(database: Database, log: &dyn EventLog) -> Result<Self, Error> {
        let (ledger_partitions, market_partitions) = (log.partitions(Topic::Ledger), log.partitions(Topic::Market));
        let seen = Arc::new(Seen::new(Position::start(ledger_partitions, market_partitions)));
        let (folded, asked) = (ViewSet::all(), Arc::default());
        let (cached, market) = (None, None);
        let views = Self { database, ledger_partitions, market_partitions, folded, seen, asked, cached, market };
        let id = log.commands_id().to_string();
        let (of, shape) = views.answer(views.claim(&id)).await?;
        if of != id {
            return Err(views.unusable("its views are of another log; choose another database, or clear them"));
        }
        if shape != i64::from(SHAPE) {
            let words = format!("its views have shape {shape}, this release writes {SHAPE}: clear them and fold again");
            return Err(views.unusable(&words));
        }
        Ok(views)
    }

    /// The same, valuing what it reads by the market that is followed in memory, so that the database is asked for
    /// accounts alone.
    #[must_use]
    pub fn valued_by(self, market: Arc<Views>) -> Self {
        Self { market: Some(market), ..self }
    }

    /// The same with accounts that are asked about kept in Redis: a projector keeps them up to date there, and what is
    /// [valued](Self::valued_by) by a market in memory is read there first.
    #[must_use]
    pub fn cached_in(self, redis: Redis) -> Self {
        Self { cached: Some(Cached::new(redis)), ..self }
    }

    /// Says whose views these are, unless that is said already.
    async fn claim(&self, log: &str) -> Result<(String, i64), Failure> {
        let mut connection = self.database.pool().acquire().await?;
        let say = sqlx::query("insert into views_of (log, shape) values ($1, $2) on conflict do nothing");
        say.bind(log).bind(i64::from(SHAPE)).execute(&mut *connection).await?;
        let said = sqlx::query("select log, shape from views_of").fetch_one(&mut *connection).await?;
        Ok((said.try_get("log")?, said.try_get("shape")?))
    }

    /// Deletes every row of every view, so that all is folded again. No projector may run meanwhile.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn clear(database: &Database) -> Result<(), Error> {
        let tables: Vec<_> = View::ALL.iter().flat_map(|view| relations::tables(*view)).collect();
        let tables = tables.join(", ");
        let truncate = sqlx::AssertSqlSafe(format!("truncate views_of, checkpoints, view_stops, {tables}"));
        database.answer(sqlx::query(truncate).execute(database.pool())).await?;
        Ok(())
    }

    /// How many partitions a topic has.
    pub fn partitions(&self, topic: Topic) -> u32 {
        if topic == Topic::Market { self.market_partitions } else { self.ledger_partitions }
    }

    /// How far every partition is folded.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn position(&self) -> Result<Position, Error> {
        let read = async { self.position_in(&mut *self.database.pool().acquire().await?).await };
        self.answer(read).await
    }

    async fn position_in(&self, connection: &mut PgConnection) -> Result<Position, Failure> {
        Ok(self.now_in(connection).await?.position)
    }

    async fn now_in(&self, connection: &mut PgConnection) -> Result<Now, Failure> {
        let mut position = Position::start(self.ledger_partitions, self.market_partitions);
        let mut generations = vec![Some(0); self.ledger_partitions as usize];
        let all = sqlx::query(
            "select topic, partition, next_offset, generation, exists
                 (select from view_stops where view_stops.partition = checkpoints.partition and view = any($1)) as has_stopped
             from checkpoints",
        );
        let of_ledger = View::ALL.iter().filter(|view| view.topic() == Topic::Ledger).map(|view| view.name());
        for row in all.bind(of_ledger.collect::<Vec<_>>()).fetch_all(connection).await? {
            let topic =
                Topic::ALL.into_iter().find(|topic| row.try_get("topic").is_ok_and(|name: &str| topic.name() == name));
            let Some(topic) = topic else { continue };
            let next: i64 = row.try_get("next_offset")?;
            let partition = row.try_get::<i32, _>("partition")?.cast_unsigned();
            position.advance(topic, partition, next.cast_unsigned());
            if let (Topic::Ledger, Some(generation)) = (topic, generations.get_mut(partition as usize)) {
                let has_stopped: bool = row.try_get("has_stopped")?;
                *generation = if has_stopped { None } else { Some(row.try_get("generation")?) };
            }
        }
        Ok(Now { position, generations: generations.into() })
    }

    /// Where views have stopped; none as a rule.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn stops(&self) -> Result<Vec<Stop>, Error> {
        let read = async {
            let stops = checkpoint::stops(&mut *self.database.pool().acquire().await?).await?;
            Ok(stops.into_iter().map(|stopped| stopped.stop).collect())
        };
        self.answer(read).await
    }

    /// An account's rows as they stand, and the next offset of its partition at that moment: one question, one answer.
    /// `None` when it has no entry.
    ///
    /// # Errors
    /// When the database cannot be asked, or holds a row that cannot be read.
    pub async fn account(&self, id: &AccountId) -> Result<(Option<Account>, u64), Error> {
        let partition = partition_of(id.as_str(), self.ledger_partitions);
        let read = async { loading::account(&mut *self.database.pool().acquire().await?, id, partition).await };
        let loaded = self.answer(read).await?;
        Ok((loaded.account, loaded.reader.offset))
    }

    /// Waits for one piece of work, not for ever, and names what went wrong.
    async fn answer<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Error> {
        let worked = self.database.answer(async {
            match work.await {
                Err(Failure::Sql(error)) => Err(error),
                done => Ok(done),
            }
        });
        match worked.await? {
            Ok(answer) => Ok(answer),
            Err(Failure::Sql(error)) => Err(self.database.error(&error).into()),
            Err(Failure::Row(reason)) => {
                Err(self.unusable(&format!("a row cannot be read ({reason}): clear the views and fold again")))
            }
        }
    }

    fn unusable(&self, reason: &str) -> Error {
        event_log::Error::DatabaseSchema { at: self.database.at().into(), reason: reason.into() }.into()
    }
}

#[cfg(test)]
mod tests;
