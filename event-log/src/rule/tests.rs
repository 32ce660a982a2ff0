//! The rule by example, and explored with writers that all believe they own the partition.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, sample::Index};

use super::*;

const A: u128 = 0xa;
const B: u128 = 0xb;

fn claim(term: u64, writer: u128) -> Headers {
    Headers::claim(term, writer, format!("claim/{term}").into(), 0)
}

fn entry(term: u64, writer: u128, after: i64, source: i64) -> Headers {
    Headers {
        ce_type: RecordKind::Entry,
        ce_id: format!("ACC1/{source}").into(),
        ce_time: 0,
        term,
        writer,
        after,
        source,
        kinds: "cash_posted".into(),
        traceparent: None,
    }
}

/// Folds a whole log from its start; the example must not be corrupt.
fn verdicts(log: &[Headers]) -> (Reader, Vec<Verdict>) {
    let mut reader = Reader::default();
    let verdicts = log
        .iter()
        .zip(0..)
        .map(|(headers, offset)| reader.fold(offset, headers).expect("the log is not corrupt"))
        .collect();
    (reader, verdicts)
}

/// What a reader keeps: its state and the sources of the live entries, as written in a snapshot.
fn through_a_snapshot(reader: Reader) -> Reader {
    let text = serde_json::to_string(&reader).expect("a reader can be written");
    serde_json::from_str(&text).expect("a reader can be read back")
}

#[test]
fn fold_is_same_from_start_and_every_snapshot() {
    let log = [
        entry(1, A, -1, 0),
        claim(1, A),
        entry(1, A, -1, 0),
        entry(1, A, 0, 1),
        entry(1, A, 0, 1),
        claim(2, B),
        entry(1, A, 1, 2),
        entry(2, B, 1, 2),
        claim(2, A),
        entry(2, B, 2, 3),
    ];
    let (end, all) = verdicts(&log);
    let mut reader = Reader::default();
    for cut in 0..=log.len() {
        let mut resumed = through_a_snapshot(reader);
        let rest: Vec<_> =
            (cut..log.len()).map(|at| resumed.fold(at as u64, &log[at]).expect("the log is not corrupt")).collect();
        assert_eq!(rest, all[cut..], "resumed at {cut}");
        assert_eq!(resumed, end, "resumed at {cut}");
        if let Some(headers) = log.get(cut) {
            reader.fold(cut as u64, headers).expect("the log is not corrupt");
        }
    }
}

#[test]
fn snapshot_never_holds_speculation() {
    // A has appended sources 0 to 2 and decided 3, but the reader has folded only 0.
    let (folded, _) = verdicts(&[claim(1, A), entry(1, A, -1, 0)]);
    let mut resumed = through_a_snapshot(folded);
    assert_eq!(resumed, Reader { offset: 2, term: 1, writer: A, last: 0 });
    // Source 1 was lost, so what stood on it never counts, and B goes on from what was folded.
    assert_eq!(resumed.fold(2, &entry(1, A, 1, 2)), Ok(Verdict::Dead(Dead::OutOfTurn)));
    assert_eq!(resumed.fold(3, &claim(2, B)), Ok(Verdict::Claim));
    assert_eq!(resumed.fold(4, &entry(2, B, 0, 1)), Ok(Verdict::Entry));
}

#[test]
fn entry_before_any_claim_is_dead() {
    let (reader, all) = verdicts(&[entry(1, A, -1, 0), entry(0, 0, -1, 0)]);
    assert_eq!(all, [Verdict::Dead(Dead::NoClaim), Verdict::Dead(Dead::NoClaim)]);
    assert_eq!(reader, Reader { offset: 2, ..Reader::default() });
}

#[test]
fn second_claim_of_same_term_is_dead() {
    let (reader, all) = verdicts(&[claim(1, A), claim(1, B), entry(1, B, -1, 0), entry(1, A, -1, 0)]);
    assert_eq!(all, [Verdict::Claim, Verdict::DeadClaim, Verdict::Dead(Dead::OtherWriter), Verdict::Entry]);
    assert_eq!((reader.term, reader.writer, reader.last), (1, A, 0));
}

#[test]
fn old_term_entry_after_new_claim_is_dead() {
    let (reader, all) = verdicts(&[claim(1, A), entry(1, A, -1, 0), claim(2, B), entry(1, A, 0, 1), entry(2, B, 0, 1)]);
    assert_eq!(all[3..], [Verdict::Dead(Dead::OtherTerm), Verdict::Entry]);
    assert_eq!(reader.last, 1);
}

#[test]
fn duplicate_entry_is_dead_and_writer_keeps_term() {
    let (reader, all) = verdicts(&[claim(1, A), entry(1, A, -1, 0), entry(1, A, -1, 0), entry(1, A, 0, 1)]);
    assert_eq!(all[2..], [Verdict::Dead(Dead::Duplicate), Verdict::Entry]);
    assert_eq!((reader.term, reader.writer, reader.last), (1, A, 1));
}

#[test]
fn lost_entry_kills_followers_then_recovers() {
    // The entry of source 1 never landed.
    let (reader, all) = verdicts(&[
        claim(1, A),
        entry(1, A, -1, 0),
        entry(1, A, 1, 2),
        entry(1, A, 2, 3),
        claim(2, A),
        entry(2, A, 0, 1),
        entry(2, A, 1, 2),
        entry(2, A, 2, 3),
    ]);
    assert_eq!(all[2..4], [Verdict::Dead(Dead::OutOfTurn); 2]);
    assert_eq!(all[5..], [Verdict::Entry; 3]);
    assert_eq!(reader.last, 3);
}

#[test]
fn reordered_window_recovers() {
    // Sources 0, 1, 2 landed as 1, 0, 2.
    let (reader, all) = verdicts(&[
        claim(1, A),
        entry(1, A, 0, 1),
        entry(1, A, -1, 0),
        entry(1, A, 1, 2),
        claim(2, A),
        entry(2, A, 0, 1),
        entry(2, A, 1, 2),
    ]);
    let out_of_turn = Verdict::Dead(Dead::OutOfTurn);
    assert_eq!(all[1..4], [out_of_turn, Verdict::Entry, out_of_turn]);
    assert_eq!(all[5..], [Verdict::Entry; 2]);
    assert_eq!(reader.last, 2);
}

#[test]
fn late_claim_of_dead_writer_does_not_stall() {
    // A's claim of term 2 was delayed past B's of term 3; and one of term 4 lands, then B claims again.
    let (reader, all) = verdicts(&[
        claim(1, A),
        claim(3, B),
        entry(3, B, -1, 0),
        claim(2, A),
        entry(3, B, 0, 1),
        claim(4, A),
        entry(3, B, 1, 2),
        claim(5, B),
        entry(5, B, 1, 2),
    ]);
    assert_eq!(all[3..5], [Verdict::DeadClaim, Verdict::Entry]);
    assert_eq!(all[6], Verdict::Dead(Dead::OtherTerm));
    assert_eq!(all[7..], [Verdict::Claim, Verdict::Entry]);
    assert_eq!((reader.term, reader.writer, reader.last), (5, B, 2));
}

#[test]
fn a_gap_and_a_source_that_does_not_rise_are_corruption_and_change_nothing() {
    let (mut reader, _) = verdicts(&[claim(1, A), entry(1, A, -1, 5)]);
    let before = reader;
    let gap = Corruption::Gap { expected: 2, found: 3 };
    assert_eq!(reader.fold(3, &entry(1, A, 5, 6)), Err(gap));
    let not_past = Corruption::SourceNotPast { offset: 2, source_offset: 5, last: 5 };
    assert_eq!(reader.fold(2, &entry(1, A, 5, 5)), Err(not_past));
    assert_eq!(reader, before);
}

#[test]
fn a_market_entry_counts_as_an_entry_does() {
    let fact = |after, source| Headers { ce_type: RecordKind::Market, ..entry(1, A, after, source) };
    let (_, all) = verdicts(&[claim(1, A), fact(-1, 0), fact(0, 1), fact(0, 1)]);
    assert_eq!(all[1..], [Verdict::Entry, Verdict::Entry, Verdict::Dead(Dead::Duplicate)]);
}

/// A writer as the design has it, as far as the rule can see: it folds at its own pace, claims,
/// appends a window of entries in its term without waiting, and starts again when one is dead.
struct Writer {
    reader: Reader,
    phase: Phase,
}

enum Phase {
    /// Believes it should own the partition.
    Idle,
    /// Waits to see this very claim.
    Claimed { term: u64, writer: u128 },
    /// Saw its claim live; `last` is the source of its last appended entry.
    Owner { term: u64, writer: u128, last: i64 },
}

/// One step of the world; indexes choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    /// A writer claims, or appends its next entry.
    Write(Index),
    /// A writer folds up to so many records.
    Read(Index, u8),
    /// A writer is restarted, from a snapshot of its folded state.
    Restart(Index),
    /// One of the records under way lands.
    Land(Index),
    /// One of the records under way lands and stays under way: a duplicate.
    LandTwice(Index),
    /// One of the records under way is lost.
    Lose(Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any::<Index>().prop_map(Step::Write),
        6 => (any::<Index>(), 1..6_u8).prop_map(|(who, many)| Step::Read(who, many)),
        1 => any::<Index>().prop_map(Step::Restart),
        6 => any::<Index>().prop_map(Step::Land),
        2 => any::<Index>().prop_map(Step::LandTwice),
        1 => any::<Index>().prop_map(Step::Lose),
    ]
}

#[derive(Default)]
struct World {
    writers: Vec<Writer>,
    under_way: Vec<Headers>,
    log: Vec<Headers>,
    ids: u128,
}

impl World {
    fn with_writers(number: usize) -> World {
        let writer = || Writer { reader: Reader::default(), phase: Phase::Idle };
        World { writers: std::iter::repeat_with(writer).take(number).collect(), ..World::default() }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Write(who) => self.write(who.index(self.writers.len())),
            Step::Read(who, many) => self.read(who.index(self.writers.len()), *many),
            Step::Restart(who) => {
                let who = who.index(self.writers.len());
                self.writers[who].phase = Phase::Idle;
            }
            Step::Land(_) | Step::LandTwice(_) | Step::Lose(_) if self.under_way.is_empty() => {}
            Step::Land(which) => {
                let landed = self.under_way.remove(which.index(self.under_way.len()));
                self.log.push(landed);
            }
            Step::LandTwice(which) => {
                self.log.push(self.under_way[which.index(self.under_way.len())].clone());
            }
            Step::Lose(which) => {
                self.under_way.remove(which.index(self.under_way.len()));
            }
        }
    }

    fn write(&mut self, who: usize) {
        let writer = &mut self.writers[who];
        match &mut writer.phase {
            Phase::Idle => {
                self.ids += 1;
                let (term, id) = (writer.reader.term + 1, self.ids);
                writer.phase = Phase::Claimed { term, writer: id };
                self.under_way.push(claim(term, id));
            }
            // Its time-out passed without seeing the claim: it claims again.
            Phase::Claimed { .. } => writer.phase = Phase::Idle,
            Phase::Owner { term, writer, last } => {
                self.under_way.push(entry(*term, *writer, *last, *last + 1));
                *last += 1;
            }
        }
    }

    fn read(&mut self, who: usize, many: u8) {
        let writer = &mut self.writers[who];
        for _ in 0..many {
            let at = writer.reader.offset;
            let Some(headers) = self.log.get(at as usize) else { return };
            let verdict = writer.reader.fold(at, headers).expect("correct writers do not corrupt");
            let own = |term, id| headers.term == term && headers.writer == id;
            match (&writer.phase, verdict) {
                (&Phase::Claimed { term, writer: id }, Verdict::Claim) if own(term, id) => {
                    writer.phase = Phase::Owner { term, writer: id, last: writer.reader.last };
                }
                (Phase::Owner { .. }, Verdict::Claim) => writer.phase = Phase::Idle,
                (&Phase::Claimed { term, writer: id }, Verdict::DeadClaim) if own(term, id) => {
                    writer.phase = Phase::Idle;
                }
                (&Phase::Owner { term, writer: id, .. }, Verdict::Dead(why))
                    if own(term, id) && why != Dead::Duplicate =>
                {
                    writer.phase = Phase::Idle;
                }
                _ => {}
            }
        }
    }
}

/// What holds for any log that folds: asserted over every prefix.
fn assert_one_chain(log: &[Headers]) {
    let mut reader = Reader::default();
    let mut prefixes = vec![reader];
    let mut claimed = BTreeSet::new();
    let mut sources = BTreeMap::new();
    let mut last = -1;
    for (offset, headers) in (0..).zip(log) {
        match reader.fold(offset, headers).expect("the log is not corrupt") {
            Verdict::Claim => assert!(claimed.insert(headers.term), "two live claims of a term"),
            Verdict::Entry => {
                assert!(claimed.contains(&headers.term), "an entry without a claim");
                assert_eq!(headers.after, last, "the live entries are not a chain");
                assert!(headers.source > last, "sources do not rise");
                last = headers.source;
                assert_eq!(sources.insert(last, offset), None, "one source has two live entries");
            }
            Verdict::DeadClaim | Verdict::Dead(_) => {
                assert_eq!(Reader { offset: offset + 1, ..prefixes[offset as usize] }, reader);
            }
        }
        prefixes.push(reader);
    }
    for (cut, snapshot) in prefixes.iter().enumerate() {
        let mut resumed = through_a_snapshot(*snapshot);
        for (headers, at) in log[cut..].iter().zip(cut..) {
            resumed.fold(at as u64, headers).expect("the log is not corrupt");
            assert_eq!(resumed, prefixes[at + 1], "two readers of one prefix differ");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_of_writers_leaves_one_chain_that_all_readers_agree_on(
        writers in 2..4_usize,
        steps in prop::collection::vec(step(), 1..160),
    ) {
        let mut world = World::with_writers(writers);
        for step in &steps {
            world.take(step);
        }
        assert_one_chain(&world.log);
        for writer in &world.writers {
            let read = &world.log[..writer.reader.offset as usize];
            prop_assert_eq!(verdicts(read).0, writer.reader);
        }
    }

    #[test]
    fn any_records_at_all_leave_one_chain_or_are_called_corrupt(
        records in prop::collection::vec(
            (any::<bool>(), 0..4_u64, 0..3_u128, -1..4_i64, -1..5_i64), 0..60),
    ) {
        let log: Vec<_> = records
            .into_iter()
            .map(|(claims, term, writer, after, source)| {
                if claims { claim(term, writer) } else { entry(term, writer, after, source) }
            })
            .collect();
        let mut reader = Reader::default();
        let folds = log.iter().zip(0..).take_while(|(headers, at)| reader.fold(*at, headers).is_ok());
        let sound = folds.count();
        assert_one_chain(&log[..sound]);
    }

    #[test]
    fn once_nothing_more_is_lost_a_writer_serves_again(
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut world = World::with_writers(3);
        for step in &steps {
            world.take(step);
        }
        // Everything under way lands late; then one writer is left alone.
        let late = std::mem::take(&mut world.under_way);
        world.log.extend(late);
        let before = verdicts(&world.log).0.last;
        for _ in 0..40 {
            world.write(0);
            let landed = std::mem::take(&mut world.under_way);
            world.log.extend(landed);
            world.read(0, u8::MAX);
        }
        prop_assert!(verdicts(&world.log).0.last > before);
    }
}
