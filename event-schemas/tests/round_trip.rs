//! Anything the schemas allow is read, and what is read is written back as it was: the schemas make the examples here.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod files;

use domain::{
    ids::{AccountId, OrderId},
    money::{Money, Nav, Percent, Price, Units},
    time::{Date, TimeOfDay, Timestamp},
};
use event_schemas::{
    Entry, EntryContext, Outcome, decode_entry, decode_event, decode_market_event, encode_entry, encode_event,
    encode_market_event, schema::SCHEMAS,
};
use files::{Folder, envelope};
use proptest::prelude::*;
use serde_json::{Map, Value, json, value::RawValue};
use std::borrow::Cow;

/// A value that a schema allows.
fn of(schema: &Value, whole: &Value) -> BoxedStrategy<Value> {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/")) {
        return amount_or_time(name).unwrap_or_else(|| of(&whole["$defs"][name], whole));
    }
    if let Some(options) = schema["oneOf"].as_array() {
        let options: Vec<_> = options.iter().map(|option| of(option, whole)).collect();
        return proptest::strategy::Union::new(options).boxed();
    }
    if let Some(fixed) = schema.get("const") {
        return Just(fixed.clone()).boxed();
    }
    if let Some(list) = schema["enum"].as_array() {
        return proptest::sample::select(list.clone()).boxed();
    }
    match schema["type"].as_str().expect("a type") {
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        "integer" if schema["minimum"] == json!(i64::MIN) => any::<i64>().prop_map(Value::from).boxed(),
        "integer" if schema["maximum"] == json!(u32::MAX) => any::<u32>().prop_map(Value::from).boxed(),
        "integer" => any::<u64>().prop_map(Value::from).boxed(),
        "string" => match schema["pattern"].as_str() {
            Some(pattern) => {
                let inner = pattern.strip_prefix('^').and_then(|p| p.strip_suffix('$')).expect("anchored");
                proptest::string::string_regex(inner).expect("a plain pattern").prop_map(Value::from).boxed()
            }
            None => any::<String>().prop_map(Value::from).boxed(),
        },
        "array" => {
            let of_items = proptest::collection::vec(of(&schema["items"], whole), 1..4);
            of_items
                .prop_map(|mut items| {
                    items.dedup();
                    Value::Array(items)
                })
                .boxed()
        }
        "object" if schema["additionalProperties"]["type"] == "string" => {
            let figures = proptest::collection::btree_map("[a-z_]{1,12}", any::<String>(), 1..4);
            figures.prop_map(|figures| json!(figures)).boxed()
        }
        "object" => object(schema, whole),
        other => panic!("no strategy for {other}"),
    }
}

fn object(schema: &Value, whole: &Value) -> BoxedStrategy<Value> {
    let empty = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&empty);
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let mut fields: BoxedStrategy<Map<String, Value>> = Just(Map::new()).boxed();
    for (name, property) in properties {
        let (name, value) = (name.clone(), of(property, whole));
        let value = if required.contains(&json!(name)) {
            value.prop_map(Some).boxed()
        } else {
            proptest::option::of(value).boxed()
        };
        fields = (fields, value)
            .prop_map(move |(mut fields, value)| {
                fields.extend(value.map(|value| (name.clone(), value)));
                fields
            })
            .boxed();
    }
    fields.prop_map(Value::Object).boxed()
}

/// What a pattern alone says too loosely: figures within their range, days that exist.
fn amount_or_time(name: &str) -> Option<BoxedStrategy<Value>> {
    let text = |strategy: BoxedStrategy<String>| Some(strategy.prop_map(Value::from).boxed());
    let days = || (0..90_000i32).prop_map(|days| Date::from_ymd(1930, 1, 1).unwrap().plus_days(days));
    match name {
        "money" => text(any::<i64>().prop_map(|n| Money::from_smallest(n).to_string()).boxed()),
        "price" => text(any::<i64>().prop_map(|n| Price::from_smallest(n).to_string()).boxed()),
        "nav" => text(any::<i64>().prop_map(|n| Nav::from_smallest(n).to_string()).boxed()),
        "units" => text(any::<i64>().prop_map(|n| Units::from_smallest(n).to_string()).boxed()),
        "percent" => text(any::<i64>().prop_map(|n| Percent::from_smallest(n).to_string()).boxed()),
        "date" => text(days().prop_map(|day| day.to_string()).boxed()),
        "time_of_day" => {
            text((0..=1440u16).prop_map(|minute| TimeOfDay::new(minute / 60, minute % 60).unwrap().to_string()).boxed())
        }
        "instant" => text(
            (days(), 0..86_400_000_000i64)
                .prop_map(|(day, micros)| day.start().plus_micros(micros).to_string())
                .boxed(),
        ),
        "order_id" | "fund_order_id" => {
            let id = ("[A-Za-z0-9_-]{1,32}", any::<u64>());
            text(id.prop_map(|(a, seq)| OrderId { account: AccountId::new(&a).unwrap(), seq }.to_string()).boxed())
        }
        "instrument" => text("(NSE|BSE|MCX):[A-Z0-9&_.*$@-]{1,30}|ISIN:[A-Z]{2}[A-Z0-9]{10}".boxed()),
        _ => None,
    }
}

fn any_of(folder: Folder) -> BoxedStrategy<(&'static str, u32, Value)> {
    let current = SCHEMAS.iter().filter(|schema| schema.0 == folder.name() && schema.2 > 0);
    let each = current.map(|(_, name, version, text)| {
        let whole: Value = serde_json::from_str(text).unwrap();
        of(&whole, &whole).prop_map(move |payload| (*name, *version, payload)).boxed()
    });
    proptest::strategy::Union::new(each.collect::<Vec<_>>()).boxed()
}

fn event_text((name, version, data): &(&str, u32, Value)) -> String {
    json!({"type": name, "v": version, "effective_at": "2026-11-23T09:31:02.123456+05:30", "data": data}).to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn events_are_read_as_written(made in any_of(Folder::Events)) {
        let event = decode_event(event_text(&made).as_bytes()).unwrap();
        let mut out = Vec::new();
        encode_event(&event, &mut out);
        prop_assert_eq!(&serde_json::from_slice::<Value>(&out).unwrap()["data"], &made.2);
        prop_assert_eq!(decode_event(&out).unwrap(), event);
    }

    #[test]
    fn market_events_are_read_as_written(made in any_of(Folder::MarketEvents)) {
        let event = decode_market_event(event_text(&made).as_bytes()).unwrap();
        let mut out = Vec::new();
        encode_market_event(&event, &mut out);
        prop_assert_eq!(&serde_json::from_slice::<Value>(&out).unwrap()["data"], &made.2);
        prop_assert_eq!(decode_market_event(&out).unwrap(), event);
    }

    #[test]
    fn commands_and_facts_are_read_as_written(
        command in any_of(Folder::Commands),
        fact in any_of(Folder::Facts),
    ) {
        for (folder, (kind, v, body)) in [(Folder::Commands, command), (Folder::Facts, fact)] {
            let text = format!("{{\"kind\":\"{kind}\",\"v\":{v},\"body\":{body}}}");
            let again = files::recode_command(folder, &text).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Value>(&again).unwrap()["body"], &body);
            prop_assert_eq!(files::recode_command(folder, &again).unwrap(), again);
        }
    }

    #[test]
    fn entries_are_read_as_written(
        made in proptest::collection::vec(any_of(Folder::Events), 0..5),
        body in any_of(Folder::Commands),
        id in any::<String>(), subject in any::<String>(), session in any::<Option<String>>(),
        market in proptest::collection::vec(any::<u64>(), 0..4), seq in any::<u64>(), source in any::<i64>(),
        micros in 0..4_000_000_000_000_000i64, first in any::<Option<u64>>(),
        outcome in proptest::sample::select(vec![Outcome::Accepted, Outcome::Refused, Outcome::Repeat]),
    ) {
        let raw = RawValue::from_string(body.2.to_string()).unwrap();
        let mut command = envelope(body.0, body.1, Cow::Owned(raw));
        (command.id, command.by.subject) = (id.into(), subject.into());
        command.by.session = session.map(Cow::Owned);
        let entry = Entry {
            account: AccountId::new("ACC_1-x").unwrap(),
            seq, source, command, outcome, first,
            recorded_at: Timestamp::from_micros(micros),
            context: EntryContext { market, calendar: Default::default(), policy: "2026-04-01".into(), rules: 1 },
            events: made.iter().map(|made| decode_event(event_text(made).as_bytes()).unwrap()).collect(),
        };
        let mut out = Vec::new();
        encode_entry(&entry, &mut out);
        prop_assert_eq!(decode_entry(&out).unwrap(), entry);
    }
}
