//! A batch of the market, folded by the store in memory on what the database holds of it; writes nothing.

use super::{Failure, changes::Changes, loading::whole, rows};
use crate::{
    store::Views,
    view::{Stop, ViewSet},
};
use domain::{ids::InstrumentId, market::MarketEventData};
use event_log::Stored;
use event_schemas::entry::decode_market_entry;
use sqlx::{PgConnection, Row};
use std::{collections::BTreeSet, sync::Arc};

/// Folds live entries of a partition; gives what changed and which views stopped.
///
/// Facts about days and NAVs are only ever added, and listings, schemes and calendar days replaced, so nothing of them
/// need be loaded. Of live prices, what is remembered about each is.
pub(super) async fn fold(
    connection: &mut PgConnection,
    partition: u32,
    live: &[Arc<Stored>],
    stopped: &mut ViewSet,
) -> Result<(Changes, Vec<Stop>), Failure> {
    let entries: Vec<_> = live.iter().map(|stored| decode_market_entry(&stored.record.value)).collect();
    let events = entries.iter().flatten().flat_map(|entry| &entry.events);
    let told = events.filter_map(|event| match &event.data {
        MarketEventData::Last(fact) => Some(fact.instrument),
        _ => None,
    });
    let views = Views::new(1, partition + 1);
    load_live(connection, &views, told.collect()).await?;
    for (stored, entry) in live.iter().zip(entries) {
        views.fold_market_decoded(partition, stored, entry, stopped);
    }
    Ok((changes(&views), views.stops()))
}

async fn load_live(
    connection: &mut PgConnection,
    views: &Views,
    instruments: BTreeSet<InstrumentId>,
) -> Result<(), Failure> {
    if instruments.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = instruments.iter().map(InstrumentId::as_str).collect();
    let find = sqlx::query("select instrument, row from live_prices where instrument = any($1)");
    for row in find.bind(ids).fetch_all(connection).await? {
        let id = InstrumentId::new(row.try_get("instrument")?);
        let id = id.map_err(|_| Failure::Row("an instrument".into()))?;
        views.prices.write().take_live_row(id, whole(&row)?);
    }
    Ok(())
}

/// All rows of these views.
pub(super) fn changes(views: &Views) -> Changes {
    let mut changes = Changes::default();
    let instruments = views.instruments.read();
    let aliases = instruments.instruments.values().flat_map(|row| row.aliases.values());
    aliases.for_each(|fact| rows::instrument(changes.put(&rows::INSTRUMENTS), fact));
    instruments.calendar.values().for_each(|fact| rows::calendar_day(changes.put(&rows::CALENDAR), fact));
    for (id, row) in views.prices.read().iter() {
        row.all_days().iter().for_each(|day| rows::price_fact(changes.put(&rows::PRICE_FACTS), id, day));
        rows::live_price(changes.put(&rows::LIVE_PRICES), id, row.live_row());
    }
    for (code, row) in &views.navs.read().schemes {
        if let Some(fact) = &row.scheme {
            rows::scheme(changes.put(&rows::SCHEMES), fact);
        }
        row.all_navs().iter().for_each(|nav| rows::nav_fact(changes.put(&rows::NAV_FACTS), code, nav));
    }
    changes
}
