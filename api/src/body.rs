//! Reading bodies: bounded, JSON only, straight into typed values; when that fails, every bad field is named.
//!
//! It knows no route and no field's meaning.

use crate::{
    field::{self, Shape},
    problem::{Fault, Problem},
    state::State,
};
use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};
use std::{marker::PhantomData, time::Duration};
use utoipa::openapi::{
    ArrayBuilder, ObjectBuilder, RefOr, Schema,
    schema::{AdditionalProperties, Type},
};

/// The largest body of one thing.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// The largest body of a list: 1,000 items of 2,000 bytes.
pub const LIST_BODY_BYTES_MAX: usize = 2 << 20;
/// Most items of a list: one hand-over to the writer.
pub const ITEMS_MAX: usize = 1_000;
/// How long a body may take to arrive: a slower caller holds a connection, not a handler.
pub const BODY_WAIT_MS: u64 = 10_000;
/// Most bytes of a refused body that are read and thrown away before the refusal is sent.
const LEFTOVER_BYTES_MAX: u64 = 8 << 20;
/// How long that may take.
const LEFTOVER_WAIT_MS: u64 = 1_000;

/// A body that is read straight into a typed value and explained by a table.
pub trait Body: DeserializeOwned + Send {
    /// Its fields.
    const SHAPE: &'static Shape;
    /// Whether the limits hold that the type itself does not keep; the table says the same in words.
    fn fits(&self) -> bool;
}

/// One thing as JSON.
pub struct Json<T>(pub T);

impl<T: Body> FromRequest<State> for Json<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &State) -> Result<Self, Problem> {
        parse(&read(request, BODY_BYTES_MAX).await?).map(Self)
    }
}

/// `{"<name>":[...]}` with 1 to 1000 items, each its own value or problem; `L` names the list.
pub struct Items<L: List, T>(pub Vec<Result<T, Problem>>, pub PhantomData<L>);

/// The name of a list's field.
pub trait List {
    /// The name.
    const NAME: &'static str;
}

impl<L: List + Send, T: Body> FromRequest<State> for Items<L, T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &State) -> Result<Self, Problem> {
        let bytes = read(request, LIST_BODY_BYTES_MAX).await?;
        let items = items_of(&bytes, L::NAME)?;
        let parse =
            |(index, item): (usize, &&RawValue)| parse_at(item.get().as_bytes(), &format!("/{}/{index}", L::NAME));
        Ok(Self(items.iter().enumerate().map(parse).collect(), PhantomData))
    }
}

/// One thing, or a list of 1 to 1000 of them.
pub enum OneOrMany<T> {
    /// One.
    One(T),
    /// Each its own value or problem.
    Many(Vec<Result<T, Problem>>),
}

impl<T: Parse> FromRequest<State> for OneOrMany<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &State) -> Result<Self, Problem> {
        let bytes = read(request, LIST_BODY_BYTES_MAX).await?;
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'[') {
            if bytes.len() > BODY_BYTES_MAX {
                return Err(too_large(BODY_BYTES_MAX));
            }
            return T::parse(&bytes, "").map(Self::One);
        }
        let items: Vec<&RawValue> = serde_json::from_slice(&bytes).map_err(|error| not_json(&bytes, &error))?;
        counted(items.len(), "")?;
        let parse = |(index, item): (usize, &&RawValue)| T::parse(item.get().as_bytes(), &format!("/{index}"));
        Ok(Self::Many(items.iter().enumerate().map(parse).collect()))
    }
}

/// What can be read from JSON that lies under a pointer.
pub trait Parse: Sized + Send {
    /// Reads it.
    ///
    /// # Errors
    /// 400 with every bad field.
    fn parse(bytes: &[u8], under: &str) -> Result<Self, Problem>;
}

impl<T: Body> Parse for T {
    fn parse(bytes: &[u8], under: &str) -> Result<Self, Problem> {
        parse_at(bytes, under)
    }
}

fn parse<T: Body>(bytes: &[u8]) -> Result<T, Problem> {
    parse_at(bytes, "")
}

/// Reads a value that lies under a pointer.
///
/// # Errors
/// 400 with every bad field.
pub fn parse_at<T: Body>(bytes: &[u8], under: &str) -> Result<T, Problem> {
    match serde_json::from_slice::<T>(bytes) {
        Ok(body) if body.fits() => Ok(body),
        Ok(_) => Err(explain(T::SHAPE, bytes, under, None)),
        Err(error) => Err(explain(T::SHAPE, bytes, under, Some(&error))),
    }
}

/// The slow path: why the bytes are not that body.
fn explain(shape: &Shape, bytes: &[u8], under: &str, error: Option<&serde_json::Error>) -> Problem {
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => return not_json(bytes, &error),
    };
    let faults = field::faults(shape, &value, under);
    if faults.is_empty() {
        // What a table cannot say, such as a field that is there twice.
        let detail = error.map_or_else(|| "is over a limit".to_owned(), ToString::to_string);
        return Problem::field("invalid_body", under, detail);
    }
    Problem::invalid("invalid_body", faults)
}

fn not_json(bytes: &[u8], error: &serde_json::Error) -> Problem {
    let detail = match std::str::from_utf8(bytes) {
        _ if bytes.iter().all(u8::is_ascii_whitespace) => "is empty".to_owned(),
        Err(broken) => format!("is not UTF-8 from byte {} on", broken.valid_up_to()),
        Ok(_) => format!("is not the JSON expected: {error}"),
    };
    Problem::field("invalid_body", "", detail)
}

fn items_of<'a>(bytes: &'a [u8], name: &str) -> Result<Vec<&'a RawValue>, Problem> {
    let object: std::collections::BTreeMap<String, &RawValue> =
        serde_json::from_slice(bytes).map_err(|error| not_json(bytes, &error))?;
    let mut faults: Vec<Fault> = object
        .keys()
        .filter(|key| *key != name)
        .map(|key| Fault {
            pointer: format!("/{}", key.chars().take(64).collect::<String>().replace('~', "~0").replace('/', "~1")),
            detail: "is not a field of this body".into(),
        })
        .collect();
    let items: Option<Vec<&RawValue>> = match object.get(name) {
        None => {
            faults.push(Fault { pointer: format!("/{name}"), detail: "is missing".into() });
            None
        }
        Some(items) => match serde_json::from_str(items.get()) {
            Ok(items) => Some(items),
            Err(_) => {
                faults.push(Fault { pointer: format!("/{name}"), detail: "must be a list".into() });
                None
            }
        },
    };
    match items {
        Some(items) if faults.is_empty() => counted(items.len(), &format!("/{name}")).map(|()| items),
        _ => Err(Problem::invalid("invalid_body", faults)),
    }
}

fn counted(items: usize, pointer: &str) -> Result<(), Problem> {
    if (1..=ITEMS_MAX).contains(&items) {
        return Ok(());
    }
    Err(Problem::field("invalid_body", pointer, format!("must have 1 to {ITEMS_MAX} items, not {items}")))
}

/// The bytes of a JSON body within a limit.
///
/// # Errors
/// 415 for another content type, 413 over the limit, 408 when it does not arrive in time, 400 when it breaks off.
async fn read(request: Request, max: usize) -> Result<Bytes, Problem> {
    let (parts, mut body) = request.into_parts();
    let announced =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let taken = if !is_json(&parts.headers) {
        Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "the body must be application/json",
        ))
    } else if announced.is_some_and(|announced| announced > max as u64) {
        Err(too_large(max))
    } else {
        match tokio::time::timeout(Duration::from_millis(BODY_WAIT_MS), Limited::new(&mut body, max).collect()).await {
            Ok(Ok(read)) => return Ok(read.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(max)),
            Ok(Err(_)) => return Err(Problem::field("invalid_body", "", "broke off before its end")),
            Err(_) => {
                return Err(Problem::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "body_timeout",
                    "the body did not arrive in time",
                ));
            }
        }
    };
    if announced.is_none_or(|announced| announced <= LEFTOVER_BYTES_MAX) {
        throw_away(body).await;
    }
    taken
}

/// Reads what is left of a body that is refused, within bounds. A connection that is closed while its caller still
/// writes is reset, and the caller would see that in place of the refusal (RFC 9112 section 9.6, 2022-06).
async fn throw_away(mut body: axum::body::Body) {
    let left = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
            if bytes > LEFTOVER_BYTES_MAX {
                break;
            }
        }
    };
    // Whether it ended, broke off or took too long, the refusal is the answer.
    let _ended = tokio::time::timeout(Duration::from_millis(LEFTOVER_WAIT_MS), left).await;
}

fn too_large(max: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", format!("the body is over the limit of {max} bytes"))
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut given = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (given.next(), given.next()) else { return false };
    only.to_str().is_ok_and(|text| {
        text.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
    })
}

/// Gives a body its table, its limits and its name in OpenAPI.
macro_rules! body {
    ($(#[$doc:meta])* $type:ty as $name:ident, $shape:expr, $fits:expr) => {
        impl $crate::body::Body for $type {
            const SHAPE: &'static $crate::field::Shape = $shape;
            fn fits(&self) -> bool {
                let fits: fn(&$type) -> bool = $fits;
                fits(self)
            }
        }
        $(#[$doc])*
        pub struct $name;
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                <$type as $crate::body::Body>::SHAPE.schema()
            }
        }
        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                <$type as $crate::body::Body>::SHAPE.name.into()
            }
        }
    };
}

/// Describes `{"<name>":[...]}` with 1 to 1000 items, closed.
macro_rules! list {
    ($(#[doc = $doc:literal])* $name:ident = $field:literal of $item:ident) => {
        $(#[doc = $doc])*
        pub struct $name;
        impl $crate::body::List for $name {
            const NAME: &'static str = $field;
        }
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let items = <$item as utoipa::PartialSchema>::schema();
                $crate::body::list_schema($field, concat!($($doc),*).trim_ascii(), items)
            }
        }
        impl utoipa::ToSchema for $name {}
    };
}

/// The description of a list's body.
pub fn list_schema(name: &str, about: &str, items: RefOr<Schema>) -> RefOr<Schema> {
    let list = ArrayBuilder::new().items(items).min_items(Some(1)).max_items(Some(ITEMS_MAX));
    let object = ObjectBuilder::new().schema_type(Type::Object).description(Some(about));
    let object = object.property(name, list).required(name);
    object.additional_properties(Some(AdditionalProperties::FreeForm(false))).into()
}
pub(crate) use {body, list};
