//! `bahi import`: outside files as facts and history, into a folder or a running server; parses nothing itself.

mod local;
mod remote;

use crate::{error::Error, out};
use domain::{
    calendar::CalendarMode,
    history::ImportTrade,
    ids::{AccountId, CommandId},
    market::{Fact, Scheme},
};
use feeds::{Parsed, RowError};
use std::{
    io::Read,
    path::{Path, PathBuf},
};

/// Refused rows printed of one file; a file of another kind would fill the screen.
const REFUSED_SHOWN_MAX: usize = 200;

const EXAMPLES: &str = "\
Examples:
  bahi import bhavcopy sec_bhavdata_full_30012025.csv --data ./ledger
  bahi import navall NAVAll.txt --url http://127.0.0.1:7070 --token $TOKEN
  bahi import tradebook tradebook-AB1234-EQ.csv --account ACC1 --data ./ledger

tradebook: the CSV of Zerodha's Console; the account is opened if it is not.
bhavcopy:  NSE's cmDDMMMYYYYbhav.csv or sec_bhavdata_full_DDMMYYYY.csv, unpacked.
navall:    AMFI's NAVAll.txt.

The same file again changes nothing. Rows that cannot be held exactly are refused, each with
its line and reason, and the others are imported. With --data no server may run on the folder;
with --url an operator's token is needed.";

/// Import a tradebook, a bhavcopy or NAVs
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What the files are
    kind: Kind,
    /// The files, oldest first
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Into this data folder, which no server may have open
    #[arg(long, value_name = "DIR", conflicts_with = "url", required_unless_present = "url")]
    data: Option<PathBuf>,
    /// Into the server at this address
    #[arg(long, requires = "token")]
    url: Option<String>,
    /// An operator's token for that server
    #[arg(long, env = "BAHI_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Whose tradebook it is
    #[arg(long, required_if_eq("kind", "tradebook"))]
    account: Option<AccountId>,
    /// Which calendar the folder is served with, for work that is due meanwhile: exchange or always-open
    #[arg(long, value_parser = calendar, default_value = "exchange")]
    calendar: CalendarMode,
}

fn calendar(text: &str) -> Result<CalendarMode, String> {
    crate::config::calendar(text)
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// An account's trades from Zerodha's Console
    Tradebook,
    /// A day's prices from NSE
    Bhavcopy,
    /// A day's NAVs from AMFI
    Navall,
}

/// What became of one row's fact or trade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// Recorded now.
    Imported,
    /// Recorded before.
    Known,
    /// Refused, with the reason.
    Refused(String),
}

/// A fact and the line it stands in.
pub struct LineFact {
    line: usize,
    id: CommandId,
    fact: Fact,
}

/// Where rows go.
enum Target {
    Local(Box<local::Local>),
    Remote(remote::Remote),
}

/// What became of a file.
#[derive(Default)]
struct Counts {
    imported: usize,
    known: usize,
    skipped: usize,
    refused: Vec<(usize, String)>,
    left_out: Vec<(usize, String)>,
}

/// Imports the files in order and says what became of each.
///
/// # Errors
/// When the folder or the server cannot be used, or nothing of any file could be read.
pub fn run(args: Args) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut target = match (&args.data, &args.url, &args.token) {
            (Some(data), _, _) => Target::Local(Box::new(local::Local::open(data, args.calendar).await?)),
            (None, Some(url), Some(token)) => Target::Remote(remote::Remote::open(url, token).await?),
            _ => return Err(Error::Usage("say where to: --data DIR, or --url URL --token TOKEN".to_owned())),
        };
        let done = all(&mut target, &args).await;
        if let Target::Local(local) = target {
            local.close().await;
        }
        done
    })
}

async fn all(target: &mut Target, args: &Args) -> Result<(), Error> {
    let mut read_any = false;
    for file in &args.files {
        match read(file).and_then(|bytes| one(args.kind, file, &bytes)) {
            Ok(rows) => {
                read_any |= rows.is_readable();
                let counts = rows.import(target, args.account).await?;
                counts.print(file)?;
            }
            Err(error) => out::complain(&format!("bahi: {error}")),
        }
    }
    if read_any { Ok(()) } else { Err(Error::Usage("nothing could be read".to_owned())) }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // One byte more than is taken, so that the parser can say that it is too large.
        std::fs::File::open(path)?.take(feeds::FILE_MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    bytes().map_err(Error::file(path))
}

/// A file's rows as read.
enum Rows {
    Trades(Parsed<feeds::tradebook::TradeRow>),
    Prices(Parsed<feeds::bhavcopy::BhavRow>),
    Navs(Parsed<feeds::navall::NavRow>),
}

fn one(kind: Kind, path: &Path, bytes: &[u8]) -> Result<Rows, Error> {
    let unread = |why: feeds::Error| Error::Usage(format!("{}: {why}", path.display()));
    Ok(match kind {
        Kind::Tradebook => Rows::Trades(feeds::tradebook::parse(bytes).map_err(unread)?),
        Kind::Bhavcopy => Rows::Prices(feeds::bhavcopy::parse(bytes).map_err(unread)?),
        Kind::Navall => Rows::Navs(feeds::navall::parse(bytes).map_err(unread)?),
    })
}

impl Rows {
    /// Whether it has a row that reads, or none that does not.
    fn is_readable(&self) -> bool {
        let (rows, refused) = match self {
            Rows::Trades(parsed) => (parsed.rows.len() + parsed.skipped.len(), parsed.refused.len()),
            Rows::Prices(parsed) => (parsed.rows.len() + parsed.skipped.len(), parsed.refused.len()),
            Rows::Navs(parsed) => (parsed.rows.len() + parsed.skipped.len(), parsed.refused.len()),
        };
        rows > 0 || refused == 0
    }

    async fn import(self, target: &mut Target, account: Option<AccountId>) -> Result<Counts, Error> {
        let mut counts = Counts::default();
        match self {
            Rows::Trades(Parsed { rows, refused, skipped, left_out }) => {
                counts.unread(refused, skipped, left_out);
                let account = account.ok_or_else(|| Error::Usage("say whose tradebook it is: --account".to_owned()))?;
                let lines: Vec<usize> = rows.iter().map(|row| row.line).collect();
                let trades: Vec<(CommandId, ImportTrade)> = rows.into_iter().map(|row| (row.key, row.trade)).collect();
                let done = match target {
                    Target::Local(local) => local.trades(account, trades).await?,
                    Target::Remote(remote) => remote.trades(account, trades).await?,
                };
                lines.into_iter().zip(done).for_each(|(line, done)| counts.add(line, done));
            }
            Rows::Prices(Parsed { rows, refused, skipped, left_out }) => {
                counts.unread(refused, skipped, left_out);
                let known = target.known();
                let facts = rows.iter().flat_map(|row| line_facts(row.line, row.facts(known))).collect();
                counts.facts(target, facts).await?;
            }
            Rows::Navs(Parsed { rows, refused, skipped, left_out }) => {
                counts.unread(refused, skipped, left_out);
                let known = target.known();
                let facts = rows.iter().flat_map(|row| line_facts(row.line, row.facts(known))).collect();
                counts.facts(target, facts).await?;
            }
        }
        Ok(counts)
    }
}

fn line_facts(line: usize, facts: impl Iterator<Item = Fact>) -> Vec<LineFact> {
    facts.map(|fact| LineFact { line, id: feeds::fact_key::fact_key(&fact), fact }).collect()
}

/// AMFI describes a scheme anew now and then: the later description corrects the earlier one, under an id of its own.
/// Nothing else is corrected by a file: two closes for one day are for a person to settle.
fn correction(fact: &Fact, latest: u64) -> Option<LineFact> {
    let Fact::Scheme(scheme) = fact else { return None };
    let fact = Fact::Scheme(Scheme { corrects: Some(latest), ..scheme.clone() });
    Some(LineFact { line: 0, id: feeds::fact_key::fact_key(&fact), fact })
}

impl Target {
    fn known(&mut self) -> &mut feeds::listing::Known {
        match self {
            Target::Local(local) => &mut local.known,
            Target::Remote(remote) => &mut remote.known,
        }
    }
}

impl Counts {
    fn unread(&mut self, refused: Vec<RowError>, skipped: Vec<RowError>, left_out: Vec<RowError>) {
        let said = |errors: Vec<RowError>| errors.into_iter().map(|error| (error.line, error.to_string()));
        self.skipped = skipped.len();
        self.refused.extend(said(refused));
        self.left_out.extend(said(left_out));
    }

    fn add(&mut self, line: usize, done: Done) {
        match done {
            Done::Imported => self.imported += 1,
            Done::Known => self.known += 1,
            Done::Refused(why) => self.refused.push((line, format!("line {line}: {why}"))),
        }
    }

    /// A listing that a row implies is not counted apart: the row is what a person sees.
    async fn facts(&mut self, target: &mut Target, facts: Vec<LineFact>) -> Result<(), Error> {
        let lines: Vec<(usize, bool)> =
            facts.iter().map(|row| (row.line, matches!(row.fact, Fact::Instrument(_) | Fact::Scheme(_)))).collect();
        let done = match target {
            Target::Local(local) => local.facts(facts).await?,
            Target::Remote(remote) => remote.facts(facts).await?,
        };
        for ((line, is_listing), done) in lines.into_iter().zip(done) {
            if !is_listing || matches!(done, Done::Refused(_)) {
                self.add(line, done);
            }
        }
        Ok(())
    }

    fn print(mut self, file: &Path) -> Result<(), Error> {
        let Counts { imported, known, skipped, .. } = self;
        let refused = self.refused.len();
        let file = file.display();
        out::say(&format!(
            "{file}: {imported} imported, {known} already known, {refused} refused, {skipped} without a figure"
        ))?;
        show("refused", &mut self.refused)?;
        show("taken, but for", &mut self.left_out)
    }
}

fn show(what: &str, rows: &mut [(usize, String)]) -> Result<(), Error> {
    rows.sort();
    for (_, why) in rows.iter().take(REFUSED_SHOWN_MAX) {
        out::say(&format!("  {what}: {why}"))?;
    }
    match rows.len().checked_sub(REFUSED_SHOWN_MAX) {
        None | Some(0) => Ok(()),
        Some(more) => out::say(&format!("  {what}: {more} more")),
    }
}
