//! What keeps tokens from being minted or the edge from starting, named by what can be done about it.

use std::path::PathBuf;

/// Why a key, a token or the edge could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key file cannot be read or written: see what the system says.
    #[error("{}: {source}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Others may read the signing key: set its mode to 0600, and mint anew what may have leaked.
    #[error("{}: mode {mode:04o} lets others read the signing key; set it to 0600", path.display())]
    KeyMode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds no Ed25519 key: restore it from a backup, or remove it to have a new one made.
    #[error("{}: holds no Ed25519 private key in PKCS#8 PEM", path.display())]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// The signature could not be made.
    #[error("the token could not be signed: {0}")]
    Sign(#[source] jsonwebtoken::errors::Error),
    /// A grant that no token may carry.
    #[error("{0}")]
    Grant(&'static str),
    /// Another metrics recorder was installed first.
    #[error("another metrics recorder is installed already: {0}")]
    Metrics(String),
}
