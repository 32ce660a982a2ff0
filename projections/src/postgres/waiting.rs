//! Waiting until the database holds a position, many at once with one question; knows no rows.

use super::Postgres;
use crate::{Error, Position};
use std::time::Duration;
use tokio::sync::{Mutex, watch};

/// How often the database is asked while somebody waits: a write is seen this much later at most.
const ASK_PERIOD: Duration = Duration::from_millis(3);

/// What is known of how far the views are, shared by all who wait.
#[derive(Debug)]
pub(super) struct Seen {
    position: watch::Sender<Position>,
    /// Held by who asks, so that a thousand who wait ask no more often than one.
    asking: Mutex<()>,
}

impl Seen {
    pub(super) fn new(start: Position) -> Self {
        Self { position: watch::Sender::new(start), asking: Mutex::default() }
    }
}

impl Postgres {
    /// How far the views were at least when they were asked last; whatever is read from now on is no older.
    pub fn seen(&self) -> Position {
        self.seen.position.borrow().clone()
    }

    /// Waits until everything `wanted` is in the database, whoever folds it, at most for `limit`; says whether it is.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn wait_for(&self, wanted: &Position, limit: Duration) -> Result<bool, Error> {
        let mut moving = self.seen.position.subscribe();
        let reached = moving.wait_for(|position| position.covers(wanted));
        let asking = async {
            loop {
                // The next one asks when this one has waited.
                let _turn = self.seen.asking.lock().await;
                let position = self.position().await?;
                self.seen.position.send_if_modified(|seen| {
                    let moved = !seen.covers(&position);
                    seen.merge(&position);
                    moved
                });
                tokio::time::sleep(ASK_PERIOD).await;
            }
        };
        let waiting = async {
            tokio::select! {
                biased;
                _ = reached => Ok(true),
                failed = asking => failed,
            }
        };
        tokio::time::timeout(limit, waiting).await.unwrap_or(Ok(false))
    }
}
