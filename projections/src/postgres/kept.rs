//! The connection of a partition, kept from one batch to the next while batches come; knows no statement.
//!
//! One that goes through the pool is asked first whether it is still there, and the next batch has another one: each of
//! the pool's in turn, so that as many processes of the server have the same statements and tables in their memory.

use event_log::postgres::Database;
use sqlx::{Postgres, pool::PoolConnection};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long one is kept without a rest: the pool renews those that are old, but only while it has them.
pub(super) const KEPT_MAX: Duration = Duration::from_secs(300);

/// A partition's connection, while it is not in use.
pub(super) struct Kept {
    places: Arc<Semaphore>,
    connection: Option<Taken>,
    was_used: bool,
}

/// A connection in use, and the place that it is kept in afterwards, if it had one before.
pub(super) struct Taken {
    pub(super) connection: PoolConnection<Postgres>,
    /// When the pool gave it.
    pub(super) since: Instant,
    place: Option<OwnedSemaphorePermit>,
}

impl Kept {
    pub(super) fn of(database: &Database) -> Self {
        Self { places: Arc::clone(database.places()), connection: None, was_used: false }
    }

    /// The one that is kept, or any other. After a failure it is not given back here.
    ///
    /// # Errors
    /// When the pool has none in time.
    pub(super) async fn take(&mut self, database: &Database) -> Result<Taken, sqlx::Error> {
        self.was_used = true;
        if let Some(taken) = self.connection.take().filter(|taken| taken.since.elapsed() < KEPT_MAX) {
            return Ok(taken);
        }
        let connection = database.pool().acquire().await?;
        Ok(Taken { connection, since: Instant::now(), place: None })
    }

    /// Keeps it, or gives it to the pool where as many are kept as may be.
    pub(super) fn put(&mut self, mut taken: Taken) {
        let place = taken.place.take().or_else(|| Arc::clone(&self.places).try_acquire_owned().ok());
        self.connection = place.map(|place| Taken { place: Some(place), ..taken });
    }

    /// Gives it to the pool, unless it was used since this was called last.
    pub(super) fn let_go_of_unused(&mut self) {
        if !std::mem::take(&mut self.was_used) {
            self.let_go();
        }
    }

    /// Gives it to the pool.
    pub(super) fn let_go(&mut self) {
        self.connection = None;
    }
}
