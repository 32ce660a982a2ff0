//! Who asks: every handler names the roles that may call it as an argument, so a route without one does not compile into a use of the desk.
//!
//! Roles and ownership are decided from the token and the address alone, before anything is looked up.

use crate::{
    problem::Problem,
    state::State,
    token::{Role, Verified},
};
use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::{HeaderMap, header, request::Parts},
};
use domain::ids::AccountId;
use std::sync::Arc;

/// A set of roles, one bit each.
pub type Roles = u8;
/// The holder of the token's accounts.
pub const CLIENT: Roles = 1;
/// The broker's staff.
pub const OPERATOR: Roles = 2;
/// An exchange or a registrar.
pub const VENUE: Roles = 4;
/// Reads everything.
pub const AUDITOR: Roles = 8;
/// Who reads accounts (a client its own) and the market.
pub const READERS: Roles = CLIENT | OPERATOR | AUDITOR;
/// Who reads what belongs to no account.
pub const OVERSEERS: Roles = OPERATOR | AUDITOR;

const fn bit(role: Role) -> Roles {
    match role {
        Role::Client => CLIENT,
        Role::Operator => OPERATOR,
        Role::Venue => VENUE,
        Role::Auditor => AUDITOR,
        Role::Regulator | Role::Admin => 0,
    }
}

/// A caller in one of these roles.
#[derive(Debug)]
pub struct Caller<const ROLES: Roles>(pub Arc<Verified>);

impl<const ROLES: Roles> FromRequestParts<State> for Caller<ROLES> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        let verified = prove(&parts.headers, state)?;
        if bit(verified.role) & ROLES == 0 { Err(Problem::forbidden()) } else { Ok(Self(verified)) }
    }
}

/// A caller in one of these roles, for the account in the address; a client only for its own.
#[derive(Debug)]
pub struct CallerFor<const ROLES: Roles> {
    /// Who asks.
    pub caller: Arc<Verified>,
    /// The account in the address.
    pub account: AccountId,
}

impl<const ROLES: Roles> FromRequestParts<State> for CallerFor<ROLES> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        let Caller(caller) = Caller::<ROLES>::from_request_parts(parts, state).await?;
        let params = RawPathParams::from_request_parts(parts, state).await;
        let given = params.as_ref().ok().and_then(|params| params.iter().find(|(name, _)| *name == "account"));
        let account = given.map(|(_, account)| account);
        if caller.role == Role::Client && !account.is_some_and(|account| caller.owns(account)) {
            return Err(Problem::forbidden());
        }
        match account.map(AccountId::new) {
            Some(Ok(account)) => Ok(Self { caller, account }),
            Some(Err(rule)) => Err(Problem::field("invalid_path", "#account", rule.to_string())),
            None => Err(bad_path()),
        }
    }
}

/// A part of the address that is not UTF-8 once decoded.
pub fn bad_path() -> Problem {
    Problem::field("invalid_path", "#path", "must be percent-encoded UTF-8")
}

fn prove(headers: &HeaderMap, state: &State) -> Result<Arc<Verified>, Problem> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (given.next(), given.next()) else {
        return Err(Problem::unproved("a bearer token is needed", false));
    };
    let token = only.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    let token = token.ok_or_else(|| Problem::unproved("a bearer token is needed", false))?;
    state.proofs.verify(token, state.clock.now()).map_err(|unproved| {
        Problem::unproved(
            match unproved {
                crate::token::Unproved::Invalid => "the token is not valid",
                crate::token::Unproved::Expired => "the token has expired",
                crate::token::Unproved::Early => "the token is not valid yet",
            },
            true,
        )
    })
}
