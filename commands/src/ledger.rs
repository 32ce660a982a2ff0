//! Accounts as a writer's subject: the books, decided and folded by `domain::book`, and the index of due work.

use crate::{
    config::Config,
    followed::{Followed, guarded},
    known::Key,
    outcome::Outcome,
    queue::Prepared,
    request,
    shelf::Shelf,
    subject::{Broken, Encode, How, Place, Replayed, Seen, Subject, Written, bounded_kinds, from_hex, hex},
    submission::{Asked, AskedCommand, By, Submission},
};
use domain::{
    book::{self, Book, Context},
    calendar::CalendarMode,
    command::{Command, Submitter},
    event::{Event, EventData},
    ids::{AccountId, CommandId},
    market::Market,
    policy::Policy,
    rejection::{CommandRefused, Refusal, Rejection},
    time::Timestamp,
};
use event_log::{
    Record, RecordKind, Stored, Topic, VALUE_BYTES_MAX,
    snapshot::{Due, Item},
};
use event_schemas::{
    self as schemas, CommandEnvelope, Entry, EntryContext, command_body, decode_entry, encode_entry, key_hash,
};
use serde_json::value::RawValue;
use std::{borrow::Cow, sync::Arc};
use tokio::sync::watch;

/// First size of an entry's buffer: an order's entry fits.
const ENTRY_BYTES: usize = 1_024;
/// The figure of a refusal that holds the hash of a command which could not be decided.
const HASH: &str = "hash";

/// The books of one partition.
pub(crate) struct Ledger {
    shelf: Shelf,
    followed: Arc<Followed>,
    calendar: CalendarMode,
    policy: Arc<Policy>,
    back_office: Arc<By>,
}

impl Ledger {
    /// One of so many partitions.
    pub(crate) fn new(followed: Arc<Followed>, config: &Config, partitions: u32) -> Self {
        let books_max = (config.books_max / partitions.max(1) as usize).max(1);
        let back_office =
            By { subject: "back-office".into(), role: Submitter::System, session: None, origin: None, algo_id: None };
        Self {
            shelf: Shelf::new(books_max),
            followed,
            calendar: config.calendar,
            policy: Arc::clone(&config.policy),
            back_office: Arc::new(back_office),
        }
    }
}

impl Subject for Ledger {
    const TOPIC: Topic = Topic::Ledger;
    const KIND: RecordKind = RecordKind::Entry;
    type Item = AskedCommand;

    fn request(command: &Prepared<AskedCommand>) -> Record {
        request::of_command(command)
    }

    fn read_request(stored: &Stored) -> Result<Prepared<AskedCommand>, String> {
        request::command(stored)
    }

    fn traceparent(submission: &AskedCommand) -> Option<&str> {
        submission.traceparent.as_deref()
    }

    fn wanted_market(submission: &AskedCommand) -> Option<&[u64]> {
        submission.min_market.as_deref()
    }

    fn seen(value: &[u8]) -> Result<Seen, String> {
        let entry = decode_entry(value).map_err(|error| error.to_string())?;
        let repeat = entry.outcome == schemas::Outcome::Repeat;
        Ok(Seen { replayed: replayed(&entry), repeat, outcome: Outcome::of_entry(&entry) })
    }

    fn reset(&mut self) {
        self.shelf.reset();
    }

    fn snapshots() -> Option<(&'static str, String)> {
        Some(("books", format!("{}/{}/{}", env!("CARGO_PKG_VERSION"), book::SHAPE, book::RULES)))
    }

    fn restore(&mut self, blob: &[u8], due: Vec<Due>) -> Result<(), String> {
        let facts = self.followed.read();
        let same = *blob == *calendar_mark(&facts.market, self.calendar);
        self.shelf.restore(due, same)
    }

    fn cold(&self, key: &str) -> Option<Box<str>> {
        self.shelf.is_cold(&AccountId::new(key).ok()?).then(|| key.into())
    }

    fn key(submission: &AskedCommand) -> Box<str> {
        submission.account.as_str().into()
    }

    fn warm(&mut self, key: &str, item: Option<&[u8]>) -> Result<(), String> {
        let account = AccountId::new(key).map_err(|error| error.to_string())?;
        let book = item.map(postcard::from_bytes::<Book>).transpose().map_err(|error| error.to_string())?;
        if book.as_ref().is_some_and(|book| book.account != account) {
            return Err(format!("the book of {account} is another's"));
        }
        let next = book.as_ref().and_then(|book| {
            let facts = self.followed.read();
            let (now, market) = (Timestamp::from_micros(0), &facts.market);
            book::next_due(book, &Context { now, market, calendar: self.calendar, policy: &self.policy })
        });
        self.shelf.warm(account, book.unwrap_or_else(|| Book::new(account)), next);
        Ok(())
    }

    fn cool(&mut self) {
        self.shelf.cool();
    }

    fn hand_over(&mut self) -> Encode {
        let mark = calendar_mark(&self.followed.read().market, self.calendar);
        let changed = self.shelf.hand_over();
        Box::new(move || {
            let item = |(book, due): (Arc<Book>, Option<Timestamp>)| {
                let blob = postcard::to_stdvec(&*book).map_err(|error| error.to_string())?;
                Ok(Item { key: book.account.as_str().into(), due: due.map(Timestamp::micros), blob: blob.into() })
            };
            Ok((changed.into_iter().map(item).collect::<Result<_, String>>()?, mark.into()))
        })
    }

    fn saved(&mut self, saved: bool) {
        self.shelf.saved(saved);
    }

    fn due_cold(&self, now: Timestamp, limit: usize) -> Vec<Box<str>> {
        self.shelf.due_cold(now, limit)
    }

    fn replay(&mut self, stored: &Stored) -> Result<Replayed, String> {
        let entry = decode_entry(&stored.record.value).map_err(|e| e.to_string())?;
        let book = self.shelf.take(entry.account).ok_or("an earlier entry of the account could not be folded")?;
        if entry.seq != book.seq + 1 {
            return Err(format!("its seq is {}, but {} is next in {}", entry.seq, book.seq + 1, entry.account));
        }
        let folded = guarded(|| book::fold(book, entry.seq, entry.recorded_at, &entry.events))?;
        // When work is due is looked at once all is folded.
        self.shelf.put(folded, None);
        Ok(replayed(&entry))
    }

    fn replayed(&mut self) {
        let facts = self.followed.read();
        let context = Context {
            now: Timestamp::from_micros(0),
            market: &facts.market,
            calendar: self.calendar,
            policy: &self.policy,
        };
        self.shelf.index_hot(|book| book::next_due(book, &context));
    }

    fn answer(&mut self, command: &Prepared<AskedCommand>, how: How, place: Place) -> Result<Written, Broken> {
        let submission = &command.item;
        let account = submission.account;
        let facts = self.followed.read();
        let now = place.recorded_at;
        let context = Context { now, market: &facts.market, calendar: self.calendar, policy: &self.policy };
        let book = self.shelf.get(account).ok_or(Broken)?;
        let (outcome, first, events) = match how {
            How::Repeat(first) => (schemas::Outcome::Repeat, Some(first), Vec::new()),
            How::Refuse(refusal) => (schemas::Outcome::Refused, None, book::refuse(refusal, now)),
            How::Decide => {
                let events = match (&submission.command, behind(submission, &facts.at)) {
                    (Asked::Unread(_), _) => book::refuse(undecodable(command), now),
                    (Asked::Known(_), Some(refusal)) => book::refuse(refusal, now),
                    (Asked::Known(known), None) => decide(book, known, command, &context),
                };
                let outcome =
                    if refusal(&events).is_some() { schemas::Outcome::Refused } else { schemas::Outcome::Accepted };
                (outcome, None, events)
            }
        };
        let mut entry = Entry {
            account,
            seq: book.seq + 1,
            source: place.source,
            recorded_at: now,
            command: envelope(submission, &command.body),
            context: EntryContext {
                market: facts.at.clone(),
                calendar: self.calendar,
                policy: Cow::Borrowed(self.policy.version()),
                rules: book::RULES,
            },
            outcome,
            first,
            events,
        };
        let mut value = Vec::with_capacity(ENTRY_BYTES);
        encode_entry(&entry, &mut value);
        if value.len() > VALUE_BYTES_MAX {
            // Neither the command nor what it would do can be kept: its hash is, by the first under its key.
            entry.command.body = Cow::Owned(RawValue::NULL.to_owned());
            if is_first(entry.outcome, refusal(&entry.events)) {
                entry.outcome = schemas::Outcome::Refused;
                entry.events = book::refuse(undecodable(command).with("bytes", value.len()), now);
            }
            value.clear();
            encode_entry(&entry, &mut value);
        }
        let folding = self.shelf.take(account).ok_or(Broken)?;
        let folded = guarded(|| book::fold(folding, entry.seq, now, &entry.events)).map_err(|reason| {
            tracing::error!(%account, command = %submission.id, reason, "folding a decision failed; it will be refused");
            Broken
        })?;
        let next = book::next_due(&folded, &context);
        self.shelf.put(folded, next);
        Ok(Written {
            key: account.as_str().into(),
            ce_id: entry.ce_id().into(),
            kinds: bounded_kinds(schemas::kinds(&entry.events)),
            value: value.into(),
            seq: entry.seq,
            outcome: Outcome::of_entry(&entry),
        })
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.shelf.next_due()
    }

    fn due(
        &mut self,
        now: Timestamp,
        limit: usize,
        again: Option<Timestamp>,
        is_known: &dyn Fn(&Key) -> bool,
    ) -> Vec<Prepared<AskedCommand>> {
        let mut work = Vec::new();
        let facts = self.followed.read();
        let context = Context { now, market: &facts.market, calendar: self.calendar, policy: &self.policy };
        while work.len() < limit {
            // Parked until its next entry: what is due but has an outcome must not come back for ever.
            let Some(book) = self.shelf.park_next_due(now, again) else { break };
            let account = book.account;
            for (id, command) in book::due(&book, &context, limit - work.len()) {
                let prepared = prepare(self.back_office_submission(account, id, command, now));
                if !is_known(&prepared.key) {
                    work.push(prepared);
                }
            }
        }
        work
    }

    fn wakes(&self) -> Option<watch::Receiver<u64>> {
        Some(self.followed.calendar())
    }

    fn woken(&mut self) {
        let facts = self.followed.read();
        let context = Context {
            now: Timestamp::from_micros(0),
            market: &facts.market,
            calendar: self.calendar,
            policy: &self.policy,
        };
        self.shelf.index_hot(|book| book::next_due(book, &context));
        self.shelf.doubt_cold();
    }
}

impl Ledger {
    fn back_office_submission(
        &self,
        account: AccountId,
        id: CommandId,
        command: Command,
        now: Timestamp,
    ) -> Submission {
        let by = Arc::clone(&self.back_office);
        let (request_id, min_market, min_position, traceparent) = (None, None, None, None);
        Submission { account, id, by, command, request_id, min_market, min_position, issued_at: now, traceparent }
    }
}

/// The refusal, of events that are one.
fn refusal(events: &[Event]) -> Option<&CommandRefused> {
    match events {
        [Event { data: EventData::CommandRefused(refused), .. }] => Some(refused),
        _ => None,
    }
}

/// What an entry adds to what is known by key.
fn replayed(entry: &Entry<'_>) -> Replayed {
    let refused = refusal(&entry.events);
    Replayed {
        key: Key(key_hash(entry.account.as_str(), entry.command.by.role, &entry.command.id)),
        content: content_of(&entry.command, refused),
        first: is_first(entry.outcome, refused),
    }
}

/// Deciding, with a panic turned into a refusal: one bad command never stops a partition.
fn decide(book: &Book, known: &Command, command: &Prepared<AskedCommand>, context: &Context<'_>) -> Vec<Event> {
    guarded(|| book::decide(book, known, context)).unwrap_or_else(|reason| {
        let account = command.item.account;
        tracing::error!(%account, command = %command.item.id, reason, "deciding failed; the command is refused");
        book::refuse(undecodable(command), context.now)
    })
}

/// The desk has waited for the market facts that a command names; here it is refused if they did not come.
fn behind(submission: &AskedCommand, at: &[u64]) -> Option<Refusal> {
    let wanted = submission.min_market.as_ref()?;
    let reached = wanted.len() <= at.len() && wanted.iter().zip(at).all(|(wanted, at)| at >= wanted);
    (!reached).then(|| Rejection::MarketBehind.with("wanted", list(wanted)).with("reached", list(at)))
}

/// Offsets as a refusal shows them.
pub(crate) fn list(offsets: &[u64]) -> String {
    offsets.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

/// The refusal of a command that cannot be decided.
pub(crate) fn undecodable<I>(command: &Prepared<I>) -> Refusal {
    Rejection::Undecodable.with(HASH, hex(&command.content))
}

/// What the calendar was when a snapshot's due times were reckoned: how many facts each exchange's had.
fn calendar_mark(market: &Market, mode: CalendarMode) -> Vec<u8> {
    let mut marks: Vec<String> = market
        .seqs
        .iter()
        .filter(|(key, _)| key.starts_with("calendar/"))
        .map(|(key, seq)| format!("{key}={seq}"))
        .collect();
    marks.sort_unstable();
    format!("{mode:?} {}", marks.join(" ")).into_bytes()
}

/// Whether an entry is the first under its key: not a repeat, and not refused because the key was used before.
pub(crate) fn is_first(outcome: schemas::Outcome, refused: Option<&CommandRefused>) -> bool {
    outcome != schemas::Outcome::Repeat && refused.is_none_or(|refused| refused.code != Rejection::IdempotencyKeyReused)
}

/// The hash of what a key was used for: of the body, unless the body itself could not be kept.
pub(crate) fn content_of(command: &CommandEnvelope<'_>, refused: Option<&CommandRefused>) -> [u8; 16] {
    refused
        .filter(|refused| refused.code == Rejection::Undecodable)
        .and_then(|refused| from_hex(refused.figures.get(HASH)?))
        .unwrap_or_else(|| command.content_hash())
}

/// A submission with its stored body and hashes.
pub(crate) fn prepare(submission: Submission) -> Prepared<AskedCommand> {
    let body = command_body(&submission.command);
    prepared(submission.map(Asked::Known), body)
}

/// The same of what came with this body: kept as it is if it does not read.
pub(crate) fn prepare_asked(asked: AskedCommand, body: &RawValue) -> Prepared<AskedCommand> {
    let body = match &asked.command {
        Asked::Known(command) => command_body(command),
        Asked::Unread(_) => body.to_owned(),
    };
    prepared(asked, body)
}

fn prepared(item: AskedCommand, body: Box<RawValue>) -> Prepared<AskedCommand> {
    let key = Key(key_hash(item.account.as_str(), item.by.role, item.id.as_str()));
    let content = schemas::content_hash(item.command.kind(), item.command.version(), body.get());
    Prepared { item, body, key, content }
}

/// A command as it is stored and sent.
pub(crate) fn envelope<'a>(submission: &'a AskedCommand, body: &'a RawValue) -> CommandEnvelope<'a> {
    CommandEnvelope {
        id: Cow::Borrowed(submission.id.as_str()),
        kind: Cow::Borrowed(submission.command.kind()),
        v: submission.command.version(),
        body: Cow::Borrowed(body),
        issued_at: submission.issued_at,
        by: stored_by(&submission.by),
        request_id: submission.request_id.as_deref().map(Cow::Borrowed),
        min_position: submission.min_position.as_deref().map(Cow::Borrowed),
    }
}

/// Who asked, as it is stored.
pub(crate) fn stored_by(by: &By) -> schemas::By<'_> {
    schemas::By {
        subject: Cow::Borrowed(&by.subject),
        role: by.role,
        session: by.session.as_deref().map(Cow::Borrowed),
        origin: by.origin.as_deref().map(Cow::Borrowed),
        algo_id: by.algo_id.as_deref().map(Cow::Borrowed),
    }
}

#[cfg(test)]
impl Ledger {
    fn book(&mut self, account: &AccountId) -> Option<Book> {
        self.shelf.get(*account).cloned()
    }
}

#[cfg(test)]
mod tests;
