//! The steps of a trace: one order from the request that brought it, through both topics, into the views.
//!
//! A record is followed by the `traceparent` in its headers (W3C Trace Context, level 1, 2021-11-23). Only a request begins
//! a trace, where whoever runs this process wants traces and this one is sampled; what has no `traceparent` costs
//! nothing. Knows no collector.

use std::sync::OnceLock;

use opentelemetry::{
    Context, KeyValue,
    global::BoxedSpan,
    trace::{
        Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
        Tracer as _,
    },
};
pub use opentelemetry::{Value, global::BoxedTracer};

/// The version of `traceparent` that is written, and the length of every one of it.
const VERSION: &str = "00";
const LENGTH: usize = 55;

static TRACER: OnceLock<BoxedTracer> = OnceLock::new();

/// Has steps told to this tracer from now on; of several only the first counts.
pub fn to(tracer: BoxedTracer) {
    drop(TRACER.set(tracer));
}

/// One step of a trace, or of none; it ends when it is dropped.
pub struct Step(Option<Box<BoxedSpan>>);

impl Step {
    /// A step of no trace.
    pub const NONE: Step = Step(None);

    /// Answering a request: the first step of a trace; what its caller's step was is told to the tracer, which may go on
    /// with the caller's trace, or link to it.
    pub fn answer(name: impl FnOnce() -> String, caller: Option<&str>) -> Step {
        let Some(tracer) = TRACER.get() else { return Step::NONE };
        let context = caller.and_then(parse).map_or_else(Context::new, remote);
        let span = tracer.span_builder(name()).with_kind(SpanKind::Server).start_with_context(tracer, &context);
        Step::sampled(span)
    }

    /// Putting a record where others read it.
    pub fn send(name: &'static str, after: Option<&str>) -> Step {
        Step::follow(name, SpanKind::Producer, after)
    }

    /// Doing what a record asks for or says.
    pub fn process(name: &'static str, after: Option<&str>) -> Step {
        Step::follow(name, SpanKind::Consumer, after)
    }

    fn follow(name: &'static str, kind: SpanKind, after: Option<&str>) -> Step {
        let Some((tracer, after)) = TRACER.get().zip(after.and_then(parse)) else { return Step::NONE };
        let builder = tracer.span_builder(name).with_kind(kind);
        Step::sampled(builder.start_with_context(tracer, &remote(after)))
    }

    fn sampled(span: BoxedSpan) -> Step {
        Step(span.span_context().is_sampled().then(|| Box::new(span)))
    }

    /// What the next step follows.
    pub fn traceparent(&self) -> Option<Box<str>> {
        let context = self.0.as_ref()?.span_context();
        Some(format!("{VERSION}-{}-{}-01", context.trace_id(), context.span_id()).into())
    }

    /// Says something of this step.
    pub fn note(&mut self, what: &'static str, is: impl Noted) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(what, is.value()));
        }
    }

    /// It did not do what it should.
    pub fn failed(&mut self, why: &'static str) {
        if let Some(span) = &mut self.0 {
            span.set_status(Status::error(why));
        }
    }
}

/// What can be said of a step; made only if it is of a trace.
pub trait Noted {
    /// As a collector takes it.
    fn value(self) -> Value;
}

impl Noted for &str {
    fn value(self) -> Value {
        self.to_owned().into()
    }
}

impl Noted for i64 {
    fn value(self) -> Value {
        self.into()
    }
}

fn remote(after: SpanContext) -> Context {
    Context::new().with_remote_span_context(after)
}

/// Reads a `traceparent` of this version, or as much as this version says of a later one.
fn parse(text: &str) -> Option<SpanContext> {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_whole = match version {
        VERSION => text.len() == LENGTH,
        later => later != "ff" && text.len() >= LENGTH,
    };
    let lengths = [(version, 2), (trace, 32), (span, 16), (flags, 2)];
    if !is_whole || !lengths.iter().all(|(part, length)| part.len() == *length && is_hex(part)) {
        return None;
    }
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let sampled = u8::from_str_radix(flags, 16).ok()? & TraceFlags::SAMPLED.to_u8();
    let context = SpanContext::new(trace, span, TraceFlags::new(sampled), true, TraceState::NONE);
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_or_is_none() {
        let whole = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = parse(whole).expect("a traceparent");
        assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
        assert!(context.is_sampled() && context.is_remote());
        assert!(!parse(&whole.replace("-01", "-00")).expect("one that is not sampled").is_sampled());
        assert!(parse(&format!("{}-more", whole.replacen("00", "01", 1))).is_some(), "a later version");
        for bad in [
            "",
            "00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b71692033311-01",
            "\u{20ac}\u{20ac}\u{20ac}-\u{20ac}-",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn without_a_tracer_there_is_no_step() {
        let whole = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let mut step = Step::process("read", Some(whole));
        step.note("a", 1);
        step.failed("it did");
        assert_eq!(step.traceparent(), None);
        assert_eq!(Step::answer(|| unreachable!("it is never named"), None).traceparent(), None);
    }
}
