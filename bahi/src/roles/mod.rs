//! The product as several processes around one log on Kafka: what each role shares. Decides nothing.

pub mod api;
pub mod projector;
pub mod venue;
pub mod writer;

use crate::{
    config::{Config, Secret},
    error::Error,
    listener, out,
};
use ::api::observe;
use event_log::{
    EventLog, Requests, Topic,
    kafka::Kafka,
    postgres::Database,
    snapshot::{self, SnapshotStore},
};
use projections::{postgres::Postgres, redis::Redis};
use std::{collections::BTreeSet, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// How often what was counted is tidied, whether or not anybody asks for it.
const UPKEEP_S: u64 = 5;

/// The log on its brokers.
pub struct Log {
    kafka: Arc<Kafka>,
    /// The answers.
    pub answers: Arc<dyn EventLog>,
    /// What they answer.
    requests: Requests,
}

/// Opens the log that the settings name.
///
/// # Errors
/// When no broker answers, or the topics are not as they have to be.
pub async fn open(config: &Config) -> Result<Log, Error> {
    let brokers = config.brokers.as_deref().unwrap_or_default();
    let kafka = Arc::new(Kafka::open(brokers, &config.topic_prefix).await?);
    let requests = kafka.requests()?;
    Ok(Log { answers: Arc::clone(&kafka) as _, kafka, requests })
}

/// What a start gives, unless the process is told to stop before: it may wait for others for as long as they are away.
async fn unless_stopped<T, E: Into<Error>>(
    stop: Pin<&mut impl Future<Output = ()>>,
    starting: impl Future<Output = Result<T, E>>,
) -> Result<Option<T>, Error> {
    tokio::select! {
        () = stop => Ok(None),
        started = starting => started.map(Some).map_err(Into::into),
    }
}

/// Every partition of both topics.
fn partitions(log: &dyn EventLog) -> BTreeSet<commands::Partition> {
    Topic::ALL.into_iter().flat_map(|topic| (0..log.partitions(topic)).map(move |of| (topic, of))).collect()
}

/// Opens the database that the settings name, if they do.
///
/// # Errors
/// When it cannot be reached, or its tables are of another release.
pub async fn database(config: &Config) -> Result<Option<Database>, Error> {
    match &config.postgres_url {
        Some(Secret(url)) => Ok(Some(Database::open(url, config.postgres_connections).await?)),
        None => Ok(None),
    }
}

/// The views of a log in a database, with accounts that are asked about in Redis, if the settings name one.
async fn views(config: &Config, database: Database, log: &Log) -> Result<Postgres, Error> {
    let views = Postgres::open(database, &*log.answers).await?;
    Ok(match &config.redis_url {
        Some(Secret(url)) => views.cached_in(Redis::open(url, &config.topic_prefix, &*log.answers)?),
        None => views,
    })
}

/// The snapshots of a log in a database.
fn snapshots(database: &Option<Database>, log: &Log) -> Option<Arc<dyn SnapshotStore>> {
    let database = database.clone()?;
    Some(Arc::new(snapshot::postgres::Postgres::new(database, log.requests.id())))
}

/// Where a process shows itself, until it is dropped.
struct Shown {
    address: SocketAddr,
    stopping: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Shown {
    /// Shows whether it is ready, and what it counts.
    async fn start(config: &Config, ready: observe::Ready) -> Result<Shown, Error> {
        let counted = ::api::metrics::install()?;
        let listener: TcpListener = listener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let tidied = counted.clone();
        let (stopping, told) = watch::channel(false);
        let shown = listener::serve(listener, observe::router(counted, ready), told, config.drain_ms);
        let serving = tokio::spawn(async move {
            let tidying = async {
                let mut every = tokio::time::interval(Duration::from_secs(UPKEEP_S));
                loop {
                    every.tick().await;
                    tidied.run_upkeep();
                }
            };
            tokio::select! {
                () = shown => {}
                () = tidying => {}
            }
        });
        out::say(&format!("listening on http://{address}"))?;
        Ok(Shown { address, stopping, serving })
    }

    async fn stop(self) {
        self.stopping.send_replace(true);
        // However it ended, it has ended.
        drop(self.serving.await);
        tracing::info!(address = %self.address, "stopped");
    }
}
