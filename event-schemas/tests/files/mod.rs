//! The files of this crate as tests need them: schemas with their references, golden examples by name and version.
#![allow(dead_code, reason = "each test binary uses its part")]
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use domain::{command::Submitter, time::Timestamp};
use event_schemas::{By, CommandEnvelope, command_body, fact_body, schema};
use jsonschema::Validator;
use serde_json::{Value, value::RawValue};
use std::{
    borrow::Cow,
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

pub const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Where the schemas pretend to be, so that their relative references resolve without a network.
const BASE: &str = "bahi:///";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    Events,
    MarketEvents,
    Commands,
    Facts,
}

impl Folder {
    pub const ALL: [Folder; 4] = [Folder::Events, Folder::MarketEvents, Folder::Commands, Folder::Facts];
    pub fn name(self) -> &'static str {
        match self {
            Folder::Events => "events",
            Folder::MarketEvents => "market_events",
            Folder::Commands => "commands",
            Folder::Facts => "facts",
        }
    }
}

pub struct Example {
    pub file: String,
    pub folder: Folder,
    pub name: String,
    pub version: u32,
    pub text: String,
    whole: Value,
}

impl Example {
    pub fn payload(&self) -> &Value {
        self.whole.get("data").unwrap_or_else(|| &self.whole["body"])
    }
    pub fn schema(&self) -> &'static str {
        let found = schema::SCHEMAS
            .iter()
            .find(|(f, n, v, _)| (*f, *n, *v) == (self.folder.name(), self.name.as_str(), self.version));
        found.unwrap_or_else(|| panic!("no schema of {}", self.file)).3
    }
    pub fn is_current(&self) -> bool {
        self.version > 0
    }
}

pub fn root(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Names of the files in a folder.
pub fn names(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root(folder)).expect(folder);
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A golden file's one line.
pub fn golden(path: &str) -> String {
    let text = std::fs::read_to_string(root("golden").join(path)).expect(path);
    text.strip_suffix('\n').expect("a golden file ends with a line feed").to_owned()
}

pub fn examples(folder: Folder) -> Vec<Example> {
    let example = |file: String| {
        let text = golden(&format!("{}/{file}", folder.name()));
        let (name, rest) = file.split_once(".v").expect("NAME.vN.json");
        let version = rest.split('.').next().unwrap().parse().expect("NAME.vN.json");
        let whole: Value = serde_json::from_str(&text).unwrap();
        let stored = whole.get("type").unwrap_or_else(|| &whole["kind"]);
        assert_eq!((stored.as_str(), whole["v"].as_u64()), (Some(name), Some(u64::from(version))), "{file}");
        Example { name: name.into(), version, file: file.clone(), folder, text, whole }
    };
    names(&format!("golden/{}", folder.name())).into_iter().map(example).collect()
}

/// The validator of an example's data or body.
pub fn payload_validator(example: &Example) -> &'static Validator {
    thread_local!(static BUILT: RefCell<BTreeMap<*const u8, &'static Validator>> = const { RefCell::new(BTreeMap::new()) });
    let text = example.schema();
    BUILT.with(|built| {
        *built.borrow_mut().entry(text.as_ptr()).or_insert_with(|| {
            let schema = serde_json::from_str(text).unwrap();
            Box::leak(Box::new(jsonschema::validator_for(&schema).expect("a schema")))
        })
    })
}

/// The validator of an envelope, with everything it refers to.
pub fn envelope_validator(name: &str) -> Validator {
    let mut documents: Vec<(String, Value)> = Vec::new();
    for (folder, name, version, text) in schema::SCHEMAS {
        documents.push((format!("{BASE}{folder}/{name}.v{version}.json"), serde_json::from_str(text).unwrap()));
    }
    for (name, version, text) in schema::ENVELOPES {
        documents.push((format!("{BASE}{name}.v{version}.json"), serde_json::from_str(text).unwrap()));
    }
    let mut registry = jsonschema::Registry::new();
    for (uri, document) in &documents {
        registry = registry.add(uri, document).expect("a resource");
    }
    let registry = registry.prepare().expect("every reference resolves");
    let whole = serde_json::json!({"$schema": DIALECT, "$ref": format!("{BASE}{name}.v1.json")});
    jsonschema::options().with_registry(&registry).build(&whole).expect("a schema")
}

/// An example with another payload, its envelope kept byte for byte.
pub fn replace_payload(text: &str, payload: &Value) -> String {
    let at = ["\"data\":", "\"body\":"].iter().find_map(|field| text.find(field).map(|at| at + field.len()));
    format!("{}{payload}}}", &text[..at.expect("data or body")])
}

/// Decodes a `{"kind","v","body"}` and encodes it again.
pub fn recode_command(folder: Folder, text: &str) -> Result<String, String> {
    #[derive(serde::Deserialize)]
    struct Stored<'a> {
        kind: String,
        v: u32,
        #[serde(borrow)]
        body: &'a RawValue,
    }
    let stored: Stored<'_> = serde_json::from_str(text).unwrap();
    let envelope = envelope(&stored.kind, stored.v, Cow::Borrowed(stored.body));
    let (kind, v, body) = if folder == Folder::Commands {
        let command = envelope.command().map_err(|e| e.to_string())?;
        (command.kind(), command.version(), command_body(&command))
    } else {
        let fact = envelope.fact().map_err(|e| e.to_string())?;
        (fact.kind(), fact.version(), fact_body(&fact))
    };
    Ok(format!("{{\"kind\":\"{kind}\",\"v\":{v},\"body\":{body}}}"))
}

pub fn envelope<'a>(kind: &str, v: u32, body: Cow<'a, RawValue>) -> CommandEnvelope<'a> {
    let by = By { subject: "u1".into(), role: Submitter::Client, session: None, origin: None, algo_id: None };
    let (kind, at) = (Cow::Owned(kind.to_owned()), Timestamp::from_micros(0));
    CommandEnvelope { id: "k1".into(), kind, v, body, issued_at: at, by, request_id: None, min_position: None }
}
