//! The contract on a real broker, and what is the broker's alone. `make services` starts one.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    producer::{FutureProducer, FutureRecord},
};
use tokio::time::timeout;

use super::{topics::Found, *};
use crate::{
    Headers, RecordKind,
    contract::{PARTITIONS, record},
    event_log_contract, requests,
};

/// Where `make services` starts a broker; another is named by `BAHI_KAFKA_BROKERS`.
const BROKERS: &str = "127.0.0.1:29092";
/// No step takes longer, on any machine that builds this.
const WAIT: Duration = Duration::from_secs(60);
/// One broker: one copy.
const LAYOUT: Layout = Layout { partitions: PARTITIONS, replication: 1, min_in_sync: 1 };

fn brokers() -> String {
    std::env::var("BAHI_KAFKA_BROKERS").unwrap_or_else(|_| BROKERS.to_owned())
}

/// Topics of their own, removed at the end.
pub(super) struct Own {
    topics: Arc<Topics>,
    prefix: String,
}

impl Own {
    fn new() -> Own {
        let prefix = format!("test-{}", Uuid::new_v4().simple());
        let topics = Topics::new(&brokers(), &prefix).expect("a client is made");
        Own { topics: Arc::new(topics), prefix }
    }

    pub(super) async fn applied() -> Own {
        // One at a time: a broker makes topics no faster when asked by all tests at once.
        static MAKING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let _only_one = MAKING.lock().await;
        let own = Own::new();
        let applied = own.topics.apply(LAYOUT).await;
        applied.unwrap_or_else(|error| panic!("{error}; `make services` starts a broker"));
        own
    }

    pub(super) async fn open(&self) -> Arc<Kafka> {
        Arc::new(Kafka::open(&brokers(), &self.prefix).await.expect("the log opens"))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let topics = Arc::clone(&self.topics);
        // What is left behind by a failure is on a broker for tests.
        let removing = std::thread::spawn(move || futures::executor::block_on(topics.remove()));
        drop(removing.join());
    }
}

async fn opened() -> (Own, Arc<dyn EventLog>) {
    let own = Own::applied().await;
    let log = own.open().await;
    (own, log)
}

event_log_contract!(opened);

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(WAIT, future).await.expect("it takes less than the limit")
}

/// Puts a record of another product into a topic.
async fn put_foreign(topic: &str) {
    let mut config = rdkafka::ClientConfig::new();
    let producer: FutureProducer = config.set("bootstrap.servers", brokers()).create().expect("a producer");
    let record = FutureRecord::<str, str>::to(topic).partition(0).payload("hello");
    producer.send(record, WAIT).await.expect("it lands");
}

/// A topic: what its name ends with, whether it holds requests, and which answers it has to do with.
type Named = (&'static str, bool, Topic);
const TOPICS: [Named; 4] = [
    ("ledger", false, Topic::Ledger),
    ("market", false, Topic::Market),
    ("commands", true, Topic::Ledger),
    ("facts", true, Topic::Market),
];

/// The log of answers, or that of the requests behind it.
fn side(log: &Kafka, is_requests: bool) -> Arc<Kafka> {
    let cluster = if is_requests { log.cluster.requests() } else { log.cluster.as_ref().clone() };
    Arc::new(Kafka::over(Arc::new(cluster), log.partitions, log.commands_id).expect("it opens"))
}

/// A record that belongs there.
fn fitting((_, is_requests, topic): Named, number: i64) -> Record {
    let kind = match topic {
        Topic::Ledger => RecordKind::Command,
        Topic::Market => RecordKind::Fact,
    };
    let request = Headers::request(kind, number.to_string().into(), number, None);
    let record = record("A", number);
    if is_requests { Record { headers: request, ..record } } else { record }
}

/// What an operator reads of an error.
fn told((_, is_requests, topic): Named, error: Error) -> String {
    if is_requests { requests::named(error, topic).to_string() } else { error.to_string() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_record_on_any_topic_is_named_and_nothing_is_read_past_it() {
    let own = Own::applied().await;
    let (one, two) = (own.open().await, own.open().await);
    for named in TOPICS {
        let (name, is_requests, topic) = named;
        let log = side(&one, is_requests);
        // The commands begin with the log's identity.
        let start = log.tail(topic, 0).await.expect("the end");
        let mut follow = log.follow(topic, 0, start);
        assert_eq!(log.append(topic, 0, None, vec![fitting(named, 0)]).await.expect("it lands"), start);
        assert_eq!(within(follow.next()).await.expect("it is followed").len(), 1);
        put_foreign(&format!("{}.{name}", own.prefix)).await;
        assert_eq!(log.append(topic, 0, None, vec![fitting(named, 1)]).await.expect("it lands"), start + 2);
        let is_named = |error: &Error| match *error {
            Error::Record { topic: of, partition, offset, .. } => (of, partition, offset) == (topic, 0, start + 1),
            _ => false,
        };
        let followed = within(follow.next()).await;
        assert!(followed.as_ref().is_err_and(is_named), "{name}: {followed:?}");
        let again = within(follow.next()).await;
        assert!(again.as_ref().is_err_and(is_named), "{name}: it is not passed over: {again:?}");
        let other = side(&two, is_requests);
        let before = other.read(topic, 0, 0, 10).await.expect("what is before it is read");
        assert_eq!(before.len() as u64, start + 1, "{name}");
        let read = other.read(topic, 0, start + 1, 10).await.expect_err("it is foreign");
        assert!(is_named(&read), "{name}: {read:?}");
        let said = told(named, read);
        let wanted = format!("bahi.{name} partition 0 offset {} is not a record of Bahi", start + 1);
        assert!(said.contains(&wanted) && said.contains("docs/OPERATING.md"), "{said}");
    }
}

/// Deletes what is before an offset, as an operator's tool does or a limit on what is kept.
async fn delete_before(topic: &str, partition: i32, offset: i64) {
    let mut config = rdkafka::ClientConfig::new();
    let admin: AdminClient<DefaultClientContext> =
        config.set("bootstrap.servers", brokers()).create().expect("a client");
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(topic, partition, Offset::Offset(offset)).expect("an offset");
    let deleted = admin.delete_records(&before, &AdminOptions::new()).await.expect("the broker answers");
    assert!(deleted.elements().iter().all(|element| element.error().is_ok()), "{deleted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_whose_head_was_deleted_is_named_and_read_no_further() {
    let own = Own::applied().await;
    let log = own.open().await;
    for named in TOPICS {
        let (name, is_requests, topic) = named;
        let records = (0..3).map(|number| fitting(named, number)).collect();
        side(&log, is_requests).append(topic, 1, None, records).await.expect("they land");
        delete_before(&format!("{}.{name}", own.prefix), 1, 2).await;
        // A process that starts now, wherever it had come to.
        let later = side(&log, is_requests);
        let is_cut = |error: &Error| matches!(error, Error::Cut { topic: of, partition: 1, .. } if *of == topic);
        let read = later.read(topic, 1, 2, 10).await;
        assert!(read.as_ref().is_err_and(is_cut), "{name}: {read:?}");
        for from in 0..4 {
            let followed = within(later.follow(topic, 1, from).next()).await;
            assert!(followed.as_ref().is_err_and(is_cut), "{name} from {from}: {followed:?}");
        }
        let said = told(named, later.tail(topic, 1).await.expect_err("it is cut"));
        let wanted =
            format!("bahi.{name} partition 1 has lost records ({}.{name}/1 has 2 to 3 left of it)", own.prefix);
        assert!(said.contains(&wanted), "{said}");
        later.tail(topic, 0).await.expect("the other partition is whole");
    }
    let requests = log.requests().expect("the requests open");
    let tail = requests.tail(Topic::Ledger, 1).await.expect_err("it is cut");
    assert!(tail.to_string().contains("bahi.commands partition 1 has lost records"), "{tail}");
    // Without its first record nobody knows which log it is.
    delete_before(&format!("{}.commands", own.prefix), 0, 1).await;
    let refused = Kafka::open(&brokers(), &own.prefix).await.err().expect("the identity is gone");
    assert!(refused.to_string().contains(&format!("{}.commands/0 has 1 to 1 left of it", own.prefix)), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_append_to_one_partition_and_both_read_the_same() {
    let own = Own::applied().await;
    let (one, two) = (own.open().await, own.open().await);
    let mut follow = two.follow(Topic::Ledger, 0, 0);
    assert_eq!(one.append(Topic::Ledger, 0, Some(0), vec![record("A", 0)]).await.expect("it lands"), 0);
    assert_eq!(two.append(Topic::Ledger, 0, Some(1), vec![record("B", 1)]).await.expect("it lands"), 1);
    // One still believes in the end that it made, and nothing stops it: it is told where it stands.
    let stale = one.append(Topic::Ledger, 0, Some(1), vec![record("A", 1)]).await;
    assert_eq!(stale.expect("only the rule can say"), 2);
    let refused = two.append(Topic::Ledger, 0, Some(7), vec![record("B", 2)]).await;
    assert!(matches!(refused, Err(Error::NotTheEnd { end: 3 })), "{refused:?}");
    let mut followed = Vec::new();
    while followed.len() < 3 {
        followed.extend(within(follow.next()).await.expect("it is followed"));
    }
    assert_eq!(followed, one.read(Topic::Ledger, 0, 0, 10).await.expect("it is read"));
    let keys: Vec<_> = followed.iter().map(|stored| stored.record.key.as_deref()).collect();
    assert_eq!(keys, [Some("A"), Some("B"), Some("A")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_that_are_asked_for_at_once_are_not_taken_for_a_loss() {
    let own = Own::applied().await;
    let log = own.open().await;
    let (done, watch) = tokio::sync::watch::channel(false);
    let ask = |_| {
        let (log, watch) = (Arc::clone(&log), watch.clone());
        tokio::spawn(async move {
            let mut last = 0;
            while !*watch.borrow() {
                let end = log.tail(Topic::Ledger, 0).await.expect("nothing is lost");
                assert!(end >= last, "an end after {last} is {end}");
                last = end;
            }
            last
        })
    };
    let asking: Vec<_> = (0..8).map(ask).collect();
    for number in 0..300 {
        log.append(Topic::Ledger, 0, None, vec![record("A", number)]).await.expect("it lands");
    }
    done.send_replace(true);
    for asked in asking {
        assert!(within(asked).await.expect("all went well") > 0, "it asked while records landed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_not_there_is_named() {
    let refused = within(Kafka::open("127.0.0.1:1", PREFIX)).await.err().expect("nothing listens there");
    assert!(matches!(refused, Error::Unreachable { .. }), "{refused:?}");
    assert!(refused.to_string().contains("127.0.0.1:1"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_planned_made_once_and_keep_their_identity() {
    let own = Own::new();
    let absent = Kafka::open(&brokers(), &own.prefix).await.err().expect("there are no topics");
    assert!(matches!(&absent, Error::Topics { reason } if reason.contains("bahi topics apply")), "{absent:?}");
    let plan = own.topics.plan(LAYOUT).await.expect("a plan");
    assert_eq!(plan.len(), 4);
    assert!(plan.iter().all(|step| matches!(step, Step::Make(_))), "{plan:?}");
    assert_eq!(own.topics.apply(LAYOUT).await.expect("they are made"), plan);
    assert_eq!(own.topics.apply(LAYOUT).await.expect("nothing is left to do"), []);
    let id = own.open().await.commands_id();
    assert_eq!(own.open().await.commands_id(), id);
    let more = Layout { partitions: PARTITIONS + 1, ..LAYOUT };
    let refused = own.topics.apply(more).await.expect_err("partitions are for ever");
    assert!(refused.to_string().contains("never changes"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_was_made_anew_is_not_read_as_the_old_one() {
    let own = Own::applied().await;
    let log = own.open().await;
    log.append(Topic::Ledger, 0, None, vec![record("A", 0), record("A", 1)]).await.expect("it lands");
    let mut follow = log.follow(Topic::Ledger, 0, 0);
    assert_eq!(within(follow.next()).await.expect("it is followed").len(), 2);
    let id = log.commands_id();
    own.topics.remove().await.expect("they are removed");
    // A broker forgets a topic a moment after it says so.
    let made = async {
        while own.topics.apply(LAYOUT).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    within(made).await;
    let is_cut = |error: &Error| matches!(error, Error::Cut { topic: Topic::Ledger, partition: 0, .. });
    let tail = within(log.tail(Topic::Ledger, 0)).await;
    assert!(tail.as_ref().is_err_and(is_cut), "{tail:?}");
    assert_ne!(own.open().await.commands_id(), id, "it is another log");
}

/// Of a topic as it has to be, with one setting changed.
fn with(name: &str, value: &str) -> Found {
    let cluster = Cluster::new("b:1", "t").expect("cluster");
    let wanted = topics::wanted(&cluster, LAYOUT).remove(0);
    let settings = wanted.settings.into_iter().map(|(name, value)| (name.to_owned(), value));
    let mut settings: BTreeMap<String, String> = settings.collect();
    settings.insert(name.to_owned(), value.to_owned());
    Found { partitions: LAYOUT.partitions, replication: LAYOUT.replication, settings }
}

#[test]
fn topic_check_refuses_compaction_and_unclean_election_and_finite_retention() {
    let cluster = Cluster::new("b:1", "t").expect("cluster");
    let check = |found: Found| {
        let all = cluster.all().iter().map(|name| (name.clone(), with("x", ""))).collect::<BTreeMap<_, _>>();
        let changed = all.into_iter().map(|(name, as_is)| {
            let found = if name == "t.ledger" { found.clone() } else { as_is };
            (name, found)
        });
        topics::check(&cluster, &changed.collect())
    };
    check(with("x", "")).expect("topics as they have to be");
    // How many copies there are is the operator's to say, but a record must outlive one of several.
    let of_three = |in_sync: &str| Found { replication: 3, ..with("min.insync.replicas", in_sync) };
    check(of_three("2")).expect("two of three");
    for found in [of_three("1"), of_three("4"), with("min.insync.replicas", "2")] {
        let refused = check(found).expect_err("lost with one broker, or never appended");
        assert!(refused.to_string().contains("must have each record"), "{refused}");
    }
    for (name, value) in [
        ("cleanup.policy", "compact"),
        ("cleanup.policy", "compact,delete"),
        ("unclean.leader.election.enable", "true"),
        ("retention.ms", "604800000"),
        ("retention.bytes", "1000000"),
        ("max.message.bytes", "1048588"),
        ("compression.type", "zstd"),
    ] {
        let refused = check(with(name, value)).expect_err("records could be lost");
        let text = refused.to_string();
        assert!(text.contains("t.ledger") && text.contains(name) && text.contains(value), "{text}");
    }
    let fewer = Found { partitions: 1, ..with("x", "") };
    let refused = check(fewer).expect_err("topics go in pairs");
    assert!(refused.to_string().contains("t.ledger has 1 partitions"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_drifted_is_refused_and_set_right() {
    let own = Own::applied().await;
    let ledger = format!("{}.ledger", own.prefix);
    own.topics.set_one(&ledger, "cleanup.policy", "compact").await.expect("it is changed");
    let refused = Kafka::open(&brokers(), &own.prefix).await.err().expect("it is drift");
    assert!(refused.to_string().contains("cleanup.policy compact"), "{refused}");
    let done = own.topics.apply(LAYOUT).await.expect("it is set right");
    assert!(matches!(&done[..], [Step::Set { topic, name, .. }] if *topic == ledger && name == "cleanup.policy"));
    own.open().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_stand_apart_from_answers_behind_the_identity_of_the_log() {
    let own = Own::applied().await;
    let log = own.open().await;
    let requests = log.requests().expect("the requests open");
    assert_eq!(requests.id(), log.commands_id());
    let asked = |id: &str| {
        let headers = Headers::request(RecordKind::Command, id.into(), 1, None);
        Record { key: Some("A".into()), headers, value: b"{}"[..].into() }
    };
    let first = requests.put(Topic::Ledger, 0, vec![asked("one"), asked("two")]).await.expect("they are put");
    assert_eq!(first, 1, "the first record is the log's identity");
    assert_eq!(requests.put(Topic::Market, 0, vec![asked("three")]).await.expect("it is put"), 0);
    let mut seen = Vec::new();
    let mut follow = requests.follow(Topic::Ledger, 0, 0);
    while seen.len() < 3 {
        seen.extend(within(follow.next()).await.expect("they are read"));
    }
    let ids: Vec<_> = seen.iter().map(|stored| &*stored.record.headers.ce_id).collect();
    assert_eq!(ids, [&*log.commands_id().to_string(), "one", "two"]);
    assert_eq!(log.tail(Topic::Ledger, 0).await.expect("the end"), 0, "answers are none of them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_partition_is_given_to_one_writer_and_to_another_when_that_leaves() {
    let own = Own::applied().await;
    let log = own.open().await;
    let all: BTreeSet<(Topic, u32)> =
        Topic::ALL.into_iter().flat_map(|topic| (0..PARTITIONS).map(move |p| (topic, p))).collect();
    let join = || {
        let giving = Arc::new(Given::default());
        let given = giving.subscribe();
        (log.join_writers(giving).expect("it joins"), given)
    };
    let (one, mut of_one) = join();
    within(of_one.wait_for(|given| *given == all)).await.expect("all are given to the only one");
    assert!(one.is_in()());
    let (other, mut of_other) = join();
    let has_share = |given: &BTreeSet<(Topic, u32)>| {
        let of = |wanted| given.iter().filter(|(topic, _)| *topic == wanted).count();
        Topic::ALL.into_iter().all(|topic| of(topic).abs_diff(PARTITIONS as usize - of(topic)) <= 1)
    };
    within(of_other.wait_for(has_share)).await.expect("a share of each topic is given to the second");
    within(of_one.wait_for(has_share)).await.expect("the rest of each topic stays with the first");
    let (mine, others) = (of_one.borrow().clone(), of_other.borrow().clone());
    assert_eq!(mine.union(&others).copied().collect::<BTreeSet<_>>(), all);
    tokio::task::spawn_blocking(move || one.leave()).await.expect("it leaves");
    within(of_other.wait_for(|given| *given == all)).await.expect("all are given to the one that stays");
    assert!(other.is_in()());
}
