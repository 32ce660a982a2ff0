//! `bahi venue`: the simulated exchange and registrar, in a process of their own.

use super::Shown;
use crate::{
    config::{self, Config, Flags, Needs},
    error::Error,
    product, traces,
};
use std::{pin::pin, sync::Arc};

const EXAMPLES: &str = "\
Examples:
  bahi venue --brokers 127.0.0.1:29092 --calendar always-open

It follows the ledger and reports as a real venue would: accepted, filled at the last price known,
cancelled; units allotted at the published NAV. Start one for a log. Two do no harm: they say the same.
It listens for /healthz, /readyz and /metrics only.";

/// Simulate the exchange and the registrar for a log on Kafka
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
}

/// Simulates until it is told to stop.
///
/// # Errors
/// When settings are wrong, no broker answers, or the topics are not as they have to be.
pub fn run(args: Args) -> Result<(), Error> {
    let config = config::load(args.flags, Needs::Brokers)?;
    product::start_logging(&config);
    let _traces = traces::start("bahi-venue", &config)?;
    product::runtime()?.block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), Error> {
    let mut stop = pin!(product::stop_signal()?);
    ::api::metrics::install()?;
    let log = super::open(&config).await?;
    let database = super::database(&config).await?;
    let mut settings = product::writer_config(&config, super::snapshots(&database, &log));
    settings.simulated_venue = true;
    let opening = commands::remote::open(Arc::clone(&log.answers), log.requests.clone(), settings);
    let Some(opened) = super::unless_stopped(stop.as_mut(), opening).await? else { return Ok(()) };
    let desk = Arc::clone(&opened.desk);
    let shown = Shown::start(&config, Arc::new(move || desk.is_following())).await?;
    stop.await;
    tracing::info!("stopping");
    drop(opened);
    shown.stop().await;
    log.kafka.close();
    Ok(())
}
