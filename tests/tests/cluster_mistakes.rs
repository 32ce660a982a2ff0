//! What is wrong around the processes of a cluster is said in one line with what to do, and loses nothing.

use serde_json::json;
use std::{
    collections::BTreeSet,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};
use tempfile::TempDir;
use tests::{
    binary::{self, Ran, profile_folder},
    cluster::{Topics, brokers},
    wait_until,
};

/// Nothing listens there.
const NOWHERE: &str = "127.0.0.1:1";
/// All that serve around Kafka.
const ROLES: [&str; 4] = ["api", "writer", "projector", "venue"];

/// Topics, a database, and a folder for the key.
struct Around {
    topics: Topics,
    folder: TempDir,
}

impl Around {
    fn new() -> Around {
        let folder = tempfile::tempdir().expect("a folder can be made");
        Around { topics: Topics::of(folder.path()), folder }
    }

    /// A role that must not start, over these brokers and this database.
    fn role_over(&self, role: &str, brokers: &str, database: &str) -> Ran {
        let data = self.folder.path().to_str().expect("UTF-8");
        let words = [role, "--listen", "127.0.0.1:0", "--brokers", brokers, "--topic-prefix", self.topics.prefix()];
        let mut command = binary::command(words);
        command.env("BAHI_POSTGRES_URL", database);
        if role == "api" {
            command.args(["--data", data]);
        }
        binary::finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
    }

    /// The same over the database's server, of which this is asked instead.
    fn database(&self, name: &str) -> String {
        let (server, _) = self.topics.database().rsplit_once('/').expect("a URL that ends with a database");
        format!("{server}/{name}")
    }
}

/// The last line that a start said, which failed.
#[track_caller]
fn refused(ran: Ran) -> String {
    let said = ran.failed();
    let line = said.lines().last().expect("a line").to_owned();
    assert!(line.starts_with("bahi: "), "{said}");
    line
}

/// One of the tools that come with Kafka, as `make services` has them.
fn kafka_tool(class: &str, args: &[&str], input: &str) {
    let lib: PathBuf = profile_folder().join("../services/kafka/lib/*");
    let mut command = Command::new("java");
    command.arg("-cp").arg(lib).arg(class).args(["--bootstrap-server", &brokers()]).args(args);
    let mut tool = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("java can be started");
    tool.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("the tool reads");
    assert!(tool.wait().expect("a child can be waited for").success(), "{class} failed: `make services` has its jars");
}

#[test]
fn brokers_that_are_not_there_are_named_by_every_role() {
    let around = Around::new();
    for role in ROLES {
        let said = refused(around.role_over(role, NOWHERE, around.topics.database()));
        assert!(said.contains(NOWHERE) && said.contains("check that they run"), "{role}: {said}");
    }
    let said = refused(binary::run(["verify", "--brokers", NOWHERE]));
    assert!(said.contains(NOWHERE), "{said}");
}

#[test]
fn a_database_that_is_down_absent_or_without_tables_is_named_with_what_to_do() {
    let around = Around::new();
    let bare = format!("{}_bare", around.topics.prefix());
    let mut make = Command::new("psql");
    make.args(["--quiet", "--dbname", around.topics.database(), "--command", &format!("create database {bare}")]);
    binary::finish(make.stdout(Stdio::piped()).stderr(Stdio::piped())).succeeded();
    let secret = "postgres://bahi:quietly@127.0.0.1:1/bahi".to_owned();
    let cases = [
        (secret, "cannot be reached"),
        (around.database("no_such_database"), "does not exist; check the URL"),
        (around.database(&bare), "run `bahi migrate`"),
        ("nonsense".to_owned(), "postgres://role:password@host:port/name"),
    ];
    for (url, wanted) in &cases {
        for role in ROLES {
            let said = refused(around.role_over(role, &brokers(), url));
            assert!(said.contains(wanted) && !said.contains("quietly"), "{role}: {said}");
        }
    }
    // Another ledger's rows are not shown as this one's.
    let projector = around.topics.role("projector", around.folder.path(), &[], &[]);
    assert!(projector.stop().success());
    let other = Around::new();
    let said = refused(other.role_over("projector", &brokers(), around.topics.database()));
    assert!(said.contains("views are of another log"), "{said}");
}

#[test]
fn topics_that_are_missing_or_have_more_partitions_than_they_had_are_refused_by_name() {
    let around = Around::new();
    let flags = ["verify", "--brokers", &brokers(), "--topic-prefix", "no_such_ledger"];
    let said = refused(binary::run(flags));
    assert!(said.contains("no_such_ledger.commands is not there: `bahi topics apply` makes it"), "{said}");
    let ledger = format!("{}.ledger", around.topics.prefix());
    kafka_tool("org.apache.kafka.tools.TopicCommand", &["--alter", "--topic", &ledger, "--partitions", "3"], "");
    for role in ROLES {
        let said = refused(around.role_over(role, &brokers(), around.topics.database()));
        assert!(said.contains(&format!("{ledger} has 3 partitions, wanted are 2")), "{role}: {said}");
    }
}

#[test]
fn a_foreign_record_stops_its_partition_by_name_and_loses_nothing() {
    let around = Around::new();
    let args = ["--calendar", "always-open"];
    let quick = [("BAHI_LAG_MAX_MS", "1000"), ("BAHI_WAIT_MS", "3000")];
    let role = |role: &str| around.topics.role(role, around.folder.path(), &args, &quick);
    let [writer, projector, venue, api] = ["writer", "projector", "venue", "api"].map(role);
    let operator = api.operator();
    let cash = |account: &str| format!("/v1/accounts/{account}/cash");
    let accounts: Vec<String> = (0..8).map(|number| format!("F{number}")).collect();
    for account in &accounts {
        operator.post("/v1/accounts", json!({ "account": account })).must_be(201);
        operator.post(&format!("{}/deposits", cash(account)), json!({ "amount": "100.00" })).must_be(201);
    }
    // Asked while the writer sleeps, so that it has something to answer in every partition once the record is there.
    writer.signal("STOP");
    let deposit =
        |account: &String| operator.post(&format!("{}/deposits", cash(account)), json!({ "amount": "1.00" })).status;
    let answered: Vec<u16> = thread::scope(|scope| {
        let asked: Vec<_> = accounts.iter().map(|account| scope.spawn(|| deposit(account))).collect();
        asked.into_iter().map(|asked| asked.join().expect("no caller panics")).collect()
    });
    assert!(answered.iter().all(|status| *status == 202), "{answered:?}");
    let topic = format!("{}.ledger", around.topics.prefix());
    kafka_tool("org.apache.kafka.tools.ConsoleProducer", &["--topic", &topic], "from somebody else\n");
    writer.signal("CONT");
    // What was recorded is there, and the other partition goes on.
    let settled = |account: &String| operator.get(&cash(account)).text_at("/settled").to_owned();
    wait_until("the other partition to go on", || {
        accounts.iter().any(|account| settled(account) == "101.00").then_some(())
    });
    let answers = "answers can be read no further";
    let all = [(&writer, "not served"), (&projector, "behind"), (&venue, answers), (&api, answers)];
    for (server, word) in all {
        wait_until("a process that cannot go on to say so", || {
            let reply = server.anybody().try_get("/readyz")?;
            (reply.status == 503 && reply.text.contains(word)).then_some(())
        });
    }
    let settled: BTreeSet<String> = accounts.iter().map(settled).collect();
    assert_eq!(settled.iter().map(String::as_str).collect::<Vec<_>>(), ["100.00", "101.00"]);
    let told = [&writer, &projector].map(|server| server.last_words());
    for words in &told {
        assert!(words.contains("is not a record of Bahi") && words.contains("docs/OPERATING.md"), "{words}");
    }
    for said in [
        binary::run(["verify"].into_iter().chain(around.topics.flags())),
        around.role_over("venue", &brokers(), around.topics.database()),
        around.role_over("api", &brokers(), around.topics.database()),
    ] {
        let said = refused(said);
        assert!(said.contains("is not a record of Bahi"), "{said}");
    }
    for server in [api, venue, projector, writer] {
        assert!(server.stop().success());
    }
}
