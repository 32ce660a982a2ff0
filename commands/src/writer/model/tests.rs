//! The model holds, and notices when anything is left out; which seeds are run is said by the environment:
//! `BAHI_MODEL_SEEDS` how many, `BAHI_MODEL_SEED` only that one, told aloud, `BAHI_MODEL_WEAK` only that clause.

use super::{run::run, said::Said, weak::Weak};
use std::env;

/// Seeds unless `BAHI_MODEL_SEEDS` says another number.
const SEEDS: u64 = 2_000;
/// Seeds that must notice what is left out, of those that are run.
const ENOUGH: usize = 3;

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
fn whatever_happens_each_command_has_one_outcome_and_one_that_is_told() {
    let (mut turns, mut live, mut bad) = (0, 0, Vec::new());
    // One seed is told aloud.
    let _said = number("BAHI_MODEL_SEED").map(|_| tracing::subscriber::set_default(Said));
    for seed in seeds() {
        let ended = run(seed, None);
        turns += ended.turns;
        live += ended.live;
        if !ended.violations.is_empty() {
            eprintln!("BAHI_MODEL_SEED={seed}: {:#?}", ended.violations);
            bad.push(seed);
        }
    }
    eprintln!("{} seeds, {turns} turns of processes, {live} live entries", seeds().count());
    assert!(bad.is_empty(), "seeds {bad:?} fail; run one with BAHI_MODEL_SEED");
}

#[test]
fn a_seed_tells_the_same_story_each_time() {
    for seed in 0..20 {
        assert_eq!(run(seed, None).records, run(seed, None).records, "seed {seed}");
    }
}

#[test]
fn each_clause_that_is_left_out_is_noticed() {
    let only = env::var("BAHI_MODEL_WEAK").ok();
    let is_wanted = |weak: Weak| only.as_ref().is_none_or(|only| format!("{weak:?}") == *only);
    let mut unnoticed = Vec::new();
    for (weak, most) in Weak::ALL.into_iter().filter(|(weak, _)| is_wanted(*weak)) {
        let wanted = number("BAHI_MODEL_SEEDS").map(|seeds| seeds.max(most));
        let (mut bad, mut ran) = (Vec::new(), 0);
        for seed in 0..wanted.unwrap_or(most) {
            ran += 1;
            let what = run(seed, Some(weak)).violations.into_iter().next();
            bad.extend(what.map(|what| (seed, what)));
            // A few are enough, unless more are asked for.
            if bad.len() == ENOUGH && wanted.is_none() {
                break;
            }
        }
        match bad.first() {
            Some((seed, what)) => eprintln!("{weak:?}: {} of {ran} seeds, first {seed}: {what}", bad.len()),
            None => unnoticed.push(weak),
        }
    }
    assert!(unnoticed.is_empty(), "{unnoticed:?}");
}
