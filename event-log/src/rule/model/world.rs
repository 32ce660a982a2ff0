//! One run: a partition, its writers and clients, and what happens to them by a seed.

use super::{
    books::{Books, Command, Record, Said},
    weak::Weak,
    writer::{Phase, Writer},
};
use crate::rule::Verdict;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::collections::{BTreeMap, BTreeSet};

const WRITERS: usize = 3;
const STEPS: usize = 220;
/// Rounds in which a writer that is left alone must have answered everything.
const ROUNDS: usize = 400;

pub(super) struct World {
    weak: Option<Weak>,
    chance: StdRng,
    commands: Vec<Command>,
    log: Vec<Record>,
    /// Appended and not landed, each with the place of its writer.
    under_way: Vec<(usize, Record)>,
    writers: Vec<Writer>,
    /// Kept by any writer, of what it folded.
    snapshots: Vec<Books>,
    /// Reads for clients.
    desk: Books,
    /// What clients were told by key; none for a failure.
    told: BTreeMap<u16, BTreeSet<String>>,
    ids: u128,
    /// Where any writer came to.
    committed: i64,
    deleted: i64,
}

/// Runs a seed; what must not be is said in words.
pub(super) fn run(seed: u64, weak: Option<Weak>) -> Result<(), String> {
    let mut world = World {
        weak,
        chance: StdRng::seed_from_u64(seed),
        commands: Vec::new(),
        log: Vec::new(),
        under_way: Vec::new(),
        writers: Vec::new(),
        snapshots: vec![Books::default()],
        desk: Books::default(),
        told: BTreeMap::new(),
        ids: 0,
        committed: 0,
        deleted: 0,
    };
    for at in 0..WRITERS {
        let writer = world.start(at);
        world.writers.push(writer);
    }
    for _ in 0..STEPS {
        world.step()?;
    }
    world.leave_alone()?;
    world.check()
}

impl World {
    fn is(&self, weak: Weak) -> bool {
        self.weak == Some(weak)
    }

    fn one_of(&mut self, count: usize) -> usize {
        self.chance.random_range(0..count)
    }

    /// A process starts again, from any snapshot or from the start.
    fn start(&mut self, at: usize) -> Writer {
        self.ids += 1;
        let id = if self.is(Weak::WriterReused) { at as u128 + 1 } else { self.ids + 100 };
        let which = self.one_of(self.snapshots.len());
        let mut books = self.snapshots[which].clone();
        if self.is(Weak::SnapshotWithoutRule) {
            let offset = books.reader.offset;
            books.reader = crate::rule::Reader { offset, ..Default::default() };
        }
        if self.is(Weak::KeysForgotten) {
            books.outcomes.clear();
        }
        Writer::start(id, books)
    }

    fn step(&mut self) -> Result<(), String> {
        let who = self.one_of(WRITERS);
        match self.chance.random_range(0..100) {
            0..12 => self.ask(),
            12..42 => self.write(who),
            42..64 => {
                let many = self.chance.random_range(1..6);
                self.read(who, many)?;
            }
            64..88 if self.under_way.is_empty() => {}
            64..80 => {
                // Mostly in order, as long as nothing is given up.
                let in_order = self.chance.random_ratio(3, 4);
                let which = if in_order { 0 } else { self.one_of(self.under_way.len()) };
                let (_, record) = self.under_way.remove(which);
                self.land(record);
            }
            80..84 => {
                let which = self.one_of(self.under_way.len());
                let record = self.under_way[which].1.clone();
                self.land(record);
            }
            84..86 => {
                let which = self.one_of(self.under_way.len());
                let (writer, record) = self.under_way.remove(which);
                self.fail(writer, &record);
            }
            86..88 => {
                // Its writer gives it up, and it may land.
                let which = self.one_of(self.under_way.len());
                let (writer, record) = self.under_way[which].clone();
                self.fail(writer, &record);
            }
            88..91 => self.writers[who] = self.start(who),
            91..93 => {
                let writer = &self.writers[who];
                let ahead = Books { reader: writer.books.reader, ..writer.ahead.clone() };
                self.snapshots.push(if self.is(Weak::SnapshotAhead) { ahead } else { writer.books.clone() });
            }
            93..95 => self.writers[who].lose(self.weak),
            95 => self.deleted = self.commands.len() as i64,
            _ => self.tell(usize::MAX)?,
        }
        Ok(())
    }

    /// A client asks something new, or the same again.
    fn ask(&mut self) {
        let command = if !self.commands.is_empty() && self.chance.random_ratio(1, 3) {
            self.commands[self.chance.random_range(0..self.commands.len())]
        } else {
            let change = self.chance.random_range(-30..40);
            Command { key: self.commands.len() as u16, change }
        };
        self.commands.push(command);
    }

    fn write(&mut self, who: usize) {
        let begin = match self.weak {
            Some(Weak::GroupOffset) => self.committed,
            Some(Weak::CommandsDeleted) => self.deleted,
            _ => 0,
        };
        let record = self.writers[who].write(self.weak, &self.commands, begin, &mut self.chance);
        if let Some(record) = record {
            self.committed = self.committed.max(record.headers.source + 1);
            self.under_way.push((who, record));
        }
    }

    fn read(&mut self, who: usize, many: usize) -> Result<(), String> {
        for _ in 0..many {
            let offset = self.writers[who].books.reader.offset;
            let Some(record) = self.log.get(offset as usize) else { return Ok(()) };
            self.writers[who].read(self.weak, offset, record)?;
        }
        Ok(())
    }

    fn land(&mut self, record: Record) {
        if let (Some((command, said)), true) = (record.entry, self.is(Weak::ToldOnDelivery)) {
            self.say(command, Some(said));
        }
        self.log.push(record);
    }

    /// A delivery failed, or is said to have.
    fn fail(&mut self, who: usize, record: &Record) {
        if let (Some((command, _)), true) = (record.entry, self.is(Weak::FailedTold)) {
            self.say(command, None);
        }
        if self.writers[who].id == record.headers.writer {
            self.writers[who].lose(self.weak);
        }
    }

    fn say(&mut self, command: Command, said: Option<Said>) {
        if said != Some(Said::Repeats) {
            self.told.entry(command.key).or_default().insert(format!("{said:?}"));
        }
    }

    /// The desk reads on, and tells clients.
    fn tell(&mut self, many: usize) -> Result<(), String> {
        for _ in 0..many {
            let offset = self.desk.reader.offset;
            let Some(record) = self.log.get(offset as usize).cloned() else { return Ok(()) };
            if let (Verdict::Entry, Some((command, said))) = (self.desk.fold(self.weak, offset, &record)?, record.entry)
            {
                self.say(command, Some(said));
            }
        }
        Ok(())
    }

    /// What is under way lands late; one writer that runs, or is started, goes on alone and must answer everything.
    fn leave_alone(&mut self) -> Result<(), String> {
        for _ in 0..ROUNDS {
            if !self.under_way.is_empty() && self.chance.random_ratio(2, 3) {
                let (_, record) = self.under_way.remove(0);
                self.land(record);
            }
            self.write(0);
            self.read(0, 2)?;
            // An entry or a claim unseen for too long.
            if self.under_way.is_empty() && self.writers[0].phase != Phase::Stopped {
                self.read(0, usize::MAX)?;
                let writer = &mut self.writers[0];
                let waits = matches!(writer.phase, Phase::Claimed { .. })
                    || writer.ahead.reader.last > writer.books.reader.last;
                if waits {
                    writer.lose(self.weak);
                }
            }
        }
        self.tell(usize::MAX)?;
        let (last, wanted) = (self.desk.reader.last, self.commands.len() as i64 - 1);
        if last == wanted { Ok(()) } else { Err(format!("answered up to {last} of {wanted}")) }
    }

    /// Folds plainly from the start and holds everybody's books against it.
    fn check(&self) -> Result<(), String> {
        let mut books = Books::default();
        let mut prefixes = vec![books.clone()];
        let mut first = BTreeMap::new();
        for (offset, record) in (0..).zip(&self.log) {
            let before = books.clone();
            match (books.fold(self.weak, offset, record)?, record.entry) {
                (Verdict::Claim, _) if record.headers.term <= before.reader.term => {
                    return Err(format!("two live claims of term {}", record.headers.term));
                }
                (Verdict::Entry, Some((command, said))) => {
                    let known = Books { outcomes: first.clone(), ..before.clone() };
                    if record.headers.source != before.reader.last + 1 || !known.allows(command, said) {
                        return Err(format!("{record:?} after {before:?}"));
                    }
                    if said != Said::Repeats {
                        first.insert(command.key, said);
                    }
                }
                (Verdict::Claim, _) => {}
                _ => books.balance = before.balance,
            }
            prefixes.push(books.clone());
        }
        for (key, told) in &self.told {
            let said = first.get(key).map(|said| format!("{:?}", Some(said)));
            if told.iter().ne(&said) {
                return Err(format!("{key} was told {told:?}, and is {said:?}"));
            }
        }
        let folded = self.writers.iter().map(|writer| &writer.books).chain(&self.snapshots).chain([&self.desk]);
        for books in folded {
            let plain = &prefixes[books.reader.offset as usize];
            if books != plain {
                return Err(format!("{books:?} was folded, but plainly {plain:?}"));
            }
        }
        Ok(())
    }
}
