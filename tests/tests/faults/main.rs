//! Processes around Kafka, PostgreSQL and Redis that die, hang and double at the worst moment, under load: nothing acknowledged
//! is missing, nothing is doubled, what is seen is what was recorded, and nobody has to do anything.
//!
//! `BAHI_SEED` chooses the moments, `BAHI_FAULT_RATE` the orders per second. Each fault waits for the one before it, as
//! they share the services; `make services` starts those.

mod dead;

use dead::{Judge, Place, Writer};
use event_log::Topic;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, RwLock},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tests::{
    Server, binary,
    cluster::{self, Topics},
    load::{Acknowledged, Done, Load, accounts},
    reads::Reads,
    server::token,
    story::{SHARE, list_share},
    wait::wait_at_most,
};

const SEED: u64 = 11;
/// Orders asked for per second, in batches of 100; by `make faults` some more than must be answered.
const RATE: usize = 2_000;
const RATE_MEASURED: usize = 2_400;
/// What must be answered before anything is struck.
const ANSWERED: u64 = 2_000;
/// The longest until every caller has answers again: a writer that died is missed after 6 s.
const RECOVERY: Duration = Duration::from_secs(60);
/// How long the load runs before a fault and after it.
const STEADY_MS: std::ops::Range<u64> = 1_500..3_000;
/// How long a writer is stopped, so that another takes its partitions meanwhile.
const STOPPED: Duration = Duration::from_secs(30);

/// Moments at which a writer is looked at until one is found amid its work, some fifteen on average, and how long it goes
/// on between two.
const MOMENTS_MAX: u32 = 200;
const MOMENT_MS: std::ops::Range<u64> = 20..80;
/// Sleeps until one ends with a dead append: five of fourteen did, by which one test in two hundred would need more.
const SLEEPS_MAX: u32 = 12;

/// Whether a fault is left out here: `make faults` tells all of them, `make test` that of a writer, as all together
/// take minutes.
fn is_left_out(fault: &str) -> bool {
    let left_out = env::var("BAHI_FAULTS").is_err();
    if left_out {
        eprintln!("skipped: {fault}: `make faults` tells it");
    }
    left_out
}

/// One fault at a time: they share the services.
static ONE: Mutex<()> = Mutex::new(());

/// Processes around topics and a database of their own, under load.
struct Cluster {
    folder: TempDir,
    topics: Topics,
    random: StdRng,
    addresses: Arc<RwLock<Vec<String>>>,
    apis: Vec<Server>,
    writers: Vec<Server>,
    projectors: Vec<Server>,
    _only_one: MutexGuard<'static, ()>,
}

const OPEN: [&str; 2] = ["--calendar", "always-open"];
const NO_LIMIT: [(&str, &str); 1] = [("BAHI_REQUESTS_PER_SECOND", "0")];

impl Cluster {
    /// Two of each, and accounts with money.
    fn start(fault: &str) -> Cluster {
        let only_one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let seed = env::var("BAHI_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(SEED);
        eprintln!("{fault}: BAHI_SEED={seed}");
        let folder = tempfile::tempdir().expect("a folder can be made");
        let topics = Topics::of(folder.path());
        let mut cluster = Cluster {
            folder,
            topics,
            random: StdRng::seed_from_u64(seed),
            addresses: Arc::default(),
            apis: Vec::new(),
            writers: Vec::new(),
            projectors: Vec::new(),
            _only_one: only_one,
        };
        for _ in 0..2 {
            cluster.writers.push(cluster.role("writer"));
            cluster.projectors.push(cluster.role("projector"));
            cluster.apis.push(cluster.role("api"));
        }
        *cluster.addresses.write().expect("nobody panics here") = cluster.apis.iter().map(Server::url).collect();
        let operator = cluster.apis[0].operator();
        list_share(&operator, SHARE);
        for account in accounts() {
            operator.post("/v1/accounts", json!({ "account": account })).must_be(201);
            let path = format!("/v1/accounts/{account}/cash/deposits");
            operator.post(&path, json!({ "amount": "100000000.00" })).must_be(201);
        }
        cluster
    }

    fn role(&self, role: &str) -> Server {
        self.topics.role(role, self.folder.path(), &OPEN, &NO_LIMIT)
    }

    /// One that writes every partition, whatever the group says.
    fn forced_writer(&self) -> Server {
        let args = [&OPEN[..], &["--every-partition"]].concat();
        self.topics.role("writer", self.folder.path(), &args, &NO_LIMIT)
    }

    fn load(&self) -> Load {
        let rate = env::var("BAHI_FAULT_RATE").ok().and_then(|text| text.parse().ok());
        let rate = rate.unwrap_or(if is_measured() { RATE_MEASURED } else { RATE });
        let accounts = accounts();
        let accounts: Vec<&str> = accounts.iter().map(String::as_str).collect();
        let client = token(self.folder.path(), "client", &accounts, &[]);
        Load::begin(Arc::clone(&self.addresses), &client, rate)
    }

    /// Lets the load run for a while that the seed chooses.
    fn steady(&mut self, load: &Load) {
        let before = load.acknowledged();
        wait_at_most(RECOVERY, "the load to be answered", || (load.acknowledged() > before).then_some(()));
        thread::sleep(Duration::from_millis(self.random.random_range(STEADY_MS)));
    }

    /// Lets the load run for a while that the seed chooses, and looks that enough orders are answered a second by then.
    fn loaded(&mut self, fault: &str, load: &Load) {
        self.steady(load);
        let (began, before) = (Instant::now(), load.acknowledged());
        self.steady(load);
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let rate = (load.acknowledged() - before) * 1_000 / millis.max(1);
        eprintln!("{fault}: {rate} orders answered a second before it");
        assert!(rate >= ANSWERED || !is_measured(), "{rate} orders a second are too few");
    }

    /// Waits until every caller has answers again, and says how long that took.
    fn recovered(&self, load: &Load, since: Instant) -> Duration {
        wait_at_most(RECOVERY, "every caller to be answered again", || load.all_answered_since(since).then_some(()));
        since.elapsed()
    }

    /// Ends the load, and holds what was acknowledged against the ledger and against what is seen.
    fn holds(self, fault: &str, load: Load, recovered: Duration) -> Held {
        let Done { acknowledged, per_second, longest } = load.end();
        let (recorded, entries) = self.recorded();
        for (key, answered) in &acknowledged {
            let found = recorded.get(key).unwrap_or_else(|| panic!("{key} was answered {answered:?}: not recorded"));
            assert_eq!(found, answered, "{key} was answered otherwise than it is recorded");
        }
        let refused = acknowledged.values().filter(|answered| answered.status == 422).count();
        assert!(refused * 2 < acknowledged.len(), "a load of refusals: {refused} of {}", acknowledged.len());
        // What was sent and not answered in time may be recorded too, as late as now, and nothing else.
        assert!(recorded.len() >= acknowledged.len());
        let (clean, dead) = wait_at_most(RECOVERY, "all rows to be there", || {
            let Verified { clean, entries: verified, dead } = self.verified();
            (verified == entries).then_some((clean, dead))
        });
        eprintln!(
            "{fault}: {} orders acknowledged at {per_second} per second, all recorded once; answered again after \
             {:.1} s, the longest wait of a caller {:.1} s; {clean}",
            acknowledged.len(),
            recovered.as_secs_f64(),
            longest.as_secs_f64(),
        );
        Held { dead, recovered }
    }

    /// The rows that an api shows held against the log, as far as they are.
    fn verified(&self) -> Verified {
        let token = token(self.folder.path(), "auditor", &[], &[]);
        let url = self.apis.last().expect("an api").url();
        let words = ["verify", "--redecide", "--url", &url, "--token", &token];
        let mut verify = binary::command(words.into_iter().chain(self.topics.flags()));
        let limit = Duration::from_secs(300);
        let told = binary::finish_within(limit, verify.stdout(Stdio::piped()).stderr(Stdio::piped())).succeeded();
        assert!(told.contains("live rows equal a cold replay"), "{told}");
        let clean = told.lines().find(|line| line.starts_with("clean: ")).unwrap_or_else(|| panic!("{told}"));
        let counted = |what: &str| {
            let before = clean.split_once(what).and_then(|(before, _)| before.rsplit(' ').next()?.parse().ok());
            before.unwrap_or_else(|| panic!("{told}"))
        };
        Verified { clean: clean.to_owned(), entries: counted(" entries"), dead: counted(" dead") }
    }

    /// What was recorded of each order, as it is answered, by its key, each once; and how many entries there are.
    fn recorded(&self) -> (BTreeMap<String, Acknowledged>, u64) {
        let out = self.folder.path().join("export");
        let path = out.to_str().expect("UTF-8");
        let words = ["export", "--format", "jsonl", "--out", path];
        let mut export = binary::command(words.into_iter().chain(self.topics.flags()));
        let limit = Duration::from_secs(300);
        binary::finish_within(limit, export.stdout(Stdio::piped()).stderr(Stdio::piped())).succeeded();
        let entries = fs::File::open(out.join("entries.jsonl")).expect("entries are exported");
        let (mut recorded, mut count) = (BTreeMap::new(), 0);
        for line in BufReader::new(entries).lines() {
            count += 1;
            let line: Value = serde_json::from_str(&line.expect("a line")).expect("a line of JSON");
            let entry = &line["entry"];
            if entry["command"]["kind"] != "place_order" || entry["outcome"] == "repeat" {
                continue;
            }
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            let (key, account) = (text(&entry["command"]["id"]), text(&entry["account"]));
            let seq = entry["seq"].as_u64().expect("a number");
            let status = if entry["outcome"] == "accepted" { 201 } else { 422 };
            let before = recorded.insert(key.clone(), Acknowledged { account, status, seq });
            assert_eq!(before, None, "{key} was decided twice");
        }
        (recorded, count)
    }
}

/// Whether this is `make faults`, in release and with the machine to itself: there the limits are those promised.
fn is_measured() -> bool {
    env::var("BAHI_FAULTS").is_ok_and(|faults| faults == "all")
}

/// What `bahi verify` says of the log as far as the rows are.
struct Verified {
    clean: String,
    entries: u64,
    dead: u64,
}

struct Held {
    dead: u64,
    recovered: Duration,
}

/// A service killed and started again, as whoever watches over it would.
fn kill_and_restart(service: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/local/services");
    for what in ["kill", "up"] {
        // What it starts goes on after it, and must hold no pipe of ours.
        let run = Command::new(script).args([what, service]).stdin(Stdio::null()).stdout(Stdio::null()).status();
        let ended = run.expect("the script of the services can be started");
        assert!(ended.success(), "{service} was not brought to '{what}'");
    }
}

/// A load, a fault in the middle of it, and what must hold afterwards.
fn tell(fault: &str, strike: impl FnOnce(&mut Cluster) -> Instant) -> Held {
    let mut cluster = Cluster::start(fault);
    let load = cluster.load();
    cluster.loaded(fault, &load);
    let since = strike(&mut cluster);
    let recovered = cluster.recovered(&load, since);
    cluster.steady(&load);
    cluster.holds(fault, load, recovered)
}

/// Takes out one of two, as the seed says, and strikes it.
fn strike_one(random: &mut StdRng, two: &mut Vec<Server>, strike: impl FnOnce(Server)) -> Instant {
    let victim = two.remove(random.random_range(0..2));
    let when = Instant::now();
    strike(victim);
    when
}

#[test]
fn a_writer_that_is_killed_is_taken_over() {
    let held = tell("kill -9 of a writer", |cluster| {
        strike_one(&mut cluster.random, &mut cluster.writers, |mut writer| writer.kill_9())
    });
    let limit = if is_measured() { 10 } else { 20 };
    assert!(held.recovered < Duration::from_secs(limit), "a takeover took {:?}", held.recovered);
}

#[test]
fn a_writer_that_is_told_to_stop_hands_over_at_once() {
    let fault = "SIGTERM of a writer";
    if is_left_out(fault) {
        return;
    }
    let held = tell(fault, |cluster| {
        strike_one(&mut cluster.random, &mut cluster.writers, |writer| assert!(writer.stop().success()))
    });
    let limit = if is_measured() { 3 } else { 10 };
    assert!(held.recovered < Duration::from_secs(limit), "a hand-over took {:?}", held.recovered);
}

#[test]
fn a_projector_that_is_killed_is_taken_over() {
    let fault = "kill -9 of a projector";
    if !is_left_out(fault) {
        tell(fault, |cluster| {
            strike_one(&mut cluster.random, &mut cluster.projectors, |mut projector| projector.kill_9())
        });
    }
}

#[test]
fn callers_of_an_api_that_is_killed_go_to_another() {
    let fault = "kill -9 of an api";
    if !is_left_out(fault) {
        tell(fault, |cluster| strike_one(&mut cluster.random, &mut cluster.apis, |mut api| api.kill_9()));
    }
}

#[test]
fn a_broker_that_is_killed_and_comes_back_has_lost_nothing() {
    let fault = "kill -9 of Kafka";
    if !is_left_out(fault) {
        tell(fault, |_| {
            kill_and_restart("kafka");
            Instant::now()
        });
    }
}

#[test]
fn a_database_that_is_killed_and_comes_back_stops_no_writer_and_loses_no_row() {
    let fault = "kill -9 of PostgreSQL";
    if !is_left_out(fault) {
        tell(fault, |_| {
            kill_and_restart("postgres");
            Instant::now()
        });
    }
}

/// Accounts answered from Redis so far, by all apis.
fn answered_from_redis(apis: &[Server]) -> u64 {
    let of = |api: &Server| {
        let counted = api.anybody().get("/metrics").text;
        let hits = counted.lines().find_map(|line| line.strip_prefix("bahi_redis_reads_total{outcome=\"hit\"} "));
        hits.and_then(|hits| hits.parse::<u64>().ok()).unwrap_or_default()
    };
    apis.iter().map(of).sum()
}

/// A fault of Redis in the middle of a load while somebody reads: no read fails or shows less than one before it, and
/// afterwards accounts are answered from Redis again.
fn tell_of_redis(fault: &str, strike: impl FnOnce()) {
    let mut cluster = Cluster::start(fault);
    let load = cluster.load();
    let token = token(cluster.folder.path(), "auditor", &[], &[]);
    let reads = Reads::begin(cluster.apis.iter().map(Server::url).collect(), &token);
    let is_used = |apis: &[Server]| {
        let before = answered_from_redis(apis);
        wait_at_most(RECOVERY, "accounts to be answered from Redis", || {
            (answered_from_redis(apis) > before + 100).then_some(())
        });
    };
    is_used(&cluster.apis);
    cluster.loaded(fault, &load);
    let when = Instant::now();
    strike();
    let recovered = cluster.recovered(&load, when);
    cluster.steady(&load);
    is_used(&cluster.apis);
    let reads = reads.end();
    eprintln!("{fault}: {reads} reads, {} answered from Redis", answered_from_redis(&cluster.apis));
    cluster.holds(fault, load, recovered);
}

#[test]
fn a_redis_that_is_killed_and_comes_back_empty_changes_no_answer() {
    let fault = "kill -9 of Redis";
    if !is_left_out(fault) {
        tell_of_redis(fault, || kill_and_restart("redis"));
    }
}

#[test]
fn a_redis_that_is_emptied_changes_no_answer() {
    let fault = "FLUSHALL on Redis";
    if !is_left_out(fault) {
        tell_of_redis(fault, || {
            let emptied = Command::new("redis-cli").args(["-u", &cluster::redis(), "flushall"]).output();
            assert_eq!(emptied.expect("redis-cli can be started").stdout, b"OK\n");
        });
    }
}

/// Commands of the ledger that a writer has answered so far, by partition: which partitions it has shows in that they
/// grow.
fn answered_by(writer: &Server) -> BTreeMap<u32, u64> {
    let mut answered = BTreeMap::new();
    for line in writer.anybody().get("/metrics").text.lines() {
        let of_ledger = line.strip_prefix("bahi_commands_total{").filter(|line| line.contains("topic=\"bahi.ledger\""));
        let Some((labels, count)) = of_ledger.and_then(|line| line.rsplit_once(' ')) else { continue };
        let partition = labels.split_once("partition=\"").and_then(|(_, rest)| rest.split_once('"')?.0.parse().ok());
        *answered.entry(partition.expect("a partition")).or_default() += count.parse::<u64>().expect("a count");
    }
    answered
}

/// Takes out one of the two writers, as the seed says, once both answer commands; and the partitions of the ledger whose
/// commands it answers.
fn take_one(cluster: &mut Cluster) -> (Server, BTreeSet<Place>) {
    let before: Vec<_> = cluster.writers.iter().map(answered_by).collect();
    let mut served = wait_at_most(RECOVERY, "each writer to answer commands", || {
        let served = cluster.writers.iter().zip(&before).map(|(writer, before)| {
            let grown = answered_by(writer).into_iter().filter(|(of, count)| before.get(of) < Some(count));
            grown.map(|(of, _)| (Topic::Ledger, of)).collect::<BTreeSet<Place>>()
        });
        let served: Vec<_> = served.collect();
        served.iter().all(|places| !places.is_empty()).then_some(served)
    });
    let chosen = cluster.random.random_range(0..served.len());
    (cluster.writers.remove(chosen), served.remove(chosen))
}

/// Stops a writer amid its work: there are commands in its partitions that it has not answered, nor will while it sleeps.
/// One that is idle goes on at once, and nobody has missed it.
fn put_to_sleep_amid_work(
    cluster: &mut Cluster,
    judge: &mut Judge,
    (writer, places): (&Server, &BTreeSet<Place>),
) -> Instant {
    for _ in 0..MOMENTS_MAX {
        writer.signal("STOP");
        let when = Instant::now();
        if !judge.unanswered().is_disjoint(places) {
            return when;
        }
        writer.signal("CONT");
        thread::sleep(Duration::from_millis(cluster.random.random_range(MOMENT_MS)));
    }
    panic!("a writer under load was idle {MOMENTS_MAX} times");
}

/// Both are ordinary members of the group. The one that wakes appends what it had decided and not yet sent, or had
/// fetched and not yet decided, unless the group or a lost connection tells it first that it was gone; which of them is
/// first is a matter of microseconds that nobody can choose. So it sleeps at a moment at which it has something to answer,
/// and another time if it woke too well informed.
#[test]
fn a_writer_that_wakes_after_others_took_its_partitions_changes_nothing() {
    let fault = "SIGSTOP of a writer for 30 s, then SIGCONT";
    if is_left_out(fault) {
        return;
    }
    let mut cluster = Cluster::start(fault);
    let load = cluster.load();
    cluster.loaded(fault, &load);
    let mut judge = Judge::of(&cluster.topics);
    let (mut longest, mut of_sleepers) = (Duration::ZERO, 0);
    for sleep in 1..=SLEEPS_MAX {
        let (sleeper, places) = take_one(&mut cluster);
        let before = judge.holders();
        let when = put_to_sleep_amid_work(&mut cluster, &mut judge, (&sleeper, &places));
        longest = longest.max(cluster.recovered(&load, when));
        thread::sleep(STOPPED.saturating_sub(when.elapsed()));
        let after = judge.holders();
        let taken: BTreeSet<Writer> =
            before.into_iter().filter(|(place, writer)| after[place] != *writer).map(|(_, writer)| writer).collect();
        assert!(!taken.is_empty(), "nobody took its partitions");
        sleeper.signal("CONT");
        cluster.recovered(&load, Instant::now());
        cluster.steady(&load);
        of_sleepers = judge.dead_of(&taken);
        eprintln!("{fault}: sleep {sleep}: {of_sleepers} entries of the sleeper are dead");
        cluster.writers.push(sleeper);
        if of_sleepers > 0 {
            break;
        }
    }
    let held = cluster.holds(fault, load, longest);
    assert!(of_sleepers >= 1, "nothing that a woken writer appended was dead by the rule");
    assert!(held.dead >= of_sleepers, "verify counts {} dead, of which {of_sleepers} are the sleeper's", held.dead);
}

#[test]
fn two_writers_that_are_forced_on_the_same_partitions_change_nothing_twice() {
    let fault = "two writers forced on every partition";
    if is_left_out(fault) {
        return;
    }
    let held = tell(fault, |cluster| {
        let when = Instant::now();
        let forced = cluster.forced_writer();
        cluster.writers.push(forced);
        when
    });
    assert!(held.dead >= 1, "they never met");
}
