//! Putting the filled tables in the place of the live ones, in one transaction that holds the live checkpoints.

use super::{Rebuild, refused, schemas::Schemas};
use crate::{
    Error, Position,
    postgres::{Failure, Postgres, checkpoint, partition::Partition, relations},
    view::{View, ViewSet},
};
use event_log::{Topic, rule::Reader};
use sqlx::{AssertSqlSafe, PgConnection, Row, Transaction, error::DatabaseError};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// Records that are folded while projectors wait: with more to fold it is let go and tried again.
const HELD_RECORDS_MAX: u64 = 20_000;
/// The longest that projectors wait.
const HELD_MAX: Duration = Duration::from_secs(8);
/// How long the switch waits for readers of the tables, as those who come after wait behind it; less than the second
/// after which the server looks for a deadlock, so that it is always the switch that gives way and never a reader.
const READERS_WAIT: &str = "500ms";
/// How long it waits for whoever cleans the tables: longer than the second after which the server makes that give way.
const CLEANERS_WAIT: &str = "3s";
/// How long its statements may take after that: they change names.
const NAMES_WAIT: &str = "5s";
/// How often it is tried: somebody may be reading a whole table, as for a state hash, and is not disturbed.
const TRIES_MAX: usize = 120;
/// Between two tries, so that all who waited get through.
const TRY_PERIOD: Duration = Duration::from_secs(1);

/// What a switch did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switched {
    /// How long projectors had to wait at most.
    pub pause: Duration,
    /// At which position.
    pub position: Position,
    /// The schema with the tables that were in place before.
    pub kept: String,
}

/// How far a try got.
enum Once {
    /// All is in its place once this is committed.
    Ready {
        held: Transaction<'static, sqlx::Postgres>,
        began: Instant,
        position: Position,
    },
    TooFar,
    BeingRead,
}

impl Rebuild {
    /// Puts the filled tables in place.
    ///
    /// # Errors
    /// When it cannot be done in time; everything is then as it was, and can be tried again.
    pub async fn switch(mut self) -> Result<Switched, Error> {
        for _ in 0..TRIES_MAX {
            let position = self.live.position().await?;
            self.fold_to(&position, &mut |_| ()).await?;
            let live = self.live.clone();
            let once = tokio::time::timeout(HELD_MAX, self.switch_once(&live)).await;
            match once.map_err(|_| refused("the switch took too long; nothing was changed: try again"))?? {
                Once::Ready { held, began, position } => {
                    // Whatever the time, as nobody could say whether it was done.
                    live.answer(async { Ok(held.commit().await?) }).await?;
                    return Ok(Switched { pause: began.elapsed(), position, kept: self.schemas.kept.clone() });
                }
                Once::TooFar => {}
                Once::BeingRead => tokio::time::sleep(TRY_PERIOD).await,
            }
        }
        Err(refused(
            "projectors run ahead, or somebody reads whole tables all the time; nothing was changed: try again",
        ))
    }

    async fn switch_once(&mut self, live: &Postgres) -> Result<Once, Error> {
        let mut held = live.answer(async { Ok(live.database.pool().begin().await?) }).await?;
        let topics: Vec<Topic> = Topic::ALL.into_iter().filter(|topic| of_topic(live.folded, *topic)).collect();
        // Whoever cleans tables by itself gives way to this lock, if it is waited for long enough; nobody else minds it.
        let (own, next) = (relations::all(live.folded), self.schemas.filled(live.folded));
        let quiet = format!(
            "set local lock_timeout = '{CLEANERS_WAIT}'; lock table {own}, {next} in share update exclusive mode;
             set local lock_timeout = '{READERS_WAIT}'"
        );
        let quiet = async { Ok(sqlx::raw_sql(AssertSqlSafe(quiet)).execute(&mut *held).await?) };
        if live.answer_locked(quiet).await?.is_none() {
            return Ok(Once::BeingRead);
        }
        let began = Instant::now();
        let readers = match live.answer_locked(hold(&mut held, &self.schemas.live, &topics)).await? {
            Some(readers) => readers,
            None => return Ok(Once::BeingRead),
        };
        let mut position = live.start_of_all();
        readers.iter().for_each(|((topic, partition), reader)| position.advance(*topic, *partition, reader.offset));
        if self.far(&position) > HELD_RECORDS_MAX {
            return Ok(Once::TooFar);
        }
        self.fold_to(&position, &mut |_| ()).await?;
        let agrees = |of: &Partition| readers.get(&of.place()) == Some(&of.checkpoint().reader);
        if !self.partitions.iter().all(agrees) {
            return Err(refused("the live tables are of another log than was folded; nothing was changed"));
        }
        // A server that crashed may have lost what it had answered, and the lock that keeps others away.
        live.answer(async { Ok(sqlx::query("select 1").execute(&mut self.alone).await?) }).await?;
        let filled = live.answer_locked(hold(&mut held, &self.schemas.next, &topics)).await?;
        if filled
            .is_none_or(|filled| self.partitions.iter().any(|of| filled.get(&of.place()) != readers.get(&of.place())))
        {
            return Err(refused("what was filled last is not there any more; nothing was changed: run it again"));
        }
        let lock = format!(
            "set local statement_timeout = '{READERS_WAIT}'; lock table {} in access exclusive mode;
             set local statement_timeout = '{NAMES_WAIT}'",
            own
        );
        let locked = async { Ok(sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *held).await?) };
        if live.answer_locked(locked).await?.is_none() {
            return Ok(Once::BeingRead);
        }
        let sql = self.schemas.switching(live.folded, &topics);
        let switched = async { Ok(sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *held).await?) };
        if live.answer_locked(switched).await?.is_none() {
            return Ok(Once::BeingRead);
        }
        Ok(Once::Ready { held, began, position })
    }
}

fn of_topic(views: ViewSet, topic: Topic) -> bool {
    views.iter().any(|view| view.topic() == topic)
}

/// Where every partition is; they stay there until the transaction ends.
async fn hold(
    held: &mut PgConnection,
    schema: &str,
    topics: &[Topic],
) -> Result<BTreeMap<(Topic, u32), Reader>, Failure> {
    let names: Vec<&str> = topics.iter().map(|topic| topic.name()).collect();
    let hold = sqlx::query(AssertSqlSafe(format!(
        "select topic, partition, next_offset, term, writer, last from {schema}.checkpoints where topic = any($1)
         order by topic, partition for update",
    )));
    let mut readers = BTreeMap::new();
    for row in hold.bind(names).fetch_all(held).await? {
        let name: &str = row.try_get("topic")?;
        let topic = topics.iter().find(|topic| topic.name() == name);
        let topic = topic.ok_or_else(|| Failure::Row("a topic".into()))?;
        let partition: i32 = row.try_get("partition")?;
        readers.insert((*topic, partition.cast_unsigned()), checkpoint::reader(&row)?);
    }
    Ok(readers)
}

impl Postgres {
    fn start_of_all(&self) -> Position {
        Position::start(self.ledger_partitions, self.market_partitions)
    }

    /// As [`Postgres::answer`]; nothing where a lock could not be had in time.
    async fn answer_locked<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<Option<T>, Error> {
        // The lock's own limit, the statement's, and a deadlock.
        const IN_VAIN: [&str; 3] = ["55P03", "57014", "40P01"];
        let is_in_vain = |said: &dyn DatabaseError| said.code().is_some_and(|code| IN_VAIN.contains(&&*code));
        let work = async {
            match work.await {
                Err(Failure::Sql(sqlx::Error::Database(said))) if is_in_vain(&*said) => Ok(None),
                done => done.map(Some),
            }
        };
        self.answer(work).await
    }
}

impl Schemas {
    /// The tables that were filled, by commas.
    fn filled(&self, views: ViewSet) -> String {
        let names = views.iter().flat_map(relations::tables).map(|name| format!("{}.{name}", self.next));
        names.collect::<Vec<_>>().join(", ")
    }

    /// Everything that changes places, or none of it.
    fn switching(&self, views: ViewSet, topics: &[Topic]) -> String {
        let Schemas { live, next, kept, moving } = self;
        let mut sql = format!("create schema {moving};");
        for view in views.iter() {
            let tables = relations::tables(view).into_iter().map(|name| ("table", name));
            let readings = relations::readings(view).iter().map(|name| ("view", (*name).to_owned()));
            for (kind, name) in tables.chain(readings) {
                for (from, to) in [(live, moving), (next, live), (moving, next)] {
                    sql += &format!("alter {kind} {from}.{name} set schema {to};");
                }
            }
        }
        let quoted = |names: Vec<&str>| names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
        let names = quoted(views.iter().map(View::name).collect());
        let topics = quoted(topics.iter().map(|topic| topic.name()).collect());
        // Where a view stopped is said of the tables that stopped.
        sql += &format!(
            "create table {moving}.view_stops as select * from {live}.view_stops where view in ({names});
             delete from {live}.view_stops where view in ({names});
             insert into {live}.view_stops select * from {next}.view_stops where view in ({names});
             delete from {next}.view_stops;
             insert into {next}.view_stops select * from {moving}.view_stops;
             drop schema {moving} cascade;
             update {live}.checkpoints set generation = generation + 1 where topic in ({topics});"
        );
        if next != kept {
            sql += &format!("drop schema if exists {kept} cascade; alter schema {next} rename to {kept};");
        }
        sql
    }
}
