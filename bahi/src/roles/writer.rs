//! `bahi writer`: answers the commands and facts of the partitions that the group of writers gives it.

use super::Shown;
use crate::{
    config::{self, Config, Flags, Needs},
    error::Error,
    product, traces,
};
use event_log::kafka::Group;
use std::{collections::BTreeSet, pin::pin, sync::Arc};
use tokio::sync::watch;

const EXAMPLES: &str = "\
Examples:
  BAHI_POSTGRES_URL_FILE=/etc/bahi/postgres-url bahi writer --brokers kafka-1:9092,kafka-2:9092
  bahi writer --brokers 127.0.0.1:29092 --listen 127.0.0.1:7081 --calendar always-open

Start as many as you like: the partitions are shared out among them, and those of one that dies are
taken over within ten seconds. Which of two writes is never left to the group alone: the log itself
says whose entries count. All writers of a log must have the same calendar and policy.
With a database it keeps snapshots there, so that a start or a take-over folds only what came since.
It listens for /healthz, /readyz and /metrics only.";

/// Write the answers of a log on Kafka
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
    /// Write every partition, whatever the group says: for tests of two that write the same
    #[arg(long, hide = true)]
    every_partition: bool,
}

/// Writes until it is told to stop.
///
/// # Errors
/// When settings are wrong, no broker answers, or the topics are not as they have to be.
pub fn run(args: Args) -> Result<(), Error> {
    let config = config::load(args.flags, Needs::Brokers)?;
    product::start_logging(&config);
    let _traces = traces::start("bahi-writer", &config)?;
    product::runtime()?.block_on(serve(config, args.every_partition))
}

async fn serve(config: Config, every_partition: bool) -> Result<(), Error> {
    let mut stop = pin!(product::stop_signal()?);
    ::api::metrics::install()?;
    let log = super::open(&config).await?;
    let database = super::database(&config).await?;
    let settings = product::writer_config(&config, super::snapshots(&database, &log));
    let (giving, given) = watch::channel(BTreeSet::new());
    let giving = Arc::new(giving);
    let opening = commands::write(Arc::clone(&log.answers), log.requests.clone(), settings, given.clone());
    let Some(writing) = super::unless_stopped(stop.as_mut(), opening).await? else { return Ok(()) };
    // Only now: others serve until then what the group takes from them.
    let group = match every_partition {
        true => None,
        false => Some(log.kafka.join_writers(Arc::clone(&giving))?),
    };
    if every_partition {
        giving.send_replace(super::partitions(&*log.answers));
    }
    let is_in = group.as_ref().map(Group::is_in);
    let (served, following) = (writing.served(), writing.following());
    let ready = move || {
        following()?;
        if is_in.as_ref().is_some_and(|is_in| !is_in()) {
            return Err("the group of writers has not let it in".to_owned());
        }
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
    let left = tokio::task::spawn_blocking(move || group.map(Group::leave)).await.map(drop);
    shown.stop().await;
    log.kafka.close();
    left.map_err(|why| Error::Server(format!("leaving the group ended badly: {why}")))
}
