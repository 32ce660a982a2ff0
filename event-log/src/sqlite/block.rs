//! A run of records as one blob; knows bytes only, no table and no file.
//!
//! ```text
//! version 1 | crc32 of all that follows (4 bytes, little endian)
//! count | first time | writers: n, (term, 16 bytes) ... | kinds: n, text ...
//! record: length | flags | [key] | writer | kinds | time | source | after | id | [trace] | value
//! ```
//!
//! Numbers are LEB128, signed ones zigzag; times are relative to the first record's, `after` to the
//! source. A text is its length and its bytes; writer and kinds are indexes into the lists above.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Headers, Record, RecordKind, Stored};

const VERSION: u8 = 1;
/// The version and the checksum.
const PREFIX_BYTES: usize = 5;

/// Flags: two bits for the kind, then what else is there.
const KIND: u8 = 0b11;
const HAS_KEY: u8 = 1 << 2;
/// The id is the key, a slash and a number without leading zeros.
const ID_IS_NUMBERED_KEY: u8 = 1 << 3;
const HAS_TRACE: u8 = 1 << 4;

/// Records that are not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Damaged(pub &'static str);

const CUT: Damaged = Damaged("a run of records ends early");

/// Writes dense records as one blob.
pub(super) fn encode(records: &[Arc<Stored>]) -> Vec<u8> {
    let first_time = records.first().map_or(0, |stored| stored.record.headers.ce_time);
    let mut writers: Vec<(u64, u128)> = Vec::new();
    let mut kinds: Vec<&str> = Vec::new();
    let size: usize = records.iter().map(|stored| stored.record.value.len() + 128).sum();
    let mut rows = Vec::with_capacity(size);
    let mut head = Vec::with_capacity(96);
    for stored in records {
        let Record { key, headers, value } = &stored.record;
        let number = key.as_deref().and_then(|key| numbered(&headers.ce_id, key));
        head.clear();
        let mut flags = kind_number(headers.ce_type);
        flags |= if key.is_some() { HAS_KEY } else { 0 };
        flags |= if number.is_some() { ID_IS_NUMBERED_KEY } else { 0 };
        flags |= if headers.traceparent.is_some() { HAS_TRACE } else { 0 };
        head.push(flags);
        if let Some(key) = key {
            put_text(&mut head, key);
        }
        put(&mut head, index_in(&mut writers, (headers.term, headers.writer)));
        put(&mut head, index_in(&mut kinds, &*headers.kinds));
        put_signed(&mut head, headers.ce_time.wrapping_sub(first_time));
        put_signed(&mut head, headers.source);
        put_signed(&mut head, headers.source.wrapping_sub(headers.after));
        match number {
            Some(number) => put(&mut head, number),
            None => put_text(&mut head, &headers.ce_id),
        }
        if let Some(trace) = &headers.traceparent {
            put_text(&mut head, trace);
        }
        put(&mut rows, (head.len() + value.len()) as u64);
        rows.extend_from_slice(&head);
        rows.extend_from_slice(value);
    }
    let mut blob = Vec::with_capacity(rows.len() + 128);
    blob.extend_from_slice(&[VERSION, 0, 0, 0, 0]);
    put(&mut blob, records.len() as u64);
    put_signed(&mut blob, first_time);
    put(&mut blob, writers.len() as u64);
    for (term, writer) in writers {
        put(&mut blob, term);
        blob.extend_from_slice(&writer.to_le_bytes());
    }
    put(&mut blob, kinds.len() as u64);
    for text in kinds {
        put_text(&mut blob, text);
    }
    blob.extend_from_slice(&rows);
    let sum = crc32fast::hash(&blob[PREFIX_BYTES..]);
    blob[1..PREFIX_BYTES].copy_from_slice(&sum.to_le_bytes());
    blob
}

/// A blob whose checksum held; its records are taken one by one.
pub(super) struct Block {
    blob: Bytes,
    at: usize,
    left: u64,
    next: u64,
    first_time: i64,
    writers: Vec<(u64, u128)>,
    kinds: Vec<Arc<str>>,
}

/// One record of a block, not yet read.
pub(super) struct Raw {
    /// Its offset.
    pub offset: u64,
    start: usize,
    end: usize,
}

impl Block {
    /// Checks the blob of the run that begins at offset `first`.
    pub fn open(first: u64, blob: Bytes) -> Result<Block, Damaged> {
        if blob.len() < PREFIX_BYTES {
            return Err(CUT);
        }
        if blob[0] != VERSION {
            return Err(Damaged("a run of records has an unknown version"));
        }
        let mut sum = [0; 4];
        sum.copy_from_slice(&blob[1..PREFIX_BYTES]);
        if crc32fast::hash(&blob[PREFIX_BYTES..]) != u32::from_le_bytes(sum) {
            return Err(Damaged("the checksum of a run of records is wrong"));
        }
        let mut cursor = Cursor { bytes: &blob, at: PREFIX_BYTES };
        let left = cursor.number()?;
        let first_time = cursor.signed()?;
        let mut writers = Vec::new();
        for _ in 0..cursor.number()? {
            let term = cursor.number()?;
            let mut writer = [0; 16];
            writer.copy_from_slice(cursor.take(16)?);
            writers.push((term, u128::from_le_bytes(writer)));
        }
        let mut kinds = Vec::new();
        for _ in 0..cursor.number()? {
            kinds.push(cursor.text()?.into());
        }
        let at = cursor.at;
        Ok(Block { blob, at, left, next: first, first_time, writers, kinds })
    }

    /// The offset past the last record.
    pub fn end(&self) -> u64 {
        self.next + self.left
    }

    /// The next record, or none.
    pub fn next(&mut self) -> Result<Option<Raw>, Damaged> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut cursor = Cursor { bytes: &self.blob, at: self.at };
        let length = usize::try_from(cursor.number()?).map_err(|_| CUT)?;
        let start = cursor.at;
        cursor.take(length)?;
        let raw = Raw { offset: self.next, start, end: cursor.at };
        (self.at, self.left, self.next) = (cursor.at, self.left - 1, self.next + 1);
        Ok(Some(raw))
    }

    /// Only the key of a record.
    pub fn key(&self, raw: &Raw) -> Result<Option<&str>, Damaged> {
        let mut cursor = Cursor { bytes: &self.blob[..raw.end], at: raw.start };
        let flags = cursor.take(1)?[0];
        if flags & HAS_KEY == 0 { Ok(None) } else { cursor.text().map(Some) }
    }

    /// The record; its value shares the memory of the whole block.
    pub fn record(&self, raw: &Raw) -> Result<Stored, Damaged> {
        let mut cursor = Cursor { bytes: &self.blob[..raw.end], at: raw.start };
        let flags = cursor.take(1)?[0];
        let key = if flags & HAS_KEY == 0 { None } else { Some(cursor.text()?) };
        let unknown = Damaged("a record names something that its run does not hold");
        let (term, writer) = *pick(&self.writers, cursor.number()?).ok_or(unknown)?;
        let kinds = pick(&self.kinds, cursor.number()?).ok_or(unknown)?;
        let ce_time = self.first_time.wrapping_add(cursor.signed()?);
        let source = cursor.signed()?;
        let after = source.wrapping_sub(cursor.signed()?);
        let ce_id = match key {
            Some(key) if flags & ID_IS_NUMBERED_KEY != 0 => numbered_id(key, cursor.number()?),
            _ => cursor.text()?.into(),
        };
        let traceparent = if flags & HAS_TRACE == 0 { None } else { Some(Box::from(cursor.text()?)) };
        let headers = Headers {
            ce_type: kind_of(flags & KIND)?,
            ce_id,
            ce_time,
            term,
            writer,
            after,
            source,
            kinds: Arc::clone(kinds),
            traceparent,
        };
        let key = key.map(Box::from);
        let value = self.blob.slice(cursor.at..raw.end);
        Ok(Stored { offset: raw.offset, record: Record { key, headers, value } })
    }
}

fn kind_number(kind: RecordKind) -> u8 {
    match kind {
        RecordKind::Entry => 0,
        RecordKind::Market => 1,
        RecordKind::Claim => 2,
        // The file refuses them.
        RecordKind::Command | RecordKind::Fact => 3,
    }
}

fn kind_of(number: u8) -> Result<RecordKind, Damaged> {
    [RecordKind::Entry, RecordKind::Market, RecordKind::Claim]
        .into_iter()
        .find(|kind| kind_number(*kind) == number)
        .ok_or(Damaged("a record is of an unknown kind"))
}

/// The number in an id that is `{key}/{number}` exactly as [`numbered_id`] writes it.
fn numbered(id: &str, key: &str) -> Option<u64> {
    let digits = id.strip_prefix(key)?.strip_prefix('/')?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let leading = digits.len() > 1 && digits.starts_with('0');
    if plain && !leading { digits.parse().ok() } else { None }
}

fn numbered_id(key: &str, mut number: u64) -> Box<str> {
    // Written by hand: formatting costs more than the rest of reading a record.
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    let mut id = String::with_capacity(key.len() + 1 + digits.len() - at);
    id.push_str(key);
    id.push('/');
    id.extend(digits[at..].iter().map(|digit| char::from(*digit)));
    id.into()
}

fn pick<T>(list: &[T], index: u64) -> Option<&T> {
    list.get(usize::try_from(index).ok()?)
}

/// Runs hold few different ones, so looking through them is cheapest.
fn index_in<T: PartialEq>(list: &mut Vec<T>, item: T) -> u64 {
    let found = list.iter().rposition(|known| *known == item);
    let index = found.unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    });
    index as u64
}

/// Writes a number in LEB128.
pub(super) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_signed(out: &mut Vec<u8>, number: i64) {
    put(out, ((number << 1) ^ (number >> 63)) as u64);
}

/// Writes a text after its length.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Reads what the functions above write.
pub(super) struct Cursor<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Cursor<'a> {
    pub fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Damaged> {
        let end = self.at.checked_add(length).ok_or(CUT)?;
        let taken = self.bytes.get(self.at..end).ok_or(CUT)?;
        self.at = end;
        Ok(taken)
    }

    pub fn number(&mut self) -> Result<u64, Damaged> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(CUT)?;
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Damaged("a number is too long"))
    }

    fn signed(&mut self) -> Result<i64, Damaged> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub fn text(&mut self) -> Result<&'a str, Damaged> {
        let length = usize::try_from(self.number()?).map_err(|_| CUT)?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Damaged("a text is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> impl Strategy<Value = Record> {
        let kind = prop::sample::select(vec![RecordKind::Entry, RecordKind::Market, RecordKind::Claim]);
        let key = prop::option::of("[A-Z0-9/_-]{0,12}");
        let id = prop_oneof!["[ -~]{0,20}", "/[0-9]{1,21}", "/0[0-9]{0,3}"];
        let headers = (any::<i64>(), 0..3_u64, any::<u128>(), any::<i64>(), any::<i64>(), "[a-z_,]{0,9}");
        let trace = prop::option::of("[0-9a-f-]{55}");
        let value = prop::collection::vec(any::<u8>(), 0..300);
        (kind, key, id, headers, trace, value).prop_map(
            |(ce_type, key, id, (ce_time, term, writer, after, source, kinds), trace, value)| {
                let ce_id = format!("{}{id}", key.as_deref().unwrap_or_default());
                let headers = Headers {
                    ce_type,
                    ce_id: ce_id.into(),
                    ce_time,
                    term,
                    writer,
                    after,
                    source,
                    kinds: kinds.into(),
                    traceparent: trace.map(Into::into),
                };
                Record { key: key.map(Into::into), headers, value: value.into() }
            },
        )
    }

    fn run(records: Vec<Record>, first: u64) -> Vec<Arc<Stored>> {
        let stored = |(record, offset)| Arc::new(Stored { offset, record });
        records.into_iter().zip(first..).map(stored).collect()
    }

    fn read(first: u64, blob: Vec<u8>) -> Result<Vec<Arc<Stored>>, Damaged> {
        let mut block = Block::open(first, blob.into())?;
        let mut read = Vec::new();
        while let Some(raw) = block.next()? {
            let stored = block.record(&raw)?;
            assert_eq!(block.key(&raw)?, stored.record.key.as_deref());
            read.push(Arc::new(stored));
        }
        Ok(read)
    }

    proptest! {
        #[test]
        fn a_run_reads_back_as_it_was_written(
            records in prop::collection::vec(record(), 0..20), first in 0..1_u64 << 44,
        ) {
            let records = run(records, first);
            prop_assert_eq!(read(first, encode(&records)), Ok(records));
        }

        #[test]
        fn a_run_with_any_byte_changed_or_cut_is_refused(
            records in prop::collection::vec(record(), 1..5),
            at: prop::sample::Index, flip in 1..=255_u8, cut: bool,
        ) {
            let mut blob = encode(&run(records, 0));
            let at = at.index(blob.len());
            if cut { blob.truncate(at) } else { blob[at] ^= flip }
            prop_assert!(read(0, blob).is_err());
        }
    }
}
