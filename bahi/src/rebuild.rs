//! `bahi rebuild`: fills a view in PostgreSQL anew beside the one that is read, compares both, and puts it in place.

use crate::{
    config::{self, Config, Flags, Needs},
    error::Error,
    out, product,
    progress::Progress,
    replay::hex,
    roles,
};
use clap::builder::PossibleValuesParser;
use projections::{
    StateHashes, View,
    postgres::{Compared, Postgres, Rebuild, RowsFrom, Switched},
};

const EXAMPLES: &str = "\
Examples:
  BAHI_POSTGRES_URL_FILE=/etc/bahi/postgres-url bahi rebuild orders --brokers kafka-1:9092,kafka-2:9092
  bahi rebuild orders --brokers 127.0.0.1:29092 --postgres-url postgres://bahi@127.0.0.1:25432/bahi
  bahi rebuild orders --accept      although the rows are others than before, as after a mended fold
  bahi rebuild orders --rollback    the tables from before the last switch, folded on to now

Apis and projectors go on meanwhile. New tables are filled from the log in a schema of their own (next_orders), up to
where the projectors are; then the state hashes of both are compared at one position. If they are equal, the new
tables take the place of the live ones in one transaction, for which projectors wait some milliseconds, as is printed,
and those before are kept (before_orders). If they are not, the log is also folded cold, in memory, to say which of
the two are right, and nothing is switched without --accept. Rows whose hash the log does not give are never put in
place, but by --rollback --accept.
Whatever ends it, run it again: it goes on from where it was, unless the release is another one.";

/// Fill a view anew beside the one that is read, compare both, and put it in place
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Which view, or `all` of them
    #[arg(value_parser = PossibleValuesParser::new(View::ALL.iter().map(|view| view.name()).chain([ALL])))]
    view: String,
    /// Switch although the rows are others than before
    #[arg(long)]
    accept: bool,
    /// Put the tables from before the last switch in place again
    #[arg(long)]
    rollback: bool,
    /// Begin with the first record, whatever an earlier run has filled
    #[arg(long, conflicts_with = "rollback")]
    anew: bool,
    #[command(flatten)]
    flags: Flags,
}

const ALL: &str = "all";

/// Fills, compares and switches.
///
/// # Errors
/// When the log or the database cannot be read, or the rows are others and nobody accepted that.
pub fn run(args: Args) -> Result<(), Error> {
    let Args { view, accept, rollback, anew, flags } = args;
    let config = config::load(flags, Needs::BrokersAndDatabase)?;
    let from = match (rollback, anew) {
        (true, _) => RowsFrom::Kept,
        (false, true) => RowsFrom::LogAnew,
        (false, false) => RowsFrom::Log,
    };
    product::runtime()?.block_on(rebuild(&config, &view, from, accept))
}

async fn rebuild(config: &Config, name: &str, from: RowsFrom, accept: bool) -> Result<(), Error> {
    let log = roles::open(config).await?;
    let database = roles::database(config).await?.expect("the settings were asked for it");
    let live = Postgres::open(database, &*log.answers).await?;
    let views: Vec<View> = View::ALL.iter().copied().filter(|view| name == ALL || view.name() == name).collect();
    let mut rebuild = Rebuild::begin(log.answers, &live, name, &views, from).await?;
    if rebuild.resumed > 0 {
        out::say(&format!("going on after {} records", rebuild.resumed))?;
    }
    let mut bar = Progress::new(0, "records");
    bar.reach(rebuild.resumed);
    rebuild.fill(|done| bar.reach_of(done.records, done.of)).await?;
    let compared = rebuild.compare(|done| bar.reach_of(done.records, done.of)).await?;
    bar.finish();
    if compared.is_equal() {
        for (view, hash) in &compared.rebuilt.hashes {
            out::say(&format!("{view:<12} {}  as the live rows at the same position", hex(hash)))?;
        }
    } else {
        let from_log = tell_differences(&rebuild, &compared).await?;
        if !from_log && from != RowsFrom::Kept {
            let reason = "the new rows are not those of a cold fold of the log either: nothing was switched. \
                          Keep what was printed, and ask";
            return Err(Error::NotClean(reason.to_owned()));
        }
        if !accept {
            let reason = "the new rows are others than the live ones: nothing was switched. \
                          Say --accept to put them in place";
            return Err(Error::NotClean(reason.to_owned()));
        }
    }
    let Switched { pause, kept, .. } = rebuild.switch().await?;
    out::say(&format!(
        "switched: projectors waited {} ms at most; the tables before are kept in {kept}, `bahi rebuild {name} \
         --rollback` puts them in place again",
        pause.as_millis()
    ))
}

/// Prints what differs, beside what the log gives when it is folded cold; says whether the new rows are that.
async fn tell_differences(rebuild: &Rebuild, compared: &Compared) -> Result<bool, Error> {
    let mut bar = Progress::new(0, "records folded cold");
    let cold = rebuild.cold(&compared.rebuilt.position, |done| bar.reach_of(done.records, done.of)).await?;
    bar.finish();
    for stop in &compared.live.stops {
        out::say(&format!("{} stopped in the live rows: {}", stop.view.name(), stop.reason))?;
    }
    let StateHashes { hashes, .. } = &compared.rebuilt;
    for (((view, rebuilt), (_, live)), (_, log)) in hashes.iter().zip(&compared.live.hashes).zip(&cold.hashes) {
        let is = |hash: &[u8; 32]| if hash == log { "as the log gives them" } else { "not as the log gives them" };
        let name = "";
        out::say(&format!("{view:<12} {}  the live rows, {}", hex(live), is(live)))?;
        out::say(&format!("{name:<12} {}  the new rows, {}", hex(rebuilt), is(rebuilt)))?;
        if live != log && rebuilt != log {
            out::say(&format!("{name:<12} {}  the log folded cold", hex(log)))?;
        }
    }
    Ok(cold.hashes == *hashes && cold.stops.is_empty())
}
