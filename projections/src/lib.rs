//! How the ledger is seen: views as pure folds of entries into rows, kept in memory and asked from there, or in PostgreSQL.
//!
//! Nothing here decides anything, appends to the log, knows HTTP or reads the wall clock. What a view
//! holds can be thrown away at any time and folded again, with the same state hash.
//!
//! ```text
//! log ──► worker ──► Views ──► Reading ──► rows          (now)
//!  ├────► postgres ──► tables ──► rows                   (now, in a cluster; redis beside it)
//!  ├────► past ──► Past ─────► Reading ──► rows          (as of an entry or a time)
//!  ├────► replay ──► Views ──► state hashes              (cold)
//!  └────► events, order_history, venue_requests          (pages of the log itself)
//! ```

pub mod view;

pub mod orders;

pub mod trades;

pub mod portfolio;

pub mod lots;

pub mod pnl;

pub mod cash;

pub mod journal;

pub mod instruments;

pub mod prices;

pub mod navs;

mod account;
mod hash;
pub mod lag;
pub mod left;
mod noted;
mod recent;
mod row;
mod store;

pub mod postgres;

pub mod redis;

mod effective;
mod offsets;
mod older;
mod past;
mod replay;
mod saved;
mod ticks;
mod verify;
mod worker;

mod log_pages;
pub mod page;
pub mod read;

mod error;

pub mod testing;

pub use error::Error;
pub use event_log::position::{self, Position};
pub use hash::StateHashes;
pub use log_pages::{
    EventItem, EventPage, OrderHistory, OrderSpan, VenueRequests, events, history_over, order_history, venue_requests,
};
pub use offsets::offsets;
pub use older::{Listing, OLDER_ENTRIES_MAX, Older, all_older, read_list};
pub use page::{List, Page};
pub use past::{AsOf, Moment, Past, past};
pub use read::{MarketReading, Reading};
pub use replay::{Progress, Replay, Replayed, Until, replay};
pub use saved::Saving;
pub use store::Views;
pub use verify::{Difference, Verified, verify};
pub use view::{Stop, View};
pub use worker::{Worker, follow, follow_market, follow_saved};
