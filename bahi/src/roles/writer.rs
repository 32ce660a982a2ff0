//! `bahi writer`: answers the commands and facts of the partitions that the group of writers gives it.

use super::Shown;
use crate::{
    config::{self, Config, Flags, Needs},
    error::Error,
    product,
};
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  bahi writer --brokers kafka-1:9092,kafka-2:9092
  bahi writer --brokers 127.0.0.1:29092 --listen 127.0.0.1:7081 --calendar always-open

Start as many as you like: the partitions are shared out among them, and those of one that dies are
taken over within ten seconds. Which of two writes is never left to the group alone: the log itself
says whose entries count. All writers of a log must have the same calendar and policy.
It listens for /healthz, /readyz and /metrics only.";

/// Write the answers of a log on Kafka
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
}

/// Writes until it is told to stop.
///
/// # Errors
/// When settings are wrong, no broker answers, or the topics are not as they have to be.
pub fn run(args: Args) -> Result<(), Error> {
    let config = config::load(args.flags, Needs::Brokers)?;
    product::start_tracing(&config);
    product::runtime()?.block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), Error> {
    let stop = product::stop_signal()?;
    ::api::metrics::install()?;
    let log = super::open(&config).await?;
    let group = log.kafka.join_writers()?;
    let settings = product::writer_config(&config, None);
    let writing = commands::write(Arc::clone(&log.answers), log.requests.clone(), settings, group.given()).await?;
    let (given, served) = (group.given(), writing.served());
    let ready = move || {
        let (given, served) = (given.borrow(), served.borrow());
        match given.iter().filter(|partition| !served.contains(partition)).count() {
            0 => Ok(()),
            waiting => Err(format!("{waiting} of {} partitions are not served yet", given.len())),
        }
    };
    let shown = Shown::start(&config, Arc::new(ready)).await?;
    stop.await;
    tracing::info!("stopping");
    writing.stop().await;
    // Only now may others take over: what was under way has landed.
    let left = tokio::task::spawn_blocking(move || group.leave()).await;
    shown.stop().await;
    log.kafka.close();
    left.map_err(|why| Error::Server(format!("leaving the group ended badly: {why}")))
}
