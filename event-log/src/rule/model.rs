//! A model of the rule by seed: writers as the design has them, their clients, and a partition whose appends are late,
//! lost, doubled and swapped; then the same with one clause left out, which must be noticed.
//!
//! Every reader is the shipped one. The shipped writer, which this crate does not know, is driven through the same
//! trouble by a model of its own, beside it in `commands`.

mod weak;

mod books;

mod writer;

mod world;

mod tests;
