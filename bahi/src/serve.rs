//! `bahi serve`: the whole product in one process until it is told to stop; holds no rule of its own.

use crate::{
    config::{self, Flags, Needs},
    error::Error,
    out,
    product::{self, Product},
    traces,
};

const EXAMPLES: &str = "\
Examples:
  bahi serve --data ./ledger
  bahi serve --data ./ledger --listen 127.0.0.1:0 --venue simulated --calendar always-open
  BAHI_LOG_FORMAT=json bahi serve --config /etc/bahi.toml

It prints one line, `listening on http://ADDRESS`, once it serves. The folder is made at the first
start, with the key that signs tokens; `bahi token` makes them. SIGTERM or Ctrl-C stops it: requests
under way are answered first. Settings may also come from BAHI_* variables or a TOML file;
`bahi check-config` shows all of them.";

/// Run the whole product in one process
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
}

/// Serves until it is told to stop.
///
/// # Errors
/// When settings are wrong, the folder cannot be used, or the address is taken.
pub fn run(args: Args) -> Result<(), Error> {
    let config = config::load(args.flags, Needs::Data)?;
    product::start_logging(&config);
    let _traces = traces::start("bahi", &config)?;
    product::runtime()?.block_on(async {
        let stop = product::stop_signal()?;
        let product = Product::start(config).await?;
        out::say(&format!("listening on http://{}", product.address))?;
        stop.await;
        product.stop().await
    })
}
