//! The views in memory keep the contract of the views.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use domain::ids::AccountId;
use event_log::{BoxFuture, EventLog, Topic, memory::Memory};
use projections::{
    Error, Listing, Moment, Page, Position, StateHashes, Views, Worker, follow, offsets, past, read_list,
    testing::contract::{Ask, Store},
    views_contract,
};
use serde_json::Value;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

struct InMemory {
    log: Memory,
    views: Arc<Views>,
    worker: Mutex<Option<Worker>>,
}

async fn opened(log: &Memory) -> ((), Arc<dyn Store>) {
    let views = Views::new(log.partitions(Topic::Ledger), log.partitions(Topic::Market));
    ((), Arc::new(InMemory { log: log.clone(), views, worker: Mutex::default() }))
}

views_contract!(opened);

impl Store for InMemory {
    /// From the first record on, each time.
    fn start(&self) {
        *self.worker.lock().unwrap() = Some(follow(Arc::new(self.log.clone()), Arc::clone(&self.views)));
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        let worker = self.worker.lock().unwrap().take().unwrap();
        Box::pin(worker.stop())
    }

    fn tell_again(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let again = Memory::new(self.log.partitions(Topic::Ledger));
            for topic in Topic::ALL {
                for partition in 0..again.partitions(topic) {
                    let all = self.log.read(topic, partition, 0, usize::MAX).await.unwrap();
                    let all = all.iter().map(|stored| stored.record.clone()).collect();
                    again.append(topic, partition, None, all).await.unwrap();
                }
            }
            again.close();
            follow(Arc::new(again), Arc::clone(&self.views)).ended().await;
        })
    }

    fn wait_for<'a>(&'a self, wanted: &'a Position, limit: Duration) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move { Ok(self.views.wait_for(wanted, limit).await) })
    }

    fn now<'a>(&'a self, id: &'a AccountId, ask: Ask<'a>) -> BoxFuture<'a, Result<Option<Value>, Error>> {
        Box::pin(async move { Ok(self.views.read(id, ask)) })
    }

    fn list<'a>(
        &'a self,
        id: &'a AccountId,
        listing: &'a Listing,
        page: &'a Page<'a>,
        ask: Ask<'a>,
    ) -> BoxFuture<'a, Result<Option<Value>, Error>> {
        Box::pin(read_list(&self.log, &self.views, id, listing, page, ask))
    }

    fn then<'a>(&'a self, id: &'a AccountId, moment: Moment, ask: Ask<'a>) -> BoxFuture<'a, Result<Value, Error>> {
        Box::pin(async move { Ok(ask(&past(&self.log, &self.views, id, moment).await?.reading())) })
    }

    fn entries<'a>(&'a self, id: &'a AccountId) -> BoxFuture<'a, Result<Vec<u64>, Error>> {
        Box::pin(offsets(&self.log, &self.views, id))
    }

    fn hashes(&self) -> BoxFuture<'_, Result<StateHashes, Error>> {
        Box::pin(async { Ok(self.views.state_hashes()) })
    }
}
