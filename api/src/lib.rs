//! The thin HTTP edge: proves who asks, parses bodies into domain values, hands them to the desk, and shows views.
//!
//! It decides nothing about orders, cash or shares, keeps no state but proved tokens, and names no adapter.
//!
//! ```text
//! request ──► edge ──► caller ──► body ──► submit ──► desk          (writes)
//!   (id, panics,  (role,      (typed, or        └──► outcome ──► answer
//!    counters)     account)    every fault)
//!                    └──► query ──► reading ──► views, log          (reads)
//! ```

mod router;
mod state;

mod caller;
pub mod token;
mod token_cache;

mod body;
mod edge;
mod field;
mod problem;
mod query;
mod sent;

mod outcome;
mod reading;
mod submit;

mod account_reads;
mod accounts;
mod funds;
mod imports;
mod market;
mod market_reads;
mod orders;
mod positions;
mod system;
mod venue;

mod answers;
mod document;

pub mod metrics;

pub mod observe;

mod error;

pub use error::Error;
pub use router::{openapi, router};
pub use state::{Config, READ_WAIT_MS, State};
