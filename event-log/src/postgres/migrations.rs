//! The tables of a database, made step by step; refuses to know what any of them is for.
//!
//! Steps are only ever added: one that ran somewhere is never edited. A process does not make tables by itself when
//! it starts, since several start at once and may be of two releases: `bahi migrate` does, and the others check.

use std::collections::HashMap;

use sqlx::{
    PgConnection, Row, SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

use super::errors::named;
use crate::Error;

/// Every step, in order.
const STEPS: [(i64, &str, &str); 3] = [
    (1, "snapshots", include_str!("../../../migrations/postgres/0001_snapshots.sql")),
    (2, "views", include_str!("../../../migrations/postgres/0002_views.sql")),
    (3, "views_apart", include_str!("../../../migrations/postgres/0003_views_apart.sql")),
];

/// The steps that make the tables of views, in order.
pub(super) fn of_views() -> impl Iterator<Item = &'static str> {
    STEPS.into_iter().filter(|(_, name, _)| name.starts_with("views")).map(|(_, _, sql)| sql)
}

fn migrator() -> Migrator {
    let step = |(version, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(STEPS.into_iter().map(step).collect())
}

/// Makes what is missing; says in how many steps.
pub(super) async fn run(connection: &mut PgConnection, at: &str) -> Result<usize, Error> {
    let schema = |reason: String| Error::DatabaseSchema { at: at.into(), reason: reason.into() };
    let before = made(connection, at).await?.len();
    match migrator().run(&mut *connection).await {
        Ok(()) => Ok(made(connection, at).await?.len().saturating_sub(before)),
        Err(sqlx::migrate::MigrateError::Execute(error) | sqlx::migrate::MigrateError::ExecuteMigration(error, _)) => {
            Err(named(at, &error))
        }
        Err(other) => Err(schema(format!("the tables were made by another release ({other}); use that release"))),
    }
}

/// Refuses a database whose tables are not those of this release.
pub(super) async fn check(connection: &mut PgConnection, at: &str) -> Result<(), Error> {
    let made = made(connection, at).await?;
    let schema = |reason: String| Err(Error::DatabaseSchema { at: at.into(), reason: reason.into() });
    for step in migrator().iter() {
        match made.get(&step.version) {
            None => return schema(format!("the tables of step {} are missing: run `bahi migrate`", step.version)),
            Some(checksum) if *checksum != *step.checksum => {
                return schema(format!("step {} was made by another release; use that release", step.version));
            }
            Some(_) => {}
        }
    }
    let known = STEPS.map(|(version, _, _)| version);
    match made.keys().max().filter(|version| !known.contains(version)) {
        Some(later) => schema(format!("its tables are of a later release (step {later}); use that release")),
        None => Ok(()),
    }
}

/// The steps that were made, with the checksum of each.
async fn made(connection: &mut PgConnection, at: &str) -> Result<HashMap<i64, Vec<u8>>, Error> {
    let exists: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| named(at, &error))?;
    if !exists {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query("select version, checksum from _sqlx_migrations where success").fetch_all(connection).await;
    let rows = rows.map_err(|error| named(at, &error))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
