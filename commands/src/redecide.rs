//! Deciding again what was recorded: each entry under its own context (time, market facts, calendar, policy), and the
//! events compared. Pure, but for [`redecide`], which reads a log; writes nothing and knows no clock.
//!
//! What was answered without deciding (a repeat, a key used before, a market that did not arrive, a command that could
//! not be decided) is checked by what decides that: the keys so far, the offsets, the hash. An entry made under other
//! [`book::RULES`] is folded and counted, as those rules are not in this binary.

mod reading;

pub use reading::{Difference, Redecided, redecide};

use crate::{
    facts::SCOPE,
    followed::{fold_entry, guarded},
    ledger::{content_of, list},
    subject::hex,
};
use domain::{
    book::{self, Book, Context},
    event::{Event, EventData},
    ids::AccountId,
    market::{self, Market, MarketEvent, MarketEventData},
    policy::Policy,
    rejection::{CommandRefused, Rejection},
};
use event_schemas::{
    CommandEnvelope, Entry, EntryContext, MarketEntry, Outcome, encode_event, encode_market_event, key_hash,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// How much of a list of events is shown, in characters: some five lines.
const SHOWN_CHARACTERS_MAX: usize = 400;

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Decided again, with equal events.
    Equal,
    /// It had been answered without deciding, and rightly.
    NotDecided,
    /// Made under other rules.
    OtherRules,
}

/// Why an entry cannot be decided again, or differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The policy of this version is not at hand.
    Policy(Box<str>),
    /// In words.
    Differs(String),
}

/// Policies by version.
#[derive(Clone, Default)]
pub struct Policies(BTreeMap<Box<str>, Arc<Policy>>);

impl FromIterator<Arc<Policy>> for Policies {
    fn from_iter<I: IntoIterator<Item = Arc<Policy>>>(policies: I) -> Self {
        Self(policies.into_iter().map(|policy| (policy.version().into(), policy)).collect())
    }
}

/// The accounts of one partition of the ledger, decided again in order.
pub struct Accounts {
    books: HashMap<AccountId, Book>,
    market: Market,
    /// The next offset of each market partition.
    at: Vec<u64>,
    keys: Keys,
}

impl Accounts {
    /// Before the first entry, with so many partitions of the market.
    pub fn new(market_partitions: u32) -> Self {
        let at = (0..market_partitions).map(|_| 0).collect();
        Self { books: HashMap::new(), market: Market::default(), at, keys: Keys::default() }
    }

    /// How far each market partition must be folded before this entry is decided again.
    ///
    /// # Errors
    /// When the entry names a market that this log cannot have had.
    pub fn wants(&self, context: &EntryContext<'_>) -> Result<Vec<u64>, Wrong> {
        let wanted = &context.market;
        let goes_back = self.at.iter().enumerate().any(|(of, at)| wanted.get(of).copied().unwrap_or_default() < *at);
        if goes_back || wanted.len() > self.at.len() {
            let (at, wanted) = (list(&self.at), list(wanted));
            return Err(differs(format!("was decided with the market at {wanted}, but one before it at {at}")));
        }
        Ok(wanted.clone())
    }

    /// Folds a live market entry.
    ///
    /// # Errors
    /// When folding it fails.
    pub fn fold_market(&mut self, entry: &MarketEntry<'_>) -> Result<(), Wrong> {
        let market = std::mem::take(&mut self.market);
        self.market = guarded(|| fold_entry(market, &entry.key, &entry.events)).map_err(differs)?;
        Ok(())
    }

    /// So far a market partition is folded now.
    pub fn market_reached(&mut self, partition: u32, next: u64) {
        if let Some(at) = self.at.get_mut(partition as usize) {
            *at = next;
        }
    }

    /// Decides an entry again and folds it; the market must be folded as far as it [`Accounts::wants`].
    ///
    /// # Errors
    /// When it differs, or its policy is not at hand.
    pub fn entry(&mut self, entry: &Entry<'_>, policies: &Policies) -> Result<Again, Wrong> {
        let account = entry.account;
        let book = self.books.remove(&account).unwrap_or_else(|| Book::new(account));
        if entry.seq != book.seq + 1 {
            return Err(differs(format!("its seq is {}, but {} is next", entry.seq, book.seq + 1)));
        }
        let refused = match entry.events.as_slice() {
            [Event { data: EventData::CommandRefused(refused), .. }] => Some(refused),
            _ => None,
        };
        let asked = Asked {
            command: &entry.command,
            context: &entry.context,
            outcome: entry.outcome,
            first: entry.first,
            seq: entry.seq,
            refused,
            is_silent: entry.events.is_empty(),
        };
        let again = match self.keys.check(account.as_str(), &asked)? {
            Some(answered) => answered,
            None => {
                let policy = policies.0.get(&*entry.context.policy);
                let policy = policy.ok_or_else(|| Wrong::Policy((&*entry.context.policy).into()))?;
                self.decide(&book, entry, policy)?;
                Again::Equal
            }
        };
        let folded = guarded(|| book::fold(book, entry.seq, entry.recorded_at, &entry.events));
        self.books.insert(account, folded.map_err(differs)?);
        Ok(again)
    }

    fn decide(&self, book: &Book, entry: &Entry<'_>, policy: &Policy) -> Result<(), Wrong> {
        let command = entry.command.command().map_err(|why| differs(format!("its command does not read: {why}")))?;
        let (now, calendar) = (entry.recorded_at, entry.context.calendar);
        let context = Context { now, market: &self.market, calendar, policy };
        let events = guarded(|| book::decide(book, &command, &context))
            .map_err(|why| differs(format!("deciding it again fails: {why}")))?;
        let is_refused = matches!(events.as_slice(), [Event { data: EventData::CommandRefused(_), .. }]);
        if events == entry.events && is_refused == (entry.outcome == Outcome::Refused) {
            return Ok(());
        }
        Err(unlike(&entry.events, &events, encode_event))
    }
}

/// The facts of one partition of the market, decided again in order.
#[derive(Default)]
pub struct Facts {
    market: Market,
    keys: Keys,
}

impl Facts {
    /// Decides a market entry again and folds it.
    ///
    /// # Errors
    /// When it differs.
    pub fn entry(&mut self, entry: &MarketEntry<'_>) -> Result<Again, Wrong> {
        let next = self.market.seqs.get(&*entry.key).map_or(1, |seq| seq + 1);
        if entry.seq != next {
            return Err(differs(format!("its seq is {}, but {next} is next", entry.seq)));
        }
        let refused = match entry.events.as_slice() {
            [MarketEvent { data: MarketEventData::CommandRefused(refused), .. }] => Some(refused),
            _ => None,
        };
        let asked = Asked {
            command: &entry.command,
            context: &entry.context,
            outcome: entry.outcome,
            first: entry.first,
            seq: entry.seq,
            refused,
            is_silent: entry.events.is_empty(),
        };
        let again = match self.keys.check(SCOPE, &asked)? {
            Some(answered) => answered,
            None => {
                self.decide(entry)?;
                Again::Equal
            }
        };
        let market = std::mem::take(&mut self.market);
        self.market = guarded(|| fold_entry(market, &entry.key, &entry.events)).map_err(differs)?;
        Ok(again)
    }

    fn decide(&self, entry: &MarketEntry<'_>) -> Result<(), Wrong> {
        let fact = entry.command.fact().map_err(|why| differs(format!("its fact does not read: {why}")))?;
        if *fact.key() != *entry.key {
            return Err(differs(format!("its fact is about {}", fact.key())));
        }
        let event = guarded(|| market::decide(&self.market, &fact, entry.recorded_at))
            .map_err(|why| differs(format!("deciding it again fails: {why}")))?;
        let is_refused = matches!(event.data, MarketEventData::CommandRefused(_));
        let events = [event];
        if events == *entry.events && is_refused == (entry.outcome == Outcome::Refused) {
            return Ok(());
        }
        Err(unlike(&entry.events, &events, encode_market_event))
    }
}

/// What entries of accounts and of the market have in common.
struct Asked<'a> {
    command: &'a CommandEnvelope<'a>,
    context: &'a EntryContext<'a>,
    outcome: Outcome,
    first: Option<u64>,
    seq: u64,
    refused: Option<&'a CommandRefused>,
    is_silent: bool,
}

/// For each key what it was used for, and by which entry; a key is remembered for ever.
#[derive(Default)]
struct Keys(HashMap<[u8; 16], ([u8; 16], u64)>);

impl Keys {
    /// Checks what is answered without deciding; nothing for what is to be decided.
    fn check(&mut self, scope: &str, asked: &Asked<'_>) -> Result<Option<Again>, Wrong> {
        let key = key_hash(scope, asked.command.by.role, &asked.command.id);
        let content = content_of(asked.command, asked.refused);
        let known = self.0.get(&key).copied();
        let code = asked.refused.map(|refused| refused.code);
        match (asked.outcome, code, known) {
            (Outcome::Repeat, _, Some((used_for, seq)))
                if (used_for == content || is_too_large(asked)) && asked.first == Some(seq) && asked.is_silent =>
            {
                return Ok(Some(Again::NotDecided));
            }
            (Outcome::Repeat, _, _) => return Err(differs("it repeats no entry that used its key for the same")),
            (Outcome::Refused, Some(Rejection::IdempotencyKeyReused), Some((used_for, _))) if used_for != content => {
                return Ok(Some(Again::NotDecided));
            }
            (Outcome::Refused, Some(Rejection::IdempotencyKeyReused), _) => {
                return Err(differs("its key was not used before for another command"));
            }
            (_, _, Some((_, seq))) => {
                return Err(differs(format!("its key was used before, by the entry with seq {seq}")));
            }
            (_, _, None) => drop(self.0.insert(key, (content, asked.seq))),
        }
        match (code, asked.refused) {
            (Some(Rejection::Undecodable), _) => undecodable(asked, &content).map(|()| Some(Again::NotDecided)),
            (Some(Rejection::MarketBehind), Some(refused)) => behind(asked, refused).map(|()| Some(Again::NotDecided)),
            _ if asked.context.rules != book::RULES => Ok(Some(Again::OtherRules)),
            _ => Ok(None),
        }
    }
}

/// Whether the command was too large for its entry, which says so in place of its body.
fn is_too_large(asked: &Asked<'_>) -> bool {
    asked.command.body.get() == "null"
}

/// A command that could not be decided is kept with the hash of what it was; without its body if it was too large.
fn undecodable(asked: &Asked<'_>, content: &[u8; 16]) -> Result<(), Wrong> {
    if asked.outcome == Outcome::Refused && (is_too_large(asked) || asked.command.content_hash() == *content) {
        return Ok(());
    }
    Err(differs(format!("it says that it could not be decided, but its command's hash is not {}", hex(content))))
}

/// The market was behind if it had not reached what was wanted.
fn behind(asked: &Asked<'_>, refused: &CommandRefused) -> Result<(), Wrong> {
    let figure = |name: &str| refused.figures.get(name).map_or("", |figure| &**figure);
    let at = &asked.context.market;
    let wanted: Option<Vec<u64>> = figure("wanted").split(',').map(|next| next.parse().ok()).collect();
    let had = |wanted: &Vec<u64>| wanted.len() <= at.len() && wanted.iter().zip(at).all(|(wanted, at)| at >= wanted);
    if asked.outcome == Outcome::Refused && figure("reached") == list(at) && wanted.is_some_and(|wanted| !had(&wanted))
    {
        return Ok(());
    }
    Err(differs("it says that the market was behind, but its context says that it was not"))
}

fn differs(what: impl Into<String>) -> Wrong {
    Wrong::Differs(what.into())
}

/// Both lists from their first difference on, shortened.
fn unlike<E: PartialEq>(recorded: &[E], again: &[E], encode: fn(&E, &mut Vec<u8>)) -> Wrong {
    let equal = recorded.iter().zip(again).take_while(|(recorded, again)| recorded == again).count();
    let shown = |events: &[E]| {
        let mut texts = events.iter().skip(equal).map(|event| {
            let mut bytes = Vec::new();
            encode(event, &mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let text = texts.by_ref().collect::<Vec<_>>().join(", ");
        match text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
            Some((at, _)) => format!("[{} ...]", &text[..at]),
            None => format!("[{text}]"),
        }
    };
    let before = if equal == 0 { String::new() } else { format!("after {equal} equal events ") };
    differs(format!("{before}recorded {}, decided again {}", shown(recorded), shown(again)))
}
