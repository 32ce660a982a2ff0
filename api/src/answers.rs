//! What answers look like, for the OpenAPI document: the rows themselves are written by `projections`.
//!
//! An answer may gain fields; it never loses one within a version. Knows no row's meaning.

use crate::field::{self, Field, Kind, SEQ_MAX, Shape, Text};

/// Where an order stands.
pub const ORDER_STATUSES: &[&str] =
    &["requested", "trigger_pending", "open", "partly_filled", "filled", "cancelled", "rejected", "expired"];
/// Where a fund order stands.
pub const FUND_STATUSES: &[&str] = &["requested", "sent", "allotted", "redeemed", "rejected"];

const COUNT: Kind = Kind::Whole(i64::MIN, i64::MAX);
const PLACE: Kind = Kind::Whole(0, SEQ_MAX);
const MONEY: Kind = Kind::Decimal(field::SIGNED);
const SIDE: Kind = Kind::Name(&["buy", "sell"]);
const TYPE: Kind = Kind::Name(&["market", "limit", "SL", "SL-M"]);
const PRODUCT: Kind = Kind::Name(&["CNC", "MIS"]);
const VALIDITY: Kind = Kind::Name(&["DAY", "IOC"]);
const ANY: Kind = text(field::ANY);
const DATE: Kind = text(field::DATE);
const AT: Kind = text(field::INSTANT);
const INSTRUMENT: Kind = text(field::INSTRUMENT);
const SCHEME: Kind = text(field::SCHEME);
const FOLIO: Kind = text(field::FOLIO);

const fn text(text: &'static Text) -> Kind {
    Kind::Text(text)
}
/// There, and never null.
const fn is(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field::needed(name, kind, about)
}
/// Null or absent where it is not known.
const fn may(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field::may(name, kind, about)
}

/// Declares answers: objects, and pages of them.
macro_rules! answers {
    ($($(#[doc = $doc:literal])* $name:ident { $($field:expr,)* })*) => {
        $(
            $(#[doc = $doc])*
            pub struct $name;
            impl $name {
                const SHAPE: &'static Shape =
                    &Shape { name: stringify!($name), about: concat!($($doc),*).trim_ascii(), fields: &[$($field,)*] };
            }
            impl utoipa::PartialSchema for $name {
                fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> { Self::SHAPE.answer_schema() }
            }
            impl utoipa::ToSchema for $name {}
        )*
    };
}
const fn rows(shape: &'static Shape) -> Field {
    is("items", Kind::Rows(shape), "The items")
}
const NEXT: Field = may("next_cursor", text(field::CURSOR), "Asks for the items after these; null at the end");
const ACCOUNT: Field = is("account", text(field::ACCOUNT), "Whose");

answers! {
    /// An account.
    Account {
        ACCOUNT, may("opened_at", AT, "Since when it is open; null while only facts about it are recorded"),
        is("entries", COUNT, "Entries so far"), is("open_orders", COUNT, "Orders that are not closed"),
    }
    /// What waits for the venue's answer.
    Waiting {
        is("request", Kind::Name(&["modification", "cancellation"]), "What was asked"),
        may("quantity", COUNT, "Quantity if granted"), may("price", MONEY, "Limit if granted"),
        may("trigger_price", MONEY, "Trigger price if granted"),
        may("type", TYPE, "Type if granted"), may("validity", VALIDITY, "Validity if granted"),
    }
    /// An order.
    Order {
        is("order_id", text(field::ORDER), "Its id"), is("status", Kind::Name(ORDER_STATUSES), "Where it stands"),
        is("instrument", INSTRUMENT, "What it trades"), is("side", SIDE, "Buy or sell"),
        is("quantity", COUNT, "Shares asked for: filled, pending and cancelled"), is("filled", COUNT, "Shares filled"),
        is("pending", COUNT, "Shares that may still trade"), is("cancelled", COUNT, "Shares that will not trade"),
        is("type", TYPE, "How the price is set"), may("price", MONEY, "The limit"),
        may("trigger_price", MONEY, "From which price on it stands"), may("disclosed_quantity", COUNT, "Shown at a time"),
        may("market_protection", MONEY, "How far an order at market may trade, in percent"),
        may("average_price", MONEY, "Of what is filled"), is("product", PRODUCT, "Delivery or intraday"),
        is("validity", VALIDITY, "Day or immediate"), is("session_date", DATE, "Its session"),
        is("blocked", MONEY, "Cash blocked: a purchase, or margin"), is("blocked_quantity", COUNT, "Shares blocked for a sale"),
        is("modifications", COUNT, "Modifications asked for"),
        may("waiting", Kind::Part(Waiting::SHAPE), "What waits for the venue"),
        may("exchange_order_id", ANY, "The venue's number"), may("tag", ANY, "The client's mark"),
        may("algo_id", ANY, "The algorithm that placed it"), may("reason", ANY, "The venue's words"),
        is("requested_at", AT, "When it was asked for"), is("updated_at", AT, "When something last happened to it"),
    }
    /// A page of orders.
    Orders { rows(Order::SHAPE), NEXT, }
    /// What happened to an order.
    HistoryItem {
        is("offset", PLACE, "The entry that holds it"), is("seq", PLACE, "That entry's number in the account"),
        is("recorded_at", AT, "When it was recorded"), is("effective_at", AT, "When it happened"),
        is("type", ANY, "The event's type"), is("data", Kind::Free, "The event, as stored"),
    }
    /// An order's history, the oldest first.
    History { rows(HistoryItem::SHAPE), }
    /// A trade.
    Trade {
        is("seq", PLACE, "The entry that recorded it; an operator assigns an unmatched one by it"),
        may("trade_id", ANY, "The exchange's number"), may("order_id", text(field::ORDER), "The order it filled, or named"),
        is("origin", Kind::Name(&["order", "imported", "unmatched"]), "Where it comes from"),
        may("detail", ANY, "Of imported ones the kind, of unmatched ones why"), may("instrument", INSTRUMENT, "What traded"),
        may("side", SIDE, "Bought or sold"), may("exchange", text(field::EXCHANGE), "Where"), is("quantity", COUNT, "Shares"),
        may("price", MONEY, "At what price"), may("value", MONEY, "Price times quantity"),
        is("executed_at", AT, "When"), is("trade_date", DATE, "The day of that in India"),
        may("settlement_date", DATE, "When it settles"), may("product", PRODUCT, "Delivery or intraday"),
        may("flag", Kind::Name(&["outside_band", "in_future", "before_request"]), "What is odd about it"),
        is("cancelled", Kind::Flag, "Whether the exchange has cancelled it"),
    }
    /// A page of trades.
    Trades { rows(Trade::SHAPE), NEXT, }
    /// Shares of one instrument by how far they are settled.
    Position {
        is("instrument", INSTRUMENT, "Of what"), is("product", PRODUCT, "Delivery or intraday"),
        is("quantity", COUNT, "All three parts; sold and not bought intraday below zero"),
        is("bought_today", COUNT, "Bought on a day that is not netted yet"), is("t1", COUNT, "Bought, netted, not settled"),
        is("settled", COUNT, "Settled"), is("blocked", COUNT, "Held for pending sales"),
        is("day_bought", COUNT, "Bought on days not netted yet"), is("day_bought_value", MONEY, "What that cost"),
        is("day_sold", COUNT, "Sold on days not netted yet"), is("day_sold_value", MONEY, "What that brought"),
        may("last_price", MONEY, "The last price known"),
    }
    /// A page of positions.
    Positions { rows(Position::SHAPE), NEXT, }
    /// Shares held, or on their way.
    Holding {
        is("instrument", INSTRUMENT, "Of what"), is("quantity", COUNT, "Settled and T1"), is("settled", COUNT, "Settled"),
        is("t1", COUNT, "Bought, netted, not settled"), may("average_price", MONEY, "Average cost"),
        may("last_price", MONEY, "The last price known"), may("value", MONEY, "Quantity at that price"),
    }
    /// A page of holdings.
    Holdings { rows(Holding::SHAPE), NEXT, }
    /// A fund order.
    FundOrder {
        is("fund_order_id", text(field::FUND_ORDER), "Its id"),
        is("kind", Kind::Name(&["purchase", "redemption"]), "Purchase or redemption"),
        is("status", Kind::Name(FUND_STATUSES), "Where it stands"), is("scheme", SCHEME, "Which scheme"),
        may("folio", FOLIO, "Which folio"), may("amount", MONEY, "Rupees asked for"), may("asked_units", MONEY, "Units asked for"),
        is("all", Kind::Flag, "Whether everything is to be redeemed"), is("blocked_units", MONEY, "Units blocked"),
        may("units", MONEY, "Units allotted or redeemed"), may("nav", MONEY, "The NAV that applied"),
        may("nav_date", DATE, "Its date"), may("stamp_duty", MONEY, "Stamp duty"), may("payout", MONEY, "What a redemption pays"),
        may("pays_on", DATE, "When it pays"), is("mismatch", Kind::Flag, "Whether the registrar's answer is not as it should be"),
        may("reason", ANY, "The registrar's words"), is("requested_at", AT, "When it was asked for"),
        is("updated_at", AT, "When something last happened to it"),
    }
    /// A page of fund orders.
    FundOrders { rows(FundOrder::SHAPE), NEXT, }
    /// Shares of an instrument, or units of a scheme in a folio.
    PortfolioRow {
        may("instrument", INSTRUMENT, "Of what: shares"), may("scheme", SCHEME, "Of what: units"), may("folio", FOLIO, "In which folio"),
        may("product", PRODUCT, "Of shares: delivery or intraday"),
        may("quantity", COUNT, "Bought today, T1 and settled"), may("bought_today", COUNT, "Bought, not netted"),
        may("t1", COUNT, "Bought, netted, not settled"), may("settled", COUNT, "Settled"), may("units", MONEY, "Units"),
        is("cost", MONEY, "What they cost"), may("average_price", MONEY, "Of that, a share"),
        may("average_nav", MONEY, "Of that, a unit"), may("last_price", MONEY, "The last price known"),
        may("nav", MONEY, "The latest NAV"), may("nav_date", DATE, "Its day"), may("value", MONEY, "At that price"),
        may("unrealised", MONEY, "Value less cost"), may("day_change", MONEY, "Against the day before"),
        may("unknown_cost_quantity", COUNT, "Shares whose cost is not known"),
        may("unknown_cost_units", MONEY, "Units whose cost is not known"),
        may("provisional", Kind::Flag, "The cost may still change with the day's netting"),
    }
    /// Sums over all rows whose figure is known.
    Totals {
        is("cost", MONEY, "Cost"), is("value", MONEY, "Value"), is("unrealised", MONEY, "Unrealised gain"),
        is("day_change", MONEY, "Change against the day before"), is("unpriced", COUNT, "Rows without a price"),
    }
    /// A portfolio.
    Portfolio { ACCOUNT, rows(PortfolioRow::SHAPE), NEXT, is("totals", Kind::Part(Totals::SHAPE), "Over all pages"), }
    /// Profit and loss of an instrument, or of a folio.
    PnlRow {
        may("instrument", INSTRUMENT, "Which instrument"), may("scheme", SCHEME, "Which scheme"), may("folio", FOLIO, "In which folio"),
        may("quantity", COUNT, "Shares held"), may("units", MONEY, "Units held"), is("bought", MONEY, "Bought so far"),
        is("sold", MONEY, "Sold so far"), is("realised", MONEY, "Realised"), is("intraday", MONEY, "Of that, within a day"),
        is("delivery", MONEY, "Of that, by delivery"), is("provisional", MONEY, "Gained on days not netted yet"),
        is("is_provisional", Kind::Flag, "Whether such a day has a sale"), is("cost", MONEY, "Cost of what is held"),
        may("unrealised", MONEY, "Value less that cost"), is("unknown_cost_proceeds", MONEY, "Of sales whose cost is not known"),
        is("unknown_price_cost", MONEY, "Of sales whose price is not known"),
    }
    /// An account's profit and loss.
    Pnl {
        ACCOUNT, is("realised", MONEY, "Over all rows"), is("provisional", MONEY, "Over all rows"),
        is("unrealised", MONEY, "Over all rows with a price"), rows(PnlRow::SHAPE), NEXT,
    }
    /// What comes or goes on a settlement date.
    Due { is("date", DATE, "When"), is("amount", MONEY, "How much"), }
    /// What comes in on a settlement date.
    Receivable {
        is("date", DATE, "When"), is("amount", MONEY, "How much"), is("usable", MONEY, "The part that new orders may use now"),
    }
    /// What holds blocked cash.
    BlockedFor {
        is("orders", MONEY, "Pending orders"), is("positions", MONEY, "Open intraday positions"),
        is("funds", MONEY, "Fund purchases that are not sent"),
    }
    /// A part of an account's cash that is below zero, and what that refuses.
    Shortfall {
        is("part", Kind::Name(&["settled", "available", "withdrawable"]), "Which part"),
        is("short", MONEY, "By how much it is below zero"),
        is("refused", Kind::Free, "What is refused until it is made up: `purchases`, `fund_purchases`, `withdrawals`"),
    }
    /// An account's rupees.
    Cash {
        ACCOUNT, is("settled", MONEY, "Ours now"), is("receivable", Kind::Rows(Receivable::SHAPE), "Comes"),
        is("payable", Kind::Rows(Due::SHAPE), "Goes"), is("blocked", MONEY, "Held for orders and fund purchases"),
        is("blocked_for", Kind::Part(BlockedFor::SHAPE), "What of it is held for which"),
        is("available", MONEY, "What new orders may use: withdrawable and the usable part of what comes"),
        is("withdrawable", MONEY, "What may leave: settled less everything payable less blocked"),
        is("shortfalls", Kind::Rows(Shortfall::SHAPE), "What is below zero; empty when nothing is"),
    }
    /// An entry as it is stored, byte for byte.
    Event { is("offset", PLACE, "Where, in the account's partition"), is("entry", Kind::Free, "The entry"), }
    /// A page of an account's entries, the oldest first.
    Events { rows(Event::SHAPE), NEXT, }
    /// An instrument.
    Instrument {
        is("instrument", INSTRUMENT, "Its id"), may("isin", text(field::ISIN), "Its ISIN"), is("symbol", text(field::SYMBOL), "Its symbol"),
        is("exchange", text(field::EXCHANGE), "Where it trades"), is("series", text(field::SERIES), "In which series"),
        may("tick_size", MONEY, "The smallest step of its price"), may("band_percent", MONEY, "How far it may trade"),
        may("last_price", MONEY, "The last price known"), may("last_at", AT, "When it traded; null for a day's close"),
        may("previous_close", MONEY, "The close before that"),
    }
    /// A page of instruments.
    Instruments { rows(Instrument::SHAPE), NEXT, }
    /// A day's prices.
    Price {
        is("date", DATE, "The day"), is("open", MONEY, "First"), is("high", MONEY, "Highest"), is("low", MONEY, "Lowest"),
        is("close", MONEY, "Official close"), may("previous_close", MONEY, "As the exchange gave it"), may("volume", COUNT, "Shares traded"),
    }
    /// A page of prices, the latest first.
    Prices { rows(Price::SHAPE), NEXT, }
    /// A fund scheme.
    Scheme {
        is("scheme", SCHEME, "AMFI's code"), is("name", ANY, "Its name"), may("isin_growth", text(field::ISIN), "ISIN of growth"),
        may("isin_reinvestment", text(field::ISIN), "ISIN of reinvestment"), may("amc", ANY, "The fund house"),
        may("category", ANY, "AMFI's category"), may("plan", ANY, "Direct or regular"), may("option", ANY, "Growth or IDCW"),
        may("nav", MONEY, "The latest NAV"), may("nav_date", DATE, "Its day"),
    }
    /// A page of schemes.
    Schemes { rows(Scheme::SHAPE), NEXT, }
    /// A day's NAV.
    Nav { is("date", DATE, "The day"), is("nav", MONEY, "Rupees a unit"), }
    /// A page of NAVs, the latest first.
    Navs { rows(Nav::SHAPE), NEXT, }
    /// A recorded calendar day.
    CalendarDay {
        is("exchange", text(field::EXCHANGE), "Whose"), is("date", DATE, "The day"),
        is("kind", Kind::Name(&["holiday", "session"]), "Closed or open"), may("open", text(field::TIME_OF_DAY), "From when"),
        may("close", text(field::TIME_OF_DAY), "To when"), may("settlement", Kind::Flag, "Whether cash and shares settle"),
    }
    /// A page of calendar days.
    Calendar { rows(CalendarDay::SHAPE), NEXT, }
    /// What a client asks of the venue.
    Request {
        is("partition", PLACE, "In which partition"), is("offset", PLACE, "At which entry"), ACCOUNT,
        is("order_id", text(field::ORDER), "Which order"), is("recorded_at", AT, "When it was recorded"),
        is("request", Kind::Name(&["new", "modify", "cancel"]), "What is asked"), may("instrument", INSTRUMENT, "What to trade"),
        may("side", SIDE, "Buy or sell"), may("quantity", COUNT, "Shares"), may("type", TYPE, "How the price is set"),
        may("price", MONEY, "The limit"), may("trigger_price", MONEY, "From which price on it stands"),
        may("disclosed_quantity", COUNT, "Shown at a time"), may("market_protection", MONEY, "In percent"),
        may("product", PRODUCT, "Delivery or intraday"),
        may("validity", VALIDITY, "Day or immediate"), may("session_date", DATE, "The session it is for"),
    }
    /// A page of requests in log order.
    Requests { rows(Request::SHAPE), NEXT, }
    /// A view that stopped.
    Stopped { is("view", ANY, "Which"), is("partition", PLACE, "Where"), is("offset", PLACE, "At which entry"), }
    /// The state hash of every view, by its name.
    State {
        is("position", text(field::POSITION), "How far everything is folded"),
        is("views", Kind::Free, "SHA-256 in hex over each view's rows"),
        is("stopped", Kind::Rows(Stopped::SHAPE), "Views whose hash says nothing"),
    }
}
