//! `bahi api`: the HTTP edge of a log on Kafka; any number of them, behind one address or many.

use crate::{
    clock::SystemClock,
    config::{self, Config, Flags, Needs},
    error::Error,
    keys, listener, market, out, product, traces,
};
use commands::Desk;
use event_log::Topic;
use projections::Views;
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::sync::watch;

/// How long until the shipped calendar is loaded again, while no writer answers: at first, and at most.
const CALENDAR_AGAIN_S: u64 = 2;
const CALENDAR_AGAIN_MAX_S: u64 = 300;

const EXAMPLES: &str = "\
Examples:
  bahi api --brokers kafka-1:9092,kafka-2:9092 --token-key-file /etc/bahi/token.key
  bahi api --brokers 127.0.0.1:29092 --data ./keys --listen 127.0.0.1:7070

It puts commands into PREFIX.commands and answers once a writer's entry is seen in PREFIX.ledger, so a
`bahi writer` must run. All processes of a log need the same signing key; `bahi token` makes tokens with it.
With a database it reads the rows of accounts there, which `bahi projector` keeps, and of accounts that were asked
about lately in Redis, if there is one, and begins its market from the rows there; without a database it folds the
whole ledger into memory. /readyz says ready once everything recorded can be seen.";

/// Serve the HTTP API of a log on Kafka
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
}

/// Serves until it is told to stop.
///
/// # Errors
/// When settings are wrong, no broker answers, the topics are not as they have to be, or the address is taken.
pub fn run(args: Args) -> Result<(), Error> {
    let config = config::load(args.flags, Needs::BrokersAndKey)?;
    product::start_logging(&config);
    let _traces = traces::start("bahi-api", &config)?;
    product::runtime()?.block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), Error> {
    let mut stop = pin!(product::stop_signal()?);
    ::api::metrics::install()?;
    let listener = listener::bind(config.listen).await?;
    let address = listener.local_addr()?;
    if config.token_key_file.is_none() {
        std::fs::create_dir_all(&config.data).map_err(Error::file(&config.data))?;
    }
    let keys = ::api::token::Keys::open_or_make(&keys::path(&config.data, config.token_key_file.as_deref()))?;
    let log = super::open(&config).await?;
    let answers = &log.answers;
    let database = super::database(&config).await?;
    let views = Views::new(answers.partitions(Topic::Ledger), answers.partitions(Topic::Market));
    let rows = match &database {
        Some(database) => Some(super::views(&config, database.clone(), &log).await?),
        None => None,
    };
    let following = async {
        match &rows {
            Some(rows) => rows.follow_market(Arc::clone(answers), Arc::clone(&views)).await,
            None => Ok(projections::follow(Arc::clone(answers), Arc::clone(&views))),
        }
    };
    let Some(worker) = super::unless_stopped(stop.as_mut(), following).await? else { return Ok(()) };
    let settings = product::writer_config(&config, super::snapshots(&database, &log));
    let opening = commands::remote::open(Arc::clone(answers), log.requests.clone(), settings);
    let Some(opened) = super::unless_stopped(stop.as_mut(), opening).await? else { return Ok(()) };
    let desk = Arc::clone(&opened.desk);
    let calendar = tokio::spawn(load_calendar(Arc::clone(&desk)));
    let (port, clock) = (Arc::clone(answers), Arc::new(SystemClock));
    let market = Arc::clone(&views);
    let mut state = ::api::State::new(desk, views, port, keys, clock, product::edge_config(&config))?;
    if let Some(rows) = rows {
        state = state.over(rows.valued_by(market));
    }
    let (stopping, told) = watch::channel(false);
    let serving = tokio::spawn(listener::serve(listener, ::api::router(state), told, config.drain_ms));
    tracing::info!(%address, "serving");
    out::say(&format!("listening on http://{address}"))?;
    stop.await;
    tracing::info!("stopping");
    stopping.send_replace(true);
    calendar.abort();
    let served = serving.await.map_err(|why| Error::Server(format!("serving ended badly: {why}")));
    drop(opened);
    worker.stop().await;
    log.kafka.close();
    tracing::info!("stopped");
    served
}

/// Loads the calendar that ships with the product once writers answer; what is recorded is recorded once. Each wait is twice
/// the one before, as what was asked in vain is kept.
async fn load_calendar(desk: Arc<Desk>) {
    let mut wait_s = CALENDAR_AGAIN_S;
    while let Err(error) = market::load_calendar(&desk).await {
        tracing::info!(%error, wait_s, "the shipped calendar is not loaded yet");
        tokio::time::sleep(Duration::from_secs(wait_s)).await;
        wait_s = (wait_s * 2).min(CALENDAR_AGAIN_MAX_S);
    }
}
