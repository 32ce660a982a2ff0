//! Which adapters stand behind the ports, chosen here and nowhere else; decides nothing about what is written.

use crate::error::Error;
use event_log::{
    EventLog, Position, Topic,
    kafka::Kafka,
    snapshot::{self, SnapshotStore},
    sqlite::{Mode, Options, Sqlite},
};
use std::{ops::Deref, path::Path, sync::Arc};

/// A log, and what keeps it.
pub struct OpenLog {
    kept: Kept,
    port: Arc<dyn EventLog>,
}

enum Kept {
    File(Arc<Sqlite>),
    Cluster(Arc<Kafka>),
}

impl OpenLog {
    fn new(sqlite: Sqlite) -> OpenLog {
        let sqlite = Arc::new(sqlite);
        OpenLog { port: Arc::clone(&sqlite) as Arc<dyn EventLog>, kept: Kept::File(sqlite) }
    }

    /// The port, for who keeps it.
    pub fn port(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.port)
    }

    /// The file that holds it, where one does.
    pub fn file(&self) -> Option<&Sqlite> {
        match &self.kept {
            Kept::File(sqlite) => Some(sqlite),
            Kept::Cluster(_) => None,
        }
    }

    /// Lets what waits be written, gives the folder's lock back, and returns then.
    pub async fn close(self) {
        match &self.kept {
            Kept::File(sqlite) => sqlite.close().await,
            Kept::Cluster(kafka) => kafka.close(),
        }
    }
}

impl Deref for OpenLog {
    type Target = dyn EventLog;
    fn deref(&self) -> &Self::Target {
        &*self.port
    }
}

/// Opens the log to write, which makes it in a new folder and takes the folder's lock.
///
/// # Errors
/// As [`Sqlite::open`]: a file that is foreign, newer or damaged, a folder another process writes to.
pub async fn open_to_write(data: &Path, partitions: Option<u32>, max_bytes: Option<u64>) -> Result<OpenLog, Error> {
    let partitions = match partitions {
        Some(partitions) => partitions,
        None => partitions_of(data).await?,
    };
    let options = Options { partitions, mode: Mode::Write, max_bytes };
    Ok(OpenLog::new(Sqlite::open(data, options).await?))
}

/// Opens the log to read, beside a process that writes; the data folder or, for a backup, the file itself.
///
/// # Errors
/// As [`Sqlite::open`]; also when there is none.
pub async fn open_to_read(data: &Path) -> Result<OpenLog, Error> {
    let options = Options { mode: Mode::ReadOnly, ..Options::default() };
    Ok(OpenLog::new(Sqlite::open(data, options).await?))
}

/// Opens the log on a Kafka cluster.
///
/// # Errors
/// As [`Kafka::open`].
pub async fn open_cluster(brokers: &str, prefix: &str) -> Result<OpenLog, Error> {
    let kafka = Arc::new(Kafka::open(brokers, prefix).await?);
    Ok(OpenLog { port: Arc::clone(&kafka) as Arc<dyn EventLog>, kept: Kept::Cluster(kafka) })
}

/// Opens the snapshots of a log that is open to be written. They are disposable: without them all is folded anew.
pub async fn open_snapshots(data: &Path, log: &dyn EventLog) -> Option<Arc<dyn SnapshotStore>> {
    match snapshot::sqlite::Sqlite::open(data, log.commands_id()).await {
        Ok(store) => Some(Arc::new(store)),
        Err(error) => {
            tracing::warn!(%error, "there are no snapshots; the whole log is folded and kept in memory");
            None
        }
    }
}

/// As many as the folder was made with; those of a new one otherwise.
async fn partitions_of(data: &Path) -> Result<u32, Error> {
    match open_to_read(data).await {
        Ok(log) => {
            let partitions = log.partitions(event_log::Topic::Ledger);
            log.close().await;
            Ok(partitions)
        }
        Err(Error::Log(event_log::Error::Absent { .. })) => Ok(Options::default().partitions),
        Err(error) => Err(error),
    }
}

/// Where the log ends now.
///
/// # Errors
/// When a partition cannot be asked.
pub async fn end(log: &dyn EventLog) -> Result<Position, Error> {
    let mut end = Position::start(log.partitions(Topic::Ledger), log.partitions(Topic::Market));
    for topic in Topic::ALL {
        for partition in 0..log.partitions(topic) {
            end.advance(topic, partition, log.tail(topic, partition).await?);
        }
    }
    Ok(end)
}
