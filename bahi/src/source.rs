//! The log that a subcommand reads: of a data folder, or on Kafka; one set of flags for all of them.

use crate::{
    config,
    error::Error,
    wire::{self, OpenLog},
};
use event_log::kafka::PREFIX;
use std::path::PathBuf;

/// Where the log is.
#[derive(clap::Args)]
pub struct Source {
    /// The data folder
    #[arg(long, value_name = "DIR", env = config::DATA_VARIABLE, required_unless_present = "brokers")]
    data: Option<PathBuf>,
    /// Instead of a folder: some of the Kafka brokers that hold the log, by commas
    #[arg(long, value_name = "HOST:PORT")]
    brokers: Option<String>,
    /// What the log's topics are called before their dot
    #[arg(long, value_name = "PREFIX", env = "BAHI_TOPIC_PREFIX", default_value = PREFIX)]
    topic_prefix: String,
}

impl Source {
    /// Opens it to read; brokers, where they are named, win over a folder.
    ///
    /// # Errors
    /// When there is no log, or none that this release reads.
    pub async fn open(&self) -> Result<OpenLog, Error> {
        match (&self.brokers, &self.data) {
            (Some(brokers), _) => wire::open_cluster(brokers, &self.topic_prefix).await,
            (None, Some(data)) => wire::open_to_read(data).await,
            (None, None) => Err(Error::Usage("say where the log is: --data DIR or --brokers HOST:PORT".to_owned())),
        }
    }
}
