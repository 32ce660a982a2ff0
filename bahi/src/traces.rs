//! Traces on their way to a collector, where the environment names one as OpenTelemetry's programs expect; knows no step
//! by name.

use crate::{config::Config, error::Error};
use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanBuilder, SpanContext, SpanKind, TraceContextExt, Tracer, TracerProvider as _},
};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider, Span},
};

/// The variables that turn traces on, by naming where they go.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// Traces that are sent while this lives; what waits is sent when it is dropped.
pub struct Traces(Option<SdkTracerProvider>);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(Err(why)) = self.0.take().map(|provider| provider.shutdown()) {
            tracing::warn!(%why, "the last traces were not sent");
        }
    }
}

/// Begins to send them, if a collector is named; of this service, unless `OTEL_SERVICE_NAME` says otherwise.
///
/// # Errors
/// When what the environment says of the collector is of no use.
pub fn start(service: &'static str, config: &Config) -> Result<Traces, Error> {
    let is_named = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
    if !ENDPOINTS.into_iter().any(is_named) {
        return Ok(Traces(None));
    }
    let is_secret = |name: &str| std::env::var(name).is_ok_and(|value| value.starts_with("https:"));
    if let Some(name) = ENDPOINTS.into_iter().find(|name| is_secret(name)) {
        return Err(Error::Usage(format!("{name}: collectors are spoken to without TLS: name one by http://")));
    }
    let unusable = |why: &dyn std::fmt::Display| Error::Usage(format!("the collector of traces: {why}"));
    let exporter = SpanExporter::builder().with_http().build().map_err(|why| unusable(&why))?;
    let resource = Resource::builder();
    let resource = match std::env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => resource,
        _ => resource.with_service_name(service),
    };
    let resource = resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let tracer = provider.tracer("bahi");
    let tracer = event_log::trace::BoxedTracer::new(match config.trust_traceparent {
        true => Box::new(tracer),
        false => Box::new(OwnTraces(tracer)),
    });
    event_log::trace::to(tracer);
    Ok(Traces(Some(provider)))
}

/// Begins a trace of its own with each request, as at a public end: a caller's is linked and decides nothing, neither by
/// its flag whether this one is followed nor by its id, which samplers that follow a part go by. Records are believed,
/// since only processes of this log write them.
struct OwnTraces(SdkTracer);

impl Tracer for OwnTraces {
    type Span = Span;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> Span {
        if builder.span_kind != Some(SpanKind::Server) {
            return self.0.build_with_context(builder, parent);
        }
        let caller = Some(parent.span().span_context().clone()).filter(SpanContext::is_valid);
        self.0.build_with_context(
            builder.with_links(caller.into_iter().map(Link::with_context).collect()),
            &Context::new(),
        )
    }
}
