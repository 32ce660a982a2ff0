//! A schema of its own on the server for tests, removed at the end.

use super::*;

/// A schema of its own.
pub(super) struct Own {
    pub(super) schema: String,
    /// The server, without the schema.
    server: String,
    /// Of the database with that schema alone.
    pub(super) url: String,
    pub(super) database: Database,
}

impl Own {
    pub(super) async fn new() -> Own {
        let (server, schema) = (url(), format!("test_{}", uuid::Uuid::new_v4().simple()));
        run(&server, format!("create schema {schema}")).await;
        let with = if server.contains('?') { '&' } else { '?' };
        let url = format!("{server}{with}options=-c%20search_path%3D{schema}");
        Database::migrate(&url).await.expect("the tables are made");
        let database = Database::open(&url, 6).await.expect("the database opens");
        Own { schema, server, url, database }
    }

    /// The views of this log in it.
    pub(super) async fn views(&self, log: &Memory) -> Postgres {
        Postgres::open(self.database.clone(), log).await.expect("the views open")
    }

    /// The same through one connection alone.
    pub(super) async fn views_through_one(&self, log: &Memory) -> Postgres {
        let database = Database::open(&self.url, 1).await.expect("the database opens");
        Postgres::open(database, log).await.expect("the views open")
    }

    /// Runs what a person could.
    pub(super) async fn run(&self, sql: &str) {
        run(&self.url, sql.to_owned()).await;
    }

    /// What a person is answered.
    pub(super) async fn texts(&self, sql: &str) -> Vec<String> {
        let ask = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        ask.fetch_all(self.database.pool()).await.expect("it is answered")
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // With those beside it in which views were filled and kept.
        let sql = format!(
            "do $$ declare name text; begin
                 for name in select nspname from pg_namespace where nspname like '{}%' loop
                     execute format('drop schema %I cascade', name);
                 end loop;
             end $$",
            self.schema
        );
        let server = self.server.clone();
        let removing = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(run(&server, sql));
        });
        // What is left behind by a failure is on a server for tests.
        drop(removing.join());
    }
}

async fn run(url: &str, sql: String) {
    let options: PgConnectOptions = url.parse().expect("a URL");
    let connected = options.connect().await;
    let mut connection = connected.unwrap_or_else(|error| panic!("{error}; `make services` starts PostgreSQL"));
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("it runs");
    connection.close().await.expect("the connection ends");
}
