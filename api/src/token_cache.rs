//! Tokens proved before, so that a signature is checked once; bounded, and never past a token's end.

use crate::token::{Keys, Unproved, Verified};
use domain::time::Timestamp;
use parking_lot::RwLock;
use sha2::{Digest, Sha256};
use std::{collections::HashMap, sync::Arc};

/// Shards, so that callers on different cores rarely meet.
const SHARDS: usize = 16;
/// Tokens of a shard's young generation: twice this times the shards, 65,536, is the most kept, about 30 MB.
const SHARD_TOKENS_MAX: usize = 2_048;

type Digested = [u8; 32];

/// Proves tokens, remembering those that were proved.
#[derive(Debug)]
pub struct Proofs {
    keys: Keys,
    shards: [RwLock<Generations>; SHARDS],
}

/// When the young are full they become the old, and the old of before are forgotten.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Digested, Arc<Verified>>,
    old: HashMap<Digested, Arc<Verified>>,
}

impl Proofs {
    /// Nothing remembered yet.
    pub fn new(keys: Keys) -> Self {
        Self { keys, shards: Default::default() }
    }

    /// The keys that prove and mint.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Proves a token at an instant.
    ///
    /// # Errors
    /// See [`Unproved`].
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Verified>, Unproved> {
        let digested: Digested = Sha256::digest(token).into();
        let shard = &self.shards[usize::from(digested[0]) % SHARDS];
        let (found, is_old) = {
            let generations = shard.read();
            match generations.young.get(&digested) {
                Some(found) => (Some(Arc::clone(found)), false),
                None => (generations.old.get(&digested).map(Arc::clone), true),
            }
        };
        let verified = match found {
            Some(found) if found.expires_at <= now => return Err(Unproved::Expired),
            Some(found) if !is_old => return Ok(found),
            Some(found) => found,
            None => Arc::new(self.keys.verify(token, now)?),
        };
        let mut generations = shard.write();
        if generations.young.len() >= SHARD_TOKENS_MAX {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(digested, Arc::clone(&verified));
        Ok(verified)
    }

    /// How many are remembered.
    pub fn remembered(&self) -> usize {
        self.shards.iter().map(|shard| shard.read()).map(|kept| kept.young.len() + kept.old.len()).sum()
    }
}
