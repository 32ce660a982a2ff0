//! Which instrument a row of an exchange's file is about, and what is known of it so far; decides nothing about orders.

use domain::{
    ids::{Exchange, InstrumentId, Isin, ParseIdError, SchemeCode, Series, Symbol},
    market::{Instrument, Scheme},
};
use std::collections::HashMap;

/// NSE's series of fully paid shares: they share one order book's symbol and one ISIN, and a
/// company moves between them (EQ to BE and back under surveillance, SM to EQ on leaving the SME
/// platform) without its shares becoming others.
const SHARE_SERIES: [&str; 6] = ["EQ", "BE", "BZ", "SM", "ST", "SZ"];

/// The id of what trades under a symbol and series.
///
/// `NSE:RELIANCE` for shares, whichever share series they are in today. Any other series of NSE
/// (bonds N1, partly paid E1, preference P1, funds MF, government GS and GB, T+0 settlement T0) is
/// another security under the same symbol, or the same one in another book: `NSE:IRFC-N1`. On other
/// exchanges the series is a group that says nothing about the security.
///
/// # Errors
/// When symbol and series together are too long for an id.
pub fn instrument_id(exchange: Exchange, symbol: Symbol, series: Option<Series>) -> Result<InstrumentId, ParseIdError> {
    match series {
        Some(series) if exchange.as_str() == "NSE" && !SHARE_SERIES.contains(&series.as_str()) => {
            InstrumentId::new(&format!("{exchange}:{symbol}-{series}"))
        }
        _ => InstrumentId::new(&format!("{exchange}:{symbol}")),
    }
}

/// What is known of instruments and schemes, so that a file's row lists one only when it says something new.
///
/// Holds one small row for each instrument and scheme seen; NSE lists about 3,500, AMFI 14,000.
#[derive(Clone, Debug, Default)]
pub struct Known {
    instruments: HashMap<InstrumentId, (Series, Option<Isin>)>,
    schemes: HashMap<SchemeCode, Scheme>,
}

impl Known {
    /// Takes note of a listing that is recorded already.
    pub fn remember_instrument(&mut self, listing: &Instrument) {
        self.instruments.insert(listing.instrument, (listing.series, listing.isin));
    }
    /// Takes note of a scheme that is recorded already.
    pub fn remember_scheme(&mut self, scheme: &Scheme) {
        self.schemes.insert(scheme.scheme, Scheme { corrects: None, ..scheme.clone() });
    }
    /// Whether a listing says something new, which is known from then on. A file without ISINs says nothing about them.
    pub fn is_news(&mut self, listing: &Instrument) -> bool {
        let known = self.instruments.get(&listing.instrument).copied();
        let isin = listing.isin.or(known.and_then(|(_, isin)| isin));
        let now = (listing.series, isin);
        self.instruments.insert(listing.instrument, now);
        known != Some(now)
    }
    /// Whether a scheme says something new, which is known from then on.
    pub fn is_new_scheme(&mut self, scheme: &Scheme) -> bool {
        match self.schemes.get(&scheme.scheme) {
            Some(known) if known == scheme => false,
            _ => self.schemes.insert(scheme.scheme, scheme.clone()).as_ref() != Some(scheme),
        }
    }
}
