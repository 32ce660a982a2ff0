//! How commands and facts become entries: the desk that callers ask, one writer a partition, the back office, a simulated venue.
//!
//! It decides nothing about business, which `domain` does, and knows no HTTP, no view and no store by name.
//!
//! ```text
//! desk ──bounded queue──► writer ──decide, fold, encode──► flight ──append──► log
//!   ▲                       │  (while one flight is under way the next is decided)   │
//!   └──── outcome, once the entry is durable and live by the ledger rule ◄───────────┘
//! ```

pub mod clock;
pub mod config;
pub mod desk;
mod error;
pub mod outcome;
mod running;
pub mod submission;

mod facts;
mod flight;
mod followed;
mod ledger;
mod subject;
mod writer;

mod known;
mod lane;
mod metrics;

mod outside;
mod queue;
mod rate;
mod registrar;
mod venue;

pub use clock::Clock;
pub use config::Config;
pub use desk::Desk;
pub use error::Error;
pub use outcome::{Answer, Answered, Outcome, OutcomeResult};
pub use running::{Running, start};
pub use submission::{By, FactSubmission, Submission};
