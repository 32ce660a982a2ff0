//! Accounts that are asked about, kept in Redis so that the database need not put them together again; decides nothing
//! and is never believed alone.
//!
//! Rows are kept with the next offset of their partition that they are as of. What is found here is an answer only if
//! that is where the database says the partition is (`postgres/cached.rs`), so whatever Redis lost, kept too long or
//! never learnt makes an answer slower and no other. The scripts beside this file keep that exact:
//!
//! - Each partition has a **mark**: how far its accounts here are, and an **epoch**. The projector moves it over a stretch
//!   of entries, together with all accounts that they touched (`postgres/untold.rs`); a stretch that got no answer is
//!   told again. From before it the mark cannot be moved: then accounts may have missed something, and a new epoch makes
//!   all of them worthless.
//! - Who asks for an account that is not here leaves a **blank**, which says how far the mark was. Only a blank is
//!   filled, by rows that are as of no earlier place: those of the reader that left it, or of the projector. So rows
//!   are kept for accounts that somebody asked about lately, and old ones never replace newer ones.
//!
//! Every key has a time to live, and any key may vanish at any time.

mod link;

use self::link::{ANSWER_WAIT, Link};
use crate::{Error, account::Account, saved::SHAPE};
use domain::ids::AccountId;
use event_log::EventLog;
use redis::Script;
use std::{sync::Arc, time::Duration};

/// How long an account is kept that nobody asks about.
const ACCOUNT_TTL_S: u64 = 300;
/// How long a mark is kept that no projector confirms; longer than it takes one to come back.
const MARK_TTL_S: u64 = 60;
/// The most accounts whose rows are written at once; others stay blank until they are asked about.
const FILL_ACCOUNTS_MAX: usize = 256;
/// About the most bytes of one write: a few milliseconds of the server, which does one thing at a time.
const FILL_BYTES_MAX: usize = 1 << 20;
/// An account with more bytes than this is read from the database each time.
const ACCOUNT_BYTES_MAX: usize = 256 << 10;

/// What the server runs at once, with nothing else in between.
const FIND: &str = include_str!("redis/find.lua");
const ADVANCE: &str = include_str!("redis/advance.lua");
const FILL: &str = include_str!("redis/fill.lua");

/// Accounts of one log in Redis. Clones share the connection.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    link: Link,
    /// What every key of this log, and of this form of rows, begins with.
    prefix: String,
    find: Script,
    advance: Script,
    fill: Script,
    kept: metrics::Counter,
    refused: metrics::Counter,
}

/// A partition, and of which tables its rows are: those that a rebuild put in place may hold others at the same offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) partition: u32,
    pub(crate) generation: i64,
}

/// What Redis says about an account.
#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    /// The next offset of the partition that the rows are as of.
    pub(crate) next: u64,
    /// Absent for a blank.
    pub(crate) rows: Option<Box<Account>>,
}

impl Redis {
    /// The accounts of a log whose topics have this prefix, at `redis://[user:password@]host:port/number`. Nothing is
    /// asked yet: Redis may come and go.
    ///
    /// # Errors
    /// When the URL is not of that form.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn open(url: &str, prefix: &str, log: &dyn EventLog) -> Result<Self, Error> {
        Self::with(url, prefix, log, [FIND, ADVANCE, FILL], ANSWER_WAIT)
    }

    fn with(
        url: &str,
        prefix: &str,
        log: &dyn EventLog,
        scripts: [&str; 3],
        answer_wait: Duration,
    ) -> Result<Self, Error> {
        let [find, advance, fill] = scripts.map(Script::new);
        let release = env!("CARGO_PKG_VERSION");
        Ok(Self(Arc::new(Inner {
            link: Link::new(url, answer_wait)?,
            prefix: format!("bahi:{prefix}:{}:{release}/{SHAPE}", log.commands_id()),
            find,
            advance,
            fill,
            kept: metrics::counter!("bahi_redis_rows_total", "outcome" => "kept"),
            refused: metrics::counter!("bahi_redis_rows_total", "outcome" => "refused"),
        })))
    }

    /// What is kept of an account; leaves a blank where nothing is. `None` while there is no mark, or Redis is away.
    pub(crate) async fn find(&self, place: Place, id: &AccountId) -> Option<Found> {
        let Inner { link, find, .. } = &*self.0;
        let mut asked = find.key(self.mark_key(place));
        asked.key(self.account_key(place, id)).arg(ACCOUNT_TTL_S);
        let (next, rows): (Option<u64>, Option<Vec<u8>>) = link.ask(&asked).await?;
        let rows = rows.and_then(|rows| match postcard::from_bytes(&rows) {
            Ok(rows) => Some(Box::new(rows)),
            Err(error) => {
                tracing::warn!(%error, "rows in Redis cannot be read, and are filled again");
                None
            }
        });
        Some(Found { next: next?, rows })
    }

    /// Moves the mark of a partition from one place to another, and makes all accounts blank that were touched between
    /// them; says which are here. `None` if Redis is away, and perhaps was told.
    pub(crate) async fn advance(
        &self,
        place: Place,
        (from, next): (u64, u64),
        touched: &[AccountId],
    ) -> Option<Vec<AccountId>> {
        let Inner { link, advance, .. } = &*self.0;
        let mut asked = advance.key(self.mark_key(place));
        for id in touched {
            asked.key(self.account_key(place, id));
        }
        let fresh = uuid::Uuid::new_v4().simple().to_string();
        asked.arg(from).arg(next).arg(fresh).arg(MARK_TTL_S);
        let places: Vec<usize> = link.ask(&asked).await?;
        // Lua counts from 1, and the mark is its first key.
        Some(places.into_iter().filter_map(|at| touched.get(at.checked_sub(2)?).copied()).collect())
    }

    /// How long one answer is waited for.
    pub(crate) fn answer_wait(&self) -> Duration {
        self.0.link.answer_wait()
    }

    /// Fills blanks that are still there, from no later place, with rows as of `next`.
    pub(crate) async fn fill(&self, place: Place, next: u64, rows: &[(&AccountId, &Account)]) {
        let Inner { link, fill, kept, refused, .. } = &*self.0;
        let mut rows = rows.iter().take(FILL_ACCOUNTS_MAX).peekable();
        while rows.peek().is_some() {
            let (mut asked, mut count, mut bytes) = (fill.prepare_invoke(), 0, 0);
            asked.arg(next);
            while bytes < FILL_BYTES_MAX
                && let Some((id, account)) = rows.next()
            {
                let encoded = postcard::to_stdvec(account).expect("a row is encoded into memory");
                if encoded.len() <= ACCOUNT_BYTES_MAX {
                    count += 1;
                    bytes += encoded.len();
                    asked.key(self.account_key(place, id)).arg(encoded);
                }
            }
            if count == 0 {
                return;
            }
            let Some(filled) = link.ask::<u64>(&asked).await else { return };
            kept.increment(filled);
            refused.increment(count - filled);
        }
    }

    /// Keys of a partition have their hash tag in common, as one script touches several.
    fn mark_key(&self, Place { partition, generation }: Place) -> String {
        format!("{{{}:{generation}:{partition}}}:mark", self.0.prefix)
    }

    fn account_key(&self, Place { partition, generation }: Place, id: &AccountId) -> String {
        format!("{{{}:{generation}:{partition}}}:account:{id}", self.0.prefix)
    }
}

#[cfg(test)]
pub(crate) mod tests;
