//! The whole product in one process: log, writers, views and HTTP edge, started and stopped in order; decides nothing.

use crate::{
    clock::{Hurried, SystemClock},
    config::{Config, LogFormat, Venue},
    error::Error,
    keys, listener, market, wire,
};
use commands::{Desk, Running};
use event_log::{EventLog, Topic, snapshot::SnapshotStore};
use projections::{Saving, Views};
use std::{future::Future, net::SocketAddr, sync::Arc};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinHandle,
};

/// A product that serves.
pub struct Product {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where commands are handed in.
    pub desk: Arc<Desk>,
    /// The log, for who reads it.
    pub port: Arc<dyn EventLog>,
    log: wire::OpenLog,
    running: Running,
    worker: projections::Worker,
    serving: JoinHandle<()>,
    stopping: watch::Sender<bool>,
}

impl Product {
    /// Starts everything: the log is open and locked, writers have folded it, views follow, the address is served.
    ///
    /// # Errors
    /// When the folder cannot be used, its log is damaged, or the address is taken.
    pub async fn start(config: Config) -> Result<Product, Error> {
        // Before whatever counts, so that nothing is counted into the void.
        api::metrics::install()?;
        // First of all, as it fails soonest.
        let listener = listener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let log = wire::open_to_write(&config.data, config.partitions, config.log_max_bytes).await?;
        let keys = api::token::Keys::open_or_make(&keys::path(&config.data, config.token_key_file.as_deref()))?;
        let port = log.port();
        let views = Views::new(port.partitions(Topic::Ledger), port.partitions(Topic::Market));
        let snapshots = wire::open_snapshots(&config.data, &*port).await;
        let worker = match &snapshots {
            Some(store) => {
                let saving = Saving { store: Arc::clone(store), entries: config.snapshot_entries as u64 };
                projections::follow_saved(Arc::clone(&port), Arc::clone(&views), saving).await?
            }
            None => projections::follow(Arc::clone(&port), Arc::clone(&views)),
        };
        let running = commands::start(Arc::clone(&port), writer_config(&config, snapshots)).await?;
        if let Err(error) = market::load_calendar(&running.desk).await {
            // A full disk: what is recorded is served all the same, and the next start loads the rest.
            tracing::warn!(%error, "the shipped calendar is not loaded");
        }
        let desk = Arc::clone(&running.desk);
        let state = api::State::new(
            Arc::clone(&desk),
            views,
            Arc::clone(&port),
            keys,
            Arc::new(SystemClock),
            edge_config(&config),
        )?;
        let (stopping, told) = watch::channel(false);
        let serving = tokio::spawn(listener::serve(listener, api::router(state), told, config.drain_ms));
        tracing::info!(%address, data = %config.data.display(), "serving");
        Ok(Product { address, desk, port, log, running, worker, serving, stopping })
    }

    /// Stops in order: no more requests, those under way answered, flights landed, the folder's lock given back.
    ///
    /// # Errors
    /// When serving had ended badly before.
    pub async fn stop(self) -> Result<(), Error> {
        tracing::info!("stopping");
        self.stopping.send_replace(true);
        let served = self.serving.await.map_err(|why| Error::Server(format!("serving ended badly: {why}")));
        self.running.stop().await;
        self.worker.stop().await;
        drop(self.port);
        self.log.close().await;
        tracing::info!("stopped");
        served
    }
}

/// What writers and desks run by.
pub fn writer_config(config: &Config, snapshots: Option<Arc<dyn SnapshotStore>>) -> commands::Config {
    let clock: Arc<dyn commands::Clock> = match config.clock_speed {
        1 => Arc::new(SystemClock),
        speed => Arc::new(Hurried::new(speed)),
    };
    let mut writer = commands::Config::new(clock);
    writer.queue = config.queue;
    writer.snapshots = snapshots;
    writer.books_max = config.books_max;
    writer.snapshot_entries = config.snapshot_entries;
    writer.calendar = config.calendar;
    writer.policy = Arc::clone(&config.policy);
    writer.simulated_venue = config.venue == Venue::Simulated;
    writer.wait = config.wait_ms;
    writer.account_commands_per_second = limit(config);
    writer
}

/// What the edge runs by.
pub fn edge_config(config: &Config) -> api::Config {
    api::Config { account_commands_per_second: limit(config), lag_max: config.lag_max_ms, ..api::Config::default() }
}

fn limit(config: &Config) -> Option<u32> {
    (config.requests_per_second > 0).then_some(config.requests_per_second)
}

/// A runtime over all processors.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Begins to log to standard error, as configured.
pub fn start_logging(config: &Config) {
    let filter = tracing_subscriber::EnvFilter::new(&config.log);
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    let begun = match config.log_format {
        LogFormat::Pretty => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    if let Err(why) = begun {
        crate::out::complain(&format!("logging was begun before: {why}"));
    }
}

/// Resolves at SIGTERM or Ctrl-C; asked for before anything starts, so that neither is missed.
///
/// # Errors
/// When the system does not let signals be awaited.
pub fn stop_signal() -> Result<impl Future<Output = ()>, Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
