//! A `bahi serve` of its own process to be measured, and the other subcommands as processes; knows no load.

use super::{
    http::{self, Connection},
    place::Place,
};
use crate::error::Error;
use std::{net::SocketAddr, path::Path, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

/// Longest start: an empty folder takes well under a second.
const START_S_MAX: u64 = 20;
/// Longest stop: the drain, and then some.
const STOP_S_MAX: u64 = 30;
/// How often one that starts is asked whether it is ready.
const READY_POLL: Duration = Duration::from_millis(20);

/// A running server; killed if dropped.
pub struct Server {
    child: Child,
    /// Kept open: a server that prints to a closed pipe would fail.
    _output: Lines<BufReader<ChildStdout>>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts one over this folder: no venue, each day a session, no limit of requests per account.
    ///
    /// # Errors
    /// When it does not say where it listens within the time.
    pub async fn start(data: &Path) -> Result<Server, Error> {
        Server::start_hurried(data, "1", Duration::from_secs(START_S_MAX)).await
    }

    /// The same, its clock so many times as fast, and waited for so long.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_hurried(data: &Path, speed: &str, limit: Duration) -> Result<Server, Error> {
        let mut command = this_program()?;
        command.env("BAHI_CLOCK_SPEED", speed);
        command.arg("serve").arg("--data").arg(data);
        Server::spawn(command, limit).await
    }

    /// One of the processes of a cluster: `api` (with its key in this folder), `writer` or `projector`.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_role(role: &str, data: &Path, place: &Place, database: &str) -> Result<Server, Error> {
        let mut command = this_program()?;
        command.arg(role).args(place.flags()).env("BAHI_POSTGRES_URL", database);
        command.envs(place.redis.iter().map(|url| ("BAHI_REDIS_URL", url)));
        if role == "api" {
            command.arg("--data").arg(data);
        }
        Server::spawn(command, Duration::from_secs(START_S_MAX)).await
    }

    async fn spawn(mut command: Command, limit: Duration) -> Result<Server, Error> {
        command.args(["--listen", "127.0.0.1:0", "--calendar", "always-open"]);
        command.args(["--requests-per-second", "0", "--log", "warn"]);
        command.stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(Error::file("bahi serve"))?;
        let output = child.stdout.take().expect("standard output is piped");
        let mut output = BufReader::new(output).lines();
        let listening = async {
            while let Some(line) = output.next_line().await? {
                if let Some(address) = line.strip_prefix("listening on http://") {
                    return Ok(address.parse().ok());
                }
            }
            Ok(None)
        };
        let address = tokio::time::timeout(limit, listening).await;
        match address {
            Ok(Ok(Some(address))) => Ok(Server { child, _output: output, address }),
            Ok(Err(why)) => Err(Error::Output(why)),
            Ok(Ok(None)) => Err(Error::Server("the server ended before it listened; see above".to_owned())),
            Err(_) => Err(Error::Server(format!("the server did not listen within {} seconds", limit.as_secs()))),
        }
    }

    /// Waits until it says that it is ready, for so long at most.
    ///
    /// # Errors
    /// When it does not answer, or never says so.
    pub async fn ready(&self, limit: Duration) -> Result<(), Error> {
        let ready = async {
            loop {
                let mut connection = Connection::open(self.address).await?;
                if connection.ask(&http::get("/readyz", "")).await?.status == 200 {
                    return Ok(());
                }
                tokio::time::sleep(READY_POLL).await;
            }
        };
        let waited = tokio::time::timeout(limit, ready).await;
        waited.unwrap_or_else(|_| Err(Error::Server(format!("the server was not ready within {} s", limit.as_secs()))))
    }

    /// Its resident memory in bytes; `None` where the system does not say.
    pub fn memory(&self) -> Option<u64> {
        self.bytes("VmRSS:")
    }

    /// The most that was ever resident, in bytes; `None` where the system does not say.
    pub fn memory_peak(&self) -> Option<u64> {
        self.bytes("VmHWM:")
    }

    fn bytes(&self, figure: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(figure))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib << 10)
    }

    /// What it has counted so far under this name with its labels, as `/metrics` has them; 0 where it has counted nothing.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn counted(&self, name: &str) -> Result<u64, Error> {
        let mut connection = Connection::open(self.address).await?;
        let answer = connection.ask(&http::get("/metrics", "")).await?;
        let shown = String::from_utf8_lossy(answer.body);
        let count: Option<u64> = shown.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        Ok(count.unwrap_or_default())
    }

    /// Its CPU time so far; `None` where the system does not say.
    pub fn cpu(&self) -> Option<Duration> {
        /// Ticks of `/proc/PID/stat` a second, as every Linux that Rust supports has it.
        const TICKS_PER_SECOND: u64 = 100;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()?)).ok()?;
        // The second field is the program's name in parentheses and may hold spaces.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
    }

    /// Kills it, as the end of its machine would.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn kill(mut self) -> Result<(), Error> {
        self.child.kill().await.map_err(Error::Output)
    }

    /// Stops it as a supervisor would, and sees that it ended well.
    ///
    /// # Errors
    /// When it does not end within its drain, or ends badly.
    pub async fn stop(mut self) -> Result<(), Error> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            // Already gone is fine: its exit status says how.
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        match tokio::time::timeout(Duration::from_secs(STOP_S_MAX), self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(Error::Server(format!("the server ended with {status}"))),
            Ok(Err(why)) => Err(Error::Output(why)),
            Err(_) => Err(Error::Server(format!("the server did not stop within {STOP_S_MAX} seconds"))),
        }
    }
}

/// Runs another subcommand to its end and gives what it printed.
///
/// # Errors
/// When it fails; what it printed to standard error is the reason.
pub async fn output_of(arguments: &[&std::ffi::OsStr]) -> Result<String, Error> {
    let mut command = this_program()?;
    let output = command.args(arguments).kill_on_drop(true).output().await.map_err(Error::Output)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::NotClean(if why.is_empty() { text } else { why }))
}

fn this_program() -> Result<Command, Error> {
    let program = std::env::current_exe().map_err(Error::file("bahi"))?;
    let mut command = Command::new(program);
    // Settings of the person's own have no say in a measurement.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BAHI_") {
            command.env_remove(name);
        }
    }
    Ok(command)
}
