//! `bahi migrate`: makes the tables of views and snapshots, which no other subcommand does.

use crate::{error::Error, out, product};
use event_log::postgres::Database;

const EXAMPLES: &str = "\
Examples:
  BAHI_POSTGRES_URL_FILE=/etc/bahi/postgres-url bahi migrate
  bahi migrate --postgres-url postgres://bahi@127.0.0.1:25432/bahi

Run it once before the first start and after each upgrade, before the new processes. What is there already is
left as it is; running it twice does nothing. Processes of another release refuse to start over other tables.";

/// Make or complete the tables in PostgreSQL
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The database, postgres://role:password@host:port/name
    #[arg(
        long,
        value_name = "URL",
        env = "BAHI_POSTGRES_URL",
        hide_env_values = true,
        required_unless_present = "postgres_url_file"
    )]
    postgres_url: Option<String>,
    /// The file that holds it
    #[arg(long, value_name = "FILE", env = "BAHI_POSTGRES_URL_FILE")]
    postgres_url_file: Option<std::path::PathBuf>,
}

/// Makes what is missing.
///
/// # Errors
/// When the database cannot be reached, or its tables are of a later release.
pub fn run(args: Args) -> Result<(), Error> {
    let url = match (args.postgres_url, args.postgres_url_file) {
        (Some(url), _) => url,
        (None, Some(file)) => std::fs::read_to_string(&file).map_err(Error::file(&file))?.trim_end().to_owned(),
        (None, None) => return Err(Error::Usage("say which database: --postgres-url URL".to_owned())),
    };
    let made = product::runtime()?.block_on(Database::migrate(&url))?;
    out::say(&match made {
        0 => "the tables are as they have to be".to_owned(),
        made => format!("{made} steps done: the tables are as they have to be"),
    })
}
