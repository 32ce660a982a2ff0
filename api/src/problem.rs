//! RFC 9457 problem bodies for everything that is answered before hand-over; knows no route and decides nothing.
//!
//! A handler returns a [`Problem`]; the edge, which alone knows the request's id, writes its body.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::{borrow::Cow, sync::Arc};

/// The media type of every problem.
pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Faults reported at once: more help nobody, and a body of a thousand bad rows stays small.
pub const FAULTS_MAX: usize = 100;

/// One bad field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Fault {
    /// JSON pointer (RFC 6901) into the body; for a query parameter or header its name after `#`.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: Cow<'static, str>,
}

/// Something was wrong with the request, or it could not be taken now; nothing was recorded.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The answer's status.
    pub status: StatusCode,
    /// The stable code that callers build on.
    pub code: &'static str,
    /// What is wrong, in a sentence.
    pub detail: Cow<'static, str>,
    /// Each bad field.
    pub errors: Vec<Fault>,
    /// After how many seconds to try again, where that helps.
    pub retry_after_s: Option<u32>,
    /// Headers beside.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// A problem on its way from a handler to the edge.
#[derive(Clone)]
pub(crate) struct Carried(pub Arc<Problem>);

impl Problem {
    /// A problem of a status and a stable code.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, detail: detail.into(), errors: Vec::new(), retry_after_s: None, headers: Vec::new() }
    }
    /// 400 with the bad fields.
    pub fn invalid(code: &'static str, mut errors: Vec<Fault>) -> Self {
        errors.truncate(FAULTS_MAX);
        let detail = match errors.as_slice() {
            [only] => Cow::Owned(format!("{} {}", shown(&only.pointer), only.detail)),
            many => Cow::Owned(format!("{} fields are not as they should be", many.len())),
        };
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, code, detail) }
    }
    /// 400 for one field.
    pub fn field(code: &'static str, pointer: impl Into<String>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::invalid(code, vec![Fault { pointer: pointer.into(), detail: detail.into() }])
    }
    /// 401, saying how to prove who asks (RFC 6750).
    pub fn unproved(detail: &'static str, given: bool) -> Self {
        let challenge = if given { "Bearer realm=\"bahi\", error=\"invalid_token\"" } else { "Bearer realm=\"bahi\"" };
        let mut problem = Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail);
        problem.headers.push((header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge)));
        problem
    }
    /// 403, the same for a role that may not and for another's account, whether that exists or not.
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "this token may not do that")
    }
    /// 404.
    pub fn not_found(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }
    /// 503, to be tried again.
    pub fn unavailable(code: &'static str, detail: impl Into<Cow<'static, str>>, retry_after_s: u32) -> Self {
        Self { retry_after_s: Some(retry_after_s), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail) }
    }
    /// The problem of a plain error status that something beneath the handlers gave.
    pub fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::NOT_FOUND => ("not_found", "there is nothing at this address"),
            StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "this address does not take that method"),
            StatusCode::PAYLOAD_TOO_LARGE => ("body_too_large", "the body is over the limit"),
            status if status.is_client_error() => ("bad_request", "the request could not be understood"),
            _ => ("internal", "something failed here; it has been noted with the request's id"),
        };
        Self::new(status, code, detail)
    }

    /// The body, as `application/problem+json`.
    pub fn body(&self, request_id: Option<&str>) -> Vec<u8> {
        let body = Body {
            kind: format_args!("urn:bahi:problem:{}", self.code),
            title: title(self.code),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            errors: &self.errors,
            retry_after_s: self.retry_after_s,
            request_id,
        };
        serde_json::to_vec(&body).expect("texts and numbers serialize")
    }
}

/// A code as words: `rate_limited` is "rate limited".
pub fn title(code: &str) -> String {
    code.replace('_', " ")
}

fn shown(pointer: &str) -> &str {
    if pointer.is_empty() { "the body" } else { pointer }
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: std::fmt::Arguments<'a>,
    title: String,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    errors: &'a [Fault],
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let mut response = self.status.into_response();
        for (name, value) in self.headers.drain(..) {
            response.headers_mut().insert(name, value);
        }
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(Carried(Arc::new(self)));
        response
    }
}
