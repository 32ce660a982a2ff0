//! How the ledger is written down: entries, claims, their codec, older versions, schemas and examples.
//!
//! Knows no log, no offset, no broker and no HTTP; decides nothing and folds nothing.

mod borrowed;
mod canonical;
mod check;
pub mod claim;
mod command;
pub mod entry;
mod error;
mod event;
mod hashes;
pub mod market_entry;
pub mod schema;
pub mod upcast;
mod versioned;
mod write;

pub use check::{check_entry, check_market_entry};
pub use claim::{CLAIM_TYPE, Claim, decode_claim, encode_claim};
pub use command::{By, CommandEnvelope, command_body, decode_command, encode_command, fact_body};
pub use entry::{ENTRY_TYPE, Entry, EntryContext, Happened, Outcome, decode_entry, decode_happened, encode_entry};
pub use error::DecodeError;
pub use event::{decode_event, decode_market_event, encode_event, encode_market_event, kinds, market_kinds};
pub use hashes::{content_hash, key_hash};
pub use market_entry::{MARKET_ENTRY_TYPE, MarketEntry, decode_market_entry, encode_market_entry};
pub use schema::schema_of;
