//! A running `bahi serve`: started, found by the address it prints, asked, stopped, killed.

use crate::{
    binary,
    client::{Client, LastWrite},
    cluster::{self, Topics},
    wait::{wait_at_most, wait_until},
};
use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// The longest from SIGTERM to the end: the product's own drain is 10 s.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// How many of the last lines a failed story shows of the server's own words.
const LAST_LINES: usize = 30;

/// The processes beside an api, in this order; the venue only where it is simulated.
const BESIDE: [&str; 3] = ["writer", "projector", "venue"];

/// A server process; killed when it is dropped, and what it recorded is then verified, every decision made again.
pub struct Server {
    child: Child,
    data: PathBuf,
    address: SocketAddr,
    out: Lines,
    err: Lines,
    written: LastWrite,
    /// Where its log is, if it is not in the folder.
    topics: Option<Topics>,
    /// The other processes that it needs.
    beside: Vec<Server>,
    /// How `bahi verify` finds what it recorded, at its end; none if it records nothing itself.
    recorded: Option<Vec<String>>,
}

/// Lines read so far from a pipe.
type Lines = Arc<Mutex<Vec<String>>>;

impl Server {
    /// `bahi serve` on this folder and a free port, ready: an always-open calendar, an outside venue.
    ///
    /// # Panics
    /// When it does not get ready.
    #[track_caller]
    pub fn start(data: &Path) -> Server {
        Server::start_with(data, &["--calendar", "always-open"], &[])
    }

    /// As [`Server::start`], with these arguments and variables instead.
    ///
    /// # Panics
    /// When it does not get ready.
    #[track_caller]
    pub fn start_with(data: &Path, args: &[&str], variables: &[(&str, &str)]) -> Server {
        if cluster::is_wanted() {
            return Server::start_around(Topics::of(data), data, args, variables);
        }
        Server::serve(data, args, variables)
    }

    /// `bahi serve`, whatever stories are told of: for those about a folder.
    ///
    /// # Panics
    /// When it does not get ready.
    #[track_caller]
    pub fn serve(data: &Path, args: &[&str], variables: &[(&str, &str)]) -> Server {
        let data = data.to_path_buf();
        let mut command = binary::command(["serve", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(&data).args(args).envs(variables.iter().copied());
        let mut server = Server::spawn(&mut command, data);
        server.recorded = Some(server.how_it_is_verified(args));
        server
    }

    /// An api, a writer, a projector and, if the arguments say so, the simulated venue, around these topics.
    ///
    /// # Panics
    /// When one of them does not get ready.
    #[track_caller]
    pub fn start_around(topics: Topics, data: &Path, args: &[&str], variables: &[(&str, &str)]) -> Server {
        let roles = BESIDE.iter().filter(|role| **role != "venue" || args.contains(&"simulated"));
        let beside: Vec<Server> = roles.map(|role| topics.role(role, data, args, variables)).collect();
        // One that died is missed by the group after 6 s; until then nobody has its partitions.
        wait_until("the writer to be given every partition and to serve them", || {
            let writer = beside.first()?.anybody();
            let given = writer.try_get("/metrics")?.text.matches("bahi_writer_halted{").count();
            let ready = writer.try_get("/readyz").is_some_and(|reply| reply.status == 200);
            (given == 2 * cluster::PARTITIONS && ready).then_some(())
        });
        let mut server = topics.role("api", data, args, variables);
        (server.beside, server.topics) = (beside, Some(topics));
        server.recorded = Some(server.how_it_is_verified(args));
        server
    }

    /// Any subcommand that serves until it is stopped.
    ///
    /// # Panics
    /// When it does not get ready.
    #[track_caller]
    pub fn spawn(command: &mut Command, data: PathBuf) -> Server {
        // What went well would bury what did not.
        command.env("BAHI_LOG", "warn");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bahi can be started");
        let out = follow(child.stdout.take());
        let err = follow(child.stderr.take());
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let written = LastWrite::default();
        let (topics, beside, recorded) = (None, Vec::new(), None);
        let mut server = Server { child, data, address: nowhere, out, err, written, topics, beside, recorded };
        server.address = wait_until("the address on standard output", || {
            server.must_run();
            server.printed().iter().find_map(|line| address_in(line))
        });
        let anybody = server.anybody();
        wait_until("/readyz to say ready", || {
            server.must_run();
            anybody.try_get("/readyz").filter(|reply| reply.status == 200)
        });
        server
    }

    /// Fails with the server's last words when it has ended.
    #[track_caller]
    fn must_run(&mut self) {
        if let Some(status) = self.child.try_wait().expect("a child can be asked") {
            panic!("the server ended with {status}:\n{}", self.last_words());
        }
    }

    /// The lines printed on standard output so far.
    pub fn printed(&self) -> Vec<String> {
        self.out.lock().expect("no reader panics").clone()
    }

    /// The last lines of both streams, for a failed story.
    pub fn last_words(&self) -> String {
        let lines = [self.printed(), self.err.lock().expect("no reader panics").clone()].concat();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://...`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A caller without a token.
    pub fn anybody(&self) -> Client {
        Client::new(self.url(), None, Arc::clone(&self.written))
    }

    /// A caller with this token.
    pub fn with_token(&self, token: &str) -> Client {
        Client::new(self.url(), Some(token), Arc::clone(&self.written))
    }

    /// A caller of this role, for these accounts.
    ///
    /// # Panics
    /// When no token can be made.
    #[track_caller]
    pub fn client(&self, role: &str, accounts: &[&str]) -> Client {
        self.with_token(&token(&self.data, role, accounts, &[]))
    }

    /// An operator.
    #[track_caller]
    pub fn operator(&self) -> Client {
        self.client("operator", &[])
    }

    /// The venue.
    #[track_caller]
    pub fn venue(&self) -> Client {
        self.client("venue", &[])
    }

    /// An auditor.
    #[track_caller]
    pub fn auditor(&self) -> Client {
        self.client("auditor", &[])
    }

    /// `bahi verify` of the folder, every decision made again, and of what this server shows; all must be clean.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn verify(&self) -> String {
        let token = token(&self.data, "auditor", &[], &[]);
        let url = self.url();
        let shown = ["--url", &url, "--token", &token];
        let recorded = self.recorded.clone().unwrap_or_else(|| self.how_it_is_verified(&[]));
        binary::run(recorded.iter().map(String::as_str).chain(shown)).succeeded()
    }

    /// The flags that name its log.
    pub fn log(&self) -> Vec<&str> {
        match &self.topics {
            Some(topics) => topics.flags().to_vec(),
            None => vec!["--data", self.data.to_str().expect("a UTF-8 path")],
        }
    }

    /// The words that verify its log under the policy of its own words.
    fn how_it_is_verified(&self, args: &[&str]) -> Vec<String> {
        let policy = args.iter().position(|word| *word == "--policy").map_or(&[][..], |at| &args[at..at + 2]);
        let words = ["verify", "--redecide"].into_iter().chain(self.log()).chain(policy.iter().copied());
        words.map(str::to_owned).collect()
    }

    /// For a story that damages the log on purpose: it is not verified at its end.
    pub fn will_not_be_clean(&mut self) {
        self.recorded = None;
    }

    /// The processes beside it: writers, venues.
    pub fn beside(&mut self) -> &mut Vec<Server> {
        &mut self.beside
    }

    /// Ends it as a power cut would.
    pub fn kill_9(&mut self) {
        binary::kill_9(&mut self.child);
        self.beside.iter_mut().for_each(Server::kill_9);
    }

    /// Ends one of the processes around its topics as a power cut would, and starts another in its place with these
    /// arguments and variables.
    ///
    /// # Panics
    /// When there is no such process, or the new one does not get ready.
    #[track_caller]
    pub fn kill_9_and_replace(&mut self, role: &str, args: &[&str], variables: &[(&str, &str)]) {
        let topics = self.topics.clone().expect("only a cluster has roles");
        if let Some(at) = BESIDE.iter().position(|beside| *beside == role) {
            self.beside[at].kill_9();
            self.beside[at] = topics.role(role, &self.data, args, variables);
            return;
        }
        binary::kill_9(&mut self.child);
        let mut api = topics.role(role, &self.data, args, variables);
        api.beside = std::mem::take(&mut self.beside);
        (api.topics, api.recorded) = (Some(topics), self.recorded.take());
        api.written = Arc::clone(&self.written);
        *self = api;
    }

    /// Sends it a signal, such as `STOP`.
    ///
    /// # Panics
    /// When it has ended.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        let sent = sent.expect("kill can be started");
        assert!(sent.success(), "the server had ended before it was sent {name}:\n{}", self.last_words());
    }

    /// Asks it to stop (SIGTERM) and waits until it has.
    ///
    /// # Panics
    /// When it does not stop in time.
    #[track_caller]
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        let beside = std::mem::take(&mut self.beside);
        let ended =
            wait_at_most(STOP_LIMIT, "the server to stop", || self.child.try_wait().expect("a child can be asked"));
        beside.into_iter().for_each(|server| assert!(server.stop().success(), "a process beside it failed"));
        ended
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let panicking = thread::panicking();
        if panicking {
            eprintln!("the server's last words:\n{}", self.last_words());
        }
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(words) = self.recorded.take().filter(|_| !panicking) {
            binary::run(words).succeeded();
        }
    }
}

/// A token made by `bahi token`, the last line it prints.
///
/// # Panics
/// When none is made.
#[track_caller]
pub fn token(data: &Path, role: &str, accounts: &[&str], more: &[&str]) -> String {
    let mut args = vec!["token", "--data", data.to_str().expect("a UTF-8 path"), "--role", role];
    args.extend(accounts.iter().flat_map(|account| ["--account", account]));
    args.extend(more);
    let out = binary::run(args).succeeded();
    out.lines().last().expect("a token is printed").to_owned()
}

/// The address in a line such as `listening on http://127.0.0.1:4711`.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("http://")?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || ".:[]".contains(c))).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// Keeps the lines of a pipe as they come.
fn follow(pipe: Option<impl Read + Send + 'static>) -> Lines {
    let lines = Lines::default();
    let kept = Arc::clone(&lines);
    thread::spawn(move || {
        for line in pipe.into_iter().flat_map(|pipe| BufReader::new(pipe).lines()).map_while(Result::ok) {
            kept.lock().expect("no reader panics").push(line);
        }
    });
    lines
}
