//! The folder a bench works in: on a real disk, made and removed; knows no ledger.

use crate::error::Error;
use std::path::Path;
use tempfile::TempDir;

/// File systems that live in memory: durable appends there measure nothing.
const MEMORY_FILE_SYSTEMS: [u64; 2] = [0x0102_1994 /* tmpfs */, 0x8584_58f6 /* ramfs */];

/// A new folder under `parent`, removed when dropped.
///
/// # Errors
/// When `parent` is in memory or cannot be written.
pub fn folder(parent: &Path) -> Result<TempDir, Error> {
    let kind = rustix::fs::statfs(parent).map_err(|why| Error::file(parent)(why.into()))?;
    if MEMORY_FILE_SYSTEMS.contains(&(kind.f_type as u64)) {
        let parent = parent.display();
        return Err(Error::Usage(format!("{parent} is in memory, not on a disk; name a folder on a disk with --dir")));
    }
    tempfile::Builder::new().prefix("bahi-bench-").tempdir_in(parent).map_err(Error::file(parent))
}

/// Bytes of all files in the folder.
///
/// # Errors
/// When it cannot be read.
pub fn bytes_of(folder: &Path) -> Result<u64, Error> {
    let sizes = || -> std::io::Result<u64> {
        let files = std::fs::read_dir(folder)?;
        files.map(|file| Ok(file?.metadata()?.len())).sum()
    };
    sizes().map_err(Error::file(folder))
}
