//! How commands and facts become entries: the desk that callers ask, one writer a partition, the back office, a simulated venue.
//!
//! It decides nothing about business, which `domain` does, and knows no HTTP, no view and no store by name.
//!
//! ```text
//! desk ──bounded queue──► writer ──decide, fold, encode──► flight ──append──► log
//!   ▲                       │  (while one flight is under way the next is decided)   │
//!   └──── outcome, once the entry is durable and live by the ledger rule ◄───────────┘
//! ```

pub mod submission;

pub mod outcome;

pub mod config;

pub mod clock;

pub mod desk;

mod running;

pub mod remote;

pub mod writing;

mod error;

mod writer;

mod claim;

mod flight;

mod subject;

mod ledger;

mod shelf;

mod facts;

mod followed;

mod halted;

mod saved_market;

mod lane;

mod courier;

mod intake;

mod request;

mod queue;

mod known;

mod snapshots;

mod saved_keys;

mod staging;

mod deciding;

mod rate;

mod metrics;

mod outside;

mod venue;

mod registrar;

pub mod redecide;

pub use clock::Clock;
pub use config::Config;
pub use desk::Desk;
pub use error::Error;
pub use outcome::{Answer, Answered, Outcome, OutcomeResult};
pub use redecide::{Redecided, redecide};
pub use remote::Remote;
pub use running::{Running, start};
pub use submission::{By, FactSubmission, Submission};
pub use writing::{Partition, Writing, write};
