//! The JSON Schemas of everything stored, embedded; validates nothing itself.
//!
//! Each file under `schemas/` is one version of one shape and is closed. A file is never edited once
//! a release has written what it describes: a change of shape is a new file beside it.

macro_rules! schemas {
    ($($folder:literal $name:literal $version:literal,)*) => {
        /// Folder, name, version and text of every schema of an event's data or a command's body.
        pub const SCHEMAS: &[(&str, &str, u32, &str)] = &[$((
            $folder, $name, $version,
            include_str!(concat!("../schemas/", $folder, "/", $name, ".v", $version, ".json")),
        ),)*];
    };
}

/// Name, version and text of every envelope's schema; they refer to each other by relative path.
pub const ENVELOPES: &[(&str, u32, &str)] = &[
    ("entry", 1, include_str!("../schemas/entry.v1.json")),
    ("market_entry", 1, include_str!("../schemas/market_entry.v1.json")),
    ("claim", 1, include_str!("../schemas/claim.v1.json")),
    ("command", 1, include_str!("../schemas/command.v1.json")),
    ("fact", 1, include_str!("../schemas/fact.v1.json")),
];

/// AsyncAPI 3.0 document of the topics; it refers to the schemas by relative path.
pub const ASYNCAPI: &str = include_str!("../asyncapi.json");

/// The JSON Schema (2020-12) of an event's data, a command's body or an envelope; `None` for what no release wrote.
///
/// Those of data and bodies refer to nothing outside themselves.
pub fn schema_of(name: &str, version: u32) -> Option<&'static str> {
    let payload = SCHEMAS.iter().find(|(_, known, at, _)| *known == name && *at == version);
    let payload = payload.map(|(_, _, _, text)| *text);
    payload
        .or_else(|| ENVELOPES.iter().find(|(known, at, _)| *known == name && *at == version).map(|(_, _, text)| *text))
}

schemas! {
    "events" "account_opened" 1,
    "events" "cancellation_requested" 1,
    "events" "cash_deposited" 0,
    "events" "cash_deposited" 1,
    "events" "cash_posted" 1,
    "events" "cash_withdrawn" 1,
    "events" "command_refused" 1,
    "events" "day_netted" 1,
    "events" "fill_assigned" 1,
    "events" "fill_unmatched" 1,
    "events" "folio_changed" 1,
    "events" "fund_order_rejected" 1,
    "events" "fund_order_sent" 1,
    "events" "fund_purchase_requested" 1,
    "events" "fund_redemption_requested" 1,
    "events" "fund_units_allotted" 1,
    "events" "fund_units_redeemed" 1,
    "events" "modification_requested" 1,
    "events" "order_accepted" 1,
    "events" "order_cancelled" 1,
    "events" "order_expired" 1,
    "events" "order_filled" 1,
    "events" "order_modified" 1,
    "events" "order_rejected" 1,
    "events" "order_requested" 1,
    "events" "order_triggered" 1,
    "events" "position_changed" 1,
    "events" "position_converted" 1,
    "events" "settled" 1,
    "events" "trade_cancelled" 1,
    "events" "trade_imported" 1,
    "events" "units_imported" 1,
    "commands" "assign_fill" 1,
    "commands" "cancel_order" 1,
    "commands" "cancel_trade" 1,
    "commands" "convert_position" 1,
    "commands" "deposit_cash" 1,
    "commands" "expire_order" 1,
    "commands" "import_trade" 1,
    "commands" "import_units" 1,
    "commands" "modify_order" 1,
    "commands" "net_day" 1,
    "commands" "open_account" 1,
    "commands" "place_order" 1,
    "commands" "record_fill" 1,
    "commands" "report_allotment" 1,
    "commands" "report_order" 1,
    "commands" "request_fund_purchase" 1,
    "commands" "request_fund_redemption" 1,
    "commands" "send_fund_order" 1,
    "commands" "settle" 1,
    "commands" "square_off" 1,
    "commands" "withdraw_cash" 1,
    "market_events" "calendar_day_recorded" 1,
    "market_events" "command_refused" 1,
    "market_events" "instrument_listed" 1,
    "market_events" "last_price_recorded" 1,
    "market_events" "nav_recorded" 1,
    "market_events" "price_recorded" 1,
    "market_events" "scheme_listed" 1,
    "facts" "list_instrument" 1,
    "facts" "list_scheme" 1,
    "facts" "record_calendar_day" 1,
    "facts" "record_last_price" 1,
    "facts" "record_nav" 1,
    "facts" "record_price" 1,
}
