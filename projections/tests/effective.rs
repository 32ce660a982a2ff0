//! Both times: what was known then, and what is known now of what had happened then.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use domain::{
    history::{ImportTrade, Kind},
    ids::AccountId,
    market::DayPrice,
    money::Quantity,
    time::Timestamp,
};
use event_log::EventLog;
use projections::{
    AsOf, Error, Moment, Page, Replay, Views, past, replay,
    testing::{Ledger, account, day_price, instrument, price},
};
use std::sync::Arc;

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// Shares of ALFA and their last price.
async fn held(
    (log, views): (&Arc<dyn EventLog>, &Arc<Views>),
    account: &AccountId,
    recorded: Option<&str>,
    effective_at: &str,
) -> Result<(i64, Option<String>), Error> {
    let recorded = recorded.map(|at| AsOf::Time(time(at)));
    let then = past(&**log, views, account, Moment { recorded, effective_at: Some(time(effective_at)) }).await?;
    let rows = then.reading().positions(None, &Page::default())?.items;
    Ok(rows.first().map_or((0, None), |row| (row.quantity.shares(), row.last_price.map(|at| at.to_string()))))
}

#[tokio::test]
async fn a_trade_imported_late_and_a_corrected_price_show_what_was_known_then_and_now() {
    let (mut ledger, id) = (Ledger::new(1), account(1));
    ledger.open(&id, "1000.00");
    ledger.at("2026-11-24T10:00:00+05:30");
    let imported = |quantity, at: &str| ImportTrade {
        instrument: instrument("ALFA"),
        kind: Kind::Purchase,
        quantity: Quantity::new(quantity),
        price: Some(price("90.00")),
        exchange: None,
        trade_id: None,
        executed_at: time(at),
    };
    ledger.command(&id, imported(10, "2026-11-23T11:00:00+05:30"));
    ledger.at("2026-11-25T10:00:00+05:30");
    let first = day_price("ALFA", "2026-11-20", "100.00");
    ledger.fact(DayPrice { close: price("99.00"), low: price("99.00"), corrects: Some(2), ..first });
    ledger.command(&id, imported(5, "2026-11-20T16:00:00+05:30"));
    let log: Arc<dyn EventLog> = Arc::new(ledger.log().await);
    let views = replay(Arc::clone(&log), Replay::default(), |_| ()).await.unwrap().views;
    let at = (&log, &views);
    let (friday, monday) = ("2026-11-20T17:00:00+05:30", "2026-11-23T12:00:00+05:30");
    let (tuesday, wednesday) = ("2026-11-24T12:00:00+05:30", "2026-11-25T12:00:00+05:30");
    assert_eq!(held(at, &id, None, friday).await.unwrap().0, 5, "known now");
    assert!(matches!(held(at, &id, Some(tuesday), friday).await, Err(Error::UnknownAccount { .. })), "known then");
    assert_eq!(held(at, &id, None, monday).await.unwrap().0, 15);
    assert_eq!(held(at, &id, Some(tuesday), monday).await.unwrap().0, 10);
    assert_eq!(held(at, &id, Some(wednesday), monday).await.unwrap().0, 15);
    assert_eq!(held(at, &id, Some(tuesday), monday).await.unwrap().1.as_deref(), Some("100.00"));
}
