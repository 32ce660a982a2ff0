//! Waiting for what another process folds, and the journal as the index of a log.

use super::*;
use crate::postgres::Indexed;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_wait_for_what_another_process_folds() {
    let (own, mut draws, mut ledger) = (Own::new().await, Draws(41), Ledger::new(2));
    let log = ledger.log().await;
    let (folding, asking) = (own.views(&log).await, own.views(&log).await);
    wander(&mut ledger, &mut draws, 100);
    ledger.append_to(&log).await;
    let wanted = replayed(&log).await.position;
    let soon = asking.wait_for(&wanted, Duration::from_millis(20)).await;
    assert!(!soon.expect("it is asked"), "nobody folds yet");
    let waiting: Vec<_> = (0..200)
        .map(|_| {
            let (asking, wanted) = (asking.clone(), wanted.clone());
            tokio::spawn(async move { asking.wait_for(&wanted, WAIT).await })
        })
        .collect();
    let projector = Projector::start(Arc::new(log.clone()), folding, clock());
    for waited in waiting {
        assert!(waited.await.expect("it does not panic").expect("it is asked"));
    }
    assert!(asking.seen().covers(&wanted));
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_is_given_up_costs_no_connection() {
    let (own, ledger) = (Own::new().await, Ledger::new(1));
    let log = ledger.log().await;
    let views = own.views_through_one(&log).await;
    let connection = async || {
        let asked = sqlx::query_scalar::<_, i32>("select pg_backend_pid()").fetch_one(views.database.pool()).await;
        asked.expect("it is answered")
    };
    let first = connection().await;
    for polls in 0..50 {
        // Given up at any moment of it, as when Redis has said that the answer will not help.
        let mut asked = std::pin::pin!(views.position_now());
        for _ in 0..polls {
            if futures::poll!(&mut asked).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    views.position_now().await.expect("it is asked");
    assert_eq!(connection().await, first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_is_the_index_of_a_log_that_has_none_however_far_it_is() {
    let (own, mut draws, mut ledger) = (Own::new().await, Draws(51), Ledger::new(1));
    wander(&mut ledger, &mut draws, 150);
    let log = ledger.log().await;
    let views = own.views(&log).await;
    let indexed = Indexed::new(Arc::new(log.clone()), views.clone());
    let all = records(&log, Topic::Ledger, 0).await;
    // Nothing folded, half of it, the rest, and as if the journal had stopped on the way.
    for upto in [0, all.len() / 2, all.len(), all.len() + 1] {
        let mut place = Partition::load(&views, Topic::Ledger, 0).await.expect("it is loaded");
        match all.get(usize::try_from(place.next()).expect("fits")..upto) {
            Some([]) => {}
            Some(more) => drop(place.fold(more).await.expect("it is folded")),
            None => {
                own.run("insert into view_stops values ('journal', 0, 100, 'x', now()); delete from journal where entry_offset > 150")
                    .await;
            }
        }
        for id in (0..7).map(account) {
            for (from, max) in [(0, usize::MAX), (40, 3), (99, 5), (170, usize::MAX), (9_999, 1)] {
                let expected = log.offsets_of(Topic::Ledger, 0, id.as_str(), from, max).await.expect("offsets");
                let found = indexed.offsets_of(Topic::Ledger, 0, id.as_str(), from, max).await.expect("offsets");
                assert_eq!(found, expected, "{id} from {from}, {upto} folded");
            }
        }
    }
}
