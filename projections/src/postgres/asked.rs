//! How far the database is at the moment it is asked, many who ask at once with one question; knows no rows.

use super::Postgres;
use crate::{Error, Position};
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;
use std::sync::Arc;

type Question = Shared<BoxFuture<'static, Result<Now, Error>>>;

/// How far the database is, and of which tables that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Now {
    pub(super) position: Position,
    /// Of each partition of the ledger; a rebuild that puts tables in place raises it.
    pub(super) generations: Arc<[i64]>,
}

/// The question that has not been put yet, if somebody waits for it.
#[derive(Default)]
pub(super) struct Asked {
    next: Mutex<Option<Question>>,
    /// Held by who asks, so that whoever comes meanwhile shares the next question.
    asking: tokio::sync::Mutex<()>,
}

impl Postgres {
    /// How far every partition is, no earlier than now: a commit that anybody has seen is in it.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub(super) async fn position_now(&self) -> Result<Now, Error> {
        let question = {
            let mut next = self.asked.next.lock();
            next.get_or_insert_with(|| self.clone().put().boxed().shared()).clone()
        };
        question.await
    }

    async fn put(self) -> Result<Now, Error> {
        let asked = Arc::clone(&self.asked);
        let _turn = asked.asking.lock().await;
        // Who comes from here on may have seen what this question does not, and shares the next.
        *asked.next.lock() = None;
        let read = async { self.now_in(&mut *self.database.pool().acquire().await?).await };
        self.answer(read).await
    }
}
