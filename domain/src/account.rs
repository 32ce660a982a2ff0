//! Opening an account; knows nothing about the person behind it.

use serde::{Deserialize, Serialize};

/// An account was opened; the entry names it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {}

/// Asks for an account; the command's envelope names it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {}
