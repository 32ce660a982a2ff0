//! Under what a bench over HTTP is measured: a folder on disk, a server of its own, tokens, and a clean ledger at the end.
#![expect(clippy::float_arithmetic, reason = "shares of a processor are measurements, not amounts")]

use super::{
    Bench, disk,
    load::{self, Requests, Shape},
    machine::Machine,
    report::{Bytes, Measure, Report},
    server::{self, Server},
};
use crate::{
    error::Error,
    keys::{Minter, Role},
};
use event_log::Topic;
use std::{ffi::OsStr, time::Instant};
use tempfile::TempDir;

/// A server with nothing in it yet, and what was measured before.
pub struct Conditions {
    folder: TempDir,
    machine: Machine,
    talks: bool,
    /// The server.
    pub server: Server,
    /// Mints tokens with the server's key.
    pub minter: Minter,
    /// An operator's token.
    pub operator: String,
}

impl Conditions {
    /// Makes the folder, looks at the machine, starts the server.
    ///
    /// # Errors
    /// When the folder is not on a disk, or the server does not start.
    pub async fn begin(bench: &Bench) -> Result<Conditions, Error> {
        let folder = disk::folder(&bench.parent)?;
        let machine = Machine::look(folder.path())?;
        let server = Server::start(folder.path()).await?;
        let minter = Minter::open(folder.path(), None)?;
        let operator = minter.mint(Role::Operator, &[])?;
        bench.tell("no limit of requests per account is set; tokens are verified; synchronous=FULL");
        Ok(Conditions { folder, machine, talks: bench.talks(), server, minter, operator })
    }

    /// Measures, and says how busy the server was.
    ///
    /// # Errors
    /// As [`load::run`].
    pub async fn measure<R: Requests + 'static>(&self, shape: Shape, requests: R) -> Result<Measure, Error> {
        let (before, started) = (self.server.cpu(), Instant::now());
        let measure = load::run(self.server.address, shape, requests).await?;
        if let (true, Some(before), Some(after)) = (self.talks, before, self.server.cpu()) {
            let share = (after - before).as_secs_f64() / started.elapsed().as_secs_f64();
            crate::out::complain(&format!("{}: the server used {share:.2} processors", shape.name));
        }
        Ok(measure)
    }

    /// Has `bahi verify` wait until the server's views have everything, compare them and verify the ledger; stops the
    /// server and counts bytes.
    ///
    /// # Errors
    /// When the ledger is not clean, a view is not what was recorded, or the server ends badly.
    pub async fn end(self, bench: &'static str, results: Vec<Measure>) -> Result<Report, Error> {
        let auditor = self.minter.mint(Role::Auditor, &[])?;
        let url = format!("http://{}", self.server.address);
        let words = [
            OsStr::new("verify"),
            OsStr::new("--redecide"),
            OsStr::new("--data"),
            self.folder.path().as_os_str(),
            OsStr::new("--url"),
            OsStr::new(&url),
            OsStr::new("--token"),
            OsStr::new(&auditor),
        ];
        server::output_of(&words).await?;
        self.server.stop().await?;
        let log = crate::wire::open_to_read(self.folder.path()).await?;
        let mut entries = 0;
        for topic in Topic::ALL {
            for partition in 0..log.partitions(topic) {
                entries += log.tail(topic, partition).await?;
            }
        }
        let bytes = Some(Bytes::on_disk(disk::bytes_of(self.folder.path())?, entries));
        Ok(Report { bytes, ..Report::new(bench, results, self.machine) })
    }
}
