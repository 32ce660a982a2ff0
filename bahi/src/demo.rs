//! `bahi demo`: a product with something to see at any hour; everything in it is invented.

mod moves;
mod scene;

use crate::{
    clock,
    config::{self, Flags, Needs},
    error::Error,
    keys::{Minter, Role},
    market, out,
    product::{self, Product},
    traces,
};
use domain::command::Submitter;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  bahi demo
  bahi demo --listen 127.0.0.1:0 --data /tmp/another-demo --seed 7

Every share, fund and account is invented. Each day is a session from 00:00 to 24:00, an exchange
and a registrar are simulated, and prices move each second. Stop it with Ctrl-C; started again with
the same folder it goes on where it was. Remove the folder to begin anew.";

/// Facts handed over while the demo is set up.
const FACTS_TOGETHER: usize = 256;

/// Serve invented accounts, funds and a moving market, to look at
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The folder that holds the demo's ledger; made if there is none
    #[arg(long, value_name = "DIR", default_value = "./bahi-demo")]
    data: PathBuf,
    /// Where to listen: loopback only, as the tokens are printed; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7070")]
    listen: String,
    /// The market's chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Serves the demo until it is told to stop.
///
/// # Errors
/// When the address is not of this machine alone, or as `bahi serve`.
pub fn run(args: Args) -> Result<(), Error> {
    let told = |text: &str| Some(text.to_owned());
    let config = config::load(
        Flags {
            data: Some(args.data.to_string_lossy().into_owned()),
            listen: told(&args.listen),
            venue: told("simulated"),
            calendar: told("always-open"),
            log: told("warn"),
            ..Flags::default()
        },
        Needs::Data,
    )?;
    if !config.listen.ip().is_loopback() {
        return Err(Error::Usage(format!(
            "the demo prints its tokens and so listens on this machine only: --listen 127.0.0.1:7070, not {}",
            config.listen
        )));
    }
    product::start_logging(&config);
    let _traces = traces::start("bahi", &config)?;
    product::runtime()?.block_on(async {
        let stop = product::stop_signal()?;
        let key_file = config.token_key_file.clone();
        let product = Product::start(config).await?;
        let moves = set_the_scene(&product, args.seed).await?;
        let minter = Minter::open(&args.data, key_file.as_deref())?;
        introduce(&product, &minter, &args.data)?;
        let moving = tokio::spawn(moves.run(std::sync::Arc::clone(&product.desk)));
        stop.await;
        moving.abort();
        product.stop().await
    })
}

/// Lists, prices and plays what is not there yet.
async fn set_the_scene(product: &Product, seed: u64) -> Result<moves::Moves, Error> {
    let by = market::by("demo", Submitter::System);
    let (desk, today) = (&product.desk, clock::now().date());
    let known = market::fold(&*product.port).await?;
    let mut moves = moves::Moves::new(seed, std::sync::Arc::clone(&by), today, &known);
    let mut facts = scene::listings(&known, &by);
    facts.extend(moves.history(&known));
    for facts in facts.chunks(FACTS_TOGETHER) {
        for answer in desk.submit_facts(facts.to_vec()).await {
            if let Some(code) = market::refusal(&answer)? {
                tracing::warn!(code = code.code(), "a fact of the demo was refused");
            }
        }
    }
    let known = market::fold(&*product.port).await?;
    scene::play(desk, &known, today).await?;
    Ok(moves)
}

/// Prints where it is, who may do what, and three things to try.
fn introduce(product: &Product, minter: &Minter, data: &Path) -> Result<(), Error> {
    let url = format!("http://{}", product.address);
    let accounts = scene::accounts();
    let client =
        minter.mint_for("demo", Role::Client, &accounts, std::time::Duration::from_secs(crate::keys::LIFETIME_S))?;
    out::say(&format!("listening on {url}"))?;
    out::say(&format!("data in {}; Ctrl-C stops, the same command goes on where it was", data.display()))?;
    out::say(&format!("every route, to try in a browser: {url}/docs\n"))?;
    let names = accounts.map(|account| account.to_string()).join(", ");
    out::say(&format!("tokens, each for 12 hours\nclient (accounts {names}):\n{client}"))?;
    for role in [Role::Operator, Role::Venue, Role::Auditor] {
        out::say(&format!("{}:\n{}", role.name(), minter.mint(role, &[])?))?;
    }
    let share = scene::SHARES[1].id();
    let account = accounts[0];
    let key = clock::now().micros();
    out::say("\nplace an order:")?;
    out::say(&format!(
        "curl -sS {url}/v1/accounts/{account}/orders -H 'Authorization: Bearer {client}' -H 'Idempotency-Key: first-{key}' -H 'Content-Type: application/json' -d '{{\"instrument\":\"{share}\",\"side\":\"buy\",\"quantity\":10,\"type\":\"market\",\"product\":\"CNC\",\"validity\":\"DAY\"}}'"
    ))?;
    for (what, resource) in [("see the portfolio", "portfolio"), ("see profit and loss", "pnl")] {
        out::say(&format!("{what}:"))?;
        out::say(&format!("curl -sS {url}/v1/accounts/{account}/{resource} -H 'Authorization: Bearer {client}'"))?;
    }
    Ok(())
}
