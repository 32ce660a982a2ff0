//! `bahi topics`: what the log's topics have to be on a Kafka cluster, made and kept so; reads and writes no record of
//! an account.

use crate::{error::Error, out, product};
use clap::{Subcommand, builder::RangedU64ValueParser};
use event_log::{
    kafka::{Layout, PREFIX, Step, Topics, Wanted},
    sqlite::PARTITIONS_MAX,
};

const EXAMPLES: &str = "\
Examples:
  bahi topics plan --brokers kafka-1:9092,kafka-2:9092
  bahi topics apply --brokers kafka-1:9092,kafka-2:9092
  bahi topics check --brokers kafka-1:9092
  bahi topics apply --brokers 127.0.0.1:29092 --partitions 1 --replication 1 --min-in-sync 1
  bahi topics manifests --cluster bahi > topics.yaml

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
    /// Print them as KafkaTopic resources, for clusters that Strimzi runs; asks no broker
    Manifests(Printed),
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
    #[command(flatten)]
    copies: Copies,
}

#[derive(clap::Args)]
struct Printed {
    /// What the Kafka resource is called
    #[arg(long, value_name = "NAME", default_value = PREFIX)]
    cluster: String,
    /// What the topics are called before their dot
    #[arg(long, value_name = "PREFIX", env = "BAHI_TOPIC_PREFIX", default_value = PREFIX)]
    prefix: String,
    #[command(flatten)]
    copies: Copies,
}

#[derive(clap::Args)]
struct Copies {
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

impl Copies {
    fn layout(&self) -> Result<Layout, Error> {
        let Copies { partitions, replication, min_in_sync } = *self;
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
            What::Manifests(printed) => {
                let topics = Topics::wanted(&printed.prefix, printed.copies.layout()?)?;
                out::say(&manifests(&printed.cluster, &topics)?)
            }
            What::Plan(planned) => {
                let steps = planned.cluster.topics()?.plan(planned.copies.layout()?).await?;
                told(&steps, "nothing to do")?;
                let to_do = Error::NotClean(format!("{} to do: `bahi topics apply` with the same words", steps.len()));
                if steps.is_empty() { Ok(()) } else { Err(to_do) }
            }
            What::Apply(planned) => {
                let steps = planned.cluster.topics()?.apply(planned.copies.layout()?).await?;
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

/// The topics as resources of Strimzi's topic operator, which keeps a topic as its resource says.
///
/// # Errors
/// When a topic has a name that no resource can have.
fn manifests(cluster: &str, topics: &[Wanted]) -> Result<String, Error> {
    let mut text = "# The topics of the log, as `bahi topics manifests` prints them.".to_owned();
    for Wanted { name, layout, settings } in topics {
        // What RFC 1123 allows, and Kubernetes with it, of what Kafka does.
        let part = |part: &str| !part.is_empty() && !part.starts_with('-') && !part.ends_with('-');
        if name.contains(|c: char| c.is_ascii_uppercase() || c == '_') || !name.split('.').all(part) {
            let rule =
                "small letters, digits, '-' and '.' can, each part beginning and ending with a letter or a digit";
            return Err(Error::Usage(format!("--prefix: {name} cannot be the name of a Kubernetes resource: {rule}")));
        }
        let Layout { partitions, replication, .. } = layout;
        text += &format!(
            "
---
apiVersion: kafka.strimzi.io/v1
kind: KafkaTopic
metadata:
  name: {name}
  labels:
    strimzi.io/cluster: {cluster}
spec:
  partitions: {partitions}
  replicas: {replication}
  config:"
        );
        for (name, value) in settings {
            text += &format!("\n    {name}: {value}");
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_says_of_each_topic_what_apply_would_make() {
        let layout = Layout { partitions: 4, replication: 3, min_in_sync: 2 };
        let topics = Topics::wanted("nse.bahi", layout).expect("a good prefix");
        let text = manifests("brokers", &topics).expect("good names");
        let ledger = text.split("\n---\n").find(|text| text.contains("name: nse.bahi.ledger")).expect("the ledger");
        assert_eq!(
            ledger,
            "apiVersion: kafka.strimzi.io/v1
kind: KafkaTopic
metadata:
  name: nse.bahi.ledger
  labels:
    strimzi.io/cluster: brokers
spec:
  partitions: 4
  replicas: 3
  config:
    cleanup.policy: delete
    compression.type: producer
    max.message.bytes: 4194304
    min.insync.replicas: 2
    retention.bytes: -1
    retention.ms: -1
    unclean.leader.election.enable: false"
        );
        assert_eq!(text.matches("kind: KafkaTopic").count(), 4);
    }

    #[test]
    fn a_topic_that_kubernetes_cannot_name_is_refused() {
        for prefix in ["Bahi", "my_log", "-log", "a..b"] {
            let topics = Topics::wanted(prefix, Layout::default()).expect("Kafka allows it");
            let refused = manifests("bahi", &topics).expect_err(prefix).to_string();
            assert!(refused.contains("cannot be the name of a Kubernetes resource"), "{refused}");
        }
    }
}
