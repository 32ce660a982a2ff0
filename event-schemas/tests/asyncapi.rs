//! The AsyncAPI document validates against the official schema, and everything it refers to exists.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod files;

use event_schemas::schema::{ASYNCAPI, ENVELOPES};
use event_schemas::{CLAIM_TYPE, ENTRY_TYPE, MARKET_ENTRY_TYPE};
use serde_json::Value;
use std::collections::BTreeSet;

fn document() -> Value {
    serde_json::from_str(ASYNCAPI).unwrap()
}

#[test]
fn the_document_validates_against_the_official_schema_of_asyncapi_3() {
    let text = std::fs::read_to_string(files::root("tests/asyncapi/3.0.0.json")).unwrap();
    let official = jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap();
    let errors: Vec<_> =
        official.iter_errors(&document()).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert_eq!(errors, Vec::<String>::new());
    let mut broken = document();
    broken["channels"]["ledger"]["adress"] = "bahi.ledger".into();
    assert!(!official.is_valid(&broken), "the official schema is closed, so a misspelling shows");
}

#[test]
fn every_reference_of_the_document_and_of_every_schema_resolves() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str));
                object.values().for_each(|inner| references(inner, found));
            }
            Value::Array(list) => list.iter().for_each(|inner| references(inner, found)),
            _ => {}
        }
    }
    let envelopes = ENVELOPES.iter().map(|(name, v, _)| format!("schemas/{name}.v{v}.json"));
    let payloads =
        event_schemas::schema::SCHEMAS.iter().map(|(folder, name, v, _)| format!("schemas/{folder}/{name}.v{v}.json"));
    for file in envelopes.chain(payloads).chain(["asyncapi.json".into()]) {
        let whole: Value = serde_json::from_str(&std::fs::read_to_string(files::root(&file)).unwrap()).unwrap();
        let mut found = Vec::new();
        references(&whole, &mut found);
        for reference in found {
            match reference.strip_prefix('#') {
                Some(pointer) => assert!(whole.pointer(pointer).is_some(), "{file}: {reference}"),
                None => assert!(files::root(&file).parent().unwrap().join(reference).is_file(), "{file}: {reference}"),
            }
        }
    }
}

#[test]
fn the_channels_are_the_four_topics_and_every_message_is_used() {
    let document = document();
    let addresses: BTreeSet<_> =
        document["channels"].as_object().unwrap().values().map(|c| c["address"].as_str().unwrap()).collect();
    assert_eq!(addresses, BTreeSet::from(["bahi.commands", "bahi.ledger", "bahi.facts", "bahi.market"]));
    let text = ASYNCAPI;
    for (name, message) in document["components"]["messages"].as_object().unwrap() {
        assert!(text.contains(&format!("\"#/components/messages/{name}\"")), "{name} is in no channel");
        let (_, header) = message["headers"]["$ref"].as_str().unwrap().rsplit_once('/').unwrap();
        let header = &document["components"]["schemas"][header];
        assert_eq!(header["properties"]["ce_type"]["const"], message["name"], "{name}");
    }
    let named: BTreeSet<_> =
        document["components"]["messages"].as_object().unwrap().values().map(|m| m["name"].as_str().unwrap()).collect();
    assert!([ENTRY_TYPE, MARKET_ENTRY_TYPE, CLAIM_TYPE].iter().all(|own| named.contains(own)));
}

#[test]
fn payloads_of_messages_are_the_envelopes() {
    let document = document();
    let payloads: BTreeSet<_> = document["components"]["messages"]
        .as_object()
        .unwrap()
        .values()
        .map(|message| message["payload"]["schema"]["$ref"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(payloads, ENVELOPES.iter().map(|(name, v, _)| format!("schemas/{name}.v{v}.json")).collect());
}
