//! Tokens: minting for `bahi token`, proving for every request; knows no route, no account's state and no HTTP.
//!
//! A token is a JWT after RFC 9068: EdDSA over Ed25519, `typ: at+jwt`, a `kid`, and the claims of
//! `Claims`. Every instant is compared with the time the caller gives, never with the system's clock.

use crate::error::Error;
use base64::{Engine, engine::general_purpose::STANDARD};
use commands::By;
use domain::{command::Submitter, ids::AccountId, time::Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, jwk};
use rand::TryRngCore;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
    time::Duration,
};
use uuid::Uuid;

/// The signing key's file in the data folder.
pub const KEY_FILE: &str = "token.key";
/// Who mints.
pub const ISSUER: &str = "bahi";
/// Whom tokens are for.
pub const AUDIENCE: &str = "bahi-api";
/// The longest life of a token: a broker's sessions end daily.
pub const LIFETIME_S_MAX: u64 = 12 * 60 * 60;
/// Accounts in one token, so that it stays far below any server's limit on headers.
pub const ACCOUNTS_MAX: usize = 100;
/// The longest token looked at: 100 accounts need about 5,000 bytes.
pub const TOKEN_BYTES_MAX: usize = 8_192;
/// The longest subject, which every entry keeps.
pub const SUBJECT_BYTES_MAX: usize = 64;
/// How far `nbf` and `iat` may lie ahead: a clock that was just set back.
const AHEAD_S_MAX: i64 = 5;
/// RFC 8410: a PKCS#8 version 1 wrapper of a 32-byte Ed25519 seed.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
const SEED_BYTES: usize = 32;
const MODE_OWNER_ONLY: u32 = 0o600;
const MODE_OF_OTHERS: u32 = 0o077;
const MICROS_PER_SECOND: i64 = 1_000_000;

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The holder of the token's accounts.
    Client,
    /// The broker's staff.
    Operator,
    /// An exchange or a registrar.
    Venue,
    /// Reads everything, changes nothing.
    Auditor,
    /// Receives exports; no route yet.
    Regulator,
    /// Keeps users and keys; no route yet.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 6] = [Role::Client, Role::Operator, Role::Venue, Role::Auditor, Role::Regulator, Role::Admin];

    /// The name in tokens and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Operator => "operator",
            Self::Venue => "venue",
            Self::Auditor => "auditor",
            Self::Regulator => "regulator",
            Self::Admin => "admin",
        }
    }

    /// In which role it submits commands; for a role that submits none, the role whose outcomes it reads first.
    pub const fn submitter(self) -> Submitter {
        match self {
            Self::Operator => Submitter::Operator,
            Self::Venue => Submitter::Venue,
            Self::Client | Self::Auditor | Self::Regulator | Self::Admin => Submitter::Client,
        }
    }
}

impl std::str::FromStr for Role {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or(Error::Grant("the role must be one of client, operator, venue, auditor, regulator, admin"))
    }
}

/// What a token is minted for.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Who will hold it: an opaque id, 1 to 64 visible ASCII characters.
    pub subject: String,
    /// What they may do.
    pub role: Role,
    /// A client's own accounts, 1 to 100; none for other roles.
    pub accounts: Vec<AccountId>,
    /// For how long, at most 12 hours.
    pub lifetime: Duration,
}

/// The claims of a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    /// Seconds since 1970-01-01T00:00:00Z, as are `iat` and `nbf`.
    exp: i64,
    iat: i64,
    nbf: i64,
    jti: String,
    role: Role,
    #[serde(default)]
    accounts: Vec<AccountId>,
}

/// A caller whose token was proved.
#[derive(Debug)]
pub struct Verified {
    /// What they may do.
    pub role: Role,
    /// A client's own accounts, sorted.
    accounts: Box<[AccountId]>,
    /// When the token ends.
    pub expires_at: Timestamp,
    /// As whom their commands are recorded.
    pub by: Arc<By>,
    /// As whom history that they import is recorded.
    pub importing: Arc<By>,
}

impl Verified {
    /// Whether an account, by its text, is the caller's own.
    pub fn owns(&self, account: &str) -> bool {
        self.accounts.binary_search_by(|own| own.as_str().cmp(account)).is_ok()
    }
}

/// Why a token proves nothing; the words are for the caller and tell nothing about keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproved {
    /// Not a token of ours: shape, type, algorithm, key, signature, issuer, audience or claims.
    #[error("the token is not valid")]
    Invalid,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    Early,
}

/// The key that signs and proves tokens.
pub struct Keys {
    signing: EncodingKey,
    proving: DecodingKey,
    key_id: String,
    validation: Validation,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl Keys {
    /// Reads the key, or makes the file with a fresh one where there is none.
    ///
    /// # Errors
    /// When the file cannot be read or made, lets others read it, or holds something else.
    pub fn open_or_make(path: &Path) -> Result<Self, Error> {
        match Self::open(path) {
            Err(Error::KeyFile { source, .. }) if source.kind() == ErrorKind::NotFound => {
                make(path).map_err(|source| Error::KeyFile { path: path.into(), source })?;
                Self::open(path)
            }
            other => other,
        }
    }

    /// Reads the key.
    ///
    /// # Errors
    /// When the file cannot be read, lets others read it, or holds something else.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::KeyFile { path: path.into(), source };
        let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o7777;
        if mode & MODE_OF_OTHERS != 0 {
            return Err(Error::KeyMode { path: path.into(), mode });
        }
        let pem = fs::read(path).map_err(failed)?;
        let broken = |_| Error::Key { path: path.into() };
        Self::of(EncodingKey::from_ed_pem(&pem).map_err(broken)?).map_err(broken)
    }

    /// A fresh key that is kept nowhere: tokens die with the process.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn fresh() -> Result<Self, Error> {
        let der = fresh_der().map_err(|source| Error::KeyFile { path: "random bytes".into(), source })?;
        Self::of(EncodingKey::from_ed_der(&der)).map_err(Error::Sign)
    }

    fn of(signing: EncodingKey) -> Result<Self, jsonwebtoken::errors::Error> {
        let public = jwk::Jwk::from_encoding_key(&signing, Algorithm::EdDSA)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        // Times are compared below, with the caller's clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(Self {
            proving: DecodingKey::from_jwk(&public)?,
            key_id: public.thumbprint(jwk::ThumbprintHash::SHA256)?,
            signing,
            validation,
        })
    }

    /// The key's id: its RFC 7638 thumbprint.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Signs a token.
    ///
    /// # Errors
    /// When the grant breaks a rule of [`Grant`].
    pub fn mint(&self, grant: &Grant, now: Timestamp) -> Result<String, Error> {
        let lifetime_s = grant.lifetime.as_secs();
        if lifetime_s == 0
            || lifetime_s > LIFETIME_S_MAX
            || grant.lifetime.subsec_nanos() > 0 && lifetime_s == LIFETIME_S_MAX
        {
            return Err(Error::Grant("a token lives between 1 second and 12 hours"));
        }
        if !is_subject(&grant.subject) {
            return Err(Error::Grant("the subject must be 1 to 64 visible ASCII characters"));
        }
        match (grant.role, grant.accounts.len()) {
            (Role::Client, 0) => return Err(Error::Grant("a client's token needs at least one account")),
            (Role::Client, 1..=ACCOUNTS_MAX) | (_, 0) => {}
            (Role::Client, _) => return Err(Error::Grant("a token holds at most 100 accounts")),
            _ => return Err(Error::Grant("only a client's token names accounts")),
        }
        let now_s = now.micros().div_euclid(MICROS_PER_SECOND);
        let claims = Claims {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            sub: grant.subject.clone(),
            exp: now_s.saturating_add_unsigned(lifetime_s),
            iat: now_s,
            nbf: now_s,
            jti: Uuid::new_v4().to_string(),
            role: grant.role,
            accounts: grant.accounts.clone(),
        };
        let header =
            Header { typ: Some("at+jwt".into()), kid: Some(self.key_id.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, &claims, &self.signing).map_err(Error::Sign)
    }

    /// Proves a token at an instant.
    ///
    /// # Errors
    /// See [`Unproved`].
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, Unproved> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Unproved::Invalid);
        }
        let proved =
            jsonwebtoken::decode::<Claims>(token, &self.proving, &self.validation).map_err(|_| Unproved::Invalid)?;
        let header = proved.header;
        let typed = header.typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case("at+jwt"));
        // RFC 7515: a critical extension that is not understood makes a token invalid; none is understood here.
        if !typed || header.kid.as_deref() != Some(self.key_id.as_str()) || header.crit.is_some() {
            return Err(Unproved::Invalid);
        }
        let claims = proved.claims;
        let now_s = now.micros().div_euclid(MICROS_PER_SECOND);
        let lifetime_s = claims.exp.checked_sub(claims.iat.min(claims.nbf)).ok_or(Unproved::Invalid)?;
        let longest_s = i64::try_from(LIFETIME_S_MAX).expect("12 hours fit");
        if !(1..=longest_s).contains(&lifetime_s)
            || !is_subject(&claims.sub)
            || !is_subject(&claims.jti)
            || claims.accounts.len() > ACCOUNTS_MAX
        {
            return Err(Unproved::Invalid);
        }
        if claims.exp <= now_s {
            return Err(Unproved::Expired);
        }
        if claims.nbf > now_s + AHEAD_S_MAX || claims.iat > now_s + AHEAD_S_MAX {
            return Err(Unproved::Early);
        }
        let expires_at = Timestamp::from_micros(claims.exp.checked_mul(MICROS_PER_SECOND).ok_or(Unproved::Invalid)?);
        let by = |role| {
            Arc::new(By {
                subject: claims.sub.as_str().into(),
                role,
                session: Some(claims.jti.as_str().into()),
                origin: None,
                algo_id: None,
            })
        };
        let mut accounts = if claims.role == Role::Client { claims.accounts } else { Vec::new() };
        accounts.sort_unstable();
        Ok(Verified {
            role: claims.role,
            accounts: accounts.into(),
            expires_at,
            by: by(claims.role.submitter()),
            importing: by(Submitter::Import),
        })
    }
}

fn is_subject(text: &str) -> bool {
    (1..=SUBJECT_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn fresh_der() -> std::io::Result<Vec<u8>> {
    let mut seed = [0; SEED_BYTES];
    rand::rngs::OsRng.try_fill_bytes(&mut seed).map_err(std::io::Error::other)?;
    Ok([&PKCS8_PREFIX[..], &seed].concat())
}

/// Makes the file whole or not at all; one that another process just made stays.
fn make(path: &Path) -> std::io::Result<()> {
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(fresh_der()?));
    let draft = path.with_extension(format!("{}.draft", Uuid::new_v4()));
    let written =
        fs::OpenOptions::new().write(true).create_new(true).mode(MODE_OWNER_ONLY).open(&draft).and_then(|mut file| {
            file.write_all(pem.as_bytes())?;
            file.sync_all()
        });
    let linked = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    let removed = fs::remove_file(&draft);
    linked?;
    removed?;
    // The name itself must survive a power cut, or tokens minted before it would die with it.
    fs::File::open(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?.sync_all()
}
