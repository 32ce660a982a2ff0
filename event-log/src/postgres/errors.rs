//! What PostgreSQL's errors mean for whoever asked, by their codes; knows no statement.

use sqlx::error::DatabaseError;

use crate::Error;

/// An error, by what can be done about it.
///
/// Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub(super) fn named(at: &str, error: &sqlx::Error) -> Error {
    let at: Box<str> = at.into();
    match error {
        sqlx::Error::PoolClosed => Error::Closed,
        sqlx::Error::Database(said) => of_server(at, &**said),
        sqlx::Error::PoolTimedOut => {
            Error::Database { at, reason: "cannot be reached, or every connection is busy".into() }
        }
        sqlx::Error::Io(reason) => Error::Database {
            at,
            reason: format!("cannot be reached ({reason}); check that it runs and that the URL is right").into(),
        },
        other => Error::Database { at, reason: other.to_string().into() },
    }
}

fn of_server(at: Box<str>, said: &dyn DatabaseError) -> Error {
    let code = said.code().unwrap_or_default();
    let reason: Box<str> = said.message().into();
    match (&code[..code.len().min(2)], &*code) {
        // Invalid authorization, no such database, insufficient privilege.
        ("28" | "3D", _) | (_, "42501") => Error::DatabaseRefuses { at, reason },
        // No such schema, table or column.
        (_, "3F000" | "42P01" | "42703") => {
            Error::DatabaseSchema { at, reason: format!("{reason}: run `bahi migrate`").into() }
        }
        _ => Error::Database { at, reason },
    }
}
