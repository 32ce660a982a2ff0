//! Following that cannot go on, whoever follows: it is said, what waits is let go, and nothing is done over what is lost.

use crate::{
    apart::Apart,
    common::*,
    through::{Between, Through},
};
use commands::{Answer, remote};
use event_log::{BoxFuture, Error, EventLog, Follow, Follower, Requests, Stored, Topic};
use parking_lot::Mutex;
use std::{panic::resume_unwind, sync::Arc};
use tokio::sync::watch;

/// How a topic's following ends, at the next batch.
#[derive(Clone, Copy)]
enum End {
    Panics,
    IsCut,
}

/// What ends the following of a topic, once it is told how.
#[derive(Clone)]
struct Ending(Topic, Arc<Mutex<Option<End>>>);

impl Ending {
    fn of(topic: Topic) -> Self {
        Self(topic, Arc::default())
    }

    fn end(&self, end: End) {
        *self.1.lock() = Some(end);
    }
}

impl Between for Ending {
    fn follows(&self, topic: Topic, follow: Follow) -> Follow {
        let end = if topic == self.0 { Arc::clone(&self.1) } else { Arc::default() };
        Follow::new(Followed { follow, end })
    }
}

struct Followed {
    follow: Follow,
    end: Arc<Mutex<Option<End>>>,
}

impl Follower for Followed {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Arc<Stored>>, Error>> {
        Box::pin(async move {
            let batch = self.follow.next().await?;
            let end = *self.end.lock();
            match end {
                None => Ok(batch),
                Some(End::Panics) => resume_unwind(Box::new("a bug")),
                Some(End::IsCut) => {
                    Err(Error::Cut { topic: Topic::Ledger, partition: 0, reason: "3 to 4 are left of it".into() })
                }
            }
        })
    }
}

/// A desk whose following ends so: it says so, lets go who waits, and puts nothing more.
async fn ends(end: End) {
    let apart = Apart::new();
    let process = apart.process().await;
    let ending = Ending::of(Topic::Ledger);
    let log = Through::of(&apart.log, ending.clone());
    let remote = remote::open(log, apart.requests(), config(&apart.clock)).await.unwrap();
    accepted(remote.desk.submit(client("A", "open", open())).await);
    assert_eq!(remote.desk.is_following(), Ok(()));
    ending.end(end);
    let asked = tokio::time::timeout(LIMIT / 2, remote.desk.submit(client("A", "d", deposit("10.00")))).await;
    assert_eq!(asked.expect("nobody waits for what cannot come"), Answer::Unknown);
    assert_eq!(remote.desk.is_following(), Err("answers can be read no further: bahi.ledger/0".to_owned()));
    let put = apart.put.tail(Topic::Ledger, 0).await.unwrap();
    let busy = remote.desk.submit(client("A", "e", deposit("10.00"))).await;
    assert!(matches!(busy, Answer::Busy { .. }), "{busy:?}");
    assert_eq!(apart.put.tail(Topic::Ledger, 0).await.unwrap(), put, "nothing was put");
    // The market is followed still, and another desk has the answer.
    accepted(remote.desk.submit_fact(fact("list", reliance())).await);
    accepted(apart.desk().await.desk.submit(client("A", "d", deposit("10.00"))).await);
    process.stop().await;
    assert_eq!(live(&apart.log).await.len(), 2, "what was asked for again was done once");
}

#[tokio::test]
async fn a_desk_whose_following_of_answers_panics_says_so_and_turns_away() {
    ends(End::Panics).await;
}

#[tokio::test]
async fn a_desk_whose_answers_are_cut_says_so_and_turns_away() {
    ends(End::IsCut).await;
}

#[tokio::test]
async fn requests_that_are_lost_while_a_writer_reads_them_halt_it() {
    let apart = Apart::new();
    let ending = Ending::of(Topic::Ledger);
    let process = apart.process_of(Requests::new(Through::of(&apart.put, ending.clone()))).await;
    let remote = apart.desk().await;
    accepted(remote.desk.submit(client("A", "open", open())).await);
    ending.end(End::IsCut);
    apart.put.append(Topic::Ledger, 0, None, vec![apart.asked_open().await]).await.unwrap();
    let mut served = process.writing.served();
    let halted = served.wait_for(|served| !served.contains(&(Topic::Ledger, 0)));
    tokio::time::timeout(LIMIT, halted).await.expect("within the limit").expect("it is at work");
    accepted(remote.desk.submit_fact(fact("list", reliance())).await);
    process.stop().await;
    assert_eq!(live(&apart.log).await.len(), 1, "nothing was answered over what was lost");
    assert_eq!(records(&apart.log).await.len(), 2, "what is lost is not claimed for again");
}

/// A writer whose following of the market ends so: it says so, and is not ready.
async fn a_market_ends(end: End) {
    let apart = Apart::new();
    let ending = Ending::of(Topic::Market);
    let (_given, gives) = watch::channel([(Topic::Ledger, 0), (Topic::Market, 0)].into());
    let log = Through::of(&apart.log, ending.clone());
    let writing = commands::write(log, apart.requests(), config(&apart.clock), gives).await.unwrap();
    let (following, remote) = (writing.following(), apart.desk().await);
    accepted(remote.desk.submit_fact(fact("list", reliance())).await);
    assert_eq!(following(), Ok(()));
    ending.end(end);
    accepted(remote.desk.submit_fact(fact("last", last("2500.00", MORNING))).await);
    let said = async {
        while following().is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, said).await.expect("within the limit");
    assert_eq!(following(), Err("the market can be followed no further: bahi.market/0".to_owned()));
    writing.stop().await;
}

#[tokio::test]
async fn a_writer_whose_following_of_the_market_panics_says_so() {
    a_market_ends(End::Panics).await;
}

#[tokio::test]
async fn a_writer_whose_market_is_cut_says_so() {
    a_market_ends(End::IsCut).await;
}

/// The simulated venue's following of the ledger is another than the desk's.
#[tokio::test]
async fn a_simulated_venue_that_panics_says_so() {
    let (log, clock) = (event_log::memory::Memory::new(1), Driven::at(MORNING));
    let ending = Ending::of(Topic::Ledger);
    let settings = commands::Config { simulated_venue: true, ..config(&clock) };
    let running = commands::start(Through::of(&log, ending.clone()), settings).await.unwrap();
    accepted(running.desk.submit(client("A", "open", open())).await);
    assert_eq!(running.desk.is_following(), Ok(()));
    ending.end(End::Panics);
    accepted(running.desk.submit(client("A", "d", deposit("10.00"))).await);
    let said = async {
        while running.desk.is_following().is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, said).await.expect("within the limit");
    assert_eq!(running.desk.is_following(), Err("the simulated venue goes no further: bahi.ledger/0".to_owned()));
    running.stop().await;
}
