//! The log's topics on a real broker, by the command line.

use tests::binary;
use uuid::Uuid;

/// Where `make services` starts a broker; another is named by `BAHI_KAFKA_BROKERS`.
const BROKERS: &str = "127.0.0.1:29092";

fn brokers() -> String {
    std::env::var("BAHI_KAFKA_BROKERS").unwrap_or_else(|_| BROKERS.to_owned())
}

/// `bahi topics` of a log of its own.
struct Topics {
    brokers: String,
    prefix: String,
}

impl Topics {
    fn new() -> Topics {
        Topics { brokers: brokers(), prefix: format!("outside-{}", Uuid::new_v4().simple()) }
    }

    fn run(&self, what: &str, more: &[&str]) -> binary::Ran {
        let mut words = vec!["topics", what, "--brokers", &self.brokers, "--prefix", &self.prefix];
        words.extend(more);
        binary::run(words)
    }
}

const ONE_BROKER: [&str; 6] = ["--partitions", "2", "--replication", "1", "--min-in-sync", "1"];

#[test]
fn topics_are_planned_made_and_checked() {
    let topics = Topics::new();
    let missing = topics.run("check", &[]).failed();
    assert!(missing.contains("bahi topics apply"), "{missing}");
    let planned = topics.run("plan", &ONE_BROKER).failed();
    assert!(planned.contains("4 to do"), "{planned}");
    let applied = topics.run("apply", &ONE_BROKER).succeeded();
    for name in ["commands", "ledger", "facts", "market"] {
        assert!(applied.contains(&format!("make {}.{name}: 2 partitions", topics.prefix)), "{applied}");
    }
    assert!(topics.run("plan", &ONE_BROKER).succeeded().contains("nothing to do"));
    assert!(topics.run("check", &[]).succeeded().contains("as they have to be"));
    let more = ["--partitions", "3", "--replication", "1", "--min-in-sync", "1"];
    let refused = topics.run("apply", &more).failed();
    assert!(refused.contains("has 2 partitions, wanted are 3"), "{refused}");
    assert!(topics.run("check", &[]).succeeded().contains("as they have to be"), "nothing was changed");
}

#[test]
fn a_broker_that_is_not_there_and_settings_that_cannot_be_are_refused_in_one_line() {
    let nowhere = Topics { brokers: "127.0.0.1:1".to_owned(), ..Topics::new() };
    let refused = nowhere.run("check", &[]).failed();
    assert!(refused.contains("cannot be reached: 127.0.0.1:1"), "{refused}");
    let odd = Topics { prefix: "no/such".to_owned(), ..Topics::new() };
    for (topics, flags, words) in [
        (&Topics::new(), &["--min-in-sync", "4"][..], "--min-in-sync 4 must be at least 1 and at most"),
        (&Topics::new(), &["--partitions", "0"], "--partitions"),
        (&odd, &[], "cannot begin a topic's name"),
    ] {
        let refused = topics.run("plan", flags).failed();
        assert!(refused.contains(words), "should say {words:?}:\n{refused}");
    }
}
