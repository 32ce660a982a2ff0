//! What travels beside a body: the key, the request's id, the position to have reached; knows no route.

use crate::{
    field::{KEY_RULE, is_key},
    problem::Problem,
    state::State,
};
use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::{HeaderMap, HeaderName, HeaderValue, request::Parts},
};
use domain::ids::CommandId;
use projections::Position;
use std::str::FromStr;
use uuid::Uuid;

/// `Idempotency-Key`.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// `Idempotency-Replayed`.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// `X-Request-Id`.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// `Bahi-Position`.
pub const POSITION: HeaderName = HeaderName::from_static("bahi-position");
/// `Bahi-Min-Position`.
pub const MIN_POSITION: HeaderName = HeaderName::from_static("bahi-min-position");

/// The id of this command, which the caller chose.
#[derive(Clone, Copy, Debug)]
pub struct Key(pub CommandId);

impl FromRequestParts<State> for Key {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        let bad = |code, detail| Problem::field(code, "#Idempotency-Key", detail);
        let mut given = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let (Some(only), None) = (given.next(), given.next()) else {
            return Err(bad("idempotency_key_required", "is needed, once: a key that you choose for this command"));
        };
        let text = only.to_str().ok().filter(|text| is_key(text));
        text.and_then(|text| CommandId::new(text).ok()).map(Self).ok_or_else(|| bad("invalid_header", KEY_RULE))
    }
}

/// The request's id and the position it must have reached.
#[derive(Debug)]
pub struct Sent {
    /// As the caller or the edge chose it.
    pub request_id: Option<Box<str>>,
    /// `Bahi-Min-Position`, as given and as read.
    pub min: Option<(Box<str>, Position)>,
    /// The step of a trace that answers it.
    pub traceparent: Option<Box<str>>,
}

/// What the edge tells handlers of the trace that a request is of.
#[derive(Clone, Debug)]
pub struct Traced(pub Box<str>);

impl FromRequestParts<State> for Sent {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        let request_id = parts.headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).map(Into::into);
        let min = match parts.headers.get(MIN_POSITION) {
            None => None,
            Some(given) => {
                let bad = |detail: String| Problem::field("invalid_header", "#Bahi-Min-Position", detail);
                let text = given.to_str().map_err(|_| bad("must be a position as it was given".into()))?;
                let position = Position::from_str(text).map_err(|error| bad(error.to_string()))?;
                Some((text.into(), position))
            }
        };
        let traceparent = parts.extensions.get::<Traced>().map(|Traced(traceparent)| traceparent.clone());
        Ok(Self { request_id, min, traceparent })
    }
}

impl Sent {
    /// The next offset of each market partition that deciding must have reached.
    pub fn min_market(&self) -> Option<Vec<u64>> {
        self.min.as_ref()?.1.wanted_of_market()
    }
}

/// A named part of the address, percent-decoded and parsed; what does not parse names nothing.
///
/// # Errors
/// 400 naming the part.
pub async fn path<T: FromStr<Err: std::fmt::Display>>(
    parts: &mut Parts,
    state: &State,
    name: &str,
) -> Result<T, Problem> {
    let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| crate::caller::bad_path())?;
    let given = params.iter().find(|(given, _)| *given == name).map(|(_, value)| value).unwrap_or_default();
    given.parse().map_err(|error: T::Err| Problem::field("invalid_path", format!("#{name}"), error.to_string()))
}

/// Declares an argument that is a named part of the address.
macro_rules! path_part {
    ($($(#[$doc:meta])* $type:ident($inner:ty) = $name:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $type(pub $inner);
            impl FromRequestParts<State> for $type {
                type Rejection = Problem;
                async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
                    path(parts, state, $name).await.map(Self)
                }
            }
        )*
    };
}

path_part! {
    /// An order.
    OrderPart(domain::ids::OrderId) = "order";
    /// An account's entry.
    SeqPart(u64) = "seq";
    /// An instrument.
    InstrumentPart(domain::ids::InstrumentId) = "id";
    /// A scheme.
    SchemePart(domain::ids::SchemeCode) = "code";
    /// A command's key; keys of list items and of the back office are longer than a caller's.
    KeyPart(CommandId) = "key";
}

/// The caller's id of the request where it is 1 to 64 visible ASCII characters; a fresh one otherwise.
pub fn request_id(headers: &HeaderMap, fresh: &FreshIds, millis: u64) -> HeaderValue {
    match headers.get(REQUEST_ID) {
        Some(given) if given.to_str().is_ok_and(is_key) => given.clone(),
        _ => fresh.next(millis),
    }
}

/// Makes request ids, UUID version 7, without asking the system for random bytes each time.
#[derive(Debug)]
pub struct FreshIds {
    base: u128,
    count: std::sync::atomic::AtomicU64,
}

impl Default for FreshIds {
    fn default() -> Self {
        Self { base: Uuid::new_v4().as_u128(), count: std::sync::atomic::AtomicU64::new(0) }
    }
}

impl FreshIds {
    /// The next one, for an instant in milliseconds since 1970.
    pub fn next(&self, millis: u64) -> HeaderValue {
        let count = self.count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // One random start for the process and a counter: unique without a system call for each request.
        let mixed = self.base.wrapping_add(u128::from(count) << 16).to_be_bytes();
        let random: [u8; 10] = mixed[6..].try_into().expect("16 - 6 bytes");
        let mut text = Uuid::encode_buffer();
        let text =
            uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().hyphenated().encode_lower(&mut text);
        HeaderValue::from_str(text).expect("hex digits and hyphens")
    }
}
