//! Writers explored by seed over a log that does what brokers may do: two or more at once, that are paused, killed and
//! started again, while appends are lost, late, torn, doubled and swapped, and clients ask again until they know.
//!
//! What is driven is what is shipped: the writer with its intake and its snapshots, and the desk's courier and lane.
//! Only what they stand on is simulated, on a clock that stands still, so that a seed tells the same story each time.
//! Clause by clause the same is run without it, by what the log shows or, where the clause is a line of the writer, by a
//! question that this line asks in tests only (`left_out.rs`); each must be noticed.
//! The ledger rule by itself is explored in `event-log`, which knows no writer; hence this model is here.

mod weak;

pub(crate) mod left_out;

mod run;

mod process;

mod client;

mod world;

mod wire;

mod fate;

mod view;

mod store;

mod purse;

mod truth;

mod said;

mod tests;
