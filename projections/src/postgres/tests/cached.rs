//! Accounts that are read through Redis, beside those in memory that they must equal, whatever becomes of Redis.

use super::*;
use crate::redis::{
    Place, Redis,
    tests::{FIRST, impatient, patient, server::Server},
};

/// Views of a log in a database, kept in a Redis.
async fn kept(own: &Own, log: &Memory, server: &Server) -> (Postgres, Redis) {
    let redis = patient(&server.url(), log);
    server.answers(&redis).await;
    (own.views(log).await.cached_in(redis.clone()), redis)
}

/// The same, and all of the ledger's only partition in it.
async fn folded(own: &Own, log: &Memory, server: &Server) -> (Postgres, Redis, Partition) {
    let (views, redis) = kept(own, log, server).await;
    let mut place = Partition::load(&views, Topic::Ledger, 0).await.expect("it is loaded");
    place.fold(&records(log, Topic::Ledger, 0).await).await.expect("it is folded");
    (views, redis, place)
}

/// Whether Redis has rows of an account as of this place.
pub(super) async fn has(redis: &Redis, id: &AccountId, partition: u32, next: u64) -> bool {
    redis.find(Place { partition, ..FIRST }, id).await.is_some_and(|found| found.next == next && found.rows.is_some())
}

/// All answers are those from memory.
async fn same(views: &Postgres, expected: &Replayed, when: &str) {
    let views = views.clone().valued_by(Arc::clone(&expected.views));
    for id in expected.views.accounts() {
        let partition = partition_of(id.as_str(), views.ledger_partitions);
        let at = views.account_at(&id).await.expect("it is asked").expect("it is there");
        assert_eq!(Some(at.next()), expected.position.next(Topic::Ledger, partition), "{id} {when}");
        assert_eq!(Some(everything(&at.reading())), expected.views.read(&id, everything), "{id} {when}");
    }
    assert!(views.account_at(&account(99)).await.expect("it is asked").is_none(), "{when}");
}

/// Waits until all accounts are found in Redis as of where the views are.
async fn warm(views: &Postgres, redis: &Redis, expected: &Replayed) {
    let warmed = async {
        for id in expected.views.accounts() {
            let partition = partition_of(id.as_str(), views.ledger_partitions);
            let next = expected.position.next(Topic::Ledger, partition).expect("a place");
            while !has(redis, &id, partition, next).await {
                same(views, expected, "while it warms up").await;
            }
        }
    };
    tokio::time::timeout(WAIT, warmed).await.expect("they are kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_those_of_the_store_in_memory_whatever_becomes_of_redis() {
    let (own, mut server, mut draws, mut ledger) = (Own::new().await, Server::start(), Draws(71), Ledger::new(2));
    wander(&mut ledger, &mut draws, 200);
    let log = ledger.log().await;
    let redis = Redis::open(&server.url(), "test", &log).expect("a URL");
    let views = own.views(&log).await.cached_in(redis.clone());
    let projector = Projector::start(Arc::new(log.clone()), views.clone(), clock());
    for round in 0..8 {
        let expected = replayed(&log).await;
        caught_up(&projector, &expected).await;
        same(&views, &expected, "first").await;
        warm(&views, &redis, &expected).await;
        same(&views, &expected, "warm").await;
        match round % 4 {
            0 => server.run(&["flushall"]),
            1 => server.signal("KILL"),
            2 => server.signal("STOP"),
            _ => {}
        }
        same(&views, &expected, "without it").await;
        wander(&mut ledger, &mut draws, 60);
        ledger.append_to(&log).await;
        let expected = replayed(&log).await;
        caught_up(&projector, &expected).await;
        same(&views, &expected, "without it, and later").await;
        match round % 4 {
            1 => server.restart(),
            2 => server.signal("CONT"),
            _ => {}
        }
        same(&views, &expected, "when it is back").await;
    }
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_fills_late_does_not_bring_back_what_was() {
    let (own, server, mut ledger) = (Own::new().await, Server::start(), Ledger::new(1));
    let who = account(1);
    ledger.open(&who, "5.00");
    let log = ledger.log().await;
    let (views, redis) = kept(&own, &log, &server).await;
    let mut place = Partition::load(&views, Topic::Ledger, 0).await.expect("it is loaded");
    let first = records(&log, Topic::Ledger, 0).await;
    place.fold(&first).await.expect("it is folded");
    // A first reader leaves a blank and loads; before it fills, a batch is committed and told.
    assert_eq!(redis.find(FIRST, &who).await.expect("a blank").rows, None);
    let loaded = views.stored_at(&who).await.expect("it is asked").expect("it is there");
    ledger.command(&who, domain::cash::Deposit { amount: money("1.00") });
    ledger.append_to(&log).await;
    let all = records(&log, Topic::Ledger, 0).await;
    place.fold(&all[first.len()..]).await.expect("it is folded");
    let next = place.next();
    assert!(has(&redis, &who, 0, next).await, "the projector filled what was asked about");
    let late = [(&who, loaded.whole_rows().expect("nothing stopped"))];
    redis.fill(FIRST, loaded.next(), &late).await;
    let found = redis.find(FIRST, &who).await.expect("it is kept");
    assert_eq!((found.next, found.rows.expect("rows").cash.cash.settled), (next, money("6.00")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_tables_that_were_replaced_are_not_shown_though_they_are_as_of_the_same_place() {
    let (own, server, mut ledger) = (Own::new().await, Server::start(), Ledger::new(1));
    let who = account(1);
    ledger.open(&who, "5.00");
    let log = ledger.log().await;
    let (views, redis) = kept(&own, &log, &server).await;
    let views = views.valued_by(replayed(&log).await.views);
    let mut place = Partition::load(&views, Topic::Ledger, 0).await.expect("it is loaded");
    place.fold(&records(&log, Topic::Ledger, 0).await).await.expect("it is folded");
    let settled = async || {
        let at = views.account_at(&who).await.expect("it is asked").expect("it is there");
        at.whole_rows().expect("nothing stopped").cash.cash.settled
    };
    for _ in 0..2 {
        assert_eq!(settled().await, money("5.00"));
    }
    assert!(has(&redis, &who, 0, place.next()).await);
    // As a switch does that puts other rows in place.
    own.run("delete from cash; update checkpoints set generation = generation + 1").await;
    for _ in 0..3 {
        assert_eq!(settled().await, money("0.00"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projector_sees_that_tables_were_replaced_though_nothing_new_comes() {
    let (own, server, mut ledger) = (Own::new().await, Server::start(), Ledger::new(1));
    ledger.open(&account(1), "5.00");
    let log = ledger.log().await;
    let (views, redis) = kept(&own, &log, &server).await;
    let projector = Projector::start(Arc::new(log.clone()), views, clock());
    caught_up(&projector, &replayed(&log).await).await;
    own.run("update checkpoints set generation = generation + 1").await;
    let place = Place { generation: 1, ..FIRST };
    until("the tables that are read now have a mark", async || redis.find(place, &account(1)).await.is_some()).await;
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_committed_and_not_told_yet_is_seen() {
    let (own, server, mut ledger) = (Own::new().await, Server::start(), Ledger::new(1));
    let who = account(1);
    ledger.open(&who, "5.00");
    let log = ledger.log().await;
    let (views, redis, mut place) = folded(&own, &log, &server).await;
    let expected = replayed(&log).await;
    warm(&views, &redis, &expected).await;
    // By one that knows no Redis, or that is killed right after its commit.
    ledger.command(&who, domain::cash::Deposit { amount: money("1.00") });
    ledger.append_to(&log).await;
    let mut other = Partition::load(&own.views(&log).await, Topic::Ledger, 0).await.expect("it is loaded");
    let all = records(&log, Topic::Ledger, 0).await;
    other.fold(&all).await.expect("it is folded");
    let expected = replayed(&log).await;
    same(&views, &expected, "behind the database").await;
    // The first is overtaken; another goes on and misses what was not told.
    assert_eq!(place.fold(&all).await.expect("it is asked"), partition::Done::Overtaken);
    ledger.command(&who, domain::cash::Deposit { amount: money("1.00") });
    ledger.append_to(&log).await;
    let mut place = Partition::load(&views, Topic::Ledger, 0).await.expect("it is loaded");
    place.fold(&records(&log, Topic::Ledger, 0).await).await.expect("it is folded");
    let expected = replayed(&log).await;
    same(&views, &expected, "after a gap").await;
    warm(&views, &redis, &expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_redis_did_not_take_is_told_with_the_next_and_costs_nobody_elses_rows() {
    let (own, server, mut ledger) = (Own::new().await, Server::start(), Ledger::new(1));
    let (changed, other) = (account(1), account(2));
    ledger.open(&changed, "5.00");
    ledger.open(&other, "7.00");
    let log = ledger.log().await;
    let (views, redis) = kept(&own, &log, &server).await;
    let impatient = own.views(&log).await.cached_in(impatient(&server.url(), &log));
    let mut place = Partition::load(&impatient, Topic::Ledger, 0).await.expect("it is loaded");
    place.fold(&records(&log, Topic::Ledger, 0).await).await.expect("it is folded");
    until("there is a mark", async || {
        place.confirm().await;
        redis.find(FIRST, &other).await.is_some()
    })
    .await;
    warm(&views, &redis, &replayed(&log).await).await;
    // It takes the first once it goes on, long after it was given up; of the second it is not told, in the pause.
    server.signal("STOP");
    for _ in 0..2 {
        ledger.command(&changed, domain::cash::Deposit { amount: money("1.00") });
        ledger.append_to(&log).await;
        place.fold(&records(&log, Topic::Ledger, 0).await).await.expect("it is folded");
    }
    server.signal("CONT");
    until("what was missed is told", async || {
        place.confirm().await;
        has(&redis, &other, 0, place.next()).await
    })
    .await;
    assert_eq!(redis.find(FIRST, &changed).await.expect("a blank").rows, None, "older rows are none");
    same(&views, &replayed(&log).await, "when it is told").await;
    warm(&views, &redis, &replayed(&log).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_more_accounts_than_one_script_takes_is_told_whole() {
    let (own, server, mut ledger) = (Own::new().await, Server::start(), Ledger::new(1));
    let (touched, other): (Vec<_>, _) = ((0..600).map(account).collect(), account(600));
    touched.iter().chain([&other]).for_each(|id| ledger.open(id, "5.00"));
    let log = ledger.log().await;
    let (views, redis, mut place) = folded(&own, &log, &server).await;
    let views = views.valued_by(replayed(&log).await.views);
    for id in touched.iter().chain([&other]) {
        views.account_at(id).await.expect("it is asked").expect("it is there");
        assert!(has(&redis, id, 0, place.next()).await, "{id} was asked about");
    }
    for id in &touched {
        ledger.command(id, domain::cash::Deposit { amount: money("1.00") });
    }
    ledger.append_to(&log).await;
    place.fold(&records(&log, Topic::Ledger, 0).await).await.expect("it is folded");
    assert!(has(&redis, &other, 0, place.next()).await, "the mark is at the end, and of the same epoch");
    let mut filled = 0;
    for id in &touched {
        let found = redis.find(FIRST, id).await.expect("it is here");
        assert_eq!(found.next, place.next());
        if let Some(rows) = found.rows {
            assert_eq!(rows.cash.cash.settled, money("6.00"));
            filled += 1;
        }
    }
    assert_eq!(filled, 256, "others are blank until they are asked about");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_with_a_view_that_stopped_is_read_from_the_database() {
    for contradicts in [true, false] {
        let (own, server, mut ledger) = (Own::new().await, Server::start(), Ledger::new(1));
        let who = account(1);
        ledger.open(&who, "5.00");
        let log = ledger.log().await;
        let (views, redis, mut place) = folded(&own, &log, &server).await;
        warm(&views, &redis, &replayed(&log).await).await;
        let valued = views.clone().valued_by(Views::new(1, 1));
        let answer = async || valued.read(&who, |reading| reading.cash().err()).await.expect("it is asked");
        assert!(matches!(answer().await, Some(None)), "nothing has stopped");
        if contradicts {
            let mut again = records(&log, Topic::Ledger, 0).await.pop().expect("a record").record.clone();
            again.headers.after = again.headers.source;
            log.append(Topic::Ledger, 0, None, vec![again]).await.expect("it lands");
        } else {
            ledger.poison(&who);
            ledger.append_to(&log).await;
        }
        place.fold(&records(&log, Topic::Ledger, 0).await).await.expect("it is folded");
        // The log is not read past a contradiction: what is kept is as of where the partition stays.
        assert_eq!(has(&redis, &who, 0, place.next()).await, contradicts);
        for _ in 0..2 {
            let said = answer().await;
            assert!(matches!(said, Some(Some(Error::Stopped { offset: 3, .. }))), "{said:?}");
            place.confirm().await;
            assert_eq!(has(&redis, &who, 0, place.next()).await, contradicts, "nothing is filled");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_older_than_one_that_anybody_was_given() {
    let (own, server, mut draws, mut ledger) = (Own::new().await, Server::start(), Draws(73), Ledger::new(1));
    wander(&mut ledger, &mut draws, 100);
    let log = ledger.log().await;
    let market = replayed(&log).await.views;
    let (views, _) = kept(&own, &log, &server).await;
    let projector = Projector::start(Arc::new(log.clone()), views, clock());
    // Of several processes, one of which knows no Redis, all say what they saw to one another.
    let latest = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let (stopping, stopped) = watch::channel(false);
    let mut readers = Vec::new();
    for number in 0..4 {
        let views = match number {
            0 => own.views(&log).await,
            _ => kept(&own, &log, &server).await.0,
        };
        let (views, latest, stopped) = (views.valued_by(Arc::clone(&market)), Arc::clone(&latest), stopped.clone());
        readers.push(tokio::spawn(async move {
            let mut draws = Draws(number);
            let mut reads = 0;
            while !*stopped.borrow() {
                let id = account(draws.below(7) as usize);
                let seen = latest.load(std::sync::atomic::Ordering::SeqCst);
                if let Some(at) = views.account_at(&id).await.expect("it is asked") {
                    assert!(at.next() >= seen, "{} after {seen} by {number}", at.next());
                    latest.fetch_max(at.next(), std::sync::atomic::Ordering::SeqCst);
                    reads += 1;
                }
            }
            reads
        }));
    }
    for round in 0..30 {
        wander(&mut ledger, &mut draws, 20);
        ledger.append_to(&log).await;
        if round % 7 == 3 {
            server.run(&["flushall"]);
        }
        caught_up(&projector, &replayed(&log).await).await;
    }
    stopping.send_replace(true);
    for reader in readers {
        assert!(reader.await.expect("no answer is older") > 10, "each reads");
    }
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_ask_how_far_it_is_share_a_question_that_begins_after_they_asked() {
    let (own, mut ledger) = (Own::new().await, Ledger::new(1));
    let log = ledger.log().await;
    let views = own.views(&log).await;
    let mut place = Partition::load(&views, Topic::Ledger, 0).await.expect("it is loaded");
    for _ in 0..20 {
        ledger.open(&account(1), "1.00");
        ledger.append_to(&log).await;
        let folded = records(&log, Topic::Ledger, 0).await;
        let before: Vec<_> = (0..50)
            .map(|_| {
                let views = views.clone();
                tokio::spawn(async move { views.position_now().await })
            })
            .collect();
        place.fold(&folded).await.expect("it is folded");
        let now = views.position_now().await.expect("it is asked");
        assert_eq!(now.position.next(Topic::Ledger, 0), Some(place.next()), "what is committed is in it");
        for asked in before {
            asked.await.expect("it does not panic").expect("it is asked");
        }
    }
}
