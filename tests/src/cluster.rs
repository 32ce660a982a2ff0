//! The same product as processes around Kafka: a story that is told of `bahi serve` is told of these instead when
//! `BAHI_TESTS_ON` is `cluster`. `make services` starts the broker.

use crate::{Server, binary};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Where `make services` starts a broker; another is named by `BAHI_KAFKA_BROKERS`.
const BROKERS: &str = "127.0.0.1:29092";
/// Where it starts a database; another is named by `BAHI_POSTGRES_URL`.
const POSTGRES: &str = "postgres://bahi@127.0.0.1:25432/bahi";
/// Where it starts Redis; another is named by `BAHI_REDIS_URL`.
const REDIS: &str = "redis://127.0.0.1:26379/0";
/// The file in a story's folder that says what its topics are called.
const PREFIX_FILE: &str = "topic-prefix";
/// More than one, so that accounts are written by different writers.
pub const PARTITIONS: usize = 2;

/// Whether stories are told of processes around Kafka.
pub fn is_wanted() -> bool {
    env::var("BAHI_TESTS_ON").is_ok_and(|on| on == "cluster")
}

/// Some of the brokers.
pub fn brokers() -> String {
    env::var("BAHI_KAFKA_BROKERS").unwrap_or_else(|_| BROKERS.to_owned())
}

/// The database's server.
fn postgres() -> String {
    env::var("BAHI_POSTGRES_URL").unwrap_or_else(|_| POSTGRES.to_owned())
}

/// The Redis that all stories share.
pub fn redis() -> String {
    env::var("BAHI_REDIS_URL").unwrap_or_else(|_| REDIS.to_owned())
}

/// Topics and a database of their own, and the flags that name them.
#[derive(Clone)]
pub struct Topics {
    brokers: String,
    prefix: String,
    database: String,
}

impl Topics {
    /// Those of a story's folder, made for it if it has none.
    ///
    /// # Panics
    /// When they cannot be made.
    #[track_caller]
    pub fn of(data: &Path) -> Topics {
        let file: PathBuf = data.join(PREFIX_FILE);
        if let Ok(prefix) = fs::read_to_string(&file) {
            return Topics::called(prefix);
        }
        let topics = Topics::called(format!("story_{:032x}", rand::random::<u128>()));
        let partitions = PARTITIONS.to_string();
        let layout = ["--partitions", &partitions, "--replication", "1", "--min-in-sync", "1"];
        let Topics { brokers, prefix, database } = &topics;
        let words = ["topics", "apply", "--brokers", brokers, "--prefix", prefix].into_iter().chain(layout);
        binary::run(words).succeeded();
        let make = format!("create database {prefix}");
        let mut made = Command::new("psql");
        made.args(["--quiet", "--dbname", &postgres(), "--command", &make]);
        binary::finish(made.stdout(Stdio::piped()).stderr(Stdio::piped())).succeeded();
        binary::run(["migrate", "--postgres-url", database]).succeeded();
        fs::create_dir_all(data).expect("the story's folder can be made");
        fs::write(&file, prefix).expect("the story's folder can be written");
        topics
    }

    fn called(prefix: String) -> Topics {
        let server = postgres();
        let (server, _) = server.rsplit_once('/').expect("a URL that ends with a database");
        Topics { brokers: brokers(), database: format!("{server}/{prefix}"), prefix }
    }

    /// What its topics are called before their dot.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The URL of its database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// As every role and every reading subcommand takes them.
    pub fn flags(&self) -> [&str; 4] {
        ["--brokers", &self.brokers, "--topic-prefix", &self.prefix]
    }

    /// A process of this role, ready.
    ///
    /// # Panics
    /// When it does not get ready.
    #[track_caller]
    pub fn role(&self, role: &str, data: &Path, args: &[&str], variables: &[(&str, &str)]) -> Server {
        let mut command = self.command(role, data, args, variables);
        command.env("BAHI_POSTGRES_URL", &self.database).env("BAHI_REDIS_URL", redis());
        Server::spawn(&mut command, data.to_path_buf())
    }

    /// An api without a database, which folds the whole ledger into memory, ready.
    ///
    /// # Panics
    /// When it does not get ready.
    #[track_caller]
    pub fn api_in_memory(&self, data: &Path, args: &[&str], variables: &[(&str, &str)]) -> Server {
        Server::spawn(&mut self.command("api", data, args, variables), data.to_path_buf())
    }

    fn command(&self, role: &str, data: &Path, args: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = binary::command([role, "--listen", "127.0.0.1:0"]);
        command.args(self.flags()).args(args).envs(variables.iter().copied());
        if role == "api" {
            command.arg("--data").arg(data);
        }
        command
    }
}
