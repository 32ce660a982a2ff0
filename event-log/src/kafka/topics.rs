//! The topics that the log needs: what they have to be, what they are, and how the one becomes the other.
//!
//! A setting that lets a record be lost or removed is drift, and no log is opened over it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    config::FromClientConfig,
    error::KafkaError,
    producer::{BaseProducer, BaseRecord, Producer as _},
    types::RDKafkaErrorCode as Code,
};
use uuid::Uuid;

use super::{
    cluster::{Cluster, identity_record},
    settings::{self, ANSWER_WAIT, REQUEST_BYTES_MAX},
    waited, wire,
};
use crate::{Error, Topic};

/// What an operator chooses when topics are made; none of it changes by itself afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Partitions of each topic: fixed for ever, as the partition of an account follows from it.
    pub partitions: u32,
    /// Copies of each partition.
    pub replication: u16,
    /// Copies that have to have a record before it counts as appended.
    pub min_in_sync: u16,
}

impl Default for Layout {
    /// Sixteen partitions with three copies, of which two have to have each record.
    fn default() -> Layout {
        Layout { partitions: 16, replication: 3, min_in_sync: 2 }
    }
}

/// A topic as it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// Its partitions and copies.
    pub layout: Layout,
    /// Its settings, by name.
    pub settings: BTreeMap<&'static str, String>,
}

/// One thing to be done, or that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The topic is not there.
    Make(Wanted),
    /// A setting is another.
    Set {
        /// The topic.
        topic: String,
        /// The setting.
        name: String,
        /// What it is.
        found: String,
        /// What it has to be.
        wanted: String,
    },
    /// What nobody can change here: the number of partitions, or of copies.
    Refuse {
        /// The topic.
        topic: String,
        /// What is wrong, and what can be done.
        reason: String,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Make(wanted) => {
                let Layout { partitions, replication, min_in_sync } = wanted.layout;
                let name = &wanted.name;
                write!(out, "make {name}: {partitions} partitions, {replication} copies, {min_in_sync} in sync")
            }
            Step::Set { topic, name, found, wanted } => write!(out, "set {topic} {name} to {wanted} (it is {found})"),
            Step::Refuse { topic, reason } => write!(out, "{topic} {reason}"),
        }
    }
}

/// How long a cluster may take until a topic that it made has a leader: a busy one takes seconds.
const MADE_WAIT: Duration = Duration::from_secs(60);

/// How long until brokers are asked again whether they know of a change.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// The setting that says how many copies must have a record.
const IN_SYNC: &str = "min.insync.replicas";

/// Every topic as it has to be. For ever, whole, and never with a copy that missed something.
pub(super) fn wanted(cluster: &Cluster, layout: Layout) -> Vec<Wanted> {
    let settings: BTreeMap<&'static str, String> = [
        // Nothing is compacted and nothing grows too old or too large: the log is the evidence.
        ("cleanup.policy", "delete".to_owned()),
        ("retention.ms", "-1".to_owned()),
        ("retention.bytes", "-1".to_owned()),
        (IN_SYNC, layout.min_in_sync.to_string()),
        // A copy that missed records never becomes the one that is read.
        ("unclean.leader.election.enable", "false".to_owned()),
        ("max.message.bytes", REQUEST_BYTES_MAX.to_string()),
        // Brokers keep batches as they came: recompressed, they may come back in a form that this client cannot read.
        ("compression.type", "producer".to_owned()),
    ]
    .into();
    cluster.all().iter().map(|name| Wanted { name: name.clone(), layout, settings: settings.clone() }).collect()
}

/// A topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub partitions: u32,
    pub replication: u16,
    pub settings: BTreeMap<String, String>,
}

/// What has to be done for a topic to be as wanted.
pub(super) fn steps(wanted: &Wanted, found: Option<&Found>) -> Vec<Step> {
    let Some(found) = found else { return vec![Step::Make(wanted.clone())] };
    let mut steps = Vec::new();
    let mut refuse = |reason| steps.push(Step::Refuse { topic: wanted.name.clone(), reason });
    let (partitions, copies) = (wanted.layout.partitions, wanted.layout.replication);
    if found.partitions != partitions {
        let found = found.partitions;
        refuse(format!(
            "has {found} partitions, wanted are {partitions}: an account's partition follows from their number, so it never changes; set --partitions to {found}"
        ));
    }
    if found.replication != copies {
        let found = found.replication;
        refuse(format!(
            "has {found} copies, wanted are {copies}: move its partitions with the broker's own tools, or set --replication to {found}"
        ));
    }
    for (name, wanted_value) in &wanted.settings {
        let value = found.settings.get(*name).map_or("unknown", String::as_str);
        if value != wanted_value {
            let (topic, name) = (wanted.name.clone(), (*name).to_owned());
            steps.push(Step::Set { topic, name, found: value.to_owned(), wanted: wanted_value.clone() });
        }
    }
    steps
}

/// Whether what is found may be used: every copy count is the operator's choice, but no record may be lost.
pub(super) fn check(cluster: &Cluster, found: &BTreeMap<String, Found>) -> Result<(), Error> {
    let partitions = found.values().map(|found| found.partitions).next().unwrap_or(0);
    for name in cluster.all() {
        let refused =
            |reason: String| Err(Error::Topics { reason: format!("{name} {reason}; see `bahi topics plan`") });
        let Some(found) = found.get(name) else {
            return refused("is not there: `bahi topics apply` makes it".to_owned());
        };
        // How many copies there are is known to whoever runs the broker.
        let layout = Layout { partitions, replication: found.replication, min_in_sync: 1 };
        let wanted = wanted(cluster, layout).into_iter().find(|wanted| wanted.name == *name);
        let min_in_sync = found.settings.get(IN_SYNC).and_then(|text| text.parse().ok()).unwrap_or(0);
        Layout { min_in_sync, ..layout }.check().or_else(refused)?;
        for step in wanted.iter().flat_map(|wanted| steps(wanted, Some(found))) {
            match step {
                Step::Set { name, .. } if name == IN_SYNC => {}
                Step::Set { name, found, wanted, .. } => {
                    return refused(format!("has {name} {found}, not {wanted}: records could be lost"));
                }
                Step::Refuse { reason, .. } => return refused(reason),
                Step::Make(_) => {}
            }
        }
    }
    Ok(())
}

impl Layout {
    /// Whether what was appended outlives a broker: with copies, two must have it, and there must be as many.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn check(&self) -> Result<(), String> {
        let Layout { replication, min_in_sync, .. } = *self;
        if min_in_sync == 0 || min_in_sync > replication {
            return Err(format!(
                "has {replication} copies, of which {min_in_sync} must have each record: 1 to {replication} can"
            ));
        }
        if replication > 1 && min_in_sync < 2 {
            return Err(format!(
                "has {replication} copies, of which only one must have each record: lost with its broker; set min.insync.replicas to 2"
            ));
        }
        Ok(())
    }
}

/// Asks and changes the topics of a log.
pub struct Topics {
    cluster: Cluster,
    admin: Arc<AdminClient<DefaultClientContext>>,
}

impl Topics {
    /// Of the log with this prefix at these brokers; does not connect yet.
    pub fn new(brokers: &str, prefix: &str) -> Result<Topics, Error> {
        let cluster = Cluster::new(brokers, prefix)?;
        let admin = AdminClient::from_config(&settings::administering(brokers));
        let admin = admin.map_err(|error| cluster.unreachable(&error))?;
        Ok(Topics { cluster, admin: Arc::new(admin) })
    }

    /// Every topic of a log with this prefix as it has to be; asks no broker.
    ///
    /// # Errors
    /// When no topic can be called so, or the layout could lose a record.
    pub fn wanted(prefix: &str, layout: Layout) -> Result<Vec<Wanted>, Error> {
        layout.check().map_err(|reason| Error::Topics { reason: format!("the log {reason}") })?;
        Ok(wanted(&Cluster::new("", prefix)?, layout))
    }

    /// What `apply` would do, in order; nothing when all is as wanted.
    pub async fn plan(&self, layout: Layout) -> Result<Vec<Step>, Error> {
        let found = self.found().await?;
        Ok(wanted(&self.cluster, layout).iter().flat_map(|wanted| steps(wanted, found.get(&wanted.name))).collect())
    }

    /// Makes what is missing, sets what is another, and gives what was done. Refuses, before it changes anything, what
    /// it cannot change.
    pub async fn apply(&self, layout: Layout) -> Result<Vec<Step>, Error> {
        layout.check().map_err(|reason| Error::Topics { reason: format!("the log {reason}") })?;
        let todo = self.plan(layout).await?;
        if let Some(refused) = todo.iter().find(|step| matches!(step, Step::Refuse { .. })) {
            return Err(Error::Topics { reason: refused.to_string() });
        }
        let mut drifted = BTreeSet::new();
        for step in &todo {
            match step {
                Step::Make(wanted) => self.make(wanted).await?,
                Step::Set { topic, .. } => drop(drifted.insert(topic)),
                Step::Refuse { .. } => {}
            }
        }
        for topic in drifted {
            self.set(topic, layout).await?;
        }
        self.identify().await?;
        if !todo.is_empty() {
            self.settled(|found| {
                wanted(&self.cluster, layout).iter().all(|wanted| steps(wanted, found.get(&wanted.name)).is_empty())
            })
            .await?;
        }
        Ok(todo)
    }

    /// Waits until the brokers tell what was changed: a controller takes a change before they have heard of it.
    async fn settled(&self, is_told: impl Fn(&BTreeMap<String, Found>) -> bool) -> Result<(), Error> {
        let until = Instant::now() + MADE_WAIT;
        while !is_told(&self.found().await?) {
            if Instant::now() >= until {
                let reason =
                    format!("what was changed is not told by {} yet; see `bahi topics plan`", self.cluster.brokers);
                return Err(Error::Topics { reason });
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
        Ok(())
    }

    /// Refuses what a log must not be opened over.
    pub async fn check(&self) -> Result<(), Error> {
        check(&self.cluster, &self.found().await?)
    }

    /// Removes the topics and all that is in them: for tests and benches, which make their own.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn remove(&self) -> Result<(), Error> {
        let all: Vec<&str> = self.cluster.all().iter().map(String::as_str).collect();
        let removed = self.admin.delete_topics(&all, &options()).await;
        removed.map(drop).map_err(|error| self.cluster.unreachable(&error))
    }

    /// Sets one thing and leaves the rest to the broker: for tests of drift.
    #[cfg(test)]
    pub(super) async fn set_one(&self, topic: &str, name: &str, value: &str) -> Result<(), Error> {
        let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(name, value);
        let set = self.admin.alter_configs([&change], &options()).await;
        self.done("set up", topic, set)?;
        let is_set = |found: &Found| found.settings.get(name).is_some_and(|told| told == value);
        self.settled(|found| found.get(topic).is_some_and(is_set)).await
    }

    async fn make(&self, wanted: &Wanted) -> Result<(), Error> {
        let partitions = i32::try_from(wanted.layout.partitions).unwrap_or(i32::MAX);
        let copies = TopicReplication::Fixed(wanted.layout.replication.into());
        let topic = NewTopic::new(&wanted.name, partitions, copies);
        let topic = wanted.settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value));
        let made = self.admin.create_topics([&topic], &options()).await;
        self.done("make", &wanted.name, made)
    }

    async fn set(&self, topic: &str, layout: Layout) -> Result<(), Error> {
        // The broker takes the whole list, so what is right already is said again.
        let wanted = wanted(&self.cluster, layout).into_iter().find(|wanted| wanted.name == topic);
        let settings = wanted.iter().flat_map(|wanted| &wanted.settings);
        let resource = ResourceSpecifier::Topic(topic);
        let change = settings.fold(AlterConfig::new(resource), |change, (name, value)| change.set(name, value));
        let set = self.admin.alter_configs([&change], &options()).await;
        self.done("set up", topic, set)
    }

    /// What a broker said to each of what it was asked to do; what was done meanwhile by another is done.
    fn done<T>(&self, what: &str, topic: &str, answers: Result<Vec<Done<T>>, KafkaError>) -> Result<(), Error> {
        for answer in answers.map_err(|error| self.cluster.unreachable(&error))? {
            match answer {
                Ok(_) | Err((_, Code::TopicAlreadyExists)) => {}
                Err((_, code)) => {
                    return Err(Error::Topics { reason: format!("{topic}: the broker would not {what} it: {code}") });
                }
            }
        }
        Ok(())
    }

    /// Gives the log its identity, once: the first record of the commands.
    async fn identify(&self) -> Result<(), Error> {
        let cluster = self.cluster.clone();
        waited(move || identify(&cluster)).await
    }

    async fn found(&self) -> Result<BTreeMap<String, Found>, Error> {
        let (cluster, admin) = (self.cluster.clone(), Arc::clone(&self.admin));
        let counts = waited(move || cluster.metadata(admin.inner())).await?;
        let all: Vec<ResourceSpecifier<'_>> = counts.keys().map(|name| ResourceSpecifier::Topic(name)).collect();
        if all.is_empty() {
            return Ok(BTreeMap::new());
        }
        let described = self.admin.describe_configs(&all, &options()).await;
        let described = described.map_err(|error| self.cluster.unreachable(&error))?;
        let mut found = BTreeMap::new();
        for ((name, (partitions, replication)), resource) in counts.iter().zip(described) {
            let resource = resource.map_err(|code| Error::Topics {
                reason: format!("{name}: the broker does not tell its settings: {code}"),
            })?;
            let settings = resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
            let (partitions, replication) = (*partitions, *replication);
            found.insert(name.clone(), Found { partitions, replication, settings: settings.collect() });
        }
        Ok(found)
    }
}

/// A broker's word on one resource.
type Done<T> = Result<T, (T, Code)>;

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER_WAIT)).operation_timeout(Some(ANSWER_WAIT))
}

fn identify(cluster: &Cluster) -> Result<(), Error> {
    let producer = BaseProducer::from_config(&settings::appending(&cluster.brokers));
    let producer = producer.map_err(|error| cluster.unreachable(&error))?;
    if cluster.end_within(MADE_WAIT, producer.client(), cluster.commands(), 0)? > 0 {
        return Ok(());
    }
    for topic in Topic::ALL {
        if cluster.end_within(MADE_WAIT, producer.client(), cluster.of(topic), 0)? > 0 {
            let reason =
                format!("{} is empty and {topic} is not: its commands are lost; restore them", cluster.commands());
            return Err(Error::Topics { reason });
        }
    }
    // Two that do this at once leave two records; the first is the log's.
    let identity = Uuid::now_v7();
    let record = identity_record(identity, micros(identity));
    let outgoing: BaseRecord<'_, str, [u8], ()> = BaseRecord::to(cluster.commands());
    let outgoing = outgoing.partition(0).payload(&record.value[..]).headers(wire::headers(&record.headers));
    producer.send(outgoing).map_err(|(error, _)| cluster.unreachable(&error))?;
    producer.flush(ANSWER_WAIT).map_err(|error| cluster.unreachable(&error))?;
    if cluster.end(producer.client(), cluster.commands(), 0)? == 0 {
        return Err(Error::Unreachable { reason: format!("{} did not take the log's identity", cluster.brokers) });
    }
    Ok(())
}

/// When an identity was made, for people who look at its record; nothing is decided by it.
fn micros(identity: Uuid) -> i64 {
    let (seconds, nanos) = identity.get_timestamp().map_or((0, 0), |made| made.to_unix());
    i64::try_from(seconds).unwrap_or_default().saturating_mul(1_000_000) + i64::from(nanos / 1_000)
}
