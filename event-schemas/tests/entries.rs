//! Whole entries: the golden ones read, check, validate and write back the same; what is not one is refused with its reason.

mod files;

use event_schemas::{
    DecodeError, Outcome, check_entry, check_market_entry, content_hash, decode_claim, decode_command, decode_entry,
    decode_market_entry, encode_claim, encode_command, encode_entry, encode_market_entry, entry::key_hash, kinds,
};
use files::{envelope_validator, golden};
use serde_json::{Value, json};

const ENTRIES: [&str; 5] = ["accepted", "refused", "repeat", "filled", "older"];
const MARKET_ENTRIES: [&str; 3] = ["accepted", "refused", "repeat"];

fn entry(name: &str) -> String {
    golden(&format!("entries/entry.{name}.v1.json"))
}
fn market_entry(name: &str) -> String {
    golden(&format!("entries/market_entry.{name}.v1.json"))
}

#[test]
fn golden_entries_decode_check_and_encode_to_identical_bytes() {
    for name in ENTRIES {
        let text = entry(name);
        let decoded = decode_entry(text.as_bytes()).expect(name);
        check_entry(&decoded, &decoded.ce_id()).expect(name);
        let mut out = Vec::new();
        encode_entry(&decoded, &mut out);
        // An event of an older version is written in the current one.
        let expected = text.replace(r#""v":0,"#, r#""v":1,"#).replace(r#""paise":12345"#, r#""amount":"123.45""#);
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{name}");
    }
}

#[test]
fn golden_market_entries_decode_check_and_encode_to_identical_bytes() {
    for name in MARKET_ENTRIES {
        let text = market_entry(name);
        let decoded = decode_market_entry(text.as_bytes()).expect(name);
        check_market_entry(&decoded, &decoded.ce_id()).expect(name);
        let mut out = Vec::new();
        encode_market_entry(&decoded, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), text, "{name}");
    }
}

#[test]
fn a_golden_claim_decodes_and_encodes_to_identical_bytes() {
    let text = golden("entries/claim.v1.json");
    let claim = decode_claim(text.as_bytes()).unwrap();
    assert_eq!((claim.term, claim.writer), (3, 0x00f3_a1b2_c4d5_e6f7_0819_2a3b_4c5d_6e7f));
    let mut out = Vec::new();
    encode_claim(&claim, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), text);
    assert!(envelope_validator("claim").is_valid(&serde_json::from_str(&text).unwrap()));
}

#[test]
fn a_command_on_its_way_is_written_as_its_entry_will_hold_it() {
    for text in ENTRIES.map(entry) {
        let decoded = decode_entry(text.as_bytes()).unwrap();
        let mut out = Vec::new();
        encode_command(&decoded.command, &mut out);
        assert_eq!(decode_command(&out).unwrap(), decoded.command);
        let written = String::from_utf8(out).unwrap();
        assert!(text.contains(&written), "{written}");
        assert!(envelope_validator("command").is_valid(&serde_json::from_str(&written).unwrap()));
    }
    for text in MARKET_ENTRIES.map(market_entry) {
        let decoded = decode_market_entry(text.as_bytes()).unwrap();
        let mut out = Vec::new();
        encode_command(&decoded.command, &mut out);
        assert_eq!(decode_command(&out).unwrap(), decoded.command);
        assert!(envelope_validator("fact").is_valid(&serde_json::from_slice(&out).unwrap()));
    }
    let refused = decode_command(br#"{"id":"k","kind":"deposit_cash","v":1,"body":{}}"#).unwrap_err();
    assert!(refused.to_string().contains("issued_at"), "{refused}");
}

#[test]
fn every_golden_entry_is_tested() {
    let named = ENTRIES.map(|name| format!("entry.{name}.v1.json")).into_iter();
    let named = named.chain(MARKET_ENTRIES.map(|name| format!("market_entry.{name}.v1.json")));
    assert_eq!(files::names("golden/entries"), named.chain(["claim.v1.json".into()]).collect());
}

#[test]
fn golden_entries_validate_against_the_schema_of_the_entry() {
    let entries = ENTRIES.map(entry).into_iter().map(|text| ("entry", text));
    for (schema, text) in entries.chain(MARKET_ENTRIES.map(market_entry).into_iter().map(|text| ("market_entry", text)))
    {
        let whole: Value = serde_json::from_str(&text).unwrap();
        let validator = envelope_validator(schema);
        let errors: Vec<_> = validator.iter_errors(&whole).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_command_is_read_only_when_asked_for_and_equals_what_was_asked() {
    let text = entry("accepted");
    let decoded = decode_entry(text.as_bytes()).unwrap();
    let command = decoded.command.command().unwrap();
    assert_eq!(command.kind(), "place_order");
    assert_eq!(event_schemas::command_body(&command).get(), decoded.command.body.get());
    assert!(matches!(decoded.command.fact(), Err(DecodeError::Unknown { what: "fact kind", .. })));
}

#[test]
fn a_decoded_entry_borrows_the_bytes_it_was_read_from() {
    let text = entry("accepted");
    let decoded = decode_entry(text.as_bytes()).unwrap();
    let within = |part: &str| text.as_bytes().as_ptr_range().contains(&part.as_ptr());
    assert!(within(&decoded.command.id) && within(decoded.command.body.get()) && within(&decoded.context.policy));
    assert_eq!(decoded.clone().into_owned(), decoded);
}

#[test]
fn escaped_texts_and_spaces_and_another_order_of_fields_are_read() {
    let text = entry("filled");
    let mut whole: Value = serde_json::from_str(&text).unwrap();
    whole["command"]["id"] = json!("a\"b\\c\u{1}é");
    // Sorted and indented: `data` stands before `type` and `v`.
    let spaced = serde_json::to_string_pretty(&whole).unwrap();
    let decoded = decode_entry(spaced.as_bytes()).unwrap();
    assert_eq!(decoded.command.id, "a\"b\\c\u{1}é");
    assert_eq!(decoded.events, decode_entry(text.as_bytes()).unwrap().events);
    let mut out = Vec::new();
    encode_entry(&decoded, &mut out);
    assert_eq!(decode_entry(&out).unwrap().command.id, decoded.command.id);
}

#[test]
fn every_missing_surplus_or_doubled_field_of_an_envelope_is_refused_by_name() {
    let validator = envelope_validator("entry");
    let whole: Value = serde_json::from_str(&entry("accepted")).unwrap();
    for at in ["", "/command", "/command/by", "/context", "/events/0"] {
        let fields: Vec<_> = whole.pointer(at).unwrap().as_object().unwrap().keys().cloned().collect();
        for field in fields {
            let mut without = whole.clone();
            without.pointer_mut(at).unwrap().as_object_mut().unwrap().remove(&field);
            let error = decode_entry(without.to_string().as_bytes()).expect_err("a missing field").to_string();
            assert!(error.contains(&format!("missing field `{field}`")), "{at}/{field}: {error}");
            assert!(!validator.is_valid(&without), "{at}/{field}");
        }
        let mut with = whole.clone();
        with.pointer_mut(at).unwrap()["surplus"] = json!(1);
        let error = decode_entry(with.to_string().as_bytes()).expect_err("a surplus field").to_string();
        assert!(error.contains("unknown field `surplus`"), "{at}: {error}");
        assert!(!validator.is_valid(&with), "{at}");
    }
    let doubled = entry("accepted").replacen(r#""seq":41,"#, r#""seq":41,"seq":41,"#, 1);
    assert!(decode_entry(doubled.as_bytes()).unwrap_err().to_string().contains("duplicate field `seq`"));
    let doubled =
        entry("accepted").replacen(r#""type":"order_requested","#, r#""type":"x","type":"order_requested","#, 1);
    assert!(decode_entry(doubled.as_bytes()).unwrap_err().to_string().contains("duplicate field `type`"));
}

#[test]
fn what_is_not_one_whole_entry_is_refused_without_panic() {
    let text = entry("filled");
    for end in 0..text.len() {
        assert!(decode_entry(&text.as_bytes()[..end]).is_err(), "cut at {end}");
    }
    assert!(decode_entry(format!("{text} {text}").as_bytes()).is_err());
    assert!(decode_entry(b"[]").is_err());
    let mut broken = text.clone().into_bytes();
    let at = text.find("u1").unwrap();
    broken[at] = 0xff;
    assert!(decode_entry(&broken).is_err(), "broken UTF-8");
    // Every byte changed: whatever is still read is written and read again as the same.
    for at in 0..text.len() {
        for byte in [b'"', b'0', b'}', b'\\', 0x7f, 0xc3] {
            let mut changed = text.clone().into_bytes();
            changed[at] = byte;
            if let Ok(decoded) = decode_entry(&changed) {
                let mut out = Vec::new();
                encode_entry(&decoded, &mut out);
                assert_eq!(decode_entry(&out).expect("what was written is read"), decoded, "byte {at}");
            }
        }
    }
}

#[test]
fn an_unknown_type_and_a_newer_version_are_named() {
    let unknown = entry("accepted").replace("order_requested", "order_dreamt");
    let error = decode_entry(unknown.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("unknown event type 'order_dreamt' v1"), "{error}");
    let newer = entry("accepted").replace(r#""type":"order_requested","v":1"#, r#""type":"order_requested","v":2"#);
    let error = decode_entry(newer.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("event type 'order_requested' v2 is newer than v1"), "{error}");
    let newer = entry("accepted").replace(r#""kind":"place_order","v":1"#, r#""kind":"place_order","v":9"#);
    let error = decode_entry(newer.as_bytes()).unwrap().command.command().unwrap_err();
    assert!(matches!(error, DecodeError::Newer { version: 9, current: 1, .. }), "{error}");
    let newer = entry("accepted").replacen(r#"{"v":1,"#, r#"{"v":2,"#, 1);
    let error = decode_entry(newer.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("version 2, but this release reads version 1"), "{error}");
}

#[test]
fn an_entry_whose_parts_contradict_each_other_is_not_well_formed() {
    let change = |name: &str, from: &str, to: &str| {
        let text = entry(name).replace(from, to);
        let decoded = decode_entry(text.as_bytes()).expect("its shape is right");
        check_entry(&decoded, &decoded.ce_id()).expect_err("a contradiction").to_string()
    };
    let accepted = r#""outcome":"accepted""#;
    assert!(change("refused", r#""outcome":"refused""#, accepted).contains("accepted, but refuses"));
    assert!(change("accepted", accepted, r#""outcome":"refused""#).contains("must be one refusal"));
    assert!(change("accepted", accepted, r#""outcome":"repeat","first":1"#).contains("has no events"));
    assert!(change("accepted", accepted, r#""outcome":"accepted","first":1"#).contains("names a first entry"));
    assert!(change("repeat", r#""first":41,"#, "").contains("names an earlier entry"));
    assert!(change("repeat", r#""first":41"#, r#""first":43"#).contains("names an earlier entry"));
    assert!(change("accepted", r#""seq":41"#, r#""seq":0"#).contains("counts from 1"));
    assert!(
        change(
            "accepted",
            r#""quantity":10,"type":"limit","price":"2500.00","product":"CNC","validity":"DAY","tag""#,
            r#""size":1,"tag""#
        )
        .contains("unknown field `size`")
    );
    let text = entry("accepted");
    let decoded = decode_entry(text.as_bytes()).unwrap();
    assert!(check_entry(&decoded, "ACC1/42").unwrap_err().to_string().contains("ce_id 'ACC1/42'"));
    let text = market_entry("accepted").replace(r#""key":"NSE:RELIANCE""#, r#""key":"NSE:INFY""#);
    let decoded = decode_market_entry(text.as_bytes()).unwrap();
    assert!(
        check_market_entry(&decoded, "NSE:INFY/9").unwrap_err().to_string().contains("a fact about 'NSE:RELIANCE'")
    );
}

#[test]
fn what_could_not_be_read_when_it_was_asked_may_stay_unreadable() {
    let text = entry("refused").replace("insufficient_cash", "undecodable").replace("place_order", "place_bet");
    let decoded = decode_entry(text.as_bytes()).unwrap();
    assert_eq!(decoded.outcome, Outcome::Refused);
    check_entry(&decoded, "ACC1/42").unwrap();
}

#[test]
fn kinds_are_the_event_types_in_order() {
    let text = entry("filled");
    assert_eq!(kinds(&decode_entry(text.as_bytes()).unwrap().events), "order_filled,position_changed,cash_posted");
    assert_eq!(kinds(&[]), "");
}

#[test]
fn hashes_tell_keys_and_contents_apart_and_never_change() {
    use domain::command::Submitter::{Client, Operator};
    let hex = |hash: [u8; 16]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    // SHA-256 over each part behind its length in eight bytes, little end first; computed outside this crate.
    assert_eq!(hex(key_hash("ACC1", Client, "k1")), "1d1fd6292f2ad93e9c52898f78cc9d5d");
    assert_eq!(hex(content_hash("open_account", 1, "{}")), "5960f67016d2c5990e79ea774a211af4");
    assert_ne!(key_hash("ACC1", Client, "k1"), key_hash("ACC1", Operator, "k1"));
    assert_ne!(key_hash("ACC", Client, "1k1"), key_hash("ACC1", Client, "k1"));
    assert_ne!(content_hash("open_account", 1, "{}"), content_hash("open_account", 2, "{}"));
}
