//! The way to Redis: one connection that comes back by itself, answers that are waited for briefly, and a pause in which
//! nothing is asked after it failed; knows no key and no row.

use crate::Error;
use redis::{
    Client, FromRedisValue, IntoConnectionInfo, RedisResult, ScriptInvocation,
    aio::{ConnectionManager, ConnectionManagerConfig},
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use tokio::time::Instant;

/// How long an answer is waited for; a reader that has none by then goes to the database.
pub(super) const ANSWER_WAIT: Duration = Duration::from_millis(50);
/// How long Redis is left alone after it failed; then one question tries it.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a connection may take to be made, in the background.
const CONNECT_WAIT: Duration = Duration::from_secs(1);
/// How long a server that is silently gone counts as there: then a new connection is made.
const SILENCE: Duration = Duration::from_secs(10);

/// The connection, and whether it is worth asking.
pub(super) struct Link {
    manager: ConnectionManager,
    answer_wait: Duration,
    began: Instant,
    /// Milliseconds from `began` until which nothing is asked; 0 while it works.
    paused_until: AtomicU64,
    is_away: AtomicBool,
    failures: metrics::Counter,
}

impl Link {
    pub(super) fn new(url: &str, answer_wait: Duration) -> Result<Self, Error> {
        let refused = || Error::RedisUrl;
        let settings = TcpSettings::default().set_nodelay(true).set_keepalive(TcpKeepalive::new().with_time(SILENCE));
        #[cfg(target_os = "linux")]
        let settings = settings.set_user_timeout(SILENCE);
        let info = url.into_connection_info().map_err(|_| refused())?.set_tcp_settings(settings);
        let client = Client::open(info).map_err(|_| refused())?;
        // The pause paces attempts.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_response_timeout(Some(CONNECT_WAIT.max(answer_wait)))
            .set_connection_timeout(Some(CONNECT_WAIT));
        let manager = ConnectionManager::new_lazy_with_config(client, config).map_err(|_| refused())?;
        let mut first = manager.clone();
        // Whoever asks first would not wait for a connection; how this ends, the next question will tell.
        tokio::spawn(async move { drop(redis::cmd("PING").query_async::<String>(&mut first).await) });
        let failures = metrics::counter!("bahi_redis_failures_total");
        failures.absolute(0);
        Ok(Self {
            manager,
            answer_wait,
            began: Instant::now(),
            paused_until: AtomicU64::new(0),
            is_away: AtomicBool::new(false),
            failures,
        })
    }

    /// What a script answers; nothing while Redis is away.
    pub(super) async fn ask<T: FromRedisValue>(&self, asked: &ScriptInvocation<'_>) -> Option<T> {
        let mut manager = self.manager.clone();
        self.answer(asked.invoke_async(&mut manager)).await
    }

    /// How long one answer is waited for.
    pub(super) fn answer_wait(&self) -> Duration {
        self.answer_wait
    }

    async fn answer<T>(&self, asked: impl Future<Output = RedisResult<T>>) -> Option<T> {
        if !self.is_worth_asking() {
            return None;
        }
        match tokio::time::timeout(self.answer_wait, asked).await {
            Ok(Ok(answer)) => {
                self.paused_until.store(0, Ordering::Relaxed);
                if self.is_away.swap(false, Ordering::Relaxed) {
                    tracing::info!("Redis answers again");
                }
                Some(answer)
            }
            Ok(Err(error)) => self.failed(&error.to_string()),
            Err(_elapsed) => self.failed(&format!("no answer within {} ms", self.answer_wait.as_millis())),
        }
    }

    /// Whether it works, or the pause is over and nobody else is trying it.
    fn is_worth_asking(&self) -> bool {
        let until = self.paused_until.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        let now = self.now_ms();
        now >= until
            && self.paused_until.compare_exchange(until, pause_from(now), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn failed<T>(&self, reason: &str) -> Option<T> {
        self.failures.increment(1);
        self.paused_until.store(pause_from(self.now_ms()), Ordering::Relaxed);
        if !self.is_away.swap(true, Ordering::Relaxed) {
            tracing::warn!(reason, "Redis does not answer; accounts are read from the database");
        }
        None
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn pause_from(now_ms: u64) -> u64 {
    now_ms.saturating_add(PAUSE.as_millis() as u64)
}
