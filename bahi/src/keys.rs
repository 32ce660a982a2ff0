//! The folder's signing key as the command line uses it; knows no claim and no algorithm.

use crate::{clock, error::Error};
use api::token::{Grant, KEY_FILE, Keys};
use domain::ids::AccountId;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

pub use api::token::Role;

/// For how long tokens live that nobody asked another life for.
pub const LIFETIME_S: u64 = api::token::LIFETIME_S_MAX;

/// Where the key is: where it was said to be, or in the data folder.
pub fn path(data: &Path, told: Option<&Path>) -> PathBuf {
    told.map_or_else(|| data.join(KEY_FILE), Path::to_owned)
}

/// Mints tokens with a folder's key.
pub struct Minter {
    keys: Keys,
}

impl Minter {
    /// With the key of a folder that was started before.
    ///
    /// # Errors
    /// When there is none, or others may read it.
    pub fn open(data: &Path, told: Option<&Path>) -> Result<Minter, Error> {
        let path = path(data, told);
        if !path.exists() {
            let path = path.display();
            return Err(Error::Usage(format!(
                "{path}: no signing key here; start `bahi serve` with this data folder first, it makes one"
            )));
        }
        Ok(Minter { keys: Keys::open(&path)? })
    }

    /// A token of the longest life, its subject the role's name.
    ///
    /// # Errors
    /// When the grant breaks a rule of [`Grant`].
    pub fn mint(&self, role: Role, accounts: &[AccountId]) -> Result<String, Error> {
        self.mint_for(role.name(), role, accounts, Duration::from_secs(LIFETIME_S))
    }

    /// A token.
    ///
    /// # Errors
    /// When the grant breaks a rule of [`Grant`].
    pub fn mint_for(
        &self,
        subject: &str,
        role: Role,
        accounts: &[AccountId],
        lifetime: Duration,
    ) -> Result<String, Error> {
        let grant = Grant { subject: subject.to_owned(), role, accounts: accounts.to_vec(), lifetime };
        Ok(self.keys.mint(&grant, clock::now())?)
    }
}
