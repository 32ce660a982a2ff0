//! Writing from outside the crate: what is answered, what is recorded, and what failures leave behind.

mod common;

mod answers;
mod due;
mod faults;
mod venue;
