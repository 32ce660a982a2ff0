//! Everything an account can be asked or told, as one list; knows neither envelope nor JSON.

use crate::{account, cash, fund, history, intraday, order, position};

macro_rules! commands {
    ($($(#[$doc:meta])* $variant:ident($payload:ty) = $name:literal v $version:literal,)*) => {
        /// What is asked or told.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Command { $($(#[$doc])* $variant($payload),)* }

        impl Command {
            /// Name and current version of every command kind.
            pub const KINDS: &[(&'static str, u32)] = &[$(($name, $version),)*];
            /// The stored name.
            pub fn kind(&self) -> &'static str { match self { $(Self::$variant(_) => $name,)* } }
            /// The version written now.
            pub fn version(&self) -> u32 { match self { $(Self::$variant(_) => $version,)* } }
            /// Writes the body alone.
            ///
            /// # Errors
            /// Whatever the serializer says.
            pub fn serialize_body<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$variant(body) => serde::Serialize::serialize(body, serializer),)* }
            }
            /// Reads the body of a kind in its current version; `None` for a name that is not in the list.
            ///
            /// # Errors
            /// Whatever the deserializer says, within `Some`.
            pub fn deserialize_body<'de, D: serde::Deserializer<'de>>(kind: &str, deserializer: D) -> Option<Result<Self, D::Error>> {
                match kind {
                    $($name => Some(<$payload as serde::Deserialize>::deserialize(deserializer).map(Self::$variant)),)*
                    _ => None,
                }
            }
        }
        $(impl From<$payload> for Command { fn from(body: $payload) -> Self { Self::$variant(body) } })*
    };
}

commands! {
    /// Opens the account.
    OpenAccount(account::Open) = "open_account" v 1,
    /// Records cash that came in.
    DepositCash(cash::Deposit) = "deposit_cash" v 1,
    /// Pays out.
    WithdrawCash(cash::Withdraw) = "withdraw_cash" v 1,
    /// Asks for an order.
    PlaceOrder(order::Place) = "place_order" v 1,
    /// Asks for a change.
    ModifyOrder(order::Modify) = "modify_order" v 1,
    /// Asks to cancel.
    CancelOrder(order::Cancel) = "cancel_order" v 1,
    /// A venue's report.
    ReportOrder(order::Report) = "report_order" v 1,
    /// A venue's trade.
    RecordFill(order::Fill) = "record_fill" v 1,
    /// Assigns an unmatched trade.
    AssignFill(order::Assign) = "assign_fill" v 1,
    /// The exchange cancels a trade.
    CancelTrade(order::CancelTrade) = "cancel_trade" v 1,
    /// Ends an order with its session.
    ExpireOrder(order::Expire) = "expire_order" v 1,
    /// Closes an intraday position shortly before its session ends.
    SquareOff(intraday::SquareOff) = "square_off" v 1,
    /// Makes delivery of an intraday position.
    ConvertPosition(intraday::Convert) = "convert_position" v 1,
    /// Nets a day.
    NetDay(position::NetDay) = "net_day" v 1,
    /// Settles a date.
    Settle(position::Settle) = "settle" v 1,
    /// Asks for a fund purchase.
    RequestFundPurchase(fund::Purchase) = "request_fund_purchase" v 1,
    /// Asks for a fund redemption.
    RequestFundRedemption(fund::Redemption) = "request_fund_redemption" v 1,
    /// Sends a fund order to the registrar.
    SendFundOrder(fund::Send) = "send_fund_order" v 1,
    /// The registrar's answer.
    ReportAllotment(fund::ReportAllotment) = "report_allotment" v 1,
    /// Imports a trade.
    ImportTrade(history::ImportTrade) = "import_trade" v 1,
    /// Imports fund units.
    ImportUnits(history::ImportUnits) = "import_units" v 1,
}

/// Who may submit a command; with the account it scopes the command's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Submitter {
    /// The account's holder or an app of theirs.
    Client,
    /// The broker's staff.
    Operator,
    /// An exchange, a registrar, or what simulates them.
    Venue,
    /// The back office.
    System,
    /// Imported history.
    Import,
}

impl Submitter {
    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Operator => "operator",
            Self::Venue => "venue",
            Self::System => "system",
            Self::Import => "import",
        }
    }
}
