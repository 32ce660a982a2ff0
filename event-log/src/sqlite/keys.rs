//! Which offsets each key has: the newest in memory, full segments as rows; knows no table.
//!
//! A segment is 65,536 offsets of one partition. Its keys are spread over 256 rows that are written
//! once, together and in order, so that the index dirties no old page: a B-tree of keys would dirty
//! one for almost every record (`docs/decisions/0002-sqlite-log-layout.md` has the figures).

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::block::{Cursor, Damaged, put, put_text};
use crate::partition_of;

/// How many offsets a segment holds, as a power of two.
pub(super) const SEGMENT_BITS: u32 = 16;
/// Over how many rows a segment is spread: some 4 KiB a row, so that a look-up reads little.
pub(super) const SEGMENT_ROWS: u32 = 256;

/// The segment that holds an offset.
pub(super) fn segment_of(offset: u64) -> u64 {
    offset >> SEGMENT_BITS
}

/// The row of any segment that a key is in.
pub(super) fn row_of(key: &str) -> u32 {
    partition_of(key, SEGMENT_ROWS)
}

/// The keys of one segment, with offsets relative to its start.
pub(super) struct Segment {
    /// Its number.
    pub number: u64,
    keys: HashMap<Box<str>, Vec<u32>>,
}

impl Segment {
    fn new(number: u64) -> Segment {
        Segment { number, keys: HashMap::new() }
    }

    fn offsets<'a>(&'a self, key: &str) -> impl Iterator<Item = u64> + use<'a> {
        let start = self.number << SEGMENT_BITS;
        self.keys.get(key).into_iter().flatten().map(move |offset| start + u64::from(*offset))
    }

    /// The segment as its rows: in each, keys in order, the length of their offsets, the offsets
    /// each relative to the one before.
    pub fn rows(&self) -> Vec<Vec<u8>> {
        let mut keys: Vec<_> = self.keys.iter().collect();
        keys.sort_unstable();
        let mut rows = vec![Vec::new(); SEGMENT_ROWS as usize];
        let mut deltas = Vec::new();
        for (key, offsets) in keys {
            deltas.clear();
            let mut before = 0;
            for offset in offsets {
                put(&mut deltas, u64::from(offset - before));
                before = *offset;
            }
            let row = &mut rows[row_of(key) as usize];
            put_text(row, key);
            put(row, deltas.len() as u64);
            row.extend_from_slice(&deltas);
        }
        rows
    }
}

/// The offsets of a key in one row of a segment.
pub(super) fn offsets_in_row(row: &[u8], segment: u64, key: &str) -> Result<Vec<u64>, Damaged> {
    let mut cursor = Cursor { bytes: row, at: 0 };
    while !cursor.is_at_end() {
        let found = cursor.text()? == key;
        let length = usize::try_from(cursor.number()?).map_err(|_| Damaged("a row of keys ends early"))?;
        let deltas = cursor.take(length)?;
        if found {
            let mut deltas = Cursor { bytes: deltas, at: 0 };
            let mut offset = segment << SEGMENT_BITS;
            let mut offsets = Vec::new();
            while !deltas.is_at_end() {
                offset += deltas.number()?;
                offsets.push(offset);
            }
            return Ok(offsets);
        }
    }
    Ok(Vec::new())
}

/// The keys of the records that no written segment covers.
pub(super) struct Newest {
    /// Full segments that are not written yet, in order.
    full: VecDeque<Arc<Segment>>,
    open: Segment,
    next: u64,
}

impl Newest {
    /// Nothing yet, with segments before `segment` written.
    pub fn new(segment: u64) -> Newest {
        Newest { full: VecDeque::new(), open: Segment::new(segment), next: segment << SEGMENT_BITS }
    }

    /// The offset of the record to add next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Adds the record at [`Newest::next`].
    pub fn add(&mut self, key: Option<&str>) {
        let segment = segment_of(self.next);
        if segment != self.open.number {
            let full = std::mem::replace(&mut self.open, Segment::new(segment));
            self.full.push_back(Arc::new(full));
        }
        if let Some(key) = key {
            let offset = (self.next - (segment << SEGMENT_BITS)) as u32;
            match self.open.keys.get_mut(key) {
                Some(offsets) => offsets.push(offset),
                None => {
                    self.open.keys.insert(key.into(), vec![offset]);
                }
            }
        }
        self.next += 1;
    }

    /// The first segment that is not written.
    pub fn first(&self) -> u64 {
        self.full.front().map_or(self.open.number, |segment| segment.number)
    }

    /// The oldest full segment, to be written.
    pub fn oldest_full(&self) -> Option<Arc<Segment>> {
        self.full.front().cloned()
    }

    /// Forgets the segments before this one: they are written.
    pub fn written_before(&mut self, segment: u64) {
        while self.full.front().is_some_and(|full| full.number < segment) {
            self.full.pop_front();
        }
        if self.open.number < segment {
            *self = Newest::new(segment);
        }
    }

    /// The offsets of a key from `from` on, at most `max`.
    pub fn offsets(&self, key: &str, from: u64, max: usize) -> Vec<u64> {
        let segments = self.full.iter().map(AsRef::as_ref).chain([&self.open]);
        segments.flat_map(|segment| segment.offsets(key)).filter(|offset| *offset >= from).take(max).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_memory_and_in_the_rows_of_a_full_segment() {
        let mut newest = Newest::new(3);
        let start = 3 << SEGMENT_BITS;
        for at in 0..(1 << SEGMENT_BITS) + 10_u64 {
            let key = format!("ACC{}", at % 1000);
            newest.add((at % 7 != 0).then_some(&*key));
        }
        let expected: Vec<_> =
            (0..(1 << SEGMENT_BITS) + 10_u64).filter(|at| at % 7 != 0 && at % 1000 == 5).map(|at| start + at).collect();
        assert_eq!(newest.offsets("ACC5", 0, usize::MAX), expected);
        assert_eq!(newest.offsets("ACC5", expected[3], 2), expected[3..5]);
        assert_eq!(newest.first(), 3);
        let full = newest.oldest_full().expect("a segment is full");
        let rows = full.rows();
        let row = &rows[row_of("ACC5") as usize];
        let in_segment: Vec<_> = expected.iter().copied().filter(|offset| segment_of(*offset) == 3).collect();
        assert_eq!(offsets_in_row(row, 3, "ACC5"), Ok(in_segment));
        assert_eq!(offsets_in_row(row, 3, "absent"), Ok(vec![]));
        newest.written_before(4);
        assert_eq!(newest.first(), 4);
        assert_eq!(newest.next(), (4 << SEGMENT_BITS) + 10);
        assert!(newest.oldest_full().is_none());
    }
}
