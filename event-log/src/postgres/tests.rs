//! Reaching a real server, and what is said when it cannot be. `make services` starts one.

use std::time::Duration;

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tokio::time::timeout;
use uuid::Uuid;

use super::*;

/// Where `make services` starts a server; another is named by `BAHI_POSTGRES_URL`.
const URL: &str = "postgres://bahi@127.0.0.1:25432/bahi";
/// No step takes longer, on any machine that builds this.
const WAIT: Duration = Duration::from_secs(60);

fn url() -> String {
    std::env::var("BAHI_POSTGRES_URL").unwrap_or_else(|_| URL.to_owned())
}

/// A schema of its own, removed at the end.
pub(crate) struct Own {
    schema: String,
    /// Of the database with that schema alone.
    pub(crate) url: String,
}

impl Own {
    pub(crate) async fn empty() -> Own {
        let schema = format!("test_{}", Uuid::new_v4().simple());
        run(&url(), format!("create schema {schema}")).await;
        let with = if url().contains('?') { '&' } else { '?' };
        Own { url: format!("{}{with}options=-c%20search_path%3D{schema}", url()), schema }
    }

    pub(crate) async fn opened() -> (Own, Database) {
        let own = Own::empty().await;
        Database::migrate(&own.url).await.expect("the tables are made");
        let database = Database::open(&own.url, 4).await.expect("the database opens");
        (own, database)
    }

    /// Runs what a person could, in this schema.
    pub(crate) async fn run(&self, sql: &str) {
        run(&self.url, sql.to_owned()).await;
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let sql = format!("drop schema if exists {} cascade", self.schema);
        let removing = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(run(&url(), sql));
        });
        // What is left behind by a failure is on a server for tests.
        drop(removing.join());
    }
}

async fn run(url: &str, sql: String) {
    let (options, _) = parse(url).expect("a URL");
    let connected = options.connect().await;
    let mut connection: PgConnection =
        connected.unwrap_or_else(|error| panic!("{error}; `make services` starts PostgreSQL"));
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("it runs");
    connection.close().await.expect("the connection ends");
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(WAIT, future).await.expect("it takes less than the limit")
}

/// What opening is refused with, in one line.
async fn refused(url: &str) -> Error {
    let error = within(Database::open(url, 1)).await.err().expect("it does not open");
    assert!(!error.to_string().contains('\n'), "one line: {error}");
    error
}

/// The URL with another part.
fn with(from: &str, to: &str) -> String {
    let changed = url().replacen(from, to, 1);
    assert_ne!(changed, url(), "{from} is in the URL");
    changed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_named() {
    let error = refused("postgres://bahi:secret@127.0.0.1:1/bahi").await;
    assert!(matches!(error, Error::Database { .. }) && error.is_retryable(), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1:1/bahi"), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_or_a_database_that_is_not_there_is_refused_without_the_password() {
    for url in [with("//bahi", "//nobody:secret"), with("/bahi", "/nowhere")] {
        let error = refused(&url).await;
        assert!(matches!(error, Error::DatabaseRefuses { .. }) && !error.is_retryable(), "{error:?}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let error = refused("postgres://bahi:secret@127.0.0.1:port/bahi").await;
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_are_missing_are_made_by_migrating_and_not_by_opening() {
    let own = Own::empty().await;
    let error = refused(&own.url).await;
    assert!(matches!(error, Error::DatabaseSchema { .. }), "{error:?}");
    assert!(error.to_string().contains("run `bahi migrate`"), "{error}");
    let steps = within(Database::migrate(&own.url)).await.expect("the tables are made");
    assert!(steps > 0);
    assert_eq!(within(Database::migrate(&own.url)).await.expect("nothing is left to do"), 0);
    within(Database::open(&own.url, 1)).await.expect("it opens now");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_another_release_are_refused() {
    let (own, _) = Own::opened().await;
    own.run("update _sqlx_migrations set checksum = '\\x00' where version = 1").await;
    let error = refused(&own.url).await;
    assert!(error.to_string().contains("another release"), "{error}");
    let error = within(Database::migrate(&own.url)).await.expect_err("it is not changed");
    assert!(matches!(error, Error::DatabaseSchema { .. }), "{error:?}");

    let (own, _) = Own::opened().await;
    own.run(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (9999, 'later', true, '\\x00', 0)",
    )
    .await;
    let error = refused(&own.url).await;
    assert!(error.to_string().contains("later release"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_the_server_ended_is_replaced() {
    let (_own, database) = Own::opened().await;
    let id: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(database.pool()).await.expect("an answer");
    let mut other = database.pool().acquire().await.expect("a connection");
    let ended = sqlx::query("select pg_terminate_backend($1)").bind(id).execute(database.pool()).await;
    drop(other.ping().await);
    drop(other);
    drop(ended);
    let one = within(database.answer(sqlx::query_scalar::<_, i32>("select 1").fetch_one(database.pool()))).await;
    assert_eq!(one.expect("it is asked on another connection"), 1);
}
