//! What older releases wrote is read for ever: fixtures of their versions decode to the current ones.

mod files;

use domain::{cash::Deposited, event::EventData, money::Money};
use event_schemas::{decode_event, encode_event, upcast::STEPS};
use files::{Folder, examples, golden};

#[test]
fn a_deposit_of_version_0_decodes_to_the_current_version() {
    let event = decode_event(golden("events/cash_deposited.v0.json").as_bytes()).unwrap();
    assert_eq!(event.data, EventData::CashDeposited(Deposited { amount: Money::from_smallest(12_345) }));
    let mut out = Vec::new();
    encode_event(&event, &mut out);
    assert!(
        String::from_utf8(out)
            .unwrap()
            .ends_with(r#""v":1,"effective_at":"2026-11-23T09:31:02.123456+05:30","data":{"amount":"123.45"}}"#)
    );
}

#[test]
fn a_deposit_of_version_0_is_read_with_its_data_before_its_type() {
    let text =
        r#"{"data":{"paise":-7},"effective_at":"2026-11-23T09:31:02.123456+05:30","v":0,"type":"cash_deposited"}"#;
    let event = decode_event(text.as_bytes()).unwrap();
    assert_eq!(event.data, EventData::CashDeposited(Deposited { amount: Money::from_smallest(-7) }));
}

#[test]
fn an_older_shape_is_closed_too() {
    let refused = |from: &str, to: &str, reason: &str| {
        let text = golden("events/cash_deposited.v0.json").replace(from, to);
        let error = decode_event(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("event type 'cash_deposited' v0 cannot be brought to the next version"), "{error}");
        assert!(error.contains(reason), "{error}");
    };
    refused(r#""paise":12345"#, "", "missing field `paise`");
    refused(":12345", r#":12345,"amount":"1.00""#, "unknown field `amount`");
    refused(":12345", r#":"12345""#, "must be a whole number");
    refused(r#"{"paise":12345}"#, "[]", "must be an object");
}

#[test]
fn the_shape_of_one_version_under_the_number_of_another_is_refused() {
    let as_v1 = golden("events/cash_deposited.v0.json").replace(r#""v":0"#, r#""v":1"#);
    assert!(decode_event(as_v1.as_bytes()).is_err());
    let as_v0 = golden("events/cash_deposited.v1.json").replace(r#""v":1"#, r#""v":0"#);
    assert!(decode_event(as_v0.as_bytes()).is_err());
}

#[test]
fn a_version_no_release_wrote_is_refused() {
    let below = golden("events/cash_withdrawn.v1.json").replace(r#""v":1"#, r#""v":0"#);
    let error = decode_event(below.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("'cash_withdrawn' v0") && error.contains("no release wrote this version"), "{error}");
    let above = golden("events/cash_deposited.v1.json").replace(r#""v":1"#, r#""v":2"#);
    let error = decode_event(above.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("event type 'cash_deposited' v2 is newer than v1"), "{error}");
}

#[test]
fn every_step_starts_at_a_version_with_an_example_and_a_schema_and_ends_below_the_current_one() {
    for step in STEPS {
        let current = EventData::TYPES.iter().find(|(name, _)| *name == step.name).expect("a known name").1;
        assert!(step.from < current, "{}", step.name);
        assert!(event_schemas::schema_of(step.name, step.from).is_some());
        let found = examples(Folder::Events).into_iter().find(|e| e.name == step.name && e.version == step.from);
        decode_event(found.expect("an example").text.as_bytes()).unwrap();
    }
}
