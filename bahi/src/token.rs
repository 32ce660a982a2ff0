//! `bahi token`: mints a token with the folder's key; no route does.

use crate::{
    config,
    error::Error,
    keys::{Minter, Role},
    out,
};
use domain::ids::AccountId;
use std::{path::PathBuf, time::Duration};

const EXAMPLES: &str = "\
Examples:
  bahi token --data ./ledger --role operator
  bahi token --data ./ledger --role client --account ACC1 --account ACC2 --ttl 1h
  TOKEN=$(bahi token --data ./ledger --role auditor | tail -1)

Roles: client (its own accounts), operator, venue, auditor (reads only), regulator, admin.
Start `bahi serve` once before: it makes the signing key, token.key in the data folder.";

/// Print a token for the HTTP API, as the last line
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The data folder of the server it is for
    #[arg(long, value_name = "DIR", env = config::DATA_VARIABLE)]
    data: PathBuf,
    /// What its holder may do
    #[arg(long)]
    role: Role,
    /// An account of a client; once for each
    #[arg(long = "account", value_name = "ACCOUNT")]
    accounts: Vec<AccountId>,
    /// Who holds it: an opaque id; the role's name unless told
    #[arg(long)]
    subject: Option<String>,
    /// For how long: 30s, 15m, 12h; at most 12h
    #[arg(long, default_value = "12h", value_parser = lifetime)]
    ttl: Duration,
    /// The signing key's file, if it is not token.key in the data folder
    #[arg(long, value_name = "FILE", env = "BAHI_TOKEN_KEY_FILE")]
    token_key_file: Option<PathBuf>,
}

/// Prints the token.
///
/// # Errors
/// When there is no key, or the grant breaks a rule.
pub fn run(args: Args) -> Result<(), Error> {
    let minter = Minter::open(&args.data, args.token_key_file.as_deref())?;
    let subject = args.subject.as_deref().unwrap_or(args.role.name());
    out::say(&minter.mint_for(subject, args.role, &args.accounts, args.ttl)?)
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let rule = "must be a number with s, m or h, such as 15m";
    let unit = text.char_indices().last().ok_or(rule)?;
    let number: u64 = text[..unit.0].parse().map_err(|_| rule)?;
    let seconds = match unit.1 {
        's' => Some(number),
        'm' => number.checked_mul(60),
        'h' => number.checked_mul(3600),
        _ => return Err(rule.to_owned()),
    };
    seconds.map(Duration::from_secs).ok_or_else(|| "is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_number_and_a_unit() {
        assert_eq!(lifetime("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(lifetime("12h"), Ok(Duration::from_secs(43_200)));
        for wrong in ["", "h", "12", "1.5h", "3d", "-1h", "12₹"] {
            assert!(lifetime(wrong).is_err(), "{wrong}");
        }
    }
}
