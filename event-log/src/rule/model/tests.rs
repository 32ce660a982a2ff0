//! The model holds, and notices when anything is left out; how many seeds are run is said by the environment.

use super::{weak::Weak, world::run};
use std::env;

/// Seeds unless `BAHI_MODEL_SEEDS` says another number.
const SEEDS: u64 = 3_000;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().and_then(|text| text.parse().ok())
}

/// All seeds to run; one, if `BAHI_MODEL_SEED` says which.
fn seeds() -> std::ops::Range<u64> {
    match number("BAHI_MODEL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("BAHI_MODEL_SEEDS").unwrap_or(SEEDS),
    }
}

#[test]
fn whatever_happens_live_entries_are_one_chain_and_what_is_told_is_in_it() {
    for seed in seeds() {
        if let Err(what) = run(seed, None) {
            panic!("BAHI_MODEL_SEED={seed}: {what}");
        }
    }
}

#[test]
fn each_clause_that_is_left_out_is_noticed() {
    let mut unnoticed = Vec::new();
    for weak in Weak::ALL {
        let bad: Vec<_> = seeds().filter_map(|seed| Some((seed, run(seed, Some(weak)).err()?))).collect();
        match bad.first() {
            Some((seed, what)) => {
                eprintln!("{weak:?}: {} of {} seeds, first {seed}: {what}", bad.len(), seeds().count());
            }
            None => unnoticed.push(weak),
        }
    }
    // One seed alone is run to be read.
    assert!(unnoticed.is_empty() || number("BAHI_MODEL_SEED").is_some(), "{unnoticed:?}");
}
