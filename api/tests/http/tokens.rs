//! Who is let in.

use crate::edge::Edge;
use api::token::{Grant, Keys, Role, Unproved};
use axum::body::Body;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use commands::Clock;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

const PATH: &str = "/v1/instruments";

async fn with_token(edge: &Edge, token: &str) -> u16 {
    let reply = edge.send("GET", PATH, &[("authorization", &format!("Bearer {token}"))], Body::empty()).await;
    if reply.status == 401 {
        assert!(reply.header("www-authenticate").unwrap().starts_with("Bearer"), "{}", reply.text);
        assert_eq!(reply.body["code"], "unauthorized");
    }
    reply.status
}

fn parts(token: &str) -> (Value, Value, String) {
    let part: Vec<&str> = token.split('.').collect();
    let read = |text: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
    (read(part[0]), read(part[1]), part[2].to_owned())
}

fn joined(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}

#[tokio::test]
async fn a_token_is_needed_and_a_good_one_is_enough() {
    let edge = Edge::start().await;
    let none = edge.send("GET", PATH, &[], Body::empty()).await.gives_problem(401, "unauthorized", &[]);
    assert!(none.header("www-authenticate").is_some());
    assert_eq!(with_token(&edge, "").await, 401);
    assert_eq!(with_token(&edge, "a.b.c").await, 401);
    assert_eq!(with_token(&edge, &"x".repeat(9_000)).await, 401);
    assert_eq!(with_token(&edge, &edge.token(Role::Auditor)).await, 200);
}

#[tokio::test]
async fn a_token_dies_with_its_time_also_when_it_was_proved_before() {
    let edge = Edge::start().await;
    let token = edge.token(Role::Auditor);
    assert_eq!(with_token(&edge, &token).await, 200);
    edge.clock.advance_s(3599);
    assert_eq!(with_token(&edge, &token).await, 200);
    edge.clock.advance_s(1);
    assert_eq!(with_token(&edge, &token).await, 401);
    assert_eq!(edge.keys.verify(&token, edge.clock.now()).unwrap_err(), Unproved::Expired);
    let later = edge.token(Role::Auditor);
    edge.clock.advance_s(-60);
    assert_eq!(with_token(&edge, &later).await, 401, "its time has not come");
}

#[tokio::test]
async fn a_token_whose_content_was_changed_or_signed_by_another_proves_nothing() {
    let edge = Edge::start().await;
    let (header, claims, signature) = parts(&edge.token(Role::Auditor));
    let changed = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        joined(&header, &claims, &signature)
    };
    assert_eq!(with_token(&edge, &changed("role", json!("operator"))).await, 401);
    for alg in ["none", "None", "HS256", "RS256"] {
        let mut header = header.clone();
        header["alg"] = json!(alg);
        for signature in ["", signature.as_str()] {
            assert_eq!(with_token(&edge, &joined(&header, &claims, signature)).await, 401, "{alg}");
        }
    }
    let grant =
        Grant { subject: "u1".into(), role: Role::Auditor, accounts: vec![], lifetime: Duration::from_secs(60) };
    let foreign = Keys::fresh().unwrap().mint(&grant, edge.clock.now()).unwrap();
    assert_eq!(with_token(&edge, &foreign).await, 401);
}

#[tokio::test]
async fn type_key_issuer_audience_times_and_lifetime_are_all_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token.key");
    let keys = Keys::open_or_make(&path).unwrap();
    let signing = EncodingKey::from_ed_pem(&fs::read(&path).unwrap()).unwrap();
    let edge = Edge::start().await;
    let now = edge.clock.now();
    let now_s = now.micros() / 1_000_000;
    let good = json!({"iss": "bahi", "aud": "bahi-api", "sub": "u1", "exp": now_s + 60, "iat": now_s, "nbf": now_s,
        "jti": "1", "role": "auditor"});
    let typed = Header { typ: Some("at+jwt".into()), kid: Some(keys.key_id().into()), ..Header::new(Algorithm::EdDSA) };
    let verify =
        |header: &Header, claims: &Value| keys.verify(&encode(header, claims, &signing).unwrap(), now).map(|_| ());
    assert_eq!(verify(&typed, &good), Ok(()));
    let untyped = Header { typ: Some("JWT".into()), ..typed.clone() };
    assert_eq!(verify(&untyped, &good), Err(Unproved::Invalid));
    assert_eq!(verify(&Header { kid: Some("other".into()), ..typed.clone() }, &good), Err(Unproved::Invalid));
    assert_eq!(verify(&Header { kid: None, ..typed.clone() }, &good), Err(Unproved::Invalid));
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        verify(&typed, &claims)
    };
    for (name, value) in [
        ("iss", json!("other")),
        ("aud", json!("other")),
        ("role", json!("root")),
        ("exp", json!("soon")),
        ("exp", json!(now_s + 12 * 3600 + 1)),
        ("sub", json!("")),
        ("sub", json!("a b")),
        ("accounts", json!(["not an account"])),
    ] {
        assert_eq!(with(name, value), Err(Unproved::Invalid), "{name}");
    }
    assert_eq!(with("nbf", json!(now_s + 30)), Err(Unproved::Early));
    assert_eq!(with("iat", json!(now_s + 30)), Err(Unproved::Early));
    assert_eq!(with("exp", json!(now_s + 12 * 3600)), Ok(()));
    for name in ["iss", "aud", "sub", "exp", "iat", "nbf", "jti", "role"] {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        assert_eq!(verify(&typed, &claims), Err(Unproved::Invalid), "without {name}");
    }
}

#[test]
fn the_key_file_is_made_once_for_its_owner_alone_and_a_looser_mode_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token.key");
    assert!(Keys::open(&path).is_err(), "opening makes nothing");
    let made = Keys::open_or_make(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(Keys::open_or_make(&path).unwrap().key_id(), made.key_id());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft stays behind");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(Keys::open_or_make(&path).unwrap_err().to_string().contains("0640"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, "not a key").unwrap();
    assert!(matches!(Keys::open_or_make(&path), Err(api::Error::Key { .. })));
}

#[test]
fn a_token_lives_twelve_hours_at_most_and_names_accounts_only_for_a_client() {
    let (keys, now) = (Keys::fresh().unwrap(), domain::time::Timestamp::from_micros(1_800_000_000_000_000));
    let account = domain::ids::AccountId::new("ACC1").unwrap();
    let mint = |role, accounts: usize, lifetime_s| {
        let accounts = vec![account; accounts];
        keys.mint(&Grant { subject: "u1".into(), role, accounts, lifetime: Duration::from_secs(lifetime_s) }, now)
    };
    assert!(mint(Role::Client, 1, 12 * 3600).is_ok());
    assert!(mint(Role::Client, 100, 60).unwrap().len() < 8_192);
    for (role, accounts, lifetime_s) in [
        (Role::Client, 1, 12 * 3600 + 1),
        (Role::Client, 1, 0),
        (Role::Client, 0, 60),
        (Role::Client, 101, 60),
        (Role::Venue, 1, 60),
    ] {
        assert!(mint(role, accounts, lifetime_s).is_err(), "{role:?} {accounts} {lifetime_s}");
    }
}
