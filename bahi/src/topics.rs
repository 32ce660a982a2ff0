//! `bahi topics`: what the log's topics have to be on a Kafka cluster, made and kept so; reads and writes no record of
//! an account.

use crate::{error::Error, out, product};
use clap::{Subcommand, builder::RangedU64ValueParser};
use event_log::{
    kafka::{Layout, PREFIX, Step, Topics},
    sqlite::PARTITIONS_MAX,
};

const EXAMPLES: &str = "\
Examples:
  bahi topics plan --brokers kafka-1:9092,kafka-2:9092
  bahi topics apply --brokers kafka-1:9092,kafka-2:9092
  bahi topics check --brokers kafka-1:9092
  bahi topics apply --brokers 127.0.0.1:29092 --partitions 1 --replication 1 --min-in-sync 1

There are four: PREFIX.commands and PREFIX.facts, which writers answer, and PREFIX.ledger and
PREFIX.market, which hold the answers. They are kept for ever, never compacted, and no copy that missed
a record becomes the one that is read. The partition of an account follows from the number of
partitions, so that number never changes: choose it once, for the largest you will be.
Copies can be changed with the broker's own tools; say what they are with --replication.";

/// Plan, make and check the topics of the log on a Kafka cluster
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Show what would be made or set; changes nothing, and ends with 1 when there is anything to do
    Plan(Planned),
    /// Make what is missing and set what is another
    Apply(Planned),
    /// Say whether a log may be opened over the topics as they are
    Check(Cluster),
}

#[derive(clap::Args)]
struct Cluster {
    /// Some of the brokers, by commas
    #[arg(long, value_name = "HOST:PORT", env = "BAHI_KAFKA_BROKERS")]
    brokers: String,
    /// What the topics are called before their dot
    #[arg(long, value_name = "PREFIX", env = "BAHI_TOPIC_PREFIX", default_value = PREFIX)]
    prefix: String,
}

#[derive(clap::Args)]
struct Planned {
    #[command(flatten)]
    cluster: Cluster,
    /// Partitions of each topic; never changed later
    #[arg(long, value_name = "N", default_value_t = Layout::default().partitions, value_parser = partitions())]
    partitions: u32,
    /// Copies of each partition
    #[arg(long, value_name = "N", default_value_t = Layout::default().replication)]
    replication: u16,
    /// Copies that must have a record before it counts as appended
    #[arg(long, value_name = "N", default_value_t = Layout::default().min_in_sync)]
    min_in_sync: u16,
}

fn partitions() -> RangedU64ValueParser<u32> {
    RangedU64ValueParser::new().range(1..=u64::from(PARTITIONS_MAX))
}

impl Planned {
    fn layout(&self) -> Result<Layout, Error> {
        let Planned { partitions, replication, min_in_sync, .. } = *self;
        if min_in_sync == 0 || min_in_sync > replication {
            return Err(Error::Usage(format!(
                "--min-in-sync {min_in_sync} must be at least 1 and at most the copies there are (--replication {replication})"
            )));
        }
        let layout = Layout { partitions, replication, min_in_sync };
        layout.check().map_err(|reason| Error::Usage(format!("the log {reason}")))?;
        Ok(layout)
    }
}

impl Cluster {
    fn topics(&self) -> Result<Topics, Error> {
        Ok(Topics::new(&self.brokers, &self.prefix)?)
    }
}

/// Plans, applies or checks.
///
/// # Errors
/// When no broker answers, what is there cannot be made what is wanted, or, for `plan` and `check`, is not.
pub fn run(args: Args) -> Result<(), Error> {
    product::runtime()?.block_on(async {
        match args.what {
            What::Plan(planned) => {
                let steps = planned.cluster.topics()?.plan(planned.layout()?).await?;
                told(&steps, "nothing to do")?;
                let to_do = Error::NotClean(format!("{} to do: `bahi topics apply` with the same words", steps.len()));
                if steps.is_empty() { Ok(()) } else { Err(to_do) }
            }
            What::Apply(planned) => {
                let steps = planned.cluster.topics()?.apply(planned.layout()?).await?;
                told(&steps, "nothing was to be done")
            }
            What::Check(cluster) => {
                cluster.topics()?.check().await?;
                out::say("the topics are as they have to be")
            }
        }
    })
}

fn told(steps: &[Step], none: &str) -> Result<(), Error> {
    if steps.is_empty() {
        return out::say(none);
    }
    steps.iter().try_for_each(|step| out::say(&step.to_string()))
}
