//! `bahi check-config`: every setting, its value, where it comes from, and what is wrong; starts nothing.

use crate::{
    config::{self, Needs},
    error::Error,
    out,
    settings::Found,
};

const EXAMPLES: &str = "\
Examples:
  bahi check-config --data ./ledger
  BAHI_LISTEN=0.0.0.0:80 bahi check-config --config bahi.toml

Flags win over BAHI_* variables, those over the file, that over the defaults.";

/// Say what is set, from where, and what is wrong
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    flags: config::Flags,
    /// Check them for `api`, not for `serve`: other roles need no key, and `projector` and `rebuild` a database
    #[arg(long)]
    cluster: bool,
}

/// Prints the table, then every problem.
///
/// # Errors
/// When something is wrong, all of it.
pub fn run(args: Args) -> Result<(), Error> {
    let resolved = config::resolve(args.flags, if args.cluster { Needs::BrokersAndKey } else { Needs::Data })?;
    let shown = resolved.found.iter().filter(|found| !found.setting.hidden || !found.text.is_empty());
    for found in shown {
        let Found { setting, source, .. } = found;
        out::say(&format!("{} = {}  ({source})", setting.name, found.shown()))?;
        out::say(&format!("    {} [{}]", setting.doc.trim(), setting.variable))?;
    }
    let mut problems = resolved.config.err().unwrap_or_default();
    problems.extend(resolved.unknown);
    if problems.is_empty() {
        return out::say("nothing is wrong");
    }
    Err(Error::Usage(format!("{} wrong:\n{}", count(problems.len()), problems.join("\n"))))
}

fn count(problems: usize) -> String {
    if problems == 1 { "one thing is".to_owned() } else { format!("{problems} things are") }
}
