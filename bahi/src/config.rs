//! What `serve` can be told, as one documented struct; opens nothing and starts nothing.
//!
//! Flags win over the environment, which wins over the TOML file that `--config` or `BAHI_CONFIG`
//! names, which wins over the defaults. The table below is the only list of settings: the struct,
//! the flags with their help, the variables and what `check-config` prints are made from it.

use crate::{
    error::Error,
    settings::{Found, Given, Setting},
};
use domain::{calendar::CalendarMode, policy::Policy};
use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

/// The variable of the data folder, also for the subcommands that only need that; `BAHI_DATA` names the tests' files.
pub const DATA_VARIABLE: &str = "BAHI_DATA_DIR";

/// Most partitions a folder may be made with: each has a writer task and a follower of its own.
const PARTITIONS_MAX: u32 = 256;
/// Longest queue of commands that wait for their writer; beyond it memory, not patience, runs out.
const QUEUE_COMMANDS_MAX: usize = 1_000_000;
/// Most books in memory: more than any one process has accounts.
const BOOKS_MAX: u64 = 100_000_000;
/// Most entries between snapshots: keys of all of them are in memory.
const SNAPSHOT_ENTRIES_MAX: u64 = 100_000_000;
/// A day in a second is as fast as work that falls due each day can follow.
const CLOCK_SPEED_MAX: u64 = 86_400;
/// Longest wait for an outcome; a proxy in front gives up after a minute.
const WAIT_MS_MAX: u64 = 60_000;
/// Longest lag of views that may be allowed: an hour is as good as none.
const LAG_MS_MAX: u64 = 3_600_000;
/// Most connections to a database: servers are set up for some hundred in all.
const CONNECTIONS_MAX: u64 = 1_000;
/// Longest drain; a supervisor kills after 90 seconds.
const DRAIN_MS_MAX: u64 = 90_000;

macro_rules! settings {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty = $default:literal, $variable:literal, $value_name:literal, $parse:expr $(, $mark:ident)?;)*) => {
        /// Everything `serve` runs by.
        #[derive(Debug, Clone)]
        pub struct Config { $($(#[doc = $doc])* pub $name: $type,)* }

        /// The settings as flags; what is not given is looked for elsewhere.
        #[derive(Debug, Default, clap::Args)]
        pub struct Flags {
            $($(#[doc = $doc])* #[arg(long, value_name = $value_name, hide = settings!(@hidden $($mark)?))] pub $name: Option<String>,)*
            /// The TOML file of settings, one `name = value` a line [environment: BAHI_CONFIG]
            #[arg(long, value_name = "FILE")]
            pub config: Option<PathBuf>,
        }

        impl Flags {
            fn texts(self) -> (BTreeMap<&'static str, String>, Option<PathBuf>) {
                let mut texts = BTreeMap::new();
                $(if let Some(text) = self.$name { texts.insert(stringify!($name), text); })*
                (texts, self.config)
            }
        }

        /// Every setting.
        pub const SETTINGS: &[Setting] = &[$(Setting {
            name: stringify!($name),
            variable: $variable,
            default: $default,
            doc: concat!($($doc),*),
            hidden: settings!(@hidden $($mark)?),
            secret: settings!(@secret $($mark)?),
        },)*];

        impl Config {
            /// Understands the texts; says of each that does not read what it should be.
            pub fn parse(found: &[Found]) -> Result<Config, Vec<String>> {
                let mut problems = Vec::new();
                $(let $name = understood::<$type>(found, stringify!($name), $parse, &mut problems);)*
                match ($($name,)*) {
                    ($(Some($name),)*) if problems.is_empty() => Ok(Config { $($name,)* }),
                    _ => Err(problems),
                }
            }
        }
    };
    (@secret secret) => { true };
    (@secret $($other:ident)?) => { false };
    (@hidden hidden) => { true };
    (@hidden $($other:ident)?) => { false };
}

settings! {
    /// The folder that holds the ledger, or with Kafka the signing key; made at first start
    data: PathBuf = "", "BAHI_DATA_DIR", "DIR", |text| Ok(PathBuf::from(text));
    /// Some of the Kafka brokers that hold the log, by commas; for `api`, `writer`, `projector`, `venue` and `rebuild`
    brokers: Option<String> = "", "BAHI_KAFKA_BROKERS", "HOST:PORT", |text| Ok((!text.is_empty()).then(|| text.to_owned()));
    /// What the log's topics are called before their dot
    topic_prefix: String = "bahi", "BAHI_TOPIC_PREFIX", "PREFIX", |text| Ok(text.to_owned());
    /// The PostgreSQL database of views and snapshots, postgres://role:password@host:port/name; better in the file that BAHI_POSTGRES_URL_FILE names
    postgres_url: Option<Secret> = "", "BAHI_POSTGRES_URL", "URL", |text| Ok((!text.is_empty()).then(|| Secret(text.to_owned()))), secret;
    /// Most connections to that database
    postgres_connections: u32 = "16", "BAHI_POSTGRES_CONNECTIONS", "N", |text| whole(text, 1, CONNECTIONS_MAX).map(narrow_u32);
    /// The Redis that keeps accounts which are asked about, redis://user:password@host:port/number; better in the file that BAHI_REDIS_URL_FILE names; unset: all reads go to the database
    redis_url: Option<Secret> = "", "BAHI_REDIS_URL", "URL", |text| Ok((!text.is_empty()).then(|| Secret(text.to_owned()))), secret;
    /// Where to listen, ADDRESS:PORT; port 0 takes a free one
    listen: SocketAddr = "127.0.0.1:7070", "BAHI_LISTEN", "ADDR", address;
    /// Who answers orders: `none` (a venue reports over HTTP) or `simulated` (exchange and registrar in this process)
    venue: Venue = "none", "BAHI_VENUE", "WHO", venue;
    /// Which calendar sessions and settlement follow: `exchange` or `always-open`
    calendar: CalendarMode = "exchange", "BAHI_CALENDAR", "WHICH", calendar;
    /// Partitions of a new ledger, fixed for ever once it is made; unset: 1, or as it was made
    partitions: Option<u32> = "", "BAHI_PARTITIONS", "N", partitions;
    /// A policy file of dated rates in place of the one that ships
    policy: Arc<Policy> = "", "BAHI_POLICY", "FILE", policy;
    /// Requests per second and account before 429; 0 for no limit
    requests_per_second: u32 = "1000", "BAHI_REQUESTS_PER_SECOND", "N", |text| whole(text, 0, u64::from(u32::MAX)).map(narrow_u32);
    /// Commands that may wait for their writer before 503
    queue: usize = "16384", "BAHI_QUEUE", "N", |text| whole(text, 1, QUEUE_COMMANDS_MAX as u64).map(narrow_usize);
    /// Accounts whose books stay in memory, beside those changed since the last snapshot; some kilobytes each
    books_max: usize = "50000", "BAHI_BOOKS_MAX", "N", |text| whole(text, 1, BOOKS_MAX).map(narrow_usize);
    /// Entries after which a snapshot is taken, so that a start folds only what came later
    snapshot_entries: usize = "250000", "BAHI_SNAPSHOT_ENTRIES", "N", |text| whole(text, 1, SNAPSHOT_ENTRIES_MAX).map(narrow_usize);
    /// How long a write waits for its outcome before 202, and a read for a position, in milliseconds
    wait_ms: Duration = "5000", "BAHI_WAIT_MS", "MS", |text| whole(text, 1, WAIT_MS_MAX).map(Duration::from_millis);
    /// How long views may be behind the log before /readyz says no, in milliseconds
    lag_max_ms: Duration = "30000", "BAHI_LAG_MAX_MS", "MS", |text| whole(text, 1_000, LAG_MS_MAX).map(Duration::from_millis);
    /// How long requests under way may take after SIGTERM, in milliseconds
    drain_ms: Duration = "10000", "BAHI_DRAIN_MS", "MS", |text| whole(text, 0, DRAIN_MS_MAX).map(Duration::from_millis);
    /// How to log to standard error: `pretty` or `json`
    log_format: LogFormat = "pretty", "BAHI_LOG_FORMAT", "FORM", log_format;
    /// What to log, as `info` or `warn,commands=debug`
    log: String = "info", "BAHI_LOG", "FILTER", |text| Ok(text.to_owned());
    /// Whether a caller's `traceparent` decides what is traced: `false`, or `true` where a gateway sets that header
    trust_traceparent: bool = "false", "BAHI_TRUST_TRACEPARENT", "WHETHER", boolean;
    /// The file of the key that signs tokens, mode 0600; unset: token.key in the data folder, made at first start
    token_key_file: Option<PathBuf> = "", "BAHI_TOKEN_KEY_FILE", "FILE", |text| Ok((!text.is_empty()).then(|| PathBuf::from(text)));
    /// How many times as fast the writers' clock runs, for tests and benches in which days pass
    clock_speed: u32 = "1", "BAHI_CLOCK_SPEED", "N", |text| whole(text, 1, CLOCK_SPEED_MAX).map(narrow_u32), hidden;
    /// A size past which the log says it is full, for tests of a full disk
    log_max_bytes: Option<u64> = "", "BAHI_LOG_MAX_BYTES", "BYTES", optional_bytes, hidden;
}

/// A text that is shown nowhere.
#[derive(Clone)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("(set)")
    }
}

/// Who answers orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Venue {
    /// Somebody else, over HTTP.
    None,
    /// This process.
    Simulated,
}

/// How lines of the log of operation look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines: one JSON object a line.
    Json,
}

/// All settings with their sources, and either the config or what is wrong with it.
pub struct Resolved {
    /// Each setting, its text and its source.
    pub found: Vec<Found>,
    /// What runs, or every problem there is.
    pub config: Result<Config, Vec<String>>,
    /// What nobody knows: variables and names that are not settings.
    pub unknown: Vec<String>,
}

/// Looks everywhere for every setting.
///
/// # Errors
/// When the TOML file cannot be read.
pub fn resolve(flags: Flags, needs: Needs) -> Result<Resolved, Error> {
    let (texts, file) = flags.texts();
    let given = Given::new(texts, file).map_err(|problem| Error::Config(vec![problem]))?;
    let (found, unknown) = given.find(SETTINGS);
    let missing = needs.problems(&found);
    let config = match Config::parse(&found) {
        Ok(config) if missing.is_empty() => Ok(config),
        Ok(_) => Err(missing),
        Err(problems) => Err([missing, problems].concat()),
    };
    Ok(Resolved { found, config, unknown })
}

/// The config to run by.
///
/// # Errors
/// Every problem at once; what is not a setting is one only in the file, where nobody else has a say.
pub fn load(flags: Flags, needs: Needs) -> Result<Config, Error> {
    let resolved = resolve(flags, needs)?;
    let mut problems = resolved.config.as_ref().err().cloned().unwrap_or_default();
    problems.extend(resolved.unknown.into_iter().filter(|problem| !problem.starts_with("environment ")));
    match resolved.config {
        Ok(config) if problems.is_empty() => Ok(config),
        _ => Err(Error::Config(problems)),
    }
}

fn understood<T>(
    found: &[Found],
    name: &str,
    parse: impl Fn(&str) -> Result<T, String>,
    problems: &mut Vec<String>,
) -> Option<T> {
    let found = found.iter().find(|found| found.setting.name == name)?;
    match parse(&found.text) {
        Ok(value) => Some(value),
        Err(rule) => {
            problems.push(format!("{name} = {} ({}): {rule}", found.shown(), found.source));
            None
        }
    }
}

/// What settings have to be together; each role asks for its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// The folder of the ledger.
    Data,
    /// Brokers, and a folder or a file for the key.
    BrokersAndKey,
    /// Brokers.
    Brokers,
    /// Brokers and a database.
    BrokersAndDatabase,
}

impl Needs {
    /// What is missing.
    fn problems(self, found: &[Found]) -> Vec<String> {
        let given = |name: &str| found.iter().any(|found| found.setting.name == name && !found.text.is_empty());
        let mut problems = Vec::new();
        if self == Needs::Data && !given("data") {
            problems.push("data is not set: say where the ledger is kept: --data DIR".to_owned());
        }
        if self != Needs::Data && !given("brokers") {
            problems.push("brokers is not set: say where the log is kept: --brokers HOST:PORT".to_owned());
        }
        if self == Needs::BrokersAndDatabase && !given("postgres_url") {
            let rule = "say where views are kept: BAHI_POSTGRES_URL, or its file by BAHI_POSTGRES_URL_FILE";
            problems.push(format!("postgres_url is not set: {rule}"));
        }
        if self == Needs::BrokersAndKey && !given("data") && !given("token_key_file") {
            let rule = "say where the key that signs tokens is kept: --data DIR or --token-key-file FILE";
            problems.push(format!("data is not set: {rule}"));
        }
        problems
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "must be ADDRESS:PORT such as 127.0.0.1:8080 or [::1]:8080".to_owned())
}

fn venue(text: &str) -> Result<Venue, String> {
    match text {
        "none" => Ok(Venue::None),
        "simulated" => Ok(Venue::Simulated),
        _ => Err("must be none or simulated".to_owned()),
    }
}

/// A calendar by its stored name.
///
/// # Errors
/// When it is neither.
pub fn calendar(text: &str) -> Result<CalendarMode, String> {
    [CalendarMode::Exchange, CalendarMode::AlwaysOpen]
        .into_iter()
        .find(|mode| mode.name() == text)
        .ok_or_else(|| "must be exchange or always-open".to_owned())
}

fn partitions(text: &str) -> Result<Option<u32>, String> {
    match text {
        "" => Ok(None),
        text => whole(text, 1, u64::from(PARTITIONS_MAX)).map(narrow_u32).map(Some),
    }
}

/// The policy in a file; the shipped one for no name.
///
/// # Errors
/// When the file cannot be read, or the line that is wrong.
pub fn policy(text: &str) -> Result<Arc<Policy>, String> {
    if text.is_empty() {
        return Ok(Arc::new(Policy::default()));
    }
    let policy = std::fs::read_to_string(text).map_err(|why| why.to_string())?;
    Policy::parse_own(&policy).map(Arc::new).map_err(|why| why.to_string())
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "pretty" => Ok(LogFormat::Pretty),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be pretty or json".to_owned()),
    }
}

fn boolean(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "must be true or false".to_owned())
}

fn optional_bytes(text: &str) -> Result<Option<u64>, String> {
    match text {
        "" => Ok(None),
        text => whole(text, 0, u64::MAX).map(Some),
    }
}

fn whole(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let rule = || match most {
        u64::MAX => format!("must be a whole number from {least}"),
        most => format!("must be a whole number from {least} to {most}"),
    };
    text.parse().ok().filter(|number| (least..=most).contains(number)).ok_or_else(rule)
}

fn narrow_u32(number: u64) -> u32 {
    u32::try_from(number).expect("checked against a limit below")
}

fn narrow_usize(number: u64) -> usize {
    usize::try_from(number).expect("checked against a limit below")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Source;

    fn given(flags: &[(&'static str, &str)], environment: &[(&str, &str)], file: Option<&str>) -> Given {
        Given {
            flags: flags.iter().map(|(name, text)| (*name, (*text).to_owned())).collect(),
            environment: environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
            file: file.map(|text| (PathBuf::from("bahi.toml"), text.to_owned())),
        }
    }

    fn text_and_source(given: &Given, name: &str) -> (String, Source) {
        let (found, _) = given.find(SETTINGS);
        let found = found.into_iter().find(|found| found.setting.name == name).expect("a setting");
        (found.text, found.source)
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_file_and_that_over_the_default() {
        let file = "listen = \"127.0.0.1:3\"";
        let environment = [("BAHI_LISTEN", "127.0.0.1:2")];
        let flags = [("listen", "127.0.0.1:1")];
        let of = |given: &Given| text_and_source(given, "listen");
        assert_eq!(of(&given(&flags, &environment, Some(file))), ("127.0.0.1:1".into(), Source::Flag));
        let from = Source::Environment("BAHI_LISTEN".into());
        assert_eq!(of(&given(&[], &environment, Some(file))), ("127.0.0.1:2".into(), from));
        assert_eq!(of(&given(&[], &[], Some(file))), ("127.0.0.1:3".into(), Source::File("bahi.toml".into())));
        assert_eq!(of(&given(&[], &[], None)), ("127.0.0.1:7070".into(), Source::Default));
    }

    #[test]
    fn a_whole_number_in_the_file_is_read_as_one() {
        let given = given(&[("data", "d")], &[], Some("queue = 77"));
        let config = Config::parse(&given.find(SETTINGS).0).expect("a config");
        assert_eq!(config.queue, 77);
    }

    #[test]
    fn every_problem_is_said_at_once_with_its_source() {
        let given = given(&[("venue", "nse")], &[("BAHI_QUEUE", "0")], Some("calendar = \"lunar\"\n"));
        let found = given.find(SETTINGS).0;
        let problems = [Needs::Data.problems(&found), Config::parse(&found).expect_err("three problems")].concat();
        assert_eq!(
            problems,
            [
                "data is not set: say where the ledger is kept: --data DIR",
                "venue = 'nse' (flag): must be none or simulated",
                "calendar = 'lunar' (file bahi.toml): must be exchange or always-open",
                "queue = '0' (environment BAHI_QUEUE): must be a whole number from 1 to 1000000",
            ]
        );
    }

    #[test]
    fn each_role_says_what_it_needs() {
        let of =
            |needs: Needs, flags: &[(&'static str, &str)]| needs.problems(&given(flags, &[], None).find(SETTINGS).0);
        assert_eq!(of(Needs::Brokers, &[]).len(), 1);
        assert_eq!(of(Needs::BrokersAndKey, &[]).len(), 2);
        assert!(of(Needs::BrokersAndKey, &[("brokers", "b:1"), ("token_key_file", "key")]).is_empty());
        assert!(of(Needs::Data, &[("data", "folder")]).is_empty());
    }

    #[test]
    fn what_is_no_setting_is_named() {
        let given = given(&[], &[("BAHI_LISTN", "x"), ("BAHI_DATA", "/real/files")], Some("lisen = \"x\""));
        let (_, unknown) = given.find(SETTINGS);
        let expected = ["bahi.toml: lisen is not a setting", "environment BAHI_LISTN: no setting has this variable"];
        assert_eq!(unknown, expected);
    }

    #[test]
    fn every_default_reads() {
        let given = given(&[("data", "d")], &[], None);
        let config = Config::parse(&given.find(SETTINGS).0).expect("defaults read");
        assert_eq!((config.venue, config.calendar, config.partitions), (Venue::None, CalendarMode::Exchange, None));
    }
}
