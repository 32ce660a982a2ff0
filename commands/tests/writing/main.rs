//! Writing from outside the crate: what is answered, what is recorded, and what failures leave behind.

#[cfg(test)]
mod common;
#[cfg(test)]
mod through;

#[cfg(test)]
mod answers;
#[cfg(test)]
mod apart;
#[cfg(test)]
mod due;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod following;
#[cfg(test)]
mod market;
#[cfg(test)]
mod redecide;
#[cfg(test)]
mod repeats;
#[cfg(test)]
mod saved_market;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod venue;
