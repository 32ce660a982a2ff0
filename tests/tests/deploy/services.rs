//! `deploy/local/services`: that what it says of its commands is so, as root and as anyone. PostgreSQL and Redis run here
//! on ports and below a folder of the test's own; those that other tests use are left alone, and Kafka is for these.

use super::files::root;
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::PathBuf,
    process::{Command, Stdio},
};
use tempfile::TempDir;
use tests::{
    binary::{Ran, finish, kill_9},
    wait_until,
};

/// Nobody, on any Linux.
const NOBODY: u32 = 65_534;
const BOTH: [&str; 2] = ["postgres", "redis"];

/// Services of the test's own, gone at the end.
struct Own {
    folder: TempDir,
    user: Option<u32>,
    postgres: u16,
    redis: u16,
}

impl Own {
    fn new(user: Option<u32>) -> Own {
        let folder = tempfile::Builder::new().prefix("bahi services ").tempdir().expect("a folder can be made");
        // PostgreSQL runs as a user of its own where this is root.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        chown(folder.path(), user, user).expect("it can be given away");
        // Held together, so that they are two.
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port is free"));
        let [postgres, redis] = free.each_ref().map(|port| port.local_addr().expect("it is bound").port());
        Own { folder, user, postgres, redis }
    }

    /// A command for some of them, by this user.
    fn command(&self, user: Option<u32>, words: &[&str]) -> Command {
        let script = root().join("deploy/local/services");
        let mut command = match user {
            None => Command::new(script),
            Some(user) => {
                let mut command = Command::new("setpriv");
                let ids = [format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()];
                command.args(ids).arg("--").arg(script);
                command
            }
        };
        command.args(words).env("CARGO_TARGET_DIR", self.folder.path());
        command.env("BAHI_POSTGRES_PORT", self.postgres.to_string()).env("BAHI_REDIS_PORT", self.redis.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    #[track_caller]
    fn run(&self, word: &str, services: &[&str]) -> Ran {
        finish(&mut self.command(self.user, &[&[word], services].concat()))
    }

    /// What `status` says of both, which run and answer.
    #[track_caller]
    fn answers(&self) -> String {
        self.run("status", &BOTH).succeeded()
    }

    /// Says that neither runs.
    #[track_caller]
    fn are_stopped(&self) {
        let status = self.run("status", &BOTH);
        assert_ne!(status.code, Some(0), "{}", status.out);
        assert_eq!(status.out, "postgres  stopped\nredis     stopped\n");
    }

    fn folder_of(&self, service: &str) -> PathBuf {
        self.folder.path().join("services").join(service)
    }

    /// The id of a service's process.
    fn pid(&self, service: &str) -> u32 {
        let line = fs::read_to_string(self.folder_of(service).join("pid")).expect("it runs");
        line.split(' ').next().and_then(|pid| pid.parse().ok()).expect("an id")
    }

    fn sql(&self, statement: &str) -> Ran {
        let url = format!("postgres://bahi@127.0.0.1:{}/bahi", self.postgres);
        let mut psql = Command::new("psql");
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--dbname", &url, "--command", statement]);
        finish(psql.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))
    }

    /// The first line of Redis's answer.
    fn redis(&self, command: &str) -> String {
        let mut connection = TcpStream::connect(("127.0.0.1", self.redis)).expect("it listens");
        connection.write_all(format!("{command}\r\n").as_bytes()).expect("it takes commands");
        let mut line = String::new();
        BufReader::new(connection).read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let mut wipe = self.command(self.user, &["wipe", "postgres", "redis"]);
        // What cannot be stopped is told by the test that failed.
        drop(wipe.stdout(Stdio::null()).stderr(Stdio::null()).status());
    }
}

#[track_caller]
fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(sent.expect("kill can be started").success(), "{pid} is gone");
}

/// All commands, one after another.
fn tell(own: &Own) {
    own.are_stopped();
    // Whoever asks at the same time waits, and finds it done.
    let mut twice = [(); 2].map(|()| own.command(own.user, &["up", "postgres", "redis"]).spawn().expect("it starts"));
    assert!(twice.iter_mut().all(|up| up.wait().expect("a child can be waited for").success()));
    let status = own.answers();
    let env = own.run("env", &BOTH).succeeded();
    for line in [
        format!("export BAHI_POSTGRES_URL=postgres://bahi@127.0.0.1:{}/bahi\n", own.postgres),
        format!("export BAHI_REDIS_URL=redis://127.0.0.1:{}/0\n", own.redis),
    ] {
        assert!(env.contains(&line), "{env}");
    }

    let again = own.run("up", &BOTH);
    assert_eq!((again.code, &*again.err), (Some(0), ""), "what runs is left alone, without a word");
    assert_eq!(own.answers(), status, "the same processes");
    own.sql("create table kept (number int); insert into kept values (7)").succeeded();
    assert_eq!(own.redis("set kept 7"), "+OK");

    let first = BOTH.map(|service| own.pid(service));
    own.run("kill", &BOTH).succeeded();
    own.are_stopped();
    let taken = TcpListener::bind(("127.0.0.1", own.redis)).expect("the port of what was killed is free");
    let refused = own.run("up", &["redis"]).failed();
    assert!(refused.contains(&format!("port {} is taken by another program", own.redis)), "{refused}");
    drop(taken);
    own.run("up", &BOTH).succeeded();
    own.answers();
    assert_eq!(own.sql("select number from kept").succeeded(), "7\n", "a crash loses nothing");
    assert_eq!(own.redis("get kept"), "$-1", "Redis keeps nothing");
    let second = BOTH.map(|service| own.pid(service));
    assert!(second.iter().all(|pid| !first.contains(pid)), "{first:?} are {second:?}");

    let redis = own.pid("redis");
    signal(redis, "STOP");
    let hangs = own.run("status", &BOTH);
    signal(redis, "CONT");
    let said = format!("runs as process {redis}, but does not answer");
    assert!(hangs.code == Some(1) && hangs.out.contains(&said), "{}", hangs.out);

    own.run("down", &["redis"]).succeeded();
    let one = own.run("status", &BOTH);
    assert!(one.code == Some(1) && one.out.contains("redis     stopped") && one.out.contains("postgres  answers"));
    own.run("down", &BOTH).succeeded();
    own.are_stopped();
    own.run("up", &["postgres"]).succeeded();
    assert_eq!(own.sql("select number from kept").succeeded(), "7\n", "down keeps the data");

    // An id that another program has by now is not the service, and one that has ended as it began is none.
    for line in [format!("{} 1\n", std::process::id()), format!("{redis} \n"), String::new()] {
        fs::write(own.folder_of("redis").join("pid"), &line).expect("it can be written");
        assert!(own.run("status", &BOTH).out.contains("redis     stopped"), "{line:?}");
        own.run("kill", &["redis"]).succeeded();
        own.run("down", &["redis"]).succeeded();
    }

    own.run("wipe", &BOTH).succeeded();
    own.are_stopped();
    for service in BOTH {
        let left = fs::read_dir(own.folder_of(service)).expect("its folder stays");
        assert_eq!(left.map(|entry| entry.expect("an entry").file_name()).collect::<Vec<_>>(), [] as [&str; 0]);
    }
    own.run("wipe", &BOTH).succeeded();
    // What makes the data is killed in the middle of it: that is made anew.
    let mut cut = own.command(own.user, &["up", "postgres"]).spawn().expect("it starts");
    let (made, whole) = (own.folder_of("postgres").join("data.new"), own.folder_of("postgres").join("data"));
    wait_until("data to be made", || (made.exists() || whole.exists()).then_some(()));
    kill_9(&mut cut);
    own.run("up", &["postgres"]).succeeded();
    assert!(own.sql("select number from kept").failed().contains("\"kept\" does not exist"), "it is empty");
    assert!(whole.exists() && !made.exists());
}

fn is_root() -> bool {
    fs::metadata("/proc/self").expect("a process has a folder").uid() == 0
}

#[test]
fn the_services_go_up_and_down_and_keep_their_data() {
    let own = Own::new(None);
    tell(&own);
    if is_root() {
        let foreign = finish(&mut own.command(Some(NOBODY), &["down", "postgres"])).failed();
        assert!(foreign.contains("belongs to root: only they can start and stop what is in it"), "{foreign}");
    }
}

#[test]
fn anyone_may_run_the_services() {
    if !is_root() {
        return eprintln!("skipped: this is not root, so the other test is told as anyone");
    }
    let own = Own::new(Some(NOBODY));
    let may = own.command(own.user, &["--help"]).output().expect("setpriv can be started");
    if !may.status.success() {
        return eprintln!("skipped: another user may not read the repository here");
    }
    tell(&own);
}

#[test]
fn a_word_that_the_services_do_not_know_is_named() {
    let own = Own::new(None);
    assert!(own.run("up", &["mysql"]).failed().contains("there is no service 'mysql'"));
    assert!(own.run("start", &BOTH).failed().contains("there is no command 'start'"));
    assert!(own.run("--help", &[]).succeeded().contains("Usage: deploy/local/services"));
    assert!(!own.folder_of("redis").exists(), "nothing was made");
}
