//! The schemas beside the live one in which views are filled and kept, and the lock on making them; knows no row of a view.

use super::{super::Failure, RowsFrom};
use crate::saved::SHAPE;
use event_log::postgres::Database;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use std::time::{Duration, Instant};

/// What a person gives up with the schema of that name: nothing that cannot be folded again.
pub(super) struct Schemas {
    /// Where the rows are that everybody reads.
    pub(super) live: String,
    /// Where they are filled.
    pub(super) next: String,
    /// Where those before are kept.
    pub(super) kept: String,
    /// Through which they change places.
    pub(super) moving: String,
}

/// How long the lock is waited for: the server takes a moment to see that who had it is gone.
const ALONE_WAIT: Duration = Duration::from_secs(3);
/// Between two tries.
const ALONE_AGAIN: Duration = Duration::from_millis(50);

/// Takes the lock and names the schemas; nothing, if another process has it. It is given back with the connection.
pub(super) async fn alone(
    connection: &mut PgConnection,
    name: &str,
    from: RowsFrom,
) -> Result<Option<Schemas>, Failure> {
    let live: String = sqlx::query_scalar("select current_schema()").fetch_one(&mut *connection).await?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !live.chars().all(plain) {
        return Err(Failure::Row("the name of the schema has other than small letters, digits and '_'".into()));
    }
    let until = Instant::now() + ALONE_WAIT;
    loop {
        let lock = sqlx::query_scalar("select pg_try_advisory_lock(hashtextextended('bahi rebuild ' || $1, 0))");
        if lock.bind(&live).fetch_one(&mut *connection).await? {
            break;
        }
        if Instant::now() >= until {
            return Ok(None);
        }
        tokio::time::sleep(ALONE_AGAIN).await;
    }
    let own = if live == "public" { String::new() } else { format!("{live}_") };
    let kept = format!("{own}before_{name}");
    let next = if from == RowsFrom::Kept { kept.clone() } else { format!("{own}next_{name}") };
    Ok(Some(Schemas { next, kept, moving: format!("{own}moving_{name}"), live }))
}

/// By whom rows were folded: other code might have folded them otherwise.
fn release() -> String {
    format!("{}/{SHAPE}", env!("CARGO_PKG_VERSION"))
}

/// What has to be the same for tables to be folded on.
#[derive(PartialEq, Eq)]
struct Made {
    log: String,
    shape: i64,
    steps: i64,
}

impl Made {
    fn now(log: &str) -> Self {
        let steps = i64::try_from(Database::steps_of_views().count()).unwrap_or(i64::MAX);
        Self { log: log.to_owned(), shape: SHAPE.into(), steps }
    }
}

impl Schemas {
    /// Makes the tables to be filled, unless this release has begun to.
    pub(super) async fn make(&self, connection: &mut PgConnection, log: &str, anew: bool) -> Result<(), Failure> {
        let next = &self.next;
        let found = self.made(connection).await?;
        if !anew && found.is_some_and(|(made, by)| made == Made::now(log) && by == release()) {
            return Ok(());
        }
        let mut transaction = connection.begin().await?;
        let begin = format!(
            "drop schema if exists {next} cascade; create schema {next}; set local search_path to {next};
             create table rebuild (release text not null, steps bigint not null)"
        );
        sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut *transaction).await?;
        for step in Database::steps_of_views() {
            sqlx::raw_sql(step).execute(&mut *transaction).await?;
        }
        let Made { log, shape, steps } = Made::now(log);
        let say = sqlx::query("insert into views_of (log, shape) values ($1, $2)").bind(log).bind(shape);
        say.execute(&mut *transaction).await?;
        let say = sqlx::query("insert into rebuild (release, steps) values ($1, $2)").bind(release()).bind(steps);
        say.execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// Why the tables that were kept cannot be folded on; nothing, if they can.
    pub(super) async fn check_kept(
        &self,
        connection: &mut PgConnection,
        log: &str,
    ) -> Result<Result<(), String>, Failure> {
        let kept = &self.kept;
        Ok(match self.made(connection).await? {
            None => Err(format!("no tables are kept from before ({kept}): there is nothing to go back to")),
            Some((made, _)) if made != Made::now(log) => {
                Err(format!("the tables in {kept} are of another release or log: they cannot be folded on"))
            }
            Some(_) => Ok(()),
        })
    }

    /// What the tables in `next` are, and which release folded them.
    async fn made(&self, connection: &mut PgConnection) -> Result<Option<(Made, String)>, Failure> {
        let next = &self.next;
        let exists = sqlx::query_scalar("select to_regclass($1) is not null").bind(format!("{next}.rebuild"));
        if !exists.fetch_one(&mut *connection).await? {
            return Ok(None);
        }
        let ask = format!("select log, shape, release, steps from {next}.views_of, {next}.rebuild");
        let Some(row) = sqlx::query(AssertSqlSafe(ask)).fetch_optional(connection).await? else { return Ok(None) };
        let made = Made { log: row.try_get("log")?, shape: row.try_get("shape")?, steps: row.try_get("steps")? };
        Ok(Some((made, row.try_get("release")?)))
    }
}
