//! What the caller may set, and the limits that are not for setting, each with its reason.

use crate::clock::Clock;
use domain::{calendar::CalendarMode, policy::Policy};
use event_log::snapshot::SnapshotStore;
use std::{sync::Arc, time::Duration};

/// Commands that wait for a partition's writer: a tenth of a second's work, so that waiting there never takes long.
pub const QUEUE_COMMANDS: usize = 8_192;
/// Entries of one flight: long enough to share a disk sync widely, short enough to answer early.
pub const FLIGHT_ENTRIES: usize = 1_024;
/// Bytes of one flight's values, so that with all that travels beside them it is one batch to a broker.
pub const FLIGHT_BYTES: usize = 2 << 20;
/// How long a caller waits for its outcome before it is told to ask again.
pub const WAIT_MS: u64 = 5_000;
/// How long a command waits for the market facts that it names.
pub const MARKET_WAIT_MS: u64 = 1_000;
/// Commands per second and account.
pub const ACCOUNT_COMMANDS_PER_SECOND: u32 = 1_000;

/// Books that are held in memory, over all partitions: a few kilobytes each.
pub const BOOKS_MAX: usize = 50_000;
/// Entries of a partition after which a snapshot is taken: a start folds them in about a second.
pub const SNAPSHOT_ENTRIES: usize = 250_000;

/// How writers and desk work.
#[derive(Clone)]
pub struct Config {
    /// Commands that may wait for one partition's writer; at least 1.
    pub queue: usize,
    /// Most entries of one flight, 1 to [`event_log::APPEND_RECORDS_MAX`].
    pub batch: usize,
    /// Most bytes of values in one flight; one entry is always taken.
    pub batch_bytes: usize,
    /// Which calendar decisions go by.
    pub calendar: CalendarMode,
    /// Dated rates.
    pub policy: Arc<Policy>,
    /// Whether an exchange and a registrar are simulated.
    pub simulated_venue: bool,
    /// Splits the simulated venue's fills by this seed; whole fills without one.
    pub partial_fills_seed: Option<u64>,
    /// How long a caller waits for its outcome.
    pub wait: Duration,
    /// How long a command waits for the market facts that it names.
    pub market_wait: Duration,
    /// Commands per second and account in the client's role; `None` for no limit.
    pub account_commands_per_second: Option<u32>,
    /// The only source of time.
    pub clock: Arc<dyn Clock>,
    /// Where snapshots are kept; without one each start folds the whole log, and all of it stays in memory.
    pub snapshots: Option<Arc<dyn SnapshotStore>>,
    /// Most books in memory that are saved in a snapshot; at least 1 for each partition is.
    pub books_max: usize,
    /// Entries of a partition after which a snapshot is taken.
    pub snapshot_entries: usize,
}

impl Config {
    /// The shipped limits and policy, the exchange's calendar and no simulation.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            queue: QUEUE_COMMANDS,
            batch: FLIGHT_ENTRIES,
            batch_bytes: FLIGHT_BYTES,
            calendar: CalendarMode::Exchange,
            policy: Arc::new(Policy::default()),
            simulated_venue: false,
            partial_fills_seed: None,
            wait: Duration::from_millis(WAIT_MS),
            market_wait: Duration::from_millis(MARKET_WAIT_MS),
            account_commands_per_second: Some(ACCOUNT_COMMANDS_PER_SECOND),
            clock,
            snapshots: None,
            books_max: BOOKS_MAX,
            snapshot_entries: SNAPSHOT_ENTRIES,
        }
    }
}
