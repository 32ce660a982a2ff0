//! A view rebuilt around Kafka and PostgreSQL while orders come and accounts are read: nobody is told to wait, whatever is
//! killed meanwhile, and damaged rows are mended. `make services` starts the services.

use serde_json::json;
use std::{
    io::{Read, Write},
    iter,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use tempfile::TempDir;
use tests::{
    Client, Server,
    binary::{self, Ran},
    cluster::Topics,
    load::{Load, accounts},
    server::token,
    story::{SHARE, list_share},
    wait::wait_at_most,
};

/// Orders per second, in batches of 100.
const RATE: usize = 1_000;
/// No step takes longer, on any machine that builds this.
const LIMIT: Duration = Duration::from_secs(120);
const OPEN: [&str; 2] = ["--calendar", "always-open"];
const NO_LIMIT: [(&str, &str); 1] = [("BAHI_REQUESTS_PER_SECOND", "0")];

/// An api, a writer and a projector under load.
struct Story {
    folder: TempDir,
    topics: Topics,
    api: Server,
    _writer: Server,
    load: Option<Load>,
}

impl Story {
    fn begin() -> (Story, Server) {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let topics = Topics::of(folder.path());
        let role = |role| topics.role(role, folder.path(), &OPEN, &NO_LIMIT);
        let (writer, projector, api) = (role("writer"), role("projector"), role("api"));
        let operator = api.operator();
        list_share(&operator, SHARE);
        for account in accounts() {
            operator.post("/v1/accounts", json!({ "account": account })).must_be(201);
            let path = format!("/v1/accounts/{account}/cash/deposits");
            operator.post(&path, json!({ "amount": "100000000.00" })).must_be(201);
        }
        let names = accounts();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let client = token(folder.path(), "client", &names, &[]);
        let load = Load::begin(Arc::new(RwLock::new(vec![api.url()])), &client, RATE);
        let story = Story { folder, topics, api, _writer: writer, load: Some(load) };
        story.steady();
        (story, projector)
    }

    fn projector(&self) -> Server {
        self.topics.role("projector", self.folder.path(), &OPEN, &NO_LIMIT)
    }

    /// Waits until another thousand orders are answered.
    fn steady(&self) {
        let load = self.load.as_ref().expect("it runs");
        let before = load.acknowledged();
        wait_at_most(LIMIT, "the load to be answered", || (load.acknowledged() > before + 1_000).then_some(()));
    }

    fn rebuild(&self, args: &[&str]) -> Command {
        let mut command = binary::command(["rebuild"].iter().chain(args));
        command.args(self.topics.flags()).env("BAHI_POSTGRES_URL", self.topics.database());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn rebuilt(&self, args: &[&str]) -> Ran {
        binary::finish_within(LIMIT, &mut self.rebuild(args))
    }

    /// A rebuild of orders that is killed at its last step, which somebody who reads the whole table keeps it from.
    fn rebuild_is_killed_at_its_end(&self) {
        let reader = Reader::of("orders", self);
        let mut killed = self.rebuild(&["orders"]).spawn().expect("bahi can be started");
        let waits = "mode = 'AccessExclusiveLock' and not granted";
        wait_at_most(LIMIT, "the rebuild to switch", || self.is_locked(waits).then_some(()));
        binary::kill_9(&mut killed);
        drop(reader);
    }

    /// The same rebuild before a person who watches a terminal: what is seen there, as it comes.
    fn rebuild_on_a_terminal(&self, args: &[&str]) -> Watched {
        let command = self.rebuild(args);
        let words = iter::once(command.get_program()).chain(command.get_args());
        let quoted: Vec<String> = words.map(|word| format!("'{}'", word.to_str().expect("UTF-8"))).collect();
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &quoted.join(" "), "/dev/null"]);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        Watched::start(script.stdin(Stdio::null()).stdout(Stdio::piped()))
    }

    /// What a person could do to the database.
    fn sql(&self, sql: &str) -> String {
        let mut psql = Command::new("psql");
        psql.args(["--quiet", "--no-align", "--tuples-only", "--dbname", self.topics.database(), "--command", sql]);
        binary::finish(psql.stdout(Stdio::piped()).stderr(Stdio::piped())).succeeded().trim().to_owned()
    }

    /// Whether there is such a lock in this database: the server tells those of all, and another test has its own.
    fn is_locked(&self, such: &str) -> bool {
        let here = "(select oid from pg_database where datname = current_database())";
        self.sql(&format!("select count(*) from pg_locks where database = {here} and {such}")) != "0"
    }

    /// What is shown, held against the log.
    fn verified(&self) -> Ran {
        let token = token(self.folder.path(), "auditor", &[], &[]);
        let url = self.api.url();
        let words = ["verify", "--url", &url, "--token", &token];
        let mut verify = binary::command(words.into_iter().chain(self.topics.flags()));
        binary::finish_within(LIMIT, verify.stdout(Stdio::piped()).stderr(Stdio::piped()))
    }
}

/// A program on a terminal, and what is seen there.
struct Watched {
    child: Child,
    seen: Arc<Mutex<String>>,
    reading: thread::JoinHandle<()>,
}

impl Watched {
    fn start(command: &mut Command) -> Watched {
        let mut child = command.spawn().expect("script can be started");
        let mut terminal = child.stdout.take().expect("it is piped");
        let seen = Arc::<Mutex<String>>::default();
        let shown = Arc::clone(&seen);
        let reading = thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(count @ 1..) = terminal.read(&mut bytes) {
                shown.lock().expect("nobody panics here").push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Watched { child, seen, reading }
    }

    fn seen(&self) -> String {
        self.seen.lock().expect("nobody panics here").clone()
    }

    /// All that was seen, once the program has succeeded.
    fn succeeded(mut self) -> String {
        let ended = wait_at_most(LIMIT, "the program to end", || self.child.try_wait().expect("a child can be asked"));
        self.reading.join().expect("it reads to the end");
        let seen = self.seen.lock().expect("nobody panics here").clone();
        assert!(ended.success(), "{seen}");
        seen
    }
}

/// Somebody who has a transaction open for long: who reads a table, so that nothing can take its place, or keeps a row.
struct Reader(Child);

impl Reader {
    fn of(table: &str, story: &Story) -> Reader {
        Reader::asking(table, &format!("select count(*) from {table}"), story)
    }

    /// The same by another question about a table.
    fn asking(table: &str, question: &str, story: &Story) -> Reader {
        let mut psql = Command::new("psql");
        psql.args(["--quiet", "--no-align", "--tuples-only", "--dbname", story.topics.database()]);
        let mut child = psql.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("psql can be started");
        let input = child.stdin.as_mut().expect("it is piped");
        writeln!(input, "set idle_in_transaction_session_timeout = 0; begin; {question};").expect("psql reads");
        let reads = format!("relation = '{table}'::regclass and granted");
        wait_at_most(LIMIT, "the table to be read", || story.is_locked(&reads).then_some(()));
        Reader(child)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        binary::kill_9(&mut self.0);
    }
}

/// Somebody who reads an account all the time; every question must be answered.
fn reading(client: Client) -> (Arc<AtomicBool>, thread::JoinHandle<usize>) {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let reading = thread::spawn(move || {
        let mut answers = 0;
        while !told.load(Ordering::Relaxed) {
            for what in ["orders", "cash", "portfolio"] {
                client.get(&format!("/v1/accounts/L1/{what}")).must_be(200);
                answers += 1;
            }
        }
        answers
    });
    (stop, reading)
}

#[test]
fn a_view_is_rebuilt_while_it_is_read_whoever_dies_and_its_damage_is_mended() {
    let (mut story, mut projector) = Story::begin();
    let (stop, reading) = reading(story.api.operator());

    story.rebuild_is_killed_at_its_end();
    projector.kill_9();
    let filled = story.sql("select sum(next_offset) > 1000 from next_orders.checkpoints");
    assert_eq!(filled, "t", "what it has filled is there");
    let projector = story.projector();
    story.steady();

    let out = story.rebuilt(&["orders"]).succeeded();
    assert!(out.contains("going on after "), "{out}");
    assert!(out.contains("as the live rows at the same position") && out.contains("switched:"), "{out}");
    eprintln!("{out}");
    story.steady();
    let out = story.rebuilt(&["all"]).succeeded();
    eprintln!("{out}");
    story.steady();
    for _ in 0..2 {
        let out = story.rebuilt(&["orders", "--rollback"]).succeeded();
        assert!(out.contains("as the live rows at the same position"), "{out}");
        story.steady();
    }

    // Rows that nobody folded.
    story.sql("delete from orders where account = 'L2'");
    story.sql("update orders set row = (select row from orders where account = 'L3' limit 1) where account = 'L4'");
    assert!(story.verified().failed().contains("orders"), "the damage is found");
    let refused = story.rebuilt(&["orders"]);
    assert!(refused.out.contains("the live rows, not as the log gives them"), "{refused:?}");
    assert!(refused.out.contains("the new rows, as the log gives them"), "{refused:?}");
    assert!(refused.failed().contains("--accept"));
    let out = story.rebuilt(&["orders", "--accept"]).succeeded();
    eprintln!("{out}");
    assert!(out.contains("switched:"), "{out}");
    story.steady();

    stop.store(true, Ordering::Relaxed);
    let answers = reading.join().expect("every question was answered");
    assert!(answers > 100, "only {answers} answers");
    let done = story.load.take().expect("it runs").end();
    eprintln!("{answers} questions answered, {} orders, the longest wait {:?}", done.acknowledged.len(), done.longest);
    assert!(story.verified().succeeded().contains("live rows equal a cold replay"));
    assert!(projector.stop().success());
}

#[test]
fn a_rebuild_shows_a_bar_with_the_time_to_go_on_a_terminal() {
    let (mut story, projector) = Story::begin();
    story.rebuild_is_killed_at_its_end();
    story.steady();
    // Of two partitions one is held up, so that something is done and something is to go for as long as it takes to see.
    let held = "select * from next_orders.checkpoints where topic = 'bahi.ledger' and partition = 0 for update";
    let held = Reader::asking("next_orders.checkpoints", held, &story);
    let terminal = story.rebuild_on_a_terminal(&["orders"]);
    let bar = |seen: &str| {
        let lines: Vec<&str> = seen.split(['\r', '\n']).collect();
        lines.into_iter().rev().find(|line| line.contains(" records, ") && line.contains(" left")).map(str::to_owned)
    };
    let shown = wait_at_most(LIMIT, "a bar on the terminal", || bar(&terminal.seen()));
    drop(held);
    let seen = terminal.succeeded();
    assert!(seen.contains("going on after ") && seen.contains("switched:"), "{seen}");
    eprintln!("{shown}");
    let (_, of) = shown.split_once(" of ").expect("how much there is");
    let all: u64 = of.split_once(" records").expect("of what").0.replace(',', "").parse().expect("a number");
    assert!(all > 1_000 && shown.contains("/s, "), "{shown}");
    story.load.take().expect("it runs").end();
    assert!(story.verified().succeeded().contains("live rows equal a cold replay"));
    assert!(projector.stop().success());
}
