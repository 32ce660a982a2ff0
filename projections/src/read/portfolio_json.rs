//! A portfolio's answer as bytes, without a serializer between: it is what clients ask most; equal to the serialized answer.

use super::portfolio::{FundRow, PortfolioAnswer, PortfolioRow, ShareRow, Totals};
use crate::{orders::product, page::after_key};
use domain::{
    ids::Folio,
    money::{Money, Nav, Price, Quantity, Units},
};

/// About what one row takes, for the first size of the buffer.
const ROW_BYTES: usize = 320;

impl PortfolioAnswer<'_, '_> {
    /// Writes the answer as JSON, behind what `out` holds.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        out.reserve(ROW_BYTES * (self.rows_max() + 1));
        raw(out, "{\"account\":\"");
        raw(out, self.account().as_str());
        raw(out, "\",\"items\":[");
        let (mut totals, mut written, mut last, mut next) = (Totals::default(), 0, None, None);
        for row in self.rows() {
            totals.add(&row);
            if self.is_before_page(&row) {
                continue;
            }
            if written < self.limit() {
                if written > 0 {
                    out.push(b',');
                }
                written += 1;
                match &row {
                    PortfolioRow::Shares(row) => shares(out, row),
                    PortfolioRow::Fund(row) => fund(out, row),
                }
                last = Some(row);
            } else if next.is_none() {
                next = last.as_ref().map(|last| after_key(&super::portfolio::key(last)));
            }
        }
        raw(out, "],\"next_cursor\":");
        match next {
            // Base64 holds nothing to escape.
            Some(next) => text(out, &next),
            None => raw(out, "null"),
        }
        raw(out, ",\"totals\":{\"cost\":");
        totals.cost.write(out);
        raw(out, ",\"value\":");
        totals.value.write(out);
        raw(out, ",\"unrealised\":");
        totals.unrealised.write(out);
        raw(out, ",\"day_change\":");
        totals.day_change.write(out);
        raw(out, ",\"unpriced\":");
        integer(out, i64::from(totals.unpriced));
        raw(out, "}}");
    }
}

fn shares(out: &mut Vec<u8>, row: &ShareRow<'_>) {
    raw(out, "{\"instrument\":");
    // Ids of instruments and schemes hold neither quotes nor backslashes.
    text(out, row.instrument.as_str());
    raw(out, ",\"product\":");
    text(out, product(row.product));
    raw(out, ",\"quantity\":");
    row.quantity.write(out);
    raw(out, ",\"bought_today\":");
    row.bought_today.write(out);
    raw(out, ",\"t1\":");
    row.t1.write(out);
    raw(out, ",\"settled\":");
    row.settled.write(out);
    raw(out, ",\"cost\":");
    row.cost.write(out);
    raw(out, ",\"average_price\":");
    row.average_price.write(out);
    raw(out, ",\"last_price\":");
    row.last_price.write(out);
    raw(out, ",\"value\":");
    row.value.write(out);
    raw(out, ",\"unrealised\":");
    row.unrealised.write(out);
    raw(out, ",\"day_change\":");
    row.day_change.write(out);
    if !row.unknown_cost_quantity.is_zero() {
        raw(out, ",\"unknown_cost_quantity\":");
        row.unknown_cost_quantity.write(out);
    }
    raw(out, if row.provisional { ",\"provisional\":true}" } else { ",\"provisional\":false}" });
}

fn fund(out: &mut Vec<u8>, row: &FundRow<'_>) {
    raw(out, "{\"scheme\":");
    text(out, row.scheme.as_str());
    raw(out, ",\"folio\":");
    folio(out, row.folio);
    raw(out, ",\"units\":");
    row.units.write(out);
    raw(out, ",\"cost\":");
    row.cost.write(out);
    raw(out, ",\"average_nav\":");
    row.average_nav.write(out);
    raw(out, ",\"nav\":");
    row.nav.write(out);
    raw(out, ",\"nav_date\":");
    match row.nav_date {
        Some(date) => serde_json::to_writer(&mut *out, &date).expect("a buffer takes everything"),
        None => raw(out, "null"),
    }
    raw(out, ",\"value\":");
    row.value.write(out);
    raw(out, ",\"unrealised\":");
    row.unrealised.write(out);
    raw(out, ",\"day_change\":");
    row.day_change.write(out);
    if let Some(units) = row.unknown_cost_units {
        raw(out, ",\"unknown_cost_units\":");
        units.write(out);
    }
    out.push(b'}');
}

/// A figure as it stands in an answer.
trait Figure {
    fn write(&self, out: &mut Vec<u8>);
}

macro_rules! decimal {
    ($($kind:ident),*) => {$(
        impl Figure for $kind {
            fn write(&self, out: &mut Vec<u8>) {
                text(out, self.print(&mut [0; 32]));
            }
        }
    )*};
}
decimal!(Money, Price, Nav, Units);

impl Figure for Quantity {
    fn write(&self, out: &mut Vec<u8>) {
        integer(out, self.shares());
    }
}

impl<F: Figure> Figure for Option<F> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Some(figure) => figure.write(out),
            None => raw(out, "null"),
        }
    }
}

fn raw(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    raw(out, text);
    out.push(b'"');
}

/// A folio is any ASCII text.
fn folio(out: &mut Vec<u8>, folio: &Folio) {
    match folio.as_str() {
        plain if !plain.bytes().any(|byte| byte == b'"' || byte == b'\\') => text(out, plain),
        odd => serde_json::to_writer(out, odd).expect("a buffer takes everything"),
    }
}

fn integer(out: &mut Vec<u8>, value: i64) {
    raw(out, itoa::Buffer::new().format(value));
}
