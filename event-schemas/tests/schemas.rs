//! Every stored shape has a closed schema and golden examples, and decoder, schema and example agree.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod files;

use domain::{
    command::Command,
    event::EventData,
    market::{Fact, MarketEventData},
};
use event_schemas::{decode_event, decode_market_event, encode_event, encode_market_event, schema::SCHEMAS, schema_of};
use files::{Example, Folder, examples, payload_validator, replace_payload};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const LISTS: [(Folder, &[(&str, u32)]); 4] = [
    (Folder::Events, EventData::TYPES),
    (Folder::MarketEvents, MarketEventData::TYPES),
    (Folder::Commands, Command::KINDS),
    (Folder::Facts, Fact::KINDS),
];

#[test]
fn every_name_has_a_schema_and_an_example_of_its_current_version() {
    for (folder, names) in LISTS {
        for (name, version) in names {
            let schema = SCHEMAS.iter().find(|(f, n, v, _)| (*f, *n, *v) == (folder.name(), *name, *version));
            let schema: Value =
                serde_json::from_str(schema.unwrap_or_else(|| panic!("no schema of {name}")).3).unwrap();
            assert_eq!(schema["title"], format!("{name} v{version}"));
            assert!(
                examples(folder).iter().any(|example| example.name == *name && example.version == *version),
                "no example of {name} v{version}"
            );
        }
    }
}

#[test]
fn every_schema_file_is_embedded_and_describes_a_known_name() {
    for (folder, names) in LISTS {
        let embedded: BTreeSet<String> =
            SCHEMAS.iter().filter(|s| s.0 == folder.name()).map(|(_, n, v, _)| format!("{n}.v{v}.json")).collect();
        assert_eq!(files::names(&format!("schemas/{}", folder.name())), embedded);
        for (_, name, version, text) in SCHEMAS.iter().filter(|s| s.0 == folder.name()) {
            assert!(names.iter().any(|(known, current)| known == name && version <= current), "{name} v{version}");
            assert!(schema_of(name, *version).is_some());
            assert_eq!(serde_json::from_str::<Value>(text).unwrap()["$schema"], files::DIALECT);
        }
    }
}

#[test]
fn every_object_of_every_schema_is_closed() {
    fn closed(at: &str, schema: &Value) {
        match schema {
            Value::Object(object) => {
                if object.contains_key("properties") && object.get("type") == Some(&json!("object")) {
                    assert_eq!(object.get("additionalProperties"), Some(&Value::Bool(false)), "{at} is open");
                    let properties = object["properties"].as_object().unwrap();
                    for (name, property) in properties {
                        let described = property.get("description").or_else(|| property.get("$ref"));
                        assert!(described.is_some(), "{at}/{name} has no description");
                    }
                }
                object.iter().for_each(|(name, inner)| closed(&format!("{at}/{name}"), inner));
            }
            Value::Array(list) => list.iter().for_each(|inner| closed(at, inner)),
            _ => {}
        }
    }
    for (folder, name, version, text) in SCHEMAS {
        closed(&format!("{folder}/{name}.v{version}"), &serde_json::from_str(text).unwrap());
    }
    for (name, version, text) in event_schemas::schema::ENVELOPES {
        closed(&format!("{name}.v{version}"), &serde_json::from_str(text).unwrap());
    }
}

#[test]
fn every_example_validates_against_its_schema() {
    for folder in Folder::ALL {
        for example in examples(folder) {
            let errors: Vec<_> =
                payload_validator(&example).iter_errors(example.payload()).map(|error| error.to_string()).collect();
            assert_eq!(errors, Vec::<String>::new(), "{}", example.file);
        }
    }
}

#[test]
fn every_example_of_a_current_version_decodes_and_encodes_to_identical_bytes() {
    for folder in Folder::ALL {
        for example in examples(folder).into_iter().filter(Example::is_current) {
            assert_eq!(recode(folder, &example.text).expect(&example.file), example.text, "{}", example.file);
        }
    }
}

#[test]
fn a_field_too_many_is_refused_by_schema_and_decoder() {
    refused_by_both(|payload| {
        payload.insert("surplus".into(), json!("1"));
        vec![payload.clone()]
    });
}

#[test]
fn a_missing_field_is_refused_by_schema_and_decoder() {
    for folder in Folder::ALL {
        for example in examples(folder) {
            let schema: Value = serde_json::from_str(example.schema()).unwrap();
            for field in schema["required"].as_array().into_iter().flatten() {
                let mut payload = example.payload().as_object().unwrap().clone();
                payload.remove(field.as_str().unwrap());
                both_refuse(folder, &example, &Value::Object(payload), &format!("without {field}"));
            }
        }
    }
}

#[test]
fn a_number_for_a_decimal_string_is_refused_by_schema_and_decoder() {
    refused_by_both(|payload| {
        let decimal =
            |value: &Value| value.as_str().is_some_and(|text| text.contains('.') && text.parse::<f64>().is_ok());
        let fields: Vec<_> = payload.iter().filter(|(_, value)| decimal(value)).map(|(name, _)| name.clone()).collect();
        let with = |field: &String| {
            let mut changed = payload.clone();
            let number: serde_json::Number = payload[field].as_str().unwrap().parse().unwrap();
            changed.insert(field.clone(), Value::Number(number));
            changed
        };
        fields.iter().map(with).collect()
    });
}

#[test]
fn a_text_for_a_whole_number_is_refused_by_schema_and_decoder() {
    refused_by_both(|payload| {
        let fields: Vec<_> =
            payload.iter().filter(|(_, value)| value.is_number()).map(|(name, _)| name.clone()).collect();
        let with = |field: &String| {
            let mut changed = payload.clone();
            changed.insert(field.clone(), Value::String(payload[field].to_string()));
            changed
        };
        fields.iter().map(with).collect()
    });
}

/// A closed decoder names the fields it knows when it meets one it does not: they are the schema's.
#[test]
fn decoders_and_schemas_know_the_same_fields() {
    for (folder, names) in LISTS {
        for (name, version) in names {
            let schema: Value = serde_json::from_str(schema_of(name, *version).unwrap()).unwrap();
            let in_schema: BTreeSet<String> =
                schema["properties"].as_object().into_iter().flatten().map(|(field, _)| field.clone()).collect();
            let error = match folder {
                Folder::Events => EventData::deserialize_payload(name, json!({"": 0})).unwrap().unwrap_err(),
                Folder::MarketEvents => {
                    MarketEventData::deserialize_payload(name, json!({"": 0})).unwrap().unwrap_err()
                }
                Folder::Commands => Command::deserialize_body(name, json!({"": 0})).unwrap().unwrap_err(),
                Folder::Facts => Fact::deserialize_body(name, json!({"": 0})).unwrap().unwrap_err(),
            };
            let error = error.to_string();
            let in_decoder: BTreeSet<String> = error.split('`').skip(3).step_by(2).map(Into::into).collect();
            assert_eq!(in_schema, in_decoder, "{name}: {error}");
        }
    }
}

fn refused_by_both(mutate: impl Fn(&mut serde_json::Map<String, Value>) -> Vec<serde_json::Map<String, Value>>) {
    let mut tried = 0;
    for folder in Folder::ALL {
        for example in examples(folder) {
            for payload in mutate(&mut example.payload().as_object().unwrap().clone()) {
                both_refuse(folder, &example, &Value::Object(payload), "changed");
                tried += 1;
            }
        }
    }
    assert!(tried > 50, "only {tried} examples have such a field");
}

fn both_refuse(folder: Folder, example: &Example, payload: &Value, change: &str) {
    assert!(!payload_validator(example).is_valid(payload), "the schema takes {} {change}", example.file);
    let text = replace_payload(&example.text, payload);
    assert!(recode(folder, &text).is_err(), "the decoder takes {} {change}: {text}", example.file);
}

/// Decodes an example and encodes it again.
fn recode(folder: Folder, text: &str) -> Result<String, String> {
    let mut out = Vec::new();
    match folder {
        Folder::Events => encode_event(&decode_event(text.as_bytes()).map_err(|e| e.to_string())?, &mut out),
        Folder::MarketEvents => {
            encode_market_event(&decode_market_event(text.as_bytes()).map_err(|e| e.to_string())?, &mut out);
        }
        Folder::Commands | Folder::Facts => return files::recode_command(folder, text),
    }
    Ok(String::from_utf8(out).unwrap())
}
