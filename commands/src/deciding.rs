//! From staged commands to the entries of the next flight: which are decided, which repeat, which are refused. Appends
//! nothing and answers only what is known already.

use crate::{
    flight::{Flight, Landing},
    queue::{Prepared, Reply, Waiter},
    staging::{BURST_COMMANDS, Staged},
    subject::{How, Place, Subject},
    writer::{Lost, Writer, count},
};
use domain::rejection::{Refusal, Rejection};
use event_log::{Headers, Record, trace::Step};
use std::time::Instant;

impl<S: Subject> Writer<S> {
    /// Decides a burst of what waits into the flight.
    pub(crate) fn fill(&mut self, flight: &mut Flight) -> Result<(), Lost> {
        if !self.has_room(flight) {
            return Ok(());
        }
        let began = Instant::now();
        let (mut taken, before) = (0, flight.landings.len());
        while taken < BURST_COMMANDS && self.has_room(flight) {
            let Some(staged) = self.state.ready.pop_front() else {
                if self.may_stage() && self.stage()? {
                    continue;
                }
                break;
            };
            taken += 1;
            self.take(staged, flight)?;
        }
        let decided = flight.landings.len() - before;
        if decided > 0 {
            self.state.meters.decide(began.elapsed(), decided);
            self.state.meters.queue.set(count(self.queue.waiting()));
            self.cool();
        }
        Ok(())
    }

    /// Not while commands are staged: what they need was found to be at hand.
    pub(crate) fn cool(&mut self) {
        if self.state.looking.is_none() && self.state.ready.is_empty() {
            self.subject.cool();
        }
    }

    /// Takes one command: known keys go back to the desk, the others are decided; a request has an entry either way.
    fn take(&mut self, staged: Staged<S::Item>, flight: &mut Flight) -> Result<(), Lost> {
        let Staged { command, waiter, known, seq } = staged;
        let is_ahead = self.state.speculative.contains_key(&command.key);
        let known = self.outcomes.get(&command.key).or(known).filter(|_| !is_ahead);
        match (known, &waiter) {
            // Due work that was named twice is done once.
            (None, Waiter::Nobody) if is_ahead => Ok(()),
            (None, _) => self.decide(command, waiter, None, flight),
            (Some(known), Waiter::Log(_)) => match seq.or((known.content != command.content).then_some(0)) {
                Some(seq) => self.decide(command, waiter, Some((known.content, seq)), flight),
                // Its first answer landed since it was staged.
                None => {
                    self.restage(Staged { command, waiter, known: None, seq: None });
                    Ok(())
                }
            },
            (Some(known), _) => {
                waiter.reply(Reply::Known { known, replayed: true });
                Ok(())
            }
        }
    }

    /// Decides a command whose key was used for this, by the entry with this `seq`, if it was.
    fn decide(
        &mut self,
        command: Prepared<S::Item>,
        waiter: Waiter,
        used: Option<([u8; 16], u64)>,
        flight: &mut Flight,
    ) -> Result<(), Lost> {
        let used = used.or_else(|| self.state.speculative.get(&command.key).copied());
        let (how, first, repeat) = match used {
            Some((content, seq)) if content == command.content => (How::Repeat(seq), false, true),
            Some(_) => (How::Refuse(Refusal::from(Rejection::IdempotencyKeyReused)), false, false),
            None if self.state.poison.contains(&command.key) => {
                (How::Refuse(crate::ledger::undecodable(&command)), true, false)
            }
            None => (How::Decide, true, false),
        };
        let after = self.state.source;
        let source = match waiter {
            Waiter::Log(source) => i64::try_from(source).unwrap_or(i64::MAX),
            Waiter::Nobody | Waiter::One(_) | Waiter::Many(..) => after + 1,
        };
        if source <= after {
            tracing::error!(topic = %S::TOPIC, partition = self.partition, source, after, "a request came again; reading again");
            return Err(Lost);
        }
        let step = Step::process("decide and append", S::traceparent(&command.item));
        let recorded_at = self.now();
        let offset = self.state.reader.offset + self.state.ahead;
        let Ok(written) = self.subject.answer(&command, how, Place { offset, source, recorded_at }) else {
            self.state.poison.insert(command.key);
            self.state.ready.push_front(Staged { command, waiter, known: None, seq: None });
            return Err(Lost);
        };
        self.state.source = source;
        self.state.ahead += 1;
        if first {
            self.state.speculative.insert(command.key, (command.content, written.seq));
        }
        let headers = Headers {
            ce_type: S::KIND,
            ce_id: written.ce_id,
            ce_time: recorded_at.micros(),
            term: self.state.reader.term,
            writer: self.state.writer,
            after,
            source,
            kinds: written.kinds,
            // Where this process tells no steps, its readers follow the request.
            traceparent: step.traceparent().or_else(|| S::traceparent(&command.item).map(Into::into)),
        };
        let bytes = written.value.len();
        let record = Record { key: Some(written.key), headers, value: written.value };
        let (key, content, outcome) = (command.key, command.content, written.outcome);
        flight.push(record, Landing { key, content, outcome, first, repeat, after, source, bytes, waiter, step });
        Ok(())
    }
}
