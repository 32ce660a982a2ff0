//! Starts writers, followers and simulations over a log, and stops them.

use crate::{config::Config, desk::Desk, error::Error};
use event_log::EventLog;
use std::sync::Arc;

/// What `start` started.
pub struct Running {
    /// Where commands and facts are handed in.
    pub desk: Arc<Desk>,
}

impl Running {
    /// Takes no more commands, lets the flights under way land, answers what waits, and returns when all tasks have ended.
    pub async fn stop(self) {}
}

/// Folds the log, claims its partitions and serves.
///
/// Returns once every writer has folded its partition and either holds a live claim or has failed to write one
/// (then commands are answered [`crate::Answer::Busy`] until it can).
///
/// # Errors
/// When a partition cannot be read, is corrupt, or a setting is out of range.
pub async fn start(_log: Arc<dyn EventLog>, _config: Config) -> Result<Running, Error> {
    Err(Error::Config("not built yet"))
}
