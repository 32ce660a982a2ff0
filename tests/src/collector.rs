//! A collector of traces: takes what OpenTelemetry's programs send by HTTP and keeps every step.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value,
    trace::v1::{ResourceSpans, status::StatusCode},
};
use prost::Message;
use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// One step of a trace, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Of which process it says it is.
    pub service: String,
    /// What was done.
    pub name: String,
    /// The trace it is of, in hexadecimal digits.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// The id of the step that it follows; empty for the first.
    pub after: String,
    /// When it began and ended, in nanoseconds since 1970.
    pub times: (u64, u64),
    /// Whether it did not do what it should.
    pub failed: bool,
    /// The ids of other traces' steps that it names.
    pub links: Vec<String>,
}

/// Takes steps on a port of its own, for as long as the test runs.
pub struct Collector {
    address: SocketAddr,
    steps: Arc<Mutex<Vec<Step>>>,
}

impl Collector {
    /// Begins to take steps.
    ///
    /// # Panics
    /// When there is no port.
    pub fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let steps = Arc::<Mutex<Vec<Step>>>::default();
        let taken = Arc::clone(&steps);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let taken = Arc::clone(&taken);
                thread::spawn(move || take(&stream, &taken));
            }
        });
        Collector { address, steps }
    }

    /// What tells a process to send its steps here, and soon.
    pub fn variables(&self) -> [(&'static str, String); 2] {
        let endpoint = format!("http://{}", self.address);
        [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "50".to_owned())]
    }

    /// Every step of a trace that came so far.
    ///
    /// # Panics
    /// When whoever takes them did.
    pub fn of(&self, trace: &str) -> Vec<Step> {
        let steps = self.steps.lock().expect("nobody panics here");
        steps.iter().filter(|step| step.trace == trace).cloned().collect()
    }

    /// Every step that came so far, of any trace.
    ///
    /// # Panics
    /// When whoever takes them did.
    pub fn all(&self) -> Vec<Step> {
        self.steps.lock().expect("nobody panics here").clone()
    }
}

/// Takes what comes on one connection until it is closed.
fn take(stream: &TcpStream, taken: &Mutex<Vec<Step>>) {
    let mut reader = BufReader::new(stream);
    while let Some(body) = body(&mut reader) {
        let sent = ExportTraceServiceRequest::decode(&body[..]).expect("an export of traces");
        let steps = sent.resource_spans.iter().flat_map(steps_of);
        taken.lock().expect("nobody panics here").extend(steps);
        let mut stream = stream;
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}

/// The body of the next request; none when there is no other.
fn body(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(text) = line.strip_prefix("content-length:") {
            length = text.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

fn steps_of(sent: &ResourceSpans) -> Vec<Step> {
    let attributes = sent.resource.iter().flat_map(|resource| &resource.attributes);
    let service =
        attributes.filter(|attribute| attribute.key == "service.name").find_map(|attribute| {
            match attribute.value.as_ref()?.value.as_ref()? {
                Value::StringValue(name) => Some(name.clone()),
                _ => None,
            }
        });
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let spans = sent.scope_spans.iter().flat_map(|scope| &scope.spans);
    let step = spans.map(|span| Step {
        service: service.clone().unwrap_or_default(),
        name: span.name.clone(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        after: hex(&span.parent_span_id),
        times: (span.start_time_unix_nano, span.end_time_unix_nano),
        failed: span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error),
        links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
    });
    step.collect()
}
