//! The edge from inside a process: every promise of the contract over a real desk and a log in memory.
#![allow(clippy::unwrap_used, reason = "what a test sets up is known to be well formed")]

mod edge;

mod bodies;
mod described;
mod lists;
mod reads;
mod roles;
mod tokens;
mod writes;
