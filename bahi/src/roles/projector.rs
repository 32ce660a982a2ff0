//! `bahi projector`: folds the log into the views in PostgreSQL.

use super::Shown;
use crate::{
    clock,
    config::{self, Config, Flags, Needs},
    error::Error,
    product, traces,
};
use projections::postgres::{Behind, Projector};
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  BAHI_POSTGRES_URL_FILE=/etc/bahi/postgres-url bahi projector --brokers kafka-1:9092,kafka-2:9092
  bahi projector --brokers 127.0.0.1:29092 --postgres-url postgres://bahi@127.0.0.1:25432/bahi

`bahi migrate` makes the tables first. Of several, whoever writes a partition goes on with it and the others stand
by: each record has its effect once, whatever dies when. It listens for /healthz, /readyz and /metrics only.";

/// Keep the views of a log on Kafka in PostgreSQL
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
}

/// Folds until it is told to stop.
///
/// # Errors
/// When settings are wrong, no broker answers, or the database cannot be used.
pub fn run(args: Args) -> Result<(), Error> {
    let config = config::load(args.flags, Needs::BrokersAndDatabase)?;
    product::start_logging(&config);
    let _traces = traces::start("bahi-projector", &config)?;
    product::runtime()?.block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), Error> {
    let stop = product::stop_signal()?;
    ::api::metrics::install()?;
    let log = super::open(&config).await?;
    let database = super::database(&config).await?.expect("the settings were asked for it");
    let views = super::views(&config, database, &log).await?;
    let projector = Projector::start(Arc::clone(&log.answers), views, Arc::new(clock::now));
    let (behind, lag_max) = (projector.behind(), config.lag_max_ms);
    let ready = move || match behind.worst() {
        (topic, partition, Behind::FOR_EVER) => {
            Err(format!("{topic}/{partition} can be folded no further; the log of operation says why"))
        }
        (topic, partition, by) if by > lag_max => {
            Err(format!("the views of {topic}/{partition} are {} s behind the log", by.as_secs()))
        }
        _ => Ok(()),
    };
    let shown = Shown::start(&config, Arc::new(ready)).await?;
    stop.await;
    tracing::info!("stopping");
    projector.stop().await;
    shown.stop().await;
    log.kafka.close();
    Ok(())
}
