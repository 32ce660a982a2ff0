//! A fund order from request to allotment or rejection, and the folios it fills; knows no registrar and picks no NAV.

use crate::{
    ids::{Folio, FundOrderId, SchemeCode},
    money::{Money, Nav, Units},
    time::{Date, Timestamp},
};
use serde::{Deserialize, Serialize};

/// A purchase was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurchaseRequested {
    /// Its id.
    pub fund_order_id: FundOrderId,
    /// Into which scheme.
    pub scheme: SchemeCode,
    /// Into which folio; absent for a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folio: Option<Folio>,
    /// How much, blocked until it is sent.
    pub amount: Money,
}

/// How much to redeem.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Redeem {
    /// So many units.
    Units(Units),
    /// Units worth this amount at the NAV that will apply.
    Amount(Money),
    /// Everything in the folio that is not blocked.
    All(bool),
}

/// A redemption was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedemptionRequested {
    /// Its id.
    pub fund_order_id: FundOrderId,
    /// From which scheme.
    pub scheme: SchemeCode,
    /// From which folio.
    pub folio: Folio,
    /// What was asked.
    pub redeem: Redeem,
    /// Units blocked until the registrar answers (for an amount: its worth at the last NAV plus 5%, rounded up, at most what is free).
    pub blocked: Units,
}

/// The order went to the registrar; a purchase's amount is debited.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// The order.
    pub fund_order_id: FundOrderId,
}

/// What in an allotment is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mismatch {
    /// Units differ by more than 0.001 from (amount - stamp duty) / NAV, of a redemption from what is paid out / NAV.
    Units,
    /// The NAV is not the published one of its date.
    Nav,
    /// The redeemed units are more than the folio held.
    BeyondHolding,
    /// The registrar named another folio than the redemption, which is redeemed from its own all the same.
    Folio,
}

/// Units were allotted for a purchase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allotted {
    /// The order.
    pub fund_order_id: FundOrderId,
    /// The scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<SchemeCode>,
    /// The folio.
    pub folio: Folio,
    /// The NAV's date.
    pub nav_date: Date,
    /// The NAV.
    pub nav: Nav,
    /// Units allotted, as reported.
    pub units: Units,
    /// What was paid; absent where the order is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// Stamp duty within the amount (0.005% from 1 July 2020), as reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp_duty: Option<Money>,
    /// What is not as it should be; absent when all is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mismatch: Vec<Mismatch>,
    /// Whether the report fitted the order's state; one that did not is recorded without effect.
    pub applied: bool,
}

/// Units were redeemed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redeemed {
    /// The order.
    pub fund_order_id: FundOrderId,
    /// The scheme.
    pub scheme: SchemeCode,
    /// The folio.
    pub folio: Folio,
    /// The NAV's date.
    pub nav_date: Date,
    /// The NAV.
    pub nav: Nav,
    /// Units redeemed, as reported.
    pub units: Units,
    /// What is paid out.
    pub amount: Money,
    /// When it is paid.
    pub pays_on: Date,
    /// What is not as it should be; absent when all is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mismatch: Vec<Mismatch>,
    /// Whether the report fitted the order's state.
    pub applied: bool,
}

/// The registrar refused the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rejected {
    /// The order.
    pub fund_order_id: FundOrderId,
    /// The registrar's words.
    pub reason: Box<str>,
    /// Whether the report fitted the order's state.
    pub applied: bool,
}

/// Units moved because of the event before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolioChanged {
    /// Of which scheme.
    pub scheme: SchemeCode,
    /// In which folio.
    pub folio: Folio,
    /// By how much, signed.
    pub moved: Units,
    /// Units after.
    pub units: Units,
}

/// Where a fund order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Recorded here, money or units blocked.
    Requested,
    /// At the registrar; a purchase's money is gone.
    Sent,
    /// Units came.
    Allotted,
    /// Units went, money comes.
    Redeemed,
    /// Refused by the registrar.
    Rejected,
}

impl Status {
    /// The registrar has answered.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Allotted | Self::Redeemed | Self::Rejected)
    }
    /// The shown name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Sent => "sent",
            Self::Allotted => "allotted",
            Self::Redeemed => "redeemed",
            Self::Rejected => "rejected",
        }
    }
}

/// What a fund order asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Asked {
    /// Rupees in.
    Purchase {
        /// How much.
        amount: Money,
        /// Into which folio, if one was named.
        folio: Option<Folio>,
    },
    /// Units out.
    Redemption {
        /// From which folio.
        folio: Folio,
        /// How much.
        redeem: Redeem,
        /// Units blocked.
        blocked: Units,
    },
}

/// A fund order as deciding must remember it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FundOrder {
    /// Which scheme.
    pub scheme: SchemeCode,
    /// Purchase or redemption.
    pub asked: Asked,
    /// Where it stands.
    pub status: Status,
    /// When it was asked for: no unit of it exists before.
    pub asked_at: Timestamp,
}

/// A folio as deciding must remember it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Holding {
    /// Units in it.
    pub units: Units,
    /// Units blocked for pending redemptions.
    pub blocked: Units,
}

/// Asks for a purchase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purchase {
    /// Into which scheme.
    pub scheme: SchemeCode,
    /// How much.
    pub amount: Money,
    /// Into which folio; absent or null for a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folio: Option<Folio>,
}

/// Asks for a redemption; exactly one of `units`, `amount` and `all`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redemption {
    /// From which scheme.
    pub scheme: SchemeCode,
    /// From which folio.
    pub folio: Folio,
    /// So many units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<Units>,
    /// Units worth this amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// Everything free in the folio; only `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
}

/// Sends a fund order to the registrar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Send {
    /// The order.
    pub fund_order_id: FundOrderId,
}

/// The registrar's allotment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allotment {
    /// The folio.
    pub folio: Folio,
    /// The NAV's date.
    pub nav_date: Date,
    /// The NAV.
    pub nav: Nav,
    /// Units allotted or redeemed.
    pub units: Units,
    /// Stamp duty within a purchase's amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp_duty: Option<Money>,
    /// For a redemption: what is paid out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// For a redemption: when it is paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pays_on: Option<Date>,
}

/// The registrar's answer to a fund order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportAllotment {
    /// The order.
    pub fund_order_id: FundOrderId,
    /// Units, or why none.
    pub answer: Answer,
}

/// Units, or why none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// Units allotted or redeemed.
    Allotted(Allotment),
    /// Refused, with the registrar's words, at most 200 characters.
    Rejected(Box<str>),
}
