//! Views filled beside the live ones and put in their place, while others read and write.

use super::*;
use crate::Until;
use crate::postgres::{Compared, Rebuild, RowsFrom};

/// A ledger that goes on, and a projector that follows.
struct Story {
    own: Own,
    draws: Draws,
    ledger: Ledger,
    log: Memory,
    views: Postgres,
    projector: Option<Projector>,
}

impl Story {
    async fn begin(seed: u64) -> Story {
        let (own, mut draws, mut ledger) = (Own::new().await, Draws(seed), Ledger::new(2));
        wander(&mut ledger, &mut draws, 300);
        let log = ledger.log().await;
        let views = own.views(&log).await;
        let mut story = Story { own, draws, ledger, log, views, projector: None };
        story.project();
        story.caught_up().await;
        story
    }

    fn project(&mut self) {
        self.projector = Some(Projector::start(Arc::new(self.log.clone()), self.views.clone(), clock()));
    }

    async fn no_projector(&mut self) {
        self.projector.take().expect("one runs").stop().await;
    }

    async fn goes_on(&mut self) {
        wander(&mut self.ledger, &mut self.draws, 60);
        self.ledger.append_to(&self.log).await;
    }

    async fn caught_up(&self) -> Replayed {
        let expected = replayed(&self.log).await;
        caught_up(self.projector.as_ref().expect("one runs"), &expected).await;
        expected
    }

    /// What is there is what was recorded.
    async fn is_right(&self) {
        let expected = self.caught_up().await;
        check(&self.views, &expected.views).await;
        let (market, _worker) = market_rows::begun(&self.views, &self.log, &expected.position).await;
        market_rows::is_equal(&market, &expected.views);
    }

    async fn rebuild(&self, views: &[View], from: RowsFrom) -> Result<Rebuild, Error> {
        let name = if let [view] = views { view.name() } else { "all" };
        Rebuild::begin(Arc::new(self.log.clone()), &self.views, name, views, from).await
    }

    /// One that is filled, and what comparing it gives.
    async fn compared(&self, views: &[View], from: RowsFrom) -> (Rebuild, Compared) {
        let mut rebuild = self.rebuild(views, from).await.expect("it begins");
        rebuild.fill(|_| ()).await.expect("it is filled");
        let compared = rebuild.compare(|_| ()).await.expect("it is compared");
        (rebuild, compared)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_view_is_rebuilt_and_switched_while_the_ledger_goes_on_and_back_again() {
    let mut story = Story::begin(21).await;
    let each = View::ALL.iter().map(std::slice::from_ref);
    for views in each.chain([View::ALL]) {
        for from in [RowsFrom::Log, RowsFrom::Kept] {
            story.goes_on().await;
            let (rebuild, compared) = story.compared(views, from).await;
            assert!(compared.is_equal(), "{views:?} {from:?}: {compared:?}");
            story.goes_on().await;
            let switched = rebuild.switch().await.expect("it is switched");
            assert!(switched.pause < WAIT);
            story.goes_on().await;
            story.is_right().await;
        }
    }
    let left = "select nspname::text from pg_namespace where nspname like current_schema() || '\\_%' order by 1";
    assert!(story.own.texts(left).await.iter().all(|schema| schema.contains("_before_")), "nothing else is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_died_is_gone_on_with_unless_it_is_to_begin_anew() {
    let mut story = Story::begin(22).await;
    let mut died = story.rebuild(&[View::Orders], RowsFrom::Log).await.expect("it begins");
    assert_eq!(died.resumed, 0);
    died.fill(|_| ()).await.expect("it is filled");
    let refused = story.rebuild(&[View::Cash], RowsFrom::Log).await.err().expect("one at a time");
    assert!(refused.to_string().contains("another process rebuilds"), "{refused}");
    drop(died);
    story.goes_on().await;
    let again = after_another(&story, RowsFrom::Log).await;
    assert!(again.resumed > 0, "it is gone on with");
    drop(again);
    let (rebuild, compared) = story.compared(&[View::Cash], RowsFrom::Log).await;
    assert!(compared.is_equal(), "another view has tables of its own");
    drop(rebuild);
    assert_eq!(after_another(&story, RowsFrom::LogAnew).await.resumed, 0);
    story.own.run(&format!("update {}_next_orders.rebuild set release = '0'", story.own.schema)).await;
    assert_eq!(after_another(&story, RowsFrom::Log).await.resumed, 0, "another release folded them");
}

/// One that begins although the server may not have seen yet that the one before is gone.
async fn after_another(story: &Story, from: RowsFrom) -> Rebuild {
    story.rebuild(&[View::Orders], from).await.expect("its connection is closed")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_lost_what_was_written_last_are_not_put_in_place() {
    let story = Story::begin(27).await;
    let (rebuild, compared) = story.compared(&[View::Orders], RowsFrom::Log).await;
    assert!(compared.is_equal());
    // As after a crash of a server that answers before it is on disk.
    let lost = "checkpoints set next_offset = next_offset - 1 where topic = 'bahi.ledger' and partition = 0";
    story.own.run(&format!("update {}_next_orders.{lost}", story.own.schema)).await;
    let refused = rebuild.switch().await.expect_err("they lack a record");
    assert!(refused.to_string().contains("not there any more"), "{refused}");
    story.is_right().await;
    // Another run fills them anew.
    let (rebuild, compared) = story.compared(&[View::Orders], RowsFrom::LogAnew).await;
    assert!(compared.is_equal());
    rebuild.switch().await.expect("it is switched");
    story.is_right().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_rows_are_mended_also_where_a_projector_has_folded_on_them() {
    let mut story = Story::begin(23).await;
    story.no_projector().await;
    story.own.run("update cash set row = (select row from cash order by settled desc limit 1)").await;
    story.own.run("update cash set settled = settled + 1 where account = 'ACC1'").await;
    story.own.run("delete from cash_due").await;
    // From here on it has damaged rows in memory.
    story.project();
    story.goes_on().await;
    story.caught_up().await;
    let (rebuild, compared) = story.compared(&[View::Cash], RowsFrom::Log).await;
    assert!(!compared.is_equal(), "the damage shows");
    let cold = rebuild.cold(&compared.rebuilt.position, |_| ()).await.expect("it is folded");
    assert_eq!(cold, compared.rebuilt, "the rebuilt rows are those that the log gives");
    assert_ne!(cold.hashes, compared.live.hashes);
    rebuild.switch().await.expect("it is switched");
    story.goes_on().await;
    story.is_right().await;
    // The way back leads to the damaged ones, and to the right ones again.
    for is_damaged in [true, false] {
        let (rebuild, compared) = story.compared(&[View::Cash], RowsFrom::Kept).await;
        let cold = rebuild.cold(&compared.rebuilt.position, |_| ()).await.expect("it is folded");
        assert_eq!(cold.hashes != compared.rebuilt.hashes, is_damaged);
        rebuild.switch().await.expect("it is switched");
        story.goes_on().await;
        story.caught_up().await;
    }
    story.is_right().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_had_stopped_goes_on_once_it_is_rebuilt() {
    let mut story = Story::begin(24).await;
    story.no_projector().await;
    story.own.run("insert into view_stops values ('orders', 0, 5, 'once', now()), ('cash', 1, 5, 'once', now())").await;
    story.project();
    story.goes_on().await;
    story.caught_up().await;
    let (rebuild, compared) = story.compared(&[View::Orders], RowsFrom::Log).await;
    assert!(!compared.is_equal());
    assert_eq!(compared.live.stops.len(), 1);
    rebuild.switch().await.expect("it is switched");
    story.goes_on().await;
    let expected = story.caught_up().await;
    let of = |hashes: StateHashes| hashes.hashes[0];
    assert_eq!(of(story.views.state_hashes().await.expect("hashes")), of(expected.views.state_hashes()));
    let stops: Vec<_> = story.views.stops().await.expect("stops").into_iter().map(|stop| stop.view).collect();
    assert_eq!(stops, [View::Cash], "what was not rebuilt stands where it stood");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_are_answered_all_the_while_and_a_projector_that_dies_changes_nothing() {
    let mut story = Story::begin(25).await;
    let (views, who) = (story.views.clone(), account(1));
    let (done, mut stopping) = watch::channel(false);
    let reading = tokio::spawn(async move {
        let (mut answers, mut last) = (0, 0);
        while !*stopping.borrow_and_update() {
            let at = views.account_at(&who).await.expect("it is answered").expect("it is there");
            assert!(at.next() >= last, "never older than before");
            (answers, last) = (answers + 1, at.next());
        }
        answers
    });
    for _ in 0..5 {
        story.goes_on().await;
        let mut rebuild = story.rebuild(View::ALL, RowsFrom::LogAnew).await.expect("it begins");
        story.no_projector().await;
        rebuild.fill(|_| ()).await.expect("it is filled up to where the projector was");
        story.project();
        assert!(rebuild.compare(|_| ()).await.expect("it is compared").is_equal());
        story.goes_on().await;
        rebuild.switch().await.expect("it is switched");
    }
    done.send_replace(true);
    assert!(reading.await.expect("every answer was right") > 5);
    story.is_right().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_market_is_begun_from_tables_all_the_while_and_is_right_whichever_they_are() {
    let mut story = Story::begin(29).await;
    let (views, log) = (story.views.clone(), story.log.clone());
    let (done, mut stopping) = watch::channel(false);
    let beginning = tokio::spawn(async move {
        let mut many = 0;
        while !*stopping.borrow_and_update() {
            let expected = replayed(&log).await;
            let (market, worker) = market_rows::begun(&views, &log, &expected.position).await;
            worker.stop().await;
            // It may have gone further meanwhile.
            let now = Replay { until: Until::Position(market.position()), ..Replay::default() };
            let expected = replay(Arc::new(log.clone()), now, |_| ()).await.expect("it is replayed");
            market_rows::is_equal(&market, &expected.views);
            many += 1;
        }
        many
    });
    for _ in 0..4 {
        story.goes_on().await;
        let (rebuild, compared) =
            story.compared(&[View::Instruments, View::Prices, View::Navs], RowsFrom::LogAnew).await;
        assert!(compared.is_equal(), "{compared:?}");
        rebuild.switch().await.expect("it is switched");
        story.is_right().await;
    }
    done.send_replace(true);
    assert!(beginning.await.expect("all were right") > 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_gone_back_to_is_refused() {
    let story = Story::begin(26).await;
    let refused = story.rebuild(&[View::Orders], RowsFrom::Kept).await.err().expect("nothing is kept");
    assert!(refused.to_string().contains("nothing to go back to"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_are_ahead_of_live_ones_which_were_cleared_are_not_put_in_their_place() {
    let mut story = Story::begin(27).await;
    let (rebuild, _) = story.compared(&[View::Cash], RowsFrom::Log).await;
    story.no_projector().await;
    Postgres::clear(&story.own.database).await.expect("they are cleared");
    let refused = rebuild.switch().await.expect_err("nothing is there yet");
    assert!(refused.to_string().contains("behind"), "{refused}");
    assert_eq!(story.own.texts("select count(*)::text from cash").await, ["0"]);
}
