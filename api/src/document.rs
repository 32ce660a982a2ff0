//! Completes the OpenAPI document that the handlers give: parameters, headers and every status a route can answer with.

use crate::{
    account_reads,
    field::{self, Field, Kind},
    market_reads,
    outcome::{AcceptedBody, PendingBody, RefusedBody, ResultItem, ResultList},
    problem::Fault,
};
use utoipa::{
    PartialSchema,
    openapi::{
        ComponentsBuilder, ContentBuilder, HeaderBuilder, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder,
        Schema,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem},
        schema::{AnyOfBuilder, ObjectBuilder, OneOfBuilder, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// The query parameters of a read.
fn query(operation: &str) -> &'static [Field] {
    match operation {
        "get_account" | "get_cash" | "get_order" | "get_order_history" => account_reads::ONE,
        "get_orders" => account_reads::ORDERS,
        "get_trades" => account_reads::TRADES,
        "get_positions" | "get_holdings" => account_reads::HELD,
        "get_fund_orders" => account_reads::FUND_ORDERS,
        "get_portfolio" | "get_pnl" => account_reads::PAGE,
        "get_events" => account_reads::ENTRIES,
        "get_outcome" | "get_fact_outcome" => account_reads::OUTCOME,
        "get_instruments" => market_reads::INSTRUMENTS,
        "get_schemes" => market_reads::SCHEMES,
        "get_prices" | "get_navs" => market_reads::DAYS,
        "get_calendar" => market_reads::CALENDAR,
        "get_requests" => market_reads::REQUESTS,
        _ => &[],
    }
}

/// The parts of an address.
const PARTS: &[Field] = &[
    Field::needed("account", Kind::Text(field::ACCOUNT), "The account"),
    Field::needed("order", Kind::Text(field::ORDER), "The order"),
    Field::needed("seq", Kind::Whole(0, field::SEQ_MAX), "The entry that recorded the unmatched fill"),
    Field::needed("id", Kind::Text(field::INSTRUMENT), "The instrument"),
    Field::needed("code", Kind::Text(field::SCHEME), "The scheme"),
    Field::needed("key", Kind::Text(field::LONG_KEY), "The command's key"),
];

/// Completes the document.
pub fn complete(mut openapi: OpenApi) -> OpenApi {
    openapi.info.title = "Bahi".into();
    openapi.info.version = env!("CARGO_PKG_VERSION").into();
    openapi.info.description = Some(
        "An event-sourced trading ledger for Indian brokers. Amounts, prices, NAVs and units are decimal strings; \
         times are RFC 3339 with offset, dates are days in India."
            .into(),
    );
    let mut components = openapi.components.take().unwrap_or_else(|| ComponentsBuilder::new().build());
    components.schemas.insert("Accepted".into(), AcceptedBody::schema());
    components.schemas.insert("Refused".into(), RefusedBody::schema());
    components.schemas.insert("Pending".into(), PendingBody::schema());
    components.schemas.insert("ResultItem".into(), ResultItem::schema());
    components.schemas.insert("ResultList".into(), ResultList::schema());
    components.schemas.insert("Fault".into(), Fault::schema());
    components.schemas.insert("Problem".into(), problem());
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("EdDSA, minted by `bahi token`; a requirement names the roles that may call"));
    components.security_schemes.insert("token".into(), RefOr::T(SecurityScheme::Http(token.build())));
    openapi.components = Some(components);
    for (path, item) in &mut openapi.paths.paths {
        let PathItem { get, post, patch, delete, .. } = item;
        for (is_get, operation) in [(true, get), (false, post), (false, patch), (false, delete)] {
            if let Some(operation) = operation {
                Route { path, is_get, takes_body: operation.request_body.is_some() }.complete(operation);
            }
        }
    }
    openapi
}

struct Route<'a> {
    path: &'a str,
    is_get: bool,
    takes_body: bool,
}

impl Route<'_> {
    fn complete(&self, operation: &mut Operation) {
        let is_open = operation.security.is_none();
        self.parameters(operation, is_open);
        if let Some(body) = &mut operation.request_body
            && let RefOr::T(body) = body
        {
            body.required = Some(Required::True);
        }
        let codes: Vec<String> = operation.responses.responses.keys().cloned().collect();
        let has = |code: &str| codes.iter().any(|given| given == code);
        for (code, response) in &mut operation.responses.responses {
            let RefOr::T(response) = response else { continue };
            if response.content.is_empty() {
                let schema = match (self.is_get, code.as_str()) {
                    (false, "201") => reference("Accepted"),
                    (false, _) => reference("ResultList"),
                    (true, _) if self.path.contains("/commands/") => {
                        OneOfBuilder::new().item(reference("Accepted")).item(reference("Refused")).into()
                    }
                    (true, _) => ObjectBuilder::new().schema_type(Type::Object).into(),
                };
                response.content.insert(JSON.into(), RefOr::T(content(schema)));
            }
            if !is_open {
                header(response, "Bahi-Position", "Where the answer stands: what `Bahi-Min-Position` takes");
            }
            if code == "201" {
                header(response, "Idempotency-Replayed", "`true` when the key was known: this is its first answer");
            }
        }
        let mut add = |code: &str, response: Response| {
            operation.responses.responses.entry(code.into()).or_insert(RefOr::T(response));
        };
        if is_open {
            if self.path == "/readyz" {
                add("503", told("Not ready yet", true));
            }
        } else {
            add("400", told("Malformed: `errors` names each bad field", false));
            add("401", unproved());
            add("403", told("Not for this role, or not this account", false));
            if self.is_get {
                add("404", told("There is none", false));
            }
            add("503", told("Not now; nothing was recorded", true));
        }
        if !self.is_get {
            if self.takes_body {
                add("408", told("The body did not arrive in time", false));
                add("413", told("The body is over the limit", false));
                add("415", told("The body is not JSON", false));
            }
            if has("201") {
                add("202", pending());
                // A recorded refusal is a problem too, with more members.
                let refused = AnyOfBuilder::new().item(reference("Refused")).item(reference("Problem"));
                let mut response = ResponseBuilder::new()
                    .description("Refused, and recorded as such; or the key was used for another command")
                    .content(PROBLEM, content(refused.into()))
                    .build();
                header(&mut response, "Idempotency-Replayed", "`true` when the key was known");
                header(&mut response, "Bahi-Position", "Where the refusal is recorded");
                add("422", response);
                add("429", told("Too many commands for this account; nothing was recorded", true));
            }
        }
        for response in operation.responses.responses.values_mut() {
            if let RefOr::T(response) = response {
                header(response, "X-Request-Id", "The request's id, as given or made");
            }
        }
    }

    fn parameters(&self, operation: &mut Operation, is_open: bool) {
        let mut parameters: Vec<Parameter> = Vec::new();
        for part in PARTS.iter().filter(|part| self.path.contains(&format!("{{{}}}", part.name))) {
            parameters.push(parameter(ParameterIn::Path, part, part.name));
        }
        for field in query(operation.operation_id.as_deref().unwrap_or_default()) {
            parameters.push(parameter(ParameterIn::Query, field, field.name));
        }
        let is_list = self.path.ends_with("/batch") || self.path.contains("/imports/");
        if !self.is_get && !is_list {
            let key = Field::needed(
                "Idempotency-Key",
                Kind::Text(field::KEY),
                "Your key for this command, once and for ever",
            );
            parameters.push(parameter(ParameterIn::Header, &key, key.name));
        }
        if !is_open {
            let min =
                Field::may("Bahi-Min-Position", Kind::Text(field::POSITION), "Wait until this position is reached");
            parameters.push(parameter(ParameterIn::Header, &min, min.name));
        }
        let id = Field::may(
            "X-Request-Id",
            Kind::Text(field::KEY),
            "Your id for this request; another is made if it is not one",
        );
        parameters.push(parameter(ParameterIn::Header, &id, id.name));
        operation.parameters = Some(parameters.into_iter().map(RefOr::T).collect());
    }
}

fn parameter(place: ParameterIn, field: &Field, name: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(if field.needed { Required::True } else { Required::False })
        .description(Some(field.about))
        .schema(Some(field.kind.schema()))
        .build()
}

fn reference(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}

fn content(schema: RefOr<Schema>) -> utoipa::openapi::Content {
    ContentBuilder::new().schema(Some(schema)).build()
}

fn header(response: &mut Response, name: &str, about: &str) {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    let header = HeaderBuilder::new().schema(Some(schema)).description(Some(about)).build();
    response.headers.entry(name.into()).or_insert(RefOr::T(header));
}

/// A problem of the edge.
fn told(about: &str, retry: bool) -> Response {
    let mut response =
        ResponseBuilder::new().description(about).content(PROBLEM, content(reference("Problem"))).build();
    if retry {
        header(&mut response, "Retry-After", "Seconds");
    }
    response
}

fn unproved() -> Response {
    let mut response = told("No token, or none that proves anything", false);
    header(&mut response, "WWW-Authenticate", "How to prove who asks (RFC 6750)");
    response
}

fn pending() -> Response {
    let about = "Handed over, and not known within the wait: ask at `Location`, or send the same again";
    let mut response = ResponseBuilder::new().description(about).content(JSON, content(reference("Pending"))).build();
    header(&mut response, "Location", "Where to ask for the outcome");
    header(&mut response, "Retry-After", "Seconds");
    response
}

/// RFC 9457, with a stable code and the bad fields.
fn problem() -> RefOr<Schema> {
    let text = |about: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(about));
    let number = |about: &str| ObjectBuilder::new().schema_type(Type::Integer).description(Some(about));
    let faults = utoipa::openapi::ArrayBuilder::new().items(reference("Fault")).description(Some("Each bad field"));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("What is wrong (RFC 9457)."))
        .property("type", text("Names the problem"))
        .property("title", text("The code in words"))
        .property("status", number("The answer's status"))
        .property("detail", text("What is wrong, in a sentence"))
        .property("code", text("The stable code that callers build on"))
        .property("errors", faults)
        .property("retry_after_s", number("After how many seconds to try again"))
        .property("request_id", text("The request's id"))
        .required("type")
        .required("title")
        .required("status")
        .required("detail")
        .required("code")
        .required("request_id")
        .into()
}
