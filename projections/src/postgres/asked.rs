//! How far the database is at the moment it is asked, many who ask at once with one question; knows no rows.

use super::Postgres;
use crate::{Error, Position};
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;
use std::{fmt::Display, sync::Arc, time::Duration};

/// The longest wait for an answer, which is a few rows.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

type Question = Shared<BoxFuture<'static, Result<Now, Error>>>;

/// How far the database is, and of which tables that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Now {
    pub(super) position: Position,
    /// Of each partition of the ledger; a rebuild that puts tables in place raises it. `None` where a view has stopped.
    pub(super) generations: Arc<[Option<i64>]>,
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
            // It is put whoever still waits: a connection whose question is given up is closed, and the next one asked
            // of a new one, which costs the server more than any answer.
            let ask = || {
                let (asking, at) = (tokio::spawn(self.clone().put()), self.database.at().into());
                asking.map(move |asked| asked.unwrap_or_else(|ended| Err(lost(at, &ended)))).boxed().shared()
            };
            next.get_or_insert_with(ask).clone()
        };
        question.await
    }

    async fn put(self) -> Result<Now, Error> {
        let asked = Arc::clone(&self.asked);
        let _turn = asked.asking.lock().await;
        // Who comes from here on may have seen what this question does not, and shares the next.
        *asked.next.lock() = None;
        let read = async { self.now_in(&mut *self.database.pool().acquire().await?).await };
        // Those who share the next question wait for this one, though nobody else may any more.
        let answered = tokio::time::timeout(ANSWER_WAIT, self.answer(read)).await;
        answered.unwrap_or_else(|elapsed| Err(lost(self.database.at().into(), &elapsed)))
    }
}

/// Nobody puts the question any more.
fn lost(at: Box<str>, why: &dyn Display) -> Error {
    event_log::Error::Database { at, reason: format!("it does not say how far the views are: {why}").into() }.into()
}
