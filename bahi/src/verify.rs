//! `bahi verify`: sequences dense, every entry readable and at one with its headers, live rows equal to a cold fold,
//! and every decision made again.

use crate::{
    client::Client, config, error::Error, out, product, progress::Progress, replay::hex, source::Source, wire,
};
use commands::redecide::{Policies, Redecided, redecide};
use domain::{book::RULES, policy::Policy};
use projections::{Position, Replay, StateHashes, Until, Verified};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

const EXAMPLES: &str = "\
Examples:
  bahi verify --data ./ledger
  bahi verify --data ./ledger --url http://127.0.0.1:7070 --token $AUDITOR_TOKEN
  bahi verify --data ./ledger --redecide --policy policy-2025.csv

It reads beside a running server. With --url it waits until the server shows all that is recorded,
a minute at most, and its state hashes are compared with a cold replay to the same position. With --redecide every command and every fact is decided again at its
own time, with the market facts, the calendar and the policy that its entry names, and the events
must be equal; entries made under other rules than this binary's are counted. Exit code 1 and the first difference if anything is not as it should be.";

/// Longest wait for a server to show what is recorded.
const SHOWN_S: u64 = 60;
/// How often it is asked meanwhile.
const ASK_AGAIN_MS: u64 = 250;

/// Check the log, and what a running server shows of it
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    source: Source,
    /// The server that serves it
    #[arg(long, requires = "token")]
    url: Option<String>,
    /// An auditor's or operator's token for that server
    #[arg(long, env = "BAHI_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Decide every command again under its recorded context and compare the events
    #[arg(long)]
    redecide: bool,
    /// A policy file that entries were decided under, beside the one that ships; may be given again
    #[arg(long, value_name = "FILE", requires = "redecide", value_parser = policy)]
    policy: Vec<Arc<Policy>>,
}

fn policy(file: &str) -> Result<Arc<Policy>, String> {
    match file {
        "" => Err("must be a file".to_owned()),
        file => config::policy(file),
    }
}

/// What a server says it shows.
struct Live {
    position: Position,
    hashes: BTreeMap<String, String>,
}

/// Checks, compares and says so.
///
/// # Errors
/// The first difference, or why nothing could be checked.
pub fn run(args: Args) -> Result<(), Error> {
    product::runtime()?.block_on(async {
        let log = args.source.open().await?;
        let live = match (&args.url, &args.token) {
            (Some(url), Some(token)) => Some(caught_up(&Client::new(url, token)?, &log).await?),
            _ => None,
        };
        let until = live.as_ref().map_or(Until::End, |live| Until::Position(live.position.clone()));
        let verified = check(&log, until).await?;
        if let Some(live) = &live {
            compare(live, &verified.replayed.views.state_hashes())?;
            // What was recorded since the server answered is checked too.
            check(&log, Until::End).await?;
        }
        let redecided = match args.redecide {
            true => Some(decide_again(&log, args.policy).await?),
            false => None,
        };
        let replayed = &verified.replayed;
        let (entries, facts, claims, dead) = (replayed.entries, replayed.facts, replayed.claims, replayed.dead);
        out::say(&format!("clean: {entries} entries, {facts} market entries, {claims} claims, {dead} dead"))?;
        out::say(match live {
            Some(_) => "live rows equal a cold replay at their position",
            None => "live rows were not compared: give --url and --token of the running server for that",
        })?;
        redecided.map_or(Ok(()), |redecided| out::say(&told(&redecided)))
    })
}

async fn decide_again(log: &wire::OpenLog, policies: Vec<Arc<Policy>>) -> Result<Redecided, Error> {
    let policies: Policies = std::iter::once(Arc::new(Policy::default())).chain(policies).collect();
    let mut bar = Progress::new(0, "records");
    let redecided = redecide(&*log.port(), &policies, |done, of| bar.reach_of(done, of)).await;
    bar.finish();
    let redecided = redecided.map_err(|why| match why {
        commands::Error::Policy { .. } => Error::NotClean(format!("{why}: give its file with --policy FILE")),
        other => other.into(),
    })?;
    match redecided.difference {
        Some(difference) => Err(Error::NotClean(format!("not clean: {difference}"))),
        None => Ok(redecided),
    }
}

fn told(redecided: &Redecided) -> String {
    let Redecided { entries, facts, not_decided, other_rules, .. } = redecided;
    let mut said = format!("decided again: {entries} entries and {facts} market entries, all equal");
    if *not_decided > 0 {
        said.push_str(&format!("; {not_decided} had been answered without deciding, rightly"));
    }
    if *other_rules > 0 {
        said.push_str(&format!("; {other_rules} were made under other rules than {RULES} and not decided again"));
    }
    said
}

async fn check(log: &wire::OpenLog, until: Until) -> Result<Verified, Error> {
    let mut bar = Progress::new(0, "records");
    let replay = Replay { until, ..Replay::default() };
    let verified = projections::verify(log.port(), replay, |done| bar.reach_of(done.records, done.of)).await?;
    bar.finish();
    match verified.difference {
        Some(difference) => Err(Error::NotClean(format!("not clean: {difference}"))),
        None => Ok(verified),
    }
}

/// What the server shows once it shows all that the log held when this began.
async fn caught_up(client: &Client, log: &wire::OpenLog) -> Result<Live, Error> {
    let end = wire::end(&*log.port()).await?;
    let until = Instant::now() + Duration::from_secs(SHOWN_S);
    loop {
        let live = live(client).await?;
        if live.position.covers(&end) {
            return Ok(live);
        }
        if Instant::now() >= until {
            let shown = &live.position;
            return Err(Error::NotClean(format!("the server is at {shown} after {SHOWN_S} s, the log goes to {end}")));
        }
        tokio::time::sleep(Duration::from_millis(ASK_AGAIN_MS)).await;
    }
}

async fn live(client: &Client) -> Result<Live, Error> {
    let state = client.get("state").await?.ok()?;
    let unread = |what: &str| Error::Server(format!("the server's state has no {what}: {state}"));
    let position = state.get("position").and_then(Value::as_str).ok_or_else(|| unread("position"))?;
    let views = state.get("views").and_then(Value::as_object).ok_or_else(|| unread("views"))?;
    if let Some(stopped) = state.get("stopped").and_then(Value::as_array).and_then(|stopped| stopped.first()) {
        return Err(Error::NotClean(format!("a view of the server has stopped: {stopped}")));
    }
    let hash = |(view, hash): (&String, &Value)| Some((view.clone(), hash.as_str()?.to_owned()));
    Ok(Live {
        position: Position::from_str(position).map_err(|_| unread("position that reads"))?,
        hashes: views.iter().map(hash).collect::<Option<_>>().ok_or_else(|| unread("hash for a view"))?,
    })
}

fn compare(live: &Live, cold: &StateHashes) -> Result<(), Error> {
    if live.position != cold.position {
        let (live, cold) = (&live.position, &cold.position);
        return Err(Error::NotClean(format!("the server is at {live}, the log in the folder ends at {cold}")));
    }
    for (view, hash) in &cold.hashes {
        let (cold, shown) = (hex(hash), live.hashes.get(*view));
        if shown != Some(&cold) {
            let shown = shown.map_or("nothing", String::as_str);
            return Err(Error::NotClean(format!("{view}: the server shows {shown}, a cold replay gives {cold}")));
        }
    }
    Ok(())
}
