//! The product from outside: its real binary, started and killed, spoken to over HTTP and the command line.
//!
//! The stories beside this crate know no type of the product: what they send and read is what any
//! client sees. Every wait is for a fact and has a limit.

pub mod binary;
pub mod client;
pub mod cluster;
pub mod collector;
pub mod load;
pub mod reads;
pub mod real_data;
pub mod server;
pub mod story;
pub mod wait;
pub mod wander;

pub use client::{Client, Reply, key};
pub use server::Server;
pub use wait::wait_until;
