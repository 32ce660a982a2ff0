//! How PostgreSQL is reached: a bounded pool, the tables it must have, and what its errors mean; knows no table itself.
//!
//! Both who keeps snapshots and who keeps views there use this. Every wait has a limit: for a connection, for a
//! statement, for a lock, and for an answer from a server that has silently gone.

mod errors;
mod migrations;

use std::{str::FromStr, sync::Arc, time::Duration};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::Semaphore;

use crate::Error;

/// How long one waits for a connection of the pool; a server that restarts takes about as long.
const ACQUIRE_WAIT: Duration = Duration::from_secs(10);
/// The longest statement; the longest here writes some thousand rows.
const STATEMENT_WAIT: &str = "30s";
/// How long a statement waits for a row that another transaction holds.
const LOCK_WAIT: &str = "10s";
/// How long the server keeps a transaction that nothing is asked of: whoever began it is gone.
const IDLE_WAIT: &str = "60s";
/// How long one waits for the answer to any one piece of work, whatever the server does: longer than all of the above.
const ANSWER_WAIT: Duration = Duration::from_secs(90);
/// Of how many connections one may be kept by who has work all the time; the others are for a moment's use.
const KEPT_OF_CONNECTIONS: u32 = 2;
/// A connection that nobody uses is closed after this.
const IDLE_CONNECTION: Duration = Duration::from_secs(600);

/// A database and the connections to it. Clones share them.
#[derive(Clone)]
pub struct Database {
    pool: PgPool,
    places: Arc<Semaphore>,
    at: Box<str>,
}

impl Database {
    /// The database that the URL (`postgres://role:password@host:port/name`) names, with at most so many connections.
    ///
    /// # Errors
    /// When it cannot be reached, lets nobody in, or its tables are not those of this release.
    pub async fn open(url: &str, connections_max: u32) -> Result<Database, Error> {
        let (options, at) = parse(url)?;
        let mut first = connect(&options, &at).await?;
        migrations::check(&mut first, &at).await?;
        // It has served its purpose, whether it ends in order or not.
        drop(first.close().await);
        Ok(Database::with(options, connections_max, at))
    }

    fn with(options: PgConnectOptions, connections_max: u32, at: Box<str>) -> Database {
        let places = connections_max.max(1) / KEPT_OF_CONNECTIONS;
        let places = Arc::new(Semaphore::new(usize::try_from(places).unwrap_or(0)));
        Database { pool: pool(options, connections_max), places, at }
    }

    /// Makes the tables that are missing, as `bahi migrate` does; says how many steps that took.
    ///
    /// # Errors
    /// As [`Database::open`], and when tables were made by another release.
    pub async fn migrate(url: &str) -> Result<usize, Error> {
        let (options, at) = parse(url)?;
        let mut connection = connect(&options, &at).await?;
        let steps = migrations::run(&mut connection, &at).await?;
        drop(connection.close().await);
        Ok(steps)
    }

    /// Makes a database of this name on the server of another one, for a bench; gives its URL.
    ///
    /// # Errors
    /// When the server cannot be reached, or the role may not.
    pub async fn make(url: &str, name: &str) -> Result<String, Error> {
        let (options, at) = parse(url)?;
        run(&options, &at, format!("create database \"{name}\"")).await?;
        Ok(PgConnectOptions::from_str(url)
            .map_or_else(|_| url.to_owned(), |of| of.database(name).to_url_lossy().into()))
    }

    /// Removes it again, once nobody uses it any more; the server waits some seconds for those who leave.
    ///
    /// # Errors
    /// As [`Database::make`].
    pub async fn remove(url: &str, name: &str) -> Result<(), Error> {
        let (options, at) = parse(url)?;
        run(&options, &at, format!("drop database if exists \"{name}\"")).await
    }

    /// The same database with at most so many connections that know no other schema than this one. They do not wait for
    /// the disk when they commit: what they write can be written again.
    #[must_use]
    pub fn beside(&self, schema: &str, connections_max: u32) -> Database {
        let options = (*self.pool.connect_options()).clone();
        let options = options.options([("search_path", schema), ("synchronous_commit", "off")]);
        Database::with(options, connections_max, self.at.clone())
    }

    /// The statements that make the tables of views, for whoever makes them in another schema.
    pub fn steps_of_views() -> impl Iterator<Item = &'static str> {
        migrations::of_views()
    }

    /// The connections.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Places for connections that are kept by who has work all the time: with one of these it may keep one that it took
    /// of the pool. There is always one that nobody keeps.
    pub fn places(&self) -> &Arc<Semaphore> {
        &self.places
    }

    /// Which database: host, port and name.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// Waits for one piece of work, not for ever; names what went wrong.
    ///
    /// # Errors
    /// What the server said, or that it did not answer.
    pub async fn answer<T>(&self, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Error> {
        match tokio::time::timeout(ANSWER_WAIT, work).await {
            Ok(done) => done.map_err(|error| self.error(&error)),
            Err(_elapsed) => {
                let reason = format!("no answer within {} s", ANSWER_WAIT.as_secs()).into();
                Err(Error::Database { at: self.at.clone(), reason })
            }
        }
    }

    /// What an error of the server or of the way there means.
    pub fn error(&self, error: &sqlx::Error) -> Error {
        errors::named(&self.at, error)
    }

    /// Waits for what is under way, and closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

async fn run(options: &PgConnectOptions, at: &str, sql: String) -> Result<(), Error> {
    let mut connection = connect(options, at).await?;
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await;
    drop(connection.close().await);
    done.map(drop).map_err(|error| errors::named(at, &error))
}

fn pool(options: PgConnectOptions, connections_max: u32) -> PgPool {
    PgPoolOptions::new()
        .min_connections(0)
        .max_connections(connections_max.max(1))
        .acquire_timeout(ACQUIRE_WAIT)
        .idle_timeout(IDLE_CONNECTION)
        .connect_lazy_with(options)
}

/// How to connect, and what the database is called in messages: never with a password.
fn parse(url: &str) -> Result<(PgConnectOptions, Box<str>), Error> {
    let options = PgConnectOptions::from_str(url).map_err(|_| Error::DatabaseRefuses {
        at: "?".into(),
        // What the parser says may hold a part of the URL.
        reason: "the URL is not of the form postgres://role:password@host:port/name".into(),
    })?;
    let name = options.get_database().unwrap_or_else(|| options.get_username());
    let at = match options.get_socket() {
        Some(socket) => format!("{}/{name}", socket.display()),
        None => format!("{}:{}/{name}", options.get_host(), options.get_port()),
    };
    let options = options.application_name("bahi").disable_statement_logging().options([
        ("statement_timeout", STATEMENT_WAIT),
        ("lock_timeout", LOCK_WAIT),
        ("idle_in_transaction_session_timeout", IDLE_WAIT),
    ]);
    Ok((options, at.into()))
}

async fn connect(options: &PgConnectOptions, at: &str) -> Result<PgConnection, Error> {
    match tokio::time::timeout(ACQUIRE_WAIT, options.connect()).await {
        Ok(connected) => connected.map_err(|error| errors::named(at, &error)),
        Err(_elapsed) => Err(Error::Database {
            at: at.into(),
            reason: format!(
                "cannot be reached within {} s; check that it runs and that the URL is right",
                ACQUIRE_WAIT.as_secs()
            )
            .into(),
        }),
    }
}

#[cfg(test)]
pub(crate) mod tests;
