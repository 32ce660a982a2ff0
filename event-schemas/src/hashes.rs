//! Short hashes by which commands are known for ever: of a key, and of what was asked under it; stores neither.

use domain::command::Submitter;
use sha2::{Digest, Sha256};

/// Hash of a command's key: first 16 bytes of SHA-256 over scope (an account, or `market`), role and id.
///
/// Each part stands behind its length, so that no two keys share the bytes hashed.
pub fn key_hash(scope: &str, role: Submitter, id: &str) -> [u8; 16] {
    first_16([scope.as_bytes(), role.name().as_bytes(), id.as_bytes()])
}

/// Hash of a command's content: first 16 bytes of SHA-256 over kind, version and the stored body.
pub fn content_hash(kind: &str, version: u32, body: &str) -> [u8; 16] {
    first_16([kind.as_bytes(), &version.to_le_bytes(), body.as_bytes()])
}

fn first_16(parts: [&[u8]; 3]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let full = hash.finalize();
    *full.first_chunk().expect("SHA-256 has 32 bytes")
}
