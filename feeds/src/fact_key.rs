//! The command id of a fact from a file, so that the same fact from any file is one command; knows no file format.

use domain::{ids::CommandId, market::Fact, row_key::row_key};
use std::fmt::Display;

/// The key of a fact: a hash of all it says. The same fact in two files has one key; another close
/// for the same day has another, and the market refuses it as a contradiction.
pub fn fact_key(fact: &Fact) -> CommandId {
    let said = match fact {
        Fact::Instrument(f) => {
            let (isin, tick, band, from) = (text(&f.isin), text(&f.tick_size), text(&f.band_percent), text(&f.from));
            let corrects = text(&f.corrects);
            format!("{}|{isin}|{}|{}|{}|{tick}|{band}|{from}|{corrects}", f.instrument, f.symbol, f.exchange, f.series)
        }
        Fact::Price(f) => {
            let (previous, volume, corrects) = (text(&f.previous_close), text(&f.volume), text(&f.corrects));
            let figures = format!("{}|{}|{}|{}", f.open, f.high, f.low, f.close);
            format!("{}|{}|{figures}|{previous}|{volume}|{corrects}", f.instrument, f.date)
        }
        Fact::Last(f) => format!("{}|{}|{}", f.instrument, f.last, f.at),
        Fact::Scheme(f) => {
            let (growth, reinvestment) = (text(&f.isin_growth), text(&f.isin_reinvestment));
            let named = [Some(&f.name), f.amc.as_ref(), f.category.as_ref(), f.plan.as_ref(), f.option.as_ref()];
            let named = named.map(|name| name.map_or_else(String::new, |name| format!("{name:?}"))).join("|");
            format!("{}|{growth}|{reinvestment}|{named}|{}", f.scheme, text(&f.corrects))
        }
        Fact::Nav(f) => format!("{}|{}|{}|{}", f.scheme, f.date, f.nav, text(&f.corrects)),
        Fact::Calendar(f) => {
            let hours = format!("{}|{}", text(&f.open), text(&f.close));
            let (settlement, corrects) = (text(&f.settlement), text(&f.corrects));
            format!("{}|{}|{:?}|{hours}|{settlement}|{corrects}", f.exchange, f.date, f.kind)
        }
    };
    row_key(&format!("{}|{said}", fact.kind()), 1)
}

fn text(figure: &Option<impl Display>) -> String {
    figure.as_ref().map_or_else(String::new, ToString::to_string)
}
