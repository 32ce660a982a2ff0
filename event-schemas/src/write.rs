//! JSON written straight into a buffer, in one canonical form: no spaces, fields in the order given; knows no shape.

use domain::time::Timestamp;
use serde::Serialize;

pub(crate) fn raw(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// `value` as JSON.
pub(crate) fn json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("a buffer takes everything, and keys are texts");
}

/// A text in quotes; most hold nothing to escape and are copied whole.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    if text.bytes().any(|b| b < 0x20 || b == b'"' || b == b'\\') {
        json(out, text);
    } else {
        out.push(b'"');
        raw(out, text);
        out.push(b'"');
    }
}

pub(crate) fn text_or_null(out: &mut Vec<u8>, value: Option<&str>) {
    match value {
        Some(value) => text(out, value),
        None => raw(out, "null"),
    }
}

pub(crate) fn number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    raw(out, itoa::Buffer::new().format(number));
}

pub(crate) fn instant(out: &mut Vec<u8>, instant: Timestamp) {
    out.push(b'"');
    raw(out, &instant.text());
    out.push(b'"');
}
