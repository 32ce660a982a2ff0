//! `bahi show`: an account's book as tables: cash, orders, positions, holdings, funds; changes nothing.

mod book;
mod tables;

use crate::{client::Client, config, error::Error, out, product};
use book::Asked;
use domain::ids::AccountId;
use projections::page::LIMIT_MAX;
use std::path::PathBuf;

/// Orders and fund orders shown unless asked otherwise: they fit a screen.
const ORDERS_DEFAULT: &str = "20";

const EXAMPLES: &str = "\
Examples:
  bahi show ACC1 --data ./ledger
  bahi show ACC1 --data ./ledger --as-of-offset 41     as it was after that entry of its partition
  bahi show ACC1 --data ./ledger --json | jq .cash.available
  bahi show ACC1 --url http://127.0.0.1:7070 --token $TOKEN

With --data the log is folded, beside a running server or without one; with --url the server is
asked. --json prints one object whose parts are the bodies of the routes of the same names:
account, cash, orders, positions, holdings, portfolio, fund_orders.";

/// Show an account's cash, orders, positions, holdings and funds
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Whose book
    account: AccountId,
    /// The data folder
    #[arg(long, value_name = "DIR", env = config::DATA_VARIABLE, required_unless_present = "url")]
    data: Option<PathBuf>,
    /// The server to ask instead
    #[arg(long, requires = "token")]
    url: Option<String>,
    /// A token for that server that may read the account
    #[arg(long, env = "BAHI_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// As it was after the entry at this offset of the account's partition
    #[arg(long, value_name = "OFFSET")]
    as_of_offset: Option<u64>,
    /// How many orders and fund orders, the newest first
    #[arg(long, value_name = "N", default_value = ORDERS_DEFAULT, value_parser = clap::value_parser!(u16).range(1..=LIMIT_MAX as i64))]
    orders: u16,
    /// One object of JSON
    #[arg(long)]
    json: bool,
}

/// Reads the book and prints it.
///
/// # Errors
/// When the log or the server cannot be read, and for an account without entries.
pub fn run(args: Args) -> Result<(), Error> {
    let asked = Asked { account: args.account, as_of_offset: args.as_of_offset, orders: args.orders.into() };
    let book = product::runtime()?.block_on(async {
        match (&args.url, &args.token, &args.data) {
            (Some(url), Some(token), _) => book::of_server(&Client::new(url, token)?, &asked).await,
            (_, _, Some(data)) => book::of_folder(data, &asked).await,
            _ => Err(Error::Usage("say where the account is: --data DIR, or --url and --token".to_owned())),
        }
    })?;
    match args.json {
        true => out::say(&book.to_string()),
        false => tables::lines(&book).iter().try_for_each(|line| out::say(line)),
    }
}
