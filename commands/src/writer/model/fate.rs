//! What becomes of one append: which of its records land, when, in which order and how often, and what is said of it.

use super::world::World;
use rand::{Rng, rngs::StdRng};
use std::ops::Range;

/// The longest that an append may land after it was given up: longer than any back-off.
const LATE_MS_MAX: u64 = 3_000;
/// How long an append may take that goes well.
const PROMPT_MS_MAX: u64 = 6;

/// What is said once the caller is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Where they stand, if they stand together; otherwise that it is not known.
    Truth,
    /// That it is not known.
    Unknown,
    /// That nothing landed, which is true.
    Refused,
}

/// What becomes of one append.
#[derive(Debug)]
pub(super) struct Fate {
    /// Which records land, each part after so many milliseconds.
    pub parts: Vec<(u64, Range<usize>)>,
    /// After how many parts the caller is answered, and how long after.
    pub answered: (usize, u64),
    pub word: Word,
    /// Whether it lands though its process is paused, as it is on its way.
    pub is_sent: bool,
    /// Whether the end is looked at first, as far as that can be.
    pub looks_at_end: bool,
}

impl Fate {
    /// Of an append of so many records; when it is calm all goes well.
    pub(super) fn draw(chance: &mut StdRng, count: usize, world: &World) -> Fate {
        let prompt = chance.random_range(0..PROMPT_MS_MAX);
        let whole = vec![(prompt, 0..count)];
        let fate = |parts, answered, word| Fate { parts, answered, word, is_sent: true, looks_at_end: false };
        if world.is_calm() {
            return fate(whole, (1, 0), Word::Truth);
        }
        let cut = chance.random_range(0..=count);
        let late = chance.random_range(PROMPT_MS_MAX..LATE_MS_MAX);
        let soon = chance.random_range(0..2 * PROMPT_MS_MAX);
        let (head, tail) = (0..cut, cut..count);
        let fate = match chance.random_range(0..if world.is_stormy { 20 } else { 48 }) {
            // Its answer is lost.
            0 | 1 => fate(whole, (1, soon), Word::Unknown),
            // It is lost.
            2 => fate(Vec::new(), (0, soon), Word::Unknown),
            // It is given up, and lands.
            3 | 4 => fate(vec![(late, 0..count)], (0, soon), Word::Unknown),
            // Its head lands.
            5 => fate(vec![(prompt, head)], (1, soon), Word::Unknown),
            6 => fate(vec![(prompt, head), (late, tail)], (1, soon), Word::Unknown),
            // Its tail lands first, or alone.
            7 => fate(vec![(prompt, tail), (soon, head)], (2, 0), Word::Truth),
            15 => fate(vec![(late, tail)], (0, soon), Word::Unknown),
            // It lands twice.
            8 => fate(vec![(prompt, 0..count), (late, 0..count)], (1, soon), Word::Truth),
            9 => fate(vec![(prompt, 0..count), (soon, 0..count)], (1, 0), Word::Truth),
            10 => fate(vec![(prompt, 0..count), (soon, 0..count)], (2, 0), Word::Truth),
            11 => fate(vec![(prompt, 0..count), (late, head)], (1, soon), Word::Truth),
            // It is refused.
            12 => fate(Vec::new(), (0, soon), Word::Refused),
            // Others may come between.
            13 | 14 => fate(vec![(prompt, head), (soon, tail)], (2, 0), Word::Truth),
            _ => fate(whole, (1, soon), Word::Truth),
        };
        Fate { is_sent: chance.random(), looks_at_end: chance.random(), ..fate }
    }
}
