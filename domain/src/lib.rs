//! What is true of accounts and markets, as pure folds and decisions.
//!
//! Nothing here does I/O, reads a clock, draws a random number, awaits or knows JSON text.

pub mod account;
pub mod applicable_nav;
pub mod book;
pub mod calendar;
pub mod calendar_file;
pub mod cash;
pub mod command;
pub mod event;
pub mod fund;
pub mod history;
pub mod ids;
pub mod intraday;
pub mod market;
pub mod money;
pub mod order;
pub mod policy;
pub mod position;
pub mod posting;
pub mod rejection;
pub mod row_key;
pub mod testing;
pub mod time;
