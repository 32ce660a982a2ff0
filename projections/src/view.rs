//! The names of all views, and where one stopped; knows no row.

use event_log::Topic;

macro_rules! views {
    ($($(#[$doc:meta])* $variant:ident = $name:literal of $topic:ident,)*) => {
        /// A view.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum View { $($(#[$doc])* $variant,)* }

        impl View {
            /// Every view, in the order of their hashes.
            pub const ALL: &[View] = &[$(Self::$variant,)*];
            /// Its name.
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)* } }
            /// The topic it folds.
            pub const fn topic(self) -> Topic { match self { $(Self::$variant => Topic::$topic,)* } }
        }
    };
}

views! {
    /// Orders and fund orders, open and closed.
    Orders = "orders" of Ledger,
    /// Trades: of orders, imported, and unmatched ones until they are assigned.
    Trades = "trades" of Ledger,
    /// Shares by instrument and units by folio, and since when the account is open.
    Portfolio = "portfolio" of Ledger,
    /// Lots with their cost, and realised gains, first in first out.
    Pnl = "pnl" of Ledger,
    /// Rupees.
    Cash = "cash" of Ledger,
    /// Every entry of an account, counted and chained.
    Journal = "journal" of Ledger,
    /// Instruments and the trading calendar.
    Instruments = "instruments" of Market,
    /// Prices by day, and live ones.
    Prices = "prices" of Market,
    /// Fund schemes and their NAVs by day.
    Navs = "navs" of Market,
}

/// A view that stopped in one partition; it goes on in others, and so do other views here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Which view.
    pub view: View,
    /// Of which partition of its topic.
    pub partition: u32,
    /// The entry it could not fold.
    pub offset: u64,
    /// In words.
    pub reason: Box<str>,
}

impl From<Stop> for crate::Error {
    fn from(stop: Stop) -> Self {
        let Stop { view, partition, offset, reason } = stop;
        Self::Stopped { view, topic: view.topic(), partition, offset, reason }
    }
}

/// A set of views, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ViewSet(u16);

impl ViewSet {
    /// Every view.
    pub(crate) fn all() -> Self {
        View::ALL.iter().copied().collect()
    }
    /// Every other view.
    pub(crate) fn others(self) -> Self {
        View::ALL.iter().copied().filter(|view| !self.contains(*view)).collect()
    }
    /// Those in it, in the order of their hashes.
    pub(crate) fn iter(self) -> impl Iterator<Item = View> {
        View::ALL.iter().copied().filter(move |view| self.contains(*view))
    }
    pub(crate) fn insert(&mut self, view: View) {
        self.0 |= 1 << view as u16;
    }
    pub(crate) fn contains(self, view: View) -> bool {
        self.0 & (1 << view as u16) != 0
    }
}

impl FromIterator<View> for ViewSet {
    fn from_iter<I: IntoIterator<Item = View>>(views: I) -> Self {
        let mut set = Self::default();
        views.into_iter().for_each(|view| set.insert(view));
        set
    }
}
