//! The contract of the views: on tables alone, and with Redis before them and the market in memory, as an api has it.

use super::{cached::has, *};
use crate::{
    Listing, Moment, Page, Worker, past,
    postgres::Indexed,
    redis::{
        Redis,
        tests::{patient, server::Server},
    },
    testing::contract::{Ask, Store},
};
use event_log::BoxFuture;
use futures::FutureExt;
use parking_lot::Mutex;
use serde_json::Value;

/// Rows of accounts in tables.
struct Tables {
    log: Memory,
    rows: Postgres,
    /// The market, and how far the ledger is in the tables.
    market: Arc<Views>,
    _market: Worker,
    projector: Mutex<Option<Projector>>,
    redis: Option<Redis>,
}

impl Tables {
    async fn over(log: &Memory, own: &Own) -> Self {
        let market = Views::new(log.partitions(Topic::Ledger), log.partitions(Topic::Market));
        let (log, rows) = (log.clone(), own.views(log).await);
        let following = rows.follow_market(Arc::new(log.clone()), Arc::clone(&market)).await;
        let following = following.expect("it is followed");
        Self { log, rows, market, _market: following, projector: Mutex::default(), redis: None }
    }

    /// Asks until Redis has the rows, so that the next answer is from there; of an account that is absent, or beside a
    /// view that stopped, it never has.
    async fn warm(&self, redis: &Redis, id: &AccountId) -> Result<(), Error> {
        let partition = partition_of(id.as_str(), self.rows.ledger_partitions);
        let warmed = async {
            while let Some(at) = self.rows.account_at(id).await? {
                if at.whole_rows().is_none() || has(redis, id, partition, at.next()).await {
                    break;
                }
            }
            Ok(())
        };
        tokio::time::timeout(WAIT, warmed).await.expect("they are kept")
    }
}

impl Store for Tables {
    fn start(&self) {
        *self.projector.lock() = Some(Projector::start(Arc::new(self.log.clone()), self.rows.clone(), clock()));
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        let projector = self.projector.lock().take().expect("it was started");
        projector.stop().boxed()
    }

    fn tell_again(&self) -> BoxFuture<'_, ()> {
        async {
            for topic in Topic::ALL {
                for partition in 0..self.log.partitions(topic) {
                    let mut place = Partition::load(&self.rows, topic, partition).await.expect("it is loaded");
                    place.fold(&records(&self.log, topic, partition).await).await.expect("it is folded");
                }
            }
        }
        .boxed()
    }

    fn wait_for<'a>(&'a self, wanted: &'a Position, limit: Duration) -> BoxFuture<'a, Result<bool, Error>> {
        async move {
            let is_here = self.rows.wait_for(wanted, limit).await?;
            self.market.see_ledger(&self.rows.seen());
            // The market is followed beside it.
            assert!(!is_here || self.market.wait_for(wanted, WAIT).await);
            Ok(is_here)
        }
        .boxed()
    }

    fn now<'a>(&'a self, id: &'a AccountId, ask: Ask<'a>) -> BoxFuture<'a, Result<Option<Value>, Error>> {
        async move {
            if let Some(redis) = &self.redis {
                self.warm(redis, id).await?;
            }
            self.rows.read(id, ask).await
        }
        .boxed()
    }

    fn list<'a>(
        &'a self,
        id: &'a AccountId,
        listing: &'a Listing,
        page: &'a Page<'a>,
        ask: Ask<'a>,
    ) -> BoxFuture<'a, Result<Option<Value>, Error>> {
        self.rows.read_list(id, listing, page, ask).boxed()
    }

    fn then<'a>(&'a self, id: &'a AccountId, moment: Moment, ask: Ask<'a>) -> BoxFuture<'a, Result<Value, Error>> {
        async move {
            self.market.see_ledger(&self.rows.position().await?);
            let indexed = Indexed::new(Arc::new(self.log.clone()), self.rows.clone());
            Ok(ask(&past(&indexed, &self.market, id, moment).await?.reading()))
        }
        .boxed()
    }

    fn entries<'a>(&'a self, id: &'a AccountId) -> BoxFuture<'a, Result<Vec<u64>, Error>> {
        self.rows.journal_offsets(id, 0, usize::MAX).boxed()
    }

    fn hashes(&self) -> BoxFuture<'_, Result<StateHashes, Error>> {
        self.rows.state_hashes().boxed()
    }
}

mod tables {
    use super::*;

    async fn opened(log: &Memory) -> (Own, Arc<dyn Store>) {
        let own = Own::new().await;
        let tables = Tables::over(log, &own).await;
        (own, Arc::new(tables))
    }

    crate::views_contract!(opened);
}

mod behind_redis {
    use super::*;

    async fn opened(log: &Memory) -> ((Own, Server), Arc<dyn Store>) {
        let (own, server) = (Own::new().await, Server::start());
        let redis = patient(&server.url(), log);
        server.answers(&redis).await;
        let tables = Tables::over(log, &own).await;
        let rows = tables.rows.clone().cached_in(redis.clone()).valued_by(Arc::clone(&tables.market));
        ((own, server), Arc::new(Tables { rows, redis: Some(redis), ..tables }))
    }

    crate::views_contract!(opened);
}
