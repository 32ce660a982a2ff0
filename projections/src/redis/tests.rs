//! What is kept in Redis, on a server of its own, beside what it must be: a pure function of the log. Commits, what a
//! projector says of them, and readers are steps in any order, some late, some lost, some of a process long replaced.

use super::*;
use event_log::memory::Memory;
use std::collections::BTreeSet;

pub(crate) mod server;

use server::Server;

/// A partition whose tables were never replaced.
pub(crate) const FIRST: Place = Place { partition: 0, generation: 0 };
const ACCOUNTS: u64 = 3;
/// Longer than any machine that builds this is busy with something else.
const PATIENCE: Duration = Duration::from_secs(20);

/// One that is given up early, for tests of what is not answered.
pub(crate) fn impatient(url: &str, log: &Memory) -> Redis {
    Redis::with(url, "test", log, [FIND, ADVANCE, FILL], ANSWER_WAIT).expect("a URL")
}

/// One that is waited for, for tests of what is kept.
pub(crate) fn patient(url: &str, log: &Memory) -> Redis {
    Redis::with(url, "test", log, [FIND, ADVANCE, FILL], PATIENCE).expect("a URL")
}

/// Draws that look random and are the same each time.
struct Draws(u64);

impl Draws {
    fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below.max(1)
    }

    /// Takes out any one.
    fn any<T>(&mut self, of: &mut Vec<T>) -> Option<T> {
        if of.is_empty() { None } else { Some(of.swap_remove(self.below(of.len()))) }
    }
}

fn id(number: u64) -> AccountId {
    crate::testing::account(usize::try_from(number).expect("a few"))
}

/// A question that is under way.
struct Reader {
    account: u64,
    loaded: Option<u64>,
}

/// A batch that was committed: where it began and where it ended.
type Batch = (u64, u64);

struct World {
    server: Server,
    redis: Redis,
    /// Which account each entry touches.
    log: Vec<u64>,
    batches: Vec<Batch>,
    /// How far the projector that is there now was answered, as it knows.
    told: u64,
    /// What is left of those of which something is told.
    halves: Vec<Batch>,
    blanks: Vec<(Vec<AccountId>, u64)>,
    readers: Vec<Reader>,
    draws: Draws,
    /// Rows found, of which so many were of the last commit.
    found: usize,
    hits: usize,
}

impl World {
    async fn new(seed: u64, scripts: [&str; 3]) -> World {
        let server = Server::start();
        let redis = Redis::with(&server.url(), "test", &Memory::new(1), scripts, PATIENCE).expect("a URL");
        server.answers(&redis).await;
        let (log, draws) = (Vec::new(), Draws(seed));
        let (batches, halves, blanks, readers) = (vec![], vec![], vec![], vec![]);
        World { server, redis, log, batches, told: 0, halves, blanks, readers, draws, found: 0, hits: 0 }
    }

    fn end(&self) -> u64 {
        self.log.len() as u64
    }

    /// An account as of an offset.
    fn rows(&self, account: u64, next: u64) -> Account {
        let mut rows = Account::default();
        for (offset, _) in (0..next).zip(&self.log).filter(|(_, touched)| **touched == account) {
            rows.journal.fold(offset, &[0; 32]);
        }
        rows
    }

    /// All of it, or a part and the rest later, or never.
    async fn tell(&mut self, (from, next): Batch) {
        let now = match next - from {
            2.. if self.draws.below(3) == 0 => from + 1 + self.draws.below((next - from - 1) as usize) as u64,
            _ => next,
        };
        if now < next {
            self.halves.push((now, next));
        }
        let touched: BTreeSet<_> = (from..now).map(|offset| id(self.log[offset as usize])).collect();
        let touched: Vec<_> = touched.into_iter().collect();
        let blank = self.redis.advance(FIRST, (from, now), &touched).await.expect("it is waited for");
        self.blanks.push((blank, now));
    }

    async fn fill(&mut self, (blank, next): (Vec<AccountId>, u64)) {
        let all: Vec<_> = (0..ACCOUNTS).map(|account| (id(account), self.rows(account, next))).collect();
        let rows: Vec<_> = all.iter().filter(|(id, _)| blank.contains(id)).map(|(id, rows)| (id, rows)).collect();
        self.redis.fill(FIRST, next, &rows).await;
    }

    async fn find(&mut self) -> Result<(), String> {
        let account = self.draws.below(ACCOUNTS as usize) as u64;
        let Some(Found { next, rows }) = self.redis.find(FIRST, &id(account)).await else { return Ok(()) };
        if let Some(rows) = rows {
            self.found += 1;
            self.hits += usize::from(next == self.end());
            if *rows != self.rows(account, next) {
                return Err(format!("account {account} is not what it was before offset {next}"));
            }
        }
        self.readers.push(Reader { account, loaded: None });
        Ok(())
    }

    /// One step of anybody.
    async fn step(&mut self) -> Result<(), String> {
        match self.draws.below(40) {
            0..4 => {
                let from = self.end();
                for _ in 0..=self.draws.below(2) {
                    self.log.push(self.draws.below(ACCOUNTS as usize) as u64);
                }
                let batch = (from, self.end());
                // As a rule told at once, with those before it that were not.
                if self.draws.below(3) > 0 {
                    self.tell((self.told, batch.1)).await;
                    self.told = batch.1;
                } else {
                    self.batches.push(batch);
                }
            }
            4..6 => {
                if let Some(late) = self.draws.any(&mut self.batches) {
                    self.tell(late).await;
                }
            }
            8 => {
                // By a projector that is no longer the only one.
                let from = self.end() - self.draws.below(12).min(self.log.len()) as u64;
                self.tell((from, self.end())).await;
            }
            10 if self.draws.below(2) == 0 => {
                // It is replaced by one that does not know of it.
                if self.draws.any(&mut self.batches).is_some() {
                    self.told = self.end();
                }
            }
            10 => drop(self.draws.any(&mut self.halves)),
            9 | 11..16 => {
                if let Some(blank) = self.draws.any(&mut self.blanks) {
                    self.fill(blank).await;
                }
            }
            16 => drop(self.draws.any(&mut self.blanks)),
            6 | 7 | 17..26 => self.find().await?,
            26..28 => {
                if let Some(half) = self.draws.any(&mut self.halves) {
                    self.tell(half).await;
                }
            }
            28..32 => {
                // Another database that is filled from the same log may be behind.
                let behind = if self.draws.below(4) > 0 { 0 } else { self.draws.below(4).min(self.log.len()) as u64 };
                let end = self.end() - behind;
                if let Some(reader) = self.readers.iter_mut().find(|reader| reader.loaded.is_none()) {
                    reader.loaded = Some(end);
                }
            }
            32..37 => {
                if let Some(Reader { account, loaded: Some(next) }) = self.draws.any(&mut self.readers) {
                    let rows = self.rows(account, next);
                    self.redis.fill(FIRST, next, &[(&id(account), &rows)]).await;
                }
            }
            37 => {
                // A projector that stands by may know an older place.
                let known = self.end() - self.draws.below(3).min(self.log.len()) as u64;
                self.tell((known, known)).await;
            }
            38 => {
                let account = self.draws.below(ACCOUNTS as usize) as u64;
                self.server.run(&["del", &self.redis.account_key(FIRST, &id(account))]);
            }
            _ if self.draws.below(4) == 0 => self.server.run(&["flushall"]),
            _ => self.server.run(&["del", &self.redis.mark_key(FIRST)]),
        }
        Ok(())
    }
}

/// Steps until something is found that is not so; how much was found at all.
async fn explore(seeds: std::ops::Range<u64>, scripts: [&str; 3]) -> Result<(usize, usize), String> {
    let (mut found, mut hits) = (0, 0);
    for seed in seeds {
        let mut world = World::new(seed, scripts).await;
        for step in 0..800 {
            world.step().await.map_err(|reason| format!("seed {seed}, step {step}: {reason}"))?;
        }
        found += world.found;
        hits += world.hits;
    }
    Ok((found, hits))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_those_of_the_place_that_is_said_in_whatever_order_things_happen() {
    let (found, hits) = explore(1..21, [FIND, ADVANCE, FILL]).await.expect("rows are as of where they are said to be");
    assert!(hits > 100 && found > hits, "enough was found: {found}, {hits} of them up to date");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_one_of_these_clauses_rows_are_found_that_are_not_so() {
    let without = |script: &str, clause: &str, instead: &str| {
        assert!(script.contains(clause), "{clause}");
        script.replace(clause, instead)
    };
    for (clause, [find, advance, fill]) in [
        ("an account of another epoch is none", [&*without(FIND, "held[1] ~= mark[1]", "not held[1]"), ADVANCE, FILL]),
        (
            "rows ahead of the mark are as of their own place",
            [&*without(FIND, "next = held[2]", "next = mark[2]"), ADVANCE, FILL],
        ),
        (
            "a missed batch begins an epoch",
            [FIND, &without(ADVANCE, "'epoch', ARGV[3]", "'epoch', mark[1] or ARGV[3]"), FILL],
        ),
        (
            "what a batch touched is blank",
            [FIND, &without(ADVANCE, "redis.call('HDEL', KEYS[place], 'rows')", ""), FILL],
        ),
        (
            "rows older than a blank do not fill it",
            [FIND, ADVANCE, &without(FILL, "tonumber(next) <= tonumber(ARGV[1])", "true")],
        ),
    ] {
        let explored = explore(1..40, [find, advance, fill]).await;
        assert!(explored.is_err(), "nothing is wrong without: {clause}");
    }
}

/// A question whose answer came too late may have moved the mark; it is told again with what came since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_twice_costs_nobody_elses_rows_and_what_was_missed_does() {
    let world = World::new(1, [FIND, ADVANCE, FILL]).await;
    let redis = &world.redis;
    let (touched, other) = (id(1), id(2));
    let found = async |id| redis.find(FIRST, id).await.map(|found| (found.next, found.rows.is_some()));
    let begun = async || {
        world.server.run(&["flushall"]);
        assert_eq!(redis.advance(FIRST, (5, 5), &[]).await, Some(vec![]));
        for id in [&touched, &other] {
            assert_eq!(found(id).await, Some((5, false)));
            redis.fill(FIRST, 5, &[(id, &Account::default())]).await;
        }
        assert_eq!(redis.advance(FIRST, (5, 7), &[touched]).await, Some(vec![touched]));
    };
    for from in 5..=7 {
        begun().await;
        assert_eq!(redis.advance(FIRST, (from, 10), &[touched]).await, Some(vec![touched]));
        assert_eq!((found(&touched).await, found(&other).await), (Some((10, false)), Some((10, true))), "from {from}");
    }
    for late in [(5, 7), (3, 6), (6, 6)] {
        begun().await;
        assert_eq!(redis.advance(FIRST, late, &[touched, other]).await, Some(vec![]));
        assert_eq!((found(&touched).await, found(&other).await), (Some((7, false)), Some((7, true))), "{late:?}");
    }
    begun().await;
    assert_eq!(redis.advance(FIRST, (8, 10), &[touched]).await, Some(vec![]));
    assert_eq!((found(&touched).await, found(&other).await), (Some((10, false)), Some((10, false))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_too_large_or_was_not_asked_about_is_not_kept() {
    let world = World::new(1, [FIND, ADVANCE, FILL]).await;
    let redis = &world.redis;
    assert_eq!(redis.find(FIRST, &id(1)).await, None, "there is no mark yet");
    assert_eq!(redis.advance(FIRST, (5, 5), &[]).await, Some(vec![]));
    let blank = redis.find(FIRST, &id(1)).await.expect("a blank");
    assert_eq!((blank.next, &blank.rows), (5, &None));
    redis.fill(FIRST, 5, &[(&id(1), &Account::default()), (&id(2), &Account::default())]).await;
    assert_eq!(redis.find(FIRST, &id(1)).await.expect("it is kept").rows, Some(Box::default()));
    assert_eq!(redis.find(FIRST, &id(2)).await.expect("a blank").rows, None, "nobody had asked about it");
    let mut large = Account::default();
    large.cash = large.cash.with_blocks((0..200_000).map(|seq| (seq, crate::testing::money("1.00"))).collect());
    redis.fill(FIRST, 5, &[(&id(2), &large)]).await;
    assert_eq!(redis.find(FIRST, &id(2)).await.expect("a blank").rows, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_key_has_a_time_to_live_and_a_full_server_keeps_nothing_more() {
    let world = World::new(1, [FIND, ADVANCE, FILL]).await;
    let redis = &world.redis;
    assert_eq!(redis.advance(FIRST, (5, 5), &[]).await, Some(vec![]));
    let blank = redis.find(FIRST, &id(1)).await.expect("a blank");
    for key in [redis.mark_key(FIRST), redis.account_key(FIRST, &id(1))] {
        let left: u64 = world.server.asked(&["ttl", &key]).parse().expect("seconds");
        assert!((1..=ACCOUNT_TTL_S).contains(&left), "{key}: {left}");
    }
    world.server.run(&["config", "set", "maxmemory", "1"]);
    assert_eq!(redis.find(FIRST, &id(2)).await, None, "no room for a blank");
    assert_eq!(redis.find(FIRST, &id(1)).await, Some(blank), "what is there can still be asked");
}

#[test]
fn a_url_that_names_no_redis_is_refused_without_being_repeated() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _on = runtime.enter();
    for url in ["localhost:6379", "postgres://bahi:secret@host/1", "redis://user:secret@host:port/0", "rediss://h/0"] {
        let refused = Redis::open(url, "test", &Memory::new(1)).err().expect("refused").to_string();
        assert!(refused.contains("redis://user:password@host:port/number") && !refused.contains("secret"), "{refused}");
    }
}
