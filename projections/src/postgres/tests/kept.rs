//! Connections that partitions keep from one batch to the next.

use super::*;
use crate::postgres::kept::{KEPT_MAX, Kept, Taken};

/// Which process of the server it leads to.
async fn process(taken: &mut Taken) -> i32 {
    let asked = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *taken.connection).await;
    asked.expect("an answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_work_keeps_its_connection_and_half_of_them_at_most_are_kept() {
    let own = Own::new().await;
    let database = Database::open(&own.url, 4).await.expect("the database opens");
    let take = async |kept: &mut Kept| kept.take(&database).await.expect("a connection");
    let mut all = [(); 3].map(|()| Kept::of(&database));
    let mut first = [0; 3];
    for (kept, first) in all.iter_mut().zip(&mut first) {
        let mut taken = take(kept).await;
        *first = process(&mut taken).await;
        kept.put(taken);
    }
    // The third's went to the pool, where others take it; those that are kept nobody else takes.
    let mut others = Vec::new();
    for _ in 0..2 {
        others.push(database.pool().acquire().await.expect("a connection"));
    }
    drop(others);
    let [one, other, third] = &mut all;
    for _ in 0..3 {
        for (kept, first) in [(&mut *one, first[0]), (&mut *other, first[1])] {
            let mut taken = take(kept).await;
            assert_eq!(process(&mut taken).await, first);
            kept.put(taken);
        }
    }
    let taken = take(third).await;
    third.put(taken);
    assert_eq!(database.places().available_permits(), 0);
    // Once as it was used since it began, and then since it was asked.
    one.let_go_of_unused();
    assert_eq!(database.places().available_permits(), 0, "it was used");
    one.let_go_of_unused();
    assert_eq!(database.places().available_permits(), 1, "it was not");
    let mut taken = take(third).await;
    let now = process(&mut taken).await;
    third.put(taken);
    let mut taken = take(third).await;
    assert_eq!(process(&mut taken).await, now, "the place is another's");
    // What failed is not given back.
    drop(taken);
    assert_eq!(database.places().available_permits(), 1);
    let mut taken = take(third).await;
    taken.since = taken.since.checked_sub(KEPT_MAX).expect("the machine runs for as long");
    third.put(taken);
    assert_eq!(database.places().available_permits(), 0);
    let taken = take(third).await;
    assert!(taken.since.elapsed() < KEPT_MAX, "the pool was asked again");
    assert_eq!(database.places().available_permits(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_writes_batch_after_batch_through_one_connection_and_lets_go_of_it_when_nothing_comes() {
    let (own, mut ledger) = (Own::new().await, Ledger::new(1));
    let log = ledger.log().await;
    let views = own.views(&log).await;
    let mut place = Partition::load(&views, Topic::Ledger, 0).await.expect("it is loaded");
    let places = own.database.places().available_permits();
    for _ in 0..3 {
        ledger.open(&account(1), "1.00");
        ledger.append_to(&log).await;
        place.fold(&records(&log, Topic::Ledger, 0).await).await.expect("it is folded");
        assert_eq!(own.database.places().available_permits(), places - 1);
    }
    for left in [places - 1, places] {
        assert!(place.is_in_place().await.expect("it is asked"));
        assert_eq!(own.database.places().available_permits(), left);
    }
    assert_eq!(Some(place.next()), replayed(&log).await.position.next(Topic::Ledger, 0));
}
