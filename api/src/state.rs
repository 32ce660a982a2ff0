//! What every handler shares, made once by `bahi`; knows no adapter and reads no environment.

use crate::{error::Error, metrics::Metrics, sent::FreshIds, token::Keys, token_cache::Proofs};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use commands::{Clock, Desk};
use event_log::{EventLog, Topic};
use projections::{
    Position, Views,
    lag::Lag,
    postgres::{Indexed, Postgres},
};
use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Mutex, OnceCell};

/// Commands per window and account.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
/// The limit's window (IETF draft, "RateLimit header fields for HTTP").
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// Commands left in the window; told when there are none.
pub const RATE_LIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
/// Seconds until there are some.
pub const RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
/// How long a read waits for its `Bahi-Min-Position`: views are milliseconds behind, so longer means trouble.
pub const READ_WAIT_MS: u64 = 2_000;
/// How long views may be behind, unless told: thousands of times what is usual.
pub const LAG_MAX: Duration = Duration::from_secs(30);
/// How often, at most, the log is asked for its ends to see how far views are behind.
const ENDS_EVERY: Duration = Duration::from_secs(1);
/// How long it waits to see how far views and log are: whoever asks whether it is ready waits no longer than some seconds.
const LOOK_WAIT: Duration = Duration::from_secs(1);

/// What `bahi` may set.
#[derive(Clone, Debug)]
pub struct Config {
    /// Commands per second and account, as the desk keeps it; told in `RateLimit-*`. `None` for no limit.
    pub account_commands_per_second: Option<u32>,
    /// How long a read waits for its `Bahi-Min-Position`.
    pub read_wait: Duration,
    /// How long views may be behind the log before the process says that it is not ready.
    pub lag_max: Duration,
    /// Whether each answered request is logged; failures always are.
    pub access_log: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            account_commands_per_second: None,
            read_wait: Duration::from_millis(READ_WAIT_MS),
            lag_max: LAG_MAX,
            access_log: true,
        }
    }
}

/// What every handler shares; cheap to clone.
#[derive(Clone)]
pub struct State(Arc<Inner>);

/// What [`State`] holds.
pub struct Inner {
    /// Where commands are handed in.
    pub desk: Arc<Desk>,
    /// What is seen now; where rows of accounts are in a database, the market, and how far the ledger is there.
    pub views: Arc<Views>,
    /// The database that holds rows of accounts, if they are not in `views`.
    pub database: Option<Postgres>,
    /// The log, for pages of it and the past.
    pub log: Arc<dyn EventLog>,
    /// Proves tokens.
    pub proofs: Proofs,
    /// The only source of time, for tokens and `issued_at`.
    pub clock: Arc<dyn Clock>,
    /// As set.
    pub config: Config,
    /// Counters and their text.
    pub metrics: Metrics,
    /// Request ids.
    pub fresh_ids: FreshIds,
    limit: Option<(HeaderValue, HeaderValue)>,
    ready: AtomicBool,
    ready_at: OnceCell<Position>,
    lag: Mutex<(Option<Instant>, Lag<Position>)>,
    /// Held while all rows are hashed: one caller at a time, as each takes a connection, or all readers' time, for long.
    pub hashing: Arc<Mutex<()>>,
}

impl Deref for State {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl State {
    /// Wires the edge.
    ///
    /// `desk` comes from `commands::start`, `views` is what `projections::follow` fills, `log` is the log that
    /// both stand on, `keys` come from [`Keys::open_or_make`] on the data folder's `token.key`.
    /// The first `State` of a process installs the process's metrics recorder, unless
    /// [`crate::metrics::install`] was called before.
    ///
    /// # Errors
    /// When something else installed a metrics recorder.
    pub fn new(
        desk: Arc<Desk>,
        views: Arc<Views>,
        log: Arc<dyn EventLog>,
        keys: Keys,
        clock: Arc<dyn Clock>,
        config: Config,
    ) -> Result<Self, Error> {
        let limit = config.account_commands_per_second.and_then(|limit| {
            let policy = HeaderValue::try_from(format!("\"account\";q={limit};w=1")).ok()?;
            Some((HeaderValue::from(limit), policy))
        });
        Ok(Self(Arc::new(Inner {
            desk,
            views,
            database: None,
            log,
            proofs: Proofs::new(keys),
            clock,
            config,
            metrics: Metrics::new(crate::metrics::install()?),
            fresh_ids: FreshIds::default(),
            limit,
            ready: AtomicBool::new(false),
            ready_at: OnceCell::new(),
            lag: Mutex::default(),
            hashing: Arc::default(),
        })))
    }
}

impl State {
    /// The same with rows of accounts in a database; `views` then holds the market alone.
    #[must_use]
    pub fn over(self, database: Postgres) -> Self {
        let Ok(inner) = Arc::try_unwrap(self.0).map_err(drop) else { unreachable!("nobody has it yet") };
        let log = Arc::new(Indexed::new(Arc::clone(&inner.log), database.clone()));
        Self(Arc::new(Inner { log, database: Some(database), ..inner }))
    }
}

/// The log did not say where it ends.
struct NotSeen;

impl Inner {
    /// Looks how far the ledger is where rows of accounts are kept.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn look(&self) -> Result<(), projections::Error> {
        if let Some(database) = &self.database {
            self.views.see_ledger(&database.position().await?);
        }
        Ok(())
    }

    /// Waits until everything `wanted` can be seen, within the limit of a read; says whether it can.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn wait_for(&self, wanted: &Position) -> Result<bool, projections::Error> {
        let limit = self.config.read_wait;
        if let Some(database) = self.database.as_ref().filter(|_| !self.views.position().covers(wanted)) {
            let ledger = Position { ledger: wanted.ledger.clone(), market: Vec::new() };
            if !database.wait_for(&ledger, limit).await? {
                return Ok(false);
            }
            self.views.see_ledger(&database.seen());
        }
        Ok(self.views.wait_for(wanted, limit).await)
    }

    /// Whether the views have caught up with the log as it was when this was first asked.
    pub async fn has_caught_up(&self) -> bool {
        if self.ready.load(Ordering::Acquire) {
            return true;
        }
        self.look_again().await;
        let reached = match self.ready_at.get_or_try_init(|| self.seen_ends()).await {
            Ok(ends) => self.views.position().covers(ends),
            Err(NotSeen) => false,
        };
        if reached {
            self.ready.store(true, Ordering::Release);
        }
        reached
    }

    /// Whether reads are worth asking for: the views have caught up, and are not further behind now than they may be.
    ///
    /// # Errors
    /// A code and the reason, in words.
    pub async fn is_ready(&self) -> Result<(), (&'static str, String)> {
        if !self.has_caught_up().await {
            return Err(("starting", "the log is still being read".to_owned()));
        }
        self.desk.is_following().map_err(|why| ("answers_unreadable", why))?;
        let behind = self.behind().await;
        match behind > self.config.lag_max {
            true => Err(("views_behind", format!("views are {} s behind the log", behind.as_secs()))),
            false => Ok(()),
        }
    }

    /// Looks how far the ledger is, if that can be seen; what is known of it gets older otherwise.
    async fn look_again(&self) {
        match tokio::time::timeout(LOOK_WAIT, self.look()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the rows of accounts cannot be asked how far they are"),
            Err(_elapsed) => tracing::warn!("the rows of accounts do not say in time how far they are"),
        }
    }

    /// How long the views have been behind the log.
    async fn behind(&self) -> Duration {
        let (asked, lag) = &mut *self.lag.lock().await;
        if asked.is_none_or(|asked| asked.elapsed() >= ENDS_EVERY) {
            *asked = Some(Instant::now());
            if let Ok(ends) = self.seen_ends().await {
                lag.see(Instant::now(), ends);
            }
        }
        self.look_again().await;
        let position = self.views.position();
        lag.behind(Instant::now(), |ends| position.covers(ends))
    }

    /// Where the log ends, if it says so in time.
    async fn seen_ends(&self) -> Result<Position, NotSeen> {
        match tokio::time::timeout(LOOK_WAIT, self.ends()).await {
            Ok(Ok(ends)) => return Ok(ends),
            Ok(Err(error)) => tracing::warn!(%error, "the end of the log cannot be read"),
            Err(_elapsed) => tracing::warn!("the log does not say in time where it ends"),
        }
        Err(NotSeen)
    }

    async fn ends(&self) -> Result<Position, event_log::Error> {
        let mut ends = Position::default();
        for (topic, next) in [(Topic::Ledger, &mut ends.ledger), (Topic::Market, &mut ends.market)] {
            for partition in 0..self.log.partitions(topic) {
                next.push(Some(self.log.tail(topic, partition).await?));
            }
        }
        Ok(ends)
    }

    /// Says the limit of commands in a write's answer.
    pub fn limits_told(&self, headers: &mut HeaderMap) {
        if let Some((limit, policy)) = &self.limit {
            headers.insert(RATE_LIMIT, limit.clone());
            headers.insert(RATE_LIMIT_POLICY, policy.clone());
        }
    }
}
