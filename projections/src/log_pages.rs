//! Pages of the log itself: an account's entries, an order's history, requests for a venue; folds nothing.

use crate::{
    Error, Page,
    offsets::{READ_ENTRIES_MAX, folded, live, records},
    older::{Listing, read_list},
    page::after_number,
    past::{AsOf, decode, upto},
    position::{number, take},
    read::Reading,
    store::Views,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use domain::{
    event::{Event, EventData},
    ids::{AccountId, InstrumentId, OrderId},
    money::{Percent, Price, Quantity},
    order::{OrderType, Product, Side, Validity, order_of},
    time::{Date, Timestamp},
};
use event_log::{
    EventLog, RecordKind, Stored, Topic,
    rule::{Reader, Verdict},
};
use serde::{Serialize, Serializer, ser::SerializeStruct};
use serde_json::value::RawValue;

/// The most records looked at for one page of requests; a venue asks again from there.
const SCAN_RECORDS_MAX: usize = 8192;

/// The most entries of an account looked at for one order's history.
const HISTORY_ENTRIES_MAX: usize = 50_000;

/// An entry as it is stored.
#[derive(Clone, Debug)]
pub struct EventItem {
    /// Where, in the account's partition.
    pub offset: u64,
    /// Its exact bytes.
    pub entry: Bytes,
}

impl Serialize for EventItem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entry: &RawValue = serde_json::from_slice(&self.entry).map_err(serde::ser::Error::custom)?;
        let mut item = serializer.serialize_struct("item", 2)?;
        item.serialize_field("offset", &self.offset)?;
        item.serialize_field("entry", entry)?;
        item.end()
    }
}

/// A page of an account's entries, the oldest first.
#[derive(Clone, Debug, Serialize)]
pub struct EventPage {
    /// The entries.
    pub items: Vec<EventItem>,
    /// Asks for the entries after these; null at the end.
    pub next_cursor: Option<String>,
}

/// An account's entries as stored, the oldest first; with a moment, those up to it.
///
/// # Errors
/// `Cursor`, what [`crate::past`] says about the moment, and what the log says.
pub async fn events(
    log: &dyn EventLog,
    views: &Views,
    account: &AccountId,
    as_of: Option<AsOf>,
    page: &Page<'_>,
) -> Result<EventPage, Error> {
    let partition = views.partition_of(Topic::Ledger, account.as_str());
    let (from, limit) = (page.number()?.map_or(0, |after| after + 1), page.limit());
    let end = match as_of {
        Some(as_of) => upto(log, views, partition, as_of).await?,
        None => folded(views, Topic::Ledger, partition),
    };
    let mut offsets = live(log, views, (Topic::Ledger, partition, account.as_str()), from..end, limit + 1).await?;
    let more = offsets.len() > limit;
    offsets.truncate(limit);
    let records = records(log, Topic::Ledger, partition, offsets).await?;
    let next_cursor = if more { records.last().map(|last| after_number(last.offset)) } else { None };
    let items = records.iter().map(|stored| EventItem { offset: stored.offset, entry: stored.record.value.clone() });
    Ok(EventPage { items: items.collect(), next_cursor })
}

/// What happened to an order, the oldest first.
#[derive(Debug, Serialize)]
pub struct OrderHistory {
    /// Each event about it.
    pub items: Vec<HistoryItem>,
}

/// An event about an order.
#[derive(Debug)]
pub struct HistoryItem {
    /// The entry that holds it.
    pub offset: u64,
    /// That entry's number in the account.
    pub seq: u64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// What happened, and when.
    pub event: Event,
}

impl Serialize for HistoryItem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Payload<'a>(&'a EventData);
        impl Serialize for Payload<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize_payload(serializer)
            }
        }
        let mut item = serializer.serialize_struct("item", 6)?;
        item.serialize_field("offset", &self.offset)?;
        item.serialize_field("seq", &self.seq)?;
        item.serialize_field("recorded_at", &self.recorded_at)?;
        item.serialize_field("effective_at", &self.event.effective_at)?;
        item.serialize_field("type", self.event.data.type_name())?;
        item.serialize_field("data", &Payload(&self.event.data))?;
        item.end()
    }
}

/// An order's history, read from the account's entries between its request and the last one about it, or the one with
/// which it left memory.
///
/// # Errors
/// `UnknownOrder`, an entry that cannot be read, and what the log says.
pub async fn order_history(log: &dyn EventLog, views: &Views, order: &OrderId) -> Result<OrderHistory, Error> {
    let (listing, page) = (Listing::Order(order.seq), Page::default());
    let span = read_list(log, views, &order.account, &listing, &page, |reading| OrderSpan::of(reading, order)).await?;
    history_over(log, views, order, span.transpose()?.flatten()).await
}

/// Where the entries about an order are.
#[derive(Clone, Copy, Debug)]
pub struct OrderSpan {
    /// The last of them, by its number in the account.
    last_seq: u64,
    /// One before them or the first, by its number and its offset.
    mark: (u64, u64),
}

impl OrderSpan {
    /// As a reading of the account that has the order says.
    ///
    /// # Errors
    /// `UnknownOrder`, and a view that stopped.
    pub fn of(reading: &Reading<'_>, order: &OrderId) -> Result<Option<Self>, Error> {
        reading.order(order)?;
        let row = reading.order_row(order.seq);
        Ok(row.and_then(|row| Some(Self { last_seq: row.last_seq, mark: reading.rows.journal.mark(row.seq)? })))
    }
}

/// An order's history, read from the account's entries in this span.
///
/// # Errors
/// `UnknownOrder` without a span, an entry that cannot be read, and what the log says.
pub async fn history_over(
    log: &dyn EventLog,
    views: &Views,
    order: &OrderId,
    span: Option<OrderSpan>,
) -> Result<OrderHistory, Error> {
    let account = &order.account;
    let partition = views.partition_of(Topic::Ledger, account.as_str());
    let OrderSpan { last_seq, mark: (seq, mut from) } = span.ok_or(Error::UnknownOrder)?;
    let mut entries = usize::try_from(last_seq + 1 - seq).unwrap_or(usize::MAX).min(HISTORY_ENTRIES_MAX);
    let end = folded(views, Topic::Ledger, partition);
    let mut items = Vec::new();
    while entries > 0 {
        let key = (Topic::Ledger, partition, account.as_str());
        let offsets = live(log, views, key, from..end, entries.min(READ_ENTRIES_MAX)).await?;
        let Some(last) = offsets.last() else { break };
        (from, entries) = (last + 1, entries - offsets.len());
        for stored in records(log, Topic::Ledger, partition, offsets).await? {
            // The header tells the types without reading the entry.
            if !["order_", "fill_", "modification_", "cancellation_", "trade_cancelled"]
                .iter()
                .any(|part| stored.record.headers.kinds.contains(part))
            {
                continue;
            }
            let entry = decode(partition, &stored)?;
            let (seq, recorded_at, offset) = (entry.seq, entry.recorded_at, stored.offset);
            let about = entry.events.into_iter().filter(|event| order_of(&event.data) == Some(*order));
            items.extend(about.map(|event| HistoryItem { offset, seq, recorded_at, event }));
        }
        tokio::task::yield_now().await;
    }
    Ok(OrderHistory { items })
}

/// A page of requests for a venue, in log order by partition.
#[derive(Clone, Debug, Serialize)]
pub struct VenueRequests {
    /// The requests.
    pub items: Vec<VenueRequest>,
    /// Asks for what comes after these; always there, as a venue follows.
    pub next_cursor: String,
}

/// What a client asks of the venue.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VenueRequest {
    /// In which partition.
    pub partition: u32,
    /// At which entry.
    pub offset: u64,
    /// Whose.
    pub account: AccountId,
    /// Which order.
    pub order_id: OrderId,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// What is asked.
    #[serde(flatten)]
    pub asked: VenueAsked,
}

/// What is asked of the venue.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum VenueAsked {
    /// A new order.
    New {
        /// What to trade.
        instrument: InstrumentId,
        /// Buy or sell.
        side: Side,
        /// How many shares.
        quantity: Quantity,
        /// Market or limit.
        #[serde(rename = "type")]
        order_type: OrderType,
        /// The limit.
        price: Option<Price>,
        /// The price from which on it stands.
        trigger_price: Option<Price>,
        /// The part of the quantity that is shown at a time.
        disclosed_quantity: Option<Quantity>,
        /// How far from the last price a market order may trade.
        market_protection: Option<Percent>,
        /// Delivery.
        product: Product,
        /// Day or immediate.
        validity: Validity,
        /// The session it is for.
        session_date: Date,
    },
    /// A change.
    Modify {
        /// Quantity from now on.
        quantity: Quantity,
        /// Limit from now on.
        price: Option<Price>,
        /// Trigger price from now on.
        trigger_price: Option<Price>,
        /// Type from now on.
        #[serde(rename = "type")]
        order_type: OrderType,
        /// Validity from now on.
        validity: Validity,
    },
    /// A cancellation.
    Cancel,
}

/// New, modify and cancel requests of all accounts after a cursor, for a venue to follow.
///
/// # Errors
/// `Cursor`, `Corrupt`, an entry that cannot be read, and what the log says.
pub async fn venue_requests(log: &dyn EventLog, page: &Page<'_>) -> Result<VenueRequests, Error> {
    let mut readers = readers(page.cursor, log.partitions(Topic::Ledger))?;
    let mut items = Vec::new();
    let mut scanned = 0;
    'pages: for (partition, reader) in (0..).zip(readers.iter_mut()) {
        loop {
            let batch = log.read(Topic::Ledger, partition, reader.offset, SCAN_RECORDS_MAX).await?;
            if batch.is_empty() {
                break;
            }
            for stored in batch {
                if items.len() >= page.limit() || scanned >= SCAN_RECORDS_MAX {
                    break 'pages;
                }
                scanned += 1;
                let headers = &stored.record.headers;
                let verdict = reader.fold(stored.offset, headers).map_err(|corruption| Error::Corrupt {
                    topic: Topic::Ledger,
                    partition,
                    corruption,
                })?;
                if verdict == Verdict::Entry
                    && headers.ce_type == RecordKind::Entry
                    && headers.kinds.contains("_requested")
                {
                    items.extend(requests(partition, &stored)?);
                }
            }
        }
    }
    Ok(VenueRequests { items, next_cursor: cursor(&readers) })
}

fn requests(partition: u32, stored: &Stored) -> Result<Vec<VenueRequest>, Error> {
    let entry = decode(partition, stored)?;
    let asked = entry.events.iter().filter_map(|event| match &event.data {
        EventData::OrderRequested(asked) => Some((
            asked.order_id,
            VenueAsked::New {
                instrument: asked.instrument,
                side: asked.side,
                quantity: asked.quantity,
                order_type: asked.order_type,
                price: asked.price,
                trigger_price: asked.trigger_price,
                disclosed_quantity: asked.disclosed_quantity,
                market_protection: asked.market_protection,
                product: asked.product,
                validity: asked.validity,
                session_date: asked.session_date,
            },
        )),
        EventData::ModificationRequested(asked) => Some((
            asked.order_id,
            VenueAsked::Modify {
                quantity: asked.quantity,
                price: asked.price,
                trigger_price: asked.trigger_price,
                order_type: asked.order_type,
                validity: asked.validity,
            },
        )),
        EventData::CancellationRequested(asked) => Some((asked.order_id, VenueAsked::Cancel)),
        _ => None,
    });
    let request = |(order_id, asked)| VenueRequest {
        partition,
        offset: stored.offset,
        account: entry.account,
        order_id,
        recorded_at: entry.recorded_at,
        asked,
    };
    Ok(asked.map(request).collect())
}

/// A cursor holds each partition's whole reader, so that what is live is known without reading from the start.
fn cursor(readers: &[Reader]) -> String {
    let mut bytes = Vec::new();
    for reader in readers {
        number(&mut bytes, reader.offset);
        number(&mut bytes, reader.term);
        bytes.extend_from_slice(&reader.writer.to_le_bytes());
        number(&mut bytes, reader.last.wrapping_add(1).cast_unsigned());
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

fn readers(cursor: Option<&str>, partitions: u32) -> Result<Vec<Reader>, Error> {
    let Some(cursor) = cursor else { return Ok(vec![Reader::default(); partitions as usize]) };
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| Error::Cursor)?;
    let mut rest = bytes.as_slice();
    let readers: Option<Vec<Reader>> = (0..partitions).map(|_| reader(&mut rest)).collect();
    readers.filter(|_| rest.is_empty()).ok_or(Error::Cursor)
}

fn reader(rest: &mut &[u8]) -> Option<Reader> {
    let (offset, term) = (take(rest)?, take(rest)?);
    let (writer, after) = rest.split_first_chunk()?;
    *rest = after;
    let last = take(rest)?.cast_signed().wrapping_sub(1);
    Some(Reader { offset, term, writer: u128::from_le_bytes(*writer), last })
}
