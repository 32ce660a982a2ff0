//! A partition's market as its writer's snapshot keeps it: parts as items, and all of it read by whoever follows the
//! partition. Decides nothing, and forgets nothing that is stored.

use crate::{
    facts::Facts,
    running::snapshot_of,
    snapshots::{Unread, lineage_of, read_items},
};
use domain::market::{Market, parts::Part};
use event_log::{
    Error, EventLog, Requests,
    rule::Reader,
    snapshot::{self, Item, SnapshotStore},
};

/// A market as it was saved.
#[derive(Default)]
pub(crate) struct SavedMarket {
    pub market: Market,
    /// Where its snapshot ends.
    pub reader: Reader,
    /// What is recorded before this may be in it already, though it comes after where the snapshot ends.
    pub end: u64,
}

/// A part as it is stored.
pub(crate) fn item(part: &Part) -> Result<Item, String> {
    let blob = postcard::to_stdvec(part).map_err(|error| error.to_string())?;
    Ok(Item { key: part.name.to_string().into(), due: None, blob: blob.into() })
}

/// Takes a part in as it was stored.
pub(crate) fn take_in(market: &mut Market, key: &str, blob: &[u8]) -> Result<(), String> {
    let part: Part = postcard::from_bytes(blob).map_err(|error| error.to_string())?;
    if *part.name.to_string() != *key {
        return Err(format!("it is {}", part.name));
    }
    Ok(market.take_in(part)?)
}

impl SavedMarket {
    /// What the writer of a partition has saved of it; nothing, if that cannot be had or believed.
    ///
    /// # Errors
    /// When the log cannot be reached.
    pub(crate) async fn of(
        store: &dyn SnapshotStore,
        log: &dyn EventLog,
        partition: u32,
        requests: Option<&Requests>,
    ) -> Result<Self, Error> {
        let reason = match Self::read(store, log, partition, requests).await {
            Ok(saved) => return Ok(saved),
            Err(Unread::Away(error @ Error::Unreachable { .. })) => return Err(error),
            Err(Unread::Away(error)) => error.to_string(),
            Err(Unread::Damaged(reason)) => reason,
        };
        tracing::warn!(partition, reason, "a snapshot of the market is not used; the market is folded from its start");
        Ok(Self::default())
    }

    async fn read(
        store: &dyn SnapshotStore,
        log: &dyn EventLog,
        partition: u32,
        requests: Option<&Requests>,
    ) -> Result<Self, Unread> {
        let Some((place, version)) = snapshot_of::<Facts>(partition, requests) else { return Ok(Self::default()) };
        let believed = snapshot::believed(store, log, place, &version).await.map_err(Unread::Away)?;
        let Some(state) = believed.map_err(Unread::Damaged)? else { return Ok(Self::default()) };
        let lineage = lineage_of(&state).ok_or_else(|| Unread::Damaged("its state is cut short".to_owned()))?;
        let mut market = Market::default();
        let take_in = &mut |item: &Item| take_in(&mut market, &item.key, &item.blob);
        let end = read_items(store, place, lineage, take_in).await?;
        Ok(Self { market, reader: state.reader, end })
    }
}
